//! UDP and TCP flows, where to send (RFC 3263, 3581), access lists, the flood guard.
//!
//! Gets bytes from the sockets; hands parsed messages with their flow to `profile`; takes bytes and a
//! destination from the legs. Knows nothing of calls.

pub mod acl;
