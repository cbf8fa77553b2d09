//! The directory as look-ups.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::User;
use crate::config::directory::{DirectoryConf, DomainConf, Member, Settings, UserConf};
use crate::net::acl::UserNetwork;

/// The directory that is in force. Readers take a [`Snapshot`] and are never held up by a reload.
#[derive(Debug, Default)]
pub struct Directory {
    current: ArcSwap<Snapshot>,
}

impl Directory {
    /// A directory that begins with `snapshot`.
    pub fn new(snapshot: impl Into<Arc<Snapshot>>) -> Self {
        Directory { current: ArcSwap::new(snapshot.into()) }
    }

    /// What is in force now.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// Puts `snapshot` in force and hands back the one before.
    pub fn replace(&self, snapshot: impl Into<Arc<Snapshot>>) -> Arc<Snapshot> {
        self.current.swap(snapshot.into())
    }

    /// Finds a user by id or number-alias.
    pub fn user(&self, user: &str, domain: &str) -> Option<Arc<User>> {
        self.current.load().user(user, domain)
    }
}

/// One generation of the directory. Names are compared without case, as FreeSWITCH does.
#[derive(Debug, Default)]
pub struct Snapshot {
    domains: HashMap<Box<str>, Domain>,
    order: Vec<Box<str>>,
}

/// A domain.
#[derive(Debug)]
pub struct Domain {
    /// Its name as written.
    pub name: Arc<str>,
    pub(super) settings: Arc<Settings>,
    users: HashMap<Box<str>, Arc<User>>,
    in_order: Vec<Arc<User>>,
    groups: HashMap<Box<str>, Group>,
    groups_in_order: Vec<Box<str>>,
}

/// A group.
#[derive(Debug)]
pub struct Group {
    /// Its name as written.
    pub name: Arc<str>,
    /// Its members in the order written, pointers followed.
    pub members: Vec<Arc<User>>,
    pub(super) settings: Arc<Settings>,
}

impl Group {
    /// A param of the group itself (a user asks its own).
    pub fn param(&self, name: &str) -> Option<&str> {
        self.settings.param(name).map(|s| &*s.value)
    }

    /// A variable of the group itself.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.settings.variable(name).map(|s| &*s.value)
    }
}

impl Domain {
    /// Finds a user by id or number-alias.
    pub fn user(&self, user: &str) -> Option<&Arc<User>> {
        folded(user, |key| self.users.get(key))
    }

    /// Finds a group.
    pub fn group(&self, name: &str) -> Option<&Group> {
        folded(name, |key| self.groups.get(key))
    }

    /// A param of the domain itself.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.settings.param(name).map(|s| &*s.value)
    }

    /// A variable of the domain itself.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.settings.variable(name).map(|s| &*s.value)
    }

    /// Every user, in the order written: groups first, then those outside.
    pub fn users(&self) -> &[Arc<User>] {
        &self.in_order
    }

    /// Every group, in the order written.
    pub fn groups(&self) -> impl Iterator<Item = &Group> {
        self.groups_in_order.iter().filter_map(|key| self.groups.get(key))
    }
}

impl Snapshot {
    /// Builds the look-ups. Of two users with one id the first counts; an id counts before a number-alias.
    pub fn build(conf: &DirectoryConf) -> Snapshot {
        Snapshot::of(conf.clone())
    }

    /// The same, out of what was read.
    pub fn of(conf: DirectoryConf) -> Snapshot {
        let mut snapshot = Snapshot::default();
        for domain in conf.domains {
            let key: Box<str> = domain.name.to_ascii_lowercase().into();
            if !snapshot.domains.contains_key(&key) {
                snapshot.domains.insert(key.clone(), build_domain(domain));
                snapshot.order.push(key);
            }
        }
        snapshot
    }

    /// Finds a domain.
    pub fn domain(&self, name: &str) -> Option<&Domain> {
        folded(name, |key| self.domains.get(key))
    }

    /// Every domain, in the order written.
    pub fn domains(&self) -> impl Iterator<Item = &Domain> {
        self.order.iter().filter_map(|key| self.domains.get(key))
    }

    /// Finds a user by id or number-alias.
    pub fn user(&self, user: &str, domain: &str) -> Option<Arc<User>> {
        self.domain(domain)?.user(user).cloned()
    }

    /// Finds a group.
    pub fn group(&self, name: &str, domain: &str) -> Option<&Group> {
        self.domain(domain)?.group(name)
    }

    /// The number of users.
    pub fn len(&self) -> usize {
        self.domains.values().map(|d| d.in_order.len()).sum()
    }

    /// True when there is no user.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The networks of a domain's users, for the `domain` nodes of access lists; `None` without such a domain.
    pub fn networks(&self, domain: &str) -> Option<Vec<UserNetwork>> {
        let mut networks = Vec::new();
        for user in &self.domain(domain)?.in_order {
            let token: Arc<str> = format!("{}@{domain}", user.id).into();
            networks.extend(user.networks.iter().map(|n| UserNetwork { network: *n, token: token.clone() }));
        }
        Some(networks)
    }
}

fn build_domain(conf: DomainConf) -> Domain {
    let mut domain = Domain {
        name: conf.name.into(),
        settings: Arc::new(conf.settings),
        users: HashMap::new(),
        in_order: Vec::new(),
        groups: HashMap::new(),
        groups_in_order: Vec::new(),
    };
    let mut groups = Vec::with_capacity(conf.groups.len());
    for group in conf.groups {
        let (name, settings): (Arc<str>, _) = (group.name.into(), Arc::new(group.settings));
        let mut ids = Vec::with_capacity(group.members.len());
        for member in group.members {
            ids.push(match member {
                Member::User(user) => domain.add(user, Some((&name, &settings))),
                Member::Pointer { id, .. } => id.to_ascii_lowercase().into(),
            });
        }
        groups.push((name, settings, ids));
    }
    for user in conf.users {
        domain.add(user, None);
    }
    domain.in_order.shrink_to_fit();
    for user in &domain.in_order {
        if let Some(alias) = &user.number_alias {
            domain.users.entry(alias.to_ascii_lowercase().into()).or_insert_with(|| user.clone());
        }
    }
    for (name, settings, ids) in groups {
        let members = ids.iter().filter_map(|id| domain.users.get(id).cloned()).collect();
        let key: Box<str> = name.to_ascii_lowercase().into();
        if !domain.groups.contains_key(&key) {
            domain.groups.insert(key.clone(), Group { name, members, settings });
            domain.groups_in_order.push(key);
        }
    }
    domain
}

impl Domain {
    /// Takes a user in, unless its id is there already. Gives the key it is found by.
    fn add(&mut self, user: UserConf, group: Option<(&Arc<str>, &Arc<Settings>)>) -> Box<str> {
        let key: Box<str> = user.id.to_ascii_lowercase().into();
        if let Entry::Vacant(place) = self.users.entry(key.clone()) {
            let user = Arc::new(User {
                id: user.id.into(),
                domain: self.name.clone(),
                group: group.map(|(name, _)| name.clone()),
                number_alias: user.number_alias.map(Into::into),
                networks: user.networks.into(),
                at: user.at,
                levels: [
                    Some(Arc::new(user.settings)),
                    group.map(|(_, settings)| settings.clone()),
                    Some(self.settings.clone()),
                ],
            });
            place.insert(user.clone());
            self.in_order.push(user);
        }
        key
    }
}

/// Calls `look_up` with `name` in lower case; short names without an allocation.
fn folded<T>(name: &str, look_up: impl FnOnce(&str) -> T) -> T {
    let mut room = [0u8; 64];
    match room.get_mut(..name.len()) {
        Some(room) => {
            room.copy_from_slice(name.as_bytes());
            room.make_ascii_lowercase();
            // Lower-casing ASCII keeps UTF-8 valid, so the second arm is never taken.
            match std::str::from_utf8(room) {
                Ok(key) => look_up(key),
                Err(_) => look_up(&name.to_ascii_lowercase()),
            }
        }
        None => look_up(&name.to_ascii_lowercase()),
    }
}

#[cfg(test)]
mod tests;
