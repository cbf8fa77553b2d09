//! TCP on loopback.

use std::sync::Arc;
use std::time::Duration;

use tandem::net::{FloodGuard, GuardConf, Incoming, Kernel, NetConf, Report, SendError, Window};
use tandem::sip::{Destination, Flow, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::bench::{Bench, conf, options, to_host};

fn tcp() -> NetConf {
    conf(&[], &["127.0.0.1:0"])
}

async fn closed(bench: &mut Bench) -> Flow {
    match bench.next().await {
        Incoming::Closed(flow) => flow,
        other => panic!("{other:?}"),
    }
}

async fn read(stream: &mut TcpStream, length: usize) -> Vec<u8> {
    let mut buffer = vec![0; length];
    stream.read_exact(&mut buffer).await.unwrap();
    buffer
}

#[tokio::test]
async fn a_connection_serves_both_ways_and_is_used_again() {
    let mut a = Bench::start(tcp(), Arc::new(Kernel));
    let mut b = Bench::start(tcp(), Arc::new(Kernel));
    let to = to_host(Some(Transport::Tcp), "127.0.0.1", b.tcp().port());
    for n in 0..50 {
        a.send(&options(&n.to_string(), n * 100), &to);
    }
    let mut flows = Vec::new();
    for n in 0..50 {
        let (raw, flow) = b.message().await;
        assert_eq!(raw, options(&n.to_string(), n * 100), "in order and whole");
        flows.push(flow);
    }
    flows.dedup();
    let [flow] = flows[..] else { panic!("one connection: {flows:?}") };
    // Back on the flow, and to its address as a host: the same connection.
    b.send(&options("flow", 0), &Destination::Flow(flow));
    b.send(&options("host", 0), &to_host(Some(Transport::Tcp), "127.0.0.1", flow.remote.port()));
    assert_eq!(a.message().await.0, options("flow", 0));
    let (raw, ours) = a.message().await;
    assert_eq!(raw, options("host", 0));
    assert_eq!((ours.local, ours.remote), (flow.remote, flow.local));
    assert_eq!((a.net.connections(), b.net.connections()), (1, 1));
    assert!(a.net.is_open(&ours));
    b.net.stop().await;
    assert_eq!(closed(&mut a).await, ours);
    assert!(!a.net.is_open(&ours));
    assert_eq!((a.net.connections(), b.net.connections()), (0, 0));
}

#[tokio::test]
async fn messages_come_in_pieces_and_in_heaps() {
    let mut bench = Bench::start(tcp(), Arc::new(Kernel));
    let mut peer = TcpStream::connect(bench.tcp()).await.unwrap();
    peer.set_nodelay(true).unwrap();
    let message = options("pieces", 30);
    for byte in message.iter() {
        peer.write_all(&[*byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!(bench.message().await.0, message);
    let heap: Vec<u8> = (0..200).flat_map(|n| options(&n.to_string(), 700).to_vec()).collect();
    peer.write_all(&heap).await.unwrap();
    for n in 0..200 {
        assert_eq!(bench.message().await.0, options(&n.to_string(), 700));
    }
}

#[tokio::test]
async fn a_double_crlf_is_answered_by_a_single_one() {
    let mut bench = Bench::start(tcp(), Arc::new(Kernel));
    let mut peer = TcpStream::connect(bench.tcp()).await.unwrap();
    peer.write_all(b"\r\n\r\n").await.unwrap();
    assert_eq!(read(&mut peer, 2).await, b"\r\n");
    peer.write_all(&options("1", 0)).await.unwrap();
    peer.write_all(b"\r\n\r\n").await.unwrap();
    assert_eq!(read(&mut peer, 2).await, b"\r\n");
    assert_eq!(bench.message().await.0, options("1", 0));
    assert!(bench.nothing_came());
}

#[tokio::test]
async fn rubbish_ends_the_connection() {
    let mut bench = Bench::start(tcp(), Arc::new(Kernel));
    let mut peer = TcpStream::connect(bench.tcp()).await.unwrap();
    peer.write_all(&vec![b'x'; 200_000]).await.unwrap();
    let mut rest = Vec::new();
    let _ = peer.read_to_end(&mut rest).await;
    let flow = closed(&mut bench).await;
    assert_eq!(flow.remote, peer.local_addr().unwrap());
}

#[tokio::test]
async fn deadlines_for_the_silent_and_the_slow() {
    let ms = Duration::from_millis;
    for (first, name) in [(&b""[..], "silent"), (b"OPTIONS sip:a SI", "slow")] {
        let mut conf = tcp();
        conf.streams.first_message = ms(80);
        conf.streams.message = ms(80);
        let mut bench = Bench::start(conf, Arc::new(Kernel));
        let mut peer = TcpStream::connect(bench.tcp()).await.unwrap();
        peer.write_all(first).await.unwrap();
        let mut rest = Vec::new();
        peer.read_to_end(&mut rest).await.unwrap_or_default();
        assert!(rest.is_empty(), "{name}");
        closed(&mut bench).await;
    }
    let mut conf = tcp();
    conf.streams.idle = ms(80);
    let mut bench = Bench::start(conf, Arc::new(Kernel));
    let mut peer = TcpStream::connect(bench.tcp()).await.unwrap();
    peer.write_all(&options("1", 0)).await.unwrap();
    bench.message().await;
    closed(&mut bench).await;
}

#[tokio::test]
async fn a_trickle_does_not_keep_a_message_open() {
    let mut conf = tcp();
    conf.streams.message = Duration::from_millis(200);
    let mut bench = Bench::start(conf, Arc::new(Kernel));
    let mut peer = TcpStream::connect(bench.tcp()).await.unwrap();
    peer.write_all(&options("whole", 0)).await.unwrap();
    bench.message().await;
    for byte in options("trickle", 2000).iter() {
        if peer.write_all(&[*byte]).await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    closed(&mut bench).await;
}

#[tokio::test]
async fn connections_are_limited_per_source_and_in_all() {
    let mut conf = tcp();
    conf.streams.connections = 3;
    conf.streams.connections_per_source = 2;
    let mut bench = Bench::start(conf, Arc::new(Kernel));
    let to = bench.tcp();
    let from = move |source: &str| {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(source.parse().unwrap()).unwrap();
        async move {
            let mut stream = socket.connect(to).await.unwrap();
            let _ = stream.write_all(b"\r\n\r\n").await;
            let mut pong = [0; 2];
            stream.read_exact(&mut pong).await.is_ok().then_some(stream)
        }
    };
    let first = from("127.0.0.1:0").await.expect("one of 127.0.0.1");
    let _second = from("127.0.0.1:0").await.expect("two of 127.0.0.1");
    assert!(from("127.0.0.1:0").await.is_none(), "not three");
    let _third = from("127.0.0.2:0").await.expect("one of 127.0.0.2");
    assert!(from("127.0.0.3:0").await.is_none(), "not four in all");
    drop(first);
    closed(&mut bench).await;
    from("127.0.0.1:0").await.expect("there is room again");
}

#[tokio::test]
async fn a_peer_that_refuses_or_is_gone_is_reported_at_once() {
    let mut bench = Bench::start(tcp(), Arc::new(Kernel));
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let to = to_host(Some(Transport::Tcp), "127.0.0.1", nobody.port());
    let mut reports = [bench.send(&options("1", 0), &to), bench.send(&options("2", 0), &to)];
    for report in &mut reports {
        let report = report.recv().await;
        assert!(matches!(report, Some(Report::Failed(SendError::Refused(_)))), "{report:?}");
    }
    assert_eq!(bench.net.connections(), 0);
    assert!(bench.nothing_came(), "a connection that never was does not close");

    let mut peer = TcpStream::connect(bench.tcp()).await.unwrap();
    peer.write_all(&options("1", 0)).await.unwrap();
    let (_, flow) = bench.message().await;
    drop(peer);
    assert_eq!(closed(&mut bench).await, flow);
    let report = bench.send(&options("2", 0), &Destination::Flow(flow)).recv().await;
    assert!(matches!(report, Some(Report::Failed(SendError::Closed))), "{report:?}");
}

#[tokio::test]
async fn a_flow_we_opened_is_opened_again() {
    let mut a = Bench::start(tcp(), Arc::new(Kernel));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    a.send(&options("1", 0), &to_host(Some(Transport::Tcp), "127.0.0.1", port));
    let (mut peer, _) = listener.accept().await.unwrap();
    read(&mut peer, options("1", 0).len()).await;
    peer.write_all(&options("2", 0)).await.unwrap();
    let (_, flow) = a.message().await;
    drop(peer);
    closed(&mut a).await;
    a.send(&options("3", 0), &Destination::Flow(flow));
    let (mut peer, _) = listener.accept().await.unwrap();
    assert_eq!(read(&mut peer, options("3", 0).len()).await, options("3", 0));
}

#[tokio::test]
async fn a_peer_that_does_not_read_fills_its_own_queue_only() {
    let mut conf = tcp();
    conf.streams.write = Duration::from_millis(300);
    let mut bench = Bench::start(conf, Arc::new(Kernel));
    let mut deaf = TcpStream::connect(bench.tcp()).await.unwrap();
    deaf.write_all(&options("deaf", 0)).await.unwrap();
    let (_, to_deaf) = bench.message().await;
    let mut reports = Vec::new();
    for n in 0..1000 {
        reports.push(bench.send(&options(&n.to_string(), 60_000), &Destination::Flow(to_deaf)));
        if n % 10 == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    let full = reports.iter_mut().filter_map(|r| r.try_recv().ok()).count();
    assert!(full > 100, "the queue is bounded: {full} refused");
    let mut friend = TcpStream::connect(bench.tcp()).await.unwrap();
    friend.write_all(b"\r\n\r\n").await.unwrap();
    assert_eq!(read(&mut friend, 2).await, b"\r\n");
    assert_eq!(closed(&mut bench).await, to_deaf);
    for mut report in reports {
        if let Some(report) = report.recv().await {
            assert!(matches!(report, Report::Failed(SendError::Closed | SendError::QueueFull)), "{report:?}");
        }
    }
}

#[tokio::test]
async fn a_flood_on_a_stream_is_slowed_down_not_lost() {
    let mut conf = tcp();
    let guard = GuardConf { requests_per_source: 40, requests_total: 0, ..GuardConf::default() };
    let guard = Arc::new(FloodGuard::new(guard));
    conf.guard = Some(guard.clone());
    let mut bench = Bench::start(conf, Arc::new(Kernel));
    let mut peer = TcpStream::connect(bench.tcp()).await.unwrap();
    for n in 0..60 {
        peer.write_all(&options(&n.to_string(), 0)).await.unwrap();
    }
    for n in 0..60 {
        assert_eq!(bench.message().await.0, options(&n.to_string(), 0));
    }
    while !guard.failed_auth(std::time::Instant::now(), peer.local_addr().unwrap().ip()) {}
    peer.write_all(&options("banned", 0)).await.unwrap();
    closed(&mut bench).await;
}

#[tokio::test]
async fn a_request_without_length_is_refused_with_a_word() {
    let mut bench = Bench::start(tcp(), Arc::new(Kernel));
    let mut peer = TcpStream::connect(bench.tcp()).await.unwrap();
    let text = String::from_utf8(options("1", 0).to_vec()).unwrap().replace("Content-Length: 0\r\n", "");
    peer.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    peer.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("SIP/2.0 400 ") && answer.contains("Call-ID: 1\r\n"), "{answer}");
    closed(&mut bench).await;
}

#[tokio::test]
async fn who_has_finished_writing_still_gets_its_answer() {
    let mut bench = Bench::start(tcp(), Arc::new(Kernel));
    let mut peer = TcpStream::connect(bench.tcp()).await.unwrap();
    peer.write_all(&options("1", 0)).await.unwrap();
    let (_, flow) = bench.message().await;
    bench.send(&options("2", 0), &Destination::Flow(flow));
    peer.shutdown().await.unwrap();
    let mut answer = Vec::new();
    peer.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer, options("2", 0));
    closed(&mut bench).await;
}

#[tokio::test]
async fn calls_that_have_no_turn_hold_back_once_what_follows_on_their_connection() {
    let window = Arc::new(Window::new(1));
    let mut bench = Bench::start(NetConf { window: window.clone(), ..tcp() }, Arc::new(Kernel));
    let mut stream = TcpStream::connect(bench.tcp()).await.unwrap();
    let invite = String::from_utf8(options("call", 0).to_vec()).unwrap().replace("OPTIONS", "INVITE");
    let at_door = window.enter();
    let begun = std::time::Instant::now();
    stream.write_all(invite.repeat(40).as_bytes()).await.unwrap();
    stream.write_all(&options("after", 0)).await.unwrap();
    for _ in 0..40 {
        assert!(matches!(bench.next().await, Incoming::Late { .. }));
    }
    assert_eq!(bench.message().await.0, options("after", 0));
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    drop(at_door);
    stream.write_all(invite.as_bytes()).await.unwrap();
    assert_eq!(bench.message().await.0, invite.as_bytes());
}
