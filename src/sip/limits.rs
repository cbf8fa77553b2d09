//! How much a message may hold before it is refused.

/// Bounds a message must keep (RFC 3261 §21.4.11, §21.4.12, §21.5.7). Breaking one is an error, never a panic
/// and never a long computation.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of a whole message; more is 513.
    pub max_message: usize,
    /// Bytes of a body; more is 413.
    pub max_body: usize,
    /// Header lines; more is 513.
    pub max_headers: usize,
    /// Bytes of one header with its folded lines; more is 513.
    pub max_header_line: usize,
    /// Bytes of the request-URI; more is 414.
    pub max_uri: usize,
    /// Via lines; more is 513.
    pub max_vias: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            max_message: 64 * 1024,
            max_body: 64 * 1024,
            max_headers: 128,
            max_header_line: 8 * 1024,
            max_uri: 4 * 1024,
            max_vias: 70,
        }
    }
}
