//! What all legs share: who is up, who is where, what is configured, where events go.

use super::gate::Gate;
use super::leg::Leg;
use super::legs::Legs;
use super::mailbox::Mailbox;
use super::past::Past;
use super::user_agent::UserAgent;
use crate::config::{Element, Globals};
use crate::directory::Directory;
use crate::event::Bus;
use crate::gateway::Gateways;
use crate::media::Engine;
use crate::net::acl::Acls;
use crate::presence::Board;
use crate::registrar::Registrar;
use crate::store::Stores;
use arc_swap::ArcSwap;
use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use tokio::sync::oneshot;

/// The API functions that `${name(arguments)}` calls; they live in a layer above.
pub trait Functions: Send + Sync {
    /// Runs a function for a leg. `wire`: the arguments hold text from the wire. Answers a text and whether that must
    /// count as wire text; `None` when there is no such function.
    fn call(&self, leg: &Leg, name: &str, arguments: &str, wire: bool) -> Option<(String, bool)>;
}

/// Who takes a leg of ours that is sent to the dialplan or to another leg, and runs what its variables want done; in a
/// layer above.
pub trait Router: Send + Sync {
    /// The rest of the leg's life, the course it has been given first.
    fn route(&self, leg: Box<Leg>) -> Pin<Box<dyn Future<Output = ()> + Send>>;

    /// Runs an application that is done at once; its argument is expanded first.
    fn execute(&self, leg: &mut Leg, name: &str, argument: &str);

    /// Runs an API command; its arguments are expanded first.
    fn command(&self, leg: &Leg, name: &str, arguments: &str);
}

/// Who speaks with programs that take calls over (`socket`); in a layer above.
pub trait Programs: Send + Sync {
    /// Lets the program at the other end of `stream` control a leg; false when there are too many.
    fn control(&self, stream: std::net::TcpStream, control: Control) -> bool;
}

/// A leg in the hands of a program.
#[derive(Debug)]
pub struct Control {
    /// The leg's uuid.
    pub uuid: Arc<str>,
    /// The leg's name.
    pub channel: Arc<str>,
    /// The way to the leg.
    pub mailbox: Mailbox,
    /// Closed when the leg is over and has told everything.
    pub gone: oneshot::Receiver<()>,
    /// The program need not wait for what it wants.
    pub is_async: bool,
    /// The program may use every command.
    pub is_full: bool,
    /// Dropped when the program lets go of the leg, which must be woken then.
    pub released: oneshot::Sender<()>,
}

/// Who writes down how legs went; in a layer above.
pub trait Recorder: Send + Sync {
    /// Whether a record of this leg is wanted, once it is over.
    fn wants(&self, leg: &Leg) -> bool;

    /// Writes the leg down: it is over, its variables are final. Never waits.
    fn record(&self, leg: &Leg);
}

/// Profiles by name, alias and (where a domain says `alias="true"`) domain, names in lower case.
pub type Agents = HashMap<String, Arc<UserAgent>>;

/// The shared part of the switch, below the dialplan.
pub struct Exchange {
    /// Every leg.
    pub legs: Arc<Legs>,
    /// The gate new legs pass.
    pub gate: Gate,
    /// Port pairs and relays.
    pub media: Engine,
    /// Where events are told.
    pub events: Bus,
    /// `$${name}` and the fall-back of `${name}`.
    pub globals: Globals,
    /// Users, groups, domains.
    pub directory: Directory,
    /// Who is where.
    pub registrar: Registrar,
    /// Who watches whom, and what there is to see.
    pub presence: Arc<Board>,
    /// The access lists as of the last load.
    pub acls: Arc<ArcSwap<Acls>>,
    /// How the last calls went.
    pub past: Past,
    /// What calls leave for each other.
    pub stores: Stores,
    /// Whether a dialplan may run commands of the machine (`allow-system`).
    pub allow_system: AtomicBool,
    /// The configuration as it was read, without the section `directory`.
    pub tree: ArcSwap<Element>,
    /// The running profiles.
    pub agents: ArcSwap<Agents>,
    /// The gateways of all profiles.
    pub gateways: ArcSwap<Gateways>,
    /// The API functions, set once at start by the layer above.
    pub functions: OnceLock<Box<dyn Functions>>,
    /// Who takes legs that are sent elsewhere, set once at start by the layer above.
    pub router: OnceLock<Arc<dyn Router>>,
    /// Who speaks with programs, set once at start by the layer above.
    pub programs: OnceLock<Arc<dyn Programs>>,
    /// Who writes records, set once at start by the layer above.
    pub recorder: OnceLock<Arc<dyn Recorder>>,
}

impl Exchange {
    /// The profile called `name` (or with that alias).
    pub fn agent(&self, name: &str) -> Option<Arc<UserAgent>> {
        self.agents.load().get(&name.to_ascii_lowercase()).cloned()
    }

    /// The domain used where none is said: `$${domain}`.
    pub fn domain(&self) -> String {
        self.globals.get("domain").map(|d| d.to_string()).unwrap_or_default()
    }
}
