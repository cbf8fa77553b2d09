//! Every timer of the four machines as one closed enum, and the table that says which is next.

use std::time::{Duration, Instant};

/// The base values all timers derive from (RFC 3261 table 4). A profile's `timer-T1`, `timer-T2`, `timer-T4`
/// and `timer-T1X64` override them.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub struct Timers {
    /// Round-trip estimate, the first retransmission interval. 500 ms.
    pub t1: Duration,
    /// Longest retransmission interval of non-INVITE requests and INVITE responses. 4 s.
    pub t2: Duration,
    /// Longest time a message stays in the network. 5 s.
    pub t4: Duration,
    /// How long a transaction is tried: Timers B, D, F, H, J, L, M. 64·T1 = 32 s.
    pub t1x64: Duration,
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            t1: Duration::from_millis(500),
            t2: Duration::from_secs(4),
            t4: Duration::from_secs(5),
            t1x64: Duration::from_secs(32),
        }
    }
}

impl Timers {
    /// The same with no value below a millisecond, so that no configuration makes a timer fire without end.
    pub fn sane(self) -> Self {
        let ms = Duration::from_millis(1);
        Self { t1: self.t1.max(ms), t2: self.t2.max(ms), t4: self.t4.max(ms), t1x64: self.t1x64.max(ms) }
    }

    /// The next retransmission interval: doubled, up to T2.
    pub fn backed_off(&self, interval: Duration) -> Duration {
        (interval * 2).min(self.t2.max(self.t1))
    }
}

/// What can fall due in a transaction. The letters are RFC 3261's and RFC 6026's.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Hash)]
pub enum Timer {
    /// INVITE request retransmission, unreliable transports only.
    A,
    /// INVITE transaction timeout.
    B,
    /// Wait for retransmitted non-2xx responses to INVITE.
    D,
    /// Non-INVITE request retransmission.
    E,
    /// Non-INVITE transaction timeout.
    F,
    /// INVITE response retransmission.
    G,
    /// Wait for the ACK to a non-2xx.
    H,
    /// Wait for retransmitted ACKs.
    I,
    /// Wait for retransmitted non-INVITE requests.
    J,
    /// Wait for retransmitted non-INVITE responses.
    K,
    /// Wait for retransmitted INVITEs after a 2xx was sent (RFC 6026).
    L,
    /// Wait for retransmitted and forked 2xx after the first (RFC 6026).
    M,
    /// 100 Trying is due when the owner said nothing for 200 ms (RFC 3261 §17.2.1).
    Trying,
    /// A cancelled INVITE brought no final response for 64·T1 (RFC 3261 §9.1).
    Cancelled,
}

/// The running timers of one transaction: never more than two at once in any of the machines.
#[derive(Debug, Default)]
pub struct TimerTable([Option<(Timer, Instant)>; 2]);

impl TimerTable {
    /// Starts `timer`, or moves it when it already runs.
    pub fn set(&mut self, timer: Timer, at: Instant) {
        let running = self.0.iter().position(|slot| slot.is_some_and(|(t, _)| t == timer));
        let free = || self.0.iter().position(Option::is_none);
        debug_assert!(running.is_some() || free().is_some(), "a third timer {timer:?}: {:?}", self.0);
        if let Some(slot) = running.or_else(free).and_then(|i| self.0.get_mut(i)) {
            *slot = Some((timer, at));
        }
    }

    /// Whether `timer` runs.
    pub fn runs(&self, timer: Timer) -> bool {
        self.0.iter().flatten().any(|(t, _)| *t == timer)
    }

    /// Stops `timer` if it runs.
    pub fn stop(&mut self, timer: Timer) {
        for slot in &mut self.0 {
            if slot.is_some_and(|(t, _)| t == timer) {
                *slot = None;
            }
        }
    }

    /// Stops all.
    pub fn clear(&mut self) {
        self.0 = [None; 2];
    }

    /// When the next one falls due.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.0.iter().flatten().map(|(_, at)| *at).min()
    }

    /// Takes out the earliest timer that is due at `now`.
    pub fn expired(&mut self, now: Instant) -> Option<Timer> {
        let slot = self
            .0
            .iter_mut()
            .filter(|slot| slot.is_some_and(|(_, at)| at <= now))
            .min_by_key(|slot| slot.map(|(_, at)| at))?;
        slot.take().map(|(timer, _)| timer)
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_due_timer_comes_first() {
        let t0 = Instant::now();
        let ms = |n| t0 + Duration::from_millis(n);
        let mut table = TimerTable::default();
        assert_eq!(table.next_timeout(), None);
        table.set(Timer::B, ms(320));
        table.set(Timer::A, ms(5));
        assert_eq!(table.next_timeout(), Some(ms(5)));
        assert_eq!(table.expired(ms(4)), None);
        assert_eq!(table.expired(ms(5)), Some(Timer::A));
        table.set(Timer::A, ms(10));
        table.set(Timer::A, ms(20));
        assert_eq!(table.next_timeout(), Some(ms(20)));
        assert_eq!(table.expired(ms(999)), Some(Timer::A));
        assert_eq!(table.expired(ms(999)), Some(Timer::B));
        assert_eq!(table.expired(ms(999)), None);
        table.set(Timer::K, ms(1));
        table.stop(Timer::K);
        assert_eq!(table.next_timeout(), None);
    }

    #[test]
    fn intervals_double_up_to_t2() {
        let timers = Timers::default();
        let mut interval = timers.t1;
        let mut seen = Vec::new();
        for _ in 0..5 {
            interval = timers.backed_off(interval);
            seen.push(interval.as_millis());
        }
        assert_eq!(seen, [1000, 2000, 4000, 4000, 4000]);
    }
}
