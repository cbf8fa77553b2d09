//! Timers: a wheel of one-millisecond slots. A timer is never taken out; its owner looks whether it still matters.

/// What a timer stands for. `stamp` is its owner's at the time of arming: another one since means that it is void.
#[derive(Clone, Copy)]
pub struct Timer<K> {
    due: u64,
    /// The slot of the call.
    pub slot: u32,
    /// The generation of the slot.
    pub generation: u32,
    /// The owner's stamp.
    pub stamp: u32,
    /// What is due.
    pub kind: K,
}

const SLOTS: usize = 1 << 15;

/// The wheel.
pub struct Wheel<K> {
    slots: Vec<Vec<Timer<K>>>,
    now: u64,
    due: Vec<Timer<K>>,
}

impl<K: Copy> Wheel<K> {
    /// An empty wheel that starts at `now` (nanoseconds).
    pub fn new(now: u64) -> Self {
        Self { slots: (0..SLOTS).map(|_| Vec::new()).collect(), now: now / 1_000_000, due: Vec::new() }
    }

    /// Arms a timer for `at` (nanoseconds).
    pub fn arm(&mut self, at: u64, slot: u32, generation: u32, stamp: u32, kind: K) {
        let due = (at / 1_000_000).max(self.now + 1);
        self.place(Timer { due, slot, generation, stamp, kind });
    }

    fn place(&mut self, timer: Timer<K>) {
        // One that lies beyond a turn waits at the far end and is looked at again there.
        let at = timer.due.min(self.now + SLOTS as u64 - 1);
        if let Some(slot) = self.slots.get_mut(at as usize % SLOTS) {
            slot.push(timer);
        }
    }

    /// Takes out what is due at `now`; to be called again until none is left.
    pub fn next(&mut self, now: u64) -> Option<Timer<K>> {
        let now = now / 1_000_000;
        loop {
            if let Some(timer) = self.due.pop() {
                if timer.due <= self.now {
                    return Some(timer);
                }
                self.place(timer);
                continue;
            }
            if self.now >= now {
                return None;
            }
            self.now += 1;
            if let Some(slot) = self.slots.get_mut(self.now as usize % SLOTS) {
                self.due.append(slot);
            }
        }
    }
}
