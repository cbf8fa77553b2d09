//! Where responses go (RFC 3261 §18.2.2, RFC 3581 §4).

use std::net::IpAddr;

use crate::sip::{Destination, Flow, Message, Transport};

/// The flow on which to answer a request that came on `flow`.
///
/// A stream answers on itself. Over UDP the answer goes to the source address; its port is the source's when
/// the client asked for that (`rport`), and also when it did not but its Via names another address than the
/// source's: such a client is behind NAT, and nothing listens on the port it names. Only a client without
/// `rport` that does sit where its Via says is answered on the port of its Via, as RFC 3261 wants.
pub fn reply_flow(request: &Message, flow: Flow) -> Flow {
    if flow.transport != Transport::Udp {
        return flow;
    }
    let via = request.via();
    let named = via.host().trim_matches(['[', ']']).parse::<IpAddr>();
    if via.rport().is_some() || named.map(|ip| ip.to_canonical()) != Ok(flow.remote.ip().to_canonical()) {
        return flow;
    }
    let port = via.port().unwrap_or(flow.transport.default_port());
    let mut remote = flow.remote;
    remote.set_port(port);
    Flow { remote, ..flow }
}

/// Where to send a response once the stream its request came on is gone: a new connection to the same address,
/// on the port of the Via's sent-by (RFC 3261 §18.2.2). None for datagrams, which have no other way.
pub(super) fn other_way(request: &Message, flow: Flow) -> Option<Destination> {
    match flow.transport {
        Transport::Tcp | Transport::Tls => {
            let port = request.via().port().unwrap_or(flow.transport.default_port());
            Some(Destination::Host {
                transport: Some(flow.transport),
                host: flow.remote.ip().to_string(),
                port: Some(port),
            })
        }
        Transport::Udp | Transport::Ws | Transport::Wss => None,
    }
}
