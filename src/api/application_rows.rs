//! What each application is for, as `show application` tells it: FreeSWITCH's module and syntax, and a few words.

/// One application.
pub(super) struct Application {
    /// Its name in the dialplan.
    pub(super) name: &'static str,
    /// The module of FreeSWITCH that has it.
    pub(super) module: &'static str,
    /// Its data, as FreeSWITCH writes it down.
    pub(super) syntax: &'static str,
    /// What it is for.
    pub(super) about: &'static str,
}

const fn of(
    module: &'static str,
    name: &'static str,
    syntax: &'static str,
    about: &'static str,
) -> Application {
    Application { name, module, syntax, about }
}

const fn tool(name: &'static str, syntax: &'static str, about: &'static str) -> Application {
    of("mod_dptools", name, syntax, about)
}

/// The application of that name.
pub(super) fn application(name: &str) -> Option<&'static Application> {
    APPLICATIONS.iter().find(|application| application.name == name)
}

/// All of them, by name.
const APPLICATIONS: &[Application] = &[
    tool("acknowledge_call", "", "tell the caller that the call was taken note of"),
    tool("answer", "", "answer the call"),
    tool("att_xfer", "<channel_url>", "transfer with a talk before"),
    tool("bgsystem", "<command>", "run a command of the machine, beside"),
    tool(
        "bind_digit_action",
        "<realm>,<digits|~regex>,<string>[,<value>][,<dtmf target leg>][,<event target leg>]",
        "let digits do something",
    ),
    tool("bind_meta_app", "<key> [a|b|ab] [a|b|o|s|i|1] <app>", "let * and a key run an application"),
    tool("block_dtmf", "", "keep digits from the other side"),
    tool("bridge", "<channel_url>", "call somebody, and connect the two"),
    tool("bridge_export", "<varname>=<value>", "set a variable here and on what is bridged later"),
    tool("capture", "<varname>|<data>|<regex>", "set a variable to what a pattern matches"),
    tool("check_acl", "<ip> <acl | cidr> [<hangup_cause>]", "end the call when a list keeps an address out"),
    tool("clear_digit_action", "<realm>|all[,target]", "forget what digits do"),
    of(
        "mod_curl",
        "curl",
        "curl url [headers|json|content-type <mime-type>|connect-timeout <seconds>|timeout <seconds>] \
         [get|head|post|delete|put [data]]",
        "ask a web server",
    ),
    of("mod_db", "db", "[insert|delete]/<realm>/<key>/<val>", "keep values in the database"),
    tool("deflect", "<deflect_data>", "send an answered call elsewhere by REFER"),
    tool("digit_action_set_realm", "<realm>[,<target>]", "choose which digits do something"),
    tool("echo", "", "let the caller hear itself"),
    tool("enable_heartbeat", "[0|<seconds>]", "an event every so many seconds of media"),
    tool("eval", "", "nothing but what its expansion does"),
    tool("event", "", "send an event"),
    tool("execute_extension", "<extension> <dialplan> <context>", "run an extension and come back"),
    tool("export", "<varname>=<value>", "set a variable here and on what is called from here"),
    of(
        "mod_fifo",
        "fifo",
        "<fifo name>[!<importance_number>] [in [<announce file>|undef] [<music file>|undef] [early|noans] | out [wait|nowait] \
         [<announce file>|undef] [<music file>|undef]]",
        "wait in a queue, or serve one",
    ),
    of("mod_db", "group", "[insert|delete]:<group name>:<val>", "keep groups of dial strings"),
    tool("hangup", "[<cause>]", "end the call"),
    of(
        "mod_hash",
        "hash",
        "[insert|insert_ifempty|delete|delete_ifmatch]/<realm>/<key>/<val>",
        "keep values in memory",
    ),
    tool("info", "", "log all that is known of the call"),
    tool("intercept", "[-bleg] <uuid>", "take over another channel's partner"),
    tool(
        "limit",
        "<backend> <realm> <id> [<max>[/interval]] [number [dialplan [context]]]",
        "count calls, and send those above a limit elsewhere",
    ),
    tool(
        "limit_execute",
        "<backend> <realm> <id> <max>[/interval] <application> [application arguments]",
        "run an application below a limit only",
    ),
    of(
        "mod_hash",
        "limit_hash",
        "<realm> <id> [<max>[/interval]] [number [dialplan [context]]]",
        "limit with the backend hash",
    ),
    of(
        "mod_hash",
        "limit_hash_execute",
        "<realm> <id> <max>[/interval] <application> [application arguments]",
        "limit_execute with the backend hash",
    ),
    tool("log", "<log_level> <log_string>", "write a line into the log"),
    tool("mkdir", "<path>", "not provided: a dialplan makes no folders"),
    tool("multiset", "[^^<delim>]<varname>=<value> <var2>=<val2>", "set several variables"),
    tool("multiunset", "[^^<delim>]<varname> <var2> <var3>", "forget several variables"),
    tool("park", "", "wait for orders"),
    tool("pickup", "[<key>]", "answer what rings for a key"),
    tool("pickup_wait", "[<key>]", "wait until somebody picks the call up"),
    tool("pre_answer", "", "open the media before the answer"),
    tool("privacy", "off|on|name|full|number", "hide the caller's number, its name or both"),
    tool("push", "<varname>=<value>", "add a value at the end of a variable"),
    tool("redirect", "<redirect_data>", "send the caller elsewhere by 302, or by REFER once answered"),
    tool("respond", "<respond_data>", "refuse the call with a SIP status"),
    tool("ring_ready", "", "let the caller hear that it rings"),
    tool("sched_broadcast", "[+]<time> <path> [aleg|bleg|both]", "run something on the call later"),
    tool("sched_cancel", "[group]", "forget what was to happen later"),
    tool("sched_hangup", "[+]<time> [<cause>]", "end the call later"),
    tool("sched_heartbeat", "[0|<seconds>]", "an event every so many seconds"),
    tool("sched_transfer", "[+]<time> <extension> <dialplan> <context>", "transfer the call later"),
    tool("send_display", "<text>", "have the phone show another name"),
    tool("send_info", "<info>", "send a SIP INFO"),
    tool("set", "<varname>=<value>", "set a variable"),
    tool("set_global", "<varname>=<value>", "set a global variable"),
    tool("set_name", "<name>", "name the channel"),
    tool("set_profile_var", "<varname>=<value>", "change what is known of the caller"),
    tool("set_user", "<user>@<domain> [prefix]", "take over a user's variables"),
    tool("sleep", "<pausemilliseconds>", "wait"),
    of("mod_event_socket", "socket", "<ip>[:<port>]", "give the call to a program"),
    tool("stop", "", "nothing but what its expansion does"),
    tool("system", "<command>", "run a command of the machine"),
    tool("transfer", "<exten> [<dialplan> <context>]", "send the call to another extension"),
    tool("transfer_vars", "<~variable_prefix|variable>", "give variables to the bridged channel"),
    tool("unbind_meta_app", "[<key>]", "forget what * and a key run"),
    tool("unblock_dtmf", "", "let digits through again"),
    tool("unset", "<varname>", "forget a variable"),
    tool("unshift", "<varname>=<value>", "add a value at the front of a variable"),
    of(
        "mod_valet_parking",
        "valet_park",
        "<lotname> <extension>|[ask [<min>] [<max>] [<to>] [<prompt>]|auto [in|out] [min] [max]]",
        "park the call in a slot, or fetch it there",
    ),
    tool("verbose_events", "", "put every variable into this channel's events"),
    tool("wait_for_answer", "", "wait until the call is answered"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app;

    #[test]
    fn every_application_stands_here_once_and_no_other() {
        let here: Vec<_> = APPLICATIONS.iter().map(|application| application.name).collect();
        assert!(here.is_sorted_by(|a, b| a < b), "by name, none twice");
        let there = app::names();
        assert_eq!(there.iter().find(|name| !here.contains(name)), None, "has no description");
        let gone = |name: &&&str| !there.contains(name) && (cfg!(feature = "curl") || **name != "curl");
        assert_eq!(here.iter().find(gone), None, "is no application");
    }
}
