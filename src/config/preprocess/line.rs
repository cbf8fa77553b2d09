//! The lines of the files: expansion, directives, what goes into the flat text.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::config::flat::Flat;
use crate::config::globals::Table;
use crate::config::load::{Ask, Options, absolute, root_source};
use crate::config::position::{Position, Source};
use crate::config::problem::Problem;
use crate::config::suggest::nearest;

use super::path::{Identity, normal, open_file, place};
use super::scan::{closing, find_blind, plain_lines, quoted, unwrapped, without_comments};

/// No global may grow beyond this, and no expanded line beyond sixteen times this.
pub(super) const MAX_VALUE: usize = 1 << 20;

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
    /// Names given by `--set`, in lower case, that no file asks for or sets.
    pub idle: Vec<String>,
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
    match open_file(&path).and_then(|opened| Ok((opened.identity, opened.read()?))) {
        Ok((identity, bytes)) => run.file(&path, Some(identity), &source, &bytes, 0),
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
    let path = absolute(Path::new(name));
    let identity = open_file(&path).ok().map(|opened| opened.identity);
    run.file(&path, identity, &source, text, 0);
    run.done(source, false)
}

pub(super) struct Run<'a> {
    pub(super) options: &'a Options,
    pub(super) table: &'a mut Table,
    /// Names given by `--set`, lower case.
    pub(super) locked: HashSet<String>,
    /// Those of them that some file asks for, or sets.
    pub(super) wanted: HashSet<String>,
    pub(super) conf: PathBuf,
    pub(super) flat: Flat,
    pub(super) problems: Vec<Problem>,
    pub(super) unless_comment: Vec<(usize, Problem)>,
    pub(super) if_comment: Vec<(usize, Problem)>,
    pub(super) unset: Vec<(usize, String, Position)>,
    pub(super) files: Vec<PathBuf>,
    pub(super) set: HashMap<String, Position>,
    /// The files being read now, outermost first, to find loops.
    pub(super) stack: Vec<Identity>,
    pub(super) answers: HashMap<Ask, Result<IpAddr, String>>,
    pub(super) asked: Duration,
    pub(super) full: bool,
    /// A folder is being read ahead: one in it is not.
    pub(super) ahead: bool,
}

/// A line after `$${}` expansion, with the way back to its columns.
struct Line<'t> {
    text: Cow<'t, str>,
    /// (offset in `text`, column in the file, whether it was put there by an expansion).
    pieces: Vec<(usize, u32, bool)>,
    /// How much of the line as typed FreeSWITCH looks at for `<include>`: it ends inside the first expansion.
    seen: usize,
}

impl Line<'_> {
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
            wanted: HashSet::new(),
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
            ahead: false,
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
            idle: self.locked.difference(&self.wanted).cloned().collect(),
            fatal,
        }
    }

    pub(super) fn file(
        &mut self,
        path: &Path,
        identity: Option<Identity>,
        source: &Arc<Source>,
        bytes: &[u8],
        depth: usize,
    ) {
        self.files.push(path.to_path_buf());
        self.stack.extend(identity);
        if let Some(text) = self.decode(source, bytes) {
            let mut in_comment = false;
            let mut rest = &*text;
            let mut number = 1u32;
            while !rest.is_empty() {
                if !in_comment {
                    let (plain, special) = rest.split_at(plain_lines(rest));
                    if !self.flat.push(plain, source, number, 1, false) {
                        self.too_large(&Position { source: Arc::clone(source), line: number, column: 1 });
                        break;
                    }
                    number =
                        number.saturating_add(memchr::memchr_iter(b'\n', plain.as_bytes()).count() as u32);
                    rest = special;
                }
                let end = memchr::memchr(b'\n', rest.as_bytes()).map_or(rest.len(), |end| end + 1);
                let (line, after) = rest.split_at(end);
                if !line.is_empty() {
                    self.line(path, source, number, line, &mut in_comment, depth);
                }
                number = number.saturating_add(1);
                rest = after;
            }
        }
        if identity.is_some() {
            self.stack.pop();
        }
    }

    /// The file's characters. UTF-8; what is not, is read as Latin-1 with a warning unless the file declares it.
    fn decode<'t>(&mut self, source: &Arc<Source>, bytes: &'t [u8]) -> Option<Cow<'t, str>> {
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
                if let Some(first) = argument.find('"')
                    && let Some(body) = argument.get(first + 1..)
                    && let Some(last) = body.find('"')
                {
                    quoted = (body.get(..last).unwrap_or(""), offset + first + 1);
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
        line: &Line<'_>,
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
            if let Some(output) = self.execute(&argument, &at)
                && !self.flat.push(&output, &tag.source, tag.line, tag.column, true)
            {
                self.too_large(&tag);
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

    /// Whether `--set` gives this name, for which a file has a value too.
    pub(super) fn is_locked(&mut self, name: &str) -> bool {
        let name = name.to_ascii_lowercase();
        let locked = self.locked.contains(&name);
        if locked {
            self.wanted.insert(name);
        }
        locked
    }

    pub(super) fn set(&mut self, name: &str, value: &str, at: &Position) {
        if self.is_locked(name) {
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

    /// Replaces each `$${name}` by its value, or by nothing.
    fn expand<'t>(&mut self, typed: &'t str, source: &Arc<Source>, number: u32) -> Line<'t> {
        if !typed.contains("$${") {
            return Line { text: Cow::Borrowed(typed), pieces: vec![(0, 1, false)], seen: typed.len() };
        }
        let mut text = String::with_capacity(typed.len() * 2);
        let (mut pieces, mut seen) = (Vec::new(), typed.len());
        let mut rest = typed;
        let mut column = 1u32;
        while let Some(start) = rest.find("$${") {
            let plain = rest.get(..start).unwrap_or("");
            pieces.push((text.len(), column, false));
            text.push_str(plain);
            column += plain.chars().count() as u32;
            let at = Position { source: Arc::clone(source), line: number, column };
            let from = rest.get(start..).unwrap_or("");
            let Some(length) = closing(from.get(2..).unwrap_or("")) else {
                let problem = Problem::error(&at, "unterminated $${");
                self.unless_comment
                    .push((self.flat.len() + text.len(), problem.hint("write } after the name")));
                rest = from;
                break;
            };
            let end = 2 + length;
            let name = from.get(3..end).unwrap_or("");
            if !self.locked.is_empty() {
                self.is_locked(name);
            }
            if seen == typed.len() {
                seen = typed.len() - rest.len() + start + end;
            }
            pieces.push((text.len(), column, true));
            match self.table.get(name) {
                Some(value) if text.len() + value.len() <= MAX_VALUE * 16 => text.push_str(value),
                Some(_) => {
                    let problem = Problem::error(&at, "this line grows beyond all measure");
                    self.problems.push(problem.hint("look at the values of its variables"));
                }
                None => self.unset.push((self.flat.len() + text.len(), name.to_owned(), at)),
            }
            let whole = from.get(..=end).unwrap_or("");
            column += whole.chars().count() as u32;
            rest = from.get(end + 1..).unwrap_or("");
        }
        pieces.push((text.len(), column, false));
        text.push_str(rest);
        Line { text: Cow::Owned(text), pieces, seen }
    }

    /// Writes `line.text[from..to]` to the flat text.
    fn emit(&mut self, line: &Line<'_>, from: usize, to: usize, source: &Arc<Source>, number: u32) {
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

    pub(super) fn too_large(&mut self, at: &Position) {
        if !self.full {
            self.full = true;
            self.problems.push(
                Problem::error(at, "the configuration is too large")
                    .hint("look for a file that is included many times"),
            );
        }
    }
}
