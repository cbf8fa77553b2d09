//! `hash`: values by realm and key, in memory (FreeSWITCH's mod_hash.c).
//!
//! As there, `realm_key` is the whole key: realm `a_b` with key `c` is realm `a` with key `b_c`. Names are compared with
//! their case.

use super::Full;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tracing::error;

/// Entries there may be.
const ENTRIES: usize = 500_000;
/// Bytes they may take together, names and values.
const BYTES: usize = 128 << 20;

/// The store.
#[derive(Debug, Default)]
pub struct Hash {
    held: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    values: HashMap<Box<str>, Box<str>>,
    bytes: usize,
}

/// What came of a conditional change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It was made.
    Made,
    /// There is no such key.
    Missing,
    /// The key has another value, or one at all.
    Differs,
}

impl Hash {
    fn held(&self) -> MutexGuard<'_, Entries> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The value of a key.
    pub fn get(&self, realm: &str, key: &str) -> Option<String> {
        self.held().values.get(&*whole(realm, key)).map(|value| value.to_string())
    }

    /// Gives a key its value, whatever it had.
    pub fn insert(&self, realm: &str, key: &str, value: &str) -> Result<(), Full> {
        self.held().insert(whole(realm, key), value)
    }

    /// Gives a key its value unless it has one.
    pub fn insert_if_empty(&self, realm: &str, key: &str, value: &str) -> Result<Change, Full> {
        let key = whole(realm, key);
        let mut held = self.held();
        if held.values.contains_key(&*key) {
            return Ok(Change::Differs);
        }
        held.insert(key, value).map(|()| Change::Made)
    }

    /// Takes a key away if its value is one that `goes`.
    pub fn remove(&self, realm: &str, key: &str, goes: impl FnOnce(&str) -> bool) -> Change {
        let key = whole(realm, key);
        let mut held = self.held();
        match held.values.get(&*key) {
            None => Change::Missing,
            Some(value) if !goes(value) => Change::Differs,
            Some(_) => {
                held.remove(&key);
                Change::Made
            }
        }
    }

    /// Every `realm_key` with its value, by name.
    pub fn entries(&self) -> Vec<(String, String)> {
        let held = self.held();
        let mut all: Vec<_> = held.values.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        all.sort_unstable();
        all
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.held().values.len()
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Entries {
    fn insert(&mut self, key: Box<str>, value: &str) -> Result<(), Full> {
        let before = self.values.get(&key).map_or(0, |old| key.len() + old.len());
        let bytes = self.bytes - before + key.len() + value.len();
        if bytes > BYTES || (before == 0 && self.values.len() >= ENTRIES) {
            error!("hash is full ({} entries, {} bytes): {key} is not stored", self.values.len(), self.bytes);
            return Err(Full);
        }
        self.bytes = bytes;
        self.values.insert(key, value.into());
        Ok(())
    }

    fn remove(&mut self, key: &str) {
        if let Some((key, value)) = self.values.remove_entry(key) {
            self.bytes -= key.len() + value.len();
        }
    }
}

fn whole(realm: &str, key: &str) -> Box<str> {
    [realm, "_", key].concat().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_and_go() {
        let hash = Hash::default();
        assert_eq!(hash.get("r", "k"), None);
        hash.insert("r", "k", "v").unwrap();
        assert_eq!(hash.get("r", "k").as_deref(), Some("v"));
        assert_eq!(hash.insert_if_empty("r", "k", "w"), Ok(Change::Differs));
        hash.insert("r", "k", "longer").unwrap();
        assert_eq!(hash.remove("r", "k", |v| v == "v"), Change::Differs);
        assert_eq!(hash.remove("r", "k", |v| v == "longer"), Change::Made);
        assert_eq!(hash.remove("r", "k", |_| true), Change::Missing);
        assert_eq!(hash.insert_if_empty("a_b", "c", "x"), Ok(Change::Made));
        assert_eq!(hash.get("a", "b_c").as_deref(), Some("x"), "the realm is part of the key");
        assert_eq!(hash.entries(), [("a_b_c".to_owned(), "x".to_owned())]);
        assert_eq!(hash.held().bytes, 6);
    }

    #[test]
    fn a_full_store_refuses_and_keeps_what_it_has() {
        let hash = Hash::default();
        hash.insert("r", "small", "1").unwrap();
        let half = "x".repeat(BYTES / 2);
        hash.insert("r", "a", &half).unwrap();
        assert_eq!(hash.insert("r", "b", &half), Err(Full));
        hash.insert("r", "a", &half).unwrap();
        assert_eq!(hash.get("r", "small").as_deref(), Some("1"));
        hash.remove("r", "a", |_| true);
        hash.insert("r", "b", &half).unwrap();
    }
}
