//! What a stream's handle and its media thread share: the counters, the wishes not yet taken over, and who has the line.
//!
//! A line stays with its owner until something was agreed on. What an owner wishes until then is done at once, and a
//! stream that ends before (a fork that lost, a call that was refused) never costs its thread anything.

use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::latch::Remote;
use super::line::Line;
use super::payload::{Format, PayloadMap};
use super::stats::Counters;

/// Number of a stream, unique in the life of the process.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId(pub(super) u64);

impl std::fmt::Display for StreamId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Hashes stream numbers: they are counted up by us, so one multiplication spreads them.
#[derive(Default)]
pub(super) struct Spread(u64);

impl Hasher for Spread {
    fn write_u64(&mut self, n: u64) {
        self.0 = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|b| self.write_u64(self.0 ^ u64::from(*b)));
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Something of every stream, by its number.
pub(super) type ByStream<T> = std::collections::HashMap<StreamId, T, BuildHasherDefault<Spread>>;

/// How long silence is borne.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Timeouts {
    /// While the peer is expected to send (`rtp-timeout-sec`, `media_timeout`).
    pub media: Option<Duration>,
    /// While on hold (`rtp-hold-timeout-sec`, `media_hold_timeout`).
    pub hold: Option<Duration>,
}

/// What of telephone-event is not relayed: somebody else decides whether a digit goes on.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Withheld {
    /// What this stream's peer presses.
    pub pressed: bool,
    /// What is relayed to this stream's peer.
    pub relayed: bool,
}

/// Where what a stream receives is sent on.
#[derive(Clone)]
pub(super) struct Forward {
    pub(super) to: StreamId,
    pub(super) map: Arc<PayloadMap>,
}

/// A digit waiting to be sent.
#[derive(Copy, Clone)]
pub(super) struct Digit {
    pub(super) event: u8,
    pub(super) duration_ms: u32,
}

/// What an owner wants of its stream. Of two wishes of a kind the later counts, so they do not pile up.
#[derive(Default)]
pub(super) struct Wishes {
    pub(super) remote: Option<Remote>,
    pub(super) unlatch: bool,
    pub(super) format: Option<Arc<Format>>,
    pub(super) forward: Option<Option<Forward>>,
    pub(super) timeouts: Option<Timeouts>,
    pub(super) hold: Option<bool>,
    pub(super) withheld: Option<Withheld>,
    pub(super) digits: Vec<Digit>,
}

/// Who has the line of a stream.
enum Place {
    /// Its owner: there is nothing to listen for yet.
    Owner(Box<Line>),
    /// A media thread, or it is on its way to one.
    Thread {
        /// Which.
        holder: usize,
        /// A note for the holder is in its inbox, or the line itself is.
        noted: bool,
        /// What the holder has not taken over.
        wishes: Option<Box<Wishes>>,
    },
    /// Nobody: it is closed, or must be by who has it.
    Closed,
}

struct State {
    place: Place,
    /// The thread the stream should live on, and its place there.
    home: usize,
    seat: Arc<()>,
}

/// What has to be told to a thread after a wish.
pub(super) enum Errand {
    /// Nothing.
    None,
    /// That the stream wants something.
    Note(usize),
    /// Here is a line.
    Line(usize, Box<Line>),
}

/// What a thread has to do with a line.
pub(super) enum Order {
    /// Take these wishes over and keep the line.
    Keep(Option<Box<Wishes>>),
    /// Send it to that thread, which will ask again.
    Move(usize),
    /// Close it.
    Close,
}

/// The part of a stream that its handle and its thread share.
pub(super) struct Shared {
    pub(super) id: StreamId,
    pub(super) counters: Counters,
    state: Mutex<State>,
}

impl Shared {
    /// Of a stream that is to live on thread `home` and has no line yet.
    pub(super) fn new(id: StreamId, now: Instant, home: usize, seat: Arc<()>) -> Shared {
        let state = State { place: Place::Closed, home, seat };
        Shared { id, counters: Counters::new(now), state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    //------------ The owner -------------------------------------------------

    /// The line is there; it stays with the owner for now.
    pub(super) fn begin(&self, line: Box<Line>) {
        self.state().place = Place::Owner(line);
    }

    /// Changes what the stream wants. The caller runs the errand.
    pub(super) fn want(&self, change: impl FnOnce(&mut Wishes)) -> Errand {
        let mut state = self.state();
        let home = state.home;
        match &mut state.place {
            Place::Owner(line) => {
                let mut wishes = Wishes::default();
                change(&mut wishes);
                line.apply(Instant::now(), wishes);
                if !line.has_work() {
                    return Errand::None;
                }
                line.forget_early();
            }
            Place::Thread { holder, noted, wishes } => {
                change(wishes.get_or_insert_default());
                let known = std::mem::replace(noted, true);
                return if known { Errand::None } else { Errand::Note(*holder) };
            }
            Place::Closed => return Errand::None,
        }
        let on_its_way = Place::Thread { holder: home, noted: true, wishes: None };
        match std::mem::replace(&mut state.place, on_its_way) {
            Place::Owner(line) => Errand::Line(home, line),
            _ => Errand::None,
        }
    }

    /// The thread the stream should live on.
    pub(super) fn home(&self) -> usize {
        self.state().home
    }

    /// Lets it live on another thread; a wish must follow for the present one to know.
    pub(super) fn settle_on(&self, home: usize, seat: &Arc<()>) {
        let mut state = self.state();
        if state.home != home {
            (state.home, state.seat) = (home, seat.clone());
        }
    }

    /// No wish waits for the thread.
    pub(super) fn settled(&self) -> bool {
        !matches!(self.state().place, Place::Thread { noted: true, .. })
    }

    /// Ends the stream: a line that is here closes now, else its thread must be told.
    pub(super) fn close(&self) -> Errand {
        let (home, place) = {
            let mut state = self.state();
            (state.home, std::mem::replace(&mut state.place, Place::Closed))
        };
        match place {
            Place::Thread { holder, noted: false, .. } => Errand::Note(holder),
            Place::Owner(line) => {
                line.retire(Instant::now());
                // Its port pair may be open still; a thread closes it in time.
                Errand::Note(home)
            }
            Place::Thread { .. } | Place::Closed => Errand::None,
        }
    }

    //------------ The thread ------------------------------------------------

    /// What thread `here`, which has the line, must do with it.
    pub(super) fn order(&self, here: usize) -> Order {
        let mut state = self.state();
        let home = state.home;
        let Place::Thread { holder, noted, wishes } = &mut state.place else { return Order::Close };
        *holder = home;
        // On its way to another thread the line itself is the note there.
        *noted = home != here;
        if *noted { Order::Move(home) } else { Order::Keep(wishes.take()) }
    }
}
