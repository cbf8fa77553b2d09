//! What stands in a profile, to tell a reload whether it changed, and in what.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::config::changes::Names;
use crate::config::element::Element;

/// Everything written in a profile but its gateways, wherever it stands: the name of each parameter, or of the part it is
/// in, and a mark of what it says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written(Vec<(Box<str>, u64)>);

impl Written {
    /// What stands in a `<profile>`.
    pub(super) fn of(profile: &Element) -> Written {
        let own = Element {
            attributes: profile.attributes.clone(),
            ..Element::new(&profile.name, profile.at.clone())
        };
        let mut all = vec![("name".into(), mark(&own))];
        for part in profile.children.iter().filter(|part| &*part.name != "gateways") {
            if &*part.name != "settings" {
                all.push((part.name.as_ref().into(), mark(part)));
                continue;
            }
            let named =
                |param: &Element| param.attr("name").unwrap_or(&param.name).to_ascii_lowercase().into();
            all.extend(part.children.iter().map(|param| (named(param), mark(param))));
        }
        Written(all)
    }

    /// The names of what is written otherwise than in `other`.
    pub fn differences(&self, other: &Written) -> Names {
        let mut names = Names::default();
        let mut seen: Vec<&str> = Vec::new();
        for (name, _) in self.0.iter().chain(&other.0) {
            if seen.contains(&&**name) {
                continue;
            }
            seen.push(name);
            let said = |written: &Written| {
                written.0.iter().filter(|w| w.0 == *name).map(|w| w.1).collect::<Vec<_>>()
            };
            if said(self) != said(other) {
                names.push(name);
            }
        }
        if names.is_empty() && self != other {
            names.push("in another order");
        }
        names
    }
}

/// Hashes what stands in an element, places aside.
fn mark(element: &Element) -> u64 {
    fn hash(element: &Element, mark: &mut DefaultHasher) {
        element.name.hash(mark);
        element.text.hash(mark);
        for attribute in &element.attributes {
            (&attribute.name, &attribute.value).hash(mark);
        }
        element.children.len().hash(mark);
        element.children.iter().for_each(|child| hash(child, mark));
    }
    let mut mark = DefaultHasher::new();
    hash(element, &mut mark);
    mark.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Options, parse};

    fn of(inner: &str) -> Written {
        let text = format!("<profile name=\"p\">{inner}</profile>");
        Written::of(&parse("x.xml", &text, &Options::new("/nowhere")).root)
    }

    fn settings(params: &[(&str, &str)]) -> String {
        let params = params.iter().map(|(n, v)| format!("<param name=\"{n}\" value=\"{v}\"/>\n"));
        format!("<settings>{}</settings>", params.collect::<String>())
    }

    #[test]
    fn parameters_are_named() {
        let before = of(&settings(&[("context", "a"), ("rtp-ip", "1"), ("rtp-ip", "2"), ("gone", "1")]));
        let told = |after: &str| of(after).differences(&before).to_string();
        let same = settings(&[("context", "a"), ("rtp-ip", "1"), ("rtp-ip", "2"), ("gone", "1")]);
        assert_eq!(told(&format!("\n\n<gateways><gateway name=\"g\"/></gateways>{same}")), "");
        assert_eq!(
            told(&settings(&[("context", "b"), ("rtp-ip", "1"), ("new", "1")])),
            "context, rtp-ip, new, gone"
        );
        assert_eq!(told(&format!("<aliases><alias name=\"x\"/></aliases>{same}")), "aliases");
        let turned = settings(&[("rtp-ip", "1"), ("context", "a"), ("rtp-ip", "2"), ("gone", "1")]);
        assert_eq!(told(&turned), "in another order");
    }
}
