//! RFC 3261 §17.1.2: the non-INVITE client transaction.

use tandem::transaction::{Id, Refused};

use crate::bench::{Bench, request, response_to, udp};

const BRANCH: &str = "z9hG4bK2";

#[test]
fn s17_1_2_2_timer_e_doubles_up_to_t2_and_timer_f_ends_it() {
    let mut bench = Bench::new();
    bench.request(&request("BYE", BRANCH), false);
    bench.until(100_000);
    let sent: Vec<_> =
        ["0", "500", "1500", "3500", "7500", "11500", "15500", "19500", "23500", "27500", "31500"]
            .iter()
            .map(|ms| format!("{ms} send BYE"))
            .chain(["32000 timed out".to_owned()])
            .collect();
    assert_eq!(bench.said(), sent);
    assert!(bench.table.is_empty());
}

#[test]
fn s17_1_2_2_after_a_provisional_response_it_is_sent_every_t2() {
    let mut bench = Bench::new();
    let bye = request("BYE", BRANCH);
    bench.request(&bye, false);
    bench.until(600);
    bench.receive(&response_to(&bye, 100), udp());
    bench.until(10_000);
    let expected =
        ["0 send BYE", "500 send BYE", "600 up 100", "1500 send BYE", "5500 send BYE", "9500 send BYE"];
    assert_eq!(bench.said(), expected);
    bench.until(40_000);
    assert_eq!(bench.said().last().unwrap(), "32000 timed out");
}

#[test]
fn s17_1_2_2_retransmitted_responses_are_absorbed_until_timer_k() {
    let mut bench = Bench::new();
    let bye = request("BYE", BRANCH);
    bench.request(&bye, false);
    let ok = response_to(&bye, 200);
    bench.until(50);
    bench.receive(&ok, udp());
    bench.receive(&ok, udp());
    bench.until(5_049);
    assert_eq!(bench.table.len(), 1);
    bench.receive(&ok, udp());
    bench.until(5_050);
    assert!(bench.table.is_empty());
    assert_eq!(bench.said(), ["0 send BYE", "50 up 200"]);
}

#[test]
fn s17_1_2_2_timer_k_is_zero_on_a_reliable_transport() {
    let mut bench = Bench::new();
    let bye = request("BYE", BRANCH);
    bench.request(&bye, true);
    bench.until(20_000);
    bench.receive(&response_to(&bye, 481), udp());
    assert_eq!(bench.said(), ["0 send BYE", "20000 up 481"]);
    assert!(bench.table.is_empty());
}

#[test]
fn s17_1_4_a_transport_error_ends_it() {
    let mut bench = Bench::new();
    let id = bench.request(&request("REGISTER", BRANCH), true);
    bench.failed(Id::Client(id));
    assert_eq!(bench.said(), ["0 send REGISTER", "0 unreachable"]);
    assert!(bench.table.is_empty());
}

#[test]
fn the_table_is_bounded_and_a_branch_is_used_once() {
    let mut bench = Bench::with_capacity(1);
    let invite = request("INVITE", BRANCH);
    bench.request(&invite, false);
    let mut try_request = |message| {
        let to = tandem::sip::Destination::Flow(udp());
        bench.table.request(bench.now, message, to, false).map(|_| ())
    };
    assert_eq!(try_request(request("OPTIONS", "z9hG4bKother")), Err(Refused::Full));
    assert_eq!(try_request(request("CANCEL", BRANCH)), Ok(()), "CANCEL of what is there has room");
    let mut bench = Bench::new();
    bench.request(&invite, false);
    let to = tandem::sip::Destination::Flow(udp());
    assert_eq!(bench.table.request(bench.now, invite, to, false).err(), Some(Refused::BranchInUse));
}
