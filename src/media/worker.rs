//! A media thread: an edge-triggered epoll set, the lines that live here, and an inbox.
//!
//! On the packet path it takes no lock and allocates nothing. A socket is drained until it is empty, but no longer than
//! [`TURN`] packets before the others get theirs, so a flood at one port does not starve the rest.

use std::collections::VecDeque;
use std::io;
use std::net::UdpSocket;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use slab::Slab;

use super::engine::MediaEvent;
use super::inbox::{Inbox, LINGER, Note};
use super::line::{Line, Next};
use super::ports::Ports;
use super::shared::{ByStream, Order};
use super::sys::{Epoll, Events};

/// Packets from one socket before the others have their turn; notes before packets have theirs.
const TURN: usize = 64;
/// Sockets looked at between two readings of the clock.
const BATCH: usize = 64;
/// So many packets per hold-off are many: from then on it pays to let them gather. (At 1 ms: some eighty calls on a core.)
const MANY: u32 = 8;
/// Time between two looks at lines that wait for something.
const TICK: Duration = Duration::from_millis(250);
/// Room for the largest UDP datagram.
const BUFFER: usize = 65_536;
/// Token of the inbox; sockets have twice their line's key, RTCP one more.
const INBOX: u64 = u64::MAX;

pub(super) struct Worker {
    index: usize,
    inboxes: Arc<[Arc<Inbox>]>,
    inbox: Arc<Inbox>,
    ports: Arc<Ports>,
    epoll: Epoll,
    lines: Slab<Box<Line>>,
    keys: ByStream<usize>,
    /// What the owners want, not yet looked at.
    notes: VecDeque<Note>,
    /// Until then the thread looks into its inbox by itself.
    linger: Option<Instant>,
    /// Sockets that were not drained in their turn.
    again: Vec<u64>,
    /// Lines with digits to send.
    digits: Vec<usize>,
    next_tick: Option<Instant>,
    pace: Pace,
    buffer: Box<[u8]>,
}

/// How fast packets come, and whether to let them gather. At a few packets per millisecond each one is sent on at once;
/// when many come, being woken for each would cost more than relaying it.
struct Pace {
    /// How long they may gather; zero: never.
    hold_off: Duration,
    since: Instant,
    packets: u32,
    many: bool,
}

impl Pace {
    fn new(now: Instant, hold_off: Duration) -> Pace {
        Pace { hold_off, since: now, packets: 0, many: false }
    }

    /// One came.
    fn packet(&mut self) {
        self.packets = self.packets.saturating_add(1);
    }

    /// How long to sleep before the next look, after one that began at `looked` and left nothing behind (`drained`).
    fn gather(&mut self, looked: Instant, drained: bool) -> Option<Duration> {
        let passed = looked.saturating_duration_since(self.since);
        if passed >= self.hold_off {
            let holds = passed.as_nanos() / self.hold_off.as_nanos().max(1);
            self.many = u128::from(self.packets) >= u128::from(MANY) * holds;
            (self.since, self.packets) = (looked, 0);
        }
        let busy = self.many && drained && !self.hold_off.is_zero();
        busy.then(|| (looked + self.hold_off).saturating_duration_since(Instant::now()))
    }
}

impl Worker {
    pub(super) fn new(
        index: usize,
        inboxes: Arc<[Arc<Inbox>]>,
        ports: Arc<Ports>,
        hold_off: Duration,
    ) -> io::Result<Worker> {
        let inbox = inboxes.get(index).cloned().ok_or(io::ErrorKind::NotFound)?;
        let epoll = Epoll::new()?;
        epoll.add(&inbox.wake, INBOX)?;
        Ok(Worker {
            index,
            inboxes,
            inbox,
            ports,
            epoll,
            lines: Slab::new(),
            keys: ByStream::default(),
            notes: VecDeque::new(),
            linger: None,
            again: Vec::new(),
            digits: Vec::new(),
            next_tick: None,
            pace: Pace::new(Instant::now(), hold_off),
            buffer: vec![0; BUFFER].into_boxed_slice(),
        })
    }

    /// Runs until the engine stops.
    pub(super) fn run(mut self) {
        let mut events = Events::new(BATCH);
        let mut unfinished = Vec::new();
        let mut now = Instant::now();
        loop {
            if self.inbox.called() {
                if self.inbox.take(&mut self.notes) {
                    return;
                }
                self.linger = Some(now + LINGER);
            }
            self.notes(now);
            let Some(timeout) = self.timeout(now) else { continue };
            if let Err(e) = self.epoll.wait(&mut events, timeout) {
                // Cannot happen with a set of our own; do not spin should it.
                tracing::error!("media thread {}: waiting failed: {e}", self.index);
                std::thread::sleep(Duration::from_millis(10));
            }
            self.inbox.wake_up();
            now = Instant::now();
            std::mem::swap(&mut self.again, &mut unfinished);
            let ready = (0..events.len()).filter_map(|i| events.token(i)).filter(|token| *token != INBOX);
            ready.chain(unfinished.drain(..)).for_each(|token| self.guarded(now, token));
            self.timers(now);
            // A full batch means that others wait already: who rested then would fall behind for good.
            let drained = self.again.is_empty() && events.len() < BATCH;
            if let Some(pause) = self.pace.gather(now, drained) {
                std::thread::sleep(pause);
            }
        }
    }

    /// How long to wait for packets, for ever when nothing else is to be done; `None`: there are notes to look at first.
    fn timeout(&mut self, now: Instant) -> Option<Option<Duration>> {
        if !self.again.is_empty() || !self.notes.is_empty() {
            return Some(Some(Duration::ZERO));
        }
        self.linger = self.linger.filter(|until| *until > now);
        if self.linger.is_none() && !self.inbox.fall_asleep() {
            return None;
        }
        let digits = self.digits.iter().filter_map(|key| self.lines.get(*key)?.digit_due());
        let next = digits.chain(self.next_tick).chain(self.linger).min();
        Some(next.map(|next| next.saturating_duration_since(now)))
    }

    //------------ Packets ---------------------------------------------------

    /// Drains one socket. A panic in there takes one stream out of service, not the thread.
    fn guarded(&mut self, now: Instant, token: u64) {
        if catch_unwind(AssertUnwindSafe(|| self.drain(now, token))).is_err() {
            self.failed(key_of(token));
        }
    }

    fn failed(&mut self, key: usize) {
        if let Some(line) = self.take_out(key) {
            tracing::error!("media stream {}: fault of ours, closed", line.id);
            // The sink may be what failed.
            drop(catch_unwind(AssertUnwindSafe(|| line.tell(MediaEvent::Failed))));
        }
    }

    fn drain(&mut self, now: Instant, token: u64) {
        let (key, report) = (key_of(token), token & 1 == 1);
        let mut errors = 0;
        for _ in 0..TURN {
            let Some(line) = self.lines.get_mut(key) else { return };
            match line.take(report, &mut self.buffer) {
                Ok((n, from)) => {
                    self.pace.packet();
                    let Some(packet) = self.buffer.get_mut(..n) else { continue };
                    let next = if report {
                        line.receive_rtcp(now, from, packet)
                    } else {
                        line.receive(now, from, packet)
                    };
                    if !matches!(next, Next::Done) {
                        self.onward(now, key, n, &next);
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    line.empty(report);
                    return self.settle(now, key);
                }
                // ECONNREFUSED and the like report an earlier packet of ours; what waits behind them is not lost.
                Err(_) if errors < 8 => errors += 1,
                // The others first; it is looked at again.
                Err(_) => break,
            }
        }
        self.again.push(token);
        self.settle(now, key);
    }

    /// After a turn: somebody has to look at the line again later?
    fn settle(&mut self, now: Instant, key: usize) {
        if self.next_tick.is_none() && self.lines.get(key).is_some_and(|l| l.needs_tick()) {
            self.tick_later(now);
        }
    }

    /// Hands what line `key` received (the first `n` bytes of the buffer) to the line it goes to.
    fn onward(&mut self, now: Instant, key: usize, n: usize, next: &Next) {
        let to = match next {
            Next::Relay(relay) | Next::Skip(relay) => relay.to,
            Next::Report(report) => report.to,
            Next::Raw { to, .. } => *to,
            Next::Done => return,
        };
        let Some(from) = self.lines.get_mut(key) else { return };
        let mut target = from.peer;
        if self.lines.get(target).is_none_or(|l| l.id != to) {
            // Just bridged, or the other one moved.
            target = self.keys.get(&to).copied().unwrap_or(usize::MAX);
            if let Some(from) = self.lines.get_mut(key) {
                from.peer = target;
            }
        }
        let Some(packet) = self.buffer.get_mut(..n) else { return };
        match (self.lines.get_mut(target), next) {
            (Some(line), Next::Relay(relay)) => line.relay(now, packet, relay),
            (Some(line), Next::Skip(relay)) => line.skip(relay),
            (Some(line), Next::Report(report)) => line.relay_rtcp(packet, report),
            (Some(line), Next::Raw { rtcp, .. }) => line.relay_raw(now, packet, *rtcp),
            (None, Next::Relay(_) | Next::Raw { .. }) => {
                if let Some(from) = self.lines.get(key) {
                    from.no_peer();
                }
            }
            _ => {}
        }
    }

    //------------ Lines come, change and go ---------------------------------

    /// Works off notes, but not so many that packets wait long.
    fn notes(&mut self, now: Instant) {
        for _ in 0..TURN {
            match self.notes.pop_front() {
                Some(Note::Arrived(line)) => self.arrived(now, line),
                Some(Note::Changed(id)) => {
                    match self.keys.get(&id).copied() {
                        Some(key) => self.changed(now, key),
                        // It moved on and took its wishes along, or it ended at its owner's and may have left a pair.
                        None => self.tick_later(now),
                    }
                }
                None => return,
            }
        }
    }

    fn arrived(&mut self, now: Instant, mut line: Box<Line>) {
        match line.shared.order(self.index) {
            Order::Close => self.retire(now, line),
            Order::Move(home) => self.pass_on(line, home),
            Order::Keep(wishes) => {
                wishes.into_iter().for_each(|wishes| line.apply(now, *wishes));
                if let Some(key) = self.take_in(line) {
                    self.look_after(now, key);
                }
            }
        }
    }

    fn changed(&mut self, now: Instant, key: usize) {
        let Some(line) = self.lines.get_mut(key) else { return };
        match line.shared.order(self.index) {
            Order::Close => {
                if let Some(line) = self.take_out(key) {
                    self.watch_no_more(&line);
                    self.retire(now, line);
                }
            }
            Order::Move(home) => {
                if let Some(line) = self.take_out(key) {
                    self.watch_no_more(&line);
                    self.pass_on(line, home);
                }
            }
            Order::Keep(wishes) => {
                wishes.into_iter().for_each(|wishes| line.apply(now, *wishes));
                self.look_after(now, key);
            }
        }
    }

    fn watch_no_more(&self, line: &Line) {
        let (rtp, rtcp) = line.sockets();
        for socket in [rtp, rtcp] {
            // Fails only for a socket that was never added.
            drop(self.epoll.remove(socket));
        }
    }

    fn retire(&mut self, now: Instant, line: Box<Line>) {
        line.retire(now);
        // Its port pair may be open still, and must not stay so for ever.
        self.tick_later(now);
    }

    fn tick_later(&mut self, now: Instant) {
        self.next_tick.get_or_insert(now + TICK);
    }

    /// A line that should live elsewhere. An engine that stops drops it here.
    fn pass_on(&self, line: Box<Line>, home: usize) {
        if let Some(inbox) = self.inboxes.get(home) {
            drop(inbox.put(Note::Arrived(line)));
        }
    }

    /// Notices what a line wants to be woken for.
    fn look_after(&mut self, now: Instant, key: usize) {
        let due = self.lines.get(key).and_then(|l| l.digit_due());
        if due.is_some() && !self.digits.contains(&key) {
            self.digits.push(key);
        }
        self.settle(now, key);
    }

    fn take_in(&mut self, line: Box<Line>) -> Option<usize> {
        let id = line.id;
        let key = self.lines.insert(line);
        self.keys.insert(id, key);
        let token = token_of(key);
        let line = self.lines.get(key)?;
        let add = |socket: &UdpSocket, token| self.epoll.add(socket, token);
        let (rtp, rtcp) = line.sockets();
        if let Err(e) = add(rtp, token).and_then(|()| add(rtcp, token + 1)) {
            tracing::error!("media stream {id}: cannot watch its sockets: {e}");
            self.failed(key);
            return None;
        }
        Some(key)
    }

    fn take_out(&mut self, key: usize) -> Option<Box<Line>> {
        let line = self.lines.try_remove(key)?;
        self.keys.remove(&line.id);
        self.digits.retain(|k| *k != key);
        Some(line)
    }

    //------------ Time ------------------------------------------------------

    fn timers(&mut self, now: Instant) {
        if self.digits.is_empty() && self.next_tick.is_none() {
            return;
        }
        let mut digits = std::mem::take(&mut self.digits);
        digits.retain(|key| {
            let Some(line) = self.lines.get_mut(*key) else { return false };
            if line.digit_due().is_some_and(|due| due <= now) {
                line.send_digits(now);
            }
            line.digit_due().is_some()
        });
        self.digits = digits;
        if self.next_tick.is_some_and(|t| t <= now) {
            self.tick(now);
        }
    }

    fn tick(&mut self, now: Instant) {
        let (mut failed, mut again) = (Vec::new(), self.ports.tidy(now));
        for (key, line) in &mut self.lines {
            if line.needs_tick() {
                if catch_unwind(AssertUnwindSafe(|| line.tick(now))).is_err() {
                    failed.push(key);
                }
                again |= line.needs_tick();
            }
        }
        self.next_tick = again.then(|| now + TICK);
        failed.into_iter().for_each(|key| self.failed(key));
    }
}

fn token_of(key: usize) -> u64 {
    (key as u64) << 1
}

fn key_of(token: u64) -> usize {
    usize::try_from(token >> 1).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_gather_only_when_many_come_and_none_waits() {
        let (began, hold) = (Instant::now() + Duration::from_secs(60), Duration::from_millis(1));
        let mut pace = Pace::new(began, hold);
        let mut after = |ms: u64, packets: u32, drained: bool| {
            (0..packets).for_each(|_| pace.packet());
            pace.gather(began + Duration::from_millis(ms), drained).is_some()
        };
        assert!(!after(1, MANY - 1, true), "few");
        assert!(after(2, MANY, true), "many");
        assert!(!after(3, 200, false), "a full batch: others wait already, and resting would never catch up");
        assert!(after(4, 200, true), "they were served");
        assert!(!after(14, 8, true), "quiet again");
    }
}
