//! Calls through a server: a caller and a callee in one thread, each with one socket, and what became of every call.
//!
//! The load is open: calls begin by the clock, however the server is doing. Each side repeats its messages as RFC 3261
//! wants of a phone (Timers A, B, E, F, G, H), so that a lost datagram is not a lost call.

pub mod callee;
pub mod caller;
pub mod report;

use crate::identity::Identities;
use crate::mark::{Mark, Place};
use crate::measure::{Clock, Cost, Histogram, Watch};
use crate::net::{self, Loss, Receiver, Sender};
use crate::pace::Pace;
use crate::text::Text;
use crate::wheel::{Timer, Wheel};
use std::net::SocketAddr;

/// RFC 3261's T1 and T2.
pub const T1: u64 = 500_000_000;
/// The longest pause between repetitions.
pub const T2: u64 = 4_000_000_000;
/// The first dialled number; it has seven digits, which is how the callee finds it in what the server dials.
pub const FIRST_NUMBER: u64 = 1_000_000;

/// Who ends a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ends {
    /// The caller's BYE.
    Caller,
    /// The callee's BYE.
    Callee,
}

/// What is to be done.
pub struct Plan {
    /// The server.
    pub server: SocketAddr,
    /// Where the caller sends from.
    pub caller: SocketAddr,
    /// Where the callee listens; none when somebody else answers.
    pub callee: Option<SocketAddr>,
    /// The ports given in the caller's SDP and in the callee's, by slot, counted round.
    pub ports: [Vec<u16>; 2],
    /// Who calls.
    pub identities: Identities,
    /// What is dialled; `{}` stands for the number of the call.
    pub dial: String,
    /// Calls per second.
    pub rate: f64,
    /// How many calls.
    pub count: u64,
    /// How long an answered call lasts, in nanoseconds.
    pub hold: u64,
    /// How long the callee rings.
    pub ring: u64,
    /// Who ends a call.
    pub ends: Ends,
    /// The longest a caller waits for a final answer.
    pub limit: u64,
    /// Calls at once at most; more are not begun, and said.
    pub most: usize,
    /// The share of datagrams to lose on purpose.
    pub loss: f64,
    /// Calls of their own that are held and looked after during the run.
    pub held: u64,
}

/// What a timer of a call means.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// The caller repeats what it has sent last.
    Repeat,
    /// The caller has waited long enough.
    Limit,
    /// The caller hangs up.
    HangUp,
    /// A held call is looked after.
    Look,
    /// The callee answers.
    Answer,
    /// The callee repeats its answer or BYE.
    CalleeRepeat,
    /// The callee hangs up.
    CalleeHangUp,
}

/// How calls went.
#[derive(Default)]
pub struct Outcome {
    /// INVITEs of new calls sent.
    pub offered: u64,
    /// Answered by 200.
    pub answered: u64,
    /// Those of them whose INVITE had to be repeated, and that were answered when no more calls began.
    pub answered_late: u64,
    /// Answered and ended well.
    pub carried: u64,
    /// Failed, by what happened.
    pub failed: std::collections::BTreeMap<String, u64>,
    /// Refused by 503.
    pub refused: u64,
    /// Those of them that named a time in Retry-After.
    pub refused_with_time: u64,
    /// Calls not begun because too many were there.
    pub not_begun: u64,
    /// Messages repeated by the caller, by the callee.
    pub repeated: [u64; 2],
    /// INVITEs, answers, BYEs the server repeated.
    pub repeated_by_server: u64,
    /// Challenges answered.
    pub challenged: u64,
    /// Most calls at once.
    pub peak: usize,
    /// Legs that reached the callee, that it saw acknowledged, that were ended.
    pub legs: [u64; 3],
    /// Callee's legs whose answer was never acknowledged.
    pub unacknowledged: u64,
    /// Callee's legs that were still there at the end.
    pub left_over: u64,
    /// Held calls that were set up, of which alive at the end, questions asked, and answered well.
    pub held: [u64; 4],
    /// What went wrong in held calls.
    pub held_failed: std::collections::BTreeMap<String, u64>,
    /// What went wrong at the callee.
    pub trouble: std::collections::BTreeMap<String, u64>,
    /// INVITE to 100.
    pub to_100: Histogram,
    /// INVITE to whatever comes first.
    pub to_first: Histogram,
    /// INVITE to the callee's INVITE.
    pub to_leg: Histogram,
    /// INVITE to 200.
    pub to_200: Histogram,
    /// INVITE to 503.
    pub to_refusal: Histogram,
    /// BYE to 200.
    pub bye: Histogram,
    /// Question in a held call to its answer.
    pub look: Histogram,
    /// Whether the generator kept up.
    pub pace: Pace,
    /// Datagrams the kernel dropped at the generator's sockets.
    pub overflowed: u64,
    /// Datagrams sent and received.
    pub datagrams: [u64; 2],
    /// Datagrams that were not understood or belonged to no call.
    pub strays: u64,
    /// What the server cost.
    pub cost: Option<Cost>,
    /// The server's process is gone.
    pub server_gone: bool,
    /// Nothing came from the server in the first ten seconds.
    pub silent: bool,
}

impl Outcome {
    /// Notes a failed call.
    pub fn fail(&mut self, why: &str) {
        match self.failed.get_mut(why) {
            Some(count) => *count += 1,
            None => {
                self.failed.insert(why.to_owned(), 1);
            }
        }
    }

    /// Everything that was offered and not carried.
    pub fn lost(&self) -> u64 {
        self.offered.saturating_sub(self.carried)
    }
}

/// One run: both sides, their timers and what became of their calls.
pub struct Engine<'a> {
    plan: &'a Plan,
    clock: Clock,
    wheel: Wheel<Due>,
    /// The caller's side.
    caller: caller::Caller,
    /// The callee's side.
    callee: callee::Callee,
    /// How it went.
    pub out: Outcome,
}

impl<'a> Engine<'a> {
    /// Opens the sockets of both sides.
    pub fn open(plan: &'a Plan, clock: Clock) -> Result<(Self, Vec<Receiver>), String> {
        let seed = std::process::id().wrapping_mul(2_654_435_761);
        let run = rand::random::<u32>();
        let (receive, send, at) =
            net::open(plan.caller, Loss::new(plan.loss, seed)).map_err(|e| e.to_string())?;
        let mut receivers = vec![receive];
        let caller = caller::Caller::new(plan, Mark(run), send, at);
        let callee = match plan.callee {
            Some(address) => {
                let (receive, send, at) =
                    net::open(address, Loss::new(plan.loss, seed ^ 0x5555)).map_err(|e| e.to_string())?;
                receivers.push(receive);
                callee::Callee::new(Mark(!run), Some(send), at)
            }
            None => callee::Callee::new(Mark(!run), None, plan.caller),
        };
        Ok((
            Self { plan, clock, wheel: Wheel::new(clock.now()), caller, callee, out: Outcome::default() },
            receivers,
        ))
    }

    /// Takes one datagram that came to the caller (0) or the callee (1).
    fn take(&mut self, side: usize, datagram: &[u8], from: SocketAddr) {
        let Some(message) = crate::wire::read(datagram) else {
            self.out.strays += 1;
            return;
        };
        if side == 0 {
            self.caller_takes(&message, from);
        } else {
            self.callee_takes(&message, from);
        }
    }

    fn fire(&mut self, timer: Timer<Due>) {
        let place = Place { slot: timer.slot, generation: timer.generation };
        match timer.kind {
            Due::Repeat | Due::Limit | Due::HangUp | Due::Look => {
                self.caller_fires(place, timer.stamp, timer.kind);
            }
            Due::Answer | Due::CalleeRepeat | Due::CalleeHangUp => {
                self.callee_fires(place, timer.stamp, timer.kind);
            }
        }
    }

    fn flush(&mut self) {
        self.caller.send.flush();
        if let Some(send) = &mut self.callee.send {
            send.flush();
        }
    }

    /// One pass: what came, what is due. True when there was something.
    pub fn pass(&mut self, receivers: &mut [Receiver]) -> bool {
        let mut worked = false;
        for (side, receiver) in receivers.iter_mut().enumerate() {
            let count = receiver.fill();
            worked |= count > 0;
            for i in 0..count {
                if let Some((datagram, from)) = receiver.datagram(i) {
                    self.take(side, datagram, from);
                }
            }
            if count > 0 {
                self.flush();
            }
        }
        while let Some(timer) = self.wheel.next(self.clock.now()) {
            worked = true;
            self.fire(timer);
        }
        if worked {
            self.flush();
        }
        worked
    }

    /// Runs the plan to its end. `watch` looks at the server meanwhile.
    pub fn run(&mut self, receivers: &mut [Receiver], watch: Option<u32>) -> Result<(), String> {
        self.set_up_held(receivers);
        let mut watch = watch.map(Watch::begin).transpose()?;
        self.out.pace = Pace::start(self.plan.rate, self.plan.count, self.clock.now());
        let mut quiet_since = None;
        loop {
            let mut worked = self.pass(receivers);
            for _ in 0..16 {
                if !self.out.pace.begins(self.clock) {
                    break;
                }
                worked = true;
                self.begin_call(false);
            }
            if worked {
                self.flush();
            }
            let now = self.clock.now();
            self.out.pace.passed(worked, now);
            if let Some(watch) = watch.as_mut().filter(|_| !worked) {
                watch.look(now);
            }
            if !self.out.pace.over() {
                if self.out.to_first.count() == 0 && self.out.pace.since(now) > 10_000_000_000 {
                    self.out.silent = true;
                    self.out.pace.stop(now);
                    break;
                }
                continue;
            }
            if self.caller.active() == self.caller.held() {
                if self.caller.held() > 0 && !self.caller.ending_held {
                    self.end_held();
                    continue;
                }
                // The callee's legs end after the caller's: they get as long as a lost BYE needs.
                let since = *quiet_since.get_or_insert(now);
                if self.callee.active() == 0 || now > since + 8_000_000_000 {
                    break;
                }
            }
        }
        self.out.left_over = self.callee.active() as u64;
        self.abandon();
        if let Some(watch) = &watch {
            self.out.cost = watch.end();
            self.out.server_gone = self.out.cost.is_none();
        }
        self.out.overflowed = receivers.iter().map(Receiver::overflowed).sum();
        self.out.datagrams = [
            self.caller.send.datagrams + self.callee.send.as_ref().map_or(0, |s| s.datagrams),
            receivers.iter().map(|r| r.datagrams).sum(),
        ];
        Ok(())
    }
}

/// One run from its opening to its end.
pub fn once(plan: &Plan, pid: Option<u32>) -> Result<Outcome, String> {
    let (mut engine, mut receivers) = Engine::open(plan, Clock::start())?;
    engine.run(&mut receivers, pid)?;
    Ok(engine.out)
}

/// The two halves of a call that stands, found together by the number that was dialled.
pub struct Pair {
    /// The caller's slot.
    pub caller: u32,
    /// Where the server wants the caller's audio, and its payload type.
    pub caller_media: (SocketAddr, u8),
    /// The callee's slot.
    pub callee: u32,
    /// Where the server wants the callee's audio.
    pub callee_media: (SocketAddr, u8),
}

/// Calls that are set up, used, and ended by somebody else: see [`crate::rtp`].
impl Engine<'_> {
    /// Begins all calls by the plan's rate and waits until each is answered or lost.
    pub fn set_up(&mut self, receivers: &mut [Receiver]) {
        self.out.pace = Pace::start(self.plan.rate, self.plan.count, self.clock.now());
        loop {
            let mut worked = self.pass(receivers);
            while self.out.pace.begins(self.clock) {
                worked = true;
                self.begin_call(false);
                self.flush();
            }
            let now = self.clock.now();
            self.out.pace.passed(worked, now);
            let over = self.out.answered + self.out.failed.values().sum::<u64>();
            if self.out.pace.over() && over >= self.out.offered {
                break;
            }
        }
        // The last ACKs find their way.
        let until = self.clock.now() + 200_000_000;
        while self.clock.now() < until {
            self.pass(receivers);
        }
    }

    /// Only answers, for so long or until somebody stops the program.
    pub fn answer_for(&mut self, receivers: &mut [Receiver], nanoseconds: u64) {
        let until = self.clock.now().saturating_add(nanoseconds);
        while self.clock.now() < until {
            self.pass(receivers);
        }
        self.out.left_over = self.callee.active() as u64;
        self.out.overflowed = receivers.iter().map(Receiver::overflowed).sum();
    }

    /// The calls that stand.
    pub fn pairs(&self) -> Vec<Pair> {
        (0_u32..)
            .zip(&self.callee.legs)
            .filter_map(|(callee, leg)| {
                let (caller, call) = self.caller.slot_of(leg.number)?;
                Some(Pair { caller, caller_media: call.media?, callee, callee_media: leg.media? })
            })
            .collect()
    }

    /// Hangs up whatever stands, a thousand calls a second, and waits for the end.
    pub fn end(&mut self, receivers: &mut [Receiver]) {
        let begin = self.clock.now();
        for (i, place) in self.standing(|_| true).into_iter().enumerate() {
            self.hang_up(place);
            self.flush();
            while self.clock.now() < begin + i as u64 * 1_000_000 {
                self.pass(receivers);
            }
        }
        let until = self.clock.now() + 64 * T1;
        while self.caller.active() + self.callee.active() > 0 && self.clock.now() < until {
            self.pass(receivers);
        }
        self.abandon();
    }
}

/// Answers without a table what belongs to no call any more: an ACK for a late final response.
pub fn late_ack(
    send: &mut Sender,
    to: SocketAddr,
    message: &crate::wire::Message,
    uri: &[u8],
    branch: Option<&[u8]>,
    local: SocketAddr,
) {
    late(send, "ACK", to, message, uri, branch, local);
}

/// Ends a call that was answered after it had been given up: ACK and BYE (RFC 3261 §9.1), or it would stand for ever.
pub fn late_end(send: &mut Sender, to: SocketAddr, message: &crate::wire::Message, local: SocketAddr) {
    for method in ["ACK", "BYE"] {
        late(send, method, to, message, message.contact_uri(), message.branch(), local);
    }
}

fn late(
    send: &mut Sender,
    method: &str,
    to: SocketAddr,
    message: &crate::wire::Message,
    uri: &[u8],
    branch: Option<&[u8]>,
    local: SocketAddr,
) {
    send.put(to, |text: &mut Text| {
        text.s(method).s(" ").b(uri).s(" SIP/2.0\r\nVia: ");
        match branch {
            // To a 2xx: a transaction of its own.
            Some(branch) => {
                address(text.s("SIP/2.0/UDP "), local);
                text.s(";rport;branch=z9hG4bK").b(branch).s("-late-").s(method);
            }
            None => {
                text.b(message.via);
            }
        }
        text.s("\r\nMax-Forwards: 70\r\nFrom: ")
            .b(message.from)
            .s("\r\nTo: ")
            .b(message.to)
            .s("\r\nCall-ID: ")
            .b(message.call_id)
            .s("\r\nCSeq: ")
            .n(u64::from(message.cseq) + u64::from(method == "BYE"))
            .s(" ")
            .s(method)
            .s("\r\nContent-Length: 0\r\n\r\n");
    });
}

/// Writes an address as it stands in a URI or a Via.
pub fn address(text: &mut Text, at: SocketAddr) {
    match at {
        SocketAddr::V4(v4) => {
            let [a, b, c, d] = v4.ip().octets();
            text.n(a.into())
                .s(".")
                .n(b.into())
                .s(".")
                .n(c.into())
                .s(".")
                .n(d.into())
                .s(":")
                .n(v4.port().into());
        }
        SocketAddr::V6(_) => {
            text.s(&at.to_string());
        }
    }
}

/// Writes the SDP of a phone: PCMU and PCMA, or the one chosen.
pub fn sdp(text: &mut Text, ip: &str, v6: bool, port: u16, chosen: Option<u8>) {
    let kind = if v6 { "IP6 " } else { "IP4 " };
    text.s("v=0\r\no=load 1 1 IN ")
        .s(kind)
        .s(ip)
        .s("\r\ns=-\r\nc=IN ")
        .s(kind)
        .s(ip)
        .s("\r\nt=0 0\r\nm=audio ")
        .n(port.into());
    match chosen {
        None => text.s(" RTP/AVP 0 8\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=ptime:20\r\n"),
        Some(8) => text.s(" RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\na=ptime:20\r\n"),
        Some(_) => text.s(" RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=ptime:20\r\n"),
    };
}

/// How long the body of [`sdp`] is.
pub fn sdp_length(ip: &str, v6: bool, port: u16, chosen: Option<u8>) -> u64 {
    let mut room = [0u8; 512];
    let mut text = Text::new(&mut room);
    sdp(&mut text, ip, v6, port, chosen);
    text.finish().unwrap_or(0) as u64
}
