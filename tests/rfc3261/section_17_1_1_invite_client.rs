//! RFC 3261 §17.1.1, RFC 6026 §7.2: the INVITE client transaction.

use tandem::transaction::Id;

use crate::bench::{Bench, request, response_to, title, udp};

const BRANCH: &str = "z9hG4bK1";

#[test]
fn s17_1_1_2_timer_a_doubles_without_limit_and_timer_b_ends_it() {
    let mut bench = Bench::new();
    bench.request(&request("INVITE", BRANCH), false);
    bench.until(100_000);
    let expected = [
        "0 send INVITE",
        "500 send INVITE",
        "1500 send INVITE",
        "3500 send INVITE",
        "7500 send INVITE",
        "15500 send INVITE",
        "31500 send INVITE",
        "32000 timed out",
    ];
    assert_eq!(bench.said(), expected);
    assert!(bench.table.is_empty());
}

#[test]
fn s17_1_1_2_a_reliable_transport_sends_once() {
    let mut bench = Bench::new();
    bench.request(&request("INVITE", BRANCH), true);
    bench.until(100_000);
    assert_eq!(bench.said(), ["0 send INVITE", "32000 timed out"]);
}

#[test]
fn s17_1_1_2_a_provisional_response_stops_both_timers() {
    let mut bench = Bench::new();
    let invite = request("INVITE", BRANCH);
    let id = bench.request(&invite, false);
    bench.until(600);
    bench.receive(&response_to(&invite, 100), udp());
    bench.until(200_000);
    bench.receive(&response_to(&invite, 180), udp());
    assert_eq!(bench.said(), ["0 send INVITE", "500 send INVITE", "600 up 100", "200000 up 180"]);
    assert!(bench.table.is_pending(Id::Client(id)));
    assert_eq!(bench.table.next_timeout(), None);
}

#[test]
fn s17_1_1_2_each_retransmitted_refusal_is_acknowledged_and_told_once() {
    let mut bench = Bench::new();
    let invite = request("INVITE", BRANCH);
    bench.request(&invite, false);
    let busy = response_to(&invite, 486);
    bench.until(100);
    bench.receive(&busy, udp());
    bench.until(600);
    bench.receive(&busy, udp());
    bench.receive(&response_to(&invite, 180), udp());
    bench.receive(&response_to(&invite, 200), udp());
    bench.until(32_099);
    bench.receive(&busy, udp());
    bench.until(32_100);
    assert!(bench.table.is_empty());
    bench.receive(&busy, udp());
    let expected = ["0 send INVITE", "100 send ACK", "100 up 486", "600 send ACK", "32099 send ACK"];
    assert_eq!(bench.said(), expected);
}

#[test]
fn s17_1_1_3_the_ack_has_the_branch_of_the_invite_and_the_to_of_the_response() {
    let mut bench = Bench::new();
    let invite = request("INVITE", BRANCH);
    bench.request(&invite, false);
    bench.receive(&response_to(&invite, 404), udp());
    let (ack, _) = bench.last_sent.clone().unwrap();
    let ack = crate::bench::parse(std::str::from_utf8(&ack).unwrap());
    assert_eq!(title(ack.raw()), "ACK");
    assert_eq!(ack.via().branch(), Some(BRANCH));
    assert_eq!(ack.to_tag(), Some("b"));
    assert_eq!(ack.cseq().number, 1);
    assert_eq!(ack.call_id(), "call-1");
}

#[test]
fn s17_1_1_2_timer_d_is_zero_on_a_reliable_transport() {
    let mut bench = Bench::new();
    let invite = request("INVITE", BRANCH);
    bench.request(&invite, true);
    bench.receive(&response_to(&invite, 603), udp());
    assert_eq!(bench.said(), ["0 send INVITE", "0 send ACK", "0 up 603"]);
    assert!(bench.table.is_empty());
}

#[test]
fn rfc6026_7_2_every_2xx_goes_up_until_timer_m() {
    let mut bench = Bench::new();
    let invite = request("INVITE", BRANCH);
    bench.request(&invite, false);
    let ok = response_to(&invite, 200);
    bench.receive(&ok, udp());
    bench.until(500);
    bench.receive(&ok, udp());
    bench.receive(&response_to(&invite, 180), udp());
    bench.receive(&response_to(&invite, 486), udp());
    bench.until(31_999);
    bench.receive(&ok, udp());
    bench.until(32_000);
    assert!(bench.table.is_empty());
    bench.receive(&ok, udp());
    assert_eq!(bench.said(), ["0 send INVITE", "0 up 200", "500 up 200", "31999 up 200"]);
}

#[test]
fn s17_1_4_a_transport_error_ends_it() {
    for provisional in [false, true] {
        let mut bench = Bench::new();
        let invite = request("INVITE", BRANCH);
        let id = bench.request(&invite, false);
        if provisional {
            bench.receive(&response_to(&invite, 180), udp());
        }
        bench.said();
        bench.failed(Id::Client(id));
        assert_eq!(bench.said(), ["0 unreachable"]);
        assert!(bench.table.is_empty());
        bench.failed(Id::Client(id));
        assert_eq!(bench.said(), [""; 0]);
    }
}

#[test]
fn an_ack_that_cannot_be_delivered_does_not_fail_an_answered_request() {
    let mut bench = Bench::new();
    let invite = request("INVITE", BRANCH);
    let id = bench.request(&invite, false);
    bench.receive(&response_to(&invite, 486), udp());
    bench.said();
    bench.failed(Id::Client(id));
    bench.receive(&response_to(&invite, 486), udp());
    assert_eq!(bench.said(), ["0 send ACK"]);
}

#[test]
fn s18_1_1_a_request_that_went_over_a_stream_for_its_size_is_not_sent_again() {
    let mut bench = Bench::new();
    let id = bench.request(&request("INVITE", BRANCH), false);
    bench.until(600);
    bench.table.now_reliable(id);
    bench.until(40_000);
    assert_eq!(bench.said(), ["0 send INVITE", "500 send INVITE", "32000 timed out"]);
}
