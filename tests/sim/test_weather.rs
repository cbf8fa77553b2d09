//! Thousands of calls in bad weather: each ends, both sides tell the same story, nothing is left over, and so many go as
//! they were meant to.

use std::time::Duration;

use rand::Rng;

use crate::net::{Weather, seeds};
use crate::office::{self, Office, contacts, number};
use crate::script::{Kind, Script};

/// Calls of one world.
const CALLS: usize = 100;

/// What most calls are; the rest is spread over everything else.
fn kind(n: u32) -> Kind {
    match n {
        0..50 => Kind::Talk,
        50..58 => Kind::BothHangUp,
        58..70 => Kind::Renegotiate,
        70..75 => Kind::Refuse(486),
        75..77 => Kind::Refuse(603),
        77..83 => Kind::Cancel,
        83..88 => Kind::CrossingCancel,
        88..91 => Kind::NoAnswer,
        91..92 => Kind::Absent,
        92..93 => Kind::Unknown,
        93..97 => Kind::Dies,
        _ => Kind::Service,
    }
}

/// Plays the worlds of one weather, their calls of the kinds that `kind` makes of a number below 100; answers the calls that went as meant, and all of which that could be said.
fn play(weather: &Weather, kind: fn(u32) -> Kind) -> (usize, usize) {
    let (mut well, mut all, mut sent, mut lost) = (0, 0, 0, 0);
    for seed in seeds(office::worlds()) {
        let (well, all, sent, lost) = (&mut well, &mut all, &mut sent, &mut lost);
        office::run(async move {
            // In the worst weather not even a REGISTER is sure to get through.
            let mild = if weather.loss > 0.1 { Weather::fine() } else { weather.clone() };
            let mut office = Office::open(seed, mild.clone(), "").await;
            office.net.set_weather(weather.clone());
            for _ in 0..CALLS {
                let kind = kind(office.rng.random_range(0..100));
                let caller = office.some_phone();
                let user = office.other_user(caller);
                let at = Duration::from_millis(office.rng.random_range(0..120_000));
                let script = Script::new(&mut office.rng, kind, caller, &number(user), contacts(user), at);
                office.plan(script);
            }
            office.play().await;
            let said = office.judge();
            *well += said.0;
            *all += said.1;
            let tally = office.net.tally();
            *sent += tally.sent;
            *lost += tally.lost;
            office.net.set_weather(mild);
            office.close().await;
        });
    }
    eprintln!("{well} of {all} calls went as meant; {lost} of {sent} datagrams lost");
    (well, all)
}

fn at_least(per_mille: f64, (well, all): (usize, usize)) {
    assert!(well as f64 >= all as f64 * per_mille / 1000.0, "{well} of {all} calls went as meant");
}

#[test]
fn without_loss_every_call_goes_as_meant_however_late_and_double() {
    let weather = Weather { duplicate: 0.1, reorder: 0.2, ..Weather::rough(0.0) };
    let (well, all) = play(&weather, kind);
    assert_eq!(well, all);
}

#[test]
fn one_percent_lost() {
    at_least(999.0, play(&Weather::rough(0.01), kind));
}

#[test]
fn three_percent_lost() {
    at_least(998.0, play(&Weather::rough(0.03), kind));
}

#[test]
fn five_percent_lost() {
    at_least(995.0, play(&Weather::rough(0.05), kind));
}

#[test]
fn ten_percent_lost() {
    at_least(980.0, play(&Weather::rough(0.10), kind));
}

/// So bad that calls may fail; but they end, and nobody is left alone in one.
#[test]
fn a_third_lost() {
    play(&Weather { duplicate: 0.1, reorder: 0.2, ..Weather::rough(0.33) }, kind);
}

/// By satellite: each message is sent twice before the first answer is back.
#[test]
fn far_away() {
    let delay = Duration::from_millis(400)..=Duration::from_millis(900);
    play(&Weather { delay, ..Weather::rough(0.01) }, kind);
}

/// Nothing but holds, resumes, other codecs and questions for an offer, from both sides and at once.
#[test]
fn glare_in_the_rain() {
    at_least(995.0, play(&Weather::rough(0.05), |_| Kind::Renegotiate));
}
