//! The files: written by one thread, so that no leg waits for a disk.
//!
//! What a disk does not take is kept, up to [`MOST_BYTES`], said once, and written when it takes it again; a record is
//! in the file whole or not at all. What goes beyond is lost, counted and said.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tracing::{error, info, warn};

/// The most bytes of records that wait to be written.
const MOST_BYTES: usize = 64 << 20;
/// The most files kept open.
const MOST_OPEN: usize = 64;
/// How long after a failure the next try is.
const RETRY: Duration = Duration::from_secs(1);
/// How often a lasting failure is said again.
const REMIND: Duration = Duration::from_secs(60);
/// How long the end of the switch waits for the last records.
const LAST: Duration = Duration::from_secs(2);

enum Job {
    /// A line at the end of a file.
    Append(Arc<Path>, String),
    /// A file of its own.
    Whole(Arc<Path>, String),
    /// Opens every file anew; renamed before when `true`.
    Rotate(bool),
}

#[derive(Default)]
struct Queue {
    jobs: Vec<Job>,
    /// Of all records that wait, those the thread holds included.
    bytes: usize,
    /// Records there was no room for.
    lost: u64,
    stopping: bool,
    stopped: bool,
}

#[derive(Default)]
struct Desk {
    queue: Mutex<Queue>,
    news: Condvar,
}

impl Desk {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The way to the thread that writes.
pub(super) struct Files(Arc<Desk>);

impl Files {
    pub(super) fn start() -> io::Result<Files> {
        let desk = Arc::<Desk>::default();
        let writer =
            Writer { desk: desk.clone(), open: BTreeMap::new(), waiting: BTreeMap::new(), failing: None };
        std::thread::Builder::new().name("cdr".to_owned()).spawn(move || writer.run())?;
        Ok(Files(desk))
    }

    /// A line, its line break included, at the end of a file.
    pub(super) fn append(&self, path: Arc<Path>, line: String) {
        self.post(line.len(), Job::Append(path, line));
    }

    /// A file of its own.
    pub(super) fn whole(&self, path: Arc<Path>, text: String) {
        self.post(text.len(), Job::Whole(path, text));
    }

    /// Closes every file, and renames it with `rename`; what comes then goes to a new one.
    pub(super) fn rotate(&self, rename: bool) {
        self.post(0, Job::Rotate(rename));
    }

    /// Ends the thread once all is written, or after two seconds.
    pub(super) fn stop(&self) {
        self.0.queue().stopping = true;
        self.0.news.notify_all();
        let stopped = self.0.news.wait_timeout_while(self.0.queue(), LAST, |queue| !queue.stopped);
        if stopped.is_ok_and(|(queue, _)| !queue.stopped) {
            error!("the last call records could not be written in time");
        }
    }

    fn post(&self, bytes: usize, job: Job) {
        let mut queue = self.0.queue();
        if queue.bytes + bytes > MOST_BYTES {
            queue.lost += 1;
            if queue.lost.is_power_of_two() {
                error!("{} call records are lost: {} MiB wait to be written", queue.lost, MOST_BYTES >> 20);
            }
            return;
        }
        queue.bytes += bytes;
        queue.jobs.push(job);
        drop(queue);
        self.0.news.notify_all();
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        self.0.queue().stopping = true;
        self.0.news.notify_all();
    }
}

/// The thread.
struct Writer {
    desk: Arc<Desk>,
    open: BTreeMap<Arc<Path>, File>,
    /// Text no file has taken yet.
    waiting: BTreeMap<Arc<Path>, Text>,
    /// Since when nothing can be written, when that was said last.
    failing: Option<Instant>,
}

/// What a file is to get.
struct Text {
    text: String,
    /// It is the whole file.
    whole: bool,
}

impl Writer {
    fn run(mut self) {
        loop {
            let (jobs, stopping) = self.next();
            for job in jobs {
                match job {
                    Job::Append(path, line) => self.wait_for(path, &line, false),
                    Job::Whole(path, text) => self.wait_for(path, &text, true),
                    Job::Rotate(rename) => {
                        self.write();
                        self.rotate(rename);
                    }
                }
            }
            self.write();
            if stopping {
                break;
            }
        }
        for (path, text) in &self.waiting {
            let records = if text.whole { 1 } else { text.text.lines().count() };
            error!("{records} call records for {} were never written", path.display());
        }
        self.desk.queue().stopped = true;
        self.desk.news.notify_all();
    }

    /// What is to be done: at once when there is something, later when the disk refused.
    fn next(&self) -> (Vec<Job>, bool) {
        let idle = |queue: &mut Queue| queue.jobs.is_empty() && !queue.stopping;
        let queue = self.desk.queue();
        let mut queue = match self.waiting.is_empty() {
            true => self.desk.news.wait_while(queue, idle).unwrap_or_else(PoisonError::into_inner),
            false => {
                let woken = self.desk.news.wait_timeout_while(queue, RETRY, idle);
                woken.unwrap_or_else(PoisonError::into_inner).0
            }
        };
        (std::mem::take(&mut queue.jobs), queue.stopping)
    }

    fn wait_for(&mut self, path: Arc<Path>, text: &str, whole: bool) {
        let waiting = self.waiting.entry(path).or_insert_with(|| Text { text: String::new(), whole });
        waiting.text.push_str(text);
    }

    /// Writes what waits; what a disk does not take stays.
    fn write(&mut self) {
        let mut failed = None;
        for (path, text) in std::mem::take(&mut self.waiting) {
            match self.put(&path, &text) {
                Ok(()) => self.desk.queue().bytes -= text.text.len(),
                Err(error) => {
                    failed.get_or_insert_with(|| format!("{}: {error}", path.display()));
                    let left = self.put_some(&path, text);
                    if !left.text.is_empty() {
                        self.waiting.insert(path, left);
                    }
                }
            }
        }
        match failed {
            Some(reason) if self.failing.is_none_or(|said| said.elapsed() >= REMIND) => {
                let bytes = self.desk.queue().bytes;
                error!("call records cannot be written: {reason}; {bytes} bytes are kept until they can");
                self.failing = Some(Instant::now());
            }
            Some(_) => {}
            None if self.failing.take().is_some() => {
                info!("call records are written again; nothing was lost")
            }
            None => {}
        }
    }

    fn put(&mut self, path: &Arc<Path>, text: &Text) -> io::Result<()> {
        if text.whole {
            return create(path, &text.text);
        }
        if self.open.len() >= MOST_OPEN && !self.open.contains_key(path) {
            self.open.clear();
        }
        // Somebody may have moved or removed it.
        if self.open.get(path).is_some_and(|file| !is_still(path, file)) {
            self.open.remove(path);
        }
        let file = match self.open.get_mut(path) {
            Some(file) => file,
            None => self.open.entry(path.clone()).or_insert(append(path)?),
        };
        let length = file.metadata()?.len();
        let written = file.write_all(text.text.as_bytes());
        if written.is_err() {
            let _ = file.set_len(length); // no half a record
            self.open.remove(path);
        }
        written
    }

    /// As many whole records as there is room for, when there is none for all; what is left comes back.
    fn put_some(&mut self, path: &Arc<Path>, text: Text) -> Text {
        if text.whole {
            return text;
        }
        let mut left = text.text.as_str();
        while let Some(end) = left.find('\n') {
            let (record, behind) = left.split_at(end + 1);
            let record = Text { text: record.to_owned(), whole: false };
            if self.put(path, &record).is_err() {
                break;
            }
            self.desk.queue().bytes -= record.text.len();
            left = behind;
        }
        Text { text: left.to_owned(), whole: false }
    }

    fn rotate(&mut self, rename: bool) {
        let now = jiff::Zoned::now().strftime("%Y-%m-%d-%H-%M-%S").to_string();
        for path in std::mem::take(&mut self.open).into_keys().filter(|_| rename) {
            let mut old = path.as_os_str().to_owned();
            old.push(".");
            old.push(&now);
            match free_name(&old).and_then(|old| fs::rename(&path, old)) {
                Ok(()) => info!("rotated {}", path.display()),
                Err(error) => warn!("{} is not rotated: {error}", path.display()),
            }
        }
    }
}

/// The name itself, or with a number behind when a file has it: two rotations within a second.
fn free_name(name: &std::ffi::OsStr) -> io::Result<PathBuf> {
    let numbered = |n: u32| {
        let mut name = name.to_owned();
        if n > 0 {
            name.push(format!(".{n}"));
        }
        PathBuf::from(name)
    };
    let free = (0..1000).map(numbered).find(|name| !name.exists());
    free.ok_or_else(|| io::Error::new(io::ErrorKind::AlreadyExists, "too many files of that name"))
}

/// Whether the path still leads to this file.
fn is_still(path: &Path, file: &File) -> bool {
    let same = |a: fs::Metadata, b: fs::Metadata| (a.dev(), a.ino()) == (b.dev(), b.ino());
    fs::metadata(path).is_ok_and(|now| file.metadata().is_ok_and(|open| same(now, open)))
}

fn append(path: &Path) -> io::Result<File> {
    folder_of(path)?;
    OpenOptions::new().append(true).create(true).open(path)
}

/// A file that appears whole: written beside, then renamed.
fn create(path: &Path, text: &str) -> io::Result<()> {
    folder_of(path)?;
    let beside = path.with_extension("part");
    let written = fs::write(&beside, text).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written
}

fn folder_of(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("tandem-cdr-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        folder
    }

    fn path(folder: &Path, name: &str) -> Arc<Path> {
        folder.join(name).into()
    }

    #[test]
    fn lines_are_in_the_file_when_the_writer_has_stopped() {
        let folder = folder("lines");
        let files = Files::start().unwrap();
        for n in 0..1000 {
            files.append(path(&folder, "Master.csv"), format!("{n}\n"));
        }
        files.whole(path(&folder, "one.cdr.json"), "{}\n".to_owned());
        files.stop();
        let lines = fs::read_to_string(folder.join("Master.csv")).unwrap();
        assert_eq!(
            lines.lines().map(|l| l.parse::<u32>().unwrap()).collect::<Vec<_>>(),
            (0..1000).collect::<Vec<_>>()
        );
        assert_eq!(fs::read_to_string(folder.join("one.cdr.json")).unwrap(), "{}\n");
        assert_eq!(files.0.queue().bytes, 0);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_cannot_be_written_is_kept_and_written_later() {
        let folder = folder("kept");
        fs::create_dir_all(&folder).unwrap();
        let blocked = folder.join("cdr-csv"); // a file where a folder is to be
        fs::write(&blocked, "").unwrap();
        let files = Files::start().unwrap();
        files.append(path(&blocked, "Master.csv"), "first\n".to_owned());
        files.append(path(&folder, "other.csv"), "goes on\n".to_owned());
        let waits = |what: &dyn Fn() -> bool| {
            (0..100).any(|_| {
                what() || {
                    std::thread::sleep(RETRY / 20);
                    false
                }
            })
        };
        assert!(
            waits(&|| fs::read_to_string(folder.join("other.csv")).is_ok_and(|text| text == "goes on\n"))
        );
        assert_eq!(files.0.queue().bytes, "first\n".len());
        fs::remove_file(&blocked).unwrap();
        files.append(path(&blocked, "Master.csv"), "second\n".to_owned());
        assert!(waits(
            &|| fs::read_to_string(blocked.join("Master.csv")).is_ok_and(|t| t == "first\nsecond\n")
        ));
        files.stop();
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_file_that_is_gone_is_begun_anew() {
        let folder = folder("gone");
        let mut writer =
            Writer { desk: Arc::default(), open: BTreeMap::new(), waiting: BTreeMap::new(), failing: None };
        let master = path(&folder, "Master.csv");
        for line in ["a\n", "b\n"] {
            writer.desk.queue().bytes += line.len();
            writer.wait_for(master.clone(), line, false);
            writer.write();
            assert_eq!(fs::read_to_string(&master).unwrap(), line);
            fs::remove_dir_all(&folder).unwrap();
        }
    }

    #[test]
    fn a_full_disk_leaves_no_half_record() {
        let mut writer =
            Writer { desk: Arc::default(), open: BTreeMap::new(), waiting: BTreeMap::new(), failing: None };
        // Every write to this device fails with ENOSPC.
        let full: Arc<Path> = Path::new("/dev/full").into();
        writer.desk.queue().bytes = 5;
        writer.wait_for(full.clone(), "line\n", false);
        writer.write();
        assert_eq!(writer.waiting[&full].text, "line\n");
        assert!(writer.failing.is_some());
        assert_eq!(writer.desk.queue().bytes, 5);
    }

    #[test]
    fn beyond_the_bound_records_are_lost_and_counted() {
        let files = Files(Arc::default()); // nobody writes
        let chunk = "x".repeat(1 << 20);
        for _ in 0..66 {
            files.append(path(Path::new("/nowhere"), "a"), chunk.clone());
        }
        let queue = files.0.queue();
        assert_eq!((queue.jobs.len(), queue.lost, queue.bytes), (64, 2, 64 << 20));
    }

    #[test]
    fn rotation_renames_or_only_opens_anew() {
        let folder = folder("rotation");
        let files = Files::start().unwrap();
        let master = path(&folder, "Master.csv");
        for (line, rename) in [("a\n", true), ("b\n", true), ("c\n", false)] {
            files.append(master.clone(), line.to_owned());
            files.rotate(rename);
        }
        files.append(master, "d\n".to_owned());
        files.stop();
        let mut texts: Vec<String> =
            fs::read_dir(&folder).unwrap().map(|f| fs::read_to_string(f.unwrap().path()).unwrap()).collect();
        texts.sort();
        assert_eq!(texts, ["a\n", "b\n", "c\nd\n"]);
        fs::remove_dir_all(folder).unwrap();
    }
}
