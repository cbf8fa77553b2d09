//! `sofia status`, `sofia xmlstatus`, `sofia jsonstatus`: profiles, gateways and registrations (mod_sofia.c,
//! sofia_json_api.c).
//!
//! What there is to tell of a profile or a gateway is one list of facts, each with its name in text, XML and JSON; the three
//! forms differ in how they are written, and in a few words.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::desk::Desk;
use super::rows::escaped;
use crate::channel::{Direction, Leg, UserAgent};
use crate::config::sofia::{DtmfType, Realm};
use crate::gateway::{Gateway, State};
use crate::registrar::{Binding, status};

const LINE: &str =
    "=================================================================================================";
const XML: &str = "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>\n";

/// One thing told: its name in text, its name in XML and JSON, and what it is.
type Fact = (&'static str, &'static str, String);

/// The calls of each profile that are up: all, and the inbound ones.
async fn calls_up(desk: &Desk) -> HashMap<String, (u64, u64)> {
    let legs = desk.ask_all(|leg| (leg.agent.name.clone(), leg.direction == Direction::Inbound)).await;
    let mut counts: HashMap<String, (u64, u64)> = HashMap::new();
    for (name, inbound) in legs {
        let count = counts.entry(name).or_default();
        count.0 += 1;
        count.1 += u64::from(inbound);
    }
    counts
}

/// Profiles and aliases by name.
fn names(desk: &Desk) -> BTreeMap<String, Arc<UserAgent>> {
    let agents = desk.exchange.agents.load();
    let mut names: BTreeMap<String, Arc<UserAgent>> =
        agents.iter().map(|(name, agent)| (name.clone(), agent.clone())).collect();
    // Look-ups are by lower case; a profile is told as it is written.
    names.retain(|name, agent| !name.eq_ignore_ascii_case(&agent.name));
    names.extend(agents.values().map(|agent| (agent.name.clone(), agent.clone())));
    names
}

fn url(agent: &UserAgent) -> String {
    let address = agent.external.unwrap_or(agent.local);
    format!("sip:{}@{address}", agent.conf.contact_user)
}

/// ` (retry: 23s)`, for a gateway that waits.
fn retry(gateway: &Gateway, now: Instant) -> Option<String> {
    let status = gateway.status();
    let waits = matches!(status.state, State::Failed | State::FailWait | State::Trying);
    waits.then(|| match status.retry.filter(|at| *at >= now) {
        Some(at) => format!("{}s", at.duration_since(now).as_secs()),
        None => "NEVER".to_owned(),
    })
}

/// `sip:joe@example.com`.
fn register_to(gateway: &Gateway) -> String {
    let proxy = gateway.conf.proxy.to_string();
    let rest = proxy.split_once(':').map_or(&*proxy, |(_, rest)| rest);
    format!("sip:{}@{rest}", gateway.conf.username)
}

//------------ Text ----------------------------------------------------------------------------------------------

/// `sofia status …`.
pub(super) async fn text(desk: &Desk, words: &[&str]) -> String {
    let now = Leg::now();
    match words {
        [] => summary(desk, now).await,
        [_] => gateways(desk, now),
        [what, name, ..] if what.eq_ignore_ascii_case("gateway") => {
            let gateways = desk.exchange.gateways.load();
            let Some(gateway) = gateways.find(name) else { return "Invalid Gateway!\n".to_owned() };
            let facts = gateway_facts(desk, gateway, now);
            let mut out = format!("{LINE}\n");
            for (label, _, value) in facts.iter().filter(|(label, ..)| !label.is_empty()) {
                let _ = writeln!(out, "{label:<8}\t{value}");
            }
            let _ = writeln!(out, "{LINE}");
            out
        }
        [what, name, more @ ..] if what.eq_ignore_ascii_case("profile") => {
            let Some(agent) = desk.exchange.agent(name) else { return "Invalid Profile!\n".to_owned() };
            let mut out = String::new();
            if !wants_registrations(more) {
                let _ = writeln!(out, "{LINE}");
                for (label, _, value) in profile_facts(desk, name, &agent).await {
                    let _ = writeln!(out, "{label:<17}\t{value}");
                }
            }
            if let Some(bindings) = registrations(desk, &agent, more) {
                let _ = write!(out, "\nRegistrations:\n{LINE}\n");
                for binding in &bindings {
                    for (label, _, value) in binding_facts(desk, binding, now) {
                        let _ = writeln!(out, "{label}\t{value}");
                    }
                    out.push('\n');
                }
                let _ = write!(out, "Total items returned: {}\n{LINE}\n", bindings.len());
            }
            out
        }
        _ => "Invalid Syntax!\n".to_owned(),
    }
}

/// `sofia status`.
async fn summary(desk: &Desk, now: Instant) -> String {
    let up = calls_up(desk).await;
    let row = |name: &str, kind: &str, data: &str, state: &str| {
        format!("{name:>25}\t{kind}\t  {data:>40}\t{state}\n")
    };
    let mut out = row("Name", "   Type", "Data", "State");
    let _ = writeln!(out, "{LINE}");
    let (mut profiles, mut aliases) = (0, 0);
    let table = desk.exchange.gateways.load();
    for (name, agent) in names(desk) {
        if name != agent.name {
            aliases += 1;
            out.push_str(&row(&name, "  alias", &agent.name, "ALIASED"));
            continue;
        }
        profiles += 1;
        let calls = up.get(&name).map_or(0, |(all, _)| *all);
        out.push_str(&row(&name, "profile", &url(&agent), &format!("RUNNING ({calls})")));
        for gateway in table.of_profile(&name) {
            let state = gateway.status().state;
            let retry = retry(gateway, now).map(|at| format!(" (retry: {at})")).unwrap_or_default();
            out.push_str(&row(
                &gateway.full_name(),
                "gateway",
                &register_to(gateway),
                &format!("{state}{retry}"),
            ));
        }
    }
    let plural = |n: usize, word: &'static str| if n == 1 { "" } else { word };
    let _ = write!(
        out,
        "{LINE}\n{profiles} profile{} {aliases} alias{}\n",
        plural(profiles, "s"),
        plural(aliases, "es")
    );
    out
}

/// `sofia status gateway`: all of them.
fn gateways(desk: &Desk, now: Instant) -> String {
    let mut out = format!(
        "{:>25}\t{:>32}\t{}\t{:>9}\t{}\t{}\n{LINE}\n",
        "Profile::Gateway-Name", "    Data    ", "State", "Ping Time", "IB Calls(F/T)", "OB Calls(F/T)"
    );
    let (mut inbound, mut outbound) = ((0, 0), (0, 0));
    let table = desk.exchange.gateways.load();
    for gateway in table.all() {
        let (counts, status) = (gateway.counts(), gateway.status());
        inbound = (inbound.0 + counts.failed_inbound, inbound.1 + counts.inbound);
        outbound = (outbound.0 + counts.failed_outbound, outbound.1 + counts.outbound);
        let _ = writeln!(
            out,
            "{:>25}\t{:>32}\t{}\t{:6.2}\t{}/{}\t{}/{}{}",
            gateway.full_name(),
            register_to(gateway),
            status.state,
            status.ping_ms.unwrap_or_default(),
            counts.failed_inbound,
            counts.inbound,
            counts.failed_outbound,
            counts.outbound,
            retry(gateway, now).map(|at| format!(" (retry: {at})")).unwrap_or_default()
        );
    }
    let count = table.all().len();
    let _ = write!(
        out,
        "{LINE}\n{count} gateway{}: Inbound(Failed/Total): {}/{},Outbound(Failed/Total):{}/{}\n",
        if count == 1 { "" } else { "s" },
        inbound.0,
        inbound.1,
        outbound.0,
        outbound.1
    );
    out
}

//------------ XML -----------------------------------------------------------------------------------------------

/// `sofia xmlstatus …`.
pub(super) async fn xml(desk: &Desk, words: &[&str]) -> String {
    let now = Leg::now();
    match words {
        [] => xml_summary(desk, now).await,
        [_] => {
            let table = desk.exchange.gateways.load();
            let all: String = table.all().iter().map(|gateway| xml_gateway(desk, gateway, now)).collect();
            format!("{XML}<gateways>\n{all}</gateways>\n")
        }
        [what, name, ..] if what.eq_ignore_ascii_case("gateway") => {
            let gateways = desk.exchange.gateways.load();
            match gateways.find(name) {
                Some(gateway) => format!("{XML}{}", xml_gateway(desk, gateway, now)),
                None => "Invalid Gateway!\n".to_owned(),
            }
        }
        [what, name, more @ ..] if what.eq_ignore_ascii_case("profile") => {
            let Some(agent) = desk.exchange.agent(name) else { return "Invalid Profile!\n".to_owned() };
            let mut out = format!("{XML}<profile>\n");
            if !wants_registrations(more) {
                let mut facts = profile_facts(desk, name, &agent).await;
                // Here the calls of both ways come before those that failed.
                if let Some(at) = facts.iter().position(|(_, tag, _)| *tag == "failed-calls-in") {
                    facts.get_mut(at..at + 2).unwrap_or_default().reverse();
                }
                let _ = write!(out, "  <profile-info>\n{}  </profile-info>\n", tags("    ", &facts));
            }
            if let Some(bindings) = registrations(desk, &agent, more) {
                out.push_str("  <registrations>\n");
                for binding in &bindings {
                    let facts = binding_facts(desk, binding, now);
                    let _ =
                        write!(out, "    <registration>\n{}    </registration>\n", tags("        ", &facts));
                }
                out.push_str("  </registrations>\n");
            }
            out.push_str("</profile>\n");
            out
        }
        _ => "Invalid Syntax!\n".to_owned(),
    }
}

async fn xml_summary(desk: &Desk, now: Instant) -> String {
    let up = calls_up(desk).await;
    let mut out = format!("{XML}<profiles>\n");
    let mut entry = |tag: &str, name: &str, data: &str, state: &str, more: &str| {
        let [name, data] = [name, data].map(escaped);
        let _ = write!(
            out,
            "<{tag}>\n<name>{name}</name>\n<type>{tag}</type>\n<data>{data}</data>\n<state>{state}</state>\n{more}</{tag}>\n"
        );
    };
    let table = desk.exchange.gateways.load();
    for (name, agent) in names(desk) {
        if name != agent.name {
            entry("alias", &name, &agent.name, "ALIASED", "");
            continue;
        }
        let calls = up.get(&name).map_or(0, |(all, _)| *all);
        entry("profile", &name, &url(&agent), &format!("RUNNING ({calls})"), "");
        for gateway in table.of_profile(&name) {
            // FreeSWITCH puts the time of the next try behind the element, where no reader of XML looks for it.
            // It has an element of its own here, as `xmlstatus gateway` has it.
            let retry = retry(gateway, now).map(|at| format!("<retry>{at}</retry>\n")).unwrap_or_default();
            let state = gateway.status().state.to_string();
            entry("gateway", &gateway.conf.name, &register_to(gateway), &state, &retry);
        }
    }
    out + "</profiles>\n"
}

fn xml_gateway(desk: &Desk, gateway: &Gateway, now: Instant) -> String {
    format!("  <gateway>\n{}  </gateway>\n", tags("    ", &gateway_facts(desk, gateway, now)))
}

/// An element per fact that has a name in XML.
fn tags(indent: &str, facts: &[Fact]) -> String {
    let named = facts.iter().filter(|(_, tag, _)| !tag.is_empty());
    named.map(|(_, tag, value)| format!("{indent}<{tag}>{}</{tag}>\n", escaped(value))).collect()
}

//------------ JSON ----------------------------------------------------------------------------------------------

/// `sofia jsonstatus`.
pub(super) async fn json(desk: &Desk) -> String {
    use serde_json::{Map, Value, json};
    let (now, up) = (Leg::now(), calls_up(desk).await);
    let table = desk.exchange.gateways.load();
    let mut profiles = Map::new();
    for (name, agent) in names(desk) {
        if name != agent.name {
            profiles
                .insert(name, json!({"status": {"type": "alias", "data": agent.name, "state": "ALIASED"}}));
            continue;
        }
        let calls = up.get(&name).map_or(0, |(all, _)| *all);
        let mut gateways = Map::new();
        for gateway in table.of_profile(&name) {
            let state = gateway.status().state.as_str();
            let mut told = json!({"type": "gateway", "data": register_to(gateway), "state": state});
            if let (Some(at), Some(told)) = (retry(gateway, now), told.as_object_mut()) {
                let seconds = at.trim_end_matches('s').parse::<u64>();
                told.insert("retry".to_owned(), seconds.map_or(Value::from("never"), Value::from));
            }
            gateways.insert(gateway.conf.name.clone(), told);
        }
        let facts = profile_facts(desk, &name, &agent).await;
        let mut info = Map::new();
        for (_, key, value) in facts.into_iter().filter(|(_, key, _)| !key.is_empty() && *key != "name") {
            match (info.get_mut(key), key) {
                (Some(Value::Array(several)), _) => several.push(value.into()),
                (_, "rtp-ip") => drop(info.insert(key.to_owned(), json!([value]))),
                _ => drop(info.insert(key.to_owned(), value.into())),
            }
        }
        let status = json!({"type": "profile", "state": "RUNNING", "in-use": calls, "data": url(&agent)});
        let mut told = json!({"status": status, "info": info});
        if let (false, Some(told)) = (gateways.is_empty(), told.as_object_mut()) {
            told.insert("gateways".to_owned(), gateways.into());
        }
        profiles.insert(name, told);
    }
    serde_json::to_string_pretty(&json!({ "profiles": profiles })).unwrap_or_default()
}

//------------ Facts ---------------------------------------------------------------------------------------------

async fn profile_facts(desk: &Desk, name: &str, agent: &UserAgent) -> Vec<Fact> {
    let conf = &agent.conf;
    let or_none = |text: Option<&str>| text.filter(|t| !t.is_empty()).unwrap_or("N/A").to_owned();
    let mut facts: Vec<Fact> = vec![
        ("Name", "name", name.to_owned()),
        ("Domain Name", "domain-name", or_none(conf.domain_name.as_deref())),
    ];
    if !name.eq_ignore_ascii_case(&agent.name) {
        facts.push(("Alias Of", "alias-of", agent.name.clone()));
    }
    let realm = match &conf.challenge_realm {
        Realm::AutoTo => "auto_to",
        Realm::AutoFrom => "auto_from",
        Realm::Literal(realm) => realm,
    };
    facts.extend([
        ("Auto-NAT", "auto-nat", "false".to_owned()),
        ("DBName", "db-name", format!("sofia_reg_{}", agent.name)),
        ("Pres Hosts", "pres-hosts", String::new()),
        ("Dialplan", "dialplan", agent.dialplan.to_string()),
        ("Context", "context", agent.context.to_string()),
        ("Challenge Realm", "challenge-realm", realm.to_owned()),
    ]);
    facts.extend(agent.rtp.iter().map(|ip| ("RTP-IP", "rtp-ip", ip.to_string())));
    facts.extend(agent.external_rtp.iter().map(|ip| ("Ext-RTP-IP", "ext-rtp-ip", ip.to_string())));
    facts.push(("SIP-IP", "sip-ip", agent.local.ip().to_string()));
    facts.extend(agent.external.iter().map(|at| ("Ext-SIP-IP", "ext-sip-ip", at.ip().to_string())));
    let bind = agent.external.map(|_| format!(";maddr={}", agent.local.ip())).unwrap_or_default();
    let dtmf = match conf.dtmf_type {
        DtmfType::Rfc2833 => "rfc2833",
        DtmfType::Info => "info",
        DtmfType::None => "none",
    };
    let yes = |flag: bool| flag.to_string();
    facts.extend([
        ("URL", "url", url(agent)),
        ("BIND-URL", "bind-url", format!("{}{bind};transport=udp,tcp", url(agent))),
        ("HOLD-MUSIC", "hold-music", or_none(conf.hold_music.as_deref())),
        ("OUTBOUND-PROXY", "outbound-proxy", or_none(conf.outbound_proxy.as_deref())),
        ("CODECS IN", "inbound-codecs", agent.inbound_prefs().to_string()),
        ("CODECS OUT", "outbound-codecs", agent.outbound_prefs().to_string()),
        ("TEL-EVENT", "tel-event", conf.rfc2833_pt.to_string()),
        ("DTMF-MODE", "dtmf-mode", dtmf.to_owned()),
        ("CNG", "cng", if conf.suppress_cng { "0" } else { "13" }.to_owned()),
        ("SESSION-TO", "session-to", conf.session_timeout.unwrap_or(0).to_string()),
        ("MAX-DIALOG", "max-dialog", "0".to_owned()),
        ("MAX-RECV-RPS", "max-recv-rps", conf.max_recv_requests_per_second.to_string()),
        ("NOMEDIA", "nomedia", yes(conf.inbound_bypass_media)),
        ("LATE-NEG", "late-neg", yes(conf.inbound_late_negotiation)),
        ("PROXY-MEDIA", "proxy-media", yes(conf.inbound_proxy_media)),
        ("AGGRESSIVENAT", "aggressive-nat", yes(conf.aggressive_nat_detection)),
    ]);
    let filter = conf.user_agent_filter.clone();
    facts.extend(filter.map(|filter| ("USER-AGENT-FILTER", "user-agent-filter", filter)));
    let most = conf.max_registrations_per_extension.filter(|most| *most > 0);
    facts.extend(most.map(|n| ("MAX-REG-PEREXT", "max-registrations-per-extension", n.to_string())));
    let (all, inbound) = calls_up(desk).await.get(&agent.name).copied().unwrap_or_default();
    let [ended_in, ended_out, failed_in, failed_out] = &*agent.ended;
    let [ended_in, ended_out, failed_in, failed_out] =
        [ended_in, ended_out, failed_in, failed_out].map(|n| n.load(Ordering::Relaxed));
    let now = Leg::now();
    let bindings = desk.exchange.registrar.list(|b| *b.profile == *agent.name && b.gone_at() > now).len();
    facts.extend([
        ("CALLS-IN", "calls-in", (ended_in + inbound).to_string()),
        ("FAILED-CALLS-IN", "failed-calls-in", failed_in.to_string()),
        ("CALLS-OUT", "calls-out", (ended_out + all.saturating_sub(inbound)).to_string()),
        ("FAILED-CALLS-OUT", "failed-calls-out", failed_out.to_string()),
        ("REGISTRATIONS", "registrations", bindings.to_string()),
    ]);
    facts
}

/// What is told of a gateway. Text and XML count time and pings differently: a fact without a label, or without a tag, is
/// left out there.
fn gateway_facts(desk: &Desk, gateway: &Gateway, now: Instant) -> Vec<Fact> {
    let (conf, status, counts) = (&gateway.conf, gateway.status(), gateway.counts());
    let agent = desk.exchange.agent(&gateway.profile);
    let contact = agent.as_ref().map(|agent| {
        let ours = agent.external.unwrap_or(agent.local);
        gateway.contact(ours, agent.local.ip(), &[])
    });
    let context = conf.context.clone().or_else(|| agent.map(|agent| agent.context.to_string()));
    let (every, least, most) = conf.ping.as_ref().map_or((0, 0, 0), |p| (p.every, p.min, p.max));
    let refresh = status.refresh.map_or(0, |at| at.saturating_duration_since(now).as_secs());
    let up = status.since.filter(|_| status.up).map(|since| now.saturating_duration_since(since));
    let up = up.unwrap_or_default();
    let word = if status.up { "UP" } else { "DOWN" };
    let ping_time = format!("{:.2}", status.ping_ms.unwrap_or_default());
    let mut facts: Vec<Fact> = vec![
        ("Name", "name", conf.name.clone()),
        ("Profile", "profile", gateway.profile.clone()),
        ("Scheme", "scheme", "Digest".to_owned()),
        ("Realm", "realm", conf.proxy.host().to_owned()),
        ("Username", "username", conf.username.clone()),
        ("Password", "password", if conf.password.is_empty() { "no" } else { "yes" }.to_owned()),
        ("From", "from", format!("<{}>", gateway.address())),
        ("Contact", "contact", contact.unwrap_or_default()),
        ("Exten", "exten", conf.contact_extension().to_owned()),
        ("To", "to", register_to(gateway)),
        ("Proxy", "proxy", conf.register_proxy.as_ref().unwrap_or(&conf.proxy).to_string()),
        ("Context", "context", context.unwrap_or_default()),
        ("Expires", "expires", conf.expire_seconds.to_string()),
        ("Freq", "freq", refresh.to_string()),
        ("Ping", "ping", if every > 0 { "1" } else { "0" }.to_owned()),
        ("PingFreq", "pingfreq", every.to_string()),
        ("", "pingmin", least.to_string()),
        ("", "pingcount", status.points.to_string()),
        ("", "pingmax", most.to_string()),
        ("PingTime", "pingtime", ping_time),
        ("PingState", "", format!("{least}/{}/{most}", status.points)),
        ("", "pinging", "0".to_owned()),
        ("State", "state", status.state.to_string()),
        ("Status", "status", word.to_owned()),
        ("Uptime", "", format!("{}s", up.as_secs())),
        ("", "uptime-usec", up.as_micros().to_string()),
        ("CallsIN", "calls-in", counts.inbound.to_string()),
        ("CallsOUT", "calls-out", counts.outbound.to_string()),
        ("FailedCallsIN", "failed-calls-in", counts.failed_inbound.to_string()),
        ("FailedCallsOUT", "failed-calls-out", counts.failed_outbound.to_string()),
    ];
    facts.extend(retry(gateway, now).map(|at| ("", "retry", at)));
    facts
}

/// Whether registrations are asked for, and not the profile itself.
fn wants_registrations(words: &[&str]) -> bool {
    words.first().is_some_and(|word| ["reg", "user", "pres"].iter().any(|w| w.eq_ignore_ascii_case(word)))
}

/// The registrations that `reg [CONTACT]`, `user [USER@]DOMAIN` pick.
fn registrations(desk: &Desk, agent: &UserAgent, words: &[&str]) -> Option<Vec<Arc<Binding>>> {
    let now = Leg::now();
    let here = |binding: &Binding| *binding.profile == *agent.name && binding.gone_at() > now;
    let registrar = &desk.exchange.registrar;
    let mut found = match words {
        [word, text, ..] if word.eq_ignore_ascii_case("reg") => {
            let text = text.to_ascii_lowercase();
            registrar.list(|b| here(b) && b.fs_contact().to_ascii_lowercase().contains(&text))
        }
        [word, ..] if word.eq_ignore_ascii_case("reg") => registrar.list(here),
        [word, text, ..] if word.eq_ignore_ascii_case("user") => {
            let (user, domain) = text.split_once('@').unwrap_or(("", text));
            let is = |wanted: &str, there: &str| wanted.is_empty() || wanted.eq_ignore_ascii_case(there);
            registrar.list(|b| here(b) && is(user, &b.user) && is(domain, &b.domain))
        }
        // presence-hosts, which FreeSWITCH looks in, are the domains here.
        [word, text, ..] if word.eq_ignore_ascii_case("pres") => {
            let text = text.to_ascii_lowercase();
            registrar.list(|b| here(b) && b.domain.to_ascii_lowercase().contains(&text))
        }
        _ => return None,
    };
    found.sort_by(|a, b| a.since.cmp(&b.since).then_with(|| a.user.cmp(&b.user)));
    Some(found)
}

fn binding_facts(desk: &Desk, binding: &Binding, now: Instant) -> Vec<Fact> {
    let seconds = binding.remaining(now);
    let at = Timestamp::now().as_second() + i64::from(seconds);
    let at = Timestamp::from_second(at)
        .map(|at| at.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string());
    let address = format!("{}@{}", binding.user, binding.domain);
    let exp = at.unwrap_or_default();
    // One that is not pinged counts as there.
    let reach =
        if binding.reach.as_ref().is_none_or(|reach| reach.is_up()) { "Reachable" } else { "Unreachable" };
    let took = binding.reach.as_ref().map_or(0.0, |reach| reach.milliseconds());
    let (mwi_user, mwi_domain) = binding.messages_of();
    vec![
        ("Call-ID:    ", "call-id", binding.call_id.to_string()),
        ("User:       ", "user", address.clone()),
        ("Contact:    ", "contact", binding.fs_contact()),
        ("Agent:      ", "agent", binding.user_agent.to_string()),
        ("Status:     ", "status", format!("{}(unknown) EXP({exp}) EXPSECS({seconds})", status(binding))),
        ("Ping-Status:", "ping-status", reach.to_owned()),
        ("Ping-Time:", "ping-time", format!("{took:.2}")),
        ("Host:       ", "host", desk.exchange.events.host.hostname.clone()),
        ("IP:         ", "network-ip", binding.flow.remote.ip().to_string()),
        ("Port:       ", "network-port", binding.flow.remote.port().to_string()),
        ("Auth-User:  ", "sip-auth-user", binding.auth_user().to_owned()),
        ("Auth-Realm: ", "sip-auth-realm", binding.auth_realm().to_owned()),
        ("MWI-Account:", "mwi-account", format!("{mwi_user}@{mwi_domain}")),
    ]
}
