//! A body with an end of its own, and the trailers behind it.

use super::{
    Kind,
    chunked::{Chunked, skip},
    head::{Head, Opening, Refusal},
};

/// The most bytes of trailers.
const MAX_TRAILERS: usize = 16 * 1024;

/// A body that is being read.
#[derive(Debug)]
pub(super) enum Body {
    /// So much is left of a body with a length.
    Length(u64),
    Chunked(Chunked),
    /// So much more may come of trailers.
    Trailers(Head, usize),
}

impl Body {
    /// Looks at bytes; says how many of them the body took once it has ended, else it took them all.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<Option<usize>, Refusal> {
        let mut at = 0;
        if let Self::Chunked(chunked) = self {
            let Some(taken) = chunked.feed(bytes)? else {
                return Ok(None);
            };
            at = taken;
            *self = Self::Trailers(Head::new(Opening::Trailers), MAX_TRAILERS);
        }
        let rest = &bytes[at..];
        let end = match self {
            Self::Length(left) => {
                let taken = skip(left, rest.len());
                (*left == 0).then_some(taken)
            }
            Self::Trailers(trailers, left) => {
                let allowed = rest.len().min(*left);
                let end = trailers
                    .feed(&rest[..allowed])
                    .map_err(|(kind, good)| (kind, at + good))?;
                if end.is_none() && allowed < rest.len() {
                    return Err((Kind::TooLong, at + allowed));
                }
                *left -= allowed;
                end
            }
            Self::Chunked(_) => None,
        };
        Ok(end.map(|end| at + end))
    }
}
