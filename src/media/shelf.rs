//! Port pairs that stay open between two calls.
//!
//! Opening two sockets and closing them costs more than all else that media does for a call, and next to nothing where
//! calls are few. So the pair of an ended call stays open for a while, and is lent to another one only while many calls
//! end: when the shelf is more than half full. It is then the pair that was silent longest, so the shelf's size divided
//! by the rate of calls is how long pairs rest; at a low rate all of them rest their whole time and close, and calls get
//! pairs that are drawn at random. However many calls end, a pair is lent only
//!
//! * after [`QUIET`] (at once, when the range has no other pair that rested), in which nobody was heard on it: an open
//!   pair hears whether the old peer still sends, where a closed one can only hope that it does not. One that hears
//!   something goes to the end of the row and waits anew, and one that hears again and again is closed and rests like any
//!   other;
//! * with the [`Former`] stream in mind, while its whole rest is not over: what the old peer may begin to send again is
//!   told by its source and SSRC.
//!
//! Bounded three ways: a number of pairs, a quarter of the descriptors there may be, and none when descriptors run short.

use std::collections::VecDeque;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use super::latch::Former;
use super::ports::{Pair, PortRange};
use super::sys;

/// No open pair is lent before it was silent for so long: a peer that still sends does so every 20–60 ms.
pub(super) const QUIET: Duration = Duration::from_millis(250);
/// Pairs that stay open on all addresses together, unless the engine is told otherwise.
pub(super) const MOST: usize = 4096;
/// How often a pair may hear something before it is given up, and how many pairs are tried for a call.
pub(super) const CHANCES: u8 = 3;
/// Pairs that are closed at one look; there are four a second.
const AT_ONCE: usize = 64;

/// An open pair between two calls; it still holds its ports. To be dropped where no lock is held.
pub(super) struct Kept {
    pair: Pair,
    /// When its call ended, or when it was last found to hear something.
    since: Instant,
    /// How often it was.
    heard: u8,
}

/// What was heard on a kept pair.
pub(super) enum Heard {
    /// Nothing: it is ready for a call.
    Nothing(Pair),
    /// Somebody: it has to wait anew.
    Somebody(Kept),
    /// Somebody, once too often: it must be closed.
    Again,
}

impl Kept {
    /// The pair of a call that ends now, in which `former` was heard.
    pub(super) fn new(now: Instant, mut pair: Pair, former: Option<Former>) -> Kept {
        pair.former = former;
        Kept { pair, since: now, heard: 0 }
    }

    /// Whether it may stay: its ports are of the range, and descriptors are not scarce when `limit` of them may be open.
    pub(super) fn may_stay(&self, range: PortRange, limit: u64) -> bool {
        // The system gives the lowest free number, so a high one says that most are taken.
        let high = u64::try_from(self.pair.rtcp.as_raw_fd()).is_ok_and(|fd| fd > limit / 8 * 7);
        range.has(self.pair.lease.port()) && !high
    }

    /// Listens to what came since. A pair whose whole `rest` is over needs not remember who was heard on it.
    pub(super) fn listen(mut self, now: Instant, rest: Duration) -> Heard {
        if self.pair.discard() == 0 {
            self.pair.former.take_if(|_| now.saturating_duration_since(self.since) >= rest);
            return Heard::Nothing(self.pair);
        }
        (self.since, self.heard) = (now, self.heard + 1);
        if self.heard < CHANCES { Heard::Somebody(self) } else { Heard::Again }
    }

    /// Takes it whatever it heard: there is nothing else left.
    pub(super) fn at_any_rate(self) -> Pair {
        self.pair.discard();
        self.pair
    }
}

/// How many pairs may stay open where `limit` descriptors may be: at most `most`, and a quarter of the descriptors.
pub(super) fn room(most: usize, limit: u64) -> usize {
    most.min(usize::try_from(limit / 8).unwrap_or(usize::MAX))
}

/// The pairs of one local address, those that wait longest first.
#[derive(Default)]
pub(super) struct Shelf(VecDeque<Kept>);

impl Shelf {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn put(&mut self, kept: Kept) {
        self.0.push_back(kept);
    }

    /// The one that waits longest, if that is `quiet` or longer.
    pub(super) fn draw(&mut self, now: Instant, quiet: Duration) -> Option<Kept> {
        self.aged(now, quiet).then(|| self.0.pop_front())?
    }

    fn aged(&self, now: Instant, age: Duration) -> bool {
        self.0.front().is_some_and(|k| now.saturating_duration_since(k.since) >= age)
    }

    /// The one that waits longest.
    pub(super) fn oldest(&mut self) -> Option<Kept> {
        self.0.pop_front()
    }

    /// Takes out what nobody drew for `age`, but not so many that closing them holds up a thread's packets.
    pub(super) fn outdated(&mut self, now: Instant, age: Duration, into: &mut Vec<Kept>) {
        while into.len() < AT_ONCE && self.aged(now, age) {
            into.extend(self.0.pop_front());
        }
    }

    /// Takes out what is not of this range; all of it, without one.
    pub(super) fn beyond(&mut self, range: Option<PortRange>) -> VecDeque<Kept> {
        let stays = |k: &Kept| range.is_some_and(|r| r.has(k.pair.lease.port()));
        let (stay, go) = std::mem::take(&mut self.0).into_iter().partition(stays);
        self.0 = stay;
        go
    }
}

impl Pair {
    /// Throws away what waits on both ports and says how many datagrams that was.
    fn discard(&self) -> u64 {
        sys::discard(&self.rtp) + sys::discard(&self.rtcp)
    }
}
