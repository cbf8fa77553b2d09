//! The network of a profile: on loopback sockets, and on the virtual network of `tests/sim/net.rs`.

#[path = "../sim/net.rs"]
mod sim;

mod bench;
mod crowd;
mod resolving;
mod size;
mod tcp;
mod udp;
mod weather;
