//! RFC 3261 §17.1.3 and §17.2.3: which transaction a message belongs to.

use tandem::transaction::Key;

use crate::bench::{Bench, address, parse, request, request_of, response_to, udp};

#[test]
fn s17_1_3_a_response_matches_by_branch_and_cseq_method() {
    let invite = request("INVITE", "z9hG4bKx");
    assert_eq!(Key::of_own(&invite), Key::of_response(&response_to(&invite, 180)));
    let cancel = request("CANCEL", "z9hG4bKx");
    assert_ne!(Key::of_own(&invite), Key::of_own(&cancel));
    assert_eq!(Key::of_own(&invite), Key::invite_of_own(&cancel));
    assert_ne!(Key::of_own(&invite), Key::of_own(&request("INVITE", "z9hG4bKy")));
}

#[test]
fn s17_1_3_a_response_to_nothing_is_dropped() {
    let mut bench = Bench::new();
    bench.request(&request("INVITE", "z9hG4bKx"), false);
    bench.receive(&response_to(&request("INVITE", "z9hG4bKother"), 200), udp());
    bench.receive(&response_to(&request("BYE", "z9hG4bKx"), 200), udp());
    assert_eq!(bench.said(), ["0 send INVITE"]);
}

#[test]
fn s17_2_3_a_request_matches_by_branch_sent_by_and_method() {
    let source = address("192.0.2.1:5060");
    let via = |sent_by: &str, branch: &str| format!("Via: SIP/2.0/UDP {sent_by};branch={branch}");
    let key = |method, sent_by: &str, branch: &str| {
        Key::of_request(&request_of(method, &via(sent_by, branch), "c", 7), source)
    };
    let invite = key("INVITE", "a.example.com:5060", "z9hG4bKx");
    for (same, method, sent_by, branch) in [
        (true, "INVITE", "a.example.com:5060", "z9hG4bKx"),
        (true, "INVITE", "A.Example.COM:5060", "z9hG4bKx"),
        (true, "ACK", "a.example.com:5060", "z9hG4bKx"),
        (false, "CANCEL", "a.example.com:5060", "z9hG4bKx"),
        (false, "BYE", "a.example.com:5060", "z9hG4bKx"),
        (false, "INVITE", "b.example.com:5060", "z9hG4bKx"),
        (false, "INVITE", "a.example.com:5070", "z9hG4bKx"),
        (false, "INVITE", "a.example.com:5060", "z9hG4bKX"),
    ] {
        let other = key(method, sent_by, branch);
        assert_eq!(invite == other, same, "{method} {sent_by} {branch}");
    }
    let cancel = request_of("CANCEL", &via("a.example.com:5060", "z9hG4bKx"), "c", 7);
    assert_eq!(Key::invite_of(&cancel, source), invite);
}

#[test]
fn the_source_does_not_matter_when_there_is_a_branch() {
    let invite = request("INVITE", "z9hG4bKx");
    let (a, b) = (address("192.0.2.1:5060"), address("192.0.2.9:1024"));
    assert_eq!(Key::of_request(&invite, a), Key::of_request(&invite, b));
}

#[test]
fn a_branch_used_again_in_another_call_is_another_transaction() {
    let mut bench = Bench::new();
    let via = "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1";
    let first = request_of("REGISTER", via, "boot-1", 1);
    bench.receive(&first, udp());
    bench.respond(&first, 200);
    bench.receive(&request_of("REGISTER", via, "boot-2", 1), udp());
    assert_eq!(bench.said(), ["0 up REGISTER", "0 send 200", "0 up REGISTER"]);
}

/// RFC 2543 peers: no branch, or one without the magic cookie.
fn old_request(method: &str, branch: &str, to_tag: &str, cseq: u32) -> tandem::sip::Message {
    parse(&format!(
        "{method} sip:bob@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060{branch}\r\n\
         From: <sip:alice@192.0.2.1>;tag=a\r\nTo: <sip:bob@192.0.2.2>{to_tag}\r\nCall-ID: old\r\n\
         CSeq: {cseq} {method}\r\nContact: <sip:alice@192.0.2.1>\r\nContent-Length: 0\r\n\r\n"
    ))
}

#[test]
fn s17_2_3_without_the_cookie_the_whole_request_is_compared() {
    for branch in ["", ";branch=1"] {
        let mut bench = Bench::new();
        let invite = old_request("INVITE", branch, "", 1);
        bench.receive(&invite, udp());
        bench.respond(&invite, 180);
        bench.receive(&invite, udp());
        bench.receive(&old_request("INVITE", branch, "", 2), udp());
        let expected = ["0 up INVITE", "0 send 180", "0 send 180", "0 up INVITE"];
        assert_eq!(bench.said(), expected, "branch {branch:?}");
    }
}

#[test]
fn s17_2_3_without_the_cookie_ack_and_cancel_find_their_invite() {
    let mut bench = Bench::new();
    let invite = old_request("INVITE", "", "", 1);
    bench.receive(&invite, udp());
    bench.receive(&old_request("CANCEL", "", "", 1), udp());
    bench.respond(&invite, 487);
    // The To tag in the ACK is the one of our response; the INVITE had none.
    bench.receive(&old_request("ACK", "", ";tag=b", 1), udp());
    bench.until(5_000);
    assert_eq!(bench.said(), ["0 up INVITE", "0 up CANCEL", "0 send 487"]);
}

#[test]
fn s17_2_3_without_the_cookie_the_ack_to_a_2xx_goes_up() {
    let mut bench = Bench::new();
    let invite = old_request("INVITE", "", "", 1);
    bench.receive(&invite, udp());
    bench.respond(&invite, 200);
    bench.receive(&old_request("ACK", "", ";tag=b", 1), udp());
    assert_eq!(bench.said(), ["0 up INVITE", "0 send 200", "0 up ACK"]);
}

#[test]
fn s17_2_3_without_the_cookie_two_private_networks_do_not_mix() {
    let invite = old_request("INVITE", "", "", 1);
    let (a, b) = (address("198.51.100.1:5060"), address("198.51.100.2:5060"));
    assert_ne!(Key::of_request(&invite, a), Key::of_request(&invite, b));
}

#[test]
fn a_switch_that_calls_itself_keeps_both_sides_apart() {
    let mut bench = Bench::new();
    let options = request("OPTIONS", "z9hG4bKself");
    bench.request(&options, false);
    bench.receive(&options, udp());
    bench.respond(&options, 200);
    bench.receive(&response_to(&options, 200), udp());
    assert_eq!(bench.said(), ["0 send OPTIONS", "0 up OPTIONS", "0 send 200", "0 up 200"]);
}
