//! `log`: a line of the dialplan's own in the log.

use crate::channel::Leg;
use crate::dialplan::Expanded;
use tracing::{debug, error, info, warn};

/// `LEVEL text`; without a level it is DEBUG.
pub fn run(leg: &mut Leg, data: &Expanded) {
    let data = data.text.as_str();
    let (level, text) = data.split_once(' ').unwrap_or((data, ""));
    let uuid = &leg.uuid;
    match level.to_ascii_uppercase().as_str() {
        // `severity`: FreeSWITCH's number of a level that is not one of tracing's (see observe/log).
        "CONSOLE" | "0" => error!(severity = 0_u64, "{uuid} {text}"),
        "ALERT" | "1" => error!(severity = 1_u64, "{uuid} {text}"),
        "CRIT" | "2" => error!(severity = 2_u64, "{uuid} {text}"),
        "ERR" | "ERROR" | "3" => error!("{uuid} {text}"),
        "WARNING" | "4" => warn!("{uuid} {text}"),
        "NOTICE" | "5" => info!(severity = 5_u64, "{uuid} {text}"),
        "INFO" | "6" => info!("{uuid} {text}"),
        "DEBUG" | "7" => debug!("{uuid} {text}"),
        _ => debug!("{uuid} {data}"),
    }
}
