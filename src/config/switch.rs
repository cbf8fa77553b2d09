//! `switch.conf`: the limits and ranges of the whole switch.

use std::net::{IpAddr, SocketAddr};

use super::element::{Element, configuration};
use super::problem::Problem;
use super::suggest::nearest;
use super::value::Value;

/// `loglevel`: FreeSWITCH's levels, 0 (console) to 7 (debug).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// 0
    Console,
    /// 1
    Alert,
    /// 2
    Crit,
    /// 3
    Err,
    /// 4
    Warning,
    /// 5
    Notice,
    /// 6
    Info,
    /// 7
    Debug,
}

/// Words and numbers for [`LogLevel`].
pub const LOG_LEVELS: [(&str, LogLevel); 19] = [
    ("debug", LogLevel::Debug),
    ("info", LogLevel::Info),
    ("notice", LogLevel::Notice),
    ("warning", LogLevel::Warning),
    ("err", LogLevel::Err),
    ("crit", LogLevel::Crit),
    ("alert", LogLevel::Alert),
    ("console", LogLevel::Console),
    ("warn", LogLevel::Warning),
    ("error", LogLevel::Err),
    ("critical", LogLevel::Crit),
    ("0", LogLevel::Console),
    ("1", LogLevel::Alert),
    ("2", LogLevel::Crit),
    ("3", LogLevel::Err),
    ("4", LogLevel::Warning),
    ("5", LogLevel::Notice),
    ("6", LogLevel::Info),
    ("7", LogLevel::Debug),
];

/// The typed view of `switch.conf`, with FreeSWITCH's defaults for what is absent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SwitchConf {
    /// `max-sessions`: legs at a time; beyond it a new INVITE gets 503.
    pub max_sessions: u32,
    /// `sessions-per-second`: new legs per second; beyond it a new INVITE gets 503.
    pub sessions_per_second: u32,
    /// `rtp-start-port`: the first RTP port, even.
    pub rtp_start_port: u16,
    /// `rtp-end-port`: the last port of the range.
    pub rtp_end_port: u16,
    /// `loglevel`.
    pub loglevel: LogLevel,
    /// `switchname`: used for the host name in events and records.
    pub switchname: Option<String>,
    /// `event-heartbeat-interval`, seconds.
    pub event_heartbeat_interval: u32,
    /// `min-dtmf-duration`, samples at 8 kHz.
    pub min_dtmf_duration: u32,
    /// `max-dtmf-duration`, samples at 8 kHz.
    pub max_dtmf_duration: u32,
    /// `default-dtmf-duration`, samples at 8 kHz.
    pub default_dtmf_duration: u32,
    /// `uuid-version`: 4 or 7.
    pub uuid_version: u8,
    /// `mailer-app`.
    pub mailer_app: String,
    /// `mailer-app-args`.
    pub mailer_app_args: String,
    /// `allow-system`: a dialplan may run commands of the machine. Tandem's own, off unless said.
    pub allow_system: bool,
    /// `dns-servers`: asked for SRV, NAPTR and addresses; empty for those of the system. Tandem's own.
    pub dns_servers: Vec<SocketAddr>,
    /// `<default-ptimes>`: codec name and milliseconds.
    pub default_ptimes: Vec<(String, u32)>,
}

impl Default for SwitchConf {
    fn default() -> Self {
        SwitchConf {
            max_sessions: 1000,
            sessions_per_second: 30,
            rtp_start_port: 16384,
            rtp_end_port: 32768,
            loglevel: LogLevel::Debug,
            switchname: None,
            event_heartbeat_interval: 20,
            min_dtmf_duration: 400,
            max_dtmf_duration: 192_000,
            default_dtmf_duration: 2000,
            uuid_version: 4,
            mailer_app: "sendmail".into(),
            mailer_app_args: "-t".into(),
            allow_system: false,
            dns_servers: Vec::new(),
            default_ptimes: Vec::new(),
        }
    }
}

/// Parameters that concern how FreeSWITCH does things inside: they have no meaning here, and nothing is lost.
const MEANINGLESS: &[&str] = &[
    "1ms-timer",
    "api-expansion",
    "auto-clear-sql",
    "auto-create-schemas",
    "auto-restart",
    "caller-profile-soft-lookup-values",
    "caller-profile-soft-variables-uses-prefix",
    "colorize-console",
    "core-db-dsn",
    "core-db-inner-post-trans-execute",
    "core-db-inner-pre-trans-execute",
    "core-db-name",
    "core-db-post-trans-execute",
    "core-db-pre-trans-execute",
    "core-dbtype",
    "core-non-sqlite-db-required",
    "cpu-idle-smoothing-depth",
    "crash-protection",
    "db-handle-timeout",
    "debug-level",
    "dialplan-timestamps",
    "dump-cores",
    "enable-clock-nanosleep",
    "enable-cond-yield",
    "enable-early-hangup",
    "enable-monotonic-timing",
    "enable-softtimer-timerfd",
    "enable-timer-matrix",
    "enable-use-system-time",
    "event-channel-enable-hierarchy-deliver",
    "event-channel-hierarchy-deliver-once",
    "event-channel-key-separator",
    "event-channel-log-undeliverable-json",
    "events-use-dispatch",
    "exclude-error-log-from-xml-cdr",
    "ice-resolve-candidate",
    "initial-event-threads",
    "max-audio-channels",
    "max-db-handles",
    "max-sql-buffer-len",
    "min-idle-cpu",
    "multiple-registrations",
    "odbc-skip-autocommit-flip",
    "rtp-enable-zrtp",
    "rtp-port-usage-robustness",
    "rtp-retain-crypto-keys",
    "session-thread-pool",
    "spawn-instead-of-system",
    "sql-buffer-len",
    "threaded-system-exec",
    "timer-affinity",
    "tipping-point",
    "verbose-channel-events",
];

const KNOWN: &[&str] = &[
    "max-sessions",
    "sessions-per-second",
    "rtp-start-port",
    "rtp-end-port",
    "loglevel",
    "switchname",
    "event-heartbeat-interval",
    "min-dtmf-duration",
    "max-dtmf-duration",
    "default-dtmf-duration",
    "uuid-version",
    "mailer-app",
    "mailer-app-args",
    "allow-system",
    "dns-servers",
];

/// Addresses, each with a port or without, with commas or blanks between.
fn servers(value: &mut Value<'_>) -> Vec<SocketAddr> {
    let words: Vec<&str> =
        value.text.split([',', ' ', ';']).map(str::trim).filter(|word| !word.is_empty()).collect();
    let mut servers = Vec::new();
    for word in words {
        let bare = word.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        match word.parse::<SocketAddr>().or(bare.map(|ip| SocketAddr::new(ip, 53))) {
            Ok(server) => servers.push(server),
            Err(_) => value.wrong(
                format!("dns-servers: `{word}` is no address"),
                "write addresses, 192.0.2.53 or 192.0.2.53:5353, or leave it empty for those of the system",
            ),
        }
    }
    servers
}

impl SwitchConf {
    /// Reads `switch.conf` out of the tree; the defaults when there is none.
    pub fn read(root: &Element, problems: &mut Vec<Problem>) -> SwitchConf {
        let mut conf = SwitchConf::default();
        let Some(element) = configuration(root, "switch.conf") else { return conf };
        if let Some(settings) = element.child("settings") {
            for (_, _, param) in settings.params() {
                conf.apply(param, problems);
            }
            conf.check_ports(settings, problems);
            conf.not_yet(settings, problems);
        }
        for codec in element.child("default-ptimes").into_iter().flat_map(|p| p.children_named("codec")) {
            let ptime = codec.attr("ptime").and_then(|p| p.parse().ok()).filter(|p| (1..=200).contains(p));
            match (codec.attr("name"), ptime) {
                (Some(name), Some(ptime)) => conf.default_ptimes.push((name.to_owned(), ptime)),
                _ => problems.push(
                    Problem::warning(&codec.at, "<codec> of default-ptimes needs a name and a ptime in ms")
                        .hint("write <codec name=\"G729\" ptime=\"40\"/>"),
                ),
            }
        }
        conf
    }

    fn apply(&mut self, param: &Element, problems: &mut Vec<Problem>) {
        const ANY: u64 = u32::MAX as u64;
        let mut value = Value::of(param, problems);
        let name = value.name.to_ascii_lowercase();
        match name.as_str() {
            "max-sessions" => value.number(1..=1_000_000, &mut self.max_sessions),
            "sessions-per-second" => value.number(1..=1_000_000, &mut self.sessions_per_second),
            "rtp-start-port" => value.number(1024..=65534, &mut self.rtp_start_port),
            "rtp-end-port" => value.number(1024..=65535, &mut self.rtp_end_port),
            "loglevel" => value.one_of(&LOG_LEVELS, &mut self.loglevel),
            "switchname" => value.text(&mut self.switchname),
            "event-heartbeat-interval" => value.number(1..=86_400, &mut self.event_heartbeat_interval),
            "min-dtmf-duration" => value.number(400..=192_000, &mut self.min_dtmf_duration),
            "max-dtmf-duration" => value.number(400..=192_000, &mut self.max_dtmf_duration),
            "default-dtmf-duration" => value.number(1..=ANY, &mut self.default_dtmf_duration),
            "uuid-version" => value.one_of(&[("4", 4), ("7", 7)], &mut self.uuid_version),
            "mailer-app" => self.mailer_app = value.text.to_owned(),
            "mailer-app-args" => self.mailer_app_args = value.text.to_owned(),
            "allow-system" => value.flag(&mut self.allow_system),
            "dns-servers" => self.dns_servers = servers(&mut value),
            other if MEANINGLESS.contains(&other) => {}
            other => {
                let near = nearest(other, KNOWN.iter().chain(MEANINGLESS).copied());
                let problem =
                    Problem::warning(param.attr_at("name"), format!("switch.conf has no parameter {other}"));
                problems.push(match near {
                    Some(near) => problem.hint(format!("did you mean {near}?")),
                    None => problem,
                });
            }
        }
    }

    /// Parameters that are read and do nothing yet, where they ask for something else than FreeSWITCH does by itself.
    fn not_yet(&self, settings: &Element, problems: &mut Vec<Problem>) {
        let usual = SwitchConf::default();
        let mailer = (&self.mailer_app, &self.mailer_app_args);
        for (name, other) in [
            ("min-dtmf-duration", self.min_dtmf_duration != usual.min_dtmf_duration),
            ("max-dtmf-duration", self.max_dtmf_duration != usual.max_dtmf_duration),
            ("default-dtmf-duration", self.default_dtmf_duration != usual.default_dtmf_duration),
            ("uuid-version", self.uuid_version != usual.uuid_version),
            ("mailer-app", mailer != (&usual.mailer_app, &usual.mailer_app_args)),
        ] {
            let at = settings.find("param", "name", name).filter(|_| other);
            problems.extend(at.map(|at| {
                Problem::note(at.attr_at("name"), format!("{name} is known but not provided yet"))
            }));
        }
    }

    fn check_ports(&mut self, settings: &Element, problems: &mut Vec<Problem>) {
        let at =
            |name: &str| settings.find("param", "name", name).map_or(&settings.at, |p| p.attr_at("value"));
        if self.rtp_start_port >= self.rtp_end_port {
            problems.push(
                Problem::error(
                    at("rtp-end-port"),
                    format!(
                        "the RTP ports end at {} before they begin at {}",
                        self.rtp_end_port, self.rtp_start_port
                    ),
                )
                .hint("rtp-end-port must be larger than rtp-start-port"),
            );
            let default = SwitchConf::default();
            (self.rtp_start_port, self.rtp_end_port) = (default.rtp_start_port, default.rtp_end_port);
        }
        // Two ports for RTP and RTCP, two legs to a call.
        let pairs = u32::from(self.rtp_end_port - self.rtp_start_port).div_ceil(2);
        if pairs < self.max_sessions && settings.find("param", "name", "max-sessions").is_some() {
            problems.push(
                Problem::note(
                    at("rtp-end-port"),
                    format!(
                        "ports {} to {} carry {pairs} audio streams, fewer than max-sessions {}",
                        self.rtp_start_port, self.rtp_end_port, self.max_sessions
                    ),
                )
                .hint("widen the range, or calls beyond it get 503"),
            );
        }
        if self.min_dtmf_duration > self.max_dtmf_duration {
            problems.push(
                Problem::error(at("min-dtmf-duration"), "min-dtmf-duration is larger than max-dtmf-duration")
                    .hint("FreeSWITCH's are 400 and 192000"),
            );
            (self.min_dtmf_duration, self.max_dtmf_duration) = (400, 192_000);
        }
    }
}
