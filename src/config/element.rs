//! The XML tree. Every node and attribute knows where it was written.

use std::sync::Arc;

use super::position::Position;

/// An attribute of an [`Element`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// Its name as written.
    pub name: Arc<str>,
    /// Its value, entities decoded, line breaks and tabs turned into blanks.
    pub value: Arc<str>,
    /// Where the name begins.
    pub at: Position,
    /// Where the value's first character is (after the quote).
    pub value_at: Position,
}

/// An XML element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    /// The tag's name as written; names are compared with case, as FreeSWITCH does.
    pub name: Arc<str>,
    /// Attributes in the order written. A repeated one was reported; the first counts.
    pub attributes: Vec<Attribute>,
    /// Child elements in the order written.
    pub children: Vec<Element>,
    /// The text directly inside, CDATA included, entities decoded; empty when there is only white space.
    pub text: String,
    /// Where the opening `<` is.
    pub at: Position,
}

impl Element {
    /// An element without content.
    pub fn new(name: &str, at: Position) -> Self {
        Element { name: name.into(), attributes: Vec::new(), children: Vec::new(), text: String::new(), at }
    }

    /// The value of attribute `name`.
    pub fn attr(&self, name: &str) -> Option<&str> {
        self.attribute(name).map(|a| &*a.value)
    }

    /// Attribute `name` with its positions.
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|a| &*a.name == name)
    }

    /// Where the value of attribute `name` begins, or the element itself when it is missing.
    pub fn attr_at(&self, name: &str) -> &Position {
        self.attribute(name).map_or(&self.at, |a| &a.value_at)
    }

    /// The first child called `name`.
    pub fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|c| &*c.name == name)
    }

    /// All children called `name`, in order.
    pub fn children_named<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a Element> {
        self.children.iter().filter(move |c| &*c.name == name)
    }

    /// The first child called `name` whose attribute `attr` is `value`, compared without case as FreeSWITCH does.
    pub fn find(&self, name: &str, attr: &str, value: &str) -> Option<&Element> {
        self.children_named(name).find(|c| c.attr(attr).is_some_and(|v| v.eq_ignore_ascii_case(value)))
    }

    /// The `<param name= value=>` children of this element, as (name, value, element); one without a name is left
    /// out, a missing value is empty.
    pub fn params(&self) -> impl Iterator<Item = (&str, &str, &Element)> {
        self.pairs("param")
    }

    /// The `<variable name= value=>` children, as [`params`](Self::params).
    pub fn variables(&self) -> impl Iterator<Item = (&str, &str, &Element)> {
        self.pairs("variable")
    }

    fn pairs<'a>(&'a self, tag: &str) -> impl Iterator<Item = (&'a str, &'a str, &'a Element)> {
        self.children_named(tag).filter_map(|e| Some((e.attr("name")?, e.attr("value").unwrap_or(""), e)))
    }
}

/// `<section name="…">` of the root: `configuration`, `dialplan`, `directory`, … The first one counts.
pub fn section<'a>(root: &'a Element, name: &str) -> Option<&'a Element> {
    root.find("section", "name", name)
}

/// `<configuration name="sofia.conf">` of the section `configuration`. The first one counts.
pub fn configuration<'a>(root: &'a Element, name: &str) -> Option<&'a Element> {
    section(root, "configuration")?.find("configuration", "name", name)
}
