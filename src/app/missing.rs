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

/// What becomes of a call that what it comes to is not provided for.
pub(super) fn end_of(leg: &Leg) -> &'static str {
    if leg.is_answered() {
        "the call is ended (SERVICE_NOT_IMPLEMENTED)"
    } else if leg.variables.is_true("is_loopback") {
        "the loopback is refused (SERVICE_NOT_IMPLEMENTED), the call goes on as after any bridge that failed"
    } else {
        "the caller gets 501"
    }
}

/// What happens instead; `rest` is what would follow.
pub fn run<'a>(leg: &mut Leg, name: &str, data: &str, at: &Position, rest: impl Iterator<Item = &'a Action>) {
    if is_left_out(name, rest) {
        warn!("{} {}: {at}: {name}({data}) is not provided yet and left out", leg.uuid, leg.name());
    } else if is_known(name) {
        let what = end_of(leg);
        warn!("{} {}: {at}: {name}({data}) is not provided yet; {what}", leg.uuid, leg.name());
        leg.hangup(Cause::SERVICE_NOT_IMPLEMENTED);
    } else {
        warn!("{} {}: {at}: invalid application {name}", leg.uuid, leg.name());
        leg.hangup(Cause::DESTINATION_OUT_OF_ORDER);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::table;

    /// What mod_dptools.c registers, and what else the vanilla configuration's dialplan calls.
    const NAMES: &str = "acknowledge_call answer att_xfer bgsystem bind_digit_action bind_meta_app \
        blind_transfer_ack block_dtmf break bridge bridge_export broadcast capture capture_text check_acl \
        clear_digit_action clear_speech_cache cng_plc debug_media deduplicate_dtmf deflect delay_echo detect_audio \
        detect_silence detect_speech digit_action_set_realm displace_session early_hangup eavesdrop echo \
        enable_heartbeat enable_keepalive endless_playback eval event execute_extension export fax_detect \
        filter_codecs flush_dtmf gentones hangup hold info intercept ivr jitterbuffer limit limit_execute limit_hash \
        limit_hash_execute log loop_playback media_reset mkdir multiset multiunset mutex native_eavesdrop novideo \
        page park park_state phrase pickup play_and_detect_speech play_and_get_digits playback pre_answer preprocess \
        presence privacy push queue_dtmf read record record_session record_session_mask record_session_pause \
        record_session_resume record_session_unmask recovery_refresh redirect remove_bugs rename respond \
        reuse_caller_profile ring_ready say sched_broadcast sched_cancel sched_hangup sched_heartbeat sched_transfer \
        send_display send_dtmf send_info session_loglevel set set_audio_level set_global set_media_stats set_mute \
        set_name set_profile_var set_user set_zombie_exec sleep soft_hold sound_test speak start_dtmf \
        start_dtmf_generate stop stop_displace_session stop_dtmf stop_dtmf_generate stop_record_session \
        stop_tone_detect stop_video_write_overlay strftime system three_way tone_detect transfer transfer_vars \
        unbind_meta_app unblock_dtmf unhold unset unshift vad_test verbose_events video_decode video_refresh \
        video_write_overlay wait_for_answer wait_for_silence wait_for_video_ready \
        conference conference_set_auto_outcall db esf_page_group fifo group hash javascript lua play_fsv record_fsv \
        rxfax skinny-drop skinny-process skinny-wait spandsp_start_dtmf txfax valet_park voicemail";

    #[test]
    fn every_application_runs_or_is_refused_by_its_name() {
        for name in NAMES.split_ascii_whitespace() {
            assert!(table::find(name).is_some() || is_known(name), "{name} would be an invalid application");
        }
        for application in table::names() {
            let left_out = LEFT_OUT.contains(&application);
            assert!(!left_out, "{application} runs, and is called one that does not");
        }
        assert!(!is_known("no_such_application") && table::find("no_such_application").is_none());
    }
}
