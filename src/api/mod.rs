//! API functions and commands, one file per family, all alike.
