//! `privacy`: what legs that this one calls are told of the caller.

use crate::channel::Leg;
use crate::dialplan::{Expanded, is_number, is_true};
use tracing::warn;

/// `full` or `on` hides name and number, `name` and `number` one of them, `off` none.
pub fn run(leg: &mut Leg, data: &Expanded) {
    let is = |word: &str| data.text.eq_ignore_ascii_case(word);
    let caller = &mut leg.caller;
    match data.text.as_str() {
        "" => warn!("{} {}: privacy: No privacy mode specified", leg.uuid, leg.name()),
        _ if is("name") => caller.privacy_hide_name = true,
        _ if is("number") => caller.privacy_hide_number = true,
        text if is("full") || is_true(text) => {
            (caller.privacy_hide_name, caller.privacy_hide_number) = (true, true);
        }
        text if is_number(text) || OFF.iter().any(|word| is(word)) => {
            (caller.privacy_hide_name, caller.privacy_hide_number) = (false, false);
        }
        text => warn!(
            "{} {}: privacy({text}): INVALID privacy mode specified. Use a valid mode [no|yes|name|full|number]",
            leg.uuid,
            leg.name()
        ),
    }
}

/// FreeSWITCH's idea of false.
const OFF: [&str; 7] = ["no", "off", "false", "f", "disabled", "inactive", "disallow"];
