//! A transfer whose outcome the transferor waits for: `confirm_blind_transfer`, and one to a call of another switch.
//!
//! The transferor's leg is parked, and told once what comes of the leg that was its partner: that is bridged, or in an
//! application that serves the caller by itself; or nobody was to be had, and then the two are joined again (FreeSWITCH's
//! `CF_CONFIRM_BLIND_TRANSFER`, `switch_ivr_blind_transfer_ack`).

use super::cause::Cause;
use super::course::{Course, Route};
use super::leg::Leg;
use super::letter::{Letter, News, Order};
use super::mailbox::Mailbox;
use super::transfer::Handover;
use std::time::Duration;
use tracing::info;

/// How long the transferor waits (`park_timeout`).
const PATIENCE: Duration = Duration::from_secs(600);

impl Leg {
    /// Sends the partner on its course and waits for what comes of that; false when the partner is gone.
    pub(super) fn hand_over_and_wait(&mut self, subscription: u32, cause: Cause, order: Order) -> bool {
        let Some(partner) = self.partner.take() else { return false };
        let to = partner.mailbox().clone();
        let asked = to.post(Letter::Order(Order::Confirm { to: self.mailbox().clone() }));
        if !asked || !to.post(Letter::Order(order)) {
            self.partner = Some(partner);
            return false;
        }
        self.parted(&partner, None);
        let until = Self::now() + PATIENCE;
        self.handover =
            Some(Box::new(Handover { cause, notify: Some(subscription), until, waits_for: Some(to) }));
        self.variables.set("park_timeout", "600:blind_transfer");
        let dialplan = Some("inline".to_owned());
        self.course = Some(Box::new(Course::Extension(Route { dialplan, ..Route::to("park") })));
        true
    }

    /// The leg that was sent away tells what came of it: a status.
    pub(super) fn on_transferred(&mut self, status: u16) {
        let Some(handover) = self.handover.take_if(|handover| handover.waits_for.is_some()) else { return };
        if let Some(subscription) = handover.notify {
            self.notify(subscription, status);
        }
        match handover.waits_for {
            Some(other) if status >= 300 => {
                info!("{} {}: the transfer failed with {status}; back to the call", self.uuid, self.name());
                self.go(Course::Join(other), Cause::NORMAL_CLEARING);
            }
            _ => self.hangup(handover.cause),
        }
    }

    /// The transfer that brought the leg here has succeeded.
    pub fn confirm_transfer(&mut self) {
        if let Some(transferor) = self.transferor.take() {
            tell(self, &transferor, 200);
        }
    }

    /// The transfer that brought the leg here has failed: true when the transferor takes the leg back, which then has its
    /// course.
    pub fn gives_back(&mut self, cause: Cause) -> bool {
        if self.is_leaving() {
            return false;
        }
        let Some(transferor) = self.transferor.take() else { return false };
        let refused = self.variables.get("sip_invite_failure_status").and_then(|s| s.parse().ok());
        let back = tell(self, &transferor, refused.unwrap_or_else(|| cause.sip()).max(400));
        if back {
            self.course = Some(Box::new(Course::Wait));
        }
        back
    }

    /// The leg is over.
    pub(super) fn end_transfer(&mut self, cause: Cause) {
        if let Some(transferor) = self.transferor.take() {
            tell(self, &transferor, cause.sip().max(400));
        }
    }
}

fn tell(leg: &Leg, transferor: &Mailbox, status: u16) -> bool {
    transferor.post(Letter::News { from: leg.token(), news: News::Transferred(status) })
}
