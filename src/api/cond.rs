//! `cond A OP B ? X : Y`.

use std::cmp::Ordering;

use super::world::World;
use crate::dialplan::{is_number, separate};

/// Compares and answers one of two texts. Numbers are compared as numbers, two texts by `==` and `!=` as texts;
/// in every other case a text counts as its length.
pub fn cond(_: &dyn World, text: &str) -> String {
    answer(text).unwrap_or_else(|| "-ERR".to_owned())
}

fn answer(text: &str) -> Option<String> {
    let (a, rest) = operand(text)?;
    let rest = rest.trim_ascii_start();
    let (operator, rest) = ["==", "!=", ">=", "<=", ">", "<"]
        .into_iter()
        .find_map(|operator| rest.strip_prefix(operator).map(|rest| (operator, rest)))?;
    // FreeSWITCH takes whatever stands behind the operator for a blank.
    let rest = rest.chars().next().and_then(|c| rest.get(c.len_utf8()..))?;
    let (b, rest) = operand(rest.trim_ascii_start())?;
    let rest = rest.trim_ascii_start().strip_prefix('?')?;
    let choices = separate(rest, ':', 2);
    let yes = choices.first()?;
    Some(if compare(operator, &a, &b) { yes.clone() } else { choices.get(1).cloned().unwrap_or_default() })
}

/// An operand: bare up to a blank, or in single quotes.
struct Operand<'t> {
    text: &'t str,
    quoted: bool,
}

fn operand(text: &str) -> Option<(Operand<'_>, &str)> {
    let Some(inner) = text.strip_prefix('\'') else {
        let (text, rest) = text.split_once(' ')?;
        return Some((Operand { text, quoted: false }, rest));
    };
    let mut escaped = false;
    let end = inner.char_indices().find_map(|(at, c)| {
        let closes = c == '\'' && !escaped;
        escaped = c == '\\' && !escaped;
        closes.then_some(at)
    })?;
    let rest = inner.get(end + 1..)?;
    rest.starts_with(|c: char| c.is_ascii_whitespace())
        .then_some((Operand { text: inner.get(..end)?, quoted: true }, rest))
}

impl Operand<'_> {
    fn is_number(&self) -> bool {
        !self.quoted && is_number(self.text)
    }

    fn value(&self) -> f64 {
        if !self.is_number() {
            return self.text.len() as f64;
        }
        // C's atof reads as far as it understands: 1.2.3 is 1.2.
        let digits = self.text.strip_prefix(['-', '+']).unwrap_or(self.text);
        let dot = digits.find('.').and_then(|d| digits.get(d + 1..)?.find('.').map(|e| d + 1 + e));
        let value: f64 = dot.and_then(|end| digits.get(..end)).unwrap_or(digits).parse().unwrap_or(0.0);
        if self.text.starts_with('-') { -value } else { value }
    }
}

fn compare(operator: &str, a: &Operand<'_>, b: &Operand<'_>) -> bool {
    let texts = !a.is_number() && !b.is_number();
    let order = a.value().partial_cmp(&b.value()).unwrap_or(Ordering::Equal);
    match operator {
        "==" if texts => a.text == b.text,
        "!=" if texts => a.text != b.text,
        "==" => order.is_eq(),
        "!=" => order.is_ne(),
        ">" => order.is_gt(),
        ">=" => order.is_ge(),
        "<" => order.is_lt(),
        _ => order.is_le(),
    }
}
