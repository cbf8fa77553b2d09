//! The course of one originate as data: stages one after another, the legs of a stage together, retries, time limits,
//! and who wins. No sockets, no clock.
//!
//! The drive contract: after [`Race::new`] and after every call that tells something, take out what is to be done with
//! [`Race::poll`] until there is nothing; call [`Race::timeout`] no later than [`Race::next_timeout`]. [`Do::Stage`] is
//! answered by [`Race::begin`], one [`Race::enter`] for each leg, and [`Race::sealed`]; [`Do::Dial`] by nothing or by
//! [`Race::ended`]. After [`Do::Won`] or [`Do::Lost`] the race is over.
//!
//! The rules are those of FreeSWITCH's `switch_ivr_originate`, but for these: time is exact, not in whole seconds; a leg
//! that stands for several addresses (a user with two phones, a group) rings them all also beside others.

use super::rules::{EarlyMedia, LegRules, Rules, SingleReject};
use crate::channel::Cause;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// What is to be done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Do {
    /// [`Race::begin`] this stage, and find out whom it calls.
    Stage(usize),
    /// Call the leg.
    Dial(usize),
    /// End the leg.
    Hangup(usize, Cause),
    /// Tell the caller that it rings.
    Ring,
    /// The leg has won; `answered`, or by its early media.
    Won {
        /// Which leg of the stage.
        leg: usize,
        /// It has answered.
        answered: bool,
    },
    /// Nobody has won.
    Lost(Cause),
}

/// One leg of a stage.
#[derive(Clone, Copy, Debug)]
pub struct Entrant {
    /// Legs of one lane belong together: those of a later step are called when all of the earlier ones have failed.
    pub lane: usize,
    /// The place in its lane.
    pub step: usize,
    /// Its own limits.
    pub rules: LegRules,
    /// The cause it ends with when its time is up.
    pub late: Cause,
    /// It could not be made at all.
    pub failed: Option<Cause>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// For the step before it in its lane.
    Waits,
    /// Until then.
    Delayed(Instant),
    Live {
        since: Instant,
        progress: bool,
    },
    Over(Cause),
}

#[derive(Debug)]
struct Leg {
    entrant: Entrant,
    state: State,
    /// It has been called: its cause counts before that of those who could not be.
    was_called: bool,
}

#[derive(Debug)]
enum Phase {
    /// The stage begins then.
    Pause {
        until: Instant,
        stage: usize,
    },
    /// The driver looks up the stage.
    Asked {
        stage: usize,
    },
    Running {
        stage: usize,
        since: Instant,
    },
    Over,
}

/// One originate.
#[derive(Debug)]
pub struct Race {
    rules: Rules,
    stages: usize,
    phase: Phase,
    legs: Vec<Leg>,
    /// More legs of the stage are to come.
    open: bool,
    todo: VecDeque<Do>,
    /// Somebody has rung or sent media in this stage.
    progress: bool,
    rang: bool,
    tries: u32,
    begun: Instant,
    /// When the present try began.
    tried: Instant,
    /// A cause that stands whatever follows (a progress timeout, a single reject).
    forced: Option<Cause>,
    last: Cause,
}

impl Race {
    /// An originate of so many stages that begins now.
    pub fn new(rules: Rules, stages: usize, now: Instant) -> Race {
        let mut race = Race {
            phase: Phase::Pause { until: now + rules.delay, stage: 0 },
            rules,
            stages,
            legs: Vec::new(),
            open: false,
            todo: VecDeque::new(),
            progress: false,
            rang: false,
            tries: 1,
            begun: now,
            tried: now,
            forced: None,
            last: Cause::DESTINATION_OUT_OF_ORDER,
        };
        race.timeout(now);
        race
    }

    /// How it is to go.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Do> {
        self.todo.pop_front()
    }

    /// When to call [`Race::timeout`].
    pub fn next_timeout(&self) -> Option<Instant> {
        match self.phase {
            Phase::Pause { until, .. } => Some(until),
            Phase::Running { since, .. } => {
                let legs = self.legs.iter().filter_map(|leg| self.leg_timeout(leg));
                legs.chain(self.limit(since)).chain(self.progress_limit(since)).min()
            }
            Phase::Asked { .. } | Phase::Over => None,
        }
    }

    /// The stage that was asked for begins; its legs follow.
    pub fn begin(&mut self, now: Instant) {
        let Phase::Asked { stage } = self.phase else { return };
        self.phase = Phase::Running { stage, since: now };
        (self.progress, self.rang, self.open) = (false, false, true);
        if stage == 0 {
            self.tried = now;
        }
        self.legs.clear();
        if self.rules.ring_at_once && !self.rules.ring_ignored {
            self.ring();
        }
    }

    /// A leg of the stage; it is called at once when it can be.
    pub fn enter(&mut self, now: Instant, entrant: Entrant) {
        if let (true, Phase::Running { .. }) = (self.open, &self.phase) {
            self.legs.push(Leg { entrant, state: State::Waits, was_called: false });
            self.go_on(now);
        }
    }

    /// More legs of the stage are taken.
    pub fn is_open(&self) -> bool {
        self.open && matches!(self.phase, Phase::Running { .. })
    }

    /// These were all legs of the stage.
    pub fn sealed(&mut self, now: Instant) {
        if std::mem::take(&mut self.open) {
            self.go_on(now);
        }
    }

    /// A leg rings.
    pub fn rings(&mut self, leg: usize) {
        let Phase::Running { .. } = self.phase else { return };
        self.progresses(leg);
        if !self.rules.ring_ignored {
            self.progress = true;
            self.ring();
        }
    }

    /// A leg sends early media.
    pub fn early_media(&mut self, leg: usize) {
        let Phase::Running { .. } = self.phase else { return };
        self.progresses(leg);
        self.progress = true;
        match self.rules.early_media {
            EarlyMedia::Wins => self.win(leg, false),
            EarlyMedia::Rings if !self.rules.ring_ignored => self.ring(),
            EarlyMedia::Rings | EarlyMedia::Ignored => {}
        }
    }

    /// A leg has answered.
    pub fn answers(&mut self, leg: usize) {
        if let Phase::Running { .. } = self.phase {
            self.win(leg, true);
        }
    }

    /// A leg is over.
    pub fn ended(&mut self, now: Instant, leg: usize, cause: Cause) {
        if let (Some(leg), Phase::Running { .. }) = (self.legs.get_mut(leg), &self.phase)
            && !matches!(leg.state, State::Over(_))
        {
            leg.state = State::Over(cause);
            self.go_on(now);
        }
    }

    /// One more leg in the lane of another, to be called at once: where a redirection points.
    pub fn joins(&mut self, now: Instant, beside: usize, rules: LegRules) -> Option<usize> {
        let Phase::Running { .. } = self.phase else { return None };
        let Entrant { lane, step, late, .. } = self.legs.get(beside)?.entrant;
        let entrant = Entrant { lane, step, rules, late, failed: None };
        let state = State::Live { since: now, progress: false };
        self.legs.push(Leg { entrant, state, was_called: true });
        let index = self.legs.len() - 1;
        self.todo.push_back(Do::Dial(index));
        Some(index)
    }

    /// The caller has gone, or another race was won: everything ends.
    pub fn cancel(&mut self, cause: Cause) {
        if !matches!(self.phase, Phase::Over) {
            self.hangup_all(cause);
            self.phase = Phase::Over;
        }
    }

    /// Time has passed.
    pub fn timeout(&mut self, now: Instant) {
        match self.phase {
            Phase::Pause { until, stage } if until <= now => {
                self.phase = Phase::Asked { stage };
                self.todo.push_back(Do::Stage(stage));
            }
            Phase::Running { since, .. } => {
                if self.limit(since).is_some_and(|at| at <= now) {
                    return self.late(now, None);
                }
                if self.progress_limit(since).is_some_and(|at| at <= now) {
                    return self.late(now, Some(Cause::PROGRESS_TIMEOUT));
                }
                for index in 0..self.legs.len() {
                    self.leg_late(now, index);
                }
                self.go_on(now);
            }
            _ => {}
        }
    }

    //------------ Limits ---------------------------------------------------------------------------------------

    /// When the stage's time is up.
    fn limit(&self, since: Instant) -> Option<Instant> {
        let rings_alone = self.rules.ring_is_enough
            && matches!(self.legs.as_slice(), [Leg { state: State::Live { progress: true, .. }, .. }]);
        (!rings_alone).then_some(since + self.rules.limit)
    }

    fn progress_limit(&self, since: Instant) -> Option<Instant> {
        self.rules.progress.filter(|_| !self.progress).map(|limit| since + limit)
    }

    fn leg_timeout(&self, leg: &Leg) -> Option<Instant> {
        match leg.state {
            State::Delayed(until) => Some(until),
            State::Live { since, progress } => {
                let rules = &leg.entrant.rules;
                let until_progress = rules.progress.filter(|_| !progress);
                rules.limit.into_iter().chain(until_progress).min().map(|limit| since + limit)
            }
            State::Waits | State::Over(_) => None,
        }
    }

    fn leg_late(&mut self, now: Instant, index: usize) {
        let Some(leg) = self.legs.get_mut(index) else { return };
        let rules = leg.entrant.rules;
        let (since, progress) = match leg.state {
            State::Delayed(until) if until <= now => {
                return self.dial(now, index);
            }
            State::Live { since, progress } => (since, progress),
            _ => return,
        };
        let up = |limit: Option<Duration>| limit.is_some_and(|limit| since + limit <= now);
        let cause = if !progress && up(rules.progress) {
            self.forced = Some(Cause::PROGRESS_TIMEOUT);
            Cause::PROGRESS_TIMEOUT
        } else if up(rules.limit) {
            leg.entrant.late
        } else {
            return;
        };
        leg.state = State::Over(cause);
        self.todo.push_back(Do::Hangup(index, cause));
    }

    /// The stage's time is up: nobody of it rings any more.
    fn late(&mut self, now: Instant, forced: Option<Cause>) {
        self.forced = self.forced.or(forced);
        self.hangup_all(forced.unwrap_or(Cause::NO_ANSWER));
        self.last = Cause::NO_ANSWER;
        // FreeSWITCH goes on to the next stage after `progress_timeout`, but not after the time limit.
        if forced.is_none() && !self.rules.go_on { self.lose() } else { self.next_stage(now) }
    }

    //------------ The course of a stage ------------------------------------------------------------------------

    fn progresses(&mut self, index: usize) {
        if let Some(Leg { state: State::Live { progress, .. }, .. }) = self.legs.get_mut(index) {
            *progress = true;
        }
    }

    fn ring(&mut self) {
        if !std::mem::replace(&mut self.rang, true) {
            self.todo.push_back(Do::Ring);
        }
    }

    fn dial(&mut self, now: Instant, index: usize) {
        let Some(leg) = self.legs.get_mut(index) else { return };
        match leg.entrant.failed {
            Some(cause) => leg.state = State::Over(cause),
            None => {
                leg.state = State::Live { since: now, progress: false };
                leg.was_called = true;
                self.todo.push_back(Do::Dial(index));
            }
        }
    }

    /// Calls whoever is due, and sees whether the stage is over.
    fn go_on(&mut self, now: Instant) {
        while self.call_who_is_due(now) {}
        if !matches!(self.phase, Phase::Running { .. }) || self.rejected(now) {
            return;
        }
        if !self.open && self.legs.iter().all(|leg| matches!(leg.state, State::Over(_))) {
            let over = |leg: &Leg| match leg.state {
                State::Over(cause) => Some(cause),
                _ => None,
            };
            let called = self.legs.iter().find(|leg| leg.was_called).and_then(over);
            self.last = called.or_else(|| self.legs.last().and_then(over)).unwrap_or(self.last);
            self.next_stage(now);
        }
    }

    /// The first step of each lane that is not over yet; a delayed leg when nobody else is left. True when that changed
    /// something that may let another one be due.
    fn call_who_is_due(&mut self, now: Instant) -> bool {
        let mut failed = false;
        for index in 0..self.legs.len() {
            let Some(leg) = self.legs.get(index) else { break };
            let Entrant { lane, step, rules, .. } = leg.entrant;
            let earlier = |other: &Leg| {
                other.entrant.lane == lane
                    && other.entrant.step < step
                    && !matches!(other.state, State::Over(_))
            };
            if leg.state != State::Waits || self.legs.iter().any(earlier) {
                continue;
            }
            if rules.delay.is_zero() {
                self.dial(now, index);
                failed |= matches!(self.legs.get(index), Some(Leg { state: State::Over(_), .. }));
            } else if let Some(leg) = self.legs.get_mut(index) {
                leg.state = State::Delayed(now + rules.delay);
            }
        }
        let is_active = |leg: &Leg| matches!(leg.state, State::Live { .. });
        if failed || self.open || self.legs.iter().any(is_active) {
            return failed;
        }
        // Nobody rings: the waiting of those who come later is over as soon as it can be.
        let delayed = |leg: &Leg| match leg.state {
            State::Delayed(until) => Some(until),
            _ => None,
        };
        let Some(first) = self.legs.iter().filter_map(delayed).min() else { return false };
        let sooner = first.saturating_duration_since(now);
        for index in 0..self.legs.len() {
            if let Some(until) = self.legs.get(index).and_then(delayed) {
                match until - sooner {
                    at if at <= now => self.dial(now, index),
                    at => {
                        if let Some(leg) = self.legs.get_mut(index) {
                            leg.state = State::Delayed(at);
                        }
                    }
                }
            }
        }
        true
    }

    /// Whether one leg's end is the end of all: `leg_required`, `fail_on_single_reject`.
    fn rejected(&mut self, now: Instant) -> bool {
        let over = |leg: &Leg| match leg.state {
            State::Over(cause) => Some((leg.entrant.rules.required, leg.was_called, cause)),
            _ => None,
        };
        let ended: Vec<_> = self.legs.iter().filter_map(over).collect();
        if let Some((_, _, cause)) = ended.iter().find(|(required, called, _)| *required && *called) {
            let cause = *cause;
            self.hangup_all(cause);
            self.last = cause;
            self.next_stage(now);
            return true;
        }
        let rejects = &self.rules.single_reject;
        let Some((_, called, cause)) = ended.into_iter().find(|(.., cause)| rejects.ends(*cause)) else {
            return false;
        };
        let any = *rejects == SingleReject::Any;
        self.hangup_all(Cause::NO_ANSWER);
        match (called, any) {
            // Who could not even be called ends the whole string.
            (false, _) => {
                self.forced = Some(cause);
                self.lose();
            }
            // FreeSWITCH takes it for a timeout, one the next stage follows.
            (true, true) => {
                self.last = Cause::NO_ANSWER;
                self.next_stage(now);
            }
            (true, false) => {
                self.last = Cause::NO_ANSWER;
                self.lose();
            }
        }
        true
    }

    fn win(&mut self, index: usize, answered: bool) {
        let is_live = |leg: &Leg| matches!(leg.state, State::Live { .. });
        if !self.legs.get(index).is_some_and(is_live) {
            return;
        }
        if let Some(leg) = self.legs.get_mut(index) {
            leg.state = State::Over(Cause::SUCCESS);
        }
        self.hangup_all(Cause::LOSE_RACE);
        self.phase = Phase::Over;
        self.todo.push_back(Do::Won { leg: index, answered });
    }

    fn hangup_all(&mut self, cause: Cause) {
        // Who is not called yet is not called any more.
        let due: Vec<Do> = self.todo.iter().filter(|todo| matches!(todo, Do::Dial(_))).cloned().collect();
        self.todo.retain(|todo| !due.contains(todo));
        for (index, leg) in self.legs.iter_mut().enumerate() {
            if matches!(leg.state, State::Live { .. }) && !due.contains(&Do::Dial(index)) {
                self.todo.push_back(Do::Hangup(index, cause));
            }
            if !matches!(leg.state, State::Over(_)) {
                leg.state = State::Over(cause);
            }
        }
    }

    fn next_stage(&mut self, now: Instant) {
        let Phase::Running { stage, .. } = self.phase else { return };
        let mut next = stage + 1;
        if next >= self.stages {
            let over = self.rules.retry_limit.is_some_and(|limit| now > self.begun + limit);
            if self.tries >= self.rules.tries || over {
                return self.lose();
            }
            self.tries += 1;
            next = 0;
        }
        let mut until = now;
        if self.tries > 1 {
            until += self.rules.pause;
            if next == 0 && self.rules.period > self.rules.pause {
                until = until.max(self.tried + self.rules.period);
            }
        }
        self.phase = Phase::Pause { until, stage: next };
        self.timeout(now);
    }

    fn lose(&mut self) {
        self.phase = Phase::Over;
        self.todo.push_back(Do::Lost(self.forced.unwrap_or(self.last)));
    }
}

#[cfg(test)]
mod tests;
