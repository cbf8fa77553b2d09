//! The command line of `tandem cli`: the options of `fs_cli`, and where comes from what they leave open: a section of
//! `~/.fs_cli_conf` that is named, else the switch's own configuration.

use std::path::Path;
use std::time::Duration;

use super::Place;
use super::console::KEYS;

/// How long connecting and logging in may take when nothing is said.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often `-r` and `-R` try, a second apart.
const TRIES: u32 = 120;
/// How much of a uuid `-S` shows.
const SHORT: usize = 8;

/// What may stand behind `tandem cli`.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct Flags {
    /// A section of ~/.fs_cli_conf or /etc/fs_cli.conf that says where the switch is
    pub section: Option<String>,
    /// The switch's name or address
    #[arg(short = 'H', long, value_name = "HOST")]
    pub host: Option<String>,
    /// The port of its event socket
    #[arg(short = 'P', long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,
    /// Log in as this user of the directory, user@domain
    #[arg(short = 'u', long, value_name = "USER")]
    pub user: Option<String>,
    /// The password
    #[arg(short = 'p', long, value_name = "PASSWORD")]
    pub password: Option<String>,
    /// Run one command, print its answer, and leave; 1 when it answers -ERR, -USAGE or Invalid …
    #[arg(short = 'x', long, value_name = "COMMAND")]
    pub execute: Option<String>,
    /// The level of the log shown at first [default: info]
    #[arg(short = 'l', long, value_name = "LEVEL")]
    pub loglevel: Option<String>,
    /// Show no log at first
    #[arg(short = 'q', long)]
    pub quiet: bool,
    /// Put the uuid of the call before each line of the log
    #[arg(short = 'U', long)]
    pub log_uuid: bool,
    /// Put the beginning of that uuid there
    #[arg(short = 'S', long)]
    pub log_uuid_short: bool,
    /// Show the log of this call only
    #[arg(short = 's', long, value_name = "UUID")]
    pub set_log_uuid: Option<String>,
    /// Try for two minutes when nobody answers
    #[arg(short = 'r', long)]
    pub retry: bool,
    /// Connect again when the connection is lost
    #[arg(short = 'R', long)]
    pub reconnect: bool,
    /// How long a command of -x may take
    #[arg(short = 't', long, value_name = "MILLISECONDS")]
    pub timeout: Option<u64>,
    /// How long connecting may take
    #[arg(short = 'T', long, value_name = "MILLISECONDS")]
    pub connect_timeout: Option<u64>,
    /// Control-C leaves
    #[arg(short = 'i', long)]
    pub interrupt: bool,
    /// No colours
    #[arg(short = 'n', long)]
    pub no_color: bool,
    /// Do not keep the lines that were typed
    #[arg(short = 'Q', long)]
    pub no_history_file: bool,
    /// No editing, no colours: for programs
    #[arg(short = 'b', long)]
    pub batchmode: bool,
}

/// What the switch's own configuration says of its event socket and its keys.
#[derive(Clone, Debug, Default)]
pub struct Local {
    /// Where it listens, as one connects to it.
    pub host: Option<String>,
    /// Its port.
    pub port: Option<u16>,
    /// Its password.
    pub password: Option<String>,
    /// `cli-keybindings` of switch.conf: number of the key, command.
    pub keys: Vec<(usize, String)>,
}

/// What the console is to do, all said.
#[derive(Clone, Debug)]
pub struct Wishes {
    /// Where the switch is.
    pub place: Place,
    /// What F1 to F12 do.
    pub keys: Vec<String>,
    /// The level of the log at first; none shows no log.
    pub level: Option<String>,
    /// How many letters of a leg's uuid stand before its lines.
    pub uuid_letters: usize,
    /// The leg whose lines are shown; none shows all.
    pub only_uuid: Option<String>,
    /// Colours, where there is a terminal.
    pub colours: bool,
    /// The lines typed are kept for the next time.
    pub history: bool,
    /// Lines are read as they come, without a prompt.
    pub batch: bool,
    /// Control-C leaves.
    pub interrupt: bool,
    /// How often connecting is tried, a second apart.
    pub tries: u32,
    /// How often it is tried again once the connection is lost; 0: when the user types.
    pub tries_again: u32,
    /// How long the command of `-x` may take.
    pub timeout: Option<Duration>,
}

impl Flags {
    /// The section that is named, read from the first of these files that has it.
    ///
    /// # Errors
    /// None of them has it.
    pub fn read_section(&self, files: &[&Path]) -> Result<Section, String> {
        let Some(name) = &self.section else { return Ok(Section::default()) };
        let texts = files.iter().filter_map(|file| std::fs::read_to_string(file).ok());
        texts.filter_map(|text| Section::find(&text, name)).next().ok_or_else(|| {
            let files: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
            format!("there is no [{name}] in {}", files.join(" or "))
        })
    }

    /// Everything together: what is said here goes before the section, that before the configuration.
    pub fn wishes(&self, section: &Section, local: &Local) -> Wishes {
        let said = |flag: &Option<String>, name: &str| flag.clone().or_else(|| section.get(name));
        let millis = |flag: Option<u64>, name: &str| {
            let said = flag.or_else(|| section.get(name)?.parse().ok());
            said.filter(|millis| *millis > 0).map(Duration::from_millis)
        };
        let batch = self.batchmode || section.is("batchmode");
        let quiet = self.loglevel.is_none() && (self.quiet || section.is("quiet"));
        let short = self.log_uuid_short || section.is("log-uuid-short");
        let letters = section.get("log-uuid-length").and_then(|length| length.parse().ok());
        let uuid_letters = match (short, self.log_uuid || section.is("log-uuid")) {
            (true, _) => SHORT,
            (false, true) => letters.filter(|length| *length > 0).unwrap_or(usize::MAX),
            (false, false) => 0,
        };
        let mut keys: Vec<String> = KEYS.iter().map(|command| (*command).to_owned()).collect();
        for (number, command) in local.keys.iter().cloned().chain(section.keys()) {
            if let Some(key) = number.checked_sub(1).and_then(|at| keys.get_mut(at)) {
                // In the switch's own console that is the level of what is seen there; here that is the log of this client.
                *key = match command.strip_prefix("console loglevel ") {
                    Some(level) => format!("/log {level}"),
                    None => command,
                };
            }
        }
        let host = said(&self.host, "host").or_else(|| local.host.clone());
        let port = self.port.or_else(|| section.get("port")?.parse().ok()).or(local.port);
        let password = said(&self.password, "password").or_else(|| local.password.clone());
        Wishes {
            place: Place {
                host: host.unwrap_or("127.0.0.1".to_owned()),
                port: port.unwrap_or(8021),
                user: said(&self.user, "user"),
                password: password.unwrap_or("ClueCon".to_owned()),
                patience: millis(self.connect_timeout, "connect-timeout").unwrap_or(PATIENCE),
            },
            keys,
            level: said(&self.loglevel, "loglevel").or(Some("info".to_owned())).filter(|_| !quiet),
            uuid_letters,
            only_uuid: self.set_log_uuid.clone(),
            colours: !(self.no_color || batch),
            history: !(self.no_history_file || section.is("no-history-file") || batch),
            batch,
            interrupt: self.interrupt,
            tries: if self.retry { TRIES } else { 1 },
            tries_again: if self.reconnect { TRIES } else { 0 },
            timeout: millis(self.timeout, "timeout"),
        }
    }
}

/// A section of `fs_cli`'s configuration: lines `name => value` below `[section]`; `;` and `#` begin a comment.
#[derive(Clone, Debug, Default)]
pub struct Section(Vec<(String, String)>);

impl Section {
    /// The section of that name.
    fn find(text: &str, name: &str) -> Option<Section> {
        let mut found = None;
        let mut here = false;
        for line in text.lines().map(str::trim).filter(|line| !line.starts_with([';', '#'])) {
            if let Some(head) = line.strip_prefix('[') {
                here = head.trim_end_matches(']').trim() == name;
                if here && found.is_none() {
                    found = Some(Section::default());
                }
            } else if let (true, Some(section), Some((name, value))) =
                (here, &mut found, line.split_once("=>").or_else(|| line.split_once('=')))
            {
                section.0.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
            }
        }
        found
    }

    /// The last value of that name.
    fn get(&self, name: &str) -> Option<String> {
        self.0.iter().rev().find(|(own, _)| own == name).map(|(_, value)| value.clone())
    }

    fn is(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| crate::config::value::is_true(&value))
    }

    /// `key_F5 => COMMAND`.
    fn keys(&self) -> impl Iterator<Item = (usize, String)> {
        let key = |(name, value): &(String, String)| {
            Some((name.strip_prefix("key_f")?.parse().ok()?, value.clone()))
        };
        self.0.iter().filter_map(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "; of a man with two switches\n[default]\nhost => 192.0.2.1\n[lab]\n; a comment\nhost => 192.0.2.2\n\
        PORT=8022\npassword => a => b\nuser => ops@lab\nkey_F5 => show registrations\nkey_F13 => x\nquiet => true\n\
        connect-timeout => 250\nlog-uuid => yes\n";

    fn local() -> Local {
        Local {
            host: Some("127.0.0.1".to_owned()),
            port: Some(8031),
            password: Some("own".to_owned()),
            keys: vec![
                (7, "console loglevel 0".to_owned()),
                (10, "sofia status".to_owned()),
                (0, "x".to_owned()),
            ],
        }
    }

    #[test]
    fn what_is_not_said_stands_in_the_configuration() {
        let wishes = Flags::default().wishes(&Section::default(), &local());
        let place = &wishes.place;
        assert_eq!((place.host.as_str(), place.port, place.password.as_str()), ("127.0.0.1", 8031, "own"));
        assert_eq!(wishes.keys[..2], ["help", "status"], "fs_cli's where nothing is said");
        assert_eq!((wishes.keys[6].as_str(), wishes.keys[9].as_str()), ("/log 0", "sofia status"));
        assert_eq!((wishes.level.as_deref(), wishes.uuid_letters, wishes.tries), (Some("info"), 0, 1));
        let nothing = Flags::default().wishes(&Section::default(), &Local::default());
        assert_eq!((nothing.place.port, nothing.place.password.as_str()), (8021, "ClueCon"));
    }

    #[test]
    fn a_section_says_it_all_and_the_command_line_goes_before() {
        let section = Section::find(FILE, "lab").unwrap();
        let wishes = Flags::default().wishes(&section, &Local::default());
        let place = &wishes.place;
        assert_eq!((place.host.as_str(), place.port, place.password.as_str()), ("192.0.2.2", 8022, "a => b"));
        assert_eq!((place.user.as_deref(), place.patience), (Some("ops@lab"), Duration::from_millis(250)));
        assert_eq!(
            (wishes.keys[4].as_str(), wishes.level, wishes.uuid_letters),
            ("show registrations", None, usize::MAX)
        );
        let flags = Flags {
            host: Some("h".to_owned()),
            loglevel: Some("debug".to_owned()),
            log_uuid_short: true,
            ..Flags::default()
        };
        let wishes = flags.wishes(&section, &Local::default());
        assert_eq!(
            (wishes.place.host.as_str(), wishes.level.as_deref(), wishes.uuid_letters),
            ("h", Some("debug"), 8)
        );
        assert!(Section::find(FILE, "la").is_none());
        let flags = Flags { section: Some("nowhere".to_owned()), ..Flags::default() };
        let error = flags.read_section(&[Path::new("/nonexistent/fs_cli.conf")]).unwrap_err();
        assert_eq!(error, "there is no [nowhere] in /nonexistent/fs_cli.conf");
    }
}
