//! `limit_usage`, `limit_hash_usage`, `limit_status`, `limit_reset`, `limit_interval_reset` (mod_commands.c).

use super::world::World;
use crate::channel::Leg;
use crate::dialplan::separate;
use crate::store::limit::{Backend, Usage};

fn words(text: &str) -> Vec<String> {
    separate(text, ' ', 5)
}

fn backend(name: &str) -> Option<Backend> {
    let found = Backend::named(name);
    if found.is_none() {
        tracing::error!("Limit subsystem {name} not found! (there are hash and db)");
    }
    found
}

/// `limit_usage BACKEND REALM ID [rate]`: how many use it, with `rate` also how often it was asked for.
pub fn limit_usage(world: &dyn World, text: &str) -> String {
    let mut words = words(text);
    if words.len() == 2 {
        tracing::warn!("limit_usage {text}: the backend is missing; db is taken");
        words.insert(0, "db".to_owned());
    }
    let [name, realm, id, rest @ ..] = words.as_slice() else {
        return "USAGE: limit_usage <backend> <realm> <id> [rate]\n".to_owned();
    };
    let usage = match backend(name) {
        Some(backend) => world.stores().limits.usage(backend, realm, id),
        None => Usage::default(),
    };
    match rest.first() {
        Some(word) if word.eq_ignore_ascii_case("rate") => format!("{}/{}", usage.total, usage.rate),
        _ => usage.total.to_string(),
    }
}

/// `limit_hash_usage REALM ID [rate]`: the former name.
pub fn limit_hash_usage(world: &dyn World, text: &str) -> String {
    if text.is_empty() {
        return "USAGE: limit_hash_usage <realm> <id> [rate] (Using deprecated limit api, check limit_usage with \
                backend param)\n"
            .to_owned();
    }
    limit_usage(world, &format!("hash {text}"))
}

/// `limit_status BACKEND`.
pub fn limit_status(world: &dyn World, text: &str) -> String {
    let words = words(text);
    let Some(name) = words.first() else { return "USAGE: limit_status <backend>\n".to_owned() };
    match backend(name) {
        Some(Backend::Db) => format!(
            "Tracking {} resources for hostname {}.",
            world.stores().limits.uses(Backend::Db),
            super::network::switchname(world, "")
        ),
        Some(Backend::Hash) => "-ERR not supported yet (locking problems).".to_owned(),
        None => "-ERR".to_owned(),
    }
}

/// `limit_reset BACKEND`: FreeSWITCH's `hash` cannot.
pub fn limit_reset(world: &dyn World, text: &str) -> String {
    let words = words(text);
    let Some(name) = words.first() else { return "USAGE: limit_reset <backend>\n".to_owned() };
    let done = backend(name).is_some_and(|backend| world.stores().limits.reset(backend));
    if done { "+OK" } else { "-ERR" }.to_owned()
}

/// `limit_interval_reset BACKEND REALM ID`: the interval begins anew.
pub fn limit_interval_reset(world: &dyn World, text: &str) -> String {
    let words = words(text);
    let [name, realm, id, ..] = words.as_slice() else {
        return "USAGE: limit_interval_reset <backend> <realm> <resource>\n".to_owned();
    };
    if backend(name) == Some(Backend::Hash) {
        world.stores().limits.reset_interval(realm, id, Leg::now());
    }
    "+OK".to_owned()
}
