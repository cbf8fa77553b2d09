//! One UDP socket: its receive loop, and a bounded queue for when the kernel's buffer is full.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use tokio::sync::Notify;

use super::intake::Intake;
use super::report::{Parcel, Report, SendError};
use super::sockets::{DatagramSocket, Door};
use super::start::Inner;
use crate::sip::{Flow, Transport};

/// Datagrams that may wait for the kernel.
const QUEUE: usize = 4096;
/// Errors in one turn after which the socket gets a rest.
const FAILURES: usize = 64;
/// How long.
const REST: Duration = Duration::from_millis(10);
/// Queued datagrams that are sent before the queue is let go of.
const SENDS: usize = 32;
/// The largest datagram there is.
const LARGEST: usize = 65_535;

pub(super) struct UdpPort {
    pub local: SocketAddr,
    /// None once stopped: the address is free again then, whoever still holds the network.
    socket: ArcSwapOption<Arc<dyn DatagramSocket>>,
    queue: Mutex<VecDeque<(Parcel, SocketAddr)>>,
    /// Something waits, so that others have to queue up behind it. Changed only under the queue's lock.
    busy: AtomicBool,
    queued: Notify,
}

impl UdpPort {
    pub fn new(socket: Arc<dyn DatagramSocket>) -> Self {
        Self {
            local: socket.local_addr(),
            socket: ArcSwapOption::from_pointee(socket),
            queue: Mutex::default(),
            busy: AtomicBool::new(false),
            queued: Notify::new(),
        }
    }

    /// Closes the socket as soon as nobody is just using it.
    pub fn close(&self) {
        self.socket.store(None);
    }

    /// Sends at once, or queues when the kernel cannot take it. `report` is put into a box only then.
    pub fn send(&self, bytes: Bytes, to: SocketAddr, report: impl FnOnce(Report) + Send + 'static) {
        let socket = self.socket.load();
        let Some(socket) = &*socket else {
            return report(Report::Failed(SendError::NoSocket(Transport::Udp)));
        };
        if !self.busy.load(Ordering::Acquire) {
            match socket.try_send_to(&bytes, to) {
                Ok(_) => return,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return report(Report::Failed(io_error(&error))),
            }
        }
        let mut queue = self.lock();
        if queue.len() >= QUEUE {
            drop(queue);
            return report(Report::Failed(SendError::QueueFull));
        }
        queue.push_back((Parcel { bytes, report: Some(Box::new(report)), for_size: false }, to));
        self.busy.store(true, Ordering::Release);
        drop(queue);
        self.queued.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(Parcel, SocketAddr)>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn io_error(error: &io::Error) -> SendError {
    SendError::Io(error.to_string())
}

/// Sends what waits whenever the socket takes more.
pub(super) async fn flush(net: Arc<Inner>, index: usize) {
    let Some(port) = net.udp.get(index) else { return };
    let Some(socket) = port.socket.load_full() else { return };
    loop {
        port.queued.notified().await;
        while !port.lock().is_empty() {
            if poll_fn(|cx| socket.poll_send_ready(cx)).await.is_err() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            let mut failed = Vec::new();
            {
                let mut queue = port.lock();
                // Some at a time: everybody who sends waits for this lock meanwhile.
                for _ in 0..SENDS {
                    let Some((parcel, to)) = queue.front() else { break };
                    match socket.try_send_to(&parcel.bytes, *to) {
                        Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                        sent => {
                            let taken = queue.pop_front();
                            failed.extend(taken.zip(sent.err()));
                        }
                    }
                }
                port.busy.store(!queue.is_empty(), Ordering::Release);
            }
            for ((parcel, _), error) in failed {
                parcel.failed(io_error(&error));
            }
        }
    }
}

/// Receives until the network is stopped. The [`Intake`] says what is served when.
///
/// Each datagram is copied out of the receive buffer into one of its own size (some tens of nanoseconds beside
/// the three microseconds of the system call): a message may live as long as its call, and a slice of a buffer
/// for the largest datagram would keep all 64 KiB of it.
pub(super) async fn receive(net: Arc<Inner>, index: usize) {
    let Some(port) = net.udp.get(index) else { return };
    let Some(socket) = port.socket.load_full() else { return };
    let mut buffer = vec![0; LARGEST];
    let mut intake = Intake::new(net.clone());
    loop {
        intake.begin();
        let read = read(&**socket, port.local, &mut buffer, &mut intake);
        let more = intake.serve();
        if let Some(open) = intake.turns_doors()
            && let Err(error) = socket.open_doors(open)
        {
            tracing::warn!(local = %port.local, open, %error, "new requests cannot be told apart");
        }
        match read {
            Read::Failed => tokio::time::sleep(REST).await,
            Read::Empty if !more => {
                let ready = poll_fn(|cx| socket.poll_recv_ready(cx));
                let at = |door| {
                    let door = socket.door(door);
                    poll_fn(move |cx| door.map_or(Poll::Pending, |door| door.poll_recv_ready(cx)))
                };
                if intake.rest(ready, at(Door::Calls), at(Door::Others)).await.is_err() {
                    tokio::time::sleep(REST).await;
                }
            }
            // The legs have their turn.
            Read::Empty | Read::Enough => tokio::task::yield_now().await,
        }
    }
}

/// How a turn's reading ended.
#[derive(Clone, Copy)]
enum Read {
    /// Nothing is left to be read.
    Empty,
    /// There may be more; it is the others' turn.
    Enough,
    /// Nothing but errors.
    Failed,
}

/// Reads what one turn may read: first what is not new, or all there is when that is not told apart.
fn read(socket: &dyn DatagramSocket, local: SocketAddr, buffer: &mut [u8], intake: &mut Intake) -> Read {
    let mut ended = read_from(socket, local, buffer, intake, Intake::may_read);
    for door in [Door::Calls, Door::Others] {
        let Some(socket) = socket.door(door).filter(|_| intake.admits(door)) else { continue };
        ended = match read_from(socket, local, buffer, intake, |intake| intake.may_read_new(door)) {
            Read::Enough if intake.is_over() => Read::Enough,
            // What is left there on purpose wakes nobody.
            Read::Enough | Read::Empty => ended,
            Read::Failed => Read::Failed,
        };
    }
    ended
}

fn read_from(
    socket: &dyn DatagramSocket,
    local: SocketAddr,
    buffer: &mut [u8],
    intake: &mut Intake,
    may_read: impl Fn(&mut Intake) -> bool,
) -> Read {
    let mut failures = 0;
    while may_read(intake) {
        match socket.try_recv_from(buffer) {
            Ok((length, remote)) => {
                let datagram = buffer.get(..length).unwrap_or(&[]);
                if is_sip(datagram) {
                    // Empty lines before the start line (RFC 3261 §7.5) are not looked at again.
                    let blank = datagram.iter().take_while(|b| matches!(b, b'\r' | b'\n' | 0)).count();
                    let datagram = datagram.get(blank..).unwrap_or(&[]);
                    let flow = Flow { transport: Transport::Udp, local, remote, connection: 0 };
                    intake.datagram(datagram, flow);
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Read::Empty,
            // What an ICMP message about an earlier datagram leaves behind; the socket goes on.
            Err(error) => {
                tracing::debug!(%local, %error, "receiving");
                failures += 1;
                if failures >= FAILURES {
                    return Read::Failed;
                }
            }
        }
    }
    Read::Enough
}

/// Keep-alives (a few CR, LF or NUL bytes, or anything of up to four bytes) and STUN are not for us.
fn is_sip(datagram: &[u8]) -> bool {
    datagram.len() > 4
        && datagram.iter().any(|b| !matches!(b, b'\r' | b'\n' | 0))
        && datagram.first() > Some(&1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keep_alives_are_no_messages() {
        for (datagram, sip) in [
            (&b"\r\n\r\n"[..], false),
            (b"\0", false),
            (b"", false),
            (b"jaK", false),
            (b"\r\n\r\n\r\n\r\n", false),
            (&[0; 20], false),
            (&[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3], false),
            (b"OPTIONS sip:a SIP/2.0\r\n", true),
            (b"\r\n\r\nOPTIONS sip:a SIP/2.0\r\n", true),
        ] {
            assert_eq!(is_sip(datagram), sip, "{datagram:?}");
        }
    }
}
