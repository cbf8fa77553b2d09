//! A session description as a value, and how it is printed (RFC 8866 §5, §9).

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::Codec;
use super::parse::encoding;
use smallvec::SmallVec;

/// A whole session description. Every m-line and every attribute is kept, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// `o=`
    pub origin: Origin,
    /// `s=`; `-` when the sender gave none.
    pub name: String,
    /// `c=` of the session, inherited by m-lines that have none of their own.
    pub connection: Option<Connection>,
    /// The other lines before the first m-line (`i= u= e= p= b= t= r= z= k=`), by their letter.
    pub lines: Vec<(char, String)>,
    /// `a=` of the session.
    pub attributes: Vec<Attribute>,
    /// The m-lines.
    pub media: Vec<Media>,
}

/// `o=<username> <id> <version> IN IP4 <address>`. Id and version are kept as text: they may exceed 64 bit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// User name, `-` for none.
    pub username: String,
    /// Session id.
    pub id: String,
    /// Version, grows by one with each change (RFC 3264 §8).
    pub version: String,
    /// Address of who made it; says nothing about where media goes.
    pub connection: Connection,
}

/// The network type, address type and address of `c=` and `o=`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Connection {
    /// `IN IP4`/`IN IP6` with a literal address. A multicast TTL or count is dropped.
    Ip(IpAddr),
    /// A host name or another network type, as written after `c=`.
    Other(String),
}

/// An `a=` line: `name` or `name:value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// The part before the first colon.
    pub name: Cow<'static, str>,
    /// The part after it.
    pub value: Option<String>,
}

/// What an m-line carries.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `audio`
    Audio,
    /// `video`
    Video,
    /// `text`, `image`, `application`, `message`, or a name not known.
    Other(String),
}

/// Who sends in an m-line, as seen by who wrote the description (RFC 3264 §5.1).
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Default)]
pub enum Direction {
    /// Both ways.
    #[default]
    SendRecv,
    /// The writer only sends.
    SendOnly,
    /// The writer only receives.
    RecvOnly,
    /// Neither.
    Inactive,
}

/// One m-line with all that belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    /// What it carries.
    pub kind: Kind,
    /// RTP port, 0 for refused or disabled (RFC 3264 §6).
    pub port: u16,
    /// `/n` after the port, when there.
    pub port_count: Option<u16>,
    /// Transport profile as written: `RTP/AVP`, `RTP/SAVP`, `udptl` …
    pub proto: String,
    /// Formats as written; payload numbers when [`Media::is_rtp`].
    pub formats: Vec<String>,
    /// `c=` of this m-line.
    pub connection: Option<Connection>,
    /// Other lines (`i= b= k=`), by their letter.
    pub lines: Vec<(char, String)>,
    /// `a=` lines.
    pub attributes: Vec<Attribute>,
}

impl Session {
    /// The `c=` in force for an m-line.
    pub fn connection_of<'a>(&'a self, media: &'a Media) -> Option<&'a Connection> {
        media.connection.as_ref().or(self.connection.as_ref())
    }

    /// Where the writer of this description wants RTP of that m-line. None when the m-line is disabled, the
    /// address is a host name, or it is the null address (old way to hold, RFC 3264 §8.4).
    pub fn rtp_address(&self, media: &Media) -> Option<SocketAddr> {
        match self.connection_of(media)? {
            Connection::Ip(ip) if media.port != 0 && !ip.is_unspecified() => {
                Some(SocketAddr::new(*ip, media.port))
            }
            _ => None,
        }
    }

    /// Where RTCP of that m-line goes: `a=rtcp` (RFC 3605), else the next port.
    pub fn rtcp_address(&self, media: &Media) -> Option<SocketAddr> {
        let rtp = self.rtp_address(media)?;
        if let Some(value) = media.attribute("rtcp").and_then(|a| a.value.as_deref()) {
            let mut words = value.split_ascii_whitespace();
            if let Some(port) = words.next().and_then(|p| p.parse::<u16>().ok()).filter(|p| *p != 0) {
                let ip = words.nth(2).and_then(|a| a.parse().ok()).unwrap_or(rtp.ip());
                return Some(SocketAddr::new(ip, port));
            }
        }
        rtp.port().checked_add(1).map(|port| SocketAddr::new(rtp.ip(), port))
    }

    /// Direction of an m-line: its own attribute, else the session's, else sendrecv.
    pub fn direction(&self, media: &Media) -> Direction {
        direction_in(&media.attributes).or_else(|| direction_in(&self.attributes)).unwrap_or_default()
    }

    /// [`Session::direction`], where the null address takes away the writer's receiving half.
    pub fn effective_direction(&self, media: &Media) -> Direction {
        let stated = self.direction(media);
        match self.connection_of(media) {
            Some(Connection::Ip(ip)) if ip.is_unspecified() => stated.and(Direction::SendOnly),
            _ => stated,
        }
    }

    /// Does the writer put its peer on hold: every audio m-line in use is sendonly, inactive or at the null
    /// address. Without audio, every m-line in use counts.
    pub fn is_hold(&self) -> bool {
        let active = || self.media.iter().filter(|m| m.port != 0);
        let held = |m: &Media| !self.effective_direction(m).receives();
        if active().any(|m| m.kind == Kind::Audio) {
            active().filter(|m| m.kind == Kind::Audio).all(held)
        } else {
            active().next().is_some() && active().all(held)
        }
    }

    /// Sets the direction of every m-line in use: how an established session is held and resumed.
    pub fn set_direction(&mut self, direction: Direction) {
        self.attributes.retain(|a| Direction::named(&a.name).is_none());
        for media in self.media.iter_mut().filter(|m| m.port != 0) {
            media.set_direction(direction);
        }
    }

    /// Gives this description the `o=` line that follows `previous` (RFC 3264 §8): same id, and the version
    /// one up if anything else in the text differs, the same version if not.
    pub fn numbered_after(mut self, previous: &Session) -> Session {
        let address = std::mem::replace(&mut self.origin, previous.origin.clone()).connection;
        self.origin.connection = address;
        if self.text() != previous.text() {
            let version = previous.origin.version.parse::<u64>().unwrap_or(0);
            self.origin.version = version.wrapping_add(1).to_string();
        }
        self
    }

    /// The first m-line in use of a kind.
    pub fn first(&self, kind: &Kind) -> Option<&Media> {
        self.media.iter().find(|m| m.port != 0 && m.kind == *kind)
    }
}

impl Media {
    /// Is this RTP of some profile, so that formats are payload numbers?
    pub fn is_rtp(&self) -> bool {
        self.proto.as_bytes().windows(4).any(|w| w.eq_ignore_ascii_case(b"RTP/"))
    }

    /// Is this plain RTP, which tandem can relay: `RTP/AVP`, or `RTP/AVPF` taken as such.
    pub fn is_plain_rtp(&self) -> bool {
        self.proto.eq_ignore_ascii_case("RTP/AVP") || self.proto.eq_ignore_ascii_case("RTP/AVPF")
    }

    /// The first attribute of a name.
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|a| a.name.eq_ignore_ascii_case(name))
    }

    /// Every format in order of preference, telephone-event and CN included. A dynamic number without an
    /// rtpmap says nothing and is left out.
    pub fn codecs(&self) -> Vec<Codec> {
        if !self.is_rtp() {
            return Vec::new();
        }
        let described = self.described();
        let said = |what, pt| described.iter().find(|d| d.0 == what && d.1 == pt).map(|d| d.2);
        let mut codecs: Vec<Codec> = Vec::with_capacity(self.formats.len());
        for pt in self.formats.iter().filter_map(|f| f.parse::<u8>().ok()) {
            if codecs.iter().any(|c| c.pt == pt) {
                continue;
            }
            let mapped = said(Said::Rtpmap, pt).and_then(encoding);
            let mapped =
                mapped.map(|(name, clock, channels)| Codec::new(pt, Codec::spelled(name), clock, channels));
            if let Some(mut codec) = mapped.or_else(|| Codec::of_static(pt)) {
                codec.fmtp = said(Said::Fmtp, pt).map(str::to_owned);
                codecs.push(codec);
            }
        }
        codecs
    }

    /// Each `a=rtpmap:<pt> <value>` and `a=fmtp:<pt> <value>`, in order.
    fn described(&self) -> SmallVec<[(Said, u8, &str); 8]> {
        let one = |a| {
            let Attribute { name, value }: &Attribute = a;
            let said = match name.len() {
                6 if name.eq_ignore_ascii_case("rtpmap") => Said::Rtpmap,
                4 if name.eq_ignore_ascii_case("fmtp") => Said::Fmtp,
                _ => return None,
            };
            let value = value.as_deref()?.trim_start();
            let end = value.bytes().position(|b| matches!(b, b' ' | b'\t'))?;
            Some((said, value.get(..end)?.parse().ok()?, value.get(end..)?.trim()))
        };
        self.attributes.iter().filter_map(one).collect()
    }

    /// The telephone-event formats, one per clock.
    pub fn events(&self) -> Vec<Codec> {
        let mut events = self.codecs();
        events.retain(Codec::is_event);
        events
    }

    /// `a=ptime` in ms, when it is a sensible number.
    pub fn ptime(&self) -> Option<u16> {
        self.milliseconds("ptime")
    }

    /// `a=maxptime` in ms.
    pub fn maxptime(&self) -> Option<u16> {
        self.milliseconds("maxptime")
    }

    fn milliseconds(&self, name: &str) -> Option<u16> {
        self.attribute(name)?.value.as_deref()?.trim().parse().ok().filter(|p| (1..=1000).contains(p))
    }

    /// `a=rtcp-mux` (RFC 5761) is offered or accepted.
    pub fn rtcp_mux(&self) -> bool {
        self.attribute("rtcp-mux").is_some()
    }

    /// Replaces the direction attribute.
    pub fn set_direction(&mut self, direction: Direction) {
        self.attributes.retain(|a| Direction::named(&a.name).is_none());
        self.attributes.push(Attribute::flag(direction.name()));
    }
}

/// What an attribute says of a payload number.
#[derive(Clone, Copy, PartialEq)]
enum Said {
    Rtpmap,
    Fmtp,
}

fn direction_in(attributes: &[Attribute]) -> Option<Direction> {
    attributes.iter().filter(|a| a.value.is_none()).find_map(|a| Direction::named(&a.name))
}

impl Direction {
    /// Its attribute name.
    pub fn name(self) -> &'static str {
        match self {
            Direction::SendRecv => "sendrecv",
            Direction::SendOnly => "sendonly",
            Direction::RecvOnly => "recvonly",
            Direction::Inactive => "inactive",
        }
    }

    /// The direction an attribute name states.
    pub fn named(name: &str) -> Option<Direction> {
        [Direction::SendRecv, Direction::SendOnly, Direction::RecvOnly, Direction::Inactive]
            .into_iter()
            .find(|d| name.eq_ignore_ascii_case(d.name()))
    }

    /// From its two halves.
    pub fn of(sends: bool, receives: bool) -> Direction {
        match (sends, receives) {
            (true, true) => Direction::SendRecv,
            (true, false) => Direction::SendOnly,
            (false, true) => Direction::RecvOnly,
            (false, false) => Direction::Inactive,
        }
    }

    /// Does the writer send?
    pub fn sends(self) -> bool {
        matches!(self, Direction::SendRecv | Direction::SendOnly)
    }

    /// Does the writer receive?
    pub fn receives(self) -> bool {
        matches!(self, Direction::SendRecv | Direction::RecvOnly)
    }

    /// The same as the other side sees it (RFC 3264 §6.1).
    pub fn reversed(self) -> Direction {
        Direction::of(self.receives(), self.sends())
    }

    /// What both allow.
    pub fn and(self, other: Direction) -> Direction {
        Direction::of(self.sends() && other.sends(), self.receives() && other.receives())
    }
}

impl Kind {
    /// Reads the first word of an m-line.
    pub fn named(name: &str) -> Kind {
        if name.eq_ignore_ascii_case("audio") {
            Kind::Audio
        } else if name.eq_ignore_ascii_case("video") {
            Kind::Video
        } else {
            Kind::Other(name.to_owned())
        }
    }

    /// The first word of an m-line.
    pub fn name(&self) -> &str {
        match self {
            Kind::Audio => "audio",
            Kind::Video => "video",
            Kind::Other(name) => name,
        }
    }
}

impl Attribute {
    /// A name as spelled, without a copy where everybody uses and spells it so.
    pub(super) fn spelled(name: &str) -> Cow<'static, str> {
        const NAMES: [&str; 10] = [
            "rtpmap", "fmtp", "ptime", "maxptime", "sendrecv", "sendonly", "recvonly", "inactive", "rtcp",
            "rtcp-mux",
        ];
        match NAMES.iter().find(|known| **known == name) {
            Some(known) => Cow::Borrowed(known),
            None => Cow::Owned(name.to_owned()),
        }
    }

    /// `a=name`
    pub fn flag(name: &'static str) -> Attribute {
        Attribute { name: name.into(), value: None }
    }

    /// `a=name:value`
    pub fn with(name: &'static str, value: impl fmt::Display) -> Attribute {
        Attribute { name: name.into(), value: Some(value.to_string()) }
    }
}

impl Connection {
    /// The literal address, if it is one.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Connection::Ip(ip) => Some(*ip),
            Connection::Other(_) => None,
        }
    }

    /// The null address, `0.0.0.0`.
    pub fn null() -> Connection {
        Connection::Ip(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
    }
}
