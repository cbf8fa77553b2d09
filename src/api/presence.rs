//! `presence in|out USER RPID MESSAGE`: what there is to know of a user (mod_dptools.c).

use super::command::{Command, now};
use super::desk::Desk;
use crate::dialplan::separate;
use crate::event::{EventName, Headers};

pub(super) const COMMANDS: &[Command] =
    &[now("presence", USAGE, "Say what there is to know of a user", presence)];

const USAGE: &str = "[in|out] <user> <rpid> <message>";

fn presence(desk: &Desk, text: &str) -> String {
    let words = separate(text, ' ', 4);
    let word = |at: usize| words.get(at).map(String::as_str).unwrap_or_default();
    let (name, need) = match word(0).to_ascii_lowercase().as_str() {
        "in" => (EventName::PresenceIn, 4),
        "out" => (EventName::PresenceOut, 2),
        _ => return format!("Invalid: presence {USAGE}"),
    };
    if words.len() < need {
        return format!("Invalid: presence {USAGE}");
    }
    let mut headers: Headers = Vec::new();
    let mut say = |name: &'static str, value: &str| headers.push((name.into(), value.to_owned()));
    say("proto", "dp");
    say("login", "presence");
    say("from", word(1));
    say("rpid", word(2));
    let status = word(3).to_ascii_lowercase();
    if name == EventName::PresenceOut {
        say("status", "CS_HANGUP");
    } else if status.starts_with("cs_") || status.contains("hangup") {
        say("status", "CS_HANGUP");
        say("channel-state", "CS_HANGUP");
    } else {
        say("status", word(3));
    }
    say("event_type", "presence");
    say("alt_event_type", "dialog");
    say("event_count", "0");
    match desk.house.act_on(name, &headers, None) {
        Ok(()) => {
            desk.exchange.events.fire(name, || headers);
            "Event Sent".to_owned()
        }
        Err(why) => super::command::refused(&why),
    }
}
