//! The terminal: lines edited and remembered, completion asked of the switch, the function keys.
//!
//! Two threads share a [`Line`]: the one that types, and the one that reads the connection and shows what is told. With `-R` a
//! third looks for a new connection when that is lost.

use std::io::{self, BufRead, IsTerminal, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

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

use super::Wishes;
use super::console::{self, Done, Manner};
use super::session::{Session, Told};

/// How many lines are remembered.
const HISTORY: usize = 1_000;
/// How long Tab waits for what the switch offers.
const COMPLETES: Duration = Duration::from_secs(2);

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
                let asked = format!("api console_complete c={pos};{line}");
                session.ask_within(COMPLETES, &asked, &[]).unwrap_or_default()
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
    command: String,
    pressed: Shared<Option<(String, String)>>,
}

impl ConditionalEventHandler for Key {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, now: &EventContext<'_>) -> Option<Cmd> {
        *lock(&self.pressed) = Some((self.command.clone(), now.line().to_owned()));
        Some(Cmd::AcceptLine)
    }
}

/// The connection, and how what comes of it is shown. A clone is the same.
#[derive(Clone)]
struct Line {
    wishes: Arc<Wishes>,
    session: Shared<Option<Session>>,
    manner: Shared<Manner>,
    /// Prints above the line that is being typed; without a terminal there is none.
    printer: Shared<Option<Box<dyn ExternalPrinter + Send>>>,
    /// The user has left: what closes now is not opened again.
    left: Arc<AtomicBool>,
}

impl Line {
    fn new(wishes: &Wishes, printer: Option<Box<dyn ExternalPrinter + Send>>) -> Line {
        let manner = Manner {
            colours: wishes.colours,
            uuid_letters: wishes.uuid_letters,
            uuid: wishes.only_uuid.clone(),
            text: None,
        };
        Line {
            wishes: Arc::new(wishes.clone()),
            session: Arc::default(),
            manner: Arc::new(Mutex::new(manner)),
            printer: Arc::new(Mutex::new(printer)),
            left: Arc::default(),
        }
    }

    /// Shows what the switch has told.
    fn tell(&self, told: &Told) {
        if self.left.load(Ordering::Relaxed) {
            return;
        }
        let text = lock(&self.manner).show(told);
        if let Some(text) = text {
            self.print(text);
        }
        if matches!(told, Told::Closed(_)) && self.wishes.tries_again > 0 {
            let line = self.clone();
            // Without a thread the next line that is typed connects.
            let _ = thread::Builder::new().name("reconnect".to_owned()).spawn(move || line.look_again());
        }
    }

    fn print(&self, text: String) {
        match &mut *lock(&self.printer) {
            Some(printer) => drop(printer.print(text)), // the terminal is gone: so is who reads it
            None => print(&text),
        }
    }

    /// A connection, logged in, its log turned on; and what the switch says of itself.
    fn connect(&self, tries: u32) -> io::Result<(Session, String)> {
        let line = self.clone();
        let mut session = Session::open_within(&self.wishes.place, tries, move |told| line.tell(&told))?;
        let mut said = format!("{}\n", session.api("version")?.trim_end());
        if let Some(level) = &self.wishes.level {
            said += &format!("{}\n", session.ask(&format!("log {level}"), &[])?);
        }
        Ok((session, console::plain(&said)))
    }

    /// Looks for a new connection, a try a second. Events that were asked for and a level of the log that was set are to be
    /// asked for again.
    fn look_again(&self) {
        for _ in 0..self.wishes.tries_again {
            thread::sleep(Duration::from_secs(1));
            let open = |session: &mut Option<Session>| session.as_mut().is_some_and(Session::is_open);
            if self.left.load(Ordering::Relaxed) || open(&mut lock(&self.session)) {
                return;
            }
            if let Ok((new, said)) = self.connect(1) {
                *lock(&self.session) = Some(new);
                return self.print(format!("Connected again.\n{said}"));
            }
        }
        self.print(format!("{}:{} does not answer\n", self.wishes.place.host, self.wishes.place.port));
    }

    /// Does what a line says. False when the user leaves, or a script has lost its connection.
    ///
    /// # Errors
    /// Those that end a script.
    fn run(&self, text: &str) -> io::Result<bool> {
        let person = io::stdin().is_terminal();
        let mut session = lock(&self.session);
        if session.as_mut().is_none_or(|session| !session.is_open()) {
            if console::leaves(text) {
                return Ok(false);
            }
            match self.connect(1) {
                Ok((new, said)) => {
                    print(&said);
                    *session = Some(new);
                }
                Err(error) if !person => return Err(error),
                Err(error) => {
                    let place = &self.wishes.place;
                    print(&format!("{}:{}: {error}; Return tries again\n", place.host, place.port));
                    return Err(io::ErrorKind::WouldBlock.into());
                }
            }
        }
        let Some(session) = session.as_mut() else { return Ok(false) };
        let mut manner = lock(&self.manner).clone();
        match console::run(session, &mut manner, text) {
            Ok(Done::Say(text)) => print(&format!("{}\n", text.trim_end_matches('\n'))),
            Ok(Done::Leave) => return Ok(false),
            // A script ends with the connection; a person may go on.
            Err(error) if !person => return Err(error),
            Err(error) => print(&format!("{error}\n")),
        }
        *lock(&self.manner) = manner;
        Ok(true)
    }

    /// The user leaves.
    fn leave(&self) {
        self.left.store(true, Ordering::Relaxed);
        *lock(&self.session) = None;
    }
}

/// The console itself: connects, and does what is typed until the user leaves.
///
/// # Errors
/// Nobody is there or lets us in, or there is no terminal.
pub fn talk(wishes: &Wishes) -> io::Result<()> {
    if wishes.batch {
        return read_lines(wishes);
    }
    let config = Config::builder().max_history_size(HISTORY).map_err(other)?;
    let config = config.completion_type(rustyline::CompletionType::List).build();
    let mut editor: Editor<Completing, FileHistory> = Editor::with_config(config).map_err(other)?;
    let pressed: Shared<Option<(String, String)>> = Arc::default();
    for (n, command) in (1..).zip(&wishes.keys) {
        let key = Key { command: command.clone(), pressed: pressed.clone() };
        editor.bind_sequence(
            KeyEvent(KeyCode::F(n), Modifiers::NONE),
            EventHandler::Conditional(Box::new(key)),
        );
    }
    let printer = editor.create_external_printer().ok();
    let line = Line::new(wishes, printer.map(|printer| Box::new(printer) as Box<dyn ExternalPrinter + Send>));
    let (session, said) = line.connect(wishes.tries)?;
    *lock(&line.session) = Some(session);
    print(&format!("{said}Tab completes, F1 helps, /exit leaves.\n"));
    editor.set_helper(Some(Completing(line.session.clone())));
    let history = history().filter(|_| wishes.history);
    if let Some(file) = &history {
        let _ = editor.load_history(file); // the first time there is none
    }
    let prompt = format!("tandem@{}> ", wishes.place.host);
    let mut begun = String::new();
    let outcome = loop {
        let typed = match editor.readline_with_initial(&prompt, (&begun, "")) {
            Ok(typed) => typed,
            Err(ReadlineError::Interrupted) if wishes.interrupt => break Ok(()),
            Err(ReadlineError::Interrupted) => {
                print("Type control-D or /exit or /quit or /bye to exit.\n");
                begun.clear();
                continue;
            }
            Err(ReadlineError::Eof) => break Ok(()),
            Err(error) => break Err(other(error)),
        };
        let key = lock(&pressed).take();
        let text = match key {
            Some((command, typed)) => {
                begun = typed;
                print(&format!("{command}\n"));
                command
            }
            None => {
                begun.clear();
                let _ = editor.add_history_entry(&typed); // what is not remembered is run all the same
                typed
            }
        };
        if text.trim().is_empty() {
            continue;
        }
        if let Some(file) = &history {
            let _ = editor.save_history(file); // a home that cannot be written forgets
        }
        match line.run(&text) {
            Ok(true) => {}
            Ok(false) => break Ok(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => begun = text,
            Err(error) => break Err(error),
        }
    };
    line.leave();
    outcome
}

/// `-b`: lines as they come, answers as they are.
fn read_lines(wishes: &Wishes) -> io::Result<()> {
    let line = Line::new(wishes, None);
    let (session, said) = line.connect(wishes.tries)?;
    *lock(&line.session) = Some(session);
    print(&said);
    for text in io::stdin().lock().lines() {
        let text = text?;
        if text.trim().is_empty() {
            continue;
        }
        match line.run(&text) {
            Ok(true) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Ok(false) => break,
            Err(error) => return Err(error),
        }
    }
    line.leave();
    Ok(())
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
