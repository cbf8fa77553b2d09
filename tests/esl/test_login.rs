//! Who may come in, and with what rights.

use crate::bed::{Bed, Client, PASSWORD, Settings};
use std::time::Duration;

#[test]
fn a_command_before_the_password_is_unknown_and_the_password_still_counts() {
    let bed = Bed::new();
    let mut client = bed.stranger();
    assert_eq!(client.frame().head, "Content-Type: auth/request\n");
    assert_eq!(client.ask("api status").reply(), "-ERR command not found");
    assert_eq!(client.ask(&format!("auth {PASSWORD}")).reply(), "+OK accepted");
    assert!(client.api("status").starts_with("UP 0 years"));
}

#[test]
fn a_wrong_password_is_told_late_and_once() {
    let bed = Bed::new();
    let mut client = bed.stranger();
    client.frame();
    let before = std::time::Instant::now();
    assert_eq!(client.ask("auth ClueCon").reply(), "-ERR invalid");
    assert!(before.elapsed() >= Duration::from_millis(400), "not to be tried thousands of times");
    let notice = client.frame();
    assert_eq!((notice.kind(), notice.body.len()), ("text/disconnect-notice", 67));
    assert!(client.try_frame().is_none(), "closed");
}

#[test]
fn a_user_may_do_what_the_directory_says() {
    let bed = Bed::new();
    let mut boss = bed.stranger();
    boss.frame();
    let reply = boss.ask("userauth boss@d.test:pw");
    assert_eq!(
        reply.head,
        "Content-Type: command/reply\nReply-Text: +OK accepted\nAllowed-Events: all\nAllowed-API: all\nAllowed-LOG: true\n"
    );
    let mut clerk = bed.stranger();
    clerk.frame();
    let reply = clerk.ask("userauth clerk:pw@d.test");
    assert_eq!(reply.header("Allowed-API"), "status,echo");
    assert_eq!(reply.header("Allowed-Events"), "HEARTBEAT CUSTOM my::own");
    assert_eq!(clerk.api("echo hello"), "hello");
    for command in ["api hupall", "bgapi hupall", "api eval ${hupall()}", "log debug"] {
        assert_eq!(clerk.ask(command).reply(), "-ERR permission denied", "{command}");
    }
    for events in ["ALL", "DTMF", "HEARTBEAT DTMF", "CUSTOM sofia::register"] {
        assert_eq!(clerk.ask(&format!("event plain {events}")).reply(), "-ERR permission denied", "{events}");
    }
    assert_eq!(clerk.ask("noevents").reply(), "-ERR not listening for events", "nothing was subscribed");
    assert_eq!(clerk.ask("event json HEARTBEAT CUSTOM my::own").reply(), "+OK event listener enabled json");
    for wrong in ["boss@d.test:no", "nobody@d.test:pw", "boss@other.test:pw", "boss", "@:"] {
        let mut client = bed.stranger();
        client.frame();
        assert_eq!(client.ask(&format!("userauth {wrong}")).reply(), "-ERR invalid", "{wrong}");
    }
}

/// Somebody who may run what runs others.
fn carrier(bed: &Bed) -> Client {
    let mut client = bed.stranger();
    client.frame();
    assert_eq!(client.ask("userauth carrier:pw@d.test").reply(), "+OK accepted");
    client
}

#[test]
fn what_carries_a_command_carries_none_that_is_not_allowed() {
    let bed = Bed::new();
    let mut client = carrier(&bed);
    let fsapi = |cmd: &str, arg: &str| {
        format!(r#"json {{"command":"fsapi","data":{{"cmd":"{cmd}","arg":"{arg}"}}}}"#)
    };
    assert!(client.api(&fsapi("echo", "hello")).contains(r#""message":"hello""#));
    assert!(client.api("xml_wrap echo hello").contains("<data>hello</data>"));
    assert!(client.api("expand echo hello").contains("hello"));
    assert_eq!(client.api("eval hello"), "hello");
    // The first are seen before they run; the others as what they carry is to run.
    for line in [
        "bgapi global_setvar owned=1",
        "xml_wrap encoded global_setvar owned=1",
        "expand global_setvar owned=1",
        "sched_api +1 none global_setvar owned=1",
        "sched_api +1 none json {}",
        "eval ${global_setvar(owned=1)}",
        "cond 1 == 1 ? ${global_setvar(owned=1)} : x",
        "regex a|a|${global_setvar(owned=1)}",
        &fsapi("global_setvar", "owned=1"),
        &fsapi("GLOBAL_SETVAR", "owned=1"),
        &fsapi("bgapi", "global_setvar owned=1"),
        &fsapi("eval", r"\u0024{global_setvar(owned=1)}"),
        &fsapi("expand", r"echo \u0024{global_setvar(owned=1)}"),
        &fsapi("expand", "global_setvar owned=1"),
        &fsapi("sched_api", "+0 none global_setvar owned=1"),
        &fsapi("sched_api", r"+0\u0009x status global_setvar owned=1"),
        &fsapi("xml_wrap", "json {}"),
    ] {
        let answer = client.ask(&format!("api {line}"));
        let said = format!("{}{}", answer.head, answer.body);
        let harmless = line.starts_with("cond") || line.starts_with("regex") || line.contains("u0009");
        assert!(harmless || said.contains("-ERR permission denied"), "{line}: {said}");
    }
    std::thread::sleep(Duration::from_millis(1_200));
    let mut boss = bed.client();
    assert_eq!(boss.api("global_getvar owned"), "-ERR no reply\n", "something got through");
    assert!(client.api(r#"json {"command":"status","data":{}}"#).contains("systemStatus"));
    assert!(
        boss.api("json {\"command\":\"fsapi\",\"data\":{\"cmd\":\"global_setvar\",\"arg\":\"owned=2\"}}")
            .contains("+OK")
    );
    assert_eq!(boss.api("global_getvar owned").trim(), "2", "who may do everything still may");
}

#[test]
fn a_call_followed_shows_no_more_than_the_events_allowed() {
    let bed = Bed::new();
    let mut client = carrier(&bed);
    let mut caller = bed.call("7000");
    caller.answered();
    let mut boss = bed.client();
    let uuid = boss.api("show channels as json");
    let uuid = uuid.split("\"uuid\":\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a uuid");
    assert_eq!(client.ask(&format!("myevents {uuid}")).reply(), "+OK Events Enabled");
    assert_eq!(client.ask("divert_events on").reply(), "+OK events diverted");
    assert_eq!(boss.ask(&format!("myevents {uuid}")).reply(), "+OK Events Enabled");
    caller.bye();
    boss.event("CHANNEL_HANGUP_COMPLETE");
    std::thread::sleep(Duration::from_millis(200));
    let heard = client.all(Duration::from_millis(300));
    assert!(!heard.contains("Event-Name"), "{heard}");
}

#[test]
fn who_is_not_let_in_hears_so() {
    let params =
        "<param name=\"password\" value=\"x\"/><param name=\"apply-inbound-acl\" value=\"rfc1918.auto\"/>";
    let bed = Bed::with(Settings { socket: params.to_owned(), ..Settings::default() });
    let mut client = bed.stranger();
    let frame = client.frame();
    assert_eq!((frame.kind(), &*frame.body), ("text/rude-rejection", "Access Denied, go away.\n"));
    assert!(client.try_frame().is_none());
}

#[test]
fn there_is_room_for_so_many() {
    let params = format!(
        "<param name=\"password\" value=\"{PASSWORD}\"/><param name=\"max-connections\" value=\"3\"/>"
    );
    let bed = Bed::with(Settings { socket: params, ..Settings::default() });
    let mut clients: Vec<_> = (0..3).map(|_| bed.client()).collect();
    assert_eq!(bed.stranger().frame().kind(), "text/rude-rejection");
    clients.pop();
    crate::bed::until("a place is free again", || {
        let mut client = bed.stranger();
        client.frame().kind() == "auth/request"
    });
}
