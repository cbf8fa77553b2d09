//! Two legs joined: each holds the other's mailbox and view, the media engine relays between their streams.

use super::cause::Cause;
use super::ending::By;
use super::leg::{Direction, Happening, Leg, Partner};
use super::legs::Token;
use super::letter::{Letter, News, Order};
use super::mailbox::{Mailbox, Tie};
use super::media::View;
use super::moment::Moment;
use crate::event::EventName;
use crate::media::verdict::Summary;
use crate::media::{MediaEvent, Side, Stats, Verdict, verdict};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::{debug, info, warn};

/// What a leg watches besides its session.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// When to say whether the media flow.
    verdict: Option<Instant>,
    /// It bows out of a call to ourselves: when to go, should nobody else end it.
    bow: Option<Instant>,
    /// When to say that the leg is still there, and how often.
    heartbeat: Option<(Instant, Duration)>,
}

/// How long after answer one-way audio is reported.
const VERDICT_AFTER: Duration = Duration::from_secs(3);

/// How long the two ends of a call to ourselves may take to meet.
const BOW: Duration = Duration::from_secs(10);

/// Which of two joined legs one is (FreeSWITCH's `CF_BRIDGE_ORIGINATOR`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// It has called the other, or asked it to join; it tells of both.
    Calls,
    /// It was called.
    Called,
}

impl Role {
    /// That of the other leg.
    pub(super) fn other(self) -> Role {
        match self {
            Role::Calls => Role::Called,
            Role::Called => Role::Calls,
        }
    }
}

impl Watch {
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.verdict.into_iter().chain(self.bow).chain(self.heartbeat.map(|(at, _)| at)).min()
    }

    /// The leg bows out from `now` on.
    pub(super) fn bows_out(&mut self, now: Instant) {
        self.bow = Some(now + BOW);
    }

    /// The leg says every so often that it is still there; zero: no longer.
    pub(super) fn beats(&mut self, now: Instant, every: Duration) {
        self.heartbeat = (!every.is_zero()).then(|| (now + every, every));
    }

    /// True for a leg that bows out.
    pub(super) fn is_bowing_out(&self) -> bool {
        self.bow.is_some()
    }

    /// The leg was answered at `now`.
    pub(super) fn answered(&mut self, now: Instant) {
        self.verdict = Some(now + VERDICT_AFTER);
    }
}

impl Leg {
    /// Joins this leg, which has called, with another, whose media are `view`. The other is told.
    pub fn join(&mut self, mailbox: Mailbox, uuid: Arc<str>, view: Arc<View>) {
        self.join_as(Role::Calls, mailbox, uuid, view);
    }

    pub(super) fn join_as(&mut self, role: Role, mailbox: Mailbox, uuid: Arc<str>, view: Arc<View>) {
        self.media.bridge(&view);
        self.introduce(&mailbox, true);
        self.show_to(&mailbox);
        self.variables.set("bridge_uuid", &uuid);
        self.variables.set("signal_bond", &uuid);
        self.dialled.retain(|m| m.token != mailbox.token);
        self.confirm_transfer();
        let tie = Tie::new(self.mailbox(), mailbox);
        self.partner = Some(Partner { tie, uuid: uuid.clone(), view });
        self.times.bridged.get_or_insert_with(Self::now);
        info!("{} {}: bridged with {uuid}", self.uuid, self.name());
        if role == Role::Calls {
            self.tell_bridged(&uuid);
        }
        self.reaches(Moment::PreBridge);
    }

    /// It may have asked its partner to join, and is joined.
    pub(super) fn tell_joined(&mut self) {
        if std::mem::take(&mut self.told.joins)
            && let Some(partner) = self.partner_uuid().cloned()
        {
            self.tell_bridged(&partner);
            self.introduce_party();
        }
    }

    /// An order for the other leg.
    pub(super) fn pass_across(&mut self, order: Order) {
        let posted = self.partner().is_some_and(|partner| partner.post(Letter::Order(order.clone())));
        if !posted {
            warn!("{} {}: not bridged, so there is no other leg for {order:?}", self.uuid, self.name());
        }
    }

    /// Fires SESSION_HEARTBEAT every so often; zero: no longer.
    pub fn beat(&mut self, every: Duration) {
        self.watch.beats(Self::now(), every);
    }

    /// Tells the leg it is joined with. A leg that has not heard its far end yet has nothing to show, and does so later.
    fn show_to(&self, partner: &Mailbox) {
        if let Some(ours) = self.media.view() {
            let order = Order::Join {
                partner: self.mailbox().clone(),
                uuid: self.uuid.clone(),
                view: Arc::new(ours),
            };
            partner.post(Letter::Order(order));
        }
    }

    /// The far end is heard for the first time.
    pub(super) fn show_to_partner(&self) {
        if let Some(partner) = &self.partner {
            self.show_to(partner.mailbox());
        }
    }

    /// Parts from the other leg without ending either; the other is told to go.
    pub fn part(&mut self, cause: Cause) {
        if let Some(partner) = self.partner.take() {
            partner.mailbox().post(Letter::Order(Order::Hangup(cause)));
            self.parted(&partner, None);
        }
    }

    /// The bridge with `partner` is over; `stats` are its last, when it has told them.
    pub(super) fn parted(&mut self, partner: &Partner, stats: Option<&Stats>) {
        let stats = stats.cloned().or_else(|| self.media.stats_of(&partner.view));
        if let Some(stats) = stats {
            self.last_partner = Some(Box::new((stats, partner.view.clone())));
        }
        self.media.unbridge();
        (self.pending.after, self.pending.due) = (None, None);
        self.tell_unbridged(&partner.uuid);
        self.reaches(Moment::PostBridge);
    }

    /// Who hears this leg's news: the leg it is bridged with (early media bridge before the answer), else the one that
    /// dialled it.
    pub(super) fn other(&self) -> Option<&Mailbox> {
        self.partner.as_ref().map(|p| &p.tie).or(self.owner.as_ref()).map(Tie::mailbox)
    }

    /// News of another leg.
    pub(super) fn on_news(&mut self, from: Token, news: News) {
        let Some(news) = self.news_aside(from, news) else { return };
        if let News::Ended(ended) = &news
            && let Some(phrase) = ended.phrase()
        {
            self.variables.set_wire("sip_hangup_phrase", phrase);
        }
        if let News::Transferred(status) = news {
            return self.on_transferred(status);
        }
        if let News::Replaced(status) = news {
            self.on_replaced(status);
            return self.tell(Happening::News(from, news));
        }
        if self.partner.as_ref().is_none_or(|p| p.mailbox().token != from) {
            self.tell(Happening::News(from, news));
            return;
        }
        match news {
            News::Renegotiated(view) => self.see(view),
            News::Answered(view) => {
                self.see(view.clone());
                self.tell(Happening::News(from, News::Answered(view)));
            }
            News::Proposed(proposal) => self.on_proposed(&proposal),
            News::Settled(view) => self.on_settled(view),
            News::Ended(ended) => {
                if let Some(partner) = self.partner.take() {
                    self.parted(&partner, ended.stats.as_deref());
                    self.on_settled(Err(488)); // nobody is there to ask any more
                }
                self.tell(Happening::News(from, News::Ended(ended)));
            }
            News::Left(cause) => {
                if let Some(partner) = self.partner.take() {
                    self.parted(&partner, None);
                    self.on_settled(Err(488));
                }
                match self.has_handed_over() {
                    Some(cause) => self.hangup(cause),
                    None => self.tell(Happening::News(from, News::Left(cause))),
                }
            }
            other => self.tell(Happening::News(from, other)),
        }
    }

    /// The partner's media are now as `view` has them.
    fn see(&mut self, view: Arc<View>) {
        self.media.bridge(&view);
        if let Some(partner) = &mut self.partner {
            partner.view = view.clone();
        }
        self.see_way(&view);
    }

    /// One of our streams noticed something.
    pub(super) fn on_media(&mut self, line: usize, event: MediaEvent) {
        match event {
            MediaEvent::Dtmf { digit, duration_ms } => self.on_digit(digit, duration_ms, "RTP"),
            MediaEvent::Silent { quiet, .. } => {
                warn!(
                    "{} {}: no packet for {} s; the far end is gone, ending the call",
                    self.uuid,
                    self.name(),
                    quiet.as_secs()
                );
                self.hangup_by(By::Timer, Cause::MEDIA_TIMEOUT);
            }
            other => debug!("{} {}: m-line {line}: {other:?}", self.uuid, self.name()),
        }
    }

    /// The leg's own watch, at each wake-up.
    pub(super) fn watch(&mut self, now: Instant) {
        if self.watch.verdict.is_some_and(|at| at <= now) {
            self.watch.verdict = None;
            self.say_verdict();
            self.offer_to_bow_out();
        }
        if let Some((_, every)) = self.watch.heartbeat.filter(|(at, _)| *at <= now) {
            self.watch.heartbeat = Some((now + every, every));
            self.fire(EventName::SessionHeartbeat, Vec::new);
        }
        if self.watch.bow.is_some_and(|at| at <= now) {
            self.watch.bow = None;
            self.hangup(Cause::NORMAL_CLEARING);
        }
    }

    /// Three seconds after answer: one line and one event when sound does not go both ways.
    fn say_verdict(&self) {
        if self.partner.is_none() || self.direction != Direction::Inbound {
            return;
        }
        let Some(verdict) = self.verdict() else { return };
        if verdict.summary() != Summary::Flowing {
            warn!("{} {}: three seconds after answer: {verdict}", self.uuid, self.name());
            self.fire(EventName::Custom("tandem::media_verdict"), || {
                vec![("Verdict".into(), verdict.to_string())]
            });
        }
    }

    /// How the media of this call go, or went: this leg's audio stream and that of the other side.
    pub fn verdict(&self) -> Option<Verdict> {
        let (media, stats) = self.media.main_line()?;
        let (other, view) = match &self.partner {
            Some(partner) => (self.media.stats_of(&partner.view)?, partner.view.clone()),
            None => {
                let (stats, view) = &**self.last_partner.as_ref()?;
                (stats.clone(), view.clone())
            }
        };
        let theirs = view.main_line()?;
        let ours = Side {
            name: &self.caller.caller_id_number,
            stats: &stats,
            port: media.local_port,
            sdp: media.remote_rtp,
            sends: media.direction.receives(),
        };
        let others = Side {
            name: &self.caller.destination_number,
            stats: &other,
            port: theirs.local_port,
            sdp: theirs.remote_rtp,
            sends: theirs.direction.receives(),
        };
        Some(match self.direction {
            Direction::Inbound => verdict(ours, others),
            Direction::Outbound => {
                verdict(Side { name: ours.name, ..others }, Side { name: others.name, ..ours })
            }
        })
    }
}
