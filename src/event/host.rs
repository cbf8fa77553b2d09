//! What every event says of the machine and of the time it was told (`switch_event_prep_for_delivery_detailed`).

use crate::config::Globals;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use std::sync::{Mutex, PoisonError};
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

/// A point in time as events tell it.
#[derive(Clone, Debug)]
pub(super) struct Stamp {
    /// `2026-11-20 21:50:30`.
    pub local: String,
    /// `Fri, 20 Nov 2026 21:50:30 GMT`.
    pub gmt: String,
    /// Microseconds since 1970.
    pub micros: i64,
}

/// Writes stamps; the words of one second are written once.
#[derive(Debug, Default)]
pub(super) struct Calendar(Mutex<Option<(i64, String, String)>>);

impl Calendar {
    pub fn now(&self) -> Stamp {
        let now = Timestamp::now();
        let (second, micros) = (now.as_second(), now.as_microsecond());
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (local, gmt) = match &*held {
            Some((of, local, gmt)) if *of == second => (local.clone(), gmt.clone()),
            _ => {
                let local = Zoned::new(now, TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string();
                let gmt = now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
                *held = Some((second, local.clone(), gmt.clone()));
                (local, gmt)
            }
        };
        Stamp { local, gmt, micros }
    }
}
