//! What is told of a call, leg by leg and in order, against a written list for each scene.
//!
//! The lists follow FreeSWITCH: its recordings where there are some (the end of a call, the called leg's answer), else its
//! source (switch_core_state_machine.c, switch_channel.c, switch_ivr_bridge.c, mod_sofia.c). A line is the event's name, the
//! state it tells with its number, the state of the call, the answer state, and what it says besides. Where tandem tells
//! otherwise on purpose the scene says so.

use std::collections::HashMap;
use std::time::Duration;

use tandem::api;
use tandem::event::Event;

use crate::net::Weather;
use crate::office::{self, Office};
use crate::record::Call;
use crate::script::{Act, Acts, Script, When, ms, seconds};
use crate::sdp::Audio;

const CALLER: usize = 10; // 1001
const AGENT: usize = 40; // 1004
const OTHER: usize = 60; // 1006

const EXTENSIONS: &str = r#"
  <extension name="stays"><condition field="destination_number" expression="^8000$">
    <action application="park"/>
  </condition></extension>"#;

/// `a`, `b`, … in the order in which the legs came to be.
struct Legs(HashMap<String, char>);

impl Legs {
    fn of(events: &[Event]) -> Legs {
        let mut legs = HashMap::new();
        for event in events {
            if let Some(uuid) = event.header("Unique-ID") {
                let next = char::from(b'a' + u8::try_from(legs.len()).unwrap());
                legs.entry(uuid.to_owned()).or_insert(next);
            }
        }
        Legs(legs)
    }

    fn name(&self, uuid: Option<&str>) -> char {
        uuid.and_then(|uuid| self.0.get(uuid)).copied().unwrap_or('-')
    }

    /// One line for an event.
    fn line(&self, event: &Event) -> String {
        let said = |name: &str| event.header(name).unwrap_or("-");
        let name = event.name.as_str();
        let besides = match name {
            "CHANNEL_CALLSTATE" => format!("after {}", said("Original-Channel-Call-State")),
            "CHANNEL_EXECUTE" | "CHANNEL_EXECUTE_COMPLETE" => said("Application").to_owned(),
            "CHANNEL_BRIDGE" | "CHANNEL_UNBRIDGE" => {
                let leg = |header| self.name(event.header(header));
                format!("{}+{}", leg("Bridge-A-Unique-ID"), leg("Bridge-B-Unique-ID"))
            }
            "CHANNEL_HANGUP" | "CHANNEL_HANGUP_COMPLETE" => said("Hangup-Cause").to_owned(),
            "CALL_UPDATE" => format!(
                "{} {} <{}> {}",
                said("Direction"),
                said("Sent-Callee-ID-Name"),
                said("Sent-Callee-ID-Number"),
                self.name(event.header("Bridged-To"))
            ),
            "CODEC" => {
                let has = |header: &str| event.headers.iter().any(|(name, _)| name == header);
                let way = ["read", "write"].into_iter().find(|way| has(&format!("channel-{way}-codec-name")));
                format!("{} {}", way.unwrap_or("-"), said("Channel-Read-Codec-Name"))
            }
            _ => String::new(),
        };
        let line = format!(
            "{name} {} {} {} {} {besides}",
            said("Channel-State"),
            said("Channel-State-Number"),
            said("Channel-Call-State"),
            said("Answer-State")
        );
        line.trim().to_owned()
    }

    /// What is told of leg `leg`.
    fn story(&self, events: &[Event], leg: char) -> Vec<String> {
        let told = |event: &&Event| {
            let name = event.name.as_str();
            (name.starts_with("CHANNEL_") || name == "CALL_UPDATE" || name == "CODEC")
                && self.name(event.header("Unique-ID")) == leg
        };
        events.iter().filter(told).map(|event| self.line(event)).collect()
    }
}

/// Compares with a list: lines of `text`, blanks and comments (`#`) aside.
#[track_caller]
fn check(events: &[Event], leg: char, text: &str) {
    let wanted: Vec<&str> = text
        .lines()
        .map(|line| line.split('#').next().unwrap_or("").trim())
        .filter(|line| !line.is_empty())
        .collect();
    let told = Legs::of(events).story(events, leg);
    assert!(told == wanted, "leg {leg} told\n{}\nand not\n{}", told.join("\n"), wanted.join("\n"));
}

/// One call of `number`, whose callee acts so; the caller hangs up after `talk` seconds.
fn call(number: &str, talk: u64, ours: Acts, theirs: Acts) -> Vec<Event> {
    let script = Script::exactly(CALLER, number, Duration::ZERO, seconds(talk), ours, theirs);
    office::plays(EXTENSIONS, vec![script], |_| {}).1
}

/// Phones that answer; these lines are run one after the other, a moment apart.
fn commands(lines: &[&str]) -> Vec<Event> {
    let mut events = Vec::new();
    office::run(async {
        let office = Office::open(0, Weather::fine(), EXTENSIONS).await;
        let answers: Acts = vec![(When::Begun(ms(100)), Act::Ring), (When::Begun(ms(300)), Act::Answer)];
        let callees = vec![(AGENT, answers.clone()), (OTHER, answers)];
        office.book.lock().unwrap().push(Call::new(Script::among(
            0,
            "",
            Duration::ZERO,
            Acts::new(),
            callees,
        )));
        let mut ear = office.switch.exchange.events.listen();
        for line in lines {
            let said = api::run(&office.switch.desk(), line).await;
            assert!(said.starts_with("+OK"), "{line}: {said}");
            tokio::time::sleep(ms(1_000)).await;
        }
        while let Ok(event) = ear.try_recv() {
            events.push((*event).clone());
        }
        office.close().await;
    });
    events
}

const A: &str = "aaaaaaaa-0000-4000-8000-000000000001";
const B: &str = "bbbbbbbb-0000-4000-8000-000000000002";

/// How every leg ends whose call was so, of this cause.
fn over(call: &str, cause: &str) -> String {
    format!(
        "CHANNEL_STATE CS_HANGUP 10 {call} hangup
         CHANNEL_CALLSTATE CS_HANGUP 10 HANGUP hangup after {call}
         CHANNEL_STATE CS_REPORTING 11 HANGUP hangup
         CHANNEL_HANGUP_COMPLETE CS_REPORTING 11 HANGUP hangup {cause}
         CHANNEL_DESTROY CS_REPORTING 12 HANGUP hangup"
    )
}

/// How a caller's leg begins.
const CALLS: &str = "
    CHANNEL_STATE CS_NEW 0 DOWN ringing
    CHANNEL_STATE CS_INIT 1 DOWN ringing
    CHANNEL_CREATE CS_INIT 2 DOWN ringing
    CHANNEL_CALLSTATE CS_ROUTING 2 RINGING ringing after DOWN
    CHANNEL_STATE CS_ROUTING 2 RINGING ringing
    CHANNEL_STATE CS_EXECUTE 4 RINGING ringing";

/// How a called leg begins.
const IS_CALLED: &str = "
    CHANNEL_OUTGOING CS_NONE 1 DOWN ringing
    CHANNEL_STATE CS_INIT 1 DOWN ringing
    CHANNEL_CREATE CS_INIT 2 DOWN ringing
    CHANNEL_ORIGINATE CS_INIT 2 DOWN ringing
    CHANNEL_STATE CS_ROUTING 2 DOWN ringing
    CHANNEL_STATE CS_CONSUME_MEDIA 7 DOWN ringing";

/// It rings, and is answered.
const IS_ANSWERED: &str = "
    CHANNEL_PROGRESS CS_CONSUME_MEDIA 7 DOWN ringing
    CHANNEL_CALLSTATE CS_CONSUME_MEDIA 7 RINGING ringing after DOWN
    CODEC CS_CONSUME_MEDIA 7 RINGING ringing read PCMU
    CODEC CS_CONSUME_MEDIA 7 RINGING ringing write PCMU
    CHANNEL_ANSWER CS_CONSUME_MEDIA 7 RINGING answered    # recorded so
    CHANNEL_CALLSTATE CS_CONSUME_MEDIA 7 ACTIVE answered after RINGING";

/// What the extension of a phone does before it calls it.
const SETS: &str = "
    CHANNEL_EXECUTE CS_EXECUTE 4 RINGING ringing set
    CHANNEL_EXECUTE_COMPLETE CS_EXECUTE 4 RINGING ringing set
    CHANNEL_EXECUTE CS_EXECUTE 4 RINGING ringing set
    CHANNEL_EXECUTE_COMPLETE CS_EXECUTE 4 RINGING ringing set
    CHANNEL_EXECUTE CS_EXECUTE 4 RINGING ringing bridge";

#[test]
fn a_call_of_an_extension_that_answers() {
    let wanted = [
        CALLS,
        "CHANNEL_EXECUTE CS_EXECUTE 4 RINGING ringing answer
         CODEC CS_EXECUTE 4 RINGING ringing read PCMU
         CODEC CS_EXECUTE 4 RINGING ringing write PCMU
         CHANNEL_ANSWER CS_EXECUTE 4 RINGING answered
         CHANNEL_CALLSTATE CS_EXECUTE 4 ACTIVE answered after RINGING
         CHANNEL_EXECUTE_COMPLETE CS_EXECUTE 4 ACTIVE answered answer
         CHANNEL_EXECUTE CS_EXECUTE 4 ACTIVE answered echo
         CHANNEL_HANGUP CS_EXECUTE 10 ACTIVE hangup NORMAL_CLEARING     # recorded so, to the end
         CHANNEL_EXECUTE_COMPLETE CS_EXECUTE 10 ACTIVE hangup echo",
        &over("ACTIVE", "NORMAL_CLEARING"),
    ];
    check(&call("9196", 2, vec![], vec![]), 'a', &wanted.join("\n"));
}

#[test]
fn a_bridge_that_is_answered() {
    let theirs = vec![(When::Begun(ms(200)), Act::Ring), (When::Begun(ms(900)), Act::Answer)];
    let events = call("1004", 3, vec![], theirs);
    let ours = [
        CALLS,
        SETS,
        "CHANNEL_PROGRESS CS_EXECUTE 4 RINGING ringing
         CODEC CS_EXECUTE 4 RINGING ringing read PCMU
         CODEC CS_EXECUTE 4 RINGING ringing write PCMU
         CHANNEL_ANSWER CS_EXECUTE 4 RINGING answered
         CHANNEL_CALLSTATE CS_EXECUTE 4 ACTIVE answered after RINGING
         CHANNEL_BRIDGE CS_EXECUTE 4 ACTIVE answered a+b
         CALL_UPDATE CS_EXECUTE 4 ACTIVE answered SEND 1004 <1004> b     # there the name is Outbound Call
         CHANNEL_HANGUP CS_EXECUTE 10 ACTIVE hangup NORMAL_CLEARING
         CHANNEL_UNBRIDGE CS_EXECUTE 10 ACTIVE hangup a+b
         CHANNEL_EXECUTE_COMPLETE CS_EXECUTE 10 ACTIVE hangup bridge",
        &over("ACTIVE", "NORMAL_CLEARING"),
    ];
    check(&events, 'a', &ours.join("\n"));
    let theirs = [
        IS_CALLED,
        IS_ANSWERED,
        "CHANNEL_STATE CS_EXCHANGE_MEDIA 5 ACTIVE answered
         CALL_UPDATE CS_EXCHANGE_MEDIA 5 ACTIVE answered SEND 1001 <1001> a
         CHANNEL_HANGUP CS_EXCHANGE_MEDIA 10 ACTIVE hangup NORMAL_CLEARING",
        &over("ACTIVE", "NORMAL_CLEARING"),
    ];
    check(&events, 'b', &theirs.join("\n"));
}

#[test]
fn a_bridge_whose_called_side_hangs_up() {
    let theirs = vec![(When::Begun(ms(900)), Act::Answer), (When::Up(ms(900)), Act::HangUp)];
    let events = call("1004", 3, vec![], theirs);
    let ours = [
        CALLS,
        SETS,
        "CODEC CS_EXECUTE 4 RINGING ringing read PCMU
         CODEC CS_EXECUTE 4 RINGING ringing write PCMU
         CHANNEL_ANSWER CS_EXECUTE 4 RINGING answered
         CHANNEL_CALLSTATE CS_EXECUTE 4 ACTIVE answered after RINGING
         CHANNEL_BRIDGE CS_EXECUTE 4 ACTIVE answered a+b
         CALL_UPDATE CS_EXECUTE 4 ACTIVE answered SEND 1004 <1004> b
         CHANNEL_UNBRIDGE CS_EXECUTE 4 ACTIVE answered a+b
         CHANNEL_HANGUP CS_EXECUTE 10 ACTIVE hangup NORMAL_CLEARING
         CHANNEL_EXECUTE_COMPLETE CS_EXECUTE 10 ACTIVE hangup bridge",
        &over("ACTIVE", "NORMAL_CLEARING"),
    ];
    check(&events, 'a', &ours.join("\n"));
}

#[test]
fn early_media_and_then_an_answer() {
    let theirs = vec![(When::Begun(ms(200)), Act::EarlyMedia), (When::Begun(ms(900)), Act::Answer)];
    let events = call("1004", 3, vec![], theirs);
    let ours = [
        CALLS,
        SETS,
        "CODEC CS_EXECUTE 4 RINGING ringing read PCMU
         CODEC CS_EXECUTE 4 RINGING ringing write PCMU
         CHANNEL_PROGRESS_MEDIA CS_EXECUTE 4 RINGING early
         CHANNEL_CALLSTATE CS_EXECUTE 4 EARLY early after RINGING
         CHANNEL_BRIDGE CS_EXECUTE 4 EARLY early a+b
         CHANNEL_ANSWER CS_EXECUTE 4 EARLY answered
         CHANNEL_CALLSTATE CS_EXECUTE 4 ACTIVE answered after EARLY
         CALL_UPDATE CS_EXECUTE 4 ACTIVE answered SEND 1004 <1004> b
         CHANNEL_HANGUP CS_EXECUTE 10 ACTIVE hangup NORMAL_CLEARING
         CHANNEL_UNBRIDGE CS_EXECUTE 10 ACTIVE hangup a+b
         CHANNEL_EXECUTE_COMPLETE CS_EXECUTE 10 ACTIVE hangup bridge",
        &over("ACTIVE", "NORMAL_CLEARING"),
    ];
    check(&events, 'a', &ours.join("\n"));
    let theirs = [
        IS_CALLED,
        "CODEC CS_CONSUME_MEDIA 7 DOWN ringing read PCMU
         CODEC CS_CONSUME_MEDIA 7 DOWN ringing write PCMU
         CHANNEL_PROGRESS_MEDIA CS_CONSUME_MEDIA 7 DOWN early
         CHANNEL_CALLSTATE CS_CONSUME_MEDIA 7 EARLY early after DOWN
         CHANNEL_STATE CS_EXCHANGE_MEDIA 5 EARLY early
         CHANNEL_ANSWER CS_EXCHANGE_MEDIA 5 EARLY answered
         CHANNEL_CALLSTATE CS_EXCHANGE_MEDIA 5 ACTIVE answered after EARLY
         CALL_UPDATE CS_EXCHANGE_MEDIA 5 ACTIVE answered SEND 1001 <1001> a
         CHANNEL_HANGUP CS_EXCHANGE_MEDIA 10 ACTIVE hangup NORMAL_CLEARING",
        &over("ACTIVE", "NORMAL_CLEARING"),
    ];
    check(&events, 'b', &theirs.join("\n"));
}

#[test]
fn a_bridge_that_is_refused() {
    let theirs = vec![(When::Begun(ms(200)), Act::Ring), (When::Begun(ms(900)), Act::Refuse(486))];
    let script = Script {
        callee_acts: vec![theirs],
        ..Script::exactly(CALLER, "1004", Duration::ZERO, seconds(3), vec![], vec![])
    };
    let events = office::plays(EXTENSIONS, vec![script], |_| {}).1;
    let ours = [
        CALLS,
        SETS,
        "CHANNEL_PROGRESS CS_EXECUTE 4 RINGING ringing
         CHANNEL_HANGUP CS_EXECUTE 10 RINGING hangup USER_BUSY
         CHANNEL_EXECUTE_COMPLETE CS_EXECUTE 10 RINGING hangup bridge",
        &over("RINGING", "USER_BUSY"),
    ];
    check(&events, 'a', &ours.join("\n"));
    let theirs = [
        IS_CALLED,
        "CHANNEL_PROGRESS CS_CONSUME_MEDIA 7 DOWN ringing
         CHANNEL_CALLSTATE CS_CONSUME_MEDIA 7 RINGING ringing after DOWN
         CHANNEL_HANGUP CS_CONSUME_MEDIA 10 RINGING hangup USER_BUSY",
        &over("RINGING", "USER_BUSY"),
    ];
    check(&events, 'b', &theirs.join("\n"));
}

#[test]
fn no_route() {
    let events = call("777", 1, vec![], vec![]);
    let begins = CALLS.replace("CHANNEL_STATE CS_EXECUTE 4 RINGING ringing", "");
    let ends = over("RINGING", "NO_ROUTE_DESTINATION");
    let wanted =
        [&begins, "CHANNEL_HANGUP CS_ROUTING 10 RINGING hangup NO_ROUTE_DESTINATION", &ends].join("\n");
    check(&events, 'a', &wanted);
}

#[test]
fn a_hold_by_the_phone() {
    let theirs = vec![
        (When::Begun(ms(900)), Act::Answer),
        (When::Up(ms(1_000)), Act::Offer(Audio::Hold)),
        (When::Up(ms(2_000)), Act::Offer(Audio::Talk)),
        (When::Up(ms(3_000)), Act::Offer(Audio::Hold)),
    ];
    let events = call("1004", 5, vec![], theirs);
    let begins = IS_ANSWERED.lines().skip(3).collect::<Vec<_>>().join("\n").replace("RINGING", "DOWN");
    let wanted = [
        IS_CALLED,
        &begins,
        "CHANNEL_STATE CS_EXCHANGE_MEDIA 5 ACTIVE answered
         CALL_UPDATE CS_EXCHANGE_MEDIA 5 ACTIVE answered SEND 1001 <1001> a
         CHANNEL_CALLSTATE CS_EXCHANGE_MEDIA 5 HELD answered after ACTIVE
         CHANNEL_HOLD CS_EXCHANGE_MEDIA 5 HELD answered
         CHANNEL_CALLSTATE CS_EXCHANGE_MEDIA 5 UNHELD answered after HELD
         CHANNEL_UNHOLD CS_EXCHANGE_MEDIA 5 UNHELD answered
         CHANNEL_CALLSTATE CS_EXCHANGE_MEDIA 5 ACTIVE answered after UNHELD  # there not before the state changes
         CHANNEL_CALLSTATE CS_EXCHANGE_MEDIA 5 HELD answered after ACTIVE
         CHANNEL_HOLD CS_EXCHANGE_MEDIA 5 HELD answered
         CHANNEL_CALLSTATE CS_EXCHANGE_MEDIA 5 UNHELD answered after HELD
         CHANNEL_UNHOLD CS_EXCHANGE_MEDIA 5 UNHELD answered
         CHANNEL_HANGUP CS_EXCHANGE_MEDIA 10 UNHELD hangup NORMAL_CLEARING",
        &over("UNHELD", "NORMAL_CLEARING"),
    ];
    check(&events, 'b', &wanted.join("\n"));
}

/// A called phone that is parked.
const PARKED: &str = "
    CHANNEL_EXECUTE CS_EXECUTE 4 ACTIVE answered park
    CHANNEL_PARK CS_EXECUTE 4 ACTIVE answered";
/// It is hung up there.
const UNPARKED: &str = "
    CHANNEL_HANGUP CS_EXECUTE 10 ACTIVE hangup NORMAL_CLEARING
    CHANNEL_UNPARK CS_EXECUTE 10 ACTIVE hangup
    CHANNEL_EXECUTE_COMPLETE CS_EXECUTE 10 ACTIVE hangup park";

#[test]
fn an_originate_that_parks() {
    let line = format!("originate {{sip_h_X-Call=0,origination_uuid={A}}}user/1004@office.test &park()");
    let events = commands(&[&line, &format!("uuid_kill {A}")]);
    let wanted = [
        IS_CALLED,
        IS_ANSWERED,
        "CALL_UPDATE CS_CONSUME_MEDIA 4 ACTIVE answered RECV - <-> -
         CHANNEL_STATE CS_EXECUTE 4 ACTIVE answered",
        PARKED,
        UNPARKED,
        &over("ACTIVE", "NORMAL_CLEARING"),
    ];
    check(&events, 'a', &wanted.join("\n"));
}

#[test]
fn an_originate_to_an_extension_that_is_transferred() {
    let line = format!("originate {{sip_h_X-Call=0,origination_uuid={A}}}user/1004@office.test 1006");
    let events = commands(&[&line, &format!("uuid_transfer {A} 8000"), &format!("uuid_kill {A}")]);
    let sets = SETS.replace("RINGING ringing", "ACTIVE answered");
    let ours = [
        IS_CALLED,
        IS_ANSWERED,
        "CHANNEL_STATE CS_ROUTING 2 ACTIVE answered
         CALL_UPDATE CS_ROUTING 2 ACTIVE answered RECV - <-> -
         CHANNEL_STATE CS_EXECUTE 4 ACTIVE answered",
        &sets,
        "CHANNEL_BRIDGE CS_EXECUTE 4 ACTIVE answered a+b
         CALL_UPDATE CS_EXECUTE 4 ACTIVE answered SEND 1006 <1006> b
         CHANNEL_UNBRIDGE CS_EXECUTE 2 ACTIVE answered a+b
         CHANNEL_EXECUTE_COMPLETE CS_EXECUTE 2 ACTIVE answered bridge
         CHANNEL_STATE CS_ROUTING 2 ACTIVE answered
         CHANNEL_STATE CS_EXECUTE 4 ACTIVE answered",
        PARKED,
        UNPARKED,
        &over("ACTIVE", "NORMAL_CLEARING"),
    ];
    check(&events, 'a', &ours.join("\n"));
    let theirs = [
        IS_CALLED,
        IS_ANSWERED,
        "CHANNEL_STATE CS_EXCHANGE_MEDIA 5 ACTIVE answered
         CALL_UPDATE CS_EXCHANGE_MEDIA 5 ACTIVE answered SEND Outbound Call <1004> a
         CHANNEL_HANGUP CS_EXCHANGE_MEDIA 10 ACTIVE hangup NORMAL_CLEARING",
        &over("ACTIVE", "NORMAL_CLEARING"),
    ];
    check(&events, 'b', &theirs.join("\n"));
}

#[test]
fn two_that_are_bridged_by_a_command() {
    let line = |uuid: &str, user: u32| {
        format!("originate {{sip_h_X-Call=0,origination_uuid={uuid}}}user/{user}@office.test &park()")
    };
    let bridge = format!("uuid_bridge {A} {B}");
    let events = commands(&[&line(A, 1004), &line(B, 1006), &bridge, &format!("uuid_kill {B}")]);
    let parked = [
        IS_CALLED,
        IS_ANSWERED,
        "CALL_UPDATE CS_CONSUME_MEDIA 4 ACTIVE answered RECV - <-> -
         CHANNEL_STATE CS_EXECUTE 4 ACTIVE answered",
        PARKED,
        "CHANNEL_UNPARK CS_EXECUTE 4 ACTIVE answered
         CHANNEL_EXECUTE_COMPLETE CS_EXECUTE 4 ACTIVE answered park",
    ]
    .join("\n");
    let ours = [
        &*parked,
        "CHANNEL_BRIDGE CS_EXECUTE 4 ACTIVE answered a+b
         CALL_UPDATE CS_EXECUTE 4 ACTIVE answered SEND Outbound Call <1006> b
         CHANNEL_UNBRIDGE CS_EXECUTE 4 ACTIVE answered a+b
         CHANNEL_HANGUP CS_EXECUTE 10 ACTIVE hangup NORMAL_CLEARING",
        &over("ACTIVE", "NORMAL_CLEARING"),
    ];
    check(&events, 'a', &ours.join("\n"));
    let told: Vec<_> = Legs::of(&events).story(&events, 'b');
    assert!(
        told.contains(
            &"CALL_UPDATE CS_EXCHANGE_MEDIA 5 ACTIVE answered SEND Outbound Call <1004> a".to_owned()
        ),
        "{told:#?}"
    );
}
