//! A file with one line for each change, so that what was stored survives a restart.
//!
//! A line is a word and its arguments, separated by tabs; what would break a line is escaped. A change is written at once
//! (the system's cache has it, so a crash of tandem loses nothing), the disk has it when the system writes it or when the
//! file is closed. A last line without its end is one that was cut off: it is passed over. When most lines are of no
//! use any more the file is written anew beside the old one and takes its place.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tracing::{error, info};

/// Lines a file may have for each one that counts, and how many it may have anyhow, before it is written anew.
const SLACK: usize = 4;
const ANYHOW: usize = 1000;
/// A disk that does not take it is told of so often.
const SILENCE: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: Option<File>,
    /// Lines in the file.
    lines: usize,
    /// Something could not be written: the next change writes the whole file.
    behind: bool,
    complained: Option<Instant>,
}

impl Journal {
    /// Reads the file and hands every line of it to `replay`. A file that is not there is empty.
    pub fn read(path: PathBuf, mut replay: impl FnMut(&[String])) -> Journal {
        let mut journal = Journal { file: None, lines: 0, behind: false, complained: None, path };
        match fs::read_to_string(&journal.path) {
            Ok(text) => {
                for line in text.split_inclusive('\n') {
                    journal.lines += 1;
                    match line.strip_suffix('\n') {
                        Some(line) => replay(&words(line)),
                        None => journal.behind = true,
                    }
                }
                info!("{}: {} changes read", journal.path.display(), journal.lines);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => error!("{}: {error}; it counts as empty", journal.path.display()),
        }
        journal
    }

    /// Writes one change. `all` gives every line that says what is stored now, and is asked when the file is to be
    /// written anew.
    pub fn write(&mut self, change: &[&str], live: usize, all: impl FnOnce() -> Vec<String>) {
        let anew = self.behind || self.lines > ANYHOW.max(live.saturating_mul(SLACK));
        let done = if anew { self.rewrite(&all()) } else { self.append(&line(change)) };
        match done {
            Ok(()) => self.behind = false,
            Err(error) => {
                self.behind = true;
                self.file = None;
                let now = Instant::now();
                if self.complained.is_none_or(|at| now.duration_since(at) >= SILENCE) {
                    self.complained = Some(now);
                    error!(
                        "{}: {error}; what is stored is kept in memory and written when the disk takes it",
                        self.path.display()
                    );
                }
            }
        }
    }

    fn append(&mut self, line: &str) -> io::Result<()> {
        if self.file.is_none() {
            self.file = Some(opened(&self.path)?);
        }
        if let Some(file) = &mut self.file {
            file.write_all(line.as_bytes())?;
        }
        self.lines += 1;
        Ok(())
    }

    fn rewrite(&mut self, all: &[String]) -> io::Result<()> {
        let beside = self.path.with_extension("new");
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut file = private(OpenOptions::new().write(true).create(true).truncate(true), &beside)?;
        file.write_all(all.concat().as_bytes())?;
        file.sync_data()?;
        fs::rename(&beside, &self.path)?;
        self.file = None;
        self.lines = all.len();
        Ok(())
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        if let Some(Err(error)) = self.file.as_ref().map(File::sync_data) {
            error!("{}: {error}", self.path.display());
        }
    }
}

fn opened(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    private(OpenOptions::new().append(true).create(true), path)
}

/// Values may be secrets: the file is its owner's alone.
fn private(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    options.mode(0o600).open(path)
}

/// One change as a line.
pub fn line(words: &[&str]) -> String {
    let mut out = String::new();
    for (n, word) in words.iter().enumerate() {
        if n > 0 {
            out.push('\t');
        }
        for c in word.chars() {
            match c {
                '\\' => out.push_str("\\\\"),
                '\t' => out.push_str("\\t"),
                '\n' => out.push_str("\\n"),
                c => out.push(c),
            }
        }
    }
    out.push('\n');
    out
}

fn words(line: &str) -> Vec<String> {
    line.split('\t').map(plain).collect()
}

fn plain(word: &str) -> String {
    let mut out = String::with_capacity(word.len());
    let mut characters = word.chars();
    while let Some(c) = characters.next() {
        match c {
            '\\' => match characters.next() {
                Some('t') => out.push('\t'),
                Some('n') => out.push('\n'),
                Some(c) => out.push(c),
                None => {}
            },
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_word_comes_back() {
        for text in ["", "plain", "a\tb\nc\\d", "\\n", "ż", "\\"] {
            let line = line(&["+", text, "end"]);
            assert_eq!(line.matches('\n').count(), 1);
            assert_eq!(words(line.trim_end_matches('\n')), ["+", text, "end"]);
        }
    }
}
