//! Expansion of `${…}`: the scan of FreeSWITCH's `switch_channel_expand_variables` (switch_channel.c), quirks
//! included, with what it lacks: a limit on the work, and no second look at text from the wire.
//!
//! * `${name}` is a variable, else a caller-profile field, else a global; unknown is empty.
//! * `${name:6}`, `${name:-4}`, `${name:2:3}`: offset and length, counted in characters; a length below 1 is ignored.
//! * `${name[2]}` is an element of an array.
//! * `${function(arguments)}` and `${function arguments}` run an API function; names and arguments are expanded first.
//! * `\$` is a dollar sign, `\\` a backslash, `\'` nothing. The character right after a closing `}` is taken as it
//!   stands, so the backslash in `${a}\$` stays and `${a}\n` is not a line feed.
//! * A text with neither `${` nor one of the escapes `\\ \n \s \t \'` is not touched at all.

use std::borrow::Cow;
use std::cell::Cell;

use super::quote;
use super::scope::{Scope, Value};
use crate::channel::array;

/// How deep expansions may nest: FreeSWITCH's limit.
const DEPTH: u32 = 100;
/// How much text one expansion may produce, in bytes, all levels together; and one substitution.
pub const LONGEST: usize = 1 << 20;
/// How many variables and functions one expansion may look up, all levels together.
const LOOKUPS: u32 = 10_000;

/// The outcome of an expansion.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expanded {
    /// The text.
    pub text: String,
    /// Some of it came from the wire in a form that a second expansion would take for `${…}`. An application that
    /// expands its data once more (`set`, `export`) must not do so then, and marks the variable it sets.
    pub wire: bool,
    /// The text with the separators that came from the wire moved away, when there are any.
    pub(super) kept: Option<String>,
    /// The same with the slashes from the wire moved away too, when there are any.
    pub(super) fields: Option<String>,
}

impl Expanded {
    /// Text that an application has made of its data.
    pub fn new(text: impl Into<String>, wire: bool) -> Self {
        Expanded { text: text.into(), wire, kept: None, fields: None }
    }

    /// The same behind some text of ours.
    pub fn behind(&self, text: &str) -> Expanded {
        let joined = |rest: &str| [text, rest].concat();
        Expanded {
            text: joined(&self.text),
            wire: self.wire,
            kept: self.kept.as_deref().map(joined),
            fields: self.fields.as_deref().map(joined),
        }
    }

    /// A part of [`guarded`](Self::guarded) or [`fields`](Self::fields) text.
    pub fn part(guarded: &str) -> Expanded {
        match quote::plain(guarded) {
            Cow::Borrowed(text) => Expanded::new(text, false),
            Cow::Owned(text) => match quote::with_slashes(guarded) {
                Cow::Borrowed(kept) => {
                    Expanded { text, wire: true, kept: Some(kept.to_owned()), fields: None }
                }
                Cow::Owned(kept) => {
                    Expanded { text, wire: true, kept: Some(kept), fields: Some(guarded.to_owned()) }
                }
            },
        }
    }

    /// Whether something in it came from the wire that would be syntax, to an expansion, to a list or to a shell.
    pub fn has_syntax_from_wire(&self) -> bool {
        self.wire || self.kept.is_some()
    }

    /// The text for those who take it apart: no separator in it came from the wire. Each part is then to be made
    /// [`plain`](super::plain).
    pub fn guarded(&self) -> &str {
        self.kept.as_deref().unwrap_or(&self.text)
    }

    /// As [`guarded`](Self::guarded), for those to whom a slash separates, and for those who pass it on to them.
    pub fn fields(&self) -> &str {
        self.fields.as_deref().unwrap_or(self.guarded())
    }
}

/// Expands `text` as the data of an application is before it runs.
pub fn expand<S: Scope + ?Sized>(text: &str, scope: &S) -> String {
    expand_marked(text, scope).text
}

/// As [`expand`], telling whether text from the wire came in.
pub fn expand_marked<S: Scope + ?Sized>(text: &str, scope: &S) -> Expanded {
    run(text, scope, false)
}

/// As [`expand_marked`], with what came from the wire in the form of [`quote::guarded_fields`].
pub(super) fn expand_guarded<S: Scope + ?Sized>(text: &str, scope: &S) -> Expanded {
    run(text, scope, true)
}

fn run<S: Scope + ?Sized>(text: &str, scope: &S, guard: bool) -> Expanded {
    if !has_work(text) {
        return Expanded::new(text, false);
    }
    let allowance = Allowance::share();
    let mut run = Run { scope, guard, left: allowance.output, lookups: allowance.lookups, spent: false };
    let mut out = String::new();
    let wire = run.text(text, 0, &mut out);
    if !allowance.outermost {
        LEFT.set(Some((run.left, run.lookups)));
    }
    if run.spent {
        tracing::warn!(target: "dialplan", "expansion cut short: it exceeds {LONGEST} bytes or {LOOKUPS} look-ups");
    }
    Expanded::new(out, wire)
}

thread_local! {
    /// What the outermost expansion that runs on this thread may still do. A function called from an expansion may
    /// expand in turn (`eval`, `group_call`); all of them live on the one allowance.
    static LEFT: Cell<Option<(usize, u32)>> = const { Cell::new(None) };
}

/// What an expansion may still do, and whether it is the outermost.
struct Allowance {
    output: usize,
    lookups: u32,
    outermost: bool,
}

impl Allowance {
    fn share() -> Allowance {
        let (output, lookups) = LEFT.get().unwrap_or((LONGEST, LOOKUPS));
        Allowance { output, lookups, outermost: LEFT.get().is_none() }
    }
}

impl Drop for Allowance {
    fn drop(&mut self) {
        if self.outermost {
            LEFT.set(None);
        }
    }
}

/// Whether an expansion would change `text`; without, the text is used as it is.
pub fn has_work(text: &str) -> bool {
    let mut dollar = false;
    let mut escape = false;
    for c in text.bytes() {
        match c {
            b'{' if dollar => return true,
            b'$' => dollar = true,
            b'\\' => {}
            _ => dollar = false,
        }
        if escape && matches!(c, b'\\' | b'n' | b's' | b't' | b'\'') {
            return true;
        }
        escape = c == b'\\';
    }
    false
}

/// Whether text from the wire could be taken for `${…}`, alone or beside other text.
pub fn needs_marking(text: &str) -> bool {
    text.contains(['$', '{'])
}

struct Run<'s, S: ?Sized> {
    scope: &'s S,
    /// Separators from the wire are moved away.
    guard: bool,
    left: usize,
    lookups: u32,
    spent: bool,
}

impl<S: Scope + ?Sized> Run<'_, S> {
    /// Appends text from the wire.
    fn push_wire(&mut self, out: &mut String, text: &str) {
        if self.guard {
            self.push(out, &quote::guarded_fields(text));
        } else {
            self.push(out, text);
        }
    }

    fn push(&mut self, out: &mut String, text: &str) {
        match self.left.checked_sub(text.len()) {
            Some(left) => {
                self.left = left;
                out.push_str(text);
            }
            None => {
                self.left = 0;
                self.spent = true;
            }
        }
    }

    /// Appends the expansion of `input`; true when marked text from the wire came in.
    fn text(&mut self, input: &str, depth: u32, out: &mut String) -> bool {
        if depth > DEPTH || !has_work(input) {
            self.push(out, input);
            return false;
        }
        let mut wire = false;
        let mut rest = input;
        while let Some(at) = rest.find(['\\', '$']) {
            let (plain, special) = rest.split_at(at);
            self.push(out, plain);
            if self.spent {
                return wire;
            }
            let mut next = special.bytes().skip(1);
            rest = match (special.as_bytes().first(), next.next(), next.next()) {
                (Some(b'\\'), Some(b'$'), third) => {
                    self.push(out, "$");
                    after(special, if third == Some(b'$') { 3 } else { 2 })
                }
                (Some(b'\\'), Some(b'\''), _) => after(special, 2),
                (Some(b'\\'), Some(b'\\'), _) => {
                    self.push(out, "\\");
                    after(special, 2)
                }
                (Some(b'\\'), ..) => {
                    self.push(out, "\\");
                    after(special, 1)
                }
                (_, Some(b'{'), _) => self.reference(after(special, 2), false, depth, out, &mut wire),
                (_, Some(b'$'), Some(b'{')) => self.reference(after(special, 3), true, depth, out, &mut wire),
                (_, second, _) => {
                    self.push(out, "$");
                    after(special, if second == Some(b'$') { 2 } else { 1 })
                }
            };
        }
        self.push(out, rest);
        wire
    }

    /// Expands what follows `${`, copies the one character behind its `}` and gives back what is left.
    fn reference<'t>(
        &mut self,
        text: &'t str,
        global: bool,
        depth: u32,
        out: &mut String,
        wire: &mut bool,
    ) -> &'t str {
        let (inner, rest, open) = braces(text);
        if self.lookups == 0 {
            self.spent = true;
        } else {
            self.lookups -= 1;
            *wire |= match inner.find([' ', '(']) {
                Some(at) => self.function(inner, at, open, depth, out),
                None => self.variable(inner, global, depth, out),
            };
        }
        match rest.chars().next() {
            Some(c) if c != '$' => {
                let (one, rest) = rest.split_at(c.len_utf8());
                self.push(out, one);
                rest
            }
            _ => rest,
        }
    }

    fn function(&mut self, inner: &str, at: usize, open: u32, depth: u32, out: &mut String) -> bool {
        let (name, arguments) = inner.split_at(at);
        let level = if arguments.starts_with('(') { 1 } else { open };
        let arguments = parentheses(after(arguments, 1), level);
        let mut function = String::new();
        let mut expanded = String::new();
        self.text(name.trim_end_matches(' '), depth + 1, &mut function);
        let function = quote::plain(&function);
        let fields = quote::takes_fields(&function);
        let guard = self.guard;
        self.guard |= fields;
        let mut wire = self.text(arguments, depth + 1, &mut expanded) | quote::is_quoted(&expanded);
        self.guard = guard;
        if self.spent {
            return wire;
        }
        // Who takes fields is shown what came from the wire by its being guarded.
        wire &= !fields;
        let arguments = if fields { Cow::Borrowed(&*expanded) } else { quote::plain(&expanded) };
        let arguments = trimmed(&arguments);
        LEFT.set(Some((self.left, self.lookups)));
        let called = self.scope.call(&function, arguments, wire);
        (self.left, self.lookups) = LEFT.get().unwrap_or((self.left, self.lookups));
        let Some(value) = called else { return false };
        if value.wire {
            self.push_wire(out, &value.text);
            return needs_marking(&value.text);
        }
        // A function may mix text of ours with text from the wire, and then has moved the separators away itself.
        if self.guard || !quote::is_quoted(&value.text) {
            self.push(out, &value.text);
            return false;
        }
        let text = quote::plain(&value.text);
        self.push(out, &text);
        needs_marking(&text)
    }

    fn variable(&mut self, inner: &str, global: bool, depth: u32, out: &mut String) -> bool {
        let mut name = String::new();
        self.text(inner, depth + 1, &mut name);
        if self.spent {
            return false;
        }
        let name = quote::plain(&name);
        let (name, offset, length) = slice(&name);
        let (name, index) = array::place(name);
        let scope = self.scope;
        let found = if global { scope.global(name).map(|g| (g, false)) } else { None };
        let found = found
            .or_else(|| variable(scope, name, index).map(|v| (v.text, v.wire)))
            .or_else(|| scope.profile_field(name).map(|v| (v.text, v.wire)))
            .or_else(|| scope.global(name).map(|g| (g, false)));
        let Some((text, from_wire)) = found else { return false };
        let text = array::printed(text);
        let mut wire = from_wire && needs_marking(&text);
        if (offset, length) == (0, 0) {
            if from_wire {
                self.push_wire(out, &text);
            } else {
                wire |= self.text(&text, depth + 1, out);
            }
            return wire;
        }
        let mut whole = String::new();
        if from_wire {
            self.push(&mut whole, &text);
        } else {
            wire |= self.text(&text, depth + 1, &mut whole);
        }
        let part = cut(&whole, offset, length);
        if from_wire {
            self.push_wire(out, part);
        } else {
            self.push(out, part);
        }
        wire
    }
}

/// Arguments as a function gets them: the blanks round them are not its (FreeSWITCH's `switch_api_execute`).
pub fn trimmed(arguments: &str) -> &str {
    arguments.trim_matches([' ', '\t', '\n', '\r', '\x0b'])
}

/// The rest of an ASCII-led text after `n` bytes.
fn after(text: &str, n: usize) -> &str {
    text.get(n..).unwrap_or("")
}

/// Splits what follows `${` at its closing brace: inside, behind, and the braces left open when it never closes.
fn braces(text: &str) -> (&str, &str, u32) {
    let mut open = 1;
    for (at, c) in text.bytes().enumerate() {
        match c {
            b'}' if open == 1 => return (text.get(..at).unwrap_or(""), after(text, at + 1), 0),
            b'}' => open -= 1,
            b'{' if at > 0 => open += 1,
            _ => {}
        }
    }
    (text, "", open)
}

/// The arguments up to the parenthesis that closes the call; all of them when none does.
fn parentheses(text: &str, mut level: u32) -> &str {
    for (at, c) in text.bytes().enumerate() {
        match c {
            b'(' => level += 1,
            b')' if level > 1 => level -= 1,
            b')' if level == 1 => return text.get(..at).unwrap_or(text),
            _ => {}
        }
    }
    text
}

/// `name:offset:length` in its parts.
fn slice(name: &str) -> (&str, i64, i64) {
    let Some((name, offset)) = name.split_once(':') else { return (name, 0, 0) };
    let length = offset.split_once(':').map_or(0, |(_, length)| leading_number(length));
    (name, leading_number(offset), length)
}

/// C's `atoi`: blanks, a sign, digits; 0 without any.
pub fn leading_number(text: &str) -> i64 {
    let text = text.trim_start();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let number = digits
        .bytes()
        .take_while(u8::is_ascii_digit)
        .fold(0i64, |n, d| n.saturating_mul(10).saturating_add(i64::from(d - b'0')));
    sign * number
}

/// The variable, or with an index at or above 0 that element of it; a plain text has no elements.
fn variable<'s, S: Scope + ?Sized>(scope: &'s S, name: &str, index: Option<i64>) -> Option<Value<'s>> {
    let value = scope.variable(name)?;
    let Some(index) = index else { return Some(value) };
    let element = array::element(&value.text, index)?.to_owned();
    Some(Value { text: Cow::Owned(element), wire: value.wire })
}

/// The part of `text` that `:offset:length` names, counted in characters.
pub fn cut(text: &str, offset: i64, length: i64) -> &str {
    let count = text.chars().count();
    let start = match usize::try_from(offset) {
        Ok(offset) => offset,
        Err(_) => {
            usize::try_from(offset.unsigned_abs()).ok().and_then(|back| count.checked_sub(back)).unwrap_or(0)
        }
    };
    let byte = |n: usize| text.char_indices().nth(n).map_or(text.len(), |(at, _)| at);
    let end = match usize::try_from(length) {
        Ok(length) if length > 0 => byte(start.saturating_add(length)),
        _ => text.len(),
    };
    text.get(byte(start)..end).unwrap_or("")
}
