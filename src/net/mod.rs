//! UDP and TCP flows, where to send (RFC 3263, 3581), access lists, the flood guard.
//!
//! Gets bytes from the sockets; hands parsed messages with their flow to `profile`; takes bytes and a
//! destination from the legs. Knows nothing of calls.
//!
//! A [`Net`] is the network of one SIP profile. One task per UDP socket and per connection reads, parses and
//! calls the function given to [`Net::start`] right there: one hop per message, no queue in between. That function
//! must not block; it routes the message to its owner's mailbox. Sending is a plain call as well: UDP goes to the
//! kernel at once, TCP to the connection's bounded queue.
//!
//! | file | job |
//! | --- | --- |
//! | `start` | open the sockets, stop them |
//! | `send` | choose socket or connection for a message |
//! | `report` | what became of a message that could not simply be sent |
//! | `udp` | the receive loop and the queue of a UDP socket |
//! | `intake`, `waiting`, `window` | whose turn it is when more comes in than can be done |
//! | `kind` | what a message is, before it is parsed |
//! | `tcp` | listening, one connection's reading and writing |
//! | `connections` | the open connections, by id and by peer |
//! | `dns` | names to addresses (RFC 3263) |
//! | `resolve` | messages that wait for that |
//! | `lanes` | three receive queues for one address |
//! | `sockets` | the seam to the operating system, or to a virtual network in tests |
//! | `guard` | the flood guard |
//! | `acl` | access lists |
//! | `weight` | what keeps a stream of events from slowing a call |
//! | `local`, `stun` | which address we have, from inside and from outside |

pub mod acl;
mod connections;
mod dns;
mod guard;
mod intake;
mod kind;
mod lanes;
mod local;
mod report;
mod resolve;
mod send;
mod sockets;
mod start;
pub mod stun;
mod tcp;
mod udp;
mod waiting;
mod weight;
mod window;

pub use dns::Dns;
pub use guard::{FloodGuard, GuardConf, source_key};
pub use local::{interface_address, local_address_towards, local_ip_v4, local_ip_v6};
pub use report::{Report, SendError};
pub use send::{LARGEST_DATAGRAM, address_of};
pub use sockets::{BoxFuture, DatagramSocket, Door, Kernel, Sockets, Stream, StreamListener};
pub use start::{Incoming, Net, NetConf, StartError, StreamLimits};
pub use weight::{give_way, hoard_no_more};
pub use window::{AtDoor, Window};
