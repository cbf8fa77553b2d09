//! Too much of everything: requests, connections, calls (threats 7, 8; RFC 3261 §§21.5.4, 26.3.2.4). Bounded in number, not
//! by the clock; asserted is that good users are served.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::line::{Ask, Line, logged_in, offer};
use crate::puppet::Message;
use crate::switch::{PASSWORD, Setup, Switch};

/// A request as a phone sends it: again every half second until there is an answer.
pub fn patiently(line: &mut Line, ask: &Ask) -> Option<Message> {
    for _ in 0..20 {
        line.send(ask);
        let cseq = format!("{} {}", ask.cseq, ask.method);
        let fits = |m: &Message| {
            m.header("Call-ID") == ask.call_id
                && m.header("CSeq") == cseq
                && m.status().is_some_and(|s| s >= 200)
        };
        if let Some(answer) = line.wait(Duration::from_millis(500), fits) {
            return Some(answer);
        }
    }
    None
}

fn registers(line: &mut Line, user: &str) -> bool {
    let ask = line.registration(user, &format!("<sip:{user}@{}:5999>", line.local.ip()));
    let Some(challenge) = patiently(line, &ask) else { return false };
    let answer = patiently(line, &logged_in(&ask, &challenge, user, PASSWORD));
    answer.and_then(|a| a.status()) == Some(200)
}

/// A call to the echo, up and down again.
fn calls(switch: &Switch) {
    let mut line = Line::udp(switch);
    let (invite, answer) = line.put_as("1000", &line.invite("9196"));
    assert_eq!(answer.status(), Some(200), "{}", answer.text);
    line.send(&invite.ack(&answer));
    assert_eq!(line.status(&invite.inside("BYE", &answer)), 200);
}

/// Memory in KiB, as the system counts it.
fn memory(switch: &Switch) -> Option<u64> {
    let id = switch.process.as_ref()?.id();
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    status.lines().find_map(|l| l.strip_prefix("VmRSS:"))?.split_whitespace().next()?.parse().ok()
}

#[test]
fn good_phones_are_served_in_a_flood() {
    let switch = Switch::start();
    calls(&switch);
    let before = memory(&switch);
    let at = switch.sip();
    let floods: Vec<_> = (1..=4u8)
        .map(|n| {
            std::thread::spawn(move || {
                let mut line = Line::udp_from(IpAddr::from([127, 9, 9, n]), at);
                for sent in 0..600u32 {
                    let mut ask = line.invite("9196");
                    ask.method = ["INVITE", "REGISTER", "OPTIONS", "SUBSCRIBE"][sent as usize % 4].to_owned();
                    ask.from = format!("<sip:{}@{}>;tag=f{sent}", 1000 + sent % 4000, line.domain);
                    line.send(&ask);
                    // some 800 a second of all four together
                    std::thread::sleep(Duration::from_millis(5));
                }
            })
        })
        .collect();
    let (mut tried, mut served) = (0, 0);
    while tried < 20 || floods.iter().any(|f| !f.is_finished()) {
        served += u32::from(registers(&mut Line::udp(&switch), &format!("10{:02}", tried % 20)));
        tried += 1;
    }
    assert_eq!(served, tried);
    calls(&switch);
    if let (Some(before), Some(after)) = (before, memory(&switch)) {
        assert!(after < before + 32 * 1024, "{before} KiB before, {after} KiB after");
    }
    assert!(!switch.log().iter().any(|l| l.contains("panicked")));
}

/// Threat 8: a source that opens connections and says nothing gets so many and no more; others still get theirs.
#[test]
fn idle_connections_of_one_source_are_bounded() {
    let _ = tandem::media::raise_fd_limit();
    let switch = Switch::start();
    let held: Vec<std::net::TcpStream> = (0..1100)
        .map_while(|_| std::net::TcpStream::connect_timeout(&switch.sip(), Duration::from_secs(5)).ok())
        .collect();
    if held.len() < 1100 {
        eprintln!("SKIPPED: this process may open {} connections only", held.len());
        return;
    }
    // By another address of this machine.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from(([127, 0, 0, 99], 0)).into()).expect("an address");
    socket.connect(&switch.sip().into()).expect("to connect");
    let mut line = Line::over(socket.into());
    line.log_in("1000");
    // By the same one no more are served, until the idle ones go.
    let over = held.iter().rev().take(50).filter(|s| {
        let _ = s.set_read_timeout(Some(Duration::from_secs(2)));
        let mut stream: &std::net::TcpStream = s;
        matches!(std::io::Read::read(&mut stream, &mut [0; 1]), Ok(0) | Err(_))
            && std::io::Write::write_all(&mut stream, line.ask("OPTIONS").to_string().as_bytes())
                .and_then(|()| std::io::Read::read(&mut stream, &mut [0; 1]))
                .map_or(true, |n| n == 0)
    });
    assert_eq!(over.count(), 50, "more than a thousand connections of one source are served");
    drop(held);
    line.fence();
    Line::udp(&switch).fence();
    calls(&switch);
}

/// When the ports of `rtp-start-port` … are all in use: 503, and when to try again, for the caller's leg and for the other.
#[test]
fn calls_without_ports_are_503() {
    let set = vec![("rtp_start_port", "20000".to_owned()), ("rtp_end_port", "20003".to_owned())];
    let switch = Switch::start_with(Setup { set, ..Setup::default() });
    let mut line = Line::udp(&switch);
    let mut call = |number: &str| {
        let (invite, answer) = line.put_as("1000", &line.invite(number));
        line.send(&invite.ack(&answer));
        answer
    };
    assert_eq!([0; 2].map(|_| call("9196").status()), [Some(200); 2]);
    let mut phone = Line::udp(&switch);
    phone.log_in("1001");
    for number in ["9196", "1001"] {
        let answer = call(number);
        assert_eq!(answer.status(), Some(503), "{number}: {}", answer.text);
        assert!(!answer.header("Retry-After").is_empty(), "{number}: {}", answer.text);
    }
}

/// `max-sessions`: beyond it 503 with Retry-After; when a call has ended there is room again. FreeSWITCH counts legs.
#[test]
fn more_calls_than_may_be_are_503() {
    let edits = &[(
        "autoload_configs/switch.conf.xml",
        "name=\"max-sessions\" value=\"1000\"",
        "name=\"max-sessions\" value=\"2\"",
    )];
    let switch = Switch::start_with(Setup { edits, ..Setup::default() });
    if switch.process.is_none() {
        return;
    }
    let mut line = Line::udp(&switch);
    let up: Vec<(Ask, Message)> = (0..2)
        .map(|_| {
            let (invite, answer) = line.put_as("1000", &line.invite("9196"));
            assert_eq!(answer.status(), Some(200), "{}", answer.text);
            line.send(&invite.ack(&answer));
            (invite, answer)
        })
        .collect();
    let (refused, answer) = line.put_as("1000", &line.invite("9196"));
    assert_eq!(answer.status(), Some(503), "{}", answer.text);
    assert!(!answer.header("Retry-After").is_empty(), "{}", answer.text);
    line.send(&refused.ack(&answer));
    // what is in a call goes on
    let (invite, answer) = &up[0];
    assert_eq!(line.status(&invite.inside("OPTIONS", answer)), 200);
    for (invite, answer) in &up {
        let mut bye = invite.inside("BYE", answer);
        bye.cseq += 1;
        assert_eq!(line.status(&bye), 200);
    }
    let mut call = || {
        (0..50).any(|_| {
            let (invite, answer) = line.put_as("1000", &line.invite("9196"));
            line.send(&invite.ack(&answer));
            std::thread::sleep(Duration::from_millis(if answer.status() == Some(200) { 0 } else { 100 }));
            answer.status() == Some(200)
        })
    };
    assert!(call(), "the place of a call that has ended is not free again");
    // There is room for one more, but not for what was refused: its caller has given it up, whenever a copy arrives.
    assert_eq!(line.put(&refused).status(), Some(503));
    assert!(line.put_as("1000", &line.invite("9196")).1.status() == Some(200), "there was no room");
}

/// `sessions-per-second`
#[test]
fn calls_faster_than_may_be_are_503() {
    let edits = &[(
        "autoload_configs/switch.conf.xml",
        "name=\"sessions-per-second\" value=\"30\"",
        "name=\"sessions-per-second\" value=\"2\"",
    )];
    let switch = Switch::start_with(Setup { edits, ..Setup::default() });
    if switch.process.is_none() {
        return;
    }
    let mut line = Line::udp_from(IpAddr::from([127, 0, 0, 1]), SocketAddr::new(switch.ip(), 5080));
    let asks: Vec<Ask> = (0..10).map(|_| line.invite("4711")).collect();
    asks.iter().for_each(|ask| line.send(ask));
    let mut statuses = Vec::new();
    for ask in &asks {
        let answer = line.final_of(ask);
        line.send(&ask.ack(&answer));
        if answer.status() == Some(503) {
            assert!(!answer.header("Retry-After").is_empty(), "{}", answer.text);
        }
        statuses.extend(answer.status());
    }
    let refused = statuses.iter().filter(|s| **s == 503).count();
    assert!((1..10).contains(&refused), "{statuses:?}");
}

/// Threat 9: what a stranger gets is not more than he sent, many times over, to whoever he says he is.
#[test]
fn a_stranger_gets_one_answer_for_each_question() {
    let switch = Switch::start();
    let mut line = Line::udp(&switch);
    let mut asked = 0;
    let body = offer(line.local.ip(), 4000);
    for method in ["INVITE", "REGISTER", "OPTIONS", "MESSAGE", "SUBSCRIBE", "BYE", "FOO"] {
        let mut ask = line.invite("9196");
        ask.method = method.to_owned();
        ask.body = body.clone();
        line.send(&ask);
        asked += 1;
    }
    std::thread::sleep(Duration::from_millis(1_500));
    assert_eq!(line.count(|m| m.status().is_some()), asked);
}
