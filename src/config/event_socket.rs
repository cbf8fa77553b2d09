//! `event_socket.conf`: where the event socket listens and who may use it (`mod_event_socket.c`).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::element::{Element, configuration};
use super::modules::ModulesConf;
use super::position::Position;
use super::problem::Problem;
use super::suggest::nearest;
use super::value::Value;

/// The password everybody knows.
pub const DEFAULT_PASSWORD: &str = "ClueCon";

/// The typed view of `event_socket.conf`, with FreeSWITCH's defaults for what is absent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventSocketConf {
    /// `listen-ip` and `listen-port`. `::` takes IPv4, too.
    pub listen: SocketAddr,
    /// `password`.
    pub password: String,
    /// `apply-inbound-acl`: a peer must pass each; with none only loopback may connect.
    pub acls: Vec<(String, Position)>,
    /// `allow-default-password`: the password everybody knows may be used from elsewhere, too. Tandem's own.
    pub allow_default_password: bool,
    /// `stop-on-bind-error`: without the socket the switch does not start.
    pub stop_on_bind_error: bool,
    /// `max-connections`: how many clients there may be at a time. Tandem's own.
    pub max_connections: u32,
}

impl Default for EventSocketConf {
    fn default() -> Self {
        EventSocketConf {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8021),
            password: DEFAULT_PASSWORD.to_owned(),
            acls: Vec::new(),
            allow_default_password: false,
            stop_on_bind_error: false,
            max_connections: 1024,
        }
    }
}

/// Parameters that have no meaning here.
const MEANINGLESS: &[&str] = &["debug", "nat-map"];

const KNOWN: &[&str] = &[
    "allow-default-password",
    "apply-inbound-acl",
    "listen-ip",
    "listen-port",
    "max-connections",
    "password",
    "stop-on-bind-error",
];

impl EventSocketConf {
    /// Reads `event_socket.conf` out of the tree; `None` when `modules.conf` does not load mod_event_socket.
    pub fn read(
        root: &Element,
        modules: &ModulesConf,
        problems: &mut Vec<Problem>,
    ) -> Option<EventSocketConf> {
        if !modules.loads("mod_event_socket") {
            return None;
        }
        let mut conf = EventSocketConf::default();
        let element = configuration(root, "event_socket.conf");
        let settings = element.and_then(|element| element.child("settings"));
        for (_, _, param) in settings.into_iter().flat_map(|settings| settings.params()) {
            conf.apply(param, problems);
        }
        let at = settings.map_or(&root.at, |settings| {
            settings.find("param", "name", "password").map_or(&settings.at, |param| param.attr_at("value"))
        });
        if conf.password.is_empty() {
            problems.push(
                Problem::error(at, "the event socket has an empty password")
                    .hint("write a password of your own into event_socket.conf.xml"),
            );
        } else if conf.password == DEFAULT_PASSWORD {
            let whom = if conf.allow_default_password {
                "everybody its access lists let in may control this switch"
            } else {
                "only this machine itself may connect"
            };
            problems.push(
                Problem::warning(
                    at,
                    format!("the event socket has the password that everybody knows: {whom}"),
                )
                .hint("write a password of your own into event_socket.conf.xml"),
            );
        }
        Some(conf)
    }

    fn apply(&mut self, param: &Element, problems: &mut Vec<Problem>) {
        let mut value = Value::of(param, problems);
        match value.name.to_ascii_lowercase().as_str() {
            "listen-ip" => match value.text.parse::<IpAddr>() {
                Ok(ip) => self.listen.set_ip(ip),
                Err(_) => value.wrong(
                    format!("listen-ip: `{}` is no address", value.text),
                    "write an address of this machine, 0.0.0.0 or ::",
                ),
            },
            "listen-port" => {
                let mut port = self.listen.port();
                value.number(0..=65535, &mut port);
                self.listen.set_port(port);
            }
            "password" => self.password = value.text.to_owned(),
            "apply-inbound-acl" => self.acls.push((value.text.to_owned(), value.at.clone())),
            "allow-default-password" => value.flag(&mut self.allow_default_password),
            "stop-on-bind-error" => value.flag(&mut self.stop_on_bind_error),
            "max-connections" => value.number(1..=16_384, &mut self.max_connections),
            other if MEANINGLESS.contains(&other) => {}
            other => {
                let problem = Problem::warning(
                    param.attr_at("name"),
                    format!("event_socket.conf has no parameter {other}"),
                );
                problems.push(match nearest(other, KNOWN.iter().copied()) {
                    Some(near) => problem.hint(format!("did you mean {near}?")),
                    None => problem,
                });
            }
        }
    }
}
