//! REGISTER and OPTIONS as they stand on the wire (FreeSWITCH's `sofia_reg_check_gateway`).

use std::net::IpAddr;

use super::Gateway;
use super::hops::Hop;
use crate::sip::{Builder, Destination, Limits, Message, Method, Name, NameAddr, Transport, Uri};

/// What tells the requests of one gateway from all others.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Begins every branch: the magic cookie and a token.
    pub branch_prefix: String,
    /// From tag.
    pub tag: String,
    /// Call-ID, the same for as long as the gateway runs (RFC 3261 §10.2).
    pub call_id: String,
    /// What the profile listens on.
    pub own: IpAddr,
    /// User-Agent, Allow and Supported as lines.
    pub lines: Box<[u8]>,
}

/// Writes the requests of one gateway.
#[derive(Debug)]
pub(super) struct Writer {
    identity: Identity,
    branches: u32,
    cseq: u32,
}

impl Writer {
    pub fn new(identity: Identity) -> Writer {
        Writer { identity, branches: 0, cseq: 0 }
    }

    /// REGISTER for so many seconds; 0 ends the registration.
    pub fn register(
        &mut self,
        gateway: &Gateway,
        hop: &Hop,
        expires: u32,
        credentials: &[(Name, String)],
    ) -> Option<Message> {
        let conf = &gateway.conf;
        let from = NameAddr::new(gateway.address());
        let to = match conf.distinct_to {
            true => NameAddr::new(Uri::sip(Some(&conf.username), conf.proxy.host(), conf.proxy.port())),
            false => from.clone(),
        };
        let contact = gateway.contact(hop.ours, self.identity.own, &[]);
        self.cseq += 1;
        let (call_id, cseq) = (self.identity.call_id.clone(), self.cseq);
        let b = self
            .begin(&Method::Register, &register_uri(gateway), hop, &from, &to, gateway)
            .header(Name::CallId, call_id)
            .header(Name::CSeq, format_args!("{cseq} REGISTER"))
            .header(Name::Contact, contact)
            .header(Name::Expires, expires)
            .lines(&self.identity.lines);
        let b = credentials.iter().fold(b, |b, (name, value)| b.header(*name, value));
        Message::parse(b.finish(), &Limits::default()).ok()
    }

    /// OPTIONS to see whether the gateway is there.
    pub fn options(&mut self, gateway: &Gateway, hop: &Hop, number: u64) -> Option<Message> {
        let ping = gateway.conf.ping.as_ref()?;
        let at = match gateway.address() {
            uri if uri.port().is_some() => Uri::sip(None, uri.host(), uri.port()),
            uri => Uri::sip(None, uri.host(), None),
        };
        let address = NameAddr::new(at);
        let contact = ping.contact.then(|| gateway.contact(hop.ours, self.identity.own, &[]));
        let mut b = self
            .begin(&Method::Options, &register_uri(gateway), hop, &address, &address, gateway)
            .header(Name::CallId, format_args!("{number:016x}-{}", self.identity.call_id))
            .header(Name::CSeq, "1 OPTIONS")
            .header(Name::Accept, "application/sdp")
            .header_opt(Name::Contact, contact);
        b = match &ping.user_agent {
            Some(user_agent) => b.header(Name::UserAgent, user_agent),
            None => b.lines(&self.identity.lines),
        };
        Message::parse(b.finish(), &Limits::default()).ok()
    }

    fn begin(
        &mut self,
        method: &Method,
        uri: &Uri,
        hop: &Hop,
        from: &NameAddr,
        to: &NameAddr,
        gateway: &Gateway,
    ) -> Builder {
        self.branches = self.branches.wrapping_add(1);
        let transport = transport_of(&hop.to);
        let prefix = &self.identity.branch_prefix;
        let branch = format_args!("SIP/2.0/{transport} {};rport;branch={prefix}{}", hop.ours, self.branches)
            .to_string();
        let b = Builder::request(method, uri).header(Name::Via, branch).header(Name::MaxForwards, 70);
        let b = b.header_opt(Name::Route, Gateway::route(gateway.conf.register_proxy.as_ref()));
        b.header(Name::From, from.with_tag(&self.identity.tag)).header(Name::To, to)
    }
}

/// The transport a message to there has in its Via.
pub(super) fn transport_of(to: &Destination) -> Transport {
    match to {
        Destination::Flow(flow) => flow.transport,
        Destination::Host { transport, .. } => transport.unwrap_or(Transport::Udp),
    }
}

/// The Request-URI of REGISTER: the domain of the proxy, without a user (RFC 3261 §10.2).
pub(super) fn register_uri(gateway: &Gateway) -> Uri {
    gateway.conf.proxy.with_user(None)
}
