//! XML text to the tree of [`Element`]s, as lenient as FreeSWITCH's parser and clearer when something is wrong.
//!
//! Accepted as FreeSWITCH does: no declaration, no DTD, unknown entities and a lone `&` stay as they are, `<` and
//! line breaks inside attribute values. Entities are never fetched or defined. Text beside elements is kept.

use std::borrow::Cow;
use std::cell::Cell;
use std::ops::Range;
use std::sync::Arc;

use quick_xml::errors::SyntaxError;
use quick_xml::events::Event;
use quick_xml::reader::Reader;

use super::element::{Attribute, Element};
use super::flat::{Cursor, Flat};
use super::lately::Lately;
use super::position::{Position, Source};
use super::problem::Problem;

/// Elements nested deeper than this are refused.
pub const MAX_DEPTH: usize = 200;
/// After this many syntax errors the rest is not read: they follow from the earlier ones.
const MAX_ERRORS: usize = 20;

/// What [`read`] found.
#[derive(Debug)]
pub struct Document {
    /// The root; an empty element when the text has none.
    pub root: Element,
    /// What is wrong, in the order of the text.
    pub problems: Vec<Problem>,
    /// Where the comments are, as offsets into the flat text, sorted.
    pub comments: Vec<Range<usize>>,
}

/// Reads the flat text. `fallback` names the file for an empty text.
pub fn read(flat: &Flat, fallback: &Arc<Source>) -> Document {
    let mut reading = Reading {
        flat,
        text: flat.text(),
        fallback,
        open: Vec::new(),
        done: Vec::new(),
        attributes: Vec::new(),
        problems: Vec::new(),
        comments: Vec::new(),
        names: Lately::new(256),
        values: Lately::new(4096),
        errors: 0,
        cursor: Cell::new(Cursor::default()),
    };
    reading.run();
    reading.finish()
}

/// How reading goes on.
enum Next {
    /// With what follows.
    Done,
    /// Not at all: what follows would be read the wrong way round.
    Stop,
    /// Anew from this byte.
    Again(usize),
}

struct Reading<'a> {
    flat: &'a Flat,
    text: &'a str,
    fallback: &'a Arc<Source>,
    /// Elements that are not closed yet, each with the number of `done` when it was opened.
    open: Vec<(Element, usize)>,
    /// Finished elements whose parent is not: the children of each open element follow one another at its end.
    done: Vec<Element>,
    /// The attributes of the element that is being read.
    attributes: Vec<Attribute>,
    problems: Vec<Problem>,
    comments: Vec<Range<usize>>,
    /// Names of elements and attributes: none is in here that is not sound.
    names: Lately,
    /// Values of attributes.
    values: Lately,
    errors: usize,
    cursor: Cell<Cursor>,
}

impl Reading<'_> {
    fn run(&mut self) {
        let mut base = 0;
        loop {
            match self.run_from(base) {
                Next::Done => break,
                Next::Stop => return,
                Next::Again(offset) => base = offset,
            }
        }
        if let Some((innermost, _)) = self.open.last() {
            let (at, name) = (innermost.at.clone(), innermost.name.clone());
            self.error(
                &at,
                format!("<{name}> is never closed"),
                format!("write </{name}> where it ends, or <{name} …/> if it is empty"),
            );
        }
    }

    /// Reads from the byte at `base` on.
    fn run_from(&mut self, base: usize) -> Next {
        let mut reader = Reader::from_str(self.text.get(base..).unwrap_or(""));
        let settings = reader.config_mut();
        settings.check_end_names = false;
        settings.allow_unmatched_ends = true;
        settings.check_comments = false;
        loop {
            let start = base + reader.buffer_position() as usize;
            let event = reader.read_event();
            let end = base + reader.buffer_position() as usize;
            let next = match event {
                Ok(Event::Start(_)) => self.start(start, start + 1, end.saturating_sub(1), false),
                Ok(Event::Empty(_)) => self.start(start, start + 1, end.saturating_sub(2), true),
                Ok(Event::End(tag)) => {
                    let name = clip(String::from_utf8_lossy(tag.name().into_inner()).trim_end());
                    self.end(start, &name);
                    Next::Done
                }
                Ok(Event::Text(_)) => {
                    self.characters(start, end, true);
                    Next::Done
                }
                Ok(Event::CData(_)) => {
                    // Without <![CDATA[ and ]]>.
                    self.characters(start + 9, end.saturating_sub(3), false);
                    Next::Done
                }
                Ok(Event::Comment(_)) => {
                    self.comments.push(start..end);
                    Next::Done
                }
                Ok(Event::Decl(_) | Event::PI(_) | Event::DocType(_)) => Next::Done,
                Ok(Event::Eof) => return Next::Done,
                Err(error) => {
                    self.broken(base + reader.error_position() as usize, &error);
                    Next::Stop
                }
            };
            match next {
                Next::Done if self.errors < MAX_ERRORS => {}
                Next::Done => return Next::Stop,
                other => return other,
            }
        }
    }

    fn finish(mut self) -> Document {
        while self.close() {}
        let root = self.root();
        Document { root, problems: self.problems, comments: self.comments }
    }

    /// One root. Sections without a `<document>` around them get one.
    fn root(&mut self) -> Element {
        let mut roots = std::mem::take(&mut self.done).into_iter();
        let Some(mut root) = roots.next() else {
            let at = self.at(0);
            if self.errors == 0 {
                self.error(
                    &at,
                    "there is no element here".into(),
                    "the root file holds <document type=\"freeswitch/xml\">…</document>".into(),
                );
            }
            return Element::new("document", at);
        };
        if &*root.name == "section" {
            let mut document = Element::new("document", root.at.clone());
            document.children.push(root);
            document.children.extend(roots);
            return document;
        }
        for other in roots {
            let problem = Problem::warning(
                &other.at,
                format!("<{}> stands after the end of <{}>", other.name, root.name),
            );
            self.problems.push(
                problem.hint(format!("it is read as if it were inside; move it before </{}>", root.name)),
            );
            if other.name == root.name {
                root.children.extend(other.children);
            } else {
                root.children.push(other);
            }
        }
        root
    }

    fn at(&self, offset: usize) -> Position {
        let mut cursor = self.cursor.get();
        let position = self.flat.locate(offset, self.fallback, &mut cursor);
        self.cursor.set(cursor);
        position
    }

    fn error(&mut self, at: &Position, message: String, hint: String) {
        self.errors += 1;
        self.problems.push(Problem::error(at, message).hint(hint));
    }

    /// A name that is sound; `None` for one that is not.
    fn name(&mut self, name: &str) -> Option<Arc<str>> {
        self.names.find(name).or_else(|| is_name(name).then(|| self.names.share(name)))
    }

    /// Closes the innermost open element. False when there is none.
    fn close(&mut self) -> bool {
        let Some((mut element, from)) = self.open.pop() else { return false };
        // Each list is made at its final size: a directory of 100,000 users is a million elements.
        element.children = self.done.drain(from..).collect();
        element.text.shrink_to_fit();
        self.done.push(element);
        true
    }

    /// An opening or empty tag whose inside is `from..to`.
    fn start(&mut self, at: usize, from: usize, to: usize, empty: bool) -> Next {
        let inside = self.text.get(from..to).unwrap_or("");
        let name_len = inside.find(|c: char| c.is_ascii_whitespace() || c == '/').unwrap_or(inside.len());
        let (name, rest) = inside.split_at(name_len);
        let position = self.at(at);
        let Some(known) = self.name(name) else {
            self.error(&position, "stray <".into(), "write &lt; for a < that does not begin a tag".into());
            // It is text: what it seemed to swallow may hold real tags.
            return if self.errors < MAX_ERRORS { Next::Again(from) } else { Next::Stop };
        };
        if self.open.len() >= MAX_DEPTH {
            self.error(
                &position,
                format!("elements are nested deeper than {MAX_DEPTH}"),
                "close the elements that should have ended before".into(),
            );
            return Next::Stop;
        }
        let sound = self.attributes(&known, rest, from + name_len);
        let attributes = self.attributes.drain(..).collect();
        let element =
            Element { name: known, attributes, children: Vec::new(), text: String::new(), at: position };
        if empty {
            self.done.push(element);
        } else {
            self.open.push((element, self.done.len()));
        }
        if sound { Next::Done } else { Next::Stop }
    }

    /// Reads the attributes in `rest` into `attributes`, which is empty; `rest` begins at `offset`. False when a quote is missing, so that what
    /// follows was read the wrong way round.
    fn attributes(&mut self, element: &str, rest: &str, offset: usize) -> bool {
        let mut i = 0;
        loop {
            let blank = rest.get(i..).unwrap_or("");
            let trimmed = blank.trim_start_matches(|c: char| c.is_ascii_whitespace());
            let had_blank = trimmed.len() < blank.len();
            i += blank.len() - trimmed.len();
            if trimmed.is_empty() {
                return true;
            }
            let name_at = offset + i;
            let position = self.at(name_at);
            if !had_blank {
                let quote = rest.get(..i).and_then(|r| r.chars().next_back()).unwrap_or(' ');
                if quote == '"' || quote == '\'' {
                    self.error(
                        &position,
                        format!("in <{}> something follows the closing quote directly", element),
                        "put a blank between attributes; if a quote is missing, it is before this place"
                            .into(),
                    );
                } else {
                    self.error(
                        &position,
                        format!("stray / in <{}>", element),
                        "quote the value, or end the tag with />".into(),
                    );
                }
                return false;
            }
            let end = trimmed.find(|c: char| c == '=' || c.is_ascii_whitespace()).unwrap_or(trimmed.len());
            let (name, after) = trimmed.split_at(end);
            let known = self.names.find(name);
            if known.is_none() && name.contains(['<', '>']) {
                self.error(
                    &position,
                    format!("stray < inside the tag <{}>", element),
                    format!("close <{}> with > or /> first", element),
                );
                return false;
            }
            if known.is_none() && name.starts_with(['"', '\'']) {
                self.error(
                    &position,
                    format!("in <{}> a value has no name", element),
                    "write name=\"value\"".into(),
                );
                return false;
            }
            let Some(known) = known.or_else(|| self.name(name)) else {
                self.error(
                    &position,
                    format!("in <{}> `{}` is no attribute name", element, clip(name)),
                    "write name=\"value\"".into(),
                );
                return false;
            };
            let value_part = after.trim_start_matches(|c: char| c.is_ascii_whitespace());
            let Some(value_part) = value_part.strip_prefix('=') else {
                self.error(
                    &position,
                    format!("attribute {name} of <{}> has no value", element),
                    format!("write {name}=\"…\""),
                );
                return false;
            };
            let value_part = value_part.trim_start_matches(|c: char| c.is_ascii_whitespace());
            let value_at = offset + rest.len() - value_part.len();
            let Some(quote) = value_part.chars().next().filter(|c| matches!(c, '"' | '\'')) else {
                let at = self.at(value_at);
                self.error(
                    &at,
                    format!("the value of attribute {name} of <{}> has no quotes", element),
                    format!("write {name}=\"…\""),
                );
                return false;
            };
            let body = value_part.get(1..).unwrap_or("");
            let Some(length) = body.find(quote) else {
                let at = self.at(value_at);
                self.error(
                    &at,
                    format!("the value of attribute {name} of <{}> is never closed", element),
                    format!("a closing {quote} is missing"),
                );
                return false;
            };
            let raw = body.get(..length).unwrap_or("");
            if let Some(line) = memchr::memchr(b'\n', raw.as_bytes())
                && raw.get(line..).is_some_and(|r| r.contains('<'))
            {
                let at = self.at(value_at);
                self.error(
                    &at,
                    format!("the value of attribute {name} of <{}> runs into the next tag", element),
                    format!("a closing {quote} is missing on this line"),
                );
                return false;
            }
            let first = self.at(value_at + 1);
            let value = self.decode(raw, value_at + 1, true);
            let value = self.values.share(&value);
            let attribute = Attribute { name: known, value, at: position, value_at: first };
            if let Some(earlier) = self.attributes.iter().find(|a| *a.name == *name) {
                let message = format!(
                    "attribute {name} is given twice; the first, at {}:{}, counts",
                    earlier.at.line, earlier.at.column
                );
                let problem = Problem::error(&attribute.at, message).hint("remove one of them");
                self.errors += 1;
                self.problems.push(problem);
            } else {
                self.attributes.push(attribute);
            }
            i = rest.len() - body.len() + length + 1;
        }
    }

    fn end(&mut self, offset: usize, name: &str) {
        let position = self.at(offset);
        let Some((innermost, _)) = self.open.last() else {
            self.error(
                &position,
                format!("</{name}> closes nothing"),
                "remove it, or open the element first".into(),
            );
            return;
        };
        if &*innermost.name == name {
            self.close();
            return;
        }
        let message =
            format!("</{name}> stands where <{}> of {} must be closed", innermost.name, innermost.at);
        let depth = self.open.iter().rposition(|(e, _)| &*e.name == name);
        let hint = match depth {
            Some(_) => format!("write </{}> before it", innermost.name),
            None => format!("write </{}>, or remove it", innermost.name),
        };
        self.error(&position, message, hint);
        if let Some(depth) = depth {
            while self.open.len() > depth {
                self.close();
            }
        }
    }

    fn characters(&mut self, from: usize, to: usize, decode: bool) {
        let raw = self.text.get(from..to).unwrap_or("");
        if self.open.is_empty() || raw.is_empty() {
            return;
        }
        let blank = raw.bytes().all(|b| b.is_ascii_whitespace());
        if blank && self.open.last().is_some_and(|(e, _)| e.text.is_empty()) {
            return;
        }
        let text = if decode { self.decode(raw, from, false) } else { raw.replace("\r\n", "\n").into() };
        if let Some((element, _)) = self.open.last_mut() {
            element.text.push_str(&text);
        }
    }

    /// Character references and the five entities of XML; others stay as typed. In an attribute white space
    /// becomes blanks.
    fn decode<'t>(&mut self, raw: &'t str, offset: usize, attribute: bool) -> Cow<'t, str> {
        let turns = |b: u8| matches!(b, b'&' | b'\r') || (attribute && matches!(b, b'\n' | b'\t'));
        if !raw.bytes().any(turns) {
            return raw.into();
        }
        let mut out = String::with_capacity(raw.len());
        let mut rest = raw;
        while let Some(c) = rest.chars().next() {
            let here = offset + raw.len() - rest.len();
            match c {
                '&' => {
                    if let Some((decoded, length)) = entity(rest) {
                        out.push(decoded);
                        rest = rest.get(length..).unwrap_or("");
                        continue;
                    }
                    let at = self.at(here);
                    let named =
                        rest.get(1..).and_then(|r| r.split_once(';')).map(|(n, _)| n).filter(|n| is_name(n));
                    self.problems.push(match named {
                        Some(name) => {
                            Problem::warning(&at, format!("unknown entity &{name}; is kept as it is"))
                                .hint("known are &amp; &lt; &gt; &quot; &apos; &#…;")
                        }
                        None => Problem::warning(&at, "a lone & is kept as it is").hint("write &amp;"),
                    });
                    out.push('&');
                }
                '\r' if rest.starts_with("\r\n") => {}
                '\r' | '\n' | '\t' if attribute => out.push(' '),
                _ => out.push(c),
            }
            rest = rest.get(c.len_utf8()..).unwrap_or("");
        }
        out.into()
    }

    /// Markup that never ends.
    fn broken(&mut self, offset: usize, error: &quick_xml::Error) {
        let at = self.at(offset);
        let (message, hint) = match error {
            quick_xml::Error::Syntax(SyntaxError::UnclosedComment) => {
                ("this comment is never closed", "write --> where it ends")
            }
            quick_xml::Error::Syntax(SyntaxError::UnclosedCData) => {
                ("this <![CDATA[ is never closed", "write ]]> where it ends")
            }
            quick_xml::Error::Syntax(SyntaxError::UnclosedDoctype) => {
                ("this <!DOCTYPE is never closed", "write > where it ends, or remove it")
            }
            quick_xml::Error::Syntax(SyntaxError::UnclosedPIOrXmlDecl) => {
                ("this <? is never closed", "write ?> where it ends, or remove it")
            }
            quick_xml::Error::Syntax(SyntaxError::InvalidBangMarkup) => (
                "<! begins nothing known",
                "a comment is <!-- … -->, raw text is <![CDATA[ … ]]>; write &lt; for a plain <",
            ),
            quick_xml::Error::Syntax(SyntaxError::UnclosedTag) => {
                self.unclosed_tag(offset);
                return;
            }
            other => {
                let text = other.to_string();
                self.error(&at, text, "see the XML at this place".into());
                return;
            }
        };
        self.error(&at, message.into(), hint.into());
    }

    /// A tag without an end, mostly because a quote is missing: say which.
    fn unclosed_tag(&mut self, offset: usize) {
        let before = self.errors;
        let inside = self.text.get(offset + 1..).unwrap_or("");
        let name_len = inside
            .find(|c: char| c.is_ascii_whitespace() || matches!(c, '/' | '>' | '<'))
            .unwrap_or(inside.len());
        let (name, rest) = inside.split_at(name_len);
        let at = self.at(offset);
        if is_name(name) {
            self.attributes(name, rest, offset + 1 + name_len);
            self.attributes.clear();
        }
        if self.errors == before {
            self.error(
                &at,
                format!("the tag <{} is never closed", clip(name)),
                "write > or /> where it ends".into(),
            );
        }
    }
}

/// What `&…;` at the start of `rest` stands for, and its length.
fn entity(rest: &str) -> Option<(char, usize)> {
    let end = rest.as_bytes().iter().take(12).position(|b| *b == b';')?;
    let name = rest.get(1..end)?;
    let decoded = match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => {
            let digits = name.strip_prefix('#')?;
            let code = match digits.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => digits.parse().ok()?,
            };
            char::from_u32(code).filter(|c| *c != '\0')?
        }
    };
    Some((decoded, end + 1))
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_alphabetic() || c == '_' || c == ':')
        && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | ':' | '-' | '.'))
}

/// At most 40 characters of something a message quotes.
fn clip(text: &str) -> String {
    let mut clipped: String = text.chars().take(40).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().count() > 40 {
        clipped.push('…');
    }
    clipped
}
