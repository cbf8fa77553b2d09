//! Registrations: REGISTER, 401, REGISTER with credentials, 200; many users, each with its own Call-ID and CSeq.

use crate::calls::{T1, T2, address};
use crate::digest::Challenge;
use crate::identity::Identities;
use crate::mark::{Mark, Place};
use crate::measure::{Clock, Cost, Histogram, Watch};
use crate::net::{self, Loss, Receiver, Sender};
use crate::pace::Pace;
use crate::wheel::{Timer, Wheel};
use crate::wire::{Message, Start, read};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// What is to be done.
pub struct Plan {
    /// The server.
    pub server: SocketAddr,
    /// Where we send from.
    pub local: SocketAddr,
    /// Who registers.
    pub identities: Identities,
    /// Registrations per second.
    pub rate: f64,
    /// How many.
    pub count: u64,
    /// The Contact's lifetime in seconds; 0 unregisters.
    pub expires: u32,
    /// Contacts of each user, taken in turn once every user had its first.
    pub contacts: u64,
    /// Answer with the nonce that is known instead of waiting for a challenge.
    pub refresh: bool,
    /// The longest wait in nanoseconds.
    pub limit: u64,
    /// Registrations under way at most.
    pub most: usize,
    /// The share of datagrams to lose on purpose.
    pub loss: f64,
}

/// How it went.
#[derive(Default)]
pub struct Outcome {
    /// Begun.
    pub offered: u64,
    /// Ended by 200.
    pub registered: u64,
    /// Not so, by what happened.
    pub failed: BTreeMap<String, u64>,
    /// Refused by 503, and of those with Retry-After.
    pub refused: [u64; 2],
    /// Not begun because too many were under way.
    pub not_begun: u64,
    /// REGISTERs sent again.
    pub repeated: u64,
    /// Challenges answered.
    pub challenged: u64,
    /// REGISTER to 401.
    pub to_401: Histogram,
    /// REGISTER with credentials to 200.
    pub to_200: Histogram,
    /// The first REGISTER to 200.
    pub whole: Histogram,
    /// REGISTER to 503.
    pub to_refusal: Histogram,
    /// Whether the generator kept up.
    pub pace: Pace,
    /// Datagrams out and in, and lost at our own socket.
    pub datagrams: [u64; 2],
    /// Datagrams that the kernel dropped here.
    pub overflowed: u64,
    /// Datagrams that belonged to nothing.
    pub strays: u64,
    /// What the server cost.
    pub cost: Option<Cost>,
    /// Its process is gone.
    pub server_gone: bool,
    /// Nothing came in the first ten seconds.
    pub silent: bool,
}

#[derive(Default)]
struct Try {
    alive: bool,
    generation: u32,
    /// The place in the whole run.
    index: u64,
    stamp: u32,
    interval: u64,
    waited: u64,
    cseq: u32,
    began: u64,
    sent: u64,
    /// Answers to a 401 in this try.
    answers: u32,
    challenge: Option<Challenge>,
}

/// One run.
pub struct Registrations<'a> {
    plan: &'a Plan,
    clock: Clock,
    mark: Mark,
    at: SocketAddr,
    send: Sender,
    wheel: Wheel<()>,
    tries: Vec<Try>,
    free: Vec<u32>,
    known: Vec<Option<Challenge>>,
    /// How it went.
    pub out: Outcome,
}

impl<'a> Registrations<'a> {
    /// Opens the socket.
    pub fn open(plan: &'a Plan, clock: Clock) -> Result<(Self, Receiver), String> {
        let loss = Loss::new(plan.loss, std::process::id().wrapping_mul(2_654_435_761));
        let (receiver, send, at) = net::open(plan.local, loss).map_err(|e| e.to_string())?;
        let known = if plan.refresh { plan.identities.count() } else { 0 };
        Ok((
            Self {
                plan,
                clock,
                mark: Mark(rand::random()),
                at,
                send,
                wheel: Wheel::new(clock.now()),
                tries: Vec::new(),
                free: Vec::new(),
                known: vec![None; known as usize],
                out: Outcome::default(),
            },
            receiver,
        ))
    }

    fn get(&mut self, place: Place) -> Option<&mut Try> {
        self.tries.get_mut(place.slot as usize).filter(|one| one.alive && one.generation == place.generation)
    }

    fn begin(&mut self, index: u64) {
        if self.tries.len() - self.free.len() >= self.plan.most {
            self.out.not_begun += 1;
            return;
        }
        let now = self.clock.now();
        let slot = self.free.pop().unwrap_or_else(|| {
            self.tries.push(Try::default());
            (self.tries.len() - 1) as u32
        });
        let users = self.plan.identities.count();
        let known = match self.known.get_mut((index % users) as usize) {
            Some(Some(challenge)) => {
                challenge.used();
                Some(challenge.clone())
            }
            _ => None,
        };
        let Some(one) = self.tries.get_mut(slot as usize) else {
            return;
        };
        let generation = one.generation.wrapping_add(1);
        *one = Try {
            alive: true,
            generation,
            index,
            interval: T1,
            // Each round of a user takes three numbers: without, with, with fresher credentials.
            cseq: (index / users / self.plan.contacts) as u32 * 3 + 1,
            began: now,
            sent: now,
            challenge: known,
            ..Try::default()
        };
        self.out.offered += 1;
        let place = Place { slot, generation };
        self.send(place);
        self.wheel.arm(now + T1, slot, generation, 0, ());
    }

    fn send(&mut self, place: Place) {
        let Some(one) = self.tries.get(place.slot as usize) else {
            return;
        };
        let (mark, at) = (self.mark, self.at);
        let users = self.plan.identities.count();
        let contact = one.index / users % self.plan.contacts;
        let (user, password) = self.plan.identities.get(one.index);
        let domain = self.plan.identities.domain();
        let expires = self.plan.expires;
        self.send.put(self.plan.server, |text| {
            text.s("REGISTER sip:").s(domain);
            text.s(" SIP/2.0\r\nVia: SIP/2.0/UDP ");
            address(text, at);
            text.s(";rport;branch=z9hG4bK");
            mark.write(text, place);
            text.s("-").n(one.cseq.into());
            text.s("\r\nMax-Forwards: 70\r\nFrom: <sip:").s(&user).s("@").s(domain).s(">;tag=");
            mark.write(text, place);
            text.s("\r\nTo: <sip:")
                .s(&user)
                .s("@")
                .s(domain)
                .s(">\r\nCall-ID: ")
                .hex8(mark.0)
                .s("-")
                .s(&user)
                .s("-")
                .n(contact)
                .s("@load\r\nCSeq: ")
                .n(one.cseq.into())
                .s(" REGISTER\r\nContact: <sip:")
                .s(&user)
                .s("@");
            address(text, at);
            if contact > 0 {
                text.s(";line=").n(contact);
            }
            text.s(">\r\nExpires: ").n(expires.into()).s("\r\n");
            if let Some(challenge) = &one.challenge {
                let mut room = [0u8; 256];
                let mut uri = crate::text::Text::new(&mut room);
                uri.s("sip:").s(domain);
                let length = uri.finish().unwrap_or(0);
                challenge.write(text, user.as_bytes(), password.as_bytes(), b"REGISTER", &room[..length]);
            }
            text.s("User-Agent: load\r\nContent-Length: 0\r\n\r\n");
        });
    }

    fn close(&mut self, place: Place, why: Option<&str>) {
        let Some(one) = self.get(place) else { return };
        one.alive = false;
        self.free.push(place.slot);
        match why {
            None => self.out.registered += 1,
            Some(why) => match self.out.failed.get_mut(why) {
                Some(count) => *count += 1,
                None => {
                    self.out.failed.insert(why.to_owned(), 1);
                }
            },
        }
    }

    fn take(&mut self, datagram: &[u8], from: SocketAddr) {
        let Some(message) = read(datagram) else {
            self.out.strays += 1;
            return;
        };
        match message.start {
            Start::Response(code) if code >= 200 => self.answered(&message, code),
            Start::Response(_) => {}
            Start::Request(..) => {
                // A server that looks whether its phones live (OPTIONS, NOTIFY) gets its answer.
                self.send.put(from, |text| {
                    text.s("SIP/2.0 200 OK\r\n");
                    message.repeat(b"load", |part| {
                        text.b(part);
                    });
                    text.s("Content-Length: 0\r\n\r\n");
                });
            }
        }
    }

    fn answered(&mut self, message: &Message, code: u16) {
        let now = self.clock.now();
        let place = message.branch().and_then(|branch| self.mark.read(branch));
        let Some((place, one)) = place.and_then(|place| self.get(place).map(|one| (place, one))) else {
            self.out.strays += 1;
            return;
        };
        if message.cseq != one.cseq {
            return;
        }
        let (since, whole, index) = (now - one.sent, now - one.began, one.index);
        let answers = one.answers;
        match code {
            200..=299 => {
                self.out.to_200.add(since);
                self.out.whole.add(whole);
                let users = self.plan.identities.count();
                if self.plan.refresh
                    && let Some(one) = self.get(place)
                    && let Some(challenge) = one.challenge.take()
                    && let Some(known) = self.known.get_mut((index % users) as usize)
                {
                    *known = Some(challenge);
                }
                self.close(place, None);
            }
            401 | 407 => {
                // A known nonce may have grown old: once more is fair. After that the password is wrong.
                let most = if self.plan.refresh { 2 } else { 1 };
                if answers >= most {
                    self.close(
                        place,
                        Some("401/407 although credentials were sent (wrong user or password)"),
                    );
                    return;
                }
                let (_, password) = self.plan.identities.get(index);
                let challenge = Challenge::read(message.challenge, message.by_proxy);
                let Some(mut challenge) = challenge.filter(|_| !password.is_empty()) else {
                    self.close(
                        place,
                        Some("401/407, and there is no password (--password) or no MD5 challenge"),
                    );
                    return;
                };
                challenge.used();
                let Some(one) = self.get(place) else { return };
                one.answers += 1;
                one.challenge = Some(challenge);
                one.cseq += 1;
                one.stamp += 1;
                one.interval = T1;
                one.waited = 0;
                one.sent = now;
                let stamp = one.stamp;
                self.out.to_401.add(since);
                self.out.challenged += 1;
                self.send(place);
                self.wheel.arm(now + T1, place.slot, place.generation, stamp, ());
            }
            503 => {
                self.out.refused[0] += 1;
                self.out.refused[1] += u64::from(message.retry_after);
                self.out.to_refusal.add(whole);
                self.close(place, Some("503, refused"));
            }
            _ => self.close(place, Some(&format!("{code} to the REGISTER"))),
        }
    }

    fn fire(&mut self, timer: Timer<()>) {
        let place = Place { slot: timer.slot, generation: timer.generation };
        let now = self.clock.now();
        let limit = self.plan.limit;
        let Some(one) = self.get(place) else { return };
        if one.stamp != timer.stamp {
            return;
        }
        one.waited += one.interval;
        if one.waited >= limit {
            self.close(place, Some("no answer in time"));
            return;
        }
        one.interval = (one.interval * 2).min(T2);
        let (next, stamp) = (now + one.interval, one.stamp);
        self.out.repeated += 1;
        self.send(place);
        self.wheel.arm(next, place.slot, place.generation, stamp, ());
    }

    /// Runs the plan to its end.
    pub fn run(&mut self, receiver: &mut Receiver, watch: Option<u32>) -> Result<(), String> {
        let mut watch = watch.map(Watch::begin).transpose()?;
        let mut index = 0;
        self.out.pace = Pace::start(self.plan.rate, self.plan.count, self.clock.now());
        loop {
            let count = receiver.fill();
            let mut worked = count > 0;
            for i in 0..count {
                if let Some((datagram, from)) = receiver.datagram(i) {
                    self.take(datagram, from);
                }
            }
            while let Some(timer) = self.wheel.next(self.clock.now()) {
                worked = true;
                self.fire(timer);
            }
            for _ in 0..16 {
                if !self.out.pace.begins(self.clock) {
                    break;
                }
                worked = true;
                self.begin(index);
                index += 1;
            }
            if worked {
                self.send.flush();
            }
            let now = self.clock.now();
            self.out.pace.passed(worked, now);
            if let Some(watch) = watch.as_mut().filter(|_| !worked) {
                watch.look(now);
            }
            if self.out.pace.over() {
                if self.free.len() == self.tries.len() {
                    break;
                }
            } else if receiver.datagrams == 0 && self.out.pace.since(now) > 10_000_000_000 {
                self.out.silent = true;
                self.out.pace.stop(now);
                break;
            }
        }
        if let Some(watch) = watch {
            self.out.cost = watch.end();
            self.out.server_gone = self.out.cost.is_none();
        }
        self.out.overflowed = receiver.overflowed();
        self.out.datagrams = [self.send.datagrams, receiver.datagrams];
        Ok(())
    }
}

/// One run from its opening to its end.
pub fn once(plan: &Plan, pid: Option<u32>) -> Result<Outcome, String> {
    let (mut run, mut receiver) = Registrations::open(plan, Clock::start())?;
    run.run(&mut receiver, pid)?;
    Ok(run.out)
}

impl Outcome {
    /// The share that was not registered.
    pub fn lost_share(&self) -> f64 {
        self.offered.saturating_sub(self.registered) as f64 / self.offered.max(1) as f64
    }

    /// Registrations per second that ended well, over the time in which they began.
    pub fn rate(&self) -> f64 {
        self.pace.per_second(self.registered)
    }

    /// The figures that a search compares.
    pub fn step(&self, rate: f64) -> crate::search::Step {
        let mut figures = vec![
            ("401 p99 ms", self.to_401.quantile(0.99) / 1000.0),
            ("200 p99 ms", self.to_200.quantile(0.99) / 1000.0),
            ("generator busy %", self.pace.busy_share() * 100.0),
        ];
        if let Some(cost) = &self.cost {
            let each = self.offered.max(1) as f64;
            figures.insert(0, ("CPU µs", cost.cpu as f64 / 1000.0 / each));
            figures.insert(1, ("CPU %", cost.share() * 100.0));
            figures.push(("peak MiB", cost.resident[1] as f64 / 1024.0));
        }
        crate::search::Step {
            rate,
            good: self.rate(),
            lost: self.lost_share(),
            limited: self.pace.limited(),
            figures,
        }
    }

    /// For a reader.
    pub fn print(&self, plan: &Plan) {
        println!(
            "registrations at {}: {} user(s) of {}",
            plan.server,
            plan.identities.count(),
            plan.identities.domain()
        );
        println!(
            "  offered {} ({:.0}/s)   registered {} ({:.0}/s)   failed {} ({:.3} %)",
            self.offered,
            self.pace.per_second(self.offered),
            self.registered,
            self.rate(),
            self.offered - self.registered,
            self.lost_share() * 100.0
        );
        for (why, count) in &self.failed {
            println!("    {count:>8}  {why}");
        }
        if self.refused[0] > 0 {
            println!("    of the refusals {} said when to come again (Retry-After)", self.refused[1]);
        }
        if self.not_begun > 0 {
            println!("  NOTE: {} were not begun: {} were under way already", self.not_begun, plan.most);
        }
        println!(
            "  repeated {}   challenges answered {}   strays {}",
            self.repeated, self.challenged, self.strays
        );
        for (title, times) in [
            ("REGISTER to 401", &self.to_401),
            ("with credentials to 200", &self.to_200),
            ("first REGISTER to 200", &self.whole),
            ("REGISTER to 503", &self.to_refusal),
        ] {
            if times.count() > 0 {
                println!("{}", times.line(title));
            }
        }
        match &self.cost {
            Some(cost) => println!("  server: {}", cost.line("registration", self.offered)),
            None if self.server_gone => println!("  server: its process is gone"),
            None => {}
        }
        self.pace.print(self.datagrams, self.overflowed);
        if self.silent {
            println!(
                "  NOT ONE ANSWER from {} in ten seconds: is a SIP server there, and does it know {}?",
                plan.server,
                plan.identities.domain()
            );
        }
    }

    /// For scripts.
    pub fn json(&self, plan: &Plan) -> serde_json::Value {
        serde_json::json!({
            "kind": "registrations", "rate": plan.rate, "users": plan.identities.count(), "offered": self.offered,
            "offered_per_second": self.pace.per_second(self.offered), "registered": self.registered,
            "registered_per_second": self.rate(), "failed": self.offered - self.registered,
            "failed_share": self.lost_share(), "failures": self.failed, "refused": self.refused[0],
            "refused_with_retry_after": self.refused[1], "repeated": self.repeated, "challenged": self.challenged,
            "register_to_401": self.to_401.json(), "credentials_to_200": self.to_200.json(),
            "register_to_200": self.whole.json(), "register_to_503": self.to_refusal.json(),
            "generator_busy": self.pace.busy_share(), "generator_lag": self.pace.lag.json(),
            "generator_lost": self.overflowed, "doubts": self.pace.doubts(self.overflowed),
            "server": self.cost.as_ref().map(|cost| cost.json(self.offered)),
        })
    }
}
