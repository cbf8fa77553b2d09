//! Gateways: carriers we log in to as a client, and peers we only call.
//!
//! Gets a [`GatewayConf`](crate::config::sofia::GatewayConf) from the configuration; `dial` asks a [`Gateway`] how a call
//! through it looks and whether it is up, `profile` gives each a socket and drives its [`Client`]. No I/O, no clock, no tokio.
//!
//! ```text
//!                                  200                      its time is nearly over
//! UNREGED ─REGISTER─▶ TRYING ───────────────▶ REGED ──────────────────────────────▶ UNREGED …
//!    ▲                  │ refused, or silent              │ OPTIONS say it is down
//!    └── its time ── FAIL_WAIT ◀── FAILED, TIMEOUT ◀──────┘
//! ```
//!
//! | file | what |
//! | --- | --- |
//! | `gateway` | [`Gateway`]: its settings, how calls through it look, what is known of it now |
//! | `table` | [`Gateways`]: all of them, by name |
//! | `state` | the states and FreeSWITCH's words for them |
//! | `client` | [`Client`]: REGISTER, its answers, and every timer; `client/ping`: OPTIONS |
//! | `hops` | the addresses of one request, one after another |
//! | `request` | the messages themselves |
#![deny(clippy::disallowed_methods)]

mod client;
#[allow(clippy::module_inception)] // the field's word for it
mod gateway;
mod hops;
mod request;
mod state;
mod table;

pub use client::{Change, Client, Output};
pub use gateway::{Counts, Gateway, Status};
pub use hops::Hop;
pub use request::Identity;
pub use state::State;
pub use table::Gateways;
