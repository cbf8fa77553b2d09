//! `limit` and `limit_execute`: only so many calls may use something at a time, or in a while (switch_limit.c).

use super::call::Call;
use crate::channel::{Cause, Leg};
use crate::config::Position;
use crate::dialplan::{Action, Expanded, Template, plain, separate};
use crate::event::EventName;
use crate::store::limit::{Ask, Backend, Usage};
use std::time::Duration;
use tracing::{error, info, warn};

/// Where a call goes that finds nothing left.
pub(crate) const ELSEWHERE: &str = "limit_exceeded";

/// `backend realm id [max[/interval]] [exten [dialplan [context]]]`. Without a maximum it only counts. `!CAUSE` for the
/// extension hangs up.
pub async fn run(call: &mut Call, data: &Expanded) {
    let words = words(data, 7);
    let [backend, realm, id, rest @ ..] = words.as_slice() else {
        let usage = "limit <backend> <realm> <id> [<max>[/interval]] [number [dialplan [context]]]";
        return warn!("{} {}: limit({}): {usage}", call.leg.uuid, call.leg.name(), data.text);
    };
    if count_in(&mut call.leg, backend, realm, id, rest.first().map(String::as_str)) {
        return;
    }
    let word = |n: usize| rest.get(n).map(String::as_str);
    match word(1).unwrap_or(ELSEWHERE) {
        cause if cause.starts_with('!') => {
            let cause = cause.get(1..).and_then(Cause::parse).unwrap_or(Cause::NORMAL_CLEARING);
            call.leg.hangup(cause);
        }
        extension => call.transfer(extension, word(2), word(3)),
    }
}

/// `limit_hash`, the former name: `realm id [max[/interval]] [exten [dialplan [context]]]`.
pub async fn hash(call: &mut Call, data: &Expanded) {
    run(call, &with_backend(data)).await;
}

/// `backend realm id max[/interval] application data`: the application runs only while there is something left, and
/// gives it back afterwards.
pub async fn execute(call: &mut Call, data: &Expanded) {
    let words = separate(data.fields(), ' ', 6);
    let [backend, realm, id, max, application, argument] = words.as_slice() else {
        let usage =
            "limit_execute <backend> <realm> <id> <max>[/interval] <application> [application arguments]";
        return warn!("{} {}: limit_execute({}): {usage}", call.leg.uuid, call.leg.name(), data.text);
    };
    let (backend, realm, id) = (plain(backend), plain(realm), plain(id));
    if !count_in(&mut call.leg, &backend, &realm, &id, Some(max)) {
        return;
    }
    let action = Action {
        application: plain(application).into(),
        // It is expanded once more, as in FreeSWITCH; what came from the wire is not.
        data: Template::guarded(argument.clone()),
        at: Position::new("limit_execute", 0, 0),
    };
    let transfers = call.transfers();
    Box::pin(call.execute(&action)).await;
    if !call.leg.is_over()
        && call.transfers() == transfers
        && let Some(backend) = Backend::named(&backend)
    {
        call.leg.limits.release(backend, &realm, &id);
    }
}

/// `limit_hash_execute`, the former name: `realm id max[/interval] application data`.
pub async fn hash_execute(call: &mut Call, data: &Expanded) {
    execute(call, &with_backend(data)).await;
}

fn with_backend(data: &Expanded) -> Expanded {
    data.behind("hash ")
}

fn words(data: &Expanded, most: usize) -> Vec<String> {
    separate(data.guarded(), ' ', most).iter().map(|word| plain(word).into_owned()).collect()
}

/// Counts a leg in; false when there is nothing left of it.
pub(crate) fn count_in(leg: &mut Leg, name: &str, realm: &str, id: &str, max: Option<&str>) -> bool {
    let Some(backend) = Backend::named(name) else {
        error!(
            "{} {}: limit: there is no backend {name} (there are hash and db); it counts as exceeded",
            leg.uuid,
            leg.name()
        );
        return false;
    };
    let (max, interval) = maximum(max.unwrap_or("-1"));
    let ask = Ask { backend, realm, id, max, interval };
    let taken = leg.limits.take(&ask, Leg::now());
    let variables = &mut leg.variables;
    if backend == Backend::Db {
        variables.set_wire("limit_realm", realm);
        variables.set_wire("limit_id", id);
        variables.print("limit_max", max.map_or(-1, i64::from));
    }
    let Ok(Usage { total, rate }) = taken else {
        info!("{} {}: limit {name} {realm} {id} is exceeded", leg.uuid, leg.name());
        return false;
    };
    leg.exchange.events.fire(EventName::Custom("limit::usage"), || {
        let max = max.map_or(-1, i64::from);
        let (most, most_rate) = if interval.is_some() { (-1, max) } else { (max, -1) };
        vec![
            ("backend".into(), name.to_owned()),
            ("realm".into(), realm.to_owned()),
            ("key".into(), id.to_owned()),
            ("usage".into(), total.to_string()),
            ("rate".into(), rate.to_string()),
            ("max".into(), most.to_string()),
            ("ratemax".into(), most_rate.to_string()),
        ]
    });
    let variables = &mut leg.variables;
    for (what, number) in [("limit_usage", total), ("limit_rate", rate)] {
        if what == "limit_usage" || backend == Backend::Hash {
            variables.print(what, number);
            variables.print(&format!("{what}_{realm}_{id}"), number);
        }
    }
    true
}

/// `max[/interval]`: how many, and within how many seconds. A `-` in front only counts.
fn maximum(text: &str) -> (Option<u32>, Option<Duration>) {
    if text.starts_with('-') {
        return (None, None);
    }
    let (max, interval) = text.split_once('/').unwrap_or((text, ""));
    let number = |text: &str| {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        text.get(..digits).and_then(|n| n.parse::<u32>().ok()).unwrap_or(0)
    };
    let interval = Some(number(interval)).filter(|s| *s > 0).map(|s| Duration::from_secs(s.into()));
    (Some(number(max)), interval)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maxima() {
        let seconds = |s| Some(Duration::from_secs(s));
        for (text, expected) in [
            ("5", (Some(5), None)),
            ("5/60", (Some(5), seconds(60))),
            ("-1", (None, None)),
            ("-3/60", (None, None)),
            ("x", (Some(0), None)),
            ("3/x", (Some(3), None)),
        ] {
            assert_eq!(maximum(text), expected, "{text}");
        }
    }
}
