//! Where the offer and the answer stand in one dialog (RFC 3264 §4, RFC 3261 §13.2.1, RFC 6337 §2).
//!
//! One offer at a time, in either direction. Which message carries the answer follows from which carried the
//! offer; the parts that send messages know that, this one knows whether it is allowed.

use bytes::Bytes;

/// Whose offer waits for an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Pending {
    /// Nobody's: an offer may be made.
    #[default]
    None,
    /// Ours.
    Ours,
    /// The peer's.
    Peers,
}

/// Offer/answer state of one dialog and the descriptions in force.
#[derive(Clone, Default, Debug)]
pub(super) struct Exchange {
    pending: Pending,
    /// What we said last.
    local: Option<Bytes>,
    /// What the peer said last.
    remote: Option<Bytes>,
    /// Has one exchange been completed?
    agreed: bool,
}

impl Exchange {
    pub fn pending(&self) -> Pending {
        self.pending
    }

    /// Has any offer been answered?
    pub fn agreed(&self) -> bool {
        self.agreed
    }

    pub fn local(&self) -> Option<&Bytes> {
        self.local.as_ref()
    }

    pub fn remote(&self) -> Option<&Bytes> {
        self.remote.as_ref()
    }

    /// We send an offer.
    pub fn offer(&mut self, sdp: &Bytes) {
        self.pending = Pending::Ours;
        self.local = Some(sdp.clone());
    }

    /// The peer offers.
    pub fn offered(&mut self, sdp: &Bytes) {
        self.pending = Pending::Peers;
        self.remote = Some(sdp.clone());
    }

    /// We send the answer, where it counts.
    pub fn answer(&mut self, sdp: &Bytes) {
        self.local = Some(sdp.clone());
        self.settle();
    }

    /// The peer's answer came, where it counts.
    pub fn answered(&mut self, sdp: &Bytes) {
        self.remote = Some(sdp.clone());
        self.settle();
    }

    /// A preview of the peer's answer in an unreliable provisional response: not the answer yet.
    pub fn previewed(&mut self, sdp: &Bytes) {
        self.remote = Some(sdp.clone());
    }

    /// A preview of our answer.
    pub fn preview(&mut self, sdp: &Bytes) {
        self.local = Some(sdp.clone());
    }

    /// The message that was to bring the answer brought none; what was previewed holds.
    pub fn settle(&mut self) {
        self.agreed |= self.local.is_some() && self.remote.is_some();
        self.pending = Pending::None;
    }

    /// Keeps the peer's description without the message it came in.
    pub fn compact(&mut self) {
        self.remote = self.remote.take().map(|sdp| Bytes::copy_from_slice(&sdp));
    }

    /// The offer was refused: `before` holds again (RFC 3261 §14.1).
    pub fn restore(&mut self, before: Exchange) {
        *self = Exchange { pending: Pending::None, ..before };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Bytes = Bytes::from_static(b"a");
    const B: Bytes = Bytes::from_static(b"b");

    #[test]
    fn an_offer_is_answered_once() {
        let mut x = Exchange::default();
        x.offer(&A);
        assert_eq!((x.pending(), x.agreed()), (Pending::Ours, false));
        x.previewed(&B);
        assert_eq!((x.pending(), x.agreed()), (Pending::Ours, false));
        x.settle();
        assert_eq!((x.pending(), x.agreed(), x.remote()), (Pending::None, true, Some(&B)));
    }

    #[test]
    fn a_refused_offer_leaves_what_was() {
        let mut x = Exchange::default();
        x.offered(&A);
        x.answer(&B);
        let before = x.clone();
        x.offer(&A);
        x.restore(before);
        assert_eq!((x.pending(), x.local(), x.remote()), (Pending::None, Some(&B), Some(&A)));
    }
}
