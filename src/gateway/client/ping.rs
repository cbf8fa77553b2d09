//! Pings: OPTIONS that tell whether the far end is there, counted up to `ping-max`, up from `ping-min` on.

use std::time::{Duration, Instant};

use rand::Rng;

use super::{Change, Client, NO_ANSWER, Output};
use crate::gateway::State;
use crate::gateway::hops::{Sent, Task};

impl Client {
    pub(super) fn ping_later(&mut self, now: Instant) {
        let every = self.gateway.conf.ping.as_ref().map(|p| Duration::from_secs(p.every.into()));
        self.ping_due = every.map(|every| now + every);
    }

    pub(super) fn send_options(&mut self, now: Instant, hop: usize, before: Option<&Sent>) {
        let number = self.rng.random();
        let at = self.hops.get(hop).cloned();
        let request = at.and_then(|at| self.writer.options(&self.gateway, &at, number));
        let every = self.gateway.conf.ping.as_ref().map_or(0, |p| p.every);
        let limit = Duration::from_secs(every.into()).min(self.timers.t1x64);
        match self.send(now, request, hop, limit, before) {
            Some(sent) => self.ping = Task::Sent(sent),
            None => self.pinged(now, None),
        }
    }

    /// A ping was answered, or not. 408 and 503 count as no answer, as in FreeSWITCH.
    pub(super) fn pinged(&mut self, now: Instant, status: Option<u16>) {
        let begun = self.ping.sent().map(|sent| {
            self.tx.now_reliable(sent.id);
            sent.at
        });
        self.ping = Task::Idle;
        let Some(ping) = &self.gateway.conf.ping else { return };
        let (least, most) = (ping.min, ping.max);
        let good = status.is_some_and(|s| (200..600).contains(&s) && s != 408 && s != 503);
        let before = self.status.up;
        if good {
            self.status.points = (self.status.points + 1).min(most);
            self.status.ping_ms = begun.map(|at| now.saturating_duration_since(at).as_secs_f64() * 1000.0);
            let up = self.status.up || self.status.points >= least;
            self.set(now, self.status.state, up);
        } else {
            self.status.points = (self.status.points - 1).max(0);
            self.status.ping_ms = None;
            let up = self.status.up && self.status.points >= least;
            self.set(now, self.status.state, up);
        }
        let turned = before != self.status.up;
        self.out.push_back(Output::Changed(Change::Pinged { status, turned }));
        if turned && self.status.state == State::Reged && !self.status.up {
            // Its registrar may have forgotten us.
            self.status.refresh = None;
            return self.failed(now, NO_ANSWER, "it does not answer OPTIONS", None);
        }
        self.ping_later(now);
    }
}
