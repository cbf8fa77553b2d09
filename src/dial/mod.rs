//! Dial strings turned into legs: originate, fork, early media, failure causes.
