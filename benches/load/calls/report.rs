//! What a run of calls is told as: for a reader, and as one line of JSON.

use super::{Outcome, Plan};

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
        self.pace.per_second(self.offered)
    }

    /// Calls per second that were carried in the time in which calls began. In overload more are carried later.
    pub fn carried_rate(&self) -> f64 {
        self.pace.per_second(self.carried.saturating_sub(self.answered_late))
    }

    /// The share of offered calls that were not carried.
    pub fn lost_share(&self) -> f64 {
        self.lost() as f64 / self.offered.max(1) as f64
    }

    /// Why the generator, and not the server, may have set the figure.
    pub fn doubts(&self, plan: &Plan) -> Vec<String> {
        let mut doubts = self.pace.doubts(self.overflowed);
        if self.not_begun > 0 {
            doubts.push(format!(
                "{} calls were not begun: {} were there already (--most)",
                self.not_begun, plan.most
            ));
        }
        doubts
    }

    /// The figures that a search compares.
    pub fn step(&self, rate: f64) -> crate::search::Step {
        let mut figures = vec![
            ("100 p99 ms", self.to_100.quantile(0.99) / 1000.0),
            ("b-leg p50 ms", self.to_leg.quantile(0.5) / 1000.0),
            ("b-leg p99 ms", self.to_leg.quantile(0.99) / 1000.0),
            ("200 p50 ms", self.to_200.quantile(0.5) / 1000.0),
            ("200 p99 ms", self.to_200.quantile(0.99) / 1000.0),
            ("generator busy %", self.pace.busy_share() * 100.0),
        ];
        if let Some(cost) = &self.cost {
            let each = self.offered.max(1) as f64;
            figures.insert(0, ("CPU µs", cost.cpu as f64 / 1000.0 / each));
            figures.insert(1, ("CPU %", cost.share() * 100.0));
            figures.push(("switches", cost.switches as f64 / each));
            figures.push(("peak MiB", cost.resident[1] as f64 / 1024.0));
        }
        crate::search::Step {
            rate,
            good: self.carried_rate(),
            lost: self.lost_share(),
            limited: self.pace.limited(),
            figures,
        }
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
            self.print_legs();
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
            Some(cost) => println!("  server: {}", cost.line("call", self.offered)),
            None if self.server_gone => println!("  server: its process is gone"),
            None => {}
        }
        self.pace.print(self.datagrams, self.overflowed);
        if self.not_begun > 0 {
            println!(
                "  NOTE: {} calls were not begun: {} were there already (--most)",
                self.not_begun, plan.most
            );
        }
        if self.silent {
            println!(
                "  NOT ONE ANSWER from {} in ten seconds: is a SIP server there, and does it know {}?",
                plan.server,
                plan.identities.domain()
            );
        }
    }

    /// What the callee saw.
    pub fn print_legs(&self) {
        println!(
            "  callee's legs: {} invited, {} acknowledged, {} ended, {} never acknowledged, {} left over",
            self.legs[0], self.legs[1], self.legs[2], self.unacknowledged, self.left_over
        );
        for (what, count) in &self.trouble {
            println!("    {count:>8}  {what}");
        }
    }

    /// For scripts.
    pub fn json(&self, plan: &Plan) -> serde_json::Value {
        serde_json::json!({
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
            "generator_busy": self.pace.busy_share(), "generator_lag": self.pace.lag.json(),
            "generator_lost": self.overflowed, "doubts": self.doubts(plan),
            "server": self.cost.as_ref().map(|cost| cost.json(self.offered)),
        })
    }
}
