//! telephone-event (RFC 4733): digits out of a received stream, and digits into ours.

use std::time::{Duration, Instant};

/// Time between two packets of an event we send.
pub const PACE: Duration = Duration::from_millis(20);
/// Silence after a digit before the next one of ours.
pub const GAP: Duration = Duration::from_millis(60);
/// An event of which nothing was heard for so long is over, its end packets lost.
pub const LOST: Duration = Duration::from_millis(300);
/// Digits that may wait in one stream.
pub const QUEUE: usize = 64;

const DIGITS: &str = "0123456789*#ABCDF";

/// The character of an event: 0–9, *, #, A–D, and F for a hook flash (16), as FreeSWITCH writes it.
pub fn digit_of(event: u8) -> Option<char> {
    DIGITS.chars().nth(usize::from(event))
}

/// The event of a character, letters in either case.
pub fn event_of(digit: char) -> Option<u8> {
    DIGITS.chars().position(|d| d == digit.to_ascii_uppercase()).and_then(|i| u8::try_from(i).ok())
}

/// The four bytes of one event packet.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct EventPacket {
    /// Event number.
    pub event: u8,
    /// E bit: the event is over.
    pub end: bool,
    /// Level, -dBm0, 0–63.
    pub volume: u8,
    /// Length so far, in units of the clock.
    pub duration: u16,
}

impl EventPacket {
    /// Reads a payload; more events after the first one are not looked at.
    pub fn read(payload: &[u8]) -> Option<EventPacket> {
        let [event, flags, d0, d1] = *payload.first_chunk()?;
        Some(EventPacket {
            event,
            end: flags & 0x80 != 0,
            volume: flags & 0x3f,
            duration: u16::from_be_bytes([d0, d1]),
        })
    }

    /// The bytes.
    pub fn bytes(self) -> [u8; 4] {
        let [d0, d1] = self.duration.to_be_bytes();
        [self.event, u8::from(self.end) << 7 | (self.volume & 0x3f), d0, d1]
    }
}

/// Rewrites the duration of an event payload from one clock to another, in place.
pub fn rescale(payload: &mut [u8], from_clock: u32, to_clock: u32) {
    if from_clock == to_clock || from_clock == 0 {
        return;
    }
    if let Some([_, _, d0, d1]) = payload.first_chunk_mut() {
        let scaled = u64::from(u16::from_be_bytes([*d0, *d1])) * u64::from(to_clock) / u64::from(from_clock);
        let bytes = u16::try_from(scaled).unwrap_or(u16::MAX).to_be_bytes();
        [*d0, *d1] = bytes;
    }
}

/// A digit that was heard.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// 0–9, *, #, A–D, F.
    pub digit: char,
    /// How long it was pressed.
    pub duration_ms: u32,
}

struct Current {
    event: u8,
    timestamp: u32,
    /// Of the segments before, for events longer than 16 bits of duration (RFC 4733 §2.5.1.3).
    before: u32,
    duration: u16,
    clock: u32,
    last: Instant,
    reported: bool,
}

impl Current {
    fn heard(&self) -> Option<Heard> {
        let units = u64::from(self.before) + u64::from(self.duration);
        let duration_ms = u32::try_from(units * 1000 / u64::from(self.clock.max(1))).unwrap_or(u32::MAX);
        digit_of(self.event).map(|digit| Heard { digit, duration_ms })
    }
}

/// Finds the digits in a received stream: one [`Heard`] per press.
#[derive(Default)]
pub struct Detector {
    ssrc: u32,
    current: Option<Current>,
}

impl Detector {
    /// Takes one event packet. An event is told when its first end packet comes, or when the next event begins, or by
    /// [`flush`](Detector::flush) when its end packets were lost.
    pub fn packet(
        &mut self,
        now: Instant,
        ssrc: u32,
        timestamp: u32,
        clock: u32,
        packet: EventPacket,
    ) -> [Option<Heard>; 2] {
        let mut told = [None, None];
        if self.ssrc != ssrc {
            told[0] = self.end();
            self.current = None;
            self.ssrc = ssrc;
        }
        match &mut self.current {
            Some(c) if timestamp == c.timestamp && packet.event == c.event => {
                c.duration = c.duration.max(packet.duration);
                c.last = now;
            }
            Some(c)
                if packet.event == c.event
                    && !c.reported
                    && c.duration == u16::MAX
                    && timestamp == c.timestamp.wrapping_add(u32::from(u16::MAX)) =>
            {
                c.before = c.before.saturating_add(u32::from(u16::MAX));
                c.timestamp = timestamp;
                c.duration = packet.duration;
                c.last = now;
            }
            // Of an event already past: disorder.
            Some(c) if (timestamp.wrapping_sub(c.timestamp) as i32) <= 0 => return told,
            _ => {
                told[0] = told[0].or(self.end());
                self.current = Some(Current {
                    event: packet.event,
                    timestamp,
                    before: 0,
                    duration: packet.duration,
                    clock,
                    last: now,
                    reported: false,
                });
            }
        }
        if packet.end {
            told[1] = self.end();
        }
        told
    }

    fn end(&mut self) -> Option<Heard> {
        let current = self.current.as_mut().filter(|c| !c.reported)?;
        current.reported = true;
        current.heard()
    }

    /// An event is not over yet.
    pub fn is_pending(&self) -> bool {
        self.current.as_ref().is_some_and(|c| !c.reported)
    }

    /// Tells the event whose end packets were lost, [`LOST`] after its last packet.
    pub fn flush(&mut self, now: Instant) -> Option<Heard> {
        let over = self.current.as_ref().is_some_and(|c| now.saturating_duration_since(c.last) >= LOST);
        if over { self.end() } else { None }
    }
}

/// One packet of a digit of ours.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// The payload.
    pub packet: EventPacket,
    /// The first of its event: marker set, and the timestamp of all that follow is taken now.
    pub first: bool,
}

/// A digit being sent: a packet every 20 ms with growing duration, then three with the end bit.
pub struct Press {
    event: u8,
    clock: u32,
    total: u32,
    sent: u32,
    first: bool,
    ends_left: u8,
    next: Instant,
}

impl Press {
    /// A digit of so many milliseconds (at least 40, at most what 16 bits of the clock hold), from `now` on.
    pub fn new(now: Instant, event: u8, duration_ms: u32, clock: u32) -> Press {
        let units = u64::from(duration_ms.max(40)) * u64::from(clock) / 1000;
        Press {
            event,
            clock,
            total: u32::try_from(units).unwrap_or(u32::MAX).min(u32::from(u16::MAX)),
            sent: 0,
            first: true,
            ends_left: 3,
            next: now,
        }
    }

    /// When the next packet is due; `None` when all were sent.
    pub fn next(&self) -> Option<Instant> {
        (self.ends_left > 0).then_some(self.next)
    }

    /// The packet due at `now`, if any.
    pub fn due(&mut self, now: Instant) -> Option<Due> {
        if self.ends_left == 0 || now < self.next {
            return None;
        }
        let first = std::mem::take(&mut self.first);
        self.sent = self.sent.saturating_add(self.clock / 50).min(self.total);
        let end = self.sent >= self.total;
        if end {
            self.ends_left -= 1;
        }
        // A thread that was held up does not send a burst to catch up.
        self.next = (self.next + PACE).max(now + PACE / 2);
        let duration = u16::try_from(self.sent).unwrap_or(u16::MAX);
        Some(Due { packet: EventPacket { event: self.event, end, volume: 10, duration }, first })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ev(event: u8, end: bool, duration: u16) -> EventPacket {
        EventPacket { event, end, volume: 10, duration }
    }

    #[test]
    fn digits_and_events() {
        for (digit, event) in [('0', 0), ('9', 9), ('*', 10), ('#', 11), ('A', 12), ('D', 15), ('F', 16)] {
            assert_eq!((digit_of(event), event_of(digit)), (Some(digit), Some(event)));
        }
        assert_eq!(event_of('d'), Some(15));
        assert_eq!((event_of('x'), digit_of(17), digit_of(255)), (None, None, None));
        let p = ev(5, true, 1600);
        assert_eq!(EventPacket::read(&p.bytes()), Some(p));
        assert_eq!(EventPacket::read(&[1, 2, 3]), None);
    }

    /// Plays (milliseconds, timestamp, packet) and writes what was told.
    fn play(script: &[(u64, u32, EventPacket)]) -> String {
        let t0 = Instant::now();
        let mut d = Detector::default();
        let mut said = String::new();
        let mut last = 0;
        let mut say = |h: Option<Heard>| {
            if let Some(h) = h {
                said.push_str(&format!("{}/{} ", h.digit, h.duration_ms));
            }
        };
        for (ms, ts, p) in script {
            d.packet(t0 + Duration::from_millis(*ms), 1, *ts, 8000, *p).into_iter().for_each(&mut say);
            last = *ms;
        }
        say(d.flush(t0 + Duration::from_millis(last + 299)));
        if d.is_pending() {
            say(d.flush(t0 + Duration::from_millis(last + 300)));
        }
        assert!(!d.is_pending());
        said.trim_end().to_owned()
    }

    #[test]
    fn one_digit_per_press() {
        type Script<'a> = &'a [(u64, u32, EventPacket)];
        let table: &[(&str, Script<'_>, &str)] = &[
            (
                "three end packets",
                &[
                    (0, 0, ev(1, false, 160)),
                    (20, 0, ev(1, false, 320)),
                    (40, 0, ev(1, true, 480)),
                    (60, 0, ev(1, true, 480)),
                    (80, 0, ev(1, true, 480)),
                ],
                "1/60",
            ),
            ("all end packets lost", &[(0, 0, ev(2, false, 160)), (20, 0, ev(2, false, 320))], "2/40"),
            ("end lost, next digit", &[(0, 0, ev(2, false, 320)), (100, 900, ev(2, true, 160))], "2/40 2/20"),
            ("only one end packet came", &[(0, 0, ev(11, true, 800))], "#/100"),
            (
                "the same digit twice",
                &[
                    (0, 0, ev(5, true, 800)),
                    (5, 0, ev(5, true, 800)),
                    (200, 1600, ev(5, false, 160)),
                    (300, 1600, ev(5, true, 800)),
                ],
                "5/100 5/100",
            ),
            (
                "an end packet late, after the next digit began",
                &[
                    (0, 0, ev(5, true, 800)),
                    (200, 1600, ev(6, false, 160)),
                    (210, 0, ev(5, true, 800)),
                    (300, 1600, ev(6, true, 800)),
                ],
                "5/100 6/100",
            ),
            (
                "longer than 16 bits",
                &[
                    (0, 0, ev(3, false, 65_000)),
                    (20, 0, ev(3, false, 65_535)),
                    (40, 65_535, ev(3, false, 160)),
                    (60, 65_535, ev(3, true, 465)),
                ],
                "3/8250",
            ),
            ("events that are no digits", &[(0, 0, ev(66, true, 800)), (99, 900, ev(4, true, 800))], "4/100"),
        ];
        for (what, script, want) in table {
            assert_eq!(play(script), *want, "{what}");
        }
    }

    #[test]
    fn a_new_ssrc_starts_anew() {
        let t0 = Instant::now();
        let mut d = Detector::default();
        d.packet(t0, 1, 50_000, 8000, ev(1, false, 160));
        let told = d.packet(t0, 2, 7, 8000, ev(2, true, 480));
        assert_eq!(told.map(|h| h.map(|h| h.digit)), [Some('1'), Some('2')]);
    }

    #[test]
    fn a_press_is_paced_and_ends_three_times() {
        let t0 = Instant::now();
        let mut press = Press::new(t0, 5, 100, 8000);
        let mut sent = Vec::new();
        for ms in 0..400 {
            if let Some(due) = press.due(t0 + Duration::from_millis(ms)) {
                sent.push((ms, due.packet.duration, due.packet.end, due.first));
            }
        }
        assert_eq!(
            sent,
            [
                (0, 160, false, true),
                (20, 320, false, false),
                (40, 480, false, false),
                (60, 640, false, false),
                (80, 800, true, false),
                (100, 800, true, false),
                (120, 800, true, false),
            ]
        );
        assert_eq!(press.next(), None);
        let mut long = Press::new(t0, 5, 1_000_000, 48_000);
        assert!((0..9000).any(|i| long.due(t0 + PACE * i).is_some_and(|d| d.packet.end)));
    }

    #[test]
    fn durations_go_from_clock_to_clock() {
        for (from, to, before, after) in [
            (8000, 48_000, 800, 4800),
            (48_000, 8000, 4800, 800),
            (8000, 48_000, 60_000, 65_535),
            (0, 8000, 5, 5),
        ] {
            let mut payload = ev(1, true, before).bytes();
            rescale(&mut payload, from, to);
            assert_eq!(EventPacket::read(&payload), Some(ev(1, true, after)));
        }
        rescale(&mut [1, 2], 8000, 48_000);
    }

    proptest! {
        #[test]
        fn lost_packets_never_make_a_digit_two(losses in proptest::collection::vec(any::<bool>(), 13)) {
            let t0 = Instant::now();
            let (mut d, mut press, mut heard) = (Detector::default(), Press::new(t0, 7, 200, 8000), 0);
            let mut any = false;
            for (i, lost) in losses.iter().enumerate() {
                let now = t0 + PACE * i as u32;
                if let Some(due) = press.due(now)
                    && !lost {
                        any = true;
                        heard += d.packet(now, 1, 99, 8000, due.packet).into_iter().flatten().count();
                    }
            }
            heard += usize::from(d.flush(t0 + Duration::from_secs(2)).is_some());
            prop_assert_eq!(heard, usize::from(any));
        }
    }
}
