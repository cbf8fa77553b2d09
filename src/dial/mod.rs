//! Dial strings turned into legs: originate, fork, early media, failure causes.
//!
//! Gets an expanded dial string from an application; [`string`] takes it apart, [`endpoint`] finds the addresses,
//! [`originate()`] makes the legs and waits for the first answer.

pub mod endpoint;
mod originate;
pub mod string;

pub use originate::{Failure, Winner, note_failure, originate};
pub use string::{DialString, Leg};
