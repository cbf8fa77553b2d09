use super::*;
use crate::presence::DialogId;

fn call(id: &str, initiator: bool, state: State) -> Call {
    Call {
        id: id.into(),
        initiator,
        state,
        held: false,
        remote: Some(Party { name: "Ann <&\"'> \u{1}B".into(), number: "1002".into() }),
        dialog: DialogId { call_id: "c@1".into(), local_tag: Some("lt".into()), remote_tag: "rt".into() },
    }
}

fn view(calls: &[Arc<Call>], registered: bool) -> View<'_> {
    View {
        user: "1001",
        domain: "pbx",
        registered,
        calls,
        said: None,
        messages: None,
        manners: Manners::default(),
    }
}

fn one(call: Call) -> [Arc<Call>; 1] {
    [Arc::new(call)]
}

/// What stands between two texts.
fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let rest = text.split_once(from).unwrap_or_else(|| panic!("{from} in {text}")).1;
    rest.split_once(to).unwrap_or_else(|| panic!("{to} in {text}")).0
}

#[test]
fn a_document_is_xml_whatever_a_caller_is_called() {
    let calls = one(call("u&1", false, State::Early));
    for text in [view(&calls, true).dialog_info(3, &[("<".into(), true)]), view(&calls, true).pidf()] {
        let mut reader = quick_xml::Reader::from_str(&text);
        while reader.read_event().expect("XML") != quick_xml::events::Event::Eof {}
    }
    let text = view(&calls, true).dialog_info(3, &[]);
    assert_eq!(between(&text, "<remote>\n<identity display=\"", "\""), "Ann &lt;&amp;&quot;&apos;&gt; B");
}

#[test]
fn a_busy_lamp() {
    let calls = one(call("u1", false, State::Early));
    let text = view(&calls, true).dialog_info(3, &[]);
    assert!(text.contains("version=\"3\" state=\"full\" entity=\"sip:1001@pbx\""), "{text}");
    let dialog = between(&text, "<dialog ", ">");
    assert_eq!(
        dialog,
        "id=\"u1\" call-id=\"c@1\" local-tag=\"lt\" remote-tag=\"rt\" direction=\"recipient\""
    );
    assert_eq!(between(&text, "<state>", "</state>"), "early");
    assert_eq!(between(&text, "<local>\n", "</identity>"), "<identity display=\"1001\">sip:1001@pbx");
    assert!(text.contains("sip:1002@pbx</identity>\n<target uri=\"sip:**1001@pbx\"/>"), "{text}");
    assert!(!view(&[], true).dialog_info(0, &[]).contains("<dialog "), "idle");
}

#[test]
fn the_states_of_calls() {
    let held =
        |manner, call: Call| (Manners { held: manner, ..Manners::default() }, Call { held: true, ..call });
    let quiet = Manners { no_early: true, ..Manners::default() };
    for ((manners, call), state) in [
        ((Manners::default(), call("u", false, State::Trying)), Some("trying")),
        ((Manners::default(), call("u", false, State::Early)), Some("early")),
        ((Manners::default(), call("u", false, State::Confirmed)), Some("confirmed")),
        ((Manners::default(), call("u", true, State::Trying)), Some("confirmed")),
        ((Manners::default(), call("u", true, State::Early)), Some("confirmed")),
        ((quiet, call("u", false, State::Early)), None),
        ((quiet, call("u", true, State::Early)), None),
        ((quiet, call("u", true, State::Confirmed)), Some("confirmed")),
        (held(PresenceHold::Early, call("u", true, State::Confirmed)), Some("early")),
        (held(PresenceHold::Confirmed, call("u", true, State::Confirmed)), Some("confirmed")),
        (held(PresenceHold::Terminated, call("u", false, State::Confirmed)), Some("terminated")),
    ] {
        let told = format!("{manners:?} {call:?}");
        let calls = one(call);
        let text = View { manners, ..view(&calls, true) }.dialog_info(0, &[]);
        match state {
            Some(state) => assert_eq!(between(&text, "<state>", "</state>"), state, "{told}"),
            None => assert!(!text.contains("<state>"), "{told}"),
        }
        if calls[0].held {
            assert!(text.contains("pvalue=\"no\""), "{told}");
        }
    }
}

#[test]
fn a_call_that_is_gone_is_told_to_be_over_once_more() {
    let calls = one(call("u2", true, State::Confirmed));
    let before: Vec<(Arc<str>, bool)> = vec![("u1".into(), false), ("u2".into(), true)];
    let text = view(&calls, true).dialog_info(0, &before);
    assert!(text.contains("<dialog id=\"u1\" direction=\"recipient\">\n<state>terminated</state>"), "{text}");
    assert_eq!(text.matches("<dialog ").count(), 2);
    assert_eq!(view(&calls, true).ids(), [("u2".into(), true)]);
}

#[test]
fn a_user_with_very_many_calls_is_told_in_one_datagram() {
    let calls: Vec<Arc<Call>> = (0..500)
        .map(|n| {
            let state = if n == 400 { State::Confirmed } else { State::Trying };
            Arc::new(call(&format!("u{n}"), false, state))
        })
        .collect();
    let text = view(&calls, true).dialog_info(0, &[]);
    assert!(text.len() < 8000, "{}", text.len());
    assert_eq!(between(&text, "<dialog id=\"", "\""), "u400", "the furthest first");
}

#[test]
fn presence_has_freeswitchs_notes() {
    let early = call("u", false, State::Early);
    let hold = Call { held: true, ..call("u", false, State::Confirmed) };
    let nobody = Call { remote: None, ..call("u", false, State::Confirmed) };
    for (call, registered, basic, note) in [
        (None, false, "closed", "Unregistered"),
        (None, true, "open", "Available"),
        (Some(early), true, "open", "Ring 1002"),
        (Some(call("u", true, State::Trying)), true, "open", "Call 1002"),
        (Some(call("u", true, State::Confirmed)), false, "open", "Talk 1002"),
        (Some(hold), true, "open", "Hold 1002"),
        (Some(nobody), true, "open", "On The Phone"),
    ] {
        let calls: Vec<Arc<Call>> = call.map(Arc::new).into_iter().collect();
        let text = view(&calls, registered).pidf();
        assert_eq!(between(&text, "<basic>", "</basic>"), basic, "{note}");
        assert_eq!(between(&text, "<dm:note>", "</dm:note>"), note);
        assert_eq!(text.contains("<rpid:on-the-phone/>"), !calls.is_empty(), "{note}");
    }
}

#[test]
fn who_is_at_the_other_end_may_be_nobodys_business() {
    let calls = one(call("u", false, State::Confirmed));
    let private = View { manners: Manners { private: true, ..Manners::default() }, ..view(&calls, true) };
    for text in [private.dialog_info(0, &[]), private.pidf()] {
        assert!(!text.contains("1002") && !text.contains("Ann"), "{text}");
    }
    assert_eq!(between(&private.pidf(), "<dm:note>", "</dm:note>"), "On The Phone");
    let hidden = one(Call { remote: None, ..call("u", false, State::Confirmed) });
    assert!(view(&hidden, true).dialog_info(0, &[]).contains("sip:anonymous@anonymous.invalid"));
}

#[test]
fn no_messages_wait() {
    assert_eq!(
        view(&[], true).message_summary(),
        "Messages-Waiting: no\r\nMessage-Account: sip:1001@pbx\r\nVoice-Message: 0/0 (0/0)\r\n"
    );
}
