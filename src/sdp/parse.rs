//! Reads a session description (RFC 8866), lenient in form and strict in size and number.
//!
//! Lenient: bare LF, blank lines, blanks around values, missing `s=` or `t=`, lines of unknown letters
//! (dropped). Strict: every number that is used later is checked here, so nothing broken is handed on.

use std::fmt;

use super::{Attribute, Connection, Kind, Media, Origin, Session};

/// Bytes of a whole description.
pub const MAX_SIZE: usize = 65_536;
/// Lines of a whole description.
pub const MAX_LINES: usize = 1_024;
/// Bytes of one line.
pub const MAX_LINE: usize = 4_096;
/// m-lines.
pub const MAX_MEDIA: usize = 16;
/// Formats of one m-line.
pub const MAX_FORMATS: usize = 64;
/// Clock rate in Hz.
pub(super) const MAX_CLOCK: u32 = 1_000_000;

/// Why a description was not understood, or no answer to it is possible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SdpError {
    /// A line does not say what it should. Lines count from 1.
    Syntax {
        /// Line number, from 1.
        line: usize,
        /// What was expected there.
        expected: &'static str,
    },
    /// One of the bounds at the head of `parse.rs` is passed.
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// How much is allowed.
        limit: usize,
    },
    /// A line the description cannot do without is missing.
    Missing(&'static str),
    /// Both descriptions are sound, yet have no codec in common for any m-line.
    NoCommonCodec,
    /// No local port was given for an m-line in use. Our own fault.
    NoPort {
        /// Index of the m-line.
        line: usize,
    },
}

impl SdpError {
    /// The status that tells the sender (RFC 3261 §21.4): 488 when it was understood but does not fit,
    /// 500 when it was our own fault, 400 for the rest.
    pub fn status(&self) -> u16 {
        match self {
            SdpError::NoCommonCodec => 488,
            SdpError::NoPort { .. } => 500,
            SdpError::Syntax { .. } | SdpError::TooLarge { .. } | SdpError::Missing(_) => 400,
        }
    }
}

impl fmt::Display for SdpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SdpError::Syntax { line, expected } => write!(f, "SDP line {line}: expected {expected}"),
            SdpError::TooLarge { what, limit } => write!(f, "SDP: more than {limit} {what}"),
            SdpError::Missing(what) => write!(f, "SDP: no {what}"),
            SdpError::NoCommonCodec => f.write_str("SDP: no codec in common"),
            SdpError::NoPort { line } => write!(f, "SDP: no local port for m-line {line}"),
        }
    }
}

impl std::error::Error for SdpError {}

impl Session {
    /// Reads a body. Text that is not UTF-8 (an old phone's session name) is read with replacement
    /// characters.
    pub fn parse_bytes(body: &[u8]) -> Result<Session, SdpError> {
        if body.len() > MAX_SIZE {
            return Err(SdpError::TooLarge { what: "bytes", limit: MAX_SIZE });
        }
        match std::str::from_utf8(body) {
            Ok(text) => Session::parse(text),
            Err(_) => Session::parse(&String::from_utf8_lossy(body)),
        }
    }

    /// Reads a description. See the head of `parse.rs` for what is forgiven and what is not.
    pub fn parse(text: &str) -> Result<Session, SdpError> {
        if text.len() > MAX_SIZE {
            return Err(SdpError::TooLarge { what: "bytes", limit: MAX_SIZE });
        }
        let mut reader = Reader::default();
        let mut rest = Some(text);
        let mut number = 0;
        while let Some(text) = rest {
            if number >= MAX_LINES {
                return Err(SdpError::TooLarge { what: "lines", limit: MAX_LINES });
            }
            number += 1;
            let line = match cut(text, b'\n') {
                Some((line, after)) => {
                    rest = Some(after);
                    line
                }
                None => {
                    rest = None;
                    text
                }
            };
            let line = without_end(without_end(line, |b| b == b'\r'), |b| matches!(b, b' ' | b'\t'));
            if line.len() > MAX_LINE {
                return Err(SdpError::TooLarge { what: "bytes in a line", limit: MAX_LINE });
            }
            if !line.is_empty() {
                reader.line(number, line)?;
            }
        }
        reader.finish()
    }
}

/// The text before and after the first of an ASCII byte.
fn cut(text: &str, by: u8) -> Option<(&str, &str)> {
    let at = memchr::memchr(by, text.as_bytes())?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

/// The text less what `dropped`, which is of ASCII bytes, holds true of at its end.
fn without_end(text: &str, dropped: fn(u8) -> bool) -> &str {
    let kept = text.bytes().rposition(|b| !dropped(b)).map_or(0, |last| last + 1);
    text.get(..kept).unwrap_or(text)
}

#[derive(Default)]
struct Reader {
    version_seen: bool,
    origin: Option<Origin>,
    name: Option<String>,
    connection: Option<Connection>,
    lines: Vec<(char, String)>,
    attributes: Vec<Attribute>,
    media: Vec<Media>,
}

impl Reader {
    fn line(&mut self, number: usize, line: &str) -> Result<(), SdpError> {
        let wrong = |expected| SdpError::Syntax { line: number, expected };
        if memchr::memchr2(b'\r', b'\0', line.as_bytes()).is_some() {
            return Err(wrong("no CR or NUL within a line"));
        }
        let (letter, value) = cut(line, b'=').ok_or(wrong("<letter>=<value>"))?;
        let mut letters = letter.chars();
        let (Some(letter), None) = (letters.next(), letters.next()) else {
            return Err(wrong("one letter before ="));
        };
        if !self.version_seen {
            if letter != 'v' || value.trim() != "0" {
                return Err(wrong("v=0 first"));
            }
            self.version_seen = true;
            return Ok(());
        }
        match letter {
            'm' => {
                if self.media.len() >= MAX_MEDIA {
                    return Err(SdpError::TooLarge { what: "m-lines", limit: MAX_MEDIA });
                }
                // One or two are all there are.
                self.media.reserve_exact(1);
                self.media.push(media(value, number)?);
            }
            'a' => {
                let attribute = attribute(value.trim_start()).ok_or(wrong("an attribute name"))?;
                match self.media.last_mut() {
                    Some(media) => {
                        check_payload(media, &attribute, number)?;
                        media.attributes.push(attribute);
                    }
                    None => self.attributes.push(attribute),
                }
            }
            'c' => {
                let connection = connection(value.split_ascii_whitespace())
                    .ok_or(wrong("c=IN IP4 <address> or c=IN IP6 <address>"))?;
                let place = match self.media.last_mut() {
                    Some(media) => &mut media.connection,
                    None => &mut self.connection,
                };
                place.get_or_insert(connection);
            }
            'o' if self.media.is_empty() && self.origin.is_none() => {
                self.origin =
                    Some(origin(value).ok_or(wrong("o=<username> <id> <version> IN IP4 <address>"))?);
            }
            's' if self.media.is_empty() && self.name.is_none() => self.name = Some(value.trim().to_owned()),
            'i' | 'b' | 'k' | 'u' | 'e' | 'p' | 't' | 'r' | 'z' => {
                let kept = (letter, value.trim_start().to_owned());
                match self.media.last_mut() {
                    Some(media) if matches!(letter, 'i' | 'b' | 'k') => media.lines.push(kept),
                    Some(_) => {}
                    None => self.lines.push(kept),
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn finish(self) -> Result<Session, SdpError> {
        if !self.version_seen {
            return Err(SdpError::Missing("v= line"));
        }
        let origin = self.origin.ok_or(SdpError::Missing("o= line"))?;
        let unplaced = |m: &Media| m.port != 0 && m.connection.is_none() && m.is_rtp();
        if self.connection.is_none() && self.media.iter().any(unplaced) {
            return Err(SdpError::Missing("c= line"));
        }
        let name = self.name.filter(|n| !n.is_empty()).unwrap_or_else(|| "-".to_owned());
        let Reader { connection, mut lines, attributes, mut media, .. } = self;
        // the order of printing, so that reading what was printed gives the same value
        lines.sort_by_key(|(letter, _)| match letter {
            'i' | 'u' | 'e' | 'p' => 0,
            'b' => 1,
            _ => 2,
        });
        if !lines.iter().any(|(letter, _)| *letter == 't') {
            let at = lines.iter().position(|(letter, _)| "rzk".contains(*letter)).unwrap_or(lines.len());
            lines.insert(at, ('t', "0 0".to_owned()));
        }
        media.iter_mut().for_each(|m| m.lines.sort_by_key(|(letter, _)| *letter != 'i'));
        Ok(Session { origin, name, connection, lines, attributes, media })
    }
}

fn origin(value: &str) -> Option<Origin> {
    let mut words = value.split_ascii_whitespace();
    let (username, id, version) = (words.next()?, words.next()?, words.next()?);
    Some(Origin {
        username: username.to_owned(),
        id: id.to_owned(),
        version: version.to_owned(),
        connection: connection(words)?,
    })
}

fn connection<'a>(mut words: impl Iterator<Item = &'a str>) -> Option<Connection> {
    let (net, kind, address) = (words.next()?, words.next()?, words.next()?);
    if net.eq_ignore_ascii_case("IN") {
        let literal = address.split('/').next()?;
        if let Ok(ip) = literal.parse() {
            return Some(Connection::Ip(ip));
        }
        let is_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
        if literal.len() > 255 || !literal.chars().all(is_host) {
            return None;
        }
    }
    Some(Connection::Other(format!("{net} {kind} {address}")))
}

fn attribute(value: &str) -> Option<Attribute> {
    let (name, value) = match cut(value, b':') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (value, None),
    };
    (!name.is_empty()).then(|| Attribute { name: Attribute::spelled(name), value })
}

fn media(value: &str, number: usize) -> Result<Media, SdpError> {
    let wrong = |expected| SdpError::Syntax { line: number, expected };
    let mut words = value.split_ascii_whitespace();
    let kind = words.next().ok_or(wrong("m=<media> <port> <proto> <formats>"))?;
    let port = words.next().ok_or(wrong("a port after the media"))?;
    let (port, count) = match port.split_once('/') {
        Some((port, count)) => {
            let count = count.parse::<u16>().ok().filter(|n| *n != 0);
            (port, Some(count.ok_or(wrong("a number of ports from 1"))?))
        }
        None => (port, None),
    };
    let port = port.parse::<u16>().map_err(|_| wrong("a port from 0 to 65535"))?;
    let proto = words.next().ok_or(wrong("a transport after the port"))?.to_owned();
    let mut formats = Vec::new();
    for format in words {
        if formats.len() >= MAX_FORMATS {
            return Err(SdpError::TooLarge { what: "formats in an m-line", limit: MAX_FORMATS });
        }
        formats.push(format.to_owned());
    }
    let media = Media {
        kind: Kind::named(kind),
        port,
        port_count: count,
        proto,
        formats,
        connection: None,
        lines: Vec::new(),
        attributes: Vec::new(),
    };
    if media.formats.is_empty() && media.port != 0 {
        return Err(wrong("at least one format"));
    }
    if media.is_rtp() && !media.formats.iter().all(|f| payload_number(f).is_some()) {
        return Err(wrong("payload numbers from 0 to 127"));
    }
    Ok(media)
}

/// A payload number without sign or leading zeros, so that printing gives the same text.
fn payload_number(text: &str) -> Option<u8> {
    text.parse::<u8>()
        .ok()
        .filter(|pt| *pt <= 127 && text.len() == 1 + usize::from(*pt > 9) + usize::from(*pt > 99))
}

/// rtpmap and fmtp of an RTP m-line are checked when read, so that later reading cannot fail.
fn check_payload(media: &Media, attribute: &Attribute, number: usize) -> Result<(), SdpError> {
    let wrong = |expected| SdpError::Syntax { line: number, expected };
    if !media.is_rtp() {
        return Ok(());
    }
    let value = attribute.value.as_deref().unwrap_or("").trim_start();
    if attribute.name.eq_ignore_ascii_case("rtpmap") {
        let (pt, rest) = value.split_once([' ', '\t']).ok_or(wrong("a=rtpmap:<pt> <name>/<clock>"))?;
        payload_number(pt).ok_or(wrong("a payload number from 0 to 127"))?;
        // Without any number it says nothing more than the payload number does (RFC 4475 has `31 LPC`).
        if rest.contains('/') {
            encoding(rest).ok_or(wrong("<name>/<clock>[/<channels>] with numbers in range"))?;
        }
    } else if attribute.name.eq_ignore_ascii_case("fmtp") {
        let pt = value.split([' ', '\t']).next().unwrap_or("");
        payload_number(pt).ok_or(wrong("a payload number from 0 to 127"))?;
    }
    Ok(())
}

/// `<name>/<clock>[/<channels>]`; None when a number is out of range.
pub(super) fn encoding(text: &str) -> Option<(&str, u32, u8)> {
    let (name, rest) = cut(text, b'/')?;
    let (clock, channels) = cut(rest, b'/').unwrap_or((rest, ""));
    let name = name.trim();
    let clock = clock.trim().parse::<u32>().ok()?;
    let channels = match channels.trim() {
        "" => 1,
        n => n.parse::<u8>().ok()?,
    };
    let is_token = name.bytes().all(|b| b.is_ascii_graphic())
        || !name.contains(|c: char| c.is_whitespace() || c.is_control());
    let fits = !name.is_empty() && is_token && (1..=MAX_CLOCK).contains(&clock) && channels != 0;
    fits.then_some((name, clock, channels))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sdp::Direction;

    const HEAD: &str = "v=0\r\no=- 1 2 IN IP4 192.0.2.2\r\ns=-\r\nc=IN IP4 192.0.2.2\r\nt=0 0\r\n";

    fn parsed(rest: &str) -> Session {
        Session::parse(&format!("{HEAD}{rest}")).unwrap()
    }

    #[test]
    fn broken_descriptions_are_refused_with_their_line() {
        let cases: &[(&str, &str)] = &[
            ("m=audio 4000 RTP/AVP 0\r\na=rtpmap:0 PCMU/99999999999", "line 7"),
            ("m=audio 4000 RTP/AVP 0\r\na=rtpmap:0 PCMU/-8000", "line 7"),
            ("m=audio 4000 RTP/AVP 0\r\na=rtpmap:0 PCMU/0", "line 7"),
            ("m=audio 4000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000/999", "line 7"),
            ("m=audio 4000 RTP/AVP 0\r\na=rtpmap:300 PCMU/8000", "line 7"),
            ("m=video 4000 RTP/AVP 31\r\na=rtpmap:31 LPC", "ok"),
            ("m=audio 4000 RTP/AVP 0\r\na=rtpmap:0", "line 7"),
            ("m=audio 4000 RTP/AVP 0\r\na=fmtp:x y", "line 7"),
            ("m=audio 70000 RTP/AVP 0", "line 6"),
            ("m=audio -1 RTP/AVP 0", "line 6"),
            ("m=audio 4000/0 RTP/AVP 0", "line 6"),
            ("m=audio 4000 RTP/AVP", "line 6"),
            ("m=audio 4000 RTP/AVP 128", "line 6"),
            ("m=audio 4000 RTP/AVP x", "line 6"),
            ("m=audio", "line 6"),
            ("m=", "line 6"),
            ("a=", "line 6"),
            ("a=:x", "line 6"),
            ("audio", "line 6"),
            ("c=IN IP4", "line 6"),
            ("c=IN IP4 a b<c", "ok"),
            ("c=IN IP4 <script>", "line 6"),
            ("a=x\0y", "line 6"),
            ("a=x\ry", "line 6"),
        ];
        for (rest, wanted) in cases {
            let got = Session::parse(&format!("{HEAD}{rest}\r\n"));
            match got {
                Ok(_) => assert_eq!(*wanted, "ok", "{rest}"),
                Err(e) => assert!(e.to_string().contains(wanted) && e.status() == 400, "{rest}: {e}"),
            }
        }
        assert_eq!(Session::parse(""), Err(SdpError::Missing("v= line")));
        assert_eq!(Session::parse("v=0\r\n"), Err(SdpError::Missing("o= line")));
        assert!(Session::parse("v=0\r\no=- 1 1 IN IP4 h\r\nm=audio 4 RTP/AVP 0\r\n").is_err(), "no c=");
        assert!(Session::parse("o=- 1 1 IN IP4 h\r\nv=0\r\n").is_err(), "v= first");
    }

    #[test]
    fn sizes_are_bounded() {
        let many = |n: usize, line: &str| format!("{HEAD}{}", format!("{line}\r\n").repeat(n));
        assert!(Session::parse(&many(MAX_MEDIA, "m=audio 4 RTP/AVP 0")).is_ok());
        assert!(Session::parse(&many(MAX_MEDIA + 1, "m=audio 4 RTP/AVP 0")).is_err());
        assert!(Session::parse(&many(MAX_LINES, "a=x")).is_err());
        assert!(Session::parse(&many(20, &format!("a={}", "x".repeat(4000)))).is_err());
        assert!(Session::parse(&many(1, &format!("a={}", "x".repeat(MAX_LINE)))).is_err());
        let formats = |n: usize| format!("{HEAD}m=audio 4 RTP/AVP{}\r\n", " 0".repeat(n));
        assert!(Session::parse(&formats(MAX_FORMATS)).is_ok());
        assert!(Session::parse(&formats(MAX_FORMATS + 1)).is_err());
        assert!(Session::parse_bytes(&vec![b'a'; MAX_SIZE + 1]).is_err());
    }

    #[test]
    fn bare_lf_blank_lines_and_missing_lines_are_forgiven() {
        let s = Session::parse(
            "v=0\no=- 1 1 IN IP4 192.0.2.2\n\nc=IN IP4 192.0.2.2 \nm=audio 4000 RTP/AVP 0 8\n",
        )
        .unwrap();
        assert_eq!(
            s.to_string(),
            "v=0\r\no=- 1 1 IN IP4 192.0.2.2\r\ns=-\r\nc=IN IP4 192.0.2.2\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 8\r\n"
        );
        let latin = b"v=0\r\no=- 1 1 IN IP4 192.0.2.2\r\ns=Gespr\xe4ch\r\nt=0 0\r\n";
        assert_eq!(Session::parse_bytes(latin).unwrap().name, "Gespr\u{fffd}ch");
    }

    #[test]
    fn direction_is_inherited_from_the_session() {
        let s = parsed("a=sendonly\r\nm=audio 4 RTP/AVP 0\r\nm=video 6 RTP/AVP 34\r\na=inactive\r\n");
        assert_eq!(s.direction(&s.media[0]), Direction::SendOnly);
        assert_eq!(s.direction(&s.media[1]), Direction::Inactive);
        assert!(s.is_hold());
    }

    #[test]
    fn hold_is_seen_in_all_its_forms() {
        for (rest, held) in [
            ("m=audio 4 RTP/AVP 0\r\n", false),
            ("m=audio 4 RTP/AVP 0\r\na=sendonly\r\n", true),
            ("m=audio 4 RTP/AVP 0\r\na=inactive\r\n", true),
            ("m=audio 4 RTP/AVP 0\r\na=recvonly\r\n", false),
            ("m=audio 4 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\n", true),
            ("m=audio 4 RTP/AVP 0\r\na=sendonly\r\nm=video 6 RTP/AVP 34\r\n", true),
            ("m=audio 4 RTP/AVP 0\r\nm=video 6 RTP/AVP 34\r\na=inactive\r\n", false),
            ("m=audio 0 RTP/AVP 0\r\n", false),
        ] {
            assert_eq!(parsed(rest).is_hold(), held, "{rest}");
        }
    }

    #[test]
    fn rtcp_address_is_the_attribute_or_the_next_port() {
        let s = parsed(
            "m=audio 4000 RTP/AVP 0\r\nm=audio 4000 RTP/AVP 0\r\na=rtcp:5001\r\n\
             m=audio 4000 RTP/AVP 0\r\na=rtcp:5001 IN IP4 192.0.2.9\r\nm=audio 65535 RTP/AVP 0\r\n",
        );
        let of = |n: usize| s.rtcp_address(&s.media[n]).map(|a| a.to_string());
        assert_eq!(of(0).as_deref(), Some("192.0.2.2:4001"));
        assert_eq!(of(1).as_deref(), Some("192.0.2.2:5001"));
        assert_eq!(of(2).as_deref(), Some("192.0.2.9:5001"));
        assert_eq!(of(3), None);
    }

    #[test]
    fn codecs_join_rtpmap_fmtp_and_static_numbers() {
        let s = parsed(
            "m=audio 7078 RTP/AVP 96 0 18 9 99 101 77\r\na=rtpmap:96 opus/48000/2\r\na=fmtp:96 useinbandfec=1\r\n\
             a=fmtp:18 annexb=yes\r\na=rtpmap:99 telephone-event/48000\r\na=rtpmap:101 Telephone-Event/8000\r\n\
             a=fmtp:101 0-15\r\na=ptime:20\r\na=maxptime:60\r\n",
        );
        let m = &s.media[0];
        let names: Vec<String> = m.codecs().iter().map(|c| format!("{} {c}", c.pt)).collect();
        assert_eq!(
            names,
            [
                "96 opus/48000/2",
                "0 PCMU/8000",
                "18 G729/8000",
                "9 G722/8000",
                "99 telephone-event/48000",
                "101 Telephone-Event/8000"
            ]
        );
        assert_eq!(m.codecs()[2].fmtp.as_deref(), Some("annexb=yes"));
        assert_eq!(
            m.events().iter().map(|e| (e.clock, e.pt)).collect::<Vec<_>>(),
            [(48000, 99), (8000, 101)]
        );
        assert_eq!((m.ptime(), m.maxptime()), (Some(20), Some(60)));
    }

    #[test]
    fn version_grows_only_with_change() {
        let first = parsed("m=audio 4 RTP/AVP 0\r\na=sendrecv\r\n");
        assert_eq!(first.clone().numbered_after(&first), first);
        let mut held = first.clone();
        held.set_direction(Direction::SendOnly);
        let held = held.numbered_after(&first);
        assert_eq!((held.origin.id.as_str(), held.origin.version.as_str()), ("1", "3"));
    }
}
