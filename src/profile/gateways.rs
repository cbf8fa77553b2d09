//! The gateways of a profile: each has a task that drives its [`Client`] on the profile's own sockets.

use std::collections::HashMap;
use std::future::{Future, pending};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tokio::sync::mpsc;
use tracing::{debug, error, info, warn};

use super::start::Profile;
use crate::channel::{Exchange, Leg, Token, UserAgent, caught, new_uuid};
use crate::event::EventName;
use crate::gateway::{Change, Client, Gateway, Hop, Identity, Output, State};
use crate::net::Report;
use crate::sip::{Flow, Message};
use crate::transaction::Id;

/// How many notes may wait for one gateway; what does not fit comes again.
const NOTES: usize = 64;

/// What the task of a gateway hears of.
#[derive(Debug)]
enum Note {
    /// A response to one of its requests.
    Response(Message, Flow),
    /// What it sent could not be delivered.
    Undelivered(Id),
    /// What it sent by UDP went over a stream, being large.
    OverStream(Id),
    /// A stream of the profile is closed.
    Closed(Flow),
    /// It goes on with other settings, of its own or of its profile.
    Adopt(Arc<Gateway>, Arc<UserAgent>),
    /// It is to register at once.
    Register,
    /// It is to end, at the latest after this.
    Leave(Duration),
}

/// The running clients of a profile, by the token their branches begin with.
#[derive(Default)]
pub(super) struct Clients(Mutex<HashMap<Token, Running>>);

struct Running {
    gateway: Arc<Gateway>,
    notes: mpsc::Sender<Note>,
}

impl Clients {
    fn lock(&self) -> MutexGuard<'_, HashMap<Token, Running>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many run.
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    /// A response: false when its branch is none of a gateway's.
    pub(super) fn response(&self, token: Token, message: &Message, flow: Flow) -> bool {
        let notes = self.lock().get(&token).map(|r| r.notes.clone());
        notes.is_some_and(|notes| {
            if notes.try_send(Note::Response(message.clone(), flow)).is_err() {
                debug!("a response to a gateway's request comes too soon after others; it will come again");
            }
            true
        })
    }

    /// A stream is closed: one of them may have been registered over it.
    pub(super) fn closed(&self, flow: Flow) {
        for running in self.lock().values() {
            let _ = running.notes.try_send(Note::Closed(flow)); // full: its refresh finds out
        }
    }

    /// Ends one, or all.
    fn leave(&self, which: Option<&Arc<Gateway>>, limit: Duration) {
        let leaves = |running: &&Running| which.is_none_or(|gateway| Arc::ptr_eq(gateway, &running.gateway));
        for running in self.lock().values().filter(leaves) {
            let _ = running.notes.try_send(Note::Leave(limit)); // full: it is as good as dead, and dropped at the end
        }
    }

    /// One goes on as another.
    fn adopt(&self, before: &Arc<Gateway>, after: &Arc<Gateway>, agent: &Arc<UserAgent>) {
        for running in self.lock().values_mut().filter(|r| Arc::ptr_eq(&r.gateway, before)) {
            if running.notes.try_send(Note::Adopt(after.clone(), agent.clone())).is_ok() {
                running.gateway = after.clone();
            }
        }
    }

    fn runs(&self, gateway: &Arc<Gateway>) -> bool {
        self.lock().values().any(|running| Arc::ptr_eq(gateway, &running.gateway))
    }
}

/// Takes a client out of the table however its task ends.
struct Place(Arc<Clients>, Token);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.lock().remove(&self.1);
    }
}

impl Profile {
    /// Begins a gateway: it registers and is pinged as it is configured.
    pub fn begin_gateway(&self, gateway: &Arc<Gateway>) {
        let token = Token(rand::rng().random());
        let identity = Identity {
            branch_prefix: format!("z9hG4bK{token}."),
            tag: token.to_string(),
            call_id: new_uuid().to_string(),
            own: self.agent.local.ip(),
            lines: self.own_lines.clone(),
        };
        let login = self.agent.gateway_login(gateway);
        let rng = SmallRng::from_rng(&mut rand::rng());
        let client = Client::begin(Leg::now(), gateway.clone(), identity, login, self.agent.timers(), rng);
        let (notes, inbox) = mpsc::channel(NOTES);
        let running = Running { gateway: gateway.clone(), notes: notes.clone() };
        self.clients.lock().insert(token, running);
        let place = Place(self.clients.clone(), token);
        let task = Task {
            gateway: gateway.clone(),
            client,
            agent: self.agent.clone(),
            exchange: self.shared.exchange.clone(),
            notes,
        };
        tokio::spawn(async move {
            let gateway = task.gateway.clone();
            let _place = place;
            if caught(pin!(task.run(inbox))).await.is_err() {
                error!(
                    "gateway {}: its task panicked; it stays down until the next reload",
                    gateway.full_name()
                );
                gateway.set_status(crate::gateway::Status {
                    state: State::Down,
                    up: false,
                    ..gateway.status()
                });
            }
        });
    }

    /// A gateway goes on as `after`, or as itself, with what this profile is now.
    pub fn adopt_gateway(&self, before: &Arc<Gateway>, after: &Arc<Gateway>) {
        self.clients.adopt(before, after, &self.agent);
    }

    /// A gateway registers at once; one that was ended begins again.
    pub fn register_gateway(&self, gateway: &Arc<Gateway>) {
        let notes =
            self.clients.lock().values().find(|r| Arc::ptr_eq(gateway, &r.gateway)).map(|r| r.notes.clone());
        match notes {
            Some(notes) => {
                let _ = notes.try_send(Note::Register); // full: it has enough to do
            }
            None => self.begin_gateway(gateway),
        }
    }

    /// Ends a gateway: its registration is taken back. Waits for that, but no longer than `limit`.
    pub async fn end_gateway(&self, gateway: &Arc<Gateway>, limit: Duration) {
        self.clients.leave(Some(gateway), limit);
        super::start::wait_until(Leg::now() + limit, || !self.clients.runs(gateway)).await;
    }

    /// The same with all gateways at once.
    pub async fn end_gateways(&self, limit: Duration) {
        self.clients.leave(None, limit);
        super::start::wait_until(Leg::now() + limit, || self.clients.len() == 0).await;
    }
}

/// One gateway at work.
struct Task {
    gateway: Arc<Gateway>,
    client: Client,
    agent: Arc<UserAgent>,
    exchange: Arc<Exchange>,
    /// For reports of the net.
    notes: mpsc::Sender<Note>,
}

type LookUp = Pin<Box<dyn Future<Output = Vec<Hop>> + Send>>;

impl Task {
    async fn run(mut self, mut inbox: mpsc::Receiver<Note>) {
        let mut look_up: Option<LookUp> = None;
        loop {
            while let Some(output) = self.client.poll() {
                match output {
                    Output::Resolve(to) => {
                        let (agent, gateway) = (self.agent.clone(), self.gateway.clone());
                        look_up = Some(Box::pin(async move { hops(&agent, &gateway, &to).await }));
                    }
                    Output::Send { bytes, to, by } => {
                        let notes = self.notes.clone();
                        self.agent.send_reporting(bytes, &to, move |report| {
                            let Some(by) = by else { return };
                            let note = match report {
                                Report::Failed(error) => {
                                    info!("cannot deliver: {error}");
                                    Note::Undelivered(by)
                                }
                                Report::OverStream(_) => Note::OverStream(by),
                            };
                            let _ = notes.try_send(note); // full: its timer runs out
                        });
                    }
                    Output::AddressFailed(to) => {
                        if let Some(net) = self.agent.net() {
                            net.avoid(&to);
                        }
                    }
                    Output::Changed(change) => self.changed(&change),
                }
            }
            self.gateway.set_status(self.client.status().clone());
            if self.client.is_over() {
                return;
            }
            let wake = self.client.next_timeout();
            let found = async {
                match &mut look_up {
                    Some(look_up) => look_up.await,
                    None => pending().await,
                }
            };
            let alarm = async {
                match wake {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                note = inbox.recv() => match note {
                    Some(note) => self.note(note),
                    None => return,
                },
                hops = found => {
                    look_up = None;
                    self.client.resolved(Leg::now(), hops);
                }
                () = alarm => self.client.timeout(Leg::now()),
            }
        }
    }

    fn note(&mut self, note: Note) {
        let now = Leg::now();
        match note {
            Note::Response(message, flow) => self.client.receive(now, message, flow),
            Note::Undelivered(by) => self.client.transport_failed(now, by),
            Note::OverStream(by) => self.client.now_reliable(by),
            Note::Closed(flow) => self.client.connection_closed(now, &flow),
            Note::Adopt(gateway, agent) => {
                let login = agent.gateway_login(&gateway);
                self.client.adopt(now, gateway.clone(), login);
                (self.gateway, self.agent) = (gateway, agent);
            }
            Note::Register => self.client.register_now(now),
            Note::Leave(limit) => self.client.leave(now, limit),
        }
    }

    /// Tells the operator and whoever listens.
    fn changed(&self, change: &Change) {
        let (name, status) = (self.gateway.full_name(), self.client.status());
        let proxy = self.gateway.registrar();
        match change {
            Change::Registering => debug!("gateway {name}: registering"),
            Change::Registered { expires, refresh } => {
                let (expires, refresh) = (expires.as_secs(), refresh.as_secs());
                // An operator wants to hear of the first one and of each after a failure, not of every refresh.
                if self.gateway.status().up {
                    debug!("gateway {name}: registered for {expires} s more, refreshed in {refresh} s");
                } else {
                    info!("gateway {name}: registered for {expires} s, refreshed in {refresh} s");
                }
            }
            Change::Failed { status: 908, phrase, again, .. } => {
                warn!(
                    "gateway {name}: not registered: {phrase} from {proxy}; tried again in {} s",
                    again.as_secs()
                );
            }
            Change::Failed { status, phrase, again, .. } => {
                warn!(
                    "gateway {name}: not registered: {status} {phrase}; tried again in {} s",
                    again.as_secs()
                );
            }
            Change::Unregistered => info!("gateway {name}: ended"),
            Change::Pinged { status, turned: true } => match (status, self.client.status().up) {
                (Some(status), true) => info!("gateway {name}: up, OPTIONS answered {status}"),
                (Some(status), false) => warn!("gateway {name}: down, OPTIONS answered {status}"),
                (None, _) => warn!("gateway {name}: down, OPTIONS not answered"),
            },
            Change::Pinged { status, turned: false } => debug!("gateway {name}: OPTIONS answered {status:?}"),
        }
        let quiet = matches!(change, Change::Pinged { turned: false, .. })
            && self.gateway.conf.ping.as_ref().is_none_or(|p| !p.monitoring);
        if quiet {
            return;
        }
        let state = match change {
            Change::Failed { state, .. } => *state,
            _ => status.state,
        };
        self.exchange.events.fire(EventName::Custom("sofia::gateway_state"), || {
            let mut headers = vec![
                ("Gateway".into(), self.gateway.conf.name.clone()),
                ("State".into(), state.to_string()),
                ("Ping-Status".into(), if status.up { "UP" } else { "DOWN" }.to_owned()),
            ];
            let said = match change {
                Change::Registered { .. } | Change::Failed { .. } => status.last.clone(),
                Change::Pinged { status: Some(status), .. } => Some((*status, String::new())),
                _ => None,
            };
            if let Some((status, phrase)) = said {
                headers.push(("Phrase".into(), phrase));
                headers.push(("Status".into(), status.to_string()));
            }
            headers
        });
    }
}

/// The addresses of a gateway, and what it sees of us at each.
async fn hops(agent: &UserAgent, gateway: &Gateway, to: &crate::sip::Destination) -> Vec<Hop> {
    let Some(net) = agent.net() else { return Vec::new() };
    let found = net.candidates(to).await;
    gateway.add_peers(found.iter().filter_map(crate::net::address_of));
    let hop = |to: crate::sip::Destination| {
        let ours = agent.address_for(crate::net::address_of(&to)?);
        Some(Hop { to, ours })
    };
    found.into_iter().filter_map(hop).collect()
}
