//! When the next one begins, and whether the generator kept up.

use crate::measure::{Clock, Histogram, duration};

/// The share of its time above which the generator is the limit.
const FULL: f64 = 0.95;

/// An open load: so many a second by the clock, however the server is doing.
#[derive(Default, Clone)]
pub struct Pace {
    rate: f64,
    count: u64,
    begin: u64,
    last: u64,
    begun: u64,
    busy: u64,
    /// How late each began.
    pub lag: Histogram,
    /// From the beginning to the last one that began, in nanoseconds.
    pub sending: u64,
    /// How much of it the generator had something to do.
    busy_sending: u64,
}

impl Pace {
    /// Starts now.
    pub fn start(rate: f64, count: u64, now: u64) -> Self {
        Self { rate, count, begin: now, last: now, ..Self::default() }
    }

    /// Whether one more begins now; to be asked until it says no.
    pub fn begins(&mut self, clock: Clock) -> bool {
        if self.begun >= self.count {
            return false;
        }
        let due = self.begin + (self.begun as f64 * 1e9 / self.rate) as u64;
        let now = clock.now();
        if now < due {
            return false;
        }
        self.lag.add(now - due);
        self.begun += 1;
        if self.begun == self.count {
            self.stop(now);
        }
        true
    }

    /// Notes the end of one pass of the loop and whether there was something to do in it.
    pub fn passed(&mut self, worked: bool, now: u64) {
        if worked {
            self.busy += now - self.last;
        }
        self.last = now;
    }

    /// No more begin.
    pub fn stop(&mut self, now: u64) {
        self.count = self.begun;
        self.sending = now - self.begin;
        self.busy_sending = self.busy;
    }

    /// Whether all have begun.
    pub fn over(&self) -> bool {
        self.begun >= self.count
    }

    /// Nanoseconds since the start.
    pub fn since(&self, now: u64) -> u64 {
        now - self.begin
    }

    /// How many begin each second, as it was.
    pub fn per_second(&self, count: u64) -> f64 {
        count as f64 / (self.sending.max(1) as f64 / 1e9)
    }

    /// The share of the time in which the generator had something to do.
    pub fn busy_share(&self) -> f64 {
        self.busy_sending as f64 / self.sending.max(1) as f64
    }

    /// Whether the generator could not do what was asked of it.
    pub fn limited(&self) -> bool {
        self.busy_share() > FULL || (self.begun > 100 && self.per_second(self.begun) < self.rate * 0.98)
    }

    /// Why the generator, and not the server, may have set the figure.
    pub fn doubts(&self, overflowed: u64) -> Vec<String> {
        let mut doubts = Vec::new();
        let offered = self.per_second(self.begun);
        if self.busy_share() > FULL {
            doubts.push(format!(
                "the generator was busy {:.0} % of the time: it was the limit",
                self.busy_share() * 100.0
            ));
        }
        if self.begun > 100 && offered < self.rate * 0.98 {
            doubts.push(format!("only {offered:.0} of {:.0} a second were offered", self.rate));
        }
        if self.lag.max() > 50_000.0 {
            doubts.push(format!(
                "the generator was late by up to {} (its CPU was taken away, or it was busy)",
                duration(self.lag.max())
            ));
        }
        if overflowed > 0 {
            doubts.push(format!(
                "{overflowed} datagrams were lost at the generator's own sockets (raise net.core.rmem_max)"
            ));
        }
        doubts
    }

    /// The generator's line in the report.
    pub fn print(&self, datagrams: [u64; 2], overflowed: u64) {
        println!(
            "  generator: busy {:.0} %, {} datagrams out, {} in, {overflowed} lost at its sockets, begun late by p99 {}, at most {}",
            self.busy_share() * 100.0,
            datagrams[0],
            datagrams[1],
            duration(self.lag.quantile(0.99)),
            duration(self.lag.max())
        );
        for doubt in self.doubts(overflowed) {
            println!("  NOTE: {doubt}");
        }
    }
}
