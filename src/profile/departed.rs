//! Messages for legs that are gone: what they repeat is answered again, or absorbed.

use super::start::Profile;
use crate::channel::legs::Entry;
use crate::channel::{Leg, Letter, Letters, Token, UserAgent, identity, peer_of};
use crate::dialog::{Output, Session};
use crate::sip::{Builder, Flow, Message, Method, Name, Transport};
use crate::transaction::{Again, Kept, Key, Repeated, reply_flow};
use bytes::Bytes;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use std::sync::Arc;
use tracing::debug;

impl Profile {
    /// A response to a request of a leg that is gone. False when nothing of that leg is remembered.
    pub(super) fn response_to_departed(&self, token: Token, message: &Message, flow: Flow) -> bool {
        match self.agent.departed.response(token, message) {
            Some(Repeated::Ack(again)) => self.send_again(again),
            Some(Repeated::Fork) => self.late_fork(token, message, flow),
            Some(_) => {}
            None => return false,
        }
        true
    }

    /// A request inside the dialog of a leg that is gone. False when nothing of that leg is remembered.
    pub(super) fn request_to_departed(&self, token: Token, message: &Message, flow: Flow) -> bool {
        match self.agent.departed.request(token, message, flow.remote) {
            Some(Repeated::Answer(bytes)) => self.send(bytes, reply_flow(message, flow)),
            Some(Repeated::Bye) => self.reply(message, &flow, 200, &[]),
            Some(Repeated::OutOfOrder) => self.reply(message, &flow, 500, &[]),
            Some(Repeated::Over) => self.reply(message, &flow, 481, &[]),
            Some(_) => {}
            None => return false,
        }
        true
    }

    /// The INVITE of a leg that is gone, its ACK or its CANCEL. False when it is not known.
    pub(super) fn invite_of_departed(&self, invite: &Key, message: &Message, flow: Flow) -> bool {
        let Some(token) = self.agent.departed.invite(invite) else { return false };
        if *message.method() == Method::Cancel {
            match self.agent.departed.request(token, message, flow.remote) {
                Some(Repeated::Answer(bytes)) => self.send(bytes, reply_flow(message, flow)),
                // It comes after the final response: 200, and no more follows from it (RFC 3261 §9.2).
                _ => {
                    let answer = Builder::response(message, &flow, 200, "OK").to_tag(&token.to_string());
                    let answer = answer.header_opt(Name::UserAgent, self.agent.user_agent());
                    self.send(answer.finish(), reply_flow(message, flow));
                }
            }
        }
        true
    }

    /// Another fork answers when the call is over: it gets its ACK and a BYE (RFC 3261 §13.2.2.4). Our tag is the leg's;
    /// the branches are of a token of their own, so that what else comes for the leg still finds what it left.
    fn late_fork(&self, token: Token, message: &Message, flow: Flow) {
        debug!("{}: one more 2xx of a fork for a call that is over, from {flow}", self.agent.name);
        let now = Leg::now();
        let peer = flow.remote.ip();
        let contact = self.agent.contact(None, peer, Transport::Udp);
        let fork = Token(rand::random());
        let own = identity(&self.agent, fork, peer, contact, true);
        let uuid = format!("{token}-{fork}").into();
        let Some((mut entry, letters)) = self.shared.exchange.legs.enter(fork, uuid) else { return };
        entry.leave_call();
        let rng = SmallRng::from_rng(&mut rand::rng());
        let Some(mut session) = Session::late_fork(now, own, message, flow, rng) else { return };
        if let Some(Output::Send { bytes, to, by }) = session.poll() {
            let invite = Key::of_response(message);
            self.agent.departed.add(token, Kept::accepted(invite, message.to_tag(), &bytes, to.clone()));
            self.agent.send(bytes, &to, by, entry.mailbox());
        }
        tokio::spawn(serve(session, self.agent.clone(), entry, letters));
    }

    fn send_again(&self, again: Again) {
        if let Some(net) = self.agent.net() {
            self.agent.trace("send", &again.bytes, || peer_of(&again.to));
            net.send(Bytes::from(again.bytes), &again.to, |_| {});
        }
    }
}

/// Serves a session without a leg until it has nothing more to say.
async fn serve(mut session: Session, agent: Arc<UserAgent>, entry: Entry, mut letters: Letters) {
    loop {
        while let Some(output) = session.poll() {
            if let Output::Send { bytes, to, by } = output {
                agent.send(bytes, &to, by, entry.mailbox());
            }
        }
        let Some(at) = session.next_timeout().filter(|_| !session.is_over()) else { return };
        if session.remains().is_some() {
            return; // what it leaves is known
        }
        tokio::select! {
            letter = letters.recv() => match letter {
                Letter::Sip { message, flow } => session.receive(Leg::now(), message, flow),
                Letter::Undelivered { by, .. } => session.transport_failed(Leg::now(), by),
                Letter::OverStream { by } => session.now_reliable(by),
                _ => {}
            },
            () = tokio::time::sleep_until(at.into()) => session.timeout(Leg::now()),
        }
    }
}
