//! Events: which, in what form, in what order.

use crate::bed::Bed;
use std::time::Duration;

#[test]
fn heartbeats_come_as_strings() {
    let bed = Bed::new();
    let mut client = bed.client();
    assert_eq!(client.ask("event json HEARTBEAT").reply(), "+OK event listener enabled json");
    let frame = client.frame();
    assert_eq!(frame.kind(), "text/event-json");
    let event: serde_json::Value = serde_json::from_str(&frame.body).expect("JSON");
    let event = event.as_object().expect("an object");
    assert!(event.values().all(serde_json::Value::is_string), "{event:?}");
    for name in ["Event-Info", "Session-Count", "Max-Sessions", "Idle-CPU", "Up-Time", "Session-Peak-FiveMin"]
    {
        assert!(event.contains_key(name), "{name}");
    }
    assert_eq!(event["Max-Sessions"], "1000");
}

#[test]
fn a_job_has_the_clients_number_or_one_of_ours() {
    let bed = Bed::new();
    let mut client = bed.client();
    client.ask("event plain BACKGROUND_JOB");
    let reply = client.ask("bgapi echo hello world\nJob-UUID: my-own-number");
    assert_eq!(
        reply.head,
        "Content-Type: command/reply\nReply-Text: +OK Job-UUID: my-own-number\nJob-UUID: my-own-number\n"
    );
    let job = client.event("BACKGROUND_JOB");
    assert_eq!(job.event("Job-UUID"), "my-own-number");
    assert_eq!(
        (job.event("Job-Command"), job.event("Job-Command-Arg")),
        ("echo".to_owned(), "hello world".to_owned())
    );
    assert!(job.body.ends_with("Content-Length: 11\n\nhello world"), "{}", job.body);
    let reply = client.ask("bgapi status ");
    let uuid = reply.header("Job-UUID").to_owned();
    assert_eq!((uuid.len(), reply.reply()), (36, &*format!("+OK Job-UUID: {uuid}")));
    assert_eq!(client.event("BACKGROUND_JOB").event("Job-UUID"), uuid);
}

#[test]
fn every_client_hears_what_one_sends() {
    let bed = Bed::new();
    let (mut plain, mut json, mut none) = (bed.client(), bed.client(), bed.client());
    plain.ask("event plain CUSTOM my::own");
    json.ask("event json CUSTOM my::own");
    none.ask("event plain CUSTOM other::one");
    let reply = none.ask("sendevent CUSTOM\nEvent-Subclass: my::own\nA: 1\na: 2\nContent-Length: 2\n\nhi");
    let uuid = reply.reply().strip_prefix("+OK ").expect("a uuid").to_owned();
    let event = plain.event("CUSTOM");
    assert_eq!((event.event("Event-UUID"), event.event("A")), (uuid, "2".to_owned()), "the last A counts");
    assert!(json.frame().body.ends_with("\"Content-Length\":\"2\",\"_body\":\"hi\"}"));
    assert_eq!(none.api("echo still here"), "still here");
    assert!(none.heard.is_empty(), "{:?}", none.heard);
}

#[test]
fn pipelined_commands_are_answered_in_order() {
    let bed = Bed::new();
    let mut client = bed.client();
    let many: String = (0..500).map(|n| format!("api echo {n}\r\n\r\n")).collect();
    client.send(&many);
    for n in 0..500 {
        assert_eq!(client.reply().body, n.to_string());
    }
}

#[test]
fn who_comes_back_asks_for_what_it_missed() {
    let bed = Bed::new();
    let mut client = bed.client();
    client.ask("event plain CUSTOM my::own");
    let send = |n: usize| {
        let mut sender = bed.client();
        sender.ask(&format!("sendevent CUSTOM\nEvent-Subclass: my::own\nN: {n}"));
    };
    send(0);
    let last: u64 = client.event("CUSTOM").event("Event-Sequence").parse().expect("a number");
    drop(client);
    (1..4).for_each(send);
    let mut client = bed.client();
    client.ask(&format!("event plain CUSTOM my::own from {}", last + 1));
    for n in 1..4 {
        assert_eq!(client.event("CUSTOM").event("N"), n.to_string());
    }
    send(4);
    assert_eq!(client.event("CUSTOM").event("N"), "4");
}

#[test]
fn a_client_that_never_reads_is_no_burden_and_is_told() {
    let bed = Bed::new();
    let (mut idle, mut sender) = (bed.client(), bed.client());
    idle.ask("event plain CUSTOM my::own");
    let body = "x".repeat(100_000);
    let round = std::time::Instant::now();
    for _ in 0..600 {
        sender.ask(&format!("sendevent CUSTOM\nEvent-Subclass: my::own\nBlob: {body}"));
    }
    assert!(round.elapsed() < Duration::from_secs(20), "{:?}", round.elapsed());
    // Each has come or is told to be lost, however often it fell behind.
    let (mut told, mut whole) = (0, 0);
    while told + whole < 600 {
        let event = idle.event("CUSTOM");
        match event.event("Event-Subclass").as_str() {
            "tandem::events_lost" => told += event.event("Lost-Events").parse::<usize>().expect("a number"),
            _ => whole += usize::from(event.event("Blob").len() == body.len()),
        }
    }
    assert!(told > 0 && whole > 0 && told + whole == 600, "{told} lost, {whole} came");
}

#[test]
fn log_lines_are_asked_for_by_level() {
    let bed = Bed::new();
    let mut client = bed.client();
    assert_eq!(client.ask("nolog").reply(), "-ERR not logging");
    // This switch has no log of its own: the tests' process has none.
    assert_eq!(client.ask("log debug").reply(), "-ERR this switch has no log");
}

#[test]
fn commands_are_told_once_they_are_done() {
    let bed = Bed::new();
    let (mut watcher, mut client) = (bed.client(), bed.client());
    watcher.ask("event plain API");
    client.api("echo one two");
    client.api("xml_wrap echo inner");
    client.api("nonsense");
    client.ask("bgapi echo later");
    client.ask("api echo a;;echo b\nconsole_execute: true");
    for (command, argument) in
        [("echo", "one two"), ("echo", "inner"), ("xml_wrap", "echo inner"), ("nonsense", "_undef_")]
    {
        let event = watcher.event("API");
        let said = if argument == "_undef_" { "" } else { argument };
        assert_eq!(
            (event.event("API-Command").as_str(), event.event("API-Command-Argument").as_str()),
            (command, said)
        );
    }
    let mut rest: Vec<String> = (0..3).map(|_| watcher.event("API").event("API-Command-Argument")).collect();
    rest.sort();
    assert_eq!(rest, ["a", "b", "later"]);
}

#[test]
fn the_end_is_told_before_it_comes() {
    let mut bed = Bed::new();
    let mut client = bed.client();
    client.ask("event plain SHUTDOWN SHUTDOWN_REQUESTED CHANNEL_PARK CHANNEL_HANGUP");
    let mut caller = bed.call("7000");
    caller.answered();
    client.event("CHANNEL_PARK");
    for (command, info) in [("asap", "ASAP"), ("elegant", "elegant")] {
        assert_eq!(client.api(&format!("fsctl shutdown {command}")), "+OK\n");
        assert_eq!(client.event("SHUTDOWN_REQUESTED").event("Event-Info"), info);
    }
    assert_eq!(client.api("fsctl shutdown cancel"), "+OK\n");
    let switch = bed.switch.take().expect("it runs");
    bed.runtime.block_on(switch.stop());
    assert_eq!(client.event("SHUTDOWN").event("Event-Info"), "System Shutting Down");
    assert_eq!(client.event("CHANNEL_HANGUP").event("Hangup-Cause"), "SYSTEM_SHUTDOWN");
    assert_eq!(client.frame().kind(), "text/disconnect-notice");
    assert_eq!(client.try_frame(), None);
}

#[test]
fn what_is_put_off_and_what_is_alive_is_told() {
    let bed = Bed::new();
    let mut client = bed.client();
    client.ask("event plain ADD_SCHEDULE DEL_SCHEDULE RE_SCHEDULE SESSION_HEARTBEAT CHANNEL_PARK");
    client.api("sched_api @1 mine echo x");
    let added = client.event("ADD_SCHEDULE");
    let again = client.event("RE_SCHEDULE");
    for name in ["Task-ID", "Task-Desc", "Task-Group"] {
        assert_eq!(added.event(name), again.event(name), "{name}");
    }
    assert_eq!(
        (again.event("Task-Desc").as_str(), again.event("Task-Group").as_str()),
        ("sched_api_function", "mine")
    );
    let due = |event: &crate::bed::Frame| event.event("Task-Runtime").parse::<u64>().expect("a time");
    assert!(due(&again) > due(&added));
    client.api("sched_del mine");
    assert_eq!(client.event("DEL_SCHEDULE").event("Task-Group"), "mine");
    let mut caller = bed.call("7000");
    caller.answered();
    let uuid = client.event("CHANNEL_PARK").event("Unique-ID");
    client.api(&format!("uuid_session_heartbeat {uuid} 1"));
    let beat = client.event("SESSION_HEARTBEAT");
    assert_eq!((beat.event("Unique-ID"), beat.event("variable_uuid")), (uuid.clone(), uuid));
    caller.bye();
}
