//! Which of our addresses reaches a remote one: asked of the routing table.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// The local address the kernel would send from towards `remote`. No packet is sent: connecting a UDP socket
/// only looks at the routes.
pub fn local_address_towards(remote: IpAddr) -> io::Result<IpAddr> {
    let any: IpAddr = match remote {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0))?;
    socket.connect(SocketAddr::new(remote, 9))?;
    let found = socket.local_addr()?.ip();
    match found.is_unspecified() {
        true => Err(io::Error::new(io::ErrorKind::AddrNotAvailable, format!("no route to {remote}"))),
        false => Ok(found),
    }
}

/// The address of the interface the IPv4 default route leaves by (`local_ip_v4`); loopback when there is none.
pub fn local_ip_v4() -> IpAddr {
    // Any public address does: documentation addresses are often without a route.
    local_address_towards(Ipv4Addr::new(198, 41, 0, 4).into()).unwrap_or(Ipv4Addr::LOCALHOST.into())
}

/// The address of the interface the IPv6 default route leaves by (`local_ip_v6`); loopback when there is none.
pub fn local_ip_v6() -> IpAddr {
    let root = Ipv6Addr::new(0x2001, 0x503, 0xba3e, 0, 0, 0, 2, 0x30);
    local_address_towards(root.into()).unwrap_or(Ipv6Addr::LOCALHOST.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_reached_from_loopback() {
        let home: IpAddr = Ipv4Addr::LOCALHOST.into();
        assert_eq!(local_address_towards(home).unwrap(), home);
        assert!(!local_ip_v4().is_unspecified());
        assert!(!local_ip_v6().is_unspecified());
    }
}
