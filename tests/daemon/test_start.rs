//! Starting, checking and stopping the binary, as whoever runs it meets it.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use crate::baresip::Phone;
use crate::needs;
use crate::place::Dir;
use crate::puppet::{Answer, Puppet};
use crate::switch::{Setup, Switch};

fn tandem(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tandem")).args(arguments).output().expect("to run tandem")
}

fn told(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn the_shipped_configuration_is_sound() {
    let conf = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf");
    let output = tandem(&["check", "--conf", &conf.to_string_lossy()]);
    assert!(output.status.success(), "{}", told(&output));
}

#[test]
fn a_broken_configuration_is_told_with_file_and_line() {
    let dir = Dir::new("broken");
    dir.write(
        "freeswitch.xml",
        "<document type=\"freeswitch/xml\">\n  <section name=\"dialplan\">\n    <context name=\"default\">\n",
    );
    let output = tandem(&["check", "--conf", &dir.path().to_string_lossy()]);
    assert!(!output.status.success());
    assert!(told(&output).contains("freeswitch.xml:"), "{}", told(&output));
}

#[test]
fn the_version_is_told() {
    let output = tandem(&["version"]);
    assert!(
        output.status.success() && told(&output).contains(env!("CARGO_PKG_VERSION")),
        "{}",
        told(&output)
    );
}

#[test]
fn a_sigterm_without_calls_ends_it_at_once_and_well() {
    let mut switch = Switch::start();
    let Some(process) = &mut switch.process else { return };
    process.signal("TERM");
    let status = process.wait_end(Duration::from_secs(10)).expect("it ends");
    assert!(status.success(), "{status}");
}

/// A drain: the running call goes on, a new one gets 503, and the end of the last call is the end.
#[test]
fn a_sigterm_waits_for_the_call_and_takes_no_new_one() {
    needs!("baresip");
    let mut switch = Switch::start();
    let mut a = Phone::new("1000", switch.sip(), 440.0).start();
    let mut b = Phone::new("1001", switch.sip(), 660.0).auto().start();
    let mut c = Phone::new("1002", switch.sip(), 660.0).start();
    a.dial("1001");
    a.event("CALL_ESTABLISHED");
    b.event("CALL_ESTABLISHED");
    let Some(process) = &mut switch.process else { return };
    process.signal("TERM");
    std::thread::sleep(Duration::from_secs(2));
    assert!(process.has_ended().is_none(), "a call is up");
    c.dial("9196");
    let closed = c.event("CALL_CLOSED");
    assert!(closed.param.contains("503"), "{closed:?}");
    a.command("hangup", "");
    b.event("CALL_CLOSED");
    let status = process.wait_end(Duration::from_secs(15)).expect("it ends with the last call");
    assert!(status.success(), "{status}");
}

/// The first run makes passwords, shows the phones' one, and keeps them where nobody else can read.
#[test]
fn the_first_run_makes_a_password_and_shows_it() {
    use std::os::unix::fs::PermissionsExt;
    let switch = Switch::start_with(Setup { first_run: true, ..Setup::default() });
    if switch.process.is_none() {
        return;
    }
    let secrets = switch.conf().join("secrets.xml");
    let mode = std::fs::metadata(&secrets).expect("conf/secrets.xml").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let text = std::fs::read_to_string(&secrets).expect("to read it");
    let password =
        text.split_once("default_password=").and_then(|(_, r)| r.split('"').next()).expect("a password");
    assert!(password.len() >= 8, "{password}");
    let shown = switch.log().join("\n");
    assert!(shown.contains(password) && shown.contains("9196"), "password and what to dial: {shown}");
    let mut phone = Puppet::new("first", [127, 0, 0, 1].into(), switch.sip());
    let contact = format!("<sip:1000@{}>", phone.local);
    let answer = phone.register("1000", password, &switch.ip().to_string(), &contact, Answer::Qop);
    assert_eq!(answer.status(), Some(200), "{}", answer.text);
}

/// A SIGHUP while the tree is being read (here from a command of the tree itself) waits its turn: the process goes on, to
/// the exit code of a tree without a profile.
#[test]
fn a_sighup_at_start_does_not_end_it() {
    let dir = Dir::new("early");
    dir.write(
        "freeswitch.xml",
        "<document>\n<X-PRE-PROCESS cmd=\"exec\" data=\"kill -HUP $PPID\"/>\n</document>\n",
    );
    let folder = dir.path().to_string_lossy();
    let output = tandem(&["run", "--allow-exec", "--conf", &folder, "--log", &folder, "--db", &folder]);
    assert_eq!(output.status.code(), Some(78), "{}", told(&output));
}
