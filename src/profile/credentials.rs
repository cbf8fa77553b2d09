//! Who may: access lists first, then digest (inventory §8.2, §8.3).

use super::register_told::Judged;
use super::start::Profile;
use crate::channel::Leg;
use crate::directory::User;
use crate::directory::auth::{AuthLine, Grounds, Outcome};
use crate::event::EventName;
use crate::registrar::Refused;
use crate::sip::{Flow, Message, Method, Name, Transport};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;
use tracing::{debug, info, warn};

/// What may be done with a request.
pub(super) enum Admission {
    /// Go on.
    Admitted(Admitted),
    /// It has been answered: challenged or refused.
    Answered,
}

/// Who was admitted, and how.
#[derive(Default)]
pub(super) struct Admitted {
    /// The user, when one is known.
    pub(super) user: Option<Arc<User>>,
    /// The name it logged in with.
    pub(super) username: String,
    /// The realm it logged in to.
    pub(super) realm: String,
    /// The access list that let it in.
    pub(super) acl: Option<String>,
    /// The token of that list's entry.
    pub(super) acl_token: Option<Arc<str>>,
    /// The context that list asks for.
    pub(super) context: Option<String>,
    /// Credentials were checked, or an access list vouches.
    pub(super) authorized: bool,
    /// It is our own: the profile calls itself.
    pub(super) looped: bool,
}

impl Profile {
    /// May this INVITE (or MESSAGE, PUBLISH) be served?
    pub(super) fn admit_call(&self, request: &Message, flow: &Flow) -> Admission {
        let conf = &self.agent.conf;
        let acls = self.agent.acls.load();
        let source = flow.remote.ip();
        let mut fail_context = None;
        for list in &conf.apply_inbound_acl {
            let verdict = acls.check(&list.list, source, flow.remote.port());
            if verdict.allow {
                let user = verdict
                    .token
                    .as_deref()
                    .and_then(|t| t.split_once('@'))
                    .and_then(|(user, domain)| self.shared.exchange.directory.user(user, domain));
                return Admission::Admitted(Admitted {
                    username: user.as_ref().map(|u| u.id.to_string()).unwrap_or_default(),
                    user,
                    acl: Some(list.list.clone()),
                    acl_token: verdict.token,
                    context: list.pass_context.clone(),
                    authorized: true,
                    ..Admitted::default()
                });
            }
            if fail_context.is_none() {
                fail_context = list.fail_context.clone();
            }
        }
        if conf.accept_blind_auth {
            return Admission::Admitted(Admitted { authorized: true, ..Admitted::default() });
        }
        let volunteered = request.proxy_authorization().flatten().next().is_some()
            || request.authorization().flatten().next().is_some();
        if conf.auth_calls || volunteered {
            if conf.auth_calls_acl_only {
                info!("{}: {} from {source} refused: no access list lets it in", conf.name, request.method());
                self.reply(request, flow, 403, &[]);
                return Admission::Answered;
            }
            // No host takes in a datagram from elsewhere that bears its own address.
            if flow.transport == Transport::Udp && flow.remote == self.agent.local {
                return Admission::Admitted(Admitted {
                    authorized: true,
                    looped: true,
                    ..Admitted::default()
                });
            }
            return self.log_in(request, flow);
        }
        if let Some(context) = fail_context {
            return Admission::Admitted(Admitted { context: Some(context), ..Admitted::default() });
        }
        if !conf.apply_inbound_acl.is_empty() {
            info!("{}: {} from {source} refused: no access list lets it in", conf.name, request.method());
            self.reply(request, flow, 403, &[]);
            return Admission::Answered;
        }
        Admission::Admitted(Admitted::default())
    }

    /// May this SUBSCRIBE be served? Unlike a call it is challenged by `auth-subscriptions` alone.
    pub(super) fn admit_subscription(&self, request: &Message, flow: &Flow) -> Admission {
        let conf = &self.agent.conf;
        let acls = self.agent.acls.load();
        let (source, port) = (flow.remote.ip(), flow.remote.port());
        let listed = conf.apply_inbound_acl.iter().any(|list| acls.check(&list.list, source, port).allow);
        let volunteered = request.proxy_authorization().flatten().next().is_some()
            || request.authorization().flatten().next().is_some();
        if listed || conf.accept_blind_auth || !(conf.auth_subscriptions || volunteered) {
            return Admission::Admitted(Admitted { authorized: true, ..Admitted::default() });
        }
        if conf.auth_calls_acl_only {
            info!("{}: SUBSCRIBE from {source} refused: no access list lets it in", conf.name);
            self.reply(request, flow, 403, &[]);
            return Admission::Answered;
        }
        self.log_in(request, flow)
    }

    /// May this REGISTER be served?
    pub(super) fn admit_registration(&self, request: &Message, flow: &Flow) -> Admission {
        let conf = &self.agent.conf;
        let acls = self.agent.acls.load();
        let listed = conf
            .apply_register_acl
            .iter()
            .any(|list| acls.allows(&list.list, flow.remote.ip(), flow.remote.port()));
        if conf.accept_blind_reg || listed {
            return Admission::Admitted(Admitted { authorized: true, ..Admitted::default() });
        }
        if !conf.apply_register_acl.is_empty() && conf.auth_calls_acl_only {
            self.reply(request, flow, 403, &[]);
            return Admission::Answered;
        }
        self.log_in(request, flow)
    }

    /// Checks the digest of a request; challenges or refuses what cannot be accepted.
    fn log_in(&self, request: &Message, flow: &Flow) -> Admission {
        let now = SystemTime::now();
        let directory = self.shared.exchange.directory.snapshot();
        let acls = self.agent.acls.load();
        let source = flow.remote.ip();
        match self.shared.auth.check(now, request, source, &directory, &acls, &self.rules) {
            Outcome::Accepted { user, username, realm } => {
                self.guard.good_auth(source);
                let again = request.authorization().chain(request.proxy_authorization()).flatten();
                let again = again.filter_map(|login| login.nonce_count()).any(|count| count > 1);
                self.tell_attempt(request, flow, if again { Judged::Renewed } else { Judged::Success });
                let authorized = true;
                Admission::Admitted(Admitted {
                    user: Some(user),
                    username,
                    realm,
                    authorized,
                    ..Admitted::default()
                })
            }
            Outcome::Challenge { realm, stale } => {
                self.log_attempt(request, flow, false);
                if stale {
                    self.tell_attempt(request, flow, Judged::Stale);
                }
                self.tell_challenged(request, flow);
                let register = *request.method() == Method::Register;
                let (status, name) =
                    if register { (401, "WWW-Authenticate") } else { (407, "Proxy-Authenticate") };
                let values = self.shared.auth.challenges(now, source, &realm, stale, &self.rules);
                let headers: Vec<_> = values.into_iter().map(|value| (name, value)).collect();
                self.reply(request, flow, status, &headers);
                Admission::Answered
            }
            Outcome::Forbidden { grounds, username } => {
                self.tell_attempt(request, flow, Judged::Forbidden);
                self.log_attempt(request, flow, true);
                self.remember_refusal(request, source, &username, grounds);
                info!(
                    "{}: {} of {username:?} from {source} refused: {grounds}",
                    self.agent.name,
                    request.method()
                );
                if self.guard.failed_auth(Leg::now(), source) {
                    warn!(
                        "{}: too many failed logins from {source}: not listened to for a while",
                        self.agent.name
                    );
                }
                self.reply(request, flow, 403, &[]);
                Admission::Answered
            }
        }
    }

    /// Keeps the last refused REGISTER of a user there is, for `reg why`.
    fn remember_refusal(&self, request: &Message, source: IpAddr, username: &str, grounds: Grounds) {
        if *request.method() != Method::Register {
            return;
        }
        let domain = self.rules.domain.as_deref().unwrap_or_else(|| self.rules.realm_of(request));
        let exchange = &self.shared.exchange;
        let Some(user) = exchange.directory.user(username, domain) else { return };
        let (at, source) = (Leg::now(), source.to_canonical());
        let refused = Refused { at, source, profile: self.agent.name.clone(), why: grounds.to_string() };
        exchange.registrar.refusals.put(&user.id, &user.domain, refused);
    }

    /// `sofia::register_failure`: a wrong password, or a user nobody knows.
    fn tell_failure(&self, request: &Message, flow: &Flow) {
        self.shared.exchange.events.fire(EventName::Custom("sofia::register_failure"), || {
            let to = request.to().uri();
            let register = *request.method() == Method::Register;
            let agent = request.header(Name::UserAgent).unwrap_or("unknown");
            vec![
                ("profile-name".into(), self.agent.name.clone()),
                ("to-user".into(), to.user().unwrap_or_default().into_owned()),
                ("to-host".into(), to.host().to_owned()),
                ("network-ip".into(), flow.remote.ip().to_canonical().to_string()),
                ("user-agent".into(), agent.to_owned()),
                ("network-port".into(), flow.remote.port().to_string()),
                ("registration-type".into(), if register { "REGISTER" } else { "INVITE" }.to_owned()),
            ]
        });
    }

    /// The line fail2ban reads.
    fn log_attempt(&self, request: &Message, flow: &Flow, failure: bool) {
        if failure {
            self.tell_failure(request, flow);
        }
        if !self.agent.conf.log_auth_failures && !tracing::enabled!(tracing::Level::DEBUG) {
            return;
        }
        let to = request.to().uri();
        let user = to.user().unwrap_or_default();
        let line = AuthLine {
            failure,
            register: *request.method() == Method::Register,
            profile: &self.agent.name,
            user: &user,
            host: to.host(),
            source: flow.remote.ip(),
        };
        let told = self.agent.conf.log_auth_failures
            && (failure || self.shared.auth.challenged.is_told(Leg::now(), flow.remote.ip()));
        if told {
            warn!(target: "sofia_reg.c:1", "{line}");
        } else {
            debug!("{line}");
        }
    }
}
