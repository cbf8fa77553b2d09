//! `console_complete`, `complete`: how a line at the console may go on (switch_console.c).
//!
//! A line goes on as one of the [`LINES`] says, or one that somebody has added. A word there is a word, `::[a:b` one of
//! several, `::console::list_uuid` and its like what there is at the moment.

use super::command::{self, Command, now, usage};
use super::desk::{Desk, OK};
use super::rows::escaped;
use crate::config::modules;
use crate::store::words::WORDS;

pub(super) const COMMANDS: &[Command] = &[
    now("complete", "add <word>|del [<word>|*]", "Complete", complete),
    now("console_complete", "<line>", "Tell how a line may go on", console_complete),
    now("console_complete_xml", "<line>", "The same as XML", console_complete_xml),
];

/// How lines may go on, those of commands on a channel apart.
const LINES: &[&str] = &[
    "alias ::[add:del",
    "complete ::[add:del",
    "fsctl ::[debug_level:hupall:last_sps:loglevel:max_sessions:pause:pause_check:ready_check:resume:shutdown:shutdown_check:sps:sync_clock",
    "fsctl loglevel ::[alert:console:crit:debug:err:info:notice:warning",
    "fsctl ::[pause:resume:pause_check ::[inbound:outbound",
    "fsctl shutdown ::[asap:cancel:elegant:now:restart",
    "interface_ip ::[auto:ipv4:ipv6",
    "reload ::console::list_loaded_modules",
    "reg why",
    "show ::[aliases:api:application:bridged_calls:calls:channels:codec:complete:detailed_bridged_calls:detailed_calls:dialplan:endpoint:interface_types:interfaces:limits:modules:nat_map:registrations:say:status:tasks",
    "show ::[calls:channels:registrations count",
    "sofia ::[global:help:jsonstatus:profile:status:tracelevel:xmlstatus",
    "sofia global ::[debug:siptrace",
    "sofia global debug ::[none:presence",
    "sofia global siptrace ::[on:off",
    "sofia profile ::sofia::list_profiles ::[check_sync:flush_inbound_reg:gwlist:killgw:register:rescan:restart:siptrace:start:startgw:stop:unregister",
    "sofia profile ::sofia::list_profiles ::[register:unregister ::[all",
    "sofia profile ::sofia::list_profiles ::[register:unregister:killgw:startgw ::sofia::list_profile_gateway",
    "sofia profile ::sofia::list_profiles gwlist ::[up:down",
    "sofia profile ::sofia::list_profiles killgw _all_",
    "sofia profile ::sofia::list_profiles siptrace ::[on:off",
    "sofia ::[status:xmlstatus ::[gateway:profile",
    "sofia ::[status:xmlstatus gateway ::sofia::list_gateways",
    "sofia ::[status:xmlstatus profile ::sofia::list_profiles",
    "sofia ::[status:xmlstatus profile ::sofia::list_profiles ::[pres:reg:user",
    "uptime ::[days:hours:microseconds:milliseconds:minutes:seconds",
    "uuid_hold ::[off:toggle ::console::list_uuid",
    "uuid_media off ::console::list_uuid",
    "version short",
];

/// How a line may go on.
struct Completion {
    matches: Vec<String>,
    /// How long the word is that is being typed.
    typed: usize,
}

impl Completion {
    /// What takes the place of the word, if anything does, and whether the word is whole then.
    fn write(&self) -> Option<(&str, bool)> {
        let (first, rest) = self.matches.split_first()?;
        let common = rest.iter().fold(first.len(), |most, other| {
            first.bytes().zip(other.bytes()).take(most).take_while(|(a, b)| a == b).count()
        });
        let text = first.get(..common).filter(|text| !text.is_empty())?;
        Some((text, rest.is_empty()))
    }
}

/// `c=CURSOR;LINE`, or the line alone: what stands before the cursor. A command line comes without the blanks at its end;
/// a cursor behind the end tells that there were some.
fn before_cursor(text: &str) -> String {
    let cursor = text.split_once("c=").and_then(|(_, rest)| rest.split_once(';'));
    let (at, line) = match cursor {
        Some((at, line)) => (at.parse().unwrap_or(0), line),
        None => (0, text),
    };
    let line = line.split(['\r', '\n']).next().unwrap_or(line);
    match at {
        0 => line.to_owned(),
        at if at > line.len() => format!("{line} "),
        at => line.get(..at).unwrap_or(line).to_owned(),
    }
}

fn find(desk: &Desk, text: &str) -> Completion {
    let line = before_cursor(text);
    let line = line.trim_start_matches(' ');
    let mut words: Vec<&str> = line.split(' ').filter(|word| !word.is_empty()).collect();
    if line.is_empty() || line.ends_with(' ') {
        words.push("");
    }
    let (word, before) = words.split_last().unwrap_or((&"", &[]));
    let mut matches: Vec<String> = Vec::new();
    if before.is_empty() {
        let names = command::listed().into_iter().map(|(name, ..)| name.to_owned());
        let aliases = desk.exchange.stores.words.aliases().into_iter().map(|(alias, _)| alias);
        matches.extend(names.chain(aliases).filter(|name| name.starts_with(word)));
    }
    let added = desk.exchange.stores.words.completions();
    let fixed = LINES.iter().map(|line| line.split(' ').map(str::to_owned).collect());
    for line in fixed.chain(added).chain(for_channel(before)) {
        let line: Vec<String> = line;
        let fits = before.iter().enumerate().all(|(n, word)| {
            line.get(n).is_some_and(|said| {
                stands_for(desk, said, &words).is_none_or(|all| all.iter().any(|one| one == word))
            })
        });
        let next = line.get(before.len()).filter(|_| fits);
        let offered = next.and_then(|said| stands_for(desk, said, &words)).unwrap_or_default();
        matches.extend(offered.into_iter().filter(|offer| offer.starts_with(word)));
    }
    matches.sort();
    matches.dedup();
    Completion { matches, typed: word.len() }
}

/// Commands called `uuid_…` go on with a channel.
fn for_channel(before: &[&str]) -> Option<Vec<String>> {
    let name = before.first().filter(|name| name.starts_with("uuid_") && command::is_command(name))?;
    Some(vec![(*name).to_owned(), "::console::list_uuid".to_owned()])
}

/// The words that a word of a line stands for; `None` is any.
fn stands_for(desk: &Desk, said: &str, words: &[&str]) -> Option<Vec<String>> {
    if let Some(list) = said.strip_prefix("::[") {
        return Some(list.split(':').filter(|word| !word.is_empty()).map(str::to_owned).collect());
    }
    let exchange = &desk.exchange;
    Some(match said {
        "" => return None,
        "::console::list_uuid" => exchange.legs.uuids().iter().map(ToString::to_string).collect(),
        "::console::list_loaded_modules" => modules::provided().map(str::to_owned).collect(),
        "::sofia::list_profiles" => exchange.agents.load().values().map(|agent| agent.name.clone()).collect(),
        "::sofia::list_gateways" => {
            exchange.gateways.load().all().iter().map(|gateway| gateway.conf.name.clone()).collect()
        }
        "::sofia::list_profile_gateway" => {
            let profile = words.get(2).and_then(|name| exchange.agent(name));
            let gateways = exchange.gateways.load();
            let of_profile =
                profile.map(|agent| gateways.of_profile(&agent.name).to_vec()).unwrap_or_default();
            of_profile.iter().map(|gateway| gateway.conf.name.clone()).collect()
        }
        unknown if unknown.starts_with("::") => Vec::new(),
        word => vec![word.to_owned()],
    })
}

/// `console_complete LINE`, as `fs_cli` reads it: the matches, four a line, and what to write.
fn console_complete(desk: &Desk, text: &str) -> String {
    let found = find(desk, text);
    let mut out = "\n\n".to_owned();
    for (n, name) in found.matches.iter().enumerate() {
        out.push_str(&format!("[{name:>20}]\t"));
        if (n + 1) % 4 == 0 {
            out.push('\n');
        }
    }
    out.push_str("\n\n");
    if let Some((text, whole)) = found.write() {
        let blank = if whole { " " } else { "" };
        out.push_str(&format!("write={}:{text}{blank}", found.typed));
    }
    out
}

/// The same as XML.
fn console_complete_xml(desk: &Desk, text: &str) -> String {
    let found = find(desk, text);
    let matches: String =
        found.matches.iter().map(|name| format!("  <match>{}</match>\n", escaped(name))).collect();
    let write = found.write().map(|(text, _)| escaped(text)).unwrap_or_default();
    format!(
        "<?xml version=\"1.0\"?>\n<complete>\n{matches}  <write length=\"{}\">{write}</write>\n</complete>\n",
        found.typed
    )
}

/// `complete add WORD…`, `complete del WORD…|*`; `_any_` is any word.
fn complete(desk: &Desk, text: &str) -> String {
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let stored = &desk.exchange.stores.words;
    match words.as_slice() {
        [add, words @ ..] if add.eq_ignore_ascii_case("add") => {
            let word = |word: &&str| if *word == "_any_" { String::new() } else { (*word).to_owned() };
            match stored.add_completion(words.iter().take(WORDS).map(word).collect()) {
                Ok(()) => OK.to_owned(),
                Err(_) => "-ERR there is no room for more\n".to_owned(),
            }
        }
        [add, ..] if add.eq_ignore_ascii_case("stickyadd") => {
            "-ERR stickyadd: completions are not kept over a restart; use add\n".to_owned()
        }
        [del, "*"] if del.eq_ignore_ascii_case("del") => {
            stored.remove_completions(&[]);
            OK.to_owned()
        }
        [del, words @ ..] if del.eq_ignore_ascii_case("del") && !words.is_empty() => {
            stored.remove_completions(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
            OK.to_owned()
        }
        _ => usage("complete"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_before_the_cursor_counts() {
        for (text, expected) in [
            ("sho", "sho"),
            ("c=3;show channels", "sho"),
            ("c=0;show", "show"),
            ("c=5;show", "show "),
            ("c=x;show", "show"),
            ("show\r\nstatus", "show"),
        ] {
            assert_eq!(before_cursor(text), expected, "{text:?}");
        }
    }

    #[test]
    fn the_common_beginning_is_written() {
        let of = |names: &[&str]| Completion {
            matches: names.iter().map(|n| (*n).to_owned()).collect(),
            typed: 1,
        };
        assert_eq!(of(&["status"]).write(), Some(("status", true)));
        assert_eq!(of(&["uuid_kill", "uuid_park"]).write(), Some(("uuid_", false)));
        assert_eq!(of(&["a", "b"]).write(), None);
        assert_eq!(of(&[]).write(), None);
        assert_eq!(of(&["hé", "hè"]).write(), None, "never a part of a letter");
    }
}
