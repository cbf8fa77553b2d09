//! `event`: an event of the dialplan's own making (mod_dptools.c, `event_function`).

use crate::channel::Leg;
use crate::dialplan::{Expanded, plain, separate};
use crate::event::{EventName, Headers, SUBCLASS};
use tracing::warn;

/// How many headers one may have.
const MOST: usize = 25;

/// `Event-Name=NAME,Event-Subclass=SUBCLASS,header=value,…`, in any order, `CHANNEL_APPLICATION` without a name. What
/// every event of the leg has follows. A comma that came from the wire begins no header.
pub fn run(leg: &mut Leg, data: &Expanded) {
    let mut name = EventName::ChannelApplication;
    let mut headers = Headers::new();
    for item in separate(data.guarded(), ',', MOST) {
        let Some((header, value)) = item.split_once('=') else {
            if !item.is_empty() {
                warn!("{} {}: event: {} is not header=value; left out", leg.uuid, leg.name(), plain(&item));
            }
            continue;
        };
        let (header, value) = (plain(header.trim_matches(' ')), plain(value.trim_matches(' ')));
        if header.eq_ignore_ascii_case("Event-Name") {
            match EventName::find(&value) {
                Some(known) => name = known,
                None => {
                    let stays = name.as_str();
                    warn!("{} {}: event: there is no event {value}; it is {stays}", leg.uuid, leg.name());
                }
            }
        } else if header.eq_ignore_ascii_case(SUBCLASS) {
            headers.insert(0, (SUBCLASS.into(), value.into_owned()));
        } else if !header.is_empty() {
            headers.push((header.into_owned().into(), value.into_owned()));
        }
    }
    if name.as_str() == "CUSTOM" && headers.first().is_none_or(|(first, _)| first != SUBCLASS) {
        warn!("{} {}: event({}): CUSTOM without {SUBCLASS}", leg.uuid, leg.name(), data.text);
    }
    leg.relay(name, headers);
}
