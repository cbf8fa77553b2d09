//! How often the whole switch allocates for one call: INVITE, 100, 180, 200, ACK and BYE on both sides, dialplan, bridge
//! and port pairs, over real sockets on loopback; how much it holds for a call that is up, and how many calls
//! it holds that are never acknowledged. The two phones are this
//! test's own thread, which is not counted.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering};
use std::time::Duration;

use tandem::config::{self, Options};
use tandem::net::Kernel;
use tandem::switch::{Switch, Tree};

struct Counting;

static COUNT: AtomicUsize = AtomicUsize::new(0);
/// Bytes asked for and not given back.
static HELD: AtomicIsize = AtomicIsize::new(0);

thread_local! {
    static PHONES: Cell<bool> = const { Cell::new(false) };
}

fn count(times: usize, bytes: isize) {
    if !PHONES.try_with(Cell::get).unwrap_or(true) {
        COUNT.fetch_add(times, Ordering::Relaxed);
        HELD.fetch_add(bytes, Ordering::Relaxed);
    }
}

// SAFETY: every call goes on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size() as isize);
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        count(0, -(layout.size() as isize));
        unsafe { System.dealloc(place, layout) }
    }
    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(1, size as isize - layout.size() as isize);
        unsafe { System.realloc(place, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Measured: 363. What a call may cost before somebody must look.
const MOST: usize = 750;

/// Measured: 874. The same while somebody listens to every event: 33 events a call.
const MOST_HEARD: usize = 1400;

/// Descriptors that this process may have open.
const DESCRIPTORS: u64 = 640;

/// Measured: 19,200. Bytes that a call which is up may hold before somebody must look.
const MOST_HELD: isize = 24 << 10;

const SDP: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                   m=audio 20000 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\n";

fn tree(switch: SocketAddr, callee: SocketAddr) -> Tree {
    let (ip, port) = (switch.ip(), switch.port());
    let text = format!(
        r#"<document type="freeswitch/xml">
<section name="configuration">
  <configuration name="switch.conf"><settings>
    <param name="max-sessions" value="1000"/><param name="sessions-per-second" value="100000"/>
    <param name="rtp-start-port" value="20000"/><param name="rtp-end-port" value="60000"/>
  </settings></configuration>
  <configuration name="sofia.conf"><profiles><profile name="internal"><settings>
    <param name="sip-ip" value="{ip}"/><param name="sip-port" value="{port}"/><param name="rtp-ip" value="{ip}"/>
    <param name="context" value="default"/><param name="auth-calls" value="false"/>
    <param name="max-recv-requests-per-second" value="0"/>
    <param name="inbound-late-negotiation" value="true"/>
    <param name="inbound-codec-prefs" value="PCMU,PCMA"/><param name="outbound-codec-prefs" value="PCMU,PCMA"/>
  </settings></profile></profiles></configuration>
</section>
<section name="dialplan"><context name="default"><extension name="all">
  <condition field="destination_number" expression="^(.*)$">
    <action application="set" data="hangup_after_bridge=true"/>
    <action application="bridge" data="sofia/internal/$1@{callee}"/>
  </condition>
</extension></context></section>
</document>"#
    );
    let loaded = config::parse("freeswitch.xml", &text, &Options::new("/nowhere"));
    loaded.globals.set("db_dir", ""); // what calls store stays in memory
    let tree = Tree::of(loaded);
    let errors: Vec<String> = tree.errors().map(ToString::to_string).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    tree
}

/// One of the two phones.
struct Phone {
    socket: UdpSocket,
    switch: SocketAddr,
    me: SocketAddr,
}

impl Phone {
    fn new(socket: UdpSocket, switch: SocketAddr) -> Phone {
        socket.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
        let me = socket.local_addr().expect("an address");
        Phone { socket, switch, me }
    }

    fn send(&self, text: &str) {
        self.socket.send_to(text.as_bytes(), self.switch).expect("sent");
    }

    /// The next message whose first line begins so.
    fn expect(&self, start: &str) -> String {
        let mut buffer = [0; 4096];
        loop {
            let length = self.socket.recv(&mut buffer).unwrap_or_else(|e| panic!("no {start}: {e}"));
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if text.starts_with(start) {
                return text;
            }
        }
    }

    /// The same in the caller's call `n`: what comes again of others is passed over.
    fn expect_of(&self, n: usize, start: &str) -> String {
        loop {
            let text = self.expect(start);
            if text.contains(&format!("Call-ID: call-{n}@phone\r\n")) {
                return text;
            }
        }
    }

    /// A request of the caller: method, branch, header lines, body.
    fn request(&self, method: &str, uri: &str, call: usize, cseq: u32, to: &str, body: &str) {
        let me = self.me;
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        self.send(&format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bK-{call}-{method}\r\n\
             From: \"Caller\" <sip:1000@127.0.0.1>;tag=c{call}\r\nTo: {to}\r\nCall-ID: call-{call}@phone\r\n\
             CSeq: {cseq} {method}\r\nContact: <sip:1000@{me}>\r\nMax-Forwards: 70\r\nUser-Agent: test\r\n{kind}\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        ));
    }

    /// A response of the callee.
    fn respond(&self, request: &str, status: &str, body: &str) {
        let line = |name: &str| header(request, name);
        let to = line("To");
        let tag = if to.contains(";tag=") { "" } else { ";tag=callee" };
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        self.send(&format!(
            "SIP/2.0 {status}\r\nVia: {}\r\nFrom: {}\r\nTo: {to}{tag}\r\nCall-ID: {}\r\nCSeq: {}\r\n\
             Contact: <sip:callee@{}>\r\n{kind}Content-Length: {}\r\n\r\n{body}",
            line("Via"),
            line("From"),
            line("Call-ID"),
            line("CSeq"),
            self.me,
            body.len()
        ));
    }
}

fn header<'m>(message: &'m str, name: &str) -> &'m str {
    let found = message.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(": "));
    found.unwrap_or_else(|| panic!("no {name} in {message}"))
}

/// Up to the 200; its To.
fn answered(caller: &Phone, callee: &Phone, n: usize) -> String {
    let uri = format!("sip:1001@{}", caller.switch);
    caller.request("INVITE", &uri, n, 1, "<sip:1001@127.0.0.1>", SDP);
    let invite = callee.expect("INVITE ");
    callee.respond(&invite, "180 Ringing", "");
    caller.expect_of(n, "SIP/2.0 180");
    callee.respond(&invite, "200 OK", SDP);
    let answer = caller.expect_of(n, "SIP/2.0 200");
    header(&answer, "To").to_owned()
}

fn acknowledge(caller: &Phone, n: usize, to: &str) {
    caller.request("ACK", &format!("sip:1001@{}", caller.switch), n, 1, to, "");
}

/// Up to the ACK; the To of the 200.
fn begin(caller: &Phone, callee: &Phone, n: usize) -> String {
    let to = answered(caller, callee, n);
    acknowledge(caller, n, &to);
    callee.expect("ACK ");
    to
}

fn end(caller: &Phone, callee: &Phone, n: usize, to: &str) {
    let uri = format!("sip:1001@{}", caller.switch);
    caller.request("BYE", &uri, n, 2, to, "");
    let bye = callee.expect("BYE ");
    callee.respond(&bye, "200 OK", "");
    caller.expect_of(n, "SIP/2.0 200");
}

fn call(caller: &Phone, callee: &Phone, n: usize) {
    let to = begin(caller, callee, n);
    end(caller, callee, n, &to);
}

/// Bytes held once nothing is under way.
fn held() -> isize {
    std::thread::sleep(Duration::from_millis(200));
    HELD.load(Ordering::Relaxed)
}

#[test]
fn one_call_through_the_whole_switch() {
    PHONES.with(|p| p.set(true));
    let limit = libc::rlimit { rlim_cur: DESCRIPTORS, rlim_max: DESCRIPTORS };
    // SAFETY: `limit` is a whole rlimit and outlives the call.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) }, 0);
    let free = || UdpSocket::bind("127.0.0.1:0").expect("a port");
    let (caller, callee, probe) = (free(), free(), free());
    let switch = probe.local_addr().expect("an address");
    drop(probe);
    let (caller, callee) = (Phone::new(caller, switch), Phone::new(callee, switch));
    let tree = tree(switch, callee.me);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let entered = runtime.enter();
    let running = Switch::start(tree, Arc::new(Kernel), false).expect("it starts");
    (0..20).for_each(|n| call(&caller, &callee, n));
    let before = COUNT.load(Ordering::Relaxed);
    const CALLS: usize = 50;
    (20..20 + CALLS).for_each(|n| call(&caller, &callee, n));
    let each = (COUNT.load(Ordering::Relaxed) - before) / CALLS;
    println!("{each} allocations per call");
    assert!(each <= MOST, "{each} allocations per call");
    let (ear, told) = (running.exchange.events.listen(), running.exchange.events.sequence());
    let before = COUNT.load(Ordering::Relaxed);
    (20 + CALLS..20 + 2 * CALLS).for_each(|n| call(&caller, &callee, n));
    let each = (COUNT.load(Ordering::Relaxed) - before) / CALLS;
    let events = (running.exchange.events.sequence() - told) / CALLS as u64;
    drop(ear);
    println!("{each} allocations per call of {events} events that are heard");
    assert!(events >= 20 && each <= MOST_HEARD, "{each} allocations per call of {events} events");
    let before = held();
    let up: Vec<_> = (130..130 + CALLS).map(|n| (n, begin(&caller, &callee, n))).collect();
    let each = (held() - before) / CALLS as isize;
    up.into_iter().for_each(|(n, to)| end(&caller, &callee, n, &to));
    println!("{each} bytes per call that is up");
    assert!((1..=MOST_HELD).contains(&each), "{each} bytes per call that is up");
    // A caller that never acknowledges: its share is half of a quarter of the descriptors, four to a call. With more calls
    // than that up before, this also shows that those which are acknowledged do not count.
    const SHARE: usize = DESCRIPTORS as usize / 4 / 4 / 2;
    const { assert!(SHARE < CALLS) };
    let waiting: Vec<_> = (200..200 + SHARE).map(|n| (n, answered(&caller, &callee, n))).collect();
    // They count once the 200 had to be sent again.
    std::thread::sleep(Duration::from_millis(900));
    let uri = format!("sip:1001@{switch}");
    let invite = |n| caller.request("INVITE", &uri, n, 1, "<sip:1001@127.0.0.1>", SDP);
    invite(300);
    let refused = caller.expect_of(300, "SIP/2.0 503");
    assert_eq!(header(&refused, "Retry-After"), "32", "{refused}");
    for (n, to) in &waiting {
        acknowledge(&caller, *n, to);
    }
    std::thread::sleep(Duration::from_millis(200));
    let to = begin(&caller, &callee, 301);
    end(&caller, &callee, 301, &to);
    waiting.into_iter().for_each(|(n, to)| end(&caller, &callee, n, &to));
    drop(entered);
    runtime.block_on(running.stop());
}
