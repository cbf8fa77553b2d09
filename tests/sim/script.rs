//! What the two sides of a call are going to do, drawn from a seed.

use std::time::Duration;

use rand::Rng;
use rand::rngs::SmallRng;

use crate::sdp::Audio;

/// Something a phone does in a call.
#[derive(Clone, Copy, Debug)]
pub enum Act {
    Ring,
    EarlyMedia,
    Answer,
    Refuse(u16),
    /// Gives up before the answer.
    Cancel,
    HangUp,
    Offer(Audio),
    /// A re-INVITE without a description.
    OfferNothing,
    /// INFO with a digit.
    Digit(char),
    /// INFO with a body of that type.
    Info(&'static str),
    /// From now on it takes no offer.
    Balk,
    /// A blind transfer to that user.
    Refer(&'static str),
    /// The phone is switched off, as far as this call goes.
    Vanish,
}

/// When an act is due.
#[derive(Clone, Copy, Debug)]
pub enum When {
    /// So long after the INVITE went out or came in.
    Begun(Duration),
    /// So long after the 200 came in or went out.
    Up(Duration),
}

/// One side's acts.
pub type Acts = Vec<(When, Act)>;

/// What a call is meant to show.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Kind {
    /// Answered, talked, hung up by one side.
    Talk,
    /// Both hang up at nearly the same time.
    BothHangUp,
    /// Re-INVITEs from both sides, some at once.
    Renegotiate,
    /// The callee refuses.
    Refuse(u16),
    /// The caller gives up while it rings.
    Cancel,
    /// The caller gives up about when the callee answers.
    CrossingCancel,
    /// Nobody answers within `call_timeout`.
    NoAnswer,
    /// Nobody is registered there.
    Absent,
    /// No such number.
    Unknown,
    /// One phone dies before or after the answer.
    Dies,
    /// Straight to an application of the switch, which answers.
    Service,
    /// Its leg is made to panic.
    Panics,
    /// Among several phones; the test looks at each side itself.
    Among,
}

/// A call that will be made.
#[derive(Clone, Debug)]
pub struct Script {
    pub kind: Kind,
    /// Index of the calling phone.
    pub caller: usize,
    pub number: String,
    /// When, after the world began.
    pub at: Duration,
    /// The INVITE has no offer.
    pub delayed_offer: bool,
    /// How long the two talk; the first hang-up is then.
    pub talk: Duration,
    /// It is the caller who hangs up.
    pub caller_ends: bool,
    pub caller_acts: Acts,
    /// By contact of the called user, in the order of the phones' indexes.
    pub callee_acts: Vec<Acts>,
    /// By the index of the phone, for calls that ring several users.
    pub phone_acts: Vec<(usize, Acts)>,
}

/// So many milliseconds.
pub fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// So many seconds.
pub fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

impl Script {
    /// A call of `kind` from phone `caller` to `number` with `contacts` phones.
    pub fn new(
        rng: &mut SmallRng,
        kind: Kind,
        caller: usize,
        number: &str,
        contacts: usize,
        at: Duration,
    ) -> Script {
        let talk = match rng.random_range(0..10) {
            0 => ms(rng.random_range(60_000..300_000)), // long enough for a refresh
            1 => ms(rng.random_range(0..200)),
            _ => ms(rng.random_range(200..20_000)),
        };
        let caller_ends = rng.random_bool(0.5);
        let number = match kind {
            Kind::Absent => "1999".to_owned(),
            Kind::Unknown => "777".to_owned(),
            Kind::Service => "9196".to_owned(),
            _ => number.to_owned(),
        };
        let mut script = Script {
            kind,
            caller,
            number,
            at,
            delayed_offer: rng.random_bool(0.1),
            talk,
            caller_ends: caller_ends || kind == Kind::Service,
            caller_acts: Acts::new(),
            callee_acts: vec![Acts::new(); contacts],
            phone_acts: Vec::new(),
        };
        script.write(rng);
        script
    }

    /// A call of a service of the switch: it begins and is hung up after so many seconds.
    pub fn service(caller: usize, number: &str, at: u64, talk: u64) -> Script {
        let script = Script::exactly(caller, number, seconds(at), seconds(talk), vec![], vec![]);
        Script { kind: Kind::Service, ..script }
    }

    /// A talk of exactly so long in which both do just this after the answer; the caller hangs up.
    pub fn exactly(
        caller: usize,
        number: &str,
        at: Duration,
        talk: Duration,
        ours: Acts,
        theirs: Acts,
    ) -> Script {
        let mut caller_acts = ours;
        caller_acts.push((When::Up(talk), Act::HangUp));
        let mut callee_acts = theirs;
        if !callee_acts.iter().any(|(_, act)| matches!(act, Act::Answer)) {
            callee_acts.push((When::Begun(ms(500)), Act::Answer));
        }
        Script {
            kind: Kind::Talk,
            caller,
            number: number.to_owned(),
            at,
            delayed_offer: false,
            talk,
            caller_ends: true,
            caller_acts,
            callee_acts: vec![callee_acts],
            phone_acts: Vec::new(),
        }
    }

    /// A call in which each of these phones does just this.
    pub fn among(
        caller: usize,
        number: &str,
        at: Duration,
        ours: Acts,
        theirs: Vec<(usize, Acts)>,
    ) -> Script {
        let mut script = Script::exactly(caller, number, at, Duration::ZERO, ours, Vec::new());
        script.kind = Kind::Among;
        script
            .caller_acts
            .retain(|(when, act)| !matches!((when, act), (When::Up(Duration::ZERO), Act::HangUp)));
        script.phone_acts = theirs;
        script.callee_acts = Vec::new();
        script
    }

    /// What a called phone does.
    pub fn acts_of(&self, phone: usize) -> Acts {
        let own = self.phone_acts.iter().find(|(index, _)| *index == phone).map(|(_, acts)| acts.clone());
        own.or_else(|| self.callee_acts.get(phone % 10).cloned()).unwrap_or_default()
    }

    fn write(&mut self, rng: &mut SmallRng) {
        let pick_up = ms(rng.random_range(0..4_000));
        let hang_up = (When::Up(self.talk), Act::HangUp);
        match self.kind {
            Kind::Talk | Kind::Service => {
                if self.caller_ends {
                    self.caller_acts.push(hang_up);
                }
            }
            Kind::BothHangUp => {
                let near = self.talk + ms(rng.random_range(0..100));
                self.caller_acts.push(hang_up);
                self.all_callees(rng, pick_up, &[(When::Up(near), Act::HangUp)]);
                return;
            }
            Kind::Renegotiate => {
                self.talk += ms(15_000);
                let mut theirs = Acts::new();
                for _ in 0..rng.random_range(1..5) {
                    let at = When::Up(ms(rng.random_range(0..10_000)));
                    let act = match rng.random_range(0..6) {
                        0 | 1 => Act::Offer(Audio::Hold),
                        2 | 3 => Act::Offer(Audio::Talk),
                        4 => Act::Offer(Audio::OnlyPcma),
                        _ => Act::OfferNothing,
                    };
                    match rng.random_range(0..4) {
                        0 => self.caller_acts.push((at, act)),
                        1 => theirs.push((at, act)),
                        _ => {
                            self.caller_acts.push((at, act));
                            theirs.push((at, act));
                        }
                    }
                }
                let hang_up = (When::Up(self.talk), Act::HangUp);
                let ends = if self.caller_ends { &mut self.caller_acts } else { &mut theirs };
                ends.push(hang_up);
                self.all_callees(rng, pick_up, &theirs);
                return;
            }
            Kind::Refuse(status) => {
                for acts in &mut self.callee_acts {
                    if rng.random_bool(0.7) {
                        acts.push((When::Begun(ms(rng.random_range(0..500))), Act::Ring));
                    }
                    acts.push((When::Begun(ms(rng.random_range(500..3_000))), Act::Refuse(status)));
                }
                return;
            }
            Kind::Cancel => {
                for acts in &mut self.callee_acts {
                    acts.push((When::Begun(ms(rng.random_range(0..500))), Act::Ring));
                }
                self.caller_acts.push((When::Begun(ms(rng.random_range(0..8_000))), Act::Cancel));
                return;
            }
            Kind::CrossingCancel => {
                let near = ms(rng.random_range(0..200)) + pick_up;
                self.caller_acts.push((When::Begun(near), Act::Cancel));
                if self.caller_ends {
                    self.caller_acts.push(hang_up);
                }
            }
            Kind::NoAnswer => {
                for acts in &mut self.callee_acts {
                    if rng.random_bool(0.7) {
                        acts.push((When::Begun(ms(rng.random_range(0..500))), Act::Ring));
                    }
                }
                return;
            }
            Kind::Absent | Kind::Unknown | Kind::Panics | Kind::Among => return,
            Kind::Dies => {
                let after = ms(rng.random_range(0..10_000));
                let when = if rng.random_bool(0.3) { When::Begun(after) } else { When::Up(after) };
                if rng.random_bool(0.5) {
                    self.caller_acts.push((when, Act::Vanish));
                    self.all_callees(rng, pick_up, &[]);
                } else {
                    self.all_callees(rng, pick_up, &[(when, Act::Vanish)]);
                }
                return;
            }
        }
        let theirs: &[_] = if self.caller_ends { &[] } else { &[hang_up] };
        self.all_callees(rng, pick_up, theirs);
    }

    /// The first contact picks up at `pick_up`; the others ring, and some are a moment slower or refuse.
    fn all_callees(&mut self, rng: &mut SmallRng, pick_up: Duration, then: &[(When, Act)]) {
        for (index, acts) in self.callee_acts.iter_mut().enumerate() {
            if rng.random_bool(0.8) {
                acts.push((When::Begun(pick_up.mul_f64(rng.random_range(0.0..0.9))), Act::Ring));
            }
            // Early media win the race, so only from one who will answer.
            if index == 0 && rng.random_bool(0.2) {
                acts.push((When::Begun(pick_up.mul_f64(0.95)), Act::EarlyMedia));
            }
            let lazy = index > 0 && rng.random_bool(0.5);
            let answers = if index == 0 { pick_up } else { pick_up + ms(rng.random_range(0..150)) };
            if !lazy {
                acts.push((When::Begun(answers), Act::Answer));
            } else if rng.random_bool(0.3) {
                acts.push((When::Begun(pick_up.mul_f64(0.5)), Act::Refuse(486)));
            }
            acts.extend_from_slice(then);
        }
    }
}
