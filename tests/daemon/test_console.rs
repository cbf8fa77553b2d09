//! The console `tandem cli`: at a terminal of its own, as a person uses it, and in scripts.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use crate::needs;
use crate::place::{Dir, free_port};
use crate::process::Process;
use crate::switch::{PASSWORD, Setup, Switch};

/// Keys as the switch's own console has them.
const BOUND: &str = r#"<cli-keybindings><key name="7" value="console loglevel 0"/><key name="12" value="echo bound to this"/>
        </cli-keybindings><settings>"#;

/// `tandem cli`, told where the configuration is, and nothing of the password.
fn arguments(switch: &Switch) -> Vec<String> {
    let mut arguments: Vec<String> = ["cli", "--conf"].map(str::to_owned).to_vec();
    arguments.push(switch.conf().to_string_lossy().into_owned());
    arguments.extend(["--set".to_owned(), format!("event_socket_ip={}", switch.ip())]);
    arguments
}

/// The console in a script.
fn run(home: &Dir, arguments: &[String], more: &[&str], typed: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tandem"));
    command.args(arguments).args(more).env("HOME", home.path());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("tandem starts");
    child.stdin.take().expect("a pipe").write_all(typed.as_bytes()).expect("typed");
    child.wait_with_output().expect("it ends")
}

/// What it said, and with what it ended.
fn said(output: &Output) -> (String, Option<i32>) {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    (String::from_utf8_lossy(&text).into_owned(), output.status.code())
}

/// The console at a terminal.
fn terminal(what: &str, home: &Dir, arguments: &[String], more: &[&str]) -> Process {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/daemon/esl/console.py");
    let mut command = Command::new("python3");
    command.arg(script).arg(what).arg(env!("CARGO_BIN_EXE_tandem")).args(arguments).args(more);
    Process::spawn("console", command.env("HOME", home.path()).env("PYTHONDONTWRITEBYTECODE", "1"))
}

fn done(console: &mut Process) {
    let ended = |line: &str| ["DONE", "FAILED", "Error"].iter().any(|word| line.starts_with(word));
    for _ in 0..6 {
        if let Some(line) = console.wait(Duration::from_secs(20), ended) {
            return assert!(line.starts_with("DONE"), "{line}");
        }
    }
    panic!("neither DONE nor FAILED");
}

#[test]
fn a_day_at_the_console() {
    needs!("python3");
    let switch = Switch::start_with(Setup {
        edits: &[("autoload_configs/switch.conf.xml", "<settings>", BOUND)],
        ..Setup::default()
    });
    let home = Dir::new("home");
    let mut console = terminal("day", &home, &arguments(&switch), &["-p", PASSWORD]);
    done(&mut console);
}

#[test]
fn a_lost_connection_is_made_again() {
    needs!("python3");
    let mut switch = Switch::start();
    let home = Dir::new("home");
    let mut console = terminal("lost", &home, &arguments(&switch), &["-p", PASSWORD]);
    console.expect("CONNECTED", |line| line.contains("CONNECTED"));
    switch.restart_after(Duration::from_secs(1));
    done(&mut console);
}

#[test]
fn a_script_is_told_how_it_went() {
    let switch = Switch::start_with(Setup { first_run: true, ..Setup::default() });
    let (home, local) = (Dir::new("home"), arguments(&switch));
    // The password was made at the first start; the console finds it where the switch keeps it.
    let (text, code) = said(&run(&home, &local, &["-x", "status"], ""));
    assert!(text.contains("session(s) since startup") && code == Some(0), "{code:?} {text}");
    assert_eq!(
        said(&run(&home, &local, &["-x", "nonsense"], "")),
        ("-ERR nonsense Command not found!\n".into(), Some(1))
    );
    for (line, answer) in [
        ("sofia status gateway nope", "Invalid Gateway!\n"),
        ("sofia status profile nope", "Invalid Profile!\n"),
        ("sofia profile nope rescan", "Invalid Profile [nope]\n"),
    ] {
        assert_eq!(said(&run(&home, &local, &["-x", line], "")), (answer.into(), Some(1)), "{line}");
    }
    let (text, code) = said(&run(&home, &local, &["-x", "status", "-p", "wrong"], ""));
    assert!(text.contains("the password is not accepted") && code == Some(69), "{code:?} {text}");
    let (text, code) = said(&run(&home, &local, &["-x", "msleep 5000", "-t", "300"], ""));
    assert!(text.contains("timed out") && code == Some(69), "{code:?} {text}");
    let port = free_port().to_string();
    let (text, code) = said(&run(&home, &local, &["-x", "status", "-P", &port], ""));
    assert!(text.contains("refused") && code == Some(69), "{code:?} {text}");
    // Lines from a pipe, with and without -b.
    for more in [&["-q"][..], &["-q", "-b"]] {
        let (text, code) = said(&run(&home, &local, more, "echo one\n\n/exit\necho two\n"));
        assert!(
            text.contains("one\n") && !text.contains("two") && code == Some(0),
            "{more:?} {code:?} {text}"
        );
        assert!(!text.contains('\x1b'), "{text:?}");
    }
    // A section of fs_cli's own file says all.
    let secrets = std::fs::read_to_string(switch.conf().join("secrets.xml")).expect("the secrets");
    let password = secrets.split("event_socket_password=").nth(1).and_then(|rest| rest.split('"').next());
    let password = password.expect("the password");
    let section = format!("[lab]\nhost => {}\npassword => {password}\n", switch.ip());
    std::fs::write(home.path().join(".fs_cli_conf"), section).expect("written");
    let (text, code) = said(&run(&home, &["cli".to_owned()], &["lab", "-x", "version"], ""));
    assert!(text.contains("tandem") && code == Some(0), "{code:?} {text}");
    let (text, code) = said(&run(&home, &["cli".to_owned()], &["office", "-x", "version"], ""));
    assert!(text.contains("there is no [office] in") && code == Some(78), "{code:?} {text}");
}
