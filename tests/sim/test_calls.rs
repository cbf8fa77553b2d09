//! Every kind of call once and again in fine weather: each goes exactly as its script has it.

use std::time::Duration;

use rand::Rng;

use crate::net::{Weather, seeds};
use crate::office::{self, Office, contacts, number};
use crate::script::{Act, Kind, Script, When};
use crate::sdp::Audio;

const KINDS: [Kind; 13] = [
    Kind::Talk,
    Kind::BothHangUp,
    Kind::Renegotiate,
    Kind::Refuse(486),
    Kind::Refuse(603),
    Kind::Cancel,
    Kind::CrossingCancel,
    Kind::NoAnswer,
    Kind::Absent,
    Kind::Unknown,
    Kind::Dies,
    Kind::Service,
    Kind::Talk,
];

#[test]
fn every_kind_of_call_goes_as_meant_in_fine_weather() {
    for seed in seeds(4) {
        office::run(async move {
            let mut office = Office::open(seed, Weather::fine(), "").await;
            for n in 0..KINDS.len() * 4 {
                let kind = KINDS[n % KINDS.len()];
                let caller = office.some_phone();
                let user = office.other_user(caller);
                let at = Duration::from_millis(office.rng.random_range(0..60_000));
                let script = Script::new(&mut office.rng, kind, caller, &number(user), contacts(user), at);
                office.plan(script);
            }
            office.play().await;
            let (well, all) = office.judge();
            assert_eq!(well, all, "calls that went as meant");
            office.close().await;
        });
    }
}

const CALLER: usize = 10; // 1001
const CALLEE: &str = "1004";

/// Plays calls between two users with one phone each, 20 ms apart; each must go as meant.
fn all_go_as_meant(scripts: impl Fn(&mut Office)) {
    let delay = Duration::from_millis(20)..=Duration::from_millis(20);
    office::run(async {
        let mut office = Office::open(0, Weather { delay, ..Weather::fine() }, "").await;
        scripts(&mut office);
        office.play().await;
        let (well, all) = office.judge();
        assert_eq!(well, all, "calls that went as meant");
        office.close().await;
    });
}

#[test]
fn an_answer_after_early_media_reaches_the_caller() {
    all_go_as_meant(|office| {
        let early = (When::Begun(Duration::from_millis(100)), Act::EarlyMedia);
        let (at, talk) = (Duration::ZERO, Duration::from_secs(20));
        office.plan(Script::exactly(CALLER, CALLEE, at, talk, vec![], vec![early]));
    });
}

/// The callee asks for an offer while the caller wants another codec, a little earlier or later: the answer to the
/// one is not taken for the answer to the other.
#[test]
fn an_offer_across_the_bridge_does_not_meet_an_answer_that_is_still_out() {
    all_go_as_meant(|office| {
        for n in 0..24 {
            let (at, talk) = (Duration::from_secs(60 * n), Duration::from_secs(20));
            let ours = (When::Up(Duration::from_millis(880 + 10 * n)), Act::Offer(Audio::OnlyPcma));
            let theirs = (When::Up(Duration::from_secs(1)), Act::OfferNothing);
            office.plan(Script::exactly(CALLER, CALLEE, at, talk, vec![ours], vec![theirs]));
        }
    });
}
