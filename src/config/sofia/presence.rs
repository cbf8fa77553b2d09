//! A profile's settings for who may watch whom.

use crate::config::value::{Value, is_false};

/// `presence-hold-state`: what a call on hold is told to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PresenceHold {
    /// Ringing, so that lamps blink.
    #[default]
    Early,
    /// As before.
    Confirmed,
    /// Over.
    Terminated,
}

/// Subscriptions to users of the directory.
#[derive(Clone, Debug, Default)]
pub struct PresenceConf {
    /// `manage-presence`: SUBSCRIBE is served. Absent means no.
    pub on: bool,
    /// `force-subscription-domain`: the domain of every watched user, whatever the phone calls it.
    pub domain: Option<String>,
    /// `force-subscription-expires`: the longest subscription, in seconds.
    pub expires: Option<u32>,
    /// `presence-privacy`: nobody is told with whom a user talks.
    pub privacy: bool,
    /// `presence-disable-early`: nobody is told that a phone rings.
    pub disable_early: bool,
    /// `presence-hold-state`.
    pub hold: PresenceHold,
}

impl PresenceConf {
    /// Takes a parameter; false when it is none of these.
    pub(super) fn take(&mut self, name: &str, value: &mut Value<'_>) -> bool {
        match name {
            // `passive` and `pnp` tell FreeSWITCH which of several databases is the one that counts; here is one.
            "manage-presence" => {
                self.on = ["passive", "pnp"].iter().any(|word| value.text.eq_ignore_ascii_case(word))
                    || !is_false(value.text) && value.is_on();
            }
            "force-subscription-domain" => value.text(&mut self.domain),
            "force-subscription-expires" => value.limit(&mut self.expires),
            "presence-privacy" => value.flag(&mut self.privacy),
            "presence-disable-early" => value.flag(&mut self.disable_early),
            "presence-hold-state" => {
                let words = [
                    ("early", PresenceHold::Early),
                    ("confirmed", PresenceHold::Confirmed),
                    ("terminated", PresenceHold::Terminated),
                ];
                value.one_of(&words, &mut self.hold);
            }
            _ => return false,
        }
        true
    }
}
