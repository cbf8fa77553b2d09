//! `sofia …`: profiles and gateways (mod_sofia.c). What it tells of them is in `sofia_status`.

use std::sync::atomic::Ordering;

use super::command::{Command, now, waits};
use super::desk::{Desk, ProfileWork};
use super::{sofia_global, sofia_status};
use crate::channel::UserAgent;

pub(super) const COMMANDS: &[Command] = &[
    waits("sofia", "<cmd> <args>", "Sofia Controls", |desk, text| Box::pin(sofia(desk, text))),
    now(
        "sofia_gateway_data",
        "<gateway_name> [ivar|ovar|var] <name>",
        "Get data from a sofia gateway",
        sofia_gateway_data,
    ),
];

const USAGE: &str = "USAGE:\n\
--------------------------------------------------------------------------------\n\
sofia global siptrace <on|off>\n\
\x20            debug    <presence|none>\n\n\
sofia profile <name> [start | stop | restart | rescan] [wait]\n\
sofia profile restart all\n\
\x20                    flush_inbound_reg [<call_id> | <[user]@domain>] [reboot]\n\
\x20                    check_sync [<call_id> | <[user]@domain>]\n\
\x20                    [register | unregister] [<gateway name> | all]\n\
\x20                    killgw <gateway name>\n\
\x20                    startgw <gateway name>\n\
\x20                    gwlist [up | down]\n\
\x20                    siptrace <on|off>\n\n\
sofia <status|xmlstatus> profile <name> [reg [<contact str>]] | [pres <pres str>] | [user <user@domain>]\n\
sofia <status|xmlstatus> gateway <name>\n\
sofia jsonstatus\n\n\
sofia tracelevel <console|alert|crit|err|warning|notice|info|debug>\n\n\
sofia help\n\
--------------------------------------------------------------------------------\n";

async fn sofia(desk: &Desk, text: &str) -> String {
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let Some((command, words)) = words.split_first() else { return USAGE.to_owned() };
    match command.to_ascii_lowercase().as_str() {
        "status" => sofia_status::text(desk, words).await,
        "xmlstatus" => sofia_status::xml(desk, words).await,
        "jsonstatus" => sofia_status::json(desk).await,
        "profile" => profile(desk, words).await,
        "global" => sofia_global::global(desk, words),
        "help" => USAGE.to_owned(),
        "tracelevel" => sofia_global::trace_level(words),
        "loglevel" => {
            "-ERR loglevel: this switch has no Sofia-SIP inside; fsctl loglevel sets the level of its log\n"
                .to_owned()
        }
        "recover" => "-ERR recover: calls are not recovered after a restart yet\n".to_owned(),
        _ => format!("Unknown Command [{command}]\n"),
    }
}

/// `on`, `yes`, `true`, `1` … as FreeSWITCH's switch_true.
pub(super) fn is_true(word: &str) -> bool {
    ["yes", "on", "true", "t", "enabled", "active", "allow"].iter().any(|yes| yes.eq_ignore_ascii_case(word))
        || word.parse::<i64>().is_ok_and(|n| n != 0)
}

/// `sofia profile NAME …`.
async fn profile(desk: &Desk, words: &[&str]) -> String {
    let (name, command, more) = match words {
        [name, command, more @ ..] => (*name, command.to_ascii_lowercase(), more),
        _ => return "Invalid Args!\n".to_owned(),
    };
    if name.eq_ignore_ascii_case("restart") && command == "all" {
        return restart_all(desk).await;
    }
    if command == "start" {
        return match desk.house.with_profile(name, ProfileWork::Start).await {
            Ok(()) => format!("Reload XML [Success]\n{name} started successfully\n"),
            Err(said) => format!("Reload XML [{said}]\nFailure starting {name}\n"),
        };
    }
    // A share of the profile would keep its sockets open while it restarts.
    let Some(own) = desk.exchange.agent(name).map(|agent| agent.name.clone()) else {
        return format!("Invalid Profile [{name}]");
    };
    let first = more.first().copied();
    match command.as_str() {
        "stop" | "restart" => {
            let stop = command == "stop";
            let (work, word) =
                if stop { (ProfileWork::Stop, "stopping") } else { (ProfileWork::Restart, "restarting") };
            match desk.house.with_profile(name, work).await {
                Ok(()) => format!("Reload XML [Success]\n{word}: {own}"),
                Err(said) => format!("Reload XML [{said}]\n-ERR {said}\n"),
            }
        }
        "rescan" => match desk.house.reload().await {
            Ok(changes) => {
                tracing::info!("reloaded: {changes}");
                "Reload XML [Success]\n+OK scan complete\n".to_owned()
            }
            Err(errors) => format!("Reload XML [{}]\n-ERR nothing was changed\n", errors.join("; ")),
        },
        "startgw" => start_gateway(desk, &own, first).await,
        "killgw" => match first {
            None => "-ERR missing gw name\n".to_owned(),
            Some("_all_") => {
                done(desk, &own, ProfileWork::KillGateway(None), "+OK every gateway marked for deletion.\n")
                    .await
            }
            Some(gateway) if desk.exchange.gateways.load().find(gateway).is_none() => {
                "-ERR no such gateway.\n".to_owned()
            }
            Some(gateway) => {
                let work = ProfileWork::KillGateway(Some(gateway.to_owned()));
                done(desk, &own, work, "+OK gateway marked for deletion.\n").await
            }
        },
        "register" | "unregister" => register(desk, &own, command == "register", first).await,
        "flush_inbound_reg" => flush(desk, &own, more).await,
        "check_sync" => {
            let said = match first {
                Some(_) => "+OK syncing all registrations matching specified call_id\n",
                None => "+OK syncing all registrations\n",
            };
            done(desk, &own, ProfileWork::CheckSync(first.map(str::to_owned)), said).await
        }
        "siptrace" => desk.exchange.agent(&own).map(|agent| siptrace(&agent, first)).unwrap_or_default(),
        "gwlist" => gateway_list(desk, &own, !first.is_some_and(|word| word.eq_ignore_ascii_case("down"))),
        "recover" | "capture" | "watchdog" | "stun-auto-disable" | "stun-enabled" => {
            format!("-ERR profile {command} is not provided\n")
        }
        _ => "-ERR Unknown command!\n".to_owned(),
    }
}

async fn done(desk: &Desk, profile: &str, work: ProfileWork, said: &str) -> String {
    match desk.house.with_profile(profile, work).await {
        Ok(()) => said.to_owned(),
        Err(error) => format!("-ERR {error}\n"),
    }
}

async fn start_gateway(desk: &Desk, profile: &str, name: Option<&str>) -> String {
    let Some(name) = name else { return "-ERR missing gw name\n".to_owned() };
    let said = match desk.house.reload().await {
        Ok(_) => "Success".to_owned(),
        Err(errors) => errors.join("; "),
    };
    let is_there = desk.exchange.gateways.load().find(&format!("{profile}::{name}")).is_some();
    match is_there {
        true => format!("Reload XML [{said}]\n+OK start gateway {name} complete\n"),
        false => format!("Reload XML [{said}]\n-ERR cannot add gateway {name} for profile {profile}\n"),
    }
}

async fn register(desk: &Desk, profile: &str, on: bool, name: Option<&str>) -> String {
    let Some(name) = name else { return "No gateway name provided!\n".to_owned() };
    let which = (!name.eq_ignore_ascii_case("all")).then(|| name.to_owned());
    if which.is_some() {
        let gateways = desk.exchange.gateways.load();
        match gateways.find(name) {
            None => return "Invalid gateway!\n".to_owned(),
            Some(gateway) if !gateway.conf.register => {
                let word = if on { "registered" } else { "unregistered" };
                return format!("-ERR NOREG gateway [{name}] can't be {word}!\n");
            }
            Some(_) => {}
        }
    }
    let work = if on { ProfileWork::Register(which) } else { ProfileWork::Unregister(which) };
    done(desk, profile, work, "+OK\n").await
}

async fn flush(desk: &Desk, profile: &str, words: &[&str]) -> String {
    let is_reboot = |word: &&str| word.eq_ignore_ascii_case("reboot");
    let (which, reboot) = match words {
        [first, ..] if is_reboot(first) => (None, true),
        [first, more @ ..] => (Some((*first).to_owned()), more.first().is_some_and(is_reboot)),
        [] => (None, false),
    };
    let what = if reboot { "rebooting" } else { "flushing" };
    let said = match which {
        Some(_) => format!("+OK {what} all registrations matching specified call_id\n"),
        None => format!("+OK {what} all registrations\n"),
    };
    done(desk, profile, ProfileWork::Flush { which, reboot }, &said).await
}

/// `sofia profile restart all`: one after the other. FreeSWITCH says nothing.
async fn restart_all(desk: &Desk) -> String {
    let mut names: Vec<String> =
        desk.exchange.agents.load().values().map(|agent| agent.name.clone()).collect();
    names.sort();
    names.dedup();
    let mut said = String::new();
    for name in names {
        match desk.house.with_profile(&name, ProfileWork::Restart).await {
            Ok(()) => said += &format!("restarting: {name}\n"),
            Err(why) => said += &super::command::refused(&format!("{name}: {why}")),
        }
    }
    said
}

fn siptrace(agent: &UserAgent, word: Option<&str>) -> String {
    let Some(word) = word else { return "Usage: sofia profile <name> siptrace <on/off>\n".to_owned() };
    let on = is_true(word);
    agent.trace.store(on, Ordering::Relaxed);
    format!("{} sip debugging on {}", if on { "Enabled" } else { "Disabled" }, agent.name)
}

/// Their names, a blank behind each.
fn gateway_list(desk: &Desk, profile: &str, up: bool) -> String {
    let gateways = desk.exchange.gateways.load();
    let wanted = gateways.of_profile(profile).iter().filter(|gateway| gateway.is_up() == up);
    wanted.map(|gateway| format!("{} ", gateway.conf.name)).collect()
}

/// `sofia_gateway_data GATEWAY ivar|ovar|var NAME`.
fn sofia_gateway_data(desk: &Desk, text: &str) -> String {
    if text.is_empty() {
        return "-ERR Parameter missing\n".to_owned();
    }
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let [name, kind, variable, ..] = words.as_slice() else { return String::new() };
    let gateways = desk.exchange.gateways.load();
    let Some(gateway) = gateways.find(name) else { return String::new() };
    let value = |outbound: bool| {
        let found = gateway.variables(outbound).find(|v| v.name.eq_ignore_ascii_case(variable));
        found.map(|v| v.value.clone())
    };
    match kind.to_ascii_lowercase().as_str() {
        "ivar" => value(false),
        "ovar" => value(true),
        "var" => value(false).or_else(|| value(true)),
        _ => None,
    }
    .unwrap_or_default()
}
