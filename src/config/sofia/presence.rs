//! A profile's settings for who may watch whom.

use crate::config::value::{Value, is_false, is_true};

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
    /// `send-message-query-on-register`.
    pub query_messages: QueryMessages,
}

/// `send-message-query-on-register`: when a phone that registers is told which messages wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QueryMessages {
    /// When it subscribes.
    #[default]
    Never,
    /// `first-only`: when it has not been registered before.
    First,
    /// Each time.
    Always,
}

impl QueryMessages {
    /// What a value says, as FreeSWITCH reads it.
    pub fn read(value: &str) -> QueryMessages {
        match value.trim() {
            first if first.eq_ignore_ascii_case("first-only") => QueryMessages::First,
            on if is_true(on) => QueryMessages::Always,
            _ => QueryMessages::Never,
        }
    }
}

/// OPTIONS that registered phones are asked, to see whether they are there and to keep their NAT open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PhonePing {
    /// `nat-options-ping`: those behind a NAT.
    pub nat: bool,
    /// `nat-options-ping` is `udp-only`: those behind a NAT that speak UDP.
    pub nat_udp: bool,
    /// `all-reg-options-ping`: all.
    pub all: bool,
    /// `ping-mean-interval`: seconds from one to the next.
    pub every: u32,
    /// `unregister-on-options-fail`: who does not answer is not registered any more.
    pub unregister: bool,
    /// `sip-user-ping-min`: with so many points a phone is there.
    pub least: u32,
    /// `sip-user-ping-max`: no phone has more points.
    pub most: u32,
}

impl Default for PhonePing {
    fn default() -> Self {
        PhonePing { nat: false, nat_udp: false, all: false, every: 30, unregister: false, least: 1, most: 3 }
    }
}

impl PhonePing {
    /// Whether a phone is asked that is behind a NAT, or speaks UDP.
    pub fn wants(&self, nat: bool, udp: bool) -> bool {
        self.all || nat && (self.nat || self.nat_udp && udp)
    }

    /// Takes a parameter; false when it is none of these.
    pub(super) fn take(&mut self, name: &str, value: &mut Value<'_>) -> bool {
        match name {
            "nat-options-ping" => {
                self.nat_udp = value.text.eq_ignore_ascii_case("udp-only");
                self.nat = !self.nat_udp && value.is_on();
            }
            "all-reg-options-ping" => value.flag(&mut self.all),
            "ping-mean-interval" => value.number(1..=86_400, &mut self.every),
            "unregister-on-options-fail" => value.flag(&mut self.unregister),
            "sip-user-ping-min" => value.number(0..=1_000, &mut self.least),
            "sip-user-ping-max" => value.number(0..=1_000, &mut self.most),
            _ => return false,
        }
        true
    }
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
            "send-message-query-on-register" => {
                self.query_messages = QueryMessages::read(value.text);
                if self.query_messages != QueryMessages::First {
                    value.is_on();
                }
            }
            _ => return false,
        }
        true
    }
}
