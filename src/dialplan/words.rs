//! The application names dialplans use.

/// The applications that may run at hunt time (`inline="true"`): those FreeSWITCH flags SAF_ROUTING_EXEC.
pub const INLINE: &[&str] = &[
    "bridge_export",
    "check_acl",
    "cidlookup",
    "cng_plc",
    "curl",
    "curl_sendfile",
    "distributor",
    "early_hangup",
    "easyroute",
    "enum",
    "eval",
    "event",
    "export",
    "info",
    "lcr",
    "log",
    "lua",
    "multiset",
    "multiunset",
    "nibblebill",
    "novideo",
    "presence",
    "push",
    "set",
    "set_global",
    "set_media_stats",
    "set_profile_var",
    "set_user",
    "set_zombie_exec",
    "stop",
    "translate",
    "unset",
    "unshift",
    "verbose_events",
];

/// What is heard before the next thing happens, if there is a next thing.
const PROMPTS: [&str; 5] = ["gentones", "phrase", "playback", "say", "speak"];

/// Whether an application plays something and is done.
pub fn is_prompt(application: &str) -> bool {
    PROMPTS.iter().any(|name| name.eq_ignore_ascii_case(application))
}

/// Whether an application may run at hunt time.
pub fn is_inline(application: &str) -> bool {
    INLINE.iter().any(|name| name.eq_ignore_ascii_case(application))
}

/// The names of FreeSWITCH's applications, separated by blanks.
const FREESWITCH: &str = "acknowledge_call answer att_xfer avmd avmd_start avmd_stop bert_test bgsystem bind_digit_action \
    bind_meta_app blind_transfer_ack block_dtmf break bridge bridge_export broadcast callcenter \
    callcenter_track capture capture_text capture_video check_acl chromakey cidlookup clear_digit_action \
    clear_speech_cache cng_plc conference conference_set_auto_outcall curl curl_sendfile db debug_media \
    decode_video deduplicate_dtmf deflect delay_echo detect_audio detect_silence detect_speech \
    digit_action_set_realm directory displace_session distributor early_hangup easyroute eavesdrop echo \
    enable_heartbeat enable_keepalive endless_playback enum erlang erlang_sendmsg esf_page_group eval \
    event execute_extension export fax_detect fifo fifo_track_call filter_codecs flush_dtmf fsk_display \
    fsk_recv fsk_send fsk_simplify gentones group hangup hash hold httapi info intercept ivr java \
    javascript jitterbuffer lcr limit limit_execute limit_hash limit_hash_execute log loop_playback lua \
    media_reset mkdir multiset multiunset mutex native_eavesdrop nibblebill novideo page park park_state \
    perl phrase pickup play_and_detect_speech play_and_get_digits play_fsv play_video play_yuv playback \
    pre_answer preprocess presence privacy push python queue_dtmf read record record_fsv record_session \
    record_session_mask record_session_pause record_session_resume record_session_unmask \
    recovery_refresh redirect remove_bugs rename respond reuse_caller_profile ring_ready rxfax say \
    sched_broadcast sched_cancel sched_hangup sched_heartbeat sched_transfer send_display send_dtmf \
    send_info session_loglevel set set_audio_level set_global set_media_stats set_mute set_name \
    set_profile_var set_user set_zombie_exec skinny-drop skinny-process skinny-wait sleep snapshot \
    socket sofia_sla sofia_stir_shaken_vs soft_hold sound_test spandsp_detect_tdd spandsp_inject_tdd \
    spandsp_send_tdd spandsp_start_dtmf spandsp_start_fax_detect spandsp_start_tone_detect \
    spandsp_stop_detect_tdd spandsp_stop_dtmf spandsp_stop_fax_detect spandsp_stop_inject_tdd \
    spandsp_stop_tone_detect speak start_dtmf start_dtmf_generate stop stop_displace_session stop_dtmf \
    stop_dtmf_generate stop_record_session stop_tone_detect stop_video_write_overlay stopfax strftime \
    system t38_gateway three_way tone_detect transfer transfer_vars translate txfax unbind_meta_app \
    unblock_dtmf unhold unloop unset unshift userspy vad_test valet_park verbose_events video_decode \
    video_refresh video_replace video_write_overlay vmd voicemail voicemail_ivr wait_for_answer \
    wait_for_silence wait_for_video_ready";

/// The names of the applications FreeSWITCH and its modules have.
pub fn freeswitch_applications<'a>() -> impl Iterator<Item = &'a str> {
    FREESWITCH.split_ascii_whitespace()
}
