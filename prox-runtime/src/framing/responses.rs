//! What an upstream sends on one connection.

use super::{
    Kind, Leniency, Violation,
    body::Body,
    chunked::Chunked,
    head::{Head, Refusal},
};

/// What a response answers, as far as its end depends on it (RFC 9112, 6.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Its response has no body.
    Head,
    /// A `2xx` begins a tunnel.
    Connect,
    /// A `101` begins a tunnel.
    Upgrade,
    /// A `101` begins a tunnel, and no other response has a body.
    HeadUpgrade,
    #[default]
    Other,
}

/// Follows the responses of one connection, and finds the first byte that must not be understood.
///
/// It has to be told of each request, since the end of a response depends on it, and since nothing may come unasked.
#[derive(Debug, Default)]
pub(crate) struct Responses {
    state: State,
    asked: Asked,
    lenient: Leniency,
    /// Whether a response had a length beside its transfer coding: its sender may mean either.
    doubtful: bool,
    /// The most fields that a head had so far.
    most_fields: usize,
}

#[derive(Debug, Default)]
enum State {
    /// Nothing is being waited for.
    #[default]
    Idle,
    Head(Head),
    Body(Body),
    UntilClose,
    Tunnel,
    Broken {
        kind: Kind,
        in_body: bool,
    },
}

impl Responses {
    /// Of an upstream of which this is taken beyond the rules.
    pub(crate) fn lenient(lenient: Leniency) -> Self {
        Self {
            lenient,
            ..Self::default()
        }
    }

    /// Says that a request is about to be sent. Whoever does so waits for the end of the response before the next.
    pub(crate) fn expect(&mut self, asked: Asked) {
        if matches!(self.state, State::Idle) {
            self.asked = asked;
            self.state = State::head(asked, self.lenient);
        }
    }

    /// Whether every request was answered by a whole response, after which nothing came.
    pub(crate) fn is_reusable(&self) -> bool {
        matches!(self.state, State::Idle) && !self.doubtful
    }

    /// The most fields that a head had so far, or has that is under way.
    pub(crate) fn most_fields(&self) -> usize {
        self.most_fields
    }

    /// Looks at the bytes that came next.
    ///
    /// # Errors
    ///
    /// At the first violation, and ever after.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<(), Violation> {
        let mut at = 0;
        while at < bytes.len() {
            match self.advance(&bytes[at..]) {
                Ok(Some(taken)) => at += taken,
                Ok(None) => break,
                Err((kind, good)) => {
                    let in_body = match self.state {
                        State::Body(_) => true,
                        State::Broken { in_body, .. } => in_body,
                        State::Idle | State::Head(_) | State::UntilClose | State::Tunnel => false,
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

    /// Takes some of the bytes, and says how many; `None` for all of them.
    fn advance(&mut self, bytes: &[u8]) -> Result<Option<usize>, Refusal> {
        match &mut self.state {
            State::Idle => Err((Kind::Unsolicited, 0)),
            State::Head(head) => {
                let fed = head.feed(bytes);
                self.most_fields = head.lines.max(self.most_fields);
                let taken = fed?;
                if taken.is_some() {
                    self.doubtful |= head.fields.chunked && head.fields.length.is_some();
                    self.state = State::behind(head, self.asked, self.lenient);
                }
                Ok(taken)
            }
            State::Body(body) => {
                let taken = body.feed(bytes)?;
                if taken.is_some() {
                    self.state = State::Idle;
                }
                Ok(taken)
            }
            State::UntilClose | State::Tunnel => Ok(None),
            State::Broken { kind, .. } => Err((*kind, 0)),
        }
    }
}

impl State {
    fn head(asked: Asked, lenient: Leniency) -> Self {
        let switch = matches!(asked, Asked::Upgrade | Asked::HeadUpgrade);
        Self::Head(Head::response(switch, lenient))
    }

    /// What comes behind this head.
    fn behind(head: &Head, asked: Asked, lenient: Leniency) -> Self {
        let fields = head.fields;
        match (head.status, asked) {
            // Only a switch that was asked for has come so far.
            (101, _) | (200..300, Asked::Connect) => Self::Tunnel,
            (100..200, _) => Self::head(asked, lenient),
            (204 | 304, _) | (_, Asked::Head | Asked::HeadUpgrade) => Self::Idle,
            _ if fields.chunked => Self::Body(Body::Chunked(Chunked::new(true))),
            _ => match fields.length {
                Some(length @ 1..) => Self::Body(Body::Length(length)),
                Some(0) => Self::Idle,
                None => Self::UntilClose,
            },
        }
    }
}
