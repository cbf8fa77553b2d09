//! Three receive queues for one UDP address, told apart by the kernel.
//!
//! A receive buffer that is full drops whatever comes next, a BYE like an INVITE. So new calls have a socket of their own,
//! and so has what else may stand outside dialogs, beside the one for everything else: a flood of new requests fills the buffer
//! of its *door* only, and costs nothing while nobody reads there. All three have the same address (SO_REUSEPORT), and a
//! classic BPF program looks at the first four bytes of a datagram. It is a first rough look; what a message is the
//! [`kind`](super::kind) says.
//!
//! The doors are open only while more comes than can be done: before that everything is served in the order in which it came.
//!
//! CANCEL goes with the INVITE it must not overtake. A re-INVITE cannot be told from an INVITE so cheaply.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;

use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};

/// How methods begin that come by a door, and by which: the place of its socket among those of the address.
const NEW: [(&[u8; 4], u32); 7] =
    [(b"INVI", 1), (b"CANC", 1), (b"REGI", 2), (b"OPTI", 2), (b"SUBS", 2), (b"MESS", 2), (b"PUBL", 2)];

/// Makes the doors of a bound socket, for calls and for others; nothing comes there yet. The socket must not have had
/// SO_REUSEPORT when it was bound, so that an address in use is still found out.
pub(super) fn doors(socket: &Socket, local: SocketAddr) -> io::Result<[Socket; 2]> {
    socket.set_reuse_port(true)?;
    let doors = [door(local)?, door(local)?];
    steer(&SockRef::from(socket), false)?;
    Ok(doors)
}

fn door(local: SocketAddr) -> io::Result<Socket> {
    let door = Socket::new(Domain::for_address(local), Type::DGRAM, Some(Protocol::UDP))?;
    if local.is_ipv6() {
        door.set_only_v6(true)?;
    }
    door.set_nonblocking(true)?;
    door.set_reuse_port(true)?;
    door.bind(&SockAddr::from(local))?;
    Ok(door)
}

/// Gives the kernel the program that says which socket of the address a datagram is for: by what it is when the doors are
/// open, else the first.
pub(super) fn steer(socket: &SockRef<'_>, open: bool) -> io::Result<()> {
    let step = |code: u32, jf: u8, k: u32| libc::sock_filter { code: code as u16, jt: 0, jf, k };
    let answer = |socket| step(libc::BPF_RET | libc::BPF_K, 0, socket);
    let mut steps = vec![step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0)];
    for (word, socket) in NEW.iter().filter(|_| open) {
        // Unless it is this word, over the answer.
        steps.push(step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 1, u32::from_be_bytes(**word)));
        steps.push(answer(*socket));
    }
    steps.push(answer(0));
    let program = libc::sock_fprog { len: steps.len() as u16, filter: steps.as_mut_ptr() };
    // SAFETY: `program` and the steps it points to outlive the call; the kernel copies and checks them.
    let set = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_REUSEPORT_CBPF,
            (&raw const program).cast(),
            size_of::<libc::sock_fprog>() as libc::socklen_t,
        )
    };
    if set == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::super::sockets::{DatagramSocket, Door, Kernel, Sockets};
    use std::io::ErrorKind;
    use std::net::UdpSocket;
    use std::time::Duration;

    async fn read(socket: &dyn DatagramSocket) -> String {
        let mut buffer = [0; 100];
        let read = async {
            loop {
                match socket.try_recv_from(&mut buffer) {
                    Ok((length, _)) => return length,
                    Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
                }
            }
        };
        let length = tokio::time::timeout(Duration::from_secs(5), read).await.unwrap_or(0);
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    const INSIDE: [&str; 6] =
        ["BYE sip:a SIP/2.0", "ACK sip:a SIP/2.0", "SIP/2.0 200 OK", "INFO sip:a", "\r\n", "PRACK "];
    const CALLS: [&str; 2] = ["INVITE sip:a SIP/2.0", "CANCEL sip:a"];
    const OTHERS: [&str; 5] = ["REGISTER sip:a", "OPTIONS sip:a", "MESSAGE sip:a", "SUBSCRIBE ", "PUBLISH "];

    #[tokio::test]
    async fn what_is_new_comes_to_the_doors_while_they_are_open() {
        for at in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(phone) = UdpSocket::bind(at) else { continue };
            let socket = Kernel.bind_udp(at.parse().unwrap()).unwrap();
            let to = socket.local_addr();
            let [calls, others] = [Door::Calls, Door::Others].map(|door| socket.door(door).expect("a door"));
            assert_eq!((calls.local_addr(), others.local_addr()), (to, to));
            for open in [false, true, false] {
                socket.open_doors(open).unwrap();
                let doors = if open { [&*socket, calls, others] } else { [&*socket; 3] };
                for (texts, socket) in [&INSIDE[..], &CALLS, &OTHERS].into_iter().zip(doors) {
                    for text in texts {
                        phone.send_to(text.as_bytes(), to).unwrap();
                        assert_eq!(read(socket).await, *text, "{open}");
                    }
                }
            }
        }
    }

    #[tokio::test]
    async fn an_address_in_use_is_still_found_out() {
        let socket = Kernel.bind_udp("127.0.0.1:0".parse().unwrap()).unwrap();
        let again = [Kernel.bind_udp(socket.local_addr()).err(), UdpSocket::bind(socket.local_addr()).err()];
        assert_eq!(again.map(|error| error.map(|e| e.kind())), [Some(ErrorKind::AddrInUse); 2]);
    }
}
