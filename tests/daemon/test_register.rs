//! Phones register, or are kept out.

use std::net::IpAddr;

use crate::baresip::{Phone, Registration};
use crate::linphonec::Linphonec;
use crate::needs;
use crate::puppet::{Answer, Puppet};
use crate::sipp::Scenario;
use crate::switch::{PASSWORD, Setup, Switch};

const LOCALHOST: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

#[test]
fn start_up_tells_each_socket() {
    let switch = Switch::start();
    if switch.process.is_none() {
        return;
    }
    let log = switch.log().join("\n").to_lowercase();
    for port in ["5060", "5080"] {
        let at = format!("{}:{port}", switch.ip());
        for transport in ["udp", "tcp"] {
            assert!(
                log.lines().any(|l| l.contains(&at) && l.contains(transport)),
                "no line for {transport} {at}"
            );
        }
    }
}

#[test]
fn baresip_registers_over_udp_and_tcp() {
    needs!("baresip");
    let switch = Switch::start();
    let _udp = Phone::new("1000", switch.sip(), 440.0).start();
    let _tcp = Phone::new("1001", switch.sip(), 440.0).tcp().start();
}

#[test]
fn linphonec_registers_over_udp_and_tcp() {
    needs!("linphonec");
    let switch = Switch::start();
    let _udp = Linphonec::start("1000", switch.sip(), "udp", 440.0);
    let _tcp = Linphonec::start("1001", switch.sip(), "tcp", 440.0);
}

#[test]
fn sipp_registers_over_udp_and_tcp() {
    needs!("sipp");
    let switch = Switch::start();
    Scenario::new("register", switch.sip(), "1000").run();
    Scenario::new("register", switch.sip(), "1001").tcp().run();
}

#[test]
fn a_wrong_password_is_refused() {
    needs!("baresip");
    let switch = Switch::start();
    let refused = Registration::Refused;
    let _phone =
        Phone { password: "wrong", registration: refused, ..Phone::new("1000", switch.sip(), 440.0) }.start();
    let mut puppet = Puppet::new("wrong", LOCALHOST, switch.sip());
    let domain = switch.ip().to_string();
    let contact = format!("<sip:1000@{}>", puppet.local);
    let answer = puppet.register("1000", "wrong", &domain, &contact, Answer::Qop);
    assert_eq!(answer.status(), Some(403), "{}", answer.text);
}

/// An unknown user, and a wrong password, look the same from outside.
#[test]
fn an_unknown_user_is_told_nothing() {
    let switch = Switch::start();
    let domain = switch.ip().to_string();
    let ask = |name: &'static str, user: &str| {
        let mut puppet = Puppet::new(name, LOCALHOST, switch.sip());
        let contact = format!("<sip:{user}@{}>", puppet.local);
        let answer = puppet.register(user, "wrong", &domain, &contact, Answer::Qop);
        let mut names: Vec<String> = answer
            .text
            .lines()
            .skip(1)
            .take_while(|l| !l.is_empty())
            .filter_map(|l| l.split_once(':').map(|(n, _)| n.to_owned()))
            .collect();
        names.sort();
        (answer.start_line().to_owned(), names)
    };
    assert_eq!(ask("known", "1000"), ask("unknown", "4711"));
}

#[test]
fn a_phone_that_knows_no_qop_registers() {
    let switch = Switch::start();
    let domain = switch.ip().to_string();
    let mut puppet = Puppet::new("plain", LOCALHOST, switch.sip());
    let contact = format!("<sip:1000@{}>", puppet.local);
    let answer = puppet.register("1000", PASSWORD, &domain, &contact, Answer::Plain);
    assert_eq!(answer.status(), Some(200), "{}", answer.text);
}

#[test]
fn the_password_comes_from_the_command_line() {
    let setup = Setup { set: vec![("default_password", "another".to_owned())], ..Setup::default() };
    let switch = Switch::start_with(setup);
    let domain = switch.ip().to_string();
    for (name, password, status) in [("old", PASSWORD, 403), ("new", "another", 200)] {
        let mut puppet = Puppet::new(name, LOCALHOST, switch.sip());
        let contact = format!("<sip:1000@{}>", puppet.local);
        let answer = puppet.register("1000", password, &domain, &contact, Answer::Qop);
        assert_eq!(answer.status(), Some(status), "{password}");
    }
}
