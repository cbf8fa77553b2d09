//! Hunts and expansions of our own, each with where it comes from: a line of FreeSWITCH's source, a page of its
//! documentation, an issue or a dialplan that somebody uses.

use serde_json::Value;
use tandem::api;
use tandem::dialplan::{Hunt, expand};

use crate::switch::{Channel, Switch, execute};
use crate::{fixture, rows, text};

/// The hunt of a row and its execution: the extension, and each application with its data as it runs.
fn hunted(row: &Value) -> String {
    let named = row.get("named").and_then(Value::as_str).unwrap_or("default");
    let asked = row.get("context").and_then(Value::as_str).unwrap_or("default");
    let switch = Switch::parse(&format!(
        "<section name=\"dialplan\">\n<context name=\"{named}\">\n{}\n</context>\n</section>",
        text(row, "xml")
    ));
    let mut channel = Channel::new(&switch, text(row, "dest"));
    for (name, value) in row.get("vars").and_then(Value::as_object).into_iter().flatten() {
        channel.put(name, value.as_str().unwrap());
    }
    for (name, value) in row.get("profile").and_then(Value::as_object).into_iter().flatten() {
        let name: &'static str = ["username", "caller_id_name", "caller_id_number"]
            .into_iter()
            .find(|known| known == name)
            .unwrap_or_else(|| panic!("{name} is no field the table knows"));
        channel.profile.insert(name, value.as_str().unwrap().to_owned());
    }
    if let Some(now) = row.get("now").and_then(Value::as_str) {
        switch.now.set(now.parse().unwrap());
    }
    if let Some(zone) = row.get("zone").and_then(Value::as_str) {
        channel.zone = jiff::tz::TimeZone::get(zone).unwrap();
    }
    match switch.plan.hunt(asked, text(row, "dest"), &mut channel) {
        Hunt::NoContext => "no context".to_owned(),
        Hunt::NoRoute => "no route".to_owned(),
        Hunt::Route(route) => {
            let invalid = route.invalid_application.map(|name| format!("!{name} ")).unwrap_or_default();
            let mut out = format!("{invalid}[{}]", route.extension);
            for action in &route.actions {
                let done = action.data.expand(&channel);
                out += &format!(" {}({})", action.application, done.text);
                execute(&mut channel, &action.application, &done);
            }
            out
        }
    }
}

fn check(rows: &[Value], seen: impl Fn(&Value) -> String) {
    assert!(rows.len() >= 150, "{} rows", rows.len());
    let mut wrong = Vec::new();
    for row in rows {
        assert!(!text(row, "origin").is_empty(), "{row}");
        let (expected, seen) = (text(row, "expect"), seen(row));
        if expected != seen {
            let asked = row.get("ask").or(row.get("xml")).unwrap();
            wrong.push(format!("{}: {asked}\n    {expected:?} expected, {seen:?} seen", text(row, "origin")));
        }
    }
    assert!(wrong.is_empty(), "{} of {} rows differ\n{}", wrong.len(), rows.len(), wrong.join("\n"));
}

#[test]
fn hunts_of_our_own() {
    check(&rows(&fixture("hunts.jsonl")), hunted);
}

const DIRECTORY: &str = r#"<section name="directory"><domain name="d.example">
  <params><param name="dial-string" value="error/${dialed_user}"/></params>
  <variables><variable name="greeting" value="hello"/></variables>
  <groups><group name="sales">
    <params><param name="limit" value="3"/></params>
    <users>
      <user id="1000" number-alias="alias"><variables><variable name="callgroup" value="sales"/></variables></user>
      <user id="1001" type="pointer"/>
    </users>
  </group></groups>
  <users><user id="1001"/><user id="1002"/></users>
</domain></section>"#;

#[test]
fn expansions_of_our_own() {
    let switch = Switch::parse(DIRECTORY);
    for (name, value) in
        [("domain", "d.example"), ("planet", "earth"), ("shadow", "theirs"), ("caller_id_name", "no")]
    {
        switch.globals.set(name, value);
    }
    let mut channel = Channel::new(&switch, "1000");
    channel.profile.insert("caller_id_name", "Alice".to_owned());
    for (name, value) in [
        ("va", "alpha"),
        ("vn", "12345"),
        ("vs", "hello world"),
        ("nest", "va"),
        ("letter", "a"),
        ("up", "upper"),
        ("two", "2"),
        ("three", "3"),
        ("ext", "1001"),
        ("digits", "1234567890"),
        ("direction", "inbound"),
        ("shadow", "ours"),
        ("list", "ARRAY::a|:b|:c"),
        ("one", "ARRAY::solo"),
        ("words", "ARRAY::alpha|:beta"),
        ("indirect", "<${va}>"),
        ("twice", "${indirect}!"),
        ("loop", "${loop}"),
        ("ping", "${pong}"),
        ("pong", "${ping}"),
    ] {
        channel.put(name, value);
    }
    check(&rows(&fixture("expansions.jsonl")), |row| match row.get("command") {
        Some(_) => api::command(&switch, text(row, "ask")),
        None => expand(text(row, "ask"), &channel),
    });
}

/// What joins the dial strings of a group or of a user's phones is ours and separates them; what is in them is not.
#[test]
fn a_group_call_is_several_legs() {
    let mut switch = Switch::parse(DIRECTORY);
    switch.globals.set("domain", "d.example");
    switch.contacts =
        vec!["sofia/x/sip:1@10.0.0.1,sofia/y/2".to_owned(), "sofia/x/sip:1@10.0.0.2".to_owned()];
    let channel = Channel::new(&switch, "1000");
    let legs = |ask: &str| {
        let done = tandem::dialplan::Template::new(ask).expand(&channel);
        let legs = done.guarded().split([',', '|']);
        legs.map(|leg| tandem::dialplan::plain(leg).into_owned()).collect::<Vec<_>>()
    };
    assert_eq!(legs("${group_call(sales)}"), ["error/1000", "error/1001"]);
    assert_eq!(legs("${sofia_contact(1000)}"), switch.contacts);
    assert_eq!(legs("${reg_url(1000)}"), switch.contacts);
    api::command(&switch, "group insert:g:user/1");
    api::call(&switch, "group", "insert:g:user/2,user/3", true);
    assert_eq!(legs("${group(call:g)}"), ["user/1", "user/2,user/3"]);
    api::call(&switch, "hash", "insert/r/k/1,2", true);
    assert_eq!(legs("${hash(select/r/k)}"), ["1,2"]);
    assert_eq!(api::command(&switch, "hash select/r/k"), "1,2");
}
