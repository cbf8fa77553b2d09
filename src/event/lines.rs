//! Header names and values of an event, all in one text: what a leg tells is eighty lines, forty times a call, and two
//! allocations an event are what a call can afford.

use super::value::Headers;
use std::fmt::{Display, Write};

/// Where a header stands in the text.
#[derive(Clone, Copy, Debug)]
struct Line {
    at: u32,
    name: u32,
    value: u32,
}

/// Header names and values, in the order they were added.
#[derive(Clone, Debug, Default)]
pub struct Lines {
    text: String,
    lines: Vec<Line>,
}

/// The most text one event has; what is added beyond is left out.
const MOST_TEXT: usize = 64 << 20;

impl Lines {
    /// None yet, and room for so many with so many bytes in them.
    pub fn with_room(lines: usize, bytes: usize) -> Lines {
        Lines { text: String::with_capacity(bytes), lines: Vec::with_capacity(lines) }
    }

    /// Adds one.
    pub fn add(&mut self, name: &str, value: &str) {
        self.add_of("", name, value);
    }

    /// Adds one whose name is `prefix` and `name`.
    pub fn add_of(&mut self, prefix: &str, name: &str, value: &str) {
        let at = self.text.len();
        if value.len().saturating_add(name.len()) > MOST_TEXT.saturating_sub(at) {
            return;
        }
        self.text.push_str(prefix);
        self.text.push_str(name);
        self.text.push_str(value);
        self.note(at, prefix.len() + name.len());
    }

    /// Adds one whose value is printed.
    pub fn print(&mut self, name: &str, value: impl Display) {
        self.print_of("", name, value);
    }

    /// The same with a name of two pieces.
    pub fn print_of(&mut self, prefix: &str, name: &str, value: impl Display) {
        let at = self.text.len();
        if at > MOST_TEXT {
            return;
        }
        self.text.push_str(prefix);
        self.text.push_str(name);
        let _ = write!(self.text, "{value}");
        self.note(at, prefix.len() + name.len());
    }

    fn note(&mut self, at: usize, name: usize) {
        let value = self.text.len() - at - name;
        self.lines.push(Line { at: at as u32, name: name as u32, value: value as u32 });
    }

    /// Adds a number that is not known yet: room for its digits. What it returns finds the place again.
    pub(super) fn add_number(&mut self, name: &str) -> usize {
        const ROOM: &str = "00000000000000000000";
        self.add(name, ROOM);
        self.lines.len() - 1
    }

    /// Fills in the number at `place`.
    pub(super) fn number(&mut self, place: usize, number: u64) {
        let Some(line) = self.lines.get_mut(place) else { return };
        let digits = number.to_string();
        let at = (line.at + line.name) as usize;
        if digits.len() <= line.value as usize {
            line.value = digits.len() as u32;
            self.text.replace_range(at..at + digits.len(), &digits);
        }
    }

    /// Every name and value.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.lines.iter().map(|line| {
            let (at, name) = (line.at as usize, line.name as usize);
            let whole = self.text.get(at..at + name + line.value as usize).unwrap_or_default();
            whole.split_at_checked(name).unwrap_or_default()
        })
    }

    /// The first value of the header called `name`, whatever its case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// How many bytes its names and values have.
    pub(super) fn text_len(&self) -> usize {
        self.text.len()
    }

    /// How many bytes it holds.
    pub(super) fn weight(&self) -> usize {
        self.text.capacity() + self.lines.capacity() * size_of::<Line>()
    }

    /// Gives back the room that is not needed.
    pub(super) fn settle(&mut self) {
        self.text.shrink_to_fit();
        self.lines.shrink_to_fit();
    }
}

impl<N: AsRef<str>, V: AsRef<str>> Extend<(N, V)> for Lines {
    fn extend<T: IntoIterator<Item = (N, V)>>(&mut self, all: T) {
        all.into_iter().for_each(|(name, value)| self.add(name.as_ref(), value.as_ref()));
    }
}

impl From<Headers> for Lines {
    fn from(headers: Headers) -> Lines {
        let bytes = headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        let mut lines = Lines::with_room(headers.len(), bytes);
        lines.extend(headers);
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_is_found_in_its_order() {
        let mut lines = Lines::default();
        lines.add("A", "1");
        let place = lines.add_number("Number");
        lines.add_of("variable_", "x", "ż");
        lines.print_of("Caller-", "Time", 17);
        lines.add("Empty", "");
        lines.number(place, 4711);
        let all: Vec<_> = lines.iter().collect();
        let wanted =
            [("A", "1"), ("Number", "4711"), ("variable_x", "ż"), ("Caller-Time", "17"), ("Empty", "")];
        assert_eq!(all, wanted);
        assert_eq!((lines.get("VARIABLE_X"), lines.get("none"), lines.len()), (Some("ż"), None, 5));
        lines.number(place, u64::MAX);
        assert_eq!(lines.get("Number"), Some("4711"), "a number is filled in once");
    }
}
