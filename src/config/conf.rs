//! All typed views of a tree at once, and what only shows when they are seen together.

use super::acl::AclConf;
use super::cdr::CdrConf;
use super::directory::DirectoryConf;
use super::element::{Element, configuration, section};
use super::event_socket::EventSocketConf;
use super::fifo::FifoConf;
use super::globals::Globals;
use super::load::{Loaded, sort};
use super::modules::ModulesConf;
use super::position::Position;
use super::problem::Problem;
use super::sofia::SofiaConf;
use super::suggest::nearest;
use super::switch::SwitchConf;

/// Sections FreeSWITCH knows.
const SECTIONS: [&str; 7] =
    ["configuration", "dialplan", "chatplan", "directory", "languages", "phrases", "result"];

/// ACLs that exist without `acl.conf`.
const PREDEFINED_ACLS: [&str; 11] = [
    "rfc1918.auto",
    "rfc6598.auto",
    "nat.auto",
    "localnet.auto",
    "loopback.auto",
    "wan.auto",
    "wan_v4.auto",
    "wan_v6.auto",
    "any_v4.auto",
    "any_v6.auto",
    "none",
];

/// The typed views of the configuration layer. The dialplan is compiled elsewhere, from the tree.
#[derive(Clone, Debug, Default)]
pub struct Conf {
    /// `switch.conf`.
    pub switch: SwitchConf,
    /// `sofia.conf` with the SIP profiles.
    pub sofia: SofiaConf,
    /// `modules.conf`.
    pub modules: ModulesConf,
    /// `acl.conf`.
    pub acl: AclConf,
    /// `cdr_csv.conf` and `json_cdr.conf`.
    pub cdr: CdrConf,
    /// `fifo.conf`.
    pub fifo: FifoConf,
    /// `event_socket.conf`, when its module is loaded.
    pub event_socket: Option<EventSocketConf>,
    /// The section `directory`.
    pub directory: DirectoryConf,
}

impl Conf {
    /// Reads every view of `loaded`. What is wrong with them is added to `loaded.problems`, errors first: this is
    /// the configuration layer's part of `tandem check`.
    ///
    /// Nothing is read from a tree that has errors already: each would bring others that are none.
    pub fn read(loaded: &mut Loaded) -> Conf {
        if !loaded.is_sound() {
            return Conf::default();
        }
        let root = &loaded.root;
        let mut problems = Vec::new();
        structure(root, &mut problems);
        let modules = ModulesConf::read(root, &mut problems);
        let conf = Conf {
            switch: SwitchConf::read(root, &mut problems),
            sofia: SofiaConf::read(root, &mut problems),
            cdr: CdrConf::read(root, &modules, &loaded.globals, &mut problems),
            fifo: FifoConf::read(root, &mut problems),
            event_socket: EventSocketConf::read(root, &modules, &mut problems),
            modules,
            acl: configuration(root, "acl.conf")
                .map(|a| AclConf::from_element(a, &mut problems))
                .unwrap_or_default(),
            directory: section(root, "directory")
                .map(|d| DirectoryConf::from_element(d, &mut problems))
                .unwrap_or_default(),
        };
        conf.acl.examine(&conf.directory, &mut problems);
        conf.contexts(root, &mut problems);
        conf.lists(&mut problems);
        password(&loaded.globals, loaded.set_at("default_password"), &mut problems);
        loaded.problems.extend(problems);
        sort(&mut loaded.problems);
        conf
    }

    /// Every context a profile names must be in the dialplan.
    fn contexts(&self, root: &Element, problems: &mut Vec<Problem>) {
        let Some(dialplan) = section(root, "dialplan") else {
            problems.push(
                Problem::warning(&root.at, "there is no dialplan, so no call goes anywhere")
                    .hint("include dialplan/*.xml in <section name=\"dialplan\">"),
            );
            return;
        };
        let known: Vec<&str> = dialplan.children_named("context").filter_map(|c| c.attr("name")).collect();
        if known.iter().any(|c| c.eq_ignore_ascii_case("global")) {
            return;
        }
        for profile in &self.sofia.profiles {
            let mut named: Vec<(&str, &Position)> = vec![(&profile.context, &profile.at)];
            for acl in &profile.apply_inbound_acl {
                named.extend(
                    [&acl.pass_context, &acl.fail_context]
                        .into_iter()
                        .flatten()
                        .map(|c| (c.as_str(), &acl.at)),
                );
            }
            for gateway in &profile.gateways {
                named.extend(gateway.context.as_deref().map(|context| (context, &gateway.at)));
            }
            for (context, at) in named {
                if known.iter().any(|k| k.eq_ignore_ascii_case(context)) {
                    continue;
                }
                let problem = Problem::warning(
                    at,
                    format!(
                        "profile {} sends calls to context {context}, which the dialplan does not have",
                        profile.name
                    ),
                );
                problems.push(match nearest(context, known.iter().copied()) {
                    Some(near) => problem.hint(format!("did you mean {near}?")),
                    None => problem.hint(format!(
                        "add <context name=\"{context}\"> to the dialplan, or those calls get 404"
                    )),
                });
            }
        }
    }

    /// Every ACL a profile or the event socket names must exist: one that does not refuses everybody.
    fn lists(&self, problems: &mut Vec<Problem>) {
        let known: Vec<&str> =
            self.acl.lists.iter().map(|l| l.name.as_str()).chain(PREDEFINED_ACLS).collect();
        let mut name = |list: &str, at: &Position, param: &str, so: &str| {
            let is_cidr = || list.split(',').all(|part| super::acl::parse_network(part.trim()).is_ok());
            if known.contains(&list) || is_cidr() {
                return;
            }
            let problem = Problem::warning(at, format!("{param}: there is no access list {list}, so {so}"));
            problems.push(match nearest(list, known.iter().copied()) {
                Some(near) => problem.hint(format!("did you mean {near}?")),
                None => problem.hint("define it in acl.conf, or write addresses as 192.0.2.0/24"),
            });
        };
        for (list, at) in self.event_socket.iter().flat_map(|socket| &socket.acls) {
            name(list, at, "apply-inbound-acl", "nobody may connect to the event socket");
        }
        for profile in &self.sofia.profiles {
            let inbound = profile.apply_inbound_acl.iter().map(|a| (&a.list, &a.at, "apply-inbound-acl"));
            let others = [
                (&profile.apply_register_acl, "apply-register-acl"),
                (&profile.apply_nat_acl, "apply-nat-acl"),
                (&profile.apply_proxy_acl, "apply-proxy-acl"),
            ];
            let others = others
                .into_iter()
                .flat_map(|(list, param)| list.iter().map(move |a| (&a.list, &a.at, param)));
            let gateways = profile.gateways.iter();
            let gateways = gateways.filter_map(|g| Some((g.gw_auth_acl.as_ref()?, &g.at, "gw-auth-acl")));
            for (list, at, param) in inbound.chain(others).chain(gateways) {
                name(list, at, param, "it matches nobody");
            }
        }
    }
}

/// What is in the wrong place, or there twice: of two, the first counts.
fn structure(root: &Element, problems: &mut Vec<Problem>) {
    for child in &root.children {
        if &*child.name != "section" {
            if !child.name.to_ascii_lowercase().starts_with("x-") {
                problems.push(
                    Problem::warning(
                        &child.at,
                        format!("<{}> stands outside every <section>, where nobody reads it", child.name),
                    )
                    .hint("put it into <section name=\"…\">"),
                );
            }
            continue;
        }
        match child.attr("name") {
            Some(name) if SECTIONS.iter().any(|s| s.eq_ignore_ascii_case(name)) => {}
            Some(name) => {
                let problem =
                    Problem::warning(child.attr_at("name"), format!("nobody reads a section {name}"));
                problems.push(match nearest(name, SECTIONS) {
                    Some(near) => problem.hint(format!("did you mean {near}?")),
                    None => problem
                        .hint("sections are configuration, dialplan, chatplan, directory and languages"),
                });
            }
            None => problems.push(
                Problem::warning(&child.at, "<section> has no name")
                    .hint("write <section name=\"configuration\">"),
            ),
        }
    }
    twice(root, "section", problems);
    for section in root.children_named("section") {
        match section.attr("name").unwrap_or("").to_ascii_lowercase().as_str() {
            "configuration" => {
                for child in &section.children {
                    if &*child.name == "configuration" && child.attr("name").is_none() {
                        problems.push(
                            Problem::warning(&child.at, "<configuration> has no name")
                                .hint("write <configuration name=\"switch.conf\">"),
                        );
                    }
                }
                twice(section, "configuration", problems);
            }
            "dialplan" => {
                for child in &section.children {
                    if &*child.name == "extension" {
                        problems.push(
                            Problem::warning(&child.at, "<extension> stands outside every <context>")
                                .hint("put it into <context name=\"default\">"),
                        );
                    }
                }
                twice(section, "context", problems);
            }
            _ => {}
        }
    }
}

fn twice(parent: &Element, tag: &str, problems: &mut Vec<Problem>) {
    let mut seen: std::collections::HashMap<String, &Position> = std::collections::HashMap::new();
    for child in parent.children_named(tag) {
        let Some(name) = child.attr("name") else { continue };
        match seen.get(&name.to_ascii_lowercase()) {
            Some(first) => problems.push(
                Problem::warning(
                    &child.at,
                    format!("{tag} {name} is there twice; only the first, at {first}, counts"),
                )
                .hint("join them"),
            ),
            None => {
                seen.insert(name.to_ascii_lowercase(), &child.at);
            }
        }
    }
}

/// The password every scanner tries first.
fn password(globals: &Globals, at: Option<&Position>, problems: &mut Vec<Problem>) {
    let Some(at) = at else { return };
    if globals.get("default_password").is_some_and(|p| &*p == "1234") {
        problems.push(
            Problem::warning(at, "default_password is 1234, which the whole world knows")
                .hint("set another; without one, the first start makes one and shows it"),
        );
    }
}
