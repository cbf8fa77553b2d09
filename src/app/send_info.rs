//! `send_info`: a text for the far end, by INFO (`SWITCH_MESSAGE_INDICATE_INFO`).

use crate::channel::Leg;
use crate::dialplan::Expanded;

/// The text. It goes to who has said `X-FS-Support: send_info`, or to anybody with `fs_send_unsupported_info`; the
/// variables `sip_info_h_…` are its headers.
pub fn run(leg: &mut Leg, data: &Expanded) {
    leg.send_info(&data.text);
}
