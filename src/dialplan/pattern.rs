//! Regular expressions as FreeSWITCH reads them: PCRE2 without anchors, `/x/i`, Asterisk's `_NXX.`.
//!
//! The engine is `fancy-regex`: what needs no look-around and no back-reference runs in linear time, the rest under a
//! step limit. Where its syntax differs from PCRE's in ways dialplans show, the pattern is rewritten first. `\d`, `\w`
//! and `\s` mean ASCII, `.` and classes see whole characters (FreeSWITCH sees bytes), `$` is the very end of the text.

use std::borrow::Cow;

use fancy_regex::{Regex, RegexBuilder};

/// Steps a match may take back before it counts as failed.
const STEPS: usize = 100_000;
/// Size of the compiled form of a pattern from configuration, in bytes.
const SIZE: usize = 10 << 20;
/// The same for patterns that are made while a call is routed.
const SIZE_AT_HUNT: usize = 1 << 20;
/// Length of a pattern that is made while a call is routed, in bytes.
const LENGTH_AT_HUNT: usize = 4096;

/// A compiled expression.
#[derive(Clone, Debug)]
pub struct Pattern {
    regex: Regex,
    has_group: bool,
}

/// Why a text is no regular expression, in words for the one who wrote it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadPattern(String);

/// The match was given up after too many steps: it counts as failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the match exceeds {STEPS} steps")]
pub struct StepLimit;

/// The groups of a match; 0 is the whole. A group that took no part is `None`.
pub type Captures = Vec<Option<String>>;

impl Pattern {
    /// Compiles an expression from configuration.
    pub fn compile(expression: &str) -> Result<Pattern, BadPattern> {
        Pattern::build(expression, SIZE)
    }

    /// Compiles an expression made at hunt time, within tighter bounds.
    pub fn compile_at_hunt(expression: &str) -> Result<Pattern, BadPattern> {
        if expression.len() > LENGTH_AT_HUNT {
            return Err(BadPattern(format!("it is longer than {LENGTH_AT_HUNT} bytes")));
        }
        Pattern::build(expression, SIZE_AT_HUNT)
    }

    fn build(expression: &str, size: usize) -> Result<Pattern, BadPattern> {
        let has_group = expression.contains('(');
        let (body, flags) = delimited(expression)?;
        let body = match body.strip_prefix('_') {
            Some(pattern) if flags.is_empty() && !expression.starts_with('/') => {
                Cow::Owned(asterisk(pattern))
            }
            _ => Cow::Borrowed(body),
        };
        let mut text = String::with_capacity(body.len() + 8);
        let flags: String = ['i', 's'].into_iter().filter(|f| flags.contains(*f)).collect();
        if !flags.is_empty() {
            text.push_str("(?");
            text.push_str(&flags);
            text.push(')');
        }
        Rewrite { rest: &body, out: &mut text }.run();
        let regex = RegexBuilder::new(&text)
            .backtrack_limit(STEPS)
            .delegate_size_limit(size)
            .build()
            .map_err(|e| BadPattern(reason(&e)))?;
        Ok(Pattern { regex, has_group })
    }

    /// Whether the pattern occurs in `subject`.
    pub fn is_match(&self, subject: &str) -> Result<bool, StepLimit> {
        self.regex.is_match(subject).map_err(|_| StepLimit)
    }

    /// The match with its groups, when there is one. Groups are only collected for an expression with a `(`.
    pub fn captures(&self, subject: &str) -> Result<Option<Captures>, StepLimit> {
        if !self.has_group {
            return Ok(self.is_match(subject)?.then(Vec::new));
        }
        self.all_captures(subject)
    }

    /// The match with its groups, the whole match even when the expression has no group.
    pub fn all_captures(&self, subject: &str) -> Result<Option<Captures>, StepLimit> {
        let Some(found) = self.regex.captures(subject).map_err(|_| StepLimit)? else { return Ok(None) };
        Ok(Some(found.iter().map(|group| group.map(|g| g.as_str().to_owned())).collect()))
    }
}

/// One line out of the engine's report.
fn reason(error: &fancy_regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it cannot be compiled");
    let last = last.trim();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

/// `/expression/flags` in its parts; anything else is the expression itself.
fn delimited(expression: &str) -> Result<(&str, &str), BadPattern> {
    match expression.strip_prefix('/') {
        None => Ok((expression, "")),
        Some(rest) => rest.rsplit_once('/').ok_or_else(|| BadPattern("the closing / is missing".to_owned())),
    }
}

/// An Asterisk pattern (without its `_`) as a regular expression: `N` 2–9, `X` 0–9, `Z` 1–9, `.` and `!` anything.
fn asterisk(pattern: &str) -> String {
    let mut out = String::from("^");
    for c in pattern.chars() {
        match c {
            'N' => out.push_str("[2-9]"),
            'X' => out.push_str("[0-9]"),
            'Z' => out.push_str("[1-9]"),
            '.' | '!' => out.push_str(".*"),
            c => out.push(c),
        }
    }
    out.push('$');
    out
}

/// Rewrites PCRE syntax to what the engine understands by the same.
struct Rewrite<'a> {
    rest: &'a str,
    out: &'a mut String,
}

impl<'a> Rewrite<'a> {
    fn run(&mut self) {
        while let Some(rest) = ["(*UTF8)", "(*UTF)", "(*UCP)"].iter().find_map(|v| self.rest.strip_prefix(v))
        {
            self.rest = rest;
        }
        while let Some(c) = self.next() {
            match c {
                '\\' => self.escape(false),
                '[' => self.class(),
                '{' if !is_repeat(self.rest) => self.out.push_str("\\{"),
                '(' if self.rest.starts_with("?#") => {
                    self.rest = self.rest.split_once(')').map_or("", |(_, rest)| rest);
                }
                '(' if self.rest.starts_with("?'") => {
                    self.out.push_str("(?<");
                    let (name, rest) =
                        self.rest.get(2..).and_then(|r| r.split_once('\'')).unwrap_or((self.rest, ""));
                    self.out.push_str(name);
                    self.out.push('>');
                    self.rest = rest;
                }
                c => self.out.push(c),
            }
        }
    }

    fn next(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.rest = self.rest.get(c.len_utf8()..).unwrap_or("");
        Some(c)
    }

    /// What follows a backslash. Classes are spelled out, since the engine's are Unicode's.
    fn escape(&mut self, in_class: bool) {
        let Some(c) = self.next() else {
            self.out.push('\\');
            return;
        };
        let set = match c {
            'd' | 'D' => "0-9",
            'w' | 'W' => "0-9A-Za-z_",
            's' | 'S' => " \\t\\n\\r\\x0b\\x0c",
            'h' | 'H' => " \\t",
            'v' | 'V' => "\\n\\r\\x0b\\x0c",
            _ => "",
        };
        match c {
            _ if !set.is_empty() => {
                let negated = c.is_ascii_uppercase();
                if negated {
                    self.out.push_str("[^");
                } else if !in_class {
                    self.out.push('[');
                }
                self.out.push_str(set);
                if negated || !in_class {
                    self.out.push(']');
                }
            }
            'N' if !in_class => self.out.push_str("[^\\n]"),
            'R' if !in_class => self.out.push_str("(?:\\r\\n|[\\n\\r\\x0b\\x0c])"),
            'Z' if !in_class => self.out.push_str("(?=\\n?\\z)"),
            '0' => self.out.push_str("\\x00"),
            '<' | '>' => self.out.push(c),
            'Q' => {
                let (literal, rest) = self.rest.split_once("\\E").unwrap_or((self.rest, ""));
                for c in literal.chars() {
                    self.literal(c);
                }
                self.rest = rest;
            }
            'E' => {}
            c => {
                self.out.push('\\');
                self.out.push(c);
            }
        }
    }

    fn literal(&mut self, c: char) {
        if c.is_ascii_punctuation() && c != '<' && c != '>' {
            self.out.push('\\');
        }
        self.out.push(c);
    }

    /// A `[…]`: the engine would nest at a `[` and take `&&`, `--` and `~~` for operators.
    fn class(&mut self) {
        self.out.push('[');
        let mut first = true;
        if let Some(rest) = self.rest.strip_prefix('^') {
            self.out.push('^');
            self.rest = rest;
        }
        while let Some(c) = self.next() {
            match c {
                ']' if first => self.out.push_str("\\]"),
                ']' => {
                    self.out.push(']');
                    return;
                }
                '[' => match named_class(self.rest) {
                    Some(length) => {
                        let (name, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, ""));
                        self.out.push('[');
                        self.out.push_str(name);
                        self.rest = rest;
                    }
                    None => self.out.push_str("\\["),
                },
                '\\' => self.escape(true),
                '&' | '~' => self.literal(c),
                '-' if self.rest.starts_with('-') => self.out.push_str("\\-"),
                c => self.out.push(c),
            }
            first = false;
        }
    }
}

/// The length of `:alpha:]` and the like behind a `[`.
fn named_class(rest: &str) -> Option<usize> {
    let inner = rest.strip_prefix(':')?;
    let end = inner.find(":]")?;
    let name = inner.get(..end)?;
    name.trim_start_matches('^').bytes().all(|b| b.is_ascii_lowercase()).then_some(end + 3)
}

/// Whether what follows a `{` makes it a repetition: `3}`, `3,}`, `3,5}`.
fn is_repeat(rest: &str) -> bool {
    let Some((inside, _)) = rest.split_once('}') else { return false };
    let (low, high) = inside.split_once(',').unwrap_or((inside, ""));
    !low.is_empty() && low.bytes().chain(high.bytes()).all(|b| b.is_ascii_digit())
}

/// Replaces `$1` and `${1}` by the groups, each passed through `put`. A group that is absent leaves nothing.
pub fn substitute<'c>(
    data: &str,
    groups: &'c [Option<String>],
    put: impl Fn(&'c str) -> Cow<'c, str>,
) -> String {
    let mut out = String::with_capacity(data.len());
    let mut rest = data;
    while let Some((plain, after)) = rest.split_once('$') {
        out.push_str(plain);
        match group_number(after) {
            Some((number, behind)) => {
                if let Some(Some(text)) = groups.get(number) {
                    out.push_str(&put(text));
                }
                rest = behind;
            }
            None => {
                out.push('$');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

/// The group a `$` refers to, and what follows: up to nine digits, in braces or not.
fn group_number(after: &str) -> Option<(usize, &str)> {
    let inner = after.strip_prefix('{');
    let text = inner.unwrap_or(after);
    let digits = text.bytes().take(9).take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at_checked(digits)?;
    let number = number.parse().ok()?;
    match inner {
        Some(_) => Some((number, rest.strip_prefix('}')?)),
        None => Some((number, rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_like_pcre() {
        for (expression, subject, expected) in [
            ("^10[01][0-9]$", "1001", true),
            ("^10[01][0-9]$", "10011", false),
            ("10", "51001", true),
            ("^Foo$", "foo", false),
            ("/^foo$/i", "FOO", true),
            ("/a.b/s", "a\nb", true),
            ("a.b", "a\nb", false),
            ("/a/b/i", "xA/By", true),
            ("_NXX", "234", true),
            ("_NXX", "134", false),
            ("_9.", "9", true),
            ("_00Z!", "001", true),
            ("_1X.", "2123", false),
            (r"^(?!6000)60\d\d$", "6000", false),
            (r"^(?!6000)60\d\d$", "6001", true),
            (r"^(\d)\1$", "77", true),
            (r"^(\d)\1$", "78", false),
            (r"^\+?\d{3,}$", "+123", true),
            (r"^\d+$", "٣", false),
            (r"[[:alpha:]]+", "12a", true),
            ("[[]", "[", true),
            ("[a[]", "x", false),
            ("[]x]", "]", true),
            ("[^]x]", "]", false),
            ("[a&&b]", "&", true),
            ("a{", "a{", true),
            ("x{,3}", "x{,3}", true),
            ("^{1", "{1", true),
            (r"\Qa.b\E.", "a.bc", true),
            (r"\Qa.b\E", "aXb", false),
            (r"^\<sip:\>$", "<sip:>", true),
            (r"[\w-]+@[\d.]+", "a-b@1.2", true),
            (r"^[^\D]$", "5", true),
            ("", "anything", true),
            ("(?i)axb", "aXb", true),
            ("(?#note)a", "a", true),
            ("(?'n'a)b", "ab", true),
            ("^a++a", "aaa", false),
            ("(?>a+)b", "aab", true),
            (r"\/x\-y\_z", "/x-y_z", true),
            ("^ą", "ąć", true),
        ] {
            let pattern = Pattern::compile(expression).unwrap_or_else(|e| panic!("{expression}: {e}"));
            assert_eq!(pattern.is_match(subject), Ok(expected), "{subject} =~ {expression}");
        }
    }

    #[test]
    fn refuses_what_is_no_expression() {
        for expression in ["(", "a)", "*a", "/a", "[a", "(?<n", r"\y", "a{99999999}", "(?R)"] {
            let bad = Pattern::compile(expression).expect_err(expression);
            assert!(!bad.to_string().is_empty() && !bad.to_string().contains('\n'), "{expression}: {bad}");
        }
        assert!(Pattern::compile_at_hunt(&"a".repeat(5000)).is_err());
        assert!(Pattern::compile_at_hunt("(a{1000}){1000}").is_err());
        assert!(Pattern::compile_at_hunt(&"(".repeat(4000)).is_err());
    }

    #[test]
    fn a_catastrophic_pattern_is_given_up() {
        let pattern = Pattern::compile(r"^(?=a)((a+)+)\2b$").unwrap();
        assert_eq!(pattern.is_match(&"a".repeat(60)), Err(StepLimit));
        let linear = Pattern::compile(r"^(a+)+$").unwrap();
        assert_eq!(linear.is_match(&format!("{}b", "a".repeat(5000))), Ok(false));
    }

    #[test]
    fn groups_and_substitution() {
        let groups = Pattern::compile(r"^(\d)(x)?(\d+)$").unwrap().captures("123").unwrap().unwrap();
        assert_eq!(groups, [Some("123".into()), Some("1".into()), None, Some("23".into())]);
        let put = |text| Cow::Borrowed(text);
        for (data, expected) in [
            ("$1-$3", "1-23"),
            ("${1}0/$0", "10/123"),
            ("[$2]", "[]"),
            ("$9$10", ""),
            ("${x}$$1$", "${x}$1$"),
            ("${1x}", "${1x}"),
            ("$", "$"),
            ("${", "${"),
        ] {
            assert_eq!(substitute(data, &groups, put), expected, "{data}");
        }
    }
}
