//! The media engine over real sockets on loopback, seen from the phones. Different loopback addresses stand for different
//! hosts. Nothing here depends on how fast the machine is, except that some seconds are enough for a packet to arrive.

mod bed;
mod dtmf;
mod latching;
mod pairs;
mod relay;
mod rtcp;
mod trouble;
