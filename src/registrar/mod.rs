//! Who may register and who is where: the location table (RFC 3261 §10, 3327, 5626).
