//! A leg sent away from what it does: to an extension, or to be joined with another leg.
//!
//! Whoever wants that posts an [`Order::Go`]. The leg leaves its bridge (its partner is told, and goes on by itself) and
//! ends what it was dialling; from then on every wait of the application it runs returns
//! [`Happening::Over`](super::Happening::Over), so that straight-line code falls through to its end, where the call takes the
//! course up ([`Leg::take_course`]).
//!
//! Two legs meet in three letters: the first asks the second for its media ([`Order::Show`], [`News::Shown`]), answers its
//! own far end if that is still to be done, and shows its own ([`Order::Meet`]); the second leaves what it does and joins
//! (`switch_ivr_uuid_bridge`).

use super::cause::Cause;
use super::ending::By;
use super::join::Role;
use super::leg::{Direction, Leg, Progress};
use super::letter::{Ended, Letter, News, Order, Shown};
use super::mailbox::{Mailbox, Tie};
use super::media::View;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::{info, warn};

/// How long early media may last without an answer (RFC 3261 Timer C: more than three minutes).
const UNANSWERED: Duration = Duration::from_secs(181);

/// Where a leg is sent.
#[derive(Clone, Debug)]
pub enum Course {
    /// To an extension of the dialplan.
    Extension(Route),
    /// To run one application, and to end.
    Application {
        /// Its name.
        name: Box<str>,
        /// Its arguments, not expanded yet.
        arguments: Box<str>,
    },
    /// To be joined with this leg, whatever that one is doing.
    Join(Mailbox),
    /// To run what keys have ordered, in the bridge it is in, and stay there.
    Perform,
    /// To be joined with this leg, which was put aside for a talk with this one (`att_xfer`).
    Succeed(Mailbox),
    /// To call somebody at another switch who gives it the place of another call there.
    Outside(Box<Outside>),
    /// To wait for another leg, which is about to join with this one.
    Wait,
    /// It has been joined with another leg: to stay with that until it leaves.
    Joined,
    /// To leave those it is calling to that leg, and end.
    HandOver(Mailbox),
    /// To wait for these, whom another leg has called, as if it had.
    Adopt(Vec<Dialled>),
}

/// A call with `Replaces` to another switch. All of it but the profile comes from the wire.
#[derive(Clone, Debug)]
pub struct Outside {
    /// The profile that calls.
    pub profile: String,
    /// Whom: `sip:user@host:port`.
    pub uri: String,
    /// The dialog there.
    pub replaces: String,
    /// Who says so.
    pub referred_by: Option<String>,
}

/// A leg that is being dialled.
#[derive(Clone, Debug)]
pub struct Dialled {
    /// Its mailbox.
    pub mailbox: Mailbox,
    /// Its uuid.
    pub uuid: Arc<str>,
    /// The number it was dialled by.
    pub number: Arc<str>,
}

/// An extension.
#[derive(Clone, Debug, Default)]
pub struct Route {
    /// The number.
    pub destination: String,
    /// The dialplan; the leg's own without it.
    pub dialplan: Option<String>,
    /// The context; the leg's own without it.
    pub context: Option<String>,
    /// The number came from the wire: it is no dialplan to be executed (`inline`).
    pub wire: bool,
}

impl Leg {
    /// True when the application that runs is to return: the leg is hung up, or sent elsewhere.
    pub fn is_leaving(&self) -> bool {
        self.is_over() || self.course.is_some()
    }

    /// Where the leg is sent, once.
    pub fn take_course(&mut self) -> Option<Course> {
        self.course.take().map(|course| *course)
    }

    /// Whether another leg has joined with this one; then it stays where it is, and what it runs goes on.
    pub fn takes_joined(&mut self) -> bool {
        let joined = matches!(self.course.as_deref(), Some(Course::Joined));
        if joined {
            self.course = None;
        }
        joined && !self.is_over()
    }

    /// To whom those are left that this leg is calling.
    pub fn heir(&self) -> Option<&Mailbox> {
        match self.course.as_deref() {
            Some(Course::HandOver(heir)) => Some(heir),
            _ => None,
        }
    }

    /// This leg is calling `dialled` from now on, whoever did before; it tells how far it is.
    pub fn adopt(&mut self, dialled: &Mailbox) -> bool {
        self.dials(dialled.clone());
        dialled.post(Letter::Order(Order::Belong { to: self.mailbox().clone() }))
    }

    /// This leg is being dialled by another one now, which does not know how far it is.
    pub(super) fn belong(&mut self, to: Mailbox) {
        if let Some(ending) = &self.ending {
            let ended = Ended {
                uuid: self.uuid.clone(),
                cause: ending.cause,
                sip: ending.sip.clone(),
                disposition: ending.disposition,
                redirects: ending.redirects.clone(),
                answered: self.is_answered(),
                stats: None,
            };
            to.post(Letter::News { from: self.token(), news: News::Ended(Arc::new(ended)) });
            return;
        }
        if self.direction == Direction::Inbound || self.owner.is_none() {
            return;
        }
        // Tied first: what is told from now on is told to that leg.
        self.owner = Some(Tie::new(self.mailbox(), to.clone()));
        let news = match (self.progress, self.media.view().map(Arc::new)) {
            (Progress::Answered, Some(view)) => Some(News::Answered(view)),
            (Progress::EarlyMedia, Some(view)) => Some(News::EarlyMedia(view)),
            (Progress::Ringing, _) => Some(News::Ringing { status: 180 }),
            _ => None,
        };
        if let Some(news) = news {
            to.post(Letter::News { from: self.token(), news });
        }
    }

    /// Until when a far end that has not answered is borne, once nobody rings it any more: in early media, or sent
    /// elsewhere from there. (The caller's own limits ended with its originate.)
    pub(super) fn answer_due(&self) -> Option<Instant> {
        let waits = self.direction == Direction::Outbound && !self.is_answered() && !self.is_over();
        self.times.bridged.filter(|_| waits && self.owner.is_none()).map(|at| at + UNANSWERED)
    }

    /// The leg was not answered in all that time.
    pub(super) fn check_answer(&mut self, now: Instant) {
        if self.answer_due().is_some_and(|due| due <= now) {
            info!("{} {}: not answered in {} s of early media", self.uuid, self.name(), UNANSWERED.as_secs());
            self.hangup_by(By::Timer, Cause::NO_ANSWER);
        }
    }

    /// Leaves what it does for `course`. What a leg that is not answered yet was dialled for is not its own to leave.
    pub fn go(&mut self, course: Course, because: Cause) {
        if self.is_over() {
            return;
        }
        if self.direction == Direction::Outbound && self.owner.is_some() {
            warn!("{} {}: still being dialled, so it cannot be sent elsewhere", self.uuid, self.name());
            return;
        }
        self.told.routed = matches!(course, Course::Extension(_));
        self.leave(because);
        self.course = Some(Box::new(course));
    }

    /// Leaves its bridge, and ends what it dials.
    fn leave(&mut self, because: Cause) {
        self.leave_aside(because, false);
        if let Some(partner) = self.partner.take() {
            partner.mailbox().post(Letter::News { from: self.token(), news: News::Left(because) });
            self.parted(&partner, None);
        }
        for mailbox in self.dialled.drain(..) {
            mailbox.post(Letter::Order(Order::Hangup(Cause::LOSE_RACE)));
        }
    }

    /// The leg it was bridged with is gone, and so a leg with nothing else to do is hung up, unless its variables say
    /// `transfer_after_bridge` or `park_after_bridge`.
    pub fn left_alone(&mut self, cause: Cause) {
        if self.watch.is_bowing_out() {
            return;
        }
        let inline = |destination: &str| Route {
            destination: destination.to_owned(),
            dialplan: Some("inline".to_owned()),
            ..Route::default()
        };
        if self.is_answered() && self.variables.is_true("park_after_bridge") {
            self.course = Some(Box::new(Course::Extension(inline("park"))));
        } else if let Some(target) = self.variables.get("transfer_after_bridge").map(str::to_owned) {
            self.variables.unset("transfer_after_bridge");
            self.course = Some(Box::new(Course::Extension(Route::after_bridge(&target))));
        } else {
            self.hangup(cause);
        }
    }

    /// Asks `peer` how it stands; the answer comes as [`News::Shown`]. False when it is gone.
    pub fn ask(&self, peer: &Mailbox) -> bool {
        peer.post(Letter::Order(Order::Show { to: self.mailbox().clone() }))
    }

    /// Shows this leg's media to `peer`, which joins; then comes [`Happening::Joined`](super::Happening::Joined). `role`: which
    /// of the two this one is. False when the other is gone, or there is nothing to show.
    pub fn meet(&mut self, peer: &Mailbox, role: Role) -> bool {
        let Some(view) = self.media.view().map(Arc::new) else { return false };
        self.introduce(peer, true);
        self.told.joins = role == Role::Calls;
        peer.post(Letter::Order(Order::Meet {
            partner: self.mailbox().clone(),
            uuid: self.uuid.clone(),
            view,
            role: role.other(),
        }))
    }

    /// Somebody wants to know how this leg stands.
    pub(super) fn show(&self, to: &Mailbox) {
        let shown = Shown {
            view: self.media.view().filter(|_| !self.is_over()).map(Arc::new),
            partner: self.partner().cloned(),
            answered: self.is_answered(),
        };
        to.post(Letter::News { from: self.token(), news: News::Shown(Box::new(shown)) });
    }

    /// Another leg wants to be joined with this one.
    pub(super) fn meet_with(&mut self, partner: Mailbox, uuid: Arc<str>, view: Arc<View>, role: Role) {
        if self.is_over() {
            return;
        }
        self.leave(Cause::PICKED_OFF);
        self.owner = None;
        // A reason for a failure is logged there, and the leg is hung up.
        if self.answer(Some(&view)).is_err() {
            return;
        }
        self.course = Some(Box::new(Course::Joined));
        self.join_as(role, partner, uuid, view);
        self.introduce_party();
        self.align();
    }

    /// The leg it is bridged with.
    pub fn partner(&self) -> Option<&Mailbox> {
        self.partner.as_ref().map(|partner| partner.mailbox())
    }

    /// The uuid of the leg it is bridged with.
    pub fn partner_uuid(&self) -> Option<&Arc<str>> {
        self.partner.as_ref().map(|partner| &partner.uuid)
    }

    /// The media of the leg it is bridged with.
    pub fn partner_view(&self) -> Option<&Arc<View>> {
        self.partner.as_ref().map(|partner| &partner.view)
    }
}

impl Route {
    /// An extension in the leg's own dialplan and context.
    pub fn to(destination: impl Into<String>) -> Route {
        Route { destination: destination.into(), ..Route::default() }
    }

    /// `transfer_after_bridge`: `number[:dialplan[:context]]`.
    pub fn after_bridge(text: &str) -> Route {
        let mut parts = text.splitn(3, ':').map(str::to_owned);
        let destination =
            parts.next().filter(|number| !number.is_empty()).unwrap_or_else(|| "service".to_owned());
        let mut more = || parts.next().filter(|part| !part.is_empty());
        Route { destination, dialplan: more(), context: more(), wire: false }
    }
}
