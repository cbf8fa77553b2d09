//! Session descriptions (RFC 8866) and the offer/answer model (RFC 3264) as pure functions.
//!
//! Gets bodies from `dialog`/`channel` as text; hands back typed descriptions, offers and answers, and what
//! two descriptions agree on as input of the media relay. No I/O, no clock, no tokio.
//!
//! The way of an ordinary call, A calling B through tandem:
//!
//! ```text
//! A's INVITE ─▶ Session::parse ─▶ offer(Source::Offer{A, prefs}) ─▶ Draft ─ports─▶ write ─▶ INVITE to B
//! B's 200    ─▶ Session::parse ─▶ answer(A's offer, Settled::Leg(B's)) ─▶ Draft ─ports─▶ write ─▶ 200 to A
//! agreed(our answer to A, A's offer), agreed(our offer to B, B's answer), pair(A's, B's),
//! payload_map(A, B) and back ─▶ media
//! ```
//!
//! A [`Draft`] tells which of its m-lines need a local port; [`Draft::write`] puts ports, address and the
//! `o=` line in. A following description of the same session goes through [`Session::numbered_after`].
#![deny(clippy::disallowed_methods)]

mod agreed;
mod answer;
mod codec;
mod draft;
mod offer;
mod parse;
mod passed;
mod prefs;
mod print;
mod session;

pub use agreed::{AgreedMedia, EventPts, PayloadMap, Pts, agreed, pair, payload_map};
pub use answer::{Negotiation, Settled, answer, is_answerable};
pub use codec::Codec;
pub use draft::{Author, Draft, Rules};
pub use offer::{Source, offer, reoffer};
pub use parse::{MAX_FORMATS, MAX_LINE, MAX_LINES, MAX_MEDIA, MAX_SIZE, SdpError};
pub use passed::{following, patched, proxied, proxied_lines};
pub use prefs::{Pref, Prefs};
pub use session::{Attribute, Connection, Direction, Kind, Media, Origin, Session};
