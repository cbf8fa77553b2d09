//! Reason: why a call or a leg ended (RFC 3326).

use std::borrow::Cow;
use std::fmt;

use crate::sip::message::{Message, small_number};
use crate::sip::name::Name;
use crate::sip::params::{Params, Quoted, split_unquoted, unquote};

/// One reason.
#[derive(Clone, Eq, PartialEq, Debug)]
pub struct Reason<'a> {
    /// `Q.850`, `SIP`, `FreeSWITCH`, …
    pub protocol: Cow<'a, str>,
    /// The cause in the protocol's numbers.
    pub cause: Option<u32>,
    /// The cause in words.
    pub text: Option<Cow<'a, str>>,
}

impl<'a> Reason<'a> {
    /// A reason of ISDN's numbers.
    pub fn q850(cause: u32, text: &'a str) -> Reason<'a> {
        Reason { protocol: "Q.850".into(), cause: Some(cause), text: Some(text.into()) }
    }

    /// A reason of SIP's statuses.
    pub fn sip(status: u16, text: &'a str) -> Reason<'a> {
        Reason { protocol: "SIP".into(), cause: Some(status.into()), text: Some(text.into()) }
    }

    /// Reads one value.
    fn parse(text: &'a str) -> Option<Reason<'a>> {
        let (protocol, _) = split_unquoted(text, b';');
        let params = Params::new(text.get(protocol.len()..).unwrap_or(""));
        let protocol = protocol.trim();
        (!protocol.is_empty()).then(|| Reason {
            protocol: protocol.into(),
            cause: params.get("cause").filter(|c| !c.is_empty()).and_then(small_number),
            text: params.get_unescaped("text"),
        })
    }
}

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&unquote(&self.protocol))?;
        if let Some(cause) = self.cause {
            write!(f, ";cause={cause}")?;
        }
        match &self.text {
            Some(text) => write!(f, ";text={}", Quoted(text)),
            None => Ok(()),
        }
    }
}

impl Message {
    /// Every Reason, in order, over all its lines.
    pub fn reasons(&self) -> impl Iterator<Item = Reason<'_>> {
        self.headers(Name::Reason).flat_map(|line| {
            let mut rest = line;
            std::iter::from_fn(move || {
                if rest.is_empty() {
                    return None;
                }
                let (one, after) = split_unquoted(rest, b',');
                rest = after;
                Some(Reason::parse(one))
            })
            .flatten()
        })
    }

    /// The first Reason.
    pub fn reason_header(&self) -> Option<Reason<'_>> {
        self.reasons().next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        for (text, want) in [
            ("Q.850;cause=16;text=\"NORMAL_CLEARING\"", "Q.850;cause=16;text=\"NORMAL_CLEARING\""),
            (" SIP ; text=\"a;b,c\" ;cause=200", "SIP;cause=200;text=\"a;b,c\""),
            ("Q.850;cause=x", "Q.850"),
        ] {
            assert_eq!(Reason::parse(text).unwrap().to_string(), want);
        }
        assert_eq!(Reason::parse(";cause=1"), None);
        assert_eq!(Reason::q850(17, "USER_BUSY").to_string(), "Q.850;cause=17;text=\"USER_BUSY\"");
    }
}
