//! Every verb of `parse_command`, with arguments that are good and arguments that are not; answers to the letter.

use crate::bed::{Bed, Client, Program, until};

/// Says each, and expects that answer: a `Reply-Text`, or for `api` the body.
fn said(client: &mut Client, table: &[(&str, &str)]) {
    for (command, expected) in table {
        let frame = client.ask(command);
        let answer = if frame.kind() == "api/response" { &frame.body } else { frame.reply() };
        assert_eq!(answer, *expected, "{command:?}");
    }
}

const UNKNOWN: &str = "-ERR command not found";

#[test]
fn before_the_login_there_is_auth_alone() {
    let bed = Bed::new();
    let mut client = bed.stranger();
    client.frame();
    for verb in
        ["api", "bgapi", "event", "sendevent", "sendmsg", "filter", "log", "linger", "myevents", "auth"]
    {
        assert_eq!(client.ask(&format!("{verb} x")).kind(), "command/reply", "{verb}");
        if verb == "auth" {
            break;
        }
    }
    assert!(
        client.try_frame().is_some_and(|frame| frame.kind() == "text/disconnect-notice"),
        "a wrong password"
    );
    let mut client = bed.stranger();
    client.frame();
    assert_eq!(client.ask("exit").reply(), "+OK bye");
}

#[test]
fn a_client_without_a_call_is_answered_as_there() {
    let bed = Bed::new();
    let mut client = bed.client();
    said(
        &mut client,
        &[
            ("auth again", UNKNOWN),
            ("userauth a@b:c", UNKNOWN),
            ("nonsense", UNKNOWN),
            ("api", UNKNOWN),
            ("bgapi", UNKNOWN),
            ("api echo  two  blanks ", "two  blanks"),
            ("API echo loud", "loud"),
            ("api nonsense", "-ERR nonsense Command not found!\n"),
            ("api echo", "-ERR no reply\n"),
            ("api echo a;;echo b\nconsole_execute: true", "ab"),
            ("api echo a;;echo b\nconsole_execute: no", "a;;echo b"),
            ("connect", UNKNOWN),
            ("resume", UNKNOWN),
            ("getvar a", UNKNOWN),
            ("myevents", UNKNOWN),
            ("myevents none json", "-ERR invalid uuid"),
            ("divert_events", "-ERR not controlling a session."),
            ("divert_events on", "-ERR not controlling a session."),
            ("linger", "-ERR not controlling a session"),
            ("linger 5", "-ERR not controlling a session"),
            ("nolinger", "-ERR not controlling a session"),
            ("sendmsg", "-ERR invalid session id []"),
            ("sendmsg none", "-ERR invalid session id [none]"),
            ("sendmsg\nsession-id: none\ncall-command: hangup", "-ERR invalid session id [none]"),
            ("filter", UNKNOWN),
            ("filter Unique-ID", "-ERR invalid syntax"),
            ("filter Unique-ID a", "+OK filter added. [Unique-ID]=[a]"),
            ("filter add Unique-ID b", "+OK filter added. [Unique-ID]=[b]"),
            ("filter delete Unique-ID b", "+OK filter deleted. [Unique-ID]=[b]"),
            ("filter delete Unique-ID", "+OK filter deleted. [Unique-ID]=[]"),
            ("filter delete all", "+OK filter deleted. [all]=[]"),
            ("filter delete", "-ERR invalid syntax"),
            ("filter X /(/", "-ERR invalid pattern"),
            ("filter X /^a.*b$/i", "+OK filter added. [X]=[/^a.*b$/i]"),
            ("noevents", "-ERR not listening for events"),
            ("event", "-ERR no keywords supplied"),
            ("event plain", "-ERR no keywords supplied"),
            ("event nonsense", "-ERR no keywords supplied"),
            ("event xml", "-ERR no keywords supplied"),
            ("event DTMF", "+OK event listener enabled xml"),
            ("events json DTMF nonsense", "+OK event listener enabled json"),
            ("event plain CUSTOM a::b c::d", "+OK event listener enabled plain"),
            ("nixevent", "-ERR no keywords supplied"),
            ("nixevent nonsense", "-ERR no keywords supplied"),
            ("nixevent CUSTOM a::b", "+OK events nixed"),
            ("nixevent ALL", "+OK events nixed"),
            ("event plain ALL", "+OK event listener enabled plain"),
            ("noevents", "+OK no longer listening for events"),
            ("noevents", "-ERR not listening for events"),
            ("nolog", "-ERR not logging"),
            ("log loud", "-ERR invalid log level"),
        ],
    );
    assert_eq!(client.ask("... anything").reply(), "+OK bye");
    assert_eq!(client.frame().kind(), "text/disconnect-notice");
    assert_eq!(client.try_frame(), None);
}

#[test]
fn a_client_with_a_call_is_answered_as_there() {
    let bed = Bed::new();
    let mut watcher = bed.client();
    watcher.ask("event plain CHANNEL_PARK");
    let mut caller = bed.call("7000");
    caller.answered();
    let uuid = watcher.event("CHANNEL_PARK").event("Unique-ID");
    let mut client = bed.client();
    said(
        &mut client,
        &[
            (&*format!("myevents {uuid} xml"), "+OK Events Enabled"),
            ("myevents", "-ERR already enabled."),
            ("noevents", "+OK no longer listening for events"),
            ("divert_events", "-ERR missing value."),
            ("divert_events ", "-ERR missing value."),
            ("divert_events ON", "+OK events diverted"),
            ("divert_events maybe", "+OK events not diverted"),
            ("linger", "+OK will linger"),
            ("linger many", "+OK will linger 0 seconds"),
            ("linger 30", "+OK will linger 30 seconds"),
            ("nolinger", "+OK will not linger"),
            ("getvar", "-ERR no such variable"),
            ("getvar uuid", &uuid),
            ("resume", "+OK"),
            ("sendmsg", "-ERR no call-command"),
            ("sendmsg\ncall-command: dance", "-ERR call-command dance is not provided"),
            ("sendmsg\ncall-command: unicast\nlocal-port: 1", "-ERR call-command unicast is not provided"),
            ("sendmsg\ncall-command: nomedia", "-ERR the channel is not bridged"),
            ("sendmsg\ncall-command: execute", "-ERR no execute-app-name"),
            ("sendmsg\ncall-command: execute\nexecute-app-name: log\nloops: x", "-ERR loops is no number"),
            (
                "sendmsg\ncall-command: execute\nexecute-app-name: log\nlead-frames: 3",
                "-ERR lead-frames is not provided",
            ),
            ("sendmsg\ncall-command: xferext", "-ERR no application"),
            ("sendmsg\ncall-command: EXECUTE\nexecute-app-name: set\nexecute-app-arg: a=1", "+OK"),
        ],
    );
    until("it is set", || watcher.api(&format!("uuid_getvar {uuid} a")) == "1");
    // The data as a body.
    client.send(
        "sendmsg\ncall-command: execute\nexecute-app-name: set\ncontent-type: text/plain\nContent-Length: 6\n\nb=\r\n 2",
    );
    assert_eq!(client.reply().reply(), "+OK");
    until("it is set", || !watcher.api(&format!("uuid_getvar {uuid} b")).starts_with("_undef_"));
    assert_eq!(watcher.api(&format!("uuid_getvar {uuid} b")).trim(), "2");
    said(&mut client, &[("sendmsg\ncall-command: xferext\napplication: set c=3\napplication: park", "+OK")]);
    assert_eq!(watcher.event("CHANNEL_PARK").event("variable_c"), "3");
    assert_eq!(client.ask("sendmsg\ncall-command: hangup\nhangup-cause: 21").reply(), "+OK");
    caller.expect_bye();
}

#[test]
fn loops_and_locks_are_as_there() {
    let bed = Bed::new();
    let mut client = bed.client();
    client.ask("event plain CHANNEL_PARK CHANNEL_EXECUTE_COMPLETE");
    let mut caller = bed.call("7000");
    caller.answered();
    let uuid = client.event("CHANNEL_PARK").event("Unique-ID");
    let run = |client: &mut Client, app: &str, arg: &str, more: &str| {
        let message = format!(
            "sendmsg {uuid}\ncall-command: execute\nexecute-app-name: {app}\nexecute-app-arg: {arg}\n{more}"
        );
        assert_eq!(client.ask(&message).reply(), "+OK");
    };
    run(&mut client, "sleep", "600", "loops: 2\nEvent-UUID: long\nevent-lock-pri: true");
    run(&mut client, "log", "INFO x", "loops: 3\nEvent-UUID: short");
    let done: Vec<String> =
        (0..3).map(|_| client.event("CHANNEL_EXECUTE_COMPLETE").event("Application-UUID")).collect();
    assert_eq!(done, ["long", "long", "short"], "what takes no time is not repeated");
    caller.bye();
}

#[test]
fn a_program_may_say_what_a_call_needs() {
    let bed = Bed::new();
    let program = Program::new();
    let mut caller = bed.call(&format!("9{}", program.port()));
    let mut client = program.accept();
    client.ask("connect");
    said(
        &mut client,
        &[
            ("api status", UNKNOWN),
            ("log", UNKNOWN),
            ("nixevent ALL", UNKNOWN),
            ("noevents", UNKNOWN),
            ("divert_events off", "+OK events not diverted"),
            ("filter a b", "+OK filter added. [a]=[b]"),
            ("myevents plain", "+OK Events Enabled"),
            ("sendmsg\ncall-command: execute\nexecute-app-name: answer", "+OK"),
        ],
    );
    caller.answered();
    // At once, though the program waits for the others.
    let before = std::time::Instant::now();
    let sleep = "sendmsg\ncall-command: execute\nexecute-app-name: sleep\nexecute-app-arg: 3000";
    assert_eq!(client.ask(&format!("{sleep}\nasync: true")).reply(), "+OK");
    assert!(before.elapsed().as_millis() < 2000);
    assert_eq!(client.ask("sendmsg\ncall-command: hangup").reply(), "+OK");
    caller.expect_bye();
}

#[test]
fn who_may_not_do_everything_cannot_have_it_done_by_a_call() {
    let bed = Bed::new();
    let mut boss = bed.client();
    boss.ask("event plain CHANNEL_PARK CUSTOM my::own other::one");
    let mut caller = bed.call("7000");
    caller.answered();
    let uuid = boss.event("CHANNEL_PARK").event("Unique-ID");
    let mut clerk = bed.stranger();
    clerk.frame();
    clerk.ask("userauth clerk@d.test:pw");
    let run = |app: &str, arg: &str| {
        format!("sendmsg {uuid}\ncall-command: execute\nexecute-app-name: {app}\nexecute-app-arg: {arg}")
    };
    let not_there =
        |app: &str| format!("-ERR permission denied: application {app} is not in esl-allowed-applications");
    for (app, arg) in [
        ("system", "id"),
        ("set", "api_on_answer=hupall"),
        ("transfer", "set:a=b inline"),
        ("execute_extension", "7000"),
        ("event", "Event-Name=CUSTOM"),
    ] {
        assert_eq!(clerk.ask(&run(app, arg)).reply(), not_there(app));
    }
    assert_eq!(
        clerk.ask(&run("log", "INFO ${hupall()}")).reply(),
        "-ERR permission denied: function hupall is not in esl-allowed-api"
    );
    assert_eq!(
        clerk.ask(&format!("sendmsg {uuid}\ncall-command: xferext\napplication: system id")).reply(),
        not_there("system")
    );
    // Events of its own, but none it may not have itself.
    assert!(clerk.ask("sendevent CUSTOM\nEvent-Subclass: my::own").reply().starts_with("+OK "));
    assert_eq!(boss.event("CUSTOM").event("Event-Subclass"), "my::own");
    for event in ["CUSTOM\nEvent-Subclass: other::one", "CHANNEL_HANGUP", "NOTIFY\nuuid: x", "nonsense"] {
        assert_eq!(clerk.ask(&format!("sendevent {event}")).reply(), "-ERR permission denied", "{event}");
    }
    assert_eq!(clerk.ask(&run("set", "a=b")).reply(), "+OK");
    until("it is set", || boss.api(&format!("uuid_getvar {uuid} a")) == "b");
    assert_eq!(clerk.ask(&run("log", "INFO ${echo(x)}")).reply(), "+OK");
    assert_eq!(clerk.ask(&format!("sendmsg {uuid}\ncall-command: hangup")).reply(), "+OK");
    caller.expect_bye();
}
