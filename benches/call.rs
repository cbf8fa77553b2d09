//! One whole call between two sessions in memory: INVITE, 100, 180, 200, ACK, BYE, 200, printed and parsed each way.
//!
//! What it costs without sockets, tasks and media: CPU time, allocations and bytes per call, both sides together.

use bytes::Bytes;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use std::alloc::{GlobalAlloc, Layout, System};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tandem::dialog::{Event, Invite, Output, Session, SessionConfig};
use tandem::sip::{Destination, Flow, Limits, Message, NameAddr, Uri};

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call goes to the system's allocator unchanged; only a counter is kept beside.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const SDP: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
                   m=audio 20000 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\n";

fn config(tag: &str) -> SessionConfig {
    SessionConfig {
        local_tag: tag.to_owned(),
        branch_prefix: format!("z9hG4bK{tag}."),
        sent_by: vec![(tandem::sip::Transport::Udp, "192.0.2.1:5060".to_owned())],
        contact: "<sip:mod_sofia@192.0.2.1:5060>".to_owned(),
        user_agent: Some("tandem".to_owned()),
        ..SessionConfig::default()
    }
}

/// Moves every message between the two until both are quiet; true when `stop` was seen.
fn shuttle(
    now: Instant,
    a: &mut Session,
    b: &mut Option<Session>,
    there: Flow,
    back: Flow,
    messages: &mut u64,
) {
    loop {
        let mut moved = false;
        while let Some(output) = a.poll() {
            moved = true;
            let Output::Send { bytes, .. } = output else { continue };
            *messages += 1;
            let message = Message::parse(bytes, &Limits::default()).expect("ours");
            match b {
                Some(b) => b.receive(now, message, there),
                None => {
                    *b = Some(Session::incoming(
                        now,
                        config("bbbb"),
                        message,
                        there,
                        SmallRng::seed_from_u64(2),
                    ))
                }
            }
        }
        let mut answer = None;
        if let Some(b) = b {
            while let Some(output) = b.poll() {
                moved = true;
                match output {
                    Output::Send { bytes, .. } => {
                        *messages += 1;
                        a.receive(now, Message::parse(bytes, &Limits::default()).expect("ours"), back);
                    }
                    Output::Event(Event::Bye { .. }) => answer = Some(()),
                    Output::Event(_) => {}
                }
            }
        }
        if !moved && answer.is_none() {
            return;
        }
    }
}

fn call(messages: &mut u64) {
    let now = Instant::now();
    let here: SocketAddr = "192.0.2.1:5060".parse().expect("an address");
    let phone: SocketAddr = "192.0.2.9:5060".parse().expect("an address");
    let (there, back) = (Flow::udp(phone, here), Flow::udp(here, phone));
    let invite = Invite {
        uri: "sip:1001@192.0.2.9:5060;rinstance=0123456789abcdef".parse().expect("a URI"),
        from: NameAddr::new(Uri::sip(Some("1000"), "192.0.2.1", None)).with_display("Extension 1000"),
        to: NameAddr::new(Uri::sip(Some("1001"), "192.0.2.9", None)),
        call_id: "24797559-5f93-48cf-a40b-ff9103cf4421".to_owned(),
        cseq: 1,
        routes: Vec::new(),
        headers: vec![("X-FS-Support".to_owned(), "update_display,send_info".to_owned())],
        max_forwards: 69,
        sdp: Some(Bytes::from_static(SDP.as_bytes())),
        to_destination: Destination::Flow(back),
        reliable: false,
    };
    let mut a = Session::outgoing(now, config("aaaa"), invite, SmallRng::seed_from_u64(1));
    let mut b = None;
    shuttle(now, &mut a, &mut b, there, back, messages);
    let callee = b.as_mut().expect("the INVITE arrived");
    callee.provisional(now, 180, None, &[]).expect("180");
    callee.answer(now, Some(Bytes::from_static(SDP.as_bytes())), &[]).expect("200");
    shuttle(now, &mut a, &mut b, there, back, messages);
    a.bye(now, &[]).expect("BYE");
    shuttle(now, &mut a, &mut b, there, back, messages);
}

fn main() {
    const ROUNDS: u32 = 7;
    const CALLS: u32 = 2_000;
    let mut times = Vec::new();
    let mut messages = 0;
    call(&mut messages);
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    messages = 0;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for _ in 0..CALLS {
            call(&mut messages);
        }
        times.push(start.elapsed() / CALLS);
    }
    times.sort_unstable();
    let calls = u64::from(ROUNDS * CALLS);
    let allocations = (ALLOCATIONS.load(Ordering::Relaxed) - before) / calls;
    let median: Duration = times[times.len() / 2];
    println!(
        "a call in memory, both sides: {:.1} µs median of {ROUNDS} ({:.1}–{:.1}), {} messages, {allocations} allocations",
        median.as_secs_f64() * 1e6,
        times[0].as_secs_f64() * 1e6,
        times[times.len() - 1].as_secs_f64() * 1e6,
        messages / calls,
    );
}
