//! What a client sends on one connection.

use super::{
    Kind, Violation,
    body::Body,
    chunked::Chunked,
    head::{Head, Opening, Refusal},
};

/// Follows the requests of one connection, and finds the first byte that must not be understood.
///
/// The rules are those of RFC 9112, and the strict side of it wherever it leaves a choice. Which `Host` a request names is
/// left to `forward`.
#[derive(Debug)]
pub(crate) struct Requests(State);

#[derive(Debug)]
enum State {
    Head(Head),
    Body(Body),
    Tunnel,
    Broken { kind: Kind, in_body: bool },
}

impl Requests {
    pub(crate) fn new() -> Self {
        Self(State::start())
    }

    /// Says that the connection carries another protocol from here on: a `101`, or a `2xx` to `CONNECT`, is about to be sent.
    ///
    /// What came before is a request or was refused: a client waits for the answer before it speaks the other protocol.
    pub(crate) fn tunnel(&mut self) {
        if !matches!(self.0, State::Broken { .. }) {
            self.0 = State::Tunnel;
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
            match self.0.feed(&bytes[at..]) {
                Ok(Some(taken)) => at += taken,
                Ok(None) => break,
                Err((kind, good)) => {
                    let in_body = match self.0 {
                        State::Body(_) => true,
                        State::Broken { in_body, .. } => in_body,
                        State::Head(_) | State::Tunnel => false,
                    };
                    self.0 = State::Broken { kind, in_body };
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

    /// Whether all that came are whole requests.
    #[cfg(test)]
    pub(super) fn is_between(&self) -> bool {
        matches!(&self.0, State::Head(head) if head.is_new())
    }
}

impl State {
    fn start() -> Self {
        Self::Head(Head::new(Opening::Request))
    }

    /// Takes some of the bytes, and says how many; `None` for all of them.
    fn feed(&mut self, bytes: &[u8]) -> Result<Option<usize>, Refusal> {
        match self {
            Self::Head(head) => {
                let taken = head.feed(bytes)?;
                if taken.is_some() {
                    let fields = head.fields;
                    *self = match fields.length {
                        _ if fields.chunked => Self::Body(Body::Chunked(Chunked::new(false))),
                        Some(length @ 1..) => Self::Body(Body::Length(length)),
                        Some(0) | None => Self::start(),
                    };
                }
                Ok(taken)
            }
            Self::Body(body) => {
                let taken = body.feed(bytes)?;
                if taken.is_some() {
                    *self = Self::start();
                }
                Ok(taken)
            }
            Self::Tunnel => Ok(None),
            Self::Broken { kind, .. } => Err((*kind, 0)),
        }
    }
}
