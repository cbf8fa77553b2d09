//! How often a whole registration allocates: the REGISTER without credentials, its challenge, the REGISTER with them. Counted,
//! never timed; the bounds are generous, so that only a change of kind is seen.

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime};

use tandem::config::acl::AclConf;
use tandem::config::directory::DirectoryConf;
use tandem::config::sofia::ProfileConf;
use tandem::config::{Options, Position, parse, section};
use tandem::directory::Snapshot;
use tandem::directory::auth::{Authenticator, Outcome, Rules};
use tandem::net::acl::{Acls, LocalNet};
use tandem::registrar::{Bounds, Policy, Registrar, Request};
use tandem::sip::digest::{Algorithm, Challenge, Credentials, ha1};
use tandem::sip::{Flow, Limits, Message, Text};
use tandem::transaction::Answered;

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

fn datagram(cseq: u32, login: &str) -> bytes::Bytes {
    format!(
        "REGISTER sip:example.com SIP/2.0\r\n\
         Via: SIP/2.0/UDP 10.0.0.9:5090;branch=z9hG4bK-{cseq};rport\r\n\
         Max-Forwards: 70\r\n\
         Contact: <sip:1000@10.0.0.9:5090;rinstance=6f1d;transport=UDP>\r\n\
         To: <sip:1000@example.com;transport=UDP>\r\n\
         From: <sip:1000@example.com;transport=UDP>;tag=7a1e\r\n\
         Call-ID: aBcDeFgH@10.0.0.9\r\n\
         CSeq: {cseq} REGISTER\r\n\
         Expires: 3600\r\n\
         {login}\
         Allow: INVITE, ACK, CANCEL, BYE, NOTIFY, REFER, MESSAGE, OPTIONS, INFO, SUBSCRIBE\r\n\
         User-Agent: Zoiper v2.10\r\n\
         Content-Length: 0\r\n\r\n"
    )
    .into()
}

#[test]
fn a_registration_allocates_little() {
    let tree = "<document><section name=\"directory\"><domain name=\"example.com\"><users><user id=\"1000\"><params>\
                <param name=\"password\" value=\"long-enough\"/></params></user></users></domain></section></document>";
    let loaded = parse("directory.xml", tree, &Options::new("conf"));
    let users = DirectoryConf::from_element(section(&loaded.root, "directory").unwrap(), &mut Vec::new());
    let directory = Snapshot::of(users);
    let auth = Authenticator::new(&[7; 32], Authenticator::DEFAULT_USES);
    let rules = Rules::of(&ProfileConf::new("internal", Position::new("internal.xml", 1, 1)));
    let acls = Acls::compile(&AclConf::default(), LocalNet { v4: None, v6: None }, |_| None);
    let flow = Flow::udp("192.0.2.1:5060".parse().unwrap(), "198.51.100.7:40000".parse().unwrap());
    let (now, mut at) = (SystemTime::now(), Instant::now());
    let table = Registrar::new(at, Bounds::default());
    let policy = Policy::new("internal");
    let answered = Answered::new(Duration::from_secs(32), 1 << 20);
    let check = |message: &Message| auth.check(now, message, flow.remote.ip(), &directory, &acls, &rules);

    let mut most = (0, 0);
    for round in 0..100 {
        let cseq = 2 * round + 1;
        let first = datagram(cseq, "");
        let start = CALLS.load(Relaxed);
        let message = Message::parse(first, &Limits::default()).unwrap();
        assert!(answered.find(at, answered.mark(&message, flow.remote)).is_none());
        let Outcome::Challenge { realm, stale } = check(&message) else { panic!("not challenged") };
        let value = auth.challenges(now, flow.remote.ip(), &realm, stale, &rules).remove(0);
        let challenged = CALLS.load(Relaxed) - start;
        drop(message);

        let challenge = Challenge::parse(&Text::from(value.as_str())).unwrap();
        let ha1 = ha1(Algorithm::Md5, "1000", "example.com", "long-enough");
        let uri = "sip:example.com";
        let login = Credentials::answer(&challenge, "1000", &ha1, "REGISTER", uri, "cnonce", 1).unwrap();
        let second = datagram(cseq + 1, &format!("Authorization: {login}\r\n"));
        at += Duration::from_secs(60);
        let start = CALLS.load(Relaxed);
        let message = Message::parse(second, &Limits::default()).unwrap();
        let mark = answered.mark(&message, flow.remote);
        assert!(answered.find(at, mark).is_none());
        let Outcome::Accepted { user, .. } = check(&message) else { panic!("not let in") };
        let request = Request::read(&message).unwrap();
        let done = table.register(at, &request, flow, (&user.id, "example.com"), &policy).unwrap();
        answered.keep(at, mark, done.contacts[0].as_bytes());
        assert!(answered.find(at, mark).is_some());
        black_box(done);
        let registered = CALLS.load(Relaxed) - start;
        // The first fills tables.
        if round > 0 {
            most = (most.0.max(challenged), most.1.max(registered));
        }
    }
    println!("{} allocations for a challenge, {} for a registration", most.0, most.1);
    assert!(most.0 <= 24 && most.1 <= 56, "{most:?} allocations");
}
