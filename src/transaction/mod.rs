//! The four transaction machines of RFC 3261 §17, corrected by RFC 6026.
//!
//! Data in, new state and outputs out; time is an argument. Owned by a leg. No I/O, no clock, no tokio. A profile, which answers
//! requests outside dialogs as soon as it has read them, keeps no machines but a log of its answers: [`Answered`].
//!
//! Gets parsed messages from its owner, who got them from `net`; hands back messages to send and what the
//! owner must know, as [`Output`]. The owner keeps one [`Transactions`] and drives it like this:
//!
//! ```text
//! request / receive / respond / transport_failed ─▶ poll() until None ─▶ sleep until next_timeout() ─▶ timeout(now) ─▶ poll() …
//! ```
//!
//! | file | machine | RFC 3261 | states after RFC 6026 |
//! | --- | --- | --- | --- |
//! | `invite_client` | we sent INVITE | §17.1.1, fig. 5 | Calling, Proceeding, Completed, Accepted |
//! | `client` | we sent anything else | §17.1.2, fig. 6 | Trying, Proceeding, Completed |
//! | `invite_server` | we got INVITE | §17.2.1, fig. 7 | Proceeding, Completed, Confirmed, Accepted |
//! | `server` | we got anything else | §17.2.2, fig. 8 | Trying, Proceeding, Completed |
//!
//! A machine is a few hundred bytes while it runs and drops its request as soon as no answer can be built from
//! it any more. When its owner has gone too, what the long tail of Timers D, I, J, K, L, M still needs of all its
//! machines is a [`Remains`] in a [`Graveyard`].
#![deny(clippy::disallowed_methods)]

mod answered;
mod client;
mod invite_client;
mod invite_server;
mod key;
mod merge;
mod remains;
mod reply;
mod server;
mod step;
mod table;
mod timer;

pub use answered::{Answered, Mark};
pub use client::Client;
pub use invite_client::InviteClient;
pub use invite_server::InviteServer;
pub use key::{Hashed, Key, KeyMap};
pub use merge::{MergeGuard, MergeKey};
pub use remains::{Again, Graveyard, Kept, Remains, Repeated};
pub use reply::reply_flow;
pub use server::Server;
pub use step::{Step, Tell};
pub use table::{ClientId, Id, Output, Refused, ServerId, Transactions};
pub use timer::{Timer, TimerTable, Timers};
