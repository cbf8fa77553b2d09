//! Dialogs (RFC 3261 §12) and the INVITE session over one (RFC 3261 §13–15, 3262, 3264, 3311, 4028).
//!
//! A leg owns one [`Session`] and feeds it messages, time and commands; it takes out bytes to send and [`Event`]s. The
//! session owns its transactions, so that below it there is only the net. No I/O, no clock, no tokio.
//!
//! ```text
//! net ─ message ─▶ Session ─▶ transaction ─▶ dialog (tags, CSeq) ─▶ offer / answer, 100rel, timer ─▶ Event ─▶ leg
//! net ◀─ bytes ──────┘◀──────────────────────────────────────────────────────────── command ◀──────── leg
//! ```
//!
//! | file | what |
//! | --- | --- |
//! | `session` | [`Session`]: state and drive contract; `caller`, `hops`, `callee`, `own_offer`, `peer_offer`, `inside`, `access`, `finish` are its parts |
//! | `dialog` | [`Dialog`]: ids, route set, target, CSeq order, destination |
//! | `offer` | where offer and answer stand (RFC 3264) |
//! | `reliable` | reliable provisional responses (RFC 3262) |
//! | `timer` | the session timer (RFC 4028) |
//! | `subscription` | [`Subscription`]: the notifier's side of a subscription (RFC 6665) |
//! | `remains` | what is left of an ended session ([`crate::transaction::Remains`]) |
//! | `wait` | every wait of a session, and its longest stay |
//! | `identity` | [`Identity`], [`SessionConfig`]: how we look on the wire |
//! | `body` | the session description in a body |
//! | `phrase` | reason phrases |
//! | `event` | [`Event`], [`Output`], [`CommandError`] |
#![deny(clippy::disallowed_methods)]

mod access;
mod body;
mod callee;
mod caller;
#[allow(clippy::module_inception)] // the RFC's word for it
mod dialog;
mod event;
mod finish;
mod hops;
mod identity;
mod inside;
mod offer;
mod own_offer;
mod peer_offer;
mod phrase;
mod reliable;
mod remains;
mod session;
mod subscription;
mod timer;
mod wait;

pub use caller::{Invite, Means};
pub use dialog::Dialog;
pub use event::{CommandError, Event, Headers, How, OfferId, Output, RequestId};
pub use identity::{Identity, SessionConfig};
pub use phrase::reason_phrase;
pub use session::Session;
pub use subscription::{Notice, Subscription, Terms};
pub use timer::Refresher;
