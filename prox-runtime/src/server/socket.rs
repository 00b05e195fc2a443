//! A client's socket, which says when bytes move.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{stream::Stream, watch::Watch};

pub(super) struct Socket {
    pub(super) stream: Stream,
    watch: Arc<Watch>,
    /// Who looks at all that passes; without one, bytes that come between requests are the head of one.
    inspector: Option<Box<dyn Inspector>>,
}

/// Looks at the bytes of a connection as they pass.
pub(super) trait Inspector: Send {
    /// Bytes were read.
    ///
    /// # Errors
    ///
    /// What is wrong with them; the connection ends.
    fn read(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// So many bytes were written.
    fn wrote(&mut self, count: usize);
}

impl Socket {
    pub(super) fn new(stream: Stream, watch: Arc<Watch>) -> Self {
        Self {
            stream,
            watch,
            inspector: None,
        }
    }

    /// Has all that passes looked at. What comes between requests may be anything then.
    #[cfg(feature = "http2")]
    pub(super) fn inspected(mut self, inspector: impl Inspector + 'static) -> Self {
        self.inspector = Some(Box::new(inspector));
        self.watch.rest();
        self
    }

    fn note_written(&mut self, result: &Poll<io::Result<usize>>) {
        self.watch.wrote(result.is_pending());
        if let (Some(inspector), Poll::Ready(Ok(count))) = (&mut self.inspector, result) {
            inspector.wrote(*count);
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(cx, buf);
        if result.is_ready() {
            match &mut self.inspector {
                Some(inspector) => inspector.read(&buf.filled()[before..])?,
                None => self.watch.read(),
            }
        }
        result
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.note_written(&result);
        result
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.note_written(&result);
        result
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_flush(cx);
        // A TLS session takes bytes before the socket does.
        self.watch.wrote(result.is_pending());
        result
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.watch.wrote(result.is_pending());
        result
    }
}
