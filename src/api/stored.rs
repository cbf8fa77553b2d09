//! `hash`, `hash_dump`, `hash_remote`, `db`, `group`: what calls leave for each other.

use std::borrow::Cow;
use std::fmt::Write;

use super::world::World;
use crate::dialplan::{guarded, plain, separate, with_slashes};
use crate::store::hash::Change;

const HASH_USAGE: &str =
    "-ERR Usage: hash insert|insert_ifempty|select|delete|delete_ifmatch/realm/key[/value]\n";
const OK: &str = "+OK\n";
const FULL: &str = "-ERR no room\n";
/// What `db` and `group` answer to what they do not understand.
const WRONG: &str = "!err!";

/// A value as it is stored: separators that came from the wire are moved away, so that it never becomes more than a
/// word of what is made of it. A slash is none there.
fn kept(value: &str, wire: bool) -> Cow<'_, str> {
    if wire { guarded(value) } else { with_slashes(value) }
}

/// `hash insert|insert_ifempty|select|delete|delete_ifmatch/REALM/KEY[/VALUE]` (mod_hash.c).
pub fn hash(world: &dyn World, text: &str, wire: bool) -> String {
    let items = separate(text, '/', 4);
    let [verb, realm, key, value @ ..] = items.as_slice() else { return HASH_USAGE.to_owned() };
    let (realm, key, value) = (plain(realm), plain(key), value.first().map(|value| kept(value, wire)));
    let store = &world.stores().hash;
    let answer = match (verb.to_ascii_lowercase().as_str(), value.as_deref()) {
        ("insert", Some(value)) => store.insert(&realm, &key, value).map_or(FULL, |()| OK),
        ("insert_ifempty", Some(value)) => match store.insert_if_empty(&realm, &key, value) {
            Ok(Change::Made) => OK,
            Ok(_) => "-ERR key already exists\n",
            Err(_) => FULL,
        },
        ("delete", _) => removed(store.remove(&realm, &key, |_| true)),
        ("delete_ifmatch", Some(value)) => {
            removed(store.remove(&realm, &key, |held| plain(held) == plain(value)))
        }
        ("select", _) => return store.get(&realm, &key).unwrap_or_default(),
        _ => HASH_USAGE,
    };
    answer.to_owned()
}

fn removed(change: Change) -> &'static str {
    match change {
        Change::Made => OK,
        Change::Missing => "-ERR Not found\n",
        Change::Differs => "-ERR Doesn't match\n",
    }
}

/// `hash_dump all|limit|db [REALM]`: `D/realm_key/value` and `L/realm_id/used/rate/interval/0` lines.
pub fn hash_dump(world: &dyn World, text: &str) -> String {
    let items = separate(text, ' ', 4);
    let realm = items.get(1).filter(|_| items.len() == 2).map(|realm| format!("{realm}_"));
    let (limits, values) = match items.first().map(String::as_str) {
        Some("all") => (true, true),
        Some("limit") => (true, false),
        Some("db") => (false, true),
        _ => return "Usage: all|limit|db [<realm>]\n".to_owned(),
    };
    let mut out = String::new();
    if limits {
        for (name, usage, interval) in world.stores().limits.entries() {
            let _ = writeln!(out, "L/{name}/{}/{}/{}/0", usage.total, usage.rate, interval.as_secs());
        }
    }
    if values {
        for (key, value) in world.stores().hash.entries() {
            if realm.as_ref().is_none_or(|realm| key.contains(realm.as_str())) {
                let _ = writeln!(out, "D/{key}/{value}");
            }
        }
    }
    out
}

/// `hash_remote list`: there are none, tandem shares its counters with no other switch.
pub fn hash_remote(_: &dyn World, text: &str) -> String {
    const USAGE: &str = "-ERR Usage: list|kill [name]|rescan\n";
    let mut words = text.split(' ');
    match (words.next(), words.next()) {
        (Some("list"), _) => "Remote connections:\nName\t\t\tState\n+OK\n".to_owned(),
        (Some("kill"), Some(name)) if !name.is_empty() => {
            format!("-ERR No such remote instance {}\n", name.replace(char::is_control, " "))
        }
        (Some("rescan"), _) => OK.to_owned(),
        _ => USAGE.to_owned(),
    }
}

/// `db insert|delete|select|exists|count|list/REALM/KEY/VALUE` (mod_db.c).
pub fn db(world: &dyn World, text: &str, wire: bool) -> String {
    let items = separate(text, '/', 4);
    let Some((verb, rest)) = items.split_first() else { return WRONG.to_owned() };
    let store = &world.stores().db;
    match (verb.to_ascii_lowercase().as_str(), rest) {
        ("insert", [realm, key, value]) => {
            store.insert(&plain(realm), &plain(key), &kept(value, wire)).map_or(FULL, |()| "+OK").to_owned()
        }
        ("delete", [realm, rest @ ..]) => {
            if let Some(key) = rest.first() {
                store.remove(&plain(realm), &plain(key));
            }
            "+OK".to_owned()
        }
        ("select", [realm, key, ..]) => store.get(&plain(realm), &plain(key)).unwrap_or_default(),
        ("exists", [realm, key, ..]) => {
            store.get(&plain(realm), &plain(key)).is_some_and(|value| !value.is_empty()).to_string()
        }
        ("count", []) => store.realms().len().to_string(),
        ("count", [realm]) => store.keys(&plain(realm)).len().to_string(),
        ("list", []) => store.realms().join(","),
        ("list", [realm]) => store.keys(&plain(realm)).join(","),
        _ => WRONG.to_owned(),
    }
}

/// `group insert|delete|call:GROUP[:URL]` (mod_db.c). A call's dial strings come back as they were put in, joined by
/// `,`, by `|` (`order`) or by `:_:` (`multi`).
pub fn group(world: &dyn World, text: &str, wire: bool) -> String {
    let items = separate(text, ':', 3);
    let [verb, name, rest @ ..] = items.as_slice() else { return WRONG.to_owned() };
    let name = plain(name);
    let store = &world.stores().db;
    match (verb.to_ascii_lowercase().as_str(), rest) {
        ("insert", [url]) => store.group_insert(&name, &kept(url, wire)).map_or(FULL, |()| "+OK").to_owned(),
        ("delete", [url]) => {
            let url = kept(url, wire);
            store.group_remove(&name, Some(&*url).filter(|url| *url != "*"));
            "+OK".to_owned()
        }
        ("call", how) => {
            let between = match how.first().map(|how| how.to_ascii_lowercase()).as_deref() {
                Some("order") => "|",
                Some("multi") => ":_:",
                _ => ",",
            };
            store.group(&name).join(between)
        }
        _ => WRONG.to_owned(),
    }
}
