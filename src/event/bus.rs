//! The bus: one ring of what was heard, read by any number of ears at their own pace, no one ever waited for.
//!
//! The ring is the queue of every listener at once, and the memory of what may be replayed. It is bounded in events and in
//! bytes; an ear that falls behind loses the oldest and is told how many. An event goes into the ring only when some ear
//! wants its name, or wanted it within the last minute: a client that comes back finds what it missed
//! ([`Ear::replay`]).

use super::host::{Calendar, Host};
use super::lines::Lines;
use super::names::{EventName, Names};
use super::ring::Row;
use super::value::{Event, Headers, SUBCLASS};
use std::panic::Location;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// With so many in the tray, who tells moves them into the ring, unless a listener is there.
const TRAY: usize = 1024;
/// How long events are kept for a listener that has gone and may come back.
const REMEMBER: Duration = Duration::from_secs(60);
/// Room for what a leg tells: headers, and bytes of them.
const ROOM: (usize, usize) = (192, 6 << 10);

/// Where events are told.
#[derive(Debug)]
pub struct Bus {
    /// What every event says of the machine.
    pub host: Host,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// The names that somebody wants, as [`Names::halves`].
    wanted: [AtomicU64; 2],
    sequence: AtomicU64,
    calendar: Calendar,
    /// What was told since somebody looked.
    tray: Mutex<Row>,
    /// There is something in the tray.
    fresh: AtomicBool,
    /// Locked before the tray by who waits for both.
    ring: Mutex<Ring>,
    bell: Notify,
    /// The bell was rung and nobody has looked yet.
    rung: AtomicBool,
}

#[derive(Debug, Default)]
struct Ring {
    row: Row,
    /// What each ear wants, by its number.
    ears: Vec<(u64, Names)>,
    next_ear: u64,
    /// What those wanted who have gone, and until when it is kept for them.
    gone: Vec<(Instant, Names)>,
}

impl Default for Bus {
    fn default() -> Self {
        Bus::new(Host::default())
    }
}

impl Bus {
    /// A bus of that switch.
    pub fn new(host: Host) -> Bus {
        Bus { host, shared: Arc::default() }
    }

    /// Tells an event. `headers` runs only when somebody wants such events; the sequence grows all the same.
    #[track_caller]
    pub fn fire(&self, name: EventName, headers: impl FnOnce() -> Headers) {
        self.fire_with(name, || (headers(), None));
    }

    /// The same with a body.
    #[track_caller]
    pub fn fire_with(&self, name: EventName, made: impl FnOnce() -> (Headers, Option<String>)) {
        self.tell(name, |lines| {
            let (headers, body) = made();
            lines.extend(headers);
            body
        });
    }

    /// Tells an event whose headers are written where they stay; what `write` returns is its body.
    #[track_caller]
    pub fn tell(&self, name: EventName, write: impl FnOnce(&mut Lines) -> Option<String>) {
        if !self.is_wanted(name) {
            self.shared.sequence.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let mut lines = Lines::with_room(ROOM.0, ROOM.1);
        let place = self.general(name, Location::caller(), &mut lines);
        let subclass = name.subclass();
        if !subclass.is_empty() {
            lines.add(SUBCLASS, subclass);
        }
        let body = write(&mut lines);
        self.shared.post(Event::new(name, lines, place, body));
    }

    /// Tells an event that a client has made: its own headers come first.
    #[track_caller]
    pub fn relay(&self, name: EventName, headers: impl Into<Lines>, body: Option<String>) {
        let mut lines = headers.into();
        let place = self.general(name, Location::caller(), &mut lines);
        self.shared.post(Event::new(name, lines, place, body));
    }

    /// An event that is told to one alone who asked for it. It has the number of the last one that was told to all, since a
    /// number that others do not see would be a loss to them.
    #[track_caller]
    pub fn answer(&self, name: EventName, more: impl Into<Lines>) -> Event {
        self.answer_at(self.sequence(), name, more)
    }

    /// The same with a number of one's choice.
    #[track_caller]
    pub fn answer_at(&self, sequence: u64, name: EventName, more: impl Into<Lines>) -> Event {
        let mut lines = Lines::with_room(ROOM.0, ROOM.1);
        let place = self.general(name, Location::caller(), &mut lines);
        lines.extend(more.into().iter());
        let mut event = Event::new(name, lines, place, None);
        event.sequence = sequence;
        event.settle();
        event
    }

    /// The headers every event has; the place of its number, which it gets when it finds its place in the row.
    fn general(&self, name: EventName, told: &Location<'_>, lines: &mut Lines) -> usize {
        let host = &self.host;
        let file = told.file();
        let stem = file.rsplit('/').next().unwrap_or(file);
        lines.add("Event-Name", name.as_str());
        lines.add("Core-UUID", &host.core_uuid);
        lines.add("FreeSWITCH-Hostname", &host.hostname);
        lines.add("FreeSWITCH-Switchname", &host.switchname);
        lines.add("FreeSWITCH-IPv4", &host.ipv4);
        lines.add("FreeSWITCH-IPv6", &host.ipv6);
        self.shared.calendar.write(lines);
        lines.add("Event-Calling-File", stem);
        lines.add("Event-Calling-Function", stem.trim_end_matches(".rs"));
        lines.print("Event-Calling-Line-Number", told.line());
        lines.add_number("Event-Sequence")
    }

    /// Whether anybody wants events of that name.
    pub fn is_wanted(&self, name: EventName) -> bool {
        let (word, bit) = name.bit();
        self.shared.wanted.get(word).is_some_and(|word| word.load(Ordering::Relaxed) & bit != 0)
    }

    /// Whether anybody wants any event.
    pub fn is_heard(&self) -> bool {
        self.shared.wanted.iter().any(|word| word.load(Ordering::Relaxed) != 0)
    }

    /// A new listener to everything; it hears what is fired from now on, and is told how many it lost when it lags.
    pub fn listen(&self) -> Ear {
        self.listen_for(Names::ALL)
    }

    /// A new listener to these.
    pub fn listen_for(&self, names: Names) -> Ear {
        let mut ring = self.shared.up_to_date();
        let number = ring.next_ear;
        ring.next_ear += 1;
        ring.ears.push((number, names));
        let next = ring.row.next();
        self.shared.want(&mut ring);
        drop(ring);
        Ear { shared: self.shared.clone(), number, next, names, remembered: false }
    }

    /// The number the last event was given.
    pub fn sequence(&self) -> u64 {
        self.shared.sequence.load(Ordering::Relaxed)
    }

    /// Waits until something has been told since the last time. For one waiter alone, who wakes the ears.
    pub async fn rung(&self) {
        self.shared.bell.notified().await;
        self.shared.rung.store(false, Ordering::Release);
    }

    /// Forgets what is kept for listeners that have not come back in a minute. To be called now and then.
    pub fn tidy(&self) {
        let mut ring = self.shared.ring();
        if !ring.gone.is_empty() {
            self.shared.want(&mut ring);
        }
    }
}

impl Shared {
    /// A poisoned ring is still whole: no code that can panic runs under the lock.
    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tray(&self) -> MutexGuard<'_, Row> {
        self.tray.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an event behind those before it, and rings.
    fn post(&self, event: Event) {
        let mut event = Arc::new(event);
        // The number is taken under the lock: the row is in its order.
        let mut tray = self.tray();
        let sequence = self.sequence.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some(event) = Arc::get_mut(&mut event) {
            event.sequence = sequence;
        }
        tray.push(event);
        self.fresh.store(true, Ordering::Release);
        let ring = if tray.len() < TRAY { None } else { self.ring.try_lock().ok() };
        let full = ring.map(|ring| (ring, self.empty(&mut tray)));
        drop(tray);
        if let Some((mut ring, tray)) = full {
            ring.row.append(tray);
        }
        if !self.rung.swap(true, Ordering::AcqRel) {
            self.bell.notify_one();
        }
    }

    fn empty(&self, tray: &mut Row) -> Row {
        self.fresh.store(false, Ordering::Release);
        tray.take()
    }

    /// The ring with all in it that was told.
    fn up_to_date(&self) -> MutexGuard<'_, Ring> {
        let mut ring = self.ring();
        if self.fresh.load(Ordering::Acquire) {
            let tray = self.empty(&mut self.tray());
            ring.row.append(tray);
        }
        ring
    }

    /// Notes what all ears together want.
    fn want(&self, ring: &mut Ring) {
        let now = Instant::now();
        ring.gone.retain(|(until, _)| *until > now);
        let all = ring.ears.iter().map(|(_, n)| n).chain(ring.gone.iter().map(|(_, n)| n));
        let all = all.fold(Names::NONE, |all, names| all.with(*names));
        for (word, half) in self.wanted.iter().zip(all.halves()) {
            word.store(half, Ordering::Relaxed);
        }
        if all.is_empty() {
            let tray = self.empty(&mut self.tray());
            ring.row.append(tray);
            ring.row.clear();
        }
    }
}

/// Why an ear has nothing to hear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quiet {
    /// Nothing new was told.
    Empty,
    /// Events have left the ring unheard; what comes after them is still there.
    Lagged {
        /// How many.
        lost: u64,
        /// The number of the last of them.
        until: u64,
    },
}

/// A listener. It hears every event that anybody wants, in order, and picks what it wants itself.
#[derive(Debug)]
pub struct Ear {
    shared: Arc<Shared>,
    number: u64,
    /// The number of the event it hears next.
    next: u64,
    names: Names,
    /// What it wanted is kept a while when it goes.
    remembered: bool,
}

impl Ear {
    /// From now on it wants these.
    pub fn want(&mut self, names: Names) {
        if names == self.names {
            return;
        }
        self.names = names;
        let mut ring = self.shared.ring();
        if let Some((_, held)) = ring.ears.iter_mut().find(|(number, _)| *number == self.number) {
            *held = names;
        }
        self.shared.want(&mut ring);
    }

    /// What it wants.
    pub fn wants(&self) -> Names {
        self.names
    }

    /// When it goes, what it wanted is kept for a minute, for its next life.
    pub fn be_remembered(&mut self) {
        self.remembered = true;
    }

    /// Goes back to the first event whose sequence is `sequence` or more; how many events before that are lost.
    pub fn replay(&mut self, sequence: u64) -> Option<u64> {
        let ring = self.shared.up_to_date();
        self.next = ring.row.place_of(sequence);
        let first = ring.row.from(0).next().map(|event| event.sequence)?;
        first.checked_sub(sequence).filter(|lost| *lost > 0)
    }

    /// The next event it wants.
    pub fn try_recv(&mut self) -> Result<Arc<Event>, Quiet> {
        let mut one = Vec::new();
        self.take(&mut one, 1)?;
        one.pop().ok_or(Quiet::Empty)
    }

    /// Adds the next events it wants to `batch`, up to `most` of them; at least one unless it says why not.
    pub fn take(&mut self, batch: &mut Vec<Arc<Event>>, most: usize) -> Result<(), Quiet> {
        let ring = self.shared.up_to_date();
        let first = ring.row.first();
        if self.next < first {
            let lost = first - self.next;
            self.next = first;
            let next = ring.row.from(first).next().map(|event| event.sequence - 1);
            let until = next.unwrap_or_else(|| self.shared.sequence.load(Ordering::Relaxed));
            return Err(Quiet::Lagged { lost, until });
        }
        let before = batch.len();
        for event in ring.row.from(self.next) {
            if batch.len() - before >= most {
                break;
            }
            self.next += 1;
            if self.names.has(event.name) {
                batch.push(event.clone());
            }
        }
        if batch.len() > before { Ok(()) } else { Err(Quiet::Empty) }
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        let mut ring = self.shared.ring();
        ring.ears.retain(|(number, _)| *number != self.number);
        if self.remembered && !self.names.is_empty() {
            ring.gone.push((Instant::now() + REMEMBER, self.names));
            // Those who come and go all the time are remembered no longer than that.
            let most = 64;
            let over = ring.gone.len().saturating_sub(most);
            let merged = ring.gone.drain(..over).fold(Names::NONE, |all, (_, names)| all.with(names));
            if let Some((_, names)) = ring.gone.first_mut() {
                *names = names.with(merged);
            }
        }
        self.shared.want(&mut ring);
    }
}

#[cfg(test)]
mod tests {
    use super::super::ring::{MOST_BYTES, MOST_EVENTS};
    use super::*;

    #[test]
    fn headers_are_only_made_for_a_listener() {
        let bus = Bus::default();
        bus.fire(EventName::Dtmf, || unreachable!("nobody listens"));
        let mut ear = bus.listen();
        bus.fire(EventName::Dtmf, || vec![("DTMF-Digit".into(), "5".into())]);
        let heard = ear.try_recv().expect("one event");
        assert_eq!((heard.sequence, heard.header("dtmf-digit")), (2, Some("5")));
        assert_eq!(heard.header("Event-Sequence"), Some("2"));
        assert_eq!(heard.header("Event-Calling-File"), Some("bus.rs"));
        assert!(ear.try_recv().is_err());
        ear.want(Names::NONE);
        bus.fire(EventName::Dtmf, || unreachable!("nobody wants it"));
    }

    #[test]
    fn a_slow_listener_loses_the_oldest_and_sees_the_gap() {
        let bus = Bus::default();
        let mut ear = bus.listen();
        for _ in 0..MOST_EVENTS + 10 {
            bus.fire(EventName::Dtmf, Vec::new);
        }
        let Err(Quiet::Lagged { lost, until }) = ear.try_recv() else { panic!("it has lost some") };
        assert!(lost >= 10 && until == lost);
        assert_eq!(ear.try_recv().expect("the rest").sequence, lost + 1);
    }

    #[test]
    fn losses_add_up_however_much_is_told_meanwhile() {
        let bus = Bus::default();
        let mut ear = bus.listen();
        let mut before = 0;
        for round in 0..5 {
            (0..=MOST_EVENTS + round * 7).for_each(|_| bus.fire(EventName::Dtmf, Vec::new));
            let Err(Quiet::Lagged { lost, until }) = ear.try_recv() else { panic!("it has lost some") };
            assert_eq!(before + lost, until);
            before = until;
        }
        assert_eq!(ear.try_recv().expect("the rest").sequence, before + 1);
    }

    #[test]
    fn the_ring_is_bounded_in_bytes() {
        let bus = Bus::default();
        let mut ear = bus.listen();
        let large = "x".repeat(1 << 20);
        for _ in 0..100 {
            bus.fire(EventName::Dtmf, || vec![("A".into(), large.clone())]);
        }
        assert!(matches!(ear.try_recv(), Err(Quiet::Lagged { lost, .. }) if lost > 60));
        assert!(bus.shared.ring().row.bytes() <= MOST_BYTES);
    }

    #[test]
    fn who_comes_back_finds_what_it_missed() {
        let bus = Bus::default();
        let mut only = Names::NONE;
        only.add(EventName::Dtmf);
        let mut ear = bus.listen_for(only);
        ear.be_remembered();
        bus.fire(EventName::Dtmf, Vec::new);
        let last = ear.try_recv().expect("one").sequence;
        drop(ear);
        bus.fire(EventName::Heartbeat, || unreachable!("nobody wanted it"));
        bus.fire(EventName::Dtmf, Vec::new);
        bus.fire(EventName::Dtmf, Vec::new);
        let mut ear = bus.listen_for(only);
        assert_eq!(ear.try_recv().unwrap_err(), Quiet::Empty, "it begins with what is new");
        assert_eq!(ear.replay(last + 1), None);
        let heard: Vec<u64> = std::iter::from_fn(|| ear.try_recv().ok()).map(|e| e.sequence).collect();
        assert_eq!(heard, [3, 4]);
        assert_eq!(ear.replay(0), Some(1), "what was before the ring began is lost");
    }

    #[test]
    fn many_threads_make_one_order() {
        let bus = Bus::default();
        let mut ear = bus.listen();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..500).for_each(|_| bus.fire(EventName::Dtmf, Vec::new)));
            }
        });
        let heard: Vec<u64> = std::iter::from_fn(|| ear.try_recv().ok()).map(|e| e.sequence).collect();
        assert_eq!(heard, (1..=2000).collect::<Vec<_>>());
    }

    #[test]
    fn a_clients_own_headers_come_first() {
        let bus = Bus::default();
        let mut ear = bus.listen();
        let own: Headers = vec![(SUBCLASS.into(), "my::own".into())];
        bus.relay(EventName::Custom(""), own, Some("x".into()));
        let event = ear.try_recv().expect("one");
        assert_eq!(
            (event.subclass(), event.headers.iter().nth(1).map_or("", |(name, _)| name)),
            ("my::own", "Event-Name")
        );
        let text = event.text(super::super::Format::Plain);
        assert!(text.ends_with("Event-Sequence: 1\nContent-Length: 1\n\nx"), "{text}");
    }
}
