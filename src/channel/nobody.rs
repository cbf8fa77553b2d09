//! A leg without a far end: it calls for a command (`originate`), as another leg calls for its caller.
//!
//! It has variables and a mailbox, hears of those it calls, and is dropped once somebody has answered or nobody will. It is
//! no call: nobody finds it by a uuid, no count and no event knows of it. Those it calls are tied to it as to any caller, so
//! none is left behind when it goes; the one that won is let go of first ([`Leg::set_off`]).

use super::caller::CallerProfile;
use super::cause::Cause;
use super::course::Course;
use super::exchange::Exchange;
use super::inbound::{identity, leg_media};
use super::leg::{Beginning, Direction, Leg};
use super::legs::{Token, new_uuid};
use super::moment::Moment;
use super::user_agent::UserAgent;
use super::variables::Variables;
use crate::dialog;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::sync::Arc;
use tracing::info;

/// The caller's number where nobody says another (`SWITCH_DEFAULT_CLID_NUMBER`).
const NUMBER: &str = "0000000000";
/// The context of those it calls, where their own directory entry says none.
const CONTEXT: &str = "default";

impl Leg {
    /// A leg without a far end, which calls as `name` and `number`. `agent` is the profile where a dial string names none.
    /// `None` when its token is taken.
    pub fn nobody(
        exchange: Arc<Exchange>,
        agent: Arc<UserAgent>,
        name: Option<&str>,
        number: Option<&str>,
    ) -> Option<Box<Leg>> {
        let uuid = new_uuid();
        let (mut entry, letters) = exchange.legs.enter(Token(rand::rng().random()), uuid.clone())?;
        entry.leave_call();
        let now = Self::now();
        let here = agent.local.ip();
        let media = leg_media(&exchange, &agent, &entry, here, 0);
        let own = identity(&agent, entry.token(), here, String::new(), false);
        let rng = SmallRng::from_rng(&mut rand::rng());
        let (id_name, id_number) = (name.unwrap_or(""), number.unwrap_or(NUMBER));
        let caller = CallerProfile {
            caller_id_name: id_name.into(),
            orig_caller_id_name: id_name.into(),
            caller_id_number: id_number.into(),
            orig_caller_id_number: id_number.into(),
            ani: id_number.into(),
            context: CONTEXT.into(),
            chan_name: "originate".into(),
            uuid,
            ..CallerProfile::default()
        };
        let mut variables = Variables::default();
        for (name, said) in [("origination_caller_id_name", name), ("origination_caller_id_number", number)] {
            if let Some(said) = said {
                variables.set(name, said);
            }
        }
        let session = dialog::Session::none(now, own, rng);
        let direction = Direction::Inbound;
        let beginning =
            Beginning { direction, exchange, agent, entry, letters, caller, variables, session, media };
        Some(Box::new(beginning.leg(now)))
    }

    /// True for a leg without a far end, and for one whose call is over and cleared away.
    pub fn is_nobody(&self) -> bool {
        !self.entry.is_in_call()
    }

    /// Who has dialled this leg lets go of it: it takes a way of its own, as a caller does. False when it is over.
    pub fn set_off(&mut self, course: Course) -> bool {
        if self.is_over() {
            return false;
        }
        self.owner = None;
        self.reaches(Moment::PostOriginate);
        // Its own number is the called one: told before it runs an application, and once it asks the dialplan.
        let routed = matches!(course, Course::Extension(_));
        if !routed {
            self.turns_caller();
        }
        self.go(course, Cause::NORMAL_CLEARING);
        if routed {
            self.tell_state();
            self.turns_caller();
        }
        true
    }

    /// True for a called leg that has turned caller.
    pub(super) fn is_turned(&self) -> bool {
        self.variables.get("channel_cid_flipped").is_some()
    }

    /// A called leg that runs a dialplan is a caller there: its own number is the one it was called by
    /// (`switch_channel_flip_cid`).
    fn turns_caller(&mut self) {
        if self.direction == Direction::Inbound || self.is_turned() {
            return;
        }
        let caller = &mut self.caller;
        if caller.callee_id_name.is_empty() {
            caller.callee_id_name = "Outbound Call".into();
        }
        self.variables.set("pre_transfer_caller_id_name", &*caller.caller_id_name);
        self.variables.set("pre_transfer_caller_id_number", &*caller.caller_id_number);
        std::mem::swap(&mut caller.caller_id_name, &mut caller.callee_id_name);
        std::mem::swap(&mut caller.caller_id_number, &mut caller.callee_id_number);
        self.variables.set("channel_cid_flipped", "yes");
        self.told.called = true; // whom it was called by is not whom it calls
        info!(
            "{} {}: is a caller now, \"{}\" <{}>",
            self.uuid,
            self.name(),
            self.caller.caller_id_name,
            self.caller.caller_id_number
        );
        self.tell_shown(None);
    }
}
