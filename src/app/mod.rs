//! Dialplan applications, one file each, all alike.
//!
//! [`Call`] is a leg with its queue of actions: it hunts, expands and runs them one after the other. An
//! application that only changes the leg is a plain function and may run at hunt time (`inline="true"`); one that
//! waits is a future over the call. `table` is the flat list of both.

mod answer;
mod bridge;
mod call;
mod deflect;
mod echo;
mod eval;
mod execute_extension;
mod export;
mod hangup;
mod info;
mod log;
mod missing;
mod park;
mod pre_answer;
mod redirect;
mod respond;
mod ring_ready;
pub mod say;
mod set;
mod sleep;
mod table;
mod transfer;
mod unset;

pub use call::{Call, Plans};
pub use missing::LEFT_OUT;
pub use table::{Application, Run, names};
