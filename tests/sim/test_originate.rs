//! `originate`: calls made by a command alone, and legs that are killed whatever they do.

use std::time::Duration;

use rand::Rng;
use tandem::api;
use tandem::event::{Event, EventName};

use crate::net::{Weather, seeds};
use crate::office::{self, Office, contacts, number};
use crate::record::{Call, End};
use crate::script::{Act, Acts, Script, When, ms};

const AGENT: usize = 40; // 1004
const OTHER: usize = 60; // 1006

const EXTENSIONS: &str = r#"
  <extension name="stays"><condition field="destination_number" expression="^8000$">
    <action application="set" data="seen=${caller_id_number}-${destination_number}"/>
    <action application="park"/>
  </condition></extension>
  <extension name="refuses"><condition field="destination_number" expression="^8001$">
    <action application="hangup" data="USER_BUSY"/>
  </condition></extension>"#;

fn at(millis: u64, act: Act) -> (When, Act) {
    (When::Begun(ms(millis)), act)
}

fn answers(millis: u64) -> Acts {
    vec![at(100, Act::Ring), at(millis, Act::Answer)]
}

/// A call of the book that only called phones take part in; its number goes along as `sip_h_X-Call`.
fn enter(office: &Office, acts: Vec<(usize, Acts)>) -> usize {
    let mut book = office.book.lock().unwrap();
    book.push(Call::new(Script::among(0, "", Duration::ZERO, Acts::new(), acts)));
    book.len() - 1
}

async fn say(office: &Office, line: &str) -> String {
    api::run(&office.switch.desk(), line).await
}

/// What a command line says, and after how long; then `then` with what it said, and 60 s later every event.
fn told(line: &str, acts: Vec<(usize, Acts)>, then: &[&str]) -> (String, Duration, Vec<String>, Vec<Event>) {
    let mut out = None;
    office::run(async {
        let office = Office::open(0, Weather::fine(), EXTENSIONS).await;
        let mut ear = office.switch.exchange.events.listen();
        enter(&office, acts);
        let begun = tokio::time::Instant::now();
        let line = line.replace("1004", "1004@office.test").replace("1006", "1006@office.test");
        let said = say(&office, &line).await;
        let lasted = begun.elapsed();
        let uuid = said.strip_prefix("+OK ").unwrap_or("").trim().to_owned();
        let mut more = Vec::new();
        for line in then {
            tokio::time::sleep(ms(500)).await;
            more.push(say(&office, &line.replace("UUID", &uuid)).await);
        }
        let mut events = Vec::new();
        let over = tokio::time::Instant::now() + Duration::from_secs(60);
        while tokio::time::Instant::now() < over {
            tokio::time::sleep(ms(100)).await;
            while let Ok(event) = ear.try_recv() {
                events.push((*event).clone());
            }
        }
        say(&office, "hupall").await;
        out = Some((said, lasted, more, events));
        office.close().await;
    });
    out.unwrap()
}

fn near(lasted: Duration, millis: u64) -> bool {
    let millis = ms(millis);
    lasted >= millis && lasted < millis + ms(300)
}

fn is_ok(said: &str) -> bool {
    said.len() == 41 && said.starts_with("+OK ") && said.ends_with('\n')
}

#[test]
fn the_answer_comes_when_somebody_answers_or_sends_early_media() {
    let rings = vec![at(100, Act::Ring), at(1_000, Act::EarlyMedia), at(5_000, Act::Answer)];
    for (line, acts, millis) in [
        ("originate {sip_h_X-Call=0}user/1004 &park()", answers(2_000), 2_000),
        ("originate {sip_h_X-Call=0}user/1004 &park()", rings.clone(), 1_000),
        ("originate {sip_h_X-Call=0,ignore_early_media=true}user/1004 &park()", rings.clone(), 5_000),
        ("originate {sip_h_X-Call=0}user/1004:_:user/1999@office.test &park()", rings, 5_000),
        ("originate {sip_h_X-Call=0}user/1004 8000", answers(2_000), 2_000),
        ("originate {sip_h_X-Call=0}user/1004 8000 XML default Al 555", answers(2_000), 2_000),
        ("originate {sip_h_X-Call=0}user/1004 'answer,park' inline", answers(2_000), 2_000),
        ("originate {sip_h_X-Call=0}error/user_busy|user/1004 &park()", answers(2_000), 2_000),
    ] {
        let (said, lasted, more, _) = told(line, vec![(AGENT, acts)], &["uuid_exists UUID"]);
        assert!(is_ok(&said), "{line}: {said}");
        assert!(near(lasted, millis), "{line}: {lasted:?}");
        assert_eq!(more, ["true"], "{line}");
    }
}

#[test]
fn who_cannot_be_reached_is_told_by_the_cause() {
    let busy = || vec![at(500, Act::Refuse(486))];
    let rings = || vec![at(100, Act::Ring)];
    for (line, acts, said, millis) in [
        ("originate {sip_h_X-Call=0}user/1004 &park()", busy(), "-ERR USER_BUSY\n", 500),
        (
            "originate {sip_h_X-Call=0,originate_timeout=3}user/1004 &park()",
            rings(),
            "-ERR NO_ANSWER\n",
            3_000,
        ),
        (
            "originate {sip_h_X-Call=0}user/1004 &park() undef undef undef undef 4",
            rings(),
            "-ERR NO_ANSWER\n",
            4_000,
        ),
        (
            "originate {sip_h_X-Call=0,originate_retries=3,originate_retry_sleep_ms=1000}user/1004 8000",
            busy(),
            "-ERR USER_BUSY\n",
            3_500,
        ),
        ("originate user/1999@office.test &park()", busy(), "-ERR USER_NOT_REGISTERED\n", 0),
        ("originate user/nobody@office.test &park()", busy(), "-ERR SUBSCRIBER_ABSENT\n", 0),
        ("originate sofia/nowhere/1@192.0.2.9 &park()", busy(), "-ERR INVALID_PROFILE\n", 0),
        ("originate sofia/gateway/nobody/1 &park()", busy(), "-ERR INVALID_GATEWAY\n", 0),
        ("originate nothing/1 &park()", busy(), "-ERR CHAN_NOT_IMPLEMENTED\n", 0),
        ("originate error/call_rejected &park()", busy(), "-ERR CALL_REJECTED\n", 0),
        ("originate loopback/8001/default 8000", busy(), "-ERR USER_BUSY\n", 0),
    ] {
        let (answer, lasted, ..) = told(line, vec![(AGENT, acts)], &[]);
        assert_eq!(answer, said, "{line}");
        assert!(near(lasted, millis), "{line}: {lasted:?}");
    }
}

#[test]
fn arguments_that_are_none_are_told_the_usage() {
    const USAGE: &str = "-USAGE: <call url> <exten>|&<application_name>(<app_args>) [<dialplan>] [<context>] \
                         [<cid_name>] [<cid_num>] [<timeout_sec>]\n";
    for line in ["originate", "originate user/1", "originate 1 2 3 4 5 6 7 8", "originate undef 1"] {
        assert_eq!(told(line, vec![], &[]).0, USAGE, "{line}");
    }
}

fn first(events: &[Event], name: EventName) -> &Event {
    events.iter().find(|event| event.name == name).unwrap_or_else(|| panic!("no {name:?}"))
}

#[test]
fn a_leg_of_nobody_s_is_a_call_of_its_own() {
    let uuid = "11111111-2222-3333-4444-555555555555";
    let line = format!(
        "originate {{sip_h_X-Call=0,origination_uuid={uuid},my_var='hello world'}}user/1004 8000 XML default 'Al Pha' 5551"
    );
    let more = ["uuid_getvar UUID my_var", "uuid_getvar UUID seen", "uuid_kill UUID", "uuid_exists UUID"];
    let (said, _, more, events) = told(&line, vec![(AGENT, answers(1_000))], &more);
    assert_eq!(said, format!("+OK {uuid}\n"));
    assert_eq!(more, ["hello world", "1004-8000", "+OK\n", "false"]);
    let create = first(&events, EventName::ChannelCreate);
    for (header, value) in [
        ("Unique-ID", Some(uuid)),
        ("Call-Direction", Some("outbound")),
        ("Caller-Caller-ID-Name", Some("Al Pha")),
        ("Caller-Caller-ID-Number", Some("5551")),
        ("Caller-Context", Some("default")),
        ("variable_origination_caller_id_number", Some("5551")),
        ("variable_my_var", Some("hello world")),
        ("variable_originator", None),
        ("Other-Type", None),
    ] {
        assert_eq!(create.header(header), value, "{header}");
    }
    first(&events, EventName::ChannelOriginate);
    let all = events.iter().filter(|event| event.name == EventName::ChannelCreate).count();
    assert_eq!(all, 1, "whoever calls for a command is no channel");
    let end = first(&events, EventName::ChannelHangupComplete);
    assert_eq!(end.header("Hangup-Cause"), Some("NORMAL_CLEARING"));
    assert_eq!(end.header("Caller-Caller-ID-Number"), Some("1004"), "it is a caller since it was answered");
}

#[test]
fn the_caller_has_a_number_when_none_is_said() {
    let (_, _, _, events) =
        told("originate {sip_h_X-Call=0}user/1004 &park()", vec![(AGENT, answers(500))], &[]);
    let create = first(&events, EventName::ChannelCreate);
    assert_eq!(create.header("Caller-Caller-ID-Number"), Some("0000000000"));
}

#[test]
fn two_are_bridged_and_one_that_hangs_up_ends_both() {
    for exten in ["&bridge(user/1006)", "1006"] {
        let line = format!("originate {{sip_h_X-Call=0}}user/1004 {exten}");
        let line = line.replace(" 1006", " 1006 XML default").replace("1006@office.test", "1006");
        let mut ends = Vec::new();
        office::run(async {
            let office = Office::open(0, Weather::fine(), EXTENSIONS).await;
            let theirs = vec![at(1_000, Act::Answer), (When::Up(ms(5_000)), Act::HangUp)];
            enter(&office, vec![(AGENT, answers(1_000)), (OTHER, theirs)]);
            let line =
                line.replace("1004", "1004@office.test").replace("(user/1006", "(user/1006@office.test");
            assert!(is_ok(&say(&office, &line).await), "{line}");
            tokio::time::sleep(ms(4_000)).await;
            assert_eq!(office.switch.exchange.legs.len(), 2, "{line}");
            tokio::time::sleep(ms(4_000)).await;
            assert_eq!(office.switch.exchange.legs.len(), 0, "{line}");
            for phone in [AGENT, OTHER] {
                ends.push(office.book.lock().unwrap()[0].callees[&phone].ended());
            }
            office.close().await;
        });
        assert_eq!(ends, [Some(End::Byed), Some(End::HungUp)], "{line}");
    }
}

#[test]
fn whoever_asked_may_go_away() {
    for millis in [50, 500, 1_500] {
        office::run(async {
            let office = Office::open(0, Weather::fine(), EXTENSIONS).await;
            enter(&office, vec![(AGENT, answers(1_000))]);
            let desk = office.switch.desk();
            let line = "originate {sip_h_X-Call=0}user/1004@office.test &park()";
            let asking = tokio::spawn(async move { api::run(&desk, line).await });
            tokio::time::sleep(ms(millis)).await;
            asking.abort();
            tokio::time::sleep(ms(3_000)).await;
            assert_eq!(office.switch.exchange.legs.len(), 1, "it is called and parked all the same");
            say(&office, "hupall").await;
            office.close().await;
        });
    }
}

/// Legs that ring, are parked, bridged, in a loop of ours or about to be: killed at any moment, each is gone within 2 s.
#[test]
fn a_killed_leg_is_gone_within_two_seconds() {
    let lines = [
        "&park()",
        "&bridge(user/1006@office.test)",
        "8000",
        "'sleep:30000' inline",
        "&echo()",
        "&bridge(loopback/9196/default)",
        "&valet_park(lot auto in 8000 8999)",
    ];
    for seed in seeds(office::worlds()) {
        office::run(async {
            let mut office = Office::open(seed, Weather::fine(), EXTENSIONS).await;
            let vanishes = [at(300, Act::Ring), at(700, Act::Answer), (When::Up(ms(400)), Act::Vanish)];
            for line in lines {
                let dies = office.rng.random_bool(0.3);
                let acts = if dies { vanishes.to_vec() } else { answers(700) };
                let call = enter(&office, vec![(AGENT, acts), (OTHER, answers(700))]);
                let desk = office.switch.desk();
                let uuid = uuid(call);
                let line = format!(
                    "originate {{sip_h_X-Call={call},origination_uuid={uuid}}}user/1004@office.test {line}"
                );
                let asking = tokio::spawn(async move { api::run(&desk, &line).await });
                tokio::time::sleep(ms(office.rng.random_range(10..3_000))).await;
                let said = say(&office, &format!("uuid_kill {uuid} USER_BUSY")).await;
                assert!(matches!(&*said, "+OK\n" | "-ERR No such channel!\n"), "{said}");
                tokio::time::sleep(ms(2_000)).await;
                assert_eq!(say(&office, &format!("uuid_exists {uuid}")).await, "false", "seed {seed}");
                asking.await.unwrap();
                say(&office, "hupall").await;
            }
            office.close().await;
        });
    }
}

fn uuid(n: usize) -> String {
    format!("00000000-0000-4000-8000-{n:012}")
}

/// A dialler: twenty calls a second, whoever answers is bridged to the next free agent, all of it by commands and events.
#[test]
fn a_dialler_brings_those_who_answer_to_free_agents() {
    const CALLS: usize = 100;
    for seed in seeds(office::worlds().min(5)) {
        office::run(async {
            let mut office = Office::open(seed, Weather::fine(), EXTENSIONS).await;
            let mut ear = office.switch.exchange.events.listen();
            let mut asked = Vec::new();
            let mut wanted = Vec::new();
            for n in 0..CALLS {
                let user = office.rng.random_range(0..office::USERS);
                let (acts, cause) = match n % 4 {
                    0 => (vec![at(400, Act::Refuse(486))], Some("USER_BUSY")),
                    1 => (vec![at(100, Act::Ring)], Some("NO_ANSWER")),
                    _ => (answers(1_000), None),
                };
                let phones = (0..contacts(user)).map(|contact| (user * 10 + contact, acts.clone())).collect();
                let call = enter(&office, phones);
                wanted.push(cause);
                let desk = office.switch.desk();
                let line = format!(
                    "originate {{sip_h_X-Call={call},originate_timeout=5,ignore_early_media=true}}user/{}@office.test &park()",
                    number(user)
                );
                asked.push(tokio::spawn(async move { api::run(&desk, &line).await }));
                tokio::time::sleep(ms(50)).await;
            }
            let mut customers = Vec::new();
            for (asking, wanted) in asked.into_iter().zip(&wanted) {
                let said = asking.await.unwrap();
                match wanted {
                    Some(cause) => assert_eq!(said, format!("-ERR {cause}\n")),
                    None => {
                        assert!(is_ok(&said), "{said}");
                        customers.push(said.trim_start_matches("+OK ").trim().to_owned());
                    }
                }
            }
            assert_eq!(customers.len(), CALLS / 2);
            // Five agents stay on the line; each talks to one after the other.
            let mut agents = Vec::new();
            for n in 0..5 {
                let phone = 8 * 10 + n % contacts(8);
                let call = enter(&office, vec![(phone, answers(200))]);
                let line = format!(
                    "originate {{sip_h_X-Call={call},park_after_bridge=true}}user/1008@office.test &park()"
                );
                let said = say(&office, &line).await;
                assert!(is_ok(&said), "{said}");
                agents.push(said.trim_start_matches("+OK ").trim().to_owned());
            }
            for (n, customer) in customers.iter().enumerate() {
                let agent = &agents[n % agents.len()];
                let said = say(&office, &format!("uuid_bridge {customer} {agent}")).await;
                assert_eq!(said, format!("+OK {agent}\n"));
                tokio::time::sleep(ms(300)).await;
                let partner = say(&office, &format!("uuid_getvar {customer} bridge_uuid")).await;
                assert_eq!(&partner, agent, "customer {n}");
                assert_eq!(say(&office, &format!("uuid_kill {customer}")).await, "+OK\n");
                tokio::time::sleep(ms(200)).await;
                assert_eq!(say(&office, &format!("uuid_exists {agent}")).await, "true", "the agent waits");
            }
            let mut bridged = 0;
            while let Ok(event) = ear.try_recv() {
                bridged += usize::from(event.name == EventName::ChannelBridge);
            }
            assert_eq!(bridged, customers.len(), "each bridge is told once");
            assert_eq!(say(&office, "hupall").await, "+OK hangup all channels with cause MANAGER_REQUEST\n");
            office.close().await;
        });
    }
}
