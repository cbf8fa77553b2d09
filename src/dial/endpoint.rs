//! From one leg of a dial string to the addresses to call: `user/`, `group/`, `sofia/`, `loopback/`, `null/`, `error/`.
//!
//! Checked against FreeSWITCH's `user_outgoing_channel`, `group_outgoing_channel`, `error_outgoing_channel`
//! (mod_dptools.c), `sofia_outgoing_channel` (mod_sofia.c), `channel_outgoing_channel` and `null_channel_outgoing_channel`
//! (mod_loopback.c).

use super::string::{self, DialString, find};
use crate::channel::variables::is_true;
use crate::channel::{Cause, Inside, Leg, Through, UserAgent};
use crate::config::sofia::FromDomain;
use crate::dialplan::expand;
use crate::gateway::Gateway;
use crate::net::address_of;
use crate::registrar::Binding;
use crate::sip::{Destination, NameAddr, ParseError, Text, Transport, Uri, unescape};
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
    /// It is a call to ourselves, which goes on there.
    pub inside: Option<Inside>,
    /// Path of a registered contact.
    pub routes: Vec<NameAddr>,
    /// Whom To names, when that is not the Request-URI: what follows `^`.
    pub to: Option<String>,
    /// Whom it stands for: the dialled number.
    pub number: Arc<str>,
    /// The context the called leg would be routed in (`user_context`).
    pub context: Option<Arc<str>>,
    /// What the dial strings on the way brought, innermost first; the last of a name counts.
    pub variables: Vec<(String, String)>,
    /// The called user's own variables: the leg's once it is called.
    pub own: Vec<(String, String)>,
}

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

    /// The endpoint it belongs to: `sofia`, `loopback`.
    pub fn endpoint(&self) -> &'static str {
        if self.inside.is_some() { "loopback" } else { "sofia" }
    }

    /// `sofia/internal/1000@example.com`.
    pub fn name(&self) -> String {
        match self.inside {
            Some(_) => format!("loopback/{}-a", self.number),
            None => format!("sofia/{}/{}@{}", self.agent.name, self.number, self.uri.host()),
        }
    }
}

/// What a leg of a dial string stands for: steps one after another, each of addresses that ring together. For an address
/// that cannot be had, the reason.
pub type Steps = Vec<Vec<Result<Target, Cause>>>;

/// A user that a look-up goes through.
#[derive(Clone, Debug, Default)]
struct Dialled {
    user: String,
    domain: String,
    own: Vec<(String, String)>,
}

/// The state of one look-up.
struct Search<'a> {
    leg: &'a mut Leg,
    depth: usize,
    /// The user last dialled, whose registrations `sofia/…` of its dial-string means.
    dialled: Option<Dialled>,
    /// Variables of the dial strings on the way.
    variables: Vec<(String, String)>,
    /// The same with those round the leg: for what must be known while looking up.
    outer: &'a [(String, String)],
    left: usize,
}

/// Finds what `called` stands for, for the caller `leg`; `outer` are the variables round it.
pub fn find_steps(leg: &mut Leg, called: &string::Leg, outer: &[(String, String)]) -> Steps {
    let mut search =
        Search { leg, depth: 0, dialled: None, variables: called.variables.clone(), outer, left: MOST };
    let mut steps = search.leg(called);
    // The leg's own are put on by whoever calls: they are not part of the ground.
    for target in steps.iter_mut().flatten().flatten() {
        target.variables.truncate(target.variables.len().saturating_sub(called.variables.len()));
    }
    steps.retain(|step| !step.is_empty());
    if steps.is_empty() {
        steps.push(vec![Err(Cause::DESTINATION_OUT_OF_ORDER)]);
    }
    steps
}

fn fails(cause: Cause) -> Steps {
    vec![vec![Err(cause)]]
}

impl Search<'_> {
    fn leg(&mut self, called: &string::Leg) -> Steps {
        match called.endpoint.to_ascii_lowercase().as_str() {
            "user" => self.user(&called.address),
            "group" => self.group(&called.address),
            "sofia" => self.sofia(called),
            "error" => match Cause::parse_or_clearing(&called.address) {
                Cause::NONE => fails(Cause::DESTINATION_OUT_OF_ORDER),
                cause => fails(cause),
            },
            "loopback" => vec![vec![self.loopback(called)]],
            "null" => vec![vec![self.null(called)]],
            "pickup" => vec![vec![Ok(self.pickup(called))]],
            "verto.rtc" | "rtmp" | "skinny" | "freetdm" => {
                warn!("{}: endpoint {}/ is not provided yet", self.leg.uuid, called.endpoint);
                fails(Cause::CHAN_NOT_IMPLEMENTED)
            }
            _ => {
                warn!("{}: there is no endpoint {}/", self.leg.uuid, called.endpoint);
                fails(Cause::CHAN_NOT_IMPLEMENTED)
            }
        }
    }

    /// Everything a dial string inside another stands for: its stages are steps, its members ring together.
    ///
    /// What is said inside is the default of what is said outside; `ground` is the default of both.
    fn inner(&mut self, text: &str, ground: &[(String, String)]) -> Steps {
        if self.depth >= DEEPEST {
            warn!("{}: dial strings name one another without end: {text}", self.leg.uuid);
            return fails(Cause::INVALID_IE_CONTENTS);
        }
        let parsed = match DialString::parse(text) {
            Ok(parsed) => parsed,
            Err(error) => {
                warn!("{}: dial string {text:?}: {error}", self.leg.uuid);
                return fails(Cause::INVALID_URL);
            }
        };
        self.depth += 1;
        let mut steps = Steps::new();
        let outer = self.variables.clone();
        for member in &parsed.members {
            let mut first = 0;
            for stage in &member.stages {
                let mut longest = 0;
                for called in stage {
                    let inner = parsed.variables.iter().chain(&member.variables).chain(&called.variables);
                    self.variables = ground.iter().chain(inner).chain(&outer).cloned().collect();
                    let found = self.leg(called);
                    longest = longest.max(found.len());
                    for (step, found) in (first..).zip(found) {
                        if steps.len() <= step {
                            steps.resize_with(step + 1, Vec::new);
                        }
                        let room = self.left.min(found.len());
                        self.left -= room;
                        if let Some(into) = steps.get_mut(step) {
                            into.extend(found.into_iter().take(room));
                        }
                    }
                }
                first += longest;
            }
        }
        self.variables = outer;
        self.depth -= 1;
        steps
    }

    /// A variable of the dial strings, innermost scope last.
    fn said(&self, name: &str) -> Option<&str> {
        find(&self.variables, name).or_else(|| find(self.outer, name))
    }

    /// `user/1000[@domain]`: the directory's dial-string for that user.
    fn user(&mut self, address: &str) -> Steps {
        let (user, domain) = match address.split_once('@') {
            Some((user, domain)) => (user.to_owned(), domain.to_owned()),
            None => (address.to_owned(), self.leg.exchange.domain()),
        };
        let Some(entry) = self.leg.exchange.directory.user(&user, &domain) else {
            info!("{}: there is no user {user}@{domain} in the directory", self.leg.uuid);
            return fails(Cause::SUBSCRIBER_ABSENT);
        };
        let Some(dial_string) = entry.param("dial-string").map(str::to_owned) else {
            warn!("{}: user {user}@{domain} has no dial-string ({})", self.leg.uuid, entry.at);
            return fails(Cause::MANDATORY_IE_MISSING);
        };
        let id = entry.id.to_string();
        let mut ground: Vec<(String, String)> = Vec::new();
        for (name, value) in entry.params() {
            if name.get(..9).is_some_and(|n| n.eq_ignore_ascii_case("dial-var-"))
                && let Some(name) = name.get(9..).filter(|n| !n.is_empty())
            {
                ground.push((name.to_owned(), value.to_owned()));
            }
        }
        ground.push(("dialed_user".to_owned(), id.clone()));
        ground.push(("dialed_domain".to_owned(), domain.clone()));
        if !dial_string.contains("presence_id=") {
            ground.push(("presence_id".to_owned(), format!("{id}@{domain}")));
        }
        self.leg.variables.set_wire("dialed_user", &id);
        self.leg.variables.set("dialed_domain", &domain);
        let text = expand(&dial_string, &*self.leg);
        if text.to_ascii_lowercase().contains(&format!("user/{id}").to_ascii_lowercase()) {
            warn!("{}: the dial-string of user {id}@{domain} calls the same user: {text}", self.leg.uuid);
            return fails(Cause::INVALID_IE_CONTENTS);
        }
        let own = entry.variables().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let before = self.dialled.replace(Dialled { user: id, domain, own });
        let found = self.inner(&text, &ground);
        self.dialled = before;
        found
    }

    /// `group/name[@domain][+A|+F|+E]`: what `group_call` says of it.
    fn group(&mut self, address: &str) -> Steps {
        let (name, flags) = address.split_once('+').unwrap_or((address, ""));
        let (group, domain) = match name.split_once('@') {
            Some((group, domain)) => (group, domain.to_owned()),
            None => (name, self.leg.exchange.domain()),
        };
        if self.leg.exchange.directory.snapshot().group(group, &domain).is_none() {
            info!("{}: there is no group {group}@{domain} in the directory", self.leg.uuid);
            return fails(Cause::NO_ROUTE_DESTINATION);
        }
        let query = match flags {
            "" => format!("{group}@{domain}"),
            flags => format!("{group}@{domain}+{flags}"),
        };
        let functions = self.leg.exchange.functions.get();
        let members = functions.and_then(|f| f.call(self.leg, "group_call", &query, true));
        let Some((members, _)) = members else { return fails(Cause::NO_ROUTE_DESTINATION) };
        self.inner(&members, &[])
    }

    //------------ loopback/ and null/ --------------------------------------------------------------------------

    /// `loopback/number[/context[/dialplan]]`, `loopback/app=NAME[:DATA]`.
    fn loopback(&mut self, called: &string::Leg) -> Result<Target, Cause> {
        let address = called.address.as_str();
        let app = address.get(..4).filter(|head| head.eq_ignore_ascii_case("app=")).and(address.get(4..));
        if (app.is_some() || address.contains('/')) && self.is_wires(address) {
            warn!(
                "{}: {}: an application or a context that may be the caller's own text; not called",
                self.leg.uuid,
                called.url()
            );
            return Err(Cause::INVALID_URL);
        }
        let text = |text: &str| Some(text).filter(|t| !t.is_empty()).map(Arc::<str>::from);
        let (number, inside) = match app {
            Some(app) => {
                let (name, data) = app.split_once(':').unwrap_or((app, ""));
                let destination = format!("pre_answer,{name}:${{loopback_app_arg}}");
                let variables = vec![
                    ("loopback_app", name.to_owned(), called.wire),
                    ("loopback_app_arg", data.to_owned(), called.wire),
                ];
                (
                    name,
                    Inside {
                        destination: destination.into(),
                        context: None,
                        dialplan: text("inline"),
                        variables,
                    },
                )
            }
            None => {
                let mut parts = address.splitn(3, '/');
                let number = parts.next().filter(|n| !n.is_empty()).unwrap_or("service");
                let (context, dialplan) = (parts.next().and_then(text), parts.next().and_then(text));
                let context = context.or_else(|| text(&self.leg.caller.context)).or_else(|| text("default"));
                let usual =
                    || Some(self.leg.caller.dialplan.clone()).filter(|d| !d.eq_ignore_ascii_case("inline"));
                let dialplan = dialplan.or_else(usual).or_else(|| text("XML"));
                (number, Inside { destination: number.into(), context, dialplan, variables: Vec::new() })
            }
        };
        Ok(self.target_inside(number, inside))
    }

    /// `null/…`: answers after `null_auto_answer_delay` ms (never with `null_enable_auto_answer=false`) and hears nothing.
    fn null(&mut self, called: &string::Leg) -> Result<Target, Cause> {
        if let Some(cause) = self.said("null_hangup_cause").and_then(Cause::parse) {
            return Err(cause);
        }
        let truth = |name| self.said(name).map(is_true);
        let delay =
            self.said("null_auto_answer_delay").and_then(|d| d.trim().parse::<u32>().ok()).unwrap_or(0);
        let mut course = String::new();
        if truth("null_pre_answer") == Some(true) {
            course += "pre_answer,";
        }
        if truth("null_enable_auto_answer") != Some(false) {
            course += &format!("sleep:{delay},answer,");
        }
        course += "park";
        let inside = Inside {
            destination: course.into(),
            context: None,
            dialplan: Some("inline".into()),
            variables: Vec::new(),
        };
        Ok(self.target_inside(&called.address, inside))
    }

    /// `pickup/KEY`: rings until somebody runs the application `pickup` with that key.
    fn pickup(&mut self, called: &string::Leg) -> Target {
        let inside = Inside {
            destination: "pickup_wait:${pickup_key}".into(),
            context: None,
            dialplan: Some("inline".into()),
            variables: vec![("pickup_key", called.address.clone(), called.wire)],
        };
        self.target_inside(&called.address, inside)
    }

    fn target_inside(&self, number: &str, inside: Inside) -> Target {
        let agent = self.leg.agent.clone();
        let uri = Uri::sip(Some(number), agent.host(), None);
        let way = Inside::way(agent.local);
        Target { inside: Some(inside), ..self.target(&agent, uri, way, number.into()) }
    }

    /// Whether the caller may have written what a `/` or `app=` in the address means: what it dialled, or sent in some
    /// header, has one too.
    fn is_wires(&self, address: &str) -> bool {
        let means = |text: &str| text.contains('/') || text.to_ascii_lowercase().contains("app=");
        let within = |text: &str| means(text) && address.contains(text);
        let variables = self.leg.variables.sorted();
        let mut from_wire = variables.iter().filter(|(name, _)| self.leg.variables.is_wire(name));
        means(&self.leg.caller.destination_number) || from_wire.any(|(_, value)| within(value))
    }

    //------------ sofia/ ---------------------------------------------------------------------------------------

    /// `sofia/PROFILE/…`: an address, `user%domain` for the registered contacts, or a URI with `fs_path`; what follows `^`
    /// stands in To.
    fn sofia(&mut self, called: &string::Leg) -> Steps {
        let (address, to) = match called.address.split_once('^') {
            Some((address, to)) => (address, Some(to)),
            None => (called.address.as_str(), None),
        };
        let Some((profile, rest)) = address.split_once('/') else {
            return fails(Cause::INVALID_URL);
        };
        let mut found = if profile.eq_ignore_ascii_case("gateway") {
            vec![self.gateway(called, rest)]
        } else {
            let Some(agent) = self.leg.exchange.agent(profile) else {
                warn!("{}: {}: there is no profile {profile}", self.leg.uuid, called.url());
                return fails(Cause::INVALID_PROFILE);
            };
            self.on_profile(&agent, rest, &called.url())
        };
        if let Some(to) = self.said("sip_invite_to_uri").or(to) {
            for target in found.iter_mut().flatten() {
                let host = target.uri.host();
                target.to = Some(if to.contains('@') { to.to_owned() } else { format!("{to}@{host}") });
            }
        }
        vec![found]
    }

    fn on_profile(&mut self, agent: &Arc<UserAgent>, rest: &str, url: &str) -> Vec<Result<Target, Cause>> {
        let is_uri = rest.get(..4).is_some_and(|s| s.eq_ignore_ascii_case("sip:"))
            || rest.get(..5).is_some_and(|s| s.eq_ignore_ascii_case("sips:"));
        if !is_uri && !rest.contains('@') {
            if let Some((user, domain)) = rest.split_once('%') {
                return self.registered(agent, user, domain);
            }
            if !rest.contains([':', '.']) {
                let domain = self.leg.exchange.domain();
                return self.registered(agent, rest, &domain);
            }
        }
        if let Some(binding) = self.binding_of(agent, rest, url) {
            return vec![self.binding(agent, &binding)];
        }
        let prefix = self.said("sip_destination_prefix").unwrap_or("");
        let text = match rest.split_once(':').filter(|_| is_uri) {
            Some((scheme, rest)) => format!("{scheme}:{prefix}{rest}"),
            None => format!("sip:{prefix}{rest}"),
        };
        let Some(uri) = text.parse::<Uri>().ok().filter(Uri::is_sip) else {
            warn!("{}: {url} is no address to call", self.leg.uuid);
            return vec![Err(Cause::INVALID_URL)];
        };
        let path = uri.param("fs_path").and_then(|p| unescape(p).parse::<Uri>().ok());
        let uri = uri.without_param("fs_path").without_param("fs_nat");
        let number: Arc<str> = uri.user().unwrap_or_default().into();
        vec![Ok(self.target(agent, uri.clone(), Destination::of(path.as_ref().unwrap_or(&uri)), number))]
    }

    /// The registration a contact's dial string (`sofia_contact`) stands for, so that the call goes the way it came: the
    /// user's that was dialled, or whom `presence_id` or the address itself names.
    fn binding_of(&self, agent: &Arc<UserAgent>, rest: &str, url: &str) -> Option<Arc<Binding>> {
        let named = |text: &str| {
            let (user, domain) = text.split_once('@')?;
            Some((user.to_owned(), domain.to_owned()))
        };
        let dialled = self.dialled.as_ref().map(|d| (d.user.clone(), d.domain.clone()));
        let present = self.said("presence_id").and_then(named);
        let address = rest
            .parse::<Uri>()
            .ok()
            .and_then(|uri| Some((uri.user()?.into_owned(), self.leg.exchange.domain())));
        let now = Leg::now();
        dialled.into_iter().chain(present).chain(address).find_map(|(user, domain)| {
            let bindings = self.leg.exchange.registrar.lookup_at(now, &agent.name, &user, &domain);
            bindings.into_iter().find(|binding| binding.dial_string() == url)
        })
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
            routes: Gateway::route(gateway.conf.outbound_proxy.as_ref()).into_iter().collect(),
            variables,
            gateway: Some(Through { gateway: gateway.clone(), params }),
            ..self.target(&agent, uri.clone(), gateway.next_hop(&uri), number.into())
        })
    }

    fn registered(&mut self, agent: &Arc<UserAgent>, user: &str, domain: &str) -> Vec<Result<Target, Cause>> {
        let bindings = self.leg.exchange.registrar.lookup_at(Leg::now(), &agent.name, user, domain);
        if bindings.is_empty() {
            info!("{}: {user}@{domain} is not registered with profile {}", self.leg.uuid, agent.name);
            return vec![Err(Cause::USER_NOT_REGISTERED)];
        }
        let own = self.dialled.take().map(|d| d.own).unwrap_or_default();
        self.dialled = Some(Dialled { user: user.to_owned(), domain: domain.to_owned(), own });
        bindings.iter().map(|binding| self.binding(agent, binding)).collect()
    }

    /// A registered contact: the Request-URI is the Contact exactly as the phone gave it.
    fn binding(&self, agent: &Arc<UserAgent>, binding: &Binding) -> Result<Target, Cause> {
        let uri = binding.uri().parse::<Uri>().map_err(|_| Cause::INVALID_URL)?;
        let routes = binding.path.as_deref().map(path).transpose().map_err(|_| Cause::INVALID_URL)?;
        let number = self.dialled.as_ref().map_or(&*binding.user, |d| &d.user).into();
        let target = self.target(agent, uri, binding.destination(), number);
        Ok(Target { routes: routes.unwrap_or_default(), ..target })
    }

    fn target(&self, agent: &Arc<UserAgent>, uri: Uri, destination: Destination, number: Arc<str>) -> Target {
        let own = self.dialled.as_ref().map(|d| d.own.clone()).unwrap_or_default();
        Target {
            agent: agent.clone(),
            uri,
            destination,
            others: Vec::new(),
            gateway: None,
            inside: None,
            routes: Vec::new(),
            to: None,
            number,
            context: find(&own, "user_context").map(Arc::from),
            variables: self.variables.clone(),
            own,
        }
    }
}

fn path(text: &str) -> Result<Vec<NameAddr>, ParseError> {
    let mut routes = Vec::new();
    NameAddr::parse_list(&Text::from(text), &mut routes)?;
    Ok(routes)
}
