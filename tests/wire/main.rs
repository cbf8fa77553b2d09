//! The real binary, message by message: what RFC 3261 and its relatives ask of a user agent server on the wire, the
//! torture messages of RFC 4475 and 5118, and what strangers may try (each class of attack that other switches
//! were open to).
//!
//! Files are named by document and section, or by the threat. Each test has a switch of its own on an address
//! of its own. Nothing is measured by the clock: "no answer" means none before a later request was answered.

#[path = "../daemon/place.rs"]
#[allow(dead_code)]
mod place;
#[path = "../daemon/process.rs"]
#[allow(dead_code)]
mod process;
#[path = "../daemon/puppet.rs"]
#[allow(dead_code)]
mod puppet;
#[path = "../daemon/rtp.rs"]
#[allow(dead_code)]
mod rtp;
#[path = "../daemon/switch.rs"]
#[allow(dead_code)]
mod switch;

mod line;

mod rfc3261_s08_requests;
mod rfc3261_s13_calls;
mod rfc3261_s18_transport;
mod rfc4475;
mod threats_calls;
mod threats_flood;
mod threats_login;
mod threats_overload;
