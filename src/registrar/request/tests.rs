use bytes::Bytes;

use super::*;
use crate::sip::Limits;

fn read(headers: &str) -> Result<Request, Refusal> {
    let text = format!(
        "REGISTER sip:d SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bK1;rport\r\nFrom: <sip:1000@d>;tag=1\r\n\
         To: <sip:1000@d>\r\nCall-ID: c1\r\nCSeq: 7 REGISTER\r\n{headers}Content-Length: 0\r\n\r\n"
    );
    Request::read(&Message::parse(Bytes::from(text), &Limits::default()).expect("a whole message"))
}

#[test]
fn contacts_are_kept_as_they_came() {
    for (headers, want) in [
        (
            "Contact: <sip:1000@10.0.0.9:5060;rinstance=1;transport=UDP>\r\nExpires: 3600\r\n",
            &[("<sip:1000@10.0.0.9:5060;rinstance=1;transport=UDP>", Some(3600), 1000)][..],
        ),
        (
            "Contact: \"Bob, \\\"B\\\" \" <sip:b@h>;q=0.5;expires=60;+x=\"a;b\"\r\nExpires: 3600\r\n",
            &[("\"Bob, \\\"B\\\" \" <sip:b@h>;q=0.5;+x=\"a;b\"", Some(60), 500)],
        ),
        ("m: sip:b@h;expires=60\r\n", &[("<sip:b@h>", Some(60), 1000)]),
        (
            "Contact: <sip:b@h>;EXPIRES=0, <sip:c@h>\r\n",
            &[("<sip:b@h>", Some(0), 1000), ("<sip:c@h>", None, 1000)],
        ),
        (
            "Contact: <sip:b@h>\r\nContact: <sip:c@[2001:db8::1]:5060>\r\nExpires: 9\r\n",
            &[("<sip:b@h>", Some(9), 1000), ("<sip:c@[2001:db8::1]:5060>", Some(9), 1000)],
        ),
        ("Contact: <sips:b@h;transport=tcp>\r\n", &[("<sips:b@h;transport=tcp>", None, 1000)]),
    ] {
        let Wanted::Contacts(wishes) = read(headers).unwrap().wanted else { panic!("{headers}") };
        let found: Vec<_> = wishes.iter().map(|w| (w.contact.text(), w.expires, w.q)).collect();
        assert_eq!(found, want, "{headers}");
    }
}

#[test]
fn instances_and_reg_ids() {
    for (params, instance, reg_id) in [
        (";+sip.instance=\"<urn:uuid:1>\";reg-id=2", Some("urn:uuid:1"), Some(2)),
        (";+sip.instance=\"<urn:uuid:1>\"", Some("urn:uuid:1"), None),
        (";reg-id=1", None, None),
        (";+sip.instance=\"<urn:uuid:1>\";reg-id=0", Some("urn:uuid:1"), None),
        (";+sip.instance=\"\"", None, None),
    ] {
        let Wanted::Contacts(wishes) = read(&format!("Contact: <sip:b@h>{params}\r\n")).unwrap().wanted
        else {
            panic!()
        };
        assert_eq!((wishes[0].instance.as_deref(), wishes[0].reg_id), (instance, reg_id), "{params}");
    }
}

#[test]
fn the_star_stands_alone_with_zero() {
    assert_eq!(read("Contact: *\r\nExpires: 0\r\n").unwrap().wanted, Wanted::RemoveAll);
    assert_eq!(read("").unwrap().wanted, Wanted::Nothing);
    assert_eq!(read("Expires: 0\r\n").unwrap().wanted, Wanted::Nothing);
    for headers in [
        "Contact: *\r\n",
        "Contact: *\r\nExpires: 60\r\n",
        "Contact: *\r\nContact: <sip:b@h>\r\nExpires: 0\r\n",
        "Contact: *, <sip:b@h>\r\nExpires: 0\r\n",
        "Contact: *\r\nContact: *\r\nExpires: 0\r\n",
        "Contact: <tel:+1234>\r\n",
        "Contact: <sip:b@h\r\n",
    ] {
        assert_eq!(read(headers).map_err(|r| r.status), Err(400), "{headers}");
    }
    let many: Vec<String> = (0..33).map(|n| format!("<sip:{n}@h>")).collect();
    assert_eq!(read(&format!("Contact: {}\r\n", many.join(", "))).map_err(|r| r.status), Err(400));
}

#[test]
fn paths_bare_and_bracketed_keep_their_order() {
    for (headers, want) in [
        ("", None),
        ("Path: <sip:p1;lr>\r\n", Some("<sip:p1;lr>")),
        (
            "Path: <sip:p1;lr>, <sip:p2:5070;lr;ob>\r\nPath: <sip:p3>;x=1\r\n",
            Some("<sip:p1;lr>, <sip:p2:5070;lr;ob>, <sip:p3>;x=1"),
        ),
        ("Path: sip:p1;lr\r\n", Some("<sip:p1;lr>")),
    ] {
        assert_eq!(read(headers).unwrap().path.as_deref(), want, "{headers}");
    }
}

#[test]
fn the_rest() {
    let request = read("User-Agent: Zoiper v2\r\n").unwrap();
    assert_eq!((request.call_id.as_str(), request.cseq, request.user_agent.as_str()), ("c1", 7, "Zoiper v2"));
    assert_eq!(read("").unwrap().user_agent, "unknown");
    let long = format!("User-Agent: x{}\r\n", "é".repeat(100));
    assert_eq!(read(&long).unwrap().user_agent.len(), 127);
}

proptest::proptest! {
    /// Whatever a phone writes into Contact and Path is refused or kept on one line, and can be given back.
    #[test]
    fn nothing_in_a_header_breaks_out(
        contact in "[ -~é\t]{0,60}",
        uri in "[!-~]{0,20}",
        path in "[ -~]{0,30}",
    ) {
        for contact in [contact.clone(), format!("<sip:{uri}>;expires=60"), format!("{contact} <sip:a@{uri}>")] {
            let Ok(request) = std::panic::catch_unwind(|| read_loose(&format!("Contact: {contact}\r\nPath: {path}\r\n")))
            else { panic!("{contact:?} {path:?}") };
            let Some(Ok(request)) = request else { continue };
            let now = std::time::Instant::now();
            let table = crate::registrar::Registrar::new(now, Default::default());
            let flow = crate::sip::Flow::udp(([192, 0, 2, 1], 5060).into(), ([192, 0, 2, 9], 5060).into());
            let mut policy = crate::registrar::Policy::new("internal");
            policy.nat = true;
            let done = table.register(now, &request, flow, ("1000", "d"), &policy).unwrap();
            for text in done.contacts.iter().chain(&done.path) {
                proptest::prop_assert!(!text.contains(['\r', '\n', '\0']), "{:?}", text);
            }
            for binding in table.lookup(now, "1000", "d") {
                let text = binding.dial_string();
                let rest = text.strip_prefix("sofia/internal/sip:").expect("the form");
                proptest::prop_assert!(!rest.contains([',', '|', '{', '}', '$', ' ', '<', '>']), "{}", text);
                binding.destination();
            }
        }
    }
}

fn read_loose(headers: &str) -> Option<Result<Request, Refusal>> {
    let text = format!(
        "REGISTER sip:d SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bK1;rport\r\nFrom: <sip:1000@d>;tag=1\r\n\
         To: <sip:1000@d>\r\nCall-ID: c1\r\nCSeq: 7 REGISTER\r\n{headers}Content-Length: 0\r\n\r\n"
    );
    Message::parse(Bytes::from(text), &Limits::default()).ok().map(|m| Request::read(&m))
}
