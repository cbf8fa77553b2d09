//! What one REGISTER does to the contacts of its address-of-record (RFC 3261 §10.3).
//!
//! A [`Plan`] is worked out against the contacts there are and carried out only when all of it is allowed, so a
//! request with several contacts happens whole or not at all.

use std::sync::Arc;
use std::time::{Duration, Instant};

use smallvec::SmallVec;

use super::binding::Binding;
use super::policy::Policy;
use super::request::{Request, Wanted, Wish};
use crate::config::sofia::MultipleRegistrations as Multiple;
use crate::sip::{Flow, Uri};

/// A REGISTER that was carried out.
#[derive(Clone, Debug)]
pub struct Registered {
    /// The values of the Contact headers of the 200: every contact of the user, as it came, with `;expires=`.
    pub contacts: Vec<String>,
    /// The value of the Path header of the 200 (RFC 3327 §5.3), when the request had one.
    pub path: Option<String>,
    /// What was granted to the first contact of the request, in seconds.
    pub granted: Option<u32>,
    /// True when the user had no contact before and has one now.
    pub first: bool,
    /// True when the flow is bound as RFC 5626 wants and the 200 may say `Require: outbound`.
    pub outbound: bool,
    /// What changed, in order, for the events.
    pub changes: Vec<Change>,
}

/// A change of the table.
#[derive(Clone, Debug)]
pub enum Change {
    /// A new contact.
    Added(Arc<Binding>),
    /// A contact that was there before, set again.
    Refreshed(Arc<Binding>),
    /// A contact that is gone.
    Gone(Arc<Binding>, Gone),
}

/// Why a contact is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gone {
    /// The phone took it back.
    Unregistered,
    /// Another contact took its place.
    Replaced,
    /// Its time was over.
    Expired,
    /// Its connection closed.
    ConnectionClosed,
    /// An operator removed it.
    Flushed,
}

/// A REGISTER that was refused; nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status to answer.
    pub status: u16,
    /// The reason phrase to answer.
    pub reason: &'static str,
    /// Headers the answer needs, as (name, value).
    pub headers: Vec<(&'static str, String)>,
}

impl Refusal {
    pub(super) fn new(status: u16, reason: &'static str) -> Self {
        Refusal { status, reason, headers: Vec::new() }
    }

    pub(super) fn too_brief(min: u32) -> Self {
        Refusal { headers: vec![("Min-Expires", min.to_string())], ..Self::new(423, "Interval Too Brief") }
    }

    pub(super) fn full() -> Self {
        Refusal {
            headers: vec![("Retry-After", "300".to_owned())],
            ..Self::new(503, "Too Many Registrations")
        }
    }
}

/// A request with the same Call-ID and a lower CSeq is out of order only this long after the last one (64·T1).
/// Later it is a phone that started again and kept its Call-ID.
const ORDER_WINDOW: Duration = Duration::from_secs(32);

/// What is to happen to each contact there is, and which come new.
pub(super) struct Plan {
    /// One for each contact there was.
    pub fates: SmallVec<[Fate; 2]>,
    /// New contacts.
    pub added: SmallVec<[Arc<Binding>; 1]>,
    /// What the first contact got.
    pub granted: Option<u32>,
}

/// What happens to a contact there was.
pub(super) enum Fate {
    Kept,
    Refreshed(Arc<Binding>),
    Gone(Gone),
}

impl Fate {
    fn is_kept(&self) -> bool {
        matches!(self, Fate::Kept)
    }
}

/// Who asks, and when.
pub(super) struct Asker<'a> {
    pub now: Instant,
    pub user: &'a str,
    pub domain: Arc<str>,
    pub user_agent: Arc<str>,
    pub flow: Flow,
    pub policy: &'a Policy,
}

impl Plan {
    /// Works out what `request` does to `present`, the contacts the user has at this profile.
    pub fn make(asker: &Asker<'_>, request: &Request, present: &[Arc<Binding>]) -> Result<Plan, Refusal> {
        let mut plan = Plan {
            fates: present.iter().map(|_| Fate::Kept).collect(),
            added: SmallVec::new(),
            granted: None,
        };
        let wishes = match &request.wanted {
            Wanted::Nothing => return Ok(plan),
            _ if is_out_of_order(asker.now, request, present) => {
                return Err(Refusal::new(500, "CSeq Out Of Order"));
            }
            Wanted::RemoveAll => {
                plan.fates.iter_mut().for_each(|fate| *fate = Fate::Gone(Gone::Unregistered));
                return Ok(plan);
            }
            Wanted::Contacts(wishes) => wishes,
        };
        for wish in wishes {
            let granted = asker.policy.grant(wish.expires)?;
            plan.granted = plan.granted.or(Some(granted));
            if granted == 0 {
                plan.remove(wish, present);
            } else {
                plan.set(asker, request, wish, present, granted);
            }
        }
        plan.check_limit(asker.policy, request, present)?;
        plan.apply_multiple(asker.policy, request, wishes, present);
        Ok(plan)
    }

    /// How many contacts there will be.
    pub fn count(&self) -> usize {
        self.added.len() + self.fates.iter().filter(|f| !matches!(f, Fate::Gone(_))).count()
    }

    fn set(
        &mut self,
        asker: &Asker<'_>,
        request: &Request,
        wish: &Wish,
        present: &[Arc<Binding>],
        granted: u32,
    ) {
        let mut binding = Binding {
            user: asker.user.into(),
            domain: asker.domain.clone(),
            profile: asker.policy.profile.clone(),
            contact: wish.contact.clone(),
            q: wish.q,
            instance: wish.instance.clone(),
            reg_id: wish.reg_id,
            call_id: request.call_id.as_str().into(),
            cseq: request.cseq,
            path: request.path.as_deref().map(Into::into),
            user_agent: asker.user_agent.clone(),
            flow: asker.flow,
            nat: asker.policy.nat,
            since: asker.now,
            refreshed: asker.now,
            granted: Duration::from_secs(granted.into()),
            margin: asker.policy.late_margin,
            account: asker.policy.account.clone(),
            reach: None,
        };
        let known = present.iter().find(|old| is_same_contact(old, wish)).and_then(|old| old.reach.clone());
        binding.reach = asker.policy.pinged.then(|| known.unwrap_or_default());
        let mut places: SmallVec<[(usize, Instant); 2]> = SmallVec::new();
        for (at, (old, fate)) in present.iter().zip(&self.fates).enumerate() {
            if fate.is_kept() && is_same_contact(old, wish) {
                places.push((at, old.since));
            }
        }
        // The same URI twice in one request: the later one counts.
        let refreshed = self.fates.iter_mut().filter_map(|fate| match fate {
            Fate::Refreshed(binding) => Some(binding),
            _ => None,
        });
        let twin = self.added.iter_mut().chain(refreshed).find(|b| same_uri(b.uri(), wish.uri()));
        let mut places = places.into_iter();
        if let Some(twin) = twin {
            binding.since = twin.since;
            *twin = Arc::new(binding);
        } else if let Some((at, since)) = places.next() {
            binding.since = since;
            self.decide(at, Fate::Refreshed(Arc::new(binding)));
        } else {
            self.added.push(Arc::new(binding));
        }
        // Contacts that are now one with it.
        for (at, _) in places {
            self.decide(at, Fate::Gone(Gone::Replaced));
        }
    }

    fn decide(&mut self, at: usize, fate: Fate) {
        if let Some(place) = self.fates.get_mut(at) {
            *place = fate;
        }
    }

    fn remove(&mut self, wish: &Wish, present: &[Arc<Binding>]) {
        // The URI first: a phone that moved takes its old address back in the request that brings the new one, and
        // both carry the same instance. Nothing else is looked at, not the Call-ID either: taking back an address
        // that is gone already must not take along the one that came for it.
        if self.mark(present, |old| same_uri(old.uri(), wish.uri())) > 0
            || self.new_uris().any(|uri| same_uri(uri, wish.uri()))
        {
            return;
        }
        if wish.instance.is_some() {
            self.mark(present, |old| is_same_contact(old, wish));
        }
    }

    /// The URIs this request has set so far.
    fn new_uris(&self) -> impl Iterator<Item = &str> {
        let refreshed = self.fates.iter().filter_map(|fate| match fate {
            Fate::Refreshed(binding) => Some(binding.uri()),
            _ => None,
        });
        self.added.iter().map(|binding| binding.uri()).chain(refreshed)
    }

    fn mark(&mut self, present: &[Arc<Binding>], same: impl Fn(&Binding) -> bool) -> usize {
        let mut marked = 0;
        for (old, fate) in present.iter().zip(&mut self.fates) {
            if fate.is_kept() && same(old) {
                *fate = Fate::Gone(Gone::Unregistered);
                marked += 1;
            }
        }
        marked
    }

    /// Contacts that the request does not name and that `multiple-registrations` does not keep.
    fn apply_multiple(
        &mut self,
        policy: &Policy,
        request: &Request,
        wishes: &[Wish],
        present: &[Arc<Binding>],
    ) {
        if self.new_uris().next().is_none() {
            return;
        }
        for (old, fate) in present.iter().zip(&mut self.fates) {
            let other_flow = policy.outbound
                && old.reg_id.is_some()
                && wishes
                    .iter()
                    .any(|w| w.reg_id.is_some() && w.instance.is_some() && w.instance == old.instance);
            let goes = match policy.multiple {
                Multiple::No => !other_flow,
                Multiple::CallId => *old.call_id == *request.call_id && !other_flow,
                Multiple::Contact => false,
            };
            if fate.is_kept() && goes {
                *fate = Fate::Gone(Gone::Replaced);
            }
        }
    }

    /// `max-registrations-per-extension`. As in FreeSWITCH contacts of other Call-IDs count even when this request
    /// would replace them: with a limit of 1 a second device is refused rather than let in for the first.
    fn check_limit(
        &self,
        policy: &Policy,
        request: &Request,
        present: &[Arc<Binding>],
    ) -> Result<(), Refusal> {
        let Some(max) = policy.max_per_extension.filter(|m| *m > 0) else { return Ok(()) };
        let others = present.iter().zip(&self.fates).filter(|(old, fate)| {
            fate.is_kept() && (policy.multiple == Multiple::Contact || *old.call_id != *request.call_id)
        });
        if !self.added.is_empty() && others.count() + self.new_uris().count() > max {
            return Err(Refusal::new(403, "Forbidden"));
        }
        Ok(())
    }
}

fn is_out_of_order(now: Instant, request: &Request, present: &[Arc<Binding>]) -> bool {
    present.iter().any(|old| {
        *old.call_id == *request.call_id
            && request.cseq <= old.cseq
            && now.saturating_duration_since(old.refreshed) < ORDER_WINDOW
    })
}

/// The rule by which a contact is known again: instance and reg-id when both are there (RFC 5626 §6), else the
/// URI, else the instance of a phone that does not use reg-id.
fn is_same_contact(old: &Binding, wish: &Wish) -> bool {
    if wish.instance.is_some() && old.instance == wish.instance {
        return match (old.reg_id, wish.reg_id) {
            (Some(old), Some(new)) => old == new,
            _ => true,
        };
    }
    same_uri(old.uri(), wish.uri())
}

/// RFC 3261 §19.1.4, on the texts.
pub(super) fn same_uri(a: &str, b: &str) -> bool {
    a == b || matches!((a.parse::<Uri>(), b.parse::<Uri>()), (Ok(a), Ok(b)) if a == b)
}
