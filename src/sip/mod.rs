//! SIP messages as values (RFC 3261 §7, §19–20, §25): parse, print, URIs, typed headers, digest.
//!
//! Gets datagrams and framed stream messages from `net`; hands messages to everything above. No I/O, no
//! clock, no tokio.
//!
//! [`Message::parse`] walks the datagram once ([`Name`] per line), then reads what every reader needs: start line, top
//! Via, From, To, Call-ID, CSeq, Max-Forwards, Content-Length. Everything else is read when asked for, one file per header
//! in [`header`]. All values share the datagram's buffer ([`Text`]); nothing is copied. [`Builder`] writes messages.
#![deny(clippy::disallowed_methods)]

pub mod digest;
pub mod framer;
pub mod header;

mod answer;
mod build;
mod error;
mod flow;
mod grammar;
mod limits;
mod message;
mod method;
mod name;
mod octets;
mod params;
mod scan;
mod text;
mod uri;

pub use build::{Builder, HeaderName, ack_for, cancel_for};
pub use error::{ErrorKind, ParseError};
pub use flow::{Destination, Flow, Transport, UnknownTransport};
pub use framer::{Frame, FrameError, Framer};
pub use header::{
    CSeq, ContactValue, ContentType, Date, Event, MAGIC_COOKIE, NameAddr, RAck, Reason, Refresher, Replaces,
    SessionExpires, SubscriptionState, TokenList, Via,
};
pub use limits::Limits;
pub use message::Message;
pub use method::Method;
pub use name::Name;
pub use params::Params;
pub use text::Text;
pub use uri::{Scheme, Uri, escape_user, unescape};
