//! Telling a peer what is wrong with its request, when enough of it can be read.

use std::fmt::Write;

use bytes::{Bytes, BytesMut};

use super::build::Builder;
use super::error::{ErrorKind, ParseError};
use super::flow::Flow;
use super::framer::FrameError;
use super::header::Via;
use super::message::Message;
use super::name::Name;
use super::text::Text;
use super::uri::Scheme;

/// A header longer than this is not given back: of From and To only the address stays, without the display name.
const LONG: usize = 2 * 1024;

impl ParseError {
    /// The response to the broken request `raw` that came over `flow`: status and reason of this error, and Via, From,
    /// To, Call-ID and CSeq as they came, as far as they came (RFC 4475 §3.3.1). None when `raw` is a response or an ACK, or when its
    /// topmost Via cannot be read or there is no CSeq: then nobody could tell what is answered.
    pub fn answer(&self, raw: &[u8], flow: &Flow) -> Option<Bytes> {
        answer(raw, flow, self.status(), &self.to_string())
    }
}

impl FrameError {
    /// The response to the message at which the stream failed, as [`ParseError::answer`]. The stream ends all the same.
    pub fn answer(&self, flow: &Flow) -> Option<Bytes> {
        answer(&self.head, flow, self.status(), self.expected)
    }
}

/// The phrase of a status that parsing can give.
fn phrase(status: u16) -> &'static str {
    match status {
        413 => "Request Entity Too Large",
        414 => "Request-URI Too Long",
        416 => "Unsupported URI Scheme",
        420 => "Bad Extension",
        505 => "Version Not Supported",
        513 => "Message Too Large",
        _ => "Bad Request",
    }
}

fn answer(raw: &[u8], flow: &Flow, status: u16, why: &str) -> Option<Bytes> {
    let start = raw.iter().position(|c| !matches!(c, b'\r' | b'\n'))?;
    let mut lines = Lines { rest: raw.get(start..)? };
    let first = lines.next()?;
    let method = first.split(|c| *c == b' ').next()?;
    if first.get(..4).is_some_and(|p| p.eq_ignore_ascii_case(b"SIP/")) || method == b"ACK" {
        return None;
    }
    let mut out = BytesMut::with_capacity(512);
    write!(out, "SIP/2.0 {status} {}\r\n", phrase(status)).ok()?;
    let mut seen = [(Name::From, false), (Name::To, false), (Name::CallId, false), (Name::CSeq, false)];
    let mut top = true;
    for line in lines {
        let Some(colon) = memchr::memchr(b':', line) else { continue };
        let (name, value) = line.split_at(colon);
        let name = Name::from_bytes(name.trim_ascii_end());
        let mut value = value.get(1..)?.trim_ascii();
        if value.len() > LONG && matches!(name, Name::From | Name::To) {
            value = memchr::memrchr(b'<', value).and_then(|at| value.get(at..)).unwrap_or(&[]);
        }
        let value =
            unfolded(value.get(..LONG.min(value.len())).filter(|v| v.len() == value.len()).unwrap_or(&[]));
        if value.is_empty() {
            continue;
        }
        if name == Name::Via {
            out.extend_from_slice(b"Via: ");
            if std::mem::take(&mut top) {
                let text = Text::from_utf8(Bytes::copy_from_slice(&value)).ok()?;
                let (via, _) = Via::element(&text, 0..text.len()).ok()?;
                via.write_received(flow, &mut out);
                out.extend_from_slice(text.get(via.as_str().len()..)?.as_bytes());
            } else {
                out.extend_from_slice(&value);
            }
            out.extend_from_slice(b"\r\n");
            continue;
        }
        let Some((_, done)) = seen.iter_mut().find(|(n, done)| *n == name && !*done) else { continue };
        *done = true;
        write!(out, "{name}: ").ok()?;
        out.extend_from_slice(&value);
        if name == Name::To && !has_tag(&value) {
            write!(out, ";tag={:08x}", fingerprint(raw)).ok()?;
        }
        out.extend_from_slice(b"\r\n");
    }
    if top || seen.iter().any(|(name, done)| *name == Name::CSeq && !done) {
        return None;
    }
    out.extend_from_slice(b"Warning: 399 tandem \"");
    out.extend(why.bytes().filter(|c| (0x20..0x7f).contains(c) && !matches!(c, b'"' | b'\\')));
    out.extend_from_slice(b"\"\r\nContent-Length: 0\r\n\r\n");
    Some(out.freeze())
}

/// Whether a To, broken or not, has a tag already.
fn has_tag(value: &[u8]) -> bool {
    let after = memchr::memrchr(b'>', value).map_or(value, |at| value.get(at..).unwrap_or(&[]));
    after
        .split(|c| *c == b';')
        .skip(1)
        .any(|p| p.trim_ascii().get(..3).is_some_and(|n| n.eq_ignore_ascii_case(b"tag")))
}

/// The same request gets the same tag, so a retransmission gets the same answer (RFC 3261 §8.2.7).
fn fingerprint(raw: &[u8]) -> u32 {
    raw.iter().fold(0x811c_9dc5, |h: u32, c| (h ^ u32::from(*c)).wrapping_mul(0x0100_0193))
}

fn unfolded(value: &[u8]) -> Vec<u8> {
    value.iter().map(|c| if matches!(c, b'\r' | b'\n' | 0) { b' ' } else { *c }).collect()
}

/// Header lines with their folds, up to the empty line.
struct Lines<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];
    fn next(&mut self) -> Option<&'a [u8]> {
        let mut at = 0;
        loop {
            let newline = memchr::memchr(b'\n', self.rest.get(at..)?)?;
            at += newline + 1;
            if !matches!(self.rest.get(at), Some(b' ' | b'\t')) {
                break;
            }
        }
        let (line, rest) = self.rest.split_at(at);
        self.rest = rest;
        let line = line.trim_ascii_end();
        (!line.is_empty()).then_some(line)
    }
}

impl Message {
    /// The inspection every request passes before anything acts on it (RFC 3261 §8.2.2): the scheme of the request-URI (416) and
    /// that we have every extension it requires (420). ACK and CANCEL are not asked for extensions.
    pub fn inspect(&self, extensions: &[&str]) -> Result<(), ParseError> {
        use super::Method::{Ack, Cancel};
        if self.uri().is_some_and(|u| u.scheme() == Scheme::Other) {
            return Err(ParseError::new(
                ErrorKind::UnsupportedScheme,
                "Request-Line",
                0,
                "sip:, sips: or tel:",
            ));
        }
        if self.is_request()
            && !matches!(self.method(), Ack | Cancel)
            && self.unsupported(extensions).next().is_some()
        {
            let header = Name::Require.as_str();
            return Err(ParseError::new(ErrorKind::UnsupportedExtension, header, 0, "extensions we have"));
        }
        Ok(())
    }

    /// What Require names and `extensions` has not: for Unsupported in a 420.
    pub fn unsupported<'a>(&'a self, extensions: &'a [&str]) -> impl Iterator<Item = &'a str> {
        self.require().iter().filter(|r| !extensions.iter().any(|e| e.eq_ignore_ascii_case(r)))
    }

    /// The response that says what [`inspect`](Message::inspect) found, with Unsupported in a 420. It still wants a tag and
    /// whatever the caller puts into all its responses.
    pub fn refusal(&self, flow: &Flow, error: &ParseError, extensions: &[&str]) -> Builder {
        let new = Builder::response(self, flow, error.status(), phrase(error.status()));
        match error.kind {
            ErrorKind::UnsupportedExtension => {
                let list: Vec<&str> = self.unsupported(extensions).collect();
                new.header(Name::Unsupported, list.join(", "))
            }
            _ => new,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Limits;
    use super::*;

    fn flow() -> Flow {
        Flow::udp("192.0.2.1:5060".parse().unwrap(), "198.51.100.7:4444".parse().unwrap())
    }

    fn refused(raw: &str) -> (ParseError, Option<Message>) {
        let raw = Bytes::copy_from_slice(raw.as_bytes());
        let error = Message::parse(raw.clone(), &Limits::default()).expect_err("a broken message");
        let answer = error.answer(&raw, &flow()).map(|b| Message::parse(b, &Limits::default()).unwrap());
        (error, answer)
    }

    const REST: &str = "Via: SIP/2.0/UDP a.example\r\n ;branch=z9hG4bK1\r\nv: SIP/2.0/UDP b\r\nf: <sip:a@b>;tag=1\r\n\
        t: <sip:b@c>\r\ni: x\r\n";

    #[test]
    fn says_what_is_wrong() {
        for (first, more, status, header) in [
            ("INVITE sip:b@c SIP/7.0", "CSeq: 1 INVITE\r\n", 505, "Request-Line"),
            ("INVITE sip:b@c SIP/2.0", "CSeq: 1 BYE\r\n", 400, "CSeq"),
            ("INVITE sip:b@c SIP/2.0", "CSeq: 1 INVITE\r\nl: 5\r\n", 400, "Content-Length"),
            ("INVITE sip:b@c SIP/2.0", "CSeq: 1 INVITE\r\nMax-Forwards: x\r\n", 400, "Max-Forwards"),
            ("INVITE <sip:b@c> SIP/2.0", "CSeq: 1 INVITE\r\n", 400, "Request-Line"),
            ("INVITE sip:b@c x SIP/2.0", "CSeq: 1 INVITE\r\n", 400, "Request-Line"),
            ("INVITE sip:b@c SIP/2.0", "CSeq: 1 INVITE\r\nTo: sip:x\r\n", 400, "To"),
        ] {
            let (error, answer) = refused(&format!("{first}\r\n{REST}{more}\r\n"));
            assert_eq!((error.status(), error.header), (status, header), "{first} {more}");
            let answer = answer.expect("an answer");
            assert_eq!(answer.status(), Some(status));
            assert_eq!(answer.vias().unwrap().len(), 2);
            assert_eq!(answer.via().rport(), Some(Some(4444)));
            assert!(answer.to_tag().is_some());
        }
    }

    #[test]
    fn a_bad_cseq_goes_back_as_it_came() {
        let raw = format!("INVITE sip:b@c SIP/2.0\r\n{REST}CSeq: 99999999999 INVITE\r\n\r\n");
        let error =
            Message::parse(Bytes::from(raw.clone()), &Limits::default()).expect_err("a broken message");
        let answer = error.answer(raw.as_bytes(), &flow()).unwrap();
        let answer = std::str::from_utf8(&answer).unwrap();
        assert!(answer.starts_with("SIP/2.0 400 Bad Request\r\n"), "{answer}");
        assert!(answer.contains("\r\nCSeq: 99999999999 INVITE\r\n"), "{answer}");
        let tag = |a: &str| a.lines().find(|l| l.starts_with("To:")).map(str::to_owned);
        let again = error.answer(raw.as_bytes(), &flow()).unwrap();
        assert_eq!(
            tag(answer),
            tag(std::str::from_utf8(&again).unwrap()),
            "retransmissions get the same tag"
        );
    }

    #[test]
    fn keeps_silent() {
        for raw in [
            format!("ACK sip:b@c SIP/7.0\r\n{REST}CSeq: 1 ACK\r\n\r\n"),
            format!("SIP/2.0 99 Odd\r\n{REST}CSeq: 1 BYE\r\n\r\n"),
            format!("INVITE sip:b@c SIP/2.0\r\n{REST}\r\n"),
            "x\r\n\r\n".to_owned(),
            "\r\n".to_owned(),
            String::new(),
        ] {
            assert!(refused(&raw).1.is_none(), "{raw}");
        }
    }

    #[test]
    fn inspection() {
        let have = ["timer", "100rel"];
        for (uri, more, want) in [
            ("sip:b@c", "Require: Timer\r\nRequire: 100rel\r\n", None),
            ("tel:+1", "", None),
            ("soap.beep://b.c", "", Some((416, None))),
            ("sip:b@c", "Require: timer, nothing\r\nRequire: more\r\n", Some((420, Some("nothing, more")))),
        ] {
            let raw = format!("INVITE {uri} SIP/2.0\r\n{REST}CSeq: 1 INVITE\r\n{more}\r\n");
            let m = Message::parse(Bytes::from(raw), &Limits::default()).unwrap();
            let got = m.inspect(&have).err().map(|e| {
                let bytes = m.refusal(&flow(), &e, &have).to_tag("t").finish();
                (e.status(), Message::parse(bytes, &Limits::default()).unwrap())
            });
            let got = got.as_ref().map(|(s, m)| (*s, m.header(Name::Unsupported)));
            assert_eq!(got, want, "{uri} {more}");
        }
    }

    /// However long a display name is, whoever sent it hears that it is too long, and can tell what that answers.
    #[test]
    fn a_header_of_60_000_bytes_is_answered() {
        for length in [9_000, 30_000, 60_000] {
            let name = "x".repeat(length);
            for from_first in [true, false] {
                let from = format!("From: \"{name}\" <sip:a@b>;tag=1\r\n");
                let via = "Via: SIP/2.0/UDP a.example;branch=z9hG4bK1\r\n";
                let first = if from_first { format!("{from}{via}") } else { format!("{via}{from}") };
                let raw = format!(
                    "INVITE sip:b@c SIP/2.0\r\n{first}To: <sip:b@c>\r\nCall-ID: c1\r\nCSeq: 1 INVITE\r\n\
                     Content-Length: 0\r\n\r\n"
                );
                let (error, answer) = refused(&raw);
                assert_eq!(error.status(), 513, "{error}");
                let answer = answer.expect("an answer");
                assert_eq!(answer.status(), Some(513));
                assert_eq!((answer.from().tag(), answer.call_id()), (Some("1"), "c1"));
                assert!(answer.raw().len() < 1_000, "{}", answer.raw().len());
            }
        }
    }
}
