//! One stream of a shared connection that carries another protocol (RFC 8441).

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use h2::{SendStream, ext::Protocol};
use http::{Method, Request, header};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Download;

/// The most that is written at once.
const CHUNK: usize = 16 * 1024;

/// Gives an upgrade the form of an extended `CONNECT`; the message has lost the fields of its connection already.
pub(super) fn connect(mut message: Request<()>, protocol: &Protocol) -> Request<()> {
    *message.method_mut() = Method::CONNECT;
    message.headers_mut().remove(header::SEC_WEBSOCKET_KEY);
    message.headers_mut().remove(header::CONTENT_LENGTH);
    message.extensions_mut().insert(protocol.clone());
    message
}

/// Both directions of a stream; when it is dropped before both have ended, the stream is reset.
pub(super) struct Duplex {
    download: Download,
    outgoing: SendStream<Bytes>,
    /// What was received and not read yet.
    ahead: Bytes,
}

impl Duplex {
    pub(super) fn new(download: Download, outgoing: SendStream<Bytes>) -> Self {
        Self {
            download,
            outgoing,
            ahead: Bytes::new(),
        }
    }
}

fn broken(error: h2::Error) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, error)
}

impl AsyncRead for Duplex {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        while this.ahead.is_empty() {
            match ready!(this.download.incoming.poll_data(cx)) {
                Some(Ok(data)) => this.ahead = data,
                Some(Err(error)) => return Poll::Ready(Err(broken(error))),
                None => return Poll::Ready(Ok(())),
            }
        }
        let count = this.ahead.len().min(buf.remaining());
        buf.put_slice(&this.ahead[..count]);
        this.ahead.advance(count);
        if this.ahead.is_empty() {
            this.ahead = Bytes::new();
        }
        // A stream that has ended needs no more room.
        let _ = this
            .download
            .incoming
            .flow_control()
            .release_capacity(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Duplex {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outgoing = &mut self.outgoing;
        if let Poll::Ready(reset) = outgoing.poll_reset(cx) {
            let error = reset.map_or_else(broken, |reason| broken(reason.into()));
            return Poll::Ready(Err(error));
        }
        // Only while there is something to send: room that is kept idle is kept from the other streams.
        outgoing.reserve_capacity(buf.len().min(CHUNK));
        while outgoing.capacity() == 0 {
            match ready!(outgoing.poll_capacity(cx)) {
                Some(result) => result.map_err(broken)?,
                None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            };
        }
        let count = outgoing.capacity().min(buf.len()).min(CHUNK);
        let data = Bytes::copy_from_slice(&buf[..count]);
        outgoing.send_data(data, false).map_err(broken)?;
        outgoing.reserve_capacity(0);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let end = self.outgoing.send_data(Bytes::new(), true);
        Poll::Ready(end.map_err(broken))
    }
}
