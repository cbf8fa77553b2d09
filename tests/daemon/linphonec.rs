//! linphonec without a sound card, typed at: it plays a file and records another.

use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::place::{Dir, free_port};
use crate::process::{PATIENCE, Process};
use crate::switch::PASSWORD;
use crate::wav::Wav;

pub struct Linphonec {
    pub process: Process,
    switch: SocketAddr,
    dir: Dir,
}

impl Linphonec {
    /// Starts it with an account and waits until it is registered.
    pub fn start(user: &str, switch: SocketAddr, transport: &str, tone: f64) -> Linphonec {
        let phone = Linphonec::unregistered(user, PASSWORD, switch, transport, tone);
        phone.expect_state("LinphoneRegistrationOk");
        phone
    }

    /// The same by UDP; it sends digits by INFO.
    pub fn by_info(user: &str, switch: SocketAddr, tone: f64) -> Linphonec {
        let more = "[sip]\nuse_info=1\nuse_rfc2833=0\n";
        let phone = Linphonec::begin(user, PASSWORD, switch, "udp", tone, more);
        phone.expect_state("LinphoneRegistrationOk");
        phone
    }

    /// Starts it and does not wait for the registration.
    pub fn unregistered(
        user: &str,
        password: &str,
        switch: SocketAddr,
        transport: &str,
        tone: f64,
    ) -> Linphonec {
        Linphonec::begin(user, password, switch, transport, tone, "")
    }

    /// Starts it with a friend whose presence it watches, and waits until it is registered.
    pub fn watching(user: &str, switch: SocketAddr, transport: &str, tone: f64, friend: &str) -> Linphonec {
        let more =
            format!("[friend_0]\nurl=\"Friend\" <sip:{friend}@{}>\npol=accept\nsubscribe=1\n", switch.ip());
        let phone = Linphonec::begin(user, PASSWORD, switch, transport, tone, &more);
        phone.expect_state("LinphoneRegistrationOk");
        phone
    }

    fn begin(
        user: &str,
        password: &str,
        switch: SocketAddr,
        transport: &str,
        tone: f64,
        more: &str,
    ) -> Linphonec {
        let dir = Dir::new(&format!("linphonec-{user}"));
        let (udp, tcp) = match transport {
            "tcp" => (0, free_port()),
            _ => (free_port(), 0),
        };
        for part in [".local/share/linphone", ".config/linphone"] {
            std::fs::create_dir_all(dir.path().join(part)).expect("its home");
        }
        Wav::sine(tone, 120.0).write(dir.path().join("tone.wav"));
        dir.write(
            "linphonerc",
            &format!(
                "[sip]\nsip_port={udp}\nsip_tcp_port={tcp}\nsip_tls_port=0\nuse_ipv6=0\nipv6_migration_done=1\n\
                 bind_address=127.0.0.1\nguess_hostname=0\ndefault_proxy=0\n\n\
                 [rtp]\naudio_rtp_port={rtp}\nnortp_timeout=120\n\n\
                 [proxy_0]\nreg_proxy=<sip:{switch};transport={transport}>\n\
                 reg_identity=sip:{user}@{host}\nreg_expires=60\nreg_sendregister=1\npublish=0\n\n\
                 [auth_info_0]\nusername={user}\npasswd={password}\nrealm={host}\ndomain={host}\n\n{more}",
                rtp = free_port(),
                host = switch.ip(),
            ),
        );
        let mut command = Command::new("linphonec");
        command
            .args(["-c", &dir.file("linphonerc"), "-d", "3", "-l", &dir.file("log")])
            .env("HOME", dir.path())
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("XDG_DATA_HOME");
        let process = Process::spawn(&format!("linphonec {user}"), &mut command);
        let mut phone = Linphonec { process, switch, dir };
        phone.process.type_line("soundcard use files");
        phone.process.expect("files instead of a sound card", |l| l.contains("Using wav files"));
        let (play, record) = (phone.dir.file("tone.wav"), phone.dir.file("heard.wav"));
        phone.process.type_line(&format!("play {play}"));
        phone.process.type_line(&format!("record {record}"));
        phone
    }

    pub fn call(&mut self, number: &str) {
        let line = format!("call sip:{number}@{}", self.switch.ip());
        self.process.type_line(&line);
    }

    /// `answer`, `terminate`, `pause`, `resume`, a digit …
    pub fn type_line(&mut self, line: &str) {
        self.process.type_line(line);
    }

    /// Waits for a line of its dialogue.
    pub fn expect(&mut self, text: &str) -> String {
        self.process.expect(text, |l| l.contains(text))
    }

    /// Waits until its log tells a state reached: `LinphoneCallEnd`, `LinphoneRegistrationOk` …
    #[track_caller]
    pub fn expect_state(&self, state: &str) {
        let until = Instant::now() + PATIENCE;
        let reached = |l: &str| l.contains("moving from state") && l.contains(&format!("to {state}"));
        while !self.trace().replace(['[', ']'], "").lines().any(reached) {
            assert!(Instant::now() < until, "linphonec does not reach {state}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub fn heard(&self) -> Wav {
        Wav::read(self.dir.path().join("heard.wav"))
    }

    /// Its own log, without the sound system's complaints.
    pub fn trace(&self) -> String {
        let log = std::fs::read(self.dir.path().join("log")).unwrap_or_default();
        let log = String::from_utf8_lossy(&log).into_owned();
        log.lines().filter(|l| !l.contains("alsa")).map(|l| format!("{l}\n")).collect()
    }
}

impl Drop for Linphonec {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let trace = self.trace();
            let from = trace.len().saturating_sub(8000);
            eprintln!("──── linphonec's log\n{}", trace.get(from..).unwrap_or(&trace));
        }
    }
}
