//! Conversations of a running FreeSWITCH, said again: what we answer is the same but for numbers and names.

use crate::bed::{Bed, Settings};
use std::path::PathBuf;
use std::time::Duration;

/// The conversations that can be said again as they are.
const WHOLE: [&str; 11] = [
    "greeting_bytes",
    "auth_ok_bytes",
    "auth_wrong_password",
    "command_before_auth",
    "api_unknown",
    "api_empty_output_is_err_no_reply",
    "exit_reply_and_notice",
    "bgapi_reply_and_event",
    "plain_event_wire_format",
    "json_event_wire_format",
    "xml_event_wire_format",
];

fn truth() -> Option<PathBuf> {
    let folder = std::env::var_os("TANDEM_TRUTH").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("skipped: TANDEM_TRUTH names no folder with a FreeSWITCH's conversations");
    }
    folder
}

/// What the client says, part by part, and all that it hears.
fn conversation(text: &str) -> (Vec<String>, String) {
    let (mut said, mut heard, mut last) = (Vec::<String>::new(), String::new(), 'S');
    for line in text.lines().filter(|line| !line.is_empty()) {
        let (who, rest) = line.split_at(1);
        let words = rest.get(9..).unwrap_or("");
        let who = who.chars().next().unwrap_or(' ');
        match who {
            'C' if last == 'C' => {
                let part = said.last_mut().expect("begun");
                part.push_str(words);
                part.push('\n');
            }
            'C' => said.push(format!("{words}\n")),
            'S' => {
                heard.push_str(words);
                heard.push('\n');
            }
            other => panic!("{other}: {line}"),
        }
        last = who;
    }
    (said, heard)
}

/// Numbers, dates, places and names of the machine made alike.
fn alike(text: &str) -> Vec<String> {
    const CHANGES: [&str; 14] = [
        "Core-UUID",
        "FreeSWITCH-Hostname",
        "FreeSWITCH-Switchname",
        "FreeSWITCH-IPv4",
        "FreeSWITCH-IPv6",
        "Event-Date-Local",
        "Event-Date-GMT",
        "Event-Date-Timestamp",
        "Event-Calling-File",
        "Event-Calling-Function",
        "Event-Calling-Line-Number",
        "Event-Sequence",
        "Event-UUID",
        "Job-UUID",
    ];
    let mut lines = Vec::new();
    for line in text.lines() {
        let mut line = line.to_owned();
        for name in CHANGES {
            for (before, after) in [
                (format!("{name}: "), "\n".to_owned()),
                (format!("\"{name}\":\""), "\"".to_owned()),
                (format!("<{name}>"), "</".to_owned()),
            ] {
                if let Some(at) = line.find(&before) {
                    let from = at + before.len();
                    let to = line[from..].find(&after).map_or(line.len(), |n| from + n);
                    line.replace_range(from..to, "?");
                }
            }
        }
        if let Some(text) = line.strip_prefix("Reply-Text: +OK ")
            && text.len() == 36
        {
            line = "Reply-Text: +OK ?".to_owned();
        }
        lines.push(line);
    }
    // The length of a frame of ours differs by its numbers.
    let kind = lines.iter().rposition(|line| line.starts_with("Content-Type: text/event"));
    if let Some(length) = kind.and_then(|at| lines[..at].last_mut()) {
        *length = "Content-Length: ?".to_owned();
    }
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines
}

#[test]
fn what_freeswitch_said_we_say() {
    let Some(folder) = truth() else { return };
    let params = "<param name=\"password\" value=\"ClueCon\"/>";
    let bed = Bed::with(Settings { socket: params.to_owned(), ..Settings::default() });
    for name in WHOLE {
        let path = folder.join(format!("transcripts/core.{name}.txt"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let (said, expected) = conversation(&text);
        let mut client = bed.stranger();
        let mut heard = client.all(Duration::from_millis(150));
        for part in said {
            client.send(&part);
            let wait = if part.starts_with("auth definitely") { 1500 } else { 250 };
            heard.push_str(&client.all(Duration::from_millis(wait)));
        }
        assert_eq!(alike(&heard), alike(&expected), "{name}");
    }
}

#[test]
fn a_heartbeat_has_freeswitchs_headers() {
    let Some(folder) = truth() else { return };
    let text =
        std::fs::read_to_string(folder.join("transcripts/core.heartbeat.txt")).expect("a conversation");
    let (_, expected) = conversation(&text);
    let names = |text: &str| -> Vec<String> {
        let from = text.find("Event-Name").expect("an event");
        text[from..].lines().filter_map(|l| l.split_once(": ")).map(|(n, _)| n.to_owned()).collect()
    };
    let bed = Bed::new();
    let mut client = bed.client();
    client.ask("event plain HEARTBEAT");
    assert_eq!(names(&client.event("HEARTBEAT").body), names(&expected));
}

/// The headers of a channel event that are not variables, in FreeSWITCH's order; those that depend on the call may be missing
/// here or there.
#[test]
fn a_channels_headers_are_freeswitchs_in_its_order() {
    let Some(folder) = truth() else { return };
    const DEPENDS: [&str; 9] = [
        "Caller-Username",
        "Caller-Dialplan",
        "Caller-Network-Addr",
        "Caller-Caller-ID-Name",
        "Caller-Orig-Caller-ID-Name",
        "Caller-Callee-ID-Name",
        "Caller-Callee-ID-Number",
        "Channel-Presence-ID",
        "Channel-Presence-Data",
    ];
    let names = |text: &str| -> Vec<String> {
        let from = text.find("Channel-State:").expect("a channel event");
        text[from..]
            .lines()
            .take_while(|l| !l.is_empty())
            .filter_map(|l| l.split_once(": "))
            .map(|(n, _)| n.to_owned())
            .filter(|n| {
                !n.starts_with("variable_") && !n.starts_with("Other-") && !DEPENDS.contains(&n.as_str())
            })
            .collect()
    };
    let bed = Bed::new();
    let mut client = bed.client();
    client.ask("event plain CHANNEL_CREATE CHANNEL_ANSWER");
    let mut caller = bed.call("7000");
    caller.answered();
    for (event, file) in
        [("CHANNEL_CREATE", "channel_create_headers"), ("CHANNEL_ANSWER", "channel_answer_headers")]
    {
        let text = std::fs::read_to_string(folder.join(format!("transcripts/core.{file}.txt")))
            .expect("a conversation");
        let (_, expected) = conversation(&text);
        let expected = &expected[expected.find("Channel-State:").expect("an event")..];
        assert_eq!(names(&client.event(event).body), names(expected), "{event}");
    }
    caller.bye();
}
