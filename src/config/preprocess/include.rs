//! `cmd="include"`: which files, and which not.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::glob::glob;
use crate::config::load::absolute;
use crate::config::position::{Position, Source};
use crate::config::problem::Problem;
use crate::config::secrets::exposed;
use crate::config::suggest::nearest;

use super::ahead::{Ahead, MANY, Read};
use super::line::Run;
use super::path::{normal, open_file, reason};

/// Files may include files this deep, as in FreeSWITCH.
pub const MAX_NESTING: usize = 100;
/// No more files are read than this: files that each include the next one twice end within seconds.
const MAX_FILES: usize = 250_000;

impl Run<'_> {
    pub(super) fn include(
        &mut self,
        path: &Path,
        pattern: &str,
        tag: &Position,
        at: &Position,
        depth: usize,
    ) {
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
        if files.len() < MANY || self.ahead {
            return self.include_all(&files, None, tag, at, depth);
        }
        self.ahead = true;
        std::thread::scope(|scope| {
            let ahead = Ahead::begin(scope, &files);
            self.include_all(&files, ahead, tag, at, depth);
        });
        self.ahead = false;
    }

    fn include_all(
        &mut self,
        files: &[PathBuf],
        mut ahead: Option<Ahead>,
        tag: &Position,
        at: &Position,
        depth: usize,
    ) {
        // A folder of 100,000 files is put into words once.
        let mut folder = (PathBuf::new(), String::new());
        for file in files {
            let read = ahead.as_mut().and_then(Ahead::take);
            let shown = match (file.parent(), file.file_name()) {
                (Some(parent), Some(name)) => {
                    if folder.0 != parent || folder.1.is_empty() {
                        folder = (parent.to_path_buf(), self.shown(&normal(parent)));
                    }
                    match folder.1.as_str() {
                        "." => name.display().to_string(),
                        shown => format!("{}/{}", shown.trim_end_matches('/'), name.display()),
                    }
                }
                _ => self.shown(&normal(file)),
            };
            self.include_one((file, read), shown, (tag, at), depth + 1);
            if self.full {
                return;
            }
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

    fn include_one(
        &mut self,
        (file, read): (&Path, Option<Read>),
        shown: String,
        (tag, at): (&Position, &Position),
        depth: usize,
    ) {
        if self.files.len() >= MAX_FILES {
            self.too_large(at);
            return;
        }
        let opened = match read {
            Some((identity, bytes)) => Ok((identity, Err(bytes))),
            None => open_file(file).map(|opened| (opened.identity, Ok(opened))),
        };
        if opened.as_ref().is_ok_and(|(identity, _)| self.stack.contains(identity)) {
            let problem = Problem::error(at, format!("{shown} includes itself"));
            self.problems.push(
                problem.hint("remove the include, or narrow the pattern so that it leaves this file out"),
            );
            return;
        }
        let read = opened.and_then(|(identity, opened)| match opened {
            Ok(opened) => Ok((identity, opened.read()?)),
            Err(bytes) => Ok((identity, bytes)),
        });
        match read {
            Ok((identity, bytes)) => {
                let source = Arc::new(Source { path: shown.into(), included_at: Some(tag.clone()) });
                let whole = Position { source: source.clone(), line: 0, column: 0 };
                self.problems.extend(exposed(file, &whole));
                self.file(file, Some(identity), &source, &bytes, depth);
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
}
