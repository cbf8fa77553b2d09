//! What an event about a leg says of it (`switch_channel_event_set_basic_data`, `…_set_extended_data`,
//! `switch_caller_profile_event_set_data`), and the events that tell of its state.
//!
//! FreeSWITCH's states are read off what a leg does; a leg keeps only what it told last ([`Told`]). The other leg of a call
//! introduces itself by a letter ([`Leg::introduce`]), as long as anybody listens: legs know each other by uuid alone.

use super::caller::CallerProfile;
use super::leg::{Direction, Leg, Progress};
use super::letter::{Letter, Visit};
use super::mailbox::Mailbox;
use super::times::{Times, micros};
use crate::event::{Event, EventName, Headers, Lines};
use crate::sdp::{AgreedMedia, Kind};

/// Where a leg is (`switch_channel_state_t`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// It comes to be.
    #[default]
    Init,
    /// It runs applications.
    Execute,
    /// It is the called leg of a bridge.
    ExchangeMedia,
    /// It is being dialled.
    ConsumeMedia,
    /// It is hung up.
    Hangup,
    /// Its record is written.
    Reporting,
}

impl State {
    /// `CS_EXECUTE`, and its number.
    pub fn name(self) -> (&'static str, u8) {
        match self {
            State::Init => ("CS_INIT", 2), // FreeSWITCH says CS_INIT when it is on its way to 2, CS_ROUTING
            State::Execute => ("CS_EXECUTE", 4),
            State::ExchangeMedia => ("CS_EXCHANGE_MEDIA", 5),
            State::ConsumeMedia => ("CS_CONSUME_MEDIA", 7),
            State::Hangup => ("CS_HANGUP", 10),
            State::Reporting => ("CS_REPORTING", 11),
        }
    }
}

/// How a call is (`switch_channel_callstate_t`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CallState {
    /// Nothing yet.
    #[default]
    Down,
    /// We are calling.
    Dialing,
    /// It rings.
    Ringing,
    /// It has early media.
    Early,
    /// It is answered.
    Active,
    /// The far end has put us on hold.
    Held,
    /// It is over.
    Hangup,
}

impl CallState {
    /// `RINGING`.
    pub fn name(self) -> &'static str {
        match self {
            CallState::Down => "DOWN",
            CallState::Dialing => "DIALING",
            CallState::Ringing => "RINGING",
            CallState::Early => "EARLY",
            CallState::Active => "ACTIVE",
            CallState::Held => "HELD",
            CallState::Hangup => "HANGUP",
        }
    }
}

/// What a leg told last of where it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    state: State,
    call: CallState,
    /// That it is bridged.
    bridged: bool,
}

/// The other leg of a call, as it introduced itself.
#[derive(Clone, Debug)]
pub struct OtherLeg {
    /// It has called this one; else this one has called it.
    pub originator: bool,
    /// Who calls whom, as it sees it.
    pub caller: CallerProfile,
    /// Which way it goes.
    pub direction: Direction,
    /// When things happened to it.
    pub times: Times,
}

/// The events that bring every variable of the leg along, beside those of a subclass.
fn has_variables(name: EventName) -> bool {
    use EventName as E;
    matches!(
        name,
        E::ChannelCreate
            | E::ChannelOriginate
            | E::ChannelUuid
            | E::ChannelAnswer
            | E::ChannelPark
            | E::ChannelUnpark
            | E::ChannelBridge
            | E::ChannelUnbridge
            | E::ChannelProgress
            | E::ChannelProgressMedia
            | E::ChannelHangup
            | E::ChannelHangupComplete
            | E::RequestParams
            | E::ChannelData
            | E::ChannelExecute
            | E::ChannelExecuteComplete
            | E::ChannelDestroy
            | E::SessionHeartbeat
            | E::Api
            | E::RecordStart
            | E::RecordStop
            | E::PlaybackStart
            | E::PlaybackStop
            | E::CallUpdate
            | E::MediaBugStart
            | E::MediaBugStop
            | E::ChannelHold
            | E::ChannelUnhold
            | E::Text
            | E::Custom(_)
    )
}

impl Leg {
    /// Fires a channel event with the headers every channel event has, and `more`.
    #[track_caller]
    pub fn fire(&self, name: EventName, more: impl FnOnce() -> Headers) {
        if !self.is_nobody() {
            self.exchange.events.tell(name, |lines| {
                self.write(name, more(), lines);
                None
            });
        }
    }

    /// Fires an event that a dialplan has made: its own headers come first.
    #[track_caller]
    pub fn relay(&self, name: EventName, own: Headers) {
        if !self.is_nobody() && self.exchange.events.is_wanted(name) {
            let mut lines = Lines::from(own);
            self.write(name, Vec::new(), &mut lines);
            self.exchange.events.relay(name, lines, None);
        }
    }

    /// What is known of the leg now, as an event for one who asked (`CHANNEL_DATA`).
    #[track_caller]
    pub fn dump(&self) -> Event {
        let mut lines = Lines::default();
        self.write(EventName::ChannelData, Vec::new(), &mut lines);
        self.exchange.events.answer(EventName::ChannelData, lines)
    }

    /// The headers of its caller profile, each beginning with `prefix`.
    pub fn profile_headers(&self, prefix: &str) -> Lines {
        let mut lines = Lines::default();
        profile(prefix, &self.caller, self.direction, &self.times, &mut lines);
        lines
    }

    fn write(&self, name: EventName, more: Headers, lines: &mut Lines) {
        use EventName as E;
        let leads = matches!(name, E::ChannelHangupComplete | E::ChannelBridge | E::ChannelUnbridge);
        let (first, last) = if leads { (more, Vec::new()) } else { (Vec::new(), more) };
        lines.extend(first);
        self.basic(name, lines);
        if has_variables(name) || self.variables.is_true("verbose_events") {
            self.variables.iter().for_each(|(name, value)| lines.add_of("variable_", name, value));
        }
        lines.extend(last);
    }

    fn basic(&self, name: EventName, lines: &mut Lines) {
        let (state, call) = match name {
            EventName::ChannelCreate => (State::Init, CallState::Down),
            EventName::ChannelHangupComplete | EventName::ChannelDestroy => {
                (State::Reporting, CallState::Hangup)
            }
            _ => (self.state(), self.call_state()),
        };
        let (state, number) = state.name();
        let direction = self.direction.as_str();
        let hit = self.direction == Direction::Inbound || state == "CS_EXECUTE";
        lines.add("Channel-State", state);
        lines.add("Channel-Call-State", call.name());
        lines.print("Channel-State-Number", number);
        lines.add("Channel-Name", &self.caller.chan_name);
        lines.add("Unique-ID", &self.uuid);
        lines.add("Call-Direction", direction);
        lines.add("Presence-Call-Direction", direction);
        lines.add("Channel-HIT-Dialplan", if hit { "true" } else { "false" });
        for (name, variable) in
            [("Channel-Presence-ID", "presence_id"), ("Channel-Presence-Data", "presence_data")]
        {
            if let Some(value) = self.variables.get(variable) {
                lines.add(name, value);
            }
        }
        lines.add("Channel-Call-UUID", self.variables.get("call_uuid").unwrap_or(&self.uuid));
        let answer = match (self.is_over(), self.progress) {
            (true, _) => "hangup",
            (_, Progress::Answered) => "answered",
            (_, Progress::EarlyMedia) => "early",
            _ => "ringing",
        };
        lines.add("Answer-State", answer);
        if let Some(cause) = self.cause().filter(|_| name != EventName::ChannelHangupComplete) {
            lines.add("Hangup-Cause", cause.name());
        }
        if let Some(media) = self.agreed().iter().find(|media| media.kind == Kind::Audio) {
            let (rate, bits) = per_second(media);
            for way in ["Channel-Read-Codec", "Channel-Write-Codec"] {
                lines.add_of(way, "-Name", &media.codec.name);
                lines.print_of(way, "-Rate", rate);
                lines.print_of(way, "-Bit-Rate", bits);
            }
        }
        profile("Caller", &self.caller, self.direction, &self.times, lines);
        if let Some(other) = &self.other_leg {
            let kind = if other.originator { "originator" } else { "originatee" };
            lines.add("Other-Type", kind);
            profile("Other-Leg", &other.caller, other.direction, &other.times, lines);
        }
    }

    /// Where the leg is.
    pub fn state(&self) -> State {
        match (self.is_over(), self.direction, &self.partner) {
            (true, ..) => State::Hangup,
            (_, Direction::Outbound, Some(_)) => State::ExchangeMedia,
            (_, Direction::Outbound, None) if self.owner.is_some() => State::ConsumeMedia,
            _ => State::Execute,
        }
    }

    /// How the call is.
    pub fn call_state(&self) -> CallState {
        match (self.is_over(), self.progress, self.direction) {
            (true, ..) => CallState::Hangup,
            _ if self.held => CallState::Held,
            (_, Progress::Answered, _) => CallState::Active,
            (_, Progress::EarlyMedia, _) => CallState::Early,
            (_, Progress::None, Direction::Outbound) => CallState::Dialing,
            _ => CallState::Ringing,
        }
    }

    /// Tells where the leg is and how the call is, where that has changed.
    pub(super) fn tell_state(&mut self) {
        let now = Told { state: self.state(), call: self.call_state(), ..self.told };
        let before = std::mem::replace(&mut self.told, now);
        if before == now {
            return;
        }
        if before.call != now.call {
            self.fire(EventName::ChannelCallstate, || {
                vec![("Original-Channel-Call-State".into(), before.call.name().to_owned())]
            });
        }
        if before.state != now.state {
            self.fire(EventName::ChannelState, Vec::new);
        }
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

    /// Tells another leg of the call who this one is. `originator`: this one has called it.
    pub(super) fn introduce(&self, to: &Mailbox, originator: bool) {
        if !self.exchange.events.is_heard() {
            return;
        }
        let card = self.card(originator);
        to.post(Letter::Visit(Visit::new(move |leg| leg.other_leg = Some(card))));
    }

    /// The same for a leg that is yet to be made.
    pub fn introduction(&self) -> Option<Box<OtherLeg>> {
        (self.exchange.events.is_heard() && !self.is_nobody()).then(|| self.card(true))
    }

    fn card(&self, originator: bool) -> Box<OtherLeg> {
        Box::new(OtherLeg {
            originator,
            caller: self.caller.clone(),
            direction: self.direction,
            times: self.times.clone(),
        })
    }
}

/// Sampling rate and bits per second, as text.
pub fn rates(media: &AgreedMedia) -> (String, String) {
    let (rate, bits) = per_second(media);
    (rate.to_string(), bits.to_string())
}

/// Samples and bits per second.
fn per_second(media: &AgreedMedia) -> (u32, u32) {
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

/// A caller profile's headers, each beginning with `prefix`; what is empty is left out.
fn profile(prefix: &str, caller: &CallerProfile, direction: Direction, times: &Times, lines: &mut Lines) {
    let inbound = direction == Direction::Inbound;
    let before: [(&str, &str); 10] = [
        ("-Direction", direction.as_str()),
        ("-Logical-Direction", direction.as_str()),
        ("-Username", &caller.username),
        ("-Dialplan", &caller.dialplan),
        ("-Caller-ID-Name", &caller.caller_id_name),
        ("-Caller-ID-Number", &caller.caller_id_number),
        ("-Orig-Caller-ID-Name", &caller.orig_caller_id_name),
        ("-Orig-Caller-ID-Number", &caller.orig_caller_id_number),
        ("-Callee-ID-Name", &caller.callee_id_name),
        ("-Callee-ID-Number", &caller.callee_id_number),
    ];
    let behind: [(&str, &str); 8] = [
        ("-ANI", &caller.ani),
        ("-Destination-Number", &caller.destination_number),
        ("-Unique-ID", &caller.uuid),
        ("-Source", if inbound { "mod_sofia" } else { "src/switch_ivr_originate.c" }),
        ("-Transfer-Source", &caller.transfer_source),
        ("-Context", &caller.context),
        ("-RDNIS", &caller.rdnis),
        ("-Channel-Name", &caller.chan_name),
    ];
    let some = |lines: &mut Lines, texts: &[(&str, &str)]| {
        let there = texts.iter().filter(|(_, text)| !text.is_empty());
        there.for_each(|(name, text)| lines.add_of(prefix, name, text));
    };
    some(lines, &before);
    if let Some(ip) = caller.network_addr {
        lines.print_of(prefix, "-Network-Addr", ip);
    }
    some(lines, &behind);
    lines.add_of(prefix, "-Profile-Index", if times.transferred.is_some() { "2" } else { "1" });
    let epoch = |at| times.epoch(at);
    let created = epoch(Some(times.created));
    for (name, micros) in [
        ("-Profile-Created-Time", epoch(times.transferred).max(created)),
        ("-Channel-Created-Time", created),
        ("-Channel-Answered-Time", epoch(times.answered)),
        ("-Channel-Progress-Time", epoch(times.progress)),
        ("-Channel-Progress-Media-Time", epoch(times.progress_media)),
        ("-Channel-Hangup-Time", epoch(times.ended)),
        ("-Channel-Transfer-Time", epoch(times.transferred)),
        ("-Channel-Resurrect-Time", 0),
        ("-Channel-Bridged-Time", epoch(times.bridged)),
        ("-Channel-Last-Hold", epoch(times.last_hold())),
        ("-Channel-Hold-Accum", micros(times.hold_total())),
    ] {
        lines.print_of(prefix, name, micros);
    }
    for (name, flag) in [
        ("-Screen-Bit", true),
        ("-Privacy-Hide-Name", caller.privacy_hide_name),
        ("-Privacy-Hide-Number", caller.privacy_hide_number),
    ] {
        lines.add_of(prefix, name, if flag { "true" } else { "false" });
    }
}
