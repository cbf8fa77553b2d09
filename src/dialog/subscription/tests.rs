use super::*;
use crate::dialog::SessionConfig;
use crate::sip::{Builder, Limits, Transport};
use std::net::SocketAddr;

const PHONE: &str = "198.51.100.7:5062";

fn flow(transport: Transport) -> Flow {
    let address = |text: &str| text.parse::<SocketAddr>().expect("an address");
    Flow { transport, local: address("192.0.2.1:5060"), remote: address(PHONE), connection: 7 }
}

fn identity() -> Identity {
    SessionConfig {
        local_tag: "ours".to_owned(),
        branch_prefix: "z9hG4bKours.".to_owned(),
        sent_by: vec![(Transport::Udp, "192.0.2.1:5060".to_owned())],
        contact: "<sip:1001@192.0.2.1:5060>".to_owned(),
        ..SessionConfig::default()
    }
    .into()
}

fn terms() -> Terms {
    Terms { least: 30, most: 3600, usual: 1800, pace: Duration::from_millis(200) }
}

fn subscribe(cseq: u32, to_tag: &str, more: &str) -> Message {
    let text = format!(
        "SUBSCRIBE sip:1001@pbx SIP/2.0\r\nVia: SIP/2.0/UDP {PHONE};rport;branch=z9hG4bKp{cseq}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:1000@pbx>;tag=theirs\r\nTo: <sip:1001@pbx>{to_tag}\r\nCall-ID: c1\r\n\
         CSeq: {cseq} SUBSCRIBE\r\nContact: <sip:1000@{PHONE}>\r\n{more}Content-Length: 0\r\n\r\n"
    );
    Message::parse(text.into(), &Limits::default()).expect("a good SUBSCRIBE")
}

/// A subscription with its subscriber and its owner.
struct Bench {
    now: Instant,
    begun: Instant,
    machine: Subscription,
    cseq: u32,
    documents: u32,
}

impl Bench {
    fn begin(granted: u32, more: &str) -> Bench {
        let now = Instant::now();
        let request = subscribe(1, "", &format!("Event: dialog;id=7\r\n{more}"));
        let machine =
            Subscription::begin(now, identity(), &request, flow(Transport::Udp), granted, terms()).unwrap();
        Bench { now, begun: now, machine, cseq: 1, documents: 0 }
    }

    /// What is sent now; each document says which it is.
    fn sent(&mut self) -> Vec<Message> {
        let mut sent = Vec::new();
        while let Some(notice) = self.machine.poll() {
            match notice {
                Notice::Send { bytes, to, .. } => {
                    assert_eq!(to, Destination::Flow(flow(Transport::Udp)));
                    sent.push(Message::parse(bytes, &Limits::default()).expect("good messages"));
                }
                Notice::Document => {
                    self.documents += 1;
                    let body = format!("document {}", self.documents);
                    self.machine.notify(self.now, "text/plain", body.into());
                }
            }
        }
        sent
    }

    /// The one NOTIFY that is sent now.
    fn notify(&mut self) -> Message {
        let mut sent = self.sent();
        assert_eq!(sent.len(), 1, "{sent:?}");
        let notify = sent.remove(0);
        assert_eq!(*notify.method(), Method::Notify);
        notify
    }

    fn answer(&mut self, notify: &Message, status: u16, more: &str) {
        let b = Builder::response(notify, &flow(Transport::Udp), status, "Whatever");
        let b = if more.is_empty() { b } else { b.lines(format!("{more}\r\n").as_bytes()) };
        let answer = Message::parse(b.finish(), &Limits::default()).unwrap();
        self.machine.receive(self.now, answer, flow(Transport::Udp));
    }

    fn ask(&mut self, more: &str) -> Vec<Message> {
        self.cseq += 1;
        let request = subscribe(self.cseq, ";tag=ours", more);
        self.machine.receive(self.now, request, flow(Transport::Udp));
        self.sent()
    }

    /// Runs to this time after the beginning; answers what is sent on the way.
    fn run(&mut self, to: Duration) -> Vec<Message> {
        let end = self.begun + to;
        let mut sent = Vec::new();
        while let Some(at) = self.machine.next_timeout().filter(|at| *at <= end) {
            assert!(at >= self.now || self.machine.is_over());
            self.now = self.now.max(at);
            self.machine.timeout(self.now);
            sent.extend(self.sent());
        }
        self.now = end;
        sent
    }
}

fn state(notify: &Message) -> String {
    notify.header(Name::SubscriptionState).unwrap_or_default().to_owned()
}

const EVENT: &str = "Event: dialog;id=7\r\n";

#[test]
fn the_first_notify_says_what_there_is_and_how_long() {
    let mut bench = Bench::begin(600, "Record-Route: <sip:edge.example;lr>\r\n");
    let notify = bench.notify();
    assert_eq!(state(&notify), "active;expires=600");
    assert_eq!(notify.header(Name::Event), Some("dialog;id=7"));
    assert_eq!((notify.from_tag(), notify.to_tag()), (Some("ours"), Some("theirs")));
    assert_eq!(notify.header(Name::Route), Some("<sip:edge.example;lr>"));
    assert_eq!(notify.header(Name::Contact), Some("<sip:1001@192.0.2.1:5060>"));
    assert_eq!(notify.header(Name::ContentType), Some("text/plain"));
    assert_eq!(notify.body(), b"document 1");
    assert_eq!(notify.cseq().number, 1);
}

#[test]
fn without_a_record_route_a_path_is_gone_by() {
    let mut bench = Bench::begin(600, "Path: <sip:edge.example;lr>\r\n");
    assert_eq!(bench.notify().header(Name::Route), Some("<sip:edge.example;lr>"));
}

#[test]
fn how_long_a_subscription_may_be() {
    for (asked, granted) in [
        (None, Ok(1800)),
        (Some(0), Ok(0)),
        (Some(1), Err(30)),
        (Some(29), Err(30)),
        (Some(30), Ok(30)),
        (Some(3600), Ok(3600)),
        (Some(u32::MAX), Ok(3600)),
    ] {
        assert_eq!(terms().grant(asked), granted, "{asked:?}");
    }
    // A profile that wants them very short does not refuse what it would cut to.
    let brief = Terms { most: 10, usual: 10, ..terms() };
    assert_eq!((brief.grant(Some(20)), brief.grant(Some(5))), (Ok(10), Err(10)));
}

#[test]
fn a_storm_of_changes_is_one_notify_at_a_time_with_the_newest() {
    let mut bench = Bench::begin(600, "");
    let first = bench.notify();
    for _ in 0..1000 {
        bench.machine.changed(bench.now);
        assert!(bench.sent().is_empty(), "one is under way");
    }
    bench.answer(&first, 200, "");
    assert!(bench.sent().is_empty(), "not so soon");
    let sent = bench.run(Duration::from_millis(200));
    assert_eq!(sent.len(), 1);
    assert_eq!((sent[0].cseq().number, sent[0].body()), (2, &b"document 2"[..]));
    bench.answer(&sent[0], 200, "");
    assert!(bench.run(Duration::from_secs(500)).is_empty(), "nothing has changed since");
}

#[test]
fn what_becomes_of_it_when_a_notify_is_answered_so() {
    for (status, more, again) in [
        (200, "", None),
        (481, "", Some(None)),
        (404, "", Some(None)),
        (405, "", Some(None)),
        (489, "", Some(None)),
        (501, "", Some(None)),
        (603, "", Some(None)),
        (401, "", Some(None)),
        (301, "", Some(None)),
        (500, "", Some(Some(10))),
        (503, "Retry-After: 40", Some(Some(40))),
        (503, "Retry-After: 999999", Some(Some(300))),
        (503, "Retry-After: 0", Some(Some(1))),
    ] {
        let mut bench = Bench::begin(600, "");
        let notify = bench.notify();
        bench.answer(&notify, status, more);
        match again {
            None => assert!(!bench.machine.is_over(), "{status}"),
            Some(None) => assert!(bench.machine.is_over(), "{status}"),
            Some(Some(seconds)) => {
                assert!(!bench.machine.is_over(), "{status}");
                assert!(bench.run(Duration::from_millis(seconds * 1000 - 1)).is_empty(), "{status} {more}");
                let sent = bench.run(Duration::from_secs(seconds));
                assert_eq!(sent.len(), 1, "{status} {more}");
                assert_eq!(sent[0].body(), b"document 2");
            }
        }
    }
}

#[test]
fn failures_without_end_end_it() {
    let mut bench = Bench::begin(3600, "");
    let mut notify = bench.notify();
    for n in 1..=FAILURES {
        bench.answer(&notify, 503, "");
        notify = bench.run(Duration::from_secs(u64::from(n * RETRY))).remove(0);
    }
    bench.answer(&notify, 503, "");
    assert!(bench.machine.is_over());
}

#[test]
fn a_notify_that_is_lost_comes_again_and_in_the_end_nobody_is_there() {
    let mut bench = Bench::begin(600, "");
    bench.notify();
    let again = bench.run(Duration::from_millis(31_900));
    assert_eq!(again.len(), 10, "Timer E: 500 ms, doubled up to 4 s");
    assert!(again.iter().all(|n| n.cseq().number == 1 && n.body() == b"document 1"));
    assert!(!bench.machine.is_over());
    bench.run(Duration::from_secs(32));
    assert!(bench.machine.is_over() && bench.machine.next_timeout().is_none());
}

#[test]
fn what_cannot_be_delivered_ends_it() {
    let mut bench = Bench::begin(600, "");
    assert!(matches!(bench.machine.poll(), Some(Notice::Document)));
    bench.machine.notify(bench.now, "text/plain", Bytes::new());
    let Some(Notice::Send { by: Some(by), .. }) = bench.machine.poll() else { panic!("nothing sent") };
    bench.machine.transport_failed(bench.now, by);
    assert!(bench.machine.is_over());
}

#[test]
fn its_time_runs_out_unless_it_is_refreshed() {
    let mut bench = Bench::begin(60, "");
    let notify = bench.notify();
    bench.answer(&notify, 200, "");
    assert!(bench.run(Duration::from_secs(59)).is_empty());
    let sent = bench.ask(&format!("{EVENT}Expires: 100\r\n"));
    assert_eq!((sent[0].status(), sent[0].header(Name::Expires)), (Some(200), Some("100")));
    assert_eq!(sent[0].header(Name::Contact), Some("<sip:1001@192.0.2.1:5060>"));
    assert_eq!(state(&sent[1]), "active;expires=100", "told at once");
    bench.answer(&sent[1], 200, "");
    assert!(bench.run(Duration::from_secs(158)).is_empty());
    let last = bench.run(Duration::from_secs(159));
    assert_eq!(state(&last[0]), "terminated;reason=timeout");
    bench.answer(&last[0], 200, "");
    assert!(bench.machine.is_over(), "the refresh cannot come again any more");
}

#[test]
fn the_subscriber_ends_it() {
    let mut bench = Bench::begin(60, "");
    let notify = bench.notify();
    bench.answer(&notify, 200, "");
    let sent = bench.ask(&format!("{EVENT}Expires: 0\r\n"));
    assert_eq!((sent[0].status(), sent[0].header(Name::Expires)), (Some(200), Some("0")));
    assert_eq!((state(&sent[1]).as_str(), sent[1].body()), ("terminated;reason=timeout", &b"document 2"[..]));
    // its copy is answered again, and begins nothing
    let copy = subscribe(bench.cseq, ";tag=ours", &format!("{EVENT}Expires: 0\r\n"));
    bench.machine.receive(bench.now, copy, flow(Transport::Udp));
    assert_eq!(bench.sent().iter().map(Message::status).collect::<Vec<_>>(), [Some(200)]);
    bench.answer(&sent[1], 200, "");
    assert!(!bench.machine.is_over(), "it may come once more");
    assert_eq!(bench.ask(EVENT)[0].status(), Some(481), "it is over");
    bench.run(Duration::from_secs(33));
    assert!(bench.machine.is_over());
}

#[test]
fn one_look_is_one_notify() {
    let mut bench = Bench::begin(0, "");
    let notify = bench.notify();
    assert_eq!((state(&notify).as_str(), notify.body()), ("terminated;reason=timeout", &b"document 1"[..]));
    bench.machine.changed(bench.now);
    bench.answer(&notify, 200, "");
    assert!(bench.machine.is_over());
}

#[test]
fn the_owner_ends_it_once_what_is_under_way_is_answered() {
    let mut bench = Bench::begin(60, "");
    let notify = bench.notify();
    bench.machine.end(bench.now, "deactivated");
    assert!(bench.sent().is_empty(), "one at a time");
    bench.answer(&notify, 200, "");
    let last = bench.notify();
    assert_eq!(state(&last), "terminated;reason=deactivated");
    bench.answer(&last, 500, "");
    assert!(bench.machine.is_over(), "whatever it says to that");
}

#[test]
fn what_is_asked_inside_the_dialog() {
    for (more, status) in [
        (EVENT, 200),
        ("Event: DIALOG;id=7\r\n", 200),
        ("Event: dialog\r\n", 489),
        ("Event: dialog;id=8\r\n", 489),
        ("Event: presence;id=7\r\n", 489),
        ("", 489),
        ("Event: dialog;id=7\r\nExpires: 5\r\n", 423),
    ] {
        let mut bench = Bench::begin(60, "");
        let notify = bench.notify();
        bench.answer(&notify, 200, "");
        let sent = bench.ask(more);
        assert_eq!(sent[0].status(), Some(status), "{more}");
        assert_eq!(sent.len(), if status == 200 { 2 } else { 1 }, "{more}");
        assert_eq!(sent[0].header(Name::MinExpires), (status == 423).then_some("30"));
        // out of order
        bench.cseq -= 1;
        bench.machine.receive(bench.now, subscribe(1, ";tag=ours", EVENT), flow(Transport::Udp));
        assert_eq!(bench.sent()[0].status(), Some(500));
    }
}

#[test]
fn what_is_no_subscribe_or_of_another_dialog_is_refused() {
    let text = |method: &str, call_id: &str| {
        format!(
            "{method} sip:1001@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP {PHONE};branch=z9hG4bK{method}{call_id}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:1000@pbx>;tag=theirs\r\nTo: <sip:1001@pbx>;tag=ours\r\n\
             Call-ID: {call_id}\r\nCSeq: 9 {method}\r\nContent-Length: 0\r\n\r\n"
        )
    };
    for (method, call_id, status) in [
        ("BYE", "c1", 405),
        ("INFO", "c1", 405),
        ("FOO", "c1", 405),
        ("SUBSCRIBE", "c2", 481),
        ("BYE", "c2", 481),
    ] {
        let mut bench = Bench::begin(60, "");
        bench.notify();
        let message = Message::parse(text(method, call_id).into(), &Limits::default()).unwrap();
        bench.machine.receive(bench.now, message, flow(Transport::Udp));
        assert_eq!(bench.sent()[0].status(), Some(status), "{method} {call_id}");
        assert!(!bench.machine.is_over());
    }
}

#[test]
fn on_a_stream_nothing_is_sent_twice_and_nothing_lingers() {
    let now = Instant::now();
    let tcp = flow(Transport::Tcp);
    let request = subscribe(1, "", EVENT);
    let mut machine = Subscription::begin(now, identity(), &request, tcp, 60, terms()).unwrap();
    let drive = |machine: &mut Subscription, now| {
        let mut sent = Vec::new();
        while let Some(notice) = machine.poll() {
            match notice {
                Notice::Send { bytes, to, .. } => {
                    assert_eq!(to, Destination::Flow(tcp));
                    sent.push(Message::parse(bytes, &Limits::default()).unwrap());
                }
                Notice::Document => machine.notify(now, "text/plain", Bytes::new()),
            }
        }
        sent
    };
    let answer = |machine: &mut Subscription, notify: &Message| {
        let answer = Builder::response(notify, &tcp, 200, "OK").finish();
        machine.receive(now, Message::parse(answer, &Limits::default()).unwrap(), tcp);
    };
    let first = drive(&mut machine, now).remove(0);
    machine.timeout(now + Duration::from_secs(5));
    assert!(drive(&mut machine, now).is_empty(), "nothing again");
    answer(&mut machine, &first);
    machine.receive(now, subscribe(2, ";tag=ours", &format!("{EVENT}Expires: 0\r\n")), tcp);
    let last = drive(&mut machine, now);
    assert_eq!((last[0].status(), state(&last[1]).as_str()), (Some(200), "terminated;reason=timeout"));
    answer(&mut machine, &last[1]);
    assert!(machine.is_over());
}
