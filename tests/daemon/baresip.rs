//! baresip without a sound card: it plays a tone from a file, records what it hears, and takes commands over
//! its TCP control module.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::place::{Dir, free_port};
use crate::process::{Inbox, PATIENCE, Process};
use crate::switch::PASSWORD;
use crate::wav::Wav;

/// One event of baresip as its control module tells it.
#[derive(Clone, Debug)]
pub struct Event {
    /// `CALL_ESTABLISHED`, `REGISTER_FAIL` …
    pub kind: String,
    pub param: String,
}

/// What is to become of its registration; the start waits for it.
#[derive(Copy, Clone, PartialEq, Eq)]
pub enum Registration {
    /// It does not register.
    None,
    /// It must succeed.
    Good,
    /// It must be refused with 403.
    Refused,
}

/// How it is set up.
pub struct Phone<'a> {
    pub user: &'a str,
    pub password: &'a str,
    /// Where the switch is.
    pub switch: SocketAddr,
    /// `udp` or `tcp`.
    pub transport: &'a str,
    /// The tone it plays, in Hz.
    pub tone: f64,
    /// Answer by itself.
    pub auto: bool,
    /// Whether it registers, and how that is to go.
    pub registration: Registration,
    /// Further lines of its configuration, before it knows its account: mwi.so subscribes without end when the phone is
    /// registered within a millisecond of that module's start.
    pub config: &'a str,
    /// Further parameters of its account.
    pub account: &'a str,
    /// The lines of its address book.
    pub contacts: &'a str,
}

impl<'a> Phone<'a> {
    pub fn new(user: &'a str, switch: SocketAddr, tone: f64) -> Phone<'a> {
        Phone {
            user,
            password: PASSWORD,
            switch,
            transport: "udp",
            tone,
            auto: false,
            registration: Registration::Good,
            config: "",
            account: "",
            contacts: "",
        }
    }

    pub fn tcp(self) -> Phone<'a> {
        Phone { transport: "tcp", ..self }
    }

    pub fn auto(self) -> Phone<'a> {
        Phone { auto: true, ..self }
    }

    pub fn start(self) -> Baresip {
        Baresip::start(&self)
    }
}

pub struct Baresip {
    pub process: Process,
    control: TcpStream,
    events: Inbox<Event>,
    cursor: usize,
    switch: SocketAddr,
    dir: Dir,
    pub sip_port: u16,
}

impl Baresip {
    fn start(phone: &Phone<'_>) -> Baresip {
        let dir = Dir::new(&format!("baresip-{}", phone.user));
        let (sip_port, control_port) = (free_port(), free_port());
        Wav::sine(phone.tone, 120.0).write(dir.path().join("tone.wav"));
        let config = format!(
            "poll_method epoll\nsip_listen 127.0.0.1:{sip_port}\nnet_interface 127.0.0.1\n\
             audio_source aufile,{tone}\naudio_alert aufile,{none}\naudio_channels 1-1\nausrc_srate 8000\n\
             rtp_ports 16000-18998\nmodule_path {modules}\nmodule g711.so\nmodule aufile.so\n\
             module sndfile.so\nsnd_path {dir}\nmodule ctrl_tcp.so\n{more}\nmodule_app account.so\n\
             module_app menu.so\nctrl_tcp_listen 127.0.0.1:{control_port}\n",
            tone = dir.file("tone.wav"),
            none = dir.file("none.wav"),
            modules = modules(),
            dir = dir.path().display(),
            more = phone.config,
        );
        dir.write("config", &config);
        let answer = if phone.auto { "auto" } else { "manual" };
        let interval = if phone.registration == Registration::None { 0 } else { 60 };
        dir.write(
            "accounts",
            &format!(
                "<sip:{}@{};transport={}>;auth_pass={};regint={interval};answermode={answer}{}\n",
                phone.user, phone.switch, phone.transport, phone.password, phone.account
            ),
        );
        dir.write("contacts", phone.contacts);
        let mut command = Command::new("baresip");
        command.arg("-f").arg(dir.path()).arg("-s");
        let mut process = Process::spawn(&format!("baresip {}", phone.user), &mut command);
        process.expect("baresip is ready", |line| line.contains("baresip is ready"));
        let control = connect(control_port);
        let events = Inbox::new();
        let (reader, sink) = (control.try_clone().expect("the control connection"), events.clone());
        std::thread::spawn(move || read_events(reader, &sink));
        let mut baresip =
            Baresip { process, control, events, cursor: 0, switch: phone.switch, dir, sip_port };
        // told by its log and not by its events, which may have come before the control connection did
        match phone.registration {
            Registration::None => {}
            Registration::Good => baresip.expect_log("200 OK", "binding"),
            Registration::Refused => baresip.expect_log("403", "reg:"),
        }
        baresip
    }

    /// Waits for a line of its log with both words, wherever it stands.
    pub fn expect_log(&mut self, one: &str, two: &str) {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if self.process.log().iter().any(|l| l.contains(one) && l.contains(two)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("baresip tells nothing of {one} {two}");
    }

    /// A long command such as `dial`, `accept`, `hangup`, `hold`, `resume`, `sndcode`.
    pub fn command(&mut self, name: &str, parameter: &str) {
        let text = format!("{{\"command\":\"{name}\",\"params\":\"{parameter}\",\"token\":\"t\"}}");
        write!(self.control, "{}:{text},", text.len()).expect("the control connection");
    }

    /// Calls a number at the switch.
    pub fn dial(&mut self, number: &str) {
        let uri = format!("sip:{number}@{}", self.switch);
        self.command("dial", &uri);
    }

    /// Waits for an event after those already waited for.
    pub fn event(&mut self, kind: &str) -> Event {
        match self.events.wait(&mut self.cursor, PATIENCE, |e| e.kind == kind) {
            Some(event) => event,
            None => panic!("baresip tells no {kind}; it told {:?}", self.kinds()),
        }
    }

    /// The next event, whatever it is.
    pub fn next_event(&mut self, within: Duration) -> Option<Event> {
        self.events.wait(&mut self.cursor, within, |_| true)
    }

    /// Waits for an event with a limit of its own.
    pub fn event_within(&mut self, kind: &str, within: Duration) -> Option<Event> {
        self.events.wait(&mut self.cursor, within, |e| e.kind == kind)
    }

    /// The events so far, for messages.
    pub fn kinds(&self) -> Vec<String> {
        self.events.all().iter().map(|e| format!("{} {}", e.kind, e.param)).collect()
    }

    /// Bits per second it receives just now, as it counts them itself every few seconds.
    pub fn rate_received(&self) -> u32 {
        let log = self.process.log();
        let line = log.iter().rev().find_map(|l| l.rsplit_once("audio=").map(|(_, r)| r));
        let rate = line.and_then(|l| l.split_once('/')).and_then(|(_, r)| r.split_once(' '));
        rate.and_then(|(r, _)| r.trim().parse().ok()).unwrap_or(0)
    }

    /// What it heard in its last call, up to its first hold: there its recorder stops.
    pub fn heard(&self) -> Wav {
        let mut files: Vec<_> = std::fs::read_dir(self.dir.path())
            .expect("its directory")
            .flatten()
            .map(|e| e.path())
            .filter(|p| p.to_string_lossy().ends_with("-dec.wav"))
            .collect();
        files.sort();
        Wav::read(files.last().expect("baresip recorded a call"))
    }
}

fn connect(port: u16) -> TcpStream {
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        if let Ok(stream) = TcpStream::connect(("127.0.0.1", port)) {
            return stream;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("baresip's control port {port} is closed");
}

/// Netstrings of JSON objects with text values only.
fn read_events(mut stream: TcpStream, sink: &Inbox<Event>) {
    let (mut buffer, mut rest) = ([0u8; 4096], Vec::<u8>::new());
    loop {
        while let Some((text, used)) = netstring(&rest) {
            if let Some(kind) = field(&text, "type") {
                sink.push(Event { kind, param: field(&text, "param").unwrap_or_default() });
            }
            rest.drain(..used);
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(n) => rest.extend_from_slice(buffer.get(..n).unwrap_or(&[])),
        }
    }
}

fn netstring(bytes: &[u8]) -> Option<(String, usize)> {
    let colon = bytes.iter().position(|b| *b == b':')?;
    let size: usize = std::str::from_utf8(bytes.get(..colon)?).ok()?.parse().ok()?;
    let body = bytes.get(colon + 1..colon + 1 + size)?;
    bytes.get(colon + 1 + size)?;
    Some((String::from_utf8_lossy(body).into_owned(), colon + size + 2))
}

fn field(json: &str, name: &str) -> Option<String> {
    let (_, rest) = json.split_once(&format!("\"{name}\":\""))?;
    rest.split_once('"').map(|(value, _)| value.to_owned())
}

fn modules() -> &'static str {
    ["/usr/lib/baresip/modules", "/usr/local/lib/baresip/modules", "/usr/lib64/baresip/modules"]
        .into_iter()
        .find(|d| std::path::Path::new(d).is_dir())
        .unwrap_or("/usr/lib/baresip/modules")
}
