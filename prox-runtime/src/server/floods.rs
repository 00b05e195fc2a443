//! Caps on HTTP/2 frames that cost the gateway work and the client nothing.
//!
//! hyper bounds streams, header lists, continuations and pending resets. What is left are frames that are answered or
//! dropped one by one, without end: pings, settings, resets, priorities, empty data. They are paid for out of an allowance
//! that grows with time, and with the bytes that a connection really moves, so that whoever transfers much may also control
//! much.
//!
//! What hyper takes besides, and must not, is a connection whose first frame is another than settings.

use std::io;

use tokio::time::Instant;

use super::socket::Inspector;

/// Frames that may come at once.
const BURST: u64 = 1_000;

/// Frames a second that may come for ever.
const PER_SECOND: u64 = 100;

/// Bytes of data, either way, that earn one more frame.
const BYTES_PER_FRAME: u64 = 1024;

/// The length of what a client sends before its first frame.
const PREFACE: usize = 24;

const HEADER: usize = 9;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const END_STREAM: u8 = 1;

/// Follows the frames of one connection.
#[derive(Debug)]
pub(super) struct Floods {
    /// Bytes to be passed over until the next frame begins.
    skip: usize,
    header: [u8; HEADER],
    filled: usize,
    allowance: u64,
    bytes: u64,
    refilled: Instant,
    /// Whether no frame has come.
    new: bool,
}

impl Floods {
    /// Begins with the first byte of a connection.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            skip: PREFACE,
            header: [0; HEADER],
            filled: 0,
            allowance: BURST,
            bytes: 0,
            refilled: now,
            new: true,
        }
    }

    /// Looks at the bytes that came next; the time is only asked for when it matters.
    pub(super) fn follow(
        &mut self,
        mut bytes: &[u8],
        now: impl FnOnce() -> Instant,
    ) -> io::Result<()> {
        let mut now = Some(now);
        loop {
            let passed = self.skip.min(bytes.len());
            self.skip -= passed;
            bytes = &bytes[passed..];
            if bytes.is_empty() {
                return Ok(());
            }
            let part = (HEADER - self.filled).min(bytes.len());
            self.header[self.filled..self.filled + part].copy_from_slice(&bytes[..part]);
            self.filled += part;
            bytes = &bytes[part..];
            if self.filled < HEADER {
                return Ok(());
            }
            self.filled = 0;
            let [high, middle, low, kind, flags, ..] = self.header;
            let length = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
            self.skip = length;
            if std::mem::take(&mut self.new) && kind != SETTINGS {
                return Err(invalid("a preface of HTTP/2 without settings"));
            }
            match kind {
                // A stream that begins is bounded by other means, and data is what a connection is for.
                HEADERS => {}
                DATA if length > 0 => self.earn(length),
                DATA if flags & END_STREAM != 0 => {}
                _ => {
                    if self.allowance == 0
                        && let Some(now) = now.take()
                    {
                        self.refill(now());
                    }
                    self.allowance = self
                        .allowance
                        .checked_sub(1)
                        .ok_or_else(|| invalid("a flood of HTTP/2 control frames"))?;
                }
            }
        }
    }

    fn earn(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes as u64);
        self.allowance = BURST.min(self.allowance + self.bytes / BYTES_PER_FRAME);
        self.bytes %= BYTES_PER_FRAME;
    }

    fn refill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.refilled);
        let earned = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX) / (1000 / PER_SECOND);
        if earned > 0 {
            self.allowance = BURST.min(self.allowance.saturating_add(earned));
            self.refilled = now;
        }
    }
}

fn invalid(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

impl Inspector for Floods {
    fn read(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.follow(bytes, Instant::now)
    }

    fn wrote(&mut self, count: usize) {
        self.earn(count);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const PING: [u8; 17] = [0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
    const NO_SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    const EMPTY_DATA: [u8; 9] = [0, 0, 0, 0, 0, 0, 0, 0, 1];

    /// A connection on which one frame of the burst has come.
    fn opened(now: Instant) -> Floods {
        let mut floods = Floods::new(now);
        floods
            .follow(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", || now)
            .unwrap();
        floods.follow(&NO_SETTINGS, || now).unwrap();
        floods
    }

    fn data(length: usize) -> Vec<u8> {
        let [high, low] = u16::try_from(length).unwrap().to_be_bytes();
        let mut frame = vec![0, high, low, 0, 0, 0, 0, 0, 1];
        frame.resize(HEADER + length, 0);
        frame
    }

    #[test]
    fn more_than_a_burst_of_pings_is_a_flood() {
        let now = Instant::now();
        let mut floods = opened(now);
        assert!(floods.follow(&PING.repeat(999), || now).is_ok());
        assert!(floods.follow(&PING, || now).is_err());
    }

    #[test]
    fn the_first_frame_is_that_of_settings() {
        let now = Instant::now();
        for frame in [&PING[..], &EMPTY_DATA, &data(5)] {
            let mut floods = Floods::new(now);
            floods.follow(&[0; PREFACE], || now).unwrap();
            assert!(floods.follow(frame, || now).is_err());
        }
    }

    #[test]
    fn empty_data_is_a_flood_like_any_other() {
        let now = Instant::now();
        let mut floods = opened(now);
        assert!(floods.follow(&EMPTY_DATA.repeat(1_000), || now).is_err());
    }

    #[test]
    fn a_steady_trickle_goes_on_for_ever() {
        let mut now = Instant::now();
        let mut floods = opened(now);
        for _ in 0..100_000 {
            now += Duration::from_millis(10);
            floods.follow(&PING, || now).unwrap();
        }
    }

    #[test]
    fn whoever_moves_much_may_control_much() {
        let now = Instant::now();
        let mut floods = opened(now);
        for _ in 0..10_000 {
            floods.follow(&data(1024), || now).unwrap();
            floods.follow(&PING, || now).unwrap();
        }
        for _ in 0..10_000 {
            floods.wrote(1024);
            floods.follow(&PING, || now).unwrap();
        }
    }

    #[test]
    fn frames_are_followed_however_their_bytes_arrive() {
        let now = Instant::now();
        let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        bytes.extend(NO_SETTINGS);
        for length in [0, 1, 5, 300] {
            bytes.extend(data(length));
            bytes.extend(PING);
        }
        let mut whole = Floods::new(now);
        whole.follow(&bytes, || now).unwrap();
        for size in 1..40 {
            let mut parts = Floods::new(now);
            for part in bytes.chunks(size) {
                parts.follow(part, || now).unwrap();
            }
            assert_eq!(
                (parts.allowance, parts.bytes, parts.skip, parts.filled),
                (whole.allowance, whole.bytes, whole.skip, whole.filled)
            );
        }
        assert_eq!(whole.allowance, BURST - 6);
    }
}
