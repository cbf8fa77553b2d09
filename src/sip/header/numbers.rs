//! Headers that are one number: Expires, Min-Expires, RSeq, Retry-After (RFC 3261 §20.19, §20.23, §20.33; RFC 3262 §7.1).

use crate::sip::message::{Message, small_number};
use crate::sip::name::Name;

/// Delta-seconds. A number too large for 32 bits is the largest (RFC 3261 §20.19); anything else is None.
pub(crate) fn seconds(text: &str) -> Option<u32> {
    match !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit()) {
        true => Some(text.parse().unwrap_or(u32::MAX)),
        false => None,
    }
}

/// The number before a comment or parameters.
fn leading(text: &str) -> &str {
    text.split([';', '(', ' ', '\t']).next().unwrap_or("")
}

impl Message {
    /// Expires in seconds. None when it is missing or malformed (RFC 3261 §20.19 treats both alike).
    pub fn expires(&self) -> Option<u32> {
        self.header(Name::Expires).and_then(seconds)
    }

    /// Min-Expires in seconds.
    pub fn min_expires(&self) -> Option<u32> {
        self.header(Name::MinExpires).and_then(seconds)
    }

    /// RSeq (RFC 3262 §7.1).
    pub fn rseq(&self) -> Option<u32> {
        self.header(Name::RSeq).and_then(small_number).filter(|n| *n > 0)
    }

    /// Retry-After in seconds, its comment and parameters aside.
    pub fn retry_after(&self) -> Option<u32> {
        self.header(Name::RetryAfter).map(leading).and_then(seconds)
    }
}
