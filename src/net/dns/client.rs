//! Asks name servers, one after another: by UDP from a port of its own with a number of its own for each question, so
//! that nobody answers in their place (RFC 5452), and by TCP when the answer is too long.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use domain::base::Rtype;
use rand::Rng;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::question::{Question, Records};
use super::wire::{self, Reply};
use crate::net::sockets::Sockets;

/// How long one server has for one datagram.
const PATIENCE: Duration = Duration::from_millis(800);
/// How often the whole list is gone through.
const ROUNDS: usize = 2;
/// Datagrams that are read while the right one is waited for: what a flood of others can cost.
const FOREIGN: usize = 64;

/// The answer of the first server that has one, and how long it holds.
pub async fn ask(
    sockets: &dyn Sockets,
    servers: &[SocketAddr],
    question: &Question,
) -> Option<(Records, Duration)> {
    let mut found: Option<(Records, Duration)> = None;
    for rtype in wire::types(question.kind) {
        let Some((records, holds)) = ask_all(sockets, servers, question, *rtype).await else { continue };
        found = Some(match (found, records) {
            (None, records) => (records, holds),
            (Some((Records::Addresses(mut all), before)), Records::Addresses(more)) => {
                all.extend(more);
                (Records::Addresses(all), before.min(holds))
            }
            (Some((Records::None, _)), records) => (records, holds),
            (Some(before), _) => before,
        });
    }
    found
}

async fn ask_all(
    sockets: &dyn Sockets,
    servers: &[SocketAddr],
    question: &Question,
    rtype: Rtype,
) -> Option<(Records, Duration)> {
    for server in (0..ROUNDS).flat_map(|_| servers) {
        let id = rand::rng().random();
        let query = wire::query(id, &question.name, rtype)?;
        let mut reply = match timeout(PATIENCE, by_udp(sockets, *server, &query, id, question, rtype)).await {
            Ok(Ok(reply)) => reply,
            Ok(Err(error)) => {
                tracing::debug!(%server, %error, "cannot ask the name server");
                continue;
            }
            Err(_) => continue,
        };
        if reply == Reply::Truncated {
            reply = match timeout(PATIENCE, by_tcp(sockets, *server, &query)).await {
                Ok(Ok(bytes)) => wire::reply(&bytes, id, question, rtype),
                Ok(Err(_)) | Err(_) => continue,
            };
        }
        if let Reply::Answer(records, holds) = reply {
            return Some((records, holds));
        }
    }
    None
}

async fn by_udp(
    sockets: &dyn Sockets,
    server: SocketAddr,
    query: &[u8],
    id: u16,
    question: &Question,
    rtype: Rtype,
) -> io::Result<Reply> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = sockets.bind_udp(SocketAddr::new(any, 0))?;
    loop {
        // A socket that has just been opened may not know yet that it can send.
        match socket.try_send_to(query, server) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                poll_fn(|cx| socket.poll_send_ready(cx)).await?;
            }
            sent => {
                sent?;
                break;
            }
        }
    }
    let mut buffer = [0; wire::DATAGRAM as usize];
    let mut foreign = 0;
    while foreign < FOREIGN {
        match socket.try_recv_from(&mut buffer) {
            Ok((length, from)) => {
                let bytes = buffer.get(..length).unwrap_or(&[]);
                match wire::reply(bytes, id, question, rtype) {
                    reply if from == server && reply != Reply::Foreign => return Ok(reply),
                    _ => foreign += 1,
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                poll_fn(|cx| socket.poll_recv_ready(cx)).await?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Reply::Foreign)
}

async fn by_tcp(sockets: &dyn Sockets, server: SocketAddr, query: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = sockets.connect_tcp(None, server).await?;
    let length = u16::try_from(query.len()).map_err(io::Error::other)?;
    stream.writer.write_all(&[&length.to_be_bytes(), query].concat()).await?;
    let length = stream.reader.read_u16().await?;
    let mut bytes = vec![0; length.into()];
    stream.reader.read_exact(&mut bytes).await?;
    Ok(bytes)
}
