//! Which frames a peer may send without end.
//!
//! A frame that costs the gateway work and the peer nothing is paid for. The means are earned: by time, by requests and
//! responses, and by the data that passes in both directions. What a peer does about the messages that it sends and
//! receives is always earned. A peer that sends such frames and nothing else has the means of time, and then it is a flood.
//!
//! Streams that end before they are answered are counted by themselves: each of them is a request, which would earn the
//! frame that ends it (CVE-2023-44487, CVE-2025-8671). A stream that was open for a while does not count. Streams that
//! live for a while are limited by their number at a time.

use std::{fmt, time::Duration};

use tokio::time::Instant;

use super::{Head, code, flag, kind};

/// Frames that may come before anything is earned.
const BURST: u64 = 1_000;

/// Frames that a second earns.
const PER_SECOND: u64 = 100;

/// What may be saved. It is more than what the buffers of two sockets hold, since the frames that answer data come later
/// than the data passed.
const MOST: u64 = 1 << 18;

/// Frames that a new stream earns: its priority, room for its response, the end of its request.
const PER_STREAM: u64 = 8;

/// Frames that a head or a piece of data earns that was sent to the peer. Clients of gRPC send two window updates and a ping
/// for each message.
const PER_SENT: u64 = 4;

/// Bytes sent to the peer that earn one frame more. A piece of data can hold many messages, of 5 bytes at least, and a client
/// that reads them one by one can open two windows for each.
const BYTES_PER_SENT: usize = 2;

/// Bytes received from the peer that earn one frame more.
const BYTES_PER_RECEIVED: usize = 1024;

/// Streams that may end before they are answered: at once, and then each second.
const RESETS: u64 = 1_000;

/// A stream that was open for this long may end before it is answered, however many there are. It takes up to three times
/// as long until that is known.
const LIFE: Duration = Duration::from_millis(5);

/// Which end of a connection this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// The peer opens streams.
    Server,
    /// The peer answers on them.
    Client,
}

/// What a peer has sent too much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flood {
    Resets,
    EmptyData,
    EmptyContinuation,
    Heads,
    Pings,
    Settings,
    WindowUpdates,
    Priorities,
    Others,
}

impl Flood {
    fn of(head: Head) -> Self {
        match head.kind {
            kind::DATA => Self::EmptyData,
            kind::CONTINUATION => Self::EmptyContinuation,
            kind::HEADERS | kind::PUSH_PROMISE => Self::Heads,
            kind::RST_STREAM => Self::Resets,
            kind::PING => Self::Pings,
            kind::SETTINGS => Self::Settings,
            kind::WINDOW_UPDATE => Self::WindowUpdates,
            kind::PRIORITY => Self::Priorities,
            _ => Self::Others,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Resets => "RST_STREAM",
            Self::EmptyData => "empty DATA",
            Self::EmptyContinuation => "empty CONTINUATION",
            Self::Heads => "HEADERS",
            Self::Pings => "PING",
            Self::Settings => "SETTINGS",
            Self::WindowUpdates => "WINDOW_UPDATE",
            Self::Priorities => "PRIORITY",
            Self::Others => "other frames",
        }
    }
}

impl fmt::Display for Flood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "flood of {}", self.name())
    }
}

impl std::error::Error for Flood {}

/// Counts the frames of one connection. The time is only asked for when it matters.
#[derive(Debug)]
pub(super) struct Floods {
    side: Side,
    controls: Allowance,
    resets: Allowance,
    /// The last stream that was opened.
    newest: u32,
    /// Whether streams were opened whose time is not in `opened` yet.
    has_opened: bool,
    /// When the last stream was opened.
    opened: Instant,
    /// The last stream that was open at a time; the second is the later one.
    marks: [(u32, Instant); 2],
}

impl Floods {
    pub(super) fn new(side: Side, now: Instant) -> Self {
        Self {
            side,
            controls: Allowance::new(BURST, PER_SECOND, MOST, now),
            resets: Allowance::new(RESETS, RESETS, RESETS, now),
            newest: 0,
            has_opened: false,
            opened: now,
            marks: [(0, now); 2],
        }
    }

    /// The last stream that was opened.
    pub(super) fn newest(&self) -> u32 {
        self.newest
    }

    /// The last stream that the peer has opened.
    pub(super) fn last_of_peer(&self) -> u32 {
        match self.side {
            Side::Server => self.newest,
            // An upstream is not allowed to push.
            Side::Client => 0,
        }
    }

    /// Counts a frame from the peer.
    pub(super) fn received(&mut self, head: Head, now: impl Fn() -> Instant) -> Result<(), Flood> {
        match head.kind {
            kind::DATA if head.length > 0 => {
                self.controls
                    .earn(1 + (head.length / BYTES_PER_RECEIVED) as u64);
            }
            // The end of a stream comes once, and h2 refuses a second one.
            kind::DATA if head.has(flag::END_STREAM) => {}
            // h2 limits the length of a header block.
            kind::CONTINUATION if head.length > 0 => {}
            kind::HEADERS if self.side == Side::Server && head.stream > self.newest => {
                self.newest = head.stream;
                self.has_opened = true;
                self.controls.earn(PER_STREAM);
            }
            kind::RST_STREAM if self.side == Side::Server => return self.ended(head.stream, now),
            _ => return self.controls.pay(now).ok_or(Flood::of(head)),
        }
        Ok(())
    }

    /// Notes when streams were opened, after all that came with one read: the clock is read once for all of them.
    pub(super) fn note_opened(&mut self, now: impl Fn() -> Instant) {
        if std::mem::take(&mut self.has_opened) {
            self.opened = now();
            self.mark(self.opened);
        }
    }

    fn mark(&mut self, now: Instant) {
        if now.saturating_duration_since(self.marks[1].1) >= LIFE {
            self.marks = [self.marks[1], (self.newest, now)];
        }
    }

    /// Counts a frame to the peer, with the code if it resets a stream.
    pub(super) fn sent(
        &mut self,
        head: Head,
        reset: Option<u32>,
        now: impl Fn() -> Instant,
    ) -> Result<(), Flood> {
        match head.kind {
            kind::DATA => self
                .controls
                .earn(PER_SENT + (head.length / BYTES_PER_SENT) as u64),
            kind::HEADERS if self.side == Side::Server => {
                self.controls.earn(PER_SENT);
                self.resets.earn(1);
            }
            kind::HEADERS if head.stream > self.newest => {
                self.newest = head.stream;
                self.controls.earn(PER_STREAM);
            }
            kind::RST_STREAM => match reset {
                // The peer had no part in it.
                Some(code::NO_ERROR | code::CANCEL | code::INTERNAL_ERROR) => {}
                // Data for a stream that is over, which was on its way when it ended.
                Some(code::STREAM_CLOSED) => {
                    return self.controls.pay(now).ok_or(Flood::Resets);
                }
                // The peer broke a rule, or opened too many streams. How long the stream was open says nothing: the reset may wait
                // for its turn.
                _ if self.side == Side::Server => {
                    return self.resets.pay(now).ok_or(Flood::Resets);
                }
                _ => return self.controls.pay(now).ok_or(Flood::Resets),
            },
            _ => {}
        }
        Ok(())
    }

    /// A stream has ended because of the peer. Which of them were answered is not known, only how many.
    fn ended(&mut self, stream: u32, now: impl Fn() -> Instant) -> Result<(), Flood> {
        let now = now();
        self.note_opened(|| now);
        self.mark(now);
        let (old, since) = self.marks[0];
        let has_lived = |since| now.saturating_duration_since(since) >= LIFE;
        let is_old = has_lived(self.opened) || (stream <= old && has_lived(since));
        let paid = if is_old {
            self.controls.pay(|| now)
        } else {
            self.resets.pay(|| now)
        };
        paid.ok_or(Flood::Resets)
    }
}

/// Means that are earned and spent.
#[derive(Debug)]
struct Allowance {
    left: u64,
    burst: u64,
    per_second: u64,
    most: u64,
    refilled: Instant,
}

impl Allowance {
    fn new(burst: u64, per_second: u64, most: u64, now: Instant) -> Self {
        Self {
            left: burst,
            burst,
            per_second,
            most,
            refilled: now,
        }
    }

    fn earn(&mut self, count: u64) {
        self.left = self.left.saturating_add(count).min(self.most);
    }

    /// Pays for one frame. It is `None` without means.
    fn pay(&mut self, now: impl Fn() -> Instant) -> Option<()> {
        if self.left == 0 {
            self.refill(now());
        }
        self.left = self.left.checked_sub(1)?;
        Some(())
    }

    /// Adds what the time has earned.
    fn refill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.refilled).as_millis();
        let passed = u64::try_from(passed).unwrap_or(u64::MAX);
        let earned = passed.saturating_mul(self.per_second) / 1_000;
        if earned > 0 {
            self.left = self.left.max(earned.min(self.burst));
            self.refilled = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEVER: fn() -> Instant = || panic!("the time does not matter");

    fn head(kind: u8, flags: u8, stream: u32, length: usize) -> Head {
        Head {
            length,
            kind,
            flags,
            stream,
        }
    }

    fn request(stream: u32) -> Head {
        head(
            kind::HEADERS,
            flag::END_HEADERS | flag::END_STREAM,
            stream,
            30,
        )
    }

    fn reset(stream: u32) -> Head {
        head(kind::RST_STREAM, 0, stream, 4)
    }

    /// Frames that cost, one of each kind.
    fn costly() -> [Head; 7] {
        [
            head(kind::PING, 0, 0, 8),
            head(kind::SETTINGS, 0, 0, 0),
            head(kind::WINDOW_UPDATE, 0, 1, 4),
            head(kind::PRIORITY, 0, 1, 5),
            head(kind::DATA, 0, 1, 0),
            head(kind::CONTINUATION, 0, 1, 0),
            head(200, 0, 0, 100),
        ]
    }

    #[test]
    fn frames_without_traffic_are_a_flood_on_both_sides() {
        let now = Instant::now();
        for side in [Side::Server, Side::Client] {
            for frame in costly() {
                let mut floods = Floods::new(side, now);
                for _ in 0..BURST {
                    floods.received(frame, || now).unwrap();
                }
                let flood = floods.received(frame, || now).unwrap_err();
                assert_eq!(flood, Flood::of(frame), "{side:?}");
            }
        }
    }

    #[test]
    fn a_steady_trickle_goes_on_for_ever() {
        let mut now = Instant::now();
        let mut floods = Floods::new(Side::Server, now);
        for _ in 0..100_000 {
            now += Duration::from_millis(10);
            let ping = head(kind::PING, 0, 0, 8);
            floods.received(ping, || now).unwrap();
        }
    }

    /// What a client of gRPC does about a call of one message each way, all in the same moment.
    #[test]
    fn calls_of_grpc_earn_their_frames() {
        let now = Instant::now();
        let mut floods = Floods::new(Side::Server, now);
        for call in 0..100_000 {
            let stream = call * 2 + 1;
            let received = |floods: &mut Floods, frame| floods.received(frame, || now).unwrap();
            received(
                &mut floods,
                head(kind::HEADERS, flag::END_HEADERS, stream, 30),
            );
            received(&mut floods, head(kind::WINDOW_UPDATE, 0, stream, 4));
            received(&mut floods, head(kind::DATA, flag::END_STREAM, stream, 7));
            for (kind, length) in [(kind::HEADERS, 20), (kind::DATA, 7), (kind::HEADERS, 10)] {
                let sent = head(kind, 0, stream, length);
                floods.sent(sent, None, NEVER).unwrap();
            }
            for stream in [stream, 0, stream, 0] {
                received(&mut floods, head(kind::WINDOW_UPDATE, 0, stream, 4));
            }
            received(&mut floods, head(kind::PING, 0, 0, 8));
            received(&mut floods, head(kind::SETTINGS, 0, 0, 6));
            received(&mut floods, reset(stream));
        }
    }

    #[test]
    fn each_message_of_a_stream_earns_two_window_updates_and_a_ping() {
        for side in [Side::Server, Side::Client] {
            let mut floods = Floods::new(side, Instant::now());
            for _ in 0..100_000 {
                floods.sent(head(kind::DATA, 0, 1, 7), None, NEVER).unwrap();
                for frame in [
                    head(kind::WINDOW_UPDATE, 0, 1, 4),
                    head(kind::WINDOW_UPDATE, 0, 0, 4),
                    head(kind::PING, 0, 0, 8),
                ] {
                    floods.received(frame, NEVER).unwrap();
                }
            }
        }
    }

    /// An upstream can put as many small messages in one frame as there is room for.
    #[test]
    fn messages_that_are_sent_together_earn_what_each_of_them_needs() {
        let mut floods = Floods::new(Side::Server, Instant::now());
        for _ in 0..1_000 {
            floods
                .sent(head(kind::DATA, 0, 1, 16_000), None, NEVER)
                .unwrap();
            for _ in 0..2 * 16_000 / 5 {
                let frame = head(kind::WINDOW_UPDATE, 0, 1, 4);
                floods.received(frame, NEVER).unwrap();
            }
        }
    }

    #[test]
    fn a_message_earns_the_empty_data_that_follows_it() {
        for side in [Side::Server, Side::Client] {
            let mut floods = Floods::new(side, Instant::now());
            for _ in 0..100_000 {
                for length in [1, 0] {
                    let frame = head(kind::DATA, 0, 1, length);
                    floods.received(frame, NEVER).unwrap();
                }
            }
        }
    }

    #[test]
    fn what_was_earned_is_used_up() {
        let now = Instant::now();
        let mut floods = Floods::new(Side::Server, now);
        for _ in 0..1_000 {
            floods
                .sent(head(kind::DATA, 0, 1, 16_384), None, NEVER)
                .unwrap();
        }
        let ping = head(kind::PING, 0, 0, 8);
        let count = (0..u64::MAX)
            .take_while(|_| floods.received(ping, || now).is_ok())
            .count();
        assert_eq!(count as u64, MOST);
    }

    #[test]
    fn streams_that_are_reset_at_once_are_a_flood() {
        let now = Instant::now();
        let mut floods = Floods::new(Side::Server, now);
        let mut stream = 1;
        let flood = loop {
            floods.received(request(stream), NEVER).unwrap();
            if let Err(flood) = floods.received(reset(stream), || now) {
                break flood;
            }
            stream += 2;
        };
        assert_eq!(flood, Flood::Resets);
        assert_eq!(u64::from(stream / 2), RESETS);
    }

    /// They wait for a while, as a flood could.
    #[test]
    fn a_flood_of_resets_that_lasts_is_one() {
        let mut now = Instant::now();
        let mut floods = Floods::new(Side::Server, now);
        let end = (0..1_000_000_u32).find(|number| {
            now += Duration::from_micros(100);
            let stream = number * 2 + 1;
            floods.received(request(stream), NEVER).unwrap();
            floods.received(reset(stream), || now).is_err()
        });
        assert!(end.is_some_and(|number| number < 2_000), "{end:?}");
    }

    #[test]
    fn an_old_stream_is_not_reset_without_end() {
        let start = Instant::now();
        let mut floods = Floods::new(Side::Server, start);
        floods.received(request(1), NEVER).unwrap();
        for second in 1..3 {
            let now = start + Duration::from_secs(second);
            floods.received(reset(1), || now).unwrap();
        }
        let now = start + Duration::from_secs(3);
        assert!((0..2_000).any(|_| floods.received(reset(1), || now).is_err()));
    }

    #[test]
    fn calls_that_are_given_up_after_a_while_are_none() {
        let mut now = Instant::now();
        let mut floods = Floods::new(Side::Server, now);
        // A hundred at a time, each for 20 ms: 5 000 a second, and nothing is answered.
        for number in 0..50_000_u32 {
            now += Duration::from_micros(200);
            let stream = number * 2 + 1;
            floods.received(request(stream), NEVER).unwrap();
            if let Some(old) = number.checked_sub(100) {
                floods.received(reset(old * 2 + 1), || now).unwrap();
            }
        }
    }

    /// They come in two reads, and are given up in the same moment, as those of a client with one deadline.
    #[test]
    fn calls_that_are_opened_and_given_up_together_are_none() {
        let mut now = Instant::now();
        let mut floods = Floods::new(Side::Server, now);
        for round in 0..500_u32 {
            let streams = (round * 100..round * 100 + 100).map(|number| number * 2 + 1);
            for stream in streams.clone() {
                floods.received(request(stream), NEVER).unwrap();
                if stream % 100 == 99 {
                    now += Duration::from_micros(10);
                    floods.note_opened(|| now);
                }
            }
            now += 2 * LIFE;
            for stream in streams {
                floods.received(reset(stream), || now).unwrap();
            }
        }
    }

    /// Its pauses make none of the streams older that come after them.
    #[test]
    fn a_flood_of_resets_with_pauses_is_one() {
        let mut now = Instant::now();
        let mut floods = Floods::new(Side::Server, now);
        let end = (0..10_000_u32).find(|number| {
            if number % 100 == 0 {
                floods.note_opened(|| now);
                now += 2 * LIFE;
            }
            let stream = number * 2 + 1;
            floods.received(request(stream), NEVER).unwrap();
            floods.received(reset(stream), || now).is_err()
        });
        assert!(end.is_some_and(|number| number < 2_000), "{end:?}");
    }

    #[test]
    fn each_answer_earns_a_reset() {
        let now = Instant::now();
        let mut floods = Floods::new(Side::Server, now);
        for number in 0..100_000 {
            let stream = number * 2 + 1;
            floods.received(request(stream), NEVER).unwrap();
            let answer = head(kind::HEADERS, flag::END_HEADERS, stream, 10);
            floods.sent(answer, None, NEVER).unwrap();
            floods.received(reset(stream), || now).unwrap();
        }
    }

    /// CVE-2025-8671.
    #[test]
    fn streams_that_the_gateway_must_reset_are_a_flood_too() {
        let start = Instant::now();
        for wait in [Duration::ZERO, 2 * LIFE] {
            let mut floods = Floods::new(Side::Server, start);
            for number in 0..2_000 {
                floods.received(request(number * 2 + 1), NEVER).unwrap();
            }
            floods.note_opened(|| start);
            let end = (0..2_000).find(|number| {
                let broken = Some(1);
                let sent = floods.sent(reset(number * 2 + 1), broken, || start + wait);
                sent.is_err()
            });
            let earned = u64::try_from(wait.as_millis()).unwrap() * RESETS / 1_000;
            assert_eq!(end, u32::try_from(RESETS + earned).ok(), "{wait:?}");
        }
    }

    #[test]
    fn data_for_streams_that_were_refused_early_is_none() {
        let now = Instant::now();
        for side in [Side::Server, Side::Client] {
            let mut floods = Floods::new(side, now);
            for number in 0..10_000 {
                let stream = number * 2 + 1;
                if side == Side::Server {
                    floods.received(request(stream), NEVER).unwrap();
                }
                let ended = Some(code::NO_ERROR);
                floods.sent(reset(stream), ended, NEVER).unwrap();
                for _ in 0..8 {
                    let late = head(kind::DATA, 0, stream, 50);
                    floods.received(late, NEVER).unwrap();
                    let closed = Some(code::STREAM_CLOSED);
                    floods.sent(reset(stream), closed, || now).unwrap();
                }
            }
        }
    }

    #[test]
    fn heads_without_end_from_an_upstream_are_a_flood() {
        let now = Instant::now();
        let mut floods = Floods::new(Side::Client, now);
        floods.sent(request(1), None, NEVER).unwrap();
        let interim = head(kind::HEADERS, flag::END_HEADERS, 1, 10);
        assert!((0..2_000).any(|_| floods.received(interim, || now).is_err()));
    }

    #[test]
    fn answers_of_an_upstream_are_none() {
        let mut floods = Floods::new(Side::Client, Instant::now());
        for number in 0..100_000 {
            let stream = number * 2 + 1;
            floods.sent(request(stream), None, NEVER).unwrap();
            for frame in [
                head(kind::WINDOW_UPDATE, 0, stream, 4),
                // An interim response, the final one, trailers.
                head(kind::HEADERS, flag::END_HEADERS, stream, 10),
                head(kind::HEADERS, flag::END_HEADERS, stream, 10),
                head(kind::DATA, 0, stream, 5),
                head(kind::HEADERS, flag::END_HEADERS, stream, 10),
                reset(stream),
            ] {
                floods.received(frame, NEVER).unwrap();
            }
        }
    }
}
