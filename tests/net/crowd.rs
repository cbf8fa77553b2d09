//! More comes in than can be done: who has a turn, who is late. A switch that begins one call each millisecond, on a
//! virtual clock.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tandem::net::{AtDoor, DatagramSocket, Incoming, Net, NetConf, Sockets, Window};
use tandem::sip::{Message, Method};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::bench::address;
use crate::sim::{SimNet, Weather};

/// What became of a request, and how long after it was sent.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
enum Fate {
    Begun,
    Late,
    Inside,
    Other,
}

/// Its Call-ID is the time it was sent at, in ms.
#[derive(Copy, Clone, Debug)]
struct Seen {
    fate: Fate,
    sent: u64,
    after: u64,
}

struct Slow {
    net: Net,
    phone: Arc<dyn DatagramSocket>,
    at: SocketAddr,
    begun: Instant,
    seen: Arc<Mutex<Vec<Seen>>>,
    /// Milliseconds in which no call is begun.
    stall: mpsc::Sender<u64>,
    branch: u64,
}

impl Slow {
    fn start() -> Self {
        let sim = SimNet::new(1, Weather::fine());
        let window = Arc::new(Window::new(8));
        let at = address("192.0.2.1:5060");
        let conf = NetConf {
            udp: vec![at],
            window: window.clone(),
            ours: Some(|tag| tag == "ours"),
            ..NetConf::default()
        };
        let (work, mut queue) = mpsc::channel::<AtDoor>(1000);
        let (stall, mut stalls) = mpsc::channel(8);
        tokio::spawn(async move {
            while let Some(call) = queue.recv().await {
                if let Ok(ms) = stalls.try_recv() {
                    tokio::time::sleep(Duration::from_millis(ms)).await;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
                drop(call);
            }
        });
        let begun = Instant::now();
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let book = seen.clone();
        let note = move |fate, message: &Message| {
            let after = begun.elapsed().as_millis() as u64;
            let sent = message.call_id().parse().expect("a time");
            book.lock().unwrap().push(Seen { fate, sent, after: after - sent });
        };
        let net = Net::start(conf, Arc::new(sim.clone()), move |incoming| match incoming {
            Incoming::Message { message: Ok(message), .. } => match message.method() {
                _ if message.to_tag().is_some() => note(Fate::Inside, &message),
                Method::Invite => {
                    note(Fate::Begun, &message);
                    work.try_send(window.enter()).expect("the window holds");
                }
                _ => note(Fate::Other, &message),
            },
            Incoming::Late { message, .. } => note(Fate::Late, &message),
            other => panic!("{other:?}"),
        });
        let phone = sim.bind_udp(address("192.0.2.2:5060")).unwrap();
        Self { net: net.unwrap(), phone, at, begun, seen, stall, branch: 0 }
    }

    fn send(&mut self, method: &str, tag: &str) {
        self.branch += 1;
        let text = format!(
            "{method} sip:b@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bK{}\r\nFrom: <sip:a@b>;tag=1\r\n\
             To: <sip:b@192.0.2.1>{tag}\r\nCall-ID: {}\r\nCSeq: 1 {method}\r\nContent-Length: 0\r\n\r\n",
            self.branch,
            self.begun.elapsed().as_millis()
        );
        self.phone.try_send_to(text.as_bytes(), self.at).unwrap();
    }

    /// For so many milliseconds: so many new calls in each ten, and so many REGISTERs in each one; a BYE of a call that is
    /// in each ten.
    async fn load(&mut self, ms: u64, calls: u64, others: u64) {
        for n in 0..ms {
            for _ in 0..(n + 1) * calls / 10 - n * calls / 10 {
                self.send("INVITE", "");
            }
            for _ in 0..others {
                self.send("REGISTER", "");
            }
            if n % 10 == 0 {
                self.send("BYE", ";tag=ours");
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// What has been seen since the last time, after all that was sent has arrived and had its turn.
    async fn seen(&self) -> Vec<Seen> {
        tokio::time::sleep(Duration::from_millis(300)).await;
        std::mem::take(&mut *self.seen.lock().unwrap())
    }
}

fn count(seen: &[Seen], fate: Fate) -> usize {
    seen.iter().filter(|s| s.fate == fate).count()
}

fn longest(seen: &[Seen], fate: Fate, sent_after: u64) -> u64 {
    seen.iter().filter(|s| s.fate == fate && s.sent >= sent_after).map(|s| s.after).max().unwrap_or(0)
}

#[tokio::test(start_paused = true)]
async fn as_many_calls_begin_as_can_be_done_however_many_come() {
    for calls in [9, 20, 50, 100] {
        let mut slow = Slow::start();
        slow.load(3000, calls, 0).await;
        let seen = slow.seen().await;
        let (begun, late) = (count(&seen, Fate::Begun), count(&seen, Fate::Late));
        assert_eq!(begun + late, 300 * calls as usize, "each has one fate");
        if calls < 10 {
            assert_eq!(late, 0, "there is room for all");
        } else {
            // One each ms, and what waited at the end.
            assert!((2900..=3100).contains(&begun), "{calls}: {begun} begun");
        }
        assert_eq!(count(&seen, Fate::Inside), 300);
        assert!(longest(&seen, Fate::Inside, 0) <= 2, "calls that are do not notice");
        // At first it may be a burst, worth waiting for; soon it is clear that it is none.
        assert!(longest(&seen, Fate::Begun, 0) <= 210 && longest(&seen, Fate::Begun, 300) <= 30);
        assert!(longest(&seen, Fate::Late, 0) <= 210 && longest(&seen, Fate::Late, 300) <= 30);
        // And then all is as before.
        slow.load(1000, 5, 0).await;
        let seen = slow.seen().await;
        assert_eq!((count(&seen, Fate::Begun), count(&seen, Fate::Late)), (500, 0));
        assert!(longest(&seen, Fate::Begun, 0) <= 10);
        slow.net.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn standing_still_for_a_moment_is_no_overload() {
    let mut slow = Slow::start();
    slow.load(500, 5, 0).await;
    slow.stall.try_send(100).unwrap();
    slow.load(500, 5, 0).await;
    let seen = slow.seen().await;
    assert_eq!((count(&seen, Fate::Begun), count(&seen, Fate::Late)), (500, 0));
    assert!(longest(&seen, Fate::Begun, 0) >= 80, "some had to wait");
    slow.net.stop().await;
}

#[tokio::test(start_paused = true)]
async fn registrations_do_not_keep_calls_out() {
    let mut slow = Slow::start();
    slow.load(1000, 100, 100).await;
    let seen = slow.seen().await;
    assert!((950..=1100).contains(&count(&seen, Fate::Begun)), "{}", count(&seen, Fate::Begun));
    assert_eq!(count(&seen, Fate::Inside), 100);
    assert!(count(&seen, Fate::Other) > 1000, "{} others", count(&seen, Fate::Other));
    slow.net.stop().await;
}
