//! A leg in the hands of a program: who wants to know when it is over, and that it has been let go of.

use super::leg::{Happening, Leg};
use tokio::sync::oneshot;

impl Leg {
    /// The program that had the leg has let go of it.
    pub fn release(&mut self) {
        self.tell(Happening::Released);
    }

    /// What it returns is dropped by the leg when it is over and has told everything.
    pub fn follow(&mut self) -> oneshot::Receiver<()> {
        let (told, ear) = oneshot::channel();
        if self.entry.is_in_call() {
            self.followers.retain(|follower| !follower.is_closed());
            self.followers.push(told);
        }
        ear
    }
}
