//! What makes two messages parts of one transaction (RFC 3261 §17.1.3, §17.2.3).

use std::fmt;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState};
use std::net::SocketAddr;
use std::sync::LazyLock;

use crate::sip::{Message, Method};

/// The name of a transaction. Equal for all messages of one: retransmissions, responses, the ACK to a non-2xx.
///
/// Client and server transactions have names of their own, so one map may hold both even when the switch
/// calls itself.
///
/// A server's name holds, beyond what §17.2.3 asks, Call-ID and CSeq number, which are the same in a request,
/// its retransmissions, its ACK and its CANCEL anyway: a phone that counts its branches from one after each
/// restart then does not get the answer to yesterday's request.
///
/// Kept as sixteen bytes: CSeq number and method as they are, and the rest (Call-ID, branch, sent-by) as a hash
/// under a key of this process (SipHash). Who does not know that key cannot make two names collide, and by chance it
/// happens once in 2⁶⁴ pairs; the loss would be one request taken for a retransmission. For the same reason a map
/// may take the name's own hash as it is ([`KeyMap`]).
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct Key {
    hash: u64,
    cseq: u32,
    kind: Kind,
    class: Class,
}

/// A map by transaction, which hashes nothing again.
pub type KeyMap<V> = std::collections::HashMap<Key, V, BuildHasherDefault<Hashed>>;

#[derive(Clone, Copy, Eq, PartialEq, Debug)]
enum Kind {
    Client,
    Server,
    /// A server transaction of an RFC 2543 peer.
    Old,
    Dialog,
    Fork,
}

/// The method, ACK counting as INVITE where it belongs to one. One we do not know is part of the hash.
#[derive(Clone, Copy, Eq, PartialEq, Debug)]
enum Class {
    Invite,
    Cancel,
    Bye,
    Register,
    Options,
    Update,
    Prack,
    Info,
    Message,
    Notify,
    Refer,
    Subscribe,
    Publish,
    Ack,
    Other,
}

static SECRET: LazyLock<RandomState> = LazyLock::new(RandomState::new);

impl Key {
    /// The server transaction a request that came from `source` belongs to. An ACK has the name of its INVITE.
    pub fn of_request(request: &Message, source: SocketAddr) -> Key {
        match request.method() {
            Method::Ack => Self::server(request, source, &Method::Invite),
            method => Self::server(request, source, method),
        }
    }

    /// The INVITE server transaction that an ACK or CANCEL is about.
    pub fn invite_of(request: &Message, source: SocketAddr) -> Key {
        Self::server(request, source, &Method::Invite)
    }

    /// The client transaction a response belongs to.
    pub fn of_response(response: &Message) -> Key {
        Self::client(response, &response.cseq().method)
    }

    /// The client transaction that our own `request` opens.
    pub fn of_own(request: &Message) -> Key {
        Self::client(request, &request.cseq().method)
    }

    /// The INVITE client transaction that our own CANCEL is about.
    pub fn invite_of_own(cancel: &Message) -> Key {
        Self::client(cancel, &Method::Invite)
    }

    /// The dialog of these identifiers: no transaction, but named alike.
    pub(crate) fn of_dialog(call_id: &str, local_tag: &str, remote_tag: Option<&str>) -> Key {
        let hash = SECRET.hash_one((call_id, local_tag, remote_tag));
        Key { hash, cseq: 0, kind: Kind::Dialog, class: Class::Other }
    }

    /// A To tag for an answer that nobody remembers giving: the same for each copy of the request (§8.2.7).
    pub fn tag(&self) -> String {
        format!("{:016x}", SECRET.hash_one(("tag", self.hash, self.cseq)))
    }

    /// The same with the tag of one answerer: the 2xx of one fork.
    pub(crate) fn of_fork(self, tag: Option<&str>) -> Key {
        Key { hash: SECRET.hash_one((self.hash, tag)), kind: Kind::Fork, ..self }
    }

    /// A number that tells names apart, for choosing one of several maps.
    pub fn number(&self) -> u64 {
        self.hash
    }

    fn client(message: &Message, method: &Method) -> Key {
        Key::of_branch(message.via().branch().unwrap_or(""), method)
    }

    /// The client transaction that our own request with this branch and method opens.
    pub(crate) fn of_branch(branch: &str, method: &Method) -> Key {
        let mut hasher = SECRET.build_hasher();
        hasher.write(branch.as_bytes());
        let class = class(method, &mut hasher);
        Key { hash: hasher.finish(), cseq: 0, kind: Kind::Client, class }
    }

    fn server(request: &Message, source: SocketAddr, method: &Method) -> Key {
        let via = request.via();
        let mut hasher = SECRET.build_hasher();
        let mut part = |text: &str| {
            hasher.write(text.as_bytes());
            hasher.write_u8(0xff); // in no UTF-8 text
        };
        let kind = if via.has_magic_cookie() {
            Kind::Server
        } else {
            // RFC 2543: Request-URI, From tag, and the top Via as received, with the source it came from. The To
            // tag is left out, for the ACK has the one of our response (§17.2.3) and must find its INVITE.
            part(request.uri().map_or("", |uri| uri.as_str()));
            part(request.from_tag().unwrap_or(""));
            Kind::Old
        };
        part(via.branch().unwrap_or(""));
        part(request.call_id());
        // The host in lower case, a word at a time.
        for eight in via.host().as_bytes().chunks(8) {
            let mut word = [0u8; 8];
            for (low, byte) in word.iter_mut().zip(eight) {
                *low = byte.to_ascii_lowercase();
            }
            hasher.write_u64(u64::from_le_bytes(word));
        }
        via.port().hash(&mut hasher);
        if let Kind::Old = kind {
            source.ip().hash(&mut hasher);
        }
        // Under the secret as well: whoever chooses the number shall not choose the place in a map.
        hasher.write_u32(request.cseq().number);
        let class = class(method, &mut hasher);
        Key { hash: hasher.finish(), cseq: request.cseq().number, kind, class }
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash ^ u64::from(self.cseq) ^ ((self.class as u64) << 32));
    }
}

/// Passes on the one number it is given: for keys that are hashes under a secret already.
#[derive(Clone, Copy, Default, Debug)]
pub struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }
}

fn class(method: &Method, hasher: &mut impl Hasher) -> Class {
    match method {
        Method::Invite => Class::Invite,
        Method::Cancel => Class::Cancel,
        Method::Bye => Class::Bye,
        Method::Register => Class::Register,
        Method::Options => Class::Options,
        Method::Update => Class::Update,
        Method::Prack => Class::Prack,
        Method::Info => Class::Info,
        Method::Message => Class::Message,
        Method::Notify => Class::Notify,
        Method::Refer => Class::Refer,
        Method::Subscribe => Class::Subscribe,
        Method::Publish => Class::Publish,
        Method::Ack => Class::Ack,
        Method::Other(name) => {
            hasher.write(name.as_bytes());
            Class::Other
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:?} {:?} {} {:016x})", self.kind, self.class, self.cseq, self.hash)
    }
}
