//! What CHANNEL_EXECUTE and CHANNEL_EXECUTE_COMPLETE say of one run of an application.

use crate::channel::Leg;
use crate::event::{EventName, Headers};

/// What the events of one execution say.
pub(super) struct Told {
    name: String,
    data: String,
    uuid: String,
}

impl Told {
    /// Nothing is written while nobody listens.
    pub fn new(leg: &Leg, name: &str, data: &str, uuid: Option<&str>) -> Told {
        let heard = [EventName::ChannelExecute, EventName::ChannelExecuteComplete]
            .iter()
            .any(|name| leg.exchange.events.is_wanted(*name));
        match heard {
            true => Told {
                name: name.to_owned(),
                data: data.to_owned(),
                uuid: uuid.map_or_else(|| crate::channel::new_uuid().to_string(), str::to_owned),
            },
            false => Told { name: String::new(), data: String::new(), uuid: String::new() },
        }
    }

    pub fn begin(&self) -> Headers {
        let mut headers: Headers = vec![("Application".into(), self.name.clone())];
        if !self.data.is_empty() {
            headers.push(("Application-Data".into(), self.data.clone()));
        }
        headers.push(("Application-UUID".into(), self.uuid.clone()));
        headers
    }

    pub fn end(&self, leg: &Leg) -> Headers {
        let mut headers = self.begin();
        let response = leg.variables.get("current_application_response").unwrap_or("_none_");
        headers.insert(headers.len().saturating_sub(1), ("Application-Response".into(), response.to_owned()));
        headers
    }
}
