//! `<settings>` of a profile and of `sofia.conf`: each parameter to its field.

use crate::config::element::Element;
use crate::config::problem::Problem;
use crate::config::suggest::nearest;
use crate::config::value::{Value, is_true};
use crate::sdp::{Negotiation, Prefs};
use crate::sip::digest::Algorithm;

use super::address::{Address, External};
use super::later::{self, Later};
use super::parts::{AclRef, InboundAcl};
use super::profile::{
    CallerIdType, DtmfType, MultipleRegistrations, ProfileConf, Realm, Rport, SofiaGlobals, ThreePcc,
    UserAgent,
};

/// Entries of one ACL parameter that count, as in FreeSWITCH.
const MAX_ACLS: usize = 100;
/// Addresses of `rtp-ip` that count, as in FreeSWITCH.
const MAX_RTP_IPS: usize = 50;
const ANY: u64 = u32::MAX as u64;
const DAY: u64 = 86_400;

/// Takes every `<param>` of `settings` in order; the last of a name counts, ACLs and `rtp-ip` add up.
pub(super) fn apply(
    conf: &mut ProfileConf,
    settings: &Element,
    later: &mut Later,
    problems: &mut Vec<Problem>,
) {
    for child in &settings.children {
        if &*child.name == "param" && child.attr("name").is_none() {
            problems.push(
                Problem::warning(&child.at, "<param> has no name")
                    .hint("write <param name=\"sip-port\" value=\"5060\"/>"),
            );
        } else if &*child.name == "param" && child.attr("value").is_none() {
            problems.push(
                Problem::warning(
                    &child.at,
                    format!("parameter {} has no value", child.attr("name").unwrap_or("")),
                )
                .hint("write value=\"…\""),
            );
        } else if &*child.name != "param" && !child.name.to_ascii_lowercase().starts_with("x-") {
            let problem =
                Problem::warning(&child.at, format!("<{}> means nothing in <settings>", child.name));
            problems.push(match nearest(&child.name, ["param"]) {
                Some(near) => problem.hint(format!("did you mean <{near}>?")),
                None => problem.hint("only <param name= value=/> stands here"),
            });
        }
    }
    for (name, _, element) in settings.params() {
        let mut value = Value::of(element, problems);
        let name = name.trim().to_ascii_lowercase();
        if address(conf, &name, &mut value)
            || call(conf, &name, &mut value)
            || admission(conf, &name, &mut value)
            || media(conf, &name, &mut value)
            || signalling(conf, &name, &mut value)
            || conf.presence.take(&name, &mut value)
            || conf.ping.take(&name, &mut value)
        {
            continue;
        }
        if !later.note(&name, element) {
            let problem =
                Problem::warning(element.attr_at("name"), format!("a SIP profile has no parameter {name}"));
            problems.push(match nearest(&name, later::known_names()) {
                Some(near) => problem.hint(format!("did you mean {near}?")),
                None => problem.hint("it does nothing; remove it"),
            });
        }
    }
    if conf.inbound_bypass_media {
        conf.inbound_late_negotiation = true;
    }
}

fn address(conf: &mut ProfileConf, name: &str, value: &mut Value<'_>) -> bool {
    match name {
        "sip-ip" => {
            if let Some(read) = Address::read(value) {
                conf.sip_ip = read;
            }
        }
        "rtp-ip" => {
            if conf.rtp_ip.len() >= MAX_RTP_IPS {
                value.doubt(format!("more than {MAX_RTP_IPS} rtp-ip; this one is not used"), "remove some");
            } else if let Some(read) = Address::read(value) {
                conf.rtp_ip.push(read);
            }
        }
        "sip-port" if value.text.eq_ignore_ascii_case("auto") || value.text == "0" => conf.sip_port = None,
        "sip-port" if value.text.is_empty() => {
            value.doubt("sip-port is empty; 5060 is taken", "write a port, or auto");
        }
        "sip-port" => {
            let mut port = 5060;
            value.port(&mut port);
            conf.sip_port = Some(port);
        }
        "ext-sip-ip" => conf.ext_sip_ip = External::read(value),
        "ext-rtp-ip" => conf.ext_rtp_ip = External::read(value),
        "ext-sip-port" => {
            let mut port = 0;
            value.port(&mut port);
            conf.ext_sip_port = (port > 0).then_some(port);
        }
        "sip-domain" => value.text(&mut conf.sip_domain),
        "local-network-acl" if value.text.eq_ignore_ascii_case("none") => conf.local_network_acl = None,
        "local-network-acl" => value.text(&mut conf.local_network_acl),
        "apply-nat-acl" => acl(&mut conf.apply_nat_acl, value),
        "alias" if !value.text.is_empty() => conf.aliases.push(value.text.to_owned()),
        "alias" => {}
        "ndlb-force-rport" => {
            let words = [
                ("safe", Rport { server: 3, client: true }),
                ("disabled", Rport { server: 0, client: false }),
                ("client-only", Rport { server: conf.force_rport.server, client: true }),
                ("server-only", Rport { server: 1, client: false }),
            ];
            match words.iter().find(|(word, _)| value.text.eq_ignore_ascii_case(word)) {
                Some((_, rport)) => conf.force_rport = *rport,
                None if value.is_on() => conf.force_rport = Rport { server: 2, client: true },
                None => {}
            }
        }
        "ndlb-received-in-nat-reg-contact" => value.flag(&mut conf.received_in_nat_reg_contact),
        "aggressive-nat-detection" => value.flag(&mut conf.aggressive_nat_detection),
        "outbound-proxy" => value.text(&mut conf.outbound_proxy),
        "bind-attempts" => value.number(1..=100, &mut conf.bind_attempts),
        "bind-attempt-interval" => value.number(0..=3600, &mut conf.bind_attempt_interval),
        "shutdown-on-fail" => {
            // FreeSWITCH also has words for how to stop; any of them means yes.
            conf.shutdown_on_fail =
                is_true(value.text) || matches!(value.text, "elegant" | "asap" | "now" | "restart");
        }
        _ => return false,
    }
    true
}

fn call(conf: &mut ProfileConf, name: &str, value: &mut Value<'_>) -> bool {
    match name {
        "context" if value.text.is_empty() => {
            value.doubt("context is empty; default is taken", "name a context")
        }
        "context" => conf.context = value.text.to_owned(),
        "dialplan" if value.text.is_empty() => value.doubt("dialplan is empty; XML is taken", "write XML"),
        "dialplan" => {
            conf.dialplan = value.text.to_owned();
            for plan in conf.dialplan.clone().split(',').map(str::trim) {
                if !matches!(
                    plan.to_ascii_lowercase().as_str(),
                    "xml" | "inline" | "enum" | "asterisk" | "lua" | ""
                ) {
                    value.doubt(format!("there is no dialplan {plan}"), "XML is provided");
                }
            }
        }
        "codec-prefs" => {
            conf.inbound_codec_prefs = prefs(value);
            conf.outbound_codec_prefs.clone_from(&conf.inbound_codec_prefs);
        }
        "inbound-codec-prefs" => conf.inbound_codec_prefs = prefs(value),
        "outbound-codec-prefs" => conf.outbound_codec_prefs = prefs(value),
        "inbound-codec-negotiation" => match Negotiation::named(value.text) {
            Some(negotiation) => conf.inbound_codec_negotiation = negotiation,
            None => value.wrong(
                format!("inbound-codec-negotiation is `{}`", value.text),
                "write one of generous, greedy, scrooge",
            ),
        },
        "inbound-late-negotiation" => value.flag(&mut conf.inbound_late_negotiation),
        "inbound-bypass-media" | "inbound-no-media" => value.flag(&mut conf.inbound_bypass_media),
        "inbound-proxy-media" => value.flag(&mut conf.inbound_proxy_media),
        "disable-transcoding" => value.flag(&mut conf.disable_transcoding),
        "max-calls" => value.limit(&mut conf.max_calls),
        "caller-id-type" => {
            let words =
                [("rpid", CallerIdType::Rpid), ("pid", CallerIdType::Pid), ("none", CallerIdType::None)];
            value.one_of(&words, &mut conf.caller_id_type);
        }
        "pass-callee-id" => value.flag(&mut conf.pass_callee_id),
        "cid-in-1xx" => value.flag(&mut conf.cid_in_1xx),
        "full-id-in-dialplan" => value.flag(&mut conf.full_id_in_dialplan),
        "parse-all-invite-headers" => value.flag(&mut conf.parse_all_invite_headers),
        "inbound-use-callid-as-uuid" => value.flag(&mut conf.inbound_use_callid_as_uuid),
        "outbound-use-uuid-as-callid" => value.flag(&mut conf.outbound_use_uuid_as_callid),
        "confirm-blind-transfer" => value.flag(&mut conf.confirm_blind_transfer),
        "disable-transfer" => value.flag(&mut conf.disable_transfer),
        "disable-hold" => value.flag(&mut conf.disable_hold),
        "manual-redirect" => value.flag(&mut conf.manual_redirect),
        _ => return false,
    }
    true
}

/// Digest algorithms with commas between, put into FreeSWITCH's order: the strongest first.
fn algorithms(value: &mut Value<'_>, into: &mut Vec<Algorithm>) {
    let words: Vec<&str> = value.text.split(',').map(str::trim).filter(|w| !w.is_empty()).collect();
    let has = |algorithm: Algorithm| words.iter().any(|w| w.eq_ignore_ascii_case(algorithm.as_str()));
    let offered = [Algorithm::Sha256, Algorithm::Md5];
    for word in words.iter().filter(|w| !offered.iter().any(|a| w.eq_ignore_ascii_case(a.as_str()))) {
        value.doubt(
            format!("{}: {word} is not provided, logins are not challenged with it", value.name),
            "write SHA-256, MD5 or both with a comma between",
        );
    }
    let wanted: Vec<Algorithm> = offered.into_iter().filter(|a| has(*a)).collect();
    if !wanted.is_empty() {
        *into = wanted;
    }
}

fn admission(conf: &mut ProfileConf, name: &str, value: &mut Value<'_>) -> bool {
    match name {
        "auth-calls" => value.flag(&mut conf.auth_calls),
        "auth-all-packets" => value.flag(&mut conf.auth_all_packets),
        "auth-messages" => value.flag(&mut conf.auth_messages),
        "disable-auth-messages" => conf.auth_messages = !value.is_on(),
        "auth-subscriptions" => value.flag(&mut conf.auth_subscriptions),
        "disable-auth-subscriptions" => conf.auth_subscriptions = !value.is_on(),
        "auth-calls-acl-only" => value.flag(&mut conf.auth_calls_acl_only),
        "auth-require-user" => value.flag(&mut conf.auth_require_user),
        "accept-blind-reg" => {
            value.flag(&mut conf.accept_blind_reg);
            if conf.accept_blind_reg {
                value.doubt(
                    "accept-blind-reg lets anybody register as anybody",
                    "name trusted addresses in apply-register-acl",
                );
            }
        }
        "accept-blind-auth" => {
            value.flag(&mut conf.accept_blind_auth);
            if conf.accept_blind_auth {
                value.doubt("accept-blind-auth takes any password for right", "give the users passwords");
            }
        }
        "apply-inbound-acl" => inbound_acl(conf, value),
        "apply-register-acl" => acl(&mut conf.apply_register_acl, value),
        "apply-proxy-acl" => acl(&mut conf.apply_proxy_acl, value),
        "challenge-realm" => {
            conf.challenge_realm = match value.text.to_ascii_lowercase().as_str() {
                "" | "auto_to" => Realm::AutoTo,
                "auto_from" => Realm::AutoFrom,
                _ if value.text.contains(['"', '\\']) || value.text.chars().any(char::is_control) => {
                    value.wrong("challenge-realm holds a quote or a control character", "write a plain name");
                    return true;
                }
                _ => {
                    if let Some(near) = nearest(value.text, ["auto_to", "auto_from"]) {
                        value.doubt(
                            format!("challenge-realm is the literal text `{}`", value.text),
                            format!("did you mean {near}?"),
                        );
                    }
                    Realm::Literal(value.text.to_owned())
                }
            };
        }
        "nonce-ttl" => {
            value.number(0..=DAY, &mut conf.nonce_ttl);
            conf.nonce_ttl = conf.nonce_ttl.max(60);
        }
        "rfc8760-auth-algorithms" => algorithms(value, &mut conf.auth_algorithms),
        "log-auth-failures" => value.flag(&mut conf.log_auth_failures),
        "force-register-domain" => value.text(&mut conf.force_register_domain),
        "force-register-db-domain" => value.text(&mut conf.force_register_db_domain),
        "inbound-reg-force-matching-username" => value.flag(&mut conf.inbound_reg_force_matching_username),
        "multiple-registrations" => {
            conf.multiple_registrations = match value.text.to_ascii_lowercase().as_str() {
                "call-id" => MultipleRegistrations::CallId,
                "contact" => MultipleRegistrations::Contact,
                _ if is_true(value.text) => MultipleRegistrations::Contact,
                _ => {
                    value.is_on();
                    MultipleRegistrations::No
                }
            };
        }
        "max-registrations-per-extension" => value.limit(&mut conf.max_registrations_per_extension),
        "disable-register" => value.flag(&mut conf.disable_register),
        "user-agent-filter" => value.text(&mut conf.user_agent_filter),
        "sip-force-expires" => value.limit(&mut conf.sip_force_expires),
        "sip-force-expires-min" => value.limit(&mut conf.sip_force_expires_min),
        "sip-force-expires-max" => value.limit(&mut conf.sip_force_expires_max),
        "sip-expires-max-deviation" => value.limit(&mut conf.sip_expires_max_deviation),
        "sip-expires-late-margin" => value.number(0..=DAY, &mut conf.sip_expires_late_margin),
        "tcp-unreg-on-socket-close" => value.flag(&mut conf.tcp_unreg_on_socket_close),
        "max-recv-requests-per-second" => {
            value.number(0..=10_000_000, &mut conf.max_recv_requests_per_second)
        }
        _ => return false,
    }
    true
}

fn media(conf: &mut ProfileConf, name: &str, value: &mut Value<'_>) -> bool {
    match name {
        "rfc2833-pt" => value.number(96..=127, &mut conf.rfc2833_pt),
        "dtmf-type" => {
            let words = [("rfc2833", DtmfType::Rfc2833), ("info", DtmfType::Info), ("none", DtmfType::None)];
            value.one_of(&words, &mut conf.dtmf_type);
        }
        "dtmf-duration" => {
            let read = value.take(0..=ANY, &mut conf.dtmf_duration);
            if read && !(400..=192_000).contains(&conf.dtmf_duration) {
                value.doubt(
                    format!("dtmf-duration {} is out of range; 2000 is taken", conf.dtmf_duration),
                    "write 400 to 192000, in samples of 1/8000 s",
                );
                conf.dtmf_duration = 2000;
            }
        }
        "liberal-dtmf" => value.flag(&mut conf.liberal_dtmf),
        "pass-rfc2833" => value.flag(&mut conf.pass_rfc2833),
        "suppress-cng" | "supress-cng" => value.flag(&mut conf.suppress_cng),
        "rtp-timeout-sec" => value.limit(&mut conf.rtp_timeout_sec),
        "rtp-hold-timeout-sec" => value.limit(&mut conf.rtp_hold_timeout_sec),
        "disable-rtp-auto-adjust" => value.flag(&mut conf.disable_rtp_auto_adjust),
        "hold-music" => value.text(&mut conf.hold_music),
        "username" => value.text(&mut conf.username),
        _ => return false,
    }
    true
}

fn signalling(conf: &mut ProfileConf, name: &str, value: &mut Value<'_>) -> bool {
    match name {
        "user-agent-string" => {
            conf.user_agent_string = match value.text {
                "" | "_undef_" => UserAgent::Omitted,
                text if text.chars().any(char::is_control) => {
                    value.wrong("user-agent-string holds a control character", "write plain text");
                    return true;
                }
                text => UserAgent::Text(text.to_owned()),
            };
        }
        "enable-timer" => value.flag(&mut conf.enable_timer),
        "session-timeout" => {
            value.limit(&mut conf.session_timeout);
            if conf.session_timeout.is_some_and(|t| t < 90) {
                value.doubt(
                    "session-timeout is below the 90 s that RFC 4028 allows; 90 is taken",
                    "write 0 or at least 90",
                );
                conf.session_timeout = Some(90);
            }
        }
        "minimum-session-expires" => {
            value.limit(&mut conf.minimum_session_expires);
            conf.minimum_session_expires = conf.minimum_session_expires.map(|t| t.max(90));
        }
        "enable-100rel" => value.flag(&mut conf.enable_100rel),
        "enable-3pcc" => {
            conf.enable_3pcc = match value.text {
                text if text.eq_ignore_ascii_case("proxy") => ThreePcc::Proxy,
                _ if value.is_on() => ThreePcc::Yes,
                _ => ThreePcc::No,
            };
        }
        "allow-update" => value.flag(&mut conf.allow_update),
        "send-display-update" => value.flag(&mut conf.send_display_update),
        "contact-user" if value.text.is_empty() || value.text.contains(['@', ' ', '<', '>', '"', ';']) => {
            value.wrong(
                format!("contact-user is `{}`, which is no user part of a URI", value.text),
                "write a plain name",
            );
        }
        "contact-user" => conf.contact_user = value.text.to_owned(),
        "ignore-183nosdp" => value.flag(&mut conf.ignore_183nosdp),
        "sip-options-respond-503-on-busy" => value.flag(&mut conf.sip_options_respond_503_on_busy),
        "timer-t1" => timer(&mut conf.timer_t1, 500, value),
        "timer-t1x64" => timer(&mut conf.timer_t1x64, 32_000, value),
        "timer-t2" => timer(&mut conf.timer_t2, 4000, value),
        "timer-t4" => timer(&mut conf.timer_t4, 5000, value),
        "sip-trace" => value.flag(&mut conf.sip_trace),
        _ => return false,
    }
    true
}

/// Milliseconds; 0 means the RFC's own.
fn timer(into: &mut u32, default: u32, value: &mut Value<'_>) {
    value.number(0..=600_000, into);
    if *into == 0 {
        *into = default;
    }
}

fn prefs(value: &mut Value<'_>) -> Option<Prefs> {
    let prefs = Prefs::parse(value.text);
    if prefs.is_empty() {
        value.doubt(format!("{} names no codec", value.name), "write a list such as OPUS,G722,PCMU,PCMA");
        return None;
    }
    Some(prefs)
}

fn acl(list: &mut Vec<AclRef>, value: &mut Value<'_>) {
    if value.text.eq_ignore_ascii_case("none") {
        list.clear();
    } else if list.len() >= MAX_ACLS {
        value.doubt(
            format!("more than {MAX_ACLS} {}; this one is not used", value.name),
            "join them in acl.conf",
        );
    } else if !value.text.is_empty() {
        list.push(AclRef { list: value.text.to_owned(), at: value.at.clone() });
    }
}

fn inbound_acl(conf: &mut ProfileConf, value: &mut Value<'_>) {
    if value.text.eq_ignore_ascii_case("none") {
        conf.apply_inbound_acl.clear();
        return;
    }
    if conf.apply_inbound_acl.len() >= MAX_ACLS {
        value.doubt(
            format!("more than {MAX_ACLS} apply-inbound-acl; this one is not used"),
            "join them in acl.conf",
        );
        return;
    }
    let mut parts = value.text.splitn(3, ':').map(str::trim);
    let list = parts.next().unwrap_or("");
    if list.is_empty() {
        return;
    }
    let mut next = || parts.next().filter(|p| !p.is_empty()).map(str::to_owned);
    let (pass_context, fail_context) = (next(), next());
    conf.apply_inbound_acl.push(InboundAcl {
        list: list.to_owned(),
        pass_context,
        fail_context,
        at: value.at.clone(),
    });
}

/// `<global_settings>`.
pub(super) fn globals(conf: &mut SofiaGlobals, settings: &Element, problems: &mut Vec<Problem>) {
    const QUIET: &[&str] = &[
        "capture-server",
        "debug-presence",
        "debug-sla",
        "inbound-reg-in-new-thread",
        "max-reg-threads",
        "reg-deny-binding-fetch-and-no-lookup",
        "rewrite-multicasted-fs-path",
        "stir-shaken-as-key",
        "stir-shaken-as-url",
        "stir-shaken-vs-ca-dir",
        "stir-shaken-vs-cert-path-check",
        "stir-shaken-vs-require-date",
        "tracelevel",
    ];
    for (name, _, element) in settings.params() {
        let mut value = Value::of(element, problems);
        match name.to_ascii_lowercase().as_str() {
            "log-level" => value.number(0..=9, &mut conf.log_level),
            "auto-restart" => value.flag(&mut conf.auto_restart),
            "abort-on-empty-external-ip" => value.flag(&mut conf.abort_on_empty_external_ip),
            other if QUIET.contains(&other) => {}
            other => {
                let known =
                    QUIET.iter().copied().chain(["log-level", "auto-restart", "abort-on-empty-external-ip"]);
                let problem = Problem::warning(
                    element.attr_at("name"),
                    format!("<global_settings> has no parameter {other}"),
                );
                problems.push(match nearest(other, known) {
                    Some(near) => problem.hint(format!("did you mean {near}?")),
                    None => problem,
                });
            }
        }
    }
}

/// What only shows when profiles stand side by side.
pub(super) fn compare(profiles: &[ProfileConf], problems: &mut Vec<Problem>) {
    for (index, profile) in profiles.iter().enumerate() {
        let before = profiles.get(..index).unwrap_or(&[]);
        if let Some(port) = profile.sip_port {
            let same = before.iter().find(|p| p.sip_port == Some(port) && p.sip_ip == profile.sip_ip);
            if let Some(other) = same {
                problems.push(
                    Problem::error(
                        &profile.at,
                        format!(
                            "profiles {} and {} both listen on {} port {port}",
                            other.name, profile.name, profile.sip_ip
                        ),
                    )
                    .hint("give one of them another sip-port"),
                );
            }
        }
        for alias in &profile.aliases {
            if let Some(other) = before.iter().find(|p| p.is_called(alias)) {
                problems.push(
                    Problem::warning(
                        &profile.at,
                        format!("{alias} is already a name of profile {}", other.name),
                    )
                    .hint("an alias belongs to one profile; the first counts"),
                );
            }
        }
    }
}
