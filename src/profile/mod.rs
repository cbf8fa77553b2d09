//! A SIP profile: its sockets, the routing of its messages, challenge, NAT policy.
//!
//! Gets messages from `net` in the task that read them and hands each to its owner: by the token in a branch or
//! tag to a leg, a new INVITE to a new leg, REGISTER to the registrar. Requests outside dialogs are answered here.
//!
//! | file | job |
//! | --- | --- |
//! | `start` | addresses, sockets, the profile's own task |
//! | `receive` | whose message is it? |
//! | `credentials` | access lists, digest, challenge |
//! | `invite` | a new call: checks, context, caller, variables; the leg begins |
//! | `pinging` | OPTIONS to registered phones |
//! | `peer` | a call from a gateway |
//! | `register`, `register_told` | REGISTER; what events tell of it |
//! | `subscribe`, `watching` | SUBSCRIBE: who watches whom; a subscription at work |
//! | `gateways` | our own registrations, with others |
//! | `outside` | OPTIONS and everything else outside dialogs |
//! | `ask` | requests of our own to phones: NOTIFY, OPTIONS |
//! | `reply` | answers, with or without a transaction |

mod ask;
mod credentials;
mod departed;
mod gateways;
mod invite;
mod outside;
mod peer;
mod pinging;
mod receive;
mod register;
mod register_told;
mod reply;
mod start;
mod subscribe;
mod watching;

pub use ask::{Ask, Asker, Outcome, Target};
pub use start::{Opening, Profile, ProfileError, Shared};
