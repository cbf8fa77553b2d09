//! So many of something at a time.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Places for work that costs the machine more than a call does.
pub struct Places {
    taken: AtomicUsize,
    all: usize,
}

/// One of them, until it is dropped.
pub struct Place(&'static Places);

impl Places {
    /// So many, all free.
    pub const fn new(all: usize) -> Places {
        Places { taken: AtomicUsize::new(0), all }
    }

    /// How many there are.
    pub fn all(&self) -> usize {
        self.all
    }

    /// Takes one; `None` when there is none left.
    pub fn take(&'static self) -> Option<Place> {
        let more = |taken| (taken < self.all).then_some(taken + 1);
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok().map(|_| Place(self))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_at_a_time() {
        static PLACES: Places = Places::new(3);
        let places: Vec<_> = (0..3).map(|_| PLACES.take().unwrap()).collect();
        assert!(PLACES.take().is_none());
        drop(places);
        assert!(PLACES.take().is_some());
    }
}
