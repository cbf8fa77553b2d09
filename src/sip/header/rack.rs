//! RAck: which reliable provisional response a PRACK acknowledges (RFC 3262 §7.2).

use std::fmt;

use nom::Parser;
use nom::sequence::pair;

use super::CSeq;
use crate::sip::error::ParseError;
use crate::sip::grammar;
use crate::sip::message::Message;
use crate::sip::name::Name;
use crate::sip::uri::finish;

/// The RSeq and CSeq of the response.
#[derive(Clone, Eq, PartialEq, Hash, Debug)]
pub struct RAck {
    /// The RSeq of the response.
    pub rseq: u32,
    /// The CSeq of the response.
    pub cseq: CSeq,
}

impl RAck {
    /// Reads a whole header value.
    pub fn parse(text: &str) -> Result<RAck, ParseError> {
        let fail = |w: grammar::Wrong| ParseError::malformed("RAck", text.len() - w.left, w.expected);
        let (rest, (rseq, gap)) =
            finish(pair(grammar::number, grammar::space).parse(text.as_bytes())).map_err(fail)?;
        if gap.is_empty() {
            return Err(ParseError::malformed("RAck", text.len() - rest.len(), "a space after the number"));
        }
        let at = text.len() - rest.len();
        let cseq = CSeq::parse(text.get(at..).unwrap_or("")).map_err(|e| e.within("RAck", at))?;
        Ok(RAck { rseq, cseq })
    }
}

impl fmt::Display for RAck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.rseq, self.cseq)
    }
}

impl Message {
    /// RAck. An error when it is missing: a PRACK without one is 400.
    pub fn rack(&self) -> Result<RAck, ParseError> {
        let missing = ParseError::malformed("RAck", 0, "this header");
        self.header(Name::RAck).ok_or(missing).and_then(RAck::parse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        for (text, want) in [
            ("776656 1 INVITE", Some("776656 1 INVITE")),
            ("1  02\tINVITE", Some("1 2 INVITE")),
            ("1 INVITE", None),
            ("1INVITE", None),
            ("x 1 INVITE", None),
            ("4294967296 1 INVITE", None),
            ("", None),
        ] {
            assert_eq!(RAck::parse(text).ok().map(|r| r.to_string()).as_deref(), want, "{text}");
        }
    }
}
