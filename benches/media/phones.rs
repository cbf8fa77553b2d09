//! The phones: one thread sends and receives for all of them, one packet per stream every 20 ms, spread evenly. It
//! never sleeps.

use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant, SystemTime};

const FRAME: Duration = Duration::from_millis(20);
const SIZE: usize = 172;

/// Two phones and the two ports of the relay they send to.
pub struct Call {
    pub phones: [UdpSocket; 2],
    pub ports: [SocketAddr; 2],
}

pub fn socket(host: &str) -> UdpSocket {
    let s = UdpSocket::bind((host, 0)).expect("a port");
    s.set_nonblocking(true).expect("not blocking");
    s
}

pub fn phones() -> [UdpSocket; 2] {
    [socket("127.0.0.2"), socket("127.0.0.3")]
}

pub fn at(s: &UdpSocket) -> SocketAddr {
    s.local_addr().expect("bound")
}

/// What a while of talking came to.
pub struct Talk {
    pub sent: u64,
    pub arrived: u64,
    /// How far the phones were behind their plan, at most.
    pub behind: Duration,
    /// Delays from sending to arrival in the kernel of the receiver, of the first call, in order.
    pub delays: Vec<Duration>,
}

impl Talk {
    pub fn delay(&self, part: f64) -> f64 {
        let at = (self.delays.len() as f64 * part) as usize;
        self.delays.get(at).or(self.delays.last()).map_or(f64::NAN, |d| d.as_secs_f64() * 1e6)
    }

    pub fn lost(&self) -> f64 {
        100.0 * (1.0 - self.arrived as f64 / self.sent.max(1) as f64)
    }
}

/// All phones talk for so long.
pub fn talk(calls: &[Call], time: Duration) -> Talk {
    let mut packet = [0u8; SIZE];
    packet[0] = 0x80;
    for call in calls {
        for (phone, port) in call.phones.iter().zip(call.ports) {
            phone.connect(port).expect("connected");
        }
    }
    calls[0].phones.iter().for_each(stamp);
    let (start, legs) = (Instant::now(), calls.len() as u64 * 2);
    let gap = (FRAME / u32::try_from(legs).expect("few calls")).as_nanos();
    let total = u64::try_from(time.as_nanos() / gap).expect("short");
    let mut talk = Talk { sent: 0, arrived: 0, behind: Duration::ZERO, delays: Vec::new() };
    while talk.sent < total {
        let passed = start.elapsed().as_nanos();
        let due = u64::try_from(passed / gap).expect("short").min(total);
        let plan = Duration::from_nanos(u64::try_from(u128::from(talk.sent) * gap).expect("short"));
        talk.behind = talk.behind.max(start.elapsed().saturating_sub(plan));
        // One at a time, so that what a late start makes due is not sent in one burst unseen.
        if talk.sent < due {
            let leg = talk.sent % legs;
            let frame = talk.sent / legs;
            let call = &calls[usize::try_from(leg / 2).expect("small")];
            let phone = &call.phones[usize::try_from(leg % 2).expect("small")];
            packet[2..4].copy_from_slice(&(frame as u16).to_be_bytes());
            packet[4..8].copy_from_slice(&((frame * 160) as u32).to_be_bytes());
            packet[8..12].copy_from_slice(&(leg as u32).to_be_bytes());
            if leg < 2 {
                packet[12..20].copy_from_slice(&clock().to_be_bytes());
            }
            if phone.send(&packet).is_ok() {
                talk.sent += 1;
            }
            talk.hear(phone, leg < 2);
        }
    }
    let mut last = Instant::now();
    while talk.arrived < talk.sent && last.elapsed() < Duration::from_millis(200) {
        let before = talk.arrived;
        for (i, call) in calls.iter().enumerate() {
            call.phones.iter().for_each(|phone| talk.hear(phone, i == 0));
        }
        if talk.arrived > before {
            last = Instant::now();
        }
    }
    talk.delays.sort();
    talk
}

fn clock() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    u64::try_from(now.as_nanos()).expect("before 2554")
}

impl Talk {
    fn hear(&mut self, phone: &UdpSocket, stamped: bool) {
        let mut buf = [0u8; 2048];
        if stamped {
            while let Some(delay) = delayed(phone, &mut buf) {
                self.arrived += 1;
                self.delays.push(delay);
            }
        } else {
            while phone.recv(&mut buf).is_ok() {
                self.arrived += 1;
            }
        }
    }
}

/// Lets the kernel say when a datagram arrived.
fn stamp(socket: &UdpSocket) {
    let on: libc::c_int = 1;
    let size = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: `on` is an int of `size` bytes and outlives the call.
    let done = unsafe {
        let (level, name) = (libc::SOL_SOCKET, libc::SO_TIMESTAMPNS);
        libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const on).cast(), size)
    };
    assert_eq!(done, 0, "time stamps");
}

/// Receives a packet and says how long it was on its way.
fn delayed(socket: &UdpSocket, buf: &mut [u8]) -> Option<Duration> {
    let mut control = [0u64; 8];
    let mut part = libc::iovec { iov_base: buf.as_mut_ptr().cast(), iov_len: buf.len() };
    // SAFETY: a msghdr of zeros is an empty one.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = size_of_val(&control);
    // SAFETY: the message names one buffer and one control buffer, both with their sizes, which outlive the call.
    if unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, 0) } < 20 {
        return None;
    }
    // SAFETY: the kernel has written the message; the first control message, if there is one, lies in `control`.
    let first = unsafe { libc::CMSG_FIRSTHDR(&raw const message) };
    if first.is_null() {
        return Some(Duration::ZERO);
    }
    // SAFETY: SO_TIMESTAMPNS is the only control message asked for, and it is a timespec.
    let at: libc::timespec = unsafe { std::ptr::read_unaligned(libc::CMSG_DATA(first).cast()) };
    let arrived = at.tv_sec as u64 * 1_000_000_000 + at.tv_nsec as u64;
    let sent = u64::from_be_bytes(buf[12..20].try_into().expect("eight bytes"));
    Some(Duration::from_nanos(arrived.saturating_sub(sent)))
}
