//! The non-INVITE client transaction (RFC 3261 §17.1.2).
//!
//! ```text
//!         1xx            200–699
//! Trying ─────▶ Proceeding ─────▶ Completed ─Timer K─▶ gone
//!    └──────────── 200–699 ──────────▲
//! ```

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{Step, Tell, Timer, TimerTable, Timers};

/// A request of ours other than INVITE and ACK.
#[derive(Debug)]
pub struct Client {
    state: State,
    timers: TimerTable,
    reliable: bool,
}

#[derive(Debug)]
enum State {
    /// Sent; nothing heard, or (`proceeding`) a provisional response.
    Waiting {
        request: Bytes,
        interval: Duration,
        proceeding: bool,
    },
    /// Answered; retransmitted responses are absorbed.
    Completed,
    Terminated,
}

impl Client {
    /// Sends the request and starts Timer F, and Timer E on an unreliable transport.
    pub fn new(now: Instant, request: Bytes, reliable: bool, timers: &Timers) -> (Self, Step) {
        let mut running = TimerTable::default();
        running.set(Timer::F, now + timers.t1x64);
        if !reliable {
            running.set(Timer::E, now + timers.t1);
        }
        let step = Step::send(request.clone());
        let state = State::Waiting { request, interval: timers.t1, proceeding: false };
        (Self { state, timers: running, reliable }, step)
    }

    /// A response with this transaction's key came in.
    pub fn receive(&mut self, now: Instant, status: u16, timers: &Timers) -> Step {
        let State::Waiting { proceeding, .. } = &mut self.state else { return Step::NOTHING };
        if status < 200 {
            *proceeding = true; // Timer E runs on, at T2 from its next firing (§17.1.2.2)
            return Step::tell(Tell::Message);
        }
        self.timers.clear();
        self.state = if self.reliable {
            State::Terminated // Timer K is zero
        } else {
            self.timers.set(Timer::K, now + timers.t4);
            State::Completed
        };
        Step::tell(Tell::Message)
    }

    /// The message went over a stream after all: no more retransmissions.
    pub fn now_reliable(&mut self) {
        self.reliable = true;
        self.timers.stop(Timer::E);
    }

    /// The transport could not deliver the request.
    pub fn transport_failed(&mut self) -> Step {
        if !self.is_pending() {
            return Step::NOTHING;
        }
        self.end();
        Step::tell(Tell::Unreachable)
    }

    /// Runs what is due.
    pub fn timeout(&mut self, now: Instant, timers: &Timers) -> Step {
        let mut step = Step::NOTHING;
        while let Some(timer) = self.timers.expired(now) {
            match (timer, &mut self.state) {
                (Timer::E, State::Waiting { request, interval, proceeding }) => {
                    *interval = if *proceeding { timers.t2 } else { timers.backed_off(*interval) };
                    self.timers.set(Timer::E, now + *interval);
                    step.send = Some(request.clone());
                }
                (Timer::F, State::Waiting { .. }) => {
                    self.end();
                    return Step::tell(Tell::TimedOut);
                }
                (Timer::K, _) => self.end(),
                _ => {}
            }
        }
        step
    }

    /// When [`timeout`](Self::timeout) has something to do.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.timers.next_timeout()
    }

    /// Nothing more will happen.
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Terminated)
    }

    /// Waiting for a final response.
    pub fn is_pending(&self) -> bool {
        matches!(self.state, State::Waiting { .. })
    }

    /// Answered, and only kept for retransmissions.
    pub fn is_finished(&self) -> bool {
        matches!(self.state, State::Completed)
    }

    fn end(&mut self) {
        self.timers.clear();
        self.state = State::Terminated;
    }
}
