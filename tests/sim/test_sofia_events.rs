//! Events that somebody else makes and the switch acts upon: MESSAGE_WAITING, PRESENCE_IN, NOTIFY, SEND_MESSAGE; and those
//! it tells of registrations.

use std::net::SocketAddr;
use std::time::Duration;

use tandem::event::{Event, EventName, Headers};
use tandem::sip::{Message, Method, Name};

use crate::net::Weather;
use crate::office::{self, DOMAIN, Office, read, switch_address, text_with};
use crate::phone::Order;
use crate::watcher::Watcher;

/// A world with its phones registered, and whatever happens in it.
fn with_office(work: impl AsyncFnOnce(&mut Office)) {
    office::run(async {
        let mut office = Office::open(11, Weather::fine(), "").await;
        work(&mut office).await;
        office.close().await;
    });
}

/// The same with these parameters of the profile, and these variables of every user.
fn with_settings(params: &str, variables: &str, work: impl AsyncFnOnce(&mut Office)) {
    office::run(async {
        let text = text_with(switch_address(), "", "", 5080)
            .replace("<param name=\"manage-presence\"", &format!("{params}<param name=\"manage-presence\""))
            .replace("<variables>", &format!("<variables>{variables}"));
        let mut office = Office::open_as(12, Weather::fine(), read(&text)).await;
        work(&mut office).await;
        office.close().await;
    });
}

async fn say(office: &Office, line: &str) -> String {
    tandem::api::run(&office.switch.desk(), line).await
}

/// The names of the headers behind the general ones.
fn own_names(event: &Event) -> Vec<&str> {
    let names: Vec<&str> = event.headers.iter().map(|(name, _)| name).collect();
    let at = names.iter().position(|name| *name == "Event-Subclass").expect("a subclass");
    names[at + 1..].to_vec()
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

fn customs(ear: &mut tandem::event::Ear) -> Vec<Event> {
    std::iter::from_fn(|| ear.try_recv().ok())
        .filter(|e| !e.subclass().is_empty())
        .map(|e| (*e).clone())
        .collect()
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
        assert_eq!(
            act(office, EventName::PresenceIn, "from: 1003@office.test\nstatus: Lunch\nrpid: away", None),
            Ok(())
        );
        moment().await;
        assert_eq!(friend.last().note(), "Lunch");
        assert!(friend.last().body.contains("<rpid:away/>") && friend.last().body.contains("<basic>open<"));
        assert_eq!(say(office, "presence in 1003@office.test busy 'In a meeting'").await, "Event Sent");
        moment().await;
        assert_eq!(friend.last().note(), "In a meeting");
        assert_eq!(
            heard(&mut ear, EventName::PresenceIn).last().unwrap().header("status"),
            Some("In a meeting")
        );
        assert_eq!(say(office, "presence out 1003@office.test away gone").await, "Event Sent");
        moment().await;
        assert_eq!(friend.last().note(), "Unregistered");
        assert!(friend.last().body.contains("<basic>closed<"));
        assert_eq!(say(office, "presence in 1003@office.test x hangup").await, "Event Sent");
        moment().await;
        assert_eq!(friend.last().note(), "Available");
        let usage = "Invalid: presence [in|out] <user> <rpid> <message>";
        for wrong in ["presence", "presence in 1003@office.test x", "presence over 1 2 3"] {
            assert_eq!(say(office, wrong).await, usage, "{wrong}");
        }
        assert_eq!(say(office, "presence in 1003 x y").await, "-ERR from is 1003, and not user@domain\n");
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

#[test]
fn registrations_are_told_to_the_letter() {
    with_settings("", "<variable name=\"accountcode\" value=\"a1\"/>", async |office| {
        let mut ear = office.switch.exchange.events.listen();
        let order = async |office: &mut Office, expires: u32| {
            let (_, phone) = office.phones.iter_mut().find(|(_, p)| p.user == "1000").unwrap();
            phone.registered.mark_unchanged();
            phone.orders.try_send(Order::Register(expires)).unwrap();
            phone.registered.changed().await.unwrap();
            moment().await;
        };
        let told = |ear: &mut tandem::event::Ear, class: &str| -> Vec<Event> {
            customs(ear).into_iter().filter(|e| e.subclass() == class).collect()
        };
        // A refresh: challenged, attempted, registered again.
        order(office, 600).await;
        let all: Vec<_> =
            std::iter::from_fn(|| ear.try_recv().ok()).filter(|e| !e.subclass().is_empty()).collect();
        let seen: Vec<&str> = all.iter().map(|e| e.subclass()).collect();
        assert_eq!(seen, ["sofia::pre_register", "sofia::register_attempt", "sofia::register"]);
        let begin = [
            "profile-name",
            "from-user",
            "from-host",
            "contact",
            "call-id",
            "rpid",
            "status",
            "expires",
            "to-user",
            "to-host",
            "network-ip",
            "network-port",
        ];
        assert_eq!(own_names(&all[0]), [&begin[..], &["user-agent"]].concat());
        assert_eq!(
            own_names(&all[1]),
            [&begin[..], &["username", "realm", "user-agent", "auth-result"]].concat()
        );
        assert_eq!(all[1].header("auth-result"), Some("SUCCESS"));
        assert_eq!(all[1].header("username"), Some("1000"));
        let registered = [
            "profile-name",
            "from-user",
            "from-host",
            "presence-hosts",
            "contact",
            "call-id",
            "rpid",
            "status",
            "expires",
            "to-user",
            "to-host",
            "network-ip",
            "network-port",
            "username",
            "realm",
            "user-agent",
        ];
        let of_user = [
            "sip_number_alias",
            "sip_auth_username",
            "sip_auth_realm",
            "number_alias",
            "user_name",
            "domain_name",
            "accountcode",
            "user_context",
        ];
        assert_eq!(own_names(&all[2]), [&registered[..], &["update-reg"], &of_user].concat());
        let contact = office.switch.exchange.registrar.list(|b| &*b.user == "1000")[0].clone();
        for (name, value) in [
            ("contact", &*contact.fs_contact()),
            ("expires", "600"),
            ("presence-hosts", "n/a"),
            ("update-reg", "true"),
            ("accountcode", "a1"),
            ("sip_auth_realm", DOMAIN),
            ("to-user", "1000"),
        ] {
            assert_eq!(all[2].header(name), Some(value), "{name}");
        }
        assert!(all[2].header("status").unwrap().starts_with("Registered(UDP"));
        // Taken back, and new.
        order(office, 0).await;
        let gone = &told(&mut ear, "sofia::unregister")[0];
        let unregister = [
            "profile-name",
            "username",
            "from-user",
            "from-host",
            "contact",
            "call-id",
            "rpid",
            "realm",
            "network-ip",
            "network-port",
            "user-agent",
            "expires",
        ];
        assert_eq!(own_names(gone), [&unregister[..], &of_user].concat());
        assert_eq!((gone.header("expires"), gone.header("rpid")), (Some("0"), Some("unknown")));
        order(office, 600).await;
        let new = &told(&mut ear, "sofia::register")[0];
        assert_eq!(new.header("update-reg"), None);
        // An operator drops it: FreeSWITCH calls that expired, and tells when it would have been over.
        assert_eq!(
            say(office, "sofia profile internal flush_inbound_reg 1000@office.test reboot").await,
            "+OK rebooting all registrations matching specified call_id\n"
        );
        moment().await;
        let expired = &told(&mut ear, "sofia::expire")[0];
        let expire = [
            "profile-name",
            "call-id",
            "user",
            "username",
            "host",
            "contact",
            "expires",
            "user-agent",
            "realm",
            "network-ip",
            "network-port",
        ];
        assert_eq!(own_names(expired), expire);
        assert!(expired.header("expires").unwrap().parse::<i64>().unwrap() > 1_700_000_000);
        let notify = asked(office, "1000").pop().expect("a NOTIFY");
        assert_eq!((notify.header(Name::Event), notify.call_id()), (Some("check-sync"), "registration-0"));
        assert_eq!(say(office, "sofia profile internal check_sync").await, "+OK syncing all registrations\n");
        moment().await;
        assert_eq!(asked(office, "1003").len(), office::contacts(3), "those that are left");
        order(office, 600).await;
    });
}

#[test]
fn a_phone_that_registers_is_told_of_its_messages() {
    let params = "<param name=\"send-message-query-on-register\" value=\"true\"/>";
    let account = "<variable name=\"mwi-account\" value=\"box@office.test\"/>";
    with_settings(params, account, async |office| {
        let event = "MWI-Messages-Waiting: yes\nMWI-Message-Account: sip:box@office.test";
        assert_eq!(act(office, EventName::MessageWaiting, event, None), Ok(()));
        moment().await;
        assert!(
            office.phones.iter().all(|(_, phone)| !phone.asked.lock().unwrap().is_empty()),
            "the box is all's"
        );
        asked(office, "1001");
        let mut ear = office.switch.exchange.events.listen();
        office.register(600).await;
        moment().await;
        let queries = heard(&mut ear, EventName::MessageQuery);
        assert_eq!(queries.len(), office.phones.len());
        assert_eq!(queries[0].header("Message-Account"), Some("sip:box@office.test"));
        assert!(queries[0].header("VM-Call-ID").unwrap().starts_with("registration-"));
        let told = asked(office, "1001");
        assert_eq!(told.len(), 1);
        assert!(told[0].body().starts_with(b"Messages-Waiting: yes\r\n"));
        let said = say(office, "sofia status profile internal user 1001@office.test").await;
        assert!(
            said.contains("MWI-Account:\tbox@office.test\n") && said.contains("Auth-User:  \t1001\n"),
            "{said}"
        );
    });
}

#[test]
fn phones_are_pinged() {
    let params = "<param name=\"all-reg-options-ping\" value=\"true\"/><param name=\"ping-mean-interval\" value=\"20\"/>\
                  <param name=\"unregister-on-options-fail\" value=\"true\"/>";
    with_settings(params, "", async |office| {
        let mut ear = office.switch.exchange.events.listen();
        tokio::time::sleep(Duration::from_secs(60)).await;
        for (index, phone) in &office.phones {
            let pings = phone.asked.lock().unwrap();
            assert!((2..=4).contains(&pings.len()), "phone {index}: {} in 60 s", pings.len());
            assert_eq!(*pings[0].method(), Method::Options);
            let end = format!("_registration-{index}");
            assert!(pings[0].call_id().ends_with(&end), "{}", pings[0].call_id());
            assert_eq!(pings[0].from().uri().as_str(), "sip:mod_sofia@192.0.2.1:5060");
        }
        assert!(customs(&mut ear).iter().all(|e| e.subclass() != "sofia::sip_user_state"));
        let registrar = &office.switch.exchange.registrar;
        let of = |user: &str| registrar.list(|b| &*b.user == user).len();
        // 1001 says no; 1004 says nothing; 1005 is busy, which is an answer. They have three points.
        let answer = |user: &str, status| {
            let of_user = office.phones.iter().filter(|(_, p)| p.user == user);
            of_user.for_each(|(_, p)| p.answers.store(status, std::sync::atomic::Ordering::Relaxed));
        };
        for (user, status) in [("1001", 404), ("1004", 0), ("1005", 486)] {
            answer(user, status);
        }
        tokio::time::sleep(Duration::from_secs(150)).await;
        let states: Vec<Event> = customs(&mut ear);
        let lost: Vec<_> = states.iter().filter(|e| e.subclass() == "sofia::sip_user_state").collect();
        assert_eq!(lost.len(), 2, "{lost:?}");
        let no = lost.iter().find(|e| e.header("from-user") == Some("1001")).unwrap();
        let names = [
            "sip_contact",
            "profile-name",
            "sip_user",
            "from-user",
            "from-host",
            "call-id",
            "Ping-Status",
            "Status",
            "Phrase",
        ];
        assert_eq!(own_names(no), names);
        assert_eq!((no.header("Ping-Status"), no.header("Status")), (Some("UNREACHABLE"), Some("404")));
        let silent = lost.iter().find(|e| e.header("from-user") == Some("1004")).unwrap();
        assert_eq!(
            (silent.header("Status"), silent.header("Phrase")),
            (Some("408"), Some("Request Timeout"))
        );
        assert_eq!(
            (of("1001"), of("1004"), of("1005")),
            (0, 0, office::contacts(5)),
            "who does not answer is gone"
        );
        assert!(states.iter().any(|e| e.subclass() == "sofia::expire" && e.header("user") == Some("1001")));
        let said = say(office, "sofia status profile internal user 1005@office.test").await;
        assert!(said.contains("Ping-Status:\tReachable\nPing-Time:\t"), "{said}");
        assert!(!said.contains("Ping-Time:\t0.00\n"), "{said}");
        for user in ["1001", "1004", "1005"] {
            answer(user, 200);
        }
    });
}
