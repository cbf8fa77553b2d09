//! What a client sends, cut into requests: a command line, headers, an empty line, a body of Content-Length bytes.
//!
//! Lines end in LF or CRLF. Everything is bounded; a client that goes beyond is told and dismissed.

/// The most bytes of a command and its headers before the client has logged in.
const MOST_BEFORE_LOGIN: usize = 4096;
/// The most bytes of a command and its headers.
const MOST_HEAD: usize = 512 << 10;
/// The most bytes of a body.
const MOST_BODY: usize = 4 << 20;
/// The most headers of one request.
const MOST_HEADERS: usize = 1024;

/// One request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// The command line, without its line end.
    pub line: String,
    /// Names and values, in order.
    pub headers: Vec<(String, String)>,
    /// The body, if there is one.
    pub body: Option<String>,
}

impl Request {
    /// The last value of the header called `name`.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().rev().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }
}

/// Why a client is dismissed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The command or its headers are too long.
    #[error("too long a command")]
    Head,
    /// The Content-Length is no number, or too large.
    #[error("a Content-Length that cannot be")]
    Length,
}

/// What has come and is not cut yet.
#[derive(Debug, Default)]
pub struct Inbox {
    bytes: Vec<u8>,
    /// How much of it has been looked through for the end of the headers.
    seen: usize,
    trusted: bool,
    /// A request whose body is not whole: how many bytes are missing from the beginning of `bytes`.
    waits: Option<(Request, usize)>,
}

impl Inbox {
    /// The client has logged in: it may say more.
    pub fn trust(&mut self) {
        self.trusted = true;
    }

    /// Puts in what has come.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// How many bytes wait.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The next request, once it is whole.
    pub fn next(&mut self) -> Result<Option<Request>, Refused> {
        if self.waits.is_none() {
            let Some(head) = self.head()? else { return Ok(None) };
            let request = read(&head);
            let length = match request.header("Content-Length") {
                None => 0,
                Some(text) => text
                    .trim()
                    .parse::<usize>()
                    .ok()
                    .filter(|n| *n <= self.most_body())
                    .ok_or(Refused::Length)?,
            };
            if length == 0 {
                return Ok(Some(request));
            }
            self.waits = Some((request, length));
        }
        let Some((mut request, length)) = self.waits.take() else { return Ok(None) };
        if self.bytes.len() < length {
            self.waits = Some((request, length));
            return Ok(None);
        }
        let body: Vec<u8> = self.bytes.drain(..length).collect();
        request.body = Some(String::from_utf8_lossy(&body).into_owned());
        Ok(Some(request))
    }

    fn most_body(&self) -> usize {
        if self.trusted { MOST_BODY } else { 0 }
    }

    /// The bytes up to the empty line, that and empty lines before taken away.
    fn head(&mut self) -> Result<Option<Vec<u8>>, Refused> {
        if self.seen == 0 {
            let empty = self.bytes.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
            self.bytes.drain(..empty);
        }
        let most = if self.trusted { MOST_HEAD } else { MOST_BEFORE_LOGIN };
        // A line end may have been half there.
        let from = self.seen.saturating_sub(2);
        let rest = self.bytes.get(from..).unwrap_or_default();
        let end = rest.iter().enumerate().filter(|(_, b)| **b == b'\n').find_map(|(at, _)| {
            match rest.get(at + 1..) {
                Some([b'\n', ..]) => Some((from + at, from + at + 2)),
                Some([b'\r', b'\n', ..]) => Some((from + at, from + at + 3)),
                _ => None,
            }
        });
        match end {
            Some((end, _)) if end > most => Err(Refused::Head),
            Some((end, next)) => {
                let head = self.bytes.get(..end).unwrap_or_default().to_vec();
                self.bytes.drain(..next);
                self.seen = 0;
                Ok(Some(head))
            }
            // The line end may be there but for its last byte.
            None if self.bytes.len() > most + 2 => Err(Refused::Head),
            None => {
                self.seen = self.bytes.len();
                Ok(None)
            }
        }
    }
}

fn read(head: &[u8]) -> Request {
    let text = String::from_utf8_lossy(head);
    let mut lines = text.split('\n').map(|line| line.trim_end_matches('\r'));
    let line = lines.next().unwrap_or("").trim_start().to_owned();
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.trim().to_owned(), value.trim_start_matches(' ').to_owned()))
    };
    let headers = lines.filter_map(header).filter(|(name, _)| !name.is_empty()).take(MOST_HEADERS).collect();
    Request { line, headers, body: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requests(bytes: &[u8], piece: usize) -> Vec<Request> {
        let mut inbox = Inbox::default();
        inbox.trust();
        let mut found = Vec::new();
        for part in bytes.chunks(piece) {
            inbox.push(part);
            while let Some(request) = inbox.next().expect("within bounds") {
                found.push(request);
            }
        }
        found
    }

    #[test]
    fn requests_come_whole_however_they_are_cut() {
        let text = b"\r\n\nauth ClueCon\r\n\r\napi status\n\nsendevent CUSTOM\nA: 1\nContent-Length: 4\n\n\n\nabexit\r\n\n";
        let whole = requests(text, text.len());
        let lines: Vec<_> = whole.iter().map(|r| r.line.as_str()).collect();
        assert_eq!(lines, ["auth ClueCon", "api status", "sendevent CUSTOM", "exit"]);
        assert_eq!((whole[2].body.as_deref(), whole[2].header("a")), (Some("\n\nab"), Some("1")));
        for piece in 1..8 {
            assert_eq!(requests(text, piece), whole, "{piece}");
        }
    }

    #[test]
    fn the_last_of_two_headers_counts() {
        let found = requests(b"sendmsg  u\nX: a\nno header\n: nameless\nx:b:c\n\n", 100);
        assert_eq!(found[0].line, "sendmsg  u");
        assert_eq!((found[0].headers.len(), found[0].header("X")), (2, Some("b:c")));
    }

    #[test]
    fn too_much_is_refused() {
        let long = vec![b'a'; 1 << 20];
        for trusted in [false, true] {
            let mut inbox = Inbox::default();
            if trusted {
                inbox.trust();
            }
            inbox.push(&long);
            assert_eq!(inbox.next(), Err(Refused::Head));
        }
        for length in ["-1", "x", "5000000", "99999999999999999999"] {
            let mut inbox = Inbox::default();
            inbox.trust();
            inbox.push(format!("sendevent X\nContent-Length: {length}\n\n").as_bytes());
            assert_eq!(inbox.next(), Err(Refused::Length), "{length}");
        }
        let mut stranger = Inbox::default();
        stranger.push(b"auth x\nContent-Length: 1\n\n");
        assert_eq!(stranger.next(), Err(Refused::Length), "nobody needs a body to log in");
    }
}

#[cfg(test)]
mod random;
