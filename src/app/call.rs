//! A call: a leg, its queue of actions, and the hunt that fills it.

use super::bound::Bridge;
use super::table::{self, Run};
use super::told::Told;
use super::{bridge, missing, moment, scoped};
use crate::channel::{Cause, Course, Leg, Route, Router, caught};
use crate::config::Position;
use crate::dialplan::{Action, Dialplan, Expanded, Hunt, Hunter, Template, inline};
use crate::event::EventName;
use crate::sip::Replaces;
use arc_swap::ArcSwap;
use std::collections::VecDeque;
use std::pin::{Pin, pin};
use std::sync::Arc;
use tracing::{debug, info, warn};

/// The dialplan as of the last load, shared by every call.
pub type Plans = Arc<ArcSwap<Dialplan>>;

/// How often one call may be transferred (`max_forwards` of the channel).
const TRANSFERS: u32 = 70;
/// How deep `execute_extension` may nest.
pub(super) const NESTING: u32 = 32;
/// How often `execute_extension` may run between two transfers: two calls of itself would double at every level.
pub(super) const EXTENSIONS: u32 = 1000;

/// A leg that runs a dialplan.
pub struct Call {
    /// The leg.
    pub leg: Leg,
    /// The dialog whose place it is to take, instead of being routed (RFC 3891).
    pub in_place_of: Option<Box<Replaces>>,
    plans: Plans,
    queue: VecDeque<Action>,
    transfers: u32,
    pub(super) nesting: u32,
    /// How many applications run that nothing else that is wanted may run in the middle of.
    pub(super) locked: u32,
    /// How often `execute_extension` has run since the last transfer.
    pub(super) extensions: u32,
    /// The bridge it waits in.
    pub(super) bridge: Option<Bridge>,
    /// How many applications run in the middle of it, one inside the other.
    pub(super) performing: u32,
    /// What runs there is to end.
    pub(super) given_up: bool,
}

impl Call {
    /// A call that has not been routed yet.
    pub fn new(leg: Leg, plans: Plans) -> Call {
        Call {
            leg,
            in_place_of: None,
            plans,
            queue: VecDeque::new(),
            transfers: 0,
            nesting: 0,
            locked: 0,
            extensions: 0,
            bridge: None,
            performing: 0,
            given_up: false,
        }
    }

    /// The whole life of an a-leg: hunt, execute, hang up, serve the last timers.
    pub async fn run(&mut self) {
        if caught(pin!(self.live())).await.is_err() {
            self.leg.panicked();
        }
        self.leg.limits.release_all();
        self.leg.finish().await;
    }

    async fn live(&mut self) {
        if let Some(replaces) = self.in_place_of.take() {
            bridge::take_place(&mut self.leg, &replaces).await;
        }
        if !self.leg.is_leaving() {
            self.route();
        }
        while !self.leg.is_over() {
            if let Some(course) = self.leg.take_course() {
                self.follow(course).await;
                continue;
            }
            self.perform_all().await;
            if self.leg.is_leaving() {
                continue;
            }
            match self.queue.pop_front() {
                Some(action) => self.execute(&action).await,
                None => {
                    debug!(
                        "{} {} has executed the last dialplan instruction, hanging up.",
                        self.leg.uuid,
                        self.leg.name()
                    );
                    if !self.leg.gives_back(Cause::NO_ROUTE_DESTINATION) {
                        self.leg.hangup(Cause::NORMAL_CLEARING);
                    }
                }
            }
        }
    }

    /// Goes where the leg has been sent, away from what it did.
    async fn follow(&mut self, course: Course) {
        match course {
            Course::Extension(route) => {
                let Route { destination, dialplan, context, wire } = route;
                // What came from the wire is no list of applications.
                let forced = dialplan.is_none()
                    && self.leg.variables.get("force_transfer_dialplan").is_some_and(is_inline);
                let dialplan = if wire && forced { Some("XML".to_owned()) } else { dialplan };
                self.transfer(&destination, dialplan.as_deref(), context.as_deref());
            }
            Course::Application { name, arguments } => {
                let (data, at) = (Template::new(&*arguments), Position::new("originate", 0, 0));
                self.queue = VecDeque::from([Action { application: name, data, at }]);
            }
            Course::HandOver(_) => self.leg.hangup(Cause::ATTENDED_TRANSFER),
            Course::Adopt(dialled) => bridge::adopt(self, dialled).await,
            Course::Join(peer) => bridge::meet(self, &peer).await,
            Course::Succeed(peer) => bridge::succeed(self, &peer).await,
            Course::Outside(outside) => {
                self.queue.clear();
                bridge::outside(self, &outside).await;
            }
            Course::Wait => bridge::wait(&mut self.leg).await,
            Course::Perform => bridge::perform(self).await,
            Course::Joined => {
                self.queue.clear();
                bridge::stay(self).await;
            }
        }
    }

    /// Asks the dialplan where the call goes; what it says replaces the queue.
    fn route(&mut self) {
        self.extensions = 0;
        self.leg.routes(true);
        match self.hunt() {
            Some(actions) => {
                self.queue = actions.into();
                self.leg.routes(false);
            }
            None => {
                info!(
                    "{} {}: no route for {} in context {}, aborting",
                    self.leg.uuid,
                    self.leg.name(),
                    self.leg.caller.destination_number,
                    self.leg.caller.context
                );
                if !self.leg.gives_back(Cause::NO_ROUTE_DESTINATION) {
                    self.leg.hangup(Cause::NO_ROUTE_DESTINATION);
                }
            }
        }
    }

    /// The actions for where the caller profile points.
    pub(super) fn hunt(&mut self) -> Option<Vec<Action>> {
        let (dialplan, context) = (self.leg.caller.dialplan.clone(), self.leg.caller.context.clone());
        let destination = self.leg.caller.destination_number.clone();
        info!(
            "{} Processing {} <{}>->{destination} in context {context}",
            self.leg.uuid, self.leg.caller.caller_id_name, self.leg.caller.caller_id_number
        );
        let plan = self.plans.load_full();
        for name in dialplan.split(',').map(str::trim) {
            let (name, argument) = name.split_once(':').unwrap_or((name, ""));
            if is_inline(name) {
                return Some(inline::parse(&destination));
            }
            if !name.eq_ignore_ascii_case("XML") && !name.is_empty() {
                warn!("{}: dialplan {name} is not provided", self.leg.uuid);
                continue;
            }
            if !argument.is_empty() {
                warn!(
                    "{}: dialplan XML:{argument} is passed over: a file of its own is not read",
                    self.leg.uuid
                );
                continue;
            }
            let mut hunter = Hunter { leg: &mut self.leg, inline: run_inline };
            match plan.hunt(&context, &destination, &mut hunter) {
                Hunt::Route(route) => {
                    if let Some(name) = &route.invalid_application {
                        warn!("{}: invalid application {name}", self.leg.uuid);
                        self.leg.hangup(Cause::DESTINATION_OUT_OF_ORDER);
                    }
                    return Some(route.actions);
                }
                Hunt::NoRoute => {}
                Hunt::NoContext => warn!("{}: context {context} not found", self.leg.uuid),
            }
        }
        None
    }

    /// Runs one action.
    pub(super) async fn execute(&mut self, action: &Action) {
        for arguments in action.data.arguments_of("uuid_getvar") {
            // Asked beforehand: an expansion does not wait.
            let arguments = arguments.expand(&self.leg).text;
            let uuid = arguments.split_whitespace().next().unwrap_or_default();
            self.leg.look_at(uuid).await;
        }
        let expanded = expanded(&self.leg, &action.data);
        self.leg.forget();
        let (expanded, scope) = match scoped::begin(&mut self.leg, &expanded) {
            Some((expanded, scope)) => (expanded, Some(scope)),
            None => (expanded, None),
        };
        let (name, data) = (&*action.application, expanded.text.as_str());
        info!("{} EXECUTE [depth={}] {} {name}({data})", self.leg.uuid, self.nesting, self.leg.name());
        let Some(application) = table::find(name) else {
            self.given_up = match self.is_performing() {
                true => missing::run_within(&mut self.leg, name, data),
                false => {
                    missing::run(&mut self.leg, name, data, &action.at, self.queue.iter());
                    false
                }
            };
            return;
        };
        if application.needs_media && self.leg.need_media().is_err() {
            return;
        }
        if application.needs_media {
            self.leg.confirm_transfer();
        }
        self.leg.variables.set("current_application", application.name);
        self.leg.variables.set_wire("current_application_data", data);
        let told = Told::new(&self.leg, name, data, self.leg.variables.get("app_uuid"));
        self.leg.variables.unset("app_uuid");
        self.leg.fire(EventName::ChannelExecute, || told.begin());
        match application.run {
            Run::Plain(run) => run(&mut self.leg, &expanded),
            Run::Waits(run) => run(self, &expanded).await,
        }
        if let Some(scope) = scope {
            scoped::end(&mut self.leg, scope);
        }
        self.leg.fire(EventName::ChannelExecuteComplete, || told.end(&self.leg));
    }

    /// How often the call was transferred.
    pub(super) fn transfers(&self) -> u32 {
        self.transfers
    }

    /// Sends the call elsewhere: the queue is dropped and the dialplan asked anew.
    pub(super) fn transfer(&mut self, destination: &str, dialplan: Option<&str>, context: Option<&str>) {
        if self.is_performing() {
            // What the leg is in ends first, its bridge too.
            let owned = |word: &str| word.to_owned();
            let (destination, dialplan) = (destination.to_owned(), dialplan.map(owned));
            let route = Route { destination, dialplan, context: context.map(owned), wire: true };
            return self.leg.go(Course::Extension(route), Cause::NORMAL_CLEARING);
        }
        self.transfers += 1;
        if self.transfers > TRANSFERS {
            warn!("{} {}: transferred {TRANSFERS} times, giving up", self.leg.uuid, self.leg.name());
            self.leg.hangup(Cause::EXCHANGE_ROUTING_ERROR);
            return;
        }
        let forced = |name: &str| self.leg.variables.get(name).map(Arc::<str>::from);
        let dialplan = dialplan.map(Arc::from).or_else(|| forced("force_transfer_dialplan"));
        let context = context.map(Arc::from).or_else(|| forced("force_transfer_context"));
        let caller = &mut self.leg.caller;
        let before = std::mem::replace(&mut caller.destination_number, destination.into());
        caller.rdnis = before;
        match dialplan {
            Some(dialplan) => caller.dialplan = dialplan,
            // An inline dialplan is not inherited.
            None if caller.dialplan.eq_ignore_ascii_case("inline") => caller.dialplan = "XML".into(),
            None => {}
        }
        if let Some(context) = context {
            caller.context = context;
        }
        if !self.leg.variables.is_true("limit_ignore_transfer") {
            self.leg.limits.release_all();
        }
        self.leg.variables.set("hangup_after_bridge", "false");
        self.leg.sent_elsewhere();
        info!("{} {}: transferred to {destination}", self.leg.uuid, self.leg.name());
        self.queue.clear();
        self.route();
    }
}

/// The data of an application as it gets it.
fn expanded(leg: &Leg, data: &Template) -> Expanded {
    match leg.variables.is_true("app_disable_expand_variables") {
        true => data.unexpanded(),
        false => data.expand(leg),
    }
}

fn is_inline(dialplan: &str) -> bool {
    dialplan.trim().eq_ignore_ascii_case("inline")
}

/// Takes legs of ours that are sent to the dialplan.
pub struct Calls {
    plans: Plans,
}

impl Calls {
    /// They ask this dialplan.
    pub fn new(plans: Plans) -> Calls {
        Calls { plans }
    }
}

impl Router for Calls {
    fn route(&self, leg: Box<Leg>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let mut call = Box::new(Call::new(*leg, self.plans.clone()));
        Box::pin(async move { call.run().await })
    }

    fn execute(&self, leg: &mut Leg, name: &str, argument: &str) {
        moment::execute(leg, name, argument);
    }

    fn command(&self, leg: &Leg, name: &str, arguments: &str) {
        moment::command(leg, name, arguments);
    }
}

/// An application at hunt time. The dialplan asks only for those that may run then.
fn run_inline(leg: &mut Leg, name: &str, data: &crate::dialplan::Template) {
    let expanded = expanded(leg, data);
    debug!("{} EXECUTE (inline) {} {name}({})", leg.uuid, leg.name(), expanded.text);
    match table::find(name).map(|a| a.run) {
        Some(Run::Plain(run)) => run(leg, &expanded),
        _ => warn!("{}: application {name} cannot run inline", leg.uuid),
    }
}
