//! SIPp with scenarios of our own from `tests/daemon/sipp/`.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::place::{Dir, free_port};
use crate::process::Process;
use crate::switch::PASSWORD;

/// A run of one scenario.
pub struct Sipp {
    pub process: Process,
    name: String,
    dir: Dir,
}

/// How to run it.
pub struct Scenario<'a> {
    /// File name without `.xml`.
    pub name: &'a str,
    /// Texts to put in place of `__NAME__`.
    pub fill: &'a [(&'a str, &'a str)],
    pub switch: SocketAddr,
    /// The user it authenticates as.
    pub user: &'a str,
    /// The number it calls (`[service]`).
    pub number: &'a str,
    pub tcp: bool,
    /// Local SIP port, 0 for any.
    pub port: u16,
    /// Calls to make or take.
    pub calls: u32,
    /// Calls begun in a second.
    pub rate: u32,
}

impl<'a> Scenario<'a> {
    pub fn new(name: &'a str, switch: SocketAddr, user: &'a str) -> Scenario<'a> {
        Scenario { name, fill: &[], switch, user, number: "", tcp: false, port: 0, calls: 1, rate: 10 }
    }

    pub fn calling(self, number: &'a str) -> Scenario<'a> {
        Scenario { number, ..self }
    }

    pub fn fill(self, fill: &'a [(&'a str, &'a str)]) -> Scenario<'a> {
        Scenario { fill, ..self }
    }

    /// So many calls, ten a second.
    pub fn calls(self, calls: u32) -> Scenario<'a> {
        Scenario { calls, ..self }
    }

    /// So many a second.
    pub fn at_rate(self, rate: u32) -> Scenario<'a> {
        Scenario { rate, ..self }
    }

    pub fn on_port(self, port: u16) -> Scenario<'a> {
        Scenario { port, ..self }
    }

    pub fn tcp(self) -> Scenario<'a> {
        Scenario { tcp: true, ..self }
    }

    /// Starts it in the background.
    pub fn start(self) -> Sipp {
        let dir = Dir::new(&format!("sipp-{}", self.name));
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/daemon/sipp/{}.xml", self.name));
        let mut text = std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        let fixed = [("USER", self.user), ("PASSWORD", PASSWORD)];
        for (name, value) in self.fill.iter().chain(&fixed) {
            text = text.replace(&format!("__{name}__"), value);
        }
        assert!(!text.contains("__"), "{}: something was not filled in", self.name);
        dir.write("scenario.xml", &text);
        let port = if self.port == 0 { free_port() } else { self.port };
        let mut command = Command::new("sipp");
        command.current_dir(dir.path()).arg(self.switch.to_string());
        command.args(["-sf", "scenario.xml", "-i", "127.0.0.1", "-p", &port.to_string()]);
        command.args(["-mi", "127.0.0.1", "-mp", &free_port().to_string(), "-rtp_echo"]);
        command.args([
            "-m",
            &self.calls.to_string(),
            "-r",
            &self.rate.to_string(),
            "-s",
            self.number,
            "-nostdin",
        ]);
        command.args(["-t", if self.tcp { "t1" } else { "u1" }]);
        command.args(["-trace_err", "-error_file", "errors", "-trace_msg", "-message_file", "messages"]);
        command.args(["-timeout", "60s", "-timeout_error"]);
        let process = Process::spawn(&format!("sipp {}", self.name), &mut command);
        Sipp { process, name: self.name.to_owned(), dir }
    }

    /// Runs it to its end, which must be good.
    #[track_caller]
    pub fn run(self) {
        self.start().finish();
    }
}

impl Sipp {
    /// Waits for the end; every call must have gone as the scenario says.
    #[track_caller]
    pub fn finish(&mut self) {
        let status = self.process.wait_end(Duration::from_secs(70));
        if !status.is_some_and(|s| s.success()) {
            panic!(
                "SIPp {} ended with {status:?}\n{}\n{}",
                self.name,
                self.file("errors"),
                self.file("messages")
            );
        }
    }

    /// One of its trace files.
    pub fn file(&self, name: &str) -> String {
        std::fs::read(self.dir.path().join(name))
            .map(|b| String::from_utf8_lossy(&b).into_owned())
            .unwrap_or_default()
    }
}
