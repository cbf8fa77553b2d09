//! `db` and `group`: values by realm and key, and groups of dial strings, kept over a restart (FreeSWITCH's mod_db.c).
//!
//! The whole of it is in memory, where it is read; the file only remembers. FreeSWITCH cuts a value to 255 bytes when
//! it is read; here it comes back whole.

use super::Full;
use super::journal::{self, Journal};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tracing::error;

/// Entries there may be, values and members of groups together.
const ENTRIES: usize = 500_000;
/// Bytes they may take together.
const BYTES: usize = 128 << 20;

/// The store.
#[derive(Debug)]
pub struct Db {
    held: Mutex<Kept>,
}

#[derive(Debug)]
struct Kept {
    tables: Tables,
    journal: Option<Journal>,
}

#[derive(Debug, Default)]
struct Tables {
    realms: BTreeMap<String, HashMap<String, Entry>>,
    groups: BTreeMap<String, Vec<String>>,
    /// When the next value comes, in the order of all.
    next: u64,
    entries: usize,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    value: String,
    order: u64,
}

impl Db {
    /// The store kept in `folder`, in the file `db.journal`.
    pub fn open(folder: &Path) -> Db {
        let mut tables = Tables::default();
        let journal = Journal::read(folder.join("db.journal"), |words| {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            // A line of no known form is of a later version: the rest of the file still counts.
            let _ = tables.apply(&words);
        });
        Db { held: Mutex::new(Kept { tables, journal: Some(journal) }) }
    }

    /// A store that nothing is left of.
    pub fn in_memory() -> Db {
        Db { held: Mutex::new(Kept { tables: Tables::default(), journal: None }) }
    }

    fn held(&self) -> MutexGuard<'_, Kept> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, words: &[&str]) -> Result<(), Full> {
        let mut held = self.held();
        let Kept { tables, journal } = &mut *held;
        if tables.apply(words)?
            && let Some(journal) = journal
        {
            journal.write(words, tables.entries, || tables.lines());
        }
        Ok(())
    }

    //------------ db -------------------------------------------------------------------------------------------

    /// Gives a key its value.
    pub fn insert(&self, realm: &str, key: &str, value: &str) -> Result<(), Full> {
        self.change(&["+", realm, key, value])
    }

    /// Takes a key away, if it is there.
    pub fn remove(&self, realm: &str, key: &str) {
        let _ = self.change(&["-", realm, key]);
    }

    /// The value of a key.
    pub fn get(&self, realm: &str, key: &str) -> Option<String> {
        Some(self.held().tables.realms.get(realm)?.get(key)?.value.clone())
    }

    /// The realms, by name.
    pub fn realms(&self) -> Vec<String> {
        self.held().tables.realms.keys().cloned().collect()
    }

    /// The keys of a realm, in the order they got their values.
    pub fn keys(&self, realm: &str) -> Vec<String> {
        self.held().tables.realms.get(realm).map(in_order).unwrap_or_default()
    }

    //------------ group ----------------------------------------------------------------------------------------

    /// Puts a dial string at the end of a group. One that is there already moves to the end.
    pub fn group_insert(&self, group: &str, url: &str) -> Result<(), Full> {
        self.change(&["g+", group, url])
    }

    /// Takes a dial string out of a group; without one, all of them.
    pub fn group_remove(&self, group: &str, url: Option<&str>) {
        let _ = match url {
            Some(url) => self.change(&["g-", group, url]),
            None => self.change(&["g-", group]),
        };
    }

    /// The dial strings of a group, in order.
    pub fn group(&self, group: &str) -> Vec<String> {
        self.held().tables.groups.get(group).cloned().unwrap_or_default()
    }
}

fn in_order(keys: &HashMap<String, Entry>) -> Vec<String> {
    let mut list: Vec<_> = keys.iter().map(|(key, entry)| (entry.order, key)).collect();
    list.sort_unstable();
    list.into_iter().map(|(_, key)| key.clone()).collect()
}

impl Tables {
    /// Makes a change; false when it changes nothing.
    fn apply(&mut self, words: &[&str]) -> Result<bool, Full> {
        match words {
            ["+", realm, key, value] => self.insert(realm, key, value).map(|()| true),
            ["-", realm, key] => Ok(self.remove(realm, key)),
            ["g+", group, url] => self.join(group, url).map(|()| true),
            ["g-", group, url @ ..] => Ok(self.leave(group, url.first().copied())),
            _ => Ok(false),
        }
    }

    /// Whether `bytes` more fit in, in place of an entry of `before`.
    fn check(&self, bytes: usize, before: Option<usize>, what: &str) -> Result<(), Full> {
        let room = BYTES + before.unwrap_or(0) - self.bytes.min(BYTES);
        if bytes > room || (before.is_none() && self.entries >= ENTRIES) {
            error!("db is full ({} entries, {} bytes): {what} is not stored", self.entries, self.bytes);
            return Err(Full);
        }
        Ok(())
    }

    fn count(&mut self, bytes: usize) {
        self.entries += 1;
        self.bytes += bytes;
    }

    fn give_back(&mut self, bytes: usize) {
        self.entries -= 1;
        self.bytes -= bytes;
    }

    fn insert(&mut self, realm: &str, key: &str, value: &str) -> Result<(), Full> {
        let size = |value: &str| realm.len() + key.len() + value.len();
        let before = self.realms.get(realm).and_then(|keys| keys.get(key)).map(|e| size(&e.value));
        self.check(size(value), before, key)?;
        self.remove(realm, key);
        self.count(size(value));
        let entry = Entry { value: value.to_owned(), order: self.next };
        self.next += 1;
        self.realms.entry(realm.to_owned()).or_default().insert(key.to_owned(), entry);
        Ok(())
    }

    fn join(&mut self, group: &str, url: &str) -> Result<(), Full> {
        let size = group.len() + url.len();
        let is_in = self.groups.get(group).is_some_and(|members| members.iter().any(|m| m == url));
        self.check(size, is_in.then_some(size), group)?;
        self.leave(group, Some(url));
        self.count(size);
        self.groups.entry(group.to_owned()).or_default().push(url.to_owned());
        Ok(())
    }

    fn remove(&mut self, realm: &str, key: &str) -> bool {
        let Some(keys) = self.realms.get_mut(realm) else { return false };
        let Some(entry) = keys.remove(key) else { return false };
        if keys.is_empty() {
            self.realms.remove(realm);
        }
        self.give_back(realm.len() + key.len() + entry.value.len());
        true
    }

    /// Takes a dial string, or all, out of a group.
    fn leave(&mut self, group: &str, url: Option<&str>) -> bool {
        let Some(members) = self.groups.get_mut(group) else { return false };
        let mut gone = Vec::new();
        members.retain(|member| {
            let stays = url.is_some_and(|url| url != member);
            if !stays {
                gone.push(group.len() + member.len());
            }
            stays
        });
        if members.is_empty() {
            self.groups.remove(group);
        }
        gone.iter().for_each(|bytes| self.give_back(*bytes));
        !gone.is_empty()
    }

    /// Everything as lines of the journal.
    fn lines(&self) -> Vec<String> {
        let mut values: Vec<_> = self
            .realms
            .iter()
            .flat_map(|(realm, keys)| {
                keys.iter().map(move |(key, entry)| (entry.order, realm, key, &entry.value))
            })
            .collect();
        values.sort_unstable();
        let values =
            values.into_iter().map(|(_, realm, key, value)| journal::line(&["+", realm, key, value]));
        let groups = self
            .groups
            .iter()
            .flat_map(|(group, urls)| urls.iter().map(move |url| journal::line(&["g+", group, url])));
        values.chain(groups).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::PathBuf;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("tandem-db-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        folder
    }

    #[test]
    fn what_is_stored_is_there_after_a_restart() {
        let folder = folder("restart");
        let db = Db::open(&folder);
        assert!(!folder.exists(), "nothing stored, nothing written");
        db.insert("r", "b", "1").unwrap();
        db.insert("r", "a", "two\twords\n").unwrap();
        db.insert("s", "k", "x").unwrap();
        db.remove("s", "k");
        db.insert("r", "b", "3").unwrap();
        db.group_insert("g", "user/1").unwrap();
        db.group_insert("g", "user/2").unwrap();
        db.group_insert("g", "user/1").unwrap();
        drop(db);
        let db = Db::open(&folder);
        assert_eq!(db.get("r", "a").as_deref(), Some("two\twords\n"));
        assert_eq!(db.keys("r"), ["a", "b"], "in the order of the values");
        assert_eq!(db.realms(), ["r"]);
        assert_eq!(db.group("g"), ["user/2", "user/1"]);
        db.group_remove("g", None);
        assert!(Db::open(&folder).group("g").is_empty());
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_line_that_was_cut_off_costs_only_itself() {
        let folder = folder("torn");
        let file = folder.join("db.journal");
        let db = Db::open(&folder);
        db.insert("r", "a", "1").unwrap();
        drop(db);
        let mut text = fs::read_to_string(&file).unwrap();
        text.push_str("of\ta\tlater\tversion\n+\tr\tb");
        fs::write(&file, text).unwrap();
        let db = Db::open(&folder);
        assert_eq!(db.keys("r"), ["a"]);
        db.insert("r", "c", "2").unwrap();
        assert_eq!(Db::open(&folder).keys("r"), ["a", "c"], "the next change does not stick to it");
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn the_file_does_not_grow_without_end() {
        let folder = folder("grow");
        let db = Db::open(&folder);
        for n in 0..20_000 {
            db.insert("r", "k", &n.to_string()).unwrap();
        }
        let lines = fs::read_to_string(folder.join("db.journal")).unwrap().lines().count();
        assert!(lines < 2000, "{lines} lines for one value");
        assert_eq!(Db::open(&folder).get("r", "k").as_deref(), Some("19999"));
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_disk_that_does_not_take_it_is_caught_up_with() {
        let folder = folder("full");
        fs::write(&folder, "in the way").unwrap();
        let db = Db::open(&folder);
        db.insert("r", "a", "1").unwrap();
        assert_eq!(db.get("r", "a").as_deref(), Some("1"));
        fs::remove_file(&folder).unwrap();
        db.insert("r", "b", "2").unwrap();
        assert_eq!(Db::open(&folder).keys("r"), ["a", "b"]);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_full_store_refuses() {
        let db = Db::in_memory();
        db.insert("r", "k", "old").unwrap();
        assert_eq!(db.insert("r", "k", &"x".repeat(BYTES)), Err(Full));
        assert_eq!(db.get("r", "k").as_deref(), Some("old"), "a value too large leaves the old one");
        assert_eq!(db.held().tables.bytes, 5);
    }
}
