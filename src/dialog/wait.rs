//! Every wait of a session: a closed enum and one table with [`Waits::next_timeout`].
//!
//! No state of a session lasts for ever by itself. This is the list of what may be waited for, how long
//! at most, and what ends it when nobody does:
//!
//! | wait | runs while | longest stay | at its end |
//! | --- | --- | --- | --- |
//! | [`Wait::Setup`] | the first INVITE has no final response | `setup_limit` | UAC: CANCEL; UAS: 480 |
//! | [`Wait::NextHop`] | our INVITE has several addresses and no response | 8·T1, the last up to 64·T1 in all | the next one |
//! | [`Wait::AnswerAgain`] | our 2xx has no ACK | T1, doubling to T2 (§13.3.1.4) | 2xx sent again |
//! | [`Wait::AnswerEnds`] | our 2xx has no ACK | 64·T1 (§13.3.1.4) | BYE |
//! | [`Wait::ReliableAgain`] | our reliable 1xx has no PRACK | T1, doubling (RFC 3262 §3) | 1xx sent again |
//! | [`Wait::ReliableEnds`] | our reliable 1xx has no PRACK | 64·T1 (RFC 3262 §3) | INVITE refused with 504 |
//! | [`Wait::OwnAnswer`] | a 2xx brought an offer, the owner has not answered | 64·T1 | ACK without a body, BYE |
//! | [`Wait::PeerOffer`] | the owner has not decided on the peer's offer | 64·T1 | refused with 504 |
//! | [`Wait::OwnOffer`] | our offer waits: glare, Retry-After | ≤ 10 s | sent (again) |
//! | [`Wait::OfferEnds`] | our re-INVITE has a 1xx but no final response | 2·64·T1 | BYE |
//! | [`Wait::Reply`] | a request handed up has no answer | 64·T1 − T4 | answered 500 |
//! | [`Wait::Refresh`] | we are the refresher | half of Session-Expires | re-INVITE or UPDATE |
//! | [`Wait::Expiry`] | RFC 4028 runs | Session-Expires − min(32 s, ⅓) | BYE |
//! | [`Wait::Linger`] | ended, transactions remain | 2·64·T1 | over |
//!
//! A confirmed session as such has no end of its own: Session-Expires, the media watch and the owner of the
//! leg end it. What a transaction waits for, the 64·T1 after a CANCEL included, is in [`crate::transaction`].

use std::time::Instant;

use smallvec::SmallVec;

/// One thing a session waits for. Waits that end at the same instant are told in this order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wait {
    /// The final response to the first INVITE.
    Setup,
    /// When an address that is silent is left for the next.
    NextHop,
    /// When to send our un-ACKed 2xx again.
    AnswerAgain,
    /// When to give up on the ACK.
    AnswerEnds,
    /// When to send our reliable provisional response again.
    ReliableAgain,
    /// When to give up on the PRACK.
    ReliableEnds,
    /// The owner's answer to the offer a 2xx brought.
    OwnAnswer,
    /// The owner's decision on an offer of the peer.
    PeerOffer,
    /// When our own delayed offer goes out (again).
    OwnOffer,
    /// The final response to our re-INVITE.
    OfferEnds,
    /// The owner's answer to the oldest request handed up.
    Reply,
    /// When we refresh the session (RFC 4028 §10).
    Refresh,
    /// When the session counts as dead (RFC 4028 §10).
    Expiry,
    /// When an ended session is over whatever its transactions say.
    Linger,
}

/// The table: at most one instant for each wait. Two or three run at a time, so it is a short row.
#[derive(Default, Debug)]
pub(super) struct Waits {
    ends: SmallVec<[(Instant, Wait); 2]>,
}

impl Waits {
    /// `wait` ends at `at`; replaces an earlier end of it.
    pub(super) fn set(&mut self, wait: Wait, at: Instant) {
        self.stop(wait);
        self.ends.push((at, wait));
    }

    /// `wait` is no longer waited for.
    pub(super) fn stop(&mut self, wait: Wait) {
        self.ends.retain(|(_, w)| *w != wait);
    }

    /// Nothing is waited for any more.
    pub(super) fn stop_all(&mut self) {
        self.ends = SmallVec::new();
    }

    /// Is `wait` running?
    pub(super) fn is_set(&self, wait: Wait) -> bool {
        self.ends.iter().any(|(_, w)| *w == wait)
    }

    /// The earliest end.
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.ends.iter().map(|(at, _)| *at).min()
    }

    /// Takes out one wait that has ended at `now`, in the order of the enum.
    pub(super) fn expired(&mut self, now: Instant) -> Option<Wait> {
        let due = self.ends.iter().filter(|(at, _)| *at <= now);
        let wait = due.map(|(_, wait)| *wait).min_by_key(|wait| *wait as u8)?;
        self.stop(wait);
        Some(wait)
    }

    /// Gives back the memory that only busy times need.
    pub(super) fn shrink(&mut self) {
        self.ends.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    #[allow(clippy::disallowed_methods)] // a test needs some instant to start from
    fn waits_end_once_and_in_order() {
        let start = Instant::now();
        let mut waits = Waits::default();
        assert_eq!(waits.next_timeout(), None);
        waits.set(Wait::AnswerEnds, start + Duration::from_secs(32));
        waits.set(Wait::AnswerAgain, start + Duration::from_millis(500));
        assert_eq!(waits.next_timeout(), Some(start + Duration::from_millis(500)));
        assert_eq!(waits.expired(start), None);
        assert_eq!(waits.expired(start + Duration::from_secs(1)), Some(Wait::AnswerAgain));
        assert_eq!(waits.expired(start + Duration::from_secs(1)), None);
        waits.stop(Wait::AnswerEnds);
        assert!(!waits.is_set(Wait::AnswerEnds));
        assert_eq!(waits.next_timeout(), None);
    }
}
