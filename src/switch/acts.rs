//! What the switch does about events that others have made, by `sendevent` or a command (`sofia_presence_event_thread_run`,
//! `general_event_handler`).
//!
//! | event | what is done |
//! | --- | --- |
//! | `MESSAGE_WAITING` | what waits for an account is known from now on; who has subscribed and who is registered is told |
//! | `PRESENCE_IN`, `PRESENCE_OUT` | with a `unique-id` a call is shown, or ends; without one it is what there is to know of a user |
//! | `NOTIFY` | a NOTIFY goes to a user's phones, or to an address |
//! | `SEND_MESSAGE` | a MESSAGE goes to a user's phones |
//! | `SEND_INFO` | an INFO goes to a user's first phone, or to an address |
//!
//! Requests inside calls (`uuid`, `call-id`) are the event socket's, which can wait for the call.

use std::fmt::Write;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use tracing::info;

use super::Core;
use crate::channel::Leg;
use crate::config::value::is_true;
use crate::event::{EventName, Headers};
use crate::presence::{Call, DialogId, Party, Said, State, address};
use crate::profile::{Ask, Profile, Target};
use crate::registrar::Binding;
use crate::sip::{Method, NameAddr, Uri};

/// What an event says.
pub(super) struct Wish<'a> {
    pub headers: &'a Headers,
    pub body: Option<&'a str>,
}

impl Wish<'_> {
    /// A header that is not empty.
    fn get(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        found.next_back().map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
    }

    fn need(&self, name: &str) -> Result<&str, String> {
        self.get(name).ok_or_else(|| format!("the event has no header {name}"))
    }

    /// The address a header names.
    fn uri(&self, name: &str) -> Result<Uri, String> {
        let text = self.need(name)?;
        let uri = text.parse::<NameAddr>().map(|address| address.uri().clone());
        let uri = uri.or_else(|_| text.parse::<Uri>()).ok().filter(|uri| !uri.host().is_empty());
        uri.filter(Uri::is_sip).ok_or_else(|| format!("{text} is no SIP URI"))
    }

    /// True when it names nobody: it is an event of the client's own, for listeners.
    fn names_nobody(&self) -> bool {
        const NAMES: [&str; 9] =
            ["uuid", "profile", "user", "host", "call-id", "local-user", "to-uri", "from-uri", "contact-uri"];
        NAMES.iter().all(|name| self.get(name).is_none())
    }

    /// `extra-headers`: `Name: value` lines, those left out that a request of ours has once.
    fn extra_headers(&self) -> Vec<(String, String)> {
        let lines = self.get("extra-headers").unwrap_or_default().split(['\r', '\n']);
        lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
            .filter(|(name, _)| !ONCE.iter().any(|once| once.eq_ignore_ascii_case(name)))
            .collect()
    }

    fn bytes(&self) -> Bytes {
        Bytes::copy_from_slice(self.body.unwrap_or_default().as_bytes())
    }
}

/// What stands once in a request of ours, in long and short.
const ONCE: [&str; 20] = [
    "Via",
    "v",
    "From",
    "f",
    "To",
    "t",
    "Call-ID",
    "i",
    "CSeq",
    "Max-Forwards",
    "Contact",
    "m",
    "Content-Type",
    "c",
    "Content-Length",
    "l",
    "Event",
    "o",
    "Subscription-State",
    "User-Agent",
];

/// The type of a message summary.
const SUMMARY: &str = "application/simple-message-summary";

impl Core {
    /// Does what an event asks for.
    pub(super) fn act_on(&self, name: EventName, wish: &Wish<'_>) -> Result<(), String> {
        match name {
            EventName::MessageWaiting => self.messages_wait(wish),
            EventName::PresenceIn => self.presence(true, wish),
            EventName::PresenceOut => self.presence(false, wish),
            EventName::Notify => self.notify(wish),
            EventName::SendMessage => self.send_message(wish),
            EventName::SendInfo => self.send_info(wish),
            EventName::PhoneFeature => {
                Err("PHONE_FEATURE is not provided: no phone can subscribe to as-feature-event".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// The profile called so, or with that alias.
    fn profile(&self, name: &str) -> Option<Arc<Profile>> {
        let agent = self.exchange.agent(name)?;
        self.profiles.running().iter().find(|profile| profile.agent.name == agent.name).cloned()
    }

    /// The domain a host stands for: our own address is the domain of those who name none.
    fn domain_of(&self, host: &str) -> String {
        let known = self.exchange.directory.snapshot().domain(host).is_some();
        let ours = |ip: IpAddr| {
            let agents = self.exchange.agents.load();
            agents.values().any(|a| a.local.ip() == ip || a.external.is_some_and(|e| e.ip() == ip))
        };
        match host.parse() {
            Ok(ip) if !known && ours(ip) => self.exchange.domain(),
            _ => host.to_owned(),
        }
    }

    /// Sends the same to the phones of these bindings, each by the profile it registered with.
    fn send(&self, bindings: &[Arc<Binding>], ask: impl Fn(&Binding) -> Ask) {
        for profile in self.profiles.running().iter() {
            let here = bindings.iter().filter(|binding| *binding.profile == *profile.agent.name);
            let asks = here.filter_map(|binding| Some((Target::of(binding)?, ask(binding))));
            profile.send_all(asks.collect());
        }
    }

    fn debug(&self, what: impl FnOnce() -> String) {
        if self.exchange.presence.debug.load(Ordering::Relaxed) {
            info!("presence: {}", what());
        }
    }

    //------------ Messages waiting -----------------------------------------------------------------------------

    fn messages_wait(&self, wish: &Wish<'_>) -> Result<(), String> {
        let account = wish.need("MWI-Message-Account")?;
        wish.need("MWI-Messages-Waiting")?;
        let bare = ["sip:", "sips:"].iter().find_map(|scheme| {
            account.get(..scheme.len()).filter(|begin| begin.eq_ignore_ascii_case(scheme))?;
            account.get(scheme.len()..)
        });
        let Some((user, host)) = bare.unwrap_or(account).split_once('@') else {
            return Err(format!("MWI-Message-Account is {account}, and not user@domain"));
        };
        let profile =
            wish.get("sofia-profile").and_then(|name| self.profile(name)).or_else(|| self.profile(host));
        let own = profile.as_ref().and_then(|profile| profile.agent.conf.domain_name.clone());
        let host = own.filter(|domain| !domain.is_empty()).unwrap_or_else(|| self.domain_of(host));
        let mut bindings = self.exchange.registrar.for_messages(Leg::now(), user, &host);
        let known = profile.is_some() || self.exchange.directory.snapshot().domain(&host).is_some();
        if !known && bindings.is_empty() {
            return Err(format!("cannot find profile {host}"));
        }
        let mut lines = String::new();
        for (name, value) in wish.headers {
            let Some(name) = name.get(..4).filter(|n| n.eq_ignore_ascii_case("mwi-")).and(name.get(4..))
            else {
                continue;
            };
            if name.is_empty() || !name.bytes().all(|b| b.is_ascii_graphic() && b != b':') {
                continue;
            }
            // Whatever a client wrote, it stays in its line.
            let value: String = value.chars().filter(|c| !c.is_control()).collect();
            let scheme =
                if name.eq_ignore_ascii_case("message-account") && bare.is_none() { "sip:" } else { "" };
            let _ = write!(lines, "{name}: {scheme}{value}\r\n");
        }
        let lines: Arc<str> = lines.into();
        let board = &self.exchange.presence;
        board.set_messages(&address(user, &host), lines.clone()).map_err(|full| full.to_string())?;
        match (wish.get("call-id"), wish.get("sub-call-id")) {
            (Some(call_id), _) => bindings = self.exchange.registrar.list(|b| *b.call_id == *call_id),
            (None, Some(_)) => bindings.clear(),
            (None, None) => {}
        }
        self.debug(|| format!("messages of {user}@{host}: {} registered phones are told", bindings.len()));
        let body = Bytes::copy_from_slice(lines.as_bytes());
        self.send(&bindings, |binding| {
            Ask::notify(&binding.user, &binding.domain, "message-summary").carrying(SUMMARY, body.clone())
        });
        Ok(())
    }

    //------------ Presence -------------------------------------------------------------------------------------

    fn presence(&self, is_in: bool, wish: &Wish<'_>) -> Result<(), String> {
        let from = wish.need("from")?;
        let Some((user, host)) = from.split_once('@') else {
            return Err(format!("from is {from}, and not user@domain"));
        };
        let host = self.domain_of(host.split_once('/').map_or(host, |(host, _)| host));
        let kind = wish
            .get("proto")
            .filter(|kind| !["sip", "any", "dp"].iter().any(|k| k.eq_ignore_ascii_case(kind)));
        let user = user.split_once('+').filter(|(kind, _)| !kind.is_empty()).map_or(user, |(_, user)| user);
        let at = match kind {
            Some(kind) => address(&format!("{kind}+{user}"), &host),
            None => address(user, &host),
        };
        let some = |name: &str| wish.get(name).filter(|value| !value.eq_ignore_ascii_case("n/a"));
        let (status, rpid) = (some("status"), some("rpid"));
        let over = wish.get("channel-state").is_some_and(|state| state.eq_ignore_ascii_case("cs_hangup"))
            || status.is_some_and(|status| status.to_ascii_uppercase().contains("CS_HANGUP"));
        self.debug(|| format!("{at}: {} {}", status.unwrap_or("-"), rpid.unwrap_or("-")));
        let board = &self.exchange.presence;
        if let Some(id) = wish.get("unique-id") {
            if self.exchange.legs.by_uuid(id).is_some() {
                return Ok(()); // what there is to see of a call of ours the call itself shows
            }
            return match call_of(id, wish, status, over).filter(|_| is_in) {
                Some(call) => self.lamps.show(board, &at, call).map_err(|full| full.to_string()),
                None => {
                    self.lamps.end(&at, id);
                    Ok(())
                }
            };
        }
        let said = match over {
            true if is_in => None,
            _ => Some(Said::new(status, rpid, !is_in)),
        };
        // What is so anyway needs not be said.
        let said = said.filter(|said| said.closed || said.note() != "Available");
        board.say(&at, said).map_err(|full| full.to_string())
    }

    //------------ Requests -------------------------------------------------------------------------------------

    /// The profile an event names; `default` as FreeSWITCH, or the only one there is.
    fn named(&self, wish: &Wish<'_>) -> Result<Arc<Profile>, String> {
        let name = wish.get("profile").unwrap_or("default");
        let running = self.profiles.running();
        let only = running.first().filter(|_| running.len() == 1 && wish.get("profile").is_none());
        self.profile(name).or(only.cloned()).ok_or_else(|| format!("cannot find profile {name}"))
    }

    fn notify(&self, wish: &Wish<'_>) -> Result<(), String> {
        if wish.names_nobody() {
            return Ok(());
        }
        let event = wish.get("event-string");
        let kind = wish.get("content-type");
        if wish.get("contact-uri").or(wish.get("to-uri")).or(wish.get("from-uri")).is_some() {
            let (to, from) = (wish.uri("to-uri")?, wish.uri("from-uri")?);
            let profile = self.named(wish)?;
            let mut ask = Ask::notify("", "", event.unwrap_or("message-summary"));
            let mut at = to.clone();
            (ask.from, ask.to) = (NameAddr::new(from), NameAddr::new(to));
            if wish.get("contact-uri").is_some() {
                at = wish.uri("contact-uri")?;
                ask.call_id = wish.get("call-id").map(str::to_owned);
                if wish.get("no-sub-state").is_some_and(is_true) {
                    ask.headers.retain(|(name, _)| name != "Subscription-State");
                }
            }
            ask.headers.extend(wish.extra_headers());
            let ask = ask.carrying(kind.unwrap_or(SUMMARY), wish.bytes());
            profile.send_all(vec![(Target::at(&at), ask)]);
            return Ok(());
        }
        if wish.get("uuid").is_some() {
            return Err("a NOTIFY inside a call is not sent by NOTIFY: use uuid_phone_event".to_owned());
        }
        let (user, host, event, kind) =
            (wish.need("user")?, wish.need("host")?, wish.need("event-string")?, wish.need("content-type")?);
        let profile = wish.need("profile")?;
        self.profile(profile).ok_or_else(|| format!("cannot find profile {profile}"))?;
        let registrar = &self.exchange.registrar;
        let bindings = match wish.get("call-id") {
            Some(call_id) => registrar.list(|b| *b.call_id == *call_id),
            None if event.eq_ignore_ascii_case("message-summary") => {
                registrar.for_messages(Leg::now(), user, host)
            }
            None => registrar.lookup(Leg::now(), user, host),
        };
        if bindings.is_empty() {
            return Err(format!("cannot find registered user {user}@{host}"));
        }
        let body = wish.bytes();
        self.send(&bindings, |b| Ask::notify(&b.user, &b.domain, event).carrying(kind, body.clone()));
        Ok(())
    }

    fn send_message(&self, wish: &Wish<'_>) -> Result<(), String> {
        if wish.names_nobody() {
            return Ok(());
        }
        if wish.get("uuid").is_some() && wish.get("user").is_none() {
            return Err("a MESSAGE inside a call is sent by uuid_chat".to_owned());
        }
        let (user, host, kind) = (wish.need("user")?, wish.need("host")?, wish.need("content-type")?);
        let name = wish.need("profile")?;
        let profile = self.profile(name).ok_or_else(|| format!("cannot find profile {name}"))?;
        let registrar = &self.exchange.registrar;
        let bindings = registrar.lookup_at(Leg::now(), &profile.agent.name, user, host);
        if bindings.is_empty() {
            return Err(format!("cannot find registered user {user}@{host}"));
        }
        let own = NameAddr::new(Uri::sip(Some(user), host, None));
        let subject = wish.get("subject").map(|subject| ("Subject".to_owned(), subject.to_owned()));
        let body = wish.bytes();
        self.send(&bindings, |_| Ask {
            method: Method::Message,
            from: own.clone(),
            to: own.clone(),
            call_id: None,
            headers: subject.iter().cloned().collect(),
            body: Some((kind.to_owned(), body.clone())),
        });
        Ok(())
    }

    fn send_info(&self, wish: &Wish<'_>) -> Result<(), String> {
        if wish.names_nobody() {
            return Ok(());
        }
        let name = wish.need("profile")?;
        let profile = self.profile(name).ok_or_else(|| format!("cannot find profile {name}"))?;
        let from = NameAddr::new(wish.uri("from-uri")?);
        let target = match wish.get("local-user") {
            None => Target::at(&wish.uri("to-uri")?),
            Some(local) => {
                let (user, host) = local.split_once('@').unwrap_or((local, ""));
                let phones = self.exchange.registrar.lookup_at(Leg::now(), &profile.agent.name, user, host);
                let target = phones.first().and_then(|binding| Target::of(binding));
                target.ok_or_else(|| format!("cannot find registered user {local}"))?
            }
        };
        let headers = ["Content-Disposition", "Alert-Info", "Call-Info"];
        let headers = headers.iter().filter_map(|n| Some(((*n).to_owned(), wish.get(n)?.to_owned())));
        let ask = Ask {
            method: Method::Info,
            from,
            to: NameAddr::new(target.uri.clone()),
            call_id: None,
            headers: headers.collect(),
            body: None,
        };
        let ask = match wish.body {
            Some(body) if !body.is_empty() => ask.carrying(wish.need("content-type")?, wish.bytes()),
            _ => ask,
        };
        profile.send_all(vec![(target, ask)]);
        Ok(())
    }
}

/// The call an event shows; `None` when it is over (`sofia_presence_sub_callback`).
fn call_of(id: &str, wish: &Wish<'_>, status: Option<&str>, over: bool) -> Option<Call> {
    let direction = wish.get("presence-call-direction").unwrap_or_default();
    let initiator = !direction.eq_ignore_ascii_case("outbound");
    let usual = if initiator { "confirmed" } else { "early" };
    let answer = wish.get("answer-state").or(wish.get("astate")).unwrap_or(usual);
    let state = match answer.to_ascii_lowercase().as_str() {
        _ if over => return None,
        "terminated" | "hangup" => return None,
        "trying" => State::Trying,
        "early" | "ringing" => State::Early,
        _ => State::Confirmed,
    };
    let number = match direction.eq_ignore_ascii_case("inbound") {
        true => wish.get("Caller-Destination-Number"),
        false => wish.get("Caller-Caller-ID-Number").or(wish.get("Other-Leg-Caller-ID-Number")),
    };
    let name = (!direction.eq_ignore_ascii_case("inbound"))
        .then(|| wish.get("Caller-Caller-ID-Name").or(wish.get("Other-Leg-Caller-ID-Name")))
        .flatten();
    let hidden = wish.get("Presence-Privacy").is_some_and(is_true);
    let text = |value: Option<&str>| value.unwrap_or_default().into();
    Some(Call {
        id: id.into(),
        initiator,
        state,
        held: status.is_some_and(|status| status.to_ascii_lowercase().starts_with("hold")),
        remote: (!hidden).then(|| Party { name: text(name), number: text(number) }),
        dialog: DialogId { call_id: id.into(), local_tag: None, remote_tag: id.into() },
    })
}
