//! `acl`, `is_lan_addr`, `interface_ip`, and what the machine is: `create_uuid`, `hostname`, `switchname`,
//! `module_exists`, `file_exists`.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use super::world::World;
use crate::config::acl::parse_network;
use crate::config::configuration;
use crate::dialplan::separate;
use crate::net::interface_address;

/// What begins the addresses of a local network, as FreeSWITCH lists them, 1.x and 2.x included.
const LAN: &[&str] = &["10.", "192.168.", "127.", "255.", "0.", "1.", "2.", "192.0.2.", "169.254."];

/// `acl ADDRESS LIST`: a list of acl.conf, or networks `10.0.0.0/8,192.168.0.0/16`.
pub fn acl(world: &dyn World, text: &str) -> String {
    let items = separate(text, ' ', 3);
    let [address, list, ..] = items.as_slice() else { return "false".to_owned() };
    // FreeSWITCH looks an unreadable address up as 0.0.0.0.
    let address = address.parse::<IpAddr>().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)).to_canonical();
    let allowed = world.acl(list, address).unwrap_or_else(|| {
        list.contains('/')
            && list
                .split(',')
                .any(|n| parse_network(n.trim()).is_ok_and(|network| network.contains(&address)))
    });
    allowed.to_string()
}

/// `is_lan_addr ADDRESS`.
pub fn is_lan_addr(_: &dyn World, address: &str) -> String {
    let second = || address.strip_prefix("172.").and_then(|rest| rest.split('.').next()?.parse::<u8>().ok());
    let lan = LAN.iter().any(|prefix| address.starts_with(prefix))
        || second().is_some_and(|second| (16..=31).contains(&second));
    lan.to_string()
}

/// `create_uuid`.
pub fn create_uuid(world: &dyn World, _: &str) -> String {
    world.create_uuid()
}

/// `module_exists NAME`.
pub fn module_exists(world: &dyn World, name: &str) -> String {
    if name.is_empty() { String::new() } else { world.module_exists(name).to_string() }
}

/// `interface_ip auto|ipv4|ipv6 NAME`: the first address of an interface.
pub fn interface_ip(_: &dyn World, text: &str) -> String {
    let items = separate(text, ' ', 3);
    let items: Vec<&str> = items.iter().map(String::as_str).collect();
    let found = match items.as_slice() {
        [family, name, ..] if family.eq_ignore_ascii_case("ipv4") => interface_address(name, Some(true)),
        [family, name, ..] if family.eq_ignore_ascii_case("ipv6") => interface_address(name, Some(false)),
        [family, name, ..] if family.eq_ignore_ascii_case("auto") => interface_address(name, None),
        _ => return "USAGE: interface_ip [auto|ipv4|ipv6] <ifname>\n".to_owned(),
    };
    found.map(|ip| ip.to_string()).unwrap_or_default()
}

/// `hostname`.
pub fn hostname(world: &dyn World, _: &str) -> String {
    world.globals().get("hostname").map(|name| name.to_string()).unwrap_or_default()
}

/// `switchname`: the host's name unless switch.conf has another.
pub fn switchname(world: &dyn World, text: &str) -> String {
    let named = world.tree().and_then(|tree| {
        let settings =
            configuration(&tree, "switch.conf")?.child("settings")?.find("param", "name", "switchname")?;
        settings.attr("value").filter(|name| !name.is_empty()).map(str::to_owned)
    });
    named.unwrap_or_else(|| hostname(world, text))
}

/// `file_exists PATH`. A path that came from the wire is not looked at.
pub fn file_exists(_: &dyn World, path: &str, wire: bool) -> String {
    if wire {
        tracing::warn!("file_exists {path}: the path came from the wire, which counts as no file");
    }
    (!wire && !path.is_empty() && Path::new(path).exists()).to_string()
}
