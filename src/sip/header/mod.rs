//! Typed headers, one per file and all alike: a type, how it is read, how it is printed, and the question to a
//! [`Message`](super::Message) that gives it.

mod auth;
mod contact;
mod content_type;
mod cseq;
mod date;
mod event;
mod identity;
mod name_addr;
mod numbers;
mod rack;
mod reason;
mod refer;
mod replaces;
mod route;
mod session_timer;
mod token_list;
mod via;

pub use contact::ContactValue;
pub use content_type::ContentType;
pub use cseq::CSeq;
pub use date::Date;
pub use event::{Event, SubscriptionState};
pub use name_addr::NameAddr;
pub use rack::RAck;
pub use reason::Reason;
pub use replaces::Replaces;
pub use session_timer::{Refresher, SessionExpires};
pub use token_list::TokenList;
pub use via::{MAGIC_COOKIE, Via};
