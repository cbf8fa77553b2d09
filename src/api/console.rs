//! What people do at the console beside asking: aliases, modules that cannot be loaded, a JSON way in (mod_commands.c,
//! switch_console.c).

use std::collections::VecDeque;

use super::command::{self, Command, now, usage, waits};
use super::desk::{Desk, OK};
use super::status;
use crate::config::modules;

pub(super) const COMMANDS: &[Command] = &[
    now("alias", "[add|stickyadd] <alias> <command> | del [<alias>|*]", "Alias", alias),
    waits("json", "JSON", "JSON API", |desk, text| Box::pin(json(desk, text))),
    now("load", "<mod_name>", "Load Module", load),
    now(
        "nat_map",
        "[status|republish|reinit] | [add|del] <port> [tcp|udp] [static]",
        "Manage NAT",
        |_, _| {
            "-ERR nat_map: no ports are opened at routers by UPnP or NAT-PMP; set ext-sip-ip and ext-rtp-ip\n"
                .to_owned()
        },
    ),
    waits("reload", "[-f] <mod_name>", "Reload module", |desk, text| Box::pin(reload(desk, text))),
    now("unload", "[-f] <mod_name>", "Unload module", unload),
];

/// How often an alias may stand for another, and how many commands one line may come to.
const DEEPEST: usize = 100;

/// Runs a line of the console: several commands with `;;` between, and aliases in them (`switch_console_execute`).
pub async fn run_console(desk: &Desk, line: &str) -> String {
    let mut out = String::new();
    let mut left: VecDeque<(String, usize)> = VecDeque::from([(line.to_owned(), 0)]);
    while let Some((line, depth)) = left.pop_front() {
        let line = line.trim();
        // What is being made an alias of is not cut up.
        if !line.starts_with("alias") && line.contains(";;") {
            let parts = line.split(";;").filter(|part| !part.trim().is_empty()).take(128);
            for part in parts.collect::<Vec<_>>().into_iter().rev() {
                left.push_front((part.to_owned(), depth));
            }
            continue;
        }
        let (name, arguments) = command::split(line);
        let words = &desk.exchange.stores.words;
        let expanded = match words.alias(name) {
            Some(command) if arguments.is_empty() => Some(command),
            Some(command) => Some(format!("{command} {arguments}")),
            None => words.alias(&format!("{name} {arguments}")),
        };
        let Some(expanded) = expanded else {
            out.push_str(&command::run(desk, line).await);
            continue;
        };
        if depth >= DEEPEST || left.len() >= DEEPEST {
            tracing::error!("console: the alias {name} stands for itself");
            out.push_str("-ERR Too much recursion!\n");
            break;
        }
        out.push_str(&format!("\nExpand Alias [{name}]->[{expanded}]\n\n"));
        left.push_front((expanded, depth + 1));
    }
    out
}

/// `alias add NAME COMMAND`, `alias del NAME|*`.
fn alias(desk: &Desk, text: &str) -> String {
    let words = crate::dialplan::separate(text, ' ', 3);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let stored = &desk.exchange.stores.words;
    match words.as_slice() {
        [what, name, command] if what.eq_ignore_ascii_case("add") && name != command && !name.is_empty() => {
            match stored.add_alias(name, command) {
                Ok(()) => OK.to_owned(),
                Err(_) => "-ERR there is no room for more\n".to_owned(),
            }
        }
        [what, _, _] if what.eq_ignore_ascii_case("stickyadd") => {
            "-ERR stickyadd: aliases are not kept over a restart; use add\n".to_owned()
        }
        [what, name] if what.eq_ignore_ascii_case("del") => {
            stored.remove_alias((*name != "*").then_some(name));
            OK.to_owned()
        }
        _ => usage("alias"),
    }
}

/// The module's name without `-f` and `.so`.
fn module(text: &str) -> &str {
    let name = match text.strip_prefix('-') {
        Some(flags) => flags.split_once(' ').map_or("", |(_, name)| name),
        None => text,
    };
    let name = name.trim();
    name.strip_suffix(".so").unwrap_or(name)
}

fn load(_: &Desk, text: &str) -> String {
    match module(text) {
        "" => usage("load"),
        name if modules::is_provided(name) => "-ERR [Module already loaded]\n".to_owned(),
        name if modules::is_known(name) => format!("-ERR [{name} is not provided]\n"),
        _ => "-ERR [module load file routine returned an error]\n".to_owned(),
    }
}

fn unload(_: &Desk, text: &str) -> String {
    match module(text) {
        "" => usage("unload"),
        name if modules::is_provided(name) => "-ERR [Module is not unloadable]\n".to_owned(),
        _ => "-ERR [No such module!]\n".to_owned(),
    }
}

/// `reload MODULE`: the configuration is read again, which is what a module is reloaded for; nothing is unloaded.
async fn reload(desk: &Desk, text: &str) -> String {
    let name = module(text);
    if name.is_empty() {
        return usage("reload");
    }
    if !modules::is_provided(name) {
        return "-ERR unloading module [No such module!]\n".to_owned();
    }
    match desk.house.reload().await {
        Ok(changes) => {
            tracing::info!("reloaded: {changes}");
            "+OK Reloading XML\n+OK module loaded\n".to_owned()
        }
        Err(errors) => format!("-ERR [{}]\n", errors.join("; ")),
    }
}

/// `json {"command":"status|fsapi","data":{…}}`.
async fn json(desk: &Desk, text: &str) -> String {
    use serde_json::{Value, json};
    if text.is_empty() {
        return "-ERR No JSON supplied.\n".to_owned();
    }
    let Ok(Value::Object(mut request)) = serde_json::from_str::<Value>(text) else {
        return "-ERR Parse error.\n".to_owned();
    };
    let data = request.get("data").cloned();
    let response = match (request.get("command").and_then(Value::as_str), &data) {
        (Some("status"), Some(_)) if desk.permit.as_ref().is_some_and(|permit| !permit.has("status")) => {
            Some(json!({ "message": command::DENIED }))
        }
        (Some("status"), Some(_)) => Some(status::status_json(&desk.exchange)),
        (Some("fsapi"), Some(data)) => {
            let word = |name: &str| data.get(name).and_then(Value::as_str).unwrap_or_default();
            let (name, arguments) = (word("cmd"), word("arg"));
            // Itself it would run without end.
            let runs = command::is_command(name) && !name.eq_ignore_ascii_case("json");
            let message = match runs {
                true => command::run_within(desk, &format!("{name} {arguments}")).await,
                false => "INVALID CALL".to_owned(),
            };
            Some(json!({ "message": message }))
        }
        _ => None,
    };
    match response {
        Some(response) => {
            request.insert("status".to_owned(), "success".into());
            request.insert("response".to_owned(), response);
        }
        None => {
            request.insert("status".to_owned(), "error".into());
            request.insert("message".to_owned(), "Invalid request or non-existant command".into());
            request.insert("response".to_owned(), Value::Null);
        }
    }
    let pretty =
        request.get("format").and_then(Value::as_str).is_some_and(|f| f.eq_ignore_ascii_case("pretty"));
    let request = Value::Object(request);
    let text = if pretty { serde_json::to_string_pretty(&request) } else { serde_json::to_string(&request) };
    text.unwrap_or_default() + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_is_read_out_of_what_is_written() {
        for (text, expected) in
            [("mod_sofia", "mod_sofia"), ("-f mod_sofia.so", "mod_sofia"), ("-f", ""), ("", "")]
        {
            assert_eq!(module(text), expected, "{text}");
        }
    }
}
