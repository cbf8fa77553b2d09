//! What commands say, to the letter, on legs that live and on uuids nobody has; and what they do.

use std::time::Duration;

use tandem::api;
use tandem::event::{Event, EventName};

use crate::golden;
use crate::net::Weather;
use crate::office::{self, Office};
use crate::record::{Call, End};
use crate::script::{Act, Acts, Script, When, ms};

const AGENT: usize = 40; // 1004
const OTHER: usize = 60; // 1006
const A: &str = "aaaaaaaa-0000-4000-8000-000000000001";
const B: &str = "bbbbbbbb-0000-4000-8000-000000000002";
const NOBODY: &str = "dddddddd-0000-4000-8000-000000000009";

const EXTENSIONS: &str = r#"
  <extension name="stays"><condition field="destination_number" expression="^8000$">
    <action application="set" data="was=here"/>
    <action application="park"/>
  </condition></extension>
  <extension name="sleeps"><condition field="destination_number" expression="^8002$">
    <action application="sleep" data="600000"/>
    <action application="set" data="woke=up"/>
    <action application="park"/>
  </condition></extension>"#;

async fn say(office: &Office, line: &str) -> String {
    let line = line.replace("NOBODY", NOBODY).replace("AAA", A).replace("BBB", B);
    api::run(&office.switch.desk(), &line).await
}

/// Two legs that are answered and do not know each other; then each line of this file of `tests/golden` must be answered so.
fn talks(file: &str) -> (Vec<Event>, Vec<Option<End>>) {
    let (mut events, mut ends) = (Vec::new(), Vec::new());
    office::run(async {
        let office = Office::open(0, Weather::fine(), EXTENSIONS).await;
        let acts: Acts = vec![(When::Begun(ms(100)), Act::Answer)];
        let script =
            Script::among(0, "", Duration::ZERO, Acts::new(), vec![(AGENT, acts.clone()), (OTHER, acts)]);
        office.book.lock().unwrap().push(Call::new(script));
        let mut ear = office.switch.exchange.events.listen();
        for (uuid, user) in [(A, 1004), (B, 1006)] {
            let line = format!(
                "originate {{sip_h_X-Call=0,origination_uuid={uuid}}}user/{user}@office.test &park()"
            );
            assert_eq!(say(&office, &line).await, format!("+OK {uuid}\n"));
        }
        let host = office.switch.exchange.events.host.hostname.clone();
        let mut said = Vec::new();
        for row in golden::rows(file) {
            let row = row.named(&[("AAA", A), ("BBB", B), ("NOBODY", NOBODY), ("HOST", &host)]);
            let answer = say(&office, &row.line).await;
            said.push((row, answer));
            tokio::time::sleep(ms(300)).await;
        }
        golden::compare(&said);
        say(&office, "hupall").await;
        tokio::time::sleep(ms(1_000)).await;
        while let Ok(event) = ear.try_recv() {
            events.push((*event).clone());
        }
        {
            let book = office.book.lock().unwrap();
            ends =
                [AGENT, OTHER].map(|phone| book[0].callees.get(&phone).and_then(|side| side.ended())).into();
        }
        office.close().await;
    });
    (events, ends)
}

#[test]
fn what_is_said_of_channels() {
    talks(include_str!("../golden/channels.txt"));
}

#[test]
fn where_channels_are_sent() {
    talks(include_str!("../golden/where_channels_are_sent.txt"));
}

/// Of two legs that are bridged the first tells of it, and of its end (`switch_ivr_uuid_bridge`).
#[test]
fn the_first_of_two_that_are_bridged_tells() {
    let (events, _) = talks("> uuid_bridge BBB AAA\n+OK AAA\n> uuid_transfer AAA 8000\n+OK\n");
    for name in [EventName::ChannelBridge, EventName::ChannelUnbridge] {
        let told: Vec<_> = events.iter().filter(|event| event.name == name).collect();
        let [told] = told.as_slice() else { panic!("{told:?}") };
        for (header, value) in [
            ("Unique-ID", B),
            ("Bridge-A-Unique-ID", B),
            ("Bridge-B-Unique-ID", A),
            ("Other-Leg-Unique-ID", A),
        ] {
            let unbridged = name == EventName::ChannelUnbridge && header == "Other-Leg-Unique-ID";
            assert!(unbridged || told.header(header) == Some(value), "{header} of {told:?}");
        }
    }
}

#[test]
fn what_runs_in_the_middle_of_a_call() {
    let (events, _) = talks(include_str!("../golden/what_runs_in_the_middle_of_a_call.txt"));
    let beats = events.iter().filter(|event| event.name == EventName::SessionHeartbeat).count();
    assert!((2..=3).contains(&beats), "{beats}");
}

#[test]
fn what_the_far_end_is_told() {
    let (events, _) = talks(include_str!("../golden/what_the_far_end_is_told.txt"));
    let count = |name| events.iter().filter(|event| event.name == name).count();
    assert_eq!((count(EventName::ChannelHold), count(EventName::ChannelUnhold)), (2, 2));
    let digits: String = events
        .iter()
        .filter(|event| event.name == EventName::Dtmf && event.header("DTMF-Source") == Some("APP"))
        .filter_map(|event| event.header("DTMF-Digit"))
        .collect();
    assert_eq!(digits, "7*");
}

#[test]
fn what_is_put_off() {
    talks(include_str!("../golden/what_is_put_off.txt"));
}

#[test]
fn the_switch_as_a_whole() {
    talks(include_str!("../golden/the_switch_as_a_whole.txt"));
}

#[test]
fn a_command_in_the_background_tells_by_an_event_what_it_said() {
    let (events, _) = talks(include_str!("../golden/in_the_background.txt"));
    let jobs: Vec<_> = events.iter().filter(|event| event.name == EventName::BackgroundJob).collect();
    let told: Vec<_> = jobs.iter().map(|job| (job.header("Job-UUID"), job.body.as_deref())).collect();
    assert_eq!(
        told,
        [(Some("job-7"), Some("_undef_")), (Some("job-8"), Some("-ERR nonsense Command not found!\n"))]
    );
    assert_eq!(jobs[0].header("Job-Command"), Some("uuid_getvar"));
}

/// Line breaks, plain and escaped, in every argument: an answer is of one command, and a message of one header.
#[test]
fn nothing_breaks_out_of_an_argument() {
    for broken in ["\r\nX-Evil: 1", "\nX-Evil: 1", "%0aX-Evil:%201", "\r\n\r\nINVITE sip:x SIP/2.0\r\n\r\n"] {
        office::run(async {
            let office = Office::open(0, Weather::fine(), EXTENSIONS).await;
            let acts: Acts = vec![(When::Begun(ms(100)), Act::Answer)];
            let script = Script::among(0, "", Duration::ZERO, Acts::new(), vec![(AGENT, acts)]);
            office.book.lock().unwrap().push(Call::new(script));
            let line = format!(
                "originate '{{sip_h_X-Call=0,origination_uuid={A},sip_h_X-Own=a{broken}}}user/1004@office.test' &park() XML default 'Al{broken}' '555{broken}'"
            );
            assert_eq!(say(&office, &line).await, format!("+OK {A}\n"), "{broken:?}");
            for line in [
                "uuid_kill NOBODY*",
                "uuid_transfer AAA* 8000",
                "uuid_bridge AAA NOBODY*",
                "uuid_send_info AAA text* plain hello",
                "uuid_send_info AAA '*'",
                "uuid_send_message AAA '*'",
                "uuid_chat AAA a*",
                "uuid_phone_event AAA talk*",
                "uuid_deflect AAA sip:a*@b",
                "uuid_redirect AAA sip:a*@b",
                "uuid_chat NO*BODY x",
                "uuid_send_dtmf AAA 1*",
                "uuid_recv_dtmf AAA 1*",
                "uuid_broadcast AAA set*::a=b",
                "uuid_broadcast AAA set::a=b*",
                "sched_hangup +1* AAA",
                "sched_api +1 g* echo x",
                "fsctl max_sessions* 1",
                "fsctl loglevel* x",
                "bgapi uuid:j* echo x",
                "originate user/*@office.test &park()",
                "originate user/1999@office.test *",
                "originate sofia/internal*/1@192.0.2.9 &park()",
            ] {
                let said = say(&office, &line.replace('*', broken)).await;
                assert!(
                    !said.contains("\nX-Evil") && !said.contains("\nINVITE"),
                    "{line} {broken:?}: {said:?}"
                );
            }
            tokio::time::sleep(ms(3_000)).await;
            say(&office, "hupall").await;
            // Whatever was sent, the phone has understood it as what it was.
            tokio::time::sleep(ms(1_000)).await;
            {
                let book = office.book.lock().unwrap();
                assert!(matches!(book[0].callees[&AGENT].ended(), Some(End::Byed)), "{:?}", book[0]);
            }
            office.close().await;
        });
    }
}
