//! UDP and TCP flows, where to send (RFC 3263, 3581), access lists, the flood guard.
//!
//! Gets bytes from the sockets; hands parsed messages with their flow to `profile`; takes bytes and a
//! destination from the legs. Knows nothing of calls.
//!
//! | file | job |
//! | --- | --- |
//! | `acl` | access lists |
//! | `guard` | the flood guard |
//! | `sockets` | the seam to the operating system, or to a virtual network in tests |
//! | `local`, `stun` | which address we have, from inside and from outside |

pub mod acl;
mod guard;
mod local;
mod sockets;
pub mod stun;

pub use guard::{FloodGuard, GuardConf};
pub use local::{local_address_towards, local_ip_v4, local_ip_v6};
pub use sockets::{BoxFuture, DatagramSocket, Kernel, Sockets, Stream, StreamListener};
