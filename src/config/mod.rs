//! FreeSWITCH's configuration: X-PRE-PROCESS, the XML tree with positions, typed views of each section.
//!
//! Gets a folder; hands typed views to everyone above. Opens files, never sockets (a `stun:` address is
//! asked for through a function the caller passes in).
