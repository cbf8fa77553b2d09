//! What an operator sees: the log now; metrics, SIP trace files and the web console later.
//!
//! Gets `tracing` events from every layer; hands lines to the terminal or JSON to a collector.

mod log;

pub use log::{Format, Log};
