//! What a profile and a user's settings say about registrations.

use std::sync::Arc;
use std::time::Duration;

use super::Refusal;

/// What happens to a user's other contacts when one registers (`multiple-registrations`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Multiple {
    /// `false`: the contacts of the latest REGISTER are the only ones.
    #[default]
    No,
    /// `true`, `call-id`: the contacts of a Call-ID are those of its latest REGISTER.
    CallId,
    /// `contact`: contacts stay until they expire or are removed (RFC 3261 §10.3).
    Contact,
}

impl Multiple {
    /// Reads the profile's param.
    pub fn from_param(value: &str) -> Self {
        let value = value.trim();
        if value.eq_ignore_ascii_case("contact") {
            Multiple::Contact
        } else if value.eq_ignore_ascii_case("call-id") || crate::config::directory::is_true(value) {
            Multiple::CallId
        } else {
            Multiple::No
        }
    }
}

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
    /// Added to what is granted: a random number the caller drew within `sip-expires-max-deviation`.
    pub deviation: i32,
    /// `sip-expires-late-margin`: how long a contact is kept after its time: 60 s.
    pub late_margin: Duration,
    /// `max-registrations-per-extension`; `None` or 0 is no limit.
    pub max_per_extension: Option<usize>,
    /// The phone is behind a NAT.
    pub nat: bool,
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
            deviation: 0,
            late_margin: Duration::from_secs(60),
            max_per_extension: None,
            nat: false,
            outbound: false,
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
    fn multiple_registrations_is_read() {
        for (text, want) in [
            ("false", Multiple::No),
            ("", Multiple::No),
            ("true", Multiple::CallId),
            ("Call-ID", Multiple::CallId),
            ("contact", Multiple::Contact),
        ] {
            assert_eq!(Multiple::from_param(text), want, "{text}");
        }
    }
}
