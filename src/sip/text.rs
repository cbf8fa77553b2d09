//! Text that shares the buffer it was cut from: a [`Bytes`] known to be UTF-8.

use std::borrow::Borrow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::{Deref, Range};

use bytes::Bytes;

/// A piece of UTF-8 text that shares its buffer. Cloning and slicing never copy the characters.
#[derive(Clone, Default)]
pub struct Text(Bytes);

impl Text {
    /// The empty text.
    pub const fn new() -> Text {
        Text(Bytes::new())
    }

    /// Text that lives as long as the program.
    pub const fn from_static(text: &'static str) -> Text {
        Text(Bytes::from_static(text.as_bytes()))
    }

    /// Takes a buffer over; gives it back when it is not UTF-8.
    pub fn from_utf8(bytes: Bytes) -> Result<Text, Bytes> {
        match std::str::from_utf8(&bytes) {
            Ok(_) => Ok(Text(bytes)),
            Err(_) => Err(bytes),
        }
    }

    /// The characters.
    pub fn as_str(&self) -> &str {
        // SAFETY: every constructor takes a `str` or validates, and `slice` cuts at character boundaries.
        unsafe { std::str::from_utf8_unchecked(&self.0) }
    }

    /// The bytes behind the text.
    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    /// A part of this text, in the same buffer. Empty when the range is outside or cuts a character.
    pub fn slice(&self, range: Range<usize>) -> Text {
        match self.as_str().get(range.clone()) {
            Some(_) => Text(self.0.slice(range)),
            None => Text::new(),
        }
    }

    /// `part` as text: in the same buffer when it was borrowed from this one, else a copy.
    pub fn slice_of(&self, part: &str) -> Text {
        let (own, other) = (self.0.as_ptr() as usize, part.as_ptr() as usize);
        match other.checked_sub(own) {
            Some(start) if start + part.len() <= self.0.len() => {
                Text(self.0.slice(start..start + part.len()))
            }
            _ => Text::from(part),
        }
    }
}

impl Deref for Text {
    type Target = str;
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl Borrow<str> for Text {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Text {
        Text(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl From<String> for Text {
    fn from(text: String) -> Text {
        Text(Bytes::from(text))
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Text) -> bool {
        self.0 == other.0
    }
}

impl Eq for Text {}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_share_and_never_cut_a_character() {
        let text = Text::from("añb");
        assert_eq!(text.slice(0..1), "a");
        assert_eq!(text.slice(1..3), "ñ");
        assert_eq!(text.slice(1..2), "");
        assert_eq!(text.slice(2..9), "");
        let part = &text.as_str()[1..];
        assert_eq!(text.slice_of(part).as_bytes().as_ptr(), part.as_ptr());
        assert_eq!(text.slice_of("elsewhere"), "elsewhere");
    }

    #[test]
    fn other_encodings_are_given_back() {
        assert!(Text::from_utf8(Bytes::from_static(b"M\xfcller")).is_err());
        assert_eq!(Text::from_utf8(Bytes::from_static("Müller".as_bytes())).unwrap(), "Müller");
    }
}
