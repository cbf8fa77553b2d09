//! `campon`: a caller waits until whom it calls is free, in silence: music is not provided yet (`audio_bridge_function`).

use super::bridge::{By, failed, joined};
use super::call::Call;
use crate::channel::{Happening, Leg};
use crate::dial::originate;
use std::time::Duration;
use tracing::info;

/// Calls `text` (guarded) again and again: `campon_retries` times (100), `campon_timeout` seconds each (10), `campon_sleep`
/// seconds in between (10). The key `campon_stop_key`, and the end of all tries, lead to `campon_fallback_exten`.
pub(super) async fn run(call: &mut Call, text: &str) {
    if call.leg.answer(None).is_err() {
        return;
    }
    let variables = &call.leg.variables;
    let number = |name: &str, usual: u64| {
        let said = variables.get(name).and_then(|text| text.trim().parse::<u64>().ok());
        said.filter(|number| *number > 0).unwrap_or(usual)
    };
    let mut left = number("campon_retries", 100);
    let pause = Duration::from_secs(number("campon_sleep", 10).min(86_400));
    let limit = number("campon_timeout", 10);
    let stop = variables.get("campon_stop_key").and_then(|key| key.chars().next());
    // What stands in front of all of a string stays there.
    let text = match text.trim_start().starts_with('<') {
        true => text.to_owned(),
        false => format!("{{originate_timeout={limit}}}{text}"),
    };
    let failure = loop {
        let failure = match Box::pin(originate(&mut call.leg, &text)).await {
            Ok(winner) => return joined(call, winner, By::Us).await,
            Err(failure) => failure,
        };
        if call.leg.is_leaving() {
            return;
        }
        left -= 1;
        if left == 0 || rest(call, pause, stop).await {
            break failure;
        }
        if call.leg.is_leaving() {
            return;
        }
        info!("{} {}: campon: calls again, {left} times at most", call.leg.uuid, call.leg.name());
    };
    let word = |name: &str| call.leg.variables.get(name).map(str::to_owned);
    match word("campon_fallback_exten").filter(|exten| !exten.is_empty()) {
        Some(exten) => {
            let (dialplan, context) = (word("campon_fallback_dialplan"), word("campon_fallback_context"));
            call.transfer(&exten, dialplan.as_deref(), context.as_deref());
        }
        None => failed(call, &failure),
    }
}

/// Waits between two tries; true when the caller has had enough.
async fn rest(call: &mut Call, pause: Duration, stop: Option<char>) -> bool {
    let deadline = Leg::now() + pause;
    loop {
        match call.next_until(Some(deadline)).await {
            Happening::Deadline | Happening::Over => return false,
            Happening::Digit { digit, .. } if Some(digit) == stop => return true,
            _ => {}
        }
    }
}
