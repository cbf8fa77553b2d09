//! How this side looks on the wire: the headers all messages of a session share.

use std::fmt::{self, Display};
use std::sync::Arc;
use std::time::Duration;

use super::dialog::Dialog;
use super::event::Headers;
use super::inside::Ask;
use super::phrase::reason_phrase;
use super::timer::Said;
use crate::sip::{Builder, Destination, Method, Name, Transport};
use crate::transaction::Timers;

/// What the owner of a session decides once.
#[derive(Clone, Debug)]
pub struct SessionConfig {
    /// Our tag: From tag of the calling side, To tag of the called.
    pub local_tag: String,
    /// `z9hG4bK` and a token of this session; a counter is appended for each transaction.
    pub branch_prefix: String,
    /// sent-by of Via (`host` or `host:port`) for each transport in use; the first serves any other.
    pub sent_by: Vec<(Transport, String)>,
    /// Contact, as a header value: `<sip:mod_sofia@192.0.2.1:5060>`.
    pub contact: String,
    /// User-Agent; none: no such header.
    pub user_agent: Option<String>,
    /// Allow, comma separated. A known method that is missing here is answered 405.
    pub allow: String,
    /// Supported, comma separated. What a peer may Require.
    pub supported: String,
    /// T1, T2, T4, 64·T1.
    pub timers: Timers,
    /// Session-Expires we ask for, in seconds; none: none (RFC 4028).
    pub session_expires: Option<u32>,
    /// Min-SE in seconds; 0 stands for the RFC's 90.
    pub min_se: u32,
    /// Take part in session timers at all.
    pub enable_timer: bool,
    /// Refresh by UPDATE when the peer allows it; otherwise by re-INVITE.
    pub update_refresher: bool,
    /// Send provisional responses reliably when the peer supports it (RFC 3262). When it requires it they are
    /// anyway.
    pub reliable_provisional: bool,
    /// In-dialog requests go to the flow the peer's packets come from, not to its Contact.
    pub sticky: bool,
    /// How long the first INVITE may go without a final response.
    pub setup_limit: Duration,
}

impl Default for SessionConfig {
    fn default() -> Self {
        SessionConfig {
            local_tag: String::new(),
            branch_prefix: "z9hG4bK".to_owned(),
            sent_by: Vec::new(),
            contact: String::new(),
            user_agent: None,
            allow: "INVITE, ACK, BYE, CANCEL, OPTIONS, MESSAGE, INFO, UPDATE, REGISTER, REFER, NOTIFY"
                .to_owned(),
            supported: "timer, path, replaces".to_owned(),
            timers: Timers::default(),
            session_expires: None,
            min_se: 0,
            enable_timer: true,
            update_refresher: false,
            reliable_provisional: false,
            sticky: true,
            setup_limit: Duration::from_secs(900),
        }
    }
}

/// What one session is, and what it shares with the other sessions of its owner.
#[derive(Clone, Debug)]
pub struct Identity {
    /// What they share. Its tag, branch prefix, Contact and stickiness do not count.
    pub shared: Arc<SessionConfig>,
    /// As [`SessionConfig::local_tag`].
    pub local_tag: Box<str>,
    /// As [`SessionConfig::branch_prefix`].
    pub branch_prefix: Box<str>,
    /// As [`SessionConfig::contact`].
    pub contact: Box<str>,
    /// As [`SessionConfig::sticky`].
    pub sticky: bool,
}

/// A session that shares nothing.
impl From<SessionConfig> for Identity {
    fn from(mut config: SessionConfig) -> Self {
        let mut take = |text: fn(&mut SessionConfig) -> &mut String| std::mem::take(text(&mut config)).into();
        let local_tag = take(|c| &mut c.local_tag);
        let branch_prefix = take(|c| &mut c.branch_prefix);
        let contact = take(|c| &mut c.contact);
        Identity { local_tag, branch_prefix, contact, sticky: config.sticky, shared: Arc::new(config) }
    }
}

/// A Via of ours.
struct ViaLine<'a> {
    transport: Transport,
    sent_by: &'a str,
    prefix: &'a str,
    number: u32,
}

impl Display for ViaLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ViaLine { transport, sent_by, prefix, number } = self;
        write!(f, "SIP/2.0/{transport} {sent_by};rport;branch={prefix}{number}")
    }
}

/// Builds the messages of one session.
#[derive(Debug)]
pub(super) struct Wire {
    pub own: Identity,
    branches: u32,
}

impl Wire {
    pub fn new(own: Identity) -> Self {
        Wire { own, branches: 0 }
    }

    /// A Via with a branch of its own for a request to `to`.
    pub fn via(&mut self, to: &Destination, reliable: bool) -> impl Display + use<'_> {
        self.branches = self.branches.wrapping_add(1);
        let transport = match to {
            Destination::Flow(flow) => flow.transport,
            Destination::Host { transport: Some(transport), .. } => *transport,
            Destination::Host { transport: None, .. } if reliable => Transport::Tcp,
            Destination::Host { transport: None, .. } => Transport::Udp,
        };
        let sent_by =
            self.own.shared.sent_by.iter().find(|(t, _)| *t == transport).or(self.own.shared.sent_by.first());
        let sent_by = sent_by.map_or("0.0.0.0", |(_, s)| s.as_str());
        ViaLine { transport, sent_by, prefix: &self.own.branch_prefix, number: self.branches }
    }

    /// The branch of the last Via.
    pub fn last_branch(&self) -> String {
        format!("{}{}", self.own.branch_prefix, self.branches)
    }

    /// A request inside `dialog` up to and without its body.
    pub fn request(
        &mut self,
        dialog: &Dialog,
        method: &Method,
        cseq: u32,
        headers: Headers<'_>,
    ) -> (Builder, Destination) {
        let to = dialog.destination(self.own.sticky);
        let via = self.via(&to, is_reliable(&to));
        let (uri, routes) = dialog.request_line();
        let mut b = Builder::request(method, &uri).header(Name::Via, via);
        if !says(headers, "Max-Forwards") {
            b = b.header(Name::MaxForwards, 70);
        }
        for route in &routes {
            b = b.text(Name::Route, route.as_str());
        }
        b = b
            .text(Name::From, dialog.local().as_str())
            .text(Name::To, dialog.remote().as_str())
            .text(Name::CallId, dialog.call_id())
            .header(Name::CSeq, format_args!("{cseq} {method}"));
        let target = matches!(
            method,
            Method::Invite
                | Method::Ack
                | Method::Update
                | Method::Refer
                | Method::Subscribe
                | Method::Notify
        );
        (self.ours(b, target, headers), to)
    }

    /// A response to `ask` up to and without its body; with Contact in those that establish or refresh.
    pub fn response(&self, ask: &Ask, status: u16, reason: Option<&str>, headers: Headers<'_>) -> Builder {
        let request = &ask.message;
        let reason = reason.unwrap_or_else(|| reason_phrase(status));
        let mut b = Builder::response(request, &ask.flow, status, reason);
        if status > 100 {
            b = b.to_tag(&self.own.local_tag);
        }
        if (101..300).contains(&status) && matches!(request.method(), Method::Invite) {
            b = b.record_routes(request);
        }
        let establishes = matches!(request.method(), Method::Invite | Method::Update | Method::Subscribe);
        let target = establishes && (101..300).contains(&status);
        self.ours(b, target, headers)
    }

    /// Contact if wanted, User-Agent, and the headers of the command, which win over ours of the same name.
    pub fn ours(&self, mut b: Builder, contact: bool, headers: Headers<'_>) -> Builder {
        if contact && !says(headers, "Contact") {
            b = b.text(Name::Contact, &self.own.contact);
        }
        if let Some(agent) = self.own.shared.user_agent.as_ref().filter(|_| !says(headers, "User-Agent")) {
            b = b.text(Name::UserAgent, agent);
        }
        for (name, value) in headers {
            b = b.text(name.as_str(), value);
        }
        b
    }

    /// Allow and Supported, which INVITE, UPDATE, OPTIONS and their 2xx carry.
    pub fn abilities(&self, mut b: Builder, headers: Headers<'_>) -> Builder {
        if !says(headers, "Allow") && !self.own.shared.allow.is_empty() {
            b = b.text(Name::Allow, &self.own.shared.allow);
        }
        if !says(headers, "Supported") && !self.own.shared.supported.is_empty() {
            b = b.text(Name::Supported, &self.own.shared.supported);
        }
        b
    }
}

/// The session timer's headers.
pub(super) fn timer_headers(mut b: Builder, said: &Said) -> Builder {
    use super::timer::Role;
    if let Some((seconds, role)) = said.expires {
        b = match role {
            Some(Role::Uac) => b.header(Name::SessionExpires, format_args!("{seconds};refresher=uac")),
            Some(Role::Uas) => b.header(Name::SessionExpires, format_args!("{seconds};refresher=uas")),
            None => b.header(Name::SessionExpires, seconds),
        };
    }
    if let Some(seconds) = said.min_se {
        b = b.header(Name::MinSe, seconds);
    }
    if said.require {
        b = b.header(Name::Require, "timer");
    }
    b
}

/// Does the caller of a command say this header itself?
pub(super) fn says(headers: Headers<'_>, name: &str) -> bool {
    headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name))
}

pub(super) fn is_reliable(to: &Destination) -> bool {
    match to {
        Destination::Flow(flow) => flow.transport.is_reliable(),
        Destination::Host { transport, .. } => transport.is_some_and(|t| t.is_reliable()),
    }
}

/// Is `token` in a comma separated list, ignoring case?
pub(super) fn lists(list: &str, token: &str) -> bool {
    list.split(',').any(|t| t.trim_ascii().eq_ignore_ascii_case(token))
}
