//! OPTIONS to registered phones (`sofia_reg_nat_callback`, `sofia_handle_sip_r_options`): whether they are there, and so that
//! their NAT stays open.

use super::ask::{Ask, Asker, Outcome, Target};
use super::start::Profile;
use crate::channel::{Leg, new_uuid};
use crate::config::sofia::PhonePing;
use crate::event::{EventName, Headers};
use crate::registrar::{Binding, Gone, Reach};
use crate::sip::{Method, NameAddr, Uri};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use tracing::{debug, warn};

/// In which second of so many a phone is asked: spread evenly, the same for as long as it is registered.
fn turn(binding: &Binding, every: u64) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&binding.call_id, binding.uri()).hash(&mut hasher);
    hasher.finish() % every.max(1)
}

impl Profile {
    /// Asks the phones whose turn it is in this second.
    pub fn ping_phones(self: &Arc<Self>, second: u64) {
        let every = u64::from(self.agent.conf.ping.every.max(1));
        let due =
            self.shared.exchange.registrar.pinged(|binding| {
                *binding.profile == *self.agent.name && turn(binding, every) == second % every
            });
        if due.is_empty() {
            return;
        }
        let (asker, profile) = (self.asker(), Arc::downgrade(self));
        tokio::spawn(async move {
            for binding in due {
                let Some(reach) = binding.reach.clone().filter(|reach| reach.begin()) else { continue };
                let Some(place) = asker.place().await else { return reach.end() };
                let (asker, profile) = (asker.clone(), profile.clone());
                tokio::spawn(async move {
                    let _place = place;
                    let sent = Leg::now();
                    let outcome = ping(&asker, &binding).await;
                    let took = Leg::now().saturating_duration_since(sent);
                    reach.end();
                    // One that closes, or has changed meanwhile, asks again.
                    if let (Some(outcome), Some(profile)) = (outcome, profile.upgrade()) {
                        profile.pinged(&binding, &reach, outcome, took);
                    }
                });
            }
        });
    }

    fn pinged(&self, binding: &Binding, reach: &Reach, outcome: Outcome, took: std::time::Duration) {
        let (status, phrase) = match outcome {
            Outcome::Answered(status, phrase) => (status, phrase),
            Outcome::Silent => (408, "Request Timeout".to_owned()),
            Outcome::Undelivered => (503, "Service Unavailable".to_owned()),
        };
        let answered = matches!(status, 200 | 486);
        let PhonePing { least, most, unregister, .. } = self.agent.conf.ping;
        let turned = reach.note(answered, took, (least, most));
        let (name, user) = (&self.agent.name, format!("{}@{}", binding.user, binding.domain));
        debug!("{name}: OPTIONS to {user} answered {status}");
        if !turned {
            return;
        }
        let (word, state) = match answered {
            true => ("Reachable", "REACHABLE"),
            false => ("Unreachable", "UNREACHABLE"),
        };
        warn!("{name}: Sip user '{user}' is now {word} ({status} {phrase})");
        self.shared.exchange.events.fire(EventName::Custom("sofia::sip_user_state"), || {
            let mut headers: Headers = vec![
                ("sip_contact".into(), binding.fs_contact()),
                ("profile-name".into(), name.clone()),
                ("sip_user".into(), user.clone()),
                ("from-user".into(), binding.user.to_string()),
                ("from-host".into(), binding.domain.to_string()),
                ("call-id".into(), binding.call_id.to_string()),
                ("Ping-Status".into(), state.to_owned()),
                ("Status".into(), status.to_string()),
            ];
            if !phrase.is_empty() {
                headers.push(("Phrase".into(), phrase));
            }
            headers
        });
        if unregister && !answered {
            let it = |b: &Binding| {
                b.call_id == binding.call_id && b.uri() == binding.uri() && b.profile == binding.profile
            };
            for gone in self.shared.exchange.registrar.flush(it) {
                self.registration_gone(&gone, Gone::Expired);
            }
        }
    }
}

/// `None` when the profile closed meanwhile, or the contact is no URI.
async fn ping(asker: &Asker, binding: &Binding) -> Option<Outcome> {
    let target = Target::of(binding)?;
    let ask = Ask {
        method: Method::Options,
        from: NameAddr::new(asker.own_uri()?),
        to: NameAddr::new(Uri::sip(Some(&binding.user), &binding.domain, None)),
        call_id: Some(format!("{}_{}", new_uuid(), binding.call_id)),
        headers: Vec::new(),
        body: None,
    };
    let outcome = asker.ask(target, ask).await;
    (!asker.is_closing()).then_some(outcome)
}
