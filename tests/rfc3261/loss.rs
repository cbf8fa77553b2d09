//! Client and server tables against each other over a wire that loses, doubles and reorders; every run follows from
//! its seed alone.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tandem::sip::{Destination, Limits, Message, Method, ack_for};
use tandem::transaction::{ClientId, Output, ServerId, Timers, Transactions};

use crate::bench::{request_of, response_to, udp};

const TIMERS: Timers = Timers {
    t1: Duration::from_millis(500),
    t2: Duration::from_secs(4),
    t4: Duration::from_secs(5),
    t1x64: Duration::from_secs(32),
};

/// What is going to happen, in order of time.
enum Due {
    ToServer(Bytes),
    ToClient(Bytes),
    /// The server's owner has made up its mind.
    Answer(ServerId, Message, u16),
    /// The server's owner repeats its 2xx, having waited so long.
    Repeat(ServerId, Message, Duration),
}

struct World {
    rng: SmallRng,
    loss: f64,
    now: Instant,
    client: Transactions,
    server: Transactions,
    due: BTreeMap<(Instant, u64), Due>,
    serial: u64,
    asked: HashMap<ClientId, String>,
    /// Call-ID → the final response the client's owner saw; 0 for a timeout.
    outcome: HashMap<String, u16>,
    /// Call-ID → the final response the server's owner gave.
    answered: HashMap<String, u16>,
    acknowledged: BTreeSet<String>,
}

impl World {
    fn new(seed: u64, loss: f64) -> Self {
        Self {
            rng: SmallRng::seed_from_u64(seed),
            loss,
            now: Instant::now(),
            client: Transactions::new(TIMERS, 1000),
            server: Transactions::new(TIMERS, 1000),
            due: BTreeMap::new(),
            serial: 0,
            asked: HashMap::new(),
            outcome: HashMap::new(),
            answered: HashMap::new(),
            acknowledged: BTreeSet::new(),
        }
    }

    fn later(&mut self, wait: Duration, what: Due) {
        self.serial += 1;
        self.due.insert((self.now + wait, self.serial), what);
    }

    fn wire(&mut self, make: impl Fn() -> Due) {
        let copies = if self.rng.random_bool(0.03) { 2 } else { 1 };
        for _ in 0..copies {
            if !self.rng.random_bool(self.loss) {
                let delay = self.rng.random_range(5..60) + if self.rng.random_bool(0.05) { 400 } else { 0 };
                self.later(Duration::from_millis(delay), make());
            }
        }
    }

    fn run(&mut self, requests: usize) {
        for n in 0..requests {
            let method = ["INVITE", "INVITE", "BYE", "OPTIONS"][self.rng.random_range(0..4)];
            let call_id = format!("call-{n}");
            let via = format!("Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK{n}");
            let request = request_of(method, &via, &call_id, 1);
            let id = self.client.request(self.now, request, Destination::Flow(udp()), false).unwrap();
            self.asked.insert(id, call_id);
        }
        self.drain();
        let end = self.now + Duration::from_secs(600);
        loop {
            let next = [
                self.client.next_timeout(),
                self.server.next_timeout(),
                self.due.first_key_value().map(|((at, _), _)| *at),
            ];
            let Some(next) = next.into_iter().flatten().min() else { break };
            assert!(next < end, "still running after ten minutes");
            self.now = self.now.max(next);
            while let Some(entry) = self.due.first_entry().filter(|entry| entry.key().0 <= self.now) {
                let due = entry.remove();
                self.happen(due);
            }
            self.client.timeout(self.now);
            self.server.timeout(self.now);
            self.drain();
        }
    }

    fn happen(&mut self, due: Due) {
        match due {
            Due::ToServer(bytes) => self.server.receive(self.now, parse(bytes), udp()),
            Due::ToClient(bytes) => self.client.receive(self.now, parse(bytes), udp()),
            Due::Answer(id, request, status) => {
                self.server.respond(self.now, id, response_to(&request, status).raw().clone(), status);
                if status >= 200 {
                    self.answered.insert(request.call_id().to_owned(), status);
                }
                if status == 200 && *request.method() == Method::Invite {
                    self.later(TIMERS.t1, Due::Repeat(id, request, TIMERS.t1));
                }
            }
            Due::Repeat(id, request, waited) => {
                if !self.acknowledged.contains(request.call_id()) && waited < TIMERS.t1x64 {
                    self.server.respond(self.now, id, response_to(&request, 200).raw().clone(), 200);
                    let wait = (waited * 2).min(TIMERS.t2);
                    self.later(wait, Due::Repeat(id, request, waited + wait));
                }
            }
        }
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.client.poll() {
            match output {
                Output::Send { bytes, .. } => self.wire(|| Due::ToServer(bytes.clone())),
                Output::Response { id, message, .. } => {
                    let status = message.status().unwrap();
                    if status < 200 {
                        continue;
                    }
                    let call_id = self.asked[&id].clone();
                    let is_invite = *message.method() == Method::Invite;
                    let before = self.outcome.insert(call_id, status);
                    let again = is_invite && status == 200 && before == Some(200);
                    assert!(before.is_none() || again, "one final response, or the same 2xx again");
                    if is_invite && status == 200 {
                        let ack = ack_for(&message_of(&message), &message);
                        self.wire(|| Due::ToServer(ack.clone()));
                    }
                }
                Output::TimedOut { id } => {
                    let before = self.outcome.insert(self.asked[&id].clone(), 0);
                    assert_eq!(before, None, "a timeout is the only outcome");
                }
                other => panic!("{other:?}"),
            }
        }
        while let Some(output) = self.server.poll() {
            match output {
                Output::Send { bytes, .. } => self.wire(|| Due::ToClient(bytes.clone())),
                Output::Request { id, message, .. } => {
                    let call_id = message.call_id().to_owned();
                    assert!(!self.answered.contains_key(&call_id), "the owner sees a request once");
                    let status = [200, 200, 486, 603][self.rng.random_range(0..4)];
                    if *message.method() == Method::Invite {
                        self.later(Duration::from_millis(20), Due::Answer(id, message.clone(), 180));
                    }
                    let think = Duration::from_millis(self.rng.random_range(30..3000));
                    self.later(think, Due::Answer(id, message, status));
                }
                Output::Ack { message, .. } => {
                    self.acknowledged.insert(message.call_id().to_owned());
                }
                Output::NoAck { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

/// The INVITE a 2xx answers, as far as the ACK needs it.
fn message_of(response: &Message) -> Message {
    let via = format!("Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKack{}", response.call_id());
    request_of("INVITE", &via, response.call_id(), 1)
}

fn parse(bytes: Bytes) -> Message {
    Message::parse(bytes, &Limits::default()).unwrap()
}

#[test]
fn both_sides_agree_whatever_the_wire_loses() {
    // Loss, and of 40 requests × 50 seeds at least how many thousandths must succeed.
    for (loss, success) in [(0.0, 1000), (0.01, 1000), (0.05, 1000), (0.10, 998), (0.30, 960), (1.0, 0)] {
        let (mut ended, mut all) = (0, 0);
        for seed in 0..50 {
            let mut world = World::new(seed, loss);
            world.run(40);
            let at = format!("seed {seed}, loss {loss}");
            assert!(world.client.is_empty() && world.server.is_empty(), "{at}: transactions are left");
            assert_eq!(world.outcome.len(), 40, "{at}: each request has an outcome");
            for (call_id, status) in &world.outcome {
                if *status != 0 {
                    assert_eq!(world.answered.get(call_id), Some(status), "{at}: {call_id}");
                }
            }
            all += world.outcome.len();
            ended += world.outcome.values().filter(|status| **status != 0).count();
        }
        assert!(ended * 1000 >= all * success, "loss {loss}: {ended} of {all}");
        assert!(loss < 1.0 || ended == 0);
    }
}
