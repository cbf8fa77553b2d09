//! Where a leg is and how its call is, and the events that tell of both (CHANNEL_STATE, CHANNEL_CALLSTATE, CODEC), in the
//! order of switch_core_state_machine.c and switch_channel.c.
//!
//! FreeSWITCH's states are read off what a leg does; a leg keeps only what it told last ([`Told`]), which is also what
//! its other events say: a CHANNEL_ANSWER is told while the call still rings, and a CHANNEL_HANGUP while it is still up.

use super::leg::{Direction, Leg, Progress};
use super::media::Way;
use crate::event::{EventName, Headers};
use crate::sdp::{AgreedMedia, Kind};
use std::sync::Arc;

/// Where a leg is (`switch_channel_state_t`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Nothing has been done with it yet.
    #[default]
    None,
    /// It waits for its first instructions.
    New,
    /// It comes to be.
    Init,
    /// It asks the dialplan where to go.
    Routing,
    /// It runs applications.
    Execute,
    /// It is the called leg of a bridge.
    ExchangeMedia,
    /// It is being dialled.
    ConsumeMedia,
    /// It is bridged, and its media go past the switch.
    Hibernate,
    /// It is hung up.
    Hangup,
    /// Its record is written.
    Reporting,
    /// It is gone.
    Destroy,
}

impl State {
    /// `CS_EXECUTE`, and its number.
    pub fn name(self) -> (&'static str, u8) {
        match self {
            State::New => ("CS_NEW", 0),
            State::Init => ("CS_INIT", 1),
            State::Routing => ("CS_ROUTING", 2),
            State::Execute => ("CS_EXECUTE", 4),
            State::ExchangeMedia => ("CS_EXCHANGE_MEDIA", 5),
            State::ConsumeMedia => ("CS_CONSUME_MEDIA", 7),
            State::Hibernate => ("CS_HIBERNATE", 8),
            State::Hangup => ("CS_HANGUP", 10),
            State::Reporting => ("CS_REPORTING", 11),
            State::Destroy => ("CS_DESTROY", 12),
            State::None => ("CS_NONE", 13),
        }
    }
}

/// How a call is (`switch_channel_callstate_t`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CallState {
    /// Nothing yet: a caller whom the dialplan has not been asked for, a called one that does not ring.
    #[default]
    Down,
    /// It rings.
    Ringing,
    /// It has early media.
    Early,
    /// It is answered.
    Active,
    /// The far end has put us on hold.
    Held,
    /// It has just been taken off hold.
    Unheld,
    /// It is over.
    Hangup,
}

impl CallState {
    /// `RINGING`, and its number.
    pub fn name(self) -> (&'static str, u8) {
        match self {
            CallState::Down => ("DOWN", 0),
            CallState::Ringing => ("RINGING", 2),
            CallState::Early => ("EARLY", 3),
            CallState::Active => ("ACTIVE", 4),
            CallState::Held => ("HELD", 5),
            CallState::Hangup => ("HANGUP", 7),
            CallState::Unheld => ("UNHELD", 8),
        }
    }
}

/// What a leg told last of where it is.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    /// Where it is.
    pub(super) state: State,
    /// How the call is.
    pub(super) call: CallState,
    /// That it is bridged: it is the one of the two that has joined them.
    bridged: bool,
    /// It has asked another leg to join with it, as the one that calls.
    pub(super) joins: bool,
    /// The number it shows as the called one is that of a leg it has called itself.
    pub(super) called: bool,
    /// It is on its way to the dialplan.
    pub(super) routed: bool,
    /// Its codecs.
    agreed: Arc<[AgreedMedia]>,
    /// The caller has been told in our 200 who the called party is.
    pub(super) callee: bool,
}

impl Leg {
    /// Where the leg is.
    pub fn state(&self) -> State {
        if self.is_over() {
            return State::Hangup;
        }
        match &self.partner {
            Some(_) if self.media.way() == Way::Bypass => State::Hibernate,
            Some(_) if !self.told.bridged => State::ExchangeMedia,
            Some(_) => State::Execute,
            None if self.is_dialled() => State::ConsumeMedia,
            None if self.told.routed => State::Routing,
            // Its bridge is over, and nobody has said yet what becomes of it.
            None if self.told.state == State::ExchangeMedia && self.course.is_none() => State::ExchangeMedia,
            None => State::Execute,
        }
    }

    /// The number that an event called `name` tells beside its state: where the leg is on its way to.
    pub(super) fn state_number(&self, name: EventName) -> u8 {
        let aim = match (name, self.told.state) {
            (EventName::ChannelDestroy, _) => State::Destroy,
            (EventName::ChannelState, _) | (_, State::Reporting) => self.told.state,
            (_, State::None | State::New) => State::Init,
            (_, State::Init) => State::Routing,
            _ => self.state(),
        };
        aim.name().1
    }

    /// How the call is.
    pub fn call_state(&self) -> CallState {
        match (self.is_over(), self.progress, self.direction) {
            (true, ..) => CallState::Hangup,
            _ if self.held => CallState::Held,
            (_, Progress::Answered, _) => CallState::Active,
            (_, Progress::EarlyMedia, _) => CallState::Early,
            (_, Progress::None, Direction::Outbound) => CallState::Down,
            _ => CallState::Ringing,
        }
    }

    /// The leg has come to be: the events of its beginning.
    pub(super) fn tell_begun(&mut self) {
        match self.direction {
            Direction::Inbound => {
                self.told.routed = true;
                self.pass(State::New);
                self.pass(State::Init);
                self.fire(EventName::ChannelCreate, Vec::new);
            }
            Direction::Outbound => {
                self.fire(EventName::ChannelOutgoing, Vec::new);
                self.pass(State::Init);
                self.fire(EventName::ChannelCreate, Vec::new);
                self.fire(EventName::ChannelOriginate, Vec::new);
                self.pass(State::Routing);
            }
        }
    }

    /// The leg asks the dialplan where to go, or has been told.
    pub fn routes(&mut self, begins: bool) {
        self.told.routed = begins;
        self.tell_state();
    }

    /// Tells where the leg is and how the call is, where that has changed. The end is told at the end
    /// ([`tell_over`](Self::tell_over)).
    pub(super) fn tell_state(&mut self) {
        if self.is_over() {
            return;
        }
        let call = self.call_state();
        // What it is sent away from ends first.
        let ends = self.told.state == State::Execute && self.course.is_some();
        let state = if ends { State::Execute } else { self.state() };
        let before = std::mem::replace(&mut self.told.state, state);
        self.tell_call(call);
        if before != state {
            self.fire(EventName::ChannelState, Vec::new);
        }
    }

    /// The leg has done all it did: it is over, and about to be recorded.
    pub(super) fn tell_over(&mut self) {
        self.pass(State::Hangup);
        self.tell_call(CallState::Hangup);
    }

    /// Tells that the leg is there now.
    pub(super) fn pass(&mut self, state: State) {
        self.told.state = state;
        self.fire(EventName::ChannelState, Vec::new);
    }

    /// Tells that the call is so, if that is new.
    pub(super) fn tell_call(&mut self, call: CallState) {
        let before = std::mem::replace(&mut self.told.call, call);
        if before != call {
            self.fire(EventName::ChannelCallstate, || {
                vec![
                    ("Original-Channel-Call-State".into(), before.name().0.to_owned()),
                    ("Channel-Call-State-Number".into(), call.name().1.to_string()),
                ]
            });
        }
    }

    /// Tells that the far end is on hold now, or no longer.
    pub(super) fn tell_held(&mut self, held: bool) {
        if held {
            self.tell_state();
            return self.fire(EventName::ChannelHold, Vec::new);
        }
        self.tell_unheld();
        self.tell_state();
    }

    /// Tells that the far end has been taken off hold.
    pub(super) fn tell_unheld(&mut self) {
        self.tell_call(CallState::Unheld);
        self.fire(EventName::ChannelUnhold, Vec::new);
    }

    /// Tells that it is bridged with `other`: the one of the two that has joined them does.
    pub(super) fn tell_bridged(&mut self, other: &str) {
        self.told.bridged = true;
        self.fire(EventName::ChannelBridge, || self.both(other));
    }

    /// Tells that it is bridged no more, once, when it has told that it was.
    pub(super) fn tell_unbridged(&mut self, other: &str) {
        if std::mem::take(&mut self.told.bridged) {
            self.fire(EventName::ChannelUnbridge, || self.both(other));
        }
    }

    fn both(&self, other: &str) -> Headers {
        vec![
            ("Bridge-A-Unique-ID".into(), self.uuid.to_string()),
            ("Bridge-B-Unique-ID".into(), other.to_owned()),
        ]
    }

    //------------ Codecs ---------------------------------------------------------------------------------------

    /// Tells its codecs, where they have changed: what is read, and what is written (switch_core_codec.c).
    pub(super) fn tell_codecs(&mut self) {
        let agreed = self.media.agreed();
        if Arc::ptr_eq(agreed, &self.told.agreed) || agreed.is_empty() {
            return;
        }
        let before = std::mem::replace(&mut self.told.agreed, agreed.clone());
        for kind in [Kind::Audio, Kind::Video] {
            let find = |all: &[AgreedMedia]| all.iter().position(|media| media.kind == kind);
            let Some(media) = find(&self.told.agreed).and_then(|at| self.told.agreed.get(at)) else {
                continue;
            };
            let old = find(&before).and_then(|at| before.get(at));
            if old.is_some_and(|old| old.codec.same_format(&media.codec)) {
                continue;
            }
            for way in ["read", "write"] {
                self.fire(EventName::Codec, || codec_headers(media, way));
            }
        }
    }
}

fn codec_headers(media: &AgreedMedia, way: &str) -> Headers {
    let (rate, bits) = rates(media);
    let name = media.codec.name.to_string();
    if media.kind == Kind::Video {
        return vec![
            (format!("channel-video-{way}-codec-name").into(), name),
            (format!("channel-video-{way}-codec-rate").into(), rate),
        ];
    }
    let mut headers: Headers = vec![
        (format!("channel-{way}-codec-name").into(), name),
        (format!("channel-{way}-codec-rate").into(), rate.clone()),
        (format!("channel-{way}-codec-bit-rate").into(), bits),
    ];
    let clock = media.codec.clock.to_string();
    if clock != rate {
        headers.push((format!("channel-reported-{way}-codec-rate").into(), clock));
    }
    headers
}

/// Sampling rate and bits per second, as text.
pub fn rates(media: &AgreedMedia) -> (String, String) {
    let (rate, bits) = per_second(media);
    (rate.to_string(), bits.to_string())
}

/// Samples and bits per second.
pub(super) fn per_second(media: &AgreedMedia) -> (u32, u32) {
    let codec = &media.codec;
    let is = |name: &str| codec.name.eq_ignore_ascii_case(name);
    match () {
        () if is("PCMU") || is("PCMA") => (codec.clock, 64_000),
        () if is("G722") => (16_000, 64_000),
        () if is("G729") => (codec.clock, 8_000),
        () if is("GSM") => (codec.clock, 13_200),
        () => (codec.clock, 0),
    }
}
