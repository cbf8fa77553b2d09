//! Addresses as profiles name them. Looking them up (interfaces, STUN, DNS) is the business of whoever opens the
//! sockets.

use std::fmt;
use std::net::IpAddr;

use crate::config::value::Value;

/// `sip-ip` and `rtp-ip`.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Address {
    /// `auto`, empty, absent or 0.0.0.0: the address the routing table gives for the outside.
    #[default]
    Auto,
    /// This address.
    Ip(IpAddr),
    /// `interface:[auto|ipv4|ipv6/]name`: the address of a network interface.
    Interface {
        /// Which kind of address of it.
        family: Family,
        /// Its name, `eth0`.
        name: String,
    },
}

/// The kind of address wanted from an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Family {
    /// Whatever it has.
    #[default]
    Any,
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Auto => f.write_str("auto"),
            Address::Ip(ip) => write!(f, "{ip}"),
            Address::Interface { name, .. } => write!(f, "interface:{name}"),
        }
    }
}

impl Address {
    /// Reads a value; a wrong one is reported and `None`.
    pub(super) fn read(value: &mut Value<'_>) -> Option<Address> {
        let text = value.text;
        if text.is_empty() || text.eq_ignore_ascii_case("auto") {
            return Some(Address::Auto);
        }
        if let Some(interface) = strip(text, "interface:") {
            let families = [("auto/", Family::Any), ("ipv4/", Family::V4), ("ipv6/", Family::V6)];
            let (family, name) = families
                .iter()
                .find_map(|(prefix, family)| Some((*family, strip(interface, prefix)?)))
                .unwrap_or((Family::Any, interface));
            if name.is_empty() {
                value.wrong(
                    format!("{} names no interface", value.name),
                    "write interface:eth0 or interface:ipv6/eth0",
                );
                return None;
            }
            return Some(Address::Interface { family, name: name.to_owned() });
        }
        match value.ip() {
            Some(ip) if ip.is_unspecified() => {
                value.doubt(
                    format!("{} cannot be {text}; the address of the default route is taken", value.name),
                    "write the address itself, or auto",
                );
                Some(Address::Auto)
            }
            Some(ip) => Some(Address::Ip(ip)),
            None => {
                value.wrong(
                    format!("{} is `{text}`, which is no IP address", value.name),
                    "write an IPv4 or IPv6 address, auto, or interface:NAME",
                );
                None
            }
        }
    }
}

/// `ext-sip-ip` and `ext-rtp-ip`: the address others see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum External {
    /// `auto` or 0.0.0.0: the local address.
    Auto,
    /// `auto-nat`: what the router says (NAT-PMP, UPnP); the local address when it says nothing.
    AutoNat,
    /// This address; used towards everyone outside `local-network-acl`. (`autonat:IP` gives the same.)
    Ip(IpAddr),
    /// `stun:host[:port]`.
    Stun {
        /// The server.
        host: String,
        /// Its port.
        port: u16,
    },
    /// `host:name`, or a plain name.
    Host(String),
}

impl External {
    /// Reads a value; an empty one is `None` with a warning, a wrong one `None` with an error.
    pub(super) fn read(value: &mut Value<'_>) -> Option<External> {
        let text = value.text;
        if text.is_empty() {
            value.doubt(
                format!("{} is empty; the local address is taken", value.name),
                "remove the line, or write an address, auto, auto-nat, stun:HOST or host:NAME",
            );
            return None;
        }
        if text.eq_ignore_ascii_case("auto") {
            return Some(External::Auto);
        }
        if text.eq_ignore_ascii_case("auto-nat") {
            return Some(External::AutoNat);
        }
        if let Some(server) = strip(text, "stun:") {
            let (host, port) = match server.rsplit_once(':') {
                Some((host, port)) => (host, port.parse().ok().filter(|p| *p > 0)),
                None => (server, Some(3478)),
            };
            return match port {
                Some(port) if !host.is_empty() => Some(External::Stun { host: host.to_owned(), port }),
                _ => {
                    value.wrong(format!("{text} names no STUN server"), "write stun:HOST or stun:HOST:PORT");
                    None
                }
            };
        }
        let name = strip(text, "host:").or_else(|| strip(text, "autonat:")).unwrap_or(text);
        match name.parse::<IpAddr>() {
            Ok(ip) if ip.is_unspecified() => {
                value.doubt(
                    format!("{} cannot be {text}; the local address is taken", value.name),
                    "write the public address",
                );
                Some(External::Auto)
            }
            Ok(ip) => Some(External::Ip(ip)),
            Err(_) if is_host(name) => Some(External::Host(name.to_owned())),
            Err(_) => {
                value.wrong(
                    format!("{} is `{text}`, which is no address", value.name),
                    "write an address, auto, auto-nat, stun:HOST or host:NAME",
                );
                None
            }
        }
    }
}

/// A DNS name: not all digits and dots, for that is a mistyped address.
fn is_host(name: &str) -> bool {
    let labels = || name.trim_end_matches('.').split('.');
    !name.is_empty()
        && name.len() <= 253
        && labels().all(|l| {
            !l.is_empty()
                && l.len() <= 63
                && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        })
        && !labels().all(|l| l.bytes().all(|b| b.is_ascii_digit()))
}

fn strip<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let head = text.get(..prefix.len())?;
    if head.eq_ignore_ascii_case(prefix) { text.get(prefix.len()..) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Attribute, Element, Position};

    fn external(text: &str) -> (Option<External>, usize) {
        let mut problems = Vec::new();
        let element = param(text);
        let read = External::read(&mut Value::of(&element, &mut problems));
        (read, problems.len())
    }

    fn param(text: &str) -> Element {
        let at = Position::new("x", 1, 1);
        let mut element = Element::new("param", at.clone());
        for (name, value) in [("name", "p"), ("value", text)] {
            element.attributes.push(Attribute {
                name: name.into(),
                value: value.into(),
                at: at.clone(),
                value_at: at.clone(),
            });
        }
        element
    }

    #[test]
    fn external_addresses() {
        let ip = |text: &str| Some(External::Ip(text.parse().unwrap()));
        for (text, expected, problems) in [
            ("192.0.2.1", ip("192.0.2.1"), 0),
            ("autonat:192.0.2.1", ip("192.0.2.1"), 0),
            ("2001:db8::1", ip("2001:db8::1"), 0),
            ("AUTO", Some(External::Auto), 0),
            ("auto-nat", Some(External::AutoNat), 0),
            ("stun:a.example", Some(External::Stun { host: "a.example".into(), port: 3478 }), 0),
            ("stun:a.example:99", Some(External::Stun { host: "a.example".into(), port: 99 }), 0),
            ("stun:a.example:x", None, 1),
            ("host:pbx.example", Some(External::Host("pbx.example".into())), 0),
            ("0.0.0.0", Some(External::Auto), 1),
            ("", None, 1),
            ("192.0.2.300", None, 1),
            ("a b", None, 1),
        ] {
            assert_eq!(external(text), (expected, problems), "{text}");
        }
    }

    #[test]
    fn local_addresses() {
        for (text, expected, count) in [
            ("auto", Some(Address::Auto), 0),
            ("", Some(Address::Auto), 0),
            ("0.0.0.0", Some(Address::Auto), 1),
            ("[::1]", Some(Address::Ip("::1".parse().unwrap())), 0),
            ("interface:eth0", Some(Address::Interface { family: Family::Any, name: "eth0".into() }), 0),
            ("interface:ipv6/eth0", Some(Address::Interface { family: Family::V6, name: "eth0".into() }), 0),
            ("interface:", None, 1),
            ("10.0.0", None, 1),
        ] {
            let mut problems = Vec::new();
            let element = param(text);
            assert_eq!(Address::read(&mut Value::of(&element, &mut problems)), expected, "{text}");
            assert_eq!(problems.len(), count, "{text}");
        }
    }
}
