//! Choosing the socket or the connection for a message (RFC 3261 §18.1.1, §18.2.2; RFC 3263 §4).

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::time::Instant;

use super::connections::{Outbox, opened_by_us};
use super::dns::{Place, Speaks, Wanted};
use super::report::{Parcel, Report, SendError};
use super::resolve::Asked;
use super::start::{Inner, Net};
use super::tcp;
use crate::sip::{Destination, Flow, Transport};

/// A request larger than this goes over a stream when the target's transport is open (RFC 3261 §18.1.1: within
/// 200 bytes of the path's MTU, taken as 1500).
pub const LARGEST_DATAGRAM: usize = 1300;

impl Net {
    /// Sends a message without waiting. `report` is called when it cannot be delivered, at once or later from
    /// another task; it must not block. See [`Report`].
    ///
    /// * To a [`Flow`]: from the flow's own socket, or on its connection; if that is closed, on another one to
    ///   the same peer, and if we had opened it, on a new one.
    /// * To a host: a numeric one at once, a name after the resolver has answered; by the given transport, else
    ///   UDP; on the given port, else the transport's own. An open connection to that address and port is
    ///   used, whoever opened it.
    /// * A *request* of more than [`LARGEST_DATAGRAM`] bytes to a host without a given transport goes over TCP when this
    ///   profile has TCP at all, and its topmost Via is rewritten to say so; if the peer takes no connection it
    ///   goes by UDP after all with its Via as it was, and further ones go there directly for a minute. A registered
    ///   UDP flow stays on UDP whatever the size: what is behind NAT can only be reached there.
    pub fn send(&self, bytes: Bytes, to: &Destination, report: impl FnOnce(Report) + Send + 'static) {
        match to {
            Destination::Flow(flow) => self.0.send_on(bytes, flow, report),
            Destination::Host { transport, host, port } => {
                let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
                match bare.parse::<IpAddr>() {
                    Ok(ip) => self.0.send_to(bytes, *transport, &[ip], *port, host, report),
                    Err(_) => {
                        let parcel = Parcel { bytes, report: Some(Box::new(report)), for_size: false };
                        self.0.look_up(self.0.wanted(host, *transport, *port), parcel);
                    }
                }
            }
        }
    }

    /// The addresses a message to `to` may go to, best first (RFC 3263); `to` itself when there is nothing to look up,
    /// none when its name leads nowhere. Takes 5 s at most.
    pub async fn candidates(&self, to: &Destination) -> Vec<Destination> {
        let Destination::Host { transport, host, port } = to else { return vec![to.clone()] };
        if address_of(to).is_some() {
            return vec![to.clone()];
        }
        let wanted = self.0.wanted(host, *transport, *port);
        let (places, _) = self.0.conf.dns.places(&*self.0.sockets, &wanted).await;
        let hop = |Place { ip, port, transport }| Destination::Host { transport, host: ip.to_string(), port };
        self.0.conf.dns.best_first(places).into_iter().map(hop).collect()
    }

    /// An address that [`candidates`](Self::candidates) gave has failed: for a while it comes last.
    pub fn avoid(&self, to: &Destination) {
        if let (Some(ip), Destination::Host { port, transport, .. }) = (address_of(to), to) {
            self.0.conf.dns.avoid(Place { ip, port: *port, transport: *transport });
        }
    }

    /// Whether a flow can still be sent on: datagrams always, a stream while its connection is open.
    pub fn is_open(&self, flow: &Flow) -> bool {
        flow.transport == Transport::Udp || self.0.connections.of_flow(flow).is_some()
    }
}

impl Inner {
    fn send_on(self: &Arc<Self>, bytes: Bytes, flow: &Flow, report: impl FnOnce(Report) + Send + 'static) {
        if flow.transport == Transport::Udp {
            return match self.udp.iter().find(|port| port.local == flow.local) {
                Some(port) => port.send(bytes, flow.remote, report),
                None => report(Report::Failed(SendError::NoSocket(Transport::Udp))),
            };
        }
        let parcel = Parcel { bytes, report: Some(Box::new(report)), for_size: false };
        match self.connections.of_flow(flow) {
            Some(connection) => {
                if let Err((parcel, error)) = connection.push(parcel) {
                    parcel.failed(error);
                }
            }
            None if opened_by_us(flow.connection) => self.send_stream(parcel, flow.transport, flow.remote),
            None => parcel.failed(SendError::Closed),
        }
    }

    /// Sends to the first of `addresses` this profile has a socket for.
    fn send_to(
        self: &Arc<Self>,
        bytes: Bytes,
        transport: Option<Transport>,
        addresses: &[IpAddr],
        port: Option<u16>,
        host: &str,
        report: impl FnOnce(Report) + Send + 'static,
    ) {
        let same = |ip: IpAddr, ours: SocketAddr| ip.is_ipv4() == ours.is_ipv4();
        let datagrams = || {
            addresses.iter().find_map(|ip| Some((*ip, self.udp.iter().find(|port| same(*ip, port.local))?)))
        };
        let streams = || addresses.iter().copied().find(|ip| self.tcp.iter().any(|ours| same(*ip, *ours)));
        if addresses.is_empty() {
            return report(Report::Failed(SendError::NoAddress(host.to_owned())));
        }
        let target = |ip, transport: Transport| SocketAddr::new(ip, port.unwrap_or(transport.default_port()));
        match transport {
            Some(Transport::Udp) | None => {
                if let (None, Some(ip)) = (transport, streams()) {
                    let to = target(ip, Transport::Tcp);
                    let too_large = bytes.len() > LARGEST_DATAGRAM && is_request(&bytes);
                    if datagrams().is_none() || (too_large && !self.no_stream.contains(to)) {
                        let for_size = datagrams().is_some();
                        let parcel = Parcel { bytes, report: Some(Box::new(report)), for_size };
                        return self.send_stream(parcel, Transport::Tcp, to);
                    }
                }
                match datagrams() {
                    Some((ip, socket)) => socket.send(bytes, target(ip, Transport::Udp), report),
                    None => report(Report::Failed(SendError::NoSocket(Transport::Udp))),
                }
            }
            Some(Transport::Tcp) => match streams() {
                Some(ip) => {
                    let parcel = Parcel { bytes, report: Some(Box::new(report)), for_size: false };
                    self.send_stream(parcel, Transport::Tcp, target(ip, Transport::Tcp));
                }
                None => report(Report::Failed(SendError::NoSocket(Transport::Tcp))),
            },
            Some(other) => report(Report::Failed(SendError::NoSocket(other))),
        }
    }

    fn send_stream(self: &Arc<Self>, parcel: Parcel, transport: Transport, to: SocketAddr) {
        if transport != Transport::Tcp {
            return parcel.failed(SendError::NoSocket(transport));
        }
        let Some(ours) = self.tcp.iter().find(|ours| ours.is_ipv4() == to.is_ipv4()) else {
            return parcel.failed(SendError::NoSocket(transport));
        };
        let flow = Flow { transport, local: *ours, remote: to, connection: 0 };
        let Some((connection, opening)) = self.connections.towards(flow, &self.conf.streams) else {
            return self.no_stream_for(parcel, to, SendError::TooManyConnections);
        };
        let pushed = connection.push(parcel);
        if let Some(outbox) = opening {
            self.open(connection.flow, outbox);
        }
        if let Err((parcel, error)) = pushed {
            parcel.failed(error);
        }
    }

    fn open(self: &Arc<Self>, flow: Flow, outbox: Outbox) {
        self.spawn(tcp::open(self.clone(), flow, outbox));
    }

    /// A stream could not be had: what was to use it only for its size goes by UDP, the rest has failed.
    pub fn no_stream_for(self: &Arc<Self>, parcel: Parcel, to: SocketAddr, error: SendError) {
        let socket = self.udp.iter().find(|port| port.local.is_ipv4() == to.is_ipv4());
        match (parcel.for_size, socket) {
            (true, Some(socket)) => {
                self.no_stream.insert(to);
                let report = parcel.report;
                socket.send(parcel.bytes, to, move |outcome| {
                    if let Some(report) = report {
                        report(outcome);
                    }
                });
            }
            _ => parcel.failed(error),
        }
    }

    fn wanted(&self, host: &str, transport: Option<Transport>, port: Option<u16>) -> Wanted {
        let mut speaks = Speaks::default();
        self.udp.iter().for_each(|ours| speaks.udp[usize::from(ours.local.is_ipv6())] = true);
        self.tcp.iter().for_each(|ours| speaks.tcp[usize::from(ours.is_ipv6())] = true);
        Wanted { host: host.to_owned(), port, transport, speaks }
    }

    fn look_up(self: &Arc<Self>, wanted: Wanted, waiting: Parcel) {
        match self.resolver.ask(&wanted, waiting) {
            Asked::Known(waiting, places) => self.send_waiting(waiting, &places, &wanted.host),
            Asked::Joined => {}
            Asked::Full(waiting) => waiting.failed(SendError::QueueFull),
            Asked::Ask => {
                let net = self.clone();
                self.spawn(async move {
                    let (places, until) = net.conf.dns.places(&*net.sockets, &wanted).await;
                    let places: Arc<[Place]> = places.into();
                    for waiting in net.resolver.answered(&wanted, places.clone(), until) {
                        net.send_waiting(waiting, &places, &wanted.host);
                    }
                });
            }
        }
    }

    fn send_waiting(self: &Arc<Self>, waiting: Parcel, places: &[Place], host: &str) {
        let Parcel { bytes, report, .. } = waiting;
        let report = move |outcome| {
            if let Some(report) = report {
                report(outcome);
            }
        };
        match places.first() {
            Some(place) => self.send_to(bytes, place.transport, &[place.ip], place.port, host, report),
            None => report(Report::Failed(SendError::NoAddress(host.to_owned()))),
        }
    }
}

/// The address a message to `to` goes to, unless a name must be looked up first.
pub fn address_of(to: &Destination) -> Option<IpAddr> {
    match to {
        Destination::Flow(flow) => Some(flow.remote.ip()),
        Destination::Host { host, .. } => {
            host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host).parse().ok()
        }
    }
}

fn is_request(message: &[u8]) -> bool {
    !message.get(..4).is_some_and(|head| head.eq_ignore_ascii_case(b"SIP/"))
}

/// The message with the transport of its topmost Via changed from UDP to TCP; as it is when that says something
/// else. Both words are three letters, so nothing moves.
pub(super) fn via_over_stream(message: &Bytes) -> Bytes {
    let Some(at) = via_transport(message) else { return message.clone() };
    let mut changed = BytesMut::from(&message[..]);
    if let Some(word) = changed.get_mut(at..at + 3)
        && word.eq_ignore_ascii_case(b"UDP")
    {
        word.copy_from_slice(b"TCP");
    }
    changed.freeze()
}

/// Where the transport stands in the first Via line: after the second slash.
fn via_transport(message: &[u8]) -> Option<usize> {
    let mut start = 0;
    for line in message.split_inclusive(|b| *b == b'\n') {
        let name_end = line.iter().position(|b| *b == b':').unwrap_or(0);
        let name = line.get(..name_end)?.trim_ascii();
        if name.eq_ignore_ascii_case(b"Via") || name.eq_ignore_ascii_case(b"v") {
            let value = line.get(name_end..)?;
            let slash = value.iter().enumerate().filter(|(_, b)| **b == b'/').nth(1)?.0;
            let blanks = value.get(slash + 1..)?.iter().take_while(|b| b.is_ascii_whitespace()).count();
            return Some(start + name_end + slash + 1 + blanks);
        }
        if line.trim_ascii().is_empty() {
            return None;
        }
        start += line.len();
    }
    None
}

/// Peers that took no connection when a large request was to go to them.
#[derive(Default)]
pub(super) struct NoStream(Mutex<HashMap<SocketAddr, Instant>>);

impl NoStream {
    const LIFETIME: Duration = Duration::from_secs(60);
    const KEPT: usize = 256;

    fn contains(&self, peer: SocketAddr) -> bool {
        let peers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        peers.get(&peer).is_some_and(|until| *until > Instant::now())
    }

    fn insert(&self, peer: SocketAddr) {
        let now = Instant::now();
        let mut peers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if peers.len() >= Self::KEPT {
            peers.retain(|_, until| *until > now);
        }
        if peers.len() < Self::KEPT {
            peers.insert(peer, now + Self::LIFETIME);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_topmost_via_changes() {
        for (before, after) in [
            (
                "INVITE sip:a SIP/2.0\r\nTo: x\r\nVia: SIP/2.0/UDP a;branch=1\r\nVia: SIP/2.0/UDP b\r\n\r\n",
                "INVITE sip:a SIP/2.0\r\nTo: x\r\nVia: SIP/2.0/TCP a;branch=1\r\nVia: SIP/2.0/UDP b\r\n\r\n",
            ),
            ("I s S\r\nv : SIP / 2.0 / udp a\r\n\r\n", "I s S\r\nv : SIP / 2.0 / TCP a\r\n\r\n"),
            ("I s S\r\nVia: SIP/2.0/TLS a\r\n\r\n", "I s S\r\nVia: SIP/2.0/TLS a\r\n\r\n"),
            ("I s S\r\n\r\nVia: SIP/2.0/UDP a", "I s S\r\n\r\nVia: SIP/2.0/UDP a"),
            ("Via: SIP/2.0", "Via: SIP/2.0"),
            ("", ""),
        ] {
            let changed = via_over_stream(&Bytes::from_static(before.as_bytes()));
            assert_eq!(std::str::from_utf8(&changed).unwrap(), after);
        }
    }
}
