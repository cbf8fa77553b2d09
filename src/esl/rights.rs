//! What a client may do: everything, or what the directory says of the user it logged in as (`userauth`).

use super::restraint::Restraint;
use crate::api::Permit;
use crate::config::value::is_true;
use crate::directory::Snapshot;
use crate::event::{Event, EventName, Names};
use std::collections::BTreeSet;

/// Rights; by default every one.
#[derive(Clone, Debug, Default)]
pub struct Rights {
    events: Option<Allowed>,
    commands: Option<Permit>,
    applications: Option<Restraint>,
    no_log: bool,
}

/// The events a user may have.
#[derive(Clone, Debug, Default)]
struct Allowed {
    all: bool,
    names: Names,
    subclasses: BTreeSet<String>,
}

impl Rights {
    /// Those of `user@domain:password` (or `user:password@domain`), and the headers of the answer; `None` when that is not
    /// somebody with that password.
    pub fn of(directory: &Snapshot, login: &str) -> Option<(Rights, String)> {
        let (user, domain, password) = parts(login)?;
        let user = directory.user(user, domain)?;
        let expected = user.param("esl-password").filter(|p| !p.is_empty())?;
        if !same(expected, password) {
            return None;
        }
        let list = |name: &str| user.param(name).filter(|list| !list.trim().is_empty());
        let (events, commands) = (list("esl-allowed-events"), list("esl-allowed-api"));
        let no_log = user.param("esl-allowed-log").is_some_and(|value| !is_true(value));
        let said = format!(
            "Allowed-Events: {}\nAllowed-API: {}\nAllowed-LOG: {}\n",
            events.unwrap_or("all"),
            commands.unwrap_or("all"),
            !no_log
        );
        let commands: Option<Permit> = commands.map(|list| words(list).map(str::to_owned).collect());
        let applications = list("esl-allowed-applications").unwrap_or_default();
        let rights = Rights {
            events: events.map(Allowed::read),
            applications: commands.clone().map(|commands| Restraint::new(commands, words(applications))),
            commands,
            no_log,
        };
        Some((rights, said))
    }

    /// Whether it may have log lines.
    pub fn log(&self) -> bool {
        !self.no_log
    }

    /// Whether it may run every command.
    pub fn every_command(&self) -> bool {
        self.commands.is_none()
    }

    /// Whether it may have every event.
    pub fn every_event(&self) -> bool {
        self.events.as_ref().is_none_or(|allowed| allowed.all)
    }

    /// Whether it may have events of that name, subclasses apart.
    pub fn event(&self, name: EventName) -> bool {
        self.events.as_ref().is_none_or(|allowed| allowed.all || allowed.names.has(name))
    }

    /// Whether it may have `CUSTOM` events of that subclass.
    pub fn subclass(&self, subclass: &str) -> bool {
        self.events.as_ref().is_none_or(|allowed| allowed.all || allowed.subclasses.contains(subclass))
    }

    /// Whether it may have this event, however it came to be wanted.
    pub fn sees(&self, event: &Event) -> bool {
        self.every_event()
            || match event.name {
                EventName::Custom(_) if !event.subclass().is_empty() => self.subclass(event.subclass()),
                name => self.event(name),
            }
    }

    /// Whether it may tell others an event of that name and subclass: those it may have itself. (FreeSWITCH asks nothing.)
    pub fn sends(&self, name: EventName, subclass: &str) -> bool {
        match name {
            EventName::Custom(_) if !subclass.is_empty() => self.subclass(subclass),
            name => self.event(name),
        }
    }

    /// Whether it may have a call run that application with that data.
    ///
    /// # Errors
    /// What it is that may not be.
    pub fn application(&self, name: &str, data: &str) -> Result<(), String> {
        self.applications.as_ref().map_or(Ok(()), |restraint| restraint.check(name, data))
    }

    /// Whether it may run that command line.
    pub fn command(&self, line: &str) -> bool {
        self.commands.as_ref().is_none_or(|permit| permit.line(line))
    }

    /// What it may run; everything without it.
    pub fn permit(&self) -> Option<Permit> {
        self.commands.clone()
    }
}

impl Allowed {
    fn read(list: &str) -> Allowed {
        let mut allowed = Allowed::default();
        let mut custom = false;
        for word in words(list) {
            match (custom, EventName::find(word)) {
                (true, _) => drop(allowed.subclasses.insert(word.to_owned())),
                (false, _) if word.eq_ignore_ascii_case("ALL") => allowed.all = true,
                (false, Some(name)) => {
                    custom = matches!(name, EventName::Custom(_));
                    allowed.names.add(name);
                }
                (false, None) => {}
            }
        }
        allowed
    }
}

/// Words between commas, or between blanks where there is one.
fn words(list: &str) -> impl Iterator<Item = &str> {
    let sign = if list.trim().contains(' ') { ' ' } else { ',' };
    list.split(sign).map(str::trim).filter(|word| !word.is_empty())
}

fn parts(login: &str) -> Option<(&str, &str, &str)> {
    let (user, domain) = login.trim_end().split_once('@')?;
    let (user, domain, password) = match (user.split_once(':'), domain.split_once(':')) {
        (Some((user, password)), _) => (user, domain, password),
        (None, Some((domain, password))) => (user, domain, password),
        (None, None) => return None,
    };
    (!user.is_empty() && !domain.is_empty()).then_some((user, domain, password))
}

/// Whether two secrets are equal; how long it takes tells nothing of where they differ.
pub fn same(ours: &str, theirs: &str) -> bool {
    let (ours, theirs) = (ours.as_bytes(), theirs.as_bytes());
    let differ = theirs.iter().enumerate().fold(ours.len() ^ theirs.len(), |differ, (at, byte)| {
        differ | usize::from(byte ^ ours.get(at % ours.len().max(1)).copied().unwrap_or(0))
    });
    differ == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_has_its_password_at_either_end() {
        assert_eq!(parts("u@d:p:q"), Some(("u", "d", "p:q")));
        assert_eq!(parts("u:p@d"), Some(("u", "d", "p")));
        for none in ["u", "u@d", "@d:p", "u@:p", ""] {
            assert_eq!(parts(none), None, "{none}");
        }
        assert!(same("a", "a") && !same("a", "b") && !same("a", "aa") && !same("", "a") && same("", ""));
    }

    #[test]
    fn what_carries_a_command_is_looked_into() {
        let allowed = |list: &str| Rights {
            commands: Some(words(list).map(str::to_ascii_lowercase).collect()),
            ..Rights::default()
        };
        let rights = allowed("status,eval,expand,sched_api,bgapi");
        for (line, may) in [
            ("status", true),
            ("STATUS", true),
            ("hupall", false),
            ("expand status", true),
            ("expand hupall", false),
            ("expand expand hupall", false),
            ("eval x", true),
            ("eval ${hupall()}", false),
            ("bgapi hupall", false),
            ("sched_api +1 none status", true),
            ("sched_api +1 none hupall", false),
            ("sched_api +1 none\tstatus hupall", false),
            ("", true),
        ] {
            assert_eq!(rights.command(line), may, "{line}");
        }
        let rights = allowed("status,bgapi,json,xml_wrap,expand,eval,sched_api");
        for (line, may) in [
            ("bgapi uuid:j status", true),
            ("bgapi uuid:j hupall", false),
            ("expand uuid:u uuid:u hupall", false),
            ("expand ${x}", false),
            ("xml_wrap encoded status", true),
            ("xml_wrap encoded hupall", false),
            ("xml_wrap xml_wrap hupall", false),
            ("bgapi json {}", false),
            ("sched_api +1 none json {}", false),
            ("json {\"command\":\"fsapi\",\"data\":{\"cmd\":\"eval\",\"arg\":\"${x}\"}}", false),
            ("\u{b}hupall", false),
            ("status\thupall", true),
        ] {
            assert_eq!(rights.command(line), may, "{line}");
        }
        assert!(Rights::default().command("hupall"));
    }

    #[test]
    fn behind_custom_everything_is_a_subclass() {
        let rights =
            Rights { events: Some(Allowed::read("HEARTBEAT CUSTOM sofia::register")), ..Rights::default() };
        assert!(
            rights.event(EventName::Heartbeat) && !rights.event(EventName::Dtmf) && !rights.every_event()
        );
        assert!(rights.subclass("sofia::register") && !rights.subclass("sofia::expire"));
        assert!(Rights { events: Some(Allowed::read("all")), ..Rights::default() }.subclass("x"));
    }
}
