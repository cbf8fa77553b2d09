//! Whose message is it?
//!
//! | message | owner |
//! | --- | --- |
//! | response | the leg or the gateway whose token stands in the branch, or what a leg left when it went |
//! | request with a To tag | the leg whose token is the tag, or what it left; none: 481 |
//! | INVITE, CANCEL, ACK of a known INVITE | the leg it began, or what it left |
//! | any other request seen before | its transaction, which answers again |
//! | new INVITE | a new leg |
//! | new request outside dialogs | this profile |
//!
//! What came late, when more comes in than can be done, begins nothing new: 503.

use super::start::Profile;
use crate::channel::{Letter, Mailbox, Posted, Token, peer_of};
use crate::net::Incoming;
use crate::registrar::Gone;
use crate::sip::{Destination, Flow, Message, Method};
use crate::transaction::Key;
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tracing::debug;

impl Profile {
    /// Takes what the net read. Runs in the task that read it; must not block.
    pub(super) fn receive(self: &Arc<Self>, incoming: Incoming) {
        match incoming {
            Incoming::Message { message: Ok(message), raw, flow } => {
                self.trace_in(&raw, &flow);
                if message.is_request() {
                    self.request(message, flow, false);
                } else {
                    self.response(message, flow);
                }
            }
            Incoming::Late { message, raw, flow } => {
                self.trace_in(&raw, &flow);
                if message.is_request() {
                    self.request(message, flow, true);
                } else {
                    self.response(message, flow);
                }
            }
            Incoming::Message { message: Err(error), raw, flow } => {
                self.trace_in(&raw, &flow);
                debug!("{}: a message from {flow} cannot be read: {error}", self.agent.name);
                if let Some(answer) = error.answer(&raw, &flow) {
                    self.send(answer, flow);
                }
            }
            Incoming::Closed(flow) => {
                self.clients.closed(flow);
                for binding in self.shared.exchange.registrar.connection_closed(flow.connection) {
                    self.registration_gone(&binding, Gone::ConnectionClosed);
                }
            }
        }
    }

    fn trace_in(&self, raw: &Bytes, flow: &Flow) {
        self.agent.trace("recv", raw, || peer_of(&Destination::Flow(*flow)));
    }

    pub(super) fn send(&self, bytes: Bytes, flow: Flow) {
        if let Some(net) = self.agent.net() {
            self.agent.trace("send", &bytes, || peer_of(&Destination::Flow(flow)));
            net.send(bytes, &Destination::Flow(flow), |_| {});
        }
    }

    fn response(&self, message: Message, flow: Flow) {
        let token = message.via().branch().and_then(|b| b.get(7..)).and_then(Token::read);
        let known = token.is_some_and(|token| {
            post(self.shared.exchange.legs.by_token(token), &message, flow)
                || self.clients.response(token, &message, flow)
                || self.response_to_departed(token, &message, flow)
        });
        if !known {
            let status = message.status().unwrap_or(0);
            debug!("{}: a {status} from {flow} to nothing we sent", self.agent.name);
        }
    }

    fn request(self: &Arc<Self>, message: Message, flow: Flow, late: bool) {
        let legs = &self.shared.exchange.legs;
        if let Some(token) = message.to_tag().and_then(Token::read)
            && (post(legs.by_token(token), &message, flow) || self.request_to_departed(token, &message, flow))
        {
            return;
        }
        let of_invite = match message.method() {
            Method::Invite => Some(Key::of_request(&message, flow.remote)),
            Method::Cancel | Method::Ack => Some(Key::invite_of(&message, flow.remote)),
            _ => None,
        };
        if of_invite.as_ref().is_some_and(|key| {
            post(legs.by_invite(key), &message, flow) || self.invite_of_departed(key, &message, flow)
        }) {
            return;
        }
        match message.method() {
            // An ACK to one of our answers without transaction, or to a leg that is gone.
            Method::Ack => {}
            Method::Cancel => self.reply(&message, &flow, 481, &[]),
            _ if message.to_tag().is_some() => self.reply(&message, &flow, 481, &[]),
            _ if late || self.retired.load(Ordering::Relaxed) => self.turn_away(&message, flow),
            Method::Invite if self.was_refused(&message, &flow) => self.turn_away(&message, flow),
            Method::Invite => self.invite(message, flow, of_invite),
            _ => self.outside(message, flow),
        }
    }
}

/// Gives a message to its leg; false when there is none, or it has just gone.
fn post(leg: Option<Mailbox>, message: &Message, flow: Flow) -> bool {
    let Some(leg) = leg else { return false };
    let posted = leg.post_from_wire(Letter::Sip { message: message.clone(), flow });
    if posted == Posted::Full {
        debug!("leg {}: its mailbox is full; the message will come again", leg.token);
    }
    posted != Posted::Gone
}
