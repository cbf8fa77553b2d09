//! Functions that work on their text alone.

use md5::{Digest, Md5};

use super::world::World;
use crate::dialplan::{LONGEST, cut, leading_number, separate, url_decoded};
use crate::event::url_encode_into;

/// `echo TEXT`.
pub fn echo(_: &dyn World, text: &str) -> String {
    text.to_owned()
}

/// `url_encode TEXT`. A `%41` is taken for encoded already.
pub fn url_encode(_: &dyn World, text: &str) -> String {
    url_encoded(text)
}

/// `text` with what is not safe in a URL as `%XX` (`switch_url_encode`).
pub fn url_encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    url_encode_into(&mut out, text);
    out
}

/// `url_decode TEXT`. What is not `%` and two hexadecimal digits stays; bytes that are no UTF-8 become U+FFFD.
pub fn url_decode(_: &dyn World, text: &str) -> String {
    url_decoded(text)
}

/// `toupper TEXT`, ASCII only.
pub fn toupper(_: &dyn World, text: &str) -> String {
    text.to_ascii_uppercase()
}

/// `tolower TEXT`, ASCII only.
pub fn tolower(_: &dyn World, text: &str) -> String {
    text.to_ascii_lowercase()
}

/// `md5 TEXT`, in hexadecimal.
pub fn md5(_: &dyn World, text: &str) -> String {
    if text.is_empty() {
        return "!err!".to_owned();
    }
    Md5::digest(text.as_bytes()).iter().map(|b| format!("{b:02x}")).collect()
}

/// The items of `a|b|c`, or with `m:~:` in front… of `a~b~c`.
pub(super) fn parts(text: &str, most: usize) -> Vec<String> {
    let other = text.strip_prefix("m:").and_then(|rest| {
        let c = rest.chars().next().filter(|c| matches!(c, '|' | '~' | '/'))?;
        rest.get(1..).map(|rest| (c, rest))
    });
    let (separator, list) = other.unwrap_or(('|', text));
    separate(list, separator, most)
}

/// `replace TEXT|OLD|NEW`. What would be longer than an expansion may be is not made.
pub fn replace(_: &dyn World, text: &str) -> String {
    match parts(text, 3).as_slice() {
        [text, old, _] if old.is_empty() => text.clone(),
        [text, old, new] => {
            let found = text.matches(old.as_str()).count();
            let length = (text.len() - found * old.len()).saturating_add(found.saturating_mul(new.len()));
            match length <= LONGEST {
                true => text.replace(old.as_str(), new),
                false => "-ERR the result is too long".to_owned(),
            }
        }
        _ => "-ERR".to_owned(),
    }
}

/// `escape TEXT`: line feed, return, tab, blank and dollar with a backslash.
pub fn escape(_: &dyn World, text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            ' ' => out.push_str("\\s"),
            '$' => out.push_str("\\$"),
            c => out.push(c),
        }
    }
    out
}

/// `quote_shell_arg TEXT`.
pub fn quote_shell_arg(_: &dyn World, text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

/// `sql_escape TEXT`: quotes doubled.
pub fn sql_escape(_: &dyn World, text: &str) -> String {
    text.replace('\'', "''")
}

/// `coalesce a,b,c`: the first that is not empty.
pub fn coalesce(_: &dyn World, text: &str) -> String {
    let items = separate(text, ',', 256);
    if items.is_empty() {
        return "-USAGE: [^^<delim>]<value1>,<value2>,...\n".to_owned();
    }
    items.into_iter().find(|item| !item.is_empty()).unwrap_or_default()
}

/// `length TEXT`: its characters, counted. Tandem's own: FreeSWITCH has none.
pub fn length(_: &dyn World, text: &str) -> String {
    text.chars().count().to_string()
}

/// `substr TEXT|OFFSET[|LENGTH]`: a part of the text, as `${name:offset:length}` cuts a variable. Tandem's own.
pub fn substr(_: &dyn World, text: &str) -> String {
    match parts(text, 3).as_slice() {
        [text, offset] => cut(text, leading_number(offset), 0).to_owned(),
        [text, offset, length] => cut(text, leading_number(offset), leading_number(length)).to_owned(),
        _ => "-ERR".to_owned(),
    }
}
