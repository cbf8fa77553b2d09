//! What the relay costs per packet: CPU time of the media thread and system calls, beside a bare epoll loop that does
//! the same without looking at the packets, in the same run.
//!
//! ```text
//! cargo bench --bench media [-- SECONDS]
//! ```
//!
//! One thread sends and receives for all phones, one packet per stream every 20 ms, spread evenly; the relay runs on a
//! thread of its own. CPU time is the scheduler's own count of that thread (/proc/self/task/TID/schedstat), which on
//! loopback includes the delivery to the phone's socket. The order of the designs changes from round to round; the
//! medians are compared, since the machine is shared. System calls are counted by standing in for the C library's
//! functions on the relay's thread.

use std::cell::Cell;
use std::ffi::{c_int, c_uint, c_void};
use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use libc::{size_t, ssize_t};
use tandem::media::{Engine, EngineConfig, Format, Payload, PortRange, Remote, Stream, raise_fd_limit};

const FRAME: Duration = Duration::from_millis(20);
const SIZE: usize = 172;
const ROUNDS: usize = 3;

//------------ Counting system calls -----------------------------------------

static SYSCALLS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static PHONES: Cell<bool> = const { Cell::new(false) };
}

fn count() {
    if !PHONES.get() {
        SYSCALLS.fetch_add(1, Relaxed);
    }
}

/// Stands in for functions of the C library, in this program only: counts, and makes the system call.
macro_rules! counted {
    ($($name:ident = $number:ident ( $($arg:ident : $kind:ty),* ) -> $result:ty;)*) => { $(
        /// # Safety
        /// As the function of the C library that it stands in for.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name($($arg: $kind),*) -> $result {
            count();
            // SAFETY: the caller's arguments are passed on as they are; the kernel checks them.
            unsafe { libc::syscall(libc::$number, $($arg),*) as $result }
        }
    )* };
}

counted! {
    recvfrom = SYS_recvfrom(fd: c_int, buf: *mut c_void, len: size_t, flags: c_int, from: *mut c_void, n: *mut c_void)
        -> ssize_t;
    sendto = SYS_sendto(fd: c_int, buf: *const c_void, len: size_t, flags: c_int, to: *const c_void, n: c_uint)
        -> ssize_t;
    epoll_wait = SYS_epoll_wait(fd: c_int, events: *mut c_void, room: c_int, ms: c_int) -> c_int;
    connect = SYS_connect(fd: c_int, to: *const c_void, n: c_uint) -> c_int;
}

/// `recv` and `send` are the same system calls as `recvfrom` and `sendto`.
///
/// # Safety
/// As `recv` of the C library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn recv(fd: c_int, buf: *mut c_void, len: size_t, flags: c_int) -> ssize_t {
    let none = std::ptr::null_mut();
    // SAFETY: passed on as it is, without an address.
    unsafe { recvfrom(fd, buf, len, flags, none, none) }
}

/// # Safety
/// As `send` of the C library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn send(fd: c_int, buf: *const c_void, len: size_t, flags: c_int) -> ssize_t {
    // SAFETY: passed on as it is, without an address.
    unsafe { sendto(fd, buf, len, flags, std::ptr::null(), 0) }
}

/// Two phones and the two ports they send to.
struct Call {
    phones: [UdpSocket; 2],
    ports: [SocketAddr; 2],
}

fn socket(host: &str) -> UdpSocket {
    let s = UdpSocket::bind((host, 0)).expect("a port");
    s.set_nonblocking(true).expect("not blocking");
    s
}

fn phones() -> [UdpSocket; 2] {
    [socket("127.0.0.2"), socket("127.0.0.3")]
}

fn at(s: &UdpSocket) -> SocketAddr {
    s.local_addr().expect("bound")
}

//------------ The engine ----------------------------------------------------

fn engine_calls(n: usize, connect: bool) -> (Engine, Vec<Stream>, Vec<Call>) {
    let ports = PortRange::new(20_000, 60_000);
    let engine = Engine::start(EngineConfig { threads: 1, ports, connect, ..EngineConfig::default() })
        .expect("an engine");
    let (mut streams, mut calls) = (Vec::new(), Vec::new());
    for _ in 0..n {
        let phones = phones();
        let legs = [0, 1].map(|i: usize| {
            let leg = engine.open([127, 0, 0, 1].into(), Arc::new(|_, _| {})).expect("a stream");
            leg.format(Format::of([
                Payload::new("PCMU", 0, 8000),
                Payload::new("telephone-event", 101, 8000),
            ]));
            leg.remote(Remote::at(at(&phones[i])));
            leg
        });
        legs[0].bridge_matching(legs[1].id()).expect("both are there");
        calls.push(Call { ports: [legs[0].local(), legs[1].local()], phones });
        streams.extend(legs);
    }
    (engine, streams, calls)
}

//------------ The bare loop -------------------------------------------------

struct Bare {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Bare {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        if let Some(t) = self.thread.take() {
            t.join().expect("the bare loop ends");
        }
    }
}

/// Edge-triggered, connected sockets, length and version checked, nothing else.
fn bare_calls(n: usize) -> (Bare, Vec<Call>) {
    let (mut sockets, mut calls) = (Vec::new(), Vec::new());
    for _ in 0..n {
        let phones = phones();
        let pair = [0, 1].map(|i: usize| {
            let s = socket("127.0.0.1");
            s.connect(at(&phones[i])).expect("connected");
            s
        });
        calls.push(Call { ports: [at(&pair[0]), at(&pair[1])], phones });
        sockets.extend(pair);
    }
    // SAFETY: no pointers are passed.
    let epoll = unsafe { libc::epoll_create1(0) };
    for (i, s) in sockets.iter().enumerate() {
        let mut e = libc::epoll_event { events: (libc::EPOLLIN | libc::EPOLLET) as u32, u64: i as u64 };
        // SAFETY: `e` outlives the call.
        assert_eq!(unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, s.as_raw_fd(), &mut e) }, 0);
    }
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    let body = move || {
        let mut events = vec![libc::epoll_event { events: 0, u64: 0 }; 256];
        let mut buf = vec![0u8; 65_536];
        while !stopped.load(Relaxed) {
            // SAFETY: room for 256 events.
            let ready = unsafe { libc::epoll_wait(epoll, events.as_mut_ptr(), 256, 50) };
            for e in events.iter().take(usize::try_from(ready).unwrap_or(0)) {
                let i = e.u64 as usize;
                while let Ok(len) = sockets[i].recv(&mut buf) {
                    if len > 12 && buf[0] >> 6 == 2 {
                        drop(sockets[i ^ 1].send(&buf[..len]));
                    }
                }
            }
        }
        // SAFETY: the set is ours and closed once.
        unsafe { libc::close(epoll) };
    };
    let thread = std::thread::Builder::new().name("bare".into()).spawn(body).expect("a thread");
    (Bare { stop, thread: Some(thread) }, calls)
}

//------------ The phones ----------------------------------------------------

/// Sends for all phones for so long and returns (sent, arrived).
fn talk(calls: &[Call], time: Duration) -> (u64, u64) {
    let mut packet = [0u8; SIZE];
    packet[0] = 0x80;
    let (start, legs) = (Instant::now(), calls.len() * 2);
    let (mut sent, mut arrived) = (0u64, 0u64);
    let mut buf = [0u8; 2048];
    let gap = FRAME / u32::try_from(legs).expect("few calls");
    let total = u64::try_from(time.as_nanos() / gap.as_nanos()).expect("short");
    while sent < total || start.elapsed() < time + FRAME {
        let due = u64::try_from(start.elapsed().as_nanos() / gap.as_nanos()).expect("short").min(total);
        if sent == due {
            std::thread::sleep(Duration::from_micros(200));
        }
        while sent < due {
            let leg = usize::try_from(sent % legs as u64).expect("small");
            let frame = sent / legs as u64;
            let call = &calls[leg / 2];
            packet[2..4].copy_from_slice(&(frame as u16).to_be_bytes());
            packet[4..8].copy_from_slice(&((frame * 160) as u32).to_be_bytes());
            packet[8..12].copy_from_slice(&(leg as u32).to_be_bytes());
            if call.phones[leg % 2].send_to(&packet, call.ports[leg % 2]).is_ok() {
                sent += 1;
            }
            while call.phones[leg % 2].recv(&mut buf).is_ok() {
                arrived += 1;
            }
        }
    }
    std::thread::sleep(Duration::from_millis(50));
    for phone in calls.iter().flat_map(|c| &c.phones) {
        while phone.recv(&mut buf).is_ok() {
            arrived += 1;
        }
    }
    (sent, arrived)
}

//------------ Measuring -----------------------------------------------------

/// The task of the thread with this name.
fn task(name: &str) -> String {
    loop {
        for entry in fs::read_dir("/proc/self/task").expect("procfs").flatten() {
            let path = entry.path();
            if fs::read_to_string(path.join("comm")).is_ok_and(|c| c.trim() == name) {
                return path.display().to_string();
            }
        }
    }
}

/// Nanoseconds on a CPU, and how often the thread went to sleep.
fn used(task: &str) -> (u64, u64) {
    let stat = fs::read_to_string(format!("{task}/schedstat")).expect("schedstat");
    let status = fs::read_to_string(format!("{task}/status")).expect("status");
    let sleeps = status.lines().find_map(|l| l.strip_prefix("voluntary_ctxt_switches:"));
    let number = |t: &str| t.trim().parse().unwrap_or(0);
    (stat.split(' ').next().map_or(0, number), sleeps.map_or(0, number))
}

struct Figure {
    ns: f64,
    sleeps: f64,
    lost: f64,
    syscalls: f64,
}

fn measure(name: &str, calls: &[Call], time: Duration) -> Figure {
    talk(calls, Duration::from_millis(300)); // latch, connect, warm up
    let task = task(name);
    let (cpu, sleeps) = used(&task);
    let syscalls = SYSCALLS.load(Relaxed);
    let (sent, arrived) = talk(calls, time);
    let (cpu_after, sleeps_after) = used(&task);
    let per = |n: u64| n as f64 / arrived.max(1) as f64;
    Figure {
        ns: per(cpu_after - cpu),
        sleeps: per(sleeps_after - sleeps),
        lost: 100.0 * (1.0 - arrived as f64 / sent as f64),
        syscalls: per(SYSCALLS.load(Relaxed) - syscalls),
    }
}

fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}

fn main() {
    let seconds = std::env::args().skip(1).find_map(|a| a.parse().ok()).unwrap_or(2.0);
    let time = Duration::from_secs_f64(seconds);
    PHONES.set(true);
    raise_fd_limit().expect("the descriptor limit");
    println!("calls  design              ns/packet (min)   x bare   sleeps/packet  syscalls/packet  lost %");
    for n in [100, 500] {
        let designs = ["bare epoll loop", "engine", "engine, unconnected"];
        let mut figures: [Vec<Figure>; 3] = Default::default();
        for round in 0..ROUNDS {
            for turn in 0..designs.len() {
                let which = (round + turn) % designs.len();
                figures[which].push(match which {
                    0 => {
                        let (bare, calls) = bare_calls(n);
                        let figure = measure("bare", &calls, time);
                        drop(bare);
                        figure
                    }
                    _ => {
                        let (engine, streams, calls) = engine_calls(n, which == 1);
                        let figure = measure("media-0", &calls, time);
                        drop(streams);
                        engine.stop();
                        figure
                    }
                });
            }
        }
        let of = |which: usize, what: fn(&Figure) -> f64| figures[which].iter().map(what).collect::<Vec<_>>();
        let bare = median(of(0, |f| f.ns));
        for (which, design) in designs.iter().enumerate() {
            let ns = of(which, |f| f.ns);
            let least = ns.iter().copied().fold(f64::INFINITY, f64::min);
            let mid = median(ns);
            println!(
                "{n:5}  {design:<19} {mid:8.0} ({least:6.0})  {:6.2}  {:13.3}  {:15.2}  {:6.2}",
                mid / bare,
                median(of(which, |f| f.sleeps)),
                median(of(which, |f| f.syscalls)),
                median(of(which, |f| f.lost)),
            );
        }
    }
}
