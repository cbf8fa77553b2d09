//! How a session description is written (RFC 8866 §9).

use std::fmt::{self, Write};
use std::net::IpAddr;

use super::{Attribute, Connection, Direction, Kind, Media, Session};

impl Session {
    /// The text, in the order of RFC 8866 §9, each line ended by CRLF.
    pub fn text(&self) -> String {
        let mut out = String::with_capacity(256);
        let o = &self.origin;
        words(&mut out, &["v=0\r\no=", &o.username, " ", &o.id, " ", &o.version, " "]);
        o.connection.write(&mut out);
        words(&mut out, &["\r\ns=", &self.name, "\r\n"]);
        lines(&mut out, &self.lines, "iuep");
        connection(&mut out, self.connection.as_ref());
        lines(&mut out, &self.lines, "b");
        if !self.lines.iter().any(|(letter, _)| *letter == 't') {
            out.push_str("t=0 0\r\n");
        }
        lines(&mut out, &self.lines, "trzk");
        attributes(&mut out, &self.attributes);
        self.media.iter().for_each(|media| media.write(&mut out));
        out
    }
}

impl Media {
    fn write(&self, out: &mut String) {
        words(out, &["m=", self.kind.name(), " "]);
        number(out, self.port);
        if let Some(count) = self.port_count {
            out.push('/');
            number(out, count);
        }
        words(out, &[" ", &self.proto]);
        self.formats.iter().for_each(|format| words(out, &[" ", format]));
        out.push_str("\r\n");
        lines(out, &self.lines, "i");
        connection(out, self.connection.as_ref());
        lines(out, &self.lines, "bk");
        attributes(out, &self.attributes);
    }
}

impl Connection {
    fn write(&self, out: &mut String) {
        match self {
            Connection::Ip(IpAddr::V4(ip)) => {
                let mut before = "IN IP4 ";
                for octet in ip.octets() {
                    out.push_str(before);
                    number(out, octet.into());
                    before = ".";
                }
            }
            Connection::Ip(IpAddr::V6(ip)) => {
                let _ = write!(out, "IN IP6 {ip}"); // a String takes anything
            }
            Connection::Other(text) => out.push_str(text),
        }
    }
}

fn words(out: &mut String, words: &[&str]) {
    words.iter().for_each(|word| out.push_str(word));
}

fn number(out: &mut String, n: u16) {
    if n >= 10 {
        number(out, n / 10);
    }
    out.push(char::from(b'0' + (n % 10) as u8));
}

fn connection(out: &mut String, connection: Option<&Connection>) {
    if let Some(connection) = connection {
        out.push_str("c=");
        connection.write(out);
        out.push_str("\r\n");
    }
}

fn lines(out: &mut String, lines: &[(char, String)], letters: &str) {
    for (letter, text) in lines.iter().filter(|(letter, _)| letters.contains(*letter)) {
        out.push(*letter);
        words(out, &["=", text, "\r\n"]);
    }
}

fn attributes(out: &mut String, attributes: &[Attribute]) {
    for Attribute { name, value } in attributes {
        match value {
            Some(value) => words(out, &["a=", name, ":", value, "\r\n"]),
            None => words(out, &["a=", name, "\r\n"]),
        }
    }
}

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl fmt::Display for Media {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = String::new();
        self.write(&mut out);
        f.write_str(&out)
    }
}

impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = String::new();
        self.write(&mut out);
        f.write_str(&out)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
