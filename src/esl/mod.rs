//! The event socket: programs watch the switch and steer it (`mod_event_socket.c`).
//!
//! | file | job |
//! | --- | --- |
//! | `service` | the thread all clients live on; its listening socket; programs that take calls over |
//! | `doors` | who may come in: access lists, how many, how often a wrong password |
//! | `frame` | what a client sends, cut into requests; bounded |
//! | `client` | one connection: reads, answers in order, sends events and log lines as the peer takes them |
//! | `verbs` | what a client may say: `api`, `event`, `filter`, … |
//! | `message` | `sendmsg` and `sendevent` |
//! | `deed` | what an event has done that a client sends: NOTIFY, MESSAGE, INFO to phones |
//! | `choice` | which events a client wants |
//! | `rights`, `restraint` | what a client that logged in as a user may do, and have calls do |
//!
//! Clients have a thread of their own, so that no call waits for one, and that thread gives way to all others: what many
//! clients are sent is gigabytes a second, and is sent in the time that calls leave. A client has no queue of events: it reads
//! the ring of the [bus](crate::event) at its own pace, as long as its peer takes what is sent; one that does not read, or
//! that there is no time for, loses events, is told how many (`tandem::events_lost`), and takes no more memory than another.
//! Commands run beside, on the switch's own threads.

mod choice;
mod client;
mod deed;
mod doors;
mod frame;
mod message;
mod restraint;
mod rights;
mod service;
mod verbs;

pub use service::{EventSocket, StartError};
