//! Applications that run in the middle of a call: what keys ordered (`bind_meta_app`, `bind_digit_action`), on a leg
//! that is in a bridge, or in any application that waits.
//!
//! An application waits by [`Call::next_until`], which runs what was ordered in between, and looks after the bridge the
//! call is in: while something runs, the other side may go. Then every wait returns [`Happening::Over`], so that it falls
//! through to its end, and the bridge is over as it would have been.

use super::call::Call;
use crate::channel::{Cause, Execution, Happening, Leg, Manner, News, Token};
use crate::config::Position;
use crate::dialplan::{Action, Template};
use std::time::{Duration, Instant};
use tracing::warn;

/// How many applications that keys ordered may run inside each other.
const DEPTH: u32 = 4;
/// The same of those that programs want.
const STEERED_DEPTH: u32 = 32;
/// An application that is done sooner is not repeated (`loops`).
const SHORT: Duration = Duration::from_millis(500);

/// The bridge a call waits in.
pub(super) struct Bridge {
    pub(super) partner: Token,
    /// The partner has answered.
    pub(super) answered: bool,
    /// It is over.
    pub(super) parted: Option<Box<Parted>>,
}

/// How the partner went.
#[derive(Debug)]
pub(super) struct Parted {
    pub(super) cause: Cause,
    pub(super) sip: Option<(u16, String)>,
    pub(super) redirects: Vec<String>,
}

impl Call {
    /// Waits for the next thing that concerns the application.
    pub(super) async fn next(&mut self) -> Happening {
        self.next_until(None).await
    }

    /// The same, but no longer than to `deadline`.
    pub(super) async fn next_until(&mut self, deadline: Option<Instant>) -> Happening {
        loop {
            if self.has_parted() {
                return Happening::Over;
            }
            if !self.leg.is_leaving()
                && self.locked == 0
                && let Some(execution) = self.leg.next_execution()
            {
                Box::pin(self.perform(execution)).await;
                continue;
            }
            match self.leg.next_until(deadline).await {
                Happening::Execute => {}
                Happening::News(from, news) => {
                    if let Some(news) = self.on_news(from, news) {
                        return Happening::News(from, news);
                    }
                }
                other => return other,
            }
        }
    }

    /// News of the leg this call is bridged with is seen to here.
    fn on_news(&mut self, from: Token, news: News) -> Option<News> {
        let Some(bridge) = self.bridge.as_mut().filter(|bridge| bridge.partner == from) else {
            return Some(news);
        };
        let parted = match news {
            News::Answered(view) => {
                bridge.answered = true;
                // A failure is logged there, and the leg hung up.
                if self.leg.answer(Some(&view)).is_ok() {
                    self.leg.display_called();
                    self.leg.both_up();
                }
                return None;
            }
            News::Ended(ended) => {
                let (sip, redirects) = (ended.sip.clone(), ended.redirects.clone());
                Parted { cause: ended.cause, sip, redirects }
            }
            News::Left(cause) => Parted { cause, sip: None, redirects: Vec::new() },
            other => return Some(other),
        };
        bridge.parted = Some(Box::new(parted));
        None
    }

    fn has_parted(&self) -> bool {
        self.bridge.as_ref().is_some_and(|bridge| bridge.parted.is_some())
    }

    /// True when a list of applications is not to be gone on with.
    pub(super) fn is_cut_short(&self) -> bool {
        self.leg.is_leaving() || self.given_up || (self.performing > 0 && self.has_parted())
    }

    /// True while an application runs in the middle of a call.
    pub(super) fn is_performing(&self) -> bool {
        self.performing > 0
    }

    /// Runs what waits to be run, and waits for nothing else.
    pub(super) async fn perform_all(&mut self) {
        while !self.leg.is_leaving() && self.locked == 0 {
            let Some(execution) = self.leg.next_execution() else { return };
            Box::pin(self.perform(execution)).await;
        }
    }

    async fn perform(&mut self, execution: Execution) {
        let Execution { application, argument, manner } = execution;
        let depth = if manner.is_some() { STEERED_DEPTH } else { DEPTH };
        if self.performing >= depth {
            let Leg { uuid, .. } = &self.leg;
            return warn!(
                "{uuid} {}: {application} is not run: {depth} run inside each other",
                self.leg.name()
            );
        }
        self.performing += 1;
        let action = Action {
            application: application.into(),
            data: if manner.is_some() { Template::new(&argument) } else { Template::guarded(argument) },
            at: Position::new(if manner.is_some() { "sendmsg" } else { "digits" }, 0, 0),
        };
        match manner {
            Some(manner) => self.perform_so(&action, &manner).await,
            None => self.execute(&action).await,
        }
        self.performing -= 1;
        self.given_up = false;
    }

    /// As a program wants it (`switch_ivr_parse_event`). What is done sooner than [`SHORT`] is not repeated.
    async fn perform_so(&mut self, action: &Action, manner: &Manner) {
        self.locked += u32::from(manner.lock);
        let mut round = 0;
        while manner.loops < 0 || round < manner.loops {
            round += 1;
            if let Some(uuid) = &manner.uuid {
                self.leg.variables.set_wire("app_uuid", uuid);
            }
            let began = Leg::now();
            self.execute(action).await;
            if self.is_cut_short() || Leg::now().saturating_duration_since(began) < SHORT {
                break;
            }
        }
        self.locked -= u32::from(manner.lock);
    }
}
