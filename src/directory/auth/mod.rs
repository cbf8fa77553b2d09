//! Who sent this? The check of a request's credentials (RFC 3261 §22, RFC 7616, RFC 2069).
//!
//! [`Authenticator::check`] looks at a request and says [`Outcome::Accepted`], [`Outcome::Challenge`] or
//! [`Outcome::Forbidden`]; the caller answers 401/407 with [`Authenticator::challenges`] or 403. Challenging keeps no
//! memory: a nonce is the time under a keyed hash (`nonce`). Only good credentials leave a trace, so that a copy of them
//! is worth nothing (`uses`). From outside nobody can tell whether a user exists: unknown, without password and wrong
//! password take the same steps and get the same answer.

mod challenged;
mod check;
mod log;
mod nonce;
mod uses;

pub use crate::config::sofia::Realm;
pub use challenged::Challenged;
pub use check::{Authenticator, Grounds, Outcome, Rules};
pub use log::{AuthLine, FAIL2BAN_PREFIX};
