//! Reliable provisional responses (RFC 3262), both roles.
//!
//! [`Sender`]: ours. One is under way at a time, later ones queue (§3: the second may only go out when the first
//! is acknowledged). [`Receiver`]: the peer's, in one early dialog: in order, each acknowledged once.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

/// How many provisional responses may wait behind an unacknowledged one.
const QUEUED: usize = 8;

/// A provisional response waiting for its turn.
#[derive(Debug)]
pub(super) struct Waiting {
    pub status: u16,
    pub sdp: Option<Bytes>,
    pub headers: Vec<(String, String)>,
}

/// Our reliable provisional responses to one INVITE.
#[derive(Debug)]
pub(super) struct Sender {
    /// RSeq of the next one.
    next: u32,
    under_way: Option<UnderWay>,
    queue: VecDeque<Waiting>,
}

#[derive(Debug)]
struct UnderWay {
    rseq: u32,
    status: u16,
    bytes: Bytes,
    interval: Duration,
    /// Did it carry our answer or offer?
    sdp: bool,
}

impl Sender {
    /// `first` is the first RSeq, drawn from 1..2³¹ (§3).
    pub fn new(first: u32) -> Self {
        Sender { next: first.clamp(1, (1 << 31) - 1), under_way: None, queue: VecDeque::new() }
    }

    /// Must a new one wait?
    pub fn is_busy(&self) -> bool {
        self.under_way.is_some()
    }

    /// Does a description of ours wait for its PRACK? Then no 2xx may be sent (§3).
    pub fn holds_answer(&self) -> bool {
        self.under_way.as_ref().is_some_and(|u| u.sdp) || self.queue.iter().any(|w| w.sdp.is_some())
    }

    /// Queues a response. False when there are too many already.
    pub fn queue(&mut self, waiting: Waiting) -> bool {
        let room = self.queue.len() < QUEUED;
        if room {
            self.queue.push_back(waiting);
        }
        room
    }

    /// The next queued one, when none is under way.
    pub fn take(&mut self) -> Option<Waiting> {
        if self.is_busy() { None } else { self.queue.pop_front() }
    }

    /// The RSeq for the response about to be built.
    pub fn rseq(&self) -> u32 {
        self.next
    }

    /// The response numbered [`rseq`](Self::rseq) goes out.
    pub fn sent(&mut self, status: u16, bytes: Bytes, sdp: bool, t1: Duration) {
        self.under_way = Some(UnderWay { rseq: self.next, status, bytes, interval: t1, sdp });
        self.next = self.next.saturating_add(1);
    }

    /// Its time is up: the response to send again and the time until then next one.
    pub fn again(&mut self) -> Option<(u16, Bytes, Duration)> {
        let under_way = self.under_way.as_mut()?;
        under_way.interval *= 2;
        Some((under_way.status, under_way.bytes.clone(), under_way.interval))
    }

    /// A PRACK for `rseq`. None: it acknowledges nothing (481). Otherwise whether the response carried a
    /// description of ours.
    pub fn acknowledged(&mut self, rseq: u32) -> Option<bool> {
        let under_way = self.under_way.take_if(|u| u.rseq == rseq)?;
        Some(under_way.sdp)
    }

    /// The final response goes out: nothing is sent again. A PRACK under way is still answered 200.
    pub fn finish(&mut self) {
        self.queue.clear();
    }
}

/// The RSeq a RAck names (`rseq cseq method`, RFC 3262 §7.2), when it is about the INVITE numbered `cseq`.
pub(super) fn rack(text: &str, cseq: u32) -> Option<u32> {
    let mut words = text.split_ascii_whitespace();
    let (rseq, number, method) = (words.next()?, words.next()?, words.next()?);
    let matches = method == "INVITE" && number.parse() == Ok(cseq) && words.next().is_none();
    rseq.parse().ok().filter(|_| matches)
}

/// What to do with a reliable provisional response.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Heard {
    /// Acknowledge and use it.
    New,
    /// Seen before: its PRACK is under way. Or out of order: the peer will send it again.
    Ignore,
}

/// The peer's reliable provisional responses in one early dialog.
#[derive(Clone, Default, Debug)]
pub(super) struct Receiver {
    last: Option<u32>,
}

impl Receiver {
    /// A reliable provisional response numbered `rseq` came (§4).
    pub fn heard(&mut self, rseq: u32) -> Heard {
        match self.last {
            Some(last) if Some(rseq) != last.checked_add(1) => Heard::Ignore,
            _ => {
                self.last = Some(rseq);
                Heard::New
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_in_order() {
        let t1 = Duration::from_millis(500);
        let mut sender = Sender::new(7);
        assert_eq!(sender.rseq(), 7);
        sender.sent(183, Bytes::from_static(b"183"), true, t1);
        assert!(sender.is_busy() && sender.holds_answer());
        assert!(sender.queue(Waiting { status: 180, sdp: None, headers: Vec::new() }));
        assert!(sender.take().is_none());
        assert_eq!(sender.again().map(|(_, _, d)| d), Some(t1 * 2));
        assert_eq!(sender.again().map(|(_, _, d)| d), Some(t1 * 4));
        assert_eq!(sender.acknowledged(8), None);
        assert_eq!(sender.acknowledged(7), Some(true));
        assert_eq!(sender.acknowledged(7), None);
        assert_eq!(sender.take().map(|w| w.status), Some(180));
        assert_eq!(sender.rseq(), 8);
    }

    #[test]
    fn the_queue_is_bounded() {
        let mut sender = Sender::new(0);
        let all = (0..20).filter(|_| sender.queue(Waiting { status: 180, sdp: None, headers: Vec::new() }));
        assert_eq!(all.count(), QUEUED);
    }

    #[test]
    fn a_receiver_takes_each_number_once() {
        let mut receiver = Receiver::default();
        for (rseq, heard) in [
            (5, Heard::New),
            (5, Heard::Ignore),
            (7, Heard::Ignore),
            (6, Heard::New),
            (4, Heard::Ignore),
            (7, Heard::New),
            (u32::MAX, Heard::Ignore),
        ] {
            assert_eq!(receiver.heard(rseq), heard, "{rseq}");
        }
        let mut receiver = Receiver::default();
        assert_eq!(receiver.heard(u32::MAX), Heard::New);
        assert_eq!(receiver.heard(0), Heard::Ignore);
    }
}
