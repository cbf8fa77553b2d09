//! SIP messages in the log, as `sofia … siptrace` frames them (`tport_log_msg` of Sofia-SIP).

use super::user_agent::UserAgent;
use crate::sip::{Destination, Transport};
use jiff::Zoned;
use std::sync::atomic::{AtomicU8, Ordering};
use tracing::{debug, error, info, warn};

/// At which of FreeSWITCH's levels messages are logged (`sofia tracelevel`): 6, INFO, at the start.
pub static TRACE_LEVEL: AtomicU8 = AtomicU8::new(6);

/// The longest message that is logged whole.
const LONGEST: usize = 16_000;
const DASHES: &str = "------------------------------------------------------------------------";

impl UserAgent {
    /// Logs a message when the profile is traced. `way` is `recv` or `send`.
    pub fn trace(&self, way: &str, bytes: &[u8], peer: impl FnOnce() -> String) {
        if self.trace.load(Ordering::Relaxed) {
            let at = Zoned::now().strftime("%H:%M:%S.%6f").to_string();
            log(&frame(way, bytes, &peer(), &at));
        }
    }
}

/// `udp/[192.0.2.1]:5060`.
pub fn peer_of(to: &Destination) -> String {
    match to {
        Destination::Flow(flow) => {
            format!("{}/[{}]:{}", flow.transport.as_param(), flow.remote.ip(), flow.remote.port())
        }
        Destination::Host { transport, host, port } => {
            let transport = transport.unwrap_or(Transport::Udp).as_param();
            format!("{transport}/[{}]:{}", host.trim_matches(['[', ']']), port.unwrap_or(5060))
        }
    }
}

/// The message with the line before it. Lines end as lines of a log do, whatever they end with on the wire.
fn frame(way: &str, bytes: &[u8], peer: &str, at: &str) -> String {
    let word = if way == "recv" { "from" } else { "to" };
    let shown = bytes.get(..LONGEST).unwrap_or(bytes);
    let shown = shown.split(|b| *b == 0).next().unwrap_or_default();
    let text = String::from_utf8_lossy(shown).replace("\r\n", "\n").replace('\r', "\n");
    format!("{way} {} bytes {word} {peer} at {at}:\n{DASHES}\n{text}", bytes.len())
}

fn log(text: &str) {
    // `severity`: FreeSWITCH's number of a level that is not one of tracing's (see observe/log).
    match TRACE_LEVEL.load(Ordering::Relaxed) {
        0 => error!(target: "siptrace", severity = 0_u64, "{text}"),
        1 => error!(target: "siptrace", severity = 1_u64, "{text}"),
        2 => error!(target: "siptrace", severity = 2_u64, "{text}"),
        3 => error!(target: "siptrace", "{text}"),
        4 => warn!(target: "siptrace", "{text}"),
        5 => info!(target: "siptrace", severity = 5_u64, "{text}"),
        6 => info!(target: "siptrace", "{text}"),
        _ => debug!(target: "siptrace", "{text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_sofias_frame() {
        let said =
            frame("send", b"OPTIONS sip:a SIP/2.0\r\nA: b\r\n\r\n", "udp/[1.2.3.4]:5060", "12:00:00.123456");
        let expected = "send 31 bytes to udp/[1.2.3.4]:5060 at 12:00:00.123456:\n\
             ------------------------------------------------------------------------\n\
             OPTIONS sip:a SIP/2.0\nA: b\n\n";
        assert_eq!(said, expected);
        let said = frame("recv", &vec![b'x'; 20_000], "tcp/[::1]:5060", "12:00:00.000000");
        assert!(said.starts_with("recv 20000 bytes from tcp/[::1]:5060 at 12:00:00.000000:\n-"));
        assert!(said.len() < 16_200);
        let host = Destination::Host { transport: None, host: "[::1]".into(), port: None };
        assert_eq!(peer_of(&host), "udp/[::1]:5060");
    }
}
