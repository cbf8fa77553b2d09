//! More than the machine can do: what is up goes on, what is turned away is told so, and afterwards all is as before. How much
//! that is nobody knows here, so a flood goes on until it is too much, or up to a number that is too much anywhere.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use crate::line::{Ask, Line, offer, unique};
use crate::puppet::Message;
use crate::switch::{Setup, Switch};
use crate::threats_flood::patiently;

/// Calls that may be at once: fewer than a flood's calls that are carried one after the other.
const ROOM: u32 = 200;

/// Strangers may call 9196, the echo, and 4711, which is busy, as often as they like.
fn open() -> Switch {
    Switch::start_with(Setup {
        params: &[
            ("auth-calls", "false"),
            ("apply-inbound-acl", "loopback.auto"),
            ("context", "default"),
            ("max-recv-requests-per-second", "0"),
        ],
        edits: &[
            (
                "autoload_configs/switch.conf.xml",
                "name=\"max-sessions\" value=\"1000\"",
                "name=\"max-sessions\" value=\"200\"",
            ),
            (
                "autoload_configs/switch.conf.xml",
                "name=\"sessions-per-second\" value=\"30\"",
                "name=\"sessions-per-second\" value=\"1000000\"",
            ),
        ],
        extension: r#"<extension name="busy"><condition field="destination_number" expression="^4711$">
            <action application="respond" data="486"/></condition></extension>"#,
        ..Setup::default()
    })
}

/// What a flood has seen so far.
#[derive(Default)]
struct Seen {
    sent: AtomicU32,
    turned_away: AtomicU32,
    carried: AtomicU32,
    enough: AtomicBool,
}

impl Seen {
    fn turned_away(&self) -> u32 {
        self.turned_away.load(Ordering::Relaxed)
    }

    fn carried(&self) -> u32 {
        self.carried.load(Ordering::Relaxed)
    }
}

/// Sends as fast as it can, some requests twice, until it has been enough; ends every transaction it has an answer to.
fn flood(method: &str, most: u32, at: SocketAddr, seen: &Seen) {
    let socket = UdpSocket::bind((IpAddr::from([127, 9, 9, 1]), 0)).expect("a socket");
    socket.set_nonblocking(true).expect("no blocking");
    let local = socket.local_addr().expect("its address");
    let mut tags = HashMap::new();
    let (mut n, mut quiet) = (0, 0);
    while quiet < 200 {
        if n < most && !seen.enough.load(Ordering::Relaxed) {
            for _ in 0..32 {
                n += 1;
                let text = format!(
                    "{method} sip:4711@{at} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK{u};rport\r\n\
                     Max-Forwards: 70\r\nFrom: <sip:1000@{at}>;tag=f{n}\r\nTo: <sip:4711@{at}>\r\nCall-ID: {u}\r\n\
                     CSeq: 1 {method}\r\nContact: <sip:1000@{local}>\r\nContent-Type: application/sdp\r\n\
                     Content-Length: {length}\r\n\r\n{body}",
                    u = unique(),
                    body = offer(local.ip(), 40_000),
                    length = offer(local.ip(), 40_000).len(),
                );
                for _ in 0..1 + u32::from(n % 10 == 0) {
                    let _ = socket.send_to(text.as_bytes(), at);
                }
            }
            seen.sent.store(n, Ordering::Relaxed);
        }
        quiet += 1;
        let mut buffer = [0; 4096];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            quiet = 0;
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            let answer = Message { text, from };
            let id = answer.header("Call-ID").to_owned();
            match answer.status() {
                Some(503) if answer.header("Warning").contains("more comes in") => {
                    let wait: u32 = answer.header("Retry-After").parse().expect("seconds");
                    assert!((2..=10).contains(&wait), "{}", answer.text);
                    let tag = answer.header("To").to_owned();
                    assert!(tag.contains(";tag="), "{}", answer.text);
                    assert_eq!(*tags.entry(id).or_insert(tag.clone()), tag, "a copy has the same answer");
                    seen.turned_away.fetch_add(1, Ordering::Relaxed);
                }
                Some(401 | 486) => drop(seen.carried.fetch_add(1, Ordering::Relaxed)),
                _ => {}
            }
            if answer.status().is_some_and(|s| s >= 300) && method == "INVITE" {
                let ack = format!(
                    "ACK sip:4711@{at} SIP/2.0\r\nVia: {}\r\nMax-Forwards: 70\r\nFrom: {}\r\nTo: {}\r\nCall-ID: {}\r\n\
                     CSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n",
                    answer.header("Via"),
                    answer.header("From"),
                    answer.header("To"),
                    answer.header("Call-ID")
                );
                let _ = socket.send_to(ack.as_bytes(), at);
            }
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn begun(method: &'static str, most: u32, switch: &Switch) -> (Arc<Seen>, std::thread::JoinHandle<()>) {
    let (seen, at) = (Arc::<Seen>::default(), switch.sip());
    let sees = seen.clone();
    (seen, std::thread::spawn(move || flood(method, most, at, &sees)))
}

/// Goes on when it is so, or when the flood has nothing more.
fn until(flood: &std::thread::JoinHandle<()>, so: impl Fn() -> bool) {
    while !so() && !flood.is_finished() {
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The echo answers; when it is turned away it tries again, for some seconds.
fn up(line: &mut Line) -> (Ask, Message) {
    for _ in 0..10 {
        let invite = line.invite("9196");
        let answer = patiently(line, &invite).expect("an answer");
        line.send(&invite.ack(&answer));
        if answer.status() == Some(200) {
            return (invite, answer);
        }
        assert_eq!(answer.status(), Some(503), "{}", answer.text);
        std::thread::sleep(Duration::from_millis(400));
    }
    panic!("no call can be made");
}

fn down(line: &mut Line, bye: &Ask) {
    let answer = patiently(line, bye).expect("an answer to BYE");
    assert_eq!(answer.status(), Some(200), "{}", answer.text);
}

#[test]
fn a_call_that_is_up_goes_on_while_others_are_turned_away() {
    let switch = open();
    let mut line = Line::udp(&switch);
    let (invite, answer) = up(&mut line);
    let (seen, flood) = begun("INVITE", 60_000, &switch);
    until(&flood, || seen.turned_away() > 100);
    assert!(seen.turned_away() > 100, "{} of {:?}", seen.turned_away(), seen.sent);
    let options = invite.inside("OPTIONS", &answer);
    assert_eq!(patiently(&mut line, &options).and_then(|a| a.status()), Some(200));
    let mut hold = invite.inside("INVITE", &answer).sdp(&offer(line.local.ip(), 40_000));
    hold.cseq += 1;
    let held = patiently(&mut line, &hold).expect("an answer to the re-INVITE");
    assert_eq!(held.status(), Some(200), "{}", held.text);
    line.send(&hold.ack(&held));
    let mut bye = invite.inside("BYE", &answer);
    bye.cseq += 2;
    down(&mut line, &bye);
    // Calls are carried all the time, and each gives its place back.
    until(&flood, || seen.carried() > 2 * ROOM);
    seen.enough.store(true, Ordering::Relaxed);
    flood.join().expect("the flood");
    assert!(seen.carried() > 2 * ROOM, "{} of {:?}", seen.carried(), seen.sent);
    let (invite, answer) = up(&mut line);
    down(&mut line, &invite.inside("BYE", &answer));
    assert!(!switch.log().iter().any(|l| l.contains("panicked")));
}

#[test]
fn a_storm_of_registrations_keeps_no_call_out() {
    let switch = open();
    let mut line = Line::udp(&switch);
    let (seen, storm) = begun("REGISTER", 60_000, &switch);
    until(&storm, || seen.sent.load(Ordering::Relaxed) > 2_000);
    for _ in 0..5 {
        let (invite, answer) = up(&mut line);
        down(&mut line, &invite.inside("BYE", &answer));
    }
    seen.enough.store(true, Ordering::Relaxed);
    storm.join().expect("the storm");
    assert!(seen.carried() > 0, "none of {:?} was looked at", seen.sent);
    line.fence();
    assert!(!switch.log().iter().any(|l| l.contains("panicked")));
}
