//! Random messages: what is written is read again, nothing makes the parser panic, streams are cut alike wherever reads end.

use bytes::Bytes;
use proptest::prelude::*;
use tandem::sip::digest::{Challenge, Credentials};
use tandem::sip::{
    Builder, Flow, Frame, Framer, Limits, Message, Method, Name, NameAddr, Scheme, Text, Transport, Uri, Via,
    ack_for, cancel_for,
};

fn flow() -> Flow {
    Flow::udp("192.0.2.1:5060".parse().unwrap(), "[2001:db8::7]:4444".parse().unwrap())
}

//------------ What a message is made of ----------------------------------------------------------------------------

fn token() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9.!%*_+`'~-]{1,20}"
}

fn any_text() -> impl Strategy<Value = String> {
    proptest::collection::vec(any::<char>(), 0..20).prop_map(|c| c.into_iter().collect())
}

fn host() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z][a-z0-9-]{0,10}\\.example",
        any::<[u8; 4]>().prop_map(|a| std::net::Ipv4Addr::from(a).to_string()),
        any::<[u8; 16]>().prop_map(|a| std::net::Ipv6Addr::from(a).to_string()),
    ]
}

prop_compose! {
    fn uri()(
        user in proptest::option::of(any_text()), host in host(), port in any::<Option<u16>>(), secure in any::<bool>(),
        params in proptest::collection::vec((token(), proptest::option::of(any_text())), 0..4),
    ) -> Uri {
        let new = if secure { Uri::sips } else { Uri::sip };
        params.iter().fold(new(user.as_deref(), &host, port), |u, (n, v)| u.with_param(n, v.as_deref()))
    }
}

prop_compose! {
    fn address()(
        uri in uri(), display in any_text(),
        params in proptest::collection::vec((token(), proptest::option::of(any_text())), 0..4),
    ) -> NameAddr {
        params.iter().fold(NameAddr::new(uri).with_display(&display), |a, (n, v)| a.with_param(n, v.as_deref()))
    }
}

fn method() -> impl Strategy<Value = Method> {
    prop_oneof![
        token().prop_map(|t| Method::from_name(&t)),
        Just(Method::Invite),
        Just(Method::Register),
        Just(Method::Bye),
    ]
}

prop_compose! {
    fn request()(
        method in method(), uri in uri(), from in address(), to in address(), tags in (token(), proptest::option::of(token())),
        call_id in "[!-~]{1,30}", number in 0u32..0x8000_0000, branch in token(), sent_by in host(), rport in any::<bool>(),
        contacts in proptest::collection::vec(address(), 0..3),
        others in proptest::collection::vec((token(), any_text()), 0..8),
        body in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..200)),
    ) -> (Bytes, Method, Uri, NameAddr, NameAddr) {
        let sent_by = if sent_by.contains(':') { format!("[{sent_by}]") } else { sent_by };
        let from = from.with_tag(&tags.0);
        let to = match &tags.1 { Some(tag) => to.with_tag(tag), None => to.without_param("tag") };
        let mut new = Builder::request(&method, &uri)
            .via(&Via::new(Transport::Udp, &sent_by, &branch, rport))
            .header(Name::From, &from)
            .header(Name::To, &to)
            .header(Name::CallId, &call_id)
            .header(Name::CSeq, format_args!("{number} {method}"))
            .header(Name::MaxForwards, 70);
        for contact in &contacts {
            new = new.header(Name::Contact, contact);
        }
        for (name, value) in &others {
            if Name::from_name(name) == Name::Other {
                new = new.header(name, value);
            }
        }
        if let Some(body) = &body {
            new = new.body("application/octet-stream", body);
        }
        (new.finish(), method, uri, from, to)
    }
}

//------------ Writing and reading again ----------------------------------------------------------------------------

/// How many random cases; `CASES` makes it more.
fn cases() -> ProptestConfig {
    let cases = std::env::var("CASES").ok().and_then(|c| c.parse().ok()).unwrap_or(256);
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn what_is_written_is_read((raw, method, uri, from, to) in request()) {
        let m = match Message::parse(raw.clone(), &Limits::default()) {
            Ok(m) => m,
            Err(e) => return Err(TestCaseError::fail(format!("{e}\n{}", String::from_utf8_lossy(&raw)))),
        };
        prop_assert_eq!(m.method(), &method);
        prop_assert_eq!(m.uri().unwrap().as_str(), uri.as_str());
        prop_assert_eq!(m.from().as_str(), from.as_str());
        prop_assert_eq!(m.to().as_str(), to.as_str());
        prop_assert_eq!(m.from().display(), from.display());
        prop_assert_eq!(m.from_tag(), from.tag());
        prop_assert_eq!(m.to_tag(), to.tag());

        // Printed from its parts, the same bytes come out.
        let mut again = format!("{} {} SIP/2.0\r\n", m.method(), m.uri().unwrap()).into_bytes();
        for (name, value) in m.all_headers() {
            again.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        again.extend_from_slice(b"\r\n");
        again.extend_from_slice(m.body());
        let trimmed = String::from_utf8_lossy(&raw).lines().any(|l| l.ends_with([' ', '\t']) || l.contains(":  ") || l.contains(": \t"));
        if !trimmed {
            prop_assert_eq!(String::from_utf8_lossy(&again), String::from_utf8_lossy(&raw));
        }

        // What we write about it is read too.
        let response = Builder::response(&m, &flow(), 200, "OK").to_tag("mine").finish();
        let response = Message::parse(response, &Limits::default()).unwrap();
        prop_assert_eq!(response.cseq(), m.cseq());
        prop_assert_eq!(response.via().rport(), Some(Some(4444)));
        prop_assert_eq!(response.to_tag(), m.to_tag().or(Some("mine")));
        for bytes in [ack_for(&m, &response), cancel_for(&m)] {
            prop_assert!(Message::parse(bytes, &Limits::default()).is_ok());
        }
    }

    #[test]
    fn uris_are_kept_and_equal_themselves(uri in uri()) {
        let again: Uri = uri.as_str().parse().unwrap();
        prop_assert_eq!(&again, &uri);
        prop_assert_eq!(again.to_string(), uri.to_string());
        prop_assert_eq!(again.port(), uri.port());
        prop_assert!(uri.as_str().bytes().all(|c| c > b' '));
    }

    #[test]
    fn header_values_never_break_a_line(value in any_text(), name in any_text()) {
        let raw = Builder::request(&Method::Options, &Uri::sip(None, "h", None)).header(&name, &value).finish();
        let text = String::from_utf8_lossy(&raw).into_owned();
        prop_assert!(text.matches("\r\n").count() <= 4, "{}", text);
        prop_assert_eq!(text.matches('\n').count(), text.matches("\r\n").count());
        prop_assert!(!text.contains('\0'));
    }
}

//------------ Anything at all --------------------------------------------------------------------------------------

/// Asks a message everything it can be asked.
fn interrogate(m: &Message) {
    let _ = (
        m.uri(),
        m.status(),
        m.reason().len(),
        m.body().len(),
        m.call_id().len(),
        m.via().rport(),
        m.via().received(),
    );
    let _ = (
        m.contacts(),
        m.vias(),
        m.routes(),
        m.record_routes(),
        m.paths(),
        m.expires(),
        m.min_expires(),
        m.rseq(),
    );
    let _ = (
        m.rack(),
        m.retry_after(),
        m.session_expires(),
        m.min_se(),
        m.content_type(),
        m.sdp(),
        m.date(),
        m.refer_to(),
    );
    let _ = (
        m.referred_by(),
        m.replaces(),
        m.event(),
        m.subscription_state(),
        m.remote_party_id(),
        m.asserted_identities(),
    );
    let _ = (
        m.reasons().count(),
        m.require().iter().count(),
        m.privacy().has("id"),
        m.inspect(&["timer"]).is_ok(),
    );
    for contact in m.contacts().unwrap_or_default().iter().filter_map(|c| c.address().cloned()) {
        let _ = (contact.q(), contact.expires(), contact.instance(), contact.reg_id(), contact.replaces());
        let _ = (contact.with_display("x").to_string(), contact.with_tag("y").to_string());
        let _ = (
            contact.uri() == m.from().uri(),
            contact.uri().with_param("a", None),
            contact.uri().as_request_uri(),
        );
        let _ = contact.uri().with_host("h", None).with_user(Some("u")).without_param("transport");
    }
    for c in m.authorization().chain(m.proxy_authorization()).flatten() {
        let _ = (c.nonce_count(), c.to_string(), tandem::sip::digest::verify(&c, "0", "INVITE"));
    }
    for (_, c) in m.challenges() {
        let _ = c.map(|c| (c.offers_auth(), c.to_string()));
    }
    if m.is_request() {
        let back = Builder::response(m, &flow(), 500, "Oops").to_tag("t").record_routes(m).finish();
        assert!(Message::parse(back, &Limits { max_message: 1 << 20, ..Limits::default() }).is_ok());
        let _ = (ack_for(m, m), cancel_for(m));
    }
}

fn swallow(raw: &[u8]) {
    match Message::parse(Bytes::copy_from_slice(raw), &Limits::default()) {
        Ok(m) => interrogate(&m),
        Err(e) => {
            let _ = e.to_string();
            assert!(matches!(e.status(), 400 | 413 | 414 | 416 | 420 | 505 | 513));
            let _ = e.answer(raw, &flow());
        }
    }
    let mut framer = Framer::new(&Limits::default());
    framer.push(raw);
    for _ in 0..=raw.len() {
        match framer.next() {
            Ok(Some(_)) => {}
            Ok(None) => return,
            Err(e) => {
                let _ = e.answer(&flow());
                return;
            }
        }
    }
    panic!("more frames than bytes");
}

/// Every message of the fixtures: the seeds that are mutated.
fn corpus() -> Vec<Vec<u8>> {
    let tests = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut all = Vec::new();
    for file in std::fs::read_dir(tests.join("rfc4475")).unwrap().map(|f| f.unwrap().path()) {
        if file.extension().is_some_and(|e| e == "sip") {
            all.push(std::fs::read(file).unwrap());
        }
    }
    for file in ["baresip-1.0.0.txt", "linphonec-5.1.65.txt"] {
        let text = std::fs::read_to_string(tests.join("fixtures").join(file)).unwrap();
        all.extend(text.split("<< (").skip(1).map(|p| p.split_once('\n').unwrap().1.as_bytes().to_vec()));
    }
    all.push(
        b"REGISTER sip:h SIP/2.0\r\nVia: SIP/2.0/UDP h;rport;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:a@h>\r\n\
        Call-ID: 1\r\nCSeq: 1 REGISTER\r\nContact: *\r\nAuthorization: Digest username=\"a\",realm=\"h\",nonce=\"n\",uri=\"sip:h\",\
        response=\"00\",algorithm=MD5-sess,qop=auth,nc=00000001,cnonce=\"c\"\r\nPath: sip:p;lr, <sip:q>\r\n\
        WWW-Authenticate: Digest realm=\"x\", nonce=\"y\", stale=TRUE, qop=\"auth,auth-int\"\r\nSession-Expires: 90;refresher=uac\r\n\
        Min-SE: 90\r\nRAck: 1 1 INVITE\r\nReason: Q.850;cause=16;text=\"x\", SIP;cause=200\r\nRefer-To: <sip:a@b?Replaces=1%3Bto-tag=2%3Bfrom-tag=3>\r\n\
        Replaces: 1;to-tag=2;from-tag=3\r\nEvent: presence;id=1\r\nSubscription-State: active;expires=1\r\nRemote-Party-ID: \"x\" <sip:a@b>;party=calling\r\n\
        P-Asserted-Identity: <tel:+1>, <sip:a@b>\r\nPrivacy: id;header\r\nDate: Sat, 13 Nov 2010 23:29:00 GMT\r\nContent-Type: a/b;c=d\r\n\r\n"
            .to_vec(),
    );
    all
}

const SPICE: [&[u8]; 24] = [
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b"\r\n ",
    b"\r\n\r\n",
    b"\"",
    b"\\",
    b"<",
    b">",
    b";",
    b",",
    b"@",
    b":",
    b"%",
    b"%00",
    b"[",
    b"]",
    b"?",
    b"\xff\xfe",
    b"\xc3",
    b"4294967296",
    b"-1",
    b"                ",
];

fn mutate(seed: &mut Vec<u8>, (kind, at, what, len): (u8, usize, usize, usize), other: &[u8]) {
    let at = at % (seed.len() + 1);
    let end = (at + len % 40).min(seed.len());
    match kind % 6 {
        0 => drop(seed.splice(at..at, SPICE[what % SPICE.len()].iter().copied())),
        1 => drop(seed.drain(at..end)),
        2 => {
            if let Some(byte) = seed.get_mut(at) {
                *byte ^= 1 << (what % 8);
            }
        }
        3 => {
            let piece = seed[at..end].to_vec();
            drop(seed.splice(at..at, piece));
        }
        4 => seed.truncate(at),
        _ => {
            let from = what % (other.len() + 1);
            let to = (from + len % 200).min(other.len());
            drop(seed.splice(at..at, other[from..to].iter().copied()));
        }
    }
}

#[test]
fn every_seed_and_every_beginning_of_it() {
    for seed in corpus() {
        for end in 0..=seed.len() {
            if let Err(e) = Message::parse(Bytes::copy_from_slice(&seed[..end]), &Limits::default()) {
                let _ = e.answer(&seed[..end], &flow());
            }
        }
        swallow(&seed);
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn mutated_messages_never_panic(
        (which, other) in any::<(usize, usize)>(),
        changes in proptest::collection::vec(any::<(u8, usize, usize, usize)>(), 1..8),
    ) {
        let corpus = corpus();
        let other = &corpus[other % corpus.len()];
        let mut seed = corpus[which % corpus.len()].clone();
        for change in changes {
            mutate(&mut seed, change, other);
            swallow(&seed);
        }
    }

    #[test]
    fn random_bytes_never_panic(raw in proptest::collection::vec(any::<u8>(), 0..600)) {
        swallow(&raw);
    }

    #[test]
    fn random_values_never_panic(text in prop_oneof![any_text(), "[a-z:;,=<>@\"\\\\ %\\[\\]?0-9.*]{0,60}"]) {
        let text = Text::from(text);
        if let Ok(uri) = Uri::parse(text.clone()) {
            prop_assert_eq!(uri.as_str(), text.as_str());
            prop_assert_eq!(&uri, &uri);
            let changed = uri.with_param("p", Some("v"));
            prop_assert!(uri.scheme() == Scheme::Other || changed.param("p") == Some("v"));
            let _ = uri.with_user(None).with_host("h", Some(1)).as_request_uri();
        }
        if let Ok(address) = NameAddr::parse(text.clone()) {
            prop_assert_eq!(address.as_str(), text.trim());
            let tagged = address.with_tag("t");
            prop_assert_eq!(tagged.tag(), Some("t"));
            prop_assert!(address.with_display("d \"x\"").to_string().parse::<NameAddr>().is_ok());
        }
        let _ = (Via::parse(text.clone()), Credentials::parse(&text), Challenge::parse(&text));
        let digest = Text::from(format!("Digest {text}"));
        let _ = (Credentials::parse(&digest), Challenge::parse(&digest));
    }

    #[test]
    fn streams_are_cut_alike(
        parts in proptest::collection::vec(prop_oneof![
            request().prop_map(|(raw, ..)| raw.to_vec()),
            Just(b"\r\n".to_vec()),
            Just(b"\r\n\r\n".to_vec()),
            Just(b"OPTIONS sip:h SIP/2.0\nl:0\n\n".to_vec()),
        ], 1..6),
        broken in any::<bool>(),
        cuts in proptest::collection::vec(1usize..90, 1..60),
    ) {
        let mut stream = parts.concat();
        if broken {
            stream.extend_from_slice(b"BYE sip:h SIP/2.0\r\n\r\n");
        }
        let whole = frames(&[&stream]);
        let mut pieces = Vec::new();
        let mut rest = stream.as_slice();
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, after) = rest.split_at((*cut).min(rest.len()));
            pieces.push(piece);
            rest = after;
        }
        prop_assert_eq!(frames(&pieces), whole.clone());
        let messages: Vec<u8> = whole.0.iter().filter_map(|f| match f { Frame::Message(m) => Some(m.to_vec()), _ => None }).flatten().collect();
        let sent: Vec<u8> = parts.iter().filter(|p| p[0] != b'\r').flatten().copied().collect();
        prop_assert_eq!(messages, sent);
        prop_assert_eq!(whole.1, broken);
    }
}

fn frames(pieces: &[&[u8]]) -> (Vec<Frame>, bool) {
    let mut framer = Framer::new(&Limits::default());
    let mut all = Vec::new();
    for piece in pieces {
        framer.push(piece);
        loop {
            match framer.next() {
                Ok(Some(frame)) => all.push(frame),
                Ok(None) => break,
                Err(_) => return (all, true),
            }
        }
    }
    (all, false)
}
