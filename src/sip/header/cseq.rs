//! CSeq (RFC 3261 §20.16).

use std::fmt;
use std::str::FromStr;

use crate::sip::error::ParseError;
use crate::sip::grammar;
use crate::sip::method::Method;
use crate::sip::uri::finish;

/// The number and method of a request.
#[derive(Clone, Eq, PartialEq, Hash, Debug)]
pub struct CSeq {
    /// Rises with each request of a dialog; below 2³¹.
    pub number: u32,
    /// The method of the request; of a response, that of the request it answers.
    pub method: Method,
}

impl CSeq {
    /// Reads a whole header value.
    pub fn parse(text: &str) -> Result<CSeq, ParseError> {
        let total = text.len();
        let fail = |w: grammar::Wrong| ParseError::malformed("CSeq", total - w.left, w.expected);
        let (rest, number) = finish(grammar::number(text.trim_ascii().as_bytes())).map_err(fail)?;
        if number > i32::MAX as u32 {
            return Err(ParseError::malformed("CSeq", 0, "a number below 2^31"));
        }
        let (rest, gap) = finish(grammar::space(rest)).map_err(fail)?;
        if gap.is_empty() {
            return Err(ParseError::malformed("CSeq", total - rest.len(), "a space after the number"));
        }
        let (rest, method) = finish(grammar::token(rest)).map_err(fail)?;
        if !rest.is_empty() {
            return Err(ParseError::malformed("CSeq", total - rest.len(), "nothing after the method"));
        }
        Ok(CSeq { number, method: Method::from_name(std::str::from_utf8(method).unwrap_or("")) })
    }
}

impl FromStr for CSeq {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<CSeq, ParseError> {
        CSeq::parse(text)
    }
}

impl fmt::Display for CSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number, self.method)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_methods() {
        for (text, want) in [
            ("1 INVITE", Some((1, "INVITE"))),
            ("0009\r\n  INVITE", Some((9, "INVITE"))),
            ("2147483647 ACK", Some((i32::MAX as u32, "ACK"))),
            ("2147483648 ACK", None),
            ("36893488147419103232 REGISTER", None),
            ("INVITE", None),
            ("1INVITE", None),
            ("1 INVITE x", None),
            ("-1 INVITE", None),
            ("", None),
        ] {
            let got = CSeq::parse(text).ok();
            assert_eq!(got.as_ref().map(|c| (c.number, c.method.as_str())), want, "{text}");
        }
    }
}
