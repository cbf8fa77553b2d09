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

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::kind::Kind;
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
/// How often the log speaks of late ones.
const SILENCE: Duration = Duration::from_secs(1);

/// What one socket's task has in hand.
pub(super) struct Intake {
    net: Arc<Inner>,
    now: Instant,
    calls: Waiting,
    others: Waiting,
    left: Left,
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
}

impl Intake {
    pub fn new(net: Arc<Inner>) -> Self {
        let now = Instant::now();
        let left = Left { read: 0, inside: 0, calls: 0, others: 0, late: 0 };
        let (calls, others) = (Waiting::new(now), Waiting::new(now));
        Self { net, now, calls, others, left, late: (0, 0), spoke: None }
    }

    /// A turn begins.
    pub fn begin(&mut self) {
        self.now = Instant::now();
        let behind = !self.calls.is_empty() || self.net.conf.window.at_door() > 0;
        let others = if behind { OTHERS.1 } else { OTHERS.0 };
        self.left = Left { read: READ, inside: INSIDE, calls: CALLS, others, late: LATE };
    }

    /// Whether the socket may be read once more in this turn.
    pub fn may_read(&mut self) -> bool {
        let more = self.left.read > 0 && self.left.inside > 0;
        self.left.read = self.left.read.saturating_sub(1);
        more
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
    pub async fn rest(&self, ready: impl Future<Output = io::Result<()>>) -> io::Result<()> {
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
        self.left.calls -= usize::from(may);
        may
    }

    fn other_may_begin(&mut self) -> bool {
        let may = self.left.others > 0;
        self.left.others -= usize::from(may);
        may
    }

    fn count(&mut self, kind: Kind) {
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
