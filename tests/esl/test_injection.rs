//! What must stay what it is: text of callers in a dialplan that uses it everywhere, and line breaks in every header of every
//! command of a client.

use std::fmt::Write;
use std::time::Duration;

use crate::bed::{Bed, Client, Frame, Settings};

/// Nothing has set it.
fn is_clean(client: &mut Client) -> bool {
    client.api("global_getvar owned") == "-ERR no reply\n"
}

/// Every line of an event is a header of ours, and none is the text of somebody.
fn is_whole(frame: &Frame) -> bool {
    let lines = frame.head.lines().chain(frame.body.split("\n\n").next().unwrap_or("").lines());
    lines.into_iter().filter(|line| !line.is_empty()).all(|line| {
        let name = line.split_once(": ").map(|(name, _)| name);
        // Some readers take these for line ends, too.
        let fits =
            |name: &str| !name.contains(|c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}'));
        name.is_some_and(fits) && !line.starts_with("X-Evil") && !line.starts_with("owned")
    })
}

/// What a caller may put where the switch keeps it.
const TEXTS: &[&str] = &[
    "${global_setvar(owned=1)}",
    "$${global_setvar(owned=1)}",
    "x)}${global_setvar(owned=1)}${echo(",
    "x%0aglobal_setvar owned=1",
    "x%0d%0aX-Evil:%201%0d%0a%0d%0a",
    "global_setvar owned=1",
    "global_setvar:owned=1,park",
    "x|global_setvar|owned=1",
    "x','y'),global_setvar('owned=1",
    "{api_on_answer=global_setvar owned=1}null/x",
    "^^:a:b",
    "`global_setvar owned=1`;global_setvar owned=1;;global_setvar owned=1",
];

/// A dialplan that puts text of the caller into every function there is, into variables that run commands and into
/// applications: nothing of it runs.
#[test]
fn what_a_caller_says_is_never_run() {
    let mut actions = String::new();
    for (n, name) in tandem::api::names().enumerate() {
        for (m, text) in ["sip_h_X-Own", "caller_id_name", "sip_user_agent"].into_iter().enumerate() {
            let _ =
                write!(actions, "<action application=\"set\" data=\"r{n}_{m}=${{{name}(${{{text}}})}}\"/>");
        }
    }
    for application in
        ["set", "export", "log", "hash", "db", "set_profile_var", "limit", "verbose_events", "multiset"]
    {
        let _ = write!(actions, "<action application=\"{application}\" data=\"${{sip_h_X-Own}}\"/>");
    }
    for variable in [
        "api_on_answer",
        "api_hangup_hook",
        "execute_on_answer",
        "api_on_media",
        "dial_string",
        "group_confirm_key",
    ] {
        let _ = write!(actions, "<action application=\"set\" data=\"{variable}=${{sip_h_X-Own}}\"/>");
    }
    actions.push_str(
        "<action application=\"set\" data=\"again=${eval(${sip_h_X-Own})}${expand(echo ${caller_id_name})}\"/>\
         <action application=\"answer\"/><action application=\"park\"/>",
    );
    let bed = Bed::with(Settings { actions, ..Settings::default() });
    let (mut client, mut ear, mut json) = (bed.client(), bed.client(), bed.client());
    client.ask("event plain CHANNEL_PARK");
    ear.ask("event plain ALL");
    json.ask("event json ALL");
    for (n, text) in TEXTS.iter().enumerate() {
        let quoted = text.replace('\\', "\\\\").replace('"', "\\\"");
        let from = format!("\"{quoted}\" <sip:1000@d.test>");
        let more = format!(
            "X-Own: {text}\r\nUser-Agent: {text}\r\nX-api_on_answer: global_setvar owned=1\r\nSubject: {text}\r\n\
             P-Asserted-Identity: {from}\r\nCall-Info: <{n}>;answer-after=0\r\n"
        );
        let mut caller = bed.call_as(&from, "7000", &more);
        caller.answered();
        let uuid = client.event("CHANNEL_PARK").event("Unique-ID");
        assert_eq!(client.api(&format!("uuid_getvar {uuid} sip_h_X-Own")), *text, "it is kept as it came");
        // A command that is given the variable's text does no more than an argument may.
        for line in [
            "eval uuid:UUID ${sip_h_X-Own}",
            "expand uuid:UUID echo ${sip_h_X-Own}",
            "uuid_dump UUID",
            "uuid_getvar UUID r1_0",
        ] {
            client.api(&line.replace("UUID", &uuid));
        }
        assert!(is_clean(&mut client), "{text}: it was run");
        assert!(client.api("show channels as json").contains("\"row_count\":1"), "{text}");
        client.api(&format!("uuid_kill {uuid}"));
        caller.expect_bye();
        std::thread::sleep(Duration::from_millis(50));
        assert!(is_clean(&mut client), "{text}: it was run at the end");
        // All that was told of it.
        ear.api("echo here");
        json.api("echo here");
        assert!(ear.heard.len() > 20 && json.heard.len() > 20, "{} {}", ear.heard.len(), json.heard.len());
        for frame in ear.heard.drain(..) {
            assert!(is_whole(&frame), "{text}: {frame:?}");
        }
        for frame in json.heard.drain(..) {
            let event: serde_json::Value =
                serde_json::from_str(&frame.body).unwrap_or_else(|error| panic!("{error}: {frame:?}"));
            let names = event.as_object().map(|event| event.keys().cloned().collect::<Vec<_>>());
            assert!(
                names.is_some_and(|names| !names.iter().any(|name| name.starts_with("X-Evil"))),
                "{frame:?}"
            );
        }
    }
}

/// A number with line breaks and separators in it, as the request's own URI has it.
#[test]
fn a_number_that_is_called_is_data() {
    let bed = Bed::new();
    let mut client = bed.client();
    client.ask("event plain ALL");
    for number in [
        "7000%0aX-Evil:%201",
        "7000%0d%0aBYE",
        "7000%7cglobal_setvar",
        "$%7bglobal_setvar(owned=1)%7d",
        "7000%00",
        "7000%27%22;x=%0a",
        "%5e%5e:7000",
    ] {
        let mut caller = bed.call_as("<sip:1000@d.test>", number, "");
        let ended = caller.expect("SIP/2.0 ");
        assert!(!ended.contains("\r\nX-Evil"), "{ended}");
        let event = client.event("CHANNEL_HANGUP_COMPLETE");
        assert!(is_whole(&event), "{event:?}");
        assert!(is_clean(&mut client), "{number}");
        for frame in client.heard.drain(..) {
            assert!(is_whole(&frame), "{number}: {frame:?}");
        }
    }
}

const EVIL: &[&str] = &[
    "\rX-Evil: 1",
    "\r\rX-Evil: 1",
    "\0X-Evil: 1",
    "%0aX-Evil: 1",
    "%0d%0aX-Evil: 1",
    "\u{85}X-Evil: 1",
    "\u{2028}X-Evil: 1",
    "|global_setvar|owned=1",
    ";;global_setvar owned=1",
    "'\"`",
    "\\n\\nX-Evil: 1",
    "\u{7f}\u{1b}[2J",
    "${global_setvar(owned=1)}",
];

/// Every word of a client, and every header of `sendmsg` and `sendevent`, with each of these behind it: one reply, of lines
/// that are ours, and the client is understood as before.
#[test]
fn every_word_and_header_of_a_client() {
    let bed = Bed::new();
    let mut client = bed.client();
    let mut ear = bed.client();
    ear.ask("event plain ALL");
    let mut caller = bed.call("7000");
    caller.answered();
    let uuid = ear.event("CHANNEL_PARK").event("Unique-ID");
    let lines = [
        "event plain HEARTBEAT#",
        "events xml HEARTBEAT#",
        "event json CUSTOM my::own#",
        "event #",
        "event plain ALL from 1#",
        "nixevent HEARTBEAT#",
        "nixevent #",
        "filter Unique-ID x#",
        "filter X# y",
        "filter delete Unique-ID#",
        "filter delete#",
        "noevents#",
        "divert_events on#",
        "linger#",
        "linger 5#",
        "nolinger#",
        "log 9#",
        "log#",
        "nolog#",
        "getvar x#",
        "resume#",
        "connect#",
        "myevents nobody#",
        "myevents#",
        "auth#",
        "auth x#",
        "userauth a:b#",
        "bgapi echo x#",
        "bgapi#",
        "bgapi echo x\nJob-UUID: j#",
        "api echo x\nconsole_execute: true#",
        "api echo x\nX-Own: y#",
        "nonsense#",
        "#",
        "sendevent HEARTBEAT#",
        "sendevent CUSTOM\nEvent-Subclass: my::own#",
        "sendevent CUSTOM\nX-Own#: v",
        "sendevent MESSAGE\nX-Own: v#\nContent-Length: 1\n\nb",
        "sendevent NOTIFY\nprofile: internal#\nevent-string: x#",
        "sendmsg UUID#",
        "sendmsg #",
        "sendmsg UUID\ncall-command: execute#",
        "sendmsg UUID\ncall-command: hangup#",
        "sendmsg UUID\ncall-command: execute\nexecute-app-name: log#",
        "sendmsg UUID\ncall-command: execute\nexecute-app-name: log\nloops: 1#",
        "sendmsg UUID\ncall-command: execute\nexecute-app-name: log\nevent-lock: true#\nEvent-UUID: e#",
        "sendmsg UUID\ncall-command: unicast\nlocal-ip: 127.0.0.1#",
        "sendmsg UUID\ncall-command: nomedia\nnomedia-uuid: x#",
        "sendmsg UUID\ncall-command: xferext\napplication: #",
    ];
    for line in lines {
        for evil in EVIL {
            let said = line.replace('#', evil).replace("UUID", &uuid);
            if said.trim().is_empty() {
                continue;
            }
            let reply = client.ask(&said);
            let ours = [
                "Content-Type: ",
                "Reply-Text: ",
                "Content-Length: ",
                "Job-UUID: ",
                "Allowed-",
                "Event-UUID: ",
            ];
            let lines: Vec<&str> = reply.head.split(['\r', '\n']).filter(|line| !line.is_empty()).collect();
            assert!(
                lines.iter().all(|line| ours.iter().any(|name| line.starts_with(name))),
                "{said:?}: {reply:?}"
            );
            assert!(reply.kind() == "api/response" || !reply.reply().is_empty(), "{said:?}: an empty reply");
            assert_eq!(client.api("echo mark"), "mark", "{said:?}: the next answer is another's");
            for frame in client.heard.drain(..) {
                assert!(
                    frame.kind().starts_with("text/event-json")
                        || frame.kind() == "log/data"
                        || is_ours(&frame),
                    "{said:?}: {frame:?}"
                );
            }
        }
    }
    client.ask("noevents");
    client.ask("nolog");
    assert!(is_clean(&mut client), "something ran what it was given");
    ear.api("echo here");
    let heard = std::mem::take(&mut ear.heard);
    assert!(heard.len() > lines.len(), "{}", heard.len());
    for frame in heard {
        assert!(is_whole(&frame), "{frame:?}");
    }
    // The last of these has sent it to an application that is none.
    caller.expect_bye();
}

/// A frame of another kind than plain events.
fn is_ours(frame: &Frame) -> bool {
    frame.kind() == "text/event-xml" || is_whole(frame)
}
