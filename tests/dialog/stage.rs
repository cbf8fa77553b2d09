//! One session on a stage: the test writes the other side's messages as text.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use tandem::dialog::{Event, Invite, Means, Output, Session, SessionConfig};
use tandem::sip::{Destination, Flow, Limits, Message, Name, NameAddr, Transport, Uri};
use tandem::transaction::Id;

pub const OFFER: &str =
    "v=0\r\no=p 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n";
pub const ANSWER: &str =
    "v=0\r\no=t 7 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 6000 RTP/AVP 8\r\n";

pub fn sdp(text: &'static str) -> Option<Bytes> {
    Some(Bytes::from_static(text.as_bytes()))
}

pub fn config() -> SessionConfig {
    SessionConfig {
        local_tag: "ours".into(),
        branch_prefix: "z9hG4bKours.".into(),
        sent_by: vec![(Transport::Udp, "192.0.2.1:5060".into())],
        contact: "<sip:mod_sofia@192.0.2.1:5060>".into(),
        user_agent: Some("tandem/test".into()),
        ..SessionConfig::default()
    }
}

pub fn flow() -> Flow {
    Flow {
        transport: Transport::Udp,
        local: "192.0.2.1:5060".parse().unwrap(),
        remote: "198.51.100.7:40000".parse().unwrap(),
        connection: 0,
    }
}

pub fn message(text: &str) -> Message {
    Message::parse(Bytes::from(text.to_owned()), &Limits::default())
        .unwrap_or_else(|e| panic!("{e:?}\n{text}"))
}

fn with_body(head: String, kind: &str, body: &str) -> String {
    if body.is_empty() {
        return format!("{head}Content-Length: 0\r\n\r\n");
    }
    format!("{head}Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// A response to `request` with the To tag `tag`; `more` are whole header lines.
pub fn response(request: &Message, status: u16, tag: &str, more: &str, body: &str) -> Message {
    let mut head = format!("SIP/2.0 {status} Whatever\r\n");
    for via in request.headers(Name::Via) {
        head += &format!("Via: {via}\r\n");
    }
    let to = request.header(Name::To).unwrap();
    let to = if to.contains("tag=") || tag.is_empty() { to.to_owned() } else { format!("{to};tag={tag}") };
    head += &format!("From: {}\r\nTo: {to}\r\n", request.header(Name::From).unwrap());
    head += &format!("Call-ID: {}\r\nCSeq: {}\r\n", request.call_id(), request.header(Name::CSeq).unwrap());
    if (101..300).contains(&status) && !more.contains("Contact:") {
        head += "Contact: <sip:peer@192.0.2.9:5070>\r\n";
    }
    message(&with_body(head + more, "application/sdp", body))
}

pub struct Stage {
    pub session: Session,
    pub now: Instant,
    pub sent: VecDeque<(Message, Destination)>,
    pub events: VecDeque<Event>,
    /// CSeq of the peer's next request.
    pub cseq: u32,
    branches: u32,
    pub flow: Flow,
    /// Who sent the last message out.
    pub by: Option<Id>,
}

impl Stage {
    fn new(session: Session, now: Instant) -> Stage {
        let (sent, events) = (VecDeque::new(), VecDeque::new());
        let mut stage = Stage { session, now, sent, events, cseq: 1, branches: 0, flow: flow(), by: None };
        stage.drain();
        stage
    }

    /// We called; the INVITE (with an offer unless `delayed`) is in `sent`.
    pub fn calling(config: SessionConfig, delayed: bool) -> Stage {
        Stage::calling_to(config, delayed, Destination::Flow(flow()), Means::default())
    }

    /// The same to an address of the test's choice, with a login or further addresses.
    pub fn calling_to(config: SessionConfig, delayed: bool, to: Destination, means: Means) -> Stage {
        let now = Instant::now();
        let address = |text: &str| NameAddr::new(text.parse::<Uri>().unwrap());
        let invite = Invite {
            uri: "sip:1001@198.51.100.7:40000".parse().unwrap(),
            from: address("sip:1000@192.0.2.1"),
            to: address("sip:1001@192.0.2.1"),
            call_id: "call@ours".into(),
            cseq: 1,
            routes: Vec::new(),
            headers: vec![("X-Test".into(), "yes".into())],
            max_forwards: 69,
            sdp: if delayed { None } else { sdp(ANSWER) },
            to_destination: to,
            reliable: false,
        };
        Stage::new(Session::calling(now, config, invite, means, SmallRng::seed_from_u64(1)), now)
    }

    /// We are called; `more` are header lines of the INVITE. The 100 is used up.
    pub fn called(config: SessionConfig, more: &str, body: &str) -> Stage {
        let now = Instant::now();
        let invite = invite(more, body);
        let session = Session::incoming(now, config, invite, flow(), SmallRng::seed_from_u64(2));
        let mut stage = Stage::new(session, now);
        if stage.sent.front().is_some_and(|(m, _)| m.status() == Some(100)) {
            stage.sent.pop_front();
        }
        stage
    }

    /// Called, answered, acknowledged; nothing left on the stage.
    pub fn up(config: SessionConfig) -> Stage {
        let mut stage = Stage::called(config, "", OFFER);
        stage.session.answer(stage.now, sdp(ANSWER), &[]).unwrap();
        stage.drain();
        stage.expect(200);
        stage.ack(1, "");
        assert!(matches!(stage.event(), Event::Acknowledged { sdp: None }));
        stage
    }

    /// Calling, answered, acknowledged; nothing left on the stage.
    pub fn up_calling(config: SessionConfig, more: &str) -> Stage {
        let mut stage = Stage::calling(config, false);
        let invite = stage.request("INVITE");
        stage.hear(response(&invite, 200, "theirs", more, OFFER));
        stage.request("ACK");
        assert!(matches!(stage.event(), Event::Answered { needs_answer: false, .. }));
        stage
    }

    pub fn drain(&mut self) {
        while let Some(output) = self.session.poll() {
            match output {
                Output::Send { bytes, to, by } => {
                    self.by = by;
                    let sent = Message::parse(bytes.clone(), &Limits::default());
                    let sent = sent.unwrap_or_else(|e| panic!("{e:?}\n{}", String::from_utf8_lossy(&bytes)));
                    self.sent.push_back((sent, to));
                }
                Output::Event(event) => self.events.push_back(event),
            }
        }
    }

    /// The session gets a message.
    pub fn hear(&mut self, message: Message) {
        self.session.receive(self.now, message, self.flow);
        self.drain();
    }

    /// Time goes by; timers run when they are due.
    pub fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.session.next_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.session.timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    pub fn seconds(&mut self, seconds: u64) {
        self.pass(Duration::from_secs(seconds));
    }

    /// The next message out is a response with this status.
    #[track_caller]
    pub fn expect(&mut self, status: u16) -> Message {
        let (message, _) =
            self.sent.pop_front().unwrap_or_else(|| panic!("{status} expected, nothing was sent"));
        assert_eq!(message.status(), Some(status), "{}", String::from_utf8_lossy(message.raw()));
        message
    }

    /// The next message out is a request of this method.
    #[track_caller]
    pub fn request(&mut self, method: &str) -> Message {
        self.request_to(method).0
    }

    #[track_caller]
    pub fn request_to(&mut self, method: &str) -> (Message, Destination) {
        let (message, to) =
            self.sent.pop_front().unwrap_or_else(|| panic!("{method} expected, nothing was sent"));
        assert!(
            message.is_request() && message.method().as_str() == method,
            "{method} expected: {}",
            String::from_utf8_lossy(message.raw())
        );
        (message, to)
    }

    #[track_caller]
    pub fn event(&mut self) -> Event {
        self.events.pop_front().expect("an event expected")
    }

    #[track_caller]
    pub fn quiet(&self) {
        assert!(self.sent.is_empty(), "{:?}", self.sent);
        assert!(self.events.is_empty(), "{:?}", self.events);
    }

    /// The peer's in-dialog request with its next CSeq; `more` are header lines.
    pub fn ask(&mut self, method: &str, more: &str, body: &str) {
        self.cseq += 1;
        let cseq = self.cseq;
        self.ask_as(method, cseq, "theirs", "ours", more, body);
    }

    pub fn ask_as(&mut self, method: &str, cseq: u32, from_tag: &str, to_tag: &str, more: &str, body: &str) {
        let text = self.text(method, cseq, from_tag, to_tag, more, body);
        self.hear(message(&text));
    }

    pub fn ack(&mut self, cseq: u32, body: &str) {
        self.ask_as("ACK", cseq, "theirs", "ours", "", body);
    }

    pub fn text(&mut self, method: &str, cseq: u32, from: &str, to: &str, more: &str, body: &str) -> String {
        self.branches += 1;
        let to = if to.is_empty() { String::new() } else { format!(";tag={to}") };
        let from = if from.is_empty() { String::new() } else { format!(";tag={from}") };
        let mut head = format!("{method} sip:mod_sofia@192.0.2.1:5060 SIP/2.0\r\n");
        head += &format!("Via: SIP/2.0/UDP 192.0.2.9:5070;rport;branch=z9hG4bKtheirs{}\r\n", self.branches);
        head += &format!(
            "Max-Forwards: 70\r\nFrom: <sip:1001@192.0.2.1>{from}\r\nTo: <sip:1000@192.0.2.1>{to}\r\n"
        );
        head += &format!("Call-ID: call@ours\r\nCSeq: {cseq} {method}\r\n");
        if !more.contains("Contact:") && matches!(method, "INVITE" | "UPDATE" | "REFER" | "NOTIFY") {
            head += "Contact: <sip:peer@192.0.2.9:5070>\r\n";
        }
        let kind = if more.contains("Content-Type:") { "" } else { "application/sdp" };
        if kind.is_empty() {
            return format!("{head}{more}Content-Length: {}\r\n\r\n{body}", body.len());
        }
        with_body(head + more, kind, body)
    }

    /// Ended, told so last, and over once all timers have run.
    #[track_caller]
    pub fn is_over_in_time(&mut self) {
        assert!(self.session.is_ended());
        self.seconds(70);
        assert!(self.session.is_over(), "still {:?}", self.session);
    }
}

/// The INVITE that makes us the called side.
pub fn invite(more: &str, body: &str) -> Message {
    let mut head = "INVITE sip:1000@192.0.2.1 SIP/2.0\r\n\
        Via: SIP/2.0/UDP 192.0.2.9:5070;rport;branch=z9hG4bKtheirs\r\n\
        Max-Forwards: 70\r\n\
        From: \"Bob\" <sip:1001@192.0.2.1>;tag=theirs\r\n\
        To: <sip:1000@192.0.2.1>\r\n\
        Call-ID: call@ours\r\n\
        CSeq: 1 INVITE\r\n"
        .to_owned();
    if !more.contains("Contact:") {
        head += "Contact: <sip:peer@192.0.2.9:5070>\r\n";
    }
    if more.contains("Content-Type:") {
        return message(&format!("{head}{more}Content-Length: {}\r\n\r\n{body}", body.len()));
    }
    message(&with_body(head + more, "application/sdp", body))
}

/// The CANCEL of [`invite`].
pub fn cancel() -> Message {
    message(
        "CANCEL sip:1000@192.0.2.1 SIP/2.0\r\n\
        Via: SIP/2.0/UDP 192.0.2.9:5070;rport;branch=z9hG4bKtheirs\r\n\
        Max-Forwards: 70\r\n\
        From: \"Bob\" <sip:1001@192.0.2.1>;tag=theirs\r\n\
        To: <sip:1000@192.0.2.1>\r\n\
        Call-ID: call@ours\r\n\
        CSeq: 1 CANCEL\r\n\
        Content-Length: 0\r\n\r\n",
    )
}
