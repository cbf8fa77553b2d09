//! The real binary on loopback against real phones: baresip, linphonec, SIPp, and puppets that speak raw SIP
//! and RTP over plain sockets. What is heard is proven by the recorded files: the tone the other side plays,
//! without gaps.
//!
//! Each test has a switch of its own on a loopback address of its own, so they may run side by side. A
//! foreign program that is missing makes its tests a named skip, or a failure when `TANDEM_PEERS=required`
//! (as `tests/run` sets it).

mod baresip;
mod dns;
#[path = "../golden/reader.rs"]
mod golden;
mod kamailio;
mod linphonec;
mod pjsua;
mod place;
mod process;
mod program;
mod puppet;
mod rtp;
mod sipp;
mod switch;
mod tone;
mod wav;

mod test_calls;
mod test_clients;
mod test_clients_rust;
mod test_console;
mod test_dialler;
mod test_forks;
mod test_gateway;
mod test_golden;
mod test_kamailio;
mod test_keys;
mod test_limits;
mod test_linphone;
mod test_media;
mod test_media_moves;
mod test_pjsua;
mod test_records;
mod test_register;
mod test_reload;
mod test_rig;
mod test_seeds;
mod test_sipp;
mod test_sofia;
mod test_start;
mod test_stock;
mod test_transfer;
mod test_watch;
mod test_ways;
