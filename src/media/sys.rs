//! The system calls std does not have: epoll, eventfd, taking a UDP connection back, the descriptor limit.
//! All `unsafe` of the media layer is here, one call per block.

use std::io;
use std::net::UdpSocket;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// An epoll set, edge-triggered for reading.
pub(super) struct Epoll(OwnedFd);

/// The events of one wait.
pub(super) struct Events {
    list: Vec<libc::epoll_event>,
    len: usize,
}

impl Events {
    pub(super) fn new(capacity: usize) -> Events {
        Events { list: vec![libc::epoll_event { events: 0, u64: 0 }; capacity.max(1)], len: 0 }
    }

    /// The token of event `i` of the last wait.
    pub(super) fn token(&self, i: usize) -> Option<u64> {
        self.list.get(..self.len)?.get(i).map(|e| e.u64)
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }
}

impl Epoll {
    pub(super) fn new() -> io::Result<Epoll> {
        // SAFETY: no pointers are passed.
        let fd = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: the descriptor was just made and nobody else owns it.
        Ok(Epoll(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Adds a descriptor; data that waits already makes an event.
    pub(super) fn add(&self, fd: &impl AsRawFd, token: u64) -> io::Result<()> {
        let mut event = libc::epoll_event { events: (libc::EPOLLIN | libc::EPOLLET) as u32, u64: token };
        // SAFETY: `event` outlives the call; the kernel checks both descriptors.
        check(unsafe { libc::epoll_ctl(self.0.as_raw_fd(), libc::EPOLL_CTL_ADD, fd.as_raw_fd(), &mut event) })
            .map(drop)
    }

    /// Takes a descriptor out.
    pub(super) fn remove(&self, fd: &impl AsRawFd) -> io::Result<()> {
        let none = std::ptr::null_mut();
        // SAFETY: EPOLL_CTL_DEL reads no event, so null is allowed (epoll_ctl(2)).
        check(unsafe { libc::epoll_ctl(self.0.as_raw_fd(), libc::EPOLL_CTL_DEL, fd.as_raw_fd(), none) })
            .map(drop)
    }

    /// Waits; a signal counts as nothing happened. Rounds the time up to milliseconds.
    pub(super) fn wait(&self, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
        let ms = timeout.map_or(-1, |t| i32::try_from(t.as_micros().div_ceil(1000)).unwrap_or(i32::MAX));
        let room = i32::try_from(events.list.len()).unwrap_or(i32::MAX);
        // SAFETY: the list has `room` entries for the kernel to write.
        match check(unsafe { libc::epoll_wait(self.0.as_raw_fd(), events.list.as_mut_ptr(), room, ms) }) {
            Ok(n) => events.len = usize::try_from(n).unwrap_or(0),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => events.len = 0,
            Err(e) => {
                events.len = 0;
                return Err(e);
            }
        }
        Ok(())
    }
}

/// Wakes a thread out of its epoll wait. Every ring is an edge, so nobody has to read the count.
pub(super) struct Wake(OwnedFd);

impl Wake {
    pub(super) fn new() -> io::Result<Wake> {
        // SAFETY: no pointers are passed.
        let fd = check(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })?;
        // SAFETY: the descriptor was just made and nobody else owns it.
        Ok(Wake(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    pub(super) fn ring(&self) {
        let one = 1u64;
        // SAFETY: eight bytes are read from `one`. The only error, EAGAIN at 2^64-2, still leaves the eventfd readable.
        unsafe { libc::write(self.0.as_raw_fd(), (&raw const one).cast(), 8) };
    }
}

impl AsRawFd for Wake {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// Datagrams that [`discard`] takes at most; a receive buffer of the usual size holds fewer.
const DISCARDED: u64 = 1024;

/// Throws away what waits in a socket that does not block, and says how many datagrams that was.
pub(super) fn discard(socket: &UdpSocket) -> u64 {
    let mut count = 0;
    for _ in 0..DISCARDED {
        match socket.recv(&mut [0]) {
            Ok(_) => count += 1,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
            // What became of an earlier packet of ours; it is said once.
            Err(_) => {}
        }
    }
    count
}

/// Takes back `connect` on a UDP socket. Its local address and port stay if both were named when it was bound (Linux
/// forgets a port it chose itself).
pub(super) fn disconnect(socket: &UdpSocket) -> io::Result<()> {
    let address = libc::sockaddr { sa_family: libc::AF_UNSPEC as libc::sa_family_t, sa_data: [0; 14] };
    let len = size_of::<libc::sockaddr>() as libc::socklen_t;
    // SAFETY: `address` is a whole sockaddr of `len` bytes and outlives the call.
    check(unsafe { libc::connect(socket.as_raw_fd(), &raw const address, len) }).map(drop)
}

/// The soft and the hard limit of open files.
fn fd_limits() -> io::Result<libc::rlimit> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a rlimit to write to.
    check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) })?;
    Ok(limit)
}

/// How many descriptors may be open.
pub fn fd_limit() -> io::Result<u64> {
    fd_limits().map(|limit| limit.rlim_cur)
}

/// The process, or the system, has no descriptor left.
pub(super) fn is_descriptor_shortage(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

/// Raises the soft limit of open files to the hard limit and returns what it is now. A call with media takes four
/// descriptors, so the limit of a login shell (1024) is soon reached.
pub fn raise_fd_limit() -> io::Result<u64> {
    let mut limit = fd_limits()?;
    if limit.rlim_cur < limit.rlim_max {
        limit.rlim_cur = limit.rlim_max;
        // SAFETY: `limit` is a whole rlimit and outlives the call.
        check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) })?;
    }
    Ok(limit.rlim_cur)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wake_epoll_and_disconnect() {
        let (epoll, wake, mut events) = (Epoll::new().unwrap(), Wake::new().unwrap(), Events::new(4));
        epoll.add(&wake, 7).unwrap();
        wake.ring();
        epoll.wait(&mut events, None).unwrap();
        assert_eq!((events.len(), events.token(0), events.token(1)), (1, Some(7), None));
        epoll.wait(&mut events, Some(Duration::ZERO)).unwrap();
        assert_eq!(events.len(), 0);
        wake.ring();
        epoll.wait(&mut events, None).unwrap();
        assert_eq!(events.token(0), Some(7), "a second ring wakes without the first being read");
        epoll.remove(&wake).unwrap();

        let (a, b, c) = {
            let s = || UdpSocket::bind("127.0.0.1:0").unwrap();
            let named = s().local_addr().unwrap();
            (UdpSocket::bind(named).unwrap(), s(), s())
        };
        let (at, mut buf) = (a.local_addr().unwrap(), [0; 8]);
        a.connect(b.local_addr().unwrap()).unwrap();
        disconnect(&a).unwrap();
        assert_eq!(a.local_addr().unwrap(), at, "stays bound");
        c.send_to(b"x", at).unwrap();
        assert_eq!(a.recv_from(&mut buf).unwrap(), (1, c.local_addr().unwrap()));
    }

    #[test]
    fn the_descriptor_limit_is_the_hard_one() {
        let now = raise_fd_limit().unwrap();
        assert_eq!(raise_fd_limit().unwrap(), now);
    }
}
