//! Answers to requests outside dialogs.
//!
//! An answer without transaction is the same for every retransmission (its tag is a hash of the request), costs no
//! memory and is never retransmitted by us: refusals and challenges go out this way, so that a stranger's request
//! costs a stranger's due. What has been done (a registration) is kept in a transaction, for doing it twice
//! would not be the same.

use super::start::Profile;
use crate::channel::Leg;
use crate::sip::{Builder, Flow, Message, Method, Name};
use crate::transaction::{Output, ServerId};
use bytes::Bytes;
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

static TAGS: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// The To tag of an answer without transaction: the same whenever the request comes again. It has no token's shape.
fn stateless_tag(request: &Message) -> String {
    let branch = request.via().branch().unwrap_or("");
    format!("s{:016x}", TAGS.hash_one((request.call_id(), request.from_tag(), branch, request.cseq().number)))
}

impl Profile {
    /// Answers without a transaction. An ACK is never answered.
    pub(super) fn reply(&self, request: &Message, flow: &Flow, status: u16, headers: &[(&str, String)]) {
        if *request.method() != Method::Ack {
            let bytes = self.answer(request, flow, status, None, headers);
            self.send(bytes, *flow);
        }
    }

    /// Builds an answer with what every answer of this profile has.
    pub(super) fn answer(
        &self,
        request: &Message,
        flow: &Flow,
        status: u16,
        phrase: Option<&str>,
        headers: &[(&str, String)],
    ) -> Bytes {
        let phrase = phrase.unwrap_or_else(|| crate::dialog::reason_phrase(status));
        let mut builder = Builder::response(request, flow, status, phrase);
        if request.to_tag().is_none() {
            builder = builder.to_tag(&stateless_tag(request));
        }
        if let Some(agent) = self.agent.user_agent() {
            builder = builder.header(Name::UserAgent, agent);
        }
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("Allow")) {
            builder = builder.header(Name::Allow, self.agent.allow());
        }
        builder = builder.header(Name::Supported, self.agent.supported());
        for (name, value) in headers {
            builder = builder.header(*name, value);
        }
        builder.finish()
    }

    /// Begins a transaction for a request that will be done. `None`: it is a retransmission, answered already.
    pub(super) fn begin(&self, request: &Message, flow: Flow) -> Option<ServerId> {
        let now = Leg::now();
        let mut transactions = self.lock();
        transactions.receive(now, request.clone(), flow);
        let mut begun = None;
        while let Some(output) = transactions.poll() {
            match output {
                Output::Send { bytes, to, .. } => self.send_to(bytes, &to),
                Output::Request { id, .. } => begun = Some(id),
                _ => {}
            }
        }
        drop(transactions);
        self.nearer.notify_one();
        begun
    }

    /// Gives the final answer of a transaction.
    pub(super) fn finish(&self, id: ServerId, bytes: Bytes, status: u16) {
        let mut transactions = self.lock();
        transactions.respond(Leg::now(), id, bytes, status);
        while let Some(output) = transactions.poll() {
            if let Output::Send { bytes, to, .. } = output {
                self.send_to(bytes, &to);
            }
        }
    }

    /// Runs the timers that are due.
    pub(super) fn timeout(&self) {
        let mut transactions = self.lock();
        transactions.timeout(Leg::now());
        while let Some(output) = transactions.poll() {
            if let Output::Send { bytes, to, .. } = output {
                self.send_to(bytes, &to);
            }
        }
    }

    fn send_to(&self, bytes: Bytes, to: &crate::sip::Destination) {
        if let Some(net) = self.agent.net() {
            self.agent.trace("send", &bytes, || format!("{to:?}"));
            net.send(bytes, to, |_| {});
        }
    }
}
