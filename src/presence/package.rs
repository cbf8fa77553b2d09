//! The event packages there are (RFC 6665 §7.2).

use crate::sip::{Message, Name};

/// An event package.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Package {
    /// `dialog` (RFC 4235): the calls of a user, for busy lamps.
    Dialog,
    /// `presence` (RFC 3856).
    Presence,
    /// `message-summary` (RFC 3842): messages waiting.
    MessageSummary,
}

impl Package {
    /// Allow-Events: those that can be subscribed to, and REFER's own.
    pub const ALLOWED: &str = "dialog, message-summary, presence, refer";

    /// The package of that name.
    pub fn named(name: &str) -> Option<Package> {
        [Package::Dialog, Package::Presence, Package::MessageSummary]
            .into_iter()
            .find(|package| name.eq_ignore_ascii_case(package.name()))
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Package::Dialog => "dialog",
            Package::Presence => "presence",
            Package::MessageSummary => "message-summary",
        }
    }

    /// The type of its documents.
    pub fn content_type(self) -> &'static str {
        match self {
            Package::Dialog => "application/dialog-info+xml",
            Package::Presence => "application/pidf+xml",
            Package::MessageSummary => "application/simple-message-summary",
        }
    }

    /// Whether the subscriber takes documents of that type: it says so in Accept, or says nothing (RFC 6665 §4.4.2).
    pub fn is_accepted(self, subscribe: &Message) -> bool {
        let wanted = self.content_type();
        let mut ranges = subscribe
            .headers(Name::Accept)
            .flat_map(|value| value.split(','))
            .map(|range| range.split(';').next().unwrap_or("").trim())
            .filter(|range| !range.is_empty())
            .peekable();
        ranges.peek().is_none()
            || ranges.any(|range| {
                range.eq_ignore_ascii_case(wanted)
                    || range == "*/*"
                    || range.eq_ignore_ascii_case("application/*")
            })
    }
}
