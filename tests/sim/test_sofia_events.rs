//! Events that somebody else makes and the switch acts upon: MESSAGE_WAITING, PRESENCE_IN, NOTIFY, SEND_MESSAGE.

use std::net::SocketAddr;
use std::time::Duration;

use tandem::event::{Event, EventName, Headers};
use tandem::sip::{Message, Method, Name};

use crate::net::Weather;
use crate::office::{self, DOMAIN, Office};
use crate::watcher::Watcher;

/// A world with its phones registered, and whatever happens in it.
fn with_office(work: impl AsyncFnOnce(&mut Office)) {
    office::run(async {
        let mut office = Office::open(11, Weather::fine(), "").await;
        work(&mut office).await;
        office.close().await;
    });
}

/// Somebody makes an event of these headers, a line each.
fn act(office: &Office, name: EventName, headers: &str, body: Option<&str>) -> Result<(), String> {
    let split =
        |line: &str| line.trim().split_once(':').map(|(n, v)| (n.to_owned().into(), v.trim().to_owned()));
    let headers: Headers = headers.lines().filter_map(split).collect();
    office.switch.desk().house.act_on(name, &headers, body)
}

async fn moment() {
    tokio::time::sleep(Duration::from_secs(1)).await;
}

/// What the phones of a user were asked outside calls since the last time.
fn asked(office: &Office, user: &str) -> Vec<Message> {
    let of_user = office.phones.iter().filter(|(_, phone)| phone.user == user);
    of_user.flat_map(|(_, phone)| std::mem::take(&mut *phone.asked.lock().unwrap())).collect()
}

fn at(last: u8) -> SocketAddr {
    SocketAddr::from(([198, 51, 100, last], 5070))
}

/// They end their subscriptions.
async fn leave<const N: usize>(watchers: [Watcher; N]) {
    for mut watcher in watchers {
        assert_eq!(watcher.subscribe(0).await, 200);
        moment().await;
        watcher.vanish().await;
    }
}

fn heard(ear: &mut tandem::event::Ear, name: EventName) -> Vec<Event> {
    std::iter::from_fn(|| ear.try_recv().ok()).filter(|e| e.name == name).map(|e| (*e).clone()).collect()
}

#[test]
fn messages_that_wait_are_told_to_who_subscribed_and_to_who_is_registered() {
    with_office(async |office| {
        let mut ear = office.switch.exchange.events.listen();
        let mut lamp = Watcher::new(office, at(201), "1003", "message-summary");
        assert_eq!(lamp.subscribe(600).await, 200);
        moment().await;
        assert!(lamp.last().body.starts_with("Messages-Waiting: no\r\n"), "{}", lamp.last().body);
        let queries = heard(&mut ear, EventName::MessageQuery);
        assert_eq!(queries.len(), 1);
        assert_eq!(queries[0].header("Message-Account"), Some("sip:1003@office.test"));
        assert_eq!(queries[0].header("VM-Sofia-Profile"), Some("internal"));
        assert!(queries[0].header("VM-sub-call-id").is_some_and(|id| !id.is_empty()));

        let event = "MWI-Messages-Waiting: yes\nMWI-Message-Account: 1003@office.test\n\
                     MWI-Voice-Message: 2/1 (0/0)\nsofia-profile: internal\nX-Other: none";
        assert_eq!(act(office, EventName::MessageWaiting, event, None), Ok(()));
        moment().await;
        let summary =
            "Messages-Waiting: yes\r\nMessage-Account: sip:1003@office.test\r\nVoice-Message: 2/1 (0/0)\r\n";
        assert_eq!(lamp.last().body, summary);
        let told = asked(office, "1003");
        assert_eq!(told.len(), office::contacts(3), "each phone once");
        for notify in &told {
            assert_eq!(*notify.method(), Method::Notify);
            assert_eq!(notify.header(Name::Event), Some("message-summary"));
            assert_eq!(notify.header(Name::SubscriptionState), Some("terminated;reason=noresource"));
            assert_eq!(notify.header(Name::ContentType), Some("application/simple-message-summary"));
            assert_eq!(notify.body(), summary.as_bytes());
            assert_eq!(notify.from().uri().as_str(), "sip:1003@office.test");
        }
        assert!(office.phones.iter().all(|(_, phone)| phone.asked.lock().unwrap().is_empty()), "nobody else");

        // Who comes later is told at once; one Call-ID alone is told alone.
        let mut late = Watcher::new(office, at(202), "1003", "message-summary");
        assert_eq!(late.subscribe(600).await, 200);
        moment().await;
        assert_eq!(late.last().body, summary);
        let one = format!("registration-{}", office.phones.iter().find(|(_, p)| p.user == "1003").unwrap().0);
        let event =
            format!("MWI-Messages-Waiting: no\nMWI-Message-Account: sip:1003@office.test\ncall-id: {one}");
        assert_eq!(act(office, EventName::MessageWaiting, &event, None), Ok(()));
        moment().await;
        assert_eq!(asked(office, "1003").len(), 1);
        assert!(late.last().body.starts_with("Messages-Waiting: no\r\n"));
        let event = "MWI-Messages-Waiting: yes\nMWI-Message-Account: 1003@office.test\nsub-call-id: x";
        assert_eq!(act(office, EventName::MessageWaiting, event, None), Ok(()));
        moment().await;
        assert_eq!(asked(office, "1003").len(), 0);

        for (event, why) in [
            ("MWI-Messages-Waiting: yes", "the event has no header MWI-Message-Account"),
            ("MWI-Message-Account: 1003@office.test", "the event has no header MWI-Messages-Waiting"),
            (
                "MWI-Messages-Waiting: yes\nMWI-Message-Account: 1003",
                "MWI-Message-Account is 1003, and not user@domain",
            ),
            ("MWI-Messages-Waiting: yes\nMWI-Message-Account: 1@no.such", "cannot find profile no.such"),
        ] {
            assert_eq!(act(office, EventName::MessageWaiting, event, None), Err(why.to_owned()), "{event}");
        }
        leave([lamp, late]).await;
    });
}

#[test]
fn a_client_lights_lamps() {
    with_office(async |office| {
        let mut ear = office.switch.exchange.events.listen();
        let mut lamp = Watcher::new(office, at(201), "flow+30", "dialog");
        let mut busy = Watcher::new(office, at(202), "1003", "dialog");
        let mut friend = Watcher::new(office, at(203), "1003", "presence");
        for watcher in [&mut lamp, &mut busy, &mut friend] {
            assert_eq!(watcher.subscribe(600).await, 200);
        }
        moment().await;
        let probes = heard(&mut ear, EventName::PresenceProbe);
        let seen: Vec<_> =
            probes.iter().map(|p| (p.header("proto"), p.header("to"), p.header("probe-type"))).collect();
        assert_eq!(
            seen,
            [
                (Some("flow"), Some("flow+30@office.test"), None),
                (Some("sip"), Some("1003@office.test"), Some("dialog")),
                (Some("sip"), Some("1003@office.test"), None),
            ]
        );
        assert_eq!(probes[2].header("presence-source"), Some("subscribe"));
        assert_eq!(probes[0].header("from"), Some("1000@office.test"));

        let on = "proto: flow\nlogin: flow+30\nfrom: flow+30@office.test\nstatus: Active (1 waiting)\nrpid: unknown\n\
                  event_type: presence\nalt_event_type: dialog\nevent_count: 1\nunique-id: 55\n\
                  Presence-Call-Direction: outbound\nanswer-state: confirmed";
        assert_eq!(act(office, EventName::PresenceIn, on, None), Ok(()));
        moment().await;
        assert_eq!(lamp.last().states(), ["confirmed"], "{}", lamp.last().body);
        assert!(lamp.last().body.contains("<dialog id=\"55\"") && !lamp.last().body.contains("anonymous"));
        assert_eq!(act(office, EventName::PresenceIn, &on.replace("confirmed", "early"), None), Ok(()));
        moment().await;
        assert_eq!(lamp.last().states(), ["early"]);
        assert_eq!(act(office, EventName::PresenceIn, &on.replace("confirmed", "terminated"), None), Ok(()));
        moment().await;
        assert_eq!(lamp.last().states(), ["terminated"]);

        let call = "from: 1003@office.test\nunique-id: of-another-switch\nPresence-Call-Direction: outbound\n\
                    answer-state: ringing\nCaller-Caller-ID-Number: 4930123\nCaller-Caller-ID-Name: Ann";
        assert_eq!(act(office, EventName::PresenceIn, call, None), Ok(()));
        moment().await;
        assert_eq!(busy.last().states(), ["early"]);
        assert!(
            busy.last().body.contains("<identity display=\"Ann\">sip:4930123@office.test"),
            "{}",
            busy.last().body
        );
        assert_eq!(friend.last().note(), "Ring 4930123");
        let over = format!("{call}\nchannel-state: CS_HANGUP");
        assert_eq!(act(office, EventName::PresenceIn, &over, None), Ok(()));
        moment().await;
        assert_eq!(friend.last().note(), "Available");

        // What there is to know of a user, by event and by command, until its registration changes.
        let say = async |line: &str| tandem::api::run(&office.switch.desk(), line).await;
        assert_eq!(
            act(office, EventName::PresenceIn, "from: 1003@office.test\nstatus: Lunch\nrpid: away", None),
            Ok(())
        );
        moment().await;
        assert_eq!(friend.last().note(), "Lunch");
        assert!(friend.last().body.contains("<rpid:away/>") && friend.last().body.contains("<basic>open<"));
        assert_eq!(say("presence in 1003@office.test busy 'In a meeting'").await, "Event Sent");
        moment().await;
        assert_eq!(friend.last().note(), "In a meeting");
        assert_eq!(
            heard(&mut ear, EventName::PresenceIn).last().unwrap().header("status"),
            Some("In a meeting")
        );
        assert_eq!(say("presence out 1003@office.test away gone").await, "Event Sent");
        moment().await;
        assert_eq!(friend.last().note(), "Unregistered");
        assert!(friend.last().body.contains("<basic>closed<"));
        assert_eq!(say("presence in 1003@office.test x hangup").await, "Event Sent");
        moment().await;
        assert_eq!(friend.last().note(), "Available");
        let usage = "Invalid: presence [in|out] <user> <rpid> <message>";
        for wrong in ["presence", "presence in 1003@office.test x", "presence over 1 2 3"] {
            assert_eq!(say(wrong).await, usage, "{wrong}");
        }
        assert_eq!(say("presence in 1003 x y").await, "-ERR from is 1003, and not user@domain\n");
        let twice = act(office, EventName::PresenceIn, &format!("from: 1\u{40}{DOMAIN}\nstatus: x"), None);
        assert_eq!(twice, Ok(()), "nobody watches that one");
        leave([lamp, busy, friend]).await;
    });
}

#[test]
fn a_client_notifies_phones_and_sends_them_messages() {
    with_office(async |office| {
        let event = "profile: internal\nuser: 1002\nhost: office.test\nevent-string: check-sync;reboot=true\n\
                     content-type: application/simple-message-summary";
        assert_eq!(act(office, EventName::Notify, event, Some("hello")), Ok(()));
        moment().await;
        let told = asked(office, "1002");
        assert_eq!(told.len(), office::contacts(2));
        assert_eq!(told[0].header(Name::Event), Some("check-sync;reboot=true"));
        assert_eq!(told[0].body(), b"hello");

        let text = "profile: internal\nuser: 1002\nhost: office.test\ncontent-type: text/plain\nsubject: Hi";
        assert_eq!(act(office, EventName::SendMessage, text, Some("lunch?")), Ok(()));
        moment().await;
        let told = asked(office, "1002");
        assert_eq!((told.len(), told[0].method()), (office::contacts(2), &Method::Message));
        assert_eq!((told[0].body(), told[0].header(Name::Subject)), (&b"lunch?"[..], Some("Hi")));

        // To an address: the phone of 1000 has one of its own.
        let contact = office.switch.exchange.registrar.list(|b| &*b.user == "1000")[0].flow.remote;
        let event = format!(
            "profile: internal\nto-uri: sip:1000@{contact}\nfrom-uri: <sip:boss@office.test>\n\
             event-string: talk\ncontent-type: text/plain\nextra-headers: X-One: 1"
        );
        assert_eq!(act(office, EventName::Notify, &event, None), Ok(()));
        moment().await;
        let told = asked(office, "1000");
        assert_eq!((told.len(), told[0].header(Name::Event)), (1, Some("talk")));
        assert_eq!(told[0].header_named("X-One").next(), Some("1"));
        assert_eq!(told[0].from().uri().as_str(), "sip:boss@office.test");

        for (name, event, why) in [
            (EventName::Notify, "profile: internal\nuser: 1002", "the event has no header host"),
            (
                EventName::Notify,
                "profile: nobody\nuser: 1\nhost: h\nevent-string: x\ncontent-type: y",
                "cannot find profile nobody",
            ),
            (EventName::Notify, "to-uri: sip:a@b", "the event has no header from-uri"),
            (EventName::Notify, "to-uri: sip:a@b\nfrom-uri: nonsense", "nonsense is no SIP URI"),
            (
                EventName::SendMessage,
                "profile: internal\nuser: 1999\nhost: office.test\ncontent-type: text/plain",
                "cannot find registered user 1999@office.test",
            ),
            (EventName::SendInfo, "profile: internal", "the event has no header from-uri"),
            (
                EventName::PhoneFeature,
                "",
                "PHONE_FEATURE is not provided: no phone can subscribe to as-feature-event",
            ),
        ] {
            assert_eq!(act(office, name, event, None), Err(why.to_owned()), "{event}");
        }
    });
}
