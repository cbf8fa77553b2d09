//! The callee: 180, 200 with SDP, repeated until the ACK comes, and BYE answered or sent.

use super::{Due, Ends, Engine, T1, T2, address, sdp, sdp_length};
use crate::mark::{Mark, Place};
use crate::net::Sender;
use crate::text::Text;
use crate::wire::{Message, Start, call_number, hash, user};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::net::SocketAddr;

/// What a leg waits for.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
enum State {
    #[default]
    Free,
    Ringing,
    Answered,
    Talking,
    Refused,
    Ending,
}

/// One leg that the server made.
#[derive(Default)]
pub struct Leg {
    state: State,
    generation: u32,
    stamp: u32,
    interval: u64,
    waited: u64,
    sent: u64,
    call_id: u64,
    /// The headers of the response, tag and all.
    head: Vec<u8>,
    from: Option<SocketAddr>,
    target: Vec<u8>,
    /// The number of the call it belongs to.
    pub number: u64,
    /// Where the server wants our audio, and the codec.
    pub media: Option<(SocketAddr, u8)>,
}

/// The hash is made already.
#[derive(Default)]
pub struct Made(u64);

impl Hasher for Made {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {}

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

/// The callee's side of a run.
pub struct Callee {
    mark: Mark,
    /// Its socket; none when somebody else answers.
    pub send: Option<Sender>,
    at: SocketAddr,
    ip: String,
    /// Every leg, by slot.
    pub legs: Vec<Leg>,
    free: Vec<u32>,
    by_call_id: HashMap<u64, u32, BuildHasherDefault<Made>>,
}

impl Callee {
    /// A side without legs.
    pub fn new(mark: Mark, send: Option<Sender>, at: SocketAddr) -> Self {
        Self {
            mark,
            send,
            at,
            ip: at.ip().to_string(),
            legs: Vec::new(),
            free: Vec::new(),
            by_call_id: HashMap::default(),
        }
    }

    /// Legs that are not over.
    pub fn active(&self) -> usize {
        self.legs.len() - self.free.len()
    }

    fn get(&mut self, place: Place) -> Option<&mut Leg> {
        self.legs
            .get_mut(place.slot as usize)
            .filter(|leg| leg.generation == place.generation && leg.state != State::Free)
    }

    fn close(&mut self, place: Place) {
        if let Some(leg) = self.get(place) {
            leg.state = State::Free;
            let call_id = leg.call_id;
            self.free.push(place.slot);
            self.by_call_id.remove(&call_id);
        }
    }
}

impl Engine<'_> {
    fn arm_leg(&mut self, place: Place, at: u64, due: Due) {
        let stamp = self.callee.legs.get(place.slot as usize).map_or(0, |leg| leg.stamp);
        self.wheel.arm(at, place.slot, place.generation, stamp, due);
    }

    /// Takes a message that came to the callee's socket.
    pub fn callee_takes(&mut self, message: &Message, from: SocketAddr) {
        let place = Message::tag(message.to).and_then(|tag| self.callee.mark.read(tag));
        match message.start {
            Start::Request(b"INVITE", uri) if Message::tag(message.to).is_none() => {
                self.invited(message, uri, from);
            }
            Start::Request(method, _) => self.leg_asked(method, place, message, from),
            Start::Response(code) => {
                let Some(place) = Message::tag(message.from).and_then(|t| self.callee.mark.read(t)) else {
                    self.out.strays += 1;
                    return;
                };
                if message.method == b"BYE" && code >= 200 {
                    let now = self.clock.now();
                    if let Some(leg) = self.callee.get(place)
                        && leg.state == State::Ending
                    {
                        self.out.bye.add(now - leg.sent);
                        self.out.legs[2] += 1;
                        if code >= 300 {
                            self.out.callee_trouble(&format!("{code} to the callee's BYE"));
                        }
                        self.callee.close(place);
                    }
                }
            }
        }
    }

    fn invited(&mut self, message: &Message, uri: &[u8], from: SocketAddr) {
        let now = self.clock.now();
        let call_id = hash(message.call_id);
        if let Some(&slot) = self.callee.by_call_id.get(&call_id) {
            self.out.repeated_by_server += 1;
            if let Some(leg) = self.callee.legs.get(slot as usize) {
                let place = Place { slot, generation: leg.generation };
                match leg.state {
                    State::Ringing => self.respond(place, "180 Ringing", false),
                    State::Answered => self.respond(place, "200 OK", true),
                    _ => {}
                }
            }
            return;
        }
        if self.callee.active() >= self.plan.most * 2 {
            self.out.strays += 1;
            return;
        }
        let number = call_number(user(uri)).or_else(|| {
            // A server that dials something else still shows the caller's name.
            let at = memchr::memmem::find(message.from, b"\"load ")?;
            call_number(message.from.get(at + 6..at + 13)?)
        });
        if let Some(number) = number
            && let Some((_, call)) = self.caller.slot_of(number)
        {
            let began = call.began();
            if !call.is_held() {
                self.out.to_leg.add(now.saturating_sub(began));
            }
        }
        self.out.legs[0] += 1;
        let side = &mut self.callee;
        let slot = side.free.pop().unwrap_or_else(|| {
            side.legs.push(Leg::default());
            (side.legs.len() - 1) as u32
        });
        side.by_call_id.insert(call_id, slot);
        let mark = side.mark;
        let Some(leg) = side.legs.get_mut(slot as usize) else {
            return;
        };
        leg.generation = leg.generation.wrapping_add(1);
        leg.state = State::Ringing;
        leg.stamp = 0;
        leg.call_id = call_id;
        leg.number = number.unwrap_or(0);
        leg.from = Some(from);
        leg.media = message.audio();
        leg.target.clear();
        leg.target.extend_from_slice(message.contact_uri());
        let place = Place { slot, generation: leg.generation };
        let mut room = [0u8; 64];
        let mut tag = Text::new(&mut room);
        mark.write(&mut tag, place);
        let length = tag.finish().unwrap_or(0);
        leg.head.clear();
        let head = &mut leg.head;
        message.repeat(&room[..length], |part| head.extend_from_slice(part));
        self.respond(place, "180 Ringing", false);
        if self.plan.ring == 0 {
            self.answer(place);
        } else {
            let at = now + self.plan.ring;
            self.arm_leg(place, at, Due::Answer);
        }
    }

    fn answer(&mut self, place: Place) {
        let now = self.clock.now();
        let Some(leg) = self.callee.get(place) else {
            return;
        };
        leg.state = State::Answered;
        leg.stamp += 1;
        leg.interval = T1;
        leg.waited = 0;
        self.respond(place, "200 OK", true);
        self.arm_leg(place, now + T1, Due::CalleeRepeat);
    }

    /// A response to the leg's INVITE.
    fn respond(&mut self, place: Place, status: &str, body: bool) {
        let side = &mut self.callee;
        let (mark, at, ip) = (side.mark, side.at, side.ip.as_str());
        let Some(leg) = side.legs.get(place.slot as usize) else {
            return;
        };
        let (Some(to), Some(send)) = (leg.from, &mut side.send) else {
            return;
        };
        let ports = &self.plan.ports[1];
        let port = ports[place.slot as usize % ports.len()];
        send.put(to, |text| {
            text.s("SIP/2.0 ").s(status).s("\r\n").b(&leg.head);
            text.s("Contact: <sip:");
            mark.write(text, place);
            text.s("@");
            address(text, at);
            text.s(">\r\n");
            if body {
                let chosen = Some(leg.media.map_or(0, |(_, payload)| payload));
                text.s("Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE\r\nContent-Type: application/sdp\r\nContent-Length: ")
                    .n(sdp_length(ip, at.is_ipv6(), port, chosen))
                    .s("\r\n\r\n");
                sdp(text, ip, at.is_ipv6(), port, chosen);
            } else {
                text.s("Content-Length: 0\r\n\r\n");
            }
        });
    }

    fn reply(&mut self, message: &Message, to: SocketAddr, status: &str) {
        if let Some(send) = &mut self.callee.send {
            send.put(to, |text| {
                text.s("SIP/2.0 ").s(status).s("\r\n");
                message.repeat(b"load", |part| {
                    text.b(part);
                });
                text.s("Content-Length: 0\r\n\r\n");
            });
        }
    }

    fn leg_asked(&mut self, method: &[u8], place: Option<Place>, message: &Message, from: SocketAddr) {
        let now = self.clock.now();
        match method {
            b"ACK" => {
                let (ends, hold) = (self.plan.ends, self.plan.hold);
                let Some(place) = place else { return };
                let Some(leg) = self.callee.get(place) else {
                    return;
                };
                match leg.state {
                    State::Answered => {
                        leg.state = State::Talking;
                        leg.stamp += 1;
                        self.out.legs[1] += 1;
                        if ends == Ends::Callee && hold != u64::MAX {
                            self.arm_leg(place, now + hold, Due::CalleeHangUp);
                        }
                    }
                    State::Refused => self.callee.close(place),
                    _ => {}
                }
            }
            b"BYE" => {
                self.reply(message, from, "200 OK");
                let Some(place) = place else { return };
                let Some(leg) = self.callee.get(place) else {
                    self.out.repeated_by_server += 1;
                    return;
                };
                if matches!(leg.state, State::Talking | State::Answered | State::Ringing) {
                    if leg.state == State::Answered {
                        // The BYE has overtaken the ACK.
                        self.out.legs[1] += 1;
                    }
                    self.out.legs[2] += 1;
                    self.callee.close(place);
                }
            }
            b"CANCEL" => {
                self.reply(message, from, "200 OK");
                let slot = self.callee.by_call_id.get(&hash(message.call_id)).copied();
                let Some(leg) = slot.and_then(|slot| self.callee.legs.get_mut(slot as usize)) else {
                    return;
                };
                if leg.state == State::Ringing {
                    leg.state = State::Refused;
                    leg.stamp += 1;
                    leg.interval = T1;
                    leg.waited = 0;
                    let place = Place { slot: slot.unwrap_or(0), generation: leg.generation };
                    self.out.callee_trouble("cancelled by the server");
                    self.respond(place, "487 Request Terminated", false);
                    self.arm_leg(place, now + T1, Due::CalleeRepeat);
                }
            }
            b"INVITE" => self.reply(message, from, "488 Not Here"),
            _ => self.reply(message, from, "200 OK"),
        }
    }

    /// A timer of the callee's.
    pub fn callee_fires(&mut self, place: Place, stamp: u32, due: Due) {
        let now = self.clock.now();
        let Some(leg) = self.callee.get(place) else {
            return;
        };
        if leg.stamp != stamp {
            return;
        }
        match (due, leg.state) {
            (Due::Answer, State::Ringing) => self.answer(place),
            (Due::CalleeRepeat, State::Answered | State::Refused | State::Ending) => {
                leg.waited += leg.interval;
                leg.interval = (leg.interval * 2).min(T2);
                let (state, next) = (leg.state, now + leg.interval);
                if leg.waited >= 64 * T1 {
                    if state == State::Answered {
                        self.out.unacknowledged += 1;
                    } else {
                        self.out.callee_trouble("no answer to the callee's BYE or 487");
                    }
                    self.callee.close(place);
                    return;
                }
                self.out.repeated[1] += 1;
                match state {
                    State::Answered => self.respond(place, "200 OK", true),
                    State::Refused => self.respond(place, "487 Request Terminated", false),
                    _ => self.send_bye(place),
                }
                self.arm_leg(place, next, Due::CalleeRepeat);
            }
            (Due::CalleeHangUp, State::Talking) => {
                leg.state = State::Ending;
                leg.stamp += 1;
                leg.interval = T1;
                leg.waited = 0;
                leg.sent = now;
                self.send_bye(place);
                self.arm_leg(place, now + T1, Due::CalleeRepeat);
            }
            _ => {}
        }
    }

    /// The callee's own BYE: From and To change places, Record-Routes become Routes in their order.
    fn send_bye(&mut self, place: Place) {
        let side = &mut self.callee;
        let (mark, at) = (side.mark, side.at);
        let Some(leg) = side.legs.get(place.slot as usize) else {
            return;
        };
        let (Some(to), Some(send)) = (leg.from, &mut side.send) else {
            return;
        };
        // The kept head is read again as if it were a response.
        let mut kept = b"SIP/2.0 200 OK\r\n".to_vec();
        kept.extend_from_slice(&leg.head);
        kept.extend_from_slice(b"\r\n");
        let Some(message) = crate::wire::read(&kept) else {
            return;
        };
        send.put(to, |text| {
            text.s("BYE ").b(&leg.target);
            text.s(" SIP/2.0\r\nVia: SIP/2.0/UDP ");
            address(text, at);
            text.s(";rport;branch=z9hG4bK");
            mark.write(text, place);
            text.s("-1\r\n");
            for route in message.record_routes() {
                text.s("Route: ").b(route).s("\r\n");
            }
            text.s("Max-Forwards: 70\r\nFrom: ")
                .b(message.to)
                .s("\r\nTo: ")
                .b(message.from)
                .s("\r\nCall-ID: ")
                .b(message.call_id)
                .s("\r\nCSeq: 1 BYE\r\nContent-Length: 0\r\n\r\n");
        });
    }
}
