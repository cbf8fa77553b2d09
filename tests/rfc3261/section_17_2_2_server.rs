//! RFC 3261 §17.2.2: the non-INVITE server transaction.

use tandem::sip::Transport;
use tandem::transaction::Id;

use crate::bench::{Bench, flow, request, title, udp};

const BRANCH: &str = "z9hG4bK4";

#[test]
fn s17_2_2_retransmissions_are_absorbed_and_then_answered_from_memory() {
    let mut bench = Bench::new();
    let options = request("OPTIONS", BRANCH);
    bench.receive(&options, udp());
    bench.receive(&options, udp());
    bench.until(100);
    bench.respond(&options, 100);
    bench.receive(&options, udp());
    bench.until(200);
    bench.respond(&options, 200);
    bench.receive(&options, udp());
    bench.until(32_199);
    bench.receive(&options, udp());
    let expected =
        ["0 up OPTIONS", "100 send 100", "100 send 100", "200 send 200", "200 send 200", "32199 send 200"];
    assert_eq!(bench.said(), expected);
    bench.until(32_200);
    assert!(bench.table.is_empty());
    bench.receive(&options, udp());
    assert_eq!(bench.said(), ["32200 up OPTIONS"], "after Timer J it is a new request");
}

#[test]
fn s17_2_2_timer_j_is_zero_on_a_reliable_transport() {
    let mut bench = Bench::new();
    let bye = request("BYE", BRANCH);
    bench.receive(&bye, flow(Transport::Tcp));
    bench.respond(&bye, 200);
    assert_eq!(bench.said(), ["0 up BYE", "0 send 200"]);
    assert!(bench.table.is_empty());
}

#[test]
fn s17_2_2_nothing_follows_the_final_response() {
    let mut bench = Bench::new();
    let bye = request("BYE", BRANCH);
    bench.receive(&bye, udp());
    bench.respond(&bye, 200);
    bench.respond(&bye, 100);
    bench.respond(&bye, 500);
    assert_eq!(bench.said(), ["0 up BYE", "0 send 200"]);
}

#[test]
fn rfc4320_a_request_nobody_answered_is_forgotten_when_its_sender_has_given_up() {
    let mut bench = Bench::new();
    let bye = request("BYE", BRANCH);
    bench.receive(&bye, udp());
    bench.until(32_000);
    assert!(bench.table.is_empty());
    bench.respond(&bye, 408);
    assert_eq!(bench.said(), ["0 up BYE"]);
}

#[test]
fn s17_2_4_a_transport_error_ends_it() {
    let mut bench = Bench::new();
    let bye = request("BYE", BRANCH);
    bench.receive(&bye, udp());
    bench.respond(&bye, 200);
    let id = Id::Server(bench.server(&bye));
    bench.failed(id);
    assert!(bench.table.is_empty());
}

#[test]
fn a_full_table_answers_503_and_keeps_nothing() {
    let mut bench = Bench::with_capacity(1);
    bench.receive(&request("OPTIONS", BRANCH), udp());
    bench.receive(&request("OPTIONS", "z9hG4bKsecond"), udp());
    bench.receive(&request("ACK", "z9hG4bKthird"), udp());
    assert_eq!(bench.said(), ["0 up OPTIONS", "0 send 503", "0 up ACK"]);
    assert_eq!(bench.table.len(), 1);
    let (refusal, _) = bench.last_sent.clone().unwrap();
    assert_eq!(title(&refusal), "503");
    assert!(String::from_utf8_lossy(&refusal).contains("Retry-After: "));
}

#[test]
fn a_full_table_forgets_the_finished_before_it_refuses() {
    let mut bench = Bench::with_capacity(3);
    let number = |n: usize| request("REGISTER", &format!("z9hG4bKload{n}"));
    for n in 0..10 {
        bench.until(n as u64);
        bench.receive(&number(n), udp());
        bench.respond(&number(n), 200);
        assert!(bench.table.len() <= 3);
    }
    bench.said();
    bench.receive(&number(9), udp());
    bench.receive(&number(7), udp());
    assert_eq!(bench.said(), ["9 send 200", "9 send 200"], "the latest are still known");
    bench.receive(&number(0), udp());
    assert_eq!(bench.said(), ["9 up REGISTER"]);
}

#[test]
fn a_table_full_of_accepted_invites_lets_a_bye_in() {
    let mut bench = Bench::with_capacity(3);
    let number = |n: usize| request("INVITE", &format!("z9hG4bKinvite{n}"));
    for n in 0..10 {
        bench.until(n as u64);
        bench.receive(&number(n), udp());
        bench.respond(&number(n), 200);
    }
    bench.said();
    bench.receive(&number(9), udp());
    assert!(bench.said().is_empty(), "the latest is still known");
    bench.receive(&request("BYE", BRANCH), udp());
    assert_eq!(bench.said(), ["9 up BYE"]);
    assert_eq!(bench.table.len(), 3);
}
