//! What a session leaves to be remembered when it has nothing more to say by itself, and what is said for it when
//! another fork of its INVITE answers after that.

use std::time::Instant;

use rand::rngs::SmallRng;

use super::dialog::Dialog;
use super::identity::Identity;
use super::session::{Asked, Phase, Session, Side};
use crate::sip::{Flow, Message};
use crate::transaction::{Id, Kept, Remains};

impl Session {
    /// What is left of an ended session once nothing goes out any more by itself: no final response without its ACK, no
    /// request of ours without its answer. None before that; and when nothing at all is left
    /// ([`is_over`](Self::is_over)). The session may then be dropped, and the remains answer for it.
    pub fn remains(&self) -> Option<Remains> {
        if self.phase != Phase::Ended || !self.is_quiet() || !self.tx.is_settled() {
            return None;
        }
        let first = match &self.side {
            Side::Callee(callee) => Some(callee.server),
            Side::Caller(_) | Side::None => None,
        };
        let mut kept = Vec::new();
        let until = self.tx.remains(first, &mut kept)?;
        for (id, what) in &self.asked {
            let Asked::Accepted(cseq) = what else { continue };
            let Some(invite) = self.tx.key(Id::Client(*id)) else { continue };
            for ack in self.acks.iter().filter(|a| a.cseq == *cseq) {
                kept.push(Kept::accepted(invite, ack.tag.as_deref(), &ack.bytes, ack.to.clone()));
            }
            if matches!(&self.side, Side::Caller(c) if c.cseq == *cseq) {
                kept.push(Kept::forking(invite));
            }
        }
        let dialogs = self.peers.iter().map(|p| &p.dialog);
        kept.extend(
            dialogs.map(|d| Kept::dialog(d.call_id(), self.local_tag(), d.remote_tag(), d.remote_cseq())),
        );
        kept.shrink_to_fit();
        Some(Remains { invite: first.and_then(|id| self.tx.key(Id::Server(id))), kept, until })
    }

    /// One more fork of an INVITE answers when its session is gone: a session that has ended and only sends that fork
    /// its ACK and its BYE (RFC 3261 §13.2.2.4), all made from the 2xx. `own` is as the first session had it, but
    /// for a prefix of branches which that one did not use.
    pub fn late_fork(
        now: Instant,
        own: impl Into<Identity>,
        response: &Message,
        flow: Flow,
        rng: SmallRng,
    ) -> Option<Session> {
        let mut session = Session::new(now, own.into(), rng);
        session.answered_late(now, Dialog::of_late_response(response, flow)?, response);
        session.end_silently(now);
        Some(session)
    }
}

/// Why another fork is not wanted.
pub(super) fn elsewhere() -> (String, String) {
    ("Reason".to_owned(), "SIP;cause=200;text=\"Call completed elsewhere\"".to_owned())
}
