use super::*;
use crate::config::{Options, parse, section};

fn read(domains: &str) -> (DirectoryConf, Vec<String>) {
    let text = format!(
        "<document type=\"freeswitch/xml\">\n<section name=\"directory\">\n{domains}\n</section>\n</document>"
    );
    let loaded = parse("dir.xml", &text, &Options::new("conf"));
    assert!(loaded.problems.is_empty(), "{:?}", loaded.problems);
    let mut problems = Vec::new();
    let conf = DirectoryConf::from_element(section(&loaded.root, "directory").unwrap(), &mut problems);
    (conf, problems.iter().map(|p| format!("{}: {}", p.at.line, p.message)).collect())
}

const GOOD: &str = r#"
<domain name="example.com">
  <params><param name="dial-string" value="x"/></params>
  <variables><variable name="record_stereo" value="true"/></variables>
  <groups>
    <group name="default"><users>
      <user id="1000" number-alias="77" cidr="192.0.2.1/32,10.0.0.0/8">
        <params><param name="password" value="s3cret-and-long"/></params>
        <variables><variable name="user_context" value="default"/></variables>
      </user>
    </users></group>
    <group name="sales"><users><user id="1000" type="pointer"/></users></group>
  </groups>
  <users><user id="out"><params><param name="a1-hash" value="0123456789abcdef0123456789ABCDEF"/></params></user></users>
</domain>"#;

#[test]
fn a_good_domain_is_read_without_a_word() {
    let (conf, problems) = read(GOOD);
    assert_eq!(problems, Vec::<String>::new());
    let [domain] = conf.domains.as_slice() else { panic!("{conf:?}") };
    assert_eq!((domain.name.as_str(), domain.groups.len(), domain.users.len()), ("example.com", 2, 1));
    let Member::User(user) = &domain.groups[0].members[0] else { panic!() };
    assert_eq!(
        (user.id.as_str(), user.number_alias.as_deref(), user.networks.len()),
        ("1000", Some("77"), 2)
    );
    assert_eq!(&*user.settings.variable("USER_CONTEXT").unwrap().value, "default");
    assert!(matches!(&domain.groups[1].members[0], Member::Pointer { id, .. } if id == "1000"));
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    let in_group = |users: &str| {
        format!(
            "<domain name=\"d\">\n<groups><group name=\"g\"><users>\n{users}\n</users></group></groups></domain>"
        )
    };
    let user = |id: &str, params: &str| format!("<user id=\"{id}\"><params>{params}</params></user>");
    let password = |p: &str| format!("<param name=\"password\" value=\"{p}\"/>");
    let good = password("long-enough");
    for (text, want) in [
        ("<domain/>".to_owned(), "3: <domain> has no name"),
        ("<domain name=\"\"/>".to_owned(), "3: <domain> has no name"),
        (
            "<domain name=\"d\"/>\n<domain name=\"D\"/>".to_owned(),
            "4: domain 'D' is ignored: it exists already",
        ),
        ("<domain name=\"d\"><groups><group/></groups></domain>".to_owned(), "3: <group> has no name"),
        (in_group("<user/>"), "5: <user> has no id"),
        (in_group(&user("1", "<param value=\"x\"/>")), "5: <param> has no name"),
        (
            in_group(&(user("a", &good) + "\n" + &user("A", &good))),
            "6: user 'A' is ignored: the id exists already",
        ),
        (in_group(&user("a", "")), "5: user 'a' has no password and cannot log in"),
        (in_group(&user("a", &password(""))), "5: user 'a' has no password and cannot log in"),
        (
            in_group(&user("a", "<param name=\"allow-empty-password\" value=\"true\"/>")),
            "5: anybody may log in as 'a'",
        ),
        (in_group(&user("a", &password("A"))), "5: user 'a' has the password 'A', which scanners try first"),
        (
            in_group(&(user("1000", &password("1234")) + &user("1001", &password("1234")))),
            "5: 2 users ('1000', …) have the password '1234', which scanners try first",
        ),
        (
            in_group(&user("a", "<param name=\"a1-hash\" value=\"12\"/>")),
            "5: the a1-hash of user 'a' is no MD5",
        ),
        (in_group("<user id=\"9\" type=\"pointer\"/>"), "5: pointer '9' points to nobody"),
        (in_group("<user id=\"9\" cidr=\"10.0.0.0/40\"/>"), "5: '10.0.0.0/40' is no network"),
        (
            in_group(&(user("1", &good) + "\n<user id=\"2\" number-alias=\"1\" cidr=\"10.0.0.1/32\"/>")),
            "6: number-alias '1' is the id of a user",
        ),
        (
            "<domain name=\"d\"><users><user id=\"9\" type=\"pointer\"/></users></domain>".to_owned(),
            "3: pointer '9' is outside any group and means nothing",
        ),
    ] {
        let (_, problems) = read(&text);
        assert!(problems.iter().any(|p| p == want), "{text}\nwanted: {want}\nfound: {problems:#?}");
    }
}

#[test]
fn passwords_are_inherited_when_judged() {
    let (_, problems) = read(
        "<domain name=\"d\"><params><param name=\"password\" value=\"shared-and-long\"/></params>\
         <users><user id=\"a\"/></users></domain>",
    );
    assert_eq!(problems, Vec::<String>::new());
}

#[test]
fn booleans_are_freeswitchs() {
    for (text, want) in [
        ("true", true),
        ("YES", true),
        ("1", true),
        ("7", true),
        ("allow", true),
        ("0", false),
        ("x", false),
        ("", false),
    ] {
        assert_eq!(is_true(text), want, "{text}");
    }
}
