//! SUBSCRIBE outside a dialog (RFC 6665 §4.2.1, `sofia_presence_handle_sip_i_subscribe`): who may watch whom, and how long.

use super::credentials::Admission;
use super::start::Profile;
use super::watching::Watching;
use crate::channel::{Letter, Order, Token, identity, is_sticky, new_uuid};
use crate::dialog::{Subscription, Terms};
use crate::event::{EventName, Headers};
use crate::presence::{Package, address};
use crate::sip::{Flow, Message, Name};
use rand::Rng;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tracing::{debug, info, warn};

/// The shortest and the longest subscription, and one that names no time (RFC 4235 §3.4), in seconds.
const LEAST: u32 = 30;
const MOST: u32 = 86_400;
const USUAL: u32 = 3_600;
/// The least time between two NOTIFYs of one subscription for changes.
const PACE: Duration = Duration::from_millis(200);
/// Seconds until another try when there is no room.
const RETRY_AFTER: u32 = 60;

/// Whom or what a subscription is about.
pub(super) struct Watched {
    /// The user's id, or the place's name.
    pub id: Box<str>,
    /// Its domain.
    pub domain: Arc<str>,
    /// It is a place, and no user.
    pub place: bool,
}

impl Profile {
    /// Serves a SUBSCRIBE that belongs to no dialog.
    pub(super) fn subscribe(&self, request: &Message, flow: Flow) {
        // Before its credentials are looked at, which are good for once.
        let mark = self.answered.mark(request, flow.remote);
        if self.answer_again(request, flow, mark) {
            return;
        }
        let conf = &self.agent.conf;
        let Admission::Admitted(_) = self.admit_subscription(request, &flow) else { return };
        let refuse = |status, headers: &[(&str, String)]| self.reply(request, &flow, status, headers);
        if !conf.presence.on {
            let why = "399 tandem \"nobody is watched by this profile (manage-presence)\"";
            return refuse(489, &[("Allow-Events", "refer".to_owned()), ("Warning", why.to_owned())]);
        }
        let Some(package) = request.event().and_then(|event| Package::named(event.package())) else {
            return refuse(489, &[("Allow-Events", Package::ALLOWED.to_owned())]);
        };
        if request.contact().is_none() {
            return self.reply_as(request, &flow, 400, Some("Missing Contact Header"), &[]);
        }
        if !package.is_accepted(request) {
            return refuse(406, &[("Accept", package.content_type().to_owned())]);
        }
        let terms = self.terms();
        let granted = match terms.grant(request.expires()) {
            Ok(granted) => granted,
            Err(least) => return refuse(423, &[("Min-Expires", least.to_string())]),
        };
        let Some(watched) = self.watched(request) else {
            debug!("{}: SUBSCRIBE to nobody we know: {}", conf.name, request.to());
            return refuse(404, &[]);
        };
        let exchange = &self.shared.exchange;
        if exchange.gate.is_draining() {
            return refuse(503, &[("Retry-After", RETRY_AFTER.to_string())]);
        }
        let source = flow.remote.ip();
        let watch = match exchange.presence.watch(address(&watched.id, &watched.domain), source) {
            Ok(watch) => watch,
            Err(full) => {
                warn!("{}: SUBSCRIBE to {} from {flow} refused with 503: {full}", conf.name, watched.id);
                return refuse(503, &[("Retry-After", RETRY_AFTER.to_string())]);
            }
        };
        let token = Token(rand::rng().random());
        let number = request.uri().and_then(|uri| uri.user()).unwrap_or_default();
        let contact = self.agent.contact(Some(&number), source, flow.transport);
        let own = identity(&self.agent, token, source, contact.clone(), is_sticky(request, &flow));
        let now = crate::channel::Leg::now();
        let Some(subscription) = Subscription::begin(now, own, request, flow, granted, terms) else {
            return refuse(400, &[]);
        };
        let Some((mut entry, letters)) = exchange.legs.enter(token, new_uuid()) else {
            return refuse(500, &[]); // one in 2^64
        };
        entry.leave_call();
        let mut headers = vec![("Contact", contact), ("Expires", granted.to_string())];
        headers.extend(request.headers(Name::RecordRoute).map(|route| ("Record-Route", route.to_owned())));
        self.done_as(request, flow, mark, (200, "OK"), Some(&token.to_string()), &headers);
        if exchange.presence.turn_on() {
            info!("the first subscription: calls are shown to those who watch from now on");
            for leg in exchange.legs.mailboxes() {
                leg.post(Letter::Order(Order::Appear));
            }
        }
        let from = request.from().uri();
        debug!("{}: {from} watches {package:?} of {} for {granted} s, from {flow}", conf.name, watched.id);
        self.probe(request, package, &watched, granted);
        let watching = Watching::new(subscription, package, watched, watch, self, entry);
        tokio::spawn(watching.serve(letters));
    }

    /// Asks those who know more: whoever keeps messages (`MESSAGE_QUERY`), or lights lamps (`PRESENCE_PROBE`).
    fn probe(&self, request: &Message, package: Package, watched: &Watched, granted: u32) {
        let events = &self.shared.exchange.events;
        let name = &self.agent.name;
        let (id, domain, call_id) = (&watched.id, &watched.domain, request.call_id());
        if package == Package::MessageSummary {
            return events.fire(EventName::MessageQuery, || {
                vec![
                    ("Message-Account".into(), format!("sip:{id}@{domain}")),
                    ("VM-Sofia-Profile".into(), name.clone()),
                    ("VM-sub-call-id".into(), call_id.to_owned()),
                ]
            });
        }
        events.fire(EventName::PresenceProbe, || {
            let from = request.from().uri();
            let from = format!("{}@{}", from.user().unwrap_or_default(), from.host());
            let kind = kind_of(id).filter(|_| watched.place);
            let mut headers: Headers = Vec::new();
            let mut say = |name: &'static str, value: &str| headers.push((name.into(), value.to_owned()));
            if package == Package::Dialog && kind.is_none() {
                say("probe-type", "dialog");
            }
            say("proto", kind.unwrap_or("sip"));
            say("login", name);
            say("sip_profile", name);
            if package == Package::Presence && kind.is_none() {
                say("presence-source", "subscribe");
            }
            say("from", &from);
            say("to", &format!("{id}@{domain}"));
            if package == Package::Dialog || kind.is_some() {
                say("proto-specific-event-name", package.name());
            }
            say("expires", &granted.to_string());
            if package == Package::Dialog || kind.is_some() {
                say("event_type", "presence");
            }
            say("alt_event_type", "dialog");
            if package == Package::Presence && kind.is_none() {
                say("rpid", "unknown");
                say("status", "Registered");
            }
            say("sub-call-id", call_id);
            headers
        });
    }

    fn terms(&self) -> Terms {
        let most = self.agent.conf.presence.expires.map_or(MOST, |most| most.min(MOST));
        Terms { least: LEAST, most, usual: USUAL.min(most), pace: PACE }
    }

    /// The user, or the place, a SUBSCRIBE is about: of the domain it names, of the one the profile forces, or of `$${domain}` when it names us by
    /// an address.
    fn watched(&self, request: &Message) -> Option<Watched> {
        let (to, uri) = (request.to().uri(), request.uri()?);
        let asked = if uri.user().is_some_and(|user| !user.is_empty()) { uri } else { to };
        let user = asked.user()?;
        if let Some(forced) = &self.agent.conf.presence.domain {
            return self.known(&user, forced);
        }
        self.known(&user, asked.host()).or_else(|| {
            let ip: IpAddr = asked.host().trim_matches(['[', ']']).parse().ok()?;
            let ours = ip == self.agent.local.ip() || self.agent.external.is_some_and(|e| e.ip() == ip);
            ours.then(|| self.known(&user, &self.shared.exchange.domain())).flatten()
        })
    }

    /// A user of that domain, or one of its places: a slot where calls are parked, a lot, a queue, a key
    /// that calls are picked up by, a lamp (`KIND+NAME`) that some program lights by events.
    fn known(&self, name: &str, domain: &str) -> Option<Watched> {
        let directory = &self.shared.exchange.directory;
        if directory.user(name, domain).is_none() && kind_of(name).is_some() {
            directory.snapshot().domain(domain)?;
            let id = name.to_ascii_lowercase().into();
            return Some(Watched { id, domain: domain.into(), place: true });
        }
        let user = directory.user(name, domain)?;
        Some(Watched { id: user.id.clone(), domain: user.domain.clone(), place: false })
    }
}

/// `park` of `park+6001`: what stands before the `+` of a place, or a lamp.
pub(super) fn kind_of(name: &str) -> Option<&str> {
    let (kind, _) = name.split_once('+').filter(|(kind, name)| !kind.is_empty() && !name.is_empty())?;
    kind.chars().all(|c| c.is_ascii_alphanumeric() || c == '_').then_some(kind)
}
