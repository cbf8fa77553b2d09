//! Paths and bytes of files.

use std::io::Read;
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

pub(super) fn read_file(path: &Path) -> Result<Vec<u8>, String> {
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
pub(super) fn reason(e: &std::io::Error) -> String {
    match e.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => e.to_string(),
    }
}
