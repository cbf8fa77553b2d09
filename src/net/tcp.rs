//! TCP: taking and opening connections, and what happens on one.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::ready;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::{Instant, timeout, timeout_at};

use super::connections::{Connection, Outbox, opened_by_us};
use super::kind::Kind;
use super::report::{Parcel, SendError};
use super::send::via_over_stream;
use super::sockets::{Stream, StreamListener};
use super::start::{Inner, Welcome};
use crate::sip::framer::{Frame, FrameError, Framer};
use crate::sip::{Builder, Flow, Message, Method, Transport};
use crate::transaction::Key;

/// How long a connection that ends has for what still waits in its queue.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// How long a new call, and what is behind it on its connection, may wait for its turn.
const PATIENCE: Duration = Duration::from_millis(50);

/// Takes connections until the network is stopped. A connection over the limits is closed at once.
pub(super) async fn accept(net: Arc<Inner>, listener: Box<dyn StreamListener>) {
    loop {
        let stream = match listener.accept().await {
            Ok(stream) => stream,
            // The peer is gone again, or no descriptors are left: neither is cured by trying harder.
            Err(error) => {
                tracing::warn!(local = %listener.local_addr(), %error, "cannot take a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let flow =
            Flow { transport: Transport::Tcp, local: stream.local, remote: stream.remote, connection: 0 };
        match net.connections.accepted(flow, &net.conf.streams) {
            Ok((connection, outbox)) => {
                let place = Place { net: net.clone(), id: connection.flow.connection, open: true };
                net.spawn(run(place, connection, stream, outbox));
            }
            Err(refusal) => tracing::debug!(remote = %flow.remote, ?refusal, "connection refused"),
        }
    }
}

/// Opens the connection of `flow` and runs it. What waits for it is refused when it cannot be opened.
pub(super) async fn open(net: Arc<Inner>, flow: Flow, mut outbox: Outbox) {
    let mut place = Place { net: net.clone(), id: flow.connection, open: false };
    let from = (!flow.local.ip().is_unspecified()).then_some(flow.local.ip());
    let connecting = timeout(net.conf.streams.connect, net.sockets.connect_tcp(from, flow.remote));
    let error = match connecting.await {
        Ok(Ok(stream)) => {
            place.open = true;
            let Some(flow) = net.connections.opened(flow.connection, stream.local) else { return };
            let Some(connection) = net.connections.of_flow(&flow) else { return };
            return run(place, connection, stream, outbox).await;
        }
        Ok(Err(error)) => SendError::Refused(error.to_string()),
        Err(_) => SendError::ConnectTimeout,
    };
    drop(place);
    for parcel in outbox.close() {
        net.no_stream_for(parcel, flow.remote, error.clone());
    }
}

/// A connection's place in the table; leaving it, in whatever way, tells of the end.
struct Place {
    net: Arc<Inner>,
    id: u64,
    /// Messages may have come over it.
    open: bool,
}

impl Drop for Place {
    fn drop(&mut self) {
        if let (Some(flow), true) = (self.net.connections.remove(self.id), self.open) {
            self.net.closed(flow);
        }
    }
}

async fn run(place: Place, connection: Connection, stream: Stream, mut outbox: Outbox) {
    let Stream { mut reader, mut writer, .. } = stream;
    let flow = connection.flow;
    let why = tokio::select! {
        why = read(&place.net, connection, &mut *reader) => why,
        why = write(&place.net, flow, &mut *writer, &mut outbox) => why,
    };
    tracing::debug!(remote = %flow.remote, why, "connection closed");
    drop(place);
    // A peer that has finished writing may still read: it gets what was on its way to it.
    let until = Instant::now() + LAST_WORDS;
    for parcel in outbox.close() {
        put(flow, &mut *writer, parcel, until).await;
    }
    let _ = timeout_at(until, writer.shutdown()).await;
}

/// Answers a request whose head is whole but whose end cannot be found (RFC 3261 §18.3).
fn refuse(net: &Inner, connection: &Connection, error: &FrameError) {
    let Ok(request) = Message::parse(error.head.clone(), &net.conf.limits) else { return };
    if !request.is_request() || *request.method() == Method::Ack {
        return;
    }
    let reason = match error.status() {
        413 => "Request Entity Too Large",
        513 => "Message Too Large",
        _ => "Bad Request",
    };
    let tag = Key::of_request(&request, connection.flow.remote).tag();
    let response =
        Builder::response(&request, &connection.flow, error.status(), reason).to_tag(&tag).finish();
    let _ = connection.push(Parcel { bytes: response, report: None, for_size: false });
}

/// Reads until the peer ends it, or breaks a rule.
async fn read(
    net: &Inner,
    connection: Connection,
    reader: &mut (dyn AsyncRead + Send + Unpin),
) -> &'static str {
    let limits = &net.conf.streams;
    let flow = connection.flow;
    let mut framer = Framer::new(&net.conf.limits);
    let mut greeted = opened_by_us(flow.connection);
    let mut deadline = Instant::now() + if greeted { limits.idle } else { limits.first_message };
    let mut partial = false;
    let mut patient = true;
    loop {
        match timeout_at(deadline, fill(reader, &mut framer)).await {
            Err(_) if partial => return "a message took too long",
            Err(_) => return "nothing came for too long",
            Ok(Err(_)) => return "reading failed",
            Ok(Ok(0)) => return "closed by the peer",
            Ok(Ok(_)) => {}
        }
        let mut whole = false;
        let mut in_a_row = 0;
        loop {
            match framer.next() {
                Ok(Some(Frame::Message(raw))) => {
                    whole = true;
                    // A stream is slowed down: a request dropped here would not come again.
                    let kind = net.kind(&raw);
                    loop {
                        match net.welcome(kind, Instant::now().into_std(), flow) {
                            Welcome::Yes => break,
                            Welcome::NotNow => tokio::time::sleep(Duration::from_millis(20)).await,
                            Welcome::Never => return "its source is banned",
                        }
                    }
                    // Of its own size, as with datagrams: it may outlive what was read with it.
                    let late = kind == Kind::Call && !has_turn(net, &mut patient).await;
                    net.take(Bytes::copy_from_slice(&raw), flow, late);
                    in_a_row += 1;
                    if in_a_row % 16 == 0 {
                        tokio::task::yield_now().await;
                    }
                }
                Ok(Some(Frame::Ping)) => {
                    whole = true;
                    // RFC 5626 §4.4.1. One that does not read its pongs need not get them all.
                    let bytes = Bytes::from_static(b"\r\n");
                    let _ = connection.push(Parcel { bytes, report: None, for_size: false });
                }
                Ok(Some(Frame::Pong)) => whole = true,
                Ok(None) => break,
                Err(error) => {
                    refuse(net, &connection, &error);
                    return "the stream cannot be read on";
                }
            }
        }
        greeted |= whole;
        let was_partial = partial && !whole;
        partial = framer.pending() > 0;
        if partial && !was_partial {
            deadline = Instant::now() + limits.message;
        } else if !partial && greeted {
            deadline = Instant::now() + limits.idle;
        }
    }
}

/// Waits until a new call may begin; false when that takes too long. After one has waited in vain the next ones do not wait,
/// until one has its turn at once: what is behind them on the connection has waited enough.
async fn has_turn(net: &Inner, patient: &mut bool) -> bool {
    let until = Instant::now() + if *patient { PATIENCE } else { Duration::ZERO };
    *patient = true;
    while !net.conf.window.is_open() {
        if Instant::now() >= until {
            *patient = false;
            return false;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    true
}

/// Reads once into the framer, by way of the stack: a connection that waits holds no buffer.
async fn fill(reader: &mut (dyn AsyncRead + Send + Unpin), framer: &mut Framer) -> io::Result<usize> {
    poll_fn(|cx| {
        let mut buffer = [MaybeUninit::uninit(); 8192];
        let mut buffer = ReadBuf::uninit(&mut buffer);
        ready!(Pin::new(&mut *reader).poll_read(cx, &mut buffer))?;
        framer.push(buffer.filled());
        Ok(buffer.filled().len()).into()
    })
    .await
}

/// Writes what is queued until writing fails.
async fn write(
    net: &Inner,
    flow: Flow,
    writer: &mut (dyn AsyncWrite + Send + Unpin),
    outbox: &mut Outbox,
) -> &'static str {
    while let Some(parcel) = outbox.next().await {
        let until = Instant::now() + net.conf.streams.write;
        if !put(flow, writer, parcel, until).await {
            return "the peer does not read";
        }
    }
    "closed here"
}

/// Writes one message, or reports that it could not be.
async fn put(
    flow: Flow,
    writer: &mut (dyn AsyncWrite + Send + Unpin),
    parcel: Parcel,
    until: Instant,
) -> bool {
    let changed = if parcel.for_size { via_over_stream(&parcel.bytes) } else { parcel.bytes.clone() };
    let written = matches!(timeout_at(until, writer.write_all(&changed)).await, Ok(Ok(())));
    if written {
        parcel.sent_over(flow)
    } else {
        parcel.failed(SendError::Closed)
    }
    written
}
