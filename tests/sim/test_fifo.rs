//! Queues: callers wait in turn, consumers serve them, members are called for them. Whoever dies at whatever moment, no
//! caller is lost or served twice, and nothing is left.

use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tandem::event::{Event, EventName};

use crate::net::{Weather, seeds};
use crate::office::{self, Ended, Office, worlds};
use crate::record::End;
use crate::script::{Act, Acts, Script, When, seconds};

const FIRST: usize = 10; // 1001
const SECOND: usize = 40; // 1004
const AGENT: usize = 60; // 1006
const OTHER: usize = 0; // 1000
/// A user with one phone.
const MEMBER: usize = 40; // 1004

const EXTENSIONS: &str = r#"
  <extension name="in"><condition field="destination_number" expression="^5900$">
    <action application="fifo" data="q@office.test in"/>
    <action application="respond" data="486"/>
  </condition></extension>
  <extension name="urgent"><condition field="destination_number" expression="^5902$">
    <action application="set" data="fifo_priority=1"/>
    <action application="fifo" data="q@office.test in undef local_stream://moh"/>
  </condition></extension>
  <extension name="not so"><condition field="destination_number" expression="^5903$">
    <action application="set" data="fifo_priority=7"/>
    <action application="fifo" data="q@office.test in"/>
  </condition></extension>
  <extension name="out"><condition field="destination_number" expression="^5901$">
    <action application="answer"/>
    <action application="fifo" data="q@office.test out nowait"/>
  </condition></extension>
  <extension name="agent"><condition field="destination_number" expression="^5910$">
    <action application="set" data="fifo_consumer_wrapup_time=2000"/>
    <action application="fifo" data="q@office.test,other@office.test out wait"/>
  </condition></extension>
  <extension name="elsewhere"><condition field="destination_number" expression="^5904$">
    <action application="set" data="fifo_orbit_exten=5906:7"/>
    <action application="set" data="fifo_caller_exit_key=59"/>
    <action application="fifo" data="q@office.test in"/>
    <action application="respond" data="487"/>
  </condition></extension>
  <extension name="goes on"><condition field="destination_number" expression="^5905$">
    <action application="set" data="fifo_orbit_exten=_continue_:7"/>
    <action application="fifo" data="q@office.test in undef undef noans"/>
    <action application="respond" data="486"/>
  </condition></extension>
  <extension name="orbit"><condition field="destination_number" expression="^5906$">
    <action application="answer"/>
    <action application="sleep" data="3000"/>
  </condition></extension>
  <extension name="with members"><condition field="destination_number" expression="^5920$">
    <action application="set" data="x=${fifo_member(add m@office.test {origination_caller_id_name=Queue}user/1004@office.test 1 12 4)}"/>
    <action application="fifo" data="m@office.test in"/>
  </condition></extension>
  <extension name="with nobody"><condition field="destination_number" expression="^5921$">
    <action application="set" data="x=${fifo_member(add n@office.test user/1999@office.test 1 12 4)}"/>
    <action application="set" data="fifo_orbit_exten=_continue_:20"/>
    <action application="fifo" data="n@office.test in"/>
    <action application="set" data="y=${fifo(count n@office.test)}"/>
    <action application="set" data="x=${fifo_member(del n@office.test user/1999@office.test)}"/>
  </condition></extension>
  <extension name="nonsense"><condition field="destination_number" expression="^5930$">
    <action application="fifo" data=""/>
    <action application="fifo" data="q@office.test"/>
    <action application="fifo" data="q@office.test up"/>
    <action application="fifo" data="a,b in"/>
    <action application="fifo" data="a out sometimes"/>
    <action application="set" data="fifo_strategy=none"/>
    <action application="fifo" data="a out nowait"/>
    <action application="set" data="x=${fifo(count)}"/>
    <action application="respond" data="486"/>
  </condition></extension>"#;

fn plays(scripts: Vec<Script>) -> (Vec<Ended>, Vec<Event>) {
    office::plays(EXTENSIONS, scripts, nothing_is_left)
}

fn nothing_is_left(office: &Office) {
    let exchange = &office.switch.exchange;
    exchange.stores.fifos.remove_member("m@office.test", &tandem::config::fifo::member_id(MEMBER_URL));
    assert_eq!(exchange.stores.fifos.waiting(), 0, "callers");
    assert_eq!(exchange.stores.fifos.counts(), [], "queues");
    assert_eq!(exchange.presence.users(), 0, "lamps");
}

const MEMBER_URL: &str = "{origination_caller_id_name=Queue}user/1004@office.test";

fn actions<'e>(events: &'e [Event], name: &str) -> Vec<&'e str> {
    let of_queue = events.iter().filter(|event| {
        event.name == EventName::Custom("fifo::info") && event.header("FIFO-Name") == Some(name)
    });
    of_queue.filter_map(|event| event.header("FIFO-Action")).collect()
}

/// The variables a caller ended with.
fn variable(events: &[Event], number: &str, name: &str) -> String {
    let ended = events.iter().filter(|event| event.name == EventName::ChannelHangupComplete);
    let mut of_call = ended.filter(|event| event.header("Caller-Destination-Number") == Some(number));
    let found = of_call.find_map(|event| event.header(&format!("variable_{name}")));
    found.unwrap_or_default().to_owned()
}

const BYED: Option<End> = Some(End::Byed);
const HUNG_UP: Option<End> = Some(End::HungUp);

#[test]
fn a_parked_call_is_fetched() {
    let (ends, events) = plays(vec![
        Script::service(AGENT, "5901", 0, 20),
        Script::service(FIRST, "5900", 2, 60),
        Script::service(AGENT, "5901", 10, 5),
    ]);
    assert_eq!(ends, [(BYED, 0), (BYED, 15), (HUNG_UP, 15)]);
    assert_eq!(
        actions(&events, "q@office.test"),
        [
            "consumer_start",
            "consumer_stop",
            "push",
            "consumer_start",
            "caller_pop",
            "consumer_pop",
            "bridge-caller-start",
            "channel-consumer-start",
            "bridge-consumer-start",
            "channel-consumer-stop",
            "bridge-consumer-stop",
            "consumer_stop",
            "bridge-caller-stop"
        ]
    );
    for (name, value) in [("fifo_status", "DONE"), ("fifo_role", "caller"), ("fifo_position", "1")] {
        assert_eq!(variable(&events, "5900", name), value, "{name}");
    }
}

/// One agent serves three callers by priority, then in the order they came, with a pause after each.
#[test]
fn an_agent_serves_callers_in_turn() {
    let (ends, _) = plays(vec![
        Script::service(FIRST, "5900", 0, 10), // served at once, for its talk's rest
        Script::service(SECOND, "5903", 1, 40),
        Script::service(70, "5902", 2, 40),
        Script::service(AGENT, "5910", 3, 60),
    ]);
    // 5900 has priority 0: from 3 to 10; from 12 on 5902, to 42; from 44 on 5903, to 41: it has gone before.
    assert_eq!(ends[0], (HUNG_UP, 10));
    assert_eq!(ends[2], (HUNG_UP, 42));
    assert_eq!(ends[1], (HUNG_UP, 41));
    assert_eq!(ends[3], (HUNG_UP, 63));
}

#[test]
fn the_exit_key_of_an_agent_sends_the_caller_away() {
    let mut agent = Script::service(AGENT, "5910", 0, 30);
    agent.caller_acts.push((When::Up(seconds(10)), Act::Digit('*')));
    let (ends, events) =
        plays(vec![agent, Script::service(FIRST, "5900", 5, 60), Script::service(SECOND, "5900", 6, 60)]);
    // 12: the wrap-up is over, the next caller is served until the agent goes.
    assert_eq!(ends, [(HUNG_UP, 30), (BYED, 10), (BYED, 30)]);
    let all = "q@office.test,other@office.test";
    assert_eq!(
        actions(&events, all),
        ["consumer_start", "consumer_wrapup", "consumer_reentrance", "consumer_stop"]
    );
}

#[test]
fn a_caller_nobody_serves_goes_elsewhere() {
    let mut presses = Script::service(SECOND, "5904", 0, 60);
    presses.caller_acts.push((When::Up(seconds(2)), Act::Digit('9')));
    let (ends, events) = plays(vec![
        Script::service(FIRST, "5904", 0, 60),
        presses,
        Script::service(AGENT, "5905", 0, 60),
        Script::service(70, "5930", 0, 60),
        Script::service(OTHER, "5900", 0, 4),
    ]);
    let failed = |status, at| (Some(End::Failed(status)), at);
    // The key leads to the next action: an answered call gets BYE for any status.
    assert_eq!(ends, [(BYED, 10), (BYED, 2), failed(486, 7), failed(486, 0), (HUNG_UP, 4)]);
    let all = actions(&events, "q@office.test");
    assert_eq!(all.iter().filter(|action| **action == "timeout").count(), 2);
    assert_eq!(all.iter().filter(|action| **action == "abort").count(), 2);
}

//------------ Members ------------------------------------------------------------------------------------------

fn member(acts: Acts) -> Vec<(usize, Acts)> {
    vec![(MEMBER, acts)]
}

#[test]
fn a_member_is_called_for_a_caller() {
    let answers = vec![
        (When::Begun(seconds(1)), Act::Ring),
        (When::Begun(seconds(4)), Act::Answer),
        (When::Up(seconds(10)), Act::HangUp),
    ];
    let script = Script::among(FIRST, "5920", Duration::ZERO, vec![], member(answers));
    let (ends, events) = plays(vec![script]);
    assert_eq!(ends, [(BYED, 14)]);
    assert_eq!(
        actions(&events, "m@office.test"),
        ["push", "pre-dial", "post-dial", "bridge-caller-start", "bridge-caller-stop"]
    );
    assert_eq!(variable(&events, "5920", "fifo_status"), "DONE");
    assert_eq!(variable(&events, "1004", "fifo_role"), "consumer");
}

/// A member who refuses is called again after its lag; the caller waits on.
#[test]
fn a_member_who_refuses_is_called_again() {
    let refuses = vec![(When::Begun(seconds(1)), Act::Refuse(486))];
    let ours = vec![(When::Up(seconds(30)), Act::HangUp)];
    let script = Script::among(FIRST, "5920", Duration::ZERO, ours, member(refuses));
    let (ends, events) = plays(vec![script]);
    assert_eq!(ends, [(HUNG_UP, 30)]);
    let calls = actions(&events, "m@office.test").iter().filter(|action| **action == "pre-dial").count();
    assert_eq!(calls, 5, "at 0, 6, 12, 18, 24: a second to refuse, five of rest");
    let (ends, events) = plays(vec![Script::service(FIRST, "5921", 0, 60)]);
    assert_eq!(ends, [(BYED, 20)]);
    assert_eq!(variable(&events, "5921", "y"), "n@office.test:0:0:1:0:0\n");
}

/// While a member rings, a consumer takes the caller: the member stops ringing.
#[test]
fn a_consumer_is_quicker_than_a_member() {
    let extensions = EXTENSIONS.replace("fifo\" data=\"q@office.test out", "fifo\" data=\"m@office.test out");
    office::run(async {
        let mut office = Office::open(0, Weather::fine(), &extensions).await;
        let rings = vec![(When::Begun(seconds(1)), Act::Ring)];
        office.plan(Script::among(FIRST, "5920", Duration::ZERO, vec![], member(rings)));
        office.plan(Script::service(AGENT, "5901", 5, 10));
        office.play().await;
        {
            let book = office.book.lock().unwrap();
            assert_eq!(book[0].caller.ended(), BYED);
            assert_eq!(book[0].callees[&MEMBER].ended(), Some(End::Cancelled));
            assert_eq!(book[1].caller.ended(), HUNG_UP);
        }
        nothing_is_left(&office);
        office.close().await;
    });
}

//------------ At any moment ------------------------------------------------------------------------------------

/// Callers, agents and members come and go and die as they like; nobody is left alone for ever, nothing is left.
#[test]
fn legs_go_at_any_moment() {
    for seed in seeds(worlds()) {
        let mut rng = SmallRng::seed_from_u64(seed);
        let weather = if seed % 2 == 0 { Weather::fine() } else { Weather::rough(0.03) };
        office::run(async {
            let mut office = Office::open(seed, weather, EXTENSIONS).await;
            for _ in 0..40 {
                let caller = office.some_phone();
                let number = ["5900", "5901", "5902", "5904", "5910", "5920"][rng.random_range(0..6)];
                let after = Duration::from_millis(rng.random_range(0..9_000));
                let when = if rng.random_bool(0.5) { When::Up(after) } else { When::Begun(after) };
                let act = match rng.random_range(0..5) {
                    0 => Act::Vanish,
                    1 => Act::Cancel,
                    2 => Act::Digit('*'),
                    _ => Act::HangUp,
                };
                let ours = vec![(when, act), (When::Up(seconds(40)), Act::HangUp)];
                let picks_up = Duration::from_millis(rng.random_range(0..6_000));
                let theirs = match rng.random_range(0..3) {
                    0 => vec![(When::Begun(picks_up), Act::Answer), (When::Up(after), Act::HangUp)],
                    1 => vec![(When::Begun(picks_up), Act::Refuse(486))],
                    _ => vec![(When::Begun(picks_up), Act::Answer), (When::Up(after), Act::Vanish)],
                };
                let at = Duration::from_millis(rng.random_range(0..30_000));
                office.plan(Script::among(caller, number, at, ours, member(theirs)));
            }
            office.play().await;
            nothing_is_left(&office);
            office.close().await;
        });
    }
}

/// Every caller who waits long enough is served just once, however many agents die on the way.
#[test]
fn no_caller_is_lost() {
    for seed in 0..worlds() {
        let mut rng = SmallRng::seed_from_u64(seed);
        office::run(async {
            let mut office = Office::open(seed, Weather::fine(), EXTENSIONS).await;
            let mut ear = office.switch.exchange.events.listen();
            for (n, caller) in [FIRST, SECOND, 50, 70].into_iter().enumerate() {
                office.plan(Script::service(caller, "5900", n as u64, 600));
            }
            // Agents who go within milliseconds of when they take a caller.
            for n in 0..20 {
                let mut script = Script::service(AGENT, "5901", 0, 600);
                script.at = seconds(10) + Duration::from_millis(n * 97);
                let after = Duration::from_millis(rng.random_range(0..120));
                script.caller_acts =
                    vec![(When::Begun(after), Act::Cancel), (When::Up(Duration::ZERO), Act::Vanish)];
                office.plan(script);
            }
            // And those who serve.
            for n in 0..4 {
                office.plan(Script::service(OTHER, "5901", 30 + 10 * n, 5));
            }
            office.play().await;
            let mut started = 0;
            while let Ok(event) = ear.try_recv() {
                started += usize::from(event.header("FIFO-Action") == Some("bridge-caller-start"));
            }
            {
                let book = office.book.lock().unwrap();
                let waiting: Vec<_> = book[..4].iter().map(|call| call.caller.ended()).collect();
                assert!(waiting.iter().all(|end| *end == BYED), "seed {seed}: {waiting:?}");
            }
            assert!(started >= 4, "seed {seed}: {started}");
            nothing_is_left(&office);
            office.close().await;
        });
    }
}
