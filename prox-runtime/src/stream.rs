//! A stream of bytes to a client or an upstream, whatever it runs over.

use std::{
    cell::Cell,
    fmt,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::{Buf, Bytes};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::{TcpStream, UnixStream},
    time::timeout,
};

/// How much a peer that was told of the end may go on sending.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Linger {
    pub(crate) bytes: usize,
    /// The longest pause.
    pub(crate) silence: Duration,
    /// All in all.
    pub(crate) time: Duration,
}

#[cfg(feature = "http2")]
impl Linger {
    /// For a peer that is expected to leave at once.
    pub(crate) const SHORT: Self = Self {
        bytes: 4 << 20,
        silence: Duration::from_secs(2),
        time: Duration::from_secs(2),
    };
}

/// Ends a connection, and reads on for a while: to close it while something is unread would reset it, and the peer might
/// lose what was written last (RFC 9112, 9.6).
pub(crate) async fn linger(mut socket: impl AsyncRead + AsyncWrite + Unpin, bounds: Linger) {
    let rest = async {
        // A peer that does not take the end has had its answer all the same.
        let _ = socket.shutdown().await;
        let mut part = vec![0; 16 * 1024];
        let mut left = bounds.bytes;
        while let Ok(Ok(count @ 1..)) = timeout(bounds.silence, socket.read(&mut part)).await {
            left = left.saturating_sub(count);
            if left == 0 {
                break;
            }
        }
    };
    let _ = timeout(bounds.time, rest).await;
}

/// Parts of up to so many bytes are written as one: to copy them takes less time than a vectored write.
const COPIED: usize = 4 * 1024;

thread_local! {
    /// Where they are put together.
    static WHOLE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A connected socket, or what was put around one.
pub(crate) struct Stream {
    io: Io,
    /// What was read already, and is to be read again.
    ahead: Bytes,
}

enum Io {
    Tcp(TcpStream),
    Unix(UnixStream),
    Boxed(Box<dyn Transport>),
}

/// What a stream may run over.
pub(crate) trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

impl Stream {
    fn of(io: Io) -> Self {
        Self {
            io,
            ahead: Bytes::new(),
        }
    }

    /// Takes any transport, such as a TLS session.
    pub(crate) fn boxed(transport: impl Transport + 'static) -> Self {
        Self::of(Io::Boxed(Box::new(transport)))
    }

    /// Puts bytes back, to be read before all that has not been read yet.
    pub(crate) fn unread(&mut self, bytes: Bytes) {
        if bytes.is_empty() {
            // An empty slice may still hold the buffer that it was cut from.
        } else if self.ahead.is_empty() {
            self.ahead = bytes;
        } else {
            self.ahead = [bytes, std::mem::take(&mut self.ahead)].concat().into();
        }
    }

    /// Has the other end see a reset when this is dropped, instead of an end in good order; as far as it knows resets.
    pub(crate) fn reset(&mut self) {
        if let Io::Tcp(stream) = &self.io {
            // One that fails is gone already.
            let _ = stream.set_zero_linger();
        }
    }

    /// Writes what can be written without waiting, and says how much that was.
    pub(crate) fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut cx = Context::from_waker(Waker::noop());
        match self.io.poll_write(&mut cx, bytes) {
            Poll::Ready(result) => result,
            Poll::Pending => Ok(0),
        }
    }
}

impl From<TcpStream> for Stream {
    fn from(stream: TcpStream) -> Self {
        Self::of(Io::Tcp(stream))
    }
}

impl From<UnixStream> for Stream {
    fn from(stream: UnixStream) -> Self {
        Self::of(Io::Unix(stream))
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.io {
            Io::Tcp(_) => "Stream(tcp)",
            Io::Unix(_) => "Stream(unix)",
            Io::Boxed(_) => "Stream(boxed)",
        })
    }
}

/// Passes a call on to whatever the stream runs over.
macro_rules! each {
    ($io:expr, $stream:ident => $call:expr) => {
        match $io {
            Io::Tcp($stream) => $call,
            Io::Unix($stream) => $call,
            Io::Boxed($stream) => $call,
        }
    };
}

/// How many bytes these parts have.
fn length(bufs: &[IoSlice<'_>]) -> usize {
    bufs.iter().map(|buf| buf.len()).sum()
}

impl Io {
    /// Whether it puts parts together by itself, as a TLS session does.
    fn copies_itself(&self) -> bool {
        matches!(self, Self::Boxed(_))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        each!(self, stream => Pin::new(stream).poll_write(cx, buf))
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            let count = self.ahead.len().min(buf.remaining());
            buf.put_slice(&self.ahead[..count]);
            self.ahead.advance(count);
            if self.ahead.is_empty() {
                self.ahead = Bytes::new();
            }
            return Poll::Ready(Ok(()));
        }
        each!(&mut self.io, stream => Pin::new(stream).poll_read(cx, buf))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.io.poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match bufs {
            [only] => self.io.poll_write(cx, only),
            _ if self.io.copies_itself() || length(bufs) > COPIED => {
                each!(&mut self.io, stream => Pin::new(stream).poll_write_vectored(cx, bufs))
            }
            _ => {
                let mut whole = WHOLE.take();
                for buf in bufs {
                    whole.extend_from_slice(buf);
                }
                let result = self.io.poll_write(cx, &whole);
                whole.clear();
                WHOLE.set(whole);
                result
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        each!(&self.io, stream => stream.is_write_vectored())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(&mut self.io, stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(&mut self.io, stream => Pin::new(stream).poll_shutdown(cx))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn small_parts_are_written_as_one_and_large_ones_as_they_are() {
        let (near, mut far) = UnixStream::pair().unwrap();
        let mut near = Stream::from(near);
        let (head, body, end) = (vec![1; 300], vec![2; 700], vec![3; 2 * COPIED]);
        for (parts, whole) in [(vec![&head, &body], 1000), (vec![&head, &body, &end], 9192)] {
            let slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
            let write = |cx: &mut Context<'_>| Pin::new(&mut near).poll_write_vectored(cx, &slices);
            let count = std::future::poll_fn(write).await.unwrap();
            assert_eq!(count, whole);
            let mut read = vec![0; count];
            far.read_exact(&mut read).await.unwrap();
            assert_eq!(
                read,
                parts.into_iter().flatten().copied().collect::<Vec<u8>>()
            );
        }
        assert!(WHOLE.take().capacity() < 2 * COPIED, "no more was copied");
    }

    #[tokio::test]
    async fn what_was_put_back_is_read_first() {
        let mut stream = Stream::boxed(io::Cursor::new(b"efg".to_vec()));
        stream.unread(Bytes::from_static(b"cd"));
        stream.unread(Bytes::from_static(b"ab"));
        let mut all = String::new();
        stream.read_to_string(&mut all).await.unwrap();
        assert_eq!(all, "abcdefg");
    }
}
