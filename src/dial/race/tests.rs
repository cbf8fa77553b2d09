use super::*;
use crate::dial::string::{DialString, assignments};

/// Plays `events` (`SECONDS rings|early|answers|ends LEG [CAUSE]`, one after another) in an originate of `dial`, in which a
/// leg is `sip/x`, `error/CAUSE`, or `lane/N` for one that stands for N addresses one after another; what is done is told
/// with the second it is done at.
fn play(steering: &str, dial: &str, events: &str) -> String {
    let dial = DialString::parse(dial).expect("a dial string");
    let stages = &dial.members.first().expect("one member").stages;
    let start = Instant::now();
    let (rules, _) = Rules::read(&assignments(steering), None);
    let mut race = Race::new(rules, stages.len(), start);
    let mut told: Vec<String> = Vec::new();
    let drain = |race: &mut Race, now: Instant, told: &mut Vec<String>| {
        while let Some(todo) = race.poll() {
            let at = (now - start).as_secs_f64();
            match todo {
                Do::Stage(n) => {
                    race.begin(now);
                    entrants(&stages[n]).into_iter().for_each(|entrant| race.enter(now, entrant));
                    race.sealed(now);
                }
                Do::Dial(leg) => told.push(format!("{at} dial {leg}")),
                Do::Hangup(leg, cause) => told.push(format!("{at} hangup {leg} {cause}")),
                Do::Ring => told.push(format!("{at} ring")),
                Do::Won { leg, answered } => {
                    told.push(format!("{at} won {leg}{}", if answered { "" } else { " early" }));
                }
                Do::Lost(cause) => told.push(format!("{at} lost {cause}")),
            }
        }
    };
    drain(&mut race, start, &mut told);
    for event in events.split(';').map(str::trim).filter(|e| !e.is_empty()) {
        let words: Vec<_> = event.split(' ').collect();
        let at = start + Duration::from_secs_f64(words[0].parse().expect("a time"));
        while let Some(wake) = race.next_timeout().filter(|wake| *wake < at) {
            race.timeout(wake);
            drain(&mut race, wake, &mut told);
        }
        let leg = || words[2].parse().expect("a leg");
        match words.get(1).copied() {
            Some("rings") => race.rings(leg()),
            Some("early") => race.early_media(leg()),
            Some("answers") => race.answers(leg()),
            Some("ends") => race.ended(at, leg(), Cause::parse(words[3]).expect("a cause")),
            Some("cancel") => race.cancel(Cause::ORIGINATOR_CANCEL),
            _ => race.timeout(at),
        }
        drain(&mut race, at, &mut told);
    }
    told.join(", ")
}

fn entrants(stage: &[crate::dial::string::Leg]) -> Vec<Entrant> {
    let mut all = Vec::new();
    for (lane, leg) in stage.iter().enumerate() {
        let mut variables = crate::channel::Variables::default();
        leg.variables.iter().for_each(|(name, value)| variables.set(name, value));
        let failed = (leg.endpoint == "error").then(|| Cause::parse(&leg.address).expect("a cause"));
        let steps = if leg.endpoint == "lane" { leg.address.parse().expect("a number") } else { 1 };
        let rules = LegRules::read(&variables);
        all.extend((0..steps).map(|step| Entrant {
            lane,
            step,
            rules,
            late: Cause::ALLOTTED_TIMEOUT,
            failed,
        }));
    }
    all
}

fn plays(cases: &[(&str, &str, &str, &str)]) {
    for (steering, dial, events, expected) in cases {
        assert_eq!(play(steering, dial, events), *expected, "{{{steering}}}{dial}: {events}");
    }
}

#[test]
fn legs_of_a_stage_race_and_stages_follow_one_another() {
    plays(&[
        ("", "sip/a", "1 rings 0; 3 answers 0", "0 dial 0, 1 ring, 3 won 0"),
        ("", "sip/a", "1 early 0", "0 dial 0, 1 won 0 early"),
        (
            "",
            "sip/a,sip/b",
            "1 rings 1; 2 rings 0; 3 answers 1",
            "0 dial 0, 0 dial 1, 1 ring, 3 hangup 0 LOSE_RACE, 3 won 1",
        ),
        ("", "sip/a|sip/b", "1 ends 0 USER_BUSY; 2 answers 0", "0 dial 0, 1 dial 0, 2 won 0"),
        ("", "error/GATEWAY_DOWN|sip/b", "1 answers 0", "0 dial 0, 1 won 0"),
        ("", "sip/a", "1 cancel", "0 dial 0, 1 hangup 0 ORIGINATOR_CANCEL"),
        ("", "sip/a", "1 answers 0; 2 ends 0 USER_BUSY; 3 answers 0", "0 dial 0, 1 won 0"),
    ]);
}

#[test]
fn the_cause_is_that_of_the_first_leg_that_was_called() {
    plays(&[
        ("", "sip/a,sip/b", "1 ends 1 480; 2 ends 0 USER_BUSY", "0 dial 0, 0 dial 1, 2 lost USER_BUSY"),
        ("", "error/INVALID_URL,sip/b", "1 ends 1 USER_BUSY", "0 dial 1, 1 lost USER_BUSY"),
        ("", "error/INVALID_URL,error/GATEWAY_DOWN", "", "0 lost GATEWAY_DOWN"),
        ("", "sip/a|error/GATEWAY_DOWN", "1 ends 0 USER_BUSY", "0 dial 0, 1 lost GATEWAY_DOWN"),
    ]);
}

#[test]
fn time_limits() {
    plays(&[
        ("originate_timeout=5", "sip/a|sip/b", "9", "0 dial 0, 5 hangup 0 NO_ANSWER, 5 lost NO_ANSWER"),
        (
            "originate_timeout=5,originate_continue_on_timeout=true",
            "sip/a|sip/b",
            "11",
            "0 dial 0, 5 hangup 0 NO_ANSWER, 5 dial 0, 10 hangup 0 NO_ANSWER, 10 lost NO_ANSWER",
        ),
        (
            "",
            "[leg_timeout=3]sip/a|sip/b",
            "4 answers 0",
            "0 dial 0, 3 hangup 0 ALLOTTED_TIMEOUT, 3 dial 0, 4 won 0",
        ),
        ("", "[leg_timeout=3]sip/a", "9", "0 dial 0, 3 hangup 0 ALLOTTED_TIMEOUT, 3 lost ALLOTTED_TIMEOUT"),
        (
            "",
            "[leg_timeout=3]sip/a,sip/b",
            "9 answers 1",
            "0 dial 0, 0 dial 1, 3 hangup 0 ALLOTTED_TIMEOUT, 9 won 1",
        ),
        ("", "sip/a", "70", "0 dial 0, 60 hangup 0 NO_ANSWER, 60 lost NO_ANSWER"),
        ("return_ring_ready=true", "sip/a", "5 rings 0; 70 answers 0", "0 dial 0, 5 ring, 70 won 0"),
        (
            "return_ring_ready=true",
            "sip/a,sip/b",
            "5 rings 0; 70 answers 0",
            "0 dial 0, 0 dial 1, 5 ring, 60 hangup 0 NO_ANSWER, 60 hangup 1 NO_ANSWER, 60 lost NO_ANSWER",
        ),
    ]);
}

#[test]
fn progress_limits() {
    let late = "0 dial 0, 4 hangup 0 PROGRESS_TIMEOUT, 4 lost PROGRESS_TIMEOUT";
    plays(&[
        ("progress_timeout=4", "sip/a", "9", late),
        ("progress_timeout=4", "sip/a", "3 rings 0; 9 answers 0", "0 dial 0, 3 ring, 9 won 0"),
        (
            "progress_timeout=4,ignore_early_media=true",
            "sip/a",
            "3 early 0; 9 answers 0",
            "0 dial 0, 9 won 0",
        ),
        ("progress_timeout=4,ignore_ring_ready=true", "sip/a", "3 rings 0; 9", late),
        (
            "progress_timeout=4",
            "sip/a|sip/b",
            "5 answers 0",
            "0 dial 0, 4 hangup 0 PROGRESS_TIMEOUT, 4 dial 0, 5 won 0",
        ),
        ("", "[leg_progress_timeout=4]sip/a", "9", late),
        (
            "",
            "[leg_progress_timeout=4]sip/a,sip/b",
            "5 ends 1 USER_BUSY",
            "0 dial 0, 0 dial 1, 4 hangup 0 PROGRESS_TIMEOUT, 5 lost PROGRESS_TIMEOUT",
        ),
        ("", "[leg_progress_timeout=4]sip/a", "3 rings 0; 9 answers 0", "0 dial 0, 3 ring, 9 won 0"),
    ]);
}

#[test]
fn early_media_and_ringing() {
    plays(&[
        ("ignore_early_media=true", "sip/a", "1 early 0; 2 answers 0", "0 dial 0, 2 won 0"),
        ("ignore_early_media=ring_ready", "sip/a", "1 early 0; 2 answers 0", "0 dial 0, 1 ring, 2 won 0"),
        ("instant_ringback=true", "sip/a", "1 rings 0; 2 answers 0", "0 ring, 0 dial 0, 2 won 0"),
        (
            "ring_ready=true",
            "sip/a|sip/b",
            "1 ends 0 17; 2 answers 0",
            "0 ring, 0 dial 0, 1 ring, 1 dial 0, 2 won 0",
        ),
        ("ignore_ring_ready=true", "sip/a", "1 rings 0; 2 answers 0", "0 dial 0, 2 won 0"),
    ]);
}

#[test]
fn legs_that_start_later() {
    plays(&[
        (
            "",
            "sip/a,[leg_delay_start=5]sip/b",
            "9 answers 1",
            "0 dial 0, 5 dial 1, 9 hangup 0 LOSE_RACE, 9 won 1",
        ),
        (
            "",
            "sip/a,[leg_delay_start=5]sip/b",
            "2 ends 0 USER_BUSY; 3 answers 1",
            "0 dial 0, 2 dial 1, 3 won 1",
        ),
        (
            "",
            "sip/a,[leg_delay_start=5,leg_timeout=4]sip/b,[leg_delay_start=8]sip/c",
            "2 ends 0 USER_BUSY; 7 answers 2",
            "0 dial 0, 2 dial 1, 5 dial 2, 6 hangup 1 ALLOTTED_TIMEOUT, 7 won 2",
        ),
        ("", "[leg_delay_start=5]sip/a", "1 answers 0", "0 dial 0, 1 won 0"),
        ("originate_delay_start=1500", "sip/a", "2 answers 0", "1.5 dial 0, 2 won 0"),
    ]);
}

#[test]
fn one_leg_that_ends_may_end_all() {
    plays(&[
        (
            "fail_on_single_reject=true",
            "sip/a,sip/b|sip/c",
            "1 ends 1 USER_BUSY; 2 answers 0",
            "0 dial 0, 0 dial 1, 1 hangup 0 NO_ANSWER, 1 dial 0, 2 won 0",
        ),
        (
            "fail_on_single_reject=USER_BUSY",
            "sip/a,sip/b|sip/c",
            "1 ends 1 USER_BUSY",
            "0 dial 0, 0 dial 1, 1 hangup 0 NO_ANSWER, 1 lost NO_ANSWER",
        ),
        (
            "fail_on_single_reject=USER_BUSY",
            "sip/a,sip/b",
            "1 ends 1 480; 2 answers 0",
            "0 dial 0, 0 dial 1, 2 won 0",
        ),
        ("fail_on_single_reject=true", "sip/a,error/GATEWAY_DOWN|sip/c", "", "0 lost GATEWAY_DOWN"),
        (
            "",
            "[leg_required=true]sip/a,sip/b|sip/c",
            "1 ends 0 CALL_REJECTED",
            "0 dial 0, 0 dial 1, 1 hangup 1 CALL_REJECTED, 1 dial 0",
        ),
    ]);
}

#[test]
fn further_tries() {
    plays(&[
        (
            "originate_retries=2,originate_retry_sleep_ms=3000",
            "sip/a|sip/b",
            "1 ends 0 17; 2 ends 0 19; 6 ends 0 17; 9.5 ends 0 27",
            "0 dial 0, 1 dial 0, 5 dial 0, 9 dial 0, 9.5 lost DESTINATION_OUT_OF_ORDER",
        ),
        (
            "originate_retries=3,originate_retry_min_period_ms=10000",
            "error/GATEWAY_DOWN",
            "30",
            "20 lost GATEWAY_DOWN",
        ),
        (
            "originate_retries=500,originate_retry_timeout=4",
            "error/GATEWAY_DOWN",
            "30",
            "5 lost GATEWAY_DOWN",
        ),
        ("originate_retries=2", "sip/a", "1 ends 0 17; 1.5 cancel; 9", "0 dial 0"),
    ]);
}

#[test]
fn a_leg_may_stand_for_several_one_after_another() {
    plays(&[
        (
            "",
            "lane/2,sip/b",
            "1 ends 0 17; 2 answers 1",
            "0 dial 0, 0 dial 2, 1 dial 1, 2 hangup 2 LOSE_RACE, 2 won 1",
        ),
        ("", "lane/2", "1 ends 0 17; 2 ends 1 19", "0 dial 0, 1 dial 1, 2 lost USER_BUSY"),
    ]);
}

proptest::proptest! {
    /// Whatever happens in whatever order, it ends with one outcome and every leg that was called and did not win is
    /// ended once.
    #[test]
    fn every_race_ends_once(
        steering in proptest::sample::select(vec![
            "", "fail_on_single_reject=true", "originate_retries=3", "progress_timeout=3",
            "originate_continue_on_timeout=true,originate_timeout=5", "ignore_early_media=ring_ready",
        ]),
        shape in proptest::sample::select(vec![
            "sip/a", "sip/a,sip/b|sip/c", "[leg_delay_start=3]sip/a,[leg_timeout=2]sip/b", "lane/3,error/17|lane/2",
            "[leg_required=true,leg_delay_start=1]sip/a,sip/b|error/19",
        ]),
        events in proptest::collection::vec((0u32..400, 0usize..5, 0usize..4), 0..30),
    ) {
        let mut at: Vec<u32> = events.iter().map(|e| e.0).collect();
        at.sort_unstable();
        let line: Vec<String> = events
            .iter()
            .zip(at)
            .map(|((_, leg, what), at)| {
                let what = ["rings", "early", "answers", "ends"][*what];
                format!("{} {what} {leg} 17", f64::from(at) / 10.0)
            })
            .collect();
        let told = play(steering, shape, &format!("{};500", line.join(";")));
        let outcomes = told.split(", ").filter(|t| t.contains(" won ") || t.contains(" lost ")).count();
        proptest::prop_assert_eq!(outcomes, 1, "{}", told);
        let last = told.split(", ").last().expect("an outcome");
        proptest::prop_assert!(last.contains(" won ") || last.contains(" lost "), "{}", told);
    }
}
