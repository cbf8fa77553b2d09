//! What happens to a call whose phone is gone.

use std::time::Duration;

use crate::baresip::Phone;
use crate::needs;
use crate::switch::{Setup, Switch};

/// kill -9 of a phone mid-call: the media timeout ends the other leg, and the log says why.
fn killed(callee_dies: bool, number: &str, setup: Setup) {
    needs!("baresip");
    let mut switch = Switch::start_with(setup);
    let mut a = Phone::new("1000", switch.sip(), 440.0).start();
    let mut b = Phone::new("1001", switch.sip(), 660.0).auto().start();
    a.dial(number);
    a.event("CALL_ESTABLISHED");
    b.event("CALL_ESTABLISHED");
    std::thread::sleep(Duration::from_secs(1));
    let (gone, left) = if callee_dies { (&mut b, &mut a) } else { (&mut a, &mut b) };
    gone.process.kill();
    assert!(
        left.event_within("CALL_CLOSED", Duration::from_secs(30)).is_some(),
        "the leg left over goes on for ever"
    );
    switch.expect_log(&["MEDIA_TIMEOUT"]);
}

fn by_profile() -> Setup {
    Setup { params: &[("rtp-timeout-sec", "3")], ..Setup::default() }
}

#[test]
fn a_killed_callee_ends_the_call() {
    killed(true, "1001", by_profile());
}

#[test]
fn a_killed_caller_ends_the_call() {
    killed(false, "1001", by_profile());
}

/// The variable of one call, in milliseconds, goes before the profile's parameter.
#[test]
fn the_time_limit_of_one_call_is_a_variable() {
    let extension = r#"
    <extension name="timed">
      <condition field="destination_number" expression="^7(10[01][0-9])$">
        <action application="export" data="media_timeout=3000"/>
        <action application="bridge" data="user/$1@${domain_name}"/>
      </condition>
    </extension>"#;
    killed(true, "71001", Setup { extension, ..Setup::default() });
}
