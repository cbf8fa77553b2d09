//! What makes two messages parts of one transaction (RFC 3261 §17.1.3, §17.2.3).

use std::fmt::{self, Write as _};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::sync::Arc;

use crate::sip::{Message, Method};

/// The name of a transaction. Equal for all messages of one: retransmissions, responses, the ACK to a non-2xx.
///
/// Client and server transactions have names of their own, so one map may hold both even when the switch
/// calls itself.
///
/// A server's name holds, beyond what §17.2.3 asks, Call-ID and CSeq number, which are the same in a request,
/// its retransmissions, its ACK and its CANCEL anyway: a phone that counts its branches from one after each
/// restart then does not get the answer to yesterday's request.
#[derive(Clone, Eq, PartialEq, Hash)]
pub struct Key(Arc<str>);

impl Key {
    /// The server transaction a request that came from `source` belongs to. An ACK has the name of its INVITE.
    pub fn of_request(request: &Message, source: SocketAddr) -> Key {
        Self::server(request, source, class(request.method()))
    }

    /// The INVITE server transaction that an ACK or CANCEL is about.
    pub fn invite_of(request: &Message, source: SocketAddr) -> Key {
        Self::server(request, source, Method::Invite.as_str())
    }

    /// The client transaction a response belongs to.
    pub fn of_response(response: &Message) -> Key {
        Self::client(response, response.cseq().method.as_str())
    }

    /// The client transaction that our own `request` opens.
    pub fn of_own(request: &Message) -> Key {
        Self::client(request, request.cseq().method.as_str())
    }

    /// The INVITE client transaction that our own CANCEL is about.
    pub fn invite_of_own(cancel: &Message) -> Key {
        Self::client(cancel, Method::Invite.as_str())
    }

    /// A To tag for an answer that nobody remembers giving: the same for each copy of the request (§8.2.7).
    pub fn tag(&self) -> String {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        format!("{:016x}", hasher.finish())
    }

    fn client(message: &Message, class: &str) -> Key {
        let branch = message.via().branch().unwrap_or("");
        Key(["c", branch, class].join("\n").into())
    }

    fn server(request: &Message, source: SocketAddr, class: &str) -> Key {
        let via = request.via();
        let branch = via.branch().unwrap_or("");
        let mut text = String::with_capacity(128);
        if via.has_magic_cookie() {
            text.push_str("s\n");
        } else {
            // RFC 2543: Request-URI, From tag, and the top Via as received, with the source it came from. The To
            // tag is left out, for the ACK has the one of our response (§17.2.3) and must find its INVITE.
            text.push_str("o\n");
            let uri = request.uri().map(ToString::to_string).unwrap_or_default();
            let _ = write!(text, "{uri}\n{}\n{}\n", source.ip(), request.from_tag().unwrap_or(""));
        }
        text.push_str(branch);
        text.push('\n');
        text.extend(via.host().chars().map(|c| c.to_ascii_lowercase()));
        if let Some(port) = via.port() {
            let _ = write!(text, ":{port}");
        }
        let _ = write!(text, "\n{class}\n{}\n{}", request.cseq().number, request.call_id());
        Key(text.into())
    }
}

/// ACK counts as INVITE.
fn class(method: &Method) -> &str {
    match method {
        Method::Ack => Method::Invite.as_str(),
        other => other.as_str(),
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.0.replace('\n', " "))
    }
}
