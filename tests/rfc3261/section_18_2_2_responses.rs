//! RFC 3261 §18.2.2, RFC 3581 §4: where responses go.

use tandem::sip::{Flow, Transport};
use tandem::transaction::reply_flow;

use crate::bench::{address, request_of, udp};

#[test]
fn responses_go_back_to_where_the_request_came_from() {
    // (Via, source, where the response goes)
    for (via, source, expected) in [
        ("192.0.2.1:5060;rport", "192.0.2.1:5060", "192.0.2.1:5060"),
        // rport asked for: the source port, whatever the Via says.
        ("10.0.0.9:5060;rport", "198.51.100.7:40000", "198.51.100.7:40000"),
        ("192.0.2.1:5060;rport", "192.0.2.1:40000", "192.0.2.1:40000"),
        // No rport, and it is not where it says it is: NAT, so the source again.
        ("10.0.0.9:5060", "198.51.100.7:40000", "198.51.100.7:40000"),
        ("phone.local:5060", "198.51.100.7:40000", "198.51.100.7:40000"),
        // No rport, and it is where it says it is: the port of the Via (§18.2.2).
        ("192.0.2.1:5070", "192.0.2.1:40000", "192.0.2.1:5070"),
        ("192.0.2.1", "192.0.2.1:40000", "192.0.2.1:5060"),
        ("[2001:db8::1]:5070", "[2001:db8::1]:40000", "[2001:db8::1]:5070"),
    ] {
        let request = request_of("OPTIONS", &format!("Via: SIP/2.0/UDP {via};branch=z9hG4bK1"), "c", 1);
        let flow = Flow { remote: address(source), ..udp() };
        assert_eq!(reply_flow(&request, flow).remote, address(expected), "{via} from {source}");
    }
}

#[test]
fn a_stream_answers_on_itself() {
    let request = request_of("OPTIONS", "Via: SIP/2.0/TCP 192.0.2.1:5070;branch=z9hG4bK1", "c", 1);
    let remote = address("192.0.2.1:40000");
    let flow = Flow { transport: Transport::Tcp, remote, connection: 9, ..udp() };
    assert_eq!(reply_flow(&request, flow), flow);
}
