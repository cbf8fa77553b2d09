//! `uuid_kill` keeps its word: whatever a channel does, it is gone within two seconds, and leaves nothing behind.

use std::time::Duration;

use tandem::api;

use crate::net::Weather;
use crate::office::{self, DOMAIN, Office};
use crate::record::Call;
use crate::script::{Act, Acts, Script, When, ms, seconds};
use crate::sdp::Audio;

const CALLER: usize = 10; // 1001
const CALLEE: usize = 40; // 1004
const THIRD: usize = 60; // 1006

const EXTENSIONS: &str = r#"
  <extension name="parks"><condition field="destination_number" expression="^8000$">
    <action application="park"/></condition></extension>
  <extension name="sleeps"><condition field="destination_number" expression="^8001$">
    <action application="sleep" data="600000"/></condition></extension>
  <extension name="sleeps, answered"><condition field="destination_number" expression="^8002$">
    <action application="answer"/><action application="sleep" data="600000"/></condition></extension>
  <extension name="rings"><condition field="destination_number" expression="^8003$">
    <action application="ring_ready"/><action application="wait_for_answer"/></condition></extension>
  <extension name="waits in a queue"><condition field="destination_number" expression="^8004$">
    <action application="answer"/><action application="fifo" data="5900@office.test in"/></condition></extension>
  <extension name="serves a queue"><condition field="destination_number" expression="^8005$">
    <action application="answer"/><action application="fifo" data="5900@office.test out wait"/></condition></extension>
  <extension name="is parked in a slot"><condition field="destination_number" expression="^8006$">
    <action application="answer"/><action application="valet_park" data="lot 6001"/></condition></extension>
  <extension name="camps on"><condition field="destination_number" expression="^8007$">
    <action application="set" data="campon=true"/><action application="set" data="campon_retries=100"/>
    <action application="set" data="campon_sleep=60"/>
    <action application="bridge" data="error/USER_BUSY"/></condition></extension>
  <extension name="calls itself"><condition field="destination_number" expression="^8008$">
    <action application="bridge" data="loopback/8002/default"/></condition></extension>
  <extension name="past the switch"><condition field="destination_number" expression="^8009$">
    <action application="set" data="bypass_media=true"/>
    <action application="bridge" data="user/1004@office.test"/></condition></extension>
  <extension name="begins later"><condition field="destination_number" expression="^8010$">
    <action application="bridge" data="{originate_delay_start=60000}user/1004@office.test"/></condition></extension>
  <extension name="asks another"><condition field="destination_number" expression="^8011$">
    <action application="answer"/>
    <action application="execute_extension" data="8002"/></condition></extension>"#;

/// How a channel is brought where it is killed: the number that is called, what the called phone does, and a command
/// (`AAA` is the caller's leg, `BBB` the called one's).
struct Scene {
    what: &'static str,
    number: &'static str,
    callee: Acts,
    command: &'static str,
    /// The legs there are then.
    legs: usize,
}

fn scenes() -> Vec<Scene> {
    let answers = || vec![(When::Begun(ms(300)), Act::Answer)];
    let service = |what, number| Scene { what, number, callee: vec![], command: "", legs: 1 };
    let call = |what, callee| Scene { what, number: "1004", callee, command: "", legs: 2 };
    let told = |what, command| Scene { what, number: "1004", callee: answers(), command, legs: 2 };
    vec![
        service("parked", "8000"),
        service("asleep, not answered", "8001"),
        service("asleep", "8002"),
        service("rings", "8003"),
        service("waits in a queue", "8004"),
        service("serves a queue", "8005"),
        service("in a slot", "8006"),
        service("camps on", "8007"),
        service("echo", "9196"),
        service("about to call", "8010"),
        service("in an extension inside another", "8011"),
        Scene { legs: 3, ..service("calls the switch itself", "8008") },
        Scene { callee: answers(), legs: 2, ..service("media past the switch", "8009") },
        call("the far end says nothing", vec![(When::Begun(Duration::ZERO), Act::Vanish)]),
        call("rings there", vec![(When::Begun(ms(100)), Act::Ring)]),
        call("early media", vec![(When::Begun(ms(100)), Act::EarlyMedia)]),
        call("bridged", answers()),
        call("on hold", vec![answers()[0], (When::Up(ms(500)), Act::Offer(Audio::Hold))]),
        call("the far end is gone", vec![answers()[0], (When::Up(ms(500)), Act::Vanish)]),
        told("held by the switch", "uuid_hold BBB"),
        told("talks to a third", "uuid_broadcast AAA att_xfer::user/1006@office.test"),
        told("a display is under way", "uuid_display BBB Somebody|4711"),
        told("other codecs are under way", "uuid_media_reneg AAA =PCMA"),
        told("media led away", "uuid_media off AAA"),
    ]
}

/// The channels, the oldest first: callers before those they call.
async fn channels(office: &Office) -> Vec<String> {
    let table = api::run(&office.switch.desk(), "show channels as delim |").await;
    table.lines().skip(1).filter_map(|row| Some(row.split_once('|')?.0.to_owned())).collect()
}

async fn say(office: &Office, line: &str) -> String {
    api::run(&office.switch.desk(), line).await
}

/// Kills the `which`th leg; false when there is none.
fn kill(scene: &Scene, which: usize) {
    office::run(async {
        let office = Office::open(0, Weather::fine(), EXTENSIONS).await;
        let callees = vec![(CALLEE, scene.callee.clone()), (THIRD, vec![(When::Begun(ms(100)), Act::Ring)])];
        let mut script = Script::among(CALLER, scene.number, Duration::ZERO, Acts::new(), callees);
        script.caller_acts.push((When::Begun(seconds(100)), Act::HangUp));
        office.book.lock().unwrap().push(Call::new(script));
        let order = crate::phone::Order::Call(0);
        let caller = office.phones.iter().find(|(index, _)| *index == CALLER).unwrap();
        caller.1.orders.try_send(order).unwrap();
        tokio::time::sleep(seconds(3)).await;
        let mut legs = channels(&office).await;
        if !scene.command.is_empty() {
            let line = scene.command.replace("AAA", &legs[0]).replace("BBB", &legs[1]);
            let desk = office.switch.desk();
            let said = tokio::spawn(async move { api::run(&desk, &line).await });
            tokio::time::sleep(ms(if scene.what.contains("under way") { 1 } else { 1_000 })).await;
            legs = channels(&office).await;
            drop(said);
        }
        assert!(legs.len() >= scene.legs, "{}: {legs:?}", scene.what);
        let uuid = &legs[which];
        assert_eq!(say(&office, &format!("uuid_kill {uuid}")).await, "+OK\n", "{}", scene.what);
        tokio::time::sleep(seconds(2)).await;
        assert_eq!(
            say(&office, &format!("uuid_exists {uuid}")).await,
            "false",
            "{}: leg {which}",
            scene.what
        );
        assert_eq!(say(&office, &format!("uuid_kill {uuid}")).await, "-ERR No such channel!\n");
        say(&office, "hupall").await;
        tokio::time::sleep(seconds(2)).await;
        assert!(channels(&office).await.is_empty(), "{}", scene.what);
        office.close().await;
    });
}

#[test]
fn a_channel_in_any_state_is_gone_in_two_seconds() {
    assert!(EXTENSIONS.contains(DOMAIN));
    for scene in scenes() {
        for which in 0..scene.legs {
            eprintln!("{}, leg {which}", scene.what);
            kill(&scene, which);
        }
    }
}
