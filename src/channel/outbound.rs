//! A leg that begins with our INVITE: one attempt to reach one address of a called party.

use super::addresses::{Addresses, Usual};
use super::caller::CallerProfile;
use super::caught::caught;
use super::cause::Cause;
use super::course::Course;
use super::exchange::Exchange;
use super::headers::OtherLeg;
use super::identity::{CidType, Privacy, calling_headers, header_variables};
use super::inbound::{identity, leg_media};
use super::leg::{Beginning, Direction, Happening, Leg};
use super::legs::{Token, new_uuid};
use super::letter::News;
use super::loopback::Inside;
use super::mailbox::{Mailbox, Tie};
use super::media::{MediaError, Way};
use super::moment::Moment;
use super::progress::media_cause;
use super::user_agent::UserAgent;
use super::variables::Variables;
use crate::dialog::{self, Invite, Means};
use crate::gateway::Gateway;
use crate::sdp::{self, AgreedMedia, Prefs};
use crate::sip::digest::Login;
use crate::sip::{Destination, NameAddr, Transport, Uri};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::borrow::Cow;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use tracing::warn;

/// Where the codecs of our offer come from.
#[derive(Clone, Debug)]
pub enum Codecs {
    /// The caller's offer, not answered yet, less what its profile does not take.
    Offered(Arc<sdp::Session>, Arc<Prefs>),
    /// What was agreed with the caller, who is answered.
    Agreed(Arc<[AgreedMedia]>),
    /// There is no caller, or it has not said what it can.
    Profile,
    /// The caller's description is passed on, as it is or with our address and ports; without one the called side is asked
    /// to offer.
    Passed(Way, Option<bytes::Bytes>),
}

/// One attempt to be made.
pub struct Attempt {
    /// The profile that calls.
    pub agent: Arc<UserAgent>,
    /// The Request-URI.
    pub uri: Uri,
    /// Where the INVITE is sent.
    pub destination: Destination,
    /// Where it goes next when that fails.
    pub others: Vec<Destination>,
    /// The gateway it goes through.
    pub gateway: Option<Through>,
    /// Routes to go by (RFC 3327 Path), first hop first.
    pub routes: Vec<NameAddr>,
    /// It is a call to ourselves, which goes on there.
    pub inside: Option<Inside>,
    /// Whom To names, when that is not the Request-URI: `user@host` or a URI.
    pub to: Option<String>,
    /// The leg's variables.
    pub variables: Variables,
    /// Variables the leg gets once its INVITE is made: those of the user it calls.
    pub own: Vec<(String, String)>,
    /// Who calls whom, as the called side sees it.
    pub caller: CallerProfile,
    /// It is made for a leg, not for a command alone (`originate`).
    pub for_leg: bool,
    /// The leg that calls, for those who listen.
    pub other_leg: Option<Box<OtherLeg>>,
    /// What may be shown of the caller.
    pub privacy: Privacy,
    /// Codecs to offer.
    pub codecs: Codecs,
    /// Max-Forwards, one less than the caller's.
    pub max_forwards: u8,
}

/// A call through a gateway.
#[derive(Clone, Debug)]
pub struct Through {
    /// The gateway.
    pub gateway: Arc<Gateway>,
    /// URI parameters of the dial string, which our Contact has too.
    pub params: Vec<(String, Option<String>)>,
}

impl Through {
    /// Our Contact for `peer`.
    fn contact(&self, agent: &UserAgent, peer: IpAddr) -> String {
        let params: Vec<_> = self.params.iter().map(|(n, v)| (n.as_str(), v.as_deref())).collect();
        self.gateway.contact(agent.address_for(peer), agent.local.ip(), &params)
    }
}

impl Leg {
    /// Begins a b-leg and its task. Its news go to `owner`.
    pub fn dial(
        exchange: Arc<Exchange>,
        attempt: Attempt,
        owner: Mailbox,
    ) -> Result<(Mailbox, Arc<str>), Cause> {
        // On the heap before the task begins: a future holds every value it ever moved.
        let inside = attempt.inside.clone();
        let mut leg = Box::new(Leg::outbound(exchange, attempt, owner)?);
        if let Some(inside) = inside {
            leg.loop_back(inside)?;
        }
        let told = (leg.mailbox().clone(), leg.uuid.clone());
        tokio::spawn(leg.serve());
        Ok(told)
    }

    fn outbound(exchange: Arc<Exchange>, attempt: Attempt, owner: Mailbox) -> Result<Leg, Cause> {
        let Attempt {
            agent,
            uri,
            destination,
            others,
            gateway,
            routes,
            inside,
            to,
            mut variables,
            own: later,
            mut caller,
            for_leg,
            other_leg,
            privacy,
            codecs,
            max_forwards,
        } = attempt;
        let now = Leg::now();
        if let Err(full) = exchange.gate.pass(exchange.legs.len(), now) {
            warn!("no leg to {uri}: {}", full.text());
            return Err(Cause::SWITCH_CONGESTION);
        }
        let usual = Usual {
            agent: &agent,
            gateway: gateway.as_ref().map(|through| &*through.gateway),
            variables: &variables,
            caller: &caller,
            privacy,
            to: to.as_deref(),
        };
        let before = destination.clone();
        let Addresses { uri, destination, routes, from, to, host } = usual.bend(uri, destination, routes)?;
        // The further addresses are those of the hop it would have had.
        let others = if destination == before { others } else { Vec::new() };
        let mut rng = SmallRng::from_rng(&mut rand::rng());
        let wished = variables.get("origination_uuid").filter(|uuid| is_name(uuid));
        let uuid: Arc<str> = wished.map_or_else(new_uuid, Arc::from);
        let (entry, letters) = exchange
            .legs
            .enter(Token(rand::rng().random()), uuid.clone())
            .ok_or(Cause::DESTINATION_OUT_OF_ORDER)?;
        let (peer, transport) = match &destination {
            Destination::Flow(flow) => (flow.remote.ip(), flow.transport),
            Destination::Host { transport, host, .. } => {
                let ip = host.trim_matches(['[', ']']).parse::<IpAddr>();
                (ip.unwrap_or(agent.local.ip()), transport.unwrap_or(Transport::Udp))
            }
        };
        let mut media = leg_media(&exchange, &agent, &entry, peer, rng.random());
        if inside.is_some() {
            media.keep_inside();
        }
        media.set_timeouts(agent.media_timeouts_for(&variables));
        let call_id = match agent.conf.outbound_use_uuid_as_callid {
            true => uuid.to_string(),
            false => {
                variables.get("sip_invite_call_id").map_or_else(|| new_uuid().to_string(), str::to_owned)
            }
        };
        caller.uuid = uuid.clone();
        variables.set("uuid", &uuid);
        variables.set("direction", "outbound");
        variables.set("is_outbound", "true");
        if variables.get("call_uuid").is_none() {
            variables.set("call_uuid", &uuid);
        }
        variables.set_wire("channel_name", &caller.chan_name);
        variables.set("sip_profile_name", &agent.name);
        variables.set("sofia_profile_name", &agent.name);
        variables.set_wire("sip_req_uri", super::learned::without_scheme(&uri));
        variables.set("sip_call_id", &call_id);
        // Whom it calls in its turn, were it through `loopback/`, is one call further on.
        variables.print("max_forwards", max_forwards);
        let mut rules = agent.rules();
        if matches!(variables.get("dtmf_type"), Some("info" | "none")) {
            rules.event_pt = None;
        }
        rules.verbose |= variables.is_true("verbose_sdp");
        let offer = offer(&mut media, &agent, &variables, &codecs, &rules).map_err(|error| {
            warn!("{uuid} {}: nothing to offer: {error}", caller.chan_name);
            media_cause(&error)
        })?;
        let contact = contact(&agent, gateway.as_ref(), &variables, peer, transport);
        let sticky = matches!(destination, Destination::Flow(_));
        let own = identity(&agent, entry.token(), peer, contact, sticky);
        let login = login(&exchange, &agent, gateway.as_ref().map(|t| &t.gateway), &variables);
        let cid = variables.get("sip_cid_type").and_then(CidType::named).unwrap_or_else(|| agent.cid_type());
        let asserted = asserted_host(&variables, cid, &host);
        let mut headers =
            calling_headers(cid, &caller.caller_id_name, &caller.caller_id_number, &asserted, privacy);
        if privacy != Privacy::default() && !headers.iter().any(|(name, _)| name == "Privacy") {
            headers.push(("Privacy".to_owned(), "id".to_owned()));
        }
        if let Some(tone) = variables.get("alert_info") {
            headers.push(("Alert-Info".to_owned(), tone.to_owned()));
        }
        headers.push(("X-FS-Support".to_owned(), "update_display,send_info".to_owned()));
        headers.extend(header_variables(&variables, "sip_h_"));
        let invite = Invite {
            to,
            uri,
            from,
            call_id,
            cseq: variables.get("sip_invite_cseq").and_then(|n| n.trim().parse().ok()).unwrap_or(1),
            routes,
            headers,
            max_forwards,
            sdp: offer,
            reliable: transport.is_reliable(),
            to_destination: destination,
        };
        for (name, value) in &later {
            variables.set(name, value);
        }
        let session = dialog::Session::calling(now, own, invite, Means { login, others }, rng);
        let direction = Direction::Outbound;
        let beginning =
            Beginning { direction, exchange, agent, entry, letters, caller, variables, session, media };
        let mut leg = beginning.leg(now);
        leg.owner = Some(Tie::new(leg.mailbox(), owner));
        leg.has_originator = for_leg;
        leg.other_leg = other_leg;
        leg.tell_begun();
        leg.reaches(Moment::Originate);
        Ok(leg)
    }

    /// The whole life of a b-leg: it serves its own far end and does what the leg it belongs to says, until it is sent
    /// elsewhere.
    async fn serve(mut self: Box<Self>) {
        if caught(pin!(self.live())).await.is_err() {
            self.panicked();
        }
        let router = self.exchange.router.get().filter(|_| !self.is_over()).cloned();
        match router {
            Some(router) => router.route(self).await,
            None => self.finish().await,
        }
    }

    async fn live(&mut self) {
        loop {
            match self.next().await {
                Happening::Over => return,
                Happening::News(_, News::Ended(ended)) => self.left_alone(ended.cause),
                Happening::News(_, News::Left(cause)) => self.left_alone(cause),
                Happening::Execute if self.owner.is_none() => self.course = Some(Box::new(Course::Perform)),
                _ => {}
            }
        }
    }
}

/// The host of P-Asserted-Identity with the URI parameters of `sip_invite_pid_params`, when that is what is sent.
fn asserted_host<'a>(variables: &Variables, cid: CidType, host: &'a str) -> Cow<'a, str> {
    let params =
        variables.get("sip_invite_pid_params").map(|p| p.trim_start_matches(';')).unwrap_or_default();
    if params.is_empty() || cid != CidType::Pid {
        return host.into();
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.!~*'()%=;:/[]&+$".contains(c);
    if !params.chars().all(fits) {
        warn!("sip_invite_pid_params {params:?} are no URI parameters and are left out");
        return host.into();
    }
    format!("{host};{params}").into()
}

/// Whether a leg can be called by that: answers to commands name it.
fn is_name(uuid: &str) -> bool {
    (1..=256).contains(&uuid.len()) && !uuid.contains(|c: char| c.is_control() || c == ' ')
}

/// Our Contact, with the user and the parameters the variables ask for.
fn contact(
    agent: &UserAgent,
    gateway: Option<&Through>,
    variables: &Variables,
    peer: IpAddr,
    transport: Transport,
) -> String {
    let mut contact = match gateway {
        Some(through) => through.contact(agent, peer),
        None => agent.contact(variables.get("sip_contact_user"), peer, transport),
    };
    if let Some(params) = variables.get("sip_invite_contact_params") {
        let params: String = params.chars().filter(|c| !c.is_control() && !"<> ".contains(*c)).collect();
        contact.truncate(contact.len() - 1);
        contact.push(';');
        contact.push_str(params.trim_matches(';'));
        contact.push('>');
    }
    contact
}

/// What answers challenges to the call: what the dialplan says (`sip_auth_username`, `sip_auth_password`), or a gateway.
fn login(
    exchange: &Exchange,
    agent: &UserAgent,
    gateway: Option<&Arc<Gateway>>,
    variables: &Variables,
) -> Option<Login> {
    if let (Some(username), Some(password)) =
        (variables.get("sip_auth_username"), variables.get("sip_auth_password"))
    {
        return Some(Login::new(username, password));
    }
    let used = variables.get("sip_use_gateway").map(|name| exchange.gateways.load().find(name).cloned());
    let gateway = used.flatten().or_else(|| gateway.cloned())?;
    (!gateway.conf.password.is_empty()).then(|| agent.gateway_login(&gateway))
}

fn offer(
    media: &mut super::media::LegMedia,
    agent: &UserAgent,
    variables: &Variables,
    codecs: &Codecs,
    rules: &sdp::Rules,
) -> Result<Option<bytes::Bytes>, MediaError> {
    let absolute = variables.get("absolute_codec_string").is_some_and(|text| !text.trim().is_empty());
    let prefs = super::codecs::prefs(agent, variables, Direction::Outbound);
    let made = match codecs {
        Codecs::Passed(way, Some(text)) => media.pass_offer(*way, text),
        Codecs::Passed(way, None) => {
            media.expect(*way);
            return Ok(None);
        }
        Codecs::Offered(offer, inbound) => {
            let mixed =
                !agent.conf.disable_transcoding && variables.is_true("media_mix_inbound_outbound_codecs");
            let source = match (absolute, mixed) {
                (true, _) => sdp::Source::Sorted { offer, first: None, then: &prefs },
                (false, true) if prefs.exact => sdp::Source::Sorted { offer, first: None, then: &prefs },
                (false, true) => sdp::Source::Sorted { offer, first: Some(inbound), then: &prefs },
                (false, false) => sdp::Source::Offer { offer, prefs: Some(inbound) },
            };
            media.offer(source, rules)
        }
        // The caller has its codec already and nothing is transcoded: what is asked for must be that one.
        Codecs::Agreed(agreed) if absolute && !agreed.iter().any(|m| prefs.rank(&m.codec).is_some()) => {
            Err(sdp::SdpError::NoCommonCodec.into())
        }
        Codecs::Agreed(agreed) => media.offer(sdp::Source::Agreed(agreed), rules),
        Codecs::Profile => media.offer(sdp::Source::Prefs(&prefs), rules),
    };
    made.map(Some)
}
