//! What a called leg gets of its caller and of the dial string: variables, caller ID, codecs (inventory §5.2).
//!
//! FreeSWITCH's `switch_ivr_originate`, `switch_core_session_outgoing_channel`, `switch_channel_process_export` and
//! `sofia_outgoing_channel`.

use super::endpoint::Target;
use super::rules::COPIED;
use super::string::find;
use crate::channel::identity::Privacy;
use crate::channel::variables::is_true;
use crate::channel::{Attempt, CallerProfile, Codecs, Leg, MediaWay, Progress, Variables};
use crate::config::sofia::FromDomain;
use std::sync::Arc;
use tracing::warn;

/// The variables of the dial string round a leg, with what the caller exports and what counts of the caller's own:
/// outermost first, the last of a name counts.
pub fn outer(leg: &Leg, written: &[(String, String)]) -> Vec<(String, String)> {
    let mut outer = exports(leg);
    outer.extend(written.iter().cloned());
    for name in COPIED {
        if let (Some(value), None) = (leg.variables.get(name), find(&outer, name)) {
            outer.push((name.to_owned(), value.to_owned()));
        }
    }
    outer
}

/// The variables named in `export_vars`. Those of the kind `nolocal:` are kept under that name, so that the caller itself
/// does not see them.
fn exports(leg: &Leg) -> Vec<(String, String)> {
    let Some(list) = leg.variables.get("export_vars") else { return Vec::new() };
    let mut exports = vec![("export_vars".to_owned(), list.to_owned())];
    for listed in list.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        let name = listed.strip_prefix("nolocal:").or(listed.strip_prefix("_nolocal_")).unwrap_or(listed);
        let hidden = [format!("_nolocal_{name}"), format!("nolocal:{name}")];
        let value =
            hidden.iter().find_map(|name| leg.variables.get(name)).or_else(|| leg.variables.get(name));
        if let Some(value) = value {
            exports.push((name.to_owned(), value.to_owned()));
        }
    }
    exports
}

/// Names that are wire text at the caller stay so at the called side.
fn put(variables: &mut Variables, leg: &Leg, name: &str, value: &str) {
    match leg.variables.get_marked(name) {
        Some((held, true)) if held == value => variables.set_wire(name, value),
        _ => variables.set(name, value),
    }
}

/// The variables of the leg that calls `target`; `own` are its `[…]`, `outer` those round it.
///
/// For plain variables `{…}` wins over `[…]` unless `local_var_clobber=true`; for those that steer the call itself `[…]`
/// wins. What `user/` brought (its dial-string, `dial-var-…`) is the ground both stand on.
pub fn variables(
    leg: &Leg,
    target: &Target,
    own: &[(String, String)],
    outer: &[(String, String)],
) -> Variables {
    let mut variables = Variables::with_room(32);
    if leg.variables.get("sip_copy_custom_headers").is_none_or(is_true) {
        for (name, _) in leg.variables.with_prefix("sip_h_") {
            if goes_across(name, leg.variables.is_wire(name)) {
                variables.copy(&leg.variables, name);
            }
        }
    }
    for name in ["sip_cid_type", "sip_sticky_contact", "process_cdr"] {
        variables.copy(&leg.variables, name);
    }
    for (theirs, ours) in [
        ("bridge_pre_execute_bleg_app", "bridge_pre_execute_app"),
        ("bridge_pre_execute_bleg_data", "bridge_pre_execute_data"),
    ] {
        if let Some((value, false)) = leg.variables.get_marked(theirs) {
            variables.set(ours, value);
        }
    }
    let clobber = find(outer, "local_var_clobber").is_some_and(is_true);
    let (first, second) = if clobber { (outer, own) } else { (own, outer) };
    let of_profile = |variable: &&(String, String)| variable.0.starts_with(OF_PROFILE);
    for (name, value) in target.variables.iter().filter(|v| !of_profile(v)).chain(first).chain(second) {
        put(&mut variables, leg, name, value);
    }
    for (name, value) in own.iter().filter(|(name, _)| steers(name)) {
        put(&mut variables, leg, name, value);
    }
    // What the caller's own From says, for gateways that are to show it.
    let shown = match target.gateway.as_ref().map(|through| &through.gateway.conf.from_domain) {
        Some(FromDomain::AlegFull) => Some(("sip_full_from", "sip_force_full_from")),
        Some(FromDomain::AlegDomain) => Some(("sip_from_host", "sip_invite_domain")),
        _ => None,
    };
    if let Some((theirs, ours)) = shown.filter(|_| variables.get("sip_invite_domain").is_none())
        && let Some(value) = leg.variables.get(theirs)
    {
        variables.set_wire(ours, value);
    }
    if leg.is_nobody() {
        for name in ["origination_caller_id_name", "origination_caller_id_number"] {
            if variables.get(name).is_none() {
                variables.copy(&leg.variables, name);
            }
        }
    } else {
        variables.set("originator", &leg.uuid);
        variables.set("originating_leg_uuid", &leg.uuid);
        variables.set("signal_bond", &leg.uuid);
        variables.copy(&leg.variables, "call_uuid");
    }
    if variables.is_true("sip_auto_answer") {
        let ours = target.agent.host();
        variables.print("sip_h_Call-Info", format_args!("<sip:{ours}>;answer-after=0"));
        variables.set("sip_invite_params", "intercom=true");
    }
    variables
}

/// A gateway's variable that begins so is a field of the called leg's caller profile.
const OF_PROFILE: &str = "p:";

/// Variables that steer the originate itself: read from `[…]` before `{…}`.
fn steers(name: &str) -> bool {
    let begins = |prefix: &str| name.get(..prefix.len()).is_some_and(|n| n.eq_ignore_ascii_case(prefix));
    begins("origination_") || begins("leg_")
}

/// Whether a header variable of the caller is one of the called side too. All that the dialplan has set are; of what the
/// caller sent, those it invented and those made to be passed on.
fn goes_across(name: &str, wire: bool) -> bool {
    const IDENTITY: [&str; 3] =
        ["sip_h_P-Asserted-Identity", "sip_h_P-Preferred-Identity", "sip_h_P-Charging-Vector"];
    const PASSED: [&str; 5] =
        ["sip_h_User-to-User", "sip_h_Diversion", "sip_h_Alert-Info", "sip_h_Subject", "sip_h_History-Info"];
    let is_one_of = |names: &[&str]| names.iter().any(|n| name.eq_ignore_ascii_case(n));
    let begins = |prefix: &str| name.get(..prefix.len()).is_some_and(|n| n.eq_ignore_ascii_case(prefix));
    !wire || begins("sip_h_X-") || begins("sip_h_P-") && !is_one_of(&IDENTITY) || is_one_of(&PASSED)
}

/// The attempt itself.
pub fn attempt(leg: &Leg, target: Target, variables: Variables) -> Attempt {
    let said = |name: &str| variables.get(name).or_else(|| leg.variables.get(name));
    let shown = |own: &str, effective: &str, usual: &Arc<str>| {
        let said = variables.get(own).or_else(|| leg.variables.get(effective));
        said.map_or_else(|| usual.clone(), Arc::from)
    };
    let number =
        shown("origination_caller_id_number", "effective_caller_id_number", &leg.caller.caller_id_number);
    let name = shown("origination_caller_id_name", "effective_caller_id_name", &leg.caller.caller_id_name);
    let ani = shown("origination_ani", "effective_ani", &leg.caller.ani);
    let mut privacy = Privacy { name: leg.caller.privacy_hide_name, number: leg.caller.privacy_hide_number };
    if let Some(wish) = said("origination_privacy").map(str::to_ascii_lowercase) {
        let full = wish.contains("full");
        privacy = Privacy {
            name: full || wish.contains("hide_name"),
            number: full || wish.contains("hide_number"),
        };
    }
    let inside = target.inside.is_some();
    let callee = |name: &str| {
        let names = [&*format!("origination_callee_id_{name}"), &*format!("effective_callee_id_{name}")];
        names.into_iter().find_map(|n| variables.get(n)).map(Arc::<str>::from)
    };
    let called = target.number.clone();
    let chan_name: Arc<str> = match variables.get("origination_channel_name") {
        Some(name) => name.into(),
        None => target.name().into(),
    };
    let mut caller = CallerProfile {
        username: leg.caller.username.clone(),
        dialplan: leg.caller.dialplan.clone(),
        context: target.context.clone().unwrap_or_else(|| leg.caller.context.clone()),
        caller_id_name: name.clone(),
        caller_id_number: number.clone(),
        orig_caller_id_name: name,
        orig_caller_id_number: number,
        chan_name,
        destination_number: called.clone(),
        callee_id_name: callee("name").unwrap_or_default(),
        callee_id_number: callee("number").unwrap_or(called),
        ani,
        rdnis: leg.caller.rdnis.clone(),
        privacy_hide_name: privacy.name,
        privacy_hide_number: privacy.number,
        ..CallerProfile::default()
    };
    for (name, value) in &target.variables {
        if let Some(field) = name.strip_prefix(OF_PROFILE)
            && !caller.set_field(field, value)
        {
            warn!("{}: gateway variable {name}: the caller profile has no field {field}", leg.uuid);
        }
    }
    let forwards = leg.variables.get("max_forwards").and_then(|f| f.parse::<u8>().ok()).unwrap_or(70);
    Attempt {
        agent: target.agent,
        uri: target.uri,
        destination: target.destination,
        others: target.others,
        gateway: target.gateway,
        routes: target.routes,
        inside: target.inside,
        to: target.to,
        variables,
        own: target.own,
        caller,
        for_leg: !leg.is_nobody(),
        other_leg: leg.introduction(),
        privacy,
        codecs: codecs(leg, inside),
        max_forwards: forwards.saturating_sub(1),
    }
}

/// What is offered: the caller's description passed on, its codecs, or a list. A call to ourselves is always relayed.
fn codecs(leg: &Leg, inside: bool) -> Codecs {
    let way = if inside { MediaWay::Relay } else { leg.way_for_calls() };
    if way != MediaWay::Relay {
        return Codecs::Passed(way, leg.said());
    }
    let settled = leg.progress() >= Progress::EarlyMedia && leg.way() == MediaWay::Relay;
    match (settled, leg.agreed(), leg.offered()) {
        (true, agreed, _) if !agreed.is_empty() => Codecs::Agreed(agreed.clone()),
        (_, _, Some(offer)) => Codecs::Offered(offer.clone(), leg.own_prefs()),
        _ => Codecs::Profile,
    }
}
