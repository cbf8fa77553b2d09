//! What is wrong with a message, where, and which status says so.

use std::fmt;

/// The class of a mistake; it decides the status.
#[derive(Copy, Clone, Eq, PartialEq, Hash, Debug)]
pub enum ErrorKind {
    /// Not the grammar, or a header is missing: 400.
    Malformed,
    /// The body is over the limit: 413.
    BodyTooLarge,
    /// The request-URI is over the limit: 414.
    UriTooLong,
    /// The request-URI has a scheme we cannot route: 416.
    UnsupportedScheme,
    /// `Require` names an extension we do not have: 420.
    UnsupportedExtension,
    /// Not SIP/2.0: 505.
    Version,
    /// Too many headers, or one is too long, or all of it is: 513.
    TooLarge,
}

/// Why a message or a header value could not be used.
#[derive(Clone, Eq, PartialEq, Debug)]
pub struct ParseError {
    /// The header at fault, or `Request-Line`, `Status-Line`, `URI`, `message`.
    pub header: &'static str,
    /// Where in the message (or, for a value parsed on its own, in the value), in bytes.
    pub at: usize,
    /// What should have been there.
    pub expected: &'static str,
    /// The class of the mistake.
    pub kind: ErrorKind,
}

impl std::error::Error for ParseError {}

impl ParseError {
    /// Text that is not what the grammar wants.
    pub const fn malformed(header: &'static str, at: usize, expected: &'static str) -> ParseError {
        ParseError { header, at, expected, kind: ErrorKind::Malformed }
    }

    /// A mistake of another class.
    pub const fn new(kind: ErrorKind, header: &'static str, at: usize, expected: &'static str) -> ParseError {
        ParseError { header, at, expected, kind }
    }

    /// The status that tells the peer.
    pub const fn status(&self) -> u16 {
        match self.kind {
            ErrorKind::Malformed => 400,
            ErrorKind::BodyTooLarge => 413,
            ErrorKind::UriTooLong => 414,
            ErrorKind::UnsupportedScheme => 416,
            ErrorKind::UnsupportedExtension => 420,
            ErrorKind::Version => 505,
            ErrorKind::TooLarge => 513,
        }
    }

    /// The same mistake as seen from `header`, whose value begins at `base`.
    pub(crate) fn within(mut self, header: &'static str, base: usize) -> ParseError {
        self.header = header;
        self.at += base;
        self
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: expected {} at byte {}", self.header, self.expected, self.at)
    }
}
