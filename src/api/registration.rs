//! `sofia_contact [PROFILE/]USER[@DOMAIN][/SUFFIX][~AGENT]`.

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

/// What phones wrote into their contacts stays within its dial string.
fn dial_strings(world: &dyn World, query: &ContactQuery<'_>) -> String {
    let contacts = world.contacts(query);
    let contacts: Vec<_> = contacts.iter().map(|contact| guarded(contact)).collect();
    if contacts.is_empty() { NOBODY.to_owned() } else { contacts.join(",") }
}
