//! One user, with what it inherits.

use std::sync::Arc;

use ipnet::IpNet;

use crate::config::Position;
use crate::config::directory::{Setting, Settings, find, is_true};

/// A user of the directory. What it inherits from its group and domain is shared with the others there.
#[derive(Debug)]
pub struct User {
    /// Its id as written.
    pub id: Box<str>,
    /// The domain it lives in, as written.
    pub domain: Arc<str>,
    /// The group it is defined in.
    pub group: Option<Arc<str>>,
    /// `number-alias`.
    pub number_alias: Option<Box<str>>,
    /// `cidr`.
    pub networks: Box<[IpNet]>,
    /// Where it is written.
    pub at: Position,
    pub(super) levels: [Option<Arc<Settings>>; 3],
}

impl User {
    /// A param; the user's own wins over the group's, that over the domain's.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.settings().find_map(|s| s.param(name)).map(|s| &*s.value)
    }

    /// A variable, by the same order.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.settings().find_map(|s| s.variable(name)).map(|s| &*s.value)
    }

    /// Every param that counts, as (name, value).
    pub fn params(&self) -> impl Iterator<Item = (&str, &str)> {
        self.merged(|s| &s.params)
    }

    /// Every variable that counts, as (name, value): these go on the user's channels.
    pub fn variables(&self) -> impl Iterator<Item = (&str, &str)> {
        self.merged(|s| &s.variables)
    }

    /// `password`, unless empty.
    pub fn password(&self) -> Option<&str> {
        self.param("password").filter(|p| !p.is_empty())
    }

    /// `a1-hash`, unless empty: MD5 of `user:realm:password` in hexadecimal.
    pub fn a1_hash(&self) -> Option<&str> {
        self.param("a1-hash").filter(|p| !p.is_empty())
    }

    /// True when somebody without the right password may be this user, which needs `allow-empty-password` and no
    /// password. (FreeSWITCH lets anybody in unless that param is *false*.)
    pub fn is_open(&self) -> bool {
        self.password().is_none()
            && self.a1_hash().is_none()
            && self.param("allow-empty-password").is_some_and(is_true)
    }

    /// `user@domain`.
    pub fn address(&self) -> String {
        format!("{}@{}", self.id, self.domain)
    }

    fn settings(&self) -> impl Iterator<Item = &Settings> {
        self.levels.iter().flatten().map(|s| &**s)
    }

    fn merged(&self, list: fn(&Settings) -> &Vec<Setting>) -> impl Iterator<Item = (&str, &str)> {
        self.settings().enumerate().flat_map(move |(level, settings)| {
            list(settings).iter().enumerate().filter_map(move |(at, setting)| {
                let hidden =
                    self.settings().take(level).any(|above| find(list(above), &setting.name).is_some())
                        || list(settings).iter().take(at).any(|s| s.name.eq_ignore_ascii_case(&setting.name));
                (!hidden).then_some((&*setting.name, &*setting.value))
            })
        })
    }
}
