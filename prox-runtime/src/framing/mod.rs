//! Where messages of HTTP/1.1 begin and end, looked at before the parser sees them (RFC 9112).
//!
//! The parser behind a socket is made to understand as much as it can: it takes a line feed for the end of a line, one of
//! two framings that contradict each other, and the last of several transfer codings. Whoever stands on the other side of
//! the gateway may understand the same bytes differently, and then the rest of one message becomes another. So every
//! byte passes here first, in the order in which it was read, and what has more than one meaning goes no further.
//!
//! `forward` is about what a message says; this is about where it ends. Nothing is kept of a message but the place in it
//! and a few bytes of the field under way. The parser refuses a head that is too large. What is counted here tells which
//! limit that was.

mod body;
mod chunked;
mod fields;
mod head;
mod lenient;
mod limits;
mod requests;
mod responses;
mod scan;

#[cfg(test)]
mod cases;
#[cfg(test)]
mod tests;

use std::{error::Error as StdError, fmt, io};

pub(crate) use self::{
    lenient::Leniency,
    limits::{HeadLimits, OverLimit, over_limit},
    requests::Requests,
    responses::{Asked, Responses},
};

/// Bytes that no parser takes for a part of a head, and that end one: behind any part of a head that was good, they make
/// the parser refuse it, whether it looks at once or waits for the empty line.
pub(crate) const POISON: &[u8] = b"\0\r\n\r\n";

/// The longest target that a client may send; the URI of a request is no longer (RFC 9112, 3).
pub(crate) const MAX_TARGET: usize = 8 * 1024;

/// What makes a request of a target that was cut off because no head could hold it: one that is still too long.
pub(crate) const END_OF_LONG: &[u8] = b" HTTP/1.1\r\nhost: invalid\r\nconnection: close\r\n\r\n";

/// Bytes that must not go on to the parser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) kind: Kind,
    /// How many of the bytes that were just looked at are good.
    pub(crate) good: usize,
    /// Whether a head went before it, so that its message has begun to pass.
    pub(crate) in_body: bool,
}

/// What is wrong with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A line feed that ends a line alone.
    BareLineFeed,
    /// A carriage return without a line feed.
    BareCarriageReturn,
    /// A control byte, NUL among them.
    ControlByte,
    /// A request line or a status line that is none, and more than one empty line before it.
    StartLine,
    /// A target with a fragment, which is the client's alone.
    Fragment,
    /// A target for which no head has room.
    LongTarget,
    /// Neither HTTP/1.0 nor HTTP/1.1.
    Version,
    /// A field name that is empty or no token, or that has no colon right behind it.
    FieldName,
    /// A field line that begins with white space.
    Folding,
    /// A `Content-Length` that is no number, or too large a one.
    Length,
    /// More than one `Content-Length`, even if they are equal.
    Lengths,
    /// A `Transfer-Encoding` that is not `chunked` alone, or more than one.
    Coding,
    /// A `Transfer-Encoding` in HTTP/1.0.
    CodingInOldVersion,
    /// A `Content-Length` beside a `Transfer-Encoding` in a request.
    LengthBesideCoding,
    /// A chunk size that is none.
    ChunkSize,
    /// A chunk extension that is none.
    ChunkExtension,
    /// Chunk data that is longer than its size says.
    ChunkEnd,
    /// Chunk extensions or trailers over the limit.
    TooLong,
    /// A switch of protocols that was not asked for.
    Switch,
    /// A response to nothing.
    Unsolicited,
}

impl Kind {
    const fn text(self) -> &'static str {
        match self {
            Self::BareLineFeed => "a line feed without a carriage return",
            Self::BareCarriageReturn => "a carriage return without a line feed",
            Self::ControlByte => "a control byte",
            Self::StartLine => "a start line that is none",
            Self::Fragment => "a fragment in a target",
            Self::LongTarget => "a target that is too long for any head",
            Self::Version => "a version other than HTTP/1.0 and HTTP/1.1",
            Self::FieldName => "a field name that is none",
            Self::Folding => "a folded field",
            Self::Length => "a content length that is none",
            Self::Lengths => "more than one content length",
            Self::Coding => "a transfer coding other than chunked",
            Self::CodingInOldVersion => "a transfer coding in HTTP/1.0",
            Self::LengthBesideCoding => "a content length beside a transfer coding",
            Self::ChunkSize => "a chunk size that is none",
            Self::ChunkExtension => "a chunk extension that is none",
            Self::ChunkEnd => "a chunk that does not end where it should",
            Self::TooLong => "chunk extensions or trailers over the limit",
            Self::Switch => "a switch of protocols that was not asked for",
            Self::Unsolicited => "a response that was not asked for",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl StdError for Kind {}

/// A violation as what reading failed with.
impl From<Kind> for io::Error {
    fn from(kind: Kind) -> Self {
        Self::new(io::ErrorKind::InvalidData, kind)
    }
}

/// The violation that an error comes from, if it comes from one.
pub(crate) fn violation(error: &(dyn StdError + 'static)) -> Option<Kind> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let inner = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        if let Some(kind) = inner.and_then(|inner| inner.downcast_ref()) {
            return Some(*kind);
        }
        cause = error.source();
    }
    None
}
