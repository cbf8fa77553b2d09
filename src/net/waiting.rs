//! Requests that wait for their turn, and when their wait is over.
//!
//! A queue that is sometimes empty is a burst, and worth waiting for; one that never is grows old without end, and
//! whoever waits in it waits in vain. So the patience is long while the queue was empty a short time ago and short when
//! it was not (Nichols and Jacobson's CoDel, in the simple form that servers use). `now` is an argument.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::sip::Flow;

/// How long a request may wait in a burst: less than the half second after which it comes again. A burst is over when it
/// has lasted as long.
const BURST: Duration = Duration::from_millis(200);
/// How long one may wait in a queue that is there to stay.
const STANDING: Duration = Duration::from_millis(20);
/// How many may wait. Some megabytes.
const MOST: usize = 4096;

/// A request whose turn has not come.
#[derive(Debug)]
pub(super) struct Late {
    pub raw: Bytes,
    pub flow: Flow,
    since: Instant,
}

/// The queue.
pub(super) struct Waiting {
    queue: VecDeque<Late>,
    /// When it was last seen empty.
    empty: Instant,
}

impl Waiting {
    pub fn new(now: Instant) -> Self {
        Self { queue: VecDeque::new(), empty: now }
    }

    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Lets a request wait; false when there is no room.
    #[must_use]
    pub fn push(&mut self, now: Instant, raw: &[u8], flow: Flow) -> bool {
        if self.queue.is_empty() {
            self.empty = now;
        }
        let room = self.queue.len() < MOST;
        if room {
            self.queue.push_back(Late { raw: Bytes::copy_from_slice(raw), flow, since: now });
        }
        room
    }

    /// The one that has waited longest.
    pub fn next(&mut self) -> Option<Late> {
        self.queue.pop_front()
    }

    /// One that has waited too long.
    pub fn overdue(&mut self, now: Instant) -> Option<Late> {
        let burst = now.saturating_duration_since(self.empty) < BURST;
        let patience = if burst { BURST } else { STANDING };
        let first = self.queue.front()?;
        if now.saturating_duration_since(first.since) < patience {
            return None;
        }
        self.queue.pop_front()
    }
}
