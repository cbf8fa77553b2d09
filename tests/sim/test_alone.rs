//! A leg that panics ends alone: both ends of its call are told, its record is written, the other calls go on, and
//! nothing is left over.

use std::collections::HashSet;
use std::time::Duration;

use rand::Rng;
use tandem::event::EventName;

use crate::net::{Weather, seeds};
use crate::office::{self, Office, contacts, number};
use crate::record::End;
use crate::saboteur::{Saboteur, Trap};
use crate::script::{Act, Acts, Kind, Script, When, seconds};

const CALLER: usize = 10; // 1001
const CALLEE: &str = "1004";

/// Numbers whose calls say something at a certain moment.
const EXTENSIONS: &str = r#"
  <extension name="log"><condition field="destination_number" expression="^7001$">
    <action application="log" data="ERR spring the trap"/>
    <action application="park"/>
  </condition></extension>
  <extension name="ringing"><condition field="destination_number" expression="^7002$">
    <action application="bridge" data="user/1004@office.test,user/nobody@office.test"/>
  </condition></extension>
  <extension name="answered"><condition field="destination_number" expression="^7003$">
    <action application="answer"/>
    <action application="log" data="ERR spring the trap"/>
    <action application="park"/>
  </condition></extension>"#;

/// How the caller and the callee of the call that is sabotaged end, when it begins at 5 s among thirty others.
fn sabotage(trap: Trap, number: &str, ours: Acts, theirs: Acts) -> (Option<End>, Option<End>) {
    let mut ends = (None, None);
    let told = &mut ends;
    let saboteur = Saboteur::default();
    let _ear = saboteur.listen();
    let times = if matches!(trap, Trap::Twice(_)) { 2 } else { 1 };
    saboteur.set(trap);
    office::run(async {
        let mut office = Office::open(0, Weather::fine(), EXTENSIONS).await;
        let mut events = office.switch.exchange.events.listen();
        let mut script = Script::exactly(CALLER, number, seconds(5), seconds(60), ours, theirs);
        script.kind = Kind::Panics;
        office.plan(script);
        for _ in 0..30 {
            let caller = office.some_phone();
            let user = office.other_user(caller);
            let at = Duration::from_millis(office.rng.random_range(0..10_000));
            let script =
                Script::new(&mut office.rng, Kind::Talk, caller, &office::number(user), contacts(user), at);
            office.plan(script);
        }
        office.play().await;
        assert_eq!(saboteur.sprung(), times, "the trap has sprung");
        let (well, all) = office.judge();
        assert_eq!(well, all, "the other calls");
        {
            let book = office.book.lock().unwrap();
            told.0 = book[0].caller.ended();
            told.1 = book[0].callees.values().next().and_then(|s| s.ended());
        }
        let (mut begun, mut complete) = (HashSet::new(), HashSet::new());
        while let Ok(event) = events.try_recv() {
            let set = match event.name {
                EventName::ChannelCreate => &mut begun,
                EventName::ChannelHangupComplete => &mut complete,
                _ => continue,
            };
            assert!(set.insert(event.header("Unique-ID").unwrap_or("").to_owned()), "told twice: {event:?}");
        }
        assert!(begun.len() > 60, "{}", begun.len());
        assert_eq!(begun, complete, "every leg has its record");
        office.close().await;
    });
    ends
}

fn digit() -> Acts {
    vec![(When::Up(seconds(10)), Act::Digit('7'))]
}

#[test]
fn before_the_answer_the_caller_gets_500() {
    let (caller, callee) = sabotage(Trap::Words("spring the trap"), "7001", vec![], vec![]);
    assert_eq!((caller, callee), (Some(End::Failed(500)), None));
}

#[test]
fn while_it_rings_the_callee_is_cancelled() {
    let ring = vec![(When::Begun(Duration::ZERO), Act::Ring), (When::Begun(seconds(30)), Act::Answer)];
    let (caller, callee) = sabotage(Trap::Words("there is no user nobody"), "7002", vec![], ring);
    assert_eq!((caller, callee), (Some(End::Failed(500)), Some(End::Cancelled)));
}

#[test]
fn a_leg_alone_says_bye() {
    let (caller, _) = sabotage(Trap::Words("spring the trap"), "7003", vec![], vec![]);
    assert_eq!(caller, Some(End::Byed));
}

#[test]
fn an_a_leg_in_a_bridge_ends_both_ends() {
    let (caller, callee) = sabotage(Trap::Words("digit 7"), CALLEE, digit(), vec![]);
    assert_eq!((caller, callee), (Some(End::Byed), Some(End::Byed)));
}

#[test]
fn a_b_leg_in_a_bridge_ends_both_ends() {
    let (caller, callee) = sabotage(Trap::Words("digit 7"), CALLEE, vec![], digit());
    assert_eq!((caller, callee), (Some(End::Byed), Some(End::Byed)));
}

/// The goodbye itself panics: that leg cannot say more, but the other end is still told.
#[test]
fn a_panic_within_the_panic_is_no_worse() {
    let (caller, callee) = sabotage(Trap::Twice("digit 7"), CALLEE, vec![], digit());
    assert_eq!(caller, Some(End::Byed));
    assert!(callee.is_some());
}

/// Wherever in its life a leg panics, it takes no other call with it and leaves nothing behind.
#[test]
fn at_any_moment() {
    for seed in seeds(6 * office::worlds()) {
        let saboteur = Saboteur::default();
        let _ear = saboteur.listen();
        office::run(async {
            let mut office = Office::open(seed, Weather::fine(), EXTENSIONS).await;
            for n in 0..6 {
                let kinds = [
                    Kind::Talk,
                    Kind::Renegotiate,
                    Kind::Cancel,
                    Kind::Refuse(486),
                    Kind::Dies,
                    Kind::NoAnswer,
                ];
                let caller = office.some_phone();
                let user = office.other_user(caller);
                let at = Duration::from_millis(office.rng.random_range(0..10_000));
                let to = number(user);
                let script = Script::new(&mut office.rng, kinds[n], caller, &to, contacts(user), at);
                office.plan(script);
            }
            saboteur.set(Trap::Count(office.rng.random_range(0..120)));
            office.play().await;
            let (well, all) = office.judge();
            assert!(well + 1 >= all, "{well} of {all} calls went as meant, seed {seed}");
            saboteur.disarm();
            office.close().await;
        });
    }
}
