//! What a reload changed, in words for the log: names, never values, some of which are passwords.

use std::collections::{HashMap, HashSet};
use std::fmt::{self, Write};

use super::element::{Element, configuration, section};
use super::globals::Globals;

/// How many of a kind are named; the rest is counted.
const NAMED: usize = 5;

/// Names, of which the first few are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    count: usize,
    first: Vec<String>,
}

impl Names {
    /// One more.
    pub fn push(&mut self, name: impl fmt::Display) {
        self.count += 1;
        if self.first.len() < NAMED {
            self.first.push(name.to_string());
        }
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.count
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.first.join(", "))?;
        match self.count - self.first.len() {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

/// What came, went and became other, of one kind of thing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Those that were not there before.
    pub added: Names,
    /// Those that are another now.
    pub changed: Names,
    /// Those that are not there any more.
    pub removed: Names,
}

impl Changes {
    /// `kind: 2 added (a, b), 1 changed (c)`; `None` when nothing is another.
    pub fn told(&self, kind: &str) -> Option<String> {
        let mut text = String::new();
        for (names, word) in [(&self.added, "added"), (&self.changed, "changed"), (&self.removed, "removed")]
        {
            if !names.is_empty() {
                let comma = if text.is_empty() { ":" } else { "," };
                let _ = write!(text, "{comma} {} {word} ({names})", names.len());
            }
        }
        (!text.is_empty()).then(|| format!("{kind}{text}"))
    }

    /// Compares what is known by name: `before` as a look-up, `after` in its order.
    fn of<'a>(
        mut before: HashMap<String, &'a Element>,
        after: impl IntoIterator<Item = (String, &'a Element)>,
    ) -> Changes {
        let mut changes = Changes::default();
        for (name, element) in after {
            match before.remove(&name) {
                None => changes.added.push(name),
                Some(old) if alike(old, element) => {}
                Some(_) => changes.changed.push(name),
            }
        }
        let mut gone: Vec<String> = before.into_keys().collect();
        gone.sort_unstable();
        gone.into_iter().for_each(|name| changes.removed.push(name));
        changes
    }
}

/// True when two elements say the same, wherever they stand.
pub fn alike(one: &Element, other: &Element) -> bool {
    one.name == other.name
        && one.text == other.text
        && one.attributes.len() == other.attributes.len()
        && one.attributes.iter().zip(&other.attributes).all(|(a, b)| a.name == b.name && a.value == b.value)
        && one.children.len() == other.children.len()
        && one.children.iter().zip(&other.children).all(|(a, b)| alike(a, b))
}

/// What two trees differ in beside users, profiles and gateways: extensions, access lists, the other configurations.
pub fn of_trees(before: &Element, after: &Element) -> Vec<String> {
    let extensions = Changes::of(extensions(before).collect(), extensions(after));
    let lists = Changes::of(lists(before).collect(), lists(after));
    let mut said: Vec<String> =
        [extensions.told("extensions"), lists.told("access lists")].into_iter().flatten().collect();
    said.extend(moved(before, after));
    let others = Changes::of(configurations(before).collect(), configurations(after));
    said.extend(others.told("configurations"));
    said.extend(settings(before, after));
    said
}

/// What a reload makes of the globals: those the files do not name stay as they are.
pub fn of_globals(before: &Globals, after: &Globals) -> Option<String> {
    let (before, after) = (before.snapshot(), after.snapshot());
    let mut changes = Changes::default();
    for (name, value) in after.iter() {
        match before.get(name) {
            None => changes.added.push(name),
            Some(old) if **old == *value => {}
            Some(_) => changes.changed.push(name),
        }
    }
    changes.told("globals")
}

/// `context/extension`, a second of the same name as `context/extension#2`, one without a name as `context/#2`.
fn extensions(root: &Element) -> impl Iterator<Item = (String, &Element)> {
    let contexts = section(root, "dialplan").into_iter().flat_map(|s| s.children_named("context"));
    contexts.flat_map(|context| {
        let mut seen: HashMap<&str, usize> = HashMap::new();
        let name = context.attr("name").unwrap_or("");
        context.children_named("extension").map(move |extension| {
            let own = extension.attr("name").unwrap_or("");
            let times = seen.entry(own).or_default();
            *times += 1;
            let key = match (own, *times) {
                ("", times) => format!("{name}/#{times}"),
                (own, 1) => format!("{name}/{own}"),
                (own, times) => format!("{name}/{own}#{times}"),
            };
            (key, extension)
        })
    })
}

/// Contexts whose extensions stand in another order.
fn moved(before: &Element, after: &Element) -> Option<String> {
    let order = |root| {
        let mut order: HashMap<String, Vec<String>> = HashMap::new();
        for (name, _) in extensions(root) {
            let context = name.split('/').next().unwrap_or_default().to_owned();
            order.entry(context).or_default().push(name);
        }
        order
    };
    let (before, after) = (order(before), order(after));
    let mut names: Vec<&String> = after
        .iter()
        .filter(|(context, now)| {
            let Some(old) = before.get(*context) else { return false };
            let (there, here): (HashSet<&String>, HashSet<&String>) =
                (old.iter().collect(), now.iter().collect());
            let stayed = |name: &&String| there.contains(name) && here.contains(name);
            !old.iter().filter(stayed).eq(now.iter().filter(stayed))
        })
        .map(|(context, _)| context)
        .collect();
    names.sort_unstable();
    let mut told = Names::default();
    names.into_iter().for_each(|name| told.push(name));
    (!told.is_empty()).then(|| format!("extensions in another order: {told}"))
}

/// Access lists by name; of two with one name the last counts.
fn lists(root: &Element) -> impl Iterator<Item = (String, &Element)> {
    let lists = configuration(root, "acl.conf").and_then(|acl| acl.child("network-lists"));
    let lists = lists.into_iter().flat_map(|l| l.children_named("list"));
    let all: Vec<(String, &Element)> = lists.filter_map(|l| Some((l.attr("name")?.to_owned(), l))).collect();
    let counts: HashMap<String, usize> =
        all.iter().enumerate().map(|(at, (name, _))| (name.clone(), at)).collect();
    all.into_iter().enumerate().filter(move |(at, (name, _))| counts.get(name) == Some(at)).map(|(_, l)| l)
}

/// The configurations that nothing else here compares.
fn configurations(root: &Element) -> impl Iterator<Item = (String, &Element)> {
    const ELSEWHERE: [&str; 3] = ["acl.conf", "sofia.conf", "switch.conf"];
    let all = section(root, "configuration").into_iter().flat_map(|s| s.children_named("configuration"));
    all.filter_map(|c| Some((c.attr("name")?.to_owned(), c)))
        .filter(|(name, _)| !ELSEWHERE.iter().any(|e| e.eq_ignore_ascii_case(name)))
}

/// The parameters of `switch.conf` that differ.
fn settings(before: &Element, after: &Element) -> Option<String> {
    let params = |root| {
        let settings = configuration(root, "switch.conf").and_then(|c| c.child("settings"));
        settings.into_iter().flat_map(|s| s.children_named("param")).filter_map(|p| {
            let name = p.attr("name")?;
            Some((name.to_ascii_lowercase(), p))
        })
    };
    Changes::of(params(before).collect(), params(after)).told("switch.conf")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Options, parse};

    fn tree(text: &str) -> Element {
        parse("x.xml", &format!("<document>{text}</document>"), &Options::new("/nowhere")).root
    }

    fn extensions_of(names: &[(&str, &str)]) -> String {
        let each = names.iter().map(|(name, data)| {
            format!("<extension name=\"{name}\"><condition><action application=\"log\" data=\"{data}\"/></condition></extension>\n")
        });
        format!(
            "<section name=\"dialplan\"><context name=\"default\">{}</context></section>",
            each.collect::<String>()
        )
    }

    #[test]
    fn the_same_text_elsewhere_is_no_difference() {
        let text = extensions_of(&[("a", "1"), ("", "2")]);
        assert_eq!(of_trees(&tree(&text), &tree(&format!("\n\n  {text}"))), Vec::<String>::new());
    }

    #[test]
    fn extensions_are_named() {
        let before = tree(&extensions_of(&[("a", "1"), ("b", "1"), ("c", "1"), ("c", "2"), ("", "x")]));
        let after = tree(&extensions_of(&[("c", "1"), ("a", "2"), ("c", "3"), ("d", "1"), ("", "x")]));
        assert_eq!(
            of_trees(&before, &after),
            [
                "extensions: 1 added (default/d), 2 changed (default/a, default/c#2), 1 removed (default/b)",
                "extensions in another order: default",
            ]
        );
    }

    #[test]
    fn lists_settings_and_configurations_are_named() {
        let of = |lan: &str, limit: &str, other: &str| {
            tree(&format!(
                r#"<section name="configuration">
                <configuration name="acl.conf"><network-lists>
                  <list name="lan" default="allow"><node type="deny" cidr="{lan}"/></list>
                  <list name="same" default="deny"/></network-lists></configuration>
                <configuration name="switch.conf"><settings><param name="max-sessions" value="{limit}"/>
                  <param name="loglevel" value="info"/></settings></configuration>{other}</section>"#
            ))
        };
        let cdr = r#"<configuration name="cdr_csv.conf"><settings/></configuration>"#;
        assert_eq!(
            of_trees(&of("192.0.2.0/24", "10", ""), &of("192.0.2.0/25", "20", cdr)),
            [
                "access lists: 1 changed (lan)",
                "configurations: 1 added (cdr_csv.conf)",
                "switch.conf: 1 changed (max-sessions)"
            ]
        );
    }

    #[test]
    fn many_are_counted() {
        let many: Vec<String> = (0..1000).map(|n| format!("e{n:03}")).collect();
        let many: Vec<(&str, &str)> = many.iter().map(|n| (n.as_str(), "1")).collect();
        assert_eq!(
            of_trees(&tree(&extensions_of(&[])), &tree(&extensions_of(&many))),
            [
                "extensions: 1000 added (default/e000, default/e001, default/e002, default/e003, default/e004 and 995 more)"
            ]
        );
    }

    #[test]
    fn globals_by_name_and_never_by_value() {
        let (before, after) = (Globals::default(), Globals::default());
        for (name, value) in [("kept", "1"), ("password", "old secret"), ("only_before", "1")] {
            before.set(name, value);
        }
        for (name, value) in [("kept", "1"), ("password", "new secret"), ("fresh", "1")] {
            after.set(name, value);
        }
        let said = of_globals(&before, &after).unwrap();
        assert_eq!(said, "globals: 1 added (fresh), 1 changed (password)");
    }
}
