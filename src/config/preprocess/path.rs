//! Paths and bytes of files.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};

/// No single file may be larger.
const MAX_FILE: u64 = 256 << 20;

/// Line and column of the byte at `offset`; columns count bytes that begin a character.
pub(super) fn place(bytes: &[u8], offset: usize) -> (u32, u32) {
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

/// Which file it is, by whatever names: device and inode.
pub(super) type Identity = (u64, u64);

/// A file that is open for reading.
pub(super) struct Opened {
    pub identity: Identity,
    file: File,
    pub length: u64,
}

/// Opens an ordinary file. It does not wait for one that is none: the end of a pipe nobody writes to would never come.
pub(super) fn open_file(path: &Path) -> Result<Opened, String> {
    let opened = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path);
    let kind = match &opened {
        Ok(file) => file.metadata(),
        Err(_) => std::fs::metadata(path),
    };
    let kind = kind.map_err(|e| reason(&e))?;
    if kind.is_dir() {
        return Err("it is a folder".to_owned());
    }
    if !kind.is_file() {
        return Err("it is no ordinary file".to_owned());
    }
    let file = opened.map_err(|e| reason(&e))?;
    Ok(Opened { identity: (kind.dev(), kind.ino()), file, length: kind.len() })
}

impl Opened {
    /// The file's bytes.
    pub fn read(self) -> Result<Vec<u8>, String> {
        // One more, so that the end is seen without more room.
        let mut bytes = Vec::with_capacity(usize::try_from(self.length).unwrap_or(0).min(1 << 20) + 1);
        self.file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(|e| reason(&e))?;
        if bytes.len() as u64 > MAX_FILE {
            return Err(format!("it is larger than {} MiB", MAX_FILE >> 20));
        }
        Ok(bytes)
    }
}

/// The error without its number.
pub(super) fn reason(e: &std::io::Error) -> String {
    match e.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => e.to_string(),
    }
}
