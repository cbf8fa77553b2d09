//! What happens to a call whose phone is gone.

use std::time::Duration;

use crate::baresip::Phone;
use crate::needs;
use crate::switch::{Setup, Switch};

/// kill -9 of a phone mid-call: the media timeout ends the other leg, and the log says why.
#[test]
fn a_killed_phone_ends_the_call() {
    needs!("baresip");
    let setup = Setup {
        files: vec![(
            "dialplan/default/00_test.xml",
            "<include>\n  <extension name=\"timed\">\n    <condition field=\"destination_number\" expression=\"^7(10[01][0-9])$\">\n\
             \x20     <action application=\"export\" data=\"media_timeout=3000\"/>\n\
             \x20     <action application=\"set\" data=\"rtp_timeout_sec=3\"/>\n\
             \x20     <action application=\"export\" data=\"rtp_timeout_sec=3\"/>\n\
             \x20     <action application=\"bridge\" data=\"user/$1@$${domain}\"/>\n    </condition>\n  </extension>\n</include>\n"
                .to_owned(),
        )],
        ..Setup::default()
    };
    for callee_dies in [true, false] {
        let mut switch = Switch::start_with(Setup { files: setup.files.clone(), ..Setup::default() });
        let mut a = Phone::new("1000", switch.sip(), 440.0).start();
        let mut b = Phone::new("1001", switch.sip(), 660.0).auto().start();
        a.dial("71001");
        a.event("CALL_ESTABLISHED");
        b.event("CALL_ESTABLISHED");
        std::thread::sleep(Duration::from_secs(1));
        let (gone, left) = if callee_dies { (&mut b, &mut a) } else { (&mut a, &mut b) };
        gone.process.kill();
        assert!(
            left.event_within("CALL_CLOSED", Duration::from_secs(30)).is_some(),
            "the leg left over goes on for ever (callee died: {callee_dies})"
        );
        switch.expect_log(&["MEDIA_TIMEOUT"]);
    }
}
