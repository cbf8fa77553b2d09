//! Dialplan applications, one file each, all alike.
//!
//! [`Call`] is a leg with its queue of actions: it hunts, expands and runs them one after the other. An
//! application that only changes the leg is a plain function and may run at hunt time (`inline="true"`); one that
//! waits is a future over the call. `table` is the flat list of both.

mod acknowledge_call;
mod answer;
mod att_xfer;
mod bind_digit_action;
mod bind_meta_app;
mod bound;
mod bridge;
mod call;
mod camp;
mod capture;
mod check_acl;
#[cfg(feature = "curl")]
mod curl;
mod deflect;
mod echo;
mod errands;
mod eval;
mod event;
mod execute_extension;
mod export;
mod fifo;
mod handed;
mod hangup;
mod heartbeat;
mod info;
mod intercept;
mod lamp;
mod limit;
mod log;
mod missing;
mod mkdir;
mod moment;
mod park;
mod pickup;
mod places;
mod pre_answer;
mod privacy;
mod redirect;
mod respond;
mod ring_ready;
pub mod say;
mod sched;
mod scoped;
mod send_display;
mod send_info;
mod set;
mod set_global;
mod set_name;
mod set_profile_var;
mod set_user;
mod sleep;
mod socket;
mod stored;
mod system;
mod table;
mod told;
mod transfer;
mod unset;
mod valet_park;
mod verbose_events;

pub use call::{Call, Calls, Plans};
pub use errands::{broadcast, serve as serve_errands};
pub(crate) use limit::{ELSEWHERE as LIMIT_EXCEEDED, count_in};
pub use missing::LEFT_OUT;
pub use sched::is_possible;
pub use table::{Application, Run, names, refused};
