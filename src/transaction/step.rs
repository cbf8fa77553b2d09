//! What one input makes a machine do.

use bytes::Bytes;

/// The outcome of one input to a machine: at most one message to send and one word to its owner.
#[derive(Debug, Default, Eq, PartialEq)]
pub struct Step {
    /// To be sent to the transaction's peer.
    pub send: Option<Bytes>,
    /// To be told to the owner.
    pub tell: Option<Tell>,
}

/// What a machine tells its owner.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Tell {
    /// The message just received is for the owner.
    Message,
    /// No final response came in time (Timer B, F, or 64·T1 after CANCEL).
    TimedOut,
    /// The transport could not deliver.
    Unreachable,
    /// Nobody acknowledged our non-2xx final response (Timer H).
    NoAck,
}

impl Step {
    /// Nothing to do: a retransmission absorbed, a stray ignored.
    pub const NOTHING: Step = Step { send: None, tell: None };

    /// Send, say nothing.
    pub fn send(bytes: Bytes) -> Self {
        Step { send: Some(bytes), tell: None }
    }

    /// Say, send nothing.
    pub fn tell(tell: Tell) -> Self {
        Step { send: None, tell: Some(tell) }
    }
}
