//! Which nonces have been used, and up to which count: what makes a copied `Authorization` worthless.

use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasherDefault;
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use super::nonce::{Nonce, seconds};
use crate::transaction::Hashed;

/// The nonce counts seen with good credentials. Only somebody with a password can make an entry.
///
/// Bounded. When it is full the oldest entry goes, and every nonce as old as that one that has no entry counts as
/// used from then on: forgetting costs an honest phone one more challenge and never lets a copy through.
pub struct Uses {
    shards: Box<[Mutex<Shard>]>,
    room: usize,
}

#[derive(Default)]
struct Shard {
    /// By [`place`].
    counts: HashMap<u64, u32, BuildHasherDefault<Hashed>>,
    order: VecDeque<u64>,
    /// Nonces made at or before this second and without an entry may have been used.
    forgotten: Option<u32>,
}

const SHARDS: usize = 16;

impl Uses {
    /// Room for about `capacity` nonces.
    pub fn new(capacity: usize) -> Self {
        Uses {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            room: capacity.div_ceil(SHARDS).max(1),
        }
    }

    /// Notes the use of a nonce with good credentials; false when it must not count. `count` is the nc, which must
    /// rise with each use (RFC 7616 §3.4); without one (RFC 2069) a nonce can be used once. `life` is how long nonces
    /// are good, after which entries are dropped.
    pub fn take(&self, nonce: Nonce, count: Option<u32>, now: SystemTime, life: Duration) -> bool {
        let Some(shard) = self.shards.get(nonce.serial as usize % SHARDS) else { return false };
        let mut shard = shard.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        shard.drop_old(now, life);
        let count = count.unwrap_or(u32::MAX);
        if count == 0 {
            return false;
        }
        if let Some(last) = shard.counts.get_mut(&place(nonce.id())) {
            let rises = count > *last;
            *last = count.max(*last);
            return rises;
        }
        if shard.forgotten.is_some_and(|second| nonce.issued <= second) {
            return false;
        }
        if shard.counts.len() >= self.room {
            shard.forget_oldest();
        }
        shard.counts.insert(place(nonce.id()), count);
        shard.order.push_back(nonce.id());
        true
    }

    /// The number of nonces remembered.
    pub fn count(&self) -> usize {
        self.shards.iter().map(|s| s.lock().unwrap_or_else(|p| p.into_inner()).counts.len()).sum()
    }
}

impl Shard {
    fn drop_old(&mut self, now: SystemTime, life: Duration) {
        let now = u64::from(seconds(now));
        while let Some(oldest) = self.order.front() {
            if (oldest >> 32) + life.as_secs() >= now {
                break;
            }
            self.counts.remove(&place(*oldest));
            self.order.pop_front();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some(oldest) = self.order.pop_front() {
            self.counts.remove(&place(oldest));
            let second = (oldest >> 32) as u32;
            self.forgotten = Some(self.forgotten.map_or(second, |s| s.max(second)));
        }
    }
}

/// Spreads the names of nonces over a map, each to a place of its own. They are our own numbers, and only those used with good
/// credentials come here, so that nobody can choose them to meet.
fn place(id: u64) -> u64 {
    id.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(32)
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    const LIFE: Duration = Duration::from_secs(60);

    fn at(second: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(second)
    }

    #[test]
    fn the_count_must_rise() {
        let uses = Uses::new(64);
        let nonce = Nonce { issued: 100, serial: 3 };
        for (count, want) in [
            (Some(0), false),
            (Some(1), true),
            (Some(1), false),
            (Some(5), true),
            (Some(4), false),
            (Some(6), true),
            (None, true),
            (None, false),
            (Some(7), false),
        ] {
            assert_eq!(uses.take(nonce, count, at(100), LIFE), want, "{count:?}");
        }
        let other = Nonce { issued: 100, serial: 4 };
        assert!(uses.take(other, None, at(100), LIFE) && !uses.take(other, None, at(100), LIFE));
    }

    #[test]
    fn old_entries_go_and_the_table_stays_small() {
        let uses = Uses::new(1 << 16);
        for second in 0..10_000u32 {
            assert!(uses.take(Nonce { issued: second, serial: second }, Some(1), at(second.into()), LIFE));
            assert!(uses.count() <= 16 * (61 / 16 + 2), "{}", uses.count());
        }
    }

    #[test]
    fn what_is_forgotten_for_lack_of_room_counts_as_used() {
        let uses = Uses::new(16);
        let nonce = |issued| Nonce { issued, serial: 0 };
        assert!(uses.take(nonce(10), Some(1), at(10), LIFE));
        assert!(uses.take(nonce(11), Some(1), at(11), LIFE));
        assert_eq!(uses.count(), 1);
        assert!(!uses.take(nonce(10), Some(2), at(11), LIFE), "forgotten, so it may be a copy");
        assert!(!uses.take(nonce(9), Some(1), at(11), LIFE), "as old as a forgotten one");
        assert!(uses.take(nonce(11), Some(2), at(11), LIFE));
        assert!(uses.take(nonce(12), Some(1), at(12), LIFE));
    }
}
