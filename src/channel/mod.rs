//! A leg: its task, variables, caller profile, state and hang-up cause; the bridge of two legs.
//!
//! | file | job |
//! | --- | --- |
//! | `leg` | the leg itself: what it owns, how it waits |
//! | `inbound`, `outbound` | how a leg begins: called, or calling |
//! | `nobody` | a leg that calls for a command, and the called one that goes its own way |
//! | `addresses` | whom our INVITE names, and where it goes |
//! | `loopback` | two legs of ours that call each other |
//! | `signalling` | what its session tells, and what it does about that by itself |
//! | `progress` | what we tell a caller: 180, 183, 200 |
//! | `moment` | what its variables want done when it rings, is answered, is bridged |
//! | `renegotiation`, `renewal` | hold, resume, other codecs, across the bridge; the same for a command |
//! | `join` | two legs joined; digits, silence and verdict |
//! | `ending`, `caught` | hang-up, the closing line; a panic that ends one leg alone |
//! | `times`, `stamps` | when things happened, and what a record is told of it |
//! | `course`, `transfer`, `confirm` | a leg sent elsewhere, two legs that meet; REFER and Replaces; a transfer that is waited for |
//! | `glimpse` | what a leg has seen of another |
//! | `deflect` | REFER of ours |
//! | `display` | whom a far end is shown to talk to |
//! | `aside` | a partner that waits while its leg talks to somebody else |
//! | `keys` | what digits do in a call: keys behind a meta key (`meta`), sequences (`sequences`), what they have run |
//! | `presence` | the call as those see it who watch the user |
//! | `headers`, `states` | what events say of a leg; where it is, and the events that tell so |
//! | `asked`, `commanded` | how a command asks a leg, and what it may want of the far end |
//! | `steered` | those who want to know of its end |
//! | `codecs` | which codecs a leg takes |
//! | `media`, `way` | descriptions, streams, what was agreed; media that go past us, or through us unread |
//! | `letter`, `mailbox` (a `queue`), `legs` | what reaches a leg, where it waits, and how the leg is found |
//! | `caller`, `variables` (their names, `known`; lists in them, `array`), `cause`, `identity` | what is known of a call |
//! | `past` | what is remembered of legs that are over |
//! | `unacked` | answered calls whose ACK has not come: how many there may be |
//! | `departed` | legs that are gone: what is still answered in their place |
//! | `user_agent`, `exchange`, `gate` (its `peaks`) | what legs share: a profile, the switch, the limits |

mod addresses;
mod alarm;
pub mod array;
mod aside;
mod asked;
pub mod caller;
mod caught;
pub mod cause;
mod codecs;
mod commanded;
mod confirm;
pub mod course;
mod deflect;
mod departed;
mod display;
mod ending;
pub mod exchange;
mod gate;
mod glimpse;
mod headers;
pub mod identity;
mod inbound;
mod join;
mod keys;
mod known;
pub mod learned;
mod leg;
pub mod legs;
pub mod letter;
mod loopback;
mod mailbox;
pub mod media;
mod meta;
mod moment;
mod nobody;
mod outbound;
mod past;
mod peaks;
mod presence;
mod progress;
mod queue;
mod renegotiation;
mod renewal;
mod sequences;
mod signalling;
mod stamps;
mod states;
mod steered;
mod times;
mod trace;
mod transfer;
mod unacked;
pub mod user_agent;
pub mod variables;
mod way;

pub use asked::NoAnswer;
pub use caller::CallerProfile;
pub use caught::{Panicked, caught};
pub use cause::Cause;
pub use commanded::Deflected;
pub use course::{Course, Dialled, Outside, Route};
pub use departed::Departed;
pub use ending::{By, Ending};
pub use exchange::{Agents, Control, Exchange, Functions, Programs, Recorder, Router};
pub use gate::{Full, Gate};
pub use glimpse::Glimpse;
pub use headers::OtherLeg;
pub use inbound::{Caller, identity, is_sticky};
pub use join::Role;
pub use keys::{DigitAction, Execution, Manner, Target, Way};
pub use leg::{Direction, Happening, Leg, Progress};
pub use legs::{Legs, Token, new_uuid};
pub use letter::{Ended, Letter, News, Order, Shown, Successor, Visit};
pub use loopback::Inside;
pub use mailbox::{Letters, MAILBOX, Mailbox, Posted};
pub use media::{MediaError, Passed, View, Way as MediaWay};
pub use meta::{MetaApp, Where, key_index};
pub use moment::Moment;
pub use outbound::{Attempt, Codecs, Through};
pub use past::{Gone, Past};
pub use peaks::Figures;
pub use sequences::{Fits, Sequence};
pub use states::{CallState, State, rates};
pub use times::Times;
pub use trace::{TRACE_LEVEL, peer_of};
pub use transfer::ask_for_place;
pub use user_agent::UserAgent;
pub use variables::Variables;
pub use way::not_provided;
