//! What commands say, to the letter, on legs that live and on uuids nobody has; and what they do.

use std::time::Duration;

use tandem::api;
use tandem::event::{Event, EventName};

use crate::net::Weather;
use crate::office::{self, Office};
use crate::record::{Call, End};
use crate::script::{Act, Acts, Script, When, ms};

const AGENT: usize = 40; // 1004
const OTHER: usize = 60; // 1006
const A: &str = "aaaaaaaa-0000-4000-8000-000000000001";
const B: &str = "bbbbbbbb-0000-4000-8000-000000000002";
const NOBODY: &str = "dddddddd-0000-4000-8000-000000000009";

const EXTENSIONS: &str = r#"
  <extension name="stays"><condition field="destination_number" expression="^8000$">
    <action application="set" data="was=here"/>
    <action application="park"/>
  </condition></extension>
  <extension name="sleeps"><condition field="destination_number" expression="^8002$">
    <action application="sleep" data="600000"/>
    <action application="set" data="woke=up"/>
    <action application="park"/>
  </condition></extension>"#;

async fn say(office: &Office, line: &str) -> String {
    let line = line.replace("NOBODY", NOBODY).replace("AAA", A).replace("BBB", B);
    api::run(&office.switch.desk(), &line).await
}

/// Two legs that are answered and do not know each other; then each of these lines must be answered so.
fn talks(lines: &[(&str, &str)]) -> (Vec<Event>, Vec<Option<End>>) {
    let (mut events, mut ends) = (Vec::new(), Vec::new());
    office::run(async {
        let office = Office::open(0, Weather::fine(), EXTENSIONS).await;
        let acts: Acts = vec![(When::Begun(ms(100)), Act::Answer)];
        let script =
            Script::among(0, "", Duration::ZERO, Acts::new(), vec![(AGENT, acts.clone()), (OTHER, acts)]);
        office.book.lock().unwrap().push(Call::new(script));
        let mut ear = office.switch.exchange.events.listen();
        for (uuid, user) in [(A, 1004), (B, 1006)] {
            let line = format!(
                "originate {{sip_h_X-Call=0,origination_uuid={uuid}}}user/{user}@office.test &park()"
            );
            assert_eq!(say(&office, &line).await, format!("+OK {uuid}\n"));
        }
        for (line, answer) in lines {
            let said = say(&office, line).await;
            let answer = answer.replace("AAA", A).replace("BBB", B).replace("NOBODY", NOBODY);
            assert_eq!(said, answer, "{line}");
            tokio::time::sleep(ms(300)).await;
        }
        say(&office, "hupall").await;
        tokio::time::sleep(ms(1_000)).await;
        while let Ok(event) = ear.try_recv() {
            events.push((*event).clone());
        }
        {
            let book = office.book.lock().unwrap();
            ends =
                [AGENT, OTHER].map(|phone| book[0].callees.get(&phone).and_then(|side| side.ended())).into();
        }
        office.close().await;
    });
    (events, ends)
}

#[test]
fn where_channels_are_sent() {
    talks(&[
        ("uuid_bridge AAA BBB", "+OK BBB\n"),
        ("uuid_getvar AAA bridge_uuid", B),
        ("uuid_transfer AAA -both 8000", "+OK\n"),
        ("uuid_getvar AAA was", "here"),
        ("uuid_getvar BBB was", "here"),
        ("uuid_setvar AAA was", "+OK\n"),
        ("uuid_transfer AAA 8000 XML default", "+OK\n"),
        ("uuid_getvar AAA was", "here"),
        ("uuid_transfer AAA 'set:x=y,park' inline", "+OK\n"),
        ("uuid_getvar AAA x", "y"),
        ("uuid_transfer AAA -bleg 8000", "-ERR the channel is not bridged\n"),
        ("uuid_setvar AAA park_after_bridge true", "+OK\n"),
        ("uuid_setvar BBB park_after_bridge true", "+OK\n"),
        ("uuid_bridge AAA BBB", "+OK BBB\n"),
        ("uuid_setvar BBB was", "+OK\n"),
        ("uuid_transfer AAA -bleg 8000", "+OK\n"),
        ("uuid_getvar BBB was", "here"),
        ("uuid_exists AAA", "true"),
        ("uuid_bridge BBB AAA", "+OK AAA\n"),
        ("uuid_setvar AAA was", "+OK\n"),
        ("uuid_dual_transfer AAA 8000/XML/default set:z=1,park/inline", "+OK\n"),
        ("uuid_getvar AAA was", "here"),
        ("uuid_getvar BBB z", "1"),
        ("uuid_park BBB", "+OK\n"),
        ("uuid_bridge NOBODY AAA", "-ERR Invalid uuid\n"),
        ("uuid_bridge AAA NOBODY", "-ERR Invalid uuid\n"),
        ("uuid_bridge AAA AAA", "-ERR Invalid uuid\n"),
        ("uuid_bridge AAA NOBODY BBB", "+OK BBB\n"),
        ("uuid_bridge AAA", "-USAGE: <uuid> <other_uuid>\n"),
        ("uuid_transfer NOBODY 8000", "-ERR No such channel!\n"),
        ("uuid_transfer AAA", "-USAGE: <uuid> [-bleg|-both] <dest-exten> [<dialplan>] [<context>]\n"),
        ("uuid_park NOBODY", "-ERR No such channel!\n"),
        ("uuid_park", "-USAGE: <uuid>\n"),
        ("uuid_dual_transfer NOBODY 1 2", "-ERR No such channel!\n"),
    ]);
}

#[test]
fn what_runs_in_the_middle_of_a_call() {
    let (events, _) = talks(&[
        ("uuid_broadcast AAA set::seen=yes", "+OK Message sent\n"),
        ("uuid_getvar AAA seen", "yes"),
        ("uuid_bridge AAA BBB", "+OK BBB\n"),
        ("uuid_broadcast AAA set::both=yes both", "+OK Message sent\n"),
        ("uuid_getvar AAA both", "yes"),
        ("uuid_getvar BBB both", "yes"),
        ("uuid_getvar AAA bridge_uuid", B),
        ("uuid_broadcast NOBODY set::a=b", "-ERR invalid uuid\n"),
        ("uuid_broadcast AAA", "-USAGE: <uuid> <path> [aleg|bleg|holdb|both]\n"),
        ("uuid_broadcast AAA ivr/welcome.wav", "-ERR playing ivr/welcome.wav is not provided yet\n"),
        ("uuid_broadcast AAA playback::welcome.wav", "-ERR playback is not provided yet\n"),
        ("uuid_broadcast AAA nonsense::x", "-ERR invalid application nonsense\n"),
        ("uuid_transfer AAA 8002", "+OK\n"),
        ("uuid_getvar AAA woke", "_undef_"),
        ("uuid_break AAA", "+OK\n"),
        ("uuid_getvar AAA woke", "up"),
        ("break AAA all", "+OK\n"),
        ("uuid_break NOBODY", "-ERR No such channel!\n"),
        ("uuid_break", "-USAGE: <uuid> [all]\n"),
        ("uuid_session_heartbeat AAA 1", "+OK\n"),
        ("msleep 2500", "+OK"),
        ("uuid_session_heartbeat AAA sched 0", "+OK\n"),
        ("uuid_session_heartbeat AAA", "-USAGE: uuid_session_heartbeat <uuid> [sched] [0|<seconds>]\n"),
        (
            "uuid_session_heartbeat NOBODY 1",
            "-ERR Cannot locate session. USAGE: uuid_session_heartbeat <uuid> [sched] [0|<seconds>]\n",
        ),
    ]);
    let beats = events.iter().filter(|event| event.name == EventName::SessionHeartbeat).count();
    assert!((2..=3).contains(&beats), "{beats}");
}

#[test]
fn what_the_far_end_is_told() {
    let (events, _) = talks(&[
        ("uuid_hold AAA", "+OK Success\n"),
        ("uuid_hold AAA", "+OK Success\n"),
        ("uuid_hold off AAA", "+OK Success\n"),
        ("uuid_hold toggle AAA", "+OK Success\n"),
        ("uuid_hold toggle AAA", "+OK Success\n"),
        ("uuid_hold NOBODY", "-ERR Operation failed\n"),
        ("uuid_hold", "-USAGE: [off|toggle] <uuid> [<display>]\n-ERR Operation failed\n"),
        ("uuid_answer AAA", "+OK\n"),
        ("uuid_answer NOBODY", "-ERROR\n"),
        ("uuid_pre_answer AAA", "+OK\n"),
        ("uuid_pre_answer NOBODY", "-ERROR\n"),
        ("uuid_ring_ready AAA", "+OK\n"),
        ("uuid_ring_ready AAA queued", "+OK\n"),
        ("uuid_ring_ready AAA soon", "-USAGE: <uuid> [queued]\n"),
        ("uuid_ring_ready NOBODY", "-ERROR\n"),
        ("uuid_send_dtmf AAA 12#@100", "+OK AAA sent DTMF 12#@100.\n"),
        ("uuid_send_dtmf AAA 1w2", "+OK AAA sent DTMF 1w2.\n"),
        ("uuid_send_dtmf AAA x", "-ERR Operation failed\n"),
        ("uuid_send_dtmf NOBODY 1", "-ERR Cannot locate session!\n"),
        ("uuid_send_dtmf AAA", "-USAGE: <uuid> <dtmf_data>\n"),
        ("uuid_recv_dtmf AAA 7*", "+OK AAA received DTMF 7*.\n"),
        ("uuid_recv_dtmf AAA x", "-USAGE: <uuid> <dtmf_data>\n"),
        ("uuid_recv_dtmf NOBODY 1", "-ERR Cannot locate session!\n"),
        ("uuid_flush_dtmf AAA", "+OK\n"),
        ("uuid_flush_dtmf NOBODY", "-ERR No such session\n"),
        ("uuid_send_info AAA hello", "+OK Success\n"),
        ("uuid_send_info AAA text plain 'hello there'", "+OK Success\n"),
        ("uuid_send_info AAA text plain", "-USAGE: <uuid> [<mime_type> <mime_subtype>] <message>\n"),
        ("uuid_send_info AAA te;xt plain hello", "-ERR Operation Failed\n"),
        ("uuid_send_info NOBODY hello", "-ERR Operation Failed\n"),
        ("uuid_send_message AAA hello", "+OK Success\n"),
        ("uuid_send_message NOBODY hello", "-ERR Unable to find session for UUID\n"),
        ("uuid_send_message AAA", "-USAGE: <uuid> <message>\n"),
        ("uuid_chat AAA hello there", "+OK\n"),
        ("uuid_chat NOBODY hello", "-ERR No such channel NOBODY!\n"),
        ("uuid_chat AAA", "-USAGE: <uuid> <text>\n"),
        ("uuid_phone_event AAA hold", "+OK Success\n"),
        ("uuid_phone_event AAA", "+OK Success\n"),
        ("uuid_phone_event NOBODY talk", "-ERR Operation failed\n"),
        ("uuid_buglist AAA", "<media-bugs/>\n"),
        ("uuid_redirect AAA sip:1@x", {
            "-ERR only a caller who is not answered yet can be redirected; use uuid_deflect\n"
        }),
        ("uuid_redirect NOBODY sip:1@x", "-ERR No such channel NOBODY!\n"),
        ("uuid_deflect NOBODY sip:1@x", "-ERR No such channel NOBODY!\n"),
        ("uuid_deflect AAA", "-USAGE: <uuid> <uri>\n"),
        ("uuid_record AAA start /tmp/x.wav", "-ERR uuid_record is not provided: nothing is recorded yet\n"),
        (
            "uuid_audio AAA start read mute",
            "-ERR uuid_audio is not provided: sound is relayed, not changed\n",
        ),
        ("tone_detect AAA fax 1100", "-ERR tone_detect is not provided: nothing listens to sound yet\n"),
    ]);
    let count = |name| events.iter().filter(|event| event.name == name).count();
    assert_eq!((count(EventName::ChannelHold), count(EventName::ChannelUnhold)), (2, 2));
    let digits: String = events
        .iter()
        .filter(|event| event.name == EventName::Dtmf && event.header("DTMF-Source") == Some("APP"))
        .filter_map(|event| event.header("DTMF-Digit"))
        .collect();
    assert_eq!(digits, "7*");
}

#[test]
fn what_is_put_off() {
    talks(&[
        ("sched_api +2 mine global_setvar done=yes", "+OK Added: 1\n"),
        ("sched_api +3 mine global_setvar more=yes", "+OK Added: 2\n"),
        ("sched_api @2 often msleep 0 &", "+OK Added: 3\n"),
        ("unsched_api 2", "+OK\n"),
        ("unsched_api 2", "-ERR No such id\n"),
        ("msleep 4000", "+OK"),
        ("global_getvar done", "yes"),
        ("global_getvar more", ""),
        ("sched_del often", "+OK Deleted: 1\n"),
        ("sched_del often", "+OK Deleted: 0\n"),
        ("sched_del", "-ERR Invalid syntax\n"),
        ("sched_api +1 x", "-ERR Invalid syntax. USAGE: [+@]<time> <group_name> <command_string>[&]\n"),
        (
            "sched_api soon x status",
            "-ERR Invalid syntax. USAGE: [+@]<time> <group_name> <command_string>[&]\n",
        ),
        ("sched_broadcast +1 AAA set::late=yes", "+OK Message scheduled\n"),
        ("sched_transfer +2 BBB 8000", "+OK\n"),
        ("msleep 2500", "+OK"),
        ("uuid_getvar AAA late", "yes"),
        ("uuid_getvar BBB was", "here"),
        ("sched_hangup +1 AAA USER_BUSY", "+OK\n"),
        ("uuid_exists AAA", "true"),
        ("msleep 1000", "+OK"),
        ("uuid_exists AAA", "false"),
        ("sched_hangup +0 BBB", "+OK\n"),
        ("uuid_exists BBB", "false"),
        ("sched_hangup +1 NOBODY", "-ERR No such channel!\n"),
        ("sched_transfer +1 NOBODY 8000", "-ERR No such channel!\n"),
        ("sched_broadcast +1 NOBODY set::a=b", "-ERR No such channel!\n"),
        ("sched_hangup", "-USAGE: [+]<time> <uuid> [<cause>]\n"),
    ]);
}

#[test]
fn the_switch_as_a_whole() {
    talks(&[
        ("fsctl pause outbound", "+OK\n"),
        ("fsctl pause_check outbound", "true"),
        ("fsctl pause_check inbound", "false"),
        ("fsctl pause_check", "false"),
        ("fsctl ready_check", "false"),
        ("originate user/1004@office.test &park()", "-ERR SWITCH_CONGESTION\n"),
        ("fsctl resume", "+OK\n"),
        ("fsctl pause", "+OK\n"),
        ("fsctl pause_check", "true"),
        ("fsctl resume inbound", "+OK\n"),
        ("fsctl resume outbound", "+OK\n"),
        ("fsctl ready_check", "true"),
        ("fsctl shutdown_check", "false"),
        ("fsctl max_sessions 2", "+OK max sessions: 2\n"),
        ("fsctl max_sessions", "+OK max sessions: 2\n"),
        ("originate user/1004@office.test &park()", "-ERR SWITCH_CONGESTION\n"),
        ("fsctl max_sessions 1000", "+OK max sessions: 1000\n"),
        ("fsctl sps 50", "+OK sessions per second: 50\n"),
        ("fsctl sps", "+OK sessions per second: 50\n"),
        ("fsctl last_sps", "+OK last sessions per second: 0\n"),
        ("fsctl sync_clock", "+OK clock synchronized\n"),
        ("fsctl min_idle_cpu", "+OK min idle cpu: DISABLED\n"),
        ("fsctl debug_level", "+OK DEBUG level: 0\n"),
        ("fsctl default_dtmf_duration", "+OK default dtmf duration: 2000\n"),
        ("fsctl loglevel", "+OK log level: INFO [6]\n"),
        ("fsctl loglevel loud", "-ERR syntax error, log level not set!\n"),
        ("console loglevel", "+OK console log level set to INFO\n"),
        ("console loglevel loud", "-ERR Invalid console loglevel (loud)!\n\n"),
        ("console loglevel 7", "-ERR the log level of this switch cannot be changed\n"),
        (
            "console",
            "-USAGE: loglevel [level]|colorize [on|toggle|off]|uuid [on|toggle|off]|json [on|toggle|off]\n",
        ),
        ("fsctl loglevel debug", "-ERR the log level of this switch cannot be changed\n"),
        ("fsctl recover", "-ERR recover is not provided: calls are not recovered after a restart\n"),
        ("fsctl crash", "-ERR crash is not provided: it would end every call\n"),
        ("fsctl shutdown restart", {
            "-ERR restart is not provided: let what has started the switch start it again\n"
        }),
        ("fsctl shutdown elegant", "+OK\n"),
        ("fsctl shutdown cancel", "+OK\n"),
        ("system ls", "-ERR system is not allowed: switch.conf has no allow-system=true\n"),
        ("bg_system ls", "-ERR bg_system is not allowed: switch.conf has no allow-system=true\n"),
        ("system", "-USAGE: <command>\n"),
        ("getenv NO_SUCH_VARIABLE_HERE", "_undef_"),
        (
            "xml_wrap echo <a>",
            "<result>\n  <row id=\"1\">\n    <data>&lt;a&gt;</data>\n  </row>\n</result>\n",
        ),
        ("bgapi", "-ERR Invalid syntax\n"),
        ("bgapi uuid:job-1 echo x", "+OK Job-UUID: job-1\n"),
        ("fsctl hupall", "+OK\n"),
        ("uuid_exists AAA", "false"),
        ("hupall normal_clearing", "+OK hangup all channels with cause NORMAL_CLEARING\n"),
        ("hupall", "+OK hangup all channels with cause MANAGER_REQUEST\n"),
        ("hupall USER_BUSY a b", "+OK hangup all channels matching [a]=[b] with cause: USER_BUSY\n"),
    ]);
}

#[test]
fn a_command_in_the_background_tells_by_an_event_what_it_said() {
    let (events, _) = talks(&[
        ("bgapi uuid:job-7 uuid_getvar AAA nothing", "+OK Job-UUID: job-7\n"),
        ("bgapi uuid:job-8 nonsense", "+OK Job-UUID: job-8\n"),
    ]);
    let jobs: Vec<_> = events.iter().filter(|event| event.name == EventName::BackgroundJob).collect();
    let told: Vec<_> = jobs.iter().map(|job| (job.header("Job-UUID"), job.body.as_deref())).collect();
    assert_eq!(
        told,
        [(Some("job-7"), Some("_undef_")), (Some("job-8"), Some("-ERR nonsense Command not found!\n"))]
    );
    assert_eq!(jobs[0].header("Job-Command"), Some("uuid_getvar"));
}

/// Line breaks, plain and escaped, in every argument: an answer is of one command, and a message of one header.
#[test]
fn nothing_breaks_out_of_an_argument() {
    for broken in ["\r\nX-Evil: 1", "\nX-Evil: 1", "%0aX-Evil:%201", "\r\n\r\nINVITE sip:x SIP/2.0\r\n\r\n"] {
        office::run(async {
            let office = Office::open(0, Weather::fine(), EXTENSIONS).await;
            let acts: Acts = vec![(When::Begun(ms(100)), Act::Answer)];
            let script = Script::among(0, "", Duration::ZERO, Acts::new(), vec![(AGENT, acts)]);
            office.book.lock().unwrap().push(Call::new(script));
            let line = format!(
                "originate '{{sip_h_X-Call=0,origination_uuid={A},sip_h_X-Own=a{broken}}}user/1004@office.test' &park() XML default 'Al{broken}' '555{broken}'"
            );
            assert_eq!(say(&office, &line).await, format!("+OK {A}\n"), "{broken:?}");
            for line in [
                "uuid_kill NOBODY*",
                "uuid_transfer AAA* 8000",
                "uuid_bridge AAA NOBODY*",
                "uuid_send_info AAA text* plain hello",
                "uuid_send_info AAA '*'",
                "uuid_send_message AAA '*'",
                "uuid_chat AAA a*",
                "uuid_phone_event AAA talk*",
                "uuid_deflect AAA sip:a*@b",
                "uuid_redirect AAA sip:a*@b",
                "uuid_chat NO*BODY x",
                "uuid_send_dtmf AAA 1*",
                "uuid_recv_dtmf AAA 1*",
                "uuid_broadcast AAA set*::a=b",
                "uuid_broadcast AAA set::a=b*",
                "sched_hangup +1* AAA",
                "sched_api +1 g* echo x",
                "fsctl max_sessions* 1",
                "fsctl loglevel* x",
                "bgapi uuid:j* echo x",
                "originate user/*@office.test &park()",
                "originate user/1999@office.test *",
                "originate sofia/internal*/1@192.0.2.9 &park()",
            ] {
                let said = say(&office, &line.replace('*', broken)).await;
                assert!(
                    !said.contains("\nX-Evil") && !said.contains("\nINVITE"),
                    "{line} {broken:?}: {said:?}"
                );
            }
            tokio::time::sleep(ms(3_000)).await;
            say(&office, "hupall").await;
            // Whatever was sent, the phone has understood it as what it was.
            tokio::time::sleep(ms(1_000)).await;
            {
                let book = office.book.lock().unwrap();
                assert!(matches!(book[0].callees[&AGENT].ended(), Some(End::Byed)), "{:?}", book[0]);
            }
            office.close().await;
        });
    }
}
