//! Passwords nobody has chosen: made at the first start, kept in `secrets.xml`, shown once.
//!
//! The shipped configuration sets none. When it uses `$${default_password}` or `$${event_socket_password}` and
//! neither the files nor `--set` give it a value, [`ensure`] makes one.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rand::Rng;

use super::load::{Loaded, Options};
use super::position::Position;
use super::problem::Problem;

/// The file's name, in the configuration folder or, when that is read-only, in the db folder.
pub const FILE: &str = "secrets.xml";

/// The globals that are secrets.
pub const NAMES: [&str; 2] = ["default_password", "event_socket_password"];

/// No letters that look like digits or like each other: people type this into phones.
const ALPHABET: &[u8] = b"abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
/// 18 of 56 signs: 104 bits.
const LENGTH: usize = 18;

/// What [`ensure`] made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// Where they are kept.
    pub file: PathBuf,
    /// Names and values, to be shown once.
    pub secrets: Vec<(&'static str, String)>,
}

/// Why the secrets could not be kept.
#[derive(Debug, thiserror::Error)]
#[error("{path} cannot be written: {reason}")]
pub struct Failed {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub reason: String,
}

impl Failed {
    /// The file, for the error's message.
    fn new(path: &Path, reason: impl Into<String>) -> Self {
        Failed { path: path.to_path_buf(), reason: reason.into() }
    }
}

/// Makes the secrets that `loaded` uses and nobody has set, keeps them, and adds them to `options.set`, so that the
/// next [`load()`](super::load()) has them. `None` when there was nothing to make. Load again after `Some`.
pub fn ensure(loaded: &Loaded, options: &mut Options) -> Result<Option<Made>, Failed> {
    let missing: Vec<&'static str> = NAMES
        .into_iter()
        .filter(|name| loaded.unset.iter().any(|(unset, _)| unset.eq_ignore_ascii_case(name)))
        .collect();
    if missing.is_empty() {
        return Ok(None);
    }
    let secrets: Vec<(&'static str, String)> = missing.into_iter().map(|name| (name, make())).collect();
    let file = keep(&[&options.conf_dir, &options.db_dir], &secrets)?;
    options.set.extend(secrets.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    Ok(Some(Made { file, secrets }))
}

/// As [`ensure`], but keeps nothing: `check` looks at a tree as it will be after the first start. True when `options`
/// has changed and the tree must be loaded again.
pub fn pretend(loaded: &Loaded, options: &mut Options) -> bool {
    let names: Vec<String> = missing(loaded).map(|(name, _)| name.to_owned()).collect();
    options.set.extend(names.iter().map(|name| (name.clone(), make())));
    !names.is_empty()
}

/// Where the tree uses secrets that are not set.
pub fn missing(loaded: &Loaded) -> impl Iterator<Item = (&str, &Position)> {
    loaded.unset.iter().map(|(name, at)| (name.as_str(), at)).filter(|(name, _)| is_secret(name))
}

/// Whether a global of that name is made at the first start.
pub fn is_secret(name: &str) -> bool {
    NAMES.iter().any(|n| n.eq_ignore_ascii_case(name))
}

/// What is wrong with a file of passwords that was included at `at`: others than its owner may read or write it.
pub(super) fn exposed(file: &Path, at: &Position) -> Option<Problem> {
    if file.file_name()? != FILE {
        return None;
    }
    let mode = fs::metadata(file).ok()?.permissions().mode() & 0o777;
    (mode & 0o077 != 0).then(|| {
        Problem::warning(at, format!("others may open it: its mode is {mode:03o}, and it holds passwords"))
            .hint(format!("chmod 600 {}", file.display()))
    })
}

/// A password nobody guesses.
fn make() -> String {
    let mut rng = rand::rngs::OsRng;
    let mut rng = rand::rand_core::UnwrapMut(&mut rng);
    (0..LENGTH)
        .filter_map(|_| ALPHABET.get(rng.random_range(0..ALPHABET.len())))
        .map(|b| char::from(*b))
        .collect()
}

/// Writes the file into the first of `folders` that takes it.
fn keep(folders: &[&Path], secrets: &[(&'static str, String)]) -> Result<PathBuf, Failed> {
    let mut failed = Failed::new(Path::new(FILE), "no folder was given");
    for folder in folders {
        let path = folder.join(FILE);
        match write(&path, secrets) {
            Ok(()) => return Ok(path),
            Err(e)
                if matches!(
                    e.kind(),
                    io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
                ) =>
            {
                failed = Failed::new(&path, e.to_string());
            }
            Err(e) => return Err(Failed::new(&path, e.to_string())),
        }
    }
    Err(failed)
}

/// Writes a new file beside and renames it; never follows a link, never loses what the file holds.
fn write(path: &Path, secrets: &[(&'static str, String)]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let before = match fs::symlink_metadata(path) {
        Ok(kind) if kind.file_type().is_symlink() => {
            return Err(io::Error::other("it is a link; passwords are not written through links"));
        }
        Ok(kind) if !kind.is_file() => return Err(io::Error::other("it is no ordinary file")),
        Ok(_) => fs::read_to_string(path)?,
        Err(e) if e.kind() == io::ErrorKind::NotFound => String::new(),
        Err(e) => return Err(e),
    };
    if before.is_empty() {
        fs::create_dir_all(folder)?;
    }
    let mut lines = String::new();
    for (name, value) in secrets {
        lines.push_str(&format!("  <X-PRE-PROCESS cmd=\"set\" data=\"{name}={value}\"/>\n"));
    }
    let text = match before.rsplit_once("</include>") {
        Some((head, tail)) => format!("{head}{lines}</include>{tail}"),
        None => format!(
            "<include>\n  <!-- Made at the first start because nobody had chosen these. Change them as you like. -->\n{lines}</include>\n"
        ),
    };
    let temporary = folder.join(format!(".{FILE}.{}", std::process::id()));
    let _ = fs::remove_file(&temporary);
    let result = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    })();
    if result.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load;

    fn folder(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("tandem-secrets-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(path.join("conf")).unwrap();
        path
    }

    const ROOT: &str = "<document>\n<X-PRE-PROCESS cmd=\"include\" data=\"secrets.xml\"/>\n<p v=\"$${default_password}\"/>\n</document>\n";

    #[test]
    fn who_else_may_read_it_is_told() {
        let base = folder("open");
        fs::write(base.join("conf/freeswitch.xml"), ROOT).unwrap();
        let file = base.join("conf/secrets.xml");
        fs::write(&file, "<include><X-PRE-PROCESS cmd=\"set\" data=\"default_password=x9\"/></include>\n")
            .unwrap();
        for (mode, told) in [(0o600, false), (0o400, false), (0o640, true), (0o604, true), (0o622, true)] {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            let problems = load(&Options::new(base.join("conf"))).problems;
            let found: Vec<String> = problems.iter().map(ToString::to_string).collect();
            let words = format!("secrets.xml: warning: others may open it: its mode is {mode:03o}");
            assert_eq!(found.iter().any(|line| line.contains(&words)), told, "{mode:03o}: {found:?}");
        }
        fs::remove_dir_all(base).unwrap();
    }

    #[test]
    fn made_once_kept_private_and_found_again() {
        let base = folder("once");
        fs::write(base.join("conf/freeswitch.xml"), ROOT).unwrap();
        let mut options = Options::new(base.join("conf"));
        let made = ensure(&load(&options), &mut options).unwrap().unwrap();
        assert_eq!(made.file, base.join("conf/secrets.xml"));
        assert_eq!(fs::metadata(&made.file).unwrap().permissions().mode() & 0o777, 0o600);
        let (name, value) = made.secrets.first().unwrap();
        assert_eq!((*name, value.len(), made.secrets.len()), ("default_password", LENGTH, 1));

        let again = load(&Options::new(base.join("conf")));
        assert_eq!(again.globals.get("default_password").as_deref(), Some(value.as_str()));
        assert_eq!(again.problems, []);
        assert_eq!(ensure(&again, &mut options).unwrap(), None);
        fs::remove_dir_all(base).unwrap();
    }

    #[test]
    fn adds_to_a_file_and_refuses_a_link() {
        let base = folder("link");
        fs::write(base.join("conf/freeswitch.xml"), ROOT).unwrap();
        let file = base.join("conf/secrets.xml");
        fs::write(&file, "<include>\n<X-PRE-PROCESS cmd=\"set\" data=\"kept=1\"/>\n</include>\n").unwrap();
        let mut options = Options::new(base.join("conf"));
        ensure(&load(&options), &mut options).unwrap().unwrap();
        let loaded = load(&Options::new(base.join("conf")));
        assert_eq!(loaded.globals.get("kept").as_deref(), Some("1"));
        assert!(loaded.globals.get("default_password").is_some());

        fs::remove_file(&file).unwrap();
        fs::write(base.join("target"), "").unwrap();
        std::os::unix::fs::symlink(base.join("target"), &file).unwrap();
        let mut options = Options::new(base.join("conf"));
        assert!(ensure(&load(&options), &mut options).is_err());
        assert_eq!(fs::read_to_string(base.join("target")).unwrap(), "");
        fs::remove_dir_all(base).unwrap();
    }

    #[test]
    fn no_two_are_alike() {
        let (a, b) = (make(), make());
        assert_ne!(a, b);
        assert!(a.bytes().all(|c| ALPHABET.contains(&c)));
    }
}
