//! `sofia_contact [PROFILE/]USER[@DOMAIN][/SUFFIX][~AGENT]`.

use super::world::{ContactQuery, World, default_domain};

/// What it answers for a user without a registration.
const NOBODY: &str = "error/user_not_registered";

/// The dial string of every registration of a user. The profile `*` means all.
pub fn sofia_contact(world: &dyn World, text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
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
    let contacts = world.contacts(&query);
    if contacts.is_empty() { NOBODY.to_owned() } else { contacts.join(",") }
}
