//! What is told of a user, and how it is written (`sofia_presence_sub_callback`, `sofia_dialog_probe_callback`, `gen_pidf`).

use std::fmt::{self, Display, Write};
use std::sync::Arc;

use super::{Call, Party, Said, State};
use crate::config::sofia::PresenceHold;

/// Calls told at once: a document must stay a datagram. The furthest come first.
const MOST_CALLS: usize = 10;

/// How a profile tells things.
#[derive(Clone, Copy, Debug, Default)]
pub struct Manners {
    /// What a call on hold is told to be (`presence-hold-state`).
    pub held: PresenceHold,
    /// Nobody is told that it rings (`presence-disable-early`).
    pub no_early: bool,
    /// Nobody is told with whom (`presence-privacy`).
    pub private: bool,
}

/// What is known of a user at a moment.
#[derive(Clone, Debug)]
pub struct View<'a> {
    /// The user's id.
    pub user: &'a str,
    /// Its domain.
    pub domain: &'a str,
    /// A phone of it is registered.
    pub registered: bool,
    /// Its calls.
    pub calls: &'a [Arc<Call>],
    /// What somebody has said of it.
    pub said: Option<&'a Said>,
    /// What is known of its messages: the lines of a message summary.
    pub messages: Option<&'a str>,
    /// How it is told.
    pub manners: Manners,
}

/// Text inside XML: what would be markup is not, and what no XML may hold is left out.
struct Xml<'a>(&'a str);

impl Display for Xml<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '&' => f.write_str("&amp;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&apos;")?,
                c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

impl View<'_> {
    /// What a call is told to be; none: nothing.
    fn state(&self, call: &Call) -> Option<&'static str> {
        let state = match call.state {
            State::Confirmed if call.held => match self.manners.held {
                PresenceHold::Early => "early",
                PresenceHold::Confirmed => "confirmed",
                PresenceHold::Terminated => "terminated",
            },
            State::Confirmed => "confirmed",
            _ if self.manners.no_early => return None,
            // A caller's lamp is steadily on from the start: one that blinks offers the call to be picked up.
            _ if call.initiator => "confirmed",
            State::Early => "early",
            State::Trying => "trying",
        };
        Some(state)
    }

    /// The calls that are told, those that are furthest first, and what they are told to be.
    fn told(&self) -> Vec<(&Arc<Call>, &'static str)> {
        let mut told: Vec<_> = self.calls.iter().filter_map(|call| Some((call, self.state(call)?))).collect();
        told.sort_by_key(|(call, _)| match call.state {
            State::Confirmed => 0,
            State::Early => 1,
            State::Trying => 2,
        });
        told.truncate(MOST_CALLS);
        told
    }

    /// The ids of the calls [`dialog_info`](Self::dialog_info) tells, and whether the user has called.
    pub fn ids(&self) -> Vec<(Arc<str>, bool)> {
        self.told().iter().map(|(call, _)| (call.id.clone(), call.initiator)).collect()
    }

    /// dialog-info (RFC 4235), always the full state. Calls of `before` that are no more are told to be over, once more: some
    /// phones turn a lamp off by nothing else.
    pub fn dialog_info(&self, version: u32, before: &[(Arc<str>, bool)]) -> String {
        let mut out = String::with_capacity(512);
        // Writing to a String does not fail.
        let _ = self.write_dialog_info(&mut out, version, before);
        out
    }

    fn write_dialog_info(&self, out: &mut String, version: u32, before: &[(Arc<str>, bool)]) -> fmt::Result {
        let (user, domain) = (Xml(self.user), Xml(self.domain));
        write!(
            out,
            "<?xml version=\"1.0\"?>\n<dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" \
             version=\"{version}\" state=\"full\" entity=\"sip:{user}@{domain}\">\n"
        )?;
        let told = self.told();
        for (id, initiator) in before.iter().filter(|(id, _)| !told.iter().any(|(call, _)| call.id == *id)) {
            let (id, direction) = (Xml(id), direction(*initiator));
            write!(
                out,
                "<dialog id=\"{id}\" direction=\"{direction}\">\n<state>terminated</state>\n</dialog>\n"
            )?;
        }
        for (call, state) in told {
            let (id, dialog, direction) = (Xml(&call.id), &call.dialog, direction(call.initiator));
            write!(out, "<dialog id=\"{id}\" call-id=\"{}\"", Xml(&dialog.call_id))?;
            if let Some(tag) = &dialog.local_tag {
                write!(out, " local-tag=\"{}\"", Xml(tag))?;
            }
            let tag = Xml(&dialog.remote_tag);
            writeln!(out, " remote-tag=\"{tag}\" direction=\"{direction}\">")?;
            let rendering = if call.held { "no" } else { "yes" };
            if call.remote.as_ref().is_some_and(|party| party.number.is_empty()) {
                // A lamp that somebody has lit by an event: nobody is at the other end.
                write!(out, "<state>{state}</state>\n</dialog>\n")?;
                continue;
            }
            write!(
                out,
                "<state>{state}</state>\n<local>\n<identity display=\"{user}\">sip:{user}@{domain}</identity>\n\
                 <target uri=\"sip:{user}@{domain}\">\n<param pname=\"+sip.rendering\" pvalue=\"{rendering}\"/>\n\
                 </target>\n</local>\n<remote>\n"
            )?;
            match self.remote(call) {
                Some(party) => {
                    let (name, number) = (Xml(party.name()), Xml(&party.number));
                    writeln!(out, "<identity display=\"{name}\">sip:{number}@{domain}</identity>")?;
                }
                None => out
                    .push_str("<identity display=\"Anonymous\">sip:anonymous@anonymous.invalid</identity>\n"),
            }
            // What is dialled to pick the call up: the slot it is parked in, or the stock dialplan's `**` and the number of
            // the phone that rings.
            match self.user.strip_prefix("park+") {
                Some(slot) => write!(out, "<target uri=\"sip:{}@{domain}\"/>", Xml(slot))?,
                None => write!(out, "<target uri=\"sip:**{user}@{domain}\"/>")?,
            }
            out.push_str("\n</remote>\n</dialog>\n");
        }
        out.push_str("</dialog-info>\n");
        Ok(())
    }

    /// PIDF (RFC 3863) with FreeSWITCH's notes: `Unregistered`, `Available`, `Ring NUMBER`, `Call NUMBER`, `Talk NUMBER`,
    /// `Hold NUMBER`.
    pub fn pidf(&self) -> String {
        let (user, domain) = (Xml(self.user), Xml(self.domain));
        let call = self.told().first().map(|(call, _)| *call);
        let said = self.said.filter(|_| call.is_none());
        let note = match (call, said) {
            (Some(call), _) => self.note(call),
            (None, Some(said)) => said.note().to_owned(),
            (None, None) if self.registered => "Available".to_owned(),
            (None, None) => "Unregistered".to_owned(),
        };
        let open = said.map_or(self.registered, Said::is_open) || call.is_some();
        let basic = if open { "open" } else { "closed" };
        let activity = call.map(|_| "on-the-phone").or(said.and_then(Said::activity));
        let activity = activity
            .map(|a| format!("  <rpid:activities><rpid:{a}/></rpid:activities>\n"))
            .unwrap_or_default();
        let note = Xml(&note);
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" \
             xmlns:dm=\"urn:ietf:params:xml:ns:pidf:data-model\" xmlns:rpid=\"urn:ietf:params:xml:ns:pidf:rpid\" \
             entity=\"sip:{user}@{domain}\">\n <tuple id=\"t6a5ed77e\">\n  <status><basic>{basic}</basic></status>\n \
             </tuple>\n <dm:person id=\"p06360c4a\">\n{activity}  <dm:note>{note}</dm:note>\n </dm:person>\n\
             </presence>\n"
        )
    }

    fn note(&self, call: &Call) -> String {
        let what = match call.state {
            State::Confirmed if call.held => "Hold",
            State::Confirmed => "Talk",
            _ if call.initiator => "Call",
            _ => "Ring",
        };
        match self.remote(call).filter(|party| !party.number.is_empty()) {
            Some(party) => format!("{what} {}", party.number),
            None if what == "Talk" => "On The Phone".to_owned(),
            None => what.to_owned(),
        }
    }

    /// The account's messages (RFC 3842), as somebody has told; none, when nobody has.
    pub fn message_summary(&self) -> String {
        if let Some(lines) = self.messages {
            return lines.to_owned();
        }
        let (user, domain) = (self.user, self.domain);
        format!(
            "Messages-Waiting: no\r\nMessage-Account: sip:{user}@{domain}\r\nVoice-Message: 0/0 (0/0)\r\n"
        )
    }

    fn remote<'b>(&self, call: &'b Call) -> Option<&'b Party> {
        call.remote.as_ref().filter(|_| !self.manners.private)
    }
}

impl Party {
    /// The display name, or the number.
    fn name(&self) -> &str {
        if self.name.is_empty() { &self.number } else { &self.name }
    }
}

fn direction(initiator: bool) -> &'static str {
    if initiator { "initiator" } else { "recipient" }
}

#[cfg(test)]
mod tests;
