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
        "CONSOLE" | "ALERT" | "CRIT" | "ERR" | "ERROR" | "0" | "1" | "2" | "3" => error!("{uuid} {text}"),
        "WARNING" | "4" => warn!("{uuid} {text}"),
        "NOTICE" | "INFO" | "5" | "6" => info!("{uuid} {text}"),
        "DEBUG" | "7" => debug!("{uuid} {text}"),
        _ => debug!("{uuid} {data}"),
    }
}
