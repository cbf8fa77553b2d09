//! What an event about a leg says of it (`switch_channel_event_set_basic_data`, `…_set_extended_data`,
//! `switch_caller_profile_event_set_data`).
//!
//! Where the leg is and how its call is stand there as it told them last ([`super::states`]). The other leg of a call
//! introduces itself by a letter ([`Leg::introduce`]), as long as anybody listens: legs know each other by uuid alone.

use super::caller::CallerProfile;
use super::leg::{Direction, Leg, Progress};
use super::letter::{Letter, Visit};
use super::mailbox::Mailbox;
use super::states::per_second;
use super::times::{Times, micros};
use crate::event::{Event, EventName, Headers, Lines};
use crate::sdp::Kind;

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
        let leads = matches!(
            name,
            E::ChannelHangupComplete
                | E::ChannelBridge
                | E::ChannelUnbridge
                | E::ChannelCallstate
                | E::CallUpdate
        );
        let (first, last) = if leads { (more, Vec::new()) } else { (Vec::new(), more) };
        lines.extend(first);
        self.basic(name, lines);
        if has_variables(name) || self.variables.is_true("verbose_events") {
            self.variables.iter().for_each(|(name, value)| lines.add_of("variable_", name, value));
        }
        lines.extend(last);
    }

    fn basic(&self, name: EventName, lines: &mut Lines) {
        let direction = self.direction.as_str();
        let hit = self.direction == Direction::Inbound || self.is_turned();
        lines.add("Channel-State", self.told.state.name().0);
        lines.add("Channel-Call-State", self.told.call.name().0);
        lines.print("Channel-State-Number", self.state_number(name));
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
