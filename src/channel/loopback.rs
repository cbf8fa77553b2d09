//! `loopback/…`: the switch calls itself. Two legs, one calling and one called, speak SIP with each other as with anybody
//! else, but their messages go from mailbox to mailbox and never reach a socket; so ringing, early media, codecs, hold,
//! causes and everything else of a call need nothing of their own here (mod_loopback.c).
//!
//! Their media are two port pairs of ours that send to each other. When both legs are bridged and answered for a while
//! they bow out: the leg at the one end is sent to the one at the other, and both halves go (`loopback_bowout=false`
//! keeps them).

use super::cause::Cause;
use super::inbound::Caller;
use super::leg::{Direction, Leg};
use super::legs::{Token, new_uuid};
use super::letter::{Letter, Order};
use super::mailbox::Mailbox;
use super::variables::Variables;
use crate::channel::Course;
use crate::dialog;
use crate::sip::{Destination, Flow, Limits, Message, Transport};
use bytes::Bytes;
use rand::Rng;
use std::sync::Arc;
use tracing::{info, warn};

/// Where the called half goes in the dialplan.
#[derive(Clone, Debug, Default)]
pub struct Inside {
    /// The number, or with the dialplan `inline` the applications.
    pub destination: Arc<str>,
    /// The context; without one the caller's.
    pub context: Option<Arc<str>>,
    /// The dialplan; without one the caller's.
    pub dialplan: Option<Arc<str>>,
    /// Variables of the called half alone: name, value, and whether there is text from the wire in it.
    pub variables: Vec<(&'static str, String, bool)>,
}

impl Inside {
    /// The way between the two halves: a connection that does not exist.
    pub fn way(local: std::net::SocketAddr) -> Destination {
        Destination::Flow(Inside::flow(local))
    }

    fn flow(local: std::net::SocketAddr) -> Flow {
        Flow { transport: Transport::Tcp, local, remote: local, connection: 0 }
    }
}

/// Variables of a calling half that say nothing about the called one.
const OWN: [&str; 9] = [
    "uuid",
    "sip_call_id",
    "originator",
    "originating_leg_uuid",
    "originate_endpoint",
    "signal_bond",
    "origination_uuid",
    "group_confirm_key",
    "sip_invite_call_id",
];

impl Leg {
    /// Makes the called half of this leg, which has just made its INVITE, and begins its task.
    pub(super) fn loop_back(&mut self, inside: Inside) -> Result<(), Cause> {
        let exchange = self.exchange.clone();
        let now = Self::now();
        exchange.gate.pass(exchange.legs.len(), now).map_err(|full| {
            warn!("{} {}: no called half: {}", self.uuid, self.name(), full.text());
            Cause::SWITCH_CONGESTION
        })?;
        let router = exchange.router.get().cloned().ok_or(Cause::CHAN_NOT_IMPLEMENTED)?;
        let invite = self.invite_made().ok_or(Cause::DESTINATION_OUT_OF_ORDER)?;
        let uuid = new_uuid();
        let (entry, letters) = exchange
            .legs
            .enter(Token(rand::rng().random()), uuid.clone())
            .ok_or(Cause::DESTINATION_OUT_OF_ORDER)?;
        let mut profile = self.caller.clone();
        profile.uuid = uuid.clone();
        profile.chan_name = match self.caller.chan_name.strip_suffix("-a") {
            Some(name) => format!("{name}-b").into(),
            None => self.caller.chan_name.clone(),
        };
        profile.destination_number = inside.destination;
        profile.dialplan = inside.dialplan.unwrap_or(profile.dialplan);
        profile.context = inside.context.unwrap_or(profile.context);
        self.variables.set("other_loopback_leg_uuid", &uuid);
        self.variables.set("loopback_leg", "A");
        let variables = self.variables_inside(&uuid, &inside.variables);
        let flow = Inside::flow(self.agent.local);
        let caller = Caller { invite, flow, profile, variables };
        let (mut called, offer) = Leg::inbound(exchange, self.agent.clone(), entry, letters, caller);
        called.media.keep_inside();
        called.inside = Some(self.mailbox().clone());
        self.inside = Some(called.mailbox().clone());
        if let Err(error) = offer {
            warn!("{} {}: the offer cannot be used: {error}", called.uuid, called.name());
            return Err(Cause::INCOMPATIBLE_DESTINATION);
        }
        tokio::spawn(router.route(Box::new(called)));
        Ok(())
    }

    /// The INVITE that waits to be sent.
    fn invite_made(&mut self) -> Option<Message> {
        while let Some(output) = self.session.poll() {
            if let dialog::Output::Send { bytes, .. } = output {
                return Message::parse(bytes, &Limits::default()).ok();
            }
        }
        None
    }

    fn variables_inside(&self, uuid: &str, own: &[(&'static str, String, bool)]) -> Variables {
        let mut variables = self.variables.clone();
        OWN.iter().for_each(|name| variables.unset(name));
        if let Some(list) = self.variables.get("loopback_export") {
            for name in list.split(',').map(str::trim) {
                variables.copy(&self.variables, name);
            }
        }
        variables.set("uuid", uuid);
        variables.set("direction", "inbound");
        variables.set("loopback_leg", "B");
        variables.set("is_loopback", "1");
        variables.set("other_loopback_leg_uuid", &self.uuid);
        variables.set("other_loopback_from_uuid", self.variables.get("originator").unwrap_or_default());
        for (name, value, wire) in own {
            if *wire { variables.set_wire(name, value) } else { variables.set(name, value) }
        }
        variables
    }

    /// Hands a message to the other half.
    pub(super) fn send_inside(&self, other: &Mailbox, bytes: Bytes) {
        match Message::parse(bytes, &Limits::default()) {
            Ok(message) => {
                other.post(Letter::Sip { message, flow: Inside::flow(self.agent.local) });
            }
            Err(error) => warn!("{} {}: not sent to the other half: {error}", self.uuid, self.name()),
        }
    }

    //------------ Bowing out -----------------------------------------------------------------------------------

    fn may_bow_out(&self) -> bool {
        let word = self.variables.get("loopback_bowout");
        word.is_none_or(super::variables::is_true) && self.is_answered()
    }

    /// A while after the answer: the called half tells the calling one with whom it is bridged.
    pub(super) fn offer_to_bow_out(&mut self) {
        if self.direction == Direction::Inbound
            && self.may_bow_out()
            && let (Some(inside), Some(partner)) = (&self.inside, &self.partner)
        {
            inside.post(Letter::Order(Order::BowOut { far: partner.mailbox().clone() }));
        }
    }

    /// The other half is bridged with `far`: our partner is sent there, and nobody needs us any more. The halves stay until
    /// the far end has left too, or time is up.
    pub(super) fn bow_out(&mut self, far: Mailbox) {
        if self.direction == Direction::Inbound {
            // Agreed: once its partner leaves, the called half does nothing more of what its extension says.
            return self.variables.set("hangup_after_bridge", "explicit");
        }
        if !self.may_bow_out() {
            return;
        }
        let (Some(partner), Some(inside)) = (&self.partner, &self.inside) else { return };
        inside.post(Letter::Order(Order::BowOut { far: partner.mailbox().clone() }));
        info!("{} {}: bows out, {} goes to the far end itself", self.uuid, self.name(), partner.uuid);
        let order = Order::Go { course: Course::Join(far), variables: Vec::new() };
        partner.mailbox().post(Letter::Order(order));
        let other = partner.uuid.clone();
        self.watch.bows_out(Self::now());
        self.variables.set("loopback_hangup_cause", "bridge");
        self.variables.set("loopback_bowout_other_uuid", &other);
    }
}
