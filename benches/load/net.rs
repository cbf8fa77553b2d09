//! One UDP socket with batched reception and sending, an exact count of what it lost, and loss on purpose.
//!
//! A [`Receiver`] is filled by one `recvmmsg`, its datagrams are then looked at one by one; a [`Sender`] collects what is
//! written to it and hands it to the kernel by one `sendmmsg`. Nothing here knows SIP.

use crate::text::Text;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io;
use std::mem::zeroed;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::rc::Rc;

/// Datagrams in one system call.
pub const BATCH: usize = 64;
/// The longest datagram that is received or sent whole.
const LONGEST: usize = 4096;
/// What is asked of the kernel for each socket; it gives what `net.core.rmem_max` allows.
const BUFFER: usize = 8 << 20;

/// A share of datagrams to lose on purpose.
#[derive(Clone, Copy, Default)]
pub struct Loss {
    threshold: u32,
    state: u32,
}

impl Loss {
    /// Loses `share` (0–1) of what passes; `seed` makes two sockets differ.
    pub fn new(share: f64, seed: u32) -> Self {
        Self { threshold: (share.clamp(0.0, 1.0) * f64::from(u32::MAX)) as u32, state: seed | 1 }
    }

    fn strikes(&mut self) -> bool {
        if self.threshold == 0 {
            return false;
        }
        self.state ^= self.state << 13;
        self.state ^= self.state >> 17;
        self.state ^= self.state << 5;
        self.state < self.threshold
    }
}

/// Binds a UDP socket and splits it into its two directions.
pub fn open(local: SocketAddr, loss: Loss) -> io::Result<(Receiver, Sender, SocketAddr)> {
    let socket = Socket::new(Domain::for_address(local), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    // The kernel shortens what it does not allow; a failure leaves its default.
    let _ = socket.set_recv_buffer_size(BUFFER);
    let _ = socket.set_send_buffer_size(BUFFER);
    socket
        .bind(&local.into())
        .map_err(|e| io::Error::new(e.kind(), format!("cannot bind {local} (UDP): {e}")))?;
    let bound =
        socket.local_addr()?.as_socket().ok_or_else(|| io::Error::other("the socket has no IP address"))?;
    let fd = Rc::new(OwnedFd::from(socket));
    Ok((Receiver::new(Rc::clone(&fd), loss), Sender::new(fd, loss), bound))
}

/// Whether something listens at `server`: the ICMP answer to an empty datagram is the only thing that says no.
pub fn probe(server: SocketAddr) -> io::Result<()> {
    let any: SocketAddr =
        if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }.parse().map_err(io::Error::other)?;
    let socket = std::net::UdpSocket::bind(any)?;
    socket.connect(server)?;
    for _ in 0..2 {
        socket.send(b"\r\n\r\n")?;
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    match socket.take_error()? {
        Some(e) => Err(e),
        None => Ok(()),
    }
}

/// The address this machine uses towards `server`.
pub fn source_towards(server: SocketAddr) -> io::Result<SocketAddr> {
    let any: SocketAddr =
        if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }.parse().map_err(io::Error::other)?;
    let socket = std::net::UdpSocket::bind(any)?;
    socket.connect(server)?;
    socket.local_addr()
}

/// The receiving half.
pub struct Receiver {
    fd: Rc<OwnedFd>,
    bytes: Vec<u8>,
    _parts: Vec<libc::iovec>,
    names: Vec<libc::sockaddr_storage>,
    heads: Vec<libc::mmsghdr>,
    loss: Loss,
    filled: usize,
    /// Datagrams received, those lost on purpose included.
    pub datagrams: u64,
}

impl Receiver {
    fn new(fd: Rc<OwnedFd>, loss: Loss) -> Self {
        let mut bytes = vec![0u8; BATCH * LONGEST];
        // SAFETY: all-zero is a valid value of these plain C structures.
        let mut names: Vec<libc::sockaddr_storage> = vec![unsafe { zeroed() }; BATCH];
        let mut parts: Vec<libc::iovec> = bytes
            .chunks_mut(LONGEST)
            .map(|chunk| libc::iovec { iov_base: chunk.as_mut_ptr().cast(), iov_len: LONGEST })
            .collect();
        let heads = parts
            .iter_mut()
            .zip(&mut names)
            .map(|(part, name)| {
                // SAFETY: as above.
                let mut head: libc::mmsghdr = unsafe { zeroed() };
                head.msg_hdr.msg_iov = part;
                head.msg_hdr.msg_iovlen = 1;
                head.msg_hdr.msg_name = std::ptr::from_mut(name).cast();
                head
            })
            .collect();
        Self { fd, bytes, _parts: parts, names, heads, loss, filled: 0, datagrams: 0 }
    }

    /// Receives what waits, at most [`BATCH`] datagrams, and says how many.
    pub fn fill(&mut self) -> usize {
        for head in &mut self.heads {
            head.msg_hdr.msg_namelen = size_of::<libc::sockaddr_storage>() as u32;
        }
        // SAFETY: `heads` points into `bytes`, `names` and `_parts`, which live as long and are never resized.
        let got = unsafe {
            libc::recvmmsg(
                self.fd.as_raw_fd(),
                self.heads.as_mut_ptr(),
                BATCH as u32,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        self.filled = usize::try_from(got).unwrap_or(0);
        self.datagrams += self.filled as u64;
        self.filled
    }

    /// Datagram `i` of the last [`fill`](Self::fill), unless it is to be lost.
    pub fn datagram(&mut self, i: usize) -> Option<(&[u8], SocketAddr)> {
        if i >= self.filled || self.loss.strikes() {
            return None;
        }
        let length = (self.heads.get(i)?.msg_len as usize).min(LONGEST);
        let from = address(self.names.get(i)?)?;
        let start = i * LONGEST;
        Some((self.bytes.get(start..start + length)?, from))
    }

    /// Datagrams that the kernel dropped because this socket's buffer was full.
    pub fn overflowed(&self) -> u64 {
        dropped(self.fd.as_raw_fd())
    }
}

/// Datagrams that the kernel dropped at a socket.
pub fn dropped(fd: RawFd) -> u64 {
    const SO_MEMINFO: i32 = 55;
    let mut values = [0u32; 9];
    let mut length = size_of_val(&values) as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes into `values`.
    let result = unsafe {
        libc::getsockopt(fd, libc::SOL_SOCKET, SO_MEMINFO, values.as_mut_ptr().cast(), &mut length)
    };
    if result == 0 { u64::from(values[8]) } else { 0 }
}

fn address(name: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match i32::from(name.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says that it is this structure, and the storage is large enough for it.
            let v4 = unsafe { &*std::ptr::from_ref(name).cast::<libc::sockaddr_in>() };
            Some(SocketAddr::from((
                u32::from_be(v4.sin_addr.s_addr).to_be_bytes(),
                u16::from_be(v4.sin_port),
            )))
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let v6 = unsafe { &*std::ptr::from_ref(name).cast::<libc::sockaddr_in6>() };
            Some(SocketAddr::from((v6.sin6_addr.s6_addr, u16::from_be(v6.sin6_port))))
        }
        _ => None,
    }
}

/// The sending half.
pub struct Sender {
    fd: Rc<OwnedFd>,
    bytes: Vec<u8>,
    parts: Vec<libc::iovec>,
    names: Vec<SockAddr>,
    heads: Vec<libc::mmsghdr>,
    used: usize,
    loss: Loss,
    /// Datagrams handed to the kernel.
    pub datagrams: u64,
    /// Datagrams that the kernel did not take.
    pub refused: u64,
    /// Messages that were longer than a datagram of ours may be.
    pub too_long: u64,
}

impl Sender {
    fn new(fd: Rc<OwnedFd>, loss: Loss) -> Self {
        let mut bytes = vec![0u8; BATCH * LONGEST];
        let parts = bytes
            .chunks_mut(LONGEST)
            .map(|chunk| libc::iovec { iov_base: chunk.as_mut_ptr().cast(), iov_len: 0 })
            .collect();
        let nowhere = SockAddr::from(SocketAddr::from(([0, 0, 0, 0], 0)));
        Self {
            fd,
            bytes,
            parts,
            names: vec![nowhere; BATCH],
            // SAFETY: all-zero is a valid value of this plain C structure.
            heads: vec![unsafe { zeroed() }; BATCH],
            used: 0,
            loss,
            datagrams: 0,
            refused: 0,
            too_long: 0,
        }
    }

    /// Writes one datagram; it leaves with the next [`flush`](Self::flush), or now if the batch is full.
    pub fn put(&mut self, to: SocketAddr, write: impl FnOnce(&mut Text)) {
        let start = self.used * LONGEST;
        let Some(room) = self.bytes.get_mut(start..start + LONGEST) else {
            return;
        };
        let mut text = Text::new(room);
        write(&mut text);
        let Some(length) = text.finish() else {
            self.too_long += 1;
            return;
        };
        if self.loss.strikes() {
            return;
        }
        let i = self.used;
        self.parts[i].iov_len = length;
        self.names[i] = SockAddr::from(to);
        self.used += 1;
        if self.used == BATCH {
            self.flush();
        }
    }

    /// Hands everything written to the kernel.
    pub fn flush(&mut self) {
        if self.used == 0 {
            return;
        }
        for ((head, part), name) in
            self.heads.iter_mut().zip(&mut self.parts).zip(&self.names).take(self.used)
        {
            head.msg_hdr.msg_iov = part;
            head.msg_hdr.msg_iovlen = 1;
            head.msg_hdr.msg_name = name.as_ptr().cast_mut().cast();
            head.msg_hdr.msg_namelen = name.len();
        }
        let mut done = 0;
        let mut tries = 0;
        while done < self.used {
            // SAFETY: the heads point into `parts`, `names` and `bytes`, all alive and in place for this call.
            let sent = unsafe {
                libc::sendmmsg(
                    self.fd.as_raw_fd(),
                    self.heads.as_mut_ptr().add(done),
                    (self.used - done) as u32,
                    libc::MSG_DONTWAIT,
                )
            };
            if sent > 0 {
                done += sent as usize;
                self.datagrams += sent as u64;
                continue;
            }
            let error = io::Error::last_os_error();
            tries += 1;
            if error.kind() == io::ErrorKind::WouldBlock && tries < 1000 {
                std::thread::yield_now();
            } else {
                // One datagram that cannot leave does not hold the others back; the protocol repeats it.
                self.refused += 1;
                done += 1;
            }
        }
        self.used = 0;
    }
}
