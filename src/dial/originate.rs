//! Calling: every address of a stage rings at once, the first answer wins, the others are cancelled.
//!
//! FreeSWITCH's `switch_ivr_originate`: stages (`|`) one after another until one answers or time is up; early media
//! ends the race unless `ignore_early_media`; what came of it stands in `originate_disposition`, `DIALSTATUS` and
//! their kin.

use super::endpoint::{self, Found, Target};
use super::string::{DialString, find};
use crate::channel::identity::Privacy;
use crate::channel::variables::is_true;
use crate::channel::{
    Attempt, CallerProfile, Cause, Codecs, Ended, Happening, Leg, Mailbox, News, Progress, Token, Variables,
    View,
};
use crate::channel::{Letter, Order};
use crate::config::sofia::FromDomain;
use crate::net::address_of;
use crate::sip::Uri;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::{info, warn};

/// How long a bridge rings when nobody says otherwise (`call_timeout`).
const RING: Duration = Duration::from_secs(60);
/// How many redirections one originate follows.
const REDIRECTS: usize = 5;

/// The leg that won.
#[derive(Debug)]
pub struct Winner {
    /// Its mailbox.
    pub mailbox: Mailbox,
    /// Its uuid.
    pub uuid: Arc<str>,
    /// Its media.
    pub view: Arc<View>,
    /// It has answered; else it sends early media.
    pub answered: bool,
    /// The number it was dialled by.
    pub number: Arc<str>,
}

/// Why nobody won.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The cause of the last leg that failed, or of what stopped the attempt.
    pub cause: Cause,
    /// The far end's final status and phrase, when it gave one.
    pub sip: Option<(u16, String)>,
    /// A redirection nobody followed: where it pointed.
    pub redirects: Vec<String>,
}

impl From<Cause> for Failure {
    fn from(cause: Cause) -> Failure {
        Failure { cause, sip: None, redirects: Vec::new() }
    }
}

/// One leg that rings.
struct Ringing {
    mailbox: Mailbox,
    uuid: Arc<str>,
    number: Arc<str>,
    deadline: Option<Instant>,
}

/// What early media of a called leg mean.
#[derive(Clone, Copy, Eq, PartialEq)]
enum EarlyMedia {
    Wins,
    Ignored,
    Rings,
}

/// One originate of one a-leg.
struct Originate<'a> {
    leg: &'a mut Leg,
    deadline: Instant,
    early_media: EarlyMedia,
    ringing: Vec<Ringing>,
    redirects: usize,
    last: Failure,
}

/// Calls what `text` says for `leg`. `text` is expanded already, and guarded against separators from the wire.
pub async fn originate(leg: &mut Leg, text: &str) -> Result<Winner, Failure> {
    let outcome = dial(leg, text).await;
    match &outcome {
        Ok(winner) => {
            leg.variables.set("originate_disposition", "SUCCESS");
            leg.variables.set("DIALSTATUS", "SUCCESS");
            leg.variables.set("last_bridge_to", &winner.uuid);
            leg.variables.unset("last_bridge_proto_specific_hangup_cause");
        }
        Err(failure) => note_failure(leg, failure),
    }
    outcome
}

/// Writes what became of a failed call into the caller's variables.
pub fn note_failure(leg: &mut Leg, failure: &Failure) {
    let name = failure.cause.name();
    leg.variables.set("originate_disposition", name);
    leg.variables.set("originate_failed_cause", name);
    leg.variables.set("bridge_hangup_cause", name);
    leg.variables.set("last_bridge_hangup_cause", name);
    let status = match failure.cause {
        Cause::USER_BUSY => "BUSY",
        Cause::NO_ANSWER | Cause::NO_USER_RESPONSE => "NOANSWER",
        Cause::ORIGINATOR_CANCEL => "CANCEL",
        Cause::CALL_REJECTED => "DONTCALL",
        Cause::INVALID_URL => "INVALIDARGS",
        _ => name,
    };
    leg.variables.set("DIALSTATUS", status);
    match &failure.sip {
        Some((status, phrase)) => {
            leg.variables.print("last_bridge_proto_specific_hangup_cause", format_args!("sip:{status}"));
            leg.variables.print("sip_invite_failure_status", status);
            leg.variables.set_wire("sip_invite_failure_phrase", phrase);
        }
        None => leg.variables.unset("last_bridge_proto_specific_hangup_cause"),
    }
}

async fn dial(leg: &mut Leg, text: &str) -> Result<Winner, Failure> {
    let plan = match DialString::parse(text) {
        Ok(plan) => plan,
        Err(error) => {
            warn!("{} {}: dial string {text:?}: {error}", leg.uuid, leg.name());
            return Err(Cause::INVALID_URL.into());
        }
    };
    if plan.is_enterprise() {
        warn!("{} {}: {text:?}: enterprise originate (:_:) is not provided yet", leg.uuid, leg.name());
        return Err(Cause::FACILITY_NOT_IMPLEMENTED.into());
    }
    let Some(member) = plan.members.first() else { return Err(Cause::DESTINATION_OUT_OF_ORDER.into()) };
    let outer: Vec<(String, String)> = plan.variables.iter().chain(&member.variables).cloned().collect();
    let seconds = |name: &str| {
        let said = find(&outer, name).or_else(|| leg.variables.get(name))?;
        said.trim().parse::<u64>().ok().filter(|s| *s > 0).map(Duration::from_secs)
    };
    let limit = seconds("originate_timeout").or_else(|| seconds("call_timeout")).unwrap_or(RING);
    let early = find(&outer, "ignore_early_media").or_else(|| leg.variables.get("ignore_early_media"));
    let early_media = match early {
        Some("ring_ready") => EarlyMedia::Rings,
        Some("consume") => EarlyMedia::Ignored,
        Some(text) if is_true(text) => EarlyMedia::Ignored,
        _ => EarlyMedia::Wins,
    };
    let goes_on = find(&outer, "originate_continue_on_timeout")
        .or_else(|| leg.variables.get("originate_continue_on_timeout"))
        .is_some_and(is_true);
    let mut work = Originate {
        deadline: Leg::now() + limit,
        leg,
        early_media,
        ringing: Vec::new(),
        redirects: 0,
        last: Cause::DESTINATION_OUT_OF_ORDER.into(),
    };
    for stage in &member.stages {
        for called in stage {
            let found = endpoint::find(work.leg, called);
            for found in work.resolve(found).await {
                match found {
                    Ok(target) => work.start(target, &outer, &called.variables),
                    Err(cause) => work.last = cause.into(),
                }
            }
        }
        match work.race().await {
            Ok(winner) => return Ok(winner),
            Err(true) if goes_on => work.deadline = Leg::now() + limit,
            Err(true) => break,
            Err(false) => {}
        }
        if work.leg.is_leaving() {
            break;
        }
    }
    match work.leg.is_leaving() {
        true => Err(Cause::ORIGINATOR_CANCEL.into()),
        false => Err(work.last),
    }
}

impl Originate<'_> {
    /// Looks up the hosts of those targets that are named, all at once.
    async fn resolve(&mut self, found: Found) -> Found {
        let named =
            |f: &Result<Target, Cause>| f.as_ref().is_ok_and(|t| address_of(&t.destination).is_none());
        if !found.iter().any(named) {
            return found;
        }
        let look_ups: Vec<_> =
            found.into_iter().map(|found| tokio::spawn(async { Ok(found?.resolve().await) })).collect();
        let all = async {
            let mut found = Found::new();
            for look_up in look_ups {
                found.push(look_up.await.unwrap_or(Err(Cause::DESTINATION_OUT_OF_ORDER)));
            }
            found
        };
        self.leg.until(all).await.unwrap_or_default()
    }

    /// Sends one INVITE.
    fn start(&mut self, target: Target, outer: &[(String, String)], own: &[(String, String)]) {
        let (uri, number) = (target.uri.clone(), target.number.clone());
        let attempt = attempt(self.leg, target, outer, own);
        let leg_timeout = attempt
            .variables
            .get("leg_timeout")
            .and_then(|s| s.trim().parse::<u64>().ok())
            .map(|s| Leg::now() + Duration::from_secs(s));
        let owner = self.leg.mailbox().clone();
        match Leg::dial(self.leg.exchange.clone(), attempt, owner) {
            Ok((mailbox, uuid)) => {
                info!("{} {}: calling {uri} as {uuid}", self.leg.uuid, self.leg.name());
                self.leg.dials(mailbox.clone());
                if self.leg.caller.callee_id_number.is_empty() {
                    self.leg.caller.callee_id_number = number.clone();
                }
                self.ringing.push(Ringing { mailbox, uuid, number, deadline: leg_timeout });
            }
            Err(cause) => self.last = cause.into(),
        }
    }

    /// Waits for the first answer of those that ring. `Err(true)`: time is up.
    async fn race(&mut self) -> Result<Winner, bool> {
        while !self.ringing.is_empty() {
            let leg_deadline = self.ringing.iter().filter_map(|r| r.deadline).min();
            let wake = leg_deadline.map_or(self.deadline, |d| d.min(self.deadline));
            match self.leg.next_until(Some(wake)).await {
                Happening::News(from, news) => {
                    if let Some(winner) = self.news(from, news) {
                        return Ok(winner);
                    }
                }
                Happening::Deadline => {
                    let now = Leg::now();
                    if now >= self.deadline {
                        self.end_all(Cause::NO_ANSWER);
                        self.last = Cause::NO_ANSWER.into();
                        return Err(true);
                    }
                    let late = |r: &Ringing| r.deadline.is_some_and(|d| d <= now);
                    for ringing in self.ringing.iter().filter(|r| late(r)) {
                        ringing.mailbox.post(Letter::Order(Order::Hangup(Cause::ALLOTTED_TIMEOUT)));
                        self.last = Cause::NO_ANSWER.into();
                    }
                    self.ringing.retain(|r| !late(r));
                }
                Happening::Over => {
                    self.ringing.clear();
                    return Err(false);
                }
                _ => {}
            }
        }
        Err(false)
    }

    fn news(&mut self, from: Token, news: News) -> Option<Winner> {
        let index = self.ringing.iter().position(|r| r.mailbox.token == from)?;
        match news {
            News::Ringing { .. } => {
                self.leg.ring(180);
                None
            }
            News::EarlyMedia(view) => match self.early_media {
                EarlyMedia::Wins => Some(self.win(index, view, false)),
                EarlyMedia::Rings => {
                    self.leg.ring(180);
                    None
                }
                EarlyMedia::Ignored => None,
            },
            News::Answered(view) => Some(self.win(index, view, true)),
            News::Ended(ended) => {
                self.ringing.remove(index);
                self.leg.dialled_ended(from);
                self.ended(&ended);
                None
            }
            _ => None,
        }
    }

    fn win(&mut self, index: usize, view: Arc<View>, answered: bool) -> Winner {
        let won = self.ringing.remove(index);
        self.end_all(Cause::LOSE_RACE);
        Winner { mailbox: won.mailbox, uuid: won.uuid, view, answered, number: won.number }
    }

    fn end_all(&mut self, cause: Cause) {
        for ringing in self.ringing.drain(..) {
            ringing.mailbox.post(Letter::Order(Order::Hangup(cause)));
        }
    }

    /// A leg failed. A redirection is followed when it points to one of our own users; elsewhere only the operator
    /// may send a call (threats: a callee must not choose what we pay for).
    fn ended(&mut self, ended: &Ended) {
        self.last =
            Failure { cause: ended.cause, sip: ended.sip.clone(), redirects: ended.redirects.clone() };
        if ended.redirects.is_empty() {
            return;
        }
        let fatal = self.leg.variables.is_true("outbound_redirect_fatal");
        if fatal || self.leg.agent.conf.manual_redirect {
            return;
        }
        for target in &ended.redirects {
            if self.redirects >= REDIRECTS {
                warn!("{} {}: redirected too often", self.leg.uuid, self.leg.name());
                return;
            }
            self.redirects += 1;
            let Some((user, domain)) = self.own_user(target) else {
                warn!(
                    "{} {}: redirected to {target}, which is none of our users; not followed (set manual-redirect in \
                     the profile to route it by the dialplan's context `redirected`)",
                    self.leg.uuid,
                    self.leg.name()
                );
                continue;
            };
            info!("{} {}: redirected to {user}@{domain}", self.leg.uuid, self.leg.name());
            let called = super::string::Leg {
                variables: Vec::new(),
                endpoint: "user".to_owned(),
                address: format!("{user}@{domain}"),
            };
            for found in endpoint::find(self.leg, &called) {
                match found {
                    Ok(target) => self.start(target, &[], &[]),
                    Err(cause) => self.last = cause.into(),
                }
            }
            if !self.ringing.is_empty() {
                return;
            }
        }
    }

    /// The user of ours that a URI names: its host is a domain of the directory, or our own address.
    fn own_user(&self, uri: &str) -> Option<(String, String)> {
        let uri = uri.parse::<Uri>().ok().filter(Uri::is_sip)?;
        let user = uri.user()?.into_owned();
        let exchange = &self.leg.exchange;
        if exchange.directory.user(&user, uri.host()).is_some() {
            return Some((user, uri.host().to_owned()));
        }
        let agent = &self.leg.agent;
        let ours = [Some(agent.local), agent.external]
            .into_iter()
            .flatten()
            .any(|a| uri.host().parse() == Ok(a.ip()));
        let domain = exchange.domain();
        (ours && exchange.directory.user(&user, &domain).is_some()).then_some((user, domain))
    }
}

/// What the called side gets of the caller (inventory §5.2).
fn attempt(leg: &Leg, target: Target, outer: &[(String, String)], own: &[(String, String)]) -> Attempt {
    let mut variables = Variables::with_room(24);
    if let Some(list) = leg.variables.get("export_vars") {
        for name in list.split(',').map(str::trim) {
            let name = name.strip_prefix("nolocal:").or(name.strip_prefix("_nolocal_")).unwrap_or(name);
            match leg.variables.get(&format!("_nolocal_{name}")) {
                Some(value) => variables.set(name, value),
                None => variables.copy(&leg.variables, name),
            }
        }
    }
    if leg.variables.get("sip_copy_custom_headers").is_none_or(is_true) {
        for (name, _) in leg.variables.with_prefix("sip_h_") {
            let custom = name.get(..8).is_some_and(|p| p.eq_ignore_ascii_case("sip_h_X-"))
                || PASSED.iter().any(|p| name.eq_ignore_ascii_case(p));
            if custom {
                variables.copy(&leg.variables, name);
            }
        }
    }
    // `{}` wins over `[]` for plain variables, `[]` over `{}` for those that steer the originate itself; what `user/` brought
    // (its dial-string, dial-var-*) is the ground both stand on.
    let steers = |name: &str| name.starts_with("origination_") || name.starts_with("leg_");
    for (name, value) in target.variables.iter().chain(own).chain(outer) {
        variables.set(name, value);
    }
    for (name, value) in own.iter().filter(|(name, _)| steers(name)) {
        variables.set(name, value);
    }
    // What the caller's own From says, for gateways that are to show it.
    let shown = match target.gateway.as_ref().map(|through| &through.gateway.conf.from_domain) {
        Some(FromDomain::AlegFull) => Some(("sip_full_from", "sip_force_full_from")),
        Some(FromDomain::AlegDomain) => Some(("sip_from_host", "sip_invite_domain")),
        _ => None,
    };
    if let Some((theirs, ours)) = shown.filter(|_| variables.get("sip_invite_domain").is_none())
        && let Some(value) = leg.variables.get(theirs)
    {
        variables.set_wire(ours, value);
    }
    variables.set("originator", &leg.uuid);
    let said = |name: &str| variables.get(name).or_else(|| leg.variables.get(name));
    let shown = |own: &str, effective: &str, usual: &Arc<str>| {
        let said = variables.get(own).or_else(|| leg.variables.get(effective));
        said.map_or_else(|| usual.clone(), Arc::from)
    };
    let number =
        shown("origination_caller_id_number", "effective_caller_id_number", &leg.caller.caller_id_number);
    let name = shown("origination_caller_id_name", "effective_caller_id_name", &leg.caller.caller_id_name);
    let mut privacy = Privacy { name: leg.caller.privacy_hide_name, number: leg.caller.privacy_hide_number };
    match said("origination_privacy") {
        Some("full") => privacy = Privacy { name: true, number: true },
        Some("hide_name") => privacy.name = true,
        Some("hide_number") => privacy.number = true,
        Some("off") => privacy = Privacy::default(),
        _ => {}
    }
    let Target { agent, uri, destination, others, gateway, routes, number: called, .. } = target;
    let caller = CallerProfile {
        username: leg.caller.username.clone(),
        dialplan: leg.caller.dialplan.clone(),
        context: leg.caller.context.clone(),
        caller_id_name: name.clone(),
        caller_id_number: number.clone(),
        orig_caller_id_name: name,
        orig_caller_id_number: number,
        chan_name: format!("sofia/{}/{called}@{}", agent.name, uri.host()).into(),
        destination_number: called.clone(),
        callee_id_number: called,
        ani: leg.caller.ani.clone(),
        rdnis: leg.caller.rdnis.clone(),
        privacy_hide_name: privacy.name,
        privacy_hide_number: privacy.number,
        ..CallerProfile::default()
    };
    let forwards = leg.variables.get("max_forwards").and_then(|f| f.parse::<u8>().ok()).unwrap_or(70);
    Attempt {
        agent,
        uri,
        destination,
        others,
        gateway,
        routes,
        variables,
        caller,
        privacy,
        codecs: codecs(leg),
        max_forwards: forwards.saturating_sub(1),
    }
}

/// Headers that go across as they are, besides X-….
const PASSED: [&str; 4] = ["sip_h_User-to-User", "sip_h_Diversion", "sip_h_Alert-Info", "sip_h_Subject"];

fn codecs(leg: &Leg) -> Codecs {
    let settled = leg.progress() >= Progress::EarlyMedia;
    match (settled, leg.agreed(), leg.offered()) {
        (true, agreed, _) if !agreed.is_empty() => Codecs::Agreed(agreed.clone()),
        (_, _, Some(offer)) => Codecs::Offered(offer.clone(), leg.agent.inbound_prefs()),
        _ => Codecs::Profile,
    }
}
