//! A hundred reloads under 200 calls: users, extensions, gateways and profiles are edited, files are broken now and then.

use std::path::Path;
use std::time::Duration;

use crate::needs;
use crate::place::free_port;
use crate::sipp::Scenario;
use crate::switch::{Setup, Switch};

const RELOADS: u32 = 100;
/// Calls a second, and how many; each lasts 8 s, so 200 are up.
const RATE: u32 = 25;
const CALLS: u32 = 700;

/// What changes from reload to reload, and what the log has to say of it.
struct Edit<'a> {
    conf: &'a Path,
    domain: String,
}

impl Edit<'_> {
    fn write(&self, path: &str, text: &str) {
        std::fs::write(self.conf.join(path), text).expect("to write into conf");
    }

    /// The edits of reload `n`; answers what must be in its line.
    fn make(&self, n: u32) -> Vec<String> {
        let domain = &self.domain;
        let mut said = Vec::new();
        // A user that comes and goes, and one whose password changes.
        let user = |id: u32, password: u32| {
            format!(
                "<include>\n<user id=\"{id}\"><params><param name=\"password\" value=\"a secret {password}\"/></params></user>\n</include>\n"
            )
        };
        if n > 0 {
            std::fs::remove_file(self.conf.join(format!("directory/default/{}.xml", 3000 + n - 1)))
                .expect("a user");
            said.push(format!(
                "users: 1 added ({}@{domain}), 1 changed (1019@{domain}), 1 removed ({}@{domain})",
                3000 + n,
                3000 + n - 1
            ));
        }
        self.write(&format!("directory/default/{}.xml", 3000 + n), &user(3000 + n, 0));
        self.write("directory/default/1019.xml", &user(1019, n));
        // An extension.
        self.write(
            "dialplan/default/05_test.xml",
            &format!("<include>\n<extension name=\"edited\"><condition field=\"destination_number\" expression=\"^none{n}$\">\n<action application=\"log\" data=\"INFO {n}\"/></condition></extension>\n</include>\n"),
        );
        if n > 0 {
            said.push("extensions: 1 changed (default/edited)".to_owned());
        }
        // A peer, which is pinged; and one that comes and goes.
        let peer = |name: &str, prefix: u32| {
            format!(
                "<gateway name=\"{name}\"><param name=\"register\" value=\"false\"/><param name=\"proxy\" value=\"127.0.0.1:9\"/>\n\
                 <param name=\"destination-prefix\" value=\"{prefix}\"/><param name=\"ping\" value=\"20\"/></gateway>\n"
            )
        };
        let other = if n.is_multiple_of(2) { peer("sometimes", 0) } else { String::new() };
        self.write(
            "sip_profiles/external/peers.xml",
            &format!("<include>\n{}{other}</include>\n", peer("edited", n)),
        );
        if n > 0 {
            said.push("gateway external::edited changed (destination-prefix)".to_owned());
            let word = if n.is_multiple_of(2) { "added" } else { "removed" };
            said.push(format!("gateway external::sometimes {word}"));
        }
        // A profile that is renewed.
        if n % 10 == 5 {
            let path = "sip_profiles/internal.xml";
            let text = std::fs::read_to_string(self.conf.join(path)).expect("the profile");
            let (from, to) = match text.contains("name=\"username\"") {
                true => ("<param name=\"username\" value=\"edited\"/></settings>", "</settings>"),
                false => ("</settings>", "<param name=\"username\" value=\"edited\"/></settings>"),
            };
            self.write(path, &text.replace(from, to));
            said.push("profile internal has other settings (username)".to_owned());
        }
        said
    }
}

/// Resident memory in KiB, and open descriptors.
fn held(switch: &Switch) -> (u64, usize) {
    let id = switch.process.as_ref().expect("a switch").id();
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("its status");
    let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
    let open = std::fs::read_dir(format!("/proc/{id}/fd")).expect("its descriptors").count();
    (memory.and_then(|m| m.trim().parse().ok()).expect("its memory"), open)
}

#[test]
fn a_hundred_reloads_under_two_hundred_calls() {
    needs!("sipp");
    let mut switch = Switch::start_with(Setup {
        set: vec![("rtp_end_port", "22999".to_owned())],
        edits: &[
            ("autoload_configs/switch.conf.xml", "value=\"30\"", "value=\"500\""),
            (
                "dialplan/default.xml",
                "<context name=\"default\">",
                "<context name=\"default\">\n<X-PRE-PROCESS cmd=\"include\" data=\"default/*.xml\"/>\n",
            ),
        ],
        ..Setup::default()
    });
    if switch.process.is_none() {
        return;
    }
    let conf = switch.conf();
    std::fs::create_dir_all(conf.join("dialplan/default")).expect("a folder");
    let edit = Edit { conf: &conf, domain: switch.ip().to_string() };
    edit.make(0);
    let hangup = |switch: &Switch| switch.process.as_ref().expect("a switch").signal("HUP");
    hangup(&switch);
    switch.expect_log(&["reloaded:"]);

    let port = free_port();
    Scenario::new("register", switch.sip(), "1001").on_port(port).run();
    let mut callee = Scenario::new("uas", switch.sip(), "1001")
        .on_port(port)
        .calls(CALLS)
        .fill(&[("RING", "200")])
        .start();
    std::thread::sleep(Duration::from_millis(500));
    let mut caller = Scenario::new("uac", switch.sip(), "1000")
        .calling("1001")
        .calls(CALLS)
        .at_rate(RATE)
        .fill(&[("TALK", "8000")])
        .start();
    std::thread::sleep(Duration::from_secs(9)); // until 200 are up
    let mut before = None;
    for n in 1..=RELOADS {
        let expected = edit.make(n);
        if n % 25 == 0 {
            // First with a file that is broken: nothing changes, and the place is told.
            let path = conf.join("directory/default/1018.xml");
            let whole = std::fs::read_to_string(&path).expect("a user");
            std::fs::write(&path, whole.replace("</user>", "</usr>")).expect("to write");
            hangup(&switch);
            let place = switch.expect_log(&["1018.xml:", "</usr>"]);
            assert!(place.contains(".xml:") && place.split(':').nth(1).is_some(), "{place}");
            switch.expect_log(&["not reloaded"]);
            std::fs::write(&path, whole).expect("to write");
        }
        hangup(&switch);
        let line = switch.expect_log(&["reloaded:"]);
        for part in &expected {
            assert!(line.contains(part), "reload {n}: no `{part}` in\n{line}");
        }
        assert!(!line.contains("secret"), "no values: {line}");
        if n == 20 {
            before = Some(held(&switch));
        }
    }
    let (before, after) = (before.expect("twenty reloads"), held(&switch));
    println!("KiB and descriptors at the 20th reload {before:?}, at the {RELOADS}th {after:?}");
    caller.finish();
    callee.finish();
    assert!(after.0 < before.0 + 16_384, "memory grows: {before:?} {after:?}");
    // A call that has just begun, or ended, here or there.
    assert!(after.1 < before.1 + 40 * 8, "descriptors grow: {before:?} {after:?}");
    // Nothing is left: it need not wait for anybody.
    switch.process.as_ref().expect("a switch").signal("TERM");
    switch.expect_log(&["tandem has stopped"]);
    assert!(!switch.log().iter().any(|line| line.contains("legs are still up") || line.contains("panicked")));
}
