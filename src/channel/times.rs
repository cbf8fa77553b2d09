//! When things happened to a leg, for records and the closing line (`switch_channel_timetable_t`).

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The most holds of one leg that are told one by one; the time of all is always told.
const HOLDS: usize = 100;

/// When things happened. All but one are monotonic; the wall clock is read once, when the leg comes to be.
#[derive(Clone, Debug)]
pub struct Times {
    /// The leg came to be.
    pub created: Instant,
    /// The same by the wall clock.
    pub created_at: SystemTime,
    /// It was last sent to another destination.
    pub transferred: Option<Instant>,
    /// It rang: a 180 went over the wire.
    pub progress: Option<Instant>,
    /// Early media began.
    pub progress_media: Option<Instant>,
    /// It was answered.
    pub answered: Option<Instant>,
    /// It was joined with another leg, the first time.
    pub bridged: Option<Instant>,
    /// It ended.
    pub ended: Option<Instant>,
    /// The holds, the far end's and ours; nothing until there is one.
    pub(super) holds: Option<Box<Holds>>,
}

/// The times on hold.
#[derive(Clone, Debug, Default)]
pub(super) struct Holds {
    /// Since when the present one lasts.
    since: Option<Instant>,
    /// When the last one began.
    last: Option<Instant>,
    /// All that are over, together.
    total: Duration,
    /// Beginning and end of the first ones.
    each: Vec<(Instant, Instant)>,
    /// Beginnings of those of them that are the switch's doing (`uuid_hold`).
    ours: Vec<Instant>,
}

impl Times {
    /// A leg that comes to be now.
    pub fn begin(now: Instant) -> Times {
        Times {
            created: now,
            created_at: SystemTime::now(),
            transferred: None,
            progress: None,
            progress_media: None,
            answered: None,
            bridged: None,
            ended: None,
            holds: None,
        }
    }

    /// A hold begins or ends.
    pub(super) fn hold(&mut self, now: Instant, on: bool) {
        if on {
            let holds = self.holds.get_or_insert_default();
            holds.since.get_or_insert(now);
            holds.last = Some(now);
        } else if let Some(holds) = &mut self.holds
            && let Some(since) = holds.since.take()
        {
            holds.total += now.saturating_duration_since(since);
            if holds.each.len() < HOLDS {
                holds.each.push((since, now));
            }
        }
    }

    /// The hold that has just begun is the switch's doing.
    pub(super) fn hold_is_ours(&mut self) {
        if let Some(holds) = &mut self.holds
            && let Some(since) = holds.since
            && holds.each.len() < HOLDS
        {
            holds.ours.push(since);
        }
    }

    /// True when the hold that began then was the switch's doing.
    pub(super) fn is_our_hold(&self, began: Instant) -> bool {
        self.holds.as_ref().is_some_and(|holds| holds.ours.contains(&began))
    }

    /// Microseconds since 1970 at `at`; 0 when it never was.
    pub fn epoch(&self, at: Option<Instant>) -> u64 {
        let Some(at) = at else { return 0 };
        let created = self.created_at.duration_since(UNIX_EPOCH).unwrap_or_default();
        micros(created + at.saturating_duration_since(self.created))
    }

    /// When the last hold began.
    pub(super) fn last_hold(&self) -> Option<Instant> {
        self.holds.as_ref()?.last
    }

    /// How long all holds that are over lasted together.
    pub(super) fn hold_total(&self) -> Duration {
        self.holds.as_ref().map(|holds| holds.total).unwrap_or_default()
    }

    /// Beginning and end of each hold.
    pub(super) fn each_hold(&self) -> &[(Instant, Instant)] {
        self.holds.as_ref().map(|holds| holds.each.as_slice()).unwrap_or_default()
    }
}

/// Whole microseconds.
pub(super) fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_add_up_and_an_unfinished_one_does_not_count() {
        let start = Instant::now();
        let at = |s| start + Duration::from_secs(s);
        let mut times = Times::begin(start);
        assert_eq!((times.hold_total(), times.last_hold()), (Duration::ZERO, None));
        for (second, on) in
            [(1, true), (2, true), (4, false), (5, false), (10, true), (11, false), (20, true)]
        {
            times.hold(at(second), on);
        }
        assert_eq!(times.hold_total(), Duration::from_secs(4));
        assert_eq!(times.each_hold(), [(at(1), at(4)), (at(10), at(11))]);
        assert_eq!(times.last_hold(), Some(at(20)));
    }

    #[test]
    fn a_hold_of_ours_is_told_from_the_far_ends() {
        let start = Instant::now();
        let at = |s| start + Duration::from_secs(s);
        let mut times = Times::begin(start);
        times.hold_is_ours();
        for second in [1, 10] {
            times.hold(at(second), true);
            if second == 10 {
                times.hold_is_ours();
            }
            times.hold(at(second + 2), false);
        }
        let ours: Vec<bool> = times.each_hold().iter().map(|(from, _)| times.is_our_hold(*from)).collect();
        assert_eq!(ours, [false, true]);
    }

    #[test]
    fn a_moment_is_told_by_the_wall_clock_and_never_is_0() {
        let times = Times::begin(Instant::now());
        let created = times.epoch(Some(times.created));
        assert_eq!(times.epoch(Some(times.created + Duration::from_millis(1500))), created + 1_500_000);
        assert_eq!(times.epoch(None), 0);
    }
}
