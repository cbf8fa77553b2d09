//! UDP on loopback.

use std::sync::Arc;
use std::time::Instant;

use tandem::net::{FloodGuard, GuardConf, Incoming, Kernel, Report};
use tandem::sip::{Destination, Flow, Transport};
use tokio::net::UdpSocket;

use crate::bench::{Bench, conf, options, to_host};

#[tokio::test]
async fn both_address_families_there_and_back() {
    for any in ["127.0.0.1:0", "[::1]:0"] {
        let mut a = Bench::start(conf(&[any], &[]), Arc::new(Kernel));
        let mut b = Bench::start(conf(&[any], &[]), Arc::new(Kernel));
        let to = to_host(None, &b.udp().ip().to_string(), b.udp().port());
        a.send(&options("1", 0), &to);
        let (raw, flow) = b.message().await;
        assert_eq!(raw, options("1", 0));
        let expected = Flow { transport: Transport::Udp, local: b.udp(), remote: a.udp(), connection: 0 };
        assert_eq!(flow, expected);
        b.send(&options("2", 0), &Destination::Flow(flow));
        let (raw, back) = a.message().await;
        assert_eq!(raw, options("2", 0));
        assert_eq!(back.remote, b.udp());
        a.net.stop().await;
        b.net.stop().await;
    }
}

#[tokio::test]
async fn keep_alives_are_ignored_and_rubbish_is_handed_on_as_such() {
    let mut bench = Bench::start(conf(&["127.0.0.1:0"], &[]), Arc::new(Kernel));
    let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for datagram in [&b"\r\n\r\n"[..], b"\0", b"jaK", b"", b"this is not SIP\r\n\r\n"] {
        peer.send_to(datagram, bench.udp()).await.unwrap();
    }
    match bench.next().await {
        Incoming::Message { message: Err(_), raw, .. } => assert_eq!(&raw[..], b"this is not SIP\r\n\r\n"),
        other => panic!("{other:?}"),
    }
    assert!(bench.nothing_came());
}

#[tokio::test]
async fn a_message_without_its_socket_is_reported() {
    let bench = Bench::start(conf(&["127.0.0.1:0"], &[]), Arc::new(Kernel));
    let elsewhere = Flow {
        transport: Transport::Udp,
        local: "127.0.0.9:5060".parse().unwrap(),
        remote: "127.0.0.1:9".parse().unwrap(),
        connection: 0,
    };
    for to in [
        Destination::Flow(elsewhere),
        to_host(Some(Transport::Tcp), "127.0.0.1", 9),
        to_host(Some(Transport::Tls), "127.0.0.1", 9),
        to_host(None, "[::1]", 9),
    ] {
        let report = bench.send(&options("1", 0), &to).try_recv();
        assert!(matches!(report, Ok(Report::Failed(_))), "{to:?}: {report:?}");
    }
    // Larger than any datagram: the kernel refuses.
    let report = bench.send(&options("1", 66_000), &to_host(None, "127.0.0.1", 9)).recv().await;
    assert!(matches!(report, Some(Report::Failed(_))), "{report:?}");
}

#[tokio::test]
async fn a_burst_arrives_whole_and_in_order() {
    let mut a = Bench::start(conf(&["127.0.0.1:0"], &[]), Arc::new(Kernel));
    let b = Bench::start(conf(&["127.0.0.1:0"], &[]), Arc::new(Kernel));
    let to = to_host(None, "127.0.0.1", a.udp().port());
    for round in 0..20 {
        for n in 0..25 {
            b.send(&options(&format!("{round}-{n}"), 200), &to);
        }
        for n in 0..25 {
            assert_eq!(a.message().await.0, options(&format!("{round}-{n}"), 200));
        }
    }
}

#[tokio::test]
async fn an_address_that_is_taken_is_named() {
    let first = Bench::start(conf(&["127.0.0.1:0"], &[]), Arc::new(Kernel));
    let taken = first.udp();
    let error = tandem::net::Net::start(conf(&[&taken.to_string()], &[]), Arc::new(Kernel), |_| {});
    let text = error.unwrap_err().to_string();
    assert!(text.contains(&taken.to_string()) && text.contains("UDP"), "{text}");
    first.net.stop().await;
    let report = first.send(&options("1", 0), &to_host(None, "127.0.0.1", 9)).try_recv();
    assert!(matches!(report, Ok(Report::Failed(_))), "stopped: {report:?}");
    tandem::net::Net::start(conf(&[&taken.to_string()], &[]), Arc::new(Kernel), |_| {})
        .expect("free again, whoever still holds the old one");
}

#[tokio::test]
async fn a_panic_above_costs_one_message() {
    let (sender, mut seen) = tokio::sync::mpsc::channel(10);
    let net = tandem::net::Net::start(conf(&["127.0.0.1:0"], &[]), Arc::new(Kernel), move |incoming| {
        let Incoming::Message { raw, .. } = incoming else { return };
        assert!(!raw.windows(6).any(|w| w == b"poison"), "a bug above");
        sender.try_send(raw).unwrap();
    });
    let net = net.unwrap();
    let to = net.udp_addresses()[0];
    let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    peer.send_to(&options("poison", 0), to).await.unwrap();
    peer.send_to(&options("good", 0), to).await.unwrap();
    assert_eq!(seen.recv().await.unwrap(), options("good", 0));
    net.stop().await;
}

#[tokio::test]
async fn the_flood_guard_drops_requests_before_they_are_parsed() {
    let guard = GuardConf { requests_per_source: 5, requests_total: 0, ..GuardConf::default() };
    let guard = Arc::new(FloodGuard::new(guard));
    let mut conf = conf(&["127.0.0.1:0"], &[]);
    conf.guard = Some(guard.clone());
    let mut bench = Bench::start(conf, Arc::new(Kernel));
    let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let response = "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n\
                    To: <sip:a@b>;tag=2\r\nCall-ID: end\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n";
    for n in 0..100 {
        peer.send_to(&options(&n.to_string(), 0), bench.udp()).await.unwrap();
    }
    peer.send_to(response.as_bytes(), bench.udp()).await.unwrap();
    let mut requests = 0;
    while !bench.message().await.0.starts_with(b"SIP/2.0 200") {
        requests += 1;
    }
    assert!((5..50).contains(&requests), "{requests} requests came through; responses are not counted");
    assert!(guard.dropped() >= 50);
    while !guard.failed_auth(Instant::now(), peer.local_addr().unwrap().ip()) {}
    peer.send_to(&options("banned", 0), bench.udp()).await.unwrap();
    peer.send_to(response.as_bytes(), bench.udp()).await.unwrap();
    let friend = UdpSocket::bind("127.0.0.2:0").await.unwrap();
    friend.send_to(&options("friend", 0), bench.udp()).await.unwrap();
    // The ban may have been brought upon it by somebody else: what belongs to what we began still comes.
    assert!(bench.message().await.0.starts_with(b"SIP/2.0 200"), "no new request of a banned source");
    assert_eq!(bench.message().await.0, options("friend", 0));
}
