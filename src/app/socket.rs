//! `socket`: a program elsewhere takes the call over (`socket_function` of mod_event_socket.c).

use super::call::Call;
use crate::channel::{Control, Happening};
use crate::dialplan::Expanded;
use crate::event::EventName;
use std::time::Duration;
use tokio::net::TcpStream;
use tracing::{info, warn};

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(5);
/// Where programs listen when nothing is said.
const PORT: u16 = 8084;

/// `host[:port][/path][|host…] [async] [full]`. The call goes on with the dialplan when the program lets go of it.
pub async fn run(call: &mut Call, data: &Expanded) {
    let mut words = data.text.split_ascii_whitespace();
    let Some(hosts) = words.next() else {
        warn!("{} {}: socket without an address", call.leg.uuid, call.leg.name());
        return;
    };
    let mode: Vec<&str> = words.collect();
    let is = |word: &str| mode.iter().any(|m| m.eq_ignore_ascii_case(word));
    let Some(programs) = call.leg.exchange.programs.get().cloned() else {
        warn!(
            "{} {}: socket: modules.conf does not load mod_event_socket; left out",
            call.leg.uuid,
            call.leg.name()
        );
        return;
    };
    let Some(stream) = connect(call, hosts).await else { return };
    let (released, over) = tokio::sync::oneshot::channel();
    let control = Control {
        uuid: call.leg.uuid.clone(),
        channel: call.leg.caller.chan_name.clone(),
        mailbox: call.leg.mailbox().clone(),
        gone: call.leg.follow(),
        is_async: is("async"),
        is_full: is("full"),
        released,
    };
    let is_async = control.is_async;
    if !programs.control(stream, control) {
        warn!("{} {}: socket: too many programs are connected; left out", call.leg.uuid, call.leg.name());
        return;
    }
    if is_async {
        call.leg.fire(EventName::ChannelPark, Vec::new);
    }
    serve(call, over).await;
    if is_async {
        call.leg.fire(EventName::ChannelUnpark, Vec::new);
    }
}

/// Does what the program wants until it lets go, which the leg is woken for.
async fn serve(call: &mut Call, mut over: tokio::sync::oneshot::Receiver<()>) {
    use tokio::sync::oneshot::error::TryRecvError;
    loop {
        match call.next().await {
            Happening::Over => return,
            Happening::Released => {}
            _ => continue,
        }
        if !matches!(over.try_recv(), Err(TryRecvError::Empty)) {
            // What it wanted before it went is done.
            call.perform_all().await;
            return;
        }
    }
}

/// A connection to the first of the hosts that takes one.
async fn connect(call: &mut Call, hosts: &str) -> Option<std::net::TcpStream> {
    for host in hosts.split('|') {
        let (host, path) = host.split_once('/').unwrap_or((host, ""));
        let (name, port) = match host.rsplit_once(':') {
            Some((name, port)) => (name, port.parse().ok()),
            None => (host, Some(PORT)),
        };
        let (Some(port), false) = (port, name.is_empty()) else {
            warn!("{} {}: socket: {host} is no address", call.leg.uuid, call.leg.name());
            continue;
        };
        let name = name.trim_matches(['[', ']']).to_owned();
        if !path.is_empty() {
            call.leg.variables.set("socket_path", path);
        }
        call.leg.variables.set("socket_host", &name);
        let work = tokio::time::timeout(CONNECT, TcpStream::connect((name.clone(), port)));
        match call.leg.until(work).await? {
            Ok(Ok(stream)) => match stream.into_std() {
                Ok(stream) => {
                    info!("{} {}: connected to {name}:{port}", call.leg.uuid, call.leg.name());
                    return Some(stream);
                }
                Err(error) => warn!("{} {}: socket: {error}", call.leg.uuid, call.leg.name()),
            },
            Ok(Err(error)) => {
                warn!("{} {}: socket: {name}:{port}: {error}", call.leg.uuid, call.leg.name());
            }
            Err(_) => {
                warn!("{} {}: socket: {name}:{port} does not answer", call.leg.uuid, call.leg.name());
            }
        }
    }
    None
}
