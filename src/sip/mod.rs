//! SIP messages as values (RFC 3261 §7, §19–20, §25): parse, print, URIs, typed headers, digest.
//!
//! Gets datagrams and framed stream messages from `net`; hands messages to everything above. No I/O, no
//! clock, no tokio.
#![deny(clippy::disallowed_methods)]
