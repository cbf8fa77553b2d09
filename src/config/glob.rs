//! File patterns as glob(3) has them: `*`, `?`, `[a-z]`, sorted by byte value, hidden files only when asked for.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// More matches than this for one pattern is a mistake.
pub const MAX_MATCHES: usize = 1_000_000;

/// The files that match `pattern`, sorted as glob(3) sorts them in the C locale: this decides the order of the
/// dialplan. A pattern without wildcards matches the file if it is there. An unreadable folder is an error.
pub fn glob(pattern: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = vec![PathBuf::new()];
    // What a folder lists is there.
    let mut last_is_wild = false;
    for part in pattern.components() {
        let text = part.as_os_str().to_string_lossy();
        last_is_wild = text.contains(['*', '?', '[']);
        if !last_is_wild {
            for path in &mut found {
                path.push(part);
            }
            continue;
        }
        let mut next = Vec::new();
        let mut pattern = Pattern::new(&text);
        for folder in &found {
            let listed = match std::fs::read_dir(folder) {
                Ok(listed) => listed,
                Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                    continue;
                }
                Err(e) => return Err(e),
            };
            let mut names = Vec::new();
            for entry in listed {
                let name = entry?.file_name();
                if pattern.matches(&name.to_string_lossy()) {
                    names.push(name);
                    if next.len() + names.len() > MAX_MATCHES {
                        return Err(io::Error::other("too many files match"));
                    }
                }
            }
            names.sort_unstable();
            next.extend(names.into_iter().map(|name| folder.join(name)));
        }
        found = next;
    }
    if !last_is_wild {
        found.retain(|p| p.symlink_metadata().is_ok());
    }
    if !found.is_sorted_by(|a, b| a.as_os_str().as_bytes() <= b.as_os_str().as_bytes()) {
        found.sort_by_cached_key(|path| path.as_os_str().as_bytes().to_vec());
    }
    Ok(found)
}

/// Whether `name` matches one component of a pattern.
pub fn matches(pattern: &str, name: &str) -> bool {
    Pattern::new(pattern).matches(name)
}

/// A pattern taken apart, and room for a name.
struct Pattern {
    pattern: Vec<char>,
    name: Vec<char>,
}

impl Pattern {
    fn new(pattern: &str) -> Self {
        Pattern { pattern: pattern.chars().collect(), name: Vec::new() }
    }

    fn matches(&mut self, name: &str) -> bool {
        if name.starts_with('.') && self.pattern.first() != Some(&'.') {
            return false;
        }
        self.name.clear();
        self.name.extend(name.chars());
        walk(&self.pattern, &self.name)
    }
}

fn walk(pattern: &[char], name: &[char]) -> bool {
    // The classic walk with one remembered star: linear in the name for each star, never exponential.
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(&c) = name.get(n) {
        let step = match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
                continue;
            }
            Some('?') => Some(p + 1),
            Some('[') => match class(pattern, p, c) {
                Some((true, after)) => Some(after),
                Some((false, _)) => None,
                None => (c == '[').then_some(p + 1),
            },
            Some('\\') => pattern.get(p + 1).is_some_and(|l| *l == c).then_some(p + 2),
            Some(literal) => (*literal == c).then_some(p + 1),
            None => None,
        };
        match (step, star) {
            (Some(after), _) => {
                p = after;
                n += 1;
            }
            (None, Some((at, from))) => {
                p = at + 1;
                n = from + 1;
                star = Some((at, n));
            }
            (None, None) => return false,
        }
    }
    pattern.get(p..).is_some_and(|rest| rest.iter().all(|c| *c == '*'))
}

/// Reads `[…]` at `at`: whether `c` is in it, and where it ends. `None` when it never ends.
fn class(pattern: &[char], at: usize, c: char) -> Option<(bool, usize)> {
    let mut i = at + 1;
    let negated = matches!(pattern.get(i), Some('!' | '^'));
    if negated {
        i += 1;
    }
    let first = i;
    let mut hit = false;
    loop {
        let low = *pattern.get(i)?;
        if low == ']' && i > first {
            return Some((hit != negated, i + 1));
        }
        if let (Some('-'), Some(&high)) = (pattern.get(i + 1), pattern.get(i + 2))
            && high != ']'
        {
            hit |= (low..=high).contains(&c);
            i += 3;
            continue;
        }
        hit |= low == c;
        i += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, name, expected) in [
            ("*.xml", "a.xml", true),
            ("*.xml", ".a.xml", false),
            (".*.xml", ".a.xml", true),
            ("*.xml", "a.xml~", false),
            ("*", "", true),
            ("?", "é", true),
            ("0[0-4]_*.xml", "03_x.xml", true),
            ("0[0-4]_*.xml", "05_x.xml", false),
            ("[!a]b", "ab", false),
            ("[!a]b", "cb", true),
            ("[]]", "]", true),
            ("[a", "[a", true),
            ("a*b*c", "aXbYc", true),
            ("a*b*c", "aXbY", false),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("*-es-ES.xml", "demo-es-ES.xml", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} against {name}");
        }
    }

    #[test]
    fn many_stars_stay_quick() {
        assert!(!matches(&"*a".repeat(60), &"a".repeat(59)));
        assert!(!matches(&("a*".repeat(30) + "b"), &"a".repeat(5000)));
    }
}
