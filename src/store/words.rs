//! What people at the console have taught it: aliases of commands, and words that complete a line.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Full;

/// Aliases there may be, and completions.
const MOST: usize = 1_000;

/// Words in one completion.
pub const WORDS: usize = 10;

/// The console's words. All of them are gone after a restart.
#[derive(Debug, Default)]
pub struct Words {
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    aliases: BTreeMap<String, String>,
    completions: Vec<Vec<String>>,
}

impl Words {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `alias` stands for `command` from now on.
    ///
    /// # Errors
    /// There is no room for another.
    pub fn add_alias(&self, alias: &str, command: &str) -> Result<(), Full> {
        let mut held = self.held();
        if held.aliases.len() >= MOST && !held.aliases.contains_key(alias) {
            return Err(Full);
        }
        held.aliases.insert(alias.to_owned(), command.to_owned());
        Ok(())
    }

    /// Forgets an alias; every one when none is named.
    pub fn remove_alias(&self, alias: Option<&str>) {
        let mut held = self.held();
        match alias {
            Some(alias) => drop(held.aliases.remove(alias)),
            None => held.aliases.clear(),
        }
    }

    /// What an alias stands for.
    pub fn alias(&self, alias: &str) -> Option<String> {
        self.held().aliases.get(alias).cloned()
    }

    /// Every alias and what it stands for, by name.
    pub fn aliases(&self) -> Vec<(String, String)> {
        self.held().aliases.iter().map(|(alias, command)| (alias.clone(), command.clone())).collect()
    }

    /// A line may go on with these words; an empty one is any word.
    ///
    /// # Errors
    /// There is no room for another.
    pub fn add_completion(&self, words: Vec<String>) -> Result<(), Full> {
        let mut held = self.held();
        if held.completions.contains(&words) {
            return Ok(());
        }
        if held.completions.len() >= MOST {
            return Err(Full);
        }
        held.completions.push(words);
        Ok(())
    }

    /// Forgets the completions that begin with these words; every one when none is given.
    pub fn remove_completions(&self, words: &[String]) {
        self.held().completions.retain(|held| !held.starts_with(words));
    }

    /// Every completion, in order.
    pub fn completions(&self) -> Vec<Vec<String>> {
        let mut all = self.held().completions.clone();
        all.sort();
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_come_and_go_and_are_bounded() {
        let words = Words::default();
        for n in 0..MOST {
            words.add_alias(&n.to_string(), "status").unwrap();
        }
        assert!(words.add_alias("one more", "status").is_err());
        words.add_alias("0", "version").unwrap();
        assert_eq!(words.alias("0").as_deref(), Some("version"));
        words.remove_alias(Some("0"));
        assert_eq!((words.alias("0"), words.aliases().len()), (None, MOST - 1));
        words.remove_alias(None);
        assert!(words.aliases().is_empty());
    }

    #[test]
    fn completions_are_kept_once_and_go_by_how_they_begin() {
        let line = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let words = Words::default();
        for text in ["b c", "a b", "a b", "a c"] {
            words.add_completion(line(text)).unwrap();
        }
        assert_eq!(words.completions(), [line("a b"), line("a c"), line("b c")]);
        words.remove_completions(&line("a"));
        assert_eq!(words.completions(), [line("b c")]);
        words.remove_completions(&[]);
        assert!(words.completions().is_empty());
    }
}
