//! Every kind of call once and again in fine weather: each goes exactly as its script has it.

use std::time::Duration;

use rand::Rng;

use crate::net::{Weather, seeds};
use crate::office::{self, Office, contacts, number};
use crate::script::{Kind, Script};

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
