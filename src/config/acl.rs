//! `acl.conf`: the lists of networks as they are written. `net::acl` compiles them for look-ups.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

use super::directory::DirectoryConf;
use super::{Element, Position, Problem};

/// The lists of `acl.conf` in the order written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AclConf {
    /// `<list>` elements.
    pub lists: Vec<AclList>,
}

/// One `<list name= default=>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AclList {
    /// Its name; names are compared with case.
    pub name: String,
    /// What an address that no node matches gets. A missing `default` is allow, as in FreeSWITCH.
    pub allow: bool,
    /// Its nodes in the order written.
    pub nodes: Vec<AclNode>,
    /// Where it is written.
    pub at: Position,
}

/// One `<node>` of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AclNode {
    /// Allow or deny; a missing `type` is the list's default.
    pub allow: bool,
    /// Whom it is about.
    pub who: Who,
    /// Which source ports it is about.
    pub ports: Ports,
    /// Where it is written.
    pub at: Position,
}

/// Whom a node is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// `cidr` (a comma list) or `host` and `mask`.
    Networks(Vec<IpNet>),
    /// `domain`: the `cidr` of every user of that directory domain.
    Domain(String),
}

/// `port`, `ports`, `port-min`, `port-max` of a node. Empty: every port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ports {
    /// `port`.
    pub only: Option<u16>,
    /// `ports`, a comma list; when given the range below is not looked at.
    pub any_of: Vec<u16>,
    /// `port-min` and `port-max`, both inclusive.
    pub range: Option<(u16, u16)>,
}

impl Ports {
    /// True when a packet from `port` is meant; 0 stands for "not known" and always is.
    pub fn match_port(&self, port: u16) -> bool {
        if port == 0 {
            return true;
        }
        if self.only.is_some_and(|p| p != port) {
            return false;
        }
        if !self.any_of.is_empty() {
            return self.any_of.contains(&port);
        }
        self.range.is_none_or(|(low, high)| (low..=high).contains(&port))
    }
}

impl AclConf {
    /// Reads `<configuration name="acl.conf">`. A node that makes no sense is left out and reported.
    pub fn from_element(configuration: &Element, problems: &mut Vec<Problem>) -> AclConf {
        let mut conf = AclConf::default();
        let Some(lists) = configuration.child("network-lists") else { return conf };
        for element in lists.children_named("list") {
            let Some(name) = element.attr("name").filter(|n| !n.is_empty()) else {
                problems.push(Problem::error(&element.at, "<list> has no name").hint("add name=\"…\""));
                continue;
            };
            if let Some(earlier) = conf.lists.iter().find(|l| l.name == name) {
                problems.push(
                    Problem::warning(&element.at, format!("list '{name}' replaces the one of the same name"))
                        .hint(format!("the earlier one is at {}", earlier.at)),
                );
            }
            let allow = element.attr("default").is_none_or(|v| verdict(v, element, "default", problems));
            let mut list =
                AclList { name: name.to_owned(), allow, nodes: Vec::new(), at: element.at.clone() };
            for node in element.children_named("node") {
                list.nodes.extend(read_node(node, allow, problems));
            }
            conf.lists.retain(|l| l.name != name);
            conf.lists.push(list);
        }
        conf
    }

    /// Reports nodes that name a domain the directory does not have.
    pub fn examine(&self, directory: &DirectoryConf, problems: &mut Vec<Problem>) {
        for node in self.lists.iter().flat_map(|l| &l.nodes) {
            let Who::Domain(name) = &node.who else { continue };
            if !directory.domains.iter().any(|d| d.name.eq_ignore_ascii_case(name)) {
                problems.push(
                    Problem::warning(&node.at, format!("there is no domain '{name}' in the directory"))
                        .hint("the node matches nobody"),
                );
            }
        }
    }
}

fn read_node(node: &Element, default: bool, problems: &mut Vec<Problem>) -> Option<AclNode> {
    let allow = node.attr("type").map_or(default, |v| verdict(v, node, "type", problems));
    let who = if let Some(domain) = node.attr("domain") {
        Who::Domain(domain.to_owned())
    } else if let Some(cidr) = node.attr("cidr") {
        Who::Networks(read_networks(cidr, node.attr_at("cidr"), problems))
    } else if let (Some(host), Some(mask)) = (node.attr("host"), node.attr("mask")) {
        match host_and_mask(host, mask) {
            Ok(network) => Who::Networks(vec![network]),
            Err(why) => {
                problems.push(Problem::error(&node.at, why));
                return None;
            }
        }
    } else {
        problems.push(
            Problem::error(&node.at, "<node> names no address")
                .hint("add cidr=\"192.0.2.0/24\", host= with mask=, or domain="),
        );
        return None;
    };
    let mut port_of = |name: &str| {
        let text = node.attr(name)?;
        let port = text.trim().parse::<u16>().ok().filter(|p| *p > 0);
        if port.is_none() {
            problems.push(Problem::error(node.attr_at(name), format!("'{text}' is no port number")));
        }
        port
    };
    let only = port_of("port");
    let low = port_of("port-min");
    let high = port_of("port-max");
    let mut any_of = Vec::new();
    if let Some(list) = node.attr("ports") {
        for text in list.split(',').map(str::trim).filter(|t| !t.is_empty()) {
            match text.parse::<u16>() {
                Ok(port) if port > 0 => any_of.push(port),
                _ => problems
                    .push(Problem::error(node.attr_at("ports"), format!("'{text}' is no port number"))),
            }
        }
    }
    // One end alone is an empty range in FreeSWITCH (0 as the other end); here the other end is open.
    let range = (low.is_some() || high.is_some()).then(|| (low.unwrap_or(0), high.unwrap_or(u16::MAX)));
    Some(AclNode { allow, who, ports: Ports { only, any_of, range }, at: node.at.clone() })
}

/// `allow`, `true`, `yes`, … is true. Everything else is deny, as in FreeSWITCH; what is neither is reported.
fn verdict(text: &str, element: &Element, attribute: &str, problems: &mut Vec<Problem>) -> bool {
    let is = |words: &[&str]| words.iter().any(|w| w.eq_ignore_ascii_case(text.trim()));
    if is(&["allow", "true", "yes", "on", "enabled", "active", "t", "1"]) {
        return true;
    }
    if !is(&["deny", "false", "no", "off", "disabled", "inactive", "disallow", "f", "0"]) {
        problems.push(
            Problem::warning(element.attr_at(attribute), format!("'{text}' is taken as deny"))
                .hint("write allow or deny"),
        );
    }
    false
}

/// Reads a comma list of networks; what is none is reported and left out.
pub fn read_networks(text: &str, at: &Position, problems: &mut Vec<Problem>) -> Vec<IpNet> {
    let mut networks = Vec::new();
    for part in text.split(',').map(str::trim).filter(|p| !p.is_empty()) {
        match parse_network(part) {
            Ok(network) => networks.push(network),
            Err(why) => problems.push(Problem::error(at, why).hint("write address/bits, e.g. 192.0.2.0/24")),
        }
    }
    networks
}

/// `192.0.2.0/24`, `2001:db8::/32`, `::ffff:192.0.2.1/32` (taken as IPv4, as FreeSWITCH does) or a single address.
/// Bits set right of the mask are cleared.
pub fn parse_network(text: &str) -> Result<IpNet, String> {
    let text = match text.get(..7) {
        Some(mapped) if mapped.eq_ignore_ascii_case("::ffff:") && text.contains('.') => &text[7..],
        _ => text,
    };
    let network = match text.split_once('/') {
        Some(_) => text.parse::<IpNet>().map_err(|_| format!("'{text}' is no network"))?,
        None => {
            IpNet::from(text.parse::<IpAddr>().map_err(|_| format!("'{text}' is no address or network"))?)
        }
    };
    Ok(network.trunc())
}

fn host_and_mask(host: &str, mask: &str) -> Result<IpNet, String> {
    let host: Ipv4Addr = host.trim().parse().map_err(|_| format!("host '{host}' is no IPv4 address"))?;
    let bits = u32::from(mask.trim().parse::<Ipv4Addr>().map_err(|_| format!("'{mask}' is no mask"))?);
    let length = bits.leading_ones();
    if bits.count_ones() != length {
        return Err(format!("mask '{mask}' has holes"));
    }
    let network = ipnet::Ipv4Net::new(host, length as u8).map_err(|_| format!("'{mask}' is no mask"))?;
    Ok(IpNet::V4(network.trunc()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_read_with_latitude() {
        for (text, want) in [
            ("192.0.2.0/24", Some("192.0.2.0/24")),
            ("192.0.2.77/24", Some("192.0.2.0/24")),
            ("192.0.2.77", Some("192.0.2.77/32")),
            ("0.0.0.0/0", Some("0.0.0.0/0")),
            ("::ffff:192.0.2.1/32", Some("192.0.2.1/32")),
            ("2001:db8::1/32", Some("2001:db8::/32")),
            ("::1", Some("::1/128")),
            ("192.0.2.0/33", None),
            ("192.0.2/24", None),
            ("192.0.2.0/", None),
            ("localhost", None),
            ("", None),
            ("::fffé:1", None),
        ] {
            assert_eq!(parse_network(text).ok().map(|n| n.to_string()).as_deref(), want, "{text}");
        }
    }

    #[test]
    fn masks() {
        assert_eq!(host_and_mask("192.0.2.7", "255.255.255.0").unwrap().to_string(), "192.0.2.0/24");
        assert_eq!(host_and_mask("192.0.2.7", "0.0.0.0").unwrap().to_string(), "0.0.0.0/0");
        assert!(host_and_mask("192.0.2.7", "255.0.255.0").is_err());
        assert!(host_and_mask("::1", "255.0.0.0").is_err());
    }

    #[test]
    fn ports_follow_freeswitch() {
        let ports = |only, any_of: &[u16], range| Ports { only, any_of: any_of.to_vec(), range };
        for (ports, port, want) in [
            (ports(None, &[], None), 5060, true),
            (ports(Some(5060), &[], None), 5060, true),
            (ports(Some(5060), &[], None), 5061, false),
            (ports(Some(5060), &[], None), 0, true),
            (ports(None, &[1, 2], None), 2, true),
            (ports(None, &[1, 2], Some((3, 9))), 4, false),
            (ports(None, &[], Some((3, 9))), 9, true),
            (ports(None, &[], Some((3, 9))), 10, false),
        ] {
            assert_eq!(ports.match_port(port), want, "{ports:?} {port}");
        }
    }

    #[test]
    fn a_file_is_read_and_its_faults_named() {
        let text = r#"<configuration name="acl.conf"><network-lists>
<list name="lan" default="allow"><node type="deny" cidr="192.168.42.0/24"/><node cidr="10.0.0.1, 10.0.0.2/32"/></list>
<list name="domains" default="deny"><node type="allow" domain="d" ports="5060, 5061"/></list>
<list name="bare"><node type="deny" host="192.0.2.9" mask="255.255.255.0"/></list>
<list/>
<list name="lan" default="maybe">
<node type="allow"/>
<node type="perhaps" cidr="1.2.3.4/33"/>
<node type="allow" cidr="1.2.3.4/3" port="70000"/>
<node type="allow" host="a" mask="b"/>
</list>
</network-lists></configuration>"#;
        let loaded = crate::config::parse("acl.xml", text, &crate::config::Options::new("conf"));
        let mut problems = Vec::new();
        let conf = AclConf::from_element(&loaded.root, &mut problems);
        let names: Vec<_> = conf.lists.iter().map(|l| (l.name.as_str(), l.allow, l.nodes.len())).collect();
        assert_eq!(names, [("domains", false, 1), ("bare", true, 1), ("lan", false, 2)]);
        assert_eq!(conf.lists[0].nodes[0].who, Who::Domain("d".into()));
        assert_eq!(conf.lists[0].nodes[0].ports.any_of, [5060, 5061]);
        assert_eq!(conf.lists[1].nodes[0].who, Who::Networks(vec!["192.0.2.0/24".parse().unwrap()]));
        let said: Vec<_> = problems.iter().map(|p| format!("{}: {}", p.at.line, p.message)).collect();
        assert_eq!(
            said,
            [
                "5: <list> has no name",
                "6: list 'lan' replaces the one of the same name",
                "6: 'maybe' is taken as deny",
                "7: <node> names no address",
                "8: 'perhaps' is taken as deny",
                "8: '1.2.3.4/33' is no network",
                "9: '70000' is no port number",
                "10: host 'a' is no IPv4 address",
            ]
        );
    }
}
