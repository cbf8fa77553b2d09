//! The names of events, as FreeSWITCH's `switch_types.h` and its users spell them.

/// Makes the list of names, in FreeSWITCH's order.
macro_rules! names {
    ($($(#[$doc:meta])+ $variant:ident = $text:literal,)+) => {
        /// What kind of thing happened.
        #[derive(Clone, Copy, Debug, Eq, PartialEq, Hash)]
        pub enum EventName {
            /// An event whose meaning is in its subclass (`sofia::register`, `tandem::media_verdict`, …); empty when the
            /// header `Event-Subclass` alone says it.
            Custom(&'static str),
            $($(#[$doc])+ $variant,)+
        }

        impl EventName {
            /// Every name but `ALL`, each at its place.
            pub const EVERY: &[EventName] = &[EventName::Custom(""), $(EventName::$variant,)+];

            /// The name as it stands in `Event-Name`.
            pub fn as_str(self) -> &'static str {
                match self {
                    Self::Custom(_) => "CUSTOM",
                    $(Self::$variant => $text,)+
                }
            }

            /// Its place in [`EVERY`](Self::EVERY).
            fn place(self) -> u32 {
                /// The names without what they hold.
                #[derive(Clone, Copy)]
                enum Place { Custom, $($variant,)+ }
                (match self {
                    Self::Custom(_) => Place::Custom,
                    $(Self::$variant => Place::$variant,)+
                }) as u32
            }
        }
    };
}

names! {
    /// A copy of another event.
    Clone = "CLONE",
    /// A leg came to be.
    ChannelCreate = "CHANNEL_CREATE",
    /// A leg is gone.
    ChannelDestroy = "CHANNEL_DESTROY",
    /// A leg does something else now (`Channel-State`).
    ChannelState = "CHANNEL_STATE",
    /// A call rings, is up, held, or over (`Channel-Call-State`).
    ChannelCallstate = "CHANNEL_CALLSTATE",
    /// A leg was answered.
    ChannelAnswer = "CHANNEL_ANSWER",
    /// A leg is hung up, its variables not final yet.
    ChannelHangup = "CHANNEL_HANGUP",
    /// A leg is hung up and its record is complete.
    ChannelHangupComplete = "CHANNEL_HANGUP_COMPLETE",
    /// A dialplan application starts.
    ChannelExecute = "CHANNEL_EXECUTE",
    /// A dialplan application has ended.
    ChannelExecuteComplete = "CHANNEL_EXECUTE_COMPLETE",
    /// The far end put the leg on hold.
    ChannelHold = "CHANNEL_HOLD",
    /// The far end took the leg off hold.
    ChannelUnhold = "CHANNEL_UNHOLD",
    /// Two legs were joined.
    ChannelBridge = "CHANNEL_BRIDGE",
    /// Two legs were parted.
    ChannelUnbridge = "CHANNEL_UNBRIDGE",
    /// A leg's SIP dialog made progress without media (180).
    ChannelProgress = "CHANNEL_PROGRESS",
    /// A leg has early media (183 with a description).
    ChannelProgressMedia = "CHANNEL_PROGRESS_MEDIA",
    /// A leg of ours is about to call.
    ChannelOutgoing = "CHANNEL_OUTGOING",
    /// A leg waits parked.
    ChannelPark = "CHANNEL_PARK",
    /// A leg waits no longer.
    ChannelUnpark = "CHANNEL_UNPARK",
    /// FreeSWITCH's event of that name; known to clients, not told by tandem.
    ChannelApplication = "CHANNEL_APPLICATION",
    /// A leg was originated by this switch.
    ChannelOriginate = "CHANNEL_ORIGINATE",
    /// A leg goes by another uuid.
    ChannelUuid = "CHANNEL_UUID",
    /// A command was run.
    Api = "API",
    /// FreeSWITCH's event of that name; known to clients, not told by tandem.
    Log = "LOG",
    /// FreeSWITCH's event of that name; known to clients, not told by tandem.
    InboundChan = "INBOUND_CHAN",
    /// FreeSWITCH's event of that name; known to clients, not told by tandem.
    OutboundChan = "OUTBOUND_CHAN",
    /// The switch is up.
    Startup = "STARTUP",
    /// The switch goes down.
    Shutdown = "SHUTDOWN",
    /// FreeSWITCH's event of that name; known to clients, not told by tandem.
    Publish = "PUBLISH",
    /// FreeSWITCH's event of that name; known to clients, not told by tandem.
    Unpublish = "UNPUBLISH",
    /// FreeSWITCH's event of that name; known to clients, not told by tandem.
    Talk = "TALK",
    /// FreeSWITCH's event of that name; known to clients, not told by tandem.
    Notalk = "NOTALK",
    /// FreeSWITCH's event of that name; known to clients, not told by tandem.
    SessionCrash = "SESSION_CRASH",
    /// A module was loaded.
    ModuleLoad = "MODULE_LOAD",
    /// A module was unloaded.
    ModuleUnload = "MODULE_UNLOAD",
    /// A digit was pressed.
    Dtmf = "DTMF",
    /// A MESSAGE is to be sent, or has come.
    Message = "MESSAGE",
    /// Somebody's presence has changed.
    PresenceIn = "PRESENCE_IN",
    /// FreeSWITCH's event of that name; known to clients, not told by tandem.
    NotifyIn = "NOTIFY_IN",
    /// FreeSWITCH's event of that name; known to clients, not told by tandem.
    PresenceOut = "PRESENCE_OUT",
    /// FreeSWITCH's event of that name; known to clients, not told by tandem.
    PresenceProbe = "PRESENCE_PROBE",
    /// Messages wait for somebody.
    MessageWaiting = "MESSAGE_WAITING",
    /// FreeSWITCH's event of that name; known to clients, not told by tandem.
    MessageQuery = "MESSAGE_QUERY",
    /// FreeSWITCH's event of that name; known to clients, not told by tandem.
    Roster = "ROSTER",
    /// A leg has other codecs.
    Codec = "CODEC",
    /// A command in the background has ended (`bgapi`).
    BackgroundJob = "BACKGROUND_JOB",
    /// FreeSWITCH's event of that name; known to clients, not told by tandem.
    DetectedSpeech = "DETECTED_SPEECH",
    /// FreeSWITCH's event of that name; known to clients, not told by tandem.
    DetectedTone = "DETECTED_TONE",
    /// FreeSWITCH's event of that name; known to clients, not told by tandem.
    PrivateCommand = "PRIVATE_COMMAND",
    /// The switch is alive.
    Heartbeat = "HEARTBEAT",
    /// FreeSWITCH's event of that name; known to clients, not told by tandem.
    Trap = "TRAP",
    /// A task was planned.
    AddSchedule = "ADD_SCHEDULE",
    /// A task was given up.
    DelSchedule = "DEL_SCHEDULE",
    /// A task is run.
    ExeSchedule = "EXE_SCHEDULE",
    /// A task was put off.
    ReSchedule = "RE_SCHEDULE",
    /// The configuration was read again.
    ReloadXml = "RELOADXML",
    /// A NOTIFY is to be sent, or has come.
    Notify = "NOTIFY",
    /// FreeSWITCH's event of that name; known to clients, not told by tandem.
    PhoneFeature = "PHONE_FEATURE",
    /// FreeSWITCH's event of that name; known to clients, not told by tandem.
    PhoneFeatureSubscribe = "PHONE_FEATURE_SUBSCRIBE",
    /// FreeSWITCH's event of that name; known to clients, not told by tandem.
    SendMessage = "SEND_MESSAGE",
    /// FreeSWITCH's event of that name; known to clients, not told by tandem.
    RecvMessage = "RECV_MESSAGE",
    /// What a question for configuration asks.
    RequestParams = "REQUEST_PARAMS",
    /// What is known of a leg, for one who asked.
    ChannelData = "CHANNEL_DATA",
    /// Something without a name of its own.
    General = "GENERAL",
    /// An order to a leg.
    Command = "COMMAND",
    /// A leg is alive.
    SessionHeartbeat = "SESSION_HEARTBEAT",
    /// FreeSWITCH's event of that name; known to clients, not told by tandem.
    ClientDisconnected = "CLIENT_DISCONNECTED",
    /// FreeSWITCH's event of that name; known to clients, not told by tandem.
    ServerDisconnected = "SERVER_DISCONNECTED",
    /// An INFO is to be sent.
    SendInfo = "SEND_INFO",
    /// An INFO has come.
    RecvInfo = "RECV_INFO",
    /// FreeSWITCH's event of that name; known to clients, not told by tandem.
    RecvRtcpMessage = "RECV_RTCP_MESSAGE",
    /// FreeSWITCH's event of that name; known to clients, not told by tandem.
    SendRtcpMessage = "SEND_RTCP_MESSAGE",
    /// Media is encrypted.
    CallSecure = "CALL_SECURE",
    /// FreeSWITCH's event of that name; known to clients, not told by tandem.
    Nat = "NAT",
    /// A recording begins.
    RecordStart = "RECORD_START",
    /// A recording has ended.
    RecordStop = "RECORD_STOP",
    /// A sound begins.
    PlaybackStart = "PLAYBACK_START",
    /// A sound has ended.
    PlaybackStop = "PLAYBACK_STOP",
    /// The far end of a leg is shown somebody else.
    CallUpdate = "CALL_UPDATE",
    /// FreeSWITCH's event of that name; known to clients, not told by tandem.
    Failure = "FAILURE",
    /// FreeSWITCH's event of that name; known to clients, not told by tandem.
    SocketData = "SOCKET_DATA",
    /// FreeSWITCH's event of that name; known to clients, not told by tandem.
    MediaBugStart = "MEDIA_BUG_START",
    /// FreeSWITCH's event of that name; known to clients, not told by tandem.
    MediaBugStop = "MEDIA_BUG_STOP",
    /// FreeSWITCH's event of that name; known to clients, not told by tandem.
    ConferenceDataQuery = "CONFERENCE_DATA_QUERY",
    /// FreeSWITCH's event of that name; known to clients, not told by tandem.
    ConferenceData = "CONFERENCE_DATA",
    /// FreeSWITCH's event of that name; known to clients, not told by tandem.
    CallSetupReq = "CALL_SETUP_REQ",
    /// FreeSWITCH's event of that name; known to clients, not told by tandem.
    CallSetupResult = "CALL_SETUP_RESULT",
    /// FreeSWITCH's event of that name; known to clients, not told by tandem.
    CallDetail = "CALL_DETAIL",
    /// FreeSWITCH's event of that name; known to clients, not told by tandem.
    DeviceState = "DEVICE_STATE",
    /// FreeSWITCH's event of that name; known to clients, not told by tandem.
    Text = "TEXT",
    /// The switch was told to go down.
    ShutdownRequested = "SHUTDOWN_REQUESTED",
    /// FreeSWITCH's event of that name; known to clients, not told by tandem.
    CertReload = "CERT_RELOAD",
}

impl EventName {
    /// The event called `name`, whatever its case; a `CUSTOM` one without its subclass.
    pub fn find(name: &str) -> Option<EventName> {
        Self::EVERY.iter().find(|known| known.as_str().eq_ignore_ascii_case(name)).copied()
    }

    /// `sofia::register` of a `CUSTOM` event; empty for others.
    pub fn subclass(self) -> &'static str {
        match self {
            Self::Custom(subclass) => subclass,
            _ => "",
        }
    }
}

/// A set of names, subclasses apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Names(u128);

impl Names {
    /// No name.
    pub const NONE: Names = Names(0);
    /// Every name.
    pub const ALL: Names = Names(u128::MAX);

    /// Whether `name` is in it.
    pub fn has(self, name: EventName) -> bool {
        self.0 & (1 << name.place()) != 0
    }

    /// Adds `name`.
    pub fn add(&mut self, name: EventName) {
        self.0 |= 1 << name.place();
    }

    /// Takes `name` out.
    pub fn remove(&mut self, name: EventName) {
        self.0 &= !(1 << name.place());
    }

    /// What is in either.
    pub fn with(self, other: Names) -> Names {
        Names(self.0 | other.0)
    }

    /// True when nothing is in it.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Its two halves, for two atomic words.
    pub(super) fn halves(self) -> [u64; 2] {
        [self.0 as u64, (self.0 >> 64) as u64]
    }
}

impl EventName {
    /// The word of [`Names::halves`] this name is in, and its bit there.
    pub(super) fn bit(self) -> (usize, u64) {
        let place = self.place();
        ((place >> 6) as usize & 1, 1 << (place & 63))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_has_a_place_and_is_found() {
        assert_eq!(EventName::EVERY.len(), 93);
        for (at, name) in EventName::EVERY.iter().enumerate() {
            assert_eq!(name.place() as usize, at);
            assert_eq!(EventName::find(&name.as_str().to_ascii_lowercase()), Some(*name));
            let mut set = Names::NONE;
            set.add(*name);
            let (word, bit) = name.bit();
            assert!(set.has(*name) && set.halves()[word] == bit && Names::ALL.has(*name));
            set.remove(*name);
            assert!(set.is_empty());
        }
        assert_eq!(EventName::find("NO_SUCH"), None);
    }
}
