//! One call of a user, as others may see it.

use std::sync::Arc;

/// How far a call is (RFC 4235 §3.7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// On its way; nothing rings.
    Trying,
    /// It rings.
    Early,
    /// Somebody talks.
    Confirmed,
}

/// Who is at the other end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    /// The display name.
    pub name: Arc<str>,
    /// The number.
    pub number: Arc<str>,
}

/// The dialog of a call as the user's own phone sees it: what a phone that picks the call up writes into Replaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DialogId {
    /// Call-ID.
    pub call_id: Box<str>,
    /// The tag of the user's phone; none before it has answered anything.
    pub local_tag: Option<Box<str>>,
    /// Our tag.
    pub remote_tag: Box<str>,
}

/// One call of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The uuid of its leg.
    pub id: Arc<str>,
    /// The user has called, and was not called.
    pub initiator: bool,
    /// How far it is.
    pub state: State,
    /// The user has put the other on hold.
    pub held: bool,
    /// The other end; none when that does not want to be known.
    pub remote: Option<Party>,
    /// Its dialog.
    pub dialog: DialogId,
}
