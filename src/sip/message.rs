//! A message: the datagram as it came, the places of its headers, and the few values every reader needs.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use smallvec::SmallVec;

use super::error::{ErrorKind, ParseError};
use super::grammar;
use super::header::{CSeq, NameAddr, Via};
use super::limits::Limits;
use super::method::Method;
use super::name::Name;
use super::scan::{self, Line};
use super::text::Text;
use super::uri::Uri;

/// A parsed request or response. Cloning is cheap; all clones share one buffer.
#[derive(Clone)]
pub struct Message(Arc<Parts>);

struct Parts {
    raw: Bytes,
    head: Text,
    lines: SmallVec<[Line; 20]>,
    start: Start,
    via: Via,
    from: NameAddr,
    to: NameAddr,
    /// Which lines From, To, Call-ID and CSeq are.
    places: [u16; 4],
    cseq: CSeq,
    max_forwards: Option<u32>,
    body: Range<usize>,
    /// Read when it is first asked for.
    contact: OnceLock<Option<NameAddr>>,
}

enum Start {
    Request { uri: Uri },
    Response { status: u16, reason: Range<usize> },
}

impl Message {
    /// Reads one whole datagram or one framed message. What stands after the body that Content-Length names is
    /// ignored (RFC 3261 §18.3); without Content-Length the body is the rest.
    pub fn parse(raw: Bytes, limits: &Limits) -> Result<Message, ParseError> {
        let scan = scan::scan(&raw, limits)?;
        let head = scan.head;
        let first = head.get(scan.first.clone()).unwrap_or("");
        let (start, method) = start_line(first, &head, scan.first.start, limits)?;

        let mut places = [u16::MAX; 7];
        for (index, line) in scan.lines.iter().enumerate() {
            let slot = match line.name {
                Name::Via => 6,
                Name::From => 0,
                Name::To => 1,
                Name::CallId => 2,
                Name::CSeq => 3,
                Name::MaxForwards => 4,
                Name::ContentLength => 5,
                _ => continue,
            };
            let Some(place) = places.get_mut(slot) else { continue };
            if *place == u16::MAX {
                *place = u16::try_from(index).unwrap_or(u16::MAX);
            } else if line.name != Name::Via {
                return Err(ParseError::malformed(
                    line.name.as_str(),
                    line.start as usize,
                    "this header only once",
                ));
            }
        }
        let [from, to, call_id, cseq, max_forwards, length, via] = places;
        let places = [from, to, call_id, cseq];
        let line = |place: u16| scan.lines.get(usize::from(place));
        let need = |place: u16, name: Name| {
            line(place).ok_or(ParseError::malformed(name.as_str(), scan.body_at, "this header"))
        };
        let via = need(via, Name::Via)?;
        let (from, to) = (need(from, Name::From)?, need(to, Name::To)?);
        let (call_id, cseq) = (need(call_id, Name::CallId)?, need(cseq, Name::CSeq)?);

        let (via, end) = Via::element(&head, via.range()).map(|(v, end)| (v, end..via.range().end))?;
        if !end.is_empty() {
            // The others of this line go back in every response, so they must be Vias too.
            let others = head.slice(end.start + 1..end.end);
            Via::parse_list(&others, &mut Vec::new()).map_err(|e| e.within("Via", end.start + 1))?;
            if others.is_empty() {
                return Err(ParseError::malformed("Via", end.start, "a Via after the comma"));
            }
        }
        let from = NameAddr::parse_at(&head, from.range()).map_err(|e| e.within("From", 0))?;
        let to = NameAddr::parse_at(&head, to.range()).map_err(|e| e.within("To", 0))?;
        if call_id.range().is_empty() || call_id.value(&head).bytes().any(|c| c <= b' ' || c == 0x7f) {
            return Err(ParseError::malformed("Call-ID", call_id.value as usize, "one word"));
        }
        let cseq_at = cseq.value as usize;
        let cseq = CSeq::parse(cseq.value(&head)).map_err(|e| e.within("CSeq", cseq_at))?;
        if method.is_some_and(|m| m != cseq.method) {
            return Err(ParseError::malformed("CSeq", cseq_at, "the method of the request"));
        }
        let max_forwards =
            match line(max_forwards) {
                Some(line) => Some(small_number(line.value(&head)).filter(|n| *n <= 255).ok_or(
                    ParseError::malformed("Max-Forwards", line.value as usize, "a number up to 255"),
                )?),
                None => None,
            };
        let body = body_range(raw.len(), scan.body_at, line(length), &head, limits)?;
        Ok(Message(Arc::new(Parts {
            places,
            raw,
            head,
            lines: scan.lines,
            start,
            via,
            from,
            to,
            cseq,
            max_forwards,
            body,
            contact: OnceLock::new(),
        })))
    }

    //------------ The start line ----------------------------------------------------------------------------

    /// Whether this is a request.
    pub fn is_request(&self) -> bool {
        matches!(self.0.start, Start::Request { .. })
    }

    /// The method of the request, or of the request this response answers.
    pub fn method(&self) -> &Method {
        &self.0.cseq.method
    }

    /// The request-URI. None in a response.
    pub fn uri(&self) -> Option<&Uri> {
        match &self.0.start {
            Start::Request { uri, .. } => Some(uri),
            Start::Response { .. } => None,
        }
    }

    /// The status. None in a request.
    pub fn status(&self) -> Option<u16> {
        match self.0.start {
            Start::Response { status, .. } => Some(status),
            Start::Request { .. } => None,
        }
    }

    /// The reason phrase; empty in a request.
    pub fn reason(&self) -> &str {
        match &self.0.start {
            Start::Response { reason, .. } => self.0.head.get(reason.clone()).unwrap_or(""),
            Start::Request { .. } => "",
        }
    }

    //------------ The bytes ---------------------------------------------------------------------------------

    /// The message as it came.
    pub fn raw(&self) -> &Bytes {
        &self.0.raw
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        self.0.raw.get(self.0.body.clone()).unwrap_or(&[])
    }

    /// The body, sharing the buffer.
    pub fn body_bytes(&self) -> Bytes {
        self.0.raw.slice(self.0.body.clone())
    }

    //------------ Headers as text ---------------------------------------------------------------------------

    /// The first value of a header, unfolded and trimmed.
    pub fn header(&self, name: Name) -> Option<&str> {
        self.headers(name).next()
    }

    /// The values of a header, one per line, in order. Comma lists are not split.
    pub fn headers(&self, name: Name) -> impl Iterator<Item = &str> {
        self.lines(name).map(|l| l.value(&self.0.head))
    }

    /// The values of a header by any name, in any case; compact forms are known.
    pub fn header_named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let known = Name::from_name(name);
        self.0
            .lines
            .iter()
            .filter(move |l| match known {
                Name::Other => l.name_text(&self.0.head).eq_ignore_ascii_case(name),
                known => l.name == known,
            })
            .map(|l| l.value(&self.0.head))
    }

    /// Every header with its name as it was sent, in order.
    pub fn all_headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.lines.iter().map(|l| (l.name_text(&self.0.head), l.value(&self.0.head)))
    }

    /// Whether the header is there at all.
    pub fn has(&self, name: Name) -> bool {
        self.0.lines.iter().any(|l| l.name == name)
    }

    /// The lines of a header. Those every message has once are known by their places.
    fn lines(&self, name: Name) -> impl Iterator<Item = &Line> {
        let [from, to, call_id, cseq] = self.0.places;
        let only = match name {
            Name::From => Some(from),
            Name::To => Some(to),
            Name::CallId => Some(call_id),
            Name::CSeq => Some(cseq),
            _ => None,
        };
        let lines = match only.map(usize::from) {
            Some(place) => self.0.lines.get(place..place + 1).unwrap_or(&[]),
            None => &self.0.lines,
        };
        lines.iter().filter(move |l| l.name == name)
    }

    /// The values of a header as shared text, each with its place in the message.
    pub(crate) fn values(&self, name: Name) -> impl Iterator<Item = (Text, usize)> {
        self.lines(name).map(|l| (self.0.head.slice(l.range()), l.value as usize))
    }

    //------------ What every reader needs -------------------------------------------------------------------

    /// The topmost Via.
    pub fn via(&self) -> &Via {
        &self.0.via
    }

    /// From.
    pub fn from(&self) -> &NameAddr {
        &self.0.from
    }

    /// To.
    pub fn to(&self) -> &NameAddr {
        &self.0.to
    }

    /// The tag of From.
    pub fn from_tag(&self) -> Option<&str> {
        self.0.from.tag()
    }

    /// The tag of To.
    pub fn to_tag(&self) -> Option<&str> {
        self.0.to.tag()
    }

    /// Call-ID.
    pub fn call_id(&self) -> &str {
        self.header(Name::CallId).unwrap_or("")
    }

    /// Call-ID, sharing the buffer.
    pub(crate) fn call_id_text(&self) -> Text {
        self.lines(Name::CallId).next().map_or(Text::new(), |line| self.0.head.slice(line.range()))
    }

    /// The first Contact that is an address: where the peer wants the next requests. None when there is none, or one that
    /// cannot be read.
    pub fn contact(&self) -> Option<&NameAddr> {
        self.0.contact.get_or_init(|| self.first_contact()).as_ref()
    }

    /// CSeq.
    pub fn cseq(&self) -> &CSeq {
        &self.0.cseq
    }

    /// Max-Forwards. None when it is missing (RFC 2543 peers).
    pub fn max_forwards(&self) -> Option<u32> {
        self.0.max_forwards
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Message");
        match &self.0.start {
            Start::Request { uri } => out.field("method", self.method()).field("uri", uri),
            Start::Response { status, .. } => out.field("status", status),
        };
        out.field("call_id", &self.call_id()).field("cseq", self.cseq()).finish_non_exhaustive()
    }
}

const REQUEST: &str = "Request-Line";
const STATUS: &str = "Status-Line";

/// Reads the first line: of a request also its method, which CSeq must repeat. Blanks at the end and several
/// blanks between are tolerated (RFC 4475 §3.1.2.7, §3.1.2.9), blanks inside the URI are not (§3.1.2.8).
fn start_line(
    line: &str,
    head: &Text,
    at: usize,
    limits: &Limits,
) -> Result<(Start, Option<Method>), ParseError> {
    let text = line.trim_ascii_end();
    let bytes = text.as_bytes();
    let blank = memchr::memchr2(b' ', b'\t', bytes).unwrap_or(bytes.len());
    let (word, rest) = text.split_at_checked(blank).unwrap_or((text, ""));
    if word.get(..4).is_some_and(|p| p.eq_ignore_ascii_case("SIP/")) {
        if !word.eq_ignore_ascii_case("SIP/2.0") {
            return Err(ParseError::new(ErrorKind::Version, STATUS, at, "SIP/2.0"));
        }
        let rest = rest.trim_ascii();
        let (code, reason) = rest.split_at_checked(3).unwrap_or((rest, ""));
        let status = small_number(code).and_then(|s| u16::try_from(s).ok());
        let Some(status) = status.filter(|_| matches!(reason.as_bytes().first(), None | Some(b' ' | b'\t')))
        else {
            return Err(ParseError::malformed(STATUS, at, "a status of three digits"));
        };
        if !(100..700).contains(&status) {
            return Err(ParseError::malformed(STATUS, at, "a status from 100 to 699"));
        }
        let reason = reason.trim_ascii();
        let reason_at = at + (reason.as_ptr() as usize - line.as_ptr() as usize);
        return Ok((Start::Response { status, reason: reason_at..reason_at + reason.len() }, None));
    }
    let wrong = |expected| Err(ParseError::malformed(REQUEST, at, expected));
    let Some(last) = memchr::memrchr2(b' ', b'\t', rest.as_bytes()) else {
        return wrong("a method, a URI and SIP/2.0");
    };
    if !grammar::is_token(word.as_bytes()) {
        return wrong("a method");
    }
    let (uri, version) = rest.split_at_checked(last).unwrap_or((rest, ""));
    let (uri, version) = (uri.trim_ascii(), version.trim_ascii());
    if !version.get(..4).is_some_and(|v| v.eq_ignore_ascii_case("SIP/")) {
        return wrong("SIP/2.0 at the end of the line");
    }
    if !version.eq_ignore_ascii_case("SIP/2.0") {
        return Err(ParseError::new(ErrorKind::Version, REQUEST, at, "SIP/2.0"));
    }
    if uri.len() > limits.max_uri {
        return Err(ParseError::new(ErrorKind::UriTooLong, REQUEST, at, "a shorter URI"));
    }
    let uri_at = at + (uri.as_ptr() as usize - line.as_ptr() as usize);
    let uri = Uri::parse(head.slice(uri_at..uri_at + uri.len())).map_err(|e| e.within(REQUEST, uri_at))?;
    Ok((Start::Request { uri }, Some(Method::from_name(word))))
}

/// Digits only, below 2³².
pub(crate) fn small_number(text: &str) -> Option<u32> {
    match !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit()) {
        true => text.parse().ok(),
        false => None,
    }
}

fn body_range(
    total: usize,
    body_at: usize,
    length: Option<&Line>,
    head: &str,
    limits: &Limits,
) -> Result<Range<usize>, ParseError> {
    let rest = total.saturating_sub(body_at);
    let len = match length {
        None => rest,
        Some(line) => {
            let wrong = |expected| ParseError::malformed("Content-Length", line.value as usize, expected);
            let len = small_number(line.value(head)).ok_or(wrong("a number"))? as usize;
            if len > limits.max_body {
                return Err(ParseError::new(
                    ErrorKind::BodyTooLarge,
                    "Content-Length",
                    body_at,
                    "a smaller body",
                ));
            }
            if len > rest {
                return Err(wrong("no more than the bytes that came"));
            }
            len
        }
    };
    if len > limits.max_body {
        return Err(ParseError::new(ErrorKind::BodyTooLarge, "message", body_at, "a smaller body"));
    }
    Ok(body_at..body_at + len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::{Builder, Flow, ack_for, cancel_for};

    const INVITE: &str = "\r\nINVITE sip:1002@127.0.0.1:25060;x=y SIP/2.0\r\n\
        Via: SIP/2.0/UDP 192.0.2.2:25070;branch=z9hG4bKcad38d9034398932;rport, SIP/2.0/TCP proxy\r\n\
        v: SIP / 2.0 / TLS [2001:db8::1]:5061 ;branch=z9hG4bKx\r\n\
        m: <sip:1001@192.0.2.2:25070>;q=0.7, sip:a@b;expires=60\r\n\
        Max-Forwards: 70\r\n\
        t: sip:1002@127.0.0.1\r\n\
        From: \"J \\\"R\\\" Müller\" <sip:1001@127.0.0.1:25060>;tag=ce62\r\n\
        Call-ID: 4cdc6569f5c771a9\r\n\
        CSeq: 5065 INVITE\r\n\
        Subject: a\r\n b\r\n\
        X-Foo: 1\r\nx-foo: 2\r\n\
        Content-Length: 4\r\n\r\nv=0\nignored";

    fn parse(text: &str) -> Result<Message, ParseError> {
        Message::parse(Bytes::copy_from_slice(text.as_bytes()), &Limits::default())
    }

    fn flow() -> Flow {
        Flow::udp("192.0.2.1:5060".parse().unwrap(), "198.51.100.7:4444".parse().unwrap())
    }

    #[test]
    fn reads_a_request() {
        let m = parse(INVITE).unwrap();
        assert!(m.is_request());
        assert_eq!(m.method(), &Method::Invite);
        let uri = m.uri().unwrap();
        assert_eq!((uri.user().as_deref(), uri.host(), uri.port()), (Some("1002"), "127.0.0.1", Some(25060)));
        assert_eq!(m.via().branch(), Some("z9hG4bKcad38d9034398932"));
        let vias = m.vias().unwrap();
        assert_eq!(vias.len(), 3);
        assert_eq!((vias[2].host(), vias[2].port()), ("2001:db8::1", Some(5061)));
        assert_eq!(m.from().display().as_deref(), Some("J \"R\" Müller"));
        assert_eq!(m.from_tag(), Some("ce62"));
        assert_eq!(m.to_tag(), None);
        assert_eq!(m.to().uri().host(), "127.0.0.1");
        assert_eq!(m.header(Name::Subject), Some("a   b"));
        assert_eq!(m.header_named("X-FOO").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(m.body(), b"v=0\n");
        let contacts = m.contacts().unwrap();
        assert_eq!(contacts[0].address().unwrap().q(), Some(700));
        assert_eq!(contacts[1].address().unwrap().expires(), Some(60));
        assert_eq!(m.raw().as_ref(), INVITE.as_bytes());
    }

    #[test]
    fn answers_acks_and_cancels() {
        let invite = parse(INVITE).unwrap();
        let bytes = Builder::response(&invite, &flow(), 486, "Busy\r\nX: y").to_tag("abc").finish();
        let busy = Message::parse(bytes, &Limits::default()).unwrap();
        assert_eq!((busy.status(), busy.reason()), (Some(486), "BusyX: y"));
        assert_eq!(busy.to_tag(), Some("abc"));
        assert_eq!(busy.via().received(), Some("198.51.100.7".parse().unwrap()));
        assert_eq!(busy.via().rport(), Some(Some(4444)));
        assert_eq!(busy.vias().unwrap().len(), 3);
        assert_eq!(busy.cseq(), invite.cseq());
        let ack = Message::parse(ack_for(&invite, &busy), &Limits::default()).unwrap();
        assert_eq!((ack.method(), ack.cseq().number, ack.to_tag()), (&Method::Ack, 5065, Some("abc")));
        assert_eq!(ack.vias().unwrap().len(), 1);
        let cancel = Message::parse(cancel_for(&invite), &Limits::default()).unwrap();
        assert_eq!((cancel.method(), cancel.to_tag()), (&Method::Cancel, None));
        assert_eq!(cancel.via().as_str(), invite.via().as_str());
    }
}
