//! Variables that are lists: `ARRAY::first|:second` (FreeSWITCH's switch_event.c).
//!
//! Written as one text they stand among the other variables. A list of one element prints as that element.

use super::variables::Variables;
use std::borrow::Cow;

const MARK: &str = "ARRAY::";
const BETWEEN: &str = "|:";
/// The highest index an element may be set at: FreeSWITCH's limit.
const HIGHEST: usize = 4000;

/// `name[index]` in its parts; a plain name has no index.
pub fn place(name: &str) -> (&str, Option<i64>) {
    match name.split_once('[') {
        Some((name, index)) if index.contains(']') => (name, Some(number(index))),
        _ => (name, None),
    }
}

/// C's `atoi`, as far as an index goes.
fn number(text: &str) -> i64 {
    let digits = text.bytes().skip(usize::from(text.starts_with('-'))).take_while(u8::is_ascii_digit).count();
    let end = digits + usize::from(text.starts_with('-'));
    text.get(..end).and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// The element at `index`; with an index below 0 the whole text. A plain text has no elements.
pub fn element(text: &str, index: i64) -> Option<&str> {
    match usize::try_from(index) {
        Ok(index) => text.strip_prefix(MARK)?.split(BETWEEN).nth(index),
        Err(_) => Some(text),
    }
}

/// A value as it prints.
pub fn printed(text: Cow<'_, str>) -> Cow<'_, str> {
    match text.strip_prefix(MARK) {
        Some(one) if !one.contains(BETWEEN) => Cow::Owned(one.to_owned()),
        _ => text,
    }
}

/// A list of these.
pub fn of<'t>(elements: impl IntoIterator<Item = &'t str>) -> String {
    let mut out = String::new();
    for element in elements {
        out.push_str(if out.is_empty() { MARK } else { BETWEEN });
        out.push_str(element);
    }
    out
}

/// `value` behind the elements of `held`. What is no list becomes the first element of one.
pub fn push(held: Option<&str>, value: &str) -> String {
    of(elements(held).chain([value]))
}

/// `value` before the elements of `held`.
pub fn unshift(held: Option<&str>, value: &str) -> String {
    of([value].into_iter().chain(elements(held)))
}

fn elements(held: Option<&str>) -> impl Iterator<Item = &str> {
    held.filter(|held| !held.is_empty())
        .into_iter()
        .flat_map(|held| held.strip_prefix(MARK).unwrap_or(held).split(BETWEEN))
}

/// `held` with the element at `index` being `value`; `None` for an index that cannot be set. Elements in between are
/// empty. A text that is no list is lost, as in FreeSWITCH.
pub fn set(held: Option<&str>, index: i64, value: &str) -> Option<String> {
    let index = usize::try_from(index).ok().filter(|index| *index <= HIGHEST)?;
    let list = held.and_then(|held| held.strip_prefix(MARK));
    let mut elements: Vec<&str> = list.map(|list| list.split(BETWEEN).collect()).unwrap_or_default();
    if elements.len() <= index {
        elements.resize(index + 1, "");
    }
    if let Some(place) = elements.get_mut(index) {
        *place = value;
    }
    Some(MARK.to_owned() + &elements.join(BETWEEN))
}

impl Variables {
    /// Sets a variable, or with a name like `name[2]` an element of one. An empty value takes a variable away, and leaves
    /// the elements of a list as they are (`switch_channel_add_variable_var_check`).
    pub fn assign(&mut self, name: &str, value: &str, wire: bool) {
        let (name, text, wire) = match place(name) {
            (whole, Some(index)) if !value.is_empty() => {
                let held = self.get_marked(whole);
                let Some(text) = set(held.map(|(text, _)| text), index, value) else { return };
                (whole, Cow::Owned(text), wire || held.is_some_and(|(_, wire)| wire))
            }
            (_, Some(_)) => return,
            _ => (name, Cow::Borrowed(value), wire),
        };
        if wire { self.set_wire(name, &text) } else { self.set(name, &text) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_grow_at_both_ends_and_in_the_middle() {
        assert_eq!(push(None, "a"), "ARRAY::a");
        assert_eq!(push(Some("ARRAY::a"), "b"), "ARRAY::a|:b");
        assert_eq!(push(Some("plain"), "b"), "ARRAY::plain|:b");
        assert_eq!(unshift(Some("ARRAY::a|:b"), "c"), "ARRAY::c|:a|:b");
        assert_eq!(set(None, 2, "c").as_deref(), Some("ARRAY::|:|:c"));
        assert_eq!(set(Some("ARRAY::a|:b"), 0, "c").as_deref(), Some("ARRAY::c|:b"));
        assert_eq!(set(Some("plain"), 0, "c").as_deref(), Some("ARRAY::c"));
        assert_eq!(set(None, -1, "c"), None);
        assert_eq!(set(None, 4001, "c"), None);
    }

    #[test]
    fn an_element_is_assigned_and_keeps_the_mark() {
        let mut variables = Variables::default();
        variables.assign("l[1]", "b", true);
        variables.assign("L[0]", "a", false);
        variables.assign("l[1]", "", false);
        assert_eq!(variables.get_marked("l"), Some(("ARRAY::a|:b", true)));
        variables.assign("l", "", false);
        assert_eq!(variables.get("l"), None);
    }

    #[test]
    fn elements_are_found() {
        assert_eq!(place("a[12]"), ("a", Some(12)));
        assert_eq!(place("a[x]"), ("a", Some(0)));
        assert_eq!(place("a[1"), ("a[1", None));
        assert_eq!(element("ARRAY::a|:b", 1), Some("b"));
        assert_eq!(element("ARRAY::a|:b", 2), None);
        assert_eq!(element("plain", 0), None);
        assert_eq!(element("plain", -1), Some("plain"));
        assert_eq!(printed("ARRAY::a".into()), "a");
        assert_eq!(printed("ARRAY::a|:b".into()), "ARRAY::a|:b");
    }
}
