//! The table of API functions, and how they are called.

use std::cell::Cell;

use super::world::World;
use super::{
    channel, clock, cond, directory, eval, expr, fifo, globals, limit, network, regex, registration, say,
    stored, text, tree, valet,
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
    /// Its arguments, as `help` shows them.
    pub usage: &'static str,
    /// What it is for, in a few words.
    pub about: &'static str,
}

impl Function {
    /// With these words for `help`.
    const fn says(self, usage: &'static str, about: &'static str) -> Function {
        Function { usage, about, ..self }
    }
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
    Function { name, run: Run::Plain(run), origin, usage: "", about: "" }
}

const fn marked(name: &'static str, run: fn(&dyn World, &str, bool) -> String, origin: Origin) -> Function {
    Function { name, run: Run::Marked(run), origin, usage: "", about: "" }
}

/// Every function, by name.
const FUNCTIONS: &[Function] = &[
    function("acl", network::acl, Origin::Configuration)
        .says("<ip> <list_name>", "tell whether an access list lets an address in"),
    function("coalesce", text::coalesce, Origin::Arguments)
        .says("[^^<delim>]<value1>,<value2>,...", "the first of these that is not empty"),
    function("cond", cond::cond, Origin::Arguments)
        .says("<expr> ? <true val> : <false val>", "one of two texts, by a condition"),
    function("create_uuid", network::create_uuid, Origin::Configuration).says("", "make a uuid"),
    marked("db", stored::db, Origin::Guarded).says(
        "[insert|delete|select|exists|count|list]/<realm>/<key>/<value>",
        "keep values in the database",
    ),
    function("domain_data", directory::domain_data, Origin::Configuration)
        .says("<domain> [var|param|attr] <name>", "tell a setting of a domain"),
    function("domain_exists", directory::domain_exists, Origin::Configuration)
        .says("<domain>", "tell whether there is a domain"),
    function("echo", text::echo, Origin::Arguments).says("<data>", "the text itself"),
    function("escape", text::escape, Origin::Arguments)
        .says("<data>", "put a backslash before what needs one"),
    marked("eval", eval::eval, Origin::Wire)
        .says("[uuid:<uuid> ]<expression>", "expand variables and functions"),
    marked("expand", eval::expand, Origin::Wire)
        .says("[uuid:<uuid> ]<cmd> <args>", "run a command, its arguments expanded"),
    function("expr", expr::expr, Origin::Configuration).says("<expression>", "reckon"),
    marked("file_exists", network::file_exists, Origin::Configuration)
        .says("<file>", "tell whether there is a file"),
    function("fifo", fifo::fifo, Origin::Wire).says("list|count|has_outbound|importance [<fifo name>]", "show who waits in which queue"),
    function("fifo_member", fifo::fifo_member, Origin::Configuration).says("add <fifo_name> <originate_string> [<simo_count>] [<timeout>] [<lag>] [<expires>] | del <fifo_name> <originate_string>", "add or remove a member of a queue"),
    function("find_user_xml", tree::find_user_xml, Origin::Configuration)
        .says("<key> <user> <domain>", "show a user as the directory has it"),
    function("global_getvar", globals::global_getvar, Origin::Configuration)
        .says("<var>", "tell a global variable, or all"),
    function("global_setvar", globals::global_setvar, Origin::Configuration)
        .says("<var>=<value> [=<value2>]", "set a global variable"),
    marked("group", stored::group, Origin::Guarded)
        .says("[insert|delete|call]:<group name>:<url>", "keep groups of dial strings"),
    function("group_call", directory::group_call, Origin::Guarded)
        .says("<group>[@<domain>]", "the dial string that rings a group"),
    marked("hash", stored::hash, Origin::Guarded).says(
        "insert|insert_ifempty|delete|delete_ifmatch|select/<realm>/<key>/<value>",
        "keep values in memory",
    ),
    function("hash_dump", stored::hash_dump, Origin::Wire)
        .says("all|limit|db [<realm>]", "show what is kept in memory"),
    function("hash_remote", stored::hash_remote, Origin::Arguments)
        .says("list|kill [name]|rescan", "remote hashes: none"),
    function("hostname", network::hostname, Origin::Configuration).says("", "the machine's name"),
    function("in_group", directory::in_group, Origin::Configuration)
        .says("<user>[@<domain>] <group_name>", "tell whether a user is in a group"),
    function("interface_ip", network::interface_ip, Origin::Configuration)
        .says("[auto|ipv4|ipv6] <ifname>", "the address of a network interface"),
    function("is_lan_addr", network::is_lan_addr, Origin::Configuration)
        .says("<ip>", "tell whether an address is a private one"),
    function("length", text::length, Origin::Configuration).says("<data>", "how long a text is"),
    function("limit_hash_usage", limit::limit_hash_usage, Origin::Configuration)
        .says("<realm> <id> [rate]", "tell how much of a limit is used"),
    function("limit_interval_reset", limit::limit_interval_reset, Origin::Configuration)
        .says("<backend> <realm> <resource>", "begin a limit's interval anew"),
    function("limit_reset", limit::limit_reset, Origin::Configuration)
        .says("<backend>", "forget what counts for limits"),
    function("limit_status", limit::limit_status, Origin::Configuration)
        .says("<backend>", "tell how a limit backend is"),
    function("limit_usage", limit::limit_usage, Origin::Configuration)
        .says("<backend> <realm> <id> [rate]", "tell how much of a limit is used"),
    function("list_users", directory::list_users, Origin::Wire).says(
        "[group <group>] [domain <domain>] [user <user>] [context <context>]",
        "list the directory's users",
    ),
    function("md5", text::md5, Origin::Configuration).says("<data>", "the MD5 of a text"),
    function("module_exists", network::module_exists, Origin::Configuration)
        .says("<module>", "tell whether a module's work is done here"),
    function("quote_shell_arg", text::quote_shell_arg, Origin::Arguments)
        .says("<data>", "quote a text for a shell"),
    function("reg_url", registration::reg_url, Origin::Guarded)
        .says("<user>@<realm>", "the dial string of a user's registrations"),
    function("regex", regex::regex, Origin::Arguments)
        .says("<data>|<pattern>[|<subst string>][n|b]", "match a pattern"),
    function("replace", text::replace, Origin::Arguments)
        .says("<data>|<string1>|<string2>", "put one text for another"),
    function("say_string", say::say_string, Origin::Arguments).says(
        "<module_name>[.<ext>] <lang>[.<ext>] <say_type> <say_method> [<say_gender>] <text>",
        "the sound files that say something",
    ),
    function("sofia_contact", registration::sofia_contact, Origin::Guarded)
        .says("[profile/]<user>@<domain>", "the dial string of a user's registrations"),
    function("sofia_count_reg", registration::sofia_count_reg, Origin::Configuration)
        .says("[profile/]<user>@<domain>", "how many registrations there are"),
    function("sql_escape", text::sql_escape, Origin::Arguments)
        .says("<string>", "double the quotes in a text"),
    function("strepoch", clock::strepoch, Origin::Configuration).says("<string>", "seconds since 1970"),
    function("strftime", clock::strftime, Origin::Arguments).says("<format string>", "write the time"),
    function("strftime_tz", clock::strftime_tz, Origin::Arguments)
        .says("<timezone_name> [<epoch>|][format string]", "write the time of a zone"),
    function("strmicroepoch", clock::strmicroepoch, Origin::Configuration)
        .says("<string>", "microseconds since 1970"),
    function("substr", text::substr, Origin::Arguments).says("<string>|<from>|<length>", "a part of a text"),
    function("switchname", network::switchname, Origin::Configuration).says("", "the switch's name"),
    function("tolower", text::tolower, Origin::Arguments).says("<string>", "small letters"),
    function("toupper", text::toupper, Origin::Arguments).says("<string>", "capital letters"),
    function("url_decode", text::url_decode, Origin::Wire).says("<string>", "take percent-encoding away"),
    function("url_encode", text::url_encode, Origin::Arguments).says("<string>", "percent-encode"),
    function("user_data", directory::user_data, Origin::Configuration)
        .says("<user>@<domain> [var|param|attr] <name>", "tell a setting of a user"),
    function("user_exists", directory::user_exists, Origin::Configuration)
        .says("<key> <user> <domain>", "tell whether there is a user"),
    function("uuid_exists", channel::uuid_exists, Origin::Configuration)
        .says("<uuid>", "tell whether there is a channel"),
    function("uuid_getvar", channel::uuid_getvar, Origin::Wire)
        .says("<uuid> <var>", "tell a variable of a channel"),
    function("uuid_setvar", channel::uuid_setvar, Origin::Configuration)
        .says("<uuid> <var> [value]", "set a variable of a channel"),
    function("uuid_setvar_multi", channel::uuid_setvar_multi, Origin::Configuration)
        .says("<uuid> <var>=<value>;<var>=<value>...", "set several variables of a channel"),
    function("valet_info", valet::valet_info, Origin::Wire).says("[<valet-lot>]", "show who is parked where"),
    function("xml_locate", tree::xml_locate, Origin::Configuration)
        .says("[root | <section> <tag> <tag_attr_name> <tag_attr_val>]", "show a part of the configuration"),
];

/// The function of that name, in any case.
pub fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|f| f.name.eq_ignore_ascii_case(name))
}

/// All functions.
pub(super) fn all() -> impl Iterator<Item = &'static Function> {
    FUNCTIONS.iter()
}

/// The names of all functions.
pub fn names() -> impl Iterator<Item = &'static str> {
    all().map(|f| f.name)
}

/// How deep functions may run each other: `eval` and `group_call` expand, and what they expand may call them.
const DEPTH: u32 = 4;

thread_local! {
    /// How many functions are running on this thread, one inside the other.
    static RUNNING: Cell<u32> = const { Cell::new(0) };
}

/// Runs a function unless too many are running around it, or whoever asks may not.
fn run(function: &Function, world: &dyn World, arguments: &str, wire: bool) -> Option<String> {
    struct Guard;
    impl Drop for Guard {
        fn drop(&mut self) {
            RUNNING.set(RUNNING.get().saturating_sub(1));
        }
    }
    if !world.permits(function.name) {
        tracing::warn!("{}: who asks may not call it", function.name);
        return None;
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
        Some(function) => run_line(function, world, arguments),
        None => super::command::unknown(name),
    }
}

/// A function found by its name, called with the rest of a command line.
pub(super) fn run_line(function: &Function, world: &dyn World, arguments: &str) -> String {
    let answer = run(function, world, trimmed(arguments), false);
    let answer = answer.unwrap_or_else(|| "-ERR Cannot execute command\n".to_owned());
    plain(&answer).into_owned()
}
