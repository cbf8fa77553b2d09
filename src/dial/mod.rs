//! Dial strings turned into legs: originate, fork, early media, failure causes.

pub mod string;
pub use string::{DialString, Leg};
