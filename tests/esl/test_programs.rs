//! Programs that calls are handed to (`socket`).

use crate::bed::{Bed, Program, until};

#[test]
fn an_async_program_has_the_call_and_gives_it_back() {
    let bed = Bed::new();
    let program = Program::new();
    let mut caller = bed.call(&format!("8{}", program.port()));
    let mut client = program.accept();
    let reply = client.ask("connect");
    assert!(reply.head.starts_with("Event-Name: CHANNEL_DATA\n"), "{}", reply.head);
    assert_eq!((reply.header("Content-Type"), reply.reply()), ("command/reply", "%2BOK%0A"));
    assert_eq!((reply.header("Socket-Mode"), reply.header("Control")), ("async", "full"));
    assert_eq!(reply.header("Channel-Caller-ID-Name"), "Al%20Pha");
    assert_eq!(reply.header("variable_socket_host"), "127.0.0.1");
    let uuid = reply.header("Unique-ID").to_owned();
    assert_eq!(client.ask("myevents").reply(), "+OK Events Enabled");
    assert_eq!(client.ask("sendmsg\ncall-command: execute\nexecute-app-name: answer").reply(), "+OK");
    caller.answered();
    assert_eq!(client.event("CHANNEL_EXECUTE").event("Application"), "answer");
    client.event("CHANNEL_EXECUTE_COMPLETE");
    assert_eq!(client.ask("getvar uuid").reply(), uuid);
    assert_eq!(client.api("echo full control"), "full control");
    assert_eq!(client.ask("exit").reply(), "+OK bye");
    let notice = client.frame();
    assert_eq!((notice.kind(), notice.header("Controlled-Session-UUID")), ("text/disconnect-notice", &*uuid));
    assert_eq!(notice.header("Content-Disposition"), "disconnect");
    // The dialplan goes on behind it.
    caller.expect_bye();
}

#[test]
fn a_program_that_dies_lets_the_dialplan_go_on() {
    let bed = Bed::new();
    let program = Program::new();
    let mut caller = bed.call(&format!("8{}", program.port()));
    let mut client = program.accept();
    client.ask("connect");
    drop(client);
    caller.expect("SIP/2.0 480");
    until("nothing is left", || bed.legs() == 0);
}

#[test]
fn nobody_there_is_no_end_of_the_dialplan() {
    let bed = Bed::new();
    let port = Program::new().port();
    let mut caller = bed.call(&format!("8{port}"));
    caller.expect("SIP/2.0 480");
}

#[test]
fn a_static_program_waits_for_what_it_asks_and_has_one_call_alone() {
    let bed = Bed::new();
    let program = Program::new();
    let mut caller = bed.call(&format!("9{}", program.port()));
    let mut client = program.accept();
    let reply = client.ask("connect");
    assert_eq!((reply.header("Socket-Mode"), reply.header("Control")), ("static", "single-channel"));
    for unknown in
        ["api status", "bgapi status", "event plain ALL", "linger", "log debug", "sendevent CUSTOM"]
    {
        assert_eq!(client.ask(unknown).reply(), "-ERR command not found", "{unknown}");
    }
    assert_eq!(client.ask("filter Unique-ID x").reply(), "+OK filter added. [Unique-ID]=[x]");
    assert_eq!(client.ask("sendmsg\ncall-command: execute\nexecute-app-name: answer").reply(), "+OK");
    caller.answered();
    let before = std::time::Instant::now();
    client.ask("sendmsg\ncall-command: execute\nexecute-app-name: sleep\nexecute-app-arg: 300");
    assert!(before.elapsed().as_millis() >= 300, "the reply comes when it is done");
    client.ask("sendmsg\ncall-command: execute\nexecute-app-name: set\nexecute-app-arg: a=b");
    assert_eq!(client.ask("getvar a").reply(), "b");
    assert_eq!(client.ask("resume").reply(), "+OK");
    drop(client);
    caller.expect_bye();
}

#[test]
fn a_caller_who_hangs_up_ends_the_program() {
    let bed = Bed::new();
    let program = Program::new();
    let mut caller = bed.call(&format!("8{}", program.port()));
    let mut client = program.accept();
    client.ask("connect");
    client.ask("myevents json");
    client.ask("sendmsg\ncall-command: execute\nexecute-app-name: answer");
    caller.answered();
    caller.bye();
    let mut names = Vec::new();
    let notice = loop {
        let frame = client.frame();
        match frame.kind() {
            "text/event-json" => {
                let event: serde_json::Value = serde_json::from_str(&frame.body).expect("JSON");
                names.push(event["Event-Name"].as_str().unwrap_or("").to_owned());
            }
            _ => break frame,
        }
    };
    assert!(names.contains(&"CHANNEL_HANGUP_COMPLETE".to_owned()), "told before the end: {names:?}");
    assert_eq!(notice.header("Content-Disposition"), "disconnect");
    assert!(client.try_frame().is_none());
    until("nothing is left", || bed.legs() == 0);
}
