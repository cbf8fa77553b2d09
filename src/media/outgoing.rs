//! The stream we send: one SSRC, one run of sequence numbers and timestamps, whatever feeds it.
//!
//! A receiver takes a changed SSRC or a jump in the numbers for a new talker and may throw its buffer away. So an
//! outgoing stream keeps its own SSRC for life, and when its source changes (another bridge partner, the same partner
//! with a new SSRC, echo, our own DTMF) the numbers go on where they were, the timestamp moved by the time that passed,
//! with the marker set.

use std::time::{Duration, Instant};

/// Further ahead than this is not loss but a new start (RFC 3550 A.1, MAX_DROPOUT).
const MAX_DROPOUT: i16 = 3000;
/// Further behind than this is not disorder but a new start (MAX_MISORDER).
const MAX_MISORDER: i16 = -100;

/// Who feeds an outgoing stream: the stream it was received on and its SSRC there.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Feed {
    /// Number of the stream it came in on.
    pub stream: u64,
    /// SSRC it has there.
    pub ssrc: u32,
}

/// The numbers one packet gets.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Numbers {
    /// Sequence number.
    pub sequence: u16,
    /// Timestamp.
    pub timestamp: u32,
    /// Set the marker: something new begins.
    pub fresh: bool,
}

/// The state of an outgoing stream.
pub struct Outgoing {
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    /// When `timestamp` was; `None` before the first packet.
    sent: Option<Instant>,
    feed: Option<Feed>,
    sequence_offset: u16,
    timestamp_offset: u32,
    /// Sequence number at which the present feed began.
    floor: u16,
    clock: u32,
}

impl Outgoing {
    /// A stream with its SSRC and the first sequence number and timestamp, which should be random (RFC 3550 §5.1).
    pub fn new(ssrc: u32, sequence: u16, timestamp: u32) -> Outgoing {
        Outgoing {
            ssrc,
            sequence,
            timestamp,
            sent: None,
            feed: None,
            sequence_offset: 0,
            timestamp_offset: 0,
            floor: sequence,
            clock: 8000,
        }
    }

    /// Our SSRC.
    pub fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// Clock of the last packet of coded media, Hz; 8000 before any.
    pub fn clock(&self) -> u32 {
        self.clock
    }

    /// The SSRC of what feeds the stream, on the side it comes from.
    pub fn fed_by(&self, stream: u64) -> Option<u32> {
        self.feed.filter(|f| f.stream == stream).map(|f| f.ssrc)
    }

    /// What to add to the feed's timestamps.
    pub fn timestamp_offset(&self) -> u32 {
        self.timestamp_offset
    }

    /// What to add to the feed's sequence numbers.
    pub fn sequence_offset(&self) -> u16 {
        self.sequence_offset
    }

    /// Numbers for a packet of `feed`; `None` when it is too late to be sent (it belongs before the present feed).
    pub fn relay(
        &mut self,
        now: Instant,
        feed: Feed,
        sequence: u16,
        timestamp: u32,
        clock: u32,
    ) -> Option<Numbers> {
        let mut out = sequence.wrapping_add(self.sequence_offset);
        let ahead = signed(out.wrapping_sub(self.sequence));
        let fresh = self.feed != Some(feed) || !(MAX_MISORDER..=MAX_DROPOUT).contains(&ahead);
        if fresh {
            let next = self.next(now, clock);
            out = next.sequence;
            self.sequence_offset = out.wrapping_sub(sequence);
            self.timestamp_offset = next.timestamp.wrapping_sub(timestamp);
            self.floor = out;
            self.feed = Some(feed);
        } else if signed(out.wrapping_sub(self.floor)) < 0 && ahead < 0 {
            return None;
        }
        let stamp = timestamp.wrapping_add(self.timestamp_offset);
        self.clock = clock;
        if fresh || ahead > 0 {
            self.sequence = out;
            // Packets of one moment (an event, a picture) share a timestamp: the first of them is when it was.
            if fresh || (stamp.wrapping_sub(self.timestamp) as i32) > 0 {
                self.timestamp = stamp;
                self.sent = Some(now);
            }
            // The floor follows at a distance, so that it stays within half the number space.
            if signed(out.wrapping_sub(self.floor)) > 4 * -MAX_MISORDER {
                self.floor = out.wrapping_add_signed(MAX_MISORDER);
            }
        }
        Some(Numbers { sequence: out, timestamp: stamp, fresh })
    }

    /// A packet of the feed is not sent at all (its payload type does not pass): the next one takes its number, so
    /// that the receiver sees no loss.
    pub fn skip(&mut self, feed: Feed, sequence: u16) {
        let next = self.sequence.wrapping_add(1);
        if self.feed == Some(feed) && sequence.wrapping_add(self.sequence_offset) == next {
            self.sequence_offset = self.sequence_offset.wrapping_sub(1);
            self.floor = next; // what comes late now would take numbers already used
        }
    }

    /// The next sequence number for a packet of our own; whatever fed the stream before must start afresh.
    pub fn own(&mut self, now: Instant) -> u16 {
        let next = self.next(now, self.clock);
        self.feed = None;
        self.sequence = next.sequence;
        self.timestamp = next.timestamp;
        self.sent = Some(now);
        next.sequence
    }

    /// The timestamp that `now` has in this stream.
    pub fn timestamp_at(&self, now: Instant) -> u32 {
        self.next(now, self.clock).timestamp
    }

    fn next(&self, now: Instant, clock: u32) -> Numbers {
        let Some(sent) = self.sent else {
            return Numbers { sequence: self.sequence, timestamp: self.timestamp, fresh: true };
        };
        let passed = units(now.saturating_duration_since(sent), clock).max(1);
        Numbers {
            sequence: self.sequence.wrapping_add(1),
            timestamp: self.timestamp.wrapping_add(passed),
            fresh: true,
        }
    }
}

/// A time in units of a clock, wrapping as RTP timestamps do.
pub fn units(time: Duration, clock: u32) -> u32 {
    (time.as_micros().wrapping_mul(u128::from(clock)) / 1_000_000) as u32
}

fn signed(difference: u16) -> i16 {
    difference as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Feed = Feed { stream: 1, ssrc: 11 };
    const A2: Feed = Feed { stream: 1, ssrc: 12 };
    const B: Feed = Feed { stream: 2, ssrc: 21 };

    struct Run {
        out: Outgoing,
        t0: Instant,
    }

    impl Run {
        fn new() -> Run {
            Run { out: Outgoing::new(7, 65_534, u32::MAX - 100), t0: Instant::now() }
        }

        /// (sequence and timestamp relative to the first ones of the stream, fresh)
        fn relay(&mut self, ms: u64, feed: Feed, seq: u16, ts: u32) -> Option<(i16, u32, bool)> {
            let n = self.out.relay(self.t0 + Duration::from_millis(ms), feed, seq, ts, 8000)?;
            Some((signed(n.sequence.wrapping_sub(65_534)), n.timestamp.wrapping_sub(u32::MAX - 100), n.fresh))
        }
    }

    #[test]
    fn gaps_and_disorder_of_one_feed_are_kept() {
        let mut r = Run::new();
        assert_eq!(r.relay(0, A, 100, 1000), Some((0, 0, true)));
        assert_eq!(r.relay(20, A, 101, 1160), Some((1, 160, false)));
        assert_eq!(r.relay(80, A, 104, 1640), Some((4, 640, false)));
        assert_eq!(r.relay(81, A, 103, 1480), Some((3, 480, false)));
        assert_eq!(r.relay(82, A, 104, 1640), Some((4, 640, false)), "a duplicate stays one");
        assert_eq!(r.relay(100, A, 105, 1800), Some((5, 800, false)));
    }

    #[test]
    fn a_change_of_feed_goes_on_with_the_marker() {
        let mut r = Run::new();
        r.relay(0, A, 100, 1000);
        r.relay(20, A, 101, 1160);
        assert_eq!(r.relay(40, B, 40_000, 5), Some((2, 320, true)), "another partner");
        assert_eq!(r.relay(60, B, 40_001, 165), Some((3, 480, false)));
        assert_eq!(r.relay(80, A2, 1, 0), Some((4, 640, true)), "the first again, with a new SSRC");
        assert_eq!(r.relay(100, A2, 0, 0), None, "late, from before the change");
        assert_eq!(r.relay(100, A2, 2, 160), Some((5, 800, false)));
        assert_eq!(
            r.relay(3120, A2, 20_000, 9),
            Some((6, 800 + 24_160, true)),
            "a restart without a new SSRC"
        );
        assert_eq!(r.relay(3140, A2, 10, 9), Some((7, 800 + 24_320, true)), "and one backwards");
        assert_eq!(r.out.ssrc(), 7);
    }

    #[test]
    fn packets_that_do_not_pass_leave_no_gap() {
        let mut r = Run::new();
        r.relay(0, A, 100, 1000);
        r.out.skip(A, 101);
        r.out.skip(A, 102);
        assert_eq!(r.relay(60, A, 103, 1480), Some((1, 480, false)));
        assert_eq!(r.relay(61, A, 100, 1000), None, "its number is taken");
        r.out.skip(A, 109);
        assert_eq!(r.relay(80, A, 110, 1640), Some((8, 640, false)), "real loss stays visible");
        r.out.skip(B, 111);
        assert_eq!(r.relay(100, A, 111, 1800), Some((9, 800, false)));
    }

    #[test]
    fn our_own_packets_take_the_next_number() {
        let mut r = Run::new();
        r.relay(0, A, 100, 1000);
        let now = r.t0 + Duration::from_millis(20);
        let ts = r.out.timestamp_at(now);
        assert_eq!(ts.wrapping_sub(u32::MAX - 100), 160);
        assert_eq!(r.out.own(now), 65_535);
        assert_eq!(r.out.own(now + Duration::from_millis(20)), 0);
        assert_eq!(r.relay(60, A, 103, 1480), Some((3, 480, true)));
    }

    #[test]
    fn an_hour_of_packets_never_starts_afresh() {
        let mut r = Run::new();
        for i in 0u32..200_000 {
            let n = r.relay(u64::from(i) * 20, A, i as u16, i.wrapping_mul(160)).unwrap();
            assert_eq!(n.2, i == 0, "packet {i}");
            if i > 0 {
                assert!(r.relay(u64::from(i) * 20, A, (i - 1) as u16, (i - 1).wrapping_mul(160)).is_some());
            }
        }
    }
}
