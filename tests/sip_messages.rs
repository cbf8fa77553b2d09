//! Whole messages: the captures of real phones, the torture messages of RFC 4475 and RFC 5118, and random ones.

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use tandem::sip::{Flow, Limits, Message, Method, Name};

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

fn flow() -> Flow {
    Flow::udp("192.0.2.1:5060".parse().unwrap(), "198.51.100.7:4444".parse().unwrap())
}

fn parse(raw: &[u8]) -> Result<Message, tandem::sip::ParseError> {
    Message::parse(Bytes::copy_from_slice(raw), &Limits::default())
}

/// Writes a message again from what was read of it. The same bytes must come out.
fn printed(message: &Message) -> Vec<u8> {
    let mut out = match message.uri() {
        Some(uri) => format!("{} {uri} SIP/2.0\r\n", message.method()),
        None => format!("SIP/2.0 {} {}\r\n", message.status().unwrap(), message.reason()),
    };
    for (name, value) in message.all_headers() {
        let typed = match Name::from_name(name) {
            Name::From => message.from().to_string(),
            Name::To => message.to().to_string(),
            Name::CSeq => message.cseq().to_string(),
            Name::Via => message.via().to_string(),
            Name::Contact => message.contacts().unwrap()[0].to_string(),
            _ => value.to_owned(),
        };
        assert_eq!(typed, value, "{name} as it is read");
        // linphonec writes two blanks before Digest; which of them are the header's is not kept.
        let gap = if value.starts_with("Digest realm") { "  " } else { " " };
        out.push_str(&format!("{name}:{gap}{typed}\r\n"));
    }
    out.push_str("\r\n");
    let mut out = out.into_bytes();
    out.extend_from_slice(message.body());
    out
}

/// The captures, each message as it was on the wire. A line before each names its sender; bare line feeds stand between.
fn captures(file: &str) -> Vec<Vec<u8>> {
    let text = fs::read_to_string(tests().join("fixtures").join(file)).unwrap();
    let pieces = text.split("<< (").skip(1).map(|p| p.split_once('\n').unwrap().1);
    pieces
        .map(|mut raw| {
            while let Some(shorter) = raw.strip_suffix('\n').filter(|s| !s.ends_with('\r')) {
                raw = shorter;
            }
            raw.as_bytes().to_vec()
        })
        .collect()
}

#[test]
fn phones_are_read_and_printed_back() {
    let mut methods = Vec::new();
    for file in ["baresip-1.0.0.txt", "linphonec-5.1.65.txt"] {
        for raw in captures(file) {
            let text = String::from_utf8_lossy(&raw).into_owned();
            let message = parse(&raw).unwrap_or_else(|e| panic!("{file}: {e}\n{text}"));
            assert_eq!(String::from_utf8_lossy(&printed(&message)), text);
            assert_eq!(message.from().uri().user().as_deref(), Some("1001"));
            for credentials in message.authorization() {
                assert_eq!(credentials.unwrap().username(), "1001");
            }
            assert_eq!(message.sdp().is_some(), message.method() == &Method::Invite);
            methods.push(message.method().clone());
        }
    }
    assert_eq!(methods.len(), 15);
    assert_eq!(methods.iter().filter(|m| **m == Method::Invite).count(), 4);
}

/// The digests the phones computed are the ones we compute. The captures were made with this password.
#[test]
fn phones_compute_the_digests_we_compute() {
    use tandem::sip::digest::{Algorithm, ha1, verify};
    let mut verdicts = Vec::new();
    for file in ["baresip-1.0.0.txt", "linphonec-5.1.65.txt"] {
        for raw in captures(file) {
            let message = parse(&raw).unwrap();
            for credentials in message.authorization() {
                let credentials = credentials.unwrap();
                let key = ha1(Algorithm::Md5, credentials.username(), credentials.realm(), "secret");
                verdicts.push(verify(&credentials, &key, message.method().as_str()).unwrap());
            }
        }
    }
    assert_eq!(verdicts, [true; 6]);
}

struct Torture {
    name: String,
    parse: String,
    inspect: String,
    raw: Vec<u8>,
}

fn torture() -> Vec<Torture> {
    let folder = tests().join("rfc4475");
    let table = fs::read_to_string(folder.join("verdicts.txt")).unwrap();
    let rows = table.lines().filter(|l| !l.starts_with('#') && !l.trim().is_empty());
    rows.map(|row| {
        let mut words = row.split_whitespace().map(str::to_owned);
        let name = words.next().unwrap();
        let (_, parse, inspect) = (words.next(), words.next().unwrap(), words.next().unwrap());
        let raw = fs::read(folder.join(format!("{name}.sip"))).unwrap();
        Torture { name, parse, inspect, raw }
    })
    .collect()
}

#[test]
fn torture_messages_get_their_verdicts() {
    let all = torture();
    assert_eq!(all.len(), 61);
    assert_eq!(fs::read_dir(tests().join("rfc4475")).unwrap().count(), 61 + 2);
    let mut wrong = Vec::new();
    for Torture { name, parse: want, inspect, raw } in all {
        let result = parse(&raw);
        let got = match &result {
            Ok(_) => "ok".to_owned(),
            Err(e) => e.status().to_string(),
        };
        if got != want {
            wrong.push(format!("{name}: parse {got}, not {want}: {:?}", result.as_ref().err()));
        }
        let got = match &result {
            Ok(m) if m.is_request() => {
                m.inspect(&[]).err().map_or("ok".to_owned(), |e| e.status().to_string())
            }
            _ => "-".to_owned(),
        };
        if got != inspect {
            wrong.push(format!("{name}: inspect {got}, not {inspect}"));
        }
        if let Err(error) = result {
            let answer = error.answer(&raw, &flow());
            let response = raw.starts_with(b"SIP/2.0");
            if answer.is_some() == response {
                wrong.push(format!("{name}: answer {answer:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn tortured(name: &str) -> Message {
    parse(&torture().into_iter().find(|t| t.name == name).unwrap().raw).unwrap()
}

#[test]
fn torture_messages_are_understood() {
    let m = tortured("wsinv");
    assert_eq!(m.to_tag(), Some("1918181833n"));
    assert_eq!((m.from().display().as_deref(), m.from_tag()), (Some("J Rosenberg \\\""), Some("98asjd8")));
    assert_eq!((m.max_forwards(), m.cseq().number), (Some(68), 9));
    let vias = m.vias().unwrap();
    let hosts: Vec<_> = vias.iter().map(|v| v.host()).collect();
    assert_eq!(hosts, ["192.0.2.2", "spindle.example.com", "192.168.255.111"]);
    assert_eq!(vias[2].branch(), Some("z9hG4bK30239"));
    assert_eq!(
        m.header_named("NewFangledHeader").next(),
        Some("newfangled value   continued newfangled value")
    );
    assert_eq!(m.header_named("unknownheaderwithunusualvalue").next(), Some(";;,,;;,;"));
    assert_eq!(m.contact().unwrap().display().as_deref(), Some("Quoted string \"\""));
    assert_eq!(m.contact().unwrap().param("newparam"), Some("newvalue"));
    assert_eq!(m.contact().unwrap().q(), Some(330));
    assert!(m.routes().unwrap()[0].uri().is_loose());
    assert_eq!(m.header(Name::Subject), Some(""));
    assert_eq!(m.body().len(), 150);

    let m = tortured("intmeth");
    assert_eq!(m.method().as_str(), "!interesting-Method0123456789_*+`.%indeed'~");
    assert_eq!(m.uri().unwrap().host(), "example.com");
    assert_eq!(m.uri().unwrap().password(), Some("&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"));
    assert_eq!(m.to().display().as_deref(), Some("BEL:\u{7} NUL:\0 DEL:\u{7f}"));
    assert_eq!(m.from().param("fromParam''~+*_!.-%"), Some("работающий"));
    assert_eq!(m.from_tag(), Some("_token~1'+`*%!-."));

    let m = tortured("esc01");
    assert_eq!(m.uri().unwrap().user().as_deref(), Some("sips:user@example.com"));
    assert_eq!(m.from().uri().user().as_deref(), Some("I have spaces"));
    let contact = m.contact().unwrap();
    assert_eq!(contact.uri().user().as_deref(), Some("caller"));
    assert!(contact.uri().is_loose());
    assert_eq!(contact.uri().param("name"), Some("v%61lue%25%34%31"));

    assert_eq!(tortured("esc02").contacts().unwrap().len(), 2, "an escaped header name is another name");
    let nulls: Vec<_> = tortured("escnull").contacts().unwrap();
    assert_eq!(nulls[1].address().unwrap().uri().user().as_deref(), Some("\0\0"));
    assert_ne!(nulls[0].address().unwrap().uri(), nulls[1].address().unwrap().uri());
    assert_eq!(tortured("lwsdisp").from().display().as_deref(), Some("caller"));
    assert_eq!(tortured("longreq").vias().unwrap().len(), 34);
    assert_eq!(tortured("dblreq").body(), b"");
    assert_eq!(tortured("semiuri").uri().unwrap().user().as_deref(), Some("user;par=u@example.net"));
    assert_eq!(tortured("transports").vias().unwrap()[3].transport_name(), "UNKNOWN");
    assert_eq!(tortured("mpart01").body().len(), 730);
    assert_eq!(tortured("unreason").reason(), "= 2**3 * 5**2 но сто девяносто девять - простое");
    assert_eq!(tortured("noreason").reason(), "");
    assert!(!tortured("badbranch").via().has_magic_cookie());
    assert!(tortured("regbadct").contacts().is_err());
    assert_eq!(
        tortured("regescrt").contact().unwrap().uri().header("route").as_deref(),
        Some("<sip:sip.example.com>")
    );
    assert_eq!(tortured("escruri").uri().unwrap().as_request_uri().as_str(), "sip:user@example.com");
    assert!(tortured("cparam01").contact().unwrap().params().has("unknownparam"));
    assert!(tortured("cparam02").contact().unwrap().uri().params().has("unknownparam"));
    assert_eq!(tortured("baddate").date(), None);
    assert_eq!(tortured("inv2543").from_tag(), None);

    assert_eq!(tortured("port-ambiguous").uri().unwrap().port(), None);
    assert_eq!(tortured("port-unambiguous").uri().unwrap().port(), Some(5070));
    for name in ["via-received-param-with-delim", "via-received-param-no-delim"] {
        assert_eq!(tortured(name).via().received(), Some("2001:db8::9:255".parse().unwrap()));
    }
    assert_eq!(tortured("ipv4-mapped-ipv6").via().host(), "::ffff:192.0.2.10");
}
