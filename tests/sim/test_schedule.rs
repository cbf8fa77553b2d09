//! What is put off is done when its time has come, and what is called off is not.

use std::time::Duration;

use tandem::event::{Event, EventName};

use crate::net::Weather;
use crate::office::{self, Office};
use crate::record::End;
use crate::script::{Kind, Script};

const CALLER: usize = 10; // 1001

const EXTENSIONS: &str = r#"
  <extension name="ends"><condition field="destination_number" expression="^7100$">
    <action application="answer"/>
    <action application="sched_hangup" data="+5 USER_BUSY"/>
    <action application="park"/>
  </condition></extension>
  <extension name="ends at once"><condition field="destination_number" expression="^7101$">
    <action application="sched_hangup" data="+0 USER_BUSY"/>
    <action application="park"/>
  </condition></extension>
  <extension name="moves"><condition field="destination_number" expression="^7102$">
    <action application="set" data="after=5"/>
    <action application="sched_transfer" data="+${after} moved XML default"/>
    <action application="ring_ready"/>
    <action application="sleep" data="60000"/>
  </condition></extension>
  <extension name="moved"><condition field="destination_number" expression="^moved$">
    <action application="respond" data="${cond('${last_sched_id}' != '' ? 480 : 500)}"/>
  </condition></extension>
  <extension name="calls off"><condition field="destination_number" expression="^7103$">
    <action application="answer"/>
    <action application="sched_hangup" data="+5"/>
    <action application="sched_transfer" data="+6 7101"/>
    <action application="sched_cancel"/>
    <action application="sleep" data="20000"/>
  </condition></extension>
  <extension name="broadcasts"><condition field="destination_number" expression="^7104$">
    <action application="answer"/>
    <action application="set" data="seen=no"/>
    <action application="set" data="said=yes"/>
    <action application="sched_broadcast" data="+5 set::seen=\${said}-${destination_number}"/>
    <action application="sched_broadcast" data="+6 ivr/welcome.wav"/>
    <action application="sched_broadcast" data="+7 playback::welcome.wav"/>
    <action application="sched_broadcast" data="+8 eval!user_busy::x"/>
    <action application="park"/>
  </condition></extension>
  <extension name="other"><condition field="destination_number" expression="^7105$">
    <action application="sched_hangup" data="+5 normal_clearing bleg"/>
    <action application="sched_broadcast" data="+3 set::told=${caller_id_number} bleg"/>
    <action application="bridge" data="user/1004@office.test"/>
    <action application="respond" data="480"/>
  </condition></extension>
  <extension name="nonsense"><condition field="destination_number" expression="^7106$">
    <action application="sched_hangup" data=""/>
    <action application="sched_hangup" data="soon"/>
    <action application="sched_transfer" data="+1"/>
    <action application="sched_transfer" data=""/>
    <action application="sched_broadcast" data="+1"/>
    <action application="sched_broadcast" data="+1 nonsense::x"/>
    <action application="sched_broadcast" data="+1 eval::x left"/>
    <action application="sched_cancel" data="nobody"/>
    <action application="sched_cancel" data="4000000000"/>
    <action application="sched_heartbeat" data="often"/>
    <action application="sleep" data="5000"/>
    <action application="respond" data="486"/>
  </condition></extension>
  <extension name="beats"><condition field="destination_number" expression="^7107$">
    <action application="answer"/>
    <action application="sched_heartbeat" data="3"/>
    <action application="sleep" data="10000"/>
    <action application="enable_heartbeat" data="4"/>
    <action application="sleep" data="10000"/>
    <action application="sched_heartbeat" data="0"/>
    <action application="sleep" data="10000"/>
  </condition></extension>
  <extension name="gone"><condition field="destination_number" expression="^7108$">
    <action application="answer"/>
    <action application="sched_hangup" data="+3600"/>
    <action application="sched_transfer" data="30 7100"/>
    <action application="sleep" data="70000"/>
  </condition></extension>
"#;

/// Calls a number, and answers what the caller heard, after how long, and every event.
fn call(number: &str, talk: u64) -> (Option<End>, Duration, Vec<Event>) {
    let mut said = None;
    office::run(async {
        let mut office = Office::open(0, Weather::fine(), EXTENSIONS).await;
        let mut ear = office.switch.exchange.events.listen();
        let seconds = Duration::from_secs(talk);
        let mut script = Script::exactly(CALLER, number, Duration::ZERO, seconds, vec![], vec![]);
        script.kind = Kind::Service;
        office.plan(script);
        let begun = tokio::time::Instant::now();
        office.play().await;
        let schedule = &office.switch.exchange.stores.schedule;
        assert!(schedule.is_empty(), "{:?}", schedule.tasks());
        let mut events = Vec::new();
        while let Ok(event) = ear.try_recv() {
            events.push((*event).clone());
        }
        let (end, at) = {
            let book = office.book.lock().unwrap();
            (book[0].caller.ended(), book[0].caller.end.map(|(at, _)| at))
        };
        let lasted = at.map_or(Duration::ZERO, |at| at.duration_since(begun.into_std()));
        said = Some((end, lasted, events));
        office.close().await;
    });
    said.unwrap()
}

fn count(events: &[Event], name: EventName) -> usize {
    events.iter().filter(|event| event.name == name).count()
}

fn last(events: &[Event], variable: &str) -> String {
    let mut ended = events.iter().filter(|event| event.name == EventName::ChannelHangupComplete);
    let found = ended.find_map(|event| event.header(&format!("variable_{variable}")));
    found.unwrap_or_default().to_owned()
}

#[test]
fn a_hangup_comes_when_it_is_due() {
    let (end, lasted, events) = call("7100", 60);
    assert_eq!((end, lasted.as_secs()), (Some(End::Byed), 5));
    assert_eq!(last(&events, "hangup_cause"), "USER_BUSY");
    assert_eq!((count(&events, EventName::AddSchedule), count(&events, EventName::DelSchedule)), (1, 1));
    let added = events.iter().find(|event| event.name == EventName::AddSchedule).unwrap();
    assert_eq!(added.header("Task-Desc"), Some("switch_ivr_schedule_hangup"));
    assert_eq!(added.header("Task-Group").map(str::len), Some(36));
    let (end, lasted, _) = call("7101", 60);
    assert_eq!((end, lasted.as_secs()), (Some(End::Failed(486)), 0));
}

#[test]
fn a_transfer_takes_a_call_away_from_what_it_does() {
    let (end, lasted, _) = call("7102", 60);
    assert_eq!((end, lasted.as_secs()), (Some(End::Failed(480)), 5));
}

#[test]
fn what_is_called_off_is_not_done() {
    let (end, lasted, events) = call("7103", 60);
    assert_eq!((end, lasted.as_secs()), (Some(End::Byed), 20));
    assert_eq!((count(&events, EventName::AddSchedule), count(&events, EventName::DelSchedule)), (2, 2));
}

#[test]
fn an_application_is_broadcast_and_a_file_is_not() {
    let (end, lasted, events) = call("7104", 60);
    assert_eq!((end, lasted.as_secs()), (Some(End::Byed), 8));
    assert_eq!(count(&events, EventName::AddSchedule), 2, "neither file was put off");
    assert_eq!(last(&events, "seen"), "yes-7104");
    assert_eq!(last(&events, "hangup_cause"), "USER_BUSY");
}

#[test]
fn the_other_leg_is_meant() {
    let (end, lasted, events) = call("7105", 60);
    assert_eq!((end, lasted.as_secs()), (Some(End::Byed), 5));
    assert_eq!(last(&events, "told"), "1001");
}

#[test]
fn nonsense_does_nothing() {
    let (end, lasted, events) = call("7106", 60);
    assert_eq!((end, lasted.as_secs()), (Some(End::Failed(486)), 5));
    assert_eq!(count(&events, EventName::AddSchedule), 0);
}

#[test]
fn a_leg_says_that_it_is_there() {
    let (end, _, events) = call("7107", 60);
    assert_eq!(end, Some(End::Byed));
    assert_eq!(count(&events, EventName::SessionHeartbeat), 3 + 2);
}

/// What repeats goes on until the leg is gone, and nothing is left of its tasks then.
#[test]
fn a_call_takes_its_tasks_with_it() {
    let (end, lasted, events) = call("7108", 40);
    // After 30 s it goes to 7100, which ends it 5 s later.
    assert_eq!((end, lasted.as_secs()), (Some(End::Byed), 35));
    assert_eq!(count(&events, EventName::ReSchedule), 1);
    assert_eq!((count(&events, EventName::AddSchedule), count(&events, EventName::DelSchedule)), (3, 3));
}
