//! The non-INVITE server transaction (RFC 3261 §17.2.2, RFC 4320).
//!
//! ```text
//!         1xx            200–699
//! Trying ─────▶ Proceeding ─────▶ Completed ─Timer J─▶ gone
//!    └──────────── 200–699 ──────────▲
//! ```

use std::time::Instant;

use bytes::Bytes;

use super::{Step, Timer, TimerTable, Timers};

/// A request of a peer other than INVITE and ACK, and our answer to it.
#[derive(Debug)]
pub struct Server {
    state: State,
    timers: TimerTable,
    reliable: bool,
}

#[derive(Debug)]
enum State {
    /// With the owner; retransmissions are absorbed.
    Trying,
    /// A provisional response went out; it answers retransmissions.
    Proceeding {
        last: Bytes,
    },
    /// The final response answers retransmissions until Timer J.
    Completed {
        last: Bytes,
    },
    Terminated,
}

impl Server {
    /// A new request, for the owner to answer. After 64·T1 its sender has given up (Timer F), and an answer
    /// would find nobody (RFC 4320 §4.2): Timer J runs from the start and ends an unanswered one too.
    pub fn new(now: Instant, reliable: bool, timers: &Timers) -> Self {
        let mut running = TimerTable::default();
        running.set(Timer::J, now + timers.t1x64);
        Self { state: State::Trying, timers: running, reliable }
    }

    /// The same request once more.
    pub fn retransmitted(&mut self) -> Step {
        match &self.state {
            State::Proceeding { last } | State::Completed { last } => Step::send(last.clone()),
            State::Trying | State::Terminated => Step::NOTHING,
        }
    }

    /// The owner answers. Anything after the final response goes nowhere.
    pub fn respond(&mut self, now: Instant, response: Bytes, status: u16, timers: &Timers) -> Step {
        match &self.state {
            State::Trying | State::Proceeding { .. } => {}
            State::Completed { .. } | State::Terminated => return Step::NOTHING,
        }
        if status < 200 {
            self.state = State::Proceeding { last: response.clone() };
        } else if self.reliable {
            self.end(); // Timer J is zero
        } else {
            self.timers.set(Timer::J, now + timers.t1x64);
            // A copy of its own size: what the response was written in is larger, and this one stays for 32 s.
            self.state = State::Completed { last: Bytes::copy_from_slice(&response) };
        }
        Step::send(response)
    }

    /// Our response cannot be delivered at all.
    pub fn transport_failed(&mut self) -> Step {
        self.end();
        Step::NOTHING
    }

    /// Runs what is due.
    pub fn timeout(&mut self, now: Instant) -> Step {
        if self.timers.expired(now).is_some() {
            self.end();
        }
        Step::NOTHING
    }

    /// When [`timeout`](Self::timeout) has something to do.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.timers.next_timeout()
    }

    /// Nothing more will happen.
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Terminated)
    }

    /// Waiting for the owner's final response.
    pub fn is_pending(&self) -> bool {
        matches!(self.state, State::Trying | State::Proceeding { .. })
    }

    /// Answered, and only kept for retransmissions.
    pub fn is_finished(&self) -> bool {
        matches!(self.state, State::Completed { .. })
    }

    /// The answer retransmissions get, once it is final.
    pub fn answer(&self) -> Option<&Bytes> {
        match &self.state {
            State::Completed { last } => Some(last),
            _ => None,
        }
    }

    fn end(&mut self) {
        self.timers.clear();
        self.state = State::Terminated;
    }
}
