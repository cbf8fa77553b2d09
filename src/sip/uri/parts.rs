//! A URI taken apart.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use nom::Parser;

use super::escape::unescape;
use crate::sip::error::ParseError;
use crate::sip::flow::Transport;
use crate::sip::grammar::{self, Wrong};
use crate::sip::params::Params;
use crate::sip::text::Text;

/// The scheme of a URI.
#[derive(Copy, Clone, Eq, PartialEq, Hash, Debug)]
pub enum Scheme {
    /// `sip:`
    Sip,
    /// `sips:`
    Sips,
    /// `tel:`, RFC 3966.
    Tel,
    /// Any other; the URI is opaque.
    Other,
}

/// A range of the text. URIs are bounded far below 64 KiB.
#[derive(Copy, Clone, Eq, PartialEq, Default, Debug)]
pub(crate) struct Span {
    start: u16,
    end: u16,
}

impl Span {
    pub(crate) fn new(start: usize, end: usize) -> Span {
        Span { start: u16::try_from(start).unwrap_or(u16::MAX), end: u16::try_from(end).unwrap_or(u16::MAX) }
    }

    pub(crate) fn of(self, text: &str) -> &str {
        text.get(usize::from(self.start)..usize::from(self.end)).unwrap_or("")
    }

    pub(crate) fn range(self) -> std::ops::Range<usize> {
        usize::from(self.start)..usize::from(self.end)
    }
}

/// A URI, kept as it was written and read by its parts.
#[derive(Clone)]
pub struct Uri {
    pub(super) text: Text,
    pub(super) scheme: Scheme,
    pub(super) scheme_len: u16,
    pub(super) user: Option<Span>,
    pub(super) password: Option<Span>,
    pub(super) host: Span,
    pub(super) port: Option<u16>,
    pub(super) params: Span,
    pub(super) headers: Span,
}

/// An IPv6 address without its brackets, any other host as it is.
pub(crate) fn unbracketed(host: &str) -> &str {
    host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host)
}

const SCHEME: &str = "a scheme and a colon";

impl Uri {
    /// Reads a whole text as a URI, sharing its buffer.
    pub fn parse(text: Text) -> Result<Uri, ParseError> {
        let bytes = text.as_str().as_bytes();
        let total = bytes.len();
        let at = |rest: &[u8]| total - rest.len();
        let fail = |w: Wrong| ParseError::malformed("URI", total - w.left, w.expected);
        if total > usize::from(u16::MAX) {
            return Err(ParseError::malformed("URI", 0, "less than 64 KiB"));
        }
        // A URI is short: looking at each byte is quicker than setting a search up.
        let colon = bytes.iter().position(|&c| c == b':').ok_or(ParseError::malformed("URI", 0, SCHEME))?;
        let (name, rest) = (bytes.get(..colon).unwrap_or(&[]), bytes.get(colon + 1..).unwrap_or(&[]));
        let scheme = match name {
            [b's' | b'S', b'i' | b'I', b'p' | b'P'] => Scheme::Sip,
            n if n.eq_ignore_ascii_case(b"sips") => Scheme::Sips,
            n if n.eq_ignore_ascii_case(b"tel") => Scheme::Tel,
            n if n.first().is_some_and(u8::is_ascii_alphabetic)
                && n.iter().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'+' | b'-' | b'.')) =>
            {
                Scheme::Other
            }
            _ => return Err(ParseError::malformed("URI", 0, SCHEME)),
        };
        if let Some(bad) = rest.iter().position(|&c| !grammar::is_uri_byte(c)) {
            return Err(ParseError::malformed("URI", colon + 1 + bad, "a character that may stand in a URI"));
        }
        let mut uri = Uri {
            scheme,
            scheme_len: name.len() as u16,
            user: None,
            password: None,
            host: Span::default(),
            port: None,
            params: Span::default(),
            headers: Span::default(),
            text: Text::new(),
        };
        match scheme {
            Scheme::Sip | Scheme::Sips => {
                let mut rest = rest;
                if let Some(len) = rest.iter().position(|&c| c == b'@') {
                    let start = at(rest);
                    let (userinfo, after) = rest.split_at(len);
                    let user_len = userinfo.iter().position(|&c| c == b':').unwrap_or(len);
                    if user_len == 0 {
                        return Err(ParseError::malformed("URI", start, "a user before the @"));
                    }
                    uri.user = Some(Span::new(start, start + user_len));
                    if user_len < len {
                        uri.password = Some(Span::new(start + user_len + 1, start + len));
                    }
                    rest = after.get(1..).unwrap_or(&[]);
                }
                let start = at(rest);
                let (rest, _) = finish(grammar::host.parse(rest)).map_err(fail)?;
                uri.host = Span::new(start, at(rest));
                let (rest, port) = finish(grammar::port.parse(rest)).map_err(fail)?;
                uri.port = port;
                let start = at(rest);
                let end = rest.iter().position(|&c| c == b'?').unwrap_or(rest.len());
                if !matches!(rest.first(), None | Some(b';' | b'?')) {
                    return Err(ParseError::malformed("URI", start, "a port, parameters or the end"));
                }
                uri.params = Span::new(start, start + end);
                if end < rest.len() {
                    uri.headers = Span::new(start + end + 1, total);
                }
            }
            Scheme::Tel => {
                let start = at(rest);
                let len = memchr::memchr(b';', rest).unwrap_or(rest.len());
                if len == 0 {
                    return Err(ParseError::malformed("URI", start, "a number"));
                }
                uri.user = Some(Span::new(start, start + len));
                uri.params = Span::new(start + len, total);
            }
            Scheme::Other => {
                if rest.is_empty() {
                    return Err(ParseError::malformed("URI", total, "something after the scheme"));
                }
                uri.host = Span::default();
            }
        }
        uri.text = text;
        Ok(uri)
    }

    /// The same URI, whose characters are also found in `text` from `at` on: the buffer it came in is let go.
    #[must_use]
    pub(crate) fn moved_to(&self, text: &Text, at: usize) -> Uri {
        let new = text.slice(at..at + self.text.len());
        debug_assert_eq!(new, self.text);
        Uri { text: new, ..*self }
    }

    /// The same URI in a buffer of its own.
    #[must_use]
    pub(crate) fn by_itself(&self) -> Uri {
        Uri { text: Text::from(self.as_str()), ..*self }
    }

    //------------ Reading -----------------------------------------------------------------------------------

    /// The URI as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The URI as shared text.
    pub fn text(&self) -> &Text {
        &self.text
    }

    /// The scheme.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The scheme's name as written.
    pub fn scheme_name(&self) -> &str {
        self.text.get(..usize::from(self.scheme_len)).unwrap_or("")
    }

    /// Whether this is `sip:` or `sips:`.
    pub fn is_sip(&self) -> bool {
        matches!(self.scheme, Scheme::Sip | Scheme::Sips)
    }

    /// The user with its escapes resolved; the number of a `tel:` URI.
    pub fn user(&self) -> Option<Cow<'_, str>> {
        self.raw_user().map(unescape)
    }

    /// The user as it was written.
    pub fn raw_user(&self) -> Option<&str> {
        self.user.map(|s| s.of(&self.text))
    }

    /// The password as it was written. Its use is not recommended (RFC 3261 §19.1.1).
    pub fn password(&self) -> Option<&str> {
        self.password.map(|s| s.of(&self.text))
    }

    /// The host; an IPv6 address without its brackets. Empty for `tel:` and other schemes.
    pub fn host(&self) -> &str {
        unbracketed(self.raw_host())
    }

    /// The host as it was written, an IPv6 address with its brackets.
    pub fn raw_host(&self) -> &str {
        self.host.of(&self.text)
    }

    /// The port, when one is written.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// The parameters.
    pub fn params(&self) -> Params<'_> {
        Params::new(self.params.of(&self.text))
    }

    /// A parameter's value by name in any case; empty for a flag.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params().get(name)
    }

    /// The `lr` flag: a loose router (RFC 3261 §19.1.1).
    pub fn is_loose(&self) -> bool {
        self.params().has("lr")
    }

    /// The `transport` parameter, when it names one we have.
    pub fn transport(&self) -> Option<Transport> {
        self.param("transport").and_then(Transport::from_name)
    }

    /// What follows the question mark.
    pub fn headers(&self) -> Option<&str> {
        (self.headers != Span::default()).then(|| self.headers.of(&self.text))
    }

    /// A header of the URI by name in any case, its escapes resolved (RFC 3261 §19.1.1 `hname`).
    pub fn header(&self, name: &str) -> Option<Cow<'_, str>> {
        self.header_pairs().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v)
    }

    pub(super) fn header_pairs(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        self.headers().unwrap_or("").split('&').filter(|h| !h.is_empty()).map(|h| {
            let (name, value) = h.split_once('=').unwrap_or((h, ""));
            (unescape(name), unescape(value))
        })
    }
}

pub(crate) fn finish<T>(parsed: grammar::Parsed<'_, T>) -> Result<(&[u8], T), Wrong> {
    parsed.map_err(|e| match e {
        nom::Err::Error(w) | nom::Err::Failure(w) => w,
        nom::Err::Incomplete(_) => Wrong { left: 0, expected: "more" },
    })
}

impl FromStr for Uri {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Uri, ParseError> {
        Uri::parse(Text::from(text))
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> Uri {
        text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    #[test]
    fn parts() {
        type Parts<'a> =
            (&'a str, Option<&'a str>, Option<&'a str>, &'a str, Option<u16>, &'a str, Option<&'a str>);
        let table: [(&str, Parts<'_>); 14] = [
            ("sip:alice@atlanta.com", ("sip", Some("alice"), None, "atlanta.com", None, "", None)),
            (
                "SIPS:1212@gw.com:5061;user=phone",
                ("SIPS", Some("1212"), None, "gw.com", Some(5061), ";user=phone", None),
            ),
            (
                "sip:a:pw@h?subject=x&to=b",
                ("sip", Some("a"), Some("pw"), "h", None, "", Some("subject=x&to=b")),
            ),
            ("sip:a:@h", ("sip", Some("a"), Some(""), "h", None, "", None)),
            ("sip:[2001:db8::10]:5070;lr", ("sip", None, None, "2001:db8::10", Some(5070), ";lr", None)),
            ("sip:[2001:db8::10:5070]", ("sip", None, None, "2001:db8::10:5070", None, "", None)),
            ("sip:h:", ("sip", None, None, "h", None, "", None)),
            (
                "sip:user;par=u%40example.net@example.com",
                ("sip", Some("user;par=u@example.net"), None, "example.com", None, "", None),
            ),
            ("sip:%75se%72@h;%6C%72", ("sip", Some("user"), None, "h", None, ";%6C%72", None)),
            ("sip:*97#@h", ("sip", Some("*97#"), None, "h", None, "", None)),
            ("sip:józef@h", ("sip", Some("józef"), None, "h", None, "", None)),
            (
                "tel:+1-201-555-0123;phone-context=x",
                ("tel", Some("+1-201-555-0123"), None, "", None, ";phone-context=x", None),
            ),
            ("soap.beep://192.0.2.103:3002", ("soap.beep", None, None, "", None, "", None)),
            ("urn:service:sos", ("urn", None, None, "", None, "", None)),
        ];
        for (text, (scheme, user, password, host, port, params, headers)) in table {
            let u = uri(text);
            assert_eq!(
                (
                    u.scheme_name(),
                    u.user().as_deref(),
                    u.password(),
                    u.host(),
                    u.port(),
                    u.params().as_str(),
                    u.headers()
                ),
                (scheme, user, password, host, port, params, headers),
                "{text}"
            );
            assert_eq!(u.to_string(), text);
        }
        assert!(uri("sip:h;%6C%72").is_loose());
        assert_eq!(uri("sip:h;Transport=TCP").transport(), Some(Transport::Tcp));
        assert_eq!(uri("sip:h;transport=sctp").transport(), None);
    }

    #[test]
    fn refuses_and_says_where() {
        for (text, at) in [
            ("", 0),
            ("alice", 0),
            (":x", 0),
            ("1sip:x", 0),
            ("sip:", 4),
            ("sip:@h", 4),
            ("sip:a@", 6),
            ("sip:a@h:99999", 7),
            ("sip:a@h:x", 8),
            ("sip:a@2001:db8::10", 11),
            ("sip:a@[2001:db8::1", 6),
            ("sip:a@[2001:db8::g]", 6),
            ("sip:a b@h", 5),
            ("sip:a@h;x=\"y\"", 10),
            ("sip:a@h x", 7),
            ("sip:a\r\nb@h", 5),
            ("sip:a\0@h", 5),
            ("sip:a@h<", 7),
            ("sip:a@żółw", 6),
            ("tel:", 4),
            ("tel:;x", 4),
            ("urn:", 4),
        ] {
            let error = text.parse::<Uri>().expect_err(text);
            assert_eq!((error.at, error.status()), (at, 400), "{text}: {error}");
        }
        assert!(format!("sip:{}@h", "x".repeat(70_000)).parse::<Uri>().is_err());
    }
}
