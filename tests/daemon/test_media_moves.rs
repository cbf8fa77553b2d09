//! What a program does at the event socket to the media of a call that is up, and to what its phones show, with real
//! phones: `uuid_media`, `sendmsg` with `nomedia`, `uuid_media_reneg`, `uuid_display`.

use std::time::{Duration, Instant};

use crate::baresip::{Baresip, Phone};
use crate::linphonec::Linphonec;
use crate::needs;
use crate::pjsua::{self, Pjsua};
use crate::program::Program;
use crate::switch::Switch;
use crate::tone::{assert_heard, listen};
use crate::wav::Wav;

const A: f64 = 440.0;
const B: f64 = 660.0;
const DONE: &str = "+OK Success\n";

fn talk(seconds: u64) {
    std::thread::sleep(Duration::from_secs(seconds));
}

/// A switch that logs every message, and a program at it.
struct Scene {
    switch: Switch,
    program: Program,
}

impl Scene {
    fn new() -> Scene {
        let switch = Switch::start();
        let mut program = Program::new(&switch);
        program.api("sofia global siptrace on");
        Scene { switch, program }
    }

    /// The two legs of the call that is up: the caller's, the callee's.
    fn legs(&mut self) -> [String; 2] {
        let shown = self.program.api("show channels");
        let leg = |direction: &str| {
            let of = |line: &&str| line.split(',').nth(1) == Some(direction);
            let line = shown.lines().find(of).unwrap_or_else(|| panic!("no {direction} leg: {shown}"));
            line.split(',').next().unwrap_or_default().to_owned()
        };
        [leg("inbound"), leg("outbound")]
    }

    #[track_caller]
    fn does(&mut self, command: &str, answer: &str) {
        // A phone's own re-INVITE may be under way.
        let until = Instant::now() + Duration::from_secs(3);
        let mut said = self.program.api(command);
        while said.contains("another offer is not answered yet") && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(50));
            said = self.program.api(command);
        }
        assert_eq!(said, answer, "{command}");
    }

    /// The switch stands still for longer than a gap may be: what is heard meanwhile goes past it.
    fn stands_still(&mut self) {
        let process = self.switch.process.as_ref().expect("a switch of ours");
        process.signal("STOP");
        talk(2);
        process.signal("CONT");
    }

    /// The call is over and nothing of it is left.
    #[track_caller]
    fn is_over(&mut self) {
        let until = Instant::now() + Duration::from_secs(3);
        while !self.program.api("show channels").contains("0 total") && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(50));
        }
        assert!(self.program.api("show channels").contains("0 total"));
    }
}

/// The last seconds of a recording.
fn last(mut wav: Wav, seconds: usize) -> Wav {
    let from = wav.samples.len().saturating_sub(seconds * wav.rate as usize);
    wav.samples.drain(..from);
    wav
}

/// Both tones are there all the while: media that move leave a gap of `gap` ms at most.
#[track_caller]
fn assert_heard_throughout(who: &str, wav: &Wav, hertz: f64, seconds: f64, gap: usize) {
    let heard = listen(wav, hertz).unwrap_or_else(|| panic!("{who} hears no {hertz} Hz"));
    assert!(
        heard.span >= seconds && heard.longest_gap <= gap && heard.share > 0.8,
        "{who} hears {hertz} Hz: {heard:?} of {:.1} s",
        wav.seconds()
    );
}

/// Past the switch and back, asked of either leg, and once by a message to it.
fn moves(scene: &mut Scene) {
    let [caller, callee] = scene.legs();
    for (away, back) in [(&caller, &caller), (&callee, &callee), (&caller, &callee)] {
        talk(1);
        scene.does(&format!("uuid_media off {away}"), DONE);
        scene.stands_still();
        scene.does(&format!("uuid_media off {away}"), DONE);
        scene.does(&format!("uuid_media {back}"), DONE);
        scene.does(&format!("uuid_media {back}"), DONE);
    }
    talk(1);
    let said = scene.program.ask(&format!("sendmsg {callee}\ncall-command: nomedia\nnomedia-uuid: {caller}"));
    assert!(said.contains("Reply-Text: +OK\n"), "{said}");
    talk(1);
    scene.stands_still();
    scene.does(&format!("uuid_media {caller}"), DONE);
    talk(2);
    let video = |line: &String| line.trim_start().starts_with("m=video");
    assert!(!scene.switch.log().iter().any(video), "video was offered in a call without");
    let said = scene.program.ask("sendmsg NOBODY\ncall-command: nomedia");
    assert!(said.contains("-ERR invalid session id [NOBODY]"), "{said}");
}

fn linphones(scene: &Scene) -> [Linphonec; 2] {
    let mut a = Linphonec::start("1000", scene.switch.sip(), "udp", A);
    let mut b = Linphonec::start("1001", scene.switch.sip(), "udp", B);
    a.call("1001");
    b.expect("Receiving new incoming call");
    b.type_line("answer");
    a.expect("Media streams established");
    b.expect("Media streams established");
    [a, b]
}

fn baresips(scene: &Scene) -> [Baresip; 2] {
    let mut a = Phone::new("1000", scene.switch.sip(), A).start();
    let mut b = Phone::new("1001", scene.switch.sip(), B).start();
    a.dial("1001");
    b.event("CALL_INCOMING");
    b.command("accept", "");
    b.event("CALL_ESTABLISHED");
    a.event("CALL_ESTABLISHED");
    [a, b]
}

#[test]
fn media_move_past_the_switch_and_back_between_linphones() {
    needs!("linphonec");
    let mut scene = Scene::new();
    let [mut a, b] = linphones(&scene);
    moves(&mut scene);
    a.type_line("terminate");
    b.expect_state("LinphoneCallEnd");
    scene.is_over();
    assert_heard_throughout("the caller", &a.heard(), B, 12.0, 1000);
    assert_heard_throughout("the callee", &b.heard(), A, 12.0, 1000);
}

#[test]
fn media_move_past_the_switch_and_back_between_baresips() {
    needs!("baresip");
    let mut scene = Scene::new();
    let [mut a, mut b] = baresips(&scene);
    moves(&mut scene);
    talk(5);
    for (who, phone) in [("the caller", &a), ("the callee", &b)] {
        let rate = phone.rate_received();
        assert!(rate > 50_000, "{who} receives {rate} bit/s in the end");
    }
    a.command("hangup", "");
    b.event("CALL_CLOSED");
    scene.is_over();
    assert_heard("the caller", &a.heard(), B, 2.0);
    assert_heard("the callee", &b.heard(), A, 2.0);
}

#[test]
fn media_move_past_the_switch_and_back_from_linphone_to_pjsua() {
    needs!("linphonec");
    if !pjsua::have() {
        return;
    }
    let mut scene = Scene::new();
    let mut a = Linphonec::start("1000", scene.switch.sip(), "udp", A);
    let mut b = Pjsua::start("1001", scene.switch.sip(), "udp", B);
    a.call("1001");
    b.expect("INCOMING 0");
    b.type_line("answer 0");
    b.expect("CALL 0 CONFIRMED");
    a.expect("Media streams established");
    moves(&mut scene);
    a.type_line("terminate");
    b.expect("CALL 0 DISCONNECTED");
    scene.is_over();
    assert_heard_throughout("linphonec", &a.heard(), B, 12.0, 1000);
    assert_heard_throughout("pjsua", &b.heard(0), A, 12.0, 1000);
}

/// The leg of a phone that holds is left as it is; by the other one the media may move, and the hold goes with them.
#[test]
fn on_hold_the_media_of_the_holder_stay_and_move_after_it() {
    needs!("linphonec");
    const HELD: &str = "-ERR Operation failed: the channel is on hold\n";
    let mut scene = Scene::new();
    let [mut a, mut b] = linphones(&scene);
    let [caller, callee] = scene.legs();
    talk(1);
    b.type_line("pause");
    scene.switch.expect_log(&["on hold"]);
    scene.does(&format!("uuid_media off {callee}"), HELD);
    scene.does(&format!("uuid_media_reneg {callee} PCMA"), "-ERR Operation Failed: the channel is on hold\n");
    scene.does(&format!("uuid_media off {caller}"), DONE);
    scene.does(&format!("uuid_media {callee}"), HELD);
    scene.does(&format!("uuid_media {caller}"), DONE);
    b.type_line("resume");
    scene.switch.expect_log(&["resumed"]);
    talk(3);
    scene.does(&format!("uuid_media off {callee}"), DONE);
    scene.stands_still();
    a.type_line("pause"); // past the switch: from phone to phone
    talk(1);
    scene.does(&format!("uuid_media {caller}"), HELD);
    scene.does(&format!("uuid_media {callee}"), DONE);
    a.type_line("resume");
    talk(5);
    b.type_line("terminate");
    a.expect_state("LinphoneCallEnd");
    scene.is_over();
    // Whole after the last move; before it they held each other.
    assert_heard_throughout("the caller", &last(a.heard(), 3), B, 2.5, 100);
    assert_heard_throughout("the callee", &last(b.heard(), 3), A, 2.5, 100);
}

#[test]
fn another_codec_in_mid_call() {
    needs!("linphonec", "baresip");
    let mut scene = Scene::new();
    let mut a = Linphonec::start("1000", scene.switch.sip(), "udp", A);
    let mut b = Phone::new("1001", scene.switch.sip(), B).start();
    a.call("1001");
    b.event("CALL_INCOMING");
    b.command("accept", "");
    b.event("CALL_ESTABLISHED");
    a.expect("Media streams established");
    let [caller, callee] = scene.legs();
    let mut listener = Program::new(&scene.switch);
    assert!(listener.ask("event plain CODEC CALL_UPDATE").contains("+OK"));
    let mut codecs = |command: &str, answer: &str, codec: &str| {
        talk(1);
        assert_eq!(scene.program.api(&format!("uuid_media_reneg {command}")), answer, "{command}");
        for uuid in [&caller, &callee] {
            assert_eq!(scene.program.api(&format!("uuid_getvar {uuid} read_codec")), codec, "{command}");
        }
    };
    codecs(&format!("{caller} PCMA"), DONE, "PCMA");
    // The other side has it first.
    for uuid in [&callee, &caller] {
        for way in ["read", "write"] {
            let event = listener.frame();
            for line in [
                "Event-Name: CODEC\n".to_owned(),
                format!("Unique-ID: {uuid}\n"),
                format!("channel-{way}-codec-name: PCMA\n"),
            ] {
                assert!(event.to_ascii_lowercase().contains(&line.to_ascii_lowercase()), "{line}: {event}");
            }
        }
    }
    codecs(&format!("{caller} PCMU"), DONE, "PCMU");
    // What was asked for without = binds nobody any longer.
    codecs(&format!("{callee} =PCMA"), DONE, "PCMA");
    codecs(&format!("{callee} PCMU,PCMA"), DONE, "PCMU");
    // baresip takes the offer and has nothing of it but digits; linphone refuses it.
    let void = "-ERR Operation Failed: the far end refused: SDP: no codec in common\n";
    codecs(&format!("{callee} G722"), void, "PCMU");
    codecs(&format!("+{callee} PCMA"), DONE, "PCMA");
    codecs(&format!("{caller} G722"), "-ERR Operation Failed: the far end refused: 488\n", "PCMA");
    codecs(&caller, DONE, "PCMA");
    talk(2);
    a.type_line("terminate");
    b.event("CALL_CLOSED");
    scene.is_over();
    assert_heard_throughout("linphonec", &a.heard(), B, 9.0, 500);
    assert_heard_throughout("baresip", &b.heard(), A, 9.0, 500);
}

#[test]
fn what_a_phone_shows() {
    needs!("linphonec", "baresip");
    let mut scene = Scene::new();
    let mut a = Linphonec::start("1000", scene.switch.sip(), "udp", A);
    let mut b = Phone::new("1001", scene.switch.sip(), B).start();
    a.call("1001");
    b.event("CALL_INCOMING");
    b.command("accept", "");
    b.event("CALL_ESTABLISHED");
    a.expect("Media streams established");
    let [caller, callee] = scene.legs();
    const UNKNOWN: &str = "-ERR Operation failed: the far end is not known to show that; update_ignore_ua=true has UPDATE \
        sent all the same\n";
    for uuid in [&caller, &callee] {
        scene.does(&format!("uuid_display {uuid} Some Body|4711"), UNKNOWN);
    }
    let sent = |scene: &Scene, what: &str| scene.switch.log().iter().filter(|l| l.contains(what)).count();
    // the log has its trace a moment later
    talk(1);
    assert_eq!(sent(&scene, "4711"), 0, "nothing is said to a phone that would not show it");
    // linphonec allows UPDATE, baresip does not
    let mut listener = Program::new(&scene.switch);
    assert!(listener.ask("event plain CODEC CALL_UPDATE").contains("+OK"));
    for (uuid, answer) in [(&caller, DONE), (&callee, UNKNOWN)] {
        scene.does(&format!("uuid_setvar {uuid} update_ignore_ua true"), "+OK\n");
        scene.does(&format!("uuid_display {uuid} Else Body|4712"), answer);
        let event = listener.frame();
        for line in ["Event-Name: CALL_UPDATE\n", "Direction: SEND\n", uuid, "Sent-Callee-ID-Number: 4712\n"]
        {
            assert!(event.contains(line), "{line}: {event}");
        }
    }
    let asserted = format!("P-Asserted-Identity: \"Else Body\" <sip:4712@{}>", scene.switch.ip());
    scene.switch.expect_log(&[&asserted]);
    scene.switch.expect_log(&["SIP/2.0 200"]);
    // FreeSWITCH's INFO: linphonec takes it, baresip answers 488; neither call ends for that
    for (uuid, status) in [(&caller, "SIP/2.0 200"), (&callee, "SIP/2.0 488")] {
        scene.does(&format!("uuid_setvar {uuid} X-FS-Support update_display"), "+OK\n");
        scene.does(&format!("uuid_display {uuid} Third|4713"), DONE);
        scene.switch.expect_log(&["X-FS-Display-Number: 4713"]);
        scene.switch.expect_log(&["message/update_display"]);
        scene.switch.expect_log(&[status]);
    }
    assert_eq!(sent(&scene, "X-FS-Display-Name: Third"), 2);
    assert_eq!(sent(&scene, "P-Asserted-Identity: \"Else Body\""), 1);
    talk(2);
    a.type_line("terminate");
    b.event("CALL_CLOSED");
    scene.is_over();
    assert_heard_throughout("linphonec", &a.heard(), B, 2.5, 200);
    assert_heard("baresip", &b.heard(), A, 2.5);
}
