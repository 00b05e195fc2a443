//! What a client sends on one connection.

use super::{
    Kind, MAX_TARGET, Violation,
    body::Body,
    chunked::Chunked,
    head::{Head, Refusal},
};

/// What is left of a head for all but its target, for which it would be too long anyway.
const REST_OF_HEAD: usize = 256;

/// Follows the requests of one connection, and finds the first byte that must not be understood.
///
/// The rules are those of RFC 9112, and the strict side of it wherever it leaves a choice. Which `Host` a request names is
/// left to `forward`.
#[derive(Debug)]
pub(crate) struct Requests {
    state: State,
    /// The longest target that the parser has room for, which is longer than any that is served.
    longest: usize,
    /// The most fields that a head had so far.
    most_fields: usize,
}

#[derive(Debug)]
enum State {
    Head(Head),
    Body(Body),
    Tunnel,
    Broken { kind: Kind, in_body: bool },
}

impl Requests {
    /// Follows requests whose heads have no more than `max_head` bytes.
    pub(crate) fn new(max_head: usize) -> Self {
        let longest = max_head.saturating_sub(REST_OF_HEAD).max(MAX_TARGET + 1);
        Self {
            state: State::start(longest),
            longest,
            most_fields: 0,
        }
    }

    /// Says that the connection carries another protocol from here on: a `101`, or a `2xx` to `CONNECT`, is about to be sent.
    ///
    /// What came before is a request or was refused; who knows what really came can still hand it on.
    pub(crate) fn tunnel(&mut self) {
        if !matches!(self.state, State::Broken { .. }) {
            self.state = State::Tunnel;
        }
    }

    /// Looks at the bytes that came next.
    ///
    /// # Errors
    ///
    /// At the first violation, and ever after.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<(), Violation> {
        let mut at = 0;
        while at < bytes.len() {
            let fed = self
                .state
                .feed(&bytes[at..], self.longest, &mut self.most_fields);
            match fed {
                Ok(Some(taken)) => at += taken,
                Ok(None) => break,
                Err((kind, good)) => {
                    let in_body = match self.state {
                        State::Body(_) => true,
                        State::Broken { in_body, .. } => in_body,
                        State::Head(_) | State::Tunnel => false,
                    };
                    self.state = State::Broken { kind, in_body };
                    let good = at + good;
                    return Err(Violation {
                        kind,
                        good,
                        in_body,
                    });
                }
            }
        }
        Ok(())
    }

    /// The most fields that a head had so far, or has that is under way.
    pub(crate) fn most_fields(&self) -> usize {
        self.most_fields
    }

    /// Whether all that came are whole requests.
    #[cfg(test)]
    pub(super) fn is_between(&self) -> bool {
        matches!(&self.state, State::Head(head) if head.is_new())
    }
}

impl State {
    fn start(longest: usize) -> Self {
        Self::Head(Head::request(longest))
    }

    /// Takes some of the bytes, and says how many; `None` for all of them.
    fn feed(
        &mut self,
        bytes: &[u8],
        longest: usize,
        most_fields: &mut usize,
    ) -> Result<Option<usize>, Refusal> {
        match self {
            Self::Head(head) => {
                let fed = head.feed(bytes);
                *most_fields = head.lines.max(*most_fields);
                let taken = fed?;
                if taken.is_some() {
                    let fields = head.fields;
                    *self = match fields.length {
                        _ if fields.chunked => Self::Body(Body::Chunked(Chunked::new(false))),
                        Some(length @ 1..) => Self::Body(Body::Length(length)),
                        Some(0) | None => Self::start(longest),
                    };
                }
                Ok(taken)
            }
            Self::Body(body) => {
                let taken = body.feed(bytes)?;
                if taken.is_some() {
                    *self = Self::start(longest);
                }
                Ok(taken)
            }
            Self::Tunnel => Ok(None),
            Self::Broken { kind, .. } => Err((*kind, 0)),
        }
    }
}
