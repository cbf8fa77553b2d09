//! The engine: its threads, and which streams there are and how they are joined.
//!
//! A handle never talks to its thread directly. It writes what it wants into the part of the stream that both share and
//! puts the stream's number into the thread's inbox, once, until the thread has looked. So nothing can pile up: the
//! latest wish counts, and an inbox holds at most a note per stream.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::inbox::{Inbox, Note};
use super::line::Line;
use super::payload::{Format, PayloadMap};
use super::ports::{OpenError, PortRange, Ports};
use super::shared::{ByStream, Errand, Forward, Shared, StreamId, Wishes};
use super::shelf;
use super::stats::Stats;
use super::stream::Stream;
use super::worker::Worker;

/// What a media thread tells the owner of a stream.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum MediaEvent {
    /// The first packet of the peer: its source is latched. Told again when signalling unlatched it.
    Started {
        /// Where it comes from.
        from: SocketAddr,
    },
    /// The peer's packets come from elsewhere now.
    Moved {
        /// The old source.
        from: SocketAddr,
        /// The new one.
        to: SocketAddr,
    },
    /// A digit was pressed (telephone-event), once per press.
    Dtmf {
        /// 0–9, *, #, A–D, F for a hook flash.
        digit: char,
        /// How long.
        duration_ms: u32,
    },
    /// Nothing came for the media timeout (or, on hold, for the hold timeout). Told once per silence.
    Silent {
        /// How long.
        quiet: Duration,
        /// The stream was on hold.
        held: bool,
    },
    /// A fault of ours took the stream out of service; its ports are closed.
    Failed,
}

/// Where the events of a stream go. Called on a media thread: it must not block.
pub type Sink = Arc<dyn Fn(StreamId, MediaEvent) + Send + Sync>;

/// Settings of the engine.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Media threads, at least one; one per core given to media.
    pub threads: usize,
    /// Ports to draw pairs from.
    pub ports: PortRange,
    /// How long a freed pair rests before it serves another call; less only where so many calls end that `kept` pairs
    /// do not go round so long, and where no other pair is free.
    pub rest: Duration,
    /// How many pairs of ended calls stay open at most (and no more than take a quarter of the descriptors there may
    /// be). When more than half of them are there, calls get the one that was silent longest instead of new sockets.
    pub kept: usize,
    /// Connect sockets to a peer that sends from the very address it signalled: cheaper sends, and the kernel refuses
    /// third parties.
    pub connect: bool,
    /// When many packets come, how long a thread lets them gather before it looks again; zero: it is woken for each.
    /// Adds half of it to a packet's way, and saves a quarter of its cost and more.
    pub hold_off: Duration,
}

impl Default for EngineConfig {
    fn default() -> EngineConfig {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        EngineConfig {
            threads,
            ports: PortRange::default(),
            rest: Duration::from_secs(10),
            kept: shelf::MOST,
            connect: true,
            hold_off: Duration::from_millis(1),
        }
    }
}

/// Why a command to a stream is not possible.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// The other stream does not exist any more.
    #[error("the other stream is gone")]
    Gone,
    /// The character is none of 0–9, *, #, A–D, F.
    #[error("not a DTMF digit")]
    NotADigit,
    /// telephone-event was not negotiated: the digit has to go by INFO.
    #[error("telephone-event was not negotiated")]
    NoEvents,
    /// Too many digits wait to be sent.
    #[error("too many digits are waiting")]
    Full,
}

//------------ Engine --------------------------------------------------------

/// What a bridge or an echo wants to be of one stream, seen from outside.
struct Entry {
    shared: Weak<Shared>,
    partner: Option<StreamId>,
    echo: Option<Arc<PayloadMap>>,
    format: Option<Arc<Format>>,
}

/// The open streams and how they are joined; touched when a stream is opened, closed or bridged, never per packet.
pub(super) struct Streams(ByStream<Entry>);

pub(super) struct Inner {
    inboxes: Arc<[Arc<Inbox>]>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    ports: Arc<Ports>,
    connect: bool,
    next: AtomicU64,
    streams: Mutex<Streams>,
}

/// The media engine. Cloning gives another handle of the same one; when the last handle and the last stream are gone
/// its threads end.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

impl Engine {
    /// Starts the threads.
    pub fn start(config: EngineConfig) -> io::Result<Engine> {
        let inboxes: Arc<[Arc<Inbox>]> =
            (0..config.threads.max(1)).map(|_| Inbox::new().map(Arc::new)).collect::<io::Result<_>>()?;
        let inner = Inner {
            inboxes: inboxes.clone(),
            threads: Mutex::default(),
            ports: Ports::new(config.ports, config.rest, config.kept),
            connect: config.connect,
            next: AtomicU64::new(1),
            streams: Mutex::new(Streams(ByStream::default())),
        };
        // Made before the threads, so that an error below stops those already running.
        let engine = Engine(Arc::new(inner));
        for index in 0..inboxes.len() {
            let worker = Worker::new(index, inboxes.clone(), engine.0.ports.clone(), config.hold_off)?;
            let thread = std::thread::Builder::new().name(format!("media-{index}")).spawn(|| worker.run())?;
            engine.0.threads().push(thread);
        }
        Ok(engine)
    }

    /// Opens a port pair on a local address. Does not wait for the media thread.
    pub fn open(&self, ip: IpAddr, sink: Sink) -> Result<Stream, OpenError> {
        let pair = self.0.ports.open(ip)?;
        let id = StreamId(self.0.next.fetch_add(1, Ordering::Relaxed));
        let (local, now) = (SocketAddr::new(ip, pair.lease.port()), Instant::now());
        let lightest = self.0.inboxes.iter().enumerate().min_by_key(|(_, i)| i.load());
        let home = lightest.map_or(0, |(index, _)| index);
        let seat = self.0.inboxes.get(home).map_or_else(Arc::default, |i| i.seat.clone());
        let shared = Arc::new(Shared::new(id, now, home, seat));
        let entry = Entry { shared: Arc::downgrade(&shared), partner: None, echo: None, format: None };
        self.0.streams().0.insert(id, entry);
        shared.begin(Box::new(Line::new(now, shared.clone(), sink, pair, self.0.connect)));
        Ok(Stream::new(self.0.clone(), shared, local))
    }

    /// Streams open now.
    pub fn streams(&self) -> usize {
        self.0.streams().0.len()
    }

    /// Port pairs in use now: those of the open streams and of those just being closed.
    pub fn ports_in_use(&self) -> usize {
        self.0.ports.in_use()
    }

    /// Draws new pairs from another range; open ones stay as they are.
    pub fn set_ports(&self, range: PortRange) {
        self.0.ports.set_range(range);
    }

    /// Media threads.
    pub fn threads(&self) -> usize {
        self.0.inboxes.len()
    }

    /// What a stream counted so far; `None` when it is gone.
    pub fn stats(&self, id: StreamId) -> Option<Stats> {
        let shared = self.0.streams().0.get(&id)?.shared.upgrade()?;
        Some(shared.counters.read(Instant::now()))
    }

    /// Ends all streams and joins the threads. Streams still held are deaf from then on.
    pub fn stop(&self) {
        self.0.stop();
    }
}

impl Inner {
    pub(super) fn streams(&self) -> MutexGuard<'_, Streams> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn threads(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stop(&self) {
        self.inboxes.iter().for_each(|i| i.stop());
        let threads = std::mem::take(&mut *self.threads());
        let here = std::thread::current().id();
        // The last handle may die in a sink, on a media thread, which cannot wait for itself.
        for thread in threads.into_iter().filter(|t| t.thread().id() != here) {
            drop(thread.join());
        }
        self.ports.close();
        // What no thread has.
        let shared = |entry: &Entry| entry.shared.upgrade();
        let left: Vec<_> = self.streams().0.values().filter_map(shared).collect();
        left.iter().for_each(|shared| self.run(shared.id, shared.close()));
    }

    /// Changes what a stream wants and tells its thread, if that needs to know.
    pub(super) fn want(&self, shared: &Shared, change: impl FnOnce(&mut Wishes)) {
        self.run(shared.id, shared.want(change));
    }

    /// Tells a thread. A stopped engine drops a line here; the stream is then just deaf.
    pub(super) fn run(&self, id: StreamId, errand: Errand) {
        let (thread, note) = match errand {
            Errand::None => return,
            Errand::Note(thread) => (thread, Note::Changed(id)),
            Errand::Line(thread, line) => (thread, Note::Arrived(line)),
        };
        if let Some(inbox) = self.inboxes.get(thread) {
            drop(inbox.put(note));
        }
    }

    /// Lets two streams live on one thread: on that of the two which has less to do. A wish must follow.
    fn bring_together(&self, a: &Shared, b: &Shared) {
        let homes = (a.home(), b.home());
        let load = |home: usize| self.inboxes.get(home).map_or(usize::MAX, |i| i.load());
        if homes.0 != homes.1 {
            let home = if load(homes.1) < load(homes.0) { homes.1 } else { homes.0 };
            let seat = self.inboxes.get(home).map(|i| &i.seat);
            seat.into_iter().for_each(|seat| [a, b].into_iter().for_each(|s| s.settle_on(home, seat)));
        }
    }
}

//------------ Who is joined with whom ---------------------------------------

impl Streams {
    /// Takes a stream out; its partner is alone then.
    pub(super) fn remove(&mut self, engine: &Inner, id: StreamId) {
        let partner = self.0.remove(&id).and_then(|e| e.partner);
        partner.into_iter().for_each(|partner| self.release(engine, partner));
    }

    /// Keeps the format of a stream, and says whether the stream echoes.
    pub(super) fn set_format(&mut self, id: StreamId, format: Arc<Format>) -> bool {
        let Some(entry) = self.0.get_mut(&id) else { return false };
        entry.format = Some(format);
        entry.echo.is_some()
    }

    pub(super) fn format(&self, id: StreamId) -> Option<Arc<Format>> {
        self.0.get(&id).map(|e| e.format.clone().unwrap_or_default())
    }

    pub(super) fn partner(&self, id: StreamId) -> Option<StreamId> {
        self.0.get(&id)?.partner
    }

    /// Bridges two streams with a map each way; false when the other is gone.
    pub(super) fn bridge(
        &mut self,
        engine: &Inner,
        me: &Shared,
        other: StreamId,
        there: PayloadMap,
        back: PayloadMap,
    ) -> bool {
        let Some(partner) = self.0.get(&other).and_then(|e| e.shared.upgrade()).filter(|p| p.id != me.id)
        else {
            return false;
        };
        for (id, with) in [(me.id, other), (other, me.id)] {
            if let Some(before) = self.partner(id).filter(|before| *before != with) {
                self.release(engine, before);
            }
        }
        for (id, with) in [(me.id, other), (other, me.id)] {
            if let Some(entry) = self.0.get_mut(&id) {
                entry.partner = Some(with);
            }
        }
        engine.bring_together(me, &partner);
        for (shared, to, map) in [(me, other, there), (&*partner, me.id, back)] {
            engine.want(shared, |w| w.forward = Some(Some(Forward { to, map: Arc::new(map) })));
        }
        true
    }

    /// Ends the bridge of a stream, if there is one; both fall back to their echo.
    pub(super) fn unbridge(&mut self, engine: &Inner, id: StreamId) {
        let partner = self.partner(id);
        for id in partner.into_iter().chain([id]) {
            self.release(engine, id);
        }
    }

    /// Turns the echo of a stream on or off.
    pub(super) fn echo(&mut self, engine: &Inner, id: StreamId, on: bool) {
        let Some(entry) = self.0.get_mut(&id) else { return };
        let format = entry.format.as_deref();
        let map = || Arc::new(format.map_or_else(PayloadMap::new, |f| PayloadMap::between(f, f)));
        entry.echo = on.then(map);
        if entry.partner.is_none() {
            self.release(engine, id);
        }
    }

    /// Ends the bridge of one stream (its partner is the caller's business) and falls back to its echo.
    fn release(&mut self, engine: &Inner, id: StreamId) {
        let Some(entry) = self.0.get_mut(&id) else { return };
        entry.partner = None;
        let echo = entry.echo.clone().map(|map| Forward { to: id, map });
        if let Some(shared) = entry.shared.upgrade() {
            engine.want(&shared, |w| w.forward = Some(echo));
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stop();
    }
}
