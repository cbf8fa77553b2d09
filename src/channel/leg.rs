//! A leg: the one owner of its dialog, transactions, variables and media.
//!
//! One task runs one leg. Whatever an application does, it waits only in [`Leg::next`] or [`Leg::next_until`];
//! there the leg does its own SIP work — retransmits, answers re-INVITEs, refreshes the session — and gives
//! the application only what concerns it. Others reach the leg by its [`Mailbox`].
//!
//! The drive contract: `drive()` takes everything out of the session before each wait; a wait ends with a
//! letter, the session's next timer, the leg's own watch, or the application's deadline. After [`Happening::Over`]
//! (the leg is hung up, or sent elsewhere: [`super::course`]) every wait returns `Over` at once, so straight-line code
//! falls through to its end. Dropping a leg (also by a
//! panic) ends its dialog, tells the legs that belong to it, and gives back ports and table entries.

use super::alarm::Alarm;
use super::aside::Aside;
use super::caller::CallerProfile;
use super::cause::Cause;
use super::course::Course;
use super::display::Party;
use super::ending::Ending;
use super::exchange::Exchange;
use super::glimpse::Glimpse;
use super::headers::OtherLeg;
use super::join::Watch;
use super::keys::Keys;
use super::legs::{Entry, Token};
use super::letter::{Letter, News, Order};
use super::mailbox::{Letters, Mailbox, Tie};
use super::media::{LegMedia, View};
use super::moment::Moment;
use super::presence::Lamp;
use super::queue::Queue;
use super::renegotiation::Pending;
use super::states::Told;
use super::times::Times;
use super::transfer::Handover;
use super::unacked::Unacknowledged;
use super::user_agent::UserAgent;
use super::variables::Variables;
use crate::dialog::{self, RequestId};
use crate::media::Stats;
use crate::net::SendError;
use crate::sdp::{self, AgreedMedia};
use crate::sip::Method;
use crate::store::Held;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;
use tokio::sync::oneshot;

/// Which way the call goes, seen from the switch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Direction {
    /// The far end called us: an a-leg.
    Inbound,
    /// We called the far end: a b-leg.
    Outbound,
}

impl Direction {
    /// `inbound` or `outbound`.
    pub fn as_str(self) -> &'static str {
        match self {
            Direction::Inbound => "inbound",
            Direction::Outbound => "outbound",
        }
    }
}

/// How far the far end has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd)]
pub enum Progress {
    /// Nothing but 100.
    None,
    /// 180 went over the wire.
    Ringing,
    /// 183 with a description went over the wire.
    EarlyMedia,
    /// 200 went over the wire.
    Answered,
}

/// What concerns the application that waits.
#[derive(Debug)]
pub enum Happening {
    /// The far end pressed a digit.
    Digit {
        /// 0–9, *, #, A–D.
        digit: char,
        /// How long, in ms.
        duration_ms: u32,
    },
    /// The leg's own far end rings (outbound legs).
    Ringing(u16),
    /// The leg's own far end sends early media (outbound legs).
    EarlyMedia,
    /// The leg's own far end has answered (outbound legs).
    Answered,
    /// Another leg tells of itself.
    News(Token, News),
    /// Somebody orders something the leg does not do by itself.
    Order(Order),
    /// The deadline has come.
    Deadline,
    /// What waits is to wait no longer (`uuid_break`).
    Break,
    /// This leg and the one with that token are joined, as one of them asked.
    Joined(Token),
    /// What came of our REFER: a status as of SIP.
    Referred(u16),
    /// An application waits to be run ([`Leg::next_execution`]).
    Execute,
    /// The program that had the leg has let go of it.
    Released,
    /// The leg is hung up, or sent elsewhere; return.
    Over,
}

/// The leg this one is bridged with.
#[derive(Debug)]
pub(super) struct Partner {
    pub(super) tie: Tie,
    pub(super) uuid: Arc<str>,
    pub(super) view: Arc<View>,
}

impl Partner {
    pub(super) fn mailbox(&self) -> &Mailbox {
        self.tie.mailbox()
    }
}

/// A leg. See the module's own words.
pub struct Leg {
    /// The channel's uuid.
    pub uuid: Arc<str>,
    /// Its variables.
    pub variables: Variables,
    /// Who calls whom.
    pub caller: CallerProfile,
    /// What all legs share.
    pub exchange: Arc<Exchange>,
    /// The profile it belongs to.
    pub agent: Arc<UserAgent>,
    /// Which way the call goes.
    pub direction: Direction,
    /// What it counts for (`limit`).
    pub limits: Held,
    pub(super) entry: Entry,
    pub(super) letters: Letters,
    pub(super) alarm: Alarm,
    pub(super) session: dialog::Session,
    pub(super) media: LegMedia,
    pub(super) progress: Progress,
    pub(super) ending: Option<Ending>,
    pub(super) partner: Option<Partner>,
    /// Who is told of this leg's progress and end: the leg that dialled it, until it is bridged.
    pub(super) owner: Option<Tie>,
    /// Another leg has dialled this one, were it long gone.
    pub(super) has_originator: bool,
    /// Legs this one is dialling.
    pub(super) dialled: Vec<Mailbox>,
    pub(super) happenings: Queue<Happening>,
    pub(super) times: Times,
    pub(super) watch: Watch,
    pub(super) pending: Pending,
    /// We have answered, and the ACK is late.
    pub(super) unacked: Option<Box<Unacknowledged>>,
    /// The other half of a call to ourselves, which our messages go to.
    pub(super) inside: Option<Mailbox>,
    /// The far end has put us on hold.
    pub(super) held: bool,
    /// Where it is sent, away from what it does.
    pub(super) course: Option<Box<Course>>,
    /// It is about to be left by its partner: it has asked for a transfer, or its place is taken.
    pub(super) handover: Option<Box<Handover>>,
    /// Why a request of ours could not be delivered, the last one.
    pub(super) undelivered: Option<Box<SendError>>,
    /// What the last partner's audio stream had counted, and where its description said it listens.
    pub(super) last_partner: Option<Box<(Stats, Arc<View>)>>,
    /// Its call on the board, while anybody watches anybody.
    pub(super) lamp: Option<Box<Lamp>>,
    /// Those who want to know when it is over.
    pub(super) followers: Vec<oneshot::Sender<()>>,
    /// What it told last of its state.
    pub(super) told: Told,
    /// The other leg of the call, as it introduced itself while anybody listened.
    pub(super) other_leg: Option<Box<OtherLeg>>,
    /// What it has seen of other legs, while an expansion reads it.
    pub(super) glimpses: Vec<Glimpse>,
    /// Whom its far end was shown last, in mid-call.
    pub(super) displayed: Option<Box<Party>>,
    /// Our REFER, while what comes of it is open.
    pub(super) referred: Option<RequestId>,
    /// Who is told what comes of where the leg was sent.
    pub(super) transferor: Option<Box<Mailbox>>,
    /// Who waits while the leg talks to somebody else.
    pub(super) aside: Option<Box<Aside>>,
    /// What digits do, while anything is bound to any.
    pub(super) keys: Option<Box<Keys>>,
}

/// What legs do not have in common when they begin.
pub(super) struct Beginning {
    pub(super) direction: Direction,
    pub(super) exchange: Arc<Exchange>,
    pub(super) agent: Arc<UserAgent>,
    pub(super) entry: Entry,
    pub(super) letters: Letters,
    pub(super) caller: CallerProfile,
    pub(super) variables: Variables,
    pub(super) session: dialog::Session,
    pub(super) media: LegMedia,
}

impl Beginning {
    /// The leg, to which nothing has happened yet.
    pub(super) fn leg(self, now: Instant) -> Leg {
        let Beginning { direction, exchange, agent, entry, letters, caller, variables, session, media } =
            self;
        Leg {
            uuid: caller.uuid.clone(),
            limits: Held::new(exchange.stores.limits.clone()),
            variables,
            caller,
            exchange,
            agent,
            direction,
            entry,
            letters,
            alarm: Alarm::default(),
            session,
            media,
            progress: Progress::None,
            ending: None,
            partner: None,
            owner: None,
            has_originator: false,
            dialled: Vec::new(),
            happenings: Queue::default(),
            times: Times::begin(now),
            watch: Watch::default(),
            pending: Pending::default(),
            unacked: None,
            inside: None,
            held: false,
            course: None,
            handover: None,
            undelivered: None,
            last_partner: None,
            lamp: None,
            followers: Vec::new(),
            told: Told::default(),
            other_leg: None,
            glimpses: Vec::new(),
            displayed: None,
            referred: None,
            transferor: None,
            aside: None,
            keys: None,
        }
    }
}

impl Leg {
    /// The leg's token.
    pub fn token(&self) -> Token {
        self.entry.token()
    }

    /// The way to this leg, to be given to others.
    pub fn mailbox(&self) -> &Mailbox {
        self.entry.mailbox()
    }

    /// `sofia/internal/1000@example.com`.
    pub fn name(&self) -> &str {
        &self.caller.chan_name
    }

    /// How far the far end has come.
    pub fn progress(&self) -> Progress {
        self.progress
    }

    /// True when the far end has answered or was answered.
    pub fn is_answered(&self) -> bool {
        self.progress == Progress::Answered
    }

    /// True when the leg is hung up.
    pub fn is_over(&self) -> bool {
        self.ending.is_some()
    }

    /// Why the leg ended, once it has.
    pub fn cause(&self) -> Option<Cause> {
        self.ending.as_ref().map(|e| e.cause)
    }

    /// What was agreed with the far end, m-line by m-line.
    pub fn agreed(&self) -> &Arc<[AgreedMedia]> {
        self.media.agreed()
    }

    /// The far end's description: its offer until it is answered.
    pub fn offered(&self) -> Option<&Arc<crate::sdp::Session>> {
        self.media.remote()
    }

    /// True when the far end's offer has something the profile takes.
    pub fn has_common_codec(&self) -> bool {
        let (prefs, negotiation) = (self.own_prefs(), self.negotiation());
        let rules = self.rules();
        self.media.remote().is_some_and(|offer| sdp::is_answerable(offer, &prefs, negotiation, &rules))
    }

    /// Sends every packet back where it came from, or stops doing so.
    pub fn echo(&self, on: bool) {
        self.media.echo(on);
    }

    /// This leg is calling `mailbox`: it is ended when this leg ends.
    pub fn dials(&mut self, mailbox: Mailbox) {
        self.dialled.push(mailbox);
    }

    /// A leg this one was calling is gone.
    pub fn dialled_ended(&mut self, token: Token) {
        self.dialled.retain(|m| m.token != token);
    }

    /// Notes that the dialplan has just sent the leg to another destination.
    pub fn sent_elsewhere(&mut self) {
        self.times.transferred = Some(Self::now());
    }

    /// What the stream of its audio line counted so far.
    pub fn media_stats(&self) -> Option<Stats> {
        self.media.main_line().map(|(_, stats)| stats)
    }

    /// When things happened to the leg so far.
    pub fn times(&self) -> &Times {
        &self.times
    }

    /// Now, by the runtime's clock (which a simulation may hold).
    pub fn now() -> Instant {
        tokio::time::Instant::now().into_std()
    }

    /// Waits for the next thing that concerns the application.
    pub async fn next(&mut self) -> Happening {
        self.next_until(None).await
    }

    /// The same, but no longer than to `deadline`.
    pub async fn next_until(&mut self, deadline: Option<Instant>) -> Happening {
        loop {
            self.drive();
            if self.course.is_some() {
                return Happening::Over;
            }
            if let Some(happening) = self.happenings.pop() {
                return happening;
            }
            if self.ending.is_some() {
                return Happening::Over;
            }
            let now = Self::now();
            if deadline.is_some_and(|d| d <= now) {
                return Happening::Deadline;
            }
            let wake = [self.next_timeout(), deadline];
            self.wait(wake.into_iter().flatten().min()).await;
        }
    }

    /// Waits for `work` while the leg goes on doing its own SIP; `None` when the leg ended first. What else
    /// happens meanwhile is kept for the next wait.
    pub async fn until<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        tokio::pin!(work);
        loop {
            self.drive();
            if self.is_leaving() {
                return None;
            }
            let wake = self.next_timeout();
            tokio::select! {
                done = &mut work => return Some(done),
                () = self.wait(wake) => {}
            }
        }
    }

    /// When the leg has something to do by itself.
    fn next_timeout(&self) -> Option<Instant> {
        let timeouts = [
            self.session.next_timeout(),
            self.watch.next_timeout(),
            self.handover_timeout(),
            self.answer_due(),
            self.keys.as_ref().and_then(|keys| keys.next_timeout()),
        ];
        timeouts.into_iter().flatten().min()
    }

    /// One wait: a letter, or `wake`. It keeps nothing of its own: dropped half-way, nothing is lost.
    async fn wait(&mut self, wake: Option<Instant>) {
        poll_fn(|cx| self.poll_wait(cx, wake)).await;
    }

    fn poll_wait(&mut self, cx: &mut Context<'_>, wake: Option<Instant>) -> Poll<()> {
        if let Poll::Ready(letter) = self.letters.poll_next(cx) {
            self.open(letter);
            return Poll::Ready(());
        }
        ready!(self.alarm.poll(cx, wake));
        let now = Self::now();
        self.session.timeout(now);
        if self.unacked.is_none() && self.ending.is_none() && self.session.is_ack_late() {
            let source = self.caller.network_addr;
            self.unacked = source.map(|source| Box::new(self.exchange.gate.unacked.enter(source)));
        }
        self.watch(now);
        self.check_handover(now);
        self.check_answer(now);
        self.check_keys(now);
        Poll::Ready(())
    }

    /// Takes everything out of the session: bytes go to the net, events are acted on.
    pub(super) fn drive(&mut self) {
        while let Some(output) = self.session.poll() {
            match output {
                dialog::Output::Send { bytes, to, by } => match &self.inside {
                    Some(other) => self.send_inside(other, bytes),
                    None => self.agent.send(bytes, &to, by, self.entry.mailbox()),
                },
                dialog::Output::Event(event) => self.on_session(event),
            }
        }
        if self.is_nobody() {
            return;
        }
        if self.exchange.presence.is_on() {
            self.present();
        }
        self.tell_state();
    }

    /// Opens one letter.
    fn open(&mut self, letter: Letter) {
        let now = Self::now();
        match letter {
            Letter::Sip { message, flow } => self.session.receive(now, message, flow),
            Letter::Undelivered { by, error } => {
                self.cannot_deliver(by, error);
                self.session.transport_failed(now, by);
            }
            Letter::OverStream { by } => self.session.now_reliable(by),
            Letter::Media { line, event } => self.on_media(line, event),
            Letter::News { from, news } => self.on_news(from, news),
            Letter::Order(order) => self.on_order(now, order),
            Letter::Visit(visit) => visit.call_on(self),
            Letter::Gone(token) => {
                self.gone_aside(token);
                let depends_on = self.partner.as_ref().map(|p| &p.tie).or(self.owner.as_ref());
                if depends_on.is_some_and(|tie| tie.mailbox().token == token) {
                    self.hangup(Cause::NORMAL_TEMPORARY_FAILURE);
                }
            }
        }
    }

    fn on_order(&mut self, now: Instant, order: Order) {
        match order {
            Order::Hangup(cause) => self.hangup(cause),
            Order::Join { partner, uuid, view } => {
                let is_called = self.is_dialled();
                self.owner = None;
                let token = partner.token;
                let tie = Tie::new(self.mailbox(), partner);
                self.variables.set("bridge_uuid", &uuid);
                self.variables.set("signal_bond", &uuid);
                self.partner = Some(Partner { tie, uuid, view: view.clone() });
                self.pay_owed(&view);
                let is_first = self.times.bridged.is_none();
                self.times.bridged.get_or_insert(now);
                self.tell(Happening::Joined(token));
                if self.has_execution() {
                    self.tell(Happening::Execute);
                }
                if is_first && self.direction == Direction::Outbound {
                    self.reaches(Moment::PostOriginate);
                }
                self.reaches(Moment::PreBridge);
                self.tell_joined();
                self.tell_state();
                if is_called && self.is_answered() {
                    self.display_caller();
                }
            }
            Order::Set(variables) => {
                variables.iter().for_each(|(name, value)| self.variables.assign(name, value, true));
            }
            Order::Go { course, variables } => {
                for (name, value) in variables {
                    self.variables.set_wire(name, value);
                }
                self.go(course, Cause::NORMAL_CLEARING);
            }
            Order::Execute(execution) => self.execute_soon(*execution),
            Order::Confirm { to } => self.transferor = Some(Box::new(to)),
            Order::Across(order) => self.pass_across(*order),
            Order::Belong { to } => self.belong(to),
            Order::Show { to } => self.show(&to),
            Order::Appear => {} // `drive` follows every letter
            Order::Meet { partner, uuid, view, role } => self.meet_with(partner, uuid, view, role),
            Order::Replace(replacement) => self.replaced_by(*replacement),
            Order::BowOut { far } => self.bow_out(far),
            Order::Digit { digit, duration_ms } => self.relay_digit(digit, duration_ms),
            Order::Info { content_type, body } => {
                let _ = self.session.request(now, Method::Info, &[], Some((&content_type, body)));
            }
        }
    }

    /// Gives the application something to act on. Bounded: a far end that floods digits at an application
    /// that does not take them loses the oldest.
    pub(super) fn tell(&mut self, happening: Happening) {
        const MOST: usize = 256;
        if self.happenings.len() >= MOST {
            self.happenings.pop();
        }
        self.happenings.push(happening);
    }

    /// Ends the leg's task: hangs up if nobody has, frees media, uuid and what is known of the call, then serves the
    /// dialog until nothing is to be said any more but to what comes again; that is left to [`UserAgent::departed`].
    pub async fn finish(&mut self) {
        self.hangup(Cause::NORMAL_CLEARING);
        self.drive();
        self.close();
        self.partner = None;
        self.owner = None;
        while !self.session.is_over() {
            while let Some(letter) = self.letters.next() {
                self.open(letter);
            }
            self.drive();
            if let Some(remains) = self.session.remains() {
                self.agent.departed.keep(Self::now(), self.token(), remains);
                if self.letters.close_if_empty() {
                    return;
                }
                continue; // something came meanwhile
            }
            let Some(wake) = self.session.next_timeout() else { return };
            self.wait(Some(wake)).await;
            self.drive();
            self.happenings = Queue::default();
        }
    }
}
