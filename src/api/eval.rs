//! `eval` and `expand`: expansion asked for by command.

use std::collections::HashMap;

use super::command::{self, Command, waits};
use super::function;
use super::world::{Overlay, World};
use crate::dialplan;

/// Typed as a command, `expand` runs any command; called as a function (`${expand(…)}`) it runs functions.
pub(super) const COMMANDS: &[Command] = &[waits(
    "expand",
    "[uuid:<uuid> ]<cmd> <args>",
    "run a command, its arguments expanded",
    |desk, text| {
        Box::pin(async move {
            match expanded(&desk.world(), text) {
                Some(line) => command::run_within(desk, &line).await,
                None => NO_INPUT.to_owned(),
            }
        })
    },
)];

const NO_INPUT: &str = "-ERR No input\n";

/// `eval [uuid:UUID ]TEXT`: the text expanded, with the event headers of that channel as variables
/// (`${variable_x}`, `${Channel-State}`). Text from the wire is not expanded: it is the answer as it is.
pub fn eval(world: &dyn World, text: &str, wire: bool) -> String {
    if wire {
        return text.to_owned();
    }
    let (headers, text) = channel(world, text);
    dialplan::expand(text, &Overlay { world, own: headers, under: None })
}

/// `expand [uuid:UUID ]COMMAND ARGUMENTS`: runs the command with its arguments expanded. The wire gives no commands.
pub fn expand(world: &dyn World, text: &str, wire: bool) -> String {
    if wire {
        tracing::warn!("expand {text}: there is text from the wire in it, nothing is run");
        return "-ERR Cannot execute command\n".to_owned();
    }
    match expanded(world, text) {
        Some(line) => function::command(world, &line),
        None => NO_INPUT.to_owned(),
    }
}

/// The command line of `[uuid:UUID ]COMMAND ARGUMENTS` with its arguments expanded; none where there is no command.
fn expanded(world: &dyn World, text: &str) -> Option<String> {
    let (headers, line) = channel(world, text);
    let (name, arguments) = line.split_once(' ').unwrap_or((line, ""));
    if name.is_empty() {
        return None;
    }
    let arguments = dialplan::expand(arguments, &Overlay { world, own: headers, under: None });
    Some(format!("{name} {arguments}"))
}

/// The headers of the channel a command names with `uuid:`, and the rest of the command.
fn channel<'t>(world: &dyn World, text: &'t str) -> (HashMap<String, String>, &'t str) {
    let named = text.get(..5).is_some_and(|p| p.eq_ignore_ascii_case("uuid:"));
    match text.get(5..).filter(|_| named).and_then(|rest| rest.split_once(' ')) {
        Some((uuid, rest)) => {
            let headers = world.channel_headers(uuid).unwrap_or_default();
            (headers.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect(), rest)
        }
        None if named => (HashMap::new(), ""),
        None => (HashMap::new(), text),
    }
}
