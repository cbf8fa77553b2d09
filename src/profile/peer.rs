//! Calls from gateways: which one it is, and what that changes (`sofia_handle_sip_i_invite`).
//!
//! A gateway names itself by the Contact we gave it: as the user (`gw+NAME`) or by the parameter `gw=NAME`. One that calls
//! us by a number of its own is known by its address, when that belongs to one gateway of this profile alone: then
//! the number stays as it is.

use std::net::IpAddr;
use std::sync::Arc;

use super::start::Profile;
use crate::channel::Variables;
use crate::gateway::Gateway;
use crate::sip::Message;

/// How a gateway was recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    /// `gw+NAME`.
    User,
    /// `;gw=NAME`.
    Param,
    /// Its address.
    Source,
}

/// A call from a gateway.
pub(super) struct Peer {
    pub(super) gateway: Arc<Gateway>,
    by: By,
}

impl Profile {
    /// Whether a gateway of this profile is at that address, whatever the message says.
    pub(super) fn is_gateways_address(&self, source: IpAddr) -> bool {
        let gateways = self.shared.exchange.gateways.load();
        gateways.of_profile(&self.agent.name).iter().any(|gateway| gateway.is_peer(source))
    }

    /// The gateway an INVITE comes from.
    pub(super) fn peer(&self, invite: &Message, source: IpAddr) -> Option<Peer> {
        let gateways = self.shared.exchange.gateways.load();
        let here = gateways.of_profile(&self.agent.name);
        if here.is_empty() {
            return None;
        }
        let find = |name: &str| gateways.find(&format!("{}::{name}", self.agent.name)).cloned();
        let uri = invite.uri()?;
        let named = uri.user().and_then(|user| find(user.strip_prefix("gw+")?));
        if let Some(gateway) = named {
            return Some(Peer { gateway, by: By::User });
        }
        if let Some(gateway) = uri.param("gw").and_then(find) {
            return Some(Peer { gateway, by: By::Param });
        }
        let mut here = here.iter().filter(|g| g.is_peer(source));
        let gateway = here.next().filter(|_| here.next().is_none())?.clone();
        Some(Peer { gateway, by: By::Source })
    }
}

impl Peer {
    /// What the call asks the dialplan for; `None` leaves it as it is.
    pub(super) fn destination(&self, invite: &Message) -> Option<String> {
        let conf = &self.gateway.conf;
        let extension = match self.by {
            By::User => Some(conf.contact_extension()),
            By::Param => conf.extension.as_deref(),
            By::Source => None,
        }?;
        let to = || invite.to().uri().user().map(|user| user.into_owned());
        match extension.to_ascii_lowercase().as_str() {
            "auto_to_user" => to(),
            "auto" if self.by == By::User => to(),
            "auto" => None,
            _ => Some(extension.to_owned()),
        }
    }

    /// The context it begins in; `None` leaves it to the profile.
    pub(super) fn context(&self) -> Option<&str> {
        self.gateway.conf.context.as_deref()
    }

    /// Counts the call, and sets what is set on calls from this gateway.
    pub(super) fn note(&self, variables: &mut Variables) {
        self.gateway.count(false, false);
        variables.set("sip_gateway", &self.gateway.conf.name);
        variables.set("sip_gateway_name", &self.gateway.conf.name);
        for variable in self.gateway.variables(false) {
            variables.set(&variable.name, &variable.value);
        }
    }
}
