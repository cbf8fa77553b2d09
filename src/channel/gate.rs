//! How many calls may be, and how many may begin: `max-sessions`, `sessions-per-second`, drain.
//!
//! FreeSWITCH counts legs, refuses with `503 Maximum Calls In Progress` and `Retry-After: 300`
//! (`switch_core_session_request_uuid`, `sofia.c`).
//!
//! A second leg is as good as the first: without it a call comes to nothing. So callers whom nobody knows, all together,
//! begin no more than three quarters of what a second allows, and those of one address no more than half: the rest is for
//! users, for peers and for the legs that calls lead to.

use super::leg::Direction;
use super::peaks::{Figures, Peaks};
use super::unacked::Unacked;
use crate::media::fd_limit;
use crate::net::{Window, source_key};
use std::collections::HashMap;
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
    /// Such legs are not to begin for now (`fsctl pause`).
    Paused,
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
            Full::Paused => "paused, no new calls",
            Full::Unacknowledged => "too many answered calls wait for their ACK",
        }
    }

    /// Seconds after which the caller may try again.
    pub fn retry_after(self) -> u32 {
        match self {
            Full::Sessions | Full::Draining | Full::Paused => 300,
            Full::Rate => 1,
            Full::Unacknowledged => 32,
        }
    }
}

/// What was begun in this second.
#[derive(Debug)]
struct Second {
    since: Instant,
    passed: u32,
    /// Callers nobody knows, by address.
    strangers: HashMap<IpAddr, u32>,
}

impl Second {
    /// One more, if `rate` in a second allows it.
    fn take(&mut self, rate: u32, stranger: Option<IpAddr>, now: Instant) -> bool {
        if now.saturating_duration_since(self.since) >= Duration::from_secs(1) {
            *self = Second { since: now, passed: 0, strangers: HashMap::new() };
        }
        let Some(source) = stranger else {
            let free = self.passed < rate;
            self.passed += u32::from(free);
            return free;
        };
        let own = self.strangers.entry(source_key(source)).or_default();
        let free = self.passed < rate - rate / 4 && *own < rate.div_ceil(2);
        *own += u32::from(free);
        self.passed += u32::from(free);
        free
    }
}

/// The gate every new leg passes.
#[derive(Debug)]
pub struct Gate {
    max_sessions: AtomicU32,
    per_second: AtomicU32,
    draining: AtomicBool,
    /// No new legs that come in, and that go out.
    paused: [AtomicBool; 2],
    second: Mutex<Second>,
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
            paused: Default::default(),
            second: Mutex::new(Second { since: now, passed: 0, strangers: HashMap::new() }),
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

    fn pause_of(&self, side: Direction) -> &AtomicBool {
        let [inbound, outbound] = &self.paused;
        if side == Direction::Inbound { inbound } else { outbound }
    }

    /// No new legs that come in (or go out) from now on, or such legs again.
    pub fn pause(&self, side: Direction, paused: bool) {
        self.pause_of(side).store(paused, Ordering::Relaxed);
    }

    /// True while such legs do not begin.
    pub fn is_paused(&self, side: Direction) -> bool {
        self.pause_of(side).load(Ordering::Relaxed)
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
        self.let_in(Direction::Inbound, up, (!known).then_some(source), now)
    }

    /// Lets one more leg out beside the `up` that are.
    pub fn pass(&self, up: usize, now: Instant) -> Result<(), Full> {
        self.let_in(Direction::Outbound, up, None, now)
    }

    fn let_in(&self, side: Direction, up: usize, stranger: Option<IpAddr>, now: Instant) -> Result<(), Full> {
        let paused = self.is_paused(side).then_some(Full::Paused);
        let refusal = paused.or_else(|| self.refusal(up, stranger, now));
        match refusal {
            None => {
                self.peaks.note(u32::try_from(up + 1).unwrap_or(u32::MAX), now);
                self.since_start.fetch_add(1, Ordering::Relaxed)
            }
            Some(_) => self.refused.fetch_add(1, Ordering::Relaxed),
        };
        refusal.map_or(Ok(()), Err)
    }

    fn refusal(&self, up: usize, stranger: Option<IpAddr>, now: Instant) -> Option<Full> {
        if self.is_draining() {
            return Some(Full::Draining);
        }
        if self.is_full(up) {
            return Some(Full::Sessions);
        }
        let rate = self.per_second.load(Ordering::Relaxed);
        if rate == 0 {
            return None;
        }
        let mut second = self.second.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        (!second.take(rate, stranger, now)).then_some(Full::Rate)
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
    fn strangers_leave_something_to_others() {
        let t = Instant::now();
        let gate = Gate::new(0, 30, t);
        let ip = |n: u8| IpAddr::from([192, 0, 2, n]);
        let let_in = |n: u8, known| (0..100).filter(|_| gate.pass_caller(ip(n), known, 0, t).is_ok()).count();
        assert_eq!(let_in(1, false), 15, "one stranger: half");
        assert_eq!(let_in(2, false), 8, "another: what is left of three quarters");
        assert_eq!(let_in(3, false), 0);
        assert_eq!(let_in(4, true), 7, "the last quarter is for those who are known, and for second legs");
        assert_eq!(gate.pass(0, t), Err(Full::Rate));
        let later = t + Duration::from_secs(1);
        assert_eq!(gate.pass_caller(ip(3), false, 0, later), Ok(()));
        assert_eq!(
            (0..100).filter(|_| gate.pass(0, later).is_ok()).count(),
            29,
            "who is known may have it all"
        );
    }

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
