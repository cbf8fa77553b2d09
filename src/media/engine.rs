//! The engine: its threads, and the owner's handle of one stream.
//!
//! A handle never talks to its thread directly. It writes what it wants into the stream's `Wanted` and puts the
//! stream's number into the thread's inbox, once, until the thread has looked. So nothing can pile up: the latest wish
//! counts, and an inbox holds at most a note per stream.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::dtmf;
use super::latch::Remote;
use super::line::Line;
use super::payload::{Format, PayloadMap};
use super::ports::{OpenError, PortRange, Ports};
use super::stats::{Counters, Stats};
use super::sys::Wake;
use super::worker::Worker;

/// Number of a stream, unique in the life of the process.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId(pub(super) u64);

impl std::fmt::Display for StreamId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

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
    /// How long a freed pair rests before it is drawn again.
    pub rest: Duration,
    /// Connect sockets to a peer that sends from the very address it signalled: cheaper sends, and the kernel refuses
    /// third parties.
    pub connect: bool,
}

impl Default for EngineConfig {
    fn default() -> EngineConfig {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        EngineConfig { threads, ports: PortRange::default(), rest: Duration::from_secs(10), connect: true }
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

//------------ What a handle and its thread share ----------------------------

/// Where what a stream receives is sent on.
#[derive(Clone)]
pub(super) struct Forward {
    pub(super) to: StreamId,
    pub(super) map: Arc<PayloadMap>,
}

/// A digit waiting to be sent.
#[derive(Copy, Clone)]
pub(super) struct Digit {
    pub(super) event: u8,
    pub(super) duration_ms: u32,
}

/// Wishes the thread has not taken yet, and where the stream is.
pub(super) struct Wanted {
    pub(super) remote: Option<Remote>,
    pub(super) unlatch: bool,
    pub(super) format: Option<Arc<Format>>,
    pub(super) forward: Option<Option<Forward>>,
    pub(super) timeouts: Option<Timeouts>,
    pub(super) hold: Option<bool>,
    pub(super) digits: VecDeque<Digit>,
    pub(super) closed: bool,
    /// Thread the stream should live on.
    pub(super) home: usize,
    /// Thread that has it now, or to which it is on its way.
    pub(super) holder: usize,
    /// A note for the holder is in its inbox, or the stream itself is.
    pub(super) noted: bool,
}

/// How long silence is borne.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Timeouts {
    /// While the peer is expected to send (`rtp-timeout-sec`, `media_timeout`).
    pub media: Option<Duration>,
    /// While on hold (`rtp-hold-timeout-sec`, `media_hold_timeout`).
    pub hold: Option<Duration>,
}

/// The part of a stream that its handle and its thread share.
pub(super) struct Shared {
    pub(super) id: StreamId,
    pub(super) counters: Counters,
    wanted: Mutex<Wanted>,
}

impl Shared {
    pub(super) fn wanted(&self) -> MutexGuard<'_, Wanted> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A note for a media thread.
pub(super) enum Note {
    /// Look at what this stream wants.
    Changed(StreamId),
    /// A stream comes to live here.
    Arrived(Box<Line>),
}

/// The inbox of a media thread.
pub(super) struct Inbox {
    notes: Mutex<(Vec<Note>, bool)>,
    pub(super) wake: Wake,
    /// Every stream on the thread, or on its way to it, holds one more: the count is the load.
    pub(super) seat: Arc<()>,
}

impl Inbox {
    fn new() -> io::Result<Inbox> {
        Ok(Inbox { notes: Mutex::new((Vec::new(), false)), wake: Wake::new()?, seat: Arc::new(()) })
    }

    pub(super) fn load(&self) -> usize {
        Arc::strong_count(&self.seat) - 1
    }

    /// Puts a note in; given back when the thread has stopped.
    pub(super) fn put(&self, note: Note) -> Result<(), Note> {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        if notes.1 {
            return Err(note);
        }
        notes.0.push(note);
        let first = notes.0.len() == 1;
        drop(notes);
        if first {
            self.wake.ring();
        }
        Ok(())
    }

    /// Takes all notes into `into` (which is empty) and says whether the thread must stop.
    pub(super) fn take(&self, into: &mut Vec<Note>) -> bool {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut notes.0, into);
        notes.1
    }

    fn stop(&self) {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).1 = true;
        self.wake.ring();
    }
}

//------------ Engine --------------------------------------------------------

/// What a bridge or an echo wants to be of one stream, seen from outside.
struct Entry {
    shared: Weak<Shared>,
    partner: Option<StreamId>,
    echo: Option<Arc<PayloadMap>>,
    format: Arc<Format>,
}

struct Inner {
    inboxes: Arc<[Arc<Inbox>]>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    ports: Arc<Ports>,
    connect: bool,
    next: AtomicU64,
    /// The open streams; touched when a stream is opened, closed or bridged, never per packet.
    streams: Mutex<HashMap<StreamId, Entry>>,
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
            ports: Ports::new(config.ports, config.rest),
            connect: config.connect,
            next: AtomicU64::new(1),
            streams: Mutex::default(),
        };
        // Made before the threads, so that an error below stops those already running.
        let engine = Engine(Arc::new(inner));
        for index in 0..inboxes.len() {
            let worker = Worker::new(index, inboxes.clone())?;
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
        let shared = Arc::new(Shared {
            id,
            counters: Counters::new(now),
            wanted: Mutex::new(Wanted {
                remote: None,
                unlatch: false,
                format: None,
                forward: None,
                timeouts: None,
                hold: None,
                digits: VecDeque::new(),
                closed: false,
                home,
                holder: home,
                noted: true,
            }),
        });
        let entry = Entry {
            shared: Arc::downgrade(&shared),
            partner: None,
            echo: None,
            format: Arc::new(Format::default()),
        };
        self.0.streams().insert(id, entry);
        let stream = Stream { engine: self.0.clone(), shared: shared.clone(), local };
        if let Some(inbox) = self.0.inboxes.get(home) {
            let line = Line::new(now, shared, sink, pair, inbox.seat.clone(), self.0.connect);
            // A stopped engine drops the sockets here; the stream is then just deaf.
            drop(inbox.put(Note::Arrived(Box::new(line))));
        }
        Ok(stream)
    }

    /// Streams open now.
    pub fn streams(&self) -> usize {
        self.0.streams().len()
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
        let shared = self.0.streams().get(&id)?.shared.upgrade()?;
        Some(shared.counters.read(Instant::now()))
    }

    /// Ends all streams and joins the threads. Streams still held are deaf from then on.
    pub fn stop(&self) {
        self.0.stop();
    }
}

impl Inner {
    fn streams(&self) -> MutexGuard<'_, HashMap<StreamId, Entry>> {
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
    }

    /// Changes what a stream wants and tells its thread.
    fn want(&self, shared: &Shared, change: impl FnOnce(&mut Wanted)) {
        let mut wanted = shared.wanted();
        change(&mut wanted);
        if std::mem::replace(&mut wanted.noted, true) {
            return;
        }
        let holder = wanted.holder;
        drop(wanted);
        if let Some(inbox) = self.inboxes.get(holder) {
            drop(inbox.put(Note::Changed(shared.id)));
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stop();
    }
}

//------------ Stream --------------------------------------------------------

/// The owner's handle of one port pair. Dropping it closes the sockets and gives the ports back.
///
/// Order of use: [`open`](Engine::open), [`format`](Stream::format) and [`remote`](Stream::remote) as signalling goes
/// on, [`bridge`](Stream::bridge). Packets are taken only when both format and remote are known. None of the methods
/// waits.
pub struct Stream {
    engine: Arc<Inner>,
    shared: Arc<Shared>,
    local: SocketAddr,
}

impl Stream {
    /// Its number.
    pub fn id(&self) -> StreamId {
        self.shared.id
    }

    /// Our RTP address, for the SDP.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Our RTCP address.
    pub fn rtcp_local(&self) -> SocketAddr {
        SocketAddr::new(self.local.ip(), self.local.port() + 1)
    }

    fn want(&self, change: impl FnOnce(&mut Wanted)) {
        self.engine.want(&self.shared, change);
    }

    /// Names the peer, or names it anew after a re-INVITE; see [`latch`](super::latch) for what that does to learning.
    pub fn remote(&self, remote: Remote) {
        self.want(|w| w.remote = Some(remote));
    }

    /// Forgets the learned source and learns anew.
    pub fn unlatch(&self) {
        self.want(|w| w.unlatch = true);
    }

    /// Says which payload types the peer may send and what they are.
    pub fn format(&self, format: Format) {
        let format = Arc::new(format);
        let mut echoes = false;
        if let Some(entry) = self.engine.streams().get_mut(&self.shared.id) {
            entry.format = format.clone();
            echoes = entry.echo.is_some();
        }
        self.want(|w| w.format = Some(format));
        if echoes {
            // its map is made of the format
            self.echo(true);
        }
    }

    /// Relays between this stream and another, both ways, until [`unbridge`](Stream::unbridge), another bridge of
    /// either, or the end of either. Bridges either stream had before end. Calling it again for the same two changes
    /// the maps.
    pub fn bridge(&self, other: StreamId, there: PayloadMap, back: PayloadMap) -> Result<(), StreamError> {
        let me = self.shared.id;
        let mut streams = self.engine.streams();
        let partner = streams.get(&other).and_then(|e| e.shared.upgrade()).ok_or(StreamError::Gone)?;
        if other == me {
            return Err(StreamError::Gone);
        }
        for id in [me, other] {
            let before = streams.get(&id).and_then(|e| e.partner);
            if let Some(before) = before.filter(|b| *b != me && *b != other) {
                self.engine.release(&mut streams, before);
            }
        }
        for (id, with) in [(me, other), (other, me)] {
            if let Some(entry) = streams.get_mut(&id) {
                entry.partner = Some(with);
            }
        }
        // Both live on one thread: on that of the two which has less to do.
        let homes = (self.shared.wanted().home, partner.wanted().home);
        let load = |home: usize| self.engine.inboxes.get(home).map_or(usize::MAX, |i| i.load());
        let home = if load(homes.1) < load(homes.0) { homes.1 } else { homes.0 };
        self.engine.want(&self.shared, |w| {
            w.home = home;
            w.forward = Some(Some(Forward { to: other, map: Arc::new(there) }));
        });
        self.engine.want(&partner, |w| {
            w.home = home;
            w.forward = Some(Some(Forward { to: me, map: Arc::new(back) }));
        });
        Ok(())
    }

    /// [`bridge`](Stream::bridge) with the maps that follow from the formats of both streams.
    pub fn bridge_matching(&self, other: StreamId) -> Result<(), StreamError> {
        let formats = {
            let streams = self.engine.streams();
            let of = |id| streams.get(&id).map(|e| e.format.clone());
            of(self.shared.id).zip(of(other)).ok_or(StreamError::Gone)?
        };
        let there = PayloadMap::between(&formats.0, &formats.1);
        let back = PayloadMap::between(&formats.1, &formats.0);
        self.bridge(other, there, back)
    }

    /// Ends the bridge, if there is one; an echo that was on before goes on.
    pub fn unbridge(&self) {
        let mut streams = self.engine.streams();
        let partner = streams.get(&self.shared.id).and_then(|e| e.partner);
        for id in partner.into_iter().chain([self.shared.id]) {
            self.engine.release(&mut streams, id);
        }
    }

    /// The stream it is bridged with.
    pub fn bridged_with(&self) -> Option<StreamId> {
        self.engine.streams().get(&self.shared.id)?.partner
    }

    /// Sends the peer what it sends us. A bridge has precedence.
    pub fn echo(&self, on: bool) {
        let mut streams = self.engine.streams();
        if let Some(entry) = streams.get_mut(&self.shared.id) {
            entry.echo = on.then(|| Arc::new(PayloadMap::between(&entry.format, &entry.format)));
            if entry.partner.is_none() {
                self.engine.release(&mut streams, self.shared.id);
            }
        }
    }

    /// Sends a digit as telephone-event in our stream, after those that wait. Relayed media pauses meanwhile.
    pub fn send_dtmf(&self, digit: char, duration_ms: u32) -> Result<(), StreamError> {
        let event = dtmf::event_of(digit).ok_or(StreamError::NotADigit)?;
        let able =
            self.engine.streams().get(&self.shared.id).is_some_and(|e| e.format.event_for(8000).is_some());
        if !able {
            return Err(StreamError::NoEvents);
        }
        let mut fits = false;
        self.want(|w| {
            fits = w.digits.len() < dtmf::QUEUE;
            if fits {
                w.digits.push_back(Digit { event, duration_ms });
            }
        });
        if fits { Ok(()) } else { Err(StreamError::Full) }
    }

    /// Sets how long silence is borne before [`MediaEvent::Silent`].
    pub fn timeouts(&self, timeouts: Timeouts) {
        self.want(|w| w.timeouts = Some(timeouts));
    }

    /// On hold the hold timeout counts instead of the media timeout.
    pub fn hold(&self, on: bool) {
        self.want(|w| w.hold = Some(on));
    }

    /// The media thread has taken over all that was wanted so far. Packets already waiting when a wish is made may
    /// still be treated the old way; nobody needs to wait for this but who compares counts.
    pub fn settled(&self) -> bool {
        !self.shared.wanted().noted
    }

    /// What it counted so far.
    pub fn stats(&self) -> Stats {
        self.shared.counters.read(Instant::now())
    }
}

impl Inner {
    /// Ends the bridge of one stream (its partner is the caller's business) and falls back to its echo.
    fn release(&self, streams: &mut HashMap<StreamId, Entry>, id: StreamId) {
        let Some(entry) = streams.get_mut(&id) else { return };
        entry.partner = None;
        let echo = entry.echo.clone().map(|map| Forward { to: id, map });
        if let Some(shared) = entry.shared.upgrade() {
            self.want(&shared, |w| w.forward = Some(echo));
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let mut streams = self.engine.streams();
        let partner = streams.remove(&self.shared.id).and_then(|e| e.partner);
        if let Some(partner) = partner {
            self.engine.release(&mut streams, partner);
        }
        drop(streams);
        self.want(|w| w.closed = true);
    }
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Stream {} on {}", self.shared.id, self.local)
    }
}
