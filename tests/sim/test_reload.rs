//! Reloads of everything but gateways (see `test_gateway`): what the log says has changed, and profiles that change names.

use std::time::Duration;

use tandem::gateway::State;
use tandem::switch::Switch;

use crate::net::Weather;
use crate::office::{self, Office, PASSWORD, read, switch_address, text_with};
use crate::script::Script;

/// A phone of user 1001.
const CALLER: usize = 10;

fn gateway() -> String {
    format!(
        r#"<gateway name="carrier"><param name="username" value="1011"/><param name="password" value="{PASSWORD}"/>
        <param name="proxy" value="203.0.113.250"/><param name="from-domain" value="office.test"/></gateway>"#
    )
}

fn text(gateways: &str) -> String {
    text_with(switch_address(), "", gateways, 5080)
}

fn call(at: u64, seconds: u64) -> Script {
    Script::exactly(CALLER, "1004", Duration::from_secs(at), Duration::from_secs(seconds), vec![], vec![])
}

#[test]
fn what_has_changed_is_named() {
    office::run(async {
        let base = text("");
        let office = Office::open_as(0, Weather::fine(), read(&base)).await;
        let said = office.reload(read(&base)).await.expect("a good tree");
        assert_eq!(said, "13 users (were 13), 3 extensions (were 3)");

        let other = base
            .replace(r#"<user id="1003">"#, r#"<user id="2003">"#)
            .replacen(PASSWORD, "another secret", 1)
            .replace("^9196$", "^9197$")
            .replace(r#"<param name="manage-presence" value="true"/>"#, r#"<param name="disable-hold" value="true"/>"#)
            .replace(r#"name="max-sessions" value="1000000""#, r#"name="max-sessions" value="1000""#)
            .replace(
                "<configuration name=\"sofia.conf\">",
                "<configuration name=\"acl.conf\"><network-lists><list name=\"lan\"/></network-lists></configuration>\
                 <configuration name=\"sofia.conf\">",
            );
        let said = office.reload(read(&other)).await.expect("a good tree");
        assert_eq!(
            said,
            "13 users (were 13), 3 extensions (were 3); \
             users: 1 added (2003@office.test), 1 changed (1000@office.test), 1 removed (1003@office.test); \
             groups: 1 changed (all@office.test); \
             extensions: 1 changed (default/echo); access lists: 1 added (lan); \
             switch.conf: 1 changed (max-sessions); \
             profile internal has other settings (disable-hold, manage-presence)"
        );
        assert!(!said.contains("secret"), "no values: {said}");
        office.reload(read(&base)).await.expect("a good tree");
        office.close().await;
    });
}

#[test]
fn a_profile_that_changes_its_name_keeps_calls_registrations_and_gateways() {
    office::run(async {
        let base = text(&gateway());
        let mut office = Office::open_as(0, Weather::fine(), read(&base)).await;
        let sockets: std::sync::Arc<dyn tandem::net::Sockets> = std::sync::Arc::new(office.net.clone());
        let carrier = office::tree_at("203.0.113.250:5060".parse().unwrap(), "", "");
        office.carrier = Some(Switch::start(carrier, sockets, false).expect("a carrier"));
        let state = |office: &Office, name: &str| {
            office.switch.exchange.gateways.load().find(name).map(|g| g.status().state)
        };
        tokio::time::sleep(Duration::from_secs(40)).await;
        assert_eq!(state(&office, "external::carrier"), Some(State::Reged));
        let (bindings, sockets) = (office.switch.exchange.registrar.len(), office.net.open());
        let calls = |office: &Office| office.carrier.as_ref().unwrap().exchange.registrar.list(|_| true);
        let registered = calls(&office).remove(0);

        let renamed = base
            .replace(r#"<profile name="internal">"#, r#"<profile name="inside">"#)
            .replace(r#"<profile name="external">"#, r#"<profile name="outside">"#);
        // Two that take each other's name, and back.
        let swapped = base
            .replace(r#"<profile name="internal">"#, r#"<profile name="X">"#)
            .replace(r#"<profile name="external">"#, r#"<profile name="internal">"#)
            .replace(r#"<profile name="X">"#, r#"<profile name="external">"#);
        for n in 0..6 {
            office.plan(call(1 + 10 * n, 65)); // over at least six reloads
        }
        let switch = &office.switch;
        let reloads = async {
            for (tree, expected) in [
                (&renamed, "profile inside takes the place of internal (name)"),
                (&base, "profile internal takes the place of inside (name)"),
                (&swapped, "profile internal takes the place of external (name)"),
                (&base, "profile internal takes the place of external (name)"),
                (&renamed, "profile outside takes the place of external (name)"),
                (&base, "profile external takes the place of outside (name)"),
            ] {
                tokio::time::sleep(Duration::from_secs(10)).await;
                let said = switch.reload(read(tree)).await.expect("a good tree");
                assert!(said.contains(expected), "{said}");
                assert!(!said.contains("gateway"), "the gateway goes on: {said}");
            }
        };
        let ((), ()) = tokio::join!(office.play(), reloads);
        let (well, all) = office.judge();
        assert_eq!((well, all), (6, 6), "calls that went as meant");
        assert_eq!(office.switch.exchange.registrar.len(), bindings);
        assert_eq!(office.net.open(), sockets, "no socket was opened or closed");
        assert_eq!(state(&office, "external::carrier"), Some(State::Reged));
        let still = calls(&office).remove(0);
        assert_eq!(still.since, registered.since, "it never logged out");
        assert!(office.switch.exchange.registrar.list(|b| &*b.profile != "internal").is_empty());

        // Under the other name everything is found, and refreshed.
        office.reload(read(&renamed)).await.expect("a good tree");
        office.plan(call(0, 10));
        office.play().await;
        assert_eq!(office.judge(), (7, 7));
        office.register(600).await;
        assert_eq!(office.switch.exchange.registrar.len(), bindings);
        assert!(office.switch.exchange.gateways.load().find("outside::carrier").is_some());
        office.reload(read(&text(""))).await.expect("a good tree");
        tokio::time::sleep(Duration::from_secs(20)).await;
        assert!(calls(&office).is_empty(), "its registration is taken back");
        office.close().await;
    });
}
