//! A leg: its task, variables, caller profile, state and hang-up cause; the bridge of two legs.

pub mod cause;
pub use cause::Cause;
