//! What messages tell of a leg, in its variables: the parts of their addresses, and on a leg of ours the dialog that the
//! far end answered with (`extract_vars`, `extract_header_vars` and `sofia_handle_sip_r_invite` of FreeSWITCH's `sofia.c`).

use super::leg::Leg;
use super::variables::Variables;
use crate::sip::{Message, Uri};

/// Variable names of a URI's parts: user, host, port, the URI without its scheme.
pub type Parts = [&'static str; 4];

/// Of From.
pub const FROM: Parts = ["sip_from_user", "sip_from_host", "sip_from_port", "sip_from_uri"];
/// Of To.
pub const TO: Parts = ["sip_to_user", "sip_to_host", "sip_to_port", "sip_to_uri"];
/// Of the Request-URI.
pub const REQUEST: Parts = ["sip_req_user", "sip_req_host", "sip_req_port", "sip_req_uri"];
/// Of Contact.
pub const CONTACT: Parts = ["sip_contact_user", "sip_contact_host", "sip_contact_port", "sip_contact_uri"];

/// A URI's user, host, port and all of it without its scheme, under these names.
pub fn uri_variables(variables: &mut Variables, uri: &Uri, [user, host, port, whole]: Parts) {
    variables.set_wire(user, uri.user().unwrap_or_default());
    variables.set_wire(host, uri.host());
    match uri.port() {
        Some(number) => variables.print_wire(port, number),
        None => variables.unset(port),
    }
    variables.set_wire(whole, without_scheme(uri));
}

/// `1001@192.0.2.1:5060` of `sip:1001@192.0.2.1:5060`.
pub(super) fn without_scheme(uri: &Uri) -> &str {
    uri.as_str().split_once(':').map_or("", |(_, rest)| rest)
}

impl Leg {
    /// The far end's 180, 183 or 200 to our INVITE says which dialog this is. Of one dialog it is noted once.
    pub(super) fn learn_dialog(&mut self, message: &Message) {
        if !matches!(message.status(), Some(180 | 183 | 200)) {
            return;
        }
        let (from, to) = (message.from(), message.to());
        let known = self.variables.get("sip_to_tag");
        if known.is_some() && known == to.tag() {
            return;
        }
        if let Some(flow) = self.session.remote_flow() {
            self.variables.print("sip_network_ip", flow.remote.ip());
            self.variables.print("sip_network_port", flow.remote.port());
        }
        let variables = &mut self.variables;
        uri_variables(variables, from.uri(), FROM);
        uri_variables(variables, to.uri(), TO);
        if let Some(contact) = message.contact() {
            uri_variables(variables, contact.uri(), CONTACT);
        }
        for (name, said) in [
            ("sip_from_tag", from.tag().unwrap_or_default()),
            ("sip_to_tag", to.tag().unwrap_or_default()),
            ("sip_full_from", from.as_str()),
            ("sip_full_to", to.as_str()),
            ("sip_full_via", message.via().as_str()),
        ] {
            variables.set_wire(name, said);
        }
        variables.print_wire("sip_cseq", message.cseq().number);
    }
}
