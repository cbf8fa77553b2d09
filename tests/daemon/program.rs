//! A program at the event socket, in so many words.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::switch::{PASSWORD, Switch};

/// A connection to the event socket.
pub struct Program(BufReader<TcpStream>);

impl Program {
    /// Logs in.
    pub fn new(switch: &Switch) -> Program {
        let stream = TcpStream::connect((switch.ip(), 8021)).expect("connected");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
        let mut program = Program(BufReader::new(stream));
        program.frame();
        assert!(program.ask(&format!("auth {PASSWORD}")).contains("+OK accepted"));
        program
    }

    /// Headers of the next frame, and its body.
    pub fn frame(&mut self) -> String {
        let (mut said, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).expect("a line");
            if let Some(n) = line.strip_prefix("Content-Length: ") {
                length = n.trim().parse().expect("a number");
            }
            if line == "\n" {
                break;
            }
            said += &line;
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).expect("a body");
        said + &String::from_utf8(body).expect("text")
    }

    /// Sends a command; the answer, headers and all.
    pub fn ask(&mut self, text: &str) -> String {
        self.0.get_ref().write_all(format!("{text}\n\n").as_bytes()).expect("sent");
        self.frame()
    }

    /// What a command of the switch says.
    pub fn api(&mut self, command: &str) -> String {
        let said = self.ask(&format!("api {command}"));
        let body = said.split_once("Content-Length: ").and_then(|(_, rest)| rest.split_once('\n'));
        body.map_or(said.clone(), |(_, body)| body.to_owned())
    }
}
