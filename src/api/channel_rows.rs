//! Channels and calls as `show` tells them: the columns of FreeSWITCH's tables `channels`, `basic_calls` and `detailed_calls`
//! (switch_core_sqldb.c), read off the legs themselves.
//!
//! Every leg is asked at once and answers when it next waits; one that ends meanwhile is left out. So a thousand calls take
//! as long as one, no table has to be kept, and what is told is never behind.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::desk::Desk;
use super::rows::Rows;
use crate::channel::{Direction, Leg, rates};
use crate::sdp::Kind;

/// Makes the tables that have every column of a channel.
macro_rules! tables {
    ($($column:literal)*) => {
        /// The columns of `channels`.
        const CHANNELS: &[&str] = &[
            $($column,)*
            "initial_cid_name",
            "initial_cid_num",
            "initial_ip_addr",
            "initial_dest",
            "initial_dialplan",
            "initial_context",
        ];

        /// The columns of `detailed_calls`: those of the caller, those of the called side, when they were joined.
        const DETAILED_CALLS: &[&str] = &[$($column,)* $(concat!("b_", $column),)* "call_created_epoch"];
    };
}

tables! {
    "uuid" "direction" "created" "created_epoch" "name" "state"
    "cid_name" "cid_num" "ip_addr" "dest" "application" "application_data"
    "dialplan" "context" "read_codec" "read_rate" "read_bit_rate" "write_codec"
    "write_rate" "write_bit_rate" "secure" "hostname" "presence_id" "presence_data"
    "accountcode" "callstate" "callee_name" "callee_num" "callee_direction" "call_uuid"
    "sent_callee_name" "sent_callee_num"
}

/// The columns of `basic_calls`: those of the caller, those of the called side, when they were joined.
const CALLS: &[&str] = &[
    "uuid",
    "direction",
    "created",
    "created_epoch",
    "name",
    "state",
    "cid_name",
    "cid_num",
    "ip_addr",
    "dest",
    "presence_id",
    "presence_data",
    "accountcode",
    "callstate",
    "callee_name",
    "callee_num",
    "callee_direction",
    "call_uuid",
    "hostname",
    "sent_callee_name",
    "sent_callee_num",
    "b_uuid",
    "b_direction",
    "b_created",
    "b_created_epoch",
    "b_name",
    "b_state",
    "b_cid_name",
    "b_cid_num",
    "b_ip_addr",
    "b_dest",
    "b_presence_id",
    "b_presence_data",
    "b_accountcode",
    "b_callstate",
    "b_callee_name",
    "b_callee_num",
    "b_callee_direction",
    "b_sent_callee_name",
    "b_sent_callee_num",
    "call_created_epoch",
];

/// A leg as it answered.
struct Channel {
    uuid: Arc<str>,
    direction: Direction,
    created: Instant,
    /// The leg it is bridged with.
    partner: Option<Arc<str>>,
    /// Since when, in seconds since 1970.
    bridged: u64,
    /// A value for each of [`CHANNELS`].
    values: Vec<String>,
}

impl Channel {
    /// The value of a column of `channels`.
    fn value(&self, column: &str) -> String {
        let at = CHANNELS.iter().position(|name| *name == column);
        at.and_then(|at| self.values.get(at)).cloned().unwrap_or_default()
    }

    /// Whether it is the caller of a bridge: whoever called us, else whoever was there first.
    fn calls(&self, other: &Channel) -> bool {
        let rank = |c: &Channel| (c.direction == Direction::Outbound, c.created, c.uuid.clone());
        rank(self) < rank(other)
    }
}

/// What a leg answers.
fn describe(leg: &mut Leg) -> Channel {
    let seconds = |at| leg.times().epoch(at) / 1_000_000;
    let created = leg.times().created;
    let epoch = seconds(Some(created));
    let zone = TimeZone::system();
    let local = Timestamp::from_second(i64::try_from(epoch).unwrap_or_default())
        .map(|at| at.to_zoned(zone).strftime("%Y-%m-%d %H:%M:%S").to_string());
    let caller = &leg.caller;
    let variable = |name: &str| leg.variables.get(name).unwrap_or_default().to_owned();
    let inbound = leg.direction == Direction::Inbound;
    let address = caller.network_addr.map(|ip| ip.to_string()).unwrap_or_default();
    let audio = leg.agreed().iter().find(|media| media.kind == Kind::Audio);
    let (rate, bits) = audio.map(rates).unwrap_or_default();
    let codec = audio.map(|media| media.codec.name.to_string()).unwrap_or_default();
    let bridged = leg.partner_uuid().is_some();
    let callee = (caller.callee_id_name.to_string(), caller.callee_id_number.to_string());
    let direction = match (leg.is_answered() && !callee.1.is_empty(), bridged) {
        (false, _) => "",
        (true, true) => "SEND",
        (true, false) => "RECV",
    };
    let sent = if bridged { callee.clone() } else { Default::default() };
    // Where it began, before the dialplan sent it elsewhere.
    let moved = leg.times().transferred.is_some() && inbound;
    let began = |variables: &[&str], now: &str| {
        let said = variables.iter().map(|name| variable(name)).find(|value| moved && !value.is_empty());
        said.unwrap_or_else(|| now.to_owned())
    };
    let values = vec![
        leg.uuid.to_string(),
        leg.direction.as_str().to_owned(),
        local.unwrap_or_default(),
        epoch.to_string(),
        caller.chan_name.to_string(),
        leg.state().name().0.to_owned(),
        caller.caller_id_name.to_string(),
        caller.caller_id_number.to_string(),
        address.clone(),
        caller.destination_number.to_string(),
        variable("current_application"),
        variable("current_application_data"),
        caller.dialplan.to_string(),
        caller.context.to_string(),
        codec.clone(),
        rate.clone(),
        bits.clone(),
        codec,
        rate,
        bits,
        String::new(), // secure: no SRTP
        leg.exchange.events.host.switchname.clone(),
        variable("presence_id"),
        variable("presence_data"),
        variable("accountcode"),
        leg.call_state().name().0.to_owned(),
        callee.0,
        callee.1,
        direction.to_owned(),
        leg.variables.get("call_uuid").unwrap_or(&leg.uuid).to_owned(),
        sent.0,
        sent.1,
        caller.orig_caller_id_name.to_string(),
        caller.orig_caller_id_number.to_string(),
        address,
        began(&["sip_req_user", "sip_to_user"], &caller.destination_number),
        began(&["inbound_dialplan"], &caller.dialplan),
        began(&["user_context"], &caller.context),
    ];
    Channel {
        uuid: leg.uuid.clone(),
        direction: leg.direction,
        created,
        partner: leg.partner_uuid().cloned(),
        bridged: seconds(leg.times().bridged),
        values,
    }
}

/// Every leg, the oldest first.
async fn ask(desk: &Desk) -> Vec<Channel> {
    let mut channels = desk.ask_all(describe).await;
    // Of two that came to be at once the caller is first.
    channels.sort_by_key(|channel| {
        (channel.created, channel.direction == Direction::Outbound, channel.uuid.clone())
    });
    channels
}

/// `show channels [like TEXT]`.
pub(super) async fn channels(desk: &Desk, words: &[&str]) -> Result<Rows, String> {
    let mut found = ask(desk).await;
    if let [like, text, ..] = words
        && like.eq_ignore_ascii_case("like")
    {
        const LOOKED_AT: [&str; 6] = ["uuid", "name", "cid_name", "cid_num", "presence_data", "accountcode"];
        let pattern = if text.contains('%') { (*text).to_owned() } else { format!("%{text}%") };
        found.retain(|c| LOOKED_AT.iter().any(|column| is_like(&c.value(column), &pattern)));
    }
    Ok(Rows { columns: CHANNELS, rows: found.into_iter().map(|channel| channel.values).collect() })
}

/// `show calls`; with `bridged` only those where two sides talk.
pub(super) async fn calls(desk: &Desk, bridged: bool) -> Result<Rows, String> {
    Ok(joined(&ask(desk).await, bridged, CALLS))
}

/// `show detailed_calls`; with `bridged` only those where two sides talk.
pub(super) async fn detailed_calls(desk: &Desk, bridged: bool) -> Result<Rows, String> {
    Ok(joined(&ask(desk).await, bridged, DETAILED_CALLS))
}

fn joined(channels: &[Channel], bridged: bool, columns: &'static [&'static str]) -> Rows {
    let row = |(a, b): (&Channel, Option<&Channel>)| {
        let value = |column: &&str| match (*column, column.strip_prefix("b_"), b) {
            ("call_created_epoch", _, Some(_)) => a.bridged.to_string(),
            ("call_created_epoch", _, None) => String::new(),
            (_, Some(column), b) => b.map(|b| b.value(column)).unwrap_or_default(),
            (column, None, _) => a.value(column),
        };
        columns.iter().map(value).collect()
    };
    Rows { columns, rows: in_calls(channels, bridged).map(row).collect() }
}

/// Every call: its caller, or the only one, and whom it is bridged with.
fn in_calls(channels: &[Channel], bridged: bool) -> impl Iterator<Item = (&Channel, Option<&Channel>)> {
    let by_uuid: HashMap<&str, &Channel> = channels.iter().map(|c| (&*c.uuid, c)).collect();
    channels.iter().filter_map(move |channel| {
        let partner = channel.partner.as_deref().and_then(|uuid| by_uuid.get(uuid)).copied();
        match partner {
            Some(partner) if partner.calls(channel) => None,
            None if bridged => None,
            partner => Some((channel, partner)),
        }
    })
}

/// SQL's `like`: `%` is any text, `_` any one character, letters of ASCII without case.
fn is_like(text: &str, pattern: &str) -> bool {
    let text: Vec<char> = text.chars().map(|c| c.to_ascii_lowercase()).collect();
    let pattern: Vec<char> = pattern.chars().map(|c| c.to_ascii_lowercase()).collect();
    let (mut t, mut p) = (0, 0);
    // Where to go on when what follows the last `%` does not fit after all.
    let mut back: Option<(usize, usize)> = None;
    while let Some(c) = text.get(t) {
        match pattern.get(p) {
            Some('%') => {
                back = Some((p + 1, t));
                p += 1;
            }
            Some(wanted) if *wanted == '_' || wanted == c => (t, p) = (t + 1, p + 1),
            _ => {
                let Some((after, from)) = back else { return false };
                back = Some((after, from + 1));
                (p, t) = (after, from + 1);
            }
        }
    }
    pattern.get(p..).unwrap_or_default().iter().all(|c| *c == '%')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel(uuid: &str, direction: Direction, partner: Option<&str>, created: Instant) -> Channel {
        let values = CHANNELS.iter().map(|column| format!("{column} of {uuid}")).collect();
        Channel {
            uuid: uuid.into(),
            direction,
            created,
            partner: partner.map(Into::into),
            bridged: 7,
            values,
        }
    }

    #[test]
    fn a_call_is_told_once_by_its_caller() {
        use Direction::{Inbound, Outbound};
        let now = Instant::now();
        let legs = [
            channel("b", Outbound, Some("a"), now),
            channel("a", Inbound, Some("b"), now),
            channel("alone", Outbound, None, now),
            channel("left", Inbound, Some("who is gone"), now),
        ];
        let told: Vec<_> = in_calls(&legs, false).map(|(a, b)| (&*a.uuid, b.map(|b| &*b.uuid))).collect();
        assert_eq!(told, [("a", Some("b")), ("alone", None), ("left", None)]);
        assert_eq!(in_calls(&legs, true).count(), 1);
        for columns in [CALLS, DETAILED_CALLS] {
            let rows = joined(&legs, false, columns);
            assert!(rows.rows.iter().all(|row| row.len() == columns.len()));
            for (column, value) in columns.iter().zip(&rows.rows[0]) {
                let expected = match column.strip_prefix("b_") {
                    _ if *column == "call_created_epoch" => "7".to_owned(),
                    Some(column) => format!("{column} of b"),
                    None => format!("{column} of a"),
                };
                assert_eq!(*value, expected);
            }
            let alone = &rows.rows[1];
            assert_eq!(
                alone.iter().filter(|value| value.is_empty()).count(),
                columns.iter().filter(|c| c.starts_with("b_")).count() + 1
            );
        }
    }

    #[test]
    fn like_is_sqls() {
        for (text, pattern, expected) in [
            ("sofia/internal/1000@x", "%1000%", true),
            ("sofia/internal/1000@x", "SOFIA%x", true),
            ("sofia/internal/1000@x", "sofia", false),
            ("aXbXc", "%x_", true),
            ("abc", "a_c", true),
            ("ac", "a_c", false),
            ("", "%", true),
            ("", "_", false),
            ("aab", "%ab", true),
        ] {
            assert_eq!(is_like(text, pattern), expected, "{text} like {pattern}");
        }
    }
}
