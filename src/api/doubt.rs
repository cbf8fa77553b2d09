//! For one who wonders: `why` a call ended as it did, `reg why` somebody is (not) registered, what is `stuck`, and which
//! `generation` of the configuration runs. Tandem's own; FreeSWITCH has none of them.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use super::command::{Command, now, usage, waits};
use super::desk::Desk;
use super::rows::one_line;
use super::world::default_domain;
use crate::channel::{Leg, NoAnswer};

pub(super) const COMMANDS: &[Command] = &[
    waits("generation", "", "Tell what on disk is not what runs", |desk, _| Box::pin(generation(desk))),
    now("reg", "why <user>[@<domain>]", "Tell why a user is registered or not", reg),
    waits("stuck", "", "Tell which channels do not go on", |desk, _| Box::pin(stuck(desk))),
    now("why", "<uuid>|last", "Tell how a call ended, and its SIP steps", why),
];

/// Adds a line. What it tells of callers and phones stays in it.
fn line(out: &mut String, what: impl Display) {
    out.push_str(&one_line(&what.to_string()));
    out.push('\n');
}

/// `why UUID|last`: every leg of the call.
fn why(desk: &Desk, text: &str) -> String {
    let uuid = match text.trim() {
        "" => return usage("why"),
        word if word.eq_ignore_ascii_case("last") => None,
        uuid => Some(uuid),
    };
    if let Some(uuid) = uuid
        && desk.exchange.legs.by_uuid(uuid).is_some()
    {
        return "-ERR it is not over yet; uuid_dump tells how it is\n".to_owned();
    }
    let legs = desk.exchange.past.call(uuid);
    if legs.is_empty() {
        return "-ERR nothing is remembered of such a call; only the last 1000 channels are\n".to_owned();
    }
    let mut out = String::new();
    for leg in legs {
        line(&mut out, &leg.words);
        line(&mut out, format_args!("  {} Call-ID {}", leg.name, leg.call_id));
        for (after, what) in leg.steps() {
            line(&mut out, format_args!("  +{after:.3} s {what}"));
        }
    }
    out
}

/// `reg why USER[@DOMAIN]`.
fn reg(desk: &Desk, text: &str) -> String {
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let ["why", address] = words.as_slice() else { return usage("reg") };
    let world = desk.world();
    let usual = default_domain(&world);
    let (user, domain) = address.split_once('@').unwrap_or((address, &usual));
    let exchange = &desk.exchange;
    let now = Leg::now();
    let mut out = String::new();
    let known = exchange.directory.user(user, domain);
    match &known {
        Some(entry) => {
            line(&mut out, format_args!("{user}@{domain} is in the directory ({})", entry.at));
            if entry.param("password").or(entry.param("a1-hash")).is_none() {
                out.push_str("it has no password: nobody can log in as it\n");
            }
        }
        None if exchange.directory.snapshot().domain(domain).is_some() => {
            line(&mut out, format_args!("{user}@{domain} is not in the directory: its REGISTER is refused"));
        }
        None => {
            let domains: Vec<String> =
                exchange.directory.snapshot().domains().map(|d| d.name.to_string()).collect();
            line(
                &mut out,
                format_args!("there is no domain {domain} in the directory; there is {}", domains.join(", ")),
            );
        }
    }
    let bindings = exchange.registrar.lookup(now, user, domain);
    for binding in &bindings {
        line(
            &mut out,
            format_args!(
                "registered at {}: {} from {} by {}, for {} s more, last refreshed {} s ago ({})",
                binding.profile,
                binding.fs_contact(),
                binding.flow.remote,
                binding.flow.transport,
                binding.remaining(now),
                now.saturating_duration_since(binding.refreshed).as_secs(),
                binding.user_agent
            ),
        );
    }
    let refused = known.as_ref().and_then(|entry| exchange.registrar.refusals.last(&entry.id, &entry.domain));
    if let Some(refused) = &refused {
        line(
            &mut out,
            format_args!(
                "its last REGISTER that was refused came {} s ago from {} to {}: {}",
                now.saturating_duration_since(refused.at).as_secs(),
                refused.source,
                refused.profile,
                refused.why
            ),
        );
    }
    if bindings.is_empty() {
        out.push_str("not registered now\n");
        if known.is_some() {
            let elsewhere =
                exchange.registrar.list(|b| b.user.eq_ignore_ascii_case(user) && b.gone_at() > now);
            for binding in elsewhere {
                line(
                    &mut out,
                    format_args!("but {user}@{} is: the phone uses another domain", binding.domain),
                );
            }
            if refused.is_none() {
                out.push_str("no REGISTER of it was refused lately; the log tells who was asked for a password and did not answer: SIP auth challenge\n");
            }
        }
    }
    out
}

/// How long a call may ring, or be dialled, before it looks stuck.
const LONG: Duration = Duration::from_secs(180);

/// `stuck`: channels that do not answer, and those that neither were answered nor ended for a long time.
async fn stuck(desk: &Desk) -> String {
    let asked: Vec<_> = desk
        .exchange
        .legs
        .uuids()
        .into_iter()
        .map(|uuid: Arc<str>| {
            let legs = desk.exchange.legs.clone();
            tokio::spawn(async move {
                let look = |leg: &mut Leg| {
                    let age = Leg::now().saturating_duration_since(leg.times().created);
                    let long = !leg.is_answered() && age >= LONG;
                    long.then(|| {
                        (
                            leg.name().to_owned(),
                            age,
                            leg.variables.get("current_application").map(str::to_owned),
                        )
                    })
                };
                match legs.ask(&uuid, look).await {
                    Ok(Some((name, age, application))) => {
                        let doing = application.unwrap_or_else(|| "nothing".to_owned());
                        Some(format!(
                            "{uuid} {name} is not answered since {} s; it does {doing}",
                            age.as_secs()
                        ))
                    }
                    Err(NoAnswer::Busy) => Some(format!("{uuid} does not answer; uuid_kill {uuid} ends it")),
                    Ok(None) | Err(NoAnswer::NoChannel) => None,
                }
            })
        })
        .collect();
    let mut out = String::new();
    for asked in asked {
        if let Ok(Some(told)) = asked.await {
            line(&mut out, told);
        }
    }
    if out.is_empty() { "+OK nothing is stuck\n".to_owned() } else { out }
}

/// `generation`: what a `reloadxml` would change.
async fn generation(desk: &Desk) -> String {
    match desk.house.differences().await {
        Ok(differences) if differences.is_empty() => "+OK what runs is what is on disk\n".to_owned(),
        Ok(differences) => {
            let lines: String = differences.iter().map(|line| format!("  {line}\n")).collect();
            format!("a reloadxml would change:\n{lines}")
        }
        Err(errors) => {
            let lines: String = errors.iter().map(|line| format!("  {line}\n")).collect();
            format!("-ERR what is on disk cannot be used:\n{lines}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_caller_calls_itself_stays_in_its_line() {
        let mut out = String::new();
        line(&mut out, format_args!("a leg of {} ended", "a\r\nEvil: 1\r\n\u{1b}[2Jz\u{9b}"));
        assert_eq!(out, "a leg of a  Evil: 1   [2Jz  ended\n");
    }
}
