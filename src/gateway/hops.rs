//! The addresses one request may go to (RFC 3263 §4.3).

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::sip::Destination;
use crate::transaction::{ClientId, Timers};

/// How many T1 an address may be silent while there are others.
const SILENCE: u32 = 8;

/// One address, and what it sees of us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    /// Where to send.
    pub to: Destination,
    /// Our address as it looks from there.
    pub ours: SocketAddr,
}

/// One request on its way.
#[derive(Debug, Default)]
pub(super) enum Task {
    /// There is none.
    #[default]
    Idle,
    /// Its addresses are being looked up.
    Resolving,
    /// It is out.
    Sent(Sent),
}

/// A request that is out.
#[derive(Debug)]
pub(super) struct Sent {
    pub id: ClientId,
    /// Which of the addresses it went to.
    pub hop: usize,
    /// When it went there.
    pub at: Instant,
    /// When the first of its kind went out.
    pub begun: Instant,
    /// How often it has been sent again because of what was answered.
    pub tries: u32,
    /// When this address has been silent for too long; none once it said something.
    pub silent: Option<Instant>,
    /// When it has failed whatever may come.
    pub ends: Instant,
}

impl Sent {
    pub fn new(
        now: Instant,
        id: ClientId,
        hop: usize,
        count: usize,
        limit: Duration,
        timers: &Timers,
    ) -> Sent {
        let mut sent = Sent { id, hop, at: now, begun: now, tries: 0, silent: None, ends: now + limit };
        sent.silent = (hop + 1 < count).then(|| now + SILENCE * timers.t1);
        sent
    }

    /// The same request at another address, or at the same one again.
    pub fn follow(self, before: &Sent) -> Sent {
        Sent { begun: before.begun, ends: before.ends, tries: before.tries, ..self }
    }
}

impl Task {
    /// The request with this number.
    pub fn sent(&self) -> Option<&Sent> {
        match self {
            Task::Sent(sent) => Some(sent),
            Task::Idle | Task::Resolving => None,
        }
    }

    pub fn is_idle(&self) -> bool {
        matches!(self, Task::Idle)
    }

    /// When something is due.
    pub fn next_timeout(&self) -> Option<Instant> {
        let sent = self.sent()?;
        Some(sent.silent.map_or(sent.ends, |silent| silent.min(sent.ends)))
    }
}
