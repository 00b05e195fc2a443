//! Pipes in memory, in the place of sockets.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex};

use crate::sync::lock;

/// The most bytes that are on their way in one direction: enough that no test meets it by accident.
const BUFFER: usize = 1 << 20;

/// A pipe: the end of the gateway, and that of a fake or a client.
pub(super) fn pipe() -> (GatewayEnd, SharedEnd) {
    let (gateway, other) = duplex(BUFFER);
    let reset = Arc::<AtomicBool>::default();
    let end = SharedEnd {
        io: Arc::new(Mutex::new(other)),
        reset: Arc::clone(&reset),
    };
    let gateway = GatewayEnd { io: gateway, reset };
    (gateway, end)
}

/// The end that the gateway has.
#[derive(Debug)]
pub(super) struct GatewayEnd {
    io: DuplexStream,
    /// Whether the other end was reset rather than closed.
    reset: Arc<AtomicBool>,
}

/// The other end. Clones are the same end, which is closed when the last of them is dropped.
#[derive(Clone, Debug)]
pub(super) struct SharedEnd {
    io: Arc<Mutex<DuplexStream>>,
    reset: Arc<AtomicBool>,
}

impl SharedEnd {
    /// Has the gateway see a reset instead of an end in good order, behind all that was written.
    pub(super) fn reset(&self) {
        self.reset.store(true, Relaxed);
    }
}

impl AsyncRead for GatewayEnd {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        let is_end = buf.filled().len() == before && buf.remaining() > 0;
        Poll::Ready(if is_end && self.reset.load(Relaxed) {
            Err(io::ErrorKind::ConnectionReset.into())
        } else {
            Ok(())
        })
    }
}

impl AsyncWrite for GatewayEnd {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

impl AsyncRead for SharedEnd {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *lock(&self.io)).poll_read(cx, buf)
    }
}

impl AsyncWrite for SharedEnd {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *lock(&self.io)).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *lock(&self.io)).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *lock(&self.io)).poll_shutdown(cx)
    }
}
