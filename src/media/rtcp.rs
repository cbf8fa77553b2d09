//! RTCP across a bridge (RFC 3550 §6, RFC 4585, RFC 3611).
//!
//! The two sides know each other's streams by our SSRCs and numbers, so every report is translated: the sender's SSRC
//! becomes ours, the SSRC it reports on becomes the one the other side sends, and sequence numbers and timestamps move by
//! the same offsets as the RTP. BYE is left out: our stream goes on, perhaps with another partner.

const SR: u8 = 200;
const RR: u8 = 201;
const SDES: u8 = 202;
const BYE: u8 = 203;
const APP: u8 = 204;
const RTPFB: u8 = 205;
const PSFB: u8 = 206;
const XR: u8 = 207;

/// The numbers to translate with.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Translation {
    /// SSRC under which the receiver of the report knows its sender: that of our outgoing stream to it.
    pub own: u32,
    /// What was added to the sender's RTP timestamps.
    pub timestamp_offset: u32,
    /// The stream the sender reports on, when it is fed by the receiver of the report.
    pub about: Option<About>,
}

/// A stream that is reported on.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// SSRC the reporter sees.
    pub seen: u32,
    /// SSRC the other side sends.
    pub original: u32,
    /// What was added to its sequence numbers.
    pub sequence_offset: u16,
}

/// A report block about the stream we send (RFC 3550 §6.4.1).
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Part lost since the report before, in 1/256.
    pub fraction: u8,
    /// Cumulative packets lost, 24 bits signed.
    pub lost: i32,
    /// Jitter in timestamp units.
    pub jitter: u32,
}

/// One packet of a compound.
struct Part<'a> {
    kind: u8,
    count: u8,
    /// All after the first four bytes, without padding.
    body: &'a mut [u8],
}

/// Splits the next packet off and checks its length and counts.
fn split(rest: &mut [u8]) -> Option<(Part<'_>, &mut [u8])> {
    let [b0, kind, l0, l1] = *rest.first_chunk()?;
    if b0 >> 6 != 2 || !(SR..=XR).contains(&kind) {
        return None;
    }
    let length = (usize::from(u16::from_be_bytes([l0, l1])) + 1) * 4;
    let (packet, after) = rest.split_at_mut_checked(length)?;
    let mut end = packet.len();
    if b0 & 0x20 != 0 {
        // Only the last of a compound may be padded (§6.4.1).
        let padding = usize::from(*packet.last()?);
        if !after.is_empty() || padding == 0 || padding % 4 != 0 {
            return None;
        }
        end = end.checked_sub(padding).filter(|e| *e >= 4)?;
    }
    let part = Part { kind, count: b0 & 0x1f, body: packet.get_mut(4..end)? };
    let least = usize::from(part.count)
        * match kind {
            SR | RR => 24,
            SDES | BYE => 4,
            _ => 0,
        }
        + match kind {
            SR => 24,
            RR | XR => 4,
            APP | RTPFB | PSFB => 8,
            _ => 0,
        };
    (part.body.len() >= least).then_some((part, after))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn put(bytes: &mut [u8], at: usize, value: u32) {
    if let Some(place) = bytes.get_mut(at..at + 4) {
        place.copy_from_slice(&value.to_be_bytes());
    }
}

/// Whether these bytes are a sound compound packet (RFC 3550 A.2; reduced-size ones of RFC 5506 too).
pub fn check(packet: &mut [u8]) -> bool {
    let mut rest = packet;
    if rest.is_empty() {
        return false;
    }
    while !rest.is_empty() {
        match split(rest) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    true
}

/// The report blocks about the stream with `ssrc`: the last of them. The packet must have passed [`check`].
pub fn report_on(packet: &mut [u8], ssrc: u32) -> Option<Report> {
    let (mut rest, mut found) = (packet, None);
    while let Some((part, after)) = split(rest) {
        let start = match part.kind {
            SR => 24,
            RR => 4,
            _ => part.body.len(),
        };
        for block in part.body.get(start..).unwrap_or_default().chunks_exact(24).take(part.count.into()) {
            if word(block, 0) == Some(ssrc) {
                let losses = word(block, 4).unwrap_or(0);
                found = Some(Report {
                    fraction: (losses >> 24) as u8,
                    lost: (losses << 8) as i32 >> 8,
                    jitter: word(block, 12).unwrap_or(0),
                });
            }
        }
        rest = after;
    }
    found
}

/// Translates a compound in place and returns its new length. `None`: malformed, or nothing is left of it.
pub fn translate(packet: &mut [u8], with: &Translation) -> Option<usize> {
    if !check(packet) {
        return None;
    }
    let sender = word(packet, 4)?;
    let map = |ssrc: u32| match with.about {
        _ if ssrc == sender => with.own,
        Some(about) if ssrc == about.seen => about.original,
        _ => ssrc,
    };
    let (mut read, mut written) = (0, 0);
    while let Some((part, after)) = packet.get_mut(read..).filter(|r| !r.is_empty()).and_then(split) {
        let remaining = after.len();
        let keep = part.kind != BYE && part_in_place(part, with, &map);
        let end = packet.len() - remaining;
        if keep {
            packet.copy_within(read..end, written);
            written += end - read;
        }
        read = end;
    }
    (written > 0).then_some(written)
}

/// Translates one packet; `false`: leave it out.
fn part_in_place(part: Part<'_>, with: &Translation, map: &dyn Fn(u32) -> u32) -> bool {
    let Part { kind, count, body } = part;
    let mapped = |body: &mut [u8], at: usize| {
        if let Some(ssrc) = word(body, at) {
            put(body, at, map(ssrc));
        }
    };
    if kind != SDES {
        mapped(body, 0);
    }
    match kind {
        SR | RR => {
            if let (SR, Some(timestamp)) = (kind, word(body, 12)) {
                put(body, 12, timestamp.wrapping_add(with.timestamp_offset));
            }
            let start = if kind == SR { 24 } else { 4 };
            let blocks = body.get_mut(start..).unwrap_or_default();
            for block in blocks.chunks_exact_mut(24).take(count.into()) {
                if let (Some(about), Some(highest)) = (with.about, word(block, 8))
                    && word(block, 0) == Some(about.seen)
                {
                    put(block, 8, highest.wrapping_sub(about.sequence_offset.into()));
                }
                mapped(block, 0);
            }
            true
        }
        SDES => sdes(body, count, map),
        RTPFB | PSFB => {
            mapped(body, 4);
            match (kind, count) {
                // Generic NACK names sequence numbers (RFC 4585 §6.2.1).
                (RTPFB, 1) => {
                    let offset = with.about.map_or(0, |a| a.sequence_offset);
                    for nack in body.get_mut(8..).unwrap_or_default().chunks_exact_mut(4) {
                        if let Some([s0, s1]) = nack.first_chunk_mut() {
                            let lost = u16::from_be_bytes([*s0, *s1]).wrapping_sub(offset);
                            [*s0, *s1] = lost.to_be_bytes();
                        }
                    }
                }
                // FIR, TSTR, TSTN: an SSRC every eight bytes (RFC 5104 §4.3); TMMBR, TMMBN likewise (§4.2).
                (PSFB, 4..=6) | (RTPFB, 3 | 4) => {
                    (8..body.len()).step_by(8).for_each(|at| mapped(body, at));
                }
                // REMB: after name and rate, a list of SSRCs.
                (PSFB, 15) if body.get(8..12) == Some(b"REMB") => {
                    (16..body.len()).step_by(4).for_each(|at| mapped(body, at));
                }
                _ => {}
            }
            true
        }
        XR => {
            let mut at = 4;
            while let Some(head) = word(body, at) {
                let (block, length) = (head >> 24, (head & 0xffff) as usize * 4);
                match block {
                    1 | 2 | 3 | 6 | 7 if length >= 4 => mapped(body, at + 4),
                    5 => (at + 4..at + 4 + length).step_by(12).for_each(|sub| mapped(body, sub)),
                    _ => {}
                }
                at += 4 + length;
            }
            true
        }
        _ => true,
    }
}

/// SDES: each chunk is an SSRC and items up to a zero byte, padded to a word (§6.5).
fn sdes(body: &mut [u8], count: u8, map: &dyn Fn(u32) -> u32) -> bool {
    let mut at = 0;
    for _ in 0..count {
        let Some(ssrc) = word(body, at) else { return false };
        put(body, at, map(ssrc));
        at += 4;
        loop {
            match body.get(at) {
                None => return false,
                Some(0) => break,
                Some(_) => match body.get(at + 1) {
                    Some(length) => at += 2 + usize::from(*length),
                    None => return false,
                },
            }
        }
        at = (at + 1).next_multiple_of(4);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WITH: Translation = Translation {
        own: 0xaaaa_aaaa,
        timestamp_offset: 1000,
        about: Some(About { seen: 0x0000_0b0b, original: 0x0000_0c0c, sequence_offset: 5 }),
    };

    fn part(kind: u8, count: u8, words: &[u32]) -> Vec<u8> {
        let mut p = vec![0x80 | count, kind];
        p.extend_from_slice(&u16::try_from(words.len()).unwrap().to_be_bytes());
        words.iter().for_each(|w| p.extend_from_slice(&w.to_be_bytes()));
        p
    }

    fn sr() -> Vec<u8> {
        part(SR, 1, &[0x0a0a, 1, 2, 5000, 10, 1600, 0x0b0b, 0x4000_0003, 0x0001_0010, 77, 0, 0])
    }

    fn cname() -> Vec<u8> {
        part(SDES, 1, &[0x0a0a, u32::from_be_bytes([1, 1, b'x', 0])])
    }

    #[test]
    fn a_sender_report_is_translated() {
        let mut p = [sr(), cname()].concat();
        assert_eq!(report_on(&mut p, 0x0b0b), Some(Report { fraction: 64, lost: 3, jitter: 77 }));
        let len = translate(&mut p, &WITH).unwrap();
        let want = [
            part(SR, 1, &[0xaaaa_aaaa, 1, 2, 6000, 10, 1600, 0x0c0c, 0x4000_0003, 0x0001_000b, 77, 0, 0]),
            part(SDES, 1, &[0xaaaa_aaaa, u32::from_be_bytes([1, 1, b'x', 0])]),
        ]
        .concat();
        assert_eq!(&p[..len], &want[..]);
    }

    #[test]
    fn bye_is_left_out_and_what_follows_moves_up() {
        let fir = part(PSFB, 4, &[0x0a0a, 0, 0x0b0b, 0x0100_0000]);
        let mut p = [sr(), part(BYE, 1, &[0x0a0a]), fir].concat();
        let len = translate(&mut p, &WITH).unwrap();
        assert_eq!(len, p.len() - 8);
        assert_eq!(&p[sr().len()..len], &part(PSFB, 4, &[0xaaaa_aaaa, 0, 0x0c0c, 0x0100_0000])[..]);
        assert_eq!(translate(&mut part(BYE, 1, &[0x0a0a]), &WITH), None);
    }

    #[test]
    fn feedback_and_extended_reports() {
        for (what, before, after) in [
            ("PLI", part(PSFB, 1, &[0x0a0a, 0x0b0b]), part(PSFB, 1, &[0xaaaa_aaaa, 0x0c0c])),
            (
                "NACK",
                part(RTPFB, 1, &[0x0a0a, 0x0b0b, 0x0007_8001]),
                part(RTPFB, 1, &[0xaaaa_aaaa, 0x0c0c, 0x0002_8001]),
            ),
            (
                "REMB",
                part(PSFB, 15, &[0x0a0a, 0, u32::from_be_bytes(*b"REMB"), 0x0100_0001, 0x0b0b]),
                part(PSFB, 15, &[0xaaaa_aaaa, 0, u32::from_be_bytes(*b"REMB"), 0x0100_0001, 0x0c0c]),
            ),
            (
                "XR with receiver time, DLRR and VoIP metrics",
                part(XR, 0, &[0x0a0a, 0x0400_0002, 1, 2, 0x0500_0003, 0x0b0b, 3, 4, 0x0700_0001, 0x0b0b]),
                part(
                    XR,
                    0,
                    &[0xaaaa_aaaa, 0x0400_0002, 1, 2, 0x0500_0003, 0x0c0c, 3, 4, 0x0700_0001, 0x0c0c],
                ),
            ),
            ("an SSRC nobody knows", part(RR, 0, &[0x0d0d]), part(RR, 0, &[0xaaaa_aaaa])),
        ] {
            let mut p = before;
            let len = translate(&mut p, &WITH);
            assert_eq!((len, p), (Some(after.len()), after), "{what}");
        }
        let negative = part(RR, 1, &[1, 0x0b0b, 0x00ff_ffff, 0, 0, 0, 0]);
        assert_eq!(report_on(&mut negative.clone(), 0x0b0b).map(|r| r.lost), Some(-1));
    }

    #[test]
    fn malformed_ones_do_not_pass() {
        let padded = |pad: u8| {
            let mut p = part(RR, 0, &[1, 0, u32::from(pad)]);
            p[0] |= 0x20;
            p
        };
        assert!(check(&mut padded(8)) && check(&mut padded(4)));
        for (what, mut p) in [
            ("nothing", vec![]),
            ("half a header", vec![0x80, 200]),
            ("version 1", vec![0x40, 201, 0, 1, 0, 0, 0, 1]),
            ("not RTCP", vec![0x80, 199, 0, 1, 0, 0, 0, 1]),
            ("longer than the packet", vec![0x80, 201, 0, 2, 0, 0, 0, 1]),
            ("bytes after the end", [part(RR, 0, &[1]), vec![1]].concat()),
            ("more blocks than bytes", part(RR, 2, &[1, 2, 3, 4, 5, 6, 7])),
            ("SR without its sender part", part(SR, 0, &[1, 2])),
            ("padding of nothing", padded(0)),
            ("padding of three", padded(3)),
            ("padding beyond", padded(16)),
            ("padding that is not at the end", [padded(4), cname()].concat()),
        ] {
            assert!(!check(&mut p), "{what}");
            assert_eq!(translate(&mut p, &WITH), None, "{what}");
        }
        let mut unended = [sr(), part(SDES, 1, &[0x0a0a, u32::from_be_bytes([1, 200, b'x', b'y'])])].concat();
        assert_eq!(translate(&mut unended, &WITH), Some(sr().len()), "an SDES that runs over is left out");
    }

    proptest! {
        #[test]
        fn any_bytes_are_translated_without_panic(
            mut bytes in proptest::collection::vec(any::<u8>(), 0..120), kind in SR..=XR, count in 0u8..32
        ) {
            let _ = report_on(&mut bytes.clone(), 1);
            let _ = translate(&mut bytes.clone(), &WITH);
            // And so that it gets past the first check more often:
            bytes.truncate(bytes.len() / 4 * 4);
            if bytes.len() >= 4 {
                let words = u16::try_from(bytes.len() / 4 - 1).unwrap().to_be_bytes();
                bytes[..4].copy_from_slice(&[0x80 | count, kind, words[0], words[1]]);
                let _ = report_on(&mut bytes, 1);
                if let Some(len) = translate(&mut bytes, &WITH) {
                    prop_assert!(check(&mut bytes[..len]));
                }
            }
        }
    }
}
