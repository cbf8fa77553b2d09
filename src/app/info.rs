//! `info`: everything known of the leg in the log.

use crate::channel::Leg;
use crate::dialplan::Expanded;
use std::fmt::Write;
use tracing::info;

/// `[level]`; the lines go out at INFO whatever it says.
pub fn run(leg: &mut Leg, _data: &Expanded) {
    let mut text = format!("{} CHANNEL_DATA:\n", leg.uuid);
    let caller = &leg.caller;
    for (name, value) in [
        ("Channel-Name", &*caller.chan_name),
        ("Unique-ID", &leg.uuid),
        ("Call-Direction", leg.direction.as_str()),
        ("Caller-Username", &caller.username),
        ("Caller-Dialplan", &caller.dialplan),
        ("Caller-Caller-ID-Name", &caller.caller_id_name),
        ("Caller-Caller-ID-Number", &caller.caller_id_number),
        ("Caller-Network-Addr", &caller.network_addr.map(|ip| ip.to_string()).unwrap_or_default()),
        ("Caller-Destination-Number", &caller.destination_number),
        ("Caller-Context", &caller.context),
    ] {
        let _ = writeln!(text, "{name}: [{value}]");
    }
    for (name, value) in leg.variables.sorted() {
        let _ = writeln!(text, "variable_{name}: [{value}]");
    }
    info!("{}", text.trim_end());
}
