//! What commands say of a switch that has files, to the letter; see `tests/golden`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::golden::{compare, rows};
use crate::switch::{PASSWORD, Setup, Switch};

/// `system` and its like are allowed.
const ALLOW: [(&str, &str, &str); 1] = [(
    "autoload_configs/switch.conf.xml",
    "</settings>",
    "<param name=\"allow-system\" value=\"true\"/></settings>",
)];

#[test]
fn a_switch_with_files() {
    let switch = Switch::start_with(Setup { edits: &ALLOW, ..Setup::default() });
    let stream = TcpStream::connect((switch.ip(), 8021)).expect("connected");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
    let mut input = BufReader::new(stream.try_clone().expect("a copy"));
    // The next frame: its Content-Length, and so its body.
    let mut frame = || {
        let mut length = 0;
        loop {
            let mut line = String::new();
            input.read_line(&mut line).expect("a line");
            if let Some(n) = line.strip_prefix("Content-Length: ") {
                length = n.trim().parse().expect("a number");
            }
            if line == "\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        input.read_exact(&mut body).expect("a body");
        String::from_utf8(body).expect("text")
    };
    frame();
    (&stream).write_all(format!("auth {PASSWORD}\n\n").as_bytes()).expect("sent");
    frame();
    let conf = switch.conf().to_string_lossy().into_owned();
    let mut said = Vec::new();
    for row in rows(include_str!("../golden/daemon.txt")) {
        let row = row.named(&[("CONF", &conf)]);
        (&stream).write_all(format!("api {}\n\n", row.line).as_bytes()).expect("sent");
        said.push((row, frame()));
    }
    compare(&said);
}
