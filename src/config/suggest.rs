//! "Did you mean …?": the nearest of the known names.

/// The known name nearest to `given`, when it is near enough to be what the writer meant.
pub fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let given: Vec<char> = given.chars().take(64).flat_map(char::to_lowercase).collect();
    let allowed = match given.len() {
        0..=2 => 0,
        3..=5 => 1,
        6..=11 => 2,
        _ => 3,
    };
    let mut best: Option<(usize, &str)> = None;
    for name in known {
        if given.len().abs_diff(name.chars().count()) > allowed {
            continue;
        }
        let distance = distance(&given, name);
        if distance <= allowed && best.is_none_or(|(d, _)| distance < d) {
            best = Some((distance, name));
        }
    }
    best.map(|(_, name)| name)
}

/// Insertions, deletions, replacements and swaps of neighbours that turn one into the other.
fn distance(a: &[char], b: &str) -> usize {
    let b: Vec<char> = b.chars().flat_map(char::to_lowercase).collect();
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, &ca) in a.iter().enumerate() {
        let mut next = vec![i + 1];
        for (j, &cb) in b.iter().enumerate() {
            let replace = row.get(j).copied().unwrap_or(0) + usize::from(ca != cb);
            let delete = row.get(j + 1).copied().unwrap_or(0) + 1;
            let insert = next.get(j).copied().unwrap_or(0) + 1;
            let mut least = replace.min(delete).min(insert);
            if i > 0 && j > 0 && a.get(i - 1) == Some(&cb) && b.get(j - 1) == Some(&ca) {
                least = least.min(before.get(j - 1).copied().unwrap_or(0) + 1);
            }
            next.push(least);
        }
        before = std::mem::replace(&mut row, next);
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn nearest_name() {
        let known = ["sip-ip", "sip-port", "rtp-ip", "inbound-codec-prefs", "context"];
        for (given, expected) in [
            ("sip-prot", Some("sip-port")),
            ("sip_port", Some("sip-port")),
            ("SIP-PORT", Some("sip-port")),
            ("inbound-codec-pref", Some("inbound-codec-prefs")),
            ("contxt", Some("context")),
            ("frobnicate", None),
            ("", None),
            ("x", None),
        ] {
            assert_eq!(nearest(given, known), expected, "{given}");
        }
    }
}
