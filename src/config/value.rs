//! One parameter's value on its way into a typed field.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use super::element::Element;
use super::position::Position;
use super::problem::Problem;
use super::suggest::nearest;

/// FreeSWITCH's idea of true: yes, on, true, t, enabled, active, allow, or a number other than 0.
pub fn is_true(value: &str) -> bool {
    let words = ["yes", "on", "true", "t", "enabled", "active", "allow"];
    words.iter().any(|w| value.eq_ignore_ascii_case(w)) || value.parse::<f64>().is_ok_and(|n| n.abs() >= 1.0)
}

/// The words people write for false. FreeSWITCH takes anything that is not true for false.
pub fn is_false(value: &str) -> bool {
    let words = ["", "no", "off", "false", "f", "disabled", "inactive", "disallow", "none", "0"];
    words.iter().any(|w| value.eq_ignore_ascii_case(w))
}

/// A parameter and where its problems go.
pub struct Value<'a> {
    /// The parameter's name as written.
    pub name: &'a str,
    /// Its value, blanks at both ends removed.
    pub text: &'a str,
    /// Where the value begins.
    pub at: &'a Position,
    problems: &'a mut Vec<Problem>,
}

impl<'a> Value<'a> {
    /// The value of `<param name= value=>`.
    pub fn of(element: &'a Element, problems: &'a mut Vec<Problem>) -> Value<'a> {
        Value {
            name: element.attr("name").unwrap_or(""),
            text: element.attr("value").unwrap_or("").trim(),
            at: element.attr_at("value"),
            problems,
        }
    }

    /// Reports an error with this value.
    pub fn wrong(&mut self, message: impl Into<String>, hint: impl Into<String>) {
        self.problems.push(Problem::error(self.at, message).hint(hint));
    }

    /// Reports a warning about this value.
    pub fn doubt(&mut self, message: impl Into<String>, hint: impl Into<String>) {
        self.problems.push(Problem::warning(self.at, message).hint(hint));
    }

    /// True or false as FreeSWITCH reads it; a word that is neither is a warning and false.
    pub fn flag(&mut self, into: &mut bool) {
        *into = self.is_on();
    }

    /// The same as a result.
    pub fn is_on(&mut self) -> bool {
        let on = is_true(self.text);
        if !on && !is_false(self.text) {
            self.doubt(
                format!("{} is `{}`, which counts as false", self.name, self.text),
                "write true or false",
            );
        }
        on
    }

    /// A whole number within `range`; otherwise an error, and `into` stays.
    pub fn number<T: TryFrom<u64>>(&mut self, range: RangeInclusive<u64>, into: &mut T) {
        self.take(range, into);
    }

    /// The same; true when it was one.
    pub fn take<T: TryFrom<u64>>(&mut self, range: RangeInclusive<u64>, into: &mut T) -> bool {
        match self.text.parse::<u64>().ok().filter(|n| range.contains(n)).and_then(|n| T::try_from(n).ok()) {
            Some(number) => {
                *into = number;
                true
            }
            None => {
                let hint = if *range.end() == u64::from(u32::MAX) {
                    format!("write a whole number from {}", range.start())
                } else {
                    format!("write a whole number from {} to {}", range.start(), range.end())
                };
                self.wrong(format!("{} is `{}`", self.name, self.text), hint);
                false
            }
        }
    }

    /// A number where 0 and an empty value mean "none".
    pub fn limit(&mut self, into: &mut Option<u32>) {
        let mut number = 0u32;
        if !self.text.is_empty() && !self.take(0..=u64::from(u32::MAX), &mut number) {
            return;
        }
        *into = (number > 0).then_some(number);
    }

    /// A port from 1 to 65535.
    pub fn port(&mut self, into: &mut u16) {
        self.take(1..=65535, into);
    }

    /// The text, or `None` when it is empty.
    pub fn text(&self, into: &mut Option<String>) {
        *into = (!self.text.is_empty()).then(|| self.text.to_owned());
    }

    /// One of the given words, without case; otherwise an error that names them, and `into` stays.
    pub fn one_of<T: Clone>(&mut self, words: &[(&str, T)], into: &mut T) {
        match words.iter().find(|(word, _)| self.text.eq_ignore_ascii_case(word)) {
            Some((_, value)) => *into = value.clone(),
            None => {
                let list: Vec<&str> = words.iter().map(|(w, _)| *w).collect();
                let hint = match nearest(self.text, list.iter().copied()) {
                    Some(near) => format!("did you mean {near}?"),
                    None => format!("write one of {}", list.join(", ")),
                };
                self.wrong(format!("{} is `{}`", self.name, self.text), hint);
            }
        }
    }

    /// An IP address; brackets round IPv6 are allowed.
    pub fn ip(&self) -> Option<IpAddr> {
        self.text.trim_start_matches('[').trim_end_matches(']').parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn truth() {
        for word in ["yes", "ON", "True", "t", "enabled", "active", "allow", "1", "7", "-1"] {
            assert!(is_true(word), "{word}");
        }
        for word in ["no", "false", "0", "", "maybe", "y", "disallow", "0.5"] {
            assert!(!is_true(word), "{word}");
        }
        assert!(!is_false("maybe") && !is_false("y"));
    }
}
