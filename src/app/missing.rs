//! Applications of FreeSWITCH that tandem does not provide yet, and names nobody knows.
//!
//! What only adds to a call (a feature key, a counter, a note in a database) is left out with a warning and the
//! call goes on; what *is* the call (a conference, the prompt it ends with) cannot be left out: the caller gets 501. A name that
//! FreeSWITCH does not know either ends the call as it does there.

use crate::channel::{Cause, Leg};
use crate::config::Position;
use crate::dialplan::{Action, words};
use tracing::warn;

/// Applications without which the rest of an extension still makes sense.
pub const LEFT_OUT: &[&str] = &[
    "capture_text",
    "cng_plc",
    #[cfg(not(feature = "curl"))]
    "curl",
    "debug_media",
    "deduplicate_dtmf",
    "detect_audio",
    "displace_session",
    "early_hangup",
    "enable_keepalive",
    "event",
    "fax_detect",
    "filter_codecs",
    "flush_dtmf",
    "hold",
    "jitterbuffer",
    "media_reset",
    "mutex",
    "novideo",
    "presence",
    "queue_dtmf",
    "record_session",
    "record_session_mask",
    "record_session_pause",
    "record_session_resume",
    "record_session_unmask",
    "recovery_refresh",
    "remove_bugs",
    "rename",
    "ringback",
    "send_display",
    "send_dtmf",
    "session_loglevel",
    "set_audio_level",
    "set_media_stats",
    "set_mute",
    "set_zombie_exec",
    "soft_hold",
    "start_dtmf",
    "start_dtmf_generate",
    "stop_displace_session",
    "stop_dtmf",
    "stop_dtmf_generate",
    "stop_record_session",
    "stop_tone_detect",
    "tone_detect",
    "unhold",
    "unloop",
    "vad_test",
    "wait_for_silence",
];

/// True for the name of an application that FreeSWITCH has.
pub(super) fn is_known(name: &str) -> bool {
    words::freeswitch_applications().any(|known| known.eq_ignore_ascii_case(name))
}

/// What happens instead in the middle of a call, which goes on. True when the rest makes no sense without it.
pub fn run_within(leg: &mut Leg, name: &str, data: &str) -> bool {
    if LEFT_OUT.iter().any(|known| known.eq_ignore_ascii_case(name)) {
        warn!(
            "{} {}: {name}({data}) is not provided yet and left out; the call goes on",
            leg.uuid,
            leg.name()
        );
    } else if is_known(name) {
        warn!(
            "{} {}: {name}({data}) is not provided yet; what runs is given up here, the call goes on",
            leg.uuid,
            leg.name()
        );
        return true;
    } else {
        warn!("{} {}: invalid application {name}", leg.uuid, leg.name());
        leg.hangup(Cause::DESTINATION_OUT_OF_ORDER);
    }
    false
}

/// Whether a call that comes to `name` goes on without it, when `rest` is what would follow.
///
/// A prompt before something else is left out, as one whose file is missing is in FreeSWITCH; the last one *is* the call.
fn is_left_out<'a>(name: &str, mut rest: impl Iterator<Item = &'a Action>) -> bool {
    let ends = |action: &&Action| action.application.eq_ignore_ascii_case("hangup");
    LEFT_OUT.iter().any(|known| known.eq_ignore_ascii_case(name))
        || words::is_prompt(name)
            && rest.find(|action| !words::is_prompt(&action.application)).is_some_and(|next| !ends(&next))
}

/// What happens instead; `rest` is what would follow.
pub fn run<'a>(leg: &mut Leg, name: &str, data: &str, at: &Position, rest: impl Iterator<Item = &'a Action>) {
    if is_left_out(name, rest) {
        warn!("{} {}: {at}: {name}({data}) is not provided yet and left out", leg.uuid, leg.name());
    } else if is_known(name) {
        warn!("{} {}: {at}: {name}({data}) is not provided yet; the caller gets 501", leg.uuid, leg.name());
        leg.hangup(Cause::SERVICE_NOT_IMPLEMENTED);
    } else {
        warn!("{} {}: {at}: invalid application {name}", leg.uuid, leg.name());
        leg.hangup(Cause::DESTINATION_OUT_OF_ORDER);
    }
}
