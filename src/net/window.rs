//! How many new calls may be about to begin: the window that keeps the switch from taking more than it can do.
//!
//! A new call is *at the door* from the moment it gets a task until that task first runs. The runtime serves its
//! tasks in turn, so that time is how far everything is behind; while no more than so many may be at the door, it
//! cannot grow: the calls let in are as many as are done, on any machine, whatever a call costs there. No clock is
//! asked, so neither a virtual one nor a machine that stood still for a moment looks like too much work.

use std::sync::Arc;

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// Calls that may be at the door for each processor: some milliseconds' work.
const WIDTH: usize = 16;

/// The window, shared by every socket of the switch.
#[derive(Debug)]
pub struct Window {
    door: Arc<Door>,
}

#[derive(Debug)]
struct Door {
    width: usize,
    half_open: Notify,
}

/// A call that is at the door while this lives.
#[derive(Debug)]
pub struct AtDoor {
    door: Arc<Door>,
}

impl Window {
    /// A window for so many calls at once.
    pub fn new(width: usize) -> Self {
        Self { door: Arc::new(Door { width, half_open: Notify::new() }) }
    }

    /// A call gets its task.
    pub fn enter(&self) -> AtDoor {
        AtDoor { door: self.door.clone() }
    }

    /// How many calls are at the door.
    pub fn at_door(&self) -> usize {
        Arc::strong_count(&self.door) - 1
    }

    /// Whether one more call may come.
    pub fn is_open(&self) -> bool {
        self.at_door() < self.door.width
    }

    /// Ends when half of the window has become free: it is not worth while to begin calls one by one.
    pub(super) fn half_open(&self) -> Notified<'_> {
        self.door.half_open.notified()
    }
}

impl Drop for AtDoor {
    fn drop(&mut self) {
        // The window itself, and this one.
        let others = Arc::strong_count(&self.door).saturating_sub(2);
        if others <= self.door.width / 2 {
            self.door.half_open.notify_waiters();
        }
    }
}

impl Default for Window {
    fn default() -> Self {
        Self::new(WIDTH * std::thread::available_parallelism().map_or(1, usize::from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_closes_when_full_and_opens_when_a_call_has_begun() {
        let window = Window::new(2);
        let first = window.enter();
        assert!(window.is_open());
        let second = window.enter();
        assert_eq!((window.is_open(), window.at_door()), (false, 2));
        drop(first);
        assert!(window.is_open());
        drop(second);
        assert_eq!(window.at_door(), 0);
    }
}
