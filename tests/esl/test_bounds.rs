//! What must not get through: line ends in every place, too much of anything, half-open connections.

use crate::bed::Bed;
use std::io::Write;

#[test]
fn nothing_breaks_out_of_its_line() {
    let bed = Bed::new();
    let mut client = bed.client();
    client.ask("event plain CUSTOM my::own");
    client.ask(
        "sendevent CUSTOM\nEvent-Subclass: my::own\nX-One: a%0ab%0D%0AContent-Type: x\nX:Y: z\n\u{1}Name: v",
    );
    let event = client.event("CUSTOM");
    assert_eq!(event.event("X-One"), "a%0ab\r\nContent-Type: x", "encoded, so that it comes back whole");
    assert!(event.body.contains("\nX-One: a%250ab%0D%0AContent-Type%3A%20x\n"), "{}", event.body);
    // What is said back is one line.
    let reply = client.ask("filter X-Evil a\rContent-Length: 5");
    assert_eq!(reply.head.lines().count(), 2, "{}", reply.head);
    let reply = client.ask("bgapi echo x\nJob-UUID: a\rContent-Length: 99");
    assert_eq!(reply.head.lines().count(), 3, "{}", reply.head);
    assert_eq!(client.api("no\rsuch\u{7f}command x"), "-ERR no Command not found!\n");
    assert_eq!(client.api("echo still here"), "still here");
}

#[test]
fn a_callers_headers_are_data() {
    let bed = Bed::new();
    let mut client = bed.client();
    client.ask("event plain CHANNEL_PARK");
    let mut caller = bed.call("7000");
    caller.answered();
    let event = client.event("CHANNEL_PARK");
    let uuid = event.event("Unique-ID");
    let value = client.api(&format!("uuid_getvar {uuid} sip_h_X-Evil"));
    assert_eq!(value, "a%0ab");
    assert!(!event.body.contains("X-Evil: a\n"), "{}", event.body);
    // A variable's value is not expanded again by a command that expands.
    client.api(&format!("uuid_setvar {uuid} trick ${{hupall()}}"));
    client.api(&format!("eval uuid:{uuid} ${{trick}}"));
    assert_eq!(client.api(&format!("uuid_exists {uuid}")), "true");
    client.api(&format!("uuid_kill {uuid}"));
    caller.expect_bye();
}

#[test]
fn too_much_is_refused_and_said() {
    let bed = Bed::new();
    let mut client = bed.client();
    let long = "a".repeat(1 << 20);
    // It may be cut off while it is still sending.
    let _ = client.stream.write_all(format!("api echo {long}\n\n").as_bytes());
    assert_eq!(client.reply().reply(), "-ERR too long a command");
    for length in ["-1", "99999999999", "abc"] {
        let mut client = bed.client();
        client.send(&format!("sendevent CUSTOM\nContent-Length: {length}\n\n"));
        assert_eq!(client.reply().reply(), "-ERR a Content-Length that cannot be", "{length}");
    }
    let mut stranger = bed.stranger();
    stranger.frame();
    let _ = stranger.stream.write_all("x".repeat(10_000).as_bytes());
    assert_eq!(stranger.reply().reply(), "-ERR too long a command");
    let mut client = bed.client();
    let large = "b".repeat(300_000);
    assert_eq!(client.api(&format!("echo {large}")), large, "large, but not too large");
}

#[test]
fn a_stranger_may_not_try_for_ever() {
    let bed = Bed::new();
    let mut client = bed.stranger();
    client.frame();
    let mut replies = 0;
    while let Some(frame) = {
        client.send("api status\n\n");
        client.try_frame()
    } {
        match frame.kind() {
            "command/reply" => replies += 1,
            _ => break,
        }
    }
    assert_eq!(replies, 20);
}

#[test]
fn who_says_nothing_keeps_nobody_out() {
    let bed = Bed::new();
    let mut open: Vec<_> = (0..40).map(|_| bed.stranger()).collect();
    let kinds: Vec<_> = open.iter_mut().map(|c| c.frame().kind().to_owned()).collect();
    assert!(kinds.iter().all(|kind| kind == "auth/request"), "{kinds:?}");
    // 32 of one address may be half-open: the oldest have gone.
    let mut late = open.split_off(8);
    for early in &mut open {
        assert_eq!(early.frame().kind(), "text/disconnect-notice");
        assert_eq!(early.try_frame(), None);
    }
    assert_eq!(bed.client().api("echo still"), "still");
    let last = late.last_mut().expect("32 are left");
    last.send("api status\n\n");
    assert_eq!(last.reply().reply(), "-ERR command not found", "who came late is still heard");
}

#[test]
fn garbage_harms_nobody() {
    let bed = Bed::new();
    let mut good = bed.client();
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    for _ in 0..50 {
        let mut client = bed.client();
        let bytes: Vec<u8> = (0..2000)
            .map(|_| {
                seed ^= seed << 13;
                seed ^= seed >> 7;
                seed ^= seed << 17;
                // Many line ends among them.
                if seed.is_multiple_of(7) { b'\n' } else { (seed >> 24) as u8 }
            })
            .collect();
        let _ = client.stream.write_all(&bytes);
    }
    assert_eq!(good.api("echo still here"), "still here");
}

#[test]
fn nothing_breaks_out_of_a_message() {
    let bed = Bed::new();
    let mut client = bed.client();
    client.ask("event plain CHANNEL_PARK CHANNEL_EXECUTE");
    let mut caller = bed.call("7000");
    caller.answered();
    let uuid = client.event("CHANNEL_PARK").event("Unique-ID");
    let evil = "x\rContent-Length: 99\u{0}%0d%0aReply-Text: +OK";
    let execute = "call-command: execute\nexecute-app-name: log\nexecute-app-arg: INFO y";
    for message in [
        format!("sendmsg {uuid}\ncall-command: {evil}"),
        format!("sendmsg {uuid}\nsession-id: {evil}\ncall-command: {evil}"),
        format!("sendmsg {evil}\ncall-command: hangup"),
        format!("sendmsg\nsession-id: {evil}\ncall-command: hangup"),
        format!("sendmsg {uuid}\n{execute}\nloops: {evil}"),
        format!("sendmsg {uuid}\n{execute}\nlead-frames: {evil}"),
        format!("sendmsg {uuid}\ncall-command: xferext\nno-application: {evil}"),
        format!(
            "sendevent NOTIFY\nprofile: {evil}\nuser: {evil}\nhost: {evil}\nevent-string: {evil}\ncontent-type: {evil}"
        ),
        format!("sendevent NOTIFY\nuuid: {evil}\nevent-string: {evil}\ncontent-type: {evil}"),
        format!("sendevent SEND_INFO\nprofile: internal\ncall-id: {evil}"),
    ] {
        let reply = client.ask(&message);
        assert_eq!(reply.head.lines().count(), 2, "{message:?}: {}", reply.head);
        assert!(reply.reply().starts_with("-ERR "), "{message:?}: {}", reply.head);
    }
    // What is taken as it is comes back in one line, encoded.
    assert_eq!(client.ask(&format!("sendmsg {uuid}\n{execute}{evil}\nEvent-UUID: {evil}")).reply(), "+OK");
    let event = client.event("CHANNEL_EXECUTE");
    assert_eq!(event.event("Application-UUID"), evil);
    assert!(event.event("Application-Data").starts_with("INFO yx\rContent-Length: 99"));
    let lines = event
        .body
        .lines()
        .filter(|line| line.starts_with("Content-Length") || line.starts_with("Reply-Text"));
    assert_eq!(lines.count(), 0, "{}", event.body);
    caller.bye();
}

#[test]
fn what_is_not_said_to_its_end_is_not_done() {
    let bed = Bed::new();
    let mut client = bed.client();
    client.ask("event plain CUSTOM my::own");
    for half in [
        "sendevent CUSTOM\nEvent-Subclass: my::own\n",
        "sendevent CUSTOM\nEvent-Subclass: my::own\nContent-Length: 10\n\nhalf",
        "api global_setvar half=done",
        "api global_setvar half=done\n",
    ] {
        let mut gone = bed.client();
        gone.send(half);
        gone.stream.shutdown(std::net::Shutdown::Write).expect("half closed");
        assert_eq!(gone.frame().kind(), "text/disconnect-notice", "{half:?}");
        assert_eq!(gone.try_frame(), None, "{half:?}");
    }
    assert_eq!(client.api("global_getvar half"), "-ERR no reply\n");
    assert!(client.heard.is_empty(), "{:?}", client.heard);
}

/// A line of some kilobytes does not ask for gigabytes: not from functions on text, not from patterns of filters.
#[test]
fn a_short_line_makes_no_long_answer() {
    let bed = Bed::new();
    let mut client = bed.client();
    let many = |text: &str, count: usize| text.repeat(count);
    let replace = format!("replace {}|a|{}", many("a", 50_000), many("b", 50_000));
    assert_eq!(client.api(&replace), "-ERR the result is too long");
    let regex = format!("regex {}|^(.*)$|{}", many("a", 20_000), many("<$1", 15_000));
    assert!(client.api(&regex).len() <= 1 << 20);
    let expanded = format!("eval ${{{}}}", replace.replacen(' ', "(", 1) + ")");
    assert!(client.api(&expanded).len() <= 1 << 20);
    assert_eq!(client.ask(r"filter X /\w{140}0/").reply(), "-ERR invalid pattern");
    assert_eq!(client.api("replace banana|an|AN"), "bANANa");
}
