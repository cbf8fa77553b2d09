//! Session-Expires and Min-SE (RFC 4028 §4, §5).

use std::fmt;

use super::numbers::seconds;
use crate::sip::message::Message;
use crate::sip::name::Name;
use crate::sip::params::{Params, split_unquoted};

/// Who refreshes the session.
#[derive(Copy, Clone, Eq, PartialEq, Hash, Debug)]
pub enum Refresher {
    /// The side that sent the request.
    Uac,
    /// The side that answers it.
    Uas,
}

/// Session-Expires.
#[derive(Copy, Clone, Eq, PartialEq, Hash, Debug)]
pub struct SessionExpires {
    /// The interval in seconds.
    pub seconds: u32,
    /// The refresher, when it is named.
    pub refresher: Option<Refresher>,
}

impl SessionExpires {
    /// Reads a whole header value. None when it does not begin with a number.
    pub fn parse(text: &str) -> Option<SessionExpires> {
        let (number, _) = split_unquoted(text, b';');
        let params = Params::new(text.get(number.len()..).unwrap_or(""));
        let refresher = match params.get("refresher") {
            Some(r) if r.eq_ignore_ascii_case("uac") => Some(Refresher::Uac),
            Some(r) if r.eq_ignore_ascii_case("uas") => Some(Refresher::Uas),
            _ => None,
        };
        Some(SessionExpires { seconds: seconds(number.trim())?, refresher })
    }
}

impl fmt::Display for SessionExpires {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.seconds)?;
        match self.refresher {
            Some(Refresher::Uac) => f.write_str(";refresher=uac"),
            Some(Refresher::Uas) => f.write_str(";refresher=uas"),
            None => Ok(()),
        }
    }
}

impl Message {
    /// Session-Expires. None when it is missing or malformed.
    pub fn session_expires(&self) -> Option<SessionExpires> {
        self.header(Name::SessionExpires).and_then(SessionExpires::parse)
    }

    /// Min-SE in seconds.
    pub fn min_se(&self) -> Option<u32> {
        self.header(Name::MinSe).and_then(|t| seconds(split_unquoted(t, b';').0.trim()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        for (text, want) in [
            ("1800", Some("1800")),
            ("1800;refresher=uac", Some("1800;refresher=uac")),
            ("90 ; Refresher = UAS", Some("90;refresher=uas")),
            ("90;refresher=none;x", Some("90")),
            ("99999999999", Some("4294967295")),
            ("", None),
            ("soon", None),
            ("-1", None),
        ] {
            assert_eq!(SessionExpires::parse(text).map(|s| s.to_string()).as_deref(), want, "{text}");
        }
    }
}
