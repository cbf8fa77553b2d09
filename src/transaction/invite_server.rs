//! The INVITE server transaction (RFC 3261 §17.2.1; RFC 6026 §7.1 and §8.5).
//!
//! ```text
//!             2xx
//! Proceeding ─────▶ Accepted ─Timer L─▶ gone           each 2xx the owner sends goes out; ACKs go up to it
//!      │ 300–699               ACK
//!      └───────▶ Completed ─────────▶ Confirmed ─Timer I─▶ gone
//!                    └─Timer H─▶ gone, NoAck
//! ```

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{Step, Tell, Timer, TimerTable, Timers};
use crate::sip::{Builder, Flow, Message};

/// How long the owner may think before 100 Trying goes out by itself (§17.2.1).
const TRYING_AFTER: Duration = Duration::from_millis(200);

/// An INVITE of a peer and our answers to it.
#[derive(Debug)]
pub struct InviteServer {
    state: State,
    timers: TimerTable,
    reliable: bool,
}

#[derive(Debug)]
enum State {
    /// The owner has said nothing yet. The request is kept for the 100 Trying.
    Fresh(Box<(Message, Flow)>),
    /// A provisional response went out; it answers retransmissions.
    Proceeding {
        last: Bytes,
    },
    /// A 3xx–6xx went out and is retransmitted until ACK.
    Completed {
        last: Bytes,
        interval: Duration,
    },
    /// The ACK came; its retransmissions are absorbed.
    Confirmed,
    /// A 2xx went out; the owner retransmits it (§13.3.1.4).
    Accepted,
    Terminated,
}

impl InviteServer {
    /// A new INVITE, for the owner to answer.
    pub fn new(now: Instant, request: Message, flow: Flow) -> Self {
        let mut timers = TimerTable::default();
        timers.set(Timer::Trying, now + TRYING_AFTER);
        let reliable = flow.transport.is_reliable();
        Self { state: State::Fresh(Box::new((request, flow))), timers, reliable }
    }

    /// The same INVITE once more.
    pub fn retransmitted(&mut self) -> Step {
        match &self.state {
            State::Proceeding { last } | State::Completed { last, .. } => Step::send(last.clone()),
            State::Fresh(_) | State::Confirmed | State::Accepted | State::Terminated => Step::NOTHING,
        }
    }

    /// An ACK with this transaction's key.
    pub fn acknowledged(&mut self, now: Instant, timers: &Timers) -> Step {
        match &self.state {
            State::Completed { .. } => {
                self.timers.clear();
                self.state = if self.reliable {
                    State::Terminated // Timer I is zero
                } else {
                    self.timers.set(Timer::I, now + timers.t4);
                    State::Confirmed
                };
                Step::NOTHING
            }
            // A peer without branches acknowledges a 2xx under the INVITE's own key.
            State::Accepted => Step::tell(Tell::Message),
            State::Fresh(_) | State::Proceeding { .. } | State::Confirmed | State::Terminated => {
                Step::NOTHING
            }
        }
    }

    /// The owner answers. A second final response, and a provisional one after the final, go nowhere.
    pub fn respond(&mut self, now: Instant, response: Bytes, status: u16, timers: &Timers) -> Step {
        match &self.state {
            State::Fresh(_) | State::Proceeding { .. } => {}
            State::Accepted if (200..300).contains(&status) => return Step::send(response),
            State::Completed { .. } | State::Confirmed | State::Accepted | State::Terminated => {
                return Step::NOTHING;
            }
        }
        self.timers.clear();
        self.state = match status {
            0..200 => State::Proceeding { last: response.clone() },
            200..300 => {
                self.timers.set(Timer::L, now + timers.t1x64);
                State::Accepted
            }
            _ => {
                self.timers.set(Timer::H, now + timers.t1x64);
                if !self.reliable {
                    self.timers.set(Timer::G, now + timers.t1);
                }
                State::Completed { last: response.clone(), interval: timers.t1 }
            }
        };
        Step::send(response)
    }

    /// True once a 2xx has gone out: what is left is to absorb retransmissions.
    pub fn is_accepted(&self) -> bool {
        matches!(self.state, State::Accepted)
    }

    /// The last response, to be sent another way after its connection failed.
    pub fn last_response(&self) -> Option<Bytes> {
        match &self.state {
            State::Proceeding { last } | State::Completed { last, .. } => Some(last.clone()),
            _ => None,
        }
    }

    /// Our response cannot be delivered at all. Ends the wait for its ACK; before the final response, and after
    /// a 2xx, the owner goes on: the caller may come back (§17.2.4 as RFC 6026 §8.8 has it).
    pub fn transport_failed(&mut self) -> Step {
        if let State::Completed { .. } = self.state {
            self.end();
            return Step::tell(Tell::NoAck);
        }
        Step::NOTHING
    }

    /// Runs what is due.
    pub fn timeout(&mut self, now: Instant, timers: &Timers) -> Step {
        let mut step = Step::NOTHING;
        while let Some(timer) = self.timers.expired(now) {
            match (timer, &mut self.state) {
                (Timer::Trying, State::Fresh(fresh)) => {
                    let (request, flow) = &**fresh;
                    let trying = Builder::response(request, flow, 100, "Trying").finish();
                    step.send = Some(trying.clone());
                    self.state = State::Proceeding { last: trying };
                }
                (Timer::G, State::Completed { last, interval }) => {
                    *interval = timers.backed_off(*interval);
                    self.timers.set(Timer::G, now + *interval);
                    step.send = Some(last.clone());
                }
                (Timer::H, State::Completed { .. }) => {
                    self.end();
                    return Step::tell(Tell::NoAck);
                }
                (Timer::I | Timer::L, _) => self.end(),
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

    /// Nothing goes out by itself any more, and repetitions are absorbed.
    pub fn is_settled(&self) -> bool {
        matches!(self.state, State::Confirmed | State::Accepted | State::Terminated)
    }

    /// Waiting for the owner's final response.
    pub fn is_pending(&self) -> bool {
        matches!(self.state, State::Fresh(_) | State::Proceeding { .. })
    }

    fn end(&mut self) {
        self.timers.clear();
        self.state = State::Terminated;
    }
}
