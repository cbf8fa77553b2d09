//! The ends of a session: BYE both ways (RFC 3261 §15), and a dialog the peer no longer knows (§12.2.1.2).

use std::time::Instant;

use super::event::{CommandError, Event, Headers};
use super::inside::Ask;
use super::session::{Asked, Phase, Session};
use crate::sip::Method;

impl Session {
    /// Hangs up. The called side's BYE waits for the ACK to its 2xx, at most 64·T1 (§15). `Ended` follows when the BYE
    /// has been sent, without waiting for its answer. Before the answer use [`cancel`](Self::cancel) or
    /// [`reject`](Self::reject).
    pub fn bye(&mut self, now: Instant, headers: Headers<'_>) -> Result<(), CommandError> {
        match self.phase {
            Phase::Ended => return Err(CommandError::Ended),
            Phase::Setup => return Err(CommandError::NotAnswered),
            Phase::Up if self.bye_wanted.is_some() => return Err(CommandError::Ended),
            Phase::Up => {}
        }
        if self.unacked.as_ref().is_some_and(|u| u.first) {
            self.bye_wanted = Some(headers.to_vec());
            return Ok(());
        }
        if let Some(accepted) = self.owes_answer.take() {
            self.send_ack(now, &accepted, 0, None);
        }
        self.send_bye(now, headers);
        self.end(now);
        self.pump(now);
        Ok(())
    }

    /// Sends BYE in the session's dialog and closes what is open.
    pub(super) fn send_bye(&mut self, now: Instant, headers: Headers<'_>) {
        self.close_offers(now);
        self.send_bye_in(now, 0, headers);
    }

    pub(super) fn send_bye_in(&mut self, now: Instant, index: usize, headers: Headers<'_>) {
        if let Some(id) = self.send_inside(now, index, &Method::Bye, headers, None) {
            self.remember(id, Asked::Nothing);
        }
    }

    /// BYE of the peer, in any state.
    pub(super) fn byed(&mut self, now: Instant, index: usize, ask: Ask) {
        self.reply(now, &ask, 200, &[]);
        let message = ask.message;
        match self.phase {
            Phase::Ended => {}
            // The callee may not end an early dialog so (§15); one that does wants out all the same.
            Phase::Setup if self.is_caller() => self.early_dialog_ended(now, index),
            Phase::Setup => {
                self.send_refusal(now, 487, None, &[]);
                self.tell(Event::Bye { message });
                self.end(now);
            }
            Phase::Up => {
                if let Some(accepted) = self.owes_answer.take() {
                    self.send_ack(now, &accepted, 0, None);
                }
                self.close_offers(now);
                self.tell(Event::Bye { message });
                self.end(now);
            }
        }
    }

    /// The peer does not know the dialog any more, or is not there.
    pub(super) fn lost(&mut self, now: Instant, status: u16) {
        self.send_bye(now, &[]);
        self.tell(Event::Lost { status });
        self.end(now);
    }
}
