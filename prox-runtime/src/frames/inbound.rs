//! What comes from a peer, on its way to h2.
//!
//! h2 ends a connection after 100 pieces of empty data, and at the sixth frame or so that continues a header block, however
//! short the frames are. A peer may send both. So empty data is left out, and frames that continue a header block are joined.

use std::fmt;

use tokio::{io::ReadBuf, time::Instant};

use super::{Flood, Floods, HEADER, Head, MAX_FRAME, PREFACE, Side, flag, kind};

/// Follows the frames of one direction, changes some of them, and has all of them counted.
#[derive(Debug)]
pub(super) struct Inbound {
    /// What is still to come of the frame that has begun, or of the preface.
    left: usize,
    fate: Fate,
    /// The begin of the next frame's header. h2 gets it when the rest has come.
    header: [u8; HEADER],
    filled: usize,
    /// Whether no frame has come.
    new: bool,
    /// The stream whose header block is not complete.
    block: Option<u32>,
    /// What was taken from the frames that continue it.
    held: Vec<u8>,
    /// What h2 gets before anything else.
    queue: Vec<u8>,
    taken: usize,
}

/// What becomes of the payload of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Pass,
    /// A part of a header block, and whether it is the last.
    Hold {
        last: bool,
    },
}

/// Why the connection has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    Flood(Flood),
    /// The first frame is not `SETTINGS`, which h2 does not check.
    NoSettings,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flood(flood) => flood.fmt(f),
            Self::NoSettings => f.write_str("no SETTINGS at the start"),
        }
    }
}

impl std::error::Error for Refused {}

impl From<Flood> for Refused {
    fn from(flood: Flood) -> Self {
        Self::Flood(flood)
    }
}

impl Inbound {
    pub(super) fn new(side: Side) -> Self {
        Self {
            left: match side {
                Side::Server => PREFACE.len(),
                Side::Client => 0,
            },
            fate: Fate::Pass,
            header: [0; HEADER],
            filled: 0,
            new: true,
            block: None,
            held: Vec::new(),
            queue: Vec::new(),
            taken: 0,
        }
    }

    /// Puts what waits for h2 into `buf`. False when nothing waits.
    pub(super) fn give(&mut self, buf: &mut ReadBuf<'_>) -> bool {
        let waiting = &self.queue[self.taken..];
        if waiting.is_empty() {
            return false;
        }
        let count = waiting.len().min(buf.remaining());
        buf.put_slice(&waiting[..count]);
        self.taken += count;
        if self.taken == self.queue.len() {
            // It is seldom needed again.
            self.queue = Vec::new();
            self.taken = 0;
        }
        true
    }

    /// Puts bytes before all that waits.
    pub(super) fn put_before(&mut self, bytes: &[u8]) {
        self.queue = [bytes, &self.queue[self.taken..]].concat();
        self.taken = 0;
    }

    /// The begin of a header, to be read again before the bytes that follow.
    pub(super) fn header(&self) -> &[u8] {
        &self.header[..self.filled]
    }

    /// Drops the begin of a header, which h2 has got.
    pub(super) fn forget_header(&mut self) {
        self.filled = 0;
    }

    /// Takes what has come, after [`header`](Self::header). h2 gets the first bytes of it, as many as are returned, and then
    /// what [`give`](Self::give) has.
    pub(super) fn take(
        &mut self,
        bytes: &mut [u8],
        floods: &mut Floods,
        now: impl Fn() -> Instant,
    ) -> Result<usize, Refused> {
        debug_assert!(self.queue.is_empty(), "what waits goes first");
        self.filled = 0;
        let mut out = Out {
            bytes,
            kept: 0,
            queue: std::mem::take(&mut self.queue),
        };
        let mut at = 0;
        while at < out.bytes.len() {
            if self.left > 0 {
                let count = self.left.min(out.bytes.len() - at);
                self.left -= count;
                match self.fate {
                    Fate::Pass => out.pass(at, count),
                    Fate::Hold { .. } => self.held.extend_from_slice(&out.bytes[at..at + count]),
                }
                at += count;
            } else {
                let Some(header) = out.bytes[at..].first_chunk() else {
                    self.filled = out.bytes.len() - at;
                    self.header[..self.filled].copy_from_slice(&out.bytes[at..]);
                    break;
                };
                let head = Head::parse(*header);
                floods.received(head, &now)?;
                self.begin(head, at, floods, &mut out)?;
                at += HEADER;
            }
            if self.left == 0 {
                self.end(&mut out);
            }
        }
        self.queue = out.queue;
        floods.note_opened(now);
        Ok(out.kept)
    }

    /// A frame begins.
    fn begin(
        &mut self,
        head: Head,
        at: usize,
        floods: &Floods,
        out: &mut Out<'_>,
    ) -> Result<(), Refused> {
        if std::mem::take(&mut self.new) && head.kind != kind::SETTINGS {
            return Err(Refused::NoSettings);
        }
        self.left = head.length;
        let last = head.has(flag::END_HEADERS);
        match head.kind {
            kind::CONTINUATION
                if self.block == Some(head.stream)
                    && head.length <= MAX_FRAME
                    && !(last && self.held.is_empty()) =>
            {
                self.fate = Fate::Hold { last };
                return Ok(());
            }
            kind::DATA
                if head.length == 0
                    && !head.has(flag::END_STREAM)
                    && self.block.is_none()
                    // h2 refuses data on a stream that was never opened.
                    && (1..=floods.newest()).contains(&head.stream) =>
            {
                return Ok(());
            }
            _ => {}
        }
        if !self.held.is_empty() {
            // This frame must not come here, and h2 refuses it.
            self.hand_on(self.held.len(), false, out);
        }
        let opens = matches!(head.kind, kind::HEADERS | kind::PUSH_PROMISE) && !last;
        self.block = opens.then_some(head.stream);
        out.pass(at, HEADER);
        Ok(())
    }

    /// A frame has ended.
    fn end(&mut self, out: &mut Out<'_>) {
        let Fate::Hold { last } = std::mem::replace(&mut self.fate, Fate::Pass) else {
            return;
        };
        while self.held.len() > MAX_FRAME || (self.held.len() == MAX_FRAME && !last) {
            self.hand_on(MAX_FRAME, false, out);
        }
        if last {
            self.hand_on(self.held.len(), true, out);
            self.block = None;
            self.held = Vec::new();
        }
    }

    /// Makes a frame of the first bytes that are held.
    fn hand_on(&mut self, count: usize, last: bool, out: &mut Out<'_>) {
        let head = Head {
            length: count,
            kind: kind::CONTINUATION,
            flags: if last { flag::END_HEADERS } else { 0 },
            stream: self.block.unwrap_or_default(),
        };
        out.queue.extend(head.bytes());
        out.queue.extend(self.held.drain(..count));
    }
}

/// Where the bytes for h2 go: to the front of those that came, as long as they are in order there, and then to the queue.
struct Out<'a> {
    bytes: &'a mut [u8],
    kept: usize,
    queue: Vec<u8>,
}

impl Out<'_> {
    fn pass(&mut self, at: usize, count: usize) {
        if !self.queue.is_empty() {
            self.queue.extend_from_slice(&self.bytes[at..at + count]);
            return;
        }
        if self.kept != at {
            self.bytes.copy_within(at..at + count, self.kept);
        }
        self.kept += count;
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::testing::{frame, frames},
        *,
    };

    const SETTINGS: [u8; HEADER] = [0, 0, 0, kind::SETTINGS, 0, 0, 0, 0, 0];

    /// What h2 gets when these bytes come in pieces of this size.
    fn passed(bytes: &[u8], size: usize) -> Result<Vec<u8>, Refused> {
        let now = Instant::now();
        let mut floods = Floods::new(Side::Server, now);
        let mut inbound = Inbound::new(Side::Server);
        let mut all = Vec::new();
        for piece in bytes.chunks(size) {
            let mut piece = [inbound.header(), piece].concat();
            let kept = inbound.take(&mut piece, &mut floods, || now)?;
            all.extend_from_slice(&piece[..kept]);
            let mut space = [0; 100];
            let mut buf = ReadBuf::new(&mut space);
            while inbound.give(&mut buf) {
                all.extend_from_slice(buf.filled());
                buf.clear();
            }
        }
        Ok(all)
    }

    fn began(rest: &[Vec<u8>]) -> Vec<u8> {
        [PREFACE, &SETTINGS, &rest.concat()].concat()
    }

    /// What h2 gets after the settings.
    fn frames_of(rest: &[Vec<u8>]) -> Vec<(Head, Vec<u8>)> {
        let all = passed(&began(rest), usize::MAX).unwrap();
        frames(&all[PREFACE.len() + HEADER..])
    }

    #[test]
    fn what_h2_does_not_count_passes_as_it_is() {
        let bytes = began(&[
            frame(kind::HEADERS, flag::END_HEADERS, 1, &[1; 50]),
            frame(kind::DATA, 0, 1, &[2; 300]),
            frame(kind::PING, 0, 0, &[3; 8]),
            frame(kind::DATA, flag::END_STREAM, 1, &[]),
            frame(200, 0xff, 7, &[4; 30]),
        ]);
        for size in 1..80 {
            assert_eq!(passed(&bytes, size).unwrap(), bytes, "{size}");
        }
    }

    #[test]
    fn empty_data_is_left_out() {
        let open = frame(kind::HEADERS, flag::END_HEADERS, 3, &[1; 50]);
        let full = frame(kind::DATA, 0, 3, &[2; 30]);
        let empty = frame(kind::DATA, 0, 3, &[]);
        let end = frame(kind::DATA, flag::END_STREAM, 3, &[]);
        let bytes = began(&[
            open.clone(),
            empty.clone(),
            empty.clone(),
            full.clone(),
            empty,
            end.clone(),
        ]);
        let expected = began(&[open, full, end]);
        for size in 1..80 {
            assert_eq!(passed(&bytes, size).unwrap(), expected, "{size}");
        }
    }

    #[test]
    fn empty_data_on_a_stream_that_was_not_opened_is_for_h2_to_refuse() {
        for stream in [0, 5] {
            let empty = frame(kind::DATA, 0, stream, &[]);
            let bytes = began(&[frame(kind::HEADERS, flag::END_HEADERS, 3, &[]), empty]);
            assert_eq!(passed(&bytes, 7).unwrap(), bytes);
        }
    }

    #[test]
    fn a_header_block_in_single_bytes_becomes_one_frame() {
        let block: Vec<u8> = (0..=250).cycle().take(1_000).collect();
        let mut rest = vec![frame(kind::HEADERS, 0, 1, &block[..1])];
        for (at, byte) in block.iter().enumerate().skip(1) {
            let last = at == block.len() - 1;
            let flags = if last { flag::END_HEADERS } else { 0 };
            rest.push(frame(kind::CONTINUATION, flags, 1, &[*byte]));
            rest.push(frame(kind::CONTINUATION, 0, 1, &[]));
        }
        // Nothing follows the last part.
        rest.pop();
        rest.push(frame(kind::PING, 0, 0, &[0; 8]));
        let bytes = began(&rest);
        let expected = began(&[
            frame(kind::HEADERS, 0, 1, &block[..1]),
            frame(kind::CONTINUATION, flag::END_HEADERS, 1, &block[1..]),
            frame(kind::PING, 0, 0, &[0; 8]),
        ]);
        for size in [1, 2, 5, 9, 10, 11, 64, 1_000, usize::MAX] {
            assert_eq!(passed(&bytes, size).unwrap(), expected, "{size}");
        }
    }

    #[test]
    fn a_long_header_block_becomes_as_few_frames_as_it_can() {
        let mut rest = vec![frame(kind::HEADERS, 0, 1, &[])];
        rest.extend((0..60_000).map(|_| frame(kind::CONTINUATION, 0, 1, &[7])));
        rest.push(frame(kind::CONTINUATION, flag::END_HEADERS, 1, &[]));
        let lengths: Vec<usize> = frames_of(&rest)
            .iter()
            .map(|(head, payload)| {
                assert!(payload.iter().all(|byte| *byte == 7));
                head.length
            })
            .collect();
        let left = 60_000 - 3 * MAX_FRAME;
        assert_eq!(lengths, [0, MAX_FRAME, MAX_FRAME, MAX_FRAME, left]);
    }

    #[test]
    fn parts_of_any_length_are_joined_to_whole_frames() {
        for length in [MAX_FRAME - 1, MAX_FRAME] {
            let mut rest = vec![frame(kind::HEADERS, 0, 1, &[1])];
            rest.extend((0..3).map(|_| frame(kind::CONTINUATION, 0, 1, &vec![2; length])));
            rest.push(frame(kind::CONTINUATION, flag::END_HEADERS, 1, &[3; 5]));
            let all = frames_of(&rest);
            assert!(all.iter().all(|(head, _)| head.length <= MAX_FRAME));
            let total: usize = all.iter().map(|(head, _)| head.length).sum();
            assert_eq!(total, 1 + 3 * length + 5);
            let ends = all.iter().filter(|(head, _)| head.has(flag::END_HEADERS));
            assert_eq!(ends.count(), 1);
        }
    }

    #[test]
    fn what_breaks_into_a_header_block_is_for_h2_to_refuse() {
        for odd in [
            frame(kind::PING, 0, 0, &[0; 8]),
            frame(kind::DATA, 0, 1, &[]),
            frame(kind::CONTINUATION, 0, 3, &[1]),
            frame(kind::CONTINUATION, 0, 1, &vec![1; MAX_FRAME + 1]),
            frame(kind::HEADERS, flag::END_HEADERS, 3, &[]),
        ] {
            let open = frame(kind::HEADERS, 0, 1, &[]);
            let part = frame(kind::CONTINUATION, 0, 1, &[5]);
            let bytes = began(&[open, part, odd]);
            assert_eq!(passed(&bytes, 13).unwrap(), bytes);
        }
    }

    #[test]
    fn the_first_frame_is_that_of_settings() {
        for first in [
            frame(kind::PING, 0, 0, &[0; 8]),
            frame(kind::DATA, 0, 1, &[0; 5]),
        ] {
            let bytes = [PREFACE, &first].concat();
            assert_eq!(passed(&bytes, 5), Err(Refused::NoSettings));
        }
    }
}
