//! The typed view of a `<gateway>`: a carrier we register with, or a peer we only call.
//!
//! Defaults and meanings are those of `parse_gateways` in FreeSWITCH's `sofia.c`. A gateway that cannot work is left
//! out with a warning, as there; the profile runs without it.

use crate::config::element::{Element, section};
use crate::config::position::Position;
use crate::config::problem::Problem;
use crate::config::suggest::nearest;
use crate::config::value::Value;
use crate::sip::{Transport, Uri};

/// The host of From towards a gateway (`from-domain`).
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum FromDomain {
    /// Absent: the proxy.
    #[default]
    Proxy,
    /// This host, with its port when one is written.
    Host(String),
    /// `auto-aleg-full`: calls show the whole From of the leg that calls.
    AlegFull,
    /// `auto-aleg-domain`: calls show the host of that From.
    AlegDomain,
}

/// `ping` and what belongs to it: OPTIONS that tell whether the far end is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ping {
    /// `ping`: seconds from one to the next, at least 5.
    pub every: u32,
    /// `ping-min`: with so many points the gateway is up.
    pub min: i32,
    /// `ping-max`: it never has more points than this.
    pub max: i32,
    /// `contact-in-ping`: with our Contact.
    pub contact: bool,
    /// `ping-user-agent`: their User-Agent.
    pub user_agent: Option<String>,
    /// `ping-monitoring`: an event for each answer.
    pub monitoring: bool,
}

/// `<variable name= value= direction=>` of a gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayVariable {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// Set on calls from the gateway.
    pub inbound: bool,
    /// Set on calls to the gateway.
    pub outbound: bool,
}

/// A `<gateway>`.
#[derive(Clone, Debug, PartialEq)]
pub struct GatewayConf {
    /// Its name.
    pub name: String,
    /// Where it is written.
    pub at: Position,
    /// `register`: log in there. Otherwise it is only called.
    pub register: bool,
    /// `username`.
    pub username: String,
    /// `auth-username`: the name in the digest; the username unless said.
    pub auth_username: String,
    /// `password`.
    pub password: String,
    /// `proxy`: where calls go and whom we register with.
    pub proxy: Uri,
    /// `register-proxy`: where REGISTER and OPTIONS are sent instead.
    pub register_proxy: Option<Uri>,
    /// `outbound-proxy`: where INVITEs are sent instead.
    pub outbound_proxy: Option<Uri>,
    /// `register-transport`; `None` leaves it to the proxy's URI and DNS.
    pub transport: Option<Transport>,
    /// `from-user`.
    pub from_user: String,
    /// `from-domain`.
    pub from_domain: FromDomain,
    /// `caller-id-in-from`: From carries the caller's number instead of ours.
    pub caller_id_in_from: bool,
    /// `extension`: what inbound calls to our Contact ask the dialplan for; the username unless said.
    pub extension: Option<String>,
    /// `extension-in-contact`: our Contact is the extension instead of `gw+NAME`.
    pub extension_in_contact: bool,
    /// `context` of inbound calls; the profile's unless said.
    pub context: Option<String>,
    /// `contact-params`, without a leading semicolon.
    pub contact_params: String,
    /// `contact-host`; `sip-ip` stands for the profile's own address.
    pub contact_host: Option<String>,
    /// `destination-prefix`: put before every number.
    pub destination_prefix: String,
    /// `distinct-to`: REGISTER's To is the username at the proxy, whatever From is.
    pub distinct_to: bool,
    /// `rfc-5626` with `reg-id`: the Contact carries `reg-id` and `+sip.instance`.
    pub reg_id: Option<String>,
    /// `expire-seconds` we ask for.
    pub expire_seconds: u32,
    /// `retry-seconds` after a failure, times the failures in a row.
    pub retry_seconds: u32,
    /// `908-retry-seconds`: after no answer, instead.
    pub fail_908_retry_seconds: Option<u32>,
    /// `timeout-seconds`: a REGISTER without a final answer has failed after this.
    pub timeout_seconds: u32,
    /// `ping`.
    pub ping: Option<Ping>,
    /// `gw-auth-acl`: who may challenge us; without it only the hosts named above.
    pub gw_auth_acl: Option<String>,
    /// `<variables>`.
    pub variables: Vec<GatewayVariable>,
}

/// Gateway parameters FreeSWITCH knows. Case counts in them.
const PARAMS: &[&str] = &[
    "908-retry-seconds",
    "auth-username",
    "caller-id-in-from",
    "contact-host",
    "contact-in-ping",
    "contact-params",
    "context",
    "destination-prefix",
    "distinct-to",
    "expire-seconds",
    "extension",
    "extension-in-contact",
    "from-domain",
    "from-user",
    "gw-auth-acl",
    "outbound-proxy",
    "password",
    "ping",
    "ping-max",
    "ping-min",
    "ping-monitoring",
    "ping-user-agent",
    "proxy",
    "realm",
    "reg-id",
    "register",
    "register-proxy",
    "register-transport",
    "retry-seconds",
    "retry_seconds",
    "rfc-5626",
    "scheme",
    "timeout-seconds",
    "username",
];

/// What is written, before one parameter is seen beside the others.
#[derive(Default)]
struct Written {
    register: Option<bool>,
    realm: Option<String>,
    username: Option<String>,
    auth_username: Option<String>,
    password: Option<String>,
    proxy: Option<String>,
    register_proxy: Option<String>,
    outbound_proxy: Option<String>,
    from_user: Option<String>,
    from_domain: Option<String>,
    transport: Option<Transport>,
    rfc_5626: bool,
    reg_id: Option<String>,
    ping: u32,
    unusable: bool,
}

impl GatewayConf {
    /// Reads `<gateway>`; `None`, reported, when it cannot be used.
    pub(super) fn read(element: &Element, problems: &mut Vec<Problem>) -> Option<GatewayConf> {
        let name = name(element, problems)?;
        let mut conf = GatewayConf {
            name: name.to_owned(),
            at: element.at.clone(),
            register: true,
            username: String::new(),
            auth_username: String::new(),
            password: String::new(),
            proxy: Uri::sip(None, "invalid", None),
            register_proxy: None,
            outbound_proxy: None,
            transport: None,
            from_user: String::new(),
            from_domain: FromDomain::Proxy,
            caller_id_in_from: false,
            extension: None,
            extension_in_contact: false,
            context: None,
            contact_params: String::new(),
            contact_host: None,
            destination_prefix: String::new(),
            distinct_to: false,
            reg_id: None,
            expire_seconds: 3600,
            retry_seconds: 30,
            fail_908_retry_seconds: None,
            timeout_seconds: 60,
            ping: None,
            gw_auth_acl: None,
            variables: variables(element, problems),
        };
        parts(element, name, problems);
        let mut ping = Ping { every: 0, min: 1, max: 1, contact: false, user_agent: None, monitoring: false };
        let mut written = Written::default();
        let params = element.child("params").unwrap_or(element);
        for (param, _, at) in params.params() {
            let mut value = Value::of(at, problems);
            let known = written.take(param, &mut value)
                || conf.take(param, &mut value)
                || take_ping(&mut ping, &mut written, param, &mut value);
            if !known {
                unknown(param, at, problems);
            }
        }
        if written.ping > 0 {
            conf.ping = Some(Ping { every: written.ping, ..ping });
        }
        conf.settle(written, problems)
    }

    /// True when nothing but the place it is written at differs.
    pub fn is_same(&self, other: &GatewayConf) -> bool {
        self.name == other.name && self.differences(other).is_empty()
    }

    /// The parameters that differ, by name.
    pub fn differences(&self, other: &GatewayConf) -> Vec<&'static str> {
        let uri = |uri: &Option<Uri>| uri.as_ref().map(Uri::to_string);
        let all = [
            ("register", self.register != other.register),
            ("username", self.username != other.username),
            ("auth-username", self.auth_username != other.auth_username),
            ("password", self.password != other.password),
            ("proxy", self.proxy.as_str() != other.proxy.as_str()),
            ("register-proxy", uri(&self.register_proxy) != uri(&other.register_proxy)),
            ("outbound-proxy", uri(&self.outbound_proxy) != uri(&other.outbound_proxy)),
            ("register-transport", self.transport != other.transport),
            ("from-user", self.from_user != other.from_user),
            ("from-domain", self.from_domain != other.from_domain),
            ("caller-id-in-from", self.caller_id_in_from != other.caller_id_in_from),
            ("extension", self.extension != other.extension),
            ("extension-in-contact", self.extension_in_contact != other.extension_in_contact),
            ("context", self.context != other.context),
            ("contact-params", self.contact_params != other.contact_params),
            ("contact-host", self.contact_host != other.contact_host),
            ("destination-prefix", self.destination_prefix != other.destination_prefix),
            ("distinct-to", self.distinct_to != other.distinct_to),
            ("reg-id", self.reg_id != other.reg_id),
            ("expire-seconds", self.expire_seconds != other.expire_seconds),
            ("retry-seconds", self.retry_seconds != other.retry_seconds),
            ("908-retry-seconds", self.fail_908_retry_seconds != other.fail_908_retry_seconds),
            ("timeout-seconds", self.timeout_seconds != other.timeout_seconds),
            ("ping", self.ping != other.ping),
            ("gw-auth-acl", self.gw_auth_acl != other.gw_auth_acl),
            ("variables", self.variables != other.variables),
        ];
        all.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
    }

    /// True when the far end sees the same registration: it may stay while the rest changes.
    pub fn registers_alike(&self, other: &GatewayConf) -> bool {
        const HERE: [&str; 12] = [
            "outbound-proxy",
            "caller-id-in-from",
            "context",
            "destination-prefix",
            "expire-seconds",
            "retry-seconds",
            "908-retry-seconds",
            "timeout-seconds",
            "ping",
            "gw-auth-acl",
            "variables",
            "extension",
        ];
        let shown = self.extension_in_contact && self.extension != other.extension;
        !shown && self.differences(other).iter().all(|name| HERE.contains(name))
    }

    /// Our extension for calls to `gw+NAME`.
    pub fn contact_extension(&self) -> &str {
        self.extension.as_deref().unwrap_or(&self.username)
    }

    /// Parameters that stand for themselves.
    fn take(&mut self, param: &str, value: &mut Value<'_>) -> bool {
        match param {
            "caller-id-in-from" => value.flag(&mut self.caller_id_in_from),
            "extension" => value.text(&mut self.extension),
            "extension-in-contact" => value.flag(&mut self.extension_in_contact),
            "context" => value.text(&mut self.context),
            "contact-host" => value.text(&mut self.contact_host),
            "contact-params" => self.contact_params = value.text.trim_start_matches(';').to_owned(),
            "destination-prefix" => self.destination_prefix = value.text.to_owned(),
            "distinct-to" => value.flag(&mut self.distinct_to),
            "expire-seconds" => self.expire_seconds = at_least_five(value, 3600),
            "retry-seconds" | "retry_seconds" => self.retry_seconds = at_least_five(value, 30),
            "timeout-seconds" => self.timeout_seconds = at_least_five(value, 60),
            "908-retry-seconds" => self.fail_908_retry_seconds = Some(at_least_five(value, 30)),
            "gw-auth-acl" => value.text(&mut self.gw_auth_acl),
            _ => return false,
        }
        true
    }

    /// What one parameter is in the light of the others.
    fn settle(mut self, written: Written, problems: &mut Vec<Problem>) -> Option<GatewayConf> {
        let left_out = |at: &Position, why: String, hint: &str| {
            Problem::warning(at, format!("gateway {} is left out: {why}", self.name)).hint(hint)
        };
        self.register = written.register.unwrap_or(true);
        if self.register && written.username.is_none() {
            let why = "it is to register and has no username".to_owned();
            problems.push(left_out(
                &self.at,
                why,
                "add a username, or <param name=\"register\" value=\"false\"/>",
            ));
            return None;
        }
        if self.register && written.password.is_none() {
            let why = "it is to register and has no password".to_owned();
            problems.push(left_out(
                &self.at,
                why,
                "add a password, or <param name=\"register\" value=\"false\"/>",
            ));
            return None;
        }
        if written.unusable {
            return None; // reported where it stands
        }
        let realm = written.realm.or_else(|| written.proxy.clone()).unwrap_or_else(|| self.name.clone());
        let proxy = written.proxy.unwrap_or(realm);
        let uri = |text: &str| {
            let lower = text.to_ascii_lowercase();
            let whole = lower.starts_with("sip:") || lower.starts_with("sips:");
            let text = if whole { text.to_owned() } else { format!("sip:{text}") };
            text.parse::<Uri>().ok().filter(|uri| uri.is_sip() && !uri.host().is_empty())
        };
        let Some(proxy_uri) = uri(&proxy) else {
            let why = format!("its proxy `{proxy}` is no address");
            problems.push(left_out(&self.at, why, "write a host, host:port or sip:host;transport=tcp"));
            return None;
        };
        for (what, text, into) in [
            ("register-proxy", &written.register_proxy, &mut self.register_proxy),
            ("outbound-proxy", &written.outbound_proxy, &mut self.outbound_proxy),
        ] {
            let Some(text) = text else { continue };
            *into = uri(text);
            if into.is_none() {
                let message = format!("gateway {} is left out: its {what} `{text}` is no address", self.name);
                problems.push(
                    Problem::warning(&self.at, message)
                        .hint("write a host, host:port or sip:host;transport=tcp"),
                );
                return None;
            }
        }
        self.proxy = proxy_uri;
        self.transport = written.transport;
        self.username = written.username.unwrap_or_else(|| "FreeSWITCH".to_owned());
        self.auth_username = written.auth_username.unwrap_or_else(|| self.username.clone());
        self.password = written.password.unwrap_or_default();
        self.from_user = written.from_user.unwrap_or_else(|| self.username.clone());
        self.from_domain = match written.from_domain {
            None => FromDomain::Proxy,
            Some(text) if text.eq_ignore_ascii_case("auto-aleg-full") => FromDomain::AlegFull,
            Some(text) if text.eq_ignore_ascii_case("auto-aleg-domain") => FromDomain::AlegDomain,
            Some(text) => FromDomain::Host(text),
        };
        self.reg_id = written.rfc_5626.then(|| written.reg_id.unwrap_or_else(|| "1".to_owned()));
        Some(self)
    }
}

impl Written {
    /// Parameters that mean something only beside others.
    fn take(&mut self, param: &str, value: &mut Value<'_>) -> bool {
        match param {
            "register" => self.register = Some(value.is_on()),
            "realm" => value.text(&mut self.realm),
            "username" => value.text(&mut self.username),
            "auth-username" => value.text(&mut self.auth_username),
            "password" => value.text(&mut self.password),
            "proxy" => value.text(&mut self.proxy),
            "register-proxy" => value.text(&mut self.register_proxy),
            "outbound-proxy" => value.text(&mut self.outbound_proxy),
            "from-user" => value.text(&mut self.from_user),
            "from-domain" => value.text(&mut self.from_domain),
            "rfc-5626" => self.rfc_5626 = value.is_on(),
            "reg-id" => value.text(&mut self.reg_id),
            "register-transport" => match Transport::from_name(value.text) {
                Some(transport @ (Transport::Udp | Transport::Tcp)) => self.transport = Some(transport),
                Some(other) => {
                    self.unusable = true;
                    value.doubt(
                        format!("the gateway is left out: SIP over {other} is not provided yet"),
                        "write udp or tcp",
                    );
                }
                None => {
                    self.unusable = true;
                    value.doubt(
                        format!("the gateway is left out: there is no transport `{}`", value.text),
                        "write udp or tcp",
                    );
                }
            },
            "scheme" => {
                if !value.text.eq_ignore_ascii_case("Digest") && !value.text.is_empty() {
                    value.doubt(format!("scheme is `{}`; Digest is used", value.text), "remove the line");
                }
            }
            _ => return false,
        }
        true
    }
}

fn take_ping(ping: &mut Ping, written: &mut Written, param: &str, value: &mut Value<'_>) -> bool {
    match param {
        "ping" => match value.text.parse::<u32>() {
            Ok(0) => {}
            Ok(seconds) if seconds >= 5 => written.ping = seconds,
            _ => value.doubt(
                format!("ping is `{}`, so the gateway is not pinged", value.text),
                "write a number of seconds, 5 or more",
            ),
        },
        "ping-min" => ping.min = count(value),
        "ping-max" => ping.max = count(value),
        "ping-user-agent" => value.text(&mut ping.user_agent),
        "ping-monitoring" => value.flag(&mut ping.monitoring),
        "contact-in-ping" => value.flag(&mut ping.contact),
        _ => return false,
    }
    true
}

fn count(value: &mut Value<'_>) -> i32 {
    match value.text.parse::<i32>() {
        Ok(number) if (0..=1000).contains(&number) => number,
        _ => {
            value.doubt(
                format!("{} is `{}`; 1 is taken", value.name, value.text),
                "write a number from 0 to 1000",
            );
            1
        }
    }
}

/// Seconds; less than 5, or no number, counts as `usual`, as in FreeSWITCH.
fn at_least_five(value: &mut Value<'_>, usual: u32) -> u32 {
    match value.text.parse::<u32>() {
        Ok(seconds) if (5..=31_536_000).contains(&seconds) => seconds,
        _ => {
            value.doubt(
                format!("{} is `{}`; {usual} is taken", value.name, value.text),
                "write a number of seconds, 5 or more",
            );
            usual
        }
    }
}

fn name<'a>(element: &'a Element, problems: &mut Vec<Problem>) -> Option<&'a str> {
    let name = element.attr("name").unwrap_or("").trim();
    if name.is_empty() {
        problems.push(
            Problem::error(&element.at, "<gateway> has no name").hint("write <gateway name=\"provider\">"),
        );
        return None;
    }
    if !name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')) {
        problems.push(
            Problem::error(element.attr_at("name"), format!("`{name}` is no name for a gateway"))
                .hint("letters, digits, dot, dash and underscore are allowed"),
        );
        return None;
    }
    Some(name)
}

fn unknown(param: &str, at: &Element, problems: &mut Vec<Problem>) {
    if param == "cid-type" {
        problems.push(
            Problem::warning(at.attr_at("name"), "nobody reads cid-type of a gateway")
                .hint("write <variables><variable name=\"sip_cid_type\" value=\"pid\" direction=\"outbound\"/></variables>"),
        );
        return;
    }
    let problem = Problem::warning(at.attr_at("name"), format!("a gateway has no parameter {param}"));
    problems.push(match nearest(param, PARAMS.iter().copied()) {
        Some(near) => problem.hint(format!("did you mean {near}? (case counts here)")),
        None => problem.hint("it does nothing; remove it"),
    });
}

/// Says what is not read of a gateway.
fn parts(element: &Element, name: &str, problems: &mut Vec<Problem>) {
    for part in &element.children {
        match &*part.name {
            "params" | "param" | "variables" | "variable" => {}
            "subscriptions" => {
                for subscription in part.children_named("subscription") {
                    let event = subscription.attr("event").unwrap_or("");
                    problems.push(
                        Problem::warning(
                            &subscription.at,
                            format!("gateway {name}: subscriptions are not provided yet: nobody is asked for {event}"),
                        )
                        .hint("calls and the registration go on without it"),
                    );
                }
            }
            other => {
                let problem = Problem::warning(&part.at, format!("<{other}> means nothing in a <gateway>"));
                problems.push(match nearest(other, ["params", "param", "variables", "variable"]) {
                    Some(near) => problem.hint(format!("did you mean <{near}>?")),
                    None => problem.hint("remove it"),
                });
            }
        }
    }
    let split = |part: &str, inner: &str| element.child(part).and(element.children_named(inner).next());
    for stray in [split("params", "param"), split("variables", "variable")].into_iter().flatten() {
        let tag = &stray.name;
        problems.push(
            Problem::warning(&stray.at, format!("this <{tag}> is not read: the gateway has <{tag}s>"))
                .hint(format!("put it into <{tag}s>")),
        );
    }
}

fn variables(element: &Element, problems: &mut Vec<Problem>) -> Vec<GatewayVariable> {
    let place = element.child("variables").unwrap_or(element);
    let mut read = Vec::new();
    for (name, value, at) in place.variables() {
        let direction = at.attr("direction").unwrap_or("");
        let (inbound, outbound) = match direction.to_ascii_lowercase().as_str() {
            "" => (true, true),
            "inbound" => (true, false),
            "outbound" => (false, true),
            _ => {
                problems.push(
                    Problem::warning(
                        at.attr_at("direction"),
                        format!("variable {name} is never set: there is no direction `{direction}`"),
                    )
                    .hint("write inbound or outbound, or leave it out for both"),
                );
                continue;
            }
        };
        read.push(GatewayVariable { name: name.to_owned(), value: value.to_owned(), inbound, outbound });
    }
    read
}

/// The `<gateways>` of the users of `domain` (`all` for every domain).
pub(super) fn of_users<'a>(root: &'a Element, domain: &str) -> Vec<&'a Element> {
    let mut found = Vec::new();
    let Some(directory) = section(root, "directory") else { return found };
    for element in directory.children_named("domain") {
        let wanted = element
            .attr("name")
            .is_some_and(|name| domain.eq_ignore_ascii_case("all") || name.eq_ignore_ascii_case(domain));
        if !wanted {
            continue;
        }
        let groups = element.children_named("groups").flat_map(|g| g.children_named("group"));
        for place in std::iter::once(element).chain(groups) {
            let direct = place.children_named("user");
            let listed = place.children_named("users").flat_map(|u| u.children_named("user"));
            for user in direct.chain(listed) {
                let gateways = user.children_named("gateways");
                found.extend(gateways.flat_map(|g| g.children_named("gateway")));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests;
