//! Replaces: the dialog a new call takes the place of (RFC 3891 §6.1).

use std::fmt;

use crate::sip::message::Message;
use crate::sip::name::Name;
use crate::sip::params::{Params, split_unquoted};

/// A dialog as the receiver sees it: `to_tag` is the receiver's own.
#[derive(Clone, Eq, PartialEq, Hash, Debug)]
pub struct Replaces {
    /// Call-ID.
    pub call_id: String,
    /// The receiver's tag.
    pub to_tag: String,
    /// The other side's tag.
    pub from_tag: String,
    /// Only while the dialog is early.
    pub early_only: bool,
}

impl Replaces {
    /// Reads a whole header value. None when the Call-ID or a tag is missing. The tags stand in either order.
    pub fn parse(text: &str) -> Option<Replaces> {
        let (call_id, _) = split_unquoted(text, b';');
        let params = Params::new(text.get(call_id.len()..).unwrap_or(""));
        let call_id = call_id.trim();
        let tag = |name| params.get(name).filter(|t| !t.is_empty()).map(str::to_owned);
        Some(Replaces {
            call_id: (!call_id.is_empty()).then(|| call_id.to_owned())?,
            to_tag: tag("to-tag")?,
            from_tag: tag("from-tag")?,
            early_only: params.has("early-only"),
        })
    }
}

impl fmt::Display for Replaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{};to-tag={};from-tag={}", self.call_id, self.to_tag, self.from_tag)?;
        if self.early_only { f.write_str(";early-only") } else { Ok(()) }
    }
}

impl Message {
    /// Replaces. `Some(None)` when it is there but malformed: that is 400 (RFC 3891 §3).
    pub fn replaces(&self) -> Option<Option<Replaces>> {
        self.header(Name::Replaces).map(Replaces::parse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::NameAddr;

    #[test]
    fn forms() {
        let want = "98732@sip.example.com;to-tag=ff87ff;from-tag=r33th4x0r";
        for text in [want, "98732@sip.example.com ;from-tag=r33th4x0r; to-tag=ff87ff"] {
            assert_eq!(Replaces::parse(text).unwrap().to_string(), want);
        }
        assert!(Replaces::parse("1;to-tag=a;from-tag=b;early-only").unwrap().early_only);
        for bad in ["", "1", "1;to-tag=a", ";to-tag=a;from-tag=b", "1;to-tag=;from-tag=b"] {
            assert!(Replaces::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn inside_refer_to() {
        for uri in [
            "<sip:1002@a?Replaces=98732%40sip.example.com%3Bto-tag%3Dff%3Bfrom-tag%3Dr3>",
            "<sip:1002@a?x=y&Replaces=98732@sip.example.com%3Bfrom-tag%3Dr3%3Bto-tag%3Dff>",
        ] {
            let refer_to: NameAddr = uri.parse().unwrap();
            assert_eq!(refer_to.uri().host(), "a");
            assert_eq!(
                refer_to.replaces().unwrap().to_string(),
                "98732@sip.example.com;to-tag=ff;from-tag=r3"
            );
        }
    }
}
