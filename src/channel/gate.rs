//! How many calls may be, and how many may begin: `max-sessions`, `sessions-per-second`, drain.
//!
//! FreeSWITCH counts legs, refuses with `503 Maximum Calls In Progress` and `Retry-After: 300`
//! (`switch_core_session_request_uuid`, `sofia.c`).

use super::peaks::{Figures, Peaks};
use super::unacked::Unacked;
use crate::media::fd_limit;
use crate::net::Window;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Why a new leg is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Full {
    /// `max-sessions` legs are up.
    Sessions,
    /// `sessions-per-second` legs were begun within this second.
    Rate,
    /// The switch is going down.
    Draining,
    /// Too many answered calls wait for their ACK.
    Unacknowledged,
}

impl Full {
    /// What an operator reads; FreeSWITCH's words for the first two.
    pub fn text(self) -> &'static str {
        match self {
            Full::Sessions => "Over Session Limit!",
            Full::Rate => "Throttle Error!",
            Full::Draining => "shutting down, no new calls",
            Full::Unacknowledged => "too many answered calls wait for their ACK",
        }
    }

    /// Seconds after which the caller may try again.
    pub fn retry_after(self) -> u32 {
        match self {
            Full::Sessions | Full::Draining => 300,
            Full::Rate => 1,
            Full::Unacknowledged => 32,
        }
    }
}

/// The gate every new leg passes.
#[derive(Debug)]
pub struct Gate {
    max_sessions: AtomicU32,
    per_second: AtomicU32,
    draining: AtomicBool,
    second: Mutex<(Instant, u32)>,
    since_start: AtomicU64,
    refused: AtomicU64,
    /// When a new call may begin.
    pub window: Arc<Window>,
    /// Calls that wait for their ACK.
    pub unacked: Arc<Unacked>,
    peaks: Peaks,
}

impl Gate {
    /// A gate; 0 means no limit.
    pub fn new(max_sessions: u32, per_second: u32, now: Instant) -> Self {
        Self {
            max_sessions: max_sessions.into(),
            per_second: per_second.into(),
            draining: false.into(),
            second: Mutex::new((now, 0)),
            since_start: 0.into(),
            refused: 0.into(),
            window: Arc::default(),
            // Where the limit cannot be read it is taken to be that of a login shell.
            unacked: Arc::new(Unacked::new(fd_limit().unwrap_or(1024))),
            peaks: Peaks::new(now),
        }
    }

    /// New limits; calls in progress do not notice.
    pub fn set(&self, max_sessions: u32, per_second: u32) {
        self.max_sessions.store(max_sessions, Ordering::Relaxed);
        self.per_second.store(per_second, Ordering::Relaxed);
    }

    /// No new legs from now on.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// New legs again: the switch does not go down after all.
    pub fn reopen(&self) {
        self.draining.store(false, Ordering::Relaxed);
    }

    /// True when the switch is going down.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// True when `up` legs are all there may be.
    pub fn is_full(&self, up: usize) -> bool {
        let most = self.max_sessions.load(Ordering::Relaxed);
        most > 0 && up >= most as usize
    }

    /// Lets one more caller in, who is at `source`, and `known` when it has logged in.
    pub fn pass_caller(&self, source: IpAddr, known: bool, up: usize, now: Instant) -> Result<(), Full> {
        if self.unacked.is_full(source, known) {
            self.turned_away();
            return Err(Full::Unacknowledged);
        }
        self.pass(up, now)
    }

    /// Lets one more leg in beside the `up` that are.
    pub fn pass(&self, up: usize, now: Instant) -> Result<(), Full> {
        let refusal = self.refusal(up, now);
        match refusal {
            None => {
                self.peaks.note(u32::try_from(up + 1).unwrap_or(u32::MAX), now);
                self.since_start.fetch_add(1, Ordering::Relaxed)
            }
            Some(_) => self.refused.fetch_add(1, Ordering::Relaxed),
        };
        refusal.map_or(Ok(()), Err)
    }

    fn refusal(&self, up: usize, now: Instant) -> Option<Full> {
        if self.is_draining() {
            return Some(Full::Draining);
        }
        if self.is_full(up) {
            return Some(Full::Sessions);
        }
        let rate = self.per_second.load(Ordering::Relaxed);
        if rate > 0 {
            let mut second = self.second.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            if now.saturating_duration_since(second.0) >= Duration::from_secs(1) {
                *second = (now, 0);
            }
            if second.1 >= rate {
                return Some(Full::Rate);
            }
            second.1 += 1;
        }
        None
    }

    /// A request was turned away before anything was begun for it.
    pub fn turned_away(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// The most legs there were, and began in a second; `up` are now.
    pub fn figures(&self, up: usize, now: Instant) -> Figures {
        self.peaks.read(u32::try_from(up).unwrap_or(u32::MAX), now)
    }

    /// `max-sessions` and `sessions-per-second`; 0 is no limit.
    pub fn limits(&self) -> (u32, u32) {
        (self.max_sessions.load(Ordering::Relaxed), self.per_second.load(Ordering::Relaxed))
    }

    /// How many legs have been let in and how many refused since the start.
    pub fn counts(&self) -> (u64, u64) {
        (self.since_start.load(Ordering::Relaxed), self.refused.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_hold_and_zero_is_none() {
        let t = Instant::now();
        let gate = Gate::new(2, 3, t);
        assert_eq!(gate.pass(1, t), Ok(()));
        assert_eq!(gate.pass(2, t), Err(Full::Sessions));
        assert_eq!((gate.pass(0, t), gate.pass(0, t)), (Ok(()), Ok(())));
        assert_eq!(gate.pass(0, t), Err(Full::Rate));
        assert_eq!(gate.pass(0, t + Duration::from_secs(1)), Ok(()));
        gate.set(0, 0);
        assert_eq!(gate.pass(1_000_000, t), Ok(()));
        gate.drain();
        assert_eq!(gate.pass(0, t), Err(Full::Draining));
        assert_eq!(gate.counts(), (5, 3));
    }
}
