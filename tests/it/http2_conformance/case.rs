//! One case: what a client sends, what must come of it, and what came.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use prox_tests::frames::{ACK, Frame, FrameClient, code, kind};
use tokio::time::{Instant, timeout_at};

/// In the ping that ends a case; an answer to it says that the connection lives.
const MARK: [u8; 8] = *b"the end.";

/// One case.
pub(super) struct Case {
    /// As h2spec numbers it; `+` marks what h2spec does not have.
    pub(super) section: &'static str,
    pub(super) about: &'static str,
    steps: Vec<Step>,
    pub(super) expected: Expected,
    /// What the stack does in place of what the RFC says.
    pub(super) instead: Option<Expected>,
    silent: bool,
}

enum Step {
    Send(Vec<u8>),
    /// Reads up to a frame of this kind on this stream.
    Await(u8, u32),
}

/// What must come of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    /// The connection ends, with a `GOAWAY` of this code.
    Closes(u32),
    /// The connection ends, whatever was said before.
    Ends,
    /// The connection may end, as it does here.
    MayEnd,
    /// A stream is reset with this code, and the connection lives.
    Resets(u32, u32),
    /// A stream is reset for its request is malformed, or answered with a 4xx, and the connection lives.
    Refuses(u32),
    /// A stream is answered with this status, and the connection lives.
    Answers(u32, u16),
    /// So many bytes of data have come on a stream, and the connection lives.
    Data(u32, usize),
    /// Nothing is wrong.
    GoesOn,
}

impl Case {
    /// A case of which nothing but the preface and settings has been sent.
    pub(super) fn new(section: &'static str, about: &'static str) -> Self {
        Self {
            section,
            about,
            steps: Vec::new(),
            expected: Expected::GoesOn,
            instead: None,
            silent: false,
        }
    }

    /// Begins with the first byte of the connection.
    pub(super) fn silent(mut self) -> Self {
        self.silent = true;
        self
    }

    pub(super) fn bytes(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.steps.push(Step::Send(bytes.into()));
        self
    }

    pub(super) fn send(self, frames: impl IntoIterator<Item = Frame>) -> Self {
        let bytes: Vec<u8> = frames.into_iter().flat_map(|frame| frame.bytes()).collect();
        self.bytes(bytes)
    }

    pub(super) fn wait(mut self, kind: u8, stream: u32) -> Self {
        self.steps.push(Step::Await(kind, stream));
        self
    }

    pub(super) fn closes(self, code: u32) -> Self {
        self.expect(Expected::Closes(code))
    }

    pub(super) fn ends(self) -> Self {
        self.expect(Expected::Ends)
    }

    pub(super) fn may_end(self) -> Self {
        self.expect(Expected::MayEnd)
    }

    pub(super) fn resets(self, stream: u32, code: u32) -> Self {
        self.expect(Expected::Resets(stream, code))
    }

    pub(super) fn refuses(self, stream: u32) -> Self {
        self.expect(Expected::Refuses(stream))
    }

    pub(super) fn answers(self, stream: u32, status: u16) -> Self {
        self.expect(Expected::Answers(stream, status))
    }

    pub(super) fn data(self, stream: u32, length: usize) -> Self {
        self.expect(Expected::Data(stream, length))
    }

    /// Nothing is wrong, as no other word has said.
    pub(super) fn goes_on(self) -> Self {
        self.expect(Expected::GoesOn)
    }

    fn expect(mut self, expected: Expected) -> Self {
        self.expected = expected;
        self
    }

    /// What the stack does in its place.
    pub(super) fn but(mut self, instead: Expected) -> Self {
        self.instead = Some(instead);
        self
    }

    /// Sends it all, and looks at what comes until `enough` has, or for so long.
    pub(super) async fn run(
        &self,
        address: SocketAddr,
        patience: Duration,
        enough: impl Fn(&Seen) -> bool,
    ) -> Seen {
        let end = Instant::now() + patience;
        let mut client = if self.silent {
            FrameClient::silent(address).await
        } else {
            FrameClient::connect(address).await
        };
        let mut seen = Seen::default();
        for step in &self.steps {
            match step {
                Step::Send(bytes) => {
                    client.write(bytes).await;
                }
                Step::Await(kind, stream) => {
                    let is_it = |frame: &Frame| frame.kind == *kind && frame.stream == *stream;
                    while !seen.closed
                        && !seen.next(&mut client, end).await.is_some_and(|f| is_it(&f))
                    {
                        if Instant::now() >= end {
                            return seen;
                        }
                    }
                }
            }
        }
        if !self.silent {
            client.send(&Frame::new(kind::PING, 0, 0, MARK)).await;
        }
        while !seen.closed && !enough(&seen) && Instant::now() < end {
            seen.next(&mut client, end).await;
        }
        seen
    }
}

/// What came of a case.
#[derive(Debug, Default)]
pub(super) struct Seen {
    goaway: Option<u32>,
    resets: BTreeMap<u32, u32>,
    statuses: BTreeMap<u32, u16>,
    data: BTreeMap<u32, usize>,
    lives: bool,
    closed: bool,
    /// The server has raised the size of frames (`SETTINGS_MAX_FRAME_SIZE`).
    takes_large: bool,
}

impl Seen {
    /// Reads one frame, and notes what it says.
    async fn next(&mut self, client: &mut FrameClient, end: Instant) -> Option<Frame> {
        let frame = timeout_at(end, client.next()).await.ok()?;
        let Some(frame) = frame else {
            self.closed = true;
            return None;
        };
        match frame.kind {
            kind::SETTINGS => {
                let mut settings = frame.payload.chunks_exact(6);
                self.takes_large |= settings.any(|setting| setting[..2] == [0, 5]);
            }
            kind::GOAWAY => self.goaway = number(&frame.payload[4..]),
            kind::RST_STREAM => {
                self.resets
                    .entry(frame.stream)
                    .or_insert(number(&frame.payload)?);
            }
            kind::HEADERS => {
                let status = status(&frame.payload);
                self.statuses.entry(frame.stream).or_insert(status);
            }
            kind::DATA => *self.data.entry(frame.stream).or_default() += frame.payload.len(),
            kind::PING if frame.flags & ACK != 0 && frame.payload == MARK => self.lives = true,
            _ => {}
        }
        Some(frame)
    }

    /// Whether it is exactly this.
    pub(super) fn is(&self, expected: Expected) -> bool {
        match expected {
            Expected::Closes(code) => self.closed && self.goaway == Some(code),
            Expected::Ends | Expected::MayEnd => self.closed,
            _ if self.closed || !self.lives || self.goaway.is_some() => false,
            Expected::Resets(stream, code) => self.resets.get(&stream) == Some(&code),
            Expected::Refuses(stream) => match self.resets.get(&stream) {
                Some(code) => *code == code::PROTOCOL_ERROR,
                None => self
                    .statuses
                    .get(&stream)
                    .is_some_and(|status| status / 100 == 4),
            },
            _ if !self.resets.is_empty() => false,
            Expected::Answers(stream, status) => self.statuses.get(&stream) == Some(&status),
            Expected::Data(stream, length) => {
                self.data.get(&stream).copied().unwrap_or(0) == length
            }
            Expected::GoesOn => true,
        }
    }

    /// Whether it will do for a server that is held to no more than h2spec holds it to: any error of the connection for one
    /// of a stream, and an answer that refuses for a malformed request.
    pub(super) fn will_do(&self, expected: Expected) -> bool {
        let failed = self.closed || self.goaway.is_some_and(|code| code != code::NO_ERROR);
        let refused = |stream| {
            self.statuses
                .get(stream)
                .is_some_and(|status| *status != 200)
        };
        match expected {
            Expected::MayEnd => true,
            // Whoever takes larger frames has said so.
            Expected::Closes(code::FRAME_SIZE_ERROR) if self.takes_large => true,
            Expected::Closes(_) | Expected::Ends => failed,
            Expected::Resets(stream, code) => {
                // For a stream too many either will do (RFC 9113, 5.1.2).
                let fits = |reset: &u32| [code, code::PROTOCOL_ERROR].contains(reset);
                failed || refused(&stream) || self.resets.values().any(fits)
            }
            Expected::Refuses(stream) => {
                failed || refused(&stream) || self.resets.contains_key(&stream)
            }
            _ => self.is(expected),
        }
    }
}

fn number(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

/// The status in a header block, 0 for what was not expected; enough for what servers write first.
fn status(block: &[u8]) -> u16 {
    let changes = block.iter().take_while(|byte| (0x20..0x40).contains(*byte));
    match block.get(changes.count()..).unwrap_or_default() {
        [0x88, ..] => 200,
        [0x8c, ..] => 400,
        [0x8d, ..] => 404,
        // A value of its own, as text or with Huffman's code.
        [0x08 | 0x48 | 0x18, 3, digits @ ..] => std::str::from_utf8(&digits[..3])
            .ok()
            .and_then(|digits| digits.parse().ok())
            .unwrap_or(0),
        [0x08 | 0x48 | 0x18, 0x82, 0x68, 0x04, ..] => 405,
        [0x08 | 0x48 | 0x18, 0x82, 0x64, 0x0f, ..] => 431,
        _ => 0,
    }
}
