//! What every event says of the machine and of the time it was told (`switch_event_prep_for_delivery_detailed`).

use super::lines::Lines;
use crate::config::Globals;
use arc_swap::ArcSwapOption;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use std::sync::Arc;
use std::time::Instant;

/// The switch and its machine.
#[derive(Clone, Debug)]
pub struct Host {
    /// A number of this run of the program.
    pub core_uuid: String,
    /// The machine's name.
    pub hostname: String,
    /// The switch's name: the machine's unless switch.conf has another.
    pub switchname: String,
    /// Its address.
    pub ipv4: String,
    /// Its IPv6 address; `::1` where it has none.
    pub ipv6: String,
    /// Since when it runs.
    pub started: Instant,
}

impl Host {
    /// The machine as the global variables have it.
    pub fn of(globals: &Globals, switchname: Option<&str>) -> Host {
        let global = |name: &str| globals.get(name).map(|v| v.to_string()).filter(|v| !v.is_empty());
        let hostname = global("hostname").unwrap_or_else(|| "localhost".to_owned());
        Host {
            core_uuid: global("core_uuid").unwrap_or_else(|| uuid::Uuid::new_v4().to_string()),
            switchname: switchname.filter(|n| !n.is_empty()).map_or_else(|| hostname.clone(), str::to_owned),
            hostname,
            ipv4: global("local_ip_v4").unwrap_or_else(|| "127.0.0.1".to_owned()),
            ipv6: global("local_ip_v6").unwrap_or_else(|| "::1".to_owned()),
            started: Instant::now(),
        }
    }
}

impl Default for Host {
    fn default() -> Self {
        Host::of(&Globals::default(), None)
    }
}

/// One second in words.
#[derive(Debug)]
struct Second {
    number: i64,
    /// `2026-11-20 21:50:30`.
    local: String,
    /// `Fri, 20 Nov 2026 21:50:30 GMT`.
    gmt: String,
}

/// Writes the time of an event; the words of one second are made once.
#[derive(Debug, Default)]
pub(super) struct Calendar(ArcSwapOption<Second>);

impl Calendar {
    /// Adds what an event says of the present.
    pub fn write(&self, lines: &mut Lines) {
        let now = Timestamp::now();
        let number = now.as_second();
        let held = self.0.load_full().filter(|second| second.number == number);
        let second = held.unwrap_or_else(|| {
            let local = Zoned::new(now, TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string();
            let gmt = now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
            let second = Arc::new(Second { number, local, gmt });
            self.0.store(Some(second.clone()));
            second
        });
        lines.add("Event-Date-Local", &second.local);
        lines.add("Event-Date-GMT", &second.gmt);
        lines.print("Event-Date-Timestamp", now.as_microsecond());
    }
}
