//! What the relay costs per packet, beside a bare epoll loop that does the same without looking at the packets and
//! beside rtpengine's relay in user space (when it is installed), in the same run.
//!
//! ```text
//! cargo bench --bench media -- [compare] [--seconds 2] [--rounds 3] [--calls 100,500,1000]
//! cargo bench --bench media -- many [--calls 1500] [--seconds 10]     how many calls one core carries, and the loss
//! cargo bench --bench media -- count N                                relays N packets and ends: for callgrind
//! ```
//!
//! Both of the first also show the engine without its hold-off (`EngineConfig::hold_off`), as "at once".
//!
//! One thread, which never sleeps, sends and receives for all phones: one packet per stream every 20 ms, spread evenly.
//! The relay is on the first core and the phones are on the last. CPU time is the scheduler's own count of the relay's
//! threads (/proc/PID/task/TID/schedstat), which on loopback includes the delivery to the phone's socket. The order of
//! the designs changes from round to round; the medians are compared, since the machine is shared.

use std::fs;
use std::sync::OnceLock;
use std::time::Duration;

use tandem::media::{EngineConfig, raise_fd_limit};

mod phones;
mod relays;
mod rtpengine;
mod syscalls;

use phones::{Call, talk};

//------------ Cores ---------------------------------------------------------

/// Counted before any thread is pinned: a pinned thread is told of its own core only.
fn cores() -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from))
}

/// Keeps this thread, and those it starts from now on, on one core.
fn pin(core: usize) {
    // SAFETY: an empty set is all zeros.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: `set` is a whole cpu_set_t.
    unsafe { libc::CPU_SET(core, &mut set) };
    // SAFETY: `set` is a whole cpu_set_t and outlives the call.
    unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) };
}

/// Starts a relay on the first core and comes back to the last.
fn start<R>(cores: usize, relay: impl FnOnce() -> R) -> R {
    pin(0);
    let relay = relay();
    pin(cores - 1);
    relay
}

//------------ Measuring -----------------------------------------------------

/// Whose time counts.
enum Threads {
    /// That of this process with this name.
    Named(&'static str),
    /// All of that process.
    Of(u32),
}

impl Threads {
    fn tasks(&self) -> Vec<String> {
        let list = |folder: &str| -> Vec<String> {
            let entries = fs::read_dir(folder).expect("procfs").flatten();
            entries.map(|e| e.path().display().to_string()).collect()
        };
        match self {
            Threads::Of(pid) => list(&format!("/proc/{pid}/task")),
            Threads::Named(name) => loop {
                let is = |task: &String| {
                    fs::read_to_string(format!("{task}/comm")).is_ok_and(|c| c.trim() == *name)
                };
                let found: Vec<_> = list("/proc/self/task").into_iter().filter(is).collect();
                if !found.is_empty() {
                    return found;
                }
            },
        }
    }

    /// Nanoseconds on a CPU, and how often the threads went to sleep.
    fn used(&self) -> (u64, u64) {
        let number = |t: &str| t.trim().parse::<u64>().unwrap_or(0);
        let used = |task: &String| {
            let stat = fs::read_to_string(format!("{task}/schedstat")).unwrap_or_default();
            let status = fs::read_to_string(format!("{task}/status")).unwrap_or_default();
            let sleeps = status.lines().find_map(|l| l.strip_prefix("voluntary_ctxt_switches:"));
            (stat.split(' ').next().map_or(0, number), sleeps.map_or(0, number))
        };
        self.tasks().iter().map(used).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    }
}

struct Figure {
    ns: f64,
    sleeps: f64,
    syscalls: f64,
    lost: f64,
    delay: [f64; 2],
    cpu: f64,
    behind: Duration,
}

fn measure(threads: &Threads, calls: &[Call], time: Duration) -> Figure {
    talk(calls, Duration::from_millis(300)); // latch, connect, warm up
    let (cpu, sleeps) = threads.used();
    let syscalls = syscalls::counted();
    let talk = talk(calls, time);
    let (cpu_after, sleeps_after) = threads.used();
    let per = |n: u64| n as f64 / talk.arrived.max(1) as f64;
    Figure {
        ns: per(cpu_after - cpu),
        sleeps: per(sleeps_after - sleeps),
        syscalls: per(syscalls::counted() - syscalls),
        lost: talk.lost(),
        delay: [talk.delay(0.5), talk.delay(0.99)],
        cpu: 100.0 * (cpu_after - cpu) as f64 / time.as_nanos() as f64,
        behind: talk.behind,
    }
}

fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of.get(of.len() / 2).copied().unwrap_or(f64::NAN)
}

//------------ What is asked -------------------------------------------------

const DESIGNS: [&str; 4] = ["bare epoll loop", "tandem", AT_ONCE, "rtpengine"];

/// Without letting packets gather.
const AT_ONCE: &str = "tandem, at once";

fn run(design: &str, calls: usize, time: Duration) -> Figure {
    let cores = cores();
    match design {
        "bare epoll loop" => {
            let (_relay, calls) = start(cores, || relays::bare(calls));
            measure(&Threads::Named("bare"), &calls, time)
        }
        "tandem" | AT_ONCE => {
            let usual = EngineConfig::default().hold_off;
            let hold_off = if design == AT_ONCE { Duration::ZERO } else { usual };
            let (_relay, calls) = start(cores, || relays::ours(calls, hold_off));
            measure(&Threads::Named("media-0"), &calls, time)
        }
        _ => {
            let (relay, calls) = start(cores, || rtpengine::rtpengine(calls));
            measure(&Threads::Of(relay.pid()), &calls, time)
        }
    }
}

fn compare(asked: &Asked) {
    let designs = if rtpengine::installed() {
        &DESIGNS[..]
    } else {
        println!("rtpengine is not installed (Debian: rtpengine-daemon) and is left out");
        &DESIGNS[..3]
    };
    println!(
        "calls  design           ns/packet (  min)   x bare  x rtpengine  sleeps/packet  syscalls/packet  \
         p50 us  p99 us  lost %"
    );
    for n in asked.calls.iter().copied() {
        let mut figures: Vec<Vec<Figure>> = designs.iter().map(|_| Vec::new()).collect();
        for round in 0..asked.rounds {
            for turn in 0..designs.len() {
                let which = (round + turn) % designs.len();
                figures[which].push(run(designs[which], n, asked.time));
            }
        }
        let of = |which: usize, what: &dyn Fn(&Figure) -> f64| -> f64 {
            median(figures.get(which).into_iter().flatten().map(what).collect())
        };
        let ns = |which| of(which, &|f| f.ns);
        for (which, design) in designs.iter().enumerate() {
            let least = figures[which].iter().map(|f| f.ns).fold(f64::INFINITY, f64::min);
            println!(
                "{n:5}  {design:<16} {:9.0} ({least:5.0})  {:6.2}  {:11.2}  {:13.3}  {:15.2}  {:6.0}  {:6.0}  {:6.3}",
                ns(which),
                ns(which) / ns(0),
                ns(which) / ns(3),
                of(which, &|f| f.sleeps),
                of(which, &|f| f.syscalls),
                of(which, &|f| f.delay[0]),
                of(which, &|f| f.delay[1]),
                of(which, &|f| f.lost),
            );
        }
    }
}

fn many(asked: &Asked) {
    for n in asked.calls.iter().copied() {
        for design in ["tandem", AT_ONCE] {
            let f = run(design, n, asked.time);
            println!(
                "{design}: {n} calls for {} s: {:.4} % lost, {:.0} % of a core, {:.0} ns per packet, p50 {:.0} us, p99 {:.0} us; \
             the phones were at most {} ms behind",
                asked.time.as_secs_f64(),
                f.lost,
                f.cpu,
                f.ns,
                f.delay[0],
                f.delay[1],
                f.behind.as_millis(),
            );
        }
    }
}

/// One call; each packet is heard before the next is said, so that every one costs its own wake-up.
fn count(packets: u64) {
    let (_relay, calls) = relays::ours(1, Duration::ZERO);
    let [a, b] = &calls[0].phones;
    a.set_nonblocking(false).expect("blocking");
    b.set_nonblocking(false).expect("blocking");
    let mut packet = [0u8; 172];
    packet[0] = 0x80;
    let mut buf = [0u8; 2048];
    for i in 0..packets {
        packet[2..4].copy_from_slice(&(i as u16).to_be_bytes());
        packet[4..8].copy_from_slice(&((i * 160) as u32).to_be_bytes());
        a.send_to(&packet, calls[0].ports[0]).expect("sent");
        b.recv(&mut buf).expect("relayed");
    }
    println!("{packets} packets relayed");
}

struct Asked {
    time: Duration,
    rounds: usize,
    calls: Vec<usize>,
}

fn main() {
    syscalls::leave_out();
    raise_fd_limit().expect("the descriptor limit");
    let words: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let value = |name: &str| {
        let at = words.iter().position(|w| w == name)?;
        words.get(at + 1).cloned()
    };
    let number = |text: String| text.parse::<f64>().unwrap_or_else(|_| panic!("{text} is no number"));
    let asked = |seconds: f64, calls: &str| Asked {
        time: Duration::from_secs_f64(value("--seconds").map_or(seconds, number)),
        rounds: value("--rounds").map_or(3.0, number) as usize,
        calls: value("--calls")
            .unwrap_or(calls.to_owned())
            .split(',')
            .map(|n| number(n.to_owned()) as usize)
            .collect(),
    };
    match words.first().map(String::as_str) {
        Some("count") => count(value("count").map_or(1000.0, number) as u64),
        Some("many") => many(&asked(10.0, "1500")),
        _ => compare(&asked(2.0, "100,500,1000")),
    }
}
