//! Captured text inside a template.
//!
//! `$1` is replaced while the dialplan hunts, the data around it is expanded when the application runs. What the
//! caller dialled must not become a `${…}` in between, so the characters that mean something to the expansion are
//! moved to a private block of Unicode in captured text, and moved back in what the expansion puts out.
//!
//! Text from the wire must not become more than a word of an application's data either: another leg of a dial
//! string, the context of a transfer. For those who read such lists the expansion is kept in a second form, in which
//! separators from the wire are still moved away ([`Expanded::guarded`]); they move them back word by word ([`plain`]).
//! The slash is a separator to few: for those whose arguments are `realm/key/value` it is moved away as well
//! ([`Expanded::fields`]), to the others, who read `sofia/gateway/…`, it is a character like any other.

use std::borrow::Cow;

use super::expand::{Expanded, expand_guarded, has_work};
use super::scope::Scope;

/// The characters an expansion or a list of arguments would act on, then those that separate the words of a dial string
/// or of a transfer, then what else means something to a shell.
const SPECIAL: [char; 27] = [
    '$', '{', '}', '(', ')', '\\', '\'', ',', '|', '[', ']', '<', '>', ':', ' ', ';', '&', '`', '"', '*',
    '?', '#', '~', '!', '\n', '\r', '\t',
];
/// How many of them an expansion would act on.
const EXPANDING: usize = 7;
/// Where they are moved to: the end of the Supplementary Private Use Area B, used by nobody.
const FIRST: u32 = 0x10_FF00;
/// Where the slash is moved to, which separates the fields of `hash` and `db`: behind all of them.
const SLASH: char = '\u{10FF1B}';

fn moved(c: char, special: &[char]) -> Option<char> {
    if c.is_ascii_alphanumeric() {
        return None;
    }
    let index = special.iter().position(|s| *s == c)?;
    char::from_u32(FIRST + u32::try_from(index).ok()?)
}

fn back(c: char) -> Option<char> {
    if c == SLASH {
        return Some('/');
    }
    let index = u32::from(c).checked_sub(FIRST)?;
    SPECIAL.get(usize::try_from(index).ok()?).copied()
}

/// Captured text in the form a template may hold. Private characters of its own are dropped.
pub(super) fn quoted(text: &str) -> Cow<'_, str> {
    moved_away(text, SPECIAL.get(..EXPANDING).unwrap_or(&SPECIAL))
}

/// Text from the wire in the form it may take among text of ours: separators are moved away too. [`plain`] brings
/// them back.
pub fn guarded(text: &str) -> Cow<'_, str> {
    moved_away(text, &SPECIAL)
}

/// As [`guarded`], and slashes are moved away too.
pub(super) fn guarded_fields(text: &str) -> Cow<'_, str> {
    let text = guarded(text);
    if text.contains('/') { Cow::Owned(text.replace('/', SLASH.encode_utf8(&mut [0; 4]))) } else { text }
}

/// Brings back the slashes, and nothing else.
pub fn with_slashes(text: &str) -> Cow<'_, str> {
    if text.contains(SLASH) { Cow::Owned(text.replace(SLASH, "/")) } else { Cow::Borrowed(text) }
}

/// Whether the arguments of a function are fields between slashes, in which a slash from the wire separates nothing.
pub fn takes_fields(function: &str) -> bool {
    ["db", "hash"].iter().any(|name| name.eq_ignore_ascii_case(function))
}

fn moved_away<'t>(text: &'t str, special: &[char]) -> Cow<'t, str> {
    if !text.contains(|c| moved(c, special).is_some() || back(c).is_some()) {
        return Cow::Borrowed(text);
    }
    text.chars().filter(|c| back(*c).is_none()).map(|c| moved(c, special).unwrap_or(c)).collect()
}

/// Whether anything in `text` is quoted.
pub(super) fn is_quoted(text: &str) -> bool {
    text.contains(|c| back(c).is_some())
}

/// The text as the caller wrote it.
pub fn plain(text: &str) -> Cow<'_, str> {
    if !is_quoted(text) {
        return Cow::Borrowed(text);
    }
    text.chars().map(|c| back(c).unwrap_or(c)).collect()
}

/// The data of an action: text with `${…}` still to be expanded, and captured text which never is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Template(String);

impl Template {
    /// A template of text that configuration or an operator wrote.
    pub fn new(text: impl Into<String>) -> Self {
        Template(text.into())
    }

    pub(super) fn from_quoted(text: String) -> Self {
        Template(text)
    }

    /// A template of [`Expanded::guarded`] text or a part of it: what came from the wire is not expanded.
    pub fn guarded(text: impl Into<String>) -> Self {
        Template(text.into())
    }

    /// The data as the application gets it.
    pub fn expand<S: Scope + ?Sized>(&self, scope: &S) -> Expanded {
        let done = expand_guarded(&self.0, scope);
        if !is_quoted(&done.text) {
            return done;
        }
        Expanded::part(&done.text)
    }

    /// The data for an application that is not to have it expanded.
    pub fn unexpanded(&self) -> Expanded {
        Expanded::part(&self.0)
    }

    /// The data before expansion: for the log, and for applications that are told not to expand.
    pub fn as_written(&self) -> Cow<'_, str> {
        plain(&self.0)
    }

    /// Whether an expansion would change anything.
    pub fn has_work(&self) -> bool {
        has_work(&self.0)
    }

    /// The arguments of each `${function(…)}` in it, not expanded.
    pub fn arguments_of(&self, function: &str) -> Vec<Template> {
        let mut found = Vec::new();
        let mut rest = self.0.as_str();
        while let Some((_, behind)) = rest.split_once("${") {
            rest = behind;
            let Some((name, arguments)) = behind.split_once('(') else { break };
            if !name.eq_ignore_ascii_case(function) {
                continue;
            }
            let mut depth = 1;
            let end = arguments.find(|c| {
                depth += i32::from(c == '(') - i32::from(c == ')');
                depth == 0
            });
            found.extend(end.and_then(|end| arguments.get(..end)).map(Template::guarded));
        }
        found
    }

    /// Whether there is no data at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl std::fmt::Display for Template {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.as_written())
    }
}

#[cfg(test)]
mod tests {
    use super::super::scope::Value;
    use super::*;

    struct Caller(&'static str);

    impl Scope for Caller {
        fn variable(&self, name: &str) -> Option<Value<'_>> {
            match name {
                "wire" => Some(Value::wire(self.0)),
                "ours" => Some(Value::ours("a,b|c ${wire}")),
                _ => None,
            }
        }

        fn profile_field(&self, _: &str) -> Option<Value<'_>> {
            None
        }

        fn global(&self, _: &str) -> Option<Cow<'_, str>> {
            None
        }

        fn call(&self, _: &str, arguments: &str, wire: bool) -> Option<Value<'static>> {
            Some(Value { text: Cow::Owned(arguments.to_owned()), wire })
        }
    }

    #[test]
    fn separators_from_the_wire_are_kept_away() {
        for text in ["1,2", "1|2", "1 XML x", "1]2", "}x,[y]<z>", ":_:", "\\,", "'", "${ours}"] {
            let caller = Caller(text);
            for template in ["${wire}", "u/${wire:0}@d", "${ours}", "${f(${wire})}"] {
                let done = Template::new(template).expand(&caller);
                assert!(done.text.contains(text), "{template}: {}", done.text);
                let guarded = done.guarded().replace("a,b|c ", "");
                assert!(!guarded.contains(SPECIAL), "{template}: {guarded}");
                assert_eq!(plain(done.guarded()), done.text);
            }
        }
    }

    #[test]
    fn what_configuration_wrote_keeps_its_separators() {
        let done = Template::new("user/1,user/2|${ours:0:5}").expand(&Caller("x"));
        assert_eq!(done.guarded(), "user/1,user/2|a,b|c");
        assert!(!done.wire);
    }
}
