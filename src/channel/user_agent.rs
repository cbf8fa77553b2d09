//! What a leg needs of its SIP profile: its name, addresses, settings, and the way to the net.

use super::departed::Departed;
use super::identity::CidType;
use super::letter::Letter;
use super::mailbox::Mailbox;
use super::trace::peer_of;
use super::variables::Variables;
use crate::config::sofia::{self, ProfileConf};
use crate::dialog::SessionConfig;
use crate::gateway::Gateway;
use crate::media::Timeouts;
use crate::net::acl::Acls;
use crate::net::{Net, Report};
use crate::sdp::{Negotiation, Prefs, Rules};
use crate::sip::digest::Login;
use crate::sip::{Destination, Transport};
use crate::transaction::{Id, Timers};
use arc_swap::ArcSwap;
use bytes::Bytes;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Where a leg's media are: bound to one address, named by another.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MediaAddress {
    /// What the sockets are bound to.
    pub bind: IpAddr,
    /// What stands in the description.
    pub advertised: IpAddr,
}

/// A profile as its legs see it.
pub struct UserAgent {
    /// The profile's name.
    pub name: String,
    /// Its settings.
    pub conf: ProfileConf,
    /// Its own address, where it listens.
    pub local: SocketAddr,
    /// The address others see it at (`ext-sip-ip`, `ext-sip-port`).
    pub external: Option<SocketAddr>,
    /// Addresses media are bound to (`rtp-ip`), used in turn.
    pub rtp: Vec<IpAddr>,
    /// The address others see media at (`ext-rtp-ip`).
    pub external_rtp: Option<IpAddr>,
    /// The access lists as of the last load.
    pub acls: Arc<ArcSwap<Acls>>,
    /// Log every message.
    pub trace: AtomicBool,
    /// The context its calls begin in.
    pub context: Arc<str>,
    /// The dialplans its calls ask.
    pub dialplan: Arc<str>,
    inbound: Arc<Prefs>,
    outbound: Arc<Prefs>,
    /// Its legs that are gone, as long as something may come again for them.
    pub departed: Arc<Departed>,
    /// Its calls that are over: inbound, outbound, and those of them that were not answered.
    pub ended: Arc<[AtomicU64; 4]>,
    net: OnceLock<Net>,
    /// What its sessions share, by whether the peer sees our own address or the external one.
    sessions: [OnceLock<Arc<SessionConfig>>; 2],
    /// Its two addresses as text, in the same order.
    addresses: [OnceLock<String>; 2],
    host: OnceLock<String>,
    turn: AtomicUsize,
}

/// The methods we know. PUBLISH is answered 489 until there is an event package for it.
const ALLOW: &str =
    "INVITE, ACK, BYE, CANCEL, OPTIONS, MESSAGE, INFO, UPDATE, REGISTER, REFER, NOTIFY, PUBLISH, SUBSCRIBE";

impl UserAgent {
    /// A profile that is not open yet.
    pub fn new(conf: ProfileConf, local: SocketAddr, rtp: Vec<IpAddr>, acls: Arc<ArcSwap<Acls>>) -> Self {
        // As there, a list that is not given is the other one.
        let prefs = |said: &Option<Prefs>, other: &Option<Prefs>| {
            let said = said.as_ref().or(other.as_ref()).cloned();
            Arc::new(said.unwrap_or_else(|| Prefs::parse(DEFAULT_CODECS)))
        };
        Self {
            name: conf.name.clone(),
            context: conf.context.as_str().into(),
            dialplan: conf.dialplan.as_str().into(),
            inbound: prefs(&conf.inbound_codec_prefs, &conf.outbound_codec_prefs),
            outbound: prefs(&conf.outbound_codec_prefs, &conf.inbound_codec_prefs),
            trace: conf.sip_trace.into(),
            departed: Arc::new(Departed::new(&timers_of(&conf))),
            ended: Arc::default(),
            conf,
            local,
            external: None,
            rtp,
            external_rtp: None,
            acls,
            net: OnceLock::new(),
            sessions: Default::default(),
            addresses: Default::default(),
            host: OnceLock::new(),
            turn: 0.into(),
        }
    }

    /// Gives the profile its open sockets. Once.
    pub fn open(&self, net: Net) {
        let _ = self.net.set(net);
    }

    /// The open sockets.
    pub fn net(&self) -> Option<&Net> {
        self.net.get()
    }

    //------------ Addresses ------------------------------------------------------------------------------------

    /// True when `peer` sees our own address and not the external one (`local-network-acl`).
    pub fn is_near(&self, peer: IpAddr) -> bool {
        match &self.conf.local_network_acl {
            Some(list) => self.acls.load().allows(list, peer, 0),
            None => false,
        }
    }

    /// Our SIP address as `peer` must see it.
    pub fn address_for(&self, peer: IpAddr) -> SocketAddr {
        match self.external {
            Some(external) if !self.is_near(peer) => external,
            _ => self.local,
        }
    }

    /// Our media address as `peer` must see it.
    pub fn media_address_for(&self, peer: IpAddr) -> MediaAddress {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let same = |ip: &&IpAddr| ip.is_ipv4() == peer.is_ipv4();
        let fitting = self.rtp.iter().filter(same);
        let count = fitting.clone().count().max(1);
        let bind = fitting.clone().nth(turn % count).copied().unwrap_or(self.local.ip());
        let advertised = match self.external_rtp {
            Some(external) if !self.is_near(peer) && external.is_ipv4() == bind.is_ipv4() => external,
            _ => bind,
        };
        MediaAddress { bind, advertised }
    }

    /// Our Contact towards `peer`: `<sip:mod_sofia@192.0.2.1:5060>`, the transport named when it is not UDP or
    /// when `user` is a called number (FreeSWITCH's two forms).
    pub fn contact(&self, user: Option<&str>, peer: IpAddr, transport: Transport) -> String {
        let address = self.address_for(peer);
        let text = self.place_of(address, &self.addresses).get_or_init(|| address.to_string());
        let name = transport.as_param();
        let ours = &self.conf.contact_user;
        match user.map(super::identity::user_part) {
            Some(user) => ["<sip:", &user, "@", text, ";transport=", name, ">"].concat(),
            None if transport == Transport::Udp => ["<sip:", ours, "@", text, ">"].concat(),
            None => ["<sip:", ours, "@", text, ";transport=", name, ">"].concat(),
        }
    }

    /// Which of two belongs to `address`: the first is of our own address, the second of the external one.
    fn place_of<'a, T>(&self, address: SocketAddr, places: &'a [T; 2]) -> &'a T {
        let [own, external] = places;
        if address == self.local { own } else { external }
    }

    /// The host part of identities we make: our address without the port.
    pub fn host(&self) -> &str {
        self.host.get_or_init(|| match self.external.unwrap_or(self.local).ip() {
            IpAddr::V6(ip) => format!("[{ip}]"),
            ip @ IpAddr::V4(_) => ip.to_string(),
        })
    }

    //------------ Identity and rules ---------------------------------------------------------------------------

    /// User-Agent, unless it is left out.
    pub fn user_agent(&self) -> Option<String> {
        match &self.conf.user_agent_string {
            sofia::UserAgent::Own => Some(concat!("tandem/", env!("CARGO_PKG_VERSION")).to_owned()),
            sofia::UserAgent::Omitted => None,
            sofia::UserAgent::Text(text) => Some(text.clone()),
        }
    }

    /// Allow.
    pub fn allow(&self) -> String {
        if self.conf.enable_100rel { format!("{ALLOW}, PRACK") } else { ALLOW.to_owned() }
    }

    /// Supported.
    pub fn supported(&self) -> String {
        let mut tags = Vec::new();
        if self.conf.enable_timer {
            tags.push("timer");
        }
        tags.extend(["path", "replaces"]);
        if self.conf.enable_100rel {
            tags.push("100rel");
        }
        tags.join(", ")
    }

    /// T1, T2, T4 and 64·T1.
    pub fn timers(&self) -> Timers {
        timers_of(&self.conf)
    }

    /// What all sessions with such a peer have in common.
    pub fn sessions(&self, peer: IpAddr) -> Arc<SessionConfig> {
        let address = self.address_for(peer);
        let make = || {
            let sent_by = address.to_string();
            Arc::new(SessionConfig {
                sent_by: vec![(Transport::Udp, sent_by.clone()), (Transport::Tcp, sent_by)],
                user_agent: self.user_agent(),
                allow: self.allow(),
                supported: self.supported(),
                timers: self.timers(),
                session_expires: self.conf.session_timeout.filter(|s| *s > 0),
                min_se: self.conf.minimum_session_expires.unwrap_or(0),
                enable_timer: self.conf.enable_timer,
                reliable_provisional: self.conf.enable_100rel,
                ..SessionConfig::default()
            })
        };
        self.place_of(address, &self.sessions).get_or_init(make).clone()
    }

    /// One more call is over.
    pub fn count_ended(&self, outbound: bool, answered: bool) {
        let [inbound_all, outbound_all, inbound_failed, outbound_failed] = &*self.ended;
        let (all, failed) =
            if outbound { (outbound_all, outbound_failed) } else { (inbound_all, inbound_failed) };
        all.fetch_add(1, Ordering::Relaxed);
        if !answered {
            failed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How the caller is shown.
    pub fn cid_type(&self) -> CidType {
        match self.conf.caller_id_type {
            sofia::CallerIdType::Rpid => CidType::Rpid,
            sofia::CallerIdType::Pid => CidType::Pid,
            sofia::CallerIdType::None => CidType::None,
        }
    }

    /// Whose codec order decides.
    pub fn negotiation(&self) -> Negotiation {
        self.conf.inbound_codec_negotiation
    }

    /// What we take from callers.
    pub fn inbound_prefs(&self) -> Arc<Prefs> {
        self.inbound.clone()
    }

    /// What we offer to the called side.
    pub fn outbound_prefs(&self) -> Arc<Prefs> {
        self.outbound.clone()
    }

    /// What every description of this profile has.
    pub fn rules(&self) -> Rules {
        Rules {
            event_pt: (self.conf.dtmf_type == sofia::DtmfType::Rfc2833).then_some(self.conf.rfc2833_pt),
            suppress_noise: self.conf.suppress_cng,
            ..Rules::default()
        }
    }

    /// How long the media may be silent, talking and on hold.
    pub fn media_timeouts(&self) -> Timeouts {
        let seconds = |s: Option<u32>| s.filter(|s| *s > 0).map(|s| Duration::from_secs(s.into()));
        Timeouts { media: seconds(self.conf.rtp_timeout_sec), hold: seconds(self.conf.rtp_hold_timeout_sec) }
    }

    /// The same, bent by a leg's `media_timeout` and `media_hold_timeout` (or their older `rtp_…_sec` names), in seconds.
    pub fn media_timeouts_for(&self, variables: &Variables) -> Timeouts {
        // the old names count seconds, the new ones milliseconds (FreeSWITCH's check_media_timeout_params)
        let said = |name: &str, unit: fn(u64) -> Duration| {
            let time = unit(variables.get(name)?.trim().parse().ok()?);
            Some(Some(time).filter(|t| !t.is_zero()))
        };
        let either = |new: &str, old: &str| {
            said(new, Duration::from_millis).or_else(|| said(old, Duration::from_secs))
        };
        let usual = self.media_timeouts();
        Timeouts {
            media: either("media_timeout", "rtp_timeout_sec").unwrap_or(usual.media),
            hold: either("media_hold_timeout", "rtp_hold_timeout_sec").unwrap_or(usual.hold),
        }
    }

    /// What answers the challenges of a gateway.
    pub fn gateway_login(&self, gateway: &Arc<Gateway>) -> Login {
        let acls = self.acls.clone();
        gateway.login(move |list, address| acls.load().allows(list, address, 0))
    }

    //------------ The way out ----------------------------------------------------------------------------------

    /// Sends a message. When it cannot be delivered, `tell` hears of it with `by`.
    pub fn send(&self, bytes: Bytes, to: &Destination, by: Option<Id>, tell: &Mailbox) {
        match by {
            Some(id) => {
                let mailbox = tell.clone();
                self.send_reporting(bytes, to, move |report| {
                    let letter = match report {
                        Report::Failed(error) => Letter::Undelivered { by: id, error },
                        Report::OverStream(_) => Letter::OverStream { by: id },
                    };
                    mailbox.post(letter);
                });
            }
            None => self.send_reporting(bytes, to, |_| {}),
        }
    }

    /// The same; `report` is called when the message does not go out as it was meant to. See [`Net::send`].
    pub fn send_reporting(
        &self,
        bytes: Bytes,
        to: &Destination,
        report: impl FnOnce(Report) + Send + 'static,
    ) {
        let Some(net) = self.net() else { return };
        self.trace("send", &bytes, || peer_of(to));
        net.send(bytes, to, report);
    }
}

fn timers_of(conf: &ProfileConf) -> Timers {
    let ms = |ms: u32| Duration::from_millis(ms.into());
    Timers {
        t1: ms(conf.timer_t1),
        t2: ms(conf.timer_t2),
        t4: ms(conf.timer_t4),
        t1x64: ms(conf.timer_t1x64),
    }
}

/// What a profile without codec lists takes and offers.
const DEFAULT_CODECS: &str = "PCMU,PCMA,telephone-event";

impl fmt::Debug for UserAgent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserAgent")
            .field("name", &self.name)
            .field("local", &self.local)
            .finish_non_exhaustive()
    }
}
