//! The order in which a UDP socket's datagrams are served.
//!
//! The kernel's buffer knows no order but time: a BYE behind a thousand INVITEs would wait for them. So a socket is
//! emptied at every turn of its task, and what came has its turn by what it is:
//!
//! 1. responses and requests of calls that are, at once;
//! 2. new calls, while the [`Window`](super::Window) is open;
//! 3. everything else (REGISTER, OPTIONS, …), few at a time while calls wait to begin.
//!
//! What has waited too long is handed on as *late*: nothing new is begun for it. As long as the switch keeps up nothing
//! ever waits, and messages are served as they came.
//!
//! Saying no costs something too: beyond a few refusals for each that is begun there would soon be time for nothing else. So
//! while somebody waits, only so many more are read from the socket's door as what is begun has earned. The rest stays in
//! the kernel's buffer, and when that is full it does not come in: it is sent again, and finds another moment.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::kind::Kind;
use super::sockets::Door;
use super::start::{Inner, Welcome};
use super::waiting::{Late, Waiting};
use crate::sip::Flow;

/// Datagrams read in one turn: more than a fast sender puts into the kernel's buffer between two.
const READ: usize = 1024;
/// Messages of calls that are, served in one turn. Each gives its leg's task some work, and those want their turn too.
const INSIDE: usize = 256;
/// New calls begun in one turn.
const CALLS: usize = 32;
/// Other requests served in one turn, while nothing waits to begin and while something does.
const OTHERS: (usize, usize) = (64, 8);
/// Late ones handed on in one turn.
const LATE: usize = 512;
/// New calls that may be read for one that is begun: it, and two that are refused. Beginning a call costs some fifteen
/// refusals, another request some five.
const CALLS_EARNED: usize = 3;
/// The same for other requests.
const OTHERS_EARNED: usize = 2;
/// How much of that may be saved up: a burst is read at once.
const SAVED: usize = 512;
/// How often the log speaks of late ones.
const SILENCE: Duration = Duration::from_secs(1);

/// The doors are closed when nobody has been late for so long …
const CALM: Duration = Duration::from_secs(3);
/// … and then looked at for so long: what was on its way there when they closed.
const LAST_LOOK: Duration = Duration::from_secs(1);

/// Whether new requests come by doors of their own.
#[derive(Clone, Copy)]
enum Doors {
    Closed,
    /// Somebody was late then.
    Open(Instant),
    /// What is left there is read until then.
    Closing(Instant),
}

/// What one socket's task has in hand.
pub(super) struct Intake {
    net: Arc<Inner>,
    doors: Doors,
    now: Instant,
    calls: Waiting,
    others: Waiting,
    left: Left,
    /// New calls that may be read though some wait, and other requests.
    credit: (usize, usize),
    /// Late ones since the log last spoke: calls, others.
    late: (u64, u64),
    spoke: Option<Instant>,
}

/// What may still be done in this turn.
struct Left {
    read: usize,
    inside: usize,
    calls: usize,
    others: usize,
    late: usize,
    /// Somebody was late in it.
    somebody_late: bool,
}

impl Intake {
    pub fn new(net: Arc<Inner>) -> Self {
        let now = Instant::now();
        let left = Left { read: 0, inside: 0, calls: 0, others: 0, late: 0, somebody_late: false };
        let (calls, others) = (Waiting::new(now), Waiting::new(now));
        Self {
            net,
            doors: Doors::Closed,
            now,
            calls,
            others,
            left,
            credit: (SAVED, SAVED),
            late: (0, 0),
            spoke: None,
        }
    }

    /// A turn begins.
    pub fn begin(&mut self) {
        self.now = Instant::now();
        let behind = !self.calls.is_empty() || self.net.conf.window.at_door() > 0;
        let others = if behind { OTHERS.1 } else { OTHERS.0 };
        // One more in every turn, so that nothing stands still when nothing is begun.
        self.earn(1, 1);
        self.left =
            Left { read: READ, inside: INSIDE, calls: CALLS, others, late: LATE, somebody_late: false };
    }

    /// Whether the socket may be read once more in this turn.
    pub fn may_read(&mut self) -> bool {
        let more = self.left.read > 0 && self.left.inside > 0;
        self.left.read = self.left.read.saturating_sub(1);
        more
    }

    /// The same for one of its doors.
    pub fn may_read_new(&mut self, door: Door) -> bool {
        let more = self.admits(door) && self.may_read();
        if more {
            match door {
                Door::Calls => self.credit.0 -= usize::from(!self.calls.is_empty()),
                Door::Others => self.credit.1 -= usize::from(!self.others.is_empty()),
            }
        }
        more
    }

    /// Whether what waits at a door, if anything does, may be read.
    pub fn admits(&self, door: Door) -> bool {
        if let Doors::Closed = self.doors {
            return false;
        }
        match door {
            Door::Calls => self.calls.is_empty() || self.credit.0 > 0,
            Door::Others => self.others.is_empty() || self.credit.1 > 0,
        }
    }

    /// Whether the doors are to be opened or closed. To be asked once in a turn.
    pub fn turns_doors(&mut self) -> Option<bool> {
        let late = self.left.somebody_late;
        let calm = !late && self.calls.is_empty() && self.others.is_empty();
        let (doors, turns) = match self.doors {
            Doors::Closed | Doors::Closing(_) if late => (Doors::Open(self.now), Some(true)),
            Doors::Open(_) if late => (Doors::Open(self.now), None),
            Doors::Open(since) if calm && self.now >= since + CALM => {
                (Doors::Closing(self.now + LAST_LOOK), Some(false))
            }
            Doors::Closing(until) if calm && self.now >= until => (Doors::Closed, None),
            same => (same, None),
        };
        self.doors = doors;
        turns
    }

    /// Whether this turn has done all that it may.
    pub fn is_over(&self) -> bool {
        self.left.read == 0 || self.left.inside == 0
    }

    /// Adds to what may be read.
    fn earn(&mut self, calls: usize, others: usize) {
        self.credit = ((self.credit.0 + calls).min(SAVED), (self.credit.1 + others).min(SAVED));
    }

    /// Serves a datagram, or lets it wait.
    pub fn datagram(&mut self, raw: &[u8], flow: Flow) {
        let kind = self.net.kind(raw);
        if self.net.welcome(kind, self.now.into_std(), flow) != Welcome::Yes {
            return;
        }
        let waits = match kind {
            Kind::Spent => return,
            Kind::Response | Kind::Inside => {
                self.left.inside -= 1;
                false
            }
            Kind::Cancel => !self.calls.is_empty(),
            Kind::Call => !self.calls.is_empty() || !self.call_may_begin(),
            Kind::Outside => !self.others.is_empty() || !self.other_may_begin(),
        };
        let queue = if kind == Kind::Outside { &mut self.others } else { &mut self.calls };
        if !waits {
            self.net.take(Bytes::copy_from_slice(raw), flow, false);
        } else if !queue.push(self.now, raw, flow) {
            self.net.take(Bytes::copy_from_slice(raw), flow, true);
            self.count(kind);
        }
    }

    /// Serves what waits. True when there is more that could be served at once, but it is the others' turn.
    pub fn serve(&mut self) -> bool {
        while self.left.late > 0
            && let Some(late) = self.calls.overdue(self.now).or_else(|| self.others.overdue(self.now))
        {
            self.left.late -= 1;
            self.count(self.net.kind(&late.raw));
            self.net.take(late.raw, late.flow, true);
        }
        while !self.calls.is_empty() && self.call_may_begin() {
            Self::on_time(&self.net, self.calls.next());
        }
        while !self.others.is_empty() && self.other_may_begin() {
            Self::on_time(&self.net, self.others.next());
        }
        self.speak();
        let calls = !self.calls.is_empty() && self.net.conf.window.is_open();
        calls || !self.others.is_empty() || self.left.late == 0
    }

    /// Waits until there may be something to do: the socket has something, calls that wait may begin, or somebody has
    /// waited too long.
    pub async fn rest(
        &self,
        ready: impl Future<Output = io::Result<()>>,
        call: impl Future<Output = io::Result<()>>,
        other: impl Future<Output = io::Result<()>>,
    ) -> io::Result<()> {
        let ready = async {
            tokio::select! {
                ready = ready => ready,
                ready = call, if self.admits(Door::Calls) => ready,
                ready = other, if self.admits(Door::Others) => ready,
            }
        };
        let Some(wake) = self.calls.due().into_iter().chain(self.speaks_at()).min() else {
            return ready.await;
        };
        let half_open = pin!(self.net.conf.window.half_open());
        if !self.calls.is_empty() && self.net.conf.window.is_open() {
            return Ok(()); // it opened before we listened
        }
        tokio::select! {
            ready = ready => ready,
            () = half_open, if !self.calls.is_empty() => Ok(()),
            () = tokio::time::sleep_until(wake) => Ok(()),
        }
    }

    /// When the log wants to speak of late ones, though none comes any more.
    fn speaks_at(&self) -> Option<Instant> {
        self.spoke.filter(|_| self.late != (0, 0)).map(|spoke| spoke + SILENCE)
    }

    fn on_time(net: &Inner, late: Option<Late>) {
        if let Some(Late { raw, flow, .. }) = late {
            net.take(raw, flow, false);
        }
    }

    fn call_may_begin(&mut self) -> bool {
        let may = self.left.calls > 0 && self.net.conf.window.is_open();
        if may {
            self.left.calls -= 1;
            self.earn(CALLS_EARNED, 0);
        }
        may
    }

    fn other_may_begin(&mut self) -> bool {
        let may = self.left.others > 0;
        if may {
            self.left.others -= 1;
            self.earn(0, OTHERS_EARNED);
        }
        may
    }

    fn count(&mut self, kind: Kind) {
        self.left.somebody_late = true;
        match kind {
            Kind::Call => self.late.0 += 1,
            Kind::Outside => self.late.1 += 1,
            _ => {}
        }
    }

    fn speak(&mut self) {
        let due = self.spoke.is_none_or(|spoke| self.now.saturating_duration_since(spoke) >= SILENCE);
        if due && self.late != (0, 0) {
            let (calls, others) = std::mem::take(&mut self.late);
            self.spoke = Some(self.now);
            tracing::warn!(
                "more comes in than this machine can do: {calls} calls and {others} other requests turned away"
            );
        }
    }
}
