//! What the variables of an originate say about its course: time limits, early media, retries, rejects.
//!
//! FreeSWITCH's `switch_ivr_originate` reads them from the variables of the dial string (`<…>`, `{…}`) and those the
//! caller exports; a few it takes from the caller itself ([`COPIED`]). Numbers are read as `atoi` does.

use super::string::find;
use crate::channel::variables::is_true;
use crate::channel::{Cause, Variables};
use std::time::Duration;

/// How long an originate rings when nobody says otherwise (`SWITCH_DEFAULT_TIMEOUT`).
const RING: Duration = Duration::from_secs(60);

/// Variables of the caller that count as if they stood in the dial string, and reach the called side with it.
pub const COPIED: [&str; 20] = [
    "group_confirm_key",
    "group_confirm_file",
    "group_confirm_read_timeout",
    "group_confirm_cancel_timeout",
    "group_confirm_timeout",
    "forked_dial",
    "fail_on_single_reject",
    "hangup_on_single_reject",
    "ignore_early_media",
    "bridge_early_media",
    "originate_continue_on_timeout",
    "ignore_ring_ready",
    "monitor_early_media_ring",
    "monitor_early_media_ring_total",
    "monitor_early_media_fail",
    "return_ring_ready",
    "ring_ready",
    "instant_ringback",
    "progress_timeout",
    "language",
];

/// What early media of a called leg mean.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum EarlyMedia {
    /// They end the race.
    #[default]
    Wins,
    /// They are not listened to.
    Ignored,
    /// They are as good as a 180.
    Rings,
}

/// Which refusal of one leg ends the attempt of all.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum SingleReject {
    /// None.
    #[default]
    Never,
    /// Each.
    Any,
    /// Those whose name stands in this text; those whose name does not, when it begins with `!`.
    Listed(String),
}

impl SingleReject {
    /// Whether a leg that ended with `cause` ends the attempt.
    pub fn ends(&self, cause: Cause) -> bool {
        match self {
            SingleReject::Never => false,
            SingleReject::Any => true,
            SingleReject::Listed(list) => {
                let named = list.to_ascii_uppercase().contains(cause.name());
                named != list.starts_with('!')
            }
        }
    }
}

/// How an originate is to go.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rules {
    /// How long each stage may ring (`originate_timeout`, `call_timeout`).
    pub limit: Duration,
    /// How long until somebody rings or sends media (`progress_timeout`).
    pub progress: Option<Duration>,
    /// Wait before the first stage (`originate_delay_start`, ms).
    pub delay: Duration,
    /// How often it is tried in all (`originate_retries`).
    pub tries: u32,
    /// Pause before each stage of a further try (`originate_retry_sleep_ms`).
    pub pause: Duration,
    /// The least time from the begin of one try to the next (`originate_retry_min_period_ms`).
    pub period: Duration,
    /// No further try once this long is over (`originate_retry_timeout`).
    pub retry_limit: Option<Duration>,
    /// `ignore_early_media`, `bridge_early_media`, `monitor_early_media_…`.
    pub early_media: EarlyMedia,
    /// The caller is told at once that it rings (`ring_ready`, `instant_ringback`).
    pub ring_at_once: bool,
    /// The caller is never told that it rings (`ignore_ring_ready`).
    pub ring_ignored: bool,
    /// A single leg that rings has as good as answered: no time limit any more (`return_ring_ready`).
    pub ring_is_enough: bool,
    /// A stage whose time is up leads to the next one (`originate_continue_on_timeout`).
    pub go_on: bool,
    /// `fail_on_single_reject`.
    pub single_reject: SingleReject,
    /// `hangup_on_single_reject`.
    pub hangup_caller: bool,
}

impl Rules {
    /// Reads `variables`, those of the dial string with the caller's behind them. `limit` is what the caller's
    /// `call_timeout` says. What makes no sense, or is not provided, is told by a line.
    pub fn read(variables: &[(String, String)], limit: Option<&str>) -> (Rules, Vec<String>) {
        let mut said = Vec::new();
        let get = |name| find(variables, name);
        let number = |name| get(name).map(atoi).filter(|n| *n > 0);
        let truth = |name| get(name).is_some_and(is_true);
        let seconds = |name| number(name).map(Duration::from_secs);
        // A number out of its bounds counts for nothing.
        let mut bounded = |name: &str, bounds: std::ops::RangeInclusive<u64>| {
            let value = find(variables, name).filter(|text| is_true(text) || atoi(text) > 0).map(atoi)?;
            if bounds.contains(&value) {
                return Some(value);
            }
            let (least, most) = (bounds.start(), bounds.end());
            said.push(format!("{name}={value} is ignored: it must be between {least} and {most}"));
            None
        };
        let retry_limit =
            bounded("originate_retry_timeout", 1..=u64::from(u32::MAX)).map(Duration::from_secs);
        let most = if retry_limit.is_some() { u64::from(u32::MAX) } else { 100 };
        let tries = bounded("originate_retries", 1..=most).and_then(|n| n.try_into().ok()).unwrap_or(1);
        let pause = bounded("originate_retry_sleep_ms", 500..=60_000).unwrap_or(1000);
        let period = bounded("originate_retry_min_period_ms", 500..=300_000).unwrap_or(1000);
        let early_media = match get("ignore_early_media") {
            Some(text) if is_true(text) || text == "consume" => EarlyMedia::Ignored,
            Some("ring_ready") => EarlyMedia::Rings,
            _ if truth("bridge_early_media") => {
                said.push("bridge_early_media is not provided yet: early media are ignored".to_owned());
                EarlyMedia::Ignored
            }
            _ => match ["monitor_early_media_ring", "monitor_early_media_fail"]
                .into_iter()
                .find(|n| get(n).is_some())
            {
                Some(name) => {
                    said.push(format!(
                        "{name} is not provided yet (it listens for tones): early media are ignored"
                    ));
                    EarlyMedia::Ignored
                }
                None => EarlyMedia::Wins,
            },
        };
        let single_reject = match get("fail_on_single_reject") {
            Some(text) if is_true(text) => SingleReject::Any,
            Some(list) => SingleReject::Listed(list.to_owned()),
            None if truth("hangup_on_single_reject") => SingleReject::Any,
            None => SingleReject::Never,
        };
        let rules = Rules {
            limit: seconds("originate_timeout")
                .or_else(|| limit.map(atoi).filter(|n| *n > 0).map(Duration::from_secs))
                .unwrap_or(RING),
            progress: seconds("progress_timeout"),
            delay: number("originate_delay_start").map(Duration::from_millis).unwrap_or_default(),
            tries,
            pause: Duration::from_millis(pause),
            period: Duration::from_millis(period),
            retry_limit,
            early_media,
            ring_at_once: truth("ring_ready") || truth("instant_ringback"),
            ring_ignored: truth("ignore_ring_ready"),
            ring_is_enough: truth("return_ring_ready"),
            go_on: truth("originate_continue_on_timeout"),
            single_reject,
            hangup_caller: truth("hangup_on_single_reject"),
        };
        (rules, said)
    }

    /// For a caller with a tone of its own (`ringback`): it begins with early media that are ignored. The tone itself comes
    /// with sound; until then the caller is told that it rings.
    pub fn with_ringback(self) -> Rules {
        let early_media = match self.early_media {
            EarlyMedia::Ignored => EarlyMedia::Rings,
            other => other,
        };
        Rules { early_media, ..self }
    }
}

/// What one leg's variables say about its own course.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct LegRules {
    /// It is called that much later (`leg_delay_start`).
    pub delay: Duration,
    /// How long it may ring (`leg_timeout`).
    pub limit: Option<Duration>,
    /// How long until it rings or sends media (`leg_progress_timeout`).
    pub progress: Option<Duration>,
    /// When it ends, all end (`leg_required`).
    pub required: bool,
}

impl LegRules {
    /// Reads a leg's variables.
    pub fn read(variables: &Variables) -> LegRules {
        let number = |name| variables.get(name).map(atoi).filter(|n| *n > 0);
        let seconds = |name| number(name).map(Duration::from_secs);
        LegRules {
            delay: seconds("leg_delay_start").unwrap_or_default(),
            limit: seconds("leg_timeout"),
            progress: seconds("leg_progress_timeout"),
            required: variables.is_true("leg_required"),
        }
    }
}

/// C's `atoi` without the sign: the digits at the beginning, at most a year of seconds.
fn atoi(text: &str) -> u64 {
    let digits: String = text.trim_start().chars().take_while(char::is_ascii_digit).take(9).collect();
    digits.parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Rules, Vec<String>) {
        Rules::read(&super::super::string::assignments(text), None)
    }

    #[test]
    fn nothing_said_is_freeswitchs_default() {
        let (rules, said) = read("");
        assert_eq!((rules.limit, rules.tries, rules.progress), (RING, 1, None));
        assert_eq!((rules.early_media, rules.single_reject), (EarlyMedia::Wins, SingleReject::Never));
        assert!(!rules.ring_at_once && !rules.go_on && said.is_empty());
    }

    #[test]
    fn limits() {
        for (text, call_timeout, limit) in [
            ("", Some("20"), 20),
            ("originate_timeout=7", Some("20"), 7),
            ("originate_timeout=0", Some("20"), 20),
            ("originate_timeout=-3", Some("0"), 60),
            ("originate_timeout=7s", None, 7),
            ("call_timeout=7", None, 60),
        ] {
            let rules = Rules::read(&super::super::string::assignments(text), call_timeout).0;
            assert_eq!(rules.limit, Duration::from_secs(limit), "{text}");
        }
    }

    #[test]
    fn numbers_out_of_bounds_are_told_and_ignored() {
        for (text, tries, pause, lines) in [
            ("originate_retries=3,originate_retry_sleep_ms=500", 3, 500, 0),
            ("originate_retries=100", 100, 1000, 0),
            ("originate_retries=101", 1, 1000, 1),
            ("originate_retries=101,originate_retry_timeout=5", 101, 1000, 0),
            ("originate_retries=2,originate_retry_sleep_ms=499", 2, 1000, 1),
            ("originate_retry_sleep_ms=60001,originate_retry_min_period_ms=300001", 1, 1000, 2),
            ("originate_retries=no", 1, 1000, 0),
        ] {
            let (rules, said) = read(text);
            assert_eq!(
                (rules.tries, rules.pause, said.len()),
                (tries, Duration::from_millis(pause), lines),
                "{text}"
            );
        }
    }

    #[test]
    fn a_ringback_begins_with_early_media_that_are_ignored() {
        for (text, early) in [
            ("ignore_early_media=true", EarlyMedia::Rings),
            ("ignore_early_media=ring_ready", EarlyMedia::Rings),
            ("ignore_early_media=false", EarlyMedia::Wins),
        ] {
            let (rules, _) = read(text);
            assert_eq!(rules.with_ringback().early_media, early, "{text}");
        }
    }

    #[test]
    fn early_media_in_all_forms() {
        for (text, early, lines) in [
            ("ignore_early_media=true", EarlyMedia::Ignored, 0),
            ("ignore_early_media=consume", EarlyMedia::Ignored, 0),
            ("ignore_early_media=ring_ready", EarlyMedia::Rings, 0),
            ("ignore_early_media=false", EarlyMedia::Wins, 0),
            ("ignore_early_media=false,bridge_early_media=true", EarlyMedia::Ignored, 1),
            ("bridge_early_media=false", EarlyMedia::Wins, 0),
            ("monitor_early_media_ring=2:450+500", EarlyMedia::Ignored, 1),
            (
                "monitor_early_media_fail=user_busy:2:480+620,ignore_early_media=ring_ready",
                EarlyMedia::Rings,
                0,
            ),
        ] {
            let (rules, said) = read(text);
            assert_eq!((rules.early_media, said.len()), (early, lines), "{text}");
        }
    }

    #[test]
    fn one_refusal_may_end_all() {
        for (text, cause, ends) in [
            ("", Cause::USER_BUSY, false),
            ("fail_on_single_reject=true", Cause::USER_BUSY, true),
            ("hangup_on_single_reject=true", Cause::CALL_REJECTED, true),
            ("fail_on_single_reject='USER_BUSY,CALL_REJECTED'", Cause::CALL_REJECTED, true),
            ("fail_on_single_reject=user_busy", Cause::USER_BUSY, true),
            ("fail_on_single_reject=USER_BUSY", Cause::NO_ANSWER, false),
            ("fail_on_single_reject=!USER_BUSY", Cause::NO_ANSWER, true),
            ("fail_on_single_reject=!USER_BUSY", Cause::USER_BUSY, false),
        ] {
            assert_eq!(read(text).0.single_reject.ends(cause), ends, "{text} {cause}");
        }
    }
}
