//! All gateways of the switch, by name.

use std::collections::HashMap;
use std::sync::Arc;

use super::Gateway;

/// The gateways of all profiles, in the order of the configuration. Names count with case, as in FreeSWITCH.
#[derive(Clone, Debug, Default)]
pub struct Gateways {
    all: Vec<Arc<Gateway>>,
    /// `NAME` for the first of a name, `PROFILE::NAME` for each.
    names: HashMap<String, Arc<Gateway>>,
    profiles: HashMap<String, Vec<Arc<Gateway>>>,
}

impl Gateways {
    /// A table of these.
    pub fn of(all: Vec<Arc<Gateway>>) -> Gateways {
        let mut names = HashMap::with_capacity(all.len() * 2);
        let mut profiles: HashMap<String, Vec<Arc<Gateway>>> = HashMap::new();
        for gateway in &all {
            profiles.entry(gateway.profile.clone()).or_default().push(gateway.clone());
            names.entry(gateway.conf.name.clone()).or_insert_with(|| gateway.clone());
            names.insert(gateway.full_name(), gateway.clone());
        }
        Gateways { all, names, profiles }
    }

    /// The gateway called `NAME` or `PROFILE::NAME`.
    pub fn find(&self, name: &str) -> Option<&Arc<Gateway>> {
        self.names.get(name)
    }

    /// Those of one profile.
    pub fn of_profile(&self, profile: &str) -> &[Arc<Gateway>] {
        self.profiles.get(profile).map_or(&[], Vec::as_slice)
    }

    /// All, in the order of the configuration.
    pub fn all(&self) -> &[Arc<Gateway>] {
        &self.all
    }
}
