//! Challenges to our requests (RFC 3261 §22.2, §22.3): answered with the login the session was given, if any.
//!
//! The first INVITE and our offers have their own way of being sent again; what else we send inside the dialog is
//! kept here until it has its final answer. Once challenged, later requests carry credentials from the start.

use std::time::Instant;

use bytes::Bytes;
use rand::Rng;
use rand::rngs::SmallRng;

use super::event::Headers;
use super::session::{Asked, Session};
use crate::sip::digest::Login;
use crate::sip::{Builder, Flow, Message, Method, Name, Uri};
use crate::transaction::ClientId;

/// How often one request is sent with credentials.
const TRIES: u32 = 3;
/// How many requests are kept.
const SENT: usize = 32;

/// A login, and what may have to be sent again with it.
#[derive(Debug)]
pub(super) struct Access {
    login: Login,
    /// Of the last INVITE: its ACK carries the same (§13.2.2.4).
    invite: Vec<(Name, String)>,
    sent: Vec<Sent>,
}

/// A request inside the dialog without its final answer.
#[derive(Debug)]
struct Sent {
    id: ClientId,
    fork: u32,
    method: Method,
    headers: Vec<(String, String)>,
    body: Option<(String, Bytes)>,
    tries: u32,
}

impl Access {
    pub fn new(login: Login) -> Access {
        Access { login, invite: Vec::new(), sent: Vec::new() }
    }

    /// Adds the credentials for a request.
    pub fn authorize(&mut self, mut b: Builder, method: &Method, uri: &Uri, rng: &mut SmallRng) -> Builder {
        if *method == Method::Ack {
            return self.invite.iter().fold(b, |b, (name, value)| b.header(*name, value));
        }
        let credentials = self.login.credentials(method.as_str(), uri.as_str(), rng.random());
        for (name, value) in &credentials {
            b = b.header(*name, value);
        }
        if *method == Method::Invite {
            self.invite = credentials;
        }
        b
    }

    /// Keeps a request until it is answered.
    pub fn keep(
        &mut self,
        id: ClientId,
        fork: u32,
        method: &Method,
        headers: Headers<'_>,
        body: Option<(&str, Bytes)>,
    ) {
        if self.sent.len() >= SENT {
            self.sent.remove(0);
        }
        let body = body.map(|(kind, body)| (kind.to_owned(), body));
        let (method, headers) = (method.clone(), headers.to_vec());
        self.sent.push(Sent { id, fork, method, headers, body, tries: 0 });
    }

    fn answered(&mut self, id: ClientId) -> Option<Sent> {
        let index = self.sent.iter().position(|s| s.id == id)?;
        Some(self.sent.swap_remove(index))
    }
}

impl Session {
    /// Takes a 401 or 407: is the request worth sending again?
    pub(super) fn answers_challenge(&mut self, response: &Message, flow: Flow) -> bool {
        matches!(response.status(), Some(401 | 407))
            && self
                .access
                .as_mut()
                .is_some_and(|access| access.login.challenged(response, flow.remote.ip()).is_ok())
    }

    /// A final response to a request inside the dialog that is no offer. True when it was sent again.
    pub(super) fn asked_again(&mut self, now: Instant, id: ClientId, response: &Message, flow: Flow) -> bool {
        let Some(sent) = self.access.as_mut().and_then(|access| access.answered(id)) else { return false };
        if sent.tries >= TRIES || !self.answers_challenge(response, flow) {
            return false;
        }
        let what = self.asked(id).unwrap_or(Asked::Nothing);
        let Some(index) = self.peers.iter().position(|p| p.fork == sent.fork) else { return false };
        let body = sent.body.as_ref().map(|(kind, body)| (kind.as_str(), body.clone()));
        let Some(again) = self.send_inside(now, index, &sent.method, &sent.headers, body) else {
            return false;
        };
        if let Some(kept) = self.access.as_mut().and_then(|a| a.sent.iter_mut().find(|s| s.id == again)) {
            kept.tries = sent.tries + 1;
        }
        self.forget(id);
        self.remember(again, what);
        true
    }
}
