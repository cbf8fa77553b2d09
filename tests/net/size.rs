//! RFC 3261 §18.1.1: what is too large for a datagram.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tandem::net::{Kernel, LARGEST_DATAGRAM, Report};
use tandem::sip::{Destination, Flow, Transport};

use crate::bench::{Bench, conf, options, to_host};

fn text(raw: &Bytes) -> &str {
    std::str::from_utf8(raw).unwrap()
}

/// A net on UDP and TCP.
fn both() -> Bench {
    let bench = Bench::start(conf(&["127.0.0.1:0"], &["127.0.0.1:0"]), Arc::new(Kernel));
    assert_eq!(bench.udp(), bench.tcp(), "a port left to the system is the same for both");
    bench
}

#[tokio::test]
async fn a_large_request_goes_over_a_stream_and_its_via_says_so() {
    let (a, mut b) = (both(), both());
    let large = options("large", LARGEST_DATAGRAM);
    let mut report = a.send(&large, &to_host(None, "127.0.0.1", b.udp().port()));
    let (raw, flow) = b.message().await;
    assert_eq!(flow.transport, Transport::Tcp);
    assert_eq!(text(&raw), text(&large).replacen("SIP/2.0/UDP", "SIP/2.0/TCP", 1));
    assert!(matches!(report.recv().await, Some(Report::OverStream(flow)) if flow.remote == b.tcp()));
}

#[tokio::test]
async fn it_goes_by_udp_when_nobody_takes_the_connection() {
    let (a, mut b) = (both(), Bench::start(conf(&["127.0.0.1:0"], &[]), Arc::new(Kernel)));
    let large = options("large", LARGEST_DATAGRAM);
    for _ in 0..2 {
        let mut report = a.send(&large, &to_host(None, "127.0.0.1", b.udp().port()));
        let (raw, flow) = b.message().await;
        assert_eq!(flow.transport, Transport::Udp);
        assert_eq!(raw, large, "its Via is as it was");
        assert!(report.recv().await.is_none(), "it went out as meant: no report");
    }
    assert_eq!(a.net.connections(), 0);
}

#[tokio::test]
async fn what_stays_on_udp_whatever_its_size() {
    let (a, mut b) = (both(), both());
    let large = options("large", LARGEST_DATAGRAM);
    let response =
        Bytes::from(text(&large).replacen("OPTIONS sip:bob@192.0.2.2 SIP/2.0", "SIP/2.0 200 OK", 1));
    let flow = Flow { transport: Transport::Udp, local: a.udp(), remote: b.udp(), connection: 0 };
    let port = b.udp().port();
    for (message, to) in [
        (&large, Destination::Flow(flow)),
        (&large, to_host(Some(Transport::Udp), "127.0.0.1", port)),
        (&response, to_host(None, "127.0.0.1", port)),
        (&options("small", 100), to_host(None, "127.0.0.1", port)),
    ] {
        a.send(message, &to);
        let (raw, flow) = b.message().await;
        assert_eq!((&raw, flow.transport), (message, Transport::Udp), "{to:?}");
    }
}

#[tokio::test]
async fn a_profile_without_udp_speaks_tcp() {
    let (a, mut b) = (Bench::start(conf(&[], &["127.0.0.1:0"]), Arc::new(Kernel)), both());
    a.send(&options("1", 0), &to_host(None, "127.0.0.1", b.tcp().port()));
    let arrived = tokio::time::timeout(Duration::from_secs(5), b.message()).await.unwrap();
    assert_eq!(arrived.1.transport, Transport::Tcp);
}
