//! A gateway's own conversation with its far end: REGISTER and OPTIONS (RFC 3261 §10.2, §11), with FreeSWITCH's times
//! (`sofia_reg_check_gateway`, `sofia_reg_handle_sip_r_register`, `sofia_handle_sip_r_options`).

mod ping;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::Rng;
use rand::rngs::SmallRng;

use super::hops::{Hop, Sent, Task};
use super::request::{Identity, Writer, register_uri, transport_of};
use super::{Gateway, State, Status};
use crate::sip::digest::Login;
use crate::sip::{Destination, Flow, Message, Method};
use crate::transaction::{self, ClientId, Id, Timers, Transactions};

/// Transactions of one gateway: one REGISTER and one OPTIONS, and those that were left.
const TRANSACTIONS: usize = 32;
/// How often one REGISTER is sent again because of what it was answered.
const TRIES: u32 = 5;
/// The status of a REGISTER nobody answered, by FreeSWITCH's count.
const NO_ANSWER: u16 = 908;
/// The longest wait after failures, unless `retry-seconds` itself is longer.
const LONGEST: u32 = 3600;
/// The longest registration we agree to when the far end asks for a longer one (423).
const LONGEST_BINDING: u32 = 604_800;

/// What [`Client::poll`] returns.
#[derive(Debug)]
pub enum Output {
    /// Look this up (RFC 3263) and tell [`Client::resolved`].
    Resolve(Destination),
    /// Hand these bytes to the net; tell [`Client::transport_failed`] about `by` when it cannot deliver.
    Send {
        /// The message.
        bytes: Bytes,
        /// Where it goes.
        to: Destination,
        /// Whose it is.
        by: Option<Id>,
    },
    /// This address failed, and the next one is tried.
    AddressFailed(Destination),
    /// [`Client::status`] has changed: what to tell of it.
    Changed(Change),
}

/// What has changed.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A REGISTER goes out.
    Registering,
    /// Registered: for how long, and when that is refreshed.
    Registered {
        /// As granted.
        expires: Duration,
        /// From now.
        refresh: Duration,
    },
    /// The registration failed.
    Failed {
        /// TIMEOUT or FAILED.
        state: State,
        /// The status, 908 for no answer.
        status: u16,
        /// What the far end said, or what went wrong here.
        phrase: String,
        /// When it is tried again, from now.
        again: Duration,
    },
    /// No longer registered, as was wanted.
    Unregistered,
    /// A ping was answered, or not (`None`); `turned` when the gateway has become up or down by that.
    Pinged {
        /// The answer.
        status: Option<u16>,
        /// It has become up, or down.
        turned: bool,
    },
}

/// The client of one gateway.
///
/// # How it is driven
///
/// Every call that takes `now` may leave outputs: drain [`poll`](Self::poll) after each, then sleep until
/// [`next_timeout`](Self::next_timeout) and call [`timeout`](Self::timeout). Give it every response whose branch begins
/// with its prefix. `now` never goes back. It is over after [`leave`](Self::leave), when [`is_over`](Self::is_over) says so.
#[derive(Debug)]
pub struct Client {
    gateway: Arc<Gateway>,
    timers: Timers,
    writer: Writer,
    tx: Transactions,
    login: Login,
    rng: SmallRng,
    status: Status,
    /// The addresses as looked up last.
    hops: Vec<Hop>,
    resolving: bool,
    registration: Task,
    /// Where we are registered.
    bound: Option<Hop>,
    /// Seconds to ask for.
    expires: u32,
    ping: Task,
    ping_due: Option<Instant>,
    /// It is to end, at the latest then.
    leaving: Option<Instant>,
    over: bool,
    out: VecDeque<Output>,
}

impl Client {
    /// Begins: registers if that is wanted.
    pub fn begin(
        now: Instant,
        gateway: Arc<Gateway>,
        identity: Identity,
        login: Login,
        timers: Timers,
        rng: SmallRng,
    ) -> Client {
        let mut client = Client {
            status: gateway.status(),
            expires: gateway.conf.expire_seconds,
            writer: Writer::new(identity),
            tx: Transactions::new(timers, TRANSACTIONS),
            timers: timers.sane(),
            hops: Vec::new(),
            resolving: false,
            registration: Task::Idle,
            bound: None,
            ping: Task::Idle,
            ping_due: None,
            leaving: None,
            over: false,
            out: VecDeque::new(),
            gateway,
            login,
            rng,
        };
        match client.gateway.conf.register {
            true => client.register(now),
            false => client.ping_later(now),
        }
        client
    }

    //------------ Drive -------------------------------------------------------------------------------------

    /// What is known now.
    pub fn status(&self) -> &Status {
        &self.status
    }

    /// The addresses of what [`Output::Resolve`] asked for, best first; none when there are none.
    pub fn resolved(&mut self, now: Instant, hops: Vec<Hop>) {
        self.resolving = false;
        self.hops = hops;
        if matches!(self.registration, Task::Resolving) {
            match self.hops.is_empty() {
                true => self.failed(now, 503, "its name has no address", None),
                false => self.send_register(now, 0, None),
            }
        }
        if matches!(self.ping, Task::Resolving) {
            match self.hops.is_empty() {
                true => self.pinged(now, None),
                false => self.send_options(now, 0, None),
            }
        }
        self.pump(now);
    }

    /// Takes a response.
    pub fn receive(&mut self, now: Instant, message: Message, flow: Flow) {
        self.tx.receive(now, message, flow);
        self.pump(now);
    }

    /// The net could not deliver what [`Output::Send`] named.
    pub fn transport_failed(&mut self, now: Instant, by: Id) {
        self.tx.transport_failed(by);
        self.pump(now);
    }

    /// The net sent a request over a stream, being large: it is not retransmitted.
    pub fn now_reliable(&mut self, by: Id) {
        if let Id::Client(id) = by {
            self.tx.now_reliable(id);
        }
    }

    /// Runs everything due at `now`.
    pub fn timeout(&mut self, now: Instant) {
        self.tx.timeout(now);
        self.pump(now);
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if due(self.leaving) {
            return self.left();
        }
        if let Some(ended) = overdue(&self.registration, now) {
            self.silent(now, &Method::Register, ended);
        }
        if let Some(ended) = overdue(&self.ping, now) {
            self.silent(now, &Method::Options, ended);
        }
        if self.registration.is_idle() && (due(self.status.refresh) || due(self.status.retry)) {
            self.register(now);
        }
        if self.ping.is_idle() && due(self.ping_due) {
            self.ping_due = None;
            if matches!(self.status.state, State::Noreg | State::Reged) {
                self.ping = Task::Resolving;
                self.resolve();
            }
        }
        self.pump(now);
    }

    /// When [`timeout`](Self::timeout) is due next.
    pub fn next_timeout(&self) -> Option<Instant> {
        let idle = self.registration.is_idle() && self.leaving.is_none();
        let own = [self.status.refresh, self.status.retry].into_iter().flatten().filter(|_| idle);
        let ping = self.ping_due.filter(|_| self.ping.is_idle());
        let tasks = [self.registration.next_timeout(), self.ping.next_timeout(), self.leaving, ping];
        own.chain(tasks.into_iter().flatten()).chain(self.tx.next_timeout()).min()
    }

    /// What is to be done next, in order; call until it says none.
    pub fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// A stream is closed. When it is the one we registered over, the far end may have no other way to us: we register
    /// again, not all gateways at once.
    pub fn connection_closed(&mut self, now: Instant, flow: &Flow) {
        let ours = self.bound.as_ref().is_some_and(|hop| match &hop.to {
            Destination::Host { host, port, .. } => {
                let port = port.unwrap_or(flow.transport.default_port());
                transport_of(&hop.to) == flow.transport
                    && host.trim_matches(['[', ']']).parse() == Ok(flow.remote.ip())
                    && port == flow.remote.port()
            }
            Destination::Flow(bound) => bound == flow,
        });
        if ours && self.status.state == State::Reged && self.registration.is_idle() {
            let soon = now + Duration::from_millis(self.rng.random_range(500..3000));
            self.status.refresh = Some(self.status.refresh.map_or(soon, |at| at.min(soon)));
        }
    }

    /// Goes on with other settings, which the far end does not see in its registration.
    pub fn adopt(&mut self, now: Instant, gateway: Arc<Gateway>, login: Login) {
        let ping = self.gateway.conf.ping != gateway.conf.ping;
        self.gateway = gateway;
        self.login = login;
        if self.leaving.is_none() && !self.over {
            self.expires = self.gateway.conf.expire_seconds;
            if ping {
                self.ping = Task::Idle;
                self.status.points = 0;
                let up = matches!(self.status.state, State::Noreg) || self.status.up;
                self.set(now, self.status.state, up);
                self.ping_later(now);
            }
        }
    }

    /// Registers at once, as somebody asks for; a REGISTER that is out already will do.
    pub fn register_now(&mut self, now: Instant) {
        if self.gateway.conf.register && self.leaving.is_none() && !self.over && self.registration.is_idle() {
            self.status.refresh = Some(now);
            self.timeout(now);
        }
    }

    /// Ends the registration, if there is one, and then is over; after `limit` in any case.
    pub fn leave(&mut self, now: Instant, limit: Duration) {
        if self.leaving.is_some() || self.over {
            return;
        }
        self.status.refresh = None;
        self.status.retry = None;
        self.ping_due = None;
        self.ping = Task::Idle;
        self.set(now, State::Down, false);
        let asked = match &self.registration {
            Task::Sent(sent) => self.hops.get(sent.hop).cloned(),
            Task::Idle | Task::Resolving => None,
        };
        self.quieten();
        // What is asked for now may be granted yet: it is taken back all the same.
        let Some(hop) = self.bound.take().or(asked) else { return self.left() };
        self.leaving = Some(now + limit);
        self.status.state = State::Unregister;
        self.hops = vec![hop];
        self.expires = 0;
        self.send_register(now, 0, None);
        self.pump(now);
    }

    /// It has left, and nothing more comes of it.
    pub fn is_over(&self) -> bool {
        self.over && self.out.is_empty()
    }

    fn left(&mut self) {
        if !self.over {
            self.over = true;
            self.leaving = None;
            self.registration = Task::Idle;
            self.status.state = State::Down;
            self.out.push_back(Output::Changed(Change::Unregistered));
        }
    }

    //------------ Inside ------------------------------------------------------------------------------------

    fn pump(&mut self, now: Instant) {
        use transaction::Output as Tx;
        while let Some(output) = self.tx.poll() {
            match output {
                Tx::Send { bytes, to, by } => self.out.push_back(Output::Send { bytes, to, by }),
                Tx::Response { id, message, flow } => self.answered(now, id, &message, flow),
                Tx::TimedOut { id } => self.unanswered(now, id),
                Tx::Unreachable { id } => self.unanswered(now, id),
                Tx::Request { .. } | Tx::Cancel { .. } | Tx::Ack { .. } | Tx::NoAck { .. } => {}
            }
        }
    }

    fn resolve(&mut self) {
        if !self.resolving {
            self.resolving = true;
            self.out.push_back(Output::Resolve(self.gateway.registrar()));
        }
    }

    fn set(&mut self, now: Instant, state: State, up: bool) {
        self.status.state = state;
        if up != self.status.up {
            self.status.up = up;
            self.status.since = up.then_some(now);
        }
    }

    /// A request that is left is not sent again.
    fn quieten(&mut self) {
        if let Some(sent) = self.registration.sent() {
            self.tx.now_reliable(sent.id);
        }
    }

    fn answered(&mut self, now: Instant, id: ClientId, message: &Message, flow: Flow) {
        let status = message.status().unwrap_or(0);
        let of = |task: &mut Task| match task {
            Task::Sent(sent) if sent.id == id => {
                sent.silent = None;
                true
            }
            _ => false,
        };
        if of(&mut self.registration) {
            if status >= 200 {
                self.register_answered(now, status, message, flow);
            }
        } else if of(&mut self.ping) && status >= 200 {
            let next = self.next_of(&Method::Options);
            match (status, next) {
                (503, Some(hop)) => self.send_next(now, &Method::Options, hop),
                _ => self.pinged(now, Some(status)),
            }
        }
    }

    /// Nobody answered, or nobody could be asked.
    fn unanswered(&mut self, now: Instant, id: ClientId) {
        let is = |task: &Task| task.sent().is_some_and(|sent| sent.id == id);
        if is(&self.registration) {
            self.silent(now, &Method::Register, false);
        } else if is(&self.ping) {
            self.silent(now, &Method::Options, false);
        }
    }

    /// An address said nothing; `ended`: and there is no time for another.
    fn silent(&mut self, now: Instant, method: &Method, ended: bool) {
        match self.next_of(method).filter(|_| !ended) {
            Some(next) => self.send_next(now, method, next),
            None if *method == Method::Register => self.failed(now, NO_ANSWER, "no answer", None),
            None => self.pinged(now, None),
        }
    }

    /// The address after the one a request is at.
    fn next_of(&self, method: &Method) -> Option<usize> {
        let task = if *method == Method::Register { &self.registration } else { &self.ping };
        let next = task.sent()?.hop + 1;
        (next < self.hops.len()).then_some(next)
    }

    fn send_next(&mut self, now: Instant, method: &Method, hop: usize) {
        let task = if *method == Method::Register { &mut self.registration } else { &mut self.ping };
        let Task::Sent(before) = std::mem::take(task) else { return };
        self.tx.now_reliable(before.id);
        let failed = self.hops.get(before.hop).map(|hop| Output::AddressFailed(hop.to.clone()));
        self.out.extend(failed);
        match *method == Method::Register {
            true => self.send_register(now, hop, Some(&before)),
            false => self.send_options(now, hop, Some(&before)),
        }
    }

    fn send(
        &mut self,
        now: Instant,
        request: Option<Message>,
        hop: usize,
        limit: Duration,
        before: Option<&Sent>,
    ) -> Option<Sent> {
        let to = self.hops.get(hop)?.to.clone();
        let reliable = transport_of(&to).is_reliable();
        let id = self.tx.request(now, request?, to, reliable).ok()?;
        let sent = Sent::new(now, id, hop, self.hops.len(), limit, &self.timers);
        Some(match before {
            Some(before) => sent.follow(before),
            None => sent,
        })
    }

    //------------ REGISTER ----------------------------------------------------------------------------------

    fn register(&mut self, now: Instant) {
        self.status.refresh = None;
        self.status.retry = None;
        let up = self.status.up;
        self.set(now, State::Trying, up);
        self.registration = Task::Resolving;
        self.out.push_back(Output::Changed(Change::Registering));
        self.resolve();
    }

    fn send_register(&mut self, now: Instant, hop: usize, before: Option<&Sent>) {
        let uri = register_uri(&self.gateway);
        let credentials = self.login.credentials("REGISTER", uri.as_str(), self.rng.random());
        let at = self.hops.get(hop).cloned();
        let request = at.and_then(|at| self.writer.register(&self.gateway, &at, self.expires, &credentials));
        let limit = Duration::from_secs(self.gateway.conf.timeout_seconds.into());
        match self.send(now, request, hop, limit, before) {
            Some(sent) => self.registration = Task::Sent(sent),
            None => self.failed(now, 500, "the REGISTER cannot be written", None),
        }
    }

    fn register_answered(&mut self, now: Instant, status: u16, message: &Message, flow: Flow) {
        let Some(sent) = self.registration.sent() else { return };
        let (hop, tries) = (sent.hop, sent.tries);
        let again = tries < TRIES;
        if (200..300).contains(&status) {
            return self.registered(now, message, hop);
        }
        let mut why = None;
        match status {
            401 | 407 if again => match self.login.challenged(message, flow.remote.ip()) {
                Ok(()) => return self.register_again(now),
                Err(refused) => why = Some(refused.to_string()),
            },
            // Interval too brief: as long as they want, once.
            423 if again
                && message.min_expires().is_some_and(|least| least > self.expires && self.expires > 0) =>
            {
                let least = message.min_expires().unwrap_or(self.expires);
                if least <= LONGEST_BINDING {
                    self.expires = least;
                    return self.register_again(now);
                }
                why = Some(format!("it wants registrations of at least {least} s"));
            }
            503 => {
                if let Some(next) = self.next_of(&Method::Register) {
                    return self.send_next(now, &Method::Register, next);
                }
            }
            _ => {}
        }
        if self.leaving.is_some() {
            return self.left();
        }
        let phrase = match why {
            Some(why) => format!("{} ({why})", message.reason()),
            None => message.reason().to_owned(),
        };
        self.failed(now, status, &phrase, message.retry_after());
    }

    /// The same once more at the same address, with what its answer asked for.
    fn register_again(&mut self, now: Instant) {
        let Task::Sent(mut before) = std::mem::take(&mut self.registration) else { return };
        before.tries += 1;
        self.send_register(now, before.hop, Some(&before));
    }

    fn registered(&mut self, now: Instant, message: &Message, hop: usize) {
        if self.leaving.is_some() {
            return self.left();
        }
        let granted = self.granted(message);
        if granted == 0 {
            return self.failed(now, 200, "the far end keeps no registration of ours", None);
        }
        self.registration = Task::Idle;
        self.bound = self.hops.get(hop).cloned();
        self.status.failures = 0;
        self.status.last = Some((message.status().unwrap_or(200), message.reason().to_owned()));
        self.set(now, State::Reged, true);
        let refresh = self.refresh_after(granted);
        self.status.refresh = Some(now + refresh);
        let expires = Duration::from_secs(granted.into());
        self.out.push_back(Output::Changed(Change::Registered { expires, refresh }));
        if self.ping_due.is_none() && self.ping.is_idle() {
            self.ping_later(now);
        }
    }

    /// How many seconds the far end grants us: at our Contact, at the only one, in Expires, or what we asked for.
    fn granted(&self, message: &Message) -> u32 {
        let name = &self.gateway.conf.name;
        let contacts = message.contacts().unwrap_or_default();
        let mut addresses = contacts.iter().filter_map(|c| c.address());
        let ours = addresses.clone().find(|a| a.uri().param("gw") == Some(name));
        let only = match addresses.clone().count() {
            1 => addresses.next(),
            _ => None,
        };
        let at_contact = ours.or(only).and_then(|contact| contact.expires());
        at_contact.or(message.expires()).unwrap_or(self.expires)
    }

    /// In time, and not all gateways at once: 15 s before the end, of a short registration half of it, and up to a tenth
    /// (30 s at most) earlier by chance.
    fn refresh_after(&mut self, granted: u32) -> Duration {
        let latest = if granted > 60 { u64::from(granted) - 15 } else { u64::from(granted).div_ceil(2) };
        let earlier = self.rng.random_range(0..=(latest * 100).min(30_000));
        Duration::from_millis((latest * 1000).saturating_sub(earlier).max(1000))
    }

    fn failed(&mut self, now: Instant, status: u16, phrase: &str, retry_after: Option<u32>) {
        self.quieten();
        if self.leaving.is_some() {
            return self.left();
        }
        self.registration = Task::Idle;
        self.bound = None;
        self.expires = self.gateway.conf.expire_seconds;
        self.status.failures = self.status.failures.saturating_add(1);
        self.status.last = Some((status, phrase.to_owned()));
        self.set(now, State::FailWait, false);
        let again = self.wait(status, retry_after);
        self.status.retry = Some(now + again);
        let state = if status == NO_ANSWER { State::Timeout } else { State::Failed };
        let phrase = phrase.to_owned();
        self.out.push_back(Output::Changed(Change::Failed { state, status, phrase, again }));
    }

    /// `retry-seconds`, times the failures in a row unless the far end is merely not there; up to an hour, and up to a
    /// tenth more by chance.
    fn wait(&mut self, status: u16, retry_after: Option<u32>) -> Duration {
        let conf = &self.gateway.conf;
        let least = conf.retry_seconds;
        let seconds = match status {
            NO_ANSWER => conf.fail_908_retry_seconds.unwrap_or(least),
            503 => least,
            _ => least.saturating_mul(self.status.failures.max(1)).min(LONGEST.max(least)),
        };
        let seconds = seconds.max(retry_after.unwrap_or(0).min(LONGEST));
        let more = self.rng.random_range(0..=u64::from(seconds) * 100);
        Duration::from_millis(u64::from(seconds) * 1000 + more)
    }
}

/// Whether a request has waited for too long, and whether that was all of its time.
fn overdue(task: &Task, now: Instant) -> Option<bool> {
    let sent = task.sent()?;
    let silent = sent.silent.is_some_and(|at| at <= now);
    (silent || sent.ends <= now).then_some(sent.ends <= now)
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests;
