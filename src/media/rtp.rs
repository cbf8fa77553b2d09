//! The RTP header (RFC 3550 §5.1), read and rewritten in place.
//!
//! Nothing here copies a packet: [`Header::read`] checks and reads, [`rewrite`] writes the four fields a relay
//! changes back into the same buffer.

/// Bytes of the fixed header.
pub const FIXED: usize = 12;

/// What a relay needs to know of one RTP packet.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// M bit.
    pub marker: bool,
    /// Payload type, 0–127.
    pub payload_type: u8,
    /// Sequence number.
    pub sequence: u16,
    /// Timestamp in units of the payload's clock.
    pub timestamp: u32,
    /// Synchronisation source.
    pub ssrc: u32,
    /// Where the payload begins: after the CSRC list and the extension.
    pub payload_at: usize,
    /// Where it ends: before the padding.
    pub payload_end: usize,
}

impl Header {
    /// Reads and checks the header as RFC 3550 A.1 wants: version 2, CSRC list, extension and padding within the
    /// packet. `None` for anything else.
    pub fn read(packet: &[u8]) -> Option<Header> {
        let (fixed, rest) = packet.split_first_chunk::<FIXED>()?;
        let [b0, b1, s0, s1, t0, t1, t2, t3, r0, r1, r2, r3] = *fixed;
        if b0 >> 6 != 2 {
            return None;
        }
        let mut payload_at = FIXED + usize::from(b0 & 0x0f) * 4;
        if b0 & 0x10 != 0 {
            let words = rest.get(payload_at - FIXED + 2..payload_at - FIXED + 4)?;
            payload_at += 4 + usize::from(u16::from_be_bytes(words.try_into().ok()?)) * 4;
        }
        let mut payload_end = packet.len();
        if b0 & 0x20 != 0 {
            let padding = usize::from(*packet.last()?);
            if padding == 0 {
                return None;
            }
            payload_end = payload_end.checked_sub(padding)?;
        }
        if payload_at > payload_end {
            return None;
        }
        Some(Header {
            marker: b1 & 0x80 != 0,
            payload_type: b1 & 0x7f,
            sequence: u16::from_be_bytes([s0, s1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            ssrc: u32::from_be_bytes([r0, r1, r2, r3]),
            payload_at,
            payload_end,
        })
    }
}

/// Writes marker, payload type, sequence, timestamp and SSRC into a packet that [`Header::read`] accepted.
/// A packet shorter than the fixed header is left alone.
pub fn rewrite(packet: &mut [u8], marker: bool, payload_type: u8, sequence: u16, timestamp: u32, ssrc: u32) {
    if let Some(fixed) = packet.first_chunk_mut::<FIXED>() {
        let [s0, s1] = sequence.to_be_bytes();
        let [t0, t1, t2, t3] = timestamp.to_be_bytes();
        let [r0, r1, r2, r3] = ssrc.to_be_bytes();
        let b1 = u8::from(marker) << 7 | (payload_type & 0x7f);
        *fixed = [fixed[0], b1, s0, s1, t0, t1, t2, t3, r0, r1, r2, r3];
    }
}

/// A packet on a port where RTP and RTCP are multiplexed is RTCP when its second byte says so (RFC 5761 §4).
pub fn looks_like_rtcp(packet: &[u8]) -> bool {
    matches!(packet, [b0, b1, ..] if b0 >> 6 == 2 && (192..=223).contains(b1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_rfc_3550_allows_and_nothing_else() {
        let plain = [0x80, 0x80, 0, 1, 0, 0, 0, 160, 1, 2, 3, 4, 0xff];
        let h = Header::read(&plain).unwrap();
        assert_eq!(
            (h.marker, h.payload_type, h.sequence, h.timestamp, h.ssrc),
            (true, 0, 1, 160, 0x01020304)
        );
        assert_eq!((h.payload_at, h.payload_end), (12, 13));

        let with = |b0: u8, tail: &[u8]| {
            let mut p = vec![b0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1];
            p.extend_from_slice(tail);
            Header::read(&p).map(|h| (h.payload_at, h.payload_end))
        };
        // (what, first byte, after the fixed header, payload range)
        type Row<'a> = (&'a str, u8, &'a [u8], Option<(usize, usize)>);
        let table: &[Row<'_>] = &[
            ("empty payload", 0x80, &[], Some((12, 12))),
            ("version 1", 0x40, &[1], None),
            ("version 0 (STUN)", 0x00, &[1], None),
            ("one CSRC", 0x81, &[0, 0, 0, 9, 7], Some((16, 17))),
            ("CSRC beyond the end", 0x82, &[0, 0, 0, 9, 7], None),
            ("extension of one word", 0x90, &[0xbe, 0xde, 0, 1, 1, 2, 3, 4, 7], Some((20, 21))),
            ("extension cut", 0x90, &[0xbe, 0xde, 0], None),
            ("extension beyond the end", 0x90, &[0xbe, 0xde, 0xff, 0xff, 1], None),
            ("padding", 0xa0, &[7, 0, 2], Some((12, 13))),
            ("padding of nothing", 0xa0, &[7, 0, 0], None),
            ("padding longer than the packet", 0xa0, &[7, 0, 200], None),
            ("padding reaching into the header", 0xa0, &[4], None),
        ];
        for (what, b0, tail, want) in table {
            assert_eq!(with(*b0, tail), *want, "{what}");
        }
        for cut in 0..12 {
            assert_eq!(Header::read(&plain[..cut]), None, "{cut} bytes");
        }
    }

    #[test]
    fn knows_rtcp_on_a_shared_port() {
        assert!(looks_like_rtcp(&[0x80, 200, 0, 6]));
        assert!(!looks_like_rtcp(&[0x80, 0x80, 0, 6]), "PCMU with marker");
        assert!(!looks_like_rtcp(&[0x80, 0xe5, 0, 6]), "telephone-event 101 with marker");
        assert!(!looks_like_rtcp(&[]));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Some(h) = Header::read(&bytes) {
                prop_assert!(h.payload_at <= h.payload_end && h.payload_end <= bytes.len());
            }
        }

        #[test]
        fn rewrite_changes_only_its_fields(m: bool, pt in 0u8..128, seq: u16, ts: u32, ssrc: u32,
                                           tail in proptest::collection::vec(any::<u8>(), 0..20)) {
            let mut p = vec![0x80; 12];
            p.extend_from_slice(&tail);
            rewrite(&mut p, m, pt, seq, ts, ssrc);
            let h = Header::read(&p).unwrap();
            prop_assert_eq!((h.marker, h.payload_type, h.sequence, h.timestamp, h.ssrc), (m, pt, seq, ts, ssrc));
            prop_assert_eq!(&p[12..], &tail[..]);
        }
    }
}
