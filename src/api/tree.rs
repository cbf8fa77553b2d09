//! `xml_locate` and `find_user_xml`: the configuration as XML again (mod_commands.c).
//!
//! The tree is kept without its directory; users and domains are written from the look-ups, so that what they inherit
//! stands where `switch_xml_locate_user_merged` puts it.

use std::fmt::Write;

use super::world::World;
use crate::config::{Element, section};
use crate::dialplan::separate;
use crate::directory::{Domain, User};

const NOTHING: &str = "can't find anything\n";

/// `xml_locate root`, `xml_locate SECTION` or `xml_locate SECTION TAG ATTRIBUTE VALUE`.
pub fn xml_locate(world: &dyn World, text: &str) -> String {
    let words = separate(text, ' ', 4);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let Some(tree) = world.tree() else { return NOTHING.to_owned() };
    match words.as_slice() {
        [root] if root.eq_ignore_ascii_case("root") => printed(&tree),
        ["directory", "domain", "name", name] => match world.directory().domain(name) {
            Some(domain) => printed_domain(domain),
            None => NOTHING.to_owned(),
        },
        [name] => section(&tree, name).map_or_else(|| NOTHING.to_owned(), printed),
        [name, tag, attribute, value] => {
            match section(&tree, name).and_then(|s| s.find(tag, attribute, value)) {
                Some(found) => printed(found),
                None => NOTHING.to_owned(),
            }
        }
        _ => "-ERR bad args\n".to_owned(),
    }
}

/// `find_user_xml KEY USER DOMAIN`. In a call the answer is only whether there is such a user: a dialplan has no use for
/// passwords.
pub fn find_user_xml(world: &dyn World, text: &str) -> String {
    let words = separate(text, ' ', 3);
    let found = match words.as_slice() {
        [_, user, domain] => world.directory().user(user, domain).ok_or("can't find user"),
        _ => Err("bad args"),
    };
    match found {
        found if world.channel().is_some() => found.is_ok().to_string(),
        Ok(user) => {
            let mut out = String::new();
            write_user(&mut out, &user, 0);
            out
        }
        Err(reason) => format!("-ERR {reason}\n"),
    }
}

fn printed(element: &Element) -> String {
    let mut out = String::new();
    write_element(&mut out, element, 0);
    out
}

fn write_element(out: &mut String, element: &Element, depth: usize) {
    let _ = write!(out, "{:1$}<{2}", "", depth * 2, element.name);
    for attribute in &element.attributes {
        let _ = write!(out, " {}=\"{}\"", attribute.name, escaped(&attribute.value));
    }
    out.push('>');
    out.push_str(&escaped(&element.text));
    if !element.children.is_empty() {
        out.push('\n');
        for child in &element.children {
            write_element(out, child, depth + 1);
        }
        let _ = write!(out, "{:1$}", "", depth * 2);
    }
    let _ = writeln!(out, "</{}>", element.name);
}

fn printed_domain(domain: &Domain) -> String {
    let mut out = format!("<domain name=\"{}\">\n", escaped(&domain.name));
    for group in domain.groups() {
        let _ = writeln!(out, "  <group name=\"{}\">\n    <users>", escaped(&group.name));
        for user in &group.members {
            let _ = writeln!(out, "      <user id=\"{}\" type=\"pointer\"></user>", escaped(&user.id));
        }
        out.push_str("    </users>\n  </group>\n");
    }
    for user in domain.users() {
        write_user(&mut out, user, 1);
    }
    out + "</domain>\n"
}

fn write_user(out: &mut String, user: &User, depth: usize) {
    let indent = depth * 2;
    let _ = write!(out, "{:indent$}<user id=\"{}\"", "", escaped(&user.id));
    if let Some(alias) = &user.number_alias {
        let _ = write!(out, " number-alias=\"{}\"", escaped(alias));
    }
    out.push_str(">\n");
    let params: Vec<_> = user.params().collect();
    let variables: Vec<_> = user.variables().collect();
    for (list, element, settings) in [("params", "param", params), ("variables", "variable", variables)] {
        if settings.is_empty() {
            continue;
        }
        let _ = writeln!(out, "{:indent$}  <{list}>", "");
        for (name, value) in settings {
            let _ = writeln!(
                out,
                "{:indent$}    <{element} name=\"{}\" value=\"{}\"></{element}>",
                "",
                escaped(name),
                escaped(value)
            );
        }
        let _ = writeln!(out, "{:indent$}  </{list}>", "");
    }
    let _ = writeln!(out, "{:indent$}</user>", "");
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
    out
}
