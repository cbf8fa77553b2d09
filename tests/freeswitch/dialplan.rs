//! The rules of the hunt, on small dialplans.

use tandem::config::{self, Options};
use tandem::dialplan::{Applications, Dialplan, Hunt, words};

use crate::switch::{Channel, Switch};

/// What a call to `destination` gets from the extensions in `xml`: `app(data)` with the data expanded.
fn hunted(xml: &str, destination: &str, prepare: impl Fn(&mut Channel<'_>)) -> String {
    let switch = Switch::parse(&format!(
        "<section name=\"dialplan\">\n<context name=\"default\">\n{xml}\n</context>\n</section>"
    ));
    let mut channel = Channel::new(&switch, destination);
    prepare(&mut channel);
    match switch.plan.hunt("default", destination, &mut channel) {
        Hunt::Route(route) => {
            let list: Vec<String> = route
                .actions
                .iter()
                .map(|action| format!("{}({})", action.application, action.data.expand(&channel).text))
                .collect();
            let invalid = route.invalid_application.map(|name| format!("!{name} ")).unwrap_or_default();
            format!("{invalid}[{}] {}", route.extension, list.join(" "))
        }
        Hunt::NoRoute => "no route".to_owned(),
        Hunt::NoContext => "no context".to_owned(),
    }
}

/// `<extension name="NAME" ATTRIBUTES>BODY</extension>`
fn extension(name: &str, attributes: &str, body: &str) -> String {
    format!("<extension name=\"{name}\" {attributes}>{body}</extension>\n")
}

const A: &str = "<action application=\"log\" data=\"a\"/>";
const B: &str = "<action application=\"log\" data=\"b\"/>";
const ANTI: &str = "<anti-action application=\"log\" data=\"anti\"/>";

fn check(table: &[(&str, String, &str)]) {
    for (what, xml, expected) in table {
        assert_eq!(hunted(xml, "1000", |_| {}).trim(), *expected, "{what}\n{xml}");
    }
}

#[test]
fn conditions() {
    let yes = "<condition field=\"destination_number\" expression=\"^1000$\"";
    let no = "<condition field=\"destination_number\" expression=\"^2000$\"";
    let last = extension("last", "", &format!("<condition>{B}</condition>"));
    check(&[
        ("a passing condition", extension("x", "", &format!("{yes}>{A}</condition>")), "[x] log(a)"),
        ("a failing one", extension("x", "", &format!("{no}>{A}</condition>")), "no route"),
        ("without attributes", extension("x", "", &format!("<condition>{A}</condition>")), "[x] log(a)"),
        (
            "queued actions stay when a later condition fails",
            extension("x", "", &format!("{yes}>{A}</condition>{no}/>")) + &last,
            "[x] log(a) log(b)",
        ),
        (
            "the first extension ends the hunt",
            extension("x", "", &format!("{yes}>{A}</condition>")) + &last,
            "[x] log(a)",
        ),
        (
            "unless it continues",
            extension("x", "continue=\"true\"", &format!("{yes}>{A}</condition>")) + &last,
            "[x] log(a) log(b)",
        ),
        (
            "an anti-action is a match",
            extension("x", "", &format!("{no}>{ANTI}</condition>")) + &last,
            "[x] log(anti)",
        ),
        (
            "break=never goes on, and the last result counts",
            extension("x", "", &format!("{no} break=\"never\"/>{yes}>{A}</condition>")) + &last,
            "[x] log(a)",
        ),
        (
            "a failing last one with break=never does not stop the hunt",
            extension("x", "", &format!("{yes}>{A}</condition>{no} break=\"never\"/>")) + &last,
            "[x] log(a) log(b)",
        ),
        (
            "break=on-true stops and proceeds",
            extension("x", "", &format!("{yes} break=\"on-true\">{A}</condition>{yes}>{B}</condition>"))
                + &last,
            "[x] log(a)",
        ),
        (
            "break=on-true goes on after a failure",
            extension("x", "", &format!("{no} break=\"on-true\"/>{yes}>{A}</condition>")),
            "[x] log(a)",
        ),
        (
            "break=always after a failure",
            extension("x", "", &format!("{no} break=\"always\"/>{yes}>{A}</condition>")) + &last,
            "[last] log(b)",
        ),
        (
            "the expression as a child",
            extension(
                "x",
                "",
                &format!(
                    "<condition field=\"destination_number\"><expression><![CDATA[^1\\d+$]]></expression>{A}</condition>"
                ),
            ),
            "[x] log(a)",
        ),
        (
            "a field name is never a variable",
            extension("x", "", &format!("<condition field=\"planet\" expression=\"^$\">{A}</condition>")),
            "[x] log(a)",
        ),
        (
            "an expression made of variables",
            extension(
                "x",
                "",
                &format!(
                    "<condition field=\"destination_number\" expression=\"^${{destination_number}}$\">{A}</condition>"
                ),
            ),
            "[x] log(a)",
        ),
        ("no condition, no match", extension("x", "", A) + &last, "[last] log(b)"),
        (
            "only inline actions is a route too",
            extension(
                "x",
                "",
                "<condition><action application=\"set\" data=\"a=b\" inline=\"true\"/></condition>",
            ),
            "[x]",
        ),
    ]);
}

#[test]
fn captures() {
    let number = "field=\"destination_number\"";
    let log = |data: &str| format!("<action application=\"log\" data=\"{data}\"/>");
    check(&[
        (
            "in actions",
            extension(
                "x",
                "",
                &format!(
                    "<condition {number} expression=\"^(1)(\\d+)$\">{}</condition>",
                    log("$2-$1-${1}0-$0-$3")
                ),
            ),
            "[x] log(000-1-10-1000-)",
        ),
        (
            "only with a group",
            extension(
                "x",
                "",
                &format!("<condition {number} expression=\"^1\\d+$\">{}</condition>", log("$0")),
            ),
            "[x] log($0)",
        ),
        (
            "only in their own condition",
            extension(
                "x",
                "",
                &format!(
                    "<condition {number} expression=\"^(1)\"/><condition>{}</condition>",
                    log("$1 ${DP_MATCH[1]}${DP_MATCH[0]}")
                ),
            ),
            "[x] log($1 11)",
        ),
        (
            "not in anti-actions",
            extension(
                "x",
                "",
                &format!(
                    "<condition {number} expression=\"^(2)\"><anti-action application=\"log\" data=\"$1\"/></condition>"
                ),
            ),
            "[x] log($1)",
        ),
        (
            "in the text of an action",
            extension(
                "x",
                "",
                &format!(
                    "<condition {number} expression=\"^(1)\"><action application=\"log\">t$1</action></condition>"
                ),
            ),
            "[x] log(t1)",
        ),
    ]);
    let xml = extension(
        "x",
        "",
        &format!("<condition {number} expression=\"^(.*)$\">{}</condition>", log("$1|${toupper($1)}|$$1")),
    );
    let seen = hunted(&xml, "a${toupper(b)}\\'$x{", |_| {});
    assert_eq!(seen, "[x] log(a${toupper(b)}\\'$x{|A${TOUPPER(B)}\\'$X{|$a${toupper(b)}\\'$x{)");
}

#[test]
fn several_expressions() {
    let regex = |e: &str| format!("<regex field=\"destination_number\" expression=\"{e}\"/>");
    let rule = |kind: &str, regexes: &[&str], body: &str| {
        let regexes: String = regexes.iter().map(|e| regex(e)).collect();
        extension("x", "", &format!("<condition regex=\"{kind}\">{regexes}{body}</condition>"))
    };
    let both = format!("{A}{ANTI}");
    let captures = "<action application=\"log\" data=\"$1 ${DP_REGEX_MATCH_1[1]}${DP_REGEX_MATCH_2[1]}\"/>";
    check(&[
        ("all, all pass", rule("all", &["^1", "0$"], &both), "[x] log(a)"),
        ("all, one fails", rule("all", &["^1", "1$"], &both), "[x] log(anti)"),
        ("any, one passes", rule("any", &["^2", "^1"], &both), "[x] log(a)"),
        ("any, none passes", rule("any", &["^2", "^3"], &both), "[x] log(anti)"),
        ("xor, exactly one", rule("xor", &["^2", "^1"], &both), "[x] log(a)"),
        ("xor, two", rule("xor", &["^1", "0$"], &both), "[x] log(anti)"),
        (
            "captures of the last with a group",
            rule("all", &["^(1)", "(0)$", "^1"], captures),
            "[x] log(0 10)",
        ),
        ("captures of the one that passes", rule("any", &["^(2)", "^(10)"], captures), "[x] log(10 10)"),
    ]);
}

#[test]
fn nested_conditions() {
    let yes = "<condition field=\"destination_number\" expression=\"^1000$\"";
    let no = "<condition field=\"destination_number\" expression=\"^2000$\"";
    let last = extension("last", "", &format!("<condition>{B}</condition>"));
    check(&[
        (
            "after the parent's actions",
            extension("x", "", &format!("{yes}>{A}{yes}>{B}</condition></condition>")),
            "[x] log(a) log(b)",
        ),
        (
            "not when the parent fails",
            extension("x", "", &format!("{no}>{yes}>{B}</condition></condition>")),
            "no route",
        ),
        (
            "a failing one fails the extension",
            extension("x", "", &format!("{yes}>{A}{no}/></condition>")) + &last,
            "[x] log(a) log(b)",
        ),
        (
            "unless it is not required",
            extension("x", "", &format!("{yes} require-nested=\"false\">{A}{no}/></condition>")) + &last,
            "[x] log(a)",
        ),
        (
            "a break keeps from it",
            extension("x", "", &format!("{yes} break=\"on-true\">{A}{yes}>{B}</condition></condition>")),
            "[x] log(a)",
        ),
    ]);
}

#[test]
fn inline_actions() {
    let set =
        |inline: &str| format!("<condition><action application=\"set\" data=\"v=1\" {inline}/></condition>");
    let test = format!("<condition field=\"${{v}}\" expression=\"^1$\">{A}</condition>");
    check(&[
        ("seen by later conditions", extension("x", "", &(set("inline=\"true\"") + &test)), "[x] log(a)"),
        ("queued ones are not", extension("x", "", &(set("") + &test)), "[x] set(v=1)"),
        (
            "refused for others",
            extension(
                "x",
                "",
                "<condition><action application=\"sleep\" data=\"1\" inline=\"true\"/></condition>",
            ),
            "[x]",
        ),
        (
            "unknown ones are told",
            extension("x", "", "<condition><action application=\"nosuch\" inline=\"true\"/></condition>"),
            "!nosuch [x]",
        ),
        (
            "loop",
            extension("x", "", "<condition><action application=\"log\" data=\"a\" loop=\"3\"/></condition>"),
            "[x] log(a) log(a) log(a)",
        ),
    ]);
}

#[test]
fn time_and_field_in_one_condition() {
    let last = extension("last", "", &format!("<condition>{B}</condition>"));
    let at = |time: &str, number: &str| {
        extension(
            "x",
            "",
            &format!(
                "<condition {time} field=\"destination_number\" expression=\"{number}\">{A}</condition>"
            ),
        )
    };
    check(&[
        ("in time", extension("x", "", &format!("<condition year=\"2026\">{A}</condition>")), "[x] log(a)"),
        ("out of time", extension("x", "", &format!("<condition year=\"2020\">{A}</condition>")), "no route"),
        ("the field overrides a failed time", at("year=\"2020\"", "^1000$") + &last, "[x] log(a)"),
        (
            "time passes, field fails: queued, yet no match",
            at("year=\"2026\"", "^2000$") + &last,
            "[x] log(a) log(b)",
        ),
    ]);
    let evening = extension("x", "", &format!("<condition hour=\"22\">{A}</condition>"));
    assert_eq!(hunted(&evening, "1", |_| {}), "no route", "20:30 UTC");
    for (name, value) in [("tod_tz_offset", "2"), ("timezone", "Europe/Warsaw")] {
        assert_eq!(hunted(&evening, "1", |c| c.put(name, value)), "[x] log(a)", "{name}={value}");
    }
}

#[test]
fn contexts() {
    let xml = "<section name=\"dialplan\">
        <context name=\"Default\"><extension name=\"one\"><condition><action application=\"log\" data=\"1\"/></condition></extension>
        <extension name=\"two\"><condition><action application=\"log\" data=\"2\"/></condition></extension></context>
        <context name=\"default\"><extension name=\"dup\"><condition><action application=\"log\"/></condition></extension></context>
        <context name=\"global\"><extension name=\"g\"><condition><action application=\"log\"/></condition></extension></context></section>";
    let switch = Switch::parse(xml);
    let hunt = |context: &str, destination: &str, auto: bool| {
        let mut channel = Channel::new(&switch, destination);
        if auto {
            channel.put("auto_hunt", "true");
        }
        match switch.plan.hunt(context, destination, &mut channel) {
            Hunt::Route(route) => format!("{}->{}", route.context, route.extension),
            other => format!("{other:?}"),
        }
    };
    assert_eq!(hunt("DEFAULT", "x", false), "Default->one");
    assert_eq!(hunt("", "x", false), "Default->one");
    assert_eq!(hunt("nowhere", "x", false), "global->g");
    assert_eq!(hunt("default", "TWO", true), "Default->two");
    assert_eq!(hunt("default", "none", true), "Default->one");
    let empty = Switch::parse("<section name=\"dialplan\"/>");
    assert!(matches!(empty.plan.hunt("default", "1", &mut Channel::new(&empty, "1")), Hunt::NoContext));
}

#[test]
fn the_account_reads_like_freeswitch() {
    let xml = extension(
        "x",
        "continue=\"true\"",
        "<condition field=\"destination_number\" expression=\"^(1)\" break=\"never\"><action application=\"log\" data=\"$1\"/>\
         <condition field=\"${v}\" expression=\"^${v}$\"><action application=\"set\" data=\"a=b\" inline=\"true\"/></condition></condition>\
         <condition wday=\"2-5\"/><condition/>",
    );
    let switch = Switch::parse(&format!(
        "<section name=\"dialplan\"><context name=\"default\">{xml}</context></section>"
    ));
    let mut channel = Channel::new(&switch, "1000");
    channel.put("v", "w");
    switch.plan.hunt("default", "1000", &mut channel);
    assert_eq!(
        channel.account.borrow().join("\n"),
        "Dialplan: CHANNEL parsing [default->x] continue=true\n\
         Dialplan: CHANNEL Regex (PASS) [x] destination_number(1000) =~ /^(1)/ break=never\n\
         Dialplan: CHANNEL Action log(1) \n\
         |--- Dialplan: Processing recursive conditions level:1 [x_recur_1] require-nested=TRUE\n\
         |--- Dialplan: CHANNEL Regex (PASS) [x_recur_1] ${v}(w) =~ /^w$/ break=on-false\n\
         |--- Dialplan: CHANNEL Action set(a=b) INLINE\n\
         Dialplan: CHANNEL Date/TimeMatch (FAIL) [x] break=on-false"
    );
}

#[test]
fn a_catastrophic_expression_counts_as_failed() {
    let xml = extension(
        "x",
        "",
        &format!("<condition field=\"destination_number\" expression=\"^(?=a)((a+)+)\\2b$\">{A}</condition>"),
    );
    assert_eq!(hunted(&xml, &"a".repeat(60), |_| {}), "no route");
    let made = extension(
        "x",
        "",
        &format!("<condition field=\"destination_number\" expression=\"${{evil}}\">{A}</condition>"),
    );
    assert_eq!(hunted(&made, &"a".repeat(60), |c| c.put("evil", "(?=a)((a+)+)\\\\2b$")), "no route");
    assert_eq!(hunted(&made, "a", |c| c.put("evil", "(((")), "no route");
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let provided: Vec<&str> = vec!["set", "log", "bridge", "answer"];
    let compile = |body: &str| {
        let text = format!(
            "<document>\n<section name=\"dialplan\">\n<context name=\"c\">\n{body}\n</context>\n</section>\n</document>"
        );
        let loaded = config::parse("d.xml", &text, &Options::new("/nowhere"));
        let section = config::section(&loaded.root, "dialplan").unwrap();
        let (_, problems) =
            Dialplan::compile(section, Applications { provided: &provided, ..Applications::default() });
        problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    let field = "field=\"destination_number\"";
    for (body, parts) in [
        (format!("<extension name=\"x\"><condition {field} expression=\"^(1\">{A}</condition></extension>"), vec!["d.xml:4:", "^(1 is no regular expression", "never matches"]),
        (format!("<extension name=\"x\"><condition {field}>{A}</condition></extension>"), vec!["d.xml:4:", "<condition> has no expression", "add expression="]),
        (format!("<extension name=\"x\"><condition expression=\"^1\">{A}</condition></extension>"), vec!["warning: <condition> has an expression but no field"]),
        ("<extension name=\"x\"><condition><action application=\"brigde\"/></condition></extension>".into(), vec!["there is no application brigde", "did you mean bridge?"]),
        ("<extension name=\"x\"><condition><action application=\"voicemail\"/><action application=\"voicemail\"/></condition></extension>".into(), vec!["application voicemail is not provided yet (used here and 1 times more)"]),
        ("<extension name=\"x\"><condition><action data=\"x\"/></condition></extension>".into(), vec!["<action> has no application"]),
        ("<extension name=\"x\"><condition><action application=\"answer\" inline=\"true\"/></condition></extension>".into(), vec!["answer cannot run inline"]),
        (format!("<extension name=\"x\"><condition field=\"destination\" expression=\"^1\">{A}</condition></extension>"), vec!["destination is no field of the caller profile", "field=\"${destination}\""]),
        (format!("<extension name=\"x\"><condition field=\"destination_numbr\" expression=\"^1\">{A}</condition></extension>"), vec!["did you mean destination_number?"]),
        (format!("<extension name=\"x\">{A}</extension>"), vec!["<action> outside a <condition>", "has no <condition>"]),
        (format!("<extension name=\"x\"><condition break=\"onfalse\">{A}</condition></extension>"), vec!["break=\"onfalse\" is taken for on-false"]),
        (format!("<extension name=\"x\"><condition regex=\"every\"><regex {field} expression=\"^1\"/>{A}</condition></extension>"), vec!["regex=\"every\" is taken for any"]),
        (format!("<extension name=\"x\"><condition><regex {field} expression=\"^1\"/>{A}</condition></extension>"), vec!["<regex> is ignored"]),
        (format!("<extension name=\"x\"><condition hour=\"9 to 5\">{A}</condition></extension>"), vec!["hour=\"9 to 5\" can never match"]),
        ("<extension name=\"x\"><condition><action application=\"log\" loop=\"many\"/></condition></extension>".into(), vec!["the action never runs"]),
        (
            format!("<extension name=\"all\"><condition>{A}</condition></extension>\n<extension name=\"late\"><condition>{A}</condition></extension>"),
            vec!["d.xml:5:1: note: no call gets to extension late: all before it takes all", "d.xml:4:1"],
        ),
        (format!("</context>\n<context name=\"C\"><extension name=\"x\"><condition>{A}</condition></extension>"), vec!["context C is defined twice", "d.xml:3:1"]),
        ("<extension name=\"x\"><condition><action application=\"set\" data=\"bypass_media_resume_on_hold=true\"/></condition></extension>".into(), vec!["d.xml:4:", "warning: bypass_media_resume_on_hold is not provided yet: hold goes to the other phone"]),
        ("</context>\n<context>".into(), vec!["<context> has no name"]),
    ] {
        let told = compile(&body);
        for part in parts {
            assert!(told.contains(part), "{part:?} is missing in\n{told}\nof\n{body}");
        }
    }
    let refused = Applications {
        provided: &["mkdir"],
        refused: &[("mkdir", "a dialplan makes no folders")],
        ..Applications::default()
    };
    let text = "<section name=\"dialplan\"><context name=\"c\"><extension name=\"x\"><condition>\n\
                <action application=\"mkdir\" data=\"/tmp\"/></condition></extension></context></section>";
    let loaded = config::parse("d.xml", &format!("<document>{text}</document>"), &Options::new("/nowhere"));
    let (_, problems) = Dialplan::compile(config::section(&loaded.root, "dialplan").unwrap(), refused);
    let told = problems.iter().map(ToString::to_string).collect::<String>();
    assert!(
        told.contains("d.xml:2:") && told.contains("mkdir is refused: a dialplan makes no folders"),
        "{told}"
    );
    let fine = format!(
        "<extension name=\"x\"><condition {field} expression=\"^(?!6000)60\\d\\d$\">{A}</condition></extension>"
    );
    assert_eq!(compile(&fine), "");
    let off = "<extension name=\"x\"><condition><action application=\"set\" data=\"bypass_media_resume_on_hold=false\"/>\
               <action application=\"set\" data=\"bypass_media=true\"/></condition></extension>";
    assert_eq!(compile(off), "");
    assert!(words::freeswitch_applications().all(|name| !name.is_empty()));
}
