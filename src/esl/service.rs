//! The thread that all clients live on, its listening socket, and programs that take calls over.

use super::client::Client;
use super::doors::{Closed, Doors};
use crate::api::{self, Desk};
use crate::channel::{Control, Programs};
use crate::config::event_socket::EventSocketConf;
use crate::event::EventName;
use crate::net::{give_way, hoard_no_more};
use crate::observe::Feed;
use arc_swap::ArcSwap;
use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc, watch};
use tracing::{debug, warn};

/// How many calls may wait to be handed to their programs.
const WAITING: usize = 1024;
/// Clients have their turns in groups, one group a beat, as long as there is something for them; so the thread never works for
/// long at a stretch, and rests from each beat at least as long as it took: whoever shares its core is not kept waiting. The
/// first group has its turn at once when something is told, and what is told meanwhile goes in one piece.
const BEAT: Duration = Duration::from_millis(1);
const GROUP: usize = 16;
/// How many groups there are at the most; with more clients than that they are larger.
const GROUPS: usize = 64;
/// How much the kernel may keep for a client that it has not sent.
const UNSENT: i32 = 128 << 10;
/// How long clients may take to hear the end.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// Why the event socket is not open.
#[derive(Debug, thiserror::Error)]
#[error("the event socket cannot be opened at {at}: {reason}")]
pub struct StartError {
    /// Where.
    pub at: SocketAddr,
    /// Why.
    pub reason: io::Error,
}

/// What all clients share.
pub(super) struct Hall {
    pub desk: Desk,
    /// The switch's own threads, where commands run.
    pub main: Handle,
    pub conf: ArcSwap<EventSocketConf>,
    pub doors: Arc<Doors>,
    /// The log, if there is one.
    pub feed: Option<Feed>,
    /// Rung for a group of clients when there may be new events: each of it has its turn then.
    bells: [watch::Sender<u64>; GROUPS],
    /// Somebody did not get all in its turn and could take more.
    pub more: Notify,
    /// True when everybody has to go.
    pub stop: watch::Sender<bool>,
    /// Seconds between two HEARTBEATs.
    pub beat: AtomicU32,
    jobs: Arc<()>,
}

impl Hall {
    /// The bell of a newcomer's group: the first that has room, else the smallest.
    pub fn bell(&self) -> watch::Receiver<u64> {
        let open = self.bells.iter().find(|bell| bell.receiver_count() < GROUP);
        let smallest = || self.bells.iter().min_by_key(|bell| bell.receiver_count());
        open.or_else(smallest).unwrap_or(&self.bells[0]).subscribe()
    }

    /// How many commands run in the background.
    pub fn jobs(&self) -> usize {
        Arc::strong_count(&self.jobs) - 1
    }

    /// One more; until what it returns is dropped.
    pub fn job(&self) -> Arc<()> {
        self.jobs.clone()
    }
}

/// The event socket of a switch.
pub struct EventSocket {
    hall: Arc<Hall>,
    at: Option<SocketAddr>,
    programs: Arc<Ushers>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// Hands calls to programs.
struct Ushers(mpsc::Sender<(std::net::TcpStream, Control)>);

impl Programs for Ushers {
    fn control(&self, stream: std::net::TcpStream, control: Control) -> bool {
        self.0.try_send((stream, control)).is_ok()
    }
}

impl EventSocket {
    /// Opens it, on a thread of its own; commands run in the runtime this is called in. A socket that cannot be opened is an
    /// error only when the configuration says so; calls are handed to programs without one, too.
    pub fn start(
        conf: EventSocketConf,
        beat: u32,
        desk: Desk,
        feed: Option<Feed>,
    ) -> Result<EventSocket, StartError> {
        let opened = open(conf.listen);
        if let Err(error) = &opened {
            warn!("{error}");
        }
        let listener = match opened {
            Err(error) if conf.stop_on_bind_error => return Err(error),
            opened => opened.ok(),
        };
        let at = listener.as_ref().and_then(|listener| listener.local_addr().ok());
        let hall = Arc::new(Hall {
            desk,
            main: Handle::current(),
            conf: ArcSwap::from_pointee(conf),
            doors: Arc::default(),
            feed,
            bells: std::array::from_fn(|_| watch::Sender::new(0)),
            more: Notify::new(),
            stop: watch::Sender::new(false),
            beat: beat.into(),
            jobs: Arc::default(),
        });
        let (calls, waiting) = mpsc::channel(WAITING);
        let inside = hall.clone();
        let failed = |reason| StartError { at: inside.conf.load().listen, reason };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let inside = hall.clone();
        let thread = std::thread::Builder::new()
            .name("esl".to_owned())
            .spawn(move || {
                if let Err(error) = give_way() {
                    warn!("event socket: its thread has as much weight as the others: {error}");
                }
                runtime.block_on(serve(inside, listener, waiting));
            })
            .map_err(failed)?;
        Ok(EventSocket { hall, at, programs: Arc::new(Ushers(calls)), thread: Mutex::new(Some(thread)) })
    }

    /// Where it listens.
    pub fn address(&self) -> Option<SocketAddr> {
        self.at
    }

    /// Who hands calls to programs.
    pub fn programs(&self) -> Arc<dyn Programs> {
        self.programs.clone()
    }

    /// How many clients are connected.
    pub fn clients(&self) -> usize {
        self.hall.doors.len()
    }

    /// Takes other settings; where it listens stays. True when that should be elsewhere.
    pub fn reload(&self, conf: EventSocketConf, beat: u32) -> bool {
        self.hall.beat.store(beat, Ordering::Relaxed);
        let before = self.hall.conf.swap(Arc::new(conf));
        before.listen != self.hall.conf.load().listen
    }

    /// Tells every client that it is over, and ends the thread.
    pub fn stop(&self) {
        self.hall.stop.send_replace(true);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}

impl Drop for EventSocket {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The listening socket. `::` takes IPv4, too; where there is no IPv6 it is 0.0.0.0.
fn open(at: SocketAddr) -> Result<std::net::TcpListener, StartError> {
    let bind = |at: SocketAddr| -> io::Result<std::net::TcpListener> {
        let socket = Socket::new(Domain::for_address(at), Type::STREAM, Some(Protocol::TCP))?;
        if at.is_ipv6() && at.ip().is_unspecified() {
            socket.set_only_v6(false)?;
        }
        socket.set_reuse_address(true)?;
        socket.bind(&at.into())?;
        socket.listen(512)?;
        socket.set_nonblocking(true)?;
        Ok(socket.into())
    };
    let opened = bind(at).or_else(|error| match at.ip() {
        IpAddr::V6(ip) if ip.is_unspecified() && error.kind() != io::ErrorKind::AddrInUse => {
            bind(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), at.port()))
        }
        _ => Err(error),
    });
    opened.map_err(|reason| StartError { at, reason })
}

/// The thread's work, until it is told to stop.
async fn serve(
    hall: Arc<Hall>,
    listener: Option<std::net::TcpListener>,
    mut waiting: mpsc::Receiver<(std::net::TcpStream, Control)>,
) {
    let listener = listener.and_then(|listener| TcpListener::from_std(listener).ok());
    let herald = tokio::spawn(ring(hall.clone()));
    let heart = tokio::spawn(beat(hall.clone()));
    let mut stop = hall.stop.subscribe();
    loop {
        tokio::select! {
            accepted = accept(&listener) => match accepted {
                Ok((stream, peer)) => admit(&hall, stream, peer),
                Err(error) => {
                    warn!("event socket: {error}");
                    tokio::time::sleep(Duration::from_millis(100)).await; // out of descriptors, most likely
                }
            },
            Some((stream, control)) = waiting.recv() => hand_over(&hall, stream, control),
            _ = stop.wait_for(|stop| *stop) => break,
        }
    }
    let deadline = Instant::now() + LAST_WORDS;
    while hall.doors.len() > 0 && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    herald.abort();
    heart.abort();
}

async fn accept(listener: &Option<TcpListener>) -> io::Result<(TcpStream, SocketAddr)> {
    match listener {
        Some(listener) => listener.accept().await,
        None => std::future::pending().await,
    }
}

/// Lets a peer in, or sends it away.
fn admit(hall: &Arc<Hall>, stream: TcpStream, peer: SocketAddr) {
    let ip = peer.ip().to_canonical();
    let conf = hall.conf.load();
    let acls = hall.desk.exchange.acls.load();
    let admitted = hall
        .doors
        .admits(&conf, &acls, ip)
        .and_then(|()| hall.doors.enter(ip, conf.max_connections as usize, Instant::now()));
    match admitted {
        Ok(place) => {
            prepare(&stream);
            tokio::spawn(Client::stranger(hall.clone(), stream, peer, place).run());
        }
        Err(why) => {
            match why {
                Closed::Full => debug!("event socket: {ip} refused: {why}"),
                _ => warn!("event socket: IP {ip} refused: {why}"),
            }
            tokio::spawn(refuse(stream));
        }
    }
}

/// What somebody hears who is not let in.
async fn refuse(mut stream: TcpStream) {
    const WORDS: &str = "Access Denied, go away.\n";
    let text = format!("Content-Type: text/rude-rejection\nContent-Length: {}\n\n{WORDS}", WORDS.len());
    let said = async {
        let _ = stream.write_all(text.as_bytes()).await;
        let _ = stream.shutdown().await;
    };
    let _ = tokio::time::timeout(Duration::from_secs(1), said).await;
}

/// A call is handed to the program at the other end of its connection.
fn hand_over(hall: &Arc<Hall>, stream: std::net::TcpStream, control: Control) {
    let most = hall.conf.load().max_connections as usize;
    let place = hall.doors.invite(most).ok_or_else(|| io::Error::other(Closed::Full));
    match place.and_then(|place| Ok((place, TcpStream::from_std(stream)?))) {
        Ok((place, stream)) => {
            prepare(&stream);
            tokio::spawn(Client::program(hall.clone(), stream, place, control).run());
        }
        Err(error) => {
            warn!("{}: socket: {error}", control.uuid);
            let_go(control);
        }
    }
}

fn let_go(control: Control) {
    let mailbox = control.mailbox.clone();
    drop(control);
    tokio::spawn(async move { mailbox.ask(|leg| leg.release()).await });
}

fn prepare(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
    let alive = TcpKeepalive::new().with_time(Duration::from_secs(30)).with_interval(Duration::from_secs(30));
    let _ = socket2::SockRef::from(stream).set_tcp_keepalive(&alive);
    let _ = hoard_no_more(stream, UNSENT);
}

/// Wakes the clients when there are events, group by group.
async fn ring(hall: Arc<Hall>) {
    loop {
        tokio::select! {
            () = hall.desk.exchange.events.rung() => {}
            () = hall.more.notified() => {}
        }
        for bell in hall.bells.iter().filter(|bell| bell.receiver_count() > 0) {
            let began = Instant::now();
            bell.send_modify(|rung| *rung = rung.wrapping_add(1));
            // Comes back when all of them have had their turn.
            tokio::task::yield_now().await;
            tokio::time::sleep(began.elapsed().max(BEAT)).await;
        }
    }
}

/// Tells every so often that the switch is alive.
async fn beat(hall: Arc<Hall>) {
    let mut last = Instant::now();
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let exchange = &hall.desk.exchange;
        exchange.events.tidy();
        let pause = Duration::from_secs(hall.beat.load(Ordering::Relaxed).max(1).into());
        if last.elapsed() + Duration::from_millis(500) >= pause {
            last = Instant::now();
            exchange.events.fire(EventName::Heartbeat, || api::heartbeat(exchange));
        }
    }
}

/// One line for the start.
impl std::fmt::Display for EventSocket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.at {
            Some(at) => write!(f, "event socket listens on tcp {at}"),
            None => write!(f, "NOT OPEN: the event socket at {}", self.hall.conf.load().listen),
        }
    }
}
