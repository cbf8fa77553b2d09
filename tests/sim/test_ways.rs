//! Media past the switch (`bypass_media`) and through it unread (`proxy_media`): at the end of a call each phone has the
//! description the other has given, word for word or with the switch's address in it, whatever was held, offered,
//! refused and transferred before.

use std::fmt::Write;
use std::sync::atomic::{AtomicUsize, Ordering};

use rand::Rng;
use tandem::channel::{Course, Letter, MediaWay as Way, Order};
use tandem::event::EventName;

use crate::net::{Weather, seeds};
use crate::office::{self, DOMAIN, Office, contacts, number};
use crate::record::{Call, End, Side};
use crate::script::{Act, Acts, Kind, Script, When, ms, seconds};
use crate::sdp::Audio;

const CALLER: usize = 10; // 1001

/// `PREFIX` and a user's number: that user, with these variables set before.
fn extensions(ways: &[(&str, &[&str])]) -> String {
    let mut text = String::new();
    for (prefix, variables) in ways {
        let _ = write!(
            text,
            r#"<extension name="{prefix}"><condition field="destination_number" expression="^{prefix}(1\d\d\d)$">
               <action application="set" data="call_timeout=20"/>
               <action application="set" data="hangup_after_bridge=true"/>"#
        );
        for variable in *variables {
            let (application, data) = variable.split_once(' ').unwrap_or(("set", variable));
            let _ = write!(text, r#"<action application="{application}" data="{data}"/>"#);
        }
        let _ =
            write!(text, r#"<action application="bridge" data="user/$1@{DOMAIN}"/></condition></extension>"#);
    }
    text
}

/// The lines of a description that say what is to be heard and where.
fn lines(side: &Side, what: fn(&Side) -> Option<&bytes::Bytes>) -> Vec<&str> {
    let text = what(side).and_then(|text| std::str::from_utf8(text).ok()).unwrap_or_default();
    // o= is the affair of each dialog
    text.lines().filter(|line| !line.starts_with("o=")).collect()
}

fn said(side: &Side) -> Option<&bytes::Bytes> {
    side.said.as_ref()
}

fn heard(side: &Side) -> Option<&bytes::Bytes> {
    side.heard.as_ref()
}

/// The callee who talked.
fn callee(call: &Call) -> &Side {
    call.callees
        .values()
        .find(|side| side.up.is_some() && side.ended() != Some(End::Cancelled))
        .expect("a callee")
}

/// Each has what the other has said.
fn is_direct(call: &Call) {
    let (a, b) = (&call.caller, callee(call));
    assert!(!lines(a, said).is_empty());
    assert_eq!(lines(a, heard), lines(b, said), "the caller has what the callee said: {call:?}");
    assert_eq!(lines(b, heard), lines(a, said), "the callee has what the caller said: {call:?}");
}

/// Each has what the other has said, but for address and port, which are the switch's.
fn is_proxied(call: &Call) {
    let (a, b) = (&call.caller, callee(call));
    for (one, other) in [(a, b), (b, a)] {
        let (heard, said) = (lines(one, heard), lines(other, said));
        assert_eq!(heard.len(), said.len(), "{call:?}");
        for (heard, said) in heard.iter().zip(&said) {
            match said.split(' ').collect::<Vec<_>>()[..] {
                ["c=IN", "IP4", "127.0.0.1"] => assert!(heard.starts_with("c=IN IP4 127.") && heard != said),
                ["m=audio", _, ref rest @ ..] => {
                    // The port is the switch's own; it may be the same number at another address.
                    assert!(heard.starts_with("m=audio ") && heard.ends_with(&rest.join(" ")), "{heard}");
                }
                _ => assert_eq!(heard, said),
            }
        }
    }
}

/// Plays all that is planned; the most ports that were open at a time.
async fn play(office: &Office) -> usize {
    let most = AtomicUsize::new(0);
    let watch = async {
        loop {
            most.fetch_max(office.switch.exchange.media.ports_in_use(), Ordering::Relaxed);
            tokio::time::sleep(ms(50)).await;
        }
    };
    tokio::select! {
        () = office.play() => {}
        () = watch => {}
    }
    most.into_inner()
}

/// One call with these variables; its ports, and what `check` says to it.
fn one(variables: &[&str], ours: Acts, theirs: Acts, check: impl FnOnce(&Call, usize)) {
    let delay = ms(20)..=ms(20);
    office::run(async {
        let weather = Weather { delay, ..Weather::fine() };
        let mut office = Office::open(0, weather, &extensions(&[("6", variables)])).await;
        office.plan(Script::exactly(CALLER, "61004", ms(0), seconds(20), ours, theirs));
        let ports = play(&office).await;
        check(&office.book.lock().unwrap()[0], ports);
        let (well, all) = office.judge();
        assert_eq!(well, all, "calls that went as meant");
        office.close().await;
    });
}

const KINDS: [Kind; 13] = [
    Kind::Talk,
    Kind::BothHangUp,
    Kind::Renegotiate,
    Kind::Refuse(488),
    Kind::Refuse(603),
    Kind::Cancel,
    Kind::CrossingCancel,
    Kind::NoAnswer,
    Kind::Absent,
    Kind::Unknown,
    Kind::Dies,
    Kind::Renegotiate,
    Kind::Talk,
];

/// Every kind of call by way of `variables`. In fine weather descriptions are compared, too.
fn all_kinds(variables: &[&str], weather: &Weather, check: Option<fn(&Call)>, no_ports: bool) {
    for seed in seeds(4) {
        let weather = weather.clone();
        office::run(async move {
            let mut office = Office::open(seed, weather, &extensions(&[("6", variables)])).await;
            for n in 0..KINDS.len() * 4 {
                let kind = KINDS[n % KINDS.len()];
                let caller = office.some_phone();
                let user = office.other_user(caller);
                let at = ms(office.rng.random_range(0..60_000));
                let callee = format!("6{}", number(user));
                let script = Script::new(&mut office.rng, kind, caller, &callee, contacts(user), at);
                office.plan(script);
            }
            let ports = play(&office).await;
            if no_ports {
                assert_eq!(ports, 0, "ports of a call whose media go past us");
            }
            let (well, all) = office.judge();
            if let Some(check) = check {
                assert_eq!(well, all, "calls that went as meant");
                for call in office.book.lock().unwrap().iter() {
                    // After a refresh of the session a phone's last word may be another, as an answer to its own peer's.
                    let short = call.script.talk < seconds(50);
                    if short && matches!(call.script.kind, Kind::Talk | Kind::Renegotiate) {
                        check(call);
                    }
                }
            }
            office.close().await;
        });
    }
}

#[test]
fn past_the_switch_every_kind_of_call_goes_as_meant() {
    all_kinds(&["bypass_media=true"], &Weather::fine(), Some(is_direct), true);
}

#[test]
fn unread_every_kind_of_call_goes_as_meant() {
    all_kinds(&["proxy_media=true"], &Weather::fine(), Some(is_proxied), false);
}

#[test]
fn led_past_after_the_bridge_every_kind_of_call_goes_as_meant() {
    fn check(call: &Call) {
        if call.script.kind == Kind::Talk && call.script.talk > seconds(2) {
            are_direct(&call.caller, callee(call));
        }
    }
    all_kinds(&["bypass_media_after_bridge=true"], &Weather::fine(), Some(check), false);
}

#[test]
fn in_the_rain_no_call_is_left_behind() {
    for variable in ["bypass_media=true", "proxy_media=true", "bypass_media_after_bridge=true"] {
        all_kinds(&[variable], &Weather::rough(0.05), None, variable == "bypass_media=true");
    }
}

#[test]
fn hold_and_resume_go_to_the_other_phone() {
    let ours = vec![(When::Up(seconds(2)), Act::Offer(Audio::Hold))];
    one(&["bypass_media=true"], ours.clone(), vec![], |call, ports| {
        is_direct(call);
        assert!(lines(callee(call), said).contains(&"a=recvonly"), "{call:?}");
        assert_eq!(ports, 0);
    });
    let both = [ours, vec![(When::Up(seconds(5)), Act::Offer(Audio::Talk))]].concat();
    one(&["proxy_media=true"], both, vec![], |call, _| {
        is_proxied(call);
        assert!(lines(callee(call), said).contains(&"a=sendrecv"), "{call:?}");
    });
}

#[test]
fn an_offer_asked_for_is_the_other_phones() {
    let theirs = vec![(When::Up(seconds(2)), Act::OfferNothing)];
    one(&["bypass_media=true"], vec![], theirs, |call, ports| {
        is_direct(call);
        assert_eq!(ports, 0);
        // Its second description was the offer.
        assert!(
            call.caller.said.as_ref().is_some_and(|text| text.starts_with(b"v=0\r\no=phone 10 2 ")),
            "{call:?}"
        );
    });
}

#[test]
fn early_media_are_those_of_the_called_phone() {
    let early = vec![(When::Begun(ms(100)), Act::EarlyMedia)];
    one(&["bypass_media=true"], vec![], early, |call, ports| {
        is_direct(call);
        assert_eq!(ports, 0);
    });
}

#[test]
fn an_invite_without_offer_gets_that_of_the_called_phone() {
    for (variable, check) in [("bypass_media=true", is_direct as fn(&Call)), ("proxy_media=true", is_proxied)]
    {
        office::run(async {
            let mut office = Office::open(0, Weather::fine(), &extensions(&[("6", &[variable])])).await;
            let hold = vec![(When::Up(seconds(3)), Act::Offer(Audio::Hold))];
            let mut script = Script::exactly(CALLER, "61004", ms(0), seconds(10), vec![], hold);
            script.delayed_offer = true;
            office.plan(script);
            play(&office).await;
            let (well, all) = office.judge();
            assert_eq!(well, all);
            check(&office.book.lock().unwrap()[0]);
            office.close().await;
        });
    }
}

/// Answered first by the switch: both are led past it when the called phone has answered.
#[test]
fn a_call_that_is_up_already_is_led_past() {
    for variables in [&["answer ", "bypass_media=true"][..], &["bypass_media_after_bridge=true"]] {
        let later = vec![(When::Up(seconds(5)), Act::Offer(Audio::OnlyPcma))];
        one(variables, later, vec![], |call, ports| {
            is_direct(call);
            assert!(ports > 0, "they were relayed before");
        });
    }
}

//------------ Who does not follow ---------------------------------------------------------------------------

/// The far end's description has the switch's address.
fn is_relayed(side: &Side) -> bool {
    lines(side, heard).iter().any(|line| line.starts_with("c=IN IP4 127.") && *line != "c=IN IP4 127.0.0.1")
}

#[test]
fn a_hold_the_other_phone_refuses_is_refused_in_its_words() {
    let ours = vec![(When::Up(seconds(2)), Act::Offer(Audio::Hold))];
    let theirs = vec![(When::Up(seconds(1)), Act::Balk)];
    for variable in ["bypass_media=true", "proxy_media=true"] {
        one(&[variable], ours.clone(), theirs.clone(), |call, _| {
            let refused = call.caller.log.iter().any(|(_, what)| what == "offer refused: 488");
            assert!(refused, "{call:?}");
        });
    }
}

#[test]
fn who_does_not_follow_past_the_switch_is_relayed() {
    for (ours, theirs) in
        [(vec![], vec![(When::Begun(ms(100)), Act::Balk)]), (vec![(When::Begun(ms(100)), Act::Balk)], vec![])]
    {
        one(&["bypass_media_after_bridge=true"], ours, theirs, |call, ports| {
            assert!(is_relayed(&call.caller) && is_relayed(callee(call)), "{call:?}");
            assert!(ports >= 2, "a pair for each");
        });
    }
}

/// The called phone hangs up, the caller is to hear itself.
#[test]
fn an_application_that_needs_media_gets_them_back() {
    let extensions = format!(
        r#"<extension name="6"><condition field="destination_number" expression="^6(1\d\d\d)$">
        <action application="set" data="bypass_media=true"/>
        <action application="bridge" data="user/$1@{DOMAIN}"/>
        <action application="echo"/></condition></extension>"#
    );
    office::run(async {
        let mut office = Office::open(0, Weather::fine(), &extensions).await;
        let theirs = vec![(When::Up(seconds(3)), Act::HangUp)];
        office.plan(Script::exactly(CALLER, "61004", ms(0), seconds(10), vec![], theirs));
        let ports = play(&office).await;
        assert_eq!(ports, 1, "the caller's, in the end");
        assert!(is_relayed(&office.book.lock().unwrap()[0].caller));
        office.close().await;
    });
}

//------------ Transfers -------------------------------------------------------------------------------------

/// Each of the two phones has what the other has said.
fn are_direct(one: &Side, other: &Side) {
    let place = |side, what| -> Vec<String> {
        let kept = lines(side, what).into_iter().filter(|line| !line.starts_with("a=rtpmap"));
        // The one offered more than the other took.
        kept.map(|line| line.split(" RTP/AVP").next().unwrap_or(line).to_owned()).collect()
    };
    assert_eq!(place(one, heard), place(other, said));
    assert_eq!(place(other, heard), place(one, said));
}

#[test]
fn who_is_transferred_talks_past_the_switch_as_before() {
    let (second, third) = (40, 60);
    let refer = |after| (When::Up(seconds(after)), Act::Refer("1006"));
    let hold = (When::Up(seconds(2)), Act::Offer(Audio::Hold));
    let pick_up = (When::Begun(seconds(1)), Act::Answer);
    for by_caller in [true, false] {
        office::run(async {
            let mut office =
                Office::open(0, Weather::fine(), &extensions(&[("6", &["bypass_media=true"])])).await;
            let transferor = vec![hold, refer(4)];
            let hang_up = (When::Up(seconds(10)), Act::HangUp);
            let (ours, theirs) = match by_caller {
                true => (transferor, vec![pick_up]),
                false => (vec![], [vec![pick_up], transferor].concat()),
            };
            let phones = vec![(second, theirs), (third, vec![pick_up, hang_up])];
            office.plan(Script::among(CALLER, "61004", ms(0), ours, phones));
            assert_eq!(play(&office).await, 0, "ports");
            office.judge();
            {
                let book = office.book.lock().unwrap();
                let call = &book[0];
                let (caller, callees) = (&call.caller, &call.callees);
                let stays = if by_caller { &callees[&second] } else { caller };
                assert!(lines(stays, said).contains(&"a=sendrecv"), "held no more: {call:?}");
                are_direct(stays, &callees[&third]);
            }
            office.close().await;
        });
    }
}

/// Two calls; the called legs are joined, as by an attended transfer.
#[test]
fn legs_that_meet_talk_past_the_switch_when_either_did() {
    let ways: [(&[&str], &[&str], Way); 4] = [
        (&["bypass_media=true"], &["bypass_media=true"], Way::Bypass),
        (&["bypass_media=true"], &[], Way::Bypass),
        (&[], &["bypass_media=true"], Way::Bypass),
        (&["proxy_media=true"], &["proxy_media=true"], Way::Proxy),
    ];
    for (first, second, way) in ways {
        office::run(async {
            let mut office =
                Office::open(0, Weather::fine(), &extensions(&[("6", first), ("7", second)])).await;
            let mut events = office.switch.exchange.events.listen();
            let phone = |index| {
                vec![(
                    index,
                    vec![(When::Begun(seconds(1)), Act::Answer), (When::Up(seconds(20)), Act::HangUp)],
                )]
            };
            office.plan(Script::among(CALLER, "61004", ms(0), vec![], phone(40)));
            office.plan(Script::among(0, "71006", ms(0), vec![], phone(60)));
            let joins = async {
                tokio::time::sleep(seconds(5)).await;
                let mut legs = std::collections::HashMap::new();
                while let Ok(event) = events.try_recv() {
                    if event.name == EventName::ChannelAnswer
                        && event.header("Call-Direction") == Some("outbound")
                    {
                        let number = event.header("Caller-Destination-Number").unwrap_or("").to_owned();
                        legs.insert(number, event.header("Unique-ID").unwrap_or("").to_owned());
                    }
                }
                let leg = |number: &str| office.switch.exchange.legs.by_uuid(&legs[number]).expect("a leg");
                let course = Course::Join(leg("1006"));
                leg("1004").post(Letter::Order(Order::Go { course, variables: Vec::new() }));
            };
            let (ports, ()) = tokio::join!(play(&office), joins);
            assert_eq!(
                ports == 0,
                !first.is_empty() && !second.is_empty() && way == Way::Bypass,
                "{ports} ports"
            );
            office.judge();
            {
                let book = office.book.lock().unwrap();
                let (one, other) = (&book[0].callees[&40], &book[1].callees[&60]);
                match way {
                    Way::Bypass => are_direct(one, other),
                    _ => assert!(is_relayed(one) && is_relayed(other)),
                }
            }
            office.close().await;
        });
    }
}

//------------ Codecs ----------------------------------------------------------------------------------------

/// The formats of the audio line.
fn formats(side: &Side) -> String {
    let lines = lines(side, heard);
    let line = lines.iter().find_map(|line| line.strip_prefix("m=audio ")).unwrap_or_default();
    line.split(' ').skip(2).collect::<Vec<_>>().join(" ")
}

/// The caller offers PCMU and PCMA; what the called phone is offered and what the caller is answered.
#[test]
fn lists_narrow_and_order_what_is_offered() {
    for (variables, offered, answered) in [
        (&[][..], "0 8 101", "0 101"),
        (&["export absolute_codec_string=PCMA"], "8 101", "8 101"),
        (&["export absolute_codec_string=PCMA,G729,PCMU"], "8 0 101", "8 101"),
        (&["absolute_codec_string=PCMA"], "8 101", "8 101"),
        (&["codec_string=G722,PCMA"], "8 101", "8 101"),
        // As there, a list of the called side's own does not count beside the caller's codecs …
        (&["export nolocal:codec_string=PCMA"], "0 8 101", "0 101"),
        // … unless they are to be mixed.
        (
            &[
                "codec_string=PCMA",
                "export nolocal:codec_string=PCMU",
                "export media_mix_inbound_outbound_codecs=true",
            ],
            "8 0 101",
            "8 101",
        ),
        (
            &["export nolocal:codec_string==PCMA,PCMU", "export media_mix_inbound_outbound_codecs=true"],
            "8 0 101",
            "8 101",
        ),
        (&["codec_string=PCMA,PCMU", "answer "], "0 101", "0 101"),
        (&["codec_string=PCMA,PCMU", "rtp_codec_negotiation=greedy", "answer "], "8 101", "8 101"),
    ] {
        one(variables, vec![], vec![], |call, _| {
            assert_eq!(
                (formats(callee(call)), formats(&call.caller)),
                (offered.to_owned(), answered.to_owned()),
                "{variables:?}"
            );
        });
    }
    one(&["export verbose_sdp=true"], vec![], vec![], |call, _| {
        assert!(lines(callee(call), heard).contains(&"a=rtpmap:0 PCMU/8000"), "{call:?}");
        assert!(lines(&call.caller, heard).contains(&"a=rtpmap:0 PCMU/8000"), "{call:?}");
    });
}

#[test]
fn without_a_codec_in_common_the_caller_gets_488() {
    for variables in [
        &["export absolute_codec_string=G729"][..],
        &["codec_string=G729"],
        &["codec_string=G729", "answer "],
    ] {
        office::run(async {
            let mut office = Office::open(0, Weather::fine(), &extensions(&[("6", variables)])).await;
            let mut script = Script::exactly(CALLER, "61004", ms(0), seconds(5), vec![], vec![]);
            script.kind = Kind::Refuse(488);
            office.plan(script);
            play(&office).await;
            let (well, all) = office.judge();
            assert_eq!(well, all, "{variables:?}");
            office.close().await;
        });
    }
}

//------------ Who picks up, who is no phone ------------------------------------------------------------------

/// A third takes the caller away from the called phone, and is answered with what the caller has said.
#[test]
fn who_picks_up_a_call_past_the_switch_talks_past_it_too() {
    let more = r#"<extension name="pick up"><condition field="destination_number" expression="^5$">
        <action application="intercept" data="${hash(select/ways/last)}"/></condition></extension>"#;
    let ways: &[(&str, &[&str])] = &[("6", &["bypass_media=true", "hash insert/ways/last/${uuid}"])];
    let extensions = extensions(ways) + more;
    office::run(async {
        let mut office = Office::open(0, Weather::fine(), &extensions).await;
        let pick_up = vec![(40, vec![(When::Begun(seconds(1)), Act::Answer)])];
        office.plan(Script::among(CALLER, "61004", ms(0), vec![], pick_up));
        let ends = vec![(When::Up(seconds(10)), Act::HangUp)];
        office.plan(Script::among(0, "5", seconds(4), ends, vec![]));
        assert_eq!(play(&office).await, 0, "ports");
        office.judge();
        {
            let book = office.book.lock().unwrap();
            are_direct(&book[0].caller, &book[1].caller);
        }
        office.close().await;
    });
}

/// The switch calls itself: that call is relayed, also when its two halves have left.
#[test]
fn a_call_to_ourselves_is_relayed() {
    let extensions = extensions(&[("7", &[])])
        + r#"<extension name="6"><condition field="destination_number" expression="^6(1\d\d\d)$">
        <action application="set" data="bypass_media=true"/>
        <action application="set" data="hangup_after_bridge=true"/>
        <action application="bridge" data="loopback/7$1/default"/></condition></extension>"#;
    office::run(async {
        let mut office = Office::open(0, Weather::fine(), &extensions).await;
        office.plan(Script::exactly(CALLER, "61004", ms(0), seconds(20), vec![], vec![]));
        assert!(play(&office).await > 0, "ports");
        let (well, all) = office.judge();
        assert_eq!(well, all);
        {
            let book = office.book.lock().unwrap();
            assert!(is_relayed(&book[0].caller) && is_relayed(callee(&book[0])), "{:?}", book[0]);
        }
        office.close().await;
    });
}
