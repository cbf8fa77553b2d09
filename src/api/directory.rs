//! Functions that look into the directory.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;

use super::world::{Overlay, World, default_domain};
use crate::dial::string::flatten;
use crate::dialplan::{Template, guarded, separate};
use crate::directory::{Domain, Group, User};

/// What `group_call` answers when there is nobody to call.
const NOBODY: &str = "error/NO_ROUTE_DESTINATION";

/// `name[@domain]` with the default domain filled in.
fn address<'t>(world: &dyn World, text: &'t str) -> (&'t str, String) {
    match text.split_once('@') {
        Some((name, domain)) => (name, domain.to_owned()),
        None => (text, default_domain(world)),
    }
}

/// `user_data USER@DOMAIN attr|var|param NAME`.
pub fn user_data(world: &dyn World, text: &str) -> String {
    let items = separate(text, ' ', 3);
    let [user, kind, key] = items.as_slice() else { return String::new() };
    let (user, domain) = address(world, user);
    let Some(user) = world.directory().user(user, &domain) else { return String::new() };
    let value = match kind.as_str() {
        "attr" => return attribute(&user, key),
        "var" => user.variable(key),
        _ => user.param(key),
    };
    value.unwrap_or_default().to_owned()
}

/// An attribute of `<user>`.
fn attribute(user: &User, key: &str) -> String {
    match key {
        "id" => user.id.to_string(),
        "number-alias" => user.number_alias.as_deref().unwrap_or_default().to_owned(),
        "cidr" => user.networks.iter().map(|n| n.to_string()).collect::<Vec<_>>().join(","),
        _ => String::new(),
    }
}

/// `user_exists id USER DOMAIN`.
pub fn user_exists(world: &dyn World, text: &str) -> String {
    let items = separate(text, ' ', 3);
    let found = match items.as_slice() {
        [_, user, domain] => world.directory().user(user, domain).is_some(),
        _ => false,
    };
    found.to_string()
}

/// `domain_exists DOMAIN`.
pub fn domain_exists(world: &dyn World, domain: &str) -> String {
    if domain.is_empty() { String::new() } else { world.directory().domain(domain).is_some().to_string() }
}

/// `domain_data DOMAIN attr|var|param NAME`.
pub fn domain_data(world: &dyn World, text: &str) -> String {
    let items = separate(text, ' ', 3);
    let [domain, kind, key] = items.as_slice() else { return String::new() };
    let directory = world.directory();
    let Some(domain) = directory.domain(domain) else { return String::new() };
    let value = match kind.as_str() {
        "attr" if key == "name" => Some(&*domain.name),
        "attr" => None,
        "var" => domain.variable(key),
        _ => domain.param(key),
    };
    value.unwrap_or_default().to_owned()
}

/// `in_group USER[@DOMAIN],GROUP`.
pub fn in_group(world: &dyn World, text: &str) -> String {
    let items = separate(text, ',', 2);
    let [user, group] = items.as_slice() else { return "false".to_owned() };
    let (user, domain) = address(world, user);
    let directory = world.directory();
    let found = directory
        .group(group, &domain)
        .is_some_and(|group| group.members.iter().any(|member| member.id.eq_ignore_ascii_case(user)));
    found.to_string()
}

/// `group_call GROUP[@DOMAIN][+A|F|E]`: the dial strings of its members, rung together (`A`), one after another
/// (`F`), or each on its own (`E`).
pub fn group_call(world: &dyn World, text: &str) -> String {
    let (text, flags) = text.split_once('+').unwrap_or((text, ""));
    let separator = flags.chars().fold(",", |separator, flag| match flag {
        'F' => "|",
        'A' => ",",
        'E' => ":_:",
        _ => separator,
    });
    let (name, domain_name) = address(world, text);
    let directory = world.directory();
    let found =
        directory.domain(&domain_name).and_then(|domain| domain.group(name).map(|group| (domain, group)));
    let Some((domain, group)) = found else { return NOBODY.to_owned() };
    let legs: Vec<String> = group
        .members
        .iter()
        .map(|user| match dial_string(domain, group, user) {
            Some(template) => {
                let own =
                    [("dialed_user", &*user.id), ("dialed_group", name), ("dialed_domain", &domain_name)];
                let own = own.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
                let scope = Overlay { world, own: own.collect::<HashMap<_, _>>(), under: world.channel() };
                flatten(Template::new(template).expand(&scope).guarded())
            }
            None => format!("user/{}@{}", user.id, guarded(&domain_name)),
        })
        .collect();
    if legs.is_empty() { NOBODY.to_owned() } else { legs.join(separator) }
}

/// `list_users [group G] [domain D] [user U] [context C]`: a line for each, fields separated by `|`. Of a domain with
/// groups only those in one are listed.
pub fn list_users(world: &dyn World, text: &str) -> String {
    let words = separate(text, ' ', 9);
    if words.len() >= 9 {
        return "-USAGE: [group <group>] [domain <domain>] [user <user>] [context <context>]\n".to_owned();
    }
    let wanted = |name: &str| {
        let at = words.iter().rposition(|word| word.eq_ignore_ascii_case(name))?;
        words.get(at + 1).map(String::as_str)
    };
    let is = |wanted: Option<&str>, seen: &str| wanted.is_none_or(|wanted| wanted.eq_ignore_ascii_case(seen));
    let mut out = "userid|context|domain|group|contact|callgroup|effective_caller_id_name|\
                   effective_caller_id_number\n"
        .to_owned();
    for domain in world.directory().domains().filter(|domain| is(wanted("domain"), &domain.name)) {
        let groups: Vec<&Group> = domain.groups().collect();
        let members: Vec<(&str, &Arc<User>)> = match groups.is_empty() {
            true => domain.users().iter().map(|user| ("", user)).collect(),
            false => groups
                .iter()
                .filter(|group| is(wanted("group"), &group.name))
                .flat_map(|group| group.members.iter().map(|user| (&*group.name, user)))
                .collect(),
        };
        for (group, user) in members {
            let variable = |name| user.variable(name).unwrap_or_default();
            let context = variable("user_context");
            if !is(wanted("user"), &user.id) || !is(wanted("context"), context) {
                continue;
            }
            let contact =
                super::registration::sofia_contact(world, &format!("*/{}@{}", user.id, domain.name));
            let _ = writeln!(
                out,
                "{}|{context}|{}|{group}|{contact}|{}|{}|{}",
                user.id,
                domain.name,
                variable("callgroup"),
                variable("effective_caller_id_name"),
                variable("effective_caller_id_number")
            );
        }
    }
    out + "\n+OK\n"
}

/// The dial string of a member of a group: the innermost of domain, group and user that has one, and there
/// `group-dial-string` before `dial-string`.
fn dial_string<'u>(domain: &'u Domain, group: &'u Group, user: &'u User) -> Option<&'u str> {
    const NAMES: [&str; 2] = ["group-dial-string", "dial-string"];
    let outer = [NAMES.map(|n| domain.param(n)), NAMES.map(|n| group.param(n))];
    // What a user has is merged with what it inherits, so its own is what differs from the outer ones.
    let own = NAMES.into_iter().find_map(|name| {
        let value = user.param(name)?;
        let inherited = outer.iter().flatten().any(|outer| *outer == Some(value));
        (!inherited).then_some(value)
    });
    own.or_else(|| outer.into_iter().rev().find_map(|values| values.into_iter().flatten().next()))
}
