//! From one leg of a dial string to the addresses to call: `user/`, `sofia/`, `group/`, `error/`.
//!
//! Checked against FreeSWITCH's `user_outgoing_channel`, `group_outgoing_channel`, `error_outgoing_channel`
//! (mod_dptools.c) and `sofia_outgoing_channel` (mod_sofia.c).

use super::string::{self, DialString};
use crate::channel::{Cause, Leg, Through, UserAgent};
use crate::config::sofia::FromDomain;
use crate::dialplan::expand;
use crate::gateway::Gateway;
use crate::net::address_of;
use crate::registrar::Binding;
use crate::sip::{Destination, NameAddr, ParseError, Text, Transport, Uri};
use std::sync::Arc;
use tracing::{info, warn};

/// How deep dial strings may name one another: `user/` → its dial-string → …
const DEEPEST: usize = 8;
/// How many further addresses of its host a call tries.
const OTHERS: usize = 7;
/// How many addresses one leg may stand for.
const MOST: usize = 64;

/// One address to call.
#[derive(Clone, Debug)]
pub struct Target {
    /// The profile to call from.
    pub agent: Arc<UserAgent>,
    /// The Request-URI.
    pub uri: Uri,
    /// Where to send.
    pub destination: Destination,
    /// Where else, when that fails.
    pub others: Vec<Destination>,
    /// The gateway it goes through.
    pub gateway: Option<Through>,
    /// Path of a registered contact.
    pub routes: Vec<NameAddr>,
    /// Whom it stands for: the dialled number.
    pub number: Arc<str>,
    /// `{}` and `[]` of the dial string, outermost first; the last of a name counts.
    pub variables: Vec<(String, String)>,
}

/// What a leg of a dial string stands for: targets, or why there is none.
pub type Found = Vec<Result<Target, Cause>>;

impl Target {
    /// Looks its host up (RFC 3263), so that the call knows every address it may try. One that has none keeps its name,
    /// and fails by it.
    pub async fn resolve(mut self) -> Target {
        let Some(net) = self.agent.net().filter(|_| address_of(&self.destination).is_none()) else {
            return self;
        };
        let mut found = net.candidates(&self.destination).await.into_iter();
        if let Some(first) = found.next() {
            self.destination = first;
            self.others = found.take(OTHERS).collect();
            if let Some(through) = &self.gateway {
                let all = std::iter::once(&self.destination).chain(&self.others);
                through.gateway.add_peers(all.filter_map(address_of));
            }
        }
        self
    }
}

/// The state of one look-up.
struct Search<'a> {
    leg: &'a mut Leg,
    depth: usize,
    /// The user last dialled, whose registrations `sofia/…` of its dial-string means.
    dialled: Option<(String, String)>,
    variables: Vec<(String, String)>,
}

/// Finds what `called` stands for, for the caller `leg`.
pub fn find(leg: &mut Leg, called: &string::Leg) -> Found {
    let mut search = Search { leg, depth: 0, dialled: None, variables: called.variables.clone() };
    let mut found = search.leg(called);
    found.truncate(MOST);
    found
}

impl Search<'_> {
    fn leg(&mut self, called: &string::Leg) -> Found {
        match called.endpoint.to_ascii_lowercase().as_str() {
            "user" => self.user(&called.address),
            "group" => self.group(&called.address),
            "sofia" => self.sofia(called),
            "error" => vec![Err(Cause::parse(&called.address).unwrap_or(Cause::DESTINATION_OUT_OF_ORDER))],
            "loopback" | "null" | "pickup" | "verto.rtc" | "rtmp" | "skinny" | "freetdm" => {
                warn!("{}: endpoint {}/ is not provided yet", self.leg.uuid, called.endpoint);
                vec![Err(Cause::CHAN_NOT_IMPLEMENTED)]
            }
            _ => {
                warn!("{}: there is no endpoint {}/", self.leg.uuid, called.endpoint);
                vec![Err(Cause::CHAN_NOT_IMPLEMENTED)]
            }
        }
    }

    /// Everything a dial string inside another stands for. Stages lose their order: all ring together.
    fn inner(&mut self, text: &str) -> Found {
        if self.depth >= DEEPEST {
            warn!("{}: dial strings name one another without end: {text}", self.leg.uuid);
            return vec![Err(Cause::INVALID_IE_CONTENTS)];
        }
        let parsed = match DialString::parse(text) {
            Ok(parsed) => parsed,
            Err(error) => {
                warn!("{}: dial string {text:?}: {error}", self.leg.uuid);
                return vec![Err(Cause::INVALID_URL)];
            }
        };
        self.depth += 1;
        let mut found = Found::new();
        let outer = self.variables.clone();
        for member in &parsed.members {
            for called in member.stages.iter().flatten() {
                // The inner string's own are the defaults; what the caller of `user/` wrote wins.
                let inner = parsed.variables.iter().chain(&member.variables).chain(&called.variables);
                self.variables = inner.chain(&outer).cloned().collect();
                found.extend(self.leg(called));
            }
        }
        self.variables = outer;
        self.depth -= 1;
        found
    }

    /// `user/1000[@domain]`: the directory's dial-string for that user.
    fn user(&mut self, address: &str) -> Found {
        let (user, domain) = match address.split_once('@') {
            Some((user, domain)) => (user.to_owned(), domain.to_owned()),
            None => (address.to_owned(), self.leg.exchange.domain()),
        };
        let Some(entry) = self.leg.exchange.directory.user(&user, &domain) else {
            info!("{}: there is no user {user}@{domain} in the directory", self.leg.uuid);
            return vec![Err(Cause::SUBSCRIBER_ABSENT)];
        };
        let Some(dial_string) = entry.param("dial-string").map(str::to_owned) else {
            warn!("{}: user {user}@{domain} has no dial-string ({})", self.leg.uuid, entry.at);
            return vec![Err(Cause::MANDATORY_IE_MISSING)];
        };
        for (name, value) in entry.params() {
            if let Some(name) = name.strip_prefix("dial-var-") {
                self.variables.insert(0, (name.to_owned(), value.to_owned()));
            }
        }
        self.leg.variables.set_wire("dialed_user", user.clone());
        self.leg.variables.set("dialed_domain", domain.clone());
        let text = expand(&dial_string, &*self.leg);
        let before = self.dialled.replace((user, domain));
        let found = self.inner(&text);
        self.dialled = before;
        found
    }

    /// `group/name[@domain][+A|+F|+E]`: its members' dial strings.
    fn group(&mut self, address: &str) -> Found {
        let (address, _order) = address.split_once('+').unwrap_or((address, ""));
        let (name, domain) = match address.split_once('@') {
            Some((name, domain)) => (name.to_owned(), domain.to_owned()),
            None => (address.to_owned(), self.leg.exchange.domain()),
        };
        let snapshot = self.leg.exchange.directory.snapshot();
        let Some(group) = snapshot.group(&name, &domain) else {
            info!("{}: there is no group {name}@{domain} in the directory", self.leg.uuid);
            return vec![Err(Cause::NO_ROUTE_DESTINATION)];
        };
        let members: Vec<String> = group.members.iter().map(|m| m.address()).collect();
        members.iter().flat_map(|member| self.user(member)).collect()
    }

    /// `sofia/PROFILE/…`: an address, `user%domain` for the registered contacts, or a URI with `fs_path`.
    fn sofia(&mut self, called: &string::Leg) -> Found {
        let Some((profile, rest)) = called.address.split_once('/') else {
            return vec![Err(Cause::INVALID_URL)];
        };
        if profile.eq_ignore_ascii_case("gateway") {
            return vec![self.gateway(called, rest)];
        }
        let Some(agent) = self.leg.exchange.agent(profile) else {
            warn!("{}: {}: there is no profile {profile}", self.leg.uuid, called.url());
            return vec![Err(Cause::INVALID_PROFILE)];
        };
        if let Some((user, domain)) =
            rest.split_once('%').filter(|_| !rest.contains('@') && !rest.contains(':'))
        {
            return self.registered(&agent, user, domain);
        }
        if !rest.contains('@') && !rest.contains(':') && !rest.contains('.') {
            let domain = self.leg.exchange.domain();
            return self.registered(&agent, rest, &domain);
        }
        if let Some((user, domain)) = self.dialled.clone() {
            let now = Leg::now();
            let bindings = self.leg.exchange.registrar.lookup_at(now, &agent.name, &user, &domain);
            if let Some(binding) = bindings.iter().find(|b| b.dial_string() == called.url()) {
                return vec![self.binding(&agent, binding)];
            }
        }
        let text = if rest.contains(':') && rest.parse::<Uri>().is_ok_and(|u| u.is_sip()) {
            rest.to_owned()
        } else {
            format!("sip:{rest}")
        };
        match text.parse::<Uri>() {
            Ok(uri) if uri.is_sip() => {
                let path = uri.param("fs_path").map(percent_decoded).and_then(|p| p.parse::<Uri>().ok());
                let uri = uri.without_param("fs_path").without_param("fs_nat");
                vec![Ok(Target {
                    destination: Destination::of(path.as_ref().unwrap_or(&uri)),
                    number: uri.user().unwrap_or_default().into(),
                    uri,
                    agent,
                    others: Vec::new(),
                    gateway: None,
                    routes: Vec::new(),
                    variables: self.variables.clone(),
                })]
            }
            _ => {
                warn!("{}: {} is no address to call", self.leg.uuid, called.url());
                vec![Err(Cause::INVALID_URL)]
            }
        }
    }

    /// `sofia/gateway/NAME/number[;params]`, NAME alone or as `PROFILE::NAME`.
    fn gateway(&mut self, called: &string::Leg, rest: &str) -> Result<Target, Cause> {
        let (uuid, url) = (&self.leg.uuid, called.url());
        let Some((name, number)) = rest.split_once('/').filter(|(_, number)| !number.is_empty()) else {
            warn!("{uuid}: {url}: write sofia/gateway/NAME/number");
            return Err(Cause::INVALID_URL);
        };
        let exchange = &self.leg.exchange;
        let Some(gateway) = exchange.gateways.load().find(name).cloned() else {
            warn!("{uuid}: {url}: there is no gateway {name}");
            return Err(Cause::INVALID_GATEWAY);
        };
        let Some(agent) = exchange.agent(&gateway.profile) else {
            warn!("{uuid}: {url}: its profile {} is not open", gateway.profile);
            return Err(Cause::INVALID_GATEWAY);
        };
        if !gateway.is_up() {
            warn!("{uuid}: {url}: the gateway is down ({})", gateway.status().state);
            gateway.count(true, true);
            return Err(Cause::GATEWAY_DOWN);
        }
        let (number, params) = number.split_once(';').unwrap_or((number, ""));
        let param = |text: &str| match text.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (text.to_owned(), None),
        };
        let params: Vec<_> = params.split(';').filter(|p| !p.is_empty()).map(param).collect();
        let ours = gateway.conf.transport.unwrap_or(Transport::Udp).as_param();
        let other = |(name, value): &(String, Option<String>)| {
            name.eq_ignore_ascii_case("transport")
                && !value.as_deref().unwrap_or("").eq_ignore_ascii_case(ours)
        };
        if params.iter().any(other) {
            warn!(
                "{uuid}: {url}: the gateway's transport is {ours}; register-transport says so, not the dial string"
            );
            return Err(Cause::DESTINATION_OUT_OF_ORDER);
        }
        let Some(uri) = gateway.request_uri(number) else {
            warn!("{uuid}: {url} is no address to call");
            return Err(Cause::INVALID_URL);
        };
        let uri = params.iter().fold(uri, |uri, (name, value)| uri.with_param(name, value.as_deref()));
        gateway.count(true, false);
        let mut variables: Vec<(String, String)> =
            gateway.variables(true).map(|v| (v.name.clone(), v.value.clone())).collect();
        variables.push(("sip_gateway_name".to_owned(), gateway.conf.name.clone()));
        if let FromDomain::Host(host) = &gateway.conf.from_domain {
            variables.push(("sip_invite_domain".to_owned(), host.clone()));
        }
        variables.extend(self.variables.iter().cloned());
        Ok(Target {
            destination: gateway.next_hop(&uri),
            others: Vec::new(),
            routes: Gateway::route(gateway.conf.outbound_proxy.as_ref()).into_iter().collect(),
            number: number.into(),
            uri,
            agent,
            variables,
            gateway: Some(Through { gateway, params }),
        })
    }

    fn registered(&mut self, agent: &Arc<UserAgent>, user: &str, domain: &str) -> Found {
        let bindings = self.leg.exchange.registrar.lookup_at(Leg::now(), &agent.name, user, domain);
        if bindings.is_empty() {
            return vec![Err(Cause::USER_NOT_REGISTERED)];
        }
        self.dialled = Some((user.to_owned(), domain.to_owned()));
        bindings.iter().map(|binding| self.binding(agent, binding)).collect()
    }

    /// A registered contact: the Request-URI is the Contact exactly as the phone gave it.
    fn binding(&self, agent: &Arc<UserAgent>, binding: &Binding) -> Result<Target, Cause> {
        let uri = binding.uri().parse::<Uri>().map_err(|_| Cause::INVALID_URL)?;
        let routes = binding.path.as_deref().map(path).transpose().map_err(|_| Cause::INVALID_URL)?;
        let number = self.dialled.as_ref().map_or(&*binding.user, |(user, _)| user).into();
        Ok(Target {
            agent: agent.clone(),
            uri,
            destination: binding.destination(),
            others: Vec::new(),
            gateway: None,
            routes: routes.unwrap_or_default(),
            number,
            variables: self.variables.clone(),
        })
    }
}

fn path(text: &str) -> Result<Vec<NameAddr>, ParseError> {
    let mut routes = Vec::new();
    NameAddr::parse_list(&Text::from(text), &mut routes)?;
    Ok(routes)
}

fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match text.get(at + 1..at + 3).and_then(|h| u8::from_str_radix(h, 16).ok()) {
            Some(value) if byte == b'%' => {
                out.push(value);
                at += 3;
            }
            _ => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
