//! `Digest name=value, name="value", …` taken apart.

use std::borrow::Cow;

use super::DigestError;
use crate::sip::error::ParseError;
use crate::sip::grammar::{self, Wrong};
use crate::sip::params::unquote;
use crate::sip::text::Text;
use crate::sip::uri::finish;

/// Calls `each` with every pair after the scheme; values without quotes and escapes. Blanks may stand anywhere between,
/// commas may be doubled or trail.
pub(super) fn each_pair(
    text: &Text,
    header: &'static str,
    mut each: impl FnMut(&str, Text),
) -> Result<(), DigestError> {
    let bytes = text.as_str().as_bytes();
    let total = bytes.len();
    let fail = |w: Wrong| DigestError::Malformed(ParseError::malformed(header, total - w.left, w.expected));
    let place = |part: &[u8]| {
        let at = part.as_ptr() as usize - bytes.as_ptr() as usize;
        at..at + part.len()
    };
    let (rest, _) = finish(grammar::space(bytes)).map_err(fail)?;
    let (rest, scheme) = finish(grammar::token(rest)).map_err(fail)?;
    if !scheme.eq_ignore_ascii_case(b"Digest") {
        return Err(DigestError::NotDigest);
    }
    let mut rest = rest;
    loop {
        while let Some(after) =
            rest.strip_prefix(b",").or_else(|| rest.strip_prefix(b" ")).or_else(|| rest.strip_prefix(b"\t"))
        {
            rest = after;
        }
        if rest.is_empty() {
            return Ok(());
        }
        let (after, name) = finish(grammar::token(rest)).map_err(fail)?;
        let (after, _) = finish(grammar::spaced(b'=', "an equals sign")(after)).map_err(fail)?;
        let (after, value) = if after.first() == Some(&b'"') {
            let (after, quoted) = finish(grammar::quoted(after)).map_err(fail)?;
            let range = place(quoted);
            let value = match unquote(text.get(range.clone()).unwrap_or("")) {
                Cow::Borrowed(_) => text.slice(range.start + 1..range.end - 1),
                Cow::Owned(plain) => Text::from(plain),
            };
            (after, value)
        } else {
            let (after, plain) = bare(after);
            (after, text.slice(place(plain)))
        };
        let (after, _) = finish(grammar::space(after)).map_err(fail)?;
        if !matches!(after.first(), None | Some(b',')) {
            return Err(fail(Wrong { left: after.len(), expected: "a comma or the end" }));
        }
        each(text.get(place(name)).unwrap_or(""), value);
        rest = after;
    }
}

/// A value without quotes: up to a comma or blank. Wider than `token`, since some write URIs and base64 so.
fn bare(input: &[u8]) -> (&[u8], &[u8]) {
    let end = input.iter().position(|c| matches!(c, b',' | b' ' | b'\t' | b'"')).unwrap_or(input.len());
    let (taken, rest) = input.split_at(end);
    (rest, taken)
}
