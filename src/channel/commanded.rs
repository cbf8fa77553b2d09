//! What commands want of a leg's far end: hold and resume, requests inside the call, digits, a transfer by REFER
//! (`uuid_hold`, `uuid_send_info`, `uuid_phone_event`, `uuid_recv_dtmf`, `uuid_deflect`, …).

use super::leg::{Direction, Happening, Leg};
use super::media::Way;
use crate::sdp;
use crate::sip::Method;
use tokio::sync::oneshot;

/// What came of asking a far end to call somebody else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deflected {
    /// It does so; what it tells of its success.
    Taken(String),
    /// It will not, or could not: its status line.
    Refused(String),
}

impl Leg {
    /// True while somebody dials this leg and waits for its answer.
    pub fn is_dialled(&self) -> bool {
        self.direction == Direction::Outbound && self.owner.is_some()
    }

    /// True for a leg that another leg has dialled: FreeSWITCH's leg with an originator caller profile
    /// (`switch_channel_get_originator_caller_profile`). One that a command called (`originate`) is an a-leg.
    pub fn is_b_leg(&self) -> bool {
        self.has_originator
    }

    /// True while the switch holds the far end.
    pub fn holds(&self) -> bool {
        self.pending.holds
    }

    /// True when it has described its media, or its far end has: it can be joined with another leg.
    pub fn can_be_joined(&self) -> bool {
        self.media.view().is_some()
    }

    /// Puts the far end on hold by a re-INVITE (`a=sendonly`), or takes it back. An error says why not.
    pub fn hold(&mut self, on: bool) -> Result<(), String> {
        if self.pending.holds == on {
            return Ok(());
        }
        if self.way() != Way::Relay {
            return Err("its media are not ours".to_owned());
        }
        if self.pending.is_busy() {
            return Err("another offer is not answered yet".to_owned());
        }
        let agreed = self.agreed().clone();
        self.pending.holds = on;
        let rules = sdp::Rules { mirror: false, ..self.rules() };
        let offer = self.media.offer(sdp::Source::Agreed(&agreed), &rules).map_err(|e| e.to_string());
        let sent = offer.and_then(|offer| {
            self.session.offer(Self::now(), Some(offer), &[]).map_err(|error| error.to_string())
        });
        match &sent {
            Ok(()) => self.pending.holding = Some(on),
            Err(_) => {
                self.pending.holds = !on;
                self.media.restore();
            }
        }
        sent
    }

    /// The far end did not take our hold, or its end.
    pub(super) fn hold_refused(&mut self) {
        if let Some(on) = self.pending.holding.take() {
            self.pending.holds = !on;
            self.media.restore();
        }
    }

    /// Sends a request inside the call: INFO, MESSAGE, NOTIFY. An error says why not.
    pub fn send_request(
        &mut self,
        method: Method,
        headers: &[(String, String)],
        body: Option<(&str, String)>,
    ) -> Result<(), String> {
        let body = body.map(|(kind, text)| (kind, text.into()));
        let sent = self.session.request(Self::now(), method, headers, body);
        sent.map(|_| ()).map_err(|error| error.to_string())
    }

    /// A digit as if the far end had pressed it.
    pub fn press(&mut self, digit: char, duration_ms: u32) {
        self.on_digit(digit, duration_ms, "APP");
    }

    /// Breaks off what waits for nothing but time, or (`all`) also what is still to be run in between.
    pub fn break_off(&mut self, all: bool) {
        while all && self.next_execution().is_some() {}
        self.tell(Happening::Break);
    }

    /// Forgets the digits that no application has taken yet.
    pub fn flush_digits(&mut self) {
        let mut kept = Vec::new();
        while let Some(happening) = self.happenings.pop() {
            if !matches!(happening, Happening::Digit { .. }) {
                kept.push(happening);
            }
        }
        kept.into_iter().for_each(|happening| self.happenings.push(happening));
    }

    //------------ REFER ----------------------------------------------------------------------------------------

    /// Asks the far end, which must be answered, to call `uri` instead (RFC 3515); `reply` is told what comes of it.
    pub fn deflect(&mut self, uri: &str, reply: oneshot::Sender<Deflected>) -> Result<(), String> {
        if !self.is_answered() {
            return Err("the channel is not answered".to_owned());
        }
        self.refer(uri).map_err(|error| error.to_string())?;
        self.pending.deflected = Some(reply);
        Ok(())
    }

    /// The far end has said what came of it.
    pub(super) fn deflected(&mut self, status: u16, line: &str) {
        let Some(reply) = self.pending.deflected.take() else { return };
        let line: String = line.chars().filter(|c| !c.is_control()).collect();
        // Nobody listens when the command has given up.
        let _ = reply.send(match status {
            200..300 => Deflected::Taken(line),
            _ => Deflected::Refused(line),
        });
    }
}
