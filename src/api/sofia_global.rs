//! `sofia global …`, `sofia tracelevel`, `sofia loglevel`: what holds for all profiles (mod_sofia.c).

use std::sync::atomic::Ordering;

use super::desk::Desk;
use super::sofia::is_true;
use crate::channel::TRACE_LEVEL;

/// FreeSWITCH's levels, by their numbers.
const LEVELS: [&str; 8] = ["CONSOLE", "ALERT", "CRIT", "ERR", "WARNING", "NOTICE", "INFO", "DEBUG"];

/// `sofia tracelevel [LEVEL]`: at which level SIP messages are logged.
pub(super) fn trace_level(words: &[&str]) -> String {
    if let Some(word) = words.first() {
        let number = word.parse().ok().filter(|n| *n < LEVELS.len());
        let found = number.or_else(|| LEVELS.iter().position(|level| level.eq_ignore_ascii_case(word)));
        let Some(level) = found else {
            return format!("-ERR tracelevel: one of {}\n", LEVELS.join(", ").to_ascii_lowercase());
        };
        TRACE_LEVEL.store(level as u8, Ordering::Relaxed);
    }
    let level = LEVELS.get(usize::from(TRACE_LEVEL.load(Ordering::Relaxed))).unwrap_or(&"INFO");
    format!("+OK tracelevel is {level}")
}

/// `sofia global siptrace|debug …`; what is not there is refused by its name.
pub(super) fn global(desk: &Desk, words: &[&str]) -> String {
    const USAGE: &str =
        "-ERR Usage: siptrace <on|off>|capture <on|off>|watchdog <on|off>|debug <sla|presence|none";
    let (what, word) = match words {
        [what, more @ ..] => (what.to_ascii_lowercase(), more.first().map(|word| word.to_ascii_lowercase())),
        [] => return USAGE.to_owned(),
    };
    match (what.as_str(), word) {
        ("debug", word) => debug(desk, &word.unwrap_or_default()),
        ("siptrace", Some(word)) => {
            let on = is_true(&word);
            desk.exchange.agents.load().values().for_each(|agent| agent.trace.store(on, Ordering::Relaxed));
            format!("+OK Global siptrace {}", if on { "on" } else { "off" })
        }
        ("capture", Some(_)) => {
            "-ERR global capture is not provided: no HEP is sent; use siptrace\n".to_owned()
        }
        ("watchdog", Some(_)) => {
            "-ERR global watchdog is not provided: no thread of a SIP stack can hang; stuck tells what does\n"
                .to_owned()
        }
        ("standby", Some(_)) => {
            "-ERR global standby is not provided: fsctl pause refuses new calls, profile stop closes one\n"
                .to_owned()
        }
        _ => USAGE.to_owned(),
    }
}

/// `sofia global debug presence|none`: what is done about presence is told in the log.
fn debug(desk: &Desk, word: &str) -> String {
    let debug = &desk.exchange.presence.debug;
    let mut out = String::new();
    if word.contains("sla") {
        return "-ERR global debug sla is not provided: there are no shared lines\n".to_owned();
    }
    if word.contains("presence") {
        debug.store(true, Ordering::Relaxed);
        out.push_str("+OK Debugging presence\n");
    }
    if word.contains("none") {
        debug.store(false, Ordering::Relaxed);
        out.push_str("+OK Debugging nothing\n");
    }
    let on = if debug.load(Ordering::Relaxed) { "on" } else { "off" };
    out + &format!("+OK Debugging summary: presence: {on} sla: off\n")
}
