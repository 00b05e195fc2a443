//! The frames of HTTP/2 (RFC 9113, section 4) between a socket and h2, which speaks HTTP/2 for both sides of a gateway.
//!
//! h2 counts some frames over the whole life of a connection: empty data, and frames that continue a header block. An honest
//! peer with a long life exceeds these counts. [`Inbound`] hands such frames to h2 in a form that it does not count.
//! [`Floods`] counts what h2 does not count, and what a peer has earned. [`Guarded`] is the socket that uses both. It
//! ends a flood with `GOAWAY`.

mod floods;
mod guarded;
mod inbound;
mod outbound;

#[cfg(test)]
pub(crate) mod testing;

use self::{floods::Floods, inbound::Inbound, outbound::Outbound};
pub(crate) use self::{
    floods::{Flood, Side},
    guarded::{End, Guarded},
};

/// What a client sends before its first frame (RFC 9113, 3.4).
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The length of a frame's header.
const HEADER: usize = 9;

/// The longest frame that a peer may send, without its header. Prox announces no other limit.
const MAX_FRAME: usize = 16 * 1024;

/// Types of frames (RFC 9113, 6).
mod kind {
    pub(super) const DATA: u8 = 0;
    pub(super) const HEADERS: u8 = 1;
    pub(super) const PRIORITY: u8 = 2;
    pub(super) const RST_STREAM: u8 = 3;
    pub(super) const SETTINGS: u8 = 4;
    pub(super) const PUSH_PROMISE: u8 = 5;
    pub(super) const PING: u8 = 6;
    pub(super) const GOAWAY: u8 = 7;
    pub(super) const WINDOW_UPDATE: u8 = 8;
    pub(super) const CONTINUATION: u8 = 9;
}

/// Flags of frames.
mod flag {
    /// On `DATA` and `HEADERS`.
    pub(super) const END_STREAM: u8 = 1;
    /// On `HEADERS`, `PUSH_PROMISE` and `CONTINUATION`.
    pub(super) const END_HEADERS: u8 = 4;
}

/// Codes of errors (RFC 9113, 7).
mod code {
    pub(super) const NO_ERROR: u32 = 0;
    pub(super) const INTERNAL_ERROR: u32 = 2;
    pub(super) const STREAM_CLOSED: u32 = 5;
    pub(super) const CANCEL: u32 = 8;
    pub(super) const ENHANCE_YOUR_CALM: u32 = 11;
}

/// The header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Head {
    length: usize,
    kind: u8,
    flags: u8,
    stream: u32,
}

impl Head {
    fn parse(bytes: [u8; HEADER]) -> Self {
        let [high, middle, low, kind, flags, stream @ ..] = bytes;
        Self {
            length: usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low),
            kind,
            flags,
            // The first bit means nothing, and is ignored.
            stream: u32::from_be_bytes(stream) & (u32::MAX >> 1),
        }
    }

    fn bytes(self) -> [u8; HEADER] {
        let [.., high, middle, low] = self.length.to_be_bytes();
        let [a, b, c, d] = self.stream.to_be_bytes();
        [high, middle, low, self.kind, self.flags, a, b, c, d]
    }

    fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}
