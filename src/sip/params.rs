//! Parameters after a URI or a header value: `;name=value`, read where they stand.

use std::borrow::Cow;
use std::fmt;

use super::uri::Span;

/// A run of parameters that has passed the grammar, borrowed from its owner.
#[derive(Copy, Clone, Eq, PartialEq, Default)]
pub struct Params<'a>(&'a str);

impl<'a> Params<'a> {
    pub(crate) const fn new(run: &'a str) -> Params<'a> {
        Params(run)
    }

    /// The run as it stands, with its leading semicolon; empty when there is none.
    pub const fn as_str(self) -> &'a str {
        self.0
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.iter().next().is_none()
    }

    /// Each name with its value, in order. A flag has no value; quotes are still on.
    pub fn iter(self) -> impl Iterator<Item = (&'a str, Option<&'a str>)> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            loop {
                if rest.is_empty() {
                    return None;
                }
                let (one, equals, after) = cut_first(rest);
                rest = after;
                let (name, value) = match equals {
                    Some(at) => (one.get(..at).unwrap_or(""), one.get(at + 1..).map(str::trim_ascii)),
                    None => (one, None),
                };
                let name = name.trim_ascii();
                if !name.is_empty() {
                    return Some((name, value));
                }
            }
        })
    }

    /// The value of a parameter, in any case of its name: without quotes, escapes untouched; empty for a flag.
    pub fn get(self, name: &str) -> Option<&'a str> {
        self.iter().find(|(n, _)| same_name(n, name)).map(|(_, v)| strip_quotes(v.unwrap_or("")))
    }

    /// Where the value of a parameter of this run of `text` stands in it; an empty place when there is none.
    pub(crate) fn place(text: &str, run: Span, name: &str) -> Span {
        let found = Params::new(run.of(text)).get(name).unwrap_or("");
        if found.is_empty() {
            return Span::default();
        }
        let at = found.as_ptr() as usize - text.as_ptr() as usize;
        Span::new(at, at + found.len())
    }

    /// The value of a parameter with quotes and escapes taken away.
    pub fn get_unescaped(self, name: &str) -> Option<Cow<'a, str>> {
        self.iter().find(|(n, _)| same_name(n, name)).map(|(_, v)| unquote(v.unwrap_or("")))
    }

    /// Whether the parameter is there, with or without a value.
    pub fn has(self, name: &str) -> bool {
        self.iter().any(|(n, _)| same_name(n, name))
    }

    /// The run without one parameter.
    pub(crate) fn without(self, name: &str) -> String {
        let mut out = String::with_capacity(self.0.len());
        for (n, v) in self.iter().filter(|(n, _)| !same_name(n, name)) {
            out.push(';');
            out.push_str(n);
            if let Some(v) = v {
                out.push('=');
                out.push_str(v);
            }
        }
        out
    }
}

impl fmt::Display for Params<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Debug for Params<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Names match in any case, and when one side is escaped (`%6C%72` is `lr`, RFC 4475 §3.1.1.3).
pub(crate) fn same_name(found: &str, wanted: &str) -> bool {
    found.eq_ignore_ascii_case(wanted)
        || (found.len() > wanted.len()
            && found.contains('%')
            && super::uri::unescape(found).eq_ignore_ascii_case(wanted))
}

/// The parameter that ends at the first semicolon outside quotes, where its equals sign stands, and the rest. They are
/// short: looking at each byte is quicker than setting a search up.
fn cut_first(text: &str) -> (&str, Option<usize>, &str) {
    let mut equals = None;
    for (i, c) in text.bytes().enumerate() {
        match c {
            b';' => return (text.get(..i).unwrap_or(""), equals, text.get(i + 1..).unwrap_or("")),
            b'=' if equals.is_none() => equals = Some(i),
            b'"' => {
                let (one, rest) = split_unquoted(text, b';');
                return (one, equals.or_else(|| one.find('=')), rest);
            }
            _ => {}
        }
    }
    (text, equals, "")
}

/// Cuts at the first `at` that is not inside quotes.
pub(crate) fn split_unquoted(text: &str, at: u8) -> (&str, &str) {
    let bytes = text.as_bytes();
    let cut = |i: usize| (text.get(..i).unwrap_or(""), text.get(i + 1..).unwrap_or(""));
    match memchr::memchr2(at, b'"', bytes) {
        None => return (text, ""),
        Some(i) if bytes.get(i) == Some(&at) => return cut(i),
        Some(_) => {}
    }
    let mut inside = false;
    let mut escaped = false;
    for (i, c) in bytes.iter().copied().enumerate() {
        match c {
            _ if escaped => escaped = false,
            b'\\' if inside => escaped = true,
            b'"' => inside = !inside,
            c if c == at && !inside => return cut(i),
            _ => {}
        }
    }
    (text, "")
}

/// The text between quotes, if it is in quotes.
pub(crate) fn strip_quotes(text: &str) -> &str {
    text.strip_prefix('"').and_then(|t| t.strip_suffix('"')).unwrap_or(text)
}

/// Quotes and backslashes taken away.
pub(crate) fn unquote(text: &str) -> Cow<'_, str> {
    let inside = strip_quotes(text);
    if inside.len() == text.len() || !inside.contains('\\') {
        return Cow::Borrowed(inside);
    }
    let mut out = String::with_capacity(inside.len());
    let mut chars = inside.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.extend(chars.next()),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// Text in quotes, with quotes and backslashes escaped; control characters are left out.
pub(crate) struct Quoted<'a>(pub &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        f.write_char('"')?;
        let is_plain = |b: u8| matches!(b, b' '..=b'~') && b != b'"' && b != b'\\';
        if self.0.bytes().all(is_plain) {
            f.write_str(self.0)?;
            return f.write_char('"');
        }
        for c in self.0.chars().filter(|c| !c.is_control()) {
            if matches!(c, '"' | '\\') {
                f.write_char('\\')?;
            }
            f.write_char(c)?;
        }
        f.write_char('"')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_where_they_stand() {
        let p = Params::new(" ; tag = 88sja8x;Flag;+sip.instance=\"<urn:uuid:1;2>\";q=\"a\\\"b\";%6C%72");
        assert_eq!(p.get("TAG"), Some("88sja8x"));
        let text = "<sip:a>;x;tag=\"b\"";
        assert_eq!(Params::place(text, Span::new(7, text.len()), "tag").of(text), "b");
        assert_eq!(Params::place(text, Span::new(7, text.len()), "x"), Span::default());
        assert_eq!(p.get("flag"), Some(""));
        assert_eq!(p.get("+sip.instance"), Some("<urn:uuid:1;2>"));
        assert_eq!(p.get("q"), Some("a\\\"b"));
        assert_eq!(p.get_unescaped("q").as_deref(), Some("a\"b"));
        assert!(p.has("lr"));
        assert!(!p.has("missing"));
        assert_eq!(p.iter().count(), 5);
        assert_eq!(Params::new(";a=1;b;c=\"x;y\"").without("B"), ";a=1;c=\"x;y\"");
        assert!(Params::new(" ; ;").is_empty());
    }

    #[test]
    fn quoting_round_trip() {
        for text in ["", "plain", "a \"b\" \\ c", "żółw"] {
            assert_eq!(unquote(&Quoted(text).to_string()), text);
        }
        assert_eq!(Quoted("a\r\nb\0").to_string(), "\"ab\"");
    }
}
