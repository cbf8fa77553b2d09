//! The section `directory` as it is written: domains, groups, users and their settings at each level.
//! `directory` builds the look-ups from it.

use std::collections::HashMap;
use std::sync::Arc;

use ipnet::IpNet;

use super::acl::read_networks;
use super::{Element, Position, Problem};

/// The domains in the order written; of two with one name only the first is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DirectoryConf {
    /// `<domain>` elements.
    pub domains: Vec<DomainConf>,
}

/// A `<domain>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainConf {
    /// Its name; compared without case.
    pub name: String,
    /// What holds for every user unless the group or the user says otherwise.
    pub settings: Settings,
    /// Its groups.
    pub groups: Vec<GroupConf>,
    /// Users outside any group.
    pub users: Vec<UserConf>,
    /// Where it is written.
    pub at: Position,
}

/// A `<group>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupConf {
    /// Its name; compared without case.
    pub name: String,
    /// What holds for the users defined in it unless they say otherwise.
    pub settings: Settings,
    /// Its users and pointers in the order written.
    pub members: Vec<Member>,
    /// Where it is written.
    pub at: Position,
}

/// Who is in a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Member {
    /// A user defined here.
    User(UserConf),
    /// `type="pointer"`: a user defined elsewhere in the domain.
    Pointer {
        /// The user's id.
        id: String,
        /// Where it is written.
        at: Position,
    },
}

/// A `<user>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserConf {
    /// Its id; compared without case.
    pub id: String,
    /// Another name it is found by.
    pub number_alias: Option<String>,
    /// Addresses that stand for this user in access lists with a `domain` node.
    pub networks: Vec<IpNet>,
    /// Its own params and variables.
    pub settings: Settings,
    /// Where it is written.
    pub at: Position,
}

/// The `<params>` and `<variables>` of one level.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// `<param>` elements in order.
    pub params: Vec<Setting>,
    /// `<variable>` elements in order.
    pub variables: Vec<Setting>,
}

/// A name with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its name; compared without case.
    pub name: Arc<str>,
    /// Its value, `${…}` in it not yet expanded.
    pub value: Arc<str>,
    /// Where it is written.
    pub at: Position,
}

impl Settings {
    /// The first param of that name.
    pub fn param(&self, name: &str) -> Option<&Setting> {
        find(&self.params, name)
    }

    /// The first variable of that name.
    pub fn variable(&self, name: &str) -> Option<&Setting> {
        find(&self.variables, name)
    }
}

/// The first setting of that name.
pub fn find<'a>(settings: &'a [Setting], name: &str) -> Option<&'a Setting> {
    settings.iter().find(|s| s.name.eq_ignore_ascii_case(name))
}

/// FreeSWITCH's booleans: true, yes, on, enabled, active, allow, t and every number but 0; anything else is false.
pub fn is_true(text: &str) -> bool {
    let text = text.trim();
    ["true", "yes", "on", "enabled", "active", "allow", "t"].iter().any(|w| w.eq_ignore_ascii_case(text))
        || text.parse::<i64>().is_ok_and(|n| n != 0)
}

impl DirectoryConf {
    /// Reads `<section name="directory">`. What makes no sense is left out and reported.
    pub fn from_element(section: &Element, problems: &mut Vec<Problem>) -> DirectoryConf {
        let mut conf = DirectoryConf::default();
        for element in section.children_named("domain") {
            let Some(name) = name_of(element, "name", problems) else { continue };
            if let Some(first) = conf.domains.iter().find(|d| d.name.eq_ignore_ascii_case(&name)) {
                problems.push(
                    Problem::warning(&element.at, format!("domain '{name}' is ignored: it exists already"))
                        .hint(format!("the one that counts is at {}", first.at)),
                );
                continue;
            }
            let domain = read_domain(name, element, problems);
            examine(&domain, problems);
            conf.domains.push(domain);
        }
        conf
    }
}

//------------ Reading -------------------------------------------------------

fn name_of(element: &Element, attribute: &str, problems: &mut Vec<Problem>) -> Option<String> {
    let name = element.attr(attribute).map(str::trim).filter(|n| !n.is_empty());
    if name.is_none() {
        problems.push(
            Problem::error(&element.at, format!("<{}> has no {attribute}", element.name))
                .hint(format!("add {attribute}=\"…\"")),
        );
    }
    name.map(str::to_owned)
}

fn read_domain(name: String, element: &Element, problems: &mut Vec<Problem>) -> DomainConf {
    let settings = read_settings(element, problems);
    let mut groups: Vec<GroupConf> = Vec::new();
    for group in element.children_named("groups").flat_map(|g| g.children_named("group")) {
        let Some(name) = name_of(group, "name", problems) else { continue };
        if let Some(first) = groups.iter().find(|g| g.name.eq_ignore_ascii_case(&name)) {
            problems.push(
                Problem::warning(&group.at, format!("a group '{name}' exists already"))
                    .hint(format!("calls to the group ring the members of the one at {}", first.at)),
            );
        }
        let settings = read_settings(group, problems);
        let members = users_below(group).filter_map(|user| read_member(user, problems)).collect();
        groups.push(GroupConf { name, settings, members, at: group.at.clone() });
    }
    let mut users = Vec::new();
    for user in users_below(element) {
        match read_member(user, problems) {
            Some(Member::User(user)) => users.push(user),
            Some(Member::Pointer { id, at }) => problems.push(
                Problem::warning(&at, format!("pointer '{id}' is outside any group and means nothing"))
                    .hint("pointers belong in <group>…<users>"),
            ),
            None => {}
        }
    }
    DomainConf { name, settings, groups, users, at: element.at.clone() }
}

/// The `<user>`s in `<users>` of `element` and those directly in it.
fn users_below(element: &Element) -> impl Iterator<Item = &Element> {
    element.children.iter().flat_map(|child| match &*child.name {
        "users" => child.children.iter().filter(is_user as fn(&&Element) -> bool),
        _ => std::slice::from_ref(child).iter().filter(is_user as fn(&&Element) -> bool),
    })
}

fn is_user(element: &&Element) -> bool {
    &*element.name == "user"
}

fn read_member(element: &Element, problems: &mut Vec<Problem>) -> Option<Member> {
    let id = name_of(element, "id", problems)?;
    let at = element.at.clone();
    match element.attr("type") {
        Some(kind) if kind.eq_ignore_ascii_case("pointer") => return Some(Member::Pointer { id, at }),
        _ => {}
    }
    let networks =
        element.attr("cidr").map_or_else(Vec::new, |c| read_networks(c, element.attr_at("cidr"), problems));
    Some(Member::User(UserConf {
        id,
        number_alias: element.attr("number-alias").filter(|a| !a.is_empty()).map(str::to_owned),
        networks,
        settings: read_settings(element, problems),
        at,
    }))
}

fn read_settings(element: &Element, problems: &mut Vec<Problem>) -> Settings {
    let mut read = |container: &'static str, tag: &'static str| {
        let mut settings = Vec::new();
        for element in element.children_named(container).flat_map(|c| c.children_named(tag)) {
            let Some(name) = element.attribute("name").filter(|name| !name.value.trim().is_empty()) else {
                name_of(element, "name", problems);
                continue;
            };
            let trimmed = name.value.trim();
            let whole = trimmed.len() == name.value.len();
            let value = element.attribute("value").map(|value| value.value.clone());
            settings.push(Setting {
                name: if whole { name.value.clone() } else { trimmed.into() },
                value: value.unwrap_or_default(),
                at: element.at.clone(),
            });
        }
        settings.shrink_to_fit();
        settings
    };
    Settings { params: read("params", "param"), variables: read("variables", "variable") }
}

//------------ What is suspicious --------------------------------------------

fn examine(domain: &DomainConf, problems: &mut Vec<Problem>) {
    let mut names: HashMap<String, &Position> = HashMap::new();
    let mut aliases: Vec<(&str, &UserConf)> = Vec::new();
    let mut weak: Vec<(&str, Vec<&str>, &Position)> = Vec::new();
    let grouped = domain.groups.iter().flat_map(|group| {
        group.members.iter().filter_map(move |m| match m {
            Member::User(user) => Some((Some(group), user)),
            Member::Pointer { .. } => None,
        })
    });
    for (group, user) in grouped.chain(domain.users.iter().map(|u| (None, u))) {
        if let Some(first) = names.get(&user.id.to_ascii_lowercase()) {
            problems.push(
                Problem::warning(&user.at, format!("user '{}' is ignored: the id exists already", user.id))
                    .hint(format!("the one that counts is at {first}")),
            );
            continue;
        }
        names.insert(user.id.to_ascii_lowercase(), &user.at);
        aliases.extend(user.number_alias.as_deref().map(|a| (a, user)));
        let param = |name: &str| {
            [Some(&user.settings), group.map(|g| &g.settings), Some(&domain.settings)]
                .into_iter()
                .flatten()
                .find_map(|s| s.param(name))
                .filter(|s| !s.value.is_empty())
        };
        examine_password(user, param, &mut weak, problems);
    }
    for (alias, user) in aliases {
        if let Some(first) = names.get(&alias.to_ascii_lowercase()) {
            problems.push(
                Problem::warning(&user.at, format!("number-alias '{alias}' is the id of a user"))
                    .hint(format!("'{alias}' reaches the user at {first}")),
            );
        }
    }
    for (password, ids, at) in weak {
        let message = match ids.as_slice() {
            [id] => format!("user '{id}' has the password '{password}', which scanners try first"),
            [id, ..] => {
                format!(
                    "{} users ('{id}', …) have the password '{password}', which scanners try first",
                    ids.len()
                )
            }
            [] => continue,
        };
        problems.push(Problem::warning(at, message).hint("give every user a long random password"));
    }
    for (id, at) in domain.groups.iter().flat_map(|g| &g.members).filter_map(|m| match m {
        Member::Pointer { id, at } => Some((id, at)),
        Member::User(_) => None,
    }) {
        if !names.contains_key(&id.to_ascii_lowercase()) {
            problems.push(
                Problem::warning(at, format!("pointer '{id}' points to nobody"))
                    .hint(format!("define user '{id}' in domain '{}' or remove the pointer", domain.name)),
            );
        }
    }
}

fn examine_password<'a>(
    user: &'a UserConf,
    param: impl Fn(&str) -> Option<&'a Setting>,
    weak: &mut Vec<(&'a str, Vec<&'a str>, &'a Position)>,
    problems: &mut Vec<Problem>,
) {
    if let Some(hash) = param("a1-hash") {
        if hash.value.len() != 32 || !hash.value.bytes().all(|b| b.is_ascii_hexdigit()) {
            problems.push(
                Problem::error(&hash.at, format!("the a1-hash of user '{}' is no MD5", user.id))
                    .hint("it is 32 hexadecimal digits, the MD5 of user:domain:password"),
            );
        }
        return;
    }
    let Some(password) = param("password") else {
        if param("allow-empty-password").is_some_and(|s| is_true(&s.value)) {
            problems.push(
                Problem::warning(&user.at, format!("anybody may log in as '{}'", user.id))
                    .hint("allow-empty-password is set and there is no password"),
            );
        } else if user.networks.is_empty() {
            problems.push(
                Problem::warning(&user.at, format!("user '{}' has no password and cannot log in", user.id))
                    .hint("add <param name=\"password\" value=\"…\"/>, or allow-empty-password to let anybody in"),
            );
        }
        return;
    };
    if &*password.value == "1234" || password.value.eq_ignore_ascii_case(&user.id) {
        let ids = &mut match weak.iter_mut().find(|(p, ..)| *p == &*password.value) {
            Some(entry) => entry,
            None => {
                weak.push((&password.value, Vec::new(), &password.at));
                let Some(entry) = weak.last_mut() else { return };
                entry
            }
        }
        .1;
        ids.push(&user.id);
    }
}

#[cfg(test)]
mod tests;
