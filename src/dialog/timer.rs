//! The session timer (RFC 4028), both roles.
//!
//! As FreeSWITCH has it by default: support is announced, no Session-Expires is offered unless configured, and a
//! peer's Session-Expires is honoured. Who refreshes is kept across refreshes unless the peer's request says
//! otherwise.

use std::time::Duration;

/// The least Session-Expires anybody may ask for, in seconds (RFC 4028 §4).
pub const LEAST: u32 = 90;

/// Who refreshes the session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refresher {
    /// This side.
    Us,
    /// The other side.
    Peer,
}

/// The refresher as written in a message: the role in *that* transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Role {
    Uac,
    Uas,
}

/// What a message says about the session timer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Asked {
    /// Session-Expires, in seconds.
    pub expires: Option<u32>,
    /// Its refresher parameter.
    pub refresher: Option<Role>,
    /// Min-SE, in seconds.
    pub min_se: Option<u32>,
    /// `timer` in Supported (or Require).
    pub supported: bool,
}

/// What we say about it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Said {
    /// Session-Expires, in seconds, and the refresher parameter.
    pub expires: Option<(u32, Option<Role>)>,
    /// Min-SE, in seconds.
    pub min_se: Option<u32>,
    /// `Require: timer` (RFC 4028 §9: when the UAC is to refresh).
    pub require: bool,
}

/// The timer of one session.
#[derive(Debug)]
pub(super) struct SessionTimer {
    enabled: bool,
    /// What we ask for; none: nothing, but the peer's wish is honoured.
    wanted: Option<u32>,
    /// Our Min-SE, raised by the peer's 422.
    least: u32,
    /// Is Min-SE worth a header?
    say_least: bool,
    running: Option<(u32, Refresher)>,
}

impl SessionTimer {
    pub fn new(enabled: bool, wanted: Option<u32>, min_se: u32) -> Self {
        let least = min_se.max(LEAST);
        let wanted = wanted.filter(|w| *w > 0).map(|w| w.max(least));
        SessionTimer { enabled, wanted, least, say_least: min_se > LEAST, running: None }
    }

    /// Interval in seconds and refresher, when it runs.
    pub fn running(&self) -> Option<(u32, Refresher)> {
        self.running
    }

    /// What our INVITE, re-INVITE or UPDATE says.
    pub fn request(&self) -> Said {
        if !self.enabled {
            return Said::default();
        }
        let expires = match self.running {
            Some((interval, Refresher::Us)) => Some((interval.max(self.least), Some(Role::Uac))),
            Some((interval, Refresher::Peer)) => Some((interval.max(self.least), Some(Role::Uas))),
            None => self.wanted.map(|w| (w.max(self.least), None)),
        };
        let min_se = (self.say_least && expires.is_some()).then_some(self.least);
        Said { expires, min_se, require: false }
    }

    /// The Min-SE of a 422, when `asked` is too small for us. A peer without support gets none: the header is a
    /// proxy's, and the peer could not do better (RFC 4028 §9).
    pub fn too_small(&self, asked: &Asked) -> Option<u32> {
        let small = asked.expires.is_some_and(|e| e < self.least);
        (self.enabled && asked.supported && small).then_some(self.least)
    }

    /// A 2xx of ours to an INVITE or UPDATE of the peer that says `asked`: sets the timer, and says so.
    pub fn accept(&mut self, asked: &Asked) -> Said {
        if !self.enabled {
            self.running = None;
            return Said::default();
        }
        let before = self.running;
        let floor = self.least.max(asked.min_se.unwrap_or(0));
        let interval = match (asked.expires, before, self.wanted) {
            // never raised (§9), but for what cannot be meant
            (Some(theirs), _, ours) => Some(theirs.min(ours.unwrap_or(theirs).max(floor)).max(LEAST)),
            (None, Some((interval, _)), _) => Some(interval.max(floor)),
            (None, None, ours) => ours.map(|o| o.max(floor)),
        };
        let Some(interval) = interval else {
            self.running = None;
            return Said::default();
        };
        let role = match (asked.supported, asked.expires.and(asked.refresher), before) {
            (false, ..) => Role::Uas, // RFC 4028 table 2: a UAC without support cannot refresh
            (true, Some(role), _) => role,
            (true, None, Some((_, Refresher::Peer))) => Role::Uac,
            (true, None, _) => Role::Uas,
        };
        let refresher = if role == Role::Uas { Refresher::Us } else { Refresher::Peer };
        self.running = Some((interval, refresher));
        Said {
            expires: Some((interval, Some(role))),
            min_se: self.say_least.then_some(self.least),
            require: role == Role::Uac,
        }
    }

    /// A 2xx of the peer to our INVITE, re-INVITE or UPDATE.
    pub fn accepted(&mut self, answer: &Asked) {
        if !self.enabled {
            return;
        }
        self.running = match (answer.expires, answer.refresher) {
            (Some(interval), Some(Role::Uas)) => Some((interval.max(LEAST), Refresher::Peer)),
            (Some(interval), _) => Some((interval.max(LEAST), Refresher::Us)),
            // The peer does without. Who wants a timer may refresh alone (RFC 4028 §7.2): it finds a dead peer.
            (None, _) => self.request().expires.map(|(interval, _)| (interval, Refresher::Us)),
        };
    }

    /// A 422: the next request asks for at least `min_se`. False when that would not change anything.
    pub fn raise(&mut self, min_se: Option<u32>) -> bool {
        let Some(min_se) = min_se.filter(|m| *m > self.least) else { return false };
        self.least = min_se;
        self.say_least = true;
        true
    }

    /// How long after a refresh we send the next one.
    pub fn refresh_after(&self) -> Option<Duration> {
        match self.running {
            Some((interval, Refresher::Us)) => Some(Duration::from_secs(u64::from(interval)) / 2),
            _ => None,
        }
    }

    /// How long after a refresh the session counts as dead (RFC 4028 §10).
    pub fn expires_after(&self) -> Option<Duration> {
        let (interval, _) = self.running?;
        Some(Duration::from_secs(u64::from(interval - (interval / 3).min(32))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asks(expires: u32, refresher: Option<Role>) -> Asked {
        Asked { expires: Some(expires), refresher, min_se: None, supported: true }
    }

    #[test]
    fn by_default_nothing_is_offered_and_a_wish_is_honoured() {
        let mut timer = SessionTimer::new(true, None, 0);
        assert_eq!(timer.request(), Said::default());
        assert_eq!(timer.accept(&Asked { supported: true, ..Asked::default() }), Said::default());
        assert_eq!(timer.expires_after(), None);
        let said = timer.accept(&asks(1800, None));
        assert_eq!(said.expires, Some((1800, Some(Role::Uas))));
        assert_eq!(timer.refresh_after(), Some(Duration::from_secs(900)));
        assert_eq!(timer.expires_after(), Some(Duration::from_secs(1800 - 32)));
    }

    #[test]
    fn table_2_of_rfc_4028() {
        // (peer supports, refresher in the request) → role, Require: timer
        for (supported, refresher, role, require) in [
            (false, None, Role::Uas, false),
            (true, None, Role::Uas, false),
            (true, Some(Role::Uac), Role::Uac, true),
            (true, Some(Role::Uas), Role::Uas, false),
        ] {
            let mut timer = SessionTimer::new(true, Some(120), 120);
            let said = timer.accept(&Asked { expires: Some(600), refresher, min_se: None, supported });
            assert_eq!(said.expires, Some((120, Some(role))), "{supported} {refresher:?}");
            assert_eq!(said.require, require);
            assert_eq!(said.min_se, Some(120));
        }
    }

    #[test]
    fn a_small_wish_is_refused_only_when_the_peer_can_do_better() {
        let timer = SessionTimer::new(true, None, 0);
        assert_eq!(timer.too_small(&asks(60, None)), Some(90));
        assert_eq!(timer.too_small(&asks(90, None)), None);
        assert_eq!(timer.too_small(&Asked { supported: false, ..asks(60, None) }), None);
        assert_eq!(SessionTimer::new(false, None, 0).too_small(&asks(60, None)), None);
    }

    #[test]
    fn the_refresher_is_kept_across_refreshes() {
        let mut timer = SessionTimer::new(true, Some(1800), 0);
        assert_eq!(timer.request().expires, Some((1800, None)));
        timer.accepted(&asks(1800, Some(Role::Uas)));
        assert_eq!(timer.running(), Some((1800, Refresher::Peer)));
        // our own re-INVITE for hold keeps the peer as the refresher
        assert_eq!(timer.request().expires, Some((1800, Some(Role::Uas))));
        // its refresh without the parameter keeps it too
        assert_eq!(timer.accept(&asks(1800, None)).expires, Some((1800, Some(Role::Uac))));
        assert_eq!(timer.refresh_after(), None);
        assert_eq!(timer.expires_after(), Some(Duration::from_secs(1768)));
    }

    #[test]
    fn a_422_raises_the_wish_once() {
        let mut timer = SessionTimer::new(true, Some(120), 90);
        assert!(timer.raise(Some(300)));
        assert!(!timer.raise(Some(300)));
        assert!(!timer.raise(None));
        let said = timer.request();
        assert_eq!((said.expires, said.min_se), (Some((300, None)), Some(300)));
    }

    #[test]
    fn who_wants_a_timer_refreshes_alone() {
        let mut timer = SessionTimer::new(true, Some(120), 0);
        timer.accepted(&Asked::default());
        assert_eq!(timer.running(), Some((120, Refresher::Us)));
        let mut timer = SessionTimer::new(true, None, 0);
        timer.accepted(&Asked::default());
        assert_eq!(timer.running(), None);
    }
}
