//! A request and its response on one stream of a shared connection.

use std::{
    fmt,
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use h2::{
    Reason, RecvStream, SendStream,
    client::{ResponseFuture, SendRequest},
    ext::Protocol,
};
use http::{HeaderMap, Response, Uri, header, uri};
use http_body::{Body as _, Frame};
use tokio::{task::AbortHandle, time::Instant};

use super::{Shard, connection::Connection, tunnel, upload::Upload};
use crate::{
    body::Body,
    error::{BoxError, Error, Failure},
    handler::Request,
    pool::{Interim, Patience, SendFailure, is_repeatable},
    stream::Stream as Bytestream,
    time::LazyTimer,
};

/// The right to one stream of a connection, until it is dropped.
pub(crate) struct Stream {
    connection: Arc<Connection>,
    /// Gone when the connection took no more streams already. Who has it may use it when the connection takes no more.
    sender: Option<SendRequest<Bytes>>,
    shard: Arc<Shard>,
    /// Whether the connection was there before the request.
    kept: bool,
}

impl Stream {
    pub(super) fn new(connection: Arc<Connection>, shard: &Arc<Shard>, kept: bool) -> Self {
        connection.enter();
        Self {
            sender: connection.sender(),
            connection,
            shard: Arc::clone(shard),
            kept,
        }
    }

    /// The number of the connection among those of its worker.
    pub(crate) fn number(&self) -> u64 {
        self.connection.number()
    }

    /// Sends a request, which has the form that it has in HTTP/1.1, and waits for the head of its response while `patience` allows.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, the stream is reset.
    pub(crate) async fn send(
        mut self,
        mut request: Request,
        secure: bool,
        patience: &mut impl Patience,
    ) -> Result<(Response<()>, Download), SendFailure> {
        let repeatable = is_repeatable(&request);
        let interim = request.extensions_mut().remove::<Interim>();
        let Some(mut sender) = self.sender.take() else {
            let error = Error::failure(Failure::Reset);
            return Err(SendFailure {
                error,
                again: Some(request),
                lost: false,
            });
        };
        let (parts, body) = request.into_parts();
        // Before the request is handed over, since the connection may write at once.
        let written = self.connection.written();
        // Kept for a connection that turns out to end; what was handed over cannot be had back.
        let head = http::Request::from_parts(parts, ());
        // The proxy asks an upstream of HTTP/2 for one protocol. An upstream that has not said that it knows extended
        // `CONNECT` gets an ordinary request: a server may ignore an upgrade (RFC 9110, 7.8).
        let protocol = head.headers().get(header::UPGRADE);
        let protocol = protocol
            .filter(|_| sender.is_extended_connect_protocol_enabled())
            .and_then(|one| Some(Protocol::from(one.to_str().ok()?)));
        let sent = like_http2(head.clone(), secure).and_then(|mut message| {
            if let Some(protocol) = &protocol {
                message = tunnel::connect(message, protocol);
            }
            sender
                .send_request(message, protocol.is_none() && body.is_end_stream())
                .map_err(|error| {
                    let unusable = error.is_go_away() || error.is_io() || error.is_reset();
                    let failure = if unusable {
                        Failure::Reset
                    } else {
                        Failure::Internal
                    };
                    Error::caused(failure, error)
                })
        });
        let (response, stream) = match sent {
            Ok(sent) => sent,
            Err(error) => {
                let again = (error.as_failure() == Some(Failure::Reset))
                    .then(|| whole(head, body, interim));
                return Err(SendFailure {
                    error,
                    again,
                    lost: false,
                });
            }
        };
        let before = self.connection.heard();
        let mut upload = Upload::new(body, stream);
        let result = answer(response, &mut upload, interim.as_ref(), patience).await;
        match result {
            Ok(response) => {
                let (parts, incoming) = response.into_parts();
                if let Err(over) = self.connection.limits().check_response(&parts.headers) {
                    let error = Error::caused(Failure::MalformedResponse, over).after_send();
                    return Err(SendFailure::last(error));
                }
                let tunnel = protocol.is_some() && parts.status.is_success();
                let download = if tunnel {
                    Download::both_ways(incoming, upload.into_stream(), self)
                } else {
                    Download::new(incoming, &parts.headers, upload, self)
                };
                Ok((Response::from_parts(parts, ()), download))
            }
            Err(Unanswered::Failed(error)) => {
                let silent = self.connection.heard() == before;
                if silent && error.as_failure() == Some(Failure::ResponseTimeout) {
                    // Nothing has come for anybody: the next request had better go elsewhere.
                    self.connection.retire();
                }
                Err(SendFailure::last(error))
            }
            Err(Unanswered::Ended(error)) => {
                let unsent = error.is_io() && self.connection.written() == written;
                let unprocessed = unsent || is_unprocessed(&error);
                // A kept connection that ended meanwhile; when nothing has come for anybody either, the upstream had gone before the
                // request came.
                let lost = self.kept && error.is_io();
                let dead = lost && self.connection.heard() == before;
                if error.is_io() || error.is_go_away() {
                    self.connection.retire();
                }
                let again = (unprocessed || (dead && repeatable))
                    .then(|| upload.into_body())
                    .flatten()
                    .map(|body| whole(head, body, interim));
                let error = classify(error);
                let error = if unprocessed {
                    error
                } else {
                    error.after_send()
                };
                Err(SendFailure { error, again, lost })
            }
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.connection.leave(&self.shard);
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("connection", &self.connection)
            .field("kept", &self.kept)
            .finish_non_exhaustive()
    }
}

/// Why there is no response.
enum Unanswered {
    /// The request itself failed, or its time is over.
    Failed(Error),
    /// The stream has ended.
    Ended(h2::Error),
}

async fn answer(
    mut response: ResponseFuture,
    upload: &mut Upload,
    interim: Option<&Interim>,
    patience: &mut impl Patience,
) -> Result<Response<RecvStream>, Unanswered> {
    let mut timer = LazyTimer::default();
    let mut heard = false;
    poll_fn(|cx| {
        if let Some(interim) = interim {
            while let Poll::Ready(Some(Ok(head))) = response.poll_informational(cx) {
                heard = true;
                interim.tell(head.status());
            }
        }
        if let Poll::Ready(Err(error)) = upload.poll(cx) {
            return Poll::Ready(Err(Unanswered::Failed(error)));
        }
        if let Poll::Ready(result) = Pin::new(&mut response).poll(cx) {
            return Poll::Ready(result.map_err(Unanswered::Ended));
        }
        while let Some(at) = patience.deadline() {
            if timer.poll(cx, at).is_pending() {
                break;
            }
            while let Poll::Ready(Some(Ok(_))) = response.poll_informational(cx) {
                heard = true;
            }
            if let Some(failure) = patience.passed(heard) {
                let error = Error::failure(failure).after_send();
                return Poll::Ready(Err(Unanswered::Failed(error)));
            }
        }
        Poll::Pending
    })
    .await
}

/// The body of a response, and what is left of the request's.
///
/// When it is dropped before its end, the stream is reset.
pub(crate) struct Download {
    pub(super) incoming: RecvStream,
    upload: Option<AbortHandle>,
    /// The other direction, if the stream carries another protocol.
    outgoing: Option<SendStream<Bytes>>,
    /// What the head promised, less what has come.
    left: Option<u64>,
    trailers: bool,
    timer: LazyTimer,
    _stream: Stream,
}

impl Download {
    fn new(incoming: RecvStream, headers: &HeaderMap, upload: Upload, stream: Stream) -> Self {
        // Both ways are independent from here on: whoever does not read must still be able to send.
        let upload = (!upload.is_done() && !incoming.is_end_stream())
            .then(|| tokio::spawn(upload.finish()).abort_handle());
        let length = headers.get(header::CONTENT_LENGTH);
        Self {
            left: length.and_then(|length| length.to_str().ok()?.parse().ok()),
            incoming,
            upload,
            outgoing: None,
            trailers: false,
            timer: LazyTimer::default(),
            _stream: stream,
        }
    }

    /// A stream on which another protocol was agreed.
    fn both_ways(incoming: RecvStream, outgoing: SendStream<Bytes>, stream: Stream) -> Self {
        Self {
            incoming,
            upload: None,
            outgoing: Some(outgoing),
            left: None,
            trailers: false,
            timer: LazyTimer::default(),
            _stream: stream,
        }
    }

    /// Whether the stream carries another protocol.
    pub(crate) fn is_switched(&self) -> bool {
        self.outgoing.is_some()
    }

    /// Both directions, if the stream carries another protocol.
    pub(crate) fn into_stream(mut self) -> Option<Bytestream> {
        let outgoing = self.outgoing.take()?;
        Some(Bytestream::boxed(tunnel::Duplex::new(self, outgoing)))
    }

    /// The next piece of the body, or its trailers.
    pub(crate) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        while !self.trailers {
            match ready!(self.incoming.poll_data(cx)) {
                Some(Ok(data)) => {
                    // The next may come, as this one is on its way to the client.
                    let _ = self.incoming.flow_control().release_capacity(data.len());
                    if data.is_empty() {
                        continue;
                    }
                    self.left = self.left.map(|left| left.saturating_sub(data.len() as u64));
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Some(Err(error)) if error.reason() == Some(Reason::NO_ERROR) => {
                    // All of the response had come (RFC 9113, 8.1), or h2 would have said so.
                    return Poll::Ready(if self.incoming.is_end_stream() {
                        None
                    } else {
                        Some(Err(classify(error).after_send()))
                    });
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(classify(error).after_send()))),
                None => self.trailers = true,
            }
        }
        match ready!(self.incoming.poll_trailers(cx)) {
            Ok(Some(trailers)) => Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
            Ok(None) => Poll::Ready(None),
            Err(error) => Poll::Ready(Some(Err(classify(error).after_send()))),
        }
    }

    /// Whether `deadline` has passed; else the task is woken when it does.
    pub(crate) fn poll_deadline(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        self.timer.poll(cx, deadline)
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    /// How many bytes are to come, if the head has said it.
    pub(crate) fn left(&self) -> Option<u64> {
        self.left
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        if let Some(upload) = &self.upload {
            upload.abort();
        }
    }
}

impl fmt::Debug for Download {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Download")
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}

/// Gives a request the form of HTTP/2 (RFC 9113, 8.3.1): the authority in the target, and nothing that belongs to one
/// connection.
fn like_http2(mut head: http::Request<()>, secure: bool) -> Result<http::Request<()>, Error> {
    let internal = |error: BoxError| Error::caused(Failure::Internal, error);
    let mut parts = std::mem::take(head.uri_mut()).into_parts();
    if let Some(host) = head.headers_mut().remove(header::HOST) {
        let authority = uri::Authority::try_from(host.as_bytes());
        parts.authority = Some(authority.map_err(|error| internal(error.into()))?);
    }
    parts.scheme = Some(if secure {
        uri::Scheme::HTTPS
    } else {
        uri::Scheme::HTTP
    });
    *head.uri_mut() = Uri::from_parts(parts).map_err(|error| internal(error.into()))?;
    for name in [
        header::TRANSFER_ENCODING,
        header::CONNECTION,
        header::UPGRADE,
    ] {
        head.headers_mut().remove(name);
    }
    *head.version_mut() = http::Version::HTTP_2;
    Ok(head)
}

/// A request as it was before it was sent.
fn whole(head: http::Request<()>, body: Body, interim: Option<Interim>) -> Request {
    let mut request = head.map(|()| body);
    if let Some(interim) = interim {
        request.extensions_mut().insert(interim);
    }
    request
}

/// Whether the upstream says that it has not looked at the request (RFC 9113, 8.7).
///
/// A GOAWAY is only told to streams behind the last one that it takes.
fn is_unprocessed(error: &h2::Error) -> bool {
    error.is_remote()
        && (error.is_go_away()
            || (error.is_reset() && error.reason() == Some(Reason::REFUSED_STREAM)))
}

/// The row of the failure table for the end of a stream.
fn classify(error: h2::Error) -> Error {
    let failure = if error.is_library() {
        Failure::MalformedResponse
    } else {
        Failure::Reset
    };
    Error::caused(failure, error)
}
