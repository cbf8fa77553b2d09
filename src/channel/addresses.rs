//! The addresses of our INVITE: Request-URI, From, To, routes, as the leg's variables bend them.
//!
//! FreeSWITCH's `sofia_glue_do_invite` reads `sip_invite_…` and their kin; what it would send though it is no address is
//! refused here.

use super::cause::Cause;
use super::identity::Privacy;
use super::user_agent::UserAgent;
use super::variables::Variables;
use crate::channel::CallerProfile;
use crate::config::sofia::FromDomain;
use crate::gateway::Gateway;
use crate::sip::{Destination, NameAddr, Text, Transport, Uri};
use tracing::warn;

/// Where an INVITE goes and whom it names.
#[derive(Debug)]
pub(super) struct Addresses {
    /// The Request-URI.
    pub uri: Uri,
    /// Where it is sent.
    pub destination: Destination,
    /// The route set.
    pub routes: Vec<NameAddr>,
    /// From, without tag.
    pub from: NameAddr,
    /// To.
    pub to: NameAddr,
    /// The host that stands for us in other identities.
    pub host: String,
}

/// What the variables may bend.
pub(super) struct Usual<'a> {
    pub agent: &'a UserAgent,
    /// The gateway it goes through.
    pub gateway: Option<&'a Gateway>,
    pub variables: &'a Variables,
    pub caller: &'a CallerProfile,
    pub privacy: Privacy,
    /// Whom To names, when that is not the Request-URI.
    pub to: Option<&'a str>,
}

impl Usual<'_> {
    /// Bends `uri`, `destination` and `routes`, and makes From and To.
    ///
    /// # Errors
    /// `INVALID_URL` when a variable holds no address.
    pub fn bend(
        &self,
        uri: Uri,
        destination: Destination,
        routes: Vec<NameAddr>,
    ) -> Result<Addresses, Cause> {
        let plain = uri.as_request_uri();
        let (uri, destination) = self.request(uri, destination)?;
        let (destination, routes) = self.routes(destination, routes)?;
        let from = self.from()?;
        let host = match (self.said("sip_invite_domain"), self.account()) {
            (Some(domain), _) => domain.to_owned(),
            (None, Some(_)) => from.uri().host().to_owned(),
            (None, None) => self.agent.host().to_owned(),
        };
        Ok(Addresses { from, to: self.to(plain)?, uri, destination, routes, host })
    }

    fn said(&self, name: &str) -> Option<&str> {
        self.variables.get(name)
    }

    /// The address in variable `name`, which may lack its `sip:`.
    fn uri(&self, name: &str) -> Result<Option<Uri>, Cause> {
        let Some(text) = self.said(name) else { return Ok(None) };
        parsed(text.trim().trim_start_matches('<').trim_end_matches('>'))
            .map(Some)
            .ok_or_else(|| self.bad(name, text))
    }

    fn bad(&self, name: &str, text: &str) -> Cause {
        warn!(
            "{}: variable {name}: {text:?} is no SIP address; the leg is not called",
            self.caller.chan_name
        );
        Cause::INVALID_URL
    }

    /// `sip_invite_req_uri`, or the usual one with `sip_invite_tel_params` and `sip_invite_params`; `sip_transport`.
    fn request(&self, uri: Uri, mut destination: Destination) -> Result<(Uri, Destination), Cause> {
        if let (Destination::Host { transport: transport @ None, .. }, Some(name)) =
            (&mut destination, self.said("sip_transport"))
        {
            *transport = name.to_ascii_lowercase().parse::<Transport>().ok();
        }
        if let Some(uri) = self.uri("sip_invite_req_uri")? {
            return Ok((uri, destination));
        }
        let mut uri = uri;
        if let Some(params) = self.said("sip_invite_tel_params") {
            let user = format!("{};{params}", uri.user().unwrap_or_default());
            uri = uri.with_user(Some(&user));
        }
        if let Some(params) = self.said("sip_invite_params") {
            uri = with_params(&uri, params).ok_or_else(|| self.bad("sip_invite_params", params))?;
        }
        Ok((uri, destination))
    }

    /// `sip_route_uri` is the next hop and does not show; `sip_invite_route_uri` is the first of the Route header.
    fn routes(
        &self,
        mut destination: Destination,
        mut routes: Vec<NameAddr>,
    ) -> Result<(Destination, Vec<NameAddr>), Cause> {
        if let Some(hop) = self.uri("sip_route_uri")? {
            destination = Destination::of(&hop);
        }
        if let Some(text) = self.said("sip_invite_route_uri") {
            let mut list = Vec::new();
            let known = NameAddr::parse_list(&Text::from(text), &mut list).is_ok();
            let Some(first) = list.first().filter(|_| known) else {
                return Err(self.bad("sip_invite_route_uri", text));
            };
            destination = Destination::of(first.uri());
            list.append(&mut routes);
            routes = list;
        }
        Ok((destination, routes))
    }

    /// A gateway shows our account in From unless it is to show the caller (`caller-id-in-from`).
    fn account(&self) -> Option<Uri> {
        let gateway = self.gateway.filter(|gateway| !gateway.conf.caller_id_in_from)?;
        Some(match (&gateway.conf.from_domain, self.said("sip_invite_domain")) {
            (FromDomain::AlegDomain, Some(domain)) => gateway.address_at(domain),
            _ => gateway.address(),
        })
    }

    fn from(&self) -> Result<NameAddr, Cause> {
        if let Some(whole) = self.whole(["sip_force_full_from", "sip_invite_full_from"])? {
            return Ok(whole.without_param("tag"));
        }
        let set = match self.uri("sip_invite_from_uri")? {
            Some(uri) => Some(uri),
            None => self.uri("sip_from_uri")?,
        };
        let set = set.or_else(|| self.account());
        let anonymous = self.privacy.number && set.is_none();
        let host = self.said("sip_invite_domain").unwrap_or_else(|| self.agent.host());
        let mut uri = match set {
            Some(uri) => uri,
            None if anonymous => Uri::sip(Some("anonymous"), "anonymous.invalid", None),
            None => Uri::sip(Some(&self.caller.caller_id_number), host, None),
        };
        if let Some(params) = self.said("sip_invite_from_params") {
            uri = with_params(&uri, params).ok_or_else(|| self.bad("sip_invite_from_params", params))?;
        }
        let hidden = anonymous || self.privacy.name;
        let display = match self.said("sip_from_display") {
            Some(display) => display,
            None if hidden => "Anonymous",
            None if self.caller.caller_id_name.eq_ignore_ascii_case("_undef_") => "",
            None => &self.caller.caller_id_name,
        };
        Ok(NameAddr::new(uri).with_display(display))
    }

    fn to(&self, usual: Uri) -> Result<NameAddr, Cause> {
        if let Some(whole) = self.whole(["sip_force_full_to", "sip_invite_full_to"])? {
            return Ok(whole.without_param("tag"));
        }
        let set = match self.to {
            Some(text) => {
                let bare = text.trim().trim_start_matches('<').trim_end_matches('>');
                Some(parsed(bare).ok_or_else(|| self.bad("sip_invite_to_uri", text))?)
            }
            None => self.uri("sip_invite_to_uri")?,
        };
        let mut uri = set.unwrap_or(usual);
        if let Some(params) = self.said("sip_invite_to_params") {
            uri = with_params(&uri, params).ok_or_else(|| self.bad("sip_invite_to_params", params))?;
        }
        Ok(NameAddr::new(uri))
    }

    /// A whole From or To, display name and all.
    fn whole(&self, names: [&str; 2]) -> Result<Option<NameAddr>, Cause> {
        let Some((name, text)) = names.into_iter().find_map(|n| Some((n, self.said(n)?))) else {
            return Ok(None);
        };
        NameAddr::parse(Text::from(text)).map(Some).map_err(|_| self.bad(name, text))
    }
}

/// A SIP address, with or without its scheme.
fn parsed(text: &str) -> Option<Uri> {
    let begins = |scheme: &str| text.get(..scheme.len()).is_some_and(|s| s.eq_ignore_ascii_case(scheme));
    let uri = match begins("sip:") || begins("sips:") {
        true => text.parse::<Uri>(),
        false if begins("tel:") => return None,
        false => format!("sip:{text}").parse::<Uri>(),
    };
    uri.ok().filter(Uri::is_sip)
}

/// The URI with more parameters, written as in a URI.
fn with_params(uri: &Uri, params: &str) -> Option<Uri> {
    let params = params.trim_matches([';', ' ']);
    if params.is_empty() {
        return Some(uri.clone());
    }
    let (before, headers) = match uri.as_str().split_once('?') {
        Some((before, headers)) => (before, format!("?{headers}")),
        None => (uri.as_str(), String::new()),
    };
    format!("{before};{params}{headers}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Position;
    use crate::config::sofia::ProfileConf;
    use crate::net::acl::Acls;
    use arc_swap::ArcSwap;
    use std::sync::Arc;

    /// Request-URI, From, To, Route and destination for a call to 1001 with these variables.
    fn shown(assigned: &str, privacy: Privacy, to: Option<&str>) -> Result<[String; 5], Cause> {
        let mut variables = Variables::default();
        for (name, value) in assigned.split('&').filter_map(|a| a.split_once('=')) {
            variables.set(name, value);
        }
        let address = ([192, 0, 2, 1], 5060).into();
        let acls = Arc::new(ArcSwap::from_pointee(Acls::default()));
        let agent = UserAgent::new(
            ProfileConf::new("internal", Position::new("test", 1, 1)),
            address,
            Vec::new(),
            acls,
        );
        let caller = CallerProfile {
            caller_id_name: "Bob".into(),
            caller_id_number: "1000".into(),
            ..CallerProfile::default()
        };
        let usual =
            Usual { agent: &agent, gateway: None, variables: &variables, caller: &caller, privacy, to };
        let uri: Uri = "sip:1001@198.51.100.7:5062".parse().expect("a URI");
        let at = Destination::of(&uri);
        usual.bend(uri, at, Vec::new()).map(|a| {
            let routes: Vec<_> = a.routes.iter().map(|r| r.as_str().to_owned()).collect();
            let to = match a.destination {
                Destination::Host { transport, host, port } => format!("{transport:?} {host} {port:?}"),
                Destination::Flow(flow) => flow.to_string(),
            };
            [a.uri.to_string(), a.from.to_string(), a.to.to_string(), routes.join(","), to]
        })
    }

    #[test]
    fn variables_bend_one_address_each() {
        let off = Privacy::default();
        let usual = [
            "sip:1001@198.51.100.7:5062",
            "\"Bob\" <sip:1000@192.0.2.1>",
            "<sip:1001@198.51.100.7:5062>",
            "",
            "None 198.51.100.7 Some(5062)",
        ];
        assert_eq!(shown("", off, None).expect("fine"), usual);
        for (assigned, which, want) in [
            ("sip_invite_req_uri=sip:a@b", 0, "sip:a@b"),
            ("sip_invite_req_uri=a@b;x=y", 0, "sip:a@b;x=y"),
            ("sip_invite_params=intercom=true", 0, "sip:1001@198.51.100.7:5062;intercom=true"),
            ("sip_invite_params=;a;b=c", 0, "sip:1001@198.51.100.7:5062;a;b=c"),
            ("sip_invite_tel_params=npdi;rn=1", 0, "sip:1001;npdi;rn=1@198.51.100.7:5062"),
            ("sip_invite_domain=pbx.test", 1, "\"Bob\" <sip:1000@pbx.test>"),
            ("sip_invite_from_uri=sip:x@y", 1, "\"Bob\" <sip:x@y>"),
            ("sip_from_uri=x@y", 1, "\"Bob\" <sip:x@y>"),
            ("sip_invite_from_uri=a@b&sip_from_uri=x@y", 1, "\"Bob\" <sip:a@b>"),
            ("sip_from_display=Ann", 1, "\"Ann\" <sip:1000@192.0.2.1>"),
            ("sip_invite_from_params=isup-oli=62", 1, "\"Bob\" <sip:1000@192.0.2.1;isup-oli=62>"),
            ("sip_invite_full_from=\"C\" <sip:c@d>;tag=9", 1, "\"C\" <sip:c@d>"),
            ("sip_invite_to_uri=<sip:to@there>", 2, "<sip:to@there>"),
            ("sip_invite_to_params=user=phone", 2, "<sip:1001@198.51.100.7:5062;user=phone>"),
            ("sip_invite_full_to=D <sip:d@e>", 2, "D <sip:d@e>"),
            ("sip_invite_route_uri=<sip:proxy.test;lr>", 3, "<sip:proxy.test;lr>"),
            ("sip_invite_route_uri=<sip:proxy.test;lr>", 4, "None proxy.test None"),
            ("sip_route_uri=sip:10.0.0.1:5080", 4, "None 10.0.0.1 Some(5080)"),
            ("sip_transport=tcp", 4, "Some(Tcp) 198.51.100.7 Some(5062)"),
        ] {
            let got = shown(assigned, off, None).unwrap_or_else(|c| panic!("{assigned}: {c}"));
            for (at, (got, usual)) in got.iter().zip(usual).enumerate() {
                let touched = at == which || assigned.contains("route_uri");
                let want = if at == which { want } else { usual };
                assert!(got == want || touched && at != which, "{assigned}: {got} is not {want}");
            }
        }
    }

    #[test]
    fn what_is_no_address_keeps_the_leg_from_being_called() {
        for assigned in [
            "sip_invite_req_uri=tel:123",
            "sip_invite_req_uri=a@b c",
            "sip_invite_from_uri=sip:a@b>\r\nX: y",
            "sip_invite_full_from=<sip:a@b>, <sip:c@d>",
            "sip_invite_to_uri=<>",
            "sip_route_uri=sip:",
            "sip_invite_route_uri=nonsense here",
            "sip_invite_params=a b",
        ] {
            let got = shown(assigned, Privacy::default(), None);
            assert_eq!(got.err(), Some(Cause::INVALID_URL), "{assigned}");
        }
    }

    #[test]
    fn a_hidden_caller_is_anonymous_unless_the_dialplan_names_one() {
        let hidden = Privacy { name: true, number: true };
        let from = |assigned: &str| shown(assigned, hidden, None).expect("fine")[1].clone();
        assert_eq!(from(""), "\"Anonymous\" <sip:anonymous@anonymous.invalid>");
        assert_eq!(from("sip_invite_from_uri=sip:x@y"), "\"Anonymous\" <sip:x@y>");
        let to = shown("", Privacy::default(), Some("2000@there")).expect("fine")[2].clone();
        assert_eq!(to, "<sip:2000@there>");
    }
}
