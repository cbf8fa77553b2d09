//! API functions and commands, one file per family, all alike.
//!
//! A function takes its arguments as one text and answers a text, FreeSWITCH's to the letter. What it needs of the
//! switch it asks through [`World`]. [`call`] serves `${name(arguments)}` in expansions, [`command`] a command line;
//! [`find`] looks one up.

mod channel;
mod clock;
mod cond;
mod directory;
mod eval;
mod exchange;
mod expr;
mod function;
mod globals;
mod limit;
mod network;
mod regex;
mod registration;
mod say;
mod stored;
mod text;
mod tree;
mod valet;
mod world;

pub use exchange::OnLegs;
pub use function::{Function, Origin, Run, call, command, find, names};
pub use text::url_encoded;
pub use world::{ContactQuery, Reach, World};
