//! A partner put aside while its leg talks to somebody else (`att_xfer`, FreeSWITCH's soft hold).
//!
//! The one put aside notices nothing but silence: to itself it is in its bridge still. It is taken back, or left to whom
//! its leg has called meanwhile: to the one that has answered, or to those that still ring.

use super::cause::Cause;
use super::course::Course;
use super::leg::{Leg, Partner};
use super::legs::Token;
use super::letter::{Letter, News, Order};

/// Who is put aside.
#[derive(Debug)]
pub(super) enum Aside {
    /// This one.
    Waits(Partner),
    /// Nobody any more: it has gone, and why.
    Gone(Cause),
}

impl Aside {
    fn is(&self, token: Token) -> bool {
        matches!(self, Aside::Waits(partner) if partner.mailbox().token == token)
    }
}

impl Leg {
    /// Puts the partner aside. Nothing happens when there is none, or one is put aside already.
    pub fn put_aside(&mut self) {
        if self.aside.is_none()
            && let Some(partner) = self.partner.take()
        {
            self.media.unbridge();
            self.variables.set("soft_holding_uuid", &partner.uuid);
            self.aside = Some(Box::new(Aside::Waits(partner)));
        }
    }

    /// Goes back to the partner that was put aside; the cause when it has gone meanwhile.
    pub fn take_back(&mut self) -> Result<(), Cause> {
        self.variables.unset("soft_holding_uuid");
        match self.aside.take().map(|aside| *aside) {
            Some(Aside::Waits(partner)) => {
                self.join(partner.mailbox().clone(), partner.uuid.clone(), partner.view.clone());
                Ok(())
            }
            Some(Aside::Gone(cause)) => Err(cause),
            None => Err(Cause::NORMAL_CLEARING),
        }
    }

    /// The keys that mean something while the partner is put aside, which go on to nobody. `None`: it is over.
    pub fn listen_for(&mut self, keys: Option<String>) {
        self.keys.get_or_insert_default().inner = keys;
        self.screen();
    }

    /// News that may be of the one put aside; given back when it is of another.
    pub(super) fn news_aside(&mut self, from: Token, news: News) -> Option<News> {
        let Some(aside) = self.aside.as_deref_mut().filter(|aside| aside.is(from)) else { return Some(news) };
        match news {
            News::Renegotiated(view) | News::Answered(view) => {
                if let Aside::Waits(partner) = aside {
                    partner.view = view;
                }
            }
            News::Ended(ended) => *aside = Aside::Gone(ended.cause),
            News::Left(cause) => *aside = Aside::Gone(cause),
            News::Proposed(_) => {
                if let Aside::Waits(partner) = aside {
                    let news = News::Settled(Err(491));
                    partner.mailbox().post(Letter::News { from: self.entry.token(), news });
                }
            }
            other => return Some(other),
        }
        None
    }

    /// A leg is gone without a word.
    pub(super) fn gone_aside(&mut self, token: Token) {
        if let Some(aside) = self.aside.as_deref_mut().filter(|aside| aside.is(token)) {
            *aside = Aside::Gone(Cause::NORMAL_TEMPORARY_FAILURE);
        }
    }

    /// The leg is over, or sent elsewhere (`over` false): who was put aside is left to whom it talks to or calls, if
    /// there is anybody.
    pub(super) fn leave_aside(&mut self, because: Cause, over: bool) {
        let Some(Aside::Waits(waiting)) = self.aside.take().map(|aside| *aside) else { return };
        let waits = waiting.mailbox().clone();
        if over && !self.dialled.is_empty() && self.partner.is_none() {
            // The originate that runs leaves to it whom it calls.
            self.course = Some(Box::new(Course::HandOver(waits)));
            return;
        }
        let from = self.token();
        let Some(partner) = self.partner.take_if(|_| over) else {
            waits.post(Letter::News { from, news: News::Left(because) });
            return;
        };
        let go = |course| Letter::Order(Order::Go { course, variables: Vec::new() });
        // The one that waits first: both have parted from this leg when it is gone.
        waits.post(go(Course::Wait));
        if !partner.mailbox().post(go(Course::Succeed(waits.clone()))) {
            waits.post(Letter::Order(Order::Hangup(because)));
        }
        self.parted(&partner, None);
    }
}
