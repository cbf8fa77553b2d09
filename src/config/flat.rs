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
    line: u32,
    column: u32,
    /// The text did not stand in the file (the value of a `$${}`, the output of a command): all of it maps to
    /// one place.
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

    /// Adds text that stands at `line:column` of `source`; `fixed` when it was put there by an expansion.
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
    /// line 1 of `fallback`. `cursor` remembers the last answer, so that going through a long line costs its length
    /// once.
    pub fn locate(&self, offset: usize, fallback: &Arc<Source>, cursor: &mut Cursor) -> Position {
        let offset = offset.min(self.text.len());
        let index = self.segments.partition_point(|s| s.start as usize <= offset);
        let Some(segment) = index.checked_sub(1).and_then(|i| self.segments.get(i)) else {
            return Position { source: Arc::clone(fallback), line: 1, column: 1 };
        };
        let start = segment.start as usize;
        let mut column = segment.column;
        if !segment.fixed {
            if cursor.offset < start || cursor.offset > offset {
                *cursor = Cursor { offset: start, column };
            }
            let passed = self.text.get(cursor.offset..offset).unwrap_or("");
            column = cursor.column + passed.chars().filter(|c| *c != '\n').count() as u32;
            *cursor = Cursor { offset, column };
        }
        Position { source: Arc::clone(&segment.source), line: segment.line, column }
    }
}

/// See [`Flat::locate`].
#[derive(Clone, Copy, Debug)]
pub struct Cursor {
    offset: usize,
    column: u32,
}

impl Default for Cursor {
    fn default() -> Self {
        Cursor { offset: usize::MAX, column: 0 }
    }
}
