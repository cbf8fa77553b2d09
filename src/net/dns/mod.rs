//! Where a name leads (RFC 3263): NAPTR and SRV records say by which transport, to which hosts and in which order; A and
//! AAAA which addresses those have. Answers are kept for as long as they say (bounded), and asked for once however many
//! want them.
//!
//! | file | what |
//! | --- | --- |
//! | `question` | what is asked, and what is answered |
//! | `wire` | both as DNS messages |
//! | `client` | asks the name servers |
//! | `cache` | what is known, and who waits for an answer |
//! | `route` | the procedure of RFC 3263 §4, as a function of what is known |

mod cache;
mod client;
mod question;
mod route;
mod wire;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use tokio::time::Instant;

use super::sockets::Sockets;
use crate::sip::Transport;
use cache::{Cache, Look};
use question::{Kind, Question, Records};
pub(super) use route::{Place, Wanted};

/// Everything that is asked for one name, rounds of questions and all, must be answered within this.
pub(super) const LIMIT: Duration = Duration::from_secs(5);
/// The same for one question: when nobody says anything about SRV, there is time left for an address.
const ONE: Duration = Duration::from_millis(2400);
/// Rounds of questions for one name: NAPTR, SRV, addresses, and one to spare.
const ROUNDS: usize = 5;
/// Places that failed, and how long that is held against them.
const AVOIDED: usize = 256;
const AVOIDED_FOR: Duration = Duration::from_secs(60);
/// The system's resolver does not tell how long its answers hold.
const SYSTEM_HOLDS: Duration = Duration::from_secs(30);

/// What a switch knows of names, shared by its profiles.
#[derive(Default)]
pub struct Dns {
    servers: ArcSwap<Servers>,
    cache: Cache,
    /// Places that failed not long ago.
    avoided: Mutex<HashMap<Place, Instant>>,
}

/// The name servers, in the order they are asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Servers {
    addresses: Vec<SocketAddr>,
    /// They were named for this switch: they are asked for addresses too, before the system's resolver.
    own: bool,
}

impl std::fmt::Debug for Dns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dns").field("servers", &self.servers.load()).finish_non_exhaustive()
    }
}

impl Dns {
    /// Asks these from now on; without any those of `/etc/resolv.conf`, and the system's resolver for addresses (for it
    /// knows `/etc/hosts` and what else the machine has). What is known is forgotten when they change.
    pub fn set_servers(&self, named: &[SocketAddr]) {
        let servers = match named {
            [] => Servers { addresses: of_system(), own: false },
            named => Servers { addresses: named.to_vec(), own: true },
        };
        if **self.servers.load() != servers {
            self.servers.store(Arc::new(servers));
            self.cache.clear();
        }
    }

    /// The places a message for `wanted` may go to, best first, and until when that holds.
    pub(super) async fn places(&self, sockets: &dyn Sockets, wanted: &Wanted) -> (Vec<Place>, Instant) {
        let deadline = Instant::now() + LIMIT;
        for _ in 0..ROUNDS {
            let mut rng = SmallRng::from_rng(&mut rand::rng());
            let known = |question: &Question| self.cache.known(question);
            let questions = match route::places(wanted, &known, &mut rng) {
                Ok(found) => return found,
                Err(questions) => questions,
            };
            let asked = all(questions.into_iter().map(|question| self.ask(sockets, question)).collect());
            if tokio::time::timeout_at(deadline, asked).await.is_err() {
                break;
            }
        }
        (Vec::new(), Instant::now() + cache::FAILED_HOLDS)
    }

    /// A place has failed: it comes last for a while, so that not every call waits for it.
    pub(super) fn avoid(&self, place: Place) {
        let now = Instant::now();
        let mut avoided = self.avoided.lock().unwrap_or_else(PoisonError::into_inner);
        avoided.retain(|_, until| *until > now);
        if avoided.len() < AVOIDED {
            avoided.insert(place, now + AVOIDED_FOR);
        }
    }

    /// The same places, those that failed not long ago last.
    pub(super) fn best_first(&self, mut places: Vec<Place>) -> Vec<Place> {
        let now = Instant::now();
        let avoided = self.avoided.lock().unwrap_or_else(PoisonError::into_inner);
        if !avoided.is_empty() {
            places.sort_by_key(|place| avoided.get(place).is_some_and(|until| *until > now));
        }
        places
    }

    /// Sees to it that the answer is known; when nobody answers, that there is none.
    async fn ask(&self, sockets: &dyn Sockets, question: Question) {
        match self.cache.look(&question) {
            Look::Known => {}
            Look::Wait(answered) => {
                let _ = answered.await; // gone: whoever asked gave up, and the next round asks anew
            }
            Look::Full => self.cache.failed(&question),
            Look::Ask(turn) => turn.answered(self.answer(sockets, &question).await),
        }
    }

    async fn answer(&self, sockets: &dyn Sockets, question: &Question) -> (Records, Duration) {
        let servers = self.servers.load_full();
        let address = question.kind == Kind::Address;
        if servers.own || !address {
            let found = tokio::time::timeout(ONE, client::ask(sockets, &servers.addresses, question)).await;
            if let Ok(Some((records, holds))) = found
                && !(address && records.is_empty())
            {
                return (records, holds);
            }
        }
        if !address {
            // Where there is no name server nobody will say anything else soon.
            let holds = if servers.addresses.is_empty() { SYSTEM_HOLDS } else { cache::FAILED_HOLDS };
            return (Records::None, holds);
        }
        match sockets.look_up(question.name.clone()).await {
            Ok(addresses) if !addresses.is_empty() => (Records::Addresses(addresses), SYSTEM_HOLDS),
            Ok(_) => (Records::None, cache::FAILED_HOLDS),
            Err(error) => {
                tracing::debug!(host = %question.name, %error, "look-up failed");
                (Records::None, cache::FAILED_HOLDS)
            }
        }
    }
}

/// The name servers of `/etc/resolv.conf`, three at most, as everywhere.
fn of_system() -> Vec<SocketAddr> {
    let text = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    servers_in(&text)
}

fn servers_in(text: &str) -> Vec<SocketAddr> {
    let named = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        (words.next()? == "nameserver").then(|| words.next()?.split('%').next()?.parse::<IpAddr>().ok())?
    });
    named.map(|ip| SocketAddr::new(ip, 53)).take(3).collect()
}

/// Waits for all of them at once.
async fn all<F: Future<Output = ()>>(work: Vec<F>) {
    let mut work: Vec<_> = work.into_iter().map(Box::pin).collect();
    std::future::poll_fn(move |cx| {
        work.retain_mut(|one| one.as_mut().poll(cx).is_pending());
        if work.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}

/// The transports a profile speaks, and to which families of addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Speaks {
    pub udp: [bool; 2],
    pub tcp: [bool; 2],
}

impl Speaks {
    /// To this address by this transport.
    pub fn can(self, transport: Transport, ip: IpAddr) -> bool {
        let families = match transport {
            Transport::Udp => self.udp,
            Transport::Tcp => self.tcp,
            Transport::Tls | Transport::Ws | Transport::Wss => return false,
        };
        families[usize::from(ip.is_ipv6())]
    }

    /// At all.
    pub fn any(self, transport: Transport) -> bool {
        match transport {
            Transport::Udp => self.udp != [false; 2],
            Transport::Tcp => self.tcp != [false; 2],
            Transport::Tls | Transport::Ws | Transport::Wss => false,
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn name_servers_are_read() {
        let text = "# one\nsearch example.com\nnameserver 192.0.2.1\n nameserver\t2001:db8::1 \nnameserver fe80::1%eth0\n\
                    nameserver x\nnameservers 192.0.2.9\nnameserver 192.0.2.4\n";
        let found: Vec<String> = super::servers_in(text).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["192.0.2.1:53", "[2001:db8::1]:53", "[fe80::1]:53"]);
    }
}
