//! `sofia.conf`: its global settings and the SIP profiles.
//!
//! [`SofiaConf::read`] takes the tree and gives typed [`ProfileConf`]s with FreeSWITCH's defaults (from
//! `config_sofia` in its `sofia.c`). Every parameter FreeSWITCH knows is known here: acted on by `settings.rs`, or
//! listed in `later.rs` and reported once. Anything else gets a "did you mean".

mod address;
mod later;
mod parts;
mod profile;
mod settings;

pub use address::{Address, External, Family};
pub use later::known_names;
pub use parts::{AclRef, Gateway, InboundAcl, Param, ProfileDomain};
pub use profile::{
    CallerIdType, DtmfType, MultipleRegistrations, ProfileConf, Realm, Rport, SofiaConf, SofiaGlobals,
    ThreePcc, UserAgent,
};
