//! Two sessions against each other over a wire that loses, doubles and reorders, in virtual time. Every run is
//! decided by its seed: on a failure the seed is printed.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tandem::dialog::{Event, How, Invite, OfferId, Output, RequestId, Session, SessionConfig};
use tandem::sip::{Destination, Flow, Limits, Message, Method, NameAddr, Transport, Uri};

const ALICE: usize = 0;
const BOB: usize = 1;

#[derive(Clone, Debug)]
enum Happening {
    Arrives(Bytes),
    Act(Act),
}

#[derive(Clone, Debug)]
enum Act {
    Ring(u16, bool),
    Answer,
    Reject,
    Cancel,
    Offer,
    OfferNothing,
    Update,
    Info,
    Accept(OfferId),
    Refuse(OfferId),
    Respond(RequestId),
    Acknowledge,
    HangUp,
    /// How many more times, should a refresh be under way.
    Check(u32),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Outcome {
    #[default]
    None,
    Up,
    Failed(u16),
    Cancelled,
    Rejected,
    AckTimedOut,
}

struct End {
    session: Option<Session>,
    outcome: Outcome,
    answered: bool,
    ended: bool,
    byed: bool,
    offers: u32,
}

#[derive(Clone, Copy, Debug)]
struct Weather {
    loss: f64,
    doubled: f64,
    late: f64,
    /// Over TCP.
    stream: bool,
}

struct World {
    now: Instant,
    start: Instant,
    rng: SmallRng,
    weather: Weather,
    ends: [End; 2],
    due: BTreeMap<(Instant, u64), (usize, Happening)>,
    serial: u64,
    config: [SessionConfig; 2],
    trace: Vec<String>,
    checked: bool,
}

fn address(who: usize) -> SocketAddr {
    format!("192.0.2.{}:5060", who + 1).parse().unwrap()
}

fn flow(who: usize, stream: bool) -> Flow {
    let (transport, connection) = if stream { (Transport::Tcp, 7) } else { (Transport::Udp, 0) };
    Flow { transport, local: address(who), remote: address(1 - who), connection }
}

impl World {
    fn new(seed: u64, weather: Weather) -> World {
        let mut rng = SmallRng::seed_from_u64(seed);
        let now = Instant::now();
        let config = [ALICE, BOB].map(|who| SessionConfig {
            local_tag: format!("tag{who}"),
            branch_prefix: format!("z9hG4bKside{who}."),
            sent_by: vec![(Transport::Udp, address(who).to_string())],
            contact: format!("<sip:u{who}@{}>", address(who)),
            supported: "timer, 100rel".into(),
            reliable_provisional: rng.random_bool(0.5),
            session_expires: rng.random_bool(0.5).then_some(90),
            sticky: rng.random_bool(0.5),
            update_refresher: rng.random_bool(0.5),
            ..SessionConfig::default()
        });
        let end = || End {
            session: None,
            outcome: Outcome::None,
            answered: false,
            ended: false,
            byed: false,
            offers: 0,
        };
        World {
            now,
            start: now,
            rng,
            weather,
            ends: [end(), end()],
            due: BTreeMap::new(),
            serial: 0,
            config,
            trace: Vec::new(),
            checked: false,
        }
    }

    fn at(&mut self, at: Instant, who: usize, happening: Happening) {
        self.serial += 1;
        self.due.insert((at, self.serial), (who, happening));
    }

    fn act_in(&mut self, who: usize, ms: u64, act: Act) {
        self.at(self.now + Duration::from_millis(ms), who, Happening::Act(act));
    }

    /// What the owners will do, decided beforehand.
    fn plan(&mut self) {
        let mut time = self.rng.random_range(0..400);
        for _ in 0..self.rng.random_range(0..3) {
            let status = [180, 183, 181][self.rng.random_range(0..3)];
            let sdp = self.rng.random_bool(0.5);
            self.act_in(BOB, time, Act::Ring(status, sdp));
            time += self.rng.random_range(0..3000);
        }
        match self.rng.random_range(0..10) {
            0 => self.act_in(BOB, time, Act::Reject),
            1 => {}
            _ => self.act_in(BOB, time, Act::Answer),
        }
        if self.rng.random_bool(0.25) {
            let around = self.rng.random_range(0..time + 500);
            self.act_in(ALICE, around, Act::Cancel);
        }
        for _ in 0..self.rng.random_range(0..6) {
            let (who, when) = (self.rng.random_range(0..2), time + self.rng.random_range(0..30_000));
            let act = match self.rng.random_range(0..5) {
                0 | 1 => Act::Offer,
                2 => Act::OfferNothing,
                3 => Act::Update,
                _ => Act::Info,
            };
            // half the time both at once, for glare
            if self.rng.random_bool(0.5) {
                self.act_in(1 - who, when, act.clone());
            }
            self.act_in(who, when, act);
        }
        self.act_in(ALICE, 240_000, Act::Check(4));
        let who = self.rng.random_range(0..2);
        self.act_in(who, 256_000, Act::HangUp);
        let soon = 256_000 + self.rng.random_range(0..200);
        self.act_in(1 - who, soon, Act::HangUp);
    }

    fn run(&mut self) {
        self.plan();
        let named = |who: usize| NameAddr::new(format!("sip:u{who}@example.net").parse::<Uri>().unwrap());
        let sdp = self.rng.random_bool(0.75).then(|| self.description(ALICE));
        let invite = Invite {
            uri: format!("sip:u1@{}", address(BOB)).parse().unwrap(),
            from: named(ALICE),
            to: named(BOB),
            call_id: "c@example.net".into(),
            cseq: 1,
            routes: Vec::new(),
            headers: Vec::new(),
            max_forwards: 70,
            sdp,
            to_destination: Destination::Flow(flow(ALICE, self.weather.stream)),
            reliable: self.weather.stream,
        };
        let rng = SmallRng::seed_from_u64(self.rng.random());
        self.ends[ALICE].session = Some(Session::outgoing(self.now, self.config[ALICE].clone(), invite, rng));
        self.drain(ALICE);
        loop {
            let timers = [ALICE, BOB].map(|w| self.ends[w].session.as_ref().and_then(Session::next_timeout));
            let due = self.due.first_key_value().map(|((at, _), _)| *at);
            let Some(next) = timers.into_iter().flatten().chain(due).min() else { break };
            self.now = self.now.max(next);
            assert!(self.now - self.start < Duration::from_secs(900), "it does not end");
            for who in [ALICE, BOB] {
                if timers[who].is_some_and(|at| at <= self.now) {
                    if let Some(session) = &mut self.ends[who].session {
                        session.timeout(self.now);
                    }
                    self.drain(who);
                    if let Some(session) = &self.ends[who].session {
                        assert!(
                            session.next_timeout().is_none_or(|at| at > self.now),
                            "a timer that does not end"
                        );
                    }
                }
            }
            while let Some(entry) = self.due.first_entry().filter(|e| e.key().0 <= self.now) {
                let (who, happening) = entry.remove();
                match happening {
                    Happening::Arrives(bytes) => self.arrives(who, bytes),
                    Happening::Act(act) => self.act(who, act),
                }
                self.drain(who);
            }
            let over = |e: &End| e.session.as_ref().is_none_or(Session::is_over);
            if self.ends.iter().all(over) && self.due.values().all(|(_, h)| matches!(h, Happening::Act(_))) {
                break;
            }
        }
    }

    fn note(&mut self, who: usize, what: String) {
        let ms = (self.now - self.start).as_millis();
        self.trace.push(format!("{ms:>7} {} {what}", if who == ALICE { "alice" } else { "            bob" }));
    }

    fn arrives(&mut self, who: usize, bytes: Bytes) {
        let message = Message::parse(bytes, &Limits::default()).expect("our own messages parse");
        let flow = flow(who, self.weather.stream);
        match &mut self.ends[who].session {
            Some(session) => session.receive(self.now, message, flow),
            None => {
                if matches!(message.method(), Method::Invite) && message.is_request() {
                    let rng = SmallRng::seed_from_u64(self.rng.random());
                    let config = self.config[who].clone();
                    self.ends[who].session = Some(Session::incoming(self.now, config, message, flow, rng));
                }
            }
        }
    }

    fn description(&mut self, who: usize) -> Bytes {
        self.ends[who].offers += 1;
        Bytes::from(format!("v=0\r\ns=side {who} number {}\r\n", self.ends[who].offers))
    }

    fn act(&mut self, who: usize, act: Act) {
        self.note(who, format!("** {act:?}"));
        let sdp = self.description(who);
        if let Act::Check(more) = act {
            return self.check_agreement(more);
        }
        let now = self.now;
        let Some(session) = &mut self.ends[who].session else { return };
        let done = match act {
            Act::Ring(status, with) => session.provisional(now, status, with.then_some(sdp), &[]),
            Act::Answer => {
                // the owner keeps to what it said in its early media
                let sdp = session.local_sdp().cloned().unwrap_or(sdp);
                let done = session.answer(now, Some(sdp), &[]);
                self.ends[who].answered |= done.is_ok();
                done
            }
            Act::Reject => {
                let done = session.reject(now, 486, None, &[]);
                if done.is_ok() {
                    self.ends[who].outcome = Outcome::Rejected;
                }
                done
            }
            Act::Cancel => session.cancel(now, &[]),
            Act::Offer => session.offer(now, Some(sdp), &[]),
            Act::OfferNothing => session.offer(now, None, &[]),
            Act::Update => session.update(now, Some(sdp), &[]),
            Act::Info => session.request(now, Method::Info, &[], None).map(|_| ()),
            Act::Accept(id) => session.accept_offer(now, id, Some(sdp), &[]),
            Act::Refuse(id) => session.refuse_offer(now, id, 488, &[]),
            Act::Respond(id) => session.respond(now, id, 200, &[], None),
            Act::Acknowledge => session.acknowledge(now, Some(sdp)),
            Act::HangUp if session.is_confirmed() => session.bye(now, &[]),
            Act::HangUp if session.is_caller() => session.cancel(now, &[]),
            Act::HangUp => {
                let done = session.reject(now, 480, None, &[]);
                if done.is_ok() {
                    self.ends[who].outcome = Outcome::Rejected;
                }
                done
            }
            Act::Check(_) => Ok(()),
        };
        if let Err(error) = done {
            self.note(who, format!("   not possible: {error}"));
        }
    }

    /// After a long quiet time both sides hold the same descriptions.
    fn check_agreement(&mut self, more: u32) {
        let [Some(alice), Some(bob)] = [&self.ends[ALICE].session, &self.ends[BOB].session] else { return };
        assert_eq!(alice.is_confirmed(), bob.is_confirmed(), "one thinks it is in a call");
        if alice.is_confirmed() {
            let differ = alice.local_sdp() != bob.remote_sdp() || bob.local_sdp() != alice.remote_sdp();
            if differ && more > 0 {
                return self.act_in(ALICE, 3000, Act::Check(more - 1));
            }
            assert_eq!(alice.local_sdp(), bob.remote_sdp(), "what alice said");
            assert_eq!(bob.local_sdp(), alice.remote_sdp(), "what bob said");
            match (alice.session_expires(), bob.session_expires()) {
                (Some((a, ra)), Some((b, rb))) => assert!(a == b && ra != rb, "one refresher: {ra:?} {rb:?}"),
                (a, b) => assert_eq!(a.is_some(), b.is_some()),
            }
            self.checked = true;
        }
    }

    fn drain(&mut self, who: usize) {
        loop {
            let Some(output) = self.ends[who].session.as_mut().and_then(Session::poll) else { return };
            match output {
                Output::Send { bytes, to, .. } => {
                    let line = String::from_utf8_lossy(&bytes);
                    let cseq = line.lines().find(|l| l.starts_with("CSeq")).unwrap_or("").to_owned();
                    let line = line.lines().next().unwrap_or("").to_owned();
                    let goes_to = match to {
                        Destination::Flow(flow) => flow.remote == address(1 - who),
                        Destination::Host { .. } => !self.weather.stream,
                    };
                    assert!(goes_to, "sent elsewhere: {line}");
                    self.note(who, format!("-> {line} {cseq}"));
                    self.post(1 - who, bytes);
                }
                Output::Event(event) => self.told(who, event),
            }
        }
    }

    fn post(&mut self, to: usize, bytes: Bytes) {
        let Weather { loss, doubled, late, stream } = self.weather;
        let copies = if self.rng.random_bool(doubled) { 2 } else { 1 };
        for _ in 0..copies {
            if self.rng.random_bool(loss) {
                continue;
            }
            let mut delay = if stream { 20 } else { self.rng.random_range(5..50) };
            if self.rng.random_bool(late) {
                delay += self.rng.random_range(0..900);
            }
            self.at(self.now + Duration::from_millis(delay), to, Happening::Arrives(bytes.clone()));
        }
    }

    fn told(&mut self, who: usize, event: Event) {
        let text = format!("{event:?}");
        self.note(who, format!("<< {}", text.get(..60).unwrap_or(&text)));
        assert!(!self.ends[who].ended, "told after Ended: {text}");
        let later = self.rng.random_range(0..1500);
        match event {
            Event::Answered { needs_answer, .. } => {
                self.ends[who].outcome = Outcome::Up;
                if needs_answer {
                    self.act_in(who, later, Act::Acknowledge);
                }
            }
            Event::Acknowledged { .. } => self.ends[who].outcome = Outcome::Up,
            Event::OfferAnswered { needs_answer: true, .. } => self.act_in(who, later, Act::Acknowledge),
            Event::Failed { status, .. } => self.ends[who].outcome = Outcome::Failed(status),
            Event::Cancelled { .. } => self.ends[who].outcome = Outcome::Cancelled,
            Event::AckTimedOut => self.ends[who].outcome = Outcome::AckTimedOut,
            Event::Offer { id, how, .. } => {
                // not the refreshes, which begin at 45 s
                let early = self.now - self.start < Duration::from_secs(40);
                if early && how != How::Provisional && self.rng.random_bool(0.15) {
                    self.act_in(who, later, Act::Refuse(id));
                } else {
                    self.act_in(who, later, Act::Accept(id));
                }
            }
            Event::Request { id, .. } => self.act_in(who, later, Act::Respond(id)),
            Event::Bye { .. } => self.ends[who].byed = true,
            Event::Ended => self.ends[who].ended = true,
            // unless the other side has hung up, and its BYE is still on the way
            Event::Lost { .. } | Event::SessionExpired => assert!(self.ends[1 - who].ended, "lost: {text}"),
            _ => {}
        }
    }

    /// Both sides have ended and tell the same story.
    fn judge(&self) {
        for end in &self.ends {
            let Some(session) = &end.session else { continue };
            assert!(session.is_over(), "not over: {session:?}");
            assert!(end.ended, "Ended was not told");
        }
        let (alice, bob) = (&self.ends[ALICE], &self.ends[BOB]);
        match (alice.outcome, bob.outcome) {
            (Outcome::Up, Outcome::Up) => {}
            // the BYE overtook the ACK, or both hung up before it came
            (Outcome::Up, Outcome::None) => assert!(bob.answered && bob.byed, "up without an answer"),
            // the CANCEL crossed the 2xx: ACK and BYE
            (Outcome::Failed(487), Outcome::Up | Outcome::None) => {
                assert!(bob.answered || bob.session.is_none())
            }
            (Outcome::Failed(487), Outcome::Cancelled | Outcome::Rejected | Outcome::Failed(504)) => {}
            (Outcome::Failed(486 | 480), Outcome::Rejected) => {}
            (Outcome::Failed(504), Outcome::Failed(504)) => {}
            // nobody heard the INVITE
            (Outcome::Failed(408), Outcome::None) => assert!(bob.session.is_none()),
            other => panic!("they disagree: {other:?}"),
        }
    }
}

fn call(seed: u64, weather: Weather) -> (Outcome, Outcome, bool) {
    let mut world = World::new(seed, weather);
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        world.run();
        world.judge();
    }));
    if let Err(panic) = result {
        eprintln!("seed {seed}, {weather:?}\n{}", world.trace.join("\n"));
        std::panic::resume_unwind(panic);
    }
    (world.ends[ALICE].outcome, world.ends[BOB].outcome, world.checked)
}

fn many(calls: u64, weather: Weather) {
    let first: u64 = std::env::var("SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(0);
    let mut outcomes = BTreeMap::<Reverse<String>, u32>::new();
    let mut checked = 0;
    for seed in first..first + calls {
        let (alice, bob, agreed) = call(seed, weather);
        checked += u32::from(agreed);
        *outcomes.entry(Reverse(format!("{alice:?} / {bob:?}"))).or_default() += 1;
    }
    eprintln!("{weather:?}: {checked} compared, {outcomes:?}");
    assert!(u64::from(checked) > calls / 4, "most calls should have come to be compared");
}

#[test]
fn on_a_perfect_wire() {
    many(1000, Weather { loss: 0.0, doubled: 0.0, late: 0.0, stream: false });
}

#[test]
fn doubled_and_reordered() {
    many(1500, Weather { loss: 0.0, doubled: 0.2, late: 0.2, stream: false });
}

#[test]
fn one_percent_lost() {
    many(1500, Weather { loss: 0.01, doubled: 0.01, late: 0.02, stream: false });
}

#[test]
fn five_percent_lost() {
    many(1500, Weather { loss: 0.05, doubled: 0.02, late: 0.05, stream: false });
}

#[test]
fn ten_percent_lost() {
    many(1500, Weather { loss: 0.10, doubled: 0.05, late: 0.10, stream: false });
}

#[test]
fn over_a_stream() {
    many(1000, Weather { loss: 0.0, doubled: 0.0, late: 0.0, stream: true });
}
