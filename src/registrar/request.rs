//! What a REGISTER asks for.

use super::Refusal;
use super::binding::Contact;
use crate::sip::{ContactValue, Message, Name, NameAddr};

/// A REGISTER as the table understands it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Its Call-ID.
    pub call_id: String,
    /// Its CSeq number.
    pub cseq: u32,
    /// What it wants.
    pub wanted: Wanted,
    /// Its Path headers as one value for a Route header, every entry in brackets.
    pub path: Option<String>,
    /// Its User-Agent; `unknown` without one, as FreeSWITCH shows it.
    pub user_agent: String,
}

/// What a REGISTER wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// To be told the contacts there are: no Contact header.
    Nothing,
    /// `Contact: *` with `Expires: 0`.
    RemoveAll,
    /// These contacts set, or removed where `expires` is 0.
    Contacts(Vec<Wish>),
}

/// One contact of a REGISTER.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    pub(super) contact: Contact,
    /// Seconds asked for, by the contact's own param or else the Expires header; `None` leaves it to us.
    pub expires: Option<u32>,
    /// Preference in thousandths.
    pub q: u16,
    /// `+sip.instance` without quotes and brackets.
    pub instance: Option<Box<str>>,
    /// `reg-id`; only counts with an instance.
    pub reg_id: Option<u32>,
}

/// No phone has more contacts, and each is compared with each.
const MAX_CONTACTS: usize = 32;
/// Longer User-Agents are cut.
const MAX_USER_AGENT: usize = 128;

impl Request {
    /// Reads a REGISTER. The refusals are 400s.
    pub fn read(message: &Message) -> Result<Request, Refusal> {
        let cseq = message.cseq().number;
        let user_agent = message.header(Name::UserAgent).unwrap_or("unknown");
        let cut = (0..=MAX_USER_AGENT).rev().find(|at| user_agent.is_char_boundary(*at)).unwrap_or(0);
        Ok(Request {
            call_id: message.call_id().to_owned(),
            cseq,
            wanted: read_wanted(message)?,
            path: read_path(message)?,
            user_agent: user_agent.get(..cut).unwrap_or(user_agent).to_owned(),
        })
    }
}

fn read_wanted(message: &Message) -> Result<Wanted, Refusal> {
    let contacts = message.contacts().map_err(|_| Refusal::new(400, "Bad Contact"))?;
    let header = message.expires();
    if contacts.is_empty() {
        return Ok(Wanted::Nothing);
    }
    // `*, <sip:…>` on one line looks like a display name to a lenient reader.
    if contacts.iter().any(|c| c.address().is_none_or(|a| a.raw_display().trim_start().starts_with("*,"))) {
        // RFC 3261 §10.3 step 6: alone, and only to remove.
        return match (header, contacts.as_slice()) {
            (Some(0), [ContactValue::Star]) => Ok(Wanted::RemoveAll),
            _ => Err(Refusal::new(400, "Bad Wildcard Contact")),
        };
    }
    if contacts.len() > MAX_CONTACTS {
        return Err(Refusal::new(400, "Too Many Contacts"));
    }
    let wishes = contacts.iter().filter_map(ContactValue::address).map(|a| read_wish(a, header));
    Ok(Wanted::Contacts(wishes.collect::<Result<_, _>>()?))
}

fn read_wish(address: &NameAddr, header: Option<u32>) -> Result<Wish, Refusal> {
    if !address.uri().is_sip() {
        return Err(Refusal::new(400, "Contact Is Not A SIP URI"));
    }
    let mut params = String::new();
    for (name, value) in address.params().iter().filter(|(name, _)| !name.eq_ignore_ascii_case("expires")) {
        params.push(';');
        params.push_str(name);
        if let Some(value) = value {
            params.push('=');
            params.push_str(value);
        }
    }
    let expires = address.expires().or(header);
    let mut wish = Wish::new(address.raw_display(), address.uri().as_str(), &params, expires)?;
    wish.q = address.q().unwrap_or(1000);
    wish.instance = address.instance().map(Into::into);
    wish.reg_id = address.reg_id().filter(|_| wish.instance.is_some());
    Ok(wish)
}

/// The Path entries as a Route value. One without brackets is all URI: what follows its semicolons is the URI's (RFC
/// 3327 §4 wants brackets, some proxies leave them out).
fn read_path(message: &Message) -> Result<Option<String>, Refusal> {
    let entries = message.addresses(Name::Path).map_err(|_| Refusal::new(400, "Bad Path"))?;
    let mut path = String::new();
    for entry in &entries {
        if !path.is_empty() {
            path.push_str(", ");
        }
        path.push('<');
        if entry.as_str().contains('<') {
            path.push_str(entry.uri().as_str());
            path.push('>');
            path.push_str(entry.params().as_str());
        } else {
            path.push_str(entry.as_str().trim());
            path.push('>');
        }
    }
    Ok((!entries.is_empty()).then_some(path))
}

impl Wish {
    /// A contact given by its display name (quoted where needed, or empty), its URI and its header parameters with
    /// their leading semicolons and without `expires`.
    pub fn new(display: &str, uri: &str, params: &str, expires: Option<u32>) -> Result<Self, Refusal> {
        let contact =
            Contact::new(display, uri, params).ok_or_else(|| Refusal::new(400, "Contact Too Long"))?;
        Ok(Wish { contact, expires, q: 1000, instance: None, reg_id: None })
    }

    /// The contact URI as the phone wrote it.
    pub fn uri(&self) -> &str {
        self.contact.uri()
    }
}

#[cfg(test)]
mod tests;
