//! What is told of a REGISTER: `sofia::pre_register`, `register_attempt`, `register`, `unregister`, `expire`, and presence
//! (sofia_reg.c). Headers stand in FreeSWITCH's order; what it does not have comes behind.

use super::start::Profile;
use crate::directory::User;
use crate::event::{EventName, Headers};
use crate::registrar::{Binding, Gone, contact_text};
use crate::sip::{Flow, Message, Name};
use jiff::Timestamp;

/// How a login was judged (`auth-result`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judged {
    /// It is right.
    Success,
    /// It is right, by a nonce that was used before.
    Renewed,
    /// By a nonce that is too old.
    Stale,
    /// It is wrong.
    Forbidden,
}

impl Judged {
    fn as_str(self) -> &'static str {
        match self {
            Judged::Success => "SUCCESS",
            Judged::Renewed => "RENEWED",
            Judged::Stale => "STALE",
            Judged::Forbidden => "FORBIDDEN",
        }
    }
}

/// A REGISTER that is served: who sent it, and as whom.
pub(super) struct Registering<'a> {
    pub request: &'a Message,
    pub flow: Flow,
    pub user: Option<&'a User>,
    /// Username and realm of the digest; empty without one.
    pub login: (&'a str, &'a str),
}

/// Headers that are added one by one.
struct Told(Headers);

impl Told {
    fn say(&mut self, name: &'static str, value: impl Into<String>) -> &mut Told {
        self.0.push((name.into(), value.into()));
        self
    }
}

fn network(told: &mut Told, flow: &Flow) {
    told.say("network-ip", flow.remote.ip().to_canonical().to_string());
    told.say("network-port", flow.remote.port().to_string());
}

impl Profile {
    /// The domain a registration for `host` is kept in.
    pub(super) fn registered_domain<'a>(&'a self, host: &'a str) -> &'a str {
        let conf = &self.agent.conf;
        let forced = [&conf.force_register_db_domain, &conf.force_register_domain];
        forced.into_iter().flatten().map(String::as_str).find(|d| !d.is_empty()).unwrap_or(host)
    }

    /// `Registered(UDP-NAT)`.
    fn described(&self, request: &Message, flow: &Flow) -> String {
        let nat = if self.is_behind_nat(request, flow) { "-NAT" } else { "" };
        format!("Registered({}{nat})", flow.transport)
    }

    /// What a request says of itself before anything is done for it.
    fn announced(&self, request: &Message, flow: &Flow) -> Told {
        let (to, from) = (request.to().uri(), request.from().uri());
        let mut told = Told(Vec::with_capacity(18));
        told.say("profile-name", &self.agent.name);
        told.say("from-user", to.user().unwrap_or_default());
        told.say("from-host", self.registered_domain(to.host()));
        let contact = request.contact();
        if let Some(contact) = &contact {
            let nat = self.is_behind_nat(request, flow).then_some(flow.remote);
            told.say("contact", contact_text(contact.raw_display(), contact.uri().as_str(), None, nat));
        }
        told.say("call-id", request.call_id()).say("rpid", "unknown");
        told.say("status", self.described(request, flow));
        if let Some(contact) = &contact {
            told.say("expires", contact.expires().or(request.expires()).unwrap_or(0).to_string());
        }
        told.say("to-user", from.user().unwrap_or_default()).say("to-host", from.host());
        network(&mut told, flow);
        told
    }

    /// `sofia::pre_register`: it is challenged.
    pub(super) fn tell_challenged(&self, request: &Message, flow: &Flow) {
        self.shared.exchange.events.fire(EventName::Custom("sofia::pre_register"), || {
            let mut told = self.announced(request, flow);
            told.say("user-agent", user_agent(request));
            told.0
        });
    }

    /// `sofia::register_attempt`: its credentials were looked at.
    pub(super) fn tell_attempt(&self, request: &Message, flow: &Flow, judged: Judged) {
        self.shared.exchange.events.fire(EventName::Custom("sofia::register_attempt"), || {
            let mut told = self.announced(request, flow);
            let login =
                request.authorization().flatten().chain(request.proxy_authorization().flatten()).next();
            let host = self.registered_domain(request.to().uri().host());
            told.say("username", login.as_ref().map_or("unknown", |login| login.username()));
            told.say("realm", login.as_ref().map_or(host, |login| login.realm()));
            told.say("user-agent", user_agent(request)).say("auth-result", judged.as_str());
            told.0
        });
    }

    /// `sofia::register`: a contact came, or was refreshed.
    pub(super) fn tell_registered(&self, of: &Registering<'_>, binding: &Binding, again: bool) {
        let events = &self.shared.exchange.events;
        events.fire(EventName::Custom("sofia::register"), || {
            let from = of.request.from().uri();
            let mut told = Told(Vec::with_capacity(32));
            told.say("profile-name", &*binding.profile);
            told.say("from-user", &*binding.user).say("from-host", &*binding.domain);
            told.say("presence-hosts", "n/a").say("contact", binding.fs_contact());
            told.say("call-id", &*binding.call_id).say("rpid", "unknown");
            told.say("status", crate::registrar::status(binding));
            told.say("expires", binding.granted.as_secs().to_string());
            told.say("to-user", from.user().unwrap_or_default()).say("to-host", from.host());
            network(&mut told, &binding.flow);
            told.say("username", binding.auth_user()).say("realm", binding.auth_realm());
            told.say("user-agent", &*binding.user_agent);
            if again {
                told.say("update-reg", "true");
            }
            user_headers(&mut told, of);
            told.0
        });
        if again {
            return;
        }
        events.fire(EventName::PresenceIn, || {
            let mut told = Told(Vec::new());
            told.say("proto", "sip").say("login", &*binding.profile).say("presence-source", "register");
            told.say("from", format!("{}@{}", binding.user, binding.domain));
            told.say("rpid", "unknown").say("status", "Registered");
            told.say("user-agent", &*binding.user_agent);
            told.0
        });
    }

    /// `sofia::unregister` or `sofia::expire`: a contact is gone. `of` is the REGISTER that took it back, if one did.
    pub(super) fn tell_gone(&self, binding: &Binding, why: Gone, of: Option<&Registering<'_>>) {
        let events = &self.shared.exchange.events;
        let expired = matches!(why, Gone::Expired | Gone::Flushed);
        let name = if expired { "sofia::expire" } else { "sofia::unregister" };
        events.fire(EventName::Custom(name), || {
            let mut told = Told(Vec::with_capacity(24));
            told.say("profile-name", &*binding.profile);
            match why {
                Gone::Expired | Gone::Flushed => {
                    told.say("call-id", &*binding.call_id).say("user", &*binding.user);
                    told.say("username", &*binding.user).say("host", &*binding.domain);
                    told.say("contact", binding.fs_contact()).say("expires", over_at(binding).to_string());
                    told.say("user-agent", &*binding.user_agent).say("realm", binding.auth_realm());
                    network(&mut told, &binding.flow);
                }
                Gone::ConnectionClosed => {
                    told.say("from-user", &*binding.user).say("from-host", &*binding.domain);
                    told.say("call-id", &*binding.call_id).say("rpid", "unknown");
                    told.say("reason", "socket-disconnection").say("contact", binding.fs_contact());
                    network(&mut told, &binding.flow);
                }
                Gone::Unregistered | Gone::Replaced => {
                    told.say("username", binding.auth_user());
                    told.say("from-user", &*binding.user).say("from-host", &*binding.domain);
                    told.say("contact", binding.fs_contact()).say("call-id", &*binding.call_id);
                    told.say("rpid", "unknown").say("realm", binding.auth_realm());
                    network(&mut told, of.map_or(&binding.flow, |of| &of.flow));
                    told.say("user-agent", &*binding.user_agent).say("expires", "0");
                    if let Some(of) = of {
                        user_headers(&mut told, of);
                    }
                }
            }
            told.0
        });
        events.fire(EventName::PresenceIn, || {
            let mut told = Told(Vec::new());
            let rpid = if expired { "away" } else { "unknown" };
            told.say("proto", "sip").say("rpid", rpid).say("login", &*binding.profile);
            told.say("user-agent", &*binding.user_agent);
            told.say("from", format!("{}@{}", binding.user, binding.domain)).say("status", "Unregistered");
            if !expired {
                told.say("presence-source", "register");
            }
            told.say("event_type", "presence");
            told.0
        });
    }

    /// `MESSAGE_QUERY`: which messages wait for a phone that has registered?
    pub(super) fn ask_for_messages(&self, binding: &Binding) {
        let (user, domain) = binding.messages_of();
        self.shared.exchange.events.fire(EventName::MessageQuery, || {
            let mut told = Told(Vec::new());
            told.say("Message-Account", format!("sip:{user}@{domain}"));
            told.say("VM-Sofia-Profile", &*binding.profile).say("VM-Call-ID", &*binding.call_id);
            told.0
        });
    }
}

/// When the registration is over, in seconds since 1970.
fn over_at(binding: &Binding) -> i64 {
    let now = crate::channel::Leg::now();
    let (left, ago) = (
        binding.gone_at().saturating_duration_since(now).as_secs(),
        now.saturating_duration_since(binding.gone_at()).as_secs(),
    );
    Timestamp::now().as_second().saturating_add_unsigned(left).saturating_sub_unsigned(ago)
}

fn user_agent(request: &Message) -> &str {
    request.header(Name::UserAgent).unwrap_or("unknown")
}

/// What the directory says of the user: FreeSWITCH adds it to the event.
fn user_headers(told: &mut Told, of: &Registering<'_>) {
    let Some(user) = of.user else { return };
    let alias = user.number_alias.as_deref().unwrap_or_default();
    let (name, realm) = of.login;
    told.say("sip_number_alias", alias).say("sip_auth_username", name).say("sip_auth_realm", realm);
    told.say("number_alias", alias).say("user_name", name).say("domain_name", &*user.domain);
    if let Some(account) = user.param("mwi-account") {
        told.say("mwi-account", account);
    }
    let begins = |name: &str| name.get(..4).is_some_and(|begin| begin.eq_ignore_ascii_case("sip-"));
    let params =
        user.params().filter(|(name, _)| begins(name) || name.eq_ignore_ascii_case("register-gateway"));
    let all = params.chain(user.variables()).filter(|(_, value)| !value.is_empty());
    told.0.extend(all.map(|(name, value)| (name.to_owned().into(), value.to_owned())));
}
