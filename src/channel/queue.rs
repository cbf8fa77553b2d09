//! A queue that is nearly always empty, or holds one thing: that has its place in the queue itself, and only more take
//! memory of their own, which is given back when they are gone.

use std::collections::VecDeque;

#[derive(Debug)]
pub(super) struct Queue<T> {
    first: Option<T>,
    /// What came after `first`; empty while there is no `first`.
    more: VecDeque<T>,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { first: None, more: VecDeque::new() }
    }
}

impl<T> Queue<T> {
    pub fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.more.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.first.iter().chain(&self.more)
    }

    pub fn push(&mut self, one: T) {
        match self.first {
            None => self.first = Some(one),
            Some(_) => self.more.push_back(one),
        }
    }

    pub fn pop(&mut self) -> Option<T> {
        let one = self.first.take()?;
        self.first = self.more.pop_front();
        if self.first.is_none() && self.more.capacity() > 0 {
            self.more = VecDeque::new();
        }
        Some(one)
    }
}

#[cfg(test)]
mod tests {
    use super::Queue;

    #[test]
    fn first_in_first_out_and_nothing_kept() {
        let mut queue = Queue::default();
        for round in [1, 2, 50] {
            (0..round).for_each(|n| queue.push(n));
            assert_eq!(queue.len(), round);
            assert!((0..round).all(|n| queue.pop() == Some(n)));
            assert_eq!((queue.pop(), queue.len(), queue.more.capacity()), (None, 0, 0));
        }
    }
}
