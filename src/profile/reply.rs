//! Answers to requests outside dialogs.
//!
//! An answer without transaction is the same for every retransmission (its tag is a hash of the request), costs no
//! memory and is never retransmitted by us: refusals and challenges go out this way, so that a stranger's request
//! costs a stranger's due. What has been done (a registration) is remembered with its answer, for doing it twice
//! would not be the same.

use super::start::Profile;
use crate::channel::Leg;
use crate::sip::{Builder, Flow, Message, Method};
use crate::transaction::{Mark, reply_flow};
use bytes::Bytes;
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

static TAGS: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// The To tag of an answer without transaction: the same whenever the request comes again. It has no token's shape.
fn stateless_tag(request: &Message) -> String {
    let number = TAGS.hash_one((request.call_id(), request.via().as_str(), request.cseq().number));
    let mut tag = String::with_capacity(17);
    tag.push('s');
    tag.extend((0..16).rev().filter_map(|at| char::from_digit((number >> (4 * at)) as u32 & 15, 16)));
    tag
}

impl Profile {
    /// Answers without a transaction. An ACK is never answered.
    pub(super) fn reply(&self, request: &Message, flow: &Flow, status: u16, headers: &[(&str, String)]) {
        self.reply_as(request, flow, status, None, headers);
    }

    /// The same with a reason phrase of its own.
    pub(super) fn reply_as(
        &self,
        request: &Message,
        flow: &Flow,
        status: u16,
        phrase: Option<&str>,
        headers: &[(&str, String)],
    ) {
        if *request.method() != Method::Ack {
            let bytes = self.answer(request, flow, status, phrase, headers);
            self.send(bytes, reply_flow(request, *flow));
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
        let answer = self.begin_answer(request, flow, (status, phrase), None);
        headers.iter().fold(answer, |answer, (name, value)| answer.header(*name, value)).finish()
    }

    /// Refuses to begin anything for a request that came when more came than can be done. It tells when to try again,
    /// by chance between 2 and 10 s, so that not all come back at once.
    pub(super) fn turn_away(&self, request: &Message, flow: Flow) {
        let register = *request.method() == Method::Register;
        if register && self.answer_again(request, flow, self.answered.mark(request, flow.remote)) {
            return;
        }
        if *request.method() == Method::Invite {
            self.refused.keep(Leg::now(), self.refused.mark(request, flow.remote), b"");
        }
        let tag = stateless_tag(request);
        let seconds = 2 + tag.bytes().map(u32::from).sum::<u32>() % 9;
        let bytes = Builder::response(request, &flow, 503, crate::dialog::reason_phrase(503))
            .to_tag(&tag)
            .header("Retry-After", seconds)
            .header("Warning", "399 tandem \"more comes in than this machine can do\"")
            .finish();
        self.shared.exchange.gate.turned_away();
        self.send(bytes, reply_flow(request, flow));
    }

    /// True for the copy of an INVITE that was turned away: its caller has given this call up.
    pub(super) fn was_refused(&self, invite: &Message, flow: &Flow) -> bool {
        self.refused.find(Leg::now(), self.refused.mark(invite, flow.remote)).is_some()
    }

    /// An answer with what it repeats of its request and what every answer of this profile has.
    fn begin_answer(
        &self,
        request: &Message,
        flow: &Flow,
        (status, phrase): (u16, &str),
        tag: Option<&str>,
    ) -> Builder {
        let answer = Builder::response(request, flow, status, phrase);
        let answer = match tag {
            Some(tag) => answer.to_tag(tag),
            None if request.to_tag().is_none() => answer.to_tag(&stateless_tag(request)),
            None => answer,
        };
        answer.lines(&self.own_lines)
    }

    /// Answers a request that has been done, and remembers the answer for its copies.
    pub(super) fn done(
        &self,
        request: &Message,
        flow: Flow,
        mark: Mark,
        line: (u16, &str),
        headers: &[(&str, String)],
    ) {
        self.done_as(request, flow, mark, line, None, headers);
    }

    /// The same with a To tag that names whom later requests are for.
    pub(super) fn done_as(
        &self,
        request: &Message,
        flow: Flow,
        mark: Mark,
        (status, phrase): (u16, &str),
        tag: Option<&str>,
        headers: &[(&str, String)],
    ) {
        let begun = self.begin_answer(request, &flow, (status, phrase), tag);
        let before = begun.written().len();
        let answer = headers.iter().fold(begun, |answer, (name, value)| answer.header(*name, value));
        // On a stream nothing comes twice: Timer J is zero.
        if !flow.transport.is_reliable() {
            let mut note = format!("{status} {} {phrase}\n", tag.unwrap_or_default()).into_bytes();
            note.extend_from_slice(answer.written().get(before..).unwrap_or_default());
            self.answered.keep(Leg::now(), mark, &note);
        }
        self.send(answer.finish(), reply_flow(request, flow));
    }

    /// Answers a copy of a request that has been done as that was answered. False when it is none.
    pub(super) fn answer_again(&self, request: &Message, flow: Flow, mark: Mark) -> bool {
        let Some(note) = self.answered.find(Leg::now(), mark) else { return false };
        let Some(Note { line, tag, lines }) = Note::read(&note) else { return false };
        let answer = self.begin_answer(request, &flow, line, tag).lines(lines).finish();
        self.send(answer, reply_flow(request, flow));
        true
    }
}

/// What is kept of an answer.
struct Note<'a> {
    /// Status and phrase.
    line: (u16, &'a str),
    /// The To tag, if it has one of its own.
    tag: Option<&'a str>,
    /// The lines that no other answer has.
    lines: &'a [u8],
}

impl Note<'_> {
    fn read(note: &[u8]) -> Option<Note<'_>> {
        let (first, lines) = note.split_at_checked(memchr::memchr(b'\n', note)?)?;
        let mut words = std::str::from_utf8(first).ok()?.splitn(3, ' ');
        let (status, tag, phrase) = (words.next()?.parse().ok()?, words.next()?, words.next()?);
        let tag = Some(tag).filter(|tag| !tag.is_empty());
        Some(Note { line: (status, phrase), tag, lines: lines.get(1..)? })
    }
}
