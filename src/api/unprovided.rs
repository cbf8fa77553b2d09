//! FreeSWITCH's commands that are not there: each says so by name, and why.

use super::command::{Command, now};
use super::desk::Desk;

/// A command that is refused: its name, FreeSWITCH's usage, and why.
macro_rules! refused {
    ($($name:literal, $usage:literal, $why:literal;)*) => {
        pub(super) const COMMANDS: &[Command] = &[$(now($name, $usage, concat!("not provided: ", $why), {
            fn refuse(_: &Desk, _: &str) -> String {
                concat!("-ERR ", $name, " is not provided: ", $why, "\n").to_owned()
            }
            refuse
        })),*];
    };
}

refused! {
    "banner", "", "nothing is printed at the start";
    "chat", "<proto>|<from>|<to>|<message>|[<content-type>]", "there is no chat beside calls (uuid_chat sends a text in one)";
    "cidlookup", "status|number [skipurl] [skipcitystate] [verbose]", "no directory of numbers is asked";
    "db_cache", "status", "there is no database to keep connections to";
    "event_channel_broadcast", "<channel> <json>", "there are no event channels";
    "getcputime", "[reset]", "use the machine's own tools";
    "gethost", "<hostname>", "use the machine's own tools";
    "host_lookup", "<hostname>", "use the machine's own tools";
    "interface_allowlist_dump", "", "interfaces cannot be left out";
    "memory", "memory", "use the machine's own tools";
    "page", "(var1=val1,var2=val2)<var1=val1,var2=val2><chan1>[:_:<chanN>]", "no sound is played yet";
    "pause", "<uuid> <on|off>", "no sound is played yet";
    "pool_stats", "", "there are no memory pools";
    "reloadcert", "", "there is no TLS yet";
    "sched_record", "<uuid> <path>", "nothing is recorded yet";
    "sofia_dig", "<url>", "use the machine's own tools";
    "stun", "<stun_server>[:port] [<source_ip>[:<source_port]]", "set ext-sip-ip and ext-rtp-ip";
    "timer_test", "<10|20|40|60|120> [<1..200>] [<timer_name>]", "there are no timers to choose from (time_test)";
    "tone_detect", "<uuid> <key> <tone_spec> [<flags> <timeout> <app> <args> <hits>]", "nothing listens to sound yet";
    "uuid_audio", "<uuid> [start [read|write] [mute|level <level>]|stop]", "sound is relayed, not changed";
    "uuid_capture_text", "<uuid> <on|off>", "there is no real-time text";
    "uuid_codec_debug", "<uuid> audio|video <level>", "nothing is encoded here";
    "uuid_codec_param", "<uuid> audio|video read|write <param> <val>", "nothing is encoded here";
    "uuid_debug_media", "<uuid> <read|write|both|vread|vwrite|vboth|all> <on|off>", "packets are not logged one by one";
    "uuid_displace", "<uuid> [start|stop] <path> [<limit>] [mux]", "no sound is played yet";
    "uuid_drop_dtmf", "<uuid> [on | off ] [ mask_digits <digits> | mask_file <file>]", "digits are not masked";
    "uuid_early_ok", "<uuid>", "early media are decided on when they begin";
    "uuid_fileman", "<uuid> <cmd>:<val>", "no sound is played yet";
    "uuid_jitterbuffer", "<uuid> [0|<min_msec>[:<max_msec>]]", "packets are relayed as they come";
    "uuid_loglevel", "<uuid> <level>", "the log has one level for all (fsctl loglevel)";
    "uuid_media_3p", "[off] <uuid>", "uuid_media does that with one offer to each side";
    "uuid_media_params", "<uuid> <json>", "video is relayed as it comes";
    "uuid_outgoing_answer", "<uuid>", "a called channel is answered by its far end alone";
    "uuid_pause", "<uuid> <on|off>", "no sound is played yet";
    "uuid_preprocess", "<>", "sound is relayed, not changed";
    "uuid_record", "<uuid> [start|stop|mask|unmask] <path> [<limit>] [<recording_vars>]", "nothing is recorded yet";
    "uuid_recovery_refresh", "<uuid> <uri>", "calls are not recovered after a restart";
    "uuid_send_text", "<uuid> <text>", "there is no real-time text";
    "uuid_set_media_stats", "<uuid>", "statistics become variables when the call ends";
    "uuid_simplify", "<uuid>", "the switch stays in every call it makes";
    "uuid_video_bandwidth", "<uuid> <bitrate>", "video is relayed as it comes";
    "uuid_video_bitrate", "<uuid> <bitrate>", "video is relayed as it comes";
    "uuid_video_refresh", "<uuid> [auto|manual]", "video is relayed as it comes";
    "uuid_xfer_zombie", "<uuid>", "a call whose caller is gone is given up";
    "uuid_zombie_exec", "<uuid>", "nothing runs on a channel that is hung up";
    "xml_flush_cache", "<id> <key> <val>", "no configuration is cached";
}
