//! A leg shows its call to those who watch the user at its far end (`switch_channel_presence`).
//!
//! Whenever the leg has done its work it looks whether it stands as it was shown; so no change can be forgotten. While nobody
//! watches anybody ([`Board::is_on`](crate::presence::Board::is_on)) nothing is done.

use super::leg::{Direction, Leg, Progress};
use crate::directory::User;
use crate::presence::{Call, DialogId, Party, Place, State, address};
use std::sync::Arc;

/// A leg's place on the board, and how it stood when it was shown there.
pub(super) struct Lamp {
    /// Nobody's, when the far end is no user of ours.
    place: Option<Place>,
    stands: (Progress, bool),
    /// `presence_id` as it was.
    id: Option<Box<str>>,
}

impl Leg {
    /// Shows where the leg stands, unless it is shown so already.
    pub(super) fn present(&mut self) {
        if self.is_over() {
            self.lamp = None;
            return;
        }
        let stands = (self.progress, self.held);
        let id = self.variables.get("presence_id");
        if self.lamp.as_ref().is_some_and(|lamp| lamp.stands == stands && lamp.id.as_deref() == id) {
            return;
        }
        let id = id.map(Box::from);
        let address = self.user().map(|user| address(&user.id, &user.domain));
        let before = self.lamp.take().and_then(|lamp| lamp.place);
        let place = address.map(|address| match before {
            Some(place) if *place.address() == address => place,
            _ => self.exchange.presence.place(address),
        });
        if let Some(place) = &place {
            place.show(Arc::new(self.as_seen()));
        }
        self.lamp = Some(Box::new(Lamp { place, stands, id }));
    }

    /// The user at the far end: the one `presence_id` names, or who has logged in. A caller who has not must at least call from
    /// where that user is registered; what anybody may write into From is not enough.
    fn user(&self) -> Option<Arc<User>> {
        let find = |id: &str| {
            let (user, domain) = id.rsplit_once('@')?;
            self.exchange.directory.user(user, domain)
        };
        let (id, wire) = self.variables.get_marked("presence_id").unzip();
        if self.direction == Direction::Outbound || wire == Some(false) {
            return find(id?);
        }
        if let (Some((name, false)), Some(domain)) =
            (self.variables.get_marked("user_name"), self.variables.get("domain_name"))
        {
            return self.exchange.directory.user(name, domain);
        }
        let user = find(id?)?;
        let here = self.exchange.registrar.lookup(Self::now(), &user.id, &user.domain);
        let source = self.caller.network_addr?;
        here.iter().any(|binding| binding.flow.remote.ip() == source).then_some(user)
    }

    /// The call as others may see it.
    fn as_seen(&self) -> Call {
        let initiator = self.direction == Direction::Inbound;
        let caller = &self.caller;
        let (name, number) = match initiator {
            true => (&caller.callee_id_name, &caller.destination_number),
            false => (&caller.caller_id_name, &caller.caller_id_number),
        };
        let hidden = !initiator && (caller.privacy_hide_number || caller.privacy_hide_name);
        Call {
            id: self.uuid.clone(),
            initiator,
            state: match self.progress {
                Progress::None => State::Trying,
                Progress::Ringing | Progress::EarlyMedia => State::Early,
                Progress::Answered => State::Confirmed,
            },
            held: self.held,
            remote: (!hidden).then(|| Party { name: name.clone(), number: number.clone() }),
            dialog: DialogId {
                call_id: self.variables.get("sip_call_id").unwrap_or_default().into(),
                local_tag: self.session.remote_tag().map(Box::from),
                remote_tag: self.session.local_tag().into(),
            },
        }
    }
}
