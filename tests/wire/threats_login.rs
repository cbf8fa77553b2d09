//! Who may: replayed, stale and foreign credentials, guessing, and what strangers are told (RFC 7616 §§3.3–5.5,
//! RFC 3261 §§10.3, 22).

use crate::line::{Ask, Line, logged_in, unique};
use crate::process::PATIENCE;
use crate::puppet::{Answer, Message, credentials};
use crate::switch::{PASSWORD, Setup, Switch};

/// A REGISTER of 1000 with these credentials.
fn with(line: &Line, ask: &Ask, value: &str) -> Ask {
    let mut ask = ask.again().with(&format!("Authorization: {value}"));
    ask.call_id = format!("{}-{}", line.local.port(), unique());
    ask
}

#[test]
fn credentials_are_good_once_here_and_now() {
    let switch = Switch::start();
    let mut line = Line::udp(&switch);
    let ask = line.registration("1000", &format!("<sip:1000@{}>", line.local));
    let challenge = line.put(&ask);
    let good = credentials(&challenge, "1000", PASSWORD, "REGISTER", &ask.uri, Answer::Qop);
    assert_eq!(line.status(&with(&line, &ask, &good)), 200);
    // RFC 7616 §3.4: the same nc again, in another transaction
    let answer = line.put(&with(&line, &ask, &good));
    assert_eq!(answer.status(), Some(401), "{}", answer.text);
    assert!(answer.header("WWW-Authenticate").contains("stale=true"), "{}", answer.text);
    // nc that goes on is good; one that goes back is not
    let realm = challenge.challenge("realm").expect("a realm");
    let nonce = challenge.challenge("nonce").expect("a nonce");
    let at = |nc: &str| {
        let md5 = crate::line::md5;
        let (ha1, ha2) = (md5(&format!("1000:{realm}:{PASSWORD}")), md5(&format!("REGISTER:{}", ask.uri)));
        let response = md5(&format!("{ha1}:{nonce}:{nc}:abc:auth:{ha2}"));
        good.replace("nc=00000001", &format!("nc={nc}"))
            .replace("0a4f113b", "abc")
            .replace(good.split("response=\"").nth(1).and_then(|r| r.get(..32)).unwrap_or("-"), &response)
    };
    assert_eq!(line.status(&with(&line, &ask, &at("00000007"))), 200);
    assert_eq!(line.status(&with(&line, &ask, &at("00000003"))), 401);
    assert_eq!(line.status(&with(&line, &ask, &at("00000008"))), 200);

    let challenged = |line: &mut Line, value: &str, what: &str| {
        let ask = with(line, &ask, value);
        let answer = line.put(&ask);
        assert_eq!(answer.status(), Some(401), "{what}: {}", answer.text);
        answer
    };
    // a nonce we never made, and one a bit of which was changed
    let stale = challenged(&mut line, &good.replace(&nonce, "0123456789abcdef"), "a foreign nonce");
    assert!(stale.header("WWW-Authenticate").contains("nonce="));
    let bent = if nonce.ends_with('0') { "1" } else { "0" };
    challenged(
        &mut line,
        &good.replace(&nonce, &format!("{}{bent}", &nonce[..nonce.len() - 1])),
        "a bent nonce",
    );
    // §22.3 of RFC 3261: credentials of another realm are for somebody else
    let fresh = line.put(&ask.again());
    let mut foreign = fresh.clone();
    foreign.text = foreign.text.replace(&format!("realm=\"{realm}\""), "realm=\"elsewhere.example\"");
    challenged(
        &mut line,
        &credentials(&foreign, "1000", PASSWORD, "REGISTER", &ask.uri, Answer::Qop),
        "another realm",
    );
    // auth-int was not offered: asked again, not refused (phones then take auth)
    let value = credentials(&fresh, "1000", PASSWORD, "REGISTER", &ask.uri, Answer::Qop);
    challenged(&mut line, &value.replace("qop=auth,", "qop=auth-int,"), "auth-int");
    challenged(&mut line, &value.replace("algorithm=MD5", "algorithm=SHA-256"), "SHA-256");
    for rubbish in
        ["Basic MTAwMDp4", "Digest", "Digest username=", "Digest username=\"1000\"", "Bearer x", ""]
    {
        let ask = with(&line, &ask, rubbish);
        let status = line.status(&ask);
        assert!(matches!(status, 400 | 401), "{rubbish:?}: {status}");
    }
    // RFC 2069: no qop; good once too
    let plain = credentials(&fresh, "1000", PASSWORD, "REGISTER", &ask.uri, Answer::Plain);
    assert_eq!(line.status(&with(&line, &ask, &plain)), 200);
    // credentials of one method are none for another
    let invite = line.invite("9196");
    let challenge = line.put(&invite);
    line.send(&invite.ack(&challenge));
    let value = credentials(&challenge, "1000", PASSWORD, "REGISTER", &invite.uri, Answer::Qop);
    assert_eq!(line.status(&invite.again().with(&format!("Proxy-Authorization: {value}"))), 403);
}

/// Status line, header names in order, and the shapes of tag and challenge.
fn shape(message: &Message) -> Vec<String> {
    let blank = |text: &str| -> String {
        text.chars().map(|c| if c.is_ascii_hexdigit() { 'x' } else { c }).collect::<String>()
    };
    let head = message.text.split("\r\n\r\n").next().unwrap_or("");
    let mut lines = head.lines();
    let mut out = vec![lines.next().unwrap_or("").to_owned(), blank(&message.tag("To"))];
    out.extend(lines.filter_map(|l| l.split_once(':').map(|(n, _)| n.to_owned())));
    out.push(message.challenge("nonce").map(|n| blank(&n)).unwrap_or_default());
    out
}

/// An unknown user, a wrong password and a user without one look the same.
#[test]
fn guessing_teaches_nothing() {
    let switch = Switch::start_with(Setup {
        edits: &[("directory/default/1005.xml", "<param name=\"password\"", "<param name=\"unused\"")],
        ..Setup::default()
    });
    for method in ["REGISTER", "INVITE", "MESSAGE", "SUBSCRIBE"] {
        let mut seen: Vec<(&str, Vec<String>)> = Vec::new();
        for (user, password) in
            [("1000", "wrong"), ("4711", "wrong"), ("1005", ""), ("1005", "x"), ("1000 ", "x")]
        {
            let mut line = Line::udp(&switch);
            let mut ask = line.invite("9196");
            ask.method = method.to_owned();
            if method == "REGISTER" {
                ask = line.registration("1000", &format!("<sip:1000@{}>", line.local));
            }
            let challenge = line.put(&ask);
            let refused = line.put(&logged_in(&ask, &challenge, user, password));
            assert_eq!(refused.status(), Some(403), "{user}: {}", refused.text);
            seen.push((user, [shape(&challenge), shape(&refused)].concat()));
        }
        let first = seen[0].1.clone();
        assert!(seen.iter().all(|s| s.1 == first), "{method}: {seen:#?}");
    }
}

/// Asterisk CVE-2024-35190 and its like: whatever acts is challenged.
#[test]
fn strangers_get_nothing_done() {
    let switch = Switch::start();
    let inside = Line::udp(&switch);
    let outside = Line::udp_from(inside.local.ip(), std::net::SocketAddr::new(switch.ip(), 5080));
    for mut line in [inside, outside] {
        for method in
            ["REFER", "NOTIFY", "INFO", "MESSAGE", "SUBSCRIBE", "PUBLISH", "UPDATE", "BYE", "PRACK", "FOO"]
        {
            for event in
                ["", "Event: message-summary", "Event: presence", "Event: check-sync", "Event: refer"]
            {
                let mut ask = line.invite("1000").with("Refer-To: <sip:1@example.com>");
                ask.method = method.to_owned();
                if !event.is_empty() {
                    ask = ask.with(event);
                }
                let status = line.status(&ask);
                assert!(status >= 300, "{method} {event} at {}: {status}", line.peer);
            }
        }
        // what phones send to keep their way open is no reason for a ban, and does nothing
        let keep_alive = line.ask("NOTIFY").with("Event: keep-alive");
        assert!(matches!(line.status(&keep_alive), 200 | 481 | 489));
    }
    let mut line = Line::udp(&switch);
    // a REGISTER or INVITE without password
    let ask = line.registration("1000", "<sip:x@10.0.0.1>");
    assert_eq!(line.status(&ask), 401);
    assert_eq!(line.status(&line.invite("9196")), 407);
    // headers that other switches trusted
    let ask = line.invite("9196").with(
        "P-Asserted-Identity: <sip:1000@localhost>\nRemote-Party-ID: <sip:1000@localhost>\n\
         X-FS-Auth-Token: x\nX-AUTH-IP: 127.0.0.1\nAuthorization: \nP-Charging-Vector: x",
    );
    assert_eq!(line.status(&ask), 407);
    // no address of the switch itself as From makes it its friend
    for from in [format!("sip:1000@{}", switch.ip()), "sip:mod_sofia@localhost".to_owned(), "sip:".to_owned()]
    {
        let mut ask = line.invite("9196");
        ask.from = format!("<{from}>;tag={}", unique());
        let status = line.status(&ask);
        assert!(matches!(status, 407 | 400), "{from}: {status}");
    }
}

/// Toll fraud: a Request-URI, Route or maddr that leads elsewhere. FreeSWITCH's context decides; here nothing is relayed.
#[test]
fn the_switch_is_no_relay() {
    let switch = Switch::start();
    let mut target = Line::udp(&switch);
    for port in [5060, 5080] {
        let mut line = Line::udp_from(target.local.ip(), std::net::SocketAddr::new(switch.ip(), port));
        for (uri, headers) in [
            (format!("sip:victim@{}", target.local), String::new()),
            (format!("sip:1001@{};maddr={}", switch.ip(), target.local.ip()), String::new()),
            (format!("sip:1001@{}", switch.ip()), format!("Route: <sip:{};lr>\n", target.local)),
        ] {
            for method in ["INVITE", "MESSAGE", "REGISTER", "OPTIONS"] {
                let mut ask = line.invite("1001");
                ask.method = method.to_owned();
                ask.uri = uri.clone();
                ask.headers.push_str(&headers);
                line.put(&ask);
            }
        }
    }
    assert_eq!(target.count(|m| m.status().is_none()), 0);
}

#[test]
fn a_user_registers_nobody_else() {
    let switch = Switch::start();
    let mut line = Line::udp(&switch);
    let ask = line.registration("1001", &format!("<sip:1001@{}>", line.local));
    let (_, answer) = line.put_as("1000", &ask);
    assert_eq!(answer.status(), Some(403), "{}", answer.text);
    // RFC 3261 §10.2.2: * only with Expires: 0
    let star = |line: &Line, expires: &str| {
        let mut ask = line.registration("1000", "*");
        ask.headers = format!("Contact: *\n{expires}");
        ask
    };
    line.log_in("1000");
    for expires in ["Expires: 60\n", "", "Expires: x\n"] {
        let ask = star(&line, expires);
        let (_, answer) = line.put_as("1000", &ask);
        assert_eq!(answer.status(), Some(400), "{expires:?}: {}", answer.text);
    }
    let mut both = line.registration("1000", "*");
    both.headers = format!("Contact: *\nContact: <sip:1000@{}>\nExpires: 0\n", line.local);
    let (_, answer) = line.put_as("1000", &both);
    assert_eq!(answer.status(), Some(400), "{}", answer.text);
    // it is still there, and then it is not
    let query = |line: &mut Line| {
        let mut ask = line.registration("1000", "x");
        ask.headers = String::new();
        let (_, answer) = line.put_as("1000", &ask);
        assert_eq!(answer.status(), Some(200));
        answer.headers("Contact").len()
    };
    assert_eq!(query(&mut line), 1);
    let ask = star(&line, "Expires: 0\n");
    let (_, answer) = line.put_as("1000", &ask);
    assert_eq!(answer.status(), Some(200), "{}", answer.text);
    assert_eq!(query(&mut line), 0);
}

/// FreeSWITCH sends four 407s to one INVITE nobody acknowledges: twelve bytes out for each in.
#[test]
fn a_challenge_is_said_once() {
    let switch = Switch::start();
    let mut line = Line::udp(&switch);
    let ask = line.invite("9196");
    line.send(&ask);
    // three of T1 and more: a transaction would have said it again twice
    std::thread::sleep(std::time::Duration::from_millis(2_000));
    assert_eq!(line.count(|m| m.header("Call-ID") == ask.call_id), 1);
    // and it is not much bigger than what asked for it
    let answer = line.wait(PATIENCE, |m| m.status() == Some(407)).expect("the challenge");
    assert!(answer.text.len() < 2 * ask.to_string().len(), "{}", answer.text);
}

/// The line that Debian's fail2ban reads with its stock filter.d/freeswitch.conf, for a challenge and for a failure.
#[test]
fn failed_logins_are_told_to_fail2ban() {
    let mut switch = Switch::start();
    if switch.process.is_none() {
        return;
    }
    let mut line = Line::udp(&switch);
    let domain = line.domain.clone();
    let ask = line.registration("1000", &format!("<sip:1000@{}>", line.local));
    let challenge = line.put(&ask);
    let said = switch.expect_log(&["SIP auth challenge (REGISTER)"]);
    let tail = format!(
        " [WARNING] sofia_reg.c:1 SIP auth challenge (REGISTER) on sofia profile 'internal' for [1000@{domain}] from ip 127.0.0.1"
    );
    assert!(said.ends_with(&tail), "{said}");
    let time = said.strip_suffix(&tail).unwrap_or("");
    let shape: String = time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert_eq!(shape, "0000-00-00 00:00:00.000000");
    line.put(&logged_in(&ask, &challenge, "1000", "wrong"));
    let said = switch.expect_log(&["SIP auth failure"]);
    let tail = format!(
        " [WARNING] sofia_reg.c:1 SIP auth failure (REGISTER) on sofia profile 'internal' for [1000@{domain}] from ip 127.0.0.1"
    );
    assert!(said.ends_with(&tail), "{said}");
    // its failregex, which sees a line without the date, and what it takes for <HOST>
    let stock = fancy_regex::Regex::new(
        r"^\.\d+ \[WARNING\] sofia_reg.c:\d+ SIP auth (failure|challenge) \((REGISTER|INVITE)\) on sofia profile \'[^']+\' for \[.*\] from ip (?P<host>\S+)",
    )
    .expect("a pattern");
    let found =
        stock.captures(said.get(19..).unwrap_or("")).expect("a short pattern").expect("fail2ban sees it");
    assert_eq!(found.name("host").map(|host| host.as_str()), Some("127.0.0.1"));
    // nobody can write such a line for another address
    let mut ask = line.invite("1000");
    let forged = "%0d%0a2026-01-01 00:00:00.000000 [WARNING] sofia_reg.c:1 SIP auth failure (REGISTER) on sofia \
                  profile 'internal' for [1@1] from ip 192.0.2.99";
    ask.to = format!("<sip:{}@{domain}>", forged.replace(' ', "%20"));
    line.put(&ask);
    let log = switch.log();
    let forged: Vec<&String> = log.iter().filter(|l| l.ends_with("192.0.2.99")).collect();
    assert!(forged.is_empty(), "{forged:?}");
}

/// A phone that asks on and on does not fill the log; one that guesses is told each time.
#[test]
fn challenges_are_told_once_a_minute_and_failures_always() {
    let mut switch = Switch::start();
    if switch.process.is_none() {
        return;
    }
    let mut line = Line::udp(&switch);
    for _ in 0..5 {
        let ask = line.registration("1000", &format!("<sip:1000@{}>", line.local));
        let challenge = line.put(&ask);
        line.put(&logged_in(&ask, &challenge, "1000", "wrong"));
        switch.expect_log(&["SIP auth failure"]);
    }
    let log = switch.log();
    let count = |word: &str| log.iter().filter(|l| l.contains(word)).count();
    assert_eq!((count("SIP auth challenge"), count("SIP auth failure")), (1, 5), "{log:?}");
}

/// A source that guesses is shut out after a while; others are not.
#[test]
fn who_guesses_too_often_is_not_heard_any_more() {
    let switch = Switch::start();
    if switch.process.is_none() {
        return;
    }
    let mut guesser = Line::udp_from([127, 0, 0, 77].into(), switch.sip());
    let mut heard = 0;
    for _ in 0..60 {
        let ask = guesser.registration("1000", "<sip:x@127.0.0.77>");
        guesser.send(&ask);
        let Some(challenge) =
            guesser.wait(std::time::Duration::from_secs(3), |m| m.header("Call-ID") == ask.call_id)
        else {
            break;
        };
        guesser.send(&logged_in(&ask, &challenge, "1000", "guess"));
        heard += 1;
    }
    assert!((40..60).contains(&heard), "{heard}");
    Line::udp(&switch).log_in("1000");
    assert_eq!(switch.log().iter().filter(|l| l.contains("too many failed logins")).count(), 1);
}
