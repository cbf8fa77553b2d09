use super::super::gateway::for_test as gateway;
use super::*;
use crate::sip::digest::{Challenge, Credentials, ha1, verify};
use crate::sip::{Builder, Limits, Name, NameAddr, Text, Transport};
use rand::SeedableRng;
use std::net::{IpAddr, SocketAddr};

const USER: [(&str, &str); 4] =
    [("username", "u"), ("password", "p"), ("proxy", "192.0.2.9"), ("retry-seconds", "30")];

fn hop(n: u8) -> Hop {
    let to =
        Destination::Host { transport: Some(Transport::Udp), host: format!("192.0.2.{n}"), port: Some(5060) };
    Hop { to, ours: "203.0.113.5:5080".parse().unwrap() }
}

fn flow() -> Flow {
    let at = |text: &str| text.parse::<SocketAddr>().unwrap();
    Flow::udp(at("203.0.113.5:5080"), at("192.0.2.9:5060"))
}

/// A client, its clock, and what it did.
struct Bench {
    client: Client,
    now: Instant,
    begun: Instant,
    sent: VecDeque<(Message, Destination)>,
    changes: VecDeque<Change>,
    hops: Vec<Hop>,
    by: Option<Id>,
}

impl Bench {
    fn of(more: &[(&str, &str)], hops: u8) -> Bench {
        let now = Instant::now();
        let gateway = gateway(&[&USER[..], more].concat());
        let identity = Identity {
            branch_prefix: "z9hG4bK0123456789abcdef.".into(),
            tag: "ours".into(),
            call_id: "call".into(),
            own: IpAddr::from([203, 0, 113, 5]),
            lines: Box::default(),
        };
        let login = gateway.login(|_, _| false);
        let rng = SmallRng::seed_from_u64(hops.into());
        let client = Client::begin(now, gateway, identity, login, Timers::default(), rng);
        let hops = (9..9 + hops).map(hop).collect();
        let (sent, changes) = (VecDeque::new(), VecDeque::new());
        let mut bench = Bench { client, now, begun: now, sent, changes, hops, by: None };
        bench.drain();
        bench
    }

    fn drain(&mut self) {
        while let Some(output) = self.client.poll() {
            match output {
                Output::Resolve(_) => {
                    let hops = self.hops.clone();
                    self.client.resolved(self.now, hops);
                }
                Output::Send { bytes, to, by } => {
                    self.by = by;
                    self.sent.push_back((Message::parse(bytes, &Limits::default()).expect("a message"), to));
                }
                Output::AddressFailed(_) => {}
                Output::Changed(change) => self.changes.push_back(change),
            }
        }
    }

    fn pass(&mut self, seconds: f64) {
        let end = self.now + Duration::from_secs_f64(seconds);
        while let Some(at) = self.client.next_timeout().filter(|at| *at <= end) {
            assert!(
                at >= self.now || self.now.duration_since(at) < Duration::from_secs(1),
                "a timer that is long due"
            );
            self.now = self.now.max(at);
            self.client.timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    /// Lets time pass until something other than a repetition goes out; answers the seconds it took.
    fn until_sent(&mut self, most: f64) -> f64 {
        self.sent.clear();
        let from = self.now;
        while self.sent.is_empty() {
            let at = self.client.next_timeout().expect("a timer");
            assert!(at.duration_since(from).as_secs_f64() <= most, "nothing for {most} s");
            self.now = self.now.max(at);
            self.client.timeout(self.now);
            self.drain();
        }
        self.now.duration_since(from).as_secs_f64()
    }

    fn request(&mut self) -> (Message, Destination) {
        self.sent.pop_front().expect("a request")
    }

    fn answer(&mut self, request: &Message, status: u16, more: &[(Name, String)]) {
        let mut answer = Builder::response(request, &flow(), status, "Said").to_tag("theirs");
        for (name, value) in more {
            answer = answer.header(*name, value);
        }
        let message = Message::parse(answer.finish(), &Limits::default()).expect("an answer");
        self.client.receive(self.now, message, flow());
        self.drain();
    }

    fn ok(&mut self, request: &Message, expires: u32) {
        let contact = request.header(Name::Contact).expect("a Contact").to_owned();
        self.answer(request, 200, &[(Name::Contact, format!("{contact};expires={expires}"))]);
    }

    fn challenge(&mut self, request: &Message, nonce: &str, stale: bool) {
        let challenge = Challenge::new("realm", nonce, crate::sip::digest::Algorithm::Md5, stale);
        self.answer(request, 401, &[(Name::WwwAuthenticate, challenge.to_string())]);
    }

    fn state(&self) -> (State, bool) {
        (self.client.status().state, self.client.status().up)
    }

    /// Registered for an hour.
    fn registered(more: &[(&str, &str)], hops: u8) -> Bench {
        let mut b = Bench::of(more, hops);
        let (request, _) = b.request();
        b.ok(&request, 3600);
        assert_eq!(b.state(), (State::Reged, true));
        b.changes.clear();
        b
    }
}

fn credentials(request: &Message) -> Option<(String, u32)> {
    let given = Credentials::parse(&Text::from(request.header(Name::Authorization)?)).expect("credentials");
    let key = ha1(given.algorithm().unwrap(), "u", "realm", "p");
    assert_eq!(verify(&given, &key, "REGISTER"), Ok(true));
    Some((given.nonce().to_owned(), given.nonce_count().unwrap()))
}

#[test]
fn a_register_is_as_freeswitch_writes_it() {
    let mut b =
        Bench::of(&[("from-domain", "f.example"), ("distinct-to", "true"), ("expire-seconds", "600")], 1);
    assert_eq!(b.state(), (State::Trying, false));
    let (request, to) = b.request();
    assert_eq!(to, hop(9).to);
    assert_eq!(request.uri().unwrap().as_str(), "sip:192.0.2.9");
    assert_eq!(request.header(Name::From), Some("<sip:u@f.example>;tag=ours"));
    assert_eq!(request.header(Name::To), Some("<sip:u@192.0.2.9>"));
    assert_eq!(
        request.header(Name::Contact),
        Some("<sip:gw+carrier@203.0.113.5:5080;transport=udp;gw=carrier>")
    );
    assert_eq!(request.header(Name::Expires), Some("600"));
    assert!(
        request.header(Name::Via).unwrap().contains("203.0.113.5:5080;rport;branch=z9hG4bK0123456789abcdef.")
    );
}

#[test]
fn it_logs_in_and_stays_registered() {
    let mut b = Bench::of(&[], 1);
    let (first, _) = b.request();
    assert_eq!(credentials(&first), None);
    b.challenge(&first, "n1", false);
    let (second, _) = b.request();
    assert_eq!(credentials(&second), Some(("n1".into(), 1)));
    assert_eq!(second.call_id(), first.call_id());
    assert!(second.cseq().number == first.cseq().number + 1 && second.via().branch() != first.via().branch());
    b.ok(&second, 120);
    assert_eq!(b.state(), (State::Reged, true));
    let mut last = second.cseq().number;
    for count in 2..20 {
        let after = b.until_sent(105.0);
        assert!((93.0..=105.0).contains(&after), "refreshed after {after} s of 120");
        let (refresh, _) = b.request();
        assert_eq!(credentials(&refresh), Some(("n1".into(), count)), "the nonce again, counted");
        assert_eq!(b.state(), (State::Trying, true), "calls go on meanwhile");
        assert!(refresh.cseq().number > last);
        last = refresh.cseq().number;
        b.ok(&refresh, 120);
    }
    // The registrar has forgotten its nonce.
    b.until_sent(105.0);
    let (refresh, _) = b.request();
    b.challenge(&refresh, "n2", true);
    let (again, _) = b.request();
    assert_eq!(credentials(&again), Some(("n2".into(), 1)));
    b.ok(&again, 120);
    assert_eq!(b.state(), (State::Reged, true));
}

#[test]
fn how_long_it_is_registered_is_for_the_far_end_to_say() {
    for (answer, expires) in [
        (vec![(Name::Expires, "77".to_owned())], 77),
        (vec![(Name::Contact, "<sip:gw+carrier@203.0.113.5:5080>;expires=55".to_owned())], 55),
        (
            vec![
                (
                    Name::Contact,
                    "<sip:other@h>;expires=10, <sip:gw+carrier@x;gw=carrier>;expires=66".to_owned(),
                ),
                (Name::Expires, "11".to_owned()),
            ],
            66,
        ),
        (vec![], 3600),
    ] {
        let mut b = Bench::of(&[], 1);
        let (request, _) = b.request();
        b.answer(&request, 200, &answer);
        let Some(Change::Registered { expires: said, refresh }) = b.changes.pop_back() else { panic!() };
        assert_eq!(said, Duration::from_secs(expires), "{answer:?}");
        assert!(refresh < said && refresh >= said / 3, "{refresh:?} of {said:?}");
    }
    let mut b = Bench::of(&[], 1);
    let (request, _) = b.request();
    b.ok(&request, 0);
    assert_eq!(b.state(), (State::FailWait, false), "a registration for no time is none");
}

#[test]
fn refreshes_are_spread() {
    let refreshes: std::collections::BTreeSet<u128> = (1..40)
        .map(|seed| {
            let mut b = Bench::of(&[], seed);
            let (request, _) = b.request();
            b.ok(&request, 3600);
            let Some(Change::Registered { refresh, .. }) = b.changes.pop_back() else { panic!() };
            refresh.as_millis()
        })
        .collect();
    assert!(refreshes.len() > 30, "{refreshes:?}");
    assert!(refreshes.iter().all(|ms| (3_555_000..=3_585_000).contains(ms)), "{refreshes:?}");
}

#[test]
fn a_wrong_password_is_tried_once_each_time_and_ever_more_seldom() {
    let mut b = Bench::of(&[], 1);
    for failures in 1..200_u32 {
        let (first, _) = b.request();
        b.challenge(&first, &format!("a{failures}"), false);
        let (second, _) = b.request();
        b.challenge(&second, &format!("b{failures}"), false);
        assert!(b.sent.is_empty(), "no third try");
        assert_eq!(b.state(), (State::FailWait, false));
        let Some(Change::Failed { state: State::Failed, status: 401, phrase, again }) = b.changes.pop_back()
        else {
            panic!("{:?}", b.changes)
        };
        assert!(phrase.contains("password is wrong"), "{phrase}");
        let wait = (30 * failures).min(3600);
        let least = Duration::from_secs(wait.into());
        assert!(again >= least && again <= least * 11 / 10, "{again:?} after {failures} failures");
        b.until_sent(again.as_secs_f64() + 0.1);
    }
    assert_eq!(b.client.status().failures, 199);
}

#[test]
fn a_refusal_is_tried_again_and_success_forgets_it() {
    let mut b = Bench::registered(&[], 1);
    b.until_sent(3600.0);
    let (refresh, _) = b.request();
    b.answer(&refresh, 403, &[]);
    assert_eq!(b.state(), (State::FailWait, false), "a call does not go to one that has thrown us out");
    b.until_sent(34.0);
    let (again, _) = b.request();
    b.ok(&again, 60);
    assert_eq!(b.state(), (State::Reged, true));
    assert_eq!((b.client.status().failures, b.client.status().retry), (0, None));
}

#[test]
fn retry_after_is_heeded() {
    let mut b = Bench::of(&[], 1);
    let (request, _) = b.request();
    b.answer(&request, 503, &[(Name::RetryAfter, "200".into())]);
    let after = b.until_sent(221.0);
    assert!(after >= 200.0);
    let (request, _) = b.request();
    b.answer(&request, 500, &[(Name::RetryAfter, "99999999".into())]);
    b.until_sent(3961.0); // but not for ever
}

#[test]
fn interval_too_brief() {
    let mut b = Bench::of(&[("expire-seconds", "60")], 1);
    let (request, _) = b.request();
    b.answer(&request, 423, &[(Name::MinExpires, "1800".into())]);
    let (again, _) = b.request();
    assert_eq!(again.header(Name::Expires), Some("1800"));
    b.ok(&again, 1800);
    assert_eq!(b.state(), (State::Reged, true));
    // One that is never content.
    let mut b = Bench::of(&[], 1);
    let mut tries = 0;
    while let Some((request, _)) = b.sent.pop_front() {
        tries += 1;
        let asked: u32 = request.header(Name::Expires).unwrap().parse().unwrap();
        b.answer(&request, 423, &[(Name::MinExpires, (asked + 1).to_string())]);
    }
    assert!((2..10).contains(&tries), "{tries}");
    assert_eq!(b.state(), (State::FailWait, false));
    // One that says nonsense.
    for nonsense in ["", "0", "99999999999"] {
        let mut b = Bench::of(&[], 1);
        let (request, _) = b.request();
        b.answer(&request, 423, &[(Name::MinExpires, nonsense.into())]);
        assert_eq!(b.state(), (State::FailWait, false), "{nonsense:?}");
    }
}

#[test]
fn nobody_answers() {
    for (more, ends, again) in [
        (vec![], 32.0, 30.0..=33.1),
        (vec![("timeout-seconds", "10")], 10.0, 30.0..=33.1),
        (vec![("908-retry-seconds", "7")], 32.0, 7.0..=7.8),
    ] {
        let mut b = Bench::of(&more, 1);
        for _ in 0..3 {
            b.pass(ends - 0.1);
            assert_eq!(b.state().0, State::Trying);
            b.pass(0.2);
            assert_eq!(b.state(), (State::FailWait, false));
            let Some(Change::Failed { state: State::Timeout, status: 908, again: wait, .. }) =
                b.changes.pop_back()
            else {
                panic!("{:?}", b.changes)
            };
            assert!(again.contains(&wait.as_secs_f64()), "{wait:?}, failures do not add up");
            b.sent.clear();
            b.until_sent(wait.as_secs_f64() + 0.1);
        }
    }
}

#[test]
fn a_stream_that_closes_is_registered_over_again() {
    let mut b = Bench::of(&[("register-transport", "tcp")], 1);
    b.client.resolved(b.now, vec![]); // nothing waits for that
    let over = |n: u8| {
        let to =
            Destination::Host { transport: Some(Transport::Tcp), host: format!("192.0.2.{n}"), port: None };
        Hop { to, ours: "203.0.113.5:5080".parse().unwrap() }
    };
    b.client.bound = Some(over(9));
    b.client.registration = Task::Idle;
    b.client.set(b.now, State::Reged, true);
    b.client.status.refresh = Some(b.now + Duration::from_secs(3000));
    b.hops = vec![over(9)];
    let stream = Flow { transport: Transport::Tcp, connection: 7, ..flow() };
    let other = Flow { remote: "192.0.2.10:5060".parse().unwrap(), ..stream };
    b.client.connection_closed(b.now, &other);
    b.client.connection_closed(b.now, &flow());
    assert_eq!(b.client.status().refresh, Some(b.now + Duration::from_secs(3000)), "those are none of ours");
    b.client.connection_closed(b.now, &stream);
    b.until_sent(3.1);
    assert_eq!(b.request().0.method(), &Method::Register);
}

#[test]
fn a_name_without_address_is_looked_up_again() {
    let mut b = Bench::of(&[], 0);
    assert!(b.sent.is_empty());
    assert_eq!(b.state(), (State::FailWait, false));
    b.hops = vec![hop(9)];
    b.until_sent(34.0);
    let (request, _) = b.request();
    b.ok(&request, 60);
    assert_eq!(b.state(), (State::Reged, true));
}

#[test]
fn the_next_address_is_asked_when_one_fails() {
    // Silent, unreachable, full, and then one that works; all within the time of one.
    let mut b = Bench::of(&[], 4);
    let (first, to) = b.request();
    assert_eq!(to, hop(9).to);
    b.pass(3.9);
    assert!(b.sent.drain(..).all(|(m, to)| m.raw() == first.raw() && to == hop(9).to));
    b.pass(0.2);
    let (_, to) = b.request();
    assert_eq!(to, hop(10).to);
    let by = b.by.expect("a transaction");
    b.client.transport_failed(b.now, by);
    b.drain();
    let (third, to) = b.request();
    assert_eq!(to, hop(11).to);
    b.answer(&third, 503, &[]);
    let (fourth, to) = b.request();
    assert_eq!(to, hop(12).to);
    b.ok(&fourth, 3600);
    assert_eq!(b.state(), (State::Reged, true));
    assert!(b.now.duration_since(b.begun) < Duration::from_secs(5));
    b.pass(40.0);
    assert!(b.sent.is_empty(), "what was left is not asked again");
    // All of them silent.
    let mut b = Bench::of(&[], 3);
    b.pass(60.1);
    assert_eq!(b.state(), (State::FailWait, false));
}

#[test]
fn it_leaves_in_good_order() {
    // Registered: it says goodbye, with a password when asked, and is over with the answer.
    let mut b = Bench::registered(&[], 1);
    b.client.leave(b.now, Duration::from_secs(2));
    b.drain();
    assert_eq!(b.state(), (State::Unregister, false));
    let (goodbye, _) = b.request();
    assert_eq!(goodbye.header(Name::Expires), Some("0"));
    b.challenge(&goodbye, "n1", false);
    let (again, _) = b.request();
    assert_eq!((again.header(Name::Expires), credentials(&again)), (Some("0"), Some(("n1".into(), 1))));
    b.ok(&again, 0);
    assert!(b.client.is_over());
    assert_eq!(b.state(), (State::Down, false));
    // Nobody answers: over all the same.
    let mut b = Bench::registered(&[], 1);
    b.client.leave(b.now, Duration::from_secs(2));
    b.pass(2.1);
    b.drain();
    assert!(b.client.is_over());
    // A REGISTER is out: what it may bring is taken back.
    let mut b = Bench::of(&[], 1);
    let (_, _) = b.request();
    b.client.leave(b.now, Duration::from_secs(2));
    b.drain();
    let (goodbye, _) = b.request();
    assert_eq!(goodbye.header(Name::Expires), Some("0"));
    b.answer(&goodbye, 403, &[]);
    assert!(b.client.is_over());
    // Never registered: over at once.
    for more in [&[("register", "false")][..], &[]] {
        let mut b = Bench::of(more, if more.is_empty() { 0 } else { 1 });
        b.client.leave(b.now, Duration::from_secs(2));
        b.drain();
        assert!(b.sent.is_empty() && b.client.is_over());
    }
}

#[test]
fn a_peer_without_registration_is_up_and_has_no_timers() {
    let b = Bench::of(&[("register", "false")], 1);
    assert_eq!(b.state(), (State::Noreg, true));
    assert!(b.sent.is_empty());
    assert_eq!(b.client.next_timeout(), None);
}

#[test]
fn pings_take_it_down_and_up_by_their_thresholds() {
    let ping = [("register", "false"), ("ping", "20"), ("ping-min", "3"), ("ping-max", "5")];
    let mut b = Bench::of(&ping, 1);
    assert_eq!(b.state(), (State::Noreg, true));
    let mut turns = Vec::new();
    // 200 ×7: up all along, 5 points. 503, 408, nothing: down at the third. Then up again at the first that makes three.
    let script = [200, 200, 404, 200, 200, 200, 200, 503, 408, 0, 0, 0, 0, 0, 486, 200, 200, 500];
    for status in script {
        let after = b.until_sent(21.0);
        assert!(after <= 20.1);
        let (options, to) = b.request();
        assert_eq!((options.method(), to), (&Method::Options, hop(9).to));
        assert_eq!(options.header(Name::Contact), None);
        assert_eq!(options.header(Name::From), Some("<sip:192.0.2.9>;tag=ours"));
        match status {
            0 => b.pass(20.1),
            status => b.answer(&options, status, &[]),
        }
        while let Some(change) = b.changes.pop_front() {
            if let Change::Pinged { turned: true, .. } = change {
                turns.push((status, b.state().1));
            }
        }
    }
    assert_eq!(turns, [(0, false), (200, true)]);
    assert_eq!(b.client.status().points, 4);
}

#[test]
fn a_ping_may_have_our_contact_and_another_name() {
    let more =
        [("register", "false"), ("ping", "5"), ("contact-in-ping", "true"), ("ping-user-agent", "pinger")];
    let mut b = Bench::of(&more, 1);
    b.until_sent(5.1);
    let (options, _) = b.request();
    assert_eq!(options.header(Name::UserAgent), Some("pinger"));
    assert!(options.header(Name::Contact).is_some_and(|c| c.contains("gw+carrier")));
    let contact: NameAddr = options.header(Name::Contact).unwrap().parse().unwrap();
    assert_eq!(contact.uri().param("gw"), Some("carrier"));
}

#[test]
fn a_registered_gateway_that_does_not_answer_pings_is_registered_again() {
    let mut b = Bench::registered(&[("ping", "10")], 1);
    b.until_sent(10.1);
    let (options, _) = b.request();
    assert_eq!(options.method(), &Method::Options);
    b.pass(10.1);
    assert_eq!(b.state(), (State::FailWait, false));
    b.until_sent(34.0);
    let (request, _) = b.request();
    assert_eq!(request.method(), &Method::Register);
    b.ok(&request, 3600);
    assert_eq!(b.state(), (State::Reged, true));
    b.until_sent(10.1);
    assert_eq!(b.request().0.method(), &Method::Options, "it is pinged again");
}

/// Whatever is lost, doubled and refused: there is always a next timer, never a storm, and when the weather clears
/// the gateway is registered.
#[test]
fn in_any_weather_it_comes_back() {
    for seed in 0..40 {
        let mut rng = SmallRng::seed_from_u64(seed);
        let loss = f64::from(rng.random_range(0..10)) / 10.0;
        let ping = if rng.random_bool(0.5) { ("ping", "10") } else { ("ping", "0") };
        let expires = ["30", "61", "300", "3600"][rng.random_range(0..4)];
        let mut b = Bench::of(&[ping, ("expire-seconds", expires)], rng.random_range(1..4));
        let (mut nonce, mut sent) = (0, 0);
        let clear = Duration::from_secs(rng.random_range(60..4_000));
        let end = clear + Duration::from_secs(3700);
        loop {
            let age = b.now.duration_since(b.begun);
            if age > end {
                break;
            }
            let fair = age > clear;
            while let Some((request, _)) = b.sent.pop_front() {
                sent += 1;
                if !fair && rng.random_bool(loss) {
                    continue;
                }
                let statuses = [200, 200, 200, 401, 403, 408, 423, 480, 500, 503, 603, 100, 305];
                let status = if fair { 200 } else { statuses[rng.random_range(0..statuses.len())] };
                let copies = if rng.random_bool(0.1) { 2 } else { 1 };
                for _ in 0..copies {
                    if !fair && rng.random_bool(loss) {
                        continue;
                    }
                    match (status, request.method()) {
                        (401, Method::Register) => {
                            nonce += 1;
                            b.challenge(&request, &format!("n{nonce}"), rng.random_bool(0.5));
                        }
                        (200, Method::Register) => b.ok(&request, expires.parse().unwrap()),
                        (423, Method::Register) => {
                            b.answer(&request, 423, &[(Name::MinExpires, "100".into())])
                        }
                        _ => b.answer(&request, status, &[]),
                    }
                }
                b.now += Duration::from_millis(rng.random_range(0..200));
                b.client.timeout(b.now);
                b.drain();
            }
            let at = b.client.next_timeout().expect("there is always a next timer");
            b.now = b.now.max(at);
            b.client.timeout(b.now);
            b.drain();
        }
        let (state, up) = b.state();
        assert!(up && matches!(state, State::Reged | State::Trying), "seed {seed}: {state}");
        let age = b.now.duration_since(b.begun).as_secs();
        assert!(sent < age, "seed {seed}: {sent} requests in {age} s");
    }
}
