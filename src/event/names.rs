//! The names of events, as FreeSWITCH's `switch_types.h` and its users spell them.

/// What kind of thing happened.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Hash)]
pub enum EventName {
    /// A leg came to be.
    ChannelCreate,
    /// A leg's SIP dialog made progress without media (180).
    ChannelProgress,
    /// A leg has early media (183 with a description).
    ChannelProgressMedia,
    /// A leg was originated by this switch.
    ChannelOriginate,
    /// A leg was answered.
    ChannelAnswer,
    /// Two legs were joined.
    ChannelBridge,
    /// Two legs were parted.
    ChannelUnbridge,
    /// A dialplan application starts.
    ChannelExecute,
    /// A dialplan application has ended.
    ChannelExecuteComplete,
    /// The far end put the leg on hold.
    ChannelHold,
    /// The far end took the leg off hold.
    ChannelUnhold,
    /// A leg waits parked.
    ChannelPark,
    /// A leg waits no longer.
    ChannelUnpark,
    /// A leg is hung up, its variables not final yet.
    ChannelHangup,
    /// A leg is hung up and its record is complete.
    ChannelHangupComplete,
    /// A leg is gone.
    ChannelDestroy,
    /// A leg is still there (`sched_heartbeat`).
    SessionHeartbeat,
    /// Something is to be done later.
    AddSchedule,
    /// It was done, and is to be done again.
    ReSchedule,
    /// It was done, or is not to be done any more.
    DelSchedule,
    /// A digit was pressed.
    Dtmf,
    /// The configuration was read again.
    ReloadXml,
    /// The switch is up.
    Startup,
    /// The switch goes down.
    Shutdown,
    /// An event whose meaning is in its subclass (`sofia::register`, `tandem::media_verdict`, …).
    Custom(&'static str),
}

impl EventName {
    /// The name as it stands in `Event-Name`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ChannelCreate => "CHANNEL_CREATE",
            Self::ChannelProgress => "CHANNEL_PROGRESS",
            Self::ChannelProgressMedia => "CHANNEL_PROGRESS_MEDIA",
            Self::ChannelOriginate => "CHANNEL_ORIGINATE",
            Self::ChannelAnswer => "CHANNEL_ANSWER",
            Self::ChannelBridge => "CHANNEL_BRIDGE",
            Self::ChannelUnbridge => "CHANNEL_UNBRIDGE",
            Self::ChannelExecute => "CHANNEL_EXECUTE",
            Self::ChannelExecuteComplete => "CHANNEL_EXECUTE_COMPLETE",
            Self::ChannelHold => "CHANNEL_HOLD",
            Self::ChannelUnhold => "CHANNEL_UNHOLD",
            Self::ChannelPark => "CHANNEL_PARK",
            Self::ChannelUnpark => "CHANNEL_UNPARK",
            Self::ChannelHangup => "CHANNEL_HANGUP",
            Self::ChannelHangupComplete => "CHANNEL_HANGUP_COMPLETE",
            Self::ChannelDestroy => "CHANNEL_DESTROY",
            Self::SessionHeartbeat => "SESSION_HEARTBEAT",
            Self::AddSchedule => "ADD_SCHEDULE",
            Self::ReSchedule => "RE_SCHEDULE",
            Self::DelSchedule => "DEL_SCHEDULE",
            Self::Dtmf => "DTMF",
            Self::ReloadXml => "RELOADXML",
            Self::Startup => "STARTUP",
            Self::Shutdown => "SHUTDOWN",
            Self::Custom(_) => "CUSTOM",
        }
    }
}
