//! How often parsing and printing allocate: an ordinary message costs a handful, whatever its number of headers. How
//! often a whole call does, what a session keeps while the call is up, and what it leaves.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use bytes::{Bytes, BytesMut};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tandem::sip::digest::{Algorithm, ha1, verify};

use rand::SeedableRng;
use rand::rngs::SmallRng;
use tandem::dialog::{Identity, Invite, Output, Session, SessionConfig};
use tandem::sip::{Builder, Destination, Flow, Limits, Message, Name, NameAddr, Transport, Uri};

struct Counting;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
    static HELD: Cell<isize> = const { Cell::new(0) };
}

fn note(count: usize, bytes: isize) {
    let _ = COUNT.try_with(|c| c.set(c.get() + count));
    let _ = HELD.try_with(|c| c.set(c.get() + bytes));
}

// SAFETY: every call goes on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(1, layout.size() as isize);
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        note(0, -(layout.size() as isize));
        unsafe { System.dealloc(place, layout) }
    }
    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(1, size as isize - layout.size() as isize);
        unsafe { System.realloc(place, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn counted<T>(work: impl FnOnce() -> T) -> (usize, T) {
    let before = COUNT.with(Cell::get);
    let result = work();
    (COUNT.with(Cell::get) - before, result)
}

/// Bytes that `work` leaves on the heap, its result included.
fn held<T>(work: impl FnOnce() -> T) -> (isize, T) {
    let before = HELD.with(Cell::get);
    let result = work();
    (HELD.with(Cell::get) - before, result)
}

/// A datagram as `net` hands it over: a piece of a larger receive buffer.
fn datagram(text: &str) -> Bytes {
    let mut buffer = BytesMut::with_capacity(64 * 1024);
    buffer.extend_from_slice(text.replace('\n', "\r\n").as_bytes());
    buffer.split().freeze()
}

const INVITE: &str = include_str!("fixtures/invite.txt");
const REGISTER: &str = include_str!("fixtures/register.txt");

#[test]
fn parsing() {
    for (what, text, limit) in [("INVITE", INVITE, 2), ("REGISTER", REGISTER, 2)] {
        let raw = datagram(text);
        let (count, message) = counted(|| Message::parse(raw, &Limits::default()).unwrap());
        assert!(count <= limit, "{what}: {count} allocations");
        let (count, _) = counted(|| {
            (message.clone(), message.body_bytes(), message.header(Name::UserAgent).map(str::len))
        });
        assert_eq!(count, 0, "{what}: a clone, the body, a header");
    }
    // A buffer of its own makes one more: it becomes shared.
    let raw = Bytes::from(INVITE.replace('\n', "\r\n"));
    let (count, _) = counted(|| Message::parse(raw, &Limits::default()).unwrap());
    assert!(count <= 3, "{count} allocations");
}

#[test]
fn answering() {
    let flow = Flow::udp("192.0.2.1:5060".parse().unwrap(), "198.51.100.7:4444".parse().unwrap());
    let message = Message::parse(datagram(INVITE), &Limits::default()).unwrap();
    let (count, _) = counted(|| {
        Builder::response(&message, &flow, 180, "Ringing")
            .to_tag("x")
            .header(Name::Contact, "<sip:mod@192.0.2.1:5060>")
            .header(Name::UserAgent, "tandem")
            .header(Name::Allow, "INVITE, ACK, BYE")
            .finish()
    });
    assert!(count <= 3, "{count} allocations");
}

#[test]
fn checking_a_digest() {
    let message = Message::parse(datagram(REGISTER), &Limits::default()).unwrap();
    let key = ha1(Algorithm::Md5, "1001", "127.0.0.1", "secret");
    let (count, right) = counted(|| {
        let credentials = message.authorization().next().unwrap().unwrap();
        verify(&credentials, &key, "REGISTER").unwrap()
    });
    assert!(right);
    assert_eq!(count, 0);
}

//------------ A call ----------------------------------------------------------------------------------------

const SDP: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
                   m=audio 20000 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\n";

fn identity(tag: &str, shared: &Arc<SessionConfig>) -> Identity {
    Identity {
        shared: shared.clone(),
        local_tag: tag.into(),
        branch_prefix: format!("z9hG4bK{tag}.").into(),
        contact: "<sip:mod_sofia@192.0.2.1:5060>".into(),
        sticky: true,
    }
}

/// Two sessions in one call.
struct Call {
    now: Instant,
    caller: Session,
    callee: Option<Session>,
    shared: Arc<SessionConfig>,
}

impl Call {
    fn flow() -> Flow {
        Flow::udp(([192, 0, 2, 1], 5060).into(), ([192, 0, 2, 9], 5060).into())
    }

    fn begin(now: Instant, shared: &Arc<SessionConfig>) -> Call {
        let invite = Invite {
            uri: "sip:1001@192.0.2.9:5060;rinstance=0123456789abcdef".parse().unwrap(),
            from: NameAddr::new(Uri::sip(Some("1000"), "192.0.2.1", None)).with_display("Extension 1000"),
            to: NameAddr::new(Uri::sip(Some("1001"), "192.0.2.9", None)),
            call_id: "24797559-5f93-48cf-a40b-ff9103cf4421".to_owned(),
            cseq: 1,
            routes: Vec::new(),
            headers: vec![("X-FS-Support".to_owned(), "update_display,send_info".to_owned())],
            max_forwards: 69,
            sdp: Some(Bytes::from_static(SDP.as_bytes())),
            to_destination: Destination::Flow(Call::flow()),
            reliable: false,
        };
        let own = identity("aaaaaaaaaaaaaaaa", shared);
        let caller = Session::outgoing(now, own, invite, SmallRng::seed_from_u64(1));
        Call { now, caller, callee: None, shared: shared.clone() }
    }

    fn shuttle(&mut self) {
        let read = |bytes: &[u8]| Message::parse(Bytes::copy_from_slice(bytes), &Limits::default()).unwrap();
        let mut moved = true;
        while std::mem::take(&mut moved) {
            while let Some(output) = self.caller.poll() {
                moved = true;
                let Output::Send { bytes, .. } = output else { continue };
                let message = read(&bytes);
                match &mut self.callee {
                    Some(callee) => callee.receive(self.now, message, Call::flow()),
                    None => {
                        let (own, rng) =
                            (identity("bbbbbbbbbbbbbbbb", &self.shared), SmallRng::seed_from_u64(2));
                        self.callee = Some(Session::incoming(self.now, own, message, Call::flow(), rng));
                    }
                }
            }
            while let Some(output) = self.callee.as_mut().and_then(Session::poll) {
                moved = true;
                let Output::Send { bytes, .. } = output else { continue };
                self.caller.receive(self.now, read(&bytes), Call::flow());
            }
        }
    }

    fn establish(&mut self) {
        self.shuttle();
        let callee = self.callee.as_mut().unwrap();
        callee.provisional(self.now, 180, None, &[]).unwrap();
        callee.answer(self.now, Some(Bytes::from_static(SDP.as_bytes())), &[]).unwrap();
        self.shuttle();
    }

    fn end(&mut self) {
        self.caller.bye(self.now, &[]).unwrap();
        self.shuttle();
    }
}

fn shared() -> Arc<SessionConfig> {
    Arc::new(SessionConfig {
        sent_by: vec![(Transport::Udp, "192.0.2.1:5060".into())],
        user_agent: Some("tandem".into()),
        ..SessionConfig::default()
    })
}

#[test]
fn a_whole_call() {
    let (now, shared) = (Instant::now(), shared());
    Call::begin(now, &shared).establish();
    let (count, _) = counted(|| {
        let mut call = Call::begin(now, &shared);
        call.establish();
        call.end();
    });
    println!("{count} allocations for both sides");
    assert!(count <= 200, "{count} allocations");
}

#[test]
fn what_a_call_keeps() {
    let (now, shared) = (Instant::now(), shared());
    let inline = size_of::<Session>() as isize;
    for (when, later) in [("as it is answered", now), ("later", now + Duration::from_secs(33))] {
        let mut call = Call::begin(now, &shared);
        call.establish();
        // The timers of its beginning are over.
        call.caller.timeout(later);
        call.callee.as_mut().unwrap().timeout(later);
        call.shuttle();
        let (callee, ()) = held(|| drop(call.callee.take()));
        let (caller, ()) = held(|| drop(call));
        let (called, calling) = (inline - callee, inline - caller);
        println!("{when}: {called} bytes called, {calling} calling, {inline} of them in itself");
        assert!(called.max(calling) <= 4096, "{when}: {called} bytes called, {calling} calling");
    }
}

#[test]
fn what_a_call_leaves() {
    let (now, shared) = (Instant::now(), shared());
    let mut call = Call::begin(now, &shared);
    call.establish();
    call.end();
    for (side, session) in [("calling", Some(call.caller)), ("called", call.callee)] {
        let session = session.unwrap();
        let (bytes, remains) = held(|| session.remains());
        assert!(remains.is_some());
        println!("{side}: {bytes} bytes are left");
        assert!(bytes <= 900, "{side}: {bytes} bytes");
    }
}
