//! What goes to a peer, as h2 wrote it.

use tokio::time::Instant;

use super::{Flood, Floods, HEADER, Head, PREFACE, Side, kind};

/// The length of what follows the header of some frames: the code of `RST_STREAM`, the last stream of `GOAWAY`.
const NUMBER: usize = 4;

/// The code of a stream on which h2 found something malformed (RFC 9113, 8.1.1).
const PROTOCOL_ERROR: u32 = 1;

/// The last stream of a `GOAWAY` that another one follows (RFC 9113, 6.8).
const ANY_STREAM: u32 = u32::MAX >> 1;

/// Follows the frames of one direction, and has all of them counted.
#[derive(Debug)]
pub(super) struct Outbound {
    /// What is still to go of the frame that has begun, or of the preface.
    left: usize,
    /// A header, and the number that follows some of them.
    header: [u8; HEADER + NUMBER],
    filled: usize,
    /// Whether the last `GOAWAY` was written, after which the peer opens no stream.
    has_said_goodbye: bool,
    /// Streams that were reset because what came on them is malformed.
    malformed: u64,
}

impl Outbound {
    pub(super) fn new(side: Side) -> Self {
        Self {
            left: match side {
                Side::Server => 0,
                Side::Client => PREFACE.len(),
            },
            header: [0; HEADER + NUMBER],
            filled: 0,
            has_said_goodbye: false,
            malformed: 0,
        }
    }

    /// How many streams were reset because what came on them is malformed, since this was last asked.
    pub(super) fn take_malformed(&mut self) -> u64 {
        std::mem::take(&mut self.malformed)
    }

    /// Whether a frame of ours may be written next.
    pub(super) fn is_between(&self) -> bool {
        self.left == 0 && self.filled == 0
    }

    /// How many bytes are certain to belong to the frame that has begun.
    pub(super) fn rest(&self) -> usize {
        if self.filled == 0 {
            self.left
        } else {
            self.wanted() - self.filled
        }
    }

    /// Whether the last `GOAWAY` was written.
    pub(super) fn has_said_goodbye(&self) -> bool {
        self.has_said_goodbye
    }

    /// How much of a header has to be known.
    fn wanted(&self) -> usize {
        if self.filled >= HEADER {
            HEADER + NUMBER
        } else {
            HEADER
        }
    }

    /// Takes what was written.
    pub(super) fn take(
        &mut self,
        mut bytes: &[u8],
        floods: &mut Floods,
        now: impl Fn() -> Instant,
    ) -> Result<(), Flood> {
        loop {
            if self.filled == 0 {
                let passed = self.left.min(bytes.len());
                self.left -= passed;
                bytes = &bytes[passed..];
            }
            if bytes.is_empty() {
                return Ok(());
            }
            let wanted = self.wanted();
            let count = (wanted - self.filled).min(bytes.len());
            self.header[self.filled..self.filled + count].copy_from_slice(&bytes[..count]);
            self.filled += count;
            bytes = &bytes[count..];
            if self.filled < wanted {
                return Ok(());
            }
            let mut header = [0; HEADER];
            header.copy_from_slice(&self.header[..HEADER]);
            let head = Head::parse(header);
            let has_number =
                matches!(head.kind, kind::RST_STREAM | kind::GOAWAY) && head.length >= NUMBER;
            if has_number && wanted == HEADER {
                continue;
            }
            self.filled = 0;
            self.left = head.length + HEADER - wanted;
            let number = self.header.last_chunk().filter(|_| has_number);
            let number = number.map(|bytes| u32::from_be_bytes(*bytes));
            if head.kind == kind::GOAWAY && number != Some(ANY_STREAM) {
                self.has_said_goodbye = true;
            }
            if head.kind == kind::RST_STREAM && number == Some(PROTOCOL_ERROR) {
                self.malformed += 1;
            }
            floods.sent(head, number, &now)?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{flag, testing::frame},
        *,
    };

    fn written() -> Vec<u8> {
        [
            frame(kind::SETTINGS, 0, 0, &[0; 12]),
            frame(kind::HEADERS, flag::END_HEADERS, 1, &[0; 300]),
            frame(kind::DATA, 0, 1, &[]),
            frame(kind::RST_STREAM, 0, 1, &1_u32.to_be_bytes()),
            frame(kind::GOAWAY, 0, 0, &[0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0]),
            frame(kind::PING, 0, 0, &[0; 8]),
        ]
        .concat()
    }

    fn followed(pieces: &[&[u8]]) -> (Outbound, Floods) {
        let now = Instant::now();
        let mut floods = Floods::new(Side::Server, now);
        let mut outbound = Outbound::new(Side::Server);
        for piece in pieces {
            outbound.take(piece, &mut floods, || now).unwrap();
        }
        (outbound, floods)
    }

    #[test]
    fn frames_are_followed_however_they_are_written() {
        let bytes = written();
        let (whole, counted) = followed(&[&bytes]);
        assert!(whole.is_between() && !whole.has_said_goodbye());
        for size in 1..40 {
            let pieces: Vec<&[u8]> = bytes.chunks(size).collect();
            let (parts, again) = followed(&pieces);
            assert!(parts.is_between(), "{size}");
            assert_eq!(format!("{again:?}").len(), format!("{counted:?}").len());
        }
    }

    #[test]
    fn the_rest_of_a_frame_leads_to_its_end() {
        let bytes = written();
        for cut in 1..bytes.len() {
            let (mut outbound, mut floods) = followed(&[&bytes[..cut]]);
            let mut at = cut;
            let mut steps = 0;
            while !outbound.is_between() {
                let rest = outbound.rest();
                assert!(rest > 0);
                let next = &bytes[at..at + rest];
                outbound.take(next, &mut floods, Instant::now).unwrap();
                at += rest;
                steps += 1;
            }
            assert!(steps <= 3, "{cut}");
        }
    }

    #[test]
    fn the_first_of_two_farewells_is_not_the_last() {
        let (mut outbound, mut floods) = followed(&[&written()]);
        let last = frame(kind::GOAWAY, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 0]);
        outbound.take(&last, &mut floods, Instant::now).unwrap();
        assert!(outbound.has_said_goodbye());
    }
}
