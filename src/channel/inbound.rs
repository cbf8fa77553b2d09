//! A leg that begins with a caller's INVITE.

use super::caller::CallerProfile;
use super::exchange::Exchange;
use super::leg::{Beginning, Direction, Leg};
use super::legs::{Entry, Token};
use super::letter::Letter;
use super::mailbox::Letters;
use super::media::{LegMedia, MediaError, Policy};
use super::user_agent::UserAgent;
use super::variables::Variables;
use crate::dialog::{self, Identity};
use crate::media::{Learn, Sink};
use crate::sip::{Flow, Message, Name, Transport};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::net::IpAddr;
use std::sync::Arc;

/// What the profile found out about a caller before its leg begins.
pub struct Caller {
    /// The INVITE, accepted.
    pub invite: Message,
    /// Where it came from.
    pub flow: Flow,
    /// Who calls whom, in which context.
    pub profile: CallerProfile,
    /// Variables of the INVITE and of the caller's directory entry.
    pub variables: Variables,
}

impl Leg {
    /// Begins an a-leg. The 100 is ready to go out at the first wait. An offer that cannot be read is told as an error
    /// beside the leg, which then only has to refuse.
    pub fn inbound(
        exchange: Arc<Exchange>,
        agent: Arc<UserAgent>,
        entry: Entry,
        letters: Letters,
        caller: Caller,
    ) -> (Leg, Result<(), MediaError>) {
        let Caller { invite, flow, profile, variables } = caller;
        let called = invite.uri().and_then(|u| u.user().map(|u| u.into_owned()));
        let peer = flow.remote.ip();
        let contact = agent.contact(called.as_deref(), peer, flow.transport);
        let own = identity(&agent, entry.token(), peer, contact, is_sticky(&invite, &flow));
        let mut rng = SmallRng::from_rng(&mut rand::rng());
        let media = leg_media(&exchange, &agent, &entry, flow.remote.ip(), rng.random::<u32>());
        let body = is_sdp(&invite).then(|| invite.body_bytes());
        let now = Leg::now();
        let session = dialog::Session::incoming(now, own, invite, flow, rng);
        let mut leg = Beginning {
            direction: Direction::Inbound,
            exchange,
            agent,
            entry,
            letters,
            caller: profile,
            variables,
            session,
            media,
        }
        .leg(now);
        let taken = match body {
            Some(body) => {
                match std::str::from_utf8(&body) {
                    Ok(text) => leg.variables.set_wire("switch_r_sdp", text),
                    Err(_) => leg.variables.set_wire("switch_r_sdp", String::from_utf8_lossy(&body)),
                }
                leg.media.take_offer(&body)
            }
            None => Ok(()),
        };
        leg.tell_begun();
        (leg, taken)
    }
}

/// True when the message's body is a session description.
pub(super) fn is_sdp(message: &Message) -> bool {
    !message.body().is_empty()
        && message
            .header(Name::ContentType)
            .is_none_or(|t| t.to_ascii_lowercase().starts_with("application/sdp"))
}

/// In-dialog requests go back the way the caller's packets came: over its connection; by UDP when it asked for that
/// (rport, RFC 3581) or when its Contact cannot be an address we reach.
pub fn is_sticky(request: &Message, flow: &Flow) -> bool {
    let asked = flow.transport != Transport::Udp || request.via().rport().is_some();
    let host = request.contact().map(|contact| contact.uri().host());
    let unreachable = match host.and_then(|h| h.parse::<IpAddr>().ok()) {
        Some(ip) => ip != flow.remote.ip() && is_private(ip),
        None => false,
    };
    asked || unreachable
}

/// RFC 1918, RFC 6598, link-local and unique local addresses.
fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            ip.is_private() || ip.is_link_local() || (a == 100 && (64..128).contains(&b))
        }
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

/// The session of a leg towards `peer`.
pub fn identity(agent: &UserAgent, token: Token, peer: IpAddr, contact: String, sticky: bool) -> Identity {
    let tag = token.to_string();
    Identity {
        shared: agent.sessions(peer),
        branch_prefix: ["z9hG4bK", &tag, "."].concat().into(),
        local_tag: tag.into(),
        contact: contact.into(),
        sticky,
    }
}

/// Media for a leg whose far end's SIP comes from `peer`.
pub(super) fn leg_media(
    exchange: &Exchange,
    agent: &UserAgent,
    entry: &Entry,
    peer: IpAddr,
    id: u32,
) -> LegMedia {
    let mailbox = entry.mailbox().clone();
    let sink = Arc::new(move |line: usize| -> Sink {
        let mailbox = mailbox.clone();
        Arc::new(move |_, event| {
            mailbox.post(Letter::Media { line, event });
        })
    });
    let policy = Policy {
        learn: if agent.conf.disable_rtp_auto_adjust { Learn::Never } else { Learn::Port },
        signalling: Some(peer),
        timeouts: agent.media_timeouts(),
    };
    let username = agent.conf.username.clone().unwrap_or_else(|| "tandem".to_owned());
    LegMedia::new(exchange.media.clone(), sink, agent.media_address_for(peer), username, id.into(), policy)
}

/// Behind NAT: the description's address is one that packets cannot come from here, or not the one SIP comes from.
pub(super) fn learn_for(policy: Policy, rtp: IpAddr) -> Learn {
    match (policy.learn, policy.signalling) {
        (Learn::Port, Some(peer)) if rtp != peer && is_private(rtp) => {
            Learn::Nat { window: std::time::Duration::from_secs(10) }
        }
        (learn, _) => learn,
    }
}
