//! `sofia.conf`: its global settings and the SIP profiles.
//!
//! [`SofiaConf::read`] takes the tree and gives typed [`ProfileConf`]s with FreeSWITCH's defaults (from
//! `config_sofia` in its `sofia.c`). Every parameter FreeSWITCH knows is known here: acted on by `settings.rs`, or
//! listed in `later.rs` and reported once. Anything else gets a "did you mean".

mod address;
mod gateway;
mod later;
mod parts;
mod presence;
mod profile;
mod settings;
mod written;

pub use address::{Address, External, Family};
pub use gateway::{FromDomain, GatewayConf, GatewayVariable, Ping};
pub use later::known_names;
pub use parts::{AclRef, InboundAcl, ProfileDomain};
pub use presence::{PhonePing, PresenceConf, PresenceHold, QueryMessages};
pub use profile::{
    CallerIdType, DtmfType, MultipleRegistrations, ProfileConf, Realm, Rport, SofiaConf, SofiaGlobals,
    ThreePcc, UserAgent,
};
pub use written::Written;
