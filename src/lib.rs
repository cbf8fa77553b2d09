//! # tandem — a FreeSWITCH-style B2BUA softswitch
//!
//! A *tandem* exchange joins two others; a B2BUA is two user agents in tandem. Phones register to it, the
//! XML dialplan routes their calls, and it stands between the two legs of every call, signalling and media.
//!
//! ## The way of a call
//!
//! ```text
//!             datagram / stream                                    datagram / stream
//!  phone A  ─────────────────▶ net ──▶ sip (parse) ──▶ profile ──▶ leg A ─┐   leg B ──▶ profile ──▶ sip ──▶ net ──▶ phone B
//!                                                     (route)      │      │    ▲
//!                                                                  ▼      └────┘ bridge
//!                                                     directory ◀─ dialplan ──▶ app (answer, bridge, playback, …)
//!                                                     registrar ◀──── dial (user/, sofia/, group/, …)
//!  RTP A ◀══════════════════════════════ media (own threads: relay, record, mix) ═══════════════════════════▶ RTP B
//!                                     every step ──▶ event ──▶ esl, cdr, metrics, console
//! ```
//!
//! ## The layers
//!
//! Folders are layers, listed here from the lowest to the highest. A layer may use those before it, never
//! those after it; `tests/layers.rs` reads the `use crate::` lines and fails when one reaches the wrong way.

pub mod sip;

pub mod sdp;

pub mod transaction;

pub mod dialog;

pub mod config;

pub mod net;

pub mod media;

pub mod event;

pub mod registrar;

pub mod directory;

pub mod store;

pub mod gateway;

pub mod presence;

pub mod channel;

pub mod dialplan;

pub mod dial;

pub mod app;

pub mod api;

pub mod profile;

pub mod cdr;

pub mod observe;

pub mod esl;

pub mod switch;

pub mod cli;
