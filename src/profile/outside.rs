//! Requests outside dialogs that begin no call: OPTIONS, and what is refused with a reason.

use super::credentials::Admission;
use super::start::Profile;
use crate::sip::{Flow, Message, Method, Name};

impl Profile {
    /// Serves a request that belongs to no dialog and is no INVITE.
    pub(super) fn outside(&self, request: Message, flow: Flow) {
        if request.max_forwards() == Some(0) && *request.method() != Method::Register {
            return self.reply(&request, &flow, 483, &[]);
        }
        if let Some(missing) = self.missing_extensions(&request) {
            return self.reply(&request, &flow, 420, &[("Unsupported", missing)]);
        }
        let scheme = request.uri().is_some_and(|u| u.is_sip() || u.scheme_name().eq_ignore_ascii_case("tel"));
        if !scheme {
            return self.reply(&request, &flow, 416, &[]);
        }
        match request.method() {
            Method::Register => self.register(&request, flow),
            Method::Options => self.options(&request, flow),
            Method::Subscribe => self.subscribe(&request, flow),
            Method::Message | Method::Publish => {
                // Unprovided, but nobody may find out more without logging in.
                if let Admission::Admitted(_) = self.admit_call(&request, &flow) {
                    let (status, headers) = match request.method() {
                        Method::Message => (405, vec![]),
                        _ => (489, vec![("Allow-Events", "refer".to_owned())]),
                    };
                    let headers = [headers, vec![("Warning", self.missing(request.method()))]].concat();
                    self.reply(&request, &flow, status, &headers);
                }
            }
            // A keep-alive some phones send; there is no subscription it could belong to.
            Method::Notify
                if request.header(Name::Event).is_some_and(|e| e.eq_ignore_ascii_case("keep-alive")) =>
            {
                self.reply(&request, &flow, 200, &[]);
            }
            Method::Notify | Method::Bye | Method::Update | Method::Prack | Method::Info | Method::Refer => {
                self.reply(&request, &flow, 481, &[]);
            }
            Method::Other(_) => self.reply(&request, &flow, 501, &[]),
            Method::Invite | Method::Ack | Method::Cancel => {}
        }
    }

    /// What a request requires and we have not.
    fn missing_extensions(&self, request: &Message) -> Option<String> {
        request.header(Name::Require)?;
        let supported = self.agent.supported();
        let knows = |tag: &&str| supported.split(", ").any(|s| s.eq_ignore_ascii_case(tag)) || tag.is_empty();
        let wanted = request.headers(Name::Require).flat_map(|v| v.split(',')).map(str::trim);
        let missing: Vec<&str> = wanted.filter(|tag| !knows(tag) && *tag != "outbound").collect();
        (!missing.is_empty()).then(|| missing.join(", "))
    }

    fn missing(&self, method: &Method) -> String {
        format!("399 tandem \"{method} outside a call is not provided yet\"")
    }

    /// OPTIONS: what we can; 503 while the switch goes down, which tells a dispatcher to go elsewhere.
    fn options(&self, request: &Message, flow: Flow) {
        let gate = &self.shared.exchange.gate;
        let busy =
            self.agent.conf.sip_options_respond_503_on_busy && gate.is_full(self.shared.exchange.legs.len());
        if gate.is_draining() || busy {
            return self.reply(request, &flow, 503, &[("Retry-After", "30".to_owned())]);
        }
        let contact = self.agent.contact(None, flow.remote.ip(), flow.transport);
        let headers = [("Contact", contact), ("Accept", "application/sdp".to_owned())];
        self.reply(request, &flow, 200, &headers);
    }
}
