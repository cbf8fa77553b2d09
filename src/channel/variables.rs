//! The variables of a leg: names are case-blind, values remember whether they came from the wire.
//!
//! FreeSWITCH keeps them in a `switch_event` (`switch_channel_set_variable`): the first spelling of a name
//! stays, an empty value removes. Values that a peer sent are data and are never expanded again (DESIGN §5).

use std::borrow::Cow;
use std::collections::HashMap;

/// One variable.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Value {
    name: Cow<'static, str>,
    text: String,
    wire: bool,
}

/// A leg's variables.
#[derive(Clone, Debug, Default)]
pub struct Variables {
    by_name: HashMap<Box<str>, Value>,
}

/// The most variables a leg may have: a peer's headers become variables, so their number is bounded.
pub const MOST_VARIABLES: usize = 1024;

fn key(name: &str) -> Cow<'_, str> {
    if name.bytes().any(|b| b.is_ascii_uppercase()) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    }
}

impl Variables {
    /// The value of `name`, whatever its case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.by_name.get(key(name).as_ref()).map(|v| v.text.as_str())
    }

    /// True when the value of `name` came from a peer.
    pub fn is_wire(&self, name: &str) -> bool {
        self.by_name.get(key(name).as_ref()).is_some_and(|v| v.wire)
    }

    /// Sets a value made by configuration or dialplan; an empty one removes the variable.
    pub fn set(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<String>) {
        self.put(name.into(), value.into(), false);
    }

    /// Sets a value that came from a peer: never expanded again.
    pub fn set_wire(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<String>) {
        self.put(name.into(), value.into(), true);
    }

    /// Takes `name` away.
    pub fn unset(&mut self, name: &str) {
        self.by_name.remove(key(name).as_ref());
    }

    /// Takes every variable away whose name begins with `prefix`.
    pub fn unset_prefix(&mut self, prefix: &str) {
        let prefix = key(prefix).into_owned();
        self.by_name.retain(|name, _| !name.starts_with(&prefix));
    }

    /// FreeSWITCH's truth (`switch_true`): yes, true, on, enabled, active, allow, t or a non-zero number.
    pub fn is_true(&self, name: &str) -> bool {
        self.get(name).is_some_and(is_true)
    }

    /// Every variable as name and value, by name.
    pub fn sorted(&self) -> Vec<(&str, &str)> {
        let mut all: Vec<_> = self.by_name.values().map(|v| (v.name.as_ref(), v.text.as_str())).collect();
        all.sort_unstable();
        all
    }

    /// Copies what `from` has, a peer's data staying data.
    pub fn copy(&mut self, from: &Variables, name: &str) {
        if let Some(v) = from.by_name.get(key(name).as_ref()) {
            self.put(v.name.clone(), v.text.clone(), v.wire);
        }
    }

    fn put(&mut self, name: Cow<'static, str>, text: String, wire: bool) {
        let key = key(&name).into_owned().into_boxed_str();
        if text.is_empty() {
            self.by_name.remove(&key);
        } else if let Some(held) = self.by_name.get_mut(&key) {
            (held.text, held.wire) = (text, wire);
        } else if self.by_name.len() < MOST_VARIABLES {
            self.by_name.insert(key, Value { name, text, wire });
        }
    }
}

/// FreeSWITCH's `switch_true`.
pub fn is_true(text: &str) -> bool {
    ["yes", "on", "true", "t", "enabled", "active", "allow"].iter().any(|w| text.eq_ignore_ascii_case(w))
        || text.parse::<i64>().is_ok_and(|n| n != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_case_blind_and_keep_their_first_spelling() {
        let mut v = Variables::default();
        v.set("RECORD_TITLE", "a");
        v.set("record_title", "b");
        assert_eq!(v.get("Record_Title"), Some("b"));
        assert_eq!(v.sorted(), [("RECORD_TITLE", "b")]);
    }

    #[test]
    fn an_empty_value_removes() {
        let mut v = Variables::default();
        v.set("a", "1");
        v.set("a", "");
        assert_eq!(v.get("a"), None);
    }

    #[test]
    fn a_peers_value_stays_marked_until_it_is_set_anew() {
        let mut v = Variables::default();
        v.set_wire("sip_from_display", "${system rm}");
        assert!(v.is_wire("SIP_FROM_DISPLAY"));
        let mut other = Variables::default();
        other.copy(&v, "sip_from_display");
        assert!(other.is_wire("sip_from_display"));
        v.set("sip_from_display", "Bob");
        assert!(!v.is_wire("sip_from_display"));
    }

    #[test]
    fn a_stranger_cannot_add_without_end() {
        let mut v = Variables::default();
        for n in 0..MOST_VARIABLES + 5 {
            v.set_wire(format!("sip_h_x-{n}"), "x");
        }
        assert_eq!(v.sorted().len(), MOST_VARIABLES);
    }

    #[test]
    fn truth_is_freeswitchs() {
        for (text, truth) in
            [("true", true), ("Yes", true), ("1", true), ("0", false), ("", false), ("no", false)]
        {
            assert_eq!(is_true(text), truth, "{text}");
        }
    }
}
