//! `name-addr` and `addr-spec` with parameters: From, To, Contact, Route, Refer-To, … (RFC 3261 §20.10, §25.1).

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use nom::Parser;

use crate::sip::error::ParseError;
use crate::sip::grammar::{self, Wrong};
use crate::sip::message::Message;
use crate::sip::name::Name;
use crate::sip::params::{Params, Quoted, unquote};
use crate::sip::text::Text;
use crate::sip::uri::{Span, Uri, finish};

/// `"Display" <uri>;params` or `uri;params`, kept as it was written.
#[derive(Clone)]
pub struct NameAddr {
    text: Text,
    display: Span,
    uri: Uri,
    params: Span,
    /// The value of `tag`, which is asked for many times; empty when there is none.
    tag: Span,
}

impl NameAddr {
    /// Reads a whole header value, sharing its buffer.
    pub fn parse(text: Text) -> Result<NameAddr, ParseError> {
        NameAddr::parse_at(&text, 0..text.len())
    }

    /// Reads a part of a longer text as a whole header value.
    pub(crate) fn parse_at(text: &Text, part: Range<usize>) -> Result<NameAddr, ParseError> {
        let (addr, end) = NameAddr::element(text, part.clone())?;
        match end < part.end {
            true => Err(ParseError::malformed("address", end, "only one address")),
            false => Ok(addr),
        }
    }

    /// Reads a comma list, sharing its buffer.
    pub fn parse_list(text: &Text, into: &mut Vec<NameAddr>) -> Result<(), ParseError> {
        let mut at = 0;
        while at < text.len() {
            let (addr, end) = NameAddr::element(text, at..text.len())?;
            into.push(addr);
            at = end + 1;
        }
        Ok(())
    }

    /// One element of a part of the text, and where it ends: at a comma or at the end of the part.
    pub(crate) fn element(text: &Text, part: Range<usize>) -> Result<(NameAddr, usize), ParseError> {
        let bytes = text.as_str().as_bytes().get(..part.end).unwrap_or(&[]);
        let total = bytes.len();
        let at = |rest: &[u8]| total - rest.len();
        let fail = |w: Wrong| ParseError::malformed("address", total - w.left, w.expected);
        if part.len() > usize::from(u16::MAX) {
            return Err(ParseError::malformed("address", part.start, "less than 64 KiB"));
        }
        let (rest, _) = finish(grammar::space(bytes.get(part.start..).unwrap_or(&[]))).map_err(fail)?;
        let start = at(rest);
        let mut display = Span::default();
        let uri;
        let rest = if rest.first() == Some(&b'"') {
            let (after, quoted) = finish(grammar::quoted(rest)).map_err(fail)?;
            display = Span::new(start, start + quoted.len());
            let (after, _) = finish(grammar::space(after)).map_err(fail)?;
            let (after, cut) = angle(after).map_err(fail)?;
            uri = cut;
            after
        } else {
            match memchr::memchr3(b'<', b';', b'"', rest) {
                Some(bracket) if rest.get(bracket) == Some(&b'<') => {
                    let (name, after) = rest.split_at(bracket);
                    let name_len = name.iter().rposition(|c| !c.is_ascii_whitespace()).map_or(0, |i| i + 1);
                    display = Span::new(start, start + name_len);
                    let (after, cut) = angle(after).map_err(fail)?;
                    uri = cut;
                    after
                }
                _ => {
                    let stop = |c: &u8| matches!(c, b';' | b',' | b' ' | b'\t' | b'\r' | b'\n');
                    let len = rest.iter().position(stop).unwrap_or(rest.len());
                    let (cut, after) = rest.split_at(len);
                    if let Some(mark) = memchr::memchr(b'?', cut) {
                        // RFC 3261 §20: a URI with a question mark must stand in angle brackets.
                        return Err(ParseError::malformed(
                            "address",
                            start + mark,
                            "angle brackets around this URI",
                        ));
                    }
                    uri = cut;
                    after
                }
            }
        };
        let uri_at = uri.as_ptr() as usize - bytes.as_ptr() as usize;
        let params_at = at(rest);
        let (rest, params) = finish(grammar::parameters.parse(rest)).map_err(fail)?;
        let uri =
            Uri::parse(text.slice(uri_at..uri_at + uri.len())).map_err(|e| e.within("address", uri_at))?;
        let text = text.slice(start..params_at + params.len());
        let params = Span::new(params_at - start, params_at - start + params.len());
        let addr = NameAddr {
            display: if display == Span::default() {
                display
            } else {
                Span::new(display.range().start - start, display.range().end - start)
            },
            tag: Params::place(&text, params, "tag"),
            params,
            text,
            uri,
        };
        Ok((addr, at(rest)))
    }

    //------------ Building ----------------------------------------------------------------------------------

    /// `<uri>`.
    pub fn new(uri: Uri) -> NameAddr {
        NameAddr::compose("", uri, "")
    }

    /// The same address with a display name, quoted and escaped; an empty one takes it away.
    #[must_use]
    pub fn with_display(&self, display: &str) -> NameAddr {
        let quoted = if display.is_empty() { String::new() } else { Quoted(display).to_string() };
        NameAddr::compose(&quoted, self.uri.clone(), self.params().as_str())
    }

    /// The same address with a parameter set. A value that is no token is quoted; `None` makes a flag.
    #[must_use]
    pub fn with_param(&self, name: &str, value: Option<&str>) -> NameAddr {
        let mut params = self.params().without(name);
        params.push(';');
        params.extend(name.bytes().filter(|&c| grammar::is_token_byte(c)).map(char::from));
        if let Some(value) = value {
            params.push('=');
            if grammar::is_token(value.as_bytes()) {
                params.push_str(value);
            } else {
                params.push_str(&Quoted(value).to_string());
            }
        }
        NameAddr::compose(self.raw_display(), self.uri.clone(), &params)
    }

    /// The same address without a parameter.
    #[must_use]
    pub fn without_param(&self, name: &str) -> NameAddr {
        if !self.params().has(name) {
            return self.clone();
        }
        NameAddr::compose(self.raw_display(), self.uri.clone(), &self.params().without(name))
    }

    /// The same address with this tag.
    #[must_use]
    pub fn with_tag(&self, tag: &str) -> NameAddr {
        self.with_param("tag", Some(tag))
    }

    /// The same display name and parameters around another URI.
    #[must_use]
    pub fn with_uri(&self, uri: Uri) -> NameAddr {
        NameAddr::compose(self.raw_display(), uri, self.params().as_str())
    }

    fn compose(display: &str, uri: Uri, params: &str) -> NameAddr {
        let mut text = String::with_capacity(display.len() + uri.as_str().len() + params.len() + 3);
        text.push_str(display);
        if !display.is_empty() {
            text.push(' ');
        }
        text.push('<');
        text.push_str(uri.as_str());
        text.push('>');
        let params_at = text.len();
        text.push_str(params);
        let text = Text::from(text);
        let params = Span::new(params_at, text.len());
        NameAddr {
            display: if display.is_empty() { Span::default() } else { Span::new(0, display.len()) },
            tag: Params::place(&text, params, "tag"),
            params,
            uri: uri.moved_to(&text, params_at - 1 - uri.as_str().len()),
            text,
        }
    }

    /// The same address, whose characters are also found in `text` from `at` on: the buffer it came in is let go.
    #[must_use]
    pub(crate) fn moved_to(&self, text: &Text, at: usize) -> NameAddr {
        let within = (self.uri.as_str().as_ptr() as usize).checked_sub(self.text.as_str().as_ptr() as usize);
        let uri = match within.filter(|within| within + self.uri.as_str().len() <= self.text.len()) {
            Some(within) => self.uri.moved_to(text, at + within),
            None => self.uri.clone(),
        };
        let new = text.slice(at..at + self.text.len());
        debug_assert_eq!(new, self.text);
        NameAddr { text: new, uri, ..*self }
    }

    //------------ Reading -----------------------------------------------------------------------------------

    /// The address as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The display name without quotes and escapes. None when there is none or it is empty.
    pub fn display(&self) -> Option<Cow<'_, str>> {
        Some(unquote(self.raw_display())).filter(|d| !d.is_empty())
    }

    /// The display name as it was written; empty when there is none.
    pub fn raw_display(&self) -> &str {
        self.display.of(&self.text)
    }

    /// The URI.
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// The parameters of the header, not of the URI.
    pub fn params(&self) -> Params<'_> {
        Params::new(self.params.of(&self.text))
    }

    /// A header parameter by name in any case, without quotes; empty for a flag.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params().get(name)
    }

    /// The `tag` parameter. An empty one counts as none.
    pub fn tag(&self) -> Option<&str> {
        Some(self.tag.of(&self.text)).filter(|t| !t.is_empty())
    }
}

/// `<uri>`, blanks inside tolerated. Gives the URI.
fn angle(input: &[u8]) -> Result<(&[u8], &[u8]), Wrong> {
    let (inside, _) = finish(grammar::one(b'<', "an opening angle bracket")(input))?;
    let Some(end) = memchr::memchr(b'>', inside) else {
        return Err(Wrong { left: input.len(), expected: "a closing angle bracket" });
    };
    let (uri, rest) = inside.split_at(end);
    Ok((rest.get(1..).unwrap_or(&[]), uri.trim_ascii()))
}

impl FromStr for NameAddr {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<NameAddr, ParseError> {
        NameAddr::parse(Text::from(text))
    }
}

impl fmt::Display for NameAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for NameAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

impl Message {
    /// Every address of a header that is a comma list of addresses, over all its lines.
    pub fn addresses(&self, name: Name) -> Result<Vec<NameAddr>, ParseError> {
        let mut all = Vec::new();
        for (value, at) in self.values(name) {
            NameAddr::parse_list(&value, &mut all).map_err(|e| e.within(name.as_str(), at))?;
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        for (text, display, uri, params) in [
            ("sip:1001@127.0.0.1", None, "sip:1001@127.0.0.1", ""),
            ("sip:1001@a;tag=1", None, "sip:1001@a", ";tag=1"),
            ("<sip:1001@a;x=y>;tag=1", None, "sip:1001@a;x=y", ";tag=1"),
            ("Bob <sip:b@a>", Some("Bob"), "sip:b@a", ""),
            ("token1~` token2'+_ \t<sip:b@a> ;x", Some("token1~` token2'+_"), "sip:b@a", " ;x"),
            (
                "\"A. G. \\\"Bell\\\\\" <sip:b@a> ; tag = a48s",
                Some("A. G. \"Bell\\"),
                "sip:b@a",
                " ; tag = a48s",
            ),
            ("\"\" <sip:b@a>", None, "sip:b@a", ""),
            ("Bell, Alexander <sip:b@a>", Some("Bell, Alexander"), "sip:b@a", ""),
            ("Żółw <sip:b@a>", Some("Żółw"), "sip:b@a", ""),
            ("< sip:b@a >", None, "sip:b@a", ""),
            ("tel:+1234;tag=x", None, "tel:+1234", ";tag=x"),
            ("<isbn:2983792873>", None, "isbn:2983792873", ""),
            ("\"<sip:x@y>\" <sip:b@a>", Some("<sip:x@y>"), "sip:b@a", ""),
            ("sip:b@a;p=\"<x>\"", None, "sip:b@a", ";p=\"<x>\""),
        ] {
            let addr: NameAddr = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(
                (addr.display().as_deref(), addr.uri().as_str(), addr.params().as_str()),
                (display, uri, params),
                "{text}"
            );
            assert_eq!(addr.to_string(), text);
        }
    }

    #[test]
    fn refuses_and_says_where() {
        for (text, at) in [
            ("", 0),
            ("Bob", 0),
            ("\"Bob <sip:b@a>", 0),
            ("\"Bob\" sip:b@a", 6),
            ("<sip:b@a", 0),
            ("<sip:b@a>x", 9),
            ("sip:b@a?Route=%3Csip:x%3E", 7),
            ("<sip:b@a>, <sip:c@a>", 9),
            ("<sip:b@a>;tag=\"x", 14),
            ("<sip:b c@a>", 6),
        ] {
            let error = text.parse::<NameAddr>().expect_err(text);
            assert_eq!(error.at, at, "{text}: {error}");
        }
    }

    #[test]
    fn lists() {
        let mut all = Vec::new();
        NameAddr::parse_list(
            &Text::from("\"a,b\" <sip:x,y@h;p=1,2>;q=0.5 , sip:c@d;x=\",\",<sip:e>"),
            &mut all,
        )
        .unwrap();
        assert_eq!(all.len(), 3);
        assert_eq!(all[0].uri().as_str(), "sip:x,y@h;p=1,2");
        assert_eq!(all[0].q(), Some(500));
        assert_eq!(all[1].to_string(), "sip:c@d;x=\",\"");
        assert_eq!(all[2].uri().host(), "e");
    }

    #[test]
    fn building() {
        let addr = NameAddr::new(Uri::sip(Some("1001"), "h", None));
        assert_eq!(addr.to_string(), "<sip:1001@h>");
        let named = addr
            .with_display("A \"B\"\r\n")
            .with_tag("x1")
            .with_param("party", Some("a b"))
            .with_param("f", None);
        assert_eq!(named.to_string(), "\"A \\\"B\\\"\" <sip:1001@h>;tag=x1;party=\"a b\";f");
        assert_eq!(named.with_tag("2").tag(), Some("2"));
        assert_eq!(named.without_param("TAG").tag(), None);
        assert_eq!(named.with_display("").with_uri(Uri::sip(None, "z", None)).raw_display(), "");
        let again: NameAddr = named.to_string().parse().unwrap();
        assert_eq!(again.display().as_deref(), Some("A \"B\""));
    }

    #[test]
    fn contact_parameters() {
        for (q, want) in [
            ("1", Some(1000)),
            ("0.7", Some(700)),
            ("0.001", Some(1)),
            ("1.001", None),
            ("0.1234", None),
            ("x", None),
            ("1.", Some(1000)),
            ("99999999999", None),
        ] {
            let addr: NameAddr = format!("<sip:a>;q={q}").parse().unwrap();
            assert_eq!(addr.q(), want, "{q}");
        }
        let addr: NameAddr =
            "<sip:a>;expires=99999999999;reg-id=0;+sip.instance=\"<urn:uuid:1>\"".parse().unwrap();
        assert_eq!(
            (addr.expires(), addr.reg_id(), addr.instance()),
            (Some(u32::MAX), None, Some("urn:uuid:1"))
        );
    }
}
