//! What a typed line means, and how what comes back looks (fs_cli.c).

use std::io;

use super::session::{Session, Told};

/// What `/help` says.
const USAGE: &str = "Command                    \tDescription\n\
-----------------------------------------------\n\
/help                      \tHelp\n\
/exit, /quit, /bye, ...    \tExit the program.\n\
/event, /noevents, /nixevent\tEvent commands.\n\
/log, /nolog               \tLog commands.\n\
/uuid                      \tFilter logs for a single call uuid\n\
/filter                    \tFilter commands.\n\
/logfilter                 \tFilter Log for a single string.\n\n\
Anything else is a command of the switch; help lists them.\n";

/// What the function keys F1 to F12 do where nothing else is said: `fs_cli`'s own.
pub(super) const KEYS: [&str; 12] = [
    "help",
    "status",
    "show channels",
    "show calls",
    "sofia status",
    "reloadxml",
    "/log console",
    "/log debug",
    "sofia status profile internal",
    "fsctl pause",
    "fsctl resume",
    "version",
];

/// How what is told looks.
#[derive(Clone, Debug, Default)]
pub struct Manner {
    /// Levels of the log have colours.
    pub colours: bool,
    /// How many letters of a leg's uuid stand before its lines.
    pub uuid_letters: usize,
    /// Only lines about this leg.
    pub uuid: Option<String>,
    /// Only lines with this text in them.
    pub text: Option<String>,
}

impl Manner {
    /// What is shown of something told, if anything is: whole lines.
    pub fn show(&self, told: &Told) -> Option<String> {
        match told {
            Told::Log { level, uuid, text } => {
                let of_leg = self.uuid.as_ref().is_none_or(|only| uuid.is_empty() || uuid == only);
                let wanted = self.text.as_ref().is_none_or(|only| text.contains(only.as_str()));
                let line = text.trim_end_matches('\n');
                if !of_leg || !wanted || line.is_empty() {
                    return None;
                }
                let mut shown: String = plain(uuid).chars().take(self.uuid_letters).collect();
                if !shown.is_empty() {
                    shown.push(' ');
                }
                shown += &plain(line);
                Some(match self.colours {
                    true => format!("\x1b[{}m{shown}\x1b[0m\n", colour(*level)),
                    false => format!("{shown}\n"),
                })
            }
            Told::Event(text) => Some(format!("RECV EVENT\n{}\n", plain(text.trim_end_matches('\n')))),
            Told::Closed(why) => Some(format!("{why}\n")),
        }
    }
}

/// The colour of a level of the log, as `fs_cli` has them.
fn colour(level: u8) -> &'static str {
    match level {
        0 => "0",
        1..=3 => "31",
        4 => "35",
        5 => "36",
        6 => "32",
        _ => "33",
    }
}

/// A text as a terminal may have it: nothing that comes over the socket moves the cursor or colours the screen.
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' && c != '\t' { ' ' } else { c }).collect()
}

/// What a line came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Done {
    /// This is to be shown.
    Say(String),
    /// The user wants to leave.
    Leave,
}

/// Whether a line says that the user wants to leave.
pub(super) fn leaves(line: &str) -> bool {
    let word = line.split_whitespace().next().unwrap_or_default();
    ["/exit", "/quit", "/bye", "/...", "..."].iter().any(|leave| leave.eq_ignore_ascii_case(word))
}

/// Does what a line says. `manner` is what `/uuid` and `/logfilter` change.
pub(super) fn run(session: &mut Session, manner: &mut Manner, line: &str) -> io::Result<Done> {
    let line = line.trim();
    let Some(own) = line.strip_prefix('/').or(leaves(line).then_some("exit")) else {
        if let Some(level) = line.strip_prefix("console loglevel ") {
            session.ask(&format!("log {level}"), &[])?;
        }
        return Ok(Done::Say(plain(&session.api(line)?)));
    };
    let (name, rest) = own.split_once(' ').unwrap_or((own, ""));
    let rest = rest.trim();
    let only = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let word = |on: bool| if on { "enabled" } else { "disabled" };
    Ok(Done::Say(match name.to_ascii_lowercase().as_str() {
        "help" => USAGE.to_owned(),
        _ if leaves(line) => return Ok(Done::Leave),
        "uuid" => {
            manner.uuid = only(rest);
            format!("UUID filtering {}\n", word(manner.uuid.is_some()))
        }
        "logfilter" => {
            manner.text = only(rest);
            format!("Logfilter {}\n", word(manner.text.is_some()))
        }
        "event" | "noevents" | "nixevent" | "log" | "nolog" | "filter" => {
            format!("{}\n", plain(&session.ask(own, &[])?))
        }
        _ => format!("Unknown command [{own}]\n"),
    }))
}

/// `-x`: runs one command. Answers what it says, and whether that is an error: `sofia` says `Invalid Profile!`,
/// `Invalid Gateway!` and the like.
///
/// # Errors
/// The connection is gone.
pub fn execute(session: &mut Session, line: &str) -> io::Result<(String, bool)> {
    let said = session.api(line)?;
    let failed = ["-ERR", "-USAGE", "Invalid "].iter().any(|word| said.starts_with(word));
    Ok((said, failed))
}

/// Reads what `console_complete` answers: where the word begins that is typed (`line` ends at the cursor), and how it may
/// go on.
pub(super) fn completions(line: &str, said: &str) -> (usize, Vec<String>) {
    let begin = line.rfind(' ').map_or(0, |at| at + 1);
    let list = said.split("write=").next().unwrap_or(said);
    let offered = list.split('[').skip(1).filter_map(|part| part.split_once(']'));
    let mut found: Vec<String> =
        offered.map(|(name, _)| plain(name.trim())).filter(|n| !n.is_empty()).collect();
    if let [only] = found.as_mut_slice() {
        only.push(' ');
    }
    (begin, found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_lines_are_coloured_and_picked() {
        let line = |level, uuid: &str, text: &str| Told::Log { level, uuid: uuid.into(), text: text.into() };
        let mut manner = Manner { colours: true, ..Manner::default() };
        assert_eq!(manner.show(&line(3, "", "no\n")).unwrap(), "\x1b[31mno\x1b[0m\n");
        assert_eq!(
            manner.show(&line(7, "", "a\x1b[2Jb")).unwrap(),
            "\x1b[33ma [2Jb\x1b[0m\n",
            "nothing from outside moves the cursor"
        );
        assert_eq!(manner.show(&line(6, "", "\n")), None);
        manner = Manner { colours: false, uuid_letters: 0, uuid: Some("u1".into()), text: Some("x".into()) };
        assert_eq!(manner.show(&line(6, "u2", "x")), None);
        assert_eq!(manner.show(&line(6, "u1", "y")), None);
        assert_eq!(manner.show(&line(6, "u1", "x")).unwrap(), "x\n");
        manner = Manner { uuid_letters: 3, ..Manner::default() };
        assert_eq!(manner.show(&line(6, "abcdef", "x")).unwrap(), "abc x\n");
        assert_eq!(manner.show(&line(6, "", "x")).unwrap(), "x\n");
    }

    #[test]
    fn some_lines_leave() {
        for line in ["/exit", " /QUIT", "/bye now", "...", "/..."] {
            assert!(leaves(line), "{line}");
        }
        for line in ["exit", "/exits", "", "/"] {
            assert!(!leaves(line), "{line}");
        }
    }

    #[test]
    fn completions_are_read_as_the_switch_writes_them() {
        let said = "\n\n[          uuid_answer]\t[            uuid_kill]\t\n\nwrite=3:uuid_";
        assert_eq!(completions("uui", said), (0, vec!["uuid_answer".to_owned(), "uuid_kill".to_owned()]));
        let said = "\n\n[             channels]\t\n\nwrite=2:channels ";
        assert_eq!(completions("show ch", said), (5, vec!["channels ".to_owned()]));
        assert_eq!(completions("x", "\n\n\n\n"), (0, vec![]));
    }
}
