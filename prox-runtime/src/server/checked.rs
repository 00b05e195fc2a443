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

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::socket::Socket;
use crate::{
    framing::{END_OF_LONG, Kind, POISON, Requests, Violation},
    stream::Stream,
};

/// Whether a connection has left HTTP for another protocol; told by whoever answers its requests.
#[derive(Clone, Debug, Default)]
pub(super) struct Tunnel(Arc<AtomicBool>);

impl Tunnel {
    /// Says that the answer about to be sent ends HTTP on the connection.
    pub(super) fn begin(&self) {
        // What a client has sent of the other protocol before it had the answer is kept apart.
        self.0.store(true, Relaxed);
    }
}

pub(super) struct Checked {
    socket: Socket,
    requests: Requests,
    tunnel: Tunnel,
    refused: Option<Refused>,
    violation: Option<Kind>,
}

/// What is read from a connection behind its last good byte.
enum Refused {
    /// Bytes that make the parser refuse the head under way, once it has answered all before it, and then the end.
    Head(Instead),
    /// An error, for a head has passed already, and what stood in its place.
    Body(Kind, Vec<u8>),
}

/// What is read in place of bytes that are no request.
struct Instead {
    bytes: &'static [u8],
    read: usize,
    /// What has really come. If the request before it leaves HTTP, that is the begin of something else.
    of: Vec<u8>,
}

impl Checked {
    /// A socket from which heads of so many bytes may be read.
    pub(super) fn new(socket: Socket, tunnel: Tunnel, max_head: usize) -> Self {
        Self {
            socket,
            requests: Requests::new(max_head),
            tunnel,
            refused: None,
            violation: None,
        }
    }

    /// What was wrong with what came from it.
    pub(super) fn violation(&self) -> Option<Kind> {
        self.violation
    }

    /// The socket itself, in front of all that no request has taken; `ahead` was read of that already.
    ///
    /// A client may send the begin of another protocol along with the request for it (RFC 9110, 7.8, says only that the
    /// request must be whole), although that of a WebSocket must wait (RFC 6455, 4.1).
    pub(super) fn into_stream(self, ahead: Bytes) -> Stream {
        let mut stream = self.socket.stream;
        match self.refused {
            Some(Refused::Head(instead)) => {
                stream.unread(instead.of.into());
                let good = ahead.len().saturating_sub(instead.read);
                stream.unread(ahead.slice(..good));
            }
            Some(Refused::Body(_, of)) => {
                stream.unread(of.into());
                stream.unread(ahead);
            }
            None => stream.unread(ahead),
        }
        stream
    }

    /// The most fields that a head has had.
    pub(super) fn most_fields(&self) -> usize {
        self.requests.most_fields()
    }

    /// Whether something was refused that came from it.
    pub(super) fn has_refused(&self) -> bool {
        self.refused.is_some()
    }

    /// Writes what can be written without waiting, and forgets the rest.
    pub(super) fn try_write(&mut self, bytes: &[u8]) {
        let _ = self.socket.stream.try_write(bytes);
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
        tracing::debug!(target: "prox", %kind, "a client's request is malformed");
        self.violation = Some(kind);
        let instead = |bytes| Instead {
            bytes,
            read: 0,
            of: buf.filled()[before + good..].to_vec(),
        };
        let refused = if in_body {
            Refused::Body(kind, buf.filled()[before + good..].to_vec())
        } else if kind == Kind::LongTarget {
            // Nothing else is wrong with it, and whoever looks at its length says so.
            Refused::Head(instead(END_OF_LONG))
        } else {
            Refused::Head(instead(POISON))
        };
        buf.set_filled(before + good);
        let refused = self.refused.insert(refused);
        // What was good is read first: an error would hide it.
        if in_body && good > 0 {
            return Ok(());
        }
        refused.read(buf)
    }
}

impl Refused {
    /// Whether all was read that makes a request of what was cut off.
    fn is_whole(&self) -> bool {
        match self {
            Self::Head(instead) => {
                instead.bytes == END_OF_LONG && instead.read == END_OF_LONG.len()
            }
            Self::Body(..) => false,
        }
    }

    fn read(&mut self, buf: &mut ReadBuf<'_>) -> io::Result<()> {
        match self {
            Self::Head(instead) => {
                let rest = &instead.bytes[instead.read..];
                let now = rest.len().min(buf.remaining());
                buf.put_slice(&rest[..now]);
                instead.read += now;
                Ok(())
            }
            Self::Body(kind, _) => Err((*kind).into()),
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
            // Whoever answers the whole request before it would take an end for a client that has left.
            if refused.is_whole() {
                return Poll::Pending;
            }
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

    const MAX_HEAD: usize = 64 * 1024;

    const UPGRADE: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: b\r\n\r\n";

    fn checked(bytes: &[u8], tunnel: &Tunnel) -> Checked {
        let stream = Stream::boxed(io::Cursor::new(bytes.to_vec()));
        Checked::new(
            Socket::new(stream, Watch::new(None)),
            tunnel.clone(),
            MAX_HEAD,
        )
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
    async fn a_target_for_which_there_is_no_room_is_ended_while_it_is_too_long_for_all() {
        let long = [b"GET /", &b"a".repeat(2 * MAX_HEAD)[..]].concat();
        let mut socket = checked(&long, &Tunnel::default());
        let mut read = Vec::new();
        while !read.ends_with(END_OF_LONG) {
            assert!(socket.read_buf(&mut read).await.unwrap() > 0);
        }
        let good = read.strip_suffix(END_OF_LONG).unwrap();
        assert!(long.starts_with(good));
        assert!(good.len() > crate::framing::MAX_TARGET + "GET /".len());
        assert!(read.len() < MAX_HEAD);
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
            let socket = Socket::new(Stream::boxed(server), Watch::new(None));
            let checked = Checked::new(socket, Tunnel::default(), MAX_HEAD);
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
    async fn what_came_before_the_switch_is_there_whatever_it_is() {
        for early in [
            &b"\x81\x85 words"[..],
            b"words",
            b"GET / HTTP/1.1\r\n\r\n\0",
            b"",
        ] {
            // What the parser has not read, has read of what stands in its place, and has read to the end.
            for more in [0, 1, 1024] {
                let tunnel = Tunnel::default();
                let mut socket = checked(&[UPGRADE, early].concat(), &tunnel);
                let mut read = vec![0; UPGRADE.len()];
                socket.read_exact(&mut read).await.unwrap();
                let mut ahead = Vec::new();
                (&mut socket)
                    .take(more)
                    .read_to_end(&mut ahead)
                    .await
                    .unwrap();
                tunnel.begin();
                let mut all = Vec::new();
                let mut stream = socket.into_stream(ahead.into());
                stream.read_to_end(&mut all).await.unwrap();
                assert_eq!(all, early, "{more}");
            }
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
