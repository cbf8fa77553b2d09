//! Answers offers (RFC 3264 §6): with what the other leg settled on, so that nothing needs transcoding, or
//! by preferences where tandem itself is the far end.

use super::draft::{Line, Passed, What};
use super::{Codec, Direction, Draft, Kind, Media, Prefs, Rules, SdpError, Session, pair};

/// Whose list decides (`inbound-codec-negotiation`, variable rtp_codec_negotiation).
#[derive(Copy, Clone, Debug, PartialEq, Eq, Default)]
pub enum Negotiation {
    /// The peer's order.
    #[default]
    Generous,
    /// Our order.
    Greedy,
    /// Our order, and our packet time or not at all.
    Scrooge,
}

impl Negotiation {
    /// Reads the configured word, without regard to case.
    pub fn named(name: &str) -> Option<Negotiation> {
        match name.trim().to_ascii_lowercase().as_str() {
            "generous" => Some(Negotiation::Generous),
            "greedy" => Some(Negotiation::Greedy),
            "scrooge" => Some(Negotiation::Scrooge),
            _ => None,
        }
    }
}

/// What an answer goes by.
#[derive(Copy, Clone, Debug)]
pub enum Settled<'a> {
    /// The description the other leg gave (its answer, or its side of an established session).
    Leg(&'a Session),
    /// Nothing: tandem answers for itself.
    Prefs {
        /// What it can do.
        prefs: &'a Prefs,
        /// Whose order counts.
        negotiation: Negotiation,
    },
}

/// Answers an offer. Number, order, kind and proto of the m-lines are the offer's; an m-line that cannot be
/// used gets port 0. An m-line in use has one codec under the offerer's payload number, telephone-event for
/// its clock, and comfort noise if all sides have it.
///
/// # Errors
/// [`SdpError::NoCommonCodec`] when no m-line could be accepted (send 488).
pub fn answer(offer: &Session, settled: Settled<'_>, rules: &Rules) -> Result<Draft, SdpError> {
    let pairs = match settled {
        Settled::Leg(other) => pair(offer, other),
        Settled::Prefs { .. } => Vec::new(),
    };
    let mut kinds: Vec<&Kind> = Vec::new();
    let mut lines = Vec::with_capacity(offer.media.len());
    for (index, media) in offer.media.iter().enumerate() {
        let welcome = is_usable(media, rules) && !kinds.contains(&&media.kind);
        let offered = if welcome { media.codecs() } else { Vec::new() };
        let chosen = match settled {
            _ if !welcome => None,
            Settled::Leg(other) => {
                let at = pairs.iter().find(|p| p.0 == index).map(|p| p.1);
                at.and_then(|at| other.media.get(at)).and_then(|m| by_leg(media, &offered, other, m, rules))
            }
            Settled::Prefs { prefs, negotiation } => by_prefs(media, &offered, prefs, negotiation, rules),
        };
        match chosen {
            Some(chosen) => {
                kinds.push(&media.kind);
                lines.push(chosen.line(offer, media, &offered, rules));
            }
            None => lines.push(Line::off(media)),
        }
    }
    if kinds.is_empty() {
        return Err(SdpError::NoCommonCodec);
    }
    Ok(Draft { lines, verbose: rules.verbose, suppress_noise: rules.suppress_noise })
}

/// Could tandem answer this offer for itself?
pub fn is_answerable(offer: &Session, prefs: &Prefs, negotiation: Negotiation, rules: &Rules) -> bool {
    let mut usable = offer.media.iter().filter(|m| is_usable(m, rules));
    usable.any(|m| by_prefs(m, &m.codecs(), prefs, negotiation, rules).is_some())
}

fn is_usable(media: &Media, rules: &Rules) -> bool {
    media.port != 0 && media.is_plain_rtp() && (rules.video || media.kind != Kind::Video)
}

struct Chosen {
    codec: Codec,
    noise: bool,
    ptime: u16,
    direction: Direction,
    passed: Passed,
}

fn by_leg(
    media: &Media,
    offered: &[Codec],
    other: &Session,
    theirs: &Media,
    rules: &Rules,
) -> Option<Chosen> {
    let their_codecs = theirs.codecs();
    let (codec, settled) = best(offered, &their_codecs)?;
    let codec = Codec { fmtp: settled.fmtp.clone(), name: codec.name.clone(), ..*codec };
    Some(Chosen {
        codec,
        noise: their_codecs.iter().any(Codec::is_noise),
        ptime: theirs.ptime().or(media.ptime()).unwrap_or(rules.ptime),
        direction: if rules.mirror { other.effective_direction(theirs) } else { Direction::SendRecv },
        passed: Passed::from(theirs),
    })
}

/// The first codec of `settled` that the offer has too, as (the offer's, the settled one).
pub(super) fn best<'a>(offered: &'a [Codec], settled: &'a [Codec]) -> Option<(&'a Codec, &'a Codec)> {
    let primary = || offered.iter().filter(|c| c.is_primary());
    settled.iter().filter(|s| s.is_primary()).find_map(|s| {
        primary()
            .find(|o| o.pt == s.pt && o.interworks(s))
            .or_else(|| primary().find(|o| o.interworks(s)))
            .or_else(|| primary().find(|o| o.same_format(s)))
            .map(|o| (o, s))
    })
}

fn by_prefs(
    media: &Media,
    offered: &[Codec],
    prefs: &Prefs,
    how: Negotiation,
    rules: &Rules,
) -> Option<Chosen> {
    let asked = media.ptime();
    let fits = |c: &&Codec| {
        let ours = prefs.ptime(c);
        c.is_primary()
            && prefs.rank(c).is_some()
            && (how != Negotiation::Scrooge || asked.is_none() || ours.is_none() || asked == ours)
    };
    let codec = match how {
        Negotiation::Generous => offered.iter().find(fits)?,
        _ => offered.iter().filter(fits).min_by_key(|c| prefs.rank(c))?,
    };
    let ours = prefs.ptime(codec);
    let ptime = match how {
        Negotiation::Generous => asked.or(ours),
        _ => ours.or(asked),
    };
    Some(Chosen {
        codec: codec.clone(),
        noise: true,
        ptime: ptime.unwrap_or(rules.ptime).min(media.maxptime().unwrap_or(u16::MAX)),
        direction: Direction::SendRecv,
        passed: Passed::default(),
    })
}

impl Chosen {
    fn line(self, offer: &Session, media: &Media, offered: &[Codec], rules: &Rules) -> Line {
        let is_audio = media.kind == Kind::Audio;
        let clock = self.codec.clock;
        let mut codecs = vec![self.codec];
        if is_audio && rules.event_pt.is_some() {
            let events = || offered.iter().filter(|c| c.is_event());
            let of = |clock| events().find(move |e| e.clock == clock);
            let event = of(clock).or_else(|| of(8000)).or_else(|| events().next());
            codecs.extend(event.map(|e| Codec { fmtp: Some("0-15".to_owned()), ..e.clone() }));
        }
        if is_audio && self.noise && !rules.suppress_noise {
            codecs.extend(offered.iter().find(|c| c.is_noise() && c.clock == clock).cloned());
        }
        let what = What::On {
            codecs,
            direction: offer.effective_direction(media).reversed().and(self.direction).and(rules.direction),
            ptime: is_audio.then_some(self.ptime),
            maxptime: None,
            passed: self.passed,
        };
        Line { kind: media.kind.clone(), proto: media.proto.clone(), what }
    }
}
