//! The virtual network itself, and the transactions over it through [`tandem::net::Net`].

use std::sync::Arc;
use std::time::{Duration, Instant};

use tandem::net::{Incoming, Sockets};
use tandem::sip::{Limits, Message};
use tandem::transaction::{Output, Timers, Transactions};

use crate::bench::{Bench, address, conf, options, to_host};
use crate::sim::{Nat, Seeded, SimNet, Weather, receive, seeds};

#[tokio::test(start_paused = true)]
async fn nat_lets_in_whom_it_has_sent_to() {
    let sim = SimNet::new(1, Weather::fine());
    let (inside, outside) = (address("10.0.0.5:5060"), address("198.51.100.1:1").ip());
    for kind in [Nat::Cone, Nat::Symmetric] {
        sim.behind_nat(inside.ip(), outside, kind);
        let phone = sim.bind_udp(inside).unwrap();
        let server = sim.bind_udp(address("192.0.2.1:5060")).unwrap();
        let stranger = sim.bind_udp(address("192.0.2.9:5060")).unwrap();
        phone.try_send_to(b"hello", server.local_addr()).unwrap();
        let (_, seen) = receive(&*server).await;
        assert_eq!(seen.ip(), outside);
        stranger.try_send_to(b"let me in", seen).unwrap();
        stranger.try_send_to(b"let me in", inside).unwrap();
        server.try_send_to(b"welcome", seen).unwrap();
        assert_eq!(receive(&*phone).await, (b"welcome".to_vec(), server.local_addr()));
        sim.nat_forgets(outside);
        server.try_send_to(b"anybody home?", seen).unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(phone.try_recv_from(&mut [0; 100]).is_err());
    }
    assert_eq!(sim.open(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_weather_is_as_ordered() {
    let weather = Weather { duplicate: 0.1, ..Weather::rough(0.2) };
    let sim = SimNet::new(7, weather);
    let a = sim.bind_udp(address("192.0.2.1:0")).unwrap();
    let b = sim.bind_udp(address("192.0.2.2:0")).unwrap();
    for n in 0..10_000_u16 {
        a.try_send_to(&n.to_be_bytes(), b.local_addr()).unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let tally = sim.tally();
    assert!((1_800..2_200).contains(&tally.lost), "{tally:?}");
    assert!((700..900).contains(&tally.duplicated), "{tally:?}");
    let mut buffer = [0; 10];
    let mut order = Vec::new();
    while let Ok((2, _)) = b.try_recv_from(&mut buffer) {
        order.push(u16::from_be_bytes([buffer[0], buffer[1]]));
    }
    assert_eq!(order.len() as u64, tally.delivered);
    assert!(order.windows(2).any(|pair| pair[0] > pair[1]), "some overtook others");
}

fn hear(table: &mut Transactions, incoming: Incoming, now: Instant) {
    match incoming {
        Incoming::Message { message: Ok(message), flow, .. } => table.receive(now, message, flow),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_gets_its_answer_through_ten_percent_loss() {
    for seed in seeds(100) {
        let _seeded = Seeded(seed);
        let sim = SimNet::new(seed, Weather::rough(0.10));
        let mut a = Bench::start(conf(&["192.0.2.1:5060"], &[]), Arc::new(sim.clone()));
        let mut b = Bench::start(conf(&["192.0.2.2:5060"], &[]), Arc::new(sim.clone()));
        let now = || tokio::time::Instant::now().into_std();
        let mut client = Transactions::new(Timers::default(), 10);
        let mut server = Transactions::new(Timers::default(), 10);
        let request = Message::parse(options("1", 0), &Limits::default()).unwrap();
        client.request(now(), request, to_host(None, "192.0.2.2", 5060), false).unwrap();
        let (mut answered, mut asked) = (0, 0);
        while !(client.is_empty() && server.is_empty()) {
            for (table, net) in [(&mut client, &a.net), (&mut server, &b.net)] {
                while let Some(output) = table.poll() {
                    match output {
                        Output::Send { bytes, to, .. } => net.send(bytes, &to, |report| panic!("{report:?}")),
                        Output::Request { id, message, flow } => {
                            asked += 1;
                            let response =
                                tandem::sip::Builder::response(&message, &flow, 200, "OK").finish();
                            table.respond(now(), id, response, 200);
                        }
                        Output::Response { .. } => answered += 1,
                        other => panic!("seed {seed}: {other:?}"),
                    }
                }
            }
            let next = client.next_timeout().into_iter().chain(server.next_timeout()).min();
            let wake = tokio::time::Instant::from_std(next.unwrap_or_else(now));
            tokio::select! {
                incoming = a.at_last() => hear(&mut client, incoming, now()),
                incoming = b.at_last() => hear(&mut server, incoming, now()),
                () = tokio::time::sleep_until(wake) => {
                    client.timeout(now());
                    server.timeout(now());
                }
            }
        }
        assert_eq!((asked, answered), (1, 1));
        a.net.stop().await;
        b.net.stop().await;
        drop((a, b));
        assert_eq!(sim.open(), 0, "nothing is left open");
    }
}
