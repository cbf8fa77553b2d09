//! One pass over a message: where its lines are. Nothing is interpreted here but the names of headers.

use bytes::Bytes;
use smallvec::SmallVec;

use super::error::{ErrorKind, ParseError};
use super::grammar;
use super::limits::Limits;
use super::name::Name;
use super::octets;
use super::text::Text;

/// One header: its name and where name and value stand in the head.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Line {
    pub name: Name,
    pub name_len: u8,
    pub start: u32,
    pub value: u32,
    pub end: u32,
}

impl Line {
    pub fn name_text<'a>(&self, head: &'a str) -> &'a str {
        let start = self.start as usize;
        head.get(start..start + usize::from(self.name_len)).unwrap_or("")
    }

    pub fn range(&self) -> std::ops::Range<usize> {
        self.value as usize..self.end as usize
    }

    pub fn value<'a>(&self, head: &'a str) -> &'a str {
        head.get(self.range()).unwrap_or("")
    }
}

/// The lines of a message.
pub(crate) struct Scan {
    /// The head with folded lines joined and, should it not have been UTF-8, read as Latin-1. Usually the very bytes of the message.
    pub head: Text,
    /// Where the start line ends; it begins at `start`.
    pub first: std::ops::Range<usize>,
    /// The headers in order.
    pub lines: SmallVec<[Line; 20]>,
    /// Where the body begins in the raw message.
    pub body_at: usize,
}

/// Finds the lines of `raw`.
pub(crate) fn scan(raw: &Bytes, limits: &Limits) -> Result<Scan, ParseError> {
    if raw.len() > limits.max_message {
        return Err(ParseError::new(ErrorKind::TooLarge, "message", limits.max_message, "a shorter message"));
    }
    let found = split(raw, limits)?;
    if found.folded {
        let mut joined = raw.get(..found.body_at).unwrap_or(&[]).to_vec();
        for line in &found.lines {
            for c in joined.get_mut(line.range()).unwrap_or(&mut []) {
                if matches!(c, b'\r' | b'\n') {
                    *c = b' ';
                }
            }
        }
        return finish(Bytes::from(joined), found, limits);
    }
    let head = raw.slice(..found.body_at);
    finish(head, found, limits)
}

fn finish(head: Bytes, found: Split, limits: &Limits) -> Result<Scan, ParseError> {
    match Text::from_utf8(head) {
        Ok(head) => Ok(Scan { head, first: found.first, lines: found.lines, body_at: found.body_at }),
        Err(head) => {
            // Old exchanges send Latin-1 names. The head grows, so its lines are found again; the body stays.
            let latin = Bytes::from(latin1_where_needed(&head));
            let again = split(&latin, limits)?;
            let head = Text::from_utf8(latin).unwrap_or_default();
            Ok(Scan { head, first: again.first, lines: again.lines, body_at: found.body_at })
        }
    }
}

fn latin1_where_needed(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() + 16);
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        out.extend(chunk.invalid().iter().map(|&c| char::from(c)));
    }
    out
}

struct Split {
    first: std::ops::Range<usize>,
    lines: SmallVec<[Line; 20]>,
    body_at: usize,
    folded: bool,
}

/// Where a line ends.
enum Break {
    /// Its end without the line break, and where the next line begins.
    At(usize, usize),
    /// A carriage return that no line feed follows: nobody's honest text.
    LoneReturn(usize),
    /// No line break is left.
    None,
}

/// The end of the line that has no break before `from`.
fn line(raw: &[u8], from: usize) -> Break {
    let Some(found) = raw.get(from..).and_then(octets::line_break) else {
        return Break::None;
    };
    let end = from + found;
    match (raw.get(end), raw.get(end + 1)) {
        (Some(b'\n'), _) => Break::At(end, end + 1),
        (_, Some(b'\n')) => Break::At(end, end + 2),
        (_, None) => Break::None,
        _ => Break::LoneReturn(end),
    }
}

/// The same, or what is wrong there.
fn whole_line(raw: &[u8], from: usize, missing: &'static str) -> Result<(usize, usize), ParseError> {
    match line(raw, from) {
        Break::At(end, next) => Ok((end, next)),
        Break::LoneReturn(at) => {
            Err(ParseError::malformed("message", at, "no carriage return inside a line"))
        }
        Break::None => Err(ParseError::malformed("message", raw.len(), missing)),
    }
}

const REST: &str = "an empty line after the headers";

fn split(raw: &[u8], limits: &Limits) -> Result<Split, ParseError> {
    let start = raw.iter().position(|c| !matches!(c, b'\r' | b'\n')).unwrap_or(raw.len());
    let (first_end, mut at) = whole_line(raw, start, "a start line with its line break")?;
    let mut lines: SmallVec<[Line; 20]> = SmallVec::new();
    let mut folded = false;
    let mut vias = 0usize;
    loop {
        if at == raw.len() {
            // No empty line, but the last line is whole: some senders stop here.
            return Ok(Split { first: start..first_end, lines, body_at: at, folded });
        }
        // Nothing that ends a line may stand in a token.
        let token = grammar::token_len(raw.get(at..).unwrap_or(&[]));
        let (mut end, mut next) = whole_line(raw, at + token, REST)?;
        if end == at {
            return Ok(Split { first: start..first_end, lines, body_at: next, folded });
        }
        while matches!(raw.get(next), Some(b' ' | b'\t')) {
            (end, next) = whole_line(raw, next, REST)?;
            folded = true;
        }
        if end - at > limits.max_header_line {
            return Err(ParseError::new(ErrorKind::TooLarge, "message", at, "a shorter header line"));
        }
        if lines.len() >= limits.max_headers {
            return Err(ParseError::new(ErrorKind::TooLarge, "message", at, "fewer headers"));
        }
        let header = header(raw, at, token, end)?;
        if header.name == Name::Via {
            vias += 1;
            if vias > limits.max_vias {
                return Err(ParseError::new(ErrorKind::TooLarge, "Via", at, "fewer Vias"));
            }
        }
        lines.push(header);
        at = next;
    }
}

/// The header from `at` to `end`, whose first `token` bytes may stand in its name.
fn header(raw: &[u8], at: usize, token: usize, end: usize) -> Result<Line, ParseError> {
    let text = raw.get(at..end).unwrap_or(&[]);
    let after_token = text.get(token..).unwrap_or(&[]);
    let Some(colon) = after_token.iter().position(|c| *c == b':').map(|gap| token + gap) else {
        return Err(ParseError::malformed("message", at, "a header name and a colon"));
    };
    let (before, after) = text.split_at(colon);
    let name = before.trim_ascii_end();
    let id = Name::from_bytes(name);
    if id == Name::Other && (token == 0 || name.len() != token) {
        return Err(ParseError::malformed("message", at, "a header name"));
    }
    let Ok(name_len) = u8::try_from(name.len()) else {
        return Err(ParseError::new(ErrorKind::TooLarge, "message", at, "a header name below 256 bytes"));
    };
    let value = after.get(1..).unwrap_or(&[]);
    let trimmed = value.trim_ascii_start();
    let value_at = (at + colon + 1 + (value.len() - trimmed.len())).min(end);
    let value_len = trimmed.trim_ascii_end().len();
    Ok(Line {
        name: id,
        name_len,
        start: at as u32,
        value: value_at as u32,
        end: (value_at + value_len) as u32,
    })
}
