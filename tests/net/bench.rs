//! A [`Net`] whose incoming messages wait in a channel, and messages to send.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tandem::net::{Incoming, Net, NetConf, Report, Sockets};
use tandem::sip::{Destination, Flow, Transport};
use tokio::sync::mpsc;

pub struct Bench {
    pub net: Net,
    incoming: mpsc::Receiver<Incoming>,
}

impl Bench {
    pub fn start(conf: NetConf, sockets: Arc<dyn Sockets>) -> Self {
        let (sender, incoming) = mpsc::channel(10_000);
        let net = Net::start(conf, sockets, move |message| {
            sender.try_send(message).expect("the test reads what comes");
        });
        Self { net: net.unwrap(), incoming }
    }

    pub fn udp(&self) -> SocketAddr {
        self.net.udp_addresses()[0]
    }

    pub fn tcp(&self) -> SocketAddr {
        self.net.tcp_addresses()[0]
    }

    /// The next thing that comes in. Fails after ten seconds.
    pub async fn next(&mut self) -> Incoming {
        tokio::time::timeout(Duration::from_secs(10), self.at_last()).await.expect("something comes in")
    }

    /// The same, however long it takes.
    pub async fn at_last(&mut self) -> Incoming {
        self.incoming.recv().await.expect("the net runs")
    }

    /// The next message, which must be a good one.
    pub async fn message(&mut self) -> (Bytes, Flow) {
        match self.next().await {
            Incoming::Message { message: Ok(_), raw, flow } => (raw, flow),
            other => panic!("{other:?}"),
        }
    }

    pub fn nothing_came(&mut self) -> bool {
        self.incoming.try_recv().is_err()
    }

    /// Sends and gives back what will be reported.
    pub fn send(&self, bytes: &Bytes, to: &Destination) -> mpsc::Receiver<Report> {
        let (sender, receiver) = mpsc::channel(1);
        self.net.send(bytes.clone(), to, move |report| {
            let _ = sender.try_send(report);
        });
        receiver
    }
}

pub fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub fn conf(udp: &[&str], tcp: &[&str]) -> NetConf {
    let all = |texts: &[&str]| texts.iter().map(|text| address(text)).collect();
    NetConf { udp: all(udp), tcp: all(tcp), ..NetConf::default() }
}

/// An OPTIONS that can be told apart by its Call-ID, with so many bytes of body.
pub fn options(call_id: &str, body: usize) -> Bytes {
    Bytes::from(format!(
        "OPTIONS sip:bob@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK{call_id};rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:alice@192.0.2.1>;tag=a\r\nTo: <sip:bob@192.0.2.2>\r\nCall-ID: {call_id}\r\n\
         CSeq: 1 OPTIONS\r\nContent-Type: text/plain\r\nContent-Length: {body}\r\n\r\n{}",
        "x".repeat(body)
    ))
}

pub fn to_host(transport: Option<Transport>, host: &str, port: u16) -> Destination {
    Destination::Host { transport, host: host.to_owned(), port: Some(port) }
}
