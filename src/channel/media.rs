//! A leg's media: its descriptions, its streams, and what was agreed on each m-line.
//!
//! The description is made here and nowhere else: an offer for a b-leg from what the a-leg can, an answer for
//! an a-leg from what the b-leg settled on (so that nothing needs transcoding), and the same again on re-INVITE.

mod passing;

pub use passing::{Passed, Said, Way};

use super::user_agent::MediaAddress;
use crate::media::{
    Engine, Format, Learn, OpenError, Payload, Remote, Sink, Stats, Stream, StreamId, Timeouts, Withheld,
};
use crate::sdp::{self, AgreedMedia, Author, Draft, Kind, Rules, SdpError};
use bytes::Bytes;
use smallvec::SmallVec;
use std::net::IpAddr;
use std::sync::Arc;
use tracing::debug;

/// What another leg needs to know of this leg's media.
#[derive(Clone, Debug)]
pub struct View {
    /// The far end's description: its offer or its answer.
    pub remote: Arc<sdp::Session>,
    /// What was agreed, m-line by m-line; empty while an offer is not answered.
    pub agreed: Arc<[AgreedMedia]>,
    /// The stream of each m-line in use.
    pub streams: SmallVec<[(usize, StreamId); 2]>,
    /// No digit is relayed to its far end: the leg wants to be told of each, and sends it itself.
    pub screens_digits: bool,
    /// The far end's description as it came, when the other leg is to pass it on.
    pub passed: Option<Arc<Passed>>,
}

impl View {
    /// True when its far end takes telephone-event.
    pub fn takes_events(&self) -> bool {
        self.agreed.iter().any(|m| m.kind == Kind::Audio && !m.events.is_empty())
    }

    /// What was agreed on the audio line (or the first one).
    pub fn main_line(&self) -> Option<&AgreedMedia> {
        self.agreed.iter().find(|m| m.kind == Kind::Audio).or(self.agreed.first())
    }

    /// The stream of m-line `line`.
    pub fn stream(&self, line: usize) -> Option<StreamId> {
        self.streams.iter().find(|(l, _)| *l == line).map(|(_, id)| *id)
    }
}

/// Why a description could not be made or taken.
#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    /// The description is broken, or nothing is in common.
    #[error("{0}")]
    Description(#[from] SdpError),
    /// No port pair is free.
    #[error("{0}")]
    Port(#[from] OpenError),
    /// There is no offer to answer, or no answer is due.
    #[error("no offer to answer")]
    NothingOffered,
}

/// One m-line's port pair.
struct Line {
    index: usize,
    stream: Stream,
}

/// How the far end's packets are treated.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// Which sources may be learned.
    pub learn: Learn,
    /// The address the far end's SIP comes from.
    pub signalling: Option<IpAddr>,
    /// Silence after which the call is ended.
    pub timeouts: Timeouts,
}

/// A leg's media.
pub struct LegMedia {
    engine: Engine,
    sink: Arc<dyn Fn(usize) -> Sink + Send + Sync>,
    address: MediaAddress,
    author: Author,
    policy: Policy,
    lines: SmallVec<[Line; 1]>,
    /// Our description as sent.
    local: Option<Bytes>,
    /// The same taken apart, while an answer to it is awaited.
    offered: Option<Box<sdp::Session>>,
    /// Our description before the last one and its way, should the far end refuse that.
    before: Option<(Bytes, Way)>,
    way: Way,
    passed: Option<Arc<Passed>>,
    remote: Option<Arc<sdp::Session>>,
    agreed: Arc<[AgreedMedia]>,
    withheld: Withheld,
}

impl LegMedia {
    /// Media without any stream yet. `sink(line)` makes the ear of the stream of one m-line.
    pub fn new(
        engine: Engine,
        sink: Arc<dyn Fn(usize) -> Sink + Send + Sync>,
        address: MediaAddress,
        username: String,
        id: u64,
        policy: Policy,
    ) -> Self {
        let author = Author { username, id, version: id, address: address.advertised };
        Self {
            engine,
            sink,
            address,
            author,
            policy,
            lines: SmallVec::new(),
            local: None,
            offered: None,
            before: None,
            way: Way::Relay,
            passed: None,
            remote: None,
            agreed: Arc::default(),
            withheld: Withheld::default(),
        }
    }

    /// The far end's description, once there is one.
    pub fn remote(&self) -> Option<&Arc<sdp::Session>> {
        self.remote.as_ref()
    }

    /// Where our streams are bound, and what the far end is told.
    pub fn address(&self) -> MediaAddress {
        self.address
    }

    /// What was agreed.
    pub fn agreed(&self) -> &Arc<[AgreedMedia]> {
        &self.agreed
    }

    /// Our description as sent.
    pub fn local(&self) -> Option<Bytes> {
        self.local.clone()
    }

    /// The far end's telephone-event number to send, on the audio line.
    pub fn can_send_events(&self) -> bool {
        self.agreed.iter().any(|m| m.kind == Kind::Audio && !m.events.is_empty())
    }

    /// What another leg needs to know.
    pub fn view(&self) -> Option<View> {
        Some(View {
            remote: self.remote.clone()?,
            agreed: self.agreed.clone(),
            streams: self.streams(),
            passed: self.passed.clone(),
            screens_digits: self.withheld.relayed,
        })
    }

    /// The stream of each m-line in use.
    pub fn streams(&self) -> SmallVec<[(usize, StreamId); 2]> {
        self.lines.iter().map(|l| (l.index, l.stream.id())).collect()
    }

    /// Our description as sent, taken apart.
    fn described(&self) -> Option<sdp::Session> {
        sdp::Session::parse_bytes(self.local.as_ref()?).ok()
    }

    /// Takes the far end's offer; nothing is answered yet.
    pub fn take_offer(&mut self, body: &[u8]) -> Result<(), MediaError> {
        self.remote = Some(Arc::new(sdp::Session::parse_bytes(body)?));
        Ok(())
    }

    /// The far end is this switch too: no other address than our own reaches it.
    pub(super) fn keep_inside(&mut self) {
        self.address.advertised = self.address.bind;
        self.author.address = self.address.bind;
    }

    /// How long silence is borne from the next description on.
    pub fn set_timeouts(&mut self, timeouts: Timeouts) {
        self.policy.timeouts = timeouts;
    }

    /// Makes our offer, ports and all.
    pub fn offer(&mut self, source: sdp::Source<'_>, rules: &Rules) -> Result<Bytes, MediaError> {
        let draft = match self.described() {
            Some(before) => sdp::reoffer(&before, source, rules)?,
            None => sdp::offer(source, rules)?,
        };
        let (local, body) = self.write(&draft)?;
        self.offered = Some(Box::new(local));
        Ok(body)
    }

    /// Takes the far end's answer to our offer.
    pub fn take_answer(&mut self, body: &Bytes) -> Result<(), MediaError> {
        let answer = sdp::Session::parse_bytes(body)?;
        let local = match self.offered.take() {
            Some(offered) => *offered,
            None => self.described().ok_or(MediaError::NothingOffered)?,
        };
        if self.way != Way::Relay {
            self.remote = Some(Arc::new(answer));
            self.heard(body);
            self.settle_passed(&local);
            return Ok(());
        }
        let agreed = sdp::agreed(&local, &answer);
        if agreed.is_empty() {
            return Err(SdpError::NoCommonCodec.into());
        }
        self.remote = Some(Arc::new(answer));
        self.passed = None;
        self.settle(agreed);
        Ok(())
    }

    /// Answers the far end's first offer.
    pub fn answer(&mut self, settled: sdp::Settled<'_>, rules: &Rules) -> Result<Bytes, MediaError> {
        let offer = self.remote.clone().ok_or(MediaError::NothingOffered)?;
        self.answer_to(&offer, settled, rules)
    }

    /// Answers an offer; when that is not possible, everything stays as it was.
    pub fn answer_to(
        &mut self,
        offer: &Arc<sdp::Session>,
        settled: sdp::Settled<'_>,
        rules: &Rules,
    ) -> Result<Bytes, MediaError> {
        let draft = sdp::answer(offer, settled, rules)?;
        let (local, body) = self.write(&draft)?;
        self.remote = Some(offer.clone());
        self.passed = None;
        let agreed = sdp::agreed(&local, offer);
        self.settle(agreed);
        Ok(body)
    }

    /// Our last offer was refused: our description is again what it was (RFC 3264 §4).
    pub fn restore(&mut self) {
        if let Some((before, way)) = self.before.take() {
            self.local = Some(before);
            self.offered = None;
            self.way = way;
            if way == Way::Bypass {
                self.lines = SmallVec::new();
            }
        }
    }

    /// Puts ports into a draft, opening what is missing and closing what is no longer in use.
    fn write(&mut self, draft: &Draft) -> Result<(sdp::Session, Bytes), MediaError> {
        let wanted: SmallVec<[usize; 4]> = draft.wanted().map(|(index, _)| index).collect();
        for &index in &wanted {
            if !self.lines.iter().any(|l| l.index == index) {
                let stream = self.engine.open(self.address.bind, (self.sink)(index))?;
                if self.withheld != Withheld::default() {
                    stream.withhold(self.withheld);
                }
                self.lines.push(Line { index, stream });
            }
        }
        self.lines.retain(|l| wanted.contains(&l.index));
        let ports: SmallVec<[u16; 4]> = (0..draft.len()).map(|line| self.port(line)).collect();
        let mut local = draft.write(&self.author, &ports)?;
        if let Some(before) = self.described() {
            local = local.numbered_after(&before);
        }
        let body = Bytes::from(local.text().into_boxed_str().into_boxed_bytes());
        self.before = self.local.replace(body.clone()).map(|text| (text, self.way));
        self.way = Way::Relay;
        self.offered = None;
        Ok((local, body))
    }

    /// Our port for an m-line, 0 without one.
    fn port(&self, line: usize) -> u16 {
        self.lines.iter().find(|l| l.index == line).map_or(0, |l| l.stream.local().port())
    }

    /// Tells the streams what was agreed.
    fn settle(&mut self, agreed: Vec<AgreedMedia>) {
        for line in &self.lines {
            let Some(media) = agreed.iter().find(|m| m.line == line.index) else { continue };
            line.stream.format(format_of(media));
            line.stream.timeouts(self.policy.timeouts);
            line.stream.hold(media.direction != sdp::Direction::SendRecv);
            if let Some(rtp) = media.remote_rtp {
                line.stream.remote(Remote {
                    rtp,
                    rtcp: media.remote_rtcp,
                    rtcp_mux: media.mux,
                    signalling: self.policy.signalling,
                    learn: super::inbound::learn_for(self.policy, rtp.ip()),
                    receive: media.direction.receives(),
                    send: media.direction.sends(),
                });
            }
        }
        self.agreed = agreed.into();
    }

    /// Relays between this leg's streams and those of `other`, m-line by m-line.
    pub fn bridge(&self, other: &View) {
        let Some(remote) = &self.remote else { return };
        let pairs = match self.way {
            Way::Relay => sdp::pair(remote, &other.remote),
            Way::Proxy | Way::Bypass => self.lines.iter().map(|l| (l.index, l.index)).collect(),
        };
        for (ours, theirs) in pairs {
            let line = self.lines.iter().find(|l| l.index == ours);
            if let (Some(line), Some(stream)) = (line, other.stream(theirs))
                && let Err(error) = line.stream.bridge_matching(stream)
            {
                debug!("m-line {ours}: {error}");
            }
        }
    }

    /// Relays nothing any more.
    pub fn unbridge(&self) {
        for line in &self.lines {
            line.stream.unbridge();
        }
    }

    /// Sends every packet back where it came from, or stops doing so.
    pub fn echo(&self, on: bool) {
        for line in &self.lines {
            line.stream.echo(on);
        }
    }

    /// Which digits are told of and not relayed, from now on and on lines to come. False when that is so already.
    pub(super) fn withhold(&mut self, withheld: Withheld) -> bool {
        if self.withheld == withheld {
            return false;
        }
        self.withheld = withheld;
        self.lines.iter().for_each(|line| line.stream.withhold(withheld));
        true
    }

    /// Which digits are not relayed.
    pub(super) fn withheld(&self) -> Withheld {
        self.withheld
    }

    /// Sends a digit by RFC 4733 on the audio line; false when that was not agreed.
    pub fn send_digit(&self, digit: char, duration_ms: u32) -> bool {
        let audio = self.agreed.iter().find(|m| m.kind == Kind::Audio && !m.events.is_empty());
        let line = audio.and_then(|m| self.lines.iter().find(|l| l.index == m.line));
        line.is_some_and(|line| line.stream.send_dtmf(digit, duration_ms).is_ok())
    }

    /// True when no m-line lets the far end hear or be heard fully: hold.
    pub fn is_held(&self) -> bool {
        match self.way {
            Way::Relay => !self.agreed.is_empty() && self.agreed.iter().all(|m| !m.direction.sends()),
            Way::Proxy | Way::Bypass => self.remote.as_ref().is_some_and(|remote| remote.is_hold()),
        }
    }

    /// What was agreed on the audio line (or the first one), and its counters.
    pub fn main_line(&self) -> Option<(&AgreedMedia, Stats)> {
        let media = self.agreed.iter().find(|m| m.kind == Kind::Audio).or(self.agreed.first())?;
        let line = self.lines.iter().find(|l| l.index == media.line)?;
        Some((media, line.stream.stats()))
    }

    /// The counters of another leg's audio line, while it lives.
    pub fn stats_of(&self, other: &View) -> Option<Stats> {
        let media = other.agreed.iter().find(|m| m.kind == Kind::Audio).or(other.agreed.first())?;
        self.engine.stats(other.stream(media.line)?)
    }

    /// Gives every port back and forgets what was said.
    pub fn close(&mut self) {
        self.lines = SmallVec::new();
        self.agreed = Arc::default();
        (self.local, self.offered, self.before, self.remote) = (None, None, None, None);
        self.passed = None;
    }
}

/// What the media engine must know of an m-line: every number, both ways.
fn format_of(media: &AgreedMedia) -> Format {
    let codec = &media.codec;
    let mut coded = Payload::new(&codec.name, media.receive_pt, codec.clock);
    coded.send = codec.pt;
    coded.channels = codec.channels;
    let noise = media.noise.map(|n| {
        let mut noise = Payload::new("CN", n.receive, codec.clock);
        noise.send = n.send;
        noise
    });
    let events = media.events.iter().map(|e| {
        let mut event = Payload::new("telephone-event", e.receive, e.clock);
        event.send = e.send;
        event
    });
    Format::of([coded].into_iter().chain(noise).chain(events))
}
