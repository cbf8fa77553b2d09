//! Several addresses for one INVITE (RFC 3263 §4.3): the next one is tried when the one before it says nothing, cannot
//! be reached or has no room (503), all within the time one transaction has (Timer B).
//!
//! One that says nothing is left after 8·T1, when it has been asked four times; the last one has what is left. What it
//! may still say after that is dealt with: a ringing one is cancelled, one that answers gets its ACK and a BYE.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;

use super::caller::Cancel;
use super::event::Event;
use super::session::{Asked, Phase, Session, Side};
use super::wait::Wait;
use crate::sip::{Destination, Flow, Limits, Message, cancel_for};
use crate::transaction::ClientId;

/// How many T1 an address may be silent while there are others.
const SILENCE: u32 = 8;

/// The addresses that are not tried yet.
#[derive(Clone, Debug)]
pub(super) struct Hops {
    others: VecDeque<Destination>,
    /// Timer B of the first.
    until: Option<Instant>,
}

impl Hops {
    pub fn new(others: Vec<Destination>) -> Hops {
        Hops { others: others.into(), until: None }
    }
}

/// An INVITE of ours at an address that was left.
#[derive(Debug)]
pub(super) struct Left {
    id: ClientId,
    request: Bytes,
    to: Destination,
    cancelled: bool,
}

impl Session {
    /// The INVITE goes out: how long may its address be silent?
    pub(super) fn watch_hop(&mut self, now: Instant, hops: &mut Hops) {
        let timers = self.wire.own.shared.timers;
        let until = *hops.until.get_or_insert(now + timers.t1x64);
        let silence = if hops.others.is_empty() { until } else { until.min(now + SILENCE * timers.t1) };
        self.waits.set(Wait::NextHop, silence);
    }

    /// Nothing was heard from an address for as long as it had.
    pub(super) fn hop_is_silent(&mut self, now: Instant) {
        if self.phase == Phase::Setup && !self.next_hop(now) {
            let cancelled = matches!(&self.side, Side::Caller(c) if c.cancel != Cancel::No);
            if !cancelled {
                if let Some((id, _)) = self.asked.iter().find(|(_, a)| *a == Asked::Invite) {
                    self.tx.now_reliable(*id); // it is not asked again
                }
                self.invite_failed(now, 408, None);
            }
        }
    }

    /// Tries the next address. False when there is none, or no time, or the INVITE is not wanted any more.
    pub(super) fn next_hop(&mut self, now: Instant) -> bool {
        let Side::Caller(caller) = &mut self.side else { return false };
        if self.phase != Phase::Setup || caller.cancel != Cancel::No {
            return false;
        }
        let Some(hops) = caller.plan.as_mut().and_then(|plan| plan.hops.as_mut()) else { return false };
        if hops.until.is_some_and(|until| until <= now) {
            return false;
        }
        let Some(next) = hops.others.pop_front() else { return false };
        let Some(mut plan) = caller.plan.take() else { return false };
        let tries = caller.tries.saturating_sub(1);
        let mut left = std::mem::take(&mut caller.left);
        let before = std::mem::replace(&mut plan.invite.to_destination, next);
        let failed = before.clone();
        if let (Some((id, what)), Some(request)) =
            (self.asked.iter_mut().find(|(_, a)| *a == Asked::Invite), caller.request.take())
        {
            *what = Asked::Left;
            self.tx.now_reliable(*id); // it is not asked again
            left.push(Left { id: *id, request, to: before, cancelled: false });
        }
        self.peers.clear();
        self.tell(Event::AddressFailed { to: failed });
        self.invite(now, plan, tries);
        if let Side::Caller(caller) = &mut self.side {
            caller.left = left;
        }
        true
    }

    /// An address that was left speaks after all.
    pub(super) fn left_answered(&mut self, now: Instant, id: ClientId, message: &Message, flow: Flow) {
        let Side::Caller(caller) = &mut self.side else { return };
        match message.status().unwrap_or(0) {
            0..200 => {
                let Some(left) = caller.left.iter_mut().find(|l| l.id == id && !l.cancelled) else { return };
                left.cancelled = true;
                let to = match &left.to {
                    Destination::Host { .. } => Destination::Flow(flow),
                    to => to.clone(),
                };
                let read = |bytes| Message::parse(bytes, &Limits::default()).ok();
                let cancel = read(left.request.clone()).and_then(|invite| read(cancel_for(&invite)));
                let reliable = flow.transport.is_reliable();
                if let Some(cancel) = cancel
                    && let Ok(id) = self.tx.request(now, cancel, to, reliable)
                {
                    self.remember(id, Asked::Nothing);
                }
            }
            200..300 => {
                caller.left.retain(|l| l.id != id);
                let cseq = message.cseq().number;
                self.forget(id);
                self.remember(id, Asked::Accepted(cseq));
                self.end_fork(now, message, flow);
            }
            _ => self.left_for_good(id),
        }
    }

    /// Nothing more comes from an address that was left.
    pub(super) fn left_for_good(&mut self, id: ClientId) {
        self.forget(id);
        if let Side::Caller(caller) = &mut self.side {
            caller.left.retain(|l| l.id != id);
        }
    }
}
