//! One pass over a message: where its lines are. Nothing is interpreted here but the names of headers.

use bytes::Bytes;
use smallvec::SmallVec;

use super::error::{ErrorKind, ParseError};
use super::grammar;
use super::limits::Limits;
use super::name::Name;
use super::text::Text;

/// One header: its name and where name and value stand in the head.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Line {
    pub name: Name,
    pub name_len: u16,
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
    pub lines: SmallVec<[Line; 24]>,
    /// Where the body begins in the raw message.
    pub body_at: usize,
}

/// Finds the lines of `raw`.
pub(crate) fn scan(raw: &Bytes, limits: &Limits) -> Result<Scan, ParseError> {
    if raw.len() > limits.max_message {
        return Err(ParseError::new(ErrorKind::TooLarge, "message", limits.max_message, "a shorter message"));
    }
    let mut found = split(raw, limits)?;
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
    found.folded = false;
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
    lines: SmallVec<[Line; 24]>,
    body_at: usize,
    folded: bool,
}

/// One line from `from` on: its end without the line break, and where the next begins. None when no line break is left.
fn line(raw: &[u8], from: usize) -> Option<(usize, usize)> {
    let newline = from + memchr::memchr(b'\n', raw.get(from..)?)?;
    let end = if newline > from && raw.get(newline - 1) == Some(&b'\r') { newline - 1 } else { newline };
    Some((end, newline + 1))
}

fn split(raw: &[u8], limits: &Limits) -> Result<Split, ParseError> {
    let start = raw.iter().position(|c| !matches!(c, b'\r' | b'\n')).unwrap_or(raw.len());
    let Some((first_end, mut at)) = line(raw, start) else {
        return Err(ParseError::malformed("message", start, "a start line with its line break"));
    };
    let mut lines: SmallVec<[Line; 24]> = SmallVec::new();
    let mut folded = false;
    let mut vias = 0usize;
    loop {
        if at == raw.len() {
            // No empty line, but the last line is whole: some senders stop here.
            return Ok(Split { first: start..first_end, lines, body_at: at, folded });
        }
        let Some((mut end, mut next)) = line(raw, at) else {
            return Err(ParseError::malformed("message", raw.len(), "an empty line after the headers"));
        };
        if end == at {
            return Ok(Split { first: start..first_end, lines, body_at: next, folded });
        }
        while matches!(raw.get(next), Some(b' ' | b'\t')) {
            let Some((more, after)) = line(raw, next) else {
                return Err(ParseError::malformed("message", raw.len(), "an empty line after the headers"));
            };
            (end, next) = (more, after);
            folded = true;
        }
        if end - at > limits.max_header_line {
            return Err(ParseError::new(ErrorKind::TooLarge, "message", at, "a shorter header line"));
        }
        if lines.len() >= limits.max_headers {
            return Err(ParseError::new(ErrorKind::TooLarge, "message", at, "fewer headers"));
        }
        let header = header(raw, at, end)?;
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

fn header(raw: &[u8], at: usize, end: usize) -> Result<Line, ParseError> {
    let text = raw.get(at..end).unwrap_or(&[]);
    let Some(colon) = memchr::memchr(b':', text) else {
        return Err(ParseError::malformed("message", at, "a header name and a colon"));
    };
    let (before, after) = text.split_at(colon);
    let name = before.trim_ascii_end();
    if !grammar::is_token(name) {
        return Err(ParseError::malformed("message", at, "a header name"));
    }
    let value = after.get(1..).unwrap_or(&[]);
    let leading = value.len() - value.trim_ascii_start().len();
    let value_len = value.trim_ascii().len();
    let value_at = (at + colon + 1 + leading).min(end);
    let id = Name::from_bytes(name);
    // A carriage return inside a line is nobody's honest text.
    if let Some(cr) = lone_cr(value.trim_ascii()) {
        let header = if id == Name::Other { "message" } else { id.as_str() };
        return Err(ParseError::malformed(header, value_at + cr, "no carriage return inside a line"));
    }
    Ok(Line {
        name: id,
        name_len: u16::try_from(name.len()).unwrap_or(u16::MAX),
        start: at as u32,
        value: value_at as u32,
        end: (value_at + value_len) as u32,
    })
}

/// A carriage return that no line feed follows.
fn lone_cr(value: &[u8]) -> Option<usize> {
    memchr::memchr_iter(b'\r', value).find(|&at| value.get(at + 1) != Some(&b'\n'))
}
