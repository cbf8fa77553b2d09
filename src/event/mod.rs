//! What happened, told to whoever listens: the events and their bus.
