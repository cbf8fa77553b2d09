//! One call to several SIPp callees: who is cancelled, who comes next, and what the INVITE says on the wire.

use std::time::Duration;

use crate::needs;
use crate::place::free_port;
use crate::sipp::{Scenario, Sipp};
use crate::switch::{Setup, Switch};

const FORKS: &str = r#"
    <extension name="together">
      <condition field="destination_number" expression="^7001$">
        <action application="set" data="hangup_after_bridge=true"/>
        <action application="bridge" data="user/1001@${domain_name},user/1002@${domain_name}"/>
      </condition>
    </extension>
    <extension name="in turn">
      <condition field="destination_number" expression="^7002$">
        <action application="set" data="hangup_after_bridge=true"/>
        <action application="bridge" data="error/GATEWAY_DOWN|user/1001@${domain_name}|user/1002@${domain_name}"/>
      </condition>
    </extension>
    <extension name="each on its own">
      <condition field="destination_number" expression="^7003$">
        <action application="set" data="hangup_after_bridge=true"/>
        <action application="bridge" data="{originate_timeout=30}user/1001@${domain_name}:_:user/1002@${domain_name}"/>
      </condition>
    </extension>
    <extension name="on the wire">
      <condition field="destination_number" expression="^7004$">
        <action application="set" data="hangup_after_bridge=true"/>
        <action application="export" data="nolocal:sip_h_X-Exported=yes"/>
        <action application="bridge" data="{sip_invite_from_uri=sip:ann@away.test,sip_from_display=Ann,sip_invite_to_uri='<sip:to@there.test>',sip_invite_params=intercom=true,alert_info=ring2,sip_h_X-Own=1}[sip_h_X-Leg=2]user/1001@${domain_name}"/>
      </condition>
    </extension>
    <extension name="through the switch itself">
      <condition field="destination_number" expression="^7005$">
        <action application="set" data="hangup_after_bridge=true"/>
        <action application="bridge" data="loopback/1001/default"/>
      </condition>
    </extension>"#;

fn switch() -> Switch {
    Switch::start_with(Setup { extension: FORKS, ..Setup::default() })
}

/// Registers a user at a port of SIPp's and starts a callee there.
fn callee(switch: &Switch, user: &str, name: &str, fill: &[(&str, &str)]) -> Sipp {
    let port = free_port();
    Scenario::new("register", switch.sip(), user).on_port(port).run();
    let sipp = Scenario::new(name, switch.sip(), user).on_port(port).fill(fill).start();
    std::thread::sleep(Duration::from_millis(500));
    sipp
}

fn call(switch: &Switch, number: &str) {
    Scenario::new("uac", switch.sip(), "1000").calling(number).fill(&[("TALK", "1000")]).run();
}

#[test]
fn the_first_answer_cancels_the_others() {
    needs!("sipp");
    let switch = switch();
    let mut answers = callee(&switch, "1001", "uas", &[("RING", "500")]);
    let mut rings = callee(&switch, "1002", "uas_ring", &[("RING", "100")]);
    call(&switch, "7001");
    answers.finish();
    rings.finish();
    let cancel = rings.file("messages");
    assert!(cancel.contains("Call completed elsewhere"), "{cancel}");
}

#[test]
fn the_next_is_called_when_one_refuses() {
    needs!("sipp");
    let switch = switch();
    let mut refuses = callee(&switch, "1001", "uas_reject", &[("STATUS", "503 Service Unavailable")]);
    let mut answers = callee(&switch, "1002", "uas", &[("RING", "300")]);
    call(&switch, "7002");
    refuses.finish();
    answers.finish();
}

#[test]
fn members_called_independently_end_when_one_answers() {
    needs!("sipp");
    let switch = switch();
    let mut answers = callee(&switch, "1001", "uas", &[("RING", "500")]);
    let mut rings = callee(&switch, "1002", "uas_ring", &[("RING", "100")]);
    call(&switch, "7003");
    answers.finish();
    rings.finish();
}

#[test]
fn variables_show_in_the_invite() {
    needs!("sipp");
    let switch = switch();
    let mut b = callee(&switch, "1001", "uas", &[("RING", "100")]);
    call(&switch, "7004");
    b.finish();
    let messages = b.file("messages");
    let invite =
        messages.split("INVITE sip:").nth(1).expect("an INVITE").split("\r\n\r\n").next().unwrap_or("");
    let line = |name: &str| {
        let line = invite.lines().find(|line| line.starts_with(name)).unwrap_or("");
        line.trim_start_matches(name).trim_start_matches(": ").trim_end().to_owned()
    };
    assert!(invite.lines().next().is_some_and(|l| l.contains(";intercom=true")), "{invite}");
    assert!(line("From").starts_with("\"Ann\" <sip:ann@away.test>;tag="), "{}", line("From"));
    assert_eq!(line("To"), "<sip:to@there.test>");
    for (name, value) in [("Alert-Info", "ring2"), ("X-Own", "1"), ("X-Leg", "2"), ("X-Exported", "yes")] {
        assert_eq!(line(name), value, "{name}: {invite}");
    }
}

/// Two legs of the switch's own in between, which bow out after three seconds; the call outlives them.
#[test]
fn a_call_through_the_switch_itself_outlives_its_halves() {
    needs!("sipp");
    let switch = switch();
    let mut b = callee(&switch, "1001", "uas", &[("RING", "300")]);
    Scenario::new("uac", switch.sip(), "1000").calling("7005").fill(&[("TALK", "5000")]).run();
    b.finish();
}
