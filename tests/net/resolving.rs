//! Names, looked up on the virtual network.

use std::sync::Arc;
use std::time::Duration;

use tandem::net::{Report, SendError};
use tandem::sip::{Destination, Transport};

use crate::bench::{Bench, address, conf, options, to_host};
use crate::sim::{SimNet, Weather};

#[tokio::test(start_paused = true)]
async fn a_name_is_looked_up_once_for_all_who_wait() {
    let sim = SimNet::new(1, Weather::fine());
    let a = Bench::start(conf(&["192.0.2.1:5060"], &["192.0.2.1:5060"]), Arc::new(sim.clone()));
    let mut b = Bench::start(conf(&["192.0.2.2:5060"], &["192.0.2.2:5060"]), Arc::new(sim.clone()));
    // An address of a family the profile has no socket for comes first.
    sim.name("pbx.example.com", &[address("[2001:db8::2]:1").ip(), address("192.0.2.2:1").ip()]);
    for transport in [None, Some(Transport::Udp), Some(Transport::Tcp)] {
        let to = Destination::Host { transport, host: "pbx.example.com".into(), port: None };
        a.send(&options("1", 0), &to);
        a.send(&options("2", 0), &to);
        for _ in 0..2 {
            let (_, flow) = b.message().await;
            assert_eq!(flow.transport, transport.unwrap_or(Transport::Udp));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_without_address_is_reported_and_not_asked_again_at_once() {
    let sim = SimNet::new(1, Weather::fine());
    let a = Bench::start(conf(&["192.0.2.1:5060"], &[]), Arc::new(sim.clone()));
    let mut b = Bench::start(conf(&["192.0.2.2:5060"], &[]), Arc::new(sim.clone()));
    let to = to_host(None, "new.example.com", 5060);
    for _ in 0..2 {
        let report = a.send(&options("1", 0), &to).recv().await;
        assert!(matches!(report, Some(Report::Failed(SendError::NoAddress(_)))), "{report:?}");
        sim.name("new.example.com", &[address("192.0.2.2:1").ip()]);
    }
    tokio::time::sleep(Duration::from_secs(6)).await;
    a.send(&options("2", 0), &to);
    assert_eq!(b.message().await.0, options("2", 0));
}

#[tokio::test(start_paused = true)]
async fn look_ups_are_bounded() {
    let sim = SimNet::new(1, Weather::fine());
    let a = Bench::start(conf(&["192.0.2.1:5060"], &[]), Arc::new(sim.clone()));
    let refused = (0..200)
        .filter(|n| {
            let report =
                a.send(&options("1", 0), &to_host(None, &format!("h{n}.example.com"), 5060)).try_recv();
            matches!(report, Ok(Report::Failed(SendError::QueueFull)))
        })
        .count();
    assert_eq!(refused, 200 - 32);
    let same = to_host(None, "h0.example.com", 5060);
    let joined = (0..400).filter(|_| a.send(&options("1", 0), &same).try_recv().is_err()).count();
    assert_eq!(joined, 255);
}

#[tokio::test]
async fn the_system_resolver_knows_localhost() {
    let a = Bench::start(conf(&["127.0.0.1:0"], &[]), Arc::new(tandem::net::Kernel));
    let mut b = Bench::start(conf(&["127.0.0.1:0"], &[]), Arc::new(tandem::net::Kernel));
    a.send(&options("1", 0), &to_host(None, "localhost", b.udp().port()));
    assert_eq!(b.message().await.0, options("1", 0));
}
