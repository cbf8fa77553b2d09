//! Makes offers: for a b-leg from what the a-leg can, or from preferences alone, and again on an
//! established session (RFC 3264 §5, §8).

use super::draft::{Line, Passed, What};
use super::prefs::free_number;
use super::{AgreedMedia, Codec, Draft, Kind, Media, Prefs, Rules, SdpError, Session};

/// Where the codecs of an offer come from.
#[derive(Copy, Clone, Debug)]
pub enum Source<'a> {
    /// The a-leg's offer, not answered yet: its codecs in its order and under its payload numbers, less
    /// what the preferences do not want. None wants everything.
    Offer {
        /// The a-leg's description.
        offer: &'a Session,
        /// What this switch passes.
        prefs: Option<&'a Prefs>,
    },
    /// The same, but the codecs named in `first` in the a-leg's order and then those named in `then` in the order of that
    /// list; a codec that neither names is left out.
    Sorted {
        /// The a-leg's description.
        offer: &'a Session,
        /// These come first.
        first: Option<&'a Prefs>,
        /// These in this order.
        then: &'a Prefs,
    },
    /// The a-leg is answered already: just what was agreed with it.
    Agreed(&'a [AgreedMedia]),
    /// No a-leg (originate), or it has not said what it can (delayed offer).
    Prefs(&'a Prefs),
}

/// A new offer. m-lines that cannot be used are left out; there is one per kind at most, since phones that
/// are offered two audio lines refuse the call.
///
/// # Errors
/// [`SdpError::NoCommonCodec`] when no m-line remains.
pub fn offer(source: Source<'_>, rules: &Rules) -> Result<Draft, SdpError> {
    let mut lines: Vec<Line> = match source {
        Source::Offer { offer, prefs } => {
            let wanted = |c: &Codec| prefs.is_none_or(|p| p.rank(c).is_some());
            offer.media.iter().filter_map(|m| from_offer(offer, m, wanted, rules)).collect()
        }
        Source::Sorted { offer, first, then } => {
            let early = |c: &Codec| first.and_then(|p| p.rank(c)).map(|_| 0);
            let rank = |c: &Codec| early(c).or_else(|| then.rank(c).map(|rank| rank + 1));
            let wanted = |c: &Codec| rank(c).is_some();
            let lines = offer.media.iter().filter_map(|m| from_offer(offer, m, wanted, rules));
            let sorted = lines.map(|mut line| {
                if let What::On { codecs, .. } = &mut line.what {
                    // events and noise stay behind
                    codecs.sort_by_key(|c| if c.is_primary() { rank(c) } else { Some(usize::MAX) });
                }
                line
            });
            sorted.collect()
        }
        Source::Agreed(agreed) => agreed.iter().map(|m| from_agreed(m, rules)).collect(),
        Source::Prefs(prefs) => {
            [Kind::Audio, Kind::Video].iter().filter_map(|k| from_prefs(k, prefs, rules)).collect()
        }
    };
    let mut seen: Vec<Kind> = Vec::new();
    lines.retain(|line| {
        let new = !seen.contains(&line.kind) && (rules.video || line.kind != Kind::Video);
        seen.extend(new.then(|| line.kind.clone()));
        new
    });
    if lines.is_empty() {
        return Err(SdpError::NoCommonCodec);
    }
    Ok(Draft { lines, verbose: rules.verbose, suppress_noise: rules.suppress_noise })
}

/// An offer on an established session: the m-lines of `previous` (our last description) stay in number and
/// order, those without a source now get port 0, new ones are added at the end. A payload number never
/// changes its meaning within a session (RFC 3264 §8.3.2).
///
/// # Errors
/// [`SdpError::NoCommonCodec`] when no m-line would remain in use.
pub fn reoffer(previous: &Session, source: Source<'_>, rules: &Rules) -> Result<Draft, SdpError> {
    let mut fresh = offer(source, rules)?;
    let mut lines = Vec::with_capacity(previous.media.len());
    for media in &previous.media {
        match fresh.lines.iter().position(|l| l.kind == media.kind) {
            Some(at) => {
                let mut line = fresh.lines.remove(at);
                if media.is_plain_rtp() {
                    line.proto = media.proto.clone();
                }
                renumber(&mut line, &media.codecs());
                lines.push(line);
            }
            None => lines.push(Line::off(media)),
        }
    }
    lines.append(&mut fresh.lines);
    Ok(Draft { lines, ..fresh })
}

/// Gives codecs the numbers they had before, and moves the others off numbers that meant something else.
fn renumber(line: &mut Line, before: &[Codec]) {
    let What::On { codecs, .. } = &mut line.what else { return };
    let mut taken: Vec<u8> = before.iter().chain(codecs.iter()).map(|c| c.pt).collect();
    let mut used: Vec<u8> = Vec::new();
    for codec in codecs.iter_mut() {
        let known = before.iter().find(|b| b.interworks(codec) && !used.contains(&b.pt));
        if let Some(known) = known {
            codec.pt = known.pt;
        } else if (before.iter().any(|b| b.pt == codec.pt) || used.contains(&codec.pt))
            && let Some(free) = free_number(&taken)
        {
            codec.pt = free;
            taken.push(free);
        }
        used.push(codec.pt);
    }
    // number space exhausted: a double number would be worse than a codec less
    let mut seen: Vec<u8> = Vec::new();
    codecs.retain(|c| {
        let new = !seen.contains(&c.pt);
        seen.push(c.pt);
        new
    });
}

/// The m-line with the codecs that are wanted.
fn from_offer(
    offer: &Session,
    media: &Media,
    wanted: impl Fn(&Codec) -> bool,
    rules: &Rules,
) -> Option<Line> {
    if media.port == 0 || !media.is_plain_rtp() {
        return None;
    }
    let all = media.codecs();
    let mut codecs: Vec<Codec> = all.iter().filter(|c| c.is_primary() && wanted(c)).cloned().collect();
    if codecs.is_empty() {
        return None;
    }
    let is_audio = media.kind == Kind::Audio;
    if is_audio {
        add_events(&mut codecs, &all, rules);
        add_noise(&mut codecs, &all, rules);
    }
    let stated = if rules.mirror { offer.effective_direction(media) } else { Default::default() };
    let what = What::On {
        codecs,
        direction: stated.and(rules.direction),
        ptime: is_audio.then(|| media.ptime().unwrap_or(rules.ptime)),
        maxptime: media.maxptime().filter(|_| is_audio),
        passed: Passed::from(media),
    };
    Some(Line { kind: media.kind.clone(), proto: "RTP/AVP".to_owned(), what })
}

fn from_agreed(media: &AgreedMedia, rules: &Rules) -> Line {
    let mut codecs = vec![media.codec.clone()];
    let is_audio = media.kind == Kind::Audio;
    if is_audio {
        let events: Vec<Codec> =
            media.events.iter().map(|e| Codec::new(e.send, "telephone-event", e.clock, 1)).collect();
        add_events(&mut codecs, &events, rules);
        let noise: Vec<Codec> =
            media.noise.iter().map(|n| Codec::new(n.send, "CN", media.codec.clock, 1)).collect();
        add_noise(&mut codecs, &noise, rules);
    }
    let ptime = is_audio.then(|| media.ptime.unwrap_or(rules.ptime));
    let what =
        What::On { codecs, direction: rules.direction, ptime, maxptime: None, passed: Passed::default() };
    Line { kind: media.kind.clone(), proto: "RTP/AVP".to_owned(), what }
}

fn from_prefs(kind: &Kind, prefs: &Prefs, rules: &Rules) -> Option<Line> {
    let mut taken: Vec<u8> = rules.event_pt.into_iter().collect();
    let mut codecs = prefs.codecs(kind, &mut taken);
    let first = codecs.first()?.clone();
    let is_audio = *kind == Kind::Audio;
    if is_audio {
        add_events(&mut codecs, &[], rules);
    }
    let what = What::On {
        codecs,
        direction: rules.direction,
        ptime: is_audio.then(|| prefs.ptime(&first).unwrap_or(rules.ptime)),
        maxptime: None,
        passed: Passed::default(),
    };
    Some(Line { kind: kind.clone(), proto: "RTP/AVP".to_owned(), what })
}

/// telephone-event for each clock among the codecs (RFC 4733 §2.1) and always for 8000, which phones use
/// whatever the codec. The source's numbers are kept; else `rfc2833-pt` for the first and free ones then.
fn add_events(codecs: &mut Vec<Codec>, source: &[Codec], rules: &Rules) {
    let Some(default_pt) = rules.event_pt else { return };
    let mut clocks: Vec<u32> = vec![8000];
    for codec in codecs.iter() {
        if !clocks.contains(&codec.clock) {
            clocks.push(codec.clock);
        }
    }
    let theirs: Vec<&Codec> = source.iter().filter(|c| c.is_event()).collect();
    let mut taken: Vec<u8> = codecs.iter().chain(source.iter()).map(|c| c.pt).collect();
    for clock in clocks {
        let mut event = match theirs.iter().find(|e| e.clock == clock) {
            Some(event) => (*event).clone(),
            None if theirs.is_empty() || clock == 8000 => {
                let pt = Some(default_pt).filter(|pt| !taken.contains(pt)).or_else(|| free_number(&taken));
                let Some(pt) = pt else { continue };
                taken.push(pt);
                Codec::new(pt, "telephone-event", clock, 1)
            }
            None => continue,
        };
        event.fmtp.get_or_insert_with(|| "0-15".to_owned());
        codecs.push(event);
    }
}

/// The source's comfort noise, unless suppressed.
fn add_noise(codecs: &mut Vec<Codec>, source: &[Codec], rules: &Rules) {
    if rules.suppress_noise {
        return;
    }
    let fits = |n: &&Codec| n.is_noise() && codecs.iter().any(|c| c.clock == n.clock);
    let noise: Vec<Codec> = source.iter().filter(fits).cloned().collect();
    codecs.extend(noise);
}
