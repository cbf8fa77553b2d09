//! RFC 3261 (with RFC 6026), behaviour by section. The transaction tests drive [`tandem::transaction`] under a clock of
//! their own and compare what comes out, line by line and with its millisecond.

mod bench;
mod loss;
mod properties;
mod section_17_1_1_invite_client;
mod section_17_1_2_client;
mod section_17_2_1_invite_server;
mod section_17_2_2_server;
mod section_17_matching;
mod section_18_2_2_responses;
mod section_8_2_2_2_merged;
mod section_9_cancel;
