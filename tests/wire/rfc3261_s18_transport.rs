//! RFC 3261 §18 and §7.3.1, RFC 3581, RFC 5626 §3.5.1: where answers go, and how a stream is cut into messages.

use crate::line::Line;
use crate::process::PATIENCE;
use crate::switch::{Setup, Switch};

/// §18.2.1, RFC 3581 §4. A phone behind NAT that knows nothing of rport is answered where it is, too.
#[test]
fn answers_go_to_where_the_request_came_from() {
    let switch = Switch::start();
    let mut line = Line::udp(&switch);
    let (ip, port) = (line.local.ip(), line.local.port());
    let cases = [
        // sent-by, received and rport in the answer
        (format!("{ip}:{port};rport"), None, Some(port)),
        ("10.9.8.7:5060;rport".to_owned(), Some(ip), Some(port)),
        ("10.9.8.7".to_owned(), Some(ip), None),
        ("phone.invalid:5070".to_owned(), Some(ip), None),
        ("10.9.8.7:5060;received=10.1.1.1;rport".to_owned(), Some(ip), Some(port)),
        ("10.9.8.7:5060;maddr=10.1.1.1;ttl=1".to_owned(), Some(ip), None),
    ];
    for (sent_by, received, rport) in cases {
        for method in ["OPTIONS", "REGISTER", "INVITE", "FOO"] {
            let mut ask = line.invite("1001");
            ask.method = method.to_owned();
            let branch =
                ask.via.split("branch=").nth(1).and_then(|b| b.split(';').next()).unwrap_or("").to_owned();
            ask.via = format!("SIP/2.0/UDP {sent_by};branch={branch}");
            let answer = line.put(&ask);
            let via = answer.header("Via");
            assert_eq!(via.contains(&format!("received={ip}")), received.is_some(), "{sent_by}: {via}");
            assert!(!via.contains("received=10.1.1.1"), "{via}");
            if let Some(port) = rport {
                assert!(via.contains(&format!("rport={port}")), "{sent_by}: {via}");
            }
            assert_eq!(answer.from, switch.sip(), "from where it was sent to");
        }
    }
}

/// §18.2.2: without rport the port is that of sent-by, whichever the request came from, for refusals too.
#[test]
fn without_rport_the_answer_goes_to_the_port_of_the_via() {
    let switch = Switch::start();
    let (mut line, mut listener) = (Line::udp(&switch), Line::udp(&switch));
    for method in ["OPTIONS", "REGISTER", "INVITE", "FOO", "BYE"] {
        let mut ask = listener.invite("1001");
        ask.method = method.to_owned();
        ask.via = ask.via.replace(";rport", "");
        if method == "BYE" {
            ask.to.push_str(";tag=nobodys");
        }
        line.send(&ask);
        let answer = listener.final_of(&ask);
        assert!(answer.header("CSeq").ends_with(method), "{}", answer.text);
        assert_eq!(answer.from, switch.sip());
    }
    line.silent("nobody");
}

/// §7.3.1, §7.3.3, §20: lines folded, compact names, odd blanks and cases.
#[test]
fn odd_spellings_are_read() {
    let switch = Switch::start();
    let (local, at) = (Line::udp(&switch).local, switch.sip());
    let (n, domain) = (crate::line::unique(), switch.ip());
    let text = format!(
        "REGISTER sip:{domain} SIP/2.0\r\nv :SIP / 2.0 / UDP {local}\r\n ;branch=z9hG4bK{n} ;\r\n\trport\r\n\
         MAX-forwards:  70\r\nt: sip:1000@{domain}\r\nf: \"A \\\"B\\\" <c>\"   <sip:1000@{domain}> ; tag = {n}\r\n\
         i:{n}\r\ncseq:\t1\r\n  REGISTER\r\nm: \"x, y\" <sip:1000@{local}>\r\n ;expires=60 , <sip:1000@{local};x=y>\r\n\
         l : 0\r\n\r\n"
    );
    let mut line = Line::udp_from(local.ip(), at);
    line.send_raw(text.as_bytes());
    let answer = line.wait(PATIENCE, |m| m.header("Call-ID") == n).expect("an answer");
    assert_eq!(answer.status(), Some(401), "{}", answer.text);
}

#[test]
fn a_stream_is_cut_by_content_length() {
    let switch = Switch::start();
    let mut line = Line::tcp(&switch);
    // byte by byte
    let ask = line.ask("OPTIONS");
    for byte in ask.to_string().bytes() {
        line.send_raw(&[byte]);
    }
    assert_eq!(line.final_of(&ask).status(), Some(200));
    // many at once, each answered, in order
    let asks: Vec<_> = (0..50).map(|_| line.ask("OPTIONS")).collect();
    let text: String = asks.iter().map(ToString::to_string).collect();
    line.send_raw(text.as_bytes());
    for ask in &asks {
        assert_eq!(line.final_of(ask).status(), Some(200));
    }
    // with empty lines between, and a body that looks like a message
    let mut ask = line.ask("MESSAGE").with("Content-Type: text/plain");
    ask.body = line.ask("OPTIONS").to_string();
    line.send_raw(format!("\r\n\r\n{ask}\r\n").as_bytes());
    line.final_of(&ask);
    assert_eq!(line.count(|_| true), 0, "the body is no message");
    // in two halves at every place of interest
    let text = line.ask("OPTIONS").to_string();
    for at in [1, 7, text.len() / 2, text.len() - 3, text.len() - 1] {
        let ask = line.ask("OPTIONS");
        let text = ask.to_string();
        let (head, tail) = text.split_at(at.min(text.len()));
        line.send_raw(head.as_bytes());
        std::thread::sleep(std::time::Duration::from_millis(5));
        line.send_raw(tail.as_bytes());
        assert_eq!(line.final_of(&ask).status(), Some(200));
    }
}

/// RFC 5626 §3.5.1: two CRLF are answered by one.
#[test]
fn a_ping_over_a_stream_is_answered() {
    let switch = Switch::start();
    let mut line = Line::tcp(&switch);
    for n in 1..=3 {
        line.send_raw(b"\r\n\r\n");
        while line.pongs < n && !line.closed {
            line.wait(std::time::Duration::from_millis(10), |_| false);
        }
    }
    assert_eq!(line.pongs, 3);
    line.fence();
}

/// A stream that cannot be cut any more is closed, and costs nobody else anything.
#[test]
fn rubbish_in_a_stream_ends_that_stream() {
    let switch = Switch::start();
    let head = |length: &str| {
        format!(
            "OPTIONS sip:x SIP/2.0\r\nVia: SIP/2.0/TCP a;branch=z9hG4bK1\r\nContent-Length: {length}\r\n\r\n"
        )
    };
    let long_line = format!("OPTIONS sip:x SIP/2.0\r\nSubject: {}\r\n", "x".repeat(1 << 20));
    let many = format!("OPTIONS sip:x SIP/2.0\r\n{}", "a: b\r\n".repeat(1 << 18));
    for rubbish in [
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
        "\0\u{1}\u{2}\u{3}\r\n\r\n".to_owned(),
        head("-1"),
        head("99999999999999999999"),
        head("1000000000"),
        long_line,
        many,
    ] {
        let mut line = Line::tcp(&switch);
        line.send_raw(rubbish.as_bytes());
        while !line.closed {
            line.wait(PATIENCE, |_| false);
            let what = &rubbish[..rubbish.len().min(60)];
            assert!(line.closed, "still open after {what:?}");
        }
    }
    Line::tcp(&switch).fence();
}

/// §18.2.2 and RFC 5923's idea: a phone registered over TCP is called over that connection, and its binding goes with it.
#[test]
fn a_phone_on_tcp_is_called_on_its_connection() {
    let switch = Switch::start();
    let mut a = Line::udp(&switch);
    let mut b = Line::tcp(&switch);
    // a Contact nobody could connect to
    b.register("1001", "<sip:1001@10.255.255.1:9;transport=tcp>");
    let invite = a.send_as("1000", &a.invite("1001"));
    let called = b.request("INVITE");
    b.pick_up(&called);
    let answer = a.final_of(&invite);
    assert_eq!(answer.status(), Some(200), "{}", answer.text);
    a.send(&invite.ack(&answer));
    b.request("ACK");
    a.send(&invite.inside("BYE", &answer));
    let bye = b.request("BYE");
    b.reply(&bye, "200 OK", "", "", "");
    b.fence();

    drop(b);
    let mut switch = switch;
    switch.expect_log(&["1001@", "connection closed"]);
    let (invite, answer) = a.put_as("1000", &a.invite("1001"));
    assert!(matches!(answer.status(), Some(480 | 404)), "{}", answer.text);
    a.send(&invite.ack(&answer));
}

/// §18.3: the largest datagram there is.
#[test]
fn big_messages_are_served() {
    let switch = Switch::start();
    let mut line = Line::udp(&switch);
    let ask = line.ask("OPTIONS").with(&format!("X-Big: {}", "x".repeat(7_000)));
    assert_eq!(line.status(&ask), 200);
    let mut many = line.ask("OPTIONS");
    for n in 0..100 {
        many = many.with(&format!("X-{n}: {}", "y".repeat(500)));
    }
    assert!(many.to_string().len() > 50_000);
    let status = line.status(&many);
    assert!(matches!(status, 200 | 400 | 413 | 513), "{status}");
    let mut line = Line::tcp(&switch);
    let ask = line.ask("OPTIONS").with(&format!("X-Big: {}", "x".repeat(7_000)));
    assert_eq!(line.status(&ask), 200);
}

#[test]
fn ipv6_is_served() {
    if std::net::UdpSocket::bind("[::1]:0").is_err() {
        eprintln!("SKIPPED: this machine has no ::1");
        return;
    }
    let port = crate::place::free_port();
    let edits = &[
        (
            "sip_profiles/external.xml",
            "name=\"sip-ip\" value=\"$${local_ip_v4}\"",
            "name=\"sip-ip\" value=\"::1\"",
        ),
        (
            "sip_profiles/external.xml",
            "name=\"rtp-ip\" value=\"$${local_ip_v4}\"",
            "name=\"rtp-ip\" value=\"::1\"",
        ),
    ];
    let set = vec![("external_sip_port", port.to_string())];
    let switch = Switch::start_with(Setup { set, edits, ..Setup::default() });
    if switch.process.is_none() {
        return;
    }
    let to = std::net::SocketAddr::new(std::net::Ipv6Addr::LOCALHOST.into(), port);
    for mut line in [Line::udp_from(to.ip(), to), Line::tcp_to(to)] {
        let answer = line.put(&line.ask("OPTIONS"));
        assert!(answer.address("Contact").contains("@[::1]:"), "{}", answer.text);
        let ask = line.invite("4711");
        let answer = line.put(&ask);
        // what the context public does with a number nobody has
        assert_eq!(answer.status(), Some(480), "{}", answer.text);
        line.send(&ask.ack(&answer));
        line.fence();
    }
}
