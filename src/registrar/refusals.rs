//! The last REGISTER of each user that was refused, for who asks why a phone is not registered.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// How many users' refusals are remembered.
const USERS: usize = 1_000;

/// A REGISTER that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// When.
    pub at: Instant,
    /// Where it came from.
    pub source: IpAddr,
    /// The profile it came to.
    pub profile: String,
    /// Why.
    pub why: String,
}

/// Refusals by user. Only those of users that exist are to be put in: strangers make up names without number.
#[derive(Default)]
pub struct Refusals(Mutex<HashMap<String, Refused>>);

impl Refusals {
    /// Remembers a refusal in place of the one before; when there are too many users, the one refused longest ago is
    /// forgotten.
    pub fn put(&self, user: &str, domain: &str, refused: Refused) {
        let (key, mut users) = (key(user, domain), self.lock());
        if users.len() >= USERS && !users.contains_key(&key) {
            let oldest = users.iter().min_by_key(|(_, refused)| refused.at).map(|(key, _)| key.clone());
            oldest.map(|key| users.remove(&key));
        }
        users.insert(key, refused);
    }

    /// The last refusal of a user.
    pub fn last(&self, user: &str, domain: &str) -> Option<Refused> {
        self.lock().get(&key(user, domain)).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Refused>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Compared without case, as the directory does.
fn key(user: &str, domain: &str) -> String {
    format!("{user}@{domain}").to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_last_of_each_is_kept_and_the_oldest_forgotten() {
        let (refusals, begin) = (Refusals::default(), Instant::now());
        let refused = |n: u64| Refused {
            at: begin + Duration::from_secs(n),
            source: IpAddr::from([192, 0, 2, 1]),
            profile: "internal".into(),
            why: n.to_string(),
        };
        for n in 0..USERS as u64 {
            refusals.put(&format!("u{n}"), "a.test", refused(n));
        }
        refusals.put("U0", "A.test", refused(5_000));
        assert_eq!(refusals.last("u0", "a.test"), Some(refused(5_000)));
        assert_eq!(refusals.last("u0", "b.test"), None);
        refusals.put("new", "a.test", refused(5_001));
        assert_eq!(refusals.lock().len(), USERS);
        assert_eq!(refusals.last("u1", "a.test"), None, "the oldest");
        assert_eq!(refusals.last("u2", "a.test"), Some(refused(2)));
    }
}
