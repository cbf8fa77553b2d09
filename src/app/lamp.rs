//! Places that can be watched as users are: slots of a lot, queues, keys of calls that ring.

use crate::channel::Leg;
use crate::presence::{Call, DialogId, Party, Place, State, address};
use std::sync::Arc;

/// Shows that the leg is at a place (`park+6001`) while the answer lives. A `@domain` in the name counts.
pub fn show(leg: &Leg, kind: &str, name: &str, state: State) -> Place {
    let ours = leg.exchange.domain();
    let (name, domain) = name.split_once('@').unwrap_or((name, &ours));
    let place = leg.exchange.presence.place(address(&format!("{kind}+{name}"), domain));
    let hidden = leg.caller.privacy_hide_number || leg.caller.privacy_hide_name;
    place.show(Arc::new(Call {
        id: leg.uuid.clone(),
        initiator: false,
        state,
        held: false,
        remote: (!hidden).then(|| Party {
            name: leg.caller.caller_id_name.clone(),
            number: leg.caller.caller_id_number.clone(),
        }),
        // Nobody takes the place of a call that waits by its dialog: it is dialled.
        dialog: DialogId { call_id: (&*leg.uuid).into(), local_tag: None, remote_tag: (&*leg.uuid).into() },
    }));
    place
}
