//! REFER of ours: an answered far end is asked to call somebody else, and tells what came of it (RFC 3515).

use super::cause::Cause;
use super::leg::{Happening, Leg};
use crate::dialog::{CommandError, RequestId, reason_phrase};
use crate::event::EventName;
use crate::sip::{Message, Method, Name, Transport};
use tracing::{debug, info};

impl Leg {
    /// Asks an answered far end to call `uri`, with the headers of the variables `sip_h_…`. What comes of it is
    /// [`Happening::Referred`], and in `sip_refer_status_code`, `sip_refer_target_status_code`, `sip_refer_reply`.
    pub fn refer(&mut self, uri: &str) -> Result<(), CommandError> {
        let mut headers = vec![
            ("Refer-To".to_owned(), format!("<{uri}>")),
            ("Referred-By".to_owned(), self.agent.contact(None, self.agent.local.ip(), Transport::Udp)),
        ];
        headers.extend(self.header_variables("sip_h_"));
        for name in ["sip_refer_status_code", "sip_refer_target_status_code", "sip_refer_reply"] {
            self.variables.unset(name);
        }
        self.referred = Some(self.session.request(Self::now(), Method::Refer, &headers, None)?);
        Ok(())
    }

    /// The far end's answer to a request of ours.
    pub(super) fn on_response(&mut self, id: RequestId, status: u16) {
        debug!("{} {}: answered {status}", self.uuid, self.name());
        if self.referred == Some(id) {
            self.variables.print("sip_refer_status_code", status);
            if status >= 300 {
                self.referred = None;
                self.deflected(status, &format!("SIP/2.0 {status} {}", reason_phrase(status)));
                self.tell(Happening::Referred(status));
            }
        }
    }

    /// The far end tells of something we have asked it for.
    pub(super) fn on_notify(&mut self, message: &Message) {
        let event = message.header(Name::Event).unwrap_or("");
        self.fire(EventName::NotifyIn, || {
            vec![
                ("event".into(), event.to_owned()),
                ("pl_data".into(), String::from_utf8_lossy(message.body()).into_owned()),
                ("sip_content_type".into(), message.header(Name::ContentType).unwrap_or("").to_owned()),
            ]
        });
        let package = event.split(';').next().unwrap_or("").trim();
        if self.referred.is_none() || !package.eq_ignore_ascii_case("refer") {
            return;
        }
        let Ok(body) = std::str::from_utf8(message.body()) else { return };
        let Some(status) = sipfrag(body) else { return };
        if status < 200 {
            return self.variables.print_wire("sip_refer_target_provisional_status_code", status);
        }
        info!("{} {}: what it was asked to call answers {status}", self.uuid, self.name());
        self.referred = None;
        self.variables.print_wire("sip_refer_target_status_code", status);
        self.variables.set_wire("sip_refer_reply", body);
        self.deflected(status, body.lines().next().unwrap_or(""));
        self.tell(Happening::Referred(status));
        if status == 200 && !self.variables.is_true("sip_refer_continue_after_reply") {
            self.hangup(Cause::BLIND_TRANSFER);
        }
    }
}

/// The status in the first line of a `message/sipfrag`.
fn sipfrag(body: &str) -> Option<u16> {
    let status = body.lines().next()?.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()?;
    (100..700).contains(&status).then_some(status)
}

#[cfg(test)]
mod tests {
    use super::sipfrag;

    #[test]
    fn a_status_line_and_what_is_none() {
        for (body, status) in [
            ("SIP/2.0 200 OK\r\n", Some(200)),
            ("SIP/2.0 100 Trying", Some(100)),
            ("SIP/2.0 486", Some(486)),
            ("SIP/2.0 4x6 Busy", None),
            ("SIP/2.0 999 Odd", None),
            ("SIP/2.0 é00", None),
            ("", None),
        ] {
            assert_eq!(sipfrag(body), status, "{body}");
        }
    }
}
