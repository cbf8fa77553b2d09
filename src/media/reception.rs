//! Loss and jitter of a received stream (RFC 3550 A.1, A.3, A.8).

use std::time::Instant;

use super::outgoing::units;

/// Ahead by more than this is a restart, not loss.
const MAX_DROPOUT: u16 = 3000;
/// Behind by less than this is disorder, not a restart.
const MAX_MISORDER: u16 = 100;

/// What one packet was.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// The first of its source, or the first after a restart.
    First,
    /// Newer than all before.
    Next,
    /// Older than the newest: late or twice.
    Late,
}

/// The statistics of what arrives, over all its sources.
pub struct Reception {
    ssrc: Option<u32>,
    base: u16,
    highest: u16,
    cycles: u32,
    packets: u64,
    /// Of the sources before the present one.
    expected_before: u64,
    packets_before: u64,
    start: Instant,
    transit: Option<u32>,
    /// Scaled by 16, in units of `clock`, as A.8 has it.
    jitter: u32,
    clock: u32,
}

impl Reception {
    /// Nothing arrived yet.
    pub fn new(start: Instant) -> Reception {
        Reception {
            ssrc: None,
            base: 0,
            highest: 0,
            cycles: 0,
            packets: 0,
            expected_before: 0,
            packets_before: 0,
            start,
            transit: None,
            jitter: 0,
            clock: 8000,
        }
    }

    /// The SSRC that arrives now.
    pub fn ssrc(&self) -> Option<u32> {
        self.ssrc
    }

    /// Counts one packet. `clock` is `None` for packets whose timestamp says nothing about when they were sent
    /// (telephone-event repeats the timestamp of its start).
    pub fn packet(
        &mut self,
        now: Instant,
        ssrc: u32,
        sequence: u16,
        timestamp: u32,
        clock: Option<u32>,
    ) -> Arrival {
        let ahead = sequence.wrapping_sub(self.highest);
        let restart = (MAX_DROPOUT..=u16::MAX - MAX_MISORDER).contains(&ahead);
        if self.ssrc != Some(ssrc) || restart {
            self.expected_before += self.expected_now();
            self.packets_before += self.packets;
            self.ssrc = Some(ssrc);
            self.base = sequence;
            self.highest = sequence;
            self.cycles = 0;
            self.packets = 1;
            self.transit = None;
            self.delay(now, timestamp, clock);
            return Arrival::First;
        }
        self.packets += 1;
        if ahead == 0 || ahead > MAX_DROPOUT {
            return Arrival::Late;
        }
        if sequence < self.highest {
            self.cycles = self.cycles.saturating_add(1);
        }
        self.highest = sequence;
        self.delay(now, timestamp, clock);
        Arrival::Next
    }

    fn delay(&mut self, now: Instant, timestamp: u32, clock: Option<u32>) {
        let Some(clock) = clock else { return };
        if clock != self.clock {
            self.clock = clock;
            self.transit = None;
        }
        let transit = units(now.saturating_duration_since(self.start), clock).wrapping_sub(timestamp);
        if let Some(before) = self.transit {
            let d = (transit.wrapping_sub(before) as i32).unsigned_abs();
            // A talkspurt after silence suppression, or a jump of the peer's clock, is no jitter.
            if d < clock {
                self.jitter = self.jitter + d - ((self.jitter + 8) >> 4);
            }
        }
        self.transit = Some(transit);
    }

    fn expected_now(&self) -> u64 {
        if self.ssrc.is_none() {
            return 0;
        }
        let highest = u64::from(self.cycles) * 65_536 + u64::from(self.highest);
        highest.saturating_sub(u64::from(self.base)) + 1
    }

    /// Packets that should have come.
    pub fn expected(&self) -> u64 {
        self.expected_before + self.expected_now()
    }

    /// Packets missing; negative when duplicates outweigh them (RFC 3550 A.3).
    pub fn lost(&self) -> i64 {
        self.expected() as i64 - (self.packets_before + self.packets) as i64
    }

    /// Interarrival jitter in microseconds.
    pub fn jitter_micros(&self) -> u64 {
        u64::from(self.jitter >> 4) * 1_000_000 / u64::from(self.clock.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    #[test]
    fn loss_duplicates_wraps_and_restarts() {
        let t0 = Instant::now();
        let run = |packets: &[(u32, u16)]| {
            let mut r = Reception::new(t0);
            for (ssrc, seq) in packets {
                r.packet(t0, *ssrc, *seq, 0, None);
            }
            (r.expected(), r.lost())
        };
        for (what, packets, want) in [
            ("nothing", &[][..], (0, 0)),
            ("one", &[(1, 9)], (1, 0)),
            ("two lost", &[(1, 9), (1, 12)], (4, 2)),
            ("disorder is no loss", &[(1, 9), (1, 11), (1, 10), (1, 12)], (4, 0)),
            ("a duplicate", &[(1, 9), (1, 10), (1, 10)], (2, -1)),
            ("wrap", &[(1, 65_534), (1, 65_535), (1, 1)], (4, 1)),
            ("another SSRC", &[(1, 9), (1, 11), (2, 500), (2, 501)], (5, 1)),
            ("restart with the same SSRC", &[(1, 9), (1, 10), (1, 30_000), (1, 30_001)], (4, 0)),
        ] {
            assert_eq!(run(packets), want, "{what}");
        }
    }

    #[test]
    fn jitter_is_of_the_payloads_clock() {
        let t0 = Instant::now();
        for clock in [8000u32, 16_000, 48_000, 90_000] {
            let mut r = Reception::new(t0);
            for i in 0u64..2000 {
                let late = if i % 2 == 0 { 0 } else { 5 };
                let now = t0 + Duration::from_millis(i * 20 + late);
                r.packet(now, 1, i as u16, (i * 20) as u32 * (clock / 1000), Some(clock));
            }
            let j = r.jitter_micros();
            assert!((4_500..=5_500).contains(&j), "{clock}: {j}");
        }
        let mut even = Reception::new(t0);
        for i in 0u64..100 {
            even.packet(t0 + Duration::from_millis(i * 20), 1, i as u16, i as u32 * 160, Some(8000));
        }
        assert_eq!(even.jitter_micros(), 0);
    }

    proptest! {
        #[test]
        fn any_sequence_is_counted_without_panic(packets in proptest::collection::vec(any::<(u8, u16, u32)>(), 0..200)) {
            let t0 = Instant::now();
            let mut r = Reception::new(t0);
            for (i, (ssrc, seq, ts)) in packets.iter().enumerate() {
                r.packet(t0 + Duration::from_millis(i as u64), u32::from(ssrc % 3), *seq, *ts, Some(8000));
            }
            prop_assert_eq!(r.expected() as i64 - r.lost(), packets.len() as i64);
        }
    }
}
