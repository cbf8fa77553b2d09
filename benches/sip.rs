//! Times of the SIP layer, in nanoseconds of processor time per call: `cargo bench --bench sip`.
//!
//! Each row is the median of 31 runs in this process. The first row, looking for line ends only, is the yardstick: machines differ,
//! so compare ratios.
//!
//! `cargo bench --bench sip -- count N WHAT` does N times what is named so in its row (a part of the name is enough) and says
//! nothing: run under callgrind with two values of N, the difference is what it costs in instructions.

use std::hint::black_box;
use std::sync::OnceLock;

use bytes::{Bytes, BytesMut};
use tandem::sip::digest::{Algorithm, ha1, verify};
use tandem::sip::{Builder, Flow, Frame, Framer, Limits, Message, Method, Name, NameAddr, Uri, Via, ack_for};

/// Nanoseconds this thread has run.
fn processor_time() -> f64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes to the one structure it is given.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut now) };
    now.tv_sec as f64 * 1e9 + now.tv_nsec as f64
}

/// How often, and what, when instructions are to be counted.
fn count() -> Option<&'static (u32, String)> {
    static COUNT: OnceLock<Option<(u32, String)>> = OnceLock::new();
    let read = || {
        let words = std::env::args().filter(|word| word != "--bench");
        let mut words = words.skip_while(|word| word != "count").skip(1);
        Some((words.next()?.parse().ok()?, words.collect::<Vec<_>>().join(" ")))
    };
    COUNT.get_or_init(read).as_ref()
}

fn measure(what: &str, mut work: impl FnMut()) {
    const CALLS: u32 = 20_000;
    if let Some((times, name)) = count() {
        let wanted = what.contains(name.as_str());
        return (0..if wanted { *times } else { 0 }).for_each(|_| work());
    }
    for _ in 0..CALLS {
        work();
    }
    let mut runs: Vec<f64> = (0..31)
        .map(|_| {
            let start = processor_time();
            for _ in 0..CALLS {
                work();
            }
            (processor_time() - start) / f64::from(CALLS)
        })
        .collect();
    runs.sort_by(f64::total_cmp);
    println!("{what:<44} {:>8.0} ns   (fastest {:.0})", runs[15], runs[0]);
}

fn datagram(text: &str) -> Bytes {
    let mut buffer = BytesMut::with_capacity(64 * 1024);
    buffer.extend_from_slice(text.replace('\n', "\r\n").as_bytes());
    buffer.split().freeze()
}

fn main() {
    let limits = Limits::default();
    let invite = datagram(include_str!("../tests/fixtures/invite.txt"));
    let register = datagram(include_str!("../tests/fixtures/register.txt"));
    let flow = Flow::udp("192.0.2.1:5060".parse().unwrap(), "198.51.100.7:4444".parse().unwrap());
    if count().is_none() {
        println!("INVITE {} bytes, REGISTER {} bytes", invite.len(), register.len());
    }

    measure("line ends of the INVITE", || {
        black_box(memchr::memchr_iter(b'\n', black_box(&invite)).count());
    });
    measure("parse INVITE", || {
        black_box(Message::parse(black_box(invite.clone()), &limits).unwrap());
    });
    measure("parse REGISTER", || {
        black_box(Message::parse(black_box(register.clone()), &limits).unwrap());
    });
    measure("parse REGISTER, Contact and credentials", || {
        let m = Message::parse(black_box(register.clone()), &limits).unwrap();
        black_box((m.contacts().unwrap(), m.authorization().next().unwrap().unwrap()));
    });
    let message = Message::parse(invite.clone(), &limits).unwrap();
    measure("print a 180 to the INVITE", || {
        let ringing = Builder::response(black_box(&message), &flow, 180, "Ringing").to_tag("9a8b7c");
        black_box(
            ringing
                .header(Name::Contact, "<sip:1002@192.0.2.1:5060>")
                .header(Name::UserAgent, "tandem")
                .finish(),
        );
    });
    let uri: Uri = "sip:1002@198.51.100.9:5062;transport=udp".parse().unwrap();
    let via = Via::new(tandem::sip::Transport::Udp, "192.0.2.1:5060", "z9hG4bKabc.1", true);
    let to = NameAddr::new(uri.clone());
    measure("print the INVITE of the other leg", || {
        let new = Builder::request(&Method::Invite, black_box(&uri))
            .via(&via)
            .header(Name::MaxForwards, 69)
            .header(Name::From, message.from())
            .header(Name::To, &to)
            .header(Name::CallId, "0b9e1f7e-5d3f-4a3c-9a59-7d5a9be1c0aa")
            .header(Name::CSeq, format_args!("{} INVITE", 1))
            .header(Name::Contact, "<sip:mod_sofia@192.0.2.1:5060>")
            .header(Name::UserAgent, "tandem")
            .header(Name::Allow, "INVITE, ACK, BYE, CANCEL, OPTIONS, MESSAGE, INFO, UPDATE, REFER, NOTIFY")
            .header(Name::Supported, "timer, path, replaces");
        black_box(new.body("application/sdp", message.body()).finish());
    });
    measure("print the ACK to a refusal", || {
        black_box(ack_for(black_box(&message), &message));
    });
    let registration = Message::parse(register.clone(), &limits).unwrap();
    let key = ha1(Algorithm::Md5, "1001", "127.0.0.1", "secret");
    measure("check a digest, HA1 known", || {
        let c = registration.authorization().next().unwrap().unwrap();
        assert!(verify(black_box(&c), &key, "REGISTER").unwrap());
    });
    measure("check a digest, password known", || {
        let c = registration.authorization().next().unwrap().unwrap();
        let key = ha1(Algorithm::Md5, c.username(), c.realm(), black_box("secret"));
        assert!(verify(black_box(&c), &key, "REGISTER").unwrap());
    });
    let mut framer = Framer::new(&limits);
    measure("cut the INVITE out of a stream", || {
        framer.push(black_box(&invite));
        assert!(matches!(framer.next(), Ok(Some(Frame::Message(_)))));
    });
    let a: Uri = "sip:1001@h.example;transport=udp".parse().unwrap();
    let b: Uri = "sip:1001@H.example;Transport=UDP".parse().unwrap();
    measure("compare two URIs", || {
        assert!(black_box(&a) == black_box(&b));
    });
}
