//! The caller: INVITE, credentials when asked, ACK, hold, BYE, and what it notes of each.

mod held;

use super::{Due, Ends, Engine, FIRST_NUMBER, Plan, T1, T2, address, late_ack, late_end, sdp, sdp_length};
use crate::digest::Challenge;
use crate::mark::{Mark, Place};
use crate::net::Sender;
use crate::text::Text;
use crate::wire::{Message, Start};
use std::net::SocketAddr;

/// What a call waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum State {
    /// The slot is free.
    #[default]
    Free,
    /// A final answer to the INVITE.
    Calling,
    /// The end of the hold.
    Talking,
    /// An answer to the BYE.
    Ending,
}

/// One call, the caller's half.
#[derive(Default)]
pub struct Call {
    /// What it waits for.
    pub state: State,
    generation: u32,
    /// The number that was dialled, without the pattern around it.
    pub number: u64,
    stamp: u32,
    interval: u64,
    cseq: u32,
    invite_cseq: u32,
    held: bool,
    provisional: bool,
    /// A response to the INVITE as it was sent last has come.
    tried: bool,
    began: u64,
    sent: u64,
    waited: u64,
    /// The question asked in a held call: its CSeq and when.
    asked: Option<(u32, u64)>,
    target: Vec<u8>,
    to: Vec<u8>,
    routes: Vec<u8>,
    challenge: Option<Challenge>,
    /// Where the server wants our audio.
    pub media: Option<(SocketAddr, u8)>,
}

impl Call {
    /// When its first INVITE left.
    pub fn began(&self) -> u64 {
        self.began
    }

    /// Whether it is one of those held beside the load.
    pub fn is_held(&self) -> bool {
        self.held
    }
}

/// The caller's side of a run.
pub struct Caller {
    mark: Mark,
    /// Its socket.
    pub send: Sender,
    at: SocketAddr,
    ip: String,
    /// Every call, by slot.
    pub calls: Vec<Call>,
    free: Vec<u32>,
    next: u64,
    by_number: Vec<u32>,
    held: usize,
    /// The held calls are being ended.
    pub ending_held: bool,
    sdp_lengths: Vec<u64>,
}

impl Caller {
    /// A side without calls.
    pub fn new(plan: &Plan, mark: Mark, send: Sender, at: SocketAddr) -> Self {
        let most = plan.most.max(1);
        let ip = at.ip().to_string();
        Self {
            mark,
            send,
            at,
            sdp_lengths: plan.ports[0]
                .iter()
                .map(|port| sdp_length(&ip, at.is_ipv6(), *port, None))
                .collect(),
            ip,
            calls: Vec::new(),
            free: Vec::new(),
            next: 0,
            by_number: vec![u32::MAX; most.next_power_of_two() * 2],
            held: 0,
            ending_held: false,
        }
    }

    /// Calls that are not over.
    pub fn active(&self) -> usize {
        self.calls.len() - self.free.len()
    }

    /// Those of them that are held beside the load.
    pub fn held(&self) -> usize {
        self.held
    }

    /// The slot of the call that dialled `number`, if it is still there.
    pub fn slot_of(&self, number: u64) -> Option<(u32, &Call)> {
        let slot = *self.by_number.get(number as usize & (self.by_number.len() - 1))?;
        let call = self.calls.get(slot as usize)?;
        (call.number == number && call.state != State::Free).then_some((slot, call))
    }

    fn get(&mut self, place: Place) -> Option<&mut Call> {
        self.calls
            .get_mut(place.slot as usize)
            .filter(|call| call.generation == place.generation && call.state != State::Free)
    }
}

/// Writes `dial` with the number in the place of `{}`.
fn dialled(text: &mut Text, dial: &str, number: u64) {
    match dial.split_once("{}") {
        Some((before, after)) => text.s(before).n(number).s(after),
        None => text.s(dial),
    };
}

impl Engine<'_> {
    /// Begins one call.
    pub fn begin_call(&mut self, held: bool) {
        let now = self.clock.now();
        let side = &mut self.caller;
        if side.active() >= self.plan.most {
            self.out.not_begun += 1;
            return;
        }
        let slot = side.free.pop().unwrap_or_else(|| {
            side.calls.push(Call::default());
            (side.calls.len() - 1) as u32
        });
        let number = FIRST_NUMBER + side.next % 9_000_000;
        side.next += 1;
        let mask = side.by_number.len() - 1;
        if let Some(entry) = side.by_number.get_mut(number as usize & mask) {
            *entry = slot;
        }
        let Some(call) = side.calls.get_mut(slot as usize) else {
            return;
        };
        call.generation = call.generation.wrapping_add(1);
        call.state = State::Calling;
        call.number = number;
        call.stamp = 0;
        call.interval = T1;
        call.cseq = 1;
        call.invite_cseq = 1;
        call.held = held;
        call.provisional = false;
        call.tried = false;
        call.began = now;
        call.sent = now;
        call.asked = None;
        call.challenge = None;
        call.media = None;
        call.routes.clear();
        let place = Place { slot, generation: call.generation };
        if held {
            side.held += 1;
        } else {
            self.out.offered += 1;
            self.out.peak = self.out.peak.max(side.active() - side.held);
        }
        self.send_invite(place);
        self.arm(place, now + T1, Due::Repeat);
        self.arm(place, now + self.plan.limit, Due::Limit);
    }

    fn arm(&mut self, place: Place, at: u64, due: Due) {
        let stamp = self.caller.calls.get(place.slot as usize).map_or(0, |call| call.stamp);
        self.wheel.arm(at, place.slot, place.generation, stamp, due);
    }

    fn send_invite(&mut self, place: Place) {
        let side = &mut self.caller;
        let Some(call) = side.calls.get(place.slot as usize) else {
            return;
        };
        let (mark, at, ip) = (side.mark, side.at, side.ip.as_str());
        let (user, password) = self.plan.identities.get(call.number - FIRST_NUMBER);
        let domain = self.plan.identities.domain();
        let dial = self.plan.dial.as_str();
        let index = place.slot as usize % self.plan.ports[0].len();
        let (port, length) = (self.plan.ports[0][index], side.sdp_lengths[index]);
        side.send.put(self.plan.server, |text| {
            text.s("INVITE sip:");
            dialled(text, dial, call.number);
            text.s("@").s(domain).s(" SIP/2.0\r\nVia: SIP/2.0/UDP ");
            address(text, at);
            text.s(";rport;branch=z9hG4bK");
            mark.write(text, place);
            text.s("-").n(call.cseq.into());
            text.s("\r\nMax-Forwards: 70\r\nFrom: \"load ")
                .n(call.number)
                .s("\" <sip:")
                .s(&user)
                .s("@")
                .s(domain)
                .s(">;tag=");
            mark.write(text, place);
            text.s("\r\nTo: <sip:");
            dialled(text, dial, call.number);
            text.s("@").s(domain).s(">\r\nCall-ID: ");
            mark.write(text, place);
            text.s("@").s(ip).s("\r\nCSeq: ").n(call.cseq.into());
            text.s(" INVITE\r\nContact: <sip:").s(&user).s("@");
            address(text, at);
            text.s(">\r\nUser-Agent: load\r\nAllow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE\r\n");
            if let Some(challenge) = &call.challenge {
                let mut room = [0u8; 128];
                let mut uri = Text::new(&mut room);
                uri.s("sip:");
                dialled(&mut uri, dial, call.number);
                uri.s("@").s(domain);
                let length = uri.finish().unwrap_or(0);
                challenge.write(text, user.as_bytes(), password.as_bytes(), b"INVITE", &room[..length]);
            }
            text.s("Content-Type: application/sdp\r\nContent-Length: ").n(length).s("\r\n\r\n");
            sdp(text, ip, at.is_ipv6(), port, None);
        });
    }

    /// A request inside the dialog: ACK, BYE or a question, by what `method` says.
    fn send_within(&mut self, place: Place, method: &str, cseq: u32) {
        let side = &mut self.caller;
        let Some(call) = side.calls.get(place.slot as usize) else {
            return;
        };
        let (mark, at, ip) = (side.mark, side.at, side.ip.as_str());
        let (user, _) = self.plan.identities.get(call.number - FIRST_NUMBER);
        let domain = self.plan.identities.domain();
        side.send.put(self.plan.server, |text| {
            text.s(method).s(" ").b(&call.target);
            text.s(" SIP/2.0\r\nVia: SIP/2.0/UDP ");
            address(text, at);
            text.s(";rport;branch=z9hG4bK");
            mark.write(text, place);
            // The ACK to a 2xx is a transaction of its own.
            text.s("-").n(cseq.into()).s(if method == "ACK" { "-ack" } else { "" });
            text.s("\r\n").b(&call.routes);
            text.s("Max-Forwards: 70\r\nFrom: \"load ")
                .n(call.number)
                .s("\" <sip:")
                .s(&user)
                .s("@")
                .s(domain)
                .s(">;tag=");
            mark.write(text, place);
            text.s("\r\nTo: ").b(&call.to).s("\r\nCall-ID: ");
            mark.write(text, place);
            text.s("@").s(ip).s("\r\nCSeq: ").n(cseq.into()).s(" ");
            text.s(method).s("\r\nContent-Length: 0\r\n\r\n");
        });
    }

    fn respond_within(&mut self, message: &Message, to: SocketAddr, status: &str) {
        let side = &mut self.caller;
        side.send.put(to, |text| {
            text.s("SIP/2.0 ").s(status).s("\r\n");
            message.repeat(b"load", |part| {
                text.b(part);
            });
            text.s("Content-Length: 0\r\n\r\n");
        });
    }

    /// Takes a message that came to the caller's socket.
    pub fn caller_takes(&mut self, message: &Message, from: SocketAddr) {
        match message.start {
            Start::Response(code) => match message.method {
                b"INVITE" => self.invite_answered(message, code, from),
                b"BYE" if code >= 200 => self.bye_answered(message, code),
                b"OPTIONS" if code >= 200 => self.look_answered(message, code),
                _ => {}
            },
            Start::Request(method, _) => self.caller_asked(method, message, from),
        }
    }

    fn invite_answered(&mut self, message: &Message, code: u16, from: SocketAddr) {
        let now = self.clock.now();
        let (mark, at) = (self.caller.mark, self.caller.at);
        let Some(place) = message.branch().and_then(|branch| mark.read(branch)) else {
            self.out.strays += 1;
            return;
        };
        let server = self.plan.server;
        let Some(call) = self.caller.get(place) else {
            // A repeated final answer of a call that is over here: it wants its ACK.
            if code >= 300 {
                late_ack(&mut self.caller.send, server, message, b"sip:gone", None, at);
            } else if code >= 200 {
                late_end(&mut self.caller.send, from, message, at);
            }
            return;
        };
        if message.cseq != call.invite_cseq {
            // An answer to the INVITE without credentials, once more.
            if code >= 300 {
                self.acknowledge_failure(place, message);
            }
            return;
        }
        if call.state != State::Calling {
            if (200..300).contains(&code) {
                self.out.repeated_by_server += 1;
                let cseq = message.cseq;
                self.send_within(place, "ACK", cseq);
            }
            return;
        }
        let (since, held) = (now - call.began, call.held);
        let (first, fresh) = (!call.provisional, !call.tried);
        call.provisional = true;
        call.tried = true;
        if first && !held {
            self.out.to_first.add(since);
        }
        if fresh && !held && code == 100 {
            self.out.to_100.add(now - call.sent);
        }
        if code < 200 {
            if fresh {
                // Timer A has done its work.
                call.stamp += 1;
                let limit = call.began + self.plan.limit;
                self.arm(place, limit, Due::Limit);
            }
            return;
        }
        if code < 300 {
            let repeated = call.interval > T1;
            call.state = State::Talking;
            call.stamp += 1;
            call.target.clear();
            call.target.extend_from_slice(message.contact_uri());
            call.to.clear();
            call.to.extend_from_slice(message.to);
            call.media = message.audio();
            if message.routed {
                let mut routes: Vec<&[u8]> = message.record_routes().collect();
                routes.reverse();
                for route in routes {
                    call.routes.extend_from_slice(b"Route: ");
                    call.routes.extend_from_slice(route);
                    call.routes.extend_from_slice(b"\r\n");
                }
            }
            let cseq = call.invite_cseq;
            self.send_within(place, "ACK", cseq);
            if held {
                self.out.held[0] += 1;
                self.arm(place, now + 1_000_000_000, Due::Look);
                return;
            }
            self.out.answered += 1;
            self.out.answered_late += u64::from(repeated && self.out.pace.over());
            self.out.to_200.add(since);
            if self.plan.ends == Ends::Caller && self.plan.hold != u64::MAX {
                if self.plan.hold == 0 {
                    self.hang_up(place);
                } else {
                    self.arm(place, now + self.plan.hold, Due::HangUp);
                }
            }
            return;
        }
        self.acknowledge_failure(place, message);
        if matches!(code, 401 | 407) {
            return self.challenged(place, message);
        }
        if code == 503 && !held {
            self.out.refused += 1;
            self.out.refused_with_time += u64::from(message.retry_after);
            self.out.to_refusal.add(since);
            self.close(place, Some("503, refused"));
        } else {
            self.close(place, Some(&format!("{code} to the INVITE")));
        }
    }

    fn challenged(&mut self, place: Place, message: &Message) {
        let now = self.clock.now();
        let challenge = Challenge::read(message.challenge, message.by_proxy);
        let Some(call) = self.caller.get(place) else {
            return;
        };
        if call.challenge.is_some() {
            self.close(place, Some("401/407 although credentials were sent (wrong user or password)"));
            return;
        }
        let (_, password) = self.plan.identities.get(call.number - FIRST_NUMBER);
        let Some(mut challenge) = challenge.filter(|_| !password.is_empty()) else {
            self.close(place, Some("401/407, and there is no password (--digest) or no MD5 challenge"));
            return;
        };
        challenge.used();
        call.challenge = Some(challenge);
        let call_began = call.began;
        call.cseq += 1;
        call.invite_cseq = call.cseq;
        call.tried = false;
        call.stamp += 1;
        call.interval = T1;
        call.sent = now;
        self.out.challenged += 1;
        self.send_invite(place);
        let limit = call_began + self.plan.limit;
        self.arm(place, now + T1, Due::Repeat);
        self.arm(place, limit, Due::Limit);
    }

    /// The ACK that belongs to the INVITE's own transaction.
    fn acknowledge_failure(&mut self, place: Place, message: &Message) {
        let side = &mut self.caller;
        let Some(call) = side.calls.get(place.slot as usize) else {
            return;
        };
        let mut room = [0u8; 128];
        let mut uri = Text::new(&mut room);
        uri.s("sip:");
        dialled(&mut uri, &self.plan.dial, call.number);
        uri.s("@").s(self.plan.identities.domain());
        let length = uri.finish().unwrap_or(0);
        late_ack(&mut side.send, self.plan.server, message, &room[..length], None, side.at);
    }

    /// Sends the caller's BYE.
    pub fn hang_up(&mut self, place: Place) {
        let now = self.clock.now();
        let Some(call) = self.caller.get(place) else {
            return;
        };
        call.state = State::Ending;
        call.stamp += 1;
        call.interval = T1;
        call.cseq += 1;
        call.sent = now;
        call.waited = 0;
        let cseq = call.cseq;
        self.send_within(place, "BYE", cseq);
        self.arm(place, now + T1, Due::Repeat);
    }

    fn bye_answered(&mut self, message: &Message, code: u16) {
        let now = self.clock.now();
        let mark = self.caller.mark;
        let Some(place) = message.branch().and_then(|branch| mark.read(branch)) else {
            self.out.strays += 1;
            return;
        };
        let Some(call) = self.caller.get(place) else {
            return;
        };
        if call.state != State::Ending {
            return;
        }
        let since = now - call.sent;
        if code < 300 {
            if !call.held {
                self.out.bye.add(since);
            }
            self.close(place, None);
        } else {
            self.close(place, Some(&format!("{code} to the BYE")));
        }
    }

    fn caller_asked(&mut self, method: &[u8], message: &Message, from: SocketAddr) {
        let place = Message::tag(message.to).and_then(|tag| self.caller.mark.read(tag));
        match method {
            b"ACK" => {}
            b"BYE" => {
                self.respond_within(message, from, "200 OK");
                let Some(place) = place else { return };
                let ends = self.plan.ends;
                let Some(call) = self.caller.get(place) else {
                    self.out.repeated_by_server += 1;
                    return;
                };
                match call.state {
                    State::Talking if ends == Ends::Callee && !call.held => {
                        self.close(place, None);
                    }
                    State::Talking => self.close(place, Some("ended by the server's BYE")),
                    // Both hung up at once: our own BYE's answer decides.
                    _ => {}
                }
            }
            b"INVITE" if place.is_some() => self.respond_within(message, from, "488 Not Here"),
            _ => self.respond_within(message, from, "200 OK"),
        }
    }

    /// The call is over, well when `why` is none.
    fn close(&mut self, place: Place, why: Option<&str>) {
        let side = &mut self.caller;
        let Some(call) = side.get(place) else { return };
        call.state = State::Free;
        let held = call.held;
        side.free.push(place.slot);
        match (held, why) {
            (true, None) => {
                side.held -= 1;
                self.out.held[1] += 1;
            }
            (true, Some(why)) => {
                side.held -= 1;
                let why = format!("held call: {why}");
                *self.out.held_failed.entry(why).or_default() += 1;
            }
            (false, None) => self.out.carried += 1,
            (false, Some(why)) => self.out.fail(why),
        }
    }

    /// A timer of the caller's.
    pub fn caller_fires(&mut self, place: Place, stamp: u32, due: Due) {
        let now = self.clock.now();
        let limit = self.plan.limit;
        let Some(call) = self.caller.get(place) else {
            return;
        };
        // A time to hang up or to look holds whatever happened since.
        if call.stamp != stamp && !matches!(due, Due::Look) {
            return;
        }
        match (due, call.state) {
            (Due::HangUp, State::Talking) => self.hang_up(place),
            (Due::Limit, State::Calling) => {
                let why = if call.provisional { "no final answer in time" } else { "no answer at all" };
                self.close(place, Some(why));
            }
            (Due::Repeat, State::Calling) => {
                call.interval *= 2;
                let next = now + call.interval;
                self.out.repeated[0] += 1;
                self.send_invite(place);
                self.arm(place, next, Due::Repeat);
            }
            (Due::Repeat, State::Ending) => {
                call.waited += call.interval;
                if call.waited >= 64 * T1 || call.waited >= limit {
                    self.close(place, Some("no answer to the BYE"));
                    return;
                }
                call.interval = (call.interval * 2).min(T2);
                let (next, cseq) = (now + call.interval, call.cseq);
                self.out.repeated[0] += 1;
                self.send_within(place, "BYE", cseq);
                self.arm(place, next, Due::Repeat);
            }
            (Due::Look, State::Talking) => self.look_after(place),
            _ => {}
        }
    }

    /// The calls that talk and are wanted.
    pub fn standing(&self, wanted: impl Fn(&Call) -> bool) -> Vec<Place> {
        (0_u32..)
            .zip(&self.caller.calls)
            .filter(|(_, call)| call.state == State::Talking && wanted(call))
            .map(|(slot, call)| Place { slot, generation: call.generation })
            .collect()
    }

    /// Counts what is still there when the run is given up.
    pub fn abandon(&mut self) {
        let places: Vec<Place> = (0_u32..)
            .zip(&self.caller.calls)
            .filter(|(_, call)| call.state != State::Free)
            .map(|(slot, call)| Place { slot, generation: call.generation })
            .collect();
        for place in places {
            self.close(place, Some("still there when the run was given up"));
        }
    }
}
