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

use crate::channel::{Cause, Leg, Recorder};
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

    /// Takes a new configuration. The files stay as they are.
    pub fn reload(&self, conf: &CdrConf) {
        let mut next = Kinds::of(conf);
        if let (Some(next), Some(before)) = (&mut next.json, &self.kinds.load().json) {
            next.stay_with(before);
        }
        self.kinds.store(next.into());
    }

    /// What a SIGHUP is for: every file is opened anew, under a new name where the configuration says so (`rotate-on-hup`
    /// of `cdr_csv.conf`, `rotate` of `json_cdr.conf`).
    pub fn rotate(&self) {
        let kinds = self.kinds.load();
        self.files.rotate(kinds.csv.as_ref().is_some_and(Csv::rotates));
        let json = kinds.json.as_ref().map(Json::anew);
        self.kinds.store(Kinds { csv: kinds.csv.clone(), json }.into());
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

/// What the leg itself says of its record: `process_cdr` and `skip_cdr_causes` (`switch_core_session_reporting_state`).
fn is_to_be_written(leg: &Leg) -> bool {
    let skipped = leg.variables.get("skip_cdr_causes").is_some_and(|causes| {
        causes.split('|').any(|name| leg.cause() == Some(Cause::parse_or_clearing(name)))
    });
    let processed = match leg.variables.get("process_cdr") {
        None => true,
        Some(legs) if legs.eq_ignore_ascii_case("a_only") => !leg.is_b_leg(),
        Some(legs) if legs.eq_ignore_ascii_case("b_only") => !has_dialled(leg),
        Some(_) => leg.variables.is_true("process_cdr"),
    };
    processed && !skipped
}

/// A leg that has dialled another.
fn has_dialled(leg: &Leg) -> bool {
    !leg.is_b_leg() && leg.variables.get("originate_disposition").is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::cdr::JsonConf;
    use std::path::{Path, PathBuf};

    fn folder_of(records: &Records) -> Option<PathBuf> {
        records.kinds.load().json.as_ref()?.folder.clone()
    }

    #[test]
    fn documents_stay_in_their_folder_until_they_are_rotated() {
        let json = |folder: &str, rotate| {
            let folder = Some(folder.into());
            let json = JsonConf { folder, b_legs: true, prefix_a: false, rotate, encode_values: true };
            CdrConf { csv: None, json: Some(json) }
        };
        let records = Records::start(&json("/a", true)).unwrap();
        let first = folder_of(&records).unwrap();
        assert!(first.starts_with("/a") && first != Path::new("/a"), "{}", first.display());
        // The folder is named by the second.
        std::thread::sleep(std::time::Duration::from_millis(1100));
        records.reload(&json("/a", true));
        assert_eq!(folder_of(&records).unwrap(), first);
        records.rotate();
        let second = folder_of(&records).unwrap();
        assert!(second.starts_with("/a") && second > first, "{}", second.display());
        records.reload(&json("/b", true));
        assert!(folder_of(&records).unwrap().starts_with("/b"));
        records.reload(&json("/b", false));
        assert_eq!(folder_of(&records).unwrap(), Path::new("/b"));
        records.reload(&CdrConf::default());
        records.rotate();
        assert_eq!(folder_of(&records), None);
    }
}
