//! A virtual network: UDP with loss, delay, reordering, duplication and NAT; TCP without. It implements
//! [`tandem::net::Sockets`], so a whole switch runs on it, under tokio's paused clock, from one seed.
//!
//! Use it from another test by `#[path = "sim/net.rs"] mod net;`. Run a test once per seed of [`seeds`]: a failing
//! one prints its seed, and `TANDEM_SEED=n` repeats exactly that one.
#![allow(dead_code)]

use std::collections::{HashMap, HashSet, VecDeque};
use std::future::poll_fn;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tandem::net::{BoxFuture, DatagramSocket, Sockets, Stream, StreamListener};
use tokio::sync::mpsc;

/// What may happen to a datagram. Probabilities are 0.0–1.0.
#[derive(Clone, Debug)]
pub struct Weather {
    /// It does not arrive.
    pub loss: f64,
    /// It arrives twice.
    pub duplicate: f64,
    /// It is held back by up to four times the longest delay more, so that later ones overtake it.
    pub reorder: f64,
    /// One way.
    pub delay: RangeInclusive<Duration>,
}

impl Weather {
    /// Nothing happens; 1 ms one way.
    pub fn fine() -> Self {
        let ms = Duration::from_millis(1);
        Self { loss: 0.0, duplicate: 0.0, reorder: 0.0, delay: ms..=ms }
    }

    /// So much loss, 2 % duplicates, 5 % out of order, 5–40 ms one way.
    pub fn rough(loss: f64) -> Self {
        let delay = Duration::from_millis(5)..=Duration::from_millis(40);
        Self { loss, duplicate: 0.02, reorder: 0.05, delay }
    }
}

/// How a NAT names what is behind it.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Nat {
    /// One outside port per inside socket; lets in whom that socket has sent to.
    Cone,
    /// One outside port per inside socket and target.
    Symmetric,
}

/// What the network has done so far.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq)]
pub struct Tally {
    pub sent: u64,
    pub lost: u64,
    pub duplicated: u64,
    /// To an address where nobody listens, or that a NAT does not let in.
    pub refused: u64,
    pub delivered: u64,
}

/// The network. Clones are the same one.
#[derive(Clone)]
pub struct SimNet(Arc<Mutex<World>>);

struct World {
    seed: u64,
    rng: SmallRng,
    /// Datagrams so far from one address to another.
    carried: HashMap<(SocketAddr, SocketAddr), u64>,
    weather: Weather,
    sockets: HashMap<SocketAddr, Weak<SimSocket>>,
    listeners: HashMap<SocketAddr, mpsc::Sender<Stream>>,
    names: HashMap<String, Vec<IpAddr>>,
    nats: HashMap<IpAddr, NatBox>,
    /// Inside address → outside address.
    behind: HashMap<IpAddr, IpAddr>,
    cut: HashSet<(IpAddr, IpAddr)>,
    next_port: u16,
    tally: Tally,
    /// What no header line of any message may begin with, and the messages in which one did.
    trap: Option<(String, Vec<String>)>,
}

struct NatBox {
    kind: Nat,
    next_port: u16,
    out: HashMap<(SocketAddr, Option<SocketAddr>), u16>,
    back: HashMap<u16, SocketAddr>,
    allowed: HashSet<(u16, SocketAddr)>,
}

impl SimNet {
    /// An empty network in which everything follows from `seed`.
    pub fn new(seed: u64, weather: Weather) -> Self {
        Self(Arc::new(Mutex::new(World {
            seed,
            rng: SmallRng::seed_from_u64(seed),
            carried: HashMap::new(),
            weather,
            sockets: HashMap::new(),
            listeners: HashMap::new(),
            names: HashMap::new(),
            nats: HashMap::new(),
            behind: HashMap::new(),
            cut: HashSet::new(),
            next_port: 32_768,
            tally: Tally::default(),
            trap: None,
        })))
    }

    /// Changes the weather for datagrams sent from now on.
    pub fn set_weather(&self, weather: Weather) {
        self.0.lock().unwrap().weather = weather;
    }

    /// Puts the host `inside` behind a NAT whose address is `outside`. Several hosts may share one.
    pub fn behind_nat(&self, inside: IpAddr, outside: IpAddr, kind: Nat) {
        let mut world = self.0.lock().unwrap();
        world.behind.insert(inside, outside);
        world.nats.entry(outside).or_insert_with(|| NatBox {
            kind,
            next_port: 50_000,
            out: HashMap::new(),
            back: HashMap::new(),
            allowed: HashSet::new(),
        });
    }

    /// The NAT forgets its mappings, as after a restart or a long silence.
    pub fn nat_forgets(&self, outside: IpAddr) {
        if let Some(nat) = self.0.lock().unwrap().nats.get_mut(&outside) {
            nat.out.clear();
            nat.back.clear();
            nat.allowed.clear();
        }
    }

    /// Nothing passes between two hosts any more, either way; or again.
    pub fn cut(&self, a: IpAddr, b: IpAddr, cut: bool) {
        let mut world = self.0.lock().unwrap();
        for pair in [(a, b), (b, a)] {
            if cut {
                world.cut.insert(pair);
            } else {
                world.cut.remove(&pair);
            }
        }
    }

    /// Gives a name its addresses.
    pub fn name(&self, host: &str, addresses: &[IpAddr]) {
        self.0.lock().unwrap().names.insert(host.to_owned(), addresses.to_vec());
    }

    /// From now on every message is looked at: does a header line begin so?
    pub fn lay_trap(&self, line: &str) {
        self.0.lock().unwrap().trap = Some((line.to_owned(), Vec::new()));
    }

    /// The messages in which one did, since this was asked last.
    pub fn trapped(&self) -> Vec<String> {
        self.0.lock().unwrap().trap.as_mut().map(|(_, caught)| std::mem::take(caught)).unwrap_or_default()
    }

    pub fn tally(&self) -> Tally {
        self.0.lock().unwrap().tally
    }

    /// Sockets and listeners that are open: zero at the end of a test.
    pub fn open(&self) -> usize {
        let mut world = self.0.lock().unwrap();
        world.listeners.retain(|_, listener| !listener.is_closed());
        world.sockets.retain(|_, socket| socket.strong_count() > 0);
        world.sockets.len() + world.listeners.len()
    }

    fn carry(&self, datagram: &[u8], from: SocketAddr, to: SocketAddr) {
        let mut world = self.0.lock().unwrap();
        let world = &mut *world;
        world.tally.sent += 1;
        if let Some((line, caught)) = &mut world.trap {
            let text = String::from_utf8_lossy(datagram);
            let head = text.split_once("\r\n\r\n").map_or(&*text, |(head, _)| head);
            if head.split(['\r', '\n']).any(|said| said.starts_with(&**line)) {
                caught.push(text.into_owned());
            }
        }
        let mut fate = world.fate(from, to);
        if world.cut.contains(&(from.ip(), to.ip())) || fate.random_bool(world.weather.loss) {
            world.tally.lost += 1;
            return;
        }
        let Some((from, to)) = world.translate(from, to) else {
            world.tally.refused += 1;
            return;
        };
        let copies = if fate.random_bool(world.weather.duplicate) { 2 } else { 1 };
        world.tally.duplicated += copies - 1;
        for _ in 0..copies {
            let mut delay = fate.random_range(world.weather.delay.clone());
            if fate.random_bool(world.weather.reorder) {
                delay += fate.random_range(Duration::ZERO..=*world.weather.delay.end() * 4);
            }
            let (net, datagram) = (self.clone(), datagram.to_vec());
            tokio::spawn(async move {
                tokio::time::sleep(delay).await;
                net.deliver(datagram, from, to);
            });
        }
    }

    fn deliver(&self, datagram: Vec<u8>, from: SocketAddr, to: SocketAddr) {
        let socket = {
            let mut world = self.0.lock().unwrap();
            let socket = world.sockets.get(&to).and_then(Weak::upgrade);
            match socket {
                Some(_) => world.tally.delivered += 1,
                None => world.tally.refused += 1,
            }
            socket
        };
        if let Some(socket) = socket {
            let mut inbox = socket.inbox.lock().unwrap();
            inbox.datagrams.push_back((datagram, from));
            if let Some(waker) = inbox.waker.take() {
                waker.wake();
            }
        }
    }
}

impl World {
    /// What becomes of the next datagram between two addresses. It depends on none between others, so that what a world
    /// under test does by chances of its own stays where it happens.
    fn fate(&mut self, from: SocketAddr, to: SocketAddr) -> SmallRng {
        let count = self.carried.entry((from, to)).or_default();
        *count += 1;
        let mut hasher = DefaultHasher::new();
        (self.seed, from, to, *count).hash(&mut hasher);
        SmallRng::seed_from_u64(hasher.finish())
    }

    /// Source and target as they are after every NAT on the way; none when one does not let it in.
    fn translate(&mut self, from: SocketAddr, to: SocketAddr) -> Option<(SocketAddr, SocketAddr)> {
        let outside = self.behind.get(&from.ip()).copied();
        let mut source = from;
        if let Some(outside) = outside
            && self.behind.get(&to.ip()) != Some(&outside)
        {
            let nat = self.nats.get_mut(&outside)?;
            let key = (from, (nat.kind == Nat::Symmetric).then_some(to));
            let port = *nat.out.entry(key).or_insert_with(|| {
                nat.next_port += 1;
                nat.back.insert(nat.next_port, from);
                nat.next_port
            });
            nat.allowed.insert((port, to));
            source = SocketAddr::new(outside, port);
        }
        let mut target = to;
        if let Some(nat) = self.nats.get(&to.ip()) {
            target = *nat.back.get(&to.port())?;
            if !nat.allowed.contains(&(to.port(), source)) {
                return None;
            }
        } else if self.behind.get(&to.ip()).is_some_and(|theirs| Some(*theirs) != outside) {
            return None; // a private address means nothing out here
        }
        Some((source, target))
    }

    fn free_port(&mut self, ip: IpAddr) -> SocketAddr {
        loop {
            self.next_port = self.next_port.wrapping_add(1).max(32_768);
            let at = SocketAddr::new(ip, self.next_port);
            if !self.sockets.contains_key(&at) && !self.listeners.contains_key(&at) {
                return at;
            }
        }
    }
}

impl Sockets for SimNet {
    fn bind_udp(&self, at: SocketAddr) -> io::Result<Arc<dyn DatagramSocket>> {
        let mut world = self.0.lock().unwrap();
        let at = if at.port() == 0 { world.free_port(at.ip()) } else { at };
        if world.sockets.get(&at).is_some_and(|socket| socket.strong_count() > 0) {
            return Err(ErrorKind::AddrInUse.into());
        }
        let socket = Arc::new(SimSocket { net: self.clone(), local: at, inbox: Mutex::default() });
        world.sockets.insert(at, Arc::downgrade(&socket));
        Ok(socket)
    }

    fn bind_tcp(&self, at: SocketAddr) -> io::Result<Box<dyn StreamListener>> {
        let mut world = self.0.lock().unwrap();
        let at = if at.port() == 0 { world.free_port(at.ip()) } else { at };
        if world.listeners.get(&at).is_some_and(|listener| !listener.is_closed()) {
            return Err(ErrorKind::AddrInUse.into());
        }
        let (sender, receiver) = mpsc::channel(128);
        world.listeners.insert(at, sender);
        Ok(Box::new(SimListener { local: at, streams: tokio::sync::Mutex::new(receiver) }))
    }

    fn connect_tcp(&self, from: Option<IpAddr>, to: SocketAddr) -> BoxFuture<'static, io::Result<Stream>> {
        let net = self.clone();
        Box::pin(async move {
            let (delay, listener, local, seen_as) = {
                let mut world = net.0.lock().unwrap();
                let world = &mut *world;
                let local = world.free_port(from.unwrap_or(IpAddr::V4([127, 0, 0, 1].into())));
                let seen_as = world.translate(local, to).map_or(local, |(source, _)| source);
                let delay = world.rng.random_range(world.weather.delay.clone()) * 2;
                let cut = world.cut.contains(&(local.ip(), to.ip()));
                (delay, world.listeners.get(&to).filter(|_| !cut).cloned(), local, seen_as)
            };
            tokio::time::sleep(delay).await;
            let listener = listener.ok_or(ErrorKind::ConnectionRefused)?;
            let (ours, theirs) = tokio::io::duplex(64 << 10);
            let stream = |end, local, remote| {
                let (reader, writer) = tokio::io::split(end);
                Stream { reader: Box::new(reader), writer: Box::new(writer), local, remote }
            };
            let taken = listener.send(stream(theirs, to, seen_as)).await;
            taken.map_err(|_| ErrorKind::ConnectionRefused)?;
            Ok(stream(ours, local, to))
        })
    }

    fn look_up(&self, host: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let found = self.0.lock().unwrap().names.get(&host).cloned();
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            found.ok_or_else(|| ErrorKind::NotFound.into())
        })
    }
}

struct SimSocket {
    net: SimNet,
    local: SocketAddr,
    inbox: Mutex<Inbox>,
}

#[derive(Default)]
struct Inbox {
    datagrams: VecDeque<(Vec<u8>, SocketAddr)>,
    waker: Option<Waker>,
}

impl DatagramSocket for SimSocket {
    fn local_addr(&self) -> SocketAddr {
        self.local
    }

    fn try_send_to(&self, datagram: &[u8], to: SocketAddr) -> io::Result<usize> {
        if datagram.len() > 65_507 {
            return Err(io::Error::other("message too long"));
        }
        self.net.carry(datagram, self.local, to);
        Ok(datagram.len())
    }

    fn poll_send_ready(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn try_recv_from(&self, into: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let mut inbox = self.inbox.lock().unwrap();
        let (datagram, from) = inbox.datagrams.pop_front().ok_or(ErrorKind::WouldBlock)?;
        let length = datagram.len().min(into.len());
        into[..length].copy_from_slice(&datagram[..length]);
        Ok((length, from))
    }

    fn poll_recv_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inbox = self.inbox.lock().unwrap();
        if inbox.datagrams.is_empty() {
            inbox.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }
}

struct SimListener {
    local: SocketAddr,
    streams: tokio::sync::Mutex<mpsc::Receiver<Stream>>,
}

impl StreamListener for SimListener {
    fn local_addr(&self) -> SocketAddr {
        self.local
    }

    fn accept(&self) -> BoxFuture<'_, io::Result<Stream>> {
        Box::pin(async move { self.streams.lock().await.recv().await.ok_or(ErrorKind::BrokenPipe.into()) })
    }
}

/// Waits for the next datagram of a socket.
pub async fn receive(socket: &dyn DatagramSocket) -> (Vec<u8>, SocketAddr) {
    let mut buffer = vec![0; 65_535];
    loop {
        match socket.try_recv_from(&mut buffer) {
            Ok((length, from)) => return (buffer[..length].to_vec(), from),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                poll_fn(|cx| socket.poll_recv_ready(cx)).await.unwrap();
            }
            Err(error) => panic!("receiving: {error}"),
        }
    }
}

/// The seeds 0..count, or only `TANDEM_SEED` when that is set.
pub fn seeds(count: u64) -> impl Iterator<Item = u64> {
    let one = std::env::var("TANDEM_SEED").ok().map(|seed| seed.parse().expect("TANDEM_SEED is a number"));
    one.map_or(0..count, |seed| seed..seed + 1)
}

/// Keep it while a seeded test runs: prints the seed when that fails.
pub struct Seeded(pub u64);

impl Drop for Seeded {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("failed with seed {0}; repeat it with TANDEM_SEED={0}", self.0);
        }
    }
}
