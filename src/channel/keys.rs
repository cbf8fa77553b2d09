//! What digits do in a call, besides going on to the other side: keys behind a meta key, sequences bound to actions, and
//! what they order to run.
//!
//! A leg has an ear for what its far end presses, and one for what is to go to its far end: what the far end of the leg
//! it is bridged with presses. While nothing is bound there is none of this, and RFC 4733 digits are relayed packet by
//! packet. While something is, the media threads keep such digits back ([`Withheld`]): the leg hears of each, and one
//! that means nothing is sent on as a whole. That is how FreeSWITCH does it with every digit (`switch_core_session_recv_dtmf`,
//! `switch_core_session_send_dtmf`).
//!
//! What is to run waits in a queue of the leg, for the application the leg is in ([`Happening::Execute`]).

use super::leg::{Happening, Leg};
use super::letter::{Letter, News, Order};
use super::meta::{MetaApp, MetaKeys, Pressed, Where};
use super::sequences::{Outcome, Sequence, Sequences};
use crate::event::EventName;
use crate::media::Withheld;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tracing::{debug, info, warn};

/// What may wait to be run on a leg.
const WAITING: usize = 16;

/// How long a digit lasts that nobody held (`default-dtmf-duration`), in ms.
const USUAL: u32 = 250;

/// How many applications programs may have waiting on one leg.
const STEERED: usize = 1000;

/// An application to run on a leg while it is in a call.
#[derive(Clone, Debug, Default)]
pub struct Execution {
    /// Its name.
    pub application: String,
    /// Its argument; what came from the wire in it is guarded.
    pub argument: String,
    /// How, when a program wants it (`sendmsg`): its argument is as the program wrote it then.
    pub manner: Option<Arc<Manner>>,
}

/// How a program wants an application run.
#[derive(Debug)]
pub struct Manner {
    /// `Application-UUID` of its events.
    pub uuid: Option<String>,
    /// How often; without end when negative.
    pub loops: i64,
    /// Nothing else may run in the middle of it (`event-lock`).
    pub lock: bool,
    /// Dropped when it has been done, or never will be.
    pub done: Option<oneshot::Sender<()>>,
}

impl Execution {
    /// `application::argument`, or a file to play; `application!cause` hangs up afterwards (`switch_ivr_broadcast`).
    pub fn read(text: &str) -> (Execution, Option<Execution>) {
        let (name, argument) = text.split_once("::").unwrap_or(("playback", text));
        let (name, cause) = match name.split_once('!') {
            Some((name, "")) => (name, Some("normal_clearing")),
            Some((name, cause)) => (name, Some(cause)),
            None => (name, None),
        };
        let of = |name: &str, argument: &str| Execution {
            application: name.to_owned(),
            argument: argument.to_owned(),
            manner: None,
        };
        (of(name, argument), cause.map(|cause| of("hangup", cause)))
    }
}

/// Whose digits, or on whom something is done (`self`, `peer`, `both`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Target {
    /// This leg.
    Own,
    /// The one it is bridged with.
    Peer,
    /// Both.
    Both,
}

impl Target {
    /// Anything but `peer` and `both` is the leg itself.
    pub fn read(text: &str) -> Target {
        match text {
            t if t.eq_ignore_ascii_case("peer") => Target::Peer,
            t if t.eq_ignore_ascii_case("both") => Target::Both,
            _ => Target::Own,
        }
    }

    fn has_own(self) -> bool {
        self != Target::Peer
    }

    fn has_peer(self) -> bool {
        self != Target::Own
    }
}

/// What a sequence of digits does.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DigitAction {
    /// How.
    pub way: Way,
    /// `application`, API command, or the name of the event's header.
    pub name: String,
    /// Its argument, or the header's value; what came from the wire in it is guarded.
    pub value: String,
    /// On which leg.
    pub on: Target,
}

/// How a sequence of digits acts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Way {
    /// An application runs.
    Execute,
    /// An API command runs.
    Api,
    /// An event tells of it.
    Event,
}

type Machine = Box<Sequences<Arc<DigitAction>>>;

/// Everything keys do on one leg.
#[derive(Default)]
pub(super) struct Keys {
    /// What the leg's own far end presses.
    pressed: MetaKeys,
    /// What is to go to its far end.
    relayed: MetaKeys,
    own: Option<Machine>,
    peer: Option<Machine>,
    blocked: bool,
    /// The leg is in a bridge within a bridge (`att_xfer`), where these keys mean something, and no others.
    pub(super) inner: Option<String>,
    waiting: VecDeque<Execution>,
}

impl Keys {
    fn withheld(&self) -> Withheld {
        Withheld {
            pressed: self.blocked || self.inner.is_some() || self.pressed.is_on() || self.own.is_some(),
            relayed: self.blocked || self.relayed.is_on() || self.peer.is_some(),
        }
    }

    /// When a sequence of digits is over.
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        let machines = [&self.own, &self.peer];
        machines.into_iter().flatten().filter_map(|machine| machine.next_timeout()).min()
    }

    fn machine(&mut self, target: Target) -> &mut Option<Machine> {
        match target {
            Target::Peer => &mut self.peer,
            Target::Own | Target::Both => &mut self.own,
        }
    }
}

impl Leg {
    fn keys(&mut self) -> &mut Keys {
        self.keys.get_or_insert_default()
    }

    /// Something was bound, or not any more: the media threads and the other side are told what is kept back.
    pub(super) fn screen(&mut self) {
        let Some(keys) = &self.keys else { return };
        let before = self.media.withheld();
        let now = keys.withheld();
        if self.media.withhold(now)
            && before.relayed != now.relayed
            && let (Some(partner), Some(view)) = (&self.partner, self.media.view())
        {
            let news = News::Renegotiated(Arc::new(view));
            partner.mailbox().post(Letter::News { from: self.token(), news });
        }
    }

    //------------ Binding --------------------------------------------------------------------------------------

    /// Binds a key behind the meta key `meta`, for digits of this leg's far end (`own`), of the other's (`other`), or
    /// both. False when there is no such key.
    pub fn bind_meta(&mut self, meta: char, index: usize, own: bool, other: bool, app: MetaApp) -> bool {
        let keys = self.keys();
        let done = (!own || keys.pressed.bind(meta, index, app.clone()))
            && (!other || keys.relayed.bind(meta, index, app));
        self.screen();
        done
    }

    /// Takes a key behind the meta key away, or all of them.
    pub fn unbind_meta(&mut self, index: Option<usize>) {
        let Some(keys) = &mut self.keys else { return };
        match index {
            Some(index) => {
                keys.pressed.unbind(index);
                keys.relayed.unbind(index);
            }
            None => (keys.pressed, keys.relayed) = Default::default(),
        }
        self.screen();
    }

    /// Binds a sequence of digits of one side's far end. False when it is too long, or there are too many.
    pub fn bind_sequence(
        &mut self,
        of: Target,
        (realm, written, sequence): (&str, &str, Sequence),
        priority: bool,
        action: DigitAction,
    ) -> bool {
        let millis = |name, default| {
            let value = self.variables.get(name).map(|text| text.trim().parse().unwrap_or(0));
            Duration::from_millis(value.unwrap_or(default).min(86_400_000))
        };
        let digits = millis("bind_digit_digit_timeout", 1500);
        let input = Some(millis("bind_digit_input_timeout", 0)).filter(|wait| !wait.is_zero());
        let terminators = self.variables.get("bda_terminators").map(str::to_owned);
        let now = Self::now();
        let machine = self.keys().machine(of);
        let machine = machine.get_or_insert_with(|| Box::new(Sequences::new(now, digits, input)));
        let done = machine.bind(realm, written, sequence, priority, Arc::new(action));
        if let Some(terminators) = terminators {
            machine.set_terminators(&terminators);
        }
        self.screen();
        done
    }

    /// Forgets a realm of one side's sequences, or (`None`) all of them. False when there is none.
    pub fn clear_sequences(&mut self, of: Target, realm: Option<&str>) -> bool {
        let Some(machine) = self.keys.as_mut().map(|keys| keys.machine(of)) else { return false };
        let done = match (realm, machine.as_mut()) {
            (_, None) => false,
            (Some(realm), Some(machine)) => machine.clear_realm(realm),
            (None, Some(_)) => {
                *machine = None;
                true
            }
        };
        self.screen();
        done
    }

    /// Puts a realm of one side's sequences in force. False when there is none by that name.
    pub fn set_digit_realm(&mut self, of: Target, realm: &str) -> bool {
        let machine = self.keys.as_mut().and_then(|keys| keys.machine(of).as_mut());
        machine.is_some_and(|machine| machine.set_realm(realm))
    }

    /// Digits go neither from its far end nor to it, or do again.
    pub fn block_digits(&mut self, blocked: bool) {
        if blocked || self.keys.is_some() {
            self.keys().blocked = blocked;
            self.screen();
        }
    }

    //------------ Digits ---------------------------------------------------------------------------------------

    /// A digit of the far end, however it came. What the relay passes on by itself is not sent again.
    pub(super) fn on_digit(&mut self, digit: char, duration_ms: u32, source: &'static str) {
        debug!("{} {}: digit {digit} for {duration_ms} ms by {source}", self.uuid, self.name());
        let screened = self.media.withheld().pressed;
        if let Some(inner) = self.keys.as_ref().and_then(|keys| keys.inner.as_ref())
            && inner.contains(digit)
        {
            return self.tell(Happening::Digit { digit, duration_ms });
        }
        if self.keys.is_some() && !self.hear(digit) {
            return;
        }
        self.digit_goes_on(digit, duration_ms, source, screened);
    }

    /// A digit of the far end that means nothing here: the application and the other side get it.
    fn digit_goes_on(&mut self, digit: char, duration_ms: u32, source: &'static str, screened: bool) {
        self.fire(EventName::Dtmf, || {
            vec![
                ("DTMF-Digit".into(), digit.to_string()),
                ("DTMF-Duration".into(), (duration_ms * 8).to_string()),
                ("DTMF-Source".into(), source.to_owned()),
            ]
        });
        if let Some(partner) = &self.partner {
            let view = &partner.view;
            let relayed = source == "RTP" && !screened && view.takes_events() && !view.screens_digits;
            if !relayed {
                partner.mailbox().post(Letter::Order(Order::Digit { digit, duration_ms }));
            }
        }
        self.tell(Happening::Digit { digit, duration_ms });
    }

    /// What this leg has bound to its far end's digits; false when this one is not to go on.
    fn hear(&mut self, digit: char) -> bool {
        let now = Self::now();
        let Some(keys) = &mut self.keys else { return true };
        let outcome = keys.own.as_mut().map(|machine| machine.press(now, digit));
        let meta = if keys.inner.is_some() { Pressed::Pass } else { keys.pressed.press(now, digit) };
        let (collects, blocked) = (keys.own.is_some(), keys.blocked);
        if let Some(outcome) = outcome {
            self.on_sequence(Target::Own, outcome);
        }
        self.on_meta(digit, meta, true) && !collects && !blocked
    }

    /// A digit that is to go to the far end, pressed on the other side.
    pub(super) fn relay_digit(&mut self, digit: char, duration_ms: u32) {
        let now = Self::now();
        if let Some(keys) = &mut self.keys {
            let blocked = keys.blocked;
            let meta = if keys.inner.is_some() { Pressed::Pass } else { keys.relayed.press(now, digit) };
            if !self.on_meta(digit, meta, false) || blocked {
                return;
            }
            if let Some(machine) = self.keys.as_mut().and_then(|keys| keys.peer.as_mut()) {
                let outcome = machine.press(now, digit);
                return self.on_sequence(Target::Peer, outcome);
            }
        }
        self.send_digit(digit, duration_ms);
    }

    /// Acts on a key behind the meta key; true when the digit goes on. `own`: this leg's far end has pressed it.
    fn on_meta(&mut self, digit: char, pressed: Pressed, own: bool) -> bool {
        match pressed {
            Pressed::Pass => return true,
            Pressed::TooLate => {
                warn!("{} {}: the meta key was pressed too long before {digit}", self.uuid, self.name());
                return true;
            }
            Pressed::Kept => {}
            Pressed::Unbound => {
                warn!("{} {}: meta key {digit} is bound to nothing, ignored", self.uuid, self.name());
            }
            Pressed::Run(MetaApp { text, runs, .. }) => {
                info!("{} {}: meta key {digit}: {text}", self.uuid, self.name());
                let here = match runs {
                    Where::Here => true,
                    Where::There => false,
                    Where::Presser => own,
                    Where::Opposite => !own,
                };
                let (first, then) = Execution::read(&text);
                self.order(if here { Target::Own } else { Target::Peer }, first);
                if let Some(then) = then {
                    self.order(Target::Own, then);
                }
            }
        }
        false
    }

    /// Time has passed.
    pub(super) fn check_keys(&mut self, now: Instant) {
        for of in [Target::Own, Target::Peer] {
            let machine = self.keys.as_mut().and_then(|keys| keys.machine(of).as_mut());
            if let Some(outcome) = machine.map(|machine| machine.timeout(now)) {
                self.on_sequence(of, outcome);
            }
        }
    }

    fn on_sequence(&mut self, of: Target, outcome: Outcome<Arc<DigitAction>>) {
        match outcome {
            Outcome::Nothing => {}
            Outcome::Match(digits, action) => self.sequence_fits(&digits, &action),
            Outcome::NoMatch(digits) => {
                debug!("{} {}: digits {digits:?} are bound to nothing", self.uuid, self.name());
                self.set_on(of, "last_non_matching_digits", &digits);
                self.tell_digits("last_non_matching_digits", &digits, &digits);
                // On the leg, or from the other side, as if they had not been listened to.
                for digit in digits.chars() {
                    match of {
                        Target::Peer => self.send_digit(digit, USUAL),
                        _ => self.digit_goes_on(digit, USUAL, "APP", true),
                    }
                }
            }
        }
    }

    fn sequence_fits(&mut self, digits: &str, action: &DigitAction) {
        let DigitAction { way, name, value, on } = action;
        info!("{} {}: digits {digits} are bound to {name} {value}", self.uuid, self.name());
        // Without another side the leg stands in for it.
        let on = if self.partner.is_none() { Target::Own } else { *on };
        self.set_on(on, "last_matching_digits", digits);
        self.tell_digits(name, value, digits);
        match way {
            Way::Event => {}
            Way::Execute => {
                self.order(on, Execution { application: name.clone(), argument: value.clone(), manner: None })
            }
            Way::Api => {
                let functions = self.exchange.functions.get();
                let answer = functions.and_then(|f| f.call(self, name, value, false));
                match answer {
                    Some((answer, _)) => {
                        info!("{} {}: {name} {value}: {}", self.uuid, self.name(), answer.trim_end());
                        self.set_on(on, "bind_digit_action_api_result", &answer);
                    }
                    None => warn!("{} {}: there is no API function {name}", self.uuid, self.name()),
                }
            }
        }
    }

    fn tell_digits(&self, name: &str, value: &str, digits: &str) {
        self.fire(EventName::ChannelData, || {
            vec![(name.to_owned().into(), value.to_owned()), ("digits".into(), digits.to_owned())]
        });
    }

    /// Sets a variable on the leg, or on the other side.
    fn set_on(&mut self, on: Target, name: &str, value: &str) {
        if on.has_own() || self.partner.is_none() {
            self.variables.set_wire(name, value);
        }
        if let (true, Some(partner)) = (on.has_peer(), &self.partner) {
            let variables = Box::from([(name.to_owned(), value.to_owned())]);
            partner.mailbox().post(Letter::Order(Order::Set(variables)));
        }
    }

    //------------ What is to run -------------------------------------------------------------------------------

    /// Has an application run on the leg, on the other side, or on both.
    pub fn order(&mut self, on: Target, execution: Execution) {
        if on.has_peer() {
            let order = Letter::Order(Order::Execute(Box::new(execution.clone())));
            if !self.partner().is_some_and(|partner| partner.post(order)) {
                warn!(
                    "{} {}: {} is for the other side, and there is none",
                    self.uuid,
                    self.name(),
                    execution.application
                );
            }
        }
        if on.has_own() {
            self.execute_soon(execution);
        }
    }

    /// An application is to run as soon as what the leg is in can see to it.
    pub(super) fn execute_soon(&mut self, execution: Execution) {
        if self.is_over() {
            return;
        }
        let keys = self.keys();
        let most = if execution.manner.is_some() { STEERED } else { WAITING };
        if keys.waiting.len() >= most {
            let name = execution.application;
            return warn!("{} {}: {name} is not run: {most} others wait", self.uuid, self.name());
        }
        keys.waiting.push_back(execution);
        self.tell(Happening::Execute);
    }

    /// The next application to run.
    pub fn next_execution(&mut self) -> Option<Execution> {
        self.keys.as_mut()?.waiting.pop_front()
    }

    /// True when an application waits to be run.
    pub fn has_execution(&self) -> bool {
        self.keys.as_ref().is_some_and(|keys| !keys.waiting.is_empty())
    }
}
