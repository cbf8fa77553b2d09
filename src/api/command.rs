//! The table of commands, and how a command line is run.

use super::desk::{Desk, Work};
use super::function::{self, Function};
use super::{
    beside, channels, complete, console, doubt, eval, fsctl, help, later, machine, originate, presence, show,
    sofia, sofia_lookup, status, system, unprovided, uuid_limit, uuid_media, uuid_route, uuid_signal,
};
use crate::event::EventName;

/// A command: what somebody types on the console or sends over the event socket.
#[derive(Clone, Copy, Debug)]
pub struct Command {
    /// The name users type.
    pub name: &'static str,
    /// Its arguments, as `-USAGE:` shows them.
    pub usage: &'static str,
    /// What it is for, in a few words.
    pub about: &'static str,
    /// Runs it with its arguments. The answer is FreeSWITCH's text, `-ERR …` included.
    pub run: Serve,
}

/// How a command is run.
#[derive(Clone, Copy)]
pub enum Serve {
    /// It is done at once.
    Now(fn(&Desk, &str) -> String),
    /// It waits for somebody: a leg, the network, the configuration.
    Waits(for<'a> fn(&'a Desk, &'a str) -> Work<'a, String>),
}

impl std::fmt::Debug for Serve {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if matches!(self, Serve::Now(_)) { "Now" } else { "Waits" })
    }
}

/// A command that is done at once.
pub(super) const fn now(
    name: &'static str,
    usage: &'static str,
    about: &'static str,
    run: fn(&Desk, &str) -> String,
) -> Command {
    Command { name, usage, about, run: Serve::Now(run) }
}

/// A command that waits for somebody.
pub(super) const fn waits(
    name: &'static str,
    usage: &'static str,
    about: &'static str,
    run: for<'a> fn(&'a Desk, &'a str) -> Work<'a, String>,
) -> Command {
    Command { name, usage, about, run: Serve::Waits(run) }
}

/// The list of a file whose commands wait for somebody: `"name" function usage, about;`.
macro_rules! waiting {
    ($($name:literal $run:ident $usage:literal, $about:literal;)*) => {
        pub(super) const COMMANDS: &[super::command::Command] =
            &[$(super::command::waits($name, $usage, $about, |desk, text| Box::pin($run(desk, text)))),*];
    };
}
pub(super) use waiting;

/// Every family of commands; each file has its own list.
const FAMILIES: &[&[Command]] = &[
    beside::COMMANDS,
    channels::COMMANDS,
    complete::COMMANDS,
    console::COMMANDS,
    doubt::COMMANDS,
    eval::COMMANDS,
    fsctl::COMMANDS,
    help::COMMANDS,
    later::COMMANDS,
    machine::COMMANDS,
    originate::COMMANDS,
    presence::COMMANDS,
    show::COMMANDS,
    sofia::COMMANDS,
    sofia_lookup::COMMANDS,
    status::COMMANDS,
    system::COMMANDS,
    unprovided::COMMANDS,
    uuid_limit::COMMANDS,
    uuid_media::COMMANDS,
    uuid_route::COMMANDS,
    uuid_signal::COMMANDS,
];

/// Every command, those that are functions of expansions too left out.
pub fn commands() -> impl Iterator<Item = &'static Command> {
    FAMILIES.iter().flat_map(|family| family.iter())
}

/// What there is by a name.
enum Found {
    Command(&'static Command),
    Function(&'static Function),
}

fn find(name: &str) -> Option<Found> {
    let command = commands().find(|command| command.name.eq_ignore_ascii_case(name));
    command.map(Found::Command).or_else(|| function::find(name).map(Found::Function))
}

/// Whether there is a command (or function) of that name.
pub fn is_command(name: &str) -> bool {
    find(name).is_some()
}

/// Every name with its usage and what it is for, by name.
pub fn listed() -> Vec<(&'static str, &'static str, &'static str)> {
    let functions = function::all().filter(|f| !commands().any(|c| c.name == f.name));
    let mut all: Vec<_> = commands()
        .map(|c| (c.name, c.usage, c.about))
        .chain(functions.map(|f| (f.name, f.usage, f.about)))
        .collect();
    all.sort_unstable();
    all
}

/// What is said to who may not run a command.
pub(super) const DENIED: &str = "-ERR permission denied\n";

/// Runs a command line, `name arguments`, and tells of it by the event API. The answer is what the command says; empty when it
/// says nothing.
pub async fn run(desk: &Desk, line: &str) -> String {
    let (name, arguments) = split(line);
    if desk.permit.as_ref().is_some_and(|permit| !permit.line(line)) {
        tracing::warn!("{}: who asks may not run it", shown(name));
        return DENIED.to_owned();
    }
    let said = match find(name) {
        Some(Found::Command(command)) => match command.run {
            Serve::Now(run) => run(desk, arguments),
            Serve::Waits(run) => run(desk, arguments).await,
        },
        Some(Found::Function(function)) => function::run_line(function, &desk.world(), arguments),
        None => unknown(name),
    };
    // Once it is done, a command nobody knows too (`switch_api_execute`).
    desk.exchange.events.fire(EventName::Api, || {
        let named = [("API-Command", name), ("API-Command-Argument", arguments)];
        let said = named.into_iter().filter(|(_, value)| !value.is_empty());
        said.map(|(header, value)| (header.into(), value.to_owned())).collect()
    });
    said
}

/// How deep commands may run each other (`xml_wrap expand json …`): a line is long, the stack is not.
const DEEPEST: u8 = 8;

/// Runs the command line that a command has in it.
pub(super) async fn run_within(desk: &Desk, line: &str) -> String {
    if desk.depth >= DEEPEST {
        tracing::error!("commands run each other more than {DEEPEST} deep, nothing is run");
        return refused("commands run each other too deep");
    }
    run(&Desk { depth: desk.depth + 1, ..desk.clone() }, line).await
}

/// `name` and `arguments`, blanks around both removed.
pub fn split(line: &str) -> (&str, &str) {
    let line = line.trim();
    let (name, arguments) = line.split_once(|c: char| c.is_ascii_whitespace()).unwrap_or((line, ""));
    (name, arguments.trim_start())
}

/// What is said of a command nobody knows. The name goes back as far as it can be one.
pub fn unknown(name: &str) -> String {
    format!("-ERR {} Command not found!\n", shown(name))
}

/// A name as far as it can be one.
fn shown(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(64).collect()
}

/// `-ERR …` in one line, whatever stands in the reason.
pub(super) fn refused(why: &str) -> String {
    format!("-ERR {}\n", why.replace(char::is_control, " "))
}

/// `-USAGE: …`, for arguments that are none.
pub(super) fn usage(name: &str) -> String {
    let usage = commands().find(|c| c.name == name).map_or("", |c| c.usage);
    format!("-USAGE: {usage}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_stands_twice_and_each_says_what_it_is_for() {
        let mut names: Vec<_> = commands().map(|c| c.name).collect();
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all);
        for (name, _, about) in listed() {
            assert!(!about.is_empty(), "{name}");
            assert!(name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'), "{name}");
        }
    }

    #[test]
    fn a_line_is_a_name_and_the_rest() {
        assert_eq!(split("  status "), ("status", ""));
        assert_eq!(split("uuid_kill  a b"), ("uuid_kill", "a b"));
        assert_eq!(unknown("a\r\nContent-Length: 0"), "-ERR aContent-Length: 0 Command not found!\n");
    }
}
