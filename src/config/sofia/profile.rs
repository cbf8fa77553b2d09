//! The typed view of a SIP profile.

use crate::config::element::{Element, configuration};
use crate::config::position::Position;
use crate::config::problem::Problem;
use crate::config::value::is_true;
use crate::sdp::{Negotiation, Prefs};
use crate::sip::digest::Algorithm;

use super::address::{Address, External};
use super::gateway::{self, GatewayConf};
use super::later::Later;
use super::parts::{AclRef, InboundAcl, ProfileDomain};
use super::presence::{PhonePing, PresenceConf};
use super::settings;
use super::written::Written;

/// `sofia.conf` as a whole.
#[derive(Clone, Debug, Default)]
pub struct SofiaConf {
    /// `<global_settings>`.
    pub globals: SofiaGlobals,
    /// The profiles in the order written; the first of a name counts, later ones were reported and left out.
    pub profiles: Vec<ProfileConf>,
}

/// `<global_settings>` of `sofia.conf`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SofiaGlobals {
    /// `log-level` of the SIP stack, 0 to 9.
    pub log_level: u8,
    /// `auto-restart`: restart profiles when the local address changes.
    pub auto_restart: bool,
    /// `abort-on-empty-external-ip`.
    pub abort_on_empty_external_ip: bool,
}

impl Default for SofiaGlobals {
    fn default() -> Self {
        SofiaGlobals { log_level: 0, auto_restart: true, abort_on_empty_external_ip: false }
    }
}

/// `dtmf-type`: how digits are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum DtmfType {
    /// RTP telephone events (RFC 4733).
    #[default]
    Rfc2833,
    /// SIP INFO.
    Info,
    /// Not at all beside the audio.
    None,
}

/// `multiple-registrations`: which contacts of one user live side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum MultipleRegistrations {
    /// A new contact replaces the old ones.
    #[default]
    No,
    /// `call-id`: one per Call-ID.
    CallId,
    /// `contact`, or true: one per contact URI.
    Contact,
}

/// `challenge-realm`.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Realm {
    /// The host of the To header.
    #[default]
    AutoTo,
    /// The host of the From header.
    AutoFrom,
    /// This text.
    Literal(String),
}

/// `caller-id-type`: which header carries the caller's number to the callee.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum CallerIdType {
    /// Remote-Party-ID.
    #[default]
    Rpid,
    /// P-Asserted-Identity.
    Pid,
    /// Neither.
    None,
}

/// `enable-3pcc`: what happens to an INVITE without SDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ThreePcc {
    /// Refused as FreeSWITCH refuses it.
    #[default]
    No,
    /// Answered at once with our offer.
    Yes,
    /// The dialplan runs first, the offer goes into the 200.
    Proxy,
}

/// `NDLB-force-rport`: whether to answer to where a request came from although it asks for no rport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rport {
    /// 0 never, 1 when asked, 2 always, 3 for peers known to need it.
    pub server: u8,
    /// Put `;rport` into our own Via.
    pub client: bool,
}

impl Default for Rport {
    fn default() -> Self {
        Rport { server: 1, client: true }
    }
}

/// `user-agent-string`.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum UserAgent {
    /// The name and version of this program.
    #[default]
    Own,
    /// `_undef_` or empty: no such header.
    Omitted,
    /// This text.
    Text(String),
}

/// A SIP profile: `<profile name="…">` of `sofia.conf`.
#[derive(Clone, Debug)]
pub struct ProfileConf {
    /// Its name.
    pub name: String,
    /// Where it is written.
    pub at: Position,
    /// `domain=` of the `<profile>` tag.
    pub domain_name: Option<String>,
    /// Other names it goes by: `<aliases>` and the parameter `alias`.
    pub aliases: Vec<String>,
    /// `<domains>`.
    pub domains: Vec<ProfileDomain>,
    /// What is written in it.
    pub written: Written,
    /// `<gateways>`, and those of the users of domains with `parse="true"`.
    pub gateways: Vec<GatewayConf>,

    /// `sip-ip`: the address to listen on.
    pub sip_ip: Address,
    /// `sip-port`; `None` for `auto` or 0.
    pub sip_port: Option<u16>,
    /// `rtp-ip`, used in turn; never empty.
    pub rtp_ip: Vec<Address>,
    /// `ext-sip-ip`.
    pub ext_sip_ip: Option<External>,
    /// `ext-rtp-ip`.
    pub ext_rtp_ip: Option<External>,
    /// `ext-sip-port`; the SIP port when absent.
    pub ext_sip_port: Option<u16>,
    /// `sip-domain`.
    pub sip_domain: Option<String>,
    /// `local-network-acl`: sources in it get the local address; `None` when switched off.
    pub local_network_acl: Option<String>,
    /// `apply-nat-acl`: sources in one of these are taken to be behind NAT.
    pub apply_nat_acl: Vec<AclRef>,

    /// `context` for callers who are nobody's user.
    pub context: String,
    /// `dialplan`: names in order, usually `XML`.
    pub dialplan: String,
    /// `inbound-codec-prefs`; `None` when absent.
    pub inbound_codec_prefs: Option<Prefs>,
    /// `outbound-codec-prefs`; `None` when absent.
    pub outbound_codec_prefs: Option<Prefs>,
    /// `inbound-codec-negotiation`.
    pub inbound_codec_negotiation: Negotiation,
    /// `inbound-late-negotiation`.
    pub inbound_late_negotiation: bool,
    /// `inbound-bypass-media`.
    pub inbound_bypass_media: bool,
    /// `inbound-proxy-media`.
    pub inbound_proxy_media: bool,
    /// `disable-transcoding`.
    pub disable_transcoding: bool,

    /// `auth-calls`: challenge INVITEs. Absent means yes.
    pub auth_calls: bool,
    /// `auth-all-packets`.
    pub auth_all_packets: bool,
    /// `auth-messages`.
    pub auth_messages: bool,
    /// `auth-subscriptions`.
    pub auth_subscriptions: bool,
    /// `auth-calls-acl-only`: whoever is in no inbound list is refused, not challenged.
    pub auth_calls_acl_only: bool,
    /// `auth-require-user`.
    pub auth_require_user: bool,
    /// `accept-blind-reg`: any REGISTER is accepted.
    pub accept_blind_reg: bool,
    /// `accept-blind-auth`: any credentials are accepted.
    pub accept_blind_auth: bool,
    /// `apply-inbound-acl`, one of which must match.
    pub apply_inbound_acl: Vec<InboundAcl>,
    /// `apply-register-acl`: registrations from these need no credentials.
    pub apply_register_acl: Vec<AclRef>,
    /// `apply-proxy-acl`: these may say with X-AUTH-IP whom they speak for.
    pub apply_proxy_acl: Vec<AclRef>,
    /// `challenge-realm`.
    pub challenge_realm: Realm,
    /// `nonce-ttl`, seconds, at least 60.
    pub nonce_ttl: u32,
    /// `rfc8760-auth-algorithms`: what logins are challenged with, strongest first; MD5 unless said.
    pub auth_algorithms: Vec<Algorithm>,
    /// `log-auth-failures`.
    pub log_auth_failures: bool,
    /// `force-register-domain`.
    pub force_register_domain: Option<String>,
    /// `force-register-db-domain`.
    pub force_register_db_domain: Option<String>,
    /// `inbound-reg-force-matching-username`.
    pub inbound_reg_force_matching_username: bool,
    /// `multiple-registrations`.
    pub multiple_registrations: MultipleRegistrations,
    /// `max-registrations-per-extension`; `None` for as many as the switch can bear.
    pub max_registrations_per_extension: Option<u32>,
    /// `disable-register`.
    pub disable_register: bool,
    /// `user-agent-filter`: only phones whose User-Agent contains this may register.
    pub user_agent_filter: Option<String>,
    /// `sip-force-expires`, seconds.
    pub sip_force_expires: Option<u32>,
    /// `sip-force-expires-min`, seconds.
    pub sip_force_expires_min: Option<u32>,
    /// `sip-force-expires-max`, seconds.
    pub sip_force_expires_max: Option<u32>,
    /// `sip-expires-max-deviation`, seconds.
    pub sip_expires_max_deviation: Option<u32>,
    /// `sip-expires-late-margin`, seconds a binding outlives its time.
    pub sip_expires_late_margin: u32,

    /// `max-calls`; `None` for no limit of its own.
    pub max_calls: Option<u32>,
    /// `max-recv-requests-per-second`; 0 for no limit.
    pub max_recv_requests_per_second: u32,
    /// `user-agent-string`.
    pub user_agent_string: UserAgent,
    /// `rfc2833-pt`: payload type of telephone events.
    pub rfc2833_pt: u8,
    /// `dtmf-type`.
    pub dtmf_type: DtmfType,
    /// `dtmf-duration`, samples at 8 kHz.
    pub dtmf_duration: u32,
    /// `liberal-dtmf`.
    pub liberal_dtmf: bool,
    /// `pass-rfc2833`.
    pub pass_rfc2833: bool,
    /// `suppress-cng`.
    pub suppress_cng: bool,
    /// `rtp-timeout-sec`; `None` for never.
    pub rtp_timeout_sec: Option<u32>,
    /// `rtp-hold-timeout-sec`; `None` for never.
    pub rtp_hold_timeout_sec: Option<u32>,
    /// `disable-rtp-auto-adjust`: stay with the address of the SDP.
    pub disable_rtp_auto_adjust: bool,
    /// `hold-music`.
    pub hold_music: Option<String>,

    /// `enable-timer`: RFC 4028.
    pub enable_timer: bool,
    /// `session-timeout`, seconds; `None` when we ask for no session timer.
    pub session_timeout: Option<u32>,
    /// `minimum-session-expires`, seconds, at least 90; `None` when absent.
    pub minimum_session_expires: Option<u32>,
    /// `enable-100rel`.
    pub enable_100rel: bool,
    /// `enable-3pcc`.
    pub enable_3pcc: ThreePcc,
    /// `allow-update`.
    pub allow_update: bool,
    /// `send-display-update`.
    pub send_display_update: bool,
    /// `pass-callee-id`.
    pub pass_callee_id: bool,
    /// `cid-in-1xx`.
    pub cid_in_1xx: bool,
    /// `caller-id-type`.
    pub caller_id_type: CallerIdType,
    /// `full-id-in-dialplan`.
    pub full_id_in_dialplan: bool,
    /// `parse-all-invite-headers`.
    pub parse_all_invite_headers: bool,
    /// `inbound-use-callid-as-uuid`.
    pub inbound_use_callid_as_uuid: bool,
    /// `outbound-use-uuid-as-callid`.
    pub outbound_use_uuid_as_callid: bool,
    /// `contact-user`: the user part of our Contact.
    pub contact_user: String,
    /// `username`: the name in the o= line of our SDP.
    pub username: Option<String>,
    /// Subscriptions.
    pub presence: PresenceConf,
    /// Pings to registered phones.
    pub ping: PhonePing,
    /// `disable-transfer`: REFER is refused.
    pub disable_transfer: bool,
    /// A transferor is told what came of its blind transfer, and takes the call back when that failed.
    pub confirm_blind_transfer: bool,
    /// `disable-hold`.
    pub disable_hold: bool,
    /// `manual-redirect`: a 3xx goes to the dialplan instead of being followed.
    pub manual_redirect: bool,
    /// `ignore-183nosdp`.
    pub ignore_183nosdp: bool,
    /// `NDLB-force-rport`.
    pub force_rport: Rport,
    /// `NDLB-received-in-nat-reg-contact`.
    pub received_in_nat_reg_contact: bool,
    /// `aggressive-nat-detection`.
    pub aggressive_nat_detection: bool,
    /// `outbound-proxy`.
    pub outbound_proxy: Option<String>,
    /// `sip-options-respond-503-on-busy`.
    pub sip_options_respond_503_on_busy: bool,

    /// `timer-T1`, milliseconds.
    pub timer_t1: u32,
    /// `timer-T1X64`, milliseconds.
    pub timer_t1x64: u32,
    /// `timer-T2`, milliseconds.
    pub timer_t2: u32,
    /// `timer-T4`, milliseconds.
    pub timer_t4: u32,
    /// `sip-trace`.
    pub sip_trace: bool,
    /// `shutdown-on-fail`: the switch stops when this profile cannot start.
    pub shutdown_on_fail: bool,
    /// `bind-attempts`.
    pub bind_attempts: u32,
    /// `bind-attempt-interval`, seconds.
    pub bind_attempt_interval: u32,
    /// `tcp-unreg-on-socket-close`: a registration over TCP ends with its connection. Ours is on by default.
    pub tcp_unreg_on_socket_close: bool,
}

impl ProfileConf {
    /// A profile in which nothing is set.
    pub fn new(name: &str, at: Position) -> Self {
        ProfileConf {
            name: name.to_owned(),
            at,
            domain_name: None,
            aliases: Vec::new(),
            domains: Vec::new(),
            written: Written::default(),
            gateways: Vec::new(),
            sip_ip: Address::Auto,
            sip_port: Some(5060),
            rtp_ip: Vec::new(),
            ext_sip_ip: None,
            ext_rtp_ip: None,
            ext_sip_port: None,
            sip_domain: None,
            local_network_acl: Some("localnet.auto".into()),
            apply_nat_acl: Vec::new(),
            context: "default".into(),
            dialplan: "XML".into(),
            inbound_codec_prefs: None,
            outbound_codec_prefs: None,
            inbound_codec_negotiation: Negotiation::Generous,
            inbound_late_negotiation: false,
            inbound_bypass_media: false,
            inbound_proxy_media: false,
            disable_transcoding: false,
            auth_calls: true,
            auth_all_packets: false,
            auth_messages: true,
            auth_subscriptions: true,
            auth_calls_acl_only: false,
            auth_require_user: false,
            accept_blind_reg: false,
            accept_blind_auth: false,
            apply_inbound_acl: Vec::new(),
            apply_register_acl: Vec::new(),
            apply_proxy_acl: Vec::new(),
            challenge_realm: Realm::AutoTo,
            nonce_ttl: 60,
            auth_algorithms: vec![Algorithm::Md5],
            log_auth_failures: false,
            force_register_domain: None,
            force_register_db_domain: None,
            inbound_reg_force_matching_username: false,
            multiple_registrations: MultipleRegistrations::No,
            max_registrations_per_extension: None,
            disable_register: false,
            user_agent_filter: None,
            sip_force_expires: None,
            sip_force_expires_min: None,
            sip_force_expires_max: None,
            sip_expires_max_deviation: None,
            sip_expires_late_margin: 60,
            max_calls: None,
            max_recv_requests_per_second: 1000,
            user_agent_string: UserAgent::Own,
            rfc2833_pt: 101,
            dtmf_type: DtmfType::Rfc2833,
            dtmf_duration: 100,
            liberal_dtmf: false,
            pass_rfc2833: false,
            suppress_cng: false,
            rtp_timeout_sec: None,
            rtp_hold_timeout_sec: None,
            disable_rtp_auto_adjust: false,
            hold_music: None,
            enable_timer: true,
            session_timeout: None,
            minimum_session_expires: None,
            enable_100rel: false,
            enable_3pcc: ThreePcc::No,
            allow_update: true,
            send_display_update: true,
            pass_callee_id: true,
            cid_in_1xx: true,
            caller_id_type: CallerIdType::Rpid,
            full_id_in_dialplan: false,
            parse_all_invite_headers: false,
            inbound_use_callid_as_uuid: false,
            outbound_use_uuid_as_callid: false,
            contact_user: "mod_sofia".into(),
            username: None,
            presence: PresenceConf::default(),
            ping: PhonePing::default(),
            disable_transfer: false,
            confirm_blind_transfer: false,
            disable_hold: false,
            manual_redirect: false,
            ignore_183nosdp: false,
            force_rport: Rport::default(),
            received_in_nat_reg_contact: false,
            aggressive_nat_detection: false,
            outbound_proxy: None,
            sip_options_respond_503_on_busy: false,
            timer_t1: 500,
            timer_t1x64: 32_000,
            timer_t2: 4000,
            timer_t4: 5000,
            sip_trace: false,
            shutdown_on_fail: false,
            bind_attempts: 2,
            bind_attempt_interval: 5,
            tcp_unreg_on_socket_close: true,
        }
    }

    /// True when `name` is this profile's name or one of its aliases, without case.
    pub fn is_called(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name) || self.aliases.iter().any(|a| a.eq_ignore_ascii_case(name))
    }

    /// Takes a `<gateway>`. Of two with one name the first counts.
    fn add_gateway(&mut self, element: &Element, problems: &mut Vec<Problem>) {
        let Some(read) = GatewayConf::read(element, problems) else { return };
        match self.gateways.iter().find(|g| g.name == read.name) {
            Some(first) => problems.push(
                Problem::warning(
                    &read.at,
                    format!("gateway {} is defined twice; the first, at {}, counts", read.name, first.at),
                )
                .hint("give it another name"),
            ),
            None => self.gateways.push(read),
        }
    }

    fn read(element: &Element, later: &mut Later, problems: &mut Vec<Problem>) -> Option<ProfileConf> {
        let name = element.attr("name").unwrap_or("").trim();
        if name.is_empty() {
            problems.push(
                Problem::error(&element.at, "<profile> has no name")
                    .hint("write <profile name=\"internal\">"),
            );
            return None;
        }
        let mut conf = ProfileConf::new(name, element.at.clone());
        conf.domain_name = element.attr("domain").map(str::to_owned);
        conf.written = Written::of(element);
        for alias in element.children_named("aliases").flat_map(|a| a.children_named("alias")) {
            match alias.attr("name") {
                Some(name) if !name.is_empty() => conf.aliases.push(name.to_owned()),
                _ => problems.push(
                    Problem::warning(&alias.at, "<alias> has no name").hint("write <alias name=\"…\"/>"),
                ),
            }
        }
        for domain in element.children_named("domains").flat_map(|d| d.children_named("domain")) {
            match domain.attr("name") {
                Some(name) if !name.is_empty() => conf.domains.push(ProfileDomain {
                    name: name.to_owned(),
                    alias: domain.attr("alias").is_some_and(is_true),
                    parse: domain.attr("parse").is_some_and(is_true),
                    at: domain.at.clone(),
                }),
                _ => problems.push(
                    Problem::warning(&domain.at, "<domain> of a profile has no name")
                        .hint("write <domain name=\"all\" alias=\"true\" parse=\"false\"/>"),
                ),
            }
        }
        let own = element.children_named("gateways").flat_map(|g| g.children_named("gateway"));
        own.for_each(|gateway| conf.add_gateway(gateway, problems));
        match element.child("settings") {
            Some(list) => settings::apply(&mut conf, list, later, problems),
            None => {
                problems.push(
                    Problem::error(&element.at, format!("profile {name} has no <settings>"))
                        .hint("write <settings><param name=\"sip-port\" value=\"5060\"/> …</settings>"),
                );
                return None;
            }
        }
        if conf.rtp_ip.is_empty() {
            conf.rtp_ip.push(conf.sip_ip.clone());
        }
        Some(conf)
    }
}

impl SofiaConf {
    /// Reads `sofia.conf` out of the tree. Without it, or without a profile, nothing can work: an error.
    pub fn read(root: &Element, problems: &mut Vec<Problem>) -> SofiaConf {
        let mut conf = SofiaConf::default();
        let Some(element) = configuration(root, "sofia.conf") else {
            problems.push(
                Problem::error(&root.at, "there is no configuration sofia.conf, so there is no SIP profile")
                    .hint("include autoload_configs/sofia.conf.xml in <section name=\"configuration\">"),
            );
            return conf;
        };
        let mut later = Later::default();
        for globals in element.children_named("global_settings") {
            settings::globals(&mut conf.globals, globals, problems);
        }
        for profile in element.children_named("profiles").flat_map(|p| p.children_named("profile")) {
            let Some(read) = ProfileConf::read(profile, &mut later, problems) else { continue };
            match conf.profiles.iter().find(|p| p.name.eq_ignore_ascii_case(&read.name)) {
                Some(first) => problems.push(
                    Problem::warning(
                        &read.at,
                        format!("profile {} is defined twice; the first, at {}, counts", read.name, first.at),
                    )
                    .hint("give it another name or remove one"),
                ),
                None => conf.profiles.push(read),
            }
        }
        for profile in &mut conf.profiles {
            let domains: Vec<String> =
                profile.domains.iter().filter(|d| d.parse).map(|d| d.name.clone()).collect();
            for element in domains.iter().flat_map(|domain| gateway::of_users(root, domain)) {
                profile.add_gateway(element, problems);
            }
        }
        same_names(&conf.profiles, problems);
        if conf.profiles.is_empty() {
            problems.push(
                Problem::error(
                    &element.at,
                    "sofia.conf has no usable profile, so no phone can reach this switch",
                )
                .hint("include ../sip_profiles/*.xml inside <profiles>"),
            );
        }
        settings::compare(&conf.profiles, problems);
        later.report(problems);
        conf
    }
}

/// A gateway's name alone means that of the first profile that has it.
fn same_names(profiles: &[ProfileConf], problems: &mut Vec<Problem>) {
    let mut first: std::collections::HashMap<&str, &str> = std::collections::HashMap::new();
    for (profile, gateway) in profiles.iter().flat_map(|p| p.gateways.iter().map(move |g| (p, g))) {
        let owner = *first.entry(&gateway.name).or_insert(&profile.name);
        if owner != profile.name {
            problems.push(
                Problem::warning(
                    &gateway.at,
                    format!(
                        "gateway {} is in profile {owner} as well; its name alone means that one",
                        gateway.name
                    ),
                )
                .hint(format!("call this one as sofia/gateway/{}::{}/…", profile.name, gateway.name)),
            );
        }
    }
}
