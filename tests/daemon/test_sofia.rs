//! Profiles and lamps by the real binary: message lamps and presence that a program lights by the event socket, on real
//! phones; a profile that moves, and one that cannot be restarted; a trace.

use std::net::UdpSocket;
use std::time::Duration;

use crate::baresip::Phone;
use crate::linphonec::Linphonec;
use crate::needs;
use crate::place::free_port;
use crate::process::PATIENCE;
use crate::program::Program;
use crate::switch::{Setup, Switch, wait_for_sip};

/// A phone that has asked for its messages is told of them, and one that is only registered, too.
#[test]
fn a_program_lights_the_message_lamp_of_a_phone() {
    needs!("baresip");
    let switch = Switch::start();
    let phone = Phone { config: "module_app mwi.so\n", ..Phone::new("1000", switch.sip(), 440.0) };
    let mut phone = phone.start();
    phone.expect_log("Messages-Waiting: no", "");
    let mut program = Program::new(&switch);
    let said = program.ask(&format!(
        "sendevent MESSAGE_WAITING\nMWI-Messages-Waiting: yes\nMWI-Message-Account: 1000@{}\nMWI-Voice-Message: 2/1 (0/0)",
        switch.ip()
    ));
    assert!(said.contains("Reply-Text: +OK "), "{said}");
    phone.expect_log("Messages-Waiting: yes", "");
    phone.expect_log("Voice-Message: 2/1 (0/0)", "");
    let said = program.ask("sendevent MESSAGE_WAITING\nMWI-Messages-Waiting: yes");
    assert!(said.contains("-ERR the event has no header MWI-Message-Account"), "{said}");
}

#[test]
fn a_program_tells_what_a_neighbour_does() {
    needs!("linphonec");
    let switch = Switch::start();
    let phone = Linphonec::watching("1000", switch.sip(), "udp", 440.0, "1001");
    let mut program = Program::new(&switch);
    let seen = |text: &str| {
        let until = std::time::Instant::now() + PATIENCE;
        while !phone.trace().contains(text) {
            assert!(std::time::Instant::now() < until, "{text} is not told: {}", phone.trace());
            std::thread::sleep(Duration::from_millis(200));
        }
    };
    seen("<dm:note>Unregistered</dm:note>");
    let event =
        format!("sendevent PRESENCE_IN\nfrom: 1001@{}\nstatus: Out to lunch\nrpid: away", switch.ip());
    assert!(program.ask(&event).contains("+OK "));
    seen("<dm:note>Out to lunch</dm:note>");
    assert!(phone.trace().contains("<rpid:away/>"));
}

/// The profile takes a new port by a restart and by a rescan; one whose new port is taken comes back as it was.
#[test]
fn a_profile_moves_or_comes_back() {
    let switch = Switch::start_with(Setup::default());
    let mut program = Program::new(&switch);
    let path = switch.conf().join("sip_profiles/internal.xml");
    let shipped = std::fs::read_to_string(&path).expect("the profile");
    let set = |port: u16| {
        let text = shipped.replace("$${internal_sip_port}", &port.to_string());
        assert_ne!(text, shipped);
        std::fs::write(&path, text).expect("written");
    };
    let taken = UdpSocket::bind((switch.ip(), 0)).expect("a port");
    set(taken.local_addr().expect("an address").port());
    let said = program.ask("api sofia profile internal restart");
    assert!(said.contains("-ERR ") && said.contains("profile internal is open again as it was"), "{said}");
    wait_for_sip(switch.sip(), || {});
    let mut last = switch.sip();
    for command in ["restart", "rescan"] {
        let mut to = switch.sip();
        to.set_port(free_port());
        set(to.port());
        let said = program.ask(&format!("api sofia profile internal {command}"));
        assert!(said.contains("Reload XML [Success]"), "{said}");
        wait_for_sip(to, || {});
        let said = program.ask("api sofia status");
        assert!(
            said.contains(&format!("sip:mod_sofia@{to}")) && !said.contains(&format!("@{last}")),
            "{said}"
        );
        last = to;
    }
}

#[test]
fn a_trace_has_sofias_frame() {
    let switch = Switch::start();
    let mut program = Program::new(&switch);
    assert!(
        program.ask("api sofia profile internal siptrace on").contains("Enabled sip debugging on internal")
    );
    wait_for_sip(switch.sip(), || {});
    // The log moves lines of a message in, and comes a moment later.
    let until = std::time::Instant::now() + PATIENCE;
    let log = loop {
        let log: String = switch.log().iter().flat_map(|line| [line.trim_start(), "\n"]).collect();
        if log.contains(" bytes to udp/[") || std::time::Instant::now() > until {
            break log;
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    let at = log.find("recv ").expect("a message");
    let shown = &log[at..];
    let (first, rest) = shown.split_once('\n').expect("lines");
    assert!(first.contains(" bytes from udp/[") && first.ends_with(':') && first.contains(" at "), "{first}");
    let dashes = "-".repeat(72);
    assert!(rest.starts_with(&format!("{dashes}\nOPTIONS sip:")), "{rest}");
    assert!(log.contains("send ") && log.contains(" bytes to udp/["), "{log}");
}
