//! rtpengine in user space with one worker thread, told of its calls by its ng protocol (bencoded, over UDP).

use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::phones::{Call, at, phones};

/// The running program.
pub struct Rtpengine(Child);

impl Drop for Rtpengine {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Whether it can be run here.
pub fn installed() -> bool {
    let mut version = Command::new("rtpengine");
    version.arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

impl Rtpengine {
    pub fn pid(&self) -> u32 {
        self.0.id()
    }
}

/// Starts it and opens calls.
pub fn rtpengine(n: usize) -> (Rtpengine, Vec<Call>) {
    let control = {
        let free = UdpSocket::bind("127.0.0.1:0").expect("a port");
        at(&free)
    };
    let ng = format!("--listen-ng={control}");
    let arguments = [
        "--foreground",
        "--table=-1",
        "--num-threads=1",
        "--media-num-threads=0",
        "--interface=127.0.0.1",
        "--port-min=20000",
        "--port-max=60000",
        "--log-level=3",
        "--log-stderr",
        "--no-redis-required",
        &ng,
    ];
    let child = Command::new("rtpengine")
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("rtpengine starts");
    let engine = Rtpengine(child);
    let ng = Ng::to(control);
    let calls = (0..n).map(|i| ng.call(i)).collect();
    (engine, calls)
}

/// The control socket.
struct Ng(UdpSocket);

impl Ng {
    /// Waits until it answers.
    fn to(control: SocketAddr) -> Ng {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        socket.connect(control).expect("connected");
        socket.set_read_timeout(Some(Duration::from_millis(200))).expect("a timeout");
        let ng = Ng(socket);
        for _ in 0..50 {
            if ng.ask("0", &[("command", "ping")]).is_some() {
                return ng;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("rtpengine does not answer on {control}");
    }

    fn ask(&self, cookie: &str, words: &[(&str, &str)]) -> Option<String> {
        let part = |text: &str| format!("{}:{text}", text.len());
        let body: String = words.iter().map(|(k, v)| part(k) + &part(v)).collect();
        self.0.send(format!("{cookie} d{body}e").as_bytes()).ok()?;
        let mut buf = [0; 65_536];
        let len = self.0.recv(&mut buf).ok()?;
        Some(String::from_utf8_lossy(&buf[..len]).into_owned())
    }

    /// Offer and answer of one call.
    fn call(&self, number: usize) -> Call {
        let phones = phones();
        let id = format!("call-{number}");
        let tell = |command: &str, phone: SocketAddr| {
            let sdp = sdp(phone);
            let mut words = vec![("command", command), ("call-id", &*id), ("from-tag", "a"), ("sdp", &*sdp)];
            if command == "answer" {
                words.push(("to-tag", "b"));
            }
            let cookie = format!("{number}{command}");
            let said = (0..10).find_map(|_| self.ask(&cookie, &words)).expect("an answer");
            port(&said).unwrap_or_else(|| panic!("no port in {said}"))
        };
        let to_b = tell("offer", at(&phones[0]));
        let to_a = tell("answer", at(&phones[1]));
        Call { ports: [to_a, to_b], phones }
    }
}

fn sdp(phone: SocketAddr) -> String {
    let (ip, port) = (phone.ip(), phone.port());
    format!(
        "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0 101\r\n\
         a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n"
    )
}

fn port(answer: &str) -> Option<SocketAddr> {
    let number = answer.split("m=audio ").nth(1)?.split(' ').next()?.parse().ok()?;
    Some(SocketAddr::new([127, 0, 0, 1].into(), number))
}
