//! Calls: their events, their variables, what a client can do with them.

use crate::bed::{Bed, SDP, expect, respond, until};

#[test]
fn a_bridged_call_tells_its_story_in_order() {
    let bed = Bed::new();
    let mut client = bed.client();
    client.ask("event plain ALL");
    client.ask("nixevent HEARTBEAT API");
    let mut caller = bed.call("1001");
    let invite = expect(&bed.callee, "INVITE ");
    respond(&bed.callee, bed.sip, &invite, "180 Ringing", "");
    caller.expect("SIP/2.0 180");
    respond(&bed.callee, bed.sip, &invite, "200 OK", SDP);
    caller.answered();
    expect(&bed.callee, "ACK ");
    let mut events = Vec::new();
    while events.last().is_none_or(|e: &crate::bed::Frame| e.event("Event-Name") != "CHANNEL_BRIDGE") {
        events.push(client.next());
    }
    caller.bye();
    let bye = expect(&bed.callee, "BYE ");
    respond(&bed.callee, bed.sip, &bye, "200 OK", "");
    while events.iter().filter(|e| e.event("Event-Name") == "CHANNEL_DESTROY").count() < 2 {
        events.push(client.next());
    }
    let sequence: Vec<u64> = events.iter().map(|e| e.event("Event-Sequence").parse().unwrap()).collect();
    assert!(sequence.windows(2).all(|two| two[0] < two[1]), "{sequence:?}");
    let a = events[0].event("Unique-ID");
    let story = |mine: bool| -> Vec<String> {
        let of =
            events.iter().filter(|e| !e.event("Unique-ID").is_empty() && (e.event("Unique-ID") == a) == mine);
        of.map(|e| e.event("Event-Name"))
            .filter(|n| n != "CHANNEL_EXECUTE" && n != "CHANNEL_EXECUTE_COMPLETE")
            .collect()
    };
    let ours = story(true);
    let order = |story: &[String], names: &[&str]| {
        let mut rest = story.iter();
        for name in names {
            assert!(rest.any(|n| n == name), "{name} in its place in {story:?}");
        }
    };
    order(
        &ours,
        &[
            "CHANNEL_CREATE",
            "CHANNEL_STATE",
            "CHANNEL_PROGRESS",
            "CHANNEL_ANSWER",
            "CHANNEL_CALLSTATE",
            "CHANNEL_BRIDGE",
            "CHANNEL_HANGUP",
            "CHANNEL_UNBRIDGE",
            "CHANNEL_HANGUP_COMPLETE",
            "CHANNEL_DESTROY",
        ],
    );
    order(
        &story(false),
        &[
            "CHANNEL_CREATE",
            "CHANNEL_ORIGINATE",
            "CHANNEL_PROGRESS",
            "CHANNEL_ANSWER",
            "CHANNEL_HANGUP",
            "CHANNEL_HANGUP_COMPLETE",
            "CHANNEL_DESTROY",
        ],
    );
    let bridge = events.iter().find(|e| e.event("Event-Name") == "CHANNEL_BRIDGE").unwrap();
    let b = bridge.event("Bridge-B-Unique-ID");
    assert_eq!(
        (bridge.event("Bridge-A-Unique-ID"), bridge.event("Other-Leg-Unique-ID")),
        (a.clone(), b.clone())
    );
    assert_eq!(
        (bridge.event("Other-Type"), bridge.event("Other-Leg-Destination-Number")),
        ("originatee".to_owned(), "1001".to_owned())
    );
    let created = events
        .iter()
        .find(|e| e.event("Event-Name") == "CHANNEL_CREATE" && e.event("Unique-ID") == b)
        .unwrap();
    assert_eq!(
        (created.event("Other-Type"), created.event("Other-Leg-Unique-ID")),
        ("originator".to_owned(), a.clone())
    );
    assert_eq!(created.event("Caller-Caller-ID-Name"), "Al Pha");
    let complete = events
        .iter()
        .find(|e| e.event("Event-Name") == "CHANNEL_HANGUP_COMPLETE" && e.event("Unique-ID") == a)
        .unwrap();
    for (name, value) in [
        ("Hangup-Cause", "NORMAL_CLEARING"),
        ("Channel-State", "CS_REPORTING"),
        ("Channel-Call-State", "HANGUP"),
        ("Answer-State", "hangup"),
        ("Call-Direction", "inbound"),
        ("Caller-Destination-Number", "1001"),
        ("variable_hangup_cause", "NORMAL_CLEARING"),
        ("variable_bridge_uuid", &b),
        ("Channel-Read-Codec-Name", "PCMU"),
        ("variable_sip_term_status", "200"),
        ("variable_sip_term_cause", "16"),
        ("variable_proto_specific_hangup_cause", "sip:200"),
        ("variable_sip_hangup_phrase", ""),
        ("variable_local_media_ip", "127.0.0.1"),
        ("variable_advertised_media_ip", "127.0.0.1"),
    ] {
        assert_eq!(complete.event(name), value, "{name}");
    }
    let said = |name: &str| {
        let value = invite.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        value.expect("a header").trim().to_owned()
    };
    fn user(address: &str) -> &str {
        address.split_once("sip:").and_then(|(_, rest)| rest.split_once('@')).map_or("", |(user, _)| user)
    }
    let other = events
        .iter()
        .find(|e| e.event("Event-Name") == "CHANNEL_HANGUP_COMPLETE" && e.event("Unique-ID") == b)
        .unwrap();
    for (name, value) in [
        ("variable_sip_hangup_disposition", "send_bye"),
        ("variable_sip_hangup_phrase", "OK"),
        ("variable_sip_term_status", ""),
        ("variable_sip_term_cause", ""),
        ("variable_local_media_ip", "127.0.0.1"),
        ("variable_call_uuid", &a),
        ("variable_is_outbound", "true"),
        ("variable_channel_name", &other.event("Channel-Name")),
        ("variable_sofia_profile_name", "internal"),
        ("variable_sip_profile_name", "internal"),
        ("variable_sip_network_ip", "127.0.0.1"),
        ("variable_sip_network_port", &bed.callee.local_addr().unwrap().port().to_string()),
        ("variable_sip_from_host", "127.0.0.1"),
        ("variable_sip_to_host", "127.0.0.1"),
        ("variable_sip_full_from", &said("From")),
        ("variable_sip_full_via", &said("Via")),
        ("variable_sip_from_tag", said("From").split_once(";tag=").unwrap().1),
        ("variable_sip_from_user", user(&said("From"))),
        ("variable_sip_to_user", user(&said("To"))),
    ] {
        assert_eq!(other.event(name), value, "{name}");
    }
    let tag = other.event("variable_sip_to_tag");
    assert!(!tag.is_empty());
    assert_eq!(other.event("variable_sip_full_to"), format!("{};tag={tag}", said("To")));
    for name in ["variable_channel_name", "variable_sofia_profile_name", "variable_call_uuid"] {
        assert_ne!(created.event(name), "", "{name} from the beginning");
    }
    assert_ne!(complete.event("variable_billsec"), "");
    assert!(events.iter().any(|e| e.event("Event-Name") == "CHANNEL_EXECUTE"
        && e.event("Application") == "bridge"
        && e.event("Application-UUID").len() == 36));
}

#[test]
fn a_refusal_is_told_of_with_its_status_cause_and_phrase() {
    let bed = Bed::new();
    let mut client = bed.client();
    client.ask("event plain CHANNEL_HANGUP CHANNEL_HANGUP_COMPLETE");
    let mut caller = bed.call("1001");
    let invite = expect(&bed.callee, "INVITE ");
    respond(&bed.callee, bed.sip, &invite, "486 Far Too Busy", "");
    caller.expect("SIP/2.0 486");
    let mut told = Vec::new();
    while told.len() < 4 {
        told.push(client.next());
    }
    for event in told {
        let seen = [
            "sip_term_status",
            "sip_term_cause",
            "proto_specific_hangup_cause",
            "sip_hangup_phrase",
            "sip_hangup_disposition",
        ]
        .map(|name| event.event(&format!("variable_{name}")));
        match event.event("Call-Direction").as_str() {
            "outbound" => assert_eq!(seen, ["486", "17", "sip:486", "", "recv_refuse"]),
            _ => assert_eq!(seen, ["", "", "", "Far Too Busy", "send_refuse"]),
        }
    }
}

#[test]
fn a_call_is_read_changed_and_ended_by_commands() {
    let bed = Bed::new();
    let mut client = bed.client();
    client.ask("event plain CHANNEL_PARK CHANNEL_HANGUP_COMPLETE");
    let mut caller = bed.call("7000");
    caller.answered();
    let uuid = client.event("CHANNEL_PARK").event("Unique-ID");
    assert_eq!(client.api(&format!("uuid_exists {uuid}")), "true");
    assert_eq!(client.api(&format!("uuid_setvar {uuid} a one two")), "+OK\n");
    assert_eq!(client.api(&format!("uuid_getvar {uuid} a")), "one two");
    assert_eq!(client.api(&format!("uuid_setvar_multi {uuid} b=1;c=2")), "+OK\n");
    assert_eq!(client.api(&format!("uuid_getvar {uuid} c")), "2");
    assert_eq!(client.api(&format!("uuid_getvar {uuid} nothing")), "_undef_");
    assert_eq!(client.api(&format!("uuid_getvar {uuid} destination_number")), "7000");
    assert_eq!(client.api("uuid_getvar no-such a"), "-ERR No such channel!\n");
    let dump = client.api(&format!("uuid_dump {uuid}"));
    assert!(dump.starts_with("Event-Name: CHANNEL_DATA\nCore-UUID: "), "{dump}");
    assert!(dump.contains("\nvariable_a: one%20two\n") && dump.ends_with("\n\n"), "{dump}");
    let dump: serde_json::Value =
        serde_json::from_str(&client.api(&format!("uuid_dump {uuid} json"))).expect("JSON");
    assert_eq!((&dump["variable_a"], &dump["Channel-Call-State"]), (&"one two".into(), &"ACTIVE".into()));
    assert!(client.api(&format!("uuid_dump {uuid} xml")).contains("<variable_b>1</variable_b>"));
    assert!(client.api(&format!("uuid_dump {uuid} plain")).contains("variable_a: [one two]\n"));
    assert_eq!(client.api(&format!("uuid_kill {uuid} USER_BUSY")), "+OK\n");
    caller.expect_bye();
    let event = client.event("CHANNEL_HANGUP_COMPLETE");
    assert_eq!(event.event("Hangup-Cause"), "USER_BUSY");
    until("its uuid is free", || bed.legs() == 0);
    assert_eq!(client.api(&format!("uuid_exists {uuid}")), "false");
    assert_eq!(client.api(&format!("uuid_kill {uuid}")), "-ERR No such channel!\n");
    assert_eq!(client.api("uuid_kill"), "-USAGE: <uuid> [cause]\n");
}

#[test]
fn hupall_ends_those_that_match() {
    let bed = Bed::new();
    let mut client = bed.client();
    client.ask("event plain CHANNEL_PARK");
    let (mut one, mut two) = (bed.call("7000"), bed.call("7000"));
    one.answered();
    two.answered();
    let first = client.event("CHANNEL_PARK").event("Unique-ID");
    client.event("CHANNEL_PARK");
    client.api(&format!("uuid_setvar {first} mark x"));
    let said = client.api("hupall NORMAL_CLEARING mark x");
    assert_eq!(said, "+OK hangup all channels matching [mark]=[x] with cause: NORMAL_CLEARING\n");
    until("one is over", || bed.legs() == 1);
    assert_eq!(client.api("hupall"), "+OK hangup all channels with cause MANAGER_REQUEST\n");
    until("both are over", || bed.legs() == 0);
}

#[test]
fn a_parked_call_does_what_it_is_sent() {
    let bed = Bed::new();
    let mut client = bed.client();
    client.ask("event plain CHANNEL_PARK CHANNEL_EXECUTE CHANNEL_EXECUTE_COMPLETE CHANNEL_HANGUP_COMPLETE");
    let mut caller = bed.call("7000");
    caller.answered();
    let uuid = client.event("CHANNEL_PARK").event("Unique-ID");
    let send = |client: &mut crate::bed::Client, text: &str| {
        let reply = client.ask(&format!("sendmsg {uuid}\n{text}"));
        reply.reply().to_owned()
    };
    assert_eq!(
        send(
            &mut client,
            "call-command: execute\nexecute-app-name: set\nexecute-app-arg: who=${caller_id_name}\nEvent-UUID: mine-1"
        ),
        "+OK"
    );
    let begun = client.event("CHANNEL_EXECUTE");
    assert_eq!(
        (begun.event("Application"), begun.event("Application-UUID")),
        ("set".to_owned(), "mine-1".to_owned())
    );
    let ended = client.event("CHANNEL_EXECUTE_COMPLETE");
    assert_eq!(
        (ended.event("Application-UUID"), ended.event("Application-Response")),
        ("mine-1".to_owned(), "_none_".to_owned())
    );
    assert_eq!(client.api(&format!("uuid_getvar {uuid} who")), "Al Pha");
    // In a row, each when the one before is done.
    for n in 1..4 {
        send(
            &mut client,
            &format!(
                "call-command: execute\nexecute-app-name: sleep\nexecute-app-arg: 50\nevent-lock: true\nEvent-UUID: s{n}"
            ),
        );
    }
    let told: Vec<_> = (0..6)
        .map(|_| {
            let event = client.next();
            (event.event("Event-Name"), event.event("Application-UUID"))
        })
        .collect();
    let expected: Vec<_> = (1..4)
        .flat_map(|n| {
            ["CHANNEL_EXECUTE", "CHANNEL_EXECUTE_COMPLETE"].map(|e| (e.to_owned(), format!("s{n}")))
        })
        .collect();
    assert_eq!(told, expected);
    assert_eq!(send(&mut client, "call-command: execute"), "-ERR no execute-app-name");
    assert_eq!(send(&mut client, "call-command: unicast"), "-ERR call-command unicast is not provided");
    assert_eq!(
        client.ask("sendmsg nobody\ncall-command: hangup").reply(),
        "-ERR invalid session id [nobody]"
    );
    assert_eq!(send(&mut client, "call-command: hangup\nhangup-cause: CALL_REJECTED"), "+OK");
    caller.expect_bye();
    assert_eq!(client.event("CHANNEL_HANGUP_COMPLETE").event("Hangup-Cause"), "CALL_REJECTED");
}

#[test]
fn one_call_alone_is_watched_to_its_end() {
    let bed = Bed::new();
    let mut first = bed.client();
    first.ask("event plain CHANNEL_PARK");
    let (mut mine, mut other) = (bed.call("7000"), bed.call("7000"));
    mine.answered();
    let uuid = first.event("CHANNEL_PARK").event("Unique-ID");
    other.answered();
    let mut client = bed.client();
    assert_eq!(client.ask("myevents no-such plain").reply(), "-ERR invalid uuid");
    assert_eq!(client.ask(&format!("myevents {uuid}")).reply(), "+OK Events Enabled");
    assert_eq!(client.ask(&format!("myevents {uuid}")).reply(), "-ERR already enabled.");
    assert_eq!(client.ask("linger 5").reply(), "+OK will linger 5 seconds");
    assert_eq!(client.ask("getvar destination_number").reply(), "-ERR no such variable");
    other.bye();
    mine.bye();
    let complete = client.event("CHANNEL_HANGUP_COMPLETE");
    assert_eq!(complete.event("Unique-ID"), uuid);
    let notice = loop {
        let frame = client.frame();
        if frame.kind() == "text/disconnect-notice" {
            break frame;
        }
        assert_eq!(frame.event("Unique-ID"), uuid);
    };
    assert_eq!((notice.header("Content-Disposition"), notice.header("Linger-Time")), ("linger", "5"));
    assert_eq!(notice.header("Controlled-Session-UUID"), uuid);
    assert_eq!(client.ask("exit").reply(), "+OK bye");
    assert_eq!(client.frame().header("Content-Disposition"), "disconnect");
}
