//! X-PRE-PROCESS: line by line, includes in place, `$${name}` from the globals known at that line.
//!
//! Follows FreeSWITCH's `switch_xml.c` with its quirks, for stock trees lean on them: a line that holds
//! `<include>`, `</include>` or `<?` is dropped whole; a directive is found anywhere on a line and the rest of that
//! line is lost; XML comments do not protect a directive. Each quirk that bites earns a warning.

use std::collections::{HashMap, HashSet};
use std::io::Read;
use std::net::IpAddr;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::flat::Flat;
use super::glob::glob;
use super::globals::Table;
use super::load::{Ask, Options, absolute, root_source};
use super::position::{Position, Source};
use super::problem::Problem;
use super::suggest::nearest;

/// Files may include files this deep, as in FreeSWITCH.
pub const MAX_NESTING: usize = 100;
/// No single file may be larger.
const MAX_FILE: u64 = 256 << 20;
/// No global may grow beyond this, and no expanded line beyond sixteen times this.
const MAX_VALUE: usize = 1 << 20;
/// No more files are read than this: an include of an include of … ends.
const MAX_FILES: usize = 1_000_000;
/// One STUN or DNS question.
const LOOKUP_LIMIT: Duration = Duration::from_secs(2);
/// All of them together; afterwards the local address is taken at once.
const LOOKUPS_LIMIT: Duration = Duration::from_secs(4);
/// One `exec` or `exec-set`.
const EXEC_LIMIT: Duration = Duration::from_secs(10);

/// What the preprocessor made of the files.
pub struct Done {
    /// The flat text.
    pub flat: Flat,
    /// The root file.
    pub root: Arc<Source>,
    /// What is wrong for certain.
    pub problems: Vec<Problem>,
    /// Problems that are none if the flat offset lies inside an XML comment.
    pub unless_comment: Vec<(usize, Problem)>,
    /// Problems that are some only if the flat offset lies inside an XML comment.
    pub if_comment: Vec<(usize, Problem)>,
    /// `$${name}` used while not set: flat offset, name, place.
    pub unset: Vec<(usize, String, Position)>,
    /// Every file read, in order.
    pub files: Vec<PathBuf>,
    /// Where each global was set last, by name in lower case.
    pub set: HashMap<String, Position>,
    /// The root file could not be read.
    pub fatal: bool,
}

/// Runs the preprocessor over the file `root`.
pub fn run(options: &Options, root: &Path, table: &mut Table) -> Done {
    let source = root_source(&normal(root).display().to_string());
    let at = Position { source: Arc::clone(&source), line: 0, column: 0 };
    let mut run = Run::new(options, table);
    let path = absolute(root);
    let mut fatal = false;
    match read_file(&path) {
        Ok(bytes) => run.file(&path, &source, &bytes, 0),
        Err(reason) => {
            fatal = true;
            let problem = Problem::error(&at, reason);
            run.problems.push(problem.hint("give the folder that holds freeswitch.xml with --conf"));
        }
    }
    run.done(source, fatal)
}

/// The same over a text that stands for the file `name`.
pub fn run_text(options: &Options, name: &str, text: &[u8], table: &mut Table) -> Done {
    let source = root_source(name);
    let mut run = Run::new(options, table);
    run.file(&absolute(Path::new(name)), &source, text, 0);
    run.done(source, false)
}

struct Run<'a> {
    options: &'a Options,
    table: &'a mut Table,
    /// Names given by `--set`, lower case.
    locked: HashSet<String>,
    conf: PathBuf,
    flat: Flat,
    problems: Vec<Problem>,
    unless_comment: Vec<(usize, Problem)>,
    if_comment: Vec<(usize, Problem)>,
    unset: Vec<(usize, String, Position)>,
    files: Vec<PathBuf>,
    set: HashMap<String, Position>,
    /// The files being read now, outermost first, to find loops.
    stack: Vec<PathBuf>,
    answers: HashMap<Ask, Result<IpAddr, String>>,
    asked: Duration,
    full: bool,
}

/// A line after `$${}` expansion, with the way back to its columns.
struct Line {
    text: String,
    /// (offset in `text`, column in the file, whether it was put there by an expansion).
    pieces: Vec<(usize, u32, bool)>,
    /// How much of the line as typed FreeSWITCH looks at for `<include>`: it ends inside the first expansion.
    seen: usize,
}

impl Line {
    /// The column where the byte at `offset` was typed.
    fn column(&self, offset: usize) -> u32 {
        let index = self.pieces.partition_point(|p| p.0 <= offset);
        let Some((start, column, fixed)) = index.checked_sub(1).and_then(|i| self.pieces.get(i)) else {
            return 1;
        };
        if *fixed {
            return *column;
        }
        let passed = self.text.get(*start..offset).unwrap_or("");
        column + passed.chars().count() as u32
    }
}

impl<'a> Run<'a> {
    fn new(options: &'a Options, table: &'a mut Table) -> Self {
        Run {
            options,
            table,
            locked: options.set.iter().map(|(name, _)| name.to_ascii_lowercase()).collect(),
            conf: absolute(&options.conf_dir),
            flat: Flat::default(),
            problems: Vec::new(),
            unless_comment: Vec::new(),
            if_comment: Vec::new(),
            unset: Vec::new(),
            files: Vec::new(),
            set: HashMap::new(),
            stack: Vec::new(),
            answers: HashMap::new(),
            asked: Duration::ZERO,
            full: false,
        }
    }

    fn done(self, root: Arc<Source>, fatal: bool) -> Done {
        Done {
            flat: self.flat,
            root,
            problems: self.problems,
            unless_comment: self.unless_comment,
            if_comment: self.if_comment,
            unset: self.unset,
            files: self.files,
            set: self.set,
            fatal,
        }
    }

    fn file(&mut self, path: &Path, source: &Arc<Source>, bytes: &[u8], depth: usize) {
        self.files.push(path.to_path_buf());
        self.stack.push(path.canonicalize().unwrap_or_else(|_| path.to_path_buf()));
        if let Some(text) = self.decode(source, bytes) {
            let mut in_comment = false;
            for (index, line) in text.split_inclusive('\n').enumerate() {
                let number = u32::try_from(index + 1).unwrap_or(u32::MAX);
                self.line(path, source, number, line, &mut in_comment, depth);
            }
        }
        self.stack.pop();
    }

    /// The file's characters. UTF-8; what is not, is read as Latin-1 with a warning unless the file declares it.
    fn decode<'t>(&mut self, source: &Arc<Source>, bytes: &'t [u8]) -> Option<std::borrow::Cow<'t, str>> {
        let at = |line, column| Position { source: Arc::clone(source), line, column };
        if bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]) {
            self.problems.push(Problem::error(&at(1, 1), "the file is UTF-16").hint("save it as UTF-8"));
            return None;
        }
        let bytes = bytes.strip_prefix(&[0xEF, 0xBB, 0xBF]).unwrap_or(bytes);
        if let Some(nul) = memchr::memchr(0, bytes) {
            let (line, column) = place(bytes, nul);
            self.problems.push(
                Problem::error(&at(line, column), "the file holds a NUL byte")
                    .hint("it is no text file, or it is damaged"),
            );
            return None;
        }
        let error = match std::str::from_utf8(bytes) {
            Ok(text) => return Some(text.into()),
            Err(error) => error,
        };
        let (line, column) = place(bytes, error.valid_up_to());
        let head = bytes.get(..bytes.len().min(200)).map(|h| h.to_ascii_lowercase()).unwrap_or_default();
        let declared = ["iso-8859", "latin", "windows-125"]
            .iter()
            .any(|n| memchr::memmem::find(&head, n.as_bytes()).is_some());
        if !declared {
            self.problems.push(
                Problem::warning(&at(line, column), "this is not UTF-8 and is read as Latin-1")
                    .hint("save the file as UTF-8"),
            );
        }
        Some(bytes.iter().map(|b| char::from(*b)).collect::<String>().into())
    }

    fn line(
        &mut self,
        path: &Path,
        source: &Arc<Source>,
        number: u32,
        typed: &str,
        in_comment: &mut bool,
        depth: usize,
    ) {
        let at = |column| Position { source: Arc::clone(source), line: number, column };
        let line = self.expand(typed, source, number);
        let seen = typed.get(..line.seen).unwrap_or(typed);
        if let Some(wrapper) = ["<include>", "</include>", "<?"].iter().find_map(|w| seen.find(w)) {
            let rest = unwrapped(typed);
            if !rest.trim().is_empty() && !*in_comment {
                let column = typed.get(..wrapper).unwrap_or("").chars().count() as u32 + 1;
                let problem = Problem::warning(&at(column), "everything else on this line is lost")
                    .hint("<include>, </include> and <?…?> stand alone on their line");
                self.unless_comment.push((self.flat.len(), problem));
            }
            return;
        }
        let mut from = 0;
        if *in_comment {
            match line.text.find("-->") {
                Some(end) => {
                    *in_comment = false;
                    from = end + 3;
                }
                None => return,
            }
        }
        let text = line.text.get(from..).unwrap_or("");
        if let Some(found) = find_blind(text, "x-pre-process") {
            self.directive(path, source, number, &line, from + found, depth);
            return;
        }
        if let Some(found) = text.find("<!--#") {
            let open = from + found;
            self.emit(&line, from, open, source, number);
            let (inside, rest) = match line.text.get(open..).and_then(|t| t.find("-->")) {
                Some(end) => (open..open + end, open + end + 3),
                None => {
                    *in_comment = true;
                    (open..line.text.len(), line.text.len())
                }
            };
            self.emit(&line, rest, line.text.len(), source, number);
            let inside_text = line.text.get(inside.clone()).unwrap_or("").get(5..).unwrap_or("");
            let inside_text = inside_text.split(['\r', '\n']).next().unwrap_or("");
            if let Some((command, argument)) = inside_text.split_once(' ') {
                let offset = open + 5 + command.len() + 1;
                let mut quoted = (argument, offset);
                if let Some(first) = argument.find('"') {
                    if let Some(body) = argument.get(first + 1..) {
                        if let Some(last) = body.find('"') {
                            quoted = (body.get(..last).unwrap_or(""), offset + first + 1);
                        }
                    }
                }
                let known = ["set", "exec-set", "stun-set", "include", "exec"];
                if known.iter().any(|k| k.eq_ignore_ascii_case(command)) {
                    let position = at(line.column(quoted.1));
                    self.command(
                        path,
                        &command.to_ascii_lowercase(),
                        quoted.0.to_owned(),
                        position,
                        at(line.column(open)),
                        depth,
                    );
                }
            }
            return;
        }
        self.emit(&line, from, line.text.len(), source, number);
    }

    /// `<X-PRE-PROCESS cmd="…" data="…"/>`: `found` is where the X is.
    fn directive(
        &mut self,
        path: &Path,
        source: &Arc<Source>,
        number: u32,
        line: &Line,
        found: usize,
        depth: usize,
    ) {
        let at = |offset: usize| Position {
            source: Arc::clone(source),
            line: number,
            column: line.column(offset),
        };
        let before = line.text.get(..found).unwrap_or("");
        let Some(before) = before.strip_suffix('<') else { return };
        let tag = at(found - 1);
        let here = self.flat.len();
        let rest = line.text.get(found..).unwrap_or("");
        let whole = rest.find("/>").map_or(rest, |end| rest.get(..end + 2).unwrap_or(rest));
        let opened = before.rfind("<!--").is_some_and(|o| !before.get(o..).unwrap_or("").contains("-->"));

        let Some(command) = quoted(whole, 0, "cmd") else {
            let missing = if find_blind(whole, "cmd").is_some() {
                Problem::warning(&tag, "the value of cmd is not in double quotes, so this line does nothing")
            } else {
                Problem::warning(&tag, "X-PRE-PROCESS without cmd does nothing")
            };
            self.doubtful(
                here,
                opened,
                missing.hint("write <X-PRE-PROCESS cmd=\"set\" data=\"name=value\"/> on one line"),
            );
            return;
        };
        let Some(argument) = command.closed.then(|| quoted(whole, command.after, "data")).flatten() else {
            let missing = if find_blind(whole.get(command.after..).unwrap_or(""), "data").is_some() {
                Problem::warning(&tag, "the value of data is not in double quotes, so this line does nothing")
            } else if find_blind(whole, "data").is_some() {
                Problem::warning(&tag, "data must come after cmd; this line does nothing")
            } else {
                Problem::warning(&tag, "X-PRE-PROCESS without data on the same line does nothing")
            };
            self.doubtful(
                here,
                opened,
                missing.hint("write <X-PRE-PROCESS cmd=\"set\" data=\"name=value\"/> on one line"),
            );
            return;
        };
        let warn_commented =
            Problem::warning(&tag, "a comment does not protect X-PRE-PROCESS: this line acts")
                .hint("remove the line, or write X-NO-PRE-PROCESS");
        if opened {
            self.problems.push(warn_commented);
        } else {
            self.if_comment.push((here, warn_commented));
        }
        let after = rest.get(argument.after..).unwrap_or("").trim_start();
        let after =
            ["/>", "></X-PRE-PROCESS>", ">"].iter().find_map(|e| after.strip_prefix(e)).unwrap_or(after);
        let alone = without_comments(before).trim().is_empty() && without_comments(after).trim().is_empty();
        if !alone && !opened {
            let problem = Problem::warning(&tag, "everything else on this line is lost")
                .hint("X-PRE-PROCESS stands alone on its line");
            self.unless_comment.push((here, problem));
        }
        let position = at(found + argument.start);
        let word = command.value.to_ascii_lowercase();
        let known = ["set", "include", "exec", "exec-set", "env-set", "stun-set"];
        if known.contains(&word.as_str()) {
            self.command(path, &word, argument.value.to_owned(), position, tag, depth);
        } else {
            let problem =
                Problem::warning(&at(found + command.start), format!("unknown X-PRE-PROCESS command {word}"));
            self.unless_comment.push((
                here,
                match nearest(&word, known) {
                    Some(near) => problem.hint(format!("did you mean {near}?")),
                    None => problem.hint("known are set, include, env-set, stun-set, exec-set and exec"),
                },
            ));
        }
    }

    fn doubtful(&mut self, here: usize, opened: bool, problem: Problem) {
        if !opened {
            self.unless_comment.push((here, problem));
        }
    }

    fn command(
        &mut self,
        path: &Path,
        command: &str,
        argument: String,
        at: Position,
        tag: Position,
        depth: usize,
    ) {
        if command == "include" {
            self.include(path, &argument, &tag, &at, depth);
            return;
        }
        if command == "exec" {
            if let Some(output) = self.execute(&argument, &at) {
                if !self.flat.push(&output, &tag.source, tag.line, tag.column, true) {
                    self.too_large(&tag);
                }
            }
            return;
        }
        let Some((name, value)) = argument.split_once('=') else {
            self.unless_comment.push((
                self.flat.len(),
                Problem::warning(&at, format!("{command} without = does nothing"))
                    .hint("write data=\"name=value\""),
            ));
            return;
        };
        if command == "env-set" {
            match value.strip_prefix('$') {
                Some(variable) => {
                    if let Some(found) = std::env::var_os(variable) {
                        self.set(name, &found.to_string_lossy(), &at);
                    }
                }
                None => self.unless_comment.push((
                    self.flat.len(),
                    Problem::warning(&at, format!("env-set of {name} does nothing: the variable needs a $"))
                        .hint(format!("write data=\"{name}=${value}\"")),
                )),
            }
            return;
        }
        let name = name.trim_end_matches(' ');
        let value = value.trim_start_matches(' ');
        match command {
            "set" => self.set(name, value, &at),
            "exec-set" => {
                if let Some(output) = self.execute(value, &at) {
                    let output = output.trim_end_matches([' ', '\n']);
                    if !output.is_empty() {
                        self.set(name, output, &at);
                    }
                }
            }
            _ => self.stun_set(name, value, &at),
        }
    }

    fn set(&mut self, name: &str, value: &str, at: &Position) {
        if self.locked.contains(&name.to_ascii_lowercase()) {
            return;
        }
        if value.len() > MAX_VALUE {
            let problem = Problem::error(at, format!("the value of {name} is larger than {MAX_VALUE} bytes"));
            self.problems.push(problem.hint("does it hold itself more than once?"));
            return;
        }
        if name.trim().is_empty() {
            self.problems.push(
                Problem::warning(at, "a variable without a name is not set")
                    .hint("write data=\"name=value\""),
            );
            return;
        }
        self.table.set(name, value);
        self.set.insert(name.to_ascii_lowercase(), at.clone());
    }

    //------------ include ----------------------------------------------------------------------------------------

    fn include(&mut self, path: &Path, pattern: &str, tag: &Position, at: &Position, depth: usize) {
        if pattern.trim().is_empty() {
            self.problems
                .push(Problem::warning(at, "include names no file").hint("write data=\"folder/*.xml\""));
            return;
        }
        if depth + 1 > MAX_NESTING {
            let problem = Problem::error(at, format!("files are included more than {MAX_NESTING} deep"));
            self.problems.push(problem.hint("look for a file that includes its own folder"));
            return;
        }
        let given = Path::new(pattern);
        let folder = path.parent().unwrap_or(Path::new("/"));
        let wanted = folder.join(given);
        let plain = normal(&wanted);
        if !plain.starts_with(&self.conf) && !plain.starts_with(absolute(&self.options.db_dir)) {
            if given.is_relative() {
                let problem = Problem::error(
                    at,
                    format!("{pattern} leads out of the configuration folder and is not read"),
                );
                self.problems
                    .push(problem.hint(format!("if it is meant, write the whole path, {}", plain.display())));
                return;
            }
            let problem = Problem::warning(at, format!("{pattern} is outside the configuration folder"));
            self.problems.push(problem.hint("whoever may write there decides what this switch does"));
        }
        let files = match glob(&wanted) {
            Ok(files) => files,
            Err(e) => {
                self.problems.push(
                    Problem::error(at, format!("cannot include {pattern}: {}", reason(&e)))
                        .hint("the folder must be readable by the user the switch runs as"),
                );
                return;
            }
        };
        if files.is_empty() {
            self.nothing_included(pattern, &plain, at);
        }
        for file in files {
            self.include_one(&file, tag, at, depth + 1);
        }
    }

    fn nothing_included(&mut self, pattern: &str, plain: &Path, at: &Position) {
        let wild = pattern.contains(['*', '?', '[']);
        if wild {
            self.unless_comment
                .push((self.flat.len(), Problem::note(at, format!("no file matches {pattern}"))));
            return;
        }
        // Written by the first run; a tree without it is in order.
        if plain.file_name().is_some_and(|n| n == "secrets.xml") {
            return;
        }
        let problem = Problem::warning(at, format!("there is no file {}", self.shown(plain)));
        let beside: Vec<String> = plain
            .parent()
            .and_then(|p| std::fs::read_dir(p).ok())
            .map(|d| d.flatten().take(10_000).map(|e| e.file_name().to_string_lossy().into_owned()).collect())
            .unwrap_or_default();
        let name = plain.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        self.unless_comment.push((
            self.flat.len(),
            match nearest(&name, beside.iter().map(String::as_str)) {
                Some(near) => problem.hint(format!("did you mean {near}?")),
                None => problem.hint("the path is relative to the folder of this file"),
            },
        ));
    }

    fn include_one(&mut self, file: &Path, tag: &Position, at: &Position, depth: usize) {
        if self.full {
            return;
        }
        if self.files.len() >= MAX_FILES {
            self.too_large(at);
            return;
        }
        let shown = self.shown(&normal(file));
        let canonical = file.canonicalize().unwrap_or_else(|_| file.to_path_buf());
        if self.stack.contains(&canonical) {
            let problem = Problem::error(at, format!("{shown} includes itself"));
            self.problems.push(
                problem.hint("remove the include, or narrow the pattern so that it leaves this file out"),
            );
            return;
        }
        match read_file(file) {
            Ok(bytes) => {
                let source = Arc::new(Source { path: shown.into(), included_at: Some(tag.clone()) });
                self.file(file, &source, &bytes, depth);
            }
            Err(reason) => {
                let problem = Problem::error(at, format!("{shown} cannot be included: {reason}"));
                self.problems.push(problem.hint("it must be a file readable by the user the switch runs as"));
            }
        }
    }

    /// The path as the user would type it: the configuration folder as given, then the way inside it.
    fn shown(&self, path: &Path) -> String {
        match path.strip_prefix(&self.conf) {
            Ok(inside) => normal(&self.options.conf_dir.join(inside)).display().to_string(),
            Err(_) => path.display().to_string(),
        }
    }

    //------------ commands and addresses -------------------------------------------------------------------------

    fn execute(&mut self, command: &str, at: &Position) -> Option<String> {
        if !self.options.allow_exec {
            let problem = Problem::error(at, "this would run a command, which is switched off");
            self.problems.push(
                problem
                    .hint("start with --allow-exec if everybody who may write these files may run commands"),
            );
            return None;
        }
        match run_command(command) {
            Ok(output) => Some(output),
            Err(reason) => {
                let problem = Problem::error(at, format!("the command `{command}` failed: {reason}"));
                self.problems.push(problem.hint("try it by hand as the user the switch runs as"));
                None
            }
        }
    }

    /// FreeSWITCH asks and waits; here each server is asked once, within a limit, and the local address serves
    /// when it does not answer.
    fn stun_set(&mut self, name: &str, value: &str, at: &Position) {
        if self.locked.contains(&name.to_ascii_lowercase()) {
            return;
        }
        let value = value.trim();
        let ask = if let Some(server) = strip_blind(value, "stun:") {
            let (host, port) = match server.rsplit_once(':') {
                Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, port.parse().ok()),
                _ => (server, Some(3478)),
            };
            let Some(port) = port.filter(|p| *p != 0).filter(|_| !host.is_empty()) else {
                self.problems.push(
                    Problem::error(at, format!("{value} names no STUN server"))
                        .hint("write stun:host or stun:host:port"),
                );
                return;
            };
            Ask::Stun { host: host.trim_matches(['[', ']']).to_owned(), port }
        } else if let Some(host) = strip_blind(value, "host:") {
            if host.is_empty() {
                self.problems
                    .push(Problem::error(at, "host: without a name").hint("write host:name.example"));
                return;
            }
            Ask::Host { name: host.to_owned() }
        } else {
            self.set(name, value, at);
            return;
        };
        let local = self.table.get("local_ip_v4").map_or_else(|| "127.0.0.1".to_owned(), |v| v.to_string());
        match self.ask(&ask) {
            Some(Ok(address)) => self.set(name, &address.to_string(), at),
            Some(Err(reason)) => {
                self.problems.push(
                    Problem::warning(
                        at,
                        format!("{value} gave no address ({reason}); {name} is the local address {local}"),
                    )
                    .hint(format!("write the public address itself, or --set {name}=ADDRESS")),
                );
                self.set(name, &local, at);
            }
            None => {
                self.problems.push(Problem::note(
                    at,
                    format!("{value} is asked only by a running switch; {name} is taken as {local}"),
                ));
                self.set(name, &local, at);
            }
        }
    }

    fn ask(&mut self, ask: &Ask) -> Option<Result<IpAddr, String>> {
        let lookup = Arc::clone(self.options.lookup.as_ref()?);
        if let Some(known) = self.answers.get(ask) {
            return Some(known.clone());
        }
        let left = LOOKUPS_LIMIT.saturating_sub(self.asked).min(LOOKUP_LIMIT);
        let answer = if left.is_zero() {
            Err("the time for such questions at start is used up".to_owned())
        } else {
            let (sender, receiver) = mpsc::sync_channel(1);
            let question = ask.clone();
            let began = Instant::now();
            // Its own thread: a resolver that hangs must not hang the start. It ends by itself later.
            std::thread::spawn(move || {
                let _ = sender.send(lookup(&question, left));
            });
            let answer = match receiver.recv_timeout(left) {
                Ok(answer) => answer,
                Err(_) => Err(format!("no answer within {} s", LOOKUP_LIMIT.as_secs())),
            };
            self.asked += began.elapsed();
            answer
        };
        self.answers.insert(ask.clone(), answer.clone());
        Some(answer)
    }

    //------------ text -------------------------------------------------------------------------------------------

    /// Replaces each `$${name}` by its value, or by nothing.
    fn expand(&mut self, typed: &str, source: &Arc<Source>, number: u32) -> Line {
        if !typed.contains("$${") {
            return Line { text: typed.to_owned(), pieces: vec![(0, 1, false)], seen: typed.len() };
        }
        let mut line =
            Line { text: String::with_capacity(typed.len() * 2), pieces: Vec::new(), seen: typed.len() };
        let mut rest = typed;
        let mut column = 1u32;
        while let Some(start) = rest.find("$${") {
            let plain = rest.get(..start).unwrap_or("");
            line.pieces.push((line.text.len(), column, false));
            line.text.push_str(plain);
            column += plain.chars().count() as u32;
            let at = Position { source: Arc::clone(source), line: number, column };
            let from = rest.get(start..).unwrap_or("");
            let Some(length) = closing(from.get(2..).unwrap_or("")) else {
                let problem = Problem::error(&at, "unterminated $${");
                self.unless_comment
                    .push((self.flat.len() + line.text.len(), problem.hint("write } after the name")));
                rest = from;
                break;
            };
            let end = 2 + length;
            let name = from.get(3..end).unwrap_or("");
            if line.seen == typed.len() {
                line.seen = typed.len() - rest.len() + start + end;
            }
            line.pieces.push((line.text.len(), column, true));
            match self.table.get(name) {
                Some(value) if line.text.len() + value.len() <= MAX_VALUE * 16 => line.text.push_str(value),
                Some(_) => {
                    let problem = Problem::error(&at, "this line grows beyond all measure");
                    self.problems.push(problem.hint("look at the values of its variables"));
                }
                None => self.unset.push((self.flat.len() + line.text.len(), name.to_owned(), at)),
            }
            let whole = from.get(..=end).unwrap_or("");
            column += whole.chars().count() as u32;
            rest = from.get(end + 1..).unwrap_or("");
        }
        line.pieces.push((line.text.len(), column, false));
        line.text.push_str(rest);
        line
    }

    /// Writes `line.text[from..to]` to the flat text.
    fn emit(&mut self, line: &Line, from: usize, to: usize, source: &Arc<Source>, number: u32) {
        for (index, (start, _, fixed)) in line.pieces.iter().enumerate() {
            let end = line.pieces.get(index + 1).map_or(line.text.len(), |next| next.0);
            let (start, end) = (*start.max(&from), end.min(to));
            if start < end {
                let text = line.text.get(start..end).unwrap_or("");
                if !self.flat.push(text, source, number, line.column(start), *fixed) {
                    self.too_large(&Position { source: Arc::clone(source), line: number, column: 1 });
                    return;
                }
            }
        }
    }

    fn too_large(&mut self, at: &Position) {
        if !self.full {
            self.full = true;
            self.problems.push(
                Problem::error(at, "the configuration is too large")
                    .hint("look for a file that is included many times"),
            );
        }
    }
}

struct Quoted<'a> {
    value: &'a str,
    /// Where the value begins.
    start: usize,
    /// Behind the closing quote.
    after: usize,
    /// There is a closing quote.
    closed: bool,
}

/// Finds `word`, then `=`, then `"…"` at or after `from`, as FreeSWITCH does: whatever stands between is skipped.
fn quoted<'a>(text: &'a str, from: usize, word: &str) -> Option<Quoted<'a>> {
    let at = from + find_blind(text.get(from..)?, word)?;
    let equals = at + text.get(at..)?.find('=')?;
    let start = equals + text.get(equals..)?.find('"')? + 1;
    let body = text.get(start..)?;
    match body.find('"') {
        Some(end) => Some(Quoted { value: body.get(..end)?, start, after: start + end + 1, closed: true }),
        None => Some(Quoted { value: body, start, after: text.len(), closed: false }),
    }
}

/// The first place where `needle` (lower case ASCII) stands in `text`, in any case.
fn find_blind(text: &str, needle: &str) -> Option<usize> {
    let needle = needle.as_bytes();
    text.as_bytes().windows(needle.len()).position(|w| w.eq_ignore_ascii_case(needle))
}

/// The rest of `text` after `prefix` (lower case ASCII) in any case.
fn strip_blind<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let head = text.get(..prefix.len())?;
    if head.eq_ignore_ascii_case(prefix) { text.get(prefix.len()..) } else { None }
}

/// `text` begins with `{`; the offset of the brace that closes it.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0usize;
    for (offset, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(offset);
                }
            }
            _ => {}
        }
    }
    None
}

/// The line without what may stand beside an `<include>`.
fn unwrapped(line: &str) -> String {
    let mut rest = without_comments(line).replace("<include>", "").replace("</include>", "");
    while let Some(start) = rest.find("<?") {
        let end = rest.get(start..).and_then(|r| r.find("?>")).map_or(rest.len(), |e| start + e + 2);
        rest.replace_range(start..end, "");
    }
    rest
}

fn without_comments(text: &str) -> String {
    let mut rest = text.to_owned();
    while let Some(start) = rest.find("<!--") {
        let Some(end) = rest.get(start..).and_then(|r| r.find("-->")) else { break };
        rest.replace_range(start..start + end + 3, "");
    }
    rest
}

/// Line and column of the byte at `offset`; columns count bytes that begin a character.
fn place(bytes: &[u8], offset: usize) -> (u32, u32) {
    let before = bytes.get(..offset).unwrap_or(bytes);
    let line = before.iter().filter(|b| **b == b'\n').count() as u32 + 1;
    let start = before.iter().rposition(|b| *b == b'\n').map_or(0, |p| p + 1);
    let column = before.get(start..).unwrap_or(&[]).iter().filter(|b| **b & 0xC0 != 0x80).count() as u32 + 1;
    (line, column)
}

/// The path without `.` and with each `..` taken back, without looking at the disk.
pub(crate) fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => match out.components().next_back() {
                Some(Component::Normal(_)) => {
                    out.pop();
                }
                Some(Component::RootDir) => {}
                _ => out.push(".."),
            },
            other => out.push(other),
        }
    }
    if out.as_os_str().is_empty() { PathBuf::from(".") } else { out }
}

fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    let kind = std::fs::metadata(path).map_err(|e| reason(&e))?;
    if kind.is_dir() {
        return Err("it is a folder".to_owned());
    }
    if !kind.is_file() {
        return Err("it is no ordinary file".to_owned());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(kind.len()).unwrap_or(0).min(1 << 20));
    let file = std::fs::File::open(path).map_err(|e| reason(&e))?;
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(|e| reason(&e))?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(format!("it is larger than {} MiB", MAX_FILE >> 20));
    }
    Ok(bytes)
}

/// The error without its number.
fn reason(e: &std::io::Error) -> String {
    match e.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => e.to_string(),
    }
}

/// Runs `sh -c command` and returns what it prints.
fn run_command(command: &str) -> Result<String, String> {
    use std::process::{Command, Stdio};
    let mut child = Command::new("/bin/sh")
        .arg("-c")
        .arg(command)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|e| reason(&e))?;
    let Some(stdout) = child.stdout.take() else { return Err("it has no output".to_owned()) };
    let (sender, receiver) = mpsc::sync_channel(1);
    std::thread::spawn(move || {
        let mut output = Vec::new();
        let result = stdout.take(MAX_VALUE as u64 * 16).read_to_end(&mut output).map(|_| output);
        let _ = sender.send(result);
    });
    let output = match receiver.recv_timeout(EXEC_LIMIT) {
        Ok(Ok(output)) => output,
        Ok(Err(e)) => return Err(reason(&e)),
        Err(_) => {
            let _ = child.kill();
            let _ = child.wait();
            return Err(format!("it took longer than {} s", EXEC_LIMIT.as_secs()));
        }
    };
    let _ = child.wait();
    Ok(String::from_utf8_lossy(&output).into_owned())
}
