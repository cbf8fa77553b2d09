//! A carrier, which is another switch on the same network: registered with, called through, calling in, gone and back.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tandem::gateway::State;
use tandem::net::Sockets;
use tandem::switch::Switch;

use crate::dns::Zone;
use crate::net::{Weather, seeds};
use crate::office::{self, Office, PASSWORD, switch_address, tree_at};
use crate::script::Script;

/// A phone of ours: user 1001.
const OURS: usize = 10;
/// Phones of the carrier's: users 1004 and 1002 there.
const CALLED: usize = 200;
const CALLING: usize = 210;

fn carrier_address() -> SocketAddr {
    SocketAddr::from(([203, 0, 113, 250], 5060))
}

/// A gateway that logs in as user 1011 of the carrier.
fn gateway(name: &str, proxy: &str, more: &str) -> String {
    format!(
        r#"<gateway name="{name}"><param name="username" value="1011"/><param name="password" value="{PASSWORD}"/>
        <param name="proxy" value="{proxy}"/><param name="from-domain" value="office.test"/>
        <param name="expire-seconds" value="120"/><param name="retry-seconds" value="10"/>{more}</gateway>"#
    )
}

/// `0…` goes out by this dial string.
fn out(dial: &str) -> String {
    format!(
        r#"<extension name="out"><condition field="destination_number" expression="^0(\d+)$">
        <action application="set" data="hangup_after_bridge=true"/>
        <action application="set" data="continue_on_fail=true"/>
        <action application="bridge" data="{dial}"/>
        <action application="set" data="sip_h_X-Why=${{originate_disposition}}"/>
        <action application="respond" data="480"/>
        </condition></extension>"#
    )
}

/// Our switch with these gateways and that way out.
async fn open(seed: u64, weather: &Weather, gateways: &str, dial: &str) -> Office {
    Office::open_as(seed, weather.clone(), tree_at(switch_address(), &out(dial), gateways)).await
}

fn start_carrier(office: &Office) -> Switch {
    let sockets: Arc<dyn Sockets> = Arc::new(office.net.clone());
    let loud = std::env::var("TANDEM_SEED").is_ok();
    Switch::start(tree_at(carrier_address(), "", ""), sockets, loud).expect("a carrier")
}

/// The carrier and its two phones.
async fn with_carrier(office: &mut Office) {
    office.carrier = Some(start_carrier(office));
    office.install_at_carrier(CALLED, "1004", carrier_address()).await;
    office.install_at_carrier(CALLING, "1002", carrier_address()).await;
}

/// Waits until a gateway is up, or down; answers the seconds that took.
async fn until(office: &Office, name: &str, up: bool) -> u64 {
    let gateway = office.switch.exchange.gateways.load().find(name).expect("a gateway").clone();
    for seconds in 0..400 {
        if gateway.is_up() == up {
            return seconds;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    panic!("{name} does not become {}: {:?}", if up { "up" } else { "down" }, gateway.status());
}

fn state(office: &Office, name: &str) -> State {
    office.switch.exchange.gateways.load().find(name).expect("a gateway").status().state
}

fn call(caller: usize, number: &str, at: u64) -> Script {
    Script::exactly(caller, number, Duration::from_secs(at), Duration::from_secs(20), vec![], vec![])
}

/// Plays what is planned; all of it must go as meant.
async fn all_well(office: &mut Office) {
    office.play().await;
    let (well, all) = office.judge();
    assert_eq!(well, all, "calls that went as meant");
}

#[test]
fn calls_go_both_ways() {
    office::run(async {
        let proxy = carrier_address().ip().to_string();
        let mut office =
            open(0, &Weather::fine(), &gateway("carrier", &proxy, ""), "sofia/gateway/carrier/$1").await;
        with_carrier(&mut office).await;
        until(&office, "external::carrier", true).await;
        assert_eq!(state(&office, "carrier"), State::Reged);
        let bindings = &office.carrier.as_ref().unwrap().exchange.registrar;
        assert_eq!(bindings.len(), 3, "two phones and our switch");
        for n in 0..5 {
            office.plan(call(OURS, "01004", 60 * n));
            office.plan(call(CALLING, "1011", 60 * n + 5));
        }
        all_well(&mut office).await;
        let counts = office.switch.exchange.gateways.load().find("carrier").unwrap().counts();
        assert_eq!(
            (counts.outbound, counts.failed_outbound, counts.inbound, counts.failed_inbound),
            (5, 0, 5, 0)
        );
        // Long enough for many refreshes; each answers with the nonce it has.
        tokio::time::sleep(Duration::from_secs(1000)).await;
        assert_eq!(state(&office, "carrier"), State::Reged);
        office.close().await;
    });
}

#[test]
fn in_the_rain_it_stays_registered_and_calls_go() {
    for seed in seeds(office::worlds() / 2) {
        office::run(async move {
            let proxy = carrier_address().ip().to_string();
            let mut office =
                open(seed, &Weather::fine(), &gateway("carrier", &proxy, ""), "sofia/gateway/carrier/$1")
                    .await;
            with_carrier(&mut office).await;
            until(&office, "carrier", true).await;
            office.net.set_weather(Weather::rough(0.05));
            for n in 0..20 {
                office.plan(call(OURS, "01004", 90 * n));
                office.plan(call(CALLING, "1011", 90 * n + 45));
            }
            office.play().await;
            let (well, all) = office.judge();
            assert!(well + 2 >= all, "{well} of {all} calls went as meant");
            office.net.set_weather(Weather::fine());
            until(&office, "carrier", true).await;
            office.close().await;
        });
    }
}

#[test]
fn a_carrier_that_comes_back_is_registered_with_again() {
    office::run(async {
        let proxy = carrier_address().ip().to_string();
        let dial = "sofia/gateway/carrier/$1|user/1004@office.test";
        let mut office = open(0, &Weather::fine(), &gateway("carrier", &proxy, ""), dial).await;
        with_carrier(&mut office).await;
        until(&office, "carrier", true).await;
        office.plan(call(OURS, "01004", 0));
        all_well(&mut office).await;
        // Gone: what is up until the next refresh fails by its time, then the second target rings at once.
        office.carrier.take().unwrap().stop().await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        until(&office, "carrier", false).await;
        office.plan(call(OURS, "01004", 0));
        all_well(&mut office).await;
        let counts = office.switch.exchange.gateways.load().find("carrier").unwrap().counts();
        assert_eq!(counts.failed_outbound, 1, "GATEWAY_DOWN, at once");
        // Back, and knowing nobody.
        office.carrier = Some(start_carrier(&office));
        let after = until(&office, "carrier", true).await;
        assert!(after < 120, "it took {after} s");
        office.register(600).await;
        office.plan(call(OURS, "01004", 0));
        office.plan(call(CALLING, "1011", 5));
        all_well(&mut office).await;
        office.close().await;
    });
}

#[test]
fn a_wrong_password_keeps_it_down_and_a_missing_one_is_no_gateway() {
    office::run(async {
        let proxy = carrier_address().ip().to_string();
        let wrong = gateway("wrong", &proxy, r#"<param name="password" value="guessed"/>"#);
        let dial = "sofia/gateway/none/$1|sofia/gateway/wrong/$1|user/1004@office.test";
        let mut office = open(0, &Weather::fine(), &wrong, dial).await;
        with_carrier(&mut office).await;
        tokio::time::sleep(Duration::from_secs(120)).await;
        assert_eq!(state(&office, "wrong"), State::FailWait);
        let status = office.switch.exchange.gateways.load().find("wrong").unwrap().status();
        assert!((2..12).contains(&status.failures), "ever more seldom: {}", status.failures);
        // The carrier's staff see why.
        let desk = office.carrier.as_ref().expect("a carrier").desk();
        let said = tandem::api::run(&desk, "reg why 1011@office.test").await;
        assert!(said.contains("\nits last REGISTER that was refused came "), "{said}");
        assert!(said.contains(": the password is wrong\nnot registered now\n"), "{said}");
        let said = tandem::api::run(&desk, "reg why 1000@office.test").await;
        assert!(said.contains("no REGISTER of it was refused lately"), "{said}");
        office.plan(call(OURS, "01004", 0));
        all_well(&mut office).await;
        office.close().await;
    });
}

#[test]
fn a_carrier_without_room_leads_to_the_next_target() {
    office::run(async {
        let proxy = carrier_address().ip().to_string();
        let peer = format!(
            r#"<gateway name="full"><param name="register" value="false"/><param name="proxy" value="{proxy}"/></gateway>"#
        );
        let mut office =
            open(0, &Weather::fine(), &peer, "sofia/gateway/full/$1|user/1004@office.test").await;
        with_carrier(&mut office).await;
        assert_eq!(state(&office, "full"), State::Noreg);
        office.carrier.as_ref().unwrap().exchange.gate.drain();
        office.plan(call(OURS, "01004", 0));
        all_well(&mut office).await;
        office.close().await;
    });
}

#[test]
fn pings_tell_when_a_peer_is_gone_and_back() {
    office::run(async {
        let proxy = carrier_address().ip().to_string();
        let peer = format!(
            r#"<gateway name="peer"><param name="register" value="false"/><param name="proxy" value="{proxy}"/>
            <param name="ping" value="10"/></gateway>"#
        );
        let mut office =
            open(0, &Weather::fine(), &peer, "sofia/gateway/peer/$1|user/1004@office.test").await;
        office.carrier = Some(start_carrier(&office));
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(until(&office, "peer", true).await, 0);
        let (ours, theirs) = (switch_address().ip(), carrier_address().ip());
        office.net.cut(ours, theirs, true);
        assert!(until(&office, "peer", false).await <= 21);
        office.plan(call(OURS, "01004", 0));
        all_well(&mut office).await;
        office.net.cut(ours, theirs, false);
        assert!(until(&office, "peer", true).await <= 21);
        office.close().await;
    });
}

#[test]
fn names_lead_to_the_address_that_works() {
    office::run(async {
        let dial = "sofia/gateway/carrier/$1";
        let zone = Zone::default();
        zone.srv("_sip._udp.carrier.test", &[(10, 5060, "a.carrier.test"), (20, 5060, "b.carrier.test")]);
        zone.a("a.carrier.test", &[[203, 0, 113, 249]]); // nobody is there
        zone.a("b.carrier.test", &[[203, 0, 113, 250]]);
        let gateways = gateway("carrier", "carrier.test", "");
        let tree = tree_at(switch_address(), &out(dial), &gateways);
        let mut office = Office::open_as(0, Weather::fine(), tree).await;
        // Not even the name server is there at first.
        tokio::time::sleep(Duration::from_secs(20)).await;
        assert_eq!(state(&office, "carrier"), State::FailWait);
        let server = zone.serve(&office.net);
        with_carrier(&mut office).await;
        until(&office, "carrier", true).await;
        office.plan(call(OURS, "01004", 0));
        office.plan(call(OURS, "01004", 40));
        office.plan(call(CALLING, "1011", 5));
        all_well(&mut office).await;
        let asked = zone.asked();
        for n in 0..10 {
            office.plan(call(OURS, "01004", 2 * n));
        }
        all_well(&mut office).await;
        let asked = zone.asked() - asked;
        assert!(asked <= 12, "answers are kept for as long as they hold; {asked} questions for ten calls");
        server.abort();
        let _ = server.await;
        office.close().await;
    });
}

/// What the far end of a gateway sees of a call: its variables, the fields of the caller profile they name (`p:…`), the
/// parameters of P-Asserted-Identity, and a To of the dial string's.
#[test]
fn a_call_looks_as_the_gateway_says() {
    office::run(async {
        let variables = r#"<variables>
            <variable name="p:caller_id_number" value="4930123" direction="outbound"/>
            <variable name="p:caller_id_name" value="The Firm" direction="outbound"/>
            <variable name="sip_cid_type" value="pid"/>
            <variable name="sip_invite_pid_params" value="user=phone;cpc=ordinary" direction="outbound"/>
            <variable name="sip_h_X-Only-In" value="1" direction="inbound"/>
            <variable name="p:nonsense" value="1"/></variables>"#;
        let carrier = carrier_address();
        let peer = peer("carrier", &carrier.ip().to_string(), variables);
        let mut office = open(0, &Weather::fine(), &peer, "sofia/gateway/carrier/$1^999@to.example").await;
        let socket = office.net.bind_udp(carrier).expect("an address");
        let mut script = call(OURS, "0555", 0);
        script.kind = crate::script::Kind::Service;
        office.plan(script);
        let far_end = async {
            let mut buffer = vec![0; 65_535];
            std::future::poll_fn(|cx| socket.poll_recv_ready(cx)).await.expect("a datagram");
            let (length, from) = socket.try_recv_from(&mut buffer).expect("a datagram");
            let invite = String::from_utf8_lossy(&buffer[..length]).into_owned();
            let kept = invite.lines().filter(|l| {
                ["Via:", "From:", "To:", "Call-ID:", "CSeq:"].iter().any(|name| l.starts_with(name))
            });
            let kept: String = kept.map(|l| format!("{}\r\n", l.trim_end())).collect();
            let busy = format!("SIP/2.0 486 Busy Here\r\n{kept}Content-Length: 0\r\n\r\n").replacen(
                "@to.example>\r\n",
                "@to.example>;tag=busy\r\n",
                1,
            );
            socket.try_send_to(busy.as_bytes(), from).expect("to send");
            invite
        };
        let ((), invite) = tokio::join!(office.play(), far_end);
        let line = |name: &str| invite.lines().find(|l| l.starts_with(name)).unwrap_or("").trim_end();
        assert!(invite.starts_with("INVITE sip:555@203.0.113.250 SIP/2.0"), "{invite}");
        assert_eq!(line("To:"), "To: <sip:999@to.example>");
        let asserted = line("P-Asserted-Identity:");
        assert!(asserted.starts_with("P-Asserted-Identity: \"The Firm\" <sip:4930123@"), "{invite}");
        assert!(asserted.ends_with(";user=phone;cpc=ordinary>"), "{invite}");
        assert_eq!(line("X-Only-In:"), "", "{invite}");
        drop(socket);
        office.close().await;
    });
}

//------------ Reload ----------------------------------------------------------------------------------------

fn peer(name: &str, proxy: &str, more: &str) -> String {
    format!(
        r#"<gateway name="{name}"><param name="register" value="false"/><param name="proxy" value="{proxy}"/>{more}</gateway>"#
    )
}

fn of(office: &Office, name: &str) -> Arc<tandem::gateway::Gateway> {
    office.switch.exchange.gateways.load().find(name).expect("a gateway").clone()
}

#[test]
fn a_reload_touches_only_the_gateways_that_changed() {
    office::run(async {
        let proxy = carrier_address().ip().to_string();
        let dial = "sofia/gateway/carrier/$1";
        let first = gateway("carrier", &proxy, "") + &peer("left", &proxy, "") + &peer("gone", &proxy, "");
        let mut office = open(0, &Weather::fine(), &first, dial).await;
        with_carrier(&mut office).await;
        until(&office, "carrier", true).await;
        let (left, carrier) = (of(&office, "left"), of(&office, "carrier"));
        let tree = |gateways: &str| tree_at(switch_address(), &out(dial), gateways);

        // As it was: nothing is touched, and nothing said of it.
        let said = office.reload(tree(&first)).await.expect("a good tree");
        assert!(!said.contains("gateway") && !said.contains("profile"), "{said}");
        assert!(Arc::ptr_eq(&left, &of(&office, "left")) && Arc::ptr_eq(&carrier, &of(&office, "carrier")));

        // One changes in what only we see, one goes, one comes.
        let prefix = r#"<param name="destination-prefix" value="1"/>"#;
        let second =
            gateway("carrier", &proxy, prefix) + &peer("left", &proxy, "") + &peer("new", &proxy, "");
        let said = office.reload(tree(&second)).await.expect("a good tree");
        for part in [
            "gateway external::carrier changed (destination-prefix)",
            "gateway external::gone removed",
            "gateway external::new added",
        ] {
            assert!(said.contains(part), "{said}");
        }
        assert!(Arc::ptr_eq(&left, &of(&office, "left")));
        assert_eq!(state(&office, "carrier"), State::Reged, "its registration is not disturbed");
        assert!(office.switch.exchange.gateways.load().find("gone").is_none());
        office.plan(call(OURS, "0004", 0)); // 1 and 004
        all_well(&mut office).await;
        tokio::time::sleep(Duration::from_secs(300)).await;
        assert_eq!(state(&office, "carrier"), State::Reged, "it is refreshed");

        // The account itself: logged out there, and in again.
        let third = gateway("carrier", &proxy, r#"<param name="password" value="wrong now"/>"#);
        let said = office.reload(tree(&third)).await.expect("a good tree");
        assert!(said.contains("gateway external::carrier begins anew (password"), "{said}");
        tokio::time::sleep(Duration::from_secs(8)).await;
        assert_eq!(state(&office, "carrier"), State::FailWait);
        let bindings = office.carrier.as_ref().unwrap().exchange.registrar.len();
        assert_eq!(bindings, 2, "the old registration is taken back");
        let said = office.reload(tree(&first)).await.expect("a good tree");
        assert!(said.contains("begins anew (password)"), "{said}");
        until(&office, "carrier", true).await;
        office.plan(call(OURS, "01004", 0));
        office.plan(call(CALLING, "1011", 1));
        all_well(&mut office).await;
        office.close().await;
    });
}

#[test]
fn a_hundred_reloads_harm_no_call() {
    office::run(async {
        let proxy = carrier_address().ip().to_string();
        let dial = "sofia/gateway/carrier/$1";
        let base = gateway("carrier", &proxy, "");
        let mut office = open(0, &Weather::fine(), &base, dial).await;
        with_carrier(&mut office).await;
        until(&office, "carrier", true).await;
        let long = Duration::from_secs(120);
        for n in 0..30 {
            let at = Duration::from_millis(300 * n);
            office.plan(Script::exactly(OURS, "01004", at, long, vec![], vec![]));
            office.plan(Script::exactly(CALLING, "1011", at, long, vec![], vec![]));
        }
        let exchange = office.switch.exchange.clone();
        let switch = &office.switch;
        let trees = (0..100).map(|n| {
            let other = match n % 4 {
                0 => peer("other", &proxy, ""),
                1 => peer("other", "192.0.2.99", ""),
                2 => String::new(),
                _ => gateway("other", &proxy, r#"<param name="username" value="1010"/>"#),
            };
            let context = format!(
                r#"<param name="destination-prefix" value=""/><param name="retry-seconds" value="{}"/>"#,
                10 + n % 3
            );
            tree_at(switch_address(), &out(dial), &(gateway("carrier", &proxy, &context) + &other))
        });
        let mut trees: Vec<_> = trees.collect();
        let (mut most, up) = (0, Arc::strong_count(&exchange));
        let reloads = async {
            tokio::time::sleep(Duration::from_secs(12)).await;
            for tree in trees.drain(..) {
                tokio::time::sleep(Duration::from_millis(700)).await;
                switch.reload(tree).await.expect("a good tree");
                most = most.max(exchange.legs.len());
            }
        };
        // Both at once, on one thread.
        let plays = play_while(&office, reloads);
        plays.await;
        assert_eq!(most, 120, "sixty calls were up, two legs each");
        let (well, all) = office.judge();
        assert_eq!(well, all, "calls that went as meant");
        let back = tree_at(switch_address(), &out(dial), &base);
        office.reload(back).await.expect("a good tree");
        tokio::time::sleep(Duration::from_secs(30)).await;
        assert!(Arc::strong_count(&exchange) <= up + 2, "nothing of the old generations is left");
        drop(exchange);
        office.close().await;
    });
}

/// Plays what is planned while `work` is done.
async fn play_while(office: &Office, work: impl Future<Output = ()>) {
    let ((), ()) = tokio::join!(office.play(), work);
}

#[test]
fn a_reload_that_cannot_be_changes_nothing() {
    office::run(async {
        let proxy = carrier_address().ip().to_string();
        let dial = "sofia/gateway/carrier/$1";
        let base = gateway("carrier", &proxy, "");
        let mut office = open(0, &Weather::fine(), &base, dial).await;
        with_carrier(&mut office).await;
        until(&office, "carrier", true).await;
        let before = of(&office, "carrier");
        // Somebody else has the address it would need.
        let taken = SocketAddr::new(switch_address().ip(), 5090);
        let held = office.net.bind_udp(taken).unwrap();
        let elsewhere = office::tree_with(switch_address(), &out(dial), &peer("other", &proxy, ""), 5090);
        let errors = office.reload(elsewhere).await.expect_err("the address is taken");
        assert!(errors.iter().any(|e| e.contains("external") && e.contains("5090")), "{errors:?}");
        assert!(Arc::ptr_eq(&before, &of(&office, "carrier")));
        assert!(office.switch.exchange.gateways.load().find("other").is_none());
        office.plan(call(OURS, "01004", 0));
        all_well(&mut office).await;
        drop(held);
        office.close().await;
    });
}

#[test]
fn a_profile_that_moves_serves_its_calls_to_the_end() {
    office::run(async {
        let proxy = carrier_address().ip().to_string();
        let dial = "sofia/gateway/carrier/$1";
        let base = gateway("carrier", &proxy, "");
        let mut office = open(0, &Weather::fine(), &base, dial).await;
        with_carrier(&mut office).await;
        until(&office, "carrier", true).await;
        let open_before = office.net.open();
        office.plan(Script::exactly(OURS, "01004", Duration::ZERO, Duration::from_secs(200), vec![], vec![]));
        office.plan(Script::exactly(
            CALLING,
            "1011",
            Duration::ZERO,
            Duration::from_secs(200),
            vec![],
            vec![],
        ));
        let moved = office::tree_with(switch_address(), &out(dial), &base, 5090);
        let switch = &office.switch;
        let work = async {
            tokio::time::sleep(Duration::from_secs(20)).await;
            let said = switch.reload(moved).await.expect("a good tree");
            assert!(said.contains("profile external is at 192.0.2.1:5090 now"), "{said}");
            assert!(said.contains("gateway external::carrier begins anew (our address)"), "{said}");
        };
        play_while(&office, work).await;
        let (well, all) = office.judge();
        assert_eq!(well, all, "calls that went as meant");
        until(&office, "carrier", true).await;
        tokio::time::sleep(Duration::from_secs(100)).await;
        assert_eq!(office.net.open(), open_before, "the old sockets are closed");
        office.plan(call(CALLING, "1011", 0));
        office.plan(call(OURS, "01004", 1));
        all_well(&mut office).await;
        office.close().await;
    });
}

#[test]
fn a_name_without_an_address_is_named() {
    office::run(async {
        let mut office =
            open(0, &Weather::fine(), &peer("nowhere", "nowhere.test", ""), "sofia/gateway/nowhere/$1").await;
        office.plan(call(OURS, "01004", 0));
        office.play().await;
        let desk = office.switch.desk();
        let why = tandem::api::run(&desk, "why last").await;
        let step =
            why.lines().find(|line| line.contains("INVITE not delivered: no address for nowhere.test"));
        assert!(step.is_some_and(|line| line.contains(" s ")), "{why}");
        assert!(!why.contains("INVITE sent") && !why.contains("did not answer our INVITE"), "{why}");
        assert!(
            why.contains("ended: our INVITE could not be delivered: no address for nowhere.test, cause "),
            "{why}"
        );
        office.close().await;
    });
}
