//! Transfers whose outcome is waited for, REFER of the switch's own, and what else is told by INFO and NOTIFY.

use std::time::Duration;

use tandem::event::EventName;

use crate::net::Weather;
use crate::office::{self, Office};
use crate::record::End;
use crate::script::{Act, Acts, Script, When, ms};

const A: usize = 10; // 1001
const B: usize = 40; // 1004
const C: usize = 60; // 1006

fn up(at: u64, act: Act) -> (When, Act) {
    (When::Up(ms(at)), act)
}

fn answers(at: u64, mut acts: Acts) -> Acts {
    acts.push((When::Begun(ms(at)), Act::Answer));
    acts
}

/// What each of the three noted, how it ended, and the variables of the last leg that called 7001.
struct Played {
    logs: [String; 3],
    ends: [Option<End>; 3],
    variables: Vec<(String, String)>,
    told: Vec<EventName>,
}

impl Played {
    fn variable(&self, name: &str) -> &str {
        self.variables.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value)
    }
}

fn plays(actions: &str, a: Acts, b: Acts, c: Acts) -> Played {
    let extension = format!(
        "<extension name=\"x\"><condition field=\"destination_number\" expression=\"^7001$\">{actions}\
         </condition></extension>"
    );
    let mut played =
        Played { logs: Default::default(), ends: [None; 3], variables: Vec::new(), told: Vec::new() };
    office::run(async {
        let mut office = Office::open(0, Weather::fine(), &extension).await;
        let mut events = office.switch.exchange.events.listen();
        office.plan(Script::among(A, "7001", Duration::ZERO, a, vec![(B, b), (C, c)]));
        office.play().await;
        while let Ok(event) = events.try_recv() {
            played.told.push(event.name);
            if event.name == EventName::ChannelHangupComplete
                && event.header("Call-Direction") == Some("inbound")
            {
                let variables = event.headers.iter();
                played.variables = variables
                    .filter_map(|(n, v)| Some((n.strip_prefix("variable_")?.to_owned(), v.to_owned())))
                    .collect();
            }
        }
        {
            let book = office.book.lock().unwrap();
            let call = &book[0];
            for (n, phone) in [A, B, C].into_iter().enumerate() {
                let side = if phone == A { Some(&call.caller) } else { call.callees.get(&phone) };
                let Some(side) = side else { continue };
                played.ends[n] = side.ended();
                played.logs[n] = side.log.iter().map(|(_, what)| format!("{what}\n")).collect();
            }
        }
        office.judge();
        office.close().await;
    });
    played
}

const CALL: &str = r#"<action application="bridge" data="user/1004@office.test"/>"#;

fn confirmed() -> String {
    format!(r#"<action application="export" data="confirm_blind_transfer=true"/>{CALL}"#)
}

/// The transferor of a call with A and B, by which side it is.
fn transfers(call: &str, by_caller: bool, number: &'static str, last: u64, c: Acts) -> Played {
    let (mut a, mut b) = (Acts::new(), answers(500, Acts::new()));
    let transferor = if by_caller { &mut a } else { &mut b };
    transferor.push(up(1000, Act::Refer(number)));
    let other = if by_caller { &mut b } else { &mut a };
    other.push(up(last, Act::HangUp));
    plays(call, a, b, c)
}

#[test]
fn a_blind_transfer_is_told_at_once() {
    for by_caller in [true, false] {
        let played = transfers(CALL, by_caller, "1006", 12_000, answers(4_000, Acts::new()));
        let (transferor, other) = if by_caller { (0, 1) } else { (1, 0) };
        assert!(played.logs[transferor].contains("NOTIFY SIP/2.0 200 OK"), "{}", played.logs[transferor]);
        assert_eq!(played.ends[transferor], Some(End::Byed));
        assert_eq!((played.ends[other], played.ends[2]), (Some(End::HungUp), Some(End::Byed)));
    }
}

#[test]
fn a_confirmed_transfer_waits_for_the_third() {
    for by_caller in [true, false] {
        let (transferor, other) = if by_caller { (0, 1) } else { (1, 0) };
        let played = transfers(&confirmed(), by_caller, "1006", 12_000, answers(4_000, Acts::new()));
        assert!(played.logs[transferor].contains("NOTIFY SIP/2.0 200 OK"), "{}", played.logs[transferor]);
        assert_eq!(played.ends[transferor], Some(End::Byed));
        assert_eq!((played.ends[other], played.ends[2]), (Some(End::HungUp), Some(End::Byed)));
        // to the echo, which serves it alone
        let played = transfers(&confirmed(), by_caller, "9196", 12_000, Acts::new());
        assert!(played.logs[transferor].contains("NOTIFY SIP/2.0 200 OK"), "{}", played.logs[transferor]);
        assert_eq!(played.ends[transferor], Some(End::Byed));
    }
}

#[test]
fn a_confirmed_transfer_that_fails_gives_the_call_back() {
    for by_caller in [true, false] {
        let (transferor, other) = if by_caller { (0, 1) } else { (1, 0) };
        for (number, c, told) in [
            ("1006", vec![(When::Begun(ms(2_000)), Act::Refuse(486))], "NOTIFY SIP/2.0 486"),
            ("777", Acts::new(), "NOTIFY SIP/2.0 404"),
        ] {
            let played = transfers(&confirmed(), by_caller, number, 12_000, c);
            assert!(played.logs[transferor].contains(told), "{number}: {}", played.logs[transferor]);
            assert_eq!(played.ends[other], Some(End::HungUp), "{number}");
            assert_eq!(played.ends[transferor], Some(End::Byed), "{number}");
            assert!(!played.logs[transferor].contains("200 OK"), "{number}: {}", played.logs[transferor]);
        }
    }
}

#[test]
fn a_refer_to_what_is_no_number_is_refused() {
    let played = transfers(CALL, true, "%0a1006", 6_000, Acts::new());
    assert!(played.logs[0].contains("answered 400"), "{}", played.logs[0]);
    assert_eq!((played.ends[0], played.ends[1]), (Some(End::Byed), Some(End::HungUp)));
}

#[test]
fn an_answered_caller_is_deflected() {
    let deflects = |more: &str, to: &str, behind: &str| {
        let actions = format!(
            r#"<action application="answer"/>{more}<action application="deflect" data="{to}"/>
            <action application="sleep" data="3000"/><action application="set" data="n=on"/>{behind}"#
        );
        plays(&actions, Acts::new(), Acts::new(), Acts::new())
    };
    let set = r#"<action application="set" data="sip_h_X-Why=because"/>"#;
    let played = deflects(set, "1006", "");
    assert!(played.logs[0].contains("REFER <sip:1006@192.0.2.1"), "{}", played.logs[0]);
    assert_eq!(played.ends[0], Some(End::Byed));
    for (name, value) in [
        ("sip_refer_status_code", "202"),
        ("sip_refer_target_status_code", "200"),
        ("hangup_cause", "BLIND_TRANSFER"),
        ("n", ""),
    ] {
        assert_eq!(played.variable(name), value, "{name}");
    }
    assert!(played.variable("sip_refer_reply").starts_with("SIP/2.0 200 OK"));
    // what is called is busy, the phone refuses, or never says
    for (to, status, target, reply) in [
        ("sip:4@there.test", "202", "486", "SIP/2.0 486"),
        ("5@there.test", "603", "", ""),
        ("sip:6@there.test", "202", "", "no reply"),
    ] {
        let played = deflects("", to, "");
        assert_eq!(played.variable("sip_refer_status_code"), status, "{to}");
        assert_eq!(played.variable("sip_refer_target_status_code"), target, "{to}");
        assert!(played.variable("sip_refer_reply").starts_with(reply), "{to}");
        assert_eq!((played.variable("hangup_cause"), played.variable("n")), ("BLIND_TRANSFER", ""), "{to}");
    }
    let go_on = r#"<action application="set" data="sip_refer_continue_after_reply=true"/>"#;
    let played = deflects(go_on, "1006", "");
    assert_eq!((played.variable("n"), played.variable("hangup_cause")), ("on", "NORMAL_CLEARING"));
    assert_eq!(played.variable("sip_refer_target_status_code"), "200");
}

#[test]
fn a_hook_flash_is_told_and_goes_nowhere() {
    let a = vec![up(1_000, Act::Info("application/hook-flash")), up(2_000, Act::Info("text/x-note"))];
    let mut a = a;
    a.push(up(5_000, Act::HangUp));
    let played = plays(CALL, a, answers(500, Acts::new()), Acts::new());
    assert_eq!(played.told.iter().filter(|name| **name == EventName::RecvInfo).count(), 2);
    assert!(!played.logs[1].contains("hook-flash"), "{}", played.logs[1]);
    assert!(played.logs[1].contains("INFO text/x-note"), "other bodies go across: {}", played.logs[1]);
    assert!(!played.logs[0].contains("answered"), "both were answered 200: {}", played.logs[0]);
}

#[test]
fn a_text_is_sent_by_info_to_who_takes_it() {
    for (set, sent) in [("x=1", false), ("fs_send_unsupported_info=true", true)] {
        let actions = format!(
            r#"<action application="answer"/><action application="set" data="{set}"/>
            <action application="send_info" data="hello there"/><action application="sleep" data="1000"/>"#
        );
        let played = plays(&actions, Acts::new(), Acts::new(), Acts::new());
        assert_eq!(played.logs[0].contains("INFO freeswitch/data hello there"), sent, "{}", played.logs[0]);
    }
}
