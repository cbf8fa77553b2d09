//! The global variables: `$${name}` in the files, the fall-back of `${name}` at run time, `global_setvar`.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;

/// One table of globals at one moment. Names are compared without case.
#[derive(Clone, Debug, Default)]
pub struct Table {
    entries: HashMap<Box<str>, Entry>,
    next: u64,
}

#[derive(Clone, Debug)]
struct Entry {
    name: Arc<str>,
    value: Arc<str>,
    order: u64,
}

impl Table {
    /// The value of `name`.
    pub fn get(&self, name: &str) -> Option<&Arc<str>> {
        if let Some(entry) = self.entries.get(name) {
            return Some(&entry.value);
        }
        if name.bytes().any(|b| b.is_ascii_uppercase()) {
            return self.entries.get(&*name.to_ascii_lowercase()).map(|e| &e.value);
        }
        None
    }

    /// Sets `name`; an empty value removes it, as in FreeSWITCH.
    pub fn set(&mut self, name: &str, value: &str) {
        let key = name.to_ascii_lowercase();
        if value.is_empty() {
            self.entries.remove(key.as_str());
            return;
        }
        match self.entries.get_mut(key.as_str()) {
            Some(entry) => entry.value = value.into(),
            None => {
                let entry = Entry { name: name.into(), value: value.into(), order: self.next };
                self.next += 1;
                self.entries.insert(key.into(), entry);
            }
        }
    }

    /// Names (as first written) and values in the order they were first set.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut all: Vec<&Entry> = self.entries.values().collect();
        all.sort_by_key(|e| e.order);
        all.into_iter().map(|e| (&*e.name, &*e.value))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// The globals, shared by all threads. A clone is the same table. Reading takes no lock.
#[derive(Clone, Debug, Default)]
pub struct Globals {
    table: Arc<ArcSwap<Table>>,
}

impl Globals {
    /// Globals that begin as `table`.
    pub fn new(table: Table) -> Self {
        Globals { table: Arc::new(ArcSwap::from_pointee(table)) }
    }

    /// The value of `name`, compared without case.
    pub fn get(&self, name: &str) -> Option<Arc<str>> {
        self.table.load().get(name).cloned()
    }

    /// Sets `name`; an empty value removes it. Copies the table: made for `global_setvar`, not for every packet.
    pub fn set(&self, name: &str, value: &str) {
        self.table.rcu(|old| {
            let mut new = Table::clone(old);
            new.set(name, value);
            new
        });
    }

    /// The table as it is now.
    pub fn snapshot(&self) -> Arc<Table> {
        self.table.load_full()
    }

    /// Takes over what a reload has set: every name of `other` gets its value here, names that `other` lacks stay,
    /// as globals survive `reloadxml` in FreeSWITCH.
    pub fn adopt(&self, other: &Globals) {
        let newer = other.snapshot();
        self.table.rcu(|old| {
            let mut merged = Table::clone(old);
            for (name, value) in newer.iter() {
                merged.set(name, value);
            }
            merged
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_case_blind_and_an_empty_value_removes() {
        let g = Globals::default();
        g.set("Domain", "a.example");
        g.set("other", "1");
        assert_eq!(g.get("dOMAIN").as_deref(), Some("a.example"));
        g.set("domain", "b.example");
        let table = g.snapshot();
        assert_eq!(table.iter().collect::<Vec<_>>(), [("Domain", "b.example"), ("other", "1")]);
        g.set("DOMAIN", "");
        assert_eq!(g.get("domain"), None);
        assert_eq!(table.len(), 2, "a snapshot stays as it was");
    }

    #[test]
    fn a_reload_keeps_what_it_does_not_name() {
        let (running, new) = (Globals::default(), Globals::default());
        running.set("kept", "1");
        running.set("changed", "1");
        new.set("changed", "2");
        running.adopt(&new);
        assert_eq!(running.get("kept").as_deref(), Some("1"));
        assert_eq!(running.get("changed").as_deref(), Some("2"));
    }
}
