//! REGISTER (RFC 3261 §10.3): admission, then the location table, then the answer.

use super::credentials::Admission;
use super::start::Profile;
use crate::channel::Leg;
use crate::directory::User;
use crate::event::EventName;
use crate::registrar::{Binding, Change, Gone, Policy, Request};
use crate::sip::{Flow, Message, Transport};
use rand::Rng;
use std::net::IpAddr;
use tracing::info;

impl Profile {
    /// Serves a REGISTER.
    pub(super) fn register(&self, request: &Message, flow: Flow) {
        // Before its credentials are looked at, which are good for once.
        let mark = self.answered.mark(request, flow.remote);
        if self.answer_again(request, flow, mark) {
            return;
        }
        let conf = &self.agent.conf;
        if conf.disable_register {
            return self.reply(request, &flow, 403, &[]);
        }
        if let Some(filter) = conf.user_agent_filter.as_deref().filter(|f| !f.is_empty()) {
            let agent = request.header(crate::sip::Name::UserAgent).unwrap_or("");
            if !agent.contains(filter) {
                info!("{}: REGISTER of {agent:?} refused by user-agent-filter", conf.name);
                return self.reply(request, &flow, 403, &[]);
            }
        }
        let Admission::Admitted(admitted) = self.admit_registration(request, &flow) else { return };
        let to = request.to().uri();
        let Some(user) = to.user().or_else(|| request.from().uri().user()).map(|u| u.into_owned()) else {
            return self.reply(request, &flow, 400, &[]);
        };
        // A phone may log in by its number-alias; it is known by its id.
        let user = admitted.user.as_ref().map_or(user, |u| u.id.to_string());
        let domain = [&conf.force_register_db_domain, &conf.force_register_domain]
            .into_iter()
            .flatten()
            .find(|d| !d.is_empty())
            .map_or_else(|| to.host().to_owned(), String::clone);
        let policy = self.policy(request, &flow, admitted.user.as_deref());
        let now = Leg::now();
        let done = Request::read(request).and_then(|read| {
            self.shared.exchange.registrar.register(now, &read, flow, (&user, &domain), &policy)
        });
        let (status, headers) = match done {
            Ok(done) => {
                for change in &done.changes {
                    self.changed(change);
                }
                let mut headers: Vec<(&str, String)> =
                    done.contacts.into_iter().map(|contact| ("Contact", contact)).collect();
                headers.extend(done.path.map(|path| ("Path", path)));
                if done.outbound {
                    headers.push(("Require", "outbound".to_owned()));
                }
                let date = jiff::Timestamp::now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
                headers.push(("Date", date));
                ((200, "OK"), headers)
            }
            Err(refusal) => {
                info!(
                    "{}: REGISTER of {user}@{domain} refused: {} {}",
                    conf.name, refusal.status, refusal.reason
                );
                ((refusal.status, refusal.reason), refusal.headers)
            }
        };
        self.done(request, flow, mark, status, &headers);
    }

    /// The rules for one REGISTER: the profile's, bent by the user's own.
    fn policy(&self, request: &Message, flow: &Flow, user: Option<&User>) -> Policy {
        let said = |name: &str| user.and_then(|u| u.variable(name).or_else(|| u.param(name)));
        let mut policy = self.policy.clone().for_user(said);
        if policy.max_deviation > 0 {
            policy.draw(rand::rng().random());
        }
        policy.nat = self.is_behind_nat(request, flow);
        policy
    }

    /// The phone's Contact is not where its packets come from: its requests go back the way they came.
    fn is_behind_nat(&self, request: &Message, flow: &Flow) -> bool {
        let Some(contact) = request.contact() else { return false };
        let (host, port) = (contact.uri().host(), contact.uri().port());
        let Ok(ip) = host.parse::<IpAddr>() else {
            // A name no resolver knows (`….invalid`, RFC 7118), or one that may be right.
            return host.ends_with(".invalid");
        };
        let source = flow.remote;
        if ip != source.ip() {
            let acls = self.agent.acls.load();
            let lists = &self.agent.conf.apply_nat_acl;
            let listed = lists.iter().any(|list| acls.allows(&list.list, ip, 0));
            return listed || self.agent.conf.aggressive_nat_detection || is_unroutable(ip, source.ip());
        }
        // The same host by another port: a phone that asked for rport (RFC 3581) is reached at the port it sends from.
        flow.transport == Transport::Udp
            && port.unwrap_or(5060) != source.port()
            && request.via().rport().is_some()
    }

    fn changed(&self, change: &Change) {
        match change {
            Change::Added(binding) => {
                info!(
                    "{}: {}@{} registered {} from {} for {} s",
                    self.agent.name,
                    binding.user,
                    binding.domain,
                    binding.uri(),
                    binding.flow,
                    binding.granted.as_secs()
                );
                self.tell("sofia::register", binding);
                self.shared.exchange.presence.touch(&binding.user, &binding.domain);
            }
            Change::Refreshed(binding) => self.tell("sofia::reregister", binding),
            Change::Gone(binding, why) => self.registration_gone(binding, *why),
        }
    }

    /// A contact is gone: said once, whatever the reason.
    pub fn registration_gone(&self, binding: &Binding, why: Gone) {
        let (event, word) = match why {
            Gone::Unregistered => ("sofia::unregister", "unregistered"),
            Gone::Replaced => ("sofia::unregister", "was replaced by a newer contact"),
            Gone::Expired => ("sofia::expire", "expired"),
            Gone::ConnectionClosed => ("sofia::unregister", "is gone: its connection closed"),
            Gone::Flushed => ("sofia::unregister", "was flushed"),
        };
        info!("{}: {}@{} {} {word}", binding.profile, binding.user, binding.domain, binding.uri());
        self.tell(event, binding);
        self.shared.exchange.presence.touch(&binding.user, &binding.domain);
    }

    /// The event of a registration, with FreeSWITCH's headers, and PRESENCE_IN (`sofia_reg.c`).
    fn tell(&self, event: &'static str, binding: &Binding) {
        let events = &self.shared.exchange.events;
        let gone = event == "sofia::expire" || event == "sofia::unregister";
        let transport = binding.flow.transport.to_string().to_uppercase();
        events.fire(EventName::Custom(event), || {
            let (user, host) = (binding.user.to_string(), binding.domain.to_string());
            let (user_name, host_name) =
                if event == "sofia::expire" { ("user", "host") } else { ("from-user", "from-host") };
            let nat = if binding.nat { "-NAT" } else { "" };
            let mut headers = vec![
                ("profile-name".into(), binding.profile.to_string()),
                (user_name.into(), user.clone()),
                (host_name.into(), host.clone()),
                ("contact".into(), binding.fs_contact()),
                ("call-id".into(), binding.call_id.to_string()),
                ("rpid".into(), "unknown".to_owned()),
                ("expires".into(), binding.granted.as_secs().to_string()),
                ("network-ip".into(), binding.flow.remote.ip().to_canonical().to_string()),
                ("network-port".into(), binding.flow.remote.port().to_string()),
                ("username".into(), user.clone()),
                ("realm".into(), host.clone()),
                ("user-agent".into(), binding.user_agent.to_string()),
            ];
            if !gone {
                headers.push(("status".into(), format!("Registered({transport}{nat})")));
                headers.push(("to-user".into(), user));
                headers.push(("to-host".into(), host));
            }
            headers
        });
        if event == "sofia::reregister" {
            return;
        }
        events.fire(EventName::PresenceIn, || {
            let (status, rpid) = if gone { ("Unregistered", "away") } else { ("Registered", "unknown") };
            vec![
                ("proto".into(), "sip".to_owned()),
                ("rpid".into(), rpid.to_owned()),
                ("login".into(), binding.profile.to_string()),
                ("user-agent".into(), binding.user_agent.to_string()),
                ("from".into(), format!("{}@{}", binding.user, binding.domain)),
                ("status".into(), status.to_owned()),
            ]
        });
    }
}

/// A private or loopback address in the Contact of a phone whose packets come from another one.
fn is_unroutable(contact: IpAddr, source: IpAddr) -> bool {
    let private = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_unspecified(),
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_loopback() || ip.is_unspecified(),
    };
    private(contact) && contact != source
}
