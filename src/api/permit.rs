//! What somebody may run who may not run everything (`esl-allowed-api` of a user, `auth_api_command` of
//! mod_event_socket.c).
//!
//! A permit goes with the [`Desk`](super::Desk) a command works at, and every line is measured by it in the moment it is run:
//! a command that another one runs (`json`, `bgapi`, `xml_wrap`) and a function that an expansion calls as well as what the
//! client wrote. What is put off is measured when it is put off, and runs no other command then.
//!
//! It is about commands. Who may `originate`, `uuid_transfer` or `uuid_setvar` has what the applications and the variables of
//! a call do.

use super::command;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Commands that run another, or expand text, which can read any variable and call any function.
const CARRIERS: [&str; 6] = ["bgapi", "eval", "expand", "json", "sched_api", "xml_wrap"];

/// The commands and functions somebody may run, by name in small letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permit(Arc<BTreeSet<String>>);

impl FromIterator<String> for Permit {
    fn from_iter<T: IntoIterator<Item = String>>(names: T) -> Permit {
        Permit(Arc::new(names.into_iter().map(|name| name.to_ascii_lowercase()).collect()))
    }
}

impl Permit {
    /// Whether it has that command or function.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains(&name.to_ascii_lowercase())
    }

    /// Whether that line may be run. A command that runs another must find it permitted, too, as far as it stands there in
    /// plain sight: the rest is found when it runs.
    pub fn line(&self, line: &str) -> bool {
        let (name, arguments) = command::split(line);
        if name.is_empty() {
            return true;
        }
        if !self.has(name) || !carries(name) {
            return self.has(name);
        }
        if line.contains("${") {
            return false;
        }
        let mut words = arguments.split_ascii_whitespace();
        let other = match &*name.to_ascii_lowercase() {
            "eval" | "json" => return true,
            // It takes its words apart at blanks alone.
            "sched_api" => return arguments.splitn(3, ' ').nth(2).is_none_or(|line| self.alone(line)),
            "xml_wrap" => words.find(|word| !word.eq_ignore_ascii_case("encoded")),
            _ => words.find(|word| word.get(..5).is_none_or(|begin| !begin.eq_ignore_ascii_case("uuid:"))),
        };
        other.is_none_or(|other| self.alone(other))
    }

    /// Whether that line may be run, and runs no other.
    pub fn alone(&self, line: &str) -> bool {
        self.line(line) && !carries(command::split(line).0)
    }
}

fn carries(name: &str) -> bool {
    CARRIERS.iter().any(|carrier| carrier.eq_ignore_ascii_case(name))
}
