//! The rig itself, without a switch: when one of these fails, look here before blaming tandem.

use std::net::SocketAddr;
use std::time::Duration;

use crate::baresip::{Baresip, Phone, Registration};
use crate::needs;
use crate::place::free_port;
use crate::tone::{assert_heard, listen};

fn unregistered(user: &str, tone: f64) -> Baresip {
    let nowhere = SocketAddr::from(([127, 0, 0, 1], free_port()));
    Phone { registration: Registration::None, ..Phone::new(user, nowhere, tone).auto() }.start()
}

#[test]
fn two_baresips_hear_each_other_directly() {
    needs!("baresip");
    let (mut a, mut b) = (unregistered("1000", 440.0), unregistered("1001", 660.0));
    let uri = format!("sip:1001@127.0.0.1:{}", b.sip_port);
    a.command("dial", &uri);
    a.event("CALL_ESTABLISHED");
    b.event("CALL_ESTABLISHED");
    std::thread::sleep(Duration::from_secs(3));
    a.command("hangup", "");
    b.event("CALL_CLOSED");
    a.event("CALL_CLOSED");
    assert_heard("1000", &a.heard(), 660.0, 2.0);
    assert_heard("1001", &b.heard(), 440.0, 2.0);
    assert!(listen(&a.heard(), 440.0).is_none(), "nobody hears himself");
}
