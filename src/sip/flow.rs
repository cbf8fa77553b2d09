//! Where messages come from and go to. Values only; `net` moves the bytes.

use super::uri::{Scheme, Uri};
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

/// The transports of SIP (RFC 3261 §18, RFC 7118).
#[derive(Copy, Clone, Eq, PartialEq, Hash, Debug)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// A plain stream.
    Tcp,
    /// A stream under TLS.
    Tls,
    /// WebSocket.
    Ws,
    /// WebSocket under TLS.
    Wss,
}

impl Transport {
    /// Whether the transport itself repeats what got lost: then the transaction timers that do so rest.
    pub const fn is_reliable(self) -> bool {
        !matches!(self, Transport::Udp)
    }

    /// Whether the bytes are encrypted on the way.
    pub const fn is_secure(self) -> bool {
        matches!(self, Transport::Tls | Transport::Wss)
    }

    /// The port when a URI or Via names none (RFC 3261 §18.1.1, RFC 7118 §5.3).
    pub const fn default_port(self) -> u16 {
        match self {
            Transport::Udp | Transport::Tcp => 5060,
            Transport::Tls => 5061,
            Transport::Ws => 80,
            Transport::Wss => 443,
        }
    }

    /// As a Via writes it: `UDP`, `TCP`, …
    pub const fn as_str(self) -> &'static str {
        match self {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
            Transport::Tls => "TLS",
            Transport::Ws => "WS",
            Transport::Wss => "WSS",
        }
    }

    /// As a URI's `transport` parameter writes it: `udp`, `tcp`, …
    pub const fn as_param(self) -> &'static str {
        match self {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
            Transport::Tls => "tls",
            Transport::Ws => "ws",
            Transport::Wss => "wss",
        }
    }

    /// Reads either form, in any case. None for a transport we have not (SCTP, …).
    pub fn from_name(name: &str) -> Option<Transport> {
        [Transport::Udp, Transport::Tcp, Transport::Tls, Transport::Ws, Transport::Wss]
            .into_iter()
            .find(|t| t.as_str().eq_ignore_ascii_case(name))
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Transport {
    type Err = UnknownTransport;
    fn from_str(name: &str) -> Result<Transport, UnknownTransport> {
        Transport::from_name(name).ok_or(UnknownTransport)
    }
}

/// A transport name that is none of UDP, TCP, TLS, WS, WSS.
#[derive(Copy, Clone, Eq, PartialEq, Debug, thiserror::Error)]
#[error("not a transport we have: UDP, TCP, TLS, WS or WSS")]
pub struct UnknownTransport;

/// One way between us and a peer: a datagram's pair of addresses, or a connection.
#[derive(Copy, Clone, Eq, PartialEq, Hash, Debug)]
pub struct Flow {
    /// What carries it.
    pub transport: Transport,
    /// Our end.
    pub local: SocketAddr,
    /// The peer's end as packets show it, not as the peer says.
    pub remote: SocketAddr,
    /// The connection's number; 0 for datagrams.
    pub connection: u64,
}

impl Flow {
    /// A datagram between two addresses.
    pub const fn udp(local: SocketAddr, remote: SocketAddr) -> Flow {
        Flow { transport: Transport::Udp, local, remote, connection: 0 }
    }
}

/// `udp:192.0.2.1:5060`, as logs show the peer.
impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.transport.as_param(), self.remote)
    }
}

/// Where a message shall go.
#[derive(Clone, Eq, PartialEq, Debug)]
pub enum Destination {
    /// Over this flow and no other: a response, or a peer behind NAT.
    Flow(Flow),
    /// To a host yet to be looked up (RFC 3263).
    Host {
        /// The transport asked for, when one is.
        transport: Option<Transport>,
        /// A name or an address; IPv6 without brackets.
        host: String,
        /// The port, when one is given.
        port: Option<u16>,
    },
}

/// `udp:192.0.2.1:5060`, or as much of it as is given.
impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Destination::Flow(flow) => write!(f, "{flow}"),
            Destination::Host { transport, host, port } => {
                if let Some(transport) = transport {
                    write!(f, "{}:", transport.as_param())?;
                }
                match host.contains(':') && !host.starts_with('[') {
                    true => write!(f, "[{host}]")?,
                    false => f.write_str(host)?,
                }
                port.map_or(Ok(()), |port| write!(f, ":{port}"))
            }
        }
    }
}

impl Destination {
    /// The next hop a URI names (RFC 3261 §19.1.1, RFC 3263 §4.1): `maddr` before the host, the transport it asks for, and
    /// TLS for `sips`.
    pub fn of(uri: &Uri) -> Destination {
        let secure = uri.scheme() == Scheme::Sips;
        let transport = match uri.transport() {
            Some(Transport::Tcp) | None if secure => Some(Transport::Tls),
            asked => asked,
        };
        let host = uri.param("maddr").filter(|m| !m.is_empty()).unwrap_or(uri.host());
        Destination::Host { transport, host: host.to_owned(), port: uri.port() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_both_ways() {
        for t in [Transport::Udp, Transport::Tcp, Transport::Tls, Transport::Ws, Transport::Wss] {
            assert_eq!(t.as_str().parse(), Ok(t));
            assert_eq!(t.as_param().parse(), Ok(t));
        }
        assert_eq!("SCTP".parse::<Transport>(), Err(UnknownTransport));
    }
}
