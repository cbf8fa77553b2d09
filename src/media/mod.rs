//! RTP port pairs, relay, latching, DTMF and statistics on threads of its own.
//!
//! Gets commands from the legs, hands back events; knows nothing of SIP.
//!
//! ```text
//!  leg ── Stream::remote/format/bridge/… ──▶ Wishes + a note ──▶ worker (media thread)
//!  leg ◀── Sink: Started, Dtmf, Silent, … ─────────────────────────┤
//!  leg ◀── Stream::stats ◀── atomics ◀─────────────────────────────┤
//!                                                                  │
//!  phone A ══▶ line A: receive (header, payload, latch, count) ──▶ line B: relay (numbers, rewrite, send) ══▶ phone B
//! ```
//!
//! * [`engine`]: threads, and who is joined with whom. `stream`: the owner's handle of a stream. `shared`: what it shares
//!   with the thread. `inbox`: how the thread hears of it. `worker`: a thread. `line`: a stream as its thread has it.
//! * Pure parts, each a value driven by packets and `now`: [`rtp`], [`rtcp`], [`latch`] (whose packets count: the table
//!   is there), [`outgoing`] (continuous numbers), [`reception`] (loss, jitter), [`dtmf`], [`payload`].
//! * [`ports`]: port pairs. `shelf`: those that stay open between two calls, and when they are lent to another.
//!   [`stats`]: what was counted. [`mod@verdict`]: what it means, in plain words.
//! * `sys`: the system calls std does not have.
//!
//! A packet costs two system calls (and its share of a wait, and of the look that finds the socket empty), no lock and
//! no allocation. Being woken costs more than all of that, so when many packets come a thread lets them gather for up to
//! a millisecond, which makes it cheaper than a bare epoll loop that is woken for each: see `benches/media`. Where
//! calls are many, one costs what its wishes cost: its port pairs come from calls that ended, and its notes wake a thread
//! once for many. An idle stream costs nothing: a thread without lines that wait for something sleeps in epoll without a
//! timer. In-kernel forwarding would begin where a line connects its socket: from then on source and destination are
//! certain.
//!
//! Known limit: one outgoing stream has one SSRC, so several SSRCs on one m-line (RTX, simulcast) are merged.

pub mod dtmf;
pub mod engine;
mod inbox;
pub mod latch;
mod line;
pub mod outgoing;
pub mod payload;
pub mod ports;
pub mod reception;
pub mod rtcp;
pub mod rtp;
mod shared;
mod shelf;
pub mod stats;
mod stream;
mod sys;
pub mod verdict;
mod worker;

pub use engine::{Engine, EngineConfig, MediaEvent, Sink, StreamError};
pub use latch::{Learn, Remote};
pub use payload::{Format, Kind, Mapping, Payload, PayloadMap};
pub use ports::{OpenError, PortRange};
pub use shared::{StreamId, Timeouts, Withheld};
pub use stats::Stats;
pub use stream::Stream;
pub use sys::{fd_limit, raise_fd_limit};
pub use verdict::{Side, Verdict, verdict};
