//! One whole call between two sessions in memory: INVITE, 100, 180, 200, ACK, BYE, 200, printed and parsed each way.
//!
//! What it costs without sockets, tasks and media: CPU time, allocations and bytes per call, both sides together; and
//! what a session keeps while the call is up, and leaves when it is over.
//!
//! `cargo bench --bench call -- count N` makes N calls and says nothing: run under callgrind with two values of N, the
//! difference is what a call costs in instructions.

use bytes::Bytes;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use std::alloc::{GlobalAlloc, Layout, System};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};
use tandem::dialog::{Identity, Invite, Output, Session, SessionConfig};
use tandem::sip::{Destination, Flow, Limits, Message, NameAddr, Uri};

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static HELD: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call goes to the system's allocator unchanged; only counters are kept beside.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        HELD.fetch_add(layout.size() as u64, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size() as u64, Ordering::Relaxed);
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const SDP: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
                   m=audio 20000 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\n";

/// A session of a profile, as the switch makes them.
fn identity(tag: &str) -> Identity {
    static SHARED: LazyLock<Arc<SessionConfig>> = LazyLock::new(|| {
        Arc::new(SessionConfig {
            sent_by: vec![(tandem::sip::Transport::Udp, "192.0.2.1:5060".into())],
            user_agent: Some("tandem".into()),
            ..SessionConfig::default()
        })
    });
    Identity {
        shared: SHARED.clone(),
        local_tag: tag.into(),
        branch_prefix: format!("z9hG4bK{tag}.").into(),
        contact: "<sip:mod_sofia@192.0.2.1:5060>".into(),
        sticky: true,
    }
}

/// The two sides of one call and what is between them.
struct Call {
    now: Instant,
    caller: Session,
    callee: Option<Session>,
    messages: u64,
}

impl Call {
    fn flows() -> (Flow, Flow) {
        let here: SocketAddr = ([192, 0, 2, 1], 5060).into();
        let phone: SocketAddr = ([192, 0, 2, 9], 5060).into();
        (Flow::udp(phone, here), Flow::udp(here, phone))
    }

    fn begin(now: Instant) -> Call {
        let (_, back) = Call::flows();
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
        let caller = Session::outgoing(now, identity("aaaaaaaaaaaaaaaa"), invite, SmallRng::seed_from_u64(1));
        Call { now, caller, callee: None, messages: 0 }
    }

    fn read(&mut self, bytes: &[u8]) -> Message {
        self.messages += 1;
        Message::parse(Bytes::copy_from_slice(bytes), &Limits::default()).expect("ours")
    }

    /// Moves every message between the two until both are quiet.
    fn shuttle(&mut self) {
        let (there, back) = Call::flows();
        let mut moved = true;
        while std::mem::take(&mut moved) {
            while let Some(output) = self.caller.poll() {
                moved = true;
                let Output::Send { bytes, .. } = output else { continue };
                let message = self.read(&bytes);
                match &mut self.callee {
                    Some(callee) => callee.receive(self.now, message, there),
                    None => {
                        let rng = SmallRng::seed_from_u64(2);
                        self.callee = Some(Session::incoming(
                            self.now,
                            identity("bbbbbbbbbbbbbbbb"),
                            message,
                            there,
                            rng,
                        ));
                    }
                }
            }
            while let Some(output) = self.callee.as_mut().and_then(Session::poll) {
                moved = true;
                let Output::Send { bytes, .. } = output else { continue };
                let message = self.read(&bytes);
                self.caller.receive(self.now, message, back);
            }
        }
    }

    fn establish(&mut self) {
        self.shuttle();
        let callee = self.callee.as_mut().expect("the INVITE arrived");
        callee.provisional(self.now, 180, None, &[]).expect("180");
        callee.answer(self.now, Some(Bytes::from_static(SDP.as_bytes())), &[]).expect("200");
        self.shuttle();
    }

    fn end(&mut self) {
        self.caller.bye(self.now, &[]).expect("BYE");
        self.shuttle();
    }
}

fn call() -> u64 {
    let mut call = Call::begin(Instant::now());
    call.establish();
    call.end();
    call.messages
}

fn held(before: u64) -> u64 {
    HELD.load(Ordering::Relaxed) - before
}

/// Bytes on the heap: an established session of each side, and what each leaves.
fn memory() {
    const CALLS: u64 = 500;
    let now = Instant::now();
    let mut calls: Vec<Call> = (0..CALLS).map(|_| Call::begin(now)).collect();
    for call in &mut calls {
        call.establish();
        // The time of all timers of the call's beginning.
        let later = now + Duration::from_secs(33);
        call.caller.timeout(later);
        call.callee.as_mut().expect("a callee").timeout(later);
        call.now = later;
    }
    let inline = size_of::<Session>() as u64;
    let sizes: Vec<[u64; 2]> = calls
        .into_iter()
        .map(|mut call| {
            let mut ended = Call::begin(call.now);
            ended.establish();
            ended.end();
            let all = HELD.load(Ordering::Relaxed);
            drop(call.callee.take());
            let without_callee = HELD.load(Ordering::Relaxed);
            drop(call);
            [all - without_callee, without_callee - HELD.load(Ordering::Relaxed)]
        })
        .collect();
    let (callee, caller) = (sizes[0][0], sizes[0][1]);
    println!(
        "an established session keeps {} bytes called, {} calling; {inline} of them in itself",
        callee + inline,
        caller + inline
    );
    let mut call = Call::begin(now);
    call.establish();
    call.end();
    for (what, session) in [("calling", Some(call.caller)), ("called", call.callee)] {
        let session = session.expect("a session");
        let before = HELD.load(Ordering::Relaxed);
        let remains = session.remains().expect("remains");
        println!("what is left of a {what} session: {} bytes", held(before));
        drop(remains);
    }
}

fn main() {
    const ROUNDS: u32 = 7;
    const CALLS: u32 = 2_000;
    let words: Vec<String> = std::env::args().collect();
    if let Some(at) = words.iter().position(|w| w == "count") {
        let number = words.get(at + 1).and_then(|n| n.parse().ok()).unwrap_or(1000);
        for _ in 0..number {
            call();
        }
        return;
    }
    let mut times = Vec::new();
    let mut messages = call();
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for _ in 0..CALLS {
            messages = call();
        }
        times.push(start.elapsed() / CALLS);
    }
    times.sort_unstable();
    let allocations = (ALLOCATIONS.load(Ordering::Relaxed) - before) / u64::from(ROUNDS * CALLS);
    let median: Duration = times[times.len() / 2];
    println!(
        "a call in memory, both sides: {:.1} µs median of {ROUNDS} ({:.1}–{:.1}), {messages} messages, {allocations} allocations",
        median.as_secs_f64() * 1e6,
        times[0].as_secs_f64() * 1e6,
        times[times.len() - 1].as_secs_f64() * 1e6,
    );
    memory();
}
