//! Values from outside: what a command prints, what a STUN server or the DNS says.

use std::io::Read;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::config::load::Ask;
use crate::config::position::Position;
use crate::config::problem::Problem;

use super::line::{MAX_VALUE, Run};
use super::path::reason;

/// One STUN or DNS question.
const LOOKUP_LIMIT: Duration = Duration::from_secs(2);
/// All of them together; afterwards the local address is taken at once.
const LOOKUPS_LIMIT: Duration = Duration::from_secs(4);
/// One `exec` or `exec-set`.
const EXEC_LIMIT: Duration = Duration::from_secs(10);

impl Run<'_> {
    pub(super) fn execute(&mut self, command: &str, at: &Position) -> Option<String> {
        if !self.options.allow_exec {
            let problem = Problem::error(at, "this would run a command, which is switched off");
            self.problems.push(
                problem
                    .hint("start with --allow-exec if everybody who may write these files may run commands"),
            );
            return None;
        }
        match run_command(command) {
            Ok(output) => Some(output),
            Err(reason) => {
                let problem = Problem::error(at, format!("the command `{command}` failed: {reason}"));
                self.problems.push(problem.hint("try it by hand as the user the switch runs as"));
                None
            }
        }
    }

    /// FreeSWITCH asks and waits; here each server is asked once, within a limit, and the local address serves
    /// when it does not answer.
    pub(super) fn stun_set(&mut self, name: &str, value: &str, at: &Position) {
        if self.is_locked(name) {
            return;
        }
        let value = value.trim();
        let ask = if let Some(server) = strip_blind(value, "stun:") {
            let (host, port) = match server.rsplit_once(':') {
                Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, port.parse().ok()),
                _ => (server, Some(3478)),
            };
            let Some(port) = port.filter(|p| *p != 0).filter(|_| !host.is_empty()) else {
                self.problems.push(
                    Problem::error(at, format!("{value} names no STUN server"))
                        .hint("write stun:host or stun:host:port"),
                );
                return;
            };
            Ask::Stun { host: host.trim_matches(['[', ']']).to_owned(), port }
        } else if let Some(host) = strip_blind(value, "host:") {
            if host.is_empty() {
                self.problems
                    .push(Problem::error(at, "host: without a name").hint("write host:name.example"));
                return;
            }
            Ask::Host { name: host.to_owned() }
        } else {
            self.set(name, value, at);
            return;
        };
        let local = self.table.get("local_ip_v4").map_or_else(|| "127.0.0.1".to_owned(), |v| v.to_string());
        match self.ask(&ask) {
            Some(Ok(address)) => self.set(name, &address.to_string(), at),
            Some(Err(reason)) => {
                self.problems.push(
                    Problem::warning(
                        at,
                        format!("{value} gave no address ({reason}); {name} is the local address {local}"),
                    )
                    .hint(format!("write the public address itself, or --set {name}=ADDRESS")),
                );
                self.set(name, &local, at);
            }
            None => {
                self.problems.push(Problem::note(
                    at,
                    format!("{value} is asked only by a running switch; {name} is taken as {local}"),
                ));
                self.set(name, &local, at);
            }
        }
    }

    fn ask(&mut self, ask: &Ask) -> Option<Result<IpAddr, String>> {
        let lookup = Arc::clone(self.options.lookup.as_ref()?);
        if let Some(known) = self.answers.get(ask) {
            return Some(known.clone());
        }
        let left = LOOKUPS_LIMIT.saturating_sub(self.asked).min(LOOKUP_LIMIT);
        let answer = if left.is_zero() {
            Err("the time for such questions at start is used up".to_owned())
        } else {
            let (sender, receiver) = mpsc::sync_channel(1);
            let question = ask.clone();
            let began = Instant::now();
            // Its own thread: a resolver that hangs must not hang the start. It ends by itself later.
            std::thread::spawn(move || {
                let _ = sender.send(lookup(&question, left));
            });
            let answer = match receiver.recv_timeout(left) {
                Ok(answer) => answer,
                Err(_) => Err(format!("no answer within {} s", LOOKUP_LIMIT.as_secs())),
            };
            self.asked += began.elapsed();
            answer
        };
        self.answers.insert(ask.clone(), answer.clone());
        Some(answer)
    }
}

/// Runs `sh -c command` and returns what it prints.
fn run_command(command: &str) -> Result<String, String> {
    use std::process::{Command, Stdio};
    let mut child = Command::new("/bin/sh")
        .arg("-c")
        .arg(command)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|e| reason(&e))?;
    let Some(stdout) = child.stdout.take() else { return Err("it has no output".to_owned()) };
    let (sender, receiver) = mpsc::sync_channel(1);
    std::thread::spawn(move || {
        let mut output = Vec::new();
        let result = stdout.take(MAX_VALUE as u64 * 16).read_to_end(&mut output).map(|_| output);
        let _ = sender.send(result);
    });
    let output = match receiver.recv_timeout(EXEC_LIMIT) {
        Ok(Ok(output)) => output,
        Ok(Err(e)) => return Err(reason(&e)),
        Err(_) => {
            let _ = child.kill();
            let _ = child.wait();
            return Err(format!("it took longer than {} s", EXEC_LIMIT.as_secs()));
        }
    };
    let _ = child.wait();
    Ok(String::from_utf8_lossy(&output).into_owned())
}

/// The rest of `text` after `prefix` (lower case ASCII) in any case.
fn strip_blind<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let head = text.get(..prefix.len())?;
    if head.eq_ignore_ascii_case(prefix) { text.get(prefix.len()..) } else { None }
}
