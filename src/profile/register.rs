//! REGISTER (RFC 3261 §10.3): admission, then the location table, then the answer.

use super::ask::{Ask, Target};
use super::credentials::Admission;
use super::register_told::Registering;
use super::start::Profile;
use crate::channel::Leg;
use crate::config::sofia::QueryMessages;
use crate::config::value::is_true;
use crate::presence::{Package, address};
use crate::registrar::{Account, Binding, Change, Gone, Policy, Request};
use crate::sip::{Flow, Message, Transport};
use rand::Rng;
use std::net::IpAddr;
use std::sync::Arc;
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
        let domain = self.registered_domain(to.host()).to_owned();
        let of = Registering {
            request,
            flow,
            user: admitted.user.as_deref(),
            login: (&admitted.username, &admitted.realm),
        };
        let policy = self.policy(&of, (&user, &domain));
        let now = Leg::now();
        let done = Request::read(request).and_then(|read| {
            self.shared.exchange.registrar.register(now, &read, flow, (&user, &domain), &policy)
        });
        let (status, headers) = match done {
            Ok(done) => {
                for change in &done.changes {
                    self.changed(&of, change, done.first);
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
    fn policy(&self, of: &Registering<'_>, (user, domain): (&str, &str)) -> Policy {
        let said = |name: &str| of.user.and_then(|u| u.variable(name).or_else(|| u.param(name)));
        let mut policy = self.policy.clone().for_user(said);
        if policy.max_deviation > 0 {
            policy.draw(rand::rng().random());
        }
        policy.nat = self.is_behind_nat(of.request, &of.flow);
        let ping = &self.agent.conf.ping;
        policy.pinged = ping.wants(policy.nat, of.flow.transport == Transport::Udp)
            || said("force_ping").is_some_and(is_true);
        let (name, realm) = match of.login {
            ("", _) => ("unknown", domain),
            login => login,
        };
        let messages =
            said("mwi-account").map(|account| account.split_once('@').unwrap_or((account, domain)));
        let messages = messages.filter(|account| *account != (user, domain));
        if (name, realm) != (user, domain) || messages.is_some() {
            let messages = messages.map(|(user, domain)| (user.into(), domain.into()));
            policy.account = Some(Arc::new(Account { username: name.into(), realm: realm.into(), messages }));
        }
        policy
    }

    /// A phone has registered: is it to be told of its messages at once (`send-message-query-on-register`)?
    fn query_messages(&self, of: &Registering<'_>, binding: &Binding, first: bool) {
        let own = of.user.and_then(|u| u.variable("send-message-query-on-register"));
        let query = own.map_or(self.agent.conf.presence.query_messages, QueryMessages::read);
        if query == QueryMessages::Never || query == QueryMessages::First && !first {
            return;
        }
        self.ask_for_messages(binding);
        let (user, domain) = binding.messages_of();
        let known = self.shared.exchange.presence.messages(&address(user, domain));
        if let (Some(lines), Some(target)) = (known, Target::of(binding)) {
            let ask = Ask::notify(&binding.user, &binding.domain, Package::MessageSummary.name());
            let body = lines.as_bytes().to_vec();
            self.send_all(vec![(target, ask.carrying(Package::MessageSummary.content_type(), body))]);
        }
    }

    /// The phone's Contact is not where its packets come from: its requests go back the way they came.
    pub(super) fn is_behind_nat(&self, request: &Message, flow: &Flow) -> bool {
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

    fn changed(&self, of: &Registering<'_>, change: &Change, first: bool) {
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
                self.tell_registered(of, binding, false);
                self.shared.exchange.presence.touch(&binding.user, &binding.domain);
                self.query_messages(of, binding, first);
            }
            Change::Refreshed(binding) => {
                self.tell_registered(of, binding, true);
                self.query_messages(of, binding, false);
            }
            Change::Gone(binding, why) => self.gone(binding, *why, Some(of)),
        }
    }

    /// A contact is gone: said once, whatever the reason.
    pub fn registration_gone(&self, binding: &Binding, why: Gone) {
        self.gone(binding, why, None);
    }

    fn gone(&self, binding: &Binding, why: Gone, of: Option<&Registering<'_>>) {
        let word = match why {
            Gone::Unregistered => "unregistered",
            Gone::Replaced => "was replaced by a newer contact",
            Gone::Expired => "expired",
            Gone::ConnectionClosed => "is gone: its connection closed",
            Gone::Flushed => "was flushed",
        };
        info!("{}: {}@{} {} {word}", binding.profile, binding.user, binding.domain, binding.uri());
        self.tell_gone(binding, why, of);
        self.shared.exchange.presence.touch(&binding.user, &binding.domain);
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
