//! Dialogs (RFC 3261 §12) and the INVITE session over one (RFC 3261 §13–15, 3262, 3264, 3311, 4028).
//!
//! A leg owns one session and feeds it messages and time; it takes out bytes to send and things that
//! happened. No I/O, no clock, no tokio.
#![deny(clippy::disallowed_methods)]
