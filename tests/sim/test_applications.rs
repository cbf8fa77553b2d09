//! Applications that change what is known of a call, and those that count calls: what the leg's last event shows.

use std::collections::HashMap;
use std::fmt::Write;
use std::time::Duration;

use tandem::event::EventName;
use tandem::store::limit::Backend;

use crate::net::Weather;
use crate::office::{self, Office};
use crate::record::End;
use crate::script::{Kind, Script, seconds};

const CALLER: usize = 10; // 1001

/// An application and its data.
type Action = (&'static str, &'static str);
/// A variable and its value; nothing for one that is not there.
type Variable = (&'static str, &'static str);

/// Runs each list in a call of its own that is then refused, and compares the variables the call ended with.
fn shows(rows: &[(&[Action], &[Variable])]) {
    let folder = std::env::temp_dir().join(format!("tandem-sim-{}", std::process::id()));
    let mut extensions = format!("\n<X-PRE-PROCESS cmd=\"set\" data=\"db_dir={}\"/>\n", folder.display());
    for (n, (actions, _)) in rows.iter().enumerate() {
        let _ = write!(
            extensions,
            "<extension name=\"{n}\"><condition field=\"destination_number\" expression=\"^(7{n:03})$\">"
        );
        for (application, data) in *actions {
            let data = data.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;");
            let _ = writeln!(extensions, "<action application=\"{application}\" data=\"{data}\"/>");
        }
        extensions += "<action application=\"respond\" data=\"480\"/></condition></extension>";
    }
    office::run(async {
        let mut office = Office::open(0, Weather::fine(), &extensions).await;
        let mut events = office.switch.exchange.events.listen();
        for n in 0..rows.len() {
            let at = seconds(n as u64);
            let mut script = Script::exactly(CALLER, &format!("7{n:03}"), at, seconds(1), vec![], vec![]);
            script.kind = Kind::Service;
            office.plan(script);
        }
        office.play().await;
        let mut ended = HashMap::new();
        while let Ok(event) = events.try_recv() {
            if event.name == EventName::ChannelHangupComplete {
                ended.insert(event.header("Caller-Destination-Number").unwrap_or("").to_owned(), event);
            }
        }
        for (n, (actions, variables)) in rows.iter().enumerate() {
            let event = &ended[&format!("7{n:03}")];
            for (name, expected) in *variables {
                let seen = event.header(&format!("variable_{name}")).unwrap_or("");
                assert_eq!(seen, *expected, "{name} after {actions:?}");
            }
        }
        office.close().await;
    });
    let _ = std::fs::remove_dir_all(folder);
}

#[test]
fn variables() {
    shows(&[
        (
            &[("set", "a=b=c"), ("set", "d,e"), ("set", "f=x"), ("set", "f=")],
            &[("a", "b=c"), ("d", "e"), ("f", "")],
        ),
        // nothing was dialled before that could be dialled again
        (&[("transfer", "${hash(select/nobody/last_dial)}"), ("set", "after=1")], &[("after", "1")]),
        // an empty group
        (&[("bridge", "{leg_timeout=15}")], &[("hangup_cause", "NORMAL_CLEARING"), ("after", "")]),
        (&[("bridge", "{leg_timeout=15")], &[("hangup_cause", "INVALID_URL")]),
        // a prompt on the way is left out, one that is the end is not
        (&[("playback", "a.wav"), ("say", "en number"), ("set", "after=1")], &[("after", "1")]),
        (
            &[("playback", "a.wav"), ("playback", "b.wav"), ("hangup", "USER_BUSY")],
            &[("hangup_cause", "SERVICE_NOT_IMPLEMENTED")],
        ),
        (&[("set", "a= two words ")], &[("a", " two words ")]),
        (&[("set", "n=4"), ("set", "a=$${unknown}\\${n}")], &[("a", "4")]),
        (&[("multiset", "a=1 b=2  c='3 4'")], &[("a", "1"), ("b", "2"), ("c", "3 4")]),
        (&[("multiset", "^^;a=1 2;b=${a}x")], &[("a", "1 2"), ("b", "x")]),
        (&[("multiset", "a=1 b=2 c=3"), ("multiunset", "a c")], &[("a", ""), ("b", "2"), ("c", "")]),
        (&[("multiset", "a=1 b=2"), ("multiunset", "^^:a:b")], &[("a", ""), ("b", "")]),
        (
            &[("push", "l=b"), ("push", "l=c"), ("unshift", "l=a"), ("set", "n=${l[2]}${l[0]}")],
            &[("l", "ARRAY::a|:b|:c"), ("n", "ca")],
        ),
        (&[("set", "l=plain"), ("push", "l=x"), ("set", "m=${l[0]}")], &[("m", "plain")]),
        (&[("push", "l=b"), ("push", "l=")], &[("l", "")]),
        (&[("set", "l[1]=b"), ("set", "l[0]=a")], &[("l", "ARRAY::a|:b")]),
        (
            &[("export", "a=1"), ("bridge_export", "nolocal:b=2"), ("bridge_export", "c=3")],
            &[("export_vars", "a"), ("bridge_export_vars", "b,c"), ("_nolocal_b", "2"), ("c", "3")],
        ),
        (
            &[("set", "t=old"), ("set", "%[t=new,u=1]a=\\${t}${t}"), ("eval", "%|[t=x|u=y]")],
            &[("t", "old"), ("u", ""), ("a", "newold")],
        ),
        (&[("set", "t=old"), ("set", "%[t=new]t=kept")], &[("t", "kept")]),
        (&[("set", "app_disable_expand_variables=true"), ("set", "a=\\$x ${x}")], &[("a", "$x ")]),
        (&[("set_user", "1004@office.test")], &[("user_name", "1004"), ("user_context", "default")]),
        (&[("set_user", "1004@office.test x_")], &[("user_name", "1001"), ("x_user_name", "1004")]),
        (&[("set_user", "nobody@office.test")], &[("user_name", "1001")]),
        (&[("set_profile_var", "caller_id_name=Nobody"), ("set", "n=${caller_id_name}")], &[("n", "Nobody")]),
        (
            &[
                ("privacy", "name"),
                ("set", "n=${privacy_hide_name}-${privacy_hide_number}"),
                ("privacy", "off"),
                ("set", "m=${privacy_hide_name}"),
            ],
            &[("n", "true-false"), ("m", "false")],
        ),
        (&[("set_global", "of_all=1"), ("set", "a=${of_all}")], &[("a", "1")]),
        (&[("verbose_events", "")], &[("verbose_events", "true")]),
        (
            &[
                ("capture", "c|7001-x|^(\\d+)-(.)"),
                ("set", "n=${c[1]}${c[2]}"),
                ("capture", "d|x|^y"),
                ("capture", "e|("),
            ],
            &[("n", "7001x"), ("d", ""), ("e", "")],
        ),
        (&[("transfer_vars", "sip_from_user"), ("acknowledge_call", ""), ("set", "a=on")], &[("a", "on")]),
        (&[("set_name", "sofia/x/desk"), ("set", "n=${channel_name}")], &[("n", "sofia/x/desk")]),
        (
            &[
                ("send_info", "x"),
                ("set", "fs_send_unsupported_info=true"),
                ("send_info", "x"),
                ("set", "a=on"),
            ],
            &[("a", "on")],
        ),
        (&[("pickup", ""), ("pickup", "nobody"), ("set", "a=on")], &[("a", "on")]),
        (&[("pickup_wait", "key"), ("set", "a=on")], &[("a", "on")]),
        (
            &[("set", "a=${ep_codec_string}"), ("set", "codec_string=PCMA"), ("set", "b=${ep_codec_string}")],
            &[("a", "PCMU@8000h@20i@64000b,PCMA@8000h@20i@64000b"), ("b", "PCMA@8000h@20i@64000b")],
        ),
        (
            &[("mkdir", "/tmp/tandem-must-not-be"), ("system", "exit 1"), ("bgsystem", "x"), ("set", "a=on")],
            &[("a", "on")],
        ),
    ]);
    assert!(!std::path::Path::new("/tmp/tandem-must-not-be").exists());
}

#[test]
fn stores() {
    shows(&[
        (&[("hash", "insert/office/last/$1"), ("set", "a=${hash(select/office/last)}")], &[("a", "7000")]),
        (&[("set", "a=${hash(select/office/last)}"), ("hash", "delete/office/last")], &[("a", "7000")]),
        (&[("set", "a=[${hash(select/office/last)}]")], &[("a", "[]")]),
        (
            &[
                ("hash", "insert_ifempty/o/k/1"),
                ("hash", "insert_ifempty/o/k/2"),
                ("set", "a=${hash(select/o/k)}"),
            ],
            &[("a", "1")],
        ),
        (&[("hash", "nonsense"), ("hash", "insert/o"), ("set", "a=on")], &[("a", "on")]),
        (
            &[("db", "insert/o/k/v/w"), ("set", "a=${db(select/o/k)} ${db(exists/o/k)} ${db(count/o)}")],
            &[("a", "v/w true 1")],
        ),
        (&[("db", "delete/o/k"), ("set", "a=${db(exists/o/k)}")], &[("a", "false")]),
        (
            &[
                ("group", "insert:g:user/1"),
                ("group", "insert:g:sofia/x/2@h:5070"),
                ("set", "a=${group(call:g)} ${group(call:g:order)} ${group(call:g:multi)}"),
            ],
            &[("a", "user/1,sofia/x/2@h:5070 user/1|sofia/x/2@h:5070 user/1:_:sofia/x/2@h:5070")],
        ),
        (&[("group", "delete:g:user/1"), ("set", "a=${group(call:g)}")], &[("a", "sofia/x/2@h:5070")]),
        (&[("group", "delete:g:*"), ("set", "a=[${group(call:g)}]")], &[("a", "[]")]),
    ]);
}

/// What the stock dialplan does for 870 and 82dd: the number dialled last, the members of a group.
#[test]
fn what_is_stored_routes_calls() {
    let extensions = r#"
      <extension name="remember"><condition field="destination_number" expression="^(7[12]\d\d)$">
        <action application="hash" data="insert/office-last_dial/${caller_id_number}/$1"/>
        <action application="respond" data="${cond($1 == 7101 ? 486 : 480)}"/>
      </condition></extension>
      <extension name="redial"><condition field="destination_number" expression="^870$">
        <action application="transfer" data="${hash(select/office-last_dial/${caller_id_number})}"/>
      </condition></extension>"#;
    office::run(async {
        let mut office = Office::open(0, Weather::fine(), extensions).await;
        for (n, number) in ["7201", "870", "7101", "870"].into_iter().enumerate() {
            let mut script = Script::exactly(CALLER, number, seconds(n as u64), seconds(1), vec![], vec![]);
            script.kind = Kind::Service;
            office.plan(script);
        }
        office.play().await;
        let ends: Vec<_> = office.book.lock().unwrap().iter().map(|call| call.caller.ended()).collect();
        let failed = |status| Some(End::Failed(status));
        assert_eq!(ends, [failed(480), failed(480), failed(486), failed(486)]);
        office.close().await;
    });
}

/// The answer of a web server is in variables; one that says nothing does not hold the call for ever.
#[test]
#[cfg(feature = "curl")]
fn a_web_server_is_asked() {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut bytes = [0; 4096];
        let count = stream.read(&mut bytes).unwrap();
        stream.write_all(b"HTTP/1.1 201 Created\r\nContent-Length: 9\r\n\r\n${caller}").unwrap();
        let _silent = listener.accept().unwrap();
        std::thread::sleep(Duration::from_secs(3));
        String::from_utf8_lossy(&bytes[..count]).into_owned()
    });
    let asks: &'static str =
        format!("http://{address}/route?to=$1&from=${{url_encode(${{caller_id_name}})}}").leak();
    let silent: &'static str = format!("http://{address}/").leak();
    shows(&[
        (
            &[("set", "caller=x"), ("curl", asks), ("set", "a=${curl_response_data}!")],
            &[("curl_response_code", "201"), ("curl_response_data", "${caller}"), ("a", "${caller}!")],
        ),
        (
            &[("set", "curl_timeout=1"), ("curl", silent), ("set", "a=on")],
            &[("curl_response_code", "0"), ("curl_response_data", ""), ("a", "on")],
        ),
        (&[("curl", ""), ("set", "a=on")], &[("a", "on")]),
    ]);
    let asked = server.join().unwrap();
    assert!(asked.starts_with("GET /route?to=7000&from="), "{asked}");
}

#[test]
fn addresses_are_checked() {
    shows(&[
        (&[("check_acl", "10.0.0.1 10.0.0.0/8 USER_BUSY"), ("set", "a=in")], &[("a", "in")]),
        (
            &[("check_acl", "11.0.0.1 10.0.0.0/8 USER_BUSY"), ("set", "a=in")],
            &[("a", ""), ("hangup_cause", "USER_BUSY")],
        ),
        (
            &[("check_acl", "11.0.0.1 nolist"), ("set", "a=in")],
            &[("a", ""), ("hangup_cause", "CALL_REJECTED")],
        ),
        (&[("check_acl", "11.0.0.1"), ("set", "a=in")], &[("a", "in")]),
    ]);
}

#[test]
fn limits_in_one_call() {
    shows(&[
        (
            &[
                ("limit", "hash out one 5"),
                ("limit", "hash out one 5"),
                ("set", "a=${limit_usage} ${limit_usage(hash out one)}"),
            ],
            &[("a", "1 1"), ("limit_usage_out_one", "1")],
        ),
        (&[("set", "a=${limit_usage(hash out one)}")], &[("a", "0")]),
        (
            &[("limit", "db out two"), ("limit", "db out two"), ("set", "a=${limit_usage(db out two)}")],
            &[("a", "2"), ("limit_max", "-1")],
        ),
        (
            &[("limit", "hash out three 0 !USER_BUSY"), ("set", "a=in")],
            &[("a", ""), ("hangup_cause", "USER_BUSY")],
        ),
        (
            &[("limit", "redis out x 5 !USER_BUSY"), ("set", "a=in")],
            &[("a", ""), ("hangup_cause", "USER_BUSY")],
        ),
        (&[("limit", "hash out"), ("set", "a=in")], &[("a", "in")]),
        (
            &[("limit", "hash out four 1/60"), ("set", "a=${limit_rate} ${limit_usage(hash out four rate)}")],
            &[("a", "1 1/1")],
        ),
        (&[("limit", "hash out four 1/60 !USER_BUSY"), ("set", "a=in")], &[("a", "")]),
        (
            &[
                ("limit_execute", "hash out five 1 set a=${limit_usage(hash out five)}"),
                ("set", "b=${limit_usage(hash out five)}"),
            ],
            &[("a", "0"), ("b", "0")],
        ),
        (&[("limit_execute", "hash out five 0 set a=in"), ("set", "b=on")], &[("a", ""), ("b", "on")]),
        (&[("limit_execute", "hash out five 1 answer")], &[("limit_usage", "")]),
        (&[("limit_hash", "out six 0 !USER_BUSY"), ("set", "a=in")], &[("a", "")]),
    ]);
}

/// One call may use a line at a time; who comes meanwhile is turned away, who comes later is let in.
#[test]
fn a_limit_holds_between_calls() {
    let extensions = r#"
      <extension name="line"><condition field="destination_number" expression="^7100$">
        <action application="limit" data="hash lines one 1 !USER_BUSY"/>
        <action application="answer"/>
        <action application="park"/>
      </condition></extension>
      <extension name="moves"><condition field="destination_number" expression="^7101$">
        <action application="limit" data="hash lines one 1 full"/>
        <action application="transfer" data="7102"/>
      </condition></extension>
      <extension name="moved"><condition field="destination_number" expression="^7102$">
        <action application="respond" data="${cond(${limit_usage(hash lines one)} == 0 ? 480 : 500)}"/>
      </condition></extension>
      <extension name="full"><condition field="destination_number" expression="^full$">
        <action application="respond" data="486"/>
      </condition></extension>"#;
    office::run(async {
        let mut office = Office::open(0, Weather::fine(), extensions).await;
        for (number, at) in [("7100", 0), ("7100", 5), ("7101", 6), ("7100", 30), ("7101", 60)] {
            let mut script = Script::exactly(CALLER, number, seconds(at), seconds(20), vec![], vec![]);
            script.kind = Kind::Service;
            office.plan(script);
        }
        office.play().await;
        let ends: Vec<_> = office.book.lock().unwrap().iter().map(|call| call.caller.ended()).collect();
        let (served, busy) = (Some(End::HungUp), Some(End::Failed(486)));
        assert_eq!(ends, [served, busy, busy, served, Some(End::Failed(480))]);
        let limits = &office.switch.exchange.stores.limits;
        assert_eq!((limits.uses(Backend::Hash), limits.entries().len()), (0, 0));
        office.close().await;
    });
}

/// A dialplan reads and writes the variables of another call that is up.
#[test]
fn another_call_is_read_and_written() {
    let extensions = r#"
      <extension name="kept"><condition field="destination_number" expression="^7100$">
        <action application="set" data="colour=blue"/>
        <action application="push" data="l=a"/><action application="push" data="l=b"/>
        <action application="hash" data="insert/calls/kept/${uuid}"/>
        <action application="answer"/>
        <action application="sleep" data="8000"/>
        <action application="respond" data="480"/>
      </condition></extension>
      <extension name="asks"><condition field="destination_number" expression="^7101$">
        <action application="set" data="kept=${hash(select/calls/kept)}"/>
        <action application="set" data="a=${uuid_getvar(${kept} colour)}-${uuid_getvar(${kept} l[1])}"/>
        <action application="set" data="b=${uuid_getvar(${kept} destination_number)} ${uuid_getvar(${kept} none)}"/>
        <action application="set" data="c=${uuid_getvar(${kept} domain)}"/>
        <action application="set" data="d=${uuid_setvar(${kept} colour red)}"/>
        <action application="sleep" data="100"/>
        <action application="set" data="e=${uuid_getvar(${kept} colour)} ${uuid_getvar(nobody colour)}"/>
        <action application="set" data="f=${uuid_getvar(${uuid} kept)}"/>
        <action application="respond" data="480"/>
      </condition></extension>"#;
    office::run(async {
        let mut office = Office::open(0, Weather::fine(), extensions).await;
        let mut events = office.switch.exchange.events.listen();
        for (number, at) in [("7100", 0), ("7101", 3)] {
            let mut script = Script::exactly(CALLER, number, seconds(at), seconds(20), vec![], vec![]);
            script.kind = Kind::Among;
            office.plan(script);
        }
        office.play().await;
        let mut seen = HashMap::new();
        while let Ok(event) = events.try_recv() {
            if event.name == EventName::ChannelHangupComplete {
                let number = event.header("Caller-Destination-Number").unwrap_or("").to_owned();
                seen.insert(number, event);
            }
        }
        let of = |number: &str, name: &str| {
            seen[number].header(&format!("variable_{name}")).unwrap_or("").trim().to_owned()
        };
        assert_eq!(of("7101", "a"), "blue-b");
        assert_eq!(of("7101", "b"), "7100 _undef_");
        assert_eq!(of("7101", "c"), office::DOMAIN);
        assert_eq!(of("7101", "d"), "+OK");
        assert_eq!(of("7101", "e"), "red -ERR No such channel!");
        assert_eq!(of("7101", "f"), of("7101", "kept"));
        assert_eq!(of("7100", "colour"), "red");
        office.close().await;
    });
}

/// An event that the dialplan has made is told with its own headers and the leg's.
#[test]
fn a_dialplan_makes_events() {
    let extensions = r#"
      <extension name="told"><condition field="destination_number" expression="^7100$">
        <action application="event" data="Event-Name=CUSTOM, Event-Subclass=shop::opened ,who=${caller_id_number},a=b=c,nothing"/>
        <action application="event" data="event-name=no_such_event,here=1"/>
        <action application="event" data="Event-Name=NOTIFY_IN,deep=yes"/>
        <action application="respond" data="480"/>
      </condition></extension>"#;
    office::run(async {
        let mut office = Office::open(0, Weather::fine(), extensions).await;
        let mut events = office.switch.exchange.events.listen();
        let mut script = Script::exactly(CALLER, "7100", seconds(0), seconds(1), vec![], vec![]);
        script.kind = Kind::Service;
        office.plan(script);
        office.play().await;
        let mut told = Vec::new();
        while let Ok(event) = events.try_recv() {
            let own = ["who", "a", "here", "deep"].map(|name| event.header(name).unwrap_or("").to_owned());
            if own.iter().any(|value| !value.is_empty()) {
                assert_eq!(event.header("Caller-Destination-Number"), Some("7100"));
                assert!(event.header("Unique-ID").is_some() && event.header("Event-Sequence").is_some());
                told.push((event.name.as_str(), event.subclass().to_owned(), own.join("|")));
            }
        }
        let expected = [
            ("CUSTOM", "shop::opened".to_owned(), "1001|b=c||".to_owned()),
            ("CHANNEL_APPLICATION", String::new(), "||1|".to_owned()),
            ("NOTIFY_IN", String::new(), "|||yes".to_owned()),
        ];
        assert_eq!(told, expected);
        office.close().await;
    });
}
