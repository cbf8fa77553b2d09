//! Log lines for programs that watch the switch: made only while somebody wants them, lost by who is too slow.

use super::log::{severity, source, write_fields};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::broadcast;
use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// How many lines a listener may fall behind before it loses the oldest.
const BEHIND: usize = 2048;

/// One line of the log.
#[derive(Clone, Debug)]
pub struct LogLine {
    /// FreeSWITCH's number of its level: 0 (CONSOLE) to 7 (DEBUG), 17 (DEBUG10).
    pub level: u8,
    /// The file that says so.
    pub file: String,
    /// The line there.
    pub line: u32,
    /// The uuid of the call it speaks of; empty when it speaks of none.
    pub uuid: String,
    /// The whole line as the log has it, with its line break.
    pub text: String,
}

/// Where lines are taken from. A clone is the same.
#[derive(Clone)]
pub struct Feed(Arc<Shared>);

struct Shared {
    lines: broadcast::Sender<Arc<LogLine>>,
    /// The level each listener wants, by its number; the next number.
    wanted: Mutex<(Vec<(u64, u8)>, u64)>,
    set: Box<dyn Fn(LevelFilter) + Send + Sync>,
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Feed")
    }
}

impl Feed {
    /// A feed whose level is set by `set`, and the layer that fills it.
    pub(super) fn new(set: impl Fn(LevelFilter) + Send + Sync + 'static) -> (Feed, Filler) {
        let lines = broadcast::Sender::new(BEHIND);
        let filler = Filler(lines.clone());
        (Feed(Arc::new(Shared { lines, wanted: Mutex::default(), set: Box::new(set) })), filler)
    }

    /// A listener to what is at least as severe as `level`.
    pub fn listen(&self, level: u8) -> LogEar {
        let lines = self.0.lines.subscribe();
        let number = self.change(|(wanted, next)| {
            wanted.push((*next, level));
            *next += 1;
            *next - 1
        });
        LogEar { feed: self.clone(), lines, number, level }
    }

    fn change<T>(&self, work: impl FnOnce(&mut (Vec<(u64, u8)>, u64)) -> T) -> T {
        let mut wanted = self.0.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        let done = work(&mut wanted);
        let most = wanted.0.iter().map(|(_, level)| *level).max();
        (self.0.set)(match most {
            None => LevelFilter::OFF,
            Some(0..=3) => LevelFilter::ERROR,
            Some(4) => LevelFilter::WARN,
            Some(5 | 6) => LevelFilter::INFO,
            Some(7) => LevelFilter::DEBUG,
            Some(_) => LevelFilter::TRACE,
        });
        done
    }
}

/// One listener's end.
#[derive(Debug)]
pub struct LogEar {
    feed: Feed,
    lines: broadcast::Receiver<Arc<LogLine>>,
    number: u64,
    level: u8,
}

impl LogEar {
    /// The next line it wants. Lines it was too slow for are left out.
    pub async fn next(&mut self) -> Arc<LogLine> {
        loop {
            match self.lines.recv().await {
                Ok(line) if line.level <= self.level => return line,
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
            }
        }
    }
}

impl Drop for LogEar {
    fn drop(&mut self) {
        let number = self.number;
        self.feed.change(|(wanted, _)| wanted.retain(|(n, _)| *n != number));
    }
}

/// The layer of the log that fills the feed.
pub(super) struct Filler(broadcast::Sender<Arc<LogLine>>);

impl<S: Subscriber> Layer<S> for Filler {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if self.0.receiver_count() == 0 {
            return;
        }
        let (level, word) = severity(event);
        let mut said = String::new();
        if write_fields(&mut said, event).is_err() {
            return;
        }
        let meta = event.metadata();
        let file = meta.file().and_then(|file| file.rsplit('/').next()).unwrap_or("").to_owned();
        let uuid = said.trim_start().get(..36).filter(|head| uuid::Uuid::try_parse(head).is_ok());
        let now = jiff::Zoned::now();
        let _ = self.0.send(Arc::new(LogLine {
            level,
            file,
            line: meta.line().unwrap_or(0),
            uuid: uuid.unwrap_or("").to_owned(),
            text: format!("{} [{word}] {}{said}\n", now.strftime("%Y-%m-%d %H:%M:%S.%6f"), source(meta)),
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing_subscriber::layer::SubscriberExt;

    #[tokio::test]
    async fn levels_have_their_words() {
        let (feed, filler) = Feed::new(|_| {});
        let mut ear = feed.listen(7);
        let mut few = feed.listen(2);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(filler), || {
            tracing::error!("plain");
            tracing::error!(severity = 0_u64, "console");
            tracing::error!(severity = 1_u64, "alert");
            tracing::error!(severity = 2_u64, "crit");
            tracing::info!(severity = 5_u64, "notice");
            tracing::info!(other = 5_u64, "info");
        });
        let expected = [
            (3, "[ERR]", " plain\n"),
            (0, "[CONSOLE]", " console\n"),
            (1, "[ALERT]", " alert\n"),
            (2, "[CRIT]", " crit\n"),
            (5, "[NOTICE]", " notice\n"),
            (6, "[INFO]", " info other=5\n"),
        ];
        for (level, word, end) in expected {
            let line = ear.next().await;
            assert_eq!(line.level, level);
            assert!(line.text.contains(word) && line.text.ends_with(end), "{}", line.text);
        }
        assert_eq!(few.next().await.level, 0, "an ERR is not for who wants CRIT");
    }
}
