//! A peer that sends exactly what a test says, byte by byte, over UDP or TCP, and reads what comes back.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::process::PATIENCE;
use crate::puppet::{Answer, Message, credentials};
use crate::switch::{PASSWORD, Switch};

static NEXT: AtomicU32 = AtomicU32::new(1);

/// A number nobody in this process had before.
pub fn unique() -> String {
    format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A request about to be written. Every field may be bent.
#[derive(Clone)]
pub struct Ask {
    pub method: String,
    pub uri: String,
    pub via: String,
    pub from: String,
    pub to: String,
    pub call_id: String,
    pub cseq: u32,
    pub max_forwards: u32,
    /// More header lines, each with `\n` or `\r\n` at its end.
    pub headers: String,
    pub body: String,
}

impl Ask {
    /// `Content-Type: application/sdp` and the body.
    pub fn sdp(mut self, body: &str) -> Ask {
        self.headers.push_str("Content-Type: application/sdp\n");
        self.body = body.replace("\r\n", "\n").replace('\n', "\r\n");
        self
    }

    pub fn with(mut self, headers: &str) -> Ask {
        self.headers.push_str(headers);
        if !headers.ends_with('\n') {
            self.headers.push('\n');
        }
        self
    }

    pub fn dialling(mut self, number: &str) -> Ask {
        let (old, host) = (self.uri.clone(), self.uri.split('@').next_back().unwrap_or("").to_owned());
        self.uri = format!("sip:{number}@{}", host.trim_start_matches("sip:"));
        self.to = self.to.replace(&old, &self.uri);
        self
    }

    /// The same request in a transaction of its own: new branch, next CSeq.
    pub fn again(&self) -> Ask {
        let mut ask = self.clone();
        ask.cseq += 1;
        let (head, _) = ask.via.split_once("branch=").expect("a branch");
        ask.via = format!("{head}branch=z9hG4bK{};rport", unique());
        ask
    }

    /// A request in the dialog that an answer to this one made.
    pub fn inside(&self, method: &str, answer: &Message) -> Ask {
        let mut ask = self.again();
        ask.method = method.to_owned();
        ask.uri = answer.address("Contact");
        ask.to = answer.header("To").to_owned();
        ask.headers = String::new();
        ask.body = String::new();
        if matches!(method, "INVITE" | "UPDATE") {
            ask.headers =
                self.headers.lines().filter(|l| l.starts_with("Contact")).map(|l| format!("{l}\n")).collect();
        }
        ask
    }

    /// The ACK to a final answer: of the transaction for a refusal, of the dialog for a 2xx.
    pub fn ack(&self, answer: &Message) -> Ask {
        let success = answer.status().is_some_and(|s| s < 300);
        let mut ask = if success { self.inside("ACK", answer) } else { self.clone() };
        ask.method = "ACK".to_owned();
        ask.cseq = self.cseq;
        ask.to = answer.header("To").to_owned();
        ask.headers = String::new();
        ask.body = String::new();
        ask
    }

    pub fn cancel(&self) -> Ask {
        let mut ask = self.clone();
        ask.method = "CANCEL".to_owned();
        ask.headers = String::new();
        ask.body = String::new();
        ask
    }
}

impl std::fmt::Display for Ask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Ask { method, uri, via, from, to, call_id, cseq, max_forwards, headers, body } = self;
        let headers = headers.replace("\r\n", "\n").replace('\n', "\r\n");
        write!(
            f,
            "{method} {uri} SIP/2.0\r\nVia: {via}\r\nMax-Forwards: {max_forwards}\r\nFrom: {from}\r\nTo: {to}\r\n\
             Call-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n{headers}Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }
}

enum Pipe {
    Udp(UdpSocket),
    Tcp(TcpStream),
}

pub struct Line {
    pipe: Pipe,
    pub local: SocketAddr,
    pub peer: SocketAddr,
    /// The domain, which is also the host of everybody's address.
    pub domain: String,
    /// What a stream has brought and nobody has taken.
    rest: Vec<u8>,
    waiting: VecDeque<Message>,
    /// Empty lines a stream has brought (RFC 5626 §3.5.1).
    pub pongs: usize,
    pub closed: bool,
    trace: Vec<String>,
}

const LOCALHOST: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

impl Line {
    pub fn udp(switch: &Switch) -> Line {
        Line::udp_from(LOCALHOST, switch.sip())
    }

    pub fn udp_from(ip: IpAddr, peer: SocketAddr) -> Line {
        let socket = UdpSocket::bind((ip, 0)).expect("a socket");
        socket.set_read_timeout(Some(Duration::from_millis(20))).expect("a timeout");
        let local = socket.local_addr().expect("its address");
        Line::new(Pipe::Udp(socket), local, peer)
    }

    pub fn tcp(switch: &Switch) -> Line {
        Line::tcp_to(switch.sip())
    }

    pub fn tcp_to(peer: SocketAddr) -> Line {
        let stream = TcpStream::connect_timeout(&peer, PATIENCE).expect("to connect");
        Line::over(stream)
    }

    /// A line over a connection that is there already.
    pub fn over(stream: TcpStream) -> Line {
        stream.set_read_timeout(Some(Duration::from_millis(20))).expect("a timeout");
        stream.set_nodelay(true).expect("no delay");
        let local = stream.local_addr().expect("its address");
        let peer = stream.peer_addr().expect("the peer");
        Line::new(Pipe::Tcp(stream), local, peer)
    }

    fn new(pipe: Pipe, local: SocketAddr, peer: SocketAddr) -> Line {
        Line {
            pipe,
            local,
            peer,
            domain: peer.ip().to_string(),
            rest: Vec::new(),
            waiting: VecDeque::new(),
            pongs: 0,
            closed: false,
            trace: Vec::new(),
        }
    }

    pub fn is_stream(&self) -> bool {
        matches!(self.pipe, Pipe::Tcp(_))
    }

    pub fn transport(&self) -> &'static str {
        if self.is_stream() { "TCP" } else { "UDP" }
    }

    /// A request of user 1000 to the switch itself.
    pub fn ask(&self, method: &str) -> Ask {
        let (n, local, domain) = (unique(), self.local, &self.domain);
        let host = if domain.contains(':') { format!("[{domain}]") } else { domain.clone() };
        Ask {
            method: method.to_owned(),
            uri: format!("sip:{host}"),
            via: format!("SIP/2.0/{} {local};branch=z9hG4bK{n};rport", self.transport()),
            from: format!("<sip:1000@{host}>;tag=f{n}"),
            to: format!("<sip:{host}>"),
            call_id: format!("c{n}"),
            cseq: 1,
            max_forwards: 70,
            headers: String::new(),
            body: String::new(),
        }
    }

    /// An INVITE to a number, with a Contact and an ordinary offer.
    pub fn invite(&self, number: &str) -> Ask {
        let transport = if self.is_stream() { ";transport=tcp" } else { "" };
        let contact = format!("Contact: <sip:1000@{}{transport}>", self.local);
        self.ask("INVITE").dialling(number).with(&contact).sdp(&offer(self.local.ip(), 40_000))
    }

    pub fn send(&mut self, ask: &Ask) {
        self.send_raw(ask.to_string().as_bytes());
    }

    pub fn send_raw(&mut self, bytes: &[u8]) {
        self.trace.push(format!("{} ▶ {}\n{}", self.local, self.peer, String::from_utf8_lossy(bytes)));
        match &mut self.pipe {
            Pipe::Udp(socket) => drop(socket.send_to(bytes, self.peer).expect("to send")),
            Pipe::Tcp(stream) => self.closed |= stream.write_all(bytes).is_err(),
        }
    }

    /// Answers a request: Via, From, To (with a tag), Call-ID and CSeq are copied.
    pub fn reply(&mut self, request: &Message, status: &str, tag: &str, headers: &str, body: &str) {
        let mut text = format!("SIP/2.0 {status}\r\n");
        for name in ["Via", "Record-Route"] {
            request.headers(name).iter().for_each(|v| text.push_str(&format!("{name}: {v}\r\n")));
        }
        let to = request.header("To");
        let to =
            if to.contains(";tag=") || tag.is_empty() { to.to_owned() } else { format!("{to};tag={tag}") };
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let headers = headers.replace("\r\n", "\n").replace('\n', "\r\n");
        let body = body.replace("\r\n", "\n").replace('\n', "\r\n");
        text.push_str(&format!(
            "From: {}\r\nTo: {to}\r\nCall-ID: {}\r\nCSeq: {}\r\n{headers}{kind}Content-Length: {}\r\n\r\n{body}",
            request.header("From"),
            request.header("Call-ID"),
            request.header("CSeq"),
            body.len()
        ));
        self.send_raw(text.as_bytes());
    }

    /// Answers a call: 200 with an ordinary description.
    pub fn pick_up(&mut self, invite: &Message) {
        let contact = format!("Contact: <sip:callee@{}>\n", self.local);
        let body = offer(self.local.ip(), 40_100);
        self.reply(invite, "200 OK", "callee", &contact, &body);
    }

    /// No more will be sent on this stream.
    pub fn end(&mut self) {
        if let Pipe::Tcp(stream) = &self.pipe {
            let _ = stream.shutdown(std::net::Shutdown::Write);
        }
    }

    fn read(&mut self) {
        let mut buffer = vec![0; 65536];
        match &mut self.pipe {
            Pipe::Udp(socket) => {
                if let Ok((n, from)) = socket.recv_from(&mut buffer) {
                    let text = String::from_utf8_lossy(buffer.get(..n).unwrap_or(&[])).into_owned();
                    self.keep(Message { text, from });
                }
            }
            Pipe::Tcp(stream) => {
                match stream.read(&mut buffer) {
                    Ok(0) => self.closed = true,
                    Ok(n) => self.rest.extend_from_slice(buffer.get(..n).unwrap_or(&[])),
                    Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                    Err(_) => self.closed = true,
                }
                while let Some(text) = self.frame() {
                    self.keep(Message { text, from: self.peer });
                }
                if self.closed {
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
        }
    }

    /// Takes one message off a stream.
    fn frame(&mut self) -> Option<String> {
        while self.rest.starts_with(b"\r\n") {
            self.rest.drain(..2);
            self.pongs += 1;
        }
        let end = self.rest.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
        let head = String::from_utf8_lossy(self.rest.get(..end)?).into_owned();
        let length = Message { text: head, from: self.peer }.header("Content-Length").parse().unwrap_or(0);
        (self.rest.len() >= end + length).then(|| {
            String::from_utf8_lossy(&self.rest.drain(..end + length).collect::<Vec<_>>()).into_owned()
        })
    }

    fn keep(&mut self, message: Message) {
        if !message.text.trim().is_empty() {
            self.trace.push(format!("{} ◀ {}\n{}", self.local, message.from, message.text));
            self.waiting.push_back(message);
        }
    }

    /// Waits for a message that fits; others stay.
    pub fn wait(&mut self, within: Duration, fits: impl Fn(&Message) -> bool) -> Option<Message> {
        let until = Instant::now() + within;
        loop {
            if let Some(at) = self.waiting.iter().position(&fits) {
                return self.waiting.remove(at);
            }
            if Instant::now() >= until || self.closed {
                return None;
            }
            self.read();
        }
    }

    /// A request that comes to us. Its retransmissions that are here already are dropped.
    #[track_caller]
    pub fn request(&mut self, method: &str) -> Message {
        let found = self.wait(PATIENCE, |m| m.status().is_none() && m.method() == method);
        let Some(found) = found else { panic!("no {method} came to {}", self.local) };
        self.waiting.retain(|m| m.text != found.text);
        found
    }

    /// The final answer to a request already sent.
    #[track_caller]
    pub fn final_of(&mut self, ask: &Ask) -> Message {
        self.answer_of(ask, |s| s >= 200)
    }

    /// An answer of that status to a request already sent.
    #[track_caller]
    pub fn status_of(&mut self, ask: &Ask, status: u16) -> Message {
        self.answer_of(ask, |s| s == status)
    }

    #[track_caller]
    fn answer_of(&mut self, ask: &Ask, wanted: impl Fn(u16) -> bool) -> Message {
        let cseq = format!("{} {}", ask.cseq, ask.method);
        let fits = |m: &Message| {
            m.status().is_some_and(&wanted) && m.header("Call-ID") == ask.call_id && m.header("CSeq") == cseq
        };
        match self.wait(PATIENCE, fits) {
            Some(answer) => answer,
            None => panic!("no such answer to {cseq}"),
        }
    }

    /// Sends a request and waits for its final answer.
    #[track_caller]
    pub fn put(&mut self, ask: &Ask) -> Message {
        self.send(ask);
        self.final_of(ask)
    }

    /// The status of that answer.
    #[track_caller]
    pub fn status(&mut self, ask: &Ask) -> u16 {
        self.put(ask).status().unwrap_or(0)
    }

    /// Everything sent before has been looked at: an OPTIONS sent after it is answered.
    #[track_caller]
    pub fn fence(&mut self) {
        let ask = self.ask("OPTIONS");
        assert_eq!(self.put(&ask).status(), Some(200), "the switch lives");
    }

    /// Nothing comes back that belongs to this Call-ID.
    #[track_caller]
    pub fn silent(&mut self, call_id: &str) {
        self.fence();
        let came = self.wait(Duration::from_millis(100), |m| m.header("Call-ID") == call_id);
        assert!(came.is_none(), "{}", came.map(|m| m.text).unwrap_or_default());
    }

    /// How many messages that fit are here, after everything sent before has been looked at.
    pub fn count(&mut self, fits: impl Fn(&Message) -> bool) -> usize {
        self.fence();
        while self.wait(Duration::from_millis(50), |_| false).is_some() {}
        self.waiting.iter().filter(|m| fits(m)).count()
    }

    /// Sends a request, and once more with the password of user 1000 when asked for one. Gives what was sent last and
    /// its final answer.
    #[track_caller]
    pub fn put_as(&mut self, user: &str, ask: &Ask) -> (Ask, Message) {
        let last = self.send_as(user, ask);
        let answer = self.final_of(&last);
        (last, answer)
    }

    /// The same without waiting for the second answer.
    #[track_caller]
    pub fn send_as(&mut self, user: &str, ask: &Ask) -> Ask {
        let challenge = self.put(ask);
        assert!(matches!(challenge.status(), Some(401 | 407)), "{}", challenge.text);
        if ask.method == "INVITE" {
            self.send(&ask.ack(&challenge));
        }
        let ask = logged_in(ask, &challenge, user, PASSWORD);
        self.send(&ask);
        ask
    }

    /// Registers a contact.
    #[track_caller]
    pub fn register(&mut self, user: &str, contact: &str) -> Message {
        let ask = self.registration(user, contact);
        let (_, answer) = self.put_as(user, &ask);
        assert_eq!(answer.status(), Some(200), "{}", answer.text);
        answer
    }

    /// Registers this line for a user.
    #[track_caller]
    pub fn log_in(&mut self, user: &str) -> Message {
        let transport = if self.is_stream() { ";transport=tcp" } else { "" };
        self.register(user, &format!("<sip:{user}@{}{transport}>", self.local))
    }

    pub fn registration(&self, user: &str, contact: &str) -> Ask {
        let mut ask = self.ask("REGISTER").with(&format!("Contact: {contact}\nExpires: 3600"));
        ask.to = format!("<{}>", ask.uri.replace("sip:", &format!("sip:{user}@")));
        ask.from = format!("{};tag={}", ask.to, unique());
        ask
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let from = self.trace.len().saturating_sub(30);
            self.trace.iter().skip(from).for_each(|t| eprintln!("{t}\n"));
        }
    }
}

/// The request again with credentials.
pub fn logged_in(ask: &Ask, challenge: &Message, user: &str, password: &str) -> Ask {
    let header = if challenge.status() == Some(401) { "Authorization" } else { "Proxy-Authorization" };
    let value = credentials(challenge, user, password, &ask.method, &ask.uri, Answer::Qop);
    ask.again().with(&format!("{header}: {value}"))
}

/// An ordinary description.
pub fn offer(ip: IpAddr, port: u16) -> String {
    let kind = if ip.is_ipv6() { "IP6" } else { "IP4" };
    format!(
        "v=0\r\no=- 7 7 IN {kind} {ip}\r\ns=-\r\nc=IN {kind} {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0 8 101\r\n\
         a=rtpmap:101 telephone-event/8000\r\n"
    )
}

pub fn md5(text: &str) -> String {
    use md5::{Digest, Md5};
    Md5::digest(text.as_bytes()).iter().map(|b| format!("{b:02x}")).collect()
}
