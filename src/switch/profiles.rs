//! The SIP profiles of a switch and their gateways: opened at start, and changed by a reload.
//!
//! A reload has two halves. [`Profiles::prepare`] builds what is to come beside what is: it opens the sockets that a new
//! address needs, and when one cannot be opened nothing has changed. [`Profiles::turn`] swaps it in whole.
//!
//! | a profile | |
//! | --- | --- |
//! | as it was | is left alone |
//! | with other settings | is renewed on its own sockets; calls that are up keep what they began with |
//! | with the address of one that is called otherwise | takes its sockets, its registrations and its gateways |
//! | at another address | opens there; the old one serves its calls until the last is over |
//! | gone | the same |
//!
//! | a gateway | |
//! | --- | --- |
//! | as it was | is left alone, registered as it is |
//! | changed in what only we see | goes on, registered as it is |
//! | changed in what the far end sees | its registration is taken back, and it begins anew |
//! | new, or gone | begins, or its registration is taken back |

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tracing::error;

use super::{StartError, opening};
use crate::channel::{Agents, Leg};
use crate::config::changes::Names;
use crate::config::sofia::{GatewayConf, ProfileConf};
use crate::directory::Snapshot;
use crate::event::EventName;
use crate::gateway::{Gateway, Gateways};
use crate::profile::{Opening, Profile, ProfileError, Shared};

/// How long a gateway that changes waits for its old registration to be taken back.
pub(super) const LEAVE: Duration = Duration::from_secs(4);

/// The profiles that run.
pub(super) struct Profiles {
    pub(super) shared: Shared,
    /// Log every message of every profile.
    trace: bool,
    running: ArcSwap<Vec<Arc<Profile>>>,
    /// Those that could not be opened at the start: they may try again, but hinder nobody.
    closed: Vec<String>,
    /// Those that only serve their last calls.
    retired: Mutex<Vec<Arc<Profile>>>,
    /// Changes of gateways that take time, one after another.
    work: Arc<tokio::sync::Mutex<()>>,
    /// Those that somebody has stopped: they stay closed until they are started.
    pub(super) stopped: Mutex<BTreeSet<String>>,
}

/// What a reload makes of the profiles.
pub(super) struct Turn {
    next: Vec<Next>,
}

/// One profile after a reload.
struct Next {
    profile: Arc<Profile>,
    /// The one that had its sockets before.
    was: Option<Arc<Profile>>,
    change: Change,
}

impl Next {
    /// The profile whose sockets these are has had another name.
    fn renamed(&self) -> Option<&Arc<Profile>> {
        self.was.as_ref().filter(|was| was.agent.name != self.profile.agent.name)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    None,
    /// Other settings; `place`: our address looks otherwise from outside.
    Renewed {
        place: bool,
    },
    /// Other sockets.
    Moved,
    New,
}

/// A gateway whose registration must change hands.
struct Handover {
    end: Option<(Arc<Profile>, Arc<Gateway>)>,
    begin: Option<(Arc<Profile>, Arc<Gateway>)>,
}

/// One profile of a new configuration: where it is to listen.
struct Place {
    opening: Opening,
    /// Nothing of it has changed.
    kept: bool,
    /// Who listens there now.
    owner: Option<Arc<Profile>>,
}

/// What a reload made of the gateways, in words.
#[derive(Default)]
struct GatewayChanges {
    added: Names,
    changed: Names,
    anew: Names,
    removed: Names,
}

impl GatewayChanges {
    fn told(&self) -> impl Iterator<Item = String> {
        let word = |names: &Names, word: &str| match names.len() {
            0 => None,
            1 => Some(format!("gateway {names} {word}")),
            _ => Some(format!("gateways {names} {word}")),
        };
        let whole = |names: &Names| (!names.is_empty()).then(|| names.to_string());
        [word(&self.added, "added"), whole(&self.changed), whole(&self.anew), word(&self.removed, "removed")]
            .into_iter()
            .flatten()
    }
}

impl Profiles {
    /// Opens the profiles. One that cannot be opened is left out with an error; none at all ends the start.
    pub(super) fn open(
        profiles: &[ProfileConf],
        shared: Shared,
        trace: bool,
    ) -> Result<(Profiles, Vec<ProfileError>), StartError> {
        let mut running = Vec::new();
        let mut closed = Vec::new();
        for conf in profiles {
            match start(conf, &shared, trace) {
                Ok(profile) => running.push(profile),
                Err(error) => {
                    error!("{error}");
                    closed.push(error);
                }
            }
        }
        if running.is_empty() {
            return Err(closed.into_iter().next().map_or(StartError::NoneConfigured, StartError::NoProfile));
        }
        let directory = shared.exchange.directory.snapshot();
        shared.exchange.agents.store(Arc::new(agents(&running, &directory)));
        let profiles = Profiles {
            shared,
            trace,
            closed: profiles
                .iter()
                .map(|p| p.name.clone())
                .filter(|name| !running.iter().any(|p| p.agent.name == *name))
                .collect(),
            running: ArcSwap::from_pointee(Vec::new()),
            retired: Mutex::default(),
            work: Arc::default(),
            stopped: Mutex::default(),
        };
        let next =
            running.into_iter().map(|profile| Next { profile, was: None, change: Change::New }).collect();
        profiles.turn(Turn { next }, &directory);
        Ok((profiles, closed))
    }

    /// Those that run now.
    pub(super) fn running(&self) -> Arc<Vec<Arc<Profile>>> {
        self.running.load_full()
    }

    /// Builds what these settings ask for. On an error nothing has changed.
    pub(super) async fn prepare(&self, profiles: &[ProfileConf]) -> Result<Turn, Vec<String>> {
        let stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let wanted: Vec<ProfileConf> =
            profiles.iter().filter(|conf| !stopped.contains(&conf.name)).cloned().collect();
        // The last one may be stopped, and restarted, by who asks for that.
        let may_be_none = wanted.len() < profiles.len();
        let profiles = wanted.as_slice();
        let running = self.running();
        let named = |conf: &ProfileConf| running.iter().find(|p| p.agent.name == conf.name);
        let mut errors = Vec::new();
        // What is to listen where, and who has the sockets of that address now: first those that keep their own, then those
        // that take what another leaves.
        let mut places: Vec<Place> = Vec::new();
        let mut taken: Vec<&Arc<Profile>> = Vec::new();
        for conf in profiles {
            let own = named(conf);
            if let Some(own) = own.filter(|own| own.agent.conf.written == conf.written) {
                taken.push(own);
                let kept = same_gateways(&own.agent.conf, conf);
                let opening = if kept { Opening::default() } else { opening(conf) };
                places.push(Place { opening, kept, owner: Some(own.clone()) });
                continue;
            }
            let opening = opening(conf);
            let owner = match Profile::place(conf, &opening) {
                Ok(place) => own.filter(|own| listens(own, place, conf)).cloned(),
                Err(error) => {
                    // One that never was is heard of when it is started.
                    errors.extend(own.map(|_| error.to_string()));
                    None
                }
            };
            taken.extend(own.filter(|_| owner.is_some()));
            places.push(Place { opening, kept: false, owner });
        }
        for (conf, place) in profiles.iter().zip(&mut places) {
            if place.owner.is_none()
                && conf.sip_port.is_some()
                && let Ok(at) = Profile::place(conf, &place.opening)
            {
                let free = |p: &&Arc<Profile>| !taken.iter().any(|t| Arc::ptr_eq(t, p));
                let owner = running.iter().filter(free).find(|p| listens(p, at, conf));
                taken.extend(owner);
                place.owner = owner.cloned();
            }
        }
        let mut turn = Turn { next: Vec::new() };
        for (conf, Place { opening, kept, owner }) in profiles.iter().zip(places) {
            let Some(was) = owner else {
                let change = if named(conf).is_some() { Change::Moved } else { Change::New };
                match start(conf, &self.shared, self.trace) {
                    Ok(profile) => turn.next.push(Next { profile, was: None, change }),
                    Err(error) if change == Change::New && self.closed.contains(&conf.name) => {
                        error!("{error}")
                    }
                    Err(error) => errors.push(error.to_string()),
                }
                continue;
            };
            if kept {
                turn.next.push(Next { profile: was.clone(), was: Some(was), change: Change::None });
                continue;
            }
            let profile = was.renewed(conf.clone(), &opening);
            profile.agent.trace.fetch_or(self.trace, Ordering::Relaxed);
            let place = profile.agent.external != was.agent.external
                || profile.agent.conf.local_network_acl != was.agent.conf.local_network_acl;
            let same = was.agent.conf.written == conf.written;
            let change = if same { Change::None } else { Change::Renewed { place } };
            turn.next.push(Next { profile, was: Some(was), change });
        }
        if turn.next.is_empty() && errors.is_empty() && !may_be_none {
            errors.push("no SIP profile would be left".to_owned());
        }
        if errors.is_empty() {
            return Ok(turn);
        }
        self.give_up(turn).await;
        Err(errors)
    }

    /// Opens a profile with these settings beside those that run, which are left alone.
    pub(super) fn reopen(&self, conf: &ProfileConf, directory: &Snapshot) -> Result<(), ProfileError> {
        let running = self.running();
        let mut next: Vec<Next> = running
            .iter()
            .filter(|profile| profile.agent.name != conf.name)
            .map(|profile| Next {
                profile: profile.clone(),
                was: Some(profile.clone()),
                change: Change::None,
            })
            .collect();
        let profile = start(conf, &self.shared, self.trace)?;
        next.push(Next { profile, was: None, change: Change::New });
        self.turn(Turn { next }, directory);
        Ok(())
    }

    /// Closes what was opened for a turn that is not taken.
    pub(super) async fn give_up(&self, turn: Turn) {
        for next in turn.next.iter().filter(|n| n.was.is_none()) {
            next.profile.stop().await;
        }
    }

    /// Swaps it in; says what has changed.
    pub(super) fn turn(&self, turn: Turn, directory: &Snapshot) -> Vec<String> {
        let before = self.running();
        let next: Vec<Arc<Profile>> = turn.next.iter().map(|n| n.profile.clone()).collect();
        let (gateways, handovers, changes) = self.gateways(&turn.next);
        let exchange = &self.shared.exchange;
        let names: HashMap<String, Arc<str>> = turn
            .next
            .iter()
            .filter_map(|n| Some((n.renamed()?.agent.name.clone(), n.profile.agent.name.as_str().into())))
            .collect();
        for next in &turn.next {
            next.profile.take_over();
        }
        exchange.agents.store(Arc::new(agents(&next, directory)));
        if !names.is_empty() {
            exchange.registrar.rename_profiles(|name| names.get(name).cloned());
        }
        exchange.gateways.store(Arc::new(gateways));
        self.running.store(Arc::new(next));
        for next in turn.next.iter().filter(|next| next.was.is_none()) {
            let agent = &next.profile.agent;
            exchange.events.fire(EventName::Custom("sofia::profile_start"), || {
                let at = agent.external.unwrap_or(agent.local);
                vec![
                    ("module_name".into(), "mod_sofia".to_owned()),
                    ("profile_name".into(), agent.name.clone()),
                    ("profile_uri".into(), format!("sip:{}@{at}", agent.conf.contact_user)),
                ]
            });
        }
        for handover in &handovers {
            let ended = handover.end.iter().map(|(_, g)| ("sofia::gateway_delete", g));
            let begun = handover.begin.iter().map(|(_, g)| ("sofia::gateway_add", g));
            for (name, gateway) in ended.chain(begun) {
                exchange.events.fire(EventName::Custom(name), || {
                    let mut headers = vec![
                        ("profile-name".into(), gateway.profile.clone()),
                        ("Gateway".into(), gateway.conf.name.clone()),
                    ];
                    if name == "sofia::gateway_add" {
                        headers.reverse(); // as FreeSWITCH
                    }
                    headers
                });
            }
        }
        let mut said = Vec::new();
        if !before.is_empty() {
            // the start says so itself
            said.extend(turn.next.iter().filter_map(told));
            said.extend(changes.told());
        }
        for old in before.iter() {
            if turn.next.iter().any(|n| n.was.as_ref().is_some_and(|was| Arc::ptr_eq(was, old))) {
                continue;
            }
            let name = &old.agent.name;
            if !turn.next.iter().any(|n| n.profile.agent.name == *name) {
                said.push(format!("profile {name} is gone; its calls go on until the last is over"));
            }
            self.retire(old.clone());
        }
        self.hand_over(handovers);
        said
    }

    /// The gateways after a reload, and what is to be done for that.
    fn gateways(&self, next: &[Next]) -> (Gateways, Vec<Handover>, GatewayChanges) {
        let exchange = &self.shared.exchange;
        let table = exchange.gateways.load_full();
        let before = self.running();
        let profile_of = |name: &str| before.iter().find(|p| p.agent.name == name).cloned();
        let mut known: HashMap<(String, String), Arc<Gateway>> =
            table.all().iter().map(|g| ((g.profile.clone(), g.conf.name.clone()), g.clone())).collect();
        let (mut all, mut handovers) = (Vec::new(), Vec::new());
        let mut changes = GatewayChanges::default();
        let now = Leg::now();
        for next in next {
            let (profile, change) = (&next.profile, &next.change);
            let name = &profile.agent.name;
            for conf in &profile.agent.conf.gateways {
                let conf: &GatewayConf = conf;
                let renamed =
                    next.renamed().and_then(|was| known.remove(&(was.agent.name.clone(), conf.name.clone())));
                let old = renamed.clone().or_else(|| known.remove(&(name.clone(), conf.name.clone())));
                let Some(old) = old else {
                    let gateway = Arc::new(Gateway::new(conf.clone(), name, now));
                    all.push(gateway.clone());
                    changes.added.push(gateway.full_name());
                    handovers.push(Handover { end: None, begin: Some((profile.clone(), gateway)) });
                    continue;
                };
                let differs = conf.differences(&old.conf);
                // With `reg-id` the Contact says the profile's name.
                let elsewhere =
                    matches!(change, Change::Moved | Change::New | Change::Renewed { place: true })
                        || (next.renamed().is_some() && (renamed.is_none() || conf.reg_id.is_some()));
                if elsewhere || !conf.registers_alike(&old.conf) {
                    let gateway = Arc::new(Gateway::new(conf.clone(), name, now));
                    all.push(gateway.clone());
                    let why = if differs.is_empty() { "our address".to_owned() } else { differs.join(", ") };
                    changes.anew.push(format_args!("gateway {} begins anew ({why})", gateway.full_name()));
                    let end = profile_of(&old.profile).map(|profile| (profile, old));
                    handovers.push(Handover { end, begin: Some((profile.clone(), gateway)) });
                    continue;
                }
                let same = differs.is_empty() && renamed.is_none();
                let gateway = match same {
                    true => old.clone(),
                    false => Arc::new(old.succeeded_by(conf.clone(), name, now)),
                };
                if !differs.is_empty() {
                    let differs = differs.join(", ");
                    changes.changed.push(format_args!("gateway {} changed ({differs})", gateway.full_name()));
                }
                if !same || *change != Change::None {
                    profile.adopt_gateway(&old, &gateway);
                }
                all.push(gateway);
            }
        }
        let mut gone: Vec<_> = known.into_values().collect();
        gone.sort_by_key(|gateway| gateway.full_name());
        for gateway in gone {
            changes.removed.push(gateway.full_name());
            let end = profile_of(&gateway.profile).map(|profile| (profile, gateway));
            handovers.push(Handover { end, begin: None });
        }
        (Gateways::of(all), handovers, changes)
    }

    /// Ends old registrations and begins new ones. What is merely new begins at once.
    fn hand_over(&self, handovers: Vec<Handover>) {
        let (later, now): (Vec<_>, Vec<_>) = handovers.into_iter().partition(|h| h.end.is_some());
        for (profile, gateway) in now.into_iter().filter_map(|h| h.begin) {
            profile.begin_gateway(&gateway);
        }
        if later.is_empty() {
            return;
        }
        let (work, exchange) = (self.work.clone(), self.shared.exchange.clone());
        tokio::spawn(async move {
            let _turn = work.lock().await;
            let ends: Vec<_> = later
                .iter()
                .filter_map(|h| h.end.clone())
                .map(|(profile, gateway)| {
                    tokio::spawn(async move { profile.end_gateway(&gateway, LEAVE).await })
                })
                .collect();
            for end in ends {
                let _ = end.await; // a panic there has been told
            }
            for (profile, gateway) in later.into_iter().filter_map(|h| h.begin) {
                // Another reload may have come meanwhile, or the end.
                let current = exchange.gateways.load();
                let wanted = current.find(&gateway.full_name()).is_some_and(|g| Arc::ptr_eq(g, &gateway));
                if wanted && !exchange.gate.is_draining() {
                    profile.begin_gateway(&gateway);
                }
            }
        });
    }

    fn retire(&self, profile: Arc<Profile>) {
        let mut retired = self.retired.lock().unwrap_or_else(PoisonError::into_inner);
        retired.retain(|p| Arc::strong_count(p) > 1); // its task is done
        retired.push(profile.clone());
        tokio::spawn(profile.retire());
    }

    /// Closes everything.
    pub(super) async fn stop(&self) {
        for profile in self.running().iter() {
            profile.stop().await;
        }
        let retired = std::mem::take(&mut *self.retired.lock().unwrap_or_else(PoisonError::into_inner));
        for profile in retired {
            profile.stop().await;
        }
    }
}

fn start(conf: &ProfileConf, shared: &Shared, trace: bool) -> Result<Arc<Profile>, ProfileError> {
    let profile = Profile::start(conf.clone(), &opening(conf), shared.clone())?;
    profile.agent.trace.fetch_or(trace, Ordering::Relaxed);
    Ok(profile)
}

/// Whether what these settings ask for is where a profile listens.
fn listens(profile: &Profile, place: SocketAddr, conf: &ProfileConf) -> bool {
    let at = profile.agent.local;
    at.ip() == place.ip()
        && if conf.sip_port.is_some() { at.port() == place.port() } else { profile.agent.name == conf.name }
}

/// What the log says of a profile.
fn told(next: &Next) -> Option<String> {
    let name = &next.profile.agent.name;
    let differences = |was: &Profile| next.profile.agent.conf.written.differences(&was.agent.conf.written);
    match (&next.change, &next.was) {
        (Change::Renewed { .. }, Some(was)) if next.renamed().is_some() => {
            Some(format!("profile {name} takes the place of {} ({})", was.agent.name, differences(was)))
        }
        (Change::Renewed { .. }, Some(was)) => {
            Some(format!("profile {name} has other settings ({})", differences(was)))
        }
        (Change::None | Change::Renewed { .. }, _) => None,
        (Change::New, _) => Some(format!("profile {name} opened at {}", next.profile.agent.local)),
        (Change::Moved, _) => Some(format!(
            "profile {name} is at {} now; the old address serves its calls until the last is over",
            next.profile.agent.local
        )),
    }
}

fn same_gateways(before: &ProfileConf, after: &ProfileConf) -> bool {
    before.gateways.len() == after.gateways.len()
        && before.gateways.iter().zip(&after.gateways).all(|(b, a)| b.is_same(a))
}

/// The profiles by name, alias, and the domains they stand for.
fn agents(profiles: &[Arc<Profile>], directory: &Snapshot) -> Agents {
    let mut agents = Agents::new();
    for profile in profiles {
        let conf = &profile.agent.conf;
        let domains = conf.domains.iter().filter(|d| d.alias).flat_map(|domain| {
            if domain.name.eq_ignore_ascii_case("all") {
                directory.domains().map(|d| d.name.to_string()).collect()
            } else {
                vec![domain.name.clone()]
            }
        });
        for name in [conf.name.clone()].into_iter().chain(conf.aliases.iter().cloned()).chain(domains) {
            agents.entry(name.to_ascii_lowercase()).or_insert_with(|| profile.agent.clone());
        }
    }
    agents
}
