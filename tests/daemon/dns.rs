//! dnsmasq as the only name server of a test: it knows what it is told and asks nobody.

use std::net::IpAddr;
use std::process::Command;

use crate::place::Dir;
use crate::process::Process;

pub struct NameServer {
    process: Process,
    /// As `dns-servers` takes it.
    pub at: String,
    _dir: Dir,
}

impl NameServer {
    /// At port 5353 of an address the test has leased; `records` are options of dnsmasq without their dashes.
    pub fn start(ip: IpAddr, records: &[String]) -> NameServer {
        let dir = Dir::new("names");
        let mut dns = Command::new("dnsmasq");
        dns.args(["--keep-in-foreground", "--no-hosts", "--no-resolv", "--conf-file=/dev/null"]);
        dns.args(["--log-queries", "--log-facility=-", "--bind-interfaces", "--port=5353", "--user=root"]);
        dns.arg(format!("--pid-file={}", dir.file("dnsmasq.pid")));
        dns.arg(format!("--listen-address={ip}"));
        dns.args(records.iter().map(|record| format!("--{record}")));
        let mut process = Process::spawn("dnsmasq", &mut dns);
        process.expect("dnsmasq to start", |line| line.contains("started"));
        NameServer { process, at: format!("{ip}:5353"), _dir: dir }
    }

    /// What it was asked.
    pub fn asked(&self) -> Vec<String> {
        self.process.log().into_iter().filter(|line| line.contains("query[")).collect()
    }
}
