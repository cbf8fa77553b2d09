//! Clocks, percentiles, and what a server's process costs.

use std::time::Instant;

/// Nanoseconds since the generator began; the only clock here.
#[derive(Clone, Copy)]
pub struct Clock(Instant);

impl Clock {
    /// Starts at zero.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Nanoseconds since.
    pub fn now(&self) -> u64 {
        self.0.elapsed().as_nanos() as u64
    }
}

const STEPS: u64 = 64;

/// Percentiles of durations, each kept to 1.6 %.
#[derive(Clone)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
    greatest: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; (STEPS as usize) * 50], total: 0, greatest: 0 }
    }
}

impl Histogram {
    /// Adds one duration in nanoseconds.
    pub fn add(&mut self, value: u64) {
        let index = if value < STEPS {
            value
        } else {
            let power = u64::from(63 - value.leading_zeros()) - 6;
            (power + 1) * STEPS + ((value >> power) - STEPS)
        };
        let last = self.counts.len() - 1;
        self.counts[(index as usize).min(last)] += 1;
        self.total += 1;
        self.greatest = self.greatest.max(value);
    }

    /// How many were added.
    pub fn count(&self) -> u64 {
        self.total
    }

    /// The duration in microseconds that `share` (0–1) of them did not exceed.
    pub fn quantile(&self, share: f64) -> f64 {
        if self.total == 0 {
            return 0.0;
        }
        let wanted = ((self.total as f64 * share).ceil() as u64).clamp(1, self.total);
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                let index = index as u64;
                let upper = if index < STEPS {
                    index
                } else {
                    let power = index / STEPS - 1;
                    ((index % STEPS + STEPS + 1) << power) - 1
                };
                return upper.min(self.greatest) as f64 / 1000.0;
            }
        }
        self.greatest as f64 / 1000.0
    }

    /// The greatest of them in microseconds.
    pub fn max(&self) -> f64 {
        self.greatest as f64 / 1000.0
    }

    /// One line of the report.
    pub fn line(&self, title: &str) -> String {
        if self.total == 0 {
            return format!("  {title:<26} -");
        }
        format!(
            "  {title:<26} p50 {:>9}  p90 {:>9}  p99 {:>9}  p99.9 {:>9}  max {:>9}   ({} of them)",
            duration(self.quantile(0.5)),
            duration(self.quantile(0.9)),
            duration(self.quantile(0.99)),
            duration(self.quantile(0.999)),
            duration(self.max()),
            self.total
        )
    }

    /// The same for scripts.
    pub fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "count": self.total, "p50_us": self.quantile(0.5), "p90_us": self.quantile(0.9),
            "p99_us": self.quantile(0.99), "p999_us": self.quantile(0.999), "max_us": self.max(),
        })
    }
}

/// Microseconds as a person reads them.
pub fn duration(us: f64) -> String {
    if us < 1000.0 {
        format!("{us:.0} µs")
    } else if us < 1_000_000.0 {
        format!("{:.2} ms", us / 1000.0)
    } else {
        format!("{:.2} s", us / 1_000_000.0)
    }
}

/// A look at the server's process.
#[derive(Clone, Copy, Default, Debug)]
pub struct Snapshot {
    /// CPU time of all its threads in nanoseconds.
    pub cpu: u64,
    /// Context switches of all its threads.
    pub switches: u64,
    /// Resident memory in KiB.
    pub resident: u64,
    /// Open files.
    pub files: u64,
}

/// Watches one process.
pub struct Watch {
    pid: u32,
    began: Instant,
    first: Snapshot,
    peak: u64,
    looked: u64,
}

/// What a [`Watch`] has seen from its beginning to its end.
pub struct Cost {
    /// CPU time in nanoseconds.
    pub cpu: u64,
    /// Context switches.
    pub switches: u64,
    /// Resident memory in KiB: before, at its greatest, afterwards.
    pub resident: [u64; 3],
    /// Open files afterwards.
    pub files: u64,
    /// How long it was watched, in nanoseconds.
    pub lasted: u64,
}

impl Cost {
    /// What is said of it in the report; `what` is what `count` were of.
    pub fn line(&self, what: &str, count: u64) -> String {
        let count = count.max(1) as f64;
        let [before, peak, after] = self.resident;
        format!(
            "{:.1} µs CPU per {what} ({:.0} % of a core), {:.1} context switches per {what}, memory {before} -> {peak} -> {after} KiB (before, peak, after), {} open files after",
            self.cpu as f64 / 1000.0 / count,
            self.share() * 100.0,
            self.switches as f64 / count,
            self.files
        )
    }

    /// The share of one core.
    pub fn share(&self) -> f64 {
        self.cpu as f64 / self.lasted.max(1) as f64
    }

    /// The same for scripts, per one of `count`.
    pub fn json(&self, count: u64) -> serde_json::Value {
        let count = count.max(1) as f64;
        serde_json::json!({
            "cpu_us_each": self.cpu as f64 / 1000.0 / count, "cpu_ns": self.cpu,
            "cpu_share": self.share(), "switches_each": self.switches as f64 / count,
            "resident_before": self.resident[0], "resident_peak": self.resident[1],
            "resident_after": self.resident[2], "files_after": self.files,
        })
    }
}

impl Watch {
    /// Begins; an error when there is no such process.
    pub fn begin(pid: u32) -> Result<Self, String> {
        let first = snapshot(pid)
            .ok_or_else(|| format!("--pid {pid}: no such process, or it may not be looked at"))?;
        Ok(Self { pid, began: Instant::now(), first, peak: first.resident, looked: 0 })
    }

    /// Looks at the memory, at most ten times a second.
    pub fn look(&mut self, now: u64) {
        if now >= self.looked + 100_000_000 {
            self.looked = now;
            if let Some(resident) = resident(self.pid) {
                self.peak = self.peak.max(resident);
            }
        }
    }

    /// Ends; none when the process is gone.
    pub fn end(&self) -> Option<Cost> {
        let last = snapshot(self.pid)?;
        Some(Cost {
            cpu: last.cpu.saturating_sub(self.first.cpu),
            switches: last.switches.saturating_sub(self.first.switches),
            resident: [self.first.resident, self.peak.max(last.resident), last.resident],
            files: last.files,
            lasted: self.began.elapsed().as_nanos() as u64,
        })
    }
}

fn resident(pid: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let pages: u64 = text.split(' ').nth(1)?.parse().ok()?;
    // SAFETY: sysconf only reads a constant of the system.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as u64;
    Some(pages * page / 1024)
}

/// Adds up what the kernel says of every thread of a process.
pub fn snapshot(pid: u32) -> Option<Snapshot> {
    let mut sum = Snapshot {
        resident: resident(pid)?,
        files: std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, |list| list.count() as u64),
        ..Snapshot::default()
    };
    for task in std::fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten() {
        let path = task.path();
        if let Ok(text) = std::fs::read_to_string(path.join("schedstat")) {
            sum.cpu += text.split(' ').next().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
        }
        if let Ok(text) = std::fs::read_to_string(path.join("status")) {
            sum.switches += text
                .lines()
                .filter(|line| line.contains("ctxt_switches"))
                .filter_map(|line| line.rsplit(['\t', ' ']).next()?.parse::<u64>().ok())
                .sum::<u64>();
        }
    }
    Some(sum)
}

/// CPU time in nanoseconds of the threads of a process that are called so.
pub fn thread_cpu(pid: u32, name: &str) -> u64 {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return 0 };
    let read = |task: &std::fs::DirEntry, file: &str| std::fs::read_to_string(task.path().join(file)).ok();
    let named = tasks.flatten().filter(|task| read(task, "comm").is_some_and(|comm| comm.trim_end() == name));
    named.filter_map(|task| read(&task, "schedstat")?.split(' ').next()?.parse::<u64>().ok()).sum()
}

/// Ties this thread to one CPU.
pub fn pin(cpu: usize) -> Result<(), String> {
    // SAFETY: all-zero is the empty set; CPU_SET writes within it; the call reads it.
    let result = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        if cpu >= libc::CPU_SETSIZE as usize {
            return Err(format!("--pin {cpu}: there is no such CPU"));
        }
        libc::CPU_SET(cpu, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set)
    };
    if result == 0 { Ok(()) } else { Err(format!("--pin {cpu}: {}", std::io::Error::last_os_error())) }
}
