//! An offer or answer that lacks only local ports, address and `o=` line, and how it is written.

use std::net::IpAddr;

use super::{Attribute, Codec, Connection, Direction, Kind, Media, Origin, SdpError, Session};

/// Who writes: what goes into `o=`, `s=` and `c=`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Author {
    /// `o=` user name and `s=`; FreeSWITCH writes `FreeSWITCH` (profile parameter username).
    pub username: String,
    /// `o=` session id, the same for the whole session of a leg.
    pub id: u64,
    /// `o=` version; a following description counts on by [`Session::numbered_after`].
    pub version: u64,
    /// The address for media, `c=` and `o=` alike.
    pub address: IpAddr,
}

/// What a profile or leg wants in every description it writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// `rfc2833-pt`: payload number for telephone-event where the peer has not named one; None leaves
    /// telephone-event out (`dtmf-type` info or none).
    pub event_pt: Option<u8>,
    /// `suppress-cng`: no comfort noise, and `a=silenceSupp:off`.
    pub suppress_noise: bool,
    /// `verbose-sdp`: rtpmap lines for static payload numbers too.
    pub verbose: bool,
    /// The most this side does: SendRecv, or less to hold.
    pub direction: Direction,
    /// Shall a direction of the other leg narrower than sendrecv show on this one? Off while tandem plays
    /// music to this leg itself.
    pub mirror: bool,
    /// Packet time in ms where nobody says another.
    pub ptime: u16,
    /// Offer video m-lines, and accept them.
    pub video: bool,
}

/// FreeSWITCH's defaults.
impl Default for Rules {
    fn default() -> Rules {
        Rules {
            event_pt: Some(101),
            suppress_noise: false,
            verbose: false,
            direction: Direction::SendRecv,
            mirror: true,
            ptime: 20,
            video: true,
        }
    }
}

/// m-lines decided, ports still open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    pub(super) lines: Vec<Line>,
    pub(super) verbose: bool,
    pub(super) suppress_noise: bool,
}

/// One m-line of a draft.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub kind: Kind,
    pub proto: String,
    pub what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// Port 0; the formats only fill the line.
    Off { formats: Vec<String> },
    /// In use.
    On {
        /// Primary codecs in order, then events, then noise.
        codecs: Vec<Codec>,
        direction: Direction,
        ptime: Option<u16>,
        maxptime: Option<u16>,
        /// `b=` lines and attributes passed on from the other leg.
        passed: Passed,
    },
}

/// What a relay passes on besides codecs because it describes the far end's picture or rate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Passed {
    bandwidth: Vec<(char, String)>,
    attributes: Vec<Attribute>,
}

/// Media attributes that describe the stream itself and hold on both legs of a relay.
const STREAM: &[&str] = &["framerate", "framesize", "imageattr", "quality", "cliprect"];

impl Passed {
    pub fn from(media: &Media) -> Passed {
        let is_rate =
            |l: &&(char, String)| l.0 == 'b' && (l.1.starts_with("AS:") || l.1.starts_with("TIAS:"));
        let of_stream = |a: &&Attribute| STREAM.iter().any(|n| a.name.eq_ignore_ascii_case(n));
        Passed {
            bandwidth: media.lines.iter().filter(is_rate).cloned().collect(),
            attributes: media.attributes.iter().filter(of_stream).cloned().collect(),
        }
    }
}

impl Line {
    /// The refused form of somebody's m-line: same kind and proto, port 0 (RFC 3264 §6).
    pub fn off(media: &Media) -> Line {
        let formats = media.formats.first().cloned().unwrap_or_else(|| "0".to_owned());
        Line {
            kind: media.kind.clone(),
            proto: media.proto.clone(),
            what: What::Off { formats: vec![formats] },
        }
    }

    pub fn is_on(&self) -> bool {
        matches!(self.what, What::On { .. })
    }
}

impl Draft {
    /// How many m-lines there are.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// No m-line at all.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The m-lines that need a local port: index and kind.
    pub fn wanted(&self) -> impl Iterator<Item = (usize, &Kind)> {
        self.lines.iter().enumerate().filter(|(_, l)| l.is_on()).map(|(i, l)| (i, &l.kind))
    }

    /// The description. `ports` are local RTP ports by index of the m-line (what stands at refused ones
    /// does not matter).
    ///
    /// # Errors
    /// [`SdpError::NoPort`] when an m-line in use has none.
    pub fn write(&self, author: &Author, ports: &[u16]) -> Result<Session, SdpError> {
        let connection = Connection::Ip(author.address);
        let mut media = Vec::with_capacity(self.lines.len());
        for (index, line) in self.lines.iter().enumerate() {
            media.push(match &line.what {
                What::Off { formats } => line.written(0, formats.clone()),
                What::On { .. } => {
                    let port = ports.get(index).copied().filter(|p| *p != 0);
                    self.line_in_use(line, port.ok_or(SdpError::NoPort { line: index })?)
                }
            });
        }
        Ok(Session {
            origin: Origin {
                username: author.username.clone(),
                id: author.id.to_string(),
                version: author.version.to_string(),
                connection: connection.clone(),
            },
            name: author.username.clone(),
            connection: Some(connection),
            lines: Vec::new(),
            attributes: Vec::new(),
            media,
        })
    }

    fn line_in_use(&self, line: &Line, port: u16) -> Media {
        let What::On { codecs, direction, ptime, maxptime, passed } = &line.what else {
            return line.written(0, Vec::new());
        };
        let mut media = line.written(port, codecs.iter().map(|c| c.pt.to_string()).collect());
        for codec in codecs {
            if self.verbose || codec.needs_rtpmap() {
                media.attributes.push(Attribute::with("rtpmap", format_args!("{} {codec}", codec.pt)));
            }
            if let Some(fmtp) = &codec.fmtp {
                media.attributes.push(Attribute::with("fmtp", format_args!("{} {fmtp}", codec.pt)));
            }
        }
        if self.suppress_noise && line.kind == Kind::Audio {
            media.attributes.push(Attribute::with("silenceSupp", "off - - - -"));
        }
        media.attributes.extend(ptime.map(|p| Attribute::with("ptime", p)));
        media.attributes.extend(maxptime.map(|p| Attribute::with("maxptime", p)));
        media.attributes.extend(passed.attributes.iter().cloned());
        media.attributes.push(Attribute::flag(direction.name()));
        media.lines = passed.bandwidth.clone();
        media
    }
}

impl Line {
    fn written(&self, port: u16, formats: Vec<String>) -> Media {
        Media {
            kind: self.kind.clone(),
            port,
            port_count: None,
            proto: self.proto.clone(),
            formats,
            connection: None,
            lines: Vec::new(),
            attributes: Vec::new(),
        }
    }
}
