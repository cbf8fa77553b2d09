//! Dialog state (RFC 3261 §12): who talks to whom, by which route, in which order.

use super::caller::Invite;
use crate::sip::{Destination, Flow, Message, NameAddr, Text, Transport, Uri};

/// One dialog, early or confirmed. Changes only by the messages its session gives it.
#[derive(Clone, Debug)]
pub struct Dialog {
    call_id: Text,
    /// With our tag.
    local: NameAddr,
    /// With the peer's tag; without with peers of RFC 2543, which may leave tags out (§12.1.1, §12.1.2).
    remote: NameAddr,
    routes: Vec<NameAddr>,
    target: Uri,
    local_cseq: u32,
    remote_cseq: Option<u32>,
    flow: Option<Flow>,
}

impl Dialog {
    /// The called side's dialog (§12.1.1). None when the INVITE names no Contact, or a Record-Route that is none.
    pub fn of_request(invite: &Message, local_tag: &str, flow: Flow) -> Option<Dialog> {
        Some(Dialog {
            call_id: invite.call_id_text(),
            local: invite.to().with_tag(local_tag),
            remote: invite.from().clone(),
            routes: invite.record_routes().ok()?,
            target: contact_of(invite)?,
            local_cseq: 0,
            remote_cseq: Some(invite.cseq().number),
            flow: Some(flow),
        })
    }

    /// Without a Record-Route, goes by these (the Path of an edge proxy, RFC 3327).
    pub(super) fn go_by(&mut self, path: Vec<NameAddr>) {
        if self.routes.is_empty() {
            self.routes = path;
        }
    }

    /// The calling side's dialog (§12.1.2), `invite` being as sent, with its tag. A 2xx without Contact, which there must be, is taken to come from where
    /// the INVITE was sent.
    pub(super) fn of_response(invite: &Invite, response: &Message, flow: Flow) -> Option<Dialog> {
        let mut routes = response.record_routes().ok()?;
        routes.reverse();
        Some(Dialog {
            call_id: Text::from(invite.call_id.as_str()),
            local: invite.from.clone(),
            remote: response.to().clone(),
            routes,
            target: contact_of(response).unwrap_or_else(|| invite.uri.clone()),
            local_cseq: invite.cseq,
            remote_cseq: None,
            flow: Some(flow),
        })
    }

    /// The calling side's dialog with a fork that answers when the INVITE itself is forgotten. Without the Contact there
    /// must be it is taken to be where its 2xx came from: it gets its ACK and its BYE all the same.
    pub(super) fn of_late_response(response: &Message, flow: Flow) -> Option<Dialog> {
        let mut routes = response.record_routes().ok()?;
        routes.reverse();
        Some(Dialog {
            call_id: response.call_id_text(),
            local: response.from().clone(),
            remote: response.to().clone(),
            routes,
            target: contact_of(response).unwrap_or_else(|| at(flow, response.to().uri())),
            local_cseq: response.cseq().number,
            remote_cseq: None,
            flow: Some(flow),
        })
    }

    /// The 2xx to our INVITE: the route set is computed anew, the target is its Contact (§13.2.2.4).
    pub fn confirm(&mut self, response: &Message, flow: Flow) {
        if let Ok(routes) = response.record_routes() {
            self.routes = routes;
            self.routes.reverse();
        }
        self.refresh(response);
        self.flow = Some(flow);
    }

    /// Moves what was read from messages into one buffer of its own, so that those are let go: they are large, and a
    /// call may be long.
    pub fn compact(&mut self) {
        let addresses = [&self.local, &self.remote].into_iter().chain(&self.routes).map(NameAddr::as_str);
        let texts: Vec<&str> = [&*self.call_id, self.target.as_str()].into_iter().chain(addresses).collect();
        let text = Text::from(texts.concat());
        let mut at = 0;
        let mut next = |length: usize| {
            at += length;
            at - length
        };
        let from = next(self.call_id.len());
        self.call_id = text.slice(from..from + self.call_id.len());
        self.target = self.target.moved_to(&text, next(self.target.as_str().len()));
        for address in [&mut self.local, &mut self.remote].into_iter().chain(&mut self.routes) {
            *address = address.moved_to(&text, next(address.as_str().len()));
        }
        self.routes.shrink_to_fit();
    }

    /// Does this request belong here (§12.2.2)? Both tags must match, a missing one matches a missing one.
    pub fn matches(&self, request: &Message) -> bool {
        self.call_id == request.call_id()
            && request.to_tag().is_some_and(|tag| self.local.tag() == Some(tag))
            && request.from_tag() == self.remote_tag()
    }

    /// Is this response to a request of ours from this peer?
    pub fn answers(&self, response: &Message) -> bool {
        response.to_tag() == self.remote_tag()
    }

    /// Takes the CSeq of a request into account; false when it is out of order (500, §12.2.2). Gaps are fine. The
    /// same number again is no retransmission, since those end in the transaction.
    pub fn in_order(&mut self, number: u32) -> bool {
        if self.remote_cseq.is_some_and(|last| number <= last) {
            return false;
        }
        self.remote_cseq = Some(number);
        true
    }

    /// A target refresh request or its 2xx (§12.2): the Contact is the new target. Route sets do not change.
    pub fn refresh(&mut self, message: &Message) {
        if let Some(target) = contact_of(message)
            && target.as_str() != self.target.as_str()
        {
            self.target = target.by_itself();
        }
    }

    /// An authentic message for this dialog came on `flow`.
    pub fn heard_on(&mut self, flow: Flow) {
        self.flow = Some(flow);
    }

    /// The CSeq of the peer's last request, once it has sent one.
    pub fn remote_cseq(&self) -> Option<u32> {
        self.remote_cseq
    }

    /// The CSeq of our next request.
    pub fn next_cseq(&mut self) -> u32 {
        self.local_cseq = self.local_cseq.saturating_add(1);
        self.local_cseq
    }

    /// The CSeq of our last request.
    pub fn local_cseq(&self) -> u32 {
        self.local_cseq
    }

    /// Request-URI and Route headers of a request of ours (§12.2.1.1): with a strict router first (no `lr`) its URI
    /// goes into the request line and the target to the end of the route.
    pub fn request_line(&self) -> (Uri, Vec<NameAddr>) {
        match self.routes.split_first() {
            Some((first, rest)) if !first.uri().is_loose() => {
                let mut routes = rest.to_vec();
                routes.push(NameAddr::new(self.target.clone()));
                (first.uri().clone(), routes)
            }
            _ => (self.target.clone(), self.routes.clone()),
        }
    }

    /// Where a request of ours is sent. `sticky`: to the flow the peer's packets come from. So it is anyway when
    /// nothing else can reach it: a stream the peer opened, a WebSocket phone (`.invalid`, `transport=ws`), an `ob`
    /// Contact (RFC 5626). Otherwise to the first route, or the target.
    pub fn destination(&self, sticky: bool) -> Destination {
        let next = self.routes.first().map_or(&self.target, NameAddr::uri);
        match self.flow {
            Some(flow) if sticky || only_by_flow(next) || flow.transport.is_reliable() => {
                Destination::Flow(flow)
            }
            _ => Destination::of(next),
        }
    }

    /// Call-ID of the dialog.
    pub fn call_id(&self) -> &str {
        &self.call_id
    }

    /// Our address and tag, as in From of our requests.
    pub fn local(&self) -> &NameAddr {
        &self.local
    }

    /// The peer's address and tag, as in To of our requests.
    pub fn remote(&self) -> &NameAddr {
        &self.remote
    }

    /// The peer's tag.
    pub fn remote_tag(&self) -> Option<&str> {
        self.remote.tag()
    }

    /// The peer's Contact.
    pub fn target(&self) -> &Uri {
        &self.target
    }

    /// The flow the peer's last message came on.
    pub fn flow(&self) -> Option<Flow> {
        self.flow
    }
}

/// The first Contact that is an address.
fn contact_of(message: &Message) -> Option<Uri> {
    Some(message.contact()?.uri().clone())
}

/// The user of `uri` at the other end of a flow.
fn at(flow: Flow, uri: &Uri) -> Uri {
    let user = uri.user();
    let uri = Uri::sip(user.as_deref(), &flow.remote.ip().to_string(), Some(flow.remote.port()));
    match flow.transport {
        Transport::Udp => uri,
        other => uri.with_param("transport", Some(other.as_param())),
    }
}

fn only_by_flow(uri: &Uri) -> bool {
    let ws =
        uri.param("transport").is_some_and(|t| t.eq_ignore_ascii_case("ws") || t.eq_ignore_ascii_case("wss"));
    let invalid = uri.host().to_ascii_lowercase().ends_with(".invalid");
    ws || invalid || uri.param("ob").is_some()
}
