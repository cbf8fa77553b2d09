//! One gateway as the rest of the switch sees it.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::config::sofia::{FromDomain, GatewayConf, GatewayVariable};
use crate::sip::digest::{Login, Trust};
use crate::sip::{Destination, NameAddr, Transport, Uri};

use super::State;

/// How many addresses of a gateway are remembered.
const PEERS: usize = 32;

/// What is known of a gateway now.
#[derive(Clone, Debug)]
pub struct Status {
    /// Where its registration stands.
    pub state: State,
    /// Calls may go there: it is registered, or is not to be, and answers when it is pinged.
    pub up: bool,
    /// Up since then.
    pub since: Option<Instant>,
    /// When the registration is refreshed next.
    pub refresh: Option<Instant>,
    /// When it is tried again after a failure.
    pub retry: Option<Instant>,
    /// Failures in a row.
    pub failures: u32,
    /// The status and phrase of the last final answer; 908 for none.
    pub last: Option<(u16, String)>,
    /// Points of its pings, up to `ping-max`.
    pub points: i32,
    /// How long the last ping took, in milliseconds.
    pub ping_ms: Option<f64>,
}

/// Calls in and out since the start, and those of them that failed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// Calls from it.
    pub inbound: u64,
    /// Calls to it.
    pub outbound: u64,
    /// Calls from it that were not answered.
    pub failed_inbound: u64,
    /// Calls to it that were not answered, or not begun because it was down.
    pub failed_outbound: u64,
}

/// A gateway: its settings and its state.
#[derive(Debug)]
pub struct Gateway {
    /// Its settings.
    pub conf: GatewayConf,
    /// The profile it belongs to.
    pub profile: String,
    status: Mutex<Status>,
    /// The addresses its hosts have, as far as they were asked for: the rest of the world gets no password.
    peers: Mutex<Vec<IpAddr>>,
    counts: [AtomicU64; 4],
}

impl Gateway {
    /// A gateway that has not been begun. One that is not to register is up until a ping says otherwise.
    pub fn new(conf: GatewayConf, profile: &str, now: Instant) -> Gateway {
        let (state, up) = if conf.register { (State::Unreged, false) } else { (State::Noreg, true) };
        let status = Status {
            state,
            up,
            since: up.then_some(now),
            refresh: None,
            retry: None,
            failures: 0,
            last: None,
            points: 0,
            ping_ms: None,
        };
        let hosts = [Some(&conf.proxy), conf.register_proxy.as_ref(), conf.outbound_proxy.as_ref()];
        let peers = hosts.into_iter().flatten().filter_map(|uri| uri.host().parse().ok()).collect();
        Gateway {
            conf,
            profile: profile.to_owned(),
            status: Mutex::new(status),
            peers: Mutex::new(peers),
            counts: Default::default(),
        }
    }

    /// The same gateway with other settings, or in a profile that is called otherwise now: what is known of it and its
    /// counts go on.
    pub fn succeeded_by(&self, conf: GatewayConf, profile: &str, now: Instant) -> Gateway {
        let next = Gateway::new(conf, profile, now);
        next.set_status(self.status());
        next.add_peers(lock(&self.peers).iter().copied());
        for (count, before) in next.counts.iter().zip(&self.counts) {
            count.store(before.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        next
    }

    /// `PROFILE::NAME`.
    pub fn full_name(&self) -> String {
        format!("{}::{}", self.profile, self.conf.name)
    }

    //------------ What is known of it -------------------------------------------------------------------------

    /// What is known of it now.
    pub fn status(&self) -> Status {
        lock(&self.status).clone()
    }

    /// Calls may go there.
    pub fn is_up(&self) -> bool {
        lock(&self.status).up
    }

    /// Says what is known of it now.
    pub fn set_status(&self, status: Status) {
        *lock(&self.status) = status;
    }

    /// Its hosts have these addresses too.
    pub fn add_peers(&self, addresses: impl IntoIterator<Item = IpAddr>) {
        let mut peers = lock(&self.peers);
        for address in addresses {
            if let Some(known) = peers.iter().position(|p| *p == address) {
                peers.remove(known);
            } else if peers.len() >= PEERS {
                peers.remove(0); // the one not heard of for longest
            }
            peers.push(address);
        }
    }

    /// Whether one of its hosts has this address, as far as is known.
    pub fn is_peer(&self, address: IpAddr) -> bool {
        lock(&self.peers).contains(&address)
    }

    /// Calls so far.
    pub fn counts(&self) -> Counts {
        let [inbound, outbound, failed_inbound, failed_outbound] =
            [0, 1, 2, 3].map(|n: usize| self.counts.get(n).map_or(0, |c| c.load(Ordering::Relaxed)));
        Counts { inbound, outbound, failed_inbound, failed_outbound }
    }

    /// One more call from it, or to it.
    pub fn count(&self, outbound: bool, failed: bool) {
        let index = usize::from(outbound) + 2 * usize::from(failed);
        if let Some(count) = self.counts.get(index) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    //------------ How calls through it look -------------------------------------------------------------------

    /// Where REGISTER and OPTIONS go.
    pub fn registrar(&self) -> Destination {
        self.over(Destination::of(self.conf.register_proxy.as_ref().unwrap_or(&self.conf.proxy)))
    }

    /// Where an INVITE for `uri` goes.
    pub fn next_hop(&self, uri: &Uri) -> Destination {
        self.over(Destination::of(self.conf.outbound_proxy.as_ref().unwrap_or(uri)))
    }

    /// The Route a request gets: the outbound proxy's, when it is written with `lr`.
    pub fn route(proxy: Option<&Uri>) -> Option<NameAddr> {
        proxy.filter(|uri| uri.is_loose()).map(|uri| NameAddr::new(uri.clone()))
    }

    fn over(&self, to: Destination) -> Destination {
        match (to, self.conf.transport) {
            (Destination::Host { host, port, .. }, Some(transport)) => {
                Destination::Host { transport: Some(transport), host, port }
            }
            (to, _) => to,
        }
    }

    /// The Request-URI for a dialled number, or for `number@host`.
    pub fn request_uri(&self, number: &str) -> Option<Uri> {
        let number = format!("{}{number}", self.conf.destination_prefix);
        match number.rsplit_once('@') {
            Some((user, host)) => {
                let uri = format!("sip:{host}").parse::<Uri>().ok()?;
                Some(uri.with_user(Some(user)))
            }
            None => Some(self.conf.proxy.with_user(Some(&number))),
        }
        .filter(|uri| uri.is_sip() && uri.headers().is_none())
    }

    /// Our address there: From of REGISTER, and of calls unless the caller's number stands in it.
    pub fn address(&self) -> Uri {
        match &self.conf.from_domain {
            FromDomain::Host(host) => self.address_at(host),
            FromDomain::Proxy | FromDomain::AlegFull | FromDomain::AlegDomain => {
                Uri::sip(Some(&self.conf.from_user), self.conf.proxy.host(), self.conf.proxy.port())
            }
        }
    }

    /// The same at another host, which may have a port.
    pub fn address_at(&self, host: &str) -> Uri {
        let at = format!("sip:{host}").parse::<Uri>().ok().filter(Uri::is_sip);
        let (host, port) = at.as_ref().map_or((host, None), |uri| (uri.host(), uri.port()));
        Uri::sip(Some(&self.conf.from_user), host, port)
    }

    /// Our Contact there: `<sip:gw+NAME@ours;transport=udp;gw=NAME>`. `ours` is our address as the gateway sees it,
    /// `own` what we listen on, `params` more URI parameters.
    pub fn contact(&self, ours: SocketAddr, own: IpAddr, params: &[(&str, Option<&str>)]) -> String {
        let conf = &self.conf;
        let user = match conf.extension_in_contact {
            true => conf.contact_extension().to_owned(),
            false => format!("gw+{}", conf.name),
        };
        let host = match conf.contact_host.as_deref() {
            Some(word) if word.eq_ignore_ascii_case("sip-ip") => own.to_string(),
            Some(host) => host.to_owned(),
            None => ours.ip().to_string(),
        };
        let mut uri = Uri::sip(Some(&user), &host, Some(ours.port()));
        for param in conf.contact_params.split(';').map(str::trim).filter(|p| !p.is_empty()) {
            let (name, value) = param.split_once('=').map_or((param, None), |(n, v)| (n, Some(v)));
            uri = uri.with_param(name, value);
        }
        let transport = conf.transport.unwrap_or(Transport::Udp);
        uri = uri.with_param("transport", Some(transport.as_param())).with_param("gw", Some(&conf.name));
        for (name, value) in params {
            uri = uri.with_param(name, *value);
        }
        let mut contact = format!("<{uri}>");
        if let Some(reg_id) = &conf.reg_id {
            let name = format!("{}\n{}\n{}", self.profile, conf.name, self.address());
            let hash = uuid::Builder::from_md5_bytes(md5(name.as_bytes())).into_uuid();
            contact.push_str(&format!(";reg-id={reg_id};+sip.instance=\"<urn:uuid:{hash}>\""));
        }
        contact
    }

    /// What answers its challenges; from its own hosts alone, or from those that `listed` (its `gw-auth-acl`) lets in.
    pub fn login(
        self: &std::sync::Arc<Self>,
        listed: impl Fn(&str, IpAddr) -> bool + Send + Sync + 'static,
    ) -> Login {
        let gateway = self.clone();
        let trust: Trust = std::sync::Arc::new(move |address| match &gateway.conf.gw_auth_acl {
            Some(list) => listed(list, address),
            None => gateway.is_peer(address),
        });
        Login::new(&self.conf.auth_username, &self.conf.password).only_for(trust)
    }

    /// Variables for calls to it (`outbound`) or from it.
    pub fn variables(&self, outbound: bool) -> impl Iterator<Item = &GatewayVariable> {
        self.conf.variables.iter().filter(move |v| if outbound { v.outbound } else { v.inbound })
    }
}

fn md5(text: &[u8]) -> [u8; 16] {
    use md5::{Digest, Md5};
    Md5::digest(text).into()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
pub(super) use tests::gateway as for_test;

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;
    use std::sync::Arc;

    /// A gateway of these parameters.
    pub(in super::super) fn gateway(params: &[(&str, &str)]) -> Arc<Gateway> {
        let params: String =
            params.iter().map(|(n, v)| format!("<param name=\"{n}\" value=\"{v}\"/>")).collect();
        let text = format!(
            "<document><section name=\"configuration\"><configuration name=\"sofia.conf\"><profiles>\
             <profile name=\"external\"><gateways><gateway name=\"carrier\">{params}</gateway></gateways><settings/>\
             </profile></profiles></configuration></section></document>"
        );
        let mut loaded = crate::config::parse("x.xml", &text, &crate::config::Options::new("/nowhere"));
        let conf = crate::config::conf::Conf::read(&mut loaded);
        let conf = conf.sofia.profiles[0].gateways[0].clone();
        Arc::new(Gateway::new(conf, "external", Instant::now()))
    }

    fn ours() -> (SocketAddr, IpAddr) {
        ("203.0.113.5:5080".parse().unwrap(), "10.0.0.5".parse().unwrap())
    }

    #[test]
    fn contacts_are_freeswitchs() {
        let (at, own) = ours();
        let user = [("username", "u"), ("password", "p"), ("proxy", "192.0.2.9")];
        let with = |more: &[(&str, &str)]| gateway(&[&user[..], more].concat()).contact(at, own, &[]);
        for (more, expected) in [
            (vec![], "<sip:gw+carrier@203.0.113.5:5080;transport=udp;gw=carrier>"),
            (vec![("extension-in-contact", "true")], "<sip:u@203.0.113.5:5080;transport=udp;gw=carrier>"),
            (
                vec![("extension-in-contact", "true"), ("extension", "17"), ("register-transport", "tcp")],
                "<sip:17@203.0.113.5:5080;transport=tcp;gw=carrier>",
            ),
            (vec![("contact-host", "sip-ip")], "<sip:gw+carrier@10.0.0.5:5080;transport=udp;gw=carrier>"),
            (
                vec![("contact-host", "pbx.example"), ("contact-params", ";a=b;lr")],
                "<sip:gw+carrier@pbx.example:5080;a=b;lr;transport=udp;gw=carrier>",
            ),
        ] {
            assert_eq!(with(&more), expected, "{more:?}");
        }
        let instance = with(&[("rfc-5626", "true"), ("reg-id", "2")]);
        assert!(instance.contains(">;reg-id=2;+sip.instance=\"<urn:uuid:"), "{instance}");
        assert_eq!(instance, with(&[("rfc-5626", "true"), ("reg-id", "2")]), "the same after a restart");
    }

    #[test]
    fn numbers_become_uris() {
        let peer = [("register", "false"), ("proxy", "sip:p.example:5070;transport=tcp")];
        let g = gateway(&peer);
        for (number, expected) in [
            ("004930", Some("sip:004930@p.example:5070;transport=tcp")),
            ("+49 30", Some("sip:+49%2030@p.example:5070;transport=tcp")),
            ("1@h.example", Some("sip:1@h.example")),
            ("1@h.example?X=y", None),
            ("1?X=y", Some("sip:1?X=y@p.example:5070;transport=tcp")),
        ] {
            assert_eq!(g.request_uri(number).map(|u| u.to_string()).as_deref(), expected, "{number}");
        }
        let g = gateway(&[("register", "false"), ("proxy", "p.example"), ("destination-prefix", "99")]);
        assert_eq!(g.request_uri("1").unwrap().as_str(), "sip:991@p.example");
    }

    #[test]
    fn addresses_and_ways() {
        let g = gateway(&[("username", "u"), ("password", "p"), ("proxy", "p.example:5070")]);
        assert_eq!(g.address().as_str(), "sip:u@p.example:5070");
        let host = |h: &str, transport, port| Destination::Host { transport, host: h.into(), port };
        assert_eq!(g.registrar(), host("p.example", None, Some(5070)));
        let g = gateway(&[
            ("username", "u"),
            ("password", "p"),
            ("proxy", "p.example"),
            ("from-domain", "f.example"),
            ("from-user", "fu"),
            ("register-proxy", "r.example"),
            ("outbound-proxy", "o.example:5090;lr"),
            ("register-transport", "tcp"),
        ]);
        assert_eq!(g.address().as_str(), "sip:fu@f.example");
        assert_eq!(g.registrar(), host("r.example", Some(Transport::Tcp), None));
        let uri = g.request_uri("1").unwrap();
        assert_eq!(g.next_hop(&uri), host("o.example", Some(Transport::Tcp), Some(5090)));
        assert!(Gateway::route(g.conf.outbound_proxy.as_ref()).is_some());
        assert!(Gateway::route(g.conf.register_proxy.as_ref()).is_none());
    }

    #[test]
    fn only_its_own_hosts_are_peers() {
        let g = gateway(&[("username", "u"), ("password", "p"), ("proxy", "192.0.2.9")]);
        let (own, other) = ("192.0.2.9".parse().unwrap(), "198.51.100.1".parse().unwrap());
        assert!(g.is_peer(own) && !g.is_peer(other));
        g.add_peers([other]);
        assert!(g.is_peer(other));
        g.add_peers((0..100).map(|n| IpAddr::from([10, 0, 0, n])));
        assert_eq!(lock(&g.peers).len(), PEERS);
    }
}
