//! The socket of an upstream connection, which remembers what the request under way has sent.
//!
//! Whether a request may be sent again depends on whether a byte of it has left, and on whether a byte has come back. Both
//! are known here exactly. To send one again, its head is read back from the bytes that were written, so that the common
//! path need not copy a map of headers for a case that hardly ever comes.
//!
//! What comes back is looked at before it passes, so that nothing of it can be taken for the response to another request.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Uri, header};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf, Take};

use crate::{
    body::Body,
    framing::{Asked, Kind, Leniency, Responses},
    handler::Request,
    stream::Stream,
    sync::lock,
};

/// So much is read at a time. hyper doubles its buffer whenever a read fills it, up to the longest head that it takes, and reserves as
/// much for each read; a byte less than 64 KiB keeps it at that.
const READ: u64 = 64 * 1024 - 1;

/// What has passed since the request began.
#[derive(Debug, Default)]
pub(super) struct Tape {
    /// The bytes that were written, or that should have been, while they are worth keeping.
    head: Vec<u8>,
    keep: bool,
    sent: Sent,
    read: bool,
    /// Whether something that was written did not arrive.
    lost: bool,
    /// The largest buffer that something was read into, or written from.
    largest_buffer: usize,
    responses: Responses,
}

/// How much of the request has left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Sent {
    #[default]
    Nothing,
    /// The first write failed. Nothing has left of what is in the head.
    Failed,
    Bytes,
}

pub(super) type SharedTape = Arc<Mutex<Tape>>;

impl Tape {
    /// Of an upstream of which this is taken beyond the rules.
    pub(super) fn of(lenient: Leniency) -> SharedTape {
        Arc::new(Mutex::new(Self {
            responses: Responses::lenient(lenient),
            ..Self::default()
        }))
    }

    /// Begins anew; `keep` for a request that may be sent again after it was written.
    pub(super) fn rewind(&mut self, keep: bool, asked: Asked) {
        self.head.clear();
        self.keep = keep;
        self.sent = Sent::Nothing;
        self.read = false;
        self.responses.expect(asked);
    }

    /// Whether the last response has ended, with nothing behind it and no doubt about where.
    pub(super) fn is_reusable(&self) -> bool {
        self.responses.is_reusable() && !self.lost
    }

    /// The most fields that the head of a response had.
    pub(super) fn most_fields(&self) -> usize {
        self.responses.most_fields()
    }

    /// Whether something has come back since the request began.
    pub(super) fn has_heard(&self) -> bool {
        self.read
    }

    /// Whether nothing of the request has left.
    pub(super) fn is_unsent(&self) -> bool {
        self.sent != Sent::Bytes
    }

    /// The request as it was sent, if it may be sent again, was kept whole, and nothing has come back.
    pub(super) fn replay(&self) -> Option<Request> {
        if self.sent == Sent::Failed || (self.keep && !self.read) {
            parse(&self.head)
        } else {
            None
        }
    }

    /// How large the largest buffer is that something was read into, or written from.
    pub(super) fn largest_buffer(&self) -> usize {
        self.largest_buffer
    }

    /// Those buffers are gone.
    pub(super) fn forget_buffers(&mut self) {
        self.largest_buffer = 0;
    }

    /// Looks at what was read to the end of `buf`, and takes away what must not pass.
    fn check(&mut self, buf: &mut ReadBuf<'_>, before: usize) -> Result<(), Kind> {
        self.read |= buf.filled().len() > before;
        self.largest_buffer = self.largest_buffer.max(buf.capacity());
        self.responses
            .feed(&buf.filled()[before..])
            .map_err(|violation| {
                buf.set_filled(before + violation.good);
                violation.kind
            })
    }

    /// Notes that the rest of a request does not arrive; false when nothing of it has, so that there is no answer to wait for.
    fn lose(&mut self) -> bool {
        self.lost = self.sent == Sent::Bytes;
        self.lost
    }

    fn note(&mut self, written: &[u8]) {
        self.sent = Sent::Bytes;
        if self.keep {
            self.head.extend_from_slice(written);
        }
    }

    /// These bytes could not be written. If nothing was written before, they are the begin of the request.
    fn note_failure(&mut self, unwritten: &[u8]) {
        if self.sent == Sent::Nothing {
            self.sent = Sent::Failed;
            self.head = unwritten.to_vec();
        }
    }
}

/// Reads a request back that hyper wrote; `None` if it is not whole.
fn parse(message: &[u8]) -> Option<Request> {
    const END: &[u8] = b"\r\n\r\n";
    let end = message.windows(END.len()).position(|part| part == END)?;
    let (text, body) = (&message[..end], &message[end + END.len()..]);
    let mut lines = text.split(|&byte| byte == b'\n');
    let first = lines.next()?.trim_ascii_end();
    let mut words = first.splitn(3, |&byte| byte == b' ');
    let mut request = Request::new(Body::empty());
    *request.method_mut() = Method::from_bytes(words.next()?).ok()?;
    *request.uri_mut() = Uri::try_from(words.next()?).ok()?;
    for line in lines {
        let colon = line.iter().position(|&byte| byte == b':')?;
        let name = HeaderName::from_bytes(&line[..colon]).ok()?;
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?;
        request.headers_mut().append(name, value);
    }
    let length = match request.headers().get(header::CONTENT_LENGTH) {
        Some(length) => length.to_str().ok()?.parse().ok()?,
        None => 0,
    };
    if length != body.len() || request.headers().contains_key(header::TRANSFER_ENCODING) {
        return None;
    }
    if !body.is_empty() {
        *request.body_mut() = Body::from(Bytes::copy_from_slice(body));
    }
    Some(request)
}

#[derive(Debug)]
pub(super) struct Socket {
    stream: Take<Stream>,
    tape: SharedTape,
    /// Why nothing more is read.
    refused: Option<Kind>,
    /// Whether the upstream takes no more. What it has said before can still be read.
    deaf: bool,
}

impl Socket {
    pub(super) fn new(stream: Stream, tape: SharedTape) -> Self {
        Self {
            stream: stream.take(READ),
            tape,
            refused: None,
            deaf: false,
        }
    }

    /// What becomes of a write: when the upstream has closed the connection in the middle of a request, it may have answered
    /// before. So the rest of the request goes nowhere, and the next read says whether there is an answer.
    fn written(
        &mut self,
        result: Poll<io::Result<usize>>,
        count: usize,
    ) -> Poll<io::Result<usize>> {
        match result {
            Poll::Ready(Err(error)) if is_closed(&error) && lock(&self.tape).lose() => {
                self.deaf = true;
                Poll::Ready(Ok(count))
            }
            result => result,
        }
    }

    /// The stream itself, for bytes that are no longer HTTP.
    pub(super) fn into_stream(self) -> Stream {
        self.stream.into_inner()
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(kind) = self.refused {
            return Poll::Ready(Err(kind.into()));
        }
        let before = buf.filled().len();
        self.stream.set_limit(READ);
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        let checked = lock(&self.tape).check(buf, before);
        if let Err(kind) = checked {
            tracing::debug!(target: "prox", %kind, "an upstream's response is malformed");
            self.refused = Some(kind);
            // What was good is read first: an error would hide it.
            if buf.filled().len() == before {
                return Poll::Ready(Err(kind.into()));
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.deaf {
            return Poll::Ready(Ok(buf.len()));
        }
        let result = Pin::new(self.stream.get_mut()).poll_write(cx, buf);
        match &result {
            Poll::Ready(Ok(count)) => lock(&self.tape).note(&buf[..*count]),
            Poll::Ready(Err(_)) => lock(&self.tape).note_failure(buf),
            Poll::Pending => {}
        }
        self.written(result, buf.len())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.deaf {
            return Poll::Ready(Ok(()));
        }
        // A TLS session takes bytes before the socket does.
        let result = Pin::new(self.stream.get_mut()).poll_flush(cx);
        self.written(result.map_ok(|()| 0), 0).map_ok(drop)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.stream.get_mut()).poll_shutdown(cx)
    }
}

fn is_closed(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
    )
}

#[cfg(test)]
mod tests {
    use http_body::Body as _;

    use super::*;

    fn began(keep: bool) -> Tape {
        let mut tape = Tape::default();
        tape.rewind(keep, Asked::Other);
        tape
    }

    fn taped(keep: bool, bytes: &[u8]) -> Tape {
        let mut tape = began(keep);
        tape.note(bytes);
        tape
    }

    #[test]
    fn what_could_not_be_written_is_read_back_whatever_its_method() {
        let post = |length: usize, body: &str| {
            format!("POST /a HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{body}")
        };
        for body in ["", "hello", "a\r\n\r\nb: c"] {
            let mut tape = began(false);
            tape.note_failure(post(body.len(), body).as_bytes());
            assert!(tape.is_unsent());
            let request = tape.replay().unwrap();
            assert_eq!(request.method(), "POST");
            assert_eq!(request.body().size_hint().exact(), Some(body.len() as u64));
        }
        let chunked = "POST /a HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n";
        for part in [&post(5, ""), &post(5, "hell"), chunked] {
            let mut tape = began(false);
            tape.note_failure(part.as_bytes());
            assert!(tape.replay().is_none(), "a part of the body is lost");
        }
        let mut tape = began(false);
        tape.note(b"POST");
        tape.note_failure(b" /a HTTP/1.1\r\n\r\n");
        assert!(tape.replay().is_none(), "a part of it has left");
    }

    #[test]
    fn a_head_is_read_back_as_it_was_sent() {
        let tape = taped(
            true,
            b"GET /a?b=1 HTTP/1.1\r\nhost: x\r\naccept: a\r\naccept: b: c\r\n\r\n",
        );
        let request = tape.replay().unwrap();
        assert_eq!(request.method(), "GET");
        assert_eq!(request.uri(), "/a?b=1");
        assert_eq!(request.headers()["host"], "x");
        let accept: Vec<_> = request.headers().get_all("accept").iter().collect();
        assert_eq!(accept, ["a", "b: c"]);
    }

    #[test]
    fn half_a_head_or_one_that_was_answered_is_not_sent_again() {
        assert!(
            taped(true, b"GET / HTTP/1.1\r\nhost: x\r\n")
                .replay()
                .is_none()
        );
        assert!(taped(false, b"GET / HTTP/1.1\r\n\r\n").replay().is_none());
        let mut answered = taped(true, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n");
        answered.read = true;
        assert!(answered.replay().is_none());
        assert!(!answered.is_unsent());
    }
}
