//! The socket that h2 has for a peer.

use std::{
    fmt, io,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf},
    time::Instant,
};

use super::{Flood, Floods, HEADER, Head, Inbound, Outbound, Side, code, inbound::Refused, kind};
use crate::sync::lock;

/// What is read at once where h2 has next to no room.
const SOME: usize = 1024;

/// Passes the frames of a connection on, and has them counted. After too many it lets h2 finish the frame that it is
/// writing, and fails.
pub(crate) struct Guarded<S> {
    /// None when `end` has it.
    socket: Option<S>,
    inbound: Inbound,
    outbound: Outbound,
    floods: Floods,
    refused: Option<Refused>,
    end: Arc<End<S>>,
}

/// What is known of a connection besides what h2 says, and what is left of it when h2 has done with it.
pub(crate) struct End<S> {
    is_refused: AtomicBool,
    has_said_goodbye: AtomicBool,
    written: AtomicU64,
    malformed: AtomicU64,
    left: Mutex<Option<Left<S>>>,
}

/// The socket that is left of a connection.
pub(crate) struct Left<S> {
    socket: S,
    flood: Option<Flood>,
    /// Which stream was the last, if a `GOAWAY` can be written.
    last: Option<u32>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Guarded<S> {
    /// Guards the socket of a connection that begins.
    pub(crate) fn new(socket: S, side: Side) -> (Self, Arc<End<S>>) {
        let end = Arc::new(End {
            is_refused: AtomicBool::new(false),
            has_said_goodbye: AtomicBool::new(false),
            written: AtomicU64::new(0),
            malformed: AtomicU64::new(0),
            left: Mutex::new(None),
        });
        let guarded = Self {
            socket: Some(socket),
            inbound: Inbound::new(side),
            outbound: Outbound::new(side),
            floods: Floods::new(side, Instant::now()),
            refused: None,
            end: Arc::clone(&end),
        };
        (guarded, end)
    }

    /// Reads, and takes in what was read. True at the end of the stream.
    fn poll_fill(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<bool>> {
        let Some(socket) = &mut self.socket else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        let start = buf.filled().len();
        buf.put_slice(self.inbound.header());
        let before = buf.filled().len();
        let read = Pin::new(socket).poll_read(cx, buf);
        if !matches!(read, Poll::Ready(Ok(()))) {
            buf.set_filled(start);
        }
        ready!(read)?;
        if buf.filled().len() == before {
            // A header that is not complete, if there is one, is for h2 to complain about.
            self.inbound.forget_header();
            return Poll::Ready(Ok(true));
        }
        let bytes = &mut buf.filled_mut()[start..];
        match self.inbound.take(bytes, &mut self.floods, Instant::now) {
            Ok(kept) => buf.set_filled(start + kept),
            Err(refused) => {
                buf.set_filled(start);
                self.refuse(refused);
            }
        }
        Poll::Ready(Ok(false))
    }

    fn refuse(&mut self, refused: Refused) {
        self.refused = Some(refused);
        self.end.is_refused.store(true, Relaxed);
    }

    /// Fails when nothing of a frame is left to be written.
    fn poll_give_up(&mut self, refused: Refused) -> Poll<io::Error> {
        if self.socket.is_some() && !self.outbound.is_between() {
            return Poll::Pending;
        }
        self.give_up();
        Poll::Ready(io::Error::new(io::ErrorKind::InvalidData, refused))
    }

    fn note_written(&mut self, bytes: &[u8]) {
        self.end.written.fetch_add(bytes.len() as u64, Relaxed);
        let counted = self.outbound.take(bytes, &mut self.floods, Instant::now);
        if let Err(flood) = counted
            && self.refused.is_none()
        {
            self.refuse(Refused::Flood(flood));
        }
        let malformed = self.outbound.take_malformed();
        if malformed > 0 {
            self.end.malformed.fetch_add(malformed, Relaxed);
        }
        if self.outbound.has_said_goodbye() {
            self.end.has_said_goodbye.store(true, Relaxed);
        }
    }

    fn socket(&mut self) -> io::Result<Pin<&mut S>> {
        match &mut self.socket {
            Some(socket) => Ok(Pin::new(socket)),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

impl<S> Guarded<S> {
    fn give_up(&mut self) {
        if let Some(socket) = self.socket.take() {
            *lock(&self.end.left) = Some(Left {
                socket,
                flood: match self.refused {
                    Some(Refused::Flood(flood)) => Some(flood),
                    _ => None,
                },
                last: self
                    .outbound
                    .is_between()
                    .then(|| self.floods.last_of_peer()),
            });
        }
    }
}

impl<S> Drop for Guarded<S> {
    fn drop(&mut self) {
        self.give_up();
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        while buf.remaining() > 0 && !this.inbound.give(buf) {
            if let Some(refused) = this.refused {
                return this.poll_give_up(refused).map(Err);
            }
            let start = buf.filled().len();
            let has_ended = if buf.remaining() > HEADER {
                ready!(this.poll_fill(cx, buf))?
            } else {
                let mut space = [0; SOME];
                let mut part = ReadBuf::new(&mut space);
                let has_ended = ready!(this.poll_fill(cx, &mut part))?;
                this.inbound.put_before(part.filled());
                has_ended && part.filled().is_empty()
            };
            if has_ended || buf.filled().len() > start {
                break;
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if let Some(refused) = self.refused {
            if let Poll::Ready(error) = self.poll_give_up(refused) {
                return Poll::Ready(Err(error));
            }
            buf = &buf[..buf.len().min(self.outbound.rest())];
        }
        let count = ready!(self.socket()?.poll_write(cx, buf))?;
        self.note_written(&buf[..count]);
        if self.refused.is_some() {
            // Nothing may be left to write, and then it is the next read that fails.
            cx.waker().wake_by_ref();
        }
        Poll::Ready(Ok(count))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.refused.is_some() {
            let first = bufs.iter().find(|buf| !buf.is_empty());
            return self.poll_write(cx, first.map_or(&[], |buf| buf));
        }
        let count = ready!(self.socket()?.poll_write_vectored(cx, bufs))?;
        let mut left = count;
        for buf in bufs {
            let part = left.min(buf.len());
            self.note_written(&buf[..part]);
            left -= part;
            if left == 0 {
                break;
            }
        }
        if self.refused.is_some() {
            cx.waker().wake_by_ref();
        }
        Poll::Ready(Ok(count))
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.as_ref().is_some_and(S::is_write_vectored)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket()?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket()?.poll_shutdown(cx)
    }
}

impl<S> End<S> {
    /// Whether the peer has sent what ends the connection, while h2 may still be writing.
    pub(crate) fn is_refused(&self) -> bool {
        self.is_refused.load(Relaxed)
    }

    /// Whether the peer was told which of its streams is the last.
    pub(crate) fn has_said_goodbye(&self) -> bool {
        self.has_said_goodbye.load(Relaxed)
    }

    /// How many streams were reset because what came on them is malformed, since this was last asked.
    pub(crate) fn take_malformed(&self) -> u64 {
        match self.malformed.load(Relaxed) {
            0 => 0,
            _ => self.malformed.swap(0, Relaxed),
        }
    }

    /// How many bytes were written.
    pub(crate) fn written(&self) -> u64 {
        self.written.load(Relaxed)
    }

    /// What is left, once h2 has done with the socket.
    pub(crate) fn take(&self) -> Option<Left<S>> {
        lock(&self.left).take()
    }
}

impl<S> Left<S> {
    /// What there was too much of.
    pub(crate) fn flood(&self) -> Option<Flood> {
        self.flood
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Left<S> {
    /// Says `GOAWAY` after a flood, and gives the socket back. The caller limits the time.
    pub(crate) async fn say_goodbye(self) -> S {
        let Self {
            mut socket,
            flood,
            last,
        } = self;
        if let (Some(flood), Some(last)) = (flood, last) {
            // A peer that does not take it is closed to all the same.
            let _ = socket.write_all(&go_away(last, flood)).await;
            let _ = socket.flush().await;
        }
        socket
    }
}

/// `GOAWAY` with `ENHANCE_YOUR_CALM`, and a word for the log of the peer.
fn go_away(last: u32, flood: Flood) -> Vec<u8> {
    let why = flood.to_string();
    let head = Head {
        length: 8 + why.len(),
        kind: kind::GOAWAY,
        flags: 0,
        stream: 0,
    };
    let mut frame = head.bytes().to_vec();
    frame.extend(last.to_be_bytes());
    frame.extend(code::ENHANCE_YOUR_CALM.to_be_bytes());
    frame.extend(why.bytes());
    frame
}

impl<S> fmt::Debug for Guarded<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guarded")
            .field("refused", &self.refused)
            .finish_non_exhaustive()
    }
}

impl<S> fmt::Debug for End<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("End")
            .field("is_refused", &self.is_refused)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt, DuplexStream, duplex};

    use super::{
        super::{
            PREFACE, flag,
            testing::{frame, frames},
        },
        *,
    };

    /// A guarded socket with room for so many bytes each way, behind the preface and the settings of its peer.
    async fn opened(room: usize) -> (Guarded<DuplexStream>, Arc<End<DuplexStream>>, DuplexStream) {
        let (near, mut far) = duplex(room);
        let (mut guarded, end) = Guarded::new(near, Side::Server);
        let settings = frame(kind::SETTINGS, 0, 0, &[]);
        far.write_all(&[PREFACE, &settings].concat()).await.unwrap();
        let mut read = [0; 33];
        guarded.read_exact(&mut read).await.unwrap();
        (guarded, end, far)
    }

    fn pings(count: usize) -> Vec<u8> {
        frame(kind::PING, 0, 0, &[0; 8]).repeat(count)
    }

    #[tokio::test]
    async fn bytes_pass_however_little_is_read_at_once() {
        for size in 1..30 {
            let (mut guarded, _end, mut far) = opened(1 << 20).await;
            let sent = [
                frame(kind::HEADERS, flag::END_HEADERS, 1, &[1; 40]),
                frame(kind::DATA, 0, 1, &[]),
                frame(kind::DATA, flag::END_STREAM, 1, &[2; 100]),
            ];
            far.write_all(&sent.concat()).await.unwrap();
            far.shutdown().await.unwrap();
            let mut all = Vec::new();
            let mut part = vec![0; size];
            while let Ok(count @ 1..) = guarded.read(&mut part).await {
                all.extend_from_slice(&part[..count]);
            }
            assert_eq!(all, [&sent[0][..], &sent[2]].concat(), "{size}");
        }
    }

    #[tokio::test]
    async fn a_header_that_breaks_off_ends_like_the_stream() {
        let (mut guarded, _end, mut far) = opened(1 << 20).await;
        far.write_all(&[0, 0, 1]).await.unwrap();
        far.shutdown().await.unwrap();
        let mut all = Vec::new();
        guarded.read_to_end(&mut all).await.unwrap();
        assert!(all.len() <= 3);
    }

    #[tokio::test]
    async fn a_flood_ends_with_a_farewell_that_names_the_last_stream() {
        let (mut guarded, end, mut far) = opened(1 << 20).await;
        let open = frame(kind::HEADERS, flag::END_HEADERS, 5, &[0; 10]);
        far.write_all(&[open, pings(2_000)].concat()).await.unwrap();
        let error = guarded.read_to_end(&mut Vec::new()).await.unwrap_err();
        assert_eq!(error.to_string(), "flood of PING");
        assert!(end.is_refused());
        drop(guarded);
        let left = end.take().unwrap();
        assert_eq!(left.flood(), Some(Flood::Pings));
        drop(left.say_goodbye().await);
        let mut said = Vec::new();
        far.read_to_end(&mut said).await.unwrap();
        let [(head, payload)] = &frames(&said)[..] else {
            panic!("{said:?}");
        };
        assert_eq!((head.kind, head.stream), (kind::GOAWAY, 0));
        assert_eq!(payload[..8], [0, 0, 0, 5, 0, 0, 0, 11]);
        assert_eq!(payload[8..], *b"flood of PING");
    }

    #[tokio::test]
    async fn a_frame_that_was_begun_is_finished_before_the_farewell() {
        let (mut guarded, end, mut far) = opened(40_000).await;
        // Data would earn the client its pings.
        let large = frame(kind::HEADERS, 0, 1, &[7; 16_000]);
        let three = large.repeat(3);
        // Into the third.
        let count = guarded.write(&three).await.unwrap();
        assert_eq!(count, 40_000);
        far.write_all(&pings(2_000)).await.unwrap();
        let read = poll_fn(|cx| {
            let mut space = vec![0; 50_000];
            let mut buf = ReadBuf::new(&mut space);
            Poll::Ready(Pin::new(&mut guarded).poll_read(cx, &mut buf).is_pending())
        });
        assert!(read.await, "the frame has to be finished");
        let reader = tokio::spawn(async move {
            let mut all = Vec::new();
            far.read_to_end(&mut all).await.unwrap();
            all
        });
        // h2 would go on with the rest, and with more.
        let rest = [&three[count..], &large].concat();
        let error = guarded.write_all(&rest).await.unwrap_err();
        assert_eq!(error.to_string(), "flood of PING");
        drop(guarded);
        drop(end.take().unwrap().say_goodbye().await);
        let kinds: Vec<u8> = frames(&reader.await.unwrap())
            .iter()
            .map(|(head, _)| head.kind)
            .collect();
        let expected = [kind::HEADERS, kind::HEADERS, kind::HEADERS, kind::GOAWAY];
        assert_eq!(kinds, expected);
    }

    #[tokio::test]
    async fn what_is_left_in_the_middle_of_a_frame_gets_no_farewell() {
        let (mut guarded, end, mut far) = opened(10_000).await;
        let large = frame(kind::DATA, 0, 1, &[7; 16_000]);
        assert_eq!(guarded.write(&large).await.unwrap(), 10_000);
        drop(guarded);
        let left = end.take().unwrap();
        assert_eq!(left.flood(), None);
        drop(left.say_goodbye().await);
        let mut all = Vec::new();
        far.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, large[..10_000]);
    }
}
