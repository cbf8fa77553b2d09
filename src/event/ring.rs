//! What was told and is kept: a row of events, bounded in number and in bytes, each at a place that is never given again.
//!
//! There are two of them. Who tells puts an event into the first, the tray, and holds its lock for a moment; who listens
//! moves what lies there into the second, the ring, and reads there. So nobody who tells waits for a listener, whose thread
//! may have little weight and be stopped at any point.

use super::value::Event;
use std::collections::VecDeque;
use std::collections::vec_deque::Iter;
use std::sync::Arc;

/// The most events in a row.
pub(super) const MOST_EVENTS: usize = 65_536;
/// The most bytes its events may hold, before anybody has them written out.
pub(super) const MOST_BYTES: usize = 32 << 20;

/// Events in their order.
#[derive(Debug, Default)]
pub(super) struct Row {
    events: VecDeque<Arc<Event>>,
    bytes: usize,
    /// How many have left it: the place of its first one.
    left: u64,
}

impl Row {
    /// The place of its first event.
    pub fn first(&self) -> u64 {
        self.left
    }

    /// The place of the event that comes next.
    pub fn next(&self) -> u64 {
        self.left + self.events.len() as u64
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    #[cfg(test)]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The events from `place` on.
    pub fn from(&self, place: u64) -> Iter<'_, Arc<Event>> {
        let at = usize::try_from(place.saturating_sub(self.left)).unwrap_or(usize::MAX);
        self.events.range(at.min(self.events.len())..)
    }

    /// The place of the first event that has this sequence or a later one.
    pub fn place_of(&self, sequence: u64) -> u64 {
        self.left + self.events.partition_point(|event| event.sequence < sequence) as u64
    }

    /// Puts one behind the others; the oldest leave when there is no room.
    pub fn push(&mut self, event: Arc<Event>) {
        self.bytes += event.weight();
        self.events.push_back(event);
        while self.events.len() > MOST_EVENTS || self.bytes > MOST_BYTES {
            let Some(oldest) = self.events.pop_front() else { break };
            self.bytes = self.bytes.saturating_sub(oldest.weight());
            self.left += 1;
        }
    }

    /// Forgets all; their places stay taken.
    pub fn clear(&mut self) {
        self.left = self.next();
        self.events = VecDeque::new();
        self.bytes = 0;
    }

    /// Takes all out, to be put into another row by [`Row::append`].
    pub fn take(&mut self) -> Row {
        let next = self.next();
        std::mem::replace(self, Row { left: next, ..Row::default() })
    }

    /// Puts what was in `tray` behind the others. What had left the tray before leaves a hole: what is older goes.
    pub fn append(&mut self, tray: Row) {
        if tray.left > self.next() {
            self.clear();
            self.left = tray.left;
        }
        for mut event in tray.events {
            if let Some(event) = Arc::get_mut(&mut event) {
                event.settle();
            }
            self.push(event);
        }
    }
}
