//! What a command has to work with: the shared part of the switch, and the switch as a whole behind it.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;

use super::exchange::Asking;
use super::permit::Permit;
use super::world::World;
use crate::channel::{Exchange, Leg, NoAnswer};
use crate::event::{EventName, Headers};

/// Work of the switch that takes its time.
pub type Work<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What only the switch as a whole can do; the layers above the commands do it.
pub trait House: Send + Sync {
    /// Reads the configuration again and takes it over. Answers what has changed, or every reason why nothing has.
    fn reload(&self) -> Work<'_, Result<String, Vec<String>>>;

    /// What reading the configuration again would change, by name; or every reason why it cannot be taken.
    fn differences(&self) -> Work<'_, Result<Vec<String>, Vec<String>>>;

    /// Does something with a SIP profile (or an alias of one). An error says why it was not done.
    fn with_profile<'a>(&'a self, profile: &'a str, work: ProfileWork) -> Work<'a, Result<(), String>>;

    /// Does what an event asks the switch to do that somebody has made: a client (`sendevent`), a command. An error says why
    /// it cannot be done; an event that asks for nothing is done with.
    fn act_on(&self, name: EventName, headers: &Headers, body: Option<&str>) -> Result<(), String>;

    /// Ends the process.
    fn shut_down(&self, how: Shutdown);

    /// The least severe level that is logged, as FreeSWITCH counts: 0 (console) to 7 (debug).
    fn log_level(&self) -> u8;

    /// Logs from now on what is at least as severe as that; false when it cannot be changed.
    fn set_log_level(&self, level: u8) -> bool;
}

/// What can be done with a SIP profile (`sofia profile NAME …`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProfileWork {
    /// Reads the configuration again, and opens it if it is closed.
    Start,
    /// Ends its calls and closes it until it is started.
    Stop,
    /// Both.
    Restart,
    /// Drops registrations: those with this Call-ID, of this `user@domain` or domain; all without it. `reboot`: their phones
    /// are told to start again.
    Flush {
        /// Which.
        which: Option<String>,
        /// NOTIFY with check-sync.
        reboot: bool,
    },
    /// The phones of such registrations are told to fetch their settings (NOTIFY with check-sync).
    CheckSync(Option<String>),
    /// A gateway, or all of the profile, registers now.
    Register(Option<String>),
    /// A gateway, or all of the profile, takes its registration back.
    Unregister(Option<String>),
    /// A gateway, or all of the profile, goes until the configuration is read again.
    KillGateway(Option<String>),
}

/// How the process ends (`fsctl shutdown`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// At once; calls are hung up.
    Now,
    /// When there is no call; until then new ones begin as ever.
    Elegant,
    /// No new calls; the end comes when the last call is over.
    Asap,
    /// Not after all.
    Cancel,
}

/// The desk a command works at. A clone is the same.
#[derive(Clone)]
pub struct Desk {
    /// What all legs share.
    pub exchange: Arc<Exchange>,
    /// The switch as a whole.
    pub house: Arc<dyn House>,
    /// Headers that came with the command (`console_execute: true`), by lower-case name.
    pub said: Arc<HashMap<String, String>>,
    /// What whoever asks may run; everything without it.
    pub permit: Option<Permit>,
    /// How many commands that run another one stand around this one.
    pub depth: u8,
}

/// What is said of a uuid nobody has.
pub(super) const NO_CHANNEL: &str = "-ERR No such channel!\n";
/// What is said when all is well.
pub(super) const OK: &str = "+OK\n";

impl Desk {
    /// A desk in that switch.
    pub fn new(exchange: Arc<Exchange>, house: Arc<dyn House>) -> Desk {
        Desk { exchange, house, said: Arc::default(), permit: None, depth: 0 }
    }

    /// The switch as functions see it, without a leg.
    pub fn world(&self) -> impl World + '_ {
        Asking { exchange: &self.exchange, leg: None, permit: self.permit.as_ref() }
    }

    /// Has `work` done by the leg called `uuid`, and waits for what comes of it. An error is what the command answers.
    pub async fn ask<T: Send + 'static>(
        &self,
        uuid: &str,
        work: impl FnOnce(&mut Leg) -> T + Send + 'static,
    ) -> Result<T, String> {
        self.exchange.legs.ask(uuid, work).await.map_err(|error| match error {
            NoAnswer::NoChannel => NO_CHANNEL.to_owned(),
            NoAnswer::Busy => format!("-ERR {error}\n"),
        })
    }

    /// Has `work` done by every leg in a call; those that end meanwhile are left out.
    pub async fn ask_all<T: Send + 'static>(
        &self,
        work: impl Fn(&mut Leg) -> T + Clone + Send + 'static,
    ) -> Vec<T> {
        let asked: Vec<_> = self
            .exchange
            .legs
            .mailboxes()
            .into_iter()
            .map(|mailbox| {
                let work = work.clone();
                tokio::spawn(async move { mailbox.ask(move |leg| work(leg)).await })
            })
            .collect();
        let mut answers = Vec::with_capacity(asked.len());
        for answer in asked {
            if let Ok(Ok(answer)) = answer.await {
                answers.push(answer);
            }
        }
        answers
    }
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Desk")
    }
}
