//! The seam below `Net`: what it needs of an operating system, as traits, and the kernel's version.
//!
//! Tests put a virtual network here (`tests/sim/net.rs`) and run the whole switch on it.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use super::lanes;
use socket2::{Domain, Protocol, SockAddr, Socket, TcpKeepalive, Type};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};

/// A future in a box: connecting, accepting and looking up are rare enough.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What `Net` asks of its surroundings.
pub trait Sockets: Send + Sync + 'static {
    /// Opens a UDP socket at an address; port 0 picks one.
    fn bind_udp(&self, at: SocketAddr) -> io::Result<Arc<dyn DatagramSocket>>;
    /// Listens for TCP connections at an address; port 0 picks one.
    fn bind_tcp(&self, at: SocketAddr) -> io::Result<Box<dyn StreamListener>>;
    /// Opens a TCP connection, from a given local address when there is one.
    fn connect_tcp(&self, from: Option<IpAddr>, to: SocketAddr) -> BoxFuture<'static, io::Result<Stream>>;
    /// The addresses of a host, best first.
    fn look_up(&self, host: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// A UDP socket. Several tasks may use it at once; one of them receives.
pub trait DatagramSocket: Send + Sync + 'static {
    /// Where it is bound.
    fn local_addr(&self) -> SocketAddr;
    /// Sends one datagram now or says `WouldBlock`.
    fn try_send_to(&self, datagram: &[u8], to: SocketAddr) -> io::Result<usize>;
    /// Waits until sending may succeed. One task may wait.
    fn poll_send_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
    /// Receives one datagram now or says `WouldBlock`.
    fn try_recv_from(&self, into: &mut [u8]) -> io::Result<(usize, SocketAddr)>;
    /// Waits until receiving may succeed. One task may wait.
    fn poll_recv_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
    /// Another socket of the same address, where the system puts some of what may begin something new while the doors are
    /// [open](Self::open_doors). Without one that comes here too.
    fn door(&self, _: Door) -> Option<&dyn DatagramSocket> {
        None
    }
    /// From now on that comes by its doors, or no more.
    fn open_doors(&self, _: bool) -> io::Result<()> {
        Ok(())
    }
}

/// What comes in by a socket of its own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Door {
    /// INVITE, and the CANCEL that must not overtake it.
    Calls,
    /// Other requests that may stand outside dialogs.
    Others,
}

/// A listening TCP socket.
pub trait StreamListener: Send + Sync + 'static {
    /// Where it is bound.
    fn local_addr(&self) -> SocketAddr;
    /// The next connection.
    fn accept(&self) -> BoxFuture<'_, io::Result<Stream>>;
}

/// An open byte stream and its two ends.
pub struct Stream {
    /// Reads from the peer.
    pub reader: Box<dyn AsyncRead + Send + Unpin>,
    /// Writes to the peer.
    pub writer: Box<dyn AsyncWrite + Send + Unpin>,
    /// Our end.
    pub local: SocketAddr,
    /// The peer's end.
    pub remote: SocketAddr,
}

/// The operating system's own network.
#[derive(Copy, Clone, Debug, Default)]
pub struct Kernel;

/// Asked of the kernel for each UDP socket; it grants what `net.core.rmem_max` allows. A burst of 5,000 requests
/// of 800 bytes waits in 4 MiB.
const UDP_BUFFER: usize = 4 << 20;
/// The same for a door. When more comes than can be done this is full: who waits in it should have its
/// answer before the half second after which it asks again.
const DOOR_BUFFER: usize = 2 << 20;

impl Sockets for Kernel {
    fn bind_udp(&self, at: SocketAddr) -> io::Result<Arc<dyn DatagramSocket>> {
        let socket = Socket::new(Domain::for_address(at), Type::DGRAM, Some(Protocol::UDP))?;
        only_v6(&socket, at)?;
        let _ = socket.set_recv_buffer_size(UDP_BUFFER);
        let _ = socket.set_send_buffer_size(UDP_BUFFER);
        socket.set_nonblocking(true)?;
        socket.bind(&SockAddr::from(at))?;
        let local = socket.local_addr()?.as_socket().ok_or(io::ErrorKind::InvalidInput)?;
        let doors = doors(&socket, local)
            .inspect_err(|error| tracing::info!(%local, %error, "new requests have no queue of their own"));
        let socket = UdpSocket::from_std(socket.into())?;
        Ok(Arc::new(KernelDatagrams { socket, local, doors: doors.unwrap_or_default() }))
    }

    fn bind_tcp(&self, at: SocketAddr) -> io::Result<Box<dyn StreamListener>> {
        let socket = Socket::new(Domain::for_address(at), Type::STREAM, Some(Protocol::TCP))?;
        only_v6(&socket, at)?;
        socket.set_reuse_address(true)?; // a restart finds the port in TIME_WAIT
        socket.set_nonblocking(true)?;
        socket.bind(&SockAddr::from(at))?;
        socket.listen(1024)?;
        let listener = TcpListener::from_std(socket.into())?;
        let local = listener.local_addr()?;
        Ok(Box::new(KernelListener { listener, local }))
    }

    fn connect_tcp(&self, from: Option<IpAddr>, to: SocketAddr) -> BoxFuture<'static, io::Result<Stream>> {
        Box::pin(async move {
            let socket = if to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
            if let Some(from) = from.filter(|from| from.is_ipv4() == to.is_ipv4() && !from.is_unspecified()) {
                socket.bind(SocketAddr::new(from, 0))?;
            }
            stream(socket.connect(to).await?)
        })
    }

    fn look_up(&self, host: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            let mut found: Vec<IpAddr> = Vec::new();
            for address in tokio::net::lookup_host((host.as_str(), 0)).await? {
                if !found.contains(&address.ip()) {
                    found.push(address.ip());
                }
            }
            Ok(found)
        })
    }
}

fn doors(socket: &Socket, local: SocketAddr) -> io::Result<Vec<KernelDatagrams>> {
    let opened = lanes::doors(socket, local)?.into_iter().map(|door| {
        let _ = door.set_recv_buffer_size(DOOR_BUFFER);
        Ok(KernelDatagrams { socket: UdpSocket::from_std(door.into())?, local, doors: Vec::new() })
    });
    opened.collect()
}

/// IPv4 and IPv6 have sockets of their own, so that an address is never written `::ffff:192.0.2.1`.
fn only_v6(socket: &Socket, at: SocketAddr) -> io::Result<()> {
    if at.is_ipv6() { socket.set_only_v6(true) } else { Ok(()) }
}

fn stream(stream: TcpStream) -> io::Result<Stream> {
    let (local, remote) = (stream.local_addr()?, stream.peer_addr()?);
    stream.set_nodelay(true)?;
    let keepalive =
        TcpKeepalive::new().with_time(Duration::from_secs(60)).with_interval(Duration::from_secs(15));
    let _ = socket2::SockRef::from(&stream).set_tcp_keepalive(&keepalive);
    let (reader, writer) = stream.into_split();
    Ok(Stream { reader: Box::new(reader), writer: Box::new(writer), local, remote })
}

struct KernelDatagrams {
    socket: UdpSocket,
    local: SocketAddr,
    /// None or two.
    doors: Vec<KernelDatagrams>,
}

impl DatagramSocket for KernelDatagrams {
    fn local_addr(&self) -> SocketAddr {
        self.local
    }

    fn try_send_to(&self, datagram: &[u8], to: SocketAddr) -> io::Result<usize> {
        self.socket.try_send_to(datagram, to)
    }

    fn poll_send_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.poll_send_ready(cx)
    }

    fn try_recv_from(&self, into: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.socket.try_recv_from(into)
    }

    fn poll_recv_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.poll_recv_ready(cx)
    }

    fn door(&self, door: Door) -> Option<&dyn DatagramSocket> {
        let door = match door {
            Door::Calls => self.doors.first(),
            Door::Others => self.doors.get(1),
        };
        door.map(|door| door as &dyn DatagramSocket)
    }

    fn open_doors(&self, open: bool) -> io::Result<()> {
        if self.doors.is_empty() { Ok(()) } else { lanes::steer(&(&self.socket).into(), open) }
    }
}

struct KernelListener {
    listener: TcpListener,
    local: SocketAddr,
}

impl StreamListener for KernelListener {
    fn local_addr(&self) -> SocketAddr {
        self.local
    }

    fn accept(&self) -> BoxFuture<'_, io::Result<Stream>> {
        Box::pin(async move { stream(self.listener.accept().await?.0) })
    }
}
