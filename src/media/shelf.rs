//! Port pairs that stay open between two calls.
//!
//! Opening two sockets and closing them costs more than all else that media does for a call. So the pair of an ended
//! call stays open for a while and is drawn again. That needs no long rest: an open pair hears whether the old peer
//! still sends, where a closed one can only hope that it does not. It is drawn when nothing came for [`QUIET`]; one that
//! hears something waits anew, and one that hears again and again is closed and rests like any other.
//!
//! Bounded three ways: [`MOST`] pairs, an eighth of the descriptors there may be, and none when descriptors run short.

use std::collections::VecDeque;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use rand::Rng;

use super::ports::{Pair, PortRange};
use super::sys;

/// A pair on which nothing came for so long is drawn again: a peer that still sends does so every 20–60 ms.
pub(super) const QUIET: Duration = Duration::from_millis(250);
/// Pairs that stay open, on all addresses together.
const MOST: usize = 2048;
/// How often a pair may hear something before it is given up, and how many pairs are tried for a call.
pub(super) const CHANCES: u8 = 3;

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
    pub(super) fn new(now: Instant, pair: Pair) -> Kept {
        Kept { pair, since: now, heard: 0 }
    }

    /// Whether it may stay: its ports are of the range, and there is room beside `others` when `limit` descriptors may
    /// be open.
    pub(super) fn fits(&self, range: PortRange, others: usize, limit: u64) -> bool {
        let eighth = usize::try_from(limit / 8).unwrap_or(usize::MAX);
        // The system gives the lowest free number, so a high one says that most are taken.
        let high = u64::try_from(self.pair.rtcp.as_raw_fd()).is_ok_and(|fd| fd > limit / 4 * 3);
        range.has(self.pair.lease.port()) && others < MOST.min(eighth / 2) && !high
    }

    /// Listens to what came since.
    pub(super) fn listen(mut self, now: Instant) -> Heard {
        if self.pair.discard() == 0 {
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

    /// A random one of those that waited long enough.
    pub(super) fn draw(&mut self, now: Instant, rng: &mut impl Rng) -> Option<Kept> {
        let waited = self.0.partition_point(|k| now.saturating_duration_since(k.since) >= QUIET);
        if waited == 0 {
            return None;
        }
        // The one in front has waited long enough for any place among them.
        self.0.swap(0, rng.random_range(0..waited));
        self.0.pop_front()
    }

    /// The one that waits longest.
    pub(super) fn oldest(&mut self) -> Option<Kept> {
        self.0.pop_front()
    }

    /// Takes out what nobody drew for `age`.
    pub(super) fn outdated(&mut self, now: Instant, age: Duration, into: &mut Vec<Kept>) {
        while self.0.front().is_some_and(|k| now.saturating_duration_since(k.since) >= age) {
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
