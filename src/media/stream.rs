//! The owner's handle of one stream.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use super::dtmf;
use super::engine::{Inner, StreamError};
use super::latch::Remote;
use super::payload::{Format, PayloadMap};
use super::shared::{Digit, Shared, StreamId, Timeouts, Wishes, Withheld};
use super::stats::Stats;

/// The owner's handle of one port pair. Dropping it closes the sockets and gives the ports back.
///
/// Order of use: [`open`](super::Engine::open), [`format`](Stream::format) and [`remote`](Stream::remote) as signalling
/// goes on, [`bridge`](Stream::bridge). Packets are taken only when both format and remote are known; what came before
/// either is thrown away. None of the methods waits; the media thread takes a wish over within milliseconds.
pub struct Stream {
    engine: Arc<Inner>,
    shared: Arc<Shared>,
    local: SocketAddr,
}

impl Stream {
    pub(super) fn new(engine: Arc<Inner>, shared: Arc<Shared>, local: SocketAddr) -> Stream {
        Stream { engine, shared, local }
    }

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

    fn want(&self, change: impl FnOnce(&mut Wishes)) {
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
        let echoes = self.engine.streams().set_format(self.id(), format.clone());
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
        let done = self.engine.streams().bridge(&self.engine, &self.shared, other, there, back);
        if done { Ok(()) } else { Err(StreamError::Gone) }
    }

    /// [`bridge`](Stream::bridge) with the maps that follow from the formats of both streams.
    pub fn bridge_matching(&self, other: StreamId) -> Result<(), StreamError> {
        let (ours, theirs) = {
            let streams = self.engine.streams();
            streams.format(self.id()).zip(streams.format(other)).ok_or(StreamError::Gone)?
        };
        let there = PayloadMap::between(&ours, &theirs);
        let back = PayloadMap::between(&theirs, &ours);
        self.bridge(other, there, back)
    }

    /// Ends the bridge, if there is one; an echo that was on before goes on.
    pub fn unbridge(&self) {
        self.engine.streams().unbridge(&self.engine, self.id());
    }

    /// The stream it is bridged with.
    pub fn bridged_with(&self) -> Option<StreamId> {
        self.engine.streams().partner(self.id())
    }

    /// Sends the peer what it sends us. A bridge has precedence.
    pub fn echo(&self, on: bool) {
        self.engine.streams().echo(&self.engine, self.id(), on);
    }

    /// Sends a digit as telephone-event in our stream, after those that wait. Relayed media pauses meanwhile.
    pub fn send_dtmf(&self, digit: char, duration_ms: u32) -> Result<(), StreamError> {
        let event = dtmf::event_of(digit).ok_or(StreamError::NotADigit)?;
        let format = self.engine.streams().format(self.id());
        if format.is_none_or(|f| f.event_for(8000).is_none()) {
            return Err(StreamError::NoEvents);
        }
        let mut fits = false;
        self.want(|w| {
            fits = w.digits.len() < dtmf::QUEUE;
            if fits {
                w.digits.push(Digit { event, duration_ms });
            }
        });
        if fits { Ok(()) } else { Err(StreamError::Full) }
    }

    /// Sets how long silence is borne before [`MediaEvent::Silent`](super::MediaEvent::Silent).
    pub fn timeouts(&self, timeouts: Timeouts) {
        self.want(|w| w.timeouts = Some(timeouts));
    }

    /// On hold the hold timeout counts instead of the media timeout.
    pub fn hold(&self, on: bool) {
        self.want(|w| w.hold = Some(on));
    }

    /// Says which digits are told of and not relayed. Audio is not touched.
    pub fn withhold(&self, withheld: Withheld) {
        self.want(|w| w.withheld = Some(withheld));
    }

    /// The media thread has taken over all that was wanted so far. Packets already waiting when a wish is made may
    /// still be treated the old way; nobody needs to wait for this but who compares counts.
    pub fn settled(&self) -> bool {
        self.shared.settled()
    }

    /// What it counted so far.
    pub fn stats(&self) -> Stats {
        self.shared.counters.read(Instant::now())
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.engine.streams().remove(&self.engine, self.shared.id);
        self.engine.run(self.shared.id, self.shared.close());
    }
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Stream {} on {}", self.shared.id, self.local)
    }
}
