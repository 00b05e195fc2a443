//! A client's socket that passes on only what has one meaning in HTTP/1.1.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::socket::Socket;
use crate::framing::{Kind, POISON, Requests, Violation};

/// Whether a connection has left HTTP for another protocol; told by whoever answers its requests.
#[derive(Clone, Debug, Default)]
pub(super) struct Tunnel(Arc<AtomicBool>);

impl Tunnel {
    /// Says that the answer about to be sent ends HTTP on the connection.
    pub(super) fn begin(&self) {
        // The client speaks the other protocol only once it has the answer, so there is nothing to be in time for.
        self.0.store(true, Relaxed);
    }
}

pub(super) struct Checked {
    pub(super) socket: Socket,
    requests: Requests,
    tunnel: Tunnel,
    refused: Option<Refused>,
}

/// What is read from a connection behind its last good byte.
enum Refused {
    /// Bytes that make the parser refuse the head under way, once it has answered all before it, and then the end.
    Head(&'static [u8]),
    /// An error, for a head has passed already.
    Body(Kind),
}

impl Checked {
    pub(super) fn new(socket: Socket, tunnel: Tunnel) -> Self {
        Self {
            socket,
            requests: Requests::new(),
            tunnel,
            refused: None,
        }
    }

    /// Looks at the bytes that were read to the end of `buf`, and takes away what must not pass.
    fn check(&mut self, buf: &mut ReadBuf<'_>, before: usize) -> io::Result<()> {
        if self.tunnel.0.load(Relaxed) {
            self.requests.tunnel();
        }
        let Err(violation) = self.requests.feed(&buf.filled()[before..]) else {
            return Ok(());
        };
        let Violation {
            kind,
            good,
            in_body,
        } = violation;
        tracing::debug!(%kind, "a client's request is malformed");
        buf.set_filled(before + good);
        let refused = self.refused.insert(if in_body {
            Refused::Body(kind)
        } else {
            Refused::Head(POISON)
        });
        // What was good is read first: an error would hide it.
        if in_body && good > 0 {
            return Ok(());
        }
        refused.read(buf)
    }
}

impl Refused {
    fn read(&mut self, buf: &mut ReadBuf<'_>) -> io::Result<()> {
        match self {
            Self::Head(poison) => {
                let (now, later) = poison.split_at(poison.len().min(buf.remaining()));
                buf.put_slice(now);
                *poison = later;
                Ok(())
            }
            Self::Body(kind) => Err((*kind).into()),
        }
    }
}

impl AsyncRead for Checked {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let Some(refused) = &mut this.refused {
            return Poll::Ready(refused.read(buf));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.socket).poll_read(cx, buf))?;
        Poll::Ready(this.check(buf, before))
    }
}

impl AsyncWrite for Checked {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        future::{Future, poll_fn},
        pin::pin,
    };

    use hyper::{body::Incoming, server::conn::http1, service::service_fn};
    use hyper_util::rt::TokioIo;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::{body::Body, stream::Stream, watch::Watch};

    const UPGRADE: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: b\r\n\r\n";

    fn checked(bytes: &[u8], tunnel: &Tunnel) -> Checked {
        let stream = Stream::boxed(io::Cursor::new(bytes.to_vec()));
        Checked::new(Socket::new(stream, Watch::new()), tunnel.clone())
    }

    async fn all(bytes: &[u8]) -> (Vec<u8>, io::Result<usize>) {
        let mut read = Vec::new();
        let result = checked(bytes, &Tunnel::default())
            .read_to_end(&mut read)
            .await;
        (read, result)
    }

    #[tokio::test]
    async fn a_head_is_poisoned_where_it_goes_wrong() {
        let good = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        let (read, result) = all(&[good, &b"GET / HTTP/1.1\r\nA : b\r\n\r\n"[..]].concat()).await;
        result.unwrap();
        let expected = [good, &b"GET / HTTP/1.1\r\nA"[..], POISON].concat();
        assert_eq!(read, expected);
    }

    #[tokio::test]
    async fn a_body_fails_behind_its_good_part() {
        let head = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi";
        let (read, result) = all(&[head, &b"XX0\r\n\r\n"[..]].concat()).await;
        assert_eq!(read, head);
        let error = result.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert_eq!(crate::framing::violation(&error), Some(Kind::ChunkEnd));
    }

    #[tokio::test]
    async fn poison_fits_into_any_buffer() {
        let mut socket = checked(b"\0", &Tunnel::default());
        let mut read = Vec::new();
        let mut byte = [0];
        while socket.read(&mut byte).await.unwrap() > 0 {
            read.push(byte[0]);
        }
        assert_eq!(read, POISON);
    }

    #[tokio::test]
    async fn the_parser_answers_for_a_head_that_arrives_in_two_pieces() {
        let head = b"GET / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n";
        // It goes wrong at the end of its last line but one.
        for cut in 1..=head.len() - 4 {
            let (mut client, server) = tokio::io::duplex(1024);
            let socket = Socket::new(Stream::boxed(server), Watch::new());
            let checked = Checked::new(socket, Tunnel::default());
            let service = service_fn(async |_: http::Request<Incoming>| {
                Ok::<_, Infallible>(http::Response::new(Body::empty()))
            });
            let mut http =
                pin!(http1::Builder::new().serve_connection(TokioIo::new(checked), service));
            client.write_all(&head[..cut]).await.unwrap();
            poll_fn(|cx| {
                assert!(http.as_mut().poll(cx).is_pending());
                Poll::Ready(())
            })
            .await;
            client.write_all(&head[cut..]).await.unwrap();
            http.await.unwrap_err();
            let mut answer = String::new();
            client.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 400 "), "{cut}: {answer}");
        }
    }

    #[tokio::test]
    async fn a_tunnel_is_not_looked_at() {
        let tunnel = Tunnel::default();
        let mut socket = checked(&[UPGRADE, b"\0\n"].concat(), &tunnel);
        let mut head = vec![0; UPGRADE.len()];
        socket.read_exact(&mut head).await.unwrap();
        tunnel.begin();
        let mut rest = Vec::new();
        socket.read_to_end(&mut rest).await.unwrap();
        assert_eq!((&head[..], &rest[..]), (UPGRADE, &b"\0\n"[..]));
    }
}
