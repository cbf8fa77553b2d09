//! Calls picked up by a key, callers who camp on a busy phone, variables that go from one leg to the other.

use std::time::Duration;

use tandem::event::EventName;

use crate::net::Weather;
use crate::office::{self, Ended, Office};
use crate::record::End;
use crate::script::{Act, Script, When, seconds};

const CALLER: usize = 10; // 1001
const DESK: usize = 40; // 1004
const PICKS: usize = 60; // 1006

const EXTENSIONS: &str = r#"
  <extension name="rings"><condition field="destination_number" expression="^7100$">
    <action application="set" data="hangup_after_bridge=true"/>
    <action application="bridge" data="user/1004@office.test,pickup/sales"/>
  </condition></extension>
  <extension name="only the key"><condition field="destination_number" expression="^7101$">
    <action application="set" data="call_timeout=8"/>
    <action application="bridge" data="pickup/sales"/>
    <action application="respond" data="486"/>
  </condition></extension>
  <extension name="picks"><condition field="destination_number" expression="^7102$">
    <action application="pickup" data="sales"/>
    <action application="respond" data="480"/>
  </condition></extension>
  <extension name="camps"><condition field="destination_number" expression="^7110$">
    <action application="multiset" data="campon=true campon_retries=3 campon_timeout=5 campon_sleep=4"/>
    <action application="set" data="campon_fallback_exten=7111"/>
    <action application="set" data="campon_stop_key=5"/>
    <action application="set" data="hangup_after_bridge=true"/>
    <action application="bridge" data="user/1004@office.test"/>
  </condition></extension>
  <extension name="fallback"><condition field="destination_number" expression="^7111$">
    <action application="sleep" data="2000"/>
  </condition></extension>
  <extension name="hands over"><condition field="destination_number" expression="^7120$">
    <action application="set" data="import=theirs,nothing"/>
    <action application="set" data="import_prefix=their_"/>
    <action application="set" data="given_one=1"/>
    <action application="set" data="given_two=2"/>
    <action application="set" data="execute_on_post_bridge=eval"/>
    <action application="set" data="execute_on_pre_bridge=transfer_vars ~given_"/>
    <action application="bridge" data="[theirs=4]user/1004@office.test"/>
  </condition></extension>"#;

/// The ends of the callers, and of the desk's part in the first call, with when they were.
fn plays(scripts: Vec<Script>) -> (Vec<Ended>, Option<(End, u64)>) {
    let mut seen = None;
    office::run(async {
        let mut office = Office::open(0, Weather::fine(), EXTENSIONS).await;
        scripts.into_iter().for_each(|script| office.plan(script));
        let begun = tokio::time::Instant::now().into_std();
        office.play().await;
        let after = |(at, end): (std::time::Instant, End)| (end, at.duration_since(begun).as_secs());
        let (callers, desk) = {
            let book = office.book.lock().unwrap();
            let callers = book.iter().map(|call| call.caller.end.map(after));
            let callers = callers.map(|end| (end.map(|(end, _)| end), end.map_or(0, |(_, at)| at))).collect();
            (callers, book[0].callees.get(&DESK).and_then(|side| side.end.map(after)))
        };
        assert!(office.switch.exchange.stores.pickups.is_empty());
        office.close().await;
        seen = Some((callers, desk));
    });
    seen.unwrap()
}

const BYED: Option<End> = Some(End::Byed);
const HUNG_UP: Option<End> = Some(End::HungUp);

fn rings(caller: usize, number: &str) -> Script {
    let theirs = vec![(DESK, vec![(When::Begun(seconds(1)), Act::Ring)])];
    Script::among(caller, number, Duration::ZERO, vec![(When::Up(seconds(60)), Act::HangUp)], theirs)
}

#[test]
fn a_call_is_picked_up_while_the_desk_rings() {
    let (callers, desk) = plays(vec![
        rings(CALLER, "7100"),
        Script::service(PICKS, "7102", 5, 10),
        Script::service(50, "7102", 7, 9),
    ]);
    assert_eq!(callers, [(BYED, 15), (HUNG_UP, 15), (Some(End::Failed(480)), 7)]);
    assert_eq!(desk, Some((End::Cancelled, 5)), "it rings no more");
}

#[test]
fn a_key_alone_rings_until_somebody_comes_or_time_is_up() {
    let (callers, _) = plays(vec![
        Script::service(CALLER, "7101", 0, 60),
        Script::service(PICKS, "7102", 4, 10),
        Script::service(CALLER, "7101", 20, 60),
    ]);
    assert_eq!(callers, [(BYED, 14), (HUNG_UP, 14), (Some(End::Failed(486)), 28)]);
}

/// The desk is picked up: nobody can pick the call up any more.
#[test]
fn who_answers_first_has_the_call() {
    let answers = vec![(DESK, vec![(When::Begun(seconds(2)), Act::Answer)])];
    let ours = vec![(When::Up(seconds(10)), Act::HangUp)];
    let script = Script::among(CALLER, "7100", Duration::ZERO, ours, answers);
    let (callers, desk) = plays(vec![script, Script::service(PICKS, "7102", 5, 10)]);
    assert_eq!(callers, [(HUNG_UP, 12), (Some(End::Failed(480)), 5)]);
    assert_eq!(desk, Some((End::Byed, 12)));
}

#[test]
fn a_caller_camps_on_a_busy_phone() {
    // Busy at 0, 4, 8: three tries, then the other extension for two seconds.
    let refuses = vec![(DESK, vec![(When::Begun(Duration::from_millis(100)), Act::Refuse(486))])];
    let (callers, _) = plays(vec![Script::among(CALLER, "7110", Duration::ZERO, vec![], refuses.clone())]);
    assert_eq!(callers, [(BYED, 10)]);
    let ours = vec![(When::Up(seconds(2)), Act::Digit('5'))];
    let (callers, _) = plays(vec![Script::among(CALLER, "7110", Duration::ZERO, ours, refuses)]);
    assert_eq!(callers, [(BYED, 4)], "a key ends it");
    let answers =
        vec![(DESK, vec![(When::Begun(seconds(1)), Act::Answer), (When::Up(seconds(9)), Act::HangUp)])];
    let (callers, _) = plays(vec![Script::among(CALLER, "7110", Duration::ZERO, vec![], answers)]);
    assert_eq!(callers, [(BYED, 10)]);
}

#[test]
fn variables_go_from_one_leg_to_the_other() {
    office::run(async {
        let mut office = Office::open(0, Weather::fine(), EXTENSIONS).await;
        let mut ear = office.switch.exchange.events.listen();
        let answers = vec![(DESK, vec![(When::Begun(seconds(1)), Act::Answer)])];
        let ours = vec![(When::Up(seconds(5)), Act::HangUp)];
        office.plan(Script::among(CALLER, "7120", Duration::ZERO, ours, answers));
        office.play().await;
        let mut seen = Vec::new();
        while let Ok(event) = ear.try_recv() {
            if event.name == EventName::ChannelHangupComplete {
                let variable =
                    |name: &str| event.header(&format!("variable_{name}")).unwrap_or("-").to_owned();
                let number = event.header("Caller-Destination-Number").unwrap_or("").to_owned();
                seen.push((
                    number,
                    ["their_theirs", "their_nothing", "given_one", "given_two"].map(variable),
                ));
            }
        }
        seen.sort();
        let row = |number: &str, values: [&str; 4]| (number.to_owned(), values.map(str::to_owned));
        assert_eq!(seen, [row("1004", ["-", "-", "1", "2"]), row("7120", ["4", "-", "1", "2"])]);
        office.close().await;
    });
}
