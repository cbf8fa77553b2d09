//! `help`: what commands there are (mod_commands.c).

use super::command::{self, Command, now};
use super::desk::Desk;
use super::interface_rows::module_of_api;

pub(super) const COMMANDS: &[Command] = &[now("help", "[<command>]", "tell what commands there are", help)];

/// `help [NAME]`: a line per command, `name,usage,description,module`.
fn help(_: &Desk, text: &str) -> String {
    match text.is_empty() {
        true => format!("\nValid Commands:\n\n{}", lines(None)),
        false => lines(Some(text)),
    }
}

/// A line per command, or the one of this name.
pub(super) fn lines(only: Option<&str>) -> String {
    let lines: String = command::listed()
        .into_iter()
        .filter(|(name, ..)| only.is_none_or(|only| name.eq_ignore_ascii_case(only)))
        .map(|(name, usage, about)| format!("{name},{usage},{about},{}\n", module_of_api(name)))
        .collect();
    if lines.is_empty() { "-ERR No such command\n".to_owned() } else { lines }
}
