//! The cheapest server there can be, in a thread of its own: it shows what the generator itself can do at most.
//!
//! For calls it hands each datagram on, from the caller to the callee and back, unread; RTP then flows straight between
//! the generator's own sockets. A REGISTER it challenges once and accepts.

use crate::measure;
use crate::net::{self, Loss};
use crate::wire::{Start, read};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// The running thread; it ends when this is dropped.
pub struct Reflector {
    /// Its address, which stands for the server's.
    pub at: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Reflector {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Starts it on `cpu`; `callee` is where calls go.
pub fn start(ip: IpAddr, callee: SocketAddr, cpu: Option<usize>) -> Result<Reflector, String> {
    let stop = Arc::new(AtomicBool::new(false));
    let (tell, told) = std::sync::mpsc::sync_channel(1);
    let ended = Arc::clone(&stop);
    let thread = std::thread::spawn(move || {
        let opened = cpu
            .map_or(Ok(()), measure::pin)
            .and_then(|()| net::open(SocketAddr::new(ip, 0), Loss::default()).map_err(|e| e.to_string()));
        match opened {
            Ok((receiver, sender, at)) => {
                let _ = tell.send(Ok(at));
                reflect(receiver, sender, callee, &ended);
            }
            Err(error) => {
                let _ = tell.send(Err(error));
            }
        }
    });
    let at = told.recv().map_err(|_| "the reflecting thread has ended".to_owned())??;
    Ok(Reflector { at, stop, thread: Some(thread) })
}

fn reflect(mut receiver: net::Receiver, mut sender: net::Sender, callee: SocketAddr, stop: &AtomicBool) {
    let mut caller = callee;
    while !stop.load(Ordering::Relaxed) {
        let count = receiver.fill();
        for i in 0..count {
            let Some((datagram, from)) = receiver.datagram(i) else {
                continue;
            };
            if datagram.starts_with(b"REGISTER ") {
                register(&mut sender, datagram, from);
            } else if from == callee {
                sender.put(caller, |text| {
                    text.b(datagram);
                });
            } else {
                caller = from;
                sender.put(callee, |text| {
                    text.b(datagram);
                });
            }
        }
        if count > 0 {
            sender.flush();
        }
    }
}

fn register(sender: &mut net::Sender, datagram: &[u8], from: SocketAddr) {
    let Some(message) = read(datagram) else {
        return;
    };
    if !matches!(message.start, Start::Request(..)) {
        return;
    }
    let known = memchr::memmem::find(message.lines, b"\r\nAuthorization:").is_some();
    sender.put(from, |text| {
        text.s(if known {
            "SIP/2.0 200 OK\r\n"
        } else {
            "SIP/2.0 401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"load\", nonce=\"5f4e3d2c1b0a\", algorithm=MD5, qop=\"auth\"\r\n"
        });
        message.repeat(b"reflected", |part| {
            text.b(part);
        });
        text.s("Content-Length: 0\r\n\r\n");
    });
}
