//! What API functions may ask the switch.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::config::{Element, Globals};
use crate::dialplan::{Scope, Value};
use crate::directory::Snapshot;
use crate::store::Stores;

/// The switch as API functions see it. The switch implements it; a leg that calls a function from an expansion
/// implements it too, adding itself as [`World::channel`].
pub trait World {
    /// The time.
    fn now(&self) -> Timestamp;

    /// The zone of the machine.
    fn time_zone(&self) -> TimeZone {
        TimeZone::system()
    }

    /// A fresh uuid.
    fn create_uuid(&self) -> String;

    /// The global variables.
    fn globals(&self) -> &Globals;

    /// The directory in force.
    fn directory(&self) -> Arc<Snapshot>;

    /// Whether an access list lets an address in; `None` when there is no such list.
    fn acl(&self, list: &str, address: IpAddr) -> Option<bool>;

    /// Whether a FreeSWITCH module by that name (`mod_sofia`) has its counterpart here.
    fn module_exists(&self, name: &str) -> bool;

    /// The dial strings of a user's registrations, as `sofia/internal/sip:…`.
    fn contacts(&self, query: &ContactQuery<'_>) -> Vec<String>;

    /// How many registrations a profile (by name or alias) has: of a user, of a domain, or all. `None` when there is no
    /// such profile.
    fn registrations(&self, _profile: &str, _user: Option<&str>, _domain: Option<&str>) -> Option<usize> {
        None
    }

    /// Whether whoever asks may call that function.
    fn permits(&self, _function: &str) -> bool {
        true
    }

    /// The channel that runs the function, when one does.
    fn channel(&self) -> Option<&dyn Scope> {
        None
    }

    /// What calls leave for each other.
    fn stores(&self) -> &Stores;

    /// The configuration as it was read, without the section `directory`.
    fn tree(&self) -> Option<Arc<Element>>;

    /// Whether there is a channel by that uuid.
    fn channel_exists(&self, uuid: &str) -> bool;

    /// Lets `work` read a channel.
    fn read_channel(&self, uuid: &str, work: &mut dyn FnMut(&dyn Scope)) -> Reach;

    /// Gives a channel variables, as `uuid_setvar` does: `name[2]` is an element, an empty value takes one away. False
    /// when there is no such channel. Another channel has them when its leg next waits.
    fn set_variables(&self, uuid: &str, variables: Vec<(String, String)>) -> bool;

    /// What an event about that channel says: header names and values (`Channel-State`, `variable_x`).
    fn channel_headers(&self, uuid: &str) -> Option<HashMap<String, String>>;
}

/// What came of reading a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// It was read.
    Done,
    /// There is none by that uuid.
    NoChannel,
    /// Its leg is somebody else's, who alone can read it.
    Elsewhere,
}

/// Which registrations `sofia_contact` wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContactQuery<'a> {
    /// The profile, by name or alias; `None` for all, and then the domain may name one.
    pub profile: Option<&'a str>,
    /// The user.
    pub user: &'a str,
    /// The domain; the global `domain` when the caller gave none.
    pub domain: &'a str,
    /// What to append to each dial string (`/concat`).
    pub suffix: &'a str,
    /// Only contacts whose User-Agent contains this.
    pub user_agent: Option<String>,
    /// No contacts whose text contains this.
    pub exclude: Option<String>,
}

/// The domain when a function is given none.
pub(super) fn default_domain(world: &dyn World) -> String {
    world.globals().get("domain").map(|d| d.to_string()).unwrap_or_default()
}

/// The scope of an expansion outside a call, or beside one: some values of its own, then `under`, then globals.
pub(super) struct Overlay<'a> {
    pub world: &'a dyn World,
    pub own: HashMap<String, String>,
    pub under: Option<&'a dyn Scope>,
}

impl Scope for Overlay<'_> {
    fn variable(&self, name: &str) -> Option<Value<'_>> {
        match self.own.get(&name.to_ascii_lowercase()) {
            // The values are names out of a request: data, not text to expand.
            Some(text) => Some(Value::wire(text.as_str())),
            None => self.under.and_then(|scope| scope.variable(name)),
        }
    }

    fn profile_field(&self, name: &str) -> Option<Value<'_>> {
        self.under.and_then(|scope| scope.profile_field(name))
    }

    fn global(&self, name: &str) -> Option<Cow<'_, str>> {
        self.world.globals().get(name).map(|value| Cow::Owned(value.to_string()))
    }

    fn call(&self, function: &str, arguments: &str, wire: bool) -> Option<Value<'static>> {
        match self.under {
            Some(scope) => scope.call(function, arguments, wire),
            None => super::call(self.world, function, arguments, wire),
        }
    }
}
