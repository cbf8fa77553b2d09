//! What is known of names, for as long as it holds, and who waits for what is being asked. Bounded in both.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::question::{Question, Records};

/// Answers kept.
const KEPT: usize = 4096;
/// Questions asked at once.
const ASKING: usize = 128;
/// Who may wait for one answer.
const WAITING: usize = 1024;
/// How long it is taken for true that there is no answer, when nobody gave one.
pub const FAILED_HOLDS: Duration = Duration::from_secs(5);

#[derive(Default)]
pub struct Cache(Mutex<HashMap<Question, Entry>>);

enum Entry {
    Known { records: Records, until: Instant },
    Asking(Vec<oneshot::Sender<()>>),
}

/// What to do about a question.
pub enum Look<'a> {
    /// Nothing: its answer is there.
    Known,
    /// Wait: somebody asks.
    Wait(oneshot::Receiver<()>),
    /// Ask, and tell by [`Turn::answered`].
    Ask(Turn<'a>),
    /// Too much is being asked already.
    Full,
}

/// Somebody's turn to ask. Dropped without an answer, the next one asks.
pub struct Turn<'a> {
    cache: &'a Cache,
    question: Option<Question>,
}

impl Cache {
    /// The answer, while it holds, and until when.
    pub fn known(&self, question: &Question) -> Option<(Records, Instant)> {
        match self.lock().get(question) {
            Some(Entry::Known { records, until }) if *until > Instant::now() => {
                Some((records.clone(), *until))
            }
            _ => None,
        }
    }

    pub fn look(&self, question: &Question) -> Look<'_> {
        let mut entries = self.lock();
        match entries.get_mut(question) {
            Some(Entry::Known { until, .. }) if *until > Instant::now() => return Look::Known,
            Some(Entry::Asking(waiting)) if waiting.len() < WAITING => {
                let (answered, wait) = oneshot::channel();
                waiting.push(answered);
                return Look::Wait(wait);
            }
            Some(Entry::Asking(_)) => return Look::Full,
            Some(Entry::Known { .. }) | None => {}
        }
        if entries.values().filter(|entry| matches!(entry, Entry::Asking(_))).count() >= ASKING {
            return Look::Full;
        }
        entries.insert(question.clone(), Entry::Asking(Vec::new()));
        Look::Ask(Turn { cache: self, question: Some(question.clone()) })
    }

    /// Nobody could be asked: for a moment that is the answer.
    pub fn failed(&self, question: &Question) {
        let mut entries = self.lock();
        if !matches!(entries.get(question), Some(Entry::Asking(_))) {
            keep(&mut entries, question.clone(), Records::None, FAILED_HOLDS);
        }
    }

    /// Forgets every answer.
    pub fn clear(&self) {
        self.lock().retain(|_, entry| matches!(entry, Entry::Asking(_)));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Question, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn<'_> {
    /// Keeps the answer and wakes who waits for it.
    pub fn answered(mut self, (records, holds): (Records, Duration)) {
        let Some(question) = self.question.take() else { return };
        let before = {
            let mut entries = self.cache.lock();
            let before = entries.remove(&question);
            keep(&mut entries, question, records, holds);
            before
        };
        wake(before);
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(question) = self.question.take() {
            wake(self.cache.lock().remove(&question));
        }
    }
}

fn wake(entry: Option<Entry>) {
    if let Some(Entry::Asking(waiting)) = entry {
        for one in waiting {
            let _ = one.send(()); // it no longer waits
        }
    }
}

fn keep(entries: &mut HashMap<Question, Entry>, question: Question, records: Records, holds: Duration) {
    let now = Instant::now();
    if entries.len() >= KEPT {
        entries.retain(|_, entry| !matches!(entry, Entry::Known { until, .. } if *until <= now));
    }
    if entries.len() >= KEPT {
        // All of it holds still: the one that would go next makes room.
        let first = entries.iter().filter_map(|(q, e)| match e {
            Entry::Known { until, .. } => Some((*until, q)),
            Entry::Asking(_) => None,
        });
        if let Some(question) = first.min_by_key(|(until, _)| *until).map(|(_, q)| q.clone()) {
            entries.remove(&question);
        }
    }
    entries.insert(question, Entry::Known { records, until: now + holds });
}

#[cfg(test)]
mod tests {
    use super::super::question::Kind;
    use super::*;
    use std::net::IpAddr;

    fn question(n: usize) -> Question {
        Question::new(&format!("h{n}.example.com"), Kind::Address)
    }

    fn answer() -> (Records, Duration) {
        (Records::Addresses(vec![IpAddr::from([192, 0, 2, 1])]), Duration::from_secs(60))
    }

    #[tokio::test(start_paused = true)]
    async fn one_asks_the_others_wait_and_it_holds_as_long_as_it_says() {
        let cache = Cache::default();
        let Look::Ask(turn) = cache.look(&question(1)) else { panic!("nobody has asked yet") };
        let Look::Wait(wait) = cache.look(&question(1)) else { panic!("somebody asks") };
        turn.answered(answer());
        assert!(wait.await.is_ok());
        assert!(matches!(cache.look(&question(1)), Look::Known));
        tokio::time::advance(Duration::from_secs(59)).await;
        assert!(cache.known(&question(1)).is_some());
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(cache.known(&question(1)).is_none() && matches!(cache.look(&question(1)), Look::Ask(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn who_gives_up_leaves_the_turn_to_the_next() {
        let cache = Cache::default();
        let look = cache.look(&question(1));
        let Look::Wait(wait) = cache.look(&question(1)) else { panic!("somebody asks") };
        drop(look);
        assert!(wait.await.is_ok());
        assert!(matches!(cache.look(&question(1)), Look::Ask(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_bounded() {
        let cache = Cache::default();
        let turns: Vec<_> = (0..ASKING).map(|n| cache.look(&question(n))).collect();
        assert!(matches!(cache.look(&question(ASKING)), Look::Full));
        let waiting: Vec<_> = (0..WAITING).map(|_| cache.look(&question(0))).collect();
        assert!(matches!(cache.look(&question(0)), Look::Full));
        drop((turns, waiting));
        for n in 0..KEPT + 100 {
            let Look::Ask(turn) = cache.look(&question(n)) else { panic!() };
            turn.answered(answer());
        }
        assert_eq!(cache.lock().len(), KEPT);
    }
}
