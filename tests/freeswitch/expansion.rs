//! Expansion and functions.

use proptest::prelude::*;
use serde_json::Value;
use tandem::api;
use tandem::dialplan::{Caller, Pattern, Scope, Template, expand, expand_marked};

use crate::switch::{Channel, Switch, execute};
use crate::{fixture, rows, text};

/// The channel the recorded rows were asked on.
fn channel(switch: &Switch) -> Channel<'_> {
    let mut channel = Channel::new(switch, "1000");
    for (name, value) in [
        ("va", "alpha"),
        ("vn", "12345"),
        ("vs", "hello world"),
        ("vc", "a,b,c"),
        ("path", "/x/y"),
        ("num", "+15551234567"),
        ("nest", "va"),
        ("uri", "sip:1000@h"),
        ("tick", "x"),
    ] {
        channel.put(name, value);
    }
    channel
}

#[test]
fn recorded_answers() {
    let switch = Switch::parse("");
    let mut wrong = Vec::new();
    for row in rows(&fixture("functions.jsonl")) {
        let (ask, answer) = (text(&row, "ask"), text(&row, "answer"));
        let seen = if row.get("set").is_some_and(|v| *v == Value::Bool(true)) {
            let mut channel = channel(&switch);
            let done = Template::new(format!("esr={ask}")).expand(&channel);
            execute(&mut channel, "set", &done);
            channel.variable("esr").map(|v| v.text.into_owned()).unwrap_or_default()
        } else {
            match api::command(&switch, ask) {
                empty if empty.is_empty() => "-ERR no reply\n".to_owned(),
                seen => seen,
            }
        };
        if seen != answer {
            wrong.push(format!("{ask}: {answer:?} expected, {seen:?} seen"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn rules_of_the_scan() {
    let switch = Switch::parse("");
    switch.globals.set("planet", "earth");
    let mut channel = channel(&switch);
    channel.put("list", "ARRAY::a|:b|:c");
    channel.put("one", "ARRAY::solo");
    channel.put("indirect", "<${va}>");
    channel.put("loop", "${loop}");
    channel.put("żółw", "turtle");
    channel.put("name", "Żółw Ninja");
    for (ask, answer) in [
        ("plain", "plain"),
        ("${va}-${VA}", "alpha-alpha"),
        ("${planet} $${planet}", "earth earth"),
        ("${destination_number}", "1000"),
        ("[${unknown}]", "[]"),
        ("${vs:6}", "world"),
        ("${vs:0:5}", "hello"),
        ("${vs:-5}", "world"),
        ("${vs:-5:2}", "wo"),
        ("${vs:99}", ""),
        ("${vs:-99}", "hello world"),
        ("${vs:2:-3}", "llo world"),
        ("${name:0:4}", "Żółw"),
        ("${żółw}", "turtle"),
        ("${list}", "ARRAY::a|:b|:c"),
        ("${list[1]}${list[0]}", "ba"),
        ("${list[3]}${list[-1]}", "ARRAY::a|:b|:c"),
        ("${one} ${one[0]} ${va[0]}", "solo solo "),
        ("${indirect}", "<alpha>"),
        ("${${nest}}", "alpha"),
        ("${nest:0:2}", "va"),
        ("\\${va}", "${va}"),
        ("\\$${va}", "${va}"),
        ("a\\\\b", "a\\b"),
        ("it\\'s ${va}", "its alpha"),
        ("${va}\\${vn}", "alpha\\12345"),
        ("cost: $5 and 5$", "cost: $5 and 5$"),
        ("$$x ${va}", "$x alpha"),
        ("${va", "alpha"),
        ("${}", ""),
        ("${toupper(${va})}", "ALPHA"),
        ("${toupper ${va}}", "ALPHA"),
        ("${toupper(a(b)c)d}", "A(B)C"),
        ("${nofunction(x)}!", "!"),
        ("${cond(${vn} > 5 ? more : less)}", "more"),
        ("${regex(${uri}|^sip:(.+)@(.+)$|%2/%1)}", "h/1000"),
    ] {
        assert_eq!(expand(ask, &channel), answer, "{ask}");
    }
    assert_eq!(expand("${loop}", &channel), "${loop}", "a hundred levels, then as it stands");
}

#[test]
fn text_from_the_wire_is_data() {
    let switch = Switch::parse("");
    let mut channel = channel(&switch);
    channel.set("evil", "${va}", true);
    channel.set("half", "$", true);
    channel.set("brace", "{va}", true);
    channel.profile.insert("caller_id_name", "${toupper(x)}".to_owned());
    for (ask, answer, wire) in [
        ("${evil}", "${va}", true),
        ("${caller_id_name}", "${toupper(x)}", true),
        ("${half}${brace}", "${va}", true),
        ("${toupper(${evil})}", "${VA}", true),
        ("${va}", "alpha", false),
        ("${destination_number}", "1000", false),
    ] {
        let done = expand_marked(ask, &channel);
        assert_eq!((done.text.as_str(), done.wire), (answer, wire), "{ask}");
    }
    let done = Template::new("copy=${evil}").expand(&channel);
    execute(&mut channel, "set", &done);
    assert_eq!(expand("${copy}", &channel), "${va}", "the mark follows the text");
}

/// A slash that a caller wrote is no separator of `hash` and `db`, on whatever way it comes there; in a value it is a
/// character like any other.
#[test]
fn a_slash_from_the_wire_separates_no_fields() {
    let switch = Switch::parse("");
    let mut channel = channel(&switch);
    channel.set("caller", "1/victim/x", true);
    channel.set("quote", "'", true);
    let done = Template::new("copy=${caller}").expand(&channel);
    execute(&mut channel, "set", &done);
    for store in ["hash", "db"] {
        for written in ["${caller}", "${copy}", "${caller:0}", "${toupper(${caller})}"] {
            let key = Template::new(written).expand(&channel).text;
            for insert in [
                format!("insert/realm/{written}/good/${{caller}}"),
                format!("insert/realm/{written}/good/${{quote}}"),
            ] {
                let asked = expand(&format!("${{{store}({insert})}}"), &channel);
                assert_eq!(asked.trim(), "+OK", "{store} {insert}");
                let data = Template::new(&*insert).expand(&channel);
                assert_eq!(data.fields().split('/').count(), insert.split('/').count(), "{insert}");
                assert_eq!(
                    api::call(&switch, store, data.fields(), false).map(|v| v.text.trim() == "+OK"),
                    Some(true)
                );
            }
            let held = Template::new(format!("${{{store}(select/realm/{written})}}")).expand(&channel);
            assert_eq!(held.text, "good/'", "{store} {key}");
            assert_eq!(
                api::command(&switch, &format!("{store} select/realm/1")),
                "",
                "{store}: nobody else's key"
            );
        }
        let held =
            Template::new(format!("${{{store}(insert/realm/v/sofia/x/${{caller}})}}")).expand(&channel);
        assert_eq!(held.text.trim(), "+OK");
        let dial = Template::new(format!("${{{store}(select/realm/v)}}")).expand(&channel);
        assert_eq!(dial.guarded(), "sofia/x/1/victim/x", "what is dialled has its slashes");
    }
    for given in ["group/${caller}", "user/${copy}"] {
        let done = Template::new(given).expand(&channel);
        assert!(done.guarded().ends_with("/1/victim/x"), "{given}: {}", done.guarded());
    }
}

/// What `system` goes by: syntax that a caller wrote is told from what the dialplan wrote.
#[test]
fn syntax_from_the_wire_is_known() {
    let switch = Switch::parse("");
    let mut channel = channel(&switch);
    channel.set("word", "1000", true);
    for (wire, ask, expected) in [
        ("1000", "notify ${word}; true | cat", false),
        ("Żółw", "notify ${wire}", false),
        ("1000;reboot", "notify ${wire}", true),
        ("`id`", "notify '${wire}'", true),
        ("a\nb", "notify ${wire}", true),
        ("*", "notify ${toupper(${wire})}", true),
        ("$x", "notify ${url_encode(${wire})}", true),
        ("a b", "notify ${hash(select/none/none)} ${word}", false),
    ] {
        channel.set("wire", wire, true);
        let done = Template::new(ask).expand(&channel);
        assert_eq!(done.has_syntax_from_wire(), expected, "{ask} with {wire}");
    }
    for c in " \t\n\r;&|<>()$`\\\"'*?[]#~!{}".chars() {
        channel.set("wire", &format!("a{c}b"), true);
        assert!(Template::new("x ${wire}").expand(&channel).has_syntax_from_wire(), "{c:?}");
    }
}

#[test]
fn the_work_is_bounded() {
    let switch = Switch::parse("");
    let mut channel = Channel::new(&switch, "");
    channel.put("a0", &"x".repeat(1000));
    for n in 1..40 {
        channel.put(&format!("a{n}"), &format!("${{a{}}}${{a{}}}", n - 1, n - 1));
    }
    assert!(expand("${a39}", &channel).len() <= 1 << 20);
    switch.globals.set("me", "${eval(${me})}${eval(${me})}");
    assert!(expand("${me}", &channel).len() < 1 << 20);
    let deep = "${toupper(".repeat(5000);
    expand(&deep, &channel);
    assert!(!api::command(&switch, &format!("expr {}1", "(".repeat(900))).is_empty());
    assert_eq!(api::command(&switch, "expr for(i=0,1,i=i+1,i)"), "!err!");
}

#[test]
fn functions() {
    let switch = Switch::parse("");
    switch.now.set("2024-07-03T09:46:40Z".parse().unwrap());
    for (ask, answer) in [
        ("bogus x", "-ERR bogus Command not found!\n"),
        ("expr 2^3^2", "64"),
        ("expr -2^2", "4"),
        ("expr 7-2-1", "4"),
        ("expr x=4;x*x", "16"),
        ("expr 1/0", "!err!"),
        ("expr sqrt(-1)", "!err!"),
        ("expr mod(7,4)|2", "2"),
        ("expr 1 2", "!err!"),
        ("expr", "!err!"),
        ("expr 0.1+0.2", "0.3"),
        ("expr poly(2,1,0,3)", "7"),
        ("expr if(0,1,2)+max(1,5,3)", "7"),
        ("cond 'a b' == 'a b' ? x : y", "x"),
        ("cond abc > 2 ? x : y", "x"),
        ("cond a == 1 ? x : y", "x"),
        ("cond 007 == 7 ? x : y", "x"),
        ("cond 1 != 1 ? x", ""),
        ("cond 1 = 1 ? x : y", "-ERR"),
        ("cond", "-ERR"),
        ("strftime %Y-%m-%d %H:%M:%S", "2024-07-03 09:46:40"),
        ("strftime", "2024-07-03 09:46:40"),
        ("strftime 0| %F", ""),
        ("strftime 0| %Y-%j", "1970-001"),
        ("strftime %a %A %b %B %C %d %D", "Wed Wednesday Jul July 20 03 07/03/24"),
        ("strftime %e|%I", "I"),
        ("strftime %I %j %p %r %U %w %W %y %z %Z%%", "09 185 AM 09:46:40 AM 26 3 27 24 +0000 UTC%"),
        ("strftime %q", ""),
        ("strftime_tz UTC 1720000000|%s", "1720000000"),
        ("strftime_tz UTC %G-W%V-%u", "2024-W27-3"),
        ("strepoch", "1720000000"),
        ("strepoch 2024-07-03 09:46:40", "1720000000"),
        ("strepoch nonsense", "0"),
        ("url_encode ą/b", "%C4%85/b"),
        ("url_encode %41%zz", "%41%25zz"),
        ("url_decode a%2", "a%2"),
        ("md5", "!err!"),
        ("replace a-b-c|-|+", "a+b+c"),
        ("replace m:~a|b~|~+", "a+b"),
        ("replace m:~a|b~|~", "-ERR"),
        ("replace a|b", "-ERR"),
        ("escape a b$", "a\\sb\\$"),
        ("quote_shell_arg it's", "'it'\\''s'"),
        ("coalesce ^^:a", "a"),
        ("coalesce", "-USAGE: [^^<delim>]<value1>,<value2>,...\n"),
        ("tolower ABC", "abc"),
        ("module_exists mod_x", "false"),
        ("create_uuid", "0d4f7d2e-3c5b-4c8e-9a7e-1f2a3b4c5d6e"),
        ("user_exists id 1000 nowhere", "false"),
        ("domain_exists nowhere", "false"),
        ("user_data 1000@nowhere var x", ""),
        ("group_call sales@nowhere", "error/NO_ROUTE_DESTINATION"),
        ("sofia_contact 1000@nowhere", "error/user_not_registered"),
        ("acl 10.0.0.1 10.0.0.0/8,192.168.0.0/16", "true"),
        ("acl 10.0.0.1 nolist", "false"),
        ("global_setvar x=a b", "+OK"),
        ("global_getvar x", "a b"),
        ("global_setvar x=c=wrong", "+OK"),
        ("global_setvar x=d=a b", "+OK"),
        ("eval ${x}${x}", "dd"),
        ("expand toupper ${x}", "D"),
        ("expand expand toupper ${x}", "D"),
        ("global_setvar", "-USAGE: <var>=<value> [=<value2>]\n"),
        ("regex aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa|^(?=a)((a+)+)\\2b$", "false"),
    ] {
        assert_eq!(api::command(&switch, ask), answer, "{ask}");
    }
}

proptest! {
    #[test]
    fn any_text_expands(text in r"([$]?[{}()\[\]:\\' a-f0-9ż|,-]|[$][{]|toupper|regex|va){0,60}") {
        let switch = Switch::parse("");
        let channel = channel(&switch);
        let done = expand_marked(&text, &channel);
        prop_assert!(done.text.len() <= 1 << 20);
    }

    #[test]
    fn any_command_answers(name in "acl|coalesce|cond|expr|regex|replace|strftime|strftime_tz|strepoch|url_encode|url_decode|user_data|group_call|sofia_contact|eval|expand", arguments in r"[ -~ż]{0,40}") {
        let switch = Switch::parse("");
        api::command(&switch, &format!("{name} {arguments}"));
    }

    #[test]
    fn url_code_comes_back(text in r"[^%\x00]{0,40}") {
        let switch = Switch::parse("");
        let coded = api::call(&switch, "url_encode", &text, false).unwrap().text;
        prop_assert!(coded.is_ascii());
        prop_assert_eq!(api::call(&switch, "url_decode", &coded, false).unwrap().text, text);
    }

    #[test]
    fn any_expression_is_compiled_or_refused(expression in r"[\[\](){}|?*+^$.,\\a-cdwsQE0-9:=!<>'&~_/-]{0,30}") {
        if let Ok(pattern) = Pattern::compile_at_hunt(&expression) {
            let _ = pattern.all_captures("abc 123 [x]");
        }
    }
}
