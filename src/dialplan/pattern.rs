//! Regular expressions as FreeSWITCH reads them: PCRE2 without anchors, `/x/i`, Asterisk's `_NXX.`.
//!
//! The engine is `fancy-regex`: what needs no look-around and no back-reference runs in linear time, the rest under a
//! step limit. Where its syntax differs from PCRE's in ways dialplans show, the pattern is rewritten first. `\d`, `\w`
//! and `\s` mean ASCII, `$` also matches before a line feed that ends the text.
//!
//! As in FreeSWITCH `.` and classes see bytes: to `^.{4}$` the text `Żółw` is seven. For a text that is not ASCII the
//! expression is compiled a second time with each such byte as a character of its own. One that begins with `(*UTF)` or
//! `(*UTF8)` sees characters.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use super::expand::LONGEST;
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
    /// Sees bytes of what is not ASCII.
    bytes: Option<Variant>,
    /// Takes the place before a last line feed for the end.
    line: Option<Variant>,
}

/// The same expression for texts that are seldom; compiled when the first comes.
#[derive(Clone, Debug)]
struct Variant {
    text: Box<str>,
    size: usize,
    compiled: Arc<OnceLock<Option<Regex>>>,
}

impl Variant {
    fn new(text: String, size: usize) -> Variant {
        Variant { text: text.into(), size, compiled: Arc::default() }
    }

    fn regex(&self) -> Option<&Regex> {
        self.compiled.get_or_init(|| compile(&self.text, self.size).ok()).as_ref()
    }
}

fn compile(text: &str, size: usize) -> Result<Regex, BadPattern> {
    RegexBuilder::new(text)
        .backtrack_limit(STEPS)
        .delegate_size_limit(size)
        .build()
        .map_err(|e| BadPattern(reason(&e)))
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
        let flags: String = ['i', 's'].into_iter().filter(|f| flags.contains(*f)).collect();
        let flags = if flags.is_empty() { flags } else { format!("(?{flags})") };
        let written = |body: &str, before_line_feed: bool| {
            let mut text = flags.clone();
            let mut rewrite = Rewrite { rest: body, out: &mut text, before_line_feed, has_end: false };
            rewrite.run();
            let has_end = rewrite.has_end;
            (text, has_end)
        };
        let (text, has_end) = written(&body, false);
        // With (?m) a `$` is the end of any line, as it is to the engine.
        let at_end = !body.contains("(?m");
        let characters = ["(*UTF8)", "(*UTF)"].iter().any(|verb| body.starts_with(verb));
        Ok(Pattern {
            regex: compile(&text, size)?,
            has_group,
            bytes: (!characters).then(|| Variant::new(written(&spread(&body), at_end).0, size)),
            line: (has_end && at_end).then(|| Variant::new(written(&body, true).0, size)),
        })
    }

    /// The expression for this text, and the text for the expression.
    fn fitting<'s>(&self, subject: &'s str) -> (&Regex, Cow<'s, str>) {
        if !subject.is_ascii()
            && let Some(regex) = self.bytes.as_ref().and_then(Variant::regex)
        {
            return (regex, spread(subject));
        }
        let line = self.line.as_ref().filter(|_| subject.ends_with('\n')).and_then(Variant::regex);
        (line.unwrap_or(&self.regex), Cow::Borrowed(subject))
    }

    /// Whether the pattern occurs in `subject`.
    pub fn is_match(&self, subject: &str) -> Result<bool, StepLimit> {
        let (regex, subject) = self.fitting(subject);
        regex.is_match(&subject).map_err(|_| StepLimit)
    }

    /// The match with its groups, when there is one. Groups are only collected for an expression with a `(`.
    pub fn captures(&self, subject: &str) -> Result<Option<Captures>, StepLimit> {
        if !self.has_group {
            return Ok(self.is_match(subject)?.then(Vec::new));
        }
        self.all_captures(subject)
    }

    /// The match with its groups, the whole match even when the expression has no group. A group that holds part of a
    /// character has U+FFFD in its place.
    pub fn all_captures(&self, subject: &str) -> Result<Option<Captures>, StepLimit> {
        let (regex, subject) = self.fitting(subject);
        let Some(found) = regex.captures(&subject).map_err(|_| StepLimit)? else { return Ok(None) };
        let spread = matches!(subject, Cow::Owned(_));
        let text = |group: &str| if spread { gathered(group) } else { group.to_owned() };
        Ok(Some(found.iter().map(|group| group.map(|g| text(g.as_str()))).collect()))
    }
}

/// Where bytes that are not ASCII stand while each is a character.
const BYTES: u32 = 0xE000;

/// The text with a character for each byte of what is not ASCII.
fn spread(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    let one = |byte: u8| if byte.is_ascii() { char::from(byte) } else { place(byte) };
    text.bytes().map(one).collect()
}

fn place(byte: u8) -> char {
    char::from_u32(BYTES + u32::from(byte)).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// The bytes as text again.
fn gathered(text: &str) -> String {
    let byte = |c: char| u8::try_from(u32::from(c).checked_sub(BYTES)?).ok().filter(|b| !b.is_ascii());
    if !text.contains(|c| byte(c).is_some()) {
        return text.to_owned();
    }
    let mut bytes = Vec::with_capacity(text.len());
    for c in text.chars() {
        match byte(c) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
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
    /// A `$` also stands before a line feed at the end.
    before_line_feed: bool,
    /// There is such a `$`.
    has_end: bool,
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
                '$' if self.before_line_feed => self.out.push_str("(?=\\n?\\z)"),
                '$' => {
                    self.has_end = true;
                    self.out.push('$');
                }
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

/// Replaces `$1` and `${1}` by the groups, each passed through `put`. A group that is absent leaves nothing; and so do those
/// behind the place where the text is longer than an expansion may be.
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
                    if out.len() + text.len() > LONGEST {
                        tracing::warn!(target: "dialplan", "substitution cut short: it exceeds {LONGEST} bytes");
                        return out;
                    }
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
    fn a_substitution_is_bounded() {
        let groups = [None, Some("x".repeat(20_000))];
        let made = substitute(&"<$1".repeat(15_000), &groups, Cow::Borrowed);
        assert!(made.len() <= LONGEST && made.len() > LONGEST - 40_000, "{}", made.len());
    }

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
            ("^.{4}$", "Żółw", false),
            ("^.{7}$", "Żółw", true),
            ("(*UTF8)^.{4}$", "Żółw", true),
            ("[^a]ó", "Żółw", true),
            ("(?i)^ä", "Ä", false),
            ("^ok$", "ok\n", true),
            ("^ok$", "ok\n\n", false),
            ("^ok$", "ó\n", false),
            (r"^\$5$", "$5", true),
            ("[$]5$", "$5\n", true),
            ("^(?!a)o.$", "ok\n", true),
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
