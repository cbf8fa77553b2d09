//! What a relayed packet and a stream cost in memory, counted by an allocator of our own. One test, since the counts are
//! of the whole process.

use std::alloc::{GlobalAlloc, Layout, System};
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tandem::media::{Engine, EngineConfig, Format, Payload, PortRange, Remote, Stream};

struct Counting;

static CALLS: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicI64 = AtomicI64::new(0);

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.fetch_add(1, Relaxed);
        BYTES.fetch_add(layout.size() as i64, Relaxed);
        // SAFETY: as the caller has it.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        BYTES.fetch_sub(layout.size() as i64, Relaxed);
        // SAFETY: as the caller has it.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn count() -> (u64, i64) {
    (CALLS.load(Relaxed), BYTES.load(Relaxed))
}

fn leg(engine: &Engine, phone: &UdpSocket) -> Stream {
    let leg = engine.open([127, 0, 0, 1].into(), Arc::new(|_, _| {})).unwrap();
    leg.format(Format::of([Payload::new("PCMU", 0, 8000), Payload::new("telephone-event", 101, 8000)]));
    leg.remote(Remote::at(phone.local_addr().unwrap()));
    leg
}

fn settle(legs: &[Stream]) {
    while !legs.iter().all(Stream::settled) {
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_packet_takes_no_memory_and_a_stream_little() {
    let ports = PortRange::new(33_000, 60_999);
    let engine = Engine::start(EngineConfig { threads: 1, ports, ..EngineConfig::default() }).unwrap();
    let phones = ["127.0.0.2", "127.0.0.3"].map(|host| UdpSocket::bind((host, 0)).unwrap());
    let call = || {
        let legs = [leg(&engine, &phones[0]), leg(&engine, &phones[1])];
        legs[0].bridge_matching(legs[1].id()).unwrap();
        legs
    };
    // The tables have grown by then to what comes.
    let warm: Vec<Stream> = (0..100).flat_map(|_| call()).collect();
    settle(&warm);
    let before = count();
    let calls: Vec<[Stream; 2]> = (0..10).map(|_| call()).collect();
    calls.iter().for_each(|legs| settle(legs));
    let after = count();
    let (allocations, bytes) = ((after.0 - before.0) / 20, (after.1 - before.1) / 20);
    println!("a stream: {allocations} allocations, {bytes} bytes");
    assert!(bytes <= 2048, "{bytes} bytes per stream");
    assert!(allocations <= 16, "{allocations} allocations per stream");

    let (legs, mut packet, mut buf) = (&calls[0], [0x80u8; 172], [0u8; 256]);
    packet[1] = 0;
    let mut say = |number: u16| {
        packet[2..4].copy_from_slice(&number.to_be_bytes());
        for (a, b) in [(0, 1), (1, 0)] {
            phones[a].send_to(&packet, legs[a].local()).unwrap();
            phones[b].recv(&mut buf).unwrap();
        }
    };
    (0..10).for_each(&mut say);
    let before = count();
    (10..1010).for_each(&mut say);
    let after = count();
    assert_eq!(after.0 - before.0, 0, "allocations for 2,000 packets");
}
