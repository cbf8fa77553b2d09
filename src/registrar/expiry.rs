//! When which entry is due: a heap that forgets lazily.
//!
//! An entry has one live item in the heap. Putting its time off leaves the item where it is; when that comes up
//! it is put back at the new time. So a refresh costs nothing, and the heap holds little more than what lives.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Times in milliseconds since the table began.
pub(super) type Millis = u64;

/// The state of one entry, kept beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Due {
    at: Millis,
    queued_at: Millis,
    ticket: u32,
}

/// The heap.
#[derive(Debug, Default)]
pub(super) struct Queue {
    heap: BinaryHeap<Reverse<(Millis, u32, u32)>>,
    ticket: u32,
}

impl Queue {
    /// A new entry `slot`, due at `at`.
    pub fn add(&mut self, slot: u32, at: Millis) -> Due {
        self.ticket = self.ticket.wrapping_add(1);
        self.heap.push(Reverse((at, slot, self.ticket)));
        Due { at, queued_at: at, ticket: self.ticket }
    }

    /// The entry is due at `at` instead.
    pub fn change(&mut self, slot: u32, due: Due, at: Millis) -> Due {
        if at < due.queued_at { self.add(slot, at) } else { Due { at, ..due } }
    }

    /// No entry is due before this.
    pub fn next(&self) -> Option<Millis> {
        self.heap.peek().map(|Reverse((at, ..))| *at)
    }

    /// Takes one entry that is due at `now`. `look` gives the state of a slot, `store` keeps a new one.
    pub fn pop(
        &mut self,
        now: Millis,
        mut look: impl FnMut(u32) -> Option<Due>,
        mut store: impl FnMut(u32, Due),
    ) -> Option<u32> {
        while let Some(Reverse((at, slot, ticket))) = self.heap.peek().copied() {
            if at > now {
                return None;
            }
            self.heap.pop();
            let Some(due) = look(slot).filter(|d| d.ticket == ticket) else { continue };
            if due.at <= now {
                return Some(slot);
            }
            self.heap.push(Reverse((due.at, slot, ticket)));
            store(slot, Due { queued_at: due.at, ..due });
        }
        None
    }

    /// Drops items of entries that are gone, once they are the greater part. `live` gives every entry.
    pub fn tidy(&mut self, count: usize, live: impl Iterator<Item = (u32, Due)>) {
        if self.heap.len() > 2 * count + 64 {
            self.heap.clear();
            self.heap.extend(live.map(|(slot, due)| Reverse((due.queued_at, slot, due.ticket))));
            self.heap.shrink_to(2 * count + 64);
        }
    }

    /// The number of items, those of gone entries included.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.heap.len()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn drain(queue: &mut Queue, live: &mut HashMap<u32, Due>, now: Millis) -> Vec<u32> {
        let mut gone = Vec::new();
        loop {
            let stored = std::cell::RefCell::new(&mut *live);
            let slot = queue.pop(
                now,
                |slot| stored.borrow().get(&slot).copied(),
                |slot, due| {
                    stored.borrow_mut().insert(slot, due);
                },
            );
            let Some(slot) = slot else { break };
            live.remove(&slot);
            gone.push(slot);
        }
        gone
    }

    #[derive(Clone, Debug)]
    enum Step {
        Set(u32, u64),
        Remove(u32),
        Wait(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0u32..8, 1u64..100).prop_map(|(slot, after)| Step::Set(slot, after)),
            (0u32..8).prop_map(Step::Remove),
            (0u64..60).prop_map(Step::Wait),
        ]
    }

    proptest! {
        /// Whatever is set, put off, brought forward and removed: each entry comes out exactly when it is due.
        #[test]
        fn each_entry_comes_out_when_due(steps in prop::collection::vec(step(), 0..400)) {
            let (mut queue, mut live, mut model, mut now) =
                (Queue::default(), HashMap::new(), HashMap::new(), 0);
            for step in steps {
                match step {
                    Step::Set(slot, after) => {
                        let due = match live.get(&slot) {
                            Some(due) => queue.change(slot, *due, now + after),
                            None => queue.add(slot, now + after),
                        };
                        live.insert(slot, due);
                        model.insert(slot, now + after);
                    }
                    Step::Remove(slot) => {
                        live.remove(&slot);
                        model.remove(&slot);
                    }
                    Step::Wait(time) => {
                        now += time;
                        let mut gone = drain(&mut queue, &mut live, now);
                        gone.sort_unstable();
                        let mut want: Vec<u32> =
                            model.iter().filter(|(_, at)| **at <= now).map(|(slot, _)| *slot).collect();
                        want.sort_unstable();
                        model.retain(|_, at| *at > now);
                        prop_assert_eq!(gone, want);
                    }
                }
                queue.tidy(live.len(), live.iter().map(|(s, d)| (*s, *d)));
                prop_assert!(queue.len() <= 2 * live.len() + 64);
                if let Some(first) = model.values().min() {
                    prop_assert!(queue.next().is_some_and(|next| next <= *first));
                }
            }
        }
    }
}
