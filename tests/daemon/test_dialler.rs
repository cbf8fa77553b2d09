//! A dialler over the event socket: a hundred customers at twenty a second, five agents, and nothing lost.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::needs;
use crate::place::free_port;
use crate::process::Process;
use crate::sipp::{Scenario, Sipp};
use crate::switch::{PASSWORD, Switch};
use crate::test_clients::{have, peers};

/// Files and sockets a process has open. The files of call records, which stay open, do not count.
fn open_files(process: &Process) -> usize {
    let files = std::fs::read_dir(format!("/proc/{}/fd", process.id())).expect("a process");
    let is_record =
        |path: std::path::PathBuf| path.parent().is_some_and(|folder| folder.ends_with("cdr-csv"));
    files.flatten().filter(|file| !std::fs::read_link(file.path()).is_ok_and(is_record)).count()
}

/// A callee at a port of its own.
fn callee<'a>(
    switch: &Switch,
    name: &'a str,
    user: &'a str,
    fill: &'a [(&'a str, &'a str)],
    calls: u32,
) -> (u16, Sipp) {
    let port = free_port();
    if user.starts_with('1') {
        Scenario::new("register", switch.sip(), user).on_port(port).run();
    }
    let sipp = Scenario::new(name, switch.sip(), user).on_port(port).calls(calls).fill(fill).start();
    // It takes ports for media, too, before the next one looks for its own.
    std::thread::sleep(Duration::from_millis(300));
    (port, sipp)
}

#[test]
fn a_dialler_loses_nothing() {
    needs!("sipp", "python3");
    if !have("greenswitch/greenswitch") {
        return;
    }
    let switch = Switch::start();
    let Some(process) = &switch.process else { return };
    let soon = &[("RING", "200")];
    let agents = ["1001", "1002", "1003", "1004", "1005"];
    let mut callees: Vec<Sipp> = agents.iter().map(|user| callee(&switch, "uas", user, soon, 1).1).collect();
    let mut arguments: Vec<String> = agents.iter().map(|user| format!("agent:{user}")).collect();
    let reject = |status: &'static str| [("STATUS", status)];
    let (busy, declines) = (reject("486 Busy Here"), reject("603 Decline"));
    for (kind, name, fill, calls) in [
        ("answers", "uas", &soon[..], 60),
        ("busy", "uas_reject", &busy[..], 15),
        ("rejects", "uas_reject", &declines[..], 10),
        ("silent", "uas_ring", &[][..], 15),
    ] {
        let (port, sipp) = callee(&switch, name, "customer", fill, calls);
        callees.push(sipp);
        arguments.push(format!("{kind}:{port}:{calls}"));
    }
    let before = open_files(process);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/daemon/esl/dialler.py");
    let mut command = Command::new("python3");
    command.env("PYTHONPATH", peers().join("greenswitch")).env("PYTHONDONTWRITEBYTECODE", "1").arg(script);
    command.args([&switch.ip().to_string(), "8021", PASSWORD, "20"]).args(arguments);
    let mut dialler = Process::spawn("dialler", &mut command);
    let said = dialler.wait(Duration::from_secs(90), |line| line.contains("DONE") || line.contains("Error"));
    assert!(
        said.as_ref().is_some_and(|line| line.contains("DONE 100 customers")),
        "{said:?}\n{}",
        dialler.log().join("\n")
    );
    println!("{}", said.unwrap_or_default());
    // Every callee has seen the end of each of its calls.
    callees.iter_mut().for_each(Sipp::finish);
    let until = Instant::now() + Duration::from_secs(40);
    while open_files(process) > before {
        assert!(Instant::now() < until, "{} files are open, {before} were", open_files(process));
        std::thread::sleep(Duration::from_millis(100));
    }
}
