//! How often parsing and printing allocate: an ordinary message costs a handful, whatever its number of headers.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use bytes::{Bytes, BytesMut};
use tandem::sip::digest::{Algorithm, ha1, verify};
use tandem::sip::{Builder, Flow, Limits, Message, Name};

struct Counting;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call goes on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = COUNT.try_with(|c| c.set(c.get() + 1));
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        unsafe { System.dealloc(place, layout) }
    }
    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let _ = COUNT.try_with(|c| c.set(c.get() + 1));
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
