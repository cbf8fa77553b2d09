//! What is measured: our engine, and a bare epoll loop that does the same without looking at the packets.

use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;

use tandem::media::{Engine, EngineConfig, Format, Payload, PortRange, Remote, Stream};

use crate::phones::{Call, at, phones, socket};

/// The engine with its one thread; the streams live as long as it.
pub struct Ours {
    engine: Engine,
    streams: Vec<Stream>,
}

impl Drop for Ours {
    fn drop(&mut self) {
        self.streams.clear();
        self.engine.stop();
    }
}

pub fn ours(n: usize, hold_off: Duration) -> (Ours, Vec<Call>) {
    let ports = PortRange::new(20_000, 60_000);
    let config = EngineConfig { threads: 1, ports, hold_off, ..EngineConfig::default() };
    let engine = Engine::start(config).expect("an engine");
    let (mut streams, mut calls) = (Vec::new(), Vec::new());
    for _ in 0..n {
        let phones = phones();
        let legs = [0, 1].map(|i: usize| {
            let leg = engine.open([127, 0, 0, 1].into(), Arc::new(|_, _| {})).expect("a stream");
            leg.format(Format::of([
                Payload::new("PCMU", 0, 8000),
                Payload::new("telephone-event", 101, 8000),
            ]));
            leg.remote(Remote::at(at(&phones[i])));
            leg
        });
        legs[0].bridge_matching(legs[1].id()).expect("both are there");
        calls.push(Call { ports: [legs[0].local(), legs[1].local()], phones });
        streams.extend(legs);
    }
    (Ours { engine, streams }, calls)
}

/// The bare loop's thread.
pub struct Bare {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Bare {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        if let Some(t) = self.thread.take() {
            t.join().expect("the bare loop ends");
        }
    }
}

/// Edge-triggered, connected sockets, length and version checked, nothing else.
pub fn bare(n: usize) -> (Bare, Vec<Call>) {
    let (mut sockets, mut calls) = (Vec::new(), Vec::new());
    for _ in 0..n {
        let phones = phones();
        let pair = [0, 1].map(|i: usize| {
            let s = socket("127.0.0.1");
            s.connect(at(&phones[i])).expect("connected");
            s
        });
        calls.push(Call { ports: [at(&pair[0]), at(&pair[1])], phones });
        sockets.extend(pair);
    }
    // SAFETY: no pointers are passed.
    let epoll = unsafe { libc::epoll_create1(0) };
    for (i, s) in sockets.iter().enumerate() {
        let mut e = libc::epoll_event { events: (libc::EPOLLIN | libc::EPOLLET) as u32, u64: i as u64 };
        // SAFETY: `e` outlives the call.
        assert_eq!(unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, s.as_raw_fd(), &mut e) }, 0);
    }
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    let body = move || {
        let mut events = vec![libc::epoll_event { events: 0, u64: 0 }; 256];
        let mut buf = vec![0u8; 65_536];
        while !stopped.load(Relaxed) {
            // SAFETY: room for 256 events.
            let ready = unsafe { libc::epoll_wait(epoll, events.as_mut_ptr(), 256, 50) };
            for e in events.iter().take(usize::try_from(ready).unwrap_or(0)) {
                let i = e.u64 as usize;
                while let Ok(len) = sockets[i].recv(&mut buf) {
                    if len > 12 && buf[0] >> 6 == 2 {
                        drop(sockets[i ^ 1].send(&buf[..len]));
                    }
                }
            }
        }
        // SAFETY: the set is ours and closed once.
        unsafe { libc::close(epoll) };
    };
    let thread = std::thread::Builder::new().name("bare".into()).spawn(body).expect("a thread");
    (Bare { stop, thread: Some(thread) }, calls)
}
