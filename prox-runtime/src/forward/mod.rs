//! What the RFCs say about a message that passes through: pure functions on heads, with no I/O.

pub(crate) mod headers;
pub(crate) mod host;
pub(crate) mod path;
pub(crate) mod rewrite;
