//! freeswitch-esl-tokio, a client in Rust that people use, unmodified: the same dialler as those of `test_clients`.

use std::time::Duration;

use freeswitch_esl_tokio::{
    AppCommand, BgJobTracker, EslClient, EslEvent, EslEventStream, EslEventType, EventFormat, HangupCause,
    HeaderLookup,
};
use tokio::net::TcpListener;

use crate::baresip::Phone;
use crate::needs;
use crate::process::PATIENCE;
use crate::switch::{PASSWORD, Setup, Switch};
use crate::test_clients::PROGRAM;

/// The next event of this kind about this leg.
async fn hear(events: &mut EslEventStream, kind: EslEventType, leg: &str) -> EslEvent {
    let next = async {
        while let Some(event) = events.try_next().await.expect("an event") {
            if event.is_event_type(kind) && event.unique_id() == Some(leg) {
                return event;
            }
        }
        panic!("the connection ends before {kind:?}")
    };
    tokio::time::timeout(PATIENCE, next).await.unwrap_or_else(|_| panic!("no {kind:?}"))
}

/// The program a call is sent to: takes it over, sets a variable, rejects it; says which leg it was.
async fn program(listener: TcpListener) -> String {
    let (call, mut events) = EslClient::accept_outbound(&listener).await.expect("a call");
    let about = call.connect_session().await.expect("connect").into_result().expect("let in");
    call.myevents(EventFormat::Plain).await.expect("myevents");
    call.linger(Some(Duration::from_secs(5))).await.expect("linger");
    let leg = about.header("Unique-ID").expect("its uuid").to_owned();
    call.send_command(AppCommand::set_var("taken", "yes")).await.expect("sent").check().expect("set");
    let done = hear(&mut events, EslEventType::ChannelExecuteComplete, &leg).await;
    assert_eq!(done.header_str("Application"), Some("set"));
    let reject = AppCommand::hangup(Some(HangupCause::CallRejected));
    call.send_command(reject).await.expect("sent").check().expect("hangup");
    hear(&mut events, EslEventType::ChannelHangupComplete, &leg).await;
    leg
}

#[test]
fn esl_tokio_rings_transfers_and_takes_over() {
    needs!("baresip");
    let switch = Switch::start_with(Setup { extension: PROGRAM, ..Setup::default() });
    let mut phone = Phone::new("1000", switch.sip(), 440.0).auto().start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(drive(&switch.ip().to_string()));
    phone.event("CALL_ESTABLISHED");
    phone.event("CALL_CLOSED");
}

async fn drive(host: &str) {
    let refused = EslClient::connect(host, 8021, "wrong").await;
    assert!(refused.is_err(), "a wrong password");
    let (client, mut events) = EslClient::connect(host, 8021, PASSWORD).await.expect("let in");
    let status = client.api("status").await.expect("an answer");
    assert!(status.api_result().expect("a status").contains("session(s) since startup"));
    assert!(client.api("nosuchapi").await.expect("an answer").api_result().is_err());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("its port").port();
    let program = tokio::spawn(program(listener));
    client.subscribe_all_events(EventFormat::Json).await.expect("events");
    let leg = "0198c000-0000-4000-8000-00000000abcd";
    let mut jobs: BgJobTracker<()> = BgJobTracker::new();
    let originate = format!("originate {{origination_uuid={leg}}}user/1000 &park()");
    jobs.send(&client, &originate).await.expect("a job");
    while let Some(event) = events.try_next().await.expect("an event") {
        if let Some(((), job)) = jobs.try_complete(&event) {
            assert_eq!(job.parse_body().expect("it answers").trim(), leg);
            break;
        }
    }
    let moved = client.api(&format!("uuid_transfer {leg} 77{port}")).await.expect("an answer");
    moved.api_result().expect("transferred");
    let end = hear(&mut events, EslEventType::ChannelHangupComplete, leg).await;
    assert_eq!(end.hangup_cause(), Ok(Some(HangupCause::CallRejected)));
    assert_eq!(end.variable_str("taken"), Some("yes"));
    assert_eq!(program.await.expect("the program"), leg);
    client.disconnect().await.expect("exit");
}
