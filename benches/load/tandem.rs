//! tandem itself under load, from start to end: a configuration of its own in a temporary folder, the release binary
//! pinned to one CPU, the generator to another, and one line for each row of the README's table.

use crate::calls::{self, Ends};
use crate::identity::Identities;
use crate::listeners::{Heard, Listeners};
use crate::measure::{self, Clock, duration, snapshot};
use crate::search::{Search, Step, median, medians, search};
use crate::{reflect, registrations, rtp};
use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The first user of the directory.
const FIRST_USER: u64 = 200_000;
/// Every user's password; the place in the row makes it differ.
const PASSWORD: &str = "pass{i}word";
/// The event socket's.
const SOCKET_PASSWORD: &str = "load";
/// Calls per second beside listeners.
const BESIDE_LISTENERS: f64 = 200.0;

/// What is to be measured, and with what.
pub struct Plan {
    /// The binary.
    pub binary: PathBuf,
    /// The rows, by name.
    pub rows: Vec<String>,
    /// The port of the profile; the callee listens on the next but one.
    pub port: u16,
    /// The CPUs of tandem and of the generator.
    pub cpus: [usize; 2],
    /// Users of the directory for registrations.
    pub users: u64,
    /// Runs whose median is told.
    pub runs: usize,
    /// Seconds of one step.
    pub seconds: f64,
    /// Calls per second for what is not searched.
    pub rate: f64,
    /// Calls with RTP.
    pub rtp: Vec<u64>,
    /// Calls held for memory and growth.
    pub many: u64,
    /// Clients that want every event, and the CPU they read on.
    pub listeners: (usize, usize),
    /// A configuration of one's own for the start row.
    pub conf: Option<PathBuf>,
    /// Search the greatest rates too.
    pub search: bool,
    /// JSON lines.
    pub json: bool,
}

/// A running tandem; it is stopped when this is dropped.
struct Switch {
    child: Child,
    folder: PathBuf,
    at: SocketAddr,
    /// From the start of the process to its first SIP answer.
    first_answer: Duration,
}

impl Drop for Switch {
    fn drop(&mut self) {
        let pid = self.child.id() as i32;
        for signal in [libc::SIGTERM, libc::SIGTERM, libc::SIGKILL] {
            // SAFETY: a signal to our own child, which has not been waited for.
            unsafe { libc::kill(pid, signal) };
            for _ in 0..20 {
                if matches!(self.child.try_wait(), Ok(Some(_))) {
                    let _ = fs::remove_dir_all(&self.folder);
                    return;
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The configuration: one open profile, everything dialled goes to the generator, and no limit is in the way.
fn configuration(folder: &Path, port: u16, users: u64, digest: bool) -> std::io::Result<()> {
    let auth = if digest { "true" } else { "false" };
    let (callee, socket) = (port + 2, port + 3);
    let mut tree = format!(
        r#"<document type="freeswitch/xml">
<section name="configuration">
<configuration name="switch.conf"><settings>
<param name="max-sessions" value="200000"/><param name="sessions-per-second" value="200000"/>
<param name="rtp-start-port" value="10000"/><param name="rtp-end-port" value="65000"/>
</settings></configuration>
<configuration name="modules.conf"><modules><load module="mod_event_socket"/></modules></configuration>
<configuration name="event_socket.conf"><settings>
<param name="listen-ip" value="127.0.0.1"/><param name="listen-port" value="{socket}"/>
<param name="password" value="{SOCKET_PASSWORD}"/><param name="max-connections" value="16384"/>
</settings></configuration>
<configuration name="sofia.conf"><profiles><profile name="internal"><settings>
<param name="sip-ip" value="127.0.0.1"/><param name="sip-port" value="{port}"/><param name="rtp-ip" value="127.0.0.1"/>
<param name="auth-calls" value="{auth}"/><param name="context" value="default"/>
<param name="max-recv-requests-per-second" value="0"/><param name="inbound-late-negotiation" value="true"/>
<param name="inbound-codec-prefs" value="PCMU,PCMA"/><param name="outbound-codec-prefs" value="PCMU,PCMA"/>
<param name="force-register-domain" value="127.0.0.1"/><param name="force-register-db-domain" value="127.0.0.1"/>
</settings></profile></profiles></configuration>
</section>
<section name="dialplan"><context name="default"><extension name="all">
<condition field="destination_number" expression="^(.*)$">
<action application="set" data="hangup_after_bridge=true"/>
<action application="bridge" data="sofia/internal/$1@127.0.0.1:{callee}"/>
</condition></extension></context></section>
<section name="directory"><domain name="127.0.0.1"><groups><group name="all"><users>
"#
    );
    for place in 0..users {
        tree.push_str(&format!(
            "<user id=\"{}\"><params><param name=\"password\" value=\"{}\"/></params></user>\n",
            FIRST_USER + place,
            PASSWORD.replace("{i}", &place.to_string())
        ));
    }
    tree.push_str("</users></group></groups></domain></section>\n</document>\n");
    fs::write(folder.join("freeswitch.xml"), tree)
}

impl Switch {
    /// Starts tandem with our own configuration.
    fn start(plan: &Plan, users: u64, digest: bool) -> Result<Self, String> {
        let folder = folder()?;
        configuration(&folder, plan.port, users, digest)
            .map_err(|e| format!("cannot write the configuration: {e}"))?;
        let at = SocketAddr::from(([127, 0, 0, 1], plan.port));
        Self::spawn(plan, &folder.clone(), folder, Some(at))
    }

    /// Starts it with a given one, whose address the log tells.
    fn with(plan: &Plan, conf: &Path, at: Option<SocketAddr>) -> Result<Self, String> {
        Self::spawn(plan, conf, folder()?, at)
    }

    fn spawn(plan: &Plan, conf: &Path, folder: PathBuf, at: Option<SocketAddr>) -> Result<Self, String> {
        let told = folder.join("stdout");
        let file = fs::File::create(&told).map_err(|e| format!("{}: {e}", told.display()))?;
        let errors = file.try_clone().map_err(|e| e.to_string())?;
        let cpu = plan.cpus[0];
        let mut command = Command::new(&plan.binary);
        command
            .args(["run", "--log-level", "error", "--grace", "1", "--conf"])
            .arg(conf)
            .arg("--log")
            .arg(folder.join("log"))
            .arg("--db")
            .arg(folder.join("db"))
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(errors);
        // SAFETY: between fork and exec only two system calls are made, which allocate nothing.
        unsafe {
            command.pre_exec(move || {
                // It does not outlive a generator that was killed.
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                measure::pin(cpu).map_err(|_| std::io::Error::last_os_error())
            });
        }
        let begin = Instant::now();
        let child = command.spawn().map_err(|e| format!("cannot start {}: {e}", plan.binary.display()))?;
        let mut switch = Self {
            child,
            folder,
            at: at.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], plan.port))),
            first_answer: Duration::ZERO,
        };
        if at.is_none() {
            switch.at = switch.listening(&told)?;
        }
        let any = if switch.at.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = UdpSocket::bind(any).map_err(|e| e.to_string())?;
        socket.set_read_timeout(Some(Duration::from_millis(1))).map_err(|e| e.to_string())?;
        let local = crate::net::source_towards(switch.at).map_err(|e| e.to_string())?;
        let port = socket.local_addr().map_err(|e| e.to_string())?.port();
        let request = format!(
            "OPTIONS sip:{at} SIP/2.0\r\nVia: SIP/2.0/UDP {ip}:{port};rport;branch=z9hG4bKstart\r\nMax-Forwards: 70\r\n\
             From: <sip:load@{ip}>;tag=start\r\nTo: <sip:{at}>\r\nCall-ID: start@load\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n",
            at = switch.at,
            ip = local.ip()
        );
        let mut room = [0_u8; 2048];
        loop {
            let _ = socket.send_to(request.as_bytes(), switch.at);
            if socket.recv(&mut room).is_ok_and(|length| length > 0) {
                break;
            }
            if let Ok(Some(status)) = switch.child.try_wait() {
                let said = fs::read_to_string(&told).unwrap_or_default();
                return Err(format!("tandem ended with {status}: {said}"));
            }
            if begin.elapsed() > Duration::from_secs(60) {
                return Err("tandem gave no SIP answer in 60 s".to_owned());
            }
        }
        switch.first_answer = begin.elapsed();
        Ok(switch)
    }

    fn listening(&mut self, told: &Path) -> Result<SocketAddr, String> {
        for _ in 0..6000 {
            let said = fs::read_to_string(told).unwrap_or_default();
            if said.contains(" is up")
                && let Some(at) = said
                    .lines()
                    .filter_map(|line| line.split_once("listens on udp "))
                    .find_map(|(_, at)| at.trim().parse().ok())
            {
                return Ok(at);
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("tandem ended with {status}: {said}"));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Err("tandem did not say where it listens".to_owned())
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }
}

fn folder() -> Result<PathBuf, String> {
    let folder = std::env::temp_dir().join(format!(
        "tandem-load-{}-{:08x}",
        std::process::id(),
        rand::random::<u32>()
    ));
    fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    Ok(folder)
}

impl Plan {
    fn calls(&self, server: SocketAddr, digest: bool, rate: f64, seconds: f64) -> calls::Plan {
        let identities = if digest {
            Identities::numbered("127.0.0.1", FIRST_USER, 1000, PASSWORD)
        } else {
            Identities::numbered("127.0.0.1", FIRST_USER, 1000, "")
        };
        calls::Plan {
            server,
            caller: SocketAddr::from(([127, 0, 0, 1], 0)),
            callee: Some(SocketAddr::from(([127, 0, 0, 1], self.port + 2))),
            ports: [(20000..30000).step_by(2).collect(), (30000..40000).step_by(2).collect()],
            identities,
            dial: "77{}".to_owned(),
            rate,
            count: (rate * seconds).ceil().max(1.0) as u64,
            hold: 0,
            ring: 0,
            ends: Ends::Caller,
            limit: 8_000_000_000,
            most: 200_000,
            loss: 0.0,
            held: 0,
        }
    }

    fn registrations(&self, server: SocketAddr, rate: f64, count: u64) -> registrations::Plan {
        registrations::Plan {
            server,
            local: SocketAddr::from(([127, 0, 0, 1], 0)),
            identities: Identities::numbered("127.0.0.1", FIRST_USER, self.users, PASSWORD),
            rate,
            count,
            expires: 3600,
            contacts: 1,
            refresh: false,
            limit: 8_000_000_000,
            most: 500_000,
            loss: 0.0,
        }
    }

    fn wanted(&self, from: f64) -> Search {
        Search { from, seconds: self.seconds, runs: self.runs, share: 0.001 }
    }

    fn tell(&self, row: &str, what: &str, step: &Step) {
        if self.json {
            let mut value = step.json();
            if let Some(object) = value.as_object_mut() {
                object.insert("row".to_owned(), row.into());
                object.insert("what".to_owned(), what.into());
            }
            println!("{value}");
        } else {
            println!("{row:<14} {what:<10} {}", step.line());
        }
    }

    fn say(&self, row: &str, what: &str, value: f64, text: &str) {
        if self.json {
            println!("{}", serde_json::json!({"row": row, "what": what, "value": value}));
        } else {
            println!("{row:<14} {what:<10} {text}");
        }
    }
}

/// Measures the rows.
pub fn run(plan: &Plan) -> Result<(), String> {
    measure::pin(plan.cpus[1])?;
    for row in &plan.rows {
        match row.as_str() {
            "start" => start(plan)?,
            "calls" => calls(plan, row, false)?,
            "digest" => calls(plan, row, true)?,
            "registrations" => register(plan)?,
            "rtp" => media(plan)?,
            "memory" => memory(plan)?,
            "growth" => growth(plan)?,
            "events" => events(plan)?,
            other => return Err(format!("--rows: there is no row {other:?}")),
        }
    }
    Ok(())
}

fn start(plan: &Plan) -> Result<(), String> {
    let mut cases: Vec<(String, Vec<f64>)> = Vec::new();
    if let Some(conf) = &plan.conf {
        let at = Switch::with(plan, conf, None)?.at;
        let mut times = Vec::new();
        for _ in 0..plan.runs {
            times.push(Switch::with(plan, conf, Some(at))?.first_answer.as_secs_f64() * 1e6);
        }
        cases.push((conf.display().to_string(), times));
    }
    for users in [0, plan.users] {
        let mut times = Vec::new();
        for _ in 0..plan.runs {
            times.push(Switch::start(plan, users, false)?.first_answer.as_secs_f64() * 1e6);
        }
        cases.push((format!("{users} users"), times));
    }
    for (case, times) in cases {
        let middle = median(times);
        plan.say("start", &case, middle, &format!("first answer after {}", duration(middle)));
    }
    Ok(())
}

fn calls(plan: &Plan, row: &str, digest: bool) -> Result<(), String> {
    if !digest {
        // The generator's own ceiling first: the same calls through a thread that only hands datagrams on.
        let callee = SocketAddr::from(([127, 0, 0, 1], plan.port + 2));
        let reflector = reflect::start(callee.ip(), callee, Some(plan.cpus[0]))?;
        let found = search(
            plan.wanted(8000.0),
            |rate, seconds| {
                calls::once(&plan.calls(reflector.at, false, rate, seconds.min(1.0)), None)
                    .map(|out| out.step(rate))
            },
            |_, _| {},
        )?;
        plan.tell(row, "generator", &found);
    }
    let switch = Switch::start(plan, if digest { 1000 } else { 0 }, digest)?;
    let mut once = |rate: f64, seconds: f64| {
        let settings = plan.calls(switch.at, digest, rate, seconds);
        calls::once(&settings, Some(switch.pid())).map(|out| out.step(rate))
    };
    once(plan.rate, 1.0)?;
    let mut runs = Vec::new();
    for _ in 0..plan.runs {
        runs.push(once(plan.rate, plan.seconds)?);
    }
    plan.tell(row, "cost", &medians(&runs));
    if !plan.search {
        return Ok(());
    }
    let found = search(plan.wanted(plan.rate), &mut once, |what, step| {
        plan.tell(row, what, step);
    })?;
    plan.tell(row, "greatest", &found);
    let mut runs = Vec::new();
    for _ in 0..plan.runs {
        runs.push(once(found.rate / 2.0, plan.seconds)?);
    }
    plan.tell(row, "at half", &medians(&runs));
    Ok(())
}

fn register(plan: &Plan) -> Result<(), String> {
    let callee = SocketAddr::from(([127, 0, 0, 1], plan.port + 2));
    let reflector = reflect::start(callee.ip(), callee, Some(plan.cpus[0]))?;
    let found = search(
        plan.wanted(20_000.0),
        |rate, seconds| {
            let count = (rate * seconds.min(1.0)).ceil() as u64;
            registrations::once(&plan.registrations(reflector.at, rate, count), None)
                .map(|out| out.step(rate))
        },
        |_, _| {},
    )?;
    plan.tell("registrations", "generator", &found);
    drop(reflector);
    let switch = Switch::start(plan, plan.users, false)?;
    // What loading the directory took and gave back is out of the way first.
    std::thread::sleep(Duration::from_secs(1));
    let empty = snapshot(switch.pid()).unwrap_or_default().resident;
    let once = |rate: f64, count: u64| {
        registrations::once(&plan.registrations(switch.at, rate, count), Some(switch.pid()))
            .map(|out| out.step(rate))
    };
    // Everyone once: bindings are made. Then again: they are renewed.
    let first = once(plan.rate * 5.0, plan.users)?;
    plan.tell("registrations", "new", &first);
    let full = snapshot(switch.pid()).unwrap_or_default().resident;
    let each = (full as f64 - empty as f64) / plan.users as f64;
    let text = if each < 0.05 {
        format!("hidden: bindings went where the start had left room ({empty} -> {full} KiB)")
    } else {
        format!("{each:.2} KiB each ({empty} -> {full} KiB)")
    };
    plan.say("registrations", "memory", each, &text);
    let mut runs = Vec::new();
    for _ in 0..plan.runs {
        let rate = plan.rate * 5.0;
        runs.push(once(rate, (rate * plan.seconds) as u64)?);
    }
    plan.tell("registrations", "cost", &medians(&runs));
    if plan.search {
        let found = search(
            plan.wanted(plan.rate * 5.0),
            |rate, seconds| once(rate, (rate * seconds) as u64),
            |what, step| plan.tell("registrations", what, step),
        )?;
        plan.tell("registrations", "greatest", &found);
    }
    Ok(())
}

fn media(plan: &Plan) -> Result<(), String> {
    let switch = Switch::start(plan, 0, false)?;
    for count in &plan.rtp {
        let mut runs = Vec::new();
        for _ in 0..plan.runs {
            let mut settings = plan.rtp_plan(switch.at, *count);
            let (out, _) = rtp::run(&mut settings, Clock::start(), Some(switch.pid()))?;
            runs.push(out.step());
        }
        plan.tell("rtp", &format!("{count} calls"), &medians(&runs));
    }
    Ok(())
}

impl Plan {
    fn rtp_plan(&self, server: SocketAddr, count: u64) -> rtp::Plan {
        let mut calls = self.calls(server, false, 200.0, 1.0);
        calls.count = count;
        calls.hold = u64::MAX;
        rtp::Plan {
            ip: calls.caller.ip(),
            calls,
            seconds: self.seconds.ceil() as u64,
            warm_up: 1,
            sockets: count.min(16) as usize,
        }
    }
}

fn memory(plan: &Plan) -> Result<(), String> {
    let mut each = Vec::new();
    for _ in 0..plan.runs {
        let switch = Switch::start(plan, 0, false)?;
        // A few calls before, so that what is made once is not counted for each.
        let mut settings = plan.calls(switch.at, false, 200.0, 1.0);
        calls::once(&settings, None)?;
        let before = snapshot(switch.pid()).unwrap_or_default();
        settings.rate = 500.0;
        settings.count = plan.many;
        settings.hold = u64::MAX;
        let (mut engine, mut receivers) = calls::Engine::open(&settings, Clock::start())?;
        engine.set_up(&mut receivers);
        let standing = engine.pairs().len().max(1);
        let with = snapshot(switch.pid()).unwrap_or_default();
        engine.end(&mut receivers);
        each.push(with.resident.saturating_sub(before.resident) as f64 / standing as f64);
    }
    let middle = median(each);
    plan.say(
        "memory",
        "call",
        middle,
        &format!("{middle:.1} KiB for each of {} established calls", plan.many),
    );
    Ok(())
}

fn growth(plan: &Plan) -> Result<(), String> {
    let switch = Switch::start(plan, 0, false)?;
    let rate = (plan.many as f64 / plan.seconds).min(plan.rate);
    for many in [100, plan.many] {
        let mut runs = Vec::new();
        for _ in 0..plan.runs {
            let mut settings = plan.calls(switch.at, false, rate, 1.0);
            settings.hold = (many as f64 / rate * 1e9) as u64;
            settings.count = (many as f64 + rate * plan.seconds) as u64;
            runs.push(calls::once(&settings, Some(switch.pid()))?.step(rate));
        }
        plan.tell("growth", &format!("{many} calls"), &medians(&runs));
    }
    Ok(())
}

/// Calls while nobody listens to events, and while many listen to all of them, by turns; each with a tandem of its own, since
/// one that was listened to remembers for a while.
fn events(plan: &Plan) -> Result<(), String> {
    let (count, cpu) = plan.listeners;
    let mut runs = [Vec::new(), Vec::new()];
    for _ in 0..plan.runs {
        for (count, runs) in [0, count].into_iter().zip(&mut runs) {
            let switch = Switch::start(plan, 0, false)?;
            let socket = SocketAddr::from(([127, 0, 0, 1], plan.port + 3));
            let listeners = match count {
                0 => None,
                count => Some(Listeners::start(socket, SOCKET_PASSWORD, count, cpu)?),
            };
            let once = |seconds| {
                let settings = plan.calls(switch.at, false, BESIDE_LISTENERS, seconds);
                calls::once(&settings, Some(switch.pid()))
            };
            once(1.0)?;
            let before = measure::thread_cpu(switch.pid(), "esl");
            let out = once(plan.seconds)?;
            let esl = measure::thread_cpu(switch.pid(), "esl") - before;
            let mut step = out.step(BESIDE_LISTENERS);
            let rest = out.cost.as_ref().map_or(0, |cost| cost.cpu).saturating_sub(esl);
            step.figures.push(("CPU µs without esl's", rest as f64 / 1000.0 / out.offered.max(1) as f64));
            let Heard { events, bytes, lost } = listeners.map(Listeners::end).unwrap_or_default();
            step.figures.push(("events read", events as f64));
            step.figures.push(("MiB read", bytes as f64 / f64::from(1 << 20)));
            step.figures.push(("events told lost", lost as f64));
            plan.tell("events", &format!("{count} listen"), &step);
            runs.push(step);
        }
    }
    for (what, runs) in ["nobody", "all hear"].into_iter().zip(&runs) {
        plan.tell("events", what, &medians(runs));
    }
    Ok(())
}
