//! Profile parameters that FreeSWITCH has and tandem does not act on: known, so reported once and not as a mistake.

use crate::config::element::Element;
use crate::config::problem::Problem;
use crate::config::value::is_false;

/// How much someone who sets it misses it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Miss {
    /// It tunes FreeSWITCH's inside, or asks for what is so here anyway: a note.
    Little,
    /// It switches a feature on: a warning when it does, a note when it does not.
    Feature(&'static str),
}
use Miss::{Feature, Little};

const PRESENCE: Miss = Feature("presence");
const TLS: Miss = Feature("SIP over TLS");
const WS: Miss = Feature("SIP over WebSocket");
const MWI: Miss = Feature("message waiting lamps");

/// All of `config_sofia` that is not in `settings.rs`, and names of old trees that FreeSWITCH itself ignores.
const LATER: &[(&str, Miss)] = &[
    ("3pcc-reinvite-bridged-on-ack", Little),
    ("apply-candidate-acl", Little),
    ("apply-inbound-acl-x-token", Little),
    ("apply-proxy-acl-x-token", Little),
    ("auto-invite-100", Little),
    ("auto-jitterbuffer-msec", Feature("a jitter buffer")),
    ("auto-restart", Little),
    ("auto-rtp-bugs", Little),
    ("bind-params", Little),
    ("bitpacking", Little),
    ("blind-auth-reply-403", Little),
    ("channel-xml-fetch-on-nightmare-transfer", Little),
    ("cid-type", Little),
    ("cng-pt", Little),
    ("db-inner-post-trans-execute", Little),
    ("db-inner-pre-trans-execute", Little),
    ("db-post-trans-execute", Little),
    ("db-pre-trans-execute", Little),
    ("db-spin-up-wait-ms", Little),
    ("dbname", Little),
    ("debug", Little),
    ("delete-subs-on-register", Little),
    ("disable-naptr", Little),
    ("disable-srv", Little),
    ("disable-srv503", Little),
    ("enable-chat", Little),
    ("enable-compact-headers", Feature("compact headers")),
    ("enable-rfc-5626", Feature("outbound flows")),
    ("enable-soa", Little),
    ("enforce-blind-auth-result", Little),
    ("extended-info-parsing", Feature("commands in INFO")),
    ("fire-bye-response-events", Little),
    ("fire-message-events", Little),
    ("fire-transfer-events", Little),
    ("force-publish-expires", PRESENCE),
    ("forward-unsolicited-mwi-notify", MWI),
    ("in-dialog-chat", Feature("chat inside calls")),
    ("inbound-reg-in-new-thread", Little),
    ("keepalive-method", Little),
    ("make-every-transfer-a-nightmare", Little),
    ("manage-shared-appearance", Feature("shared line appearance")),
    ("manual-rtp-bugs", Feature("RTP work-arounds")),
    ("manual-video-rtp-bugs", Feature("RTP work-arounds")),
    ("max-auth-validity", Little),
    ("max-proceeding", Little),
    ("media-option", Feature("this way of handling media")),
    ("mwi-use-reg-callid", Little),
    ("ndlb-allow-bad-iananame", Little),
    ("ndlb-allow-crypto-in-avp", Little),
    ("ndlb-allow-nondup-sdp", Little),
    ("ndlb-broken-auth-hash", Little),
    ("ndlb-expires-in-register-response", Little),
    ("ndlb-proxy-never-patch-reinvites", Little),
    ("ndlb-sendrecv-in-session", Little),
    ("ndlb-support-asterisk-missing-srtp-auth", Little),
    ("odbc-dsn", Feature("registrations in a database")),
    ("p-asserted-id-parse", Little),
    ("parse-invite-tel-params", Little),
    ("ping-thread-frequency", Little),
    ("pnp-provision-url", Feature("plug and play provisioning")),
    ("presence-hosts", Little),
    ("presence-probe-on-register", PRESENCE),
    ("presence-proto-lookup", Little),
    ("profile-standby", Feature("a profile on stand-by")),
    ("proxy-hold", Feature("hold passed to the other leg")),
    ("proxy-info", Feature("INFO passed to the other leg as it is")),
    ("proxy-info-content-types", Little),
    ("proxy-message", Feature("MESSAGE passed to the other leg")),
    ("proxy-notify-events", Feature("NOTIFY passed to the other leg")),
    ("proxy-refer", Feature("REFER passed to the other leg")),
    ("proxy-refer-replaces", Feature("REFER passed to the other leg")),
    ("record-path", Little),
    ("record-template", Little),
    ("registration-thread-frequency", Little),
    ("renegotiate-codec-on-hold", Little),
    ("require-secure-rtp", Feature("SRTP")),
    ("reuse-connections", Little),
    ("rfc-7989", Feature("Session-ID")),
    ("rfc-7989-filter", Little),
    ("rfc-7989-force-old", Little),
    ("rtcp-audio-interval-msec", Little),
    ("rtcp-video-interval-msec", Little),
    ("rtp-autofix-timing", Little),
    ("rtp-autoflush-during-bridge", Little),
    ("rtp-digit-delay", Little),
    ("rtp-notimer-during-bridge", Little),
    ("rtp-rewrite-timestamps", Little),
    ("rtp-timer-name", Little),
    ("send-presence-on-register", PRESENCE),
    ("sip-capture", Feature("HEP capture")),
    ("sip-messages-respond-200-ok", Little),
    ("sip-subscribe-respond-200-ok", Little),
    ("sip-subscription-max-deviation", Little),
    ("socket-tcp-keepalive", Little),
    ("stun-auto-disable", Little),
    ("stun-enabled", Little),
    ("t38-passthru", Feature("T.38 fax")),
    ("tcp-always-nat", Little),
    ("tcp-keepalive", Little),
    ("tcp-ping2pong", Little),
    ("tcp-pingpong", Little),
    ("tls", TLS),
    ("tls-always-nat", Little),
    ("tls-bind-params", Little),
    ("tls-cert-dir", Little),
    ("tls-ciphers", Little),
    ("tls-only", TLS),
    ("tls-orq-connect-timeout", Little),
    ("tls-passphrase", Little),
    ("tls-sip-port", Little),
    ("tls-timeout", Little),
    ("tls-verify-date", Little),
    ("tls-verify-depth", Little),
    ("tls-verify-in-subjects", Little),
    ("tls-verify-policy", Little),
    ("tls-version", Little),
    ("track-calls", Feature("recovery of calls after a crash")),
    ("update-refresher", Little),
    ("use-port-for-acl-check", Feature("ports in access lists")),
    ("use-rtp-timer", Little),
    ("vad", Feature("silence detection")),
    ("watchdog-enabled", Little),
    ("watchdog-event-timeout", Little),
    ("watchdog-step-timeout", Little),
    ("ws-binding", WS),
    ("wss-binding", WS),
];

/// Parameters `settings.rs` acts on.
const ACTED_ON: &[&str] = &[
    "accept-blind-auth",
    "accept-blind-reg",
    "aggressive-nat-detection",
    "alias",
    "all-reg-options-ping",
    "allow-update",
    "apply-inbound-acl",
    "apply-nat-acl",
    "apply-proxy-acl",
    "apply-register-acl",
    "auth-all-packets",
    "auth-calls",
    "auth-calls-acl-only",
    "auth-messages",
    "auth-require-user",
    "auth-subscriptions",
    "bind-attempt-interval",
    "bind-attempts",
    "caller-id-type",
    "challenge-realm",
    "cid-in-1xx",
    "codec-prefs",
    "contact-user",
    "context",
    "dialplan",
    "disable-auth-messages",
    "disable-auth-subscriptions",
    "disable-hold",
    "disable-register",
    "disable-rtp-auto-adjust",
    "disable-transcoding",
    "disable-transfer",
    "dtmf-duration",
    "dtmf-type",
    "enable-100rel",
    "enable-3pcc",
    "enable-timer",
    "ext-rtp-ip",
    "ext-sip-ip",
    "ext-sip-port",
    "force-register-db-domain",
    "force-register-domain",
    "force-subscription-domain",
    "force-subscription-expires",
    "full-id-in-dialplan",
    "hold-music",
    "ignore-183nosdp",
    "inbound-bypass-media",
    "inbound-codec-negotiation",
    "inbound-codec-prefs",
    "inbound-late-negotiation",
    "inbound-no-media",
    "inbound-proxy-media",
    "inbound-reg-force-matching-username",
    "inbound-use-callid-as-uuid",
    "liberal-dtmf",
    "local-network-acl",
    "log-auth-failures",
    "manage-presence",
    "manual-redirect",
    "max-calls",
    "max-recv-requests-per-second",
    "max-registrations-per-extension",
    "minimum-session-expires",
    "multiple-registrations",
    "nat-options-ping",
    "ndlb-force-rport",
    "ndlb-received-in-nat-reg-contact",
    "nonce-ttl",
    "outbound-codec-prefs",
    "outbound-proxy",
    "outbound-use-uuid-as-callid",
    "parse-all-invite-headers",
    "pass-callee-id",
    "pass-rfc2833",
    "ping-mean-interval",
    "presence-disable-early",
    "presence-hold-state",
    "presence-privacy",
    "rfc2833-pt",
    "rfc8760-auth-algorithms",
    "rtp-hold-timeout-sec",
    "rtp-ip",
    "rtp-timeout-sec",
    "send-display-update",
    "send-message-query-on-register",
    "session-timeout",
    "shutdown-on-fail",
    "sip-domain",
    "sip-expires-late-margin",
    "sip-expires-max-deviation",
    "sip-force-expires",
    "sip-force-expires-max",
    "sip-force-expires-min",
    "sip-ip",
    "sip-options-respond-503-on-busy",
    "sip-port",
    "sip-trace",
    "sip-user-ping-max",
    "sip-user-ping-min",
    "suppress-cng",
    "supress-cng",
    "tcp-unreg-on-socket-close",
    "timer-t1",
    "timer-t1x64",
    "timer-t2",
    "timer-t4",
    "unregister-on-options-fail",
    "user-agent-filter",
    "user-agent-string",
    "username",
];

/// Every profile parameter name there is, in lower case.
pub fn known_names() -> impl Iterator<Item = &'static str> {
    ACTED_ON.iter().copied().chain(LATER.iter().map(|(name, _)| *name))
}

/// Collects the uses of [`LATER`] names over all profiles, so that each is reported once.
#[derive(Default)]
pub(super) struct Later {
    seen: Vec<(&'static str, Miss, bool, Problem, usize)>,
}

impl Later {
    /// Takes note of `name`; false when no such parameter exists.
    pub(super) fn note(&mut self, name: &str, element: &Element) -> bool {
        let Ok(index) = LATER.binary_search_by(|(known, _)| known.cmp(&name)) else { return false };
        let Some(&(known, miss)) = LATER.get(index) else { return false };
        let on = !is_false(element.attr("value").unwrap_or("").trim());
        let warns = on && miss != Little;
        if let Some(entry) =
            self.seen.iter_mut().find(|(name, _, warned, ..)| *name == known && *warned == warns)
        {
            entry.4 += 1;
            return true;
        }
        let at = element.attr_at("name");
        let problem = match miss {
            Feature(feature) if warns => {
                Problem::warning(at, format!("{known}: {feature} is not provided yet"))
            }
            _ => Problem::note(at, format!("{known} is known but not provided yet")),
        };
        self.seen.push((known, miss, warns, problem, 1));
        true
    }

    /// One problem for each name.
    pub(super) fn report(self, problems: &mut Vec<Problem>) {
        for (_, _, _, mut problem, count) in self.seen {
            match count {
                1 => {}
                2 => problem.message.push_str(" (and in one more place)"),
                _ => problem.message.push_str(&format!(" (and in {} more places)", count - 1)),
            }
            problems.push(problem);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_sorted_and_disjoint() {
        assert!(LATER.is_sorted_by_key(|(name, _)| *name));
        assert!(ACTED_ON.is_sorted());
        assert!(!LATER.iter().any(|(name, _)| ACTED_ON.contains(name)));
        assert!(known_names().all(|n| n == n.to_ascii_lowercase()));
    }

    #[test]
    fn settings_act_on_what_the_list_says() {
        // The names in the match arms of settings.rs and presence.rs, read from its text: the list above must be the same.
        let text = concat!(include_str!("settings.rs"), include_str!("presence.rs"));
        for name in ACTED_ON {
            assert!(
                text.contains(&format!("\"{name}\"")),
                "{name} is listed but settings.rs does not act on it"
            );
        }
    }
}
