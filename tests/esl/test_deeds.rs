//! What events have done that a client sends: NOTIFY, SEND_MESSAGE, SEND_INFO become requests to phones.

use crate::bed::{Bed, Client, expect, respond};

/// The header of a SIP message.
fn sip<'m>(message: &'m str, name: &str) -> &'m str {
    let prefix = format!("{name}: ");
    message.lines().find_map(|line| line.strip_prefix(&prefix)).unwrap_or("")
}

fn body(message: &str) -> &str {
    message.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}

/// Sends an event with a body of that length and expects its uuid.
fn done(client: &mut Client, event: &str, text: &str) {
    client.send(&format!("sendevent {event}\nContent-Length: {}\n\n{text}", text.len()));
    let reply = client.reply();
    assert!(reply.reply().starts_with("+OK ") && reply.reply().len() == 40, "{event}: {}", reply.reply());
}

#[test]
fn a_registered_user_is_notified() {
    let bed = Bed::new();
    bed.register("boss");
    let mut client = bed.client();
    client.ask("event plain NOTIFY");
    let event = "NOTIFY\nprofile: internal\nuser: boss\nhost: d.test\nevent-string: check-sync;reboot=false\n\
                 content-type: application/simple-message-summary";
    client.send(&format!("sendevent {event}\nContent-Length: 4\n\na\r\nb"));
    let reply = client.reply();
    assert!(reply.reply().starts_with("+OK "), "{}", reply.reply());
    let notify = expect(&bed.callee, "NOTIFY ");
    respond(&bed.callee, bed.sip, &notify, "200 OK", "");
    let me = bed.callee.local_addr().unwrap();
    assert!(notify.starts_with(&format!("NOTIFY sip:boss@{me};x=y SIP/2.0\r\n")), "{notify}");
    assert_eq!(sip(&notify, "Event"), "check-sync;reboot=false");
    assert_eq!(sip(&notify, "Subscription-State"), "terminated;reason=noresource");
    assert_eq!(sip(&notify, "Content-Type"), "application/simple-message-summary");
    assert_eq!(sip(&notify, "To"), "<sip:boss@d.test>");
    assert!(sip(&notify, "From").starts_with("<sip:boss@d.test>;tag="));
    assert!(sip(&notify, "Contact").starts_with("<sip:mod_sofia@127.0.0.1:"));
    assert_eq!(body(&notify), "a\r\nb");
    assert_eq!(client.event("NOTIFY").event("user"), "boss", "told to listeners, too");
    // The registration that has this Call-ID, whosever it is.
    client.ask(&format!("sendevent {event}\ncall-id: reg-boss@phone").replace("user: boss", "user: x"));
    let notify = expect(&bed.callee, "NOTIFY ");
    respond(&bed.callee, bed.sip, &notify, "200 OK", "");
    assert_eq!(body(&notify), "");
}

#[test]
fn an_address_is_notified_and_nothing_breaks_out_of_a_header() {
    let bed = Bed::new();
    let phone = bed.callee.local_addr().unwrap();
    let mut client = bed.client();
    client.send(&format!(
        "sendevent NOTIFY\nprofile: internal\nto-uri: sip:lamp@{phone}\nfrom-uri: <sip:pbx@d.test>\n\
         event-string: x\rInjected: 1\nextra-headers: X-A: 1\r\n\n"
    ));
    assert!(client.reply().reply().starts_with("+OK "));
    let notify = expect(&bed.callee, "NOTIFY ");
    respond(&bed.callee, bed.sip, &notify, "481 Gone", "");
    assert_eq!(sip(&notify, "Event"), "xInjected: 1");
    assert_eq!(sip(&notify, "X-A"), "1");
    assert_eq!((sip(&notify, "Injected"), sip(&notify, "Content-Length")), ("", "0"));
    assert_eq!(sip(&notify, "Subscription-State"), "terminated;reason=noresource");
    client.send(&format!(
        "sendevent NOTIFY\nprofile: internal\ncontact-uri: sip:lamp@{phone}\nto-uri: sip:lamp@d.test\n\
         from-uri: sip:pbx@d.test\nno-sub-state: true\ncall-id: mine@d.test\n\n"
    ));
    assert!(client.reply().reply().starts_with("+OK "));
    let notify = expect(&bed.callee, "NOTIFY ");
    respond(&bed.callee, bed.sip, &notify, "200 OK", "");
    assert_eq!((sip(&notify, "Subscription-State"), sip(&notify, "Call-ID")), ("", "mine@d.test"));
    assert_eq!((sip(&notify, "Event"), sip(&notify, "To")), ("message-summary", "<sip:lamp@d.test>"));
}

#[test]
fn a_call_gets_notify_message_and_info() {
    let bed = Bed::new();
    let mut client = bed.client();
    client.ask("event plain CHANNEL_PARK");
    let mut caller = bed.call("7000");
    caller.answered();
    let park = client.event("CHANNEL_PARK");
    let (uuid, call_id) = (park.event("Unique-ID"), park.event("variable_sip_call_id"));
    done(&mut client, &format!("NOTIFY\nuuid: {uuid}\nevent-string: talk\ncontent-type: text/plain"), "hi");
    let notify = caller.expect("NOTIFY ");
    assert_eq!((sip(&notify, "Event"), body(&notify)), ("talk", "hi"));
    assert_eq!(sip(&notify, "Call-ID"), call_id);
    caller.reply(&notify, "200 OK");
    done(
        &mut client,
        &format!("SEND_MESSAGE\nuuid: {uuid}\ncontent-type: text/plain\nsubject: S"),
        "hello there",
    );
    let message = caller.expect("MESSAGE ");
    assert_eq!((sip(&message, "Subject"), body(&message)), ("S", "hello there"));
    caller.reply(&message, "200 OK");
    done(
        &mut client,
        &format!(
            "SEND_INFO\nprofile: internal\ncall-id: {call_id}\ncontent-type: application/x\ncontent-disposition: render"
        ),
        "<x/>",
    );
    let info = caller.expect("INFO ");
    assert_eq!((sip(&info, "Content-Disposition"), body(&info)), ("render", "<x/>"));
    caller.reply(&info, "200 OK");
    caller.bye();
}

#[test]
fn messages_and_info_reach_those_who_are_in_no_call() {
    let bed = Bed::new();
    bed.register("clerk");
    let mut client = bed.client();
    done(
        &mut client,
        "SEND_MESSAGE\nprofile: internal\nuser: clerk\nhost: d.test\ncontent-type: text/plain",
        "hello",
    );
    let message = expect(&bed.callee, "MESSAGE ");
    respond(&bed.callee, bed.sip, &message, "202 Accepted", "");
    assert_eq!((sip(&message, "To"), sip(&message, "Contact")), ("<sip:clerk@d.test>", ""));
    assert_eq!(body(&message), "hello");
    done(
        &mut client,
        "SEND_INFO\nprofile: internal\nlocal-user: clerk@d.test\nfrom-uri: sip:pbx@d.test\n\
         call-info: <sip:x>;answer-after=0\ncontent-type: text/plain",
        "i",
    );
    let info = expect(&bed.callee, "INFO ");
    respond(&bed.callee, bed.sip, &info, "200 OK", "");
    assert!(sip(&info, "From").starts_with("<sip:pbx@d.test>;tag="), "{info}");
    assert_eq!(sip(&info, "Call-Info"), "<sip:x>;answer-after=0");
}

#[test]
fn what_cannot_be_done_is_said() {
    let bed = Bed::new();
    let mut client = bed.client();
    client.ask("event plain NOTIFY PHONE_FEATURE SEND_INFO SEND_MESSAGE PRESENCE_IN TRAP");
    for (event, said) in [
        (
            "NOTIFY\nprofile: nowhere\nuser: u\nhost: h\nevent-string: e\ncontent-type: c",
            "cannot find profile nowhere",
        ),
        (
            "NOTIFY\nprofile: internal\nuser: nobody\nhost: d.test\nevent-string: e\ncontent-type: c",
            "cannot find registered user nobody@d.test",
        ),
        ("NOTIFY\nprofile: internal\nuser: u\nhost: h", "the event has no header event-string"),
        ("NOTIFY\nuuid: none\nevent-string: e", "the event has no header content-type"),
        ("NOTIFY\nuuid: none\nevent-string: e\ncontent-type: c", "no such channel none"),
        ("NOTIFY\nprofile: internal\nto-uri: sip:a@b", "the event has no header from-uri"),
        ("NOTIFY\nprofile: x\nto-uri: sip:a@b\nfrom-uri: sip:a@b", "cannot find profile x"),
        ("NOTIFY\nprofile: internal\nto-uri: http://x/\nfrom-uri: sip:a@b", "http://x/ is no SIP URI"),
        ("SEND_MESSAGE\nuser: u\nhost: h\ncontent-type: text/plain", "the event has no header profile"),
        ("SEND_MESSAGE\nuuid: u", "the event has no header content-type"),
        ("SEND_MESSAGE\nuuid: u\ncontent-type: c", "no such channel u"),
        ("SEND_INFO\nto-uri: sip:a@b", "the event has no header profile"),
        ("SEND_INFO\nprofile: internal\nto-uri: sip:a@b", "the event has no header from-uri"),
        ("SEND_INFO\nprofile: internal\nfrom-uri: sip:a@b", "the event has no header to-uri"),
        ("SEND_INFO\nprofile: internal\ncall-id: none", "there is no call with call-id none"),
        (
            "SEND_INFO\nprofile: internal\nlocal-user: u@h\nfrom-uri: sip:a@b",
            "cannot find registered user u@h",
        ),
        (
            "PHONE_FEATURE\nprofile: internal\nuser: u\nhost: h",
            "PHONE_FEATURE is not provided: no phone can subscribe to as-feature-event",
        ),
    ] {
        assert_eq!(client.ask(&format!("sendevent {event}")).reply(), format!("-ERR {said}"), "{event}");
        let name = event.lines().next().unwrap();
        assert_eq!(client.next().event("Event-Name"), name, "told to listeners all the same");
    }
    // A client's own events, for listeners alone.
    for event in ["NOTIFY\nX: 1", "SEND_MESSAGE\nX: 1", "SEND_INFO\nX: 1", "TRAP"] {
        assert!(client.ask(&format!("sendevent {event}")).reply().starts_with("+OK "), "{event}");
        client.next();
    }
}
