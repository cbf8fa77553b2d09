//! One phone: it registers, calls and is called by the scripts of the book. The SIP machines are the project's own,
//! driven from outside as a leg drives them; everything else here is the phone's.

use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tandem::dialog::{Event, Invite, Output, Session, SessionConfig};
use tandem::net::DatagramSocket;
use tandem::sip::digest::{Credentials, ha1};
use tandem::sip::{Builder, Destination, Flow, Limits, Message, Method, Name, NameAddr, Transport, Uri};
use tandem::transaction::{self, Timers, Transactions};
use tokio::sync::{mpsc, watch};

use crate::net::receive;
use crate::office::{DOMAIN, PASSWORD};
use crate::record::{Book, End, Side};
use crate::script::{Act, When};
use crate::sdp::{self, Audio};

/// What the test wants of a phone.
#[derive(Debug)]
pub enum Order {
    /// Register for so many seconds and stay registered; 0: no longer.
    Register(u32),
    /// Make the call of this number in the book.
    Call(usize),
}

/// The test's end of a phone.
pub struct Handset {
    pub user: String,
    pub orders: mpsc::Sender<Order>,
    /// Status of the last final response to REGISTER.
    pub registered: watch::Receiver<u16>,
    /// NOTIFY, OPTIONS and MESSAGE that came outside a call.
    pub asked: Arc<Mutex<Vec<Message>>>,
    /// What it answers those; 0: nothing.
    pub answers: Arc<AtomicU16>,
}

pub struct Phone {
    index: usize,
    user: String,
    socket: Arc<dyn DatagramSocket>,
    flow: Flow,
    book: Book,
    rng: SmallRng,
    talks: Vec<Talk>,
    /// Calls it has died in.
    dead: HashSet<String>,
    due: BTreeMap<(Instant, u32), (u32, Act)>,
    serial: u32,
    registration: Registration,
    asked: Arc<Mutex<Vec<Message>>>,
    answers: Arc<AtomicU16>,
}

struct Registration {
    transactions: Transactions,
    cseq: u32,
    tries: u32,
    expires: u32,
    again: Option<Instant>,
    told: watch::Sender<u16>,
}

/// One session of a call.
struct Talk {
    serial: u32,
    /// Its number in the book.
    call: usize,
    session: Session,
    caller: bool,
    call_id: String,
    tag: String,
    cseq: u32,
    version: u32,
    /// Another session took its place, with credentials.
    replaced: bool,
    /// It was to be cancelled: no second try with credentials.
    gave_up: bool,
    up: bool,
    /// It takes no offer any more.
    balks: bool,
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

impl Phone {
    /// A phone at `socket`, and its task.
    pub fn start(
        index: usize,
        user: &str,
        socket: Arc<dyn DatagramSocket>,
        switch: SocketAddr,
        book: Book,
        rng: SmallRng,
    ) -> Handset {
        let (orders, taken) = mpsc::channel(1000);
        let (told, registered) = watch::channel(0);
        let local = socket.local_addr();
        let (asked, answers) = (Arc::<Mutex<Vec<Message>>>::default(), Arc::new(AtomicU16::new(200)));
        let phone = Phone {
            asked: asked.clone(),
            answers: answers.clone(),
            index,
            user: user.to_owned(),
            socket,
            flow: Flow { transport: Transport::Udp, local, remote: switch, connection: 0 },
            book,
            rng,
            talks: Vec::new(),
            dead: HashSet::new(),
            due: BTreeMap::new(),
            serial: 0,
            registration: Registration {
                transactions: Transactions::new(Timers::default(), 64),
                cseq: 0,
                tries: 0,
                expires: 0,
                again: None,
                told,
            },
        };
        tokio::spawn(phone.run(taken));
        Handset { user: user.to_owned(), orders, registered, asked, answers }
    }

    async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        let socket = self.socket.clone();
        loop {
            let wake = self.next_timeout();
            let alarm = async {
                match wake {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                order = orders.recv() => match order {
                    Some(Order::Register(expires)) => {
                        self.registration.expires = expires;
                        self.registration.tries = 0;
                        self.register(None);
                    }
                    Some(Order::Call(call)) => self.call(call, None),
                    None => return,
                },
                (datagram, _) = receive(&*socket) => self.hear(Bytes::from(datagram)),
                () = alarm => self.timeout(),
            }
            self.drain();
            self.note_descriptions();
        }
    }

    /// What is said and heard in each call that is up, as of now.
    fn note_descriptions(&self) {
        for talk in self.talks.iter().filter(|t| t.up && !t.replaced) {
            let (said, heard) = (talk.session.local_sdp().cloned(), talk.session.remote_sdp().cloned());
            self.note(talk.call, talk.caller, |side| {
                if side.end.is_none() {
                    (side.said, side.heard) = (said, heard);
                }
            });
        }
    }

    fn next_timeout(&self) -> Option<Instant> {
        let sessions = self.talks.iter().filter_map(|t| t.session.next_timeout());
        let due = self.due.keys().next().map(|(at, _)| *at);
        let registration = &self.registration;
        sessions.chain(due).chain(registration.transactions.next_timeout()).chain(registration.again).min()
    }

    fn timeout(&mut self) {
        let now = now();
        for talk in &mut self.talks {
            if talk.session.next_timeout().is_some_and(|at| at <= now) {
                talk.session.timeout(now);
            }
        }
        self.registration.transactions.timeout(now);
        if self.registration.again.is_some_and(|at| at <= now) {
            self.registration.again = None;
            self.registration.tries = 0;
            self.register(None);
        }
        while let Some(entry) = self.due.first_entry().filter(|e| e.key().0 <= now) {
            let (serial, act) = entry.remove();
            self.act(serial, act);
        }
    }

    fn send(&self, bytes: &Bytes, to: &Destination) {
        let switch = self.flow.remote;
        match to {
            Destination::Flow(flow) => assert_eq!(flow.remote, switch, "sent elsewhere"),
            Destination::Host { host, .. } => {
                assert!(*host == switch.ip().to_string() || host == DOMAIN, "sent to {host}");
            }
        }
        self.socket.try_send_to(bytes, switch).expect("the virtual network takes everything");
    }

    /// Takes everything out of the machines.
    fn drain(&mut self) {
        loop {
            let mut outputs = Vec::new();
            for talk in &mut self.talks {
                while let Some(output) = talk.session.poll() {
                    outputs.push((talk.serial, output));
                }
            }
            if outputs.is_empty() {
                break;
            }
            for (serial, output) in outputs {
                match output {
                    Output::Send { bytes, to, .. } => self.send(&bytes, &to),
                    Output::Event(event) => self.told(serial, event),
                }
            }
        }
        self.talks.retain(|t| !t.session.is_over());
        while let Some(output) = self.registration.transactions.poll() {
            match output {
                transaction::Output::Send { bytes, to, .. } => self.send(&bytes, &to),
                transaction::Output::Response { message, .. } => self.registered(&message),
                transaction::Output::TimedOut { .. } => {
                    let _ = self.registration.told.send(408);
                }
                _ => {}
            }
        }
    }

    fn hear(&mut self, datagram: Bytes) {
        let message = Message::parse(datagram, &Limits::default()).expect("the switch sends good messages");
        let call_id = message.call_id();
        if self.dead.contains(call_id) {
            return;
        }
        let (now, flow) = (now(), self.flow);
        if !message.is_request() {
            if *message.method() == Method::Register {
                return self.registration.transactions.receive(now, message, flow);
            }
            let branch = message.via().branch().unwrap_or("");
            let serial = branch.strip_prefix("z9hG4bKs").and_then(|b| b.split('.').next()?.parse().ok());
            if let Some(talk) = self.talks.iter_mut().find(|t| Some(t.serial) == serial) {
                talk.session.receive(now, message, flow);
            }
            return;
        }
        let tag = message.to_tag();
        let known = |t: &&mut Talk| t.call_id == call_id && tag.is_none_or(|tag| tag == t.tag);
        if let Some(talk) = self.talks.iter_mut().rev().find(known) {
            return talk.session.receive(now, message, flow);
        }
        match message.method() {
            Method::Ack => {}
            Method::Invite if tag.is_none() => self.rung(message),
            Method::Notify | Method::Options | Method::Message if tag.is_none() => {
                let status = self.answers.load(Ordering::Relaxed);
                let mut asked = self.asked.lock().unwrap();
                if !asked.iter().any(|known| known.via().branch() == message.via().branch()) {
                    asked.push(message.clone());
                }
                if status > 0 {
                    let bytes = Builder::response(&message, &flow, status, "Said").to_tag("o").finish();
                    self.send(&bytes, &Destination::Flow(flow));
                }
            }
            method => {
                assert!(tag.is_some() || *method == Method::Cancel, "{method} out of nowhere");
                let bytes = Builder::response(&message, &flow, 481, "Gone").finish();
                self.send(&bytes, &Destination::Flow(flow));
            }
        }
    }

    //------------ Registration ---------------------------------------------------------------------------------

    fn register(&mut self, credentials: Option<String>) {
        self.registration.cseq += 1;
        let (cseq, local) = (self.registration.cseq, self.flow.local);
        let me = format!("<sip:{}@{DOMAIN}>", self.user);
        let uri: Uri = format!("sip:{DOMAIN}").parse().unwrap();
        let bytes = Builder::request(&Method::Register, &uri)
            .header(Name::Via, format!("SIP/2.0/UDP {local};rport;branch=z9hG4bKr{}.{cseq}", self.index))
            .header(Name::MaxForwards, 70)
            .header(Name::From, format!("{me};tag=r{}", self.index))
            .header(Name::To, &me)
            .header(Name::CallId, format!("registration-{}", self.index))
            .header(Name::CSeq, format!("{cseq} REGISTER"))
            .header(Name::Contact, format!("<sip:{}@{local}>", self.user))
            .header(Name::Expires, self.registration.expires)
            .header_opt(Name::Authorization, credentials)
            .finish();
        let message = Message::parse(bytes, &Limits::default()).unwrap();
        let to = Destination::Flow(self.flow);
        self.registration.transactions.request(now(), message, to, false).expect("room");
    }

    fn registered(&mut self, response: &Message) {
        let status = response.status().unwrap_or(0);
        if status < 200 {
            return;
        }
        if status == 401 && self.registration.tries < 3 {
            self.registration.tries += 1;
            let credentials = self.credentials(response, "REGISTER", &format!("sip:{DOMAIN}"));
            return self.register(Some(credentials));
        }
        if status == 200 && self.registration.expires > 0 {
            self.registration.again = Some(now() + Duration::from_secs(self.registration.expires.into()) / 2);
        }
        let _ = self.registration.told.send(status);
    }

    fn credentials(&mut self, response: &Message, method: &str, uri: &str) -> String {
        let (_, challenge) = response.challenges().next().expect("a challenge");
        let challenge = challenge.expect("a good one");
        let ha1 = ha1(challenge.algorithm().unwrap(), &self.user, challenge.realm(), PASSWORD);
        let cnonce = format!("{:08x}", self.rng.random::<u32>());
        Credentials::answer(&challenge, &self.user, &ha1, method, uri, &cnonce, 1).unwrap().to_string()
    }

    //------------ Calls ----------------------------------------------------------------------------------------

    fn note(&self, call: usize, caller: bool, note: impl FnOnce(&mut Side)) {
        let mut book = self.book.lock().unwrap();
        let call = &mut book[call];
        note(if caller { &mut call.caller } else { call.callees.entry(self.index).or_default() });
    }

    fn end(&self, serial: u32, end: End) {
        if let Some(talk) = self.talks.iter().find(|t| t.serial == serial) {
            let at = now();
            self.note(talk.call, talk.caller, |side| {
                side.note(at, format!("ends: {end:?}"));
                side.end.get_or_insert((at, end));
            });
        }
    }

    fn config(&mut self, tag: &str) -> SessionConfig {
        self.serial += 1;
        let local = self.flow.local;
        SessionConfig {
            local_tag: tag.to_owned(),
            branch_prefix: format!("z9hG4bKs{}.{:08x}.", self.serial, self.rng.random::<u32>()),
            sent_by: vec![(Transport::Udp, local.to_string())],
            contact: format!("<sip:{}@{local}>", self.user),
            supported: "timer".to_owned(),
            session_expires: self.rng.random_bool(0.3).then_some(120),
            enable_timer: self.rng.random_bool(0.7),
            update_refresher: self.rng.random_bool(0.5),
            ..SessionConfig::default()
        }
    }

    /// Sends the INVITE of a call; the second time with credentials.
    fn call(&mut self, call: usize, again: Option<(Talk, String)>) {
        let script = self.book.lock().unwrap()[call].script.clone();
        let (call_id, tag, cseq) = match &again {
            Some((old, _)) => (old.call_id.clone(), old.tag.clone(), old.cseq + 1),
            None => (format!("call-{call}"), format!("a{call}.{}", self.index), 1),
        };
        let config = self.config(&tag);
        let named = |user: &str| NameAddr::new(format!("sip:{user}@{DOMAIN}").parse::<Uri>().unwrap());
        let mut headers = vec![("X-Call".to_owned(), call.to_string())];
        headers.extend(again.iter().map(|(_, c)| ("Proxy-Authorization".to_owned(), c.clone())));
        let invite = Invite {
            uri: format!("sip:{}@{DOMAIN}", script.number).parse().unwrap(),
            from: named(&self.user),
            to: named(&script.number),
            call_id: call_id.clone(),
            cseq,
            routes: Vec::new(),
            headers,
            max_forwards: 70,
            sdp: (!script.delayed_offer).then(|| sdp::offer(self.index, 1, Audio::Talk)),
            to_destination: Destination::Flow(self.flow),
            reliable: false,
        };
        let rng = SmallRng::seed_from_u64(self.rng.random());
        let session = Session::outgoing(now(), config, invite, rng);
        if let Some((mut old, _)) = again {
            old.replaced = true;
            self.talks.push(old);
        } else {
            let begun = now();
            self.note(call, true, |side| {
                side.sessions = 1;
                side.begun = Some(begun);
            });
            self.schedule(self.serial, &script.caller_acts, false);
        }
        let serial = self.serial;
        let talk = Talk {
            serial,
            call,
            session,
            caller: true,
            call_id,
            tag,
            cseq,
            version: 1,
            replaced: false,
            gave_up: false,
            up: false,
            balks: false,
        };
        self.talks.push(talk);
    }

    /// An INVITE came.
    fn rung(&mut self, invite: Message) {
        let call = invite.header_named("X-Call").next().and_then(|n| n.parse::<usize>().ok());
        let call = call.expect("the caller's X-Call comes across");
        let tag = format!("b{call}.{}.{}", self.index, self.serial);
        let config = self.config(&tag);
        let call_id = invite.call_id().to_owned();
        let rng = SmallRng::seed_from_u64(self.rng.random());
        let session = Session::incoming(now(), config, invite, self.flow, rng);
        let mut acts = Vec::new();
        {
            let mut book = self.book.lock().unwrap();
            let entry = &mut book[call];
            let side = entry.callees.entry(self.index).or_default();
            side.sessions += 1;
            side.begun = Some(now());
            side.note(now(), "rung");
            acts.extend(entry.script.acts_of(self.index));
        }
        let serial = self.serial;
        let talk = Talk {
            serial,
            call,
            session,
            caller: false,
            call_id,
            tag,
            cseq: 0,
            version: 0,
            replaced: false,
            gave_up: false,
            up: false,
            balks: false,
        };
        self.talks.push(talk);
        self.schedule(serial, &acts, false);
    }

    fn schedule(&mut self, serial: u32, acts: &[(When, Act)], up: bool) {
        for (when, act) in acts {
            let after = match when {
                When::Begun(after) if !up => *after,
                When::Up(after) if up => *after,
                _ => continue,
            };
            let at = now() + after;
            let free = (0..).find(|n| !self.due.contains_key(&(at, *n))).unwrap_or(0);
            self.due.insert((at, free), (serial, *act));
        }
    }

    /// The session is up: the rest of the script begins.
    fn is_up(&mut self, serial: u32) {
        let Some(talk) = self.talks.iter_mut().find(|t| t.serial == serial && !t.up) else { return };
        talk.up = true;
        let (call, caller) = (talk.call, talk.caller);
        let script = self.book.lock().unwrap()[call].script.clone();
        let acts = if caller { script.caller_acts } else { script.acts_of(self.index) };
        let at = now();
        self.note(call, caller, |side| {
            side.up = Some(at);
            side.note(at, "up");
        });
        self.schedule(serial, &acts, true);
    }

    fn act(&mut self, serial: u32, act: Act) {
        let (now, index) = (now(), self.index);
        // The acts of the first INVITE are those of the one with credentials.
        let Some(first) = self.talks.iter().find(|t| t.serial == serial) else { return };
        let (call_id, caller) = (first.call_id.clone(), first.caller);
        let Some(talk) =
            self.talks.iter_mut().find(|t| t.call_id == call_id && t.caller == caller && !t.replaced)
        else {
            return;
        };
        let (call, serial) = (talk.call, talk.serial);
        let answer = |talk: &mut Talk| {
            talk.version += 1;
            match talk.session.remote_sdp() {
                Some(offer) => sdp::answer(index, talk.version, offer),
                None => Some(sdp::offer(index, talk.version, Audio::Talk)),
            }
        };
        let mut end = None;
        let done = match act {
            Act::Ring => talk.session.provisional(now, 180, None, &[]),
            Act::EarlyMedia => {
                let body = answer(talk);
                talk.session.provisional(now, 183, body, &[])
            }
            Act::Answer => {
                let body = talk.session.local_sdp().cloned().or_else(|| answer(talk));
                talk.session.answer(now, body, &[])
            }
            Act::Refuse(status) => {
                end = Some(End::Refused);
                talk.session.reject(now, status, None, &[])
            }
            Act::Cancel => {
                talk.gave_up = !talk.up;
                talk.session.cancel(now, &[])
            }
            Act::HangUp => {
                end = Some(End::HungUp);
                talk.session.bye(now, &[])
            }
            Act::Offer(audio) => {
                talk.version += 1;
                let body = sdp::offer(index, talk.version, audio);
                talk.session.offer(now, Some(body), &[])
            }
            Act::OfferNothing => talk.session.offer(now, None, &[]),
            Act::Digit(digit) => {
                let body = Bytes::from(format!("Signal={digit}\r\nDuration=160\r\n"));
                talk.session
                    .request(now, Method::Info, &[], Some(("application/dtmf-relay", body)))
                    .map(|_| ())
            }
            Act::Info(kind) => {
                let body = Bytes::from_static(b"something");
                talk.session.request(now, Method::Info, &[], Some((kind, body))).map(|_| ())
            }
            Act::Balk => {
                talk.balks = true;
                Ok(())
            }
            Act::Refer(user) => {
                let headers = [("Refer-To".to_owned(), format!("<sip:{user}@{DOMAIN}>"))];
                talk.session.request(now, Method::Refer, &headers, None).map(|_| ())
            }
            Act::Vanish => {
                self.end(serial, End::Vanished);
                self.dead.insert(call_id.clone());
                self.talks.retain(|t| t.call_id != call_id);
                return;
            }
        };
        match done {
            Ok(()) => {
                self.note(call, caller, |side| {
                    side.note(now, format!("{act:?}"));
                    if matches!(act, Act::Answer) {
                        side.answered = Some(now);
                    }
                });
                if let Some(end) = end {
                    self.end(serial, end);
                }
            }
            Err(error) => {
                self.note(call, caller, |side| side.note(now, format!("cannot {act:?}: {error}")));
            }
        }
    }

    fn told(&mut self, serial: u32, event: Event) {
        let (now, index) = (now(), self.index);
        let Some(at) = self.talks.iter().position(|t| t.serial == serial) else { return };
        let talk = &mut self.talks[at];
        let mut failed = Ok(());
        match event {
            Event::Answered { needs_answer, .. } => {
                if needs_answer {
                    talk.version += 1;
                    let answer =
                        talk.session.remote_sdp().and_then(|offer| sdp::answer(index, talk.version, offer));
                    failed = talk.session.acknowledge(now, answer);
                }
                self.is_up(serial);
            }
            Event::OfferAnswered { sdp: offer, needs_answer: true } => {
                talk.version += 1;
                let answer = offer.and_then(|offer| sdp::answer(index, talk.version, &offer));
                failed = talk.session.acknowledge(now, answer);
            }
            Event::Acknowledged { .. } => self.is_up(serial),
            Event::Failed { status: 407, message: Some(challenge) } if talk.cseq < 4 && !talk.gave_up => {
                let talk = self.talks.remove(at);
                let script = self.book.lock().unwrap()[talk.call].script.clone();
                let uri = format!("sip:{}@{DOMAIN}", script.number);
                let credentials = self.credentials(&challenge, "INVITE", &uri);
                self.call(talk.call, Some((talk, credentials)));
            }
            Event::Failed { status: 407, .. } if talk.gave_up => self.end(serial, End::Failed(487)),
            Event::Failed { status, .. } if !talk.replaced => self.end(serial, End::Failed(status)),
            Event::Cancelled { .. } => self.end(serial, End::Cancelled),
            Event::AckTimedOut => self.end(serial, End::AckTimedOut),
            Event::Bye { .. } => self.end(serial, End::Byed),
            Event::SessionExpired => self.end(serial, End::Expired),
            Event::Lost { status } => self.end(serial, End::Lost(status)),
            Event::Offer { id, sdp: offer, .. } => {
                talk.version += 1;
                let body = match &offer {
                    _ if talk.balks => None,
                    Some(offer) => sdp::answer(index, talk.version, offer),
                    None => Some(sdp::offer(index, talk.version, Audio::Talk)),
                };
                failed = match body {
                    Some(body) => talk.session.accept_offer(now, id, Some(body), &[]),
                    None => talk.session.refuse_offer(now, id, 488, &[]),
                };
            }
            Event::OfferRefused { status } => {
                let (call, caller) = (talk.call, talk.caller);
                self.note(call, caller, |side| side.note(now, format!("offer refused: {status}")));
            }
            Event::Request { id, message } => {
                let (call, caller) = (talk.call, talk.caller);
                let body = String::from_utf8_lossy(message.body()).into_owned();
                let kind = message.header(Name::ContentType).unwrap_or("");
                let what = match message.method() {
                    Method::Refer => {
                        let to = message.header(Name::ReferTo).unwrap_or("").to_owned();
                        failed = asked(&mut talk.session, now, id, &to);
                        to
                    }
                    method => {
                        failed = talk.session.respond(now, id, 200, &[], None);
                        let first = body.lines().next().unwrap_or("");
                        if *method == Method::Notify { first.to_owned() } else { format!("{kind} {first}") }
                    }
                };
                let what = format!("{} {what}", message.method());
                self.note(call, caller, |side| side.note(now, what));
            }
            Event::Updated { message } => {
                let (call, caller) = (talk.call, talk.caller);
                let who = message.header(Name::PAssertedIdentity).unwrap_or("").to_owned();
                self.note(call, caller, |side| side.note(now, format!("UPDATE {who}")));
            }
            Event::Response { status, .. } if status >= 300 => {
                let (call, caller) = (talk.call, talk.caller);
                self.note(call, caller, |side| side.note(now, format!("answered {status}")));
            }
            _ => {}
        }
        if let Err(error) = failed {
            let Some(talk) = self.talks.iter().find(|t| t.serial == serial) else { return };
            self.note(talk.call, talk.caller, |side| side.note(now, format!("not possible: {error}")));
        }
    }
}

/// Asked to call somebody: 4… is busy, 5… is not to be called, of 6… nothing is ever said.
fn asked(
    session: &mut Session,
    now: Instant,
    id: tandem::dialog::RequestId,
    to: &str,
) -> Result<(), tandem::dialog::CommandError> {
    let first = to.split_once("sip:").and_then(|(_, rest)| rest.chars().next());
    if first == Some('5') {
        return session.respond(now, id, 603, &[], None);
    }
    session.respond(now, id, 202, &[], None)?;
    let fragment: &'static [u8] = match first {
        Some('6') => return Ok(()),
        Some('4') => b"SIP/2.0 486 Busy Here\r\n",
        _ => b"SIP/2.0 200 OK\r\n",
    };
    let headers = [
        ("Event".to_owned(), "refer".to_owned()),
        ("Subscription-State".to_owned(), "terminated;reason=noresource".to_owned()),
    ];
    let body = Some(("message/sipfrag", Bytes::from_static(fragment)));
    session.request(now, Method::Notify, &headers, body).map(|_| ())
}
