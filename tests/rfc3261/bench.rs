//! One transaction table under a clock of its own, and the messages put into it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tandem::sip::{Destination, Flow, Limits, Message, Transport};
use tandem::transaction::{ClientId, Id, Output, ServerId, Timers, Transactions};

pub fn parse(text: &str) -> Message {
    Message::parse(Bytes::from(text.to_owned()), &Limits::default())
        .unwrap_or_else(|e| panic!("{e:?} in\n{text}"))
}

/// A request with a branch; the rest is the same for all.
pub fn request(method: &str, branch: &str) -> Message {
    request_of(method, &format!("Via: SIP/2.0/UDP 192.0.2.1:5060;branch={branch};rport"), "call-1", 1)
}

pub fn request_of(method: &str, via: &str, call_id: &str, cseq: u32) -> Message {
    parse(&format!(
        "{method} sip:bob@192.0.2.2 SIP/2.0\r\n{via}\r\nMax-Forwards: 70\r\nFrom: <sip:alice@192.0.2.1>;tag=a\r\n\
         To: <sip:bob@192.0.2.2>\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n\
         Contact: <sip:alice@192.0.2.1>\r\nContent-Length: 0\r\n\r\n"
    ))
}

/// The response a peer would give.
pub fn response_to(request: &Message, status: u16) -> Message {
    let text = std::str::from_utf8(request.raw()).unwrap();
    let mut out = format!("SIP/2.0 {status} Reason\r\n");
    for line in text.split("\r\n").skip(1) {
        let name = line.split(':').next().unwrap_or("");
        match name {
            "Via" | "From" | "Call-ID" | "CSeq" => out += &format!("{line}\r\n"),
            "To" if status > 100 && !line.contains("tag=") => out += &format!("{line};tag=b\r\n"),
            "To" => out += &format!("{line}\r\n"),
            _ => {}
        }
    }
    parse(&(out + "Content-Length: 0\r\n\r\n"))
}

pub fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub fn flow(transport: Transport) -> Flow {
    let connection = if transport.is_reliable() { 2 } else { 0 };
    Flow { transport, local: address("192.0.2.2:5060"), remote: address("192.0.2.1:5060"), connection }
}

pub fn udp() -> Flow {
    flow(Transport::Udp)
}

/// A table, its clock, and a log of what came out: `"500 send INVITE"`.
pub struct Bench {
    pub table: Transactions,
    pub start: Instant,
    pub now: Instant,
    pub log: Vec<String>,
    pub last_sent: Option<(Bytes, Destination)>,
    servers: HashMap<String, ServerId>,
}

impl Bench {
    pub fn new() -> Self {
        Self::with_capacity(100)
    }

    pub fn with_capacity(capacity: usize) -> Self {
        let start = Instant::now();
        let table = Transactions::new(Timers::default(), capacity);
        Self { table, start, now: start, log: Vec::new(), last_sent: None, servers: HashMap::new() }
    }

    pub fn request(&mut self, request: &Message, reliable: bool) -> ClientId {
        let transport = if reliable { Transport::Tcp } else { Transport::Udp };
        let to = Destination::Flow(flow(transport));
        let id = self.table.request(self.now, request.clone(), to, reliable).unwrap();
        self.drain();
        id
    }

    pub fn receive(&mut self, message: &Message, flow: Flow) {
        self.table.receive(self.now, message.clone(), flow);
        self.drain();
    }

    /// Answers the last request of that method.
    pub fn respond(&mut self, request: &Message, status: u16) {
        let id = self.server(request);
        self.table.respond(self.now, id, response_to(request, status).raw().clone(), status);
        self.drain();
    }

    pub fn server(&self, request: &Message) -> ServerId {
        self.servers[request.method().as_str()]
    }

    pub fn failed(&mut self, id: Id) {
        self.table.transport_failed(id);
        self.drain();
    }

    /// Lets time pass until `ms` after the start, waking exactly when the table wants it.
    pub fn until(&mut self, ms: u64) {
        let end = self.start + Duration::from_millis(ms);
        while let Some(next) = self.table.next_timeout().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            self.table.timeout(self.now);
            self.drain();
            assert!(self.table.next_timeout() > Some(self.now) || self.table.next_timeout().is_none());
        }
        self.now = end;
    }

    /// What came out since the last call.
    pub fn said(&mut self) -> Vec<String> {
        std::mem::take(&mut self.log)
    }

    fn drain(&mut self) {
        let ms = (self.now - self.start).as_millis();
        while let Some(output) = self.table.poll() {
            let what = match output {
                Output::Send { bytes, to, .. } => {
                    let said = format!("send {}", title(&bytes));
                    self.last_sent = Some((bytes, to));
                    said
                }
                Output::Request { id, message, .. } => {
                    self.servers.insert(message.method().as_str().to_owned(), id);
                    format!("up {}", title(message.raw()))
                }
                Output::Cancel { id, invite, message, .. } => {
                    assert_eq!(self.servers.get("INVITE"), Some(&invite));
                    self.servers.insert("CANCEL".into(), id);
                    format!("up {}", title(message.raw()))
                }
                Output::Ack { message, .. } | Output::Response { message, .. } => {
                    format!("up {}", title(message.raw()))
                }
                Output::TimedOut { .. } => "timed out".to_owned(),
                Output::Unreachable { .. } => "unreachable".to_owned(),
                Output::NoAck { .. } => "no ACK".to_owned(),
            };
            self.log.push(format!("{ms} {what}"));
        }
    }
}

/// `INVITE`, `180`.
pub fn title(message: &[u8]) -> String {
    let text = String::from_utf8_lossy(message);
    let mut words = text.split(' ');
    let first = words.next().unwrap_or("").to_owned();
    if first == "SIP/2.0" { words.next().unwrap_or("").to_owned() } else { first }
}
