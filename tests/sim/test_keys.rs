//! Keys pressed in a call: what they are bound to runs on the right leg, and the call goes on or goes where it was sent.

use std::collections::HashMap;
use std::time::Duration;

use tandem::event::EventName;

use crate::net::Weather;
use crate::office::{self, Office};
use crate::record::End;
use crate::script::{Act, Acts, Script, When, ms};

const A: usize = 10; // 1001
const B: usize = 40; // 1004
const C: usize = 60; // 1006

/// Presses these keys, the first so long after the answer and then one every 200 ms; a blank is a second.
fn presses(first: u64, keys: &str) -> Acts {
    let mut at = first;
    let mut acts = Acts::new();
    for key in keys.chars() {
        match key {
            ' ' => at += 1000,
            key => {
                acts.push((When::Up(ms(at)), Act::Digit(key)));
                at += 200;
            }
        }
    }
    acts
}

fn answers(mut acts: Acts) -> Acts {
    if acts.iter().any(|(_, act)| matches!(act, Act::Answer | Act::Refuse(_))) {
        return acts;
    }
    acts.push((When::Begun(ms(500)), Act::Answer));
    acts
}

fn hangs_up(at: u64, mut acts: Acts) -> Acts {
    acts.push((When::Up(ms(at)), Act::HangUp));
    acts
}

/// What a call left behind: the variables of the legs of A and B as they ended, and the keys that went on from each.
struct Left {
    legs: HashMap<&'static str, HashMap<String, String>>,
    digits: HashMap<&'static str, String>,
    /// How each phone's part ended.
    ends: HashMap<usize, End>,
    told: Vec<(String, String)>,
}

impl Left {
    fn variable(&self, leg: &str, name: &str) -> &str {
        self.legs.get(leg).and_then(|leg| leg.get(name)).map_or("", String::as_str)
    }

    fn digits(&self, leg: &str) -> &str {
        self.digits.get(leg).map_or("", String::as_str)
    }
}

/// A calls B through these actions; each presses keys.
fn plays(actions: &[(&str, &str)], more: &str, a: Acts, b: Acts, c: Acts) -> Left {
    let mut extension =
        "<extension name=\"keys\"><condition field=\"destination_number\" expression=\"^7001$\">".to_owned();
    for (application, data) in actions {
        extension += &format!("<action application=\"{application}\" data=\"{data}\"/>\n");
    }
    extension += "<action application=\"bridge\" data=\"user/1004@office.test\"/></condition></extension>";
    extension += more;
    let mut left =
        Left { legs: HashMap::new(), digits: HashMap::new(), ends: HashMap::new(), told: Vec::new() };
    office::run(async {
        let mut office = Office::open(0, Weather::fine(), &extension).await;
        let mut events = office.switch.exchange.events.listen();
        office.plan(Script::among(A, "7001", Duration::ZERO, a, vec![(B, answers(b)), (C, answers(c))]));
        office.play().await;
        let mut names = HashMap::new();
        while let Ok(event) = events.try_recv() {
            let header = |name: &str| event.header(name).unwrap_or("").to_owned();
            let name = match header("Caller-Destination-Number").as_str() {
                "7001" => "a",
                number if number.starts_with("1006") => "c",
                _ => "b",
            };
            let leg = *names.entry(header("Unique-ID")).or_insert(name);
            match event.name {
                EventName::Dtmf => *left.digits.entry(leg).or_default() += &header("DTMF-Digit"),
                EventName::ChannelData => left.told.push((leg.to_owned(), header("digits"))),
                EventName::ChannelHangupComplete => {
                    let variables = event.headers.iter().filter_map(|(name, value)| {
                        Some((name.strip_prefix("variable_")?.to_owned(), value.to_owned()))
                    });
                    left.legs.entry(leg).or_default().extend(variables);
                }
                _ => {}
            }
        }
        {
            let book = office.book.lock().unwrap();
            left.ends.extend(book[0].caller.ended().map(|end| (A, end)));
            let callees = book[0].callees.iter();
            left.ends.extend(callees.filter_map(|(phone, side)| Some((*phone, side.ended()?))));
        }
        office.judge();
        office.close().await;
    });
    left
}

/// Keys in a call of A and B that A ends.
fn talks(actions: &[(&str, &str)], a: &str, b: &str) -> Left {
    let left = plays(actions, "", hangs_up(15_000, presses(1000, a)), presses(1100, b), Acts::new());
    assert_eq!(left.ends.get(&A), Some(&End::HungUp));
    assert_eq!(left.ends.get(&B), Some(&End::Byed));
    left
}

#[test]
fn without_a_binding_keys_go_on() {
    let left = talks(&[], "*1", "*2#");
    assert_eq!((left.digits("a"), left.digits("b")), ("*1", "*2#"));
}

#[test]
fn a_bound_key_runs_on_the_leg_it_was_bound_for() {
    for (bound, a, b, runs) in [
        ("1 a s set::done=1", "*1", "", "a"),
        ("1 a o set::done=1", "*1", "", "b"),
        ("1 a a set::done=1", "*1", "", "a"),
        ("1 a b set::done=1", "*1", "", "b"),
        ("1 b s set::done=1", "", "*1", "b"),
        ("1 b o set::done=1", "", "*1", "a"),
        ("1 b a set::done=1", "", "*1", "a"),
        ("1 b b set::done=1", "", "*1", "b"),
        ("1 ab s set::done=1", "", "*1", "b"),
        ("1 ab s set::done=1", "*1", "", "a"),
        ("1 a i set::done=1", "*1", "", "a"),
        ("1 a s set::done=1", "", "*1", ""),
        ("1 b s set::done=1", "*1", "", ""),
        ("1 both s set::done=1", "*1", "", ""),
        ("1 a s set::done=1", "*2", "", ""),
        ("1 a s set::done=1", "**1", "", ""),
        ("1 a s set::done=1", "*      1", "", ""),
        ("x", "*1", "", ""),
        ("14 a s set::done=1", "*1", "", ""),
    ] {
        let left = talks(&[("bind_meta_app", bound)], a, b);
        for leg in ["a", "b"] {
            let done = if leg == runs { "1" } else { "" };
            assert_eq!(left.variable(leg, "done"), done, "{bound} on {leg}, keys {a:?} and {b:?}");
        }
    }
}

#[test]
fn keys_that_mean_something_do_not_go_on() {
    let bound = [("bind_meta_app", "1 a s set::done=1")];
    for (keys, on) in [("*1", ""), ("4*15", "45"), ("*9", ""), ("**", "*"), ("*      1", "1"), ("#1", "#1")] {
        assert_eq!(talks(&bound, keys, "").digits("a"), on, "{keys}");
    }
    assert_eq!(talks(&bound, "", "*1").digits("b"), "*1", "the other side has none");
    let bound = [("bind_meta_app", "1 b s set::done=1")];
    assert_eq!(talks(&bound, "*1", "").digits("a"), "*1");
    let none = talks(&[("block_dtmf", "")], "12", "");
    assert_eq!(none.digits("a"), "");
}

#[test]
fn another_meta_key_once_and_unbinding() {
    let set = |n| ("bind_meta_app", ["1 a s set::done=1", "2 a s1 set::n=${n}x", "2 a s unset::done"][n]);
    let left = talks(&[("set", "bind_meta_key=#"), set(0)], "#1", "");
    assert_eq!(left.variable("a", "done"), "1");
    let left = talks(&[("set", "bind_meta_key=1"), set(0)], "11", "");
    assert_eq!(left.variable("a", "done"), "");
    let left = talks(&[("bind_meta_app", "2 a s1 set::n=\\${n}x")], "*2*2", "");
    assert_eq!(left.variable("a", "n"), "x", "once");
    let left = talks(&[("bind_meta_app", "2 a s set::n=\\${n}x")], "*2*2", "");
    assert_eq!(left.variable("a", "n"), "xx");
    let left = talks(&[set(0), ("unbind_meta_app", "1")], "*1", "");
    assert_eq!((left.variable("a", "done"), left.digits("a")), ("", ""));
    let left = talks(&[set(0), ("unbind_meta_app", "")], "*1", "");
    assert_eq!((left.variable("a", "done"), left.digits("a")), ("", "*1"));
}

#[test]
fn what_is_not_provided_leaves_the_call_alone() {
    let more = r#"<extension name="dx"><condition field="destination_number" expression="^dx$">
        <action application="set" data="began=1"/>
        <action application="read" data="11 11 'tone' digits 5000 #"/>
        <action application="transfer" data="-bleg ${digits}"/></condition></extension>"#;
    for app in ["execute_extension::dx", "record_session::/tmp/x.wav", "some/file.wav", "eval::x"] {
        let actions = [("bind_meta_app", &*format!("1 ab s {app}"))];
        let (a, b) = (hangs_up(15_000, presses(1000, "*1")), presses(2000, "*1"));
        let left = plays(&actions, more, a, b, Acts::new());
        assert_eq!(left.ends[&A], End::HungUp, "{app}");
        assert_eq!(left.ends[&B], End::Byed, "{app}");
        let began = if app.contains("dx") { "1" } else { "" };
        assert_eq!((left.variable("a", "began"), left.variable("b", "began")), (began, began), "{app}");
    }
}

/// Who presses `*1` sends the other side, itself or both elsewhere.
#[test]
fn a_key_transfers() {
    for (bound, a, b, ends) in [
        ("1 b s transfer::-bleg 1006", "", "*1", [End::HungUp, End::Byed, End::Byed]),
        ("1 a s transfer::-bleg 1006", "*1", "", [End::Byed, End::HungUp, End::Byed]),
        ("1 a s transfer::1006", "*1", "", [End::HungUp, End::Byed, End::Byed]),
        ("1 b s execute_extension::tx", "", "*1", [End::HungUp, End::Byed, End::Byed]),
    ] {
        let more = r#"<extension name="tx"><condition field="destination_number" expression="^tx$">
            <action application="set" data="digits=1006"/>
            <action application="transfer" data="-bleg ${digits}"/></condition></extension>"#;
        let actions = [("bind_meta_app", bound)];
        let (a, b) = (hangs_up(15_000, presses(1000, a)), hangs_up(15_000, presses(1100, b)));
        let left = plays(&actions, more, a, b, Acts::new());
        for (phone, end) in [A, B, C].into_iter().zip(ends) {
            assert_eq!(left.ends.get(&phone), Some(&end), "phone {phone} after {bound}");
        }
    }
}

#[test]
fn a_key_sends_both_elsewhere() {
    for (bound, a, b) in [("1 b s transfer::-both 9196", "", "*1"), ("1 a s transfer::-both 9196", "*1", "")]
    {
        let (a, b) = (hangs_up(9_000, presses(1000, a)), hangs_up(12_000, presses(1000, b)));
        let left = plays(&[("bind_meta_app", bound)], "", a, b, Acts::new());
        assert_eq!((left.ends[&A], left.ends[&B]), (End::HungUp, End::HungUp), "{bound}");
    }
}

#[test]
fn while_an_application_runs() {
    let more = r#"<extension name="alone"><condition field="destination_number" expression="^7001$">
        <action application="answer"/>
        <action application="bind_meta_app" data="1 a s set::done=1"/>
        <action application="bind_digit_action" data="r,55,exec:transfer,9196"/>
        <action application="sleep" data="20000"/><action application="park"/></condition></extension>"#;
    let more = more.replace("7001", "7002");
    let actions = [("transfer", "7002")];
    let a = hangs_up(9_000, presses(1000, "*1 55"));
    let left = plays(&actions, &more, a, Acts::new(), Acts::new());
    assert_eq!(left.ends[&A], End::HungUp);
    assert_eq!(left.variable("a", "done"), "1");
    assert_eq!(left.variable("a", "last_matching_digits"), "55");
    assert_eq!(left.variable("a", "current_application"), "echo");
}

#[test]
fn sequences() {
    let bind = |data: &'static str| [("bind_digit_action", data)];
    // (binding, A's keys, B's keys, leg, variable and value, keys that went on from A and from B)
    for (data, a, b, (leg, name, value), on) in [
        ("r,12,exec:set,done=1", "12", "", ("a", "done", "1"), ("", "")),
        ("r,12,exec:set,done=1", "12", "", ("a", "last_matching_digits", "12"), ("", "")),
        ("r,12,exec:set,done=1,self,peer", "12", "", ("b", "done", "1"), ("", "")),
        ("r,12,exec:set,done=1,self,both", "12", "", ("b", "done", "1"), ("", "")),
        ("r,12,exec:set,done=1,self,both", "12", "", ("a", "done", "1"), ("", "")),
        ("r,12,exec:set,done=1,peer", "", "12", ("a", "done", "1"), ("", "12")),
        ("r,12,exec:set,done=1,peer,peer", "", "12", ("b", "done", "1"), ("", "12")),
        ("r,12,exec:set,done=1", "", "12", ("a", "done", ""), ("", "12")),
        ("r,12,exec:set,done=1", "13", "", ("a", "last_non_matching_digits", "13"), ("13", "")),
        ("r,12,exec:set,done=1", "1", "", ("a", "last_non_matching_digits", "1"), ("1", "")),
        ("r,12,exec:set,done=1", "1    2", "", ("a", "done", ""), ("12", "")),
        ("r,~^\\d{3}$,exec:set,done=\\${last_matching_digits}", "123", "", ("a", "done", "123"), ("", "")),
        (
            "r,=~^9(\\d\\d)$~~$1,exec:set,done=\\${last_matching_digits}",
            "912",
            "",
            ("a", "done", "12"),
            ("", ""),
        ),
        ("r,12,api:strftime,%s", "12", "", ("a", "done", ""), ("", "")),
        (
            "r,12,api:md5,x",
            "12",
            "",
            ("a", "bind_digit_action_api_result", "9dd4e461268c8034f5c8564e155c67a6"),
            ("", ""),
        ),
        ("r,12,pressed,yes", "12", "", ("a", "last_matching_digits", "12"), ("", "")),
    ] {
        let left = talks(&bind(data), a, b);
        assert_eq!(left.variable(leg, name), value, "{name} of {leg} after {a:?} and {b:?} with {data}");
        assert_eq!((left.digits("a"), left.digits("b")), on, "{a:?} and {b:?} with {data}");
        let told = data.contains("exec") && on == ("", "");
        assert!(!told || !left.told.is_empty(), "nothing told of {data}");
    }
}

#[test]
fn realms() {
    let two =
        [("bind_digit_action", "one,1,exec:set,done=one"), ("bind_digit_action", "two,1,exec:set,done=two")];
    let with = |more: &[(&'static str, &'static str)]| {
        let left = talks(&[&two, more].concat(), "1", "");
        left.variable("a", "done").to_owned()
    };
    assert_eq!(with(&[]), "two");
    assert_eq!(with(&[("digit_action_set_realm", "one")]), "one");
    assert_eq!(with(&[("digit_action_set_realm", "three")]), "two");
    assert_eq!(with(&[("digit_action_set_realm", "one,peer")]), "two");
    assert_eq!(with(&[("clear_digit_action", "two")]), "");
    assert_eq!(with(&[("clear_digit_action", "all")]), "");
    assert_eq!(with(&[("clear_digit_action", "all,peer")]), "two");
    assert_eq!(with(&[("clear_digit_action", "two"), ("digit_action_set_realm", "one")]), "one");
}

/// One of two (the one named first) calls a third beside its call with the other; then something happens. Who has not
/// hung up by itself until then is hung up by the last: the ends of presser, other and third.
fn attended(presser: usize, keys: &str, set: &[(&'static str, &str)], acts: [Acts; 3]) -> ([End; 3], Left) {
    let [mine, others, third] = acts;
    let (listen, other) = if presser == A { ("a", B) } else { ("b", A) };
    let bound = format!("4 {listen} s att_xfer::user/1006@office.test");
    let mut actions = set.to_vec();
    actions.push(("bind_meta_app", &bound));
    let keys = presses(1000, keys).into_iter().chain(mine).collect();
    let (a, b) = if presser == A { (keys, others) } else { (others, keys) };
    let left = plays(&actions, "", a, b, third);
    let end = |phone| *left.ends.get(&phone).unwrap_or_else(|| panic!("{phone} has no end: {:?}", left.ends));
    ([end(presser), end(other), end(C)], left)
}

fn both(test: impl Fn(usize)) {
    for presser in [A, B] {
        test(presser);
    }
}

const NOT: Acts = Acts::new();

#[test]
fn a_talk_with_a_third_and_then_it_is_left_the_call() {
    both(|presser| {
        // by hanging up
        let acts = [hangs_up(8_000, NOT), hangs_up(15_000, NOT), NOT];
        let (ends, left) = attended(presser, "*4", &[], acts);
        assert_eq!(ends, [End::HungUp, End::HungUp, End::Byed], "from {presser}");
        assert_eq!(left.variable("c", "att_xfer_result"), "success");
        // by key
        let (ends, _) = attended(presser, "*4     *", &[], [NOT, hangs_up(15_000, NOT), NOT]);
        assert_eq!(ends, [End::Byed, End::HungUp, End::Byed], "from {presser}");
        // by another key
        let key = [("set", "attxfer_hangup_key=7")];
        let key: &[_] = if presser == A { &key } else { &[("export", "attxfer_hangup_key=7")] };
        let (ends, _) = attended(presser, "*4     *7", key, [NOT, hangs_up(15_000, NOT), NOT]);
        assert_eq!(ends, [End::Byed, End::HungUp, End::Byed], "from {presser}");
    });
}

#[test]
fn a_talk_with_a_third_and_back() {
    both(|presser| {
        // by key
        let acts = [hangs_up(15_000, NOT), NOT, NOT];
        let (ends, left) = attended(presser, "*4     #", &[], acts.clone());
        assert_eq!(ends, [End::HungUp, End::Byed, End::Byed], "from {presser}");
        let leg = if presser == A { "a" } else { "b" };
        assert_eq!(left.variable(leg, "att_xfer_result"), "success");
        assert_eq!(left.variable(leg, "soft_holding_uuid"), "");
        // the third hangs up; and three cannot talk yet
        let acts = [hangs_up(15_000, NOT), NOT, hangs_up(5_000, NOT)];
        let (ends, _) = attended(presser, "*4     0", &[], acts);
        assert_eq!(ends, [End::HungUp, End::Byed, End::HungUp], "from {presser}");
        // again and again
        let (ends, _) = attended(presser, "*4   #  *4   #", &[], acts_of_two());
        assert_eq!(ends, [End::HungUp, End::Byed, End::Byed], "from {presser}");
    });
}

fn acts_of_two() -> [Acts; 3] {
    [hangs_up(20_000, NOT), NOT, NOT]
}

#[test]
fn a_third_that_rings() {
    let late = vec![(When::Begun(ms(10)), Act::Ring), (When::Begun(ms(6_000)), Act::Answer)];
    both(|presser| {
        // is left the call
        let acts = [hangs_up(4_000, NOT), hangs_up(15_000, NOT), late.clone()];
        let (ends, _) = attended(presser, "*4", &[], acts);
        assert_eq!(ends, [End::HungUp, End::HungUp, End::Byed], "from {presser}");
        // is not waited for
        let key = [(if presser == A { "set" } else { "export" }, "origination_cancel_key=#")];
        let acts = [hangs_up(15_000, NOT), NOT, late.clone()];
        let (ends, left) = attended(presser, "*4 #", &key, acts);
        assert_eq!(ends, [End::HungUp, End::Byed, End::Cancelled], "from {presser}");
        let leg = if presser == A { "a" } else { "b" };
        assert_eq!(left.variable(leg, "att_xfer_result"), "");
        // refuses
        let refuses = vec![(When::Begun(ms(2_000)), Act::Refuse(486))];
        let (ends, _) = attended(presser, "*4", &[], [hangs_up(15_000, NOT), NOT, refuses]);
        assert_eq!(ends, [End::HungUp, End::Byed, End::Refused], "from {presser}");
    });
}

#[test]
fn the_other_goes_while_a_third_is_talked_to() {
    both(|presser| {
        let acts = [hangs_up(15_000, NOT), hangs_up(6_000, NOT), NOT];
        let (ends, _) = attended(presser, "*4", &[], acts);
        assert_eq!(ends, [End::HungUp, End::HungUp, End::Byed], "from {presser}");
        let acts = [NOT, hangs_up(6_000, NOT), hangs_up(8_000, NOT)];
        let (ends, left) = attended(presser, "*4", &[], acts);
        assert_eq!(ends, [End::Byed, End::HungUp, End::HungUp], "from {presser}");
        let leg = if presser == A { "a" } else { "b" };
        assert_eq!(left.variable(leg, "att_xfer_result"), "failure");
    });
}
