//! The INVITE client transaction (RFC 3261 §17.1.1; RFC 6026 §7.2 and §8.4).
//!
//! ```text
//!           1xx            2xx                        2xx passed up each time
//! Calling ──────▶ Proceeding ─────▶ Accepted ─Timer M─▶ gone
//!    │ 300–699 → ACK   │ 300–699 → ACK
//!    └────────▶ Completed ◀──┘ ─Timer D─▶ gone        ACK again for each retransmission
//! ```

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{Step, Tell, Timer, TimerTable, Timers};
use crate::sip::{self, Limits, Message};

/// Our INVITE, which can be read, and what became of it. Owner builds the request, owner acknowledges a 2xx.
#[derive(Debug)]
pub struct InviteClient {
    state: State,
    timers: TimerTable,
    reliable: bool,
}

#[derive(Debug)]
enum State {
    /// Sent, nothing heard.
    Calling {
        request: Bytes,
        interval: Duration,
    },
    /// A provisional response came. Rings as long as the owner lets it.
    Proceeding {
        request: Bytes,
    },
    /// A 3xx–6xx came; its ACK is kept to be sent again.
    Completed {
        ack: Bytes,
    },
    /// A 2xx came; more may (retransmitted, or from other forks).
    Accepted,
    Terminated,
}

impl InviteClient {
    /// Sends the INVITE and starts Timer B, and Timer A on an unreliable transport.
    pub fn new(now: Instant, request: Bytes, reliable: bool, timers: &Timers) -> (Self, Step) {
        let mut running = TimerTable::default();
        running.set(Timer::B, now + timers.t1x64);
        if !reliable {
            running.set(Timer::A, now + timers.t1);
        }
        let step = Step::send(request.clone());
        let state = State::Calling { request, interval: timers.t1 };
        (Self { state, timers: running, reliable }, step)
    }

    /// A response with this transaction's key came in.
    pub fn receive(&mut self, now: Instant, response: &Message, timers: &Timers) -> Step {
        let status = response.status().unwrap_or(0);
        let (request, provisional) = match &self.state {
            State::Calling { request, .. } | State::Proceeding { request } => (request, status < 200),
            State::Completed { ack } if status >= 300 => return Step::send(ack.clone()),
            State::Accepted if (200..300).contains(&status) => return Step::tell(Tell::Message),
            State::Completed { .. } | State::Accepted | State::Terminated => return Step::NOTHING,
        };
        if provisional {
            if let State::Calling { request, .. } = &self.state {
                self.state = State::Proceeding { request: request.clone() };
                self.timers.stop(Timer::A);
                self.timers.stop(Timer::B);
            }
            return Step::tell(Tell::Message);
        }
        if status < 300 {
            self.timers.clear();
            self.timers.set(Timer::M, now + timers.t1x64);
            self.state = State::Accepted;
            return Step::tell(Tell::Message);
        }
        // Only now what we sent is read: most INVITEs are accepted, and their ACK is the owner's.
        let request = Message::parse(request.clone(), &Limits::default());
        let ack = request.ok().map(|request| sip::ack_for(&request, response));
        self.timers.clear();
        self.state = match &ack {
            Some(ack) if !self.reliable => {
                // Timer D: at least 32 s; with other base values as long as the server may retransmit (64·T1).
                self.timers.set(Timer::D, now + timers.t1x64);
                State::Completed { ack: ack.clone() }
            }
            _ => State::Terminated, // Timer D is zero
        };
        Step { send: ack, tell: Some(Tell::Message) }
    }

    /// The owner sends CANCEL for this INVITE: from now on it has 64·T1 to bring a final response (§9.1).
    pub fn cancelled(&mut self, now: Instant, timers: &Timers) {
        if self.is_pending() && !self.timers.runs(Timer::Cancelled) {
            self.timers.stop(Timer::B);
            self.timers.set(Timer::Cancelled, now + timers.t1x64);
        }
    }

    /// The message went over a stream after all: no more retransmissions.
    pub fn now_reliable(&mut self) {
        self.reliable = true;
        self.timers.stop(Timer::A);
    }

    /// The transport could not deliver the INVITE, or its ACK.
    pub fn transport_failed(&mut self) -> Step {
        let waiting = matches!(self.state, State::Calling { .. } | State::Proceeding { .. });
        // An ACK that was lost here: the peer retransmits its response and gets another (§17.1.1.2 has the
        // transaction die, but then nothing would answer that retransmission).
        if !waiting {
            return Step::NOTHING;
        }
        self.end();
        Step::tell(Tell::Unreachable)
    }

    /// True once a 2xx has come: what is left is to pass further ones on.
    pub fn is_accepted(&self) -> bool {
        matches!(self.state, State::Accepted)
    }

    /// Runs what is due.
    pub fn timeout(&mut self, now: Instant) -> Step {
        let mut step = Step::NOTHING;
        while let Some(timer) = self.timers.expired(now) {
            match (timer, &mut self.state) {
                (Timer::A, State::Calling { request, interval }) => {
                    *interval *= 2; // without T2 as a limit (§17.1.1.2)
                    self.timers.set(Timer::A, now + *interval);
                    step.send = Some(request.clone());
                }
                (Timer::B, State::Calling { .. })
                | (Timer::Cancelled, State::Calling { .. } | State::Proceeding { .. }) => {
                    self.end();
                    return Step::tell(Tell::TimedOut);
                }
                (Timer::D | Timer::M, _) => self.end(),
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

    /// The ACK to be sent again for each repetition of the refusal.
    pub fn ack(&self) -> Option<&Bytes> {
        match &self.state {
            State::Completed { ack } => Some(ack),
            _ => None,
        }
    }

    /// Waiting for a final response.
    pub fn is_pending(&self) -> bool {
        matches!(self.state, State::Calling { .. } | State::Proceeding { .. })
    }

    fn end(&mut self) {
        self.timers.clear();
        self.state = State::Terminated;
    }
}
