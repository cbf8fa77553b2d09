//! The inbox of a media thread, and its bell.
//!
//! Waking a thread costs a system call and, on a core that both share, two changes of thread in the middle of what the
//! waker does. So the bell rings only for a thread that sleeps, and a thread that has just worked off its notes does
//! not fall asleep at once: it looks again by itself after [`LINGER`]. However many notes come, a thread is woken for
//! them at most once per that time.

use std::io;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::line::Line;
use super::shared::StreamId;
use super::sys::Wake;

/// How long a thread that had notes looks for more by itself. A note may wait so long.
pub(super) const LINGER: Duration = Duration::from_millis(2);

/// A note for a media thread.
pub(super) enum Note {
    /// Look at what this stream wants.
    Changed(StreamId),
    /// A stream comes to live here.
    Arrived(Box<Line>),
}

/// The thread sleeps and must be woken.
const ASLEEP: u8 = 0;
/// The thread looks here before it sleeps.
const AWAKE: u8 = 1;
/// It will find something.
const CALLED: u8 = 2;

pub(super) struct Inbox {
    notes: Mutex<Notes>,
    bell: AtomicU8,
    pub(super) wake: Wake,
    /// Every stream at home on the thread holds one more: the count is the load.
    pub(super) seat: Arc<()>,
}

#[derive(Default)]
struct Notes {
    list: Vec<Note>,
    stopped: bool,
}

impl Inbox {
    pub(super) fn new() -> io::Result<Inbox> {
        let (notes, bell) = (Mutex::default(), AtomicU8::new(AWAKE));
        Ok(Inbox { notes, bell, wake: Wake::new()?, seat: Arc::new(()) })
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn load(&self) -> usize {
        Arc::strong_count(&self.seat) - 1
    }

    //------------ Who writes ------------------------------------------------

    /// Puts a note in; given back when the thread has stopped.
    pub(super) fn put(&self, note: Note) -> Result<(), Note> {
        let mut notes = self.notes();
        if notes.stopped {
            return Err(note);
        }
        notes.list.push(note);
        drop(notes);
        self.call();
        Ok(())
    }

    pub(super) fn stop(&self) {
        self.notes().stopped = true;
        self.call();
    }

    fn call(&self) {
        if self.bell.swap(CALLED, Ordering::AcqRel) == ASLEEP {
            self.wake.ring();
        }
    }

    //------------ The thread ------------------------------------------------

    /// Whether there was a call since this was last asked.
    pub(super) fn called(&self) -> bool {
        let (order, from) = (Ordering::AcqRel, CALLED);
        self.bell.compare_exchange(from, AWAKE, order, Ordering::Relaxed).is_ok()
    }

    /// Takes all notes, after those in `into`, and says whether the thread must stop.
    pub(super) fn take(&self, into: &mut impl Extend<Note>) -> bool {
        let mut notes = self.notes();
        into.extend(notes.list.drain(..));
        notes.stopped
    }

    /// The thread is about to sleep until it is rung for; false when there was a call.
    pub(super) fn fall_asleep(&self) -> bool {
        let order = Ordering::AcqRel;
        self.bell.compare_exchange(AWAKE, ASLEEP, order, Ordering::Relaxed).is_ok()
    }

    /// The thread is awake, whoever woke it.
    pub(super) fn wake_up(&self) {
        // Nothing to change when it was called, or had not slept.
        let _ = self.bell.compare_exchange(ASLEEP, AWAKE, Ordering::AcqRel, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bell_rings_only_for_who_sleeps_and_no_call_is_missed() {
        let inbox = Inbox::new().unwrap();
        let mut notes = Vec::new();
        let put = || assert!(inbox.put(Note::Changed(StreamId(1))).is_ok());
        put();
        assert!(!inbox.fall_asleep(), "called before it slept");
        assert!(inbox.called() && !inbox.called());
        assert!(!inbox.take(&mut notes) && notes.len() == 1);
        assert!(inbox.fall_asleep());
        put();
        put();
        inbox.wake_up();
        assert!(inbox.called());
        inbox.stop();
        assert!(inbox.called() && inbox.take(&mut notes) && notes.len() == 3);
        assert!(inbox.put(Note::Changed(StreamId(2))).is_err());
    }
}
