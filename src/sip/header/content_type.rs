//! Content-Type (RFC 3261 §20.15).

use crate::sip::message::Message;
use crate::sip::name::Name;
use crate::sip::params::{Params, split_unquoted};

/// The kind of a body.
#[derive(Copy, Clone, Debug)]
pub struct ContentType<'a> {
    kind: &'a str,
    params: Params<'a>,
}

impl<'a> ContentType<'a> {
    /// Reads a whole header value. None when it is not `type/subtype`.
    pub fn parse(text: &'a str) -> Option<ContentType<'a>> {
        let (kind, _) = split_unquoted(text, b';');
        let params = Params::new(text.get(kind.len()..).unwrap_or(""));
        let (main, sub) = kind.split_once('/')?;
        (!main.trim().is_empty() && !sub.trim().is_empty())
            .then_some(ContentType { kind: kind.trim(), params })
    }

    /// `type/subtype` as written.
    pub fn kind(self) -> &'a str {
        self.kind
    }

    /// Whether this is `type/subtype`, in any case, with or without blanks around the slash.
    pub fn is(self, kind: &str) -> bool {
        let parts = |k: &str| k.split_once('/').map(|(a, b)| (a.trim().to_owned(), b.trim().to_owned()));
        match (parts(self.kind), parts(kind)) {
            (Some((a, b)), Some((c, d))) => a.eq_ignore_ascii_case(&c) && b.eq_ignore_ascii_case(&d),
            _ => false,
        }
    }

    /// A parameter by name, in any case.
    pub fn param(self, name: &str) -> Option<&'a str> {
        self.params.get(name)
    }
}

impl Message {
    /// Content-Type. None when it is missing or malformed.
    pub fn content_type(&self) -> Option<ContentType<'_>> {
        self.header(Name::ContentType).and_then(ContentType::parse)
    }

    /// The body when it is a session description. A body without Content-Type is taken for one when it begins as one does.
    pub fn sdp(&self) -> Option<bytes::Bytes> {
        let is_sdp = match self.header(Name::ContentType) {
            Some(text) => ContentType::parse(text)?.is("application/sdp"),
            None => self.body().starts_with(b"v=0"),
        };
        (is_sdp && !self.body().is_empty()).then(|| self.body_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        let t = ContentType::parse("Application / SDP ;charset=\"utf;8\"").unwrap();
        assert!(t.is("application/sdp"));
        assert!(!t.is("application/sd"));
        assert_eq!(t.param("Charset"), Some("utf;8"));
        for bad in ["", "text", "/", "text/;x"] {
            assert!(ContentType::parse(bad).is_none(), "{bad}");
        }
    }
}
