//! What a leg may find in its mailbox.
//!
//! Everything that others want of a leg is a letter: a peer's message, what its media noticed, what the other
//! leg of the call has to say, what a command orders. That makes bridge, transfer, intercept and `uuid_*` the
//! same thing.

use super::cause::Cause;
use super::course::{Course, Route};
use super::join::Role;
use super::keys::Execution;
use super::leg::Leg;
use super::legs::Token;
use super::mailbox::Mailbox;
use super::media::{View, Way};
use crate::media::{MediaEvent, Stats};
use crate::net::SendError;
use crate::sip::{Flow, Message};
use crate::transaction::Id;
use bytes::Bytes;
use std::fmt;
use std::sync::Arc;

/// One letter.
#[derive(Debug)]
pub enum Letter {
    /// A message of the peer.
    Sip {
        /// The message.
        message: Message,
        /// Where it came from.
        flow: Flow,
    },
    /// What we sent could not be delivered.
    Undelivered {
        /// Which transaction sent it.
        by: Id,
        /// Why not.
        error: SendError,
    },
    /// What we meant to send by UDP went over a stream, being large.
    OverStream {
        /// Which transaction sent it.
        by: Id,
    },
    /// One of the leg's streams noticed something.
    Media {
        /// Which m-line.
        line: usize,
        /// What.
        event: MediaEvent,
    },
    /// Another leg tells of itself.
    News {
        /// Which.
        from: Token,
        /// What.
        news: News,
    },
    /// Somebody wants something of this leg.
    Order(Order),
    /// A leg this one is tied to is gone without a word.
    Gone(Token),
    /// Somebody has something done by the leg itself.
    Visit(Visit),
}

/// Work that the leg's own task does for somebody: reading or changing what only the leg can. It may not take its time.
pub struct Visit(Box<dyn FnOnce(&mut Leg) + Send>);

impl Visit {
    /// That work.
    pub fn new(work: impl FnOnce(&mut Leg) + Send + 'static) -> Visit {
        Visit(Box::new(work))
    }

    /// Does it.
    pub(super) fn call_on(self, leg: &mut Leg) {
        (self.0)(leg);
    }
}

impl fmt::Debug for Visit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Visit")
    }
}

/// What a leg tells the leg it belongs to (the one that dialled it, or the one it is bridged with).
#[derive(Clone, Debug)]
pub enum News {
    /// The far end rings.
    Ringing {
        /// 180, 181 or 182.
        status: u16,
    },
    /// The far end sends media before it answers.
    EarlyMedia(Arc<View>),
    /// The far end has answered.
    Answered(Arc<View>),
    /// The leg is over.
    Ended(Arc<Ended>),
    /// The leg has left the bridge for something else: why, should the other have nothing else to do.
    Left(Cause),
    /// How it stands.
    Shown(Box<Shown>),
    /// What came of a [`Order::Replace`]: a status as of SIP.
    Replaced(u16),
    /// What came of a transfer whose outcome is waited for ([`Order::Confirm`]): a status as of SIP.
    Transferred(u16),
    /// The leg's media were negotiated anew.
    Renegotiated(Arc<View>),
    /// The far end asks for codecs the call does not use now: can the other side do them?
    Proposed(Arc<Proposal>),
    /// What came of a proposal: the other side's media, or the status to refuse with.
    Settled(Result<Arc<View>, u16>),
}

/// A change of codecs asked for by one side of a bridge.
#[derive(Debug)]
pub struct Proposal {
    /// The asking leg's media, its peer's new offer in it.
    pub view: View,
    /// Which way the media are to go.
    pub way: Way,
    /// Its peer's offer as it came, when it is to be passed on; without one the other side's is asked to offer.
    pub offer: Option<Bytes>,
}

/// How a leg ended, for the leg it belongs to.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The leg's uuid.
    pub uuid: Arc<str>,
    /// Why.
    pub cause: Cause,
    /// The final status and reason phrase of the far end, when it refused.
    pub sip: Option<(u16, String)>,
    /// What ended it: `recv_bye`, `send_cancel`, `recv_refuse`.
    pub disposition: &'static str,
    /// Where a 3xx pointed, in order of preference.
    pub redirects: Vec<String>,
    /// It had been answered.
    pub answered: bool,
    /// What its audio stream had counted.
    pub stats: Option<Box<Stats>>,
}

impl Ended {
    /// The words its far end ended it with, our own answer's where that asked for the end (`sip_hangup_phrase`).
    pub fn phrase(&self) -> Option<&str> {
        match self.disposition {
            "recv_bye" => Some("OK"),
            "recv_cancel" => Some("Request Terminated"),
            _ => self.sip.as_ref().map(|(_, phrase)| phrase.as_str()),
        }
    }
}

/// What somebody wants of a leg.
#[derive(Clone, Debug)]
pub enum Order {
    /// End the call.
    Hangup(Cause),
    /// You are bridged with that leg now.
    Join {
        /// The partner's mailbox.
        partner: Mailbox,
        /// The partner's uuid.
        uuid: Arc<str>,
        /// The partner's media.
        view: Arc<View>,
    },
    /// Give yourself these variables; an empty value takes one away.
    Set(Box<[(String, String)]>),
    /// Leave what you do for this.
    Go {
        /// Where to.
        course: Course,
        /// Variables to set before; they come from the wire.
        variables: Vec<(String, String)>,
    },
    /// That leg is calling you now: tell it how far you are.
    Belong {
        /// Which.
        to: Mailbox,
    },
    /// Tell that leg what comes of where you are sent next ([`News::Transferred`]).
    Confirm {
        /// The transferor.
        to: Mailbox,
    },
    /// Run an application in the middle of what you do.
    Execute(Box<Execution>),
    /// Pass this on to the leg you are bridged with.
    Across(Box<Order>),
    /// Tell that leg what your media are ([`News::Shown`]).
    Show {
        /// Who asks.
        to: Mailbox,
    },
    /// Somebody watches users now: show your call on the board.
    Appear,
    /// Leave what you do, and join with that leg.
    Meet {
        /// The partner's mailbox.
        partner: Mailbox,
        /// The partner's uuid.
        uuid: Arc<str>,
        /// The partner's media.
        view: Arc<View>,
        /// Which of the two you are.
        role: Role,
    },
    /// Somebody else takes the place of the leg whose dialog this is, if it is yours.
    Replace(Box<Replacement>),
    /// Your other half is bridged with that leg and needed no more: send your partner there.
    BowOut {
        /// Which.
        far: Mailbox,
    },
    /// Send a digit to your far end.
    Digit {
        /// 0–9, *, #, A–D.
        digit: char,
        /// How long, in ms.
        duration_ms: u32,
    },
    /// Pass an INFO body on to your far end.
    Info {
        /// Its Content-Type.
        content_type: String,
        /// Its body.
        body: bytes::Bytes,
    },
}

/// A leg's place is to be taken (RFC 3891).
#[derive(Clone, Debug)]
pub struct Replacement {
    /// Whose dialog it must be, as its far end writes it: Call-ID.
    pub call_id: String,
    /// The tag of the leg asked.
    pub local_tag: String,
    /// The tag of its far end.
    pub remote_tag: String,
    /// Only while it is not answered.
    pub early_only: bool,
    /// Who takes the place.
    pub by: Successor,
    /// Who is told what came of it ([`News::Replaced`]).
    pub reply: Mailbox,
}

/// Who takes the place of a leg.
#[derive(Clone, Debug)]
pub enum Successor {
    /// This leg: joined with the partner of the one it follows or, when that has none, sent where that one called.
    Leg(Mailbox),
    /// Nobody: the partner is sent to this extension.
    Extension(Route),
}

/// How a leg stands, for one that wants to join it.
#[derive(Clone, Debug)]
pub struct Shown {
    /// Its media, if it has any.
    pub view: Option<Arc<View>>,
    /// The leg it is bridged with.
    pub partner: Option<Mailbox>,
    /// It is answered.
    pub answered: bool,
}
