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
use tandem::api::{self, ContactQuery, Reach, World};
use tandem::channel::Variables;
use tandem::config::acl::AclConf;
use tandem::config::directory::DirectoryConf;
use tandem::config::{self, Element, Globals, Loaded, Options, Problem};
use tandem::dialplan::{Applications, Caller, Dialplan, Expanded, Scope, Template, Value, expand, words};
use tandem::directory::Snapshot;
use tandem::net::acl::{Acls, LocalNet};
use tandem::store::Stores;

/// The address the recorded answers were given at.
pub const ADDRESS: &str = "10.8.0.8";

pub struct Switch {
    pub globals: Globals,
    pub directory: Arc<Snapshot>,
    pub acls: Acls,
    pub plan: Dialplan,
    pub problems: Vec<Problem>,
    pub now: Cell<Timestamp>,
    pub stores: Stores,
    pub tree: Arc<Element>,
    pub contacts: Vec<String>,
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
            stores: Stores::in_memory(),
            tree: Arc::new(loaded.root),
            contacts: Vec::new(),
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
        self.contacts.clone()
    }

    fn stores(&self) -> &Stores {
        &self.stores
    }

    fn tree(&self) -> Option<Arc<Element>> {
        Some(Arc::clone(&self.tree))
    }

    fn channel_exists(&self, _: &str) -> bool {
        false
    }

    fn read_channel(&self, _: &str, _: &mut dyn FnMut(&dyn Scope)) -> Reach {
        Reach::NoChannel
    }

    fn set_variables(&self, _: &str, _: Vec<(String, String)>) -> bool {
        false
    }

    fn channel_headers(&self, _: &str) -> Option<HashMap<String, String>> {
        None
    }
}

/// A switch with one channel, asked by a command.
pub struct Asked<'s> {
    pub switch: &'s Switch,
    pub channel: RefCell<Channel<'s>>,
}

/// The channel's uuid.
pub const UUID: &str = "0d4f7d2e-3c5b-4c8e-9a7e-1f2a3b4c5d6e";

impl World for Asked<'_> {
    fn now(&self) -> Timestamp {
        World::now(self.switch)
    }

    fn time_zone(&self) -> TimeZone {
        World::time_zone(self.switch)
    }

    fn create_uuid(&self) -> String {
        self.switch.create_uuid()
    }

    fn globals(&self) -> &Globals {
        &self.switch.globals
    }

    fn directory(&self) -> Arc<Snapshot> {
        self.switch.directory()
    }

    fn acl(&self, list: &str, address: IpAddr) -> Option<bool> {
        self.switch.acl(list, address)
    }

    fn module_exists(&self, name: &str) -> bool {
        self.switch.module_exists(name)
    }

    fn contacts(&self, query: &ContactQuery<'_>) -> Vec<String> {
        self.switch.contacts(query)
    }

    fn stores(&self) -> &Stores {
        self.switch.stores()
    }

    fn tree(&self) -> Option<Arc<Element>> {
        self.switch.tree()
    }

    fn channel_exists(&self, uuid: &str) -> bool {
        uuid == UUID
    }

    fn read_channel(&self, uuid: &str, work: &mut dyn FnMut(&dyn Scope)) -> Reach {
        if uuid != UUID {
            return Reach::NoChannel;
        }
        work(&*self.channel.borrow());
        Reach::Done
    }

    fn set_variables(&self, uuid: &str, variables: Vec<(String, String)>) -> bool {
        let mut channel = self.channel.borrow_mut();
        variables.iter().for_each(|(name, value)| channel.variables.assign(name, value, true));
        uuid == UUID
    }

    fn channel_headers(&self, uuid: &str) -> Option<HashMap<String, String>> {
        let channel = self.channel.borrow();
        let variables = channel.variables.sorted();
        let headers =
            variables.into_iter().map(|(name, value)| (format!("variable_{name}"), value.to_owned()));
        let state = ("Channel-State".to_owned(), "CS_EXECUTE".to_owned());
        (uuid == UUID).then(|| headers.chain([state]).collect())
    }
}

/// A channel on a [`Switch`].
pub struct Channel<'s> {
    pub switch: &'s Switch,
    pub variables: Variables,
    pub profile: BTreeMap<&'static str, String>,
    pub account: RefCell<Vec<String>>,
    pub traced: bool,
    pub zone: TimeZone,
}

impl<'s> Channel<'s> {
    pub fn new(switch: &'s Switch, destination: &str) -> Self {
        let mut channel = Channel {
            switch,
            variables: Variables::default(),
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
        self.variables.get_marked(name).map(|(text, wire)| Value { text: text.into(), wire })
    }

    fn profile_field(&self, name: &str) -> Option<Value<'_>> {
        self.profile.get(name.to_ascii_lowercase().as_str()).map(|text| Value::wire(text.as_str()))
    }

    fn global(&self, name: &str) -> Option<Cow<'_, str>> {
        self.switch.globals.get(name).map(|value| Cow::Owned(value.to_string()))
    }

    fn call(&self, function: &str, arguments: &str, wire: bool) -> Option<Value<'static>> {
        api::call(self.switch, function, arguments, wire)
    }
}

impl Caller for Channel<'_> {
    fn set(&mut self, name: &str, value: &str, wire: bool) {
        match wire {
            true => self.variables.set_wire(name, value),
            false => self.variables.set(name, value),
        }
    }

    fn unset_prefix(&mut self, prefix: &str) {
        self.variables.unset_prefix(prefix);
    }

    fn execute_inline(&mut self, application: &str, data: &Template) {
        let data = data.expand(self);
        execute(self, application, &data);
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

/// The applications that only touch variables and stores. Data is expanded once more where FreeSWITCH does so.
pub fn execute(channel: &mut Channel<'_>, application: &str, expanded: &Expanded) {
    let (data, wire) = (expanded.text.as_str(), expanded.wire);
    match application {
        "set" | "export" => {
            let Some((name, value)) = data.split_once(['=', ',']) else { return };
            let value = if wire { value.to_owned() } else { expand(value, channel) };
            channel.variables.assign(name.trim_start_matches("nolocal:"), &value, wire);
        }
        "unset" => channel.set(data, "", false),
        "set_user" => channel.set("domain_name", data.split_once('@').map_or("", |(_, d)| d), wire),
        "hash" | "db" | "group" => {
            channel.call(application, expanded.guarded(), false);
        }
        _ => {}
    }
}
