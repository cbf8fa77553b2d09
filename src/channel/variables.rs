//! The variables of a leg: names are case-blind, values remember whether they came from the wire.
//!
//! FreeSWITCH keeps them in a `switch_event` (`switch_channel_set_variable`): the first spelling of a name
//! stays, an empty value removes. Values that a peer sent are data and are never expanded again (DESIGN §5).
//!
//! A call sets some sixty variables and reads few of them. So a variable is sixteen bytes in a list, its name a number
//! where tandem knows it ([`super::known`]), and its value a place: in the message that began the leg, which nearly
//! all that is told of a caller only restates, or in one buffer for what is written by us.

use super::known::{self, Id};
use super::moment::HOOKS;
use bytes::Bytes;
use std::fmt::{self, Write};

/// A piece of the leg's own text, or of its ground.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    at: u32,
    length: u32,
}

/// Set in `Place::at` when the piece lies in the ground.
const GROUND: u32 = 1 << 31;

impl Place {
    fn is_ground(self) -> bool {
        self.at & GROUND != 0
    }

    fn of(self, text: &[u8]) -> &[u8] {
        let at = (self.at & !GROUND) as usize;
        text.get(at..at + self.length as usize).unwrap_or_default()
    }
}

/// One variable.
#[derive(Clone, Copy, Debug)]
struct Variable {
    value: Place,
    /// Where the name stands as it was first written.
    name: u32,
    /// 0 when that is how tandem writes it.
    name_length: u16,
    wire: bool,
}

impl Variable {
    fn name(&self) -> Place {
        Place { at: self.name, length: self.name_length.into() }
    }
}

/// A leg's variables.
#[derive(Clone, Debug, Default)]
pub struct Variables {
    /// The number of each variable's name, in a row of its own: that is searched through.
    ids: Vec<u8>,
    /// Which of them there may be: most that are asked for, or set, are not there.
    seen: known::Seen,
    all: Vec<Variable>,
    /// Names and values that stand nowhere else.
    text: Vec<u8>,
    /// What a peer sent: values that are a piece of it are not copied.
    ground: Bytes,
    /// How much of `text` nobody needs any more.
    waste: usize,
    /// There is, or was, one that wants something done at a moment of the call.
    hooks: bool,
}

/// The most variables a leg may have: a peer's headers become variables, so their number is bounded.
pub const MOST_VARIABLES: usize = 1024;

/// How much text may lie waste before it is cleared away.
const WASTE: usize = 4096;

/// The longest name a variable may have.
const LONGEST_NAME: usize = u16::MAX as usize;

/// The most text a leg's variables may have together; what is set beyond is dropped.
const MOST_TEXT: usize = GROUND as usize - 1;

impl Variables {
    /// No variables yet, and the message that many of them are going to quote.
    pub fn of(ground: Bytes) -> Self {
        Self { ground, ..Self::with_room(64) }
    }

    /// No variables yet, room for `count`.
    pub fn with_room(count: usize) -> Self {
        Self {
            ids: Vec::with_capacity(count),
            all: Vec::with_capacity(count),
            text: Vec::with_capacity(count * 8),
            ..Self::default()
        }
    }

    /// The value of `name`, whatever its case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.find(name).map(|v| self.value(v))
    }

    /// The same, and whether it came from a peer.
    pub fn get_marked(&self, name: &str) -> Option<(&str, bool)> {
        self.find(name).map(|v| (self.value(v), v.wire))
    }

    /// True when the value of `name` came from a peer.
    pub fn is_wire(&self, name: &str) -> bool {
        self.find(name).is_some_and(|v| v.wire)
    }

    /// Sets a value made by configuration or dialplan; an empty one removes the variable.
    pub fn set(&mut self, name: impl AsRef<str>, value: impl AsRef<str>) {
        self.put(name.as_ref(), value.as_ref(), false);
    }

    /// Sets a value that came from a peer: never expanded again.
    pub fn set_wire(&mut self, name: impl AsRef<str>, value: impl AsRef<str>) {
        self.put(name.as_ref(), value.as_ref(), true);
    }

    /// Sets a value of ours that is yet to be written out: a number, an address, `format_args!`.
    pub fn print(&mut self, name: &str, value: impl fmt::Display) {
        self.print_marked(name, value, false);
    }

    /// The same with something of a peer in it.
    pub fn print_wire(&mut self, name: &str, value: impl fmt::Display) {
        self.print_marked(name, value, true);
    }

    fn print_marked(&mut self, name: &str, value: impl fmt::Display, wire: bool) {
        let at = self.text.len();
        let _ = write!(Writer(&mut self.text), "{value}");
        let length = self.text.len() - at;
        if length == 0 || name.len() > LONGEST_NAME || self.text.len() > MOST_TEXT {
            self.text.truncate(at);
            return self.unset(name);
        }
        self.point(name, Place { at: at as u32, length: length as u32 }, wire);
    }

    /// Takes `name` away.
    pub fn unset(&mut self, name: &str) {
        if let Some(index) = self.position(name) {
            self.ids.remove(index);
            let gone = self.all.remove(index);
            self.drop_text(gone.name());
            self.drop_text(gone.value);
        }
    }

    /// Takes every variable away whose name begins with `prefix`.
    pub fn unset_prefix(&mut self, prefix: &str) {
        let gone = |v: &Variables, at| {
            v.at(at).is_some_and(|(id, held)| begins(spelling(id, held, &v.text), prefix))
        };
        for at in (0..self.all.len()).rev() {
            if gone(self, at) {
                self.ids.remove(at);
                let gone = self.all.remove(at);
                self.drop_text(gone.name());
                self.drop_text(gone.value);
            }
        }
    }

    /// FreeSWITCH's truth (`switch_true`): yes, true, on, enabled, active, allow, t or a non-zero number.
    pub fn is_true(&self, name: &str) -> bool {
        self.get(name).is_some_and(is_true)
    }

    /// Every variable as name and value, by name.
    pub fn sorted(&self) -> Vec<(&str, &str)> {
        self.chosen(|_, _| true)
    }

    /// Every variable as name and value, in the order they were first set.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.ids.iter().map(|id| Id(*id)).zip(&self.all);
        all.map(|(id, v)| (spelling(id, v, &self.text), self.value(v)))
    }

    /// Every variable whose name begins with `prefix`, as name and value, by name; but none that tandem has a number for.
    pub fn with_prefix(&self, prefix: &str) -> Vec<(&str, &str)> {
        if !self.seen.has_unknown() {
            return Vec::new();
        }
        self.chosen(|id, v| !id.is_known() && begins(spelling(id, v, &self.text), prefix))
    }

    /// True when a variable may want something done at a moment of the call ([`super::moment`]).
    pub(super) fn has_hooks(&self) -> bool {
        self.hooks
    }

    fn chosen(&self, wanted: impl Fn(Id, &Variable) -> bool) -> Vec<(&str, &str)> {
        let all = self.ids.iter().map(|id| Id(*id)).zip(&self.all);
        let named = |(id, v): (Id, _)| (spelling(id, v, &self.text), self.value(v));
        let mut found: Vec<_> = all.filter(|(id, v)| wanted(*id, v)).map(named).collect();
        found.sort_unstable();
        found
    }

    /// Copies what `from` has, a peer's data staying data.
    pub fn copy(&mut self, from: &Variables, name: &str) {
        if let Some((id, v)) = from.position(name).and_then(|at| from.at(at)) {
            self.put(spelling(id, v, &from.text), from.value(v), v.wire);
        }
    }

    fn at(&self, index: usize) -> Option<(Id, &Variable)> {
        Some((Id(*self.ids.get(index)?), self.all.get(index)?))
    }

    fn find(&self, name: &str) -> Option<&Variable> {
        self.all.get(self.position(name)?)
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.position_of(known::id(name), name)
    }

    fn position_of(&self, id: Id, name: &str) -> Option<usize> {
        if !self.seen.has(id) {
            return None;
        }
        if id.is_known() {
            return memchr::memchr(id.0, &self.ids);
        }
        let is = |v| spelling(id, v, &self.text).eq_ignore_ascii_case(name);
        memchr::memchr_iter(id.0, &self.ids).find(|at| self.all.get(*at).is_some_and(is))
    }

    fn value(&self, v: &Variable) -> &str {
        let bytes = if v.value.is_ground() { &self.ground[..] } else { &self.text };
        std::str::from_utf8(v.value.of(bytes)).unwrap_or_default()
    }

    fn put(&mut self, name: &str, value: &str, wire: bool) {
        if value.is_empty()
            || name.len() > LONGEST_NAME
            || self.text.len() + name.len() + value.len() > MOST_TEXT
        {
            return self.unset(name);
        }
        let place = self.quoted(value).unwrap_or_else(|| self.write(value));
        self.point(name, place, wire);
    }

    /// The place of a text that is itself a piece of the ground.
    fn quoted(&self, text: &str) -> Option<Place> {
        let at = (text.as_ptr() as usize).checked_sub(self.ground.as_ptr() as usize)?;
        let fits = at + text.len() <= self.ground.len() && at < GROUND as usize;
        fits.then_some(Place { at: at as u32 | GROUND, length: text.len() as u32 })
    }

    fn write(&mut self, text: &str) -> Place {
        let at = self.text.len() as u32;
        self.text.extend_from_slice(text.as_bytes());
        Place { at, length: text.len() as u32 }
    }

    /// Gives `name` the value at `value`.
    fn point(&mut self, name: &str, value: Place, wire: bool) {
        let id = known::id(name);
        if let Some(held) = self.position_of(id, name).and_then(|at| self.all.get_mut(at)) {
            let before = std::mem::replace(&mut held.value, value);
            held.wire = wire;
            self.drop_text(before);
        } else if self.all.len() < MOST_VARIABLES {
            let spelled = name;
            let name = if id.spelling() == Some(name) { Place::default() } else { self.write(name) };
            self.hooks |= !id.is_known() && HOOKS.iter().any(|prefix| begins(spelled, prefix));
            self.ids.push(id.0);
            self.seen.put(id);
            self.all.push(Variable { value, name: name.at, name_length: name.length as u16, wire });
        } else {
            self.drop_text(value);
        }
    }

    /// Nobody needs that piece any more.
    fn drop_text(&mut self, place: Place) {
        if !place.is_ground() {
            self.waste += place.length as usize;
        }
        if self.waste > WASTE && self.waste > self.text.len() / 2 {
            let old = std::mem::replace(&mut self.text, Vec::with_capacity(WASTE));
            for v in &mut self.all {
                let name = v.name().of(&old);
                v.name = self.text.len() as u32;
                self.text.extend_from_slice(name);
                if !v.value.is_ground() {
                    let value = v.value.of(&old);
                    v.value.at = self.text.len() as u32;
                    self.text.extend_from_slice(value);
                }
            }
            self.waste = 0;
        }
    }
}

/// The name as it was first written.
fn spelling<'v>(id: Id, v: &Variable, text: &'v [u8]) -> &'v str {
    match v.name_length {
        0 => id.spelling().unwrap_or_default(),
        _ => std::str::from_utf8(v.name().of(text)).unwrap_or_default(),
    }
}

fn begins(name: &str, prefix: &str) -> bool {
    name.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix))
}

/// Prints into bytes.
struct Writer<'a>(&'a mut Vec<u8>);

impl fmt::Write for Writer<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
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
        v.set("Hangup_Cause", "x");
        v.set("hangup_cause", "y");
        assert_eq!(v.get("HANGUP_CAUSE"), Some("y"));
        assert_eq!(v.sorted(), [("Hangup_Cause", "y"), ("RECORD_TITLE", "b")]);
    }

    #[test]
    fn an_empty_value_removes() {
        let mut v = Variables::default();
        v.set("a", "1");
        v.set("a", "");
        assert_eq!(v.get("a"), None);
        v.print("a", 7);
        assert_eq!(v.get("A"), Some("7"));
        v.print("a", "");
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
    fn a_piece_of_the_ground_is_not_copied() {
        let ground = Bytes::from_static(b"From: <sip:1000@pbx>");
        let text = std::str::from_utf8(&ground).expect("ASCII");
        let mut v = Variables::of(ground.clone());
        v.set_wire("sip_from_user", &text[11..15]);
        v.set_wire("sip_full_from", &text[6..]);
        v.set_wire("copied", "1000");
        assert_eq!(v.text, b"1000copied");
        assert_eq!((v.get("sip_from_user"), v.get("sip_full_from")), (Some("1000"), Some("<sip:1000@pbx>")));
        v.unset_prefix("SIP_F");
        assert_eq!(v.sorted(), [("copied", "1000")]);
    }

    #[test]
    fn what_is_set_again_and_again_takes_no_more_room() {
        let mut v = Variables::of(Bytes::from_static(b"ground"));
        v.set("kept", "as it is");
        for n in 0..100_000 {
            v.print("counter", n);
            v.set("hangup_cause", format!("{n:>20}"));
        }
        assert!(v.text.capacity() <= 4 * WASTE, "{}", v.text.capacity());
        assert_eq!((v.get("kept"), v.get("counter")), (Some("as it is"), Some("99999")));
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
