//! The command line of tandem: `run` (the default), `check`, `cli`, `version`.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tandem::cli::{self, Flags, Local, Session, Wishes};
use tandem::config::{self, Options, Severity};
use tandem::media::raise_fd_limit;
use tandem::net::{Kernel, local_ip_v4, local_ip_v6};
use tandem::observe::{Format, Log};
use tandem::switch::{self, Manner, Switch};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::level_filters::LevelFilter;
use tracing::{error, info, warn};

/// A call is some hundred small values made on one thread and freed on another, then nothing for a while: the C
/// library's allocator answers that with a growing heap (ten `mprotect` per call) and locks.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A FreeSWITCH-style B2BUA softswitch: SIP registrar, XML dialplan, call bridging and RTP relay.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: Run,
}

#[derive(Subcommand)]
enum Command {
    /// Run in the foreground (the default)
    Run(Run),
    /// Load the whole configuration, open nothing, print every problem as file:line:col
    Check(Tree),
    /// The console of a running switch
    Cli(Console),
    /// Print the version
    Version,
}

/// Where the configuration is, and what overrides it.
#[derive(Args, Clone)]
struct Tree {
    /// The configuration folder [default: ./conf if it holds freeswitch.xml, else /etc/tandem]
    #[arg(long, value_name = "DIR")]
    conf: Option<PathBuf>,
    /// Where logs and freeswitch.xml.fsxml go [default: the folder log beside that of the configuration]
    #[arg(long, value_name = "DIR")]
    log: Option<PathBuf>,
    /// Where state is kept [default: the folder db beside that of the configuration]
    #[arg(long, value_name = "DIR")]
    db: Option<PathBuf>,
    /// Override a global $${name}; may be given many times
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    set: Vec<(String, String)>,
    /// Let X-PRE-PROCESS exec and exec-set run commands
    #[arg(long)]
    allow_exec: bool,
}

#[derive(Args, Clone)]
struct Run {
    #[command(flatten)]
    tree: Tree,
    /// The least severe line to log
    #[arg(long, value_enum, default_value_t = Level::Info)]
    log_level: Level,
    /// How a log line looks
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
    /// Log every SIP message of every profile
    #[arg(long)]
    sip_trace: bool,
    /// Seconds that calls may go on after SIGTERM; a second SIGTERM ends them at once
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    grace: u64,
}

/// Where the console connects to; what is not said stands in the configuration.
#[derive(Args, Clone)]
struct Console {
    #[command(flatten)]
    tree: Tree,
    #[command(flatten)]
    flags: Flags,
}

#[derive(Clone, Copy, ValueEnum)]
enum Level {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

#[derive(Clone, Copy, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => {
            Ok((name.trim().to_owned(), value.trim().to_owned()))
        }
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}

/// Exit codes as sysexits.h has them.
mod exit {
    /// Something else went wrong.
    pub const SOFTWARE: u8 = 70;
    /// A socket, a folder: the system does not give what is needed.
    pub const UNAVAILABLE: u8 = 69;
    /// The configuration has errors.
    pub const CONFIG: u8 = 78;
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.command.unwrap_or(Command::Run(cli.run)) {
        Command::Run(run) => serve(&run),
        Command::Check(tree) => check(&tree),
        Command::Cli(console) => console.run(),
        Command::Version => {
            println!("tandem {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
    }
}

impl Tree {
    /// The options of the configuration's reader.
    fn options(&self, write_flat: bool) -> Options {
        let conf = self.conf.clone().unwrap_or_else(|| match Path::new("conf/freeswitch.xml").exists() {
            true => PathBuf::from("conf"),
            false => PathBuf::from("/etc/tandem"),
        });
        let mut options = Options::new(conf);
        if let Some(log) = &self.log {
            options.log_dir.clone_from(log);
        }
        if let Some(db) = &self.db {
            options.db_dir.clone_from(db);
        }
        options.set.clone_from(&self.set);
        options.allow_exec = self.allow_exec;
        options.write_flat = write_flat;
        options.local_ip_v4 = Some(local_ip_v4()).filter(|ip| ip.is_ipv4());
        options.local_ip_v6 = Some(local_ip_v6()).filter(|ip| ip.is_ipv6());
        options.core_uuid = Some(uuid::Uuid::new_v4().to_string());
        options
    }
}

impl Console {
    /// What the configuration says of the event socket and the keys.
    fn local(&self) -> Local {
        let root = config::load(&self.tree.options(false)).root;
        let param = |name: &str| {
            let settings = config::configuration(&root, "event_socket.conf")?.child("settings")?;
            let param = settings.children_named("param").find(|param| param.attr("name") == Some(name))?;
            param.attr("value").map(str::to_owned)
        };
        let here = |ip: String| match ip.as_str() {
            "::" | "0.0.0.0" | "auto" | "any" => "127.0.0.1".to_owned(),
            _ => ip,
        };
        let bound =
            config::configuration(&root, "switch.conf").and_then(|conf| conf.child("cli-keybindings"));
        let keys = bound.into_iter().flat_map(|bound| bound.children_named("key"));
        Local {
            host: param("listen-ip").map(here),
            port: param("listen-port").and_then(|port| port.parse().ok()),
            password: param("password"),
            keys: keys
                .filter_map(|key| Some((key.attr("name")?.parse().ok()?, key.attr("value")?.to_owned())))
                .collect(),
        }
    }

    /// Everything that is said, here, in `fs_cli`'s files or in the configuration.
    fn wishes(&self) -> Result<Wishes, String> {
        let flags = &self.flags;
        let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default().join(".fs_cli_conf");
        let section = flags.read_section(&[&home, Path::new("/etc/fs_cli.conf")])?;
        // A command for a switch elsewhere needs nothing of what is here.
        let elsewhere = flags.section.is_some()
            || flags.execute.is_some() && flags.password.is_some() && flags.port.is_some();
        let local = if elsewhere { Local::default() } else { self.local() };
        let mut wishes = flags.wishes(&section, &local);
        wishes.colours &= std::io::stdout().is_terminal();
        Ok(wishes)
    }

    /// `tandem cli`.
    fn run(&self) -> ExitCode {
        let wishes = match self.wishes() {
            Ok(wishes) => wishes,
            Err(why) => {
                eprintln!("tandem: {why}");
                return ExitCode::from(exit::CONFIG);
            }
        };
        let outcome = match &self.flags.execute {
            Some(command) => {
                Session::open_within(&wishes.place, wishes.tries, |_| {}).and_then(|mut session| {
                    if let Some(longest) = wishes.timeout {
                        session.wait_at_most(longest);
                    }
                    let (said, failed) = cli::execute(&mut session, command)?;
                    let said = if std::io::stdout().is_terminal() { cli::plain(&said) } else { said };
                    let end = if said.ends_with('\n') { "" } else { "\n" };
                    write!(std::io::stdout(), "{said}{end}")?;
                    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
                })
            }
            None => talk(&wishes).map(|()| ExitCode::SUCCESS),
        };
        outcome.unwrap_or_else(|error| {
            eprintln!("tandem: {}:{}: {error}", wishes.place.host, wishes.place.port);
            ExitCode::from(exit::UNAVAILABLE)
        })
    }
}

#[cfg(feature = "cli")]
fn talk(wishes: &Wishes) -> std::io::Result<()> {
    cli::talk(wishes)
}

#[cfg(not(feature = "cli"))]
fn talk(_: &Wishes) -> std::io::Result<()> {
    Err(std::io::Error::other("built without the feature cli: only -x is there"))
}

/// `tandem check`: every problem with its place; 1 when one is an error.
fn check(tree: &Tree) -> ExitCode {
    let mut options = tree.options(false);
    let mut loaded = config::load(&options);
    if config::secrets::pretend(&loaded, &mut options) {
        loaded = config::load(&options);
    }
    let tree = switch::Tree::of(loaded);
    for problem in &tree.loaded.problems {
        println!("{problem}");
    }
    let count = |severity| tree.loaded.problems.iter().filter(|p| p.severity == severity).count();
    let (errors, warnings, notes) = (count(Severity::Error), count(Severity::Warning), count(Severity::Note));
    println!(
        "{}: {} files, {errors} errors, {warnings} warnings, {notes} notes",
        options.conf_dir.display(),
        tree.loaded.files.len()
    );
    if errors > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// `tandem run`.
fn serve(run: &Run) -> ExitCode {
    let level = match run.log_level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
        Level::Trace => LevelFilter::TRACE,
    };
    let format = match run.log_format {
        LogFormat::Text => Format::Text,
        LogFormat::Json => Format::Json,
    };
    let log = Arc::new(Log::start(format, level));
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(failed) => {
            eprintln!("tandem: {failed}");
            return ExitCode::from(exit::SOFTWARE);
        }
    };
    // From here on: the system's own answer to a SIGHUP is to end the process, and a large tree takes seconds to read.
    let hangup = {
        let _inside = runtime.enter();
        signal(SignalKind::hangup())
    };
    let mut options = run.tree.options(true);
    options.lookup = Some(Arc::new(switch::look_up));
    let mut loaded = config::load(&options);
    let made = match config::secrets::ensure(&loaded, &mut options) {
        Ok(made) => made,
        Err(failed) => {
            eprintln!("tandem: {failed}");
            return ExitCode::from(exit::UNAVAILABLE);
        }
    };
    if made.is_some() {
        loaded = config::load(&options);
    }
    let tree = switch::Tree::of(loaded);
    for problem in tree.loaded.problems.iter().filter(|p| p.severity != Severity::Note) {
        match problem.severity {
            Severity::Error => error!("{problem}"),
            _ => warn!("{problem}"),
        }
    }
    if tree.errors().next().is_some() {
        eprintln!("tandem: {} cannot be used; see the errors above", options.conf_dir.display());
        return ExitCode::from(exit::CONFIG);
    }
    if let Err(failed) = raise_fd_limit() {
        warn!("the limit of open files could not be raised: {failed}");
    }
    let manner = Manner { trace: run.sip_trace, options: Some(options), log: Some(log) };
    runtime.block_on(live(run, manner, tree, made, hangup))
}

/// The running switch, from its first socket to its last.
async fn live(
    run: &Run,
    manner: Manner,
    tree: switch::Tree,
    made: Option<config::secrets::Made>,
    hangup: std::io::Result<Signal>,
) -> ExitCode {
    let mut grace = Duration::from_secs(run.grace);
    let switch = match Switch::start_in(manner, tree, Arc::new(Kernel)) {
        Ok(switch) => switch,
        Err(failed) => {
            eprintln!("tandem: {failed}");
            return ExitCode::from(exit::UNAVAILABLE);
        }
    };
    println!("tandem {} is up", env!("CARGO_PKG_VERSION"));
    for line in switch.sockets().into_iter().chain(switch.closed()) {
        println!("  {line}");
    }
    if let Some(made) = made {
        welcome(&made, &switch);
    }
    let (mut terminate, mut interrupt, mut hangup) = match signals(hangup) {
        Ok(signals) => signals,
        Err(failed) => {
            eprintln!("tandem: {failed}");
            return ExitCode::from(exit::SOFTWARE);
        }
    };
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => reload(&switch).await,
            () = switch.end() => {
                grace = Duration::ZERO;
                break;
            }
        }
    }
    info!("stopping: no new calls from now on");
    tokio::select! {
        () = switch.drain(grace) => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    switch.stop().await;
    // Nobody may listen any more, or the disk behind be full.
    let _ = writeln!(std::io::stdout(), "tandem has stopped");
    ExitCode::SUCCESS
}

fn signals(hangup: std::io::Result<Signal>) -> std::io::Result<(Signal, Signal, Signal)> {
    Ok((signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?, hangup?))
}

/// SIGHUP: read everything again, begin new files of call records; what is broken changes nothing.
async fn reload(switch: &Switch) {
    match switch.reread().await {
        Ok(said) => info!("reloaded: {said}"),
        Err(errors) => {
            for line in errors {
                error!("{line}");
            }
            error!("not reloaded: the configuration has errors; the old one stays");
        }
    }
}

/// What a first start shows, once.
fn welcome(made: &config::secrets::Made, switch: &Switch) {
    println!();
    println!("First start: passwords were made and kept in {}", made.file.display());
    for (name, value) in &made.secrets {
        println!("  {name} = {value}");
    }
    let password = made.secrets.iter().find(|(name, _)| *name == "default_password");
    if let (Some((_, password)), Some(agent)) = (password, switch.exchange.agent("internal")) {
        let at = agent.local;
        println!();
        println!("Register two phones (Zoiper, Linphone, any SIP phone):");
        println!(
            "  user 1000 and user 1001, password {password}, domain {}, server {at}",
            switch.exchange.domain()
        );
        println!("  then dial 1001 from 1000, or 9196 to hear yourself");
    }
    println!();
}
