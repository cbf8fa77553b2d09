//! `sofia_username_of`, `sofia_presence_data`: what is known of registered users (mod_sofia.c).

use std::fmt::Write;

use super::command::{Command, now};
use super::desk::Desk;
use crate::channel::{Leg, UserAgent};
use crate::presence::address;

pub(super) const COMMANDS: &[Command] = &[
    now(
        "sofia_presence_data",
        "[list|status|rpid|user_agent] [profile/]<user>@domain",
        "Sofia Presence Data",
        sofia_presence_data,
    ),
    now("sofia_username_of", "[profile/]<user>@<domain>", "Sofia Username Lookup", sofia_username_of),
];

/// The name a user's phone logged in with; nothing for who is not registered.
fn sofia_username_of(desk: &Desk, text: &str) -> String {
    let (profile, address) = text.split_once('/').map_or((None, text), |(p, address)| (Some(p), address));
    let (user, domain) = address.split_once('@').map_or((address, None), |(u, d)| (u, Some(d)));
    let exchange = &desk.exchange;
    let named = profile.and_then(|name| exchange.agent(name)).or_else(|| exchange.agent(domain?));
    let Some(agent) = named else { return String::new() };
    let usual = exchange.domain();
    // A domain without a dot is taken for a profile's name.
    let domain = domain.filter(|domain| domain.contains('.')).unwrap_or(&usual);
    let found = exchange.registrar.lookup_at(Leg::now(), &agent.name, user.trim(), domain);
    found.first().map(|binding| binding.auth_user().to_owned()).unwrap_or_default()
}

/// What is said of a user (`presence in`), and from where it is registered.
fn sofia_presence_data(desk: &Desk, text: &str) -> String {
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let [what, whom, ..] = words.as_slice() else { return String::new() };
    let (profile, whom) = whom.split_once('/').map_or((None, *whom), |(p, whom)| (Some(p), whom));
    let whom = whom.split_once('/').map_or(whom, |(whom, _)| whom);
    let (user, domain) = whom.split_once('@').unwrap_or((whom, ""));
    let exchange = &desk.exchange;
    let usual = exchange.domain();
    let domain = if domain.is_empty() { &usual } else { domain };
    let agent = profile.filter(|name| *name != "*").and_then(|name| exchange.agent(name));
    let here = |agent: &UserAgent, name: &str| *agent.name == *name;
    let what = what.to_ascii_lowercase();
    let mut out = String::new();
    for binding in exchange.registrar.lookup(Leg::now(), user, domain) {
        if agent.as_ref().is_some_and(|agent| !here(agent, &binding.profile)) {
            continue;
        }
        let said = exchange.presence.said(&address(user, domain));
        let status = said.as_ref().map_or("unknown", |said| said.note());
        let rpid = said.as_ref().map_or("unknown", |said| &*said.rpid);
        let (agent, flow) = (&*binding.user_agent, &binding.flow);
        match what.as_str() {
            "status" => out.push_str(status),
            "rpid" => out.push_str(rpid),
            "user_agent" => out.push_str(agent),
            _ => {
                if out.is_empty() {
                    out.push_str("status|rpid|user_agent|network_ip|network_port\n");
                }
                let (ip, port) = (flow.remote.ip(), flow.remote.port());
                let _ = writeln!(out, "{status}|{rpid}|{agent}|{ip}|{port}");
            }
        }
    }
    if what == "list" {
        out.push_str("+OK\n");
    }
    out
}
