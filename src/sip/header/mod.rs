//! Typed headers, one per file and all alike: a type, how it is read, how it is printed, and the question to a
//! [`Message`](super::Message) that gives it.

mod auth;
mod contact;
mod cseq;
mod name_addr;
mod numbers;
mod route;
mod session_timer;
mod token_list;
mod via;

pub use contact::ContactValue;
pub use cseq::CSeq;
pub use name_addr::NameAddr;
pub use session_timer::{Refresher, SessionExpires};
pub use token_list::TokenList;
pub use via::{MAGIC_COOKIE, Via};
