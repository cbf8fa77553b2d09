//! Captured text inside a template.
//!
//! `$1` is replaced while the dialplan hunts, the data around it is expanded when the application runs. What the
//! caller dialled must not become a `${…}` in between, so the characters that mean something to the expansion are
//! moved to a private block of Unicode in captured text, and moved back in what the expansion puts out.

use std::borrow::Cow;

use super::expand::{Expanded, expand_marked, has_work};
use super::scope::Scope;

/// The characters an expansion or a list of arguments would act on.
const SPECIAL: [char; 7] = ['$', '{', '}', '(', ')', '\\', '\''];
/// Where they are moved to: the end of the Supplementary Private Use Area B, used by nobody.
const FIRST: u32 = 0x10_FF00;

fn moved(c: char) -> Option<char> {
    let index = SPECIAL.iter().position(|s| *s == c)?;
    char::from_u32(FIRST + u32::try_from(index).ok()?)
}

fn back(c: char) -> Option<char> {
    let index = u32::from(c).checked_sub(FIRST)?;
    SPECIAL.get(usize::try_from(index).ok()?).copied()
}

/// Captured text in the form a template may hold. Private characters of its own are dropped.
pub(super) fn quoted(text: &str) -> Cow<'_, str> {
    if !text.contains(|c| moved(c).is_some() || back(c).is_some()) {
        return Cow::Borrowed(text);
    }
    text.chars().filter(|c| back(*c).is_none()).map(|c| moved(c).unwrap_or(c)).collect()
}

/// Whether anything in `text` is quoted.
pub(super) fn is_quoted(text: &str) -> bool {
    text.contains(|c| back(c).is_some())
}

/// The text as the caller wrote it.
pub(super) fn plain(text: &str) -> Cow<'_, str> {
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

    /// The data as the application gets it.
    pub fn expand<S: Scope + ?Sized>(&self, scope: &S) -> Expanded {
        let done = expand_marked(&self.0, scope);
        if !is_quoted(&done.text) {
            return done;
        }
        Expanded { text: plain(&done.text).into_owned(), wire: true }
    }

    /// The data before expansion: for the log, and for applications that are told not to expand.
    pub fn as_written(&self) -> Cow<'_, str> {
        plain(&self.0)
    }

    /// Whether an expansion would change anything.
    pub fn has_work(&self) -> bool {
        has_work(&self.0)
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
