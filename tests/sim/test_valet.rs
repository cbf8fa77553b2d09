//! Calls parked in slots: somebody comes for them, nobody does, two come at once, legs die at any moment. Nothing is left.

use std::net::SocketAddr;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tandem::event::{Event, EventName};

use crate::net::{Weather, seeds};
use crate::office::{self, Ended, Office, worlds};
use crate::record::End;
use crate::script::{Act, Script, When, seconds};
use crate::watcher::Watcher;

const PARKED: usize = 10; // 1001
const COMES: usize = 40; // 1004
const ALSO: usize = 60; // 1006

const EXTENSIONS: &str = r#"
  <extension name="slots"><condition field="destination_number" expression="^(60\d\d)$">
    <action application="answer"/>
    <action application="valet_park" data="lot $1"/>
  </condition></extension>
  <extension name="in"><condition field="destination_number" expression="^7100$">
    <action application="valet_park" data="lot auto in 6010 6011"/>
    <action application="respond" data="486"/>
  </condition></extension>
  <extension name="out"><condition field="destination_number" expression="^7101$">
    <action application="valet_park" data="lot auto out 6010 6011"/>
    <action application="respond" data="486"/>
  </condition></extension>
  <extension name="ask"><condition field="destination_number" expression="^7102$">
    <action application="valet_park" data="lot ask 1 11 10000 ivr/ivr-enter_ext_pound.wav"/>
  </condition></extension>
  <extension name="elsewhere"><condition field="destination_number" expression="^7103$">
    <action application="set" data="valet_parking_timeout=7"/>
    <action application="set" data="valet_parking_orbit_exten=7106"/>
    <action application="set" data="valet_parking_orbit_exit_key=5"/>
    <action application="valet_park" data="lot 6020"/>
  </condition></extension>
  <extension name="goes on"><condition field="destination_number" expression="^7104$">
    <action application="set" data="valet_parking_timeout=7"/>
    <action application="valet_park" data="lot 6021"/>
    <action application="respond" data="486"/>
  </condition></extension>
  <extension name="nonsense"><condition field="destination_number" expression="^7105$">
    <action application="valet_park" data=""/>
    <action application="valet_park" data="lot"/>
    <action application="valet_park" data="lot auto"/>
    <action application="valet_park" data="lot auto up 1 2"/>
    <action application="valet_park" data="lot auto out 1 2"/>
    <action application="set" data="valet_parking_orbit_exten=${sip_full_from}"/>
    <action application="set" data="valet_parking_orbit_dialplan=inline"/>
    <action application="set" data="valet_parking_timeout=1"/>
    <action application="valet_park" data="lot 6022"/>
    <action application="respond" data="486"/>
  </condition></extension>
  <extension name="orbit"><condition field="destination_number" expression="^7106$">
    <action application="respond" data="480"/>
  </condition></extension>"#;

fn plays(scripts: Vec<Script>) -> (Vec<Ended>, Vec<Event>) {
    office::plays(EXTENSIONS, scripts, nothing_is_left)
}

fn nothing_is_left(office: &Office) {
    let exchange = &office.switch.exchange;
    assert!(exchange.stores.lots.is_empty(), "{:?}", exchange.stores.lots.entries());
    assert_eq!(exchange.presence.users(), 0, "lamps");
}

fn actions(events: &[Event]) -> Vec<String> {
    let of_lots = events.iter().filter(|event| event.name == EventName::Custom("valet_parking::info"));
    of_lots
        .map(|event| {
            let header = |name| event.header(name).unwrap_or("-");
            assert_eq!(header("Valet-Lot-Name"), "lot");
            format!("{} {}", header("Valet-Extension"), header("Action"))
        })
        .collect()
}

#[test]
fn somebody_comes_for_a_call() {
    let (ends, events) =
        plays(vec![Script::service(PARKED, "6001", 0, 60), Script::service(COMES, "6001", 5, 10)]);
    assert_eq!(ends, [(Some(End::Byed), 15), (Some(End::HungUp), 15)]);
    assert_eq!(actions(&events), ["6001 hold", "6001 bridge", "6001 exit"]);
    let bridge = events.iter().find(|event| event.header("Action") == Some("bridge")).unwrap();
    let joined = events.iter().find(|event| event.name == EventName::ChannelBridge).unwrap();
    assert_eq!(bridge.header("Bridge-To-UUID"), joined.header("Bridge-B-Unique-ID"));
    assert_eq!(bridge.header("Unique-ID"), joined.header("Unique-ID"));
}

/// Once somebody has come, the slot is free: the third is parked there. Who is parked may go as they came.
#[test]
fn a_slot_is_free_again() {
    let (ends, events) = plays(vec![
        Script::service(PARKED, "6001", 0, 8),
        Script::service(PARKED, "6001", 20, 60),
        Script::service(COMES, "6001", 25, 30),
        Script::service(ALSO, "6001", 30, 5),
    ]);
    let hung_up = |at| (Some(End::HungUp), at);
    assert_eq!(ends, [hung_up(8), (Some(End::Byed), 55), hung_up(55), hung_up(35)]);
    assert_eq!(
        actions(&events),
        ["6001 hold", "6001 exit", "6001 hold", "6001 bridge", "6001 exit", "6001 hold", "6001 exit"]
    );
}

/// In is the first free slot, out the call that has waited longest.
#[test]
fn slots_are_found() {
    let (ends, events) = plays(vec![
        Script::service(PARKED, "7101", 0, 5),
        Script::service(PARKED, "7100", 1, 60),
        Script::service(COMES, "7100", 2, 60),
        Script::service(ALSO, "7100", 3, 60),
        Script::service(50, "7101", 10, 5),
        Script::service(70, "7101", 20, 5),
    ]);
    let refused = |at| (Some(End::Failed(486)), at);
    let (byed, hung_up) = (|at| (Some(End::Byed), at), |at| (Some(End::HungUp), at));
    assert_eq!(ends, [refused(0), byed(15), byed(25), refused(3), hung_up(15), hung_up(25)]);
    assert_eq!(
        actions(&events),
        ["6010 hold", "6011 hold", "6010 bridge", "6010 exit", "6011 bridge", "6011 exit"]
    );
}

#[test]
fn a_call_nobody_comes_for_goes_elsewhere() {
    let mut presses = Script::service(PARKED, "7103", 30, 60);
    presses.caller_acts.push((When::Begun(seconds(3)), Act::Digit('5')));
    let (ends, _) = plays(vec![
        Script::service(PARKED, "7103", 0, 60),
        Script::service(COMES, "7104", 1, 60),
        Script::service(ALSO, "7105", 1, 60),
        Script::service(COMES, "7102", 20, 60),
        presses,
    ]);
    let failed = |status, at| (Some(End::Failed(status)), at);
    assert_eq!(ends, [failed(480, 7), failed(486, 8), failed(486, 2), failed(501, 20), failed(480, 33)]);
}

/// Two come for one call: one talks to it, the other does not lose it to them.
#[test]
fn two_come_at_once() {
    for seed in 0..worlds() {
        let mut rng = SmallRng::seed_from_u64(seed);
        office::run(async {
            let mut office = Office::open(seed, Weather::fine(), EXTENSIONS).await;
            office.plan(Script::service(PARKED, "6001", 0, 60));
            for caller in [COMES, ALSO, 50] {
                let mut script = Script::service(caller, "6001", 5, 20);
                script.at += Duration::from_micros(rng.random_range(0..2_000));
                office.plan(script);
            }
            office.play().await;
            {
                let book = office.book.lock().unwrap();
                let parked = &book[0].caller;
                let lasted = |call: usize| {
                    let side = &book[call].caller;
                    side.end.unwrap().0.duration_since(side.begun.unwrap()).as_secs()
                };
                assert_eq!(parked.ended(), Some(End::Byed), "seed {seed}");
                assert!((24..=26).contains(&lasted(0)), "seed {seed}: {}", lasted(0));
            }
            nothing_is_left(&office);
            office.close().await;
        });
    }
}

/// Whoever goes at whatever moment: every slot is free in the end, and no leg is left alone for ever.
#[test]
fn legs_go_at_any_moment() {
    for seed in seeds(worlds()) {
        let mut rng = SmallRng::seed_from_u64(seed);
        let weather = if seed % 2 == 0 { Weather::fine() } else { Weather::rough(0.03) };
        office::run(async {
            let mut office = Office::open(seed, weather, EXTENSIONS).await;
            for _ in 0..40 {
                let caller = office.some_phone();
                let number = ["6001", "6002", "7100", "7101", "7103"][rng.random_range(0..5)];
                let at = rng.random_range(0..30);
                let mut script = Script::service(caller, number, at, 0);
                script.at += Duration::from_millis(rng.random_range(0..1000));
                let after = Duration::from_millis(rng.random_range(0..9_000));
                let when = if rng.random_bool(0.5) { When::Up(after) } else { When::Begun(after) };
                let act = match rng.random_range(0..4) {
                    0 => Act::Vanish,
                    1 => Act::Cancel,
                    _ => Act::HangUp,
                };
                script.caller_acts = vec![(when, act), (When::Up(seconds(40)), Act::HangUp)];
                office.plan(script);
            }
            office.play().await;
            nothing_is_left(&office);
            office.close().await;
        });
    }
}

/// A slot and its lot are watched as users are.
#[test]
fn a_slot_has_a_lamp() {
    office::run(async {
        let mut office = Office::open(0, Weather::fine(), EXTENSIONS).await;
        let desk = |n: u8| SocketAddr::from(([198, 51, 101, n], 5060));
        let mut slot = Watcher::new(&office, desk(1), "park+6001", "dialog");
        let mut lot = Watcher::new(&office, desk(2), "park+lot", "dialog");
        let mut other = Watcher::new(&office, desk(3), "park+6002", "dialog");
        let mut nobody = Watcher::new(&office, desk(4), "6001", "dialog");
        for watcher in [&mut slot, &mut lot, &mut other] {
            assert_eq!(watcher.subscribe(600).await, 200);
        }
        assert_eq!(nobody.subscribe(600).await, 404);
        office.plan(Script::service(PARKED, "6001", 1, 60));
        office.plan(Script::service(COMES, "6001", 6, 10));
        office.play().await;
        tokio::time::sleep(seconds(2)).await;
        let states = |watcher: &Watcher| -> Vec<String> {
            watcher.told().iter().map(|told| told.states().join("+")).collect()
        };
        for watcher in [&slot, &lot] {
            assert_eq!(states(watcher), ["", "confirmed", "terminated"], "{:#?}", watcher.told());
        }
        assert_eq!(states(&other), [""]);
        let lit = &slot.told()[1].body;
        assert!(lit.contains("sip:6001@office.test\"/>") && lit.contains("sip:1001@office.test"), "{lit}");
        for mut watcher in [slot, lot, other] {
            assert_eq!(watcher.subscribe(0).await, 200);
            tokio::time::sleep(seconds(1)).await;
            watcher.vanish().await;
        }
        nobody.vanish().await;
        tokio::time::sleep(seconds(40)).await;
        nothing_is_left(&office);
        office.close().await;
    });
}
