//! What a hunt and an expansion cost: `cargo bench --bench dialplan -- count N [WHAT]` does N times what is named (a part
//! of the name is enough) and says nothing else. Run under callgrind with two values of N, the difference is what it costs
//! in instructions; that is how `tests/cost.rs` uses it.
//!
//! The dialplan is the shipped one; `TANDEM_STOCK_CONF=DIR` takes FreeSWITCH's `DIR/vanilla` instead.

use std::borrow::Cow;
use std::hint::black_box;
use std::path::PathBuf;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tandem::channel::Variables;
use tandem::config::{self, Options, section};
use tandem::dialplan::{Applications, Caller, Dialplan, Scope, Template, Value, words};

/// A caller with the variables of a call.
struct Leg {
    variables: Variables,
    destination: &'static str,
}

impl Scope for Leg {
    fn variable(&self, name: &str) -> Option<Value<'_>> {
        self.variables.get_marked(name).map(|(text, wire)| Value { text: text.into(), wire })
    }

    fn profile_field(&self, name: &str) -> Option<Value<'_>> {
        match name {
            "destination_number" => Some(Value::wire(self.destination)),
            "caller_id_number" => Some(Value::wire("1000")),
            _ => None,
        }
    }

    fn global(&self, _: &str) -> Option<Cow<'_, str>> {
        None
    }

    fn call(&self, _: &str, arguments: &str, wire: bool) -> Option<Value<'static>> {
        Some(Value { text: Cow::Owned(arguments.to_owned()), wire })
    }
}

impl Caller for Leg {
    fn set(&mut self, name: &str, value: &str, wire: bool) {
        match wire {
            true => self.variables.set_wire(name, value),
            false => self.variables.set(name, value),
        }
    }

    fn unset_prefix(&mut self, prefix: &str) {
        self.variables.unset_prefix(prefix);
    }

    fn execute_inline(&mut self, _: &str, data: &Template) {
        black_box(data.expand(self));
    }

    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    fn time_zone(&self) -> TimeZone {
        TimeZone::UTC
    }

    fn channel_name(&self) -> Cow<'_, str> {
        Cow::Borrowed("sofia/internal/1000")
    }

    fn wants_trace(&self) -> bool {
        false
    }
}

fn plan() -> Dialplan {
    let conf = match std::env::var_os("TANDEM_STOCK_CONF") {
        Some(folder) => PathBuf::from(folder).join("vanilla"),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("conf"),
    };
    let loaded = config::load(&Options::new(conf));
    let provided: Vec<&str> = words::freeswitch_applications().collect();
    let applications = Applications { provided: &provided, ..Applications::default() };
    Dialplan::compile(section(&loaded.root, "dialplan").expect("a dialplan"), applications).0
}

fn main() {
    let mut words = std::env::args().skip_while(|word| word != "count").skip(1);
    let Some(times) = words.next().and_then(|n| n.parse::<u32>().ok()) else {
        return println!("cargo bench --bench dialplan -- count N [hunt|expand]");
    };
    let wanted = words.next().unwrap_or_default();
    let plan = plan();
    let mut leg = Leg { variables: Variables::default(), destination: "1001" };
    leg.variables.set("domain_name", "office.example");
    leg.variables.set("toll_allow", "domestic,local");
    leg.variables.set_wire("sip_from_user", "1000");
    let data = Template::new(
        "[leg_timeout=20,origination_caller_id_number=${sip_from_user}]user/${destination_number}@${domain_name}",
    );
    for _ in 0..times {
        if "hunt".contains(&wanted) {
            for destination in ["1001", "9196", "5551212", "nobody"] {
                leg.destination = destination;
                black_box(plan.hunt("default", destination, &mut leg));
            }
        }
        if "expand".contains(&wanted) {
            black_box(data.expand(&leg));
        }
    }
}
