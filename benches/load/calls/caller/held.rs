//! Calls of their own beside the load: held to its end, and asked every second whether they live.

use super::{Due, Engine, T1};
use crate::mark::Place;
use crate::wire::Message;

impl Engine<'_> {
    pub(super) fn look_answered(&mut self, message: &Message, code: u16) {
        let now = self.clock.now();
        let mark = self.caller.mark;
        let Some(place) = message.branch().and_then(|branch| mark.read(branch)) else {
            return;
        };
        let Some(call) = self.caller.get(place) else {
            return;
        };
        if let Some((cseq, sent)) = call.asked
            && cseq == message.cseq
        {
            call.asked = None;
            self.out.look.add(now - sent);
            if code < 300 {
                self.out.held[3] += 1;
            } else {
                self.out.fail_held(code);
            }
        }
    }

    /// Asks once a second in a held call whether it still lives; an unanswered question is repeated like any request.
    pub(super) fn look_after(&mut self, place: Place) {
        let now = self.clock.now();
        let Some(call) = self.caller.get(place) else {
            return;
        };
        match call.asked {
            Some((_, since)) if now - since >= 64 * T1 => {
                self.close(place, Some("no answer inside the call for 32 s"));
                return;
            }
            Some((cseq, _)) => {
                self.out.repeated[0] += 1;
                self.send_within(place, "OPTIONS", cseq);
            }
            None => {
                call.cseq += 1;
                call.asked = Some((call.cseq, now));
                let cseq = call.cseq;
                self.out.held[2] += 1;
                self.send_within(place, "OPTIONS", cseq);
            }
        }
        self.arm(place, now + 1_000_000_000, Due::Look);
    }

    /// Sets up the calls that are held beside the load, gently, and waits until they stand.
    pub fn set_up_held(&mut self, receivers: &mut [crate::net::Receiver]) {
        let begin = self.clock.now();
        for i in 0..self.plan.held {
            self.begin_call(true);
            while self.clock.now() < begin + (i + 1) * 10_000_000 {
                self.pass(receivers);
            }
        }
        let last = self.clock.now() + 5_000_000_000;
        while self.out.held[0] < self.caller.held as u64 && self.clock.now() < last {
            self.pass(receivers);
        }
    }

    /// Ends the held calls.
    pub fn end_held(&mut self) {
        self.caller.ending_held = true;
        let places = self.standing(|call| call.held);
        for place in places {
            self.hang_up(place);
        }
        self.flush();
    }
}
