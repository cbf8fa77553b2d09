//! Calls that we have answered and whose ACK is late: how many there may be.
//!
//! Each holds its port pairs for 64·T1 although perhaps nobody ever sees our 200: its source may be made up. So they
//! all together may hold a share of the descriptors, and those from one address half of that; a new call beyond is
//! refused. A call counts from the first repetition of its 200 (T1) to its ACK: callers who acknowledge do not come
//! here, however many they are.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Descriptors of a bridged call: RTP and RTCP of both legs.
const DESCRIPTORS: usize = 4;
/// These calls may hold one in so many of all descriptors.
const PART: usize = 4;

/// The calls that wait for their ACK.
#[derive(Debug)]
pub struct Unacked {
    most: usize,
    /// Every such call has a share of this, and one of its address's.
    all: Arc<()>,
    by_source: Mutex<HashMap<IpAddr, Arc<()>>>,
}

/// One such call; dropped when the ACK has come, or the call is over.
#[derive(Debug)]
pub(super) struct Unacknowledged {
    of: Arc<Unacked>,
    source: IpAddr,
    _one_of_all: Arc<()>,
    _one_of_source: Arc<()>,
}

impl Drop for Unacknowledged {
    fn drop(&mut self) {
        let mut sources = self.of.sources();
        // The map's share and this one: it was the last of its address.
        if sources.get(&self.source).is_some_and(|shared| Arc::strong_count(shared) <= 2) {
            sources.remove(&self.source);
        }
    }
}

impl Unacked {
    /// For a process that may have so many descriptors open.
    pub fn new(descriptors: u64) -> Self {
        let descriptors = usize::try_from(descriptors).unwrap_or(usize::MAX);
        let most = (descriptors / PART / DESCRIPTORS).max(2);
        Self { most, all: Arc::default(), by_source: Mutex::default() }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        Arc::strong_count(&self.all) - 1
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a caller at `source` must wait until others, or its own, have been acknowledged. One who is `known` (has
    /// logged in) waits for its own only: strangers do not keep it out.
    pub fn is_full(&self, source: IpAddr, known: bool) -> bool {
        let all = self.len();
        (all >= self.most && !known) || (all >= self.most / 2 && self.of(source) >= self.most / 2)
    }

    fn of(&self, source: IpAddr) -> usize {
        self.sources().get(&source).map_or(0, |shared| Arc::strong_count(shared) - 1)
    }

    /// One more.
    pub(super) fn enter(self: &Arc<Self>, source: IpAddr) -> Unacknowledged {
        let of_source = self.sources().entry(source).or_default().clone();
        Unacknowledged { of: self.clone(), source, _one_of_all: self.all.clone(), _one_of_source: of_source }
    }

    fn sources(&self) -> MutexGuard<'_, HashMap<IpAddr, Arc<()>>> {
        self.by_source.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_has_half_and_all_have_a_share() {
        let unacked = Arc::new(Unacked::new(160));
        let [a, b, c] = [1, 2, 3].map(|n| IpAddr::from([192, 0, 2, n]));
        let mut of_a: Vec<_> = (0..5).map(|_| unacked.enter(a)).collect();
        assert!(unacked.is_full(a, false) && !unacked.is_full(b, false), "{}", unacked.len());
        let of_b: Vec<_> = (0..5).map(|_| unacked.enter(b)).collect();
        assert!(unacked.is_full(c, false) && !unacked.is_full(c, true), "all are ten");
        assert!(unacked.is_full(a, true), "its own are five");
        of_a.pop();
        assert!(!unacked.is_full(a, false) && unacked.is_full(b, false) && !unacked.is_full(c, false));
        drop((of_a, of_b));
        assert!(unacked.is_empty() && unacked.sources().is_empty());
    }
}
