//! Users, groups and domains, and the check of a request's credentials against them.
//!
//! [`Directory`] holds the users of the running configuration as an immutable [`Snapshot`] that a reload
//! swaps; looking somebody up takes a hash or two, however many there are. [`auth`] decides on the credentials of a
//! request; `profile` asks it and sends what it decides.

pub mod auth;
mod difference;
mod snapshot;
mod user;

pub use snapshot::{Directory, Domain, Group, Snapshot};
pub use user::User;
