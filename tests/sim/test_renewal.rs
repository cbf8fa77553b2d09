//! What commands do to the media of a call that is up, and to what its phones show: `uuid_media`, `uuid_media_reneg`,
//! `uuid_display`.

use std::time::Duration;

use tandem::api;
use tandem::event::{Event, EventName};

use crate::net::Weather;
use crate::office::{self, Office};
use crate::record::{Call, End};
use crate::script::{Act, Acts, Script, When, ms};
use crate::sdp::Audio;

const AGENT: usize = 40; // 1004
const OTHER: usize = 60; // 1006
const A: &str = "aaaaaaaa-0000-4000-8000-000000000001";
const B: &str = "bbbbbbbb-0000-4000-8000-000000000002";

/// What a step looks at besides what a command says.
enum Step {
    /// The command is answered so.
    Says(&'static str, &'static str),
    /// So many RTP ports are in use.
    Ports(usize),
}
use Step::{Ports, Says};

struct Seen {
    events: Vec<Event>,
    /// What the phones noted, the agent's and the other's.
    notes: [Vec<String>; 2],
    ends: [Option<End>; 2],
    /// The audio lines each phone has said and heard last.
    lines: [[String; 2]; 2],
}

/// Two legs that have been called and joined; these do more, once they are up.
fn bridged(agent: Acts, other: Acts, steps: &[Step]) -> Seen {
    let mut seen = None;
    office::run(async {
        let office = Office::open(0, Weather::fine(), "").await;
        let answers = |more: Acts| [vec![(When::Begun(ms(100)), Act::Answer)], more].concat();
        let callees = vec![(AGENT, answers(agent)), (OTHER, answers(other))];
        let script = Script::among(0, "", Duration::ZERO, Acts::new(), callees);
        office.book.lock().unwrap().push(Call::new(script));
        let mut ear = office.switch.exchange.events.listen();
        let desk = office.switch.desk();
        for (uuid, user) in [(A, 1004), (B, 1006)] {
            let line = format!(
                "originate {{sip_h_X-Call=0,origination_uuid={uuid}}}user/{user}@office.test &park()"
            );
            assert_eq!(api::run(&desk, &line).await, format!("+OK {uuid}\n"));
        }
        assert_eq!(api::run(&desk, &format!("uuid_bridge {A} {B}")).await, format!("+OK {B}\n"));
        tokio::time::sleep(ms(500)).await;
        for step in steps {
            match step {
                Says(line, answer) => {
                    let named = |text: &str| text.replace("AAA", A).replace("BBB", B);
                    assert_eq!(api::run(&desk, &named(line)).await, named(answer), "{line}");
                }
                Ports(ports) => {
                    // The media threads run by the real clock.
                    let used = || office.switch.exchange.media.ports_in_use();
                    for _ in 0..200 {
                        if used() != *ports {
                            std::thread::sleep(ms(10));
                        }
                    }
                    assert_eq!(used(), *ports);
                }
            }
            tokio::time::sleep(ms(300)).await;
        }
        api::run(&desk, "hupall").await;
        tokio::time::sleep(ms(1_000)).await;
        let mut events = Vec::new();
        while let Ok(event) = ear.try_recv() {
            events.push((*event).clone());
        }
        {
            let book = office.book.lock().unwrap();
            let side = |phone| &book[0].callees[&phone];
            let audio = |body: &Option<bytes::Bytes>| -> String {
                let text = String::from_utf8_lossy(body.as_deref().unwrap_or_default()).into_owned();
                text.lines().find(|line| line.starts_with("m=audio")).unwrap_or_default().to_owned()
            };
            seen = Some(Seen {
                events,
                notes: [AGENT, OTHER].map(|p| side(p).log.iter().map(|(_, note)| note.clone()).collect()),
                ends: [AGENT, OTHER].map(|phone| side(phone).ended()),
                lines: [AGENT, OTHER].map(|p| [audio(&side(p).said), audio(&side(p).heard)]),
            });
        }
        office.close().await;
    });
    seen.unwrap()
}

fn count(seen: &Seen, name: EventName) -> usize {
    seen.events.iter().filter(|event| event.name == name).count()
}

#[test]
fn media_are_led_past_the_switch_and_back() {
    let seen = bridged(
        vec![],
        vec![],
        &[
            Ports(2),
            Says("uuid_media AAA", "+OK Success\n"),
            Says("uuid_media off AAA", "+OK Success\n"),
            Ports(0),
            Says("uuid_media off BBB", "+OK Success\n"),
            Says("uuid_media_reneg AAA =PCMA", "-ERR Operation Failed: its media are not ours\n"),
            Says("uuid_media BBB", "+OK Success\n"),
            Ports(2),
            Says("uuid_media off NOBODY", "-ERR Operation failed\n"),
            Says("uuid_media off", "-USAGE: [off] <uuid>\n-ERR Operation failed\n"),
            Says("uuid_media off BBB", "+OK Success\n"),
            Ports(0),
        ],
    );
    assert_eq!(seen.ends, [Some(End::Byed); 2]);
    // At the end each has what the other has said.
    let [[a_said, a_heard], [b_said, b_heard]] = &seen.lines;
    assert_eq!((a_heard, b_heard), (b_said, a_said));
    let states: Vec<_> = seen
        .events
        .iter()
        .filter(|e| e.name == EventName::ChannelState && e.header("Unique-ID") == Some(A))
        .filter_map(|e| e.header("Channel-State"))
        .collect();
    assert_eq!(states.iter().filter(|state| **state == "CS_HIBERNATE").count(), 2, "{states:?}");
}

#[test]
fn a_far_end_that_refuses_keeps_its_media() {
    let balks = vec![(When::Up(ms(1_000)), Act::Balk)];
    let seen = bridged(
        vec![],
        balks,
        &[
            Says("uuid_media off AAA", "+OK Success\n"),
            Says("msleep 2000", "+OK"),
            Says("uuid_media BBB", "-ERR Operation failed: the far end refused: 488\n"),
            Ports(0),
            Says("uuid_exists AAA", "true"),
        ],
    );
    assert_eq!(seen.ends, [Some(End::Byed); 2], "the call goes on");
}

#[test]
fn other_codecs_for_both_sides() {
    let seen = bridged(
        vec![],
        vec![],
        &[
            Says("uuid_getvar AAA read_codec", "PCMU"),
            Says("uuid_media_reneg AAA =PCMA", "+OK Success\n"),
            Says("uuid_getvar AAA read_codec", "PCMA"),
            Says("uuid_getvar BBB read_codec", "PCMA"),
            Says("uuid_getvar AAA codec_string", "=PCMA"),
            Says("uuid_media_reneg AAA =PCMA", "+OK Success\n"),
            Says("uuid_media_reneg +BBB =PCMU,PCMA", "+OK Success\n"),
            Says("uuid_getvar AAA read_codec", "PCMU"),
            Says("uuid_media_reneg AAA", "+OK Success\n"),
            Says("uuid_media_reneg AAA =", "-ERR Operation Failed: these are no codecs\n"),
            Says("uuid_media_reneg AAA =G729", "-ERR Operation Failed: the far end refused: 488\n"),
            Says("uuid_getvar AAA read_codec", "PCMU"),
            Says("uuid_media_reneg NOBODY =PCMA", "-ERR Operation Failed\n"),
            Says("uuid_media_reneg", "-USAGE: <uuid>[ <codec_string>]\n-ERR Operation Failed\n"),
            Ports(2),
        ],
    );
    assert_eq!(seen.ends, [Some(End::Byed); 2]);
    // Read and write, two legs: when each was called, PCMA, PCMU.
    assert_eq!(count(&seen, EventName::Codec), 12);
}

#[test]
fn what_the_other_side_cannot_do_is_taken_back() {
    let seen = bridged(
        vec![],
        vec![(When::Up(ms(1_000)), Act::Balk)],
        &[
            Says("msleep 2000", "+OK"),
            Says("uuid_media_reneg AAA =PCMA", "-ERR Operation Failed: the other side refused: 488\n"),
            Says("uuid_getvar AAA read_codec", "PCMU"),
            Says("uuid_getvar BBB read_codec", "PCMU"),
            Says("uuid_exists AAA", "true"),
        ],
    );
    assert_eq!(seen.ends, [Some(End::Byed); 2], "the call goes on");
}

#[test]
fn an_offer_of_the_far_end_comes_in_between() {
    // Glare is the session's; here it offers just before and just after.
    for after in [480, 500, 505, 520] {
        let seen = bridged(
            vec![(When::Up(ms(900 + after)), Act::Offer(Audio::OnlyPcma))],
            vec![],
            &[Says("msleep 400", "+OK"), Says("uuid_exists AAA", "true")],
        );
        assert_eq!(seen.ends, [Some(End::Byed); 2]);
    }
}

#[test]
fn a_display_is_changed() {
    const UNKNOWN: &str = "-ERR Operation failed: the far end is not known to show that; update_ignore_ua=true has UPDATE sent all the same\n";
    let seen = bridged(
        vec![],
        vec![],
        &[
            Says("uuid_display AAA Else|4711", UNKNOWN),
            Says("uuid_setvar AAA update_ignore_ua true", "+OK\n"),
            Says("uuid_display AAA 'Some Body|4711'", "+OK Success\n"),
            Says("uuid_display AAA 'Some Body|4711'", "+OK Success\n"),
            Says("uuid_getvar AAA last_sent_callee_id_name", "Some Body"),
            Says("uuid_setvar BBB X-FS-Support update_display", "+OK\n"),
            Says("uuid_display BBB Other|12", "+OK Success\n"),
            Says("uuid_setvar BBB X-FS-Support", "+OK\n"),
            Says("uuid_setvar BBB sip_user_agent snom370/8.4.35", "+OK\n"),
            Says("uuid_display BBB Third|13", "+OK Success\n"),
            Says("uuid_setvar BBB ignore_display_updates true", "+OK\n"),
            Says("uuid_display BBB Fourth", {
                "-ERR Operation failed: its variable ignore_display_updates is set\n"
            }),
            Says("uuid_display NOBODY x", "-ERR Operation failed\n"),
            Says("uuid_display AAA", "-USAGE: <uuid> <display>\n"),
        ],
    );
    let noted = |at: usize, what: &str| seen.notes[at].iter().filter(|note| note.contains(what)).count();
    assert_eq!(noted(0, "UPDATE \"Some Body\" <sip:4711@"), 1, "{:?}", seen.notes);
    assert_eq!(noted(1, "INFO message/update_display"), 1, "{:?}", seen.notes);
    assert_eq!(noted(1, "INFO message/sipfrag From: \"Third\" 13"), 1, "{:?}", seen.notes);
    let sent: Vec<_> = seen
        .events
        .iter()
        .filter(|e| e.name == EventName::CallUpdate && e.header("Direction") == Some("SEND"))
        .filter_map(|e| e.header("Sent-Callee-ID-Name"))
        .collect();
    assert_eq!(sent[2..], ["Else", "Some Body", "Other", "Third"], "{sent:?}");
}
