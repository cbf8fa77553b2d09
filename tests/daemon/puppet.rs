//! A SIP phone on strings: sends exactly what a test says, over UDP from the address the test says, and
//! hands back what came, so that a call can be replayed message by message.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use md5::{Digest, Md5};

use crate::process::PATIENCE;
use crate::switch::PASSWORD;

/// A message as it came.
#[derive(Clone, Debug)]
pub struct Message {
    pub text: String,
    pub from: SocketAddr,
}

impl Message {
    pub fn start_line(&self) -> &str {
        self.text.lines().next().unwrap_or("")
    }

    pub fn status(&self) -> Option<u16> {
        self.start_line().strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()
    }

    pub fn method(&self) -> &str {
        match self.status() {
            Some(_) => self.header("CSeq").split_whitespace().nth(1).unwrap_or(""),
            None => self.start_line().split(' ').next().unwrap_or(""),
        }
    }

    pub fn uri(&self) -> &str {
        self.start_line().split(' ').nth(1).unwrap_or("")
    }

    /// Every value of a header, in order.
    pub fn headers(&self, name: &str) -> Vec<&str> {
        let head = self.text.split("\r\n\r\n").next().unwrap_or("");
        head.lines()
            .skip(1)
            .filter_map(|l| l.split_once(':'))
            .filter(|(n, _)| n.trim().eq_ignore_ascii_case(name))
            .map(|(_, v)| v.trim())
            .collect()
    }

    /// The first value of a header, empty without.
    pub fn header(&self, name: &str) -> &str {
        self.headers(name).first().copied().unwrap_or("")
    }

    pub fn body(&self) -> &str {
        self.text.split_once("\r\n\r\n").map_or("", |(_, b)| b)
    }

    /// The tag of To or From.
    pub fn tag(&self, header: &str) -> String {
        let value = self.header(header);
        value.split_once(";tag=").map_or("", |(_, t)| t.split(';').next().unwrap_or("")).to_owned()
    }

    /// The URI within the angle brackets of a header.
    pub fn address(&self, header: &str) -> String {
        let value = self.header(header);
        value.split_once('<').and_then(|(_, r)| r.split_once('>')).map_or("", |(u, _)| u).to_owned()
    }

    /// A parameter of a challenge, without quotes.
    pub fn challenge(&self, name: &str) -> Option<String> {
        let value =
            self.headers("WWW-Authenticate").into_iter().chain(self.headers("Proxy-Authenticate")).next()?;
        value.trim_start_matches("Digest").split(',').find_map(|p| {
            let (n, v) = p.split_once('=')?;
            (n.trim() == name).then(|| v.trim().trim_matches('"').to_owned())
        })
    }

    /// The port of the nth m-line of its body.
    pub fn media_port(&self, line: usize) -> u16 {
        let m = self.body().lines().filter(|l| l.starts_with("m=")).nth(line);
        m.and_then(|m| m.split(' ').nth(1)).and_then(|p| p.parse().ok()).unwrap_or(0)
    }
}

fn hex(text: &str) -> String {
    Md5::digest(text.as_bytes()).iter().map(|b| format!("{b:02x}")).collect()
}

/// How a phone answers a challenge.
#[derive(Copy, Clone, PartialEq, Eq)]
pub enum Answer {
    /// RFC 2617 with qop=auth.
    Qop,
    /// RFC 2069: no qop, no cnonce, no nc.
    Plain,
}

/// The value of Authorization or Proxy-Authorization.
pub fn credentials(
    challenge: &Message,
    user: &str,
    password: &str,
    method: &str,
    uri: &str,
    how: Answer,
) -> String {
    let realm = challenge.challenge("realm").expect("a realm");
    let nonce = challenge.challenge("nonce").expect("a nonce");
    let ha1 = hex(&format!("{user}:{realm}:{password}"));
    let ha2 = hex(&format!("{method}:{uri}"));
    let base = format!("Digest username=\"{user}\",realm=\"{realm}\",nonce=\"{nonce}\",uri=\"{uri}\"");
    match how {
        Answer::Plain => format!("{base},response=\"{}\"", hex(&format!("{ha1}:{nonce}:{ha2}"))),
        Answer::Qop => {
            let response = hex(&format!("{ha1}:{nonce}:00000001:0a4f113b:auth:{ha2}"));
            format!("{base},response=\"{response}\",cnonce=\"0a4f113b\",nc=00000001,qop=auth,algorithm=MD5")
        }
    }
}

pub struct Puppet {
    name: &'static str,
    socket: UdpSocket,
    pub local: SocketAddr,
    pub switch: SocketAddr,
    waiting: Vec<Message>,
    trace: Vec<String>,
    /// A call is handed back when it rings, not when it has its final response.
    pub only_ring: bool,
}

impl Puppet {
    pub fn new(name: &'static str, ip: IpAddr, switch: SocketAddr) -> Puppet {
        let socket = UdpSocket::bind((ip, 0)).expect("a socket");
        let local = socket.local_addr().expect("its address");
        socket.set_read_timeout(Some(Duration::from_millis(50))).expect("a timeout");
        Puppet { name, socket, local, switch, waiting: Vec::new(), trace: Vec::new(), only_ring: false }
    }

    /// Sends a message: lines, then a body. Line ends become CRLF and Content-Length is added.
    pub fn send(&mut self, head: &str, body: &str) {
        self.send_to(self.switch, head, body);
    }

    pub fn send_to(&mut self, to: SocketAddr, head: &str, body: &str) {
        let lines: Vec<&str> = head.lines().map(str::trim_end).filter(|l| !l.is_empty()).collect();
        let body = body.trim_start().replace("\r\n", "\n").replace('\n', "\r\n");
        let text = format!("{}\r\nContent-Length: {}\r\n\r\n{body}", lines.join("\r\n"), body.len());
        self.trace.push(format!("{} ▶ {to}\n{text}", self.local));
        self.socket.send_to(text.as_bytes(), to).expect("to send");
    }

    /// Answers a request: Via, From, To (with `tag`), Call-ID and CSeq are copied.
    pub fn reply(&mut self, request: &Message, status: &str, tag: &str, extra: &str, body: &str) {
        let mut head = format!("SIP/2.0 {status}\n");
        for name in ["Via", "Record-Route"] {
            for value in request.headers(name) {
                head.push_str(&format!("{name}: {value}\n"));
            }
        }
        let to = request.header("To");
        let to =
            if to.contains(";tag=") || tag.is_empty() { to.to_owned() } else { format!("{to};tag={tag}") };
        head.push_str(&format!(
            "From: {}\nTo: {to}\nCall-ID: {}\nCSeq: {}\n{extra}",
            request.header("From"),
            request.header("Call-ID"),
            request.header("CSeq")
        ));
        self.send_to(request.from, &head, body);
    }

    fn receive(&mut self, within: Duration) -> Option<Message> {
        let until = Instant::now() + within;
        let mut buffer = vec![0; 65536];
        loop {
            if let Ok((n, from)) = self.socket.recv_from(&mut buffer) {
                let text = String::from_utf8_lossy(buffer.get(..n).unwrap_or(&[])).into_owned();
                if text.trim().is_empty() {
                    continue;
                }
                self.trace.push(format!("{} ◀ {from}\n{text}", self.local));
                return Some(Message { text, from });
            }
            if Instant::now() >= until {
                return None;
            }
        }
    }

    /// Waits for a message that fits; others stay for later.
    pub fn wait(&mut self, within: Duration, fits: impl Fn(&Message) -> bool) -> Option<Message> {
        if let Some(at) = self.waiting.iter().position(&fits) {
            return Some(self.waiting.remove(at));
        }
        let until = Instant::now() + within;
        loop {
            let left = until.checked_duration_since(Instant::now())?;
            let message = self.receive(left)?;
            if fits(&message) {
                return Some(message);
            }
            self.waiting.push(message);
        }
    }

    /// A response of a status to a method.
    #[track_caller]
    pub fn status(&mut self, method: &str, status: u16) -> Message {
        match self.wait(PATIENCE, |m| m.status() == Some(status) && m.method() == method) {
            Some(message) => message,
            None => panic!("{}: no {status} to {method}", self.name),
        }
    }

    /// A final response to a method, whatever it is.
    #[track_caller]
    pub fn final_status(&mut self, method: &str) -> Message {
        match self.wait(PATIENCE, |m| m.status().is_some_and(|s| s >= 200) && m.method() == method) {
            Some(message) => message,
            None => panic!("{}: no final response to {method}", self.name),
        }
    }

    /// A request. What was its retransmission is dropped.
    #[track_caller]
    pub fn request(&mut self, method: &str) -> Message {
        let Some(found) = self.wait(PATIENCE, |m| m.status().is_none() && m.method() == method) else {
            panic!("{}: no {method} came", self.name);
        };
        self.waiting.retain(|m| m.text != found.text);
        found
    }

    /// Registers `contact` for `user`, whose address of record is at `domain`.
    pub fn register(
        &mut self,
        user: &str,
        password: &str,
        domain: &str,
        contact: &str,
        how: Answer,
    ) -> Message {
        let (local, name) = (self.local, self.name);
        let uri = format!("sip:{domain}");
        let head = |n: u32, authorization: &str| {
            format!(
                "REGISTER {uri} SIP/2.0\nVia: SIP/2.0/UDP {local};branch=z9hG4bK-{name}-r{n};rport\n\
                 Max-Forwards: 70\nContact: {contact}\nTo: <sip:{user}@{domain}>\n\
                 From: <sip:{user}@{domain}>;tag={name}r\nCall-ID: reg-{name}-{local}\nCSeq: {n} REGISTER\n\
                 Expires: 3600\n{authorization}"
            )
        };
        self.send(&head(1, ""), "");
        let challenge = self.status("REGISTER", 401);
        let answer = credentials(&challenge, user, password, "REGISTER", &uri, how);
        self.send(&head(2, &format!("Authorization: {answer}")), "");
        self.final_status("REGISTER")
    }

    /// Calls a number as `user`, answers the challenge, acknowledges, and hands back the final response.
    /// `call` tells calls of one puppet apart; `body` may be empty for a delayed offer, then a 2xx is left for
    /// the test to acknowledge.
    pub fn call(&mut self, user: &str, number: &str, call: &str, body: &str) -> Message {
        self.call_with(user, number, call, "", body)
    }

    /// The same with further header lines in the INVITE.
    pub fn call_with(&mut self, user: &str, number: &str, call: &str, more: &str, body: &str) -> Message {
        let (local, host) = (self.local, self.switch.ip());
        let uri = format!("sip:{number}@{host}");
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\n" };
        let head = |method: &str, n: u32, to: &str, extra: &str| {
            format!(
                "{method} {uri} SIP/2.0\nVia: SIP/2.0/UDP {local};branch=z9hG4bK-{call}-{n};rport\n\
                 Max-Forwards: 70\nContact: <sip:{user}@{local}>\nTo: <{uri}>{to}\n\
                 From: <sip:{user}@{host}>;tag={call}\nCall-ID: {call}-{local}\nCSeq: {n} {method}\n{extra}"
            )
        };
        self.send(&head("INVITE", 1, "", &format!("{kind}{more}")), body);
        let challenge = self.status("INVITE", 407);
        self.send(&head("ACK", 1, &format!(";tag={}", challenge.tag("To")), ""), "");
        let answer = credentials(&challenge, user, PASSWORD, "INVITE", &uri, Answer::Qop);
        self.send(&head("INVITE", 2, "", &format!("{kind}{more}Proxy-Authorization: {answer}\n")), body);
        if self.only_ring {
            return self.status("INVITE", 180);
        }
        let end = self.final_status("INVITE");
        let to = format!(";tag={}", end.tag("To"));
        if end.status() >= Some(300) {
            self.send(&head("ACK", 2, &to, ""), "");
        } else if !body.is_empty() {
            self.in_dialog(&end, "ACK", 2, "", "");
        }
        end
    }

    /// A request within the dialog of a 2xx this puppet got to its call.
    pub fn in_dialog(&mut self, ok: &Message, method: &str, n: u32, extra: &str, body: &str) {
        let head = format!(
            "{method} {} SIP/2.0\nVia: SIP/2.0/UDP {};branch=z9hG4bK-{}-{method}{n};rport\nMax-Forwards: 70\n\
             To: {}\nFrom: {}\nCall-ID: {}\nCSeq: {n} {method}\n{extra}",
            ok.address("Contact"),
            self.local,
            ok.tag("From"),
            ok.header("To"),
            ok.header("From"),
            ok.header("Call-ID")
        );
        self.send(&head, body);
    }
}

impl Drop for Puppet {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("──── {}", self.name);
            self.trace.iter().for_each(|t| eprintln!("{t}\n"));
        }
    }
}
