//! From a configuration folder to a tree: the preprocessor, then XML.

use std::collections::HashMap;
use std::fmt;
use std::io::Write;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::element::Element;
use super::flat::Flat;
use super::globals::{Globals, Table};
use super::position::{Position, Source};
use super::preprocess;
use super::problem::{Problem, Severity};
use super::xml;

/// What a `stun-set` line asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Ask {
    /// `stun:host[:port]`: our address as that STUN server sees it.
    Stun {
        /// The server.
        host: String,
        /// Its port, 3478 when not written.
        port: u16,
    },
    /// `host:name`: the address of that name in the DNS.
    Host {
        /// The name.
        name: String,
    },
}

/// Answers an [`Ask`] within the given time; an error is shown to the user. It is called from its own thread.
pub type Lookup = dyn Fn(&Ask, Duration) -> Result<IpAddr, String> + Send + Sync;

/// Where to read, and what the files may use.
#[derive(Clone)]
pub struct Options {
    /// The folder that holds `freeswitch.xml`, as the user typed it.
    pub conf_dir: PathBuf,
    /// Where logs go; `freeswitch.xml.fsxml` is written here when [`write_flat`](Self::write_flat) is set.
    pub log_dir: PathBuf,
    /// Where what must survive a restart is kept.
    pub db_dir: PathBuf,
    /// `--set name=value`: these win over any `set` in the files.
    pub set: Vec<(String, String)>,
    /// Run the commands of `exec` and `exec-set`.
    pub allow_exec: bool,
    /// Write the flat text to the log folder, as FreeSWITCH does.
    pub write_flat: bool,
    /// Our IPv4 address as found by the routing table: the global `local_ip_v4`.
    pub local_ip_v4: Option<IpAddr>,
    /// The same for IPv6, without brackets: the global `local_ip_v6`.
    pub local_ip_v6: Option<IpAddr>,
    /// The global `hostname`; read from the system when `None`.
    pub hostname: Option<String>,
    /// The global `core_uuid`.
    pub core_uuid: Option<String>,
    /// The global `switch_serial`.
    pub switch_serial: Option<String>,
    /// Asks STUN servers and the DNS for `stun-set`; without it the local address is taken.
    pub lookup: Option<Arc<Lookup>>,
    /// The running switch's globals at a reload: they stay unless the files set them anew.
    pub running: Option<Globals>,
}

impl Options {
    /// The folder `conf_dir`, with `log` and `db` beside it.
    pub fn new(conf_dir: impl Into<PathBuf>) -> Self {
        let conf_dir = conf_dir.into();
        let base = absolute(&conf_dir).parent().map_or_else(|| PathBuf::from("/"), Path::to_path_buf);
        Options {
            conf_dir,
            log_dir: base.join("log"),
            db_dir: base.join("db"),
            set: Vec::new(),
            allow_exec: false,
            write_flat: false,
            local_ip_v4: None,
            local_ip_v6: None,
            hostname: None,
            core_uuid: None,
            switch_serial: None,
            lookup: None,
            running: None,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("conf_dir", &self.conf_dir)
            .field("log_dir", &self.log_dir)
            .field("db_dir", &self.db_dir)
            .field("allow_exec", &self.allow_exec)
            .finish_non_exhaustive()
    }
}

/// A configuration as read, sound or not: look at [`is_sound`](Self::is_sound) before using it.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The root element, whose children are the sections.
    pub root: Element,
    /// The globals after the last line.
    pub globals: Globals,
    /// Everything found so far, errors first, else in the order of the files.
    pub problems: Vec<Problem>,
    /// Names used as `$${name}` outside comments while they were not set, with the first place.
    pub unset: Vec<(String, Position)>,
    /// Every file read, in order.
    pub files: Vec<PathBuf>,
    /// Where each global that the files set was set last, by name in lower case.
    pub set: HashMap<String, Position>,
}

impl Loaded {
    /// Where the files set the global `name` last.
    pub fn set_at(&self, name: &str) -> Option<&Position> {
        self.set.get(&name.to_ascii_lowercase())
    }

    /// True when no problem is an error.
    pub fn is_sound(&self) -> bool {
        !self.problems.iter().any(Problem::is_error)
    }
}

/// Reads `<conf_dir>/freeswitch.xml` and all it includes. Never fails: what is wrong is in
/// [`problems`](Loaded::problems).
pub fn load(options: &Options) -> Loaded {
    let root = options.conf_dir.join("freeswitch.xml");
    let mut table = first_globals(options);
    let done = preprocess::run(options, &root, &mut table);
    let mut loaded = assemble(done, table, options);
    if options.write_flat
        && let Err((path, e)) = write_flat(&options.log_dir, &loaded.flat)
    {
        let at = Position::new(&path.display().to_string(), 0, 0);
        loaded.loaded.problems.push(
            Problem::warning(&at, format!("cannot be written: {e}"))
                .hint("it is only for reading; give a writable folder with --log"),
        );
    }
    loaded.loaded
}

/// Reads one text as if it were the file `name`, preprocessor included: for tests and for answers that come from
/// elsewhere than a file. Includes are relative to `name`'s folder.
pub fn parse(name: &str, text: &str, options: &Options) -> Loaded {
    let mut table = first_globals(options);
    let done = preprocess::run_text(options, name, text.as_bytes(), &mut table);
    assemble(done, table, options).loaded
}

struct Assembled {
    loaded: Loaded,
    flat: Flat,
}

fn assemble(done: preprocess::Done, table: Table, options: &Options) -> Assembled {
    let preprocess::Done {
        flat,
        root,
        mut problems,
        unless_comment,
        if_comment,
        unset,
        files,
        set,
        idle,
        fatal,
    } = done;
    if fatal {
        let at = Position { source: root, line: 0, column: 0 };
        let loaded = Loaded {
            root: Element::new("document", at),
            globals: Globals::new(table),
            problems,
            unset: Vec::new(),
            files,
            set,
        };
        return Assembled { loaded, flat };
    }
    let document = xml::read(&flat, &root);
    let commented = |offset: usize| {
        let index = document.comments.partition_point(|c| c.start < offset);
        index.checked_sub(1).and_then(|i| document.comments.get(i)).is_some_and(|c| offset < c.end)
    };
    problems.extend(unless_comment.into_iter().filter(|(offset, _)| !commented(*offset)).map(|(_, p)| p));
    problems.extend(if_comment.into_iter().filter(|(offset, _)| commented(*offset)).map(|(_, p)| p));
    problems.extend(document.problems);
    let mut names: Vec<(String, Position)> = Vec::new();
    for (offset, name, at) in unset {
        if !commented(offset) && !names.iter().any(|(n, _)| n.eq_ignore_ascii_case(&name)) {
            names.push((name, at));
        }
    }
    for (name, at) in &names {
        if table.get(name).is_some() {
            problems.push(
                Problem::warning(at, format!("$${{{name}}} is set only later, so it is empty here"))
                    .hint("move the line that sets it before this one: files are read from top to bottom"),
            );
            continue;
        }
        if super::secrets::is_secret(name) {
            problems.push(Problem::note(
                at,
                format!("$${{{name}}} is made at the first start and kept in secrets.xml"),
            ));
            continue;
        }
        let problem = Problem::warning(at, format!("$${{{name}}} is not set, so it is empty here"));
        let known: Vec<&str> = table.iter().map(|(n, _)| n).collect();
        problems.push(match super::suggest::nearest(name, known) {
            Some(near) => problem.hint(format!("did you mean $${{{near}}}?")),
            None => problem.hint(format!("set it in vars.xml or with --set {name}=…")),
        });
    }
    let given: Vec<&str> = options.set.iter().map(|(name, _)| name.as_str()).collect();
    for name in idle.iter().filter(|name| !is_asked_for(name, &flat)) {
        let at = Position::new(&format!("--set {name}"), 0, 0);
        let problem = Problem::warning(&at, format!("no file asks for $${{{name}}}"));
        let own = |known: &&str| given.iter().any(|g| g.eq_ignore_ascii_case(known));
        let known: Vec<&str> = table.iter().map(|(n, _)| n).filter(|n| !own(n)).collect();
        problems.push(match super::suggest::nearest(name, known) {
            Some(near) => problem.hint(format!("did you mean {near}?")),
            None => problem.hint("it does nothing unless the dialplan asks for it by another way"),
        });
    }
    sort(&mut problems);
    let loaded =
        Loaded { root: document.root, globals: Globals::new(table), problems, unset: names, files, set };
    Assembled { loaded, flat }
}

/// Names the shipped tree takes, and those of the core: nobody misspells these.
const USUAL: [&str; 15] = [
    "domain",
    "event_socket_ip",
    "event_socket_password",
    "event_socket_port",
    "external_rtp_ip",
    "external_sip_ip",
    "external_sip_port",
    "external_tls_port",
    "hostname",
    "internal_sip_port",
    "internal_tls_port",
    "local_ip_v4",
    "local_ip_v6",
    "rtp_end_port",
    "rtp_start_port",
];

/// Whether a global that no file expands may be asked for while the switch runs.
fn is_asked_for(name: &str, flat: &Flat) -> bool {
    let text = flat.text();
    USUAL.contains(&name)
        || super::secrets::is_secret(name)
        || text.contains(&format!("${{{name}}}"))
        || text.contains(&format!("global_getvar({name})"))
}

/// Errors first; else the order found is kept.
pub fn sort(problems: &mut [Problem]) {
    problems.sort_by_key(|p| p.severity != Severity::Error);
}

/// The globals the core sets before it reads anything (inventory of FreeSWITCH's `switch_core.c`).
fn first_globals(options: &Options) -> Table {
    let mut table = options.running.as_ref().map(|g| Table::clone(&g.snapshot())).unwrap_or_default();
    let conf = absolute(&options.conf_dir);
    let base = conf.parent().unwrap_or(&conf).to_path_buf();
    let sounds = base.join("sounds");
    let folders = [
        ("base_dir", base.clone()),
        ("conf_dir", conf.clone()),
        ("log_dir", absolute(&options.log_dir)),
        ("db_dir", absolute(&options.db_dir)),
        ("run_dir", base.join("run")),
        ("mod_dir", base.join("mod")),
        ("htdocs_dir", base.join("htdocs")),
        ("script_dir", base.join("scripts")),
        ("temp_dir", std::env::temp_dir()),
        ("grammar_dir", base.join("grammar")),
        ("fonts_dir", base.join("fonts")),
        ("images_dir", base.join("images")),
        ("certs_dir", base.join("certs")),
        ("storage_dir", base.join("storage")),
        ("cache_dir", base.join("cache")),
        ("data_dir", base.clone()),
        ("localstate_dir", base.clone()),
        ("recordings_dir", base.join("recordings")),
        ("sounds_dir", sounds.clone()),
        ("sound_prefix", sounds),
    ];
    for (name, path) in folders {
        table.set(name, &path.to_string_lossy());
    }
    let v4 = options.local_ip_v4.map_or_else(|| "127.0.0.1".to_owned(), |ip| ip.to_string());
    table.set("local_ip_v4", &v4);
    if table.get("local_mask_v4").is_none() {
        table.set("local_mask_v4", "255.255.255.0");
    }
    table.set("local_ip_v6", &options.local_ip_v6.map_or_else(|| "::1".to_owned(), |ip| ip.to_string()));
    table.set("hostname", &options.hostname.clone().unwrap_or_else(system_hostname));
    for (name, value) in [("core_uuid", &options.core_uuid), ("switch_serial", &options.switch_serial)] {
        if let Some(value) = value {
            table.set(name, value);
        }
    }
    for (name, value) in &options.set {
        table.set(name, value);
    }
    table
}

fn system_hostname() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .map(|h| h.trim().to_owned())
        .filter(|h| !h.is_empty())
        .or_else(|| std::env::var("HOSTNAME").ok())
        .unwrap_or_else(|| "localhost".to_owned())
}

/// The path from the root of the file system; links are kept.
pub(crate) fn absolute(path: &Path) -> PathBuf {
    preprocess::normal(&std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf()))
}

fn write_flat(log_dir: &Path, flat: &Flat) -> Result<(), (PathBuf, std::io::Error)> {
    use std::os::unix::fs::OpenOptionsExt;
    let path = log_dir.join("freeswitch.xml.fsxml");
    let temporary = log_dir.join(format!("freeswitch.xml.fsxml.{}", std::process::id()));
    let write = || -> std::io::Result<()> {
        std::fs::create_dir_all(log_dir)?;
        let _ = std::fs::remove_file(&temporary);
        // It holds every password of the directory.
        let mut file =
            std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        file.write_all(flat.text().as_bytes())?;
        std::fs::rename(&temporary, &path)
    };
    write().map_err(|e| {
        let _ = std::fs::remove_file(&temporary);
        (path.clone(), e)
    })
}

/// Shown paths of sources made for a root file.
pub(crate) fn root_source(path: &str) -> Arc<Source> {
    Arc::new(Source { path: path.into(), included_at: None })
}
