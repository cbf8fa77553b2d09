//! A million registrations: how much memory, how many allocations, how much work. Counted, never timed.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tandem::registrar::{Bounds, Policy, Registrar, Request, Wanted, Wish};
use tandem::sip::Flow;

struct Counting;

static BYTES: AtomicIsize = AtomicIsize::new(0);
static CALLS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system allocator unchanged; only numbers are kept beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.fetch_add(layout.size() as isize, Relaxed);
        CALLS.fetch_add(1, Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        BYTES.fetch_sub(layout.size() as isize, Relaxed);
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const MILLION: u32 = 1_000_000;

fn request(number: u32, cseq: u32) -> Request {
    let uri = format!(
        "sip:{number}@10.{}.{}.{}:5060;transport=udp",
        number >> 16 & 255,
        number >> 8 & 255,
        number & 255
    );
    let mut wish =
        Wish::new("", &uri, ";+sip.instance=\"<urn:uuid:00000000-0000-0000-0000-000000000000>\"", Some(3600))
            .unwrap();
    wish.instance = Some("urn:uuid:00000000-0000-0000-0000-000000000000".into());
    Request {
        call_id: format!("{number:032x}@10.0.0.1"),
        cseq,
        wanted: Wanted::Contacts(vec![wish]),
        path: None,
        user_agent: "Zoiper v2.10.20.7-mod".into(),
    }
}

#[test]
fn a_million_registrations() {
    let began = Instant::now();
    let table = Registrar::new(began, Bounds { per_aor: 50, total: MILLION as usize });
    let policy = Policy { late_margin: Duration::ZERO, ..Policy::new("internal") };
    let flow = Flow::udp("192.0.2.1:5060".parse().unwrap(), "198.51.100.7:40000".parse().unwrap());
    // Registration n comes at n milliseconds.
    let at = |n: u32| began + Duration::from_millis(n.into());
    let register = |n: u32, cseq, now| {
        table.register(now, &request(n, cseq), flow, (&n.to_string(), "example.com"), &policy).unwrap()
    };

    let before = BYTES.load(Relaxed);
    for n in 0..MILLION {
        assert!(register(n, 1, at(n)).first);
    }
    assert_eq!(table.len(), MILLION as usize);
    let each = (BYTES.load(Relaxed) - before) / MILLION as isize;
    assert!(each <= 1024, "{each} bytes per registration");
    println!("{each} bytes per registration");

    // Full: nobody new, but everybody can come back.
    let refused =
        table.register(at(MILLION), &request(MILLION, 1), flow, ("new", "example.com"), &policy).unwrap_err();
    assert_eq!(refused.status, 503);

    // A refresh costs the same number of allocations whoever it is, and the table does not grow by it.
    let full = BYTES.load(Relaxed);
    let mut most = 0;
    for n in (0..MILLION).step_by(1000) {
        let start = CALLS.load(Relaxed);
        register(n, 2, at(MILLION));
        most = most.max(CALLS.load(Relaxed) - start);
    }
    assert!(most <= 32, "{most} allocations for a refresh");
    println!("{most} allocations for a refresh, its request included");
    assert!(BYTES.load(Relaxed) - full < 64 * 1024);

    // A look-up allocates its answer and its key.
    let start = CALLS.load(Relaxed);
    assert_eq!(table.lookup(at(MILLION), "777777", "example.com").len(), 1);
    assert!(CALLS.load(Relaxed) - start <= 4);

    // The first to go are those of the first milliseconds, apart from the refreshed one.
    let hour = Duration::from_secs(3600);
    assert_eq!(table.next_timeout(), Some(at(0) + hour));
    assert_eq!(table.expire(at(0) + hour).len(), 0, "number 0 was refreshed");
    let start = CALLS.load(Relaxed);
    let gone = table.expire(at(9) + hour);
    assert_eq!(gone.iter().map(|b| b.user.parse::<u32>().unwrap()).sum::<u32>(), (1..=9).sum::<u32>());
    assert!(CALLS.load(Relaxed) - start < 100, "work for nine, not for a million");

    // All others at their time, none twice, and the memory comes back.
    let mut count = gone.len();
    drop(gone);
    for second in 1..=1000 {
        let now = at(second * 1000 - 1) + hour;
        let gone = table.expire(now);
        assert!(gone.iter().all(|b| b.gone_at() <= now && now - b.gone_at() < Duration::from_secs(1)));
        count += gone.len();
    }
    assert_eq!(count, MILLION as usize - 1000);
    assert_eq!(table.len(), 1000);
    assert_eq!(table.expire(at(MILLION) + hour).len(), 1000);
    assert!(table.is_empty() && table.next_timeout().is_none());
    let left = BYTES.load(Relaxed) - before;
    assert!(left < 4 << 20, "{left} bytes are left");
}
