//! Access lists ready for look-ups: which list allows which address.
//!
//! The rules are FreeSWITCH's (`switch_core.c`, `switch_load_network_lists`): the most specific prefix wins whatever
//! the order; of equal prefixes the earliest in the file; no match gives the list's default; an unknown list
//! denies; where a list is named, a network or a comma list of them may stand instead.
//!
//! A list is a hash table per prefix length in use, asked from the longest to the shortest, so a look-up costs at most
//! 33 (IPv4) or 129 (IPv6) probes however long the list is.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::config::acl::{AclConf, Ports, Who, parse_network};

/// All lists of a configuration. Immutable; a reload compiles another.
#[derive(Clone, Debug, Default)]
pub struct Acls {
    lists: HashMap<String, List>,
}

/// The answer of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// May it?
    pub allow: bool,
    /// `user@domain` when the matching node came from a directory user's `cidr`.
    pub token: Option<Arc<str>>,
}

impl Verdict {
    const DENY: Verdict = Verdict { allow: false, token: None };
}

/// The switch's own place in the network, for the predefined lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalNet {
    /// Our IPv4 address and the prefix length of its network.
    pub v4: Option<Ipv4Net>,
    /// Our IPv6 address and prefix length (FreeSWITCH leaves it out of `localnet.auto`; we do not).
    pub v6: Option<Ipv6Net>,
}

/// One user's `cidr`, for the `domain` nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserNetwork {
    /// The network.
    pub network: IpNet,
    /// `user@domain`.
    pub token: Arc<str>,
}

impl Acls {
    /// Compiles the lists of `conf` and the predefined ones. `users` gives the networks of a domain's users, or
    /// `None` when there is no such domain. A list of `conf` replaces a predefined one of the same name.
    pub fn compile(
        conf: &AclConf,
        local: LocalNet,
        users: impl Fn(&str) -> Option<Vec<UserNetwork>>,
    ) -> Acls {
        let mut acls = Acls { lists: predefined(local) };
        for list in &conf.lists {
            let mut compiled = List::new(list.allow);
            for node in &list.nodes {
                match &node.who {
                    Who::Networks(networks) => {
                        for network in networks {
                            compiled.add(*network, node.allow, None, &node.ports);
                        }
                    }
                    Who::Domain(domain) => {
                        for user in users(domain).unwrap_or_default() {
                            compiled.add(user.network, node.allow, Some(user.token), &node.ports);
                        }
                    }
                }
            }
            acls.lists.insert(list.name.clone(), compiled);
        }
        acls
    }

    /// Asks list `name` (or the networks written in its place) about a source address. `port` 0 is "not known".
    pub fn check(&self, name: &str, address: IpAddr, port: u16) -> Verdict {
        let address = address.to_canonical();
        if let Some(list) = self.lists.get(name) {
            return list.check(address, port);
        }
        let allow = name.split(',').any(|part| {
            let part = part.trim();
            part.contains(['/', '.', ':'])
                && parse_network(part).is_ok_and(|network| network.contains(&address))
        });
        if allow { Verdict { allow, token: None } } else { Verdict::DENY }
    }

    /// As [`check`](Self::check), the answer alone.
    pub fn allows(&self, name: &str, address: IpAddr, port: u16) -> bool {
        self.check(name, address, port).allow
    }

    /// True when `name` is a list, or a network written in place of one: an unknown one denies everybody, which
    /// is worth a warning when the configuration is read.
    pub fn knows(&self, name: &str) -> bool {
        self.lists.contains_key(name)
            || name.split(',').all(|part| !part.trim().is_empty() && parse_network(part.trim()).is_ok())
    }

    /// The names of all lists, sorted.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.lists.keys().map(String::as_str).collect();
        names.sort_unstable();
        names
    }
}

//------------ One list ------------------------------------------------------

#[derive(Clone, Debug)]
struct List {
    default: bool,
    v4: Prefixes<u32>,
    v6: Prefixes<u128>,
}

#[derive(Clone, Debug)]
struct Node {
    allow: bool,
    token: Option<Arc<str>>,
    ports: Ports,
}

/// Nodes by prefix length (longest first) and network; those of one network in the order of the file.
#[derive(Clone, Debug)]
struct Prefixes<A>(Vec<(u8, HashMap<A, Vec<Node>>)>);

impl<A: std::hash::Hash + Eq> Prefixes<A> {
    fn add(&mut self, length: u8, network: A, node: Node) {
        let at = match self.0.binary_search_by(|(l, _)| length.cmp(l)) {
            Ok(at) => at,
            Err(at) => {
                self.0.insert(at, (length, HashMap::new()));
                at
            }
        };
        if let Some((_, networks)) = self.0.get_mut(at) {
            let nodes = networks.entry(network).or_default();
            // A node for all ports hides those after it: keep the list short however often one is repeated.
            if !nodes.iter().any(|n| n.ports == Ports::default()) {
                nodes.push(node);
            }
        }
    }

    fn find(&self, port: u16, masked: impl Fn(u8) -> A) -> Option<&Node> {
        self.0.iter().find_map(|(length, networks)| {
            networks.get(&masked(*length))?.iter().find(|n| n.ports.match_port(port))
        })
    }
}

impl List {
    fn new(default: bool) -> Self {
        List { default, v4: Prefixes(Vec::new()), v6: Prefixes(Vec::new()) }
    }

    fn add(&mut self, network: IpNet, allow: bool, token: Option<Arc<str>>, ports: &Ports) {
        let node = Node { allow, token, ports: ports.clone() };
        match network.trunc() {
            IpNet::V4(net) => self.v4.add(net.prefix_len(), u32::from(net.addr()), node),
            IpNet::V6(net) => self.v6.add(net.prefix_len(), u128::from(net.addr()), node),
        }
    }

    fn check(&self, address: IpAddr, port: u16) -> Verdict {
        let node = match address {
            IpAddr::V4(a) => {
                let bits = u32::from(a);
                self.v4.find(port, |length| bits & u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0))
            }
            IpAddr::V6(a) => {
                let bits = u128::from(a);
                self.v6
                    .find(port, |length| bits & u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0))
            }
        };
        match node {
            Some(node) => Verdict { allow: node.allow, token: node.token.clone() },
            None => Verdict { allow: self.default, token: None },
        }
    }
}

//------------ The lists every switch has ------------------------------------

fn v4(address: [u8; 4], length: u8) -> IpNet {
    IpNet::V4(Ipv4Net::new(Ipv4Addr::from(address), length).unwrap_or_default())
}

fn v6(address: Ipv6Addr, length: u8) -> IpNet {
    IpNet::V6(Ipv6Net::new(address, length).unwrap_or_default())
}

fn predefined(local: LocalNet) -> HashMap<String, List> {
    let link_local = v6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10);
    let all_v4 = v4([0, 0, 0, 0], 0);
    let all_v6 = v6(Ipv6Addr::UNSPECIFIED, 0);
    let rfc1918 = [v4([10, 0, 0, 0], 8), v4([172, 16, 0, 0], 12), v4([192, 168, 0, 0], 16)];
    let rfc6598 = [v4([100, 64, 0, 0], 10)];
    let not_public = [v4([0, 0, 0, 0], 8), v4([169, 254, 0, 0], 16)];
    let own: Vec<IpNet> = local.v4.map(IpNet::V4).into_iter().chain(local.v6.map(IpNet::V6)).collect();

    let mut lists = HashMap::new();
    let mut list = |name: &str, default: bool, nodes: &[(bool, &[IpNet])]| {
        let mut list = List::new(default);
        for (allow, networks) in nodes {
            for network in *networks {
                list.add(*network, *allow, None, &Ports::default());
            }
        }
        lists.insert(name.to_owned(), list);
    };
    let wan: [(bool, &[IpNet]); 3] = [(false, &not_public), (false, &rfc1918), (false, &rfc6598)];
    list("rfc6598.auto", false, &[(true, &rfc6598)]);
    list("rfc1918.auto", false, &[(true, &rfc1918), (true, &[link_local])]);
    list("wan.auto", true, &[wan[0], wan[1], wan[2], (false, &[link_local])]);
    list("wan_v4.auto", true, &[wan[0], wan[1], wan[2], (false, &[all_v6])]);
    list("wan_v6.auto", true, &[(false, &[all_v4, link_local])]);
    list("any_v4.auto", true, &[(false, &[all_v6])]);
    list("any_v6.auto", true, &[(false, &[all_v4])]);
    list("nat.auto", false, &[(false, &own), (true, &rfc1918), (true, &rfc6598)]);
    list("loopback.auto", false, &[(true, &[v4([127, 0, 0, 0], 8), v6(Ipv6Addr::LOCALHOST, 128)])]);
    list("localnet.auto", false, &[(true, &own)]);
    lists
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::Position;
    use crate::config::acl::{AclList, AclNode};

    fn local() -> LocalNet {
        LocalNet {
            v4: Some("192.168.4.4/24".parse().unwrap()),
            v6: Some("2001:db8:4::4/64".parse().unwrap()),
        }
    }

    fn at() -> Position {
        Position::new("acl.conf.xml", 1, 1)
    }

    fn list(name: &str, allow: bool, nodes: &[(&str, bool)]) -> AclList {
        let nodes = nodes
            .iter()
            .map(|(who, allow)| AclNode {
                allow: *allow,
                who: match parse_network(who) {
                    Ok(net) => Who::Networks(vec![net]),
                    Err(_) => Who::Domain((*who).to_owned()),
                },
                ports: Ports::default(),
                at: at(),
            })
            .collect();
        AclList { name: name.to_owned(), allow, nodes, at: at() }
    }

    fn users(domain: &str) -> Option<Vec<UserNetwork>> {
        (domain == "example.com").then(|| {
            vec![UserNetwork {
                network: "198.51.100.9/32".parse().unwrap(),
                token: "brian@example.com".into(),
            }]
        })
    }

    #[test]
    fn predefined_lists() {
        let acls = Acls::compile(&AclConf::default(), local(), users);
        for (name, address, want) in [
            ("rfc1918.auto", "10.1.2.3", true),
            ("rfc1918.auto", "172.31.255.1", true),
            ("rfc1918.auto", "172.32.0.1", false),
            ("rfc1918.auto", "fe80::1", true),
            ("rfc6598.auto", "100.127.0.1", true),
            ("rfc6598.auto", "100.128.0.1", false),
            ("nat.auto", "192.168.4.77", false),
            ("nat.auto", "192.168.5.77", true),
            ("nat.auto", "100.64.0.1", true),
            ("nat.auto", "8.8.8.8", false),
            ("localnet.auto", "192.168.4.77", true),
            ("localnet.auto", "192.168.5.77", false),
            ("localnet.auto", "2001:db8:4::99", true),
            ("loopback.auto", "127.1.2.3", true),
            ("loopback.auto", "::1", true),
            ("loopback.auto", "::2", false),
            ("wan.auto", "8.8.8.8", true),
            ("wan.auto", "10.0.0.1", false),
            ("wan.auto", "2001:db8::1", true),
            ("wan_v4.auto", "2001:db8::1", false),
            ("wan_v4.auto", "8.8.8.8", true),
            ("wan_v6.auto", "8.8.8.8", false),
            ("wan_v6.auto", "2001:db8::1", true),
            ("any_v4.auto", "10.0.0.1", true),
            ("any_v4.auto", "::1", false),
            ("any_v6.auto", "10.0.0.1", false),
            ("any_v6.auto", "::1", true),
            ("rfc1918.auto", "::ffff:10.1.2.3", true),
        ] {
            assert_eq!(acls.allows(name, address.parse().unwrap(), 0), want, "{name} {address}");
        }
    }

    #[test]
    fn unknown_lists_deny_and_networks_stand_for_lists() {
        let acls = Acls::compile(&AclConf::default(), local(), users);
        for (name, address, want) in [
            ("lan", "10.0.0.1", false),
            ("", "10.0.0.1", false),
            ("10.0.0.0/8", "10.0.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("192.0.2.0/24, 10.0.0.0/8", "10.0.0.1", true),
            ("10.0.0.1", "10.0.0.1", true),
            ("2001:db8::/32", "2001:db8::5", true),
            ("10.0.0.0/99", "10.0.0.1", false),
        ] {
            assert_eq!(acls.allows(name, address.parse().unwrap(), 0), want, "{name} {address}");
        }
        assert!(acls.knows("nat.auto") && acls.knows("10.0.0.0/8,::1/128"));
        assert!(!acls.knows("lan") && !acls.knows(""));
    }

    #[test]
    fn the_most_specific_wins_then_the_earliest() {
        let conf = AclConf {
            lists: vec![
                list("a", false, &[("10.0.0.0/24", true), ("10.0.0.7/32", false), ("10.0.0.0/24", false)]),
                list("b", true, &[("10.0.0.7/32", true), ("10.0.0.0/24", false)]),
                list("c", false, &[("0.0.0.0/0", true)]),
                list("d", false, &[("example.com", true), ("nowhere.example", true)]),
                list("nat.auto", true, &[]),
            ],
        };
        let acls = Acls::compile(&conf, local(), users);
        for (name, address, want) in [
            ("a", "10.0.0.1", true),
            ("a", "10.0.0.7", false),
            ("a", "10.0.1.1", false),
            ("b", "10.0.0.7", true),
            ("b", "10.0.0.8", false),
            ("b", "10.0.1.8", true),
            ("c", "10.0.1.8", true),
            ("c", "::1", false),
            ("nat.auto", "8.8.8.8", true),
        ] {
            assert_eq!(acls.allows(name, address.parse().unwrap(), 0), want, "{name} {address}");
        }
        let brian = acls.check("d", "198.51.100.9".parse().unwrap(), 5060);
        assert_eq!((brian.allow, brian.token.as_deref()), (true, Some("brian@example.com")));
        assert_eq!(acls.check("d", "198.51.100.10".parse().unwrap(), 5060), Verdict::DENY);
    }

    #[test]
    fn ports_of_one_network_are_tried_in_order() {
        let mut l = list("p", false, &[("10.0.0.0/24", true), ("10.0.0.0/24", false), ("10.0.0.0/16", true)]);
        l.nodes[0].ports.only = Some(5060);
        let acls = Acls::compile(&AclConf { lists: vec![l] }, local(), users);
        let check = |port| acls.allows("p", "10.0.0.1".parse().unwrap(), port);
        assert!(check(5060) && !check(5061) && check(0));
    }

    proptest! {
        /// The compiled list answers as FreeSWITCH's walk over all nodes does: newest first, `>=` on the bits.
        #[test]
        fn answers_as_the_plain_walk(
            default: bool,
            nodes in prop::collection::vec((0u8..4, 0u8..=32, any::<bool>()), 0..12),
            probe in 0u8..4,
        ) {
            let net = |a: u8, length: u8| Ipv4Net::new(Ipv4Addr::new(10, a, a, a), length).unwrap().trunc();
            let conf = AclConf { lists: vec![AclList {
                name: "x".into(),
                allow: default,
                nodes: nodes.iter().map(|(a, length, allow)| AclNode {
                    allow: *allow,
                    who: Who::Networks(vec![IpNet::V4(net(*a, *length))]),
                    ports: Ports::default(),
                    at: at(),
                }).collect(),
                at: at(),
            }]};
            let address = Ipv4Addr::new(10, probe, probe, probe);
            let (mut want, mut bits) = (default, 0);
            for (a, length, allow) in nodes.iter().rev() {
                if *length >= bits && net(*a, *length).contains(&address) {
                    (want, bits) = (*allow, *length);
                }
            }
            let acls = Acls::compile(&conf, local(), users);
            prop_assert_eq!(acls.allows("x", IpAddr::V4(address), 0), want);
        }
    }
}
