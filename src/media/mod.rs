//! RTP port pairs, relay, latching, DTMF and statistics on threads of its own.
//!
//! Gets commands from the legs, hands back events; knows nothing of SIP.
