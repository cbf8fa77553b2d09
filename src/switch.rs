//! The switch put together: configuration read, layers started, reload, drain, stop.

mod acts;
mod generation;
mod house;
mod profile_work;
mod profiles;
mod warned;

use crate::api::{self, Desk, House, OnLegs};
use crate::app::{self, Calls, Plans};
use crate::cdr::Records;
use crate::channel::{Agents, Cause, Exchange, Gate, Leg, Legs, Letter, Order};
use crate::config::conf::Conf;
use crate::config::sofia::{External, ProfileConf};
use crate::config::{self, Ask, Element, Globals, Loaded, Options, Problem, section};
use crate::dial;
use crate::dialplan::{Applications, Dialplan};
use crate::directory::auth::Authenticator;
use crate::directory::{Directory, Snapshot};
use crate::esl::{self, EventSocket};
use crate::event::{Bus, EventName, Host};
use crate::media::{Engine, EngineConfig, PortRange};
use crate::net::acl::{Acls, LocalNet};
use crate::net::{Dns, Sockets, local_ip_v4, local_ip_v6, stun};
use crate::observe::Log;
use crate::presence::{Board, Lamps};
use crate::profile::{Opening, Profile, ProfileError, Shared};
use crate::registrar::{Bounds, Gone, Registrar};
use crate::store::Stores;
use arc_swap::ArcSwap;
use generation::{Generation, Old};
use house::Whole;
use ipnet::Ipv4Net;
use profiles::Profiles;
use rand::TryRngCore;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tracing::{info, warn};
use warned::Warned;

/// A configuration that has been read and compiled, and every problem found on the way.
pub struct Tree {
    /// The tree itself.
    pub loaded: Loaded,
    /// Its typed views.
    pub conf: Conf,
    /// Its dialplan.
    pub dialplan: Dialplan,
}

impl Tree {
    /// Reads and compiles everything; opens nothing. What is wrong stands in `loaded.problems`.
    pub fn read(options: &Options) -> Tree {
        Tree::of(config::load(options))
    }

    /// Compiles a tree that is loaded already.
    pub fn of(mut loaded: Loaded) -> Tree {
        let conf = Conf::read(&mut loaded);
        let names = app::names();
        let (dialplan, problems) = match section(&loaded.root, "dialplan") {
            Some(section) => {
                let refused = app::refused(conf.switch.allow_system);
                let applications =
                    Applications { provided: &names, left_out: app::LEFT_OUT, refused: &refused };
                Dialplan::compile(section, applications)
            }
            None => (Dialplan::default(), Vec::new()),
        };
        loaded.problems.extend(problems);
        loaded.problems.extend(dial::unheeded(&loaded.root));
        config::load::sort(&mut loaded.problems);
        Tree { loaded, conf, dialplan }
    }

    /// The problems that keep the tree from being used.
    pub fn errors(&self) -> impl Iterator<Item = &Problem> {
        self.loaded.problems.iter().filter(|p| p.is_error())
    }
}

/// Why the switch could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The media threads could not be started.
    #[error("cannot start media: {0}")]
    Media(io::Error),
    /// The thread that writes call records could not be started.
    #[error("cannot start the writer of call records: {0}")]
    Records(io::Error),
    /// The event socket could not be opened, which its configuration does not bear.
    #[error("{0}")]
    EventSocket(#[from] esl::StartError),
    /// The system gives no random numbers.
    #[error("the system's random source does not answer")]
    Random,
    /// No profile could be opened.
    #[error("no SIP profile could be opened; the first reason: {0}")]
    NoProfile(ProfileError),
    /// The tree has no profile.
    #[error("the configuration has no SIP profile (sip_profiles/*.xml, included by sofia.conf)")]
    NoneConfigured,
}

/// What a reload changes.
struct Core {
    exchange: Arc<Exchange>,
    plans: Plans,
    records: Arc<Records>,
    profiles: Arc<Profiles>,
    /// What is known of names.
    dns: Arc<Dns>,
    /// The event socket, when its module is loaded.
    event_socket: Option<EventSocket>,
    /// Calls that somebody shows by events.
    lamps: Lamps,
    /// One reload at a time; what the load before has warned of.
    turn: tokio::sync::Mutex<Warned>,
}

/// How a switch is run, beside its configuration.
#[derive(Default)]
pub struct Manner {
    /// Every SIP message of every profile is logged.
    pub trace: bool,
    /// How the configuration is read again when a command wants that; it cannot be without.
    pub options: Option<Options>,
    /// The log, whose level commands may change.
    pub log: Option<Arc<Log>>,
}

/// A running switch.
pub struct Switch {
    /// What all legs share.
    pub exchange: Arc<Exchange>,
    core: Arc<Core>,
    whole: Arc<Whole>,
    /// Why profiles of the tree are not open.
    closed: Vec<ProfileError>,
    expiry: tokio::task::JoinHandle<()>,
    /// Wakes those who watch somebody.
    watches: tokio::task::JoinHandle<()>,
    /// Does what was put off.
    errands: tokio::task::JoinHandle<()>,
}

impl Switch {
    /// Opens everything the tree names. Must be called inside a tokio runtime.
    pub fn start(tree: Tree, sockets: Arc<dyn Sockets>, trace: bool) -> Result<Switch, StartError> {
        Switch::start_in(Manner { trace, ..Manner::default() }, tree, sockets)
    }

    /// The same, with all that commands need.
    pub fn start_in(manner: Manner, tree: Tree, sockets: Arc<dyn Sockets>) -> Result<Switch, StartError> {
        let Manner { trace, options, log } = manner;
        let turn = tokio::sync::Mutex::new(Warned::of(&tree.loaded.problems));
        let Generation { mut conf, globals, tree, dialplan, directory, acls } = Generation::of(tree);
        let now = Leg::now();
        let switch = &conf.switch;
        let engine = EngineConfig {
            ports: PortRange::new(switch.rtp_start_port, switch.rtp_end_port),
            ..EngineConfig::default()
        };
        let mut secret = [0; 32];
        rand::rngs::OsRng.try_fill_bytes(&mut secret).map_err(|_| StartError::Random)?;
        let acls = Arc::new(ArcSwap::new(acls));
        let exchange = Arc::new(Exchange {
            legs: Arc::new(Legs::default()),
            gate: Gate::new(switch.max_sessions, switch.sessions_per_second, now),
            media: Engine::start(engine).map_err(StartError::Media)?,
            events: Bus::new(Host::of(&globals, conf.switch.switchname.as_deref())),
            past: Default::default(),
            stores: stores(&globals),
            globals,
            directory: Directory::new(directory),
            registrar: Registrar::new(now, Bounds::default()),
            presence: Arc::new(Board::default()),
            acls,
            allow_system: switch.allow_system.into(),
            tree: ArcSwap::new(tree),
            agents: ArcSwap::from_pointee(Agents::new()),
            gateways: ArcSwap::default(),
            functions: Default::default(),
            router: Default::default(),
            programs: Default::default(),
            recorder: Default::default(),
        });
        exchange.stores.fifos.configure(&conf.fifo);
        let _ = exchange.functions.set(Box::new(OnLegs));
        let records = Arc::new(Records::start(&conf.cdr).map_err(StartError::Records)?);
        let _ = exchange.recorder.set(records.clone());
        let plans: Plans = Arc::new(ArcSwap::new(dialplan));
        let _ = exchange.router.set(Arc::new(Calls::new(plans.clone())));
        let shared = Shared {
            exchange: exchange.clone(),
            plans: plans.clone(),
            auth: Arc::new(Authenticator::new(&secret, Authenticator::DEFAULT_USES)),
            sockets,
            dns: Arc::default(),
        };
        shared.dns.set_servers(&conf.switch.dns_servers);
        let (dns, auth) = (shared.dns.clone(), shared.auth.clone());
        let (profiles, closed) = Profiles::open(&conf.sofia.profiles, shared, trace)?;
        let profiles = Arc::new(profiles);
        let expiry = tokio::spawn(serve_expiry(profiles.clone(), exchange.clone(), auth));
        let board = exchange.presence.clone();
        let watches = tokio::spawn(async move { board.serve().await });
        let feed = log.as_ref().map(|log| log.feed());
        let whole = Arc::new(Whole::new(options, log));
        let desk = Desk::new(exchange.clone(), whole.clone());
        let errands = tokio::spawn(app::serve_errands(exchange.clone(), api::put_off(desk.clone())));
        let event_socket = match conf.event_socket.take() {
            Some(settings) => {
                Some(EventSocket::start(settings, conf.switch.event_heartbeat_interval, desk, feed)?)
            }
            None => None,
        };
        if let Some(socket) = &event_socket {
            let _ = exchange.programs.set(socket.programs());
        }
        exchange.events.fire(EventName::Startup, || vec![("Event-Info".into(), "System Ready".to_owned())]);
        let core = Arc::new(Core {
            exchange: exchange.clone(),
            plans,
            records,
            profiles,
            dns,
            event_socket,
            lamps: Lamps::default(),
            turn,
        });
        whole.found(&core);
        Ok(Switch { exchange, core, whole, closed, expiry, watches, errands })
    }

    /// One line for each profile that could not be opened.
    pub fn closed(&self) -> impl Iterator<Item = String> {
        self.closed.iter().map(|error| format!("NOT OPEN: {error}"))
    }

    /// One line for each listening socket.
    pub fn sockets(&self) -> Vec<String> {
        let lines = |profile: &Arc<Profile>| {
            let net = profile.agent.net();
            let udp = net.map(|n| n.udp_addresses()).unwrap_or_default().into_iter().map(|a| ("udp", a));
            let tcp = net.map(|n| n.tcp_addresses()).unwrap_or_default().into_iter().map(|a| ("tcp", a));
            let line = |(kind, at)| format!("profile {} listens on {kind} {at}", profile.agent.name);
            udp.chain(tcp).map(line).collect::<Vec<_>>()
        };
        let event_socket = self.core.event_socket.iter().map(ToString::to_string);
        self.core.profiles.running().iter().flat_map(lines).chain(event_socket).collect()
    }

    /// How many requests outside dialogs are in transactions, all profiles together.
    pub fn transactions(&self) -> usize {
        self.core.profiles.running().iter().map(|profile| profile.transactions()).sum()
    }

    /// Takes a new tree: dialplan, directory, access lists, limits, profiles, gateways. Calls in progress do not notice.
    /// A tree with errors is refused whole, and so is one that needs a socket which cannot be opened. Answers what has
    /// changed, by name.
    pub async fn reload(&self, tree: Tree) -> Result<String, Vec<String>> {
        self.core.reload(tree).await
    }

    /// What a SIGHUP is for: reads the configuration again as it was read at the start, and takes it over; begins new files
    /// of call records where it says so, also when it is refused.
    pub async fn reread(&self) -> Result<String, Vec<String>> {
        let taken = self.whole.reload().await;
        self.core.records.rotate();
        taken
    }

    /// Where the event socket listens.
    pub fn event_socket(&self) -> Option<std::net::SocketAddr> {
        self.core.event_socket.as_ref()?.address()
    }

    /// Where commands work.
    pub fn desk(&self) -> Desk {
        Desk::new(self.exchange.clone(), self.whole.clone())
    }

    /// Waits until a command ends the process.
    pub async fn end(&self) {
        self.whole.end().await;
    }

    /// Takes no new calls from now on, and waits until the last has ended or `grace` is over; what is left then is
    /// hung up with SYSTEM_SHUTDOWN.
    pub async fn drain(&self, grace: Duration) {
        self.exchange.gate.drain();
        let legs = &self.exchange.legs;
        let deadline = Leg::now() + grace;
        if !legs.is_empty() {
            info!("waiting up to {} s for {} legs", grace.as_secs(), legs.len());
        }
        wait_until(deadline, || legs.is_empty()).await;
        if !legs.is_empty() {
            warn!("{} legs are still up and are ended now", legs.len());
            for mailbox in legs.mailboxes() {
                mailbox.post(Letter::Order(Order::Hangup(Cause::SYSTEM_SHUTDOWN)));
            }
            wait_until(Leg::now() + Duration::from_secs(2), || legs.is_empty()).await;
        }
    }

    /// Closes every socket and thread.
    pub async fn stop(self) {
        self.exchange.gate.drain();
        let headers = || vec![("Event-Info".into(), "System Shutting Down".to_owned())];
        self.exchange.events.fire(EventName::Shutdown, headers);
        for mailbox in self.exchange.legs.mailboxes() {
            mailbox.post(Letter::Order(Order::Hangup(Cause::SYSTEM_SHUTDOWN)));
        }
        wait_until(Leg::now() + Duration::from_secs(1), || self.exchange.legs.is_empty()).await;
        if let Some(socket) = &self.core.event_socket {
            socket.stop();
        }
        self.expiry.abort();
        self.core.profiles.stop().await;
        self.watches.abort();
        self.errands.abort();
        self.exchange.media.stop();
        self.core.records.stop();
    }
}

impl Core {
    /// Takes a new tree: dialplan, directory, access lists, limits, profiles, gateways. Calls in progress do not notice.
    /// A tree with errors is refused whole, and so is one that needs a socket which cannot be opened. Answers what has
    /// changed.
    async fn reload(&self, tree: Tree) -> Result<String, Vec<String>> {
        let mut warned = self.turn.lock().await;
        let errors: Vec<String> = tree.errors().map(ToString::to_string).collect();
        if !errors.is_empty() {
            return Err(errors);
        }
        let (news, warnings) = (warned.news(&tree.loaded.problems), Warned::of(&tree.loaded.problems));
        let exchange = self.exchange.clone();
        let build = move || {
            let next = Generation::of(tree);
            let differences = next.differences(&exchange);
            (next, differences)
        };
        let built = tokio::task::spawn_blocking(build).await.map_err(|failed| vec![failed.to_string()]);
        let (next, differences) = built?;
        let turn = self.profiles.prepare(&next.conf.sofia.profiles).await?;
        let exchange = &self.exchange;
        let mut said = vec![format!(
            "{} users (were {}), {} extensions (were {})",
            next.directory.len(),
            exchange.directory.snapshot().len(),
            next.dialplan.extensions(),
            self.plans.load().extensions()
        )];
        said.extend(differences);
        let switch = &next.conf.switch;
        self.dns.set_servers(&switch.dns_servers);
        let old = Old {
            acls: exchange.acls.swap(next.acls),
            directory: exchange.directory.replace(next.directory),
            tree: exchange.tree.swap(next.tree),
            dialplan: self.plans.swap(next.dialplan),
        };
        exchange.presence.touch_all();
        exchange.stores.fifos.configure(&next.conf.fifo);
        exchange.globals.adopt(&next.globals);
        exchange.gate.set(switch.max_sessions, switch.sessions_per_second);
        exchange.media.set_ports(PortRange::new(switch.rtp_start_port, switch.rtp_end_port));
        exchange.allow_system.store(switch.allow_system, Ordering::Relaxed);
        let later = match (&self.event_socket, &next.conf.event_socket) {
            (Some(socket), Some(settings)) => socket
                .reload(settings.clone(), switch.event_heartbeat_interval)
                .then_some("the event socket moves at the next start only"),
            (None, Some(_)) => {
                Some("mod_event_socket is loaded now: the event socket listens after a restart only")
            }
            (Some(_), None) => {
                Some("mod_event_socket is not loaded any more: the event socket closes after a restart only")
            }
            (None, None) => None,
        };
        said.extend(later.map(str::to_owned));
        self.records.reload(&next.conf.cdr);
        said.extend(self.profiles.turn(turn, &exchange.directory.snapshot()));
        exchange.events.fire(EventName::ReloadXml, Vec::new);
        news.iter().for_each(|line| warn!("{line}"));
        *warned = warnings;
        tokio::spawn(old.forget());
        Ok(said.join("; "))
    }
}

async fn wait_until(deadline: Instant, done: impl Fn() -> bool) {
    while !done() && Leg::now() < deadline {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The addresses a profile's settings come to.
fn opening(profile: &ProfileConf) -> Opening {
    let local = match &profile.sip_ip {
        config::sofia::Address::Ip(ip) if ip.is_ipv6() => local_ip_v6(),
        _ => local_ip_v4(),
    };
    let ask = |external: &Option<External>| external.as_ref().and_then(|e| external_address(e, local));
    Opening {
        local: Some(local),
        external_sip: ask(&profile.ext_sip_ip),
        external_rtp: ask(&profile.ext_rtp_ip),
    }
}

/// What `ext-sip-ip` or `ext-rtp-ip` comes to; names and STUN servers are asked, 2 s at most.
fn external_address(external: &External, local: IpAddr) -> Option<IpAddr> {
    let ask = match external {
        External::Ip(ip) => return Some(*ip),
        External::Auto | External::AutoNat => return Some(local),
        External::Stun { host, port } => Ask::Stun { host: host.clone(), port: *port },
        External::Host(name) => Ask::Host { name: name.clone() },
    };
    match look_up(&ask, Duration::from_secs(2)) {
        Ok(ip) => Some(ip),
        Err(error) => {
            warn!("{ask:?}: {error}; the local address is taken");
            None
        }
    }
}

/// Answers what the configuration asks of the network, from a thread of its own.
pub fn look_up(ask: &Ask, limit: Duration) -> Result<IpAddr, String> {
    let ask = ask.clone();
    let work = move || {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
        runtime.block_on(async {
            let asked = async {
                match ask {
                    Ask::Stun { host, port } => stun::mapped_address(&format!("{host}:{port}"))
                        .await
                        .map(|a| a.ip())
                        .map_err(|e| e.to_string()),
                    Ask::Host { name } => tokio::net::lookup_host((name.as_str(), 0))
                        .await
                        .map_err(|e| e.to_string())?
                        .next()
                        .map(|a| a.ip())
                        .ok_or_else(|| "the name has no address".to_owned()),
                }
            };
            tokio::time::timeout(limit, asked).await.unwrap_or_else(|_| Err("no answer in time".to_owned()))
        })
    };
    match std::thread::Builder::new().name("look-up".to_owned()).spawn(work) {
        Ok(thread) => thread.join().unwrap_or_else(|_| Err("the look-up failed".to_owned())),
        Err(error) => Err(error.to_string()),
    }
}

/// A tree less its users, which may be many and are kept as look-ups.
fn without_directory(mut root: Element) -> Element {
    for section in root.children.iter_mut().filter(|s| s.attr("name") == Some("directory")) {
        section.children = Vec::new();
    }
    root
}

/// The stores, `db` in the tree's `$${db_dir}`.
fn stores(globals: &Globals) -> Stores {
    match globals.get("db_dir") {
        Some(folder) => Stores::open(Path::new(&*folder)),
        None => Stores::in_memory(),
    }
}

/// The access lists of a tree, with the networks of the directory's users in them.
fn acls(conf: &Conf, directory: &Snapshot) -> Acls {
    let v4 = match local_ip_v4() {
        IpAddr::V4(ip) => Ipv4Net::new(ip, 24).ok(),
        IpAddr::V6(_) => None,
    };
    Acls::compile(&conf.acl, LocalNet { v4, v6: None }, |domain| directory.networks(domain))
}

/// The least time between two looks for registrations whose time is over.
const EXPIRY_PAUSE: Duration = Duration::from_millis(100);

/// Drops registrations whose time is over, many at a time: a look-up does not find them any more as it is. Has phones pinged
/// whose turn it is. Tells how many challenges were not told one by one.
async fn serve_expiry(profiles: Arc<Profiles>, exchange: Arc<Exchange>, auth: Arc<Authenticator>) {
    let (began, mut seconds) = (Leg::now(), 0);
    loop {
        let (soonest, soon) = (Leg::now() + EXPIRY_PAUSE, Leg::now() + Duration::from_secs(1));
        let next = exchange.registrar.next_timeout().map_or(soon, |at| at.clamp(soonest, soon));
        tokio::time::sleep_until(next.into()).await;
        let running = profiles.running();
        running.iter().for_each(|profile| profile.forget_answers());
        let now = Leg::now().saturating_duration_since(began).as_secs();
        for second in (seconds + 1).max(now.saturating_sub(5))..=now {
            running.iter().for_each(|profile| profile.ping_phones(second));
        }
        seconds = now;
        for (source, count) in auth.challenged.counts(Leg::now()) {
            warn!("{count} more requests from {source} were challenged in the last minute");
        }
        for binding in exchange.registrar.expire(Leg::now()) {
            if let Some(profile) = running.iter().find(|p| *p.agent.name == *binding.profile) {
                profile.registration_gone(&binding, Gone::Expired);
            }
        }
    }
}
