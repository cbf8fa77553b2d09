//! Opening a profile: which addresses, which sockets.

use super::gateways::Clients;
use super::watching::Audience;
use crate::app::Plans;
use crate::channel::{Exchange, Leg, Token, UserAgent};
use crate::config::sofia::{Address, ProfileConf};
use crate::directory::auth::{Authenticator, Rules};
use crate::net::{Dns, FloodGuard, GuardConf, Net, NetConf, Sockets, StartError};
use crate::registrar::Policy;
use crate::sip::{Builder, Name};
use crate::transaction::{Answered, MergeGuard};
use arc_swap::ArcSwap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;
use tracing::warn;

/// Bytes of answers a profile keeps for copies of their requests. At 32 s and some 130 bytes each this is what it remembers
/// of 40,000 registrations a second.
const ANSWERED: usize = 160 << 20;
/// Bytes of notes on INVITEs that were refused without a transaction, and how long each is kept: as long as a copy may
/// still be on its way. 40,000 refusals a second fit.
const REFUSED: usize = 8 << 20;
const REFUSED_FOR: Duration = Duration::from_secs(8);
/// How long a profile that closes waits for its registrations to be taken back.
const LEAVE: Duration = Duration::from_secs(2);
/// How many INVITEs are remembered to recognise one that comes twice by different ways.
const MERGES: usize = 65_536;

/// What a profile needs of the switch.
#[derive(Clone)]
pub struct Shared {
    /// What all legs share.
    pub exchange: Arc<Exchange>,
    /// The dialplan.
    pub plans: Plans,
    /// Who checks logins.
    pub auth: Arc<Authenticator>,
    /// Where sockets come from.
    pub sockets: Arc<dyn Sockets>,
    /// What is known of names.
    pub dns: Arc<Dns>,
}

/// Addresses of a profile that had to be asked for before it opens.
#[derive(Clone, Debug, Default)]
pub struct Opening {
    /// The address of the default route, for `auto`.
    pub local: Option<IpAddr>,
    /// What `ext-sip-ip` came to.
    pub external_sip: Option<IpAddr>,
    /// What `ext-rtp-ip` came to.
    pub external_rtp: Option<IpAddr>,
}

/// Why a profile could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// `sip-ip` names no address of ours.
    #[error("profile {profile}: sip-ip {address} is not to be found on this machine")]
    NoAddress {
        /// Which profile.
        profile: String,
        /// What was written.
        address: String,
    },
    /// A socket could not be opened.
    #[error("profile {profile}: {source}")]
    Socket {
        /// Which profile.
        profile: String,
        /// Why.
        source: StartError,
    },
}

/// A running profile.
pub struct Profile {
    /// What its legs see of it.
    pub agent: Arc<UserAgent>,
    pub(super) shared: Shared,
    pub(super) rules: Rules,
    pub(super) guard: Arc<FloodGuard>,
    pub(super) merges: Arc<Mutex<MergeGuard>>,
    /// What was done for requests outside dialogs, and answered.
    pub(super) answered: Arc<Answered>,
    /// The rules for registrations that users may bend.
    pub(super) policy: Policy,
    /// INVITEs that were refused for want of room, so that a copy read later does not begin a call the caller gave up.
    pub(super) refused: Arc<Answered>,
    /// The header lines every answer has.
    pub(super) own_lines: Box<[u8]>,
    /// Its gateways at work.
    pub(super) clients: Arc<Clients>,
    /// Those who watch users by it.
    pub(super) audience: Arc<Audience>,
    /// Where its sockets find it, or who takes its place.
    ear: Arc<ArcSwap<Weak<Profile>>>,
    /// It only serves the calls that are up.
    pub(super) retired: AtomicBool,
}

impl Profile {
    /// Opens a profile's sockets and begins to serve.
    pub fn start(conf: ProfileConf, opening: &Opening, shared: Shared) -> Result<Arc<Profile>, ProfileError> {
        let local = Profile::place(&conf, opening)?;
        let rules = Rules::of(&conf);
        let per_second = conf.max_recv_requests_per_second;
        let name = conf.name.clone();
        let agent = agent(conf, local, opening, &shared);
        let guard =
            Arc::new(FloodGuard::new(GuardConf { requests_total: per_second, ..GuardConf::default() }));
        let timers = agent.timers();
        let (own_lines, policy) = (own_lines(&agent), Policy::of(&agent.conf));
        let net = NetConf {
            udp: vec![local],
            tcp: vec![local],
            guard: Some(guard.clone()),
            dns: shared.dns.clone(),
            window: shared.exchange.gate.window.clone(),
            // Every tag of a leg is its token.
            ours: Some(|tag| Token::read(tag).is_some()),
            ..NetConf::default()
        };
        // The net needs the profile and the profile the net; what comes before both are there comes again.
        let ear: Arc<ArcSwap<Weak<Profile>>> = Arc::new(ArcSwap::from_pointee(Weak::new()));
        let heard = ear.clone();
        let net = Net::start(net, shared.sockets.clone(), move |incoming| {
            if let Some(profile) = heard.load().upgrade() {
                profile.receive(incoming);
            }
        })
        .map_err(|source| ProfileError::Socket { profile: name, source })?;
        agent.open(net);
        let profile = Arc::new(Profile {
            agent: Arc::new(agent),
            rules,
            guard,
            merges: Arc::new(Mutex::new(MergeGuard::new(MERGES, Duration::from_secs(32)))),
            answered: Arc::new(Answered::new(timers.t1x64, ANSWERED)),
            refused: Arc::new(Answered::new(REFUSED_FOR, REFUSED)),
            policy,
            own_lines,
            clients: Arc::default(),
            audience: Arc::default(),
            ear,
            retired: AtomicBool::new(false),
            shared,
        });
        profile.ear.store(Arc::new(Arc::downgrade(&profile)));
        Ok(profile)
    }

    /// The address a profile with these settings listens on.
    pub fn place(conf: &ProfileConf, opening: &Opening) -> Result<SocketAddr, ProfileError> {
        let ip = address(&conf.sip_ip, opening).ok_or_else(|| ProfileError::NoAddress {
            profile: conf.name.clone(),
            address: conf.sip_ip.to_string(),
        })?;
        Ok(SocketAddr::new(ip, conf.sip_port.unwrap_or(0)))
    }

    /// The same profile with other settings, on the same sockets, once it [takes over](Self::take_over). Its calls keep
    /// the settings they began with; what is remembered of messages goes on.
    pub fn renewed(&self, conf: ProfileConf, opening: &Opening) -> Arc<Profile> {
        let rules = Rules::of(&conf);
        let mut agent = agent(conf, self.agent.local, opening, &self.shared);
        agent.departed = self.agent.departed.clone();
        agent.ended = self.agent.ended.clone();
        if let Some(net) = self.agent.net() {
            agent.open(net.clone());
        }
        let (own_lines, policy) = (own_lines(&agent), Policy::of(&agent.conf));
        Arc::new(Profile {
            agent: Arc::new(agent),
            rules,
            guard: self.guard.clone(),
            merges: self.merges.clone(),
            answered: self.answered.clone(),
            refused: self.refused.clone(),
            policy,
            own_lines,
            clients: self.clients.clone(),
            audience: self.audience.clone(),
            ear: self.ear.clone(),
            retired: AtomicBool::new(false),
            shared: self.shared.clone(),
        })
    }

    /// From now on this one hears what the sockets receive.
    pub fn take_over(self: &Arc<Self>) {
        self.guard.set_total(self.agent.conf.max_recv_requests_per_second);
        self.ear.store(Arc::new(Arc::downgrade(self)));
    }

    /// Takes nothing new any more; once its last call is over its sockets are closed.
    pub async fn retire(self: Arc<Self>) {
        self.retired.store(true, Ordering::Relaxed);
        self.end_watches(LEAVE).await;
        self.end_gateways(LEAVE).await;
        // Every leg has a share of the agent.
        while Arc::strong_count(&self.agent) > 1 {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        self.stop().await;
    }

    /// Ends its subscriptions, takes back its registrations and closes the sockets. Legs that are still up cannot be heard any more.
    pub async fn stop(&self) {
        self.end_watches(LEAVE).await;
        self.end_gateways(LEAVE).await;
        if let Some(net) = self.agent.net() {
            net.stop().await;
        }
    }

    /// How many requests outside dialogs are remembered with their answers, and how many legs that are gone.
    pub fn transactions(&self) -> usize {
        self.forget_answers();
        self.answered.len() + self.agent.departed.len()
    }

    /// Forgets answers whose time is over. To be called now and then, for a profile that nobody asks anything.
    pub fn forget_answers(&self) {
        self.answered.forget_old(Leg::now());
        self.refused.forget_old(Leg::now());
        self.agent.departed.forget(Leg::now());
    }
}

/// Waits until `done`, or `deadline`.
pub(super) async fn wait_until(deadline: std::time::Instant, done: impl Fn() -> bool) {
    while !done() && Leg::now() < deadline {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The profile as its legs see it, its sockets not open yet.
fn agent(conf: ProfileConf, local: SocketAddr, opening: &Opening, shared: &Shared) -> UserAgent {
    let ip = local.ip();
    let rtp: Vec<IpAddr> = conf.rtp_ip.iter().filter_map(|a| address(a, opening)).collect();
    let rtp = if rtp.is_empty() { vec![ip] } else { rtp };
    let mut agent = UserAgent::new(conf, local, rtp, shared.exchange.acls.clone());
    let port = agent.conf.ext_sip_port.unwrap_or(local.port());
    // An address of the other family is no use to a peer that reaches us by this one.
    let external = |e: &IpAddr| *e != ip && e.is_ipv4() == ip.is_ipv4();
    agent.external = opening.external_sip.filter(external).map(|e| SocketAddr::new(e, port));
    let family = |e: &IpAddr| agent.rtp.iter().any(|r| r.is_ipv4() == e.is_ipv4());
    agent.external_rtp = opening.external_rtp.filter(|e| !agent.rtp.contains(e) && family(e));
    agent
}

/// User-Agent, Allow and Supported, which do not change while the profile is open.
fn own_lines(agent: &UserAgent) -> Box<[u8]> {
    let lines = Builder::fragment()
        .header_opt(Name::UserAgent, agent.user_agent())
        .header(Name::Allow, agent.allow())
        .header(Name::Supported, agent.supported());
    lines.written().into()
}

/// The address a parameter names.
fn address(wanted: &Address, opening: &Opening) -> Option<IpAddr> {
    match wanted {
        Address::Auto => opening.local,
        Address::Ip(ip) => Some(*ip),
        Address::Interface { name, .. } => {
            warn!("interface:{name} is not provided yet; the address of the default route is taken");
            opening.local
        }
    }
}
