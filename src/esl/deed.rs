//! What a client's own event has done inside a call: NOTIFY, MESSAGE and INFO to its far end (`general_event_handler` of
//! mod_sofia.c). Everything else an event asks for the switch as a whole does ([`act_on`](crate::api::House::act_on)).

use super::frame::Request;
use crate::api::Desk;
use crate::channel::Leg;
use crate::event::EventName;
use crate::sip::Method;

/// Events that modules of FreeSWITCH act upon and nobody does here.
const UNHEARD: [EventName; 7] = [
    EventName::Roster,
    EventName::ConferenceData,
    EventName::ConferenceDataQuery,
    EventName::CallSetupReq,
    EventName::Trap,
    EventName::CertReload,
    EventName::Nat,
];
/// The same of `CUSTOM` ones.
const UNHEARD_SUBCLASSES: [&str; 3] = ["SMS::SEND_MESSAGE", "TDD::SEND_MESSAGE", "multicast::event"];

/// Whether modules of FreeSWITCH act upon such an event and nobody does here.
pub(super) fn is_unheard(name: EventName, subclass: &str) -> bool {
    let custom = matches!(name, EventName::Custom(_)) && UNHEARD_SUBCLASSES.contains(&subclass);
    custom || UNHEARD.contains(&name)
}

/// Sends what an event asks for inside a call: `uuid` names it for NOTIFY and SEND_MESSAGE, `call-id` for SEND_INFO. `None`
/// when it is about no call. An error says why nothing is sent.
pub(super) async fn inside(desk: &Desk, name: EventName, request: &Request) -> Option<Result<(), String>> {
    let words = Words(request);
    let sent = match name {
        EventName::Notify if words.said("to-uri").or(words.said("from-uri")).is_none() => {
            words.notify(desk, words.said("uuid")?).await
        }
        EventName::SendMessage if words.said("user").or(words.said("host")).is_none() => {
            words.message(desk, words.said("uuid")?).await
        }
        EventName::SendInfo => words.info(desk, words.said("call-id")?).await,
        _ => return None,
    };
    Some(sent)
}

/// What an event says of a request.
struct Words<'a>(&'a Request);

/// A request inside a call.
#[derive(Clone)]
struct Inside {
    method: Method,
    headers: Vec<(String, String)>,
    body: Option<(String, String)>,
}

impl Inside {
    fn send(&self, leg: &mut Leg) -> Result<(), String> {
        let body = self.body.as_ref().map(|(kind, text)| (kind.as_str(), text.clone()));
        leg.send_request(self.method.clone(), &self.headers, body)
    }

    async fn send_in(self, desk: &Desk, uuid: &str) -> Result<(), String> {
        let sent = desk.ask(uuid, move |leg| self.send(leg)).await;
        sent.map_err(|_| format!("no such channel {uuid}"))?
    }
}

impl Words<'_> {
    fn said(&self, name: &str) -> Option<&str> {
        self.0.header(name).map(str::trim).filter(|value| !value.is_empty())
    }

    fn need(&self, name: &str) -> Result<&str, String> {
        self.said(name).ok_or_else(|| format!("the event has no header {name}"))
    }

    fn body(&self, kind: &str) -> Option<(String, String)> {
        let body = self.0.body.as_deref().filter(|body| !body.is_empty())?;
        Some((kind.to_owned(), body.to_owned()))
    }

    async fn notify(&self, desk: &Desk, uuid: &str) -> Result<(), String> {
        let (event, kind) = (self.need("event-string")?.to_owned(), self.need("content-type")?);
        let over = "terminated;reason=noresource".to_owned();
        let headers = vec![("Event".to_owned(), event), ("Subscription-State".to_owned(), over)];
        Inside { method: Method::Notify, headers, body: self.body(kind) }.send_in(desk, uuid).await
    }

    async fn message(&self, desk: &Desk, uuid: &str) -> Result<(), String> {
        let kind = self.need("content-type")?;
        let subject = self.said("subject").map(|subject| ("Subject".to_owned(), subject.to_owned()));
        let headers = subject.into_iter().collect();
        Inside { method: Method::Message, headers, body: self.body(kind) }.send_in(desk, uuid).await
    }

    /// To the call of that profile whose SIP Call-ID this is.
    async fn info(&self, desk: &Desk, call_id: &str) -> Result<(), String> {
        let profile = self.need("profile")?;
        let agent = desk.exchange.agent(profile).ok_or_else(|| format!("cannot find profile {profile}"))?;
        let body = match self.0.body.as_deref() {
            Some(body) if !body.is_empty() => self.body(self.need("content-type")?),
            _ => None,
        };
        let headers = ["Content-Disposition", "Alert-Info", "Call-Info"];
        let headers = headers.iter().filter_map(|n| Some(((*n).to_owned(), self.said(n)?.to_owned())));
        let info = Inside { method: Method::Info, headers: headers.collect(), body };
        let (wanted, profile) = (call_id.to_owned(), agent.name.clone());
        let asked = desk.ask_all(move |leg| {
            let is_it = leg.agent.name == profile && leg.variables.get("sip_call_id") == Some(&wanted);
            is_it.then(|| info.send(leg))
        });
        let sent = asked.await.into_iter().flatten().next();
        sent.unwrap_or_else(|| Err(format!("there is no call with call-id {call_id}")))
    }
}
