use super::*;
use crate::config::{Options, parse, section};

pub(crate) fn snapshot(domains: &str) -> Snapshot {
    let text = format!("<document><section name=\"directory\">{domains}</section></document>");
    let loaded = parse("dir.xml", &text, &Options::new("conf"));
    let conf = DirectoryConf::from_element(section(&loaded.root, "directory").unwrap(), &mut Vec::new());
    Snapshot::build(&conf)
}

const TREE: &str = r#"
<domain name="Example.com">
  <params><param name="a" value="domain"/><param name="b" value="domain"/><param name="c" value="domain"/></params>
  <variables><variable name="v" value="domain"/></variables>
  <groups>
    <group name="default">
      <params><param name="b" value="group"/><param name="c" value="group"/></params>
      <users>
        <user id="1000" number-alias="77" cidr="192.0.2.1/32">
          <params><param name="C" value="user"/><param name="c" value="later"/></params>
          <variables><variable name="w" value="user"/></variables>
        </user>
        <user id="Alice"/>
        <user id="1000"><params><param name="a" value="second"/></params></user>
      </users>
    </group>
    <group name="Sales"><params><param name="b" value="sales"/></params>
      <users><user id="alice" type="pointer"/><user id="1000" type="pointer"/><user id="9" type="pointer"/></users>
    </group>
  </groups>
  <users><user id="out" number-alias="1000"/></users>
</domain>
<domain name="other"/>"#;

#[test]
fn users_are_found_without_case_by_id_then_alias() {
    let s = snapshot(TREE);
    for (user, domain, want) in [
        ("1000", "example.com", Some("1000")),
        ("1000", "EXAMPLE.COM", Some("1000")),
        ("77", "example.com", Some("1000")),
        ("ALICE", "example.com", Some("Alice")),
        ("out", "example.com", Some("out")),
        ("9", "example.com", None),
        ("1000", "other", None),
        ("1000", "nowhere", None),
        ("", "", None),
    ] {
        assert_eq!(s.user(user, domain).as_deref().map(|u| &*u.id), want, "{user}@{domain}");
    }
    assert_eq!(s.user(&"x".repeat(500), "example.com").map(|u| u.address()), None);
    assert_eq!((s.len(), s.domains().count()), (3, 2));
}

#[test]
fn the_nearest_level_wins() {
    let s = snapshot(TREE);
    let user = s.user("1000", "example.com").unwrap();
    assert_eq!(
        (user.param("A"), user.param("b"), user.param("c")),
        (Some("domain"), Some("group"), Some("user"))
    );
    assert_eq!(user.params().collect::<Vec<_>>(), [("C", "user"), ("b", "group"), ("a", "domain")]);
    assert_eq!(user.variables().collect::<Vec<_>>(), [("w", "user"), ("v", "domain")]);
    // A pointer in another group does not bring that group's settings.
    assert_eq!(s.user("alice", "example.com").unwrap().param("b"), Some("group"));
    assert_eq!(s.user("out", "example.com").unwrap().param("b"), Some("domain"));
}

#[test]
fn groups_follow_their_pointers() {
    let s = snapshot(TREE);
    let sales = s.group("SALES", "example.com").unwrap();
    assert_eq!(sales.members.iter().map(|u| &*u.id).collect::<Vec<_>>(), ["Alice", "1000"]);
    assert_eq!((sales.param("b"), sales.param("a")), (Some("sales"), None));
    assert!(s.group("none", "example.com").is_none());
}

#[test]
fn networks_carry_the_user_as_token() {
    let s = snapshot(TREE);
    let networks = s.networks("example.com").unwrap();
    assert_eq!(
        networks.iter().map(|n| (n.network.to_string(), n.token.to_string())).collect::<Vec<_>>(),
        [("192.0.2.1/32".to_owned(), "1000@example.com".to_owned())]
    );
    assert!(s.networks("nowhere").is_none());
}

#[test]
fn a_reload_swaps_whole_generations() {
    let directory = Directory::new(snapshot(TREE));
    let before = directory.user("1000", "example.com").unwrap();
    directory.replace(snapshot("<domain name=\"x\"/>"));
    assert!(directory.user("1000", "example.com").is_none());
    assert_eq!(before.param("a"), Some("domain"));
}
