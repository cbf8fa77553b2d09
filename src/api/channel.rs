//! `uuid_exists`, `uuid_getvar`, `uuid_setvar`, `uuid_setvar_multi` (mod_commands.c).

use std::borrow::Cow;

use super::world::{Reach, World};
use crate::channel::array;
use crate::dialplan::{Scope, separate};

const NO_CHANNEL: &str = "-ERR No such channel!\n";
const ELSEWHERE: &str = "-ERR the variables of another channel cannot be read here\n";
const OK: &str = "+OK\n";

/// `uuid_exists UUID`.
pub fn uuid_exists(world: &dyn World, uuid: &str) -> String {
    world.channel_exists(uuid).to_string()
}

/// `uuid_getvar UUID NAME`: a variable, an element of one (`NAME[2]`), a field of the caller profile or a global;
/// `_undef_` for none of them.
pub fn uuid_getvar(world: &dyn World, text: &str) -> String {
    let words = separate(text, ' ', 4);
    let [uuid, name, ..] = words.as_slice() else { return "-USAGE: <uuid> <var>\n".to_owned() };
    if name.is_empty() {
        return "-ERR No variable name specified!\n".to_owned();
    }
    let mut value = None;
    match world.read_channel(uuid, &mut |channel| value = look_up(channel, name)) {
        Reach::Done => value.unwrap_or_else(|| "_undef_".to_owned()),
        Reach::NoChannel => NO_CHANNEL.to_owned(),
        Reach::Elsewhere => {
            tracing::warn!("uuid_getvar {text}: another channel can be read in an application's data only");
            ELSEWHERE.to_owned()
        }
    }
}

/// A variable, an element of one, a field of the caller profile or a global.
pub(super) fn look_up(channel: &dyn Scope, name: &str) -> Option<String> {
    let (whole, index) = array::place(name);
    let variable = channel.variable(whole).map(|value| value.text);
    let found = match index {
        Some(index) => {
            variable.and_then(|text| array::element(&text, index).map(|e| Cow::Owned(e.to_owned())))
        }
        None => variable.map(array::printed),
    };
    let field = || channel.profile_field(whole).map(|value| value.text);
    let global = || channel.global(whole);
    found.or_else(field).or_else(global).map(Cow::into_owned)
}

/// `uuid_setvar UUID NAME [VALUE]`; without a value the variable goes. `NAME[2]` is an element of an array.
pub fn uuid_setvar(world: &dyn World, text: &str) -> String {
    let words = separate(text, ' ', 3);
    let (uuid, name, value) = match words.as_slice() {
        [uuid, name] => (uuid, name, ""),
        [uuid, name, value] => (uuid, name, value.as_str()),
        _ => return "-USAGE: <uuid> <var> [value]\n".to_owned(),
    };
    match name.is_empty() {
        _ if !world.channel_exists(uuid) => NO_CHANNEL,
        true => "-ERR No variable specified\n",
        false => match world.set_variables(uuid, vec![(name.clone(), value.to_owned())]) {
            true => OK,
            false => NO_CHANNEL,
        },
    }
    .to_owned()
}

/// `uuid_setvar_multi UUID NAME=VALUE;NAME=VALUE…`.
pub fn uuid_setvar_multi(world: &dyn World, text: &str) -> String {
    const USAGE: &str = "-USAGE: <uuid> <var>=<value>;<var>=<value>...\n";
    let Some((uuid, list)) = text.split_once(' ') else { return String::new() };
    if !world.channel_exists(uuid) {
        return format!("{NO_CHANNEL}{USAGE}");
    }
    let (changes, said) = setvar_multi_changes(list);
    let done = !changes.is_empty() && world.set_variables(uuid, changes);
    said + if done { OK } else { USAGE }
}

/// `NAME=VALUE;NAME=VALUE…` as names and values, and what is said of those without a name.
pub(super) fn setvar_multi_changes(list: &str) -> (Vec<(String, String)>, String) {
    let mut said = String::new();
    let mut changes = Vec::new();
    for item in separate(list, ';', 64) {
        let (name, value) = item.split_once('=').unwrap_or((&item, ""));
        match name.is_empty() {
            true => said.push_str("-ERR No variable specified\n"),
            false => changes.push((name.to_owned(), value.to_owned())),
        }
    }
    (changes, said)
}
