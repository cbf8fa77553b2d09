//! The table of API functions, and how they are called.

use std::cell::Cell;

use super::world::World;
use super::{
    channel, clock, cond, directory, eval, expr, globals, limit, network, regex, registration, say, stored,
    text, tree, valet,
};
use crate::dialplan::{Value, plain, trimmed};

/// An API function: name, and what it does with its arguments.
#[derive(Clone, Copy, Debug)]
pub struct Function {
    /// The name users type.
    pub name: &'static str,
    /// Runs it. The answer is FreeSWITCH's text, `-ERR …` included.
    pub run: Run,
    /// Where its answer comes from.
    pub origin: Origin,
}

/// How a function is run.
#[derive(Clone, Copy, Debug)]
pub enum Run {
    /// With its arguments.
    Plain(fn(&dyn World, &str) -> String),
    /// It must know whether there is text from the wire in them.
    Marked(fn(&dyn World, &str, bool) -> String),
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
    /// It is of both kinds, and what is from the wire in it is guarded.
    Guarded,
}

const fn function(name: &'static str, run: fn(&dyn World, &str) -> String, origin: Origin) -> Function {
    Function { name, run: Run::Plain(run), origin }
}

const fn marked(name: &'static str, run: fn(&dyn World, &str, bool) -> String, origin: Origin) -> Function {
    Function { name, run: Run::Marked(run), origin }
}

/// Every function, by name.
const FUNCTIONS: &[Function] = &[
    function("acl", network::acl, Origin::Configuration),
    function("coalesce", text::coalesce, Origin::Arguments),
    function("cond", cond::cond, Origin::Arguments),
    function("create_uuid", network::create_uuid, Origin::Configuration),
    marked("db", stored::db, Origin::Guarded),
    function("domain_data", directory::domain_data, Origin::Configuration),
    function("domain_exists", directory::domain_exists, Origin::Configuration),
    function("echo", text::echo, Origin::Arguments),
    function("escape", text::escape, Origin::Arguments),
    marked("eval", eval::eval, Origin::Wire),
    marked("expand", eval::expand, Origin::Wire),
    function("expr", expr::expr, Origin::Configuration),
    marked("file_exists", network::file_exists, Origin::Configuration),
    function("find_user_xml", tree::find_user_xml, Origin::Configuration),
    function("global_getvar", globals::global_getvar, Origin::Configuration),
    function("global_setvar", globals::global_setvar, Origin::Configuration),
    marked("group", stored::group, Origin::Guarded),
    function("group_call", directory::group_call, Origin::Guarded),
    marked("hash", stored::hash, Origin::Guarded),
    function("hash_dump", stored::hash_dump, Origin::Wire),
    function("hash_remote", stored::hash_remote, Origin::Arguments),
    function("hostname", network::hostname, Origin::Configuration),
    function("in_group", directory::in_group, Origin::Configuration),
    function("interface_ip", network::interface_ip, Origin::Configuration),
    function("is_lan_addr", network::is_lan_addr, Origin::Configuration),
    function("length", text::length, Origin::Configuration),
    function("limit_hash_usage", limit::limit_hash_usage, Origin::Configuration),
    function("limit_interval_reset", limit::limit_interval_reset, Origin::Configuration),
    function("limit_reset", limit::limit_reset, Origin::Configuration),
    function("limit_status", limit::limit_status, Origin::Configuration),
    function("limit_usage", limit::limit_usage, Origin::Configuration),
    function("list_users", directory::list_users, Origin::Wire),
    function("md5", text::md5, Origin::Configuration),
    function("module_exists", network::module_exists, Origin::Configuration),
    function("quote_shell_arg", text::quote_shell_arg, Origin::Arguments),
    function("reg_url", registration::reg_url, Origin::Guarded),
    function("regex", regex::regex, Origin::Arguments),
    function("replace", text::replace, Origin::Arguments),
    function("say_string", say::say_string, Origin::Arguments),
    function("sofia_contact", registration::sofia_contact, Origin::Guarded),
    function("sql_escape", text::sql_escape, Origin::Arguments),
    function("strepoch", clock::strepoch, Origin::Configuration),
    function("strftime", clock::strftime, Origin::Arguments),
    function("strftime_tz", clock::strftime_tz, Origin::Arguments),
    function("strmicroepoch", clock::strmicroepoch, Origin::Configuration),
    function("substr", text::substr, Origin::Arguments),
    function("switchname", network::switchname, Origin::Configuration),
    function("tolower", text::tolower, Origin::Arguments),
    function("toupper", text::toupper, Origin::Arguments),
    function("url_decode", text::url_decode, Origin::Wire),
    function("url_encode", text::url_encode, Origin::Arguments),
    function("user_data", directory::user_data, Origin::Configuration),
    function("user_exists", directory::user_exists, Origin::Configuration),
    function("uuid_exists", channel::uuid_exists, Origin::Configuration),
    function("uuid_getvar", channel::uuid_getvar, Origin::Wire),
    function("uuid_setvar", channel::uuid_setvar, Origin::Configuration),
    function("uuid_setvar_multi", channel::uuid_setvar_multi, Origin::Configuration),
    function("valet_info", valet::valet_info, Origin::Wire),
    function("xml_locate", tree::xml_locate, Origin::Configuration),
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
fn run(function: &Function, world: &dyn World, arguments: &str, wire: bool) -> Option<String> {
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
    Some(match function.run {
        Run::Plain(run) => run(world, arguments),
        Run::Marked(run) => run(world, arguments, wire),
    })
}

/// A function called from an expansion, `${name(arguments)}`: what [`Scope::call`](crate::dialplan::Scope::call)
/// answers. `wire`: the arguments hold text from the wire. An unknown function answers nothing.
pub fn call(world: &dyn World, name: &str, arguments: &str, wire: bool) -> Option<Value<'static>> {
    let function = find(name)?;
    let text = run(function, world, arguments, wire)?;
    let wire = match function.origin {
        Origin::Arguments => wire,
        Origin::Configuration | Origin::Guarded => false,
        Origin::Wire => true,
    };
    Some(Value { text: text.into(), wire })
}

/// A function called by its command line, `name arguments`.
pub fn command(world: &dyn World, line: &str) -> String {
    let (name, arguments) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
    match find(name) {
        Some(function) => {
            let answer = run(function, world, trimmed(arguments), false);
            let answer = answer.unwrap_or_else(|| "-ERR Cannot execute command\n".to_owned());
            plain(&answer).into_owned()
        }
        None => format!("-ERR {name} Command not found!\n"),
    }
}
