//! One call among several phones: who rings when, who wins, how the others end, and what the caller's leg says of it.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tandem::event::{Event, EventName};

use crate::net::Weather;
use crate::office::{self, Office};
use crate::script::{Act, Acts, Script, When};

const CALLER: usize = 10; // 1001
/// From one call to the next.
const APART: u64 = 200;

/// One call.
struct Row {
    /// Variables of the caller, `name=value` each.
    set: &'static [&'static str],
    /// What it bridges to; `{4}` stands for the user 1004.
    dial: &'static str,
    /// What the phones do, `WHO ACT SECOND` each, the second counted from the INVITE.
    acts: &'static str,
    /// Who rang in which second and how it ended, the caller with the second it was answered in.
    ends: &'static str,
    /// Variables the caller's leg ended with, or with `b.` before the name the first called one.
    told: &'static [(&'static str, &'static str)],
}

fn acts(text: &str) -> (Acts, Vec<(usize, Acts)>) {
    let mut phones: HashMap<usize, Acts> = HashMap::new();
    let mut caller = vec![(When::Up(Duration::from_secs(5)), Act::HangUp)];
    for line in text.split(';').map(str::trim).filter(|l| !l.is_empty()) {
        let words: Vec<_> = line.split(' ').collect();
        let second: f64 = words[2].parse().expect("a second");
        let act = match words[1] {
            "ring" => Act::Ring,
            "early" => Act::EarlyMedia,
            "answer" => Act::Answer,
            "cancel" => Act::Cancel,
            "bye" => Act::HangUp,
            status => Act::Refuse(status.parse().expect("a status")),
        };
        let act = (When::Begun(Duration::from_secs_f64(second)), act);
        match words[0] {
            "caller" => caller.push(act),
            user => phones.entry(user.parse::<usize>().expect("a user") * 10).or_default().push(act),
        }
    }
    (caller, phones.into_iter().collect())
}

/// Plays every row in one office and compares.
fn all_go(rows: &[Row]) {
    let mut extensions = String::new();
    for (n, row) in rows.iter().enumerate() {
        let _ = write!(
            extensions,
            "<extension name=\"{n}\"><condition field=\"destination_number\" expression=\"^(7{n:03})$\">"
        );
        let escaped = |text: &str| text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;");
        for assignment in row.set {
            let _ = writeln!(extensions, "<action application=\"set\" data=\"{}\"/>", escaped(assignment));
        }
        let mut dial = escaped(row.dial);
        dial = dial.replace("{group}", "group/all@office.test");
        for user in 0..10 {
            dial = dial.replace(&format!("{{{user}}}"), &format!("user/100{user}@office.test"));
        }
        let _ = writeln!(extensions, "<action application=\"bridge\" data=\"{dial}\"/>");
        extensions += "</condition></extension>\n";
    }
    let delay = Duration::from_millis(1)..=Duration::from_millis(1);
    office::run(async {
        let mut office = Office::open(0, Weather { delay, ..Weather::fine() }, &extensions).await;
        let mut events = office.switch.exchange.events.listen();
        for (n, row) in rows.iter().enumerate() {
            let (ours, theirs) = acts(row.acts);
            let at = Duration::from_secs(APART * n as u64);
            office.plan(Script::among(CALLER, &format!("7{n:03}"), at, ours, theirs));
        }
        office.play().await;
        office.judge();
        let mut called: HashMap<String, Arc<Event>> = HashMap::new();
        let mut ended: HashMap<String, Arc<Event>> = HashMap::new();
        while let Ok(event) = events.try_recv() {
            if event.name != EventName::ChannelHangupComplete {
                continue;
            }
            match event.header("variable_originator") {
                Some(caller) => called.entry(caller.to_owned()).or_insert(event),
                None => ended
                    .entry(event.header("variable_sip_to_user").unwrap_or("").to_owned())
                    .or_insert(event),
            };
        }
        for (n, row) in rows.iter().enumerate() {
            let shown = {
                let book = office.book.lock().unwrap();
                let call = &book[n];
                let begun = call.caller.begun.expect("it was made");
                let second = |at: Instant| at.saturating_duration_since(begun).as_secs_f64().round();
                let mut sides: Vec<_> = call.callees.iter().collect();
                sides.sort_by_key(|(phone, _)| **phone);
                let mut shown: Vec<String> = Vec::new();
                for (phone, side) in sides {
                    let rung: Vec<_> = side
                        .log
                        .iter()
                        .filter(|(_, what)| what == "rung")
                        .map(|(at, _)| second(*at).to_string())
                        .collect();
                    let end = side.end.map_or("-".to_owned(), |(at, end)| format!("{end:?}@{}", second(at)));
                    shown.push(format!("{} rung@{} {end}", phone / 10, rung.join("+")));
                }
                let up = call.caller.up.map_or(String::new(), |at| format!(" up@{}", second(at)));
                let end =
                    call.caller.end.map_or("-".to_owned(), |(at, end)| format!("{end:?}@{}", second(at)));
                shown.push(format!("caller{up} {end}"));
                shown.join(", ")
            };
            assert_eq!(shown, row.ends, "{:?} {}", row.set, row.dial);
            let event = &ended[&format!("7{n:03}")];
            for (name, expected) in row.told {
                let (event, name) = match name.strip_prefix("b.") {
                    Some(name) => (&called[event.header("Unique-ID").expect("a uuid")], name),
                    None => (event, *name),
                };
                let seen = event.header(&format!("variable_{name}")).unwrap_or("");
                assert_eq!(seen, *expected, "{name} after {:?} {}", row.set, row.dial);
            }
        }
        office.close().await;
    });
}

#[test]
fn forks() {
    all_go(&[
        Row {
            set: &["hangup_after_bridge=true"],
            dial: "{4},{6}",
            acts: "4 ring 1; 6 ring 1; 6 answer 3",
            ends: "4 rung@0 Cancelled@3, 6 rung@0 Byed@8, caller up@3 HungUp@8",
            told: &[("originate_disposition", "SUCCESS"), ("DIALSTATUS", "SUCCESS")],
        },
        Row {
            set: &["hangup_after_bridge=true"],
            dial: "{4}|{6},{9}",
            acts: "4 486 2; 6 ring 0; 9 answer 3",
            ends: "4 rung@0 Refused@2, 6 rung@2 Cancelled@5, 9 rung@2 Byed@10, caller up@5 HungUp@10",
            told: &[("DIALSTATUS", "SUCCESS")],
        },
        Row {
            set: &[],
            dial: "{4},{6}",
            acts: "4 603 3; 6 486 2",
            ends: "4 rung@0 Refused@3, 6 rung@0 Refused@2, caller Failed(603)@3",
            told: &[
                ("originate_disposition", "CALL_REJECTED"),
                ("DIALSTATUS", "DONTCALL"),
                ("last_bridge_proto_specific_hangup_cause", "sip:603"),
            ],
        },
        Row {
            set: &["ignore_early_media=false"],
            dial: "{4},{6}",
            acts: "4 early 1; 4 answer 4; 6 ring 0",
            ends: "4 rung@0 Byed@9, 6 rung@0 Cancelled@1, caller up@4 HungUp@9",
            told: &[],
        },
        Row {
            set: &["ignore_early_media=true"],
            dial: "{4},{6}",
            acts: "4 early 1; 6 answer 4",
            ends: "4 rung@0 Cancelled@4, 6 rung@0 Byed@9, caller up@4 HungUp@9",
            told: &[],
        },
        Row {
            set: &[],
            dial: "{4},{6}",
            acts: "4 ring 1; caller cancel 5",
            ends: "4 rung@0 Cancelled@5, 6 rung@0 Cancelled@5, caller Failed(487)@5",
            told: &[("originate_disposition", "ORIGINATOR_CANCEL"), ("DIALSTATUS", "CANCEL")],
        },
    ]);
}

#[test]
fn time_limits() {
    all_go(&[
        Row {
            set: &["call_timeout=7"],
            dial: "{4}|{6}",
            acts: "4 ring 1",
            ends: "4 rung@0 Cancelled@7, caller Failed(480)@7",
            told: &[("originate_disposition", "NO_ANSWER"), ("DIALSTATUS", "NOANSWER")],
        },
        Row {
            set: &["call_timeout=7", "originate_continue_on_timeout=true"],
            dial: "{4}|{6}",
            acts: "4 ring 1; 6 answer 2",
            ends: "4 rung@0 Cancelled@7, 6 rung@7 Byed@14, caller up@9 HungUp@14",
            told: &[],
        },
        Row {
            set: &["call_timeout=50"],
            dial: "{originate_timeout=4}{4}",
            acts: "4 ring 1",
            ends: "4 rung@0 Cancelled@4, caller Failed(480)@4",
            told: &[],
        },
        Row {
            set: &[],
            dial: "[leg_timeout=3]{4},{6}",
            acts: "4 ring 0; 6 ring 0; 6 answer 9",
            ends: "4 rung@0 Cancelled@3, 6 rung@0 Byed@14, caller up@9 HungUp@14",
            told: &[],
        },
        Row {
            set: &[],
            dial: "{4},[leg_delay_start=6]{6}",
            acts: "4 ring 0; 6 answer 2",
            ends: "4 rung@0 Cancelled@8, 6 rung@6 Byed@13, caller up@8 HungUp@13",
            told: &[],
        },
        Row {
            set: &[],
            dial: "{4},[leg_delay_start=6]{6}",
            acts: "4 486 1; 6 answer 2",
            ends: "4 rung@0 Refused@1, 6 rung@1 Byed@8, caller up@3 HungUp@8",
            told: &[],
        },
        Row {
            set: &["progress_timeout=3"],
            dial: "{4}|{6}",
            acts: "4 answer 9; 6 ring 1; 6 answer 9",
            ends: "4 rung@0 Cancelled@3, 6 rung@3 Byed@17, caller up@12 HungUp@17",
            told: &[],
        },
        Row {
            set: &["progress_timeout=3"],
            dial: "{4}",
            acts: "4 answer 9",
            ends: "4 rung@0 Cancelled@3, caller Failed(480)@3",
            told: &[("originate_disposition", "PROGRESS_TIMEOUT")],
        },
    ]);
}

#[test]
fn further_tries_and_single_rejects() {
    all_go(&[
        Row {
            set: &[],
            dial: "{originate_retries=2,originate_retry_sleep_ms=3000}{4}",
            acts: "4 486 1",
            ends: "4 rung@0+4 Refused@1, caller Failed(486)@5",
            told: &[],
        },
        Row {
            set: &["fail_on_single_reject=USER_BUSY", "continue_on_fail=false"],
            dial: "{4},{6}|{9}",
            acts: "4 486 2; 6 ring 0",
            ends: "4 rung@0 Refused@2, 6 rung@0 Cancelled@2, caller Failed(480)@2",
            told: &[("originate_disposition", "NO_ANSWER")],
        },
        Row {
            set: &[],
            dial: "[leg_required=true]{4},{6}",
            acts: "4 486 2; 6 ring 0",
            ends: "4 rung@0 Refused@2, 6 rung@0 Cancelled@2, caller Failed(486)@2",
            told: &[],
        },
        Row {
            set: &[],
            dial: "error/GATEWAY_DOWN|{4}",
            acts: "4 answer 1",
            ends: "4 rung@0 Byed@6, caller up@1 HungUp@6",
            told: &[],
        },
        Row {
            set: &[],
            dial: "user/1999@office.test",
            acts: "",
            ends: "caller Failed(480)@0",
            told: &[("originate_disposition", "USER_NOT_REGISTERED")],
        },
        Row {
            set: &[],
            dial: "user/nobody@office.test|error/UNALLOCATED_NUMBER",
            acts: "",
            ends: "caller Failed(404)@0",
            told: &[],
        },
        Row {
            set: &[],
            dial: "{group_confirm_key=1}{4}",
            acts: "4 answer 1",
            ends: "caller Failed(501)@0",
            told: &[("originate_disposition", "FACILITY_NOT_IMPLEMENTED")],
        },
    ]);
}

/// All users of the group but the caller's own are phones 1000…1011; most of them do nothing.
#[test]
fn a_group_in_its_three_orders() {
    all_go(&[
        Row {
            set: &["call_timeout=3", "export_vars=leg_timeout", "leg_timeout=1"],
            dial: "group/all@office.test+F",
            acts: "4 answer 0.5",
            ends: "0 rung@0 Cancelled@1, 1 rung@1 Cancelled@2, 2 rung@2 Cancelled@3, 2 rung@2 Cancelled@3, caller Failed(480)@3",
            told: &[],
        },
        Row {
            set: &["call_timeout=30", "export_vars=leg_timeout", "leg_timeout=1"],
            dial: "group/all@office.test+F",
            acts: "4 answer 0.5",
            ends: "0 rung@0 Cancelled@1, 1 rung@1 Cancelled@2, 2 rung@2 Cancelled@3, 2 rung@2 Cancelled@3, \
                   3 rung@3 Cancelled@4, 3 rung@3 Cancelled@4, 3 rung@3 Cancelled@4, 4 rung@4 Byed@10, caller up@5 HungUp@10",
            told: &[],
        },
    ]);
}

#[test]
fn after_a_bridge() {
    all_go(&[
        Row {
            set: &["hangup_after_bridge=explicit"],
            dial: "{4}",
            acts: "4 answer 1; 4 bye 3",
            ends: "4 rung@0 HungUp@3, caller up@1 Byed@3",
            told: &[("bridge_hangup_cause", "NORMAL_CLEARING")],
        },
        Row {
            set: &["transfer_on_fail=USER_BUSY 9999 XML nowhere"],
            dial: "{4}",
            acts: "4 486 1",
            ends: "4 rung@0 Refused@1, caller Failed(404)@1",
            told: &[("originate_disposition", "USER_BUSY")],
        },
        Row {
            set: &["continue_on_fail=USER_BUSY"],
            dial: "{4}",
            acts: "4 603 1",
            ends: "4 rung@0 Refused@1, caller Failed(603)@1",
            told: &[("originate_failed_cause", "CALL_REJECTED")],
        },
    ]);
}

/// The office's own extension for phones is called through the switch itself.
#[test]
fn the_switch_calls_itself() {
    all_go(&[
        Row {
            set: &["hangup_after_bridge=true"],
            dial: "loopback/1004/default",
            acts: "4 ring 1; 4 answer 3; 4 bye 7",
            ends: "4 rung@0 HungUp@7, caller up@3 Byed@7",
            told: &[
                ("originate_disposition", "SUCCESS"),
                ("b.loopback_leg", "A"),
                ("b.loopback_hangup_cause", "bridge"),
                ("b.originate_endpoint", "loopback"),
            ],
        },
        Row {
            set: &["hangup_after_bridge=true"],
            dial: "{loopback_bowout=false}loopback/1004/default/XML",
            acts: "4 early 1; 4 answer 3",
            ends: "4 rung@0 Byed@8, caller up@3 HungUp@8",
            told: &[("b.loopback_leg", "A"), ("b.loopback_hangup_cause", "")],
        },
        Row {
            set: &[],
            dial: "loopback/1004/default",
            acts: "4 603 1",
            ends: "4 rung@0 Refused@1, caller Failed(603)@1",
            told: &[("originate_disposition", "CALL_REJECTED")],
        },
        Row {
            set: &[],
            dial: "loopback/777/default",
            acts: "",
            ends: "caller Failed(404)@0",
            told: &[("originate_disposition", "NO_ROUTE_DESTINATION")],
        },
        Row {
            set: &[],
            dial: "loopback/1999/default",
            acts: "",
            ends: "caller Failed(480)@0",
            told: &[("originate_disposition", "USER_NOT_REGISTERED")],
        },
        Row {
            set: &["call_timeout=4"],
            dial: "loopback/1004/default,{6}",
            acts: "4 ring 1; 6 ring 2",
            ends: "4 rung@0 Cancelled@4, 6 rung@0 Cancelled@4, caller Failed(480)@4",
            told: &[],
        },
        Row {
            set: &[],
            dial: "loopback/1004/default",
            acts: "4 ring 1; caller cancel 5",
            ends: "4 rung@0 Cancelled@5, caller Failed(487)@5",
            told: &[],
        },
        Row {
            set: &[],
            dial: "loopback/app=hangup:USER_BUSY",
            acts: "",
            ends: "caller Failed(486)@0",
            told: &[("originate_disposition", "USER_BUSY")],
        },
        Row {
            set: &[],
            dial: "loopback/app=park",
            acts: "caller cancel 3",
            ends: "caller Failed(487)@3",
            told: &[],
        },
        Row { set: &[], dial: "null/x", acts: "", ends: "caller up@0 HungUp@5", told: &[] },
        Row {
            set: &[],
            dial: "{null_auto_answer_delay=2000}null/x,{6}",
            acts: "6 ring 0",
            ends: "6 rung@0 Cancelled@2, caller up@2 HungUp@7",
            told: &[],
        },
        Row {
            set: &[],
            dial: "{null_hangup_cause=USER_BUSY}null/x",
            acts: "",
            ends: "caller Failed(486)@0",
            told: &[],
        },
    ]);
}

/// An extension that calls itself comes to its end by Max-Forwards.
#[test]
fn a_call_that_leads_to_itself_ends() {
    let extensions = r#"<extension name="loop"><condition field="destination_number" expression="^7000$">
        <action application="bridge" data="loopback/7000/default"/></condition></extension>"#;
    office::run(async {
        let mut office = Office::open(0, Weather::fine(), extensions).await;
        office.plan(Script::among(CALLER, "7000", Duration::ZERO, Acts::new(), Vec::new()));
        office.play().await;
        office.judge();
        let (_, end) = office.book.lock().unwrap()[0].caller.end.expect("it ended");
        assert_eq!(format!("{end:?}"), "Failed(483)");
        assert_eq!(office.switch.exchange.legs.len(), 0);
        office.close().await;
    });
}

#[test]
fn members_of_an_enterprise_originate_know_nothing_of_each_other() {
    all_go(&[
        Row {
            set: &[],
            dial: "{4}|{6}:_:{9}",
            acts: "4 486 1; 6 answer 3; 9 early 1; 9 answer 8",
            ends: "4 rung@0 Refused@1, 6 rung@1 Byed@9, 9 rung@0 Cancelled@4, caller up@4 HungUp@9",
            told: &[],
        },
        Row {
            set: &[],
            dial: "{originate_timeout=3}{4}:_:{originate_timeout=6}{9}",
            acts: "4 ring 0; 9 ring 0",
            ends: "4 rung@0 Cancelled@3, 9 rung@0 Cancelled@6, caller Failed(480)@6",
            told: &[],
        },
        Row {
            set: &[],
            dial: "<originate_timeout=3>{4}:_:{9}",
            acts: "4 486 1; caller cancel 2",
            ends: "4 rung@0 Refused@1, 9 rung@0 Cancelled@2, caller Failed(487)@2",
            told: &[("originate_disposition", "ORIGINATOR_CANCEL")],
        },
    ]);
}

/// A moment of the called side is asked for in the dial string, one of the caller by `set`.
#[test]
fn things_are_done_at_their_moments() {
    all_go(&[
        Row {
            set: &[
                "execute_on_ring=set at_ring=yes",
                "execute_on_answer_1=set at_answer=1",
                "execute_on_answer_2=multiset second=yes third=3",
                "execute_on_media:set at_media=yes",
                "execute_on_pre_bridge=set at_pre_bridge=yes",
                "execute_on_post_bridge=set at_post_bridge=yes",
                "api_on_answer=global_setvar sim_api=done",
                "execute_on_pre_answer=set at_pre_answer=no",
                "hangup_after_bridge=true",
            ],
            dial: "{execute_on_ring=set at_ring=b,execute_on_media=set at_media=b,                   execute_on_post_originate=set at_post_originate=b,execute_on_answer='set at_answer=b,c'}{4}",
            acts: "4 ring 1; 4 answer 3; 4 bye 6",
            ends: "4 rung@0 HungUp@6, caller up@3 Byed@6",
            told: &[
                ("at_ring", "yes"),
                ("at_answer", "1"),
                ("second", "yes"),
                ("at_pre_answer", ""),
                ("at_pre_bridge", "yes"),
                ("at_post_bridge", "yes"),
                ("b.at_ring", "b"),
                ("b.at_media", "b"),
                ("b.at_post_originate", "b"),
                ("b.at_answer", "b,c"),
            ],
        },
        Row {
            set: &[
                "execute_on_pre_originate=set effective_caller_id_number=4711",
                "api_on_pre_originate=nonsense",
                "api=${global_getvar(sim_api)}",
            ],
            dial: "{4}",
            acts: "4 486 1",
            ends: "4 rung@0 Refused@1, caller Failed(486)@1",
            told: &[("effective_caller_id_number", "4711"), ("api", "done")],
        },
        Row {
            set: &["execute_on_answer=sleep 100000", "execute_on_ring=record_session /tmp/x.wav"],
            dial: "{4}",
            acts: "4 ring 1; 4 answer 2",
            ends: "4 rung@0 Byed@7, caller up@2 HungUp@7",
            told: &[],
        },
        Row {
            set: &[
                "bridge_pre_execute_aleg_app=set",
                "bridge_pre_execute_aleg_data=own=a",
                "bridge_pre_execute_bleg_app=set",
                "bridge_pre_execute_bleg_data=own=b",
            ],
            dial: "{4}",
            acts: "4 answer 2",
            ends: "4 rung@0 Byed@7, caller up@2 HungUp@7",
            told: &[("own", "a"), ("b.own", "b")],
        },
        Row {
            set: &["execute_on_ring=hangup USER_BUSY"],
            dial: "{4}",
            acts: "4 ring 1; 4 answer 5",
            ends: "4 rung@0 Cancelled@1, caller Failed(486)@1",
            told: &[],
        },
    ]);
}

#[test]
fn what_the_called_leg_gets() {
    all_go(&[
        Row {
            set: &[
                "export_vars=one,two,nolocal:three",
                "one=1",
                "two=2",
                "_nolocal_three=3",
                "four=4",
                "sip_h_X-Own=x",
                "language=de",
            ],
            dial: "{two=22,five=5}[five=55,six=6,origination_caller_id_number=4711]{4}",
            acts: "4 486 1",
            ends: "4 rung@0 Refused@1, caller Failed(486)@1",
            told: &[
                ("b.one", "1"),
                ("b.two", "22"),
                ("b.three", "3"),
                ("b.four", ""),
                ("b.five", "5"),
                ("b.six", "6"),
                ("b.sip_h_X-Own", "x"),
                ("b.language", "de"),
                ("b.export_vars", "one,two,nolocal:three"),
                ("b.dialed_user", "1004"),
                ("b.user_context", "default"),
                ("b.presence_id", "1004@office.test"),
                ("b.origination_caller_id_number", "4711"),
                ("b.originate_endpoint", "sofia"),
                ("three", ""),
            ],
        },
        Row {
            set: &[],
            dial: "{five=5,local_var_clobber=true}[five=55]{4}",
            acts: "4 486 1",
            ends: "4 rung@0 Refused@1, caller Failed(486)@1",
            told: &[("b.five", "55")],
        },
        Row {
            set: &["sip_copy_custom_headers=false", "sip_h_X-Own=x"],
            dial: "{sip_h_X-Call=2}{4}",
            acts: "4 486 1",
            ends: "4 rung@0 Refused@1, caller Failed(486)@1",
            told: &[("b.sip_h_X-Own", "")],
        },
    ]);
}
