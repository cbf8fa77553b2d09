//! Transfer asked for by a far end: REFER (RFC 3515, RFC 3891, `sofia_handle_sip_i_refer`) and INVITE with Replaces.
//!
//! The transferor's leg is the one that is asked. Blind: its partner is sent to the extension. Attended: the transferor
//! has a second leg; that leg is asked for its place ([`Order::Replace`]), and the two partners are joined. The
//! transferor is told by NOTIFY what came of it and is hung up once its partner has left it; a transfer that fails leaves
//! the call as it was.

use super::cause::Cause;
use super::course::{Course, Outside, Route};
use super::leg::{Direction, Leg};
use super::legs::{Legs, Token};
use super::letter::{Letter, News, Order, Replacement, Successor};
use super::mailbox::Mailbox;
use crate::dialog::{RequestId, reason_phrase};
use crate::sip::{Message, Method, Name, Replaces};
use std::time::{Duration, Instant};
use tracing::{debug, info, warn};

/// How long a leg whose place is to be taken may keep the transferor waiting.
const PATIENCE: Duration = Duration::from_secs(5);

/// A transfer this leg has asked for, or that takes its place.
#[derive(Debug)]
pub(super) struct Handover {
    /// What the leg is hung up with once its partner has left it.
    pub(super) cause: Cause,
    /// The id of the REFER's subscription, while a NOTIFY is owed.
    pub(super) notify: Option<u32>,
    /// Until when an answer of the other leg is awaited.
    pub(super) until: Instant,
    /// The leg that has left it, when what comes of that is awaited.
    pub(super) waits_for: Option<Mailbox>,
}

/// Asks the leg of ours whose dialog `replaces` names for its place: to whom to post, and what. `None` when it names none.
pub fn ask_for_place(
    replaces: &Replaces,
    legs: &Legs,
    by: Successor,
    reply: &Mailbox,
) -> Option<(Mailbox, Letter)> {
    // A phone may name its own side first: what counts is whose tag is ours.
    let sides = [(&replaces.to_tag, &replaces.from_tag), (&replaces.from_tag, &replaces.to_tag)];
    let find = |(ours, theirs): (&String, &String)| {
        Some((legs.by_token(Token::read(ours)?)?, ours.clone(), theirs.clone()))
    };
    let (mailbox, local_tag, remote_tag) = sides.into_iter().find_map(find)?;
    let replacement = Replacement {
        call_id: replaces.call_id.clone(),
        local_tag,
        remote_tag,
        early_only: replaces.early_only,
        by,
        reply: reply.clone(),
    };
    Some((mailbox, Letter::Order(Order::Replace(Box::new(replacement)))))
}

/// Where a REFER points.
struct Target {
    extension: String,
    /// `sip:user@host:port`.
    uri: String,
    replaces: Option<Replaces>,
    params: String,
    whole: String,
}

impl Target {
    /// `None` when the REFER names nobody, or a dialog in a form nobody can read.
    fn read(refer: &Message, full_id: bool) -> Option<Target> {
        let address = refer.refer_to().ok()?;
        let uri = address.uri();
        let user = uri.user().filter(|user| !user.chars().any(char::is_control))?;
        let extension = if full_id { format!("{user}@{}", uri.host()) } else { user.into_owned() };
        let (before, headers) = uri.as_str().split_once('?').unwrap_or((uri.as_str(), ""));
        let replaces = address.replaces();
        if replaces.is_none() && headers.to_ascii_lowercase().contains("replaces=") {
            return None;
        }
        let params = before.split_once(';').map_or("", |(_, params)| params).to_owned();
        let port = uri.port().map_or_else(String::new, |port| format!(":{port}"));
        let outside = format!("sip:{}@{}{port}", uri.raw_user().unwrap_or_default(), uri.raw_host());
        Some(Target { extension, uri: outside, replaces, params, whole: address.as_str().to_owned() })
    }
}

impl Leg {
    /// The far end asks for a transfer. The status of the answer.
    pub(super) fn on_refer(&mut self, id: RequestId, refer: &Message) {
        let refuse = |leg: &mut Leg, status, why: &str| {
            info!("{} {}: REFER refused with {status}: {why}", leg.uuid, leg.name());
            let warning = [("Warning".to_owned(), format!("399 tandem \"{why}\""))];
            leg.respond_within(id, status, &warning);
        };
        if self.agent.conf.disable_transfer {
            return refuse(self, 403, "transfer is disabled in this profile");
        }
        if self.handover.is_some() {
            return refuse(self, 491, "a transfer is under way already");
        }
        let Some(target) = Target::read(refer, self.agent.conf.full_id_in_dialplan) else {
            return refuse(self, 400, "Refer-To names nobody");
        };
        self.respond_within(id, 202, &[("Expires".to_owned(), "60".to_owned())]);
        let subscription = refer.cseq().number;
        self.variables.set("transfer_disposition", "recv_replace");
        self.variables.set_wire("sip_refer_to", &target.whole);
        if !target.params.is_empty() {
            self.variables.set_wire("sip_refer_to_params", &target.params);
        }
        if self.variables.is_true("deny_refer_requests") {
            info!("{} {}: transfer denied (deny_refer_requests)", self.uuid, self.name());
            return self.notify(subscription, 403);
        }
        match &target.replaces {
            Some(replaces) => self.refer_attended(subscription, refer, &target, replaces),
            None => self.refer_blind(subscription, refer, target),
        }
    }

    /// The partner is sent to the extension.
    fn refer_blind(&mut self, subscription: u32, refer: &Message, target: Target) {
        let Some(partner) = self.partner().cloned() else {
            warn!("{} {}: cannot blind transfer a call of one leg", self.uuid, self.name());
            return self.notify(subscription, 403);
        };
        info!("{} {}: blind transfer to {}", self.uuid, self.name(), target.extension);
        self.variables.set_wire("transfer_to", ["blind:", &target.extension].concat());
        self.variables.set_wire("transfer_destination", ["blind:", &target.extension].concat());
        self.variables.set("endpoint_disposition", "BLIND_TRANSFER");
        let fallback = refer.from().uri().user().unwrap_or_default().into_owned();
        self.variables.set_wire("transfer_fallback_extension", fallback);
        let mut variables = vec![("sip_refer_to".to_owned(), target.whole)];
        if let Some(by) = refer.header(Name::ReferredBy) {
            variables.push(("sip_h_Referred-By".to_owned(), by.to_owned()));
        }
        if !target.params.is_empty() {
            variables.push(("sip_h_X-FS-Refer-Params".to_owned(), target.params));
        }
        // A stranger sends nobody where it could not call itself.
        let context = (!self.is_trusted()).then(|| self.agent.context.to_string());
        let course = Course::Extension(Route { wire: true, context, ..Route::to(target.extension) });
        if self.variables.is_true("confirm_blind_transfer") || self.agent.conf.confirm_blind_transfer {
            let order = Order::Go { course, variables };
            if !self.hand_over_and_wait(subscription, Cause::BLIND_TRANSFER, order) {
                self.notify(subscription, 403);
            }
            return;
        }
        self.hand_over(Cause::BLIND_TRANSFER, None);
        match partner.post(Letter::Order(Order::Go { course, variables })) {
            true => self.notify(subscription, 200),
            false => {
                self.handover = None;
                self.notify(subscription, 403);
            }
        }
    }

    /// The far end has logged in, is on an access list, or is one we have called.
    pub fn is_trusted(&self) -> bool {
        self.direction == Direction::Outbound
            || self.variables.is_true("sip_authorized")
            || self.variables.get("sip_acl_authed_by").is_some()
    }

    /// The transferor's other leg is asked for its place.
    fn refer_attended(&mut self, subscription: u32, refer: &Message, target: &Target, replaces: &Replaces) {
        let by = match self.partner() {
            Some(partner) => Successor::Leg(partner.clone()),
            None => Successor::Extension(Route::to(&*self.caller.destination_number)),
        };
        let Some((leg, letter)) = ask_for_place(replaces, &self.exchange.legs, by, self.mailbox()) else {
            return self.refer_outside(subscription, refer, target, replaces);
        };
        let own = leg.token == self.token() || self.partner().is_some_and(|p| p.token == leg.token);
        if !own && leg.post(letter) {
            info!("{} {}: attended transfer to {}", self.uuid, self.name(), target.extension);
            return self.hand_over(Cause::ATTENDED_TRANSFER, Some(subscription));
        }
        let why = if own { "is of this very call" } else { "has just ended" };
        warn!(
            "{} {}: attended transfer refused: call {} {why}; the call stays as it is",
            self.uuid,
            self.name(),
            replaces.call_id
        );
        self.variables.set("endpoint_disposition", "ATTENDED_TRANSFER_ERROR");
        self.notify(subscription, 403);
    }

    /// The partner calls the third at the other switch, which gives it the place of the transferor's other call there.
    fn refer_outside(&mut self, subscription: u32, refer: &Message, target: &Target, replaces: &Replaces) {
        let why = match (self.partner(), self.is_trusted()) {
            (None, _) => "this call has one leg",
            (_, false) => "the transferor has not logged in",
            _ => {
                info!(
                    "{} {}: attended transfer to {}, a call of another switch",
                    self.uuid,
                    self.name(),
                    target.uri
                );
                let outside = Outside {
                    profile: self.agent.name.to_string(),
                    uri: target.uri.clone(),
                    replaces: replaces.to_string(),
                    referred_by: refer.header(Name::ReferredBy).map(str::to_owned),
                };
                let course = Course::Outside(Box::new(outside));
                let variables = vec![("sip_refer_to".to_owned(), target.whole.clone())];
                let order = Order::Go { course, variables };
                match self.hand_over_and_wait(subscription, Cause::ATTENDED_TRANSFER, order) {
                    true => return,
                    false => "the other side is gone",
                }
            }
        };
        warn!("{} {}: attended transfer to {}: {why}", self.uuid, self.name(), target.uri);
        self.variables.set("endpoint_disposition", "ATTENDED_TRANSFER_ERROR");
        self.notify(subscription, 403);
    }

    /// Somebody is to take this leg's place.
    pub(super) fn replaced_by(&mut self, replacement: Replacement) {
        let status = match self.hand_place_to(&replacement) {
            Ok(()) => 200,
            Err(status) => status,
        };
        let news = News::Replaced(status);
        replacement.reply.post(Letter::News { from: self.token(), news });
    }

    fn hand_place_to(&mut self, replacement: &Replacement) -> Result<(), u16> {
        let Replacement { call_id, local_tag, remote_tag, early_only, by, .. } = replacement;
        let ours = self.session.call_id() == call_id
            && self.session.local_tag() == local_tag
            && self.session.remote_tag().is_none_or(|tag| tag == remote_tag);
        if !ours || self.is_over() {
            return Err(481);
        }
        if *early_only && self.is_answered() {
            return Err(486);
        }
        if self.variables.is_true("deny_refer_requests") {
            info!("{} {}: its place is not given away (deny_refer_requests)", self.uuid, self.name());
            return Err(403);
        }
        let (to, course) = match (self.other().cloned(), by) {
            (Some(other), Successor::Leg(leg)) => (leg.clone(), Course::Join(other)),
            (Some(other), Successor::Extension(route)) => (other, Course::Extension(route.clone())),
            (None, Successor::Leg(leg))
                if self.direction == Direction::Inbound && self.dialled.is_empty() =>
            {
                (leg.clone(), Course::Extension(Route::to(&*self.caller.destination_number)))
            }
            (None, Successor::Leg(leg)) if self.direction == Direction::Inbound => {
                // It still calls: whoever answers is the other's.
                self.course = Some(Box::new(Course::HandOver(leg.clone())));
                self.variables.set("endpoint_disposition", "ATTENDED_TRANSFER");
                return Ok(());
            }
            _ => return Err(403),
        };
        let alone = self.other().is_none();
        self.variables.set("transfer_disposition", "replaced");
        self.variables.set("endpoint_disposition", "ATTENDED_TRANSFER");
        if !to.post(Letter::Order(Order::Go { course, variables: Vec::new() })) {
            return Err(403);
        }
        match alone {
            true => self.hangup(Cause::ATTENDED_TRANSFER),
            false => self.hand_over(Cause::ATTENDED_TRANSFER, None),
        }
        Ok(())
    }

    /// The other leg of the transferor has answered; a status.
    pub(super) fn on_replaced(&mut self, status: u16) {
        let Some(subscription) = self.handover.as_mut().and_then(|handover| handover.notify.take()) else {
            return;
        };
        if status < 300 {
            self.notify(subscription, 200);
            if self.partner.is_none() {
                self.hangup(Cause::ATTENDED_TRANSFER);
            }
        } else {
            warn!(
                "{} {}: attended transfer refused with {status}; the calls stay as they are",
                self.uuid,
                self.name()
            );
            self.handover = None;
            self.notify(subscription, 403);
        }
    }

    fn hand_over(&mut self, cause: Cause, notify: Option<u32>) {
        // Its place may be taken by the very leg that it asks for its place: what is owed stays owed.
        let notify = notify.or(self.handover.take().and_then(|before| before.notify));
        let until = Self::now() + PATIENCE;
        self.handover = Some(Box::new(Handover { cause, notify, until, waits_for: None }));
    }

    /// What the leg is hung up with, now that its partner has left: it had handed the call over.
    pub(super) fn has_handed_over(&mut self) -> Option<Cause> {
        let handover = self.handover.as_mut()?;
        let (cause, notify) = (handover.cause, handover.notify.take());
        if let Some(subscription) = notify {
            self.notify(subscription, 200);
        }
        Some(cause)
    }

    /// When the leg stops waiting for what it handed over to be taken.
    pub(super) fn handover_timeout(&self) -> Option<Instant> {
        self.handover.as_ref().map(|handover| handover.until)
    }

    /// Nobody took the call: it stays as it was.
    pub(super) fn check_handover(&mut self, now: Instant) {
        if self.handover_timeout().is_some_and(|until| until <= now)
            && let Some(handover) = self.handover.take()
        {
            info!("{} {}: nobody took the call over; it stays as it was", self.uuid, self.name());
            if let Some(subscription) = handover.notify {
                self.notify(subscription, 403);
            }
        }
    }

    /// Tells the transferor what came of its REFER: the last word of the subscription.
    pub(super) fn notify(&mut self, subscription: u32, status: u16) {
        let headers = [
            ("Event".to_owned(), format!("refer;id={subscription}")),
            ("Subscription-State".to_owned(), "terminated;reason=noresource".to_owned()),
        ];
        let body = format!("SIP/2.0 {status} {}\r\n", reason_phrase(status));
        let body = Some(("message/sipfrag;version=2.0", body.into()));
        if let Err(error) = self.session.request(Self::now(), Method::Notify, &headers, body) {
            debug!("{} {}: no NOTIFY of the transfer: {error}", self.uuid, self.name());
        }
    }

    fn respond_within(&mut self, id: RequestId, status: u16, headers: &[(String, String)]) {
        if let Err(error) = self.session.respond(Self::now(), id, status, headers, None) {
            debug!("{} {}: {error}", self.uuid, self.name());
        }
    }
}
