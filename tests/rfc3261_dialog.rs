//! The dialog layer by the sections of the RFCs: one session against a written peer, and two sessions against each
//! other over a wire that loses, doubles and reorders.

#[path = "dialog/stage.rs"]
mod stage;

#[path = "dialog/rfc3261_s09_cancel.rs"]
mod rfc3261_s09_cancel;
#[path = "dialog/rfc3261_s12_dialogs.rs"]
mod rfc3261_s12_dialogs;
#[path = "dialog/rfc3261_s13_invite.rs"]
mod rfc3261_s13_invite;
#[path = "dialog/rfc3261_s14_reinvite.rs"]
mod rfc3261_s14_reinvite;
#[path = "dialog/rfc3261_s15_bye.rs"]
mod rfc3261_s15_bye;
#[path = "dialog/rfc3261_s22_authentication.rs"]
mod rfc3261_s22_authentication;
#[path = "dialog/rfc3262_reliable.rs"]
mod rfc3262_reliable;
#[path = "dialog/rfc3263_s4_3_failover.rs"]
mod rfc3263_s4_3_failover;
#[path = "dialog/rfc3311_update.rs"]
mod rfc3311_update;
#[path = "dialog/rfc4028_timer.rs"]
mod rfc4028_timer;

#[path = "dialog/garbage.rs"]
mod garbage;
#[path = "dialog/lossy.rs"]
mod lossy;
#[path = "dialog/remains.rs"]
mod remains;
