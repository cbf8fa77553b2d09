//! Writing messages: one growing buffer, no allocation per header, and nothing from a value can start a new line.

use std::fmt::{self, Display, Write};

use bytes::{Bytes, BytesMut};

use super::flow::Flow;
use super::grammar;
use super::header::Via;
use super::message::Message;
use super::method::Method;
use super::name::Name;
use super::octets::{self, put_number};
use super::uri::Uri;

/// What may name a header in [`Builder::header`].
pub trait HeaderName {
    /// The name as it is written.
    fn as_header_name(&self) -> &str;

    /// Whether it may be written: a token.
    fn is_well_formed(&self) -> bool {
        grammar::is_token(self.as_header_name().as_bytes())
    }
}

impl HeaderName for Name {
    fn as_header_name(&self) -> &str {
        self.as_str()
    }

    fn is_well_formed(&self) -> bool {
        *self != Name::Other
    }
}

impl HeaderName for &str {
    fn as_header_name(&self) -> &str {
        self
    }
}

impl HeaderName for &String {
    fn as_header_name(&self) -> &str {
        self
    }
}

impl HeaderName for String {
    fn as_header_name(&self) -> &str {
        self
    }
}

/// A message being written.
pub struct Builder {
    out: BytesMut,
    to_end: Option<usize>,
    body: Option<Bytes>,
}

/// Lets text through but for the characters that could break a line.
struct Line<'a>(&'a mut BytesMut);

impl Write for Line<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        octets::put_line(self.0, text.as_bytes());
        Ok(())
    }
}

impl Builder {
    fn with_capacity(capacity: usize) -> Builder {
        Builder { out: BytesMut::with_capacity(capacity), to_end: None, body: None }
    }

    /// Begins header lines without a message, for [`lines`](Self::lines).
    pub fn fragment() -> Builder {
        Builder::with_capacity(128)
    }

    /// Begins a request.
    pub fn request(method: &Method, uri: &Uri) -> Builder {
        let mut new = Builder::with_capacity(1024);
        octets::put_line(&mut new.out, method.as_str().as_bytes());
        new.out.extend_from_slice(b" ");
        octets::put_line(&mut new.out, uri.as_str().as_bytes());
        new.out.extend_from_slice(b" SIP/2.0\r\n");
        new
    }

    /// Begins the response to a request that came over `flow`: the Vias (the topmost with `received` and `rport` as
    /// RFC 3261 §18.2.1 and RFC 3581 want), From, To, Call-ID and CSeq are copied (§8.2.6.2), and with 100 the Timestamp.
    pub fn response(request: &Message, flow: &Flow, status: u16, reason: &str) -> Builder {
        let mut new = Builder::with_capacity(1024);
        new.out.extend_from_slice(b"SIP/2.0 ");
        put_number(&mut new.out, usize::from(status));
        new.out.extend_from_slice(b" ");
        octets::put_line(&mut new.out, reason.as_bytes());
        new.end_line();
        let mut top = Some(request.via());
        for value in request.headers(Name::Via) {
            new.out.extend_from_slice(b"Via: ");
            match top.take() {
                Some(via) => {
                    via.write_received(flow, &mut new.out);
                    new.out.extend_from_slice(value.get(via.as_str().len()..).unwrap_or("").as_bytes());
                }
                None => new.out.extend_from_slice(value.as_bytes()),
            }
            new.end_line();
        }
        new.copy(request, Name::From);
        new.copy(request, Name::To);
        if request.to_tag().is_none() {
            new.to_end = Some(new.out.len() - 2);
        }
        new.copy(request, Name::CallId);
        new.copy(request, Name::CSeq);
        if status == 100 {
            new.copy(request, Name::Timestamp);
        }
        new
    }

    /// Gives To this tag unless it has one.
    #[must_use]
    pub fn to_tag(mut self, tag: &str) -> Builder {
        if let Some(end) = self.to_end.take() {
            let before = self.out.len();
            self.out.extend_from_slice(b";tag=");
            self.out.extend(tag.bytes().filter(|&c| grammar::is_token_byte(c)));
            let added = self.out.len() - before;
            if let Some(after) = self.out.get_mut(end..) {
                after.rotate_right(added);
            }
        }
        self
    }

    /// Copies the Record-Routes of a request: into 1xx with a tag and 2xx that make a dialog (RFC 3261 §12.1.1).
    #[must_use]
    pub fn record_routes(mut self, request: &Message) -> Builder {
        self.copy(request, Name::RecordRoute);
        self
    }

    /// Copies every line of a header from another message.
    #[must_use]
    pub fn copied(mut self, from: &Message, name: Name) -> Builder {
        self.copy(from, name);
        self
    }

    fn copy(&mut self, from: &Message, name: Name) {
        for value in from.headers(name) {
            self.begin_line(name.as_str());
            self.out.extend_from_slice(value.as_bytes());
            self.end_line();
        }
    }

    /// Adds a Via.
    #[must_use]
    pub fn via(self, via: &Via) -> Builder {
        self.text(Name::Via, via.as_str())
    }

    /// Adds a header. CR, LF and NUL in the value are left out; a name that is no token is left out with its value.
    #[must_use]
    pub fn header(mut self, name: impl HeaderName, value: impl Display) -> Builder {
        if !name.is_well_formed() {
            return self;
        }
        self.begin_line(name.as_header_name());
        let _ = write!(Line(&mut self.out), "{value}");
        self.end_line();
        self
    }

    /// The same for a value that is text already.
    #[must_use]
    pub fn text(mut self, name: impl HeaderName, value: &str) -> Builder {
        if name.is_well_formed() {
            self.begin_line(name.as_header_name());
            octets::put_line(&mut self.out, value.as_bytes());
            self.end_line();
        }
        self
    }

    /// Adds whole header lines as they are: the caller's own words, or what [`written`](Self::written) gave.
    #[must_use]
    pub fn lines(mut self, lines: &[u8]) -> Builder {
        self.out.extend_from_slice(lines);
        self
    }

    /// What has been written so far.
    pub fn written(&self) -> &[u8] {
        &self.out
    }

    /// Adds a header when there is a value.
    #[must_use]
    pub fn header_opt(self, name: impl HeaderName, value: Option<impl Display>) -> Builder {
        match value {
            Some(value) => self.header(name, value),
            None => self,
        }
    }

    /// Adds a body and its Content-Type.
    #[must_use]
    pub fn body(self, content_type: &str, body: &[u8]) -> Builder {
        self.carrying(content_type, Bytes::copy_from_slice(body))
    }

    /// The same with a body that is shared.
    #[must_use]
    pub fn carrying(self, content_type: &str, body: Bytes) -> Builder {
        let mut new = self.text(Name::ContentType, content_type);
        new.body = Some(body);
        new
    }

    /// Adds Content-Length, the empty line and the body, and gives the whole message.
    pub fn finish(mut self) -> Bytes {
        let body = self.body.take().unwrap_or_default();
        self.out.extend_from_slice(b"Content-Length: ");
        put_number(&mut self.out, body.len());
        self.out.extend_from_slice(b"\r\n\r\n");
        self.out.extend_from_slice(&body);
        self.out.freeze()
    }

    fn begin_line(&mut self, name: &str) {
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b": ");
    }

    fn end_line(&mut self) {
        self.out.extend_from_slice(b"\r\n");
    }
}

/// The ACK of the INVITE transaction to a response of 300 or more (RFC 3261 §17.1.1.3). `invite` is as we sent it.
pub fn ack_for(invite: &Message, response: &Message) -> Bytes {
    follow_up(invite, Method::Ack, response)
}

/// The CANCEL of an INVITE we sent (RFC 3261 §9.1).
pub fn cancel_for(invite: &Message) -> Bytes {
    follow_up(invite, Method::Cancel, invite)
}

/// A request in the footsteps of `invite`: its URI, topmost Via, From, Call-ID, CSeq number and Routes; To of `to`.
fn follow_up(invite: &Message, method: Method, to: &Message) -> Bytes {
    let mut new = match invite.uri() {
        Some(uri) => Builder::request(&method, uri),
        None => Builder::with_capacity(512),
    };
    new = new.via(invite.via()).header(Name::MaxForwards, 70);
    new.copy(invite, Name::Route);
    new.copy(invite, Name::From);
    new.copy(to, Name::To);
    new.copy(invite, Name::CallId);
    new.header(Name::CSeq, format_args!("{} {}", invite.cseq().number, method)).finish()
}
