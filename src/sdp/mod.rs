//! Session descriptions (RFC 8866) and the offer/answer model (RFC 3264) as pure functions.
//!
//! Gets bodies from `dialog`/`channel` as text; hands back typed descriptions and answers. No I/O, no clock,
//! no tokio.
#![deny(clippy::disallowed_methods)]
