//! The switch as API functions see it: the shared part of the switch, and the leg that asks.

use super::permit::Permit;
use super::world::{ContactQuery, Reach, World};
use crate::channel::{Exchange, Functions, Leg, Letter, Order};
use crate::config::modules::is_provided;
use crate::config::{Element, Globals};
use crate::dialplan::Scope;
use crate::directory::Snapshot;
use crate::store::Stores;
use jiff::Timestamp;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use uuid::Uuid;

/// API functions for legs.
pub struct OnLegs;

impl Functions for OnLegs {
    fn call(&self, leg: &Leg, name: &str, arguments: &str, wire: bool) -> Option<(String, bool)> {
        let world = Asking { exchange: &leg.exchange, leg: Some(leg), permit: None };
        let value = super::call(&world, name, arguments, wire)?;
        Some((value.text.into_owned(), value.wire))
    }
}

/// The switch, asked by a leg or by nobody's.
pub(super) struct Asking<'a> {
    pub exchange: &'a Arc<Exchange>,
    pub leg: Option<&'a Leg>,
    /// What whoever asks may call; everything without it.
    pub permit: Option<&'a Permit>,
}

impl World for Asking<'_> {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn create_uuid(&self) -> String {
        Uuid::new_v4().to_string()
    }

    fn globals(&self) -> &Globals {
        &self.exchange.globals
    }

    fn directory(&self) -> Arc<Snapshot> {
        self.exchange.directory.snapshot()
    }

    fn acl(&self, list: &str, address: IpAddr) -> Option<bool> {
        let acls = self.exchange.acls.load();
        acls.knows(list).then(|| acls.allows(list, address, 0))
    }

    fn module_exists(&self, name: &str) -> bool {
        is_provided(name)
    }

    fn contacts(&self, query: &ContactQuery<'_>) -> Vec<String> {
        let now = Leg::now();
        let registrar = &self.exchange.registrar;
        let bindings = match query.profile {
            Some(name) => match self.exchange.agent(name) {
                Some(agent) => registrar.lookup_at(now, &agent.name, query.user, query.domain),
                None => Vec::new(),
            },
            None => registrar.lookup(now, query.user, query.domain),
        };
        let wanted =
            |text: &str, part: &Option<String>| part.as_ref().is_none_or(|p| text.contains(p.as_str()));
        bindings
            .iter()
            .filter(|b| wanted(&b.user_agent, &query.user_agent))
            .map(|b| b.dial_string())
            .filter(|text| query.exclude.as_ref().is_none_or(|e| !text.contains(e.as_str())))
            .map(|text| format!("{text}{}", query.suffix))
            .collect()
    }

    fn registrations(&self, profile: &str, user: Option<&str>, domain: Option<&str>) -> Option<usize> {
        let (agent, now) = (self.exchange.agent(profile)?, Leg::now());
        let registrar = &self.exchange.registrar;
        let found = match (user, domain) {
            (Some(user), Some(domain)) => registrar.lookup_at(now, &agent.name, user, domain),
            _ => registrar.list(|b| {
                *b.profile == *agent.name
                    && b.gone_at() > now
                    && user.is_none_or(|user| user.eq_ignore_ascii_case(&b.user))
                    && domain.is_none_or(|domain| domain.eq_ignore_ascii_case(&b.domain))
            }),
        };
        Some(found.len())
    }

    fn permits(&self, function: &str) -> bool {
        self.permit.is_none_or(|permit| permit.has(function))
    }

    fn channel(&self) -> Option<&dyn Scope> {
        self.leg.map(|leg| leg as &dyn Scope)
    }

    fn stores(&self) -> &Stores {
        &self.exchange.stores
    }

    fn tree(&self) -> Option<Arc<Element>> {
        Some(self.exchange.tree.load_full())
    }

    fn channel_exists(&self, uuid: &str) -> bool {
        self.exchange.legs.by_uuid(uuid).is_some()
    }

    fn read_channel(&self, uuid: &str, work: &mut dyn FnMut(&dyn Scope)) -> Reach {
        if let Some(leg) = self.leg.filter(|leg| *leg.uuid == *uuid) {
            work(leg);
            return Reach::Done;
        }
        if let Some(seen) = self.leg.and_then(|leg| leg.glimpse(uuid)) {
            work(seen);
            return Reach::Done;
        }
        if self.channel_exists(uuid) { Reach::Elsewhere } else { Reach::NoChannel }
    }

    fn set_variables(&self, uuid: &str, variables: Vec<(String, String)>) -> bool {
        let order = Letter::Order(Order::Set(variables.into()));
        self.exchange.legs.by_uuid(uuid).is_some_and(|mailbox| mailbox.post(order))
    }

    fn channel_headers(&self, uuid: &str) -> Option<HashMap<String, String>> {
        let leg = self.leg.filter(|leg| *leg.uuid == *uuid)?;
        let event = leg.dump();
        Some(event.headers.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}
