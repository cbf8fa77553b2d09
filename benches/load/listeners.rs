//! Clients of the event socket beside a run of calls: they want every event and read as fast as they are let, in a process of
//! little weight, so that the generator shares nothing with them; one never reads. What they read is cut into frames and
//! counted, not looked at.

use crate::measure::pin;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// What all of them have read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Heard {
    /// Events, those apart that tell of a loss.
    pub events: u64,
    /// Bytes.
    pub bytes: u64,
    /// Events that they were told they had lost.
    pub lost: u64,
}

/// The clients; they go when this is ended, or dropped.
pub struct Listeners {
    process: libc::pid_t,
    /// Its other end is told what they have heard, once this one is shut.
    told: UnixStream,
}

/// One of them.
struct Listener {
    stream: TcpStream,
    /// The head of a frame, as far as it has come, or the body of a short one.
    piece: Vec<u8>,
    /// How much of a body is still to come.
    body: usize,
    open: bool,
}

/// The longest body that is looked at: one that tells of a loss is short.
const SHORT: usize = 1500;

impl Listeners {
    /// Connects `count` of them and one that will not read; they read on that CPU. To be called by the only thread.
    pub fn start(at: SocketAddr, password: &str, count: usize, cpu: usize) -> Result<Self, String> {
        let (told, mut tell) = UnixStream::pair().map_err(|e| e.to_string())?;
        // SAFETY: no other thread runs, so that whatever is locked is ours; the child never returns from here.
        let process = unsafe { libc::fork() };
        match process {
            -1 => return Err(std::io::Error::last_os_error().to_string()),
            0 => {
                drop(told);
                let said = listen(at, password, count, cpu, &mut tell);
                // SAFETY: a plain system call; nothing that the parent has is touched.
                unsafe { libc::_exit(i32::from(said.is_err())) }
            }
            _ => {}
        }
        drop(tell);
        let mut listeners = Self { process, told };
        let mut ready = [0];
        match listeners.told.read_exact(&mut ready) {
            Ok(()) => Ok(listeners),
            Err(_) => Err(format!("{count} clients could not connect to the event socket {at}")),
        }
    }

    /// Ends them.
    pub fn end(mut self) -> Heard {
        let mut said = String::new();
        let _ = self.told.shutdown(std::net::Shutdown::Write);
        let _ = self.told.read_to_string(&mut said);
        let mut numbers = said.split(' ').map(|number| number.parse().unwrap_or(0));
        let mut next = || numbers.next().unwrap_or(0);
        Heard { events: next(), bytes: next(), lost: next() }
    }
}

impl Drop for Listeners {
    fn drop(&mut self) {
        // SAFETY: a signal to our own child, which is then waited for.
        unsafe {
            libc::kill(self.process, libc::SIGKILL);
            libc::waitpid(self.process, std::ptr::null_mut(), 0);
        }
    }
}

/// The life of the process.
fn listen(
    at: SocketAddr,
    password: &str,
    count: usize,
    cpu: usize,
    tell: &mut UnixStream,
) -> Result<(), String> {
    // SAFETY: plain system calls about the calling process.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        libc::setpriority(libc::PRIO_PROCESS, 0, 19);
    }
    pin(cpu)?;
    let _deaf = enter(at, password)?;
    let mut all = Vec::with_capacity(count);
    for _ in 0..count {
        let stream = enter(at, password)?;
        stream.set_nonblocking(true).map_err(|e| e.to_string())?;
        all.push(Listener { stream, piece: Vec::new(), body: 0, open: true });
    }
    tell.write_all(b"!").map_err(|e| e.to_string())?;
    let Heard { events, bytes, lost } = read(&mut all, tell);
    write!(tell, "{events} {bytes} {lost}").map_err(|e| e.to_string())
}

/// A client that has logged in and wants everything.
fn enter(at: SocketAddr, password: &str) -> Result<TcpStream, String> {
    let mut stream = TcpStream::connect(at).map_err(|e| format!("event socket {at}: {e}"))?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).map_err(|e| e.to_string())?;
    for (say, hear) in [("", "auth/request"), ("auth ", "+OK"), ("event plain ALL", "+OK")] {
        let words = if say == "auth " { format!("auth {password}\n\n") } else { format!("{say}\n\n") };
        if !say.is_empty() {
            stream.write_all(words.as_bytes()).map_err(|e| e.to_string())?;
        }
        let mut said = Vec::new();
        while !said.ends_with(b"\n\n") {
            let mut one = [0];
            stream.read_exact(&mut one).map_err(|e| format!("event socket {at}: {e}"))?;
            said.push(one[0]);
        }
        if !String::from_utf8_lossy(&said).contains(hear) {
            return Err(format!("event socket {at}: {}", String::from_utf8_lossy(&said)));
        }
    }
    Ok(stream)
}

/// Reads until the other end of `stop` is shut.
fn read(all: &mut [Listener], stop: &UnixStream) -> Heard {
    let mut heard = Heard::default();
    let mut room = vec![0; 256 << 10];
    let descriptors = all.iter().map(|one| one.stream.as_raw_fd()).chain([stop.as_raw_fd()]);
    let mut polled: Vec<libc::pollfd> =
        descriptors.map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 }).collect();
    while polled.last().is_some_and(|stop| stop.revents == 0) {
        // SAFETY: `polled` is a whole array of that length for as long as the call lasts.
        unsafe { libc::poll(polled.as_mut_ptr(), polled.len() as libc::nfds_t, -1) };
        for (one, poll) in all.iter_mut().zip(&mut polled) {
            if poll.revents == 0 {
                continue;
            }
            match one.stream.read(&mut room) {
                Ok(0) => one.open = false,
                Ok(count) => one.take(&room[..count], &mut heard),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => one.open = false,
            }
            if !one.open {
                poll.fd = -1;
            }
        }
    }
    heard
}

impl Listener {
    /// Cuts what has come into frames.
    fn take(&mut self, mut bytes: &[u8], heard: &mut Heard) {
        heard.bytes += bytes.len() as u64;
        while !bytes.is_empty() {
            if self.body > 0 {
                let count = self.body.min(bytes.len());
                let (body, rest) = bytes.split_at(count);
                if !self.piece.is_empty() {
                    self.piece.extend_from_slice(body);
                }
                self.body -= count;
                bytes = rest;
                if self.body == 0 {
                    self.whole(heard);
                }
                continue;
            }
            // A head ends at its empty line.
            let (byte, rest) = bytes.split_at(1);
            self.piece.extend_from_slice(byte);
            bytes = rest;
            if self.piece.ends_with(b"\n\n") {
                let text = String::from_utf8_lossy(&self.piece);
                let length =
                    text.lines().find_map(|line| line.strip_prefix("Content-Length: ")?.parse().ok());
                self.body = length.unwrap_or(0);
                if self.body == 0 || self.body > SHORT {
                    self.piece.clear();
                    heard.events += u64::from(self.body > 0);
                }
            }
        }
    }

    /// A short body has come.
    fn whole(&mut self, heard: &mut Heard) {
        if self.piece.is_empty() {
            return;
        }
        let text = String::from_utf8_lossy(&self.piece);
        let number = |line: &str| line.strip_prefix("Lost-Events: ")?.parse::<u64>().ok();
        match text.lines().find_map(number) {
            Some(lost) => heard.lost += lost,
            None => heard.events += 1,
        }
        self.piece.clear();
    }
}
