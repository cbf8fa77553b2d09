use super::*;
use crate::config::{self, Options};

/// A gateway, and what is said about it.
fn read(inside: &str) -> (Option<GatewayConf>, Vec<String>) {
    let text = format!("<document><gateway name=\"carrier\">{inside}</gateway></document>");
    let loaded = config::parse("x.xml", &text, &Options::new("/nowhere"));
    let mut problems = Vec::new();
    let element = loaded.root.child("gateway").expect("a gateway");
    let read = GatewayConf::read(element, &mut problems);
    (read, problems.iter().map(ToString::to_string).collect())
}

fn params(pairs: &[(&str, &str)]) -> String {
    pairs.iter().map(|(n, v)| format!("<param name=\"{n}\" value=\"{v}\"/>")).collect()
}

#[test]
fn defaults_are_freeswitchs() {
    let (conf, problems) = read(&params(&[("username", "u"), ("password", "p")]));
    let conf = conf.expect("usable");
    assert!(problems.is_empty(), "{problems:?}");
    assert!(conf.register);
    assert_eq!(conf.proxy.as_str(), "sip:carrier", "the name stands for the realm, the realm for the proxy");
    assert_eq!((conf.from_user.as_str(), conf.auth_username.as_str()), ("u", "u"));
    assert_eq!(conf.contact_extension(), "u");
    assert_eq!((conf.expire_seconds, conf.retry_seconds, conf.timeout_seconds), (3600, 30, 60));
    assert_eq!((conf.ping.as_ref(), conf.transport), (None, None));
    let (conf, _) = read(&params(&[("register", "false"), ("realm", "r.example"), ("extension", "17")]));
    let conf = conf.expect("usable");
    assert_eq!((conf.username.as_str(), conf.proxy.as_str()), ("FreeSWITCH", "sip:r.example"));
    assert_eq!(conf.contact_extension(), "17");
}

#[test]
fn every_parameter_has_its_place() {
    let all = [
        ("register", "true"),
        ("scheme", "Digest"),
        ("realm", "r"),
        ("username", "u"),
        ("extension-in-contact", "true"),
        ("auth-username", "au"),
        ("password", "p"),
        ("caller-id-in-from", "true"),
        ("extension", "e"),
        ("contact-in-ping", "true"),
        ("ping", "25"),
        ("ping-max", "3"),
        ("ping-min", "2"),
        ("ping-user-agent", "pinger"),
        ("ping-monitoring", "true"),
        ("proxy", "sip:p.example:5070"),
        ("context", "c"),
        ("expire-seconds", "600"),
        ("908-retry-seconds", "7"),
        ("retry_seconds", "8"),
        ("timeout-seconds", "9"),
        ("from-user", "fu"),
        ("from-domain", "fd.example"),
        ("contact-host", "sip-ip"),
        ("register-proxy", "rp.example;transport=tcp"),
        ("outbound-proxy", "op.example"),
        ("distinct-to", "true"),
        ("destination-prefix", "00"),
        ("rfc-5626", "true"),
        ("reg-id", "4"),
        ("contact-params", ";a=b"),
        ("register-transport", "tcp"),
        ("gw-auth-acl", "carriers"),
    ];
    assert!(PARAMS.iter().all(|p| all.iter().any(|(n, _)| n == p) || *p == "retry-seconds"), "all are tried");
    let (conf, problems) = read(&params(&all));
    assert!(problems.is_empty(), "{problems:?}");
    let conf = conf.expect("usable");
    let ping = Ping {
        every: 25,
        min: 2,
        max: 3,
        contact: true,
        user_agent: Some("pinger".into()),
        monitoring: true,
    };
    assert_eq!(conf.ping, Some(ping));
    assert_eq!(conf.proxy.as_str(), "sip:p.example:5070");
    assert_eq!(conf.register_proxy.as_ref().map(Uri::as_str), Some("sip:rp.example;transport=tcp"));
    assert_eq!(conf.outbound_proxy.as_ref().map(Uri::as_str), Some("sip:op.example"));
    assert_eq!(conf.from_domain, FromDomain::Host("fd.example".into()));
    assert_eq!((conf.retry_seconds, conf.fail_908_retry_seconds, conf.timeout_seconds), (8, Some(7), 9));
    assert_eq!((conf.reg_id.as_deref(), conf.contact_params.as_str()), (Some("4"), "a=b"));
    assert_eq!((conf.transport, conf.destination_prefix.as_str()), (Some(Transport::Tcp), "00"));
    assert_eq!((conf.gw_auth_acl.as_deref(), conf.context.as_deref()), (Some("carriers"), Some("c")));
    assert!(conf.distinct_to && conf.caller_id_in_from && conf.extension_in_contact);
}

#[test]
fn variables_have_a_direction() {
    let (conf, problems) = read(
        r#"<param name="register" value="false"/><variables>
        <variable name="a" value="1"/><variable name="b" value="2" direction="inbound"/>
        <variable name="c" value="3" direction="outbound"/><variable name="d" value="4" direction="x"/></variables>"#,
    );
    let conf = conf.expect("usable");
    let ways: Vec<_> = conf.variables.iter().map(|v| (v.name.as_str(), v.inbound, v.outbound)).collect();
    assert_eq!(ways, [("a", true, true), ("b", true, false), ("c", false, true)]);
    assert_eq!(problems.len(), 1, "{problems:?}");
}

#[test]
fn two_are_the_same_wherever_they_stand() {
    let (one, _) = read(&params(&[("username", "u"), ("password", "p")]));
    let (other, _) = read(&format!("\n\n{}", params(&[("password", "p"), ("username", "u")])));
    let (changed, _) = read(&params(&[("username", "u"), ("password", "q")]));
    let (one, other, changed) = (one.unwrap(), other.unwrap(), changed.unwrap());
    assert!(one.is_same(&other) && !one.is_same(&changed));
}

/// A parameter that [`GatewayConf::differences`] forgets would be a change that a reload does not see.
#[test]
fn every_difference_is_seen() {
    let base = [("username", "u"), ("password", "p"), ("proxy", "h"), ("ping", "10"), ("rfc-5626", "true")];
    let (one, _) = read(&params(&base));
    let one = one.expect("usable");
    for param in PARAMS {
        // What is only an alias or another's default.
        if ["scheme", "realm", "retry_seconds", "rfc-5626", "ping-min"].contains(param) {
            continue;
        }
        let value = match *param {
            "register" => "false",
            "register-transport" => "tcp",
            p if p.ends_with("-seconds") || p.starts_with("ping") && p != "ping-monitoring" => "17",
            "caller-id-in-from"
            | "contact-in-ping"
            | "distinct-to"
            | "extension-in-contact"
            | "ping-monitoring" => "true",
            _ => "other",
        };
        let (other, problems) = read(&params(&[&base[..], &[(param, value)]].concat()));
        let other = other.unwrap_or_else(|| panic!("{param}: {problems:?}"));
        assert!(!one.is_same(&other), "{param}={value} is not seen");
    }
    let (here, _) = read(&params(&[&base[..], &[("context", "c"), ("extension", "1")]].concat()));
    assert!(one.registers_alike(&here.expect("usable")));
    let (there, _) =
        read(&params(&[&base[..], &[("extension", "1"), ("extension-in-contact", "true")]].concat()));
    assert!(!one.registers_alike(&there.expect("usable")));
}

/// Gateways of users belong to the profiles that parse their domain, wherever in it the users stand.
#[test]
fn gateways_of_users_are_found() {
    let gateway = |name: &str| {
        format!(
            r#"<user id="{name}"><gateways><gateway name="{name}"><param name="register" value="false"/></gateway>
            </gateways></user>"#
        )
    };
    let domain = |name: &str, inside: &str| format!(r#"<domain name="{name}">{inside}</domain>"#);
    let one = domain(
        "one",
        &format!(
            "{}<users>{}</users><groups><group name=\"g\"><users>{}</users></group></groups>",
            gateway("a"),
            gateway("b"),
            gateway("c")
        ),
    );
    let profile = |name: &str, domain: &str, parse: &str| {
        format!(
            r#"<profile name="{name}"><domains><domain name="{domain}" parse="{parse}"/></domains><settings/></profile>"#
        )
    };
    let text = format!(
        r#"<document><section name="configuration"><configuration name="sofia.conf"><profiles>{}{}{}</profiles>
        </configuration></section><section name="directory">{one}{}</section></document>"#,
        profile("all", "all", "true"),
        profile("two", "two", "true"),
        profile("none", "all", "false"),
        domain("two", &format!("<users>{}</users>", gateway("d"))),
    );
    let loaded = config::parse("x.xml", &text, &Options::new("/nowhere"));
    let mut problems = Vec::new();
    let conf = crate::config::sofia::SofiaConf::read(&loaded.root, &mut problems);
    let names: Vec<Vec<&str>> =
        conf.profiles.iter().map(|p| p.gateways.iter().map(|g| g.name.as_str()).collect()).collect();
    assert_eq!(names, [vec!["a", "b", "c", "d"], vec!["d"], vec![]]);
    let said: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert!(said.iter().any(|p| p.contains("gateway d is in profile all as well")), "{said:?}");
}

#[test]
fn what_is_not_read_is_named() {
    let (conf, problems) = read(
        "\n<param name=\"register\" value=\"false\"/><subscriptions>\n<subscription event=\"message-summary\"/></subscriptions>\n\
         <param name=\"proxy\" value=\"p\"/>\n<variable name=\"a\" value=\"1\"/><paramz/>",
    );
    assert!(conf.is_some());
    assert_eq!(
        problems,
        [
            "x.xml:3:1: warning: gateway carrier: subscriptions are not provided yet: nobody is asked for message-summary; calls \
             and the registration go on without it",
            "x.xml:5:31: warning: <paramz> means nothing in a <gateway>; did you mean <params>?",
        ]
    );
    let (conf, problems) = read(
        "<params><param name=\"register\" value=\"false\"/></params>\n<param name=\"proxy\" value=\"lost.example\"/>",
    );
    assert_eq!(
        conf.expect("usable").proxy.as_str(),
        "sip:carrier",
        "FreeSWITCH reads one place or the other"
    );
    assert_eq!(
        problems,
        ["x.xml:2:1: warning: this <param> is not read: the gateway has <params>; put it into <params>"]
    );
}
