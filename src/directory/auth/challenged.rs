//! Thins out the lines about challenges: a phone without a password asks again and again.
//!
//! Each source is told once a minute, and how many there were beside. Lines about failures are never thinned out.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

/// How long a source is told by number alone.
const INTERVAL: Duration = Duration::from_secs(60);
/// Sources remembered at once; a line of any beyond is told.
const SOURCES: usize = 4_096;

/// What the log has been told of challenges.
#[derive(Default)]
pub struct Challenged(Mutex<HashMap<IpAddr, Source>>);

struct Source {
    since: Instant,
    untold: u64,
}

impl Challenged {
    /// `source` is challenged: true when the log is to say so, false when it is only counted.
    pub fn is_told(&self, now: Instant, source: IpAddr) -> bool {
        let mut sources = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match sources.get_mut(&source.to_canonical()) {
            Some(entry) if now.saturating_duration_since(entry.since) < INTERVAL => {
                entry.untold += 1;
                false
            }
            Some(entry) if entry.untold > 0 => {
                entry.untold += 1;
                false // the count comes with the next look
            }
            Some(entry) => {
                entry.since = now;
                true
            }
            None => {
                if sources.len() < SOURCES {
                    sources.insert(source.to_canonical(), Source { since: now, untold: 0 });
                }
                true
            }
        }
    }

    /// The sources whose interval is over and how many challenges of each were not told. To be asked every second or so;
    /// those are forgotten that were not challenged any more.
    pub fn counts(&self, now: Instant) -> Vec<(IpAddr, u64)> {
        let mut counts = Vec::new();
        let mut sources = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sources.retain(|source, entry| {
            if now.saturating_duration_since(entry.since) < INTERVAL {
                return true;
            }
            let untold = std::mem::take(&mut entry.untold);
            entry.since = now;
            if untold > 0 {
                counts.push((*source, untold));
            }
            untold > 0
        });
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_told_and_the_others_are_counted() {
        let (told, begin) = (Challenged::default(), Instant::now());
        let at = |s: u64| begin + Duration::from_secs(s);
        let (one, two) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        assert!(told.is_told(at(0), one));
        assert!(told.is_told(at(1), two));
        for s in 1..60 {
            assert!(!told.is_told(at(s), one));
        }
        assert_eq!(told.counts(at(59)), []);
        assert_eq!(told.counts(at(60)), [(one, 59)]);
        assert!(!told.is_told(at(70), one), "it goes on: by number");
        assert_eq!(told.counts(at(120)), [(one, 1)]);
        assert_eq!(told.counts(at(180)), []);
        assert!(told.is_told(at(181), one), "after a minute of silence it is news");
        assert!(told.is_told(at(182), two));
    }

    #[test]
    fn strangers_without_number_cost_no_memory() {
        let (told, now) = (Challenged::default(), Instant::now());
        for n in 0..10_000_u32 {
            assert!(told.is_told(now, IpAddr::from(n.to_be_bytes())));
        }
        assert_eq!(told.0.lock().unwrap().len(), SOURCES);
    }
}
