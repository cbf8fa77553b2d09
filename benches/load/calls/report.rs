//! What a run of calls is told as: for a reader, and as one line of JSON.

use super::{Outcome, Plan};
use crate::measure::duration;

/// The share of the generator's time above which it is the limit.
const FULL: f64 = 0.95;

impl Outcome {
    /// Notes an in-dialog question that was answered by a failure.
    pub fn fail_held(&mut self, code: u16) {
        *self.held_failed.entry(format!("{code} to the question inside a held call")).or_default() += 1;
    }

    /// Notes what the callee met.
    pub fn callee_trouble(&mut self, what: &str) {
        *self.trouble.entry(what.to_owned()).or_default() += 1;
    }

    /// Calls per second that were offered.
    pub fn offered_rate(&self) -> f64 {
        self.offered as f64 / (self.sending.max(1) as f64 / 1e9)
    }

    /// Calls per second that were carried, over the time in which calls began.
    pub fn carried_rate(&self) -> f64 {
        self.carried as f64 / (self.sending.max(1) as f64 / 1e9)
    }

    /// The share of offered calls that were not carried.
    pub fn lost_share(&self) -> f64 {
        self.lost() as f64 / self.offered.max(1) as f64
    }

    /// The share of the time in which the generator had something to do while calls began.
    pub fn busy_share(&self) -> f64 {
        self.busy as f64 / self.sending.max(1) as f64
    }

    /// Server CPU per offered call in microseconds.
    pub fn cpu_per_call(&self) -> Option<f64> {
        let cost = self.cost.as_ref()?;
        Some(cost.cpu as f64 / 1000.0 / self.offered.max(1) as f64)
    }

    /// Why the generator, and not the server, may have set the figure.
    pub fn doubts(&self, plan: &Plan) -> Vec<String> {
        let mut doubts = Vec::new();
        if self.busy_share() > FULL {
            doubts.push(format!(
                "the generator was busy {:.0} % of the time: it was the limit",
                self.busy_share() * 100.0
            ));
        }
        if plan.count > 1 && self.offered_rate() < plan.rate * 0.98 && !self.silent {
            doubts.push(format!("only {:.0} of {:.0} calls/s were offered", self.offered_rate(), plan.rate));
        }
        if self.lag.max() > 50_000.0 {
            doubts.push(format!(
                "the generator was late by up to {} (its CPU was taken away, or it was busy)",
                duration(self.lag.max())
            ));
        }
        if self.overflowed > 0 {
            doubts.push(format!(
                "{} datagrams were lost at the generator's own sockets (raise net.core.rmem_max)",
                self.overflowed
            ));
        }
        if self.not_begun > 0 {
            doubts.push(format!(
                "{} calls were not begun: {} were there already (--most)",
                self.not_begun, plan.most
            ));
        }
        doubts
    }

    /// For a reader.
    pub fn print(&self, plan: &Plan) {
        let callee = match plan.callee {
            Some(at) => format!("callee {at}"),
            None => "a callee of your own".to_owned(),
        };
        println!(
            "calls through {}: {} caller(s), {callee}, ended by the {:?}",
            plan.server,
            plan.identities.count(),
            plan.ends
        );
        println!(
            "  offered {} ({:.0}/s)   answered {}   carried {} ({:.0}/s)   failed {} ({:.3} %)   at once {}",
            self.offered,
            self.offered_rate(),
            self.answered,
            self.carried,
            self.carried_rate(),
            self.lost(),
            self.lost_share() * 100.0,
            self.peak
        );
        for (why, count) in &self.failed {
            println!("    {count:>8}  {why}");
        }
        if self.refused > 0 {
            println!("    of the refusals {} said when to come again (Retry-After)", self.refused_with_time);
        }
        println!(
            "  repeated by caller {}, callee {}, server {}   challenges answered {}   strays {}",
            self.repeated[0], self.repeated[1], self.repeated_by_server, self.challenged, self.strays
        );
        if plan.callee.is_some() {
            println!(
                "  callee's legs: {} invited, {} acknowledged, {} ended, {} never acknowledged, {} left over",
                self.legs[0], self.legs[1], self.legs[2], self.unacknowledged, self.left_over
            );
            for (what, count) in &self.trouble {
                println!("    {count:>8}  {what}");
            }
        }
        if plan.held > 0 {
            println!(
                "  held calls: {} of {} set up, {} lived to the end; {} questions inside, {} answered well",
                self.held[0], plan.held, self.held[1], self.held[2], self.held[3]
            );
            for (why, count) in &self.held_failed {
                println!("    {count:>8}  {why}");
            }
        }
        for (title, times) in [
            ("INVITE to 100", &self.to_100),
            ("INVITE to first response", &self.to_first),
            ("INVITE to b-leg INVITE", &self.to_leg),
            ("INVITE to 200", &self.to_200),
            ("INVITE to 503", &self.to_refusal),
            ("BYE to 200", &self.bye),
            ("held call, question", &self.look),
        ] {
            if times.count() > 0 {
                println!("{}", times.line(title));
            }
        }
        match &self.cost {
            Some(cost) => println!(
                "  server: {:.1} µs CPU per call, {:.1} context switches per call, memory {} -> {} -> {} KiB (before, peak, after), {} open files after",
                cost.cpu as f64 / 1000.0 / self.offered.max(1) as f64,
                cost.switches as f64 / self.offered.max(1) as f64,
                cost.resident[0],
                cost.resident[1],
                cost.resident[2],
                cost.files
            ),
            None if self.server_gone => println!("  server: its process is gone"),
            None => {}
        }
        println!(
            "  generator: busy {:.0} %, {} datagrams out, {} in, {} lost at its sockets, calls begun late by p99 {}, at most {}",
            self.busy_share() * 100.0,
            self.datagrams[0],
            self.datagrams[1],
            self.overflowed,
            duration(self.lag.quantile(0.99)),
            duration(self.lag.max())
        );
        if self.silent {
            println!(
                "  NOT ONE ANSWER from {} in ten seconds: is a SIP server there, and does it know {}?",
                plan.server,
                plan.identities.domain()
            );
        }
        for doubt in self.doubts(plan) {
            println!("  NOTE: {doubt}");
        }
    }

    /// For scripts.
    pub fn json(&self, plan: &Plan) -> serde_json::Value {
        let mut value = serde_json::json!({
            "kind": "calls", "rate": plan.rate, "offered": self.offered, "offered_per_second": self.offered_rate(),
            "answered": self.answered, "carried": self.carried, "carried_per_second": self.carried_rate(),
            "failed": self.lost(), "failed_share": self.lost_share(), "failures": self.failed,
            "refused": self.refused, "refused_with_retry_after": self.refused_with_time, "peak": self.peak,
            "repeated_by_caller": self.repeated[0], "repeated_by_callee": self.repeated[1],
            "repeated_by_server": self.repeated_by_server, "challenged": self.challenged,
            "legs": self.legs, "legs_unacknowledged": self.unacknowledged, "legs_left_over": self.left_over,
            "invite_to_100": self.to_100.json(), "invite_to_first": self.to_first.json(),
            "invite_to_leg": self.to_leg.json(), "invite_to_200": self.to_200.json(),
            "invite_to_503": self.to_refusal.json(), "bye_to_200": self.bye.json(),
            "held_up": self.held[0], "held_alive": self.held[1], "held_asked": self.held[2],
            "held_answered": self.held[3], "held_question": self.look.json(),
            "generator_busy": self.busy_share(), "generator_lag": self.lag.json(),
            "generator_lost": self.overflowed, "doubts": self.doubts(plan),
        });
        if let (Some(cost), Some(object)) = (&self.cost, value.as_object_mut()) {
            object.insert(
                "server".to_owned(),
                serde_json::json!({
                    "cpu_us_per_call": self.cpu_per_call(),
                    "cpu_share": cost.cpu as f64 / self.lasted.max(1) as f64,
                    "switches_per_call": cost.switches as f64 / self.offered.max(1) as f64,
                    "resident_before": cost.resident[0], "resident_peak": cost.resident[1],
                    "resident_after": cost.resident[2], "files_after": cost.files,
                }),
            );
        }
        value
    }
}
