//! Payload types: what a stream may carry and how one leg's numbers become the other's.

use std::borrow::Cow;

use smallvec::SmallVec;

/// Names that need no memory of their own.
const KNOWN: [&str; 8] = ["PCMU", "PCMA", "telephone-event", "CN", "opus", "G722", "G729", "GSM"];

/// What a payload carries, as far as a relay must know.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Sound or pictures; the relay does not look inside.
    Coded,
    /// telephone-event (RFC 4733).
    Event,
}

/// One payload format of a stream, as negotiated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// Encoding name of the rtpmap; compared without regard to case when two formats are matched.
    pub name: Cow<'static, str>,
    /// The number it has in packets the peer sends us (what our SDP said).
    pub receive: u8,
    /// The number it must have in packets we send (what the peer's SDP said).
    pub send: u8,
    /// RTP clock rate in Hz. G.722 says 8000 here (RFC 3551 §4.5.2).
    pub clock: u32,
    /// Channels, 1 when the rtpmap does not say.
    pub channels: u8,
    /// Coded media or telephone-event.
    pub kind: Kind,
}

impl Payload {
    /// A payload with the same number both ways; telephone-event is known by its name.
    pub fn new(name: &str, number: u8, clock: u32) -> Payload {
        let kind = if name.eq_ignore_ascii_case("telephone-event") { Kind::Event } else { Kind::Coded };
        let known = KNOWN.iter().find(|known| **known == name);
        let name = known.map_or_else(|| Cow::Owned(name.to_owned()), |known| Cow::Borrowed(*known));
        Payload { name, receive: number, send: number, clock, channels: 1, kind }
    }

    fn same_format(&self, other: &Payload) -> bool {
        self.kind == other.kind
            && self.name.eq_ignore_ascii_case(&other.name)
            && self.channels == other.channels
            && (self.clock == other.clock || self.kind == Kind::Event)
    }
}

/// The formats a stream may carry.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Format {
    /// The negotiated payloads, at most 128.
    pub payloads: SmallVec<[Payload; 3]>,
    /// Accept any datagram, RTP or not, and relay it unchanged (`proxy_media`; also SRTP and UDPTL end to end).
    pub any: bool,
}

impl Format {
    /// Only these payloads.
    pub fn of(payloads: impl IntoIterator<Item = Payload>) -> Format {
        Format { payloads: payloads.into_iter().collect(), any: false }
    }

    /// Any datagram, unchanged.
    pub fn any() -> Format {
        Format { payloads: SmallVec::new(), any: true }
    }

    /// The payload that has this number in packets we receive.
    pub fn received(&self, payload_type: u8) -> Option<&Payload> {
        self.payloads.iter().find(|p| p.receive == payload_type)
    }

    /// The telephone-event to send beside audio of `clock`: the one of that clock, else the first (RFC 4733 §2.1
    /// wants the clock of the audio; not every phone keeps to it).
    pub fn event_for(&self, clock: u32) -> Option<&Payload> {
        let mut events = self.payloads.iter().filter(|p| p.kind == Kind::Event);
        let first = events.clone().next();
        events.find(|p| p.clock == clock).or(first)
    }
}

/// One line of a [`PayloadMap`].
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// The number in packets from the source.
    pub from: u8,
    /// The number it gets on the way out.
    pub to: u8,
    /// Clock of the source format, Hz.
    pub from_clock: u32,
    /// Clock of the outgoing format, Hz; differs only for telephone-event.
    pub to_clock: u32,
}

/// How the payload types of packets received on one stream are renumbered when they leave on another. A type that is
/// not in the map is not forwarded.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct PayloadMap {
    lines: SmallVec<[Mapping; 4]>,
    rest: bool,
}

impl PayloadMap {
    /// The empty map: nothing passes.
    pub fn new() -> PayloadMap {
        PayloadMap::default()
    }

    /// Everything passes, no byte of it changed: SSRC, numbers and RTCP too (`proxy_media`). Both streams need
    /// [`Format::any`].
    pub fn unchanged() -> PayloadMap {
        PayloadMap { lines: SmallVec::new(), rest: true }
    }

    /// Adds one number, both sides having `clock`; the first entry for a number counts.
    #[must_use]
    pub fn with(mut self, from: u8, to: u8, clock: u32) -> PayloadMap {
        self.push(Mapping { from, to, from_clock: clock, to_clock: clock });
        self
    }

    /// Adds one line; the first entry for a number counts.
    pub fn push(&mut self, line: Mapping) {
        if self.lines.len() < 128 {
            self.lines.push(line);
        }
    }

    /// The map for packets received as `from` and sent as `to`: every format both have, matched by name, clock and
    /// channels. telephone-event goes to the one of the same clock, else to any the other side has.
    pub fn between(from: &Format, to: &Format) -> PayloadMap {
        let mut map = PayloadMap { lines: SmallVec::new(), rest: from.any && to.any };
        for source in &from.payloads {
            let mut fits = to.payloads.iter().filter(|p| source.same_format(p));
            let first = fits.clone().next();
            if let Some(target) = fits.find(|p| p.clock == source.clock).or(first) {
                map.push(Mapping {
                    from: source.receive,
                    to: target.send,
                    from_clock: source.clock,
                    to_clock: target.clock,
                });
            }
        }
        map
    }

    /// The line for a received payload type.
    pub fn find(&self, payload_type: u8) -> Option<Mapping> {
        self.lines.iter().find(|m| m.from == payload_type).copied()
    }

    /// Everything passes as it is.
    pub fn is_unchanged(&self) -> bool {
        self.rest
    }

    /// Nothing would pass.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty() && !self.rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(name: &str, receive: u8, send: u8, clock: u32) -> Payload {
        Payload { receive, send, ..Payload::new(name, 0, clock) }
    }

    #[test]
    fn maps_by_name_clock_and_channels() {
        let a = Format::of([
            Payload::new("PCMU", 0, 8000),
            numbered("opus", 111, 107, 48000),
            numbered("telephone-event", 101, 96, 8000),
            numbered("telephone-event", 110, 97, 48000),
        ]);
        let b = Format::of([
            Payload::new("pcmu", 0, 8000),
            numbered("OPUS", 102, 120, 48000),
            numbered("telephone-event", 103, 127, 8000),
        ]);
        let ab = PayloadMap::between(&a, &b);
        let to = |pt| ab.find(pt).map(|m| (m.to, m.from_clock, m.to_clock));
        assert_eq!(to(0), Some((0, 8000, 8000)));
        assert_eq!(to(111), Some((120, 48000, 48000)));
        assert_eq!(to(101), Some((127, 8000, 8000)));
        assert_eq!(to(110), Some((127, 48000, 8000)), "events go across clocks");
        assert_eq!(to(8), None);
        let ba = PayloadMap::between(&b, &a);
        assert_eq!(ba.find(103).map(|m| m.to), Some(96), "the event of the same clock");
    }

    #[test]
    fn no_event_on_the_other_side_means_none_passes() {
        let a = Format::of([Payload::new("PCMA", 8, 8000), Payload::new("telephone-event", 101, 8000)]);
        let b = Format::of([Payload::new("PCMA", 8, 8000)]);
        assert_eq!(PayloadMap::between(&a, &b).find(101), None);
        assert!(PayloadMap::between(&Format::default(), &b).is_empty());
        assert!(PayloadMap::between(&Format::any(), &Format::any()).is_unchanged());
        assert!(PayloadMap::between(&Format::any(), &b).is_empty());
    }

    #[test]
    fn the_event_of_the_audio_clock_is_sent() {
        let f = Format::of([
            Payload::new("telephone-event", 101, 8000),
            Payload::new("telephone-event", 110, 48000),
        ]);
        assert_eq!(f.event_for(48000).map(|p| p.send), Some(110));
        assert_eq!(f.event_for(16000).map(|p| p.send), Some(101));
        assert_eq!(Format::default().event_for(8000), None);
    }
}
