//! Hang-up causes: FreeSWITCH's names and numbers (Q.850 below 128), and their maps to and from SIP.
//!
//! The maps are those of FreeSWITCH's mod_sofia (`hangup_cause_to_sip`, `sofia_glue_sip_cause_to_freeswitch`),
//! because scripts and CDR readers depend on them.

use std::fmt;

/// Why a leg ended. A number, since peers send causes no table names; those print as `UNKNOWN`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cause(u16);

macro_rules! causes {
    ($($name:ident = $number:literal,)*) => {
        impl Cause {
            $(
                #[doc = concat!("`", stringify!($name), "`, number ", stringify!($number), ".")]
                pub const $name: Cause = Cause($number);
            )*
        }

        /// Every cause that has a name.
        const TABLE: &[(Cause, &str)] = &[$((Cause($number), stringify!($name)),)*];
    };
}

causes! {
    NONE = 0,
    UNALLOCATED_NUMBER = 1,
    NO_ROUTE_TRANSIT_NET = 2,
    NO_ROUTE_DESTINATION = 3,
    CHANNEL_UNACCEPTABLE = 6,
    CALL_AWARDED_DELIVERED = 7,
    NORMAL_CLEARING = 16,
    USER_BUSY = 17,
    NO_USER_RESPONSE = 18,
    NO_ANSWER = 19,
    SUBSCRIBER_ABSENT = 20,
    CALL_REJECTED = 21,
    NUMBER_CHANGED = 22,
    REDIRECTION_TO_NEW_DESTINATION = 23,
    EXCHANGE_ROUTING_ERROR = 25,
    DESTINATION_OUT_OF_ORDER = 27,
    INVALID_NUMBER_FORMAT = 28,
    FACILITY_REJECTED = 29,
    RESPONSE_TO_STATUS_ENQUIRY = 30,
    NORMAL_UNSPECIFIED = 31,
    NORMAL_CIRCUIT_CONGESTION = 34,
    NETWORK_OUT_OF_ORDER = 38,
    NORMAL_TEMPORARY_FAILURE = 41,
    SWITCH_CONGESTION = 42,
    ACCESS_INFO_DISCARDED = 43,
    REQUESTED_CHAN_UNAVAIL = 44,
    PRE_EMPTED = 45,
    FACILITY_NOT_SUBSCRIBED = 50,
    OUTGOING_CALL_BARRED = 52,
    INCOMING_CALL_BARRED = 54,
    BEARERCAPABILITY_NOTAUTH = 57,
    BEARERCAPABILITY_NOTAVAIL = 58,
    SERVICE_UNAVAILABLE = 63,
    BEARERCAPABILITY_NOTIMPL = 65,
    CHAN_NOT_IMPLEMENTED = 66,
    FACILITY_NOT_IMPLEMENTED = 69,
    SERVICE_NOT_IMPLEMENTED = 79,
    INVALID_CALL_REFERENCE = 81,
    INCOMPATIBLE_DESTINATION = 88,
    INVALID_MSG_UNSPECIFIED = 95,
    MANDATORY_IE_MISSING = 96,
    MESSAGE_TYPE_NONEXIST = 97,
    WRONG_MESSAGE = 98,
    IE_NONEXIST = 99,
    INVALID_IE_CONTENTS = 100,
    WRONG_CALL_STATE = 101,
    RECOVERY_ON_TIMER_EXPIRE = 102,
    MANDATORY_IE_LENGTH_ERROR = 103,
    PROTOCOL_ERROR = 111,
    INTERWORKING = 127,
    SUCCESS = 142,
    ORIGINATOR_CANCEL = 487,
    CRASH = 700,
    SYSTEM_SHUTDOWN = 701,
    LOSE_RACE = 702,
    MANAGER_REQUEST = 703,
    BLIND_TRANSFER = 800,
    ATTENDED_TRANSFER = 801,
    ALLOTTED_TIMEOUT = 802,
    USER_CHALLENGE = 803,
    MEDIA_TIMEOUT = 804,
    PICKED_OFF = 805,
    USER_NOT_REGISTERED = 806,
    PROGRESS_TIMEOUT = 807,
    INVALID_GATEWAY = 808,
    GATEWAY_DOWN = 809,
    INVALID_URL = 810,
    INVALID_PROFILE = 811,
    NO_PICKUP = 812,
    SRTP_READ_ERROR = 813,
    BOWOUT = 814,
    BUSY_EVERYWHERE = 815,
    DECLINE = 816,
    DOES_NOT_EXIST_ANYWHERE = 817,
    NOT_ACCEPTABLE = 818,
    UNWANTED = 819,
    NO_IDENTITY = 820,
    BAD_IDENTITY_INFO = 821,
    UNSUPPORTED_CERTIFICATE = 822,
    INVALID_IDENTITY = 823,
    STALE_DATE = 824,
    REJECT_ALL = 825,
}

/// The number of `UNSPECIFIED`, the other name of [`Cause::NONE`].
const UNSPECIFIED: &str = "UNSPECIFIED";

impl Cause {
    /// The cause with this number, named or not.
    pub const fn from_number(number: u16) -> Cause {
        Cause(number)
    }

    /// The number; below 128 it is a Q.850 cause value.
    pub const fn number(self) -> u16 {
        self.0
    }

    /// FreeSWITCH's name, `UNKNOWN` for a number without one.
    pub fn name(self) -> &'static str {
        TABLE.iter().find(|(cause, _)| *cause == self).map_or("UNKNOWN", |(_, name)| name)
    }

    /// Every named cause in FreeSWITCH's order.
    pub fn all() -> impl Iterator<Item = Cause> {
        TABLE.iter().map(|(cause, _)| *cause)
    }

    /// What `hangup`, `uuid_kill` and `error/…` are given: a name in any case, or a number. `None` when it is
    /// neither.
    pub fn parse(text: &str) -> Option<Cause> {
        let text = text.trim();
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        if digits > 0 {
            return text.get(..digits).and_then(|n| n.parse().ok()).map(Cause);
        }
        if text.eq_ignore_ascii_case(UNSPECIFIED) {
            return Some(Cause::NONE);
        }
        TABLE.iter().find(|(_, name)| name.eq_ignore_ascii_case(text)).map(|(cause, _)| *cause)
    }

    /// As [`Cause::parse`], with FreeSWITCH's answer to an unknown or empty text: `NORMAL_CLEARING`
    /// (switch_channel_str2cause).
    pub fn parse_or_clearing(text: &str) -> Cause {
        Cause::parse(text).unwrap_or(Cause::NORMAL_CLEARING)
    }

    /// The cause a callee's final answer means (inventory §5.7).
    pub fn from_sip(status: u16) -> Cause {
        match status {
            200 => Cause::NORMAL_CLEARING,
            401 | 402 | 403 | 407 | 603 | 608 => Cause::CALL_REJECTED,
            404 => Cause::UNALLOCATED_NUMBER,
            405 => Cause::SERVICE_UNAVAILABLE,
            406 | 415 | 501 => Cause::SERVICE_NOT_IMPLEMENTED,
            408 | 504 => Cause::RECOVERY_ON_TIMER_EXPIRE,
            410 => Cause::NUMBER_CHANGED,
            413 | 414 | 416 | 420 | 421 | 423 | 505 | 513 => Cause::INTERWORKING,
            428 => Cause::NO_IDENTITY,
            429 => Cause::BAD_IDENTITY_INFO,
            437 => Cause::UNSUPPORTED_CERTIFICATE,
            438 => Cause::INVALID_IDENTITY,
            480 => Cause::NO_USER_RESPONSE,
            400 | 481 | 500 | 503 => Cause::NORMAL_TEMPORARY_FAILURE,
            482 | 483 => Cause::EXCHANGE_ROUTING_ERROR,
            484 => Cause::INVALID_NUMBER_FORMAT,
            485 | 604 => Cause::NO_ROUTE_DESTINATION,
            486 | 600 => Cause::USER_BUSY,
            487 => Cause::ORIGINATOR_CANCEL,
            488 | 606 => Cause::INCOMPATIBLE_DESTINATION,
            502 => Cause::NETWORK_OUT_OF_ORDER,
            607 => Cause::UNWANTED,
            _ => Cause::NORMAL_UNSPECIFIED,
        }
    }

    /// The final answer to an unanswered call that ends with this cause (inventory §5.7).
    pub fn sip(self) -> u16 {
        match self {
            Cause::UNALLOCATED_NUMBER | Cause::NO_ROUTE_TRANSIT_NET | Cause::NO_ROUTE_DESTINATION => 404,
            Cause::USER_BUSY => 486,
            Cause::NO_USER_RESPONSE => 408,
            Cause::CALL_REJECTED | Cause::DECLINE | Cause::REJECT_ALL => 603,
            Cause::NUMBER_CHANGED | Cause::REDIRECTION_TO_NEW_DESTINATION => 410,
            Cause::EXCHANGE_ROUTING_ERROR => 483,
            Cause::DESTINATION_OUT_OF_ORDER | Cause::INVALID_PROFILE => 502,
            Cause::INVALID_NUMBER_FORMAT | Cause::INVALID_URL | Cause::INVALID_GATEWAY => 484,
            Cause::FACILITY_REJECTED | Cause::FACILITY_NOT_IMPLEMENTED | Cause::SERVICE_NOT_IMPLEMENTED => {
                501
            }
            Cause::NORMAL_CIRCUIT_CONGESTION
            | Cause::NETWORK_OUT_OF_ORDER
            | Cause::NORMAL_TEMPORARY_FAILURE
            | Cause::SWITCH_CONGESTION
            | Cause::REQUESTED_CHAN_UNAVAIL
            | Cause::BEARERCAPABILITY_NOTAVAIL
            | Cause::GATEWAY_DOWN => 503,
            Cause::OUTGOING_CALL_BARRED
            | Cause::INCOMING_CALL_BARRED
            | Cause::BEARERCAPABILITY_NOTAUTH
            | Cause::STALE_DATE => 403,
            Cause::BEARERCAPABILITY_NOTIMPL | Cause::INCOMPATIBLE_DESTINATION => 488,
            Cause::RECOVERY_ON_TIMER_EXPIRE => 504,
            Cause::ORIGINATOR_CANCEL => 487,
            Cause::BUSY_EVERYWHERE => 600,
            Cause::DOES_NOT_EXIST_ANYWHERE => 604,
            Cause::NOT_ACCEPTABLE => 606,
            Cause::UNWANTED => 607,
            Cause::NO_IDENTITY => 428,
            Cause::BAD_IDENTITY_INFO => 429,
            Cause::UNSUPPORTED_CERTIFICATE => 437,
            Cause::INVALID_IDENTITY => 438,
            _ => 480,
        }
    }

    /// The value of the `Reason` header of a BYE, CANCEL or final answer (RFC 3326): `Q.850;cause=16;text="…"`
    /// below 128, `SIP;cause=…` above, and "completed elsewhere" for a fork that lost (RFC 3326 §3).
    pub fn reason(self) -> String {
        match self {
            Cause::PICKED_OFF | Cause::LOSE_RACE => {
                "SIP;cause=200;text=\"Call completed elsewhere\"".to_owned()
            }
            Cause(number @ 1..=127) => format!("Q.850;cause={number};text=\"{}\"", self.name()),
            Cause(number) => format!("SIP;cause={number};text=\"{}\"", self.name()),
        }
    }

    /// The cause in a received `Reason` header: of its protocols the first that is `Q.850`, or FreeSWITCH's own
    /// (a `SIP` reason repeats a status and says nothing a cause could use).
    pub fn from_reason(header: &str) -> Option<Cause> {
        outside_quotes(header, ',').find_map(|value| {
            let mut parts = outside_quotes(value, ';').map(str::trim);
            let protocol = parts.next()?;
            let ours = ["Q.850", "FreeSWITCH", "tandem"].iter().any(|p| protocol.eq_ignore_ascii_case(p));
            let number = parts.filter_map(|p| p.split_once('=')).find_map(|(name, value)| {
                name.trim().eq_ignore_ascii_case("cause").then(|| value.trim().parse::<u16>().ok()).flatten()
            })?;
            (ours && number > 0).then_some(Cause(number))
        })
    }
}

/// The pieces of `text` between `separator`s that stand outside double quotes.
fn outside_quotes(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |c| {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            c => return c == separator && !quoted,
        }
        false
    })
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.name(), self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        for (text, cause) in [
            ("NORMAL_CLEARING", Cause::NORMAL_CLEARING),
            ("user_busy", Cause::USER_BUSY),
            ("16", Cause::NORMAL_CLEARING),
            ("487", Cause::ORIGINATOR_CANCEL),
            ("17 busy", Cause::USER_BUSY),
            ("UNSPECIFIED", Cause::NONE),
            ("MANAGER_REQUEST", Cause::MANAGER_REQUEST),
        ] {
            assert_eq!(Cause::parse(text), Some(cause), "{text}");
        }
        assert_eq!(Cause::parse("bogus"), None);
        assert_eq!(Cause::parse("99999999"), None);
        assert_eq!(Cause::parse_or_clearing(""), Cause::NORMAL_CLEARING);
        assert_eq!(Cause::from_number(321).name(), "UNKNOWN");
        assert_eq!(Cause::all().count(), 82);
        for cause in Cause::all() {
            assert_eq!(Cause::parse(cause.name()), Some(cause));
            assert_eq!(Cause::parse(&cause.number().to_string()), Some(cause));
        }
    }

    #[test]
    fn sip_maps() {
        for (status, cause) in [
            (486, Cause::USER_BUSY),
            (600, Cause::USER_BUSY),
            (404, Cause::UNALLOCATED_NUMBER),
            (480, Cause::NO_USER_RESPONSE),
            (408, Cause::RECOVERY_ON_TIMER_EXPIRE),
            (503, Cause::NORMAL_TEMPORARY_FAILURE),
            (488, Cause::INCOMPATIBLE_DESTINATION),
            (499, Cause::NORMAL_UNSPECIFIED),
            (608, Cause::CALL_REJECTED),
        ] {
            assert_eq!(Cause::from_sip(status), cause, "{status}");
        }
        for (cause, status) in [
            (Cause::NO_ROUTE_DESTINATION, 404),
            (Cause::NORMAL_CLEARING, 480),
            (Cause::USER_NOT_REGISTERED, 480),
            (Cause::NO_ANSWER, 480),
            (Cause::NO_USER_RESPONSE, 408),
            (Cause::CALL_REJECTED, 603),
            (Cause::DESTINATION_OUT_OF_ORDER, 502),
            (Cause::GATEWAY_DOWN, 503),
            (Cause::BEARERCAPABILITY_NOTIMPL, 488),
            (Cause::INTERWORKING, 480),
            (Cause::from_number(9999), 480),
        ] {
            assert_eq!(cause.sip(), status, "{cause}");
        }
        assert!(Cause::all().all(|c| (400..700).contains(&c.sip())));
    }

    /// The whole of `sofia_glue_sip_cause_to_freeswitch` (sofia_glue.c): every status from 200 to 699.
    #[test]
    fn every_status_means_what_it_does_in_freeswitch() {
        let table: [(&[u16], Cause); 21] = [
            (&[200], Cause::NORMAL_CLEARING),
            (&[401, 402, 403, 407, 603, 608], Cause::CALL_REJECTED),
            (&[607], Cause::UNWANTED),
            (&[404], Cause::UNALLOCATED_NUMBER),
            (&[485, 604], Cause::NO_ROUTE_DESTINATION),
            (&[408, 504], Cause::RECOVERY_ON_TIMER_EXPIRE),
            (&[410], Cause::NUMBER_CHANGED),
            (&[413, 414, 416, 420, 421, 423, 505, 513], Cause::INTERWORKING),
            (&[480], Cause::NO_USER_RESPONSE),
            (&[400, 481, 500, 503], Cause::NORMAL_TEMPORARY_FAILURE),
            (&[486, 600], Cause::USER_BUSY),
            (&[484], Cause::INVALID_NUMBER_FORMAT),
            (&[488, 606], Cause::INCOMPATIBLE_DESTINATION),
            (&[502], Cause::NETWORK_OUT_OF_ORDER),
            (&[405], Cause::SERVICE_UNAVAILABLE),
            (&[406, 415, 501], Cause::SERVICE_NOT_IMPLEMENTED),
            (&[482, 483], Cause::EXCHANGE_ROUTING_ERROR),
            (&[487], Cause::ORIGINATOR_CANCEL),
            (&[428], Cause::NO_IDENTITY),
            (&[429], Cause::BAD_IDENTITY_INFO),
            (&[437], Cause::UNSUPPORTED_CERTIFICATE),
        ];
        for status in 200..700 {
            let listed = table.iter().find(|(statuses, _)| statuses.contains(&status));
            let want = match status {
                438 => Cause::INVALID_IDENTITY,
                _ => listed.map_or(Cause::NORMAL_UNSPECIFIED, |(_, cause)| *cause),
            };
            assert_eq!(Cause::from_sip(status), want, "{status}");
        }
    }

    /// The whole of `hangup_cause_to_sip` (mod_sofia.c): every cause that has a name there.
    #[test]
    fn every_cause_is_answered_as_in_freeswitch() {
        let table: [(u16, &[u16]); 22] = [
            (404, &[1, 2, 3]),
            (486, &[17]),
            (408, &[18]),
            (480, &[19, 20, 31]),
            (603, &[21, 816, 825]),
            (410, &[22, 23]),
            (502, &[27, 811]),
            (484, &[28, 810, 808]),
            (501, &[29, 69, 79]),
            (503, &[44, 34, 38, 41, 42, 809, 58]),
            (403, &[52, 54, 57, 824]),
            (488, &[65, 88]),
            (504, &[102]),
            (487, &[487]),
            (483, &[25]),
            (600, &[815]),
            (604, &[817]),
            (606, &[818]),
            (607, &[819]),
            (428, &[820]),
            (429, &[821]),
            (437, &[822]),
        ];
        for cause in Cause::all() {
            let listed = table.iter().find(|(_, numbers)| numbers.contains(&cause.number()));
            let want = match cause {
                Cause::INVALID_IDENTITY => 438,
                _ => listed.map_or(480, |(status, _)| *status),
            };
            assert_eq!(cause.sip(), want, "{cause}");
        }
    }

    #[test]
    fn reason_header() {
        assert_eq!(Cause::NORMAL_CLEARING.reason(), "Q.850;cause=16;text=\"NORMAL_CLEARING\"");
        assert_eq!(Cause::ORIGINATOR_CANCEL.reason(), "SIP;cause=487;text=\"ORIGINATOR_CANCEL\"");
        assert_eq!(Cause::LOSE_RACE.reason(), "SIP;cause=200;text=\"Call completed elsewhere\"");
        for (header, cause) in [
            ("Q.850;cause=17;text=\"User busy\"", Some(Cause::USER_BUSY)),
            ("q.850 ; text=\"a;cause=3,Q.850;cause=4\" ; Cause=21", Some(Cause::CALL_REJECTED)),
            ("SIP;cause=603;text=\"Decline\"", None),
            ("SIP;cause=603, Q.850;cause=19", Some(Cause::NO_ANSWER)),
            ("Q.850", None),
            ("Q.850;cause=x", None),
            ("Q.850;cause=0", None),
            ("Q.850;cause=999999", None),
            ("", None),
        ] {
            assert_eq!(Cause::from_reason(header), cause, "{header}");
        }
        for cause in Cause::all().filter(|c| (1..128).contains(&c.number())) {
            assert_eq!(Cause::from_reason(&cause.reason()), Some(cause));
        }
    }
}
