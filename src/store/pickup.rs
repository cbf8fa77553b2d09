//! Calls that may be picked up by a key while they ring (`pickup/KEY` and the application `pickup` of mod_dptools.c).

use super::Full;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tracing::error;

/// Calls that may be offered at a time.
const OFFERED: usize = 50_000;

/// Who rings under which key, the first to come first.
#[derive(Debug, Default)]
pub struct Pickups {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    keys: HashMap<Box<str>, Vec<(u64, Arc<str>)>>,
    count: usize,
    last: u64,
}

impl Pickups {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Offers a leg that calls, until the answer drops.
    ///
    /// # Errors
    /// There are too many.
    pub fn offer(self: &Arc<Self>, key: &str, uuid: &Arc<str>) -> Result<Offer, Full> {
        let mut inner = self.inner();
        if inner.count >= OFFERED {
            error!("{OFFERED} calls may be picked up already: none under {key}");
            return Err(Full);
        }
        inner.last += 1;
        inner.count += 1;
        let number = inner.last;
        inner.keys.entry(key.into()).or_default().push((number, uuid.clone()));
        Ok(Offer { pickups: self.clone(), key: key.into(), number })
    }

    /// Takes the call that has rung longest under a key; nobody else gets it.
    pub fn take(&self, key: &str) -> Option<Arc<str>> {
        let mut inner = self.inner();
        let (number, uuid) = inner.keys.get(key)?.first()?.clone();
        inner.remove(key, number);
        Some(uuid)
    }

    /// How many calls may be picked up.
    pub fn len(&self) -> usize {
        self.inner().count
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Inner {
    fn remove(&mut self, key: &str, number: u64) {
        let Some(offers) = self.keys.get_mut(key) else { return };
        let before = offers.len();
        offers.retain(|(held, _)| *held != number);
        self.count -= before - offers.len();
        if offers.is_empty() {
            self.keys.remove(key);
        }
    }
}

/// A call that may be picked up, until this drops.
#[derive(Debug)]
pub struct Offer {
    pickups: Arc<Pickups>,
    key: Box<str>,
    number: u64,
}

impl Drop for Offer {
    fn drop(&mut self) {
        self.pickups.inner().remove(&self.key, self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_to_ring_is_the_first_to_be_picked_up() {
        let pickups = Arc::new(Pickups::default());
        let offer = |key: &str, uuid: &str| pickups.offer(key, &uuid.into()).unwrap();
        let (gone, a, b, other) = (offer("k", "x"), offer("k", "a"), offer("k", "b"), offer("l", "c"));
        drop(gone);
        assert_eq!(pickups.take("k").as_deref(), Some("a"));
        assert_eq!(pickups.take("k").as_deref(), Some("b"));
        assert_eq!((pickups.take("k"), pickups.take("m")), (None, None));
        assert_eq!(pickups.len(), 1);
        drop((a, b, other));
        assert!(pickups.is_empty() && pickups.inner().keys.is_empty());
    }

    #[test]
    fn their_number_is_bounded() {
        let pickups = Arc::new(Pickups::default());
        let offers: Vec<_> =
            (0..OFFERED).map(|n| pickups.offer(&(n % 100).to_string(), &"x".into())).collect();
        assert!(offers.iter().all(Result::is_ok) && pickups.offer("k", &"x".into()).is_err());
        drop(offers);
        assert!(pickups.is_empty());
    }
}
