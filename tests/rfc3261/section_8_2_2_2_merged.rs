//! RFC 3261 §8.2.2.2: the same request by two ways.

use std::time::{Duration, Instant};

use tandem::sip::Message;
use tandem::transaction::MergeGuard;

use crate::bench::{address, parse, request_of};

const WAIT: Duration = Duration::from_secs(32);

fn by_way(of: &str, branch: &str, call_id: &str, cseq: u32) -> Message {
    request_of(of, &format!("Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK{branch}"), call_id, cseq)
}

#[test]
fn a_second_copy_is_merged_and_a_retransmission_is_not() {
    let mut guard = MergeGuard::new(100, WAIT);
    let now = Instant::now();
    let source = address("192.0.2.1:5060");
    let mut merged =
        |message: &Message, after: u64| guard.is_merged(now + Duration::from_secs(after), message, source);
    assert!(!merged(&by_way("INVITE", "1", "c", 1), 0), "first");
    assert!(!merged(&by_way("INVITE", "1", "c", 1), 1), "retransmission");
    assert!(merged(&by_way("INVITE", "2", "c", 1), 2), "another way");
    assert!(!merged(&by_way("INVITE", "3", "c", 2), 3), "with credentials now");
    assert!(!merged(&by_way("INVITE", "4", "d", 1), 4), "another call");
    assert!(!merged(&by_way("OPTIONS", "5", "c", 1), 5), "another method");
    assert!(!merged(&by_way("ACK", "6", "c", 1), 6) && !merged(&by_way("CANCEL", "7", "c", 1), 6));
    assert!(!merged(&by_way("INVITE", "2", "c", 1), 32), "long after");
}

#[test]
fn a_request_inside_a_dialog_is_never_merged() {
    let mut guard = MergeGuard::new(100, WAIT);
    let now = Instant::now();
    for branch in ["1", "2"] {
        let text = String::from_utf8(by_way("BYE", branch, "c", 5).raw().to_vec()).unwrap();
        let bye = parse(&text.replace("To: <sip:bob@192.0.2.2>", "To: <sip:bob@192.0.2.2>;tag=b"));
        assert!(!guard.is_merged(now, &bye, address("192.0.2.1:5060")));
    }
    assert!(guard.is_empty());
}

#[test]
fn the_guard_is_bounded() {
    let mut guard = MergeGuard::new(10, WAIT);
    let now = Instant::now();
    for n in 0..1000 {
        assert!(!guard.is_merged(
            now,
            &by_way("INVITE", "1", &format!("call-{n}"), 1),
            address("192.0.2.1:5060")
        ));
        assert!(guard.len() <= 10);
    }
}
