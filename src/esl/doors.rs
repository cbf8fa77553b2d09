//! Who may come in: access lists, how many at a time, how often with a wrong password.

use crate::config::event_socket::{DEFAULT_PASSWORD, EventSocketConf};
use crate::net::acl::Acls;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// How many may be connected that have not logged in, all together and from one address. One more sends the oldest away:
/// who says nothing keeps nobody else out.
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
    /// There are too many clients.
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
    /// Who has not logged in, the oldest first.
    strangers: Vec<Stranger>,
    /// Wrong passwords of an address, since when.
    wrong: HashMap<IpAddr, (u32, Instant)>,
}

/// Somebody who has not logged in.
#[derive(Debug)]
struct Stranger {
    peer: IpAddr,
    /// Told when it has to go.
    dismissed: Arc<Notify>,
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
        let strangers = &mut book.strangers;
        let of_one = strangers.iter().filter(|stranger| stranger.peer == peer).count();
        let leaves = match () {
            () if of_one >= STRANGERS_OF_ONE => strangers.iter().position(|stranger| stranger.peer == peer),
            () if strangers.len() >= STRANGERS => Some(0),
            () => None,
        };
        if let Some(oldest) = leaves {
            strangers.remove(oldest).dismissed.notify_one();
        }
        let dismissed = Arc::new(Notify::new());
        strangers.push(Stranger { peer, dismissed: dismissed.clone() });
        let stranger = Some(dismissed);
        Ok(Place { doors: self.clone(), peer, stranger, _inside: self.inside.clone() })
    }

    /// A place for a program that we have called ourselves.
    pub fn invite(self: &Arc<Self>, most: usize) -> Option<Place> {
        let full = Arc::strong_count(&self.inside) > most;
        let peer = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
        (!full).then(|| Place { doors: self.clone(), peer, stranger: None, _inside: self.inside.clone() })
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
    /// What tells it to go, while it has not logged in.
    stranger: Option<Arc<Notify>>,
    _inside: Arc<()>,
}

impl Place {
    /// It has logged in.
    pub fn known(&mut self) {
        if self.leave_strangers() {
            self.doors.book().wrong.remove(&self.peer);
        }
    }

    /// Whether it has still to log in.
    pub fn is_stranger(&self) -> bool {
        self.stranger.is_some()
    }

    /// Comes back when it has to go: it has not logged in, and a newcomer needs its place.
    pub async fn dismissed(&self) {
        match &self.stranger {
            Some(dismissed) => dismissed.notified().await,
            None => std::future::pending().await,
        }
    }

    fn leave_strangers(&mut self) -> bool {
        let Some(dismissed) = self.stranger.take() else { return false };
        self.doors.book().strangers.retain(|stranger| !Arc::ptr_eq(&stranger.dismissed, &dismissed));
        true
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.leave_strangers();
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

    #[tokio::test]
    async fn strangers_are_bounded_and_places_given_back() {
        let doors = Arc::new(Doors::default());
        let now = Instant::now();
        let peer: IpAddr = "10.0.0.9".parse().unwrap();
        let mut places: Vec<_> =
            (0..STRANGERS_OF_ONE).map(|_| doors.enter(peer, 1000, now).unwrap()).collect();
        places[0].known();
        places.push(doors.enter(peer, 1000, now).unwrap());
        assert_eq!(doors.enter("10.0.0.10".parse().unwrap(), places.len(), now).unwrap_err(), Closed::Full);
        places.push(doors.enter(peer, 1000, now).unwrap());
        places[1].dismissed().await;
        assert!(!places[0].is_stranger(), "who has logged in stays");
        for n in 0..STRANGERS as u8 {
            places.push(doors.enter(IpAddr::from([10, 0, 1, n]), 1000, now).unwrap());
        }
        assert_eq!(doors.book().strangers.len(), STRANGERS);
        places[2].dismissed().await;
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
