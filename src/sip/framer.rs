//! Messages out of a stream: by Content-Length, with keep-alives between them (RFC 3261 §18.3, RFC 5626 §3.5.1).

use bytes::{Bytes, BytesMut};

use super::error::ErrorKind;
use super::grammar;
use super::limits::Limits;
use super::message::small_number;
use super::name::Name;

/// What a stream holds.
#[derive(Clone, Eq, PartialEq, Debug)]
pub enum Frame {
    /// The second line break of a double one: the peer wants a single one back.
    Ping,
    /// A line break. A double one is a `Pong` and then a `Ping`, so an answer to our ping is seen at once wherever
    /// reads are cut; who has sent no ping ignores it.
    Pong,
    /// One whole message.
    Message(Bytes),
}

/// Why a stream can be read no further. Its end is the only cure.
#[derive(Clone, Eq, PartialEq, Debug, thiserror::Error)]
#[error("stream: {expected}")]
pub struct FrameError {
    /// The class of the mistake.
    pub kind: ErrorKind,
    /// What should have been there.
    pub expected: &'static str,
    /// The head of the message at fault, when it is whole: what an answer can be made from.
    pub head: Bytes,
}

impl FrameError {
    /// The status that tells the peer.
    pub const fn status(&self) -> u16 {
        super::ParseError::new(self.kind, "message", 0, "").status()
    }
}

/// Cuts a stream into frames. Give it what was read with [`push`](Framer::push), then call [`next`](Framer::next) until
/// it gives None. After an error every call gives the same error. At most one message and one read are held.
#[derive(Debug)]
pub struct Framer {
    buffer: BytesMut,
    /// Bytes of the head already searched for its end.
    searched: usize,
    /// The length of the message at the front, once its head is whole.
    whole: Option<usize>,
    /// The last thing seen was a line break that may become a ping.
    half_ping: bool,
    failed: Option<FrameError>,
    max_message: usize,
    max_body: usize,
    max_line: usize,
}

impl Framer {
    /// A framer at the beginning of a stream.
    pub fn new(limits: &Limits) -> Framer {
        Framer {
            buffer: BytesMut::new(),
            searched: 0,
            whole: None,
            half_ping: false,
            failed: None,
            max_message: limits.max_message,
            max_body: limits.max_body,
            max_line: limits.max_header_line.max(limits.max_uri),
        }
    }

    /// Adds what was read.
    pub fn push(&mut self, read: &[u8]) {
        if self.failed.is_none() {
            self.buffer.extend_from_slice(read);
        }
    }

    /// Bytes held of a message that is not whole yet: zero between messages.
    pub fn pending(&self) -> usize {
        self.buffer.len()
    }

    /// The next frame; None when more must be read first.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Frame>, FrameError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let result = self.step();
        if let Err(error) = &result {
            self.failed = Some(error.clone());
            self.buffer = BytesMut::new();
        }
        result
    }

    fn step(&mut self) -> Result<Option<Frame>, FrameError> {
        if self.whole.is_none() {
            match *self.buffer.as_ref() {
                [] | [b'\r'] => return Ok(None),
                [b'\r', b'\n', ..] => return Ok(Some(self.line_break(2))),
                [b'\n', ..] => return Ok(Some(self.line_break(1))),
                [first, ..] if !grammar::is_token_byte(first) => {
                    return Err(self.fail(ErrorKind::Malformed, "a SIP message", 0));
                }
                _ => self.half_ping = false,
            }
            let Some(head) = self.head_end()? else { return Ok(None) };
            let body = self.content_length(head)?;
            if body > self.max_body {
                return Err(self.fail(ErrorKind::BodyTooLarge, "a smaller body", head));
            }
            if head + body > self.max_message {
                return Err(self.fail(ErrorKind::TooLarge, "a shorter message", head));
            }
            self.whole = Some(head + body);
        }
        match self.whole {
            Some(len) if self.buffer.len() >= len => {
                self.whole = None;
                self.searched = 0;
                Ok(Some(Frame::Message(self.buffer.split_to(len).freeze())))
            }
            _ => Ok(None),
        }
    }

    fn line_break(&mut self, len: usize) -> Frame {
        let _ = self.buffer.split_to(len);
        self.half_ping = !self.half_ping;
        if self.half_ping { Frame::Pong } else { Frame::Ping }
    }

    fn fail(&self, kind: ErrorKind, expected: &'static str, head: usize) -> FrameError {
        let head = Bytes::copy_from_slice(self.buffer.get(..head).unwrap_or(&[]));
        FrameError { kind, expected, head }
    }

    /// Where the empty line ends the head. Each byte is looked at once, however the reads are cut.
    fn head_end(&mut self) -> Result<Option<usize>, FrameError> {
        loop {
            let rest = self.buffer.get(self.searched..).unwrap_or(&[]);
            let Some(newline) = memchr::memchr(b'\n', rest) else {
                if rest.len() > self.max_line || self.buffer.len() > self.max_message {
                    return Err(self.fail(ErrorKind::TooLarge, "a shorter header line", 0));
                }
                return Ok(None);
            };
            let after = self.searched + newline + 1;
            if after > self.max_message {
                return Err(self.fail(ErrorKind::TooLarge, "a shorter head", 0));
            }
            match self.buffer.get(after..).unwrap_or(&[]) {
                [] | [b'\r'] => return Ok(None),
                [b'\n', ..] => return Ok(Some(after + 1)),
                [b'\r', b'\n', ..] => return Ok(Some(after + 2)),
                _ => self.searched = after,
            }
        }
    }

    /// Content-Length of a whole head. Without it a stream cannot be cut (RFC 3261 §20.14).
    fn content_length(&self, head: usize) -> Result<usize, FrameError> {
        let text = self.buffer.get(..head).unwrap_or(&[]);
        let mut length = None;
        let mut at = 0;
        while at < text.len() {
            let end = line_end(text, at);
            let line = text.get(at..end).unwrap_or(&[]);
            at = end;
            if !matches!(line.first(), Some(b'l' | b'L' | b'c' | b'C')) {
                continue;
            }
            let Some(colon) = memchr::memchr(b':', line) else { continue };
            let (name, value) = line.split_at(colon);
            if Name::from_bytes(name.trim_ascii_end()) != Name::ContentLength {
                continue;
            }
            let digits = std::str::from_utf8(value.get(1..).unwrap_or(&[])).unwrap_or("").trim_ascii();
            let bad = || self.fail(ErrorKind::Malformed, "a number as Content-Length", head);
            let number = small_number(digits).filter(|_| !digits.is_empty()).ok_or_else(bad)?;
            if length.replace(number as usize).is_some() {
                return Err(self.fail(ErrorKind::Malformed, "Content-Length only once", head));
            }
        }
        length.ok_or_else(|| self.fail(ErrorKind::Malformed, "Content-Length, which streams need", head))
    }
}

/// Where a header ends, its folded lines included.
fn line_end(text: &[u8], mut at: usize) -> usize {
    loop {
        let Some(newline) = text.get(at..).and_then(|rest| memchr::memchr(b'\n', rest)) else {
            return text.len();
        };
        at += newline + 1;
        if !matches!(text.get(at), Some(b' ' | b'\t')) {
            return at;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(pieces: &[&[u8]]) -> (Vec<Frame>, Option<FrameError>) {
        let mut framer = Framer::new(&Limits { max_message: 4096, max_body: 1000, ..Limits::default() });
        let mut all = Vec::new();
        for piece in pieces {
            framer.push(piece);
            loop {
                match framer.next() {
                    Ok(Some(frame)) => all.push(frame),
                    Ok(None) => break,
                    Err(error) => return (all, Some(error)),
                }
            }
        }
        (all, None)
    }

    const STREAM: &[u8] = b"\r\n\r\nOPTIONS sip:a SIP/2.0\r\nCall-ID: 1\r\nl : 3\r\n\r\nabc\r\n\
        BYE sip:b SIP/2.0\r\nContent-Length:\r\n 0\r\n\r\n\r\n\r\n\r\nACK sip:c SIP/2.0\nContent-Length: 2\n\nxy";

    #[test]
    fn the_same_frames_wherever_reads_are_cut() {
        let (whole, error) = frames(&[STREAM]);
        assert_eq!(error, None);
        let kinds: Vec<_> = whole
            .iter()
            .map(|f| match f {
                Frame::Ping => "ping".to_owned(),
                Frame::Pong => "pong".to_owned(),
                Frame::Message(m) => {
                    String::from_utf8_lossy(m.split(|c| *c == b' ').next().unwrap()).into_owned()
                }
            })
            .collect();
        assert_eq!(kinds, ["pong", "ping", "OPTIONS", "pong", "BYE", "pong", "ping", "pong", "ACK"]);
        for cut in 0..STREAM.len() {
            let (a, b) = STREAM.split_at(cut);
            assert_eq!(frames(&[a, b]).0, whole, "cut at {cut}");
        }
        let bytes: Vec<&[u8]> = STREAM.chunks(1).collect();
        assert_eq!(frames(&bytes).0, whole);
    }

    #[test]
    fn refuses() {
        let long = format!("A: {}\r\n", "x".repeat(9000));
        let many = format!("OPTIONS sip:a SIP/2.0\r\n{}", "A: b\r\n".repeat(1000));
        for (stream, status) in [
            ("OPTIONS sip:a SIP/2.0\r\n\r\n", 400),
            ("OPTIONS sip:a SIP/2.0\r\nl: -1\r\n\r\n", 400),
            ("OPTIONS sip:a SIP/2.0\r\nl:\r\n\r\n", 400),
            ("OPTIONS sip:a SIP/2.0\r\nl: 1x\r\n\r\n", 400),
            ("OPTIONS sip:a SIP/2.0\r\nl: 0\r\nContent-Length: 5\r\n\r\n", 400),
            ("OPTIONS sip:a SIP/2.0\r\nl: 99999999999\r\n\r\n", 400),
            ("OPTIONS sip:a SIP/2.0\r\nl: 1001\r\n\r\n", 413),
            (long.as_str(), 513),
            (many.as_str(), 513),
            ("\u{16}\u{3}\u{1}", 400),
        ] {
            let (all, error) = frames(&[stream.as_bytes()]);
            assert!(all.is_empty());
            assert_eq!(error.map(|e| e.status()), Some(status), "{stream:.40}");
        }
    }

    #[test]
    fn an_error_stays() {
        let mut framer = Framer::new(&Limits::default());
        framer.push(b"OPTIONS sip:a SIP/2.0\r\n\r\n");
        let error = framer.next().unwrap_err();
        assert_eq!(error.head.as_ref(), b"OPTIONS sip:a SIP/2.0\r\n\r\n");
        framer.push(b"BYE sip:b SIP/2.0\r\nl: 0\r\n\r\n");
        assert_eq!(framer.next(), Err(error));
        assert_eq!(framer.pending(), 0);
    }
}
