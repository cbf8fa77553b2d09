//! The open connections of a profile, by id and by peer.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use super::report::{Parcel, SendError};
use super::start::StreamLimits;
use crate::sip::{Flow, Transport};

/// Messages that may wait for one connection.
const QUEUE: usize = 256;
/// Bytes that may wait for one connection.
const QUEUE_BYTES: usize = 1 << 20;

/// The way into a connection.
#[derive(Clone)]
pub(super) struct Connection {
    pub flow: Flow,
    queue: mpsc::Sender<Parcel>,
    waiting: Arc<AtomicUsize>,
}

/// The other end of it, for the task that writes.
pub(super) struct Outbox {
    queue: mpsc::Receiver<Parcel>,
    waiting: Arc<AtomicUsize>,
}

impl Connection {
    /// Puts a message into the queue, or gives it back.
    pub fn push(&self, parcel: Parcel) -> Result<(), (Parcel, SendError)> {
        use mpsc::error::TrySendError;
        let size = parcel.bytes.len();
        if self.waiting.load(Ordering::Relaxed) + size > QUEUE_BYTES {
            return Err((parcel, SendError::QueueFull));
        }
        self.waiting.fetch_add(size, Ordering::Relaxed);
        self.queue.try_send(parcel).map_err(|refused| {
            self.waiting.fetch_sub(size, Ordering::Relaxed);
            match refused {
                TrySendError::Full(parcel) => (parcel, SendError::QueueFull),
                TrySendError::Closed(parcel) => (parcel, SendError::Closed),
            }
        })
    }
}

impl Outbox {
    /// The next message; none once the connection was removed from the table.
    pub async fn next(&mut self) -> Option<Parcel> {
        let parcel = self.queue.recv().await?;
        self.waiting.fetch_sub(parcel.bytes.len(), Ordering::Relaxed);
        Some(parcel)
    }

    /// Refuses more and gives back what waits.
    pub fn close(&mut self) -> Vec<Parcel> {
        self.queue.close();
        std::iter::from_fn(|| self.queue.try_recv().ok()).collect()
    }
}

/// Why a connection may not come in.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(super) enum Refusal {
    Total,
    Source,
}

/// Ids of connections we opened are odd, of those opened to us even: a flow we opened can be opened again.
pub(super) fn opened_by_us(connection: u64) -> bool {
    connection % 2 == 1
}

/// The next even number. One row for the whole process: a binding names its connection by it, whichever profile the
/// connection belongs to.
fn serial() -> u64 {
    static SERIAL: AtomicU64 = AtomicU64::new(0);
    SERIAL.fetch_add(2, Ordering::Relaxed) + 2
}

#[derive(Default)]
pub(super) struct Connections(Mutex<Table>);

#[derive(Default)]
struct Table {
    by_id: HashMap<u64, Connection>,
    by_peer: HashMap<(Transport, SocketAddr), u64>,
    accepted: HashMap<IpAddr, usize>,
}

impl Connections {
    /// Enters a connection that a peer opened.
    pub fn accepted(&self, mut flow: Flow, limits: &StreamLimits) -> Result<(Connection, Outbox), Refusal> {
        let mut table = self.lock();
        if table.by_id.len() >= limits.connections {
            return Err(Refusal::Total);
        }
        let of_source = table.accepted.entry(flow.remote.ip()).or_default();
        if *of_source >= limits.connections_per_source {
            return Err(Refusal::Source);
        }
        *of_source += 1;
        flow.connection = serial();
        Ok(table.insert(flow))
    }

    /// The connection to a peer, or a new entry (with its outbox) for one to be opened; none when there are too
    /// many.
    pub fn towards(&self, flow: Flow, limits: &StreamLimits) -> Option<(Connection, Option<Outbox>)> {
        let mut table = self.lock();
        if let Some(open) = table.by_peer(flow.transport, flow.remote) {
            return Some((open, None));
        }
        if table.by_id.len() >= limits.connections {
            return None;
        }
        let connection = serial() + 1;
        let (connection, outbox) = table.insert(Flow { connection, ..flow });
        Some((connection, Some(outbox)))
    }

    /// The connection of a flow, or another one to the same peer.
    pub fn of_flow(&self, flow: &Flow) -> Option<Connection> {
        let table = self.lock();
        table.by_id.get(&flow.connection).cloned().or_else(|| table.by_peer(flow.transport, flow.remote))
    }

    /// Sets the local address once a connection is open.
    pub fn opened(&self, id: u64, local: SocketAddr) -> Option<Flow> {
        let mut table = self.lock();
        let connection = table.by_id.get_mut(&id)?;
        connection.flow.local = local;
        Some(connection.flow)
    }

    /// Takes a connection out. Its outbox ends.
    pub fn remove(&self, id: u64) -> Option<Flow> {
        let mut table = self.lock();
        let flow = table.by_id.remove(&id)?.flow;
        if table.by_peer.get(&(flow.transport, flow.remote)) == Some(&id) {
            table.by_peer.remove(&(flow.transport, flow.remote));
        }
        if !opened_by_us(id)
            && let Some(count) = table.accepted.get_mut(&flow.remote.ip())
        {
            *count -= 1;
            if *count == 0 {
                table.accepted.remove(&flow.remote.ip());
            }
        }
        Some(flow)
    }

    /// How many there are, those being opened included.
    pub fn len(&self) -> usize {
        self.lock().by_id.len()
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn by_peer(&self, transport: Transport, peer: SocketAddr) -> Option<Connection> {
        self.by_peer.get(&(transport, peer)).and_then(|id| self.by_id.get(id)).cloned()
    }

    fn insert(&mut self, flow: Flow) -> (Connection, Outbox) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let waiting = Arc::new(AtomicUsize::new(0));
        let connection = Connection { flow, queue: sender, waiting: waiting.clone() };
        self.by_id.insert(flow.connection, connection.clone());
        self.by_peer.insert((flow.transport, flow.remote), flow.connection);
        (connection, Outbox { queue: receiver, waiting })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_profiles_never_number_a_connection_alike() {
        let flow = Flow {
            transport: Transport::Tcp,
            local: "127.0.0.1:5060".parse().expect("an address"),
            remote: "127.0.0.1:40000".parse().expect("an address"),
            connection: 0,
        };
        let limits = StreamLimits::default();
        let number = |c: &Connections| c.accepted(flow, &limits).map(|(c, _)| c.flow.connection).ok();
        let (one, other) = (Connections::default(), Connections::default());
        assert_ne!(number(&one), number(&other));
    }
}
