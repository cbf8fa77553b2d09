//! Frames of the event socket: header lines, an empty line, and a body as long as `Content-Length` says.

use std::io::{self, BufRead, Read};

/// The longest header line, and the most of them: more is no event socket.
const LINE: usize = 64 << 10;
const LINES: usize = 256;
/// The longest body.
const BODY: usize = 64 << 20;

/// One frame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// Names and values, as they came.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl Frame {
    /// The first header of that name, whatever its case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// `Content-Type`.
    pub fn kind(&self) -> &str {
        self.header("Content-Type").unwrap_or_default()
    }
}

/// Reads one frame; `None` when the connection is closed between two.
pub fn read(input: &mut impl BufRead) -> io::Result<Option<Frame>> {
    let mut frame = Frame::default();
    loop {
        let Some(line) = line(input)? else {
            let whole = frame.headers.is_empty();
            return if whole { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
        };
        if line.is_empty() {
            if frame.headers.is_empty() {
                continue; // a line feed more than needed
            }
            break;
        }
        if frame.headers.len() >= LINES {
            return Err(strange("more headers than an event socket sends"));
        }
        if let Some((name, value)) = line.split_once(':') {
            frame.headers.push((name.trim().to_owned(), value.trim().to_owned()));
        }
    }
    let length = match frame.header("Content-Length") {
        None => 0,
        Some(text) => text.parse::<usize>().map_err(|_| strange("a Content-Length that is no number"))?,
    };
    if length > BODY {
        return Err(strange("a body too long"));
    }
    let mut body = Vec::new();
    input.take(length as u64).read_to_end(&mut body)?;
    if body.len() < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    frame.body = String::from_utf8_lossy(&body).into_owned();
    Ok(Some(frame))
}

/// A line without its end; `None` at the end of all.
fn line(input: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    input.take(LINE as u64).read_until(b'\n', &mut line)?;
    match line.pop() {
        None => return Ok(None),
        Some(b'\n') => {}
        Some(_) if line.len() + 1 >= LINE => return Err(strange("a header line too long")),
        Some(_) => return Err(io::ErrorKind::UnexpectedEof.into()),
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok(Some(String::from_utf8_lossy(&line).into_owned()))
}

fn strange(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("this is no event socket: {what}"))
}

/// A command as it goes out: one line, whatever was typed.
pub fn command(line: &str, headers: &[(&str, &str)]) -> String {
    let one: String = line.chars().filter(|c| *c != '\r' && *c != '\n').collect();
    let more: String = headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
    format!("{one}\n{more}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_cut_out_of_a_stream() {
        let text = "Content-Type: auth/request\n\nContent-Type: api/response\r\nContent-Length: 6\r\n\r\n+OK ä\n\
                    Content-Type: command/reply\nReply-Text: +OK a: b\n\n";
        let text = text.replace("Length: 6", "Length: 7");
        let mut input = text.as_bytes();
        assert_eq!(read(&mut input).unwrap().unwrap().kind(), "auth/request");
        assert_eq!(read(&mut input).unwrap().unwrap().body, "+OK ä\n");
        assert_eq!(read(&mut input).unwrap().unwrap().header("reply-text"), Some("+OK a: b"));
        assert_eq!(read(&mut input).unwrap(), None);
    }

    #[test]
    fn what_is_no_frame_is_an_error_and_never_much_memory() {
        let long = format!("A: {}", "x".repeat(LINE));
        let many = "A: b\n".repeat(LINES + 1);
        for text in [
            "A: b",
            "A: b\n",
            "Content-Length: x\n\n",
            "Content-Length: 9\n\nshort",
            "Content-Length: 99999999999\n\n",
            &long,
            &many,
        ] {
            assert!(read(&mut text.as_bytes()).is_err(), "{}", text.get(..20).unwrap_or(text));
        }
    }

    #[test]
    fn a_command_is_one_line() {
        assert_eq!(
            command("api a\r\nb", &[("console_execute", "true")]),
            "api ab\nconsole_execute: true\n\n"
        );
    }
}
