//! What commands want of one SIP profile: `sofia profile NAME start|stop|restart|flush_inbound_reg|register|…`.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tracing::warn;

use super::profiles::{LEAVE, Profiles};
use super::{Core, wait_until};
use crate::api::{House, ProfileWork};
use crate::channel::{Cause, Leg};
use crate::event::EventName;
use crate::gateway::{Gateway, Gateways};
use crate::profile::{Ask, Profile, Target};
use crate::registrar::{Binding, Gone};

/// How long a restart waits for the sockets of what it has stopped.
const CLOSING: Duration = Duration::from_secs(15);

impl Profiles {
    /// The profile called so, or with that alias.
    fn named(&self, name: &str) -> Option<Arc<Profile>> {
        let agent = self.shared.exchange.agent(name)?;
        self.running().iter().find(|profile| profile.agent.name == agent.name).cloned()
    }

    fn keep_closed(&self, name: &str, closed: bool) {
        let mut stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        if closed {
            stopped.insert(name.to_owned())
        } else {
            stopped.remove(name)
        };
    }

    /// The gateway of that name, or all of the profile.
    fn gateways_named(&self, profile: &str, name: Option<&str>) -> Result<Vec<Arc<Gateway>>, String> {
        let gateways = self.shared.exchange.gateways.load();
        match name {
            None => Ok(gateways.of_profile(profile).to_vec()),
            Some(name) => {
                gateways.find(name).map(|g| vec![g.clone()]).ok_or_else(|| "no such gateway".to_owned())
            }
        }
    }

    /// The profile a gateway belongs to.
    fn owner(&self, gateway: &Gateway) -> Option<Arc<Profile>> {
        self.running().iter().find(|profile| profile.agent.name == gateway.profile).cloned()
    }

    /// Drops registrations of a profile, and tells who is concerned; with `reboot` their phones, too.
    fn flush(&self, profile: &Profile, which: Option<&str>, reboot: bool) {
        let gone = self.shared.exchange.registrar.flush(|binding| is_one(profile, which, binding));
        for binding in &gone {
            profile.registration_gone(binding, Gone::Flushed);
        }
        if reboot {
            check_sync(profile, &gone);
        }
    }

    /// Takes gateways out of the table; they end on their own.
    fn kill(&self, gone: Vec<Arc<Gateway>>) {
        let exchange = &self.shared.exchange;
        let is_gone = |gateway: &Arc<Gateway>| gone.iter().any(|g| Arc::ptr_eq(g, gateway));
        let left = exchange.gateways.load().all().iter().filter(|g| !is_gone(g)).cloned().collect();
        exchange.gateways.store(Arc::new(Gateways::of(left)));
        for gateway in gone {
            exchange.events.fire(EventName::Custom("sofia::gateway_delete"), || {
                vec![
                    ("profile-name".into(), gateway.profile.clone()),
                    ("Gateway".into(), gateway.conf.name.clone()),
                ]
            });
            self.end(gateway);
        }
    }

    /// Has a gateway take its registration back, without waiting for that.
    fn end(&self, gateway: Arc<Gateway>) {
        if let Some(profile) = self.owner(&gateway) {
            tokio::spawn(async move { profile.end_gateway(&gateway, LEAVE).await });
        }
    }
}

/// Whether `flush_inbound_reg` and `check_sync` mean this registration: by its Call-ID, its user@domain or its domain.
fn is_one(profile: &Profile, which: Option<&str>, binding: &Binding) -> bool {
    let of_user = |text: &str| match text.split_once('@') {
        Some((user, domain)) if !user.is_empty() => {
            binding.user.eq_ignore_ascii_case(user) && binding.domain.eq_ignore_ascii_case(domain)
        }
        Some((_, domain)) => binding.domain.eq_ignore_ascii_case(domain),
        None => binding.domain.eq_ignore_ascii_case(text),
    };
    *binding.profile == *profile.agent.name
        && which.is_none_or(|which| *binding.call_id == *which || of_user(which))
}

/// Tells phones to fetch their settings and to start again, each in its maker's words (`sofia_reg_send_reboot`).
fn check_sync(profile: &Profile, bindings: &[Arc<Binding>]) {
    let ask = |binding: &Arc<Binding>| {
        let agent = binding.user_agent.to_ascii_lowercase();
        let is = |word: &str| agent.contains(word);
        let event = match () {
            () if is("snom") || is("yealink") => "check-sync;reboot=true",
            () if is("linksys/spa8000") => "check-sync",
            () if is("linksys") => "reboot_now",
            () if is("spa") => "reboot",
            () if is("cisco-cp7960g") || is("cisco-cp7940g") => "check-sync",
            () if is("cisco") => "service-control",
            () => "check-sync",
        };
        let mut ask = Ask::notify(&binding.user, &binding.domain, event);
        ask.call_id = Some(binding.call_id.to_string());
        ask = match event {
            "service-control" => {
                let zero = "{0000000000000000}";
                let body = format!(
                    "action=restart\nRegisterCallId={{{}}}\nConfigVersionStamp={zero}\n\
                     DialplanVersionStamp={zero}\nSoftkeyVersionStamp={zero}",
                    binding.call_id
                );
                ask.carrying("text/plain", body)
            }
            _ => ask.carrying("application/simple-message-summary", ""),
        };
        Some((Target::of(binding)?, ask))
    };
    profile.send_all(bindings.iter().filter_map(ask).collect());
}

/// Reads the configuration again and takes it over.
async fn reread(house: &dyn House) -> Result<(), String> {
    house.reload().await.map(drop).map_err(|errors| errors.join("; "))
}

impl Core {
    /// Does it.
    pub(super) async fn with_profile(
        &self,
        name: &str,
        work: ProfileWork,
        house: &dyn House,
    ) -> Result<(), String> {
        let profiles = &self.profiles;
        if work == ProfileWork::Start {
            profiles.keep_closed(name, false);
            reread(house).await?;
            return profiles.named(name).map(drop).ok_or_else(|| format!("no profile {name} is configured"));
        }
        let profile = profiles.named(name).ok_or_else(|| format!("Invalid Profile [{name}]"))?;
        let own = profile.agent.name.clone();
        match work {
            ProfileWork::Start => {}
            ProfileWork::Stop | ProfileWork::Restart => {
                profiles.keep_closed(&own, true);
                if let Err(said) = reread(house).await {
                    profiles.keep_closed(&own, false);
                    return Err(said);
                }
                self.hang_up_profile(&own).await;
                if work == ProfileWork::Restart {
                    // Its task ends with its last call; then it is known here and to those that were alone.
                    wait_until(Leg::now() + CLOSING, || Arc::strong_count(&profile) <= 2).await;
                    profiles.keep_closed(&own, false);
                    if let Err(why) = reread(house).await {
                        return Err(self.bring_back(&profile, &why).await);
                    }
                }
            }
            ProfileWork::Flush { which, reboot } => profiles.flush(&profile, which.as_deref(), reboot),
            ProfileWork::CheckSync(which) => {
                let which = which.as_deref();
                let registrar = &self.exchange.registrar;
                check_sync(&profile, &registrar.list(|binding| is_one(&profile, which, binding)));
            }
            ProfileWork::Register(which) => {
                for gateway in profiles.gateways_named(&own, which.as_deref())? {
                    if let Some(owner) = profiles.owner(&gateway).filter(|_| gateway.conf.register) {
                        owner.register_gateway(&gateway);
                    }
                }
            }
            ProfileWork::Unregister(which) => {
                for gateway in profiles.gateways_named(&own, which.as_deref())? {
                    if gateway.conf.register {
                        profiles.end(gateway);
                    }
                }
            }
            ProfileWork::KillGateway(which) => {
                profiles.kill(profiles.gateways_named(&own, which.as_deref())?)
            }
        }
        Ok(())
    }

    /// Opens a profile again as it was, which could not be restarted; what is said of that.
    async fn bring_back(&self, was: &Profile, why: &str) -> String {
        let _turn = self.turn.lock().await;
        let name = &was.agent.name;
        let back = self.profiles.reopen(&was.agent.conf, &self.exchange.directory.snapshot());
        let said = match back {
            Ok(()) => format!("{why}; profile {name} is open again as it was"),
            Err(also) => format!("{why}; and profile {name} cannot be opened again as it was: {also}"),
        };
        warn!("sofia profile {name} restart: {said}");
        said
    }

    /// Hangs up every leg of a profile.
    async fn hang_up_profile(&self, name: &str) {
        let asked: Vec<_> = self
            .exchange
            .legs
            .mailboxes()
            .into_iter()
            .map(|mailbox| {
                let name = name.to_owned();
                tokio::spawn(async move {
                    let hang_up = move |leg: &mut Leg| {
                        if leg.agent.name == name {
                            leg.hangup(Cause::MANAGER_REQUEST);
                        }
                    };
                    let _ = mailbox.ask(hang_up).await; // one that is gone is no matter
                })
            })
            .collect();
        for asked in asked {
            let _ = asked.await;
        }
    }
}
