//! What the RFCs say about a message that passes through: pure functions on heads, with no I/O.

pub(crate) mod claims;
pub(crate) mod forwarded;
pub(crate) mod grpc;
pub(crate) mod guarded;
pub(crate) mod headers;
pub(crate) mod host;
pub(crate) mod length;
pub(crate) mod max_forwards;
pub(crate) mod path;
pub(crate) mod pattern;
pub(crate) mod proxy_status;
pub(crate) mod public_address;
pub(crate) mod rewrite;
pub(crate) mod upgrade;
pub(crate) mod via;
#[cfg(feature = "http2")]
pub(crate) mod websocket;
