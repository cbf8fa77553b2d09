//! A new call: what it must have, who calls, where it is routed; then its leg begins.

use super::credentials::{Admission, Admitted};
use super::start::Profile;
use crate::app::Call;
use crate::channel::identity::{Privacy, asserted};
use crate::channel::learned::{CONTACT, FROM, REQUEST, TO, uri_variables};
use crate::channel::{Caller, CallerProfile, Cause, Leg, MediaError, Token, Variables, new_uuid};
use crate::config::sofia::ThreePcc;
use crate::sip::{Flow, Message, Name};
use crate::transaction::Key;
use rand::Rng;
use std::sync::{Arc, PoisonError};
use tracing::{debug, info, warn};

impl Profile {
    /// Serves an INVITE that belongs to nothing we know.
    pub(super) fn invite(self: &Arc<Self>, invite: Message, flow: Flow, key: Option<Key>) {
        let exchange = &self.shared.exchange;
        let now = Leg::now();
        if invite.max_forwards() == Some(0) {
            return self.reply(&invite, &flow, 483, &[]);
        }
        if invite.contact().is_none() {
            return self.reply_as(&invite, &flow, 400, Some("Missing Contact Header"), &[]);
        }
        let scheme = invite.uri().is_some_and(|u| u.is_sip() || u.scheme_name().eq_ignore_ascii_case("tel"));
        if !scheme {
            return self.reply(&invite, &flow, 416, &[]);
        }
        let merges = || self.merges.lock().unwrap_or_else(PoisonError::into_inner);
        // Before its credentials are looked at: they are those of the first copy, and good for once.
        if merges().is_known_by_another_way(now, &invite, flow.remote) {
            return self.reply(&invite, &flow, 482, &[]);
        }
        let replaces = invite.replaces();
        if matches!(replaces, Some(None)) {
            return self.reply(&invite, &flow, 400, &[]);
        }
        let Admission::Admitted(admitted) = self.admit_call(&invite, &flow) else { return };
        let merged = merges().is_merged(now, &invite, flow.remote);
        if merged {
            return self.reply(&invite, &flow, 482, &[]);
        }
        let source = flow.remote.ip();
        let known = admitted.authorized || self.is_gateways_address(source);
        if known && admitted.user.is_none() {
            self.guard.vouched(source);
        }
        if let Err(full) = exchange.gate.pass_caller(source, known, exchange.legs.len(), now) {
            warn!("{}: call from {} refused with 503: {}", self.agent.name, flow.remote, full.text());
            self.refused.keep(now, self.refused.mark(&invite, flow.remote), b"");
            let wait = [("Retry-After", full.retry_after().to_string())];
            return self.reply_as(&invite, &flow, 503, Some("Maximum Calls In Progress"), &wait);
        }
        let token = Token(rand::rng().random());
        let uuid: Arc<str> = match self.agent.conf.inbound_use_callid_as_uuid {
            true => invite.call_id().into(),
            false => new_uuid(),
        };
        let Some((mut entry, mailbox)) = exchange.legs.enter(token, uuid.clone()) else {
            return self.reply(&invite, &flow, 482, &[]);
        };
        if !entry.enter_invite(key.unwrap_or_else(|| Key::of_request(&invite, flow.remote))) {
            return; // another task was faster with a retransmission
        }
        let (profile, variables) = self.caller(&invite, &flow, &admitted, uuid);
        let has_offer = !invite.body().is_empty();
        let caller = Caller { invite, flow, profile, variables };
        let (leg, offer) = Leg::inbound(exchange.clone(), self.agent.clone(), entry, mailbox, caller);
        // On the heap before the task begins: a future holds every value it ever moved.
        let mut call = Box::new(Call::new(leg, self.shared.plans.clone()));
        call.in_place_of = replaces.flatten().map(Box::new);
        let agent = self.agent.clone();
        let at_door = exchange.gate.window.enter();
        tokio::spawn(async move {
            drop(at_door);
            let leg = &mut call.leg;
            let passes = agent.conf.inbound_bypass_media || agent.conf.inbound_proxy_media;
            match offer {
                Err(error) => {
                    warn!("{} {}: the offer cannot be used: {error}", leg.uuid, leg.name());
                    leg.respond(broken(&error), None, &[], Cause::INCOMPATIBLE_DESTINATION);
                }
                Ok(()) if !has_offer && agent.conf.enable_3pcc == ThreePcc::No => {
                    info!("{} {}: an INVITE without offer refused (enable-3pcc)", leg.uuid, leg.name());
                    leg.hangup(Cause::MANDATORY_IE_MISSING);
                }
                Ok(()) if !has_offer && agent.conf.enable_3pcc == ThreePcc::Yes && passes => {
                    info!(
                        "{} {}: an INVITE without offer cannot have its media passed on (enable-3pcc); refused",
                        leg.uuid,
                        leg.name()
                    );
                    leg.hangup(Cause::MANDATORY_IE_MISSING);
                }
                Ok(()) if !has_offer && agent.conf.enable_3pcc == ThreePcc::Yes => {
                    // The reason for a failure is logged there.
                    let _ = leg.answer(None);
                }
                Ok(())
                    if has_offer
                        && !passes
                        && !agent.conf.inbound_late_negotiation
                        && !leg.has_common_codec() =>
                {
                    info!("{} {}: no codec of the offer is taken here", leg.uuid, leg.name());
                    leg.hangup(Cause::INCOMPATIBLE_DESTINATION);
                }
                Ok(()) => {}
            }
            call.run().await;
        });
    }

    /// Who calls whom, and the variables FreeSWITCH makes of an INVITE (inventory §8.3).
    fn caller(
        &self,
        invite: &Message,
        flow: &Flow,
        admitted: &Admitted,
        uuid: Arc<str>,
    ) -> (CallerProfile, Variables) {
        let conf = &self.agent.conf;
        let mut variables = Variables::of(invite.raw().clone());
        let (from, to, uri) = (invite.from().uri(), invite.to().uri(), invite.uri());
        let from_user: Arc<str> = from.user().unwrap_or_default().into();
        let destination = uri.and_then(|u| u.user()).or_else(|| to.user()).or_else(|| from.user());
        let destination = destination.unwrap_or("service".into());
        let peer = self.peer(invite, flow.remote.ip());
        let extension = peer.as_ref().and_then(|peer| peer.destination(invite));
        let destination: Arc<str> = match (extension, conf.full_id_in_dialplan) {
            (Some(extension), _) => extension.into(),
            (None, true) => format!("{destination}@{}", uri.map_or("", |u| u.host())).into(),
            (None, false) => destination.into(),
        };
        if let Some(user) = &admitted.user {
            for (name, value) in user.variables() {
                variables.set(name, value);
            }
            variables.set("user_name", &user.id);
            variables.set("domain_name", &user.domain);
        } else {
            let domain = self.rules.domain.as_ref().unwrap_or(&admitted.realm);
            match domain.is_empty() {
                true => variables.set("domain_name", self.shared.exchange.domain()),
                false => variables.set("domain_name", domain),
            }
        }
        let user_context = || admitted.user.as_ref()?.variable("user_context");
        let of_gateway = peer.as_ref().and_then(|peer| peer.context());
        let context = match of_gateway.or(admitted.context.as_deref()).or_else(user_context) {
            Some(context) => context.into(),
            None => self.agent.context.clone(),
        };
        let dialplan = match variables.get("inbound_dialplan") {
            Some(dialplan) => dialplan.into(),
            None => self.agent.dialplan.clone(),
        };
        let (name, number): (Arc<str>, Arc<str>) = match asserted(invite) {
            // Anyone may write these headers; they count for callers we have checked.
            Some((name, number)) if admitted.authorized => (name.into(), number.into()),
            _ => {
                let display = invite.from().display().filter(|name| !name.is_empty());
                (display.map_or_else(|| from_user.clone(), Arc::from), from_user.clone())
            }
        };
        let privacy = Privacy::of(invite);
        let chan_name = format!("sofia/{}/{from_user}@{}", self.agent.name, from.host()).into();
        let profile = CallerProfile {
            username: match admitted.username.as_str() {
                "" => from_user,
                username => username.into(),
            },
            dialplan,
            context,
            destination_number: destination,
            caller_id_name: name.clone(),
            caller_id_number: number.clone(),
            orig_caller_id_name: name,
            orig_caller_id_number: number.clone(),
            ani: number,
            network_addr: Some(flow.remote.ip()),
            uuid,
            chan_name,
            privacy_hide_name: privacy.name,
            privacy_hide_number: privacy.number,
            ..CallerProfile::default()
        };
        self.invite_variables(&mut variables, invite, flow, admitted, &profile);
        if let Some(peer) = &peer {
            peer.note(&mut variables);
        }
        (profile, variables)
    }

    fn invite_variables(
        &self,
        variables: &mut Variables,
        invite: &Message,
        flow: &Flow,
        admitted: &Admitted,
        profile: &CallerProfile,
    ) {
        let (from, to, via) = (invite.from(), invite.to(), invite.via());
        variables.set("direction", "inbound");
        variables.set("uuid", &profile.uuid);
        variables.set("call_uuid", &profile.uuid);
        variables.set("channel_name", &profile.chan_name);
        variables.set("sofia_profile_name", &self.agent.name);
        variables.set("sofia_profile_domain_name", self.shared.exchange.domain());
        variables.print("sip_network_ip", flow.remote.ip());
        variables.print("sip_network_port", flow.remote.port());
        variables.print("sip_received_ip", flow.remote.ip());
        variables.print("sip_received_port", flow.remote.port());
        variables.set("sip_via_protocol", flow.transport.as_param());
        variables.print("max_forwards", invite.max_forwards().unwrap_or(70));
        if self.agent.conf.inbound_late_negotiation {
            variables.set("endpoint_disposition", "DELAYED NEGOTIATION");
        }
        if admitted.authorized {
            variables.set("sip_authorized", "true");
        }
        if admitted.looped {
            variables.set("sip_looped_call", "true");
        }
        if let Some(list) = &admitted.acl {
            variables.set("sip_acl_authed_by", list);
        }
        if let Some(token) = &admitted.acl_token {
            variables.set("sip_acl_token", token);
        }
        variables.set_wire("sip_auth_username", &admitted.username);
        variables.set_wire("sip_auth_realm", &admitted.realm);
        variables.set_wire("sip_call_id", invite.call_id());
        variables.print_wire("sip_cseq", invite.cseq().number);
        let uris = [Some(from.uri()), Some(to.uri()), invite.uri()];
        let names = [(FROM, "sip_from_params"), (TO, "sip_to_params"), (REQUEST, "sip_req_params")];
        for (uri, (parts, params)) in uris.into_iter().zip(names) {
            let Some(uri) = uri else { continue };
            uri_variables(variables, uri, parts);
            let params_text = uri.as_str().split_once(';').map_or("", |(_, p)| p);
            variables.set_wire(params, params_text);
        }
        if let Some(contact) = invite.contact() {
            uri_variables(variables, contact.uri(), CONTACT);
        }
        variables.set_wire("sip_from_display", from.display().unwrap_or_default());
        let stripped = from.uri().user().unwrap_or_default();
        variables.set_wire("sip_from_user_stripped", stripped.trim_start_matches('+'));
        variables.set_wire("sip_from_tag", from.tag().unwrap_or(""));
        variables.set_wire("sip_full_from", from.as_str());
        variables.set_wire("sip_full_to", to.as_str());
        variables.set_wire("sip_full_via", via.as_str());
        variables.set_wire("sip_via_host", via.host());
        variables.print_wire("sip_via_port", via.port_or_default());
        variables.set_wire("sip_user_agent", invite.header(Name::UserAgent).unwrap_or(""));
        variables.set_wire("sip_allow", invite.header(Name::Allow).unwrap_or(""));
        variables.set_wire("sip_subject", invite.header(Name::Subject).unwrap_or(""));
        variables.print_wire("presence_id", format_args!("{}@{}", profile.username, from.uri().host()));
        self.header_variables(variables, invite);
        debug!("{} new call from {} ({})", profile.uuid, flow, profile.chan_name);
    }

    /// `sip_h_X-…` and the few others FreeSWITCH keeps; all of them with `parse-all-invite-headers`.
    fn header_variables(&self, variables: &mut Variables, invite: &Message) {
        for (name, value) in invite.all_headers() {
            let starts = |p: &str| name.get(..p.len()).is_some_and(|n| n.eq_ignore_ascii_case(p));
            let kept = starts("X-")
                || starts("P-")
                || ["User-to-User", "Diversion", "Referred-By", "Alert-Info", "Subject", "History-Info"]
                    .iter()
                    .any(|k| name.eq_ignore_ascii_case(k));
            if name.eq_ignore_ascii_case("X-FS-Support") {
                variables.set_wire("X-FS-Support", value);
            }
            let custom = self.agent.conf.parse_all_invite_headers
                || (kept && !name.eq_ignore_ascii_case("X-FS-Support"));
            if custom {
                variables.set_wire(format!("sip_h_{name}"), value);
            }
        }
    }
}

fn broken(error: &MediaError) -> u16 {
    match error {
        MediaError::Description(error) => error.status(),
        _ => 488,
    }
}
