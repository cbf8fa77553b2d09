//! Opening the sockets of a profile, and closing them.

use std::fmt;
use std::future::Future;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use super::connections::Connections;
use super::kind::Kind;
use super::resolve::Resolver;
use super::send::NoStream;
use super::sockets::{Sockets, StreamListener};
use super::udp::UdpPort;
use super::{Dns, FloodGuard, Window, tcp, udp};
use crate::sip::{Flow, Limits, Message, ParseError};

/// What comes in from the network.
#[derive(Debug)]
pub enum Incoming {
    /// A message, or something that should have been one: the error says what to answer.
    Message {
        /// The message, or why it is none.
        message: Result<Message, ParseError>,
        /// The datagram or frame itself.
        raw: Bytes,
        /// Where it came from, and the way back.
        flow: Flow,
    },
    /// A request outside dialogs that had to wait too long for its turn: nothing new is to be begun for it.
    Late {
        /// The request.
        message: Message,
        /// The datagram or frame itself.
        raw: Bytes,
        /// Where it came from, and the way back.
        flow: Flow,
    },
    /// A connection is gone; what was bound to it dies with it.
    Closed(Flow),
}

/// The settings of a profile's network.
#[derive(Clone, Debug, Default)]
pub struct NetConf {
    /// Addresses to receive datagrams at. A wildcard address works, but flows then show the wildcard as ours.
    pub udp: Vec<SocketAddr>,
    /// Addresses to take connections at.
    pub tcp: Vec<SocketAddr>,
    /// Bounds of one message.
    pub limits: Limits,
    /// Drops what comes too fast, before it is parsed.
    pub guard: Option<Arc<FloodGuard>>,
    /// Says when a new call may begin.
    pub window: Arc<Window>,
    /// Whether a To tag may be one that is remembered here. An ACK with another one ends a refusal given without
    /// transaction, and is dropped.
    pub ours: Option<fn(&str) -> bool>,
    /// Bounds of streams.
    pub streams: StreamLimits,
    /// What is known of names, shared with other profiles.
    pub dns: Arc<Dns>,
}

/// Bounds of the TCP connections of a profile.
#[derive(Clone, Debug)]
pub struct StreamLimits {
    /// Connections at once.
    pub connections: usize,
    /// Connections at once that one address may have opened to us.
    pub connections_per_source: usize,
    /// A connection that has sent nothing whole must do so within this.
    pub first_message: Duration,
    /// A message that has begun must end within this.
    pub message: Duration,
    /// A connection that sends nothing for this long is closed.
    pub idle: Duration,
    /// A peer that does not take what we write within this has its connection closed.
    pub write: Duration,
    /// A connection we open must be open within this.
    pub connect: Duration,
}

impl Default for StreamLimits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            connections_per_source: 1_000,
            first_message: Duration::from_secs(30),
            message: Duration::from_secs(10),
            idle: Duration::from_secs(7200),
            write: Duration::from_secs(10),
            connect: Duration::from_secs(5),
        }
    }
}

/// A socket could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {at} ({transport}): {source}")]
pub struct StartError {
    /// Where.
    pub at: SocketAddr,
    /// UDP or TCP.
    pub transport: crate::sip::Transport,
    /// Why.
    pub source: io::Error,
}

/// The network of one SIP profile, open until [`stop`](Net::stop). Cheap to clone; see the [module](super).
#[derive(Clone)]
pub struct Net(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub conf: NetConf,
    pub sockets: Arc<dyn Sockets>,
    pub udp: Vec<UdpPort>,
    pub tcp: Vec<SocketAddr>,
    pub connections: Connections,
    pub resolver: Resolver,
    pub no_stream: NoStream,
    deliver: Box<dyn Fn(Incoming) + Send + Sync>,
    runtime: Handle,
    /// None once stopped.
    tasks: Mutex<Option<JoinSet<()>>>,
}

impl Net {
    /// Opens every address of `conf` and begins to receive, calling `deliver` for each message in the task that
    /// read it. `deliver` must not block; a panic in it is logged and costs that message only.
    ///
    /// Must be called inside a tokio runtime. Opens all addresses or none. Where UDP and TCP are both wanted on port
    /// 0 of one address, they get the same port.
    pub fn start(
        conf: NetConf,
        sockets: Arc<dyn Sockets>,
        deliver: impl Fn(Incoming) + Send + Sync + 'static,
    ) -> Result<Net, StartError> {
        let (udp, listeners) = open(&conf, &*sockets)?;
        let inner = Arc::new(Inner {
            conf,
            sockets,
            tcp: listeners.iter().map(|listener| listener.local_addr()).collect(),
            udp,
            connections: Connections::default(),
            resolver: Resolver::default(),
            no_stream: NoStream::default(),
            deliver: Box::new(deliver),
            runtime: Handle::current(),
            tasks: Mutex::new(Some(JoinSet::new())),
        });
        for index in 0..inner.udp.len() {
            inner.spawn(udp::receive(inner.clone(), index));
            inner.spawn(udp::flush(inner.clone(), index));
        }
        for listener in listeners {
            inner.spawn(tcp::accept(inner.clone(), listener));
        }
        Ok(Net(inner))
    }

    /// Closes every socket and connection, and waits until no task of this network is left. What still waits to
    /// be sent is dropped without a report.
    pub async fn stop(&self) {
        let tasks = self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut tasks) = tasks {
            tasks.shutdown().await;
        }
        self.0.udp.iter().for_each(UdpPort::close);
    }

    /// Where datagrams are received, in the order of the settings, with the ports the system chose.
    pub fn udp_addresses(&self) -> Vec<SocketAddr> {
        self.0.udp.iter().map(|port| port.local).collect()
    }

    /// Where connections are taken.
    pub fn tcp_addresses(&self) -> Vec<SocketAddr> {
        self.0.tcp.clone()
    }

    /// How many connections there are.
    pub fn connections(&self) -> usize {
        self.0.connections.len()
    }
}

type Opened = (Vec<UdpPort>, Vec<Box<dyn StreamListener>>);

fn open(conf: &NetConf, sockets: &dyn Sockets) -> Result<Opened, StartError> {
    // A port the system gave for UDP may be taken for TCP; it gives another one then.
    let mut tries = 0;
    loop {
        tries += 1;
        match open_once(conf, sockets) {
            Err(error)
                if tries < 20 && error.source.kind() == ErrorKind::AddrInUse && has_free_choice(conf) => {}
            outcome => return outcome,
        }
    }
}

fn has_free_choice(conf: &NetConf) -> bool {
    conf.udp.iter().any(|at| at.port() == 0 && conf.tcp.contains(at))
}

fn open_once(conf: &NetConf, sockets: &dyn Sockets) -> Result<Opened, StartError> {
    use crate::sip::Transport::{Tcp, Udp};
    let mut udp: Vec<UdpPort> = Vec::new();
    for &at in &conf.udp {
        let socket = sockets.bind_udp(at).map_err(|source| StartError { at, transport: Udp, source })?;
        udp.push(UdpPort::new(socket));
    }
    let mut listeners = Vec::new();
    for &at in &conf.tcp {
        let twin = udp.iter().map(|port| port.local).find(|local| at.port() == 0 && local.ip() == at.ip());
        let at = twin.unwrap_or(at);
        listeners.push(sockets.bind_tcp(at).map_err(|source| StartError { at, transport: Tcp, source })?);
    }
    Ok((udp, listeners))
}

impl fmt::Debug for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Net")
            .field("udp", &self.udp_addresses())
            .field("tcp", &self.0.tcp)
            .finish_non_exhaustive()
    }
}

impl Inner {
    /// Runs a task that [`Net::stop`] ends.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tasks) = tasks.as_mut() {
            while tasks.try_join_next().is_some() {}
            tasks.spawn_on(task, &self.runtime);
        }
    }

    /// What a datagram or frame is.
    pub fn kind(&self, raw: &[u8]) -> Kind {
        Kind::of(raw, self.conf.ours.unwrap_or(|_| true))
    }

    /// What the flood guard says to one datagram or frame, before anything of it is parsed.
    pub fn welcome(&self, kind: Kind, now: std::time::Instant, flow: Flow) -> Welcome {
        let Some(guard) = &self.conf.guard else { return Welcome::Yes };
        let source = flow.remote.ip();
        let welcome = match kind {
            Kind::Response => true,
            Kind::Inside | Kind::Cancel | Kind::Spent => guard.allow_inside(now, source),
            Kind::Call | Kind::Outside => guard.allow(now, source),
        };
        match welcome {
            true => Welcome::Yes,
            false if matches!(kind, Kind::Call | Kind::Outside) && guard.is_banned(now, source) => {
                Welcome::Never
            }
            false => Welcome::NotNow,
        }
    }

    /// Parses and delivers one datagram or frame.
    pub fn take(&self, raw: Bytes, flow: Flow, late: bool) {
        let delivered = catch_unwind(AssertUnwindSafe(|| {
            let message = Message::parse(raw.clone(), &self.conf.limits);
            (self.deliver)(match message {
                Ok(message) if late => Incoming::Late { message, raw, flow },
                message => Incoming::Message { message, raw, flow },
            });
        }));
        if delivered.is_err() {
            tracing::error!(remote = %flow.remote, "a message made the switch panic; it was dropped");
        }
    }

    /// Tells that a connection is gone.
    pub fn closed(&self, flow: Flow) {
        if catch_unwind(AssertUnwindSafe(|| (self.deliver)(Incoming::Closed(flow)))).is_err() {
            tracing::error!(remote = %flow.remote, "a closed connection made the switch panic");
        }
    }
}

/// The flood guard's word.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(super) enum Welcome {
    Yes,
    /// Too much at once.
    NotNow,
    /// The source is banned.
    Never,
}
