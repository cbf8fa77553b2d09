//! What others may know of a user: whether a phone of theirs is registered, and which calls they have.
//!
//! A leg shows its call on the [`Board`] ([`Place`]); the registrar's changes are told by `profile`; who watches a user
//! ([`Watch`]) is woken when something has changed and then reads what is true: nothing is queued, so nothing is lost, however
//! many changes there were. While nobody has ever watched anybody the board is off, and costs a leg one look at a flag.
//!
//! ```text
//! leg ─ Place::show ─▶ Board ─ marks the user due ─▶ serve() ─ wakes ─▶ Watch ─▶ subscription ─ reads Board ─▶ NOTIFY
//! ```
//!
//! | file | what |
//! | --- | --- |
//! | `board` | [`Board`]: calls and watchers by user; bounds |
//! | `call` | [`Call`]: one call of a user, as others may see it |
//! | `said` | [`Said`]: what somebody has said of a user by an event; [`Lamps`]: calls that are there by events alone |
//! | `package` | [`Package`]: the event packages there are, and what a subscriber accepts |
//! | `document` | [`View`] and the documents made of it: dialog-info (RFC 4235), PIDF (RFC 3863), message summary (RFC 3842) |

mod board;
mod call;
mod document;
mod package;
mod said;

pub use board::{Board, Bounds, Full, Place, Watch, address};
pub use call::{Call, DialogId, Party, State};
pub use document::{Manners, View};
pub use package::Package;
pub use said::{Lamps, Said};
