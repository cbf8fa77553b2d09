//! Call detail records: one line per leg in FreeSWITCH's CSV files, or one JSON file per leg.
//!
//! | file | job |
//! | --- | --- |
//! | `csv` | `cdr_csv.conf`: templates, a file for all and one per accountcode |
//! | `json` | `json_cdr.conf`: a document per leg |
//! | `files` | a thread of its own that writes, keeps what the disk does not take, and rotates |
//!
//! A leg hands itself over when it is over ([`Recorder`]), also one whose task panicked. The text is made then and
//! there; the leg never waits for a disk.

mod csv;
mod files;
mod json;

use crate::channel::{Cause, Direction, Leg, Recorder};
use crate::config::cdr::CdrConf;
use arc_swap::ArcSwap;
use csv::Csv;
use files::Files;
use json::Json;
use std::io;

/// Writes the records of all legs.
pub struct Records {
    kinds: ArcSwap<Kinds>,
    files: Files,
}

/// What is written, as of the last load.
#[derive(Default)]
struct Kinds {
    csv: Option<Csv>,
    json: Option<Json>,
}

impl Kinds {
    fn of(conf: &CdrConf) -> Kinds {
        Kinds { csv: conf.csv.clone().map(Csv::new), json: conf.json.clone().map(Json::new) }
    }
}

impl Records {
    /// Begins to write what `conf` asks for. An error is a thread that cannot be started.
    pub fn start(conf: &CdrConf) -> io::Result<Records> {
        Ok(Records { kinds: ArcSwap::from_pointee(Kinds::of(conf)), files: Files::start()? })
    }

    /// Takes a new configuration; what is written from now on goes to new files where it says `rotate`.
    pub fn reload(&self, conf: &CdrConf) {
        self.files.rotate(conf.csv.as_ref().is_some_and(|csv| csv.rotate));
        self.kinds.store(Kinds::of(conf).into());
    }

    /// Writes what is left, two seconds at most.
    pub fn stop(&self) {
        self.files.stop();
    }
}

impl Recorder for Records {
    fn wants(&self, leg: &Leg) -> bool {
        let kinds = self.kinds.load();
        let by_csv = kinds.csv.as_ref().is_some_and(|csv| csv.wants(leg));
        let by_json = kinds.json.as_ref().is_some_and(|json| json.wants(leg));
        (by_csv || by_json) && is_to_be_written(leg)
    }

    fn record(&self, leg: &Leg) {
        let kinds = self.kinds.load();
        if let Some(csv) = kinds.csv.as_ref().filter(|csv| csv.wants(leg)) {
            csv.record(leg, &self.files);
        }
        if let Some(json) = kinds.json.as_ref().filter(|json| json.wants(leg)) {
            json.record(leg, &self.files);
        }
    }
}

/// A leg that another leg of this switch dialled.
fn is_dialled(leg: &Leg) -> bool {
    leg.direction == Direction::Outbound
}

/// What the leg itself says of its record: `process_cdr` and `skip_cdr_causes` (`switch_core_session_reporting_state`).
fn is_to_be_written(leg: &Leg) -> bool {
    let skipped = leg.variables.get("skip_cdr_causes").is_some_and(|causes| {
        causes.split('|').any(|name| leg.cause() == Some(Cause::parse_or_clearing(name)))
    });
    let processed = match leg.variables.get("process_cdr") {
        None => true,
        Some(legs) if legs.eq_ignore_ascii_case("a_only") => !is_dialled(leg),
        Some(legs) if legs.eq_ignore_ascii_case("b_only") => !has_dialled(leg),
        Some(_) => leg.variables.is_true("process_cdr"),
    };
    processed && !skipped
}

/// A leg that has dialled another.
fn has_dialled(leg: &Leg) -> bool {
    !is_dialled(leg) && leg.variables.get("originate_disposition").is_some()
}
