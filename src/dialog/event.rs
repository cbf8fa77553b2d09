//! What a session tells its owner, and why a command was not possible.

use bytes::Bytes;

use crate::sip::{Destination, Message};
use crate::transaction::Id;

/// Additional headers of a command: name and value, in order. CR, LF and NUL never reach the wire.
pub type Headers<'a> = &'a [(String, String)];

/// An offer of the peer which the owner answers ([`Session::accept_offer`](super::Session::accept_offer)).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct OfferId(pub(super) u32);

/// A request inside the dialog: the peer's, handed up, or one of ours.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct RequestId(pub(super) u32);

/// What [`Session::poll`](super::Session::poll) returns.
#[derive(Debug)]
pub enum Output {
    /// Hand these bytes to the net.
    Send {
        /// The message.
        bytes: Bytes,
        /// Where it goes.
        to: Destination,
        /// What to name in [`Session::transport_failed`](super::Session::transport_failed) when the net cannot
        /// deliver; none for an ACK, whose loss the peer repairs.
        by: Option<Id>,
    },
    /// Something happened.
    Event(Event),
}

/// How an offer of the peer came, and so how our answer goes back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum How {
    /// By re-INVITE.
    ReInvite,
    /// By UPDATE (RFC 3311).
    Update,
    /// By a reliable provisional response to our INVITE without SDP; answered in its PRACK (RFC 3262 §5).
    Provisional,
    /// By PRACK; answered in its 2xx (RFC 3262 §5).
    Prack,
}

/// What happened. Nothing follows [`Event::Ended`].
#[derive(Debug)]
pub enum Event {
    //------------ Our INVITE --------------------------------------------------------------------------------
    /// A provisional response above 100. `sdp` is the answer or a preview of it.
    Provisional {
        /// The response.
        message: Message,
        /// Its session description, if any.
        sdp: Option<Bytes>,
        /// Which early dialog: 0 is the first one; responses without a To tag count as 0.
        fork: u32,
    },
    /// A 2xx: the session is up. The ACK has been sent unless `needs_answer`.
    Answered {
        /// The response.
        message: Message,
        /// The answer; when the 2xx brought none, the one that came before it (reliably, or as a preview in a
        /// 18x of the same fork). The offer, when `needs_answer`.
        sdp: Option<Bytes>,
        /// The 2xx brought the offer: [`Session::acknowledge`](super::Session::acknowledge) it with our answer.
        needs_answer: bool,
    },
    /// Our INVITE failed (3xx too), or the session refused the peer's INVITE by itself. Followed by `Ended`.
    Failed {
        /// The status: 408 for no answer, 503 for unreachable, 487 for cancelled (also when the CANCEL crossed
        /// a 2xx, which was then acknowledged and ended).
        status: u16,
        /// The response; none when there was none, or it was ours.
        message: Option<Message>,
    },
    /// One of several addresses of our INVITE failed, and the next one is tried.
    AddressFailed {
        /// Which.
        to: Destination,
    },
    //------------ The peer's INVITE -------------------------------------------------------------------------
    /// The peer cancelled its INVITE (487 has been sent). Followed by `Ended`.
    Cancelled {
        /// The CANCEL.
        message: Message,
    },
    /// Our 2xx was acknowledged; `sdp` is the answer when our 2xx carried the offer.
    Acknowledged {
        /// The body of the ACK.
        sdp: Option<Bytes>,
    },
    /// Told once, on the third retransmission of a 2xx: the peer does not reach the Contact we gave, or we not it.
    AckMissing {
        /// How often the 2xx was sent again.
        retransmissions: u32,
        /// The Contact we gave.
        contact: String,
    },
    /// Nobody acknowledged our 2xx within 64·T1; BYE has been sent. Followed by `Ended`.
    AckTimedOut,
    //------------ Offers within the session -----------------------------------------------------------------
    /// The peer offers; answer with `accept_offer` or `refuse_offer` within 64·T1.
    Offer {
        /// What to answer by.
        id: OfferId,
        /// The offer. None: the peer asks us to offer, in our 2xx.
        sdp: Option<Bytes>,
        /// How it came.
        how: How,
        /// The request or response that brought it.
        message: Message,
    },
    /// The peer cancelled its re-INVITE before it was answered; the session goes on as it was.
    OfferWithdrawn {
        /// Which offer.
        id: OfferId,
    },
    /// Our 2xx to a re-INVITE was acknowledged; `sdp` is the answer when our 2xx carried the offer.
    OfferAcknowledged {
        /// The body of the ACK.
        sdp: Option<Bytes>,
    },
    /// Our re-INVITE or UPDATE was accepted, or a refresh brought a description that differs from the last one.
    OfferAnswered {
        /// The answer; the offer, when `needs_answer`.
        sdp: Option<Bytes>,
        /// Our re-INVITE had no SDP and the 2xx brings the offer: `acknowledge` it with our answer.
        needs_answer: bool,
    },
    /// Our re-INVITE or UPDATE was refused for good (glare is retried by the session); the session goes on as it
    /// was.
    OfferRefused {
        /// The status: 408 for no answer.
        status: u16,
    },
    /// An UPDATE without an offer came and was accepted: new target, new display name, or a refresh.
    Updated {
        /// The UPDATE.
        message: Message,
    },
    //------------ Other requests ----------------------------------------------------------------------------
    /// A request inside the dialog (INFO, MESSAGE, NOTIFY, REFER …); answer it with `respond`.
    Request {
        /// What to answer by.
        id: RequestId,
        /// The request.
        message: Message,
    },
    /// The final response to a request of ours.
    Response {
        /// Which request.
        id: RequestId,
        /// The status: 408 for no answer, 503 for unreachable.
        status: u16,
        /// The response, if one came.
        message: Option<Message>,
    },
    //------------ The end -----------------------------------------------------------------------------------
    /// The peer hung up (200 has been sent). Followed by `Ended`.
    Bye {
        /// The BYE.
        message: Message,
    },
    /// Nobody refreshed the session (RFC 4028 §10); BYE has been sent. Followed by `Ended`.
    SessionExpired,
    /// The peer no longer knows the dialog, or does not answer in it (RFC 3261 §12.2.1.2); BYE has been sent.
    /// Followed by `Ended`.
    Lost {
        /// 481 or 408.
        status: u16,
    },
    /// Nothing more will come; [`Session::is_over`](super::Session::is_over) may still wait for transactions.
    Ended,
}

/// Why a command is not possible now.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CommandError {
    /// The session has ended.
    #[error("the session has ended")]
    Ended,
    /// The command is for the side that got the INVITE.
    #[error("only the called side can do this")]
    NotCallee,
    /// The command is for the side that sent the INVITE.
    #[error("only the calling side can do this")]
    NotCaller,
    /// There is no answered session yet.
    #[error("the session is not answered yet")]
    NotAnswered,
    /// The INVITE has its final response.
    #[error("the INVITE has its final response already")]
    Answered,
    /// The INVITE was cancelled.
    #[error("the INVITE is being cancelled")]
    Cancelled,
    /// An offer of ours is out or waits to go out, or an offer of the peer must be answered first.
    #[error("another offer is not answered yet")]
    OfferPending,
    /// The peer's offer wants a description in the answer, or our 2xx must carry the offer.
    #[error("a session description is needed here")]
    SdpNeeded,
    /// There is no such offer or request (any more).
    #[error("there is no such offer or request any more")]
    Unknown,
    /// The status is not one for this command.
    #[error("the status does not fit the command")]
    Status,
    /// The method has a command of its own, or the peer does not allow it.
    #[error("the method cannot be used here")]
    Method,
    /// Too many requests are waiting for answers.
    #[error("too many requests are waiting")]
    TooMany,
    /// Our own message could not be put together, which is a fault of the configuration (a Contact or header value
    /// that does not parse).
    #[error("the message could not be built")]
    Unbuildable,
}
