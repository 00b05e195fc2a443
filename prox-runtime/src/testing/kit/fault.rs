//! What goes wrong at an endpoint.

use std::time::Duration;

use bytes::Bytes;

use crate::error::Failure;

/// What goes wrong at an endpoint: `shop.users.endpoint("10.0.0.1:8080").fault(Fault::Stall)`.
///
/// The first four are about connections, and a pool that has one needs no other: with them, the connections that the gateway keeps
/// are closed. The others are about requests.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The connection is refused, as when no process listens.
    Refuse,
    /// The name has no address.
    Unresolvable,
    /// The TLS handshake fails; only for `https://` endpoints.
    TlsFails,
    /// No connection comes about, and nobody says so: the connect timeout ends it.
    Unreachable,
    /// The connection is reset once the request is there.
    Reset,
    /// The request is taken, and never answered.
    Stall,
    /// The answer comes so much later.
    Delay(Duration),
    /// These bytes come in the place of an answer, and then the end of the connection.
    Raw(Vec<u8>),
    /// The connection is reset behind so many bytes of the body of the answer.
    Cut(usize),
    /// The body of the answer pauses once, behind so many bytes.
    Pause(usize, Duration),
    /// The body of the answer comes so many bytes at a time, with a pause between them.
    Slow(usize, Duration),
    /// The connection is closed by `GOAWAY`, which says that the request was not processed; only over HTTP/2.
    GoAway,
}

/// What a connection of HTTP/2 is closed with: no request was processed, and nothing is wrong.
pub(super) const GO_AWAY: &[u8] = &[
    0, 0, 8, 7, 0, 0, 0, 0, 0, // The head of the frame: 8 bytes, GOAWAY, of the connection.
    0, 0, 0, 0, // The last stream that was processed: none.
    0, 0, 0, 0, // NO_ERROR.
];

impl Fault {
    /// Bytes in the place of an answer.
    pub fn raw(bytes: impl Into<Bytes>) -> Self {
        Self::Raw(bytes.into().to_vec())
    }

    /// What the opening of a connection fails with; nothing if it is not about that.
    pub(super) fn failure(&self) -> Option<Failure> {
        match self {
            Self::Refuse => Some(Failure::Connect),
            Self::Unresolvable => Some(Failure::Dns),
            Self::TlsFails => Some(Failure::Tls),
            Self::Unreachable => Some(Failure::ConnectTimeout),
            _ => None,
        }
    }
}
