//! What a leg has seen of another one, for the functions that read it (`uuid_getvar`): they answer at once, while the
//! other leg has its variables to itself and must be asked.

use super::caller::CallerProfile;
use super::leg::Leg;
use super::variables::Variables;
use crate::config::Globals;

/// What there is to see of a leg.
#[derive(Clone, Debug)]
pub struct Glimpse {
    /// Its uuid.
    pub uuid: Box<str>,
    /// Its variables.
    pub variables: Variables,
    /// Who calls whom.
    pub caller: CallerProfile,
    /// Everybody's variables.
    pub globals: Globals,
}

/// How many others an expansion may look at.
const MOST: usize = 16;

impl Leg {
    /// Asks the leg called `uuid` what it knows, and keeps that until [`forget`](Self::forget). Nothing is kept when there is
    /// none, or when it does not answer in time.
    pub async fn look_at(&mut self, uuid: &str) {
        if *self.uuid == *uuid || self.glimpses.len() >= MOST || self.glimpse(uuid).is_some() {
            return;
        }
        let (legs, name) = (self.exchange.legs.clone(), uuid.to_owned());
        let asking = async move {
            let see = |leg: &mut Leg| (leg.variables.clone(), leg.caller.clone());
            legs.ask(&name, see).await
        };
        if let Some(Ok((variables, caller))) = self.until(asking).await {
            let globals = self.exchange.globals.clone();
            self.glimpses.push(Glimpse { uuid: uuid.into(), variables, caller, globals });
        }
    }

    /// What was seen of the leg called `uuid`.
    pub fn glimpse(&self, uuid: &str) -> Option<&Glimpse> {
        self.glimpses.iter().find(|seen| *seen.uuid == *uuid)
    }

    /// Forgets what was seen of others: it is old at once.
    pub fn forget(&mut self) {
        self.glimpses = Vec::new();
    }
}
