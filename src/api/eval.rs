//! `eval` and `expand`: expansion asked for by command.

use std::collections::HashMap;

use super::function::command;
use super::world::{Overlay, World};
use crate::dialplan;

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
    let (headers, line) = channel(world, text);
    if line.is_empty() {
        return "-ERR No input\n".to_owned();
    }
    let (name, arguments) = line.split_once(' ').unwrap_or((line, ""));
    let arguments = dialplan::expand(arguments, &Overlay { world, own: headers, under: None });
    command(world, &format!("{name} {arguments}"))
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
