//! pjsua without a sound card: PJSIP's own phone as a Python module, driven by `pjsua/phone.py` line by line.
//!
//! `tests/run` fetches the module into `target/peers/pjsua`. It exists prebuilt for some Pythons and machines only; where
//! it does not, or under a plain `cargo test`, its tests are a named skip.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::place::{Dir, free_port};
use crate::process::Process;
use crate::switch::PASSWORD;
use crate::wav::Wav;

pub struct Pjsua {
    pub process: Process,
    switch: SocketAddr,
    dir: Dir,
}

fn module() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers/pjsua")
}

/// Is it here? If not, the test's own skip.
pub fn have() -> bool {
    let found = module().join("pjsua2").is_dir();
    if !found {
        eprintln!(
            "SKIPPED: pjsua2 is not in target/peers/pjsua (tests/run fetches it where it exists prebuilt)"
        );
    }
    found
}

impl Pjsua {
    /// Starts it with an account and waits until it is registered.
    pub fn start(user: &str, switch: SocketAddr, transport: &str, tone: f64) -> Pjsua {
        let dir = Dir::new(&format!("pjsua-{user}"));
        Wav::sine(tone, 120.0).write(dir.path().join("tone.wav"));
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/daemon/pjsua/phone.py");
        let mut command = Command::new("python3");
        command.env("PYTHONPATH", module()).env("PYTHONDONTWRITEBYTECODE", "1").arg(script);
        command.args([user, PASSWORD, &switch.to_string(), transport, &free_port().to_string()]);
        command.args([&dir.file("tone.wav"), &dir.path().to_string_lossy().into_owned()]);
        let process = Process::spawn(&format!("pjsua {user}"), &mut command);
        let mut phone = Pjsua { process, switch, dir };
        phone.expect("READY");
        phone.expect("REGISTRATION 200");
        phone
    }

    /// Calls a number at the switch.
    pub fn call(&mut self, number: &str) {
        let line = format!("call sip:{number}@{}", self.switch.ip());
        self.process.type_line(&line);
    }

    /// `answer N`, `hangup N`, `hold N`, `resume N`, `transfer N URI`, `attended N M`, `digits N 12`, `info N 12`; calls
    /// are numbered from 0.
    pub fn type_line(&mut self, line: &str) {
        self.process.type_line(line);
    }

    /// Sends the other side of a call to a number of the switch.
    pub fn transfer(&mut self, call: u32, number: &str) {
        let line = format!("transfer {call} sip:{number}@{}", self.switch.ip());
        self.process.type_line(&line);
    }

    /// Waits for a line that begins so, after the one found last: `INCOMING 0`, `CALL 0 CONFIRMED`, `TRANSFER 0 200` …
    #[track_caller]
    pub fn expect(&mut self, start: &str) -> String {
        self.process.expect(start, |line| line.starts_with(start))
    }

    /// What it heard in a call that is over.
    pub fn heard(&self, call: u32) -> Wav {
        Wav::read(self.dir.path().join(format!("heard-{call}.wav")))
    }

    /// Its own log, messages included.
    pub fn trace(&self) -> String {
        let log = std::fs::read(self.dir.path().join("log")).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }
}

impl Drop for Pjsua {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let trace = self.trace();
            let from = trace.len().saturating_sub(12_000);
            eprintln!("──── pjsua's log\n{}", trace.get(from..).unwrap_or(&trace));
        }
    }
}
