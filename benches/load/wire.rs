//! The few fields of a SIP message that a phone under load looks at, found by one scan over its lines.

use std::net::{IpAddr, SocketAddr};

/// What the first line says.
#[derive(Clone, Copy)]
pub enum Start<'a> {
    /// Method and Request-URI.
    Request(&'a [u8], &'a [u8]),
    /// Status code.
    Response(u16),
}

/// One message: slices into the datagram.
pub struct Message<'a> {
    /// The first line.
    pub start: Start<'a>,
    /// All header lines, without the empty line.
    pub lines: &'a [u8],
    /// What follows the empty line.
    pub body: &'a [u8],
    /// The topmost Via value.
    pub via: &'a [u8],
    /// The whole From value.
    pub from: &'a [u8],
    /// The whole To value.
    pub to: &'a [u8],
    /// The Call-ID.
    pub call_id: &'a [u8],
    /// CSeq's number.
    pub cseq: u32,
    /// CSeq's method.
    pub method: &'a [u8],
    /// The first Contact value.
    pub contact: &'a [u8],
    /// The first WWW-Authenticate or Proxy-Authenticate value that is Digest with MD5.
    pub challenge: &'a [u8],
    /// The challenge is a proxy's.
    pub by_proxy: bool,
    /// The message has a Record-Route.
    pub routed: bool,
    /// The message has a Retry-After.
    pub retry_after: bool,
}

/// The headers known here.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Name {
    Via,
    From,
    To,
    CallId,
    CSeq,
    Contact,
    Www,
    Proxy,
    RecordRoute,
    RetryAfter,
    Other,
}

fn name(bytes: &[u8]) -> Name {
    let is = |known: &str| bytes.eq_ignore_ascii_case(known.as_bytes());
    match bytes.len() {
        1 => match bytes[0] | 0x20 {
            b'v' => Name::Via,
            b'f' => Name::From,
            b't' => Name::To,
            b'i' => Name::CallId,
            b'm' => Name::Contact,
            _ => Name::Other,
        },
        2 if is("to") => Name::To,
        3 if is("via") => Name::Via,
        4 if is("from") => Name::From,
        4 if is("cseq") => Name::CSeq,
        7 if is("call-id") => Name::CallId,
        7 if is("contact") => Name::Contact,
        11 if is("retry-after") => Name::RetryAfter,
        12 if is("record-route") => Name::RecordRoute,
        16 if is("www-authenticate") => Name::Www,
        18 if is("proxy-authenticate") => Name::Proxy,
        _ => Name::Other,
    }
}

/// Splits a header line into its name and its trimmed value.
fn split(line: &[u8]) -> Option<(Name, &[u8])> {
    let colon = memchr::memchr(b':', line)?;
    Some((name(line.get(..colon)?.trim_ascii()), line.get(colon + 1..)?.trim_ascii()))
}

/// The lines of a header block, without their ends.
fn lines(block: &[u8]) -> impl Iterator<Item = &[u8]> {
    block
        .split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .filter(|line| !line.is_empty())
}

/// Reads one datagram; none when it is not a SIP message.
pub fn read(datagram: &[u8]) -> Option<Message<'_>> {
    let head_end = memchr::memmem::find(datagram, b"\r\n\r\n")?;
    let first_end = memchr::memchr(b'\r', datagram)?;
    let first = datagram.get(..first_end)?;
    let lines_at = (first_end + 2).min(head_end + 2);
    let block = datagram.get(lines_at..head_end + 2)?;
    let start = match first.strip_prefix(b"SIP/2.0 ") {
        Some(rest) => Start::Response(number(rest)? as u16),
        None => {
            let mut words = first.split(|byte| *byte == b' ');
            let (method, uri) = (words.next()?, words.next()?);
            if words.next() != Some(b"SIP/2.0") {
                return None;
            }
            Start::Request(method, uri)
        }
    };
    let mut message = Message {
        start,
        lines: block,
        body: datagram.get(head_end + 4..)?,
        via: b"",
        from: b"",
        to: b"",
        call_id: b"",
        cseq: 0,
        method: b"",
        contact: b"",
        challenge: b"",
        by_proxy: false,
        routed: false,
        retry_after: false,
    };
    for line in lines(block) {
        let Some((name, value)) = split(line) else {
            continue;
        };
        match name {
            Name::Via if message.via.is_empty() => message.via = value,
            Name::From => message.from = value,
            Name::To => message.to = value,
            Name::CallId => message.call_id = value,
            Name::CSeq => {
                message.cseq = number(value)? as u32;
                message.method = value.rsplit(|byte| *byte == b' ').next()?;
            }
            Name::Contact if message.contact.is_empty() => message.contact = value,
            Name::Www | Name::Proxy if message.challenge.is_empty() && answerable(value) => {
                message.challenge = value;
                message.by_proxy = name == Name::Proxy;
            }
            Name::RecordRoute => message.routed = true,
            Name::RetryAfter => message.retry_after = true,
            _ => {}
        }
    }
    Some(message)
}

/// Whether a challenge is Digest by MD5.
fn answerable(challenge: &[u8]) -> bool {
    challenge.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"digest "))
        && parameter(challenge, b"algorithm").is_none_or(|name| name.eq_ignore_ascii_case(b"md5"))
}

/// The decimal number that `bytes` begins with.
pub fn number(bytes: &[u8]) -> Option<u64> {
    let mut value = None;
    for digit in bytes.iter().take_while(|byte| byte.is_ascii_digit()).take(18) {
        value = Some(value.unwrap_or(0) * 10 + u64::from(digit - b'0'));
    }
    value
}

/// The value of `name=` in a challenge, quotes taken off.
pub fn parameter<'a>(challenge: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let mut rest = challenge;
    loop {
        let at = memchr::memmem::find(rest, name)?;
        let before = at.checked_sub(1).and_then(|i| rest.get(i)).copied();
        let after = rest.get(at + name.len()..)?;
        if matches!(before, Some(b' ' | b',' | b'\t')) && after.first() == Some(&b'=') {
            let value = after.get(1..)?;
            return match value.strip_prefix(b"\"") {
                Some(quoted) => quoted.get(..memchr::memchr(b'"', quoted)?),
                None => value.split(|byte| matches!(byte, b',' | b' ')).next(),
            };
        }
        rest = after;
    }
}

impl<'a> Message<'a> {
    /// The tag of our own that a From or To value carries: see [`crate::mark`].
    pub fn tag(value: &'a [u8]) -> Option<&'a [u8]> {
        let at = memchr::memmem::rfind(value, b";tag=")?;
        value.get(at + 5..)?.split(|byte| *byte == b';').next()
    }

    /// The branch of the topmost Via after the magic cookie.
    pub fn branch(&self) -> Option<&'a [u8]> {
        let at = memchr::memmem::find(self.via, b"branch=z9hG4bK")?;
        self.via.get(at + 14..)?.split(|byte| matches!(byte, b';' | b',' | b' ')).next()
    }

    /// The URI inside a Contact's angle brackets, or the whole value before parameters.
    pub fn contact_uri(&self) -> &'a [u8] {
        let Some(open) = memchr::memchr(b'<', self.contact) else {
            return self.contact.split(|byte| *byte == b';').next().unwrap_or_default();
        };
        let inner = self.contact.get(open + 1..).unwrap_or_default();
        inner.split(|byte| *byte == b'>').next().unwrap_or_default()
    }

    /// Every Record-Route value, in order.
    pub fn record_routes(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let block = if self.routed { self.lines } else { b"" };
        lines(block).filter_map(|line| match split(line) {
            Some((Name::RecordRoute, value)) => Some(value),
            _ => None,
        })
    }

    /// The header lines a response to this request repeats: Via, Record-Route, From, To (with `tag` when it has none),
    /// Call-ID, CSeq.
    pub fn repeat(&self, tag: &[u8], mut write: impl FnMut(&[u8])) {
        for line in lines(self.lines) {
            let Some((name, value)) = split(line) else {
                continue;
            };
            match name {
                Name::Via | Name::RecordRoute | Name::From | Name::CallId | Name::CSeq => {
                    write(line);
                    write(b"\r\n");
                }
                Name::To => {
                    write(line);
                    if Message::tag(value).is_none() {
                        write(b";tag=");
                        write(tag);
                    }
                    write(b"\r\n");
                }
                _ => {}
            }
        }
    }

    /// Where the body's SDP wants its audio, and the first of PCMU and PCMA that it names.
    pub fn audio(&self) -> Option<(SocketAddr, u8)> {
        let mut ip: Option<IpAddr> = None;
        let mut media = None;
        for line in lines(self.body) {
            if let Some(rest) = line.strip_prefix(b"c=IN IP") {
                ip = std::str::from_utf8(rest.get(2..)?).ok()?.trim().parse().ok();
            } else if let Some(rest) = line.strip_prefix(b"m=audio ") {
                let port = number(rest)? as u16;
                let payload = rest.split(|byte| *byte == b' ').skip(2).find_map(|word| match word {
                    b"0" => Some(0),
                    b"8" => Some(8),
                    _ => None,
                })?;
                media = Some((port, payload));
            }
        }
        let (port, payload) = media?;
        Some((SocketAddr::new(ip?, port), payload))
    }
}

/// The user part of a SIP URI.
pub fn user(uri: &[u8]) -> &[u8] {
    let Some(at) = memchr::memchr(b'@', uri) else {
        return b"";
    };
    let start = memchr::memchr(b':', uri).map_or(0, |colon| colon + 1);
    uri.get(start..at).unwrap_or_default()
}

/// The call number that a dialled user part ends with: its last seven digits.
pub fn call_number(user: &[u8]) -> Option<u64> {
    let digits = user.get(user.len().checked_sub(7)?..)?;
    digits.iter().all(u8::is_ascii_digit).then(|| number(digits))?
}

/// A stable hash of bytes (FNV-1a by eight bytes), for the callee's table of Call-IDs.
pub fn hash(bytes: &[u8]) -> u64 {
    let mut value = 0xcbf2_9ce4_8422_2325_u64;
    for chunk in bytes.chunks(8) {
        let mut word = [0u8; 8];
        for (to, from) in word.iter_mut().zip(chunk) {
            *to = *from;
        }
        value = (value ^ u64::from_le_bytes(word)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        value ^= value >> 29;
    }
    value
}
