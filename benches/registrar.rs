//! One REGISTER round, the parse left out and counted in. Run with `cargo bench --bench registrar`.
//!
//! Machines differ and are noisy: read the figures as ratios within one run. Allocations are exact.

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tandem::registrar::{Bounds, Policy, Registrar, Request};
use tandem::sip::{Flow, Limits, Message};

struct Counting;

static CALLS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system allocator unchanged; only a number is kept beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.fetch_add(1, Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const USERS: u32 = 100_000;

fn datagram(user: u32, cseq: u32) -> Bytes {
    format!(
        "REGISTER sip:example.com SIP/2.0\r\n\
         Via: SIP/2.0/UDP 10.0.0.9:5090;branch=z9hG4bK-{user}-{cseq};rport\r\n\
         Max-Forwards: 70\r\n\
         Contact: <sip:{user}@10.0.0.9:5090;rinstance=6f1d;transport=UDP>\r\n\
         To: <sip:{user}@example.com;transport=UDP>\r\n\
         From: <sip:{user}@example.com;transport=UDP>;tag=7a1e\r\n\
         Call-ID: {user}-aBcDeFgH@10.0.0.9\r\n\
         CSeq: {cseq} REGISTER\r\n\
         Expires: 3600\r\n\
         Allow: INVITE, ACK, CANCEL, BYE, NOTIFY, REFER, MESSAGE, OPTIONS, INFO, SUBSCRIBE\r\n\
         User-Agent: Zoiper v2.10\r\n\
         Content-Length: 0\r\n\r\n"
    )
    .into()
}

fn main() {
    let began = Instant::now();
    let table = Registrar::new(began, Bounds::default());
    let policy = Policy::new("internal");
    let flow = Flow::udp("192.0.2.1:5060".parse().unwrap(), "198.51.100.7:40000".parse().unwrap());
    let limits = Limits::default();
    let register = |user: u32, request: &Request, now| {
        black_box(table.register(now, request, flow, (&user.to_string(), "example.com"), &policy).unwrap());
    };

    let round = |name: &str, count: u32, mut one: Box<dyn FnMut(u32) + '_>| {
        let (start, calls) = (Instant::now(), CALLS.load(Relaxed));
        for n in 0..count {
            one(n);
        }
        let (time, calls) = (start.elapsed(), CALLS.load(Relaxed) - calls);
        println!(
            "{name:<44} {:>8.0} ns {:>6.1} allocations",
            time.as_nanos() as f64 / f64::from(count),
            calls as f64 / f64::from(count)
        );
    };

    let first: Vec<Bytes> = (0..USERS).map(|n| datagram(n, 1)).collect();
    let second: Vec<Bytes> = (0..USERS).map(|n| datagram(n, 2)).collect();
    let parsed: Vec<Message> = first.iter().map(|d| Message::parse(d.clone(), &limits).unwrap()).collect();
    let read: Vec<Request> = parsed.iter().map(|m| Request::read(m).unwrap()).collect();

    round("register, request ready", USERS, Box::new(|n| register(n, &read[n as usize], began)));
    round(
        "refresh, parse included",
        USERS,
        Box::new(|n| {
            let message = Message::parse(second[n as usize].clone(), &limits).unwrap();
            register(n, &Request::read(&message).unwrap(), began + Duration::from_secs(60));
        }),
    );
    round(
        "read a parsed message",
        USERS,
        Box::new(|n| {
            black_box(Request::read(&parsed[n as usize]).unwrap());
        }),
    );
    round(
        "look up",
        USERS,
        Box::new(|n| {
            black_box(table.lookup(began, &n.to_string(), "example.com"));
        }),
    );
    let start = Instant::now();
    let gone = table.expire(began + Duration::from_secs(7200)).len();
    println!(
        "{:<44} {:>8.0} ns each",
        format!("expire {gone}"),
        start.elapsed().as_nanos() as f64 / gone as f64
    );
}
