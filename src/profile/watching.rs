//! One subscription at work: a task that drives the machine, and writes its documents of what is true when they go out.

use super::start::{Profile, wait_until};
use super::subscribe::Watched;
use crate::channel::legs::Entry;
use crate::channel::{Exchange, Leg, Letter, Letters, UserAgent};
use crate::dialog::{Notice, Subscription};
use crate::presence::{Manners, Package, View, Watch};
use bytes::Bytes;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tracing::{debug, info};

/// How long the last NOTIFY may take when the profile closes.
const LEAVE: Duration = Duration::from_secs(2);

/// Those who watch users by one profile, and requests of its own that are under way: each has a share of this.
#[derive(Default)]
pub(super) struct Audience {
    /// They are to go.
    closed: AtomicBool,
    /// Rings then.
    bell: Notify,
}

impl Audience {
    /// Whether they are to go.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Waits until they are to go.
    pub(super) async fn left(&self) {
        let rung = self.bell.notified();
        if !self.closed.load(Ordering::Acquire) {
            rung.await;
        }
    }
}

impl Profile {
    /// Ends every subscription of this profile, and waits for that, but no longer than `limit`.
    pub(super) async fn end_watches(&self, limit: Duration) {
        self.audience.closed.store(true, Ordering::Release);
        self.audience.bell.notify_waiters();
        self.shared.exchange.presence.touch_all();
        wait_until(Leg::now() + limit, || Arc::strong_count(&self.audience) == 1).await;
    }
}

/// One subscription.
pub(super) struct Watching {
    subscription: Box<Subscription>,
    package: Package,
    user: Box<str>,
    domain: Arc<str>,
    /// It is no user, but a place where calls wait.
    place: bool,
    watch: Watch,
    agent: Arc<UserAgent>,
    exchange: Arc<Exchange>,
    audience: Arc<Audience>,
    entry: Entry,
    /// The number of its next dialog-info (RFC 4235 §4.3).
    version: u32,
    /// The calls of the last one, and whether the user had made them.
    told: Vec<(Arc<str>, bool)>,
    /// What the last document said, as a hash.
    said: u64,
    /// The profile closes: no later than then.
    leaves: Option<Instant>,
}

impl Watching {
    /// A subscription whose SUBSCRIBE has been answered.
    pub(super) fn new(
        subscription: Subscription,
        package: Package,
        watched: Watched,
        watch: Watch,
        profile: &Profile,
        entry: Entry,
    ) -> Watching {
        Watching {
            subscription: Box::new(subscription),
            package,
            user: watched.id,
            domain: watched.domain,
            place: watched.place,
            watch,
            agent: profile.agent.clone(),
            exchange: profile.shared.exchange.clone(),
            audience: profile.audience.clone(),
            entry,
            version: 0,
            told: Vec::new(),
            said: 0,
            leaves: None,
        }
    }

    /// Serves it until it is over.
    pub(super) async fn serve(mut self, mut letters: Letters) {
        loop {
            self.drive();
            let now = Leg::now();
            if self.subscription.is_over() || self.leaves.is_some_and(|at| at <= now) {
                debug!("{}: a subscription to {} is over", self.agent.name, self.user);
                return;
            }
            let Some(wake) = self.subscription.next_timeout().into_iter().chain(self.leaves).min() else {
                return;
            };
            tokio::select! {
                letter = letters.recv() => self.open(letter),
                () = self.watch.changed() => self.look(),
                () = tokio::time::sleep_until(wake.into()) => self.subscription.timeout(Leg::now()),
            }
        }
    }

    /// Takes everything out of the machine.
    fn drive(&mut self) {
        while let Some(notice) = self.subscription.poll() {
            match notice {
                Notice::Send { bytes, to, by } => self.agent.send(bytes, &to, by, self.entry.mailbox()),
                Notice::Document => {
                    let body = self.document();
                    self.subscription.notify(Leg::now(), self.package.content_type(), body);
                }
            }
        }
    }

    fn open(&mut self, letter: Letter) {
        let now = Leg::now();
        match letter {
            Letter::Sip { message, flow } => self.subscription.receive(now, message, flow),
            Letter::Undelivered { by, .. } => self.subscription.transport_failed(now, by),
            Letter::OverStream { by } => self.subscription.now_reliable(by),
            // What is for legs.
            Letter::Media { .. }
            | Letter::News { .. }
            | Letter::Order(_)
            | Letter::Gone(_)
            | Letter::Visit(_) => {}
        }
    }

    /// Something may have changed.
    fn look(&mut self) {
        let now = Leg::now();
        if self.audience.closed.load(Ordering::Acquire) {
            self.leaves.get_or_insert(now + LEAVE);
            return self.subscription.end(now, "deactivated");
        }
        if !self.place && self.exchange.directory.user(&self.user, &self.domain).is_none() {
            info!("{}: {} is no user any more: nobody watches it", self.agent.name, self.user);
            return self.subscription.end(now, "noresource");
        }
        let same = self.view(|view| self.hash(view)) == self.said;
        if !same {
            self.subscription.changed(now);
        }
    }

    /// What is true of the user now.
    fn view<T>(&self, read: impl FnOnce(&View<'_>) -> T) -> T {
        let presence = &self.agent.conf.presence;
        let board = &self.exchange.presence;
        let calls = board.calls(self.watch.address());
        let (said, messages) = match self.package {
            Package::Dialog => (None, None),
            Package::Presence => (board.said(self.watch.address()), None),
            Package::MessageSummary => (None, board.messages(self.watch.address())),
        };
        let registered =
            self.place || !self.exchange.registrar.lookup(Leg::now(), &self.user, &self.domain).is_empty();
        read(&View {
            user: &self.user,
            domain: &self.domain,
            registered,
            calls: &calls,
            said: said.as_deref(),
            messages: messages.as_deref(),
            manners: Manners {
                held: presence.hold,
                no_early: presence.disable_early,
                private: presence.privacy,
            },
        })
    }

    /// What a document says, its number apart.
    fn hash(&self, view: &View<'_>) -> u64 {
        let mut hasher = DefaultHasher::new();
        match self.package {
            Package::Dialog => view.dialog_info(0, &[]),
            Package::Presence => view.pidf(),
            Package::MessageSummary => view.message_summary(),
        }
        .hash(&mut hasher);
        hasher.finish()
    }

    /// The document that goes out now.
    fn document(&mut self) -> Bytes {
        let (version, package) = (self.version, self.package);
        let (text, told, said) = self.view(|view| {
            let text = match package {
                Package::Dialog => view.dialog_info(version, &self.told),
                Package::Presence => view.pidf(),
                Package::MessageSummary => view.message_summary(),
            };
            let told = if package == Package::Dialog { view.ids() } else { Vec::new() };
            (text, told, self.hash(view))
        });
        self.version = version.wrapping_add(1);
        self.told = told;
        self.said = said;
        text.into()
    }
}
