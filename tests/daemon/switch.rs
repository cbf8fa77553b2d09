//! The switch under test: the real binary with the shipped `conf/`, on an address of its own.
//!
//! `TANDEM_SUBJECT=127.70.0.2:5060` aims the tests at another server instead, that runs already and has the
//! same users and numbers; what is read from tandem's own log is then taken as said.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::place::{Dir, Lease};
use crate::process::{PATIENCE, Process};

/// The password of users 1000–1019 in these tests.
pub const PASSWORD: &str = "tandem-test";

pub struct Switch {
    /// None when the tests are aimed at another server.
    pub process: Option<Process>,
    at: SocketAddr,
    _lease: Lease,
    dir: Dir,
    arguments: Vec<String>,
}

/// What differs from the shipped configuration.
#[derive(Default)]
pub struct Setup {
    /// `--set name=value`.
    pub set: Vec<(&'static str, String)>,
    /// An extension put first in the context `default` of the copied tree.
    pub extension: &'static str,
    /// Give no passwords, as on a first run.
    pub first_run: bool,
    /// Parameters of the profile `internal`, in place of the shipped ones.
    pub params: &'static [(&'static str, &'static str)],
    /// Another tree than the shipped one; it is copied too.
    pub tree: Option<PathBuf>,
    /// Texts replaced in a file of the copied tree: path, from, to.
    pub edits: &'static [(&'static str, &'static str, &'static str)],
}

impl Switch {
    pub fn start() -> Switch {
        Switch::start_with(Setup::default())
    }

    pub fn start_with(setup: Setup) -> Switch {
        let (lease, dir) = (Lease::new(), Dir::new("switch"));
        if let Ok(subject) = std::env::var("TANDEM_SUBJECT") {
            let at = subject.parse().expect("TANDEM_SUBJECT=address:port");
            return Switch { process: None, at, _lease: lease, dir, arguments: Vec::new() };
        }
        let conf = dir.path().join("conf");
        let shipped = || Path::new(env!("CARGO_MANIFEST_DIR")).join("conf");
        copy(&setup.tree.clone().unwrap_or_else(shipped), &conf);
        if !setup.extension.is_empty() {
            let (path, head) = (conf.join("dialplan/default.xml"), "<context name=\"default\">");
            let text = std::fs::read_to_string(&path).expect("the dialplan");
            assert!(text.contains(head), "the dialplan has a context default");
            std::fs::write(&path, text.replacen(head, &format!("{head}\n{}", setup.extension), 1))
                .expect("to write the dialplan");
        }
        if !setup.params.is_empty() {
            let path = conf.join("sip_profiles/internal.xml");
            let text = std::fs::read_to_string(&path).expect("the profile");
            let named = |l: &&str| !setup.params.iter().any(|p| l.contains(&format!("name=\"{}\"", p.0)));
            let kept: Vec<&str> = text.lines().filter(named).collect();
            let new: String = setup
                .params
                .iter()
                .map(|p| format!("<param name=\"{}\" value=\"{}\"/>\n", p.0, p.1))
                .collect();
            let text = kept.join("\n").replace("</settings>", &format!("{new}</settings>"));
            std::fs::write(&path, text).expect("to write the profile");
        }
        for (path, from, to) in setup.edits {
            let text = std::fs::read_to_string(conf.join(path)).expect("a file of conf");
            assert!(text.contains(from), "{path} has {from}");
            std::fs::write(conf.join(path), text.replace(from, to)).expect("to write into conf");
        }
        let mut arguments = vec!["run".to_owned(), "--conf".to_owned(), conf.to_string_lossy().into_owned()];
        for part in ["log", "db"] {
            arguments.extend([format!("--{part}"), dir.path().join(part).to_string_lossy().into_owned()]);
        }
        // for a closer look at one test: TANDEM_LOG=debug cargo nextest run --test daemon NAME
        if let Ok(level) = std::env::var("TANDEM_LOG") {
            arguments.extend(["--log-level".to_owned(), level]);
        }
        let ip = lease.ip.to_string();
        let mut set = vec![
            ("local_ip_v4", ip.clone()),
            ("domain", ip.clone()),
            ("external_rtp_ip", ip.clone()),
            ("external_sip_ip", ip.clone()),
            ("event_socket_ip", ip),
            ("default_password", PASSWORD.to_owned()),
            ("event_socket_password", PASSWORD.to_owned()),
            ("rtp_start_port", "20000".to_owned()),
            ("rtp_end_port", "20999".to_owned()),
        ];
        set.retain(|(name, _)| !(setup.first_run && name.ends_with("password")));
        set.extend(setup.set);
        for (name, value) in set {
            arguments.extend(["--set".to_owned(), format!("{name}={value}")]);
        }
        let at = SocketAddr::new(lease.ip, 5060);
        let mut switch = Switch { process: None, at, _lease: lease, dir, arguments };
        switch.begin();
        switch
    }

    fn begin(&mut self) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tandem"));
        self.process = Some(Process::spawn("tandem", command.args(&self.arguments)));
        self.wait_ready();
    }

    /// Killed, and begun again after a while: it knows nobody any more.
    pub fn restart_after(&mut self, pause: Duration) {
        self.process.as_mut().expect("a switch of ours").kill();
        std::thread::sleep(pause);
        self.begin();
    }

    pub fn ip(&self) -> IpAddr {
        self.at.ip()
    }

    /// Where phones register: the internal profile.
    pub fn sip(&self) -> SocketAddr {
        self.at
    }

    /// The copy of `conf/` it runs with.
    pub fn conf(&self) -> std::path::PathBuf {
        self.dir.path().join("conf")
    }

    /// What a command answers, run by `tandem cli -x`.
    pub fn api(&self, line: &str) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tandem"));
        let ip = self.ip().to_string();
        command.args(["cli", "-H", &ip, "-p", PASSWORD, "-t", "10000", "-x", line]);
        let output = command.env("HOME", self.dir.path()).output().expect("tandem starts");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Its log folder.
    pub fn log_dir(&self) -> std::path::PathBuf {
        self.dir.path().join("log")
    }

    /// What it has logged so far.
    pub fn log(&self) -> Vec<String> {
        self.process.as_ref().map(Process::log).unwrap_or_default()
    }

    /// Ready when it answers an OPTIONS, as a phone would see it.
    fn wait_ready(&mut self) {
        let at = self.sip();
        wait_for_sip(at, || {
            if let Some(status) = self.process.as_mut().and_then(Process::has_ended) {
                panic!("tandem ended at start: {status}");
            }
        });
    }

    /// Waits for a log line that holds all of these words.
    pub fn expect_log(&mut self, words: &[&str]) -> String {
        let what = words.join(" … ");
        match &mut self.process {
            Some(process) => process.expect(&what, |line| words.iter().all(|w| line.contains(w))),
            None => what,
        }
    }
}

/// Waits until something at `at` answers an OPTIONS; `look` is asked before each try.
pub fn wait_for_sip(at: SocketAddr, mut look: impl FnMut()) {
    let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("a socket");
    socket.set_read_timeout(Some(Duration::from_millis(200))).expect("a timeout");
    let local = socket.local_addr().expect("its address");
    let (until, mut n) = (Instant::now() + PATIENCE, 0);
    while Instant::now() < until {
        look();
        n += 1;
        let ask = format!(
            "OPTIONS sip:{at} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bKready{n};rport\r\n\
             Max-Forwards: 70\r\nFrom: <sip:ready@{local}>;tag=r{n}\r\nTo: <sip:{at}>\r\n\
             Call-ID: ready-{n}-{local}\r\nCSeq: {n} OPTIONS\r\nContent-Length: 0\r\n\r\n",
        );
        let _ = socket.send_to(ask.as_bytes(), at);
        if socket.recv_from(&mut [0; 2048]).is_ok() {
            return;
        }
    }
    panic!("nothing answers OPTIONS at {at}");
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory");
    for entry in std::fs::read_dir(from).expect("conf/ is shipped").flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else if entry.file_name() != "secrets.xml" {
            std::fs::copy(entry.path(), target).expect("to copy conf/");
        }
    }
}
