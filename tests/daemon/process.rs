//! A child process: its output line by line, waited for with a limit, shown when the test fails, and killed
//! by its own id at the end.

use std::io::Read;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// How long anything may take on a loaded machine before the test calls it lost.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Lines or events that arrive from another thread.
pub struct Inbox<T>(Arc<(Mutex<Vec<T>>, Condvar)>);

impl<T> Clone for Inbox<T> {
    fn clone(&self) -> Inbox<T> {
        Inbox(self.0.clone())
    }
}

impl<T: Clone> Inbox<T> {
    pub fn new() -> Inbox<T> {
        Inbox(Arc::new((Mutex::new(Vec::new()), Condvar::new())))
    }

    pub fn push(&self, item: T) {
        self.0.0.lock().expect("the inbox").push(item);
        self.0.1.notify_all();
    }

    pub fn all(&self) -> Vec<T> {
        self.0.0.lock().expect("the inbox").clone()
    }

    /// The first item from `cursor` on that fits; the cursor moves behind it.
    pub fn wait(&self, cursor: &mut usize, within: Duration, fits: impl Fn(&T) -> bool) -> Option<T> {
        let until = Instant::now() + within;
        let mut items = self.0.0.lock().expect("the inbox");
        loop {
            if let Some(at) = items.iter().skip(*cursor).position(&fits) {
                *cursor += at + 1;
                return items.get(*cursor - 1).cloned();
            }
            let left = until.checked_duration_since(Instant::now())?;
            items = self.0.1.wait_timeout(items, left).expect("the inbox").0;
        }
    }
}

pub struct Process {
    name: String,
    child: Child,
    lines: Inbox<String>,
    cursor: usize,
    stdin: Option<ChildStdin>,
    killed: bool,
}

impl Process {
    pub fn spawn(name: &str, command: &mut Command) -> Process {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|e| panic!("{name} does not start: {e}"));
        let lines = Inbox::new();
        let pipes: [Option<Box<dyn Read + Send>>; 2] = [
            child.stdout.take().map(|p| Box::new(p) as Box<dyn Read + Send>),
            child.stderr.take().map(|p| Box::new(p) as Box<dyn Read + Send>),
        ];
        for pipe in pipes.into_iter().flatten() {
            let lines = lines.clone();
            std::thread::spawn(move || read_lines(pipe, &lines));
        }
        let stdin = child.stdin.take();
        Process { name: name.to_owned(), child, lines, cursor: 0, stdin, killed: false }
    }

    /// The system's number for it.
    #[allow(dead_code, reason = "tests/wire looks at its memory")]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Every line so far, of standard output and error together.
    pub fn log(&self) -> Vec<String> {
        self.lines.all()
    }

    /// Waits for a line that fits, after the one found last.
    pub fn wait(&mut self, within: Duration, fits: impl Fn(&str) -> bool) -> Option<String> {
        self.lines.wait(&mut self.cursor, within, |line| fits(line))
    }

    /// As [`Process::wait`], and the test fails without it.
    pub fn expect(&mut self, what: &str, fits: impl Fn(&str) -> bool) -> String {
        match self.wait(PATIENCE, fits) {
            Some(line) => line,
            None => panic!("{}: nothing of: {what}", self.name),
        }
    }

    /// Types a line.
    pub fn type_line(&mut self, line: &str) {
        use std::io::Write;
        let stdin = self.stdin.as_mut().expect("standard input");
        writeln!(stdin, "{line}").and_then(|()| stdin.flush()).expect("to type");
    }

    pub fn has_ended(&mut self) -> Option<std::process::ExitStatus> {
        self.child.try_wait().expect("to ask for the child")
    }

    /// Waits for the end of the process.
    pub fn wait_end(&mut self, within: Duration) -> Option<std::process::ExitStatus> {
        let until = Instant::now() + within;
        loop {
            match self.has_ended() {
                None if Instant::now() < until => std::thread::sleep(Duration::from_millis(20)),
                status => return status,
            }
        }
    }

    /// A signal by name, as `kill` takes it.
    pub fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let status = Command::new("kill").args([&format!("-{name}"), &id]).status();
        assert!(status.is_ok_and(|s| s.success()), "kill -{name} {}", self.name);
    }

    /// kill -9, as a phone that loses its power.
    pub fn kill(&mut self) {
        self.killed = true;
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read_lines(mut pipe: Box<dyn Read + Send>, lines: &Inbox<String>) {
    let (mut buffer, mut rest) = ([0u8; 4096], Vec::new());
    while let Ok(n) = pipe.read(&mut buffer) {
        rest.extend_from_slice(buffer.get(..n).unwrap_or(&[]));
        while let Some(at) = rest.iter().position(|b| matches!(b, b'\n' | b'\r')) {
            let line: Vec<u8> = rest.drain(..=at).collect();
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            if !line.is_empty() {
                lines.push(line);
            }
        }
        if n == 0 {
            break;
        }
    }
    if !rest.is_empty() {
        lines.push(String::from_utf8_lossy(&rest).into_owned());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.killed {
            self.kill();
        }
        if std::thread::panicking() {
            let log = self.log();
            let from = log.len().saturating_sub(150);
            eprintln!("──── {} (last {} of {} lines)", self.name, log.len() - from, log.len());
            log.iter().skip(from).for_each(|line| eprintln!("{line}"));
        }
    }
}
