//! Lists in arguments, split as FreeSWITCH does (`switch_separate_string`): `'…'` and `\` protect, blanks round an
//! item go, `\n \r \t \s` mean their characters.

/// Splits `text` at `separator` into at most `most` items; the last one keeps the rest. `^^x` in front makes `x` the
/// separator. With the blank as separator, a run of blanks is one.
pub fn separate(text: &str, separator: char, most: usize) -> Vec<String> {
    let mut separator = separator;
    let mut list = text;
    if let Some(rest) = text.strip_prefix("^^") {
        let mut characters = rest.chars();
        if let (Some(c), true) = (characters.next(), !characters.as_str().is_empty()) {
            separator = c;
            list = characters.as_str();
        }
    }
    let blank = separator == ' ';
    let mut items = Vec::new();
    let mut rest = list;
    while !rest.is_empty() && items.len() < most {
        let (item, behind) = if items.len() + 1 == most { (rest, "") } else { first(rest, separator) };
        items.push(clean(item, (!blank).then_some(separator)));
        rest = if blank { behind.trim_start_matches(' ') } else { behind };
    }
    items
}

/// The text up to the first unprotected separator, and what follows it.
fn first(text: &str, separator: char) -> (&str, &str) {
    let text = if separator == ' ' { text.trim_start_matches(' ') } else { text };
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            // Between blanks a quote opens whether it is closed or not.
            '\'' if quoted || separator == ' ' || text.get(at + 1..).is_some_and(|t| t.contains('\'')) => {
                quoted = !quoted;
            }
            c if c == separator && !quoted => {
                let item = text.get(..at).unwrap_or("");
                return (item, text.get(at + c.len_utf8()..).unwrap_or(""));
            }
            _ => {}
        }
    }
    (text, "")
}

/// Removes quotes, escapes and the blanks round an item.
fn clean(item: &str, separator: Option<char>) -> String {
    let item = item.trim_start_matches(' ');
    let mut out = String::with_capacity(item.len());
    let mut keep = 0;
    let mut quoted = false;
    let mut characters = item.char_indices();
    while let Some((at, c)) = characters.next() {
        let next = item.get(at + c.len_utf8()..).and_then(|t| t.chars().next());
        let meant = match (c, next) {
            ('\\', Some(e)) if matches!(e, '\'' | '"' | '\\') || Some(e) == separator => Some(e),
            ('\\', Some('n')) => Some('\n'),
            ('\\', Some('r')) => Some('\r'),
            ('\\', Some('t')) => Some('\t'),
            ('\\', Some('s')) => Some(' '),
            _ => None,
        };
        if let Some(meant) = meant {
            characters.next();
            out.push(meant);
            keep = out.len();
        } else if c == '\'' && (quoted || item.get(at + 1..).is_some_and(|t| t.contains('\''))) {
            quoted = !quoted;
            if quoted {
                keep = out.len();
            }
        } else {
            out.push(c);
            if c != ' ' || quoted {
                keep = out.len();
            }
        }
    }
    out.truncate(keep);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_as_freeswitch() {
        for (text, separator, most, expected) in [
            ("a,b,c", ',', 9, vec!["a", "b", "c"]),
            ("a , b", ',', 9, vec!["a", "b"]),
            ("'a,b',c", ',', 9, vec!["a,b", "c"]),
            ("a\\,b,c", ',', 9, vec!["a,b", "c"]),
            ("it's,b", ',', 9, vec!["it's", "b"]),
            ("a\\sb\\n", ',', 9, vec!["a b\n"]),
            ("a|b|c|d", '|', 3, vec!["a", "b", "c|d"]),
            ("  a   b  c ", ' ', 9, vec!["a", "b", "c"]),
            ("a 'b c' d", ' ', 9, vec!["a", "b c", "d"]),
            ("a it's b", ' ', 9, vec!["a", "it's b"]),
            ("^^:a:b", ',', 9, vec!["a", "b"]),
            ("^^:", ',', 9, vec!["^^:"]),
            (",,a", ',', 9, vec!["", "", "a"]),
            ("a,", ',', 9, vec!["a"]),
            ("", ',', 9, vec![]),
        ] {
            assert_eq!(separate(text, separator, most), expected, "{text}");
        }
    }
}
