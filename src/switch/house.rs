//! The switch as a whole, for commands: reload, stop, the level of the log.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use tokio::sync::watch;

use super::acts::Wish;
use super::generation::Generation;
use super::{Core, Tree};
use crate::api::{House, ProfileWork, Shutdown, Work};
use crate::config::Options;
use crate::event::{EventName, Headers};
use crate::observe::Log;

/// What commands may want of the whole switch.
pub(super) struct Whole {
    core: OnceLock<Weak<Core>>,
    /// How the configuration is read again; a switch made of a tree alone cannot.
    options: Option<Options>,
    log: Option<Arc<Log>>,
    end: watch::Sender<Option<Shutdown>>,
}

impl Whole {
    pub fn new(options: Option<Options>, log: Option<Arc<Log>>) -> Whole {
        Whole { core: OnceLock::new(), options, log, end: watch::Sender::new(None) }
    }

    /// The switch is put together.
    pub fn found(&self, core: &Arc<Core>) {
        let _ = self.core.set(Arc::downgrade(core));
    }

    fn core(&self) -> Option<Arc<Core>> {
        self.core.get()?.upgrade()
    }

    /// Waits until a command ends the process, and until the calls are over that it wanted to wait for.
    pub async fn end(&self) {
        let mut ear = self.end.subscribe();
        loop {
            let wanted = *ear.borrow_and_update();
            let Some(exchange) = self.core().map(|core| core.exchange.clone()) else { return };
            let waits = match wanted {
                None => false,
                Some(Shutdown::Now) => return,
                Some(Shutdown::Elegant) => true,
                Some(Shutdown::Asap) => {
                    exchange.gate.drain();
                    true
                }
                Some(Shutdown::Cancel) => {
                    exchange.gate.reopen();
                    false
                }
            };
            if waits && exchange.legs.is_empty() {
                return;
            }
            let pause = Duration::from_millis(if waits { 100 } else { 3_600_000 });
            let _ = tokio::time::timeout(pause, ear.changed()).await;
        }
    }
}

impl House for Whole {
    fn reload(&self) -> Work<'_, Result<String, Vec<String>>> {
        Box::pin(async move {
            let Some(core) = self.core() else { return Err(vec!["the switch stops".to_owned()]) };
            let Some(options) = self.options.clone() else {
                return Err(vec!["this switch has no files to read again".to_owned()]);
            };
            let read = tokio::task::spawn_blocking(move || Tree::read(&options)).await;
            core.reload(read.map_err(|error| vec![error.to_string()])?).await
        })
    }

    fn differences(&self) -> Work<'_, Result<Vec<String>, Vec<String>>> {
        Box::pin(async move {
            let Some(core) = self.core() else { return Err(vec!["the switch stops".to_owned()]) };
            let Some(options) = self.options.clone() else {
                return Err(vec!["this switch has no files to read again".to_owned()]);
            };
            let work = move || {
                let tree = Tree::read(&options);
                let errors: Vec<String> = tree.errors().map(ToString::to_string).collect();
                match errors.is_empty() {
                    true => Ok(Generation::of(tree).differences(&core.exchange)),
                    false => Err(errors),
                }
            };
            tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(vec![error.to_string()]))
        })
    }

    fn with_profile<'a>(&'a self, profile: &'a str, work: ProfileWork) -> Work<'a, Result<(), String>> {
        Box::pin(async move {
            let Some(core) = self.core() else { return Err("the switch stops".to_owned()) };
            core.with_profile(profile, work, self).await
        })
    }

    fn act_on(&self, name: EventName, headers: &Headers, body: Option<&str>) -> Result<(), String> {
        let Some(core) = self.core() else { return Err("the switch stops".to_owned()) };
        core.act_on(name, &Wish { headers, body })
    }

    fn shut_down(&self, how: Shutdown) {
        self.end.send_replace(Some(how));
    }

    fn log_level(&self) -> u8 {
        self.log.as_ref().map_or(6, |log| log.level())
    }

    fn set_log_level(&self, level: u8) -> bool {
        self.log.as_ref().is_some_and(|log| log.set(level))
    }
}
