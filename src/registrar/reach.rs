//! What pings find of a phone (`nat-options-ping`, `all-reg-options-ping`; the end of `sofia_handle_sip_r_options`).

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

/// Whether a phone answers, kept from one refresh to the next.
#[derive(Debug, Default)]
pub struct Reach {
    lost: AtomicBool,
    points: AtomicU32,
    micros: AtomicU32,
    /// A ping is under way.
    asked: AtomicBool,
}

impl Reach {
    /// It answers, as far as is known.
    pub fn is_up(&self) -> bool {
        !self.lost.load(Ordering::Relaxed)
    }

    /// How long it took to answer the last time, in milliseconds.
    pub fn milliseconds(&self) -> f64 {
        f64::from(self.micros.load(Ordering::Relaxed)) / 1000.0
    }

    /// A ping is to begin: false when one is under way. It must [`end`](Self::end).
    pub fn begin(&self) -> bool {
        !self.asked.swap(true, Ordering::AcqRel)
    }

    /// The ping that was under way is over.
    pub fn end(&self) {
        self.asked.store(false, Ordering::Release);
    }

    /// A ping is over: answered as a phone answers that is there, or not, after so long. A point for each answer, up to
    /// `most`, one less for each failure; with `least` points it is there. True when that has changed. One at a time.
    pub fn note(&self, answered: bool, took: Duration, (least, most): (u32, u32)) -> bool {
        let before = self.points.load(Ordering::Relaxed);
        let points = if answered { before.saturating_add(1) } else { before.saturating_sub(1) };
        if answered && points <= most || !answered && before > 0 {
            self.points.store(points, Ordering::Relaxed);
        }
        self.micros.store(u32::try_from(took.as_micros()).unwrap_or(u32::MAX), Ordering::Relaxed);
        let lost = match answered {
            true => self.lost.load(Ordering::Relaxed) && points < least,
            false => self.lost.load(Ordering::Relaxed) || points < least || before == 0,
        };
        self.lost.swap(lost, Ordering::Relaxed) != lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_decide() {
        let reach = Reach::default();
        let turned = |answered, least| reach.note(answered, Duration::from_micros(1500), (least, 3));
        assert!(reach.is_up() && !turned(true, 1) && !turned(true, 1));
        assert_eq!(reach.milliseconds(), 1.5);
        assert!(!turned(false, 1), "one point is left");
        assert!(turned(false, 1) && !reach.is_up() && !turned(false, 1));
        assert!(!turned(true, 2) && turned(true, 2) && reach.is_up());
        for _ in 0..10 {
            assert!(!turned(true, 1));
        }
        assert!(!turned(false, 1) && !turned(false, 1) && turned(false, 1), "three points at most");
    }
}
