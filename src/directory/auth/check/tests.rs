use std::time::UNIX_EPOCH;

use bytes::Bytes;

use super::*;
use crate::config::acl::AclConf;
use crate::config::directory::DirectoryConf;
use crate::config::{Options, parse, section};
use crate::net::acl::LocalNet;
use crate::sip::{Limits, Text};

const USERS: &str = r#"<domain name="d"><users>
<user id="1000" number-alias="77"><params><param name="password" value="secret"/></params></user>
<user id="hashed"><params><param name="a1-hash" value="D45AFFF5D93B5C1E5FA0F7C3F2AE5E1A"/></params></user>
<user id="none"/>
<user id="open"><params><param name="allow-empty-password" value="true"/></params></user>
<user id="barred"><params><param name="password" value="secret"/><param name="sip-forbid-register" value="true"/></params></user>
<user id="near"><params><param name="password" value="secret"/><param name="auth-acl" value="10.0.0.0/8"/></params></user>
</users></domain><domain name="other"><users>
<user id="1000"><params><param name="password" value="another"/></params></user></users></domain>"#;

struct Scene {
    auth: Authenticator,
    directory: Snapshot,
    acls: Acls,
    rules: Rules,
    now: SystemTime,
}

/// How a phone answers; what is not set is as it should be.
#[derive(Clone)]
struct Login<'a> {
    method: &'a str,
    header: &'a str,
    username: &'a str,
    password: &'a str,
    realm: &'a str,
    to: &'a str,
    uri: &'a str,
    count: u32,
    qop: bool,
    algorithm: Algorithm,
    /// Replaced in the header's text before it is sent.
    change: (&'a str, &'a str),
}

const GOOD: Login<'static> = Login {
    method: "REGISTER",
    header: "Authorization",
    username: "1000",
    password: "secret",
    realm: "d",
    to: "1000",
    uri: "sip:d",
    count: 1,
    qop: true,
    algorithm: Algorithm::Md5,
    change: ("", ""),
};

/// Where requests come from.
const SOURCE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));

impl Scene {
    fn new() -> Self {
        let text = format!("<document><section name=\"directory\">{USERS}</section></document>");
        let mut loaded = parse("dir.xml", &text, &Options::new("conf"));
        let root = std::mem::replace(&mut loaded.root, parse("x", "<x/>", &Options::new("conf")).root);
        let mut conf = DirectoryConf::from_element(section(&root, "directory").unwrap(), &mut Vec::new());
        // The hash depends on the arithmetic under test elsewhere: put it in from there.
        let hash = ha1(Algorithm::Md5, "hashed", "d", "secret").to_ascii_uppercase();
        for setting in conf.domains[0].users.iter_mut().flat_map(|u| &mut u.settings.params) {
            if &*setting.name == "a1-hash" {
                setting.value = hash.clone().into();
            }
        }
        Scene {
            auth: Authenticator::new(&[3; 32], 64),
            directory: Snapshot::build(&conf),
            acls: Acls::compile(&AclConf::default(), LocalNet { v4: None, v6: None }, |_| None),
            rules: Rules {
                realm: Realm::AutoFrom,
                domain: None,
                nonce_life: Duration::from_secs(92),
                algorithms: vec![Algorithm::Md5],
                match_username: true,
            },
            now: UNIX_EPOCH + Duration::from_secs(1_700_000_000),
        }
    }

    fn check(&self, request: &Message) -> Outcome {
        self.check_from("192.0.2.7", request)
    }

    fn check_from(&self, source: &str, request: &Message) -> Outcome {
        let source = source.parse().unwrap();
        self.auth.check(self.now, request, source, &self.directory, &self.acls, &self.rules)
    }

    fn nonce(&self, realm: &str) -> String {
        let value = self.auth.challenges(self.now, SOURCE, realm, false, &self.rules).remove(0);
        Challenge::parse(&Text::from(value.as_str())).unwrap().nonce().to_owned()
    }

    fn login(&self, login: &Login<'_>, nonce: &str) -> Outcome {
        let challenge = Challenge::new(login.realm, nonce, login.algorithm, false);
        let challenge = if login.qop { challenge } else { challenge.without_qop() };
        let ha1 = ha1(login.algorithm, login.username, login.realm, login.password);
        let answer =
            Credentials::answer(&challenge, login.username, &ha1, login.method, login.uri, "cn", login.count)
                .unwrap();
        let value = answer.to_string().replace(login.change.0, login.change.1);
        self.check(&request(login, &format!("{}: {value}\r\n", login.header)))
    }

    /// One word for an outcome.
    fn outcome(&self, login: &Login<'_>) -> String {
        word(&self.login(login, &self.nonce(login.realm)))
    }
}

fn word(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Accepted { user, .. } => format!("accepted {}", user.id),
        Outcome::Challenge { stale, realm } => {
            format!("challenge {realm}{}", if *stale { " stale" } else { "" })
        }
        Outcome::Forbidden { grounds, .. } => format!("forbidden {grounds:?}"),
    }
}

fn request(login: &Login<'_>, headers: &str) -> Message {
    let (method, uri, to) = (login.method, login.uri, login.to);
    let text = format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bK1;rport\r\nMax-Forwards: 70\r\n\
         From: <sip:{to}@d>;tag=1\r\nTo: <sip:{to}@to.example>\r\nCall-ID: c1\r\nCSeq: 7 {method}\r\n{headers}\
         Content-Length: 0\r\n\r\n"
    );
    Message::parse(Bytes::from(text), &Limits::default()).expect("a whole message")
}

#[test]
fn the_challenge_is_freeswitchs_to_the_letter() {
    let s = Scene::new();
    let [fresh] = s.auth.challenges(s.now, SOURCE, "192.168.4.4", false, &s.rules).try_into().unwrap();
    let nonce = Challenge::parse(&Text::from(fresh.as_str())).unwrap().nonce().to_owned();
    assert_eq!(
        fresh,
        format!("Digest realm=\"192.168.4.4\", nonce=\"{nonce}\", algorithm=MD5, qop=\"auth\"")
    );
    let stale = s.auth.challenges(s.now, SOURCE, "x", true, &s.rules).remove(0);
    assert!(stale.ends_with("\", stale=true, algorithm=MD5, qop=\"auth\""), "{stale}");
    let mut rules = s.rules.clone();
    rules.algorithms = vec![Algorithm::Sha256, Algorithm::Md5];
    let both = s.auth.challenges(s.now, SOURCE, "x", false, &rules);
    assert!(both[0].contains("SHA-256") && both[1].contains("MD5"));
}

#[test]
fn who_gets_in() {
    let s = Scene::new();
    let l = GOOD;
    for (login, want) in [
        (l.clone(), "accepted 1000"),
        (Login { qop: false, ..l.clone() }, "accepted 1000"),
        (Login { username: "77", to: "77", ..l.clone() }, "accepted 1000"),
        (Login { username: "hashed", to: "hashed", ..l.clone() }, "accepted hashed"),
        (Login { username: "open", to: "open", password: "whatever", ..l.clone() }, "accepted open"),
        (
            Login { method: "INVITE", header: "Proxy-Authorization", uri: "sip:1001@d", ..l.clone() },
            "accepted 1000",
        ),
        (Login { method: "INVITE", uri: "sip:1001@d", ..l.clone() }, "accepted 1000"),
        (Login { method: "INVITE", uri: "sip:1001@d", to: "somebody", ..l.clone() }, "accepted 1000"),
        (Login { password: "Secret", ..l.clone() }, "forbidden WrongPassword"),
        (Login { password: "", ..l.clone() }, "forbidden WrongPassword"),
        (Login { username: "9999", to: "9999", ..l.clone() }, "forbidden UnknownUser"),
        (Login { username: "none", to: "none", password: "", ..l.clone() }, "forbidden NoPassword"),
        (Login { username: "hashed", to: "hashed", password: "x", ..l.clone() }, "forbidden WrongPassword"),
        (Login { username: "barred", to: "barred", ..l.clone() }, "forbidden ForbidRegister"),
        (Login { username: "near", to: "near", ..l.clone() }, "forbidden AuthAcl"),
        (Login { to: "1001", ..l.clone() }, "forbidden OtherUser"),
        // Another domain's password does not open this one, nor does its realm.
        (Login { password: "another", ..l.clone() }, "forbidden WrongPassword"),
        (Login { realm: "other", password: "another", ..l.clone() }, "challenge d"),
        // What was not offered gets a fresh challenge, never a 400.
        (Login { change: ("qop=auth", "qop=auth-int"), ..l.clone() }, "challenge d"),
        (Login { change: (", nc=00000001", ""), ..l.clone() }, "challenge d"),
        (Login { change: ("algorithm=MD5", "algorithm=MD5-sess"), ..l.clone() }, "challenge d"),
        (Login { change: ("algorithm=MD5", "algorithm=SHA-256"), ..l.clone() }, "challenge d"),
        (Login { change: ("algorithm=MD5", "algorithm=md5"), ..l.clone() }, "accepted 1000"),
        (Login { change: (", algorithm=MD5", ""), ..l.clone() }, "accepted 1000"),
        (Login { change: ("response=", "x="), ..l.clone() }, "challenge d"),
        (Login { change: ("Digest ", "Basic "), ..l.clone() }, "challenge d"),
        // Signed for one URI, used for another.
        (
            Login {
                method: "INVITE",
                uri: "sip:1001@d",
                change: ("sip:1001@d", "sip:1001@10.0.0.1:5060"),
                ..l.clone()
            },
            "forbidden WrongPassword",
        ),
        (
            Login { method: "INVITE", uri: "sip:1001@d", change: ("sip:1001@d", "sip:900@d"), ..l.clone() },
            "challenge d",
        ),
    ] {
        assert_eq!(s.outcome(&login), want, "{} {} {:?}", login.method, login.username, login.change);
    }
}

#[test]
fn a_proxy_may_change_the_host_on_the_way() {
    let s = Scene::new();
    let nonce = s.nonce("d");
    let challenge = Challenge::new("d", &nonce, Algorithm::Md5, false);
    let ha1 = ha1(Algorithm::Md5, "1000", "d", "secret");
    let answer = Credentials::answer(&challenge, "1000", &ha1, "INVITE", "sip:1001@proxy", "cn", 1).unwrap();
    let login = Login { method: "INVITE", uri: "sip:1001@192.0.2.1:5060;transport=udp", ..GOOD };
    assert_eq!(
        word(&s.check(&request(&login, &format!("Proxy-Authorization: {answer}\r\n")))),
        "accepted 1000"
    );
}

#[test]
fn without_credentials_there_is_a_challenge() {
    let mut s = Scene::new();
    let plain = request(&GOOD, "");
    assert_eq!(word(&s.check(&plain)), "challenge d");
    s.rules.realm = Realm::AutoTo;
    assert_eq!(word(&s.check(&plain)), "challenge to.example");
    s.rules.realm = Realm::Literal("The Realm".into());
    assert_eq!(word(&s.check(&plain)), "challenge The Realm");
    // The right ones among those of other realms are found.
    s.rules.realm = Realm::AutoFrom;
    let nonce = s.nonce("d");
    let ha1 = ha1(Algorithm::Md5, "1000", "d", "secret");
    let [a, b] = ["elsewhere", "d"].map(|realm| {
        let challenge = Challenge::new(realm, &nonce, Algorithm::Md5, false);
        Credentials::answer(&challenge, "1000", &ha1, "REGISTER", "sip:d", "cn", 1).unwrap()
    });
    let both = request(&GOOD, &format!("Authorization: {a}\r\nAuthorization:  {b}\r\n"));
    assert_eq!(word(&s.check(&both)), "accepted 1000");
}

#[test]
fn nonces_age_and_are_ours_alone() {
    let mut s = Scene::new();
    let nonce = s.nonce("d");
    s.now += Duration::from_secs(92);
    assert_eq!(word(&s.login(&GOOD, &nonce)), "accepted 1000");
    let late = s.nonce("d");
    s.now += Duration::from_secs(93);
    assert_eq!(word(&s.login(&GOOD, &late)), "challenge d stale");
    // Whoever knows no password learns the same from a stale nonce.
    assert_eq!(word(&s.login(&Login { password: "x", ..GOOD }, &late)), "challenge d stale");
    assert_eq!(word(&s.login(&GOOD, "212a425d")), "challenge d stale");
    assert_eq!(word(&s.login(&GOOD, &s.nonce("other"))), "challenge d stale");
    let elsewhere =
        Authenticator::new(&[4; 32], 64).challenges(s.now, SOURCE, "d", false, &s.rules).remove(0);
    let elsewhere = Challenge::parse(&Text::from(elsewhere.as_str())).unwrap().nonce().to_owned();
    assert_eq!(word(&s.login(&GOOD, &elsewhere)), "challenge d stale");
}

#[test]
fn a_copy_of_good_credentials_is_worth_nothing() {
    let s = Scene::new();
    let nonce = s.nonce("d");
    let count = |count| word(&s.login(&Login { count, ..GOOD }, &nonce));
    assert_eq!(count(1), "accepted 1000");
    assert_eq!(count(1), "challenge d stale");
    assert_eq!(count(2), "accepted 1000");
    assert_eq!(count(1), "challenge d stale");
    assert_eq!(count(9), "accepted 1000");
    assert_eq!(s.auth.remembered(), 1);
    // Wrong ones leave no trace: strangers cannot fill the table, nor use up somebody's nonce.
    let nonce = s.nonce("d");
    assert_eq!(word(&s.login(&Login { password: "x", ..GOOD }, &nonce)), "forbidden WrongPassword");
    assert_eq!(s.auth.remembered(), 1);
    assert_eq!(word(&s.login(&GOOD, &nonce)), "accepted 1000");
    // A peer of RFC 2069 has no count: one use, then another nonce.
    let nonce = s.nonce("d");
    let old = Login { qop: false, ..GOOD };
    assert_eq!(word(&s.login(&old, &nonce)), "accepted 1000");
    assert_eq!(word(&s.login(&old, &nonce)), "challenge d stale");
    // A new nonce starts its count again.
    assert_eq!(s.outcome(&GOOD), "accepted 1000");
}

#[test]
fn the_domain_can_be_forced() {
    let mut s = Scene::new();
    s.rules.domain = Some("other".into());
    assert_eq!(s.outcome(&Login { password: "another", ..GOOD }), "accepted 1000");
    assert_eq!(s.outcome(&GOOD), "forbidden WrongPassword");
    s.rules.domain = Some("nowhere".into());
    assert_eq!(s.outcome(&GOOD), "forbidden UnknownUser");
}

#[test]
fn without_matching_usernames_a_user_may_register_others() {
    let mut s = Scene::new();
    s.rules.match_username = false;
    assert_eq!(s.outcome(&Login { to: "1001", ..GOOD }), "accepted 1000");
}

#[test]
fn sha_256_when_offered() {
    let mut s = Scene::new();
    s.rules.algorithms = vec![Algorithm::Sha256, Algorithm::Md5];
    let sha = Login { algorithm: Algorithm::Sha256, ..GOOD };
    assert_eq!(s.outcome(&sha), "accepted 1000");
    assert_eq!(s.outcome(&Login { password: "x", ..sha.clone() }), "forbidden WrongPassword");
    assert_eq!(s.outcome(&GOOD), "accepted 1000");
    // A stored MD5 cannot answer for SHA-256.
    assert_eq!(s.outcome(&Login { username: "hashed", to: "hashed", ..sha }), "forbidden WrongPassword");
}

proptest::proptest! {
    /// Nobody gets in by writing odd things.
    #[test]
    fn odd_credentials_are_never_accepted(
        odd in "[ -~]{0,40}",
        name in "(username|realm|nonce|uri|response|qop|nc|cnonce|algorithm)",
        value in "\"?[ -~]{0,12}\"?",
    ) {
        let s = Scene::new();
        let nonce = s.nonce("d");
        for text in [
            odd,
            format!("Digest username=\"1000\", realm=\"d\", nonce=\"{nonce}\", uri=\"sip:d\", response=\"{value}\""),
            format!("Digest {name}={value}, username=\"1000\", realm=\"d\", nonce=\"{nonce}\", uri=\"sip:d\", \
                     response=\"0123456789abcdef0123456789abcdef\", qop=auth, nc=00000001, cnonce=\"x\""),
        ] {
            let header = format!("Authorization: {text}\r\n");
            let register = GOOD;
            let raw = format!(
                "REGISTER sip:d SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bK1\r\nFrom: <sip:{0}@d>;tag=1\r\n\
                 To: <sip:{0}@d>\r\nCall-ID: c1\r\nCSeq: 7 REGISTER\r\n{header}Content-Length: 0\r\n\r\n",
                register.to
            );
            if let Ok(message) = Message::parse(Bytes::from(raw), &Limits::default()) {
                let outcome = s.check(&message);
                proptest::prop_assert!(!matches!(outcome, Outcome::Accepted { .. }), "{}", text);
            }
        }
        proptest::prop_assert_eq!(s.auth.remembered(), 0);
    }
}

/// Who can send in another's name but not hear what is sent there has no nonce for that address: what it sends is
/// challenged, and never counts as a wrong password of its victim.
#[test]
fn a_nonce_is_for_the_source_that_was_challenged() {
    let s = Scene::new();
    let from = |source: &str, password: &'static str| {
        let login = Login { password, ..GOOD };
        let nonce = s.nonce("d"); // for SOURCE
        let challenge = Challenge::new("d", &nonce, Algorithm::Md5, false);
        let ha1 = ha1(Algorithm::Md5, login.username, "d", login.password);
        let answer =
            Credentials::answer(&challenge, login.username, &ha1, login.method, login.uri, "cn", 1).unwrap();
        word(&s.check_from(source, &request(&login, &format!("{}: {answer}\r\n", login.header))))
    };
    assert_eq!(from("192.0.2.7", GOOD.password), "accepted 1000");
    assert_eq!(from("::ffff:192.0.2.7", GOOD.password), "accepted 1000");
    assert_eq!(from("192.0.2.8", GOOD.password), "challenge d stale");
    assert_eq!(from("192.0.2.8", "a guess"), "challenge d stale");
    assert_eq!(from("192.0.2.7", "a guess"), "forbidden WrongPassword");
}
