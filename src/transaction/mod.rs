//! The four transaction machines of RFC 3261 §17, corrected by RFC 6026.
//!
//! Data in, new state and outputs out; time is an argument. Owned by a leg (its own transactions) or by a
//! profile (requests outside any dialog). No I/O, no clock, no tokio.
#![deny(clippy::disallowed_methods)]
