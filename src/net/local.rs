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

/// The first address of the interface called `name`, of one family or of any.
pub fn interface_address(name: &str, v4: Option<bool>) -> Option<IpAddr> {
    let mut list = std::ptr::null_mut();
    // SAFETY: `list` is a place for the pointer; what is put there is freed below, once.
    if unsafe { libc::getifaddrs(&mut list) } != 0 {
        return None;
    }
    let mut found = None;
    let mut next = list;
    while !next.is_null() && found.is_none() {
        // SAFETY: the list is whole until it is freed; its names end in NUL, and an address of family AF_INET or AF_INET6
        // is a sockaddr_in or sockaddr_in6.
        unsafe {
            let entry = &*next;
            next = entry.ifa_next;
            if entry.ifa_addr.is_null()
                || std::ffi::CStr::from_ptr(entry.ifa_name).to_bytes() != name.as_bytes()
            {
                continue;
            }
            let address: Option<IpAddr> = match i32::from((*entry.ifa_addr).sa_family) {
                libc::AF_INET => {
                    let address = &*entry.ifa_addr.cast::<libc::sockaddr_in>();
                    Some(Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr)).into())
                }
                libc::AF_INET6 => {
                    let address = &*entry.ifa_addr.cast::<libc::sockaddr_in6>();
                    Some(Ipv6Addr::from(address.sin6_addr.s6_addr).into())
                }
                _ => None,
            };
            found = address.filter(|ip| v4.is_none_or(|v4| v4 == ip.is_ipv4()));
        }
    }
    // SAFETY: the list came from getifaddrs and nothing of it is kept.
    unsafe { libc::freeifaddrs(list) };
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_reached_from_loopback() {
        let home: IpAddr = Ipv4Addr::LOCALHOST.into();
        assert_eq!(local_address_towards(home).unwrap(), home);
        assert_eq!(interface_address("lo", Some(true)), Some(home));
        assert_eq!(interface_address("no such interface", None), None);
        assert!(!local_ip_v4().is_unspecified());
        assert!(!local_ip_v6().is_unspecified());
    }
}
