//! The command line.

mod run;

pub use run::run;

use crate::calls::{self, Ends, Engine, Plan};
use crate::identity::Identities;
use crate::measure::{self, Clock};
use crate::reflect::{self, Reflector};
use crate::search::{Search, Step, search};
use crate::{registrations, rtp, tandem};
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::process::ExitCode;

/// A load generator for SIP servers. It never sleeps: give it a core of its own.
#[derive(Parser)]
#[command(name = "load", bin_name = "cargo bench --bench load --")]
pub struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Calls through the server to a callee that the generator plays too
    Calls(Calls),
    /// Only the callee, for calls that somebody else makes
    Callee(Callee),
    /// Registrations with digest, of many users
    Registrations(Register),
    /// RTP through calls set up by the server: loss, order, and delay of every packet, both ways
    Rtp(Rtp),
    /// tandem itself: starts it with a configuration of its own and measures every row of the README's table
    Tandem(Tandem),
}

/// What every load has in common.
#[derive(Args, Clone)]
pub struct Common {
    /// The server, as address:port
    #[arg(long, default_value = "127.0.0.1:5060")]
    pub server: String,
    /// The domain of URIs; the server's address without it
    #[arg(long)]
    pub domain: Option<String>,
    /// Our own address; found out without it
    #[arg(long)]
    pub ip: Option<IpAddr>,
    /// The server's process: its CPU time, memory and context switches are measured
    #[arg(long)]
    pub pid: Option<u32>,
    /// The CPU the generator stays on
    #[arg(long)]
    pub pin: Option<usize>,
    /// One line of JSON instead of text
    #[arg(long)]
    pub json: bool,
    /// Instead of a server a thread that only hands on what it gets: what the generator itself can do at most
    #[arg(long = "self")]
    pub itself: bool,
    /// The CPU of that thread
    #[arg(long, requires = "itself")]
    pub self_pin: Option<usize>,
    /// The share of datagrams to lose on purpose, both ways (0.01 is one in a hundred)
    #[arg(long, default_value_t = 0.0)]
    pub drop: f64,
}

/// How the greatest rate is found.
#[derive(Args, Clone)]
struct Greatest {
    /// Find the greatest rate at which fewer than one in a thousand fail, from --rate on
    #[arg(long)]
    search: bool,
    /// How long each step of the search lasts, in seconds
    #[arg(long, default_value_t = 3.0)]
    step: f64,
    /// How often the found rate is run; the medians are told
    #[arg(long, default_value_t = 3)]
    runs: usize,
}

impl Greatest {
    /// Searches and tells.
    fn find(
        &self,
        json: bool,
        from: f64,
        run: impl FnMut(f64, f64) -> Result<Step, String>,
    ) -> Result<ExitCode, String> {
        if !(self.step >= 0.1 && self.step <= 600.0) || self.runs == 0 || self.runs > 100 {
            return Err("--step: from 0.1 to 600; --runs: from 1 to 100".to_owned());
        }
        let wanted = Search { from, seconds: self.step, runs: self.runs, share: 0.001 };
        let found = search(wanted, run, |what, step| {
            if !json {
                println!("{what:>8} {}", step.line());
            }
        })?;
        if json {
            println!("{}", found.json());
        } else {
            println!("greatest {}", found.line());
        }
        Ok(ExitCode::SUCCESS)
    }
}

#[derive(Args, Clone)]
struct Tandem {
    /// The binary; the one cargo has just built without it
    #[arg(long)]
    binary: Option<PathBuf>,
    /// The rows, of start, calls, digest, registrations, rtp, memory, growth, events
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "start,calls,digest,registrations,rtp,memory,growth,events"
    )]
    rows: Vec<String>,
    /// The port of its profile on 127.0.0.1; the callee takes the next but one
    #[arg(long, default_value_t = 15060)]
    port: u16,
    /// The CPU of tandem
    #[arg(long, default_value_t = 0)]
    server_cpu: usize,
    /// The CPU of the generator
    #[arg(long, default_value_t = 1)]
    pin: usize,
    /// Users in the directory for registrations and the start
    #[arg(long, default_value_t = 100_000)]
    users: u64,
    /// Runs whose median is told
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// How long each step lasts, in seconds
    #[arg(long, default_value_t = 3.0)]
    step: f64,
    /// Calls per second where the cost of one is measured; five times as many registrations
    #[arg(long, default_value_t = 1000.0)]
    rate: f64,
    /// The numbers of calls with RTP
    #[arg(long, value_delimiter = ',', default_value = "100,500,1000,1500")]
    rtp_calls: Vec<u64>,
    /// Calls at once for memory and growth (each takes four sockets of tandem: mind ulimit -n)
    #[arg(long, default_value_t = 4000)]
    many: u64,
    /// Clients of the event socket that want every event, for the row events
    #[arg(long, default_value_t = 500)]
    listeners: usize,
    /// The CPU they read on; tandem's own without it
    #[arg(long)]
    listener_cpu: Option<usize>,
    /// A configuration of your own, whose start is measured too
    #[arg(long)]
    conf: Option<PathBuf>,
    /// Find the greatest rates too; takes some minutes
    #[arg(long)]
    search: bool,
    /// JSON lines instead of text
    #[arg(long)]
    json: bool,
}

impl Tandem {
    fn plan(&self) -> Result<tandem::Plan, String> {
        amount(self.rate, Some(1))?;
        if !(self.step >= 0.1 && self.step <= 600.0) || self.runs == 0 || self.runs > 100 {
            return Err("--step: from 0.1 to 600; --runs: from 1 to 100".to_owned());
        }
        if self.users == 0 || self.users > 2_000_000 || self.many == 0 || self.many > 100_000 {
            return Err("--users: from 1 to 2000000; --many: from 1 to 100000".to_owned());
        }
        let built = option_env!("CARGO_BIN_EXE_tandem").map(PathBuf::from);
        Ok(tandem::Plan {
            binary: self.binary.clone().or(built).ok_or("--binary: which tandem?")?,
            rows: self.rows.clone(),
            port: self.port,
            cpus: [self.server_cpu, self.pin],
            users: self.users,
            runs: self.runs,
            seconds: self.step,
            rate: self.rate,
            rtp: self.rtp_calls.clone(),
            many: self.many,
            listeners: (self.listeners, self.listener_cpu.unwrap_or(self.server_cpu)),
            conf: self.conf.clone(),
            search: self.search,
            json: self.json,
        })
    }
}

/// Who calls or registers.
#[derive(Args, Clone)]
pub struct Who {
    /// One user
    #[arg(long)]
    pub user: Option<String>,
    /// The first of a row of numbered users
    #[arg(long, default_value_t = 1000)]
    pub first: u64,
    /// How many numbered users there are
    #[arg(long, default_value_t = 1)]
    pub users: u64,
    /// A file of lines `user;password` instead (SIPp's injection file will do)
    #[arg(long)]
    pub csv: Option<PathBuf>,
    /// Their password, for digest; `{}` in it stands for the user, `{i}` for its place in the row
    #[arg(long, visible_alias = "digest", default_value = "")]
    pub password: String,
}

#[derive(Clone, Copy, ValueEnum)]
enum Side {
    Caller,
    Callee,
}

#[derive(Args, Clone)]
struct Calls {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    who: Who,
    #[command(flatten)]
    greatest: Greatest,
    /// Calls per second
    #[arg(long, default_value_t = 100.0)]
    rate: f64,
    /// How many calls; ten seconds' worth without it
    #[arg(long)]
    count: Option<u64>,
    /// How long an answered call lasts, in milliseconds
    #[arg(long, default_value_t = 0)]
    hold: u64,
    /// How many calls are to be there at once: a hold of this many divided by the rate
    #[arg(long, conflicts_with = "hold")]
    concurrent: Option<u64>,
    /// How long the callee rings, in milliseconds
    #[arg(long, default_value_t = 0)]
    ring: u64,
    /// Who hangs up
    #[arg(long, value_enum, default_value = "caller")]
    bye: Side,
    /// What is dialled; `{}` stands for a number of seven digits, by which the callee knows the call
    #[arg(long, default_value = "77{}")]
    dial: String,
    /// The caller's port
    #[arg(long, default_value_t = 0)]
    caller_port: u16,
    /// The callee's port, to which the server must send what is dialled; 0 when somebody else answers
    #[arg(long, default_value_t = 7000)]
    callee_port: u16,
    /// The longest wait for a final answer, in seconds
    #[arg(long, default_value_t = 32)]
    limit: u64,
    /// Calls at once at most
    #[arg(long, default_value_t = 200_000)]
    most: usize,
    /// Calls of their own beside the load, held to its end and asked every second whether they live
    #[arg(long, default_value_t = 0)]
    also: u64,
}

#[derive(Args, Clone)]
struct Callee {
    /// Our own address
    #[arg(long, default_value = "127.0.0.1")]
    ip: IpAddr,
    /// The port
    #[arg(long, default_value_t = 7000)]
    port: u16,
    /// For how long, in seconds
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// How long the callee rings, in milliseconds
    #[arg(long, default_value_t = 0)]
    ring: u64,
    /// Hang up this many milliseconds after the answer, instead of waiting for the caller's BYE
    #[arg(long)]
    hold: Option<u64>,
    /// The CPU it stays on
    #[arg(long)]
    pin: Option<usize>,
    /// The share of datagrams to lose on purpose, both ways
    #[arg(long, default_value_t = 0.0)]
    drop: f64,
}

impl Callee {
    fn plan(&self) -> Plan {
        Plan {
            server: SocketAddr::new(self.ip, self.port),
            caller: SocketAddr::new(self.ip, 0),
            callee: Some(SocketAddr::new(self.ip, self.port)),
            ports: [vec![20000], (30000..40000).step_by(2).collect()],
            identities: Identities::one("load", "load", ""),
            dial: String::new(),
            rate: 1.0,
            count: 0,
            hold: self.hold.unwrap_or(0).saturating_mul(1_000_000),
            ring: self.ring.saturating_mul(1_000_000),
            ends: match self.hold {
                Some(_) => Ends::Callee,
                None => Ends::Caller,
            },
            limit: 32_000_000_000,
            most: 200_000,
            loss: self.drop,
            held: 0,
        }
    }
}

#[derive(Args, Clone)]
struct Register {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    who: Who,
    #[command(flatten)]
    greatest: Greatest,
    /// Registrations per second; each is two requests, without and with credentials
    #[arg(long, default_value_t = 1000.0)]
    rate: f64,
    /// How many; ten seconds' worth without it
    #[arg(long)]
    count: Option<u64>,
    /// The lifetime asked for, in seconds; 0 unregisters
    #[arg(long, default_value_t = 3600)]
    expires: u32,
    /// Contacts of each user, one after the other once every user has one
    #[arg(long, default_value_t = 1)]
    contacts: u64,
    /// From a user's second REGISTER on use the nonce it knows, as a phone does that refreshes
    #[arg(long)]
    refresh: bool,
    /// Our port
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// The longest wait for an answer, in seconds
    #[arg(long, default_value_t = 32)]
    limit: u64,
    /// Registrations under way at most
    #[arg(long, default_value_t = 500_000)]
    most: usize,
}

impl Register {
    fn plan(&self) -> Result<registrations::Plan, String> {
        let count = amount(self.rate, self.count)?;
        if self.contacts == 0 || self.contacts > 1000 {
            return Err(format!("--contacts {}: from 1 to 1000", self.contacts));
        }
        if self.limit == 0 || self.limit > 3600 {
            return Err(format!("--limit {}: from 1 to 3600", self.limit));
        }
        if self.most == 0 || self.most > 2_000_000 {
            return Err(format!("--most {}: from 1 to 2000000", self.most));
        }
        let server = self.common.address()?;
        let ip = self.common.own(server)?;
        Ok(registrations::Plan {
            server,
            local: SocketAddr::new(ip, self.port),
            identities: self.who.identities(&self.common.domain(server))?,
            rate: self.rate,
            count,
            expires: self.expires,
            contacts: self.contacts,
            refresh: self.refresh,
            limit: self.limit * 1_000_000_000,
            most: self.most,
            loss: self.common.drop,
        })
    }
}

#[derive(Args, Clone)]
struct Rtp {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    who: Who,
    /// How many calls
    #[arg(long, default_value_t = 100)]
    calls: u64,
    /// For how long packets are counted
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// For how long they flow before that, in seconds
    #[arg(long, default_value_t = 1)]
    warm_up: u64,
    /// Calls set up per second
    #[arg(long, default_value_t = 200.0)]
    rate: f64,
    /// Sockets of each side, which calls share when they are fewer; each call's own costs the generator more
    #[arg(long)]
    rtp_sockets: Option<usize>,
    /// What is dialled; `{}` stands for a number of seven digits, by which the callee knows the call
    #[arg(long, default_value = "77{}")]
    dial: String,
    /// The callee's port, to which the server must send what is dialled
    #[arg(long, default_value_t = 7000)]
    callee_port: u16,
}

impl Rtp {
    fn plan(&self) -> Result<rtp::Plan, String> {
        if self.calls == 0 || self.calls > 20_000 {
            return Err(format!("--calls {}: from 1 to 20000", self.calls));
        }
        if self.seconds == 0 || self.seconds > 3600 || self.warm_up > 600 {
            return Err("--seconds: from 1 to 3600; --warm-up: at most 600".to_owned());
        }
        let sockets = self.rtp_sockets.unwrap_or(self.calls.min(16) as usize);
        if sockets == 0 || sockets > 20_000 {
            return Err(format!("--rtp-sockets {sockets}: from 1 to 20000"));
        }
        if self.callee_port == 0 {
            return Err("--callee-port 0: the generator must be the callee".to_owned());
        }
        let calls = Calls {
            common: self.common.clone(),
            who: self.who.clone(),
            greatest: Greatest { search: false, step: 3.0, runs: 3 },
            rate: self.rate,
            count: Some(self.calls),
            hold: u64::MAX,
            concurrent: None,
            ring: 0,
            bye: Side::Caller,
            dial: self.dial.clone(),
            caller_port: 0,
            callee_port: self.callee_port,
            limit: 32,
            most: self.calls as usize,
            also: 0,
        };
        let mut calls = calls.plan()?;
        calls.hold = u64::MAX;
        Ok(rtp::Plan { ip: calls.caller.ip(), calls, seconds: self.seconds, warm_up: self.warm_up, sockets })
    }
}

/// How many at a rate, both within reason.
fn amount(rate: f64, count: Option<u64>) -> Result<u64, String> {
    if !(rate.is_finite() && rate > 0.0 && rate <= 1e6) {
        return Err(format!("--rate {rate}: above 0, at most 1000000"));
    }
    let count = count.unwrap_or((rate * 10.0).ceil() as u64);
    if count == 0 || count > 1_000_000_000 {
        return Err(format!("--count {count}: from 1 to 1000000000"));
    }
    Ok(count)
}

impl Common {
    /// The server's address.
    pub fn address(&self) -> Result<SocketAddr, String> {
        let wrong = |e: std::io::Error| format!("--server {}: {e}", self.server);
        self.server
            .to_socket_addrs()
            .map_err(wrong)?
            .next()
            .ok_or_else(|| format!("--server {}: no such host", self.server))
    }

    /// The address of this machine that the server is to see.
    pub fn own(&self, server: SocketAddr) -> Result<IpAddr, String> {
        match self.ip {
            Some(ip) => Ok(ip),
            None => crate::net::source_towards(server)
                .map(|at| at.ip())
                .map_err(|e| format!("no way to {server}: {e}")),
        }
    }

    /// Pins the thread and makes sure that somebody listens.
    pub fn prepare(&self, server: SocketAddr) -> Result<(), String> {
        if let Some(cpu) = self.pin {
            measure::pin(cpu)?;
        }
        if !(0.0..1.0).contains(&self.drop) {
            return Err(format!("--drop {}: a share from 0 to below 1", self.drop));
        }
        crate::net::probe(server).map_err(|e| format!("nothing listens at {server} (UDP): {e}"))
    }

    /// The domain of URIs.
    pub fn domain(&self, server: SocketAddr) -> String {
        self.domain.clone().unwrap_or_else(|| match server.ip() {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        })
    }
}

impl Who {
    /// The users.
    pub fn identities(&self, domain: &str) -> Result<Identities, String> {
        if self.users == 0 {
            return Err("--users 0: there must be one".to_owned());
        }
        Ok(match (&self.csv, &self.user) {
            (Some(path), _) => Identities::file(domain, path)?,
            (None, Some(user)) => Identities::one(domain, user, &self.password),
            (None, None) => Identities::numbered(domain, self.first, self.users, &self.password),
        })
    }
}

impl Calls {
    fn plan(&self) -> Result<Plan, String> {
        let count = amount(self.rate, self.count)?;
        if self.most == 0 || self.most > 2_000_000 {
            return Err(format!("--most {}: from 1 to 2000000", self.most));
        }
        if self.limit == 0 || self.limit > 3600 {
            return Err(format!("--limit {}: from 1 to 3600", self.limit));
        }
        if self.dial.len() > 40 || self.dial.contains([' ', '<', '>', '"', '@']) {
            return Err(format!("--dial {}: the user part of a SIP URI, short", self.dial));
        }
        let server = self.common.address()?;
        let ip = self.common.own(server)?;
        let domain = self.common.domain(server);
        let hold = match self.concurrent {
            Some(calls) => (calls as f64 / self.rate * 1e9) as u64,
            None => self.hold.saturating_mul(1_000_000),
        };
        Ok(Plan {
            server,
            caller: SocketAddr::new(ip, self.caller_port),
            callee: (self.callee_port != 0).then(|| SocketAddr::new(ip, self.callee_port)),
            ports: [(20000..30000).step_by(2).collect(), (30000..40000).step_by(2).collect()],
            identities: self.who.identities(&domain)?,
            dial: self.dial.clone(),
            rate: self.rate,
            count,
            hold,
            ring: self.ring.saturating_mul(1_000_000),
            ends: match self.bye {
                Side::Caller => Ends::Caller,
                Side::Callee => Ends::Callee,
            },
            limit: self.limit * 1_000_000_000,
            most: self.most,
            loss: self.common.drop,
            held: self.also,
        })
    }
}
