//! What the sender of a message learns when it could not simply be sent.

use bytes::Bytes;

use crate::sip::{Flow, Transport};

/// Told to the sender, at most once per message; a message that went out over the transport it was meant for is
/// not reported.
#[derive(Debug)]
pub enum Report {
    /// It could not be delivered: a client transaction is told `transport_failed`.
    Failed(SendError),
    /// It was too large for UDP and went over this stream (RFC 3261 §18.1.1): a client transaction is told
    /// `now_reliable`.
    OverStream(Flow),
}

/// Why a message could not be sent.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SendError {
    /// No socket of this profile speaks that transport in that address family, or none has that local address.
    #[error("no {0} socket towards that address")]
    NoSocket(Transport),
    /// The host's name has no usable address.
    #[error("no address for {0}")]
    NoAddress(String),
    /// The peer does not take connections.
    #[error("connection refused: {0}")]
    Refused(String),
    /// The peer did not answer the connection request in time.
    #[error("connecting timed out")]
    ConnectTimeout,
    /// The connection is closed, or closed while the message waited.
    #[error("the connection is closed")]
    Closed,
    /// Too much waits already.
    #[error("too much is waiting to be sent")]
    QueueFull,
    /// The profile's limit of connections is reached.
    #[error("too many connections")]
    TooManyConnections,
    /// The kernel refused.
    #[error("{0}")]
    Io(String),
}

/// The function that takes a report.
pub(super) type Reporter = Box<dyn FnOnce(Report) + Send>;

/// A message on its way.
pub(super) struct Parcel {
    pub bytes: Bytes,
    pub report: Option<Reporter>,
    /// On a stream only for its size: goes by UDP when there is no stream to be had.
    pub for_size: bool,
}

impl Parcel {
    pub fn failed(self, error: SendError) {
        if let Some(report) = self.report {
            report(Report::Failed(error));
        }
    }

    pub fn sent_over(self, flow: Flow) {
        if let (Some(report), true) = (self.report, self.for_size) {
            report(Report::OverStream(flow));
        }
    }
}
