//! Requests that wait for their turn, and when their wait is over.
//!
//! A queue that is sometimes empty is a burst, and worth waiting for; one that never is grows old without end, and
//! whoever waits in it waits in vain. So the patience is long while the queue was empty, or the wait short, a short time ago,
//! and short when it was not (Nichols and Jacobson's CoDel, in the simple form that servers use). `now` is an argument.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::sip::Flow;

/// How long a queue may stand before it is more than a burst. Whoever waits that long still has its answer before
/// the half second after which it asks again.
const BURST: Duration = Duration::from_millis(200);
/// How long one may wait in a queue that is there to stay.
const STANDING: Duration = Duration::from_millis(20);
/// Who waits less than this shows that the queue is none that is there to stay.
const SHORT: Duration = Duration::from_millis(10);
/// How many may wait …
const MOST: usize = 4096;
/// … and how many bytes they may have together.
const ROOM: usize = 16 << 20;

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
    /// Bytes of all in it.
    held: usize,
    /// When it was last seen empty, or with only a short wait.
    empty: Instant,
}

impl Waiting {
    pub fn new(now: Instant) -> Self {
        Self { queue: VecDeque::new(), held: 0, empty: now }
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
        let room = self.queue.len() < MOST && self.held + raw.len() <= ROOM;
        if room {
            self.held += raw.len();
            self.queue.push_back(Late { raw: Bytes::copy_from_slice(raw), flow, since: now });
        }
        room
    }

    /// The one that has waited longest.
    pub fn next(&mut self) -> Option<Late> {
        let next = self.queue.pop_front()?;
        self.held -= next.raw.len();
        Some(next)
    }

    /// When the wait of the first one is over.
    pub fn due(&self) -> Option<Instant> {
        let first = self.queue.front()?;
        Some((first.since + STANDING).max(self.empty + BURST))
    }

    /// One that has waited too long.
    pub fn overdue(&mut self, now: Instant) -> Option<Late> {
        if self.queue.front()?.since + SHORT > now {
            self.empty = now;
        }
        if self.due()? > now {
            return None;
        }
        self.next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow() -> Flow {
        Flow::udp("192.0.2.1:5060".parse().unwrap(), "192.0.2.2:5060".parse().unwrap())
    }

    #[test]
    fn patience_is_long_in_a_burst_and_short_in_a_queue_that_stays() {
        let ms = Duration::from_millis;
        let start = Instant::now();
        let mut waiting = Waiting::new(start);
        assert_eq!(waiting.due(), None);
        // One each millisecond, and none is served.
        for n in 0..500 {
            assert!(waiting.push(start + ms(n), b"x", flow()));
        }
        assert!(waiting.overdue(start + ms(199)).is_none());
        let mut gone = 0;
        while waiting.overdue(start + ms(200)).is_some() {
            gone += 1;
        }
        assert_eq!(gone, 181, "all but those that came in the last 20 ms");
        // Served to the end, it is a burst again.
        while waiting.next().is_some() {}
        assert!(waiting.push(start + ms(600), b"x", flow()));
        assert!(waiting.overdue(start + ms(799)).is_none());
        assert!(waiting.overdue(start + ms(800)).is_some());
    }

    #[test]
    fn a_stall_is_a_burst_though_the_queue_was_never_empty() {
        let ms = Duration::from_millis;
        let start = Instant::now();
        let mut waiting = Waiting::new(start);
        // One each millisecond, served after five, for a second; then nothing is served for a tenth of one.
        for n in 0..1100 {
            assert!(waiting.push(start + ms(n), b"x", flow()));
            assert!(waiting.overdue(start + ms(n)).is_none(), "{n}");
            if (5..1000).contains(&n) {
                assert!(waiting.next().is_some() && !waiting.is_empty());
            }
        }
    }

    #[test]
    fn only_so_many_bytes_wait() {
        let now = Instant::now();
        let mut waiting = Waiting::new(now);
        let large = vec![b'x'; ROOM / 4];
        for _ in 0..2 {
            assert_eq!((0..5).filter(|_| waiting.push(now, &large, flow())).count(), 4);
            while waiting.next().is_some() {}
        }
    }

    #[test]
    fn only_so_many_wait() {
        let now = Instant::now();
        let mut waiting = Waiting::new(now);
        assert_eq!((0..MOST + 10).filter(|_| waiting.push(now, b"x", flow())).count(), MOST);
    }
}
