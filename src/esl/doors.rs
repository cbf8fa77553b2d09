//! Who may come in: access lists, how many at a time, how often with a wrong password.

use crate::config::event_socket::{DEFAULT_PASSWORD, EventSocketConf};
use crate::net::acl::Acls;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How many may be connected that have not logged in, all together and from one address.
const STRANGERS: usize = 128;
const STRANGERS_OF_ONE: usize = 32;
/// So many wrong passwords from one address within the time close the door to it for that time.
const TRIES: u32 = 10;
const BAN: Duration = Duration::from_secs(60);
/// The most addresses that are kept in mind.
const MOST_ADDRESSES: usize = 4096;

/// Why somebody is not let in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Closed {
    /// An access list does not let the address in.
    #[error("not let in by access list {0}")]
    Acl(String),
    /// There is no access list, and it is another machine.
    #[error("another machine, and there is no access list")]
    Remote,
    /// The password is the one everybody knows, and it is another machine.
    #[error(
        "another machine, and the password is the one everybody knows (allow-default-password is not set)"
    )]
    DefaultPassword,
    /// Too many wrong passwords came from there.
    #[error("too many wrong passwords")]
    Banned,
    /// There are too many clients, or too many that have not logged in.
    #[error("too many connections")]
    Full,
}

/// The doors.
#[derive(Debug, Default)]
pub struct Doors {
    book: Mutex<Book>,
    inside: Arc<()>,
}

#[derive(Debug, Default)]
struct Book {
    /// How many of each address have not logged in.
    strangers: HashMap<IpAddr, usize>,
    /// Wrong passwords of an address, since when.
    wrong: HashMap<IpAddr, (u32, Instant)>,
}

impl Doors {
    /// Whether somebody from `peer` may come in, as far as the configuration goes.
    pub fn admits(&self, conf: &EventSocketConf, acls: &Acls, peer: IpAddr) -> Result<(), Closed> {
        if conf.acls.is_empty() && !peer.is_loopback() {
            return Err(Closed::Remote);
        }
        if let Some((list, _)) = conf.acls.iter().find(|(list, _)| !acls.allows(list, peer, 0)) {
            return Err(Closed::Acl(list.clone()));
        }
        let known = conf.password == DEFAULT_PASSWORD && !conf.allow_default_password;
        if known && !peer.is_loopback() { Err(Closed::DefaultPassword) } else { Ok(()) }
    }

    /// Lets a stranger in; the place is given back when what it returns is dropped.
    pub fn enter(self: &Arc<Self>, peer: IpAddr, most: usize, now: Instant) -> Result<Place, Closed> {
        if Arc::strong_count(&self.inside) > most {
            return Err(Closed::Full);
        }
        let mut book = self.book();
        if book.wrong.get(&peer).is_some_and(|(tries, since)| *tries >= TRIES && now < *since + BAN) {
            return Err(Closed::Banned);
        }
        let all: usize = book.strangers.values().sum();
        let of_one = book.strangers.get(&peer).copied().unwrap_or(0);
        if all >= STRANGERS || of_one >= STRANGERS_OF_ONE {
            return Err(Closed::Full);
        }
        book.strangers.insert(peer, of_one + 1);
        Ok(Place { doors: self.clone(), peer, stranger: true, _inside: self.inside.clone() })
    }

    /// A place for a program that we have called ourselves.
    pub fn invite(self: &Arc<Self>, most: usize) -> Option<Place> {
        let full = Arc::strong_count(&self.inside) > most;
        let peer = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
        (!full).then(|| Place { doors: self.clone(), peer, stranger: false, _inside: self.inside.clone() })
    }

    /// A wrong password came from `peer`.
    pub fn wrong(&self, peer: IpAddr, now: Instant) {
        if peer.is_loopback() {
            return; // a forgetful script of this machine does not shut out the others
        }
        let mut book = self.book();
        if book.wrong.len() >= MOST_ADDRESSES {
            book.wrong.retain(|_, (_, since)| now < *since + BAN);
            if book.wrong.len() >= MOST_ADDRESSES {
                return;
            }
        }
        let (tries, since) = book.wrong.entry(peer).or_insert((0, now));
        if now >= *since + BAN {
            (*tries, *since) = (0, now);
        }
        *tries += 1;
        if *tries == TRIES {
            *since = now;
        }
    }

    /// How many are connected.
    pub fn len(&self) -> usize {
        Arc::strong_count(&self.inside) - 1
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place inside.
#[derive(Debug)]
pub struct Place {
    doors: Arc<Doors>,
    peer: IpAddr,
    stranger: bool,
    _inside: Arc<()>,
}

impl Place {
    /// It has logged in.
    pub fn known(&mut self) {
        if std::mem::replace(&mut self.stranger, false) {
            let mut book = self.doors.book();
            book.wrong.remove(&self.peer);
            if let Some(count) = book.strangers.get_mut(&self.peer) {
                *count -= 1;
                if *count == 0 {
                    book.strangers.remove(&self.peer);
                }
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if std::mem::replace(&mut self.stranger, false) {
            let mut book = self.doors.book();
            if let Some(count) = book.strangers.get_mut(&self.peer) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    book.strangers.remove(&self.peer);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Position;
    use crate::config::acl::AclConf;
    use crate::net::acl::LocalNet;

    fn acls() -> Acls {
        Acls::compile(&AclConf::default(), LocalNet { v4: None, v6: None }, |_| None)
    }

    #[test]
    fn without_a_list_only_this_machine_and_with_several_all_of_them() {
        let doors = Doors::default();
        let (own, other): (IpAddr, IpAddr) = ("127.0.0.5".parse().unwrap(), "10.0.0.9".parse().unwrap());
        let mut conf = EventSocketConf { password: "secret".to_owned(), ..EventSocketConf::default() };
        assert_eq!(doors.admits(&conf, &acls(), own), Ok(()));
        assert_eq!(doors.admits(&conf, &acls(), other), Err(Closed::Remote));
        let list = |name: &str| (name.to_owned(), Position::new("x", 1, 1));
        conf.acls = vec![list("rfc1918.auto")];
        assert_eq!(doors.admits(&conf, &acls(), other), Ok(()));
        conf.acls.push(list("loopback.auto"));
        assert_eq!(doors.admits(&conf, &acls(), other), Err(Closed::Acl("loopback.auto".to_owned())));
        conf.acls.pop();
        conf.password = DEFAULT_PASSWORD.to_owned();
        assert_eq!(doors.admits(&conf, &acls(), other), Err(Closed::DefaultPassword));
        conf.allow_default_password = true;
        assert_eq!(doors.admits(&conf, &acls(), other), Ok(()));
    }

    #[test]
    fn strangers_are_bounded_and_places_given_back() {
        let doors = Arc::new(Doors::default());
        let now = Instant::now();
        let peer: IpAddr = "10.0.0.9".parse().unwrap();
        let mut places: Vec<_> =
            (0..STRANGERS_OF_ONE).map(|_| doors.enter(peer, 1000, now).unwrap()).collect();
        assert_eq!(doors.enter(peer, 1000, now).unwrap_err(), Closed::Full);
        places[0].known();
        places.push(doors.enter(peer, 1000, now).unwrap());
        assert_eq!(doors.enter("10.0.0.10".parse().unwrap(), places.len(), now).unwrap_err(), Closed::Full);
        for n in 0..STRANGERS as u8 {
            places.extend(doors.enter(IpAddr::from([10, 0, 1, n]), 1000, now));
        }
        assert_eq!(
            doors.book().strangers.len(),
            1 + STRANGERS - STRANGERS_OF_ONE,
            "who is sent away is forgotten"
        );
        drop(places);
        assert_eq!(doors.len(), 0);
        assert!(doors.book().strangers.is_empty());
    }

    #[test]
    fn many_wrong_passwords_close_the_door_for_a_while() {
        let doors = Arc::new(Doors::default());
        let now = Instant::now();
        let peer: IpAddr = "10.0.0.9".parse().unwrap();
        (0..TRIES).for_each(|_| doors.wrong(peer, now));
        assert_eq!(doors.enter(peer, 1000, now).unwrap_err(), Closed::Banned);
        assert!(doors.enter("10.0.0.10".parse().unwrap(), 1000, now).is_ok());
        assert!(doors.enter(peer, 1000, now + BAN).is_ok());
    }
}
