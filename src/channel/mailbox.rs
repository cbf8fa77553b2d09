//! A leg's mailbox: a short queue of letters, and the news of a sudden death.
//!
//! The box is closed when the leg drops what it receives with ([`Letters`]); those with a [`Tie`] to the leg
//! then find a [`Letter::Gone`] in theirs.

use super::legs::Token;
use super::letter::{Letter, News, Order};
use super::queue::Queue;
use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use tokio::task::coop;

/// How many letters may wait for a leg. A datagram more is dropped and comes again by retransmission;
/// what came on a stream does not.
pub const MAILBOX: usize = 64;

/// Places in a mailbox that only other legs and commands may use, so that a flood of SIP cannot keep a hang-up out.
const KEPT_FREE: usize = 24;

/// What became of a peer's message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Posted {
    /// It is in the box.
    Taken,
    /// There is no room; it will come again.
    Full,
    /// The leg is gone, and what it leaves is kept already.
    Gone,
}

/// The box itself.
#[derive(Default)]
struct Slot {
    letters: Queue<Letter>,
    closed: bool,
    waker: Option<Waker>,
    /// Who is told when the leg is gone.
    tied: Vec<Mailbox>,
}

impl Slot {
    /// Whether this letter goes in even when the box is full: where a call stands may not be forgotten. They are few,
    /// for each leg says so of itself once; and of orders to hang up one is enough.
    fn must_take(&self, letter: &Letter) -> bool {
        match letter {
            Letter::Order(Order::Hangup(_)) => {
                !self.letters.iter().any(|held| matches!(held, Letter::Order(Order::Hangup(_))))
            }
            Letter::Gone(_) | Letter::Order(Order::Join { .. } | Order::Belong { .. }) => true,
            Letter::News { news, .. } => {
                matches!(
                    news,
                    News::Answered(_)
                        | News::Ended(_)
                        | News::Left(_)
                        | News::Settled(_)
                        | News::Transferred(_)
                )
            }
            _ => false,
        }
    }
}

/// Another leg's (or a command's) way to a leg.
#[derive(Clone)]
pub struct Mailbox {
    /// Whose mailbox it is.
    pub token: Token,
    slot: Arc<Mutex<Slot>>,
}

/// A new mailbox and what its leg receives with.
pub(super) fn mailbox(token: Token) -> (Mailbox, Letters) {
    let slot = Arc::<Mutex<Slot>>::default();
    (Mailbox { token, slot: slot.clone() }, Letters { token, slot })
}

impl Mailbox {
    /// Puts a letter of another leg or a command in; false when the leg is gone or its box is full. It is never full for
    /// what decides over the call.
    pub fn post(&self, letter: Letter) -> bool {
        self.put(letter, MAILBOX) == Posted::Taken
    }

    /// Puts a peer's message in, unless that would take the room kept for legs and commands.
    pub fn post_from_wire(&self, letter: Letter) -> Posted {
        self.put(letter, MAILBOX - KEPT_FREE)
    }

    fn put(&self, letter: Letter, room: usize) -> Posted {
        self.offer(&mut Some(letter), room)
    }

    /// Puts a letter in as long as there are less than `room`, or leaves it where it is.
    pub(super) fn offer(&self, offered: &mut Option<Letter>, room: usize) -> Posted {
        let mut slot = lock(&self.slot);
        if slot.closed {
            return Posted::Gone;
        }
        if slot.letters.len() >= room && offered.as_ref().is_some_and(|letter| !slot.must_take(letter)) {
            return Posted::Full;
        }
        let Some(letter) = offered.take() else { return Posted::Taken };
        slot.letters.push(letter);
        let waker = slot.waker.take();
        drop(slot);
        if let Some(waker) = waker {
            waker.wake();
        }
        Posted::Taken
    }

    /// From now on `tied` is told when the leg is gone; at once when it is gone already.
    fn tie(&self, tied: &Mailbox) {
        let mut slot = lock(&self.slot);
        if slot.closed {
            drop(slot);
            tied.post(Letter::Gone(self.token));
        } else {
            slot.tied.push(tied.clone());
        }
    }

    fn untie(&self, tied: Token) {
        let mut slot = lock(&self.slot);
        if let Some(at) = slot.tied.iter().position(|t| t.token == tied) {
            slot.tied.swap_remove(at);
        }
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Mailbox").field(&self.token).finish()
    }
}

/// A poisoned box is still whole: no code that can panic runs under the lock.
fn lock(slot: &Mutex<Slot>) -> MutexGuard<'_, Slot> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The leg's end of its mailbox. Dropping it closes the box.
pub struct Letters {
    token: Token,
    slot: Arc<Mutex<Slot>>,
}

impl Letters {
    /// The next letter, if there is one.
    pub(super) fn next(&mut self) -> Option<Letter> {
        lock(&self.slot).letters.pop()
    }

    /// Closes the box if nothing is in it: whoever comes now finds the leg gone, and no letter is lost between.
    pub(super) fn close_if_empty(&mut self) -> bool {
        let mut slot = lock(&self.slot);
        slot.closed = slot.letters.len() == 0;
        slot.closed
    }

    /// The next letter; the task is woken when one comes.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Letter> {
        // A leg that is flooded with letters lets other legs run now and then.
        let Poll::Ready(turn) = coop::poll_proceed(cx) else { return Poll::Pending };
        let mut slot = lock(&self.slot);
        match slot.letters.pop() {
            Some(letter) => {
                turn.made_progress();
                Poll::Ready(letter)
            }
            None => {
                match &mut slot.waker {
                    Some(waker) => waker.clone_from(cx.waker()),
                    none => *none = Some(cx.waker().clone()),
                }
                Poll::Pending
            }
        }
    }

    /// Waits for a letter.
    pub async fn recv(&mut self) -> Letter {
        poll_fn(|cx| self.poll_next(cx)).await
    }
}

impl Drop for Letters {
    fn drop(&mut self) {
        let closed = Slot { closed: true, ..Slot::default() };
        let Slot { letters, waker, tied, .. } = std::mem::replace(&mut *lock(&self.slot), closed);
        // Letters hold other boxes, and so do ties: let go of outside the lock.
        drop((letters, waker));
        for tied in tied {
            tied.post(Letter::Gone(self.token));
        }
    }
}

/// Belonging to another leg: while the tie lasts, that leg's sudden death is told by a letter.
#[derive(Debug)]
pub(super) struct Tie {
    to: Mailbox,
    from: Token,
}

impl Tie {
    /// Ties the leg whose mailbox is `from` to another.
    pub(super) fn new(from: &Mailbox, to: Mailbox) -> Tie {
        to.tie(from);
        Tie { to, from: from.token }
    }

    /// The other leg's mailbox.
    pub(super) fn mailbox(&self) -> &Mailbox {
        &self.to
    }
}

impl Drop for Tie {
    fn drop(&mut self) {
        self.to.untie(self.from);
    }
}

#[cfg(test)]
mod tests {
    use super::super::cause::Cause;
    use super::super::letter::Order;
    use super::*;

    fn letter() -> Letter {
        Letter::Order(Order::Hangup(Cause::NORMAL_CLEARING))
    }

    #[test]
    fn a_flood_from_the_wire_keeps_no_order_out() {
        let (mailbox, mut letters) = mailbox(Token(1));
        let wire = (0..100).filter(|_| mailbox.post_from_wire(letter()) == Posted::Taken).count();
        let orders = (0..100).filter(|_| mailbox.post(letter())).count();
        assert_eq!((wire, orders), (MAILBOX - KEPT_FREE, KEPT_FREE));
        assert_eq!(std::iter::from_fn(|| letters.next()).count(), MAILBOX);
        assert!(mailbox.post(letter()) && !letters.close_if_empty(), "a letter is in it");
        assert!(letters.next().is_some() && letters.close_if_empty());
        assert_eq!(mailbox.post_from_wire(letter()), Posted::Gone, "closed before it is dropped");
        drop(letters);
        assert!(!mailbox.post(letter()), "the leg is gone");
    }

    #[test]
    fn what_decides_over_the_call_always_goes_in() {
        let (mailbox, mut letters) = mailbox(Token(1));
        let digit = || Letter::Order(Order::Digit { digit: '1', duration_ms: 100 });
        assert_eq!((0..100).filter(|_| mailbox.post(digit())).count(), MAILBOX);
        let settled = Letter::News { from: Token(2), news: News::Settled(Err(488)) };
        assert!(mailbox.post(letter()) && mailbox.post(Letter::Gone(Token(2))) && mailbox.post(settled));
        assert!(!mailbox.post(letter()), "one order to hang up is enough");
        assert!(!mailbox.post(digit()));
        let last: Vec<_> = std::iter::from_fn(|| letters.next()).skip(MAILBOX).collect();
        assert!(matches!(
            last[..],
            [Letter::Order(Order::Hangup(_)), Letter::Gone(Token(2)), Letter::News { .. }]
        ));
    }

    #[tokio::test]
    async fn letters_come_in_order_and_wake() {
        let (mailbox, mut letters) = mailbox(Token(1));
        let reader = tokio::spawn(async move {
            for n in 0..1000 {
                assert!(matches!(letters.recv().await, Letter::Gone(Token(t)) if t == n));
            }
        });
        for n in 0..1000 {
            while !mailbox.post(Letter::Gone(Token(n))) {
                tokio::task::yield_now().await;
            }
        }
        reader.await.expect("all letters, in order");
    }

    #[test]
    fn a_death_is_told_to_those_who_are_still_tied() {
        let (dead, letters) = mailbox(Token(1));
        let (a, mut to_a) = mailbox(Token(2));
        let (b, mut to_b) = mailbox(Token(3));
        let tie = Tie::new(&a, dead.clone());
        drop(Tie::new(&b, dead.clone()));
        drop(letters);
        assert!(matches!(to_a.next(), Some(Letter::Gone(Token(1)))) && to_b.next().is_none());
        drop(tie);
        let _late = Tie::new(&b, dead);
        assert!(matches!(to_b.next(), Some(Letter::Gone(Token(1)))));
    }
}
