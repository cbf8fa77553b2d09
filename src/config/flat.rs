//! The one flat text the preprocessor makes of all files, and the way back from each character to where it was typed.

use std::sync::Arc;

use super::position::{Position, Source};

/// Nothing larger is read: offsets are 32 bits and a larger tree is a mistake.
pub const MAX_FLAT: usize = 1 << 30;

/// Flat text with a map to the files. FreeSWITCH writes the same text to `freeswitch.xml.fsxml`.
#[derive(Debug, Default)]
pub struct Flat {
    text: String,
    segments: Vec<Segment>,
}

#[derive(Debug)]
struct Segment {
    /// Offset of the first byte in the flat text; ends where the next begins.
    start: u32,
    source: Arc<Source>,
    /// Where the first byte stands in the file.
    line: u32,
    column: u32,
    /// The text did not stand in the file (the value of a `$${}`, the output of a command): all of it maps to
    /// one place. Else it stands there as it is here, over as many lines.
    fixed: bool,
}

impl Flat {
    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Bytes so far.
    pub fn len(&self) -> usize {
        self.text.len()
    }

    /// True when nothing was written.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Adds text that stands at `line:column` of `source`, over one line or many; `fixed` when it was put there by an
    /// expansion.
    /// False when the text has grown too large; nothing is added then.
    pub fn push(&mut self, text: &str, source: &Arc<Source>, line: u32, column: u32, fixed: bool) -> bool {
        if text.is_empty() {
            return true;
        }
        let Ok(start) = u32::try_from(self.text.len()) else { return false };
        if self.text.len() + text.len() > MAX_FLAT {
            return false;
        }
        self.text.push_str(text);
        self.segments.push(Segment { start, source: Arc::clone(source), line, column, fixed });
        true
    }

    /// Where the byte at `offset` was typed. An offset past the end gives the last place; an empty text gives
    /// line 1 of `fallback`. `cursor` remembers the last answer, so that going through the text costs its length
    /// once.
    pub fn locate(&self, offset: usize, fallback: &Arc<Source>, cursor: &mut Cursor) -> Position {
        let offset = offset.min(self.text.len());
        let index = self.segment_of(offset, cursor.segment);
        let Some(segment) = self.segments.get(index) else {
            return Position { source: Arc::clone(fallback), line: 1, column: 1 };
        };
        let start = segment.start as usize;
        if cursor.segment != index || cursor.offset < start || cursor.offset > offset {
            *cursor = Cursor { segment: index, offset: start, line: segment.line, column: segment.column };
        }
        if !segment.fixed {
            let mut passed = self.text.get(cursor.offset..offset).unwrap_or("");
            if offset == self.text.len() {
                // The end of a last line is on that line.
                passed = passed.strip_suffix('\n').unwrap_or(passed);
            }
            cursor.pass(passed);
        }
        Position { source: Arc::clone(&segment.source), line: cursor.line, column: cursor.column }
    }

    /// The segment that holds the byte at `offset`, looked for from `near` on: mostly it is that one or the next.
    fn segment_of(&self, offset: usize, near: usize) -> usize {
        let begins = |index: usize| self.segments.get(index).map(|s| s.start as usize);
        if begins(near).is_some_and(|start| start <= offset) {
            let close = (near..near + 4).find(|index| begins(index + 1).is_none_or(|next| next > offset));
            if let Some(index) = close {
                return index;
            }
        }
        self.segments.partition_point(|s| s.start as usize <= offset).saturating_sub(1)
    }
}

/// See [`Flat::locate`].
#[derive(Clone, Copy, Debug)]
pub struct Cursor {
    segment: usize,
    offset: usize,
    line: u32,
    column: u32,
}

impl Cursor {
    fn pass(&mut self, text: &str) {
        let bytes = text.as_bytes();
        let mut last_line = text;
        if let Some(end) = memchr::memrchr(b'\n', bytes) {
            self.line += memchr::memchr_iter(b'\n', bytes).count() as u32;
            self.column = 1;
            last_line = text.get(end + 1..).unwrap_or("");
        }
        self.column += last_line.chars().count() as u32;
        self.offset += text.len();
    }
}

impl Default for Cursor {
    fn default() -> Self {
        Cursor { segment: 0, offset: usize::MAX, line: 0, column: 0 }
    }
}
