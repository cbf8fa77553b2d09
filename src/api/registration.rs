//! `sofia_contact [PROFILE/]USER[@DOMAIN][/SUFFIX][~AGENT]`, `reg_url`, `sofia_count_reg`.

use super::world::{ContactQuery, World, default_domain};
use crate::dialplan::guarded;

/// What it answers for a user without a registration.
const NOBODY: &str = "error/user_not_registered";

/// The dial string of every registration of a user. The profile `*` means all.
pub fn sofia_contact(world: &dyn World, text: &str) -> String {
    let (text, agent) =
        text.split_once('~').map_or((text, None), |(text, agent)| (text, Some(agent.to_owned())));
    let (profile, address) = text.split_once('/').map_or((None, text), |(p, address)| (Some(p), address));
    let (address, suffix) = address.split_once('/').unwrap_or((address, ""));
    let (user, domain) = address.split_once('@').unwrap_or((address, ""));
    let usual;
    let domain = if domain.is_empty() {
        usual = default_domain(world);
        &usual
    } else {
        domain
    };
    let variable = |name| {
        let value = world.channel()?.variable(name)?;
        (!value.text.is_empty()).then(|| value.text.into_owned())
    };
    let query = ContactQuery {
        profile: profile.filter(|p| !p.is_empty() && *p != "*"),
        user,
        domain,
        suffix,
        user_agent: agent.or_else(|| variable("sip_match_user_agent")),
        exclude: variable("sip_exclude_contact"),
    };
    dial_strings(world, &query)
}

/// `reg_url USER[@DOMAIN][/SUFFIX]`: the same, of every profile.
pub fn reg_url(world: &dyn World, text: &str) -> String {
    let (address, suffix) = text.split_once('/').unwrap_or((text, ""));
    let (user, domain) = address.split_once('@').unwrap_or((address, ""));
    let domain = if domain.is_empty() { default_domain(world) } else { domain.to_owned() };
    let exclude = world.channel().and_then(|channel| channel.variable("sip_exclude_contact"));
    let exclude = exclude.map(|value| value.text.into_owned()).filter(|text| !text.is_empty());
    dial_strings(
        world,
        &ContactQuery { profile: None, user, domain: &domain, suffix, user_agent: None, exclude },
    )
}

/// `sofia_count_reg [PROFILE/][USER][@DOMAIN]`: how many registrations there are, -1 where no such profile is; the domain
/// may name the profile. (Without a domain FreeSWITCH looks for one called like the profile; here it is any.)
pub fn sofia_count_reg(world: &dyn World, text: &str) -> String {
    let (profile, address) = text.split_once('/').map_or((None, text), |(p, address)| (Some(p), address));
    let address = address.split_once('/').map_or(address, |(address, _)| address);
    let (user, domain) = address.split_once('@').unwrap_or((address, ""));
    let user = Some(user).filter(|user| !user.is_empty());
    let named = Some(domain).filter(|domain| !domain.is_empty());
    let count = profile
        .and_then(|profile| world.registrations(profile, user, named))
        // A profile in the place of the domain: then it is no domain, unless it is both.
        .or_else(|| world.registrations(named?, user, named.filter(|domain| domain.contains('.'))));
    count.map_or_else(|| "-1".to_owned(), |count| count.to_string())
}

/// What phones wrote into their contacts stays within its dial string.
fn dial_strings(world: &dyn World, query: &ContactQuery<'_>) -> String {
    let contacts = world.contacts(query);
    let contacts: Vec<_> = contacts.iter().map(|contact| guarded(contact)).collect();
    if contacts.is_empty() { NOBODY.to_owned() } else { contacts.join(",") }
}
