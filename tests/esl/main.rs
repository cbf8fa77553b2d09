//! The event socket as clients see it: the whole switch in this process, real sockets on loopback.
//!
//! `golden` replays conversations of a running FreeSWITCH (`TANDEM_TRUTH`, a named skip without); the others
//! say what is expected themselves.

mod bed;
mod golden;
mod test_bounds;
mod test_calls;
mod test_crowd;
mod test_deeds;
mod test_events;
mod test_injection;
mod test_login;
mod test_programs;
mod test_random;
mod test_verbs;
