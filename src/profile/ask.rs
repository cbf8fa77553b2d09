//! Requests of our own outside dialogs, to phones: NOTIFY without a subscription, OPTIONS, MESSAGE (`sofia_glue_send_notify`).
//!
//! Each is a task with one transaction, that ends with the answer, or with the profile.

use super::start::Profile;
use super::watching::Audience;
use crate::channel::{Exchange, Leg, Letter, Token, UserAgent, new_uuid};
use crate::net::address_of;
use crate::registrar::Binding;
use crate::sip::{Builder, Destination, Limits, Message, Method, Name, NameAddr, Transport, Uri, unescape};
use crate::transaction::{Output, Transactions};
use bytes::Bytes;
use rand::Rng;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tracing::{debug, info};

/// How many such requests may be under way at once, all profiles together.
static PLACES: Semaphore = Semaphore::const_new(2_000);
/// How many addresses of one name are tried.
const TRIES: usize = 3;

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The final response.
    Answered(u16, String),
    /// No answer came in time.
    Silent,
    /// It could not be delivered, or the profile closes.
    Undelivered,
}

/// To whom a request goes.
#[derive(Clone, Debug)]
pub struct Target {
    /// The Request-URI.
    pub uri: Uri,
    /// Where it is sent.
    pub to: Destination,
    /// Route, every entry in brackets.
    pub route: Option<String>,
}

impl Target {
    /// A registered phone; `None` when its contact is no URI.
    pub fn of(binding: &Binding) -> Option<Target> {
        let uri = binding.uri().parse::<Uri>().ok()?.as_request_uri();
        Some(Target { uri, to: binding.destination(), route: binding.path.as_deref().map(str::to_owned) })
    }

    /// Whoever is where a URI says, `fs_path` the next hop to it.
    pub fn at(uri: &Uri) -> Target {
        let hop = uri.param("fs_path").and_then(|path| unescape(path).parse::<Uri>().ok());
        let uri = uri.without_param("fs_path").without_param("fs_nat");
        Target { to: Destination::of(hop.as_ref().unwrap_or(&uri)), uri: uri.as_request_uri(), route: None }
    }
}

/// A request of ours, but for to whom it goes.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Its method.
    pub method: Method,
    /// From, without a tag.
    pub from: NameAddr,
    /// To.
    pub to: NameAddr,
    /// Call-ID, when it is not to be one of its own.
    pub call_id: Option<String>,
    /// More headers, by name and value.
    pub headers: Vec<(String, String)>,
    /// The type of the body, and the body.
    pub body: Option<(String, Bytes)>,
}

impl Ask {
    /// A NOTIFY without a subscription, from the user to itself, as FreeSWITCH sends it.
    pub fn notify(user: &str, host: &str, event: &str) -> Ask {
        let own = NameAddr::new(Uri::sip(Some(user), host, None));
        let state = "terminated;reason=noresource".to_owned();
        Ask {
            method: Method::Notify,
            from: own.clone(),
            to: own,
            call_id: None,
            headers: vec![("Event".to_owned(), event.to_owned()), ("Subscription-State".to_owned(), state)],
            body: None,
        }
    }

    /// The same with a body.
    pub fn carrying(self, content_type: &str, body: impl Into<Bytes>) -> Ask {
        Ask { body: Some((content_type.to_owned(), body.into())), ..self }
    }
}

/// What asks for a profile. It does not hold the profile, only what of it is needed.
#[derive(Clone)]
pub struct Asker {
    agent: Arc<UserAgent>,
    exchange: Arc<Exchange>,
    audience: Arc<Audience>,
    lines: Box<[u8]>,
}

impl Profile {
    /// Who asks for this profile.
    pub fn asker(&self) -> Asker {
        Asker {
            agent: self.agent.clone(),
            exchange: self.shared.exchange.clone(),
            audience: self.audience.clone(),
            lines: self.own_lines.clone(),
        }
    }

    /// Sends these requests one after another, without waiting for their answers. A refusal is told in the log.
    pub fn send_all(&self, asks: Vec<(Target, Ask)>) {
        if asks.is_empty() {
            return;
        }
        let asker = self.asker();
        tokio::spawn(async move {
            for (target, ask) in asks {
                let Some(place) = asker.place().await else { return };
                let asker = asker.clone();
                tokio::spawn(async move {
                    let _place = place;
                    asker.tell(target, ask).await;
                });
            }
        });
    }
}

impl Asker {
    /// Waits until a request may be sent; `None` when the profile closes.
    pub(super) async fn place(&self) -> Option<tokio::sync::SemaphorePermit<'static>> {
        tokio::select! {
            place = PLACES.acquire() => place.ok(),
            () = self.audience.left() => None,
        }
    }

    /// Whether the profile closes.
    pub(super) fn is_closing(&self) -> bool {
        self.audience.is_closed()
    }

    /// The profile's own address: `sip:mod_sofia@192.0.2.1:5060`.
    pub(super) fn own_uri(&self) -> Option<Uri> {
        let at = self.agent.external.unwrap_or(self.agent.local);
        format!("sip:{}@{at}", self.agent.conf.contact_user).parse().ok()
    }

    async fn tell(&self, target: Target, ask: Ask) {
        let (method, whom) = (ask.method.clone(), target.uri.clone());
        match self.ask(target, ask).await {
            Outcome::Answered(200..=299, _) => debug!("{}: {method} to {whom} taken", self.agent.name),
            Outcome::Answered(status, phrase) => {
                info!("{}: {method} to {whom} refused: {status} {phrase}", self.agent.name);
            }
            Outcome::Silent => info!("{}: {method} to {whom} was not answered", self.agent.name),
            Outcome::Undelivered => info!("{}: {method} to {whom} could not be delivered", self.agent.name),
        }
    }

    /// Sends a request and waits for its answer.
    pub async fn ask(&self, target: Target, ask: Ask) -> Outcome {
        let Some(net) = self.agent.net() else { return Outcome::Undelivered };
        let ways = match &target.to {
            Destination::Flow(_) => vec![target.to.clone()],
            Destination::Host { .. } => net.candidates(&target.to).await,
        };
        for to in ways.into_iter().take(TRIES) {
            let outcome = self.ask_at(to, &target, &ask).await;
            if outcome != Outcome::Undelivered {
                return outcome;
            }
        }
        Outcome::Undelivered
    }

    async fn ask_at(&self, to: Destination, target: &Target, ask: &Ask) -> Outcome {
        let token = Token(rand::rng().random());
        let Some(message) = self.write(token, &to, target, ask) else { return Outcome::Undelivered };
        let Some((mut entry, mut letters)) = self.exchange.legs.enter(token, new_uuid()) else {
            return Outcome::Undelivered; // one in 2^64
        };
        entry.leave_call();
        let mut tx = Transactions::new(self.agent.timers(), 1);
        let reliable = transport_of(&to).is_reliable();
        if tx.request(Leg::now(), message, to, reliable).is_err() {
            return Outcome::Undelivered;
        }
        loop {
            while let Some(output) = tx.poll() {
                match output {
                    Output::Send { bytes, to, by } => self.agent.send(bytes, &to, by, entry.mailbox()),
                    Output::Response { message, .. } => {
                        if let Some(status) = message.status().filter(|status| *status >= 200) {
                            return Outcome::Answered(status, message.reason().to_owned());
                        }
                    }
                    Output::TimedOut { .. } => return Outcome::Silent,
                    Output::Unreachable { .. } => return Outcome::Undelivered,
                    _ => {}
                }
            }
            let Some(wake) = tx.next_timeout() else { return Outcome::Silent };
            tokio::select! {
                letter = letters.recv() => match letter {
                    Letter::Sip { message, flow } => tx.receive(Leg::now(), message, flow),
                    Letter::Undelivered { by, .. } => tx.transport_failed(by),
                    Letter::OverStream { by: crate::transaction::Id::Client(id) } => tx.now_reliable(id),
                    _ => {}
                },
                () = tokio::time::sleep_until(wake.into()) => tx.timeout(Leg::now()),
                () = self.audience.left() => return Outcome::Undelivered,
            }
        }
    }

    /// The request as it stands on the wire; `None` when it cannot be written.
    fn write(&self, token: Token, to: &Destination, target: &Target, ask: &Ask) -> Option<Message> {
        let (transport, method) = (transport_of(to), &ask.method);
        let peer = address_of(to).unwrap_or(self.agent.local.ip());
        let ours = self.agent.address_for(peer);
        let call_id = ask.call_id.clone().unwrap_or_else(|| new_uuid().to_string());
        let mut b = Builder::request(method, &target.uri)
            .header(Name::Via, format_args!("SIP/2.0/{transport} {ours};rport;branch=z9hG4bK{token}.1"))
            .header(Name::MaxForwards, 70)
            .header_opt(Name::Route, target.route.as_ref())
            .header(Name::From, ask.from.with_tag(&token.to_string()))
            .header(Name::To, &ask.to)
            .text(Name::CallId, &call_id)
            .header(Name::CSeq, format_args!("1 {method}"));
        if *method != Method::Message {
            b = b.header(Name::Contact, self.agent.contact(None, peer, transport));
        }
        b = b.lines(&self.lines);
        for (name, value) in &ask.headers {
            b = b.text(name.as_str(), value);
        }
        let bytes = match &ask.body {
            Some((content_type, body)) => b.carrying(content_type, body.clone()).finish(),
            None => b.finish(),
        };
        Message::parse(bytes, &Limits::default()).ok()
    }
}

/// The transport a message to there has in its Via.
fn transport_of(to: &Destination) -> Transport {
    match to {
        Destination::Flow(flow) => flow.transport,
        Destination::Host { transport, .. } => transport.unwrap_or(Transport::Udp),
    }
}
