//! Many UDP sockets behind one epoll set, each packet received with the time at which the kernel had it.

use std::io;
use std::mem::zeroed;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// Packets taken from one socket at a time.
const BATCH: usize = 32;
/// The longest packet looked at.
const LONGEST: usize = 512;
/// Room for the kernel's time stamp.
const CONTROL: usize = 64;

/// The sockets of both sides: caller's (0) and callee's (1).
pub struct Sockets {
    sides: [Vec<UdpSocket>; 2],
    poll: OwnedFd,
    ready: Vec<libc::epoll_event>,
    bytes: Vec<u8>,
    control: Vec<u64>,
    parts: Vec<libc::iovec>,
    heads: Vec<libc::mmsghdr>,
}

/// Lets this process open as many files as it may.
pub fn allow_files() {
    // SAFETY: both calls only read and write `limit`.
    unsafe {
        let mut limit: libc::rlimit = zeroed();
        if libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
        }
    }
}

/// The time of day in nanoseconds, as the kernel stamps packets.
pub fn time_of_day() -> u64 {
    // SAFETY: the call only writes `now`.
    let now = unsafe {
        let mut now: libc::timespec = zeroed();
        libc::clock_gettime(libc::CLOCK_REALTIME, &mut now);
        now
    };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

fn check(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

impl Sockets {
    /// Opens `count` sockets for each side.
    pub fn open(ip: IpAddr, count: usize) -> io::Result<Self> {
        // SAFETY: a plain system call; the descriptor it gives is nobody else's.
        let poll = unsafe { OwnedFd::from_raw_fd(check(libc::epoll_create1(libc::EPOLL_CLOEXEC))?) };
        let mut sides = [Vec::new(), Vec::new()];
        for (side, sockets) in sides.iter_mut().enumerate() {
            for index in 0..count {
                let socket = UdpSocket::bind(SocketAddr::new(ip, 0))?;
                socket.set_nonblocking(true)?;
                let on: i32 = 1;
                let buffer: i32 = if count < 100 { 8 << 20 } else { 256 << 10 };
                for (option, value) in
                    [(libc::SO_TIMESTAMPNS, &on), (libc::SO_RCVBUF, &buffer), (libc::SO_SNDBUF, &buffer)]
                {
                    // SAFETY: the kernel reads four bytes of an integer that is alive.
                    check(unsafe {
                        libc::setsockopt(
                            socket.as_raw_fd(),
                            libc::SOL_SOCKET,
                            option,
                            std::ptr::from_ref(value).cast(),
                            size_of::<i32>() as u32,
                        )
                    })?;
                }
                let mut event = libc::epoll_event {
                    // Edge-triggered: one recvmmsg that comes back short has drained the socket.
                    events: (libc::EPOLLIN | libc::EPOLLET) as u32,
                    u64: ((side as u64) << 32) | index as u64,
                };
                // SAFETY: both descriptors are open and `event` is alive.
                check(unsafe {
                    libc::epoll_ctl(poll.as_raw_fd(), libc::EPOLL_CTL_ADD, socket.as_raw_fd(), &mut event)
                })?;
                sockets.push(socket);
            }
        }
        let mut bytes = vec![0u8; BATCH * LONGEST];
        let mut control = vec![0u64; BATCH * CONTROL / 8];
        let mut parts: Vec<libc::iovec> = bytes
            .chunks_mut(LONGEST)
            .map(|chunk| libc::iovec { iov_base: chunk.as_mut_ptr().cast(), iov_len: LONGEST })
            .collect();
        let heads = parts
            .iter_mut()
            .zip(control.chunks_mut(CONTROL / 8))
            .map(|(part, control)| {
                // SAFETY: all-zero is a valid value of this plain C structure.
                let mut head: libc::mmsghdr = unsafe { zeroed() };
                head.msg_hdr.msg_iov = part;
                head.msg_hdr.msg_iovlen = 1;
                head.msg_hdr.msg_control = control.as_mut_ptr().cast();
                head.msg_hdr.msg_controllen = CONTROL as _;
                head
            })
            .collect();
        Ok(Self {
            sides,
            poll,
            // SAFETY: as above.
            ready: vec![unsafe { zeroed() }; 256],
            bytes,
            control,
            parts,
            heads,
        })
    }

    /// The ports of one side.
    pub fn ports(&self, side: usize) -> Vec<u16> {
        self.sides[side].iter().filter_map(|socket| Some(socket.local_addr().ok()?.port())).collect()
    }

    /// Sends one packet; false when the kernel did not take it.
    pub fn send(&self, side: usize, index: usize, packet: &[u8], to: SocketAddr) -> bool {
        self.sides[side].get(index).is_some_and(|socket| socket.send_to(packet, to).is_ok())
    }

    /// Takes what waits: side, socket, packet and the time it came. True when there was something.
    pub fn receive(&mut self, mut take: impl FnMut(usize, usize, &[u8], u64)) -> bool {
        debug_assert_eq!(self.parts.len(), BATCH);
        // SAFETY: the kernel writes at most as many events as there is room for.
        let ready = unsafe {
            libc::epoll_wait(self.poll.as_raw_fd(), self.ready.as_mut_ptr(), self.ready.len() as i32, 0)
        };
        for event in self.ready.iter().take(usize::try_from(ready).unwrap_or(0)) {
            let (side, index) = ((event.u64 >> 32) as usize, event.u64 as u32 as usize);
            let Some(socket) = self.sides.get(side).and_then(|side| side.get(index)) else {
                continue;
            };
            loop {
                // SAFETY: the heads point into `bytes`, `control` and `parts`, which are alive and never resized.
                let got = unsafe {
                    libc::recvmmsg(
                        socket.as_raw_fd(),
                        self.heads.as_mut_ptr(),
                        BATCH as u32,
                        libc::MSG_DONTWAIT,
                        std::ptr::null_mut(),
                    )
                };
                let got = usize::try_from(got).unwrap_or(0);
                for (i, head) in self.heads.iter_mut().enumerate().take(got) {
                    let length = (head.msg_len as usize).min(LONGEST);
                    let start = i * LONGEST;
                    let stamp = stamp(&head.msg_hdr).unwrap_or_else(time_of_day);
                    head.msg_hdr.msg_controllen = CONTROL as _;
                    take(side, index, &self.bytes[start..start + length], stamp);
                }
                if got < BATCH {
                    break;
                }
            }
        }
        debug_assert!(!self.control.is_empty());
        ready > 0
    }

    /// Packets that the kernel dropped at these sockets.
    pub fn overflowed(&self) -> u64 {
        self.sides.iter().flatten().map(|socket| crate::net::dropped(socket.as_raw_fd())).sum()
    }
}

/// The kernel's time stamp of a received packet.
fn stamp(head: &libc::msghdr) -> Option<u64> {
    // SAFETY: the kernel has filled the control part of `head`, and the macros stay within its length.
    unsafe {
        let part = libc::CMSG_FIRSTHDR(head);
        if part.is_null()
            || (*part).cmsg_level != libc::SOL_SOCKET
            || (*part).cmsg_type != libc::SCM_TIMESTAMPNS
        {
            return None;
        }
        let time = libc::CMSG_DATA(part).cast::<libc::timespec>().read_unaligned();
        Some(time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
    }
}
