//! The bus: one bounded ring, any number of listeners, no one ever waited for.

use super::EventName;
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::broadcast;

/// How many events a slow listener may fall behind before it loses the oldest.
const RING: usize = 4096;

/// Header names and values, in the order they were added.
pub type Headers = Vec<(Cow<'static, str>, String)>;

/// Something that happened, with its headers in order.
#[derive(Clone, Debug)]
pub struct Event {
    /// What kind.
    pub name: EventName,
    /// Grows by one with every event of this process; a gap tells a listener what it lost.
    pub sequence: u64,
    /// Name and value, in the order they were added.
    pub headers: Headers,
}

impl Event {
    /// The first value of the header called `name`.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }
}

/// Where events are told.
#[derive(Debug)]
pub struct Bus {
    ring: broadcast::Sender<Arc<Event>>,
    sequence: AtomicU64,
}

impl Default for Bus {
    fn default() -> Self {
        Self { ring: broadcast::Sender::new(RING), sequence: AtomicU64::new(0) }
    }
}

impl Bus {
    /// Tells an event. `headers` runs only when somebody listens; the sequence grows all the same.
    pub fn fire(&self, name: EventName, headers: impl FnOnce() -> Headers) {
        let sequence = self.sequence.fetch_add(1, Ordering::Relaxed) + 1;
        if self.is_heard() {
            // Fails only when the last listener has just gone: nobody misses the event then.
            let _ = self.ring.send(Arc::new(Event { name, sequence, headers: headers() }));
        }
    }

    /// Whether anybody listens.
    pub fn is_heard(&self) -> bool {
        self.ring.receiver_count() > 0
    }

    /// A new listener; it hears what is fired from now on, and is told how many it lost when it lags.
    pub fn listen(&self) -> broadcast::Receiver<Arc<Event>> {
        self.ring.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_only_made_for_a_listener() {
        let bus = Bus::default();
        bus.fire(EventName::Dtmf, || unreachable!("nobody listens"));
        let mut ear = bus.listen();
        bus.fire(EventName::Dtmf, || vec![("DTMF-Digit".into(), "5".into())]);
        let heard = ear.try_recv().expect("one event");
        assert_eq!((heard.sequence, heard.header("dtmf-digit")), (2, Some("5")));
        assert!(ear.try_recv().is_err());
    }

    #[test]
    fn a_slow_listener_loses_the_oldest_and_sees_the_gap() {
        let bus = Bus::default();
        let mut ear = bus.listen();
        for _ in 0..RING + 10 {
            bus.fire(EventName::Dtmf, Vec::new);
        }
        assert!(matches!(ear.try_recv(), Err(broadcast::error::TryRecvError::Lagged(10))));
        assert_eq!(ear.try_recv().expect("the rest").sequence, 11);
    }
}
