//! The dial string: what `bridge` and `originate` are told to call (inventory §5.1).
//!
//! ```text
//! enterprise := [ "<" vars ">" ] simple *( ":_:" simple )     each simple is called on its own, first answer wins
//! simple     := *( "{" vars "}" ) serial
//! serial     := parallel *( "|" parallel )                      tried one after another
//! parallel   := leg *( "," leg )                                rung together
//! leg        := *( "[" vars "]" ) endpoint-url
//! vars       := "^^" delim vars-with-that-delimiter | name=value *( "," name=value )
//! ```
//!
//! `'…'` and `\` protect separators, blanks round legs go, empty legs are skipped (an expansion that found nothing
//! leaves one). The text is expanded before it gets here; nothing is expanded again.

use crate::channel::Cause;
use crate::dialplan::plain;
use std::fmt;

/// Legs one dial string may have: FreeSWITCH's limit.
const LEGS: usize = 128;
/// What separates the members of an enterprise originate.
const ENTERPRISE: &str = ":_:";

/// Variables in the order they are written; the last of a name counts.
pub type Variables = Vec<(String, String)>;

/// A dial string in its parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DialString {
    /// The `<…>` in front: for every leg.
    pub variables: Variables,
    /// The members, called at the same time and independently. Without `:_:` there is one.
    pub members: Vec<Member>,
}

/// One member of an enterprise originate, or the whole of a plain one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    /// The `{…}` in front: for every leg of this member.
    pub variables: Variables,
    /// Tried one after another; the legs within one are rung together.
    pub stages: Vec<Vec<Leg>>,
}

/// Somebody to call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leg {
    /// Its `[…]`.
    pub variables: Variables,
    /// What stands before the first `/`: `sofia`, `user`, `group`, `error`, `loopback`, …
    pub endpoint: String,
    /// What follows that `/`.
    pub address: String,
    /// There are separators from the wire in the address.
    pub wire: bool,
}

/// Where a dial string is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadDialString {
    /// Offset in bytes.
    pub at: usize,
    /// What is wrong there and what would be right.
    pub message: &'static str,
}

const NOBODY: &str = "there is nobody to call in it";

impl BadDialString {
    /// What a call that has it ends with: one with nobody to call in it (an empty group) as in FreeSWITCH.
    pub fn cause(&self) -> Cause {
        if self.message == NOBODY { Cause::NORMAL_CLEARING } else { Cause::INVALID_URL }
    }
}

impl fmt::Display for BadDialString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "dial string, character {}: {}", self.at + 1, self.message)
    }
}

impl std::error::Error for BadDialString {}

impl DialString {
    /// Reads a dial string.
    pub fn parse(text: &str) -> Result<DialString, BadDialString> {
        let mut parser = Parser { text, at: 0, legs: 0 };
        let variables = parser.blocks('<', '>')?;
        let mut members = Vec::new();
        loop {
            let (member, more) = parser.member()?;
            if !member.stages.is_empty() {
                members.push(member);
            }
            if !more {
                break;
            }
        }
        if members.is_empty() {
            return Err(BadDialString { at: text.len(), message: NOBODY });
        }
        Ok(DialString { variables, members })
    }

    /// Every leg, in order.
    pub fn legs(&self) -> impl Iterator<Item = &Leg> {
        self.members.iter().flat_map(|m| m.stages.iter().flatten())
    }

    /// Whether the members are to be called independently (`:_:`).
    pub fn is_enterprise(&self) -> bool {
        self.members.len() > 1
    }
}

impl Leg {
    /// The leg without its variables, `sofia/internal/1000@host`.
    pub fn url(&self) -> String {
        if self.address.is_empty() {
            self.endpoint.clone()
        } else {
            format!("{}/{}", self.endpoint, self.address)
        }
    }
}

impl fmt::Display for Leg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url())
    }
}

/// The last value of a name.
pub fn find<'v>(variables: &'v [(String, String)], name: &str) -> Option<&'v str> {
    variables.iter().rev().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// What ends a leg.
enum End {
    Comma,
    Pipe,
    Enterprise,
    Text,
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
    legs: usize,
}

impl Parser<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn bad<T>(&self, message: &'static str) -> Result<T, BadDialString> {
        Err(BadDialString { at: self.at, message })
    }

    fn blanks(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start_matches(' ').len();
    }

    /// One member, and whether another follows.
    fn member(&mut self) -> Result<(Member, bool), BadDialString> {
        let mut member = Member { variables: self.blocks('{', '}')?, stages: Vec::new() };
        let mut stage = Vec::new();
        loop {
            let (leg, end) = self.leg()?;
            stage.extend(leg);
            if matches!(end, End::Comma) {
                continue;
            }
            if !stage.is_empty() {
                member.stages.push(std::mem::take(&mut stage));
            }
            match end {
                End::Enterprise => return Ok((member, true)),
                End::Text => return Ok((member, false)),
                End::Pipe | End::Comma => {}
            }
        }
    }

    /// A leg, unless it is empty, and what ended it.
    fn leg(&mut self) -> Result<(Option<Leg>, End), BadDialString> {
        let variables = self.blocks('[', ']')?;
        match self.rest().chars().next() {
            Some('{') => return self.bad("{…} belongs in front of the first leg; use […] for one leg"),
            Some('<') => return self.bad("<…> belongs at the very beginning"),
            _ => {}
        }
        let start = self.at;
        let (url, end) = self.url();
        let url = url.trim();
        if url.is_empty() {
            if !variables.is_empty() {
                self.at = start;
                return self.bad("an endpoint such as user/1000 is missing after […]");
            }
            return Ok((None, end));
        }
        self.legs += 1;
        if self.legs > LEGS {
            self.at = start;
            return self.bad("there are more than 128 legs");
        }
        let (endpoint, address) = url.split_once('/').unwrap_or((url, ""));
        // Separators from the wire were kept out of the way until here.
        let (endpoint, plainly) = (plain(endpoint).into_owned(), plain(address));
        let wire = plainly != address;
        Ok((Some(Leg { variables, endpoint, address: plainly.into_owned(), wire }), end))
    }

    /// The text of a leg up to its separator, quotes and escapes resolved.
    fn url(&mut self) -> (String, End) {
        let mut out = String::new();
        let (mut quoted, mut depth) = (false, 0u32);
        while let Some(c) = self.rest().chars().next() {
            let behind = self.rest().get(c.len_utf8()..).unwrap_or("");
            let next = behind.chars().next();
            let free = !quoted && depth == 0;
            match c {
                '\\' if matches!(next, Some(',' | '|' | '\'' | '\\')) => {
                    out.extend(next);
                    self.at += 2;
                    continue;
                }
                '\'' if quoted || behind.contains('\'') => {
                    quoted = !quoted;
                    self.at += 1;
                    continue;
                }
                '[' if !quoted && (depth > 0 || behind.contains(']')) => depth += 1,
                ']' if !quoted => depth = depth.saturating_sub(1),
                ',' | '|' if free => {
                    self.at += 1;
                    return (out, if c == ',' { End::Comma } else { End::Pipe });
                }
                ':' if free && self.rest().starts_with(ENTERPRISE) => {
                    self.at += ENTERPRISE.len();
                    return (out, End::Enterprise);
                }
                _ => {}
            }
            out.push(c);
            self.at += c.len_utf8();
        }
        (out, End::Text)
    }

    /// Any number of blocks of variables, with the blanks round them.
    fn blocks(&mut self, open: char, close: char) -> Result<Variables, BadDialString> {
        let mut variables = Vec::new();
        self.blanks();
        while let Some(inner) = self.rest().strip_prefix(open) {
            let Some(length) = closing(inner, open, close) else {
                return self.bad(match open {
                    '<' => "the > to this < is missing",
                    '{' => "the } to this { is missing",
                    _ => "the ] to this [ is missing",
                });
            };
            variables.extend(assignments(inner.get(..length).unwrap_or("")));
            self.at += open.len_utf8() + length + close.len_utf8();
            self.blanks();
        }
        Ok(variables)
    }
}

/// The offset of the bracket that closes a block already open.
fn closing(inner: &str, open: char, close: char) -> Option<usize> {
    let mut depth = 1u32;
    for (at, c) in inner.char_indices() {
        if c == open {
            depth += 1;
        } else if c == close {
            depth -= 1;
            if depth == 0 {
                return Some(at);
            }
        }
    }
    None
}

/// The assignments inside a block. What has no `=` or no value is ignored, as in FreeSWITCH.
pub fn assignments(inner: &str) -> Variables {
    let (separator, list) = match inner.strip_prefix("^^") {
        Some(rest) => match rest.chars().next() {
            Some(c) => (c, rest.get(c.len_utf8()..).unwrap_or("")),
            None => return Vec::new(),
        },
        None => (',', inner),
    };
    let mut variables = Vec::new();
    for item in items(list, separator) {
        if let Some((name, value)) = item.split_once('=') {
            let (name, value) = (name.trim_matches(' '), value.trim_start_matches(' '));
            if !name.is_empty() && !value.is_empty() {
                variables.push((plain(name).into_owned(), plain(value).into_owned()));
            }
        }
    }
    variables
}

/// Splits at a separator outside quotes and escapes, and removes both.
fn items(list: &str, separator: char) -> Vec<String> {
    let mut items = Vec::new();
    let mut item = String::new();
    let mut quoted = false;
    let mut characters = list.char_indices().peekable();
    while let Some((at, c)) = characters.next() {
        match c {
            '\\' => match characters.peek() {
                Some(&(_, next)) if next == separator || matches!(next, '\'' | '"' | '\\') => {
                    item.push(next);
                    characters.next();
                }
                Some(&(_, next @ ('n' | 'r' | 't' | 's'))) => {
                    item.push(match next {
                        'n' => '\n',
                        'r' => '\r',
                        't' => '\t',
                        _ => ' ',
                    });
                    characters.next();
                }
                _ => item.push('\\'),
            },
            '\'' if quoted || list.get(at + 1..).is_some_and(|t| t.contains('\'')) => quoted = !quoted,
            c if c == separator && !quoted => items.push(std::mem::take(&mut item)),
            c => item.push(c),
        }
    }
    items.push(item);
    items
}

/// Writes the `<…>` and `{…}` of a dial string into the `[…]` of each of its legs, so that several such strings can
/// stand side by side (`group_call`).
pub fn flatten(text: &str) -> String {
    let mut text = text.trim_end_matches([',', '|', ' ']);
    text = text.strip_suffix(ENTERPRISE).unwrap_or(text);
    let (global, rest) = brackets(text, '<', '>');
    let (mut member, mut rest) = brackets(rest, '{', '}');
    let clobbers = |block: &str| block.contains("local_var_clobber=true");
    let mut out = String::with_capacity(text.len() * 2);
    while !rest.is_empty() {
        let (leg, behind) = brackets(rest, '[', ']');
        let behind = behind.trim_start_matches(' ');
        let end = delimiter(behind);
        let (url, tail) = behind.split_at_checked(end).unwrap_or((behind, ""));
        let mark = if tail.starts_with(ENTERPRISE) { ENTERPRISE } else { tail.get(..1).unwrap_or("") };
        if !url.is_empty() {
            for block in [&global, &member].into_iter().filter(|b| !leg.is_empty() && !clobbers(b)) {
                out.push_str(block);
            }
            out.push_str(&leg);
            for block in [&member, &global].into_iter().filter(|b| leg.is_empty() || clobbers(b)) {
                out.push_str(block);
            }
        }
        out.push_str(url);
        out.push_str(mark);
        rest = tail.get(mark.len()..).unwrap_or("");
        if mark == ENTERPRISE {
            (member, rest) = brackets(rest, '{', '}');
        }
    }
    out
}

/// The blocks in front, written with `[` and `]`, and what follows them.
fn brackets(text: &str, open: char, close: char) -> (String, &str) {
    let mut out = String::new();
    let mut rest = text.trim_start_matches(' ');
    while let Some(inner) = rest.strip_prefix(open) {
        let Some(length) = closing(inner, open, close) else { break };
        out.push('[');
        out.push_str(inner.get(..length).unwrap_or(""));
        out.push(']');
        rest = inner.get(length + close.len_utf8()..).unwrap_or("").trim_start_matches(' ');
    }
    (out, rest)
}

/// Where the next separator of legs stands.
fn delimiter(text: &str) -> usize {
    let ends = |(at, c): &(usize, char)| match c {
        ',' | '|' => true,
        ':' => text.get(*at..).is_some_and(|rest| rest.starts_with(ENTERPRISE)),
        _ => false,
    };
    text.char_indices().find(ends).map_or(text.len(), |(at, _)| at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The dial string in a normal form that shows its structure.
    fn shown(text: &str) -> String {
        let variables = |open: &str, list: &Variables, close: &str| {
            let inner: Vec<_> = list.iter().map(|(n, v)| format!("{n}={v}")).collect();
            if inner.is_empty() { String::new() } else { format!("{open}{}{close}", inner.join(";")) }
        };
        match DialString::parse(text) {
            Err(bad) => format!("{}: {}", bad.at, bad.message),
            Ok(dial) => {
                let members = dial.members.iter().map(|member| {
                    let stages = member.stages.iter().map(|stage| {
                        let legs: Vec<_> = stage
                            .iter()
                            .map(|l| {
                                format!("{}{}~{}", variables("[", &l.variables, "]"), l.endpoint, l.address)
                            })
                            .collect();
                        legs.join(" & ")
                    });
                    format!(
                        "{}{}",
                        variables("{", &member.variables, "}"),
                        stages.collect::<Vec<_>>().join(" then ")
                    )
                });
                format!(
                    "{}{}",
                    variables("<", &dial.variables, ">"),
                    members.collect::<Vec<_>>().join(" or ")
                )
            }
        }
    }

    #[test]
    fn grammar() {
        for (text, expected) in [
            ("user/1000", "user~1000"),
            ("user/1000@host,user/1001@host", "user~1000@host & user~1001@host"),
            ("user/1|user/2,user/3", "user~1 then user~2 & user~3"),
            (" user/1 , user/2 ", "user~1 & user~2"),
            ("sofia/internal/sip:1@h;transport=tcp", "sofia~internal/sip:1@h;transport=tcp"),
            ("sofia/internal/1@[2001:db8::1]:5060,user/2", "sofia~internal/1@[2001:db8::1]:5060 & user~2"),
            ("{a=1,b=2}user/1", "{a=1;b=2}user~1"),
            ("{a=1}{b=2} user/1", "{a=1;b=2}user~1"),
            ("{a='x,y',b=z}user/1", "{a=x,y;b=z}user~1"),
            ("{a=x\\,y}user/1", "{a=x,y}user~1"),
            ("{^^:a=1:b=x,y}user/1", "{a=1;b=x,y}user~1"),
            ("{a=b=c, d = e}user/1", "{a=b=c;d=e}user~1"),
            ("{a=,b,=c,d=1}user/1", "{d=1}user~1"),
            ("{a={b}c}user/1", "{a={b}c}user~1"),
            ("{}user/1", "user~1"),
            ("[a=1,b=2]user/1,[c=3]user/2", "[a=1;b=2]user~1 & [c=3]user~2"),
            ("[^^:a=x,y:b=2][c=1]user/1|user/2", "[a=x,y;b=2;c=1]user~1 then user~2"),
            ("[a=1|2]user/1", "[a=1|2]user~1"),
            ("<g=1>{a=1}user/1:_:{b=2}user/2,user/3", "<g=1>{a=1}user~1 or {b=2}user~2 & user~3"),
            ("error/USER_BUSY", "error~USER_BUSY"),
            ("error/user_not_registered,", "error~user_not_registered"),
            (",,user/1||user/2", "user~1 then user~2"),
            ("loopback/app=voicemail:default host 1000", "loopback~app=voicemail:default host 1000"),
            ("user/o'brien", "user~o'brien"),
            ("'user/a,b',user/2", "user~a,b & user~2"),
            ("user/a\\,b", "user~a,b"),
            ("park", "park~"),
            ("", "0: there is nobody to call in it"),
            (" , | ", "5: there is nobody to call in it"),
            ("{a=1}", "5: there is nobody to call in it"),
            ("{a=1", "0: the } to this { is missing"),
            ("user/1,[a=1", "7: the ] to this [ is missing"),
            ("<a", "0: the > to this < is missing"),
            ("user/1,{a=1}user/2", "7: {…} belongs in front of the first leg; use […] for one leg"),
            ("[a=1],user/2", "5: an endpoint such as user/1000 is missing after […]"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn at_most_128_legs() {
        let many = |n| vec!["user/1"; n].join(",");
        assert_eq!(DialString::parse(&many(128)).unwrap().legs().count(), 128);
        assert_eq!(DialString::parse(&many(129)).unwrap_err().at, 128 * 7);
    }

    #[test]
    fn the_last_value_of_a_name_counts() {
        let dial = DialString::parse("{a=1,A=2}user/1").unwrap();
        assert_eq!(find(&dial.members.first().unwrap().variables, "a"), Some("2"));
        assert_eq!(DialString::parse("[x=1]user/1@h").unwrap().legs().next().unwrap().url(), "user/1@h");
    }

    #[test]
    fn flattened() {
        for (text, expected) in [
            ("{^^:a=1:b=2}error/user_not_registered,", "[^^:a=1:b=2]error/user_not_registered"),
            ("{a=1}sofia/x/1,sofia/x/2", "[a=1]sofia/x/1,[a=1]sofia/x/2"),
            ("{a=1}[b=2]user/1|user/2", "[a=1][b=2]user/1|[a=1]user/2"),
            ("{local_var_clobber=true}[b=2]user/1", "[b=2][local_var_clobber=true]user/1"),
            ("<g=1>{a=1}user/1:_:{c=1}user/2", "[a=1][g=1]user/1:_:[c=1][g=1]user/2"),
            ("user/1", "user/1"),
            ("", ""),
        ] {
            assert_eq!(flatten(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn anything_is_read_or_refused(text in r"[a-z/,|\\'{}<>\[\]^:_ =ż]{0,60}") {
            match DialString::parse(&text) {
                Ok(dial) => prop_assert!(dial.legs().count() > 0),
                Err(bad) => prop_assert!(bad.at <= text.len()),
            }
            flatten(&text);
        }

        #[test]
        fn plain_legs_come_back(stages in prop::collection::vec(prop::collection::vec("[a-z]{1,5}/[a-z0-9@.]{1,9}", 1..4), 1..4)) {
            let text: Vec<_> = stages.iter().map(|s| s.join(",")).collect();
            let dial = DialString::parse(&text.join("|")).unwrap();
            let back: Vec<Vec<String>> =
                dial.members.iter().flat_map(|m| &m.stages).map(|s| s.iter().map(Leg::url).collect()).collect();
            prop_assert_eq!(back, stages);
        }
    }
}
