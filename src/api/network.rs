//! `acl`, `is_lan_addr`, `create_uuid`, `module_exists`.

use std::net::{IpAddr, Ipv4Addr};

use super::world::World;
use crate::config::acl::parse_network;
use crate::dialplan::separate;

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
