//! One REGISTER round, the parse left out and counted in. Run with `cargo bench --bench registrar`.
//!
//! `-- count N` does N whole registrations (a REGISTER, its 401, the REGISTER with credentials) and nothing else, for
//! `valgrind --tool=callgrind`; `-- count N "find among USERS"` finds N users in a directory. `-- growth` does them with 1,000, 100,000 and 1,000,000 users, in no order.
//!
//! Machines differ and are noisy: read the figures as ratios within one run. Allocations are exact.

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::net::IpAddr;
use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use tandem::config::Position;
use tandem::config::acl::AclConf;
use tandem::config::directory::{DirectoryConf, DomainConf, Setting, Settings, UserConf};
use tandem::config::sofia::ProfileConf;
use tandem::directory::Snapshot;
use tandem::directory::auth::{Authenticator, Outcome, Rules};
use tandem::net::acl::{Acls, LocalNet};
use tandem::registrar::{Bounds, Policy, Registrar, Request};
use tandem::sip::digest::{Algorithm, Challenge, Credentials, ha1};
use tandem::sip::{Flow, Limits, Message, Text};

struct Counting;

static CALLS: AtomicUsize = AtomicUsize::new(0);
static BYTES: AtomicIsize = AtomicIsize::new(0);

// SAFETY: every call goes to the system allocator unchanged; only numbers are kept beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.fetch_add(1, Relaxed);
        BYTES.fetch_add(layout.size() as isize, Relaxed);
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

const USERS: u32 = 100_000;

fn datagram(user: u32, cseq: u32, login: &str) -> Bytes {
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
         {login}\
         Allow: INVITE, ACK, CANCEL, BYE, NOTIFY, REFER, MESSAGE, OPTIONS, INFO, SUBSCRIBE\r\n\
         User-Agent: Zoiper v2.10\r\n\
         Content-Length: 0\r\n\r\n"
    )
    .into()
}

fn directory(users: u32) -> Snapshot {
    let at = Position::new("directory.xml", 1, 1);
    let users = (0..users).map(|n| UserConf {
        id: n.to_string(),
        number_alias: None,
        networks: Vec::new(),
        settings: Settings {
            params: vec![Setting { name: "password".into(), value: "long-enough".into(), at: at.clone() }],
            variables: Vec::new(),
        },
        at: at.clone(),
    });
    let users = users.collect();
    let domain = DomainConf {
        name: "example.com".into(),
        settings: Settings::default(),
        groups: Vec::new(),
        users,
        at: at.clone(),
    };
    Snapshot::of(DirectoryConf { domains: vec![domain] })
}

/// Where they all are.
const SOURCE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 7));

/// The Authorization header of user `n`, for a nonce of its own.
fn login(auth: &Authenticator, now: SystemTime, rules: &Rules, n: u32) -> String {
    let value = auth.challenges(now, SOURCE, "example.com", false, rules).remove(0);
    let challenge = Challenge::parse(&Text::from(value.as_str())).unwrap();
    let ha1 = ha1(Algorithm::Md5, &n.to_string(), "example.com", "long-enough");
    let uri = "sip:example.com";
    let answer = Credentials::answer(&challenge, &n.to_string(), &ha1, "REGISTER", uri, "cnonce", 1).unwrap();
    format!("Authorization: {answer}\r\n")
}

/// All a registration meets, above the net: authenticator, directory, table.
struct Office {
    auth: Authenticator,
    rules: Rules,
    directory: Snapshot,
    acls: Acls,
    table: Registrar,
    policy: Policy,
    flow: Flow,
    began: Instant,
}

impl Office {
    fn new(users: u32) -> Office {
        let began = Instant::now();
        Office {
            auth: Authenticator::new(&[7; 32], Authenticator::DEFAULT_USES),
            rules: Rules::of(&ProfileConf::new("internal", Position::new("internal.xml", 1, 1))),
            directory: directory(users),
            acls: Acls::compile(&AclConf::default(), LocalNet { v4: None, v6: None }, |_| None),
            table: Registrar::new(began, Bounds::default()),
            policy: Policy::new("internal"),
            flow: Flow::udp("192.0.2.1:5060".parse().unwrap(), "198.51.100.7:40000".parse().unwrap()),
            began,
        }
    }

    /// The first REGISTER: challenged.
    fn ask(&self, now: SystemTime, datagram: Bytes) -> String {
        let message = Message::parse(datagram, &Limits::default()).unwrap();
        let source = self.flow.remote.ip();
        let Outcome::Challenge { realm, stale } =
            self.auth.check(now, &message, source, &self.directory, &self.acls, &self.rules)
        else {
            panic!("not challenged")
        };
        self.auth.challenges(now, source, &realm, stale, &self.rules).remove(0)
    }

    /// The second: carried out.
    fn register(&self, now: SystemTime, at: Instant, user: u32, datagram: Bytes) {
        let message = Message::parse(datagram, &Limits::default()).unwrap();
        let source = self.flow.remote.ip();
        let outcome = self.auth.check(now, &message, source, &self.directory, &self.acls, &self.rules);
        assert!(matches!(outcome, Outcome::Accepted { .. }));
        let request = Request::read(&message).unwrap();
        let name = (&*user.to_string(), "example.com");
        black_box(self.table.register(at, &request, self.flow, name, &self.policy).unwrap());
    }
}

/// `count`: so many registrations of 1,000 users.
fn count(registrations: u32) {
    let office = Office::new(1000);
    let now = SystemTime::now();
    for n in 0..registrations {
        let (user, cseq) = (n % 1000, n / 1000 * 2 + 1);
        black_box(office.ask(now, datagram(user, cseq, "")));
        let login = login(&office.auth, now, &office.rules, user);
        office.register(now, office.began, user, datagram(user, cseq + 1, &login));
    }
}

/// `count N "find among USERS"`: so many users are found in the directory, in no order, and asked for what a call wants.
fn find(times: u32, users: u32) {
    let directory = directory(users);
    for n in 0..times {
        let user = (u64::from(n) * 7_368_787 % u64::from(users)).to_string();
        let found = directory.user(&user, "example.com").expect("a user");
        black_box((found.password(), found.param("dial-string"), found.variable("user_context")));
    }
}

/// `growth`: what a registration costs when so many are there already.
fn growth() {
    const SAMPLE: u32 = 20_000;
    for users in [1000, 100_000, 1_000_000] {
        let office = Office::new(users);
        // 10,000 a second: a nonce whose use had to be forgotten takes along those of its second.
        let start = SystemTime::now();
        let (from, before) = (office.began, BYTES.load(Relaxed));
        for n in 0..users {
            let now = start + Duration::from_micros(100) * n;
            let login = login(&office.auth, now, &office.rules, n);
            office.register(now, from, n, datagram(n, 2, &login));
        }
        let each = (BYTES.load(Relaxed) - before) / users as isize;
        // In no order: a number that has no divisor in common with the number of users.
        let user = |n: u32| (u64::from(n) * 7_368_787 % u64::from(users)) as u32;
        let mut times = Vec::new();
        for round in 0..5u32 {
            let now = start + Duration::from_micros(100) * users + Duration::from_secs(2) * (round + 1);
            let cseq = |n: u32| 10 + (round * SAMPLE + n) * 2;
            let first: Vec<Bytes> = (0..SAMPLE).map(|n| datagram(user(n), cseq(n), "")).collect();
            let second: Vec<Bytes> = (0..SAMPLE)
                .map(|n| datagram(user(n), cseq(n) + 1, &login(&office.auth, now, &office.rules, user(n))))
                .collect();
            let start = Instant::now();
            for (n, (first, second)) in first.into_iter().zip(second).enumerate() {
                black_box(office.ask(now, first));
                office.register(now, from + Duration::from_secs(60), user(n as u32), second);
            }
            times.push(start.elapsed().as_nanos() as f64 / f64::from(SAMPLE));
        }
        times.sort_by(f64::total_cmp);
        println!("{users:>9} users {:>8.0} ns a registration, {each} bytes each", times[2]);
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["count", n, what] => find(
            n.parse().expect("a number"),
            what.strip_prefix("find among ").and_then(|users| users.parse().ok()).expect("find among N"),
        ),
        ["count", n] => count(n.parse().expect("a number")),
        ["growth"] => growth(),
        _ => rounds(),
    }
}

fn rounds() {
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

    let first: Vec<Bytes> = (0..USERS).map(|n| datagram(n, 1, "")).collect();
    let second: Vec<Bytes> = (0..USERS).map(|n| datagram(n, 2, "")).collect();
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
    let now = SystemTime::now();
    let auth = Authenticator::new(&[7; 32], Authenticator::DEFAULT_USES);
    let rules = Rules::of(&ProfileConf::new("internal", Position::new("internal.xml", 1, 1)));
    let directory = directory(USERS);
    let acls = Acls::compile(&AclConf::default(), LocalNet { v4: None, v6: None }, |_| None);
    let third: Vec<Bytes> = (0..USERS).map(|n| datagram(n, 3, &login(&auth, now, &rules, n))).collect();
    round(
        "refresh, parse and digest included",
        USERS,
        Box::new(|n| {
            let message = Message::parse(third[n as usize].clone(), &limits).unwrap();
            let outcome = auth.check(now, &message, flow.remote.ip(), &directory, &acls, &rules);
            assert!(matches!(outcome, Outcome::Accepted { .. }));
            register(n, &Request::read(&message).unwrap(), began + Duration::from_secs(120));
        }),
    );
    round(
        "challenge without credentials",
        USERS,
        Box::new(|n| {
            let outcome = auth.check(now, &parsed[n as usize], flow.remote.ip(), &directory, &acls, &rules);
            let Outcome::Challenge { realm, stale } = outcome else { panic!() };
            black_box(auth.challenges(now, flow.remote.ip(), &realm, stale, &rules));
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
