//! FreeSWITCH's own `conf/vanilla` tree, unmodified, called by phones: every extension of it, what must happen and what
//! the log says of it. `TANDEM_STOCK_CONF` names the folder with the tree (`…/vanilla` inside); without it the tests are
//! a named skip, since the tree is not ours to ship.
//!
//! 1015 calls, from no group; 1000 (operator, sales), 1005 (billing) and 1010 (support) are called. What needs sound is
//! refused: the caller gets 501 or, answered already, a BYE; the log names file and line.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::baresip::{Baresip, Phone};
use crate::dns::NameServer;
use crate::needs;
use crate::place::{Lease, free_port};
use crate::process::PATIENCE;
use crate::puppet::{Answer, Puppet};
use crate::sipp::Scenario;
use crate::switch::{PASSWORD, Setup, Switch};
use crate::tone::assert_heard;

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    /// That phone rings, picks up, and the two are connected.
    Rings(&'static str),
    /// The switch answers and holds the call until the caller hangs up.
    Stays,
    /// The switch answers, and hangs up.
    Ends,
    /// The caller gets this final status.
    Refused(u16),
}
use Then::{Ends, Refused, Rings, Stays};

/// An extension of the tree.
struct Row {
    /// Its name in the tree.
    extension: &'static str,
    /// Who dials it.
    caller: &'static str,
    /// What is dialled.
    number: &'static str,
    /// The port it is dialled at: 5060, or 5080 where nobody has to log in.
    port: u16,
    /// Parameters of the address dialled.
    params: &'static str,
    then: Then,
    /// Words of one line each that the log must hold after the call, in any order.
    log: &'static [&'static str],
}

const fn row(extension: &'static str, number: &'static str, then: Then, log: &'static [&'static str]) -> Row {
    Row { extension, caller: "1015", number, port: 5060, params: "", then, log }
}

impl Row {
    const fn by(self, caller: &'static str) -> Row {
        Row { caller, ..self }
    }

    const fn outside(self) -> Row {
        Row { port: 5080, ..self }
    }

    const fn with(self, params: &'static str) -> Row {
        Row { params, ..self }
    }
}

/// Longer than any pause the tree makes between its answer and what comes next.
const LONGEST_PAUSE: Duration = Duration::from_millis(3500);

/// The stock tree, or why the test is skipped.
fn vanilla() -> Option<PathBuf> {
    let Some(folder) = std::env::var_os("TANDEM_STOCK_CONF") else {
        eprintln!("SKIPPED: TANDEM_STOCK_CONF does not name FreeSWITCH's stock trees");
        return None;
    };
    Some(PathBuf::from(folder).join("vanilla"))
}

/// What every phone plays.
const TONE: f64 = 660.0;

struct Site {
    switch: Switch,
    phones: Vec<(&'static str, Baresip)>,
    /// The only names there are.
    _names: (NameServer, Lease),
}

impl Site {
    /// With these phones. A call that leaves the site comes to `world`.
    fn new(users: &[&'static str], world: u16) -> Option<Site> {
        let tree = Some(vanilla()?);
        let lease = Lease::new();
        let records: Vec<String> = ["conference.freeswitch.org", "bkw.org", "example.com"]
            .into_iter()
            .map(|name| format!("srv-host=_sip._udp.{name},world.example,{world},10"))
            .chain(["host-record=world.example,127.0.0.1".to_owned()])
            .collect();
        let names = NameServer::start(lease.ip, &records);
        let switch = Switch::start_with(Setup {
            tree,
            set: vec![("name_server", names.at.clone())],
            edits: &[(
                "autoload_configs/switch.conf.xml",
                "<settings>",
                "<settings><param name=\"dns-servers\" value=\"$${name_server}\"/>",
            )],
            ..Setup::default()
        });
        switch.process.as_ref()?; // aimed at another server
        let phone = |user: &&'static str| (*user, Phone::new(user, switch.sip(), TONE).start());
        let phones = users.iter().map(phone).collect();
        Some(Site { switch, phones, _names: (names, lease) })
    }

    fn phone(&mut self, user: &str) -> &mut Baresip {
        let (_, phone) = self.phones.iter_mut().find(|(name, _)| *name == user).expect("a phone of the site");
        phone
    }

    fn dial(&mut self, row: &Row) {
        let uri = format!("sip:{}@{}:{}{}", row.number, self.switch.ip(), row.port, row.params);
        self.phone(row.caller).command("dial", &uri);
    }

    /// Dials and does what phones do, until the call is over.
    fn place(&mut self, row: &Row) -> Option<Then> {
        self.dial(row);
        let (begun, mut answered, mut rung) = (Instant::now(), None, None);
        while begun.elapsed() < PATIENCE {
            for (user, phone) in &mut self.phones {
                let Some(event) = phone.next_event(Duration::from_millis(5)) else { continue };
                match (event.kind.as_str(), *user == row.caller) {
                    ("CALL_CLOSED", true) => {
                        let status = event.param.split(' ').next().and_then(|s| s.parse().ok());
                        return answered.map(|_| Ends).or(status.map(Refused));
                    }
                    ("CALL_ESTABLISHED", true) => answered = Some(Instant::now()),
                    ("CALL_INCOMING", false) => {
                        phone.command("accept", "");
                        phone.event("CALL_ESTABLISHED");
                        rung = Some(*user);
                    }
                    _ => {}
                }
            }
            match (rung, answered) {
                (Some(user), Some(_)) => {
                    std::thread::sleep(Duration::from_millis(300));
                    self.hang_up(row.caller);
                    self.phone(user).event("CALL_CLOSED");
                    return Some(Rings(user));
                }
                (None, Some(since)) if since.elapsed() > LONGEST_PAUSE => {
                    self.hang_up(row.caller);
                    return Some(Stays);
                }
                _ => {}
            }
        }
        self.hang_up(row.caller);
        None
    }

    fn hang_up(&mut self, user: &str) {
        self.phone(user).command("hangup", "");
        self.phone(user).event("CALL_CLOSED");
    }

    /// Goes through the rows; what disagrees is told at the end, all of it.
    fn walk(&mut self, rows: &[Row]) {
        let mut wrong = Vec::new();
        for row in rows {
            let from = self.switch.log().len();
            let seen = self.place(row);
            // The closing line comes a moment after the phone knows.
            std::thread::sleep(Duration::from_millis(150));
            let log: Vec<String> = self.switch.log().split_off(from);
            let missing: Vec<_> =
                row.log.iter().filter(|words| !log.iter().any(|line| line.contains(*words))).collect();
            if seen != Some(row.then) || !missing.is_empty() {
                wrong.push(format!(
                    "{} ({}): {:?} expected, {seen:?} seen, the log without {missing:?}:\n{}",
                    row.extension,
                    row.number,
                    row.then,
                    log.join("\n")
                ));
            }
        }
        assert!(wrong.is_empty(), "{} of {} rows disagree\n{}", wrong.len(), rows.len(), wrong.join("\n\n"));
    }
}

const NOT_THERE: &str = "SERVICE_NOT_IMPLEMENTED (79)";

const DEFAULT: &[Row] = &[
    row("global-intercept", "886", Ends, &[]),
    row("group-intercept", "*8", Ends, &[]),
    row("intercept-ext", "**1000", Ends, &[]),
    row("redial, nobody", "870", Refused(480), &["transfer without an extension", "NORMAL_CLEARING (16)"]),
    row("Local_Extension", "1000", Rings("1000"), &["NORMAL_CLEARING (16)"]),
    row("redial", "870", Rings("1000"), &[]),
    row("redial", "redial", Rings("1000"), &[]),
    row("eavesdrop", "881000", Ends, &["eavesdrop", NOT_THERE]),
    row("eavesdrop", "*01000", Ends, &["eavesdrop", NOT_THERE]),
    row("eavesdrop", "779", Ends, &["eavesdrop(all)", NOT_THERE]),
    row("add-group", "8101", Ends, &["gentones", NOT_THERE]).by("1010"),
    row("call-group-simo", "8201", Rings("1010"), &[]),
    row("call-group-order", "8301", Rings("1010"), &[]),
    row("del-group", "8001", Ends, &["gentones", NOT_THERE]).by("1010"),
    row("call-group-simo, empty", "8201", Refused(480), &["there is nobody to call", "NORMAL_CLEARING (16)"]),
    row(
        "call-group-order, empty",
        "8301",
        Refused(480),
        &["there is nobody to call", "NORMAL_CLEARING (16)"],
    ),
    row("extension-intercom", "81000", Rings("1000"), &[]),
    row("Local_Extension, not registered", "1019", Ends, &["voicemail"]),
    row("Local_Extension_Skinny", "1101", Ends, &["skinny", "voicemail"]),
    row("group_dial_sales", "2000", Rings("1000"), &[]),
    row("group_dial_support", "2001", Rings("1010"), &[]),
    row("group_dial_billing", "2002", Rings("1005"), &[]),
    row("operator", "0", Rings("1000"), &[]),
    row("operator", "operator", Rings("1000"), &[]),
    row("vmain", "4000", Ends, &["voicemail(check default", NOT_THERE]),
    row("vmain", "*98", Ends, &["voicemail(check default", NOT_THERE]),
    row("vmain", "vmain", Ends, &["voicemail(check default", NOT_THERE]),
    row("nb_conferences", "3000", Ends, &["conference(3000-", NOT_THERE]),
    row("wb_conferences", "3100", Ends, &["@wideband)", NOT_THERE]),
    row("uwb_conferences", "3200", Ends, &["@ultrawideband)", NOT_THERE]),
    row("cdquality_conferences", "3300", Ends, &["@cdquality)", NOT_THERE]),
    row("cdquality_stereo_conferences", "3500-screen", Ends, &["(3500@video-mcu-stereo)", NOT_THERE]),
    row("conference-canvases", "3500-canvas-2", Ends, &["(3500@video-mcu-stereo)", NOT_THERE]),
    row("conf mod", "6070-moderator", Ends, &["conference(", NOT_THERE]),
    row("cdquality_conferences", "3500", Ends, &["(3500@video-mcu-stereo)", NOT_THERE]),
    row("cdquality_conferences_720", "3600", Ends, &["@video-mcu-stereo-720)", NOT_THERE]),
    row("cdquality_conferences_480", "3700", Ends, &["@video-mcu-stereo-480)", NOT_THERE]),
    row("cdquality_conferences_320", "3800", Ends, &["@video-mcu-stereo-320)", NOT_THERE]),
    row("mad_boss_intercom", "0911", Refused(501), &["conference_set_auto_outcall", NOT_THERE]),
    row(
        "mad_boss_intercom",
        "0912",
        Refused(501),
        &["conference_set_auto_outcall(loopback/9664)", NOT_THERE],
    ),
    row("mad_boss", "0913", Refused(501), &["conference_set_auto_outcall(loopback/9664)", NOT_THERE]),
    row("ivr_demo", "5000", Ends, &["ivr(demo_ivr)", NOT_THERE]),
    row("dynamic_conference", "5001", Refused(501), &["conference(bridge:mydynaconf:", NOT_THERE]),
    row("rtp_multicast_page", "7243", Ends, &["esf_page_group", NOT_THERE]),
    row("rtp_multicast_page", "pagegroup", Ends, &["esf_page_group", NOT_THERE]),
    row("park", "5900", Stays, &["fifo(5900@", "waits in 5900@"]),
    row("unpark", "5901", Ends, &["nobody waits in 5900@"]),
    row("valet_park", "6000", Ends, &["valet_park(valet_parking_lot ask", NOT_THERE]),
    row("valet_park", "6001", Stays, &["parked in 6001 of valet_parking_lot"]),
    row("park (Snom)", "park+7000", Stays, &["waits in 7000@"]),
    row("fax_receive", "9178", Ends, &["rxfax(", NOT_THERE]),
    row("fax_transmit", "9179", Refused(501), &["txfax", NOT_THERE]),
    row("show_info", "9192", Ends, &["variable_sip_from_user: [1015]", "NORMAL_CLEARING (16)"]),
    row("video_record", "9193", Ends, &["record_fsv", NOT_THERE]),
    row("video_playback", "9194", Ends, &["play_fsv", NOT_THERE]),
    row("delay_echo", "9195", Ends, &["delay_echo(5000)", NOT_THERE]),
    row("echo", "9196", Stays, &["NORMAL_CLEARING (16)"]),
    row("milliwatt", "9197", Ends, &["playback({loops=-1}tone_stream://%(251,0,1004))", NOT_THERE]),
    row("tone_stream", "9198", Ends, &["tetris.ttml", NOT_THERE]),
    row("hold_music", "9664", Ends, &["playback(silence_stream://2000)", NOT_THERE]),
    row("laugh break", "9386", Ends, &["playback(phrase:funny_prompts)", NOT_THERE]),
    row("Talking Clock Time", "9170", Ends, &["say(en CURRENT_TIME pronounced", NOT_THERE]),
    row("Talking Clock Date", "9171", Ends, &["say(en CURRENT_DATE pronounced", NOT_THERE]),
    row("Talking Clock Date and Time", "9172", Ends, &["say(en CURRENT_DATE_TIME pronounced", NOT_THERE]),
    row(
        "pizza_demo: no such module, so what takes all",
        "pizza",
        Refused(501),
        &["playback(local_stream://moh)", NOT_THERE],
    ),
    row(
        "enum: no such module; acknowledge_call",
        "4711",
        Refused(501),
        &["acknowledge_call", "playback(local_stream://moh)", NOT_THERE],
    ),
];

/// Answered by SIPp, which is the world.
const LEAVING: &[Row] = &[
    row(
        "freeswitch_public_conf_via_sip",
        "9888",
        Stays,
        &["calling sip:888@conference.freeswitch.org", "bridged with"],
    ),
    row("ClueCon", "9191", Stays, &["calling sip:2000@bkw.org", "bridged with"]),
    row("local.example.com", "5551234", Stays, &["calling sip:19185551234", "bridged with"]),
    row("domestic.example.com", "12125551234", Stays, &["calling sip:12125551234", "bridged with"]),
    row("international.example.com", "01149891234", Stays, &["calling sip:01149891234", "bridged with"]),
];

/// What anybody may dial at port 5080.
const PUBLIC: &[Row] = &[
    row(
        "public_extensions",
        "1000",
        Rings("1000"),
        &["in context public", "outside_call=true", "in context default"],
    )
    .outside(),
    row("public_did", "5551212", Rings("1000"), &["in context public", "transferred to 1000"]).outside(),
    row("public_conference_extensions", "3500", Ends, &["conference(3500@", NOT_THERE]).outside(),
    row("no way out", "01149891234", Refused(480), &["NORMAL_CLEARING (16)"]).outside(),
    row("no echo", "9196", Refused(480), &["NORMAL_CLEARING (16)"]).outside(),
];

/// The caller is called back by whom it called, and parked calls of phones with parking keys.
const KEYS: &[Row] = &[
    row("call_return, nobody", "869", Refused(480), &["transfer without an extension"]),
    row("Local_Extension", "1000", Rings("1000"), &[]),
    row("call_return", "*69", Rings("1015"), &["transferred to 1015"]).by("1000"),
    row("call_return", "869", Rings("1000"), &["transferred to 1000"]),
    row("call_return", "lcr", Rings("1015"), &["transferred to 1015"]).by("1000"),
    row("unpark (Snom)", "parking", Ends, &["nobody waits in 7001@"]).with(";fifo=7001"),
    row("unpark (Linksys)", "pickup", Ends, &["nobody waits in 7002@"]).with(";orbit=7002"),
];

const USERS: &[&str] = &["1015", "1000", "1005", "1010"];

#[test]
fn every_extension_of_the_context_default() {
    needs!("baresip", "dnsmasq");
    let Some(mut site) = Site::new(USERS, 9) else { return };
    site.walk(DEFAULT);
}

#[test]
fn calls_that_leave_the_site() {
    needs!("baresip", "dnsmasq", "sipp");
    let world = free_port();
    let Some(mut site) = Site::new(&["1015"], world) else { return };
    let fill = &[("RING", "100")];
    let scenario = Scenario::new("uas", site.switch.sip(), "world").fill(fill);
    let mut sipp = scenario.on_port(world).calls(LEAVING.len() as u32).start();
    site.walk(LEAVING);
    sipp.finish();
}

#[test]
fn callers_from_outside_and_keys() {
    needs!("baresip", "dnsmasq");
    let Some(mut site) = Site::new(USERS, 9) else { return };
    site.walk(PUBLIC);
    site.walk(KEYS);
}

/// Whoever picks up a call that rings elsewhere talks to its caller.
#[test]
fn calls_are_picked_up_by_886_and_its_like() {
    needs!("baresip", "dnsmasq");
    let Some(mut site) = Site::new(USERS, 9) else { return };
    for number in ["886", "*8", "**1000"] {
        site.dial(&row("Local_Extension", "1000", Rings("1000"), &[]));
        site.phone("1000").event("CALL_INCOMING");
        site.dial(&row("intercept", number, Stays, &[]).by("1010"));
        site.phone("1010").event("CALL_ESTABLISHED");
        site.phone("1015").event("CALL_ESTABLISHED");
        site.phone("1000").event("CALL_CLOSED");
        std::thread::sleep(Duration::from_secs(2));
        site.hang_up("1015");
        site.phone("1010").event("CALL_CLOSED");
        assert_heard(number, &site.phone("1010").heard(), TONE, 1.0);
        assert_heard(number, &site.phone("1015").heard(), TONE, 1.0);
    }
}

/// The called phone's `*1` asks for a number and cannot yet, `*3` sends both to a conference.
#[test]
fn keys_of_the_called_phone() {
    needs!("baresip", "dnsmasq");
    let Some(mut site) = Site::new(&["1015", "1000"], 9) else { return };
    site.dial(&row("Local_Extension", "1000", Rings("1000"), &[]));
    let called = site.phone("1000");
    called.event("CALL_INCOMING");
    called.command("accept", "");
    called.event("CALL_ESTABLISHED");
    std::thread::sleep(Duration::from_secs(1));
    for (key, then) in [("1", "read("), ("3", "conference(3000-")] {
        for digit in ["*", key] {
            site.phone("1000").command("sndcode", digit);
            std::thread::sleep(Duration::from_millis(300));
        }
        site.switch.expect_log(&[then, "is not provided yet"]);
    }
    site.phone("1000").event("CALL_CLOSED");
    site.phone("1015").event("CALL_CLOSED");
}

/// Whoever dials the slot of a parked call talks to it.
#[test]
fn a_parked_call_is_fetched_from_its_slot() {
    needs!("baresip", "dnsmasq");
    let Some(mut site) = Site::new(USERS, 9) else { return };
    let slot = row("valet_park", "6001", Stays, &[]);
    site.dial(&slot);
    site.phone("1015").event("CALL_ESTABLISHED");
    site.dial(&slot.by("1010"));
    site.phone("1010").event("CALL_ESTABLISHED");
    std::thread::sleep(Duration::from_secs(2));
    site.hang_up("1015");
    site.phone("1010").event("CALL_CLOSED");
    assert_heard("who fetched it", &site.phone("1010").heard(), TONE, 1.0);
    assert_heard("who was parked", &site.phone("1015").heard(), TONE, 1.0);
}

/// A phone sends the other side of its call to a slot (REFER); whoever dials the slot talks to who waits there.
#[test]
fn a_call_transferred_to_a_slot_is_fetched() {
    needs!("baresip", "dnsmasq");
    let Some(mut site) = Site::new(&["1015", "1000", "1010"], 9) else { return };
    site.dial(&row("Local_Extension", "1000", Rings("1000"), &[]));
    site.phone("1000").event("CALL_INCOMING");
    site.phone("1000").command("accept", "");
    site.phone("1000").event("CALL_ESTABLISHED");
    site.phone("1015").event("CALL_ESTABLISHED");
    let slot = row("valet_park", "6001", Stays, &[]).by("1010");
    let uri = format!("sip:6001@{}:{}", site.switch.ip(), slot.port);
    site.phone("1000").command("transfer", &uri);
    site.switch.expect_log(&["blind transfer to 6001"]);
    site.phone("1000").event("CALL_CLOSED");
    std::thread::sleep(Duration::from_millis(500));
    site.dial(&slot);
    site.phone("1010").event("CALL_ESTABLISHED");
    std::thread::sleep(Duration::from_secs(5));
    site.hang_up("1010");
    site.phone("1015").event("CALL_CLOSED");
    // More than it can have heard of the phone that transferred it.
    assert_heard("who was parked", &site.phone("1015").heard(), TONE, 3.5);
    assert_heard("who fetched it", &site.phone("1010").heard(), TONE, 3.5);
}

/// The extensions that wait for twenty seconds and then have a prompt to play, side by side: what the caller gets at once.
/// The tones are sound; without them `ringback` is a 180.
#[test]
fn ringing_for_twenty_seconds() {
    needs!("baresip", "dnsmasq");
    let rows = [
        ("1015", "9180", "CALL_RINGING"),
        ("1000", "9181", "CALL_RINGING"),
        ("1005", "9182", "CALL_RINGING"),
        ("1010", "9183", "CALL_ESTABLISHED"),
        ("1002", "9184", "CALL_ESTABLISHED"),
        ("1003", "wait", "CALL_PROGRESS"),
    ];
    let Some(mut site) = Site::new(&rows.map(|(user, ..)| user), 9) else { return };
    let begun = Instant::now();
    for (user, number, _) in rows {
        site.dial(&row("ringback", number, Ends, &[]).by(user));
    }
    let mut events = Vec::new();
    for (user, number, first) in rows {
        let phone = site.phone(user);
        let told = ["CALL_RINGING", "CALL_PROGRESS", "CALL_ESTABLISHED"];
        while let Some(event) = phone.next_event(Duration::from_secs(15).saturating_sub(begun.elapsed())) {
            events.extend(told.contains(&event.kind.as_str()).then_some((number, event.kind)));
        }
        let of_this: Vec<_> = events.iter().filter(|(n, _)| *n == number).map(|(_, kind)| kind).collect();
        assert_eq!(of_this, [first], "{number}");
    }
    for (user, number, first) in rows {
        let phone = site.phone(user);
        if first != "CALL_ESTABLISHED" {
            phone.event("CALL_ESTABLISHED");
            assert!(begun.elapsed() >= Duration::from_secs(20), "{number}: {:?}", begun.elapsed());
        }
        phone.event("CALL_CLOSED");
    }
    let refused = "playback(voicemail/vm-goodbye.wav) is not provided yet";
    let lines = site.switch.log().into_iter().filter(|line| line.contains(refused)).count();
    assert_eq!(lines, rows.len());
}

/// A call the switch makes to its own address comes in without a login, is told by `sip_looped_call`, and `unloop` sends it
/// back to be called directly.
#[test]
fn a_call_to_ourselves_is_unrolled() {
    needs!("baresip");
    let Some(tree) = vanilla() else { return };
    let extension = r#"<extension name="itself"><condition field="destination_number" expression="^7(10\d\d)$">
        <action application="bridge" data="sofia/internal/$1@${domain_name}"/></condition></extension>"#;
    let mut switch = Switch::start_with(Setup { tree: Some(tree), extension, ..Setup::default() });
    if switch.process.is_none() {
        return;
    }
    let [mut a, mut b] = ["1015", "1000"].map(|user| Phone::new(user, switch.sip(), TONE).start());
    a.dial("71000");
    b.event("CALL_INCOMING");
    switch.expect_log(&["EXECUTE", "deflect(1000)"]);
    switch.expect_log(&["redirected to 1000@"]);
    b.command("accept", "");
    a.event("CALL_ESTABLISHED");
    std::thread::sleep(Duration::from_secs(2));
    a.command("hangup", "");
    b.event("CALL_CLOSED");
    assert_heard("the called one", &b.heard(), TONE, 1.0);
}

/// With the password the tree is shipped with, every call waits ten seconds, and the log says why.
#[test]
fn the_shipped_password_costs_ten_seconds() {
    needs!("baresip");
    let Some(tree) = vanilla() else { return };
    let mut switch = Switch::start_with(Setup {
        tree: Some(tree),
        set: vec![("default_password", "1234".to_owned())],
        ..Setup::default()
    });
    if switch.process.is_none() {
        return;
    }
    let phone = Phone { password: "1234", ..Phone::new("1015", switch.sip(), TONE) };
    let (mut a, begun) = (phone.start(), Instant::now());
    a.dial("9196");
    switch.expect_log(&["change the default_password."]);
    a.event("CALL_ESTABLISHED");
    assert!(begun.elapsed() >= Duration::from_secs(10), "{:?}", begun.elapsed());
}

/// 81000 rings so that the phone may pick up by itself.
#[test]
fn an_intercom_call_says_so() {
    needs!("baresip", "dnsmasq");
    let Some(mut site) = Site::new(&["1015"], 9) else { return };
    let (ip, at) = (site.switch.ip(), site.switch.sip());
    let mut called = Puppet::new("called", ip, at);
    let contact = format!("<sip:1000@{}>", called.local);
    assert_eq!(called.register("1000", PASSWORD, &ip.to_string(), &contact, Answer::Qop).status(), Some(200));
    site.dial(&row("extension-intercom", "81000", Refused(486), &[]));
    let invite = called.request("INVITE");
    assert!(invite.header("Call-Info").ends_with(";answer-after=0"), "{}", invite.text);
    called.reply(&invite, "486 Busy Here", "busy", "", "");
    let closed = site.phone("1015").event("CALL_CLOSED");
    assert!(closed.param.starts_with("486"), "{closed:?}");
}

/// `tod_example`: open on workdays from nine to the end of the hour of eighteen, unless `holiday_example` says otherwise.
#[test]
fn the_time_of_day_is_the_machine_s() {
    needs!("baresip", "dnsmasq");
    let Some(mut site) = Site::new(&["1015"], 9) else { return };
    let now = jiff::Zoned::now();
    site.dial(&row("show_info", "9192", Ends, &[]));
    site.phone("1015").event("CALL_CLOSED");
    let log = site.switch.log();
    let open = log.iter().find_map(|line| line.trim().strip_prefix("variable_open: [")?.strip_suffix(']'));
    let workday = (1..=5).contains(&now.weekday().to_monday_one_offset()) && (9..=18).contains(&now.hour());
    match open {
        // a holiday
        Some("false") => {}
        Some("true") => assert!(workday, "{now}"),
        open => assert!(open.is_none() && !workday, "{open:?} at {now}"),
    }
}
