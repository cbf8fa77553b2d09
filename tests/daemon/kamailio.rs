//! Kamailio as a carrier, by `kamailio.cfg`.

use std::net::{IpAddr, SocketAddr};
use std::process::Command;
use std::time::Duration;

use crate::place::{Dir, Lease};
use crate::process::Process;
use crate::switch::{PASSWORD, wait_for_sip};

pub struct Kamailio {
    process: Process,
    at: SocketAddr,
    dir: Dir,
    _lease: Lease,
}

impl Kamailio {
    /// At port 5060 of an address of its own.
    pub fn start() -> Kamailio {
        let (lease, dir) = (Lease::new(), Dir::new("kamailio"));
        let at = SocketAddr::new(lease.ip, 5060);
        let text = include_str!("kamailio.cfg").replace("__PASSWORD__", PASSWORD);
        dir.write("kamailio.cfg", &text.replace("__AT__", &at.to_string()));
        let process = begin(&dir, at);
        Kamailio { process, at, dir, _lease: lease }
    }

    pub fn ip(&self) -> IpAddr {
        self.at.ip()
    }

    /// Where its customers register.
    pub fn sip(&self) -> SocketAddr {
        self.at
    }

    /// Gone at once: its customers get no word, and it forgets them.
    pub fn stop(&mut self) {
        // Its parts are processes of their own; it takes them along only when it is asked to go.
        if self.process.has_ended().is_none() {
            self.process.signal("TERM");
            assert!(self.process.wait_end(Duration::from_secs(10)).is_some(), "kamailio does not end");
        }
    }

    pub fn restart(&mut self) {
        self.stop();
        self.process = begin(&self.dir, self.at);
    }

    /// Waits for a request it saw: `INVITE sip:1001@…`.
    pub fn expect(&mut self, start: &str) -> String {
        self.process.expect(start, |line| line.contains(start))
    }
}

fn begin(dir: &Dir, at: SocketAddr) -> Process {
    let mut command = Command::new("kamailio");
    command.args(["-DD", "-E", "-m", "32", "-M", "4"]);
    command.args(["-f", &dir.file("kamailio.cfg"), "-Y", &dir.file(""), "-P", &dir.file("pid")]);
    let mut process = Process::spawn("kamailio", &mut command);
    wait_for_sip(at, || {
        if let Some(status) = process.has_ended() {
            panic!("kamailio ended at start: {status}: {:?}", process.log());
        }
    });
    process
}

impl Drop for Kamailio {
    fn drop(&mut self) {
        if self.process.has_ended().is_none() {
            self.process.signal("TERM");
            let _ = self.process.wait_end(Duration::from_secs(10));
        }
    }
}
