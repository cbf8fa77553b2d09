//! Whom a far end is shown to talk to, once that is another than the call began with (`SWITCH_MESSAGE_INDICATE_DISPLAY` of
//! mod_sofia.c, `sofia_update_callee_id`, `switch_ivr_bridge_display`).
//!
//! A phone is told in the way it is known to take: INFO with FreeSWITCH's own headers where it has said `X-FS-Support:
//! update_display`, INFO with a piece of a message (Snom), UPDATE with P-Asserted-Identity where it allows that and is of a
//! make that shows it. All other phones are told nothing, as there. CALL_UPDATE says in each case whom the leg talks to.

use super::identity::{CidType, asserted, quoted, user_part};
use super::leg::{Direction, Leg};
use super::letter::{Letter, Visit};
use crate::event::EventName;
use crate::sip::{Message, Method};
use bytes::Bytes;
use std::sync::Arc;
use tracing::{debug, info};

/// Makes of phones that show what an UPDATE says.
const TAKE_UPDATE: [&str; 12] = [
    "poly",
    "aastra",
    "cisco/spa50",
    "cisco/spa525",
    "cisco/spa30",
    "fanvil",
    "grandstream",
    "ringotel",
    "groundwire",
    "yealink",
    "mitel",
    "panasonic",
];

/// The most characters of a name or number that are shown.
const LONGEST: usize = 128;

/// A name and a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    /// Its name.
    pub name: Arc<str>,
    /// Its number.
    pub number: Arc<str>,
}

impl Party {
    /// Without what cannot be shown; without a name the number is the name.
    fn new(name: &str, number: &str) -> Party {
        let shown = |text: &str| -> String {
            text.chars().filter(|c| !c.is_control()).take(LONGEST).collect::<String>().trim().to_owned()
        };
        let number = shown(number);
        let name = match shown(name) {
            name if name.is_empty() => number.clone(),
            name => name,
        };
        Party { name: name.into(), number: number.into() }
    }
}

impl Leg {
    /// Shows the far end that it talks to `name`, `number`. An error says why it is told nothing.
    pub fn display(&mut self, name: &str, number: &str) -> Result<(), &'static str> {
        let number =
            if number.is_empty() { self.caller.destination_number.to_string() } else { number.to_owned() };
        let party = Party::new(name, &number);
        self.variables.set_wire("last_sent_callee_id_name", &*party.name);
        self.variables.set_wire("last_sent_callee_id_number", &*party.number);
        if self.variables.is_true("ignore_display_updates") {
            return Err("its variable ignore_display_updates is set");
        }
        if !self.agent.conf.send_display_update {
            return Err("send-display-update is off in its profile");
        }
        if party.name.is_empty() || &*party.name == "_undef_" {
            return Err("there is nothing to show");
        }
        if !self.is_answered() || self.is_over() {
            return Err("the channel is not answered");
        }
        let is_first = self.displayed.is_none();
        if self.displayed.as_deref() == Some(&party) {
            return Ok(());
        }
        let sent = match is_first && self.has_shown(&party) {
            true => Ok(()),
            false => self.send_display(&party),
        };
        self.tell_shown(Some(&party));
        self.displayed = Some(Box::new(party));
        sent
    }

    /// It is calling that number, which is whom it will be shown to talk to unless somebody has said another.
    pub fn calls_number(&mut self, number: &Arc<str>) {
        let caller = &mut self.caller;
        if caller.callee_id_number.is_empty() || self.told.called {
            (caller.callee_id_name, caller.callee_id_number) = (Arc::default(), number.clone());
            self.told.called = true;
        }
    }

    /// The leg it has called by that number has won.
    pub fn has_reached(&mut self, number: &Arc<str>) {
        // With a name it is what that leg's far end says of itself.
        if self.told.called && self.caller.callee_id_name.is_empty() {
            self.caller.callee_id_number = number.clone();
        }
    }

    /// The called side is up: the caller is shown who that is.
    pub fn display_called(&mut self) {
        let caller = &self.caller;
        let (name, number) = (caller.callee_id_name.clone(), caller.callee_id_number.clone());
        self.display_by_itself(&name, &number);
    }

    /// It is up, and joined with the one who called it, whom it is shown.
    pub(super) fn display_caller(&mut self) {
        let (name, number) = (self.caller.caller_id_name.clone(), self.caller.caller_id_number.clone());
        self.display_by_itself(&name, &number);
    }

    /// It has been joined with a leg that did not call it, nor was called by it: that one's far end is shown this one's.
    pub(super) fn introduce_party(&self) {
        let Some(partner) = self.partner() else { return };
        let Party { name, number } = self.party();
        partner.post(Letter::Visit(Visit::new(move |leg| leg.display_by_itself(&name, &number))));
    }

    fn display_by_itself(&mut self, name: &str, number: &str) {
        if let Err(why) = self.display(name, number) {
            debug!("{} {}: \"{name}\" <{number}> is not shown: {why}", self.uuid, self.name());
        }
    }

    /// Who its far end is.
    fn party(&self) -> Party {
        let caller = &self.caller;
        match self.is_caller() {
            true => Party::new(&caller.caller_id_name, &caller.caller_id_number),
            false => Party::new(
                &caller.callee_id_name,
                match &*caller.callee_id_number {
                    "" => &caller.destination_number,
                    number => number,
                },
            ),
        }
    }

    /// Its far end is the caller in its own profile.
    fn is_caller(&self) -> bool {
        self.direction == Direction::Inbound || self.is_turned()
    }

    /// The messages that set the call up have shown that party.
    fn has_shown(&self, party: &Party) -> bool {
        let caller = &self.caller;
        let said = match self.direction {
            Direction::Outbound => Party::new(&caller.caller_id_name, &caller.caller_id_number),
            Direction::Inbound => Party::new(&caller.callee_id_name, &caller.callee_id_number),
        };
        said == *party && (self.direction == Direction::Outbound || self.told.callee)
    }

    /// Tells the far end in the way it takes.
    fn send_display(&mut self, party: &Party) -> Result<(), &'static str> {
        const NOT_SENT: &str = "nothing can be sent to the far end now";
        let Party { name, number } = party;
        let says = |name: &str, word: &str| {
            self.variables.get(name).is_some_and(|text| text.to_ascii_lowercase().contains(word))
        };
        let now = Self::now();
        let sent = if says("X-FS-Support", "update_display") {
            let headers = [
                ("X-FS-Display-Name".to_owned(), name.to_string()),
                ("X-FS-Display-Number".to_owned(), number.to_string()),
            ];
            let body = Some(("message/update_display", Bytes::new()));
            self.session.request(now, Method::Info, &headers, body).map(|_| ())
        } else if says("sip_user_agent", "snom") {
            let new = snom_version(self.variables.get("sip_user_agent").unwrap_or("")) >= [8, 4, 24];
            let body = match new {
                true => format!("From: {} {number}\r\nTo:\r\n", quoted(name)),
                false => format!("From:\r\nTo: {} {number}\r\n", quoted(name)),
            };
            self.session.request(now, Method::Info, &[], Some(("message/sipfrag", body.into()))).map(|_| ())
        } else if says("sip_allow", "update")
            && (self.variables.is_true("update_ignore_ua")
                || TAKE_UPDATE.iter().any(|make| says("sip_user_agent", make)))
        {
            let address = format!("{} <sip:{}@{}>", quoted(name), user_part(number), self.agent.host());
            let mut headers = vec![("P-Asserted-Identity".to_owned(), address)];
            if let Some(text) = self.variables.get("presence_call_info_full") {
                headers.push(("Call-Info".to_owned(), text.chars().filter(|c| !c.is_control()).collect()));
            }
            self.session.update(now, None, &headers)
        } else {
            return Err(
                "the far end is not known to show that; update_ignore_ua=true has UPDATE sent all the same",
            );
        };
        sent.map_err(|error| {
            debug!("{} {}: display: {error}", self.uuid, self.name());
            NOT_SENT
        })
    }

    /// CALL_UPDATE: the far end was shown `sent`; without it, it has said who it is.
    pub(super) fn tell_shown(&self, sent: Option<&Party>) {
        self.fire(EventName::CallUpdate, || {
            let direction = if sent.is_some() { "SEND" } else { "RECV" };
            let mut headers = vec![("Direction".into(), direction.to_owned())];
            if let Some(Party { name, number }) = sent {
                headers.push(("Sent-Callee-ID-Name".into(), name.to_string()));
                headers.push(("Sent-Callee-ID-Number".into(), number.to_string()));
            }
            if let Some(partner) = self.partner_uuid() {
                headers.push(("Bridged-To".into(), partner.to_string()));
            }
            headers
        });
    }

    //------------ What the far end says of itself --------------------------------------------------------------

    /// A request inside the call may say that somebody else is there now; the other side is shown that.
    pub(super) fn learn_party(&mut self, message: &Message) {
        let said = |name| message.header_named(name).next().filter(|text: &&str| !text.trim().is_empty());
        let now = self.party();
        let party = match (said("X-FS-Display-Name"), said("X-FS-Display-Number")) {
            (None, None) => match asserted(message) {
                Some((name, number)) => Party::new(&name, &number),
                None => return,
            },
            (name, number) => Party::new(name.unwrap_or(&now.name), number.unwrap_or(&now.number)),
        };
        if party == now || party.number.is_empty() || self.variables.is_true("ignore_display_updates") {
            return;
        }
        if !self.agent.conf.send_display_update || !self.is_trusted() {
            return debug!("{} {}: what it says of itself is left out", self.uuid, self.name());
        }
        let Party { name, number } = party;
        info!("{} {}: the far end is \"{name}\" <{number}> now", self.uuid, self.name());
        let is_caller = self.is_caller();
        let caller = &mut self.caller;
        let (old_name, old_number) = match is_caller {
            true => (&mut caller.caller_id_name, &mut caller.caller_id_number),
            false => (&mut caller.callee_id_name, &mut caller.callee_id_number),
        };
        (*old_name, *old_number) = (name, number);
        self.tell_shown(None);
        self.introduce_party();
    }

    /// What the called side has said of itself is passed on to the leg that has called it.
    pub(super) fn pass_callee(&self) {
        let (name, number) = (self.caller.callee_id_name.clone(), self.caller.callee_id_number.clone());
        let Some(other) = self.other().filter(|_| !name.is_empty() && !number.is_empty()) else { return };
        other.post(Letter::Visit(Visit::new(move |leg| {
            (leg.caller.callee_id_name, leg.caller.callee_id_number) = (name, number);
        })));
    }

    /// Notes whether our 200 says who the called party is.
    pub(super) fn note_shown(&mut self) {
        self.told.callee = self.agent.conf.pass_callee_id
            && !self.caller.callee_id_number.is_empty()
            && self.cid_type() != CidType::None;
    }
}

/// The version of `snom370/8.4.35`, as far as it can be read.
fn snom_version(agent: &str) -> [u32; 3] {
    let (_, version) = agent.split_once('/').unwrap_or_default();
    let mut parts = version.split('.').map(|part| {
        let digits: String = part.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().unwrap_or(0)
    });
    std::array::from_fn(|_| parts.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_cannot_break_out() {
        let party = Party::new("Al\r\nVia: x", " 10\n01 ");
        assert_eq!((&*party.name, &*party.number), ("AlVia: x", "1001"));
        assert_eq!(&*Party::new("", "1001").name, "1001");
        assert_eq!(Party::new(&"x".repeat(1000), "1").name.len(), LONGEST);
    }

    #[test]
    fn a_snom_says_its_version() {
        for (agent, version) in [
            ("snom370/8.4.35", [8, 4, 35]),
            ("snomD785/10.1.46.16", [10, 1, 46]),
            ("snom", [0, 0, 0]),
            ("snom/8", [8, 0, 0]),
            ("snom/99999999999.x", [0, 0, 0]),
        ] {
            assert_eq!(snom_version(agent), version, "{agent}");
        }
    }
}
