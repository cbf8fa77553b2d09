//! Events written out: plain, JSON, XML (`switch_event_serialize`, `_serialize_json`, `switch_event_xmlize`).
//!
//! A value cannot break out of its line: plain and XML ones are percent-encoded, JSON ones escaped. A name cannot either:
//! what may not stand in one becomes `_`.

use super::value::Event;
use std::fmt::Write;

/// The characters that are encoded, beside what is not printable ASCII (`SWITCH_URL_UNSAFE`).
const UNSAFE: &[u8] = b"\r\n #%&+:;<=>?@[\\]^`{|}\"";

/// How an array variable begins, and what is between its elements.
const ARRAY: (&str, &str) = ("ARRAY::", "|:");

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// Which bytes are not copied as they are.
const CODED: [bool; 256] = {
    let mut coded = [true; 256];
    let mut byte = b' ';
    while byte <= b'~' {
        let mut n = 0;
        coded[byte as usize] = false;
        while n < UNSAFE.len() {
            coded[byte as usize] |= UNSAFE[n] == byte;
            n += 1;
        }
        byte += 1;
    }
    coded
};

/// Appends `text`, what is not safe in a URL as `%XX` (`switch_url_encode`); a `%41` is taken for encoded already.
pub fn url_encode_into(out: &mut String, text: &str) {
    let bytes = text.as_bytes();
    let mut copied = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        if !CODED.get(usize::from(byte)).is_none_or(|coded| *coded) {
            continue;
        }
        let hex = |n: usize| bytes.get(at + n).is_some_and(|b| matches!(b, b'0'..=b'9' | b'A'..=b'F'));
        if byte == b'%' && hex(1) && hex(2) {
            continue;
        }
        // What is between is ASCII, or nothing.
        out.push_str(text.get(copied..at).unwrap_or_default());
        copied = at + 1;
        let digit = |n: u8| char::from(HEX.get(usize::from(n)).copied().unwrap_or(b'0'));
        out.extend(['%', digit(byte >> 4), digit(byte & 15)]);
    }
    out.push_str(text.get(copied..).unwrap_or_default());
}

/// The headers line by line, then the body behind its length.
pub(super) fn plain(event: &Event, encode: bool) -> String {
    let mut out = String::with_capacity(event.length() * 9 / 8);
    for (name, value) in event.headers.iter() {
        header_line(&mut out, name, value, encode);
    }
    match event.body.as_deref().filter(|body| !body.is_empty()) {
        Some(body) => {
            let _ = write!(out, "Content-Length: {}\n\n{body}", body.len());
        }
        None => out.push('\n'),
    }
    out
}

/// `Name: value\n`, encoded.
pub fn header_line(out: &mut String, name: &str, value: &str, encode: bool) {
    // Unicode's own line ends, too: there are readers that cut lines there.
    let ends = |c: char| c.is_control() || matches!(c, ':' | '\u{2028}' | '\u{2029}');
    match name.contains(ends) {
        true => out.extend(name.chars().map(|c| if ends(c) { '_' } else { c })),
        false => out.push_str(name),
    }
    out.push_str(": ");
    match (encode, value) {
        (true, "") => out.push_str("_undef_"),
        (true, value) => url_encode_into(out, value),
        (false, value) => {
            out.push('[');
            out.extend(value.chars().filter(|c| *c != '\0'));
            out.push(']');
        }
    }
    out.push('\n');
}

/// One object, every value a string, an array variable an array of them.
pub(super) fn json(event: &Event) -> String {
    let mut out = String::with_capacity(event.length() * 5 / 4);
    out.push('{');
    for (name, value) in event.headers.iter() {
        member(&mut out, name);
        match value.strip_prefix(ARRAY.0) {
            Some(elements) => {
                out.push('[');
                for (n, element) in elements.split(ARRAY.1).enumerate() {
                    if n > 0 {
                        out.push(',');
                    }
                    string(&mut out, element);
                }
                out.push(']');
            }
            None => string(&mut out, value),
        }
    }
    if let Some(body) = event.body.as_deref().filter(|body| !body.is_empty()) {
        member(&mut out, "Content-Length");
        string(&mut out, &body.len().to_string());
        member(&mut out, "_body");
        string(&mut out, body);
    }
    out.push('}');
    out
}

fn member(out: &mut String, name: &str) {
    if out.len() > 1 {
        out.push(',');
    }
    string(out, name);
    out.push(':');
}

fn string(out: &mut String, text: &str) {
    // A text is always printable as JSON.
    out.push_str(&serde_json::to_string(text).unwrap_or_else(|_| "\"\"".to_owned()));
}

/// `<event>` with its headers, values percent-encoded, then the body's length and text.
pub(super) fn xml(event: &Event) -> String {
    let mut out = String::with_capacity(event.length() * 2);
    out.push_str("<event>\n  <headers>\n");
    let mut encoded = String::new();
    for (name, value) in event.headers.iter() {
        let elements = value.strip_prefix(ARRAY.0);
        for element in elements.unwrap_or(value).split(if elements.is_some() { ARRAY.1 } else { "\0" }) {
            encoded.clear();
            url_encode_into(&mut encoded, element);
            out.push_str("    ");
            tag(&mut out, name, &encoded);
        }
    }
    out.push_str("  </headers>\n");
    if let Some(body) = event.body.as_deref().filter(|body| !body.is_empty()) {
        out.push_str("  ");
        tag(&mut out, "Content-Length", &body.len().to_string());
        out.push_str("  ");
        tag(&mut out, "body", body);
    }
    out.push_str("</event>\n");
    out
}

/// `<name>text</name>\n`, or `<name/>` without text.
fn tag(out: &mut String, name: &str, text: &str) {
    let mut clean = String::with_capacity(name.len());
    for c in name.chars() {
        clean.push(if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '_' });
    }
    if !clean.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        clean.insert(0, '_');
    }
    if text.is_empty() {
        let _ = writeln!(out, "<{clean}/>");
        return;
    }
    let _ = write!(out, "<{clean}>");
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            c if c.is_control() && !matches!(c, '\n' | '\t') => {
                let _ = write!(out, "&#x{:X};", u32::from(c));
            }
            c => out.push(c),
        }
    }
    let _ = writeln!(out, "</{clean}>");
}

#[cfg(test)]
mod tests {
    use super::super::lines::Lines;
    use super::super::names::EventName;
    use super::*;

    fn event(headers: &[(&'static str, &str)], body: Option<&str>) -> Event {
        let mut lines = Lines::default();
        lines.extend(headers.iter().copied());
        Event::new(EventName::Custom(""), lines, usize::MAX, body.map(str::to_owned))
    }

    #[test]
    fn a_value_is_encoded_once_and_an_empty_one_has_a_name() {
        let event = event(&[("A", "a b/c%d&e=f,%41"), ("B", ""), ("C", "żó")], None);
        assert_eq!(
            event.text(super::super::Format::Plain),
            "A: a%20b/c%25d%26e%3Df,%41\nB: _undef_\nC: %C5%BC%C3%B3\n\n"
        );
        assert_eq!(event.readable(), "A: [a b/c%d&e=f,%41]\nB: []\nC: [żó]\n\n");
    }

    #[test]
    fn a_body_comes_behind_its_length() {
        let event = event(&[("A", "1")], Some("x\ny"));
        assert_eq!(plain(&event, true), "A: 1\nContent-Length: 3\n\nx\ny");
        assert_eq!(json(&event), r#"{"A":"1","Content-Length":"3","_body":"x\ny"}"#);
        assert_eq!(
            xml(&event),
            "<event>\n  <headers>\n    <A>1</A>\n  </headers>\n  <Content-Length>3</Content-Length>\n  <body>x\ny</body>\n</event>\n"
        );
    }

    #[test]
    fn arrays_are_lists() {
        let event = event(&[("variable_a", "ARRAY::one|:two \"x\"")], None);
        assert_eq!(plain(&event, true), "variable_a: ARRAY%3A%3Aone%7C%3Atwo%20%22x%22\n\n");
        assert_eq!(json(&event), r#"{"variable_a":["one","two \"x\""]}"#);
        assert!(
            xml(&event).contains("<variable_a>one</variable_a>\n    <variable_a>two%20%22x%22</variable_a>")
        );
    }

    #[test]
    fn nothing_breaks_out_of_its_line() {
        let event = event(
            &[("A\nEvent-Name: HEARTBEAT", "x\r\n\r\nContent-Type: y"), ("<a b>", "</headers>")],
            Some("]]></body>\0"),
        );
        let text = plain(&event, true);
        assert_eq!(text.lines().next(), Some("A_Event-Name_ HEARTBEAT: x%0D%0A%0D%0AContent-Type%3A%20y"));
        let text = xml(&event);
        assert!(
            text.contains("<_a_b_>%3C/headers%3E</_a_b_>") && text.contains("]]&gt;&lt;/body&gt;&#x0;"),
            "{text}"
        );
    }
}
