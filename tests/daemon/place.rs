//! Where a test happens: a loopback address, free ports and a directory nobody else has.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, TcpListener, UdpSocket};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

/// A loopback address leased from all tests on this machine for as long as this value lives.
pub struct Lease {
    pub ip: IpAddr,
    _held: UdpSocket,
}

static NEXT: AtomicU32 = AtomicU32::new(0);

impl Lease {
    /// The first free address of 127.64.0.0/10, starting at a place that differs per process.
    pub fn new() -> Lease {
        for _ in 0..10_000 {
            let n = std::process::id().wrapping_mul(7) + NEXT.fetch_add(1, Ordering::Relaxed);
            let n = n % 0x003f_0000 + 2;
            let ip = IpAddr::V4(Ipv4Addr::from(0x7f40_0000 | n));
            // last octets 0 and 255 look odd in logs
            if n % 256 < 2 || n % 256 == 255 {
                continue;
            }
            if let Ok(held) = UdpSocket::bind((ip, 9)) {
                return Lease { ip, _held: held };
            }
        }
        panic!("no loopback address is free");
    }
}

/// A directory that goes away with the value, unless the test failed.
pub struct Dir(PathBuf);

impl Dir {
    pub fn new(name: &str) -> Dir {
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("tandem-{}-{n}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a temporary directory");
        Dir(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A path inside, as text for other programs' configuration.
    pub fn file(&self, name: &str) -> String {
        self.0.join(name).to_string_lossy().into_owned()
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.0.join(name), text).expect("to write into the temporary directory");
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("left for a look: {}", self.0.display());
        } else {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

/// Ports for the programs of tests: below those that the machine gives to outgoing connections, and apart from the RTP ports
/// of phones and switches.
const PORTS: Range<u16> = 10_000..16_000;

/// What this process has leased, until it ends.
static LEASED: Mutex<Vec<File>> = Mutex::new(Vec::new());

/// An even port of 127.0.0.1, free for UDP and TCP, that no other test on this machine is given while this one runs; nor its
/// odd neighbour, which phones take for RTCP and for SIP over TLS.
pub fn free_port() -> u16 {
    let folder = std::env::temp_dir().join("tandem-ports");
    std::fs::create_dir_all(&folder).expect("a folder for leases");
    let pairs = PORTS.len() as u32 / 2;
    for _ in 0..pairs {
        let n = std::process::id().wrapping_mul(7) + NEXT.fetch_add(1, Ordering::Relaxed);
        let port = PORTS.start + (n % pairs * 2) as u16;
        let lease = File::options().create(true).append(true).open(folder.join(port.to_string()));
        let Ok(lease) = lease else { continue };
        let is_free = |port| {
            UdpSocket::bind(("127.0.0.1", port)).is_ok() && TcpListener::bind(("127.0.0.1", port)).is_ok()
        };
        if lease.try_lock().is_ok() && is_free(port) && is_free(port + 1) {
            LEASED.lock().expect("no test fails in here").push(lease);
            return port;
        }
    }
    panic!("no free port, or no right to write into {}", folder.display());
}

/// Is that program here? If not: a panic when peers are required, else the test's own skip.
pub fn have(program: &str) -> bool {
    let found = Command::new("sh")
        .args(["-c", &format!("command -v {program}")])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|s| s.success());
    if !found {
        let required = std::env::var("TANDEM_PEERS").is_ok_and(|v| v == "required");
        assert!(!required, "{program} is not installed, and TANDEM_PEERS=required");
        eprintln!("SKIPPED: {program} is not installed (tests/run installs it)");
    }
    found
}

/// Leaves the test as a named skip when a program is missing.
#[macro_export]
macro_rules! needs {
    ($($program:literal),+) => {
        $( if !$crate::place::have($program) { return; } )+
    };
}
