//! Calling: drives the races of a dial string, makes the legs, hears of them, and says what came of it.

use super::attempt;
use super::endpoint::{self, Steps, Target};
use super::outcome;
use super::race::{Do, Entrant, Race};
use super::rules::{LegRules, Rules};
use super::string::{self, DialString, find};
use crate::channel::{
    Cause, Course, Dialled, Ended, Happening, Leg, Letter, Mailbox, Moment, News, Order, Token, Variables,
    View,
};
use crate::net::address_of;
use crate::sip::Uri;
use std::sync::Arc;
use tracing::{info, warn};

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
    /// Its own variables say `bypass_media_after_bridge`.
    pub bypass_after: bool,
    /// The variables round it in the dial string.
    pub outer: Vec<(String, String)>,
}

impl Winner {
    /// What the dial string says for it.
    pub fn said(&self, name: &str) -> Option<&str> {
        find(&self.outer, name)
    }
}

/// Why nobody won.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The cause of the leg that counts, or of what stopped the attempt.
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

/// Calls what `text` says for `leg`. `text` is expanded already, and guarded against separators from the wire.
pub async fn originate(leg: &mut Leg, text: &str) -> Result<Winner, Failure> {
    leg.reaches(Moment::PreOriginate);
    leg.prepare_way();
    outcome::note_begin(leg);
    let (result, hangup) = match Originate::new(leg, text) {
        Ok(mut work) => (work.run().await, work.hangs_up_caller()),
        Err(cause) => (Err(cause.into()), false),
    };
    match &result {
        Ok(winner) => outcome::note_winner(leg, winner),
        Err(failure) => {
            outcome::note_failure(leg, failure);
            if hangup {
                leg.hangup(failure.cause);
            }
        }
    }
    leg.reaches(Moment::PostOriginate);
    result
}

/// Waits for legs that another leg has called, and left to this one.
pub async fn adopt(leg: &mut Leg, dialled: Vec<Dialled>) -> Result<Winner, Failure> {
    let result = Originate::of(leg, dialled).run().await;
    match &result {
        Ok(winner) => outcome::note_winner(leg, winner),
        Err(failure) => outcome::note_failure(leg, failure),
    }
    result
}

/// A leg of the stage that a race is in.
#[derive(Default)]
struct Slot {
    /// What to call; taken when it is.
    target: Option<Box<(Target, Variables)>>,
    called: Option<Called>,
}

/// A leg that has been called.
struct Called {
    mailbox: Mailbox,
    uuid: Arc<str>,
    number: Arc<str>,
    view: Option<Arc<View>>,
    ended: Option<Arc<Ended>>,
    /// The cause we have ended it with.
    hung_up: Option<Cause>,
    bypass_after: bool,
}

/// One member of a dial string: the whole of a plain one, or one of several that are called independently.
struct Member {
    race: Race,
    stages: Vec<Vec<string::Leg>>,
    /// The variables round its legs.
    outer: Vec<(String, String)>,
    slots: Vec<Slot>,
    /// Legs of the first stage that are called already.
    adopted: Vec<Dialled>,
    lost: Option<Failure>,
}

/// What came of acting on a race.
enum Acted {
    /// The next is up to the legs, or to time.
    Nothing,
    /// A stage is to begin.
    Asked(usize),
    /// It has a winner.
    Won(Winner),
}

/// One originate of one a-leg.
struct Originate<'a> {
    leg: &'a mut Leg,
    members: Vec<Member>,
    redirects: usize,
    /// A digit of the caller that ends it (`origination_cancel_key`).
    cancel_key: Option<char>,
}

impl<'a> Originate<'a> {
    fn new(leg: &'a mut Leg, text: &str) -> Result<Originate<'a>, Cause> {
        let plan = DialString::parse(text).map_err(|error| {
            warn!("{} {}: dial string {text:?}: {error}", leg.uuid, leg.name());
            error.cause()
        })?;
        let forwards = leg.variables.get("max_forwards").and_then(|f| f.trim().parse::<u32>().ok());
        if forwards.is_some_and(|left| left <= 1) {
            warn!("{} {}: Max-Forwards is used up, nobody is called", leg.uuid, leg.name());
            return Err(Cause::EXCHANGE_ROUTING_ERROR);
        }
        let now = Leg::now();
        let enterprise = plan.is_enterprise();
        let mut members = Vec::with_capacity(plan.members.len());
        for member in plan.members {
            let mut written = plan.variables.clone();
            if enterprise {
                // The members know nothing of each other: early media of one cannot end the race.
                written.push(("ignore_early_media".to_owned(), "true".to_owned()));
            }
            written.extend(member.variables);
            let outer = attempt::outer(leg, &written);
            let (mut rules, said) = Rules::read(&outer, leg.variables.get("call_timeout"));
            if leg.variables.get("ringback").is_some_and(|tone| !tone.is_empty()) {
                rules = rules.with_ringback();
            }
            for line in said {
                warn!("{} {}: {line}", leg.uuid, leg.name());
            }
            let race = Race::new(rules, member.stages.len(), now);
            members.push(Member {
                race,
                stages: member.stages,
                outer,
                slots: Vec::new(),
                adopted: Vec::new(),
                lost: None,
            });
        }
        let cancel_key = leg.variables.get("origination_cancel_key").and_then(|key| key.chars().next());
        Ok(Originate { leg, members, redirects: 0, cancel_key })
    }

    /// Of legs that are called already.
    fn of(leg: &'a mut Leg, adopted: Vec<Dialled>) -> Originate<'a> {
        let (rules, _) = Rules::read(&[], leg.variables.get("call_timeout"));
        let race = Race::new(rules, 1, Leg::now());
        let (stages, outer, slots) = (vec![Vec::new()], Vec::new(), Vec::new());
        let members = vec![Member { race, stages, outer, slots, adopted, lost: None }];
        Originate { leg, members, redirects: 0, cancel_key: None }
    }

    fn hangs_up_caller(&self) -> bool {
        self.members.iter().any(|member| member.race.rules().hangup_caller)
    }

    async fn run(&mut self) -> Result<Winner, Failure> {
        loop {
            for at in 0..self.members.len() {
                let mut acted = self.act(at);
                while let Acted::Asked(stage) = acted {
                    acted = self.begin(at, stage).await;
                }
                if let Acted::Won(winner) = acted {
                    self.end_others(at, Cause::LOSE_RACE);
                    return Ok(winner);
                }
            }
            if self.leg.is_leaving() {
                return Err(self.leave());
            }
            if self.members.iter().all(|member| member.lost.is_some()) {
                let last = self.members.pop().and_then(|member| member.lost);
                return Err(last.unwrap_or_else(|| Cause::DESTINATION_OUT_OF_ORDER.into()));
            }
            let wake = self.members.iter().filter_map(|member| member.race.next_timeout()).min();
            match self.leg.next_until(wake).await {
                Happening::News(from, news) => self.news(from, news),
                Happening::Digit { digit, .. } if self.cancel_key == Some(digit) => {
                    info!("{} {}: the caller gives up by key {digit}", self.leg.uuid, self.leg.name());
                    self.end_others(usize::MAX, Cause::NO_ANSWER);
                    return Err(Cause::NO_ANSWER.into());
                }
                Happening::Deadline => {
                    let now = Leg::now();
                    self.members.iter_mut().for_each(|member| member.race.timeout(now));
                }
                Happening::Over => return Err(self.leave()),
                _ => {}
            }
        }
    }

    /// The caller is over or sent elsewhere: so are those it calls, unless they are left to another leg.
    fn leave(&mut self) -> Failure {
        match self.leg.heir().cloned() {
            Some(heir) => self.leave_to(&heir),
            None => self.end_others(usize::MAX, Cause::ORIGINATOR_CANCEL),
        }
        Cause::ORIGINATOR_CANCEL.into()
    }

    fn leave_to(&mut self, heir: &Mailbox) {
        let slots = self.members.iter_mut().flat_map(|member| member.slots.drain(..));
        let lives = |called: &Called| called.ended.is_none() && called.hung_up.is_none();
        let dialled = slots.filter_map(|slot| slot.called).filter(lives);
        let dialled = dialled.map(|Called { mailbox, uuid, number, .. }| Dialled { mailbox, uuid, number });
        let dialled: Vec<Dialled> = dialled.collect();
        for left in &dialled {
            self.leg.dialled_ended(left.mailbox.token);
            // Before this leg ends: that must not end those it called.
            left.mailbox.post(Letter::Order(Order::Belong { to: heir.clone() }));
        }
        heir.post(Letter::Order(Order::Go { course: Course::Adopt(dialled), variables: Vec::new() }));
    }

    /// Does what one race asks for, up to what takes time or ends it.
    fn act(&mut self, at: usize) -> Acted {
        while let Some(todo) = self.members.get_mut(at).and_then(|member| member.race.poll()) {
            match todo {
                Do::Stage(stage) => return Acted::Asked(stage),
                Do::Dial(index) => self.dial(at, index),
                Do::Hangup(index, cause) => {
                    if let Some(called) = self.slot(at, index).and_then(|slot| slot.called.as_mut()) {
                        called.hung_up.get_or_insert(cause);
                        called.mailbox.post(Letter::Order(Order::Hangup(cause)));
                    }
                }
                Do::Ring => self.leg.ring(180),
                Do::Won { leg, answered } => {
                    let won = self.slot(at, leg).and_then(|slot| slot.called.take());
                    self.note_causes(at);
                    if let Some(Called { mailbox, uuid, number, view: Some(view), bypass_after, .. }) = won {
                        outcome::note_cause(self.leg, &uuid, None);
                        let outer = self.members.get_mut(at).map(|m| std::mem::take(&mut m.outer));
                        let outer = outer.unwrap_or_default();
                        let won = Winner { mailbox, uuid, view, answered, number, bypass_after, outer };
                        return Acted::Won(won);
                    }
                }
                Do::Lost(cause) => {
                    let failure = self.failure(at, cause);
                    self.note_causes(at);
                    if let Some(member) = self.members.get_mut(at) {
                        member.lost = Some(failure);
                    }
                }
            }
        }
        Acted::Nothing
    }

    fn slot(&mut self, at: usize, index: usize) -> Option<&mut Slot> {
        self.members.get_mut(at)?.slots.get_mut(index)
    }

    /// Ends every race but one.
    fn end_others(&mut self, winner: usize, cause: Cause) {
        for at in (0..self.members.len()).filter(|at| *at != winner) {
            if let Some(member) = self.members.get_mut(at) {
                member.race.cancel(cause);
            }
            // Only hang-ups are left to be done.
            self.act(at);
            self.note_causes(at);
        }
    }

    /// Finds out whom a stage calls. Each leg is called before the next is looked up.
    async fn begin(&mut self, at: usize, stage: usize) -> Acted {
        self.note_causes(at);
        let Some(member) = self.members.get_mut(at) else { return Acted::Nothing };
        let legs = member.stages.get(stage).cloned().unwrap_or_default();
        member.race.begin(Leg::now());
        for (lane, dialled) in std::mem::take(&mut member.adopted).into_iter().enumerate() {
            let Dialled { mailbox, uuid, number } = dialled;
            let failed = (!self.leg.adopt(&mailbox)).then_some(Cause::DESTINATION_OUT_OF_ORDER);
            let called =
                Called { mailbox, uuid, number, view: None, ended: None, hung_up: None, bypass_after: false };
            member.slots.push(Slot { target: None, called: Some(called) });
            let (rules, late) = (LegRules::default(), Cause::NO_ANSWER);
            member.race.enter(Leg::now(), Entrant { lane, step: 0, rules, late, failed });
        }
        for (lane, called) in legs.iter().enumerate() {
            let alone = legs.len() == 1 && matches!(&*called.endpoint.to_ascii_lowercase(), "user" | "group");
            // Alone, such a leg is an originate of its own, and its time limit that of an originate.
            let late = if alone { Cause::NO_ANSWER } else { Cause::ALLOTTED_TIMEOUT };
            let Some(member) = self.members.get_mut(at) else { return Acted::Nothing };
            let steps = endpoint::find_steps(self.leg, called, &member.outer);
            for (step, found) in self.resolve(steps).await.into_iter().enumerate() {
                for found in found {
                    let (slot, rules, failed) = self.slot_of(at, called, found);
                    let Some(member) = self.members.get_mut(at) else { return Acted::Nothing };
                    member.slots.push(slot);
                    member.race.enter(Leg::now(), Entrant { lane, step, rules, late, failed });
                }
            }
            let acted = self.act(at);
            if self.leg.is_leaving() || self.members.get(at).is_none_or(|member| !member.race.is_open()) {
                return acted; // one that could not be called has ended the stage
            }
        }
        if let Some(member) = self.members.get_mut(at) {
            member.race.sealed(Leg::now());
        }
        self.act(at)
    }

    /// Looks up the hosts of those targets that are named, all at once.
    async fn resolve(&mut self, steps: Steps) -> Steps {
        let named =
            |f: &Result<Target, Cause>| f.as_ref().is_ok_and(|t| address_of(&t.destination).is_none());
        if !steps.iter().flatten().any(named) {
            return steps;
        }
        let look_up = |found: Result<Target, Cause>| tokio::spawn(async { Ok(found?.resolve().await) });
        let steps: Vec<Vec<_>> =
            steps.into_iter().map(|step| step.into_iter().map(look_up).collect()).collect();
        let all = async {
            let mut found = Steps::new();
            for step in steps {
                let mut together = Vec::new();
                for look_up in step {
                    together.push(look_up.await.unwrap_or(Err(Cause::DESTINATION_OUT_OF_ORDER)));
                }
                found.push(together);
            }
            found
        };
        self.leg.until(all).await.unwrap_or_default()
    }

    /// An address made ready to be called, or why it is not.
    fn slot_of(
        &self,
        at: usize,
        called: &string::Leg,
        found: Result<Target, Cause>,
    ) -> (Slot, LegRules, Option<Cause>) {
        let name = self.leg.name();
        let outer = self.members.get(at).map(|member| member.outer.as_slice()).unwrap_or_default();
        let mut target = match found {
            Ok(target) => target,
            Err(cause) => {
                info!("{} {name}: cannot call {}: {}", self.leg.uuid, called.url(), cause.name());
                return (Slot::default(), LegRules::default(), Some(cause));
            }
        };
        let variables = attempt::variables(self.leg, &target, &called.variables, outer);
        if let Some(key) = variables.get("group_confirm_key") {
            warn!(
                "{} {name}: {} is not called: group_confirm_key={key} needs a prompt, which is not provided yet",
                self.leg.uuid,
                called.url()
            );
            return (Slot::default(), LegRules::default(), Some(Cause::FACILITY_NOT_IMPLEMENTED));
        }
        let said = |name: &str| find(&called.variables, name).is_some() || find(outer, name).is_some();
        target.own.retain(|(name, _)| !said(name));
        let rules = LegRules::read(&variables);
        (Slot { target: Some(Box::new((target, variables))), called: None }, rules, None)
    }

    /// Sends one INVITE.
    fn dial(&mut self, at: usize, index: usize) {
        let Some(target) = self.slot(at, index).and_then(|slot| slot.target.take()) else { return };
        let (target, mut variables) = *target;
        variables.set("originate_endpoint", target.endpoint());
        let (uri, number) = (target.uri.clone(), target.number.clone());
        let attempt = attempt::attempt(self.leg, target, variables);
        let owner = self.leg.mailbox().clone();
        let bypass_after = attempt.variables.is_true("bypass_media_after_bridge");
        let callee = match &*attempt.caller.callee_id_name {
            "" => "Outbound Call".to_owned(),
            name => name.to_owned(),
        };
        let callee_number = attempt.caller.callee_id_number.clone();
        let inside = attempt.inside.is_some();
        match Leg::dial(self.leg.exchange.clone(), attempt, owner) {
            Ok((mailbox, uuid)) => {
                let (ours, name) = (&self.leg.uuid, self.leg.name());
                match inside {
                    true => info!("{ours} {name}: calling loopback/{number} as {uuid}"),
                    false => info!("{ours} {name}: calling {uri} as {uuid}"),
                }
                self.leg.dials(mailbox.clone());
                self.leg.calls_number(&number);
                outcome::note_leg(self.leg, &uuid, &callee, &callee_number);
                if let Some(slot) = self.slot(at, index) {
                    slot.called = Some(Called {
                        mailbox,
                        uuid,
                        number,
                        view: None,
                        ended: None,
                        hung_up: None,
                        bypass_after,
                    });
                }
            }
            Err(cause) => {
                if let Some(member) = self.members.get_mut(at) {
                    member.race.ended(Leg::now(), index, cause);
                }
            }
        }
    }

    //------------ What the legs tell ---------------------------------------------------------------------------

    fn news(&mut self, from: Token, news: News) {
        let is = |slot: &Slot| slot.called.as_ref().is_some_and(|called| called.mailbox.token == from);
        let mut members = self.members.iter().enumerate();
        let found = members.find_map(|(at, m)| m.slots.iter().position(is).map(|index| (at, index)));
        let Some((at, index)) = found else { return };
        let Some(member) = self.members.get_mut(at) else { return };
        let called = member.slots.get_mut(index).and_then(|slot| slot.called.as_mut());
        match news {
            News::Ringing { .. } => member.race.rings(index),
            News::EarlyMedia(view) => {
                if let Some(called) = called {
                    called.view = Some(view);
                }
                member.race.early_media(index);
            }
            News::Answered(view) => {
                if let Some(called) = called {
                    called.view = Some(view);
                }
                member.race.answers(index);
            }
            News::Ended(ended) => {
                if let Some(called) = called {
                    called.ended = Some(ended.clone());
                }
                self.leg.dialled_ended(from);
                self.redirected(at, index, &ended);
                if let Some(member) = self.members.get_mut(at) {
                    member.race.ended(Leg::now(), index, ended.cause);
                }
            }
            _ => {}
        }
    }

    /// What a race that was lost comes to, told by the leg whose cause it is.
    fn failure(&self, at: usize, cause: Cause) -> Failure {
        let ended = |slot: &Slot| slot.called.as_ref().and_then(|called| called.ended.clone());
        let slots = self.members.get(at).map(|member| member.slots.as_slice()).unwrap_or_default();
        match slots.iter().filter_map(ended).find(|ended| ended.cause == cause) {
            Some(ended) => Failure { cause, sip: ended.sip.clone(), redirects: ended.redirects.clone() },
            None => cause.into(),
        }
    }

    /// Writes down how the legs of a stage ended that is over.
    fn note_causes(&mut self, at: usize) {
        let Some(member) = self.members.get_mut(at) else { return };
        for called in member.slots.drain(..).filter_map(|slot| slot.called) {
            let cause = called.hung_up.or(called.ended.map(|ended| ended.cause)).unwrap_or(Cause::NONE);
            outcome::note_cause(self.leg, &called.uuid, Some(cause));
        }
    }

    //------------ Redirections ---------------------------------------------------------------------------------

    /// A leg was sent elsewhere. That is followed when it points to one of our own users; elsewhere only the operator
    /// may send a call (threats: a callee must not choose what we pay for).
    fn redirected(&mut self, at: usize, index: usize, ended: &Ended) {
        let fatal = self.leg.variables.is_true("outbound_redirect_fatal");
        if ended.redirects.is_empty() || fatal || self.leg.agent.conf.manual_redirect {
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
            if self.joined(at, index, format!("{user}@{domain}")) {
                return;
            }
        }
    }

    /// Calls a user beside a leg of the race.
    fn joined(&mut self, at: usize, beside: usize, address: String) -> bool {
        let Some(member) = self.members.get_mut(at) else { return false };
        let called = string::Leg { variables: Vec::new(), endpoint: "user".to_owned(), address, wire: false };
        let mut any = false;
        for target in endpoint::find_steps(self.leg, &called, &member.outer).into_iter().flatten().flatten() {
            let variables = attempt::variables(self.leg, &target, &[], &member.outer);
            if let Some(index) = member.race.joins(Leg::now(), beside, LegRules::read(&variables)) {
                member.slots.resize_with(index + 1, Slot::default);
                if let Some(slot) = member.slots.get_mut(index) {
                    slot.target = Some(Box::new((target, variables)));
                    any = true;
                }
            }
        }
        any
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
