//! A switch with an event socket, clients of it, and a phone.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tandem::config::{self, Options};
use tandem::net::Kernel;
use tandem::switch::{Manner, Switch, Tree};

pub const PASSWORD: &str = "a-password-of-its-own";
pub const PATIENCE: Duration = Duration::from_secs(10);

pub const SDP: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                   m=audio 40000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n";

/// What differs from bed to bed.
#[derive(Clone, Default)]
pub struct Settings {
    /// `<param …/>` of event_socket.conf.
    pub socket: String,
    /// Actions of extension 7000 in place of `answer`, `park`.
    pub actions: String,
}

/// The switch.
pub struct Bed {
    pub runtime: tokio::runtime::Runtime,
    pub switch: Option<Switch>,
    pub at: SocketAddr,
    /// Where its profile listens.
    pub sip: SocketAddr,
    /// The phone that is called by any number that begins with 1.
    pub callee: UdpSocket,
}

fn free_port(ip: IpAddr) -> SocketAddr {
    UdpSocket::bind((ip, 0)).and_then(|s| s.local_addr()).expect("a port")
}

impl Bed {
    pub fn new() -> Bed {
        Bed::with(Settings::default())
    }

    pub fn with(settings: Settings) -> Bed {
        let ip: IpAddr = "127.0.0.1".parse().expect("an address");
        let callee = UdpSocket::bind((ip, 0)).expect("a socket");
        callee.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let sip = free_port(ip);
        let (port, phone) = (sip.port(), callee.local_addr().expect("bound"));
        let socket = match settings.socket.is_empty() {
            true => format!("<param name=\"password\" value=\"{PASSWORD}\"/>"),
            false => settings.socket,
        };
        let actions = match settings.actions.is_empty() {
            true => "<action application=\"answer\"/><action application=\"park\"/>".to_owned(),
            false => settings.actions,
        };
        let text = format!(
            r#"<document type="freeswitch/xml">
<section name="configuration">
  <configuration name="modules.conf"><modules><load module="mod_event_socket"/></modules></configuration>
  <configuration name="event_socket.conf"><settings>
    <param name="listen-ip" value="127.0.0.1"/><param name="listen-port" value="0"/>{socket}
  </settings></configuration>
  <configuration name="switch.conf"><settings>
    <param name="max-sessions" value="1000"/><param name="sessions-per-second" value="100000"/>
    <param name="event-heartbeat-interval" value="1"/>
    <param name="rtp-start-port" value="30000"/><param name="rtp-end-port" value="60000"/>
  </settings></configuration>
  <configuration name="sofia.conf"><profiles><profile name="internal"><settings>
    <param name="sip-ip" value="{ip}"/><param name="sip-port" value="{port}"/><param name="rtp-ip" value="{ip}"/>
    <param name="context" value="default"/><param name="auth-calls" value="false"/>
    <param name="accept-blind-reg" value="true"/>
    <param name="max-recv-requests-per-second" value="0"/>
    <param name="inbound-codec-prefs" value="PCMU"/><param name="outbound-codec-prefs" value="PCMU"/>
  </settings></profile></profiles></configuration>
</section>
<section name="dialplan"><context name="default">
  <extension name="bridge"><condition field="destination_number" expression="^(1.*)$">
    <action application="bridge" data="sofia/internal/$1@{phone}"/>
  </condition></extension>
  <extension name="own"><condition field="destination_number" expression="^7000$">{actions}</condition></extension>
  <extension name="async"><condition field="destination_number" expression="^8(\d+)$">
    <action application="socket" data="127.0.0.1:$1 async full"/>
    <action application="respond" data="480"/>
  </condition></extension>
  <extension name="static"><condition field="destination_number" expression="^9(\d+)$">
    <action application="socket" data="127.0.0.1:$1"/>
    <action application="respond" data="480"/>
  </condition></extension>
</context></section>
<section name="directory"><domain name="d.test">
  <user id="boss"><params><param name="esl-password" value="pw"/></params></user>
  <user id="clerk"><params><param name="esl-password" value="pw"/>
    <param name="esl-allowed-events" value="HEARTBEAT CUSTOM my::own"/>
    <param name="esl-allowed-api" value="status,echo"/><param name="esl-allowed-log" value="false"/>
  </params></user>
  <user id="carrier"><params><param name="esl-password" value="pw"/>
    <param name="esl-allowed-events" value="BACKGROUND_JOB,CHANNEL_ANSWER"/>
    <param name="esl-allowed-api" value="status,echo,json,bgapi,eval,expand,sched_api,xml_wrap,cond,regex"/>
  </params></user>
</domain></section>
</document>"#
        );
        let loaded = config::parse("freeswitch.xml", &text, &Options::new("/nowhere"));
        loaded.globals.set("db_dir", ""); // what calls store stays in memory
        let tree = Tree::of(loaded);
        let errors: Vec<String> = tree.errors().map(ToString::to_string).collect();
        assert!(errors.is_empty(), "{errors:#?}");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let switch = {
            let _inside = runtime.enter();
            Switch::start_in(Manner::default(), tree, Arc::new(Kernel)).expect("a switch")
        };
        let at = switch.event_socket().expect("an event socket");
        Bed { runtime, switch: Some(switch), at, sip, callee }
    }

    /// A client that has not logged in.
    pub fn stranger(&self) -> Client {
        Client::connect(self.at)
    }

    /// A client that may do everything.
    pub fn client(&self) -> Client {
        let mut client = self.stranger();
        client.frame();
        let reply = client.ask(&format!("auth {PASSWORD}"));
        assert_eq!(reply.reply(), "+OK accepted");
        client
    }

    /// A caller in a call to `number`, its INVITE sent.
    pub fn call(&self, number: &str) -> Caller {
        self.call_as("\"Al Pha\" <sip:1000@d.test>", number, "")
    }

    /// The same from somebody else, with headers of its own.
    pub fn call_as(&self, from: &str, number: &str, more: &str) -> Caller {
        Caller::invite(self.sip, from, number, more)
    }

    /// The callee's phone registers as that user of `d.test`.
    pub fn register(&self, user: &str) {
        let me = self.callee.local_addr().expect("bound");
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let text = format!(
            "REGISTER sip:d.test SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bK-reg-{number}\r\n\
             From: <sip:{user}@d.test>;tag=r{number}\r\nTo: <sip:{user}@d.test>\r\n\
             Call-ID: reg-{user}@phone\r\nCSeq: {number} REGISTER\r\nContact: <sip:{user}@{me};x=y>\r\n\
             Max-Forwards: 70\r\nExpires: 600\r\nContent-Length: 0\r\n\r\n"
        );
        self.callee.send_to(text.as_bytes(), self.sip).expect("sent");
        expect(&self.callee, "SIP/2.0 200");
    }

    /// How many legs there are.
    pub fn legs(&self) -> usize {
        self.switch.as_ref().map_or(0, |switch| switch.exchange.legs.len())
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        if let Some(switch) = self.switch.take() {
            self.runtime.block_on(switch.stop());
        }
    }
}

/// One frame: its headers as they came, and its body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    pub head: String,
    pub body: String,
}

impl Frame {
    pub fn header(&self, name: &str) -> &str {
        line_of(&self.head, name).unwrap_or("")
    }

    pub fn reply(&self) -> &str {
        self.header("Reply-Text")
    }

    pub fn kind(&self) -> &str {
        self.header("Content-Type")
    }

    /// A header of the plain event in the body, decoded.
    pub fn event(&self, name: &str) -> String {
        let value = line_of(&self.body, name).unwrap_or("");
        let bytes = value.as_bytes();
        let (mut out, mut at) = (Vec::new(), 0);
        while at < bytes.len() {
            let coded = (bytes[at] == b'%').then(|| u8::from_str_radix(value.get(at + 1..at + 3)?, 16).ok());
            match coded.flatten() {
                Some(byte) => {
                    out.push(byte);
                    at += 3;
                }
                None => {
                    out.push(bytes[at]);
                    at += 1;
                }
            }
        }
        String::from_utf8_lossy(&out).into_owned()
    }
}

fn line_of<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    text.lines().take_while(|line| !line.is_empty()).find_map(|line| {
        let (held, value) = line.split_once(": ")?;
        held.eq_ignore_ascii_case(name).then_some(value)
    })
}

/// A client.
pub struct Client {
    pub stream: TcpStream,
    bytes: Vec<u8>,
    /// Events and log lines that came while a reply was waited for.
    pub heard: Vec<Frame>,
}

impl Client {
    pub fn connect(at: SocketAddr) -> Client {
        Client::over(TcpStream::connect(at).expect("connected"))
    }

    pub fn over(stream: TcpStream) -> Client {
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_nodelay(true).expect("no delay");
        Client { stream, bytes: Vec::new(), heard: Vec::new() }
    }

    pub fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).expect("sent");
    }

    /// Everything that comes until nothing does for `quiet`.
    pub fn all(&mut self, quiet: Duration) -> String {
        self.stream.set_read_timeout(Some(quiet)).expect("a timeout");
        let mut buffer = [0; 65536];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => self.bytes.extend_from_slice(&buffer[..count]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
                Err(_) => break,
            }
        }
        self.stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        String::from_utf8_lossy(&std::mem::take(&mut self.bytes)).into_owned()
    }

    /// The next frame; `None` at the end of the connection.
    pub fn try_frame(&mut self) -> Option<Frame> {
        loop {
            if let Some(end) = self.bytes.windows(2).position(|w| w == b"\n\n") {
                let head = String::from_utf8_lossy(&self.bytes[..end + 1]).into_owned();
                let length = line_of(&head, "Content-Length").map_or(0, |n| n.parse().expect("a number"));
                if self.bytes.len() >= end + 2 + length {
                    let body = String::from_utf8_lossy(&self.bytes[end + 2..end + 2 + length]).into_owned();
                    self.bytes.drain(..end + 2 + length);
                    return Some(Frame { head, body });
                }
            }
            let mut buffer = [0; 65536];
            match self.stream.read(&mut buffer) {
                Ok(0) => return None,
                Ok(count) => self.bytes.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
                Err(error) => {
                    panic!("nothing came: {error}; so far {}", String::from_utf8_lossy(&self.bytes))
                }
            }
        }
    }

    pub fn frame(&mut self) -> Frame {
        self.try_frame().expect("a frame, and not the end")
    }

    /// Sends a command and its headers; the reply, events that come before it put aside.
    pub fn ask(&mut self, command: &str) -> Frame {
        self.send(&format!("{command}\n\n"));
        self.reply()
    }

    /// The next reply or answer.
    pub fn reply(&mut self) -> Frame {
        loop {
            let frame = self.frame();
            if matches!(frame.kind(), "command/reply" | "api/response")
                || frame.head.starts_with("Event-Name")
            {
                return frame;
            }
            self.heard.push(frame);
        }
    }

    /// The answer of a command.
    pub fn api(&mut self, line: &str) -> String {
        self.ask(&format!("api {line}")).body
    }

    /// The next frame, those put aside first.
    pub fn next(&mut self) -> Frame {
        if self.heard.is_empty() { self.frame() } else { self.heard.remove(0) }
    }

    /// The next event called `name` (plain), those before it dropped.
    pub fn event(&mut self, name: &str) -> Frame {
        let until = Instant::now() + PATIENCE;
        loop {
            assert!(Instant::now() < until, "no {name}");
            let frame = self.next();
            if frame.event("Event-Name") == name {
                return frame;
            }
        }
    }
}

static NEXT: AtomicU32 = AtomicU32::new(1);

/// A phone that calls.
pub struct Caller {
    socket: UdpSocket,
    switch: SocketAddr,
    number: String,
    call: u32,
    from: String,
    to: String,
    /// Headers of its own, each with its line end.
    more: String,
}

impl Caller {
    fn invite(switch: SocketAddr, from: &str, number: &str, more: &str) -> Caller {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let call = NEXT.fetch_add(1, Ordering::Relaxed);
        let to = format!("<sip:{number}@d.test>");
        let (number, from, more) = (number.to_owned(), from.to_owned(), more.to_owned());
        let caller = Caller { socket, switch, number, call, from, to, more };
        caller.request("INVITE", 1, SDP);
        caller
    }

    fn request(&self, method: &str, cseq: u32, body: &str) {
        let (me, call) = (self.socket.local_addr().expect("bound"), self.call);
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let text = format!(
            "{method} sip:{}@{} SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bK-{call}-{method}-{cseq}\r\n\
             From: {};tag=c{call}\r\nTo: {}\r\nCall-ID: call-{call}-{}@phone\r\n\
             CSeq: {cseq} {method}\r\nContact: <sip:1000@{me}>\r\nMax-Forwards: 70\r\nX-Evil: a%0ab\r\n{}{kind}\
             Content-Length: {}\r\n\r\n{body}",
            self.number,
            self.switch,
            self.from,
            self.to,
            std::process::id(),
            self.more,
            body.len()
        );
        self.socket.send_to(text.as_bytes(), self.switch).expect("sent");
    }

    /// The next message that begins so.
    pub fn expect(&mut self, start: &str) -> String {
        let text = expect(&self.socket, start);
        if start.starts_with("SIP/2.0 2") {
            self.to = header(&text, "To").to_owned();
        }
        text
    }

    /// Waits for the answer and acknowledges it.
    pub fn answered(&mut self) {
        self.expect("SIP/2.0 200");
        self.request("ACK", 1, "");
    }

    /// Hangs up, answered or not.
    pub fn bye(&mut self) {
        self.request("BYE", 2, "");
        self.expect("SIP/2.0 200");
    }

    /// Answers a request of the switch.
    pub fn reply(&self, request: &str, status: &str) {
        respond(&self.socket, self.switch, request, status, "");
    }

    /// Answers a BYE of the switch.
    pub fn expect_bye(&mut self) -> String {
        let bye = self.expect("BYE ");
        respond(&self.socket, self.switch, &bye, "200 OK", "");
        bye
    }
}

fn header<'m>(message: &'m str, name: &str) -> &'m str {
    let found = message.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(": "));
    found.unwrap_or_else(|| panic!("no {name} in {message}"))
}

/// The next message of a phone that begins so; others are dropped.
pub fn expect(socket: &UdpSocket, start: &str) -> String {
    let mut buffer = [0; 8192];
    loop {
        let length = socket.recv(&mut buffer).unwrap_or_else(|e| panic!("no {start}: {e}"));
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        if text.starts_with(start) {
            return text;
        }
    }
}

/// A response of a phone.
pub fn respond(socket: &UdpSocket, switch: SocketAddr, request: &str, status: &str, body: &str) {
    let line = |name: &str| header(request, name);
    let to = line("To");
    let tag = if to.contains(";tag=") { "" } else { ";tag=callee" };
    let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    let text = format!(
        "SIP/2.0 {status}\r\nVia: {}\r\nFrom: {}\r\nTo: {to}{tag}\r\nCall-ID: {}\r\nCSeq: {}\r\n\
         Contact: <sip:callee@{}>\r\n{kind}Content-Length: {}\r\n\r\n{body}",
        line("Via"),
        line("From"),
        line("Call-ID"),
        line("CSeq"),
        socket.local_addr().expect("bound"),
        body.len()
    );
    socket.send_to(text.as_bytes(), switch).expect("sent");
}

/// A program that calls are handed to.
pub struct Program {
    listener: TcpListener,
}

impl Program {
    pub fn new() -> Program {
        Program { listener: TcpListener::bind("127.0.0.1:0").expect("a socket") }
    }

    pub fn port(&self) -> u16 {
        self.listener.local_addr().expect("bound").port()
    }

    pub fn accept(&self) -> Client {
        Client::over(self.listener.accept().expect("a call").0)
    }
}

/// Waits until `done`.
pub fn until(what: &str, mut done: impl FnMut() -> bool) {
    let limit = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < limit, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
