//! Call detail records in FreeSWITCH's files, as the programs that read them want them.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::needs;
use crate::place::free_port;
use crate::process::PATIENCE;
use crate::sipp::Scenario;
use crate::switch::{Setup, Switch};

/// What the reader of a template named `probe` gets.
const PROBE: (&str, &str, &str) = (
    "autoload_configs/cdr_csv.conf.xml",
    r#"<template name="example">"#,
    concat!(
        r#"<template name="probe">"${direction}","${destination_number}","${hangup_cause}","${hangup_cause_q850}","#,
        r#""${duration}","${billsec}","${mduration}","${billmsec}","${answermsec}","${hold_accum_ms}","${last_app}","#,
        r#""${read_codec}","${rtp_audio_in_packet_count}","${uuid}","${bleg_uuid}","${strepoch()}"</template>"#,
        "\n<template name=\"example\">"
    ),
);

const TAKE_PROBE: (&str, &str, &str) = (
    "autoload_configs/cdr_csv.conf.xml",
    r#"name="default-template" value="example""#,
    r#"name="default-template" value="probe""#,
);

const BOTH_LEGS: (&str, &str, &str) =
    ("autoload_configs/cdr_csv.conf.xml", r#"name="legs" value="a""#, r#"name="legs" value="ab""#);

const WITH_JSON: (&str, &str, &str) = (
    "autoload_configs/modules.conf.xml",
    r#"<load module="mod_cdr_csv"/>"#,
    r#"<load module="mod_cdr_csv"/><load module="mod_json_cdr"/>"#,
);

const JSON_CONF: (&str, &str, &str) = (
    "autoload_configs/cdr_csv.conf.xml",
    "</configuration>",
    r#"</configuration>
    <configuration name="json_cdr.conf"><settings>
      <param name="log-dir" value=""/>
      <param name="prefix-a-leg" value="true"/>
      <param name="encode-values" value="false"/>
    </settings></configuration>"#,
);

/// The fields of each line, once there are so many.
fn rows(path: &Path, number: usize) -> Vec<Vec<String>> {
    let until = Instant::now() + PATIENCE;
    loop {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        if text.lines().count() >= number {
            let fields = |line: &str| line.trim_matches('"').split("\",\"").map(str::to_owned).collect();
            return text.lines().map(fields).collect();
        }
        assert!(Instant::now() < until, "{} has {number} lines; it has: {text}", path.display());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// One call from 1000 to 1001, rung for half a second, talked for one.
fn call(switch: &Switch, caller: &str, fill: &[(&str, &str)]) {
    let port = free_port();
    Scenario::new("register", switch.sip(), "1001").on_port(port).run();
    let mut b = Scenario::new("uas", switch.sip(), "1001").on_port(port).fill(&[("RING", "500")]).start();
    std::thread::sleep(Duration::from_millis(500));
    Scenario::new(caller, switch.sip(), "1000").calling("1001").fill(fill).run();
    b.finish();
}

#[test]
fn a_call_is_in_the_master_file_and_in_the_account_s() {
    needs!("sipp");
    let switch = Switch::start();
    call(&switch, "uac", &[("TALK", "1000")]);
    let folder = switch.log_dir().join("cdr-csv");
    let master = rows(&folder.join("Master.csv"), 1);
    assert_eq!(master, rows(&folder.join("1000.csv"), 1), "accountcode is 1000");
    let [row] = master.as_slice() else { panic!("one leg is recorded: {master:?}") };
    let [
        name,
        number,
        called,
        context,
        start,
        answer,
        end,
        duration,
        bill,
        cause,
        uuid,
        other,
        account,
        read,
        write,
    ] = row.as_slice()
    else {
        panic!("fifteen fields: {row:?}")
    };
    assert_eq!([name, number, called, context], ["1000", "1000", "1001", "default"]);
    assert_eq!([cause, account, read, write], ["NORMAL_CLEARING", "1000", "PCMU", "PCMU"]);
    assert!(start < end && start <= answer && answer < end, "{row:?}");
    assert!(duration.parse::<u32>().unwrap() >= bill.parse().unwrap() && *bill != "0", "{row:?}");
    assert!(uuid.len() == 36 && other.len() == 36 && uuid != other, "{row:?}");
}

#[test]
fn times_are_told_to_the_millisecond_for_both_legs() {
    needs!("sipp");
    let edits = &[PROBE, TAKE_PROBE, BOTH_LEGS, WITH_JSON, JSON_CONF];
    let switch = Switch::start_with(Setup { edits, ..Setup::default() });
    call(&switch, "uac", &[("TALK", "1000")]);
    let rows = rows(&switch.log_dir().join("cdr-csv/Master.csv"), 2);
    assert_eq!(rows.len(), 2, "{rows:?}");
    let legs: HashMap<&str, &Vec<String>> = rows.iter().map(|row| (row[0].as_str(), row)).collect();
    for (direction, row) in &legs {
        let number = |at: usize| row[at].parse::<u64>().unwrap_or_else(|_| panic!("{at}: {row:?}"));
        assert_eq!((row[2].as_str(), row[3].as_str()), ("NORMAL_CLEARING", "16"));
        assert!(number(7) >= 1000, "talked for a second: {row:?}");
        assert!(number(8) >= 400, "rang for half a second: {row:?}");
        assert!(number(6) >= number(7) + number(8) - 1 && number(6) <= number(7) + number(8) + 1, "{row:?}");
        assert!(number(4).abs_diff(number(6) / 1000) <= 1 && number(5).abs_diff(number(7) / 1000) <= 1);
        assert_eq!((row[9].as_str(), row[11].as_str()), ("0", "PCMU"), "{row:?}");
        assert_eq!(row[10], if *direction == "inbound" { "bridge" } else { "" });
        assert!(row[15].parse::<u64>().is_ok(), "a function in a template: {row:?}");
    }
    let (a, b) = (&legs["inbound"], &legs["outbound"]);
    assert_eq!(a[14], b[13], "the a-leg names the b-leg");

    for (row, prefix) in [(a, "a_"), (b, "")] {
        let path = switch.log_dir().join(format!("json_cdr/{prefix}{}.cdr.json", row[13]));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let document: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(document["variables"]["billmsec"], row[7].as_str());
        assert_eq!(document["variables"]["hangup_cause"], "NORMAL_CLEARING");
        assert_eq!(document["channel_data"]["direction"], row[0].as_str());
        let times = &document["callflow"][0]["times"];
        let epoch = |name: &str| times[name].as_str().and_then(|t| t.parse::<u64>().ok()).expect("a time");
        assert!(epoch("created_time") < epoch("progress_time"), "{times}");
        assert!(epoch("progress_time") < epoch("answered_time"), "{times}");
        assert!(epoch("answered_time") < epoch("hangup_time"), "{times}");
        assert_eq!(document["callflow"][0]["caller_profile"]["destination_number"], "1001");
    }
}

#[test]
fn a_hold_is_accounted_for() {
    needs!("sipp");
    let switch = Switch::start_with(Setup { edits: &[PROBE, TAKE_PROBE], ..Setup::default() });
    call(&switch, "uac_hold", &[]);
    let rows = rows(&switch.log_dir().join("cdr-csv/Master.csv"), 1);
    let held: u64 = rows[0][9].parse().expect("hold_accum_ms");
    assert!(held >= 500, "{rows:?}");
}

#[test]
fn a_leg_may_keep_itself_out_of_the_records() {
    needs!("sipp");
    let extension = r#"<extension name="records"><condition field="destination_number" expression="^77(0[1-4])$">
        <action application="set" data="record_01=process_cdr=false"/>
        <action application="set" data="record_02=process_cdr=b_only"/>
        <action application="set" data="record_03=skip_cdr_causes=NORMAL_CLEARING|CALL_REJECTED"/>
        <action application="set" data="record_04=process_cdr=a_only"/>
        <action application="set" data="${record_$1}"/>
        <action application="hangup" data="CALL_REJECTED"/>
      </condition></extension>"#;
    let switch = Switch::start_with(Setup { extension, ..Setup::default() });
    for number in ["7701", "7702", "7703", "7704"] {
        Scenario::new("uac_fail", switch.sip(), "1000").calling(number).fill(&[("STATUS", "603")]).run();
    }
    let rows = rows(&switch.log_dir().join("cdr-csv/Master.csv"), 2);
    let called: Vec<&str> = rows.iter().map(|row| row[2].as_str()).collect();
    assert_eq!(called, ["7702", "7704"], "7702 has dialled nobody, 7704 is an a-leg");
    assert!(
        rows.iter().all(|row| row[5].is_empty() && row[8] == "0" && row[9] == "CALL_REJECTED"),
        "{rows:?}"
    );
}

#[test]
fn what_a_caller_calls_himself_stays_in_its_field() {
    needs!("sipp");
    let extension = r#"<extension name="eve"><condition field="destination_number" expression="^7705$">
        <action application="set" data="accountcode=../../eve"/>
        <action application="set" data="effective_caller_id_name=x"/>
        <action application="hangup" data="CALL_REJECTED"/>
      </condition></extension>"#;
    let mut switch = Switch::start_with(Setup { extension, ..Setup::default() });
    Scenario::new("uac_fail", switch.sip(), "1000").calling("7705").fill(&[("STATUS", "603")]).run();
    rows(&switch.log_dir().join("cdr-csv/Master.csv"), 1);
    switch.expect_log(&["accountcode", "is no name for a file"]);
    let files: Vec<_> = std::fs::read_dir(switch.log_dir().join("cdr-csv")).unwrap().flatten().collect();
    assert_eq!(files.len(), 1, "{files:?}");
}

#[test]
fn a_hangup_signal_begins_a_new_file() {
    needs!("sipp");
    let mut switch = Switch::start();
    let call = |switch: &Switch| {
        Scenario::new("uac_fail", switch.sip(), "1000").calling("5555").fill(&[("STATUS", "404")]).run();
    };
    let folder = switch.log_dir().join("cdr-csv");
    call(&switch);
    rows(&folder.join("Master.csv"), 1);
    for line in ["reloadxml", "reload mod_cdr_csv", "sofia profile internal rescan"] {
        assert!(switch.api(line).contains("+OK"), "{line}");
    }
    call(&switch);
    assert_eq!(rows(&folder.join("Master.csv"), 2).len(), 2, "a command that reads anew begins no new file");
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 2);
    switch.process.as_ref().expect("tandem itself").signal("HUP");
    switch.expect_log(&["rotated", "Master.csv"]);
    call(&switch);
    assert_eq!(rows(&folder.join("Master.csv"), 1).len(), 1);
    let names = std::fs::read_dir(&folder).unwrap().flatten().map(|f| f.file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    assert!(matches!(names.as_slice(), [a, b, c, d]
        if a == "1000.csv" && b.starts_with("1000.csv.20") && c == "Master.csv" && d.starts_with("Master.csv.20")));
}

#[test]
fn a_call_that_a_command_makes_is_recorded_and_whom_it_calls_is_not() {
    needs!("sipp");
    let switch = Switch::start_with(Setup { edits: &[WITH_JSON, JSON_CONF], ..Setup::default() });
    let (first, second) = (free_port(), free_port());
    for (user, port) in [("1001", first), ("1002", second)] {
        Scenario::new("register", switch.sip(), user).on_port(port).run();
    }
    let fill = &[("RING", "100"), ("TALK", "500")];
    let mut called = Scenario::new("uas", switch.sip(), "1001").on_port(first).fill(fill).start();
    let mut other = Scenario::new("uas_bye", switch.sip(), "1002").on_port(second).fill(fill).start();
    std::thread::sleep(Duration::from_millis(500));
    let at = switch.ip();
    let said =
        switch.api(&format!("originate user/1001@{at} &bridge({{hangup_after_bridge=true}}user/1002@{at})"));
    let uuid = said.strip_prefix("+OK ").unwrap_or_else(|| panic!("{said}")).trim();
    called.finish();
    other.finish();
    let until = Instant::now() + PATIENCE;
    let mut files = Vec::new();
    while files.len() < 2 {
        assert!(Instant::now() < until, "two documents: {files:?}");
        std::thread::sleep(Duration::from_millis(20));
        let folder = std::fs::read_dir(switch.log_dir().join("json_cdr"));
        let names = folder.into_iter().flatten().flatten().map(|f| f.file_name().into_string().unwrap());
        files = names.filter(|name| name.ends_with(".json")).collect();
    }
    files.sort_by_key(|name| !name.starts_with("a_"));
    assert_eq!(files[0], format!("a_{uuid}.cdr.json"));
    assert!(!files[1].starts_with("a_"), "{files:?}");
    let master = rows(&switch.log_dir().join("cdr-csv/Master.csv"), 1);
    assert_eq!(master.len(), 1, "{master:?}");
    assert!(master[0].iter().any(|field| field == uuid), "{master:?}");
    let other = files[1].split('.').next().unwrap();
    for (uuid, words) in [(uuid, " a leg of 1001 → 1001 ended"), (other, " b leg of 1001 → 1002 ended")] {
        let why = switch.api(&format!("why {uuid}"));
        assert!(why.contains(&format!("{uuid}{words}")), "{why}");
    }
}
