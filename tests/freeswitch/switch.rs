//! A switch and a channel small enough for a test: the traits of `dialplan` and `api` over maps.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tandem::api::{self, ContactQuery, World};
use tandem::config::acl::AclConf;
use tandem::config::directory::DirectoryConf;
use tandem::config::{self, Element, Globals, Loaded, Options, Problem};
use tandem::dialplan::{Applications, Caller, Dialplan, Scope, Template, Value, expand, words};
use tandem::directory::Snapshot;
use tandem::net::acl::{Acls, LocalNet};

/// The address the recorded answers were given at.
pub const ADDRESS: &str = "10.8.0.8";

pub struct Switch {
    pub globals: Globals,
    pub directory: Arc<Snapshot>,
    pub acls: Acls,
    pub plan: Dialplan,
    pub problems: Vec<Problem>,
    pub now: Cell<Timestamp>,
    pub hash: RefCell<BTreeMap<String, String>>,
}

impl Switch {
    /// A switch with this configuration.
    pub fn load(conf: &Path) -> Switch {
        let mut options = Options::new(conf);
        options.local_ip_v4 = Some(ADDRESS.parse().unwrap());
        Switch::of(config::load(&options))
    }

    /// A switch with nothing but the dialplan in `text`.
    pub fn parse(text: &str) -> Switch {
        let text = format!("<document type=\"freeswitch/xml\">\n{text}\n</document>");
        Switch::of(config::parse("freeswitch.xml", &text, &Options::new("/nowhere")))
    }

    fn of(loaded: Loaded) -> Switch {
        let root = &loaded.root;
        let empty = Element::new("none", root.at.clone());
        let conf =
            AclConf::from_element(config::configuration(root, "acl.conf").unwrap_or(&empty), &mut Vec::new());
        let users = DirectoryConf::from_element(
            config::section(root, "directory").unwrap_or(&empty),
            &mut Vec::new(),
        );
        let directory = Snapshot::build(&users);
        let acls = Acls::compile(&conf, LocalNet { v4: None, v6: None }, |domain| directory.networks(domain));
        let provided: Vec<&str> = words::freeswitch_applications().collect();
        let section = config::section(root, "dialplan").unwrap_or(&empty);
        let (plan, problems) =
            Dialplan::compile(section, Applications { provided: &provided, ..Applications::default() });
        Switch {
            globals: loaded.globals,
            directory: Arc::new(directory),
            acls,
            plan,
            problems,
            now: Cell::new("2026-08-21T20:30:00Z".parse().unwrap()),
            hash: RefCell::default(),
        }
    }
}

impl World for Switch {
    fn now(&self) -> Timestamp {
        self.now.get()
    }

    fn time_zone(&self) -> TimeZone {
        TimeZone::UTC
    }

    fn create_uuid(&self) -> String {
        "0d4f7d2e-3c5b-4c8e-9a7e-1f2a3b4c5d6e".to_owned()
    }

    fn globals(&self) -> &Globals {
        &self.globals
    }

    fn directory(&self) -> Arc<Snapshot> {
        Arc::clone(&self.directory)
    }

    fn acl(&self, list: &str, address: IpAddr) -> Option<bool> {
        self.acls.knows(list).then(|| self.acls.allows(list, address, 0))
    }

    fn module_exists(&self, _: &str) -> bool {
        false
    }

    fn contacts(&self, _: &ContactQuery<'_>) -> Vec<String> {
        Vec::new()
    }

    fn channel_headers(&self, _: &str) -> Option<HashMap<String, String>> {
        None
    }
}

/// A channel on a [`Switch`].
pub struct Channel<'s> {
    pub switch: &'s Switch,
    pub variables: BTreeMap<String, (String, bool)>,
    pub profile: BTreeMap<&'static str, String>,
    pub account: RefCell<Vec<String>>,
    pub traced: bool,
    pub zone: TimeZone,
}

impl<'s> Channel<'s> {
    pub fn new(switch: &'s Switch, destination: &str) -> Self {
        let mut channel = Channel {
            switch,
            variables: BTreeMap::new(),
            profile: BTreeMap::new(),
            account: RefCell::default(),
            traced: true,
            zone: TimeZone::UTC,
        };
        channel.profile.insert("destination_number", destination.to_owned());
        channel
    }

    pub fn put(&mut self, name: &str, value: &str) {
        self.set(name, value, false);
    }
}

impl Scope for Channel<'_> {
    fn variable(&self, name: &str) -> Option<Value<'_>> {
        self.variables
            .get(&name.to_ascii_lowercase())
            .map(|(text, wire)| Value { text: text.as_str().into(), wire: *wire })
    }

    fn profile_field(&self, name: &str) -> Option<Value<'_>> {
        self.profile.get(name.to_ascii_lowercase().as_str()).map(|text| Value::wire(text.as_str()))
    }

    fn global(&self, name: &str) -> Option<Cow<'_, str>> {
        self.switch.globals.get(name).map(|value| Cow::Owned(value.to_string()))
    }

    fn call(&self, function: &str, arguments: &str, wire: bool) -> Option<Value<'static>> {
        if function == "hash" {
            let parts: Vec<&str> = arguments.splitn(4, '/').collect();
            return Some(match parts.as_slice() {
                ["select", realm, key, ..] if !key.is_empty() => {
                    let hash = self.switch.hash.borrow();
                    Value::wire(hash.get(&format!("{realm}/{key}")).cloned().unwrap_or_default())
                }
                _ => Value::ours(
                    "-ERR Usage: hash insert|insert_ifempty|select|delete|delete_ifmatch/realm/key[/value]\n",
                ),
            });
        }
        if function == "group" {
            return Some(Value::ours(""));
        }
        api::call(self.switch, function, arguments, wire)
    }
}

impl Caller for Channel<'_> {
    fn set(&mut self, name: &str, value: &str, wire: bool) {
        let name = name.to_ascii_lowercase();
        if value.is_empty() {
            self.variables.remove(&name);
        } else {
            self.variables.insert(name, (value.to_owned(), wire));
        }
    }

    fn unset_prefix(&mut self, prefix: &str) {
        let prefix = prefix.to_ascii_lowercase();
        self.variables.retain(|name, _| !name.starts_with(&prefix));
    }

    fn execute_inline(&mut self, application: &str, data: &Template) {
        let data = data.expand(self);
        execute(self, application, &data.text, data.wire);
    }

    fn now(&self) -> Timestamp {
        self.switch.now.get()
    }

    fn time_zone(&self) -> TimeZone {
        self.zone.clone()
    }

    fn channel_name(&self) -> Cow<'_, str> {
        Cow::Borrowed("CHANNEL")
    }

    fn wants_trace(&self) -> bool {
        self.traced
    }

    fn trace(&self, line: fmt::Arguments<'_>) {
        self.account.borrow_mut().push(line.to_string());
    }
}

/// The applications that only touch variables. Their data is expanded once more, as FreeSWITCH does.
pub fn execute(channel: &mut Channel<'_>, application: &str, data: &str, wire: bool) {
    match application {
        "set" | "export" => {
            let Some((name, value)) = data.split_once(['=', ',']) else { return };
            let value = if wire { value.to_owned() } else { expand(value, channel) };
            channel.set(name.trim_start_matches("nolocal:"), &value, wire);
        }
        "unset" => channel.set(data, "", false),
        "set_user" => channel.set("domain_name", data.split_once('@').map_or("", |(_, d)| d), wire),
        "hash" => {
            if let ["insert", realm, key, value] = data.splitn(4, '/').collect::<Vec<_>>().as_slice() {
                channel.switch.hash.borrow_mut().insert(format!("{realm}/{key}"), (*value).to_owned());
            }
        }
        _ => {}
    }
}
