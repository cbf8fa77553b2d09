//! The most legs there were at once, and the most that began in one second: ever, and within the last five minutes
//! (`status`, HEARTBEAT). Noted when a leg is let in; reading costs nothing.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Instant;

/// What the peaks of five minutes are.
const SPAN: u64 = 300;

/// A number's peaks.
#[derive(Debug, Default)]
struct Peak {
    ever: AtomicU32,
    /// Which five minutes it is, and the peak within them.
    span: AtomicU64,
}

impl Peak {
    fn note(&self, second: u64, value: u32) {
        if value > self.ever.load(Ordering::Relaxed) {
            self.ever.fetch_max(value, Ordering::Relaxed);
        }
        // The span in the upper half: a later one is larger whatever its peak.
        let marked = (second / SPAN) << 32 | u64::from(value);
        if marked > self.span.load(Ordering::Relaxed) {
            self.span.fetch_max(marked, Ordering::Relaxed);
        }
    }

    fn read(&self, second: u64) -> (u32, u32) {
        let marked = self.span.load(Ordering::Relaxed);
        let lately = if marked >> 32 == second / SPAN { marked as u32 } else { 0 };
        (self.ever.load(Ordering::Relaxed), lately)
    }
}

/// The peaks of the switch.
#[derive(Debug)]
pub(super) struct Peaks {
    start: Instant,
    legs: Peak,
    rate: Peak,
    /// Which second it is, and how many legs have begun in it; the same of the one before.
    second: AtomicU64,
    before: AtomicU64,
}

impl Peaks {
    pub fn new(start: Instant) -> Peaks {
        Peaks {
            start,
            legs: Peak::default(),
            rate: Peak::default(),
            second: AtomicU64::new(0),
            before: AtomicU64::new(0),
        }
    }

    fn seconds(&self, now: Instant) -> u64 {
        // From 1, so that 0 is no second.
        now.saturating_duration_since(self.start).as_secs() + 1
    }

    /// A leg has begun, with which there are `legs`.
    pub fn note(&self, legs: u32, now: Instant) {
        let second = self.seconds(now);
        let held = self.second.load(Ordering::Relaxed);
        let begun = if held >> 32 == second {
            self.second.fetch_add(1, Ordering::Relaxed) as u32 + 1
        } else {
            // Two that come at the same moment may count as one; it is a figure for people.
            self.before.store(held, Ordering::Relaxed);
            self.second.store(second << 32 | 1, Ordering::Relaxed);
            1
        };
        self.legs.note(second, legs);
        self.rate.note(second, begun);
    }

    /// What they are.
    pub fn read(&self, legs: u32, now: Instant) -> Figures {
        let second = self.seconds(now);
        let last = [&self.second, &self.before]
            .map(|held| held.load(Ordering::Relaxed))
            .into_iter()
            .find(|held| held >> 32 == second.saturating_sub(1))
            .map_or(0, |held| held as u32);
        let (peak, peak_lately) = self.legs.read(second);
        let (rate_peak, rate_peak_lately) = self.rate.read(second);
        let peak_lately = peak_lately.max(legs);
        Figures { peak, peak_lately, rate: last, rate_peak, rate_peak_lately }
    }
}

/// What there was at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// The most legs at once.
    pub peak: u32,
    /// The same within five minutes.
    pub peak_lately: u32,
    /// Legs that began in the last whole second.
    pub rate: u32,
    /// The most that began in one second.
    pub rate_peak: u32,
    /// The same within five minutes.
    pub rate_peak_lately: u32,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn at(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn peaks_are_of_all_time_and_of_five_minutes() {
        let start = Instant::now();
        let peaks = Peaks::new(start);
        for legs in 1..=7 {
            peaks.note(legs, start);
        }
        peaks.note(3, at(start, 1));
        let figures = peaks.read(3, at(start, 1));
        assert_eq!((figures.peak, figures.peak_lately, figures.rate), (7, 7, 7));
        assert_eq!((figures.rate_peak, figures.rate_peak_lately), (7, 7));
        assert_eq!(peaks.read(3, at(start, 2)).rate, 1);
        peaks.note(2, at(start, 700));
        let figures = peaks.read(2, at(start, 700));
        assert_eq!((figures.peak, figures.peak_lately, figures.rate), (7, 2, 0));
        assert_eq!((figures.rate_peak, figures.rate_peak_lately), (7, 1));
    }
}
