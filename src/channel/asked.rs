//! How a command asks a leg: it has a piece of work done by the leg's own task ([`Visit`]), and waits for what comes of it.

use super::leg::Leg;
use super::legs::Legs;
use super::letter::{Letter, Visit};
use super::mailbox::{MAILBOX, Mailbox, Posted};
use std::time::Duration;
use tokio::sync::oneshot;

/// How long a leg may take to answer. A leg answers whenever it waits for anything, so this is long.
const PATIENCE: Duration = Duration::from_secs(2);
/// How soon a full mailbox is tried again.
const AGAIN: Duration = Duration::from_millis(10);

/// Why a leg has not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// There is none by that uuid, or it has just ended.
    #[error("no such channel")]
    NoChannel,
    /// It did not answer in time.
    #[error("the channel does not answer")]
    Busy,
}

impl Legs {
    /// Has `work` done by the leg called `uuid`, and answers what came of it, within two seconds.
    pub async fn ask<T: Send + 'static>(
        &self,
        uuid: &str,
        work: impl FnOnce(&mut Leg) -> T + Send + 'static,
    ) -> Result<T, NoAnswer> {
        let mailbox = self.by_uuid(uuid).ok_or(NoAnswer::NoChannel)?;
        mailbox.ask(work).await
    }
}

impl Mailbox {
    /// Has `work` done by this leg; as [`Legs::ask`].
    pub async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Leg) -> T + Send + 'static,
    ) -> Result<T, NoAnswer> {
        let (reply, answer) = oneshot::channel();
        let mut letter = Some(Letter::Visit(Visit::new(move |leg| {
            let _ = reply.send(work(leg));
        })));
        let asked = async {
            loop {
                match self.offer(&mut letter, MAILBOX) {
                    Posted::Taken => break,
                    Posted::Full => tokio::time::sleep(AGAIN).await,
                    Posted::Gone => return Err(NoAnswer::NoChannel),
                }
            }
            // Gone without having done it.
            answer.await.map_err(|_| NoAnswer::NoChannel)
        };
        tokio::time::timeout(PATIENCE, asked).await.unwrap_or(Err(NoAnswer::Busy))
    }
}
