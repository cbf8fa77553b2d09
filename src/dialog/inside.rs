//! What every request inside the dialog is checked for (RFC 3261 §8.2, §12.2.2), and the requests that are neither
//! offers nor the end: INFO, MESSAGE, NOTIFY, REFER … both ways, OPTIONS.

use std::time::Instant;

use bytes::Bytes;

use super::body;
use super::event::{CommandError, Event, Headers, RequestId};
use super::identity::{is_reliable, lists};
use super::session::{Asked, Phase, Session};
use super::timer::{Asked as TimerAsked, Role};
use super::wait::Wait;
use crate::sip::{Flow, Limits, Message, Method, Name};
use crate::transaction::{ClientId, ServerId};

/// How many requests of the peer may wait for the owner, and of ours for the peer.
const WAITING: usize = 16;

/// A request of the peer, and what is needed to answer it.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub server: ServerId,
    pub message: Message,
    pub flow: Flow,
}

/// A request handed up.
#[derive(Debug)]
pub(super) struct Handed {
    id: RequestId,
    pub ask: Ask,
    ends: Instant,
}

impl Session {
    //------------ Commands ----------------------------------------------------------------------------------

    /// Sends a request of its own kind inside the dialog: INFO, MESSAGE, NOTIFY, REFER, OPTIONS, any that has no
    /// command here. The final response is told by [`Event::Response`].
    pub fn request(
        &mut self,
        now: Instant,
        method: Method,
        headers: Headers<'_>,
        body: Option<(&str, Bytes)>,
    ) -> Result<RequestId, CommandError> {
        use Method::{Ack, Bye, Cancel, Invite, Prack, Register, Update};
        if self.phase == Phase::Ended || self.bye_wanted.is_some() {
            return Err(CommandError::Ended);
        }
        if matches!(method, Ack | Bye | Cancel | Invite | Prack | Register | Update) {
            return Err(CommandError::Method);
        }
        let index = self.peers.len().checked_sub(1).filter(|_| self.is_known_to_peer());
        let index = index.ok_or(CommandError::NotAnswered)?;
        if self.asked.iter().filter(|(_, a)| matches!(a, Asked::Request(_))).count() >= WAITING {
            return Err(CommandError::TooMany);
        }
        let id = self.next_id();
        let client = self.send_inside(now, index, &method, headers, body).ok_or(CommandError::Unbuildable)?;
        self.remember(client, Asked::Request(id));
        self.pump(now);
        Ok(RequestId(id))
    }

    /// Answers a request handed up. A provisional response may be followed by others.
    pub fn respond(
        &mut self,
        now: Instant,
        id: RequestId,
        status: u16,
        headers: Headers<'_>,
        body: Option<(&str, Bytes)>,
    ) -> Result<(), CommandError> {
        if !(101..700).contains(&status) {
            return Err(CommandError::Status);
        }
        let index = self.handed.iter().position(|h| h.id == id).ok_or(CommandError::Unknown)?;
        let Some(handed) = self.handed.get(index) else { return Err(CommandError::Unknown) };
        let mut b = self.wire.response(&handed.ask, status, None, headers);
        if matches!(status, 405 | 501) {
            b = self.wire.abilities(b, headers);
        }
        let bytes = match body {
            Some((kind, body)) => b.carrying(kind, body).finish(),
            None => b.finish(),
        };
        self.tx.respond(now, handed.ask.server, bytes, status);
        if status >= 200 {
            self.handed.remove(index);
            self.next_reply();
        }
        self.pump(now);
        Ok(())
    }

    //------------ What comes --------------------------------------------------------------------------------

    /// A request that should belong to this session.
    pub(super) fn asked_inside(&mut self, now: Instant, ask: Ask) {
        let (message, flow) = (&ask.message, ask.flow);
        let Some(index) = self.peers.iter().position(|p| p.dialog.matches(message)) else {
            return self.reply(now, &ask, 481, &[]);
        };
        if self.phase == Phase::Ended {
            // Two BYEs that crossed are both right, if theirs is in order.
            let number = message.cseq().number;
            let mut in_order = || self.peers.get_mut(index).is_some_and(|p| p.dialog.in_order(number));
            let status = match message.method() {
                Method::Bye if in_order() => 200,
                Method::Bye => 500,
                _ => 481,
            };
            return self.reply(now, &ask, status, &[]);
        }
        if let Some(peer) = self.peers.get_mut(index) {
            if !peer.dialog.in_order(message.cseq().number) {
                return self.reply(now, &ask, 500, &[]);
            }
            peer.dialog.heard_on(flow);
        }
        if let Some((status, headers)) = self.unacceptable(message) {
            return self.reply(now, &ask, status, &headers);
        }
        match message.method() {
            Method::Bye => self.byed(now, index, ask),
            Method::Invite => self.reinvited(now, index, ask),
            Method::Update => self.updated(now, index, ask),
            Method::Prack => self.pracked(now, ask),
            Method::Options => {
                let b = self.wire.abilities(self.wire.response(&ask, 200, None, &[]), &[]);
                let bytes = b.header(Name::Accept, body::ACCEPT).finish();
                self.tx.respond(now, ask.server, bytes, 200);
            }
            _ => self.hand(now, ask),
        }
    }

    /// Hands a request to the owner.
    fn hand(&mut self, now: Instant, ask: Ask) {
        if self.handed.len() >= WAITING {
            return self.reply(now, &ask, 500, &[("Retry-After".to_owned(), "2".to_owned())]);
        }
        let timers = self.wire.own.shared.timers;
        let id = RequestId(self.next_id());
        let ends = now + timers.t1x64.saturating_sub(timers.t4);
        let message = ask.message.clone();
        self.handed.push(Handed { id, ask, ends });
        self.next_reply();
        self.tell(Event::Request { id, message });
    }

    fn next_reply(&mut self) {
        match self.handed.iter().map(|h| h.ends).min() {
            Some(at) => self.waits.set(Wait::Reply, at),
            None => self.waits.stop(Wait::Reply),
        }
    }

    /// The owner left requests without an answer.
    pub(super) fn replies_overdue(&mut self, now: Instant) {
        while let Some(index) = self.handed.iter().position(|h| h.ends <= now) {
            let handed = self.handed.remove(index);
            self.reply(now, &handed.ask, 500, &[]);
        }
        self.next_reply();
    }

    /// Why a request cannot be accepted whatever it wants (§8.2): the status, and the headers that say what would do.
    pub(super) fn unacceptable(&self, message: &Message) -> Option<(u16, Vec<(String, String)>)> {
        let allow = || vec![("Allow".to_owned(), self.wire.own.shared.allow.clone())];
        let method = message.method();
        // Methods the session answers by itself are there whatever Allow says; PRACK comes by 100rel.
        let own = matches!(method, Method::Invite | Method::Bye | Method::Prack | Method::Options);
        if !own {
            if matches!(method, Method::Other(_)) && !lists(&self.wire.own.shared.allow, method.as_str()) {
                return Some((501, allow()));
            }
            let never = matches!(method, Method::Register | Method::Publish);
            if never || !lists(&self.wire.own.shared.allow, method.as_str()) {
                return Some((405, allow()));
            }
        }
        if !matches!(method, Method::Bye) {
            let unsupported: Vec<&str> = message.require().iter().filter(|t| !self.understands(t)).collect();
            if !unsupported.is_empty() {
                return Some((420, vec![("Unsupported".to_owned(), unsupported.join(", "))]));
            }
        }
        if matches!(method, Method::Invite | Method::Update | Method::Prack)
            && let Some(wrong) = Session::wrong_content(message)
        {
            return Some(wrong);
        }
        if matches!(method, Method::Invite | Method::Update)
            && let Some(least) = self.timer.too_small(&timer_asked(message))
        {
            return Some((422, vec![("Min-SE".to_owned(), least.to_string())]));
        }
        None
    }

    fn understands(&self, option: &str) -> bool {
        option.eq_ignore_ascii_case("100rel")
            || (self.wire.own.shared.enable_timer && option.eq_ignore_ascii_case("timer"))
            || lists(&self.wire.own.shared.supported, option)
    }

    //------------ What we send ------------------------------------------------------------------------------

    /// A response without a body.
    pub(super) fn reply(&mut self, now: Instant, ask: &Ask, status: u16, headers: Headers<'_>) {
        let bytes = self.wire.response(ask, status, None, headers).finish();
        self.tx.respond(now, ask.server, bytes, status);
    }

    /// A request with the next CSeq inside the dialog at `index`.
    pub(super) fn send_inside(
        &mut self,
        now: Instant,
        index: usize,
        method: &Method,
        headers: Headers<'_>,
        body: Option<(&str, Bytes)>,
    ) -> Option<ClientId> {
        let peer = self.peers.get_mut(index)?;
        let cseq = peer.dialog.next_cseq();
        let (mut b, to) = self.wire.request(&peer.dialog, method, cseq, headers);
        let fork = peer.fork;
        if let Some(access) = &mut self.access {
            let (uri, _) = peer.dialog.request_line();
            b = access.authorize(b, method, &uri, &mut self.rng);
        }
        let bytes = match &body {
            Some((kind, body)) => b.carrying(kind, body.clone()).finish(),
            None => b.finish(),
        };
        let reliable = is_reliable(&to);
        // A header of a command could stand where only ours may: then the message must prove that it can be read.
        let sent = if headers.iter().any(|(name, _)| is_structure(name)) {
            let request = Message::parse(bytes, &Limits::default()).ok()?;
            self.tx.request(now, request, to, reliable).ok()
        } else {
            let branch = self.wire.last_branch();
            self.tx.request_as(now, (&branch, method), bytes, to, reliable).ok()
        };
        if let (Some(access), Some(id)) = (&mut self.access, sent) {
            access.keep(id, fork, method, headers, body);
        }
        sent
    }
}

/// A header that every message has once, or that says how it is cut.
pub(super) fn is_structure(name: &str) -> bool {
    use Name::{CSeq, CallId, ContentLength, From, MaxForwards, To, Via};
    matches!(Name::from_name(name), Via | From | To | CallId | CSeq | MaxForwards | ContentLength)
}

/// Whether a message's Allow names UPDATE, the one method of ours that depends on it; none when it has no Allow.
pub(super) fn allows_update(message: &Message) -> Option<bool> {
    message.has(Name::Allow).then(|| message.headers(Name::Allow).any(|allow| lists(allow, "UPDATE")))
}

/// What a message says about the session timer.
pub(super) fn timer_asked(message: &Message) -> TimerAsked {
    let (expires, refresher) = match message.session_expires() {
        Some(se) => (Some(se.seconds), se.refresher),
        None => (None, None),
    };
    let refresher = refresher.map(|r| match r {
        crate::sip::Refresher::Uac => Role::Uac,
        crate::sip::Refresher::Uas => Role::Uas,
    });
    let supported = message.supported().has("timer") || message.require().has("timer");
    TimerAsked { expires, refresher, min_se: message.min_se(), supported }
}
