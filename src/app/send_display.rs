//! `send_display`: what the far end shows of whom it talks to (`display_function`).

use crate::channel::Leg;
use crate::dialplan::Expanded;
use tracing::warn;

/// `name|number`, or a name alone.
pub fn run(leg: &mut Leg, data: &Expanded) {
    let (name, number) = data.text.split_once('|').unwrap_or((&data.text, ""));
    if let Err(why) = leg.display(name, number) {
        warn!("{} {}: send_display: {why}", leg.uuid, leg.name());
    }
}
