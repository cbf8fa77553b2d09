//! Asking a STUN server how we look from outside (RFC 5389 §7, binding requests only), for `stun-set` and
//! `ext-rtp-ip=stun:host`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout_at};

use super::BoxFuture;

/// Everything together may take this long.
pub const LIMIT: Duration = Duration::from_secs(2);

const PORT: u16 = 3478;
const COOKIE: u32 = 0x2112_A442;
const BINDING_REQUEST: u16 = 0x0001;
const BINDING_SUCCESS: u16 = 0x0101;
const BINDING_ERROR: u16 = 0x0111;
const MAPPED_ADDRESS: u16 = 0x0001;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum StunError {
    /// The server's name has no address.
    #[error("no address for {0}")]
    NoAddress(String),
    /// No valid answer within [`LIMIT`].
    #[error("no answer from {0} within {limit} s", limit = LIMIT.as_secs())]
    NoAnswer(String),
    /// The server said no.
    #[error("{0} refused the binding request")]
    Refused(String),
    /// The local socket failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Asks `server` (`host` or `host:port`, default port 3478; IPv6 in brackets) for the address it sees us at. The
/// request is repeated after 250, 500 and 1000 ms. Takes [`LIMIT`] at most, name look-up included.
pub async fn mapped_address(server: &str) -> Result<SocketAddr, StunError> {
    let until = Instant::now() + LIMIT;
    match timeout_at(until, ask(server)).await {
        Ok(answer) => answer,
        Err(_) => Err(StunError::NoAnswer(server.to_owned())),
    }
}

/// The same as a boxed future, as the configuration loader takes it.
pub fn mapped_address_boxed(server: String) -> BoxFuture<'static, Result<SocketAddr, StunError>> {
    Box::pin(async move { mapped_address(&server).await })
}

async fn ask(server: &str) -> Result<SocketAddr, StunError> {
    let to = match server.parse::<SocketAddr>() {
        Ok(address) => address,
        Err(_) => {
            let (host, port) = split_port(server);
            let found = tokio::net::lookup_host((host, port)).await;
            let mut found: Vec<_> = found.map_err(|_| StunError::NoAddress(server.to_owned()))?.collect();
            found.sort_by_key(SocketAddr::is_ipv6);
            *found.first().ok_or_else(|| StunError::NoAddress(server.to_owned()))?
        }
    };
    let any: IpAddr = if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).await?;
    socket.connect(to).await?;
    let transaction: [u8; 12] = rand::random();
    let request = binding_request(&transaction);
    let mut wait = Duration::from_millis(250);
    let mut buffer = [0_u8; 1500];
    loop {
        let _ = socket.send(&request).await; // a refusal by ICMP may come from an earlier try
        let again = Instant::now() + wait;
        while let Ok(received) = timeout_at(again, socket.recv(&mut buffer)).await {
            let Ok(length) = received else { continue };
            match read_answer(buffer.get(..length).unwrap_or(&[]), &transaction) {
                Answer::Address(address) => return Ok(address),
                Answer::Refused => return Err(StunError::Refused(server.to_owned())),
                Answer::Foreign => {}
            }
        }
        wait *= 2;
    }
}

fn split_port(server: &str) -> (&str, u16) {
    let bare = |host: &'_ str| -> bool { !host.contains(':') || host.ends_with(']') };
    match server.rsplit_once(':') {
        Some((host, port)) if bare(host) => match port.parse() {
            Ok(port) => (host.trim_matches(['[', ']']), port),
            Err(_) => (server, PORT),
        },
        _ => (server.trim_matches(['[', ']']), PORT),
    }
}

fn binding_request(transaction: &[u8; 12]) -> [u8; 20] {
    let mut request = [0; 20];
    let head = [BINDING_REQUEST.to_be_bytes(), [0, 0]].concat();
    for (to, from) in request.iter_mut().zip(head.iter().chain(&COOKIE.to_be_bytes()).chain(transaction)) {
        *to = *from;
    }
    request
}

#[derive(Debug, PartialEq)]
enum Answer {
    Address(SocketAddr),
    Refused,
    /// Not an answer to this request.
    Foreign,
}

fn read_answer(datagram: &[u8], transaction: &[u8; 12]) -> Answer {
    parse(datagram, transaction).unwrap_or(Answer::Foreign)
}

fn parse(datagram: &[u8], transaction: &[u8; 12]) -> Option<Answer> {
    let (kind, rest) = u16_of(datagram)?;
    let (length, rest) = u16_of(rest)?;
    let (cookie, rest) = rest.split_first_chunk::<4>()?;
    let (id, rest) = rest.split_first_chunk::<12>()?;
    if id != transaction || u32::from_be_bytes(*cookie) != COOKIE {
        return None;
    }
    match kind {
        BINDING_SUCCESS => {}
        BINDING_ERROR => return Some(Answer::Refused),
        _ => return None,
    }
    let mut attributes = rest.get(..usize::from(length))?;
    let mut plain = None;
    while let Some((kind, rest)) = u16_of(attributes) {
        let (length, rest) = u16_of(rest)?;
        let (value, rest) = rest.split_at_checked(usize::from(length))?;
        match kind {
            XOR_MAPPED_ADDRESS => return address(value, Some(transaction)).map(Answer::Address),
            MAPPED_ADDRESS => plain = address(value, None), // RFC 3489 servers
            _ => {}
        }
        attributes = rest.get((4 - usize::from(length) % 4) % 4..).unwrap_or(&[]);
    }
    plain.map(Answer::Address)
}

/// RFC 5389 §15.1 and, with the transaction id, §15.2.
fn address(value: &[u8], xor: Option<&[u8; 12]>) -> Option<SocketAddr> {
    let (family, rest) = u16_of(value)?;
    let (port, rest) = u16_of(rest)?;
    let mut mask = [0; 16];
    if let Some(transaction) = xor {
        for (to, from) in mask.iter_mut().zip(COOKIE.to_be_bytes().iter().chain(transaction)) {
            *to = *from;
        }
    }
    let [high, low, ..] = mask;
    let port = port ^ u16::from_be_bytes([high, low]);
    let ip: IpAddr = match family & 0xff {
        1 => {
            let mut octets = *rest.first_chunk::<4>()?;
            octets.iter_mut().zip(mask).for_each(|(o, m)| *o ^= m);
            octets.into()
        }
        2 => {
            let mut octets = *rest.first_chunk::<16>()?;
            octets.iter_mut().zip(mask).for_each(|(o, m)| *o ^= m);
            octets.into()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

fn u16_of(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<2>()?;
    Some((u16::from_be_bytes(*head), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(kind: u16, id: &[u8], attributes: &[u8]) -> Vec<u8> {
        let length = (attributes.len() as u16).to_be_bytes();
        [&kind.to_be_bytes(), &length[..], &COOKIE.to_be_bytes(), id, attributes].concat()
    }

    fn xor_mapped(address: SocketAddr, id: &[u8]) -> Vec<u8> {
        let key = [&COOKIE.to_be_bytes(), id].concat();
        let port = address.port() ^ (COOKIE >> 16) as u16;
        let (family, octets) = match address.ip() {
            IpAddr::V4(ip) => (1_u16, ip.octets().to_vec()),
            IpAddr::V6(ip) => (2, ip.octets().to_vec()),
        };
        let octets: Vec<u8> = octets.iter().zip(&key).map(|(o, k)| o ^ k).collect();
        let length = octets.len() as u16 + 4;
        let parts = [XOR_MAPPED_ADDRESS, length, family, port].map(u16::to_be_bytes).concat();
        [parts, octets].concat()
    }

    #[test]
    fn rfc5769_sample_ipv4_response() {
        // RFC 5769 §2.2, its XOR-MAPPED-ADDRESS after the SOFTWARE attribute.
        let id = [0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae];
        let attributes = [
            &[0x80, 0x22, 0x00, 0x0b][..],
            b"test vector ",
            &[0x00, 0x20, 0x00, 0x08, 0x00, 0x01, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43],
        ]
        .concat();
        let datagram = answer(BINDING_SUCCESS, &id, &attributes);
        assert_eq!(read_answer(&datagram, &id), Answer::Address("192.0.2.1:32853".parse().unwrap()));
        for cut in 0..datagram.len() {
            assert_eq!(read_answer(&datagram[..cut], &id), Answer::Foreign, "cut at {cut}");
        }
    }

    #[test]
    fn answers_that_are_none() {
        let id = [7; 12];
        let mapped = xor_mapped("[2001:db8::9]:5060".parse().unwrap(), &id);
        let good = answer(BINDING_SUCCESS, &id, &mapped);
        assert_eq!(read_answer(&good, &id), Answer::Address("[2001:db8::9]:5060".parse().unwrap()));
        assert_eq!(read_answer(&good, &[8; 12]), Answer::Foreign, "another transaction");
        assert_eq!(read_answer(&answer(BINDING_ERROR, &id, &[]), &id), Answer::Refused);
        assert_eq!(read_answer(&answer(BINDING_SUCCESS, &id, &[]), &id), Answer::Foreign);
        assert_eq!(read_answer(b"hello", &id), Answer::Foreign);
    }

    #[test]
    fn servers_are_named_with_or_without_port() {
        for (text, host, port) in [
            ("stun.example.com", "stun.example.com", 3478),
            ("stun.example.com:19302", "stun.example.com", 19302),
            ("[2001:db8::1]:5000", "2001:db8::1", 5000),
            ("[2001:db8::1]", "2001:db8::1", 3478),
            ("2001:db8::1", "2001:db8::1", 3478),
        ] {
            assert_eq!(split_port(text), (host, port), "{text}");
        }
    }

    #[tokio::test]
    async fn a_server_that_loses_the_first_request_and_is_shadowed_by_noise() {
        let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let at = server.local_addr().unwrap().to_string();
        let serve = tokio::spawn(async move {
            let mut buffer = [0; 100];
            server.recv_from(&mut buffer).await.unwrap(); // lost
            let (length, from) = server.recv_from(&mut buffer).await.unwrap();
            assert_eq!(&buffer[..4], &[0, 1, 0, 0]);
            server.send_to(b"noise", from).await.unwrap();
            let id = buffer[8..length].to_vec();
            server.send_to(&answer(BINDING_SUCCESS, &id, &xor_mapped(from, &id)), from).await.unwrap();
            from
        });
        let seen = mapped_address(&at).await.unwrap();
        assert_eq!(seen, serve.await.unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_within_the_limit() {
        let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let start = Instant::now();
        let error = mapped_address(&silent.local_addr().unwrap().to_string()).await.unwrap_err();
        assert!(matches!(error, StunError::NoAnswer(_)), "{error}");
        assert!(start.elapsed() <= LIMIT + Duration::from_millis(1));
    }
}
