//! X-PRE-PROCESS as FreeSWITCH has it, quirks and all: what comes out of a text.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tandem::config::{Ask, Options, parse};

/// The value of attribute `v` of the first `<r>`.
fn value(text: &str, options: &Options) -> Option<String> {
    let loaded = parse("t.xml", &format!("<document>\n{text}\n</document>\n"), options);
    loaded.root.child("r").and_then(|r| r.attr("v")).map(str::to_owned)
}

#[test]
fn quirks() {
    let options = Options::new("conf");
    let set = |data: &str| format!("<X-PRE-PROCESS cmd=\"set\" data=\"{data}\"/>\n");
    let r = "<r v=\"$${a}\"/>";
    for (text, expected, why) in [
        (set("a=b") + r, Some("b"), "set and use"),
        (set("a  =  b ") + r, Some("b "), "blanks round = are trimmed, others not"),
        (set("a=b=c") + r, Some("b=c"), "the first = counts"),
        (set("a=b") + &set("a=") + r, Some(""), "an empty value removes"),
        (set("a=b") + &set("a") + r, Some("b"), "no = changes nothing"),
        (r.to_owned() + "\n" + &set("a=b"), Some(""), "order matters"),
        (set("A=b") + r, Some("b"), "names are case-blind"),
        (set("b=x") + &set("a=$${b}y") + r, Some("xy"), "expansion inside directives"),
        (set("b=x") + &set("a=$${b}") + &set("b=y") + r, Some("x"), "a value is fixed when set"),
        (set("a=b") + "<r v=\"${a}\"/>", Some("${a}"), "run-time variables pass through"),
        (set("a=b") + "<r v=\"$$${a}\"/>", Some("$b"), "one dollar more"),
        (set("a=b") + "<r v=\"$${a}$${a}$${none}\"/>", Some("bb"), "several"),
        (set("a=b") + "<r v=\"$${x$${a}}\"/>", Some(""), "braces nest, so the name is odd and unknown"),
        (set("a=b") + "<r v=\"$${a\"/>", Some("$${a"), "unterminated stays"),
        (
            "<!-- <X-PRE-PROCESS cmd=\"set\" data=\"a=b\"/> -->\n".to_owned() + r,
            Some("b"),
            "comments do not protect",
        ),
        ("<!--\n".to_owned() + &set("a=b") + "-->\n" + r, Some("b"), "nor over several lines"),
        ("<XX-PRE-PROCESS cmd=\"set\" data=\"a=b\"/>\n".to_owned() + r, Some(""), "XX- switches off"),
        ("<X-NO-PRE-PROCESS cmd=\"set\" data=\"a=b\"/>\n".to_owned() + r, Some(""), "so does X-NO-"),
        ("<x-pre-process CMD=\"SET\" Data=\"a=b\"/>\n".to_owned() + r, Some("b"), "in any case"),
        (
            "<X-PRE-PROCESS cmd = \"set\" data = \"a=b\" />\n".to_owned() + r,
            Some("b"),
            "blanks round the equals signs",
        ),
        (
            "<X-PRE-PROCESS cmd=\"set\" data=\"a=b\"></X-PRE-PROCESS>\n".to_owned() + r,
            Some("b"),
            "with an end tag",
        ),
        (
            "<X-PRE-PROCESS cmd=\"set\" data=\"a=b\"".to_owned() + "/><r v=\"lost\"/>\n" + r,
            Some("b"),
            "the rest of the line is lost",
        ),
        ("<r v=\"lost\"/>".to_owned() + &set("a=b") + r, Some("b"), "and what was before"),
        (
            "<X-PRE-PROCESS cmd=\"set\"\n data=\"a=b\"/>\n".to_owned() + r,
            Some(""),
            "only one line is looked at",
        ),
        ("<X-PRE-PROCESS data=\"a=b\" cmd=\"set\"/>\n".to_owned() + r, Some(""), "cmd comes first"),
        ("<include><r v=\"lost\"/>\n".to_owned() + r, Some(""), "the line of an <include> is lost"),
        ("<r v=\"lost\"/> </include>\n".to_owned() + r, Some(""), "and of its end"),
        ("<?pi?><r v=\"lost\"/>\n".to_owned() + r, Some(""), "and of a <?"),
        (set("a=b") + "<r v=\"$${a} <include>\"/>", Some("b <include>"), "not seen behind an expansion"),
        ("<!--#set \"a=b\"-->\n".to_owned() + r, Some("b"), "the old form"),
        ("<!--#set a=b-->\n".to_owned() + r, Some("b"), "without quotes"),
        ("<!--#set \"a=b\"--><r v=\"$${a}\"/>\n".to_owned(), Some(""), "expansion comes before the command"),
        (
            "<!--#comment x\n<r v=\"lost\"/>\n--><r v=\"kept\"/>\n".to_owned(),
            Some("kept"),
            "a comment over lines",
        ),
        ("<!--#set \"a=b\"\n more -->\n".to_owned() + r, Some("b"), "a command over lines"),
        ("<r v=\"1\n2\t3\"/>".to_owned(), Some("1 2 3"), "white space in attributes"),
        ("<r v='single \"quotes\"'/>".to_owned(), Some("single \"quotes\""), "either quote"),
        ("<r v=\"&lt;&amp;&#65;&#x42;&quot;&apos;&gt;\"/>".to_owned(), Some("<&AB\"'>"), "entities"),
        ("<r v=\"&unknown;&\"/>".to_owned(), Some("&unknown;&"), "unknown entities stay"),
        ("<r v=\"a<b>c\"/>".to_owned(), Some("a<b>c"), "angle brackets in attributes"),
    ] {
        assert_eq!(value(&text, &options).as_deref(), expected, "{why}:\n{text}");
    }
}

#[test]
fn text_and_cdata() {
    let text = "<document>\n<r> a &lt; <![CDATA[<b> & c]]> d<s/>  </r><t>\n \n</t></document>";
    let loaded = parse("t.xml", text, &Options::new("conf"));
    assert_eq!(loaded.problems, []);
    assert_eq!(loaded.root.child("r").unwrap().text, " a < <b> & c d  ");
    assert_eq!(loaded.root.child("t").unwrap().text, "");
}

#[test]
fn the_command_line_wins() {
    let mut options = Options::new("conf");
    options.set.push(("domain".into(), "cli.example".into()));
    let text = "<X-PRE-PROCESS cmd=\"set\" data=\"Domain=file.example\"/>\n<X-PRE-PROCESS cmd=\"stun-set\" data=\"domain=1.2.3.4\"/>\n\
                <X-PRE-PROCESS cmd=\"set\" data=\"domain=\"/>\n<r v=\"$${domain}\"/>";
    assert_eq!(value(text, &options).as_deref(), Some("cli.example"));
}

#[test]
fn the_environment() {
    let text = "<X-PRE-PROCESS cmd=\"env-set\" data=\"a=$CARGO_PKG_NAME\"/>\n<X-PRE-PROCESS cmd=\"env-set\" data=\"b=$TANDEM_NOT_SET\"/>\n<r v=\"$${a}|$${b}\"/>";
    assert_eq!(value(text, &Options::new("conf")).as_deref(), Some("tandem|"));
}

#[test]
fn commands_run_only_when_allowed() {
    let text = "<X-PRE-PROCESS cmd=\"exec-set\" data=\"a=printf 'x y \\n\\n'\"/>\n<X-PRE-PROCESS cmd=\"exec\" data=\"printf '<r v=\\042%s\\042/\\076' 1\"/>\n<s v=\"$${a}\"/>";
    let mut options = Options::new("conf");
    let whole = format!("<document>\n{text}\n</document>");
    let refused = parse("t.xml", &whole, &options);
    assert_eq!(refused.problems.iter().filter(|p| p.is_error()).count(), 2, "{:?}", refused.problems);
    options.allow_exec = true;
    let loaded = parse("t.xml", &whole, &options);
    assert_eq!(loaded.problems, []);
    assert_eq!(loaded.root.child("s").unwrap().attr("v"), Some("x y"));
    let r = loaded.root.child("r").unwrap();
    assert_eq!((r.attr("v"), r.at.line, r.at.column), (Some("1"), 3, 1));
}

#[test]
fn stun_is_asked_once_for_each_server_and_the_local_address_serves_otherwise() {
    let set = |name: &str, from: &str| format!("<X-PRE-PROCESS cmd=\"stun-set\" data=\"{name}={from}\"/>\n");
    let text = set("plain", "192.0.2.7")
        + &set("name", "pbx.example")
        + &set("s1", "stun:good.example")
        + &set("s2", "stun:good.example")
        + &set("s3", "stun:good.example:99")
        + &set("h", "host:good.example")
        + &set("bad", "stun:bad.example")
        + "<r v=\"$${plain} $${name} $${s1} $${s2} $${s3} $${h} $${bad}\"/>";
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let mut options = Options::new("conf");
    options.local_ip_v4 = Some(IpAddr::from([10, 0, 0, 5]));
    options.lookup = Some(Arc::new(move |ask, _| {
        count.fetch_add(1, Ordering::Relaxed);
        match ask {
            Ask::Stun { host, port: 3478 } if host == "good.example" => Ok(IpAddr::from([203, 0, 113, 1])),
            Ask::Stun { host, port: 99 } if host == "good.example" => Ok(IpAddr::from([203, 0, 113, 2])),
            Ask::Host { name } if name == "good.example" => Ok(IpAddr::from([203, 0, 113, 3])),
            _ => Err("no route".to_owned()),
        }
    }));
    assert_eq!(
        value(&text, &options).as_deref(),
        Some("192.0.2.7 pbx.example 203.0.113.1 203.0.113.1 203.0.113.2 203.0.113.3 10.0.0.5")
    );
    assert_eq!(asked.load(Ordering::Relaxed), 4);
    let loaded = parse("t.xml", &format!("<document>\n{text}\n</document>"), &options);
    let problems: Vec<String> = loaded.problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        problems,
        [
            "t.xml:8:37: warning: stun:bad.example gave no address (no route); bad is the local address 10.0.0.5; \
          write the public address itself, or --set bad=ADDRESS"
        ]
    );
}

#[test]
fn a_silent_stun_server_does_not_hold_up_the_start() {
    let set = |n: usize| format!("<X-PRE-PROCESS cmd=\"stun-set\" data=\"a{n}=stun:s{n}.example\"/>\n");
    let text: String = (0..50).map(set).collect();
    let mut options = Options::new("conf");
    options.lookup = Some(Arc::new(|_, limit| {
        std::thread::sleep(limit.saturating_mul(20));
        Err("late".to_owned())
    }));
    let loaded = parse("t.xml", &format!("<document>\n{text}</document>"), &options);
    // Two servers fill the time there is for all; the others are not waited for.
    let waited = loaded.problems.iter().filter(|p| p.message.contains("no answer within")).count();
    let not_asked = loaded.problems.iter().filter(|p| p.message.contains("used up")).count();
    assert_eq!((waited, not_asked), (2, 48));
}

#[test]
fn values_that_grow_are_stopped() {
    let mut text = "<X-PRE-PROCESS cmd=\"set\" data=\"a=0123456789\"/>\n".to_owned();
    for _ in 0..40 {
        text.push_str("<X-PRE-PROCESS cmd=\"set\" data=\"a=$${a}$${a}\"/>\n");
    }
    let loaded = parse("t.xml", &format!("<document>\n{text}</document>"), &Options::new("conf"));
    assert!(
        loaded.problems.iter().any(|p| p.message.contains("is larger than")),
        "{:?}",
        loaded.problems.first()
    );
}

#[test]
fn other_encodings() {
    use crate::Folder;
    for (bytes, problem) in [
        (&b"\xEF\xBB\xBF<document/>"[..], None),
        (
            b"<document><!-- caf\xE9 --></document>",
            Some("freeswitch.xml:1:19: warning: this is not UTF-8 and is read as Latin-1"),
        ),
        (b"<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>\n<document a=\"\xE9\"/>", None),
        (b"\xFF\xFE<\x00d\x00", Some("freeswitch.xml:1:1: the file is UTF-16; save it as UTF-8")),
        (b"<document>\n ab\x00</document>", Some("freeswitch.xml:2:4: the file holds a NUL byte")),
        (b"<document>\r\n  <a>\r\n  </b>\r\n</document>", Some("freeswitch.xml:3:3: </b> stands where <a>")),
    ] {
        let folder = Folder::new();
        folder.write("freeswitch.xml", bytes);
        let problems = folder.problems();
        match problem {
            None => assert_eq!(problems, Vec::<String>::new()),
            Some(expected) => assert!(problems.first().is_some_and(|p| p.contains(expected)), "{problems:?}"),
        }
    }
}

/// `--set` of a name that nobody asks for is most likely misspelt.
#[test]
fn a_set_that_nobody_asks_for_is_told() {
    let text = "<document>\n<X-PRE-PROCESS cmd=\"set\" data=\"internal_sip_port=5060\"/>\n<r a=\"$${asked}\" b=\"${late}\"/>\n</document>\n";
    let told = |names: &[&str]| {
        let mut options = Options::new("conf");
        options.set = names.iter().map(|name| ((*name).to_owned(), "1".to_owned())).collect();
        let loaded = parse("t.xml", text, &options);
        loaded.problems.iter().map(ToString::to_string).filter(|p| p.contains("--set ")).collect::<Vec<_>>()
    };
    assert_eq!(
        told(&["asked", "Internal_SIP_port", "late", "domain", "event_socket_port"]),
        Vec::<String>::new()
    );
    assert_eq!(
        told(&["asked", "intenal_sip_port"]),
        [
            "--set intenal_sip_port: warning: no file asks for $${intenal_sip_port}; did you mean internal_sip_port?"
        ]
    );
    let other = told(&["asked", "Nothing_like_it"]);
    assert!(
        other.len() == 1 && other[0].starts_with("--set nothing_like_it: warning: no file asks for"),
        "{other:?}"
    );
}
