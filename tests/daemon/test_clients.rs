//! Programs that people have already, unmodified: greenswitch and FreeSWITCH's own libesl (Python), modesl and esl (Node),
//! freeswitch-esl-tokio (Rust; `test_clients_rust`) log in, run commands, hear events, ring a phone, transfer it, take the call
//! over. `tests/run` fetches them into `target/peers`; without them the tests are a named skip.

use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::baresip::Phone;
use crate::needs;
use crate::place::free_port;
use crate::process::Process;
use crate::switch::{PASSWORD, Setup, Switch, wait_for_sip};

/// Where `tests/run` puts them.
pub fn peers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers")
}

/// Is it here? If not, the test's own skip, or its failure.
pub fn have(place: &str) -> bool {
    let found = peers().join(place).is_dir();
    if !found {
        let required = std::env::var("TANDEM_PEERS").is_ok_and(|p| p == "required");
        assert!(!required, "{place} is not in target/peers (tests/run fetches it)");
        eprintln!("SKIPPED: {place} is not in target/peers (tests/run fetches it)");
    }
    found
}

/// A client that is told where the switch is.
fn client(program: &str, script: &str, switch: &Switch, more: &[String]) -> Process {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/daemon/esl").join(script);
    let mut command = Command::new(program);
    let python = std::env::join_paths([peers().join("greenswitch"), peers().join("libesl")]);
    command.env("PYTHONPATH", python.expect("a path")).env("PYTHONDONTWRITEBYTECODE", "1");
    command.env("NODE_PATH", peers().join("node/node_modules")).arg(script);
    command.args([&switch.ip().to_string(), "8021", PASSWORD]).args(more);
    Process::spawn(program, &mut command)
}

#[test]
fn greenswitch_hears_a_call() {
    needs!("baresip");
    if !have("greenswitch/greenswitch") {
        return;
    }
    let switch = Switch::start();
    let mut program = client("python3", "inbound.py", &switch, &[]);
    program.expect("LISTENING", |line| line.contains("LISTENING"));
    let mut phone = Phone::new("1000", switch.sip(), 440.0).start();
    phone.dial("9196");
    phone.event("CALL_ESTABLISHED");
    phone.command("hangup", "");
    phone.event("CALL_CLOSED");
    program.expect("DONE", |line| line.contains("DONE"));
}

#[test]
fn modesl_runs_commands_and_sends_events() {
    needs!("node");
    if !have("node/node_modules/modesl") {
        return;
    }
    let switch = Switch::start();
    let mut program = client("node", "modesl.js", &switch, &[]);
    let said = program.expect("DONE", |line| line.contains("DONE") || line.contains("FAILED"));
    assert!(said.contains("DONE"), "{said}");
}

#[test]
fn esl_takes_a_call_over() {
    needs!("baresip");
    needs!("node");
    if !have("node/node_modules/esl") {
        return;
    }
    let extension = r#"<extension name="program"><condition field="destination_number" expression="^77(\d+)$">
        <action application="socket" data="127.0.0.1:$1 async full"/><action application="hangup" data="USER_BUSY"/>
        </condition></extension>"#;
    let switch = Switch::start_with(Setup { extension, ..Setup::default() });
    let port = free_port();
    let mut program = client("node", "esl.cjs", &switch, &[port.to_string()]);
    program.expect("LISTENING", |line| line.contains("LISTENING"));
    let mut phone = Phone::new("1000", switch.sip(), 440.0).start();
    phone.dial(&format!("77{port}"));
    phone.event("CALL_ESTABLISHED");
    program.expect("TAKEN", |line| line.contains("TAKEN"));
    phone.event("CALL_CLOSED");
}

/// The extension that gives a call to a program: 77 and its port.
pub const PROGRAM: &str = r#"<extension name="program"><condition field="destination_number" expression="^77(\d+)$">
    <action application="socket" data="127.0.0.1:$1 async full"/></condition></extension>"#;

/// The whole of a dialler: it rings a phone, which answers; sends it to a program of its own, which takes the call over, sets
/// a variable and rejects it; and hears the end with that cause.
fn rings_transfers_and_takes_over(place: &str, interpreter: &str, script: &str) {
    needs!("baresip");
    if !crate::place::have(interpreter) || !have(place) {
        return;
    }
    let switch = Switch::start_with(Setup { extension: PROGRAM, ..Setup::default() });
    let mut phone = Phone::new("1000", switch.sip(), 440.0).auto().start();
    let mut program = client(interpreter, script, &switch, &[free_port().to_string()]);
    phone.event("CALL_ESTABLISHED");
    phone.event("CALL_CLOSED");
    let ended = |line: &str| ["DONE", "FAILED", "Error"].iter().any(|word| line.contains(word));
    let said = program.expect("DONE", ended);
    assert!(said.contains("DONE"), "{said}");
}

#[test]
fn greenswitch_rings_transfers_and_takes_over() {
    rings_transfers_and_takes_over("greenswitch/greenswitch", "python3", "greenswitch_call.py");
}

#[test]
fn libesl_rings_transfers_and_takes_over() {
    rings_transfers_and_takes_over("libesl", "python3", "libesl_call.py");
}

#[test]
fn modesl_rings_transfers_and_takes_over() {
    rings_transfers_and_takes_over("node/node_modules/modesl", "node", "modesl_call.js");
}

#[test]
fn esl_rings_transfers_and_takes_over() {
    rings_transfers_and_takes_over("node/node_modules/esl", "node", "esl_call.cjs");
}

/// The restart of a profile, of the only one, too: its sockets are closed and opened again, and it answers.
#[test]
fn a_profile_restarts() {
    let switch = Switch::start();
    let stream = TcpStream::connect((switch.ip(), 8021)).expect("connected");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
    let mut input = BufReader::new(stream.try_clone().expect("a copy"));
    let mut ask = |line: &str, end: &str| {
        (&stream).write_all(format!("{line}\n\n").as_bytes()).expect("sent");
        let (mut said, mut byte) = (String::new(), [0]);
        while !said.ends_with(end) {
            input.read_exact(&mut byte).unwrap_or_else(|error| panic!("{line}: {said}: {error}"));
            said.push(char::from(byte[0]));
        }
    };
    ask(&format!("auth {PASSWORD}"), "+OK accepted\n\n");
    ask("api sofia profile internal restart", "Reload XML [Success]\nrestarting: internal");
    wait_for_sip(switch.sip(), || {});
    ask("api sofia profile external stop", "Reload XML [Success]\nstopping: external");
    ask("api sofia profile internal restart", "Reload XML [Success]\nrestarting: internal");
    wait_for_sip(switch.sip(), || {});
    ask("api sofia profile external start", "external started successfully");
}
