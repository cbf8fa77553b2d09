//! Many who want everything, and one who does not read: calls go on, memory is bounded, and what is lost is told.

use crate::bed::{Bed, Client};
use std::io::Read;
use std::thread;
use std::time::Duration;

/// Those who read and do not look.
const CROWD: usize = 95;
/// Those who read and look at every event.
const CLERKS: usize = 4;
const CALLS: usize = 200;
/// Bytes of events beside each call: all together are more than the ring and the kernel hold.
const BESIDE: usize = 6 * 50_000;
/// What the process may grow by: the ring twice, its events as they are and written out, and what each client is sent next.
/// A queue for each client would be gigabytes.
const MOST_GROWTH: u64 = 256 << 20;

/// What somebody heard until the end.
#[derive(Debug, Default)]
struct Heard {
    events: u64,
    lost: u64,
}

/// Reads up to the last event; every number is there, or in what was told lost.
fn account(client: &mut Client) -> Heard {
    let mut heard = Heard::default();
    let mut before = None;
    loop {
        let frame = client.next();
        let number: u64 = frame.event("Event-Sequence").parse().expect("a number");
        let lost = match frame.event("Event-Subclass").as_str() {
            "tandem::events_lost" => frame.event("Lost-Events").parse().expect("a number"),
            _ => {
                heard.events += 1;
                1
            }
        };
        if frame.event("Event-Subclass") == "tandem::events_lost" {
            heard.lost += lost;
            assert_eq!(frame.event("Lost-Events-Total"), heard.lost.to_string());
        }
        assert_eq!(before.map_or(number, |before: u64| before + lost), number, "{}", frame.body);
        before = Some(number);
        if frame.event("Event-Subclass") == "my::end" {
            return heard;
        }
    }
}

fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4096
}

#[test]
fn calls_go_on_and_what_is_lost_is_told() {
    let bed = Bed::new();
    let listener = || {
        let mut client = bed.client();
        assert_eq!(client.ask("event plain ALL").reply(), "+OK event listener enabled plain");
        client
    };
    let mut deaf = listener();
    let crowd: Vec<_> = (0..CROWD)
        .map(|_| {
            let mut stream = listener().stream;
            thread::spawn(move || {
                let mut room = vec![0; 64 << 10];
                while stream.read(&mut room).is_ok_and(|count| count > 0) {}
            })
        })
        .collect();
    let clerks: Vec<_> = (0..CLERKS)
        .map(|_| {
            let mut client = listener();
            thread::spawn(move || account(&mut client))
        })
        .collect();
    let mut speaker = bed.client();
    let body = "x".repeat(50_000);
    let before = resident();
    let mut most = before;
    for _ in 0..CALLS {
        let mut caller = bed.call("7000");
        for _ in 0..BESIDE / body.len() {
            let sent = speaker.ask(&format!(
                "sendevent CUSTOM\nEvent-Subclass: my::own\nContent-Length: {}\n\n{body}",
                body.len()
            ));
            assert!(sent.reply().starts_with("+OK "), "{}", sent.head);
        }
        caller.answered();
        caller.bye();
        most = most.max(resident());
    }
    speaker.ask("sendevent CUSTOM\nEvent-Subclass: my::end");
    assert!(most - before < MOST_GROWTH, "grew by {} bytes", most - before);
    for clerk in clerks {
        let heard = clerk.join().expect("every number was there");
        assert!(heard.events > 0, "{heard:?}");
    }
    let heard = account(&mut deaf);
    assert!(heard.lost > 0 && heard.events > 0, "who did not read is told its loss: {heard:?}");
    println!("{heard:?}, grew by {} bytes", most - before);
    assert_eq!(bed.client().api("echo still here"), "still here");
    let until = std::time::Instant::now() + Duration::from_secs(10);
    while bed.legs() > 0 && std::time::Instant::now() < until {
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(bed.legs(), 0);
    drop(bed);
    crowd.into_iter().for_each(|one| one.join().expect("it ends with its connection"));
}
