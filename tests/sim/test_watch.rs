//! Busy lamps: who watches a user is told what is true of it, in fine weather step by step, in rough weather in the end;
//! and those who watch leave nothing behind, however they go.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rand::Rng;

use crate::net::{Weather, seeds};
use crate::office::{self, Office, contacts, number};
use crate::script::{Act, Kind, Script, When, seconds};
use crate::watcher::Watcher;

const CALLER: usize = 10; // 1001
const CALLEE: &str = "1004";

fn desk(n: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::from([198, 51, 101, 1 + (n % 200) as u8]), 5060 + n / 200)
}

/// All end their subscriptions.
async fn leave(office: &Office, watchers: Vec<Watcher>) {
    for mut watcher in watchers {
        assert_eq!(watcher.subscribe(0).await, 200);
        tokio::time::sleep(seconds(1)).await;
        assert_eq!(watcher.last().state, "terminated;reason=timeout");
        watcher.vanish().await;
    }
    nobody_is_left(office).await;
}

/// Nobody is left who watches, and nobody who is watched.
async fn nobody_is_left(office: &Office) {
    tokio::time::sleep(seconds(40)).await;
    let board = &office.switch.exchange.presence;
    assert_eq!((board.watches(), board.users()), (0, 0), "watches, users on the board");
}

#[test]
fn a_lamp_follows_a_call() {
    office::run(async {
        let mut office = Office::open(0, Weather::fine(), "").await;
        let watch = |user, n, event| Watcher::new(&office, desk(n), user, event);
        let mut called = watch(CALLEE, 1, "dialog");
        let mut calls = watch("1001", 2, "dialog");
        let mut present = watch(CALLEE, 3, "presence");
        let mut mail = watch(CALLEE, 4, "message-summary");
        for watcher in [&mut called, &mut calls, &mut present, &mut mail] {
            assert_eq!(watcher.subscribe(600).await, 200);
        }
        let theirs = vec![
            (When::Begun(seconds(1)), Act::Ring),
            (When::Begun(seconds(4)), Act::Answer),
            (When::Up(seconds(5)), Act::Offer(crate::sdp::Audio::Hold)),
            (When::Up(seconds(8)), Act::Offer(crate::sdp::Audio::Talk)),
        ];
        office.plan(Script::exactly(CALLER, CALLEE, seconds(1), seconds(20), vec![], theirs));
        office.play().await;
        tokio::time::sleep(seconds(2)).await;
        let states = |watcher: &Watcher| -> Vec<String> {
            let mut all: Vec<String> = watcher.told().iter().map(|told| told.states().join("+")).collect();
            all.retain(|states| states != "trying");
            all
        };
        let lamp = ["", "early", "confirmed", "early", "confirmed", "terminated"];
        assert_eq!(states(&called), lamp, "{:#?}", called.told());
        assert_eq!(states(&calls), ["", "confirmed", "terminated"], "{:#?}", calls.told());
        let notes: Vec<String> = present.told().iter().map(|told| told.note().to_owned()).collect();
        assert_eq!(
            notes,
            ["Available", "Ring 1001", "Talk 1001", "Hold 1001", "Talk 1001", "Available"],
            "{:#?}",
            present.told()
        );
        assert_eq!(mail.told().len(), 1, "nothing has changed");
        assert!(mail.last().body.starts_with("Messages-Waiting: no\r\n"));
        let first = &called.told()[1];
        assert!(
            first.body.contains("direction=\"recipient\"") && first.body.contains("sip:1001@"),
            "{first:?}"
        );
        assert!(called.told().iter().all(|told| told.copies == 0), "each is sent once");
        // the registration goes, then everybody
        assert_eq!(present.last().note(), "Available");
        office.register(0).await;
        tokio::time::sleep(seconds(1)).await;
        assert_eq!(present.last().note(), "Unregistered");
        office.register(600).await;
        tokio::time::sleep(seconds(1)).await;
        assert_eq!(present.last().note(), "Available");
        leave(&office, vec![called, calls, present, mail]).await;
        office.close().await;
    });
}

/// A phone that subscribes while its neighbour talks already: nobody had been watched before.
#[test]
fn the_first_to_watch_sees_the_calls_there_are() {
    office::run(async {
        let mut office = Office::open(0, Weather::fine(), "").await;
        let mut watcher = Watcher::new(&office, desk(1), CALLEE, "dialog");
        office.plan(Script::exactly(CALLER, CALLEE, Duration::ZERO, seconds(20), vec![], vec![]));
        let watched = async {
            tokio::time::sleep(seconds(5)).await;
            assert_eq!(watcher.subscribe(600).await, 200);
            tokio::time::sleep(seconds(1)).await;
            assert_eq!(watcher.last().states(), ["confirmed"], "{:#?}", watcher.told());
            watcher
        };
        let (watcher, ()) = tokio::join!(watched, office.play());
        tokio::time::sleep(seconds(1)).await;
        assert_eq!(watcher.last().states(), ["terminated"]);
        leave(&office, vec![watcher]).await;
        office.close().await;
    });
}

#[test]
fn who_may_not_watch_is_told_why() {
    office::run(async {
        let office = Office::open(0, Weather::fine(), "").await;
        let asked = [
            (CALLEE, "dialog", 600, 200),
            ("4711", "dialog", 600, 404),
            (CALLEE, "weather", 600, 489),
            (CALLEE, "dialog", 5, 423),
        ];
        for (n, (user, event, expires, status)) in (1..).zip(asked) {
            let mut watcher = Watcher::new(&office, desk(n), user, event);
            assert_eq!(watcher.subscribe(expires).await, status, "{user} {event} {expires}");
            if status == 200 {
                assert_eq!(watcher.subscribe(0).await, 200);
            }
            tokio::time::sleep(seconds(1)).await;
            watcher.vanish().await;
        }
        // one look
        let mut watcher = Watcher::new(&office, desk(9), CALLEE, "presence");
        assert_eq!(watcher.subscribe(0).await, 200);
        tokio::time::sleep(seconds(1)).await;
        let told = watcher.told();
        assert_eq!(told.len(), 1);
        assert_eq!((told[0].state.as_str(), told[0].note()), ("terminated;reason=timeout", "Available"));
        watcher.vanish().await;
        nobody_is_left(&office).await;
        office.close().await;
    });
}

#[test]
fn in_rough_weather_everybody_knows_the_truth_in_the_end() {
    for seed in seeds(6) {
        office::run(async move {
            let mut office = Office::open(seed, Weather::fine(), "").await;
            office.net.set_weather(Weather::rough(0.1));
            let mut watchers = Vec::new();
            for n in 0..12 {
                let event = if n % 3 == 2 { "presence" } else { "dialog" };
                let mut watcher = Watcher::new(&office, desk(n), &number(usize::from(n) % 6), event);
                assert_eq!(watcher.subscribe(3600).await, 200);
                watchers.push(watcher);
            }
            // These die without a word.
            let mut dead = Vec::new();
            for n in 12..16 {
                let mut watcher = Watcher::new(&office, desk(n), &number(usize::from(n) % 6), "dialog");
                assert_eq!(watcher.subscribe(3600).await, 200);
                dead.push(watcher);
            }
            for watcher in dead {
                watcher.vanish().await;
            }
            let kinds =
                [Kind::Talk, Kind::Cancel, Kind::Refuse(486), Kind::BothHangUp, Kind::NoAnswer, Kind::Dies];
            for n in 0..60 {
                let caller = office.some_phone();
                let user = office.other_user(caller) % 6;
                let at = Duration::from_millis(office.rng.random_range(0..60_000));
                let kind = kinds[n % kinds.len()];
                let script = Script::new(&mut office.rng, kind, caller, &number(user), contacts(user), at);
                office.plan(script);
            }
            office.play().await;
            tokio::time::sleep(seconds(40)).await;
            assert_eq!(office.switch.exchange.presence.watches(), watchers.len(), "the dead are gone");
            for watcher in &watchers {
                let told = watcher.told();
                assert!(told.len() > 2, "{told:#?}");
                let last = told.iter().max_by_key(|told| told.cseq).unwrap();
                match last.body.contains("<dm:note>") {
                    true => assert_eq!(last.note(), "Available", "{told:#?}"),
                    false => {
                        assert!(last.states().iter().all(|state| *state == "terminated"), "{told:#?}");
                        // One number for each document, none left out, none twice, the same order as the CSeqs.
                        let mut by_cseq = told.clone();
                        by_cseq.sort_by_key(|told| told.cseq);
                        assert!(
                            by_cseq.windows(2).all(|two| two[0].version() < two[1].version()),
                            "{told:#?}"
                        );
                    }
                }
            }
            office.net.set_weather(Weather::fine());
            leave(&office, watchers).await;
            office.close().await;
        });
    }
}

/// Five hundred lamps of one busy user: nobody is told more often than things change or faster than the pace.
#[test]
fn five_hundred_lamps_of_one_user() {
    office::run(async {
        let mut office = Office::open(0, Weather::fine(), "").await;
        let mut watchers = Vec::new();
        for n in 0..500 {
            let mut watcher = Watcher::new(&office, desk(n), CALLEE, "dialog");
            assert_eq!(watcher.subscribe(3600).await, 200);
            watchers.push(watcher);
        }
        for n in 0..20 {
            let theirs = vec![(When::Begun(Duration::from_millis(50)), Act::Ring)];
            let at = Duration::from_millis(50 * n);
            office.plan(Script::exactly(CALLER, CALLEE, at, seconds(10), vec![], theirs));
        }
        office.play().await;
        tokio::time::sleep(seconds(1)).await;
        for watcher in &watchers {
            let told = watcher.told();
            assert!(told.last().unwrap().states().iter().all(|state| *state == "terminated"), "{told:#?}");
            assert!(told.len() < 20, "60 changes in some 2 s: {} NOTIFYs", told.len());
            let apart = told.windows(2).skip(1).map(|two| two[1].at - two[0].at).min().unwrap();
            assert!(apart >= Duration::from_millis(190), "{apart:?}");
            assert!(told.iter().all(|told| told.copies == 0));
        }
        leave(&office, watchers).await;
        office.close().await;
    });
}

/// The switch stops: those who watch are told so, and that costs little time.
#[test]
fn when_the_switch_stops_watchers_are_told() {
    office::run(async {
        let office = Office::open(0, Weather::fine(), "").await;
        let mut watcher = Watcher::new(&office, desk(1), CALLEE, "dialog");
        assert_eq!(watcher.subscribe(3600).await, 200);
        let mut dead = Watcher::new(&office, desk(2), CALLEE, "dialog");
        assert_eq!(dead.subscribe(3600).await, 200);
        tokio::time::sleep(seconds(1)).await;
        dead.vanish().await;
        let Office { switch, phones, .. } = office;
        let begun = tokio::time::Instant::now();
        switch.stop().await;
        assert!(begun.elapsed() < seconds(6), "{:?}", begun.elapsed());
        assert_eq!(watcher.last().state, "terminated;reason=deactivated");
        watcher.vanish().await;
        drop(phones);
        tokio::time::sleep(seconds(61)).await;
    });
}
