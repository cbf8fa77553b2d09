//! RFC 3261 §17.2.1, RFC 6026 §7.1: the INVITE server transaction.

use tandem::sip::{Destination, Transport};
use tandem::transaction::Id;

use crate::bench::{Bench, flow, request, request_of, udp};

const BRANCH: &str = "z9hG4bK3";

#[test]
fn s17_2_1_100_trying_goes_out_when_the_owner_is_silent_for_200_ms() {
    let mut bench = Bench::new();
    let invite = request("INVITE", BRANCH);
    bench.receive(&invite, udp());
    bench.receive(&invite, udp());
    bench.until(300);
    bench.receive(&invite, udp());
    assert_eq!(bench.said(), ["0 up INVITE", "200 send 100", "300 send 100"]);
}

#[test]
fn s17_2_1_the_last_provisional_response_answers_retransmissions() {
    let mut bench = Bench::new();
    let invite = request("INVITE", BRANCH);
    bench.receive(&invite, udp());
    bench.respond(&invite, 100);
    bench.respond(&invite, 180);
    bench.until(500);
    bench.receive(&invite, udp());
    assert_eq!(bench.said(), ["0 up INVITE", "0 send 100", "0 send 180", "500 send 180"]);
    assert_eq!(bench.table.next_timeout(), None, "rings as long as its owner lets it");
}

#[test]
fn s17_2_1_a_refusal_is_retransmitted_until_timer_h() {
    let mut bench = Bench::new();
    let invite = request("INVITE", BRANCH);
    bench.receive(&invite, udp());
    bench.respond(&invite, 486);
    bench.until(600);
    bench.receive(&invite, udp());
    bench.until(100_000);
    let mut expected =
        vec!["0 up INVITE".to_owned(), "0 send 486".into(), "500 send 486".into(), "600 send 486".into()];
    expected.extend(
        [1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500].map(|ms| format!("{ms} send 486")),
    );
    expected.push("32000 no ACK".into());
    assert_eq!(bench.said(), expected);
    assert!(bench.table.is_empty());
}

#[test]
fn s17_2_1_over_a_stream_timer_g_does_not_run_but_timer_h_does() {
    let mut bench = Bench::new();
    let invite = request("INVITE", BRANCH);
    bench.receive(&invite, flow(Transport::Tcp));
    bench.respond(&invite, 486);
    bench.until(100_000);
    assert_eq!(bench.said(), ["0 up INVITE", "0 send 486", "32000 no ACK"]);
}

#[test]
fn s17_2_1_the_ack_is_used_up_and_its_retransmissions_until_timer_i() {
    let mut bench = Bench::new();
    let invite = request("INVITE", BRANCH);
    let ack = request("ACK", BRANCH);
    bench.receive(&invite, udp());
    bench.respond(&invite, 486);
    bench.until(100);
    bench.receive(&ack, udp());
    bench.until(5_000);
    bench.receive(&ack, udp());
    bench.receive(&invite, udp());
    bench.until(5_100);
    assert_eq!(bench.said(), ["0 up INVITE", "0 send 486"]);
    assert!(bench.table.is_empty());
}

#[test]
fn s17_2_1_over_a_stream_the_ack_ends_it_at_once() {
    let mut bench = Bench::new();
    let invite = request("INVITE", BRANCH);
    bench.receive(&invite, flow(Transport::Tcp));
    bench.respond(&invite, 404);
    bench.receive(&request("ACK", BRANCH), flow(Transport::Tcp));
    assert!(bench.table.is_empty());
}

#[test]
fn rfc6026_7_1_after_a_2xx_retransmitted_invites_are_absorbed_and_the_owner_repeats_the_2xx() {
    let mut bench = Bench::new();
    let invite = request("INVITE", BRANCH);
    bench.receive(&invite, udp());
    bench.respond(&invite, 200);
    bench.until(500);
    bench.receive(&invite, udp());
    bench.respond(&invite, 200);
    bench.respond(&invite, 486);
    bench.respond(&invite, 180);
    bench.until(31_999);
    assert_eq!(bench.table.len(), 1);
    bench.until(32_000);
    assert!(bench.table.is_empty());
    assert_eq!(bench.said(), ["0 up INVITE", "0 send 200", "500 send 200"]);
}

#[test]
fn s13_3_1_4_the_ack_to_a_2xx_goes_up() {
    // It has a branch of its own; some peers reuse the INVITE's all the same.
    for branch in ["z9hG4bKother", BRANCH] {
        let mut bench = Bench::new();
        let invite = request("INVITE", BRANCH);
        bench.receive(&invite, udp());
        bench.respond(&invite, 200);
        bench.said();
        bench.receive(&request("ACK", branch), udp());
        assert_eq!(bench.said(), ["0 up ACK"]);
    }
}

#[test]
fn an_ack_before_the_final_response_is_ignored() {
    let mut bench = Bench::new();
    let invite = request("INVITE", BRANCH);
    bench.receive(&invite, udp());
    bench.respond(&invite, 180);
    bench.receive(&request("ACK", BRANCH), udp());
    assert_eq!(bench.said(), ["0 up INVITE", "0 send 180"]);
}

#[test]
fn a_final_response_is_final() {
    let mut bench = Bench::new();
    let invite = request("INVITE", BRANCH);
    bench.receive(&invite, udp());
    bench.respond(&invite, 486);
    for status in [100, 200, 404, 486] {
        bench.respond(&invite, status);
    }
    assert_eq!(bench.said(), ["0 up INVITE", "0 send 486"]);
}

#[test]
fn s18_2_2_a_response_whose_connection_is_gone_tries_the_port_of_the_via() {
    let mut bench = Bench::new();
    let invite = request_of("INVITE", "Via: SIP/2.0/TCP phone.example.com:5062;branch=z9hG4bKtcp", "c", 1);
    bench.receive(&invite, flow(Transport::Tcp));
    bench.respond(&invite, 486);
    bench.said();
    let id = Id::Server(bench.server(&invite));
    bench.failed(id);
    assert_eq!(bench.said(), ["0 send 486"]);
    let expected =
        Destination::Host { transport: Some(Transport::Tcp), host: "192.0.2.1".into(), port: Some(5062) };
    assert_eq!(bench.last_sent.take().unwrap().1, expected);
    bench.failed(id);
    assert_eq!(bench.said(), ["0 no ACK"], "there is no third way");
    assert!(bench.table.is_empty());
}

#[test]
fn a_stateless_answer_leaves_nothing_behind() {
    let mut bench = Bench::new();
    let invite = request("INVITE", BRANCH);
    bench.receive(&invite, udp());
    let id = bench.server(&invite);
    let challenge = crate::bench::response_to(&invite, 407);
    bench.table.respond_stateless(id, challenge.raw().clone());
    assert!(bench.table.is_empty());
    assert_eq!(bench.table.next_timeout(), None);
    bench.receive(&request("ACK", BRANCH), udp());
    bench.until(100_000);
    assert_eq!(bench.said(), ["0 up INVITE", "0 send 407", "0 up ACK"]);
}
