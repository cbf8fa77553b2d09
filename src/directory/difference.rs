//! What two generations of the directory differ in.

use super::snapshot::{Domain, Group, Snapshot};
use super::user::User;
use crate::config::changes::Changes;
use crate::config::directory::{Setting, Settings};

impl Snapshot {
    /// What is another than in `before`, by name. A user whose group or domain says something else is not counted: that
    /// group or domain is.
    pub fn differences(&self, before: &Snapshot) -> Vec<String> {
        let (mut domains, mut groups, mut users) =
            (Changes::default(), Changes::default(), Changes::default());
        for domain in self.domains() {
            let old = before.domain(&domain.name);
            match old {
                None => domains.added.push(&domain.name),
                Some(old) if says_the_same(&old.settings, &domain.settings) => {}
                Some(_) => domains.changed.push(&domain.name),
            }
            for group in domain.groups() {
                let name = || format!("{}@{}", group.name, domain.name);
                match old.and_then(|old| old.group(&group.name)) {
                    None => groups.added.push(name()),
                    Some(old) if same_group(old, group) => {}
                    Some(_) => groups.changed.push(name()),
                }
            }
            for user in domain.users() {
                match old.and_then(|old| of_that_id(old, user)) {
                    None => users.added.push(user.address()),
                    Some(old) if same_user(old, user) => {}
                    Some(_) => users.changed.push(user.address()),
                }
            }
        }
        for old in before.domains() {
            let now = self.domain(&old.name);
            if now.is_none() {
                domains.removed.push(&old.name);
            }
            for group in old.groups().filter(|g| now.is_none_or(|now| now.group(&g.name).is_none())) {
                groups.removed.push(format!("{}@{}", group.name, old.name));
            }
            for user in old.users().iter().filter(|u| now.is_none_or(|now| of_that_id(now, u).is_none())) {
                users.removed.push(user.address());
            }
        }
        [users.told("users"), groups.told("groups"), domains.told("domains")].into_iter().flatten().collect()
    }
}

/// The user of that id; one that only has it as its number-alias is another.
fn of_that_id<'a>(domain: &'a Domain, user: &User) -> Option<&'a User> {
    domain.user(&user.id).map(|u| &**u).filter(|found| found.id.eq_ignore_ascii_case(&user.id))
}

fn same_user(one: &User, other: &User) -> bool {
    let own = |user: &User| user.levels[0].clone();
    one.id == other.id
        && one.group == other.group
        && one.number_alias == other.number_alias
        && one.networks == other.networks
        && match (own(one), own(other)) {
            (Some(one), Some(other)) => says_the_same(&one, &other),
            (one, other) => one.is_none() && other.is_none(),
        }
}

fn same_group(one: &Group, other: &Group) -> bool {
    says_the_same(&one.settings, &other.settings)
        && one.members.len() == other.members.len()
        && one.members.iter().zip(&other.members).all(|(a, b)| a.id == b.id)
}

fn says_the_same(one: &Settings, other: &Settings) -> bool {
    let same = |one: &[Setting], other: &[Setting]| {
        one.len() == other.len() && one.iter().zip(other).all(|(a, b)| a.name == b.name && a.value == b.value)
    };
    same(&one.params, &other.params) && same(&one.variables, &other.variables)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Options, parse, section};

    fn snapshot(inner: &str) -> Snapshot {
        let text = format!("<document><section name=\"directory\">{inner}</section></document>");
        let loaded = parse("x.xml", &text, &Options::new("/nowhere"));
        let section = section(&loaded.root, "directory").unwrap();
        Snapshot::of(crate::config::directory::DirectoryConf::from_element(section, &mut Vec::new()))
    }

    fn user(id: &str, password: &str) -> String {
        format!("<user id=\"{id}\"><params><param name=\"password\" value=\"{password}\"/></params></user>\n")
    }

    #[test]
    fn users_groups_and_domains_are_named() {
        let before = snapshot(&format!(
            "<domain name=\"a\"><params><param name=\"x\" value=\"1\"/></params><groups><group name=\"g\"><users>{}{}{}\
             </users></group></groups></domain><domain name=\"old\"/>",
            user("1", "p"),
            user("2", "p"),
            user("3", "p")
        ));
        assert_eq!(before.differences(&before), Vec::<String>::new());
        let after = snapshot(&format!(
            "<domain name=\"a\"><params><param name=\"x\" value=\"2\"/></params><groups><group name=\"g\"><users>\n\n{}{}{}\
             </users></group></groups></domain>",
            user("1", "p"),
            user("2", "another"),
            user("4", "p")
        ));
        assert_eq!(
            after.differences(&before),
            [
                "users: 1 added (4@a), 1 changed (2@a), 1 removed (3@a)",
                "groups: 1 changed (g@a)",
                "domains: 1 changed (a), 1 removed (old)"
            ]
        );
        assert!(!after.differences(&before).concat().contains("another"), "no values: some are passwords");
    }

    #[test]
    fn an_alias_is_not_its_user() {
        let before = snapshot("<domain name=\"a\"><user id=\"1\" number-alias=\"77\"/></domain>");
        let after = snapshot("<domain name=\"a\"><user id=\"1\"/><user id=\"77\"/></domain>");
        assert_eq!(after.differences(&before), ["users: 1 added (77@a), 1 changed (1@a)"]);
    }
}
