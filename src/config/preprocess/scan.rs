//! Finding what a line holds, as FreeSWITCH does.

pub(super) struct Quoted<'a> {
    pub value: &'a str,
    /// Where the value begins.
    pub start: usize,
    /// Behind the closing quote.
    pub after: usize,
    /// There is a closing quote.
    pub closed: bool,
}

/// Finds `word`, then `=`, then `"…"` at or after `from`, as FreeSWITCH does: whatever stands between is skipped.
pub(super) fn quoted<'a>(text: &'a str, from: usize, word: &str) -> Option<Quoted<'a>> {
    let at = from + find_blind(text.get(from..)?, word)?;
    let equals = at + text.get(at..)?.find('=')?;
    let start = equals + text.get(equals..)?.find('"')? + 1;
    let body = text.get(start..)?;
    match body.find('"') {
        Some(end) => Some(Quoted { value: body.get(..end)?, start, after: start + end + 1, closed: true }),
        None => Some(Quoted { value: body, start, after: text.len(), closed: false }),
    }
}

/// How many bytes of `text` are whole lines that go into the flat text as they are: none of them holds anything that
/// the reader of lines would look at.
pub(super) fn plain_lines(text: &str) -> usize {
    let bytes = text.as_bytes();
    let is_special = |at: usize| {
        let Some((first, rest)) = bytes.get(at..).and_then(<[u8]>::split_first) else { return false };
        let begins = |words: &[&[u8]]| words.iter().any(|word| rest.starts_with(word));
        match first {
            b'$' => begins(&[b"${"]),
            b'<' => begins(&[b"?", b"!--#", b"include>", b"/include>"]),
            _ => {
                let before = at.checked_sub(1).and_then(|before| bytes.get(before));
                before.is_some_and(|b| b.eq_ignore_ascii_case(&b'x'))
                    && rest.get(..11).is_some_and(|r| r.eq_ignore_ascii_case(b"pre-process"))
            }
        }
    };
    match memchr::memchr3_iter(b'$', b'<', b'-', bytes).find(|at| is_special(*at)) {
        Some(at) => bytes.get(..at).and_then(|b| memchr::memrchr(b'\n', b)).map_or(0, |end| end + 1),
        None => bytes.len(),
    }
}

/// The first place where `needle` (lower case ASCII) stands in `text`, in any case.
pub(super) fn find_blind(text: &str, needle: &str) -> Option<usize> {
    let needle = needle.as_bytes();
    text.as_bytes().windows(needle.len()).position(|w| w.eq_ignore_ascii_case(needle))
}

/// `text` begins with `{`; the offset of the brace that closes it.
pub(super) fn closing(text: &str) -> Option<usize> {
    let mut depth = 0usize;
    for (offset, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(offset);
                }
            }
            _ => {}
        }
    }
    None
}

/// The line without what may stand beside an `<include>`.
pub(super) fn unwrapped(line: &str) -> String {
    let mut rest = without_comments(line).replace("<include>", "").replace("</include>", "");
    while let Some(start) = rest.find("<?") {
        let end = rest.get(start..).and_then(|r| r.find("?>")).map_or(rest.len(), |e| start + e + 2);
        rest.replace_range(start..end, "");
    }
    rest
}

pub(super) fn without_comments(text: &str) -> String {
    let mut rest = text.to_owned();
    while let Some(start) = rest.find("<!--") {
        let Some(end) = rest.get(start..).and_then(|r| r.find("-->")) else { break };
        rest.replace_range(start..start + end + 3, "");
    }
    rest
}
