//! `fsctl` and `shutdown`: the switch as a whole (mod_commands.c, `switch_core_session_ctl`); `console loglevel`
//! (mod_console.c).

use super::command::{Command, now};
use super::desk::{Desk, OK, Shutdown};
use crate::channel::{Cause, Direction, Leg, Letter, Order};
use crate::dialplan::separate;
use crate::event::EventName;

const USAGE: &str = "[api_expansion [on|off]|recover|send_sighup|hupall|pause [inbound|outbound]|resume [inbound|outbound]|\
                     shutdown [cancel|elegant|asap|now|restart]|uuid_version [4|7]|sps|sps_peak_reset|sync_clock|\
                     sync_clock_when_idle|reclaim_mem|max_sessions|min_dtmf_duration [num]|max_dtmf_duration [num]|\
                     default_dtmf_duration [num]|min_idle_cpu|loglevel [level]|debug_level [level]|\
                     mdns_resolve [enable|disable]]";

const CONSOLE_USAGE: &str =
    "loglevel [level]|colorize [on|toggle|off]|uuid [on|toggle|off]|json [on|toggle|off]";

pub(super) const COMMANDS: &[Command] = &[
    now("console", CONSOLE_USAGE, "tell or set how much is logged", console),
    now("fsctl", USAGE, "control the switch as a whole", fsctl),
    now("shutdown", "", "end the switch", |desk, _| {
        desk.house.shut_down(Shutdown::Now);
        OK.to_owned()
    }),
];

/// What FreeSWITCH has and tandem has not, and why.
const REFUSED: &[(&str, &str)] = &[
    ("api_expansion", "arguments of commands are expanded by expand alone"),
    ("calibrate_clock", "the machine's clock is used as it is"),
    ("crash", "it would end every call"),
    ("debug_pool", "there are no memory pools"),
    ("debug_sql", "there is no SQL underneath"),
    ("flush_db_handles", "there are no database handles"),
    ("mdns_resolve", "there is no mDNS"),
    ("reclaim_mem", "memory is given back by itself"),
    ("recover", "calls are not recovered after a restart"),
    ("save_history", "the console keeps its own"),
    ("send_sighup", "there is no log file to begin anew; the log goes to standard output"),
    ("sps_peak_reset", "the highest rate is kept since the start"),
    ("sql", "there is no SQL underneath"),
    ("threaded_system_exec", "commands of the machine never hold up a call"),
    ("uuid_version", "uuids are of version 4"),
    ("verbose_events", "set the variable verbose_events on the channel"),
];

/// `fsctl WORD [MORE]…`.
fn fsctl(desk: &Desk, text: &str) -> String {
    let words = separate(text, ' ', 6);
    let words: Vec<String> = words.iter().map(|word| word.to_ascii_lowercase()).collect();
    let Some((word, more)) = words.split_first().filter(|(word, _)| !word.is_empty()) else {
        return format!("-USAGE: {USAGE}\n");
    };
    let first = more.first().map(String::as_str);
    let gate = &desk.exchange.gate;
    let (sessions, per_second) = gate.limits();
    // What cannot be read as a number is none, as with C's atoi.
    let number = first.map(|n| n.parse::<u32>().unwrap_or(0)).filter(|n| *n > 0);
    match word.as_str() {
        "hupall" => {
            let cause = first.and_then(Cause::parse).unwrap_or(Cause::MANAGER_REQUEST);
            for mailbox in desk.exchange.legs.mailboxes() {
                mailbox.post(Letter::Order(Order::Hangup(cause)));
            }
            OK.to_owned()
        }
        "pause" | "resume" => {
            sides(first).iter().for_each(|side| gate.pause(*side, word == "pause"));
            OK.to_owned()
        }
        "pause_check" => sides(first).iter().all(|side| gate.is_paused(*side)).to_string(),
        "ready_check" => {
            let both = [Direction::Inbound, Direction::Outbound];
            (!gate.is_draining() && both.iter().all(|side| !gate.is_paused(*side))).to_string()
        }
        "shutdown_check" => gate.is_draining().to_string(),
        "shutdown" => shutdown(desk, more),
        "max_sessions" => {
            gate.set(number.unwrap_or(sessions), per_second);
            format!("+OK max sessions: {}\n", gate.limits().0)
        }
        "sps" => {
            gate.set(sessions, number.unwrap_or(per_second));
            format!("+OK sessions per second: {}\n", gate.limits().1)
        }
        "last_sps" => {
            let figures = gate.figures(desk.exchange.legs.len(), Leg::now());
            format!("+OK last sessions per second: {}\n", figures.rate)
        }
        "loglevel" => log_level(desk, first),
        "debug_level" if number.is_some() => {
            "-ERR debug_level is not provided: use fsctl loglevel debug\n".to_owned()
        }
        "debug_level" => "+OK DEBUG level: 0\n".to_owned(),
        // Every time is read from the machine's clock when it is needed.
        "sync_clock" | "sync_clock_when_idle" => "+OK clock synchronized\n".to_owned(),
        "min_idle_cpu" if number.is_some() => {
            "-ERR min_idle_cpu is not provided: limit calls by fsctl max_sessions and sps\n".to_owned()
        }
        "min_idle_cpu" => "+OK min idle cpu: DISABLED\n".to_owned(),
        "default_dtmf_duration" | "max_dtmf_duration" | "min_dtmf_duration" if number.is_some() => {
            format!("-ERR {word} is not provided: the durations are fixed\n")
        }
        "default_dtmf_duration" => "+OK default dtmf duration: 2000\n".to_owned(),
        "max_dtmf_duration" => "+OK max dtmf duration: 48000\n".to_owned(),
        "min_dtmf_duration" => "+OK min dtmf duration: 320\n".to_owned(),
        other => match REFUSED.iter().find(|(name, _)| *name == other) {
            Some((name, why)) => format!("-ERR {name} is not provided: {why}\n"),
            None => format!("-ERR Invalid command\nUSAGE: fsctl {USAGE}\n"),
        },
    }
}

/// The legs a word means; both when it is none.
fn sides(word: Option<&str>) -> &'static [Direction] {
    match word {
        Some("inbound") => &[Direction::Inbound],
        Some("outbound") => &[Direction::Outbound],
        _ => &[Direction::Inbound, Direction::Outbound],
    }
}

fn shutdown(desk: &Desk, words: &[String]) -> String {
    let mut how = Shutdown::Now;
    for word in words {
        match word.as_str() {
            "cancel" => {
                how = Shutdown::Cancel;
                break;
            }
            "elegant" => how = Shutdown::Elegant,
            "asap" => how = Shutdown::Asap,
            "now" => how = Shutdown::Now,
            "restart" | "reincarnate" => {
                return "-ERR restart is not provided: let what has started the switch start it again\n"
                    .to_owned();
            }
            _ => {}
        }
    }
    let asked = match how {
        Shutdown::Elegant => Some("elegant"),
        Shutdown::Asap => Some("ASAP"),
        Shutdown::Now | Shutdown::Cancel => None,
    };
    if let Some(asked) = asked {
        let headers = || vec![("Event-Info".into(), asked.to_owned())];
        desk.exchange.events.fire(EventName::ShutdownRequested, headers);
    }
    desk.house.shut_down(how);
    OK.to_owned()
}

/// FreeSWITCH's levels, by their numbers.
const LEVELS: [&str; 8] = ["CONSOLE", "ALERT", "CRIT", "ERR", "WARNING", "NOTICE", "INFO", "DEBUG"];

/// The number of a level said by name or number.
fn level(word: &str) -> Option<u8> {
    if let Ok(number) = word.parse::<u8>() {
        return Some(number.min(7));
    }
    let word = match word {
        "error" => "err",
        "warn" => "warning",
        word => word,
    };
    let found = LEVELS.iter().position(|name| name.eq_ignore_ascii_case(word))?;
    u8::try_from(found).ok()
}

/// `fsctl loglevel [LEVEL]`.
fn log_level(desk: &Desk, word: Option<&str>) -> String {
    match set_level(desk, word, "-ERR syntax error, log level not set!\n") {
        Ok((name, number)) => format!("+OK log level: {name} [{number}]\n"),
        Err(refused) => refused,
    }
}

/// `console loglevel [LEVEL]`: there is one log, so it is that of `fsctl loglevel`.
fn console(desk: &Desk, text: &str) -> String {
    let mut words = text.split_ascii_whitespace();
    let word = words.next().unwrap_or_default().to_ascii_lowercase();
    match word.as_str() {
        "loglevel" => {
            let wanted = words.next();
            let bad = format!("-ERR Invalid console loglevel ({})!\n\n", wanted.unwrap_or_default());
            match set_level(desk, wanted, &bad) {
                Ok((name, _)) => format!("+OK console log level set to {name}\n"),
                Err(refused) => refused,
            }
        }
        "colorize" | "uuid" | "json" => {
            format!(
                "-ERR console {word} is not provided: how the log looks is said at the start (--log-format)\n"
            )
        }
        _ => format!("-USAGE: {CONSOLE_USAGE}\n"),
    }
}

/// Sets the level of the log when `word` names one, and answers which it is; `bad` when it names none.
fn set_level(desk: &Desk, word: Option<&str>, bad: &str) -> Result<(&'static str, u8), String> {
    if let Some(word) = word {
        match level(word) {
            None => return Err(bad.to_owned()),
            Some(level) if !desk.house.set_log_level(level) => {
                return Err("-ERR the log level of this switch cannot be changed\n".to_owned());
            }
            Some(_) => {}
        }
    }
    let now = desk.house.log_level().min(7);
    Ok((LEVELS.get(usize::from(now)).copied().unwrap_or("DEBUG"), now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_by_name_and_number() {
        for (word, number) in [
            ("debug", Some(7)),
            ("INFO", Some(6)),
            ("warn", Some(4)),
            ("err", Some(3)),
            ("0", Some(0)),
            ("9", Some(7)),
            ("loud", None),
            ("", None),
        ] {
            assert_eq!(level(word), number, "{word}");
        }
    }
}
