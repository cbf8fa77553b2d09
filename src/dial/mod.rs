//! Dial strings turned into legs: originate, fork, early media, failure causes.
//!
//! Gets an expanded dial string from an application; hands back the leg that won, or why nobody did.
//!
//! | file | job |
//! | --- | --- |
//! | `string` | the dial string taken apart |
//! | `rules` | what its variables say about the course of the call |
//! | `race` | that course as data: stages, time limits, retries, who wins |
//! | `endpoint` | whom a leg of the string stands for: addresses |
//! | `attempt` | what a called leg gets of its caller |
//! | `originate` | drives the race: makes the legs, hears of them |
//! | `outcome` | what came of it, in the caller's variables |
//! | `unheeded` | variables in a tree that are not acted on |

mod attempt;
pub mod endpoint;
mod originate;
mod outcome;
mod race;
mod rules;
pub mod string;
mod unheeded;

pub use originate::{Failure, Winner, adopt, originate};
pub use outcome::note_failure;
pub use string::{DialString, Leg};
pub use unheeded::unheeded;
