//! The table of API functions, and how they are called.

use std::cell::Cell;

use super::world::World;
use super::{clock, cond, directory, eval, expr, globals, network, regex, registration, text};
use crate::dialplan::Value;

/// An API function: name, and what it does with its arguments.
#[derive(Clone, Copy, Debug)]
pub struct Function {
    /// The name users type.
    pub name: &'static str,
    /// Runs it. The answer is FreeSWITCH's text, `-ERR …` included.
    pub run: fn(&dyn World, &str) -> String,
    /// Where its answer comes from.
    pub origin: Origin,
}

/// Where the text a function answers comes from: decides whether it may be expanded again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It is made of the arguments: from the wire if they are.
    Arguments,
    /// It is out of the configuration, or one of a few words.
    Configuration,
    /// It is out of messages from the wire, whatever the arguments.
    Wire,
}

const fn function(name: &'static str, run: fn(&dyn World, &str) -> String, origin: Origin) -> Function {
    Function { name, run, origin }
}

/// Every function, by name.
const FUNCTIONS: &[Function] = &[
    function("acl", network::acl, Origin::Configuration),
    function("coalesce", text::coalesce, Origin::Arguments),
    function("cond", cond::cond, Origin::Arguments),
    function("create_uuid", network::create_uuid, Origin::Configuration),
    function("domain_data", directory::domain_data, Origin::Configuration),
    function("domain_exists", directory::domain_exists, Origin::Configuration),
    function("echo", text::echo, Origin::Arguments),
    function("escape", text::escape, Origin::Arguments),
    function("eval", eval::eval, Origin::Wire),
    function("expand", eval::expand, Origin::Wire),
    function("expr", expr::expr, Origin::Configuration),
    function("global_getvar", globals::global_getvar, Origin::Configuration),
    function("global_setvar", globals::global_setvar, Origin::Configuration),
    function("group_call", directory::group_call, Origin::Wire),
    function("in_group", directory::in_group, Origin::Configuration),
    function("is_lan_addr", network::is_lan_addr, Origin::Configuration),
    function("md5", text::md5, Origin::Configuration),
    function("module_exists", network::module_exists, Origin::Configuration),
    function("quote_shell_arg", text::quote_shell_arg, Origin::Arguments),
    function("regex", regex::regex, Origin::Arguments),
    function("replace", text::replace, Origin::Arguments),
    function("sofia_contact", registration::sofia_contact, Origin::Wire),
    function("sql_escape", text::sql_escape, Origin::Arguments),
    function("strepoch", clock::strepoch, Origin::Configuration),
    function("strftime", clock::strftime, Origin::Arguments),
    function("strftime_tz", clock::strftime_tz, Origin::Arguments),
    function("tolower", text::tolower, Origin::Arguments),
    function("toupper", text::toupper, Origin::Arguments),
    function("url_decode", text::url_decode, Origin::Wire),
    function("url_encode", text::url_encode, Origin::Arguments),
    function("user_data", directory::user_data, Origin::Configuration),
    function("user_exists", directory::user_exists, Origin::Configuration),
];

/// The function of that name, in any case.
pub fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|f| f.name.eq_ignore_ascii_case(name))
}

/// The names of all functions.
pub fn names() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.iter().map(|f| f.name)
}

/// How deep functions may run each other: `eval` and `group_call` expand, and what they expand may call them.
const DEPTH: u32 = 4;

thread_local! {
    /// How many functions are running on this thread, one inside the other.
    static RUNNING: Cell<u32> = const { Cell::new(0) };
}

/// Runs a function unless too many are running around it.
fn run(function: &Function, world: &dyn World, arguments: &str) -> Option<String> {
    struct Guard;
    impl Drop for Guard {
        fn drop(&mut self) {
            RUNNING.set(RUNNING.get().saturating_sub(1));
        }
    }
    if RUNNING.get() >= DEPTH {
        tracing::error!("{}: functions call each other more than {DEPTH} deep", function.name);
        return None;
    }
    RUNNING.set(RUNNING.get() + 1);
    let _guard = Guard;
    Some((function.run)(world, arguments))
}

/// A function called from an expansion, `${name(arguments)}`: what [`Scope::call`](crate::dialplan::Scope::call)
/// answers. `wire`: the arguments hold text from the wire. An unknown function answers nothing.
pub fn call(world: &dyn World, name: &str, arguments: &str, wire: bool) -> Option<Value<'static>> {
    let function = find(name)?;
    let text = run(function, world, arguments)?;
    let wire = match function.origin {
        Origin::Arguments => wire,
        Origin::Configuration => false,
        Origin::Wire => true,
    };
    Some(Value { text: text.into(), wire })
}

/// A function called by its command line, `name arguments`.
pub fn command(world: &dyn World, line: &str) -> String {
    let (name, arguments) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
    match find(name) {
        Some(function) => {
            run(function, world, arguments).unwrap_or_else(|| "-ERR Cannot execute command\n".to_owned())
        }
        None => format!("-ERR {name} Command not found!\n"),
    }
}
