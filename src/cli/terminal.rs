//! The terminal: lines edited and remembered, completion asked of the switch, the function keys.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::Validator;
use rustyline::{
    Cmd, ConditionalEventHandler, Config, Editor, Event, EventContext, EventHandler, ExternalPrinter,
    KeyCode, KeyEvent, Modifiers, RepeatCount,
};

use super::console::{self, Done, KEYS, Manner};
use super::session::{Session, Told};
use super::{Place, Session as Connection};

/// How many lines are remembered.
const HISTORY: usize = 1_000;

/// How the log is shown; the thread that reads and the one that types share it.
type Shared<T> = Arc<Mutex<T>>;

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Completes lines by asking the switch.
struct Completing(Shared<Option<Session>>);

impl Completer for Completing {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        pos: usize,
        _: &rustyline::Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        let line = line.get(..pos).unwrap_or(line);
        let said = match lock(&self.0).as_mut() {
            Some(session) => {
                session.ask(&format!("api console_complete c={pos};{line}"), &[]).unwrap_or_default()
            }
            None => String::new(),
        };
        Ok(console::completions(line, &said))
    }
}

impl Hinter for Completing {
    type Hint = String;
}
impl Highlighter for Completing {}
impl Validator for Completing {}
impl rustyline::Helper for Completing {}

/// A function key: its command is left where the loop finds it, and the line that was being typed is put away.
struct Key {
    command: &'static str,
    pressed: Shared<Option<(&'static str, String)>>,
}

impl ConditionalEventHandler for Key {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, now: &EventContext<'_>) -> Option<Cmd> {
        *lock(&self.pressed) = Some((self.command, now.line().to_owned()));
        Some(Cmd::AcceptLine)
    }
}

/// The console itself: connects, and does what is typed until the user leaves. `level` is what is logged from the start.
///
/// # Errors
/// Nobody is there or lets us in, or there is no terminal.
pub fn talk(place: &Place, level: Option<&str>, colours: bool) -> io::Result<()> {
    let manner: Shared<Manner> = Arc::new(Mutex::new(Manner { colours, ..Manner::default() }));
    let config = Config::builder().max_history_size(HISTORY).map_err(other)?.auto_add_history(true);
    let config = config.completion_type(rustyline::CompletionType::List).build();
    let mut editor: Editor<Completing, FileHistory> = Editor::with_config(config).map_err(other)?;
    let pressed: Shared<Option<(&'static str, String)>> = Arc::default();
    for (n, command) in (1..).zip(KEYS) {
        let key = Key { command, pressed: pressed.clone() };
        editor.bind_sequence(
            KeyEvent(KeyCode::F(n), Modifiers::NONE),
            EventHandler::Conditional(Box::new(key)),
        );
    }
    // Without a terminal lines are printed as they come.
    let printer = Arc::new(Mutex::new(editor.create_external_printer().ok()));
    let shown = manner.clone();
    let told = move |told: Told| {
        let Some(text) = lock(&shown).show(&told) else { return };
        match &mut *lock(&printer) {
            Some(printer) => drop(printer.print(text)), // the terminal is gone: so is who reads it
            None => print(&text),
        }
    };
    let connect = || -> io::Result<Session> {
        let mut session = Connection::open(place, told.clone())?;
        print(&format!("{}\n", session.api("version")?.trim_end()));
        if let Some(level) = level {
            let said = session.ask(&format!("log {level}"), &[])?;
            print(&format!("{said}\n"));
        }
        Ok(session)
    };
    let session = connect()?;
    print("Tab completes, F1 helps, /exit leaves.\n");
    let session = Arc::new(Mutex::new(Some(session)));
    editor.set_helper(Some(Completing(session.clone())));
    let history = history();
    if let Some(file) = &history {
        let _ = editor.load_history(file); // the first time there is none
    }
    let prompt = format!("tandem@{}> ", place.host);
    let mut begun = String::new();
    let outcome = loop {
        let line = match editor.readline_with_initial(&prompt, (&begun, "")) {
            Ok(line) => line,
            Err(ReadlineError::Interrupted) => {
                print("Type control-D or /exit or /quit or /bye to exit.\n");
                begun.clear();
                continue;
            }
            Err(ReadlineError::Eof) => break Ok(()),
            Err(error) => break Err(other(error)),
        };
        let key = lock(&pressed).take();
        let line = match key {
            Some((command, typed)) => {
                begun = typed;
                print(&format!("{command}\n"));
                command.to_owned()
            }
            None => {
                begun.clear();
                line
            }
        };
        if line.trim().is_empty() {
            continue;
        }
        if let Some(file) = &history {
            let _ = editor.save_history(file); // a home that cannot be written forgets
        }
        let mut session = lock(&session);
        if session.as_mut().is_none_or(|session| !session.is_open()) {
            if console::leaves(&line) {
                break Ok(());
            }
            // Events that were asked for and a level of the log that was set are to be asked for again.
            match connect() {
                Ok(new) => *session = Some(new),
                Err(error) if !io::stdin().is_terminal() => break Err(error),
                Err(error) => {
                    print(&format!("{}:{}: {error}; Return tries again\n", place.host, place.port));
                    begun = line;
                    continue;
                }
            }
        }
        let Some(session) = session.as_mut() else { break Ok(()) };
        let mut own = lock(&manner).clone();
        match console::run(session, &mut own, &line) {
            Ok(Done::Say(text)) => print(&format!("{}\n", text.trim_end_matches('\n'))),
            Ok(Done::Leave) => break Ok(()),
            // A script ends with the connection; a person may go on.
            Err(error) if !io::stdin().is_terminal() => break Err(error),
            Err(error) => print(&format!("{error}\n")),
        }
        *lock(&manner) = own;
    };
    *lock(&session) = None;
    outcome
}

/// `~/.tandem_history`.
fn history() -> Option<PathBuf> {
    std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".tandem_history"))
}

fn print(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush()); // nobody reads it any more
}

fn other(error: ReadlineError) -> io::Error {
    match error {
        ReadlineError::Io(error) => error,
        error => io::Error::other(error),
    }
}
