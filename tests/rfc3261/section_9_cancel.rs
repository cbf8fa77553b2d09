//! RFC 3261 §9: CANCEL, sent and received, in every state of its INVITE.

use tandem::sip::Transport;
use tandem::transaction::Id;

use crate::bench::{Bench, flow, request, response_to, udp};

const BRANCH: &str = "z9hG4bKc";

#[test]
fn s9_1_an_invite_has_64_t1_left_after_its_cancel() {
    let mut bench = Bench::new();
    let (invite, cancel) = (request("INVITE", BRANCH), request("CANCEL", BRANCH));
    bench.request(&invite, false);
    bench.receive(&response_to(&invite, 180), udp());
    bench.until(10_000);
    bench.request(&cancel, false);
    bench.receive(&response_to(&cancel, 200), udp());
    bench.until(100_000);
    let expected = ["0 send INVITE", "0 up 180", "10000 send CANCEL", "10000 up 200", "42000 timed out"];
    assert_eq!(bench.said(), expected);
    assert!(bench.table.is_empty());
}

#[test]
fn s9_1_the_487_ends_it() {
    let mut bench = Bench::new();
    let (invite, cancel) = (request("INVITE", BRANCH), request("CANCEL", BRANCH));
    bench.request(&invite, false);
    bench.receive(&response_to(&invite, 100), udp());
    bench.request(&cancel, false);
    bench.receive(&response_to(&cancel, 200), udp());
    bench.receive(&response_to(&invite, 487), udp());
    let expected = ["0 send INVITE", "0 up 100", "0 send CANCEL", "0 up 200", "0 send ACK", "0 up 487"];
    assert_eq!(bench.said(), expected);
    bench.until(33_000);
    assert!(bench.table.is_empty());
}

#[test]
fn s9_1_cancel_and_answer_cross() {
    let mut bench = Bench::new();
    let (invite, cancel) = (request("INVITE", BRANCH), request("CANCEL", BRANCH));
    bench.request(&invite, false);
    bench.receive(&response_to(&invite, 180), udp());
    bench.request(&cancel, false);
    bench.receive(&response_to(&invite, 200), udp());
    bench.receive(&response_to(&cancel, 481), udp());
    bench.until(100_000);
    let expected = ["0 send INVITE", "0 up 180", "0 send CANCEL", "0 up 200", "0 up 481"];
    assert_eq!(bench.said(), expected);
    assert!(bench.table.is_empty());
}

#[test]
fn s9_2_cancel_finds_its_invite_in_every_state() {
    // What the owner has answered before the CANCEL came, and whether the INVITE still waits for an answer.
    for (answered, pending) in [(&[][..], true), (&[100, 180], true), (&[200], false), (&[486], false)] {
        let mut bench = Bench::new();
        let (invite, cancel) = (request("INVITE", BRANCH), request("CANCEL", BRANCH));
        bench.receive(&invite, udp());
        for status in answered {
            bench.respond(&invite, *status);
        }
        bench.said();
        bench.receive(&cancel, udp());
        bench.receive(&cancel, udp());
        assert_eq!(bench.said(), ["0 up CANCEL"], "{answered:?}");
        assert_eq!(bench.table.is_pending(Id::Server(bench.server(&invite))), pending);
        bench.respond(&cancel, 200);
        bench.receive(&cancel, udp());
        assert_eq!(bench.said(), ["0 send 200", "0 send 200"]);
    }
}

#[test]
fn s9_2_cancel_without_its_invite_is_answered_481() {
    let mut bench = Bench::new();
    bench.receive(&request("INVITE", BRANCH), udp());
    bench.said();
    bench.receive(&request("CANCEL", "z9hG4bKunknown"), udp());
    bench.receive(&request("CANCEL", "z9hG4bKunknown"), udp());
    assert_eq!(bench.said(), ["0 send 481", "0 send 481"]);
}

#[test]
fn s9_2_cancel_has_room_in_a_full_table() {
    let mut bench = Bench::with_capacity(1);
    bench.receive(&request("INVITE", BRANCH), flow(Transport::Tcp));
    bench.receive(&request("CANCEL", BRANCH), flow(Transport::Tcp));
    assert_eq!(bench.said(), ["0 up INVITE", "0 up CANCEL"]);
}
