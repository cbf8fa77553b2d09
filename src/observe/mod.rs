//! What an operator sees: the log now; metrics, SIP trace files and the web console later.
//!
//! Gets `tracing` events from every layer; hands lines to the terminal or JSON to a collector, and to programs that watch
//! ([`Feed`]).

mod feed;
mod log;

pub use feed::{Feed, LogEar, LogLine};
pub use log::{Format, Log};
