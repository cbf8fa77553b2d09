//! A switch on a virtual network with its phones, and the census that must be zero when all is over.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tandem::config::{self, Options};
use tandem::event::Event;
use tandem::net::Sockets;
use tandem::switch::{Switch, Tree};

use crate::net::{Nat, Seeded, SimNet, Weather};
use crate::phone::{Handset, Order, Phone};
use crate::record::{Book, Call, End};
use crate::script::Script;

/// The domain of all users.
pub const DOMAIN: &str = "office.test";
/// The password of all users.
pub const PASSWORD: &str = "the same for all";
/// The users: 1000, 1001, …; 1999 is one too, who never registers.
pub const USERS: usize = 12;
/// The name server of this world.
pub const NAME_SERVER: &str = "192.0.2.53:53";
/// How long a registration lasts.
const EXPIRES: u32 = 600;

/// The switch's address.
pub fn switch_address() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 5060))
}

/// How many worlds a test plays; `WORLDS` for more.
pub fn worlds() -> u64 {
    std::env::var("WORLDS").map_or(10, |worlds| worlds.parse().expect("WORLDS is a number"))
}

/// The number of user `n`.
pub fn number(n: usize) -> String {
    (1000 + n).to_string()
}

/// How many phones user `n` has: every third two, every fourth three.
pub fn contacts(n: usize) -> usize {
    match n {
        n if n % 4 == 3 => 3,
        n if n % 3 == 2 => 2,
        _ => 1,
    }
}

/// A world: one seed, one switch, its phones, its calls.
pub struct Office {
    pub net: SimNet,
    pub switch: Switch,
    pub phones: Vec<(usize, Handset)>,
    pub book: Book,
    pub rng: SmallRng,
    /// Another switch, which is the carrier of a test.
    pub carrier: Option<Switch>,
    seeded: Seeded,
}

/// A loopback address no other office of this process has; the processes are spread by their ids.
fn media_address() -> IpAddr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let n = std::process::id().wrapping_mul(257) + NEXT.fetch_add(1, Ordering::Relaxed);
    IpAddr::V4(Ipv4Addr::from(0x7f20_0002 + n % 0x001f_0000))
}

thread_local! {
    /// Media addresses of the switches of this world: a reload leaves them as they are.
    static MEDIA: RefCell<HashMap<SocketAddr, IpAddr>> = RefCell::default();
}

/// The configuration: small, FreeSWITCH-shaped, with these actions for the numbers of a test's own.
fn tree(extensions: &str) -> Tree {
    tree_at(switch_address(), extensions, "")
}

/// The same at another address; with gateways there is a profile `external` for them, whose calls begin in `public`.
pub fn tree_at(at: SocketAddr, extensions: &str, gateways: &str) -> Tree {
    tree_with(at, extensions, gateways, 5080)
}

/// The same with `external` at another port.
pub fn tree_with(at: SocketAddr, extensions: &str, gateways: &str, port_outside: u16) -> Tree {
    read(&text_with(at, extensions, gateways, port_outside))
}

/// A tree of this text, which must be sound.
pub fn read(text: &str) -> Tree {
    let loaded = config::parse("freeswitch.xml", text, &Options::new("/nowhere"));
    loaded.globals.set("db_dir", ""); // what calls store stays in memory
    let tree = Tree::of(loaded);
    let errors: Vec<String> = tree.errors().map(ToString::to_string).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    tree
}

/// The text of [`tree_with`].
pub fn text_with(at: SocketAddr, extensions: &str, gateways: &str, port_outside: u16) -> String {
    let mut users = String::new();
    for n in (0..USERS).map(number).chain(["1999".to_owned()]) {
        let _ = writeln!(
            users,
            r#"<user id="{n}"><params><param name="password" value="{PASSWORD}"/></params>
            <variables><variable name="user_context" value="default"/></variables></user>"#
        );
    }
    let media = MEDIA.with_borrow_mut(|media| *media.entry(at).or_insert_with(media_address));
    let (ip, port) = (at.ip(), at.port());
    let external = match gateways {
        "" => String::new(),
        gateways => format!(
            r#"<profile name="external"><gateways>{gateways}</gateways><settings>
      <param name="sip-ip" value="{ip}"/>
      <param name="sip-port" value="{port_outside}"/>
      <param name="rtp-ip" value="{media}"/>
      <param name="context" value="public"/>
      <param name="auth-calls" value="false"/>
      <param name="inbound-codec-prefs" value="PCMU,PCMA"/>
      <param name="outbound-codec-prefs" value="PCMU,PCMA"/>
      <param name="inbound-late-negotiation" value="true"/>
      <param name="max-recv-requests-per-second" value="0"/>
      <param name="session-timeout" value="120"/>
      <param name="enable-3pcc" value="proxy"/>
    </settings></profile>"#
        ),
    };
    format!(
        r#"<document type="freeswitch/xml">
<X-PRE-PROCESS cmd="set" data="domain={DOMAIN}"/>
<section name="configuration">
  <configuration name="switch.conf"><settings>
    <param name="max-sessions" value="1000000"/>
    <param name="sessions-per-second" value="1000000"/>
    <param name="rtp-start-port" value="10000"/>
    <param name="rtp-end-port" value="60000"/>
    <param name="dns-servers" value="{NAME_SERVER}"/>
  </settings></configuration>
  <configuration name="sofia.conf"><profiles><profile name="internal">
    <domains><domain name="all" alias="true" parse="false"/></domains>
    <settings>
      <param name="sip-ip" value="{ip}"/>
      <param name="sip-port" value="{port}"/>
      <param name="rtp-ip" value="{media}"/>
      <param name="context" value="public"/>
      <param name="auth-calls" value="true"/>
      <param name="challenge-realm" value="{DOMAIN}"/>
      <param name="force-register-db-domain" value="{DOMAIN}"/>
      <param name="multiple-registrations" value="contact"/>
      <param name="inbound-codec-prefs" value="PCMU,PCMA"/>
      <param name="outbound-codec-prefs" value="PCMU,PCMA"/>
      <param name="inbound-late-negotiation" value="true"/>
      <param name="max-recv-requests-per-second" value="0"/>
      <param name="session-timeout" value="120"/>
      <param name="minimum-session-expires" value="90"/>
      <param name="enable-3pcc" value="proxy"/>
      <param name="manage-presence" value="true"/>
    </settings>
  </profile>{external}</profiles></configuration>
</section>
<section name="dialplan"><context name="default">
  <extension name="phones"><condition field="destination_number" expression="^(1\d\d\d)$">
    <action application="set" data="call_timeout=20"/>
    <action application="set" data="hangup_after_bridge=true"/>
    <action application="bridge" data="user/$1@{DOMAIN}"/>
  </condition></extension>
  <extension name="echo"><condition field="destination_number" expression="^9196$">
    <action application="answer"/>
    <action application="echo"/>
  </condition></extension>
  {extensions}
</context><context name="public">
  <extension name="from the carrier"><condition field="destination_number" expression="^1011$">
    <action application="set" data="hangup_after_bridge=true"/>
    <action application="bridge" data="user/1004@{DOMAIN}"/>
  </condition></extension>
</context></section>
<section name="directory"><domain name="{DOMAIN}">
  <params><param name="dial-string" value="${{sofia_contact(*/${{dialed_user}}@${{dialed_domain}})}}"/></params>
  <groups><group name="all"><users>
{users}
  </users></group></groups>
</domain></section>
</document>"#
    )
}

/// Runs `work` in a runtime with a paused clock.
pub fn run<F: Future<Output = ()>>(work: F) {
    let _log = std::env::var("TANDEM_SEED").is_ok().then(|| {
        let log = tracing_subscriber::fmt().with_test_writer().with_max_level(tracing::Level::DEBUG).finish();
        tracing::subscriber::set_default(log)
    });
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    MEDIA.with_borrow_mut(HashMap::clear);
    runtime.block_on(async {
        work.await;
        assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), 0, "tasks are left");
    });
}

/// How a caller ended, if it did, and how many seconds after all began.
pub type Ended = (Option<End>, u64);

/// Plays these calls in fine weather, in an office with these extensions: how each caller ended, and every event. `left`
/// looks at what has stayed behind.
pub fn plays(extensions: &str, scripts: Vec<Script>, left: fn(&Office)) -> (Vec<Ended>, Vec<Event>) {
    let mut seen = None;
    run(async {
        let mut office = Office::open(0, Weather::fine(), extensions).await;
        let mut ear = office.switch.exchange.events.listen();
        scripts.into_iter().for_each(|script| office.plan(script));
        let begun = tokio::time::Instant::now().into_std();
        office.play().await;
        let ends = {
            let book = office.book.lock().unwrap();
            let after = |(at, end): (Instant, End)| (Some(end), at.duration_since(begun).as_secs());
            book.iter().map(|call| call.caller.end.map_or((None, 0), after)).collect()
        };
        let mut events = Vec::new();
        while let Ok(event) = ear.try_recv() {
            events.push((*event).clone());
        }
        left(&office);
        office.close().await;
        seen = Some((ends, events));
    });
    seen.unwrap()
}

impl Office {
    /// Opens a switch, and registers every phone in this weather.
    pub async fn open(seed: u64, weather: Weather, extensions: &str) -> Office {
        Office::open_as(seed, weather, tree(extensions)).await
    }

    /// The same with a tree of the test's own.
    pub async fn open_as(seed: u64, weather: Weather, tree: Tree) -> Office {
        let seeded = Seeded(seed);
        let rng = SmallRng::seed_from_u64(seed ^ weather.loss.to_bits());
        let net = SimNet::new(seed, weather);
        let sockets: Arc<dyn Sockets> = Arc::new(net.clone());
        let loud = std::env::var("TANDEM_SEED").is_ok();
        let switch = Switch::start(tree, sockets, loud).expect("a switch");
        let mut office =
            Office { net, switch, phones: Vec::new(), book: Book::default(), rng, carrier: None, seeded };
        office.install();
        office.register(EXPIRES).await;
        let wanted: usize = (0..USERS).map(contacts).sum();
        assert_eq!(office.switch.exchange.registrar.len(), wanted, "bindings");
        office
    }

    /// Puts every user's phones where they belong; one in three is behind a NAT.
    fn install(&mut self) {
        for user in 0..USERS {
            for contact in 0..contacts(user) {
                let index = user * 10 + contact;
                let host = u8::try_from(index + 1).unwrap();
                let inside = IpAddr::from([10, 0, 0, host]);
                let ip = match self.rng.random_range(0..6) {
                    0 => {
                        self.net.behind_nat(inside, IpAddr::from([203, 0, 113, host]), Nat::Cone);
                        inside
                    }
                    1 => {
                        self.net.behind_nat(inside, IpAddr::from([203, 0, 113, host]), Nat::Symmetric);
                        inside
                    }
                    _ => IpAddr::from([198, 51, 100, host]),
                };
                let socket = self.net.bind_udp(SocketAddr::new(ip, 5060)).unwrap();
                let rng = SmallRng::seed_from_u64(self.rng.random());
                let book = self.book.clone();
                let phone = Phone::start(index, &number(user), socket, switch_address(), book, rng);
                self.phones.push((index, phone));
            }
        }
    }

    /// A phone of the carrier's.
    pub async fn install_at_carrier(&mut self, index: usize, user: &str, carrier: SocketAddr) {
        let ip = IpAddr::from([203, 0, 113, u8::try_from(index % 200).unwrap()]);
        let socket = self.net.bind_udp(SocketAddr::new(ip, 5060)).unwrap();
        let rng = SmallRng::seed_from_u64(self.rng.random());
        let phone = Phone::start(index, user, socket, carrier, self.book.clone(), rng);
        self.phones.push((index, phone));
        let (_, phone) = self.phones.last_mut().unwrap();
        phone.orders.try_send(Order::Register(EXPIRES)).unwrap();
        phone.registered.changed().await.unwrap();
        assert_eq!(*phone.registered.borrow(), 200, "REGISTER of {user} at the carrier");
    }

    /// All phones register for so long; 0 ends it.
    pub async fn register(&mut self, expires: u32) {
        for (_, phone) in &mut self.phones {
            phone.registered.mark_unchanged();
            phone.orders.try_send(Order::Register(expires)).unwrap();
        }
        for (index, phone) in &mut self.phones {
            phone.registered.changed().await.unwrap();
            assert_eq!(*phone.registered.borrow(), 200, "REGISTER of {} (phone {index})", phone.user);
        }
    }

    /// Our switch takes this tree; answers what it says of that.
    pub async fn reload(&self, tree: Tree) -> Result<String, Vec<String>> {
        self.switch.reload(tree).await
    }

    /// Enters a call; [`Office::play`] makes it.
    pub fn plan(&mut self, script: Script) {
        self.book.lock().unwrap().push(Call::new(script));
    }

    /// A phone, by chance.
    pub fn some_phone(&mut self) -> usize {
        let n = self.rng.random_range(0..self.phones.len());
        self.phones[n].0
    }

    /// A user whose phone is not `caller`, by chance.
    pub fn other_user(&mut self, caller: usize) -> usize {
        (caller / 10 + self.rng.random_range(1..USERS)) % USERS
    }

    /// Makes every call that was not made yet at its time, and waits until the last is over. Fails when one does not end.
    pub async fn play(&self) {
        let begun = tokio::time::Instant::now();
        let mut calls: Vec<(Duration, usize, usize)> = {
            let book = self.book.lock().unwrap();
            let new = book.iter().enumerate().filter(|(_, c)| c.caller.sessions == 0);
            new.map(|(n, c)| (c.script.at, n, c.script.caller)).collect()
        };
        calls.sort();
        let last = calls.last().map_or(Duration::ZERO, |(at, ..)| *at);
        for (at, call, caller) in calls {
            tokio::time::sleep_until(begun + at).await;
            let phone = self.phones.iter().find(|(index, _)| *index == caller).expect("a caller");
            phone.1.orders.try_send(Order::Call(call)).unwrap();
        }
        tokio::time::sleep_until(begun + last + Duration::from_secs(1)).await;
        let deadline = tokio::time::Instant::now() + Duration::from_secs(1800);
        let all_over = |book: &Mutex<Vec<Call>>| book.lock().unwrap().iter().all(Call::is_over);
        while !(all_over(&self.book) && self.switch.exchange.legs.is_empty()) {
            if tokio::time::Instant::now() > deadline {
                let book = self.book.lock().unwrap();
                let open: Vec<_> = book.iter().enumerate().filter(|(_, c)| !c.is_over()).collect();
                panic!("calls do not end: {open:?}; {:?}", self.switch.exchange.legs);
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    /// Every call must be free of contradictions. Answers how many went as they were meant to, of how many that could.
    pub fn judge(&self) -> (usize, usize) {
        let book = self.book.lock().unwrap();
        let (mut well, mut all) = (0, 0);
        for (n, call) in book.iter().enumerate() {
            let wrong = call.contradictions();
            assert!(wrong.is_empty(), "seed {}, call {n}: {wrong:?}: {call:?}", self.seeded.0);
            match call.went_well() {
                Some(true) => (well, all) = (well + 1, all + 1),
                Some(false) => {
                    all += 1;
                    if std::env::var("TANDEM_SEED").is_ok() {
                        eprintln!("call {n} went otherwise: {call:?}");
                    } else {
                        eprintln!("seed {} call {n} ({:?}) went otherwise", self.seeded.0, call.script.kind);
                    }
                }
                None => {}
            }
        }
        (well, all)
    }

    /// Everybody goes home. Nothing may be left: no leg, no transaction, no port, no binding.
    pub async fn close(mut self) {
        self.register(0).await;
        self.phones.clear();
        // Timer B, and a session's own linger of twice that.
        tokio::time::sleep(Duration::from_secs(70)).await;
        let exchange = self.switch.exchange.clone();
        assert_eq!((exchange.legs.len(), exchange.legs.lingering()), (0, 0), "legs in a call, legs in all");
        for _ in 0..200 {
            // The media threads run by the real clock.
            if exchange.media.ports_in_use() > 0 {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        assert_eq!((exchange.media.streams(), exchange.media.ports_in_use()), (0, 0), "streams, ports");
        assert_eq!(self.switch.transactions(), 0, "transactions of profiles");
        assert_eq!(exchange.registrar.len(), 0, "bindings");
        self.switch.stop().await;
        if let Some(carrier) = self.carrier.take() {
            assert_eq!(carrier.exchange.registrar.len(), 0, "bindings at the carrier");
            carrier.stop().await;
        }
        // The profile's own task looks once a minute whether its profile lives.
        tokio::time::sleep(Duration::from_secs(61)).await;
        assert_eq!(self.net.open(), 0, "sockets");
    }
}
