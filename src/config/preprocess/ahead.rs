//! Reading a folder of many files ahead: a disk that is asked for one small file after another mostly waits.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{Builder, Scope};

use super::path::{Identity, open_file};

/// From so many files on it is worth the threads.
pub(super) const MANY: usize = 64;
/// Threads that read.
const READERS: usize = 8;
/// Files each reader may be ahead.
const AHEAD: usize = 32;
/// Files larger than this are read when it is their turn, so that little is held.
const SMALL: u64 = 64 << 10;

/// What was read of a file.
pub(super) type Read = (Identity, Vec<u8>);

/// Files that are being read, to be taken in their order.
pub(super) struct Ahead {
    readers: Vec<Receiver<Option<Read>>>,
    next: usize,
}

impl Ahead {
    /// Begins to read `files`; `None` when the system gives no threads. They end when this is dropped.
    pub(super) fn begin<'s, 'e>(scope: &'s Scope<'s, 'e>, files: &'e [PathBuf]) -> Option<Ahead> {
        let mut readers = Vec::with_capacity(READERS);
        for reader in 0..READERS {
            let (into, from) = sync_channel(AHEAD);
            let work = move || {
                for file in files.iter().skip(reader).step_by(READERS) {
                    if into.send(small(file)).is_err() {
                        return;
                    }
                }
            };
            Builder::new().name("read-ahead".to_owned()).spawn_scoped(scope, work).ok()?;
            readers.push(from);
        }
        Some(Ahead { readers, next: 0 })
    }

    /// The next file: `None` when it has to be opened anew, being large or not to be read.
    pub(super) fn take(&mut self) -> Option<Read> {
        let reader = self.readers.get(self.next % READERS)?;
        self.next += 1;
        reader.recv().ok().flatten()
    }
}

fn small(file: &Path) -> Option<Read> {
    let opened = open_file(file).ok().filter(|opened| opened.length <= SMALL)?;
    Some((opened.identity, opened.read().ok()?))
}
