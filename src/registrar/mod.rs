//! Who may register and who is where: the location table (RFC 3261 §10, 3327, 5626).
//!
//! `profile` authenticates a REGISTER, reads it into a [`Request`] and gives it to the [`Registrar`] with the
//! [`Policy`] that holds for that user; it gets back what to answer ([`Registered`] or [`Refusal`]) and what changed, for the
//! events. `dial` asks [`Registrar::lookup`] where a user is. Expiry is driven from outside: call
//! [`Registrar::expire`] when [`Registrar::next_timeout`] has come, and [`Registrar::connection_closed`] when a connection
//! goes. Nothing here reads a clock or a socket.

mod binding;
mod expiry;
mod policy;
mod reach;
mod refusals;
mod register;
mod request;
mod table;
mod text;

pub use crate::config::sofia::MultipleRegistrations as Multiple;
pub use binding::{Account, Binding};
pub use policy::Policy;
pub use reach::Reach;
pub use refusals::{Refusals, Refused};
pub use register::{Change, Gone, Refusal, Registered};
pub use request::{Request, Wanted, Wish};
pub use table::{Bounds, Registrar};
pub use text::{NOT_REGISTERED, contact_text, dial_string, status, url_encode};
