//! What a profile and a user's settings say about registrations.

use std::sync::Arc;
use std::time::Duration;

use super::{Account, Refusal};
use crate::config::directory::is_true;
use crate::config::sofia::{MultipleRegistrations as Multiple, ProfileConf};

/// The rules for one REGISTER: the profile's, with the user's own settings already put in. Times in seconds.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The profile's name.
    pub profile: Arc<str>,
    /// What happens to the user's other contacts.
    pub multiple: Multiple,
    /// Granted when nothing is asked for: 300. Behind a NAT it is 30, as in FreeSWITCH.
    pub default_expires: u32,
    /// Less (but not 0) is refused with 423, unless it is an hour or more (RFC 3261 §10.3 step 7).
    pub min_expires: Option<u32>,
    /// More is cut to this.
    pub max_expires: Option<u32>,
    /// `sip-force-expires`: granted whatever is asked for.
    pub force_expires: Option<u32>,
    /// `sip-force-expires-min`: less is raised to this, without a word.
    pub force_expires_min: Option<u32>,
    /// `sip-force-expires-max`: more is lowered to this.
    pub force_expires_max: Option<u32>,
    /// `sip-expires-max-deviation`.
    pub max_deviation: u32,
    /// Added to what is granted: see [`draw`](Self::draw).
    pub deviation: i32,
    /// `sip-expires-late-margin`: how long a contact is kept after its time: 60 s.
    pub late_margin: Duration,
    /// `max-registrations-per-extension`; `None` or 0 is no limit.
    pub max_per_extension: Option<usize>,
    /// The phone is behind a NAT.
    pub nat: bool,
    /// As whom the phone has logged in, where that says more than the user and the domain.
    pub account: Option<Arc<Account>>,
    /// The phone is pinged.
    pub pinged: bool,
    /// `enable-rfc-5626`: several flows of one instance live side by side.
    pub outbound: bool,
}

impl Policy {
    /// FreeSWITCH's defaults for a profile.
    pub fn new(profile: impl Into<Arc<str>>) -> Self {
        Policy {
            profile: profile.into(),
            multiple: Multiple::No,
            default_expires: 300,
            min_expires: None,
            max_expires: None,
            force_expires: None,
            force_expires_min: None,
            force_expires_max: None,
            max_deviation: 0,
            deviation: 0,
            late_margin: Duration::from_secs(60),
            max_per_extension: None,
            nat: false,
            account: None,
            pinged: false,
            outbound: false,
        }
    }

    /// The rules of a profile. NAT and outbound are left out: they are the caller's to say.
    pub fn of(conf: &ProfileConf) -> Self {
        Policy {
            multiple: conf.multiple_registrations,
            force_expires: conf.sip_force_expires,
            force_expires_min: conf.sip_force_expires_min,
            force_expires_max: conf.sip_force_expires_max,
            max_deviation: conf.sip_expires_max_deviation.unwrap_or(0),
            late_margin: Duration::from_secs(conf.sip_expires_late_margin.into()),
            max_per_extension: conf.max_registrations_per_extension.map(|n| n as usize),
            ..Policy::new(conf.name.as_str())
        }
    }

    /// The rules with a user's own settings put in. `setting` looks a name up among its variables, then its params.
    pub fn for_user<'a>(mut self, setting: impl Fn(&str) -> Option<&'a str>) -> Self {
        let number = |name: &str| setting(name)?.trim().parse::<u32>().ok().filter(|n| *n > 0);
        self.force_expires = number("sip-force-expires").or(self.force_expires);
        self.force_expires_min = number("sip-force-expires-min").or(self.force_expires_min);
        self.force_expires_max = number("sip-force-expires-max").or(self.force_expires_max);
        self.max_deviation = number("sip-expires-max-deviation").unwrap_or(self.max_deviation);
        if let Some(max) = setting("max-registrations-per-extension").and_then(|m| m.trim().parse().ok()) {
            self.max_per_extension = Some(max);
        }
        if setting("sip-allow-multiple-registrations").is_some_and(|v| !is_true(v)) {
            self.multiple = Multiple::No;
        }
        self
    }

    /// Turns a random number into this request's deviation.
    pub fn draw(&mut self, random: u32) {
        let max = self.max_deviation.min(i32::MAX as u32 / 2);
        if max > 0 {
            self.deviation = (random % (2 * max)) as i32 - max as i32;
        }
    }

    /// What is granted to a contact that asked for `asked` seconds; 0 removes it.
    pub(super) fn grant(&self, asked: Option<u32>) -> Result<u32, Refusal> {
        let asked =
            asked.unwrap_or(if self.nat { self.default_expires.min(30) } else { self.default_expires });
        if asked == 0 {
            return Ok(0);
        }
        let set = |limit: Option<u32>| limit.filter(|l| *l > 0);
        let mut granted = asked.max(set(self.force_expires_min).unwrap_or(0));
        granted = granted.min(set(self.force_expires_max).unwrap_or(u32::MAX));
        granted = set(self.force_expires).unwrap_or(granted);
        if self.deviation != 0 {
            granted = granted.saturating_add_signed(self.deviation).max(1);
        }
        match set(self.min_expires) {
            Some(min) if granted < min && granted < 3600 => Err(Refusal::too_brief(min)),
            _ => Ok(granted.min(set(self.max_expires).unwrap_or(u32::MAX))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expiry_follows_the_rules() {
        let policy = |change: fn(&mut Policy)| {
            let mut policy = Policy::new("internal");
            change(&mut policy);
            policy
        };
        type Case = (fn(&mut Policy), Option<u32>, Option<u32>);
        let cases: &[Case] = &[
            (|_| (), None, Some(300)),
            (|_| (), Some(3600), Some(3600)),
            (|_| (), Some(0), Some(0)),
            (|p| p.nat = true, None, Some(30)),
            (|p| p.nat = true, Some(600), Some(600)),
            (|p| p.force_expires = Some(120), Some(3600), Some(120)),
            (|p| p.force_expires = Some(120), None, Some(120)),
            (|p| p.force_expires = Some(120), Some(0), Some(0)),
            (|p| p.force_expires = Some(0), Some(50), Some(50)),
            (|p| p.force_expires_min = Some(90), Some(60), Some(90)),
            (|p| p.force_expires_max = Some(90), Some(600), Some(90)),
            (|p| p.min_expires = Some(60), Some(59), None),
            (|p| p.min_expires = Some(60), Some(60), Some(60)),
            (|p| p.min_expires = Some(7200), Some(3600), Some(3600)),
            (|p| p.min_expires = Some(60), Some(0), Some(0)),
            (|p| p.max_expires = Some(600), Some(4_000_000_000), Some(600)),
            (|p| p.deviation = -20, Some(100), Some(80)),
            (|p| p.deviation = -200, Some(100), Some(1)),
            (|p| p.deviation = 20, Some(u32::MAX), Some(u32::MAX)),
        ];
        for (at, (change, asked, want)) in cases.iter().enumerate() {
            assert_eq!(policy(*change).grant(*asked).ok(), *want, "case {at}");
        }
    }

    #[test]
    fn a_users_own_settings_win() {
        let profile = Policy {
            force_expires_max: Some(600),
            multiple: Multiple::CallId,
            max_per_extension: Some(3),
            ..Policy::new("internal")
        };
        let user = |name: &str| match name {
            "sip-force-expires" => Some("120"),
            "sip-force-expires-max" => Some("x"),
            "sip-expires-max-deviation" => Some("10"),
            "sip-allow-multiple-registrations" => Some("false"),
            "max-registrations-per-extension" => Some("1"),
            _ => None,
        };
        let mut policy = profile.clone().for_user(user);
        assert_eq!((policy.force_expires, policy.force_expires_max), (Some(120), Some(600)));
        assert_eq!((policy.multiple, policy.max_per_extension), (Multiple::No, Some(1)));
        for random in [0, 1, 19, 20, u32::MAX] {
            policy.draw(random);
            assert!((-10..10).contains(&policy.deviation), "{random}");
        }
        let plain = profile.for_user(|_| None);
        assert_eq!((plain.multiple, plain.max_per_extension), (Multiple::CallId, Some(3)));
    }
}
