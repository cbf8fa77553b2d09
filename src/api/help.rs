//! `help`: what commands there are (mod_commands.c).

use super::command::{self, Command, now};
use super::desk::Desk;

pub(super) const COMMANDS: &[Command] = &[now("help", "[<command>]", "tell what commands there are", help)];

/// `help [NAME]`: a line per command, `name,usage,description,module`.
fn help(_: &Desk, text: &str) -> String {
    let wanted = |name: &str| text.is_empty() || name.eq_ignore_ascii_case(text);
    let lines: String = command::listed()
        .into_iter()
        .filter(|(name, ..)| wanted(name))
        .map(|(name, usage, about)| format!("{name},{usage},{about},mod_commands\n"))
        .collect();
    match (text.is_empty(), lines.is_empty()) {
        (true, _) => format!("\nValid Commands:\n\n{lines}"),
        (false, true) => "-ERR No such command\n".to_owned(),
        (false, false) => lines,
    }
}
