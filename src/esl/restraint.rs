//! What a client may have a call do by `sendmsg` that logged in as a user with `esl-allowed-api`.
//!
//! FreeSWITCH asks nothing there: such a user runs any command by way of an application. Here it has the applications that act
//! on the call alone, and `bridge`, `export`, `set` and `transfer` with plain data; the others must stand in the user's
//! `esl-allowed-applications` (tandem's own; `all` for every one). A function in the data must be one it may call.

use crate::api::Permit;
use std::collections::BTreeSet;

/// Applications that act on the call alone, whatever their data.
const USUAL: &[&str] = &[
    "acknowledge_call",
    "answer",
    "break",
    "deflect",
    "echo",
    "endless_playback",
    "flush_dtmf",
    "gentones",
    "hangup",
    "hold",
    "info",
    "log",
    "loop_playback",
    "park",
    "phrase",
    "play_and_get_digits",
    "playback",
    "pre_answer",
    "privacy",
    "queue_dtmf",
    "read",
    "record",
    "record_session",
    "redirect",
    "respond",
    "ring_ready",
    "say",
    "sched_hangup",
    "send_display",
    "send_dtmf",
    "send_info",
    "set_name",
    "sleep",
    "stop_record_session",
    "unhold",
    "unset",
    "valet_park",
    "verbose_events",
    "wait_for_answer",
    "wait_for_silence",
];

/// Applications whose data may name a command, another application or a variable that runs one.
const WITH_PLAIN_DATA: [&str; 4] = ["bridge", "export", "set", "transfer"];

/// What data is not plain with: an expansion, a quote or an escape (behind which the others could hide), variables that run
/// something, other dialplans, applications behind a loopback.
const NOT_PLAIN: [&str; 10] =
    ["$", "\\", "'", "^^", "api_", "execute_on_", "pre_execute", "inline", "app=", "loopback_app"];

/// The applications somebody may have run.
#[derive(Clone, Debug)]
pub(super) struct Restraint {
    commands: Permit,
    /// Those named for this user; every one without it.
    named: Option<BTreeSet<String>>,
}

impl Restraint {
    /// Of a user who may run these commands and has these names as `esl-allowed-applications`.
    pub fn new<'a>(commands: Permit, names: impl Iterator<Item = &'a str>) -> Restraint {
        let named: BTreeSet<String> = names.map(str::to_ascii_lowercase).collect();
        Restraint { commands, named: (!named.contains("all")).then_some(named) }
    }

    /// Whether an application may run with that data.
    ///
    /// # Errors
    /// What it is that may not be.
    pub fn check(&self, application: &str, data: &str) -> Result<(), String> {
        if let Some(function) = functions(data).into_iter().find(|name| !self.commands.alone(name)) {
            return Err(format!("function {function} is not in esl-allowed-api"));
        }
        let Some(named) = &self.named else { return Ok(()) };
        let application = application.to_ascii_lowercase();
        let plain = || {
            let data = data.to_ascii_lowercase();
            !NOT_PLAIN.iter().any(|sign| data.contains(sign))
        };
        let is = |list: &[&str]| list.contains(&&*application);
        match named.contains(&application) || is(USUAL) || is(&WITH_PLAIN_DATA) && plain() {
            true => Ok(()),
            false => Err(format!("application {application} is not in esl-allowed-applications")),
        }
    }
}

/// The functions `data` calls: `${name(…)}`. One whose name is put together counts with what stands there.
fn functions(data: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for (at, _) in data.match_indices("${") {
        let rest = data.get(at + 2..).unwrap_or_default();
        let end = rest.find(['(', '}']).unwrap_or(rest.len());
        let name = rest.get(..end).unwrap_or_default();
        if rest.get(end..).is_some_and(|rest| rest.starts_with('(')) || name.contains('$') {
            found.push(name.trim());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn restraint(commands: &[&str], applications: &[&str]) -> Restraint {
        let commands = commands.iter().map(|name| (*name).to_owned()).collect();
        Restraint::new(commands, applications.iter().copied())
    }

    #[test]
    fn what_runs_no_command_is_allowed() {
        let usual = restraint(&["status", "strftime", "eval"], &[]);
        for (application, data, may) in [
            ("answer", "", true),
            ("PLAYBACK", "${sound_prefix}/x.wav", true),
            ("playback", "say:${strftime(%Y)}", true),
            ("playback", "${system(id)}", false),
            ("playback", "${ system(id)}", false),
            ("playback", "${eval(${system(id)})}", false),
            ("playback", "${${x}(id)}", false),
            ("playback", "${cond(1 == 1 ? a : b)}", false),
            ("set", "a=b", true),
            ("set", "a=${b}", false),
            ("set", "api_on_answer=hupall", false),
            ("set", "Execute_On_Ring=system:id", false),
            ("export", "nolocal:api_on_answer=hupall", false),
            ("transfer", "1000 XML default", true),
            ("transfer", "system:id inline", false),
            ("transfer", "'m:^:system:id' INLINE", false),
            ("bridge", "[leg_timeout=5]user/1000|user/1001", true),
            ("bridge", "{a\\pi_on_answer=hupall}user/1000", false),
            ("bridge", "loopback/app=system:id", false),
            ("system", "id", false),
            ("execute_extension", "x", false),
            ("sched_broadcast", "+1 system::id", false),
            ("bind_meta_app", "1 a s system::id", false),
            ("socket", "127.0.0.1:8084", false),
            ("no_such_application", "", false),
        ] {
            assert_eq!(usual.check(application, data).is_ok(), may, "{application}({data})");
        }
    }

    #[test]
    fn what_is_named_is_allowed_but_no_function_with_it() {
        let more = restraint(&["status"], &["execute_extension", "Set"]);
        assert!(more.check("execute_extension", "x inline").is_ok());
        assert!(more.check("set", "api_on_answer=status").is_ok());
        assert!(more.check("set", "a=${hupall()}").is_err());
        assert!(more.check("system", "id").is_err());
        let every = restraint(&["status"], &["all"]);
        assert!(every.check("system", "id").is_ok());
        assert_eq!(
            every.check("set", "a=${hupall()}"),
            Err("function hupall is not in esl-allowed-api".to_owned())
        );
    }
}
