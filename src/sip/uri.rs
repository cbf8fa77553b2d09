//! URIs: `sip:`, `sips:`, `tel:` by their parts, any other scheme kept as it is (RFC 3261 §19.1, RFC 3966).

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use nom::Parser;

use super::error::ParseError;
use super::flow::Transport;
use super::grammar::{self, Wrong};
use super::params::Params;
use super::text::Text;

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
    text: Text,
    scheme: Scheme,
    scheme_len: u16,
    user: Option<Span>,
    password: Option<Span>,
    host: Span,
    port: Option<u16>,
    params: Span,
    headers: Span,
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
        let colon = memchr::memchr(b':', bytes).ok_or(ParseError::malformed("URI", 0, SCHEME))?;
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
                if let Some(len) = memchr::memchr(b'@', rest) {
                    let start = at(rest);
                    let (userinfo, after) = rest.split_at(len);
                    let user_len = memchr::memchr(b':', userinfo).unwrap_or(len);
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
                let end = memchr::memchr(b'?', rest).unwrap_or(rest.len());
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

    //------------ Building ----------------------------------------------------------------------------------

    /// `sip:user@host:port`. The user is escaped where it must be; characters no host has are left out.
    pub fn sip(user: Option<&str>, host: &str, port: Option<u16>) -> Uri {
        Uri::of_scheme("sip", user, host, port)
    }

    /// `sips:user@host:port`.
    pub fn sips(user: Option<&str>, host: &str, port: Option<u16>) -> Uri {
        Uri::of_scheme("sips", user, host, port)
    }

    fn of_scheme(scheme: &str, user: Option<&str>, host: &str, port: Option<u16>) -> Uri {
        use fmt::Write;
        let mut text = String::with_capacity(scheme.len() + host.len() + 24 + user.map_or(0, str::len));
        text.push_str(scheme);
        text.push(':');
        if let Some(user) = user.filter(|u| !u.is_empty()) {
            escape_user(user, &mut text);
            text.push('@');
        }
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        if bare.parse::<std::net::Ipv6Addr>().is_ok() {
            text.push('[');
            text.push_str(bare);
            text.push(']');
        } else {
            let before = text.len();
            text.extend(bare.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')));
            if text.len() == before {
                text.push_str("invalid");
            }
        }
        if let Some(port) = port {
            let _ = write!(text, ":{port}");
        }
        Uri::parse(Text::from(text)).unwrap_or_else(|_| Uri::nowhere())
    }

    /// A URI that leads nowhere: `sip:invalid` (RFC 2606).
    fn nowhere() -> Uri {
        Uri {
            text: Text::from_static("sip:invalid"),
            scheme: Scheme::Sip,
            scheme_len: 3,
            user: None,
            password: None,
            host: Span::new(4, 11),
            port: None,
            params: Span::new(11, 11),
            headers: Span::default(),
        }
    }

    /// The same URI with a parameter set; `None` as value makes a flag. Reserved characters are escaped.
    #[must_use]
    pub fn with_param(&self, name: &str, value: Option<&str>) -> Uri {
        let mut params = self.params().without(name);
        params.push(';');
        escape_param(name, &mut params);
        if let Some(value) = value {
            params.push('=');
            escape_param(value, &mut params);
        }
        self.with_params(&params)
    }

    /// The same URI without a parameter.
    #[must_use]
    pub fn without_param(&self, name: &str) -> Uri {
        if !self.params().has(name) {
            return self.clone();
        }
        self.with_params(&self.params().without(name))
    }

    fn with_params(&self, params: &str) -> Uri {
        let (before, headers) = match self.scheme {
            Scheme::Other => return self.clone(),
            _ => (self.text.get(..self.params.range().start).unwrap_or(""), self.headers()),
        };
        let mut text = String::with_capacity(self.text.len() + params.len());
        text.push_str(before);
        text.push_str(params);
        if let Some(headers) = headers {
            text.push('?');
            text.push_str(headers);
        }
        Uri::parse(Text::from(text)).unwrap_or_else(|_| self.clone())
    }

    /// The same URI with another user; `None` takes it away together with the password.
    #[must_use]
    pub fn with_user(&self, user: Option<&str>) -> Uri {
        self.rebuilt(user, self.host(), self.port)
    }

    /// The same URI at another host and port.
    #[must_use]
    pub fn with_host(&self, host: &str, port: Option<u16>) -> Uri {
        self.rebuilt(self.user().as_deref(), host, port)
    }

    fn rebuilt(&self, user: Option<&str>, host: &str, port: Option<u16>) -> Uri {
        let scheme = if self.scheme == Scheme::Sips { "sips" } else { "sip" };
        let mut text = Uri::of_scheme(scheme, user, host, port).to_string();
        text.push_str(self.params().as_str());
        if let Some(headers) = self.headers() {
            text.push('?');
            text.push_str(headers);
        }
        Uri::parse(Text::from(text)).unwrap_or_else(|_| Uri::nowhere())
    }

    /// The same URI without headers and without what may not stand in a request-URI (RFC 3261 §19.1.1 table 1:
    /// `method` and headers).
    #[must_use]
    pub fn as_request_uri(&self) -> Uri {
        let plain = match self.headers() {
            Some(_) => {
                let end = self.headers.range().start.saturating_sub(1);
                Uri::parse(self.text.slice(0..end)).unwrap_or_else(|_| self.clone())
            }
            None => self.clone(),
        };
        plain.without_param("method")
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
        self.raw_host().trim_start_matches('[').trim_end_matches(']')
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

    fn header_pairs(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
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

/// `%61` → `a`. What is no escape, or would not be UTF-8, stays as it is.
pub fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let hex = |c: Option<&u8>| c.and_then(|c| char::from(*c).to_digit(16)).map(|d| d as u8);
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while let Some(&c) = bytes.get(i) {
        match (c, hex(bytes.get(i + 1)), hex(bytes.get(i + 2))) {
            (b'%', Some(high), Some(low)) => {
                out.push(high << 4 | low);
                i += 3;
            }
            _ => {
                out.push(c);
                i += 1;
            }
        }
    }
    match String::from_utf8(out) {
        Ok(plain) => Cow::Owned(plain),
        Err(_) => Cow::Borrowed(text),
    }
}

fn escape(text: &str, keep: &[u8], out: &mut String) {
    use fmt::Write;
    for c in text.bytes() {
        if c.is_ascii_alphanumeric() || keep.contains(&c) {
            out.push(char::from(c));
        } else {
            let _ = write!(out, "%{c:02X}");
        }
    }
}

/// Escapes what may not stand in a user (RFC 3261 §25.1 `user`). `#` is let stand: dial codes have it and
/// phones send it so.
pub fn escape_user(user: &str, out: &mut String) {
    escape(user, b"-_.!~*'()&=+$,;?/#", out);
}

fn escape_param(text: &str, out: &mut String) {
    escape(text, b"-_.!~*'()[]/:&+$", out);
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

/// Equality of RFC 3261 §19.1.4 for `sip:` and `sips:`, of RFC 3966 §4 for `tel:`; other schemes as text.
/// It is not transitive (a parameter that only one side has may be ignored), so there is no `Eq`.
impl PartialEq for Uri {
    fn eq(&self, other: &Uri) -> bool {
        if self.scheme != other.scheme {
            return false;
        }
        match self.scheme {
            Scheme::Other => self.as_str() == other.as_str(),
            Scheme::Tel => {
                let digits = |u: &Uri| -> String {
                    let number =
                        u.raw_user().unwrap_or("").chars().filter(|c| !matches!(c, '-' | '.' | '(' | ')'));
                    number.map(|c| c.to_ascii_lowercase()).collect()
                };
                digits(self) == digits(other)
                    && params_match(self, other, |_| true)
                    && params_match(other, self, |_| true)
            }
            Scheme::Sip | Scheme::Sips => {
                const MUST_MATCH: [&str; 5] = ["user", "ttl", "method", "maddr", "transport"];
                let must = |name: &str| MUST_MATCH.iter().any(|m| m.eq_ignore_ascii_case(name));
                self.user() == other.user()
                    && self.password().map(unescape) == other.password().map(unescape)
                    && same_host(self.host(), other.host())
                    && self.port == other.port
                    && params_match(self, other, must)
                    && params_match(other, self, must)
                    && headers_match(self, other)
            }
        }
    }
}

fn same_host(a: &str, b: &str) -> bool {
    match (a.parse::<std::net::Ipv6Addr>(), b.parse::<std::net::Ipv6Addr>()) {
        (Ok(a), Ok(b)) => a == b,
        _ => a.eq_ignore_ascii_case(b),
    }
}

/// Every parameter of `a` is the same in `b`; missing there is fine unless `must` says otherwise.
fn params_match(a: &Uri, b: &Uri, must: impl Fn(&str) -> bool) -> bool {
    a.params().iter().all(|(name, value)| {
        let name = unescape(name);
        match b.params().get(&name) {
            Some(other) => unescape(value.unwrap_or("")).eq_ignore_ascii_case(&unescape(other)),
            None => !must(&name),
        }
    })
}

fn headers_match(a: &Uri, b: &Uri) -> bool {
    let covers = |a: &Uri, b: &Uri| a.header_pairs().all(|(n, v)| b.header(&n).is_some_and(|o| o == v));
    covers(a, b) && covers(b, a)
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

    /// The pairs of RFC 3261 §19.1.4.
    #[test]
    fn equality() {
        for (a, b) in [
            ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com;security=on"),
            (
                "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
                "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
            ),
            (
                "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
                "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
            ),
            ("sip:[2001:db8::1]", "sip:[2001:DB8:0::1]"),
            ("tel:+1-201-555-0123", "tel:+1(201)5550123"),
            ("sip:a@h;lr", "sip:a@h;LR"),
        ] {
            assert_eq!(uri(a), uri(b));
            assert_eq!(uri(b), uri(a));
        }
        for (a, b) in [
            ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
            ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
            ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),
            ("sip:a@h", "sips:a@h"),
            ("sip:h", "sip:a@h"),
            ("sip:a:b@h", "sip:a@h"),
            ("tel:+1", "sip:+1@h"),
            ("urn:a", "urn:b"),
        ] {
            assert_ne!(uri(a), uri(b));
            assert_ne!(uri(b), uri(a));
        }
    }

    #[test]
    fn building() {
        assert_eq!(Uri::sip(Some("1001"), "192.0.2.1", Some(5070)).to_string(), "sip:1001@192.0.2.1:5070");
        assert_eq!(Uri::sip(None, "2001:db8::1", None).to_string(), "sip:[2001:db8::1]");
        assert_eq!(Uri::sip(Some("a b@c>\r\n"), "h", None).to_string(), "sip:a%20b%40c%3E%0D%0A@h");
        assert_eq!(Uri::sips(Some(""), "h\r\nX: y", None).to_string(), "sips:hXy");
        assert_eq!(Uri::sip(Some("a"), "żó", None).to_string(), "sip:a@invalid");
        let u = uri("sip:a@h:5060;x;transport=udp?a=b");
        assert_eq!(u.with_param("transport", Some("tcp")).to_string(), "sip:a@h:5060;x;transport=tcp?a=b");
        assert_eq!(
            u.with_param("lr", None).without_param("X").to_string(),
            "sip:a@h:5060;transport=udp;lr?a=b"
        );
        assert_eq!(u.without_param("y").to_string(), u.to_string());
        assert_eq!(u.with_param("p;q", Some("v w\n")).param("p%3Bq"), Some("v%20w%0A"));
        assert_eq!(u.as_request_uri().to_string(), "sip:a@h:5060;x;transport=udp");
        assert_eq!(u.with_user(Some("b")).to_string(), "sip:b@h:5060;x;transport=udp?a=b");
        assert_eq!(u.with_host("::1", None).to_string(), "sip:a@[::1];x;transport=udp?a=b");
        assert_eq!(uri("sip:a:p@h").with_user(None).to_string(), "sip:h");
        assert_eq!(uri("tel:123").with_host("gw", None).to_string(), "sip:123@gw");
        assert_eq!(Uri::nowhere(), uri("sip:invalid"));
    }

    #[test]
    fn unescaping() {
        for (text, want) in [
            ("a%20b", "a b"),
            ("%", "%"),
            ("%4", "%4"),
            ("%zz", "%zz"),
            ("%FF", "%FF"),
            ("%C3%B3", "ó"),
            ("%00", "\0"),
        ] {
            assert_eq!(unescape(text), want);
        }
    }
}
