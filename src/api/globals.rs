//! `global_getvar` and `global_setvar`.

use super::world::World;
use crate::dialplan::separate;

/// `global_getvar [NAME]`: the value, or every variable as `name=value`.
pub fn global_getvar(world: &dyn World, name: &str) -> String {
    if name.is_empty() {
        let snapshot = world.globals().snapshot();
        return snapshot.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
    }
    world.globals().get(name).map(|value| value.to_string()).unwrap_or_default()
}

/// `global_setvar NAME=VALUE[=OLD]`: with an old value only while it is still that. An empty value unsets.
pub fn global_setvar(world: &dyn World, text: &str) -> String {
    let items = separate(text, '=', 3);
    let item = |n: usize| items.get(n).map_or("", String::as_str);
    if item(0).is_empty() {
        return "-USAGE: <var>=<value> [=<value2>]\n".to_owned();
    }
    let now = world.globals().get(item(0)).map(|now| now.to_string()).unwrap_or_default();
    if item(2).is_empty() || item(2) == now {
        world.globals().set(item(0), item(1));
    }
    "+OK".to_owned()
}
