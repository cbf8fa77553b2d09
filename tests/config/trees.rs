//! Whole trees: our own, and FreeSWITCH's when TANDEM_STOCK_CONF names the folder that holds `vanilla/`, `minimal/`, ….

use std::path::{Path, PathBuf};

use tandem::config::directory::{Member, UserConf};
use tandem::config::sofia::{Address, MultipleRegistrations, Realm};
use tandem::config::{Conf, Element, Loaded, Options, Severity, load, secrets, section};

fn read(folder: &Path) -> (Loaded, Conf) {
    let mut options = Options::new(folder);
    let mut loaded = load(&options);
    if secrets::pretend(&loaded, &mut options) {
        loaded = load(&options);
    }
    let conf = Conf::read(&mut loaded);
    (loaded, conf)
}

fn own() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("conf")
}

#[test]
fn our_own_has_no_problem() {
    let (loaded, conf) = read(&own());
    assert_eq!(loaded.problems, []);
    let names: Vec<(&str, Option<u16>)> =
        conf.sofia.profiles.iter().map(|p| (p.name.as_str(), p.sip_port)).collect();
    assert_eq!(names, [("external", Some(5080)), ("internal", Some(5060))]);
    let internal = conf.sofia.profiles.iter().find(|p| p.is_called("internal")).unwrap();
    assert_eq!(internal.sip_ip, Address::Ip("127.0.0.1".parse().unwrap()));
    assert_eq!(internal.challenge_realm, Realm::AutoFrom);
    assert_eq!(internal.multiple_registrations, MultipleRegistrations::Contact);
    assert!(internal.auth_calls && internal.inbound_late_negotiation);
    assert_eq!((conf.switch.rtp_start_port, conf.switch.rtp_end_port), (16384, 32768));
    assert_eq!((conf.directory.domains.len(), users(&conf).len()), (1, 20));
}

#[test]
fn our_own_takes_everything_from_globals() {
    let mut options = Options::new(own());
    for (name, value) in [
        ("local_ip_v4", "127.0.0.9"),
        ("domain", "d.example"),
        ("default_password", "Pw-1"),
        ("event_socket_password", "Pw-2"),
        ("internal_sip_port", "15060"),
        ("external_sip_port", "15080"),
        ("external_rtp_ip", "192.0.2.1"),
        ("external_sip_ip", "192.0.2.2"),
        ("rtp_start_port", "20000"),
        ("rtp_end_port", "29999"),
        ("event_socket_ip", "127.0.0.9"),
        ("event_socket_port", "18021"),
    ] {
        options.set.push((name.into(), value.into()));
    }
    let mut loaded = load(&options);
    let conf = Conf::read(&mut loaded);
    assert_eq!(loaded.problems, []);
    assert_eq!(loaded.unset, []);
    let values = attributes(&loaded.root);
    for left in ["5060", "5080", "8021", "16384", "32768", "127.0.0.1"] {
        assert!(!values.iter().any(|v| v == left), "{left} is written into conf/");
    }
    for profile in &conf.sofia.profiles {
        assert_eq!(profile.sip_ip, Address::Ip("127.0.0.9".parse().unwrap()));
        assert_eq!(profile.rtp_ip, [Address::Ip("127.0.0.9".parse().unwrap())]);
        assert!(matches!(profile.sip_port, Some(15060 | 15080)));
    }
    let domain = conf.directory.domains.first().unwrap();
    assert_eq!(domain.name, "d.example");
    for user in users(&conf) {
        assert_eq!(user.settings.param("password").map(|s| &*s.value), Some("Pw-1"));
    }
}

fn users(conf: &Conf) -> Vec<&UserConf> {
    let members = conf.directory.domains.iter().flat_map(|d| &d.groups).flat_map(|g| &g.members);
    members
        .filter_map(|m| match m {
            Member::User(user) => Some(user),
            Member::Pointer { .. } => None,
        })
        .collect()
}

fn attributes(element: &Element) -> Vec<String> {
    let own = element.attributes.iter().map(|a| a.value.to_string());
    own.chain(element.children.iter().flat_map(attributes)).collect()
}

#[test]
fn the_first_start_asks_for_both_passwords() {
    let loaded = load(&Options::new(own()));
    let mut missing: Vec<&str> = secrets::missing(&loaded).map(|(name, _)| name).collect();
    missing.sort_unstable();
    assert_eq!(missing, ["default_password", "event_socket_password"]);
}

/// The folder of a stock tree, or `None` with a line that says what was left out.
fn stock(name: &str) -> Option<PathBuf> {
    let folder =
        std::env::var_os("TANDEM_STOCK_CONF").map(|f| Path::new(&f).join(name)).filter(|f| f.is_dir());
    if folder.is_none() {
        eprintln!("skipped: TANDEM_STOCK_CONF names no folder with {name}/ of FreeSWITCH's conf/");
    }
    folder
}

fn count(loaded: &Loaded, severity: Severity) -> usize {
    loaded.problems.iter().filter(|p| p.severity == severity).count()
}

#[test]
fn stock_vanilla() {
    let Some(folder) = stock("vanilla") else { return };
    let (loaded, conf) = read(&folder);
    assert_eq!(count(&loaded, Severity::Error), 0, "{:#?}", loaded.problems);
    let base = format!("{}/", folder.display());
    let warnings: Vec<String> = loaded
        .problems
        .iter()
        .filter(|p| p.severity == Severity::Warning)
        .map(|p| p.to_string().replace(&base, ""))
        .map(|p| p.split("; ").next().unwrap_or("").to_owned())
        .collect();
    for expected in [
        "vars.xml:15:34: warning: default_password is 1234, which the whole world knows",
        "sip_profiles/internal.xml:321:18: warning: ws-binding: SIP over WebSocket is not provided yet",
        "sip_profiles/internal.xml:325:18: warning: wss-binding: SIP over WebSocket is not provided yet",
        "sip_profiles/internal-ipv6.xml:57:39: warning: $${internal_ssl_dir} is not set, so it is empty here",
    ] {
        assert!(warnings.iter().any(|w| w == expected), "{expected} not in {warnings:#?}");
    }
    assert!(!warnings.iter().any(|w| w.contains("presence")), "{warnings:#?}");
    assert!(warnings.len() <= 10, "{warnings:#?}");
    let mut names: Vec<&str> = conf.sofia.profiles.iter().map(|p| p.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["external", "external-ipv6", "internal", "internal-ipv6"]);
    let internal = conf.sofia.profiles.iter().find(|p| p.name == "internal").unwrap();
    assert_eq!((internal.rtp_timeout_sec, internal.rtp_hold_timeout_sec), (Some(300), Some(1800)));
    assert_eq!((internal.context.as_str(), internal.dtmf_duration), ("public", 2000));
    assert_eq!(internal.apply_inbound_acl.first().unwrap().list, "domains");
    assert_eq!((conf.switch.max_sessions, conf.switch.sessions_per_second), (1000, 30));
    let contexts: Vec<&str> = section(&loaded.root, "dialplan")
        .unwrap()
        .children_named("context")
        .filter_map(|c| c.attr("name"))
        .collect();
    for context in ["default", "features", "public"] {
        assert!(contexts.contains(&context), "{contexts:?}");
    }
}

#[test]
fn stock_minimal() {
    let Some(folder) = stock("minimal") else { return };
    let (loaded, conf) = read(&folder);
    assert_eq!(count(&loaded, Severity::Error), 0, "{:#?}", loaded.problems);
    let warnings = loaded.problems.iter().filter(|problem| problem.severity == Severity::Warning);
    let warnings: Vec<_> = warnings.map(|problem| problem.message.as_str()).collect();
    let known =
        "the event socket has the password that everybody knows: only this machine itself may connect";
    assert_eq!(warnings, [known]);
    assert_eq!(conf.sofia.profiles.len(), 2);
}

#[test]
fn stock_sbc() {
    let Some(folder) = stock("sbc") else { return };
    let (loaded, conf) = read(&folder);
    assert_eq!(count(&loaded, Severity::Error), 0, "{:#?}", loaded.problems);
    assert_eq!(conf.sofia.profiles.len(), 3);
}

/// This one has no `<document>` and a domain without a name.
#[test]
fn stock_insideout() {
    let Some(folder) = stock("insideout") else { return };
    let (loaded, conf) = read(&folder);
    assert_eq!(conf.sofia.profiles.len(), 3, "{:#?}", loaded.problems);
}
