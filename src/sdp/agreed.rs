//! What an offer and its answer settled, as the media relay needs it, and how two legs join.

use std::net::SocketAddr;

use super::answer::best;
use super::{Codec, Direction, Kind, Media, Session};

/// A payload number each way.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Pts {
    /// What we put on packets to the peer.
    pub send: u8,
    /// What the peer puts on packets to us.
    pub receive: u8,
}

/// telephone-event of one clock.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct EventPts {
    /// Its clock in Hz: the unit of durations.
    pub clock: u32,
    /// What we send.
    pub send: u8,
    /// What we receive.
    pub receive: u8,
}

/// One m-line in use on both sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgreedMedia {
    /// Index of the m-line in both descriptions.
    pub line: usize,
    /// What it carries.
    pub kind: Kind,
    /// The codec as the peer describes it: `pt` and `fmtp` for what we send.
    pub codec: Codec,
    /// Payload number the peer uses for it.
    pub receive_pt: u8,
    /// Comfort noise, when both have it.
    pub noise: Option<Pts>,
    /// telephone-event both have; the one for the codec's clock first, then 8000.
    pub events: Vec<EventPts>,
    /// Who sends, as seen from us.
    pub direction: Direction,
    /// Our RTP port.
    pub local_port: u16,
    /// Where the peer wants RTP; None for the null address or a host name.
    pub remote_rtp: Option<SocketAddr>,
    /// Where the peer wants RTCP.
    pub remote_rtcp: Option<SocketAddr>,
    /// RTP and RTCP share a port (both sides said rtcp-mux).
    pub mux: bool,
    /// Packet time in ms the peer asks for.
    pub ptime: Option<u16>,
}

/// What was negotiated, m-line by m-line, of our description and the peer's, whoever offered. m-lines that
/// either side has off, or without a codec in common, are absent.
pub fn agreed(local: &Session, remote: &Session) -> Vec<AgreedMedia> {
    let both = local.media.iter().zip(&remote.media).enumerate();
    both.filter_map(|(line, (ours, theirs))| agreed_line(line, local, ours, remote, theirs)).collect()
}

fn agreed_line(
    line: usize,
    local: &Session,
    ours: &Media,
    remote: &Session,
    theirs: &Media,
) -> Option<AgreedMedia> {
    if ours.port == 0 || theirs.port == 0 || !theirs.is_plain_rtp() {
        return None;
    }
    let (our_codecs, their_codecs) = (ours.codecs(), theirs.codecs());
    // an answer of ours names one codec, an answer of theirs may name several in their order: either way
    // the peer's order decides
    let (receive, codec) = best(&our_codecs, &their_codecs)?;
    let with = |like: &Codec| our_codecs.iter().find(|o| o.same_format(like)).map(|o| o.pt);
    let mut events: Vec<EventPts> = their_codecs
        .iter()
        .filter(|c| c.is_event())
        .filter_map(|e| with(e).map(|receive| EventPts { clock: e.clock, send: e.pt, receive }))
        .collect();
    events.sort_by_key(|e| (e.clock != codec.clock, e.clock != 8000));
    let noise = their_codecs
        .iter()
        .filter(|c| c.is_noise() && c.clock == codec.clock)
        .find_map(|n| with(n).map(|receive| Pts { send: n.pt, receive }));
    let mux = ours.rtcp_mux() && theirs.rtcp_mux();
    let remote_rtp = remote.rtp_address(theirs);
    Some(AgreedMedia {
        line,
        kind: theirs.kind.clone(),
        receive_pt: receive.pt,
        noise,
        events,
        direction: local.direction(ours).and(remote.effective_direction(theirs).reversed()),
        local_port: ours.port,
        remote_rtp,
        remote_rtcp: if mux { remote_rtp } else { remote.rtcp_address(theirs) },
        mux,
        ptime: theirs.ptime(),
        codec: codec.clone(),
    })
}

/// Which m-line of one leg's description belongs to which of the other's, for a b-leg offer holds only the
/// usable ones: the first not yet taken of the same kind, in use on both, with a codec in common.
pub fn pair(a: &Session, b: &Session) -> Vec<(usize, usize)> {
    let usable = |m: &Media| m.port != 0 && m.is_plain_rtp();
    let mut pairs: Vec<(usize, usize)> = Vec::new();
    for (j, theirs) in b.media.iter().enumerate().filter(|(_, m)| usable(m)) {
        let codecs = theirs.codecs();
        let found = a.media.iter().enumerate().find(|(i, m)| {
            usable(m)
                && m.kind == theirs.kind
                && pairs.iter().all(|p| p.0 != *i)
                && best(&m.codecs(), &codecs).is_some()
        });
        pairs.extend(found.map(|(i, _)| (i, j)));
    }
    pairs
}

/// How payload numbers change from one leg to another.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct PayloadMap {
    /// Received on the one leg, to send on the other.
    pub numbers: Vec<(u8, u8)>,
    /// Both legs have the same codec; if not, its packets are not mapped and need transcoding.
    pub same_codec: bool,
}

impl PayloadMap {
    /// The number to send for a number received; None for packets that cannot be passed on as they are.
    pub fn get(&self, received: u8) -> Option<u8> {
        self.numbers.iter().find(|n| n.0 == received).map(|n| n.1)
    }
}

/// The payload numbers from what `from` sends us to what `to` understands: codec, comfort noise, and
/// telephone-event of the same clock. A telephone-event without a counterpart is not mapped: the media
/// engine reports its digit, and the leg passes it on by INFO.
pub fn payload_map(from: &AgreedMedia, to: &AgreedMedia) -> PayloadMap {
    let same_codec = from.codec.same_format(&to.codec);
    let mut numbers = Vec::new();
    let mut add = |received: u8, sent: u8| {
        if numbers.iter().all(|n: &(u8, u8)| n.0 != received) {
            numbers.push((received, sent));
        }
    };
    if same_codec {
        add(from.receive_pt, to.codec.pt);
    }
    if let (Some(a), Some(b)) = (from.noise, to.noise) {
        add(a.receive, b.send);
    }
    for event in &from.events {
        if let Some(other) = to.events.iter().find(|o| o.clock == event.clock) {
            add(event.receive, other.send);
        }
    }
    PayloadMap { numbers, same_codec }
}
