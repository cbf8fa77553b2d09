//! The stock trees' rows: what they hunt, the account of it, what they execute.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tandem::api;
use tandem::dialplan::{Hunt, Template, expand};

use crate::switch::{Asked, Channel, Switch, UUID, execute};
use crate::{agrees, rows, text};

/// The folders the environment names, or why the test is skipped.
fn folders() -> Option<(PathBuf, PathBuf)> {
    match (std::env::var_os("TANDEM_STOCK_CONF"), std::env::var_os("TANDEM_TRUTH")) {
        (Some(conf), Some(truth)) => Some((conf.into(), truth.into())),
        _ => {
            eprintln!("skipped: TANDEM_STOCK_CONF and TANDEM_TRUTH are not set");
            None
        }
    }
}

fn switches(conf: &Path) -> HashMap<String, Switch> {
    ["vanilla", "minimal", "sbc"]
        .into_iter()
        .map(|name| {
            let switch = Switch::load(&conf.join(name));
            switch.globals.set("default_password", "notdefault");
            (name.to_owned(), switch)
        })
        .collect()
}

fn strings(row: &Value, key: &str) -> Vec<String> {
    let list = row.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(|v| v.as_str().map(str::to_owned)).collect()
}

fn channel<'s>(switch: &'s Switch, row: &Value) -> Channel<'s> {
    let mut channel = Channel::new(switch, text(row, "dest"));
    let cid = match (text(row, "cid"), text(row, "via")) {
        ("", "a") => "app=park",
        ("", _) => "5550100",
        (cid, _) => cid,
    };
    channel.profile.insert("caller_id_number", cid.to_owned());
    channel.profile.insert("uuid", "0d4f7d2e-3c5b-4c8e-9a7e-1f2a3b4c5d6e".to_owned());
    channel.profile.insert("source", "mod_loopback".to_owned());
    channel.profile.insert("network_addr", String::new());
    channel.put("uuid", "0d4f7d2e-3c5b-4c8e-9a7e-1f2a3b4c5d6e");
    if let Some(variables) = row.get("vars").and_then(Value::as_object) {
        for (name, value) in variables {
            channel.put(name, value.as_str().unwrap_or(""));
        }
    }
    if text(row, "via") == "a" {
        // The recording's a-leg was answered with a file playing.
        channel.put("endpoint_disposition", "EARLY MEDIA");
    }
    channel
}

/// The lines of an account without the part FreeSWITCH's log prefix takes.
fn line(written: &str) -> &str {
    let line = written.split_once("Dialplan: CHANNEL ").map_or(written, |(_, line)| line);
    line.trim_end()
}

/// Compares the account of the first hunt, then runs the actions and compares those.
fn difference(switch: &Switch, row: &Value) -> Option<String> {
    let mut channel = channel(switch, row);
    let (mut context, mut destination) = (text(row, "context").to_owned(), text(row, "dest").to_owned());
    let recorded = strings(row, "dialplan_log");
    if let Some(clock) = recorded.iter().find_map(|l| l.split_once("${strftime(%H%M)}(")?.1.get(..4)) {
        let time = format!("2026-08-21T{}:{}:00Z", &clock[..2], &clock[2..]);
        switch.now.set(time.parse().unwrap());
    }
    let expected: Vec<(String, String)> = row
        .get("expect")?
        .as_array()?
        .iter()
        .filter_map(|pair| Some((pair.get(0)?.as_str()?.to_owned(), pair.get(1)?.as_str()?.to_owned())))
        .collect();
    let mut at = 0;
    let mut first = true;
    loop {
        channel.account.borrow_mut().clear();
        let hunt = switch.plan.hunt(&context, &destination, &mut channel);
        if first && !recorded.is_empty() {
            let account = channel.account.borrow();
            let lines: Vec<&str> = account.iter().map(|l| line(l)).collect();
            let recorded: Vec<&str> = recorded.iter().map(String::as_str).filter(|l| ours(l)).collect();
            for (n, (ours, theirs)) in lines.iter().zip(&recorded).enumerate() {
                if !agrees(theirs.trim_end(), ours) {
                    return Some(format!("account line {n}: {theirs:?} expected, {ours:?} seen"));
                }
            }
            if lines.len() > recorded.len() {
                return Some(format!("{} lines of account expected, {} seen", recorded.len(), lines.len()));
            }
        }
        first = false;
        let Hunt::Route(route) = hunt else {
            return (at < expected.len()).then(|| format!("no route, {:?} expected", expected.get(at)));
        };
        let mut moved = false;
        for action in &route.actions {
            let (application, data) = expected.get(at)?;
            let done = action.data.expand(&channel);
            // The recording skips what was queued by extensions before the one that was executed only in part.
            if *application != *action.application || !agrees(data, &done.text) {
                return Some(format!(
                    "action {at}: {application}({data}) expected, {}({}) seen",
                    action.application, done.text
                ));
            }
            at += 1;
            execute(&mut channel, &action.application, &done);
            if &*action.application == "transfer" {
                let words: Vec<&str> = done.text.split(' ').filter(|w| !w.starts_with('-')).collect();
                destination = words.first().copied().unwrap_or("").to_owned();
                context = words.get(2).copied().unwrap_or(&context).to_owned();
                channel.profile.insert("destination_number", destination.clone());
                moved = true;
                break;
            }
        }
        if at >= expected.len() {
            return None;
        }
        if !moved {
            return Some(format!("the list ends, {:?} expected", expected.get(at)));
        }
    }
}

/// Lines of the recorded account that the hunt writes (the rest is from `info` and other applications).
fn ours(line: &str) -> bool {
    ["parsing [", "Regex (", "Date/Time", "Absolute Condition", "Action ", "ANTI-Action "]
        .iter()
        .any(|start| line.starts_with(start))
        || line.contains("recursive conditions")
}

#[test]
fn hunts_of_the_stock_trees() {
    let Some((conf, truth)) = folders() else { return };
    let switches = switches(&conf);
    let rows = rows(&truth.join("hunts.jsonl"));
    let mut wrong = Vec::new();
    for row in &rows {
        let switch = &switches[text(row, "conf")];
        if let Some(difference) = difference(switch, row) {
            wrong.push(format!("{}: {difference}", text(row, "id")));
        }
    }
    eprintln!("{} of {} hunts agree", rows.len() - wrong.len(), rows.len());
    for line in &wrong {
        eprintln!("  {line}");
    }
    assert!(wrong.is_empty(), "{} hunts differ", wrong.len());
}

/// Commands of the recording that are not among the rows, by the row they stand before. The rows are a sample of it, and
/// these are the ones whose traces the rows show.
const BEFORE: &[(&str, &str)] = &[
    ("state-01", "hash insert/es/k1/value one"),
    ("state-11", "db insert/es/d1/dbval"),
    ("state-18", "group insert:esg:user/1"),
    ("state-18", "group insert:esg:user/2"),
    ("state-26", "global_setvar es_a=d"),
];

/// A channel as the recording's: parked, with the variables of the row.
fn parked<'s>(switch: &'s Switch, row: &Value) -> Channel<'s> {
    let mut channel = Channel::new(switch, "park");
    if let Some(variables) = row.get("chan").and_then(Value::as_object) {
        for (name, value) in variables {
            channel.put(name, value.as_str().unwrap_or(""));
        }
    }
    channel.put("channel_name", "loopback/park-a");
    channel.put("origination_caller_id_name", "Alice");
    channel.profile.insert("caller_id_number", "app=park".to_owned());
    channel.profile.insert("ani", "1001".to_owned());
    channel
}

/// The answer to a row of exprs.jsonl.
fn answer(asked_on: &Asked<'_>, row: &Value) -> String {
    let switch = asked_on.switch;
    for (_, command) in BEFORE.iter().filter(|(id, _)| *id == text(row, "id")) {
        api::command(asked_on, command);
    }
    let asked = text(row, "api").replace("@UUID@", UUID);
    if text(row, "kind") == "set" {
        let mut channel = parked(switch, row);
        let done = Template::new(format!("esr=[{asked}]")).expand(&channel);
        execute(&mut channel, "set", &done);
        let value = tandem::dialplan::Scope::variable(&channel, "esr").map(|v| v.text.into_owned());
        return format!("esr={}", value.unwrap_or_default());
    }
    let asked = match asked.contains("$${") && !asked.starts_with("eval") {
        true => expand(&asked, &Channel::new(switch, "")),
        false => asked,
    };
    match api::command(asked_on, &asked) {
        empty if empty.is_empty() => "-ERR no reply\n".to_owned(),
        answer => answer,
    }
}

#[test]
fn expressions_of_the_stock_trees() {
    let Some((conf, truth)) = folders() else { return };
    let switches = switches(&conf);
    let rows = rows(&truth.join("exprs.jsonl"));
    let mut wrong = Vec::new();
    let vanilla = &switches["vanilla"];
    let first = rows.iter().find(|row| row.get("chan").is_some()).unwrap();
    // One call lives through all of it, as in the recording: what one command sets the next one sees.
    let asked = Asked { switch: vanilla, channel: RefCell::new(parked(vanilla, first)) };
    for row in &rows {
        assert_eq!(text(row, "conf"), "vanilla");
        let seen = answer(&asked, row);
        if !agrees(text(row, "expect"), &seen) {
            let (id, api, expected) = (text(row, "id"), text(row, "api"), text(row, "expect"));
            wrong.push(format!("{id}: {api}: {expected:?} expected, {seen:?} seen"));
        }
    }
    eprintln!("{} of {} expressions agree", rows.len() - wrong.len(), rows.len());
    for line in &wrong {
        eprintln!("  {line}");
    }
    assert!(wrong.is_empty(), "{} expressions differ", wrong.len());
}

#[test]
fn stock_trees_compile_without_error() {
    let Some((conf, _)) = folders() else { return };
    for (name, switch) in switches(&conf) {
        assert!(switch.plan.extensions() > 0, "{name} has extensions");
        let (errors, rest): (Vec<_>, Vec<_>) = switch.problems.iter().partition(|p| p.is_error());
        assert!(errors.is_empty(), "{name}: {errors:?}");
        eprintln!("{name}: {} extensions, {} warnings and notes", switch.plan.extensions(), rest.len());
        for problem in rest {
            eprintln!("  {problem}");
        }
    }
}
